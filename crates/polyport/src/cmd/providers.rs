//! `polyport providers`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use polyport_server::config::{Provider, Service};
use serde_json::{Value, json};

use super::crud::{self, Basic, Kind, List, Members, One};
use super::lists;
use crate::args::Args;
use crate::gateway::{self, Aim, object};
use crate::out;

pub(crate) static KIND: Kind = Kind {
    word: "provider",
    list: "providers",
    command: "providers",
    called: None,
    columns: &[
        ("name", "name"),
        ("state", "state"),
        ("protocol", "protocol"),
        ("address", "address"),
        ("models", "models"),
        ("origin", "origin"),
    ],
};

/// Services that are known.
static PRESETS: Kind = Kind {
    word: "preset",
    list: "presets",
    command: "providers presets",
    called: None,
    columns: &[
        ("preset", "name"),
        ("service", "title"),
        ("protocol", "protocol"),
        ("address", "base_url"),
        ("needs", "auth"),
        ("variables", "key_variables"),
    ],
};

/// What to do with the services that answer
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ProvidersArgs {
    #[command(subcommand)]
    what: Option<Providers>,
    /// List the presets that ship with Polyport instead
    #[arg(long)]
    presets: bool,
}

#[derive(Debug, Subcommand)]
enum Providers {
    #[command(flatten)]
    Basic(Basic),
    /// Declare one, with its keys
    #[command(visible_alias = "create")]
    Add(Add),
    /// Say whether one answers, also before it is declared
    ///
    /// It is asked for its list of models, or with `--model` sends one short request to that. Nothing is kept. The exit code is 1 if it gives no answer.
    Try(Try),
    /// Ask it for its own list of models, now
    Models(One),
    /// Show what its refusals taught
    Learned(One),
    /// Forget what its refusals taught
    Forget(One),
    /// List the presets that ship with Polyport
    Presets,
}

#[derive(Debug, ClapArgs)]
struct Add {
    /// Its name: the first part of `provider/model`
    name: String,
    /// A known service, which fills in everything else; see `polyport providers presets`
    #[arg(long)]
    preset: Option<String>,
    /// What it speaks: chat, responses, messages, gemini
    #[arg(long)]
    protocol: Option<String>,
    /// Its address, with the version
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// A key of it: the text, `env:NAME`, `file:PATH`, or `-` for standard input; may be repeated
    #[arg(long = "api-key", alias = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A model it serves; may be repeated
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    #[command(flatten)]
    members: Members,
}

#[derive(Debug, ClapArgs)]
struct Try {
    /// The one that is there; with a preset or an address, what the new one is called
    name: Option<String>,
    /// A known service; see `polyport providers presets`
    #[arg(long)]
    preset: Option<String>,
    /// What it speaks: chat, responses, messages, gemini
    #[arg(long)]
    protocol: Option<String>,
    /// Its address, with the version
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// A key for it: the text, `env:NAME`, `file:PATH`, or `-` for standard input [default: those that it has]
    #[arg(long = "api-key", alias = "key", value_name = "KEY")]
    key: Option<String>,
    /// The refresh token of an account, written in the same way
    #[arg(long, value_name = "TOKEN", conflicts_with = "key")]
    refresh_token: Option<String>,
    /// The key file of a service account
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "refresh_token"])]
    key_file: Option<PathBuf>,
    /// A model of it, which is sent one short request
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Seconds it may take: 1 to 60 [default: 20]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: Option<u64>,
    #[command(flatten)]
    members: Members,
}

pub(crate) fn run(args: &Args, what: &ProvidersArgs) -> Result<ExitCode> {
    let list = Providers::Basic(Basic::List(List::default()));
    match what.what.as_ref().unwrap_or(if what.presets { &Providers::Presets } else { &list }) {
        Providers::Basic(basic) => crud::basic(args, &KIND, basic),
        Providers::Add(new) => add(args, new),
        Providers::Try(what) => try_it(args, what),
        Providers::Models(One { name }) => gateway::run(args, Aim::Look, async |gateway| {
            let told = KIND.hint(gateway.get(&format!("{}/models", KIND.path(name))).await)?;
            if args.json {
                out::json(&told);
            } else {
                for model in told["models"].as_array().into_iter().flatten() {
                    out::line(model.as_str().unwrap_or(&out::name(model)));
                }
            }
            Ok(ExitCode::SUCCESS)
        }),
        Providers::Learned(One { name }) => gateway::run(args, Aim::Look, async |gateway| {
            let told = KIND.hint(gateway.get(&format!("{}/learned", KIND.path(name))).await)?;
            let rows = told["learned"].as_array().cloned().unwrap_or_default();
            match args.json {
                true => out::json(&told),
                false if rows.is_empty() => out::line("nothing"),
                false => {
                    let row = |one: &Value| {
                        ["model", "member", "instead", "message"].map(|member| out::cell(&one[member])).to_vec()
                    };
                    out::table(&["model", "member", "instead", "message"], rows.iter().map(row).collect());
                }
            }
            Ok(ExitCode::SUCCESS)
        }),
        Providers::Forget(One { name }) => gateway::run(args, Aim::Change, async |gateway| {
            let path = format!("{}/learned", KIND.path(name));
            let told = KIND.hint(gateway.call(Method::DELETE, &path, None).await)?;
            crud::done(args, &format!("what provider `{name}` taught is forgotten"), &told);
            Ok(ExitCode::SUCCESS)
        }),
        Providers::Presets => lists::run(args, &PRESETS, &List::default()),
    }
}

/// Makes the provider and its keys together, or nothing.
fn add(args: &Args, new: &Add) -> Result<ExitCode> {
    let mut provider = new.members.read()?;
    provider.extend(object([
        ("name", Some(new.name.as_str().into())),
        ("preset", new.preset.as_deref().map(Value::from)),
        ("protocol", new.protocol.as_deref().map(Value::from)),
        ("base_url", new.base_url.as_deref().map(Value::from)),
        ("models", (!new.models.is_empty()).then(|| new.models.clone().into())),
    ]));
    let mut keys = Vec::new();
    for key in &new.keys {
        keys.push(json!({ "provider": new.name, "key": crud::secret(args, key)? }));
    }
    gateway::run(args, Aim::Change, async |gateway| {
        let made = gateway.post("import", &json!({ "providers": [provider], "credentials": keys })).await?;
        if made["results"][0]["result"] == "exists" {
            bail!("there is such a provider already: `{}`; `polyport credentials add {0}` gives it a key", new.name);
        }
        let shown = gateway.get(&KIND.path(&new.name)).await?;
        crud::done(args, &format!("provider `{}` is there, with {}", new.name, out::count(keys.len(), "key")), &shown);
        Ok(ExitCode::SUCCESS)
    })
}

fn try_it(args: &Args, what: &Try) -> Result<ExitCode> {
    let mut definition = what.members.read()?;
    definition.extend(object([
        ("preset", what.preset.as_deref().map(Value::from)),
        ("protocol", what.protocol.as_deref().map(Value::from)),
        ("base_url", what.base_url.as_deref().map(Value::from)),
    ]));
    let provider: Value = match (&what.name, definition.is_empty()) {
        (Some(name), true) => name.as_str().into(),
        (None, true) => bail!("name a provider that is there, or give `--preset` or `--base-url`"),
        (name, false) => {
            definition.extend(object([("name", name.as_deref().map(Value::from))]));
            definition.into()
        }
    };
    let secret = |given: &Option<String>| given.as_deref().map(|given| crud::secret(args, given)).transpose();
    let file = what.key_file.as_deref().map(crud::text_of).transpose()?;
    let credential = object([
        ("key", secret(&what.key)?.map(Value::from)),
        ("refresh_token", secret(&what.refresh_token)?.map(Value::from)),
        ("key_file", file.map(Value::from)),
    ]);
    let body = object([
        ("provider", Some(provider)),
        ("credential", (!credential.is_empty()).then(|| credential.into())),
        ("model", what.model.as_deref().map(Value::from)),
        ("timeout_ms", what.timeout.map(|seconds| (seconds * 1000).into())),
    ]);
    gateway::run(args, Aim::Look, async |gateway| {
        let told = KIND.hint(gateway.post("providers/try", &body.into()).await)?;
        let answered = told["outcome"] == "answered";
        if args.json {
            out::json(&told);
        } else if answered {
            match told["answer"].as_str() {
                Some(answer) => out::line(&format!("it answers: {answer}")),
                None => told["models"].as_array().into_iter().flatten().for_each(|model| out::line(&out::cell(model))),
            }
        } else {
            let words = ["message", "remedy"].iter().filter_map(|member| told[*member].as_str());
            out::error(&words.collect::<Vec<_>>().join("; "));
        }
        Ok(if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Where its keys come from, for people.
pub(crate) fn keys(provider: &Provider) -> String {
    match &provider.service {
        Service::Http(http) if http.missing_credential => "missing".to_owned(),
        Service::Http(http) if http.credentials.is_empty() => "none needed".to_owned(),
        Service::Http(http) => http.credentials.iter().map(|key| &*key.label).collect::<Vec<_>>().join(", "),
        Service::Process(_) | Service::Echo => "none needed".to_owned(),
    }
}

/// What is known about it, for programs that read the first line of `serve`.
pub(crate) fn as_json(provider: &Provider) -> Value {
    json!({
        "name": provider.name.to_string(),
        "protocol": provider.protocol().as_str(),
        "address": provider.address(),
        "profile": provider.table.to_string(),
        "keys": provider.credentials().iter().map(|key| key.label.to_string()).collect::<Vec<_>>(),
        "key_missing": matches!(&provider.service, Service::Http(http) if http.missing_credential),
        "models": provider.models.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
