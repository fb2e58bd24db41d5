//! What Chat Completions refuses beyond its schema.

use std::collections::HashSet;

use serde_json::Value;

use super::Report;
use super::dialect::{self, is_base64, is_plain_name, items, text_of};

pub(super) fn rules(body: &Value, report: &mut Report) {
    dialect::refuse_carriers(body, "", report);
    dialect::openai_metadata(body, report);
    limits(body, report);
    tools(body, report);
    format(body, report);
    history(items(body, "messages"), report);
}

fn limits(body: &Value, report: &mut Report) {
    let given = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    report.require(
        !(given("max_tokens") && given("max_completion_tokens")),
        "/max_tokens",
        "'max_tokens' and 'max_completion_tokens' at the same time is not supported",
    );
    for name in ["max_tokens", "max_completion_tokens"] {
        let small = body.get(name).and_then(Value::as_i64).is_some_and(|n| n < 1);
        report.require(!small, format!("/{name}"), "below the minimum of 1");
    }
    report.require(
        !given("top_logprobs") || body.get("logprobs") == Some(&Value::Bool(true)),
        "/top_logprobs",
        "'top_logprobs' requires 'logprobs'",
    );
    report.require(items(body, "stop").len() <= 4, "/stop", "more than 4 stop sequences");
    report.require(
        !given("stream_options") || body.get("stream") == Some(&Value::Bool(true)),
        "/stream_options",
        "only allowed when 'stream' is enabled",
    );
    for (name, low, high) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
        ("n", 1.0, 128.0),
        ("top_logprobs", 0.0, 20.0),
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

fn tools(body: &Value, report: &mut Report) {
    let tools = items(body, "tools");
    let declared = body.get("tools").is_some_and(Value::is_array);
    report.require(!declared || !tools.is_empty(), "/tools", "array too short: expected at least 1 tool");
    let mut names = HashSet::new();
    for (at, tool) in tools.iter().enumerate() {
        let path = format!("/tools/{at}");
        let kind = text_of(tool, "type").unwrap_or_default();
        let inner = tool.get(kind).unwrap_or(&Value::Null);
        let name = text_of(inner, "name").unwrap_or_default();
        report.require(is_plain_name(name, 64), &path, format!("bad tool name `{name}`"));
        names.insert((kind, name));
        if inner.get("strict") == Some(&Value::Bool(true)) {
            dialect::openai_strict(
                inner.get("parameters").unwrap_or(&Value::Null),
                &format!("{path}/function/parameters"),
                report,
            );
        } else if let Some(schema) = inner.get("parameters") {
            let object = text_of(schema, "type") == Some("object") || schema.as_object().is_some_and(|s| s.is_empty());
            report.require(object, &path, "the schema of a function must have type \"object\"");
        }
    }
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    report.require(choice.is_null() || !tools.is_empty(), "/tool_choice", "only allowed when 'tools' are specified");
    report.require(
        body.get("parallel_tool_calls").is_none_or(Value::is_null) || !tools.is_empty(),
        "/parallel_tool_calls",
        "only allowed when 'tools' are specified",
    );
    let allowed = choice.get("allowed_tools").map_or(&[][..], |allowed| items(allowed, "tools"));
    for named in std::iter::once(choice).chain(allowed) {
        let kind = text_of(named, "type").unwrap_or_default();
        if let Some(name) = named.get(kind).and_then(|inner| text_of(inner, "name")) {
            report.require(
                names.contains(&(kind, name)),
                "/tool_choice",
                format!("tool `{name}` not found in 'tools'"),
            );
        }
    }
}

fn format(body: &Value, report: &mut Report) {
    let Some(format) = body.get("response_format") else { return };
    match text_of(format, "type") {
        Some("json_object") => report.require(
            body.get("messages").is_some_and(dialect::mentions_json),
            "/messages",
            "must contain the word 'json' to use 'response_format' of type 'json_object'",
        ),
        Some("json_schema") => {
            let schema = format.get("json_schema").unwrap_or(&Value::Null);
            let name = text_of(schema, "name").unwrap_or_default();
            report.require(is_plain_name(name, 64), "/response_format", format!("bad schema name `{name}`"));
            if schema.get("strict") == Some(&Value::Bool(true)) {
                let inner = schema.get("schema").unwrap_or(&Value::Null);
                dialect::openai_strict(inner, "/response_format/json_schema/schema", report);
            }
        }
        _ => {}
    }
}

fn history(messages: &[Value], report: &mut Report) {
    report.require(!messages.is_empty(), "/messages", "array too short: expected at least 1 message");
    // Ids of the assistant message above that wait for their tool message.
    let mut waiting: Vec<String> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let path = format!("/messages/{at}");
        let role = text_of(message, "role").unwrap_or_default();
        if role == "tool" {
            let id = text_of(message, "tool_call_id").unwrap_or_default();
            match waiting.iter().position(|open| open == id) {
                Some(found) => drop(waiting.remove(found)),
                None => {
                    report.add(&path, format!("role 'tool' must answer a preceding message with 'tool_calls': `{id}`"))
                }
            }
        } else {
            unanswered(&mut waiting, &path, report);
        }
        if role == "assistant" {
            waiting = assistant(message, &path, report);
        }
        parts(message, &path, report);
    }
    unanswered(&mut waiting, "/messages", report);
}

fn unanswered(waiting: &mut Vec<String>, path: &str, report: &mut Report) {
    for id in waiting.drain(..) {
        report.add(path, format!("'tool_calls' must be followed by tool messages for each id, missing `{id}`"));
    }
}

/// Judges an assistant message; returns the ids it waits for.
fn assistant(message: &Value, path: &str, report: &mut Report) -> Vec<String> {
    let calls = items(message, "tool_calls");
    let given = |name: &str| message.get(name).is_some_and(|value| !value.is_null());
    report.require(
        message.get("tool_calls").is_none_or(Value::is_null) || !calls.is_empty(),
        path,
        "'tool_calls' is an empty array",
    );
    report.require(
        given("content") || !calls.is_empty() || given("refusal") || given("audio") || given("function_call"),
        path,
        "'content' is null without tool calls",
    );
    let mut ids: Vec<String> = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let path = format!("{path}/tool_calls/{at}");
        let id = text_of(call, "id").unwrap_or_default();
        report.require(!id.is_empty(), &path, "empty id");
        report.require(!ids.iter().any(|known| known == id), &path, format!("duplicate id `{id}`"));
        let kind = text_of(call, "type").unwrap_or_default();
        let name = call.get(kind).and_then(|inner| text_of(inner, "name")).unwrap_or_default();
        report.require(is_plain_name(name, 64), &path, format!("bad function name `{name}`"));
        ids.push(id.to_owned());
    }
    ids
}

fn parts(message: &Value, path: &str, report: &mut Report) {
    let content = message.get("content");
    report.require(content.and_then(Value::as_array).is_none_or(|parts| !parts.is_empty()), path, "no content parts");
    for (at, part) in items(message, "content").iter().enumerate() {
        let path = format!("{path}/content/{at}");
        if let Some(url) = part.get("image_url").and_then(|image| text_of(image, "url")) {
            dialect::openai_url(url, &path, report);
        }
        if let Some(data) = part.get("input_audio").and_then(|audio| text_of(audio, "data")) {
            report.require(is_base64(data, false), &path, "bad base64");
        }
        if let Some(data) = part.get("file").and_then(|file| text_of(file, "file_data")) {
            dialect::openai_url(data, &path, report);
        }
    }
}
