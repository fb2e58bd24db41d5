//! What `generateContent` refuses beyond its schema.

use std::collections::HashSet;

use serde_json::Value;

use super::Report;
use super::dialect::{self, is_base64, items, text_of, walk};

pub(super) fn rules(body: &Value, model: Option<&str>, house: bool, report: &mut Report) {
    dialect::refuse_carriers(body, "", report);
    generation(body.get("generationConfig").unwrap_or(&Value::Null), report);
    let names = tools(body, house, report);
    tool_config(body, &names, report);
    if body.get("cachedContent").is_some() {
        for name in ["systemInstruction", "tools", "toolConfig"] {
            report.require(body.get(name).is_none(), format!("/{name}"), "not with 'cachedContent'");
        }
    }
    let contents = items(body, "contents");
    report.require(!contents.is_empty(), "/contents", "contents is not specified");
    for (at, content) in contents.iter().enumerate() {
        parts(content, &format!("/contents/{at}"), house, report);
    }
    if let Some(system) = body.get("systemInstruction") {
        parts(system, "/systemInstruction", house, report);
    }
    turns(contents, house, report);
    if model.is_some_and(|model| model.trim_start_matches("models/").starts_with("gemini-3")) {
        signatures(contents, report);
    }
}

/// Members below which names are the client's own and stay as they are.
const OPAQUE: [&str; 8] =
    ["args", "response", "parametersJsonSchema", "responseJsonSchema", "properties", "labels", "defs", "example"];

/// The body with the names of members in camel case and enums in upper case: the service takes either spelling.
pub(crate) fn camel_case(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, member)| {
                    let name = camel_name(name);
                    let opaque = OPAQUE.contains(&name.as_str());
                    let member = match member {
                        Value::Object(inner) if opaque && name == "properties" => {
                            Value::Object(inner.iter().map(|(key, schema)| (key.clone(), camel_case(schema))).collect())
                        }
                        other if opaque => other.clone(),
                        Value::String(text) if matches!(name.as_str(), "type" | "mode") => {
                            Value::String(text.to_ascii_uppercase())
                        }
                        other => camel_case(other),
                    };
                    (name, member)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(camel_case).collect()),
        other => other.clone(),
    }
}

fn camel_name(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.extend(letters);
    }
    out
}

fn generation(config: &Value, report: &mut Report) {
    for (name, low, high) in [
        ("temperature", 0.0, 2.0),
        ("topP", 0.0, 1.0),
        ("topK", 1.0, f64::MAX),
        ("candidateCount", 1.0, 8.0),
        ("maxOutputTokens", 1.0, f64::from(i32::MAX)),
        ("presencePenalty", -2.0, 2.0),
        ("frequencyPenalty", -2.0, 2.0),
        ("seed", f64::from(i32::MIN), f64::from(i32::MAX)),
        ("logprobs", 0.0, 20.0),
    ] {
        if let Some(value) = config.get(name).and_then(Value::as_f64) {
            let path = format!("/generationConfig/{name}");
            report.require((low..=high).contains(&value), path, format!("{value} is outside {low}…{high}"));
        }
    }
    report.require(items(config, "stopSequences").len() <= 5, "/generationConfig/stopSequences", "more than 5");
    report.require(
        config.get("logprobs").is_none() || config.get("responseLogprobs") == Some(&Value::Bool(true)),
        "/generationConfig/logprobs",
        "needs 'responseLogprobs'",
    );
    let thinking = config.get("thinkingConfig").unwrap_or(&Value::Null);
    report.require(
        thinking.get("thinkingBudget").is_none() || thinking.get("thinkingLevel").is_none(),
        "/generationConfig/thinkingConfig",
        "only one of 'thinkingBudget' and 'thinkingLevel'",
    );
    let schemas = ["responseSchema", "responseJsonSchema"].iter().filter(|name| config.get(**name).is_some()).count();
    report.require(schemas <= 1, "/generationConfig", "only one of 'responseSchema' and 'responseJsonSchema'");
    let mime = text_of(config, "responseMimeType").unwrap_or("text/plain");
    report.require(
        schemas == 0 || mime != "text/plain",
        "/generationConfig/responseMimeType",
        "a response schema needs 'application/json' or 'text/x.enum'",
    );
    if let Some(schema) = config.get("responseSchema") {
        openapi_schema(schema, "/generationConfig/responseSchema", report);
    }
}

/// Judges the declarations; returns the declared names.
fn tools(body: &Value, house: bool, report: &mut Report) -> HashSet<String> {
    let mut names = HashSet::new();
    for (at, tool) in items(body, "tools").iter().enumerate() {
        let path = format!("/tools/{at}");
        report.require(tool.as_object().is_none_or(|members| !members.is_empty()), &path, "an empty tool");
        for (fn_at, function) in items(tool, "functionDeclarations").iter().enumerate() {
            let path = format!("{path}/functionDeclarations/{fn_at}");
            let name = text_of(function, "name").unwrap_or_default();
            report.require(is_function_name(name), &path, format!("invalid function name `{name}`"));
            report.require(names.insert(name.to_owned()), &path, format!("duplicate function declaration: {name}"));
            report.require(
                !house || text_of(function, "description").is_none_or(|text| !text.is_empty()),
                &path,
                "an empty description",
            );
            report.require(
                function.get("parameters").is_none() || function.get("parametersJsonSchema").is_none(),
                &path,
                "only one of 'parameters' and 'parametersJsonSchema'",
            );
            if let Some(schema) = function.get("parameters") {
                openapi_schema(schema, &format!("{path}/parameters"), report);
            }
        }
    }
    names
}

fn is_function_name(name: &str) -> bool {
    let good_start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    good_start && name.len() <= 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b))
}

fn openapi_schema(schema: &Value, path: &str, report: &mut Report) {
    walk(schema, path, report, &|node, path, report| {
        let kind = text_of(node, "type").unwrap_or_default().to_ascii_uppercase();
        if kind == "ARRAY" {
            report.require(node.get("items").is_some(), path, "items: missing field");
        }
        let properties = node.get("properties").and_then(Value::as_object);
        for name in items(node, "required").iter().filter_map(Value::as_str) {
            report.require(
                properties.is_some_and(|properties| properties.contains_key(name)),
                path,
                format!("required: property `{name}` is not defined"),
            );
        }
        for value in items(node, "enum") {
            report.require(value.is_string(), path, "enum: only strings");
        }
    });
}

fn tool_config(body: &Value, names: &HashSet<String>, report: &mut Report) {
    let Some(config) = body.pointer("/toolConfig/functionCallingConfig") else { return };
    let path = "/toolConfig/functionCallingConfig";
    let mode = text_of(config, "mode").unwrap_or("AUTO").to_ascii_uppercase();
    let allowed = items(config, "allowedFunctionNames");
    report.require(
        !names.is_empty() || !matches!(mode.as_str(), "ANY" | "VALIDATED"),
        path,
        "set without function_declarations",
    );
    report.require(
        allowed.is_empty() || matches!(mode.as_str(), "ANY" | "VALIDATED"),
        path,
        "'allowedFunctionNames' only with mode ANY or VALIDATED",
    );
    for name in allowed.iter().filter_map(Value::as_str) {
        report.require(
            names.contains(name),
            path,
            format!("'allowedFunctionNames' names `{name}`, which is not declared"),
        );
    }
}

/// The members of a part of which exactly one must be there.
const DATA: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

fn parts(content: &Value, path: &str, house: bool, report: &mut Report) {
    let parts = items(content, "parts");
    report.require(!parts.is_empty(), path, "must include at least one parts field");
    if let Some(role) = text_of(content, "role") {
        report.require(matches!(role, "user" | "model" | "function"), path, "use a valid role: user, model");
    }
    for (at, part) in parts.iter().enumerate() {
        let path = format!("{path}/parts/{at}");
        let data = DATA.iter().filter(|name| part.get(**name).is_some()).count();
        let only_metadata = !house && data == 0 && part.get("videoMetadata").is_some();
        report.require(data == 1 || only_metadata, &path, "must have one initialized field of 'data'");
        if let Some(signature) = part.get("thoughtSignature") {
            report.require(
                signature.as_str().is_some_and(|s| is_base64(s, true)),
                &path,
                "thoughtSignature: bad base64",
            );
        } else if house {
            report.require(text_of(part, "text") != Some(""), &path, "an empty text without a signature");
        }
        if let Some(blob) = part.get("inlineData") {
            let good = text_of(blob, "data").is_some_and(|data| !data.is_empty() && is_base64(data, true));
            report.require(good, &path, "inlineData: bad base64");
            report.require(
                text_of(blob, "mimeType").is_some_and(|m| m.contains('/')),
                &path,
                "inlineData: no mimeType",
            );
        }
        for kind in ["functionCall", "functionResponse"] {
            if let Some(name) = part.get(kind).map(|inner| text_of(inner, "name").unwrap_or_default()) {
                report.require(is_function_name(name), &path, format!("{kind}: invalid name `{name}`"));
            }
        }
    }
}

fn role(content: &Value) -> &str {
    match text_of(content, "role") {
        Some("model") => "model",
        _ => "user",
    }
}

/// A turn: its role, where it starts, and the parts of all contents that make it up.
struct Turn<'a> {
    role: &'a str,
    at: usize,
    parts: Vec<&'a Value>,
}

impl<'a> Turn<'a> {
    /// Name and id of all parts of one kind.
    fn named(&self, kind: &str) -> Vec<(&'a str, Option<&'a str>)> {
        let inner = self.parts.iter().filter_map(|part| part.get(kind));
        inner.map(|inner| (text_of(inner, "name").unwrap_or_default(), text_of(inner, "id"))).collect()
    }
}

/// The turns of a history: the service reads contents of one role in a row as one turn.
fn merged(contents: &[Value]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (at, content) in contents.iter().enumerate() {
        match turns.last_mut() {
            Some(open) if open.role == role(content) => open.parts.extend(items(content, "parts")),
            _ => turns.push(Turn { role: role(content), at, parts: items(content, "parts").iter().collect() }),
        }
    }
    turns
}

fn turns(contents: &[Value], house: bool, report: &mut Report) {
    let turns = merged(contents);
    report.require(!house || turns.len() == contents.len(), "/contents", "turns do not alternate");
    report.require(
        !house || turns.first().is_none_or(|turn| turn.role == "user"),
        "/contents/0",
        "must be a user turn",
    );
    for (nth, turn) in turns.iter().enumerate() {
        let path = format!("/contents/{}", turn.at);
        let before = nth.checked_sub(1).and_then(|before| turns.get(before));
        let calls = turn.named("functionCall");
        if !calls.is_empty() {
            report.require(turn.role == "model", &path, "functionCall outside a model turn");
            report.require(
                before.is_some(),
                &path,
                "function call turn must come immediately after a user turn or after a function response turn",
            );
            let responses = turns.get(nth + 1).map(|next| next.named("functionResponse")).unwrap_or_default();
            answered(&calls, &responses, &path, report);
        }
        if !turn.named("functionResponse").is_empty() {
            report.require(turn.role == "user", &path, "functionResponse outside a user turn");
            report.require(
                before.is_some_and(|before| !before.named("functionCall").is_empty()),
                &path,
                "function response turn must come immediately after a function call turn",
            );
        }
    }
}

fn answered(calls: &[(&str, Option<&str>)], responses: &[(&str, Option<&str>)], path: &str, report: &mut Report) {
    report.require(
        calls.len() == responses.len(),
        path,
        format!(
            "the number of function response parts ({}) must equal the number of function call parts ({})",
            responses.len(),
            calls.len()
        ),
    );
    let by_id = calls.iter().chain(responses).all(|(_, id)| id.is_some());
    for (nth, (name, id)) in responses.iter().enumerate() {
        let matching = if by_id {
            calls.iter().any(|(called, call_id)| called == name && call_id == id)
        } else {
            calls.get(nth).is_some_and(|(called, _)| called == name)
        };
        report.require(matching, path, format!("functionResponse `{name}` does not match its function call"));
    }
}

/// Gemini 3 checks the first call of every step of the current turn: all that follows the last user content which is
/// not a function response.
fn signatures(contents: &[Value], report: &mut Report) {
    let turns = merged(contents);
    let asks = |turn: &Turn<'_>| turn.role == "user" && turn.named("functionResponse").is_empty();
    let from = turns.iter().rposition(asks).unwrap_or(0);
    for turn in turns.iter().skip(from) {
        let first = turn.parts.iter().find(|part| part.get("functionCall").is_some());
        if let Some(part) = first {
            report.require(
                text_of(part, "thoughtSignature").is_some_and(|signature| !signature.is_empty()),
                format!("/contents/{}", turn.at),
                "function call is missing a thought_signature",
            );
        }
    }
}
