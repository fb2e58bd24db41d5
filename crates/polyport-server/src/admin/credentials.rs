//! Keys and accounts: state and counts, and what operators do about them.

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::sync::Arc;

use http::StatusCode;
use polyport_provider::auth::{Account, Standing};
use polyport_routing::{Counts, ProviderHealth, State};
use polyport_types::{Fault, Text};
use serde_json::{Value, json};

use super::providers::checked;
use super::query::{Query, key_of};
use super::{Refusal, View, What, definitions, extend, shown, state};
use crate::clock;
use crate::config::definitions::{Definition, switch_of_credential};
use crate::config::{Credential, Means, Origin, Provider};
use crate::credentials::quota::{self, Told};
use crate::credentials::{Check, Outcome, judge, probe};
use crate::registry::Registry;

/// What can be done about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Enable,
    Disable,
    Refresh,
    Probe,
    Quota,
    Revive,
}

/// A credential with its place among those of its provider.
pub(super) struct Seat<'a> {
    pub(super) provider: &'a Arc<Provider>,
    pub(super) credential: &'a Credential,
    account: Option<&'a Arc<Account>>,
    health: &'a Arc<ProviderHealth>,
    index: usize,
}

impl Seat<'_> {
    /// Its name in addresses: that in the database, or that of its provider and its own there.
    pub(super) fn id(&self) -> String {
        id_of(self.provider, self.credential)
    }

    /// What may be shown of its secret.
    pub(super) fn masked(&self) -> String {
        match &self.credential.means {
            Means::Key(header) => header.masked(),
            Means::Aws(key) => key.masked(),
            Means::Account(settings) => match self.account {
                Some(account) => account.tokens().refresh.masked(),
                None => settings.tokens.refresh.masked(),
            },
        }
    }

    pub(super) fn is_account(&self) -> bool {
        self.account.is_some()
    }

    /// Whether its service tells what is left of its allowance.
    pub(super) fn tells_quota(&self) -> bool {
        quota::is_told(self.provider)
    }

    pub(super) fn counts(&self) -> Counts {
        self.health.roster().counts(self.index)
    }

    pub(super) fn state(&self, view: &View) -> State {
        self.health.roster().state(self.index, view.now)
    }

    /// Why its access token is not renewed.
    pub(super) fn refresh_error(&self) -> Option<String> {
        match self.account?.standing() {
            Standing::Good => None,
            Standing::Waiting { error, .. } | Standing::Dead(error) => Some(error.to_string()),
        }
    }

    /// Whether the next request may use it: it does not rest, and it has a token or may get one.
    pub(super) fn usable(&self, view: &View) -> bool {
        let tokens = self
            .account
            .is_none_or(|account| account.present().is_some() || matches!(account.standing(), Standing::Good));
        self.state(view) == State::Ready && tokens
    }

    /// The members that lists are narrowed by, as [`Seat::shown`] has them.
    fn rough(&self, view: &View) -> Value {
        let state_now = self.state(view);
        let mut rough = json!({
            "id": self.id(),
            "provider": self.provider.name,
            "label": self.credential.label,
            "kind": if self.account.is_some() { "account" } else { "key" },
            "origin": self.origin().as_str(),
            "enabled": state_now != State::Disabled,
        });
        extend(&mut rough, state(&state_now));
        rough
    }

    fn shown(&self, view: &View) -> Value {
        let (credential, member, roster) = (self.credential, &self.credential.member, self.health.roster());
        let state_now = self.state(view);
        let mut shown = json!({
            "id": self.id(),
            "provider": self.provider.name,
            "label": credential.label,
            "kind": if self.account.is_some() { "account" } else { "key" },
            "masked": self.masked(),
            "origin": self.origin().as_str(),
            "enabled": state_now != State::Disabled,
            "weight": member.weight,
            "priority": member.priority,
            "limits": {
                "requests": (member.concurrency > 0).then_some(member.concurrency),
                "pace": member.pace.map(|pace| json!({ "requests": pace.requests, "per_ms": pace.per })),
            },
            "usable": self.usable(view),
            "in_flight": roster.in_flight_of(self.index),
        });
        extend(&mut shown, state(&state_now));
        let models = roster.model_states(self.index, view.now).into_iter().map(|(model, of)| {
            let mut shown = json!({ "model": model });
            extend(&mut shown, state(&of));
            shown
        });
        extend(&mut shown, json!({ "models": models.collect::<Vec<_>>() }));
        extend(&mut shown, counts(self, ["requests", "successes", "failures"]));
        let check = view.app.credentials.check_of(&self.provider.name, Some(&member.id));
        extend(&mut shown, json!({ "probe": check.as_ref().map(checked) }));
        if quota::is_told(self.provider) {
            let told = view.app.credentials.quota_of(&self.provider.name, &member.id);
            extend(
                &mut shown,
                json!({ "quota": told.map(|told| json!({ "at": told.at, "buckets": told.quota.buckets })) }),
            );
        }
        if let (Some(account), Means::Account(settings)) = (self.account, &credential.means) {
            let account = json!({
                "expires_at": account.tokens().expires_at_ms,
                "next_refresh": account.next_refresh_ms(),
                "refresh_error": self.refresh_error(),
                "project": settings.project.as_ref().or_else(|| self.found_project(view)),
            });
            extend(&mut shown, json!({ "account": account }));
        }
        if let Some(declared) = self.declared(view) {
            extend(&mut shown, definitions::about(view, declared));
        }
        shown
    }

    /// The project that the service gave it.
    fn found_project<'v>(&self, view: &'v View) -> Option<&'v Text> {
        let upstream = view.runtime.provider(&self.provider.name)?;
        let at = self.provider.credentials().iter().position(|one| one.member.id == self.credential.member.id)?;
        upstream.project(at)?.get()
    }

    fn origin(&self) -> Origin {
        if self.credential.stored.is_some() { Origin::Database } else { self.provider.origin }
    }

    /// What the database says of it, if it is declared there.
    pub(super) fn declared<'v>(&self, view: &'v View) -> Option<&'v Arc<Definition>> {
        view.runtime.config.declared.definitions.find(self.credential.stored.as_ref()?)
    }
}

/// What a credential was used for; `names` are those of all attempts, the good and the bad ones.
pub(super) fn counts(seat: &Seat<'_>, names: [&str; 3]) -> Value {
    let Counts { requests, successes, failures, last_used, statuses } = seat.health.roster().counts(seat.index);
    let judged = successes + failures;
    let codes: BTreeMap<String, u64> = statuses.into_iter().map(|(code, count)| (code.to_string(), count)).collect();
    let mut counts = json!({
        // What neither went well nor failed was given up by its client.
        "success_rate": (judged > 0).then(|| successes as f64 / judged as f64),
        "status_codes": codes,
        "last_used": (last_used > 0).then_some(last_used),
    });
    for (name, count) in names.into_iter().zip([requests, successes, failures]) {
        extend(&mut counts, json!({ name: count }));
    }
    counts
}

/// All credentials, in the order of the configuration.
pub(super) fn all(view: &View) -> impl Iterator<Item = Seat<'_>> {
    view.runtime.config.providers().flat_map(move |provider| {
        let upstream = view.runtime.provider(&provider.name);
        let health = view.fleet.provider(&provider.name);
        provider.credentials().iter().enumerate().filter_map(move |(at, credential)| {
            let health = health?;
            let index = health.roster().find(&credential.member.id)?;
            let account = upstream.and_then(|upstream| upstream.account(at));
            Some(Seat { provider, credential, account, health, index })
        })
    })
}

fn id_of(provider: &Provider, credential: &Credential) -> String {
    match &credential.stored {
        Some(id) => id.to_string(),
        None => format!("{}:{}", provider.name, credential.member.id),
    }
}

/// The id of a credential, by that which attempts are logged with; `None` where it is gone. Without a provider the first that has it counts.
pub(super) fn id_of_logged(view: &View, provider: Option<&str>, logged: &str) -> Option<String> {
    let providers = view.runtime.config.providers();
    let mut asked = providers.filter(|one| provider.is_none_or(|name| *one.name == *name));
    asked.find_map(|provider| {
        let index = view.fleet.provider(&provider.name)?.roster().find(logged)?;
        let credential = provider.credentials().get(index).filter(|one| *one.member.id == *logged)?;
        Some(id_of(provider, credential))
    })
}

/// What attempts of a credential are logged with: the provider, if the id tells it, and an id. One that is gone is asked for by what the log has.
pub(super) fn logged_as(view: &View, id: &str) -> (Option<String>, String) {
    if let Ok(seat) = find(view, id) {
        return (Some(seat.provider.name.to_string()), seat.credential.member.id.to_string());
    }
    match id.rsplit_once(':') {
        Some((provider, member)) => (Some(provider.to_owned()), member.to_owned()),
        None => (None, id.to_owned()),
    }
}

fn find<'a>(view: &'a View, id: &str) -> Result<Seat<'a>, Refusal> {
    let (provider, member) = id.rsplit_once(':').unwrap_or(("", id));
    all(view)
        .find(|seat| {
            let stored = seat.credential.stored.as_ref().is_some_and(|stored| **stored == *id);
            stored || (*seat.provider.name == *provider && *seat.credential.member.id == *member)
        })
        .ok_or_else(|| Refusal::not_found(format!("there is no `{}` among the credentials", shown(id))))
}

/// Those that are used, then the others of the database, page by page: there may be a hundred thousand.
pub(super) fn page(view: &View, query: &Query) -> Result<Value, Refusal> {
    let seats = all(view).map(Entry::Used);
    // They are looked for only where the page reaches them.
    let others = iter::once(()).flat_map(move |()| without_seat(view).map(Entry::Idle));
    let key = |one: &Entry<'_>| key_of(&one.rough(view));
    query.page_of("credentials", seats.chain(others), |one| one.is_left(view, query), key, |one| one.shown(view))
}

/// A line of the list.
enum Entry<'a> {
    Used(Seat<'a>),
    Idle(&'a Arc<Definition>),
}

impl Entry<'_> {
    /// Whether a query leaves it. The provider is compared as it is: to write out what else is compared takes long for a hundred thousand.
    fn is_left(&self, view: &View, query: &Query) -> bool {
        match self {
            Self::Used(seat) => {
                query.get("provider").is_none_or(|name| *seat.provider.name == *name)
                    && (!query.narrows_beside(&["provider"]) || query.leaves(&seat.rough(view)))
            }
            Self::Idle(_) => query.leaves(&self.rough(view)),
        }
    }

    /// What lists are narrowed by.
    fn rough(&self, view: &View) -> Value {
        match self {
            Self::Used(seat) => seat.rough(view),
            Self::Idle(one) => definitions::about(view, one),
        }
    }

    fn shown(&self, view: &View) -> Value {
        match self {
            Self::Used(seat) => seat.shown(view),
            Self::Idle(one) => definitions::about(view, one),
        }
    }
}

/// Those of the database that are not in force, or whose provider is not.
pub(super) fn without_seat(view: &View) -> impl Iterator<Item = &Arc<Definition>> {
    let stored = &view.runtime.config.declared.definitions.list;
    let seated: HashSet<&Text> = all(view).filter_map(|seat| seat.credential.stored.as_ref()).collect();
    stored.iter().filter(move |one| one.kind == What::Credential && !seated.contains(&one.id))
}

pub(super) fn one(view: &View, id: &str) -> Result<Value, Refusal> {
    match find(view, id) {
        Ok(seat) => Ok(seat.shown(view)),
        Err(refusal) => {
            let idle = without_seat(view).find(|one| *one.id == *id).ok_or(refusal)?;
            Ok(definitions::about(view, idle))
        }
    }
}

/// The id in the database of a credential.
pub(super) fn stored_id(view: &View, id: &str) -> Result<Text, Refusal> {
    if let Some(declared) = view.runtime.config.declared.definitions.find(id).filter(|one| one.kind == What::Credential)
    {
        return Ok(declared.id.clone());
    }
    let seat = find(view, id)?;
    seat.credential.stored.clone().ok_or_else(|| definitions::elsewhere(view, "this credential", seat.provider.origin))
}

pub(super) fn statistics(view: &View) -> Value {
    const STATES: [&str; 6] = ["ready", "cooling", "exhausted", "refreshing", "invalid", "disabled"];
    let mut states: BTreeMap<&str, u64> = STATES.into_iter().map(|state| (state, 0)).collect();
    let (mut total, mut usable) = (0, 0);
    let mut sum = Counts::default();
    for seat in all(view) {
        total += 1;
        usable += u64::from(seat.usable(view));
        *states.entry(seat.state(view).as_str()).or_default() += 1;
        sum.add(&seat.health.roster().counts(seat.index));
    }
    json!({
        "total": total, "usable": usable, "states": states,
        "requests": sum.requests, "successes": sum.successes, "failures": sum.failures,
    })
}

pub(super) fn health(view: &View) -> Vec<Value> {
    let health = all(view).map(|seat| {
        let mut shown = json!({
            "id": seat.id(), "provider": seat.provider.name, "label": seat.credential.label,
            "healthy": seat.usable(view), "refresh_error": seat.refresh_error(),
        });
        extend(&mut shown, state(&seat.state(view)));
        shown
    });
    health.collect()
}

/// Ready if one of them is usable.
pub(super) fn readiness(view: &View) -> (StatusCode, Value) {
    let usable = all(view).filter(|seat| seat.usable(view)).count();
    let status = if usable > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json!({ "ready": usable > 0, "usable": usable }))
}

pub(super) async fn act(view: &View, id: &str, act: Act) -> Result<Value, Refusal> {
    if let (Act::Enable | Act::Disable, Some(registry)) = (act, &view.app.registry) {
        return switch(view, registry, id, act == Act::Enable).await;
    }
    let seat = find(view, id)?;
    let roster = seat.health.roster();
    let more = match act {
        Act::Enable | Act::Disable => {
            roster.set_disabled(seat.index, act == Act::Disable);
            json!({ "note": lasting(seat.provider) })
        }
        Act::Revive => {
            roster.revive(seat.index);
            json!({})
        }
        Act::Refresh => {
            let Some(account) = seat.account else {
                return Err(Refusal::bad_request("this is a key; only accounts are refreshed"));
            };
            account
                .force_refresh()
                .await
                .map_err(|error| Refusal::new(StatusCode::BAD_GATEWAY, "refresh_failed", error.to_string()))?;
            json!({})
        }
        Act::Probe => json!({ "probe": probed(view, &seat).await }),
        Act::Quota => {
            if !quota::is_told(seat.provider) {
                return Err(Refusal::bad_request("services of this kind tell no quota"));
            }
            let asked = quota::ask(&view.runtime, &seat.provider.name, Some(&seat.credential.member.id)).await;
            let quota = asked.map_err(|fault| Refusal::new(StatusCode::BAD_GATEWAY, "quota_failed", fault.message))?;
            let told = Told { at: clock::now(), quota };
            view.app.credentials.note_quota(&seat.provider.name, &seat.credential.member.id, told);
            json!({})
        }
    };
    tracing::info!(credential = %seat.id(), ?act, "an operator acted on a credential");
    let mut shown = seat.shown(view);
    extend(&mut shown, more);
    Ok(shown)
}

/// Switches one off or on for good.
async fn switch(view: &View, registry: &Registry, id: &str, on: bool) -> Result<Value, Refusal> {
    if let Ok(seat) = find(view, id)
        && seat.credential.stored.is_none()
    {
        let name = switch_of_credential(&seat.provider.name, &seat.credential.member.id);
        registry.switch(&view.app, &name, Some(on)).await.map_err(|error| definitions::refusal(view, error))?;
    } else {
        one(view, id)?;
        let changed = |before: &Definition| Ok(Definition { enabled: on, ..before.clone() });
        let stored = stored_id(view, id)?;
        registry.update(&view.app, &stored, None, changed).await.map_err(|error| definitions::refusal(view, error))?;
    }
    tracing::info!(credential = id, on, "an operator switched a credential");
    one(&View::of(&view.app), id)
}

/// What becomes of a change at run time.
fn lasting(provider: &Provider) -> &'static str {
    match provider.origin {
        Origin::File | Origin::Database => {
            "this holds until the gateway starts again or this provider is changed in the configuration file; what stands there is not changed"
        }
        Origin::Environment | Origin::Discovered | Origin::BuiltIn => "this holds until the gateway starts again",
    }
}

/// Asks for the list of models: an answer shows that the credential is good, a refusal that it is not, all else nothing.
async fn probed(view: &View, seat: &Seat<'_>) -> Value {
    let id: &Text = &seat.credential.member.id;
    let answer = probe::models(&view.runtime, &seat.provider.name, Some(id)).await;
    let outcome = judge(&answer);
    let fault = answer.as_ref().err().map(|fault| (fault.class, fault.message.clone()));
    let check = Check { at: clock::now(), outcome, fault };
    view.app.credentials.note_check(&seat.provider.name, Some(id), check);
    match answer {
        Ok(models) => {
            seat.health.roster().revive(seat.index);
            json!({ "outcome": outcome.as_str(), "models": models.len() })
        }
        Err(Fault { class, message, upstream_status, .. }) => {
            if outcome == Outcome::Refused {
                seat.health.roster().set_invalid(seat.index, message.clone());
            }
            json!({ "outcome": outcome.as_str(), "status": upstream_status, "code": class.as_str(), "message": message })
        }
    }
}
