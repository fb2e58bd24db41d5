//! `polyport pools`: virtual models and the targets behind them.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;

use super::crud::{self, Basic, Kind, List, Members};
use crate::args::Args;
use crate::gateway::{self, Aim, object};
use crate::out;

pub(crate) static KIND: Kind = Kind {
    word: "pool",
    list: "pools",
    command: "pools",
    called: None,
    columns: &[
        ("name", "name"),
        ("tier", "tier"),
        ("strategy", "strategy"),
        ("targets", "targets"),
        ("fallbacks", "fallbacks"),
        ("origin", "origin"),
    ],
};

/// What to do with virtual models
#[derive(Debug, ClapArgs)]
pub(crate) struct PoolsArgs {
    #[command(subcommand)]
    what: Option<Pools>,
}

#[derive(Debug, Subcommand)]
enum Pools {
    #[command(flatten)]
    Basic(Basic),
    /// Declare one
    #[command(visible_alias = "create")]
    Add(Add),
    /// Show where the next requests would go; nobody's turn moves
    Preview(Preview),
}

#[derive(Debug, ClapArgs)]
struct Preview {
    /// A pool that is there; with members, that pool as it would be with nothing but these
    #[arg(required_unless_present_any = ["targets", "set", "from"])]
    name: Option<String>,
    /// `provider/model`, or another pool, instead of those that are there; may be repeated
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// How the next target is chosen
    #[arg(long)]
    strategy: Option<String>,
    /// How many turns, 100 at most [default: 12]
    #[arg(long, value_name = "N")]
    turns: Option<u64>,
    #[command(flatten)]
    members: Members,
}

#[derive(Debug, ClapArgs)]
struct Add {
    /// What clients ask for
    name: String,
    /// `provider/model`, or another pool; may be repeated
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// Which words of vendors' names reach it: tool, normal, advanced
    #[arg(long)]
    tier: Option<String>,
    /// How the next target is chosen
    #[arg(long)]
    strategy: Option<String>,
    /// A pool that is used when no target can be; may be repeated
    #[arg(long = "fallback", value_name = "POOL")]
    fallbacks: Vec<String>,
    #[command(flatten)]
    members: Members,
}

fn preview(args: &Args, what: &Preview) -> Result<ExitCode> {
    let mut members = what.members.read()?;
    let targets = (!what.targets.is_empty()).then(|| what.targets.clone().into());
    members.extend(object([("targets", targets), ("strategy", what.strategy.as_deref().map(Value::from))]));
    let pool = match &what.name {
        Some(name) if members.is_empty() => Value::from(name.as_str()),
        name => {
            members.extend(object([("name", name.as_deref().map(Value::from))]));
            members.into()
        }
    };
    let body = Value::Object(object([("pool", Some(pool)), ("turns", what.turns.map(Value::from))]));
    gateway::run(args, Aim::Look, async |gateway| {
        let told = gateway.post("pools/preview", &body).await?;
        if args.json {
            out::json(&told);
            return Ok(ExitCode::SUCCESS);
        }
        let turns = told["turns"].as_array().cloned().unwrap_or_default();
        if turns.is_empty() {
            out::line("nothing can be tried now");
        }
        for (at, turn) in turns.iter().enumerate() {
            out::line(&format!("{:>3}  {}/{}", at + 1, out::cell(&turn["provider"]), out::cell(&turn["model"])));
        }
        let left = told["excluded"].as_array().cloned().unwrap_or_default();
        if !left.is_empty() && !args.quiet {
            let columns = ["provider", "model", "key", "why", "until"];
            out::line("\nleft out:");
            let row = |one: &Value| columns.iter().map(|name| out::cell_at(one, name)).collect();
            out::table(&columns, left.iter().map(row).collect());
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn run(args: &Args, what: &PoolsArgs) -> Result<ExitCode> {
    let list = Pools::Basic(Basic::List(List::default()));
    match what.what.as_ref().unwrap_or(&list) {
        Pools::Basic(basic) => crud::basic(args, &KIND, basic),
        Pools::Preview(what) => preview(args, what),
        Pools::Add(new) => {
            let mut body = new.members.read()?;
            let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone().into());
            body.extend(object([
                ("name", Some(new.name.as_str().into())),
                ("targets", some(&new.targets)),
                ("tier", new.tier.as_deref().map(Value::from)),
                ("strategy", new.strategy.as_deref().map(Value::from)),
                ("fallbacks", some(&new.fallbacks)),
            ]));
            if !body.contains_key("targets") {
                bail!("a pool needs targets: give `--target PROVIDER/MODEL`; `polyport models` shows what there is");
            }
            gateway::run(args, Aim::Change, async |gateway| {
                let made = gateway.post("pools", &body.clone().into()).await?;
                crud::done(args, &format!("pool `{}` is there", new.name), &made);
                Ok(ExitCode::SUCCESS)
            })
        }
    }
}
