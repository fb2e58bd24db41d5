//! The mutual conversion proxy: `config/app.yml`, and its database of routes.

use serde_json::{Map, Value, json};

use super::has;
use crate::draft::{Draft, Target, object};
use crate::finding::Grade;
use crate::format::Look;
use crate::services::{self, Speaks};
use crate::source::{Kind, Node, Source};

/// The vendors that it knows, with the variable of a single key and of another address.
const VENDORS: [(&str, &str, &str, Speaks); 3] = [
    ("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL", Speaks::Chat),
    ("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", Speaks::Messages),
    ("gemini", "GEMINI_API_KEY", "GEMINI_BASE_URL", Speaks::Gemini),
];

/// References to variables.
const ENV: &[&str] = &["env:", "$"];

pub(super) fn is_like(look: &Look<'_>, strong: bool) -> bool {
    let tables = || {
        let tables = look.0.value.as_object().filter(|_| look.0.kind == Kind::Database);
        tables.is_some_and(|tables| tables.keys().any(|name| look.row(name).is_some_and(is_route)))
    };
    let single = || look.has_any(&["MODE"]) && VENDORS.iter().any(|(_, key, ..)| look.has_any(&[key]));
    look.has_any(&["API_KEY_POOLS", "PREFERRED_PROVIDER"])
        || tables()
        || !strong && (single() || look.has_variable(&["PREFERRED_PROVIDER", "API_KEY_POOLS"]))
}

fn is_route(row: &Value) -> bool {
    has(row, "route_key") && has(row, "target_model")
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    let roots: Vec<Node<'_>> = source.roots(Kind::Tree).chain(source.roots(Kind::Variables)).collect();
    for root in &roots {
        pools(root, draft);
        single_keys(root, draft);
    }
    for root in &roots {
        settings(root, draft);
        for key in ["MODEL_ROUTES", "MODEL_MAPPING", "MODEL_MAPPINGS", "MODEL_CONFIGS", "MODELS", "ROUTES"] {
            if let Some(list) = root.get(key) {
                mappings(&list, draft);
            }
        }
    }
    for database in source.roots(Kind::Database) {
        for (_, table) in database.entries() {
            if table.items().next().is_some_and(|row| is_route(row.value)) {
                table.items().for_each(|row| route(&row, None, draft));
            }
        }
    }
    for root in &roots {
        let (host, port) = (root.get("HOST"), root.get("PORT"));
        draft.listen(host, port);
    }
    draft.set("access.open", !draft.has_keys());
    source.implied("", Grade::Exact, "access.open", "clients may use any key, as they do there; only on this machine");
}

/// The name of a vendor's provider here, which is made if it is not there yet.
fn provider(vendor: &str, draft: &mut Draft<'_>) -> String {
    let vendor = match vendor.trim().to_ascii_lowercase().as_str() {
        "claude" => "anthropic".to_owned(),
        "google" => "gemini".to_owned(),
        other => other.to_owned(),
    };
    if !draft.has_provider(&vendor) {
        let body = match VENDORS.iter().find(|(name, ..)| *name == vendor) {
            Some((name, ..)) => services::of(name),
            None => Map::new(),
        };
        return draft.provider(&vendor, body);
    }
    vendor
}

fn pools(root: &Node<'_>, draft: &mut Draft<'_>) {
    let Some(pools) = root.get("API_KEY_POOLS") else { return };
    for (vendor, pool) in pools.entries() {
        let name = provider(vendor, draft);
        let keys = if pool.value.is_object() { pool.get("keys") } else { Some(pool.clone()) };
        for key in keys.iter().flat_map(Node::several) {
            draft.key(&key, &name, ENV, Map::new());
        }
        for (member, here) in [("auth_header", "auth_header"), ("auth_format", "auth_format")] {
            if let Some(node) = pool.get(member)
                && let Some(text) = node.text()
            {
                draft.change(
                    &name,
                    here,
                    if member == "auth_header" { text.to_ascii_lowercase() } else { text.to_owned() },
                );
                node.exact(format!("providers.{name}.{here}"));
            }
        }
        if let Some(node) = pool.any(&["base_url", "api_base", "url"])
            && let Some(address) = node.text()
        {
            address_of(&name, address, &node, draft);
        }
    }
}

fn address_of(name: &str, address: &str, node: &Node<'_>, draft: &mut Draft<'_>) {
    if !VENDORS.iter().any(|(vendor, ..)| *vendor == name) {
        for (member, value) in services::at(address, Speaks::Chat) {
            draft.change(name, &member, value);
        }
    } else {
        draft.change(name, "base_url", address.trim_end_matches('/'));
    }
    node.exact(format!("providers.{name}.base_url"));
}

/// One key per vendor, as before there were pools.
fn single_keys(root: &Node<'_>, draft: &mut Draft<'_>) {
    for (vendor, key, address, _) in VENDORS {
        if let Some(node) = root.get(key).filter(|node| !node.said().is_empty()) {
            let name = provider(vendor, draft);
            draft.key(&node, &name, ENV, Map::new());
        }
        if let Some(node) = root.get(address)
            && let Some(text) = node.text()
        {
            let name = provider(vendor, draft);
            address_of(&name, text, &node, draft);
        }
    }
}

fn settings(root: &Node<'_>, draft: &mut Draft<'_>) {
    if let Some(node) = root.get("MODE") {
        match node.said().as_str() {
            "transformer" | "transform" => draft.setting(&node, "translation.mode", "transform"),
            "direct" => draft.setting(&node, "translation.mode", "direct"),
            _ => node.manual("set `translation.mode` to `transform` or `direct`"),
        }
    }
    if let Some(node) = root.get("DEBUG") {
        match node.flag() {
            Some(true) => draft.setting(&node, "log.level", "debug"),
            _ => node.exact("log.level"),
        }
    }
    if let Some(node) = root.get("PREFERRED_PROVIDER")
        && let Some(vendor) = node.text()
    {
        let name = provider(vendor, draft);
        draft.setting(&node, "default_provider", name);
    }
}

/// Mappings of the configuration file: a map from a name, or a list like the table.
fn mappings(list: &Node<'_>, draft: &mut Draft<'_>) {
    list.items().for_each(|row| route(&row, None, draft));
    for (name, entry) in list.entries() {
        match entry.text() {
            Some(target) => {
                let (vendor, model) = target.split_once(['/', ':']).unwrap_or((vendor_of(target), target));
                let provider = provider(vendor, draft);
                let became = draft.pool(name, &[Target::new(&provider, model)], Map::new());
                entry.exact(became);
            }
            None => route(&entry, Some(name), draft),
        }
    }
}

/// The vendor whose models are named like this.
fn vendor_of(model: &str) -> &'static str {
    match model {
        name if name.starts_with("claude") => "anthropic",
        name if name.starts_with("gemini") => "gemini",
        _ => "openai",
    }
}

/// A row of the table of routes, or an entry like one.
fn route(row: &Node<'_>, name: Option<&str>, draft: &mut Draft<'_>) {
    row.all_unsupported(&["created_at", "updated_at", "description"], super::PAST);
    row.all_exact(&["id"], "");
    let key_node = row.any(&["route_key", "keyword", "pattern", "model", "name"]);
    let Some(key) = key_node.as_ref().and_then(Node::text).or(name) else {
        row.manual("a route without a name: make it with POST /admin/api/routes");
        return;
    };
    let target = row.any(&["target_model", "target", "model"]);
    let model = target.as_ref().and_then(Node::text).unwrap_or(key);
    let vendor_node = row.any(&["provider", "target_provider", "vendor"]);
    let vendor = vendor_node.as_ref().and_then(Node::text).unwrap_or_else(|| vendor_of(model));
    let provider = provider(vendor, draft);
    let on = row.any(&["enabled", "is_enabled", "is_active", "active"]);
    let off = on.as_ref().and_then(Node::flag) == Some(false);
    let priority = row.get("priority").as_ref().and_then(Node::count);
    let by_word = row.get("keyword").is_some()
        || row
            .any(&["match_type", "type"])
            .and_then(|node| node.text().map(|kind| kind.contains("key")))
            .unwrap_or(false);
    let enabled = off.then_some(Value::Bool(false));
    let became = if by_word || key.contains('*') {
        let when = if by_word { json!({ "model_contains": key }) } else { json!({ "model": key }) };
        let to = if model == "*" { format!("{provider}/*") } else { format!("{provider}/{model}") };
        draft.route(
            key,
            object([
                ("match", Some(when)),
                ("to", Some(to.into())),
                ("priority", priority.map(Value::from)),
                ("enabled", enabled),
            ]),
        );
        "routes".to_owned()
    } else {
        draft.pool(key, &[Target::new(&provider, model)], object([("enabled", enabled)]))
    };
    let taken = [key_node, target, vendor_node, on, row.get("priority"), row.any(&["match_type", "type"])];
    taken.into_iter().flatten().for_each(|node| node.exact(became.as_str()));
    keys_of(row, &provider, draft);
}

/// Keys that one route has for itself.
fn keys_of(row: &Node<'_>, provider: &str, draft: &mut Draft<'_>) {
    let Some(node) = row.any(&["api_keys", "api_key", "key_pool", "keys"]) else { return };
    for key in node.several() {
        let texts = key.text().and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
        match texts {
            Some(texts) => {
                for text in texts {
                    let text = draft.follow(&text, ENV);
                    draft.key_text(&node, provider, &text, "key", Map::new());
                }
            }
            None if key.text().is_some() => draft.key(&key, provider, ENV, Map::new()),
            None => {}
        }
    }
    node.approximate(
        format!("credentials of {provider}"),
        "the keys serve all routes of the provider; name them in `keys` of the route to bind them to it",
    );
}
