//! `polyport settings`: what is set, who says so, and changing what the database says.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::crud::{self, Kind, Members, assignment};
use crate::args::Args;
use crate::gateway::{self, Aim};
use crate::out;

static KIND: Kind = Kind {
    word: "setting",
    list: "settings",
    command: "settings",
    called: None,
    columns: &[("setting", "path"), ("value", "value"), ("of", "owner"), ("default", "default")],
};

/// What to do with settings
#[derive(Debug, ClapArgs)]
pub(crate) struct SettingsArgs {
    #[command(subcommand)]
    what: Option<Settings>,
}

#[derive(Debug, Subcommand)]
enum Settings {
    /// List what is set, and who says so
    List(Which),
    /// Change settings in the database; what the configuration file says wins over them
    Set(Change),
    /// Show the configuration file as it is written, without secrets
    Configuration,
}

/// Which of them
#[derive(Debug, Default, ClapArgs)]
struct Which {
    /// Only those with this in their path
    #[arg(value_name = "TEXT")]
    search: Option<String>,
    /// Those as well that nobody says anything of
    #[arg(long)]
    all: bool,
}

/// What to change
#[derive(Debug, ClapArgs)]
struct Change {
    /// A setting in the words of the configuration file, such as `limits.requests=500`; `null` takes away what the database says
    #[arg(value_name = "PATH=VALUE", value_parser = assignment)]
    set: Vec<(String, Value)>,
    /// A file of settings in YAML or JSON (`-` is standard input)
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, what: &SettingsArgs) -> Result<ExitCode> {
    match what.what.as_ref().unwrap_or(&Settings::List(Which::default())) {
        Settings::List(which) => list(args, which),
        Settings::Set(change) => set(args, change),
        Settings::Configuration => configuration(args),
    }
}

fn list(args: &Args, which: &Which) -> Result<ExitCode> {
    gateway::run(args, Aim::Look, async |gateway| {
        let mut told = gateway.get("settings").await?;
        if let Some(settings) = told["settings"].as_array_mut() {
            settings.retain(|one| {
                let found =
                    which.search.as_deref().is_none_or(|text| one["path"].as_str().unwrap_or_default().contains(text));
                found && (which.all || which.search.is_some() || one["owner"] != "default")
            });
        }
        if args.json {
            out::json(&told);
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<Value> = told["settings"].as_array().cloned().unwrap_or_default();
        if args.quiet {
            rows.iter().filter_map(|row| row["path"].as_str()).for_each(out::line);
        } else {
            crud::table(args, &KIND, &rows);
        }
        for problem in told["problems"].as_array().into_iter().flatten() {
            let text = |member: &str| problem[member].as_str().unwrap_or_default().to_owned();
            out::error(&format!("{} is not in force: {}; {}", text("path"), text("message"), text("remedy")));
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn set(args: &Args, change: &Change) -> Result<ExitCode> {
    let patch = Members { set: change.set.clone(), from: change.from.clone() }.read()?;
    if patch.is_empty() {
        bail!("nothing to change: give PATH=VALUE, such as `limits.requests=500`, or `--from FILE`");
    }
    gateway::run(args, Aim::Change, async |gateway| {
        let told = gateway.call(Method::PATCH, "settings", Some(&patch.into())).await?;
        let revision = told["revision"].clone();
        crud::done(args, "the settings are changed", &json!({ "revision": revision }));
        Ok(ExitCode::SUCCESS)
    })
}

fn configuration(args: &Args) -> Result<ExitCode> {
    gateway::run(args, Aim::Look, async |gateway| {
        let told = gateway.get("configuration").await?;
        if args.json {
            out::json(&told);
            return Ok(ExitCode::SUCCESS);
        }
        match told["text"].as_str() {
            Some(text) => out::line(text.trim_end()),
            None => out::error(told["reason"].as_str().unwrap_or_default()),
        }
        for problem in told["problems"].as_array().into_iter().flatten() {
            let text = |member: &str| problem[member].as_str().unwrap_or_default().to_owned();
            out::error(&format!("not in use: {}: {}; {}", text("place"), text("message"), text("remedy")));
        }
        Ok(ExitCode::from(u8::from(told["text"].is_null())))
    })
}
