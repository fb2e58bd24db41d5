//! Routes that need no model.

use http::header::{ACCEPT, CONTENT_TYPE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use polyport_types::{ClientProtocol, Fault, FaultClass};

use super::{Call, access};
use crate::app::App;
use crate::body::Body;
use crate::observe::metrics::classic;

fn text(status: StatusCode, words: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(words.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The process is alive.
pub(crate) fn health() -> Response<Body> {
    text(StatusCode::OK, "ok\n")
}

/// Whether requests can be answered: some provider is configured and no shutdown has begun.
pub(crate) fn ready(call: &Call) -> Response<Body> {
    if call.app.is_draining() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    if call.runtime.config.providers().next().is_none() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "no provider is configured\n");
    }
    match call.runtime.config.declared.out.len() {
        0 => text(StatusCode::OK, "ready\n"),
        out => text(
            StatusCode::OK,
            format!("ready, but {out} of the database are not in force: see /admin/api/problems\n").into_bytes(),
        ),
    }
}

/// Whether the client would rather have a page than a text.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|kinds| kinds.to_str().ok()).is_some_and(|kinds| kinds.contains("text/html"))
}

/// Start-up probes of clients, and people at a terminal.
pub(crate) fn root() -> Response<Body> {
    text(
        StatusCode::OK,
        "Polyport\n\nBase URL for OpenAI clients: this address and /v1. For Anthropic and Gemini clients: this address.\n\
         Models: /v1/models. Alive: /healthz. Ready: /readyz. Figures: /metrics.\n",
    )
}

/// Figures for Prometheus, if they are to be read here.
pub(crate) fn metrics(call: &Call) -> Response<Body> {
    if call.runtime.config.metrics.listen.is_some() {
        let fault = Fault::new(FaultClass::NotFound, "the figures have an address of their own: `metrics.listen`");
        return call.refuse(ClientProtocol::Chat, &fault);
    }
    match access::reads_figures(&call.app, &call.runtime, &call.head) {
        Ok(()) => figures(&call.app, &call.head),
        Err(fault) => call.refuse(ClientProtocol::Chat, &fault),
    }
}

/// Figures for Prometheus, in the form the reader asks for.
pub(crate) fn figures(app: &App, head: &Parts) -> Response<Body> {
    let asked = head.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (text, kind) = if asked.into_iter().any(|kinds| kinds.contains("application/openmetrics-text")) {
        (app.figures(), "application/openmetrics-text; version=1.0.0; charset=utf-8")
    } else {
        (classic(&app.figures()), "text/plain; version=0.0.4; charset=utf-8")
    };
    let mut response = Response::new(Body::from(text.into_bytes()));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Codex asks for a WebSocket first. 426 makes it fall back to POST at once; other answers make it try for seconds.
pub(crate) fn no_websocket(call: &Call) -> Response<Body> {
    let fault = Fault::new(FaultClass::MethodNotAllowed, "WebSocket is not spoken here: POST the request");
    let mut response = call.refuse(ClientProtocol::Responses, &fault);
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}
