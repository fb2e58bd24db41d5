//! `polyport teams`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};

use super::crud::{self, Basic, Kind, List, Members};
use crate::args::Args;
use crate::gateway::{self, Aim};

static KIND: Kind = Kind {
    word: "team",
    list: "teams",
    command: "teams",
    called: None,
    columns: &[("name", "name"), ("enabled", "enabled"), ("users", "users"), ("keys", "keys"), ("id", "id")],
};

/// What to do with teams
#[derive(Debug, ClapArgs)]
pub(crate) struct TeamsArgs {
    #[command(subcommand)]
    what: Option<Teams>,
}

#[derive(Debug, Subcommand)]
enum Teams {
    #[command(flatten)]
    Basic(Basic),
    /// Make one
    #[command(visible_alias = "create")]
    Add(Add),
}

#[derive(Debug, ClapArgs)]
struct Add {
    /// Its name
    name: String,
    #[command(flatten)]
    members: Members,
}

pub(crate) fn run(args: &Args, what: &TeamsArgs) -> Result<ExitCode> {
    let list = Teams::Basic(Basic::List(List::default()));
    match what.what.as_ref().unwrap_or(&list) {
        Teams::Basic(basic) => crud::basic(args, &KIND, basic),
        Teams::Add(Add { name, members }) => {
            let mut body = members.read()?;
            body.insert("name".to_owned(), name.as_str().into());
            gateway::run(args, Aim::Change, async |gateway| {
                let made = gateway.post("teams", &body.clone().into()).await?;
                crud::done(args, &format!("team `{name}` is there"), &made);
                Ok(ExitCode::SUCCESS)
            })
        }
    }
}
