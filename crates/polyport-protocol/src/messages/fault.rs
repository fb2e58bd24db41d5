//! Error bodies of the Messages protocol.

use std::borrow::Cow;
use std::time::Duration;

use polyport_types::{Fault, FaultClass};

use crate::ErrorBody;
use crate::json::JsonWriter;

/// Told to clients that would otherwise repeat at once when nobody knows a better time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Longest wait after which a repetition makes sense: official clients would sleep through any.
const PATIENCE: Duration = Duration::from_secs(300);

/// Writes an error for a client.
#[must_use]
pub fn encode_fault(fault: &Fault, request_id: &str) -> ErrorBody {
    let (status, _) = kind(fault.class);
    let mut headers = vec![("request-id", request_id.to_owned())];
    let hopeless = is_hopeless(fault);
    let after = match fault.retry_after {
        None if matches!(status, 429 | 503 | 529) && !hopeless => Some(DEFAULT_RETRY_AFTER),
        known => known,
    };
    if let Some(after) = after {
        // Clients read whole seconds; too early is a wasted attempt.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.push(("retry-after", seconds.max(1).to_string()));
    }
    if hopeless {
        headers.push(("x-should-retry", "false".to_owned()));
    }
    let mut body = Vec::new();
    write(&mut body, fault, Some(request_id));
    ErrorBody { status, headers, body }
}

/// Appends the error object, in a body or an event.
pub(super) fn write(out: &mut Vec<u8>, fault: &Fault, request_id: Option<&str>) {
    let (_, kind) = kind(fault.class);
    JsonWriter::new(out).object(|w| {
        w.str("type", "error");
        w.object_field("error", |w| {
            w.str("type", kind);
            w.str("message", &message(fault));
        });
        w.opt_str("request_id", request_id);
    });
}

/// A prompt that does not fit is reported in the one wording whose numbers clients of this API read.
fn message(fault: &Fault) -> Cow<'_, str> {
    const WORDING: &str = "prompt is too long: ";
    if fault.class != FaultClass::ContextTooLong || fault.message.contains(WORDING) {
        return Cow::Borrowed(&fault.message);
    }
    match lengths(&fault.message) {
        Some((asked, limit)) => Cow::Owned(format!("{WORDING}{asked} tokens > {limit} maximum")),
        None => Cow::Borrowed(&fault.message),
    }
}

/// Tokens asked for and allowed, from the words of any provider: the limit stands after a word for it and is exceeded.
fn lengths(message: &str) -> Option<(u64, u64)> {
    let text = message.to_lowercase();
    let numbers = |text: &str| -> Vec<u64> {
        let plain = text.replace([',', '_'], "");
        plain
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok())
            .filter(|n| *n >= 256)
            .collect()
    };
    let asked = numbers(&text).into_iter().max()?;
    let limits = ["maximum", "limit", "context window", "context size", "exceeds"].into_iter();
    let mut after = limits.filter_map(|word| text.split_once(word)).flat_map(|(_, rest)| numbers(rest));
    let limit = after.find(|limit| *limit < asked)?;
    Some((asked, limit))
}

/// Status and `error.type`. A provider's refusal of Polyport's own credential is no fault of the client's key, so it is no 401.
fn kind(class: FaultClass) -> (u16, &'static str) {
    match class {
        FaultClass::BadRequest | FaultClass::ContextTooLong | FaultClass::PolicyRefused => {
            (400, "invalid_request_error")
        }
        FaultClass::TooLarge => (413, "request_too_large"),
        FaultClass::ModelNotFound | FaultClass::NotFound => (404, "not_found_error"),
        FaultClass::MethodNotAllowed => (405, "invalid_request_error"),
        FaultClass::UnsupportedMediaType => (415, "invalid_request_error"),
        FaultClass::RequestTimeout => (408, "timeout_error"),
        FaultClass::ClientAuth => (401, "authentication_error"),
        FaultClass::PermissionDenied => (403, "permission_error"),
        FaultClass::LocalQuota => (402, "billing_error"),
        FaultClass::RateLimited | FaultClass::RateLimitedWindow | FaultClass::LocalRate => (429, "rate_limit_error"),
        FaultClass::Overloaded | FaultClass::CapacityModel | FaultClass::NoUpstream => (529, "overloaded_error"),
        FaultClass::AccountBroken => (503, "api_error"),
        FaultClass::Timeout => (504, "timeout_error"),
        FaultClass::ClientGone => (499, "api_error"),
        FaultClass::AuthInvalid
        | FaultClass::ServerError
        | FaultClass::Transport
        | FaultClass::Untrusted
        | FaultClass::UpstreamProtocol
        | FaultClass::ToolUseFailed
        | FaultClass::Internal => (500, "api_error"),
    }
}

/// Whether a repetition cannot help: somebody has to act, or it would come later than anybody waits.
fn is_hopeless(fault: &Fault) -> bool {
    matches!(
        fault.class,
        FaultClass::AuthInvalid | FaultClass::AccountBroken | FaultClass::LocalQuota | FaultClass::RateLimitedWindow
    ) || fault.retry_after.is_some_and(|after| after > PATIENCE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_error_has_the_form_clients_parse() {
        let fault = Fault::new(FaultClass::ContextTooLong, "prompt is too long: 250000 tokens > 200000 maximum");
        let error = encode_fault(&fault, "req_1");
        assert_eq!(error.status, 400);
        assert_eq!(
            String::from_utf8(error.body).unwrap(),
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 250000 tokens > 200000 maximum"},"request_id":"req_1"}"#
        );
        assert_eq!(error.headers, [("request-id", "req_1".to_owned())]);
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_in_numbers() {
        for (said, told) in [
            (
                "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion).",
                "prompt is too long: 9000 tokens > 8192 maximum",
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                "prompt is too long: 1200000 tokens > 1048576 maximum",
            ),
            (
                "Requested token count exceeds the model's maximum context length of 131,072 tokens. You requested a total of 131,500 tokens",
                "prompt is too long: 131500 tokens > 131072 maximum",
            ),
            ("prompt is too long: 5 tokens > 4 maximum", "prompt is too long: 5 tokens > 4 maximum"),
            (
                "Your input exceeds the context window of this model.",
                "Your input exceeds the context window of this model.",
            ),
        ] {
            assert_eq!(message(&Fault::new(FaultClass::ContextTooLong, said)), told);
        }
        assert_eq!(message(&Fault::new(FaultClass::BadRequest, "maximum 500, got 600")), "maximum 500, got 600");
    }

    #[test]
    fn waits_are_whole_seconds_and_never_too_short() {
        let fault = Fault::new(FaultClass::RateLimited, "slow down").with_retry_after(Duration::from_millis(1200));
        let error = encode_fault(&fault, "r");
        assert_eq!(error.status, 429);
        assert!(error.headers.contains(&("retry-after", "2".to_owned())));
        assert!(!error.headers.iter().any(|(name, _)| *name == "x-should-retry"));
    }

    #[test]
    fn what_may_pass_names_a_time_and_what_will_not_says_so() {
        let headers = |fault: Fault| encode_fault(&fault, "r").headers.split_off(1);
        let soon = [("retry-after", "1".to_owned())];
        assert_eq!(headers(Fault::new(FaultClass::Overloaded, "x")), soon);
        assert_eq!(headers(Fault::new(FaultClass::LocalRate, "x")), soon);
        assert_eq!(headers(Fault::new(FaultClass::ServerError, "x")), []);
        let window = Fault::new(FaultClass::RateLimitedWindow, "x").with_retry_after(Duration::from_secs(4000));
        assert_eq!(headers(window), [("retry-after", "4000".to_owned()), ("x-should-retry", "false".to_owned())]);
    }

    #[test]
    fn the_providers_credential_is_not_the_clients() {
        let error = encode_fault(&Fault::new(FaultClass::AuthInvalid, "x"), "r");
        assert_eq!(error.status, 500);
        assert!(error.headers.contains(&("x-should-retry", "false".to_owned())));
        assert_eq!(encode_fault(&Fault::new(FaultClass::ClientAuth, "x"), "r").status, 401);
        assert_eq!(encode_fault(&Fault::new(FaultClass::NoUpstream, "x"), "r").status, 529);
    }
}
