//! Before the first attempt: what a request may use is taken from the limits of its caller.

use bytes::Bytes;
use polyport_protocol::estimate::input_tokens;
use polyport_types::Fault;

use super::Exchange;
use super::course::Course;
use super::peek::Peek;
use crate::ledger::Demand;
use crate::ledger::tries::Estimate;
use crate::observe::capture::Capture;

/// Bytes of text that make about a token.
pub(super) const BYTES_PER_TOKEN: u64 = 4;

/// Tokens of an answer whose client does not say how long it may be.
const ANSWER: u64 = 2048;

/// Most tokens of a prompt that only its bytes tell of.
const MOST_INPUT: u64 = 1_000_000;

/// Most tokens that an answer may have: more than any model gives.
const MOST_OUTPUT: u64 = 1_000_000;

/// Takes what the request may use.
///
/// # Errors
/// `LocalRate` or `LocalQuota`.
pub(super) async fn admit(x: &mut Exchange, course: &Course) -> Result<(), Fault> {
    let estimate = match x.runtime.limits_use(&x.caller) {
        true => exact(x).await,
        false => None,
    };
    let estimate = estimate.unwrap_or_else(|| rough(&x.body, x.peeked.as_ref()));
    let capture = course.resolved().capture || x.caller.grant().is_some_and(|grant| grant.capture);
    if capture {
        x.record.capture = Some(Box::new(Capture::new(x.runtime.config.capture_bytes, &x.body)));
    }
    x.record.disconnect = course.resolved().disconnect.unwrap_or(x.runtime.config.disconnect);
    let asked = Demand { model: &x.model, resolved: Some(course.resolved()) };
    x.record.admit(&x.runtime, asked, estimate)
}

/// Reads the whole request, where a limit depends on it. A body that only its provider may understand is told by its bytes.
async fn exact(x: &mut Exchange) -> Option<Estimate> {
    let request = x.decoded().await.ok()?;
    let output = request.limits.max_output_tokens.unwrap_or(ANSWER).min(MOST_OUTPUT);
    let input = x.off_worker(move || input_tokens(&request)).await.ok()?;
    Some(Estimate { input, output })
}

/// About how many tokens so many bytes are.
pub(crate) fn tokens_of(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(BYTES_PER_TOKEN)
}

/// What the bytes of a body tell: four of them are about a token.
pub(crate) fn rough(body: &Bytes, peek: Option<&Peek>) -> Estimate {
    let names = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
    let number = |name: &&str| peek?.get(body, name).and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let output = names.iter().find_map(number).unwrap_or(ANSWER).min(MOST_OUTPUT);
    Estimate { input: tokens_of(body.len()).min(MOST_INPUT), output }
}
