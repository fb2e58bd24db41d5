//! LiteLLM: `config.yaml` with its list of models, and its settings.

mod deployment;
mod settings;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::has;
use crate::draft::{Draft, Target, object};
use crate::format::Look;
use crate::source::{Kind, Node, Source};

/// References to variables.
pub(super) const ENV: &[&str] = &["os.environ/"];

pub(super) fn is_like(look: &Look<'_>, _: bool) -> bool {
    let models = look.tree().and_then(|tree| tree.get("model_list")?.as_array());
    models.is_some_and(|all| all.iter().any(|one| has(one, "litellm_params")))
}

/// What is known while models are read.
struct Models<'a> {
    /// Providers by what they differ in.
    providers: HashMap<String, String>,
    /// Named credentials of the file.
    credentials: HashMap<String, Node<'a>>,
    /// Requests a minute of each provider, summed over its models.
    paces: BTreeMap<String, u64>,
    /// Targets by the name that clients ask for, in their order.
    pools: Vec<(String, Vec<Target>)>,
    prices: Vec<Value>,
}

pub(super) fn read<'a>(source: &'a Source, draft: &mut Draft<'a>) {
    let roots: Vec<Node<'a>> = source.roots(Kind::Tree).collect();
    for root in &roots {
        if let Some(variables) = root.get("environment_variables") {
            draft.variables(&variables);
        }
    }
    let mut models = Models {
        providers: HashMap::new(),
        credentials: HashMap::new(),
        paces: BTreeMap::new(),
        pools: Vec::new(),
        prices: Vec::new(),
    };
    for root in &roots {
        for entry in root.get("credential_list").iter().flat_map(Node::items) {
            if let (Some(name), Some(values)) = (entry.get("credential_name"), entry.get("credential_values")) {
                models.credentials.insert(name.said(), values.clone());
                name.exact("credentials of the providers that name it");
            }
        }
        // Patterns first: `anthropic/*` needs a provider of that very name.
        let is_pattern = |entry: &Node<'_>| entry.get("model_name").is_some_and(|name| name.said().contains('*'));
        let entries: Vec<Node<'a>> = root.get("model_list").iter().flat_map(Node::items).collect();
        let (patterns, names): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_pattern);
        for entry in patterns.iter().chain(&names) {
            deployment::read(entry, &mut models, draft);
        }
    }
    for (provider, pace) in &models.paces {
        draft.change_credentials(provider, "pace", format!("{pace}/m"));
    }
    for (name, targets) in &models.pools {
        draft.pool(name, targets, Map::new());
    }
    if !models.prices.is_empty() {
        draft.set("accounting.prices", models.prices);
    }
    for root in &roots {
        settings::read(root, draft);
    }
}

impl Models<'_> {
    /// One more target of a name. A name with a star becomes a route, if that can say what is meant.
    fn add(&mut self, name: &str, target: Target, draft: &mut Draft<'_>) -> Option<String> {
        if name.contains('*') {
            let (provider, model) = target.to.split_once('/').unwrap_or((&target.to, ""));
            // `openai/*` is what a provider of that name is asked for anyway.
            if name.strip_suffix("/*") == Some(provider) && model == "*" {
                return Some(format!("providers.{provider}"));
            }
            if name != "*" && model == "*" {
                return None;
            }
            draft.route(
                name,
                object([
                    ("match", Some(json!({ "model": name }))),
                    ("to", Some(target.to.as_str().into())),
                    // The more exact pattern goes first.
                    ("priority", Some(u64::try_from(100_usize.saturating_sub(name.len())).unwrap_or(1).max(2).into())),
                ]),
            );
            return Some("routes".to_owned());
        }
        match self.pools.iter_mut().find(|(known, _)| known == name) {
            Some((_, targets)) if targets.iter().any(|known| known.to == target.to) => {}
            Some((_, targets)) => targets.push(target),
            None => self.pools.push((name.to_owned(), vec![target])),
        }
        Some(format!("pools.{name}"))
    }
}
