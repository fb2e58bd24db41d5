//! How long requests took: the counts are those of the entries, whoever asks, and go with the sums.

use std::collections::BTreeMap;

use polyport_store::log::{Dimension, Entry, Measure, Old, Period, StatsQuery, Times};

use super::{DAY, Dice, NOON, attempt, entry, until};
use crate::place::Place;

crate::suite!(
    times_are_those_of_the_entries,
    sums_and_times_of_teams_are_there_for_every_period,
    old_times_go_with_their_sums
);

const DAYS: StatsQuery = StatsQuery {
    period: Period::Day,
    from: 0,
    to: i64::MAX,
    by: Vec::new(),
    series: true,
    only: BTreeMap::new(),
    sort: Measure::Requests,
    limit: 10_000,
};

fn random(dice: &mut Dice) -> Entry {
    let at = NOON + i64::try_from(dice.roll(4)).unwrap() * dice.one(&[1, 60_000, 3_600_000, DAY]);
    let user = dice.one(&[None, Some("u1"), Some("u2")]);
    let attempts = (0..dice.roll(3)).map(|n| {
        let provider = dice.one(&["p1", "p2"]).to_owned();
        polyport_store::log::Attempt { provider, ..attempt(u16::try_from(n).unwrap() + 1, at) }
    });
    let attempts = attempts.collect();
    let answered = dice.roll(4) > 0;
    let longest = 1 << dice.roll(20);
    Entry {
        key: dice.one(&[Some("k1"), Some("k2"), None]).map(str::to_owned),
        user: user.map(str::to_owned),
        team: user.map(|user| format!("team of {user}")),
        model: dice.one(&["m1", "m2"]).into(),
        status: if answered { 200 } else { 502 },
        outcome: if answered { dice.one(&["answered", "client_gone"]) } else { "server" }.into(),
        stream: dice.roll(2) == 0,
        first_token_ms: dice.one(&[None, Some(3), Some(900)]),
        duration_ms: u32::try_from(dice.roll(longest)).unwrap(),
        attempts,
        ..entry(&dice.id(), at)
    }
}

fn of(entry: &Entry, dimension: Dimension) -> Option<&str> {
    match dimension {
        Dimension::Key => entry.key.as_deref(),
        Dimension::User => entry.user.as_deref(),
        Dimension::Team => entry.team.as_deref(),
        // Requests that went nowhere are of no model.
        Dimension::Model => entry.attempts.last().map(|_| &*entry.model),
        Dimension::Provider => entry.attempts.last().map(|attempt| &*attempt.provider),
        Dimension::Credential => None,
    }
}

fn expected(entries: &[Entry], query: &StatsQuery) -> BTreeMap<i64, Times> {
    let mut all: BTreeMap<i64, Times> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.outcome == "answered") {
        let starts = query.period.start(entry.at);
        let wanted = query.only.iter().all(|(dimension, text)| of(entry, *dimension) == Some(text));
        if wanted && starts >= query.period.start(query.from) && starts < query.to {
            let times = all.entry(starts).or_default();
            times.latency.count(entry.duration_ms);
            if let Some(first) = entry.first_token_ms.filter(|_| entry.stream) {
                times.first_token.count(first);
            }
        }
    }
    all
}

async fn times_are_those_of_the_entries(place: Place) {
    let log = place.open_log().await;
    let mut dice = Dice::new(7);
    let entries: Vec<Entry> = (0..400).map(|_| random(&mut dice)).collect();
    for (at, batch) in entries.chunks(37).enumerate() {
        // What is written again is not counted again.
        for _ in 0..2 {
            log.write(batch, &until(at as u64)).await.unwrap();
        }
    }
    for _ in 0..80 {
        let mut only = BTreeMap::new();
        for (dimension, values) in [
            (Dimension::Key, ["k1", "k2"]),
            (Dimension::User, ["u1", "nobody"]),
            (Dimension::Team, ["team of u1", "team of u2"]),
            (Dimension::Model, ["m1", "m2"]),
            (Dimension::Provider, ["p1", "p2"]),
        ] {
            if dice.roll(4) == 0 {
                only.insert(dimension, dice.one(&values).to_owned());
            }
        }
        let period = dice.one(&[Period::Minute, Period::Hour, Period::Day]);
        let (from, to) = dice.one(&[(0, i64::MAX), (NOON + 1, NOON + DAY), (NOON + 7_200_000, NOON + 7_200_001)]);
        let query = StatsQuery { period, from, to, only, ..DAYS };
        let found = log.times(&query).await.unwrap().unwrap();
        assert_eq!(found, expected(&entries, &query), "{query:?}");
        // As many as the sums say.
        let rows = log.stats(&query).await.unwrap();
        let ok: BTreeMap<i64, u64> =
            rows.iter().filter(|row| row.sums.ok > 0).map(|row| (row.starts.unwrap(), row.sums.ok)).collect();
        assert_eq!(found.iter().map(|(starts, times)| (*starts, times.latency.len())).collect::<BTreeMap<_, _>>(), ok);
    }
    let months = StatsQuery { period: Period::Month, ..DAYS };
    let of_credential = StatsQuery { only: BTreeMap::from([(Dimension::Credential, "c".into())]), ..DAYS };
    for query in [months, of_credential] {
        assert_eq!(log.times(&query).await.unwrap(), None, "nothing is kept of it");
    }
}

async fn sums_and_times_of_teams_are_there_for_every_period(place: Place) {
    let log = place.open_log().await;
    log.write(&[entry("a", NOON), entry("b", NOON + 1)], &until(1)).await.unwrap();
    for period in Period::ALL {
        let by_team = StatsQuery { period, by: vec![Dimension::Team], series: false, ..DAYS };
        let rows = log.stats(&by_team).await.unwrap();
        assert_eq!(rows.len(), 1, "{period:?}");
        assert_eq!((rows[0].of[&Dimension::Team].as_deref(), rows[0].sums.requests), (Some("team-1"), 2), "{period:?}");
        let of_team = StatsQuery { period, only: BTreeMap::from([(Dimension::Team, "team-1".into())]), ..DAYS };
        assert_eq!(log.stats(&of_team).await.unwrap()[0].sums.requests, 2, "{period:?}");
    }
}

async fn old_times_go_with_their_sums(place: Place) {
    let log = place.open_log().await;
    let entries: Vec<Entry> = (0..60).map(|n| entry(&format!("r{n}"), NOON - n % 6 * DAY)).collect();
    log.write(&entries, &until(1)).await.unwrap();
    for (old, period) in [(Old::Minutes, Period::Minute), (Old::Hours, Period::Hour), (Old::Days, Period::Day)] {
        let left = async || log.times(&StatsQuery { period, ..DAYS }).await.unwrap().unwrap().len();
        assert_eq!(left().await, 6);
        while log.prune(old, NOON - 2 * DAY, 7).await.unwrap() == 7 {}
        assert_eq!(left().await, 3, "{period:?}");
        assert_eq!(log.stats(&StatsQuery { period, ..DAYS }).await.unwrap().len(), 3);
    }
}
