//! One message to one address.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use polyport_provider::{ClientSettings, ProviderRequest, SendError};
use serde_json::json;

use super::{Delivery, Message, sign};
use crate::app::App;
use crate::clock;
use crate::config::Hook;

/// Time for one attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits between attempts: there is one more than these.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken.
    Delivered,
    /// It was not.
    Failed,
    /// Nobody answered in time.
    Timeout,
}

impl Outcome {
    pub(crate) const ALL: [&str; 3] = ["delivered", "failed", "timeout"];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
}

/// What became of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    /// Why it was not taken.
    pub(crate) message: Option<String>,
    pub(crate) took_ms: u64,
}

impl Sent {
    /// Whether another attempt may end otherwise.
    fn may_change(&self) -> bool {
        match self.status {
            None | Some(408 | 425 | 429) => self.outcome != Outcome::Delivered,
            Some(status) => status >= 500,
        }
    }
}

/// Sends a message, several times if need be, and notes what became of it.
pub(super) async fn deliver(app: &App, hook: &Hook, message: &Message) {
    let mut attempts = 1;
    let mut sent = once(app, hook, message).await;
    for wait in WAITS {
        if !sent.may_change() {
            break;
        }
        tokio::time::sleep(wait).await;
        attempts += 1;
        sent = once(app, hook, message).await;
    }
    if sent.outcome != Outcome::Delivered {
        let reason = sent.message.as_deref().unwrap_or_default();
        tracing::warn!(webhook = %hook.name, event = message.kind, attempts, reason, "a message was not delivered");
    }
    app.notifier.note(Delivery {
        id: message.id.clone(),
        kind: message.kind,
        webhook: hook.name.clone(),
        text: message.text.clone(),
        at: message.at,
        attempts,
        sent,
    });
}

/// Sends a message once.
pub(crate) async fn once(app: &App, hook: &Hook, message: &Message) -> Sent {
    let began = Instant::now();
    let sent = |outcome, status: Option<u16>, message| Sent {
        outcome,
        status,
        message,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let settings = ClientSettings { reach: hook.reach.clone(), ..ClientSettings::default() };
    let client = match app.client(&settings) {
        Ok(client) => client,
        Err(error) => return sent(Outcome::Failed, None, Some(error.to_string())),
    };
    let body = body(message);
    let headers = headers(hook, message, &body);
    let request = ProviderRequest { method: Method::POST, uri: hook.uri.clone(), headers, body: body.into() };
    match tokio::time::timeout(PATIENCE, client.send(request)).await {
        Err(_) => {
            let words = format!("nobody answered within {} seconds", PATIENCE.as_secs());
            sent(Outcome::Timeout, None, Some(words))
        }
        Ok(Err(error @ SendError::ConnectTimeout { .. })) => sent(Outcome::Timeout, None, Some(error.to_string())),
        Ok(Err(error)) => sent(Outcome::Failed, None, Some(error.to_string())),
        Ok(Ok(answer)) if answer.status.is_success() => sent(Outcome::Delivered, Some(answer.status.as_u16()), None),
        Ok(Ok(answer)) => {
            let redirected = answer.status.is_redirection();
            let more = if redirected { ": it sends elsewhere, which is not followed" } else { "" };
            let words = format!("the address answered {}{more}", answer.status.as_u16());
            sent(Outcome::Failed, Some(answer.status.as_u16()), Some(words))
        }
    }
}

fn body(message: &Message) -> Bytes {
    let at = Timestamp::from_millisecond(i64::try_from(message.at).unwrap_or_default()).unwrap_or_default();
    let body =
        json!({ "type": message.kind, "timestamp": format!("{at:.3}"), "data": message.data, "text": message.text });
    body.to_string().into()
}

fn headers(hook: &Hook, message: &Message, body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("polyport/", env!("CARGO_PKG_VERSION"))));
    let at = clock::now() / 1000;
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("webhook-id", message.id.clone());
    set("webhook-timestamp", at.to_string());
    if let Some(key) = hook.key_bytes() {
        set("webhook-signature", sign::signature(&key, &message.id, at, body));
    }
    headers
}
