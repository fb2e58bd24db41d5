//! The life of a request, from its body to the last byte of its answer.
//!
//! ```text
//! prepare   which targets, in which order; the body decoded, or only looked into
//! attempts  one after the other, until one has output: pass-through or translation
//! answer    whole, or a stream that goes on by itself
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`admit`] | the plan, and the request in the neutral form |
//! | [`attempt`] | one try of one target with one credential, repairs included |
//! | [`origin`] | what a request goes on from |
//! | [`refers`] | ids in bodies |
//! | [`passthrough`] | client and provider speak the same protocol |
//! | [`fits`] | whether a body can pass through, and what has to be edited then |
//! | [`translate`] | they do not |
//! | [`stream`] | the body of a streamed answer |
//! | [`resume`] | answers that a provider pauses |
//! | [`wire`] | asking a provider, within the time limits |
//! | [`peek`] | looking into a body without translating it |
//! | [`frames`] | frames that are changed on their way through |
//! | [`tap`] | reading along in a stream that passes through |
//! | [`useful`] | whether an answer is one |
//! | [`conversation`] | where a prompt cache is warm |
//! | [`course`] | which target and credential is next, and what an attempt showed |
//! | [`deadline`] | how long a request may go without an answer |
//! | [`drain`] | answers whose client has left |
//! | [`trial`] | one short request, to see whether a model answers |
//! | [`limits`] | what a request may use, taken from the limits of its caller |
//! | [`hedge`] | a second attempt beside a slow first one |
//! | [`local`] | running a program that answers |
//! | [`learned`] | what earlier refusals taught |
//! | [`account`] | what is kept of an answer |

pub(crate) mod account;
pub(crate) mod admit;
pub(crate) mod attempt;
pub(crate) mod conversation;
pub(crate) mod course;
pub(crate) mod deadline;
mod drain;
pub(crate) mod fits;
pub(crate) mod frames;
mod hedge;
pub(crate) mod learned;
pub(crate) mod limits;
mod local;
pub(crate) mod origin;
pub(crate) mod passthrough;
pub(crate) mod peek;
pub(crate) mod refers;
pub(crate) mod resume;
pub(crate) mod stream;
pub(crate) mod tap;
pub(crate) mod translate;
pub(crate) mod trial;
mod useful;
pub(crate) mod wire;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use polyport_protocol::RequestHead;
use polyport_types::{ClientProtocol, Fault, Request, Text};

use crate::app::{App, Runtime};
use crate::body::Body;
use crate::error;
use crate::id::RequestId;
use crate::ingress::access::Caller;
use crate::observe::{Outcome, Record};
use drain::Awaited;
use origin::Origin;
use peek::Peek;

pub(crate) use passthrough::counting;
pub(crate) use stream::RelayBody;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) app: Arc<App>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) id: RequestId,
    pub(crate) caller: Caller,
    /// How the body is written.
    pub(crate) wire: ClientProtocol,
    /// How the answer must be written; differs from `wire` only on the older paths.
    pub(crate) answer: ClientProtocol,
    pub(crate) head: RequestHead,
    /// The client's headers.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The model asked for.
    pub(crate) model: Text,
    pub(crate) stream: bool,
    /// Refuse any visible loss.
    pub(crate) strict: bool,
    /// The body in the neutral form, once it was needed.
    pub(crate) decoded: Option<Arc<Request>>,
    /// The body's members, once they were needed.
    pub(crate) peeked: Option<Peek>,
    /// Responses: what it goes on from.
    pub(crate) origin: Origin,
    /// Responses: the neutral form with the history that the body only refers to, once it was needed.
    pub(crate) expanded: Option<Arc<Request>>,
    pub(crate) record: Box<Record>,
}

/// What came of a request before its first byte went to the client.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) record: Box<Record>,
    pub(crate) result: Result<Ready, Fault>,
}

/// An answer that may go to the client.
#[derive(Debug)]
pub(crate) enum Ready {
    /// All of it.
    Whole { headers: HeaderMap, body: Bytes },
    /// A stream whose first output is here.
    Live { headers: HeaderMap, live: stream::Live },
}

/// What is still going on when a stream had to be answered early.
pub(crate) type Pending = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// Answers a request.
pub(crate) async fn relay(mut exchange: Exchange) -> Response<Body> {
    let admitted = match admit::prepare(&mut exchange).await {
        Ok(course) => limits::admit(&mut exchange, &course).await.map(|()| course),
        Err(fault) => Err(fault),
    };
    let course = match admitted {
        Ok(course) => course,
        Err(fault) => return refuse(exchange.answer, &exchange.id, *exchange.record, &fault),
    };
    let (protocol, id, app) = (exchange.answer, exchange.id.clone(), Arc::clone(&exchange.app));
    let limits = &exchange.runtime.config.limits;
    let (keep_alive, commit_after) = (limits.keep_alive, limits.commit_after);
    let json_array = exchange.head.json_array;
    let streams = exchange.stream;
    let mut limit_headers = HeaderMap::new();
    exchange.record.tell_limits(&mut limit_headers);
    let disconnect = exchange.record.disconnect;
    let mut pending = Awaited::new(&app, disconnect, Box::pin(attempt::all(exchange, course)));
    let answered = if streams {
        tokio::select! {
            biased;
            answered = poll_fn(|cx| pending.poll(cx)) => answered,
            () = tokio::time::sleep(commit_after) => {
                let mut headers = stream_headers(protocol, json_array);
                headers.extend(limit_headers);
                error::name(protocol, &id, &mut headers);
                let body = RelayBody::waiting(&app, protocol, &id, pending, keep_alive, json_array);
                return respond(headers, Body::from(Box::new(body)));
            }
        }
    } else {
        poll_fn(|cx| pending.poll(cx)).await
    };
    let Answered { mut record, result } = answered;
    match result {
        Err(fault) => refuse(protocol, &id, *record, &fault),
        Ok(Ready::Whole { mut headers, body }) => {
            record.tell_limits(&mut headers);
            error::name(protocol, &id, &mut headers);
            record.status = 200;
            if let Some(capture) = &mut record.capture {
                capture.answer(&body);
            }
            record.end(Outcome::Answered);
            respond(headers, Body::from(body))
        }
        Ok(Ready::Live { mut headers, live }) => {
            record.tell_limits(&mut headers);
            error::name(protocol, &id, &mut headers);
            record.status = 200;
            let body = RelayBody::live(&app, protocol, &id, live, record, keep_alive);
            respond(headers, Body::from(Box::new(body)))
        }
    }
}

fn respond(headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// Ends a request with an error.
pub(crate) fn refuse(protocol: ClientProtocol, id: &RequestId, mut record: Record, fault: &Fault) -> Response<Body> {
    let mut response = error::answer(protocol, fault, id);
    record.status = response.status().as_u16();
    let attempts = record.attempts();
    if attempts > 0 {
        response.headers_mut().insert("x-polyport-attempts", HeaderValue::from(attempts));
    }
    record.tell_limits(response.headers_mut());
    record.told(fault);
    record.end(Outcome::Failed(fault.class));
    response
}

/// Headers of a streamed answer.
pub(crate) fn stream_headers(protocol: ClientProtocol, json_array: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let kind = match protocol {
        ClientProtocol::Gemini if json_array => "application/json; charset=UTF-8",
        ClientProtocol::Gemini => "text/event-stream",
        ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => {
            "text/event-stream; charset=utf-8"
        }
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers
}
