//! What is old goes, and what tells of people.

use polyport_store::log::{Dimension, Entry, Forgotten, LedgerQuery, Log, Old, Period, Query, StatsQuery};

use super::{DAY, NOON, any, entry, eventful, ids, some, until};
use crate::place::Place;

crate::suite!(
    what_is_old_goes_in_portions,
    s11_sums_outlive_what_they_were_made_of,
    old_rows_lose_what_tells_of_people,
    a_user_who_goes_is_forgotten_and_amounts_stay,
    keys_without_a_user_are_forgotten_too,
);

fn totals(period: Period, by: &[Dimension]) -> StatsQuery {
    StatsQuery {
        period,
        from: 0,
        to: i64::MAX,
        by: by.to_vec(),
        series: false,
        only: std::collections::BTreeMap::new(),
        sort: polyport_store::log::Measure::Requests,
        limit: 100,
    }
}

async fn lines(log: &Log) -> Vec<polyport_store::log::Line> {
    log.ledger(&LedgerQuery { limit: 1000, ..LedgerQuery::default() }).await.unwrap().rows
}

async fn what_is_old_goes_in_portions(place: Place) {
    let log = place.open_log().await;
    let entries: Vec<Entry> =
        (0..100).map(|number| eventful(&format!("r{number}"), NOON - (number % 10) * DAY)).collect();
    log.write(&entries, &until(1)).await.unwrap();
    let before = NOON - 5 * DAY + 1;
    let mut portions = Vec::new();
    loop {
        let deleted = log.prune(Old::Requests, before, 20).await.unwrap();
        portions.push(deleted);
        if deleted < 20 {
            break;
        }
    }
    assert_eq!(portions, [20, 20, 10]);
    assert_eq!(ids(&log, any()).await.len(), 50);
    // The day that is half gone stays, and is written to again.
    let again = entry("again", NOON - 5 * DAY);
    let long_gone = entry("long gone", NOON - 8 * DAY);
    log.write(&[again, long_gone], &until(2)).await.unwrap();
    assert_eq!(ids(&log, any()).await.len(), 52);
    assert_eq!(log.prune(Old::Payloads, before, 1000).await.unwrap(), 50);
    assert!(log.request("r4").await.unwrap().unwrap().entry.payload.is_some());
    assert_eq!(log.prune(Old::Ledger, NOON - DAY / 2, 1000).await.unwrap(), 182);
    assert_eq!(lines(&log).await.len(), 20);
    for old in Old::ALL {
        while log.prune(old, i64::MAX, 7).await.unwrap() == 7 {}
        assert_eq!(log.prune(old, i64::MIN, 7).await.unwrap(), 0);
    }
    assert_eq!(lines(&log).await.len(), 0);
    assert!(log.stats(&totals(Period::Day, &[])).await.unwrap().is_empty());
    assert_eq!(log.stats(&totals(Period::Month, &[])).await.unwrap()[0].sums.requests, 102);
    while log.compact(5).await.unwrap() > 0 {}
    log.write(&[entry("new", NOON)], &until(3)).await.unwrap();
    assert_eq!(ids(&log, any()).await, ["new"]);
}

async fn s11_sums_outlive_what_they_were_made_of(place: Place) {
    let log = place.open_log().await;
    log.write(&[entry("a", NOON), entry("b", NOON - 2 * DAY)], &until(1)).await.unwrap();
    assert_eq!(log.prune(Old::Requests, NOON + DAY, 10).await.unwrap(), 2);
    assert_eq!(log.prune(Old::Minutes, NOON, 1).await.unwrap(), 1);
    while log.prune(Old::Minutes, NOON, 1).await.unwrap() > 0 {}
    let requests = async |period| log.stats(&totals(period, &[Dimension::Key])).await.unwrap()[0].sums.requests;
    assert_eq!(requests(Period::Minute).await, 1, "what is not old stays");
    for period in [Period::Hour, Period::Day, Period::Month] {
        assert_eq!(requests(period).await, 2);
    }
}

async fn old_rows_lose_what_tells_of_people(place: Place) {
    let log = place.open_log().await;
    let entries: Vec<Entry> =
        (0..30).map(|number| eventful(&format!("r{number:02}"), NOON - (number / 5) * DAY)).collect();
    log.write(&entries, &until(1)).await.unwrap();
    let before = NOON - 2 * DAY - 1;
    while log.anonymise(before, 4).await.unwrap() > 0 {}
    // One that comes late is no exception.
    log.write(&[eventful("late", NOON - 4 * DAY)], &until(2)).await.unwrap();
    while log.anonymise(before, 4).await.unwrap() > 0 {}
    let mut bare = 0;
    for found in log.requests(&any()).await.unwrap().rows {
        let entry = log.request(&found.entry.id).await.unwrap().unwrap().entry;
        let errors = entry.attempts.iter().any(|attempt| attempt.error.is_some());
        let shown =
            [entry.source.is_some(), entry.error.is_some(), entry.user_name.is_some(), errors, entry.payload.is_some()];
        assert_eq!(shown, [entry.at >= before; 5], "{}", entry.id);
        assert_eq!((entry.status, entry.user.as_deref(), entry.attempts.len()), (429, Some("user-1"), 2));
        bare += u32::from(entry.at < before);
    }
    assert_eq!(bare, 16);
    assert!(lines(&log).await.iter().all(|line| line.user_name.is_some() == (line.at >= before)));
}

async fn a_user_who_goes_is_forgotten_and_amounts_stay(place: Place) {
    let log = place.open_log().await;
    let mut entries: Vec<Entry> = (0..40).map(|number| eventful(&format!("r{number}"), NOON - number * DAY)).collect();
    for (number, entry) in entries.iter_mut().enumerate() {
        if number % 2 == 1 {
            entry.key = some("key-2");
            entry.key_name = some("Ada's phone");
        }
        if number % 4 == 3 {
            // Another user with a key of the same name.
            (entry.key, entry.user, entry.user_name) = (some("key-3"), some("user-2"), some("Bob"));
        }
    }
    log.write(&entries, &until(1)).await.unwrap();
    let before = log.stats(&totals(Period::Month, &[])).await.unwrap();
    let forgotten = log.forget(Some("user-1"), &[], 7).await.unwrap();
    assert_eq!(forgotten, Forgotten { subjects: 3, requests: 30, payloads: 30 });
    assert_eq!(log.forget(Some("user-1"), &["key-1".into()], 7).await.unwrap(), Forgotten::default());
    assert_eq!(log.stats(&totals(Period::Month, &[])).await.unwrap(), before);

    for found in log.requests(&Query { limit: 100, ..Query::default() }).await.unwrap().rows {
        let entry = log.request(&found.entry.id).await.unwrap().unwrap().entry;
        if entry.user.as_deref() == Some("user-2") {
            assert_eq!((entry.user_name.as_deref(), entry.key_name.as_deref()), (Some("Bob"), Some("Ada's phone")));
            assert!(entry.error.is_some() && entry.payload.is_some() && entry.source.is_some());
            continue;
        }
        assert!(entry.user.unwrap().starts_with("forgotten-") && entry.key.unwrap().starts_with("forgotten-"));
        assert_eq!(
            (entry.user_name, entry.key_name, entry.error, entry.source, entry.payload),
            (None, None, None, None, None)
        );
        assert_eq!(entry.attempts[1].cost, Some(24_600_000_000));
    }
    let by_user = log.stats(&totals(Period::Month, &[Dimension::User])).await.unwrap();
    let names: Vec<_> = by_user.iter().map(|row| row.names.get(&Dimension::User).map(String::as_str)).collect();
    assert_eq!(names, [None, Some("Bob")]);
    assert!(ids(&log, Query { user: some("user-1"), ..any() }).await.is_empty());
    assert!(ids(&log, Query { text: some("Ada"), ..any() }).await.len() == 10, "the other user's key");
    // Numbers of words that went are not given to others.
    let next = Entry { key_name: some("tablet"), ..entry("next", NOON) };
    log.write(&[next], &until(2)).await.unwrap();
    let names = log.requests(&any()).await.unwrap().rows;
    assert_eq!(names.iter().filter(|found| found.entry.key_name.as_deref() == Some("tablet")).count(), 1);
    assert_eq!(
        log.forget(Some("user-1"), &[], 100).await.unwrap(),
        Forgotten { subjects: 2, requests: 1, payloads: 0 }
    );
}

async fn keys_without_a_user_are_forgotten_too(place: Place) {
    let log = place.open_log().await;
    let lone = Entry { user: None, user_name: None, ..eventful("lone", NOON) };
    log.write(&[lone, entry("other", NOON)], &until(1)).await.unwrap();
    let forgotten = log.forget(None, &["key-1".into(), "nobody".into()], 100).await.unwrap();
    assert_eq!(forgotten, Forgotten { subjects: 1, requests: 2, payloads: 1 });
    let entry = log.request("lone").await.unwrap().unwrap().entry;
    assert_eq!((entry.key_name, entry.source), (None, None));
}
