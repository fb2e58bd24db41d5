//! Gemini's `Schema` form (a subset of OpenAPI 3.0), there and back.

use serde_json::{Map, Value};

use super::clean::{Position, add_null, lower_types, position};

/// How types are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Lower,
}

/// Gives a cleaned JSON Schema the words of the `Schema` form: one type per schema, `nullable`, the order of properties.
pub(super) fn shape(schema: Value, case: Case) -> Value {
    let Value::Object(map) = schema else { return schema };
    let mut out = Map::with_capacity(map.len() + 1);
    let mut nullable = map.get("nullable") == Some(&Value::Bool(true));
    for (key, value) in map {
        match key.as_str() {
            "nullable" => {}
            "type" => nullable |= types(value, &mut out, case),
            "anyOf" => nullable |= alternatives(value, &mut out, case),
            "properties" => match value {
                // The API refuses an object with an empty list of properties, not one without.
                Value::Object(properties) if properties.is_empty() => {}
                Value::Object(properties) => {
                    let children = properties.into_iter().map(|(name, child)| (name, shape(child, case)));
                    out.insert(key, Value::Object(children.collect()));
                }
                _ => {}
            },
            "items" => drop(out.insert(key, shape(value, case))),
            _ => drop(out.insert(key, value)),
        }
    }
    infer_type(&mut out, case);
    if nullable {
        out.insert("nullable".to_owned(), Value::Bool(true));
    }
    if case == Case::Upper
        && !out.contains_key("propertyOrdering")
        && let Some(Value::Object(properties)) = out.get("properties")
        && properties.len() > 1
    {
        let order = properties.keys().map(|name| Value::String(name.clone())).collect();
        out.insert("propertyOrdering".to_owned(), Value::Array(order));
    }
    Value::Object(out)
}

fn type_word(word: &str, case: Case) -> Value {
    match case {
        Case::Upper => word.to_ascii_uppercase().into(),
        Case::Lower => word.to_ascii_lowercase().into(),
    }
}

/// Writes `type`; true if null was one of several.
fn types(value: Value, out: &mut Map<String, Value>, case: Case) -> bool {
    match value {
        Value::String(word) => {
            out.insert("type".to_owned(), type_word(&word, case));
            false
        }
        Value::Array(words) => {
            let is_null = |word: &Value| word.as_str().is_some_and(|word| word.eq_ignore_ascii_case("null"));
            let nullable = words.iter().any(is_null);
            let mut rest: Vec<Value> = words
                .iter()
                .filter(|word| !is_null(word))
                .filter_map(Value::as_str)
                .map(|word| type_word(word, case))
                .collect();
            match rest.len() {
                0 if nullable => drop(out.insert("type".to_owned(), type_word("null", case))),
                0 => {}
                1 => drop(out.insert("type".to_owned(), rest.swap_remove(0))),
                _ => {
                    let any = rest.into_iter().map(|word| Value::Object(Map::from_iter([("type".to_owned(), word)])));
                    out.insert("anyOf".to_owned(), Value::Array(any.collect()));
                }
            }
            nullable && (out.contains_key("anyOf") || out.get("type") != Some(&type_word("null", case)))
        }
        _ => false,
    }
}

/// Writes `anyOf` without null; a single alternative is written in place. True if null was one of them.
fn alternatives(value: Value, out: &mut Map<String, Value>, case: Case) -> bool {
    let Value::Array(branches) = value else { return false };
    let is_null = |branch: &Value| {
        branch.get("type").and_then(Value::as_str).is_some_and(|word| word.eq_ignore_ascii_case("null"))
    };
    let count = branches.len();
    if count == 0 {
        return false;
    }
    let mut rest: Vec<Value> =
        branches.into_iter().map(|branch| shape(branch, case)).filter(|branch| !is_null(branch)).collect();
    let nullable = rest.len() < count;
    if rest.len() == 1 {
        if let Value::Object(only) = rest.swap_remove(0) {
            for (key, value) in only {
                out.entry(key).or_insert(value);
            }
        }
    } else if rest.is_empty() {
        out.insert("type".to_owned(), type_word("null", case));
        return false;
    } else {
        out.insert("anyOf".to_owned(), Value::Array(rest));
    }
    nullable
}

/// Every schema has a type here, unless it has alternatives.
fn infer_type(out: &mut Map<String, Value>, case: Case) {
    if out.contains_key("type") || out.contains_key("anyOf") {
        return;
    }
    let word = if out.contains_key("properties") {
        "object"
    } else if out.contains_key("items") {
        "array"
    } else if out.contains_key("enum") {
        "string"
    } else {
        // Nothing is known about the value: any of the plain ones.
        let any = ["string", "number", "boolean"]
            .map(|word| Value::Object(Map::from_iter([("type".to_owned(), type_word(word, case))])));
        out.insert("anyOf".to_owned(), Value::Array(any.to_vec()));
        return;
    };
    let rest = std::mem::take(out);
    out.insert("type".to_owned(), type_word(word, case));
    out.extend(rest);
}

/// Gemini's `Schema` form as JSON Schema: lower-case types, null among the types instead of `nullable`, limits as numbers, the
/// properties in the order that `propertyOrdering` gives. JSON Schema passes through unchanged.
#[must_use]
pub fn from_openapi(schema: &Value) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut out = Map::with_capacity(map.len());
    let mut nullable = false;
    for (key, value) in map {
        match (key.as_str(), value) {
            ("nullable", Value::Bool(flag)) => nullable = *flag,
            ("example" | "propertyOrdering" | "property_ordering", _) => {}
            ("type", Value::String(word)) if word == "TYPE_UNSPECIFIED" => {}
            ("format", Value::String(word)) if word == "enum" => {}
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" | "min_items"
                | "max_items" | "min_length" | "max_length" | "min_properties" | "max_properties",
                Value::String(digits),
            ) => {
                if let Ok(number) = digits.trim().parse::<i64>() {
                    out.insert(camel(key).to_owned(), number.into());
                }
            }
            (name, Value::Array(items)) if position(camel(name)) == Position::Many => {
                out.insert(camel(name).to_owned(), Value::Array(items.iter().map(from_openapi).collect()));
            }
            (name, Value::Object(named)) if position(name) == Position::Named => {
                let children: Map<String, Value> =
                    named.iter().map(|(name, child)| (name.clone(), from_openapi(child))).collect();
                out.insert(name.to_owned(), Value::Object(children));
            }
            (name, Value::Object(_)) if position(camel(name)) == Position::One => {
                out.insert(camel(name).to_owned(), from_openapi(value));
            }
            (name, value) => drop(out.insert(camel(name).to_owned(), value.clone())),
        }
    }
    lower_types(&mut out);
    if nullable {
        if let Some(Value::Array(values)) = out.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
        add_null(&mut out);
    }
    let order = map.get("propertyOrdering").or_else(|| map.get("property_ordering"));
    if let (Some(Value::Array(order)), Some(Value::Object(properties))) = (order, out.get_mut("properties")) {
        *properties = ordered(std::mem::take(properties), order);
    }
    Value::Object(out)
}

/// Proto JSON takes both spellings.
fn camel(name: &str) -> &str {
    match name {
        "any_of" => "anyOf",
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        "additional_properties" => "additionalProperties",
        "prefix_items" => "prefixItems",
        other => other,
    }
}

fn ordered(mut properties: Map<String, Value>, order: &[Value]) -> Map<String, Value> {
    let mut out = Map::with_capacity(properties.len());
    for name in order.iter().filter_map(Value::as_str) {
        if let Some(child) = properties.shift_remove(name) {
            out.insert(name.to_owned(), child);
        }
    }
    out.extend(properties);
    out
}
