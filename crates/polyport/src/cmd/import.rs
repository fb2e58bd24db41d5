//! `polyport import`: moves in from another gateway.

mod gather;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args as ClapArgs;
use polyport_import::{Format, Grade, Plan};
use serde_json::{Value, json};

use crate::args::Args;
use crate::gateway::{self, Aim, Gateway, Refused};
use crate::out;
use settings::Settings;

/// Move in from another gateway
///
/// Reads its configuration files or its SQLite database, says what each value becomes here and what is left to do, and changes nothing. With
/// `--write` everything is made at once, or nothing. Known gateways: `polyport import --formats`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    /// Files, databases, or folders that hold them
    #[arg(value_name = "PATH", required_unless_present = "formats")]
    paths: Vec<PathBuf>,
    /// What it is, where its content does not tell
    #[arg(long = "as", value_name = "FORMAT")]
    format: Option<String>,
    /// Give keys and accounts to this provider, which is there already
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Make it all
    #[arg(long)]
    write: bool,
    /// List the gateways that are known
    #[arg(long)]
    formats: bool,
}

pub(crate) fn run(args: &Args, what: &ImportArgs) -> Result<ExitCode> {
    if what.formats {
        formats(args);
        return Ok(ExitCode::SUCCESS);
    }
    let format = match what.format.as_deref() {
        None => None,
        Some(word) => Some(Format::named(word).ok_or_else(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
            anyhow!("`{word}` is no format; known are {}", known.join(", "))
        })?),
    };
    let gathered = gather::all(&what.paths, format)?;
    let mut plan = polyport_import::read(&gathered, format)?;
    if let Some(provider) = &what.provider
        && !plan.only_for(provider)
    {
        bail!("--provider is for lists of keys and accounts; this has providers, pools or routes of its own");
    }
    let environment = crate::cmd::source(args).environment;
    let carried = plan.document(|name| environment.get(name).map(str::to_owned));
    let settings = Settings::of(args, &plan);
    if !what.write {
        show(args, &plan, &settings, &carried.missing, None)?;
        return Ok(ExitCode::SUCCESS);
    }
    let made = settings.make()?;
    let done = gateway::run(args, Aim::Change, async |gateway| post(gateway, &carried.document, made).await);
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            settings.take_back(made);
            return Err(error.context("nothing was imported"));
        }
    };
    show(args, &plan, &settings, &carried.missing, Some(&done))?;
    Ok(ExitCode::SUCCESS)
}

/// Posts all of it. A gateway that runs takes some moments to read settings that have just been written.
async fn post(gateway: &Gateway, document: &Value, fresh: bool) -> Result<Value> {
    let lists = document
        .as_object()
        .is_some_and(|lists| lists.values().any(|list| list.as_array().is_some_and(|list| !list.is_empty())));
    if !lists {
        return Ok(json!({ "created": 0, "exists": 0, "results": [] }));
    }
    let mut waits = if fresh && gateway.is_running() { 10 } else { 0 };
    loop {
        match gateway.post("import", document).await {
            Err(error)
                if waits > 0 && error.downcast_ref::<Refused>().is_some_and(|refused| refused.code() == "invalid") =>
            {
                waits -= 1;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            told => return told,
        }
    }
}

fn formats(args: &Args) {
    if args.json {
        let list = Format::ALL
            .iter()
            .map(|format| json!({ "format": format.as_str(), "title": format.title(), "known_by": format.signs() }));
        out::json(&json!({ "formats": list.collect::<Vec<_>>() }));
    } else if args.quiet {
        Format::ALL.iter().for_each(|format| out::line(format.as_str()));
    } else {
        let rows = Format::ALL
            .iter()
            .map(|format| vec![format.as_str().to_owned(), format.title().to_owned(), format.signs().replace('`', "")]);
        out::table(&["format", "gateway", "known by"], rows.collect());
    }
}

/// What was found, and what was or would be made of it.
fn show(
    args: &Args,
    plan: &Plan,
    settings: &Settings,
    missing: &[(String, String)],
    done: Option<&Value>,
) -> Result<()> {
    if args.json {
        let mut told = plan.shown();
        let missing: Vec<Value> =
            missing.iter().map(|(variable, of)| json!({ "variable": variable, "left_out": of })).collect();
        let counts: Vec<(String, Value)> =
            Grade::ALL.iter().map(|grade| (grade.as_str().to_owned(), plan.count(*grade).into())).collect();
        for (member, value) in [
            ("findings", plan.findings.iter().map(polyport_import::Finding::as_json).collect()),
            ("counts", Value::Object(counts.into_iter().collect())),
            ("missing", missing.into()),
            ("written", done.is_some().into()),
            ("created", done.map_or(Value::Null, |done| done["created"].clone())),
            ("exists", done.map_or(Value::Null, |done| done["exists"].clone())),
            ("settings_file", settings.told(done.is_some())),
        ] {
            told[member] = value;
        }
        out::json(&told);
        return Ok(());
    }
    if args.quiet {
        if done.is_none() {
            for (list, entries) in plan.lists() {
                entries.iter().for_each(|entry| out::line(&format!("{list}/{}", out::name(entry))));
            }
        }
        return Ok(());
    }
    people(plan, settings, missing, done).context("the report")
}

fn people(plan: &Plan, settings: &Settings, missing: &[(String, String)], done: Option<&Value>) -> Result<()> {
    out::line(&format!("This is the configuration of {} ({}).\n", plan.format.title(), plan.format));
    let mut order = Grade::ALL;
    order.reverse();
    // What there is to do goes first.
    order.sort_by_key(|grade| *grade != Grade::Manual);
    let mut rows = Vec::new();
    for grade in order {
        for finding in plan.findings.iter().filter(|finding| finding.grade == grade) {
            let place = match (finding.file.as_str(), finding.path.as_str()) {
                ("", "") => "(by itself)".to_owned(),
                ("", path) => path.to_owned(),
                (file, "") => file.to_owned(),
                (file, path) => format!("{file}: {path}"),
            };
            let times = if finding.count > 1 { finding.count.to_string() } else { String::new() };
            rows.push(vec![grade.as_str().to_owned(), times, place, finding.became.clone(), finding.note.clone()]);
        }
    }
    out::table(&["grade", "", "value", "becomes", "note"], rows);
    let counts: Vec<String> =
        Grade::ALL.iter().map(|grade| format!("{} {}", plan.count(*grade), grade.as_str())).collect();
    out::line(&format!("\n{}", counts.join(", ")));
    out::line(if done.is_some() { "\nMade:" } else { "\nWould be made:" });
    for (list, entries) in plan.lists().iter().filter(|(_, entries)| !entries.is_empty()) {
        const NAMED: usize = 8;
        let names: Vec<String> = entries.iter().map(out::name).filter(|name| !name.is_empty()).take(NAMED).collect();
        let more = if entries.len() > NAMED { ", …" } else { "" };
        out::line(&format!("  {list:<12} {:>5}  {}{more}", entries.len(), names.join(", ")));
    }
    settings.show(done.is_some())?;
    for (variable, of) in missing {
        out::line(&format!("Set {variable}: without its value {of} is left out."));
    }
    there_already(done);
    match done {
        Some(done) => out::line(&format!(
            "\n{} made, {} there already. See `polyport status`, and try a model with `polyport explain MODEL`.",
            done["created"], done["exists"]
        )),
        None => out::line("\nNothing was changed. Add `--write` to make it."),
    }
    Ok(())
}

/// Names what was not made because it is there: a key may also be one of the environment, which is not kept anywhere else.
fn there_already(done: Option<&Value>) {
    const NAMED: usize = 8;
    let results = done.and_then(|done| done["results"].as_array()).into_iter().flatten();
    let there: Vec<String> = results
        .filter(|one| one["result"] == "exists")
        .map(|one| format!("{} {}", out::cell(&one["list"]), out::name(one)))
        .collect();
    if !there.is_empty() {
        let more = if there.len() > NAMED { ", …" } else { "" };
        let named: Vec<&str> = there.iter().take(NAMED).map(String::as_str).collect();
        out::line(&format!("There already, or in the environment: {}{more}", named.join(", ")));
    }
}
