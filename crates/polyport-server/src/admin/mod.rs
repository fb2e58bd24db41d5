//! The admin API: what is configured, how it fares, and what operators do about it.
//!
//! | module | what |
//! |---|---|
//! | [`table`] | every endpoint |
//! | [`query`] | parameters, and lists page by page |
//! | [`refusal`] | why there is no answer |
//! | [`providers`] | services that answer, and their own lists of models |
//! | [`trial`] | whether a provider answers, before it is declared |
//! | [`clients`] | what leads clients here |
//! | [`presets`] | services that are known |
//! | [`credentials`] | keys and accounts: state, counts, switching, refreshing, probing |
//! | [`routing`] | pools and routes |
//! | [`definitions`] | making, changing and deleting all of these in the database |
//! | [`import`] | many credentials at once |
//! | [`whole`] | everything that another gateway had, or nothing |
//! | [`tokens`] | accounts, in the shapes that scripts for token pools expect |
//! | [`session`] | signing in and out, passwords, the first admin |
//! | [`oidc`] | signing in elsewhere |
//! | [`audit`] | what was done |
//! | [`people`] | teams, users, and the keys of their programs |
//! | [`usage`] | requests, the ledger, sums, and what is left of limits |
//! | [`overview`], [`live`] | figures over time, and of each second |
//! | [`preview`] | the next turns of a pool |
//! | [`openapi`], `…shapes` | the OpenAPI document, and the shapes of what is taken and answered |
//! | [`notifications`] | messages that were sent, and trying an address |
//! | [`backup`] | the database as a download |
//! | [`settings`] | what is set, who says so, and the configuration file as it is written |
//! | [`explain`] | what would happen to a request |
//! | [`status`] | the gateway as it is now |
//! | [`stats`] | counts by key, for clients as well |

mod audit;
mod backup;
mod clients;
mod credentials;
mod definitions;
mod describe;
mod explain;
mod export;
mod figures_shapes;
mod import;
mod live;
mod models;
mod notifications;
mod oidc;
mod openapi;
mod overview;
mod people;
mod people_shapes;
mod presets;
mod preview;
mod prices;
mod providers;
mod query;
mod refusal;
mod routing;
mod session;
mod settings;
mod settings_shapes;
mod setup_shapes;
mod shapes;
pub(crate) mod stats;
mod status;
mod table;
mod token_shapes;
mod tokens;
mod trial;
pub(crate) mod usage;
mod usage_shapes;
mod whole;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body as _;
use parking_lot::Mutex;
use polyport_protocol::json;
use polyport_routing::{Fleet, Millis, State};
use polyport_store::Role;
use polyport_types::{ClientProtocol, Fault};
use serde_json::{Map, Value, json};

use crate::app::{App, Runtime};
use crate::body::Body;
use crate::config::definitions::Kind as What;
use crate::config::suggestion;
use crate::id::RequestId;
use crate::identity::principal::{Principal, Scope};
use crate::ingress::Call;
use crate::ingress::body::{self, BodyLimits};
use crate::ingress::peer::Peer;
use crate::relay::origin::shown;
use crate::{clock, error, identity};
use credentials::Act;
use query::Query;
use refusal::Refusal;
use table::{Endpoint, Who};

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
    Credentials,
    Credential,
    Statistics,
    Health,
    Readiness,
    Act(Act),
    Pools,
    Pool,
    Preview,
    Routes,
    Route,
    Create(What),
    Change(What),
    Delete(What),
    Switch(What, bool),
    Import,
    Whole,
    Status,
    Problems,
    Models,
    Prices,
    Presets,
    Clients,
    Try,
    Explain,
    Audit,
    Door(session::Ask),
    Export,
    Settings,
    Set,
    Configuration,
    /// The database in a file.
    Backup,
    Notifications,
    TestNotification,
    OpenApi,
    People(people::Kind, people::Ask),
    Tokens(tokens::Ask),
    Usage(usage::Ask),
    Overview,
    /// Seconds as they end.
    OverviewLive,
    /// Requests in a file.
    Download,
    /// Requests as they end.
    Live,
}

/// What is in force while one request is answered.
#[derive(Debug)]
struct View {
    app: Arc<App>,
    runtime: Arc<Runtime>,
    fleet: Arc<Fleet>,
    now: Millis,
    /// Who asks.
    principal: Principal,
    /// What was given, for the audit log.
    given: Mutex<Value>,
}

impl View {
    /// What is in force now.
    fn of(app: &Arc<App>) -> Self {
        let runtime = app.runtime_owned();
        Self {
            app: Arc::clone(app),
            fleet: app.credentials.fleet_owned(),
            runtime,
            now: clock::now(),
            principal: Principal::Nobody,
            given: Mutex::default(),
        }
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
    /// One object is shown, which has an `ETag` in any case.
    single: bool,
    /// More headers.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Instead of the value: JSON that is written already.
    text: Option<Bytes>,
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        let revision = value.get("revision").and_then(Value::as_i64);
        Self { status: StatusCode::OK, value, revision, location: None, single: false, headers: Vec::new(), text: None }
    }
}

/// Answers an operator.
pub(crate) async fn handle(call: Call) -> Response<Body> {
    let Call { app, runtime, id, head, body } = call;
    let mut view = View { runtime, ..View::of(&app) };
    let decoded = segments(head.uri.path());
    let segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
    let answered = match let_in(&mut view, &head, &id, find(&head, &segments)).await {
        Ok((endpoint, about))
            if matches!(endpoint.ask, Ask::Download | Ask::Live | Ask::OverviewLive | Ask::Backup) =>
        {
            let written = match (Query::read(&head, query::parameters(endpoint.ask)), endpoint.ask) {
                (Err(refusal), _) => Err(refusal),
                (Ok(query), Ask::Live) => usage::live(&view, &query),
                (Ok(_), Ask::OverviewLive) => Ok(live::answer(&view)),
                (Ok(query), Ask::Backup) => match read(&view, &head, body).await.and_then(|body| members(body, &[])) {
                    Ok(_) => backup::answer(&view, &query).await,
                    Err(refusal) => Err(refusal),
                },
                (Ok(query), _) => usage::export(&view, &query),
            };
            let status = written.as_ref().map_or_else(|refusal| refusal.status, Response::status);
            note(&view, endpoint, about, &head, &id, (status, None)).await;
            let mut response = written.unwrap_or_else(|refusal| refusal.answer(&id));
            error::name(ClientProtocol::Chat, &id, response.headers_mut());
            guard(response.headers_mut());
            return response;
        }
        Ok((endpoint, about)) => {
            let answered = answer(&view, endpoint, about, &head, &id, body).await;
            let came = match &answered {
                Ok(answer) => (answer.status, answer.value.get("id").and_then(Value::as_str)),
                Err(refusal) => (refusal.status, None),
            };
            note(&view, endpoint, about, &head, &id, came).await;
            answered
        }
        Err(refusal) => Err(refusal),
    };
    let mut response = match answered {
        Ok(answer) => shown_to(answer),
        Err(refusal) if segments.first() == Some(&"tokens") => tokens::refused(&refusal),
        Err(refusal) => refusal.answer(&id),
    };
    error::name(ClientProtocol::Chat, &id, response.headers_mut());
    guard(response.headers_mut());
    response
}

/// An endpoint that is asked, and what its path is about.
type Found<'a> = (&'static Endpoint, &'a str);

/// Finds out who asks, and whether they may ask this.
async fn let_in<'a>(
    view: &mut View,
    head: &Parts,
    id: &RequestId,
    found: Result<Found<'a>, Refusal>,
) -> Result<Found<'a>, Refusal> {
    if !matches!(&found, Ok((endpoint, _)) if endpoint.who == Who::Anyone) {
        view.principal = identity::access::principal(&view.app, &view.runtime, head).await.inspect_err(|denied| {
            let address = Peer::found(head).address;
            tracing::warn!(client.address = %address, code = denied.code, "the admin API refused somebody");
        })?;
    }
    let role = view.principal.role();
    let known = if role.is_some() { Ok(()) } else { Err(identity::access::nobody(&view.app, &view.runtime).into()) };
    let (endpoint, about) = match (found, known) {
        (Ok((endpoint, about)), _) if endpoint.who == Who::Anyone => return Ok((endpoint, about)),
        (_, Err(nobody)) => return Err(nobody),
        (found, Ok(())) => found?,
    };
    if let Err(refusal) = may_ask(&view.principal, endpoint) {
        note(view, endpoint, about, head, id, (refusal.status, None)).await;
        return Err(refusal);
    }
    Ok((endpoint, about))
}

/// Whether an endpoint is for somebody of this role.
fn may_ask(principal: &Principal, endpoint: &Endpoint) -> Result<(), Refusal> {
    let for_password = matches!(endpoint.ask, Ask::Door(ask) if ask.leads_to_a_password());
    if principal.user().is_some_and(|user| user.must_change) && !for_password {
        let words = "choose another password first: `PUT /admin/api/session/password`";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "password_change_needed", words));
    }
    let role = principal.role();
    if !endpoint.who.allows(role) {
        let words = format!("as {} you may not do this", role.map_or("nobody", Role::as_str));
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_allowed", words));
    }
    Ok(())
}

/// Writes down what was done. Signing in and out writes its own entries.
async fn note(
    view: &View,
    endpoint: &Endpoint,
    about: &str,
    head: &Parts,
    id: &RequestId,
    (status, made): (StatusCode, Option<&str>),
) {
    let own = matches!(endpoint.ask, Ask::Door(ask) if ask.leads_to_a_password());
    if endpoint.method == Method::GET || matches!(endpoint.ask, Ask::Explain | Ask::Preview) || own {
        return;
    }
    let given = std::mem::take(&mut *view.given.lock());
    // A rehearsal changes nothing.
    if matches!(endpoint.ask, Ask::Whole) && given["dry_run"] == true {
        return;
    }
    let deed = identity::audit::Deed {
        action: endpoint.operation,
        object_kind: endpoint.path.split('/').next(),
        object: Some(about).filter(|about| !about.is_empty()).or(made),
        status,
        given: &given,
    };
    identity::audit::record(&view.app, &view.principal, head, id, deed).await;
}

/// What keeps browsers from doing anything with an answer but reading it on our own page.
fn guard(headers: &mut HeaderMap) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// The parts of a path behind [`ROOT`].
fn segments(path: &str) -> Vec<Cow<'_, str>> {
    let rest = path.strip_prefix(ROOT).unwrap_or_default().trim_end_matches('/');
    rest.split('/').map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy()).collect()
}

/// The endpoint that is asked, and what its path is about.
fn find<'a>(head: &Parts, segments: &[&'a str]) -> Result<(&'static Endpoint, &'a str), Refusal> {
    let asked = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    if let Some(found) = table::asked(asked, segments) {
        return Ok(found);
    }
    let place = table::find(segments)
        .ok_or_else(|| Refusal::not_found(format!("there is no `{}` here", shown(head.uri.path()))))?;
    let methods: Vec<&str> = place.endpoints().map(|endpoint| endpoint.method.as_str()).collect();
    let are = if methods.len() == 1 { "is" } else { "are" };
    let words = format!("{} is not possible here, {} {are}", head.method, methods.join(", "));
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words);
    Err(Refusal { allow: Some(methods.join(", ").replace("GET", "GET, HEAD")), ..refusal })
}

async fn answer(
    view: &View,
    endpoint: &Endpoint,
    id: &str,
    head: &Parts,
    request: &RequestId,
    body: hyper::body::Incoming,
) -> Result<Answer, Refusal> {
    let query = match endpoint.ask {
        // The identity provider adds what it likes.
        Ask::Door(session::Ask::ComeBack) => Query::none(),
        ask => Query::read(head, query::parameters(ask))?,
    };
    let value = match endpoint.ask {
        Ask::Providers => query.page("providers", providers::all(view))?,
        Ask::ProviderModels => providers::models(view, id).await?,
        Ask::Learned => providers::learned(view, id)?,
        Ask::Forget => providers::forget(view, id)?,
        Ask::Credentials => credentials::page(view, &query)?,
        Ask::Credential => credentials::one(view, id)?,
        Ask::Statistics => credentials::statistics(view),
        Ask::Health => query.page("credentials", credentials::health(view))?,
        Ask::Readiness => {
            let (status, value) = credentials::readiness(view);
            return Ok(Answer { status, ..value.into() });
        }
        Ask::Act(act) => {
            members(read(view, head, body).await?, &[])?;
            credentials::act(view, id, act).await?
        }
        Ask::Provider => providers::one(view, id)?,
        Ask::Pools => {
            let all = routing::all_pools(view);
            // Others learn by which names they may ask.
            let names = |pool: &Value| json!({ "name": pool["name"], "tier": pool["tier"] });
            let all = if view.principal.scope() == Scope::All { all } else { all.iter().map(names).collect() };
            query.page("pools", all)?
        }
        Ask::Pool => routing::pool(view, id)?,
        Ask::Preview => preview::answer(view, members(read(view, head, body).await?, &preview::MEMBERS)?).await?,
        Ask::Routes => query.page("routes", routing::all_routes(view))?,
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
        Ask::Import => import::answer(view, &query, head, body).await?,
        Ask::Whole => whole::answer(view, members(read(view, head, body).await?, &whole::MEMBERS)?).await?,
        Ask::Status => status::answer(view),
        Ask::Problems => query.page("problems", definitions::problems(view))?,
        Ask::Models => query.page("models", models::all(view))?,
        Ask::Prices => query.page("prices", prices::all())?,
        Ask::Presets => query.page("presets", presets::all())?,
        // The model is no filter: it is filled in.
        Ask::Clients => query.without("model").page("clients", clients::list(view, head, &query))?,
        Ask::Export => export::answer(view).await?,
        Ask::Settings => return Ok(settings::all(view)),
        Ask::Set => {
            let revision = definitions::revision(head)?;
            return settings::change(view, revision, read(view, head, body).await?).await;
        }
        Ask::Configuration => settings::configuration(view).await?,
        Ask::Notifications => query.page("notifications", notifications::list(view))?,
        Ask::TestNotification => {
            notifications::test(view, &members(read(view, head, body).await?, &notifications::MEMBERS)?).await?
        }
        Ask::OpenApi => return Ok(Answer { text: Some(openapi::text()), ..Value::Null.into() }),
        Ask::People(kind, about) => {
            let revision = definitions::revision(head)?;
            let body = read(view, head, body).await?;
            return people::answer(view, kind, about, id, &query, revision, body).await;
        }
        Ask::Usage(about) => {
            members(read(view, head, body).await?, &[])?;
            usage::answer(view, about, id, &query).await?
        }
        Ask::Overview => overview::answer(view, &query).await?,
        // They are written as they are read: see `handle`.
        Ask::Download | Ask::Live | Ask::OverviewLive | Ask::Backup => Value::Null,
        Ask::Tokens(about) => {
            let body = read(view, head, body).await?;
            return tokens::answer(view, about, id, &query, body).await;
        }
        Ask::Audit => audit::list(view, &query).await?,
        Ask::Door(ask) => {
            let body = read(view, head, body).await?;
            return session::answer(view, ask, id, head, request, body).await;
        }
        Ask::Try => trial::answer(view, members(read(view, head, body).await?, &trial::MEMBERS)?).await?,
        Ask::Explain => explain::answer(view, &members(read(view, head, body).await?, &explain::MEMBERS)?)?,
    };
    let mut answer = Answer::from(value);
    answer.single = endpoint.path.ends_with("{id}");
    Ok(answer)
}

/// Reads a body of JSON; none is an empty object.
async fn read(view: &View, head: &Parts, body: hyper::body::Incoming) -> Result<Value, Refusal> {
    let kind = head.headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default().to_ascii_lowercase());
    if let Some(kind) = kind.as_deref().map(|kind| kind.split(';').next().unwrap_or_default().trim())
        && kind != "application/json"
        && !kind.ends_with("+json")
        && !body.is_end_stream()
    {
        let words = format!("content-type: `{}` is not understood here; send application/json", shown(kind));
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", words));
    }
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
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::bad_request(format!("the body is not JSON: {error}")))?;
    view.given.lock().clone_from(&value);
    Ok(value)
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
            let refusal = Refusal::member(name, format!("it is not known; {remedy}"));
            Err(Refusal { message: format!("unknown member `{}`; {remedy}", shown(name)), ..refusal })
        }
    }
}

fn shown_to(answer: Answer) -> Response<Body> {
    let mut response = written(answer.status, &answer.value);
    if let Some(text) = answer.text {
        *response.body_mut() = Body::from(text);
    }
    let mut set = |name, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    };
    let of_content = || {
        format!("W/\"{}\"", blake3::hash(answer.value.to_string().as_bytes()).to_hex().get(..16).unwrap_or_default())
    };
    let revision = answer.revision.map(|revision| format!("\"{revision}\""));
    set(ETAG, revision.or_else(|| answer.single.then(of_content)));
    set(LOCATION, answer.location);
    for (name, value) in answer.headers {
        response.headers_mut().append(name, value);
    }
    response
}

fn written(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string().into_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
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
