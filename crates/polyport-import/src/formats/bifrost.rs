//! Bifrost: `config.json` with providers by name.

use serde_json::{Map, Value, json};

use super::has;
use crate::draft::{Draft, object, seconds};
use crate::format::Look;
use crate::services::{self, Speaks};
use crate::source::{Kind, Node, Source};

const ENV: &[&str] = &["env."];

/// Its names of services and the presets here.
const SERVICES: [(&str, &str); 14] = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("gemini", "gemini"),
    ("azure", "azure"),
    ("bedrock", "bedrock"),
    ("vertex", "vertex"),
    ("groq", "groq"),
    ("mistral", "mistral"),
    ("openrouter", "openrouter"),
    ("cerebras", "cerebras"),
    ("ollama", "ollama"),
    ("sgl", "sglang"),
    ("xai", "xai"),
    ("vllm", "vllm"),
];

pub(super) fn is_like(look: &Look<'_>, _: bool) -> bool {
    let providers = look.tree().and_then(|tree| tree.get("providers")?.as_object());
    let keyed = |one: &Value| {
        one.get("keys").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|key| has(key, "value")))
    };
    providers.is_some_and(|all| all.values().any(|one| keyed(one) || has(one, "network_config")))
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    for root in source.roots(Kind::Tree) {
        for (name, entry) in root.get("providers").iter().flat_map(Node::entries) {
            provider(name, &entry, draft);
        }
        for key in root.get("governance").and_then(|part| part.get("virtual_keys")).iter().flat_map(Node::items) {
            virtual_key(&key, draft);
        }
        if let Some(client) = root.get("client") {
            client.all_exact(
                &["drop_excess_requests", "enable_logging", "log_retention_days", "allow_direct_keys"],
                "limits and the request log",
            );
            if let Some(node) = client.get("max_request_body_size_mb").filter(|node| node.count().is_some()) {
                draft.setting(&node, "limits.request_body", format!("{}MiB", node.count().unwrap_or(32)));
            }
        }
        root.all_exact(&["$schema"], "");
        root.all_unsupported(&["config_store", "logs_store", "vector_store"], "there is one database: `store.url`");
    }
}

fn provider(name: &str, entry: &Node<'_>, draft: &mut Draft<'_>) {
    let base_kind =
        entry.get("custom_provider_config").and_then(|custom| custom.get("base_provider_type")).map(|node| node.said());
    let kind = base_kind.as_deref().unwrap_or(name);
    let network = entry.get("network_config");
    let address = network.as_ref().and_then(|network| network.get("base_url")).filter(|node| node.text().is_some());
    let preset = SERVICES.iter().find(|(word, _)| *word == kind).map(|(_, preset)| *preset);
    let mut body = match (&address, preset) {
        (Some(node), Some("openai") | None) => {
            services::at(&services::versioned(&draft.follow(&node.said(), ENV)), Speaks::Chat)
        }
        (Some(node), Some(preset)) => {
            let mut body = services::of(preset);
            let address = draft.follow(&node.said(), ENV);
            let address =
                if matches!(preset, "anthropic" | "gemini") { address } else { services::versioned(&address) };
            body.insert("base_url".to_owned(), address.into());
            body
        }
        (None, Some(preset)) => services::of(preset),
        (None, None) => {
            entry.manual(format!("`{name}` has no preset here: declare it with `base_url` if it is OpenAI-compatible, or `adapter: custom_http`"));
            return;
        }
    };
    if let Some(node) = &address {
        node.exact(format!("providers.{name}.base_url"));
    }
    special(entry, kind, &mut body, draft);
    if let Some(network) = &network {
        limits(network, &mut body);
    }
    if let Some(node) = entry.get("concurrency_and_buffer_size") {
        for (member, here) in [("concurrency", "requests"), ("buffer_size", "queue")] {
            if let Some(count) = node.get(member).and_then(|node| node.count()) {
                body.insert(here.to_owned(), count.into());
            }
        }
        node.exact("requests and queue of the provider");
    }
    if let Some(node) = entry.get("proxy_config") {
        match node.get("url").filter(|url| url.text().is_some()) {
            Some(url) => {
                body.insert("proxy".to_owned(), draft.follow(&url.said(), ENV).into());
                node.exact("proxy of the provider");
            }
            None => node.exact(""),
        }
    }
    let made = draft.provider(name, body);
    for key in entry.get("keys").iter().flat_map(Node::items) {
        self::key(&key, kind, &made, draft);
    }
    if let Some(node) = entry.get("custom_provider_config") {
        node.approximate(format!("providers.{made}"), "which of its endpoints may be asked is not bounded");
    }
    entry.all_exact(&["send_back_raw_request", "send_back_raw_response"], "the request log");
}

/// Azure, Vertex and Bedrock say with the key where they are.
fn special(entry: &Node<'_>, kind: &str, body: &mut Map<String, Value>, draft: &Draft<'_>) {
    let Some(key) = entry.get("keys").and_then(|keys| keys.items().next()) else { return };
    let said = |section: &str, member: &str| {
        let text = key.get(section)?.get(member)?.said();
        (!text.is_empty()).then(|| draft.follow(&text, ENV))
    };
    match kind {
        "azure" => {
            if let Some(endpoint) = said("azure_key_config", "endpoint") {
                let endpoint = endpoint.trim_end_matches('/');
                let version = said("azure_key_config", "api_version").unwrap_or_else(|| "2024-10-21".to_owned());
                body.insert("base_url".to_owned(), format!("{endpoint}/openai/deployments/{{model}}").into());
                body.insert("query".to_owned(), json!({ "api-version": version }));
            }
        }
        "vertex" => {
            for (member, here) in [("project_id", "project"), ("region", "location")] {
                if let Some(text) = said("vertex_key_config", member) {
                    body.insert(here.to_owned(), text.into());
                }
            }
        }
        "bedrock" => {
            if let Some(region) = said("bedrock_key_config", "region") {
                body.insert("location".to_owned(), region.into());
            }
        }
        _ => {}
    }
}

fn limits(network: &Node<'_>, body: &mut Map<String, Value>) {
    let mut headers = Map::new();
    for (name, value) in network.get("extra_headers").iter().flat_map(Node::entries) {
        headers.insert(name.to_ascii_lowercase(), value.said().into());
        value.exact("headers of the provider");
    }
    if !headers.is_empty() {
        body.insert("headers".to_owned(), headers.into());
    }
    if let Some(node) = network.get("default_request_timeout_in_seconds") {
        match node.number().and_then(seconds) {
            Some(time) => {
                body.insert("timeouts".to_owned(), json!({ "total": time }));
                node.exact("timeouts.total of the provider");
            }
            None => node.exact(""),
        }
    }
    for member in [
        "max_retries",
        "retry_backoff_initial",
        "retry_backoff_max",
        "retry_backoff_initial_ms",
        "retry_backoff_max_ms",
    ] {
        if let Some(node) = network.get(member) {
            node.approximate("retry", "one rule for all, see `retry`");
        }
    }
}

fn key(key: &Node<'_>, kind: &str, provider: &str, draft: &mut Draft<'_>) {
    let weight = key.get("weight");
    // Shares are fractions there.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    let share = weight
        .as_ref()
        .and_then(Node::number)
        .filter(|share| (0.0..=1e6).contains(share))
        .map(|share| ((share * 100.0).round() as u64).max(1));
    let off = key.get("enabled").and_then(|node| node.flag()) == Some(false);
    let mut more = object([
        ("name", key.get("name").and_then(|node| node.text().map(Value::from))),
        ("weight", share.map(Value::from)),
        ("enabled", off.then_some(Value::Bool(false))),
    ]);
    let became = format!("credentials of {provider}");
    let bedrock = key.get("bedrock_key_config").filter(|_| kind == "bedrock");
    let vertex = key.get("vertex_key_config").filter(|_| kind == "vertex");
    if let Some(secret) =
        bedrock.as_ref().and_then(|config| config.get("secret_key")).filter(|node| node.text().is_some())
    {
        let id =
            bedrock.as_ref().and_then(|config| config.get("access_key")).map(|node| draft.follow(&node.said(), ENV));
        more.extend(object([("access_key_id", id.map(Value::from))]));
        draft.key(&secret, provider, ENV, more);
    } else if let Some(file) =
        vertex.as_ref().and_then(|config| config.get("auth_credentials")).filter(|node| node.text().is_some())
    {
        let text = draft.follow(&file.said(), ENV);
        draft.key_text(&file, provider, &text, "key_file", more);
    } else if let Some(value) = key.get("value").filter(|node| node.text().is_some()) {
        draft.key(&value, provider, ENV, more);
    }
    if let Some(node) = weight {
        node.exact(became.as_str());
    }
    key.all_exact(
        &["id", "name", "enabled", "value", "azure_key_config", "vertex_key_config", "bedrock_key_config"],
        &became,
    );
    if let Some(node) = key.get("models") {
        match node.items().next() {
            None => node.exact(""),
            Some(first) if first.said() == "*" => node.exact(became),
            Some(_) => {
                node.approximate(became, "a key that has no right to a model is not asked for it again for a while")
            }
        }
    }
    key.all_unsupported(&["use_for_batch_api"], "batches go to any key of the provider");
}

fn virtual_key(entry: &Node<'_>, draft: &mut Draft<'_>) {
    let name = entry.get("name").map(|node| node.said()).unwrap_or_default();
    let off = entry.get("is_active").and_then(|node| node.flag()) == Some(false);
    if let Some(value) = entry.get("value") {
        draft.client_key(&value, &name, ENV, object([("enabled", off.then_some(Value::Bool(false)))]));
    }
    entry.all_exact(&["id", "name", "is_active"], "keys");
    entry.all_unsupported(&["description"], "a note for people");
    for member in ["provider_configs", "budget_id", "rate_limit_id", "team_id", "customer_id", "keys", "mcp_configs"] {
        if let Some(node) = entry.get(member) {
            node.manual("bound the key by hand: `polyport keys set` with `models` and `limits`");
        }
    }
}
