//! What the Messages API refuses beyond its schema.

use std::collections::HashSet;

use serde_json::Value;

use super::Report;
use super::dialect::{self, is_base64, is_plain_name, items, text_of};

/// What the headers say, and whether our encoders' own promises are judged as well.
pub(super) struct Circumstances<'a> {
    pub(super) version: Option<&'a str>,
    pub(super) betas: &'a [String],
    pub(super) house: bool,
}

pub(super) fn rules(body: &Value, circumstances: &Circumstances<'_>, report: &mut Report) {
    dialect::refuse_carriers(body, "", report);
    limits(body, report);
    sampling(body, circumstances, report);
    thinking(body, circumstances, report);
    tools(body, report);
    cache_marks(body, report);
    blocks_have_text(items(body, "system"), "/system", report);
    if let Some(format) = body.get("output_config").and_then(|config| config.get("format")) {
        dialect::anthropic_strict(format.get("schema").unwrap_or(&Value::Null), "/output_config/format/schema", report);
    }
    let messages = items(body, "messages");
    turns(messages, circumstances, report);
    tool_loop(messages, report);
    for (at, message) in messages.iter().enumerate() {
        let last = at + 1 == messages.len();
        content(message, last, &format!("/messages/{at}"), circumstances, report);
    }
}

fn limits(body: &Value, report: &mut Report) {
    report.require(body.get("max_tokens").and_then(Value::as_i64).is_none_or(|n| n >= 0), "/max_tokens", "negative");
    for (at, stop) in items(body, "stop_sequences").iter().enumerate() {
        let blank = stop.as_str().is_some_and(|text| text.trim().is_empty());
        report.require(!blank, format!("/stop_sequences/{at}"), "each stop sequence must contain non-whitespace");
    }
    if let Some(user) = body.get("metadata").and_then(|metadata| text_of(metadata, "user_id")) {
        report.require(user.chars().count() <= 256, "/metadata/user_id", "longer than 256");
        let mail = user.split_once('@').is_some_and(|(_, host)| host.contains('.') && !host.contains(' '));
        report.require(!mail || user.starts_with('{'), "/metadata/user_id", "looks like an e-mail address");
    }
}

fn thinks(body: &Value) -> Option<&str> {
    body.get("thinking").and_then(|thinking| text_of(thinking, "type")).filter(|kind| *kind != "disabled")
}

fn sampling(body: &Value, circumstances: &Circumstances<'_>, report: &mut Report) {
    let number = |name: &str| body.get(name).and_then(Value::as_f64);
    for name in ["temperature", "top_p", "top_k"] {
        report.require(
            number(name).is_none() || circumstances.version != Some("2026-10-21"),
            format!("/{name}"),
            "not accepted by API version 2026-10-21",
        );
    }
    for name in ["temperature", "top_p"] {
        let fits = number(name).is_none_or(|value| (0.0..=1.0).contains(&value));
        report.require(fits, format!("/{name}"), "outside 0…1");
    }
    report.require(number("top_k").is_none_or(|k| k >= 0.0), "/top_k", "below 0");
    if thinks(body).is_some() {
        report.require(number("temperature").is_none_or(|t| t >= 1.0), "/temperature", "may only be 1 with thinking");
        report.require(number("top_k").is_none(), "/top_k", "must be unset with thinking");
        report.require(number("top_p").is_none_or(|p| p >= 0.95), "/top_p", "must be at least 0.95 with thinking");
    }
}

fn thinking(body: &Value, circumstances: &Circumstances<'_>, report: &mut Report) {
    let Some(kind) = thinks(body) else { return };
    let max = body.get("max_tokens").and_then(Value::as_i64).unwrap_or(0);
    if kind == "enabled" {
        let budget = body.pointer("/thinking/budget_tokens").and_then(Value::as_i64).unwrap_or(0);
        report.require(budget >= 1024, "/thinking/budget_tokens", "must be at least 1024");
        let interleaved = circumstances.betas.iter().any(|flag| flag.starts_with("interleaved-thinking"));
        report.require(budget < max || interleaved, "/thinking/budget_tokens", "'max_tokens' must be greater");
        let choice = body.get("tool_choice").and_then(|choice| text_of(choice, "type"));
        report.require(
            !matches!(choice, Some("any" | "tool")),
            "/tool_choice",
            "thinking may not be enabled when tool_choice forces tool use",
        );
    }
    let messages = items(body, "messages");
    let Some(last) = messages.last() else { return };
    let starts_with_thinking = |message: &Value| items(message, "content").first().is_some_and(is_thinking);
    report.require(
        text_of(last, "role") != Some("assistant") || starts_with_thinking(last),
        "/messages",
        "a final assistant message must start with a thinking block when thinking is enabled",
    );
    // A tool loop under way must start with the thinking that led to it, if the history kept any.
    let has_thinking = |message: &Value| items(message, "content").iter().any(is_thinking);
    if kind == "enabled" && has_block(last, "tool_result") {
        let turn = messages.iter().rev().find(|message| text_of(message, "role") == Some("assistant"));
        if let Some(turn) = turn {
            report.require(
                starts_with_thinking(turn) || messages.iter().any(has_thinking),
                "/messages",
                "expected `thinking` or `redacted_thinking` before `tool_use` when thinking is enabled",
            );
        }
    }
}

fn is_thinking(block: &Value) -> bool {
    matches!(text_of(block, "type"), Some("thinking" | "redacted_thinking"))
}

fn has_block(message: &Value, kind: &str) -> bool {
    items(message, "content").iter().any(|block| text_of(block, "type") == Some(kind))
}

fn tools(body: &Value, report: &mut Report) {
    let tools = items(body, "tools");
    let mut names = HashSet::new();
    for (at, tool) in tools.iter().enumerate() {
        let path = format!("/tools/{at}");
        let name = text_of(tool, "name").unwrap_or_default();
        if name.is_empty() && tool.get("type").is_some() {
            continue; // toolsets have no name of their own
        }
        report.require(is_plain_name(name, 128), &path, format!("bad tool name `{name}`"));
        report.require(names.insert(name), &path, format!("tool names must be unique: `{name}`"));
        if let Some(schema) = tool.get("input_schema") {
            let path = format!("{path}/input_schema");
            report.require(text_of(schema, "type") == Some("object"), &path, "'type' must be \"object\"");
            for keyword in ["anyOf", "oneOf", "allOf"] {
                report.require(schema.get(keyword).is_none(), &path, format!("`{keyword}` at the top level"));
            }
            if tool.get("strict") == Some(&Value::Bool(true)) {
                dialect::anthropic_strict(schema, &path, report);
            }
        }
    }
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else { return };
    let servers = !items(body, "mcp_servers").is_empty();
    report.require(!tools.is_empty() || servers, "/tool_choice", "may only be specified while providing tools");
    if let Some(name) = text_of(choice, "name") {
        report.require(names.contains(name), "/tool_choice", format!("tool `{name}` not found in provided tools"));
    }
}

fn cache_marks(body: &Value, report: &mut Report) {
    let mut marks: Vec<String> = Vec::new();
    let mut visit = |block: &Value, path: String, report: &mut Report| {
        let Some(mark) = block.get("cache_control").filter(|mark| !mark.is_null()) else { return };
        report.require(!is_thinking(block), &path, "no cache_control on thinking blocks");
        let blank = text_of(block, "text").is_some_and(|text| text.trim().is_empty());
        report.require(!blank, &path, "no cache_control on empty text");
        let ttl = text_of(mark, "ttl").unwrap_or("5m");
        let late = ttl == "1h" && marks.iter().any(|earlier| earlier == "5m");
        report.require(!late, &path, "a ttl of 1h must not come after a ttl of 5m");
        marks.push(ttl.to_owned());
    };
    for (at, tool) in items(body, "tools").iter().enumerate() {
        visit(tool, format!("/tools/{at}"), report);
    }
    for (at, block) in items(body, "system").iter().enumerate() {
        visit(block, format!("/system/{at}"), report);
    }
    for (at, message) in items(body, "messages").iter().enumerate() {
        for (block_at, block) in items(message, "content").iter().enumerate() {
            for (inner_at, inner) in items(block, "content").iter().enumerate() {
                visit(inner, format!("/messages/{at}/content/{block_at}/content/{inner_at}"), report);
            }
            visit(block, format!("/messages/{at}/content/{block_at}"), report);
        }
    }
    report.require(marks.len() <= 4, "/", format!("a maximum of 4 blocks with cache_control, found {}", marks.len()));
}

fn turns(messages: &[Value], circumstances: &Circumstances<'_>, report: &mut Report) {
    report.require(!messages.is_empty(), "/messages", "at least one message is required");
    let role = |at: usize| messages.get(at).and_then(|message| text_of(message, "role")).unwrap_or_default();
    // The service takes an assistant message first; translations begin with the user as its documentation asks.
    let first = if circumstances.house { role(0) == "user" } else { role(0) != "system" };
    report.require(messages.is_empty() || first, "/messages/0", "first message must use the user role");
    for at in 1..messages.len() {
        if role(at) == "system" {
            let follows = matches!(role(at - 1), "user" | "system");
            report.require(follows, format!("/messages/{at}"), "a system message must follow a user turn");
        } else if circumstances.house {
            report.require(role(at) != role(at - 1), format!("/messages/{at}"), "turns do not alternate");
        }
    }
}

/// Consecutive turns of one role count as one: pairs of role and blocks (system messages stand aside).
fn merged(messages: &[Value]) -> Vec<(&str, Vec<&Value>)> {
    let mut turns: Vec<(&str, Vec<&Value>)> = Vec::new();
    for message in messages {
        let role = text_of(message, "role").unwrap_or_default();
        if role == "system" {
            continue;
        }
        let blocks = items(message, "content").iter();
        match turns.last_mut() {
            Some((open, all)) if *open == role => all.extend(blocks),
            _ => turns.push((role, blocks.collect())),
        }
    }
    turns
}

fn tool_loop(messages: &[Value], report: &mut Report) {
    let turns = merged(messages);
    let of_kind = |turn: usize, kind: &str, member: &str| -> Vec<String> {
        let blocks = turns.get(turn).map_or(&[][..], |(_, blocks)| blocks);
        let chosen = blocks.iter().filter(|block| text_of(block, "type") == Some(kind));
        chosen.map(|block| text_of(block, member).unwrap_or_default().to_owned()).collect()
    };
    let mut seen = HashSet::new();
    for (at, (role, blocks)) in turns.iter().enumerate() {
        let path = format!("/messages (turn {at})");
        let uses = of_kind(at, "tool_use", "id");
        report.require(uses.is_empty() || *role == "assistant", &path, "tool_use outside an assistant message");
        for id in &uses {
            report.require(is_plain_name(id, usize::MAX), &path, format!("bad tool_use id `{id}`"));
            report.require(seen.insert(id.clone()), &path, format!("`tool_use` ids must be unique: `{id}`"));
        }
        let answers = of_kind(at + 1, "tool_result", "tool_use_id");
        for id in &uses {
            report.require(
                answers.contains(id),
                &path,
                format!("`tool_use` ids were found without `tool_result` blocks immediately after: {id}"),
            );
        }
        let results = of_kind(at, "tool_result", "tool_use_id");
        let asked = if at == 0 { Vec::new() } else { of_kind(at - 1, "tool_use", "id") };
        for (nth, id) in results.iter().enumerate() {
            report.require(asked.contains(id), &path, format!("unexpected `tool_use_id` in `tool_result`: {id}"));
            let again = results.iter().take(nth).any(|earlier| earlier == id);
            report.require(!again, &path, format!("each tool_use must have a single result: {id}"));
        }
        let is_result = |block: &&&Value| text_of(block, "type") == Some("tool_result");
        let leading = blocks.iter().take_while(is_result).count();
        report.require(leading == results.len(), &path, "`tool_result` blocks must come first in the content");
    }
}

fn content(message: &Value, last: bool, path: &str, circumstances: &Circumstances<'_>, report: &mut Report) {
    let by_model = text_of(message, "role") == Some("assistant");
    let empty = match message.get("content") {
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(Value::Array(blocks)) => blocks.is_empty(),
        _ => false,
    };
    report.require(!empty || (by_model && last), path, "messages must have non-empty content");
    let blocks = items(message, "content");
    blocks_have_text(blocks, path, report);
    if by_model && last {
        let text = text_of(message, "content").or_else(|| blocks.last().and_then(|block| text_of(block, "text")));
        let trailing = text.is_some_and(|text| text.ends_with(char::is_whitespace));
        report.require(!trailing, path, "final assistant content cannot end with trailing whitespace");
    }
    let calls_from = blocks.iter().position(|block| text_of(block, "type") == Some("tool_use"));
    for (at, block) in blocks.iter().enumerate() {
        let path = format!("{path}/content/{at}");
        let kind = text_of(block, "type").unwrap_or_default();
        source(block, &path, report);
        match kind {
            "tool_result" => {
                blocks_have_text(items(block, "content"), &path, report);
                items(block, "content").iter().for_each(|inner| source(inner, &path, report));
                report.require(!by_model, &path, "tool_result outside a user message");
            }
            "thinking" | "redacted_thinking" => {
                report.require(by_model, &path, "thinking outside an assistant message")
            }
            "document" if circumstances.version == Some("2026-10-21") => {
                report.require(!by_model, &path, "document in an assistant message");
            }
            "text" if circumstances.version == Some("2026-10-21") => {
                report.require(by_model || items(block, "citations").is_empty(), &path, "citations on user text");
            }
            _ => {}
        }
        if circumstances.house && calls_from.is_some_and(|from| at > from) {
            report.require(kind != "text", &path, "text after tool_use");
        }
    }
}

fn blocks_have_text(blocks: &[Value], path: &str, report: &mut Report) {
    for (at, block) in blocks.iter().enumerate() {
        if let (Some("text"), Some(text)) = (text_of(block, "type"), text_of(block, "text")) {
            report.require(
                !text.trim().is_empty(),
                format!("{path}/{at}"),
                "text content blocks must contain non-whitespace text",
            );
        }
    }
}

fn source(block: &Value, path: &str, report: &mut Report) {
    let Some(source) = block.get("source") else { return };
    if text_of(source, "type") == Some("base64") {
        let data = text_of(source, "data").unwrap_or_default();
        report.require(!data.is_empty() && is_base64(data, false), path, "bad base64");
    }
    if let Some(url) = text_of(source, "url") {
        report.require(url.starts_with("https://") || url.starts_with("http://"), path, "only http(s) URLs");
    }
}
