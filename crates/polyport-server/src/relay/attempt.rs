//! One attempt after the other, until one has output.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use polyport_types::{Fault, FaultClass, Losses, Protocol, Text};

use super::course::{Course, Slot};
use super::hedge::{self, Raced};
use super::learned::Lesson;
use super::{Answered, Exchange, Ready, fits, passthrough, translate, wire};
use crate::app::Runtime;
use crate::clock;
use crate::config::Service;

const TARGET: HeaderName = HeaderName::from_static("x-polyport-target");
pub(super) const ATTEMPTS: HeaderName = HeaderName::from_static("x-polyport-attempts");
const LOSS: HeaderName = HeaderName::from_static("x-polyport-loss");
const UPSTREAM_ID: HeaderName = HeaderName::from_static("x-polyport-upstream-request-id");

impl Slot {
    /// The target as the codecs know it.
    pub(crate) fn codec_target(&self, x: &Exchange) -> polyport_protocol::Target {
        self.codec_target_in(&x.runtime, x.id.text())
    }

    /// The same, outside an exchange.
    pub(crate) fn codec_target_in(&self, runtime: &Runtime, id: &Text) -> polyport_protocol::Target {
        let provider = &self.upstream.config;
        let model = &self.target.model;
        provider.codec_target(model, runtime.config.capabilities(provider, model), self.project(), id)
    }
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

impl Failed {
    /// The failure of a provider for good. A model without an ability that the request needs cannot carry it: another one may.
    fn of(self, provider: &Text) -> Self {
        let unable = self.unable || is_about_abilities(&self.fault);
        Self { fault: named(provider, self.fault), unable }
    }
}

/// What is changed about a request that a provider has refused, before it is repeated once.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// Signatures are left out after this was refused.
    pub(crate) unsigned: Option<Refused>,
    /// What the refusal taught.
    learned: Option<Lesson>,
}

/// A body that a provider refused, and how.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) body: Bytes,
    pub(crate) fault: Fault,
}

/// Makes the attempts.
pub(crate) async fn all(mut x: Exchange, mut course: Course) -> Answered {
    let result = run(&mut x, &mut course).await;
    Answered { record: x.record, result }
}

async fn run(x: &mut Exchange, course: &mut Course) -> Result<Ready, Fault> {
    let conversation = if course.has_choice() && x.runtime.config.sticky { x.conversation() } else { None };
    if let Some(conversation) = conversation {
        course.stay(conversation);
    }
    course.may_hedge(!x.leaves_something());
    let deadline = course.deadline(x.stream);
    let mut slot = deadline.within(course.first()).await?;
    loop {
        let began = Instant::now();
        let raced = match course.hedge_after(&slot, !x.stream) {
            None => deadline.wait(with_repairs(x, &slot)).await.map(Raced::alone),
            Some(after) => deadline.wait(Box::pin(hedge::race(x, course, &slot, after))).await,
        };
        let Some(Raced { result, second }) = raced else { return Err(course.late(&slot, &deadline)) };
        // The one that counts: the second if it was quicker, or if the first has failed as well.
        let began = second.as_ref().map_or(began, |(_, began)| *began);
        slot = second.map_or(slot, |(second, _)| second);
        match result {
            Ok(ready) => {
                slot.succeeded(200, !x.stream, began.elapsed());
                if let Some(conversation) = conversation {
                    course.keep(conversation, &slot);
                }
                x.record.attempt = slot.place();
                return Ok(ready);
            }
            Err(failed) => slot = deadline.within(course.after(slot, failed)).await?,
        }
    }
}

/// One attempt; a refusal that can be repaired is repaired and the request repeated, once per kind.
pub(super) async fn with_repairs(x: &mut Exchange, slot: &Slot) -> Result<Ready, Failed> {
    let mut repairs = Repairs::default();
    loop {
        let to = slot.upstream.config.protocol();
        let to = match &slot.upstream.config.service {
            Service::Http(_) => to.as_str(),
            Service::Process(_) => "process",
            Service::Echo => "echo",
        };
        x.record.aim(slot, to);
        let mut sent = Sent::default();
        // Boxed: the futures around this one are moved often and hold room for the larger of the two.
        let result = if repairs.unsigned.is_none() && fits::fits(x, slot).await? {
            Box::pin(passthrough::attempt(x, slot, &mut sent)).await
        } else {
            Box::pin(translate::attempt(x, slot, &repairs, &mut sent)).await
        };
        let failed = match result {
            Ok(ready) => {
                slot.upstream.answered(&x.app.metrics).inc();
                return Ok(ready);
            }
            Err(failed) => Failed { fault: wire::without_credential(slot, failed.fault), ..failed },
        };
        x.record.failed(&failed.fault);
        x.app.metrics.attempts(&slot.target.provider, failed.fault.class.as_str()).inc();
        let fault = &failed.fault;
        let (provider, model) = (&slot.target.provider, &slot.target.model);
        if repairs.unsigned.is_none() && is_about_signatures(fault) {
            repairs.unsigned = Some(Refused { body: sent.body, fault: fault.clone() });
        } else if let Some(lesson) = &repairs.learned {
            x.app.learned.reconsider(provider, model, lesson, fault, &sent.body);
            return Err(failed.of(provider));
        } else {
            repairs.learned = x.app.learned.learn(provider, model, clock::now(), fault, &sent.body);
            if repairs.learned.is_none() {
                return Err(failed.of(provider));
            }
        }
        tracing::debug!(%provider, "a refused request is repaired and repeated");
    }
}

/// What went out.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) body: Bytes,
}

/// The fault with the provider's name, where it is the operator who has to look after it.
fn named(provider: &Text, fault: Fault) -> Fault {
    let of_operator = matches!(
        fault.class,
        FaultClass::AuthInvalid
            | FaultClass::PermissionDenied
            | FaultClass::AccountBroken
            | FaultClass::UpstreamProtocol
    );
    let name = format!("provider `{provider}`");
    if !(of_operator && fault.from_upstream) || fault.message.contains(&name) {
        return fault;
    }
    let words = match fault.class {
        FaultClass::AuthInvalid => format!("{name} refused the gateway's credential: {}", fault.message),
        _ => format!("{name}: {}", fault.message),
    };
    Fault { message: words, ..fault }
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

/// Whether a provider says that the model lacks what the request needs (Ollama, llama.cpp, vLLM).
fn is_about_abilities(fault: &Fault) -> bool {
    if fault.class != FaultClass::BadRequest || !fault.from_upstream {
        return false;
    }
    let words = fault.message.to_ascii_lowercase();
    let lacks = [
        "does not support",
        "doesn't support",
        "not supported",
        "unsupported",
        "cannot use",
        "is not enabled",
        "requires --",
    ];
    let ability = ["tool", "function call", "image", "vision", "multimodal", "audio", "thinking"];
    lacks.iter().any(|lack| words.contains(lack)) && ability.iter().any(|ability| words.contains(ability))
}

impl Exchange {
    /// What is common to all answers: which target gave it, how many attempts it took, what was lost.
    pub(crate) fn reply_headers(&mut self, slot: &Slot, losses: &Losses) -> HeaderMap {
        let shown = self.runtime.config.headers;
        let mut headers = HeaderMap::with_capacity(12);
        if shown.target
            && let Ok(value) = HeaderValue::try_from([&*slot.target.provider, "/", &*slot.target.model].concat())
        {
            headers.insert(TARGET, value);
        }
        if shown.attempts {
            headers.insert(ATTEMPTS, HeaderValue::from(self.record.attempts()));
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
        self.app.metrics.lost(losses, self.wire.as_str(), to.as_str());
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
    fn complaints_about_signatures_are_known() {
        let complaint = |words: &str| Fault { from_upstream: true, ..Fault::new(FaultClass::BadRequest, words) };
        assert!(is_about_signatures(&complaint("messages.1.content.0: Invalid `signature` in `thinking` block")));
        assert!(is_about_signatures(&complaint("Function call is missing a thought_signature in functionCall parts")));
        assert!(!is_about_signatures(&complaint("max_tokens is too large")));
    }

    #[test]
    fn models_without_an_ability_are_known() {
        let complaint = |words: &str| Fault { from_upstream: true, ..Fault::new(FaultClass::BadRequest, words) };
        for words in [
            "registry.example/tiny:latest does not support tools",
            "Unsupported param: tools",
            "Cannot use tools with stream",
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
            "this model does not support image input",
        ] {
            assert!(is_about_abilities(&complaint(words)), "{words}");
        }
        for words in ["max_tokens is too large", "Invalid schema for function 'f'", "tools[0].name is missing"] {
            assert!(!is_about_abilities(&complaint(words)), "{words}");
        }
        assert!(!is_about_abilities(&Fault::new(FaultClass::BadRequest, "does not support tools")), "not ours");
    }
}
