//! `polyport explain`: what would happen to a request, without asking anybody.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args as ClapArgs, ValueEnum};
use serde_json::{Map, Value, json};

use super::crud;
use crate::args::Args;
use crate::gateway::{self, Aim, Refused, object};
use crate::out;

/// What would be asked
#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainArgs {
    /// The model a client asks for
    model: String,
    /// The protocol the client speaks
    #[arg(long, value_enum, default_value_t = ProtocolArg::Chat)]
    protocol: ProtocolArg,
    /// A request of that protocol (`-` is standard input): shows what the first target would get and what would be lost
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Gemini: the answer streams, which clients say in the address
    #[arg(long)]
    stream: bool,
    /// A header of the client, which routes may look at; may be repeated
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = crate::args::header)]
    headers: Vec<(String, String)>,
    /// The name of the client's key, which routes may look at
    #[arg(long, value_name = "KEYNAME", default_value = "")]
    caller: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProtocolArg {
    Chat,
    Responses,
    Messages,
    Gemini,
}

pub(crate) fn run(args: &Args, what: &ExplainArgs) -> Result<ExitCode> {
    let body = match &what.body {
        None => None,
        Some(path) => {
            let read: Value = serde_json::from_str(&crud::text_of(path)?)
                .with_context(|| format!("{}: this is no JSON", path.display()))?;
            Some(read)
        }
    };
    let protocol = what.protocol.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let headers: Map<String, Value> =
        what.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let question = object([
        ("model", Some(what.model.as_str().into())),
        ("protocol", Some(protocol.into())),
        ("headers", Some(headers.into())),
        ("caller", Some(what.caller.as_str().into())),
        ("body", body),
        ("stream", what.stream.then_some(true.into())),
    ]);
    gateway::run(args, Aim::Look, async |gateway| {
        match gateway.post("explain", &question.clone().into()).await {
            Ok(explained) if args.json => out::json(&explained),
            Ok(explained) => show(&explained),
            Err(error) => match error.downcast::<Refused>() {
                Ok(refused) if refused.status == http::StatusCode::NOT_FOUND && args.json => {
                    out::json(&json!({ "model": what.model, "error": refused.to_string() }));
                    return Ok(ExitCode::FAILURE);
                }
                Ok(refused) if refused.status == http::StatusCode::NOT_FOUND => {
                    return Err(anyhow!("{refused} (`polyport models` lists what there is)"));
                }
                Ok(refused) => return Err(refused.into()),
                Err(other) => return Err(other),
            },
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn show(explained: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |member: &str| explained[member].as_array().cloned().unwrap_or_default();
    let [model, protocol, rule] = ["model", "protocol", "rule"].map(|member| text(&explained[member]));
    out::line(&format!("{model} asked for by a {protocol} client: {rule}\n"));
    let rows: Vec<Vec<String>> = list("attempts")
        .iter()
        .zip(1..)
        .map(|(step, number)| {
            vec![
                number.to_string(),
                format!("{}/{}", text(&step["provider"]), text(&step["model"])),
                text(&step["key"]),
                format!("{}, {}", text(&step["protocol"]), text(&step["way"])),
                text(&step["address"]),
            ]
        })
        .collect();
    if rows.is_empty() {
        out::line("No target can be tried.");
    } else {
        out::table(&["try", "target", "key", "protocol", "address"], rows);
    }
    for left in list("excluded") {
        let [provider, model, key, why] = ["provider", "model", "key", "why"].map(|member| out::cell(&left[member]));
        out::line(&format!("left out: {provider}/{model}, {key} ({why})"));
    }
    if let Some(stay) = explained["conversation"].as_object() {
        let told = stay.iter().filter(|(_, value)| !value.is_null());
        let told: Vec<String> = told.map(|(name, value)| format!("{name} {}", out::cell(value))).collect();
        out::line(&format!("conversation: {}", told.join(", ")));
    }
    if explained["capabilities"].is_object() {
        let quirks = text(&explained["quirks"]);
        out::line(&format!("\nabilities: {}", abilities(&explained["capabilities"])));
        out::line(&format!("quirks: {}", if quirks.is_empty() { "none" } else { &quirks }));
    }
    let request = &explained["request"];
    if request.is_object() {
        out::line(&format!("\nabout {} tokens", request["input_tokens"]));
        if request["unchanged"] == true {
            out::line("body: as sent, with the model's name replaced");
            return;
        }
        match request["losses"].as_array().map(Vec::as_slice) {
            None | Some([]) => out::line("lost: nothing"),
            Some(losses) => losses.iter().for_each(loss),
        }
        out::line(&format!("\n{:#}", request["body"]));
    }
}

fn loss(loss: &Value) {
    let word = match loss["severity"].as_str() {
        Some("info") => "note",
        Some("error") => "refused",
        _ => "lost",
    };
    let [path, what, why] = ["path", "what", "why"].map(|member| out::cell(&loss[member]));
    let told: Vec<String> = [path, what, why].into_iter().filter(|part| !part.is_empty()).collect();
    out::line(&format!("{word}: {}", told.join(" ")));
}

/// What matters most, in one line.
fn abilities(of: &Value) -> String {
    let mut words = Vec::new();
    for (name, member) in [("context", "context"), ("output", "max_output")] {
        words.extend(of[member].as_u64().map(|number| format!("{name} {number}")));
    }
    if of["reasoning"] == true {
        let efforts = of["efforts"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let efforts = efforts.collect::<Vec<_>>().join(" ");
        words.push(if efforts.is_empty() { "reasoning".to_owned() } else { format!("reasoning ({efforts})") });
    }
    for (name, member) in [
        ("temperature", "temperature"),
        ("tools", "tools"),
        ("structured output", "structured_output"),
        ("images", "images"),
        ("documents", "documents"),
        ("audio", "audio"),
        ("video", "video"),
    ] {
        words.push(if of[member] == true { name.to_owned() } else { format!("no {name}") });
    }
    words.join(", ")
}
