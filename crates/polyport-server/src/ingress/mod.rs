//! From HTTP to the relay: who calls, what the body is, which route.

pub(crate) mod access;
pub(crate) mod body;
pub(crate) mod completions;
pub(crate) mod content;
pub(crate) mod count;
pub(crate) mod embeddings;
pub(crate) mod forward;
pub(crate) mod framing;
pub(crate) mod generate;
pub(crate) mod held;
pub(crate) mod idempotency;
pub(crate) mod models;
pub(crate) mod objects;
pub(crate) mod peer;
pub(crate) mod plain;
pub(crate) mod spool;
pub(crate) mod stored;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Response};
use hyper::body::Incoming;
use polyport_protocol::{RequestHead, json};
use polyport_types::{ClientProtocol, Fault, FaultClass, Text};

use crate::app::{App, Runtime};
use crate::body::Body;
use crate::id::RequestId;
use crate::observe::{Pressure, Record};
use crate::{error, observe, recorder, relay};
use access::{Caller, Place};
use body::BodyLimits;
use content::Content;
use peer::Peer;

/// The version of the Messages API that a client speaks.
pub(crate) const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// What of the Messages API a client wants before it is there for all.
pub(crate) const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// A client that found no memory left comes back after this time.
const SHORT_OF_MEMORY: Duration = Duration::from_secs(5);

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
        let (mut entered, body) = self.admit(protocol, route).await?;
        let limits = &entered.runtime.config.limits;
        let bytes = match protocol {
            ClientProtocol::Gemini => limits.request_body_bytes.max(limits.inline_media_bytes),
            ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => limits.request_body_bytes,
        };
        match body::read(&entered.parts, body, BodyLimits::new(limits, bytes)).await {
            Ok(body) => {
                entered.body = body;
                entered.note(protocol);
                entered.begin(protocol).await
            }
            Err(fault) => Err(entered.refuse(protocol, &fault)),
        }
    }

    /// The same for a body that is handed on: forms and `raw` bytes may be as large as files are.
    pub(crate) async fn enter_with_content(
        self,
        protocol: ClientProtocol,
        route: &'static str,
        raw: bool,
    ) -> Result<(Entered, Content), Response<Body>> {
        let (entered, body) = self.admit(protocol, route).await?;
        match Content::read(&entered, body, raw).await {
            Ok(content) => Ok((entered.begin(protocol).await?, content)),
            Err(fault) => Err(entered.refuse(protocol, &fault)),
        }
    }

    /// Lets the caller in.
    async fn admit(self, protocol: ClientProtocol, route: &'static str) -> Result<(Entered, Incoming), Response<Body>> {
        let Self { app, runtime, id, head: parts, body } = self;
        let mut record = Box::new(Record::new(Arc::clone(&app), &id, protocol, route));
        record.follow(&id, &parts);
        let admitted = access::caller(&app, &runtime, &parts).and_then(|caller| {
            if app.pressure() == Pressure::Hard {
                let fault = Fault::new(FaultClass::NoUpstream, "the gateway is short of memory: try again later");
                return Err(fault.with_retry_after(SHORT_OF_MEMORY));
            }
            Ok((Place::take(&app, &runtime, &caller)?, caller))
        });
        match admitted {
            Ok((place, caller)) => {
                if let Some(place) = parts.extensions.get::<recorder::Place>() {
                    place.enter();
                }
                record.place = Some(place);
                record.caller = Some(caller.clone());
                record.source = runtime.config.addresses.of(Peer::found(&parts).address);
                Ok((Entered { app, runtime, id, parts, body: Bytes::new(), caller, record }, body))
            }
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

impl Entered {
    /// Waits for the request's turn, now that all of it is here.
    async fn begin(mut self, protocol: ClientProtocol) -> Result<Self, Response<Body>> {
        let limits = &self.runtime.config.limits;
        let deep = json::check_depth_below(&self.body, limits.json_depth).map_err(Fault::from);
        let waited = match (deep, &mut self.record.place) {
            (Err(fault), _) => Err(fault),
            (Ok(()), Some(place)) => place.wait(&self.app, limits).await,
            (Ok(()), None) => Ok(()),
        };
        match waited {
            Ok(()) => Ok(self),
            Err(fault) => Err(self.refuse(protocol, &fault)),
        }
    }

    /// Has it taken down, where somebody wants that.
    fn note(&self, protocol: ClientProtocol) {
        if let (Some(recorder), Some(place)) = (self.app.recorder(), self.parts.extensions.get::<recorder::Place>()) {
            place.put(recorder.client(self.id.text(), protocol, &self.parts, &self.body));
        }
    }

    /// Ends the request with an error.
    fn refuse(self, protocol: ClientProtocol, fault: &Fault) -> Response<Body> {
        relay::refuse(protocol, &self.id, *self.record, fault)
    }
}

/// What the protocols keep in headers.
pub(crate) fn request_head(headers: &HeaderMap) -> RequestHead {
    let betas = headers
        .get_all(ANTHROPIC_BETA)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|flag| !flag.is_empty())
        .map(Text::from)
        .collect();
    let api_version = headers.get(ANTHROPIC_VERSION).and_then(|value| value.to_str().ok()).map(Text::from);
    RequestHead { api_version, betas, ..RequestHead::default() }
}
