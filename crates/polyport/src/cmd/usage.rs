//! `polyport usage`, `quotas` and `stats`: sums, and what is left of limits.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::crud::{self, Kind, List};
use super::{credentials, logs};
use crate::args::Args;
use crate::gateway::{self, Aim, Query};
use crate::out;

static QUOTAS: Kind = Kind {
    word: "quota",
    list: "quotas",
    command: "quotas",
    called: None,
    columns: &[
        ("of", "of.kind"),
        ("whose", "of"),
        ("models", "models"),
        ("what", "what"),
        ("window", "window"),
        ("limit", "amount"),
        ("left", "left"),
        ("resets", "resets_at"),
    ],
};

/// Which sums
#[derive(Debug, ClapArgs)]
pub(crate) struct UsageArgs {
    /// What is told apart: some of key, user, team, model, provider, credential, with commas
    #[arg(long, value_name = "WHAT")]
    by: Option<String>,
    /// Whose sums: minute, hour, day, month [default: day]
    #[arg(long)]
    period: Option<String>,
    /// Not before this time: RFC 3339, or from now back such as 7d
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// A row for each period
    #[arg(long)]
    series: bool,
    /// The greatest first: requests, failed, tokens, output, cost
    #[arg(long)]
    sort: Option<String>,
    /// Only so many rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Another parameter of the admin API, such as `model=gpt-5`; may be repeated
    #[arg(long = "where", value_name = "NAME=VALUE", value_parser = crud::pair)]
    filters: Vec<(String, String)>,
}

/// Which figures
#[derive(Debug, ClapArgs)]
pub(crate) struct StatsArgs {
    #[command(subcommand)]
    what: Stats,
}

#[derive(Debug, Subcommand)]
enum Stats {
    /// Requests, how many of them succeeded, tokens and cost, by provider
    Requests(Requests),
    /// Requests and success by key of a provider
    Keys,
}

#[derive(Debug, ClapArgs)]
struct Requests {
    /// Not before this time: RFC 3339, or from now back such as 7d [default: 30d]
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
}

pub(crate) fn run(args: &Args, what: &UsageArgs) -> Result<ExitCode> {
    let time = |given: &Option<String>| given.as_deref().map(logs::moment).transpose();
    let mut query = Query::default()
        .with_some("by", what.by.as_ref())
        .with_some("period", what.period.as_ref())
        .with_some("from", time(&what.since)?.as_ref())
        .with_some("to", time(&what.until)?.as_ref())
        .with_some("series", what.series.then_some(&true))
        .with_some("sort", what.sort.as_ref())
        .with_some("limit", what.limit.as_ref());
    for (name, value) in &what.filters {
        query = query.with(name, value);
    }
    gateway::run(args, Aim::Look, async |gateway| {
        let told = gateway.get(&query.on("usage")).await?;
        show(args, &told);
        Ok(ExitCode::SUCCESS)
    })
}

/// `polyport quotas`.
pub(crate) fn quotas(args: &Args, which: &List) -> Result<ExitCode> {
    gateway::run(args, Aim::Look, async |gateway| {
        crud::list(args, gateway, &QUOTAS, which).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `polyport stats`.
pub(crate) fn stats(args: &Args, what: &StatsArgs) -> Result<ExitCode> {
    match &what.what {
        Stats::Requests(Requests { since }) => {
            let from = logs::moment(since.as_deref().unwrap_or("30d"))?;
            let query = Query::default().with("by", &"provider").with("from", &from).with("sort", &"requests");
            gateway::run(args, Aim::Look, async |gateway| {
                let told = gateway.get(&query.on("usage")).await?;
                show(args, &told);
                Ok(ExitCode::SUCCESS)
            })
        }
        Stats::Keys => gateway::run(args, Aim::Look, async |gateway| {
            crud::list(args, gateway, &credentials::KIND, &List::default()).await?;
            Ok(ExitCode::SUCCESS)
        }),
    }
}

fn show(args: &Args, told: &Value) {
    if args.json {
        out::json(told);
        return;
    }
    let rows = told["rows"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() {
        if !args.quiet {
            out::line("nothing was used");
        }
        return;
    }
    // Columns that are empty everywhere tell nothing.
    let mut columns: Vec<String> = Vec::new();
    for row in &rows {
        for (name, value) in row.as_object().into_iter().flatten() {
            let says =
                !value.is_null() && *value != json!({}) && *value != json!(0) || name == "requests" || name == "failed";
            if says && !columns.contains(name) {
                columns.push(name.clone());
            }
        }
    }
    let heads: Vec<&str> = columns.iter().map(String::as_str).collect();
    out::table(&heads, rows.iter().map(|row| columns.iter().map(|name| out::cell_at(row, name)).collect()).collect());
}
