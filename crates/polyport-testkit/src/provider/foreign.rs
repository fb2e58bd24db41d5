//! Requests of services with an interface of their own, as the Chat requests that say the same. What the services would refuse is noted.

use serde_json::{Map, Value, json};

use super::wrapping::Opened;

/// Members that a service knows, each with what is wrong with a value.
type Rules<'r> = &'r [(&'r str, fn(&Value) -> bool)];

fn check(what: &str, value: &Value, rules: Rules<'_>, violations: &mut Vec<String>) {
    let Some(members) = value.as_object() else {
        violations.push(format!("{what}: an object is required"));
        return;
    };
    for (name, value) in members {
        match rules.iter().find(|(known, _)| known == name) {
            None => violations.push(format!("{what}.{name}: unknown")),
            Some((_, good)) if !good(value) => violations.push(format!("{what}.{name}: {value} is of the wrong type")),
            Some(_) => {}
        }
    }
}

fn is_base64(value: &Value) -> bool {
    use base64::Engine as _;
    value.as_str().is_some_and(|text| base64::engine::general_purpose::STANDARD.decode(text).is_ok())
}

fn is_format(value: &Value) -> bool {
    value == "json" || value.is_object()
}

fn is_think(value: &Value) -> bool {
    value.is_boolean() || ["low", "medium", "high"].iter().any(|word| value == word)
}

fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string))
}

fn is_images(value: &Value) -> bool {
    value.as_array().is_some_and(|images| !images.is_empty() && images.iter().all(is_base64))
}

fn is_object(value: &Value) -> bool {
    value.is_object()
}

/// Ollama's `/api/embed`. Source: as below. The first number of each vector is the length of its text.
pub(super) fn ollama_embed(opened: &mut Opened) {
    let rules: Rules<'_> = &[
        ("model", Value::is_string),
        ("input", is_texts),
        ("truncate", Value::is_boolean),
        ("dimensions", Value::is_u64),
        ("keep_alive", Value::is_string),
        ("options", is_object),
    ];
    check("body", &opened.body, rules, &mut opened.violations);
    let texts: Vec<&str> = opened.body["input"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let vectors: Vec<Value> = texts.iter().map(|text| json!([text.len(), -0.25, 0.125])).collect();
    let answer = json!({ "model": opened.body["model"], "embeddings": vectors, "total_duration": 14_143_917,
        "load_duration": 1_019_500, "prompt_eval_count": texts.len() * 4 });
    opened.answer = Some((if opened.method == "POST" { 200 } else { 405 }, answer));
}

/// Ollama's `/api/chat`. Source: its description of the interface (docs/api.md of the project).
pub(super) fn ollama(opened: &mut Opened) {
    if opened.path != "/api/chat" || opened.method != "POST" {
        opened.answer = Some((404, json!({ "error": "404 page not found" })));
        return;
    }
    opened.path = "/v1/chat/completions".to_owned();
    let body = std::mem::take(&mut opened.body);
    let noted = &mut opened.violations;
    let rules: Rules<'_> = &[
        ("model", Value::is_string),
        ("messages", Value::is_array),
        ("tools", Value::is_array),
        ("format", is_format),
        ("options", is_object),
        ("stream", Value::is_boolean),
        ("think", is_think),
        ("keep_alive", Value::is_string),
    ];
    check("body", &body, rules, noted);
    let rules: Rules<'_> = &[
        ("num_predict", Value::is_i64),
        ("num_ctx", Value::is_u64),
        ("temperature", Value::is_number),
        ("top_p", Value::is_number),
        ("top_k", Value::is_number),
        ("min_p", Value::is_number),
        ("seed", Value::is_i64),
        ("stop", is_texts),
        ("repeat_penalty", Value::is_number),
        ("frequency_penalty", Value::is_number),
        ("presence_penalty", Value::is_number),
    ];
    check("options", body.get("options").unwrap_or(&json!({})), rules, noted);
    let mut messages = Vec::new();
    let mut waiting = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        let rules: Rules<'_> = &[
            ("role", Value::is_string),
            ("content", Value::is_string),
            ("thinking", Value::is_string),
            ("images", is_images),
            ("tool_calls", Value::is_array),
            ("tool_name", Value::is_string),
        ];
        check("message", message, rules, noted);
        let mut said = json!({ "role": message["role"], "content": message["content"] });
        if let Some(images) = message["images"].as_array() {
            let mut content = vec![json!({ "type": "text", "text": message["content"] })];
            content.extend(images.iter().map(|image| {
                let url = format!("data:image/png;base64,{}", image.as_str().unwrap_or_default());
                json!({ "type": "image_url", "image_url": { "url": url } })
            }));
            said["content"] = Value::Array(content);
        }
        let mut calls = Vec::new();
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let rules: Rules<'_> = &[("name", Value::is_string), ("arguments", is_object)];
            check("tool_calls.function", &call["function"], rules, noted);
            // It has no ids: results come in the order of the calls.
            let id = format!("call_{}", messages.len() * 100 + calls.len());
            waiting.push((id.clone(), call["function"]["name"].clone()));
            let function =
                json!({ "name": call["function"]["name"], "arguments": call["function"]["arguments"].to_string() });
            calls.push(json!({ "id": id, "type": "function", "function": function }));
        }
        if !calls.is_empty() {
            said["tool_calls"] = Value::Array(calls);
        }
        if message["role"] == "tool" {
            let at = waiting.iter().position(|(_, name)| *name == message["tool_name"]);
            match at.map(|at| waiting.remove(at)) {
                Some((id, _)) => said["tool_call_id"] = json!(id),
                None => noted.push(format!("tool_name: {} was not called", message["tool_name"])),
            }
        }
        messages.push(said);
    }
    let mut chat = json!({ "model": body["model"], "messages": messages });
    // Streams are the default here.
    chat["stream"] = json!(body["stream"] != false);
    copy(&body, "tools", &mut chat, "tools");
    for (theirs, ours) in
        [("num_predict", "max_tokens"), ("temperature", "temperature"), ("stop", "stop"), ("seed", "seed")]
    {
        copy(&body["options"], theirs, &mut chat, ours);
    }
    opened.body = chat;
}

fn copy(from: &Value, theirs: &str, to: &mut Value, ours: &str) {
    if let Some(value) = from.get(theirs) {
        to[ours] = value.clone();
    }
}

/// The made-up vendor: `/v2/models/MODEL/converse`.
pub(super) fn lumen(opened: &mut Opened) {
    let model = opened.path.strip_prefix("/v2/models/").and_then(|rest| rest.strip_suffix("/converse"));
    let Some(model) = model.map(|model| model.replace("%2F", "/")) else {
        opened.answer = Some((404, json!({ "trouble": { "number": 4, "text": "no such place" } })));
        return;
    };
    opened.path = "/v1/chat/completions".to_owned();
    let body = std::mem::take(&mut opened.body);
    let noted = &mut opened.violations;
    if !["", "live=yes"].contains(&opened.query.as_str()) {
        noted.push(format!("query: {}", opened.query));
    }
    let text_or_null = |value: &Value| value.is_string() || value.is_null();
    let rules: Rules<'_> = &[
        ("instructions", text_or_null),
        ("dialogue", Value::is_array),
        ("functions", Value::is_array),
        ("limits", is_object),
        ("heat", |heat| heat.is_number() || heat.is_null()),
    ];
    check("body", &body, rules, noted);
    let mut messages = Vec::new();
    if let Some(instructions) = body["instructions"].as_str() {
        messages.push(json!({ "role": "system", "content": instructions }));
    }
    for turn in body["dialogue"].as_array().into_iter().flatten() {
        let rules: Rules<'_> = &[
            ("speaker", Value::is_string),
            ("says", Value::is_string),
            ("pictures", is_texts),
            ("requests", Value::is_array),
            ("answers", text_or_null),
        ];
        check("turn", turn, rules, noted);
        messages.push(match turn["speaker"].as_str() {
            Some("human") => {
                let mut content = vec![json!({ "type": "text", "text": turn["says"] })];
                let pictures = turn["pictures"].as_array().into_iter().flatten();
                content.extend(pictures.map(|url| json!({ "type": "image_url", "image_url": { "url": url } })));
                json!({ "role": "user", "content": content })
            }
            Some("machine") => {
                let calls: Vec<Value> = turn["requests"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|call| {
                        let rules: Rules<'_> =
                            &[("ref", Value::is_string), ("function", Value::is_string), ("input", is_object)];
                        check("request", call, rules, noted);
                        let function = json!({ "name": call["function"], "arguments": call["input"].to_string() });
                        json!({ "id": call["ref"], "type": "function", "function": function })
                    })
                    .collect();
                let mut said = json!({ "role": "assistant", "content": turn["says"] });
                if !calls.is_empty() {
                    said["tool_calls"] = Value::Array(calls);
                }
                said
            }
            Some("function") => json!({ "role": "tool", "tool_call_id": turn["answers"], "content": turn["says"] }),
            _ => {
                noted.push(format!("speaker: {}", turn["speaker"]));
                continue;
            }
        });
    }
    let tools: Vec<Value> = body["functions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|function| {
            let rules: Rules<'_> = &[
                ("name", Value::is_string),
                ("about", |about| about.is_string() || about.is_null()),
                ("input", is_object),
            ];
            check("function", function, rules, noted);
            let mut members = Map::from_iter([
                ("name".to_owned(), function["name"].clone()),
                ("parameters".to_owned(), function["input"].clone()),
            ]);
            if function["about"].is_string() {
                members.insert("description".to_owned(), function["about"].clone());
            }
            json!({ "type": "function", "function": members })
        })
        .collect();
    let mut chat = json!({ "model": model, "messages": messages, "stream": opened.query == "live=yes" });
    if !tools.is_empty() {
        chat["tools"] = Value::Array(tools);
    }
    for (theirs, ours) in [(&body["limits"]["words"], "max_tokens"), (&body["heat"], "temperature")] {
        if !theirs.is_null() {
            chat[ours] = theirs.clone();
        }
    }
    opened.body = chat;
}
