//! The sections `retry`, `hedge`, `cooldown` and `probes`: of all, of routes, and of providers.

use std::sync::Arc;
use std::time::Duration;

use polyport_routing::{BudgetPolicy, Hedge, HedgePolicy, Ladder, Millis, RestPolicy, RetryPolicy};

use super::check::{Context, steps};
use super::file::{self, File};
use super::problem::{Place, Problem};
use super::services::child;
use super::tree::Step;
use super::units::Span;

/// Attempts, patience and longest wait, as given.
type Bounds = (Option<u32>, Option<Span>, Option<Span>);

/// How failures are retried where no route says otherwise.
pub(super) fn retry(file: &File, context: &mut Context<'_>) -> RetryPolicy {
    checked(of_all(file), &steps!["retry"], context);
    with(&RetryPolicy::default(), of_all(file))
}

/// The same for a route; `None` if it says nothing.
pub(super) fn route_retry(
    given: &file::RouteRetry,
    file: &File,
    at: &[Step],
    context: &mut Context<'_>,
) -> Option<RetryPolicy> {
    let own: Bounds = (given.attempts, given.patience, given.max_wait);
    if own == (None, None, None) {
        return None;
    }
    checked(own, &child(at, "retry"), context);
    Some(with(&with(&RetryPolicy::default(), of_all(file)), own))
}

fn of_all(file: &File) -> Bounds {
    (file.retry.attempts, file.retry.patience, file.retry.max_wait)
}

fn checked((attempts, patience, _): Bounds, at: &[Step], context: &mut Context<'_>) {
    if attempts == Some(0) {
        let remedy = "use 1 for no repetition";
        context.error(&child(at, "attempts"), "a request needs at least one attempt", remedy);
    }
    if patience == Some(Span(Duration::ZERO)) {
        let remedy = "leave it out for the default";
        context.error(&child(at, "patience"), "zero would leave no time for any attempt", remedy);
    }
}

fn with(default: &RetryPolicy, (attempts, patience, max_wait): Bounds) -> RetryPolicy {
    RetryPolicy {
        max_attempts: attempts.unwrap_or(default.max_attempts),
        patience: patience.map_or(default.patience, |span| span.0),
        max_wait: max_wait.map_or(default.max_wait, |span| span.0),
    }
}

pub(super) fn budget(file: &File) -> BudgetPolicy {
    let (given, default) = (&file.retry.budget, BudgetPolicy::default());
    BudgetPolicy {
        percent: given.percent.unwrap_or(default.percent),
        reserve: given.reserve.unwrap_or(default.reserve),
    }
}

/// A rule for second attempts; one that is switched off makes none.
pub(super) fn hedge(given: &file::Hedge, at: &[Step], context: &mut Context<'_>) -> Arc<Hedge> {
    let default = HedgePolicy::default();
    let mut percent = |name: &str, value: Option<u8>, most: u8, default: u8, remedy: &str| {
        let value = value.unwrap_or(default);
        if !(1..=most).contains(&value) {
            context.error(&child(at, name), format!("this is a share in percent, from 1 to {most}"), remedy);
        }
        value
    };
    let percentile =
        percent("after_percentile", given.after_percentile, 99, default.percentile, "95 is usual; smaller is sooner");
    let share = percent("max_share", given.max_share, 100, default.share, "write `enabled: false` for none");
    Arc::new(Hedge::new(HedgePolicy {
        percentile,
        share: if given.enabled == Some(false) { 0 } else { share },
        least: given.min_delay.map_or(default.least, millis),
        samples: given.samples.unwrap_or(default.samples).max(1),
    }))
}

/// What says in other gateways how long a failure is remembered.
const USUAL: &str = "DEFAULT_COOLDOWN_SECONDS";

/// How long what rests where no provider says otherwise.
pub(super) fn rests_of_all(file: &File, context: &mut Context<'_>) -> RestPolicy {
    let mut policy = RestPolicy::default();
    if let Some(text) = context.environment.get(USUAL).filter(|_| file.cooldown.default.is_none()) {
        match text.parse::<u64>() {
            Ok(seconds @ 1..=86_400) => begin_with(&mut policy, seconds * 1000),
            _ => {
                let place = Place::Env(USUAL.to_owned());
                let problem = Problem::warning(place, "this is no number of seconds up to a day, so it is not used");
                context.problems.push(problem.remedy("write 60, or set `cooldown: { default: 60s }`"));
            }
        }
    }
    rests(&policy, &file.cooldown, &steps!["cooldown"], context)
}

/// The first rest of what recovers by itself.
fn begin_with(policy: &mut RestPolicy, first: Millis) {
    for ladder in [&mut policy.rate_limited, &mut policy.overloaded, &mut policy.capacity, &mut policy.failing] {
        *ladder = Ladder { first, longest: ladder.longest.max(first) };
    }
}

/// How long what rests, where `given` says something else than `default`.
pub(super) fn rests(
    default: &RestPolicy,
    given: &file::Cooldown,
    at: &[Step],
    context: &mut Context<'_>,
) -> RestPolicy {
    let mut policy = default.clone();
    let mut time = |name: &str, span: Span| {
        if span.0 < Duration::from_millis(1) {
            context.error(&child(at, name), "what does not rest is asked again at once", "give a time such as `5s`");
        }
        millis(span)
    };
    if let Some(span) = given.default {
        begin_with(&mut policy, time("default", span));
    }
    for (name, given, into) in [
        ("account", given.account, &mut policy.account),
        ("refused", given.refused, &mut policy.refused),
        ("denied", given.denied, &mut policy.denied),
        ("no_model", given.no_model, &mut policy.no_model),
    ] {
        *into = given.map_or(*into, |span| time(name, span));
    }
    for (name, given, ladder) in [
        ("rate_limited", given.rate_limited, &mut policy.rate_limited),
        ("window", given.window, &mut policy.window),
        ("overloaded", given.overloaded, &mut policy.overloaded),
        ("capacity", given.capacity, &mut policy.capacity),
        ("failing", given.failing, &mut policy.failing),
        ("untrusted", given.untrusted, &mut policy.untrusted),
    ] {
        let first = given.first.map_or(ladder.first, |span| time(name, span));
        let longest = given.longest.map_or(ladder.longest, |span| time(name, span));
        *ladder = Ladder { first, longest };
    }
    for (name, given, most, into) in [
        ("overloads", given.overloads, u32::MAX, &mut policy.strikes),
        ("failing_row", given.failing_row, u32::MAX, &mut policy.failing_row),
        ("failing_percent", given.failing_percent, 100, &mut policy.failing_percent),
        ("ailing_percent", given.ailing_percent, 100, &mut policy.ailing_percent),
        ("failing_least", given.failing_least, u32::MAX, &mut policy.failing_least),
        ("refusals", given.refusals, u32::MAX, &mut policy.refusals),
    ] {
        let Some(value) = given else { continue };
        if value == 0 || value > most {
            let words = if most == 100 { "this is a share in percent, from 1 to 100" } else { "at least 1 is needed" };
            context.error(&child(at, name), words, "leave it out for the default");
        }
        *into = value.max(1);
    }
    // One that was given alone holds for the other, too.
    for (name, given, ladder) in [
        ("rate_limited", given.rate_limited, &mut policy.rate_limited),
        ("window", given.window, &mut policy.window),
        ("overloaded", given.overloaded, &mut policy.overloaded),
        ("capacity", given.capacity, &mut policy.capacity),
        ("failing", given.failing, &mut policy.failing),
        ("untrusted", given.untrusted, &mut policy.untrusted),
    ] {
        if ladder.first <= ladder.longest {
            continue;
        }
        match (given.first, given.longest) {
            (Some(_), Some(_)) => {
                let path = child(&child(at, name), "longest");
                context.error(&path, "the longest rest is shorter than the first", "give a longer one");
            }
            (None, Some(_)) => ladder.first = ladder.longest,
            _ => ladder.longest = ladder.first,
        }
    }
    policy.limits_per_model = given.limits_per_model.unwrap_or(policy.limits_per_model);
    policy
}

/// Time between two health checks; `None` for none.
pub(super) fn probe_every(
    given: Option<Span>,
    default: Option<Duration>,
    at: &[Step],
    context: &mut Context<'_>,
) -> Option<Duration> {
    let Some(Span(every)) = given else { return default };
    if every > Duration::ZERO && every < Duration::from_secs(1) {
        context.error(at, "this would ask without end", "write at least `1s`, or `0` for no checks");
    }
    Some(every).filter(|every| *every > Duration::ZERO)
}

fn millis(span: Span) -> Millis {
    u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)
}
