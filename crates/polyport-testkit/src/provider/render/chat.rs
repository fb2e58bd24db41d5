//! Chat Completions.

use serde_json::{Value, json};

use super::{CREATED, Saying, fragments, pieces};
use crate::provider::step::{Finish, Part};

fn finish(saying: &Saying<'_>) -> &'static str {
    match saying.answer.ending() {
        Finish::Stop | Finish::Sequence(_) => "stop",
        Finish::Length => "length",
        Finish::Tools => "tool_calls",
        Finish::Filter => "content_filter",
    }
}

fn usage(saying: &Saying<'_>) -> Value {
    let tokens = saying.tokens();
    let input = tokens.input + tokens.cache_read + tokens.cache_write;
    let output = tokens.output + tokens.reasoning;
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": tokens.cache_read, "cache_write_tokens": tokens.cache_write, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

pub(super) fn whole(saying: &Saying<'_>) -> Value {
    let mut message = json!({ "role": "assistant", "content": null, "refusal": null });
    let (mut text, mut calls) = (None::<String>, Vec::new());
    for (at, part) in saying.answer.parts.iter().enumerate() {
        match part {
            Part::Text(said) => text.get_or_insert_default().push_str(said),
            Part::Reasoning(thought) => message["reasoning_content"] = json!(thought),
            Part::Refusal(refusal) => message["refusal"] = json!(refusal),
            Part::Image { mime, data } => {
                message["images"] =
                    json!([{ "type": "image_url", "image_url": { "url": format!("data:{mime};base64,{data}") } }]);
                text.get_or_insert_default();
            }
            Part::Tool { .. } | Part::Custom { .. } => calls.push(call(saying, at, part)),
        }
    }
    let excused = !calls.is_empty() || !message["refusal"].is_null();
    message["content"] = text.map_or_else(|| if excused { Value::Null } else { json!("") }, Value::String);
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let choices: Vec<Value> = (0..saying.answer.choices.max(1))
        .map(|index| json!({ "index": index, "message": message, "logprobs": null, "finish_reason": finish(saying) }))
        .collect();
    json!({
        "id": format!("chatcmpl-fake{}", saying.serial),
        "object": "chat.completion",
        "created": CREATED,
        "model": saying.model(),
        "choices": choices,
        "usage": usage(saying),
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    })
}

fn call(saying: &Saying<'_>, at: usize, part: &Part) -> Value {
    let id = saying.call_id("call_", at);
    match part {
        Part::Custom { name, input } => {
            json!({ "id": id, "type": "custom", "custom": { "name": name, "input": input } })
        }
        Part::Tool { name, arguments } => {
            json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
        }
        Part::Text(_) | Part::Reasoning(_) | Part::Image { .. } | Part::Refusal(_) => Value::Null,
    }
}

pub(super) fn events(saying: &Saying<'_>) -> Vec<String> {
    let mut events = Vec::new();
    let choices = saying.answer.choices.max(1);
    let chunk = |choices: Value| {
        let mut chunk = json!({
            "id": format!("chatcmpl-fake{}", saying.serial),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": saying.model(),
            "service_tier": "default",
            "system_fingerprint": "fp_fake",
            "choices": choices,
        });
        if saying.prompt.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    };
    let mut delta = |index: usize, delta: Value, reason: Value| {
        let choice = json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": reason });
        events.push(frame(&chunk(json!([choice]))));
    };
    for index in 0..choices {
        delta(index, json!({ "role": "assistant", "content": "", "refusal": null }), Value::Null);
        let mut calls = 0;
        for (at, part) in saying.answer.parts.iter().enumerate() {
            match part {
                Part::Text(text) => {
                    pieces(text).iter().for_each(|piece| delta(index, json!({ "content": piece }), Value::Null))
                }
                Part::Reasoning(text) => {
                    let thoughts = pieces(text);
                    thoughts.iter().for_each(|piece| delta(index, json!({ "reasoning_content": piece }), Value::Null));
                }
                Part::Refusal(text) => delta(index, json!({ "refusal": text }), Value::Null),
                Part::Image { mime, data } => {
                    let url = format!("data:{mime};base64,{data}");
                    delta(
                        index,
                        json!({ "images": [{ "type": "image_url", "image_url": { "url": url } }] }),
                        Value::Null,
                    );
                }
                Part::Tool { .. } | Part::Custom { .. } => {
                    call_deltas(saying, at, calls, part).into_iter().for_each(|d| delta(index, d, Value::Null));
                    calls += 1;
                }
            }
        }
        if saying.answer.error.is_none() {
            delta(index, json!({}), json!(finish(saying)));
        }
    }
    if let Some(message) = &saying.answer.error {
        let error = json!({ "message": message, "type": "server_error", "code": null, "param": null });
        events.push(frame(&json!({ "error": error })));
        return events;
    }
    if saying.prompt.include_usage {
        let mut last = chunk(json!([]));
        last["usage"] = usage(saying);
        events.push(frame(&last));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn call_deltas(saying: &Saying<'_>, at: usize, index: usize, part: &Part) -> Vec<Value> {
    let mut head = call(saying, at, part);
    head["index"] = json!(index);
    let (kind, member, argument) = match part {
        Part::Custom { input, .. } => ("custom", "input", input),
        Part::Tool { arguments, .. } => ("function", "arguments", arguments),
        Part::Text(_) | Part::Reasoning(_) | Part::Image { .. } | Part::Refusal(_) => return Vec::new(),
    };
    head[kind][member] = json!("");
    let rest = fragments(argument).into_iter().map(|piece| json!({ "index": index, kind: { member: piece } }));
    std::iter::once(head).chain(rest).map(|call| json!({ "tool_calls": [call] })).collect()
}

fn frame(chunk: &Value) -> String {
    format!("data: {chunk}\n\n")
}
