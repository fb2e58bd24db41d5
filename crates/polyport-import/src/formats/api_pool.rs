//! The tiered pool gateway: its SQLite database, the same as JSON, and its `.env`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{PAST, has};
use crate::draft::{Draft, Target, object, seconds};
use crate::finding::Grade;
use crate::format::Look;
use crate::services::{self, Speaks};
use crate::source::{Kind, Node, Source};

/// Its pools: the word of the source, the usual name, the variable of another one, and the word by which other names reach it.
const POOLS: [(&str, &str, &str, Option<&str>); 3] = [
    ("tool", "haiku", "VIRTUAL_MODEL_TOOL", Some("haiku")),
    ("normal", "sonnet", "VIRTUAL_MODEL_NORMAL", None),
    ("advanced", "opus", "VIRTUAL_MODEL_ADVANCED", Some("opus")),
];

pub(super) fn is_like(look: &Look<'_>, strong: bool) -> bool {
    let providers = look.tree().and_then(|tree| tree.get("providers")?.as_array());
    let of_pools = || look.has_any(&["pools", "endpoints", "model_endpoints"]);
    let address = |one: &Value| has(one, "base_url") || has(one, "url");
    look.has_tables(&["providers", "model_endpoints"])
        || providers.is_some_and(|all| all.iter().any(|one| address(one) && (has(one, "api_key") || has(one, "key"))))
            && of_pools()
        || look.has_variable(&["VIRTUAL_MODEL_"])
        || !strong && look.has_variable(&["DEFAULT_COOLDOWN_SECONDS", "API_PORT"])
}

struct Made {
    name: String,
    enabled: bool,
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    let names: Vec<String> = POOLS
        .iter()
        .map(|(_, usual, variable, _)| {
            source.variable(variable).map_or_else(|| (*usual).to_owned(), |node| node.said())
        })
        .collect();
    let mut names = names;
    let roots: Vec<Node<'_>> = source.roots(Kind::Database).chain(source.roots(Kind::Tree)).collect();
    for root in &roots {
        virtual_names(root, &mut names);
    }
    let mut targets: [Vec<(u64, Target)>; 3] = Default::default();
    for root in &roots {
        let providers = providers(root, &mut targets, draft);
        for entry in root.any(&["model_endpoints", "endpoints"]).iter().flat_map(Node::items) {
            endpoint(&entry, &providers, &mut targets, draft);
        }
        pools(root, &providers, &mut targets, draft);
        if let Some(logs) = root.get("request_logs") {
            logs.unsupported(PAST);
        }
    }
    let mut normal = None;
    for ((tier, _, _, word), (name, list)) in POOLS.iter().zip(names.iter().zip(targets)) {
        if list.is_empty() {
            continue;
        }
        draft.pool(name, &ranked(list), object([("tier", Some((*tier).into()))]));
        match word {
            Some(word) => draft.route(
                &format!("{word} models"),
                object([("match", Some(json!({ "model_contains": word }))), ("to", Some(name.as_str().into()))]),
            ),
            None => normal = Some(name),
        }
    }
    if let Some(name) = normal {
        // Every other name is served by the middle pool there.
        draft.route(
            "all other models",
            object([
                ("match", Some(json!({ "model": "*" }))),
                ("to", Some(name.as_str().into())),
                ("priority", Some(9.into())),
            ]),
        );
        source.implied(
            "",
            Grade::Exact,
            "routes",
            "names that hold haiku or opus go to their pools, all others to the normal one",
        );
    }
    for root in source.roots(Kind::Variables) {
        variables(&root, draft);
    }
    draft.set("access.open", !draft.has_keys());
    source.implied("", Grade::Exact, "access.open", "clients may use any key, as they do there; only on this machine");
}

fn place(word: &str) -> Option<usize> {
    let word = word.to_ascii_lowercase();
    POOLS.iter().position(|(tier, usual, ..)| *tier == word || *usual == word)
}

/// Names that the table of pools has.
fn virtual_names(root: &Node<'_>, names: &mut [String]) {
    for row in root.get("pools").iter().flat_map(Node::items) {
        let tier = row.any(&["pool_type", "type", "tier"]);
        let name = row.any(&["virtual_model_name", "virtual_model"]);
        if let (Some(at), Some(name)) = (tier.and_then(|node| place(&node.said())), name.and_then(|node| node.text()))
            && let Some(known) = names.get_mut(at)
        {
            name.clone_into(known);
        }
    }
}

/// Higher numbers go first there, lower ones here.
fn ranked(mut list: Vec<(u64, Target)>) -> Vec<Target> {
    let mut ranks: Vec<u64> = list.iter().map(|(priority, _)| *priority).collect();
    ranks.sort_unstable_by(|a, b| b.cmp(a));
    ranks.dedup();
    list.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    let rank = |priority: u64| ranks.iter().position(|known| *known == priority).map_or(1, |at| at as u64 + 1);
    list.into_iter().map(|(priority, target)| Target { priority: rank(priority), ..target }).collect()
}

fn providers(root: &Node<'_>, targets: &mut [Vec<(u64, Target)>; 3], draft: &mut Draft<'_>) -> HashMap<String, Made> {
    let mut made = HashMap::new();
    for row in root.get("providers").iter().flat_map(Node::items) {
        let Some(address) = row.any(&["base_url", "url"]) else {
            row.manual("a provider without an address");
            continue;
        };
        let Some(text) = address.text() else {
            address.manual("the address is no text");
            continue;
        };
        let format = row.any(&["api_format", "format"]);
        let anthropic = format.as_ref().is_some_and(|node| node.said().to_ascii_lowercase().contains("anthropic"));
        let speaks = if anthropic { Speaks::Messages } else { Speaks::Chat };
        let label = row.get("name");
        let want = label.as_ref().and_then(Node::text).unwrap_or("provider");
        let enabled = row.get("enabled").and_then(|node| node.flag()) != Some(false);
        let mut body = services::at(text, speaks);
        if !enabled {
            body.insert("enabled".to_owned(), false.into());
        }
        let name = draft.provider(want, body);
        let became = format!("providers.{name}");
        for node in [Some(address), format, label, row.get("enabled"), row.get("id")].into_iter().flatten() {
            node.exact(became.as_str());
        }
        if let Some(key) = row.any(&["api_key", "key"]) {
            draft.key(&key, &name, &["env:", "$"], Map::new());
        }
        row.all_unsupported(
            &["total_requests", "success_requests", "error_requests", "created_at", "updated_at"],
            PAST,
        );
        for (pool, models) in row.get("pools").iter().flat_map(Node::entries) {
            listed(&models, pool, &name, targets);
        }
        for model in row.get("models").iter().flat_map(Node::items) {
            let pool = model.any(&["pool", "pool_type"]).map(|node| node.said());
            let id = model.any(&["model_id", "id", "name", "model"]).unwrap_or_else(|| model.clone());
            match (id.text(), pool.as_deref().and_then(place)) {
                (Some(id), Some(at)) => {
                    if let Some(list) = targets.get_mut(at) {
                        list.push((0, Target::new(&name, id)));
                    }
                    model.exact(format!("pools.{}", pool.unwrap_or_default()));
                }
                _ => model.exact("asked for by its provider's name"),
            }
        }
        let id = row.get("id").map_or_else(|| want.to_owned(), |node| node.said());
        made.insert(id, Made { name: name.clone(), enabled });
        made.insert(want.to_owned(), Made { name, enabled });
    }
    made
}

/// Models of one provider for a pool.
fn listed(models: &Node<'_>, pool: &str, provider: &str, targets: &mut [Vec<(u64, Target)>; 3]) {
    let Some(list) = place(pool).and_then(|at| targets.get_mut(at)) else {
        models.manual("a pool of another kind: make it with POST /admin/api/pools");
        return;
    };
    for model in models.several() {
        if let Some(id) = model.text() {
            list.push((0, Target::new(provider, id)));
            model.exact(format!("pools.{pool}"));
        }
    }
}

fn endpoint(
    row: &Node<'_>,
    providers: &HashMap<String, Made>,
    targets: &mut [Vec<(u64, Target)>; 3],
    _: &mut Draft<'_>,
) {
    let of = row.any(&["provider_id", "provider"]);
    let provider = of.as_ref().and_then(|node| providers.get(&node.said()));
    let id = row.any(&["model_id", "model"]);
    let (Some(provider), Some(model)) = (provider, id.as_ref().and_then(Node::text)) else {
        row.manual("a model of no known provider");
        return;
    };
    let pool = row.any(&["pool_type", "pool"]);
    let at = pool.as_ref().and_then(|node| place(&node.said()));
    let enabled = row.get("enabled").and_then(|node| node.flag()) != Some(false);
    let became = match at.and_then(|at| targets.get_mut(at)) {
        Some(list) if enabled && provider.enabled => {
            let priority = row.get("priority").and_then(|node| node.count()).unwrap_or(0);
            list.push((priority, Target::new(&provider.name, model)));
            format!("pools.{}", pool.as_ref().map(Node::said).unwrap_or_default().to_ascii_lowercase())
        }
        _ => "left out, as it is there".to_owned(),
    };
    for node in [of, id, pool, row.get("enabled"), row.get("priority"), row.get("id")].into_iter().flatten() {
        node.exact(became.as_str());
    }
    row.all_unsupported(
        &[
            "is_cooling",
            "cooldown_until",
            "last_error",
            "total_requests",
            "success_requests",
            "error_requests",
            "avg_latency_ms",
            "created_at",
            "updated_at",
        ],
        PAST,
    );
}

/// The table of pools, or a map from pools to models.
fn pools(
    root: &Node<'_>,
    providers: &HashMap<String, Made>,
    targets: &mut [Vec<(u64, Target)>; 3],
    draft: &mut Draft<'_>,
) {
    let Some(pools) = root.get("pools") else { return };
    let mut rest = Vec::new();
    for row in pools.items() {
        row.all_exact(&["id", "pool_type", "type", "tier", "virtual_model_name", "virtual_model"], "pools");
        row.all_unsupported(&["current_provider_index", "created_at", "updated_at"], PAST);
        if let Some(node) = row.get("max_retries").filter(|node| node.count().is_some()) {
            draft.set("retry.attempts", node.count().unwrap_or(1) + 1);
            node.approximate("retry.attempts", "one number for all pools");
        }
        for (member, path) in [("cooldown_seconds", "cooldown.default"), ("timeout_seconds", "limits.first_byte")] {
            if let Some(node) = row.get(member) {
                match node.number().and_then(seconds) {
                    Some(time) => {
                        draft.set(path, time.clone());
                        rest.push((node, path, time));
                    }
                    None => node.manual(format!("a time in seconds is expected: set `{path}`")),
                }
            }
        }
        for model in row.any(&["endpoints", "models"]).iter().flat_map(Node::items) {
            endpoint_of_pool(&model, &row, providers, targets);
        }
    }
    for (node, path, time) in &rest {
        match rest.iter().all(|(_, other, value)| other != path || value == time) {
            true => node.exact(*path),
            false => node.approximate(*path, "pools differ; the last one's holds for all"),
        }
    }
    for (pool, models) in pools.entries() {
        for model in models.several() {
            let Some((provider, id)) = model.text().and_then(|text| text.split_once([':', '/'])) else {
                model.manual("write it as provider/model");
                continue;
            };
            match (providers.get(provider), place(pool).and_then(|at| targets.get_mut(at))) {
                (Some(made), Some(list)) => {
                    list.push((0, Target::new(&made.name, id)));
                    model.exact(format!("pools.{pool}"));
                }
                _ => model.manual("a model of no known provider or pool"),
            }
        }
    }
}

fn endpoint_of_pool(
    model: &Node<'_>,
    row: &Node<'_>,
    providers: &HashMap<String, Made>,
    targets: &mut [Vec<(u64, Target)>; 3],
) {
    let tier = row.any(&["pool_type", "type", "tier"]).map(|node| node.said()).unwrap_or_default();
    let provider = model.any(&["provider", "provider_id", "provider_name"]).map(|node| node.said()).unwrap_or_default();
    let id = model.any(&["model_id", "model"]).and_then(|node| node.text());
    match (providers.get(&provider), id, place(&tier).and_then(|at| targets.get_mut(at))) {
        (Some(made), Some(id), Some(list)) => {
            list.push((model.get("priority").and_then(|node| node.count()).unwrap_or(0), Target::new(&made.name, id)));
            model.exact(format!("pools.{tier}"));
        }
        _ => model.manual("a model of no known provider or pool"),
    }
}

fn variables(root: &Node<'_>, draft: &mut Draft<'_>) {
    if let Some(node) = root.get("ADMIN_PASSWORD").filter(|node| node.text().is_some()) {
        node.manual("leave it set: Polyport makes the user `admin` with it at its first start; choose another one if it is `admin123`");
    }
    if let Some(node) = root.get("DEFAULT_COOLDOWN_SECONDS") {
        match node.number().and_then(seconds) {
            Some(time) => draft.setting(&node, "cooldown.default", time),
            None => node.manual("a time in seconds is expected: set `cooldown.default`"),
        }
    }
    if let Some(node) = root.get("MAX_RETRIES_PER_PROVIDER").filter(|node| node.count().is_some()) {
        draft.set("retry.attempts", node.count().unwrap_or(1));
        node.approximate("retry.attempts", "attempts of a request, not of a provider");
    }
    for (_, name, variable, _) in POOLS {
        root.all_exact(&[variable], &format!("the name of the pool that is usually `{name}`"));
    }
    if let Some(node) = root.get("LOG_LEVEL")
        && let Some(level) = node.text()
    {
        match level.to_ascii_lowercase().as_str() {
            known @ ("debug" | "info" | "error") => draft.setting(&node, "log.level", known),
            "warning" | "warn" => draft.setting(&node, "log.level", "warn"),
            _ => node.manual("set `log.level`"),
        }
    }
    root.all_exact(&["MAX_LOGS_COUNT"], "accounting.keep");
    if let Some(node) = root.get("DATABASE_URL") {
        node.manual("import that database as well; Polyport's own is `store.url`");
    }
    root.all_unsupported(&["ADMIN_PORT"], "the admin API is on the same port");
    draft.listen(root.get("HOST"), root.any(&["API_PORT", "PORT"]));
}
