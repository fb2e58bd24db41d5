//! Which targets stand behind a model name.
//!
//! | file | content |
//! |---|---|
//! | `target` | targets, lists of them, stages |
//! | `pool` | virtual models and the words that lead to them |
//! | `route` | rules that look at the request |
//! | `follow` | references followed once, when the configuration is read |
//! | `error` | what can be wrong |

mod error;
mod follow;
mod pool;
mod route;
mod similar;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use polyport_types::{Pattern, Protocol, Text};

pub use self::error::{CatalogError, List, NoRoute, UnknownModel};
pub use self::pool::{Pool, Tier};
pub use self::route::{Disconnect, Hints, Match, Route, RouteTo, Rule};
pub use self::target::{Mode, Stage, Target, TargetSpec};
use crate::Map;
use crate::hedge::Hedge;
use crate::retry::RetryPolicy;
use crate::roster::Strategy;

/// Targets and the rule that found them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Never empty; in the order of the configuration.
    pub targets: Arc<[Target]>,
    /// Which of them belong together; tried one after another.
    pub stages: Arc<[Stage]>,
    /// Why these.
    pub rule: Rule,
    /// How bodies reach the provider.
    pub mode: Mode,
    /// Only these credentials, by name; empty for all.
    pub keys: Arc<[Text]>,
    /// How failures are retried, where the route says so.
    pub retry: Option<RetryPolicy>,
    /// When a second attempt is made, where the route says so.
    pub hedge: Option<Arc<Hedge>>,
    /// What becomes of an answer whose client has left, where the route says so.
    pub disconnect: Option<Disconnect>,
    /// Prompts and answers are kept in the request log.
    pub capture: bool,
}

impl Resolved {
    /// These targets in this order, whatever the catalogue says.
    #[must_use]
    pub fn ordered(targets: Vec<Target>) -> Self {
        let Chain { targets, stages } = Chain::of(vec![(None, Strategy::Ordered, targets)]);
        Self {
            targets,
            stages,
            rule: Rule::Direct,
            mode: Mode::Transform,
            keys: Arc::default(),
            retry: None,
            hedge: None,
            disconnect: None,
            capture: false,
        }
    }

    /// Only with the credentials of these names.
    #[must_use]
    pub fn with_keys(self, keys: impl Into<Arc<[Text]>>) -> Self {
        Self { keys: keys.into(), ..self }
    }

    /// Without the targets for which `keep` does not hold; there may be none left.
    #[must_use]
    pub fn filtered(self, keep: impl Fn(&Target) -> bool) -> Self {
        if self.targets.iter().all(&keep) {
            return self;
        }
        let stage = |stage: &Stage| {
            let targets = self.targets.get(stage.targets.clone()).unwrap_or_default();
            (stage.pool.clone(), stage.strategy, targets.iter().filter(|target| keep(target)).cloned().collect())
        };
        let Chain { targets, stages } = Chain::of(self.stages.iter().map(stage).collect());
        Self { targets, stages, ..self }
    }

    /// What the turns of these targets are counted under: requests that reach the same pool or list by different names share them.
    #[must_use]
    pub fn turns_of(&self) -> &str {
        match (self.stages.first().and_then(|stage| stage.pool.as_ref()), &self.rule) {
            (Some(pool), _) => pool,
            (None, Rule::Model(name) | Rule::Pool(name) | Rule::Glob(name) | Rule::Claimed(name)) => name,
            (None, _) => self.targets.first().map_or("", |target| &target.model),
        }
    }
}

/// Targets in stages.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chain {
    targets: Arc<[Target]>,
    stages: Arc<[Stage]>,
}

#[derive(Clone, Debug)]
struct ProviderEntry {
    protocol: Protocol,
    models: Vec<Text>,
    claims: Vec<Pattern>,
}

/// The models clients may ask for. Build it with the `with_…` functions, then [`Catalog::check`] it.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    models: BTreeMap<Text, Vec<TargetSpec>>,
    pools: Vec<Pool>,
    exact: Map<Text, Arc<Chain>>,
    globs: Vec<(Pattern, Vec<Target>)>,
    /// Words and the pools they lead to, the longest first.
    words: Vec<(Text, Text)>,
    routes: Vec<Route>,
    /// The order in which routes are asked.
    turns: Vec<usize>,
    mode: Mode,
    providers: BTreeMap<Text, ProviderEntry>,
    order: Vec<Text>,
    default_provider: Option<Text>,
    refuse_direct: bool,
}

impl Catalog {
    /// Adds a provider. `models` are names it is known to serve, `claims` are patterns of names that are probably its own. Of several
    /// that list or claim a name, one that speaks the client's protocol goes first, then the order of adding decides.
    #[must_use]
    pub fn with_provider(
        mut self,
        name: impl Into<Text>,
        protocol: Protocol,
        models: Vec<Text>,
        claims: Vec<Pattern>,
    ) -> Self {
        let name = name.into();
        if self.providers.insert(name.clone(), ProviderEntry { protocol, models, claims }).is_none() {
            self.order.push(name);
        }
        self
    }

    /// Adds a model name, which may hold `*`.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<Text>, targets: Vec<TargetSpec>) -> Self {
        self.models.insert(name.into(), targets);
        self
    }

    /// Adds a pool. Of several with the same words the one added first gets the names.
    #[must_use]
    pub fn with_pool(mut self, pool: Pool) -> Self {
        self.pools.retain(|known| known.name != pool.name);
        self.pools.push(pool);
        self
    }

    /// How bodies reach providers where the route does not say otherwise.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Adds a route after those already there.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Gives names that no rule knows to this provider.
    #[must_use]
    pub fn with_default(mut self, provider: Option<Text>) -> Self {
        self.default_provider = provider;
        self
    }

    /// Whether clients may name `provider/model` themselves (they may unless this is called with false).
    #[must_use]
    pub fn with_direct(mut self, allowed: bool) -> Self {
        self.refuse_direct = !allowed;
        self
    }

    /// Finds the targets of a model name.
    ///
    /// # Errors
    /// [`NoRoute`] when no rule fits, or nobody behind the name can be reached without conversion where that is wanted.
    pub fn resolve(&self, model: &str, hints: Hints<'_>) -> Result<Resolved, NoRoute> {
        let resolved = self.lookup(model, &hints).ok_or_else(|| self.unknown(model))?;
        self.unconverted(model, &hints, resolved)
    }

    /// The targets of a pool, whatever routes say of its name. `None` if there is no such pool, or nothing is left of it.
    #[must_use]
    pub fn behind_pool(&self, name: &str) -> Option<Resolved> {
        let pool = self.pool(name)?;
        Some(self.found(self.exact.get(&pool.name)?, Rule::Pool(pool.name.clone())))
    }

    fn unknown(&self, model: &str) -> UnknownModel {
        match model.char_indices().nth(LONGEST_NAME) {
            None => UnknownModel { model: model.into(), similar: self.similar(model) },
            // Comparing grows with the length, and nobody reads so much.
            Some((end, _)) => {
                let start = model.get(..end).unwrap_or_default();
                UnknownModel { model: format!("{start}…").into(), similar: Vec::new() }
            }
        }
    }

    /// In direct mode, only the targets that speak the client's protocol.
    fn unconverted(&self, model: &str, hints: &Hints<'_>, resolved: Resolved) -> Result<Resolved, NoRoute> {
        let Some(protocol) = hints.protocol.filter(|_| resolved.mode == Mode::Direct) else { return Ok(resolved) };
        let fits =
            |target: &Target| self.providers.get(&target.provider).is_some_and(|entry| hints.speaks(entry.protocol));
        let targets = Arc::clone(&resolved.targets);
        let resolved = resolved.filtered(fits);
        if resolved.targets.is_empty() {
            let mut providers: Vec<Text> = Vec::new();
            for target in &*targets {
                if !providers.contains(&target.provider) {
                    providers.push(target.provider.clone());
                }
            }
            return Err(NoRoute::NotDirect { model: model.into(), protocol, providers });
        }
        Ok(resolved)
    }

    fn lookup(&self, model: &str, hints: &Hints<'_>) -> Option<Resolved> {
        if !model.is_empty()
            && let Some(found) = self.routed(model, hints, true)
        {
            return Some(found);
        }
        if let Some((name, chain)) = self.exact.get_key_value(model) {
            let name = name.clone();
            let rule = if self.models.contains_key(&name) { Rule::Model(name) } else { Rule::Pool(name) };
            return Some(self.found(chain, rule));
        }
        if !self.refuse_direct
            && let Some((provider, model)) = self.direct(model)
        {
            return Some(self.of_targets(vec![Target::new(provider, model)], Rule::Direct));
        }
        if model.is_empty() {
            return None;
        }
        if let Some((targets, pattern)) = self.globbed(model) {
            return Some(self.of_targets(targets, Rule::Glob(pattern)));
        }
        if let Some(found) = self.routed(model, hints, false) {
            return Some(found);
        }
        if let Some((word, pool)) = self.words.iter().find(|(word, _)| pool::holds_word(model, word)) {
            let rule = Rule::Word { pool: pool.clone(), word: word.clone() };
            return Some(self.found(self.exact.get(pool)?, rule));
        }
        if let Some(targets) = self.listed(model, hints) {
            return Some(self.of_targets(targets, Rule::Listed));
        }
        if let Some((provider, claim)) = self.claimed(model, hints) {
            let rule = Rule::Claimed(claim.as_str().into());
            return Some(self.of_targets(vec![Target::new(provider, model)], rule));
        }
        let provider = self.default_provider.clone()?;
        Some(self.of_targets(vec![Target::new(provider, model)], Rule::Default))
    }

    fn found(&self, chain: &Chain, rule: Rule) -> Resolved {
        let Chain { targets, stages } = chain;
        Resolved {
            targets: Arc::clone(targets),
            stages: Arc::clone(stages),
            rule,
            mode: self.mode,
            keys: Arc::default(),
            retry: None,
            hedge: None,
            disconnect: None,
            capture: false,
        }
    }

    fn of_targets(&self, targets: Vec<Target>, rule: Rule) -> Resolved {
        self.found(&Chain::of(vec![(None, Strategy::RoundRobin, targets)]), rule)
    }

    /// The first route that holds, of those before or those after the listed names.
    fn routed(&self, model: &str, hints: &Hints<'_>, first: bool) -> Option<Resolved> {
        let routes = self.turns.iter().filter_map(|&at| Some((at, self.routes.get(at)?)));
        routes.filter(|(_, route)| route.goes_first() == first && route.when.fits(model, hints)).find_map(
            |(at, route)| {
                let found = self.behind(route, model, Rule::Route(at))?;
                let keys = if route.keys.is_empty() { found.keys } else { route.keys.clone().into() };
                let (retry, hedge) = (route.retry.clone(), route.hedge.clone());
                let (mode, disconnect, capture) = (route.mode.unwrap_or(self.mode), route.disconnect, route.capture);
                Some(Resolved { mode, keys, retry, hedge, disconnect, capture, ..found })
            },
        )
    }

    fn behind(&self, route: &Route, model: &str, rule: Rule) -> Option<Resolved> {
        let name = match &route.to {
            RouteTo::Provider(name) => return Some(self.of_targets(vec![Target::new(name.clone(), model)], rule)),
            RouteTo::Model(name) => name,
        };
        if let Some(chain) = self.exact.get(name) {
            return Some(self.found(chain, rule));
        }
        let (provider, template) = self.direct(name)?;
        let model = match &route.when.model {
            _ if *template == *"*" => model.into(),
            Some(pattern) if Pattern::is_glob(&template) => pattern.rewrite(model, &template)?.into(),
            Some(_) | None => template,
        };
        Some(self.of_targets(vec![Target::new(provider, model)], rule))
    }

    /// All providers that list the model: the first one, the others as fall-backs.
    fn listed(&self, model: &str, hints: &Hints<'_>) -> Option<Vec<Target>> {
        let mut names: Vec<(bool, &Text)> = self
            .providers_in_order()
            .filter(|(_, entry)| entry.models.iter().any(|known| **known == *model))
            .map(|(name, entry)| (!hints.speaks(entry.protocol), name))
            .collect();
        // The sort is stable: inside a group the order of the configuration stays.
        names.sort_by_key(|(other_protocol, _)| *other_protocol);
        let targets: Vec<Target> = names
            .into_iter()
            .zip(1..)
            .map(|((_, name), priority)| Target { priority, ..Target::new(name.clone(), model) })
            .collect();
        (!targets.is_empty()).then_some(targets)
    }

    /// The provider with the most specific claim on the name.
    fn claimed(&self, model: &str, hints: &Hints<'_>) -> Option<(Text, &Pattern)> {
        let best = |entry: &'_ ProviderEntry| -> Option<usize> {
            entry.claims.iter().filter(|claim| claim.matches(model)).map(Pattern::literal).max()
        };
        let (_, name, entry) = self
            .providers_in_order()
            .enumerate()
            .filter_map(|(at, (name, entry))| {
                Some(((best(entry)?, hints.speaks(entry.protocol), std::cmp::Reverse(at)), name, entry))
            })
            .max_by_key(|(rank, ..)| *rank)?;
        let claim = entry.claims.iter().filter(|claim| claim.matches(model)).max_by_key(|claim| claim.literal())?;
        Some((name.clone(), claim))
    }

    fn providers_in_order(&self) -> impl Iterator<Item = (&Text, &ProviderEntry)> {
        self.order.iter().filter_map(|name| self.providers.get_key_value(name))
    }

    fn globbed(&self, model: &str) -> Option<(Vec<Target>, Text)> {
        let (pattern, targets) = self.globs.iter().find(|(pattern, _)| pattern.matches(model))?;
        let targets = targets
            .iter()
            .filter_map(|target| {
                Some(Target { model: pattern.rewrite(model, &target.model)?.into(), ..target.clone() })
            })
            .collect();
        Some((targets, pattern.as_str().into()))
    }

    /// The names a client may ask for, without globs: pools and configured models first, then those the providers list.
    pub fn names(&self) -> impl Iterator<Item = &Text> {
        let pools = self.pools.iter().map(|pool| &pool.name);
        let configured = pools.chain(self.models.keys().filter(|name| !Pattern::is_glob(name)));
        let listed = self
            .providers_in_order()
            .flat_map(|(_, entry)| &entry.models)
            .filter(|name| !self.models.contains_key(*name) && self.pool(name).is_none());
        configured.chain(listed)
    }

    /// The pools, in the order of adding.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The routes, in the order of adding.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The headers that routes look at: no others need be given in [`Hints::headers`].
    pub fn headers(&self) -> impl Iterator<Item = &Text> {
        self.routes.iter().flat_map(|route| &route.when.headers).map(|(name, _)| name)
    }

    /// The configured names with `*` and their targets as written, most specific first.
    pub fn globs(&self) -> impl Iterator<Item = (&str, &[Target])> {
        self.globs.iter().map(|(pattern, targets)| (pattern.as_str(), targets.as_slice()))
    }

    /// Patterns of names that go to a provider without being listed, in the order of the providers.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.providers_in_order().flat_map(|(name, entry)| entry.claims.iter().map(move |claim| (claim.as_str(), name)))
    }

    /// The default provider.
    #[must_use]
    pub fn default_provider(&self) -> Option<&Text> {
        self.default_provider.as_ref()
    }

    fn similar(&self, model: &str) -> Vec<Text> {
        let asked = model.to_lowercase();
        let mut near: Vec<(usize, &Text)> = self
            .names()
            .filter_map(|name| {
                let distance = similar::distance(&asked, &name.to_lowercase());
                (distance * 3 <= asked.chars().count()).then_some((distance, name))
            })
            .collect();
        near.sort();
        near.into_iter().take(3).map(|(_, name)| name.clone()).collect()
    }
}

/// Longer names are not looked at for similar ones, and not repeated.
const LONGEST_NAME: usize = 200;
