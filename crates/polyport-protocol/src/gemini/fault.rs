//! Error bodies of the Gemini protocol.

use std::borrow::Cow;
use std::time::Duration;

use polyport_types::{Fault, FaultClass};

use crate::ErrorBody;
use crate::json::JsonWriter;

/// Told to clients that would otherwise repeat at once when nobody knows a better time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Codes of other providers that say that the prompt itself was refused: an answer here, not an error.
const BLOCKED_PROMPT: [&str; 2] = ["content_filter", "invalid_prompt"];

/// Writes an error for a client.
#[must_use]
pub fn encode_fault(fault: &Fault, _request_id: &str) -> ErrorBody {
    if fault.class == FaultClass::PolicyRefused
        && fault.code.as_deref().is_some_and(|code| BLOCKED_PROMPT.contains(&code))
    {
        return answer(|w| {
            w.object_field("promptFeedback", |w| {
                w.str("blockReason", "PROHIBITED_CONTENT");
                w.str("blockReasonMessage", &fault.message);
            });
        });
    }
    if fault.class == FaultClass::ToolUseFailed {
        return answer(|w| {
            w.array_field("candidates", |w| {
                w.object(|w| {
                    w.str("finishReason", "MALFORMED_FUNCTION_CALL");
                    w.str("finishMessage", &fault.message);
                    w.num("index", 0u32);
                });
            });
        });
    }
    let (status, _) = status(fault.class);
    let headers = retry_after(fault).map(|after| ("retry-after", ceil_secs(after).to_string()));
    let mut body = Vec::with_capacity(fault.message.len() + 128);
    write_error(&mut body, fault);
    ErrorBody { status, headers: headers.into_iter().collect(), body }
}

/// A body that the client takes for an answer.
fn answer(members: impl FnOnce(&mut JsonWriter<'_>)) -> ErrorBody {
    let mut body = Vec::new();
    JsonWriter::new(&mut body).object(members);
    ErrorBody { status: 200, headers: Vec::new(), body }
}

/// Appends `{"error":{…}}`: the body of an unsuccessful answer and the last chunk of a failed stream.
pub(super) fn write_error(out: &mut Vec<u8>, fault: &Fault) {
    let (code, word) = status(fault.class);
    JsonWriter::new(out).object(|w| {
        w.object_field("error", |w| {
            w.num("code", code);
            w.str("message", &message(fault));
            w.str("status", word);
            details(w, fault);
        });
    });
}

/// HTTP status and its word.
fn status(class: FaultClass) -> (u16, &'static str) {
    match class {
        FaultClass::BadRequest | FaultClass::ContextTooLong | FaultClass::PolicyRefused | FaultClass::ToolUseFailed => {
            (400, "INVALID_ARGUMENT")
        }
        FaultClass::TooLarge => (413, "INVALID_ARGUMENT"),
        FaultClass::UnsupportedMediaType => (415, "INVALID_ARGUMENT"),
        FaultClass::ModelNotFound | FaultClass::NotFound => (404, "NOT_FOUND"),
        FaultClass::MethodNotAllowed => (405, "UNIMPLEMENTED"),
        FaultClass::ClientAuth => (401, "UNAUTHENTICATED"),
        FaultClass::PermissionDenied => (403, "PERMISSION_DENIED"),
        FaultClass::RateLimited | FaultClass::RateLimitedWindow | FaultClass::LocalRate | FaultClass::LocalQuota => {
            (429, "RESOURCE_EXHAUSTED")
        }
        FaultClass::AccountBroken
        | FaultClass::CapacityModel
        | FaultClass::Overloaded
        | FaultClass::Transport
        | FaultClass::Untrusted
        | FaultClass::NoUpstream => (503, "UNAVAILABLE"),
        // Not 401 for the provider's refusal: the client would send its user to the wrong key.
        FaultClass::AuthInvalid | FaultClass::ServerError | FaultClass::UpstreamProtocol | FaultClass::Internal => {
            (500, "INTERNAL")
        }
        FaultClass::Timeout => (504, "DEADLINE_EXCEEDED"),
        FaultClass::RequestTimeout => (408, "DEADLINE_EXCEEDED"),
        FaultClass::ClientGone => (499, "CANCELLED"),
    }
}

/// The message; that a prompt is too long is said in the words clients look for.
fn message(fault: &Fault) -> Cow<'_, str> {
    const TOO_LONG: &str = "exceeds the maximum number of tokens allowed";
    if fault.class == FaultClass::ContextTooLong && !fault.message.contains(TOO_LONG) {
        let numbers = token_numbers(&fault.message);
        return Cow::Owned(match numbers {
            Some((has, may)) => format!("The input token count ({has}) {TOO_LONG} ({may})."),
            None => format!("The input token count {TOO_LONG}: {}", fault.message),
        });
    }
    Cow::Borrowed(&fault.message)
}

/// How many tokens a prompt has and may have, if a message names just these two numbers.
fn token_numbers(message: &str) -> Option<(u64, u64)> {
    let mut numbers = message
        .split(|letter: char| !letter.is_ascii_digit() && letter != ',')
        .map(|word| word.replace(',', ""))
        .filter_map(|word| word.parse::<u64>().ok())
        .filter(|number| *number >= 256);
    let (a, b) = (numbers.next()?, numbers.next()?);
    (numbers.next().is_none() && a != b).then(|| (a.max(b), a.min(b)))
}

/// When to come back. Everything that may pass names a time.
fn retry_after(fault: &Fault) -> Option<Duration> {
    match status(fault.class).0 {
        429 | 503 if fault.class != FaultClass::LocalQuota => Some(fault.retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
        _ => fault.retry_after,
    }
}

fn details(w: &mut JsonWriter<'_>, fault: &Fault) {
    const TYPE: &str = "type.googleapis.com/google.rpc.";
    let kind = |w: &mut JsonWriter<'_>, name: &str| {
        w.key("@type");
        w.string_concat(&[TYPE, name]);
    };
    // A time of ours is a header only: in the body it would stand for a promise.
    let wait = fault.retry_after.filter(|_| matches!(status(fault.class).0, 429 | 503));
    let quota = fault.class == FaultClass::LocalQuota;
    if wait.is_none() && !quota && fault.param.is_none() {
        return;
    }
    w.array_field("details", |w| {
        if quota {
            w.object(|w| {
                kind(w, "QuotaFailure");
                w.array_field("violations", |w| {
                    w.object(|w| {
                        w.str("subject", "polyport");
                        w.str("description", &fault.message);
                    });
                });
            });
        }
        if let Some(wait) = wait {
            w.object(|w| {
                kind(w, "RetryInfo");
                w.str("retryDelay", &duration(wait));
            });
        }
        if let Some(param) = &fault.param {
            w.object(|w| {
                kind(w, "BadRequest");
                w.array_field("fieldViolations", |w| {
                    w.object(|w| {
                        w.str("field", param);
                        w.str("description", &fault.message);
                    });
                });
            });
        }
    });
}

/// A duration as proto JSON writes it: `34.5s`.
fn duration(wait: Duration) -> String {
    let millis = wait.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{}s", wait.as_secs_f64()) }
}

fn ceil_secs(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(fault: &Fault) -> (ErrorBody, serde_json::Value) {
        let error = encode_fault(fault, "req_1");
        let value = serde_json::from_slice(&error.body).unwrap();
        (error, value)
    }

    #[test]
    fn a_rate_limit_says_when_to_come_back() {
        let fault = Fault::new(FaultClass::RateLimited, "slow down").with_retry_after(Duration::from_millis(34_500));
        let (error, value) = body(&fault);
        assert_eq!((error.status, error.headers.as_slice()), (429, &[("retry-after", "35".to_owned())][..]));
        assert_eq!(
            value,
            serde_json::json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]}})
        );
        let (error, value) = body(&Fault::new(FaultClass::Overloaded, "busy"));
        assert_eq!((error.status, error.headers.len()), (503, 1));
        assert_eq!(value, serde_json::json!({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}));
    }

    #[test]
    fn a_used_up_quota_is_named() {
        let (error, value) = body(&Fault::new(FaultClass::LocalQuota, "monthly budget used up"));
        assert!(error.headers.is_empty(), "nothing heals it soon");
        assert_eq!(value["error"]["details"][0]["@type"], "type.googleapis.com/google.rpc.QuotaFailure");
    }

    #[test]
    fn a_wrong_field_is_named() {
        let (error, value) = body(&Fault::bad_request("contents[0].role", "contents[0].role: no"));
        assert_eq!(error.status, 400);
        assert_eq!(value["error"]["status"], "INVALID_ARGUMENT");
        assert_eq!(value["error"]["details"][0]["fieldViolations"][0]["field"], "contents[0].role");
    }

    #[test]
    fn a_refused_prompt_is_an_answer() {
        let mut fault = Fault::new(FaultClass::PolicyRefused, "no");
        assert_eq!(body(&fault).0.status, 400);
        fault.code = Some("content_filter".into());
        let (error, value) = body(&fault);
        assert_eq!((error.status, &value["promptFeedback"]["blockReason"]), (200, &"PROHIBITED_CONTENT".into()));
        let (error, value) = body(&Fault::new(FaultClass::ToolUseFailed, "bad call"));
        assert_eq!((error.status, &value["candidates"][0]["finishReason"]), (200, &"MALFORMED_FUNCTION_CALL".into()));
    }

    #[test]
    fn too_long_prompts_are_told_with_their_numbers() {
        let fault = |text: &str| Fault::new(FaultClass::ContextTooLong, text);
        assert_eq!(
            message(&fault("prompt is too long: 250000 tokens > 200000 maximum")),
            "The input token count (250000) exceeds the maximum number of tokens allowed (200000)."
        );
        assert!(message(&fault("too much")).starts_with("The input token count exceeds the maximum"));
    }
}
