//! The arithmetic of limits against a naive account that remembers every request.

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn after(start: &str, seconds: i64) -> Timestamp {
    Timestamp::from_second(at(start).as_second() + seconds).unwrap()
}

fn tokens(tokens: u64) -> Use {
    Use { tokens, money: Money::ZERO }
}

fn one(limit: Limit) -> Account {
    Account::new(&[limit])
}

#[test]
fn windows_are_those_of_the_calendar() {
    let cases = [
        (Window::Minute, "2026-11-29T08:26:59.9Z", "2026-11-29T08:26:00Z", "2026-11-29T08:27:00Z"),
        (Window::Day, "2026-11-29T00:00:00Z", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"),
        (Window::Month, "2026-11-29T08:26:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        (Window::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        (Window::Month, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
    ];
    for (window, now, starts, ends) in cases {
        let expected = (at(starts).as_second(), at(ends).as_second());
        assert_eq!(span(window, at(now).as_second()), expected, "{window:?} {now}");
    }
    for second in [i64::MIN, -1, 0, i64::MAX, Timestamp::MAX.as_second()] {
        for window in [Window::Minute, Window::Day, Window::Month] {
            let (starts, ends) = span(window, second);
            assert!(starts <= second && second <= ends, "{window:?} {second}");
        }
    }
}

#[test]
fn a_request_needs_room_in_every_account_or_takes_nothing() {
    let now = at("2026-11-29T08:26:10Z");
    let mut user = Account::new(&[
        Limit::Requests { window: Window::Minute, amount: 2 },
        Limit::Money { window: Window::Month, amount: "0.5".parse().unwrap() },
    ]);
    let mut key = one(Limit::Tokens { window: Window::Day, amount: 100 });
    let estimate = Use { tokens: 60, money: "0.2".parse().unwrap() };
    let first = reserve(&mut [&mut user, &mut key], now, estimate).unwrap();
    let before = user.clone();
    let refused = reserve(&mut [&mut user, &mut key], now, estimate).unwrap_err();
    assert_eq!(
        refused,
        Refused {
            account: 1,
            limit: Limit::Tokens { window: Window::Day, amount: 100 },
            remaining: 40,
            reset: Reset::At(at("2026-11-30T00:00:00Z")),
        }
    );
    assert_eq!(user, before);
    settle(&mut [&mut user, &mut key], first, Use { tokens: 30, money: "0.1".parse().unwrap() });
    let second = reserve(&mut [&mut user, &mut key], now, estimate).unwrap();
    let tightest = Tightest::of(&[&user, &key], now);
    assert_eq!((tightest.requests.unwrap().remaining, tightest.tokens.unwrap().remaining), (0, 10));
    assert_eq!(tightest.requests.unwrap().reset, Some(at("2026-11-29T08:27:00Z")));
    // The request counts as one although its window is over when it ends; its money stays in the month.
    release(&mut [&mut user, &mut key], second);
    let left: Vec<u128> = user.standings(now).map(|standing| standing.remaining).collect();
    assert_eq!(left, [1, "0.4".parse::<Money>().unwrap().picos()]);
}

#[test]
fn the_limit_that_refuses_longest_is_told() {
    let now = at("2026-11-29T08:26:10Z");
    let limits = [
        Limit::Concurrency { amount: 1 },
        Limit::Requests { window: Window::Minute, amount: 1 },
        Limit::Tokens { window: Window::Month, amount: 10 },
        Limit::Requests { window: Window::Day, amount: 1 },
    ];
    let mut account = Account::new(&limits);
    let running = reserve(&mut [&mut account], now, tokens(10)).unwrap();
    let refused = reserve(&mut [&mut account], now, tokens(1)).unwrap_err();
    assert_eq!((refused.limit, refused.reset), (limits[2], Reset::At(at("2026-12-01T00:00:00Z"))));
    assert!(!refused.is_about_money());
    // What is larger than the limit never fits.
    let refused = reserve(&mut [&mut account], now, tokens(11)).unwrap_err();
    assert_eq!((refused.limit, refused.reset), (limits[2], Reset::Never));
    let next_month = at("2026-12-01T00:00:00Z");
    let refused = reserve(&mut [&mut account], next_month, tokens(1)).unwrap_err();
    assert_eq!((refused.limit, refused.reset), (limits[0], Reset::WhenOneEnds));
    settle(&mut [&mut account], running, tokens(500));
    let next = reserve(&mut [&mut account], next_month, tokens(10)).unwrap();
    settle(&mut [&mut account], next, tokens(10));

    let mut broke = one(Limit::Money { window: Window::Total, amount: Money::ZERO });
    let refused = reserve(&mut [&mut broke], now, Use::default()).unwrap_err();
    assert!(refused.is_about_money() && refused.reset == Reset::Never && refused.remaining == 0);
    assert!(reserve(&mut [], now, tokens(u64::MAX)).is_ok());
}

#[test]
fn a_clock_that_lags_does_not_open_the_past() {
    let limit = Limit::Requests { window: Window::Minute, amount: 1 };
    let mut account = one(limit);
    let now = "2026-11-29T08:26:00Z";
    let _counted = reserve(&mut [&mut account], at(now), tokens(1)).unwrap();
    // A little late: still the same window.
    assert!(reserve(&mut [&mut account], after(now, -PATIENCE), tokens(1)).is_err());
    assert_eq!(account.standings(after(now, -1)).next().unwrap().remaining, 0);
    // Set back: what the clock says is believed, and the reservation of the later minute does no harm.
    let back = reserve(&mut [&mut account], after(now, -PATIENCE - 60), tokens(1)).unwrap();
    settle(&mut [&mut account], back, tokens(1));
    assert!(reserve(&mut [&mut account], after(now, -PATIENCE - 60), tokens(1)).is_err());
}

#[test]
fn other_limits_keep_what_was_taken() {
    let now = at("2026-11-29T08:26:00Z");
    let mut account =
        Account::new(&[Limit::Tokens { window: Window::Day, amount: 100 }, Limit::Concurrency { amount: 5 }]);
    let running = reserve(&mut [&mut account], now, tokens(70)).unwrap();
    account.change(&[
        Limit::Concurrency { amount: 1 },
        Limit::Tokens { window: Window::Day, amount: 80 },
        Limit::Tokens { window: Window::Month, amount: 80 },
    ]);
    let left: Vec<u128> = account.standings(now).map(|standing| standing.remaining).collect();
    assert_eq!(left, [0, 10, 80]);
    settle(&mut [&mut account], running, tokens(75));
    let left: Vec<u128> = account.standings(now).map(|standing| standing.remaining).collect();
    assert_eq!(left, [1, 5, 80]);
}

#[test]
fn limits_are_written_as_people_write_them() {
    let json = r#"[{"what":"requests","window":"minute","amount":60},{"what":"money","window":"month","amount":"50"},
        {"what":"concurrency","amount":4},{"what":"tokens","window":"total","amount":1000000}]"#;
    let limits: Vec<Limit> = serde_json::from_str(json).unwrap();
    assert_eq!(limits[1].amount(), 50_000_000_000_000);
    assert_eq!(serde_json::from_str::<Vec<Limit>>(&serde_json::to_string(&limits).unwrap()).unwrap(), limits);
    assert_eq!(
        serde_json::from_str::<Limit>(r#"{"what":"money","window":"day","amount":0.5}"#).unwrap().amount(),
        500_000_000_000
    );
    for json in [
        r#"{"what":"requests","window":"hour","amount":1}"#,
        r#"{"what":"requests","amount":1}"#,
        r#"{"what":"concurrency","window":"day","amount":1}"#,
        r#"{"what":"tokens","window":"day","amount":-1}"#,
        r#"{"what":"words","window":"day","amount":1}"#,
    ] {
        assert!(serde_json::from_str::<Limit>(json).is_err(), "{json}");
    }
}

/// A request as the naive account remembers it.
#[derive(Clone, Debug)]
struct Remembered {
    at: Timestamp,
    accounts: u8,
    estimate: Use,
    /// `None` while it runs, then what it used; nothing if it was given back.
    end: Option<Option<Use>>,
}

/// Requests of one account that count in the window of a time.
fn counted<'r>(all: &'r [Remembered], account: usize, limit: &Limit, now: Timestamp) -> Vec<&'r Remembered> {
    let name = |at: Timestamp| -> String {
        let length = match limit.window() {
            Some(Window::Minute) => "2026-01-31T23:58".len(),
            Some(Window::Day) => "2026-01-31".len(),
            Some(Window::Month) => "2026-01".len(),
            Some(Window::Total) | None => 0,
        };
        at.to_string().chars().take(length).collect()
    };
    let here = all.iter().filter(|request| request.accounts & (1 << account) != 0 && name(request.at) == name(now));
    here.filter(|request| limit.window().is_some() || request.end.is_none()).collect()
}

fn share(limit: &Limit, of: &Use) -> u128 {
    match limit {
        Limit::Requests { .. } | Limit::Concurrency { .. } => 1,
        Limit::Tokens { .. } => u128::from(of.tokens),
        Limit::Money { .. } => of.money.picos(),
    }
}

fn taken(requests: &[&Remembered], limit: &Limit) -> u128 {
    let of = |request: &&Remembered| match &request.end {
        None => share(limit, &request.estimate),
        Some(Some(actual)) => share(limit, actual),
        Some(None) => 0,
    };
    requests.iter().map(of).sum()
}

fn limit() -> impl Strategy<Value = Limit> {
    let window = || prop::sample::select(vec![Window::Minute, Window::Day, Window::Month, Window::Total]);
    prop_oneof![
        (window(), 0..8_u64).prop_map(|(window, amount)| Limit::Requests { window, amount }),
        (window(), 0..200_u64).prop_map(|(window, amount)| Limit::Tokens { window, amount }),
        (window(), 0..200_u128).prop_map(|(window, amount)| Limit::Money { window, amount: Money::from_picos(amount) }),
        (0..4_u64).prop_map(|amount| Limit::Concurrency { amount }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Reserve { accounts: u8, estimate: Use },
    Settle { which: usize, actual: Use },
    Release { which: usize },
}

fn use_() -> impl Strategy<Value = Use> {
    (0..80_u64, 0..80_u128).prop_map(|(tokens, money)| Use { tokens, money: Money::from_picos(money) })
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = prop_oneof![5 => 0..50_i64, 2 => Just(60), 1 => Just(86_400), 1 => Just(31 * 86_400)];
    prop_oneof![
        2 => seconds.prop_map(Step::Wait),
        5 => (1..8_u8, use_()).prop_map(|(accounts, estimate)| Step::Reserve { accounts, estimate }),
        3 => (any::<usize>(), use_()).prop_map(|(which, actual)| Step::Settle { which, actual }),
        1 => any::<usize>().prop_map(|which| Step::Release { which }),
    ]
}

/// The accounts whose bits are set.
fn chosen(all: &mut [Account], bits: u8) -> Vec<&mut Account> {
    all.iter_mut().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, account)| account).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_counts_as_one_that_remembers_everything(
        limits in prop::collection::vec(prop::collection::vec(limit(), 0..4), 3),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut accounts: Vec<Account> = limits.iter().map(|limits| Account::new(limits)).collect();
        let mut now = at("2026-01-31T23:58:30Z");
        let mut all: Vec<Remembered> = Vec::new();
        let mut running: Vec<(usize, Reservation)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(seconds) => now = Timestamp::from_second(now.as_second() + seconds).unwrap(),
                Step::Reserve { accounts: bits, estimate } => {
                    let mut fits = true;
                    let here: Vec<usize> = (0..3).filter(|account| bits & (1 << account) != 0).collect();
                    for account in &here {
                        for limit in &limits[*account] {
                            let left = limit.amount().saturating_sub(taken(&counted(&all, *account, limit, now), limit));
                            fits &= share(limit, &estimate).max(1) <= left;
                        }
                    }
                    let before: Vec<Standing> = accounts.iter().flat_map(|account| account.standings(now)).collect();
                    match reserve(&mut chosen(&mut accounts, bits), now, estimate) {
                        Ok(reservation) => {
                            prop_assert!(fits);
                            running.push((all.len(), reservation));
                            all.push(Remembered { at: now, accounts: bits, estimate, end: None });
                        }
                        Err(refused) => {
                            prop_assert!(!fits);
                            let limits = &limits[here[refused.account]];
                            prop_assert!(limits.contains(&refused.limit));
                            let after: Vec<Standing> = accounts.iter().flat_map(|account| account.standings(now)).collect();
                            prop_assert_eq!(before, after);
                            check_reset(&accounts, &running, &all, bits, now, estimate, &refused)?;
                        }
                    }
                }
                Step::Settle { which, actual } if !running.is_empty() => {
                    let (place, reservation) = running.swap_remove(which % running.len());
                    all[place].end = Some(Some(actual));
                    settle(&mut chosen(&mut accounts, all[place].accounts), reservation, actual);
                }
                Step::Release { which } if !running.is_empty() => {
                    let (place, reservation) = running.swap_remove(which % running.len());
                    all[place].end = Some(None);
                    release(&mut chosen(&mut accounts, all[place].accounts), reservation);
                }
                Step::Settle { .. } | Step::Release { .. } => {}
            }
            for (place, account) in accounts.iter().enumerate() {
                for (limit, standing) in limits[place].iter().zip(account.standings(now)) {
                    let requests = counted(&all, place, limit, now);
                    let taken = taken(&requests, limit);
                    prop_assert_eq!(standing.remaining, limit.amount().saturating_sub(taken), "{:?}", limit);
                    // The promise: passed only by what requests used beyond their estimates.
                    let beyond: u128 = requests.iter().map(|request| match &request.end {
                        Some(Some(actual)) => share(limit, actual).saturating_sub(share(limit, &request.estimate)),
                        Some(None) | None => 0,
                    }).sum();
                    prop_assert!(taken <= limit.amount() + beyond, "{:?}: {} taken, {} beyond", limit, taken, beyond);
                }
            }
        }

        // A restart in the middle: what ran counts as used.
        for (limits, account) in limits.iter().zip(&accounts) {
            let json = serde_json::to_string(&account.saved().collect::<Vec<_>>()).unwrap();
            let mut restored = Account::new(limits);
            restored.restore(serde_json::from_str::<Vec<Saved>>(&json).unwrap());
            for (old, new) in account.standings(now).zip(restored.standings(now)) {
                let expected = if new.limit.window().is_some() { old.remaining } else { new.limit.amount() };
                prop_assert_eq!(new.remaining, expected);
            }
        }

        // When all is over nothing is reserved any more.
        for (place, reservation) in running {
            release(&mut chosen(&mut accounts, all[place].accounts), reservation);
        }
        for counter in accounts.iter().flat_map(|account| &account.counters).filter(|counter| counter.holds(now.as_second())) {
            prop_assert_eq!(counter.held, 0);
        }
    }

    #[test]
    fn numbers_of_any_size_are_counted(amount in any::<u64>(), uses in prop::collection::vec((any::<u64>(), any::<u128>()), 1..9)) {
        let now = at("2026-11-29T08:26:00Z");
        let mut account = Account::new(&[
            Limit::Tokens { window: Window::Total, amount },
            Limit::Money { window: Window::Total, amount: Money::MAX },
        ]);
        for (tokens, money) in uses {
            let actual = Use { tokens, money: Money::from_picos(money) };
            if let Ok(reservation) = reserve(&mut [&mut account], now, Use::default()) {
                settle(&mut [&mut account], reservation, actual);
            }
        }
        prop_assert!(account.standings(now).count() == 2);
    }
}

/// What a refusal says of the time holds: not a second earlier, and then, when nothing else runs.
fn check_reset(
    accounts: &[Account],
    running: &[(usize, Reservation)],
    all: &[Remembered],
    bits: u8,
    now: Timestamp,
    estimate: Use,
    refused: &Refused,
) -> Result<(), TestCaseError> {
    let when = match refused.reset {
        Reset::Never => after("9000-01-01T00:00:00Z", 0),
        Reset::WhenOneEnds => now,
        Reset::At(when) => {
            prop_assert!(when > now);
            let earlier = Timestamp::from_second(when.as_second() - 1).unwrap();
            let mut still = accounts.to_vec();
            prop_assert!(reserve(&mut chosen(&mut still, bits), earlier, estimate).is_err());
            when
        }
    };
    let mut later = accounts.to_vec();
    for (place, reservation) in running {
        let copy = Reservation { at: reservation.at, estimate: reservation.estimate };
        release(&mut chosen(&mut later, all[*place].accounts), copy);
    }
    let fits = reserve(&mut chosen(&mut later, bits), when, estimate).is_ok();
    prop_assert_eq!(fits, refused.reset != Reset::Never);
    Ok(())
}
