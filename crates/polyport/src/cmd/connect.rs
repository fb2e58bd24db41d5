//! `polyport connect`: what leads a client to the gateway, shown or written into its settings.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::Args as ClapArgs;
use polyport_server::config::Purpose;
use serde_json::{Value, json};

use crate::args::Args;
use crate::clients::{self, Bounds, Client, Fill, Home, Pass, Said, edit};
use crate::gateway::{self, Aim, Gateway, Query};
use crate::out;

/// Stands where a key belongs that is not known.
const SOME_KEY: &str = "YOUR-KEY";

/// What to set up
#[derive(Debug, ClapArgs)]
pub(crate) struct ConnectArgs {
    /// The client: `claude`, `codex`, `gemini` …
    client: Option<String>,
    /// Change its settings file; a copy of what was there stays beside it
    #[arg(long)]
    write: bool,
    /// Put back what was there before the last change
    #[arg(long, conflicts_with_all = ["write", "key", "new_key"])]
    undo: bool,
    /// The key it uses [default: the one in its settings, or a new one with `--write`]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Make a key for it
    #[arg(long, conflicts_with = "key")]
    new_key: bool,
    /// The model it uses
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

pub(crate) fn run(args: &Args, what: &ConnectArgs) -> Result<ExitCode> {
    let home = Home::of(super::source(args).environment);
    let Some(name) = &what.client else {
        list(args, &home);
        return Ok(ExitCode::SUCCESS);
    };
    let client = clients::find(name)?;
    if what.undo {
        return undo(args, client, &home);
    }
    if what.write && (client.settings.is_empty() || client.fragment) {
        bail!(
            "where {} keeps this is not known here: set by hand what `polyport connect {}` shows",
            client.title,
            client.name
        );
    }
    let connect = Connect { args, what, client, home };
    if let (Some(url), Some(key)) = (&args.url, &what.key) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(async {
            let url = chosen(url);
            let models = match connect.needs_list() {
                true => listed(clients::models(&url, Some(key)).await?),
                false => Vec::new(),
            };
            connect.done(url, &Pass::of(key), models)
        });
    }
    let aim = if what.write || what.new_key { Aim::Change } else { Aim::Look };
    gateway::run(args, aim, async |gateway| connect.with(gateway).await)
}

/// The address of a gateway as clients are told it.
pub(super) fn chosen(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    url.strip_suffix("/v1").unwrap_or(url).to_owned()
}

fn listed(said: Said) -> Vec<String> {
    match said {
        Said::Models(models) => models,
        Said::Closed => Vec::new(),
    }
}

/// A client to be set up.
struct Connect<'a> {
    args: &'a Args,
    what: &'a ConnectArgs,
    client: &'static Client,
    home: Home,
}

impl Connect<'_> {
    fn needs_list(&self) -> bool {
        self.client.lists_models && self.what.model.is_none()
    }

    async fn with(&self, gateway: &Gateway) -> Result<ExitCode> {
        let running = gateway.url().await?;
        let url = match &running {
            Some(url) => url.clone(),
            None => {
                let loaded = super::source(self.args).load(&[], Purpose::Inspect);
                polyport_server::url_of(loaded.map_err(|problems| super::refused(&problems))?.config.listen.address())
            }
        };
        let pass = self.pass(gateway, &url, running.is_some()).await?;
        let models = match (self.needs_list(), &running) {
            (false, _) => Vec::new(),
            (true, Some(url)) if pass.key != SOME_KEY => listed(clients::models(url, Some(&pass.key)).await?),
            (true, _) => {
                let models = gateway.list("models", &Query::default(), None).await?;
                let names =
                    models.iter().filter_map(|model| model["model"].as_str().or_else(|| model["name"].as_str()));
                names.filter(|name| !name.contains('*')).map(str::to_owned).collect()
            }
        };
        let done = self.done(url, &pass, models);
        match (done, &pass.made) {
            (Err(error), Some((_, name))) => Err(match pass.end(gateway).await {
                Ok(()) => error,
                Err(left) => anyhow!(
                    "{error:#}; and the key `{name}`, which was made for it, could not be deleted ({left:#}): do it with `polyport keys delete {name}`"
                ),
            }),
            (done, _) => done,
        }
    }

    /// The key that the client uses.
    async fn pass(&self, gateway: &Gateway, url: &str, running: bool) -> Result<Pass> {
        if let Some(key) = &self.what.key {
            return Ok(Pass::of(key));
        }
        let open = match running {
            true => clients::is_open(url).await?,
            false => {
                let open = gateway.get("status").await?["open"].as_bool().unwrap_or_default();
                open && (!gateway.has_database().await?
                    || gateway.list("keys", &Query::default(), Some(1)).await?.is_empty())
            }
        };
        if open && !self.what.new_key {
            return Ok(Pass::open());
        }
        if self.what.write && !self.what.new_key && running {
            let present = clients::key_in(self.client, &self.home, url);
            if let Some(key) = present
                && matches!(clients::models(url, Some(&key)).await?, Said::Models(_))
            {
                return Ok(Pass::of(&key));
            }
        }
        match self.what.write || self.what.new_key {
            true => Pass::make(gateway, &format!("connect-{}", self.client.name), &Bounds::default()).await,
            false => Ok(Pass::of(SOME_KEY)),
        }
    }

    /// Shows or writes what everything is known for.
    fn done(&self, url: String, pass: &Pass, models: Vec<String>) -> Result<ExitCode> {
        let model = self.what.model.clone();
        let models = model.clone().map_or(models, |model| vec![model]);
        if self.client.lists_models && models.is_empty() {
            let title = &self.client.title;
            bail!("{title} has to be told which model: add `--model NAME` (`polyport models` lists them)");
        }
        let fill = Fill { url, key: pass.key.clone(), model, models };
        match self.what.write {
            true => write(self.args, self.client, &self.home, &fill, pass),
            false => show(self.args, self.client, &self.home, &fill),
        }
    }
}

fn list(args: &Args, home: &Home) {
    let found = |client: &Client| client.program.as_deref().and_then(|program| home.program(program));
    let places = |client: &Client| {
        let files = client.settings.iter().filter(|_| !client.fragment);
        files.filter_map(|settings| home.settings(settings).ok()).collect::<Vec<_>>()
    };
    if args.json {
        let clients: Vec<Value> = clients::all()
            .iter()
            .map(|client| {
                let files: Vec<Value> =
                    places(client).iter().map(|path| json!({ "path": path, "exists": path.exists() })).collect();
                json!({
                    "name": client.name, "title": client.title, "program": client.program, "found": found(client),
                    "launch": client.launches(), "files": files, "tried": client.tried,
                })
            })
            .collect();
        out::json(&json!({ "clients": clients }));
        return;
    }
    let rows = clients::all().iter().map(|client| {
        let there = match (found(client), places(client).iter().any(|path| path.exists())) {
            (Some(_), _) => "installed",
            (None, true) => "has settings",
            (None, false) => "",
        };
        let how = match (client.launches(), places(client).is_empty()) {
            (true, _) => "launch, connect --write",
            (false, false) => "connect --write",
            (false, true) => "connect",
        };
        vec![client.name.clone(), client.title.clone(), there.to_owned(), how.to_owned()]
    });
    out::table(&["client", "", "here", "how"], rows.collect());
}

fn show(args: &Args, client: &Client, home: &Home, fill: &Fill) -> Result<ExitCode> {
    let mut files = Vec::new();
    for settings in &client.settings {
        let text = edit::edited(settings.format, "", &settings.edits(fill))?;
        let path = home.settings(settings)?;
        files.push((if client.fragment { path.file_name().map(Into::into).unwrap_or(path) } else { path }, text));
    }
    let (variables, arguments) = (client.variables(fill), client.arguments(fill));
    if args.json {
        let files: Vec<Value> = files.iter().map(|(path, text)| json!({ "path": path, "text": text })).collect();
        out::json(&json!({
            "client": client.name, "title": client.title, "url": fill.url, "key": fill.key, "model": fill.model,
            "variables": variables.into_iter().map(|(name, text)| (name, text.into())).collect::<serde_json::Map<_, Value>>(),
            "arguments": arguments, "files": files, "steps": client.steps(fill), "remarks": client.remarks,
            "tried": client.tried,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    out::line(&format!("{} at {}", client.title, fill.url));
    let in_shell = !variables.is_empty();
    if in_shell {
        out::line("\nIn the shell:\n");
        for (name, text) in &variables {
            out::line(&format!("  {}", shell_line(name, text)));
        }
    }
    if let (false, Some(program)) = (arguments.is_empty(), &client.program) {
        let arguments: Vec<String> = arguments.iter().map(|text| quoted(text)).collect();
        out::line(&format!("  {program} {}", arguments.join(" ")));
    }
    for (path, text) in &files {
        let by = if client.fragment { "" } else { " (`--write` does it)" };
        let or = if in_shell { "Or for good, in" } else { "In" };
        out::line(&format!("\n{or} {}{by}:\n", path.display()));
        text.lines().for_each(|line| out::line(format!("  {line}").trim_end()));
    }
    let steps = client.steps(fill);
    if !steps.is_empty() {
        out::line("");
        steps.iter().enumerate().for_each(|(at, step)| out::line(&format!("  {}. {step}", at + 1)));
    }
    remarks(client);
    if fill.key == SOME_KEY {
        let words = "stands for a key of the gateway: give one with `--key`, or have one made with `--new-key`";
        out::line(&format!("\n{SOME_KEY} {words}."));
    }
    if client.tried.is_none() {
        out::line("\nThis comes from its documentation and was not tried with the program itself.");
    }
    Ok(ExitCode::SUCCESS)
}

fn remarks(client: &Client) {
    client.remarks.iter().for_each(|remark| out::line(&format!("\n{remark}")));
}

fn write(args: &Args, client: &Client, home: &Home, fill: &Fill, pass: &Pass) -> Result<ExitCode> {
    let mut done = Vec::new();
    for settings in &client.settings {
        let path = home.settings(settings)?;
        let written = clients::write(&path, settings.format, &settings.edits(fill));
        match written {
            Ok(written) => done.push((path, written)),
            // All or nothing: what was written before goes back.
            Err(mut error) => {
                for (path, _) in done.iter().rev().filter(|(_, written)| written.is_some()) {
                    if let Err(left) = clients::undo(path) {
                        error = anyhow!("{error:#}; and {} could not be put back: {left:#}", path.display());
                    }
                }
                return Err(error);
            }
        }
    }
    if args.json {
        let files: Vec<Value> = done
            .iter()
            .map(|(path, written)| {
                let backup = written.as_ref().and_then(|written| written.backup.as_ref());
                json!({ "path": path, "changed": written.is_some(), "backup": backup })
            })
            .collect();
        let key = pass.made.as_ref().map(|(id, name)| json!({ "id": id, "name": name }));
        out::json(
            &json!({ "client": client.name, "url": fill.url, "model": fill.model, "made_key": key, "files": files }),
        );
        return Ok(ExitCode::SUCCESS);
    }
    for (path, written) in &done {
        out::line(&match written {
            None => format!("{}: says so already", path.display()),
            Some(clients::Written { backup: Some(backup), path }) => {
                format!("{}: written; what was there is in {}", path.display(), backup.display())
            }
            Some(clients::Written { backup: None, path }) => format!("{}: made", path.display()),
        });
    }
    if let Some((_, name)) = &pass.made {
        out::line(&format!("the key `{name}` was made for it (`polyport keys`)"));
    }
    remarks(client);
    if done.iter().any(|(_, written)| written.is_some()) {
        out::line(&format!("\n`polyport connect {} --undo` puts back what was there.", client.name));
    }
    Ok(ExitCode::SUCCESS)
}

fn undo(args: &Args, client: &Client, home: &Home) -> Result<ExitCode> {
    let mut done = Vec::new();
    for settings in client.settings.iter().filter(|_| !client.fragment) {
        done.extend(clients::undo(&home.settings(settings)?)?);
    }
    if done.is_empty() {
        bail!("nothing is known of a change of the settings of {}: there is no copy beside them", client.title);
    }
    if args.json {
        let files: Vec<Value> = done
            .iter()
            .map(|undone| json!({ "path": undone.path, "removed": undone.removed, "kept": undone.kept }))
            .collect();
        out::json(&json!({ "client": client.name, "files": files }));
        return Ok(ExitCode::SUCCESS);
    }
    for undone in done {
        let what = if undone.removed { "gone again" } else { "as it was" };
        let (path, kept) = (undone.path.display(), undone.kept.display());
        out::line(&format!("{path}: {what}; what was there until now is in {kept}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A line that sets a variable in the shell of this system.
fn shell_line(name: &str, text: &str) -> String {
    if cfg!(windows) { format!("$env:{name} = {}", quoted(text)) } else { format!("export {name}={}", quoted(text)) }
}

/// A word as shells take it.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !cfg!(windows) && !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', if cfg!(windows) { "''" } else { r"'\''" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn words_survive_the_shell() {
        for text in ["plain/word:1", "two words", "it's $HOME `x` \"y\"", ""] {
            let output = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(text))]).output();
            assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), text);
        }
        assert_eq!(shell_line("A", "b c"), "export A='b c'");
    }
}
