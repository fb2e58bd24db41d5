//! Walks a schema and applies the rules of a dialect.

use serde_json::{Map, Value};

use super::Changes;
use super::rules::{Additional, Enums, References, Rules};

/// Longest value that is written into a description, in bytes.
const MAX_NOTE: usize = 400;

/// Where a keyword holds schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Its value is a schema (`items` may also be a list).
    One,
    /// Its value is a list of schemas.
    Many,
    /// Its value names schemas.
    Named,
    /// It holds none.
    None,
}

pub(super) fn position(keyword: &str) -> Position {
    match keyword {
        "items"
        | "additionalProperties"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "additionalItems" => Position::One,
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Position::Many,
        "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas" => Position::Named,
        _ => Position::None,
    }
}

pub(super) struct Cleaner<'a> {
    pub(super) rules: Rules,
    pub(super) changes: &'a mut Changes,
}

/// A schema being written.
struct Draft {
    out: Map<String, Value>,
    /// What goes to the end of the description.
    notes: Vec<String>,
    /// It accepts null as well, which the type has to say.
    null: bool,
}

impl Cleaner<'_> {
    pub(super) fn node(&mut self, node: Value, path: &mut String) -> Value {
        let map = match node {
            Value::Object(map) => map,
            Value::Bool(_) if self.rules.object_schemas => Map::new(),
            other => return other,
        };
        let mut draft = Draft { out: Map::with_capacity(map.len()), notes: Vec::new(), null: false };
        let mut all_of = Vec::new();
        for (key, value) in map {
            match (key.as_str(), value) {
                ("allOf", Value::Array(branches)) if self.rules.merge_all_of => all_of = branches,
                (_, value) => self.keyword(key, value, &mut draft, path),
            }
        }
        if !all_of.is_empty() {
            self.changes.relax(path, "allOf");
            for branch in all_of {
                let branch = self.child(branch, path, "allOf");
                merge(&mut draft.out, branch);
            }
        }
        self.finish(&mut draft, path);
        describe(&mut draft);
        Value::Object(draft.out)
    }

    fn child(&mut self, node: Value, path: &mut String, segment: &str) -> Value {
        let length = path.len();
        path.push('/');
        path.push_str(segment);
        let child = self.node(node, path);
        path.truncate(length);
        child
    }

    /// Decides about one keyword.
    fn keyword(&mut self, key: String, value: Value, draft: &mut Draft, path: &mut String) {
        match key.as_str() {
            "const" if self.rules.const_to_enum => self.enumeration(vec![value], draft, path),
            "enum" if value.is_array() => {
                if let Value::Array(values) = value {
                    self.enumeration(values, draft, path);
                }
            }
            "oneOf" if self.rules.one_of_to_any => {
                self.changes.relax(path, "oneOf");
                let value = self.children(&key, value, path);
                match (draft.out.get_mut("anyOf"), value) {
                    (Some(Value::Array(any)), Value::Array(more)) => any.extend(more),
                    (_, value) => drop(draft.out.insert("anyOf".to_owned(), value)),
                }
            }
            "items" | "prefixItems" if value.is_array() && self.rules.tuple_to_items => {
                self.tuple(&key, value, draft, path);
            }
            "additionalProperties" => self.additional(key, value, draft, path),
            "format" if self.rules.formats.is_some_and(|known| !value.as_str().is_some_and(|v| known.contains(&v))) => {
                self.note(draft, path, &key, &value);
            }
            name if self.rules.drop.contains(&name) && !self.names(name) => {}
            name if self.rules.describe.contains(&name) => self.note(draft, path, &key, &value),
            name if self.keeps(name) => {
                let value = self.children(&key, value, path);
                draft.out.insert(key, value);
            }
            // Words of vendors constrain nothing.
            name if name.starts_with("x-") => {}
            "nullable" => draft.null |= value == Value::Bool(true),
            _ => self.note(draft, path, &key, &value),
        }
    }

    fn keeps(&self, keyword: &str) -> bool {
        self.rules.keep.is_none_or(|known| known.contains(&keyword))
    }

    /// Whether the dialect knows the keyword by name.
    fn names(&self, keyword: &str) -> bool {
        self.rules.keep.is_some_and(|known| known.contains(&keyword))
    }

    fn note(&mut self, draft: &mut Draft, path: &str, keyword: &str, value: &Value) {
        self.changes.relax(path, keyword);
        draft.note(note(keyword, value));
    }

    /// Cleans the schemas a keyword holds.
    fn children(&mut self, key: &str, value: Value, path: &mut String) -> Value {
        match (position(key), value) {
            (Position::One, value @ (Value::Object(_) | Value::Bool(_))) => self.child(value, path, key),
            (Position::One | Position::Many, Value::Array(items)) => {
                Value::Array(items.into_iter().map(|item| self.child(item, path, key)).collect())
            }
            (Position::Named, Value::Object(named)) => {
                let length = path.len();
                path.push('/');
                path.push_str(key);
                let mut out = Map::with_capacity(named.len());
                for (name, child) in named {
                    let child = self.child(child, path, &name);
                    out.insert(name, child);
                }
                path.truncate(length);
                Value::Object(out)
            }
            (_, value) => value,
        }
    }

    fn additional(&mut self, key: String, value: Value, draft: &mut Draft, path: &mut String) {
        match self.rules.additional {
            Additional::Keep => {
                let value = if value.is_object() { self.child(value, path, &key) } else { value };
                draft.out.insert(key, value);
            }
            Additional::Drop => {
                if value.is_object() {
                    self.note(draft, path, &key, &value);
                }
            }
            Additional::Close => {
                if value.is_object() {
                    self.note(draft, path, &key, &value);
                    self.changes.structural = true;
                } else if value == Value::Bool(true) {
                    self.changes.relax(path, &key);
                    self.changes.structural = true;
                }
                draft.out.insert(key, Value::Bool(false));
            }
        }
    }

    fn enumeration(&mut self, values: Vec<Value>, draft: &mut Draft, path: &str) {
        let fits = |value: &Value| match self.rules.enums {
            Enums::Any => true,
            Enums::StringsAndNumbers => value.is_string() || value.is_number(),
            Enums::Strings => value.is_string(),
        };
        if values.iter().all(fits) {
            draft.out.insert("enum".to_owned(), Value::Array(values));
            return;
        }
        let (nulls, rest): (Vec<_>, Vec<_>) = values.iter().cloned().partition(Value::is_null);
        if !nulls.is_empty() && !rest.is_empty() && rest.iter().all(fits) {
            draft.out.insert("enum".to_owned(), Value::Array(rest));
            draft.null = true;
            return;
        }
        if let Some(kind) = common_type(&values)
            && !draft.out.contains_key("type")
        {
            draft.out.insert("type".to_owned(), kind.into());
        }
        self.note(draft, path, "enum", &Value::Array(values));
    }

    /// A list of schemas by position becomes one of any of them, with a fixed length.
    fn tuple(&mut self, key: &str, value: Value, draft: &mut Draft, path: &mut String) {
        let Value::Array(items) = value else { return };
        self.changes.relax(path, key);
        self.changes.structural = true;
        let count = items.len();
        let mut kinds: Vec<Value> = Vec::new();
        for item in items {
            let item = self.child(item, path, key);
            if !kinds.contains(&item) {
                kinds.push(item);
            }
        }
        let items = match kinds.len() {
            0 => Value::Object(Map::new()),
            1 => kinds.swap_remove(0),
            _ => Value::Object(Map::from_iter([("anyOf".to_owned(), Value::Array(kinds))])),
        };
        draft.out.insert("items".to_owned(), items);
        for word in ["minItems", "maxItems"] {
            if !self.keeps(word) {
                draft.note(note(word, &count.into()));
            } else if !draft.out.contains_key(word) {
                draft.out.insert(word.to_owned(), count.into());
            }
        }
    }

    /// Of alternatives the one that says most stays; null among them stays as well.
    fn one_of(&mut self, branches: Vec<Value>, draft: &mut Draft, path: &str) {
        let is_null = |branch: &Value| branch.get("type").is_some_and(|word| word == "null");
        let (nulls, mut rest): (Vec<Value>, Vec<Value>) = branches.into_iter().partition(is_null);
        draft.null |= !nulls.is_empty() && !rest.is_empty();
        let says = |branch: &Value| {
            let members = branch.get("properties").and_then(Value::as_object).map_or(0, Map::len);
            (members, branch.get("items").is_some(), branch.get("type").is_some())
        };
        // The first of those that say most.
        let best = (0..rest.len()).rev().max_by_key(|&at| rest.get(at).map(says));
        let chosen = best.map(|at| rest.remove(at)).or_else(|| nulls.into_iter().next());
        if !rest.is_empty() {
            self.note(draft, path, "anyOf", &Value::Array(rest));
        }
        if let Some(chosen) = chosen {
            merge(&mut draft.out, chosen);
        }
    }

    /// What concerns the schema as a whole.
    fn finish(&mut self, draft: &mut Draft, path: &str) {
        let out = &mut draft.out;
        if self.rules.references == References::NoSiblings
            && out.contains_key("$ref")
            && (!draft.notes.is_empty() || out.keys().any(|key| !key.starts_with('$')))
        {
            // Only a recursive reference is still here.
            self.changes.relax(path, "$ref");
            out.retain(|key, _| key.starts_with('$'));
            draft.notes.clear();
            return;
        }
        if self.rules.object_schemas {
            lower_types(out);
        }
        if self.rules.one_branch
            && let Some(Value::Array(branches)) = out.shift_remove("anyOf")
        {
            self.one_of(branches, draft, path);
        }
        let out = &mut draft.out;
        if draft.null {
            add_null(out);
        }
        let closed = out.get("additionalProperties") == Some(&Value::Bool(false));
        if self.rules.additional == Additional::Close && is_kind(out, "object") && !closed {
            self.changes.relax(path, "additionalProperties");
            self.changes.structural = true;
            out.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        if self.rules.typed_items && is_kind(out, "array") && !out.get("items").is_some_and(has_type) {
            self.changes.relax(path, "items");
            self.changes.structural = true;
            let mut items = match out.shift_remove("items") {
                Some(Value::Object(items)) => items,
                _ => Map::new(),
            };
            items.insert("type".to_owned(), "string".into());
            out.insert("items".to_owned(), Value::Object(items));
            draft.note("(items: any JSON, written as a string)".to_owned());
        }
    }
}

impl Draft {
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// A keyword and its value, as descriptions carry them.
fn note(keyword: &str, value: &Value) -> String {
    let text = value.to_string();
    if text.len() > MAX_NOTE { format!("({keyword})") } else { format!("({keyword}: {text})") }
}

/// Appends the notes to the description.
fn describe(draft: &mut Draft) {
    if draft.notes.is_empty() {
        return;
    }
    let notes = draft.notes.join(" ");
    match draft.out.get_mut("description") {
        Some(Value::String(text)) if !text.is_empty() => {
            text.push(' ');
            text.push_str(&notes);
        }
        _ => drop(draft.out.insert("description".to_owned(), notes.into())),
    }
}

/// Whether a schema describes values of this type, alone or beside null.
fn is_kind(schema: &Map<String, Value>, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(word)) => word == kind,
        Some(Value::Array(words)) => words.iter().any(|word| word.as_str() == Some(kind)),
        _ => match kind {
            "object" => schema.contains_key("properties"),
            "array" => schema.contains_key("items"),
            _ => false,
        },
    }
}

/// Whether a schema says what it describes.
pub(super) fn has_type(schema: &Value) -> bool {
    const WORDS: [&str; 10] =
        ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "properties", "items", "prefixItems"];
    schema.as_object().is_some_and(|map| WORDS.iter().any(|word| map.contains_key(*word)))
}

/// The type of all values, if they share one.
fn common_type(values: &[Value]) -> Option<&'static str> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let first = kind(values.first()?);
    values.iter().all(|value| kind(value) == first).then_some(first)
}

/// Lets a schema accept null as well.
pub(super) fn add_null(out: &mut Map<String, Value>) {
    match out.get_mut("type") {
        Some(Value::String(kind)) if !kind.eq_ignore_ascii_case("null") => {
            let kinds = vec![Value::String(std::mem::take(kind)), "null".into()];
            out.insert("type".to_owned(), Value::Array(kinds));
        }
        Some(Value::Array(kinds)) => {
            if !kinds.iter().any(|kind| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("null"))) {
                kinds.push("null".into());
            }
        }
        Some(_) => {}
        None => {
            if let Some(Value::Array(any)) = out.get_mut("anyOf") {
                let null = Value::Object(Map::from_iter([("type".to_owned(), Value::from("null"))]));
                if !any.contains(&null) {
                    any.push(null);
                }
            }
        }
    }
}

/// Types as JSON Schema writes them.
pub(super) fn lower_types(out: &mut Map<String, Value>) {
    let lower = |kind: &mut String| {
        if kind.bytes().any(|byte| byte.is_ascii_uppercase()) {
            *kind = kind.to_ascii_lowercase();
        }
    };
    match out.get_mut("type") {
        Some(Value::String(kind)) => lower(kind),
        Some(Value::Array(kinds)) => {
            for kind in kinds {
                if let Value::String(kind) = kind {
                    lower(kind);
                }
            }
        }
        _ => {}
    }
}

/// Adds what a branch of `allOf` says to a schema that must hold as well.
pub(super) fn merge(out: &mut Map<String, Value>, branch: Value) {
    let Value::Object(branch) = branch else { return };
    for (key, value) in branch {
        match (out.get_mut(&key), value) {
            (None, value) => drop(out.insert(key, value)),
            (Some(Value::Object(have)), Value::Object(more)) if position(&key) == Position::Named => {
                for (name, child) in more {
                    match have.get_mut(&name) {
                        // Nothing may stand beside a reference.
                        Some(Value::Object(existing))
                            if !existing.contains_key("$ref") && child.get("$ref").is_none() =>
                        {
                            merge(existing, child);
                        }
                        Some(_) => {}
                        None => drop(have.insert(name, child)),
                    }
                }
            }
            (Some(Value::Array(have)), Value::Array(more)) if key == "required" => {
                for name in more {
                    if !have.contains(&name) {
                        have.push(name);
                    }
                }
            }
            (Some(Value::Array(have)), Value::Array(more)) if key == "enum" => {
                let both: Vec<Value> = have.iter().filter(|value| more.contains(value)).cloned().collect();
                if !both.is_empty() {
                    *have = both;
                }
            }
            (Some(Value::String(have)), Value::String(more)) if key == "description" => {
                if !more.is_empty() && !have.contains(&more) {
                    have.push(' ');
                    have.push_str(&more);
                }
            }
            // Both say something else: what stands first is kept.
            (Some(_), _) => {}
        }
    }
}

/// Merges the alternatives of a root into it, because some providers refuse alternatives there: every property of any branch,
/// required only what every branch requires.
pub(super) fn merge_root(root: &mut Map<String, Value>, branches: Vec<Value>, all: bool) {
    if all {
        for branch in branches {
            merge(root, branch);
        }
        return;
    }
    let mut required: Option<Vec<Value>> = None;
    for mut branch in branches {
        let Value::Object(map) = &mut branch else { continue };
        let wants = match map.shift_remove("required") {
            Some(Value::Array(names)) => names,
            _ => Vec::new(),
        };
        required = Some(match required {
            None => wants,
            Some(shared) => shared.into_iter().filter(|name| wants.contains(name)).collect(),
        });
        map.shift_remove("type");
        map.shift_remove("additionalProperties");
        if let Some(Value::Object(properties)) = map.shift_remove("properties") {
            add_alternatives(root, properties);
        }
        merge(root, branch);
    }
    if let Some(required) = required.filter(|names| !names.is_empty()) {
        merge(root, Value::Object(Map::from_iter([("required".to_owned(), Value::Array(required))])));
    }
}

/// Adds properties of an alternative; one that is there already may look like either.
fn add_alternatives(root: &mut Map<String, Value>, properties: Map<String, Value>) {
    let Value::Object(have) = root.entry("properties").or_insert_with(|| Value::Object(Map::new())) else { return };
    for (name, child) in properties {
        match have.get_mut(&name) {
            None => drop(have.insert(name, child)),
            Some(existing) if *existing == child => {}
            Some(Value::Object(existing)) if existing.len() == 1 && existing.contains_key("anyOf") => {
                if let Some(Value::Array(any)) = existing.get_mut("anyOf")
                    && !any.contains(&child)
                {
                    any.push(child);
                }
            }
            Some(existing) => {
                let both = vec![existing.take(), child];
                *existing = Value::Object(Map::from_iter([("anyOf".to_owned(), Value::Array(both))]));
            }
        }
    }
}
