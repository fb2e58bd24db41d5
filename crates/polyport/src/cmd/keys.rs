//! `polyport keys`: keys of clients.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::{Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::credentials;
use super::crud::{self, Basic, Kind, List, Members, One};
use crate::args::Args;
use crate::gateway::{self, Aim, Gateway, Query, object};
use crate::out;

static KIND: Kind = Kind {
    word: "key",
    list: "keys",
    command: "keys",
    called: Some("name"),
    columns: &[
        ("id", "id"),
        ("name", "name"),
        ("key", "masked"),
        ("user", "user"),
        ("team", "team"),
        ("enabled", "enabled"),
        ("expires", "expires_at"),
    ],
};

/// What to do with the keys of clients
#[derive(Debug, ClapArgs)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    what: Option<Keys>,
}

#[derive(Debug, Subcommand)]
enum Keys {
    #[command(flatten)]
    Basic(Basic),
    /// Make one; its text is shown once. With `--provider`: give a provider a key
    #[command(visible_alias = "create")]
    Add(Add),
    /// Give one another text, which is shown once; the one before stays good for a while
    Rotate(Rotate),
}

#[derive(Debug, ClapArgs)]
struct Add {
    /// Its name
    #[arg(required_unless_present = "provider")]
    name: Option<String>,
    /// The user it belongs to
    #[arg(long)]
    user: Option<String>,
    /// The team it belongs to
    #[arg(long, conflicts_with = "user")]
    team: Option<String>,
    /// A model it may ask for, `*` stands for anything; may be repeated [default: all]
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// A protocol it may speak; may be repeated [default: all]
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    protocols: Vec<String>,
    /// When it ends: a time such as 2027-01-31T12:00:00Z, or from now on such as 12h, 30d
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// A provider that gets a key of its service, instead
    #[arg(long, value_name = "PROVIDER", requires = "api_key", conflicts_with_all = ["user", "team", "models", "protocols", "expires"])]
    provider: Option<String>,
    /// The key of that service: the text, `env:NAME`, `file:PATH`, or `-` for standard input
    #[arg(long, value_name = "KEY", requires = "provider")]
    api_key: Option<String>,
    #[command(flatten)]
    members: Members,
}

#[derive(Debug, ClapArgs)]
struct Rotate {
    #[command(flatten)]
    one: One,
    /// How long the text before stays good, in seconds [default: a day]
    #[arg(long, value_name = "SECONDS")]
    overlap: Option<u64>,
}

pub(crate) fn run(args: &Args, what: &KeysArgs) -> Result<ExitCode> {
    let list = Keys::Basic(Basic::List(List::default()));
    match what.what.as_ref().unwrap_or(&list) {
        Keys::Basic(Basic::List(which)) => gateway::run(args, Aim::Look, async |gateway| {
            both(args, gateway, which).await?;
            Ok(ExitCode::SUCCESS)
        }),
        Keys::Basic(basic) => crud::basic(args, &KIND, basic),
        Keys::Add(Add { provider: Some(provider), api_key, name, members, .. }) => {
            let members = Members { set: members.set.clone(), from: members.from.clone() };
            let new = credentials::Add {
                provider: provider.clone(),
                key: api_key.clone(),
                name: name.clone(),
                refresh_token: None,
                key_file: None,
                weight: None,
                priority: None,
                members,
            };
            credentials::add(args, &new)
        }
        Keys::Add(new) => add(args, new),
        Keys::Rotate(Rotate { one: One { name }, overlap }) => gateway::run(args, Aim::Change, async |gateway| {
            let body = object([("overlap_seconds", overlap.map(Value::from))]);
            let told = KIND.hint(
                gateway.post(&format!("{}/rotate", KIND.find(gateway, name).await?), &body.clone().into()).await,
            )?;
            shown_once(args, &told);
            Ok(ExitCode::SUCCESS)
        }),
    }
}

/// Keys of clients, and those of providers below.
async fn both(args: &Args, gateway: &Gateway, which: &List) -> Result<()> {
    let mut query = Query::default().with_some("q", which.search.as_ref());
    for (name, value) in &which.filters {
        query = query.with(name, value);
    }
    let keys =
        if gateway.has_database().await? { gateway.list("keys", &query, which.limit).await? } else { Vec::new() };
    let plain = which.filters.is_empty() && which.search.is_none();
    let of_providers = match plain {
        true => gateway.list("credentials", &Query::default().with("kind", &"key"), which.limit).await?,
        false => Vec::new(),
    };
    if args.json {
        out::json(&json!({ "keys": keys, "provider_keys": of_providers }));
        return Ok(());
    }
    if !args.quiet && plain {
        out::line("Keys of clients:");
    }
    crud::table(args, &KIND, &keys);
    if !args.quiet && plain {
        out::line("\nKeys of providers (`polyport credentials`):");
        crud::table(args, &credentials::KIND, &of_providers);
    }
    Ok(())
}

fn add(args: &Args, new: &Add) -> Result<ExitCode> {
    let mut body = new.members.read()?;
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone().into());
    body.extend(object([
        ("name", new.name.as_deref().map(Value::from)),
        ("user", new.user.as_deref().map(Value::from)),
        ("team", new.team.as_deref().map(Value::from)),
        ("models", some(&new.models)),
        ("protocols", some(&new.protocols)),
        ("expires_at", new.expires.as_deref().map(ends).transpose()?.map(Value::from)),
    ]));
    gateway::run(args, Aim::Change, async |gateway| {
        let made = gateway.post("keys", &body.clone().into()).await?;
        shown_once(args, &made);
        Ok(ExitCode::SUCCESS)
    })
}

/// The text of a key, which nobody sees again.
fn shown_once(args: &Args, made: &Value) {
    let text = made["key"].as_str().unwrap_or_default();
    if args.json {
        out::json(made);
    } else if args.quiet {
        out::line(text);
    } else {
        out::line(&format!(
            "{text}\nThis is shown once. It is the key `{}`, id {}.",
            out::name(made),
            out::cell(&made["id"])
        ));
    }
}

/// When something ends that is given as a time, or as a time from now on.
pub(crate) fn ends(given: &str) -> Result<i64> {
    if let Ok(at) = given.trim().parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let wrong = || anyhow!("`{given}` is no time: write it as 2027-01-31T12:00:00Z, or as 12h or 30d from now on");
    let given = given.trim();
    let number = given.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = given.strip_prefix(number).unwrap_or_default();
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: i64 = number.trim().parse().map_err(|_| wrong())?;
    match number.checked_mul(seconds * 1000).and_then(|span| Timestamp::now().as_millisecond().checked_add(span)) {
        Some(at) if number > 0 => Ok(at),
        _ => bail!("`{given}` does not lie ahead"),
    }
}
