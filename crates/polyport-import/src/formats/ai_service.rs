//! The light gateway after One API: `config/models.json`, a registry of models with an adapter each.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::has;
use crate::draft::{Draft, Target, object, seconds};
use crate::finding::Grade;
use crate::format::Look;
use crate::services::{self, Speaks};
use crate::source::{Kind, Node, Source};

const ENV: &[&str] = &["env:"];

pub(super) fn is_like(look: &Look<'_>, _: bool) -> bool {
    look.list(&["models"]).iter().any(|entry| has(entry, "id") && has(entry, "adapter"))
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    // Entries that differ in nothing but the model are one provider.
    let mut known: HashMap<String, String> = HashMap::new();
    for root in source.roots(Kind::Tree) {
        let list = root.get("models").unwrap_or_else(|| root.clone());
        for entry in list.items() {
            entry_of(&entry, &mut known, draft);
        }
    }
    for root in source.roots(Kind::Variables) {
        draft.listen(root.get("HOST"), root.get("PORT"));
    }
    draft.set("access.open", !draft.has_keys());
    source.implied("", Grade::Exact, "access.open", "clients need no key, as they do there; only on this machine");
}

fn entry_of(entry: &Node<'_>, known: &mut HashMap<String, String>, draft: &mut Draft<'_>) {
    let id = entry.get("id");
    let Some(name) = id.as_ref().and_then(Node::text) else {
        entry.manual("an entry without `id`: give it one and import again");
        return;
    };
    let adapter = entry.get("adapter").and_then(|node| node.text()).unwrap_or("openai_compat");
    let made = match adapter {
        "openai_compat" => compatible(entry, name, known, draft),
        "custom_http" => custom(entry, name, known, draft),
        "process" => process(entry, name, draft),
        _ => {
            entry.manual(format!(
                "`{name}` has an adapter of its own: declare it with `adapter: custom_http` or `process`"
            ));
            return;
        }
    };
    let Some(provider) = made else { return };
    let model = entry.get("model");
    // The models of a program have names of their own.
    let upstream = model.as_ref().and_then(Node::text).filter(|_| adapter != "process").unwrap_or(name);
    let off = entry.get("enabled").and_then(|node| node.flag()) == Some(false);
    let became =
        draft.pool(name, &[Target::new(&provider, upstream)], object([("enabled", off.then_some(Value::Bool(false)))]));
    entry.all_exact(&["id", "model", "enabled"], &became);
    entry.all_exact(&["adapter"], &format!("providers.{provider}"));
    entry.all_unsupported(&["description", "name", "owned_by"], "lists of models show names only");
}

fn timeouts(entry: &Node<'_>, provider: &str) -> Option<Value> {
    let node = entry.get("timeout")?;
    match node.number().and_then(seconds) {
        Some(time) => {
            node.exact(format!("providers.{provider}.timeouts.total"));
            Some(json!({ "total": time }))
        }
        None => {
            node.manual("a time in seconds is expected: set `timeouts.total`");
            None
        }
    }
}

/// What is sent where clients do not say it.
fn defaults(entry: &Node<'_>, provider: &str, body: &mut Map<String, Value>) {
    let mut defaults = Map::new();
    for member in ["temperature", "max_tokens", "top_p"] {
        let Some(node) = entry.get(member) else { continue };
        if node.value.is_number() {
            defaults.insert(member.to_owned(), node.value.clone());
            node.exact(format!("providers.{provider}.quirks.extra_body.{member}"));
        } else {
            node.manual("a number is expected");
        }
    }
    if !defaults.is_empty() {
        body.insert("quirks".to_owned(), json!({ "extra_body": defaults }));
    }
}

/// A provider of these members, or the one that is there with the same.
fn provider(
    entry: &Node<'_>,
    want: &str,
    mut body: Map<String, Value>,
    known: &mut HashMap<String, String>,
    draft: &mut Draft<'_>,
) -> String {
    let key = entry.get("api_key").filter(|node| node.text().is_some());
    defaults(entry, want, &mut body);
    if let Some(time) = timeouts(entry, want) {
        body.insert("timeouts".to_owned(), time);
    }
    let same = format!("{}\n{}", Value::Object(body.clone()), key.as_ref().and_then(Node::text).unwrap_or_default());
    let name = match known.get(&same) {
        Some(name) => name.clone(),
        None => {
            let name = draft.provider(want, body);
            known.insert(same, name.clone());
            name
        }
    };
    if let Some(key) = key {
        draft.key(&key, &name, ENV, Map::new());
    }
    name
}

fn compatible(
    entry: &Node<'_>,
    name: &str,
    known: &mut HashMap<String, String>,
    draft: &mut Draft<'_>,
) -> Option<String> {
    let Some(node) = entry.get("base_url") else {
        let provider = provider(entry, "openai", services::of("openai"), known, draft);
        return Some(provider);
    };
    let Some(address) = node.text() else {
        node.manual(format!("the address of `{name}` is no text"));
        return None;
    };
    let address = services::without(&draft.follow(address, ENV), "/chat/completions");
    let want = services::preset(&address, Speaks::Chat).map_or_else(|| name.to_owned(), str::to_owned);
    let made = provider(entry, &want, services::at(&address, Speaks::Chat), known, draft);
    node.exact(format!("providers.{made}.base_url"));
    Some(made)
}

/// Anthropic and Gemini are spoken to in their own words; for anything else the interface has to be declared.
fn custom(entry: &Node<'_>, name: &str, known: &mut HashMap<String, String>, draft: &mut Draft<'_>) -> Option<String> {
    let node = entry.any(&["base_url", "url", "endpoint"]);
    let address = node.as_ref().and_then(Node::text).map(|text| draft.follow(text, ENV)).unwrap_or_default();
    let host = services::host(&address).map(|(host, _)| host).unwrap_or_default();
    let format = entry.get("request_format").map(|node| node.said().to_ascii_lowercase()).unwrap_or_default();
    let speaks = match (host.as_str(), format.as_str()) {
        (_, "anthropic" | "claude") => Speaks::Messages,
        (_, "gemini" | "google") => Speaks::Gemini,
        (host, _) if host.contains("anthropic") || address.contains("/messages") => Speaks::Messages,
        (host, _) if host.contains("googleapis") => Speaks::Gemini,
        _ => {
            entry.manual(format!(
                "`{name}` has an interface of its own: declare it with `adapter: custom_http` (docs/PROVIDERS.md), with its address, key and templates"
            ));
            return None;
        }
    };
    let (preset, tail) = if speaks == Speaks::Messages { ("anthropic", "/messages") } else { ("gemini", "/models") };
    let mut body = services::of(preset);
    body.insert("base_url".to_owned(), services::without(&address, tail).into());
    let made = provider(entry, preset, body, known, draft);
    if let Some(node) = node {
        node.exact(format!("providers.{made}.base_url"));
    }
    entry.all_exact(&["endpoint", "request_format", "response_format"], &format!("providers.{made}"));
    Some(made)
}

/// A program belongs into the configuration file.
fn process(entry: &Node<'_>, name: &str, draft: &mut Draft<'_>) -> Option<String> {
    let command = entry.any(&["command", "cmd", "executable"]);
    let Some(text) = command.as_ref().and_then(Node::text) else {
        entry.manual(format!("`{name}` is a program: declare it with `adapter: process` (docs/PROVIDERS.md)"));
        return None;
    };
    let mut words = text.split_whitespace().map(str::to_owned);
    let first = words.next().unwrap_or_default();
    let given = entry.any(&["args", "arguments"]);
    let args: Vec<String> = words.chain(given.iter().flat_map(Node::items).map(|arg| arg.said())).collect();
    let model = entry.any(&["model_path", "model"]).and_then(|node| node.text()).unwrap_or(name).to_owned();
    let args: Vec<String> =
        args.into_iter().map(|arg| arg.replace("{prompt}", "{{ prompt }}").replace("{model}", "{{ path }}")).collect();
    let input = if args.iter().any(|arg| arg.contains("{{ prompt }}")) { "argument" } else { "stdin" };
    let mut body = object([
        ("adapter", Some("process".into())),
        ("process", Some(json!({ "command": first, "args": args, "input": input, "models": { name: model } }))),
    ]);
    if entry.get("enabled").and_then(|node| node.flag()) == Some(false) {
        body.insert("enabled".to_owned(), false.into());
    }
    if let Some(time) = timeouts(entry, name) {
        body.insert("timeouts".to_owned(), time);
    }
    let made = draft.provider_of_file(name, body);
    let note = "programs stand in polyport.yaml only; see what it does with a prompt before clients use it";
    for node in [command, given, entry.get("model_path")].into_iter().flatten() {
        node.approximate(format!("providers.{made}.process"), note);
    }
    Some(made)
}
