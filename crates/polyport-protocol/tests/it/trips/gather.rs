//! A stream as the whole answer it tells, member by member, whatever the members are called.

use polyport_types::Protocol;
use serde_json::{Map, Value, json};

/// Members that grow by pieces.
const GROWING: [&str; 12] = [
    "content",
    "refusal",
    "reasoning",
    "reasoning_content",
    "arguments",
    "transcript",
    "data",
    "text",
    "thinking",
    "partial_json",
    "summary",
    "signature",
];

/// Lists that grow; others are told anew.
const LISTS: [&str; 9] = [
    "choices",
    "candidates",
    "parts",
    "tool_calls",
    "annotations",
    "reasoning_details",
    "content",
    "citations",
    "images",
];

/// The answer that `sse` tells.
pub(super) fn gather(protocol: Protocol, sse: &str) -> Value {
    let events = sse.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    let events = events.filter(|data| !data.is_empty() && *data != "[DONE]");
    let events = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    match protocol {
        Protocol::Chat => chat(events),
        Protocol::Gemini => gemini(events),
        Protocol::Messages => messages(events),
        Protocol::Responses => responses(events),
    }
}

/// Adds `piece` to `whole`: growing texts grow, entries of lists meet by `index`, of everything else the last is true.
fn add(whole: &mut Value, piece: Value, name: &str) {
    match (whole, piece) {
        (_, Value::Null) => {}
        (Value::Object(whole), Value::Object(piece)) => {
            for (name, value) in piece {
                match whole.get_mut(&name) {
                    Some(have) => add(have, value, &name),
                    None => {
                        whole.insert(name, value);
                    }
                }
            }
        }
        (Value::Array(whole), Value::Array(piece)) if LISTS.contains(&name) => {
            for value in piece {
                let index = value.get("index").cloned();
                match whole.iter_mut().find(|have| index.is_some() && have.get("index") == index.as_ref()) {
                    Some(have) => add(have, value, ""),
                    None => whole.push(value),
                }
            }
        }
        (Value::Array(whole), Value::Array(piece)) => *whole = piece,
        (Value::String(whole), Value::String(piece)) if GROWING.contains(&name) => whole.push_str(&piece),
        (whole, piece) => *whole = piece,
    }
}

fn chat(events: impl Iterator<Item = Value>) -> Value {
    let mut answer = json!({});
    for mut event in events {
        // A chunk says `delta` where a whole answer says `message`.
        for choice in event["choices"].as_array_mut().into_iter().flatten() {
            choice["message"] = choice["delta"].take();
        }
        event.as_object_mut().map(|event| event.shift_remove("obfuscation"));
        // Nobody else has a member of this name beside the choices: sources, told again with every chunk.
        if let Some(sources) = event.as_object_mut().and_then(|event| event.shift_remove("citations")) {
            answer["citations"] = sources;
        }
        add(&mut answer, event, "");
    }
    answer
}

fn gemini(events: impl Iterator<Item = Value>) -> Value {
    let mut answer = json!({ "candidates": [] });
    for mut event in events {
        for candidate in event["candidates"].as_array_mut().into_iter().flatten() {
            if candidate.get("index").is_none() {
                candidate["index"] = json!(0);
            }
        }
        // Its counts are those so far, not pieces.
        if event.get("usageMetadata").is_some_and(Value::is_object) {
            answer["usageMetadata"] = event["usageMetadata"].take();
        }
        add(&mut answer, event, "");
    }
    for candidate in answer["candidates"].as_array_mut().into_iter().flatten() {
        let Some(parts) = candidate["content"]["parts"].as_array_mut() else { continue };
        let mut joined: Vec<Value> = Vec::new();
        for part in std::mem::take(parts) {
            let plain = |part: &Value| {
                part.as_object().is_some_and(|part| part.keys().all(|name| name == "text" || name == "thought"))
            };
            match joined.last_mut() {
                Some(last) if plain(last) && plain(&part) && last.get("thought") == part.get("thought") => {
                    add(last, part, "");
                }
                _ => joined.push(part),
            }
        }
        *parts = joined;
    }
    answer
}

fn messages(events: impl Iterator<Item = Value>) -> Value {
    let mut answer = json!({});
    for mut event in events {
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "message_start" => add(&mut answer, event["message"].take(), ""),
            "content_block_start" => answer["content"].as_array_mut().unwrap().push(event["content_block"].take()),
            "content_block_delta" => {
                let at = usize::try_from(event["index"].as_u64().unwrap()).unwrap();
                let block = &mut answer["content"][at];
                let mut delta = event["delta"].take();
                delta.as_object_mut().unwrap().shift_remove("type");
                if let Some(citation) = delta.as_object_mut().unwrap().shift_remove("citation") {
                    delta["citations"] = json!([citation]);
                }
                add(block, delta, "");
            }
            "message_delta" => {
                event.as_object_mut().unwrap().shift_remove("type");
                let delta = event["delta"].take();
                add(&mut answer, delta, "");
                add(&mut answer, event, "");
            }
            _ => {}
        }
    }
    for block in answer["content"].as_array_mut().into_iter().flatten() {
        if let Some(text) = block.as_object_mut().unwrap().shift_remove("partial_json") {
            block["input"] = serde_json::from_str(text.as_str().unwrap()).unwrap_or(json!({}));
        }
    }
    answer
}

/// The last event lists everything; what the events before it told whole is compared by its kind and place.
fn responses(events: impl Iterator<Item = Value>) -> Value {
    let mut last = json!({});
    let mut told = Map::new();
    // Some servers leave numbers of items out.
    let mut places: Vec<Value> = Vec::new();
    for mut event in events {
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        let members = event.as_object_mut().unwrap();
        if let Some(response) = members.shift_remove("response") {
            last = response;
        }
        if let Some(place) = members.get_mut("output_index") {
            let known = places.iter().position(|known| known == place).unwrap_or_else(|| {
                places.push(place.clone());
                places.len() - 1
            });
            *place = json!(known);
        }
        for name in ["sequence_number", "obfuscation"] {
            members.shift_remove(name);
        }
        if kind == "response.output_text.annotation.added" || kind.ends_with(".done") {
            let place = ["output_index", "content_index", "summary_index", "annotation_index"]
                .map(|name| event[name].as_u64().map_or(String::new(), |index| index.to_string()));
            told.entry(kind).or_insert_with(|| json!({}))[place.join(".")] = event;
        }
    }
    last["told"] = Value::Object(told);
    last
}
