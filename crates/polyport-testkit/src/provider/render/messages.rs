//! Anthropic Messages.

use polyport_types::Protocol;
use serde_json::{Value, json};

use super::{Saying, fragments, pieces, sign};
use crate::provider::step::{Finish, Part};

fn stop(saying: &Saying<'_>) -> Value {
    let (reason, sequence) = match saying.answer.ending() {
        Finish::Stop => ("end_turn", None),
        Finish::Length => ("max_tokens", None),
        Finish::Tools => ("tool_use", None),
        Finish::Filter => ("refusal", None),
        Finish::Sequence(sequence) => ("stop_sequence", Some(sequence)),
    };
    json!({ "stop_reason": reason, "stop_sequence": sequence })
}

fn usage(saying: &Saying<'_>) -> Value {
    let tokens = saying.tokens();
    json!({
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": { "ephemeral_5m_input_tokens": tokens.cache_write, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": tokens.output + tokens.reasoning,
        "output_tokens_details": { "thinking_tokens": tokens.reasoning },
        "service_tier": "standard",
    })
}

fn message(saying: &Saying<'_>) -> Value {
    json!({
        "id": format!("msg_fake{}", saying.serial),
        "type": "message",
        "role": "assistant",
        "model": saying.model(),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage(saying),
    })
}

/// The blocks of the answer, complete.
fn blocks(saying: &Saying<'_>) -> Vec<Value> {
    let mut blocks = Vec::new();
    for (at, part) in saying.answer.parts.iter().enumerate() {
        blocks.push(match part {
            Part::Text(text) | Part::Refusal(text) if text.is_empty() => continue,
            Part::Text(text) | Part::Refusal(text) => json!({ "type": "text", "text": text }),
            Part::Reasoning(text) => {
                let shown = if saying.prompt.shows_thinking { text.as_str() } else { "" };
                json!({ "type": "thinking", "thinking": shown, "signature": sign(Protocol::Messages, text) })
            }
            Part::Tool { name, arguments } | Part::Custom { name, input: arguments } => {
                let input: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
                json!({ "type": "tool_use", "id": saying.call_id("toolu_", at), "name": name, "input": input })
            }
            Part::Image { .. } => json!({ "type": "text", "text": "[image]" }),
        });
    }
    blocks
}

pub(super) fn whole(saying: &Saying<'_>) -> Value {
    let mut message = message(saying);
    message["content"] = Value::Array(blocks(saying));
    let stop = stop(saying);
    for name in ["stop_reason", "stop_sequence"] {
        message[name] = stop[name].clone();
    }
    message
}

pub(super) fn events(saying: &Saying<'_>) -> Vec<String> {
    let mut start = message(saying);
    start["usage"]["output_tokens"] = json!(1);
    let mut events = vec![json!({ "type": "message_start", "message": start })];
    for (index, block) in blocks(saying).into_iter().enumerate() {
        let (start, deltas) = streamed(&block);
        events.push(json!({ "type": "content_block_start", "index": index, "content_block": start }));
        if index == 0 {
            events.push(json!({ "type": "ping" }));
        }
        let delta = |delta| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({ "type": "content_block_stop", "index": index }));
    }
    if let Some(message) = &saying.answer.error {
        let error = json!({ "type": "overloaded_error", "message": message });
        events.push(json!({ "type": "error", "error": error }));
    } else {
        events.push(json!({ "type": "message_delta", "delta": stop(saying), "usage": usage(saying) }));
        events.push(json!({ "type": "message_stop" }));
    }
    let framed = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(framed).collect()
}

/// The start of a block and the deltas that complete it.
fn streamed(block: &Value) -> (Value, Vec<Value>) {
    let mut start = block.clone();
    let text = |name: &str| block[name].as_str().unwrap_or_default();
    match text("type") {
        "text" => {
            start["text"] = json!("");
            let deltas =
                pieces(text("text")).iter().map(|piece| json!({ "type": "text_delta", "text": piece })).collect();
            (start, deltas)
        }
        "thinking" => {
            start["thinking"] = json!("");
            start["signature"] = json!("");
            let thoughts = pieces(text("thinking"));
            let mut deltas: Vec<Value> =
                thoughts.iter().map(|piece| json!({ "type": "thinking_delta", "thinking": piece })).collect();
            deltas.push(json!({ "type": "signature_delta", "signature": text("signature") }));
            (start, deltas)
        }
        _ => {
            start["input"] = json!({});
            let empty = block["input"].as_object().is_some_and(serde_json::Map::is_empty);
            let json_text = if empty { String::new() } else { block["input"].to_string() };
            let deltas = std::iter::once(String::new()).chain(fragments(&json_text));
            (start, deltas.map(|piece| json!({ "type": "input_json_delta", "partial_json": piece })).collect())
        }
    }
}
