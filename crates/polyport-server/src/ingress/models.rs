//! Lists of models, in the style of the client that asks.

use http::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use polyport_protocol::Capabilities;
use polyport_provider::Adapter;
use polyport_routing::Hints;
use polyport_types::{ClientProtocol, Fault, FaultClass, Protocol, Text};
use serde_json::{Value, json};

use super::access::Caller;
use super::{Call, access};
use crate::body::Body;
use crate::config::{Config, OwnedBy, Service};
use crate::router::Style;

/// The date of models whose date nobody knows.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Answers with a page of the list.
pub(crate) fn list(call: &Call, style: Style) -> Response<Body> {
    let protocol = protocol(call, style);
    let caller = match access::caller(&call.app, &call.runtime, &call.head) {
        Ok(caller) => caller,
        Err(fault) => return call.refuse(protocol, &fault),
    };
    let names = names(call, &caller);
    let answer = match protocol {
        ClientProtocol::Messages => anthropic_page(call, &names),
        ClientProtocol::Gemini => gemini_page(call, &names),
        ClientProtocol::Chat | ClientProtocol::Responses => {
            let data: Vec<Value> = names.iter().map(|name| openai_entry(call, name)).collect();
            Ok(json!({ "object": "list", "data": data }))
        }
    };
    match answer {
        Ok(body) => call.json(protocol, &body),
        Err(fault) => call.refuse(protocol, &fault),
    }
}

/// Answers with one entry.
pub(crate) fn one(call: &Call, style: Style, name: &str) -> Response<Body> {
    let protocol = protocol(call, style);
    let caller = match access::caller(&call.app, &call.runtime, &call.head) {
        Ok(caller) => caller,
        Err(fault) => return call.refuse(protocol, &fault),
    };
    if let Err(fault) = caller.may_use(name, protocol) {
        return call.refuse(protocol, &fault);
    }
    let known = call.runtime.config.catalog.resolve(name, Hints::default());
    if let Err(unknown) = known {
        return call.refuse(protocol, &Fault::new(FaultClass::ModelNotFound, unknown.to_string()));
    }
    let body = match protocol {
        ClientProtocol::Messages => anthropic_entry(call, name),
        ClientProtocol::Gemini => gemini_entry(call, name),
        ClientProtocol::Chat | ClientProtocol::Responses => openai_entry(call, name),
    };
    call.json(protocol, &body)
}

impl Call {
    /// A JSON answer.
    pub(crate) fn json(&self, protocol: ClientProtocol, body: &Value) -> Response<Body> {
        let mut response = Response::new(Body::from(body.to_string().into_bytes()));
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        crate::error::name(protocol, &self.id, response.headers_mut());
        response
    }

    /// A member of the query, percent-decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.head.uri.query()?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// Newer Anthropic SDKs send their key as everybody does, so their version header is the surest mark.
pub(super) fn protocol(call: &Call, style: Style) -> ClientProtocol {
    if let Style::Of(protocol) = style {
        return protocol;
    }
    let headers = call.headers();
    let agent =
        headers.get("user-agent").and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let anthropic = headers.contains_key("anthropic-version")
        || headers.contains_key("x-api-key")
        || agent.contains("anthropic")
        || agent.contains("claude-cli")
        || agent.contains("claude-code");
    if anthropic { ClientProtocol::Messages } else { ClientProtocol::Chat }
}

/// All names, sorted, each once.
/// The models that the caller may ask for.
fn names(call: &Call, caller: &Caller) -> Vec<Text> {
    let names = call.runtime.config.catalog.names().filter(|name| caller.sees(name));
    let mut names: Vec<Text> = names.cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// What the model behind a name can do.
fn capabilities(call: &Call, name: &str) -> Option<std::sync::Arc<Capabilities>> {
    let config = &call.runtime.config;
    let resolved = config.catalog.resolve(name, Hints::default()).ok()?;
    let target = resolved.targets.first()?;
    Some(config.capabilities(config.provider(&target.provider)?, &target.model))
}

fn openai_entry(call: &Call, name: &str) -> Value {
    let owner = owner(&call.runtime.config, name).unwrap_or_else(|| Text::from("polyport"));
    json!({ "id": name, "object": "model", "created": 0, "owned_by": &*owner })
}

/// Who owns a model, where the operator wants to see somebody else than Polyport.
fn owner(config: &Config, name: &str) -> Option<Text> {
    if config.owned_by == OwnedBy::Polyport {
        return None;
    }
    let resolved = config.catalog.resolve(name, Hints::default()).ok()?;
    let provider = config.provider(&resolved.targets.first()?.provider)?;
    if config.owned_by == OwnedBy::Provider {
        return Some(provider.name.clone());
    }
    Some(match &provider.service {
        Service::Http(http) => match (http.endpoint.adapter(), http.endpoint.protocol()) {
            (Adapter::Http, Protocol::Chat) => "openai_compat".into(),
            _ => "custom_http".into(),
        },
        Service::Process(_) => "process".into(),
        Service::Echo => return None,
    })
}

fn anthropic_entry(call: &Call, name: &str) -> Value {
    let mut entry = json!({
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": EPOCH,
        "lifecycle": "active",
    });
    if let (Some(capabilities), Some(members)) = (capabilities(call, name), entry.as_object_mut()) {
        members.insert("max_input_tokens".to_owned(), json!(capabilities.context));
        members.insert("max_tokens".to_owned(), json!(capabilities.max_output));
        members.retain(|_, value| !value.is_null());
    }
    entry
}

fn gemini_entry(call: &Call, name: &str) -> Value {
    let mut entry = json!({
        "name": format!("models/{name}"),
        "baseModelId": name,
        "version": "001",
        "displayName": name,
        "description": "",
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent", "batchEmbedContents"],
    });
    if let (Some(capabilities), Some(members)) = (capabilities(call, name), entry.as_object_mut()) {
        members.insert("inputTokenLimit".to_owned(), json!(capabilities.context));
        members.insert("outputTokenLimit".to_owned(), json!(capabilities.max_output));
        members.insert("thinking".to_owned(), json!(capabilities.reasoning));
        members.retain(|_, value| !value.is_null());
    }
    entry
}

/// A page by cursors: `after_id` or `before_id`, and `limit`.
fn anthropic_page(call: &Call, names: &[Text]) -> Result<Value, Fault> {
    let limit = number(call, "limit", 20, 1000)?;
    let at = |id: String, member: &str| {
        names
            .iter()
            .position(|name| **name == *id)
            .ok_or_else(|| Fault::bad_request(member, format!("{member}: there is no model of this id")))
    };
    let page: &[Text] = match (call.query("after_id"), call.query("before_id")) {
        (Some(id), _) => {
            let start = at(id, "after_id")? + 1;
            names.get(start..).unwrap_or_default()
        }
        (None, Some(id)) => {
            let end = at(id, "before_id")?;
            names.get(end.saturating_sub(limit)..end).unwrap_or_default()
        }
        (None, None) => names,
    };
    let shown = page.get(..limit.min(page.len())).unwrap_or_default();
    let data: Vec<Value> = shown.iter().map(|name| anthropic_entry(call, name)).collect();
    let more = match call.query("before_id") {
        Some(_) if call.query("after_id").is_none() => shown.first() != names.first() && !shown.is_empty(),
        _ => page.len() > shown.len(),
    };
    Ok(json!({
        "data": data,
        "has_more": more,
        "first_id": shown.first().map(|name| &**name),
        "last_id": shown.last().map(|name| &**name),
    }))
}

/// A page by token, which is the number of entries before it.
fn gemini_page(call: &Call, names: &[Text]) -> Result<Value, Fault> {
    let size = number(call, "pageSize", 50, 1000)?;
    let start = match call.query("pageToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => token
            .strip_prefix('p')
            .and_then(|rest| rest.parse::<usize>().ok())
            .filter(|start| *start <= names.len())
            .ok_or_else(|| Fault::bad_request("pageToken", "pageToken: not a token of this list"))?,
    };
    let page = names.get(start..names.len().min(start + size)).unwrap_or_default();
    let models: Vec<Value> = page.iter().map(|name| gemini_entry(call, name)).collect();
    let end = start + page.len();
    Ok(if end < names.len() {
        json!({ "models": models, "nextPageToken": format!("p{end}") })
    } else {
        json!({ "models": models })
    })
}

fn number(call: &Call, member: &str, default: usize, most: usize) -> Result<usize, Fault> {
    match call.query(member) {
        None => Ok(default),
        Some(text) => match text.parse::<usize>() {
            Ok(0) | Err(_) => {
                Err(Fault::bad_request(member, format!("{member}: a number between 1 and {most} is expected")))
            }
            Ok(number) => Ok(number.min(most)),
        },
    }
}
