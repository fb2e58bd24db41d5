//! The admin API: what is configured, how it fares, and what operators do about it.
//!
//! | module | what |
//! |---|---|
//! | [`providers`] | services that answer, and their own lists of models |
//! | [`credentials`] | keys and accounts: state, counts, switching, refreshing, probing |
//! | [`routing`] | pools and routes |
//! | [`explain`] | what would happen to a request |
//! | [`stats`] | counts by key, for clients as well |

mod credentials;
mod explain;
mod providers;
mod routing;
pub(crate) mod stats;

use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use polyport_protocol::{encode_fault, json};
use polyport_routing::{Fleet, Millis, State};
use polyport_types::{ClientProtocol, Fault};
use serde_json::{Map, Value, json};

use crate::app::{App, Runtime};
use crate::body::Body;
use crate::config::suggestion;
use crate::ingress::Call;
use crate::ingress::access::presented;
use crate::ingress::body::{self, BodyLimits};
use crate::relay::origin::shown;
use crate::{clock, error};
use credentials::{Act, Kind};

/// Where the admin API begins.
pub(crate) const ROOT: &str = "/admin/api/";

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask<'a> {
    Providers,
    ProviderModels(&'a str),
    Credentials(Kind),
    Credential(Kind, &'a str),
    Statistics(Kind),
    Health(Kind),
    Readiness(Kind),
    Act(Kind, &'a str, Act),
    Pools,
    Routes,
    Explain,
}

/// The endpoints, each with its only method.
fn find<'a>(path: &[&'a str]) -> Option<(Method, Ask<'a>)> {
    let get = |ask| Some((Method::GET, ask));
    match *path {
        ["providers"] => get(Ask::Providers),
        ["providers", name, "models"] => get(Ask::ProviderModels(name)),
        ["pools"] => get(Ask::Pools),
        ["routes"] => get(Ask::Routes),
        ["explain"] => Some((Method::POST, Ask::Explain)),
        [list, ref rest @ ..] => {
            let kind = Kind::listed_as(list)?;
            match *rest {
                [] => get(Ask::Credentials(kind)),
                ["statistics"] => get(Ask::Statistics(kind)),
                ["health"] => get(Ask::Health(kind)),
                ["readiness"] => get(Ask::Readiness(kind)),
                [id] => get(Ask::Credential(kind, id)),
                [id, act] => Some((Method::POST, Ask::Act(kind, id, Act::named(act)?))),
                _ => None,
            }
        }
        [] => None,
    }
}

/// Why there is no answer.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The method that is possible.
    allow: Option<Method>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), allow: None }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let status = encode_fault(ClientProtocol::Chat, &fault, "").status;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, fault.class.as_str(), fault.message)
    }
}

/// What is in force while one request is answered.
#[derive(Debug)]
struct View {
    app: Arc<App>,
    runtime: Arc<Runtime>,
    fleet: Arc<Fleet>,
    now: Millis,
}

/// Answers an operator.
pub(crate) async fn handle(call: Call) -> Response<Body> {
    let Call { app, runtime, id, head, body } = call;
    let fleet = Arc::clone(&app.credentials.fleet());
    let view = View { app, runtime, fleet, now: clock::now() };
    let answered = match operator(&view.runtime, &head) {
        Ok(()) => answer(&view, &head, body).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = match answered {
        Ok((status, value)) => written(status, &value),
        Err(refusal) => refused(&refusal),
    };
    error::name(ClientProtocol::Chat, &id, response.headers_mut());
    response
}

async fn answer(view: &View, head: &Parts, body: hyper::body::Incoming) -> Result<(StatusCode, Value), Refusal> {
    let path = head.uri.path();
    let decoded: Vec<_> = path
        .strip_prefix(ROOT)
        .unwrap_or_default()
        .trim_end_matches('/')
        .split('/')
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy())
        .collect();
    let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
    let (method, ask) =
        find(&segments).ok_or_else(|| Refusal::not_found(format!("there is no `{}` here", shown(path))))?;
    let asked = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    if *asked != method {
        let words = format!("{} is not possible here, {method} is", head.method);
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words);
        return Err(Refusal { allow: Some(method), ..refusal });
    }
    let query = || Query::of(head);
    let value = match ask {
        Ask::Providers => providers::list(view),
        Ask::ProviderModels(name) => providers::models(view, name).await?,
        Ask::Credentials(kind) => credentials::list(view, kind, &query())?,
        Ask::Credential(kind, id) => credentials::one(view, kind, id)?,
        Ask::Statistics(kind) => credentials::statistics(view, kind),
        Ask::Health(kind) => credentials::health(view, kind),
        Ask::Readiness(kind) => return Ok(credentials::readiness(view, kind)),
        Ask::Act(kind, id, act) => {
            members(read(view, head, body).await?, &[])?;
            credentials::act(view, kind, id, act).await?
        }
        Ask::Pools => routing::pools(view),
        Ask::Routes => routing::routes(view),
        Ask::Explain => explain::answer(view, &members(read(view, head, body).await?, &explain::MEMBERS)?)?,
    };
    Ok((StatusCode::OK, value))
}

/// Whether an operator asks.
fn operator(runtime: &Runtime, head: &Parts) -> Result<(), Refusal> {
    let access = &runtime.config.access;
    if !access.has_admin_keys() {
        let words = "the admin API is closed, because no admin key is configured: set the environment variable ADMIN_TOKEN, or \
                     `access: { admin_keys: [\"env:NAME\"] }` in the configuration file";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "no_admin_key", words));
    }
    if presented(head).any(|key| access.find_admin(key).is_some()) {
        return Ok(());
    }
    if presented(head).any(|key| access.find(key).is_some()) {
        let words = "this is a key for clients; the admin API needs one of `access.admin_keys`";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "client_key", words));
    }
    let words = "a valid admin key is needed, as `Authorization: Bearer` or `x-api-key`";
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "admin_key_needed", words))
}

/// Reads a body; none is an empty object.
async fn read(view: &View, head: &Parts, body: hyper::body::Incoming) -> Result<Value, Refusal> {
    let limits = &view.runtime.config.limits;
    let bytes = body::read(head, body, BodyLimits::new(limits, limits.request_body_bytes)).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(json!({}));
    }
    json::check_depth_below(&bytes, limits.json_depth).map_err(Fault::from)?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::bad_request(format!("the body is not JSON: {error}")))
}

/// The members of a body that may have these only.
fn members(body: Value, known: &[&str]) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(members) = body else { return Err(Refusal::bad_request("the body must be a JSON object")) };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(members),
        Some(name) => {
            let remedy = match suggestion(name, known, "known are") {
                remedy if remedy.is_empty() => "no member is expected".to_owned(),
                remedy => remedy,
            };
            Err(Refusal::bad_request(format!("unknown member `{}`; {remedy}", shown(name))))
        }
    }
}

/// The members of a query, but for keys.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(head: &Parts) -> Self {
        let query = head.uri.query().unwrap_or_default().as_bytes();
        Self(url::form_urlencoded::parse(query).into_owned().filter(|(name, _)| name != "key").collect())
    }

    /// Refuses what is not among the known ones.
    fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let remedy = suggestion(name, known, "known are");
                Err(Refusal::bad_request(format!("unknown parameter `{}`; {remedy}", shown(name))))
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn written(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string().into_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let error = json!({ "error": { "code": refusal.code, "message": refusal.message } });
    let mut response = written(refusal.status, &error);
    if refusal.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(method) = &refusal.allow {
        let allowed = if *method == Method::GET { "GET, HEAD" } else { "POST" };
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

/// A state as members of an object: `state`, and `until`, `cause` or `reason` where there are any.
fn state(state: &State) -> Value {
    serde_json::to_value(state).unwrap_or_default()
}

/// Puts the members of one object into another.
fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_one_method() {
        for (path, method) in [
            ("providers", Method::GET),
            ("providers/a/models", Method::GET),
            ("credentials", Method::GET),
            ("credentials/a:1", Method::GET),
            ("tokens/readiness", Method::GET),
            ("tokens/a:1/refresh", Method::POST),
            ("credentials/a:1/probe", Method::POST),
            ("pools", Method::GET),
            ("routes", Method::GET),
            ("explain", Method::POST),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            assert_eq!(find(&segments).map(|(method, _)| method), Some(method), "{path}");
        }
        for path in ["", "provider", "providers/a", "credentials/a/b", "credentials/a/probe/b", "pools/a"] {
            let segments: Vec<&str> = path.split('/').collect();
            assert_eq!(find(&segments), None, "{path}");
        }
    }

    #[test]
    fn an_unknown_member_is_told_with_what_was_meant() {
        let refused = |body: Value, known: &[&str]| members(body, known).unwrap_err().message;
        assert_eq!(refused(json!({"modle": 1}), &["model", "body"]), "unknown member `modle`; did you mean `model`?");
        assert_eq!(refused(json!({"x": 1}), &[]), "unknown member `x`; no member is expected");
        assert_eq!(refused(json!([]), &[]), "the body must be a JSON object");
        assert!(members(json!({"model": 1}), &["model"]).is_ok());
    }
}
