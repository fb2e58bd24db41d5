//! JSON Schema dialects: what each provider takes, and how a schema is made to fit.
//!
//! A tool must never fail because of a constraint a provider does not know: the keyword is taken out and written into the
//! description as `(<keyword>: <value>)`. The order of properties is kept. Converting twice gives what converting once gives.
//!
//! | module | what |
//! |---|---|
//! | `rules` | what each dialect knows, as data |
//! | `clean` | walks a schema and applies the rules |
//! | `inline` | expands `$ref` |
//! | `openapi` | Gemini's `Schema` form, there and back |
//! | `strict` | strict dialects: what does not fit, what it costs |

mod clean;
mod inline;
mod openapi;
mod rules;
mod strict;

use polyport_types::{LossAction, LossCode, Losses, RawJson};
use serde_json::{Map, Value};

pub use openapi::from_openapi;
pub use strict::{StrictCost, fits_strict, strict_cost};

use clean::Cleaner;
use rules::{References, Rules};

/// A dialect a schema can be converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Arguments of an Anthropic tool: any schema whose root is an object without alternatives.
    AnthropicTool,
    /// Answers of Anthropic models, and strict tools: closed objects, no constraints.
    AnthropicStrict,
    /// Gemini's JSON Schema fields (`parametersJsonSchema`, `responseJsonSchema`).
    GeminiJson,
    /// Gemini's `Schema` form: upper-case types, `nullable`, no references.
    GeminiOpenApi,
    /// The same with nothing but types, descriptions, texts to choose from, members and items.
    GeminiPlain,
    /// `OpenAI` strict: annotations it refuses are dropped; the rest must fit already, see [`fits_strict`].
    OpenAiStrict,
    /// Servers of which some stumble over `$schema`.
    Unversioned,
    /// Servers that stumble over `$schema` and references.
    Basic,
    /// Gemini behind a Chat server: the limits of its `Schema` form, written in lower case.
    GeminiLike,
}

/// What a conversion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keywords moved to descriptions or rewritten, each with the pointer of its schema (`/properties/age minimum`).
    relaxed: Vec<String>,
    /// References that were expanded.
    inlined: Vec<String>,
    /// The set of accepted values changed in shape: an open object was closed, the root was rewritten.
    structural: bool,
}

impl Changes {
    /// How many places a report names.
    const NAMED: usize = 8;

    /// Whether the schema is as it was, but for annotations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.relaxed.is_empty() && self.inlined.is_empty() && !self.structural
    }

    /// Whether the shape of accepted values changed, not only constraints on them.
    #[must_use]
    pub fn is_structural(&self) -> bool {
        self.structural
    }

    /// Appends what was done to `losses`: `relaxed` for keywords, `inlined` for references. `path` is that of the schema.
    pub fn report(&self, losses: &mut Losses, relaxed: LossCode, inlined: LossCode, path: &str) {
        if !self.relaxed.is_empty() {
            losses.info(relaxed, LossAction::Degraded, path, named(&self.relaxed));
        }
        if !self.inlined.is_empty() {
            losses.info(inlined, LossAction::Degraded, path, named(&self.inlined));
        }
    }

    fn relax(&mut self, path: &str, keyword: &str) {
        self.relaxed.push(format!("{path} {keyword}").trim_start().to_owned());
    }
}

/// The first places, and how many more there are.
fn named(places: &[String]) -> String {
    let mut text = places.iter().take(Changes::NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if places.len() > Changes::NAMED {
        text.push_str(&format!(" and {} more", places.len() - Changes::NAMED));
    }
    text
}

/// Makes a schema fit a dialect.
#[must_use]
pub fn convert(schema: &Value, dialect: Dialect) -> (Value, Changes) {
    let mut changes = Changes::default();
    let rules = Rules::of(dialect);
    let inlined = inline::expand(schema, rules.references, &mut changes);
    let mut cleaned = Cleaner { rules, changes: &mut changes }.node(inlined, &mut String::new());
    match dialect {
        Dialect::AnthropicTool | Dialect::AnthropicStrict => cleaned = object_root(cleaned, dialect, &mut changes),
        Dialect::GeminiOpenApi | Dialect::GeminiPlain => cleaned = openapi::shape(cleaned, openapi::Case::Upper),
        Dialect::GeminiLike => cleaned = openapi::shape(cleaned, openapi::Case::Lower),
        Dialect::GeminiJson | Dialect::OpenAiStrict | Dialect::Unversioned | Dialect::Basic => {}
    }
    (cleaned, changes)
}

/// The same for JSON text. `None` if nothing has to be changed, or if the text cannot be read as a tree: then it is best left alone.
#[must_use]
pub fn convert_raw(schema: &RawJson, dialect: Dialect) -> Option<(RawJson, Changes)> {
    if rules::surely_fits(schema.as_str(), dialect) {
        return None;
    }
    let value: Value = serde_json::from_str(schema.as_str()).ok()?;
    let (converted, changes) = convert(&value, dialect);
    (converted != value).then(|| (RawJson::of(&converted), changes))
}

/// A JSON Schema in Gemini's `Schema` form.
#[must_use]
pub fn to_openapi(schema: &Value) -> Value {
    convert(schema, Dialect::GeminiOpenApi).0
}

/// The schema in an object with one member, for providers that want an object at the root. References keep working: definitions
/// move to the new root.
#[must_use]
pub fn wrap_in_object(schema: &Value, member: &str) -> Value {
    let mut inner = if inline::refers_to_definitions_only(schema) {
        schema.clone()
    } else {
        inline::expand(schema, References::Expand, &mut Changes::default())
    };
    let mut root = Map::new();
    root.insert("type".to_owned(), "object".into());
    let mut definitions = Map::new();
    if let Value::Object(inner) = &mut inner {
        inner.shift_remove("$schema");
        for word in ["$defs", "definitions"] {
            if let Some(value) = inner.shift_remove(word) {
                definitions.insert(word.to_owned(), value);
            }
        }
    }
    let mut properties = Map::new();
    properties.insert(member.to_owned(), inner);
    root.insert("properties".to_owned(), Value::Object(properties));
    root.insert("required".to_owned(), Value::Array(vec![member.into()]));
    root.insert("additionalProperties".to_owned(), Value::Bool(false));
    root.extend(definitions);
    Value::Object(root)
}

/// Whether the root accepts objects only, so that it needs no [`wrap_in_object`].
#[must_use]
pub fn has_object_root(schema: &Value) -> bool {
    let Value::Object(root) = schema else { return false };
    match root.get("type") {
        Some(Value::String(kind)) => kind.eq_ignore_ascii_case("object"),
        Some(Value::Array(kinds)) => {
            matches!(kinds.as_slice(), [Value::String(kind)] if kind.eq_ignore_ascii_case("object"))
        }
        Some(_) => false,
        None => match root.get("$ref") {
            Some(Value::String(reference)) => {
                reference != "#" && inline::look_up(schema, reference).is_some_and(has_object_root_shallow)
            }
            _ => root.contains_key("properties"),
        },
    }
}

/// The same for the target of a reference, which is not followed any further.
fn has_object_root_shallow(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("object"))
        || (schema.get("type").is_none() && schema.get("properties").is_some())
}

/// Gives a schema an object at the root without alternatives, as Anthropic wants it.
fn object_root(schema: Value, dialect: Dialect, changes: &mut Changes) -> Value {
    let Value::Object(mut root) = schema else {
        changes.structural = true;
        let mut empty = Map::new();
        empty.insert("type".to_owned(), "object".into());
        empty.insert("properties".to_owned(), Value::Object(Map::new()));
        if dialect == Dialect::AnthropicStrict {
            empty.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        return Value::Object(empty);
    };
    // A branch may bring alternatives of its own up to the root.
    while let Some(word) = ["allOf", "anyOf", "oneOf"].into_iter().find(|word| root.contains_key(*word)) {
        if let Some(Value::Array(branches)) = root.shift_remove(word) {
            clean::merge_root(&mut root, branches, word == "allOf");
        }
        changes.relax("", word);
        changes.structural = true;
    }
    let is_object = root.get("type").and_then(Value::as_str) == Some("object");
    if !is_object {
        changes.structural |= root.contains_key("type");
        // Beside the other words of the root; first, because readers expect it there.
        root.shift_remove("type");
        let rest = std::mem::take(&mut root);
        root.insert("type".to_owned(), "object".into());
        root.extend(rest);
    }
    if dialect == Dialect::AnthropicTool && !root.contains_key("properties") {
        root.insert("properties".to_owned(), Value::Object(Map::new()));
    }
    if dialect == Dialect::AnthropicStrict && !root.contains_key("additionalProperties") {
        root.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Value::Object(root)
}

#[cfg(test)]
mod tests;
