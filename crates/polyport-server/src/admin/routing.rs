//! Pools and routes, as they are configured.

use polyport_routing::{Mode, Pattern, Route, Strategy};
use serde_json::{Value, json};

use super::{Refusal, View, What, definitions, extend};

/// By its name, or by its id in the database.
pub(super) fn pool(view: &View, id: &str) -> Result<Value, Refusal> {
    definitions::named(all_pools(view), "pool", id)
}

pub(super) fn all_pools(view: &View) -> Vec<Value> {
    let catalog = &view.runtime.config.catalog;
    let mut pools: Vec<Value> = catalog
        .pools()
        .iter()
        .map(|pool| {
            let declared = definitions::in_force(view, What::Pool, &pool.name);
            let targets = pool.targets.iter();
            let targets = targets.map(|to| json!({ "target": to.to, "weight": to.weight, "priority": to.priority }));
            let stayed = view.app.sticky.counts(&pool.name);
            let (kept, moved, new) = (stayed.hits(), stayed.forced_moves(), stayed.misses());
            let all = kept + moved + new;
            let mut shown = json!({
                // Answers of conversations since the start: from where their prompt cache was warm, from elsewhere because that place could
                // not serve, and of conversations that had none.
                "conversations": {
                    "kept": kept, "moved": moved, "new": new,
                    "hit_rate": (all > 0).then(|| kept as f64 / all as f64),
                },
                "name": pool.name,
                "tier": pool.tier.map(|tier| tier.as_str()),
                "words": pool.words,
                "strategy": strategy(pool.strategy),
                "targets": targets.collect::<Vec<_>>(),
                "fallbacks": pool.fallbacks,
                "origin": "file",
            });
            extend(&mut shown, declared.map(|one| definitions::about(view, one)).unwrap_or_default());
            shown
        })
        .collect();
    // Those whose providers are all switched off are in force, but lead nowhere.
    let idle = definitions::all_in_force(view, What::Pool)
        .filter(|one| !catalog.pools().iter().any(|pool| pool.name == one.name));
    pools.extend(idle.map(|one| definitions::about(view, one)));
    pools.extend(definitions::out(view, What::Pool));
    pools
}

/// By its id in the database, or by its place among those in force.
pub(super) fn route(view: &View, id: &str) -> Result<Value, Refusal> {
    let all = all_routes(view);
    let wanted = id.parse::<u64>().ok();
    let at = |route: &Value| wanted.is_some() && route.get("index").and_then(Value::as_u64) == wanted;
    match all.iter().find(|route| at(route)) {
        Some(found) => Ok(found.clone()),
        None => definitions::named(all, "route", id),
    }
}

/// Those of the database stand behind those of the file.
pub(super) fn all_routes(view: &View) -> Vec<Value> {
    let routes = view.runtime.config.catalog.routes();
    let declared: Vec<_> = definitions::all_in_force(view, What::Route).filter(|one| one.enabled).collect();
    let of_file = routes.len().saturating_sub(declared.len());
    let mut all: Vec<Value> = routes.iter().enumerate().map(|(index, route)| shown(index, route)).collect();
    for (shown, one) in all.iter_mut().skip(of_file).zip(declared) {
        extend(shown, definitions::about(view, one));
    }
    let off = definitions::all_in_force(view, What::Route).filter(|one| !one.enabled);
    all.extend(off.map(|one| definitions::about(view, one)));
    all.extend(definitions::out(view, What::Route));
    all
}

fn shown(index: usize, route: &Route) -> Value {
    let when = &route.when;
    let headers = when.headers.iter().map(|(name, value)| (name.to_string(), Value::from(value.as_str())));
    json!({
        "index": index,
        "match": {
            "model": when.model.as_ref().map(Pattern::as_str),
            "model_contains": when.contains,
            "protocol": when.protocol.map(|protocol| protocol.as_str()),
            "header": headers.collect::<serde_json::Map<_, _>>(),
            "caller": when.callers.iter().map(Pattern::as_str).collect::<Vec<_>>(),
        },
        "to": route.to.name(),
        "priority": route.priority,
        "overrides": route.overrides,
        "mode": route.mode.map(|mode| match mode {
            Mode::Transform => "transform",
            Mode::Direct => "direct",
        }),
        "keys": route.keys,
        "origin": "file",
    })
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::RoundRobin => "round_robin",
        Strategy::LeastBusy => "least_busy",
        Strategy::Latency => "latency",
        Strategy::Ordered => "ordered",
    }
}
