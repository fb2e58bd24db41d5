//! `GET /admin/api/export`: what the database declares, without secrets.

use polyport_store::people::KeyFilter;
use serde_json::{Value, json};

use super::{Refusal, View, What, definitions, extend, people};
use crate::config::settings::{HOOKS, prune};

/// Of the form of an export.
const VERSION: u32 = 1;

/// Keys that are read at once.
const PAGE: u32 = 500;

pub(super) async fn answer(view: &View) -> Result<Value, Refusal> {
    let list = |what: What| -> Vec<Value> {
        let all = view.runtime.config.declared.definitions.list.iter().filter(|one| one.kind == what);
        all.map(|one| {
            let definition = definitions::without_secrets(one);
            let mut shown = json!({ "id": one.id, "name": one.name, "enabled": one.enabled, "definition": definition });
            if what == What::Credential {
                extend(&mut shown, json!({ "provider": one.provider }));
            }
            shown
        })
        .collect()
    };
    let (mut teams, mut users, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(directory) = &view.app.directory {
        for team in directory.teams() {
            let value = &team.value;
            let shown = json!({ "id": team.id, "name": value.name, "enabled": value.enabled });
            teams.push(with(shown, &value.definition));
        }
        for user in directory.users() {
            let value = &user.value;
            let role = value.role.as_str();
            let shown = json!({ "id": user.id, "name": value.name, "enabled": value.enabled, "team": value.team, "role": role });
            users.push(with(shown, &value.definition));
        }
        let mut filter = KeyFilter::default();
        loop {
            let page = directory.store().client_keys().page(&filter, PAGE).await.map_err(people::refusal)?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id.clone());
            for key in &page {
                let value = &key.value;
                let shown = json!({
                    "id": key.id, "name": value.name, "enabled": value.enabled, "team": value.team, "user": value.user,
                    "expires_at": value.expires_at,
                });
                keys.push(with(shown, &value.definition));
            }
        }
    }
    Ok(json!({
        "version": VERSION, "exported_at": view.now,
        "providers": list(What::Provider), "credentials": list(What::Credential), "pools": list(What::Pool),
        "routes": list(What::Route),
        "settings": without_hooks(&view.runtime.config.declared.definitions.settings.value), "teams": teams, "users": users, "keys": keys,
    }))
}

/// Addresses and secrets of hooks stay here.
fn without_hooks(settings: &Value) -> Value {
    let mut shown = if settings.is_object() { settings.clone() } else { json!({}) };
    let [section, list] = HOOKS;
    if let Some(section) = shown.get_mut(section).and_then(Value::as_object_mut) {
        section.remove(list);
    }
    prune(&mut shown);
    shown
}

fn with(mut shown: Value, definition: &Value) -> Value {
    let definition = if definition.is_object() { definition.clone() } else { json!({}) };
    extend(&mut shown, json!({ "definition": definition }));
    shown
}
