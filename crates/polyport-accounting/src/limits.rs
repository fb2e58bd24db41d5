//! Limits: how much callers may use, reserved before a request and settled after it.
//!
//! An [`Account`] belongs to one subject (a user, a team, a client key, a model) and has any number of [`Limit`]s. A request is charged to
//! several accounts at once: [`reserve`] takes its estimate from all of them or from none. Afterwards [`settle`] puts what it really
//! used in the place of the estimate, or [`release`] gives it back if it never reached a provider.
//!
//! # What is promised
//! A request gets in only while what is settled and what is reserved, its own estimate included, stay within every limit. So a limit is
//! passed only by requests that are already running, and by no more than they use beyond their estimates; if no request uses more than
//! it reserved, no limit is ever passed.
//!
//! # Windows
//! A request belongs to the window in which it was admitted, however long it runs. Windows are those of the calendar, in UTC: minutes,
//! days, months. A minute that slides would be smoother at its edges (two full minutes fit into one second around the turn of a fixed
//! one), but it needs the time of every request, or only approximates; a fixed one is two numbers, gives an exact time at which it starts
//! anew, means the same to all gateways that share a database, and survives a restart. Providers' own limits mostly refill at fixed times
//! as well.
//!
//! # Time
//! `now` comes in and may be late: several threads read the clock before they get here. An account never returns to an earlier window for
//! a clock that is less than [`PATIENCE`] behind; one that was set back further is believed.
//!
//! The functions neither allocate nor lock; whoever shares accounts between threads holds a lock around each call.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::decimal::Money;

/// How far back, in seconds, a clock may be without turning the windows back.
pub const PATIENCE: i64 = 300;

/// The time in which a limit may be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// From second 0 to second 0.
    Minute,
    /// From midnight to midnight, UTC.
    Day,
    /// From the first to the first, UTC.
    Month,
    /// For ever.
    Total,
}

/// An upper bound of what a subject may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase", deny_unknown_fields)]
pub enum Limit {
    /// Requests that are admitted in a window.
    Requests {
        /// In which time.
        window: Window,
        /// How many.
        amount: u64,
    },
    /// Tokens of prompts and answers.
    Tokens {
        /// In which time.
        window: Window,
        /// How many.
        amount: u64,
    },
    /// Money, in the one currency that all costs were converted to.
    Money {
        /// In which time.
        window: Window,
        /// How much.
        amount: Money,
    },
    /// Requests at the same time.
    Concurrency {
        /// How many.
        amount: u64,
    },
}

impl Limit {
    /// The window; concurrency has none.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        match self {
            Self::Requests { window, .. } | Self::Tokens { window, .. } | Self::Money { window, .. } => Some(*window),
            Self::Concurrency { .. } => None,
        }
    }

    /// The bound: a number, or money in its smallest unit (10⁻¹²).
    #[must_use]
    pub fn amount(&self) -> u128 {
        match self {
            Self::Requests { amount, .. } | Self::Tokens { amount, .. } | Self::Concurrency { amount } => {
                u128::from(*amount)
            }
            Self::Money { amount, .. } => amount.picos(),
        }
    }

    /// How much of what it bounds a request uses.
    fn share(&self, of: &Use) -> u128 {
        match self {
            Self::Requests { .. } | Self::Concurrency { .. } => 1,
            Self::Tokens { .. } => u128::from(of.tokens),
            Self::Money { .. } => of.money.picos(),
        }
    }

    /// Whether the same thing is counted in the same window.
    fn counts_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.window() == other.window()
    }
}

/// What a request uses, or may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Tokens of prompt and answer.
    pub tokens: u64,
    /// What it costs; of a model without a price nothing is known and nothing is counted.
    pub money: Money,
}

/// What was taken from a limit in its current window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counter {
    limit: Limit,
    /// Seconds since 1970: the window begins at the first and ends before the second.
    starts: i64,
    ends: i64,
    /// Used by requests that are over.
    settled: u128,
    /// Reserved by those that run.
    held: u128,
}

impl Counter {
    fn new(limit: Limit) -> Self {
        // An empty window in the past, unless there is only one.
        let (starts, ends) = match limit.window() {
            None | Some(Window::Total) => (i64::MIN, i64::MAX),
            Some(_) => (0, 0),
        };
        Self { limit, starts, ends, settled: 0, held: 0 }
    }

    fn holds(&self, at: i64) -> bool {
        self.starts <= at && at < self.ends
    }

    /// Begins the window of a time, if it is another one.
    fn turn(&mut self, now: i64) {
        if !self.holds(now)
            && let Some(window) = self.limit.window()
        {
            (self.starts, self.ends) = span(window, now);
            (self.settled, self.held) = (0, 0);
        }
    }

    fn taken(&self) -> u128 {
        self.settled.saturating_add(self.held)
    }

    fn remaining(&self) -> u128 {
        self.limit.amount().saturating_sub(self.taken())
    }

    /// Why a request does not fit, if so.
    fn refusal(&self, account: usize, estimate: &Use) -> Option<Refused> {
        let (share, amount) = (self.limit.share(estimate), self.limit.amount());
        // A request whose use is not known needs room for something.
        if share.max(1) <= self.remaining() {
            return None;
        }
        let reset = match self.limit.window() {
            _ if share.max(1) > amount => Reset::Never,
            None => Reset::WhenOneEnds,
            // What is for ever may get room only from requests that use less than they reserved.
            Some(Window::Total) if share.max(1) <= amount.saturating_sub(self.settled) => Reset::WhenOneEnds,
            Some(_) => time(self.ends).map_or(Reset::Never, Reset::At),
        };
        Some(Refused { account, limit: self.limit, remaining: self.remaining(), reset })
    }
}

/// When the window around a time began, in seconds since 1970.
#[must_use]
pub fn began(window: Window, now: i64) -> i64 {
    span(window, now).0
}

/// The window around a time: first second, and first second after it.
fn span(window: Window, now: i64) -> (i64, i64) {
    let fixed = |length: i64| {
        let starts = now.div_euclid(length).saturating_mul(length);
        (starts, starts.saturating_add(length))
    };
    match window {
        Window::Minute => fixed(60),
        Window::Day => fixed(86_400),
        Window::Month => month(now).unwrap_or_else(|| fixed(30 * 86_400)),
        Window::Total => (i64::MIN, i64::MAX),
    }
}

/// Only the last month of the calendar (in the year 9999) has no next one.
fn month(now: i64) -> Option<(i64, i64)> {
    let first = Timestamp::from_second(now).ok()?.to_zoned(TimeZone::UTC).date().first_of_month();
    let next = first.last_of_month().tomorrow().ok()?;
    let second = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second());
    Some((second(first)?, second(next)?))
}

/// The point in time of a second, unless the window has no end.
fn time(second: i64) -> Option<Timestamp> {
    Timestamp::from_second(second).ok().filter(|_| second != i64::MAX)
}

/// The limits of one subject and what was taken from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    counters: Vec<Counter>,
    /// The latest time that was seen.
    latest: i64,
}

/// What was taken from a limit, to keep over a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The limit. Only what it counts and its window matter later; its amount may have changed.
    pub limit: Limit,
    /// When the window began, in seconds since 1970.
    pub starts: i64,
    /// Used by requests that were over: a number, or money in units of 10⁻¹², as a text.
    #[serde(with = "text")]
    pub settled: u128,
    /// Reserved by requests that were running.
    #[serde(with = "text")]
    pub held: u128,
}

/// Large numbers as text: many readers of JSON round numbers.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Account {
    /// An account from which nothing was taken.
    #[must_use]
    pub fn new(limits: &[Limit]) -> Self {
        Self { counters: limits.iter().copied().map(Counter::new).collect(), latest: i64::MIN }
    }

    /// Its limits.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.counters.iter().map(|counter| &counter.limit)
    }

    /// Other limits from now on. What was taken stays where the same is counted in the same window as before; a limit that is new does
    /// not know of requests that are running already.
    pub fn change(&mut self, limits: &[Limit]) {
        let mut old = std::mem::take(&mut self.counters);
        self.counters = limits.iter().copied().map(Counter::new).collect();
        for counter in &mut self.counters {
            if let Some(at) = old.iter().position(|old| old.limit.counts_like(&counter.limit)) {
                *counter = Counter { limit: counter.limit, ..old.swap_remove(at) };
            }
        }
    }

    /// What was taken, to keep over a restart. A counter that nothing was taken from is left out.
    pub fn saved(&self) -> impl Iterator<Item = Saved> + '_ {
        let used = self.counters.iter().filter(|counter| counter.taken() > 0 && counter.limit.window().is_some());
        used.map(|counter| Saved {
            limit: counter.limit,
            starts: counter.starts,
            settled: counter.settled,
            held: counter.held,
        })
    }

    /// Takes over what was kept. Requests that were running then are not any more: what they reserved counts as used, as nobody knows
    /// better, and none of them counts as running.
    pub fn restore(&mut self, saved: impl IntoIterator<Item = Saved>) {
        let mut open: Vec<usize> = (0..self.counters.len()).collect();
        for saved in saved {
            let like =
                |at: &usize| self.counters.get(*at).is_some_and(|counter| counter.limit.counts_like(&saved.limit));
            let Some(at) = open.iter().position(like).map(|at| open.remove(at)) else { continue };
            if let (Some(counter), Some(window)) = (self.counters.get_mut(at), saved.limit.window()) {
                (counter.starts, counter.ends) = span(window, saved.starts);
                (counter.settled, counter.held) = (saved.settled.saturating_add(saved.held), 0);
                self.latest = self.latest.max(saved.starts);
            }
        }
    }

    /// At least so much was used in the window that began at `starts` (seconds since 1970), by requests that are over: others may have counted
    /// what this account does not know of. Where another window is open by now, nothing changes.
    pub fn raise(&mut self, window: Window, starts: i64, requests: u64, used: Use) {
        for counter in self.counters.iter_mut().filter(|counter| counter.limit.window() == Some(window)) {
            let (from, to) = span(window, starts);
            if counter.ends == 0 {
                (counter.starts, counter.ends) = (from, to);
            }
            if counter.starts == from {
                let share = match counter.limit {
                    Limit::Requests { .. } => u128::from(requests),
                    _ => counter.limit.share(&used),
                };
                counter.settled = counter.settled.max(share);
            }
        }
    }

    /// What is left of each limit.
    pub fn standings(&self, now: Timestamp) -> impl Iterator<Item = Standing> + '_ {
        let now = self.effective(now.as_second());
        self.counters.iter().map(move |counter| {
            let mut counter = *counter;
            counter.turn(now);
            Standing { limit: counter.limit, remaining: counter.remaining(), reset: time(counter.ends) }
        })
    }

    /// The time that counts.
    fn effective(&self, now: i64) -> i64 {
        let behind = self.latest.saturating_sub(now);
        if (0..=PATIENCE).contains(&behind) { self.latest } else { now }
    }
}

/// When a refused request may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reset {
    /// As soon as another request ends, if it leaves enough.
    WhenOneEnds,
    /// At this time.
    At(Timestamp),
    /// Not at all: the limit is for ever and used up, or smaller than the request.
    Never,
}

/// A request that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a limit is used up")]
pub struct Refused {
    /// Whose limit it is: the place in the list of accounts.
    pub account: usize,
    /// The limit. Of several that refuse, the one that does so longest.
    pub limit: Limit,
    /// What is left of it: a number, or money in units of 10⁻¹².
    pub remaining: u128,
    /// When it may be tried again.
    pub reset: Reset,
}

impl Refused {
    /// Whether money ran out (402) rather than a rate or a number (429).
    #[must_use]
    pub fn is_about_money(&self) -> bool {
        matches!(self.limit, Limit::Money { .. })
    }
}

/// An estimate that was taken from accounts and waits to be settled.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is reserved stays reserved until it is settled or released"]
pub struct Reservation {
    /// The second of its admission: it tells the windows that it was taken from.
    at: i64,
    estimate: Use,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub limit: Limit,
    /// What is left: a number, or money in units of 10⁻¹².
    pub remaining: u128,
    /// When it starts anew, if it ever does.
    pub reset: Option<Timestamp>,
}

/// Takes an estimate from all accounts, or from none of them.
///
/// # Errors
/// The limit that refuses longest.
pub fn reserve(accounts: &mut [&mut Account], now: Timestamp, estimate: Use) -> Result<Reservation, Refused> {
    let at = accounts.iter().fold(now.as_second(), |now, account| account.effective(now));
    let mut refused: Option<Refused> = None;
    for (place, account) in accounts.iter_mut().enumerate() {
        account.latest = at;
        for counter in &mut account.counters {
            counter.turn(at);
            let refusal = counter.refusal(place, &estimate);
            if refused.is_none_or(|known| refusal.is_some_and(|new| new.reset > known.reset)) {
                refused = refusal.or(refused);
            }
        }
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    for account in accounts {
        for counter in &mut account.counters {
            counter.held = counter.held.saturating_add(counter.limit.share(&estimate));
        }
    }
    Ok(Reservation { at, estimate })
}

/// Puts what a request really used in the place of what was reserved for it. `accounts` are those that it was reserved from.
#[allow(clippy::needless_pass_by_value, reason = "a reservation is settled once")]
pub fn settle(accounts: &mut [&mut Account], reservation: Reservation, actual: Use) {
    finish(accounts, &reservation, Some(&actual));
}

/// Gives back what was reserved for a request that did not take place.
#[allow(clippy::needless_pass_by_value, reason = "a reservation is given back once")]
pub fn release(accounts: &mut [&mut Account], reservation: Reservation) {
    finish(accounts, &reservation, None);
}

fn finish(accounts: &mut [&mut Account], reservation: &Reservation, actual: Option<&Use>) {
    for counter in accounts.iter_mut().flat_map(|account| &mut account.counters) {
        // A window that is over keeps no count, and the next one was not charged.
        if !counter.holds(reservation.at) {
            continue;
        }
        counter.held = counter.held.saturating_sub(counter.limit.share(&reservation.estimate));
        if let Some(actual) = actual.filter(|_| counter.limit.window().is_some()) {
            counter.settled = counter.settled.saturating_add(counter.limit.share(actual));
        }
    }
}

/// The limits of requests and of tokens that are tightest, for the headers that tell clients how much is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tightest {
    /// Of requests.
    pub requests: Option<Standing>,
    /// Of tokens.
    pub tokens: Option<Standing>,
}

impl Tightest {
    /// Looks at all accounts of a request. Of limits with equally much left, the one that starts anew later counts.
    #[must_use]
    pub fn of(accounts: &[&Account], now: Timestamp) -> Self {
        let mut found = Self::default();
        for standing in accounts.iter().flat_map(|account| account.standings(now)) {
            let slot = match standing.limit {
                Limit::Requests { .. } => &mut found.requests,
                Limit::Tokens { .. } => &mut found.tokens,
                Limit::Money { .. } | Limit::Concurrency { .. } => continue,
            };
            let later = |known: &Standing| match (standing.reset, known.reset) {
                (None, known) => known.is_some(),
                (Some(new), Some(known)) => new > known,
                (Some(_), None) => false,
            };
            let tighter = |known: &Standing| {
                standing.remaining < known.remaining || standing.remaining == known.remaining && later(known)
            };
            if slot.as_ref().is_none_or(tighter) {
                *slot = Some(standing);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
