//! From HTTP to the relay: who calls, what the body is, which route.

pub(crate) mod access;
pub(crate) mod body;
pub(crate) mod completions;
pub(crate) mod count;
pub(crate) mod embeddings;
pub(crate) mod forward;
pub(crate) mod framing;
pub(crate) mod generate;
pub(crate) mod held;
pub(crate) mod models;
pub(crate) mod plain;
pub(crate) mod stored;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use polyport_protocol::RequestHead;
use polyport_types::{ClientProtocol, Fault, Text};

use crate::app::{App, Runtime};
use crate::body::Body;
use crate::id::RequestId;
use crate::observe::Record;
use crate::{error, observe, relay};
use access::{Caller, Place};
use body::BodyLimits;

/// A request whose head is known.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) id: RequestId,
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
}

impl Call {
    pub(crate) fn new(app: &Arc<App>, id: RequestId, head: Parts, body: Incoming) -> Self {
        Self { app: Arc::clone(app), runtime: app.runtime_owned(), id, head, body }
    }

    /// The client's headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Lets the caller in, then reads the body: nobody without a key makes us read one.
    pub(crate) async fn enter(self, protocol: ClientProtocol, route: &'static str) -> Result<Entered, Response<Body>> {
        let Self { app, runtime, id, head: parts, body } = self;
        let mut record = Box::new(Record::new(Arc::clone(&app), &id, protocol, route));
        let entering = async {
            let caller = access::caller(&app, &runtime, &parts)?;
            record.place = Some(Place::take(&app, &runtime, &caller)?);
            let limits = &runtime.config.limits;
            let bytes = match protocol {
                ClientProtocol::Gemini => limits.request_body_bytes.max(limits.inline_media_bytes),
                ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => {
                    limits.request_body_bytes
                }
            };
            let limits =
                BodyLimits { bytes, time: limits.body_time, rate: limits.body_rate, expansion: limits.expansion };
            let body = body::read(&parts, body, limits).await?;
            Ok::<_, Fault>((caller, body))
        };
        match entering.await {
            Ok((caller, body)) => Ok(Entered { app, runtime, id, parts, body, caller, record }),
            Err(fault) => Err(relay::refuse(protocol, &id, *record, &fault)),
        }
    }

    /// Writes the log line of an answer that is given without asking anybody.
    pub(crate) fn logged(&self, response: Response<Body>) -> Response<Body> {
        observe::ended(tracing::Level::INFO, &self.id, &self.head.method, self.head.uri.path(), response.status());
        response
    }

    /// An error in the client's protocol.
    pub(crate) fn refuse(&self, protocol: ClientProtocol, fault: &Fault) -> Response<Body> {
        error::answer(protocol, fault, &self.id)
    }
}

/// A request whose caller may make it, with its body.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) app: Arc<App>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) id: RequestId,
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
    pub(crate) caller: Caller,
    pub(crate) record: Box<Record>,
}

/// What the protocols keep in headers.
pub(crate) fn request_head(headers: &HeaderMap) -> RequestHead {
    let betas = headers
        .get_all("anthropic-beta")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|flag| !flag.is_empty())
        .map(Text::from)
        .collect();
    let api_version = headers.get("anthropic-version").and_then(|value| value.to_str().ok()).map(Text::from);
    RequestHead { api_version, betas, ..RequestHead::default() }
}
