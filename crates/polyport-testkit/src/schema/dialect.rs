//! Rules that several services share: names, base64, restricted JSON Schema dialects, tokens of other systems.

use serde_json::Value;

use super::Report;

/// Whether `name` is 1 to `longest` characters of letters, digits, `_` and `-`.
pub(super) fn is_plain_name(name: &str, longest: usize) -> bool {
    !name.is_empty() && name.len() <= longest && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// Whether `text` is standard base64; `url_safe` also allows that alphabet and missing padding.
pub(super) fn is_base64(text: &str, url_safe: bool) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b"+/".contains(&b) || (url_safe && b"-_".contains(&b));
    let length = body.len() % 4 != 1 && padding <= 2 && ((padding == 0 && url_safe) || text.len().is_multiple_of(4));
    length && body.bytes().all(alphabet)
}

/// The string member `name` of an object.
pub(super) fn text_of<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// The items of the array member `name`, none where it is absent.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Reports carriers of signatures anywhere in the body: they are meant for clients and never reach a provider.
pub(super) fn refuse_carriers(value: &Value, path: &str, report: &mut Report) {
    match value {
        // Standard base64 of a carrier starts with the encoded prefix `pp1.` (the last digit depends on what follows).
        Value::String(text) if is_carrier(text) || text.starts_with("cHAxL") => {
            report.add(path, "a signature carrier reached a provider");
        }
        Value::Object(members) => {
            for (name, member) in members {
                refuse_carriers(member, &format!("{path}/{name}"), report);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                refuse_carriers(item, &format!("{path}/{at}"), report);
            }
        }
        _ => {}
    }
}

fn is_carrier(text: &str) -> bool {
    text.starts_with("pp1.") && text.split('.').count() == 6
}

/// `OpenAI`'s strict dialect: every object is closed and lists all of its properties as required.
pub(super) fn openai_strict(schema: &Value, path: &str, report: &mut Report) {
    if !is_object_schema(schema) {
        report.add(path, "a strict schema must have an object at its root");
    }
    if schema.get("anyOf").is_some() {
        report.add(path, "a strict schema has no anyOf at its root");
    }
    walk(schema, path, report, &|node, path, report| {
        for keyword in
            ["oneOf", "allOf", "not", "patternProperties", "uniqueItems", "minLength", "maxLength", "default"]
        {
            report.require(
                node.get(keyword).is_none(),
                path,
                format!("`{keyword}` is not permitted in a strict schema"),
            );
        }
        if node.get("type").and_then(Value::as_str) == Some("array") {
            report.require(node.get("items").is_some(), path, "array schema missing items");
        }
        if is_object_schema(node) {
            closed(node, path, report);
            let required = items(node, "required");
            for name in node.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name) {
                report.require(
                    required.iter().any(|r| r == name),
                    path,
                    format!("'required' must name every property of a strict schema, missing `{name}`"),
                );
            }
        }
    });
}

/// Anthropic's dialect of structured output and strict tools.
pub(super) fn anthropic_strict(schema: &Value, path: &str, report: &mut Report) {
    walk(schema, path, report, &|node, path, report| {
        let refused = [
            "oneOf",
            "minLength",
            "maxLength",
            "pattern",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "maxItems",
            "uniqueItems",
            "prefixItems",
            "patternProperties",
        ];
        for keyword in refused {
            report.require(node.get(keyword).is_none(), path, format!("property `{keyword}` is not supported"));
        }
        if is_object_schema(node) {
            closed(node, path, report);
        }
    });
}

fn closed(node: &Value, path: &str, report: &mut Report) {
    report.require(
        node.get("additionalProperties") == Some(&Value::Bool(false)),
        path,
        "'additionalProperties' must be set to false on an object",
    );
}

fn is_object_schema(node: &Value) -> bool {
    match node.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => node.get("properties").is_some(),
    }
}

/// Visits every subschema.
pub(super) fn walk(node: &Value, path: &str, report: &mut Report, visit: &dyn Fn(&Value, &str, &mut Report)) {
    let Some(members) = node.as_object() else { return };
    visit(node, path, report);
    for (name, member) in members {
        match name.as_str() {
            "properties" | "$defs" | "definitions" | "defs" => {
                for (name_below, below) in member.as_object().into_iter().flatten() {
                    walk(below, &format!("{path}/{name}/{name_below}"), report, visit);
                }
            }
            "items" | "additionalProperties" | "not" | "prefixItems" | "anyOf" | "oneOf" | "allOf" => match member {
                Value::Array(all) => {
                    for (at, below) in all.iter().enumerate() {
                        walk(below, &format!("{path}/{name}/{at}"), report, visit);
                    }
                }
                below => walk(below, &format!("{path}/{name}"), report, visit),
            },
            _ => {}
        }
    }
}

/// Whether the word "json" stands anywhere in the strings of a value, as JSON mode demands.
pub(super) fn mentions_json(value: &Value) -> bool {
    match value {
        Value::String(text) => text.to_ascii_lowercase().contains("json"),
        Value::Array(items) => items.iter().any(mentions_json),
        Value::Object(members) => members.values().any(mentions_json),
        _ => false,
    }
}

/// The end-user metadata of `OpenAI`: at most 16 pairs, keys to 64 and values to 512 characters.
pub(super) fn openai_metadata(body: &Value, report: &mut Report) {
    let Some(pairs) = body.get("metadata").and_then(Value::as_object) else { return };
    report.require(pairs.len() <= 16, "/metadata", "more than 16 pairs");
    for (key, value) in pairs {
        report.require(key.chars().count() <= 64, "/metadata", format!("key `{key}` is longer than 64"));
        let length = value.as_str().map_or(0, |v| v.chars().count());
        report.require(length <= 512, format!("/metadata/{key}"), "longer than 512");
    }
}

/// A media reference of `OpenAI`: an http(s) URL or a data URL with good base64.
pub(super) fn openai_url(url: &str, path: &str, report: &mut Report) {
    if let Some(data) = url.strip_prefix("data:") {
        let good = data.split_once(";base64,").is_some_and(|(mime, data)| mime.contains('/') && is_base64(data, false));
        report.require(good, path, "not a base64 data URL");
    } else {
        let good = url.starts_with("https://") || url.starts_with("http://");
        report.require(good, path, "neither an http(s) URL nor a data URL");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_judged_by_alphabet_and_length() {
        for good in ["", "AAAA", "AAA=", "AA=="] {
            assert!(is_base64(good, false), "{good}");
        }
        for bad in ["A", "AAA", "AA-_", "AA=A", "A===", "AAAA====", "AA AA"] {
            assert!(!is_base64(bad, false), "{bad}");
        }
        assert!(is_base64("skip_thought_signature_validator", true));
        assert!(is_base64("AbC0", true) && is_base64("AbC", true) && !is_base64("AbC0A", true));
    }

    #[test]
    fn carriers_are_found_wherever_they_hide() {
        let carrier = "pp1.g.fn.5c1e90aa.RXFR.bWFjbWFj";
        for body in [
            serde_json::json!({ "a": [{ "b": carrier }] }),
            serde_json::json!({ "thoughtSignature": "cHAxLmcuZm4uNWMxZTkwYWEuUlhGUi5iV0ZqYldGag==" }),
        ] {
            let mut report = Report::default();
            refuse_carriers(&body, "", &mut report);
            assert!(report.into_result().is_err(), "{body}");
        }
    }
}
