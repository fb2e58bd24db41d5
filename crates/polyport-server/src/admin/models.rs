//! The names that clients may ask for, and where they lead.

use std::collections::HashSet;

use polyport_routing::{Hints, Rule, Target};
use polyport_store::Role;
use serde_json::{Value, json};

use super::View;
use crate::explain::rule;

/// What a name is.
pub(super) const KINDS: [&str; 4] = ["pool", "model", "pattern", "listed"];

/// Pools and configured models, patterns, then those that providers list. Users who are no admins find the names that they may ask for, and
/// not where these lead.
pub(super) fn all(view: &View) -> Vec<Value> {
    let Some(user) = view.principal.user().filter(|user| user.role < Role::Admin) else { return everything(view) };
    let Some(rules) = view.app.directory.as_ref().and_then(|directory| directory.rules_of_user(&user.id)) else {
        return Vec::new();
    };
    let mut all = everything(view);
    all.retain(|model| {
        let member = |name| model.get(name).and_then(Value::as_str);
        let name = member("name").unwrap_or_default();
        let pool = (member("kind") == Some("pool")).then_some(name);
        rules.iter().all(|rules| rules.allows_model(name) && rules.allows_pools(std::iter::once(pool)))
    });
    for model in &mut all {
        if let Some(members) = model.as_object_mut() {
            members.insert("rule".to_owned(), Value::Null);
            members.insert("providers".to_owned(), json!([]));
            members.insert("targets".to_owned(), json!([]));
        }
    }
    all
}

fn everything(view: &View) -> Vec<Value> {
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
