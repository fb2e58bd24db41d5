//! Sampling parameters: what the model takes, in its ranges.

use polyport_types::{Effort, Family, LossAction, LossCode, Protocol, ReasoningMode, Request};

use super::Job;

/// Largest `top_k`-like and penalty values differ by protocol; these are shared.
const PENALTY_RANGE: (f64, f64) = (-2.0, 2.0);
/// Smallest `top_p` beside thinking on Messages.
const MIN_TOP_P_WITH_THINKING: f64 = 0.95;

/// Drops what the model refuses and clamps the rest.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    abilities(job, request);
    if job.to(Protocol::Messages) {
        beside_thinking(job, request);
    }
    if !job.same {
        ranges(job, request);
    }
}

/// Takes a parameter out and says so.
fn drop<T>(job: &mut Job<'_>, slot: &mut Option<T>, name: &str, why: &str) {
    if slot.take().is_some() {
        job.losses.warn(LossCode::SamplingUnsupported, LossAction::Dropped, format!("/{name}"), why);
    }
}

fn abilities(job: &mut Job<'_>, request: &mut Request) {
    // Newer reasoning models of OpenAI take the parameters again while they do not reason.
    let abilities = &job.target.capabilities;
    let off = request.reasoning.as_ref().is_some_and(|control| control.effort == Some(Effort::None));
    if off && abilities.family == Family::OpenAi && abilities.efforts.contains(&Effort::None) {
        return;
    }
    let sampling = &mut request.sampling;
    let why = "not taken by the model";
    if !abilities.temperature {
        drop(job, &mut sampling.temperature, "temperature", why);
    }
    if !abilities.top_p {
        drop(job, &mut sampling.top_p, "top_p", why);
    }
    if !abilities.top_k || !abilities.top_p {
        drop(job, &mut sampling.top_k, "top_k", why);
    }
    if !abilities.penalties {
        drop(job, &mut sampling.frequency_penalty, "frequency_penalty", why);
        drop(job, &mut sampling.presence_penalty, "presence_penalty", why);
        drop(job, &mut sampling.repetition_penalty, "repetition_penalty", why);
        drop(job, &mut sampling.seed, "seed", why);
        drop(job, &mut sampling.logit_bias, "logit_bias", why);
    }
    if !abilities.logprobs {
        let wanted = sampling.logprobs == Some(true) || sampling.top_logprobs.is_some_and(|count| count > 0);
        sampling.logprobs = None;
        sampling.top_logprobs = None;
        if wanted {
            job.losses.warn(LossCode::LogprobsUnsupported, LossAction::Dropped, "/logprobs", why);
        }
    }
    if !abilities.temperature_with_top_p && sampling.temperature.is_some() {
        drop(job, &mut sampling.top_p, "top_p", "not beside temperature");
    }
}

/// Anthropic's models think with the parameters they like.
fn beside_thinking(job: &mut Job<'_>, request: &mut Request) {
    let thinks = request.reasoning.as_ref().is_some_and(|control| {
        matches!(control.mode, ReasoningMode::On | ReasoningMode::Adaptive | ReasoningMode::BetweenTools)
    });
    if !thinks {
        return;
    }
    let sampling = &mut request.sampling;
    let why = "not while the model thinks";
    if sampling.temperature.is_some_and(|value| value != 1.0) {
        drop(job, &mut sampling.temperature, "temperature", why);
    }
    if sampling.top_p.is_some_and(|value| value < MIN_TOP_P_WITH_THINKING) {
        drop(job, &mut sampling.top_p, "top_p", why);
    }
    drop(job, &mut sampling.top_k, "top_k", why);
}

fn ranges(job: &mut Job<'_>, request: &mut Request) {
    let sampling = &mut request.sampling;
    let warmest = if job.to(Protocol::Messages) { 1.0 } else { 2.0 };
    clamp(job, &mut sampling.temperature, "temperature", (0.0, warmest));
    clamp(job, &mut sampling.top_p, "top_p", (0.0, 1.0));
    clamp(job, &mut sampling.frequency_penalty, "frequency_penalty", PENALTY_RANGE);
    clamp(job, &mut sampling.presence_penalty, "presence_penalty", PENALTY_RANGE);
    if let Some(top_k) = sampling.top_k {
        // Messages wants a whole number; to Gemini 0 is no number of candidates.
        let whole = top_k.round().max(0.0);
        if job.to(Protocol::Gemini) && whole < 1.0 {
            drop(job, &mut sampling.top_k, "top_k", "must be at least 1");
        } else if job.to(Protocol::Messages) && (whole - top_k).abs() > 0.0 {
            sampling.top_k = Some(whole);
            let detail = format!("{top_k} → {whole}");
            job.losses.info(LossCode::SamplingClamped, LossAction::Clamped, "/top_k", detail);
        }
    }
}

/// Cuts a parameter to a range; what is no number at all is dropped.
fn clamp(job: &mut Job<'_>, slot: &mut Option<f64>, name: &str, (least, most): (f64, f64)) {
    let Some(value) = *slot else { return };
    if value.is_nan() {
        *slot = None;
        return;
    }
    let clamped = value.clamp(least, most);
    if (clamped - value).abs() > 0.0 {
        *slot = Some(clamped);
        let detail = format!("{value} → {clamped}");
        job.losses.warn(LossCode::SamplingClamped, LossAction::Clamped, format!("/{name}"), detail);
    }
}
