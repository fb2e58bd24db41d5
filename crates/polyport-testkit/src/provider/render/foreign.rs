//! Answers of services with an interface of their own: content type, events (or one for a whole answer), and whether it is a stream.

use serde_json::{Map, Value, json};

use super::{Saying, fragments, pieces};
use crate::provider::step::{Finish, Part};

type Written = (&'static str, Vec<String>, bool);

/// Ollama's `/api/chat`: lines of JSON.
pub(in super::super) fn ollama(saying: &Saying<'_>, stream: bool) -> Written {
    let line = |message: Value, done: bool| {
        let mut line = json!({ "model": saying.model(), "created_at": "2026-11-29T08:00:00.5Z", "message": message, "done": done });
        if done {
            let tokens = saying.tokens();
            line["done_reason"] = json!(if saying.answer.ending() == Finish::Length { "length" } else { "stop" });
            line["prompt_eval_count"] = json!(tokens.input);
            line["eval_count"] = json!(tokens.output + tokens.reasoning);
            line["total_duration"] = json!(5_191_566_416_u64);
        }
        line
    };
    let call = |name: &str, arguments: &str| {
        let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
        json!([{ "function": { "name": name, "arguments": arguments } }])
    };
    let parts = &saying.answer.parts;
    if !stream {
        let mut message = json!({ "role": "assistant", "content": "" });
        let mut calls = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) | Part::Refusal(text) => append(&mut message, "content", text),
                Part::Reasoning(text) => append(&mut message, "thinking", text),
                Part::Tool { name, arguments } => {
                    calls.extend(call(name, arguments).as_array().cloned().unwrap_or_default())
                }
                Part::Custom { .. } | Part::Image { .. } => {}
            }
        }
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        return ("application/json; charset=utf-8", vec![line(message, true).to_string()], false);
    }
    let mut lines = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => lines.extend(
                pieces(text).into_iter().map(|piece| line(json!({ "role": "assistant", "content": piece }), false)),
            ),
            Part::Reasoning(text) => lines.extend(
                pieces(text)
                    .into_iter()
                    .map(|piece| line(json!({ "role": "assistant", "content": "", "thinking": piece }), false)),
            ),
            Part::Tool { name, arguments } => {
                let message = json!({ "role": "assistant", "content": "", "tool_calls": call(name, arguments) });
                lines.push(line(message, false));
            }
            Part::Custom { .. } | Part::Image { .. } => {}
        }
    }
    lines.push(match &saying.answer.error {
        Some(message) => json!({ "error": message }),
        None => line(json!({ "role": "assistant", "content": "" }), true),
    });
    ("application/x-ndjson", lines.into_iter().map(|line| format!("{line}\n")).collect(), true)
}

fn append(message: &mut Value, member: &str, text: &str) {
    let before = message[member].as_str().unwrap_or_default().to_owned();
    message[member] = json!(before + text);
}

/// The made-up vendor's answers: JSON, or server-sent events with names.
pub(in super::super) fn lumen(saying: &Saying<'_>, stream: bool) -> Written {
    let reply = format!("reply-{}", saying.serial);
    let why = match saying.answer.ending() {
        Finish::Stop | Finish::Sequence(_) => "complete",
        Finish::Length => "too_long",
        Finish::Tools => "function",
        Finish::Filter => "not_nice",
    };
    let tokens = saying.tokens();
    let spent = json!({
        "in": tokens.input + tokens.cache_read + tokens.cache_write, "in_again": tokens.cache_read,
        "out": tokens.output + tokens.reasoning,
    });
    if !stream {
        let mut content = Vec::new();
        for (at, part) in saying.answer.parts.iter().enumerate() {
            content.extend(match part {
                Part::Text(text) | Part::Refusal(text) => Some(json!({ "kind": "words", "text": text })),
                Part::Reasoning(text) => Some(json!({ "kind": "thought", "text": text })),
                Part::Tool { name, arguments } => {
                    let input: Value = serde_json::from_str(arguments).unwrap_or_default();
                    Some(json!({ "kind": "request", "ref": saying.call_id("r", at), "function": name, "input": input }))
                }
                Part::Custom { .. } | Part::Image { .. } => None,
            });
        }
        let whole = json!({ "reply": reply, "content": content, "why": why, "spent": spent });
        return ("application/json", vec![whole.to_string()], false);
    }
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let mut events = vec![event("start", json!({ "reply": reply, "spent": { "in": spent["in"] } }))];
    for (at, part) in saying.answer.parts.iter().enumerate() {
        match part {
            Part::Text(text) | Part::Refusal(text) => {
                events.extend(pieces(text).into_iter().map(|piece| event("words", json!({ "piece": piece }))));
            }
            Part::Reasoning(text) => {
                events.extend(pieces(text).into_iter().map(|piece| event("thought", json!({ "piece": piece }))));
            }
            Part::Tool { name, arguments } => {
                let id = saying.call_id("r", at);
                events.push(event("request", json!({ "ref": id, "function": name })));
                events.extend(
                    fragments(arguments).into_iter().map(|piece| event("input", json!({ "ref": id, "piece": piece }))),
                );
            }
            Part::Custom { .. } | Part::Image { .. } => {}
        }
    }
    match &saying.answer.error {
        Some(message) => events.push(event("trouble", json!({ "trouble": { "number": 7, "text": message } }))),
        None => {
            let mut over = Map::new();
            over.insert("why".to_owned(), json!(why));
            over.insert("spent".to_owned(), spent);
            events.push(event("over", Value::Object(over)));
            events.push("data: [THE END]\n\n".to_owned());
        }
    }
    ("text/event-stream", events, true)
}
