//! What kind of failure a provider's answer is.
//!
//! Decided by what the error means, never by its status alone: a 400 can be a broken account, a 429 an empty one.
//! The shapes of error bodies are those of `OpenAI`, Anthropic and Google and of the servers that imitate them.

mod aws;

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use polyport_types::{Fault, FaultClass, Text};
use serde_json::Value;

pub use aws::classify_aws;

/// Longest message handed on to a client, in characters.
const MAX_MESSAGE: usize = 2000;

/// Waits beyond this without a named window are taken for mistakes.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Up to here a rate limit is short; beyond it is a plan window.
const SHORT: Duration = Duration::from_secs(300);

/// How long a limit by the minute holds at most.
const MINUTE: Duration = Duration::from_secs(60);

/// Errors inside errors are unwrapped to this depth: Google's own client knows ten.
const NESTED: u8 = 10;

/// An unsuccessful answer of a provider.
pub struct ProviderAnswer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Reads a response header by its lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// The body, possibly cut to a limit.
    pub body: Bytes,
    /// Now, Unix seconds: `Retry-After` may be a date.
    pub now: i64,
}

/// Reads an unsuccessful answer of any shape and says what it means.
#[must_use]
pub fn classify(answer: &ProviderAnswer<'_>) -> Fault {
    let body = String::from_utf8_lossy(&answer.body);
    let details = Details::read(&body);
    let reset_at = details.reset_at;
    let of_day = details.is_of_day(Some(answer.status)).then(|| until_next_day(answer.now));
    let of_minute = details.is_of_minute().then_some(MINUTE);
    let mut fault = match aws::kind_of(answer) {
        Some(kind) => aws::fault(&kind, Some(answer.status), details, &body),
        None => details.fault(Some(answer.status), &body),
    };
    // The longest hint that applies counts: asking earlier only fails again.
    let named = reset_at.and_then(|at| until(at, answer.now));
    let hints = [fault.retry_after, retry_after(answer.header, answer.now), named, of_day];
    fault.retry_after = hints.into_iter().flatten().max().or(of_minute);
    fault.of_model |= rejects_model_only(answer.header);
    if (answer.header)("x-warp-error-code").as_deref() == Some("OUT_OF_CREDITS") {
        fault.class = FaultClass::RateLimitedWindow;
    }
    if fault.class == FaultClass::RateLimited && fault.retry_after.is_some_and(|after| after > SHORT) {
        fault.class = FaultClass::RateLimitedWindow;
    }
    fault
}

/// Whether of the windows of an Anthropic plan only the one for single models is used up.
fn rejects_model_only(header: &dyn Fn(&str) -> Option<String>) -> bool {
    let rejected = |window: &str| {
        header(&format!("anthropic-ratelimit-unified-{window}-status")).is_some_and(|status| status == "rejected")
    };
    rejected("7d_oi") && !rejected("5h") && !rejected("7d")
}

/// The same for an error found inside a successful answer or a stream: `status` is what the HTTP layer said, if that means
/// anything.
#[must_use]
pub fn classify_body(status: Option<u16>, body: &str) -> Fault {
    Details::read(body).fault(status, body)
}

/// Reads JSON; errors that Google sends inside streams may hold commas too many.
fn lenient(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&without_doubled_commas(text)?).ok())
}

/// The text without commas that follow a comma, strings left as they are; `None` if there are none.
fn without_doubled_commas(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped, mut after_comma) = (false, false, false);
    for c in text.chars() {
        let doubled = !in_string && c == ',' && after_comma;
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            in_string = c == '"';
            after_comma = c == ',' || after_comma && c.is_whitespace();
        }
        if !doubled {
            out.push(c);
        }
    }
    (out.len() != text.len()).then_some(out)
}

/// How long until Google's quotas of a day begin anew: at midnight of its home, an hour late in summer.
fn until_next_day(now: i64) -> Duration {
    const MIDNIGHT: i64 = 8 * 3600;
    let passed = now.saturating_sub(MIDNIGHT).rem_euclid(86_400);
    Duration::from_secs(u64::try_from(86_400 - passed).unwrap_or_default())
}

/// What an error body says, whatever its shape.
#[derive(Debug, Default)]
struct Details {
    message: String,
    /// `type` (`OpenAI`, Anthropic) or `status` (Google).
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    /// A numeric code that is an HTTP status.
    status: Option<u16>,
    /// Google `ErrorInfo.reason`.
    reason: Option<String>,
    /// Google `QuotaFailure` ids.
    quota_ids: Vec<String>,
    retry_after: Option<Duration>,
    /// The error says which model's limit it is.
    names_model: bool,
    /// When a limit starts anew, Unix seconds.
    reset_at: Option<i64>,
    /// Where the owner of an account can mend what is wrong with it.
    link: Option<String>,
    /// `{"code": "a sentence", "error": "text"}` (xAI): what nobody else would say of a failure of its own.
    code_in_words: bool,
}

impl Details {
    fn read(body: &str) -> Self {
        let mut details = Self::default();
        if let Some(value) = lenient(body) {
            details.value(&value, 0);
        }
        if details.retry_after.is_none() {
            details.retry_after = wait_in_text(&details.message);
        }
        details
    }

    fn fault(self, status: Option<u16>, body: &str) -> Fault {
        let status = status.or(self.status).or_else(|| self.status_by_word());
        let status = status.or(self.code_in_words.then_some(400));
        let class = self.class(status);
        let mut message = mask(&self.message_or_default(status, body));
        if let Some(link) = self.link.as_deref().filter(|_| class == FaultClass::AccountBroken) {
            message.push_str("; the owner of the account can mend it at ");
            message.push_str(&mask(link));
        }
        Fault {
            class,
            message,
            param: self.param,
            code: self.code.or(self.kind).map(Text::from),
            upstream_status: status,
            retry_after: self.retry_after,
            of_model: self.names_model
                || !self.quota_ids.is_empty() && self.quota_ids.iter().all(|id| id.contains("PerModel")),
            from_upstream: true,
            unsent: false,
        }
    }

    /// Whether a quota of the whole day is used up.
    fn is_of_day(&self, status: Option<u16>) -> bool {
        status == Some(429) && self.quota_ids.iter().any(|id| id.contains("PerDay") || id.contains("Daily"))
    }

    /// Whether it is a quota by the minute.
    fn is_of_minute(&self) -> bool {
        !self.quota_ids.is_empty() && self.quota_ids.iter().all(|id| id.contains("PerMinute"))
    }

    /// Whether the quota is nothing at all, as Google says of models that a plan does not contain.
    fn has_no_quota(&self, status: Option<u16>) -> bool {
        let more = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        matches!(status, Some(429 | 499 | 503)) && self.message.split("limit: 0").skip(1).any(more)
    }

    /// Reads an error value; `depth` bounds the unwrapping of errors inside errors.
    fn value(&mut self, value: &Value, depth: u8) {
        match value {
            Value::Array(items) => {
                if let Some(first) = items.first() {
                    self.value(first, depth);
                }
            }
            Value::Object(object) => {
                let inner = ["error", "response"].iter().find_map(|name| object.get(*name));
                match inner {
                    Some(Value::String(text)) => {
                        self.code_in_words =
                            object.get("code").and_then(Value::as_str).is_some_and(|code| code.contains(' '));
                        self.message(text, depth);
                    }
                    Some(inner @ (Value::Object(_) | Value::Array(_))) => self.value(inner, depth),
                    _ => {}
                }
                self.members(object, depth);
            }
            Value::String(text) => self.message(text, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn members(&mut self, object: &serde_json::Map<String, Value>, depth: u8) {
        for name in ["message", "Message", "detail", "details", "error_description", "msg"] {
            match object.get(name) {
                Some(Value::String(text)) if self.message.is_empty() => self.message(text, depth),
                // FastAPI: a list of {loc, msg, type}; the last member of `loc` names the field.
                Some(Value::Array(items)) if name == "detail" => self.fast_api(items),
                Some(Value::Object(inner)) if name == "message" => {
                    if let Some(Value::Array(items)) = inner.get("detail") {
                        self.fast_api(items);
                    } else {
                        self.members(inner, depth);
                    }
                }
                Some(Value::Array(items)) if name == "details" => self.google(items),
                Some(Value::Object(inner)) if name == "details" => {
                    if let Some(Value::String(code)) = inner.get("error_code") {
                        self.code = Some(code.clone());
                    }
                }
                _ => {}
            }
        }
        for name in ["type", "status"] {
            if self.kind.is_none()
                && let Some(Value::String(word)) = object.get(name)
                && !matches!(word.as_str(), "error" | "failed" | "response.failed" | "incomplete")
            {
                self.kind = Some(word.clone());
            }
        }
        for name in ["code", "status_code"] {
            match object.get(name) {
                Some(Value::Number(number)) if self.status.is_none() => {
                    self.status =
                        number.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| (400..=599).contains(n));
                }
                Some(Value::String(word)) if self.code.is_none() && !word.is_empty() => match word.parse::<u16>() {
                    Ok(number) if (400..=599).contains(&number) => self.status = self.status.or(Some(number)),
                    _ => self.code = Some(word.clone()),
                },
                _ => {}
            }
        }
        if self.param.is_none()
            && let Some(Value::String(param)) = object.get("param")
        {
            self.param = Some(param.clone());
        }
        if let Some(Value::Object(metadata)) = object.get("metadata") {
            self.open_router(metadata, depth);
        }
        if self.retry_after.is_none()
            && let Some(seconds) = object.get("resets_in_seconds").and_then(Value::as_u64)
        {
            // Windows of plans last up to a week.
            self.retry_after = Some(Duration::from_secs(seconds)).filter(|wait| !wait.is_zero() && *wait <= 8 * DAY);
        }
        self.reset_at = self.reset_at.or_else(|| object.get("resets_at").and_then(Value::as_i64));
    }

    /// A message may itself be the JSON of another error.
    fn message(&mut self, text: &str, depth: u8) {
        if depth < NESTED
            && text.trim_start().starts_with(['{', '['])
            && let Some(inner @ (Value::Object(_) | Value::Array(_))) = lenient(text)
        {
            self.value(&inner, depth + 1);
        }
        if self.message.is_empty() {
            text.clone_into(&mut self.message);
        }
    }

    fn fast_api(&mut self, items: &[Value]) {
        let Some(first) = items.first() else { return };
        if let Some(Value::Array(loc)) = first.get("loc")
            && let Some(Value::String(field)) = loc.last()
        {
            self.param = Some(field.clone());
        }
        if let Some(Value::String(text)) = first.get("msg") {
            self.message = match &self.param {
                Some(field) => format!("{field}: {text}"),
                None => text.clone(),
            };
        }
    }

    fn google(&mut self, items: &[Value]) {
        for item in items {
            let kind = item.get("@type").and_then(Value::as_str).unwrap_or_default();
            if kind.ends_with("RetryInfo") {
                if let Some(delay) = item.get("retryDelay").and_then(Value::as_str).and_then(go_duration) {
                    self.retry_after = Some(delay);
                }
            } else if kind.ends_with("ErrorInfo") {
                self.reason = item.get("reason").and_then(Value::as_str).map(ToOwned::to_owned);
                self.error_info(item);
            } else if kind.ends_with("QuotaFailure")
                && let Some(violations) = item.get("violations").and_then(Value::as_array)
            {
                let ids = violations.iter().filter_map(|v| v.get("quotaId").and_then(Value::as_str));
                self.quota_ids.extend(ids.map(ToOwned::to_owned));
            } else if kind.ends_with("Help") {
                let url = item.pointer("/links/0/url").and_then(Value::as_str);
                self.link = url.map(ToOwned::to_owned).or(self.link.take());
            } else if kind.ends_with("BadRequest") {
                let field = item.pointer("/fieldViolations/0/field").and_then(Value::as_str);
                self.param = field.filter(|field| !field.is_empty()).map(ToOwned::to_owned);
            }
        }
    }

    /// What Code Assist tells beside the reason: when the quota starts anew, and where an account's owner can mend it.
    fn error_info(&mut self, item: &Value) {
        let metadata = |name: &str| item.get("metadata")?.get(name)?.as_str();
        if self.retry_after.is_none() {
            self.retry_after = metadata("quotaResetDelay").and_then(go_duration);
        }
        if let Some(limit) = metadata("quota_limit") {
            self.quota_ids.push(limit.to_owned());
        }
        self.names_model |= metadata("model").is_some();
        let at = metadata("quotaResetTimeStamp").and_then(|text| text.parse::<Timestamp>().ok());
        self.reset_at = self.reset_at.or(at.map(Timestamp::as_second));
        self.link = self.link.take().or(metadata("validation_link").map(ToOwned::to_owned));
    }

    fn open_router(&mut self, metadata: &serde_json::Map<String, Value>, depth: u8) {
        let reset = metadata.get("headers").and_then(|headers| headers.get("X-RateLimit-Reset"));
        let millis = reset.and_then(|reset| reset.as_i64().or_else(|| reset.as_str()?.trim().parse().ok()));
        self.reset_at = self.reset_at.or_else(|| millis.map(|millis| millis / 1000));
        if let Some(Value::String(raw)) = metadata.get("raw") {
            let outer = std::mem::take(&mut self.message);
            self.message(raw, depth);
            if self.message.is_empty() {
                self.message = outer;
            } else if !outer.is_empty() && !self.message.contains(&outer) {
                self.message = format!("{outer}: {}", self.message);
            }
        }
    }

    fn has_code(&self, words: &[&str]) -> bool {
        [&self.code, &self.kind, &self.reason]
            .into_iter()
            .flatten()
            .any(|have| words.iter().any(|word| have.eq_ignore_ascii_case(word)))
    }

    /// Status for an error that came without one, by its words.
    fn status_by_word(&self) -> Option<u16> {
        let words = format!(
            "{} {}",
            self.kind.as_deref().unwrap_or_default().to_lowercase(),
            self.code.as_deref().unwrap_or_default().to_lowercase()
        );
        const TABLE: [(&[&str], u16); 8] = [
            (&["rate_limit", "insufficient_quota", "too_many_requests", "resource_exhausted"], 429),
            (&["authentication", "invalid_api_key", "unauthenticated"], 401),
            (&["permission"], 403),
            (&["not_found"], 404),
            (&["context_length_exceeded", "invalid_request", "invalid_argument", "invalid_prompt"], 400),
            (&["request_too_large"], 413),
            (&["overloaded", "server_error", "unavailable", "currently unavailable"], 503),
            (&["api_error", "internal"], 500),
        ];
        TABLE.iter().find(|(needles, _)| needles.iter().any(|needle| words.contains(needle))).map(|(_, status)| *status)
    }

    fn class(&self, status: Option<u16>) -> FaultClass {
        self.class_by_code(status).or_else(|| self.class_by_message(status)).unwrap_or_else(|| class_by_status(status))
    }

    fn class_by_code(&self, status: Option<u16>) -> Option<FaultClass> {
        const TABLE: [(&[&str], FaultClass); 12] = [
            (&["context_length_exceeded", "model_context_window_exceeded"], FaultClass::ContextTooLong),
            (
                &["request_too_large", "request_body_too_large_after_decoding", "string_above_max_length_body"],
                FaultClass::TooLarge,
            ),
            (
                &[
                    "content_policy_violation",
                    "content_filter",
                    "cyber_policy",
                    "bio_policy",
                    "invalid_prompt",
                    "image_content_policy_violation",
                ],
                FaultClass::PolicyRefused,
            ),
            (&["model_not_found", "not_found_error", "model_not_available"], FaultClass::ModelNotFound),
            (
                &["invalid_api_key", "authentication_error", "UNAUTHENTICATED", "API_KEY_INVALID", "API_KEY_EXPIRED"],
                FaultClass::AuthInvalid,
            ),
            (
                &[
                    "insufficient_quota",
                    "exceeded_current_quota_error",
                    "billing_error",
                    "billing_not_active",
                    "billing_hard_limit_reached",
                    "usage_not_included",
                    "organization_on_hold",
                    "enforced_spend_limit_reached",
                    "contract_spend_limit_reached",
                    "linked_organization_billing_unavailable",
                    "linked_organization_spend_limit_reached",
                    "VALIDATION_REQUIRED",
                    "INSUFFICIENT_G1_CREDITS_BALANCE",
                ],
                FaultClass::AccountBroken,
            ),
            (&["usage_limit_reached", "QUOTA_EXHAUSTED"], FaultClass::RateLimitedWindow),
            (&["MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED"], FaultClass::CapacityModel),
            (
                &["overloaded_error", "server_is_overloaded", "engine_overloaded", "slow_down_overloaded"],
                FaultClass::Overloaded,
            ),
            (&["tool_use_failed"], FaultClass::ToolUseFailed),
            (&["timeout_error", "DEADLINE_EXCEEDED"], FaultClass::Timeout),
            (&["permission_error", "PERMISSION_DENIED", "request_forbidden"], FaultClass::PermissionDenied),
        ];
        if self.has_no_quota(status) {
            // Waiting mends nothing, and the key is good for other models.
            return Some(FaultClass::PermissionDenied);
        }
        if self.is_of_day(status) {
            return Some(FaultClass::RateLimitedWindow);
        }
        TABLE.iter().find(|(codes, _)| self.has_code(codes)).map(|(_, class)| *class)
    }

    fn class_by_message(&self, status: Option<u16>) -> Option<FaultClass> {
        const TABLE: [(&[&str], FaultClass); 7] = [
            (
                &[
                    "prompt is too long",
                    "maximum context length",
                    "context window",
                    "exceeds the maximum number of tokens",
                    "input token count",
                    "context length exceeded",
                    "exceeds the context length",
                ],
                FaultClass::ContextTooLong,
            ),
            (
                &[
                    "credit balance is too low",
                    "specified api usage limits",
                    "insufficient credits",
                    "insufficient balance",
                    "organization has been disabled",
                    // Not the word alone: it stands in names of tools and members, and Google says it of every quota.
                    "enable billing",
                    "billing to be enabled",
                    "check your billing",
                    "billing account",
                    "billing hard limit",
                ],
                FaultClass::AccountBroken,
            ),
            (&["location is not supported"], FaultClass::PermissionDenied),
            (&["api key not valid", "incorrect api key", "oauth token has expired"], FaultClass::AuthInvalid),
            (&["quota exhausted", "quota_exhausted"], FaultClass::RateLimitedWindow),
            (&["exhausted your capacity", "capacity exceeded", "no capacity available"], FaultClass::CapacityModel),
            (&["currently unavailable", "overloaded"], FaultClass::Overloaded),
        ];
        // Words alone decide nothing about an answer whose class its status already makes certain.
        if matches!(status, Some(401 | 404 | 408 | 413 | 504)) {
            return None;
        }
        let message = self.message.to_lowercase();
        let (_, class) = TABLE.iter().find(|(needles, _)| needles.iter().any(|needle| message.contains(needle)))?;
        let client_side = status.is_none_or(|status| status < 500);
        match class {
            FaultClass::Overloaded | FaultClass::RateLimitedWindow | FaultClass::CapacityModel
                if status.is_some_and(|status| status < 500 && status != 429) =>
            {
                None
            }
            FaultClass::ContextTooLong if !client_side && status != Some(500) => None,
            class => Some(*class),
        }
    }

    fn message_or_default(&self, status: Option<u16>, body: &str) -> String {
        if !self.message.is_empty() {
            return self.message.chars().take(MAX_MESSAGE).collect();
        }
        let status = status.map_or_else(String::new, |status| format!(" with status {status}"));
        let text = body.trim();
        if text.is_empty() {
            format!("the provider answered{status} and an empty body")
        } else if text.starts_with('<') {
            format!("the provider answered{status} and an HTML page")
        } else if text.starts_with(['{', '[']) {
            format!("the provider answered{status} without a message")
        } else {
            text.chars().take(200).collect()
        }
    }
}

fn class_by_status(status: Option<u16>) -> FaultClass {
    match status {
        Some(400 | 405 | 415 | 422) => FaultClass::BadRequest,
        Some(401) => FaultClass::AuthInvalid,
        Some(402) => FaultClass::AccountBroken,
        Some(403) => FaultClass::PermissionDenied,
        Some(404) => FaultClass::ModelNotFound,
        Some(408 | 504) => FaultClass::Timeout,
        Some(413) => FaultClass::TooLarge,
        Some(429) => FaultClass::RateLimited,
        Some(498 | 503 | 529) => FaultClass::Overloaded,
        Some(status) if status >= 500 => FaultClass::ServerError,
        Some(409 | 424 | 499) => FaultClass::ServerError,
        Some(status) if status >= 400 => FaultClass::BadRequest,
        Some(300..=399) => FaultClass::UpstreamProtocol,
        _ => FaultClass::ServerError,
    }
}

/// When the provider may be asked again, from response headers (`retry-after` and the rate-limit families). `now` (Unix seconds) counts where
/// it does not tell the time.
#[must_use]
pub fn retry_after(header: &dyn Fn(&str) -> Option<String>, now: i64) -> Option<Duration> {
    // What it says in points of time is meant by its own clock.
    let now = header("date").and_then(|date| date_value(&date)).unwrap_or(now);
    for name in ["retry-after-ms", "x-ms-retry-after-ms"] {
        if let Some(wait) =
            header(name).and_then(|v| v.trim().parse::<f64>().ok()).and_then(|ms| seconds_to_wait(ms / 1e3))
        {
            return Some(wait);
        }
    }
    if let Some(wait) = header("retry-after").and_then(|value| retry_after_value(&value, now)) {
        return Some(wait);
    }
    let resets = ["requests", "tokens", "input-tokens", "output-tokens"].into_iter().filter_map(|kind| {
        let anthropic = (
            header(&format!("anthropic-ratelimit-{kind}-remaining")),
            header(&format!("anthropic-ratelimit-{kind}-reset")),
        );
        let openai = (header(&format!("x-ratelimit-remaining-{kind}")), header(&format!("x-ratelimit-reset-{kind}")));
        [anthropic, openai]
            .into_iter()
            // A reset counts only if that kind is used up (or the header stands alone).
            .filter(|(remaining, _)| remaining.as_deref().is_none_or(|left| left.trim() == "0"))
            .filter_map(|(_, reset)| reset_value(&reset?, now))
            .max()
    });
    let plan = header("anthropic-ratelimit-unified-status")
        .filter(|status| status == "rejected")
        .and_then(|_| reset_value(&header("anthropic-ratelimit-unified-reset")?, now));
    resets.chain(plan).chain(header("x-ratelimit-reset").and_then(|value| reset_value(&value, now))).max()
}

/// `Retry-After`: seconds (also a fraction) or an HTTP date. Negative and absurd values are none.
fn retry_after_value(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return seconds_to_wait(seconds);
    }
    until(date_value(value)?, now)
}

/// An HTTP date, Unix seconds.
fn date_value(value: &str) -> Option<i64> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(at.as_second())
}

/// A reset in any of the seen forms: Go duration, RFC 3339, epoch seconds or milliseconds, seconds.
fn reset_value(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(number) = value.parse::<f64>() {
        #[allow(clippy::cast_possible_truncation, reason = "a saturating cast of a bounded number of seconds")]
        return match number {
            n if n > 1e12 => until((n / 1e3) as i64, now),
            n if n > 1e8 => until(n as i64, now),
            n => seconds_to_wait(n),
        };
    }
    if let Ok(at) = value.parse::<Timestamp>() {
        return until(at.as_second(), now);
    }
    go_duration(value)
}

fn until(at: i64, now: i64) -> Option<Duration> {
    u64::try_from(at.checked_sub(now)?).ok().map(Duration::from_secs).filter(|wait| !wait.is_zero())
}

fn seconds_to_wait(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && seconds > 0.0)
        .then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
        .filter(|wait| *wait <= DAY)
}

/// `1s`, `6m0s`, `120ms`, `1h2m3s`, `34.07s`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let number: f64 = number.parse().ok()?;
        total += number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                _ => return None,
            };
        rest = tail;
    }
    (total > 0.0).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

/// "Please try again in 1.57s", "retry after 20 seconds", "Please retry in 900ms".
fn wait_in_text(message: &str) -> Option<Duration> {
    let lower = message.to_lowercase();
    for lead in ["try again in ", "retry in ", "retry after ", "try again after ", "will reset after "] {
        let Some((_, tail)) = lower.split_once(lead) else { continue };
        let mut words = tail.split_whitespace();
        let first = words.next()?.trim_end_matches(['.', ',', ';', ')']);
        if let Some(wait) = go_duration(first) {
            return Some(wait);
        }
        let number: f64 = first.parse().ok()?;
        return match words.next().unwrap_or_default() {
            unit if unit.starts_with("ms") || unit.starts_with("milli") => seconds_to_wait(number / 1e3),
            unit if unit.starts_with("min") => seconds_to_wait(number * 60.0),
            unit if unit.starts_with("hour") => seconds_to_wait(number * 3600.0),
            _ => seconds_to_wait(number),
        };
    }
    None
}

/// Replaces what looks like a key, token or e-mail address.
#[must_use]
pub fn mask(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut after_bearer = false;
    for piece in
        message.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | ',' | '<' | '>'))
    {
        let word = piece
            .trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | ',' | '<' | '>'));
        let rest = piece.strip_prefix(word).unwrap_or_default();
        let bare = word.trim_end_matches(['.', ':', ';']);
        let key = ["sk-", "AIza", "pp-", "gsk_", "xai-", "ya29.", "eyJ"]
            .iter()
            .any(|prefix| bare.starts_with(prefix) && bare.len() > prefix.len() + 5)
            || bare.split_once('=').is_some_and(|(name, value)| name.ends_with("key") && !value.is_empty());
        let mail = bare.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
        if key || mail || (after_bearer && !bare.is_empty()) {
            out.push_str("[redacted]");
        } else {
            out.push_str(word);
        }
        out.push_str(rest);
        if !bare.is_empty() {
            after_bearer = bare.eq_ignore_ascii_case("bearer");
        }
    }
    out
}

#[cfg(test)]
mod tests;
