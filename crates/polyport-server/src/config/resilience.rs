//! The sections `retry` and `hedge`, of all requests and of routes.

use std::sync::Arc;
use std::time::Duration;

use polyport_routing::{BudgetPolicy, Hedge, HedgePolicy, RetryPolicy};

use super::check::{Context, steps};
use super::file::{self, File};
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
        least: given.min_delay.map_or(default.least, |span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)),
        samples: given.samples.unwrap_or(default.samples).max(1),
    }))
}
