//! Requests.

use polyport_types::{LossCode, Severity};

use super::*;

fn recorded_requests(test: &str) -> Vec<Record> {
    let Some(records) = shared::records_or_skip(test, FILE) else { return Vec::new() };
    let with_body = |record: &&Record| {
        record.response.status == 200 && record.request.as_ref().is_some_and(|request| !request.body.is_empty())
    };
    records.iter().filter(with_body).cloned().collect()
}

/// A request with the liberties of the wire taken out: null is absent, text is a block, defaults are unsaid.
fn plain(mut body: Value) -> Value {
    plain_value(&mut body);
    let Some(object) = body.as_object_mut() else { return body };
    if object.get("stream") == Some(&json!(false)) {
        object.remove("stream");
    }
    for list in ["system", "messages"] {
        if let Some(Value::String(text)) = object.get(list) {
            let blocks = json!([{ "type": "text", "text": text }]);
            object.insert(list.to_owned(), blocks);
        }
    }
    for message in object.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        blocks_of(message);
        for block in message["content"].as_array_mut().into_iter().flatten() {
            let default_error = block.get("is_error") == Some(&json!(false)) && block["type"] == "tool_result";
            if default_error {
                block.as_object_mut().unwrap().remove("is_error");
            }
            if block["type"] == "tool_result" {
                blocks_of(block);
            }
        }
    }
    for tool in object.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        if tool.get("type") == Some(&json!("custom")) {
            tool.as_object_mut().unwrap().remove("type");
        }
    }
    if let Some(format) = object.remove("output_format") {
        object.insert("output_config".to_owned(), json!({ "format": format }));
    }
    if object.get("tools") == Some(&json!([])) {
        object.remove("tools");
        object.remove("tool_choice");
    }
    body
}

fn blocks_of(holder: &mut Value) {
    match holder.get("content") {
        Some(Value::String(text)) if text.is_empty() => holder["content"] = json!([]),
        Some(Value::String(text)) => holder["content"] = json!([{ "type": "text", "text": text }]),
        _ => {}
    }
    if holder["content"] == json!([]) {
        holder.as_object_mut().unwrap().remove("content");
    }
}

fn plain_value(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(plain_value);
        }
        Value::Array(items) => items.iter_mut().for_each(plain_value),
        _ => {}
    }
}

/// Neighbouring messages of one role as one, which the API does itself.
fn joined(mut body: Value) -> Value {
    let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) else { return body };
    let mut turns: Vec<Value> = Vec::new();
    for message in messages.drain(..) {
        match turns.last_mut() {
            Some(last) if last["role"] == message["role"] && message["role"] != "system" => {
                let more = message["content"].as_array().cloned().unwrap_or_default();
                match last["content"].as_array_mut() {
                    Some(blocks) => blocks.extend(more),
                    None => last["content"] = json!(more),
                }
            }
            _ => turns.push(message),
        }
    }
    *messages = turns;
    body
}

/// Reads a body and writes it again; what comes out must be judged well and hold every member.
fn round_trip(name: &str, mut target: Target, body: &str, count: bool) {
    std::sync::Arc::make_mut(&mut target.capabilities).mid_system = true;
    let head = RequestHead::default();
    let request = if count {
        messages::decode_count_request(&head, &body.into())
    } else {
        messages::decode_request(&head, &body.into())
    };
    let request = request.unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut losses = Losses::new();
    let encoded = if count {
        messages::encode_count_request(&target, &request, &mut losses)
    } else {
        encode_request(&target, &request, &mut losses)
    };
    let out = json_of(&encoded.body);
    let version = &encoded.headers.iter().find(|(name, _)| *name == "anthropic-version").unwrap().1;
    if !count {
        let judged = Judge::new(Protocol::Messages).version(version).request(&out);
        judged.unwrap_or_else(|problems| panic!("{name}: {problems:#?}\n{out:#}"));
    }
    assert!(losses.first_at_least(Severity::Warn).is_none(), "{name}: {losses:?}");
    let (before, mut after) = (joined(plain(json_of(body.as_bytes()))), joined(plain(out)));
    // Display is always said.
    if before.get("thinking").is_some_and(|thinking| thinking.get("display").is_none())
        && let Some(thinking) = after.get_mut("thinking").and_then(Value::as_object_mut)
    {
        thinking.remove("display");
    }
    assert_eq!(after, before, "{name}");
}

#[test]
fn every_accepted_request_survives_a_round_trip() {
    let records = recorded_requests("every_accepted_request_survives_a_round_trip");
    assert!(records.is_empty() || records.len() > 150, "only {} requests", records.len());
    for record in records {
        let body = &record.request.as_ref().unwrap().body;
        round_trip(&record.id, target(&record), body, record.operation == "count_tokens");
    }
}

#[test]
fn every_request_made_by_hand_survives_a_round_trip() {
    for (name, body) in fixtures("request") {
        round_trip(&name, Target::plain(Protocol::Messages, "claude-test"), &body, false);
    }
}

#[test]
fn losses_are_none_for_own_clients() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let (_, _, losses) = encode(&Target::plain(Protocol::Messages, "m"), &decode(body));
    assert!(losses.is_empty(), "{losses:?}");
    assert!(!losses.entries().iter().any(|loss| loss.code == LossCode::UnknownFieldDropped));
}
