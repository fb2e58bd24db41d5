//! `polyport credentials`: keys and accounts of providers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::crud::{self, Basic, Kind, List, Members, Names};
use crate::args::Args;
use crate::gateway::{self, Aim, object};
use crate::out;

pub(crate) static KIND: Kind = Kind {
    word: "credential",
    list: "credentials",
    command: "credentials",
    called: Some("label"),
    columns: &[
        ("id", "id"),
        ("provider", "provider"),
        ("label", "label"),
        ("kind", "kind"),
        ("state", "state"),
        ("until", "until"),
        ("requests", "counts.requests"),
        ("success", "counts.success_rate"),
        ("origin", "origin"),
    ],
};

/// Keys that are sent to the server at once.
const AT_ONCE: usize = 1000;

/// What to do with the keys and accounts of providers
#[derive(Debug, ClapArgs)]
pub(crate) struct CredentialsArgs {
    #[command(subcommand)]
    what: Option<Credentials>,
}

#[derive(Debug, Subcommand)]
enum Credentials {
    #[command(flatten)]
    Basic(Basic),
    /// Give a provider a key or an account
    #[command(visible_alias = "create")]
    Add(Add),
    /// Give a provider many at once: one a line, or a JSON list
    Import(Import),
    /// Fetch an access token now, whatever happened before
    Refresh(Names),
    /// Ask whether they can be used, now
    Probe(Names),
    /// Ask the service what is left of their allowance
    Quota(Names),
    /// Forget failures, so that they are used again at once
    Revive(Names),
    /// Say which of them can be used
    Health,
    /// Count them by state
    Statistics,
    /// Say whether one of them can be used; exit code 1 if not
    Ready,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Add {
    /// The provider it belongs to
    #[arg(value_name = "PROVIDER")]
    pub(crate) provider: String,
    /// A key: the text, `env:NAME`, `file:PATH`, or `-` for standard input
    #[arg(long = "api-key", alias = "key", value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// The refresh token of an account, given in the same ways
    #[arg(long, value_name = "TOKEN", conflicts_with = "key")]
    pub(crate) refresh_token: Option<String>,
    /// The key file of a service account
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "refresh_token"])]
    pub(crate) key_file: Option<PathBuf>,
    /// Its name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Its share among those of the same priority
    #[arg(long)]
    pub(crate) weight: Option<u32>,
    /// Lower goes first
    #[arg(long)]
    pub(crate) priority: Option<u32>,
    #[command(flatten)]
    pub(crate) members: Members,
}

#[derive(Debug, ClapArgs)]
struct Import {
    /// The file (`-` is standard input)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The provider of those that do not name one
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
}

pub(crate) fn run(args: &Args, what: &CredentialsArgs) -> Result<ExitCode> {
    let list = Credentials::Basic(Basic::List(List::default()));
    match what.what.as_ref().unwrap_or(&list) {
        Credentials::Basic(basic) => crud::basic(args, &KIND, basic),
        Credentials::Add(new) => add(args, new),
        Credentials::Import(what) => import(args, what),
        Credentials::Refresh(names) => act(args, names, "refresh", "has a new token"),
        Credentials::Probe(names) => act(args, names, "probe", "was asked"),
        Credentials::Quota(names) => act(args, names, "quota", "was asked for its allowance"),
        Credentials::Revive(names) => act(args, names, "revive", "is used again"),
        Credentials::Health => gateway::run(args, Aim::Look, async |gateway| {
            let rows = gateway.list("credentials/health", &gateway::Query::default(), None).await?;
            let kind = Kind {
                columns: &[
                    ("id", "id"),
                    ("provider", "provider"),
                    ("label", "label"),
                    ("healthy", "healthy"),
                    ("state", "state"),
                ],
                ..KIND
            };
            crud::table(args, &kind, &rows);
            Ok(ExitCode::SUCCESS)
        }),
        Credentials::Statistics => gateway::run(args, Aim::Look, async |gateway| {
            crud::one(args, &gateway.get("credentials/statistics").await?);
            Ok(ExitCode::SUCCESS)
        }),
        Credentials::Ready => gateway::run(args, Aim::Look, async |gateway| {
            let told = gateway.get("credentials/readiness").await?;
            crud::one(args, &told);
            Ok(if told["ready"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }),
    }
}

pub(crate) fn add(args: &Args, new: &Add) -> Result<ExitCode> {
    let mut body = new.members.read()?;
    let file = new.key_file.as_deref().map(crud::text_of).transpose()?;
    let secret = |given: &Option<String>| given.as_deref().map(|given| crud::secret(args, given)).transpose();
    body.extend(object([
        ("provider", Some(new.provider.as_str().into())),
        ("key", secret(&new.key)?.map(Value::from)),
        ("refresh_token", secret(&new.refresh_token)?.map(Value::from)),
        ("key_file", file.map(Value::from)),
        ("name", new.name.as_deref().map(Value::from)),
        ("weight", new.weight.map(Value::from)),
        ("priority", new.priority.map(Value::from)),
    ]));
    if ["key", "refresh_token", "key_file"].iter().all(|member| !body.contains_key(*member)) {
        bail!(
            "give the key: `--api-key KEY`, `--api-key -` to read it from standard input, `--refresh-token TOKEN` or `--key-file FILE`"
        );
    }
    gateway::run(args, Aim::Change, async |gateway| {
        let made = gateway.post("credentials", &body.clone().into()).await?;
        crud::done(args, &format!("`{}` has the credential {}", new.provider, out::name(&made)), &made);
        Ok(ExitCode::SUCCESS)
    })
}

fn act(args: &Args, Names { names }: &Names, word: &str, words: &str) -> Result<ExitCode> {
    gateway::run(args, Aim::Change, async |gateway| {
        for name in names {
            let told =
                KIND.hint(gateway.post(&format!("{}/{word}", KIND.find(gateway, name).await?), &json!({})).await)?;
            let state = told["state"].as_str().map(|state| format!(": {state}")).unwrap_or_default();
            crud::done(args, &format!("`{name}` {words}{state}"), &told);
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn import(args: &Args, what: &Import) -> Result<ExitCode> {
    let entries = entries(&what.file)?;
    if entries.is_empty() {
        bail!("{}: there is nothing to import", what.file.display());
    }
    let query = gateway::Query::default().with_some("provider", what.provider.as_ref()).on("credentials/import");
    gateway::run(args, Aim::Change, async |gateway| {
        let progress = out::progress(args, entries.len(), "keys");
        let mut results: Vec<Value> = Vec::with_capacity(entries.len());
        for some in entries.chunks(AT_ONCE) {
            let told = gateway.post(&query, &Value::from(some.to_vec())).await?;
            let before = results.len();
            for mut one in told["results"].as_array().cloned().unwrap_or_default() {
                one["index"] = (one["index"].as_u64().unwrap_or_default() + before as u64).into();
                results.push(one);
            }
            progress.inc(some.len() as u64);
        }
        progress.finish_and_clear();
        let count = |word: &str| results.iter().filter(|one| one["result"] == word).count();
        let (created, duplicates, invalid) = (count("created"), count("duplicate"), count("invalid"));
        if args.json {
            out::json(&json!({ "created": created, "duplicates": duplicates, "invalid": invalid, "results": results }));
        } else {
            for one in results.iter().filter(|one| one["result"] == "invalid") {
                let at = one["index"].as_u64().unwrap_or_default() + 1;
                out::error(&format!("entry {at}: {}", one["message"].as_str().unwrap_or("it is refused")));
            }
            if !args.quiet {
                out::line(&format!("{created} created, {duplicates} there already, {invalid} refused"));
            }
        }
        Ok(if invalid == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// What a file lists: JSON, or one a line.
fn entries(file: &Path) -> Result<Vec<Value>> {
    let text = crud::text_of(file)?;
    if text.trim_start().starts_with(['[', '{']) {
        let read: Value = serde_json::from_str(&text)
            .map_err(|error| anyhow::anyhow!("{}: this is no JSON: {error}", file.display()))?;
        let lists = ["credentials", "accounts", "tokens", "keys"];
        return match read {
            Value::Array(entries) => Ok(entries),
            Value::Object(mut members) => match lists.iter().find_map(|list| members.remove(*list)) {
                Some(Value::Array(entries)) => Ok(entries),
                _ => bail!("{}: a list, or an object with one of {} is expected", file.display(), lists.join(", ")),
            },
            _ => bail!("{}: a list is expected", file.display()),
        };
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(Value::from).collect())
}
