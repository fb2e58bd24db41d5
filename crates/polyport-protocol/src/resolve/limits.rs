//! Token limits, stop sequences, number of answers.

use polyport_types::{LossAction, LossCode, Protocol, Request};

use super::Job;

/// Output limit of a Messages model that nothing is known about, in tokens.
const DEFAULT_MAX_TOKENS: u64 = 8192;
/// Smallest `max_output_tokens` that Responses takes.
const MIN_RESPONSES_TOKENS: u64 = 16;
/// How many stop sequences Gemini takes.
const MAX_GEMINI_STOP: usize = 5;
/// How many answers Gemini gives.
const MAX_GEMINI_CANDIDATES: u32 = 8;

/// Brings limits into the ranges of the target.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    tokens(job, request);
    stop(job, request);
    candidates(job, request);
}

fn tokens(job: &mut Job<'_>, request: &mut Request) {
    let limit = &mut request.limits.max_output_tokens;
    if !job.capabilities().output_limit {
        if limit.take().is_some() {
            let detail = "the service takes no limit";
            job.losses.warn(LossCode::SamplingUnsupported, LossAction::Dropped, "/max_output_tokens", detail);
        }
        return;
    }
    let model = job.capabilities().max_output;
    match *limit {
        Some(0) if !job.same => {
            // Messages warms a cache that way; nobody else does.
            job.losses.error(LossCode::ServerFeatureDropped, "/max_tokens", "0: no way to only warm a cache");
        }
        Some(0) => {}
        Some(asked) => {
            if let Some(model) = model.filter(|model| asked > *model) {
                *limit = Some(model);
                let detail = format!("{asked} → {model}, the most the model gives");
                job.losses.info(LossCode::MaxTokensLowered, LossAction::Clamped, "/max_tokens", detail);
            }
            if job.to(Protocol::Responses) && !job.same && asked < MIN_RESPONSES_TOKENS {
                *limit = Some(MIN_RESPONSES_TOKENS);
                let detail = format!("{asked} → {MIN_RESPONSES_TOKENS}");
                job.losses.warn(LossCode::MaxTokensRaised, LossAction::Clamped, "/max_tokens", detail);
            }
        }
        None if job.to(Protocol::Messages) => {
            let default = model.unwrap_or(DEFAULT_MAX_TOKENS);
            *limit = Some(default);
            job.losses.info(LossCode::MaxTokensDefaulted, LossAction::Synthesised, "/max_tokens", default.to_string());
        }
        None => {}
    }
}

fn stop(job: &mut Job<'_>, request: &mut Request) {
    let stop = &mut request.limits.stop;
    if stop.is_empty() {
        return;
    }
    if !job.capabilities().stop {
        stop.clear();
        job.losses.warn(LossCode::StopUnsupported, LossAction::Dropped, "/stop", "not taken by the model");
        return;
    }
    if job.same {
        return;
    }
    // An empty text would end every answer at once, or be refused.
    stop.retain(|text| !text.is_empty());
    if job.to(Protocol::Messages) {
        let before = stop.len();
        stop.retain(|text| !text.trim().is_empty());
        if stop.len() < before {
            let detail = format!("{} of white space only", before - stop.len());
            job.losses.warn(LossCode::StopWhitespace, LossAction::Dropped, "/stop", detail);
        }
    }
    let most = match job.target.protocol {
        Protocol::Chat => job.profile().max_stop,
        Protocol::Gemini => MAX_GEMINI_STOP,
        Protocol::Responses | Protocol::Messages => return,
    };
    if stop.len() > most {
        let detail = format!("the first {most} of {}", stop.len());
        stop.truncate(most);
        job.losses.warn(LossCode::StopTooMany, LossAction::Dropped, "/stop", detail);
    }
}

fn candidates(job: &mut Job<'_>, request: &mut Request) {
    match (request.candidates, job.target.protocol) {
        (Some(0), _) if !job.same => request.candidates = None,
        (Some(count), Protocol::Responses | Protocol::Messages) => {
            request.candidates = None;
            if count > 1 {
                let detail = format!("{count} → 1");
                job.losses.warn(LossCode::CandidatesUnsupported, LossAction::Degraded, "/n", detail);
            }
        }
        (Some(count), Protocol::Gemini) if !job.same && count > MAX_GEMINI_CANDIDATES => {
            request.candidates = Some(MAX_GEMINI_CANDIDATES);
            let detail = format!("{count} → {MAX_GEMINI_CANDIDATES}");
            job.losses.warn(LossCode::CandidatesUnsupported, LossAction::Clamped, "/n", detail);
        }
        _ => {}
    }
}
