//! Requests of a declared interface, written.

use polyport_types::{Fault, FaultClass, LossCode, Losses, Request};
use serde_json::{Map, Value, json};

use super::template::{Failure, Templates};
use super::{Custom, Mistake, filters};
use crate::{Encoded, Target, chat};

/// What Chat bodies may have beside model, messages and the tools, which models are told apart by.
pub(super) const MEMBERS: [&str; 37] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "response_format",
    "verbosity",
    "modalities",
    "audio",
    "prediction",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "reasoning",
    "chat_template_kwargs",
    "web_search_options",
    "store",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
];

/// So much of the data of a file tells whether they are in the body.
const SAMPLE: usize = 128;

/// Writes a resolved request. What a Chat server would get is what templates see; what they leave out is reported, as far as that can be
/// known: members that no template reads are left out by the profile, files are looked for in what came of it.
pub(crate) fn encode_request(custom: &Custom, target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let body = chat::encode_request(target, request, losses).body;
    // What the encoder wrote is an object.
    let body: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    let files = files(&body);
    match custom.templates.render(context(body, request.stream)) {
        Ok(rendered) => {
            if files.iter().any(|file| memchr::memmem::find(&rendered.body, file.as_bytes()).is_none()) {
                let detail = format!("no template of provider `{}` carries such files", custom.provider);
                losses.error(LossCode::MediaUnsupported, "/messages", detail);
            }
            let headers = rendered.headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
            Encoded { body: rendered.body, headers, path: rendered.path, fault: None }
        }
        Err(failure) => Encoded { fault: Some(Box::new(fault(&custom.templates, &failure))), ..Encoded::default() },
    }
}

fn fault(templates: &Templates, failure: &Failure) -> Fault {
    let Failure { setting, why } = failure;
    let words =
        format!("the request cannot be written for provider `{}`: `custom.{setting}`: {why}", templates.provider());
    Fault::new(FaultClass::Internal, words)
}

/// What templates see: the members of a Chat body, `request` as their whole, and what is often asked for.
fn context(mut body: Map<String, Value>, stream: bool) -> Map<String, Value> {
    body.insert("stream".to_owned(), stream.into());
    let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (instructions, turns): (Vec<&Value>, Vec<&Value>) =
        messages.iter().partition(|message| is_instruction(message));
    let system: Vec<String> = instructions.into_iter().map(words).collect();
    let prompt = prompt(&turns, &system);
    let turns: Value = turns.into_iter().cloned().collect();
    let whole = Value::Object(body.clone());
    body.insert("turns".to_owned(), turns);
    body.insert("prompt".to_owned(), prompt.into());
    if !system.is_empty() {
        body.insert("system".to_owned(), system.join("\n\n").into());
    }
    body.insert("request".to_owned(), whole);
    body
}

fn is_instruction(message: &Value) -> bool {
    matches!(message.get("role").and_then(Value::as_str), Some("system" | "developer"))
}

/// The text of a message.
fn words(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// The conversation as one text: a lone question is itself, of several turns each says whose it is.
fn prompt(turns: &[&Value], system: &[String]) -> String {
    if let ([only], []) = (turns, system) {
        return words(only);
    }
    let instructions = system.iter().cloned();
    let said = turns.iter().map(|turn| {
        let who = match turn.get("role").and_then(Value::as_str) {
            Some("assistant") => "Assistant",
            Some("tool") => "Tool",
            _ => "User",
        };
        format!("{who}: {}", words(turn))
    });
    let mut all: Vec<String> = instructions.chain(said).collect();
    all.push("Assistant:".to_owned());
    all.join("\n\n")
}

/// The beginnings of the data, or the addresses, of all files in a Chat body.
fn files(body: &Map<String, Value>) -> Vec<String> {
    let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let parts = messages.iter().filter_map(|message| message.get("content")?.as_array()).flatten();
    let files = parts.filter_map(|part| {
        let data = |member: &str, inside: &str| part.get(member)?.get(inside)?.as_str();
        data("image_url", "url")
            .or_else(|| data("input_audio", "data"))
            .or_else(|| data("file", "file_data"))
            .or_else(|| data("file", "file_id"))
    });
    let sample = |data: &str| filters::data_url(data).map_or(data, |(_, data)| data).chars().take(SAMPLE).collect();
    files.map(sample).collect()
}

/// Renders made-up requests: what fails with them would fail with every client's.
pub(super) fn try_out(templates: &Templates, mistakes: &mut Vec<Mistake>) {
    let small = json!({ "model": "model", "messages": [{ "role": "user", "content": "Hello." }] });
    let full = json!({
        "model": "model",
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Look it up." },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{\"at\":1}" } } ] },
            { "role": "tool", "tool_call_id": "call_1", "content": "It is there." },
            { "role": "user", "content": [{ "type": "text", "text": "And this?" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,aGVsbG8=" } }] }
        ],
        "tools": [{ "type": "function", "function": { "name": "look", "description": "Looks.", "parameters": {
            "type": "object", "properties": { "at": { "type": "integer" } } } } }],
        "tool_choice": "auto", "max_tokens": 100, "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": 7,
        "frequency_penalty": 0.1, "presence_penalty": 0.1, "parallel_tool_calls": true, "reasoning_effort": "low",
        "response_format": { "type": "json_schema", "json_schema": { "name": "answer", "schema": { "type": "object" } } },
    });
    for (request, stream) in [(small, false), (full, true)] {
        let Value::Object(body) = request else { continue };
        if let Err(Failure { setting, why }) = templates.render(context(body, stream)) {
            let setting = setting.split('.').map(str::to_owned).collect();
            let message = format!("an ordinary request cannot be written: {why}");
            mistakes.push(Mistake { setting, message, remedy: "" });
            return;
        }
    }
}
