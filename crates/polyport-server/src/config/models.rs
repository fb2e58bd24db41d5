//! The sections `models`, `pools`, `routes` and `default_provider`.

use polyport_routing::{Catalog, CatalogError, List, Match, Mode, Pattern, Pool, Route, RouteTo, TargetSpec, Tier};
use polyport_types::{ClientProtocol, Text};

use super::check::{Context, steps};
use super::file::{self, File};
use super::problem::{Place, Problem};
use super::provider::Provider;
use super::resilience;
use super::services::Checked;
use super::tree::Step;

/// What clients may ask for. Mistakes are noted; the catalogue is then empty.
pub(super) fn catalog(file: &File, providers: &[Checked], context: &mut Context<'_>) -> Catalog {
    let mut catalog = Catalog::default()
        .with_direct(file.access.direct_models.unwrap_or(true))
        .with_mode(file.translation.mode.map(mode).or_else(|| usual_mode(context)).unwrap_or_default());
    for Checked { provider, claims } in providers {
        let claims = claims.iter().map(|claim| Pattern::new(claim.as_str())).collect();
        catalog = catalog.with_provider(provider.name.clone(), provider.protocol(), provider.models.clone(), claims);
    }
    // A provider with a mistake of its own is not also reported as missing, and a disabled one takes its targets with it.
    let made = |name: &str| providers.iter().any(|checked| checked.provider.name == *name);
    for (name, given) in &file.providers.0 {
        if given.enabled != Some(false) && !made(name) {
            let protocol = polyport_types::Protocol::Chat;
            catalog = catalog.with_provider(name.as_str(), protocol, Vec::new(), Vec::new());
        }
    }
    if !made("echo") && !file.providers.0.iter().any(|(name, _)| name == "echo") {
        let echo = Provider::echo();
        catalog = catalog.with_provider(echo.name.clone(), echo.protocol(), echo.models, Vec::new());
    }
    for (name, targets) in &file.models.0 {
        if let Some(specs) = specs(List::Model, name, &targets.0, file, context) {
            catalog = catalog.with_model(name.as_str(), specs);
        }
    }
    for (name, given) in &file.pools.0 {
        if let Some(pool) = pool(name, given, file, context) {
            catalog = catalog.with_pool(pool);
        }
    }
    for (tier, variable) in VIRTUAL {
        if let Some((name, pool)) = virtual_model(&catalog, tier, variable, context) {
            catalog = catalog.with_model(name, vec![TargetSpec::new(pool)]);
        }
    }
    let mut routes = Vec::new();
    for (at, given) in file.routes.iter().enumerate() {
        if let Some(route) = route(at, given, file, providers, context) {
            catalog = catalog.with_route(route);
            routes.push(at);
        }
    }
    let preferred = preferred(file, providers, context);
    let default = match (file.default_provider.as_ref().or(preferred.as_ref()), providers) {
        (Some(name), _) if name == "none" && providers.iter().all(|checked| *checked.provider.name != *"none") => None,
        (Some(name), _) => Some(Text::from(name.as_str())),
        (None, [only]) => Some(only.provider.name.clone()),
        (None, _) => None,
    };
    match catalog.with_default(default).check() {
        Ok(catalog) => catalog,
        Err(errors) => {
            for error in errors {
                note(&error, file, &routes, context);
            }
            Catalog::default()
        }
    }
}

/// What names the pools of the tiers in other gateways.
const VIRTUAL: [(Tier, &str); 3] = [
    (Tier::Tool, "VIRTUAL_MODEL_TOOL"),
    (Tier::Normal, "VIRTUAL_MODEL_NORMAL"),
    (Tier::Advanced, "VIRTUAL_MODEL_ADVANCED"),
];

/// Another name of the pool of a tier, and that pool.
fn virtual_model(catalog: &Catalog, tier: Tier, variable: &str, context: &mut Context<'_>) -> Option<(Text, Text)> {
    let name = context.environment.get(variable)?;
    let pool = catalog.pools().iter().find(|pool| pool.tier == Some(tier));
    let warning = match pool {
        Some(pool) if *pool.name == *name => return None,
        Some(_) if Pattern::is_glob(name) => {
            Some(("a pattern names no model", "write a name such as `haiku`".to_owned()))
        }
        Some(_) if catalog.names().any(|known| **known == *name) => Some((
            "this name is taken by another model, so the pool has only its own",
            "choose another name".to_owned(),
        )),
        Some(_) => None,
        None => {
            let remedy =
                format!("add one: `pools: {{ {name}: {{ tier: {}, targets: [provider/model] }} }}`", tier.as_str());
            Some(("there is no pool of this tier, so the name leads nowhere", remedy))
        }
    };
    if let Some((message, remedy)) = warning {
        context.problems.push(Problem::warning(Place::Env(variable.to_owned()), message).remedy(remedy));
        return None;
    }
    Some((name.into(), pool?.name.clone()))
}

/// The provider that `PREFERRED_PROVIDER` names, where the file names none.
fn preferred(file: &File, providers: &[Checked], context: &mut Context<'_>) -> Option<String> {
    let name = context.environment.get("PREFERRED_PROVIDER").filter(|_| file.default_provider.is_none())?.to_owned();
    let given = file.providers.0.iter().map(|(name, _)| name.as_str());
    let known: Vec<&str> = providers.iter().map(|checked| &*checked.provider.name).chain(given).collect();
    if !known.contains(&name.as_str()) {
        let place = Place::Env("PREFERRED_PROVIDER".to_owned());
        let problem = Problem::error(place, "there is no provider of this name");
        context.problems.push(problem.remedy(super::read::suggestion(&name, &known, "providers are")));
        return None;
    }
    Some(name)
}

/// What `MODE` says, in the words of another gateway.
fn usual_mode(context: &Context<'_>) -> Option<Mode> {
    match context.environment.get("MODE")? {
        "transformer" | "transform" => Some(Mode::Transform),
        "direct" => Some(Mode::Direct),
        // Many programs have a mode.
        _ => None,
    }
}

/// The targets of a model, without those of disabled providers. `None` if nothing is left.
fn specs(
    list: List,
    name: &str,
    targets: &[file::Target],
    file: &File,
    context: &mut Context<'_>,
) -> Option<Vec<TargetSpec>> {
    let path = list_path(list, name);
    let at = |index: usize| if targets.len() == 1 { path.clone() } else { [path.clone(), steps![index]].concat() };
    let mut specs = Vec::with_capacity(targets.len());
    let mut disabled = 0;
    if name.is_empty() {
        let message = format!("the name of a {} is empty", list.as_str());
        context.error(&path, message, "name it, or use the pattern `*` in `models`");
    }
    for (index, target) in targets.iter().enumerate() {
        if target.target.is_empty() {
            context.error(&at(index), "the target is missing", "write `provider/model` or `target: provider/model`");
            continue;
        }
        if target.weight == Some(0) {
            context.error(&at(index), "a weight of 0 would never be used", "leave the target out, or use priority");
        }
        let provider = target.target.split_once('/').map_or("", |(provider, _)| provider);
        if file.providers.0.iter().any(|(known, given)| known == provider && given.enabled == Some(false)) {
            disabled += 1;
            continue;
        }
        specs.push(TargetSpec {
            to: target.target.as_str().into(),
            weight: target.weight.unwrap_or(1).max(1),
            priority: target.priority.unwrap_or(1),
        });
    }
    if specs.is_empty() && !targets.is_empty() {
        if disabled == targets.len() {
            let message = format!("all its providers are disabled, so the {} is left out", list.as_str());
            context.warning(&path, message, format!("enable one of them, or remove the {}", list.as_str()));
        }
        return None;
    }
    Some(specs)
}

/// Where a list of targets stands.
fn list_path(list: List, name: &str) -> Vec<Step> {
    match list {
        List::Model => steps!["models", name],
        List::Pool => steps!["pools", name, "targets"],
    }
}

fn pool(name: &str, given: &file::Pool, file: &File, context: &mut Context<'_>) -> Option<Pool> {
    if Pattern::is_glob(name) {
        let remedy = "use `words` to reach a pool by many names, or a pattern in `models`";
        context.error(&steps!["pools", name], "the name of a pool holds `*`", remedy);
        return None;
    }
    for (at, word) in given.words.iter().enumerate() {
        if word.trim().is_empty() {
            context.error(&steps!["pools", name, "words", at], "the word is empty", "leave it out");
        }
    }
    Some(Pool {
        name: name.into(),
        tier: given.tier.map(|tier| match tier {
            file::Tier::Tool => Tier::Tool,
            file::Tier::Normal => Tier::Normal,
            file::Tier::Advanced => Tier::Advanced,
        }),
        words: given.words.iter().map(|word| Text::from(word.trim())).collect(),
        targets: specs(List::Pool, name, &given.targets.0, file, context)?,
        strategy: given.strategy.map(Into::into).unwrap_or_default(),
        fallbacks: given.fallbacks.iter().map(|to| Text::from(to.as_str())).collect(),
    })
}

fn mode(given: file::Mode) -> Mode {
    match given {
        file::Mode::Transform => Mode::Transform,
        file::Mode::Direct => Mode::Direct,
    }
}

fn route(
    at: usize,
    given: &file::Route,
    file: &File,
    providers: &[Checked],
    context: &mut Context<'_>,
) -> Option<Route> {
    let path = steps!["routes", at];
    let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text.as_str())).collect();
    let when = Match {
        model: given.when.model.as_deref().map(Pattern::new),
        contains: given.when.model_contains.0.iter().map(|part| Text::from(part.as_str())).collect(),
        protocol: given.when.protocol.map(client_protocol),
        headers: given.when.header.0.iter().map(|(name, value)| (lower(name), Pattern::new(value.as_str()))).collect(),
        callers: patterns(&given.when.caller.0),
    };
    if when.is_empty() {
        let remedy =
            "give `match` a `model`, `model_contains`, `protocol`, `header` or `caller`, or use `default_provider`";
        context.error(&path, "the route has no condition", remedy);
        return None;
    }
    if given.to.is_empty() {
        let remedy = "set `to` to a provider, `provider/model`, a model or a pool";
        context.error(&path, "the route leads nowhere", remedy);
        return None;
    }
    if !affordable(at, given, context) {
        return None;
    }
    keys_known(at, given, providers, context);
    let to = Text::from(given.to.as_str());
    let is_provider = file.providers.0.iter().any(|(name, _)| *name == given.to) || given.to == "echo";
    Some(Route {
        when,
        to: if is_provider { RouteTo::Provider(to) } else { RouteTo::Model(to) },
        priority: given.priority.unwrap_or(1),
        overrides: given.overrides,
        mode: given.mode.map(mode),
        keys: given.keys.iter().map(|key| Text::from(key.as_str())).collect(),
        retry: resilience::route_retry(&given.retry, file, &path, context),
        hedge: given.hedge.as_ref().map(|hedge| resilience::hedge(hedge, &[path, steps!["hedge"]].concat(), context)),
        disconnect: super::money::disconnect(given.disconnect, given.drain_tokens),
        capture: given.capture,
    })
}

/// Texts of one route, and characters of one of them: every request is compared with them. Patterns take time in proportion to both lengths
/// at most.
const MOST_TEXTS: usize = 256;
const LONGEST_TEXT: usize = 512;

/// Whether a rule costs no more than one may.
fn affordable(at: usize, given: &file::Route, context: &mut Context<'_>) -> bool {
    let when = &given.when;
    let headers = when.header.0.iter().flat_map(|(name, value)| [name, value]);
    let texts: Vec<&String> =
        when.model.iter().chain(&when.model_contains.0).chain(&when.caller.0).chain(headers).collect();
    if texts.len() > MOST_TEXTS {
        let message = format!("the route has more than {MOST_TEXTS} conditions");
        context.error(&steps!["routes", at, "match"], message, "write several routes, or a pattern");
        return false;
    }
    if texts.iter().any(|text| text.len() > LONGEST_TEXT) {
        let message = format!("a condition is longer than {LONGEST_TEXT} characters");
        context.error(&steps!["routes", at, "match"], message, "no request holds such a text; shorten it");
        return false;
    }
    true
}

fn lower(name: &str) -> Text {
    name.to_ascii_lowercase().into()
}

/// The keys of a route have to be some provider's: a misspelt one would leave the route without any.
fn keys_known(at: usize, given: &file::Route, providers: &[Checked], context: &mut Context<'_>) {
    let provider = given.to.split_once('/').map_or(given.to.as_str(), |(provider, _)| provider);
    let one = providers.iter().find(|checked| checked.provider.name == *provider);
    let of = one.map_or(providers, std::slice::from_ref);
    let known: Vec<&str> =
        of.iter().flat_map(|checked| checked.provider.credentials()).map(|key| &*key.label).collect();
    for (index, key) in given.keys.iter().enumerate().filter(|(_, key)| !known.contains(&key.as_str())) {
        let whose = if one.is_some() { format!("`{provider}`") } else { "any provider".to_owned() };
        let message = format!("`{key}` is not the name of a key of {whose}");
        context.error(&steps!["routes", at, "keys", index], message, super::read::suggestion(key, &known, "known are"));
    }
}

fn client_protocol(protocol: file::Protocol) -> ClientProtocol {
    match protocol {
        file::Protocol::Chat => ClientProtocol::Chat,
        file::Protocol::Responses => ClientProtocol::Responses,
        file::Protocol::Messages => ClientProtocol::Messages,
        file::Protocol::Gemini => ClientProtocol::Gemini,
    }
}

/// `routes` are the positions in the file of the routes that went into the catalogue.
fn note(error: &CatalogError, file: &File, routes: &[usize], context: &mut Context<'_>) {
    let (path, remedy): (Vec<Step>, String) = match error {
        CatalogError::Dangling { list, name, to } => (target_path(file, *list, name, to), missing(file, to)),
        CatalogError::GlobToModel { model, to } => {
            (target_path(file, List::Model, model, to), "write `provider/*`".to_owned())
        }
        CatalogError::Cycle { list, name, path } => {
            let to = path.last().map_or("", String::as_str);
            (target_path(file, *list, name, to), "let one of them lead to `provider/model`".to_owned())
        }
        CatalogError::Empty { list, name } => (list_path(*list, name), "give `provider/model`".to_owned()),
        CatalogError::Twice(name) => (steps!["pools", &**name], "give one of them another name".to_owned()),
        CatalogError::Fallback { pool, to } => {
            let pools: Vec<&str> = file.pools.0.iter().map(|(name, _)| name.as_str()).collect();
            let others: Vec<&str> = pools.into_iter().filter(|name| *name != &**pool).collect();
            (fallback_path(file, pool, to), super::read::suggestion(to, &others, "pools are"))
        }
        CatalogError::FallbackCycle { pool, path } => {
            let next = path.get(1).map_or("", String::as_str);
            (fallback_path(file, pool, next), "leave one of the fall-backs out".to_owned())
        }
        CatalogError::Route { index, to } => {
            (steps!["routes", routes.get(*index).copied().unwrap_or(*index), "to"], missing(file, to))
        }
        CatalogError::Default(name) => (steps!["default_provider"], missing(file, name)),
    };
    context.error(&path, error.to_string(), remedy);
}

/// The path of the entry of a list that holds `to`.
fn target_path(file: &File, list: List, name: &str, to: &str) -> Vec<Step> {
    let path = list_path(list, name);
    let targets = match list {
        List::Model => file.models.0.iter().find(|(known, _)| known == name).map(|(_, targets)| &targets.0),
        List::Pool => file.pools.0.iter().find(|(known, _)| known == name).map(|(_, pool)| &pool.targets.0),
    };
    match targets.filter(|targets| targets.len() > 1).and_then(|all| all.iter().position(|one| one.target == to)) {
        Some(at) => [path, steps![at]].concat(),
        None => path,
    }
}

fn fallback_path(file: &File, pool: &str, to: &str) -> Vec<Step> {
    let given = file.pools.0.iter().find(|(name, _)| name == pool).map(|(_, pool)| &pool.fallbacks);
    match given.and_then(|fallbacks| fallbacks.iter().position(|fallback| fallback == to)) {
        Some(at) => steps!["pools", pool, "fallbacks", at],
        None => steps!["pools", pool],
    }
}

fn missing(file: &File, to: &str) -> String {
    let providers: Vec<&str> = file.providers.0.iter().map(|(name, _)| name.as_str()).collect();
    match to.split_once('/') {
        Some((provider, _)) => {
            let known = super::read::suggestion(provider, &providers, "providers are");
            if known.is_empty() { format!("add `{provider}` to `providers`") } else { known }
        }
        None => {
            let models = file.models.0.iter().map(|(name, _)| name.as_str());
            let pools = file.pools.0.iter().map(|(name, _)| name.as_str());
            let names: Vec<&str> = models.chain(pools).chain(providers).filter(|name| *name != to).collect();
            super::read::suggestion(to, &names, "known are")
        }
    }
}
