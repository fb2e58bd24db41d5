//! Following all references once, so that a lookup follows none.

use std::sync::Arc;

use polyport_types::{Pattern, Text};

use super::error::{CatalogError, List};
use super::pool::Pool;
use super::route::RouteTo;
use super::target::{Stage, Target, TargetSpec};
use super::{Catalog, Chain};
use crate::Map;
use crate::roster::Strategy;

/// One reference on the way from a model to a target.
struct Step {
    name: Text,
    priority: u32,
}

impl Catalog {
    /// Follows all references once, so that a lookup follows none.
    ///
    /// # Errors
    /// All dangling references, circles and empty lists.
    pub fn check(mut self) -> Result<Self, Vec<CatalogError>> {
        let mut errors = Vec::new();
        let mut exact = Map::default();
        let mut globs = Vec::new();
        for pool in &self.pools {
            if self.models.contains_key(&pool.name) {
                errors.push(CatalogError::Twice(pool.name.clone()));
            }
            let stages = self.stages(pool, &mut errors);
            exact.insert(pool.name.clone(), Arc::new(Chain::of(stages)));
        }
        for (name, specs) in &self.models {
            if specs.is_empty() {
                errors.push(CatalogError::Empty { list: List::Model, name: name.clone() });
            } else if Pattern::is_glob(name) {
                globs.push((Pattern::new(name.clone()), self.glob_targets(name, specs, &mut errors)));
            } else if let [only] = specs.as_slice()
                && self.pool(&only.to).is_some()
            {
                // Another name of a pool: its strategy and its fall-backs hold.
                if let Some(chain) = exact.get(&only.to).cloned() {
                    exact.insert(name.clone(), chain);
                }
            } else {
                let targets = self.followed(name, &mut errors);
                exact.insert(name.clone(), Arc::new(Chain::of(vec![(None, Strategy::RoundRobin, targets)])));
            }
        }
        // The most specific pattern first; the names keep equal ones in a fixed order.
        globs.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.literal()));
        for (index, route) in self.routes.iter().enumerate() {
            let known = match &route.to {
                RouteTo::Provider(name) => self.providers.contains_key(name),
                RouteTo::Model(name) => self.direct(name).is_some() || self.list(name).is_some(),
            };
            if !known {
                errors.push(CatalogError::Route { index, to: route.to.name().clone() });
            }
        }
        if let Some(name) = &self.default_provider
            && !self.providers.contains_key(name)
        {
            errors.push(CatalogError::Default(name.clone()));
        }
        self.turns = (0..self.routes.len()).collect();
        let routes = &self.routes;
        self.turns.sort_by_key(|&at| routes.get(at).map_or(u32::MAX, |route| route.priority));
        self.words = words(&self.pools);
        self.exact = exact;
        self.globs = globs;
        if errors.is_empty() { Ok(self) } else { Err(errors) }
    }

    pub(super) fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| *pool.name == *name)
    }

    fn list(&self, name: &str) -> Option<(List, &[TargetSpec])> {
        let model = self.models.get(name).map(|specs| (List::Model, specs.as_slice()));
        model.or_else(|| Some((List::Pool, self.pool(name)?.targets.as_slice())))
    }

    fn glob_targets(&self, name: &Text, specs: &[TargetSpec], errors: &mut Vec<CatalogError>) -> Vec<Target> {
        let mut targets = Vec::with_capacity(specs.len());
        for TargetSpec { to, weight, priority } in specs {
            match self.direct(to) {
                Some((provider, model)) => {
                    targets.push(Target { provider, model, weight: (*weight).max(1), priority: *priority });
                }
                None if self.list(to).is_some() => {
                    errors.push(CatalogError::GlobToModel { model: name.clone(), to: to.clone() });
                }
                None => {
                    errors.push(CatalogError::Dangling { list: List::Model, name: name.clone(), to: to.clone() });
                }
            }
        }
        targets
    }

    /// A pool and those it falls back to, in the order in which they are tried.
    fn stages(&self, pool: &Pool, errors: &mut Vec<CatalogError>) -> Vec<(Option<Text>, Strategy, Vec<Target>)> {
        let mut stages = Vec::new();
        self.fall_back(pool, &mut vec![pool.name.clone()], &mut stages, errors);
        stages
    }

    fn fall_back(
        &self,
        pool: &Pool,
        path: &mut Vec<Text>,
        stages: &mut Vec<(Option<Text>, Strategy, Vec<Target>)>,
        errors: &mut Vec<CatalogError>,
    ) {
        // What is wrong further down the path is reported where it starts.
        let mut elsewhere = Vec::new();
        let top = path.len() == 1;
        if stages.iter().any(|(name, ..)| name.as_ref() == Some(&pool.name)) {
            return;
        }
        if pool.targets.is_empty() && top {
            errors.push(CatalogError::Empty { list: List::Pool, name: pool.name.clone() });
        }
        let targets = self.followed(&pool.name, if top { errors } else { &mut elsewhere });
        stages.push((Some(pool.name.clone()), pool.strategy, targets));
        for to in &pool.fallbacks {
            let Some(next) = self.pool(to) else {
                if top {
                    errors.push(CatalogError::Fallback { pool: pool.name.clone(), to: to.clone() });
                }
                continue;
            };
            if path.contains(to) {
                // Reported once, for the pool that begins the circle.
                if path.first() == Some(to) {
                    let path = path.iter().chain([to]).map(ToString::to_string).collect();
                    errors.push(CatalogError::FallbackCycle { pool: to.clone(), path });
                }
                continue;
            }
            path.push(to.clone());
            self.fall_back(next, path, stages, errors);
            path.pop();
        }
    }

    /// The targets behind a list.
    fn followed(&self, name: &Text, errors: &mut Vec<CatalogError>) -> Vec<Target> {
        let mut found = Vec::new();
        self.follow(name, 1, &mut vec![Step { name: name.clone(), priority: 1 }], &mut found, errors);
        flatten(found)
    }

    /// Appends the targets behind `name`, each with the priorities of all lists on the way to it, outermost first.
    fn follow(
        &self,
        name: &Text,
        weight: u32,
        path: &mut Vec<Step>,
        out: &mut Vec<(Target, Vec<u32>)>,
        errors: &mut Vec<CatalogError>,
    ) {
        let Some((list, specs)) = self.list(name) else { return };
        for spec in specs {
            let weight = weight.saturating_mul(spec.weight.max(1));
            path.push(Step { name: spec.to.clone(), priority: spec.priority });
            if self.list(&spec.to).is_some() && !Pattern::is_glob(&spec.to) {
                let earlier = path.len() - 1;
                if path.iter().take(earlier).any(|step| step.name == spec.to) {
                    let path = path.iter().map(|step| step.name.to_string()).collect();
                    errors.push(CatalogError::Cycle { list, name: name.clone(), path });
                } else {
                    self.follow(&spec.to, weight, path, out, errors);
                }
            } else if let Some((provider, model)) = self.direct(&spec.to) {
                if !out.iter().any(|(target, _)| target.provider == provider && target.model == model) {
                    let priorities = path.iter().skip(1).map(|step| step.priority).collect();
                    out.push((Target { provider, model, weight, priority: spec.priority }, priorities));
                }
            } else {
                errors.push(CatalogError::Dangling { list, name: name.clone(), to: spec.to.clone() });
            }
            path.pop();
        }
    }

    /// Splits `provider/model` at the first slash, if the provider exists.
    pub(super) fn direct(&self, name: &str) -> Option<(Text, Text)> {
        let (provider, model) = name.split_once('/')?;
        if model.is_empty() {
            return None;
        }
        let (provider, _) = self.providers.get_key_value(provider)?;
        Some((provider.clone(), model.into()))
    }
}

impl Chain {
    /// Puts the stages one after another. A target that an earlier stage has is not tried again in a later one.
    pub(super) fn of(parts: Vec<(Option<Text>, Strategy, Vec<Target>)>) -> Self {
        let mut targets: Vec<Target> = Vec::new();
        let mut stages = Vec::with_capacity(parts.len());
        for (pool, strategy, of_stage) in parts {
            let start = targets.len();
            for target in of_stage {
                let known = |known: &Target| known.provider == target.provider && known.model == target.model;
                if !targets.iter().any(known) {
                    targets.push(target);
                }
            }
            if targets.len() > start {
                stages.push(Stage { pool, strategy, targets: start..targets.len() });
            }
        }
        Self { targets: targets.into(), stages: stages.into() }
    }
}

/// All words by which names reach pools, the most specific first.
fn words(pools: &[Pool]) -> Vec<(Text, Text)> {
    let of_pool =
        |pool: &Pool| pool.matched_words().into_iter().map(|word| (word, pool.name.clone())).collect::<Vec<_>>();
    let mut words: Vec<(Text, Text)> = pools.iter().flat_map(of_pool).collect();
    words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    words
}

/// Turns the priorities of nested lists into one number: an outer list's order comes before an inner one's, so that the fall-backs
/// inside a list are tried before the fall-backs of the list around it.
fn flatten(found: Vec<(Target, Vec<u32>)>) -> Vec<Target> {
    let depth = found.iter().map(|(_, priorities)| priorities.len()).max().unwrap_or_default();
    if depth <= 1 {
        return found.into_iter().map(|(target, _)| target).collect();
    }
    let padded =
        |priorities: &[u32]| -> Vec<u32> { (0..depth).map(|at| priorities.get(at).copied().unwrap_or(1)).collect() };
    let mut ranks: Vec<Vec<u32>> = found.iter().map(|(_, priorities)| padded(priorities)).collect();
    ranks.sort();
    ranks.dedup();
    let rank = |priorities: &[u32]| {
        let wanted = padded(priorities);
        ranks.iter().zip(1u32..).find(|(rank, _)| **rank == wanted).map_or(1, |(_, number)| number)
    };
    found.iter().map(|(target, priorities)| Target { priority: rank(priorities), ..target.clone() }).collect()
}
