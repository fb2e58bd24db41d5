//! `polyport logs` and `polyport ledger`: requests that were made, and what they used.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::crud::{self, Kind, One};
use crate::args::Args;
use crate::gateway::{self, Aim, Gateway, Query};
use crate::out;

static REQUESTS: Kind = Kind {
    word: "request",
    list: "requests",
    command: "logs",
    called: None,
    columns: &[
        ("at", "at"),
        ("id", "id"),
        ("model", "model"),
        ("protocol", "protocol"),
        ("status", "status"),
        ("outcome", "outcome"),
        ("ms", "duration_ms"),
        ("tokens", "tokens"),
        ("cost", "cost"),
        ("key", "key"),
    ],
};

static LEDGER: Kind = Kind {
    word: "entry",
    list: "ledger",
    command: "ledger",
    called: None,
    columns: &[
        ("at", "at"),
        ("request", "request"),
        ("provider", "provider"),
        ("model", "model"),
        ("state", "state"),
        ("ended", "ended"),
        ("cost", "cost"),
        ("key", "key"),
    ],
};

/// Rows of a list where nobody says how many.
const ROWS: usize = 50;

/// What to do with the log of requests
#[derive(Debug, ClapArgs)]
pub(crate) struct LogsArgs {
    #[command(subcommand)]
    what: Option<Logs>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Logs {
    /// List requests, the newest first (the default)
    List(Which),
    /// Show one with every attempt, and what was said if that is kept
    Show(One),
    /// Write all that are looked for into a file, the oldest first
    Export(Export),
    /// Show requests as they end, until it is stopped
    #[command(visible_alias = "tail")]
    Follow(Filter),
}

/// Which requests
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Which {
    /// At most so many [default: 50]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only those with this text in model, error or a name
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    filter: Filter,
}

/// Which requests
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Filter {
    /// Only those that went wrong
    #[arg(long)]
    failed: bool,
    /// Only those that asked for this model
    #[arg(long)]
    model: Option<String>,
    /// Only those of this provider
    #[arg(long)]
    provider: Option<String>,
    /// Only those with this status, such as 429 or 5xx
    #[arg(long)]
    status: Option<String>,
    /// Not before this time: RFC 3339, or from now back such as 2h, 7d
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Another parameter of the admin API, such as `outcome=client_gone`; may be repeated
    #[arg(long = "where", value_name = "NAME=VALUE", value_parser = crud::pair)]
    more: Vec<(String, String)>,
}

#[derive(Debug, ClapArgs)]
struct Export {
    /// The new file; nothing for standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// How it is written
    #[arg(long, default_value = "jsonl", value_parser = ["jsonl", "csv"])]
    format: String,
    #[command(flatten)]
    filter: Filter,
}

impl Filter {
    fn query(&self) -> Result<Query> {
        let time = |given: &Option<String>| given.as_deref().map(moment).transpose();
        let mut query = Query::default()
            .with_some("failed", self.failed.then_some(&true))
            .with_some("model", self.model.as_ref())
            .with_some("provider", self.provider.as_ref())
            .with_some("status", self.status.as_ref())
            .with_some("from", time(&self.since)?.as_ref())
            .with_some("to", time(&self.until)?.as_ref());
        for (name, value) in &self.more {
            query = query.with(name, value);
        }
        Ok(query)
    }
}

/// A time, or how long ago it was.
pub(crate) fn moment(given: &str) -> Result<i64> {
    let now = jiff::Timestamp::now().as_millisecond();
    let plain = given.trim().parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
    match plain {
        Ok(at) => Ok(at),
        Err(_) => {
            let ahead = super::keys::ends(given).with_context(|| format!("`{given}` is no time"))?;
            Ok(now - (ahead - now))
        }
    }
}

pub(crate) fn run(args: &Args, what: &LogsArgs) -> Result<ExitCode> {
    let list = Logs::List(what.which.clone());
    match what.what.as_ref().unwrap_or(&list) {
        Logs::List(which) => rows(args, &REQUESTS, which),
        Logs::Show(One { name }) => gateway::run(args, Aim::Look, async |gateway| {
            let shown = REQUESTS.hint(gateway.get(&REQUESTS.path(name)).await)?;
            if args.json || args.quiet {
                crud::one(args, &shown);
                return Ok(ExitCode::SUCCESS);
            }
            let mut head = shown.clone();
            if let Value::Object(members) = &mut head {
                members.remove("attempts");
                members.remove("payload");
            }
            out::members(&head, false);
            attempts(&shown);
            for (name, said) in shown["payload"].as_object().into_iter().flatten() {
                out::line(&format!("\n{name}:\n{}", out::cell(said)));
            }
            Ok(ExitCode::SUCCESS)
        }),
        Logs::Export(what) => gateway::run(args, Aim::Look, async |gateway| {
            export(args, gateway, what).await?;
            Ok(ExitCode::SUCCESS)
        }),
        Logs::Follow(filter) => gateway::run(args, Aim::Look, async |gateway| {
            follow(args, gateway, filter).await?;
            Ok(ExitCode::SUCCESS)
        }),
    }
}

/// `polyport ledger`.
pub(crate) fn ledger(args: &Args, which: &Which) -> Result<ExitCode> {
    rows(args, &LEDGER, which)
}

fn rows(args: &Args, kind: &Kind, which: &Which) -> Result<ExitCode> {
    let query = which.filter.query()?.with_some("q", which.search.as_ref());
    gateway::run(args, Aim::Look, async |gateway| {
        let rows = gateway.list(kind.list, &query, Some(which.limit.unwrap_or(ROWS))).await?;
        crud::table(args, kind, &rows);
        Ok(ExitCode::SUCCESS)
    })
}

fn attempts(request: &Value) {
    let attempts = request["attempts"].as_array().cloned().unwrap_or_default();
    if attempts.is_empty() {
        return;
    }
    out::line("");
    let columns =
        ["n", "provider", "model", "credential", "status", "outcome", "first_token_ms", "duration_ms", "error"];
    let row = |one: &Value| columns.iter().map(|member| out::cell(&one[*member])).collect();
    out::table(&columns, attempts.iter().map(row).collect());
}

async fn export(args: &Args, gateway: &Gateway, what: &Export) -> Result<()> {
    let query = what.filter.query()?.with("format", &what.format);
    let mut answer = gateway.stream(&query.on("requests/export")).await?;
    let Some(path) = &what.to else {
        let mut stdout = std::io::stdout().lock();
        while let Some(bytes) = answer.chunk().await? {
            // A closed pipe wants no more.
            if stdout.write_all(&bytes).is_err() {
                break;
            }
        }
        return Ok(());
    };
    let mut file = out::new_file(path)?;
    let progress = out::spinner(args, "bytes");
    let (mut bytes, mut lines) = (0_u64, 0_usize);
    let copied: Result<()> = async {
        while let Some(chunk) = answer.chunk().await? {
            lines += chunk.iter().filter(|byte| **byte == b'\n').count();
            bytes += chunk.len() as u64;
            file.write_all(&chunk).with_context(|| path.display().to_string())?;
            progress.set_position(bytes);
        }
        file.sync_all().with_context(|| path.display().to_string())
    }
    .await;
    progress.finish_and_clear();
    if let Err(error) = copied {
        remove(path);
        return Err(error.context("the export is not whole, and was removed"));
    }
    let rows = if what.format == "csv" { lines.saturating_sub(1) } else { lines };
    crud::done(args, &format!("{rows} requests are in {}", path.display()), &json!({ "file": path, "requests": rows }));
    Ok(())
}

fn remove(path: &Path) {
    std::fs::remove_file(path).ok();
}

/// Server-sent events, one for each request.
async fn follow(args: &Args, gateway: &Gateway, filter: &Filter) -> Result<()> {
    if !gateway.is_running() {
        bail!(
            "no gateway runs here, so there is nothing to follow; `polyport serve` starts one, `polyport logs` shows what was"
        );
    }
    let query = filter.query()?;
    events(gateway, &query.on("requests/live"), |event, request| {
        if event == "request" {
            one_line(args, request);
        }
    })
    .await
}

/// Server-sent events with their data, until it is stopped.
pub(crate) async fn events(gateway: &Gateway, path: &str, mut each: impl FnMut(&str, &Value)) -> Result<()> {
    loop {
        let mut answer = gateway.stream(path).await?;
        let (mut held, mut event): (Vec<u8>, String) = Default::default();
        while let Some(bytes) = answer.chunk().await? {
            held.extend_from_slice(&bytes);
            while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = held.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                match line.trim_end().split_once(':') {
                    Some(("event", name)) => name.trim().clone_into(&mut event),
                    Some(("data", data)) => {
                        if let Ok(data) = serde_json::from_str(data.trim()) {
                            each(&event, &data);
                        }
                    }
                    _ => {}
                }
            }
        }
        // The gateway ends it from time to time; readers come again.
    }
}

fn one_line(args: &Args, request: &Value) {
    if args.json {
        out::line(&request.to_string());
    } else if args.quiet {
        out::line(&out::name(request));
    } else {
        let cells = REQUESTS.columns.iter().map(|(_, path)| out::cell_at(request, path));
        out::line(&cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("  "));
    }
}
