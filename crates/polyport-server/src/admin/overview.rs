//! `GET /admin/api/overview`: a stretch of time as a row of figures for each minute, hour or day, and their sum.

use std::collections::BTreeMap;

use jiff::Timestamp;
use polyport_store::log::{Dimension, Measure, Period, Spread, StatsQuery, Times, Totals};
use serde_json::{Value, json};

use super::query::Query;
use super::usage::{Reader, away, log, moment, money, time};
use super::{Refusal, View};
use crate::config::Keep;

/// Rows of an answer at most: as many as a plot shows.
const POINTS: i64 = 750;

/// The time that is looked at where nobody says which: a day.
const USUAL: i64 = 24 * 3_600_000;

/// Steps, the shortest first.
const STEPS: [(&str, Period); 3] = [("minute", Period::Minute), ("hour", Period::Hour), ("day", Period::Day)];

/// A question.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    from: i64,
    to: i64,
    step: Period,
}

pub(super) async fn answer(view: &View, query: &Query) -> Result<Value, Refusal> {
    let now = Timestamp::now().as_millisecond();
    let asked = asked(query, &view.runtime.config.keep, now)?;
    let question = StatsQuery {
        period: asked.step,
        from: asked.from,
        to: asked.to,
        by: Vec::new(),
        series: true,
        only: only(view, query),
        sort: Measure::Requests,
        limit: 10_000,
    };
    let log = log(view)?;
    let rows = log.stats(&question).await.map_err(|error| away(&error))?;
    // Read after the sums: what is written meanwhile is in these, too, so that none seem to be missing.
    let times = log.times(&question).await.map_err(|error| away(&error))?;
    let told = times.is_some();
    let (mut times, none) = (times.unwrap_or_default(), Times::default());
    let mut found: BTreeMap<i64, Totals> = rows.into_iter().filter_map(|row| Some((row.starts?, row.sums))).collect();
    let (mut total, mut of_all) = (Totals::default(), Times::default());
    let mut series = Vec::new();
    let mut starts = asked.from;
    // What is still to come has no figures.
    while starts < asked.to.min(now.saturating_add(1)) {
        let sums = found.remove(&starts).unwrap_or_default();
        let took = times.remove(&starts).unwrap_or_else(|| none.clone());
        total.add(&sums);
        of_all.merge(&took);
        let mut row = figures(&sums, Some(&took).filter(|_| told));
        super::extend(&mut row, json!({ "starts": time(starts) }));
        series.push(row);
        starts = asked.step.next(starts);
    }
    let step = STEPS.iter().find(|(_, period)| *period == asked.step).map(|(word, _)| word);
    let total = figures(&total, Some(&of_all).filter(|_| told));
    Ok(json!({ "from": time(asked.from), "to": time(asked.to), "step": step, "total": total, "series": series }))
}

/// Whose figures.
fn only(view: &View, query: &Query) -> BTreeMap<Dimension, String> {
    let text = |name| query.get(name).map(str::to_owned);
    let (mut user, mut team) = (text("user"), text("team"));
    Reader::of(view).bound(&mut user, &mut team);
    let all = [
        (Dimension::Key, text("of_key")),
        (Dimension::User, user),
        (Dimension::Team, team),
        (Dimension::Model, text("model")),
        (Dimension::Provider, text("provider")),
    ];
    all.into_iter().filter_map(|(dimension, value)| Some((dimension, value?))).collect()
}

/// Which time, in which steps. What is not kept any more is left out, so that no row says that there was nothing.
fn asked(query: &Query, keep: &Keep, now: i64) -> Result<Asked, Refusal> {
    let to = moment(query, "to")?.unwrap_or_else(|| now.saturating_add(1));
    let from = moment(query, "from")?.unwrap_or_else(|| to.saturating_sub(USUAL));
    if from >= to {
        return Err(Refusal::parameter("from", "it must be before `to`"));
    }
    let kept = |step: Period| {
        let time = match step {
            Period::Minute => keep.minutes,
            Period::Hour => keep.hours,
            Period::Day | Period::Month => keep.days,
        };
        step.start(now.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    };
    let known = |step: Period| step.start(from).max(kept(step));
    if let Some((word, step)) = STEPS.into_iter().find(|(word, _)| query.get("step") == Some(word)) {
        let from = known(step);
        if points(from, to, step) > POINTS {
            let words = format!(
                "more than {POINTS} rows would have a {word} each; give a longer step or less time, or leave it out"
            );
            return Err(Refusal::parameter("step", words));
        }
        return Ok(Asked { from, to, step });
    }
    let fits = |step: &Period| points(step.start(from), to, *step) <= POINTS && step.start(from) >= kept(*step);
    let step = STEPS.map(|(_, step)| step).into_iter().find(fits).unwrap_or(Period::Day);
    let longest = step.start(to.saturating_sub(1)).saturating_sub((POINTS - 1) * 24 * 3_600_000);
    let from = if points(known(step), to, step) > POINTS { longest } else { known(step) };
    Ok(Asked { from, to, step })
}

/// How many steps there are between two times, the first and the last one counted whole.
fn points(from: i64, to: i64, step: Period) -> i64 {
    let length = step.next(0);
    to.saturating_sub(step.start(from)).saturating_add(length - 1) / length
}

/// Sums as they are shown, with what follows from them.
fn figures(sums: &Totals, times: Option<&Times>) -> Value {
    // Those of requests that were written before times were kept are not known, and those of the others are not those of all.
    let times = times.filter(|times| times.latency.len() >= sums.ok);
    let cost: serde_json::Map<String, Value> =
        sums.cost.iter().map(|(currency, sum)| (currency.clone(), money(*sum))).collect();
    json!({
        "requests": sums.requests,
        "ok": sums.ok,
        "failed": sums.failed,
        "error_rate": share(sums.failed, sums.requests),
        "input": sums.input,
        "output": sums.output,
        "cache_read": sums.cache_read,
        "cache_write": sums.cache_write,
        "reasoning": sums.reasoning,
        "tokens": sums.tokens(),
        "cost": cost,
        "unpriced": sums.unpriced,
        "cache_hit_rate": share(sums.cache_read, sums.input + sums.cache_read + sums.cache_write),
        "latency_ms": times.and_then(|times| percentiles(&times.latency)),
        "first_token_ms": times.and_then(|times| percentiles(&times.first_token)),
    })
}

fn percentiles(spread: &Spread) -> Option<Value> {
    let [p50, p90, p95, p99] = [50, 90, 95, 99].map(|percent| spread.percentile(percent));
    Some(json!({ "p50": p50?, "p90": p90?, "p95": p95?, "p99": p99? }))
}

/// A part of the whole; none of nothing.
#[allow(clippy::cast_precision_loss, reason = "a share has few digits")]
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_953_600_000;
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    fn ask(parameters: &str) -> Result<Asked, String> {
        let head = http::Request::builder().uri(format!("/?{parameters}")).body(()).unwrap().into_parts().0;
        let query = Query::read(&head, super::super::query::parameters(super::super::Ask::Overview)).unwrap();
        asked(&query, &Keep::default(), NOON + 90_500).map_err(|refusal| refusal.message)
    }

    #[test]
    fn steps_are_as_short_as_a_plot_and_what_is_kept_allow() {
        for (from, to, step, begins) in [
            (NOON - HOUR, NOON + 90_000, Period::Minute, NOON - HOUR),
            (NOON - 12 * HOUR, NOON, Period::Minute, NOON - 12 * HOUR),
            (NOON - 13 * HOUR + 1, NOON, Period::Hour, NOON - 13 * HOUR),
            // Minutes are kept for two days.
            (NOON - 3 * DAY, NOON - 3 * DAY + HOUR, Period::Hour, NOON - 3 * DAY),
            (NOON - 30 * DAY, NOON, Period::Hour, NOON - 30 * DAY),
            (NOON - 40 * DAY, NOON, Period::Day, NOON - 12 * HOUR - 40 * DAY),
            (0, NOON, Period::Day, NOON - 12 * HOUR - 749 * DAY),
            (0, NOON - 300 * DAY, Period::Day, NOON - 12 * HOUR - 800 * DAY),
        ] {
            let found = ask(&format!("from={from}&to={to}"));
            assert_eq!(found, Ok(Asked { from: begins, to, step }), "{from} {to}");
            assert!(points(begins, to, step) <= POINTS);
        }
        assert_eq!(ask("step=minute&from=0").unwrap_err(), ask("step=minute").unwrap_err());
        let two_days = ask(&format!("step=hour&from=0&to={NOON}")).unwrap_err();
        assert!(two_days.contains("more than 750 rows"), "{two_days}");
        let kept = ask(&format!("step=minute&from={}&to={}", NOON - 3 * DAY, NOON - 40 * HOUR)).unwrap();
        assert_eq!(kept.from, NOON + 60_000 - 2 * DAY, "no more is kept");
        assert!(ask("from=5&to=5").unwrap_err().contains("before `to`"));
    }

    #[test]
    fn percentiles_are_those_of_all_or_none() {
        let mut times = Times::default();
        for latency in 1..=20 {
            times.latency.count(latency);
        }
        let of = |ok: u64| figures(&Totals { requests: ok, ok, ..Totals::default() }, Some(&times));
        assert_eq!(of(20)["latency_ms"], json!({ "p50": 10, "p90": 18, "p95": 19, "p99": 20 }));
        assert_eq!(of(20)["first_token_ms"], Value::Null, "nothing was streamed");
        assert_eq!(of(21)["latency_ms"], Value::Null, "of one it is not known");
    }

    #[test]
    fn what_follows_from_nothing_is_nothing() {
        let nothing = figures(&Totals::default(), Some(&Times::default()));
        for name in ["error_rate", "cache_hit_rate", "latency_ms", "first_token_ms"] {
            assert_eq!(nothing[name], Value::Null, "{name}");
        }
        let some = Totals { requests: 3, failed: 1, input: 10, cache_read: 30, cache_write: 60, ..Totals::default() };
        let some = figures(&some, None);
        assert_eq!((&some["error_rate"], &some["cache_hit_rate"]), (&json!(0.3333), &json!(0.3)));
    }
}
