//! `router_settings`, `general_settings` and `litellm_settings`.

use serde_json::{Map, json};

use super::ENV;
use crate::draft::{Draft, Target, seconds};
use crate::source::Node;

/// What strategies of LiteLLM come nearest to.
const STRATEGIES: [(&str, &str, bool); 6] = [
    ("simple-shuffle", "round_robin", true),
    ("least-busy", "least_busy", true),
    ("latency-based-routing", "latency", true),
    ("usage-based-routing", "least_busy", false),
    ("usage-based-routing-v2", "least_busy", false),
    ("cost-based-routing", "ordered", false),
];

const SHARED: &str = "several gateways share a Postgres database: set `store.url`";

pub(super) fn read(root: &Node<'_>, draft: &mut Draft<'_>) {
    let router = root.get("router_settings");
    let general = root.get("general_settings");
    let more = root.get("litellm_settings");
    if let Some(router) = &router {
        strategy(router, draft);
        aliases(router, draft);
        router.all_exact(&["enable_pre_call_checks"], "what a model cannot take goes to the next target");
        for member in ["redis_host", "redis_port", "redis_password", "redis_url"] {
            if let Some(node) = router.get(member) {
                node.manual(SHARED);
            }
        }
    }
    for section in [&router, &more].into_iter().flatten() {
        fallbacks(section, draft);
        numbers(section, draft);
        times(section, draft);
    }
    if let Some(general) = &general {
        of_general(general, draft);
    }
    if let Some(more) = &more {
        of_library(more, draft);
    }
}

fn strategy(router: &Node<'_>, draft: &mut Draft<'_>) {
    let Some(node) = router.get("routing_strategy") else { return };
    let Some((_, here, same)) = STRATEGIES.iter().find(|(word, ..)| *word == node.said()) else {
        node.unsupported("targets take turns");
        return;
    };
    if *here != "round_robin" {
        for pool in draft.pools() {
            draft.change_pool(&pool, "strategy", *here);
        }
    }
    match same {
        true => node.exact("pools.*.strategy"),
        false => node.approximate("pools.*.strategy", "the nearest that there is"),
    }
}

fn aliases(router: &Node<'_>, draft: &mut Draft<'_>) {
    for (alias, node) in router.get("model_group_alias").iter().flat_map(Node::entries) {
        let to = node.get("model").unwrap_or_else(|| node.clone());
        match to.text() {
            Some(name) if draft.has_pool(name) && name != alias => {
                let became = draft.pool(alias, &[Target { to: name.to_owned(), weight: 1, priority: 1 }], Map::new());
                node.exact(became);
            }
            _ => node.manual(format!("`{alias}` leads to a model that is not in this file")),
        }
    }
}

/// Lists like `[{"a": ["b"]}]`.
fn fallbacks(section: &Node<'_>, draft: &mut Draft<'_>) {
    for entry in section.get("fallbacks").iter().flat_map(Node::items) {
        for (model, to) in entry.entries() {
            let names: Vec<String> = to.items().filter_map(|one| one.text().map(str::to_owned)).collect();
            let of = if model == "*" { draft.pools() } else { vec![model.to_owned()] };
            set_fallbacks(&to, &of, &names, draft);
        }
    }
    if let Some(node) = section.get("default_fallbacks") {
        let names: Vec<String> = node.items().filter_map(|one| one.text().map(str::to_owned)).collect();
        let of: Vec<String> = draft.pools().into_iter().filter(|pool| !draft.has_fallbacks(pool)).collect();
        set_fallbacks(&node, &of, &names, draft);
    }
    for member in ["context_window_fallbacks", "content_policy_fallbacks"] {
        if let Some(node) = section.get(member) {
            node.manual("fall-backs hold for every failure that another target may mend: add these to `fallbacks` of the pool, or have clients ask for the other model");
        }
    }
}

fn set_fallbacks(node: &Node<'_>, of: &[String], names: &[String], draft: &mut Draft<'_>) {
    let mut missing = false;
    for pool in of {
        let known: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| name != pool && draft.has_pool(name)).collect();
        missing |= known.len() < names.iter().filter(|name| *name != pool).count() || !draft.has_pool(pool);
        if draft.has_pool(pool) && !known.is_empty() && !draft.leads_back(pool, &known) {
            let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
            draft.change_pool(pool, "fallbacks", known);
        }
    }
    match missing {
        false => node.exact("pools.*.fallbacks"),
        true => node.approximate("pools.*.fallbacks", "those that are pools here; models behind patterns have none"),
    }
}

fn numbers(section: &Node<'_>, draft: &mut Draft<'_>) {
    if let Some(node) = section.get("num_retries") {
        match node.number().filter(|number| (0.0..=100.0).contains(number)) {
            Some(number) => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
                draft.set("retry.attempts", number as u64 + 1);
                node.approximate("retry.attempts", "every target is tried in any case");
            }
            None => node.manual("a number is expected: set `retry.attempts`"),
        }
    }
    if let Some(node) = section.get("allowed_fails") {
        match node.count() {
            Some(count) => {
                draft.set("cooldown.failing_row", count);
                node.approximate("cooldown.failing_row", "failures in a row, not in a minute");
            }
            None => node.manual("a number is expected: set `cooldown.failing_row`"),
        }
    }
}

fn times(section: &Node<'_>, draft: &mut Draft<'_>) {
    for (member, path, same) in [
        ("cooldown_time", "cooldown.default", true),
        ("timeout", "limits.total", true),
        ("request_timeout", "limits.total", true),
        ("stream_timeout", "limits.first_byte", false),
        ("retry_after", "retry.max_wait", false),
    ] {
        let Some(node) = section.get(member) else { continue };
        match node.number().and_then(seconds) {
            Some(time) => {
                draft.set(path, time);
                if same { node.exact(path) } else { node.approximate(path, "the nearest that there is") }
            }
            None if node.number() == Some(0.0) => node.exact(path),
            None => node.manual(format!("a time in seconds is expected: set `{path}`")),
        }
    }
}

fn of_general(general: &Node<'_>, draft: &mut Draft<'_>) {
    if let Some(node) = general.get("master_key") {
        draft.client_key(&node, "master", ENV, Map::new());
        draft.source().implied(
            "general_settings.master_key",
            crate::finding::Grade::Manual,
            "",
            "it opens models here, not the admin API: set ADMIN_TOKEN to another key",
        );
    }
    if let Some(node) = general.get("database_url") {
        node.manual("users, teams and virtual keys of LiteLLM's database are not in this file: make them with `polyport users`, `teams` and `keys`");
    }
    for (member, path) in
        [("max_parallel_requests", "limits.requests_per_key"), ("global_max_parallel_requests", "limits.requests")]
    {
        if let Some(node) = general.get(member) {
            match node.count() {
                Some(count) => draft.setting(&node, path, count),
                None => node.manual(format!("a number is expected: set `{path}`")),
            }
        }
    }
    if let Some(node) = general.get("health_check_interval") {
        match node.number().and_then(seconds) {
            Some(time) => {
                draft.set("probes.every", time);
                node.approximate("probes.every", "providers are asked for their list of models, not for an answer");
            }
            None => node.manual("a time in seconds is expected: set `probes.every`"),
        }
    }
    general.all_exact(&["background_health_checks"], "probes.every");
    general.all_exact(&["store_model_in_db", "proxy_batch_write_at", "disable_spend_logs"], "the database and its log");
    if let Some(node) = general.any(&["alerting", "alerting_threshold"]) {
        node.manual("alerts come from Prometheus: see deploy/grafana");
    }
}

fn of_library(more: &Node<'_>, draft: &mut Draft<'_>) {
    more.all_exact(&["drop_params"], "translation.losses");
    if let Some(node) = more.get("json_logs") {
        match node.flag() {
            Some(true) => draft.setting(&node, "log.format", "json"),
            _ => node.exact("log.format"),
        }
    }
    if let Some(node) = more.get("set_verbose") {
        match node.flag() {
            Some(true) => draft.setting(&node, "log.level", "debug"),
            _ => node.exact("log.level"),
        }
    }
    for member in ["callbacks", "success_callback", "failure_callback", "service_callback"] {
        for node in more.get(member).iter().flat_map(Node::several) {
            match node.said().as_str() {
                "prometheus" | "prometheus_system" => node.exact("GET /metrics"),
                "otel" | "opentelemetry" | "arize" | "langtrace" => node.manual("set `telemetry.otlp.endpoint`"),
                _ => node.unsupported("there are traces (`telemetry.otlp`), figures and a request log of its own"),
            }
        }
    }
    more.all_unsupported(
        &["cache", "cache_params"],
        "answers are not cached; prompt caches of providers are kept warm",
    );
    if let Some(node) = more.get("max_budget") {
        let window = more.get("budget_duration");
        let word = match window.as_ref().map(Node::said).as_deref() {
            Some("24h" | "1d") => "day",
            Some("30d" | "1mo") => "month",
            _ => "total",
        };
        match node.number().filter(|number| *number > 0.0) {
            Some(amount) => {
                draft.set("accounting.quotas", json!([{ "what": "money", "window": word, "amount": amount }]));
                node.approximate("accounting.quotas", "months are those of the calendar");
                if let Some(window) = window {
                    window.approximate("accounting.quotas", "months are those of the calendar");
                }
            }
            None => node.manual("set a limit in `accounting.quotas`"),
        }
    }
}
