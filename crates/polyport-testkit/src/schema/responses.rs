//! What the Responses API refuses beyond its schema.

use std::collections::HashSet;

use serde_json::Value;

use super::Report;
use super::dialect::{self, is_plain_name, items, text_of};

pub(super) fn rules(body: &Value, house: bool, report: &mut Report) {
    dialect::refuse_carriers(body, "", report);
    dialect::openai_metadata(body, report);
    limits(body, report);
    tools(body, house, report);
    format(body, report);
    history(body, report);
}

fn given(body: &Value, name: &str) -> bool {
    body.get(name).is_some_and(|value| !value.is_null())
}

fn limits(body: &Value, report: &mut Report) {
    report.require(given(body, "model") || given(body, "prompt"), "/model", "missing required parameter: 'model'");
    let started = ["input", "previous_response_id", "conversation", "prompt"].iter().any(|name| given(body, name));
    report.require(started, "/input", "one of 'input', 'previous_response_id', 'prompt' or 'conversation' is needed");
    report.require(
        !(given(body, "previous_response_id") && given(body, "conversation")),
        "/previous_response_id",
        "mutually exclusive with 'conversation'",
    );
    report.require(
        !given(body, "stream_options") || body.get("stream") == Some(&Value::Bool(true)),
        "/stream_options",
        "only allowed when 'stream' is enabled",
    );
    for (name, low, high) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("top_logprobs", 0.0, 20.0),
        ("max_output_tokens", 16.0, f64::MAX),
        ("max_tool_calls", 1.0, f64::MAX),
    ] {
        if let Some(value) = body.get(name).and_then(Value::as_f64) {
            report.require(
                (low..=high).contains(&value),
                format!("/{name}"),
                format!("{value} is outside {low}…{high}"),
            );
        }
    }
}

fn tools(body: &Value, house: bool, report: &mut Report) {
    let mut names = HashSet::new();
    let extra = items(body, "input").iter().filter(|item| text_of(item, "type") == Some("additional_tools"));
    let all: Vec<&Value> = items(body, "tools").iter().chain(extra.flat_map(|item| items(item, "tools"))).collect();
    for (at, tool) in all.iter().enumerate() {
        collect_names(tool, &mut names);
        let path = format!("/tools/{at}");
        if matches!(text_of(tool, "type"), Some("function" | "custom")) {
            let name = text_of(tool, "name").unwrap_or_default();
            report.require(is_plain_name(name, 128), &path, format!("bad tool name `{name}`"));
        }
        if text_of(tool, "type") != Some("function") {
            continue;
        }
        // Without it the service tries strictness, which other protocols did not ask for.
        report.require(!house || tool.get("strict").is_some(), &path, "`strict` is left to the service");
        let schema = tool.get("parameters").unwrap_or(&Value::Null);
        if tool.get("strict") == Some(&Value::Bool(true)) {
            dialect::openai_strict(schema, &format!("{path}/parameters"), report);
        } else if !schema.is_null() {
            let object = text_of(schema, "type") == Some("object") || schema.as_object().is_some_and(|s| s.is_empty());
            report.require(object, &path, "the schema of a function must have type \"object\"");
        }
    }
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    report.require(
        matches!(choice.as_str(), Some("auto" | "none"))
            || choice.is_null()
            || !all.is_empty()
            || given(body, "prompt"),
        "/tool_choice",
        "must be 'auto' or 'none' without 'tools'",
    );
    for named in std::iter::once(choice).chain(items(choice, "tools")) {
        let (kind, name) = (text_of(named, "type").unwrap_or_default(), text_of(named, "name"));
        if let (Some(name), "function" | "custom") = (name, kind) {
            report.require(
                names.contains(name) || given(body, "prompt"),
                "/tool_choice",
                format!("tool `{name}` not found in 'tools'"),
            );
        }
    }
}

fn collect_names<'a>(tool: &'a Value, names: &mut HashSet<&'a str>) {
    names.extend(text_of(tool, "name"));
    items(tool, "tools").iter().for_each(|inner| collect_names(inner, names));
}

fn format(body: &Value, report: &mut Report) {
    let Some(format) = body.get("text").and_then(|text| text.get("format")) else { return };
    match text_of(format, "type") {
        Some("json_object") => report.require(
            body.get("input").is_some_and(dialect::mentions_json)
                || body.get("instructions").is_some_and(dialect::mentions_json)
                || given(body, "previous_response_id"),
            "/input",
            "must contain the word 'json' to use 'text.format' of type 'json_object'",
        ),
        Some("json_schema") => {
            let name = text_of(format, "name").unwrap_or_default();
            report.require(is_plain_name(name, 64), "/text/format", format!("bad schema name `{name}`"));
            if format.get("strict") == Some(&Value::Bool(true)) {
                let schema = format.get("schema").unwrap_or(&Value::Null);
                dialect::openai_strict(schema, "/text/format/schema", report);
            }
        }
        _ => {}
    }
}

/// What a tool call item of the model is called, and the item that answers it.
const ANSWERED: [(&str, &str); 6] = [
    ("function_call", "function_call_output"),
    ("custom_tool_call", "custom_tool_call_output"),
    ("computer_call", "computer_call_output"),
    ("local_shell_call", "local_shell_call_output"),
    ("shell_call", "shell_call_output"),
    ("apply_patch_call", "apply_patch_call_output"),
];

fn history(body: &Value, report: &mut Report) {
    let input = items(body, "input");
    let stateful = given(body, "previous_response_id") || given(body, "conversation");
    let stateless = body.get("store") == Some(&Value::Bool(false));
    let mut ids = HashSet::new();
    // Calls that wait for an output: kind of call, call id.
    let mut waiting: Vec<(&str, &str)> = Vec::new();
    let mut calls = HashSet::new();
    for (at, item) in input.iter().enumerate() {
        let path = format!("/input/{at}");
        let kind = text_of(item, "type").unwrap_or("message");
        item_id(item, kind, &mut ids, &path, report);
        let call_id = text_of(item, "call_id").or_else(|| text_of(item, "id")).unwrap_or_default();
        if let Some(length) = text_of(item, "call_id").map(|id| id.chars().count()) {
            report.require((1..=64).contains(&length), &path, "'call_id' must have 1 to 64 characters");
        }
        if ANSWERED.iter().any(|(call, _)| *call == kind) || kind == "tool_search_call" {
            report.require(calls.insert(call_id), &path, format!("duplicate call_id `{call_id}`"));
            // A shell call that ran on the server is followed by its output as well.
            waiting.push((kind, call_id));
        } else if let Some((call, _)) = ANSWERED.iter().find(|(_, output)| *output == kind) {
            // A search of the client's own tools may be answered like a function.
            let answers = |open: &str| open == *call || (open == "tool_search_call" && *call == "function_call");
            match waiting.iter().position(|(open, id)| answers(open) && *id == call_id) {
                Some(found) => drop(waiting.remove(found)),
                None => report.require(stateful, &path, format!("no tool call found for call_id `{call_id}`")),
            }
        }
        match kind {
            "message" => message(item, &path, report),
            "reasoning" => {
                report.require(
                    !stateless || text_of(item, "encrypted_content").is_some_and(|blob| !blob.is_empty()),
                    &path,
                    "a reasoning item needs 'encrypted_content' when nothing is stored",
                );
                let next = input.get(at + 1);
                report.require(
                    next.is_none_or(is_made_by_model),
                    &path,
                    "a reasoning item was provided without its required following item",
                );
            }
            "function_call" | "custom_tool_call" => {
                let name = text_of(item, "name").unwrap_or_default();
                report.require(is_plain_name(name, 128), &path, format!("bad tool name `{name}`"));
            }
            _ => {}
        }
    }
    for (kind, id) in waiting.into_iter().filter(|(kind, _)| *kind != "tool_search_call") {
        report.add("/input", format!("no tool output found for {kind} `{id}`"));
    }
}

fn item_id<'a>(item: &'a Value, kind: &str, ids: &mut HashSet<&'a str>, path: &str, report: &mut Report) {
    let Some(id) = text_of(item, "id") else { return };
    if kind == "item_reference" {
        return;
    }
    report.require(ids.insert(id), path, format!("duplicate item id `{id}`"));
    report.require(id.len() <= 64 || kind == "reasoning", path, "'id' is longer than 64");
    let prefix = match kind {
        "message" => "msg",
        "function_call" => "fc",
        "reasoning" => "rs",
        "custom_tool_call" => "ctc",
        _ => return,
    };
    report.require(id.starts_with(prefix), path, format!("expected an id that begins with '{prefix}': `{id}`"));
}

fn is_made_by_model(item: &Value) -> bool {
    match text_of(item, "type").unwrap_or("message") {
        "message" => text_of(item, "role") == Some("assistant"),
        "item_reference" => true,
        kind => !kind.ends_with("_output") && kind != "additional_tools",
    }
}

fn message(item: &Value, path: &str, report: &mut Report) {
    let by_model = text_of(item, "role") == Some("assistant");
    let content = item.get("content");
    report.require(content.and_then(Value::as_array).is_none_or(|parts| !parts.is_empty()), path, "no content parts");
    for (at, part) in items(item, "content").iter().enumerate() {
        let path = format!("{path}/content/{at}");
        let kind = text_of(part, "type").unwrap_or_default();
        let output = matches!(kind, "output_text" | "refusal");
        report.require(output == by_model, &path, format!("'{kind}' is no content of this role"));
        for (member, value) in [("image_url", "input_image"), ("file_data", "input_file")] {
            if let (true, Some(url)) = (kind == value, text_of(part, member)) {
                dialect::openai_url(url, &path, report);
            }
        }
        if kind == "input_image" {
            let sources = ["image_url", "file_id"].iter().filter(|name| given(part, name)).count();
            report.require(sources == 1, &path, "an image needs exactly one of 'image_url' and 'file_id'");
        }
        if kind == "input_file" {
            let sources = ["file_data", "file_id", "file_url"].iter().filter(|name| given(part, name)).count();
            report.require(sources == 1, &path, "a file needs exactly one source");
            report.require(!given(part, "file_data") || given(part, "filename"), &path, "file data needs a 'filename'");
        }
    }
}
