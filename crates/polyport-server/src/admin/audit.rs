//! What was done, newest first.

use polyport_store::{AuditEntry, AuditFilter};
use serde_json::{Value, json};

use super::people::refusal;
use super::query::cursor;
use super::{Query, Refusal, View};

pub(super) async fn list(view: &View, query: &Query) -> Result<Value, Refusal> {
    let Some(store) = &view.app.identity.store else { return Ok(json!({ "audit": [], "next": null })) };
    let text = |name: &str| query.get(name).map(str::to_owned);
    let filter = AuditFilter {
        actor: text("actor"),
        action: text("action"),
        object_kind: text("object_kind"),
        object: text("object"),
        since: time(query, "since")?,
        until: time(query, "until")?,
        before: query.after()?.map(|(_, id)| id),
    };
    let limit = query.limit();
    // One more, to see whether there is another page.
    let mut entries = store.audit().page(&filter, limit + 1).await.map_err(refusal)?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| more).map(|last| cursor(0, &last.id));
    Ok(json!({ "audit": entries.iter().map(shown).collect::<Vec<_>>(), "next": next }))
}

fn shown(entry: &AuditEntry) -> Value {
    let AuditEntry {
        id,
        at,
        actor_kind,
        actor_id,
        actor,
        action,
        object_kind,
        object,
        status,
        address,
        request,
        detail,
    } = entry;
    json!({
        "id": id, "at": at, "actor": { "kind": actor_kind, "id": actor_id, "name": actor }, "action": action,
        "object_kind": object_kind, "object": object, "status": status, "address": address, "request": request,
        "detail": detail,
    })
}

/// A time in Unix milliseconds, or as RFC 3339 writes it.
fn time(query: &Query, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let read = text.parse().ok().or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond));
    read.map(Some)
        .ok_or_else(|| Refusal::parameter(name, "give Unix milliseconds, or a time like 2027-01-31T12:00:00Z"))
}
