//! What is looked at, and what is told of it. Requests only leave notes; everything else happens here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use polyport_accounting::{Limit, Standing, Window};
use polyport_protocol::classify;
use polyport_routing::{Millis, ProviderHealth, State};
use polyport_types::{FaultClass, Text};
use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use crate::admin::usage::standing_of;
use crate::app::{App, Runtime};
use crate::clock;
use crate::config::{Config, Event, Problems};
use crate::credentials::Outcome;
use crate::ledger::touched::Use;

/// Credentials, providers and limits are looked at so often.
const EVERY: Duration = Duration::from_secs(2);

/// Of what providers say, no more is told.
const LONGEST_REASON: usize = 300;

/// Of the mistakes of a configuration, no more are told.
const MOST_MISTAKES: usize = 5;

/// What was seen the last time.
#[derive(Default)]
struct Seen {
    /// Nothing was looked at before: what is so already is no news.
    looked: bool,
    /// States of credentials, by provider and id.
    credentials: HashMap<(Text, Text), &'static str>,
    /// Providers that were told to be down, and how often they had answered.
    down: HashMap<Text, Down>,
}

struct Down {
    answered: u64,
    since: Millis,
}

/// Looks at what may be told, until it is cancelled. What is so when it is called is known already.
pub(crate) fn keep_watching(app: Arc<App>, cut: CancellationToken) -> impl Future<Output = ()> {
    let mut seen = Seen::default();
    look_again(&app, &mut seen);
    let readings = app.registry.as_ref().map(|registry| registry.live().readings());
    watch(app, cut, seen, readings)
}

async fn watch(app: Arc<App>, cut: CancellationToken, mut seen: Seen, readings: Option<Receiver<bool>>) {
    let states = async {
        loop {
            tokio::time::sleep(EVERY).await;
            look_again(&app, &mut seen);
        }
    };
    let readings = async {
        let Some((registry, mut readings)) = app.registry.as_ref().zip(readings) else { return };
        while readings.changed().await.is_ok() {
            if *readings.borrow_and_update() {
                continue;
            }
            if let Some(problems) = registry.live().last_reload().problems {
                refused(&app, &problems);
            }
        }
    };
    tokio::select! {
        () = async { tokio::join!(states, readings); } => {}
        () = cut.cancelled() => {}
    }
}

fn look_again(app: &App, seen: &mut Seen) {
    let runtime = app.runtime_owned();
    if runtime.config.notifications.hooks.iter().any(|hook| hook.enabled) {
        look(app, &runtime, seen);
    } else {
        *seen = Seen::default();
        app.ledger.touched.take();
    }
}

fn look(app: &App, runtime: &Runtime, seen: &mut Seen) {
    let (config, now) = (&runtime.config, clock::now());
    let mut present: HashSet<(Text, Text)> = HashSet::new();
    for provider in config.providers() {
        let Some(health) = runtime.fleet.provider(&provider.name) else { continue };
        let roster = health.roster();
        for (index, member) in roster.members().enumerate() {
            let state = roster.state(index, now);
            let key = (provider.name.clone(), member.id.clone());
            let before = seen.credentials.insert(key.clone(), state.as_str());
            present.insert(key);
            if seen.looked && before != Some(state.as_str()) {
                credential(app, config, (&provider.name, &member.id, &member.name), &state);
            }
        }
        let answered = runtime.provider(&provider.name).map_or(0, |upstream| upstream.answered(&app.metrics).get());
        whole(app, config, &provider.name, (down(health, now), answered, now), seen);
    }
    seen.credentials.retain(|key, _| present.contains(key));
    seen.down.retain(|name, _| config.provider(name).is_some());
    seen.looked = true;
    for used in app.ledger.touched.take() {
        limits(app, config, &used);
    }
}

fn credential(app: &App, config: &Config, (provider, id, name): (&Text, &Text, &Text), state: &State) {
    let about = Text::from(format!("{provider}/{id}"));
    let mut data = json!({ "provider": provider, "credential": id, "name": name });
    let named = format!("`{name}` of provider `{provider}`");
    match state {
        State::Invalid { reason } => {
            let reason = brief(reason);
            let text = format!("The credential {named} is refused and left out until somebody acts: {reason}");
            data["reason"] = reason.into();
            app.notifier.tell(config, Event::CredentialInvalid, about, None, text, data);
        }
        State::Exhausted { until, cause } => {
            let at = shown(*until);
            let text = format!("The credential {named} is used up ({}); it is tried again at {at}", cause.as_str());
            data["cause"] = cause.as_str().into();
            data["until"] = at.into();
            app.notifier.tell(config, Event::CredentialExhausted, about, None, text, data);
        }
        State::Ready | State::Cooling { .. } | State::Refreshing | State::Disabled => {}
    }
}

/// Why a provider cannot be used, if that is more than a rate limit.
fn down(health: &ProviderHealth, now: Millis) -> Option<String> {
    if let State::Cooling { cause, .. } = health.state(now)
        && matches!(
            cause,
            FaultClass::Transport
                | FaultClass::Timeout
                | FaultClass::Untrusted
                | FaultClass::ServerError
                | FaultClass::Overloaded
                | FaultClass::UpstreamProtocol
        )
    {
        return Some(format!("it cannot be reached, or answers errors ({})", cause.as_str()));
    }
    let roster = health.roster();
    let states: Vec<State> = (0..roster.len()).map(|index| roster.state(index, now)).collect();
    let out = |state: &State| matches!(state, State::Invalid { .. } | State::Exhausted { .. });
    let any = states.iter().any(out);
    let all = states.iter().all(|state| out(state) || *state == State::Disabled);
    (any && all).then(|| "none of its keys and accounts can be used".to_owned())
}

fn whole(
    app: &App,
    config: &Config,
    name: &Text,
    (why, answered, now): (Option<String>, u64, Millis),
    seen: &mut Seen,
) {
    match (why, seen.down.get(name)) {
        (Some(why), None) => {
            seen.down.insert(name.clone(), Down { answered, since: now });
            if seen.looked {
                let text = format!("Provider `{name}` is down: {why}");
                let data = json!({ "provider": name, "reason": why });
                app.notifier.tell(config, Event::ProviderDown, name.clone(), None, text, data);
            }
        }
        // That it is tried again proves nothing: it has to answer.
        (None, Some(before)) => {
            let ids = config.provider(name).into_iter().flat_map(|provider| provider.credentials());
            let ids = ids.map(|credential| Some(&credential.member.id)).chain([None]);
            let checks = ids.filter_map(|id| app.credentials.check_of(name, id));
            let checked =
                checks.into_iter().any(|check| check.at >= before.since && check.outcome == Outcome::Accepted);
            if answered > before.answered || checked {
                let seconds = now.saturating_sub(before.since) / 1000;
                seen.down.remove(name);
                let text = format!("Provider `{name}` answers again, after {seconds} seconds");
                let data = json!({ "provider": name, "down_seconds": seconds });
                app.notifier.tell(config, Event::ProviderUp, name.clone(), None, text, data);
            }
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
}

/// Limits of days, months and in total; what starts anew every minute comes near all the time.
fn limits(app: &App, config: &Config, used: &Use) {
    for standing in app.ledger.accounts.standings(&used.quota) {
        if matches!(standing.limit.window(), None | Some(Window::Minute)) {
            continue;
        }
        let refused = used.refused.contains(&standing.limit);
        let reached = refused || standing.remaining == 0;
        if !reached && !is_near(&standing, config.notifications.near) {
            continue;
        }
        let data = standing_of(app, &used.quota, &standing);
        let about = Text::from(data["id"].as_str().unwrap_or_default());
        let again = standing.reset.and_then(|at| Millis::try_from(at.as_millisecond()).ok());
        let text = in_words(&data, &standing.limit, reached);
        let event = if reached { Event::QuotaReached } else { Event::QuotaNear };
        app.notifier.tell(config, event, about, again, text, data);
    }
}

/// Whether so many percent of a limit are used.
fn is_near(standing: &Standing, percent: u8) -> bool {
    let amount = standing.limit.amount();
    let used = amount.saturating_sub(standing.remaining);
    amount > 0 && used.saturating_mul(100) >= amount.saturating_mul(u128::from(percent))
}

fn in_words(data: &serde_json::Value, limit: &Limit, reached: bool) -> String {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let kind = text(&data["of"]["kind"]);
    let name = [&data["of"]["name"], &data["of"]["id"]].into_iter().map(text).find(|text| !text.is_empty());
    let whose = match name {
        Some(name) => format!("{kind} `{name}`"),
        None => "all callers".to_owned(),
    };
    let window = match limit.window() {
        Some(Window::Day) => " per day",
        Some(Window::Month) => " per month",
        Some(Window::Total) => " in total",
        Some(Window::Minute) => " per minute",
        None => "",
    };
    let models = data["models"].as_str().map(|models| format!(" of `{models}`")).unwrap_or_default();
    let is = if reached { "is reached" } else { "comes near" };
    let left = text(&data["left"]);
    format!("A limit of {whose} {is}: {} {}{window}{models}, {left} left", text(&data["amount"]), text(&data["what"]))
}

fn refused(app: &App, problems: &Problems) {
    let config = Arc::clone(&app.runtime().config);
    let told: Vec<_> = problems.0.iter().take(MOST_MISTAKES).collect();
    let data: Vec<_> = told
        .iter()
        .map(|problem| {
            json!({
                "place": problem.place.to_string(), "path": problem.path, "message": problem.message, "remedy": problem.remedy,
            })
        })
        .collect();
    let first = told.first().map(ToString::to_string).unwrap_or_default();
    let text = format!("The changed configuration was not applied, the old one stays in use: {}", brief(&first));
    let data = json!({ "problems": data, "number": problems.0.len() });
    let about = Text::from_static("configuration");
    app.notifier.tell(&config, Event::ConfigurationRefused, about, None, text, data);
}

/// What a provider says, shortened, without what looks like a secret.
fn brief(text: &str) -> String {
    let clean = classify::mask(text);
    if clean.chars().count() <= LONGEST_REASON {
        return clean;
    }
    clean.chars().take(LONGEST_REASON).chain(['…']).collect()
}

fn shown(at: Millis) -> String {
    let at = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map(|at| format!("{at:.0}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_near_from_its_share_on() {
        let standing =
            |remaining| Standing { limit: Limit::Tokens { window: Window::Day, amount: 1000 }, remaining, reset: None };
        assert!(!is_near(&standing(201), 80) && is_near(&standing(200), 80) && is_near(&standing(0), 80));
        let huge =
            Standing { limit: Limit::Tokens { window: Window::Day, amount: u64::MAX }, remaining: 1, reset: None };
        assert!(is_near(&huge, 99));
    }

    #[test]
    fn what_providers_say_is_cut_and_cleaned() {
        let said = brief(&format!("Incorrect API key provided: sk-canary0123456789 {}", "x".repeat(500)));
        assert!(!said.contains("canary") && said.chars().count() == LONGEST_REASON + 1, "{said}");
    }
}
