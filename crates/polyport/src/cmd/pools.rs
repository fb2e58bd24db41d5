//! `polyport pools`: virtual models and the targets behind them.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;

use super::crud::{self, Basic, Kind, List, Members};
use crate::args::Args;
use crate::gateway::{self, Aim, object};

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

pub(crate) fn run(args: &Args, what: &PoolsArgs) -> Result<ExitCode> {
    let list = Pools::Basic(Basic::List(List::default()));
    match what.what.as_ref().unwrap_or(&list) {
        Pools::Basic(basic) => crud::basic(args, &KIND, basic),
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
