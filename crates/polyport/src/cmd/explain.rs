//! `polyport explain`: what would happen to a request, without asking anybody.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use polyport_protocol::Capabilities;
use polyport_server::explain::{Explanation, Question, Unexplained, explain};
use polyport_types::{ClientProtocol, Severity};
use serde_json::json;

use crate::args::{Args, ExplainArgs};
use crate::out;

pub(crate) fn run(args: &Args, what: &ExplainArgs) -> Result<ExitCode> {
    let config = super::load(args)?.config;
    let question = Question {
        model: what.model.as_str().into(),
        protocol: ClientProtocol::from(what.protocol),
        headers: what.headers.clone(),
        caller: what.caller.clone(),
        body: what.body.as_ref().map(|path| read(path)).transpose()?,
    };
    // The first request after a start; later ones take turns.
    match explain(&config, &polyport_server::fleet(&config), None, polyport_server::now(), &question) {
        Ok(explanation) if args.json => out::json(&serde_json::to_value(&explanation)?),
        Ok(explanation) => show(&explanation),
        Err(Unexplained::NoRoute(unknown)) if args.json => {
            out::json(&json!({ "model": what.model, "error": unknown.to_string() }));
            return Ok(ExitCode::FAILURE);
        }
        Err(Unexplained::NoRoute(unknown)) => {
            return Err(anyhow!("{unknown} (`polyport models` lists what there is)"));
        }
        Err(other) => return Err(other.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &std::path::Path) -> Result<Bytes> {
    let mut body = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut body).context("standard input")?;
    } else {
        body = std::fs::read(path).with_context(|| path.display().to_string())?;
    }
    Ok(body.into())
}

fn show(explained: &Explanation) {
    let Explanation { model, protocol, rule, attempts, excluded, capabilities, quirks, request, .. } = explained;
    out::line(&format!("{model} asked for by a {protocol} client: {rule}\n"));
    let rows: Vec<Vec<String>> = attempts
        .iter()
        .zip(1..)
        .map(|(step, number)| {
            vec![
                number.to_string(),
                format!("{}/{}", step.provider, step.model),
                step.key.to_string(),
                format!("{}, {}", step.protocol, step.way),
                step.address.clone(),
            ]
        })
        .collect();
    if rows.is_empty() {
        out::line("No target can be tried.");
    } else {
        out::table(&["try", "target", "key", "protocol", "address"], rows);
    }
    for left in excluded {
        out::line(&format!("left out: {}/{}, {} ({})", left.provider, left.model, left.key, left.why));
    }
    if let (Some(capabilities), Some(quirks)) = (capabilities, quirks) {
        out::line(&format!("\nabilities: {}", abilities(capabilities)));
        out::line(&format!("quirks: {}", if quirks.is_empty() { "none" } else { quirks }));
    }
    if let Some(request) = request {
        out::line(&format!("\nabout {} tokens", request.input_tokens));
        if request.unchanged {
            out::line("body: as sent, with the model's name replaced");
            return;
        }
        match request.losses.as_slice() {
            [] => out::line("lost: nothing"),
            losses => losses.iter().for_each(|loss| out::line(&format!("{}: {loss}", severity(loss.severity)))),
        }
        out::line(&format!("\n{:#}", request.body));
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warn => "lost",
        Severity::Error => "refused",
    }
}

/// What matters most, in one line.
fn abilities(of: &Capabilities) -> String {
    let mut words = Vec::new();
    if let Some(context) = of.context {
        words.push(format!("context {context}"));
    }
    if let Some(output) = of.max_output {
        words.push(format!("output {output}"));
    }
    if of.reasoning {
        let efforts: Vec<&str> = of.efforts.iter().map(|effort| effort.as_str()).collect();
        let efforts = if efforts.is_empty() { String::new() } else { format!(" ({})", efforts.join(" ")) };
        words.push(format!("reasoning{efforts}"));
    }
    for (name, has) in [
        ("temperature", of.temperature),
        ("tools", of.tools),
        ("structured output", of.structured_output),
        ("images", of.images),
        ("documents", of.documents),
        ("audio", of.audio),
        ("video", of.video),
    ] {
        words.push(if has { name.to_owned() } else { format!("no {name}") });
    }
    words.join(", ")
}
