//! `polyport usage`, `quotas` and `stats`: sums, and what is left of limits.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::crud::{self, Kind, List};
use super::{credentials, logs};
use crate::args::Args;
use crate::gateway::{self, Aim, Gateway, Query};
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
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct UsageArgs {
    #[command(subcommand)]
    what: Option<Usage>,
    #[command(flatten)]
    sums: Sums,
}

#[derive(Debug, Subcommand)]
enum Usage {
    /// Figures over time, without gaps: requests, errors, tokens, cost, latency
    Overview(Overview),
    /// Each second as it ends, until it is stopped
    Live,
}

/// Which time, and whose figures
#[derive(Debug, ClapArgs)]
struct Overview {
    /// Not before this time: RFC 3339, or from now back such as 7d [default: 24h]
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// What a row is of: minute, hour, day [default: the shortest with at most 750 rows]
    #[arg(long)]
    step: Option<String>,
    /// Only those that asked for this model
    #[arg(long)]
    model: Option<String>,
    /// Only those of this provider
    #[arg(long)]
    provider: Option<String>,
    /// Another parameter of the admin API, such as `team=ID`; may be repeated
    #[arg(long = "where", value_name = "NAME=VALUE", value_parser = crud::pair)]
    filters: Vec<(String, String)>,
}

#[derive(Debug, ClapArgs)]
struct Sums {
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
    match &what.what {
        None => sums(args, &what.sums),
        Some(Usage::Overview(which)) => overview(args, which),
        Some(Usage::Live) => gateway::run(args, Aim::Look, async |gateway| {
            live(args, gateway).await?;
            Ok(ExitCode::SUCCESS)
        }),
    }
}

/// Figures that tell something at a glance.
const FIGURES: [(&str, &str); 12] = [
    ("requests", "requests"),
    ("failed", "failed"),
    ("error_rate", "error_rate"),
    ("input", "input"),
    ("cache_read", "cache_read"),
    ("output", "output"),
    ("reasoning", "reasoning"),
    ("cost", "cost"),
    ("cache_hit_rate", "cache_hit_rate"),
    ("p50_ms", "latency_ms.p50"),
    ("p95_ms", "latency_ms.p95"),
    ("first_p95_ms", "first_token_ms.p95"),
];

fn overview(args: &Args, which: &Overview) -> Result<ExitCode> {
    let time = |given: &Option<String>| given.as_deref().map(logs::moment).transpose();
    let mut query = Query::default()
        .with_some("from", time(&which.since)?.as_ref())
        .with_some("to", time(&which.until)?.as_ref())
        .with_some("step", which.step.as_ref())
        .with_some("model", which.model.as_ref())
        .with_some("provider", which.provider.as_ref());
    for (name, value) in &which.filters {
        query = query.with(name, value);
    }
    gateway::run(args, Aim::Look, async |gateway| {
        let told = gateway.get(&query.on("overview")).await?;
        if args.json {
            out::json(&told);
            return Ok(ExitCode::SUCCESS);
        }
        let row = |starts: String, row: &Value| {
            std::iter::once(starts).chain(FIGURES.iter().map(|(_, path)| out::cell_at(row, path))).collect()
        };
        let mut heads = vec!["starts"];
        heads.extend(FIGURES.map(|(head, _)| head));
        let series = told["series"].as_array().into_iter().flatten();
        // Those without requests say nothing here; plots need them.
        let busy = series.filter(|one| one["requests"] != 0);
        let mut rows: Vec<Vec<String>> = busy.map(|one| row(out::cell(&one["starts"]), one)).collect();
        rows.push(row("all of it".to_owned(), &told["total"]));
        out::table(&heads, rows);
        Ok(ExitCode::SUCCESS)
    })
}

async fn live(args: &Args, gateway: &Gateway) -> Result<()> {
    if !gateway.is_running() {
        bail!("no gateway runs here, so there is nothing to look at; `polyport usage overview` shows what was");
    }
    logs::events(gateway, "overview/live", |event, data| {
        if args.json {
            out::line(&json!({ event: data }).to_string());
        } else if event == "second" {
            out::line(&pulse(data));
        }
    })
    .await
}

/// A second as a line.
fn pulse(second: &Value) -> String {
    let told = ["requests", "failed", "in_flight", "input", "output", "cost"].map(|name| (name, &second[name]));
    let times = [("p50_ms", &second["latency_ms"]["p50"]), ("p95_ms", &second["latency_ms"]["p95"])];
    let cells = told.into_iter().chain(times).map(|(name, value)| (name, out::cell(value)));
    let cells = cells.filter(|(_, cell)| !cell.is_empty()).map(|(name, cell)| format!("{name} {cell}"));
    std::iter::once(out::cell(&second["at"])).chain(cells).collect::<Vec<_>>().join("  ")
}

fn sums(args: &Args, what: &Sums) -> Result<ExitCode> {
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
