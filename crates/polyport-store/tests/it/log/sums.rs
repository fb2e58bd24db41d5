//! Sums are those of the entries, each counted once.

use std::collections::BTreeMap;

use polyport_store::log::{
    Attempt, Dimension, Ending, Entry, Measure, Period, State, StatsQuery, StatsRow, Totals, Used,
};

use super::{DAY, Dice, NOON, entry, eventful, some, until};
use crate::place::Place;

crate::suite!(
    sums_are_those_of_the_entries,
    s6_what_is_written_again_is_not_counted_again,
    money_is_exact_beyond_what_a_number_holds,
    rows_are_sorted_and_bounded,
    what_no_sums_are_kept_of_is_refused_with_a_reason,
    limits_are_counted_by_what_is_charged,
    positions_only_grow,
);

const EVERYTHING: StatsQuery = StatsQuery {
    period: Period::Day,
    from: 0,
    to: i64::MAX,
    by: Vec::new(),
    series: false,
    only: BTreeMap::new(),
    sort: Measure::Requests,
    limit: 10_000,
};

/// The last second of 2026, a leap day, the ends of months, and usual days.
const MOMENTS: [i64; 5] = [1_798_761_599_500, 1_835_481_599_999, 1_835_395_200_000, 1_798_761_600_000, NOON];

fn random(dice: &mut Dice) -> Entry {
    let at = dice.one(&MOMENTS) + i64::try_from(dice.roll(5)).unwrap() * dice.one(&[1, 60_000, 3_600_000, DAY]);
    let user = dice.one(&[None, Some("u1"), Some("u2")]);
    let attempts = (0..dice.roll(3))
        .map(|n| Attempt {
            n: u16::try_from(n + 1).unwrap(),
            at,
            provider: dice.one(&["p1", "p2"]).into(),
            credential: dice.one(&[None, Some("c1"), Some("c2")]).map(str::to_owned),
            model: "m".into(),
            status: dice.one(&[None, Some(200), Some(500)]),
            outcome: dice.one(&["answered", "server"]).into(),
            state: dice.one(&[State::Settled, State::Estimated, State::Unknown, State::Unused]),
            charged: dice.roll(2) == 0,
            ending: Ending::Complete,
            counts: ["input", "cache_read", "cache_write_1h", "output_audio", "reasoning", "web_search"]
                .iter()
                .map(|class| ((*class).to_owned(), dice.roll(3) * 1000))
                .filter(|(_, count)| *count > 0)
                .collect(),
            cost: dice.one(&[None, Some(1), Some(999_999_999_999), Some(123_456_789_012_345_678)]),
            currency: dice.one(&[some("USD").as_deref(), Some("EUR")]).map(str::to_owned),
            ..Attempt::default()
        })
        .map(|attempt| Attempt { currency: attempt.cost.and(attempt.currency.clone()), ..attempt })
        .collect();
    let status = dice.one(&[200, 200, 404, 429, 502]);
    Entry {
        key: dice.one(&[Some("k1"), Some("k2"), None]).map(str::to_owned),
        user: user.map(str::to_owned),
        team: user.map(|_| "t".to_owned()),
        model: dice.one(&["m1", "m2"]).into(),
        status,
        outcome: if status == 200 { dice.one(&["answered", "client_gone"]) } else { "fault" }.into(),
        first_token_ms: dice.one(&[None, Some(10)]),
        duration_ms: u32::try_from(dice.roll(1000)).unwrap(),
        attempts,
        ..entry(&dice.id(), at)
    }
}

/// The parts of an entry with what each is of, reckoned anew.
fn parts(entry: &Entry) -> Vec<(BTreeMap<Dimension, Option<String>>, Totals)> {
    let of = |attempt: Option<&Attempt>| {
        BTreeMap::from([
            (Dimension::Key, entry.key.clone()),
            (Dimension::User, entry.user.clone()),
            (Dimension::Team, entry.team.clone()),
            (Dimension::Model, attempt.map(|_| entry.model.clone())),
            (Dimension::Provider, attempt.map(|attempt| attempt.provider.clone())),
            (Dimension::Credential, attempt.and_then(|attempt| attempt.credential.clone())),
        ])
    };
    let request = Totals {
        requests: 1,
        ok: (entry.outcome == "answered" && entry.status < 400).into(),
        failed: (entry.outcome == "fault").into(),
        status_2xx: (entry.status == 200).into(),
        status_4xx: matches!(entry.status, 404 | 429).into(),
        status_5xx: (entry.status == 502).into(),
        duration_ms: entry.duration_ms.into(),
        first_token_ms: entry.first_token_ms.unwrap_or_default().into(),
        first_tokens: entry.first_token_ms.is_some().into(),
        ..Totals::default()
    };
    let mut parts = Vec::new();
    let mut charged = false;
    for attempt in &entry.attempts {
        let count = |classes: &[&str]| {
            let counts = attempt.counts.iter().filter(|(class, _)| classes.contains(&class.as_str()));
            counts.map(|(_, count)| *count).sum::<u64>()
        };
        let money = || attempt.cost.map(|cost| (attempt.currency.clone().unwrap(), cost)).into_iter().collect();
        let mut totals = Totals {
            attempts: 1,
            attempts_failed: (attempt.outcome != "answered" || attempt.status == Some(500)).into(),
            input: count(&["input"]),
            cache_read: count(&["cache_read"]),
            cache_write: count(&["cache_write_1h"]),
            output: count(&["output_audio"]),
            reasoning: count(&["reasoning"]),
            estimated: matches!(attempt.state, State::Estimated | State::Unknown).into(),
            unpriced: (attempt.cost.is_none() && !attempt.counts.is_empty()).into(),
            cost: money(),
            ..Totals::default()
        };
        if attempt.charged {
            totals.charged_requests = (!charged).into();
            totals.charged_tokens = totals.tokens();
            totals.charged = money();
            charged = true;
        }
        parts.push((of(Some(attempt)), totals));
    }
    match parts.last_mut() {
        Some((_, last)) => add(last, &request),
        None => parts.push((of(None), request)),
    }
    parts
}

fn add(sum: &mut Totals, more: &Totals) {
    let numbers = |totals: &Totals| serde_json::to_value(totals).unwrap();
    let mut all = numbers(sum);
    for (name, value) in numbers(more).as_object().unwrap() {
        if let Some(number) = value.as_u64() {
            all[name] = (all[name].as_u64().unwrap() + number).into();
        }
    }
    let (mut cost, mut charged) = (sum.cost.clone(), sum.charged.clone());
    for (map, other) in [(&mut cost, &more.cost), (&mut charged, &more.charged)] {
        for (currency, amount) in other {
            *map.entry(currency.clone()).or_default() += amount;
        }
    }
    *sum = Totals { cost, charged, ..serde_json::from_value(all).unwrap() };
}

fn expected(entries: &[Entry], query: &StatsQuery) -> BTreeMap<String, Totals> {
    let mut all = BTreeMap::new();
    for entry in entries {
        for (of, totals) in parts(entry) {
            let wanted = query.only.iter().all(|(dimension, text)| of[dimension].as_ref() == Some(text));
            if wanted && entry.at >= query.period.start(query.from) && query.period.start(entry.at) < query.to {
                let of: BTreeMap<_, _> = query.by.iter().map(|dimension| (*dimension, of[dimension].clone())).collect();
                let starts = query.series.then(|| query.period.start(entry.at));
                add(all.entry(format!("{starts:?} {of:?}")).or_default(), &totals);
            }
        }
    }
    all
}

fn named(rows: Vec<StatsRow>) -> BTreeMap<String, Totals> {
    let count = rows.len();
    let all: BTreeMap<_, _> =
        rows.into_iter().map(|row| (format!("{:?} {:?}", row.starts, row.of), row.sums)).collect();
    assert_eq!(all.len(), count);
    all
}

async fn sums_are_those_of_the_entries(place: Place) {
    let log = place.open_log().await;
    let mut dice = Dice::new(42);
    let entries: Vec<Entry> = (0..400).map(|_| random(&mut dice)).collect();
    for (at, batch) in entries.chunks(37).enumerate() {
        log.write(batch, &until(at as u64)).await.unwrap();
    }
    for _ in 0..60 {
        let mut by: Vec<Dimension> = Dimension::ALL.into_iter().filter(|_| dice.roll(3) == 0).collect();
        by.dedup();
        let mut only = BTreeMap::new();
        for (dimension, values) in [
            (Dimension::Key, ["k1", "k2"]),
            (Dimension::User, ["u1", "u2"]),
            (Dimension::Model, ["m1", "m2"]),
            (Dimension::Credential, ["c1", "c2"]),
        ] {
            if dice.roll(5) == 0 {
                only.insert(dimension, dice.one(&values).to_owned());
            }
        }
        let (from, to) = dice.one(&[(0, i64::MAX), (NOON - 1, NOON + DAY), (1_798_761_600_000, 1_835_400_000_000)]);
        let asks = |one: Dimension| by.contains(&one) || only.contains_key(&one);
        let callers = [Dimension::Key, Dimension::User, Dimension::Team].into_iter().any(asks);
        let of_days_only = callers && asks(Dimension::Credential);
        let period = if of_days_only { Period::Day } else { dice.one(&Period::ALL) };
        let query = StatsQuery { period, from, to, by, only, series: dice.roll(2) == 0, ..EVERYTHING };
        let expected = expected(&entries, &query);
        let found = named(log.stats(&query).await.unwrap());
        assert_eq!(found, expected, "{query:?}");
        if expected.len() <= 150 {
            // Few rows are found in another way.
            let few = StatsQuery { limit: 150, ..query };
            assert_eq!(named(log.stats(&few).await.unwrap()), expected, "{few:?}");
        }
    }
}

async fn s6_what_is_written_again_is_not_counted_again(place: Place) {
    let log = place.open_log().await;
    let entries = [entry("a", NOON), eventful("b", NOON + 1), entry("a", NOON)];
    for _ in 0..3 {
        log.write(&entries, &until(5)).await.unwrap();
    }
    // Some that are known and one that is not, after opening again.
    log.close().await;
    drop(log);
    let log = place.open_log().await;
    log.write(&[entry("b", NOON + 1), entry("c", NOON)], &until(6)).await.unwrap();
    let rows = log.stats(&EVERYTHING).await.unwrap();
    assert_eq!((rows[0].sums.requests, rows[0].sums.attempts), (3, 4));
    assert_eq!(super::ids(&log, super::any()).await.len(), 3);
    assert_eq!(log.position("j").await.unwrap(), Some(until(6)));
}

async fn money_is_exact_beyond_what_a_number_holds(place: Place) {
    let log = place.open_log().await;
    // 100 million of the currency each, and a bit.
    let each = 100_000_000_000_000_000_001_u128;
    for batch in 0..3_u32 {
        let entries: Vec<Entry> = (0..100)
            .map(|number| {
                let mut entry = entry(&format!("r{batch}-{number}"), NOON);
                entry.attempts[0].cost = Some(each);
                entry
            })
            .collect();
        log.write(&entries, &until(batch.into())).await.unwrap();
    }
    let mut absurd = entry("absurd", NOON + DAY);
    absurd.attempts[0].cost = Some(u128::MAX);
    absurd.attempts[0].counts = vec![("input".into(), u64::MAX)];
    log.write(&[absurd], &until(9)).await.unwrap();
    for period in Period::ALL {
        let rows = log.stats(&StatsQuery { period, to: NOON + 1, ..EVERYTHING.clone() }).await.unwrap();
        if period != Period::Month {
            assert_eq!(rows[0].sums.cost, BTreeMap::from([("USD".to_owned(), each * 300)]), "{period:?}");
        }
        assert_eq!(log.stats(&StatsQuery { period, ..EVERYTHING.clone() }).await.unwrap()[0].sums.requests, 301);
    }
}

async fn rows_are_sorted_and_bounded(place: Place) {
    let log = place.open_log().await;
    let entries: Vec<Entry> = (0..60)
        .map(|number| {
            let key = number % 10;
            let times = if number < 30 { key } else { 0 };
            let mut entry = Entry { key: Some(format!("key-{key}")), ..entry(&format!("r{number}"), NOON) };
            entry.key_name = Some(format!("name {key} {}", number / 30));
            entry.attempts[0].counts = vec![("output".into(), times)];
            entry
        })
        .collect();
    log.write(&entries, &until(1)).await.unwrap();
    let query = StatsQuery { by: vec![Dimension::Key], sort: Measure::Tokens, limit: 3, ..EVERYTHING };
    let rows = log.stats(&query).await.unwrap();
    let keys: Vec<&str> = rows.iter().map(|row| row.of[&Dimension::Key].as_deref().unwrap()).collect();
    assert_eq!(keys, ["key-9", "key-8", "key-7"]);
    assert_eq!(rows[0].names[&Dimension::Key], "name 9 1");
    assert!(
        log.stats(&StatsQuery { only: BTreeMap::from([(Dimension::Key, "nobody".into())]), ..query })
            .await
            .unwrap()
            .is_empty()
    );
}

async fn what_no_sums_are_kept_of_is_refused_with_a_reason(place: Place) {
    let log = place.open_log().await;
    log.write(&[entry("a", NOON)], &until(1)).await.unwrap();
    let by = vec![Dimension::Key, Dimension::Credential];
    assert_eq!(log.stats(&StatsQuery { by: by.clone(), ..EVERYTHING }).await.unwrap().len(), 1);
    for period in [Period::Minute, Period::Hour, Period::Month] {
        let error = log.stats(&StatsQuery { by: by.clone(), period, ..EVERYTHING }).await.unwrap_err();
        assert!(error.to_string().contains("days only"), "{error}");
    }
}

async fn limits_are_counted_by_what_is_charged(place: Place) {
    let log = place.open_log().await;
    let mut lost = eventful("b", NOON);
    lost.attempts[1].charged = false;
    let refused = Entry { attempts: Vec::new(), status: 429, outcome: "limit".into(), ..entry("c", NOON) };
    let other = Entry { user: None, team: None, model: "gpt-5".into(), ..entry("d", NOON + 60_000) };
    log.write(&[entry("a", NOON), lost, refused, other], &until(1)).await.unwrap();
    let used = |user: Option<&str>, team: Option<&str>, model: Option<&str>, requests| Used {
        key: some("key-1"),
        user: user.map(str::to_owned),
        team: team.map(str::to_owned),
        model: model.map(str::to_owned),
        requests,
        tokens: requests * 32_000,
        cost: BTreeMap::from([("USD".to_owned(), 24_600_000_000)]),
    };
    let all = [used(None, None, Some("gpt-5"), 1), used(Some("user-1"), Some("team-1"), Some("claude-sonnet-5"), 1)];
    for period in Period::ALL {
        let mut found = log.used(period, NOON, NOON + DAY).await.unwrap();
        found.sort();
        assert_eq!(found, all, "{period:?}");
        let mut in_all = log.used_in_all(period, NOON, NOON + DAY).await.unwrap();
        in_all.sort();
        let without: Vec<Used> = all.iter().map(|used| Used { model: None, ..used.clone() }).collect();
        assert_eq!(in_all, without, "{period:?}");
    }
    let mut minute = log.used(Period::Minute, NOON, NOON + 60_000).await.unwrap();
    minute.sort();
    assert_eq!(minute, all[1..]);
    assert!(log.used(Period::Minute, NOON + 120_000, i64::MAX).await.unwrap().is_empty());
}

async fn positions_only_grow(place: Place) {
    let log = place.open_log().await;
    assert_eq!(log.position("j").await.unwrap(), None);
    for offset in [7, 9, 8] {
        log.write(&[], &until(offset)).await.unwrap();
    }
    assert_eq!(log.position("j").await.unwrap(), Some(until(9)));
    assert_eq!(log.position("other").await.unwrap(), None);
}
