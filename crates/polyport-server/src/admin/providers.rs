//! Services that answer, and their own lists of models.

use std::sync::Arc;
use std::time::Duration;

use polyport_routing::{Ask, Tried};
use polyport_types::{Fault, FaultClass, Text};
use serde_json::{Value, json};

use super::{Refusal, View, What, definitions, extend, state, trial};
use crate::config::{Credential, Origin, Provider, Service};
use crate::credentials::{Check, probe};
use crate::relay::learned::Lesson;

/// By its name, or by its id in the database.
pub(super) fn one(view: &View, id: &str) -> Result<Value, Refusal> {
    definitions::named(all(view), "provider", id)
}

/// Those in force, then those that are not.
pub(super) fn all(view: &View) -> Vec<Value> {
    let config = &view.runtime.config;
    let mut providers: Vec<Value> = config.providers().map(|provider| in_force(view, provider)).collect();
    for name in &config.disabled {
        let declared = definitions::in_force(view, What::Provider, name);
        let mut shown = json!({ "name": name, "enabled": false, "state": "disabled", "origin": "file" });
        extend(&mut shown, declared.map(|one| definitions::about(view, one)).unwrap_or_default());
        providers.push(shown);
    }
    providers.extend(definitions::out(view, What::Provider));
    providers
}

fn in_force(view: &View, provider: &Provider) -> Value {
    let mut shown = json!({
        "name": provider.name,
        "protocol": provider.protocol().as_str(),
        "address": provider.address(),
        "enabled": true,
        "origin": provider.origin.as_str(),
        "models": provider.models,
        "quirks": provider.table,
        "credentials": provider.credentials().len(),
        "key_missing": matches!(&provider.service, Service::Http(http) if http.missing_credential),
    });
    if let Some(health) = view.fleet.provider(&provider.name) {
        extend(&mut shown, state(&health.state(view.now)));
        let resting = health.resting_models(view.now).into_iter().map(|(model, of)| {
            let mut shown = json!({ "model": model });
            extend(&mut shown, state(&of));
            shown
        });
        extend(&mut shown, json!({ "resting_models": resting.collect::<Vec<_>>() }));
        extend(&mut shown, json!({ "in_flight": health.roster().in_flight() }));
        extend(&mut shown, json!({ "learned": lessons(view, &provider.name) }));
        // Asked only when nothing else can serve.
        extend(&mut shown, json!({ "passed_over": health.passed_over(view.now) }));
    }
    let every = match &provider.service {
        Service::Http(http) => http.probe_every,
        Service::Process(_) | Service::Echo => None,
    };
    let ids = provider.credentials().iter().map(|credential| Some(&credential.member.id)).chain([None]);
    let last = ids.filter_map(|id| view.app.credentials.check_of(&provider.name, id)).max_by_key(|check| check.at);
    let every = every.map(|every| every.as_millis());
    extend(&mut shown, json!({ "probe": { "every_ms": every, "last": last.as_ref().map(checked) } }));
    if provider.origin == Origin::Database
        && let Some(declared) = definitions::in_force(view, What::Provider, &provider.name)
    {
        extend(&mut shown, definitions::about(view, declared));
    }
    shown
}

/// What its refusals taught.
pub(super) fn learned(view: &View, name: &str) -> Result<Value, Refusal> {
    known(view, name)?;
    Ok(json!({ "provider": name, "learned": lessons(view, name) }))
}

/// Forgets that.
pub(super) fn forget(view: &View, name: &str) -> Result<Value, Refusal> {
    known(view, name)?;
    view.app.learned.forget(name);
    learned(view, name)
}

fn lessons(view: &View, name: &str) -> Vec<Value> {
    let shown = |(model, lesson): (Text, Lesson)| json!({ "model": model, "member": lesson.member, "instead": lesson.instead, "since": lesson.since, "message": lesson.words });
    view.app.learned.of(name, view.now).into_iter().map(shown).collect()
}

fn known<'v>(view: &'v View, name: &str) -> Result<&'v Arc<Provider>, Refusal> {
    let unknown = || Refusal::not_found(format!("there is no provider `{}`", super::shown(name)));
    view.runtime.config.provider(name).ok_or_else(unknown)
}

/// The last health check.
pub(super) fn checked(check: &Check) -> Value {
    let (code, message) = check.fault.as_ref().map(|(class, message)| (class.as_str(), message)).unzip();
    json!({ "at": check.at, "outcome": check.outcome.as_str(), "code": code, "message": message })
}

/// Asks the provider, with the first of its credentials that can be used.
pub(super) async fn models(view: &View, name: &str) -> Result<Value, Refusal> {
    let provider = known(view, name)?;
    if !matches!(provider.service, Service::Http(_)) {
        return Ok(json!({ "provider": name, "models": provider.models }));
    }
    let credential = best_credential(view, provider);
    let asked = probe::models(&view.runtime, name, credential.map(|credential| &credential.member.id));
    // As long as one that is tried.
    let patience = Duration::from_millis(trial::USUAL_TIME);
    let answer = tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| {
        let words = format!("provider `{name}` gave no answer within {} seconds", patience.as_secs());
        Err(Fault::new(FaultClass::Timeout, words))
    });
    let models = answer?;
    Ok(json!({ "provider": name, "models": models }))
}

/// The first of its credentials that can be used, or the first at all.
pub(super) fn best_credential<'p>(view: &View, provider: &'p Provider) -> Option<&'p Credential> {
    let credentials = provider.credentials();
    let usable = view.fleet.provider(&provider.name).and_then(|health| {
        let ask = Ask { model: "", now: view.now, turn: 0, among: None };
        (0..credentials.len()).find(|&index| health.roster().barred(index, &ask, &Tried::default()).is_none())
    });
    usable.and_then(|index| credentials.get(index)).or_else(|| credentials.first())
}
