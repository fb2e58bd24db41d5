//! Endpoints that are not translated: moderations, images, audio, rerank. A provider is chosen by model, its credential and model name are
//! put in, bytes flow both ways.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use polyport_protocol::meter::Meter;
use polyport_provider::{BodyError, Call as Ask, ProviderBody};
use polyport_routing::Resolved;
use polyport_types::{ClientProtocol, Fault, FaultClass, Protocol, Usage};
use tokio::time::Sleep;

use super::{Call, Entered};
use crate::app::{Asks, Runtime, Upstream};
use crate::body::{Aborted, Body};
use crate::id::RequestId;
use crate::ledger::Demand;
use crate::observe::{Outcome, Record};
use crate::relay::course::{Course, Slot, steady};
use crate::relay::deadline;
use crate::relay::frames::Framed;
use crate::relay::origin::{Asking, Origin, Reference};
use crate::relay::wire::{self, Opened, Patience};
use crate::{error, relay};

const PROTOCOL: ClientProtocol = ClientProtocol::Chat;

/// Hands a request to a provider of OpenAI's protocols.
pub(crate) async fn handle(call: Call, path: &'static str) -> Response<Body> {
    let (entered, content) = match call.enter_with_content(PROTOCOL, "forward", false).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let Entered { app, runtime, id, parts, caller, mut record, .. } = entered;
    let result = async {
        let named = content.model()?;
        record.model = named.clone().unwrap_or_default();
        let asks = Asks { headers: &parts.headers, caller: &caller };
        let resolved = targets(&runtime, asks, named.as_deref())?;
        let mut course = match content.reference() {
            Some(reference) => {
                let model = named.as_deref().unwrap_or_default();
                let asking = Asking { app: &app, runtime: &runtime, owner: caller.owner(), model };
                asking.recall(Some(&reference)).await?;
                at_its_place(asking, &reference, resolved)?
            }
            None => Course::new(std::sync::Arc::clone(&app), std::sync::Arc::clone(&runtime), resolved),
        };
        course = course.within(record.started(), deadline::of_client(&parts.headers));
        let asked = Demand { model: &record.model.clone(), resolved: Some(course.resolved()) };
        record.admit(&runtime, asked, content.estimate())?;
        let mut slot = course.first().await?;
        loop {
            record.aim(&slot, slot.upstream.config.protocol().as_str());
            record.sent();
            let body = content.with_model(&slot.target.model)?;
            let ask = Ask::Other { path, model: &slot.target.model, query: None };
            match wire::post(&slot, ask, request_headers(&parts.headers), body).await {
                Ok(opened) => return Ok((slot, opened)),
                Err(fault) => {
                    record.failed(&fault);
                    slot = course.after(slot, fault.into()).await?;
                }
            }
        }
    }
    .await;
    match result {
        Ok((slot, opened)) => {
            let meter = meter(&slot, &opened);
            stream_through(PROTOCOL, &slot, opened, record, &id, Along { meter, ..Along::default() })
        }
        Err(fault) => relay::refuse(PROTOCOL, &id, *record, &absent(fault)),
    }
}

/// Something that counts what an answer used, where answers of its kind can say that.
fn meter(slot: &Slot, opened: &Opened) -> Option<Box<Meter>> {
    let target = relay::passthrough::counting(Protocol::Responses, slot);
    let meter = if opened.is_stream()? { Meter::of_events(target) } else { Meter::of_object(target) };
    Some(Box::new(meter))
}

/// Only the attempts that can refer to what a body goes on from.
fn at_its_place(asking: Asking<'_>, reference: &Reference, resolved: Resolved) -> Result<Course, Fault> {
    let (origin, course) = asking.anchor(Some(reference), resolved)?;
    match origin {
        Origin::Here => {
            let words = "this response is kept by the gateway, not by a provider: send the conversation as `input`";
            Err(Fault::bad_request("previous_response_id", words))
        }
        Origin::There(held) => {
            let target = course.resolved().targets.iter().find(|target| target.provider == held.provider).cloned();
            let place = Slot::at(asking.runtime, &held).and_then(|slot| Some(slot.with_target(target?)));
            let gone =
                || Fault::bad_request("previous_response_id", "where this response is kept can be reached no more");
            let only = place.ok_or_else(gone)?.only();
            Ok(Course::new(std::sync::Arc::clone(asking.app), std::sync::Arc::clone(asking.runtime), only))
        }
        Origin::Body | Origin::Perhaps(_) => Ok(course),
    }
}

/// What a 404 means where no model is asked to answer: there is no such thing or no such endpoint.
pub(crate) fn absent(fault: Fault) -> Fault {
    if fault.upstream_status != Some(404) || fault.code.as_deref() == Some("model_not_found") {
        return fault;
    }
    Fault { class: FaultClass::NotFound, ..fault }
}

/// The targets of a model; without one, the first provider that speaks one of OpenAI's protocols.
fn targets(runtime: &Runtime, asks: Asks<'_>, model: Option<&str>) -> Result<Resolved, Fault> {
    let fits = |upstream: &Upstream| {
        matches!(upstream.config.protocol(), Protocol::Chat | Protocol::Responses) && upstream.client.is_some()
    };
    let none = || Fault::new(FaultClass::NotFound, "no provider of this model has this endpoint");
    let resolved = match model {
        Some(model) => runtime.resolve(model, PROTOCOL, asks)?,
        None => {
            asks.caller.may_use_any_model(PROTOCOL)?;
            steady(runtime, fits)
        }
    };
    let resolved = resolved.filtered(|target| runtime.fits(target, fits));
    if resolved.targets.is_empty() { Err(none()) } else { Ok(resolved) }
}

fn request_headers(client: &HeaderMap) -> HeaderMap {
    let mut headers = wire::json_headers(false);
    for name in [CONTENT_TYPE, ACCEPT] {
        if let Some(value) = client.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

/// Headers of an answer that is handed on.
pub(crate) fn answer_headers(
    protocol: ClientProtocol,
    slot: &Slot,
    opened: &Opened,
    record: &mut Record,
    id: &RequestId,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [CONTENT_TYPE, CONTENT_DISPOSITION] {
        if let Some(value) = opened.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let (provider, model) = (&slot.target.provider, &slot.target.model);
    let target = if model.is_empty() { provider.to_string() } else { format!("{provider}/{model}") };
    if let Ok(value) = HeaderValue::try_from(target) {
        headers.insert("x-polyport-target", value);
    }
    headers.insert("x-polyport-attempts", HeaderValue::from(record.attempts()));
    record.upstream_id = opened.request_id();
    if let Some(Ok(value)) = record.upstream_id.as_deref().map(HeaderValue::try_from) {
        headers.insert("x-polyport-upstream-request-id", value);
    }
    error::name(protocol, id, &mut headers);
    headers
}

/// Hands an answer on as it comes.
pub(crate) fn stream_through(
    protocol: ClientProtocol,
    slot: &Slot,
    opened: Opened,
    mut record: Box<Record>,
    id: &RequestId,
    along: Along,
) -> Response<Body> {
    let headers = answer_headers(protocol, slot, &opened, &mut record, id);
    record.status = 200;
    record.first_output();
    let Opened { body, patience, .. } = opened;
    let body = ForwardBody { body, patience, along, record: Some(record), timer: None };
    let mut response = Response::new(Body::from(Box::new(body)));
    *response.headers_mut() = headers;
    response
}

/// What reads along in an answer that is handed on.
#[derive(Debug, Default)]
pub(crate) struct Along {
    /// Frame by frame, because some of them are changed.
    pub(crate) framed: Option<Box<Framed>>,
    /// Counts what the answer used.
    pub(crate) meter: Option<Box<Meter>>,
}

impl Along {
    /// What was counted so far.
    fn usage(&mut self) -> Usage {
        self.meter.take().and_then(|meter| meter.usage()).unwrap_or_default()
    }
}

/// A provider's body on its way to a client, as it is.
pub(crate) struct ForwardBody {
    body: ProviderBody,
    patience: Patience,
    along: Along,
    /// None once it has ended.
    record: Option<Box<Record>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl std::fmt::Debug for ForwardBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ForwardBody")
    }
}

impl ForwardBody {
    pub(crate) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        if self.record.is_none() {
            return Poll::Ready(None);
        }
        match self.poll_framed(cx) {
            Poll::Ready(Some(Ok(bytes))) => Poll::Ready(Some(Ok(bytes))),
            Poll::Ready(Some(Err(_))) => self.abort(FaultClass::UpstreamProtocol),
            Poll::Ready(None) => {
                if let Some(mut record) = self.record.take() {
                    record.usage = self.along.usage();
                    record.end(Outcome::Answered);
                }
                let rest = self.along.framed.take().map(|mut framed| framed.flush()).filter(|rest| !rest.is_empty());
                Poll::Ready(rest.map(Ok))
            }
            Poll::Pending => {
                let deadline = self.patience.deadline();
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                loop {
                    if std::future::Future::poll(timer.as_mut(), cx).is_pending() {
                        return Poll::Pending;
                    }
                    if tokio::time::Instant::now() >= deadline {
                        break;
                    }
                    timer.as_mut().reset(deadline);
                }
                self.abort(FaultClass::Timeout)
            }
        }
    }

    /// The provider's next bytes that may go on.
    fn poll_framed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let polled = self.body.poll_chunk(cx);
            let Poll::Ready(Some(Ok(bytes))) = polled else { return polled };
            self.patience.hear(true);
            if let Some(meter) = &mut self.along.meter {
                meter.push(&bytes);
            }
            let Some(framed) = &mut self.along.framed else { return Poll::Ready(Some(Ok(bytes))) };
            let whole = framed.take(&bytes);
            if !whole.is_empty() {
                return Poll::Ready(Some(Ok(whole)));
            }
        }
    }

    fn abort(&mut self, class: FaultClass) -> Poll<Option<Result<Bytes, Aborted>>> {
        match self.record.take() {
            Some(mut record) => {
                record.usage = self.along.usage();
                record.end(Outcome::Failed(class));
                Poll::Ready(Some(Err(Aborted)))
            }
            None => Poll::Ready(None),
        }
    }
}

impl Drop for ForwardBody {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.usage = self.along.usage();
            record.end(Outcome::ClientGone);
        }
    }
}
