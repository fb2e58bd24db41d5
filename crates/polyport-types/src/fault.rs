//! Errors as clients see them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Text;

/// What kind of failure it is; decides status, retry and what the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// The request is wrong.
    BadRequest,
    /// The prompt does not fit the model.
    ContextTooLong,
    /// The body exceeds a size limit.
    TooLarge,
    /// A content policy refused the request.
    PolicyRefused,
    /// The model does not exist, here or at the provider.
    ModelNotFound,
    /// No such route or stored object.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body's content type or encoding is not understood.
    UnsupportedMediaType,
    /// The client's own key is missing or wrong.
    ClientAuth,
    /// The provider refused Polyport's credential.
    AuthInvalid,
    /// Access to the model is not allowed.
    PermissionDenied,
    /// The provider account cannot be used until somebody acts: billing, verification, quota without reset.
    AccountBroken,
    /// Too many requests; heals within minutes.
    RateLimited,
    /// A plan window (hours, day, week) is used up.
    RateLimitedWindow,
    /// The model has no capacity for anybody.
    CapacityModel,
    /// The provider is overloaded.
    Overloaded,
    /// The provider failed.
    ServerError,
    /// Connect, first byte or idle limit passed.
    Timeout,
    /// The connection failed before an answer.
    Transport,
    /// The provider's certificate is not to be trusted; nothing was sent.
    Untrusted,
    /// The provider's bytes make no sense or stop in the middle.
    UpstreamProtocol,
    /// The model produced a tool call that cannot be read.
    ToolUseFailed,
    /// The client went away.
    ClientGone,
    /// The client did not send its request in time.
    RequestTimeout,
    /// A quota or budget of this gateway is used up.
    LocalQuota,
    /// A rate limit of this gateway.
    LocalRate,
    /// No provider can be tried right now.
    NoUpstream,
    /// A defect of Polyport.
    Internal,
}

impl FaultClass {
    /// Lower-case name for logs and the `x-polyport-error` header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::ContextTooLong => "context_too_long",
            Self::TooLarge => "too_large",
            Self::PolicyRefused => "policy_refused",
            Self::ModelNotFound => "model_not_found",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::ClientAuth => "client_auth",
            Self::AuthInvalid => "auth_invalid",
            Self::PermissionDenied => "permission_denied",
            Self::AccountBroken => "account_broken",
            Self::RateLimited => "rate_limited",
            Self::RateLimitedWindow => "rate_limited_window",
            Self::CapacityModel => "capacity_model",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Untrusted => "untrusted",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::ToolUseFailed => "tool_use_failed",
            Self::ClientGone => "client_gone",
            Self::RequestTimeout => "request_timeout",
            Self::LocalQuota => "local_quota",
            Self::LocalRate => "local_rate",
            Self::NoUpstream => "no_upstream",
            Self::Internal => "internal",
        }
    }
}

/// An error as a client sees it, before a protocol writes it down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind.
    pub class: FaultClass,
    /// What was wrong and how to mend it; holds no secret.
    pub message: String,
    /// Path of the wrong field in the client's request, e.g. `messages[2].role`.
    pub param: Option<String>,
    /// The provider's own code, if it gave one.
    pub code: Option<Text>,
    /// The provider's HTTP status, if there was one.
    pub upstream_status: Option<u16>,
    /// When a repetition makes sense.
    pub retry_after: Option<Duration>,
    /// A limit that was reached is one of this model, not of the whole credential.
    #[serde(default)]
    pub of_model: bool,
    /// Whether the error comes from the provider (then its text is kept) or from Polyport itself.
    pub from_upstream: bool,
    /// Nothing of the request reached a provider: it cannot have used anything.
    #[serde(default)]
    pub unsent: bool,
}

impl Fault {
    /// A fault of Polyport's own.
    #[must_use]
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            param: None,
            code: None,
            upstream_status: None,
            retry_after: None,
            of_model: false,
            from_upstream: false,
            unsent: false,
        }
    }

    /// A wrong request, naming the wrong path.
    #[must_use]
    pub fn bad_request(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultClass::BadRequest, message).with_param(param)
    }

    /// Names the wrong field.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Says when a repetition makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.as_str(), self.message)
    }
}

impl std::error::Error for Fault {}
