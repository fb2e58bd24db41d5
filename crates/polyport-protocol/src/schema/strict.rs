//! Strict dialects: what `OpenAI`'s refuses, what Anthropic's counts.

use polyport_types::RawJson;
use serde_json::{Map, Value};

use super::clean::{Position, position};

/// Limits that `OpenAI` states for strict schemas.
const MAX_PROPERTIES: usize = 5_000;
const MAX_LEVELS: usize = 10;
const MAX_NAME_CHARACTERS: usize = 120_000;
const MAX_ENUM_VALUES: usize = 1_000;

const KEYWORDS: &[&str] = &[
    "type",
    "description",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "anyOf",
    "$ref",
    "$defs",
    "definitions",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
];

const FORMATS: &[&str] = &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// Checks that a schema fits `OpenAI`'s strict dialect: closed objects that require all their properties, known keywords only.
///
/// # Errors
/// The first thing that does not fit, with its place.
pub fn fits_strict(schema: &Value) -> Result<(), String> {
    let mut check = Check { properties: 0, characters: 0, enum_values: 0 };
    let Value::Object(root) = schema else { return Err("the root is not a schema object".to_owned()) };
    if root.get("type").and_then(Value::as_str) != Some("object") {
        return Err("the root is not of type object".to_owned());
    }
    if root.contains_key("anyOf") {
        return Err("the root has alternatives".to_owned());
    }
    check.node(schema, 0, &mut String::new())
}

/// What a strict schema costs where a request may have only so much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrictCost {
    /// Properties that are not required.
    pub optional: usize,
    /// Schemas of several types.
    pub unions: usize,
}

/// Counts what Anthropic limits in strict tools.
#[must_use]
pub fn strict_cost(schema: &RawJson) -> StrictCost {
    fn count(schema: &Value, cost: &mut StrictCost) {
        let Value::Object(map) = schema else { return };
        let several = |word: &str| map.get(word).and_then(Value::as_array).is_some_and(|list| list.len() > 1);
        cost.unions += usize::from(several("anyOf") || several("type"));
        if let Some(Value::Object(properties)) = map.get("properties") {
            let required = map.get("required").and_then(Value::as_array).map_or(0, Vec::len);
            cost.optional += properties.len().saturating_sub(required);
        }
        for (key, value) in map {
            match (position(key), value) {
                (Position::Named, Value::Object(named)) => named.values().for_each(|child| count(child, cost)),
                (Position::One | Position::Many, Value::Array(items)) => {
                    items.iter().for_each(|child| count(child, cost))
                }
                (Position::One, child) => count(child, cost),
                _ => {}
            }
        }
    }
    let mut cost = StrictCost::default();
    count(&schema.to_value(), &mut cost);
    cost
}

struct Check {
    properties: usize,
    characters: usize,
    enum_values: usize,
}

impl Check {
    fn node(&mut self, schema: &Value, level: usize, path: &mut String) -> Result<(), String> {
        let Value::Object(map) = schema else { return Err(format!("{path}: not a schema object")) };
        if level > MAX_LEVELS {
            return Err(format!("{path}: more than {MAX_LEVELS} levels"));
        }
        if map.contains_key("$ref") {
            let alone = map.keys().all(|key| matches!(key.as_str(), "$ref" | "$defs" | "definitions"));
            return if alone { Ok(()) } else { Err(format!("{path}: words beside $ref")) };
        }
        if let Some(unknown) = map.keys().find(|key| !KEYWORDS.contains(&key.as_str())) {
            return Err(format!("{path}: {unknown}"));
        }
        if !["type", "anyOf", "enum", "const"].iter().any(|word| map.contains_key(*word)) {
            return Err(format!("{path}: no type"));
        }
        Self::constraints(map, path)?;
        if let Some(Value::Array(values)) = map.get("enum") {
            self.enum_values += values.len();
            self.characters += values.iter().filter_map(Value::as_str).map(str::len).sum::<usize>();
            if self.enum_values > MAX_ENUM_VALUES {
                return Err(format!("more than {MAX_ENUM_VALUES} enum values"));
            }
        }
        if has_type(map, "object") {
            self.object(map, level, path)?;
        }
        if has_type(map, "array") && !map.contains_key("items") && !map.contains_key("prefixItems") {
            return Err(format!("{path}: array without items"));
        }
        for word in ["anyOf", "prefixItems"] {
            if let Some(branches) = map.get(word) {
                let Value::Array(branches) = branches else { return Err(format!("{path}: {word} is no list")) };
                for branch in branches {
                    self.child(branch, level, path, word)?;
                }
            }
        }
        if let Some(items) = map.get("items") {
            self.child(items, level + 1, path, "items")?;
        }
        for word in ["$defs", "definitions"] {
            if let Some(Value::Object(definitions)) = map.get(word) {
                for (name, definition) in definitions {
                    self.characters += name.len();
                    self.child(definition, level, path, name)?;
                }
            }
        }
        if self.characters > MAX_NAME_CHARACTERS {
            return Err(format!("more than {MAX_NAME_CHARACTERS} characters of names and values"));
        }
        Ok(())
    }

    fn child(&mut self, schema: &Value, level: usize, path: &mut String, segment: &str) -> Result<(), String> {
        let length = path.len();
        path.push('/');
        path.push_str(segment);
        let result = self.node(schema, level, path);
        path.truncate(length);
        result
    }

    fn constraints(map: &Map<String, Value>, path: &str) -> Result<(), String> {
        if let Some(format) = map.get("format")
            && !format.as_str().is_some_and(|format| FORMATS.contains(&format))
        {
            return Err(format!("{path}: format {format}"));
        }
        if let Some(pattern) = map.get("pattern").and_then(Value::as_str)
            && ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| pattern.contains(look))
        {
            return Err(format!("{path}: pattern that looks around"));
        }
        Ok(())
    }

    fn object(&mut self, map: &Map<String, Value>, level: usize, path: &mut String) -> Result<(), String> {
        if map.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(format!("{path}: object that is not closed"));
        }
        let empty = Map::new();
        let properties = match map.get("properties") {
            Some(Value::Object(properties)) => properties,
            Some(_) => return Err(format!("{path}: properties is no object")),
            None => &empty,
        };
        let required: Vec<&str> = match map.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        self.properties += properties.len();
        if self.properties > MAX_PROPERTIES {
            return Err(format!("more than {MAX_PROPERTIES} properties"));
        }
        for (name, property) in properties {
            self.characters += name.len();
            if !required.contains(&name.as_str()) {
                return Err(format!("{path}: optional property {name}"));
            }
            self.child(property, level + 1, path, name)?;
        }
        Ok(())
    }
}

fn has_type(map: &Map<String, Value>, kind: &str) -> bool {
    match map.get("type") {
        Some(Value::String(word)) => word == kind,
        Some(Value::Array(words)) => words.iter().any(|word| word.as_str() == Some(kind)),
        _ => false,
    }
}
