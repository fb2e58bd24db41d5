//! `GET /admin/api/presets`: the services that are known, and what is asked for to use each.

use serde_json::{Value, json};

use crate::config::Preset;

/// In order of preference.
pub(super) fn all() -> Vec<Value> {
    Preset::all().iter().map(shown).collect()
}

fn shown(preset: &Preset) -> Value {
    json!({
        "name": preset.name,
        "title": preset.title,
        "protocol": preset.protocol.as_str(),
        "base_url": preset.base_url,
        "needs_base_url": preset.needs_address(),
        "auth": preset.wants().as_str(),
        "key_variables": preset.key_env,
        "local": preset.is_local(),
        "adapter": preset.adapter_word(),
        "needs": preset.needs,
    })
}
