//! Before the first attempt: which targets, in which order, and what the body asks for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use polyport_protocol::{DecodeError, decode_request};
use polyport_routing::{Hints, Slots, plan};
use polyport_types::{ClientProtocol, Fault, FaultClass, Protocol, Request, Text};

use super::Exchange;
use super::attempt::Slot;
use super::peek::{self, Peek};
use crate::app::{App, Runtime};
use crate::tasks;

/// The attempts of a request, best first.
pub(crate) type Slotted = VecDeque<Slot>;

/// Finds the targets of a request and reads as much of its body as the first of them needs.
///
/// # Errors
/// A fault of the client, or `NoUpstream` when nothing can be tried now.
pub(crate) async fn prepare(x: &mut Exchange) -> Result<Slotted, Fault> {
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
    let mut slots = match slots_of(&x.app, &x.runtime, &x.model, x.wire) {
        Ok(slots) => slots,
        Err(fault) => {
            // An unknown name need not be the one that counts.
            x.peeked().await?;
            match x.repeated_model() {
                Some(model) => x.model = model,
                None => return Err(fault),
            }
            slots_of(&x.app, &x.runtime, &x.model, x.wire)?
        }
    };
    x.look(&slots).await?;
    if let Some(model) = x.repeated_model() {
        x.model = model;
        slots = slots_of(&x.app, &x.runtime, &x.model, x.wire)?;
        x.look(&slots).await?;
    }
    let slots = x.anchor(slots)?;
    x.record.model = x.model.clone();
    x.stream = x.asks_for_stream();
    x.record.stream = x.stream;
    Ok(slots)
}

/// The plan: targets behind a model, their credentials, without what rests.
///
/// # Errors
/// `ModelNotFound`, or `NoUpstream` when nothing can be tried now.
pub(crate) fn slots_of(app: &App, runtime: &Runtime, model: &str, client: ClientProtocol) -> Result<Slotted, Fault> {
    let resolved = runtime
        .config
        .catalog
        .resolve(model, Hints::new(client))
        .map_err(|none| Fault::new(none.class(), none.to_string()))?;
    let plan = plan(
        &resolved.targets,
        if resolved.targets.len() > 1 { runtime.next_turn() } else { 0 },
        |provider| match runtime.provider(provider) {
            Some(upstream) => Slots { count: upstream.config.credentials().len(), turn: upstream.next_turn() },
            None => Slots::NONE,
        },
        |target, credential| app.health.exclusion(target, credential),
    );
    let earliest = plan.earliest_ms();
    let slots: Slotted = plan
        .attempts
        .into_iter()
        .filter_map(|attempt| {
            let target = resolved.targets.get(attempt.target)?.clone();
            let upstream = Arc::clone(runtime.provider(&target.provider)?);
            Some(Slot { target, upstream, credential: attempt.credential })
        })
        .collect();
    if slots.is_empty() {
        let fault = resting(app.health.cause(&resolved.targets));
        return Err(match earliest {
            Some(millis) => fault.with_retry_after(Duration::from_millis(millis)),
            None => fault,
        });
    }
    Ok(slots)
}

/// What a client is told when everything rests: a rate limit stays a rate limit, the rest is a lack of providers.
fn resting(cause: Option<FaultClass>) -> Fault {
    match cause {
        Some(FaultClass::RateLimited | FaultClass::RateLimitedWindow) => {
            Fault::new(FaultClass::RateLimited, "every credential for this model is rate limited by its provider")
        }
        Some(FaultClass::AuthInvalid) => Fault::new(
            FaultClass::NoUpstream,
            "the provider refused the gateway's credential for this model; the operator has to mend it",
        ),
        Some(FaultClass::AccountBroken) => Fault::new(
            FaultClass::NoUpstream,
            "the provider account behind this model cannot be used; the operator has to mend it",
        ),
        Some(FaultClass::Untrusted) => Fault::new(
            FaultClass::NoUpstream,
            "the certificate of the provider behind this model is not trusted; the operator has to mend it",
        ),
        _ => Fault::new(FaultClass::NoUpstream, "every provider of this model is resting after failures"),
    }
}

impl Exchange {
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
    async fn look(&mut self, slots: &Slotted) -> Result<(), Fault> {
        let first = slots.front().map(|slot| slot.upstream.config.protocol());
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
