//! `polyport routes`: rules that look at the request.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Map, Value, json};

use super::crud::{self, Basic, Kind, List, Members};
use crate::args::Args;
use crate::gateway::{self, Aim, object};
use crate::out;

pub(crate) static KIND: Kind = Kind {
    word: "route",
    list: "routes",
    command: "routes",
    called: None,
    columns: &[
        ("id", "id"),
        ("name", "name"),
        ("match", "match"),
        ("to", "to"),
        ("priority", "priority"),
        ("origin", "origin"),
    ],
};

/// What to do with rules
#[derive(Debug, ClapArgs)]
pub(crate) struct RoutesArgs {
    #[command(subcommand)]
    what: Option<Routes>,
}

#[derive(Debug, Subcommand)]
enum Routes {
    #[command(flatten)]
    Basic(Basic),
    /// Declare one: give what it looks at, and where it leads
    #[command(visible_alias = "create")]
    Add(Add),
}

#[derive(Debug, ClapArgs)]
struct Add {
    /// A provider, `provider/model`, or a pool
    #[arg(long, value_name = "TARGET")]
    to: Option<String>,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Names of models; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    model: Option<String>,
    /// A word in the model's name
    #[arg(long, value_name = "WORD")]
    model_contains: Option<String>,
    /// What the client speaks: chat, responses, messages, gemini
    #[arg(long)]
    protocol: Option<String>,
    /// A header of the client; `*` in the value stands for anything; may be repeated
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = crate::args::header)]
    headers: Vec<(String, String)>,
    /// The name of the client's key, user or team
    #[arg(long)]
    caller: Option<String>,
    /// Lower is asked first
    #[arg(long)]
    priority: Option<i64>,
    #[command(flatten)]
    members: Members,
}

pub(crate) fn run(args: &Args, what: &RoutesArgs) -> Result<ExitCode> {
    let list = Routes::Basic(Basic::List(List::default()));
    match what.what.as_ref().unwrap_or(&list) {
        Routes::Basic(basic) => crud::basic(args, &KIND, basic),
        Routes::Add(new) => {
            let mut body = new.members.read()?;
            let headers: Map<String, Value> =
                new.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            let looks = object([
                ("model", new.model.as_deref().map(Value::from)),
                ("model_contains", new.model_contains.as_deref().map(Value::from)),
                ("protocol", new.protocol.as_deref().map(Value::from)),
                ("header", (!headers.is_empty()).then(|| headers.into())),
                ("caller", new.caller.as_deref().map(Value::from)),
            ]);
            if let (false, Value::Object(of)) = (looks.is_empty(), body.entry("match").or_insert_with(|| json!({}))) {
                of.extend(looks);
            }
            body.extend(object([
                ("to", new.to.as_deref().map(Value::from)),
                ("name", new.name.as_deref().map(Value::from)),
                ("priority", new.priority.map(Value::from)),
            ]));
            if !body.contains_key("to") {
                bail!("a route leads somewhere: give `--to PROVIDER`, `--to PROVIDER/MODEL` or `--to POOL`");
            }
            gateway::run(args, Aim::Change, async |gateway| {
                let made = gateway.post("routes", &body.clone().into()).await?;
                crud::done(args, &format!("route {} is there", out::cell(&made["id"])), &made);
                Ok(ExitCode::SUCCESS)
            })
        }
    }
}
