//! `polyport models`: the names that clients may ask for.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::crud::{self, Kind, List};
use crate::args::Args;
use crate::gateway::{self, Aim};
use crate::out;

static KIND: Kind = Kind {
    word: "model",
    list: "models",
    command: "models",
    called: None,
    columns: &[("model", "name"), ("kind", "kind"), ("targets", "leads_to")],
};

/// What to do with the names that clients may ask for
#[derive(Debug, ClapArgs)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    what: Option<Models>,
}

#[derive(Debug, Subcommand)]
enum Models {
    /// List the models clients may ask for
    List(List),
    /// Let clients ask for a model by another name: a pool with one target
    #[command(visible_alias = "add")]
    Create(Create),
}

#[derive(Debug, ClapArgs)]
struct Create {
    /// What clients ask for
    #[arg(long, value_name = "NAME")]
    route_key: String,
    /// The provider's name of the model
    #[arg(long, value_name = "MODEL")]
    target_model: String,
    /// The provider
    #[arg(long, value_name = "PROVIDER")]
    provider: String,
}

pub(crate) fn run(args: &Args, what: &ModelsArgs) -> Result<ExitCode> {
    let list = Models::List(List::default());
    match what.what.as_ref().unwrap_or(&list) {
        Models::List(which) => gateway::run(args, Aim::Look, async |gateway| {
            let mut rows = crud::rows(gateway, &KIND, which).await?;
            if !args.json {
                rows.iter_mut().for_each(|row| row["leads_to"] = leads_to(row).into());
            }
            crud::table(args, &KIND, &rows);
            Ok(ExitCode::SUCCESS)
        }),
        Models::Create(Create { route_key, target_model, provider }) => {
            let target = format!("{provider}/{target_model}");
            gateway::run(args, Aim::Change, async |gateway| {
                let made = gateway.post("pools", &json!({ "name": route_key, "targets": [target] })).await?;
                crud::done(args, &format!("`{route_key}` leads to {target}"), &made);
                Ok(ExitCode::SUCCESS)
            })
        }
    }
}

/// The targets of a name in the order in which they are tried.
fn leads_to(model: &Value) -> String {
    let (mut told, mut last) = (String::new(), None);
    for target in model["targets"].as_array().into_iter().flatten() {
        let priority = target["priority"].as_u64();
        if last.is_some() {
            told.push_str(if last == Some(priority) { ", " } else { ", then " });
        }
        told.push_str(&out::cell(target));
        last = Some(priority);
    }
    told
}
