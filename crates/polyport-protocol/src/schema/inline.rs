//! Expands `$ref`.

use serde_json::{Map, Value};

use super::Changes;
use super::clean::{Position, position};
use super::rules::References;

/// How deep references are followed.
const MAX_DEPTH: usize = 16;
/// How many characters expanding may add, so that definitions that refer to one another many times stay small.
const MAX_GROWTH: usize = 1 << 20;

/// Expands the references that `policy` wants expanded. A recursive one becomes `{"type":"object"}`.
pub(super) fn expand(schema: &Value, policy: References, changes: &mut Changes) -> Value {
    let recursive = policy == References::NotRecursive && leads_back(schema, schema);
    let mut expander = Expander {
        root: schema,
        policy: if recursive { References::Expand } else { policy },
        active: Vec::new(),
        growth: 0,
        changes,
    };
    expander.node(schema, Place { root: true, all_of: false }, &mut String::new())
}

/// Follows a reference inside the document: `#`, `#/$defs/name`, any JSON pointer.
pub(super) fn look_up<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.contains('%') {
        let decoded = percent_decode(pointer)?;
        return root.pointer(&decoded);
    }
    root.pointer(pointer)
}

/// Percent-decoding of the few characters that pointers escape.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Where a schema stands.
#[derive(Clone, Copy, Default)]
struct Place {
    /// It is the root or an alternative of the root.
    root: bool,
    /// It is a branch of `allOf`.
    all_of: bool,
}

struct Expander<'a, 'c> {
    root: &'a Value,
    policy: References,
    /// References being expanded, outermost first.
    active: Vec<String>,
    growth: usize,
    changes: &'c mut Changes,
}

impl Expander<'_, '_> {
    fn node(&mut self, node: &Value, place: Place, path: &mut String) -> Value {
        let Value::Object(map) = node else { return node.clone() };
        if let Some(Value::String(reference)) = map.get("$ref")
            && self.wanted(map, place)
        {
            return self.follow(map, reference, place, path);
        }
        Value::Object(self.children(map, place, path))
    }

    fn wanted(&self, map: &Map<String, Value>, place: Place) -> bool {
        match self.policy {
            References::Keep => false,
            References::Root => place.root,
            References::NotRecursive => place.root || place.all_of,
            References::NoSiblings => {
                let siblings = map.keys().any(|key| !key.starts_with('$'));
                let target =
                    map.get("$ref").and_then(Value::as_str).and_then(|reference| look_up(self.root, reference));
                (place.all_of || siblings) && target.is_some_and(|target| !leads_back(self.root, target))
            }
            References::Expand => true,
        }
    }

    fn follow(&mut self, map: &Map<String, Value>, reference: &str, place: Place, path: &mut String) -> Value {
        self.changes.inlined.push(format!("{path} {reference}").trim_start().to_owned());
        let siblings: Map<String, Value> =
            map.iter().filter(|(key, _)| *key != "$ref").map(|(key, value)| (key.clone(), value.clone())).collect();
        let siblings = self.children(&siblings, Place::default(), path);
        let cyclic = self.active.iter().any(|active| active == reference) || self.active.len() >= MAX_DEPTH;
        let root = self.root;
        let target = if cyclic { None } else { look_up(root, reference) };
        let allowed = target.filter(|target| {
            self.growth = self.growth.saturating_add(weight(target, MAX_GROWTH));
            self.growth <= MAX_GROWTH
        });
        let mut expanded = match allowed {
            Some(target) => {
                self.active.push(reference.to_owned());
                let expanded = self.node(target, place, path);
                self.active.pop();
                expanded
            }
            None => object_schema(),
        };
        match &mut expanded {
            Value::Object(target) => {
                for (key, value) in siblings {
                    // The words beside a reference speak about this use of it.
                    target.insert(key, value);
                }
                expanded
            }
            _ if siblings.is_empty() => expanded,
            _ => Value::Object(siblings),
        }
    }

    fn children(&mut self, map: &Map<String, Value>, place: Place, path: &mut String) -> Map<String, Value> {
        let mut out = Map::with_capacity(map.len());
        for (key, value) in map {
            if self.policy == References::Expand && matches!(key.as_str(), "$defs" | "definitions") {
                // Nobody refers to them any more.
                continue;
            }
            let branch = matches!(key.as_str(), "allOf" | "anyOf" | "oneOf");
            let place = Place { root: place.root && branch, all_of: key == "allOf" };
            let value = match (position(key), value) {
                (Position::One, Value::Object(_)) => self.child(value, Place::default(), path, key),
                (Position::One | Position::Many, Value::Array(items)) if key != "additionalProperties" => {
                    let items = items.iter().map(|item| self.child(item, place, path, key));
                    Value::Array(items.collect())
                }
                (Position::Named, Value::Object(named)) => {
                    let mut children = Map::with_capacity(named.len());
                    for (name, child) in named {
                        let child = self.child(child, Place::default(), path, name);
                        children.insert(name.clone(), child);
                    }
                    Value::Object(children)
                }
                _ => value.clone(),
            };
            out.insert(key.clone(), value);
        }
        out
    }

    fn child(&mut self, node: &Value, place: Place, path: &mut String, segment: &str) -> Value {
        let length = path.len();
        path.push('/');
        path.push_str(segment);
        let child = self.node(node, place, path);
        path.truncate(length);
        child
    }
}

/// What stands for something that cannot be expanded.
fn object_schema() -> Value {
    let mut map = Map::new();
    map.insert("type".to_owned(), "object".into());
    Value::Object(map)
}

/// Roughly how many characters a value takes, counted up to `limit`.
fn weight(value: &Value, limit: usize) -> usize {
    let mut total = 8usize;
    match value {
        Value::String(text) => total += text.len(),
        Value::Array(items) => {
            for item in items {
                if total > limit {
                    break;
                }
                total += weight(item, limit);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                if total > limit {
                    break;
                }
                total += key.len() + weight(item, limit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    total
}

/// Whether following the references of `node` leads to one that is being followed already.
fn leads_back(root: &Value, node: &Value) -> bool {
    fn visit<'a>(root: &'a Value, node: &'a Value, active: &mut Vec<&'a str>, done: &mut Vec<&'a str>) -> bool {
        match node {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let reference = reference.as_str();
                    if active.contains(&reference) {
                        return true;
                    }
                    if !done.contains(&reference)
                        && let Some(target) = look_up(root, reference)
                    {
                        active.push(reference);
                        if visit(root, target, active, done) {
                            return true;
                        }
                        active.pop();
                        done.push(reference);
                    }
                }
                map.iter().any(|(key, child)| match (position(key), child) {
                    (Position::None, _) => false,
                    (Position::Named, Value::Object(named)) => {
                        named.values().any(|child| visit(root, child, active, done))
                    }
                    (Position::One | Position::Many | Position::Named, child) => visit(root, child, active, done),
                })
            }
            Value::Array(items) => items.iter().any(|item| visit(root, item, active, done)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    visit(root, node, &mut Vec::new(), &mut Vec::new())
}

/// Whether every reference points into definitions, so that they still work when those move with the root.
pub(super) fn refers_to_definitions_only(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.iter().all(|(key, value)| match value {
            Value::String(reference) if key == "$ref" => {
                reference.starts_with("#/$defs/") || reference.starts_with("#/definitions/")
            }
            value => refers_to_definitions_only(value),
        }),
        Value::Array(items) => items.iter().all(refers_to_definitions_only),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
