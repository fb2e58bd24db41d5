//! Judges bodies: requests to providers and whole answers, by the published schemas and by the rules behind them.
//!
//! The closed request schemas and the `OpenAI` document are read from the reference folder. Where it is absent the
//! schema part of every judgement is left out and only the rules written here decide.
//!
//! | function | judges |
//! |---|---|
//! | [`validate_request`], [`Judge`] | a request body: schema, then the rules the service enforces beyond it |
//! | [`validate_schema`] | a request body by its schema alone |
//! | [`validate_encoded`] | a request body that Polyport wrote itself: also what our encoders promise |
//! | [`validate_component`] | any value by a named component of the `OpenAI` document |
//! | [`validate_stream_event`] | one event of a Responses stream by the component its `type` names |

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use polyport_types::Protocol;
use serde_json::{Map, Value, json};

use crate::shared;
use validator::{Validator, compiled};

mod chat;
mod dialect;
#[cfg(feature = "schemas")]
mod explain;
mod gemini;
mod messages;
mod report;
mod responses;
mod validator;

pub(crate) use gemini::camel_case;
pub(crate) use report::Report;

/// Judges a request body as the provider of `protocol` would; the messages name the path of each violation.
///
/// # Errors
/// All violations found, schema first.
pub fn validate_request(protocol: Protocol, body: &Value) -> Result<(), Vec<String>> {
    Judge::new(protocol).request(body)
}

/// Judges a request body by the closed schema of `protocol` alone.
///
/// # Errors
/// All violations found.
pub fn validate_schema(protocol: Protocol, body: &Value) -> Result<(), Vec<String>> {
    let Some(validator) = request_validator(protocol) else { return Ok(()) };
    let found = validator::errors(&validator, body);
    if found.is_empty() {
        return Ok(());
    }
    // `OpenAI` reads null as absent, also where its document does not say so.
    if matches!(protocol, Protocol::Chat | Protocol::Responses)
        && validator::errors(&validator, &without_nulls(body)).is_empty()
    {
        return Ok(());
    }
    Err(found)
}

/// Judges a request body that a translation produced: everything of [`validate_request`], and what only our encoders
/// promise (alternating turns, no empty parts, tool calls last, results first).
///
/// # Errors
/// All violations found.
pub fn validate_encoded(protocol: Protocol, body: &Value) -> Result<(), Vec<String>> {
    let mut judge = Judge::new(protocol);
    judge.house = true;
    judge.request(body)
}

/// Judges requests under circumstances that the body alone does not tell.
#[derive(Clone, Debug)]
pub struct Judge {
    protocol: Protocol,
    model: Option<String>,
    version: Option<String>,
    betas: Vec<String>,
    vendor_members: Vec<String>,
    house: bool,
}

impl Judge {
    /// A judge that knows nothing but the protocol.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol, model: None, version: None, betas: Vec::new(), vendor_members: Vec::new(), house: false }
    }

    /// The model where the body does not name it (Gemini): rules of its generation apply.
    #[must_use]
    pub fn model(mut self, model: &str) -> Self {
        self.model = Some(model.to_owned());
        self
    }

    /// The `anthropic-version` of the request: `2026-10-21` refuses sampling parameters.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// The `anthropic-beta` flags of the request, comma-separated.
    #[must_use]
    pub fn betas(mut self, betas: &str) -> Self {
        self.betas = betas.split(',').map(|flag| flag.trim().to_owned()).collect();
        self
    }

    /// Members of the body, of its messages, parts and tool calls that this vendor accepts beyond the official schema.
    #[must_use]
    pub fn allow<'a>(mut self, members: impl IntoIterator<Item = &'a str>) -> Self {
        self.vendor_members.extend(members.into_iter().map(str::to_owned));
        self
    }

    /// Judges one request body.
    ///
    /// # Errors
    /// All violations found, schema first.
    pub fn request(&self, body: &Value) -> Result<(), Vec<String>> {
        let mut report = Report::default();
        let official;
        let body = if self.vendor_members.is_empty() {
            body
        } else {
            official = without(body, &self.vendor_members, 0);
            &official
        };
        let camel;
        let body = if self.protocol == Protocol::Gemini && !self.house {
            camel = gemini::camel_case(body);
            &camel
        } else {
            body
        };
        if let Err(found) = validate_schema(self.protocol, body) {
            found.into_iter().for_each(|violation| report.push(violation));
        }
        match self.protocol {
            Protocol::Chat => chat::rules(body, &mut report),
            Protocol::Responses => responses::rules(body, self.house, &mut report),
            Protocol::Messages => {
                let circumstances =
                    messages::Circumstances { version: self.version.as_deref(), betas: &self.betas, house: self.house };
                messages::rules(body, &circumstances, &mut report);
            }
            Protocol::Gemini => gemini::rules(body, self.model.as_deref(), self.house, &mut report),
        }
        report.into_result()
    }
}

/// Judges `value` by the component `name` of the `OpenAI` document, e.g. `CreateChatCompletionResponse`.
///
/// # Errors
/// All violations found.
///
/// # Panics
/// When the document has no such component.
pub fn validate_component(name: &str, value: &Value) -> Result<(), Vec<String>> {
    let Some(validator) = component_validator(name) else { return Ok(()) };
    let found = match value.get("object").and_then(Value::as_str) {
        Some("response") => validator::errors(&validator, &without_unset(value)),
        _ => validator::errors(&validator, value),
    };
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// Judges one event of a Responses stream by the schema that its `type` selects.
///
/// # Errors
/// All violations found; an event type outside the document is one.
pub fn validate_stream_event(event: &Value) -> Result<(), Vec<String>> {
    let Some(components) = openai_components() else { return Ok(()) };
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    match components.events.get(kind) {
        Some(name) if event.get("response").is_some() => {
            let mut event = event.clone();
            event["response"] = without_unset(&event["response"]);
            validate_component(name, &event)
        }
        Some(name) => validate_component(name, event),
        None => Err(vec![format!("/type: `{kind}` is no event of a Responses stream")]),
    }
}

/// A response object without the echoed settings that are null although the document does not say so, and without its error code.
fn without_unset(response: &Value) -> Value {
    let mut response = response.clone();
    if let Some(members) = response.as_object_mut() {
        members.retain(|name, member| !(member.is_null() && matches!(name.as_str(), "user" | "usage")));
        for echoed in ["text", "tools"] {
            if let Some(member) = members.get_mut(echoed) {
                *member = without_nulls(member);
            }
        }
        // The service sends codes that the document does not list (`insufficient_quota`), and Codex acts on others of them
        // (`context_length_exceeded`): any word is one.
        if let Some(code) = members.get_mut("error").and_then(|error| error.get_mut("code"))
            && code.as_str().is_some_and(|code| !code.is_empty())
        {
            *code = Value::from("server_error");
        }
    }
    response
}

/// `value` without the members called one of `names`, down to the fourth level of objects: schemas and tool arguments
/// further below may use any name.
fn without(value: &Value, names: &[String], level: usize) -> Value {
    match value {
        Value::Object(members) if level <= 3 => Value::Object(
            members
                .iter()
                .filter(|(name, _)| !names.contains(name))
                .map(|(name, value)| (name.clone(), without(value, names, level + 1)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|item| without(item, names, level)).collect()),
        other => other.clone(),
    }
}

/// `value` without members that are null; what is not an object keeps its place.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let given = members.iter().filter(|(_, member)| !member.is_null());
            Value::Object(given.map(|(name, member)| (name.clone(), without_nulls(member))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

type Cache<K> = LazyLock<Mutex<HashMap<K, Option<Arc<Validator>>>>>;

fn request_validator(protocol: Protocol) -> Option<Arc<Validator>> {
    static CACHE: Cache<Protocol> = LazyLock::new(Mutex::default);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    cache
        .entry(protocol)
        .or_insert_with(|| {
            let file = match protocol {
                Protocol::Chat => "specs/chat.json",
                Protocol::Responses => "specs/responses.json",
                Protocol::Messages => "specs/anthropic.json",
                Protocol::Gemini => "specs/gemini.json",
            };
            let mut schema: Value = serde_json::from_str(&shared::text(file)?).expect("a schema in JSON");
            correct(protocol, &mut schema);
            compiled(&schema).map(Arc::new)
        })
        .clone()
}

/// Where the services are known to take more than the published types say.
fn correct(protocol: Protocol, schema: &mut Value) {
    match protocol {
        // Derived from the type of requests that do not stream, which knows only `false`.
        Protocol::Messages => schema["properties"]["stream"] = json!({ "type": "boolean" }),
        Protocol::Responses => {
            let mut needed = |component: &str, keep: &dyn Fn(&Value) -> bool| {
                let members = schema["$defs"][component]["required"].as_array_mut();
                members.into_iter().for_each(|required| required.retain(keep));
            };
            // Generated images come back by their id alone.
            needed("ImageGenToolCall", &|name| name == "type" || name == "id");
            // The document says what it means when `strict` is omitted, but only where a namespace holds the function.
            needed("FunctionTool", &|name| name != "strict");
        }
        // One tool stands for a list of one.
        Protocol::Gemini => {
            let list = schema["properties"]["tools"].take();
            schema["properties"]["tools"] = json!({ "anyOf": [list, { "$ref": "#/$defs/Tool" }] });
        }
        Protocol::Chat => {}
    }
}

fn component_validator(name: &str) -> Option<Arc<Validator>> {
    static CACHE: Cache<String> = LazyLock::new(Mutex::default);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = cache.get(name) {
        return known.clone();
    }
    let built = openai_components().and_then(|components| {
        assert!(components.schemas.contains_key(name), "the OpenAI document has no component {name}");
        let schema = json!({
            "$ref": format!("#/components/schemas/{name}"),
            "components": { "schemas": components.reachable(name) },
        });
        compiled(&schema).map(Arc::new)
    });
    cache.insert(name.to_owned(), built.clone());
    built
}

struct Components {
    schemas: Map<String, Value>,
    /// Event type to the component that describes it.
    events: HashMap<String, String>,
}

impl Components {
    /// The component `name` and all it refers to: compiling the whole document for each would be slow.
    fn reachable(&self, name: &str) -> Map<String, Value> {
        let mut found = Map::new();
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if found.contains_key(&name) {
                continue;
            }
            let schema = self.schemas.get(&name).unwrap_or_else(|| panic!("no component {name}"));
            references(schema, &mut open);
            found.insert(name, schema.clone());
        }
        found
    }
}

fn openai_components() -> Option<&'static Components> {
    static COMPONENTS: LazyLock<Option<Components>> = LazyLock::new(|| {
        let mut document: Value = serde_json::from_str(&shared::text("specs/openai-openapi.json")?).expect("JSON");
        let Value::Object(mut schemas) = document["components"]["schemas"].take() else { panic!("no components") };
        schemas.values_mut().for_each(modernise);
        let events = schemas["ResponseStreamEvent"]["anyOf"]
            .as_array()
            .expect("a list of events")
            .iter()
            .filter_map(|event| component_name(event.get("$ref")?.as_str()?))
            .filter_map(|name| {
                let kind = &schemas.get(name)?["properties"]["type"]["enum"][0];
                Some((kind.as_str()?.to_owned(), name.to_owned()))
            })
            .collect();
        Some(Components { schemas, events })
    });
    COMPONENTS.as_ref()
}

fn component_name(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/components/schemas/")
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(component_name) {
                found.push(name.to_owned());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Rewrites what the document still writes in the manner of `OpenAPI` 3.0: `nullable: true` beside a type.
fn modernise(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("example");
            members.remove("x-oaiMeta");
            members.values_mut().for_each(modernise);
            if members.get("nullable") == Some(&Value::Bool(true)) {
                members.remove("nullable");
                let plain = Value::Object(std::mem::take(members));
                members.insert("anyOf".to_owned(), json!([plain, { "type": "null" }]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(modernise),
        _ => {}
    }
}
