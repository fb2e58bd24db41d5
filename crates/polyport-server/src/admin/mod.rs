//! The admin API: what is configured, how it fares, and what operators do about it.
//!
//! | module | what |
//! |---|---|
//! | [`table`] | every endpoint |
//! | [`providers`] | services that answer, and their own lists of models |
//! | [`credentials`] | keys and accounts: state, counts, switching, refreshing, probing |
//! | [`routing`] | pools and routes |
//! | [`definitions`] | making, changing and deleting all of these in the database |
//! | [`import`] | many credentials at once |
//! | [`people`] | teams, users, and the keys of their programs |
//! | [`explain`] | what would happen to a request |
//! | [`stats`] | counts by key, for clients as well |

mod credentials;
mod definitions;
mod explain;
mod import;
mod people;
mod providers;
mod routing;
pub(crate) mod stats;
mod table;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use polyport_protocol::{encode_fault, json};
use polyport_routing::{Fleet, Millis, State};
use polyport_types::{ClientProtocol, Fault};
use serde_json::{Map, Value, json};

use crate::app::{App, Runtime};
use crate::body::Body;
use crate::config::definitions::Kind as What;
use crate::config::suggestion;
use crate::ingress::Call;
use crate::ingress::access::presented;
use crate::ingress::body::{self, BodyLimits};
use crate::ingress::peer::Peer;
use crate::relay::origin::shown;
use crate::{clock, directory, error};
use credentials::{Act, Kind};
use table::Endpoint;

/// Where the admin API begins.
pub(crate) const ROOT: &str = "/admin/api/";

/// What is asked for; what it is about stands in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Providers,
    Provider,
    ProviderModels,
    Learned,
    Forget,
    Credentials(Kind),
    Credential(Kind),
    Statistics(Kind),
    Health(Kind),
    Readiness(Kind),
    Act(Kind, Act),
    Pools,
    Pool,
    Routes,
    Route,
    Create(What),
    Change(What),
    Delete(What),
    Switch(What, bool),
    Import(Kind),
    Problems,
    Explain,
    People(people::Kind, people::Ask),
}

/// Why there is no answer.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The methods that are possible.
    allow: Option<String>,
    /// What is wrong with which member.
    problems: Vec<Value>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), allow: None, problems: Vec::new() }
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

impl View {
    /// What is in force now.
    fn of(app: &Arc<App>) -> Self {
        let runtime = app.runtime_owned();
        Self { app: Arc::clone(app), fleet: app.credentials.fleet_owned(), runtime, now: clock::now() }
    }
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    value: Value,
    /// Of what is shown.
    revision: Option<i64>,
    /// Where it was made.
    location: Option<String>,
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        let revision = value.get("revision").and_then(Value::as_i64);
        Self { status: StatusCode::OK, value, revision, location: None }
    }
}

/// Answers an operator.
pub(crate) async fn handle(call: Call) -> Response<Body> {
    let Call { app, runtime, id, head, body } = call;
    let view = View { runtime, ..View::of(&app) };
    let decoded = segments(head.uri.path());
    let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
    let found = find(&head, &segments);
    let answered = match (operator(&view, &head), found) {
        (Err(refusal), _) => {
            tracing::warn!(client.address = %Peer::found(&head).address, code = refusal.code, "the admin API refused somebody");
            Err(refusal)
        }
        (Ok(()), Err(refusal)) => Err(refusal),
        (Ok(()), Ok((endpoint, about))) => {
            tracing::debug!(operation = endpoint.operation, who = ?endpoint.who, "an operator asks");
            answer(&view, endpoint.ask, about, &head, body).await
        }
    };
    let mut response = match answered {
        Ok(answer) => shown_to(answer),
        Err(refusal) => refused(&refusal),
    };
    error::name(ClientProtocol::Chat, &id, response.headers_mut());
    response
}

/// The parts of a path behind [`ROOT`].
fn segments(path: &str) -> Vec<Cow<'_, str>> {
    let rest = path.strip_prefix(ROOT).unwrap_or_default().trim_end_matches('/');
    rest.split('/').map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy()).collect()
}

/// The endpoint that is asked, and what its path is about.
fn find<'a>(head: &Parts, segments: &[&'a str]) -> Result<(&'static Endpoint, &'a str), Refusal> {
    let place = table::find(segments)
        .ok_or_else(|| Refusal::not_found(format!("there is no `{}` here", shown(head.uri.path()))))?;
    let asked = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    if let Some(endpoint) = place.endpoints().find(|endpoint| endpoint.method == *asked) {
        return Ok((endpoint, place.id));
    }
    let methods: Vec<&str> = place.endpoints().map(|endpoint| endpoint.method.as_str()).collect();
    let are = if methods.len() == 1 { "is" } else { "are" };
    let words = format!("{} is not possible here, {} {are}", head.method, methods.join(", "));
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words);
    Err(Refusal { allow: Some(methods.join(", ").replace("GET", "GET, HEAD")), ..refusal })
}

async fn answer(view: &View, ask: Ask, id: &str, head: &Parts, body: hyper::body::Incoming) -> Result<Answer, Refusal> {
    let query = || Query::of(head);
    let value = match ask {
        Ask::Providers => providers::list(view),
        Ask::ProviderModels => providers::models(view, id).await?,
        Ask::Learned => providers::learned(view, id)?,
        Ask::Forget => providers::forget(view, id)?,
        Ask::Credentials(kind) => credentials::list(view, kind, &query())?,
        Ask::Credential(kind) => credentials::one(view, kind, id)?,
        Ask::Statistics(kind) => credentials::statistics(view, kind),
        Ask::Health(kind) => credentials::health(view, kind),
        Ask::Readiness(kind) => {
            let (status, value) = credentials::readiness(view, kind);
            return Ok(Answer { status, ..value.into() });
        }
        Ask::Act(kind, act) => {
            members(read(view, head, body).await?, &[])?;
            credentials::act(view, kind, id, act).await?
        }
        Ask::Provider => providers::one(view, id)?,
        Ask::Pools => routing::pools(view),
        Ask::Pool => routing::pool(view, id)?,
        Ask::Routes => routing::routes(view),
        Ask::Route => routing::route(view, id)?,
        Ask::Create(what) => return definitions::create(view, what, read(view, head, body).await?).await,
        Ask::Change(what) => {
            let revision = definitions::revision(head)?;
            definitions::change(view, what, id, revision, read(view, head, body).await?).await?
        }
        Ask::Delete(what) => definitions::delete(view, what, id, definitions::revision(head)?).await?,
        Ask::Switch(what, on) => {
            members(read(view, head, body).await?, &[])?;
            definitions::switch(view, what, id, on).await?
        }
        Ask::Import(kind) => import::answer(view, kind, head, body).await?,
        Ask::Problems => definitions::problems(view),
        Ask::People(kind, about) => {
            let (query, revision) = (query(), definitions::revision(head)?);
            let body = read(view, head, body).await?;
            return people::answer(view, kind, about, id, &query, revision, body).await;
        }
        Ask::Explain => explain::answer(view, &members(read(view, head, body).await?, &explain::MEMBERS)?)?,
    };
    Ok(value.into())
}

/// Whether an operator asks.
fn operator(view: &View, head: &Parts) -> Result<(), Refusal> {
    let access = &view.runtime.config.access;
    if !access.has_admin_keys() {
        let words = "the admin API is closed, because no admin key is configured: set the environment variable ADMIN_TOKEN, or \
                     `access: { admin_keys: [\"env:NAME\"] }` in the configuration file";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "no_admin_key", words));
    }
    if presented(head).any(|key| access.find_admin(key).is_some()) {
        return Ok(());
    }
    let directory = view.app.directory.as_ref();
    let of_client = |key: &str| {
        access.find(key).is_some() || directory.is_some_and(|directory| directory.find(key, directory::now()).is_some())
    };
    if presented(head).any(of_client) {
        let words = "this is a key for clients; the admin API needs one of `access.admin_keys`";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "client_key", words));
    }
    let words = "a valid admin key is needed, as `Authorization: Bearer` or `x-api-key`";
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "admin_key_needed", words))
}

/// Reads a body; none is an empty object.
async fn read(view: &View, head: &Parts, body: hyper::body::Incoming) -> Result<Value, Refusal> {
    json_of(view, &bytes_of(view, head, body).await?)
}

async fn bytes_of(view: &View, head: &Parts, body: hyper::body::Incoming) -> Result<Bytes, Refusal> {
    let limits = &view.runtime.config.limits;
    Ok(body::read(head, body, BodyLimits::new(limits, limits.request_body_bytes)).await?)
}

fn json_of(view: &View, bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.trim_ascii().is_empty() {
        return Ok(json!({}));
    }
    json::check_depth_below(bytes, view.runtime.config.limits.json_depth).map_err(Fault::from)?;
    serde_json::from_slice(bytes).map_err(|error| Refusal::bad_request(format!("the body is not JSON: {error}")))
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

fn shown_to(answer: Answer) -> Response<Body> {
    let mut response = written(answer.status, &answer.value);
    let mut set = |name, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    };
    set(ETAG, answer.revision.map(|revision| format!("\"{revision}\"")));
    set(LOCATION, answer.location);
    response
}

fn written(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string().into_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut error = json!({ "error": { "code": refusal.code, "message": refusal.message } });
    if !refusal.problems.is_empty() {
        error["error"]["problems"] = refusal.problems.clone().into();
    }
    let mut response = written(refusal.status, &error);
    if refusal.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(allowed) = refusal.allow.as_deref().and_then(|methods| HeaderValue::try_from(methods).ok()) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
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
    fn an_unknown_member_is_told_with_what_was_meant() {
        let refused = |body: Value, known: &[&str]| members(body, known).unwrap_err().message;
        assert_eq!(refused(json!({"modle": 1}), &["model", "body"]), "unknown member `modle`; did you mean `model`?");
        assert_eq!(refused(json!({"x": 1}), &[]), "unknown member `x`; no member is expected");
        assert_eq!(refused(json!([]), &[]), "the body must be a JSON object");
        assert!(members(json!({"model": 1}), &["model"]).is_ok());
    }
}
