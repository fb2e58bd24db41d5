//! The Responses API.

use polyport_types::Protocol;
use serde_json::{Value, json};

use super::{CREATED, Saying, fragments, pieces, sign};
use crate::provider::step::{Finish, Part};

fn usage(saying: &Saying<'_>) -> Value {
    let tokens = saying.tokens();
    let input = tokens.input + tokens.cache_read + tokens.cache_write;
    let output = tokens.output + tokens.reasoning;
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": tokens.cache_read, "cache_write_tokens": tokens.cache_write },
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": tokens.reasoning },
        "total_tokens": input + output,
    })
}

/// The response object with the settings of the request echoed.
fn response(saying: &Saying<'_>, status: &str, output: &[Value]) -> Value {
    let echo = |name: &str, unset: Value| match saying.request.get(name) {
        Some(value) if !value.is_null() => value.clone(),
        _ => unset,
    };
    let over = matches!(status, "completed" | "incomplete");
    let reason = match saying.answer.ending() {
        Finish::Filter => "content_filter",
        _ => "max_output_tokens",
    };
    json!({
        "id": format!("resp_fake{}", saying.serial),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "completed_at": if status == "completed" { json!(CREATED + 1) } else { Value::Null },
        "error": null,
        "incomplete_details": if status == "incomplete" { json!({ "reason": reason }) } else { Value::Null },
        "instructions": echo("instructions", Value::Null),
        "max_output_tokens": echo("max_output_tokens", Value::Null),
        "max_tool_calls": null,
        "metadata": echo("metadata", json!({})),
        "model": saying.model(),
        "output": output,
        "parallel_tool_calls": echo("parallel_tool_calls", json!(true)),
        "previous_response_id": echo("previous_response_id", Value::Null),
        "prompt_cache_key": echo("prompt_cache_key", Value::Null),
        "reasoning": { "effort": null, "summary": null },
        "safety_identifier": echo("safety_identifier", Value::Null),
        "service_tier": "default",
        "store": echo("store", json!(true)),
        "temperature": echo("temperature", json!(1.0)),
        "text": echo("text", json!({ "format": { "type": "text" }, "verbosity": "medium" })),
        "tool_choice": echo("tool_choice", json!("auto")),
        "tools": echo("tools", json!([])),
        "top_logprobs": 0,
        "top_p": echo("top_p", json!(1.0)),
        "truncation": "disabled",
        "usage": if over { usage(saying) } else { Value::Null },
        "user": null,
    })
}

fn status(saying: &Saying<'_>) -> &'static str {
    match saying.answer.ending() {
        Finish::Length | Finish::Filter => "incomplete",
        Finish::Stop | Finish::Tools | Finish::Sequence(_) => "completed",
    }
}

/// The item a part becomes, complete.
fn item(saying: &Saying<'_>, at: usize, part: &Part) -> Value {
    let id = |prefix: &str| saying.call_id(prefix, at);
    let message = |content: Value| json!({ "type": "message", "id": id("msg_"), "role": "assistant", "status": "completed", "content": [content] });
    match part {
        Part::Text(text) => message(json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })),
        Part::Refusal(text) => message(json!({ "type": "refusal", "refusal": text })),
        Part::Reasoning(text) => {
            let shown = json!([{ "type": "summary_text", "text": text }]);
            json!({
                "type": "reasoning",
                "id": id("rs_"),
                "summary": if saying.prompt.shows_thinking { shown } else { json!([]) },
                "encrypted_content": sign(Protocol::Responses, text),
            })
        }
        Part::Tool { name, arguments } => json!({
            "type": "function_call", "id": id("fc_"), "call_id": id("call_"), "name": name,
            "arguments": arguments, "status": "completed",
        }),
        Part::Custom { name, input } => json!({
            "type": "custom_tool_call", "id": id("ctc_"), "call_id": id("call_"), "name": name,
            "input": input, "status": "completed",
        }),
        Part::Image { data, .. } => {
            json!({ "type": "image_generation_call", "id": id("ig_"), "status": "completed", "result": data })
        }
    }
}

fn items(saying: &Saying<'_>) -> Vec<Value> {
    saying.answer.parts.iter().enumerate().map(|(at, part)| item(saying, at, part)).collect()
}

pub(super) fn whole(saying: &Saying<'_>) -> Value {
    response(saying, status(saying), &items(saying))
}

pub(super) fn events(saying: &Saying<'_>) -> Vec<String> {
    let mut events = vec![
        json!({ "type": "response.created", "response": response(saying, "in_progress", &[]) }),
        json!({ "type": "response.in_progress", "response": response(saying, "in_progress", &[]) }),
    ];
    for (index, item) in items(saying).iter().enumerate() {
        streamed(index, item, &mut events);
    }
    if let Some(message) = &saying.answer.error {
        events.push(json!({ "type": "error", "code": "server_error", "message": message, "param": null }));
        let mut failed = response(saying, "failed", &[]);
        failed["error"] = json!({ "code": "server_error", "message": message });
        events.push(json!({ "type": "response.failed", "response": failed }));
    } else {
        let status = status(saying);
        events.push(
            json!({ "type": format!("response.{status}"), "response": response(saying, status, &items(saying)) }),
        );
    }
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    let framed = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(framed).collect()
}

/// The events of one item.
fn streamed(index: usize, item: &Value, events: &mut Vec<Value>) {
    let text = |name: &str| item[name].as_str().unwrap_or_default();
    let event = |kind: &str, more: Value| {
        let mut event = json!({ "type": format!("response.{kind}"), "output_index": index, "item_id": item["id"] });
        for (name, value) in more.as_object().into_iter().flatten() {
            event[name.as_str()] = value.clone();
        }
        event
    };
    let mut start = item.clone();
    let kind = text("type");
    for (name, empty) in
        [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
    {
        if start.get(name).is_some() {
            start[name] = empty;
        }
    }
    if start.get("status").is_some() {
        start["status"] = json!("in_progress");
    }
    if kind == "image_generation_call" {
        start["result"] = Value::Null;
    }
    events.push(json!({ "type": "response.output_item.added", "output_index": index, "item": start }));
    match kind {
        "message" => content_events(&item["content"][0], &event, events),
        "reasoning" => {
            for (nth, part) in item["summary"].as_array().into_iter().flatten().enumerate() {
                summary_events(nth, part, &event, events);
            }
        }
        "function_call" => {
            let deltas = fragments(text("arguments"));
            let delta = |piece: String| event("function_call_arguments.delta", json!({ "delta": piece }));
            events.extend(deltas.into_iter().map(delta));
            let done = json!({ "arguments": item["arguments"], "name": item["name"] });
            events.push(event("function_call_arguments.done", done));
        }
        "custom_tool_call" => {
            let deltas = fragments(text("input"));
            let delta = |piece: String| event("custom_tool_call_input.delta", json!({ "delta": piece }));
            events.extend(deltas.into_iter().map(delta));
            events.push(event("custom_tool_call_input.done", json!({ "input": item["input"] })));
        }
        "image_generation_call" => {
            for step in ["in_progress", "generating", "completed"] {
                events.push(event(&format!("image_generation_call.{step}"), json!({})));
            }
        }
        _ => {}
    }
    events.push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
}

type Writer<'a> = dyn Fn(&str, Value) -> Value + 'a;

fn content_events(part: &Value, event: &Writer<'_>, events: &mut Vec<Value>) {
    let refusal = part["type"] == "refusal";
    let (member, name) = if refusal { ("refusal", "refusal") } else { ("text", "output_text") };
    let text = part[member].as_str().unwrap_or_default();
    let mut start = part.clone();
    start[member] = json!("");
    events.push(event("content_part.added", json!({ "content_index": 0, "part": start })));
    for piece in pieces(text) {
        let mut more = json!({ "content_index": 0, "delta": piece });
        if !refusal {
            more["logprobs"] = json!([]);
        }
        events.push(event(&format!("{name}.delta"), more));
    }
    let mut more = json!({ "content_index": 0, member: text });
    if !refusal {
        more["logprobs"] = json!([]);
    }
    events.push(event(&format!("{name}.done"), more));
    events.push(event("content_part.done", json!({ "content_index": 0, "part": part })));
}

fn summary_events(nth: usize, part: &Value, event: &Writer<'_>, events: &mut Vec<Value>) {
    let text = part["text"].as_str().unwrap_or_default();
    let empty = json!({ "type": "summary_text", "text": "" });
    events.push(event("reasoning_summary_part.added", json!({ "summary_index": nth, "part": empty })));
    for piece in pieces(text) {
        events.push(event("reasoning_summary_text.delta", json!({ "summary_index": nth, "delta": piece })));
    }
    events.push(event("reasoning_summary_text.done", json!({ "summary_index": nth, "text": text })));
    events.push(event("reasoning_summary_part.done", json!({ "summary_index": nth, "part": part })));
}
