//! Answers: in the words of Converse, or Anthropic's own in binary frames.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Bedrock;

/// A message of the binary stream with text headers.
#[must_use]
pub fn aws_frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut out = [length(16 + head.len() + payload.len()), length(head.len())].concat();
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

fn event(kind: &str, payload: &Value) -> Vec<u8> {
    let headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    aws_frame(&headers, payload.to_string().as_bytes())
}

fn exception(kind: &str, message: &str) -> Vec<u8> {
    let headers = [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")];
    aws_frame(&headers, json!({ "message": message }).to_string().as_bytes())
}

/// The kind of the error with a status.
pub(in super::super) fn error_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        400..=499 => "ValidationException",
        _ => "InternalServerException",
    }
}

/// A whole message in the service's words.
pub(in super::super) fn whole(service: &Bedrock, message: &Value) -> Value {
    if !service.converse {
        return message.clone();
    }
    let content: Vec<Value> = message["content"].as_array().into_iter().flatten().map(block).collect();
    json!({
        "output": { "message": { "role": "assistant", "content": content } },
        "stopReason": stop_reason(&message["stop_reason"]),
        "additionalModelResponseFields": fields(&message["stop_sequence"]),
        "usage": usage(&message["usage"]),
        "metrics": { "latencyMs": 100 },
    })
}

/// A stream of Messages events in the service's words, a frame for each.
pub(in super::super) fn stream(service: &Bedrock, events: &[String]) -> Vec<Vec<u8>> {
    let events = events.iter().filter_map(|event| {
        let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
        serde_json::from_str::<Value>(data).ok()
    });
    let mut used = json!({});
    let mut out = Vec::new();
    for event in events {
        if event["type"] == "error" {
            out.push(exception("serviceUnavailableException", event["error"]["message"].as_str().unwrap_or_default()));
        } else if service.converse {
            out.extend(converse_event(&event, &mut used));
        } else {
            let bytes = STANDARD.encode(event.to_string());
            out.push(self::event("chunk", &json!({ "bytes": bytes, "p": "abcdefghij" })));
        }
    }
    out
}

fn converse_event(one: &Value, used: &mut Value) -> Vec<Vec<u8>> {
    let index = &one["index"];
    match one["type"].as_str().unwrap_or_default() {
        "message_start" => {
            *used = one["message"]["usage"].clone();
            vec![event("messageStart", &json!({ "role": "assistant", "p": "abc" }))]
        }
        // Only calls have a start of their own.
        "content_block_start" if one["content_block"]["type"] == "tool_use" => {
            let call = &one["content_block"];
            let start = json!({ "toolUse": { "toolUseId": call["id"], "name": call["name"] } });
            vec![event("contentBlockStart", &json!({ "contentBlockIndex": index, "start": start }))]
        }
        "content_block_delta" => {
            let delta = &one["delta"];
            let delta = match delta["type"].as_str().unwrap_or_default() {
                "text_delta" => json!({ "text": delta["text"] }),
                "input_json_delta" => json!({ "toolUse": { "input": delta["partial_json"] } }),
                "thinking_delta" => json!({ "reasoningContent": { "text": delta["thinking"] } }),
                _ => json!({ "reasoningContent": { "signature": delta["signature"] } }),
            };
            vec![event("contentBlockDelta", &json!({ "contentBlockIndex": index, "delta": delta, "p": "abcdef" }))]
        }
        "content_block_stop" => vec![event("contentBlockStop", &json!({ "contentBlockIndex": index }))],
        "message_delta" => {
            if let (Some(used), Some(last)) = (used.as_object_mut(), one["usage"].as_object()) {
                used.extend(last.clone());
            }
            let delta = &one["delta"];
            let stop = json!({
                "stopReason": stop_reason(&delta["stop_reason"]),
                "additionalModelResponseFields": fields(&delta["stop_sequence"]),
            });
            vec![
                event("messageStop", &stop),
                event("metadata", &json!({ "usage": usage(used), "metrics": { "latencyMs": 100 }, "p": "ab" })),
            ]
        }
        _ => Vec::new(),
    }
}

fn block(block: &Value) -> Value {
    match block["type"].as_str().unwrap_or_default() {
        "tool_use" => {
            json!({ "toolUse": { "toolUseId": block["id"], "name": block["name"], "input": block["input"] } })
        }
        "thinking" => {
            let text = json!({ "text": block["thinking"], "signature": block["signature"] });
            json!({ "reasoningContent": { "reasoningText": text } })
        }
        _ => json!({ "text": block["text"] }),
    }
}

fn stop_reason(reason: &Value) -> &str {
    match reason.as_str().unwrap_or_default() {
        "refusal" => "content_filtered",
        reason => reason,
    }
}

fn fields(sequence: &Value) -> Value {
    if sequence.is_null() { Value::Null } else { json!({ "stop_sequence": sequence }) }
}

fn usage(usage: &Value) -> Value {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let (input, output) = (count("input_tokens"), count("output_tokens"));
    let (read, written) = (count("cache_read_input_tokens"), count("cache_creation_input_tokens"));
    let mut told = Map::new();
    let counts = [
        ("inputTokens", input),
        ("outputTokens", output),
        ("totalTokens", input + output + read + written),
        ("cacheReadInputTokens", read),
        ("cacheWriteInputTokens", written),
    ];
    told.extend(counts.map(|(name, count)| (name.to_owned(), json!(count))));
    if written > 0 {
        told.insert("cacheDetails".to_owned(), json!([{ "ttl": "5m", "inputTokens": written }]));
    }
    Value::Object(told)
}
