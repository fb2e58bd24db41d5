//! How a fault looks in the `OpenAI` error form, which the Chat and the Responses protocol share.

use std::borrow::Cow;
use std::time::Duration;

use polyport_types::{Fault, FaultClass};

use crate::ErrorBody;
use crate::json::JsonWriter;

/// Told to clients that would otherwise repeat at once when nobody knows a better time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Longest wait that official clients accept; beyond it they are told not to try at all.
const PATIENCE: Duration = Duration::from_secs(120);

/// Codes of refused content that clients know; a provider's own choice among them is kept.
const POLICY_CODES: [&str; 4] = ["content_policy_violation", "cyber_policy", "invalid_prompt", "content_filter"];

/// HTTP status, `type` and `code` of a fault.
#[must_use]
pub(crate) fn fault_fields(fault: &Fault) -> (u16, &'static str, Option<&str>) {
    const REQUEST: &str = "invalid_request_error";
    const SERVER: &str = "server_error";
    const UNAVAILABLE: &str = "service_unavailable_error";
    // Providers without a code for it give the kind of the error once more: that is none.
    let own = fault.code.as_deref().filter(|code| *code != REQUEST);
    match fault.class {
        FaultClass::BadRequest => (400, REQUEST, own),
        FaultClass::ContextTooLong => (400, REQUEST, Some("context_length_exceeded")),
        FaultClass::TooLarge => (413, REQUEST, Some("request_too_large")),
        FaultClass::PolicyRefused => {
            (400, REQUEST, own.filter(|code| POLICY_CODES.contains(code)).or(Some("content_policy_violation")))
        }
        FaultClass::ModelNotFound => (404, REQUEST, Some("model_not_found")),
        FaultClass::NotFound => (404, REQUEST, own),
        FaultClass::MethodNotAllowed => (405, REQUEST, Some("method_not_supported")),
        FaultClass::UnsupportedMediaType => (415, REQUEST, Some("unsupported_content_type")),
        FaultClass::ClientAuth => (401, REQUEST, Some("invalid_api_key")),
        // Not 401: the client would send its user to the wrong key.
        FaultClass::AuthInvalid => (502, SERVER, Some("upstream_auth")),
        FaultClass::PermissionDenied => (403, REQUEST, Some("model_not_allowed")),
        FaultClass::AccountBroken => (503, UNAVAILABLE, None),
        FaultClass::LocalQuota => (429, "insufficient_quota", Some("insufficient_quota")),
        FaultClass::RateLimited | FaultClass::RateLimitedWindow | FaultClass::LocalRate => {
            (429, "rate_limit_error", Some("rate_limit_exceeded"))
        }
        FaultClass::Overloaded | FaultClass::CapacityModel | FaultClass::NoUpstream => {
            (503, UNAVAILABLE, Some("server_is_overloaded"))
        }
        FaultClass::ServerError | FaultClass::Internal => (500, SERVER, None),
        FaultClass::UpstreamProtocol | FaultClass::Transport | FaultClass::Untrusted => (502, SERVER, None),
        FaultClass::Timeout => (504, SERVER, Some("timeout")),
        FaultClass::ToolUseFailed => (400, REQUEST, Some("tool_use_failed")),
        FaultClass::ClientGone => (499, REQUEST, Some("client_closed_request")),
        FaultClass::RequestTimeout => (408, REQUEST, Some("request_timeout")),
    }
}

/// The message. Rate limits say the wait in the words that Codex reads (`try again in 3.5s`).
#[must_use]
pub(crate) fn message(fault: &Fault) -> Cow<'_, str> {
    match (fault_fields(fault).2, fault.retry_after) {
        (Some("rate_limit_exceeded"), Some(after)) if !fault.message.contains("try again in") => {
            let end = if fault.message.trim_end().ends_with(['.', '!', '?']) { "" } else { "." };
            Cow::Owned(format!("{}{end} Please try again in {}s.", fault.message.trim_end(), ceil_secs(after)))
        }
        _ => Cow::Borrowed(&fault.message),
    }
}

/// The members of the `error` object: `message`, `type`, `param`, `code`.
pub(crate) fn error_members(w: &mut JsonWriter<'_>, fault: &Fault) {
    let (_, kind, code) = fault_fields(fault);
    w.str("message", &message(fault));
    w.str("type", kind);
    match &fault.param {
        Some(param) => w.str("param", param),
        None => w.null("param"),
    }
    match code {
        Some(code) => w.str("code", code),
        None => w.null("code"),
    }
}

/// `{"error":{…}}`, the body of an unsuccessful answer and the last event of a failed Chat stream.
#[must_use]
pub(crate) fn body(fault: &Fault) -> Vec<u8> {
    let mut out = Vec::with_capacity(fault.message.len() + 128);
    JsonWriter::new(&mut out).object(|w| w.object_field("error", |w| error_members(w, fault)));
    out
}

/// Status, headers and body of an unsuccessful answer.
#[must_use]
pub(crate) fn error_body(fault: &Fault) -> ErrorBody {
    ErrorBody { status: fault_fields(fault).0, headers: headers(fault), body: body(fault) }
}

/// `retry-after`, `retry-after-ms` and `x-should-retry`. Official clients repeat 408, 409, 429 and everything from 500 by themselves.
fn headers(fault: &Fault) -> Vec<(&'static str, String)> {
    let status = fault_fields(fault).0;
    let mut headers = Vec::new();
    let hopeless = matches!(
        fault.class,
        FaultClass::AuthInvalid | FaultClass::AccountBroken | FaultClass::LocalQuota | FaultClass::RateLimitedWindow
    ) || fault.retry_after.is_some_and(|after| after > PATIENCE);
    let after = match fault.retry_after {
        None if matches!(status, 429 | 503) && !hopeless => Some(DEFAULT_RETRY_AFTER),
        known => known,
    };
    if let Some(after) = after {
        headers.push(("retry-after", ceil_secs(after).to_string()));
        headers.push(("retry-after-ms", after.as_millis().max(1).to_string()));
    }
    if hopeless && matches!(status, 408 | 409 | 429 | 500..) {
        headers.push(("x-should-retry", "false".to_owned()));
    }
    headers
}

fn ceil_secs(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(error: &'a ErrorBody, name: &str) -> Option<&'a str> {
        error.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_bad_request_names_the_field_and_keeps_the_provider_code() {
        let fault = Fault {
            code: Some("unsupported_value".into()),
            ..Fault::bad_request("messages[2].role", "`role` must be one of …")
        };
        let error = error_body(&fault);
        assert_eq!(error.status, 400);
        let body: serde_json::Value = serde_json::from_slice(&error.body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"error": {"message": "`role` must be one of …", "type": "invalid_request_error",
                "param": "messages[2].role", "code": "unsupported_value"}})
        );
        assert!(error.headers.is_empty());
    }

    #[test]
    fn every_class_has_its_status_type_and_code() {
        use FaultClass as C;
        const REQUEST: &str = "invalid_request_error";
        const UNAVAILABLE: &str = "service_unavailable_error";
        for (class, status, kind, code) in [
            (C::BadRequest, 400, REQUEST, None),
            (C::ContextTooLong, 400, REQUEST, Some("context_length_exceeded")),
            (C::TooLarge, 413, REQUEST, Some("request_too_large")),
            (C::PolicyRefused, 400, REQUEST, Some("content_policy_violation")),
            (C::ModelNotFound, 404, REQUEST, Some("model_not_found")),
            (C::NotFound, 404, REQUEST, None),
            (C::MethodNotAllowed, 405, REQUEST, Some("method_not_supported")),
            (C::UnsupportedMediaType, 415, REQUEST, Some("unsupported_content_type")),
            (C::ClientAuth, 401, REQUEST, Some("invalid_api_key")),
            (C::AuthInvalid, 502, "server_error", Some("upstream_auth")),
            (C::PermissionDenied, 403, REQUEST, Some("model_not_allowed")),
            (C::AccountBroken, 503, UNAVAILABLE, None),
            (C::LocalQuota, 429, "insufficient_quota", Some("insufficient_quota")),
            (C::LocalRate, 429, "rate_limit_error", Some("rate_limit_exceeded")),
            (C::RateLimited, 429, "rate_limit_error", Some("rate_limit_exceeded")),
            (C::RateLimitedWindow, 429, "rate_limit_error", Some("rate_limit_exceeded")),
            (C::Overloaded, 503, UNAVAILABLE, Some("server_is_overloaded")),
            (C::CapacityModel, 503, UNAVAILABLE, Some("server_is_overloaded")),
            (C::NoUpstream, 503, UNAVAILABLE, Some("server_is_overloaded")),
            (C::ServerError, 500, "server_error", None),
            (C::Internal, 500, "server_error", None),
            (C::UpstreamProtocol, 502, "server_error", None),
            (C::Transport, 502, "server_error", None),
            (C::Timeout, 504, "server_error", Some("timeout")),
            (C::ToolUseFailed, 400, REQUEST, Some("tool_use_failed")),
        ] {
            let error = error_body(&Fault::new(class, "why"));
            let body: serde_json::Value = serde_json::from_slice(&error.body).unwrap();
            let expected = serde_json::json!({"error": {"message": "why", "type": kind, "param": null, "code": code}});
            assert_eq!((error.status, body), (status, expected), "{class:?}");
        }
    }

    #[test]
    fn a_refused_provider_key_is_no_client_401() {
        let error = error_body(&Fault::new(FaultClass::AuthInvalid, "the provider refused the credential"));
        assert_eq!(error.status, 502);
        assert_eq!(header(&error, "x-should-retry"), Some("false"));
    }

    #[test]
    fn waits_are_rounded_up_and_spoken() {
        let fault = Fault::new(FaultClass::RateLimited, "slow down").with_retry_after(Duration::from_millis(3200));
        let error = error_body(&fault);
        assert_eq!(error.status, 429);
        assert_eq!(header(&error, "retry-after"), Some("4"));
        assert_eq!(header(&error, "retry-after-ms"), Some("3200"));
        assert_eq!(header(&error, "x-should-retry"), None);
        assert_eq!(message(&fault), "slow down. Please try again in 4s.");
    }

    #[test]
    fn every_429_and_503_says_when_or_never() {
        for class in [
            FaultClass::RateLimited,
            FaultClass::RateLimitedWindow,
            FaultClass::LocalRate,
            FaultClass::LocalQuota,
            FaultClass::Overloaded,
            FaultClass::CapacityModel,
            FaultClass::NoUpstream,
            FaultClass::AccountBroken,
        ] {
            let error = error_body(&Fault::new(class, "x"));
            let never = header(&error, "x-should-retry") == Some("false");
            assert!(never != header(&error, "retry-after").is_some(), "{class:?}");
        }
        let far = Fault::new(FaultClass::NoUpstream, "x").with_retry_after(Duration::from_secs(3600));
        assert_eq!(header(&error_body(&far), "x-should-retry"), Some("false"));
        assert_eq!(header(&error_body(&far), "retry-after"), Some("3600"));
    }
}
