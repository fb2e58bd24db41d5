//! Pools and routes, as they are configured.

use polyport_routing::{Mode, Pattern, Route, Strategy};
use serde_json::{Value, json};

use super::View;

pub(super) fn pools(view: &View) -> Value {
    let pools = view.runtime.config.catalog.pools().iter().map(|pool| {
        let targets = pool.targets.iter();
        let targets = targets.map(|to| json!({ "target": to.to, "weight": to.weight, "priority": to.priority }));
        let stayed = view.app.sticky.counts(&pool.name);
        let (kept, moved, new) = (stayed.hits(), stayed.forced_moves(), stayed.misses());
        let all = kept + moved + new;
        json!({
            // Answers of conversations since the start: from where their prompt cache was warm, from elsewhere because that place could not
            // serve, and of conversations that had none.
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
        })
    });
    json!({ "pools": pools.collect::<Vec<_>>() })
}

pub(super) fn routes(view: &View) -> Value {
    let routes = view.runtime.config.catalog.routes().iter().enumerate().map(|(index, route)| shown(index, route));
    json!({ "routes": routes.collect::<Vec<_>>() })
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
            "headers": headers.collect::<serde_json::Map<_, _>>(),
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
