//! Programs on this machine.

pub(super) mod file;
pub(super) mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polyport_provider::process::output::Members;
use polyport_provider::process::{self, Argument, Command, Template};
use polyport_types::{Protocol, Text};

use super::check::Context;
use super::file::{self as written, Adapter};
use super::preset::Preset;
use super::problem::Place;
use super::services::{self, Checked, Defaults, child};
use super::tree::Step;
use super::{Origin, ProcessService, Provider, Service, resilience};
use file::{Format, Input, Process};

/// What every program gets of Polyport's own environment: nothing in it is a secret.
const PASSED: [&str; 26] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SystemRoot",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "HF_HOME",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "NODE_PATH",
    "CONDA_PREFIX",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NO_COLOR",
];

/// The same by their beginnings.
const PASSED_GROUPS: [&str; 9] = ["LC_", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "HSA_", "GGML_", "OMP_", "ONEAPI_"];

/// Requests at once where nothing is said: models are large.
const AT_ONCE: usize = 1;

/// Whether a provider is a program.
pub(super) fn is_process(given: &written::Provider, preset: Option<&Preset>) -> bool {
    match given.adapter {
        Some(adapter) => adapter == Adapter::Process,
        None => preset.is_some_and(|preset| preset.process().is_some()),
    }
}

/// A provider that is a program.
pub(super) fn process(
    name: &str,
    given: &written::Provider,
    preset: Option<&'static Preset>,
    at: &[Step],
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Option<Checked> {
    if !may_run(at, context) {
        return None;
    }
    for (setting, is_there) in [
        ("base_url", given.base_url.is_some()),
        ("keys", given.keys.is_some()),
        ("oauth", given.oauth.is_some()),
        ("proxy", given.proxy.is_some()),
        ("headers", !given.headers.0.is_empty()),
        ("query", !given.query.0.is_empty()),
        ("server", given.server.is_some()),
    ] {
        if is_there {
            context.error(&child(at, setting), "a program that is run for each request has none", "leave it out");
        }
    }
    if given.protocol.is_some_and(|asked| Protocol::from(asked) != Protocol::Chat) {
        context.error(&child(at, "protocol"), "a program speaks none", "leave it out");
    }
    let path = child(at, "process");
    let preset = preset.or_else(|| Preset::named("process"));
    let process = with_preset(given.process.clone().unwrap_or_default(), preset.and_then(Preset::process));
    let programs = preset.map(|preset| preset.programs.as_slice()).unwrap_or_default();
    if process.command.is_none() && programs.is_empty() {
        context.error(&child(&path, "command"), "the program is missing", "name it: `process: { command: llama-cli }`");
        return None;
    }
    let mut command = command(&process, programs, &path, context)?;
    command.input = input(&process, &command, &path, context);
    let mut files = BTreeMap::new();
    for (model, file) in &process.models.0 {
        files.insert(Text::from(model.as_str()), Text::from(file.as_str()));
    }
    let mut models: Vec<Text> = process.models.0.iter().map(|(model, _)| Text::from(model.as_str())).collect();
    models.extend(given.models.iter().map(|model| Text::from(model.as_str())).filter(|name| !files.contains_key(name)));
    if models.is_empty() {
        let remedy = "name them: `process: { models: { my-model: /path/to/model.gguf } }`, or `models: [my-model]` where there is no file";
        context.error(&child(&path, "models"), "there are no models, so nothing can be asked for", remedy);
    }
    let output = output(&process, &path, context);
    let (table, profile) =
        services::quirks(given, preset.map(|preset| preset.name.as_str()), Protocol::Chat, "process", at, context);
    let service = ProcessService {
        chat: chat(&process, &path, context)?,
        command: Arc::new(command),
        output,
        files,
        rests: resilience::rests(&defaults.rests, &given.cooldown, &child(at, "cooldown"), context),
        timeouts: services::timeouts(given, defaults, at, context),
    };
    let provider = Provider {
        name: name.into(),
        scope: services::scope(name, "process"),
        service: Service::Process(Box::new(service)),
        table: table.into(),
        profile: Arc::new(profile),
        requests: Some(given.requests.unwrap_or(AT_ONCE)),
        queue: services::queue(given),
        models,
        origin: Origin::File,
    };
    Some(Checked { provider, claims: Vec::new() })
}

/// Programs are the operator's: whoever may use the admin API may not thereby run any.
pub(super) fn may_run(at: &[Step], context: &mut Context<'_>) -> bool {
    let may = !matches!(context.place(at), Place::Database(_));
    if !may {
        context.error(at, "programs are run for providers of the configuration file only", "write it there");
    }
    may
}

fn with_preset(given: Process, preset: Option<&Process>) -> Process {
    let Some(preset) = preset.cloned() else { return given };
    Process {
        command: given.command.or(preset.command),
        args: given.args.or(preset.args),
        working_directory: given.working_directory.or(preset.working_directory),
        input: given.input.or(preset.input),
        template: given.template.or(preset.template),
        output: given.output.or(preset.output),
        ..given
    }
}

/// What is run; `None` if that is not said.
pub(super) fn command(given: &Process, programs: &[String], at: &[Step], context: &mut Context<'_>) -> Option<Command> {
    let paths = std::env::split_paths(context.environment.get("PATH").unwrap_or_default());
    // Not the working folder, which is what an empty or relative one would mean.
    let paths: Vec<PathBuf> = paths.filter(|path| path.is_absolute()).collect();
    let mut command = Command {
        program: String::new(),
        paths,
        folder: Path::new(".").join(&context.environment.folder),
        arguments: Vec::new(),
        environment: inherited(given, at, context),
        variables: Vec::new(),
        working_directory: None,
        input: process::Input::Nothing,
    };
    let names = given.command.iter().chain(programs.iter().filter(|_| given.command.is_none()));
    let candidates: Vec<Command> = names.map(|name| Command { program: name.clone(), ..command.clone() }).collect();
    let found = candidates.iter().find(|candidate| candidate.find().is_ok()).or(candidates.last())?;
    command.program.clone_from(&found.program);
    if let Err(error) = command.find() {
        let message = format!("{}, so requests to this provider will fail", error.reason);
        context.warning(&child(at, "command"), message, "install it, or give its path");
    }
    for (index, argument) in given.args.iter().flatten().enumerate() {
        let mut path = child(at, "args");
        path.push(Step::Index(index));
        command.arguments.push(match argument {
            file::Argument::One(text) => Argument::One(value(text, &path, context)?),
            file::Argument::Together(texts) => {
                let templates: Option<Vec<Template>> = texts.iter().map(|text| value(text, &path, context)).collect();
                Argument::Together(templates?)
            }
        });
    }
    for (name, text) in &given.env.0 {
        let mut path = child(at, "env");
        path.push(Step::Key(name.clone()));
        if name.is_empty() || name.contains(['=', '\0']) {
            context.error(&path, "this is no name of a variable", "");
            continue;
        }
        let is_reference = ["env:", "file:"].iter().any(|prefix| text.trim_start().starts_with(prefix));
        if !is_reference {
            command.variables.push((name.clone(), value(text, &path, context)?));
            continue;
        }
        match context.secret(text) {
            Ok(found) => {
                command.environment.retain(|(known, _)| known != name);
                command.environment.push((name.clone(), found.secret.expose().to_owned()));
            }
            Err(missing) => context.error(&path, missing.to_string(), "set it, or leave it out"),
        }
    }
    if let Some(text) = &given.working_directory {
        let path = child(at, "working_directory");
        let template = value(text, &path, context)?;
        if let Some(other) = template.variables().find(|name| !matches!(*name, "model" | "path" | "port")) {
            let message = format!("`{other}` comes from requests, which may not choose a folder");
            context.error(&path, message, "only `model` and `path` may stand here");
        }
        command.working_directory = Some(template);
    }
    Some(command)
}

/// What it gets of Polyport's own environment.
fn inherited(given: &Process, at: &[Step], context: &mut Context<'_>) -> Vec<(String, String)> {
    let mut passed: Vec<(String, String)> = Vec::new();
    for (name, value) in context.environment.all() {
        let usual = PASSED.contains(&name) || PASSED_GROUPS.iter().any(|group| name.starts_with(group));
        if usual || given.pass_env.iter().any(|asked| asked == name) {
            passed.push((name.to_owned(), value.to_owned()));
        }
    }
    for (index, name) in given.pass_env.iter().enumerate() {
        if !passed.iter().any(|(known, _)| known == name) {
            let mut path = child(at, "pass_env");
            path.push(Step::Index(index));
            context.warning(&path, format!("the environment variable {name} is not set"), "set it, or leave it out");
        }
    }
    passed
}

fn value(text: &str, at: &[Step], context: &mut Context<'_>) -> Option<Template> {
    match Template::value(text) {
        Ok(template) => Some(template),
        Err(error) => {
            context.error(at, format!("the template cannot be read: {error}"), "variables stand in `{{ … }}`");
            None
        }
    }
}

/// How it gets the prompt, which must be somehow.
fn input(given: &Process, command: &Command, at: &[Step], context: &mut Context<'_>) -> process::Input {
    let [prompt, file, messages] = ["prompt", "file", "messages"].map(|name| command.mentions(name));
    let input = given.input.unwrap_or(if file {
        Input::File
    } else if prompt || messages {
        Input::Argument
    } else {
        Input::Stdin
    });
    let missing = match input {
        Input::Stdin => return process::Input::Stdin,
        Input::File if file => return process::Input::File,
        Input::Argument if prompt || messages => return process::Input::Nothing,
        Input::File => "file",
        Input::Argument => "prompt",
    };
    let message = format!("no argument holds `{{{{ {missing} }}}}`, so the prompt would go nowhere");
    context.error(&child(at, "args"), message, "put it into `args`, or say `input: stdin`");
    process::Input::Nothing
}

fn chat(given: &Process, at: &[Step], context: &mut Context<'_>) -> Option<Template> {
    let path = child(at, "template");
    let text = given.template.as_deref().unwrap_or("plain");
    let source = match text.trim().strip_prefix("file:") {
        None => text.to_owned(),
        Some(_) => match context.secret(text) {
            Ok(found) => found.secret.expose().to_owned(),
            Err(missing) => {
                context.error(&path, missing.to_string(), "");
                return None;
            }
        },
    };
    if !source.contains('{') && !Template::chats().any(|name| name == source.trim()) {
        let names: Vec<&str> = Template::chats().collect();
        let remedy = format!("{}; or write the template here", super::read::suggestion(&source, &names, "known are"));
        context.error(&path, "this is neither the name of a template nor one", remedy);
        return None;
    }
    match Template::chat(&source) {
        Ok(template) => Some(template),
        Err(error) => {
            context.error(&path, format!("the template cannot be read: {error}"), "");
            None
        }
    }
}

fn output(given: &Process, at: &[Step], context: &mut Context<'_>) -> process::Output {
    let given = given.output.clone().unwrap_or_default();
    let path = child(at, "output");
    let mut pointer = |name: &str, text: &Option<String>| {
        if text.as_deref().is_some_and(|text| !text.is_empty() && !text.starts_with('/')) {
            context.error(&child(&path, name), "this is no JSON pointer", "write it like `/choices/0/text`");
        }
        text.clone()
    };
    let members = Members {
        text: pointer("text", &given.text).unwrap_or_else(|| "/text".to_owned()),
        reasoning: pointer("reasoning", &given.reasoning),
        finish: pointer("finish", &given.finish),
        input_tokens: pointer("input_tokens", &given.input_tokens),
        output_tokens: pointer("output_tokens", &given.output_tokens),
        error: pointer("error", &given.error),
    };
    let format = match given.format {
        None | Some(Format::Text) => process::Format::Text,
        Some(Format::Lines) => process::Format::Lines,
        Some(Format::JsonLines) => process::Format::JsonLines(Box::new(members)),
    };
    process::Output { format, after: given.after.filter(|text| !text.is_empty()), until: given.until.0 }
}
