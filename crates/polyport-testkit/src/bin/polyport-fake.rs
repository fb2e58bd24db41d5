//! A fake provider as a program, for tests in other languages and with real clients.
//!
//! `polyport-fake --protocol chat|responses|messages|gemini [--port N] [--key KEY] [--script FILE.json] [--lenient] [--recordings]`
//! prints `{"address": …, "base_url": …}` on one line and answers until it is ended. Words in a model's name make it fail
//! (`chat-fail-429`, `chat-cut`, `chat-error`); `GET /fake/requests` and `/fake/violations` tell what arrived,
//! `POST /fake/script` adds steps. With `--recordings` the id of a recorded answer of this protocol is a model that gives this
//! answer, byte for byte.
#![allow(clippy::disallowed_methods, reason = "it is no part of the gateway")]

use std::io::Write;
use std::process::ExitCode;

use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::shared;
use polyport_types::Protocol;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("polyport-fake: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let (mut protocol, mut port, mut key, mut script) = (None, 0, None, None);
    let (mut lenient, mut recordings) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--protocol" => protocol = Some(value()?.parse::<Protocol>().map_err(|e| e.to_string())?),
            "--port" => port = value()?.parse().map_err(|e| format!("--port: {e}"))?,
            "--key" => key = Some(value()?),
            "--script" => script = Some(value()?),
            "--lenient" => lenient = true,
            "--recordings" => recordings = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    let protocol = protocol.ok_or("--protocol is needed")?;
    let mut builder = FakeProvider::builder(protocol).port(port);
    if let Some(key) = key {
        builder = builder.key(&key);
    }
    if lenient {
        builder = builder.lenient();
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let provider = builder.start().await;
        if let Some(path) = script {
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
            let script = serde_json::from_str(&text).map_err(|e| format!("{path}: {e}"))?;
            provider.load(&script).map_err(|e| format!("{path}: {e}"))?;
        }
        if recordings {
            let records = shared::all_records();
            for record in records.iter().filter(|record| record.wire() == protocol && record.is_good_generation()) {
                let response = &record.response;
                let step = response.sse.as_deref().map(Step::sse).or(response.body.as_deref().map(Step::json));
                provider.for_model(&record.id, step.ok_or_else(|| format!("{}: no answer", record.id))?);
            }
        }
        let line = serde_json::json!({ "address": provider.address(), "base_url": provider.base_url() });
        let mut out = std::io::stdout();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| e.to_string())?;
        std::future::pending::<Result<(), String>>().await
    })
}
