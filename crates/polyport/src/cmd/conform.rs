//! `polyport conform`: whether a gateway speaks its protocols as their clients expect.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::args::Args;
use crate::child::{self, Gateway};
use crate::conform::{self, Finding, Target, Upstream, Verdict, Way};
use crate::out;

/// A key of the gateway that this command starts.
const OWN_KEY: &str = "pp-conform";

/// Judge any gateway by the rules that clients of the four protocols depend on.
///
/// Providers of all four protocols are started on this machine, which do what each case needs; the gateway must send what it is asked
/// to one of them. It is asked in each protocol, streaming and not: text, tools, pictures, reasoning, usage, and everything that goes wrong.
/// Of each failure a recording is kept. Exit code 0: nothing failed, 1: something did.
#[derive(Debug, clap::Args)]
pub(crate) struct ConformArgs {
    /// Root address of the gateway
    #[arg(long, value_name = "URL", required_unless_present = "own", conflicts_with = "own")]
    target: Option<String>,
    /// Judge this very program: it is started with a configuration made for it
    #[arg(long = "self")]
    own: bool,
    /// A key of a client
    #[arg(long, value_name = "KEY", conflicts_with = "own")]
    key: Option<String>,
    /// The model to ask for, or `PROTOCOL=MODEL` for clients of one protocol; may be repeated [default: gpt-5]
    #[arg(long = "model", value_name = "MODEL", conflicts_with = "own")]
    models: Vec<String>,
    /// Address of the first provider, on 127.0.0.1; the others have the three ports after it [default: any free ports]
    #[arg(long, value_name = "ADDR")]
    upstream_listen: Option<SocketAddr>,
    /// A command that points the gateway at the providers: `UPSTREAM_CHAT`, `UPSTREAM_RESPONSES`, `UPSTREAM_MESSAGES` and
    /// `UPSTREAM_GEMINI` hold their addresses. Without it, and at a terminal, the command waits
    #[arg(long, value_name = "COMMAND", conflicts_with = "own")]
    setup_command: Option<String>,
    /// Folder for recordings of failures
    #[arg(long, value_name = "DIR", default_value = "conform-failures")]
    failures: PathBuf,
}

pub(crate) fn run(args: &Args, what: &ConformArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let findings = runtime.block_on(judged(args, what))?;
    let failed = findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Failed(_))).count();
    match args.json {
        true => out::json(&report(&findings)),
        false => show(&findings),
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn judged(args: &Args, what: &ConformArgs) -> Result<Vec<Finding>> {
    let port = match what.upstream_listen {
        None => 0,
        Some(address) if address.ip() == std::net::Ipv4Addr::LOCALHOST => address.port(),
        Some(address) => bail!("the providers listen on 127.0.0.1 only, not on {}", address.ip()),
    };
    let upstream = Upstream::start(port).await.context("the providers cannot be started")?;
    let mut gateway = None;
    let target = match &what.target {
        None => {
            let started = Gateway::start(&child::this_program()?, &conform::own_config(&upstream, OWN_KEY)).await?;
            let url = format!("http://{}", started.address());
            gateway = Some(started);
            Target { url, key: Some(OWN_KEY.to_owned()), ways: conform::own_ways() }
        }
        Some(url) => {
            let target = Target { url: url.clone(), key: what.key.clone(), ways: ways(&what.models)? };
            set_up(what, &upstream).await?;
            target
        }
    };
    let cases = out::progress(args, target.ways.len() * conform::cases(), "cases");
    let findings = conform::run(&target, &upstream, &what.failures, |_| cases.inc(1)).await;
    cases.finish_and_clear();
    drop(gateway);
    findings
}

/// The models, by the protocols they are asked for in.
fn ways(models: &[String]) -> Result<Vec<Way>> {
    let mut all = "gpt-5".to_owned();
    let mut some = BTreeMap::new();
    for model in models {
        match model.split_once('=').map(|(protocol, model)| (protocol.parse::<Protocol>(), model)) {
            Some((Ok(protocol), model)) => drop(some.insert(protocol, model.to_owned())),
            Some((Err(_), _)) => bail!("`{model}`: write PROTOCOL=MODEL with chat, responses, messages or gemini"),
            None => all.clone_from(model),
        }
    }
    let model = |client: ClientProtocol| some.get(&Protocol::from(client)).unwrap_or(&all).clone();
    Ok(ClientProtocol::ALL.map(|client| Way { client, model: model(client), apart: false }).into())
}

/// Has the gateway pointed at the providers.
async fn set_up(what: &ConformArgs, upstream: &Upstream) -> Result<()> {
    if let Some(line) = &what.setup_command {
        let mut command = tokio::process::Command::new(if cfg!(windows) { "cmd" } else { "sh" });
        command.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(line);
        for (protocol, url) in upstream.addresses() {
            command.env(format!("UPSTREAM_{}", protocol.as_str().to_uppercase()), url);
        }
        let status = command.stdout(std::process::Stdio::null()).status().await.context("the setup command")?;
        return if status.success() { Ok(()) } else { Err(anyhow!("the setup command failed: {status}")) };
    }
    out::error("the gateway must send what it is asked to one of these, with any key:");
    for (protocol, url) in upstream.addresses() {
        out::error(&format!("  {protocol:<9}  {url}"));
    }
    if std::io::stdin().is_terminal() {
        out::error("press Enter when it does");
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    }
    Ok(())
}

fn word(verdict: &Verdict) -> (&'static str, &str) {
    match verdict {
        Verdict::Passed => ("passed", ""),
        Verdict::Failed(reason) => ("failed", reason),
        Verdict::NotApplicable(reason) => ("not applicable", reason),
    }
}

fn count(findings: &[&Finding], word_of: &str) -> usize {
    findings.iter().filter(|finding| word(&finding.verdict).0 == word_of).count()
}

fn report(findings: &[Finding]) -> Value {
    let all: Vec<&Finding> = findings.iter().collect();
    let cases: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let (verdict, reason) = word(&finding.verdict);
            json!({
                "client": finding.client, "upstream": finding.upstream, "model": finding.model, "stream": finding.stream,
                "case": finding.case, "verdict": verdict, "reason": reason, "replay": finding.replay,
            })
        })
        .collect();
    json!({
        "passed": count(&all, "passed"), "failed": count(&all, "failed"), "not_applicable": count(&all, "not applicable"), "cases": cases,
    })
}

fn show(findings: &[Finding]) {
    let mut ways: Vec<(ClientProtocol, &str)> = Vec::new();
    for finding in findings {
        if !ways.contains(&(finding.client, &finding.model)) {
            ways.push((finding.client, &finding.model));
        }
    }
    let rows = ways.iter().map(|(client, model)| {
        let own: Vec<&Finding> = findings.iter().filter(|one| one.client == *client && one.model == *model).collect();
        let upstream =
            own.iter().find_map(|one| one.upstream).map_or_else(|| "-".to_owned(), |protocol| protocol.to_string());
        let number = |word: &str| count(&own, word).to_string();
        vec![
            client.to_string(),
            upstream,
            (*model).to_owned(),
            number("passed"),
            number("failed"),
            number("not applicable"),
        ]
    });
    out::table(&["client", "upstream", "model", "passed", "failed", "n/a"], rows.collect());
    let mut why: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in findings {
        let (verdict, reason) = word(&finding.verdict);
        match verdict {
            "failed" => {
                let way = finding.upstream.map_or_else(String::new, |upstream| format!(" to {upstream}"));
                let stream = if finding.stream { ", streamed" } else { "" };
                out::line(&format!("\nfailed: {}{way}{stream}: {}\n  {reason}", finding.client, finding.case));
                if let Some(replay) = &finding.replay {
                    out::line(&format!("  {}", replay.display()));
                }
            }
            "not applicable" => *why.entry((&finding.case, reason)).or_default() += 1,
            _ => {}
        }
    }
    if !why.is_empty() {
        out::line("");
    }
    for ((case, reason), times) in why {
        out::line(&format!("not applicable, {times} times: {case} ({reason})"));
    }
}
