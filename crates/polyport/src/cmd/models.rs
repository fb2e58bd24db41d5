//! `polyport models`.

use std::process::ExitCode;

use anyhow::Result;
use polyport_routing::{Catalog, Hints, Target};
use serde_json::{Value, json};

use crate::args::Args;
use crate::out;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let config = super::load(args)?.config;
    let catalog = &config.catalog;
    let mut models: Vec<(String, Vec<Target>)> = catalog
        .names()
        .filter_map(|name| Some((name.to_string(), catalog.resolve(name, Hints::default()).ok()?.targets.to_vec())))
        .collect();
    models.extend(catalog.globs().map(|(pattern, targets)| (pattern.to_owned(), targets.to_vec())));
    if args.json {
        let list: Vec<Value> = models
            .iter()
            .map(|(name, targets)| json!({ "model": name, "targets": targets.iter().map(target).collect::<Vec<_>>() }))
            .collect();
        let claims: Vec<Value> = catalog
            .claims()
            .map(|(pattern, provider)| json!({ "pattern": pattern, "provider": provider.to_string() }))
            .collect();
        let default = catalog.default_provider().map(ToString::to_string);
        out::json(&json!({ "models": list, "claims": claims, "default_provider": default }));
        return Ok(ExitCode::SUCCESS);
    }
    out::table(&["model", "targets"], models.iter().map(|(name, targets)| vec![name.clone(), show(targets)]).collect());
    note(catalog);
    Ok(ExitCode::SUCCESS)
}

/// What is answered without being listed.
fn note(catalog: &Catalog) {
    let mut by_provider: Vec<(&str, Vec<&str>)> = Vec::new();
    for (pattern, provider) in catalog.claims() {
        match by_provider.iter_mut().find(|(name, _)| *name == &**provider) {
            Some((_, patterns)) => patterns.push(pattern),
            None => by_provider.push((provider, vec![pattern])),
        }
    }
    if !by_provider.is_empty() {
        out::line("\nNot listed, but known by their names:");
        let rows = by_provider.iter().map(|(provider, patterns)| vec![patterns.join(" "), (*provider).to_owned()]);
        out::table(&["names like", "go to"], rows.collect());
    }
    if let Some(provider) = catalog.default_provider() {
        out::line(&format!("\nOther names go to {provider}."));
    }
}

pub(crate) fn target(target: &Target) -> Value {
    json!({
        "provider": target.provider.to_string(), "model": target.model.to_string(),
        "weight": target.weight, "priority": target.priority,
    })
}

/// Targets in the order of priority; weights only where they matter.
fn show(targets: &[Target]) -> String {
    let mut sorted: Vec<&Target> = targets.iter().collect();
    sorted.sort_by_key(|target| target.priority);
    let mut text = String::new();
    let mut last: Option<u32> = None;
    for target in sorted {
        let joint = match last {
            None => "",
            Some(priority) if priority == target.priority => ", ",
            Some(_) => ", then ",
        };
        let weight = if target.weight > 1 { format!(" ×{}", target.weight) } else { String::new() };
        text.push_str(&format!("{joint}{}/{}{weight}", target.provider, target.model));
        last = Some(target.priority);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_in_order() {
        let with = |provider: &'static str, weight, priority| Target { weight, priority, ..Target::new(provider, "m") };
        let targets = [with("c", 1, 2), with("a", 2, 1), with("b", 1, 1)];
        assert_eq!(show(&targets), "a/m ×2, b/m, then c/m");
    }
}
