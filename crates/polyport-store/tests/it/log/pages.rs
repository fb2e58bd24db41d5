//! Reading: pages, filters, one request, lines of the ledger.

use std::collections::BTreeSet;

use polyport_store::log::{Entry, LedgerQuery, Order, Query, State, Status};

use super::{DAY, Dice, NOON, any, entry, eventful, ids, some, until};
use crate::place::Place;

crate::suite!(
    what_was_written_is_read,
    pages_show_every_row_once_while_more_come,
    filters_find_what_they_say,
    s12_a_search_is_literal,
    a4_statements_in_any_member_are_only_text,
    a_page_that_finds_little_says_where_to_go_on,
    lines_of_the_ledger_are_paged_and_filtered,
    names_that_no_provider_has_are_found_all_the_same,
    texts_are_bounded,
);

async fn what_was_written_is_read(place: Place) {
    let log = place.open_log().await;
    let (plain, full) = (entry("plain", NOON), eventful("full", NOON + 1));
    let bare = Entry { id: "bare".into(), at: NOON - 3 * DAY, status: 401, outcome: "auth".into(), ..Entry::default() };
    log.write(&[plain.clone(), full.clone(), bare.clone()], &until(1)).await.unwrap();
    for expected in [&plain, &full, &bare] {
        let found = log.request(&expected.id).await.unwrap().unwrap();
        assert_eq!(&found.entry, expected);
    }
    let list = log.requests(&any()).await.unwrap();
    assert_eq!(list.next, None);
    let listed: Vec<Entry> = list.rows.iter().map(|found| found.entry.clone()).collect();
    assert_eq!(listed, [Entry { payload: None, ..full.clone() }, plain, bare]);
    assert_eq!(list.rows.iter().map(|found| found.captured).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(log.request("none").await.unwrap(), None);
    let lines = log.ledger(&LedgerQuery { limit: 10, ..LedgerQuery::default() }).await.unwrap().rows;
    assert_eq!(lines.len(), 3);
    let of_full: Vec<_> = lines.iter().filter(|line| line.request == "full").map(|line| &line.attempt).collect();
    for attempt in &full.attempts {
        let line = of_full.iter().find(|line| line.n == attempt.n).unwrap();
        assert_eq!(**line, polyport_store::log::Attempt { error: None, ..attempt.clone() });
    }
}

async fn pages_show_every_row_once_while_more_come(place: Place) {
    let log = place.open_log().await;
    let mut dice = Dice::new(7);
    // Many of one millisecond, over several days.
    let mut make =
        |number: u64| entry(&format!("r{number}"), NOON - DAY * 3 + i64::try_from(dice.roll(40)).unwrap() * DAY / 10);
    let first: Vec<Entry> = (0..300).map(&mut make).collect();
    log.write(&first, &until(1)).await.unwrap();
    for order in [Order::Newest, Order::Oldest] {
        let mut query = Query { order, limit: 7, ..Query::default() };
        let mut seen = Vec::new();
        let mut more = 0..;
        loop {
            let page = log.requests(&query).await.unwrap();
            seen.extend(page.rows.into_iter().map(|found| found.entry));
            let Some(next) = page.next else { break };
            query.after = Some(next);
            if seen.len() < 200 {
                let number = more.next().unwrap();
                log.write(&[make(1000 + number + 1000 * u64::from(order == Order::Oldest))], &until(2)).await.unwrap();
            }
        }
        let distinct: BTreeSet<&str> = seen.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(distinct.len(), seen.len(), "each once");
        assert!(first.iter().all(|entry| distinct.contains(entry.id.as_str())), "all of them");
        let sorted = seen.windows(2).all(|pair| match order {
            Order::Newest => pair[0].at >= pair[1].at,
            Order::Oldest => pair[0].at <= pair[1].at,
        });
        assert!(sorted, "{order:?}");
    }
}

async fn filters_find_what_they_say(place: Place) {
    let log = place.open_log().await;
    let slow = Entry { duration_ms: 90_000, protocol: "chat".into(), ..entry("slow", NOON - DAY) };
    let other = Entry {
        key: some("key-2"),
        user: None,
        user_name: None,
        team: None,
        team_name: None,
        model: "gpt-5".into(),
        ..entry("other", NOON)
    };
    let gone = Entry { status: 499, outcome: "client_gone".into(), ..entry("gone", NOON + 2) };
    let late = Entry { error: some("the stream broke"), outcome: "upstream".into(), ..entry("late", NOON + 3) };
    log.write(&[slow, other, eventful("failed", NOON + 1), gone, late], &until(1)).await.unwrap();
    let cases: [(Query, &[&str]); 22] = [
        (Query { key: some("key-2"), ..any() }, &["other"]),
        (Query { user: some("user-1"), ..any() }, &["late", "gone", "failed", "slow"]),
        (Query { user: some("user-1"), key: some("key-2"), ..any() }, &[]),
        (Query { team: some("team-1"), failed: Some(false), ..any() }, &["gone", "slow"]),
        (Query { model: some("gpt-5"), ..any() }, &["other"]),
        (Query { provider: some("azure"), ..any() }, &["failed"]),
        (Query { provider: some("claude"), from: Some(NOON), to: Some(NOON + 2), ..any() }, &["failed", "other"]),
        (Query { provider: some("nobody"), ..any() }, &[]),
        (
            Query { credential: some("0192f0c1-7c1e-7000-8000-000000000001"), limit: 1, ..any() },
            &["late", "gone", "failed", "other", "slow"],
        ),
        (Query { status: Some(Status::Is(429)), ..any() }, &["failed"]),
        (Query { status: Some(Status::Class(4)), ..any() }, &["gone", "failed"]),
        (Query { status: Some(Status::Class(2)), ..any() }, &["late", "other", "slow"]),
        (Query { outcome: some("client_gone"), ..any() }, &["gone"]),
        (Query { protocol: some("chat"), ..any() }, &["slow"]),
        (Query { min_duration_ms: Some(60_000), ..any() }, &["slow"]),
        (Query { failed: Some(true), ..any() }, &["late", "failed"]),
        (Query { failed: Some(true), order: Order::Oldest, ..any() }, &["failed", "late"]),
        (Query { id: some("gone"), ..any() }, &["gone"]),
        (Query { id: some("gone"), user: some("user-2"), ..any() }, &[]),
        (Query { id: some("gone"), key: some("key-1"), ..any() }, &["gone"]),
        (Query { from: Some(NOON + 2), order: Order::Oldest, ..any() }, &["gone", "late"]),
        (Query { from: Some(NOON), to: Some(NOON), ..any() }, &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&log, query.clone()).await, expected, "{query:?}");
    }
}

async fn s12_a_search_is_literal(place: Place) {
    let log = place.open_log().await;
    let with = |id: &str, error: &str| Entry { error: some(error), upstream_id: None, ..entry(id, NOON) };
    let entries = [
        with("percent", "100% sure"),
        with("percentless", "100 sure"),
        with("underscore", "a_b"),
        with("underscoreless", "axb"),
        with("backslash", r"c:\temp"),
        with("quotes", r#"it's "quoted""#),
        with("unicode", "Grüße, 世界 🦀"),
        Entry { user_name: some("Grace"), ..with("named", "x") },
    ];
    log.write(&entries, &until(1)).await.unwrap();
    let long = "%_".repeat(5000);
    let cases: [(&str, &[&str]); 15] = [
        ("100%", &["percent"]),
        ("%", &["percent"]),
        ("a_b", &["underscore"]),
        ("_", &["underscore"]),
        ("\\", &["backslash"]),
        (r"C:\TEMP", &["backslash"]),
        ("it's", &["quotes"]),
        ("\"quoted\"", &["quotes"]),
        ("' OR '1'='1", &[]),
        ("世界 🦀", &["unicode"]),
        ("grace", &["named"]),
        ("quotes", &["quotes"]),
        ("\0", &[]),
        ("%%%___%%%", &[]),
        (&long, &[]),
    ];
    for (text, expected) in cases {
        let query = Query { text: some(text), ..any() };
        assert_eq!(ids(&log, query).await, expected, "{}", text.chars().take(20).collect::<String>());
    }
}

async fn a4_statements_in_any_member_are_only_text(place: Place) {
    let log = place.open_log().await;
    let evil = "'); DROP TABLE log_words; -- \" ? $1 %_\\ \u{202e} 世界";
    let mut hostile = eventful("hostile", NOON);
    for text in [&mut hostile.key, &mut hostile.key_name, &mut hostile.user, &mut hostile.user_name, &mut hostile.team]
    {
        *text = some(evil);
    }
    hostile.model = evil.into();
    hostile.route = evil.into();
    hostile.error = some(evil);
    hostile.attempts[0].provider = evil.into();
    hostile.attempts[0].error = some(evil);
    hostile.attempts[1].counts.push((evil.into(), 3));
    log.write(std::slice::from_ref(&hostile), &until(1)).await.unwrap();
    assert_eq!(log.request("hostile").await.unwrap().unwrap().entry, hostile);
    for query in [
        Query { key: some(evil), ..any() },
        Query { user: some(evil), ..any() },
        Query { model: some(evil), ..any() },
        Query { provider: some(evil), ..any() },
        Query { text: some(evil), ..any() },
    ] {
        assert_eq!(ids(&log, query).await, ["hostile"]);
    }
    // A text that a database cannot hold is held as well as can be.
    let nul = Entry { id: "n\0l".into(), key: some("a\0b"), error: some("\0"), ..entry("", NOON) };
    log.write(std::slice::from_ref(&nul), &until(2)).await.unwrap();
    log.write(&[nul], &until(3)).await.unwrap();
    assert_eq!(ids(&log, Query { key: some("a\0b"), ..any() }).await, ["n\u{fffd}l"]);
    assert_eq!(log.request("n\0l").await.unwrap().unwrap().entry.error.as_deref(), Some("\u{fffd}"));
}

async fn a_page_that_finds_little_says_where_to_go_on(place: Place) {
    let log = place.open_log().await;
    // More rows than one look takes.
    let entries: Vec<Entry> = (0..4500)
        .map(|number| Entry {
            model: if number == 3 { "rare" } else { "usual" }.into(),
            ..entry(&format!("r{number}"), NOON + number)
        })
        .collect();
    log.write(&entries, &until(1)).await.unwrap();
    for order in [Order::Newest, Order::Oldest] {
        let rare = Query { model: some("rare"), order, ..any() };
        assert_eq!(ids(&log, rare).await, ["r3"]);
        let all = ids(&log, Query { model: some("usual"), order, limit: 1000, ..any() }).await;
        assert_eq!(all.len(), 4499);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 4499);
    }
}

async fn lines_of_the_ledger_are_paged_and_filtered(place: Place) {
    let log = place.open_log().await;
    let other = Entry { key: some("key-2"), ..entry("b", NOON - 40 * DAY) };
    log.write(&[entry("a", NOON), other, eventful("c", NOON + 1)], &until(1)).await.unwrap();
    let all = LedgerQuery { limit: 1, ..LedgerQuery::default() };
    let lines = async |mut query: LedgerQuery| {
        let mut lines = Vec::new();
        loop {
            let page = log.ledger(&query).await.unwrap();
            lines.extend(page.rows.into_iter().map(|line| format!("{}{}", line.request, line.attempt.n)));
            let Some(next) = page.next else { return lines };
            query.after = Some(next);
        }
    };
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(lines(all.clone()).await), ["a1", "b1", "c1", "c2"]);
    assert_eq!(lines(LedgerQuery { key: some("key-2"), ..all.clone() }).await, ["b1"]);
    assert_eq!(lines(LedgerQuery { provider: some("azure"), ..all.clone() }).await, ["c1"]);
    assert_eq!(lines(LedgerQuery { state: Some(State::Estimated), ..all.clone() }).await, ["c2"]);
    assert_eq!(lines(LedgerQuery { charged: Some(false), user: some("user-1"), ..all.clone() }).await, ["c1"]);
    assert_eq!(lines(LedgerQuery { to: Some(NOON), ..all.clone() }).await, ["b1"]);
    assert_eq!(lines(LedgerQuery { order: Order::Oldest, to: Some(NOON + 1), ..all }).await, ["b1", "a1"]);
}

async fn names_that_no_provider_has_are_found_all_the_same(place: Place) {
    let log = place.open_log().await;
    let unknown = Entry { model: "made-up".into(), attempts: Vec::new(), status: 404, ..entry("unknown", NOON) };
    let mut refused = Entry { model: "refused".into(), ..entry("refused", NOON + 1) };
    refused.attempts[0].status = Some(404);
    log.write(&[unknown, refused], &until(1)).await.unwrap();
    assert_eq!(ids(&log, Query { model: some("made-up"), ..any() }).await, ["unknown"]);
    assert_eq!(ids(&log, Query { model: some("refused"), ..any() }).await, ["refused"]);
    assert_eq!(ids(&log, Query { text: some("de-u"), ..any() }).await, ["unknown"]);
}

async fn texts_are_bounded(place: Place) {
    let log = place.open_log().await;
    let huge = "é".repeat(100_000);
    let entry = Entry { model: huge.clone(), error: Some(huge.clone()), user: Some(huge), ..entry("huge", NOON) };
    log.write(&[entry], &until(1)).await.unwrap();
    let found = log.request("huge").await.unwrap().unwrap().entry;
    assert_eq!(found.model.chars().count(), 200);
    assert_eq!(found.error.unwrap().chars().count(), 1000);
    assert_eq!(found.user.unwrap().chars().count(), 200);
}
