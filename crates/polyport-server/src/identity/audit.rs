//! What was done at the admin API, by whom.

use http::StatusCode;
use http::request::Parts;
use polyport_store::AuditEntry;
use serde_json::{Map, Value, json};

use super::principal::Principal;
use crate::app::App;
use crate::clock;
use crate::id::RequestId;
use crate::ingress::peer::Peer;

/// Members of bodies whose values are written down. Of all others it is said that they were given: they may be secrets, or hold some.
const SHOWN: [&str; 35] = [
    "name",
    "enabled",
    "role",
    "team",
    "user",
    "expires_at",
    "overlap_seconds",
    "must_change",
    "models",
    "pools",
    "protocols",
    "networks",
    "limits",
    "preset",
    "protocol",
    "provider",
    "profile",
    "weight",
    "priority",
    "pace",
    "concurrency",
    "tier",
    "strategy",
    "targets",
    "fallbacks",
    "words",
    "match",
    "to",
    "sticky",
    "timeouts",
    "capabilities",
    "label",
    "order",
    "kind",
    "changed_settings",
];

/// Longest detail, in bytes.
const LONGEST: usize = 4096;

/// Something that was done, or tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    /// What was asked for, by the name of its endpoint.
    pub(crate) action: &'a str,
    /// What kind of object it was about.
    pub(crate) object_kind: Option<&'a str>,
    /// Its id or name.
    pub(crate) object: Option<&'a str>,
    pub(crate) status: StatusCode,
    /// What was given; secrets are left out here.
    pub(crate) given: &'a Value,
}

/// Writes down what was done. What the database does not take stands in the log.
pub(crate) async fn record(app: &App, principal: &Principal, head: &Parts, id: &RequestId, deed: Deed<'_>) {
    let (actor_kind, actor_id, actor) = match principal {
        Principal::Nobody => ("nobody", None, String::new()),
        Principal::Key { name, actor } => ("key", Some(name.clone()), actor.clone().unwrap_or_else(|| name.clone())),
        Principal::Local { name, actor } => {
            ("local", Some(name.clone()), actor.clone().unwrap_or_else(|| name.clone()))
        }
        Principal::User(user) => ("user", Some(user.id.clone()), user.name.clone()),
    };
    write(app, (actor_kind, actor_id, actor), head, id, deed).await;
}

/// The same of somebody who is not signed in and says who they are.
pub(crate) async fn record_claim(app: &App, name: &str, head: &Parts, id: &RequestId, deed: Deed<'_>) {
    write(app, ("nobody", None, super::access::clean(name)), head, id, deed).await;
}

async fn write(
    app: &App,
    (actor_kind, actor_id, actor): (&str, Option<String>, String),
    head: &Parts,
    id: &RequestId,
    deed: Deed<'_>,
) {
    let address = Peer::found(head).address;
    let entry = AuditEntry {
        id: String::new(),
        at: clock::now_signed(),
        actor_kind: actor_kind.to_owned(),
        actor_id,
        actor,
        action: deed.action.to_owned(),
        object_kind: deed.object_kind.map(str::to_owned),
        object: deed.object.map(|object| object.chars().filter(|c| !c.is_control()).take(200).collect()),
        status: deed.status.as_u16().into(),
        address: Some(address.to_string()),
        request: id.header(),
        detail: shown(deed.given),
    };
    let written = match &app.identity.store {
        Some(store) => store.audit().add(&entry).await.map(drop),
        None => Ok(()),
    };
    let AuditEntry { actor_kind, actor, action, object, status, request, .. } = &entry;
    let object = object.as_deref().unwrap_or_default();
    match written {
        Ok(()) => {
            tracing::info!(actor_kind, actor, action, object, status, %request, client.address = %address, "admin API");
        }
        Err(error) => tracing::error!(
            actor_kind, actor, action, object, status, %request, client.address = %address, detail = %entry.detail, %error,
            "admin API, missing in the audit log"
        ),
    }
}

/// What may be written down of a body.
fn shown(given: &Value) -> Value {
    let detail = match given {
        Value::Object(members) => {
            let shown = members.iter().take(100).map(|(name, value)| {
                let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
                let value = match SHOWN.contains(&name.as_str()) {
                    // A whole definition, which has secrets of its own.
                    true if name == "provider" && value.is_object() => shown(value),
                    true => value.clone(),
                    false => Value::from("…"),
                };
                (name, value)
            });
            Value::Object(shown.collect::<Map<_, _>>())
        }
        Value::Array(list) => json!({ "entries": list.len() }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => json!({}),
    };
    if detail.to_string().len() <= LONGEST {
        return detail;
    }
    let names = detail.as_object().into_iter().flatten().map(|(name, _)| (name.clone(), Value::from("…")));
    Value::Object(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a8_secrets_are_not_written_down() {
        let given = json!({
            "name": "x", "key": "sk-canary", "password": "canary", "base_url": "https://u:canary@h", "headers": {"x": "canary"},
            "models": ["a"], "oauth": {"client_secret": "canary"}, "whatever": "canary",
        });
        let detail = shown(&given);
        assert!(!detail.to_string().contains("canary"), "{detail}");
        assert_eq!(detail["models"], json!(["a"]));
        assert_eq!(detail["key"], json!("…"));
        assert_eq!(shown(&json!(["sk-canary", "sk-canary"])), json!({ "entries": 2 }));
        assert_eq!(shown(&json!("sk-canary")), json!({}));
        let long = shown(&json!({ "name": "x".repeat(5000), "models": [] }));
        assert_eq!(long, json!({ "name": "…", "models": "…" }));
    }
}
