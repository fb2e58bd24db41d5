//! Which targets stand behind a model name.

use std::collections::{BTreeMap, HashMap};

use polyport_types::{ClientProtocol, Pattern, Protocol, Text};

/// A provider and its name of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider's name in the configuration.
    pub provider: Text,
    /// The name that provider knows the model by.
    pub model: Text,
    /// Share among targets of the same priority; at least 1.
    pub weight: u32,
    /// Lower goes first; targets of a higher number are fall-backs.
    pub priority: u32,
}

impl Target {
    /// A target of weight 1 and priority 1.
    #[must_use]
    pub fn new(provider: impl Into<Text>, model: impl Into<Text>) -> Self {
        Self { provider: provider.into(), model: model.into(), weight: 1, priority: 1 }
    }
}

/// What one entry of a model's list names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// `provider/model`, split at the first slash, or the name of another model.
    pub to: Text,
    /// Share among targets of the same priority.
    pub weight: u32,
    /// Lower goes first.
    pub priority: u32,
}

impl TargetSpec {
    /// A reference of weight 1 and priority 1.
    #[must_use]
    pub fn new(to: impl Into<Text>) -> Self {
        Self { to: to.into(), weight: 1, priority: 1 }
    }
}

/// A rule that looks at the name instead of listing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The model name holds this text, in any case.
    pub model_contains: Option<Text>,
    /// The client speaks this protocol.
    pub protocol: Option<ClientProtocol>,
    /// Where to.
    pub to: RouteTo,
}

/// Where a [`Route`] leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTo {
    /// To a provider, which gets the name as asked for.
    Provider(Text),
    /// To `provider/model` or to another model of the catalogue.
    Model(Text),
}

/// What is known about a request beside its model name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    /// The client's protocol.
    pub protocol: Option<ClientProtocol>,
}

impl Hints {
    fn speaks(self, protocol: Protocol) -> bool {
        self.protocol.is_some_and(|client| Protocol::from(client) == protocol)
    }
}

/// Which rule found the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The name is listed.
    Model(Text),
    /// `provider/model` asked for directly.
    Direct,
    /// A listed name with `*`.
    Glob(Text),
    /// A route, by its position in the configuration.
    Route(usize),
    /// The provider lists the model.
    Listed,
    /// The name looks like one of that provider's.
    Claimed(Text),
    /// Nothing else fitted: the default provider.
    Default,
}

/// Targets and the rule that found them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Never empty; in the order of the configuration.
    pub targets: Vec<Target>,
    /// Why these.
    pub rule: Rule,
}

/// No rule leads from this name to a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown model `{model}`{}", match similar.as_slice() {
    [] => String::new(),
    some => format!("; similar: {}", some.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
})]
pub struct UnknownModel {
    /// The name asked for, cut after 200 characters.
    pub model: Text,
    /// Known names that look like it, at most three.
    pub similar: Vec<Text>,
}

/// A mistake in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A reference leads nowhere.
    #[error(
        "model `{model}` leads to `{to}`, which is neither `provider/model` of a configured provider nor another model"
    )]
    Dangling {
        /// The model whose list holds it.
        model: Text,
        /// The reference.
        to: Text,
    },
    /// Models lead to one another in a circle.
    #[error("model `{model}` leads back to itself: {}", path.join(" → "))]
    Cycle {
        /// Where the circle was found.
        model: Text,
        /// The way round.
        path: Vec<String>,
    },
    /// A model without targets.
    #[error("model `{model}` has no targets")]
    Empty {
        /// The model.
        model: Text,
    },
    /// A glob leads to another model, which could not keep the name.
    #[error("model `{model}` holds `*`, so it must lead to `provider/…`, not to `{to}`")]
    GlobToModel {
        /// The glob.
        model: Text,
        /// The reference.
        to: Text,
    },
    /// A route leads to a provider or model that does not exist.
    #[error("the route leads to `{to}`, which is neither a provider, a model nor `provider/model`")]
    Route {
        /// Position in the list, from 0.
        index: usize,
        /// The reference.
        to: Text,
    },
    /// The default provider does not exist.
    #[error("the default provider `{0}` is not configured")]
    Default(Text),
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
    exact: HashMap<Text, Vec<Target>>,
    globs: Vec<(Pattern, Vec<Target>)>,
    routes: Vec<Route>,
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

    /// Follows all references once, so that a lookup follows none.
    ///
    /// # Errors
    /// All dangling references, circles and empty lists.
    pub fn check(mut self) -> Result<Self, Vec<CatalogError>> {
        let mut errors = Vec::new();
        let mut exact = HashMap::new();
        let mut globs = Vec::new();
        for (name, specs) in &self.models {
            if specs.is_empty() {
                errors.push(CatalogError::Empty { model: name.clone() });
                continue;
            }
            if Pattern::is_glob(name) {
                let mut targets = Vec::with_capacity(specs.len());
                for spec in specs {
                    match self.direct(&spec.to) {
                        Some((provider, model)) => targets.push(Target {
                            provider,
                            model,
                            weight: spec.weight.max(1),
                            priority: spec.priority,
                        }),
                        None if self.models.contains_key(&spec.to) => {
                            errors.push(CatalogError::GlobToModel { model: name.clone(), to: spec.to.clone() });
                        }
                        None => errors.push(CatalogError::Dangling { model: name.clone(), to: spec.to.clone() }),
                    }
                }
                globs.push((Pattern::new(name.clone()), targets));
            } else {
                let mut found = Vec::new();
                let start = Step { model: name.clone(), priority: 1 };
                self.follow(name, 1, &mut vec![start], &mut found, &mut errors);
                exact.insert(name.clone(), flatten(found));
            }
        }
        // The most specific pattern first; the names keep equal ones in a fixed order.
        globs.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.literal()));
        for (index, route) in self.routes.iter().enumerate() {
            let (known, to) = match &route.to {
                RouteTo::Provider(name) => (self.providers.contains_key(name), name),
                RouteTo::Model(name) => (self.direct(name).is_some() || self.models.contains_key(name), name),
            };
            if !known {
                errors.push(CatalogError::Route { index, to: to.clone() });
            }
        }
        if let Some(name) = &self.default_provider
            && !self.providers.contains_key(name)
        {
            errors.push(CatalogError::Default(name.clone()));
        }
        self.exact = exact;
        self.globs = globs;
        if errors.is_empty() { Ok(self) } else { Err(errors) }
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
        let Some(specs) = self.models.get(name) else { return };
        for spec in specs {
            let weight = weight.saturating_mul(spec.weight.max(1));
            path.push(Step { model: spec.to.clone(), priority: spec.priority });
            if self.models.contains_key(&spec.to) && !Pattern::is_glob(&spec.to) {
                let earlier = path.len() - 1;
                if path.iter().take(earlier).any(|step| step.model == spec.to) {
                    let path = path.iter().map(|step| step.model.to_string()).collect();
                    errors.push(CatalogError::Cycle { model: name.clone(), path });
                } else {
                    self.follow(&spec.to, weight, path, out, errors);
                }
            } else if let Some((provider, model)) = self.direct(&spec.to) {
                if !out.iter().any(|(target, _)| target.provider == provider && target.model == model) {
                    let priorities = path.iter().skip(1).map(|step| step.priority).collect();
                    out.push((Target { provider, model, weight, priority: spec.priority }, priorities));
                }
            } else {
                errors.push(CatalogError::Dangling { model: name.clone(), to: spec.to.clone() });
            }
            path.pop();
        }
    }

    /// Splits `provider/model` at the first slash, if the provider exists.
    fn direct(&self, name: &str) -> Option<(Text, Text)> {
        let (provider, model) = name.split_once('/')?;
        if model.is_empty() {
            return None;
        }
        let (provider, _) = self.providers.get_key_value(provider)?;
        Some((provider.clone(), model.into()))
    }

    /// Finds the targets of a model name.
    ///
    /// # Errors
    /// [`UnknownModel`] when no rule fits.
    pub fn resolve(&self, model: &str, hints: Hints) -> Result<Resolved, UnknownModel> {
        self.lookup(model, hints).ok_or_else(|| match model.char_indices().nth(LONGEST_NAME) {
            None => UnknownModel { model: model.into(), similar: self.similar(model) },
            // Comparing grows with the length, and nobody reads so much.
            Some((end, _)) => {
                let start = model.get(..end).unwrap_or_default();
                UnknownModel { model: format!("{start}…").into(), similar: Vec::new() }
            }
        })
    }

    fn lookup(&self, model: &str, hints: Hints) -> Option<Resolved> {
        if let Some((name, targets)) = self.exact.get_key_value(model) {
            return Some(Resolved { targets: targets.clone(), rule: Rule::Model(name.clone()) });
        }
        if !self.refuse_direct
            && let Some((provider, model)) = self.direct(model)
        {
            return Some(Resolved { targets: vec![Target::new(provider, model)], rule: Rule::Direct });
        }
        if model.is_empty() {
            return None;
        }
        if let Some((targets, pattern)) = self.globbed(model) {
            return Some(Resolved { targets, rule: Rule::Glob(pattern) });
        }
        for (index, route) in self.routes.iter().enumerate() {
            if route.fits(model, hints)
                && let Some(targets) = self.route_targets(&route.to, model)
            {
                return Some(Resolved { targets, rule: Rule::Route(index) });
            }
        }
        if let Some(targets) = self.listed(model, hints) {
            return Some(Resolved { targets, rule: Rule::Listed });
        }
        if let Some((provider, claim)) = self.claimed(model, hints) {
            let rule = Rule::Claimed(claim.as_str().into());
            return Some(Resolved { targets: vec![Target::new(provider, model)], rule });
        }
        let provider = self.default_provider.clone()?;
        Some(Resolved { targets: vec![Target::new(provider, model)], rule: Rule::Default })
    }

    /// All providers that list the model: the first one, the others as fall-backs.
    fn listed(&self, model: &str, hints: Hints) -> Option<Vec<Target>> {
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
    fn claimed(&self, model: &str, hints: Hints) -> Option<(Text, &Pattern)> {
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

    fn route_targets(&self, to: &RouteTo, model: &str) -> Option<Vec<Target>> {
        match to {
            RouteTo::Provider(name) => Some(vec![Target::new(name.clone(), model)]),
            RouteTo::Model(name) => match self.exact.get(name) {
                Some(targets) => Some(targets.clone()),
                None => self.direct(name).map(|(provider, model)| vec![Target::new(provider, model)]),
            },
        }
    }

    /// The names a client may ask for, without globs: configured ones first, then those the providers list.
    pub fn names(&self) -> impl Iterator<Item = &Text> {
        let configured = self.models.keys().filter(|name| !Pattern::is_glob(name));
        let listed = self
            .providers_in_order()
            .flat_map(|(_, entry)| &entry.models)
            .filter(|name| !self.models.contains_key(*name));
        configured.chain(listed)
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
                let distance = distance(&asked, &name.to_lowercase());
                (distance * 3 <= asked.chars().count()).then_some((distance, name))
            })
            .collect();
        near.sort();
        near.into_iter().take(3).map(|(_, name)| name.clone()).collect()
    }
}

/// Longer names are not looked at for similar ones, and not repeated.
const LONGEST_NAME: usize = 200;

/// One reference on the way from a model to a target.
struct Step {
    model: Text,
    priority: u32,
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

impl Route {
    fn fits(&self, model: &str, hints: Hints) -> bool {
        let name = self.model_contains.as_ref().is_none_or(|part| model.to_lowercase().contains(&part.to_lowercase()));
        let protocol = self.protocol.is_none_or(|wanted| hints.protocol == Some(wanted));
        name && protocol
    }
}

/// Levenshtein distance, for suggestions only; long names are not compared.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 80;
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX / 4;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, &cb) in row.iter_mut().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(ca != cb)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        Catalog::default()
            .with_provider("openai", Protocol::Chat, vec!["gpt-5".into()], vec![Pattern::new("gpt-*")])
            .with_provider("claude", Protocol::Messages, vec![], vec![Pattern::new("claude-*")])
            .with_provider("local", Protocol::Chat, vec!["qwen3:8b".into()], vec![])
            .with_model("best", vec![TargetSpec::new("openai/gpt-5")])
            .with_model("alias", vec![TargetSpec::new("best")])
            .with_model("claude-*", vec![TargetSpec::new("claude/*")])
            .with_model("claude-haiku-*", vec![TargetSpec::new("openai/gpt-mini-*")])
            .with_model(
                "fast",
                vec![
                    TargetSpec { weight: 2, ..TargetSpec::new("openai/gpt-5-mini") },
                    TargetSpec { priority: 2, ..TargetSpec::new("local/meta/llama") },
                ],
            )
    }

    fn first(catalog: &Catalog, model: &str) -> (String, Rule) {
        let resolved = catalog.resolve(model, Hints::default()).unwrap();
        let target = &resolved.targets[0];
        (format!("{} {}", target.provider, target.model), resolved.rule)
    }

    #[test]
    fn rules_in_order() {
        let catalog = catalog().check().unwrap();
        assert_eq!(first(&catalog, "best"), ("openai gpt-5".into(), Rule::Model("best".into())));
        assert_eq!(first(&catalog, "alias"), ("openai gpt-5".into(), Rule::Model("alias".into())));
        assert_eq!(first(&catalog, "local/a/b"), ("local a/b".into(), Rule::Direct));
        assert_eq!(first(&catalog, "claude-opus"), ("claude claude-opus".into(), Rule::Glob("claude-*".into())));
        assert_eq!(first(&catalog, "claude-haiku-4").0, "openai gpt-mini-4");
        assert_eq!(first(&catalog, "qwen3:8b"), ("local qwen3:8b".into(), Rule::Listed));
        assert_eq!(first(&catalog, "gpt-9"), ("openai gpt-9".into(), Rule::Claimed("gpt-*".into())));
    }

    #[test]
    fn a_slash_of_an_unknown_provider_is_part_of_the_name() {
        let catalog = catalog().with_default(Some("local".into())).check().unwrap();
        assert_eq!(first(&catalog, "meta-llama/Llama-3"), ("local meta-llama/Llama-3".into(), Rule::Default));
    }

    #[test]
    fn lists_keep_weights_and_priorities() {
        let catalog = catalog().check().unwrap();
        let targets = catalog.resolve("fast", Hints::default()).unwrap().targets;
        assert_eq!(targets.len(), 2);
        assert_eq!((targets[0].weight, targets[0].priority), (2, 1));
        assert_eq!((&*targets[1].model, targets[1].priority), ("meta/llama", 2));
    }

    #[test]
    fn a_list_inside_a_list_keeps_the_outer_order() {
        let catalog = catalog()
            .with_model(
                "outer",
                vec![TargetSpec::new("fast"), TargetSpec { priority: 2, ..TargetSpec::new("claude/opus") }],
            )
            .check()
            .unwrap();
        let mut targets = catalog.resolve("outer", Hints::default()).unwrap().targets;
        targets.sort_by_key(|target| target.priority);
        let order: Vec<&str> = targets.iter().map(|target| &*target.provider).collect();
        assert_eq!(order, ["openai", "local", "claude"]);
    }

    #[test]
    fn routes_look_at_keywords_and_protocol() {
        let to = |name: &str| RouteTo::Provider(name.into());
        let catalog = catalog()
            .with_route(Route { model_contains: Some("GPT".into()), protocol: None, to: to("local") })
            .with_route(Route { model_contains: None, protocol: Some(ClientProtocol::Messages), to: to("claude") })
            .check()
            .unwrap();
        assert_eq!(first(&catalog, "my-gpt-x"), ("local my-gpt-x".into(), Rule::Route(0)));
        let hints = Hints { protocol: Some(ClientProtocol::Messages) };
        assert_eq!(catalog.resolve("other", hints).unwrap().rule, Rule::Route(1));
        assert!(catalog.resolve("other", Hints::default()).is_err());
    }

    #[test]
    fn the_clients_own_protocol_goes_first_among_equals() {
        let claims = |patterns: &[&str]| patterns.iter().map(|&pattern| Pattern::new(pattern.to_owned())).collect();
        let catalog = Catalog::default()
            .with_provider("chat", Protocol::Chat, vec!["m".into()], claims(&["gpt-*"]))
            .with_provider("resp", Protocol::Responses, vec!["m".into()], claims(&["gpt-*", "gpt-*-pro*"]))
            .check()
            .unwrap();
        let go = |model: &str, protocol| {
            let resolved = catalog.resolve(model, Hints { protocol: Some(protocol) }).unwrap();
            resolved.targets.iter().map(|target| target.provider.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(go("m", ClientProtocol::Responses), ["resp", "chat"]);
        assert_eq!(go("m", ClientProtocol::Gemini), ["chat", "resp"]);
        assert_eq!(go("gpt-5", ClientProtocol::Responses), ["resp"]);
        assert_eq!(go("gpt-5", ClientProtocol::Messages), ["chat"]);
        // A more specific claim beats the protocol.
        assert_eq!(go("gpt-5-pro", ClientProtocol::Chat), ["resp"]);
    }

    #[test]
    fn unknown_names_get_suggestions() {
        let error = catalog().check().unwrap().resolve("bst", Hints::default()).unwrap_err();
        assert_eq!(error.similar, ["best"]);
        assert_eq!(error.to_string(), "unknown model `bst`; similar: `best`");
    }

    #[test]
    fn direct_requests_can_be_refused() {
        let catalog = catalog().with_direct(false).check().unwrap();
        assert!(catalog.resolve("local/a", Hints::default()).is_err());
    }

    #[test]
    fn mistakes_are_all_named() {
        let errors = Catalog::default()
            .with_provider("p", Protocol::Chat, vec![], vec![])
            .with_model("a", vec![TargetSpec::new("b")])
            .with_model("b", vec![TargetSpec::new("a")])
            .with_model("c", vec![TargetSpec::new("nowhere/x")])
            .with_model("d", vec![])
            .with_model("e*", vec![TargetSpec::new("a")])
            .with_route(Route { model_contains: None, protocol: None, to: RouteTo::Provider("q".into()) })
            .with_default(Some("r".into()))
            .check()
            .unwrap_err();
        let kinds: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(kinds.iter().any(|e| e == "model `b` leads back to itself: a → b → a"), "{kinds:?}");
        assert!(kinds.iter().any(|e| e.contains("`nowhere/x`")));
        assert!(kinds.iter().any(|e| e == "model `d` has no targets"));
        assert!(kinds.iter().any(|e| e.contains("`e*` holds `*`")));
        assert!(kinds.iter().any(|e| e.contains("the route leads to `q`")));
        assert!(kinds.iter().any(|e| e.contains("default provider `r`")));
    }
}
