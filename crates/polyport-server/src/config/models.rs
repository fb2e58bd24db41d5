//! The sections `models`, `routes` and `default_provider`.

use polyport_routing::{Catalog, CatalogError, Pattern, Route, RouteTo, TargetSpec};
use polyport_types::{ClientProtocol, Text};

use super::check::{Context, steps};
use super::file::{self, File};
use super::provider::Provider;
use super::services::Checked;
use super::tree::Step;

/// What clients may ask for. Mistakes are noted; the catalogue is then empty.
pub(super) fn catalog(file: &File, providers: &[Checked], context: &mut Context<'_>) -> Catalog {
    let mut catalog = Catalog::default().with_direct(file.access.direct_models.unwrap_or(true));
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
        if let Some(specs) = specs(name, &targets.0, file, context) {
            catalog = catalog.with_model(name.as_str(), specs);
        }
    }
    let mut routes = Vec::new();
    for (at, given) in file.routes.iter().enumerate() {
        if let Some(route) = route(at, given, file, context) {
            catalog = catalog.with_route(route);
            routes.push(at);
        }
    }
    let default = match (&file.default_provider, providers) {
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

/// The targets of a model, without those of disabled providers. `None` if nothing is left.
fn specs(name: &str, targets: &[file::Target], file: &File, context: &mut Context<'_>) -> Option<Vec<TargetSpec>> {
    let at = |index: usize| if targets.len() == 1 { steps!["models", name] } else { steps!["models", name, index] };
    let mut specs = Vec::with_capacity(targets.len());
    let mut disabled = 0;
    if name.is_empty() {
        context.error(&steps!["models", name], "the name of a model is empty", "name it, or use the pattern `*`");
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
            let message = "all its providers are disabled, so the model is left out";
            context.warning(&steps!["models", name], message, "enable one of them, or remove the model");
        }
        return None;
    }
    Some(specs)
}

fn route(at: usize, given: &file::Route, file: &File, context: &mut Context<'_>) -> Option<Route> {
    let path = steps!["routes", at];
    if given.when.model_contains.is_none() && given.when.protocol.is_none() {
        let remedy = "give `match: { model_contains: … }` or `match: { protocol: … }`, or use `default_provider`";
        context.error(&path, "the route has no condition", remedy);
        return None;
    }
    if given.to.is_empty() {
        context.error(&path, "the route leads nowhere", "set `to` to a provider, `provider/model` or a model");
        return None;
    }
    let to = Text::from(given.to.as_str());
    let is_provider = file.providers.0.iter().any(|(name, _)| *name == given.to) || given.to == "echo";
    Some(Route {
        model_contains: given.when.model_contains.as_deref().map(Text::from),
        protocol: given.when.protocol.map(client_protocol),
        to: if is_provider { RouteTo::Provider(to) } else { RouteTo::Model(to) },
    })
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
        CatalogError::Dangling { model, to } => (target_path(file, model, to), missing(file, to)),
        CatalogError::GlobToModel { model, to } => (target_path(file, model, to), "write `provider/*`".to_owned()),
        CatalogError::Cycle { model, path } => {
            let to = path.last().map_or("", String::as_str);
            (target_path(file, model, to), "let one of them lead to `provider/model`".to_owned())
        }
        CatalogError::Empty { model } => (steps!["models", &**model], "give `provider/model`".to_owned()),
        CatalogError::Route { index, to } => {
            (steps!["routes", routes.get(*index).copied().unwrap_or(*index), "to"], missing(file, to))
        }
        CatalogError::Default(name) => (steps!["default_provider"], missing(file, name)),
    };
    context.error(&path, error.to_string(), remedy);
}

/// The path of the entry of `model` that holds `to`.
fn target_path(file: &File, model: &str, to: &str) -> Vec<Step> {
    let targets = file.models.0.iter().find(|(name, _)| name == model).map(|(_, targets)| targets.0.as_slice());
    match targets {
        Some(targets) if targets.len() > 1 => match targets.iter().position(|target| target.target == to) {
            Some(at) => steps!["models", model, at],
            None => steps!["models", model],
        },
        _ => steps!["models", model],
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
            let names: Vec<&str> = models.chain(providers).filter(|name| *name != to).collect();
            super::read::suggestion(to, &names, "known are")
        }
    }
}
