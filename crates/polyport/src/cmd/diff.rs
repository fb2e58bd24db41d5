//! `polyport diff`: the requests of a recording, sent through two configurations or builds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::Request;
use polyport_recording::compare::{self, Difference};
use polyport_recording::matching::Hidden;
use polyport_recording::play::Found;
use polyport_recording::redact::REDACTED;
use polyport_recording::{Exchange, Pace, Player, Recording, Replay, Side};
use serde_json::{Value, json};

use super::replay::{self, open};
use crate::args::Args;
use crate::child::{self, Gateway};
use crate::out;

/// Send the requests of a recording again, with its providers replayed, and show what differs.
///
/// With two configurations these are compared; with one, what was recorded and what comes of it now. `--against` compares this program
/// with another build of it. Without a configuration, one is made of the recording. Ids and times are passed over. Exit code 0: nothing
/// differs, 1: something does.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A configuration; may be given twice
    #[arg(long, value_name = "CONFIG")]
    with: Vec<PathBuf>,
    /// Another build of Polyport
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
}

/// What is compared.
struct Way<'a> {
    name: String,
    /// `None` for what was recorded.
    run: Option<(PathBuf, Option<&'a Path>)>,
}

/// What came of a client's request.
#[derive(Default)]
struct Outcome {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    whole: bool,
    /// What the providers were asked for it.
    asked: Vec<Asked>,
}

struct Asked {
    provider: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

pub(crate) fn run(args: &Args, what: &DiffArgs) -> Result<ExitCode> {
    let recording = open(&what.file)?;
    let [a, b] = sides(what)?;
    let requests: Vec<&(usize, Arc<Exchange>)> =
        recording.exchanges.iter().filter(|(_, one)| one.side == Side::Client && one.body.is_some()).collect();
    if requests.is_empty() {
        bail!("{}: it holds no request of a client", what.file.display());
    }
    let hidden = Hidden::of(&recording);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (left, right) = runtime.block_on(async {
        let left = outcomes(&recording, &hidden, &requests, &a).await.with_context(|| a.name.clone())?;
        let right = outcomes(&recording, &hidden, &requests, &b).await.with_context(|| b.name.clone())?;
        anyhow::Ok((left, right))
    })?;
    let compared = requests.iter().zip(left.iter().zip(&right));
    let different: Vec<(usize, String, Vec<Difference>)> = compared
        .map(|((line, exchange), (left, right))| (*line, words(exchange, &hidden), differences(left, right)))
        .filter(|(.., differences)| !differences.is_empty())
        .collect();
    if args.json {
        let different: Vec<Value> = different
            .iter()
            .map(|(line, request, differences)| json!({ "line": line, "request": request, "differences": differences }))
            .collect();
        out::json(&json!({ "a": a.name, "b": b.name, "requests": requests.len(), "different": different }));
    } else {
        out::line(&format!("a: {}\nb: {}", a.name, b.name));
        for (line, request, differences) in &different {
            out::line(&format!("\nline {line}: {request}"));
            differences.iter().for_each(|one| out::line(&format!("  {one}")));
        }
        let number = out::count(requests.len(), "request");
        out::line(&match different.len() {
            0 => format!("{number}, nothing differs"),
            some => format!("\n{number}, {some} with differences"),
        });
    }
    Ok(if different.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn sides(what: &DiffArgs) -> Result<[Way<'_>; 2]> {
    let this = child::this_program()?;
    let made = || format!("a configuration made of {}", what.file.display());
    let name = |config: Option<&PathBuf>| config.map_or_else(made, |config| config.display().to_string());
    Ok(match (what.with.as_slice(), &what.against) {
        ([_, _, _, ..], _) => bail!("two configurations can be compared, not {}", what.with.len()),
        ([_, _], Some(_)) => bail!("give two configurations, or one and --against: not both"),
        ([a, b], None) => [side(this.clone(), Some(a), name(Some(a))), side(this, Some(b), name(Some(b)))],
        (rest, Some(other)) => {
            // The command runs in a folder of its own.
            let binary = other.canonicalize().with_context(|| other.display().to_string())?;
            let config = rest.first();
            let words = name(config);
            [
                side(this, config, format!("this program, {words}")),
                side(binary, config, format!("{}, {words}", other.display())),
            ]
        }
        (rest, None) => {
            let recorded = Way { name: format!("{} as recorded", what.file.display()), run: None };
            [recorded, side(this, rest.first(), name(rest.first()))]
        }
    })
}

fn side(binary: PathBuf, config: Option<&PathBuf>, name: String) -> Way<'_> {
    Way { name, run: Some((binary, config.map(PathBuf::as_path))) }
}

/// Sends all requests, one after the other.
async fn outcomes(
    recording: &Recording,
    hidden: &Hidden,
    requests: &[&(usize, Arc<Exchange>)],
    side: &Way<'_>,
) -> Result<Vec<Outcome>> {
    let Some((binary, config)) = &side.run else {
        return Ok(requests.iter().map(|(_, exchange)| recorded(recording, hidden, exchange)).collect());
    };
    let player = Player::new(recording, Pace::Fast, false).listening();
    let replay = Replay::start(player, ([127, 0, 0, 1], 0).into()).await?;
    let config = match config {
        Some(path) => pointed(path, recording, &replay)?,
        None => replay::config(recording, replay.address()),
    };
    let gateway = Gateway::start(binary, &alone(config)).await?;
    let client = child::client()?;
    let mut outcomes = Vec::with_capacity(requests.len());
    for (_, exchange) in requests {
        let url = format!("http://{}{}", gateway.address(), hidden.address(&exchange.target));
        let answer =
            child::ask(&client, &exchange.method, &url, &headers(exchange), exchange.body_bytes().into()).await;
        let mut outcome = match answer {
            Ok(answer) => Outcome {
                status: answer.status,
                whole: answer.whole,
                headers: answer.headers,
                body: answer.body.to_vec(),
                asked: Vec::new(),
            },
            Err(_) => Outcome::default(),
        };
        outcome.asked = replay.player().take_asked().iter().map(|request| asked(request, hidden)).collect();
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// What was recorded of a client's request.
fn recorded(recording: &Recording, hidden: &Hidden, client: &Exchange) -> Outcome {
    let of_it = recording.of(Side::Provider).filter(|one| one.id.is_some() && one.id == client.id);
    let asked = of_it.map(|one| Asked {
        provider: one.provider.clone(),
        method: one.method.clone(),
        target: hidden.address(&one.target),
        headers: one.headers.clone(),
        body: one.body_bytes(),
    });
    let asked = asked.collect();
    match &client.answer {
        Some(answer) => Outcome {
            status: answer.status,
            headers: answer.headers.clone(),
            body: answer.bytes(),
            whole: client.end == polyport_recording::End::Complete,
            asked,
        },
        None => Outcome { asked, ..Outcome::default() },
    }
}

fn asked(request: &Request<Bytes>, hidden: &Hidden) -> Asked {
    let found = request.extensions().get::<Found>();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Asked {
        provider: found.map(|found| found.provider.clone()).unwrap_or_default(),
        method: request.method().to_string(),
        target: hidden.address(request.uri().path_and_query().map_or("/", |whole| whole.as_str())),
        headers: request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body: request.body().to_vec(),
    }
}

/// What a client sent, without what belongs to its connection, or says how its body was compressed, and what was taken out.
fn headers(exchange: &Exchange) -> Vec<(String, String)> {
    const LEFT_OUT: [&str; 9] = [
        "content-encoding",
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "te",
        "expect",
        "idempotency-key",
    ];
    let kept =
        exchange.headers.iter().filter(|(name, value)| !LEFT_OUT.contains(&name.as_str()) && !value.contains(REDACTED));
    kept.cloned().collect()
}

fn differences(a: &Outcome, b: &Outcome) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |at: String, a: Value, b: Value| {
        if a != b {
            found.push(Difference { at, a, b });
        }
    };
    note("answer: status".to_owned(), a.status.into(), b.status.into());
    note("answer: whole".to_owned(), a.whole.into(), b.whole.into());
    note("provider requests".to_owned(), a.asked.len().into(), b.asked.len().into());
    for (number, (left, right)) in (1..).zip(a.asked.iter().zip(&b.asked)) {
        let at = |what: &str| format!("provider request {number}: {what}");
        note(at("provider"), left.provider.as_str().into(), right.provider.as_str().into());
        note(at("method"), left.method.as_str().into(), right.method.as_str().into());
        note(at("address"), left.target.as_str().into(), right.target.as_str().into());
    }
    let below = |what: String, all: Vec<Difference>| {
        all.into_iter().map(move |one| Difference { at: format!("{what}: {}", one.at), ..one })
    };
    for (number, (left, right)) in (1..).zip(a.asked.iter().zip(&b.asked)) {
        found.extend(below(format!("provider request {number}"), compare::headers(&left.headers, &right.headers)));
        found.extend(below(format!("provider request {number}"), compare::bodies(&left.body, &right.body)));
    }
    found.extend(below("answer".to_owned(), compare::headers(&a.headers, &b.headers)));
    found.extend(below("answer".to_owned(), compare::bodies(&a.body, &b.body)));
    found
}

/// A request in a few words.
fn words(exchange: &Exchange, hidden: &Hidden) -> String {
    let body: Value = serde_json::from_slice(&exchange.body_bytes()).unwrap_or_default();
    let model = body["model"].as_str().map(|model| format!(" ({model})")).unwrap_or_default();
    format!("{} {}{model}", exchange.method, hidden.address(&exchange.target))
}

/// The configuration of a file, with all its providers pointed at the replay, and without any secret.
fn pointed(path: &Path, recording: &Recording, replay: &Replay) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut config: Value = serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
    let providers = config.get_mut("providers").and_then(Value::as_object_mut);
    for (name, provider) in providers.into_iter().flatten() {
        let Some(provider) = provider.as_object_mut() else { continue };
        if provider.get("adapter").is_some_and(|adapter| adapter == "process") {
            continue;
        }
        let known = recording.of(Side::Provider).find(|one| one.provider == *name);
        let given = provider.get("base_url").and_then(Value::as_str).and_then(|url| url.parse::<http::Uri>().ok());
        let base = match (known, given) {
            (Some(known), _) => replay::base(known).to_owned(),
            (None, Some(given)) => given.path().trim_end_matches('/').to_owned(),
            (None, None) => String::new(),
        };
        provider.insert("base_url".to_owned(), replay::address(name, &base, replay.address()).into());
        provider.insert("keys".to_owned(), json!(["replayed"]));
        provider.insert("proxy".to_owned(), "none".into());
        provider.remove("oauth");
        provider.remove("server");
        for part in ["headers", "query"] {
            for (_, value) in provider.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten() {
                if value.as_str().is_some_and(|text| text.contains("env:") || text.contains("file:")) {
                    *value = "replayed".into();
                }
            }
        }
    }
    Ok(config)
}

/// What a gateway of its own needs beside providers and models: nothing that anybody else uses, and nobody who has to be known.
fn alone(mut config: Value) -> Value {
    if let Some(config) = config.as_object_mut() {
        for part in ["data", "store", "telemetry", "metrics", "log", "probes"] {
            config.remove(part);
        }
        if let Some(server) = config.get_mut("server").and_then(Value::as_object_mut) {
            server.retain(|name, _| matches!(name.as_str(), "stream_by_default" | "response_headers"));
        }
        config.insert("access".to_owned(), json!({ "open": true }));
        config.insert("discover".to_owned(), false.into());
    }
    config
}
