//! One attempt after the other, until one has output.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use polyport_provider::AuthHeader;
use polyport_routing::retry::counts;
use polyport_routing::{Failure, History, Next, Target, next};
use polyport_types::{Fault, FaultClass, Losses, Protocol, Text};

use super::admit::Slotted;
use super::{Answered, Exchange, Ready, passthrough, translate};
use crate::app::{App, Runtime, Upstream};
use crate::gate::Queue;
use crate::observe::Record;
use crate::observe::metrics::{LossLabels, ReasonLabels, Word};
use crate::state::Held;

const TARGET: HeaderName = HeaderName::from_static("x-polyport-target");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-polyport-attempts");
const LOSS: HeaderName = HeaderName::from_static("x-polyport-loss");
const UPSTREAM_ID: HeaderName = HeaderName::from_static("x-polyport-upstream-request-id");

/// One target with one credential.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) target: Target,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) credential: Option<usize>,
}

impl Slot {
    /// The target as the codecs know it.
    pub(crate) fn codec_target(&self, x: &Exchange) -> polyport_protocol::Target {
        self.codec_target_in(&x.runtime)
    }

    /// The same, outside an exchange.
    pub(crate) fn codec_target_in(&self, runtime: &Runtime) -> polyport_protocol::Target {
        let provider = &self.upstream.config;
        polyport_protocol::Target {
            protocol: provider.protocol(),
            model: self.target.model.clone(),
            profile: Arc::clone(&provider.profile),
            capabilities: runtime.config.capabilities(provider, &self.target.model),
            scope: scope(provider.scope, &self.target.model),
            offered: None,
        }
    }

    /// The credential as a header.
    pub(crate) fn auth(&self) -> Option<&AuthHeader> {
        Some(&self.upstream.config.credentials().get(self.credential?)?.header)
    }

    /// This target and credential, as the place of something that is kept there.
    pub(crate) fn held(&self, shown: Text) -> Held {
        Held {
            provider: self.target.provider.clone(),
            credential: self.auth().cloned(),
            model: self.target.model.clone(),
            shown,
        }
    }

    /// The way to something that is kept; `None` if its provider or credential is configured no more.
    pub(crate) fn at(runtime: &Runtime, held: &Held) -> Option<Self> {
        let upstream = Arc::clone(runtime.provider(&held.provider)?);
        let credential = match &held.credential {
            None if upstream.config.credentials().is_empty() => None,
            None => return None,
            Some(header) => {
                Some(upstream.config.credentials().iter().position(|credential| credential.header == *header)?)
            }
        };
        Some(Self { target: Target::new(held.provider.clone(), held.model.clone()), upstream, credential })
    }

    /// Whether both name the same target, whatever the credential.
    fn same_target(&self, other: &Self) -> bool {
        self.target.provider == other.target.provider && self.target.model == other.target.model
    }
}

/// Signatures belong to a model and a pool of credentials: FNV-1a over both.
fn scope(provider: u32, model: &str) -> u32 {
    model.bytes().fold(provider ^ 0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Why an attempt gave nothing.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    /// The target cannot carry this request; another one may.
    pub(crate) unable: bool,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault, unable: false }
    }
}

/// What is changed about a request that a provider has refused, before it is repeated once.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// Signatures are left out after this was refused.
    pub(crate) unsigned: Option<Refused>,
    /// A refused member was learned.
    learned: bool,
}

/// A body that a provider refused, and how.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) body: Bytes,
    pub(crate) fault: Fault,
}

/// Tries the slots in order.
pub(crate) async fn all(mut x: Exchange, slots: Slotted) -> Answered {
    let mut course = Course::new(Arc::clone(&x.app), Arc::clone(&x.runtime), slots);
    let result = run(&mut x, &mut course).await;
    Answered { record: x.record, result }
}

async fn run(x: &mut Exchange, course: &mut Course) -> Result<Ready, Fault> {
    let mut slot = course.first(&mut x.record).await?;
    loop {
        match with_repairs(x, &slot).await {
            Ok(ready) => return Ok(ready),
            Err(failed) => slot = course.after(slot, failed, &mut x.record).await?,
        }
    }
}

/// The way through the slots of one request.
#[derive(Debug)]
pub(crate) struct Course {
    app: Arc<App>,
    runtime: Arc<Runtime>,
    slots: Slotted,
    history: History,
}

impl Course {
    pub(crate) fn new(app: Arc<App>, runtime: Arc<Runtime>, slots: Slotted) -> Self {
        Self { app, runtime, slots, history: History::default() }
    }

    /// What to try first, with its place at the provider.
    pub(crate) async fn first(&mut self, record: &mut Record) -> Result<Slot, Fault> {
        let slot = self.slots.pop_front();
        let slot = slot.ok_or_else(|| Fault::new(FaultClass::NoUpstream, "nothing can be tried"))?;
        self.enter(slot, record).await
    }

    /// Takes a place at the provider. Where none is free, another target with a free place goes first; without one the request waits.
    async fn enter(&mut self, slot: Slot, record: &mut Record) -> Result<Slot, Fault> {
        record.at_provider = None;
        let free = |slot: &Slot| match slot.upstream.config.requests {
            None => Some(None),
            Some(places) => slot.upstream.gate.try_take(places).map(Some),
        };
        if let Some(permit) = free(&slot) {
            record.at_provider = permit;
            return Ok(slot);
        }
        let mut others = self.slots.iter().enumerate();
        if let Some((at, permit)) = others.find_map(|(at, other)| Some((at, free(other)?)))
            && let Some(other) = self.slots.remove(at)
        {
            self.slots.push_front(slot);
            record.at_provider = permit;
            return Ok(other);
        }
        let limits = &self.runtime.config.limits;
        let queue = Queue { length: limits.queue, time: limits.queue_time };
        let places = slot.upstream.config.requests.unwrap_or(usize::MAX);
        let permit = slot.upstream.gate.take(places, queue).await.map_err(|_| {
            let words = format!("provider `{}` is answering as many requests as it may", slot.target.provider);
            Fault::new(FaultClass::NoUpstream, words).with_retry_after(Duration::from_secs(1))
        })?;
        record.at_provider = Some(permit);
        Ok(slot)
    }

    /// What to try after a failure, once it is time for it, with its place at the provider.
    ///
    /// # Errors
    /// The failure, when nothing may follow it.
    pub(crate) async fn after(&mut self, slot: Slot, failed: Failed, record: &mut Record) -> Result<Slot, Fault> {
        let Failed { fault, unable } = failed;
        let elapsed = record.elapsed();
        record.at_provider = None;
        let decision = if unable { self.unable(&slot) } else { self.decide(&slot, &fault, elapsed) };
        let following = match decision {
            Next::GiveUp => None,
            Next::SameCredential { after } => {
                self.history.repeated = true;
                if after > Duration::ZERO {
                    tokio::time::sleep(after).await;
                }
                Some(slot)
            }
            Next::NextCredential => {
                self.history.repeated = false;
                self.history.model_moved |= fault.class == FaultClass::ModelNotFound;
                let at = self.slots.iter().position(|other| other.same_target(&slot));
                at.and_then(|at| self.slots.remove(at))
            }
            Next::NextTarget => {
                self.history.repeated = false;
                self.history.model_moved = false;
                self.slots.retain(|other| !other.same_target(&slot));
                self.slots.pop_front()
            }
        };
        let Some(following) = following else { return Err(fault) };
        self.app.metrics.failovers.get_or_create(&ReasonLabels { reason: Word(fault.class.as_str()) }).inc();
        self.enter(following, record).await
    }

    /// After a target that cannot carry the request comes one that may.
    fn unable(&self, slot: &Slot) -> Next {
        if self.slots.iter().any(|other| !other.same_target(slot)) { Next::NextTarget } else { Next::GiveUp }
    }

    fn decide(&mut self, slot: &Slot, fault: &Fault, elapsed: Duration) -> Next {
        self.app.health.failed(&slot.target, slot.credential, fault);
        let history = &mut self.history;
        if counts(fault.class) {
            history.failures += 1;
        }
        let of_target = self.slots.iter().filter(|other| other.same_target(slot)).count();
        let mut others: Vec<(&Text, &Text)> = self
            .slots
            .iter()
            .filter(|other| !other.same_target(slot))
            .map(|other| (&other.target.provider, &other.target.model))
            .collect();
        others.dedup();
        history.credentials_left = u32::try_from(of_target).unwrap_or(u32::MAX);
        history.targets_left = u32::try_from(others.len()).unwrap_or(u32::MAX);
        history.elapsed = elapsed;
        history.jitter = rand::random();
        let failure = Failure { class: fault.class, retry_after: fault.retry_after };
        next(&self.runtime.config.retry, failure, history)
    }
}

/// One attempt; a refusal that can be repaired is repaired and the request repeated, once per kind.
async fn with_repairs(x: &mut Exchange, slot: &Slot) -> Result<Ready, Failed> {
    let mut repairs = Repairs::default();
    loop {
        let to = slot.upstream.config.protocol();
        x.record.target = Some((slot.target.provider.clone(), slot.target.model.clone()));
        x.record.to = if slot.upstream.client.is_some() { to.as_str() } else { "echo" };
        let mut sent = Sent::default();
        // Boxed: the futures around this one are moved often and hold room for the larger of the two.
        let result = if repairs.unsigned.is_none() && passthrough::fits(x, slot).await? {
            Box::pin(passthrough::attempt(x, slot, &mut sent)).await
        } else {
            Box::pin(translate::attempt(x, slot, &repairs, &mut sent)).await
        };
        let failed = match result {
            Ok(ready) => {
                slot.upstream.answered(&x.app.metrics).inc();
                return Ok(ready);
            }
            Err(failed) => failed,
        };
        x.app.metrics.attempts(&slot.target.provider, failed.fault.class.as_str()).inc();
        let fault = &failed.fault;
        let (provider, model) = (&slot.target.provider, &slot.target.model);
        if repairs.unsigned.is_none() && is_about_signatures(fault) {
            repairs.unsigned = Some(Refused { body: sent.body, fault: fault.clone() });
        } else if !repairs.learned && x.app.learned.learn(provider, model, fault, &sent.body) {
            repairs.learned = true;
        } else {
            return Err(failed);
        }
        tracing::debug!(%provider, "a refused request is repaired and repeated");
    }
}

/// What went out.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) body: Bytes,
}

/// Whether a provider complains about signatures of earlier reasoning.
fn is_about_signatures(fault: &Fault) -> bool {
    if fault.class != FaultClass::BadRequest || !fault.from_upstream {
        return false;
    }
    let words = fault.message.to_ascii_lowercase();
    [
        "invalid signature",
        "thought_signature",
        "thought signature",
        "invalid `signature`",
        "encrypted_content",
        "encrypted content",
        "corrupted thought",
    ]
    .iter()
    .any(|known| words.contains(known))
}

impl Exchange {
    /// What is common to all answers: which target gave it, how many attempts it took, what was lost.
    pub(crate) fn reply_headers(&mut self, slot: &Slot, losses: &Losses) -> HeaderMap {
        let shown = self.runtime.config.headers;
        let mut headers = HeaderMap::with_capacity(12);
        if shown.target
            && let Ok(value) = HeaderValue::try_from(format!("{}/{}", slot.target.provider, slot.target.model))
        {
            headers.insert(TARGET, value);
        }
        if shown.attempts {
            headers.insert(ATTEMPTS, HeaderValue::from(self.record.attempts));
        }
        if shown.loss
            && self.runtime.config.losses != crate::config::LossPolicy::Off
            && let Some(Ok(value)) = losses.header().map(HeaderValue::try_from)
        {
            headers.insert(LOSS, value);
        }
        if let Some(Ok(value)) = self.record.upstream_id.as_deref().map(HeaderValue::try_from) {
            headers.insert(UPSTREAM_ID, value);
        }
        self.record.lost(losses);
        headers
    }

    /// Counts what was lost.
    pub(crate) fn count_losses(&self, losses: &Losses, to: Protocol) {
        for loss in losses.entries() {
            let labels =
                LossLabels { from: Word(self.wire.as_str()), to: Word(to.as_str()), code: Word(loss.code.as_str()) };
            self.app.metrics.losses.get_or_create(&labels).inc();
        }
    }

    /// The model name the client shall see.
    pub(crate) fn shown_model(&self, slot: &Slot) -> Text {
        match self.runtime.config.model_echo {
            crate::config::ModelEcho::Requested => self.model.clone(),
            crate::config::ModelEcho::Provider => slot.target.model.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_differ_by_provider_and_model() {
        assert_ne!(scope(1, "a"), scope(2, "a"));
        assert_ne!(scope(1, "a"), scope(1, "b"));
        assert_eq!(scope(1, "a"), scope(1, "a"));
    }

    #[test]
    fn complaints_about_signatures_are_known() {
        let complaint = |words: &str| Fault { from_upstream: true, ..Fault::new(FaultClass::BadRequest, words) };
        assert!(is_about_signatures(&complaint("messages.1.content.0: Invalid `signature` in `thinking` block")));
        assert!(is_about_signatures(&complaint("Function call is missing a thought_signature in functionCall parts")));
        assert!(!is_about_signatures(&complaint("max_tokens is too large")));
    }
}
