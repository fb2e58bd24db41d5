//! Lists that are only looked at: `polyport audit`, `prices`, `problems`.

use std::process::ExitCode;

use anyhow::Result;

use super::crud::{self, Kind, List};
use crate::args::Args;
use crate::gateway::{self, Aim};

/// What was done at the admin API.
pub(crate) static AUDIT: Kind = Kind {
    word: "entry",
    list: "audit",
    command: "audit",
    called: None,
    columns: &[
        ("at", "at"),
        ("actor", "actor.name"),
        ("by", "actor.kind"),
        ("action", "action"),
        ("object", "object"),
        ("status", "status"),
        ("address", "address"),
    ],
};

/// What models cost.
pub(crate) static PRICES: Kind = Kind {
    word: "price",
    list: "prices",
    command: "prices",
    called: None,
    columns: &[
        ("provider", "provider"),
        ("model", "model"),
        ("currency", "currency"),
        ("rates", "sections"),
        ("date", "date"),
    ],
};

/// What the database declares and is not in force.
pub(crate) static PROBLEMS: Kind = Kind {
    word: "problem",
    list: "problems",
    command: "problems",
    called: None,
    columns: &[("kind", "kind"), ("name", "name"), ("path", "path"), ("message", "message"), ("remedy", "remedy")],
};

pub(crate) fn run(args: &Args, kind: &Kind, which: &List) -> Result<ExitCode> {
    gateway::run(args, Aim::Look, async |gateway| {
        crud::list(args, gateway, kind, which).await?;
        Ok(ExitCode::SUCCESS)
    })
}
