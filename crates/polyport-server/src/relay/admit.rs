//! Before the first attempt: which targets, in which order, and what the body asks for.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::{DecodeError, decode_request};
use polyport_routing::Resolved;
use polyport_types::{Fault, FaultClass, Protocol, Request, Text};

use super::Exchange;
use super::course::Course;
use super::deadline;
use super::peek::{self, Peek};
use crate::app::Asks;
use crate::tasks;

/// Finds the targets of a request and reads as much of its body as the first of them needs.
///
/// # Errors
/// A fault of the client.
pub(crate) async fn prepare(x: &mut Exchange) -> Result<Course, Fault> {
    if x.model.is_empty() {
        x.model = match x.head.model.clone().or_else(|| peek::model_of(&x.body)) {
            Some(model) => model,
            None => x.decoded().await?.model.clone(),
        };
        if x.model.is_empty() {
            return Err(Fault::bad_request("model", "`model` is missing: name the model that shall answer"));
        }
    }
    // A name that leads nowhere is what the log is read for.
    x.record.model = x.model.clone();
    let mut resolved = match x.resolved() {
        Ok(resolved) => resolved,
        Err(fault) => {
            // An unknown name need not be the one that counts.
            x.peeked().await?;
            match x.repeated_model() {
                Some(model) => x.model = model,
                None => return Err(fault),
            }
            x.resolved()?
        }
    };
    x.look(&resolved).await?;
    if let Some(model) = x.repeated_model() {
        x.model = model;
        resolved = x.resolved()?;
        x.look(&resolved).await?;
    }
    let course = x.anchor(resolved).await?.within(x.record.started(), deadline::of_client(&x.headers));
    x.record.model = x.model.clone();
    x.stream = x.asks_for_stream();
    x.record.stream = x.stream;
    Ok(course)
}

impl Exchange {
    fn resolved(&self) -> Result<Resolved, Fault> {
        let asks = Asks { headers: &self.headers, caller: &self.caller };
        self.runtime.resolve(&self.model, self.wire, asks)
    }

    /// The body's members.
    pub(crate) async fn peeked(&mut self) -> Result<&Peek, Fault> {
        if self.peeked.is_none() {
            let body = self.body.clone();
            let peek = self.off_worker(move || Peek::parse(&body)).await??;
            self.peeked = Some(peek);
        }
        self.peeked.as_ref().ok_or_else(internal)
    }

    /// The body in the neutral form.
    pub(crate) async fn decoded(&mut self) -> Result<Arc<Request>, Fault> {
        if let Some(request) = &self.decoded {
            return Ok(Arc::clone(request));
        }
        let (wire, head, body) = (self.wire, self.head.clone(), self.body.clone());
        let decoded: Result<Request, DecodeError> = self.off_worker(move || decode_request(wire, &head, body)).await?;
        let request = Arc::new(decoded?);
        self.decoded = Some(Arc::clone(&request));
        Ok(request)
    }

    /// Reads as much of the body as the first target needs.
    async fn look(&mut self, resolved: &Resolved) -> Result<(), Fault> {
        let provider = resolved.targets.first().and_then(|target| self.runtime.provider(&target.provider));
        let first = provider.map(|upstream| upstream.config.protocol());
        if first == Some(Protocol::from(self.wire)) && self.wire == self.answer {
            self.peeked().await?;
        } else {
            self.decoded().await?;
        }
        Ok(())
    }

    /// The model a body names last, if that is not the one it names first: the last one counts everywhere.
    fn repeated_model(&self) -> Option<Text> {
        if self.head.model.is_some() {
            return None;
        }
        let last = match (&self.peeked, &self.decoded) {
            (Some(peek), _) => peek.text(&self.body, "model").map(Text::from)?,
            (None, Some(request)) => request.model.clone(),
            (None, None) => return None,
        };
        (!last.is_empty() && last != self.model).then_some(last)
    }

    /// Runs work on the body, off the async workers if the body is large.
    pub(crate) async fn off_worker<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        if self.body.len() <= self.runtime.config.limits.parse_inline_bytes {
            return Ok(work());
        }
        tasks::off_worker(work).await.ok_or_else(internal)
    }

    fn asks_for_stream(&self) -> bool {
        match (&self.decoded, &self.peeked) {
            (Some(request), _) => request.stream || self.head.stream,
            (None, Some(peek)) => self.head.stream || peek.is_true(&self.body, "stream"),
            (None, None) => self.head.stream,
        }
    }
}

/// A defect of ours.
pub(crate) fn internal() -> Fault {
    Fault::new(FaultClass::Internal, "an internal error occurred")
}

/// Whether the bytes hold a carrier: signatures of another provider that must not go through as they are.
pub(crate) fn holds_carrier(body: &Bytes) -> bool {
    // Gemini's slots hold base64, also of the token.
    memchr::memmem::find(body, b"pp1.").is_some() || memchr::memmem::find(body, b"cHAxL").is_some()
}
