//! How long things take with a million requests and a hundred thousand keys. These are figures, not tests:
//! `cargo test --release -p polyport-store --test it a_million_requests -- --ignored --nocapture`, with `POLYPORT_FIGURES_POSTGRES=1` on a
//! server, with `POLYPORT_FIGURES_ROWS` of so many.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use polyport_store::log::{
    Dimension, Entry, LedgerQuery, Log, Measure, Old, Order, Period, Query, State, StatsQuery, Status,
};

use super::{DAY, Dice, NOON, attempt, eventful, some, until};
use crate::place::Place;
use crate::postgres::Server;

const BATCH: u64 = 500;
const DAYS: i64 = 30;

fn request(dice: &mut Dice, number: u64, of: u64) -> Entry {
    let at = NOON - DAYS * DAY + i64::try_from(number).unwrap() * DAYS * DAY / i64::try_from(of).unwrap();
    // Half of all are of one key in a hundred.
    let key = if dice.roll(2) == 0 { dice.roll(of / 10) } else { dice.roll(of / 1000) };
    let (user, failed) = (key / 10, dice.roll(20) == 0);
    let mut entry = eventful(&dice.id(), at);
    entry.payload = None;
    entry.key = Some(format!("0192f0c1-7c1e-7000-8000-{key:012}"));
    entry.key_name = Some(format!("key {key}"));
    entry.user = Some(format!("0192f0c1-7c1e-7000-9000-{user:012}"));
    entry.user_name = Some(format!("user {user}"));
    entry.team = Some(format!("team-{}", user % 100));
    // A key asks for two models, two providers have each, and all of their credentials take turns.
    let model = (key + dice.roll(2)) % 20;
    entry.model = if number == of / 20 { "rare".into() } else { format!("model-{model}") };
    entry.upstream_id = Some(format!("msg_{}", dice.id()));
    if !failed {
        (entry.status, entry.error, entry.outcome) = (200, None, "answered".into());
        (entry.losses, entry.loss_report) = (0, None);
        entry.attempts = vec![attempt(1, at)];
    }
    for attempt in &mut entry.attempts {
        let provider = (model + dice.roll(2)) % 5;
        attempt.provider = format!("provider-{provider}");
        attempt.credential = Some(format!("0192f0c1-7c1e-7000-a000-{:012}", provider * 10 + dice.roll(10)));
        attempt.state = State::Settled;
    }
    entry
}

/// How much room what takes.
async fn sizes(place: &Place, of: u64) {
    use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
    let Ok(file) = std::fs::metadata(place.log_file()) else { return };
    let mut connection = AnyConnection::connect(&place.log_url()).await.unwrap();
    for name in ["requests", "ledger", "words", "minutes", "hours", "days", "months", "times"] {
        let sql = format!("SELECT COALESCE(SUM(pgsize), 0) AS bytes FROM dbstat WHERE name LIKE '%log_{name}%'");
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        eprintln!("{name}: {} bytes a request", row.get::<i64, _>("bytes") / i64::try_from(of).unwrap());
    }
    eprintln!("{} bytes a request in all", file.len() / of);
}

/// Median and worst of several calls.
async fn figure<T>(name: &str, mut work: impl AsyncFnMut() -> T) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..15 {
        let begun = Instant::now();
        std::hint::black_box(work().await);
        times.push(begun.elapsed());
    }
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    eprintln!("| {name} | {:.1} | {:.1} |", ms(times[times.len() / 2]), ms(times[times.len() - 1]));
}

async fn write(log: &Log, dice: &mut Dice, from: u64, to: u64, of: u64) -> Vec<Duration> {
    let mut times = Vec::new();
    for first in (from..to).step_by(usize::try_from(BATCH).unwrap()) {
        let batch: Vec<Entry> = (first..(first + BATCH).min(to)).map(|number| request(dice, number, of)).collect();
        let begun = Instant::now();
        log.write(&batch, &until(first + BATCH)).await.unwrap();
        times.push(begun.elapsed());
    }
    times
}

fn shown(name: &str, mut times: Vec<Duration>) {
    let all: Duration = times.iter().sum();
    times.sort();
    let ms = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1000.0;
    let rate = times.len() as f64 * BATCH as f64 / all.as_secs_f64();
    eprintln!("{name}: {rate:.0} requests a second; a batch of {BATCH}: median {:.1} ms, p99 {:.1} ms", ms(50), ms(99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures"]
#[allow(clippy::disallowed_methods, reason = "a test has no configuration")]
async fn a_million_requests() {
    let of: u64 = std::env::var("POLYPORT_FIGURES_ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let server = match std::env::var("POLYPORT_FIGURES_POSTGRES") {
        Ok(_) => Server::find().await,
        Err(_) => None,
    };
    let place = match &server {
        Some(server) => Place::server(server.schema("figures").await),
        None => Place::sqlite(),
    };
    let log = place.open_log().await;
    let mut dice = Dice::new(3);
    let times = write(&log, &mut dice, 0, of, of).await;
    shown("first tenth", times[..times.len() / 10].to_vec());
    shown("last tenth", times[times.len() * 9 / 10..].to_vec());
    sizes(&place, of).await;
    let newest = log.requests(&Query { limit: 100, ..Query::default() }).await.unwrap().rows;
    let lone = &newest[7].entry;
    eprintln!("| what | median, ms | worst, ms |\n|---|---:|---:|");
    requests(&log, lone).await;
    ledger(&log, lone).await;
    statistics(&log, lone).await;
    figure("what all callers have used this month, by model", async || {
        log.used(Period::Month, NOON - 1, i64::MAX).await.unwrap().len()
    })
    .await;
    figure("the same in all", async || log.used_in_all(Period::Month, NOON - 1, i64::MAX).await.unwrap().len()).await;
    figure("the same today", async || log.used_in_all(Period::Day, NOON - 1, i64::MAX).await.unwrap().len()).await;
    let writer = log.clone();
    let busy = tokio::task::spawn(async move { write(&writer, &mut Dice::new(4), of - of / 20, of, of).await });
    figure("the newest hundred, while batches are written", async || {
        log.requests(&Query { limit: 100, ..Query::default() }).await.unwrap()
    })
    .await;
    shown("while lists are read", busy.await.unwrap());
    figure("deleting 2000 old requests", async || log.prune(Old::Requests, NOON, 2000).await.unwrap()).await;
    figure("deleting 2000 old sums", async || log.prune(Old::Hours, NOON, 2000).await.unwrap()).await;
}

async fn requests(log: &Log, lone: &Entry) {
    let all = Query { limit: 100, ..Query::default() };
    let rare = Query { key: Some(format!("0192f0c1-7c1e-7000-8000-{:012}", 77_777)), ..all.clone() };
    let cases = [
        ("the newest hundred requests", all.clone()),
        ("the oldest hundred", Query { order: Order::Oldest, ..all.clone() }),
        ("of one busy key", Query { key: lone.key.clone(), ..all.clone() }),
        ("of one key with few", rare),
        ("of one user", Query { user: lone.user.clone(), ..all.clone() }),
        ("of one team", Query { team: lone.team.clone(), ..all.clone() }),
        ("that failed", Query { failed: Some(true), ..all.clone() }),
        ("with status 429", Query { status: Some(Status::Is(429)), ..all.clone() }),
        (
            "of one model and one provider",
            Query { model: some("model-3"), provider: some("provider-2"), ..all.clone() },
        ),
        (
            "of one credential, slow",
            Query { credential: lone.attempts[0].credential.clone(), min_duration_ms: Some(4200), ..all.clone() },
        ),
        ("of a model asked for once, one page", Query { model: some("rare"), ..all.clone() }),
        ("a text that is in many", Query { text: some("quota"), ..all.clone() }),
        ("a text that is nowhere, one page", Query { text: some("nowhere to be found"), ..all.clone() }),
        (
            "of one minute two weeks ago",
            Query { from: Some(NOON - 14 * DAY), to: Some(NOON - 14 * DAY + 60_000), ..all.clone() },
        ),
        ("by its id", Query { id: Some(lone.id.clone()), ..all.clone() }),
        ("by an id there is not", Query { id: some("000000000000000000000000"), ..all.clone() }),
        ("a thousand for an export", Query { order: Order::Oldest, limit: 1000, ..all }),
    ];
    for (name, query) in cases {
        figure(name, async || log.requests(&query).await.unwrap().rows.len()).await;
    }
}

async fn ledger(log: &Log, lone: &Entry) {
    let all = LedgerQuery { limit: 100, ..LedgerQuery::default() };
    for (name, query) in [
        ("the newest hundred lines of the ledger", all.clone()),
        ("of one key", LedgerQuery { key: lone.key.clone(), ..all.clone() }),
        ("of one provider", LedgerQuery { provider: some("provider-2"), ..all }),
    ] {
        figure(name, async || log.ledger(&query).await.unwrap().rows.len()).await;
    }
}

async fn statistics(log: &Log, lone: &Entry) {
    let month = StatsQuery {
        period: Period::Day,
        from: NOON - DAYS * DAY,
        to: i64::MAX,
        by: Vec::new(),
        series: false,
        only: BTreeMap::new(),
        sort: Measure::Requests,
        limit: 100,
    };
    let one = |dimension, text: &Option<String>| BTreeMap::from([(dimension, text.clone().unwrap())]);
    let hours = StatsQuery { period: Period::Hour, series: true, limit: 1000, ..month.clone() };
    let times = [
        ("how long requests took, 30 days by the hour", hours.clone()),
        (
            "the same of one model at one provider",
            StatsQuery {
                only: BTreeMap::from([
                    (Dimension::Model, lone.model.clone()),
                    (Dimension::Provider, lone.attempts[0].provider.clone()),
                ]),
                ..hours.clone()
            },
        ),
        ("the same of one team", StatsQuery { only: one(Dimension::Team, &lone.team), ..hours.clone() }),
        ("the same of one user", StatsQuery { only: one(Dimension::User, &lone.user), ..hours.clone() }),
        (
            "the same of one team with one model",
            StatsQuery {
                only: BTreeMap::from([
                    (Dimension::Team, lone.team.clone().unwrap()),
                    (Dimension::Model, lone.model.clone()),
                ]),
                ..hours
            },
        ),
    ];
    for (name, query) in times {
        figure(name, async || log.times(&query).await.unwrap().map(|times| times.len())).await;
    }
    let cases = [
        ("30 days, each", StatsQuery { series: true, ..month.clone() }),
        (
            "30 days, each, by model",
            StatsQuery { series: true, by: vec![Dimension::Model], limit: 1000, ..month.clone() },
        ),
        (
            "30 days by provider and credential",
            StatsQuery { by: vec![Dimension::Provider, Dimension::Credential], ..month.clone() },
        ),
        ("a day by the hour", StatsQuery { period: Period::Hour, from: NOON - DAY, series: true, ..month.clone() }),
        (
            "an hour by the minute",
            StatsQuery { period: Period::Minute, from: NOON - 3_600_000, series: true, ..month.clone() },
        ),
        (
            "a day by the hour of one team",
            StatsQuery {
                period: Period::Hour,
                from: NOON - DAY,
                series: true,
                only: one(Dimension::Team, &lone.team),
                ..month.clone()
            },
        ),
        (
            "30 days, each, of one key",
            StatsQuery { series: true, only: one(Dimension::Key, &lone.key), ..month.clone() },
        ),
        (
            "30 days of one user by key and model",
            StatsQuery {
                by: vec![Dimension::Key, Dimension::Model],
                only: one(Dimension::User, &lone.user),
                ..month.clone()
            },
        ),
        (
            "today, the hundred keys that cost most",
            StatsQuery { from: NOON - 1, by: vec![Dimension::Key], sort: Measure::Cost, ..month.clone() },
        ),
        (
            "the month, the hundred keys that cost most",
            StatsQuery {
                period: Period::Month,
                from: NOON,
                by: vec![Dimension::Key],
                sort: Measure::Cost,
                ..month.clone()
            },
        ),
        (
            "the month by team",
            StatsQuery { period: Period::Month, from: NOON, by: vec![Dimension::Team], ..month.clone() },
        ),
        (
            "30 days, the hundred keys that cost most",
            StatsQuery { by: vec![Dimension::Key], sort: Measure::Cost, ..month },
        ),
    ];
    for (name, query) in cases {
        figure(name, async || log.stats(&query).await.unwrap().len()).await;
    }
}
