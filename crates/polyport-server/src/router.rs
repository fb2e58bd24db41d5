//! Every route, on one screen.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use polyport_types::{ClientProtocol, Fault, FaultClass};
use tracing::Level;

use crate::admin;
use crate::app::App;
use crate::body::Body;
use crate::id::RequestId;
use crate::ingress::objects::{self, Place};
use crate::ingress::peer::Peer;
use crate::ingress::{self, Call, held, stored};
use crate::listen::InFlight;
use crate::{docs, error, guide, observe, recorder, ui};

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// An answer of a model, in the protocol of the path.
    Generate(ClientProtocol),
    /// The same where Gemini names model and method in the path.
    Gemini {
        model: String,
        verb: Verb,
    },
    /// The older paths that take a vendor's body or a simple one of `model` and `messages`, and answer as the vendor does.
    Compat(ClientProtocol),
    /// Chat where the path names the model (Azure).
    Deployment(String),
    CountTokens(ClientProtocol),
    Models(Style),
    Model(Style, String),
    Embeddings,
    Completions,
    /// About an answer that is kept, here or at its provider.
    Response(String, stored::Ask),
    /// Begins a conversation.
    Conversations,
    /// About a conversation: its id and the rest of the path.
    Conversation(String, String),
    /// Codex asks for a WebSocket.
    WebSocket,
    /// Handed to a provider that has the endpoint, by model.
    Forward(&'static str),
    /// About things that providers keep: the path behind the version.
    Object(Style, String),
    /// The admin API has endpoints of its own.
    Admin,
    /// The admin page and its files.
    Ui,
    /// The page about the API.
    Docs(docs::File),
    Guide,
    /// Counts by provider and key.
    KeyStats,
    Health,
    Ready,
    Metrics,
    Root,
}

impl Route {
    /// How loudly the log speaks of a request that asks no model: probes come all the time. `None` where its [`observe::Record`] does.
    fn loudness(&self) -> Option<Level> {
        match self {
            Self::Health | Self::Ready | Self::Metrics | Self::Root | Self::Ui | Self::Docs(_) | Self::Guide => {
                Some(Level::DEBUG)
            }
            Self::Models(_) | Self::Model(..) | Self::WebSocket | Self::Admin | Self::KeyStats => Some(Level::INFO),
            _ => None,
        }
    }
}

/// A method of a Gemini model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Generate,
    Stream,
    Count,
    Embed,
    EmbedBatch,
    /// Handed on to a Gemini provider as it is.
    Forward(&'static str),
}

/// How a list of models is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `OpenAI`'s, or Anthropic's for its clients.
    ByClient,
    Of(ClientProtocol),
}

impl Style {
    /// What the client may speak.
    fn protocols(self) -> &'static [ClientProtocol] {
        match self {
            Self::ByClient => &[ClientProtocol::Chat, ClientProtocol::Messages],
            Self::Of(ClientProtocol::Chat) => &[ClientProtocol::Chat],
            Self::Of(ClientProtocol::Responses) => &[ClientProtocol::Responses],
            Self::Of(ClientProtocol::Messages) => &[ClientProtocol::Messages],
            Self::Of(ClientProtocol::Gemini) => &[ClientProtocol::Gemini],
        }
    }
}

/// Why there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    NotFound(Option<&'static str>),
    Method,
}

/// Finds the route of a path.
pub(crate) fn find(method: &Method, path: &str) -> Result<Route, Miss> {
    let (get, post) = (matches!(*method, Method::GET | Method::HEAD), *method == Method::POST);
    if path.starts_with(admin::ROOT) {
        return Ok(Route::Admin);
    }
    let path = path.trim_end_matches('/');
    if let Some(rest) = upload(path) {
        return object(method, Style::Of(ClientProtocol::Gemini), &rest).unwrap_or(Err(Miss::NotFound(None)));
    }
    let Some(rest) = strip(path) else {
        return match path {
            "" => only(get, Route::Root),
            "/healthz" | "/health" | "/livez" => only(get, Route::Health),
            "/readyz" => only(get, Route::Ready),
            "/metrics" => only(get, Route::Metrics),
            "/v1/anthropic/completions" | "/anthropic/completions" => {
                only(post, Route::Compat(ClientProtocol::Messages))
            }
            "/v1/gemini/completions" | "/gemini/completions" => only(post, Route::Compat(ClientProtocol::Gemini)),
            // The start-up probe of clients whose base address has one of our prefixes.
            "/anthropic" | "/openai" | "/gemini" | "/v1" | "/v1beta" => only(get, Route::Root),
            _ if ui::holds(path) => only(get, Route::Ui),
            _ if guide::holds(path) => only(get, Route::Guide),
            _ => match docs::File::at(path) {
                Some(file) => only(get, Route::Docs(file)),
                None => Err(Miss::NotFound(None)),
            },
        };
    };
    if rest.starts_with("v1/") {
        return Err(Miss::NotFound(Some("the path holds `/v1` twice: leave it out of the client's base URL")));
    }
    match rest {
        "chat/completions" if !get => only(post, Route::Generate(ClientProtocol::Chat)),
        "responses" if get => Ok(Route::WebSocket),
        "responses" => only(post, Route::Generate(ClientProtocol::Responses)),
        "responses/input_tokens" => only(post, Route::CountTokens(ClientProtocol::Responses)),
        "responses/compact" => only(post, Route::Forward("responses/compact")),
        "messages" => only(post, Route::Generate(ClientProtocol::Messages)),
        "messages/count_tokens" => only(post, Route::CountTokens(ClientProtocol::Messages)),
        "completions" => only(post, Route::Completions),
        "embeddings" => only(post, Route::Embeddings),
        "models" => only(get, Route::Models(style(path))),
        "api-keys/stats" => only(get, Route::KeyStats),
        "conversations" => only(post, Route::Conversations),
        "moderations" => only(post, Route::Forward("moderations")),
        "rerank" => only(post, Route::Forward("rerank")),
        "images/generations" => only(post, Route::Forward("images/generations")),
        "images/edits" => only(post, Route::Forward("images/edits")),
        "images/variations" => only(post, Route::Forward("images/variations")),
        "audio/speech" => only(post, Route::Forward("audio/speech")),
        "audio/transcriptions" => only(post, Route::Forward("audio/transcriptions")),
        "audio/translations" => only(post, Route::Forward("audio/translations")),
        _ => below(method, path, rest),
    }
}

/// Paths that hold a name.
fn below(method: &Method, path: &str, rest: &str) -> Result<Route, Miss> {
    let (get, post) = (matches!(*method, Method::GET | Method::HEAD), *method == Method::POST);
    if let Some(rest) = rest.strip_prefix("responses/") {
        return match rest.split_once('/') {
            None if *method == Method::DELETE => Ok(Route::Response(decode(rest), stored::Ask::Delete)),
            None => only(get, Route::Response(decode(rest), stored::Ask::Retrieve)),
            Some((id, "input_items")) => only(get, Route::Response(decode(id), stored::Ask::InputItems)),
            Some((id, "cancel")) => only(post, Route::Response(decode(id), stored::Ask::Cancel)),
            Some(_) => Err(Miss::NotFound(None)),
        };
    }
    if let Some(rest) = rest.strip_prefix("conversations/") {
        let (id, item) = match rest.split_once('/') {
            None => (rest, None),
            Some((id, "items")) => (id, Some("")),
            Some((id, tail)) => match tail.strip_prefix("items/") {
                Some(item) if held::is_plain(item) => (id, Some(item)),
                _ => return Err(Miss::NotFound(None)),
            },
        };
        let delete = *method == Method::DELETE;
        let (allowed, tail) = match item {
            None => (get || post || delete, String::new()),
            Some("") => (get || post, "/items".to_owned()),
            Some(item) => (get || delete, format!("/items/{item}")),
        };
        return only(allowed, Route::Conversation(decode(id), tail));
    }
    // Azure's way of naming the model.
    if let Some((name, "chat/completions")) = rest.strip_prefix("deployments/").and_then(|rest| rest.split_once('/')) {
        return only(post, Route::Deployment(decode(name)));
    }
    let decoded = decode(rest);
    if let Some((name, verb)) = gemini(&decoded) {
        let verb = match verb {
            "generateContent" => Verb::Generate,
            "streamGenerateContent" => Verb::Stream,
            "countTokens" => Verb::Count,
            "embedContent" => Verb::Embed,
            "batchEmbedContents" => Verb::EmbedBatch,
            other => match objects::method(other) {
                Some(method) => Verb::Forward(method),
                None => return Err(Miss::NotFound(Some("this method of a model is not served here"))),
            },
        };
        return only(post, Route::Gemini { model: name.to_owned(), verb });
    }
    if let Some(route) = object(method, style(path), rest) {
        return route;
    }
    if let Some(name) = decoded.strip_prefix("models/") {
        return only(get, Route::Model(style(path), name.to_owned()));
    }
    Err(Miss::NotFound(None))
}

/// What a path behind the version leads to among the things that providers keep.
fn object(method: &Method, style: Style, rest: &str) -> Option<Result<Route, Miss>> {
    let place = style.protocols().iter().find_map(|protocol| Place::find(*protocol, rest))?;
    Some(only(place.allows(method), Route::Object(style, rest.to_owned())))
}

/// What stands behind the version where Gemini takes uploads.
fn upload(path: &str) -> Option<String> {
    let rest = ["/upload/", "/gemini/upload/"].iter().find_map(|prefix| path.strip_prefix(prefix))?;
    let (version, rest) = rest.split_once('/')?;
    version.starts_with('v').then(|| format!("upload/{rest}"))
}

/// In whose style a path is answered.
fn style(path: &str) -> Style {
    if ["/v1beta", "/v1alpha", "/gemini", "/upload"].iter().any(|start| path.starts_with(start)) {
        Style::Of(ClientProtocol::Gemini)
    } else if path.starts_with("/anthropic/") {
        Style::Of(ClientProtocol::Messages)
    } else if path.starts_with("/openai/") {
        Style::Of(ClientProtocol::Chat)
    } else {
        Style::ByClient
    }
}

/// Model and method of `models/{m}:{verb}`, also behind `publishers/…/`, `projects/…/` and in `tunedModels/`.
fn gemini(rest: &str) -> Option<(&str, &str)> {
    let (name, verb) = rest.rsplit_once(':')?;
    let known = ["models/", "tunedModels/", "publishers/", "projects/"].iter().any(|start| name.starts_with(start));
    if !known || verb.contains('/') {
        return None;
    }
    let name = match name.rsplit_once("/models/") {
        Some((before, model)) if before.starts_with("publishers/") || before.starts_with("projects/") => model,
        _ => name.strip_prefix("models/").or_else(|| name.strip_prefix("tunedModels/")).unwrap_or(name),
    };
    (!name.is_empty()).then_some((name, verb))
}

/// What follows the version, with or without one of our prefixes. `None` for paths outside the API.
fn strip(path: &str) -> Option<&str> {
    if matches!(
        path,
        "/v1/anthropic/completions" | "/anthropic/completions" | "/v1/gemini/completions" | "/gemini/completions"
    ) {
        return None;
    }
    let path = ["/anthropic/", "/openai/", "/gemini/"]
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix))
        .or_else(|| path.strip_prefix('/'))?;
    for version in ["v1/", "v1beta/", "v1beta1/", "v1alpha/"] {
        if let Some(rest) = path.strip_prefix(version) {
            return Some(rest);
        }
    }
    let api = [
        "chat/",
        "responses",
        "conversations",
        "messages",
        "completions",
        "embeddings",
        "models",
        "moderations",
        "rerank",
        "images/",
        "audio/",
        "deployments/",
        "tunedModels/",
        "publishers/",
        "projects/",
        "files",
        "uploads",
        "batches",
        "vector_stores",
        "containers",
        "skills",
        "fine_tuning/",
        "evals",
        "videos",
        "realtime/",
        "assistants",
        "threads",
        "cachedContents",
    ];
    api.iter().any(|start| path.starts_with(start)).then_some(path)
}

fn only(allowed: bool, route: Route) -> Result<Route, Miss> {
    if allowed { Ok(route) } else { Err(Miss::Method) }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The protocol in which a request without a route is refused.
fn protocol_of(path: &str, head: &Parts) -> ClientProtocol {
    let method_of_model = path.contains("models/") && path.contains(':');
    if path.contains("/messages") || path.contains("/anthropic") {
        ClientProtocol::Messages
    } else if path.contains("/v1beta") || path.contains("/gemini") || method_of_model {
        ClientProtocol::Gemini
    } else if path.contains("/chat/") || path.contains("/responses") || path.contains("/openai") {
        ClientProtocol::Chat
    } else if head.headers.contains_key("anthropic-version") {
        ClientProtocol::Messages
    } else if head.headers.contains_key("x-goog-api-key") {
        ClientProtocol::Gemini
    } else {
        ClientProtocol::Chat
    }
}

/// Answers one request, whatever it is.
pub(crate) async fn answer(
    app: Arc<App>,
    request: Request<Incoming>,
    peer: IpAddr,
    in_flight: InFlight,
) -> Result<Response<Body>, Infallible> {
    let framing = in_flight.framing();
    let http1 = request.version() < http::Version::HTTP_2;
    let (mut head, body) = request.into_parts();
    let origin = Peer::of(peer, &head.headers, &app.runtime().config.access.trusted_proxies);
    head.extensions.insert(origin);
    let id = RequestId::new();
    let mut response = match ingress::framing::check(&head, framing) {
        Ok(()) if app.recorder().is_none() => dispatch(&app, id, head, body).await,
        Ok(()) => recorded(&app, id, head, body).await,
        Err(refused) => {
            app.metrics
                .framing
                .get_or_create(&observe::metrics::ReasonLabels { reason: observe::metrics::Word(refused.reason) })
                .inc();
            let mut response = error::answer(protocol_of(head.uri.path(), &head), &refused.fault, &id);
            observe::ended(Level::INFO, &id, &head.method, head.uri.path(), response.status());
            response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            response
        }
    };
    if http1 && app.pressure() >= observe::Pressure::Soft {
        // A connection that is not kept holds no buffers.
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response.body_mut().keep(in_flight);
    Ok(response)
}

/// The same, taken down.
async fn recorded(app: &Arc<App>, id: RequestId, mut head: Parts, body: Incoming) -> Response<Body> {
    let place = recorder::Place::default();
    head.extensions.insert(place.clone());
    let mut response =
        recorder::during(id.text().clone(), &place, Box::pin(dispatch(app, id.clone(), head, body))).await;
    if let Some(mut tape) = place.take() {
        tape.answered(response.status(), response.headers());
        response.body_mut().record(tape);
    }
    response
}

async fn dispatch(app: &Arc<App>, id: RequestId, head: Parts, body: Incoming) -> Response<Body> {
    let path = head.uri.path();
    let is_head = head.method == Method::HEAD;
    let route = match find(&head.method, path) {
        Ok(route) => route,
        Err(miss) => {
            let fault = match &miss {
                Miss::Method => {
                    Fault::new(FaultClass::MethodNotAllowed, format!("{} is not possible here", head.method))
                }
                Miss::NotFound(Some(why)) => Fault::new(FaultClass::NotFound, *why),
                Miss::NotFound(None) => Fault::new(FaultClass::NotFound, format!("there is no `{}` here", shown(path))),
            };
            let mut response = error::answer(protocol_of(path, &head), &fault, &id);
            if miss == Miss::Method {
                response.headers_mut().insert(http::header::ALLOW, allowed(path));
            }
            observe::ended(Level::INFO, &id, &head.method, path, response.status());
            return if is_head { head_of(response) } else { response };
        }
    };
    let plain = route.loudness().map(|level| (level, id.clone(), head.method.clone(), head.uri.clone()));
    let call = Call::new(app, id, head, body);
    let response = match route {
        Route::Generate(protocol) => ingress::generate::body_protocol(call, protocol).await,
        // Boxed: the largest of them would be the room that every request moves and clears.
        other => Box::pin(answer_other(call, other)).await,
    };
    if let Some((level, id, method, uri)) = plain {
        observe::ended(level, &id, &method, uri.path(), response.status());
    }
    if is_head { head_of(response) } else { response }
}

/// The answer to HEAD: nothing of the body but its length. With HTTP/2 nobody else takes it away.
fn head_of(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry(http::header::CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(head, Body::from(bytes::Bytes::new()))
}

/// The routes that are not asked for an answer of a model in the usual way.
async fn answer_other(call: Call, route: Route) -> Response<Body> {
    match route {
        Route::Generate(protocol) => ingress::generate::body_protocol(call, protocol).await,
        Route::Gemini { model, verb: Verb::Generate } => ingress::generate::gemini(call, model, false).await,
        Route::Gemini { model, verb: Verb::Stream } => ingress::generate::gemini(call, model, true).await,
        Route::Gemini { model, verb: Verb::Count } => ingress::count::gemini(call, model).await,
        Route::Gemini { model, verb: Verb::Embed } => ingress::embeddings::gemini(call, model, false).await,
        Route::Gemini { model, verb: Verb::EmbedBatch } => ingress::embeddings::gemini(call, model, true).await,
        Route::Gemini { model, verb: Verb::Forward(method) } => objects::method_of_model(call, &model, method).await,
        Route::Object(style, path) => objects::handle(call, style, path).await,
        Route::Compat(protocol) => ingress::generate::compat(call, protocol).await,
        Route::Deployment(name) => ingress::generate::deployment(call, &name).await,
        Route::CountTokens(protocol) => ingress::count::body_protocol(call, protocol).await,
        Route::Models(style) => ingress::models::list(&call, style),
        Route::Model(style, name) => ingress::models::one(&call, style, &name),
        Route::Embeddings => ingress::embeddings::openai(call).await,
        Route::Completions => ingress::completions::handle(call).await,
        Route::Response(id, ask) => stored::handle(call, id, ask).await,
        Route::Conversations => held::create_conversation(call).await,
        Route::Conversation(id, tail) => held::conversation(call, id, tail).await,
        Route::WebSocket => ingress::plain::no_websocket(&call),
        Route::Forward(path) => ingress::forward::handle(call, path).await,
        Route::Admin => admin::handle(call).await,
        Route::Ui => ui::answer(&call, call.head.uri.path()),
        Route::Docs(file) => docs::answer(&call, file),
        Route::Guide => guide::answer(&call, call.head.uri.path()),
        Route::KeyStats => admin::stats::handle(&call),
        Route::Health => ingress::plain::health(),
        Route::Ready => ingress::plain::ready(&call),
        Route::Metrics => ingress::plain::metrics(&call),
        Route::Root if ingress::plain::is_browser(call.headers()) => ui::lead(&call),
        Route::Root => ingress::plain::root(),
    }
}

/// The methods that a path takes.
fn allowed(path: &str) -> http::HeaderValue {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let taken: Vec<&str> = methods.iter().filter(|method| find(method, path).is_ok()).map(Method::as_str).collect();
    // Names of methods are always a good value.
    http::HeaderValue::try_from(taken.join(", ")).unwrap_or(http::HeaderValue::from_static("POST"))
}

/// A client's text in an error message: short and without control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}
