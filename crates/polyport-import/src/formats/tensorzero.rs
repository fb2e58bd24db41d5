//! TensorZero: `tensorzero.toml` with models, their providers, and functions.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::has;
use crate::draft::{Draft, Target, object, seconds};
use crate::format::Look;
use crate::services::{self, Speaks};
use crate::source::{Kind, Node, Source};

const ENV: &[&str] = &["env::"];

/// Its words for services and the presets here.
const SERVICES: [(&str, &str); 16] = [
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("google_ai_studio_gemini", "gemini"),
    ("azure", "azure"),
    ("aws_bedrock", "bedrock"),
    ("gcp_vertex_gemini", "vertex"),
    ("gcp_vertex_anthropic", "vertex-anthropic"),
    ("deepseek", "deepseek"),
    ("fireworks", "fireworks"),
    ("groq", "groq"),
    ("mistral", "mistral"),
    ("openrouter", "openrouter"),
    ("together", "together"),
    ("vllm", "vllm"),
    ("sglang", "sglang"),
    ("xai", "xai"),
];

pub(super) fn is_like(look: &Look<'_>, _: bool) -> bool {
    let models = look.tree().and_then(|tree| tree.get("models")?.as_object());
    models.is_some_and(|all| all.values().any(|one| has(one, "routing") && has(one, "providers")))
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    let mut known = HashMap::new();
    for root in source.roots(Kind::Tree) {
        for (name, model) in root.get("models").iter().flat_map(Node::entries) {
            self::model(name, &model, &mut known, draft);
        }
        for (name, function) in root.get("functions").iter().flat_map(Node::entries) {
            self::function(name, &function, draft);
        }
        if let Some(node) = root.get("gateway").and_then(|gateway| gateway.get("bind_address")) {
            match node.said().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()) {
                Some(port) => {
                    draft.set("server.port", port);
                    node.approximate("server.port", "it listens on this machine only until there are keys");
                }
                None => node.manual("set `server.host` and `server.port`"),
            }
        }
        if let Some(node) = root.get("clickhouse").or_else(|| root.get("postgres")) {
            node.manual("the request log has a database of its own");
        }
    }
}

fn model(name: &str, model: &Node<'_>, known: &mut HashMap<String, String>, draft: &mut Draft<'_>) {
    let providers = model.get("providers");
    let mut targets = Vec::new();
    for (rank, step) in model.get("routing").iter().flat_map(Node::items).enumerate() {
        let Some(entry) = step.text().and_then(|word| providers.as_ref()?.get(word)) else {
            step.manual("it names a provider that is not there");
            continue;
        };
        if let Some((provider, upstream)) = provider(&step.said(), &entry, known, draft) {
            targets.push(Target { priority: rank as u64 + 1, ..Target::new(&provider, &upstream) });
            step.exact(format!("pools.{name}"));
        } else {
            step.manual("its provider could not be taken over");
        }
    }
    if targets.is_empty() {
        return;
    }
    draft.pool(name, &targets, Map::new());
    // As its clients ask for it.
    draft.pool(
        &format!("tensorzero::model_name::{name}"),
        &[Target { to: name.to_owned(), weight: 1, priority: 1 }],
        Map::new(),
    );
    if let Some(node) = model.get("timeouts") {
        node.manual("set `timeouts` of the providers");
    }
}

fn provider(
    word: &str,
    entry: &Node<'_>,
    known: &mut HashMap<String, String>,
    draft: &mut Draft<'_>,
) -> Option<(String, String)> {
    let kind = entry.get("type").map(|node| node.said()).unwrap_or_default();
    let Some((_, preset)) = SERVICES.iter().find(|(service, _)| *service == kind) else {
        entry.manual(format!("`{kind}` has no preset here: declare it with `base_url` if it is OpenAI-compatible, or `adapter: custom_http`"));
        return None;
    };
    let upstream_node = entry.any(&["model_name", "model_id", "deployment_id"]);
    let Some(upstream) = upstream_node.as_ref().and_then(Node::text).map(str::to_owned) else {
        entry.manual("a provider without the name of its model");
        return None;
    };
    let base = entry.any(&["api_base", "endpoint"]);
    let mut body = services::of(preset);
    if let Some(text) = base.as_ref().and_then(Node::text) {
        let address = draft.follow(text, ENV);
        match *preset {
            "azure" => {
                body.insert(
                    "base_url".to_owned(),
                    format!("{}/openai/deployments/{{model}}", address.trim_end_matches('/')).into(),
                );
                body.insert("query".to_owned(), json!({ "api-version": "2024-10-21" }));
            }
            "openai" => body = services::at(&address, Speaks::Chat),
            _ => drop(body.insert("base_url".to_owned(), services::without(&address, "/messages").into())),
        }
    }
    for (member, here) in [("region", "location"), ("location", "location"), ("project_id", "project")] {
        if let Some(node) = entry.get(member)
            && let Some(text) = node.text()
        {
            body.insert(here.to_owned(), text.into());
            node.exact(format!("{here} of the provider"));
        }
    }
    if let Some(time) = entry
        .get("timeouts")
        .and_then(|node| node.get("non_streaming")?.get("total_ms")?.number())
        .map(|ms| ms / 1000.0)
        .and_then(seconds)
    {
        body.insert("timeouts".to_owned(), json!({ "total": time }));
    }
    let key = entry.get("api_key_location");
    let key_text = key.as_ref().map(Node::said).unwrap_or_default();
    let same = format!("{}\n{key_text}", Value::Object(body.clone()));
    let name = match known.get(&same) {
        Some(name) => name.clone(),
        None => {
            let name = draft.provider(word, body);
            known.insert(same, name.clone());
            name
        }
    };
    if let Some(key) = key {
        match key_text.as_str() {
            "none" => key.exact(format!("providers.{name}")),
            text if text.starts_with("env::") => draft.key(&key, &name, ENV, Map::new()),
            _ => key.manual(format!("keys of clients and files are not read: `polyport credentials add {name}`")),
        }
    }
    for node in [upstream_node, base, entry.get("type")].into_iter().flatten() {
        node.exact(format!("providers.{name}"));
    }
    entry.all_unsupported(&["timeouts"], "of parts of an answer; see `timeouts`");
    if let Some(node) = entry.get("extra_body") {
        node.manual("write it as `quirks.extra_body` of the provider");
    }
    Some((name, upstream))
}

/// Variants of a function are targets with shares; their prompts have no place here.
fn function(name: &str, function: &Node<'_>, draft: &mut Draft<'_>) {
    let mut targets = Vec::new();
    for (_, variant) in function.get("variants").iter().flat_map(Node::entries) {
        let model = variant.get("model");
        let to = model.as_ref().and_then(Node::text).filter(|model| draft.has_pool(model)).map(str::to_owned);
        let weight = variant.get("weight");
        match to {
            Some(to) => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
                let share = weight
                    .as_ref()
                    .and_then(Node::number)
                    .filter(|share| (0.0..=1e6).contains(share))
                    .map_or(100, |share| (share * 100.0).round() as u64);
                if share > 0 {
                    targets.push(Target { to, weight: share, priority: 1 });
                }
                variant.all_exact(&["model", "weight", "type"], &format!("pools.tensorzero::function_name::{name}"));
            }
            None => variant.manual("a variant of another kind, or of a model that is not there"),
        }
        for member in [
            "system_template",
            "user_template",
            "assistant_template",
            "temperature",
            "max_tokens",
            "json_mode",
            "templates",
        ] {
            if let Some(node) = variant.get(member) {
                node.unsupported("prompts and settings of requests are those of the client");
            }
        }
    }
    if !targets.is_empty() {
        draft.pool(&format!("tensorzero::function_name::{name}"), &targets, object([]));
    }
    function.all_exact(&["type"], "pools");
}
