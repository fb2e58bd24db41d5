//! `/admin/api/notifications`: messages that were sent, and trying an address.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Refusal, View, shown};
use crate::clock;
use crate::id::RequestId;
use crate::notifications::{Message, once};

/// Members of a test.
pub(super) const MEMBERS: [&str; 1] = ["webhook"];

/// The last deliveries, the newest first.
pub(super) fn list(view: &View) -> Vec<Value> {
    let told = view.app.notifier.past().into_iter().map(|one| {
        json!({
            "id": one.id,
            "at": one.at,
            "event": one.kind,
            "webhook": one.webhook,
            "text": one.text,
            "outcome": one.sent.outcome.as_str(),
            "status": one.sent.status,
            "message": one.sent.message,
            "attempts": one.attempts,
            "took_ms": one.sent.took_ms,
        })
    });
    told.collect()
}

/// Sends a message that says what it is, once.
pub(super) async fn test(view: &View, body: &Map<String, Value>) -> Result<Value, Refusal> {
    let name = body.get("webhook").and_then(Value::as_str);
    let name = name.ok_or_else(|| Refusal::member("webhook", "name one of `notifications.webhooks`"))?;
    let hooks = &view.runtime.config.notifications.hooks;
    let hook = hooks.iter().find(|hook| *hook.name == *name).ok_or_else(|| {
        let words = format!("there is no webhook `{}`; `notifications.webhooks` names those that are", shown(name));
        Refusal::new(StatusCode::NOT_FOUND, "not_found", words)
    })?;
    let at = clock::now();
    let sent_at = i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let message = Message {
        id: format!("msg_{}", RequestId::new().text()),
        kind: "notification.test",
        at,
        text: format!("Polyport can send messages to `{}`", hook.name),
        data: json!({ "webhook": hook.name, "sent_at": sent_at.map(|at| format!("{at:.0}")) }),
    };
    let sent = once(&view.app, hook, &message).await;
    Ok(json!({
        "outcome": sent.outcome.as_str(),
        "status": sent.status,
        "message": sent.message,
        "took_ms": sent.took_ms,
    }))
}
