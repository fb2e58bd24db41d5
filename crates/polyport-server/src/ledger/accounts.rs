//! Limits while the gateway runs: what every subject may use and has used, in memory. A request takes its estimate from all accounts that
//! it is charged to, or is refused; when it ends, what it really used takes the place of the estimate.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use polyport_accounting::limits::{self, release, reserve, settle};
use polyport_accounting::{Account, Limit, Refused, Reservation, Reset, Standing, Tightest, Use, Window};
use polyport_types::{ClientProtocol, Fault, FaultClass, Pattern};

use crate::directory::quotas::{Quota, Subject};

/// The accounts of everybody who has limits.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    places: HashMap<Whose, usize>,
    accounts: Vec<Kept>,
    /// Some are not restored.
    lacking: bool,
}

/// Which account: of a subject, about all models or some.
type Whose = (Subject, Option<Pattern>);

#[derive(Debug, Default)]
struct Kept {
    account: Account,
    limits: Arc<[Limit]>,
    /// What was used before the gateway started is in it.
    restored: bool,
}

/// What was taken for one request. It has to be settled or released.
#[derive(Debug)]
pub(crate) struct Ticket {
    places: Vec<usize>,
    reservation: Reservation,
    tightest: Tightest,
}

/// Why nothing was taken.
#[derive(Debug)]
pub(crate) struct Denied {
    /// What the client is told.
    pub(crate) fault: Fault,
    /// Whose limit it is.
    pub(crate) quota: Option<Quota>,
    pub(crate) limit: Limit,
}

/// What a subject used in a window, from the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) window: Window,
    /// When the window began, in seconds since 1970.
    pub(crate) starts: i64,
    pub(crate) requests: u64,
    pub(crate) used: Use,
}

impl Open {
    /// The place of a quota's account, which is opened if there is none.
    fn place(&mut self, quota: &Quota) -> usize {
        let whose = (quota.subject.clone(), quota.models.clone());
        let place = match self.places.get(&whose) {
            Some(&place) => place,
            None => {
                let kept =
                    Kept { account: Account::new(&quota.limits), limits: Arc::clone(&quota.limits), restored: false };
                self.lacking = true;
                self.accounts.push(kept);
                self.places.insert(whose, self.accounts.len() - 1);
                self.accounts.len() - 1
            }
        };
        if let Some(kept) = self.accounts.get_mut(place)
            && !Arc::ptr_eq(&kept.limits, &quota.limits)
        {
            if kept.limits != quota.limits {
                kept.account.change(&quota.limits);
                // A limit that is new does not know what was used before.
                kept.restored = false;
                self.lacking = true;
            }
            kept.limits = Arc::clone(&quota.limits);
        }
        place
    }

    /// Works with the accounts at these places.
    fn with<T>(&mut self, places: &[usize], work: impl FnOnce(&mut [&mut Account]) -> T) -> T {
        let mut taken: Vec<Account> = places
            .iter()
            .map(|&at| self.accounts.get_mut(at).map(|kept| std::mem::take(&mut kept.account)).unwrap_or_default())
            .collect();
        let done = work(&mut taken.iter_mut().collect::<Vec<_>>());
        for (&at, account) in places.iter().zip(taken) {
            if let Some(kept) = self.accounts.get_mut(at) {
                kept.account = account;
            }
        }
        done
    }
}

impl Accounts {
    /// Takes what a request may use. `quotas` are those it is charged to.
    ///
    /// # Errors
    /// `LocalRate` or `LocalQuota`, with the limit, what is left of it, and when it starts anew.
    pub(crate) fn admit<'q>(
        &self,
        quotas: impl Iterator<Item = &'q Quota>,
        estimate: Use,
    ) -> Result<Option<Ticket>, Box<Denied>> {
        let mut quotas: Vec<&Quota> = quotas.collect();
        quotas.dedup_by(|a, b| a.subject == b.subject && a.models == b.models);
        if quotas.is_empty() {
            return Ok(None);
        }
        let now = Timestamp::now();
        let mut open = self.0.lock();
        let mut places: Vec<usize> = Vec::with_capacity(quotas.len());
        for quota in &quotas {
            let place = open.place(quota);
            // An account is charged once, however many keys of a list lead to it.
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let taken: Result<_, Refused> = open.with(&places, |accounts| {
            let reservation = reserve(accounts, now, estimate)?;
            let accounts: Vec<&Account> = accounts.iter().map(|account| &**account).collect();
            Ok((reservation, Tightest::of(&accounts, now)))
        });
        drop(open);
        match taken {
            Ok((reservation, tightest)) => Ok(Some(Ticket { places, reservation, tightest })),
            Err(refused) => {
                let quota = quotas.get(refused.account).copied();
                let fault = fault(&refused, quota, now);
                Err(Box::new(Denied { fault, quota: quota.cloned(), limit: refused.limit }))
            }
        }
    }

    /// Puts what was used in the place of what was taken; `None` if nothing was.
    pub(crate) fn close(&self, ticket: Ticket, used: Option<Use>) {
        let Ticket { places, reservation, .. } = ticket;
        self.0.lock().with(&places, |accounts| match used {
            Some(used) => settle(accounts, reservation, used),
            None => release(accounts, reservation),
        });
    }

    /// Those of the quotas whose accounts do not know yet what was used before, or `all` of them.
    pub(crate) fn unrestored(&self, mut quotas: Vec<Quota>, all: bool) -> Vec<Quota> {
        let mut open = self.0.lock();
        quotas.retain(|quota| {
            let place = open.place(quota);
            open.accounts.get(place).is_some_and(|kept| all || !kept.restored)
        });
        open.lacking = false;
        quotas
    }

    /// Takes over what the log knows of what was used.
    pub(crate) fn restore(&self, quota: &Quota, before: &[Before]) {
        let mut open = self.0.lock();
        let place = open.place(quota);
        if let Some(kept) = open.accounts.get_mut(place) {
            for one in before {
                kept.account.raise(one.window, one.starts, one.requests, one.used);
            }
            kept.restored = true;
        }
    }

    /// What is left of the limits of a quota.
    pub(crate) fn standings(&self, quota: &Quota) -> Vec<Standing> {
        let mut open = self.0.lock();
        let place = open.place(quota);
        open.accounts.get(place).map(|kept| kept.account.standings(Timestamp::now()).collect()).unwrap_or_default()
    }

    /// What was used before is not known of some accounts: it is asked again.
    pub(crate) fn lack(&self) {
        self.0.lock().lacking = true;
    }

    /// Whether there may be accounts that do not know what was used before.
    pub(crate) fn may_lack(&self) -> bool {
        self.0.lock().lacking
    }
}

/// The time until a point in time, rounded up to seconds.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    let left = at.duration_since(now).max(SignedDuration::ZERO);
    let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// What a refused client is told.
fn fault(refused: &Refused, quota: Option<&Quota>, now: Timestamp) -> Fault {
    let (kind, models) = match quota {
        Some(quota) => (quota.subject.kind(), quota.models.as_ref()),
        None => ("gateway", None),
    };
    let window = match refused.limit.window() {
        Some(Window::Minute) => " per minute",
        Some(Window::Day) => " per day",
        Some(Window::Month) => " per month",
        Some(Window::Total) => " in total",
        None => "",
    };
    let what = match refused.limit {
        Limit::Requests { amount, .. } => format!("{amount} requests{window}"),
        Limit::Tokens { amount, .. } => format!("{amount} tokens{window}"),
        Limit::Money { amount, .. } => format!("a budget of {amount}{window}"),
        Limit::Concurrency { amount } => format!("{amount} requests at the same time"),
    };
    let of = models.map(|models| format!(" of `{}`", models.as_str())).unwrap_or_default();
    let mut words = format!("this {kind}'s limit{of} is {what}; ");
    let left = match refused.limit {
        Limit::Money { .. } => polyport_accounting::Money::from_picos(refused.remaining).to_string(),
        _ => refused.remaining.to_string(),
    };
    // Writing to a String cannot fail.
    match refused.reset {
        Reset::Never => {
            write!(words, "{left} is left, which is less than this request may need; ask the operator of this gateway")
        }
        Reset::WhenOneEnds => write!(words, "try again when another request has ended"),
        Reset::At(at) => {
            write!(words, "{left} is left, which is less than this request may need; it starts anew at {at:.0}")
        }
    }
    .ok();
    let brief = matches!(refused.limit.window(), None | Some(Window::Minute));
    let class = if brief && refused.reset != Reset::Never { FaultClass::LocalRate } else { FaultClass::LocalQuota };
    let fault = Fault::new(class, words);
    match refused.reset {
        Reset::At(at) => fault.with_retry_after(until(at, now)),
        Reset::WhenOneEnds => fault.with_retry_after(Duration::from_secs(1)),
        Reset::Never => fault,
    }
}

impl Ticket {
    /// Tells clients how much is left, in the headers that their protocol has for it.
    pub(crate) fn tell(&self, protocol: ClientProtocol, headers: &mut HeaderMap) {
        let now = Timestamp::now();
        let mut tell = |what: &str, standing: Option<Standing>| {
            let Some(standing) = standing else { return };
            let (amount, left) = (standing.limit.amount().to_string(), standing.remaining.to_string());
            let mut set = |name: String, value: String| {
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                    headers.insert(name, value);
                }
            };
            if protocol == ClientProtocol::Messages {
                set(format!("anthropic-ratelimit-{what}-limit"), amount);
                set(format!("anthropic-ratelimit-{what}-remaining"), left);
                if let Some(at) = standing.reset {
                    set(format!("anthropic-ratelimit-{what}-reset"), format!("{at:.0}"));
                }
            } else {
                set(format!("x-ratelimit-limit-{what}"), amount);
                set(format!("x-ratelimit-remaining-{what}"), left);
                if let Some(at) = standing.reset {
                    set(format!("x-ratelimit-reset-{what}"), format!("{}s", until(at, now).as_secs()));
                }
            }
        };
        tell("requests", self.tightest.requests);
        tell("tokens", self.tightest.tokens);
    }
}

/// The window that holds a time: when it began, in seconds since 1970.
pub(crate) fn began(window: Window, now: Timestamp) -> i64 {
    limits::began(window, now.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(limits: &[Limit]) -> Quota {
        Quota { subject: Subject::Key("k".into()), models: None, limits: limits.into() }
    }

    #[test]
    fn c22_no_more_than_the_limit_is_let_in() {
        let accounts = Accounts::default();
        let quota = quota(&[Limit::Requests { window: Window::Total, amount: 10 }]);
        let one = Use { tokens: 5, ..Use::default() };
        let tickets: Vec<_> = (0..200).map(|_| accounts.admit([&quota].into_iter(), one)).collect();
        assert_eq!(tickets.iter().filter(|ticket| ticket.is_ok()).count(), 10);
        let fault = tickets.into_iter().find_map(Result::err).unwrap().fault;
        assert_eq!(fault.class, FaultClass::LocalQuota);
        assert!(fault.message.contains("10 requests in total"), "{}", fault.message);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let accounts = Accounts::default();
        let quota = quota(&[Limit::Tokens { window: Window::Day, amount: 100 }, Limit::Concurrency { amount: 1 }]);
        let estimate = Use { tokens: 80, ..Use::default() };
        let ticket = accounts.admit([&quota].into_iter(), estimate).unwrap().unwrap();
        assert_eq!(accounts.admit([&quota].into_iter(), estimate).unwrap_err().fault.class, FaultClass::LocalQuota);
        accounts.close(ticket, Some(Use { tokens: 10, ..Use::default() }));
        let ticket = accounts.admit([&quota].into_iter(), estimate).unwrap().unwrap();
        let mut headers = HeaderMap::new();
        ticket.tell(ClientProtocol::Chat, &mut headers);
        assert_eq!(headers["x-ratelimit-remaining-tokens"], "10");
        accounts.close(ticket, None);
    }

    #[test]
    fn what_was_used_before_counts_once() {
        let accounts = Accounts::default();
        let quota = quota(&[Limit::Tokens { window: Window::Total, amount: 100 }]);
        let before = Before {
            window: Window::Total,
            starts: began(Window::Total, Timestamp::now()),
            requests: 3,
            used: Use { tokens: 60, ..Use::default() },
        };
        assert_eq!(accounts.unrestored(vec![quota.clone()], false).len(), 1);
        accounts.restore(&quota, &[before]);
        accounts.restore(&quota, &[before]);
        let estimate = |tokens| Use { tokens, ..Use::default() };
        assert!(accounts.admit([&quota].into_iter(), estimate(41)).is_err());
        assert!(accounts.admit([&quota].into_iter(), estimate(40)).is_ok());
    }
}
