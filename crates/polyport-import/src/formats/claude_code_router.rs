//! claude-code-router: `config.json` with `Providers` and `Router`.

use serde_json::{Map, Value, json};

use super::has;
use crate::draft::{Draft, Target, object};
use crate::format::Look;
use crate::services::{self, Speaks};
use crate::source::{Kind, Node, Source};

const ENV: &[&str] = &["$"];

pub(super) fn is_like(look: &Look<'_>, _: bool) -> bool {
    let providers = look.tree().and_then(|tree| tree.get("Providers").or_else(|| tree.get("providers"))?.as_array());
    providers.is_some_and(|all| all.iter().any(|one| has(one, "api_base_url"))) || look.has_any(&["Router"])
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    for root in source.roots(Kind::Tree) {
        let proxy = root.get("PROXY_URL").filter(|node| node.text().is_some());
        for entry in root.any(&["Providers", "providers"]).iter().flat_map(Node::items) {
            provider(&entry, proxy.as_ref(), draft);
        }
        if let Some(node) = &proxy {
            node.exact("proxy of the providers");
        }
        if let Some(router) = root.any(&["Router", "router"]) {
            routes(&router, draft);
        }
        settings(&root, draft);
    }
}

fn provider(entry: &Node<'_>, proxy: Option<&Node<'_>>, draft: &mut Draft<'_>) {
    let label = entry.get("name");
    let (Some(want), Some(address)) = (label.as_ref().and_then(Node::text), entry.get("api_base_url")) else {
        entry.manual("a provider without `name` or `api_base_url`");
        return;
    };
    let Some(text) = address.text().map(|text| draft.follow(text, ENV)) else {
        address.unsupported("a text is expected");
        return;
    };
    let used = transformers(entry);
    let is = |word: &str| used.iter().any(|one| one.eq_ignore_ascii_case(word));
    let mut body = if is("gemini") {
        services::at(&services::without(&text, "/models"), Speaks::Gemini)
    } else if is("anthropic") || text.contains("/v1/messages") {
        services::at(&services::without(&text, "/messages"), Speaks::Messages)
    } else if is("openai-response") || is("openai-responses") || text.ends_with("/responses") {
        services::at(&services::without(&text, "/responses"), Speaks::Responses)
    } else if is("vertex-gemini") || is("vertex-claude") {
        services::of(if is("vertex-claude") { "vertex-anthropic" } else { "vertex" })
    } else {
        services::at(&services::without(&text, "/chat/completions"), Speaks::Chat)
    };
    let models: Vec<&str> = entry.get("models").iter().flat_map(Node::items).filter_map(|model| model.text()).collect();
    if !models.is_empty() {
        body.insert("models".to_owned(), json!(models));
    }
    if let Some(proxy) = proxy {
        body.insert("proxy".to_owned(), draft.follow(&proxy.said(), ENV).into());
    }
    if let Some(most) = entry.get("transformer").and_then(|node| longest(&node)) {
        body.insert("quirks".to_owned(), json!({ "clamp": { "max_tokens": [1.0, most] } }));
    }
    let name = draft.provider(want, body);
    if let Some(key) = entry.get("api_key").filter(|node| node.text().is_some()) {
        draft.key(&key, &name, ENV, Map::new());
    }
    // What people type after `/model`.
    for model in &models {
        draft.pool(&format!("{want},{model}"), &[Target::new(&name, model)], Map::new());
    }
    let became = format!("providers.{name}");
    for node in [label, Some(address), entry.get("models")].into_iter().flatten() {
        node.exact(became.as_str());
    }
    transformer(entry, &became);
}

/// Names of the transformers of a provider.
fn transformers(entry: &Node<'_>) -> Vec<String> {
    let list = entry.get("transformer").and_then(|node| node.get("use"));
    let name = |one: Node<'_>| match one.value {
        Value::Array(items) => items.first().and_then(Value::as_str).map(str::to_owned),
        _ => one.text().map(str::to_owned),
    };
    list.iter().flat_map(Node::items).filter_map(name).collect()
}

/// The bound that `maxtoken` sets for all models.
fn longest(node: &Node<'_>) -> Option<f64> {
    let list = node.get("use")?;
    let entry = list.items().find(|one| one.value.get(0).and_then(Value::as_str) == Some("maxtoken"))?;
    entry.items().nth(1)?.get("max_tokens")?.number().filter(|most| *most >= 1.0)
}

/// What transformers do, presets and tables of quirks do by themselves.
fn transformer(entry: &Node<'_>, became: &str) {
    let Some(node) = entry.get("transformer") else { return };
    let grade = |one: &Node<'_>| {
        let word = match one.value {
            Value::Array(items) => items.first().and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase(),
            _ => one.said().to_ascii_lowercase(),
        };
        match word.as_str() {
            "maxtoken" => one.exact(format!("{became}.quirks.clamp")),
            "anthropic" | "gemini" | "openai-response" | "openai-responses" | "vertex-gemini" | "vertex-claude" => {
                one.exact(became)
            }
            "deepseek" | "openrouter" | "groq" | "cerebras" | "reasoning" | "cleancache" | "sampling"
            | "streamoptions" | "openai" => {
                one.exact("the quirks of the service, which its preset has");
            }
            "tooluse" | "enhancetool" | "forcereasoning" | "extrathinktag" | "maxcompletiontokens" | "customparams" => {
                one.approximate("quirks", "calls and answers are repaired without it; see `quirks` for more");
            }
            _ => one.manual("a transformer of your own: see `quirks` of the provider, or `adapter: custom_http`"),
        }
    };
    node.get("use").iter().flat_map(Node::items).for_each(|one| grade(&one));
    for (model, of_model) in node.entries().filter(|(key, _)| *key != "use") {
        for one in of_model.get("use").iter().flat_map(Node::items) {
            if one.value.get(0).and_then(Value::as_str) == Some("maxtoken") {
                one.manual(format!("a bound for {model} alone: set `capabilities.{model}.max_output`"));
            } else {
                grade(&one);
            }
        }
    }
}

/// `provider,model` as a target.
fn target(text: &str, draft: &Draft<'_>) -> Option<String> {
    let (provider, model) = text.split_once(',')?;
    let pool = format!("{},{}", provider.trim(), model.trim());
    if draft.has_pool(&pool) {
        return Some(pool);
    }
    let name = crate::names::provider(provider);
    draft.has_provider(&name).then(|| format!("{name}/{}", model.trim()))
}

fn routes(router: &Node<'_>, draft: &mut Draft<'_>) {
    for (word, node) in router.entries() {
        if word == "longContextThreshold" || word == "CUSTOM_ROUTER_PATH" {
            continue;
        }
        let Some(text) = node.text() else { continue };
        let Some(to) = target(text, draft) else {
            node.manual("it names a provider that is not in this file");
            continue;
        };
        match word {
            "default" => {
                draft.route(
                    "default",
                    object([
                        ("match", Some(json!({ "model": "*" }))),
                        ("to", Some(to.into())),
                        ("priority", Some(9.into())),
                    ]),
                );
                node.exact("routes");
            }
            "background" => {
                draft.route(
                    "background",
                    object([("match", Some(json!({ "model_contains": "haiku" }))), ("to", Some(to.into()))]),
                );
                node.exact("routes");
            }
            _ => {
                draft.pool(word, &[Target { to, weight: 1, priority: 1 }], Map::new());
                node.manual(format!(
                    "routes do not look at what stands in a request; there is a pool `{word}`: ask for it where you want it (`/model {word}`)"
                ));
            }
        }
    }
    if let Some(node) = router.get("longContextThreshold") {
        node.unsupported("a prompt that a model cannot take goes to the next target of its pool");
    }
}

fn settings(root: &Node<'_>, draft: &mut Draft<'_>) {
    if let Some(node) = root.get("APIKEY").filter(|node| node.text().is_some()) {
        draft.client_key(&node, "client", ENV, Map::new());
    }
    if let Some(node) = root.get("API_TIMEOUT_MS") {
        match node.number().map(|ms| ms / 1000.0).and_then(crate::draft::seconds) {
            Some(time) => {
                draft.set("limits.first_byte", time);
                node.approximate("limits.first_byte", "until an answer begins");
            }
            None => node.manual("set `limits.first_byte`"),
        }
    }
    if let Some(node) = root.get("LOG_LEVEL")
        && let Some(level) = node.text()
    {
        match level.to_ascii_lowercase().as_str() {
            known @ ("debug" | "info" | "warn" | "error" | "trace") => draft.setting(&node, "log.level", known),
            "fatal" => draft.setting(&node, "log.level", "error"),
            _ => node.manual("set `log.level`"),
        }
    }
    root.all_exact(&["LOG"], "log");
    root.all_unsupported(
        &["NON_INTERACTIVE_MODE", "CLAUDE_PATH", "StatusLine", "statusLine"],
        "a setting of its own command",
    );
    if let Some(node) = root
        .any(&["CUSTOM_ROUTER_PATH", "transformers"])
        .filter(|node| !matches!(node.value, Value::Array(all) if all.is_empty()))
    {
        node.manual("a program of yours: write what it decides as `routes`");
    }
    draft.listen(root.get("HOST"), root.get("PORT"));
}
