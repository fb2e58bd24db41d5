//! Errors of AWS: the kind stands in a header, or in a stream beside the message.
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html> and the errors of each operation of the Bedrock
//! runtime, read 2026-11-29.

use polyport_types::{Fault, FaultClass};

use super::{Details, ProviderAnswer};

/// The header with the kind of an error: `ThrottlingException`, perhaps with an address behind a colon.
pub(super) const KIND: &str = "x-amzn-errortype";

/// What each kind means. Of those that stand here the status says nothing more; the others are known by their status and words.
const KINDS: [(&[&str], FaultClass); 9] = [
    (&["ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"], FaultClass::RateLimited),
    (&["ServiceQuotaExceededException"], FaultClass::RateLimitedWindow),
    (&["ModelNotReadyException"], FaultClass::CapacityModel),
    (&["ServiceUnavailableException", "ServiceUnavailable"], FaultClass::Overloaded),
    (
        &["InternalServerException", "InternalFailure", "ModelErrorException", "ModelStreamErrorException"],
        FaultClass::ServerError,
    ),
    (&["ModelTimeoutException"], FaultClass::Timeout),
    (&["ResourceNotFoundException"], FaultClass::ModelNotFound),
    (
        &[
            "ExpiredTokenException",
            "ExpiredToken",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "RequestTimeTooSkewed",
            "RequestExpired",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorizedException",
        ],
        FaultClass::AuthInvalid,
    ),
    (&["OptInRequired"], FaultClass::AccountBroken),
];

/// What the words of an error mean where its kind says little.
const WORDS: [(&[&str], FaultClass); 3] = [
    (
        &[
            "model identifier is invalid",
            "on-demand throughput isn",
            "model version has reached the end of its life",
            "model is not supported in this region",
        ],
        FaultClass::ModelNotFound,
    ),
    (&["input is too long", "input length and", "too many input tokens"], FaultClass::ContextTooLong),
    (
        &["make sure your api key is valid", "invalid api key", "bearer token has expired", "security token"],
        FaultClass::AuthInvalid,
    ),
];

/// What to look at, by kind and words.
const REMEDIES: [(&[&str], &str); 4] = [
    (
        &["requesttimetooskewed", "requestexpired", "signature expired", "signature not yet current"],
        "the clock of this machine is wrong",
    ),
    (
        &["expiredtoken", "token has expired", "security token included in the request is expired"],
        "the session token of the key has expired: set a new `session_token`",
    ),
    (
        &["invalidsignature", "signaturedoesnotmatch", "signature we calculated"],
        "the secret access key is wrong, the region is another one, or the clock of this machine is wrong",
    ),
    (
        &["unrecognizedclient", "invalidclienttokenid", "security token included in the request is invalid"],
        "there is no such `access_key_id`, or its `session_token` is missing or belongs to another key",
    ),
];

/// Whether an answer is AWS's.
pub(super) fn kind_of(answer: &ProviderAnswer<'_>) -> Option<String> {
    let kind = (answer.header)(KIND)?;
    let kind = kind.split(':').next().unwrap_or_default().trim();
    (!kind.is_empty()).then(|| kind.to_owned())
}

/// What an error of this kind says that came inside a stream.
#[must_use]
pub fn classify_aws(kind: &str, body: &str) -> Fault {
    let mut fault = fault(kind, None, Details::read(body), body);
    fault.upstream_status = None;
    fault
}

/// The error of an answer with this kind.
pub(super) fn fault(kind: &str, status: Option<u16>, mut details: Details, body: &str) -> Fault {
    // The address of a namespace may stand before it (`com.amazon.coral.service#…`).
    let kind = kind.rsplit('#').next().unwrap_or(kind);
    details.code = Some(kind.to_owned());
    let words = details.message.to_lowercase();
    let has = |needles: &[&str]| needles.iter().any(|needle| words.contains(needle));
    let by_kind = KINDS.iter().find(|(kinds, _)| kinds.iter().any(|known| known.eq_ignore_ascii_case(kind)));
    let by_words = || WORDS.iter().find(|(needles, _)| has(needles));
    let class = by_kind.or_else(by_words).map(|(_, class)| *class);
    // A stream has no status of its own for its errors.
    let status = status.or_else(|| kind.eq_ignore_ascii_case("ValidationException").then_some(400));
    let status = status.or_else(|| kind.eq_ignore_ascii_case("AccessDeniedException").then_some(403));
    let mut fault = details.fault(status, body);
    fault.class = match class {
        // Limits of the day heal tomorrow.
        Some(FaultClass::RateLimited) if has(&["per day"]) => FaultClass::RateLimitedWindow,
        Some(class) => class,
        None => fault.class,
    };
    if fault.class == FaultClass::AuthInvalid {
        let lower = kind.to_lowercase();
        let remedy = REMEDIES
            .iter()
            .find(|(needles, _)| needles.iter().any(|needle| lower.contains(needle) || words.contains(needle)));
        if let Some((_, remedy)) = remedy {
            fault.message.truncate(fault.message.trim_end_matches('.').len());
            fault.message.push_str("; ");
            fault.message.push_str(remedy);
        }
    }
    fault
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::classify::classify;

    fn answered(status: u16, kind: &str, message: &str) -> Fault {
        let header = |name: &str| (name == KIND).then(|| kind.to_owned());
        let body = Bytes::from(serde_json::json!({ "message": message }).to_string());
        classify(&ProviderAnswer { status, header: &header, body, now: 0 })
    }

    #[test]
    fn every_kind_has_its_class() {
        use FaultClass as C;
        for (status, kind, message, class) in [
            (429, "ThrottlingException", "Too many requests, please wait before trying again.", C::RateLimited),
            (429, "ThrottlingException:http://internal.amazon.com/x", "Too many tokens", C::RateLimited),
            (429, "ThrottlingException", "Too many tokens per day, please wait.", C::RateLimitedWindow),
            (400, "ServiceQuotaExceededException", "quota", C::RateLimitedWindow),
            (429, "ModelNotReadyException", "Model is not ready for inference.", C::CapacityModel),
            (503, "ServiceUnavailableException", "Bedrock is unable to process your request.", C::Overloaded),
            (500, "InternalServerException", "The system encountered an unexpected error.", C::ServerError),
            (424, "ModelErrorException", "failed", C::ServerError),
            (408, "ModelTimeoutException", "timed out", C::Timeout),
            (404, "ResourceNotFoundException", "Could not resolve the foundation model", C::ModelNotFound),
            (400, "ValidationException", "The provided model identifier is invalid.", C::ModelNotFound),
            (400, "ValidationException", "Input is too long for requested model.", C::ContextTooLong),
            (400, "ValidationException", "The text field in the ContentBlock object is blank.", C::BadRequest),
            (403, "AccessDeniedException", "You don't have access to the model.", C::PermissionDenied),
            (
                403,
                "AccessDeniedException",
                "Authentication failed: Please make sure your API Key is valid.",
                C::AuthInvalid,
            ),
            (
                403,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
                C::AuthInvalid,
            ),
            (403, "ExpiredTokenException", "The security token included in the request is expired", C::AuthInvalid),
            (403, "InvalidSignatureException", "The request signature we calculated does not match", C::AuthInvalid),
        ] {
            assert_eq!(answered(status, kind, message).class, class, "{kind}: {message}");
        }
    }

    #[test]
    fn a_refused_credential_says_what_to_look_at() {
        for (kind, message, word) in [
            ("ExpiredTokenException", "The security token included in the request is expired", "`session_token`"),
            ("InvalidSignatureException", "The request signature we calculated does not match", "secret access key"),
            ("InvalidSignatureException", "Signature expired: 20261129T0 is now earlier than 20261129T1", "clock"),
            ("RequestTimeTooSkewed", "The difference is too large.", "clock"),
            (
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
                "`access_key_id`",
            ),
        ] {
            let fault = answered(403, kind, message);
            assert!(fault.message.contains(word), "{}", fault.message);
            assert_eq!(fault.code.as_deref(), Some(kind));
        }
    }

    #[test]
    fn exceptions_in_a_stream_are_classed_without_status() {
        use FaultClass as C;
        for (kind, class) in [
            ("throttlingException", C::RateLimited),
            ("modelStreamErrorException", C::ServerError),
            ("internalServerException", C::ServerError),
            ("serviceUnavailableException", C::Overloaded),
            ("validationException", C::BadRequest),
        ] {
            let fault = classify_aws(kind, r#"{"message":"words"}"#);
            assert_eq!((fault.class, &*fault.message), (class, "words"), "{kind}");
        }
    }
}
