//! The names that clients may ask for, and where they lead.

use std::collections::HashSet;

use polyport_routing::{Hints, Rule, Target};
use serde_json::{Value, json};

use super::View;
use crate::explain::rule;

/// What a name is.
pub(super) const KINDS: [&str; 4] = ["pool", "model", "pattern", "listed"];

/// Pools and configured models, patterns, then those that providers list.
pub(super) fn all(view: &View) -> Vec<Value> {
    let catalog = &view.runtime.config.catalog;
    let mut seen = HashSet::new();
    let mut all: Vec<Value> = Vec::new();
    for name in catalog.names().filter(|name| seen.insert((*name).clone())) {
        // One that leads nowhere is no name.
        let Ok(resolved) = catalog.resolve(name, Hints::default()) else { continue };
        let kind = match resolved.rule {
            Rule::Pool(_) => "pool",
            Rule::Model(_) => "model",
            _ => "listed",
        };
        all.push(shown(name, kind, Some(&rule(&resolved.rule)), &resolved.targets));
    }
    all.extend(catalog.globs().map(|(pattern, targets)| shown(pattern, "pattern", None, targets)));
    all
}

fn shown(name: &str, kind: &str, rule: Option<&str>, targets: &[Target]) -> Value {
    let mut providers: Vec<&str> = Vec::new();
    for target in targets {
        if !providers.contains(&&*target.provider) {
            providers.push(&target.provider);
        }
    }
    let target = |to: &Target| json!({ "provider": to.provider, "model": to.model, "weight": to.weight, "priority": to.priority });
    let targets: Vec<Value> = targets.iter().map(target).collect();
    json!({ "name": name, "kind": kind, "rule": rule, "providers": providers, "targets": targets })
}
