//! Whether a provider's model, or a whole provider, may be tried: it rests when it fails too often, and is tried out before it is
//! trusted again.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use polyport_types::FaultClass;

use crate::latency::{Histogram, PeakEwma};
use crate::roster::Barred;
use crate::state::{Millis, RestPolicy, Saved, State, Trouble, Verdict, verdict};

/// Half of the time over which failures are counted.
const BUCKET: Millis = 15_000;

/// Overload is judged over this time.
const STRIKES_WITHIN: Millis = 60_000;

/// One target's record.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// End of the rest; 0 while it does not rest and need not be tried out.
    until: AtomicU64,
    probing: AtomicBool,
    inner: Mutex<Inner>,
    pub(crate) latency: PeakEwma,
    pub(crate) first_tokens: Histogram,
    pub(crate) in_flight: AtomicU32,
}

#[derive(Debug, Default)]
struct Inner {
    rest: Option<Rest>,
    /// Failures in a row.
    row: u32,
    recent: Window,
    strikes: Vec<Millis>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    run: u32,
    failed_at: Millis,
    cause: FaultClass,
    half_open: bool,
}

/// Attempts of the last 15 to 30 seconds.
#[derive(Debug, Default)]
struct Window {
    /// Number of the current bucket since 1970.
    bucket: u64,
    now: Outcomes,
    before: Outcomes,
}

#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    all: u32,
    bad: u32,
}

impl Window {
    fn turn(&mut self, now: Millis) {
        let bucket = now / BUCKET;
        if bucket > self.bucket {
            self.before = if bucket == self.bucket + 1 { self.now } else { Outcomes::default() };
            self.now = Outcomes::default();
            self.bucket = bucket;
        }
    }

    fn add(&mut self, bad: bool, now: Millis) {
        self.turn(now);
        self.now.all = self.now.all.saturating_add(1);
        self.now.bad = self.now.bad.saturating_add(u32::from(bad));
    }

    /// Whether at least this share of at least so many attempts failed.
    fn exceeds(&mut self, percent: u32, least: u32, now: Millis) -> bool {
        self.turn(now);
        let all = self.now.all.saturating_add(self.before.all);
        let bad = self.now.bad.saturating_add(self.before.bad);
        all >= least.max(1) && u64::from(bad) * 100 >= u64::from(percent) * u64::from(all)
    }
}

impl Breaker {
    /// Why it may not be tried now.
    pub(crate) fn barred(&self, now: Millis) -> Option<Barred> {
        let until = self.until.load(Ordering::SeqCst);
        if until == 0 {
            return None;
        }
        if now < until {
            let cause = self.inner.lock().rest.map_or(FaultClass::NoUpstream, |rest| rest.cause);
            return Some(Barred::Cooling { until, cause });
        }
        self.probing.load(Ordering::SeqCst).then_some(Barred::Probing)
    }

    /// Lets an attempt begin; says whether it tries the target out.
    pub(crate) fn enter(&self, now: Millis) -> Result<bool, Barred> {
        if let Some(barred) = self.barred(now) {
            return Err(barred);
        }
        let trusted =
            self.until.load(Ordering::SeqCst) == 0 || self.inner.lock().rest.is_none_or(|rest| !rest.half_open);
        if trusted {
            return Ok(false);
        }
        if self.probing.swap(true, Ordering::SeqCst) { Err(Barred::Probing) } else { Ok(true) }
    }

    /// The attempt that tried it out is over.
    pub(crate) fn leave(&self) {
        self.probing.store(false, Ordering::SeqCst);
    }

    /// An attempt that began at `began` went well.
    pub(crate) fn succeeded(&self, began: Millis, now: Millis) {
        let mut inner = self.inner.lock();
        inner.recent.add(false, now);
        inner.row = 0;
        if inner.rest.is_some_and(|rest| began > rest.failed_at) {
            inner.rest = None;
            inner.recent = Window::default();
            inner.strikes.clear();
            self.until.store(0, Ordering::SeqCst);
        }
    }

    /// An attempt that began at `began` failed. Says until when the target rests, if it does.
    pub(crate) fn failed(
        &self,
        policy: &RestPolicy,
        trouble: &Trouble<'_>,
        (began, probe): (Millis, bool),
        now: Millis,
        jitter: u8,
    ) -> Option<Millis> {
        let mut inner = self.inner.lock();
        inner.recent.add(true, now);
        inner.row = inner.row.saturating_add(1);
        let stated = trouble.retry_at.is_some_and(|at| at > now);
        let failing =
            inner.row >= policy.failing_row || inner.recent.exceeds(policy.failing_percent, policy.failing_least, now);
        let rests = match trouble.class {
            FaultClass::Overloaded => stated || inner.strike(policy.strikes, now) || failing,
            FaultClass::Timeout | FaultClass::Transport => failing,
            // It is there and answers: others of its priority go first, but where it is the only one, its own error says more than that
            // it rests.
            FaultClass::ServerError | FaultClass::UpstreamProtocol => false,
            _ => true,
        };
        if !rests && !probe {
            return None;
        }
        let run = match inner.rest {
            Some(rest) if began <= rest.failed_at => rest.run,
            Some(rest) => rest.run.saturating_add(1),
            None => 1,
        };
        let Verdict::Rest { until, half_open, .. } = verdict(policy, trouble, run, now, jitter) else { return None };
        // One that is on its way in parallel does not shorten a rest.
        let until = until.max(self.until.load(Ordering::SeqCst));
        inner.rest = Some(Rest { run, failed_at: now, cause: trouble.class, half_open });
        self.until.store(until, Ordering::SeqCst);
        Some(until)
    }

    /// Whether it fails often, but not so often that it rests.
    pub(crate) fn ailing(&self, policy: &RestPolicy, now: Millis) -> bool {
        self.inner.lock().recent.exceeds(policy.ailing_percent, policy.failing_least, now)
    }

    /// Forgets all failures.
    pub(crate) fn clear(&self) {
        let mut inner = self.inner.lock();
        *inner = Inner::default();
        self.until.store(0, Ordering::SeqCst);
    }

    /// Whether nothing is known that would be missed.
    pub(crate) fn idle(&self, now: Millis) -> bool {
        self.until.load(Ordering::SeqCst) == 0
            && self.in_flight.load(Ordering::Relaxed) == 0
            && self.inner.lock().recent.bucket + 2 < now / BUCKET
    }

    /// What it is in.
    pub(crate) fn state(&self, now: Millis) -> State {
        let until = self.until.load(Ordering::SeqCst);
        match self.inner.lock().rest {
            Some(rest) if until > now => State::Cooling { until, cause: rest.cause },
            Some(_) | None => State::Ready,
        }
    }

    pub(crate) fn export(&self, now: Millis) -> Option<Saved> {
        let state = self.state(now);
        let rest = self.inner.lock().rest?;
        (state != State::Ready).then_some(Saved {
            credential: None,
            model: None,
            state,
            run: rest.run,
            half_open: rest.half_open,
        })
    }

    pub(crate) fn restore(&self, saved: &Saved, now: Millis) {
        if let State::Cooling { until, cause } = saved.state
            && until > now
        {
            let rest = Rest { run: saved.run, failed_at: now, cause, half_open: saved.half_open };
            self.inner.lock().rest = Some(rest);
            self.until.store(until, Ordering::SeqCst);
        }
    }
}

impl Inner {
    /// Notes an overload; says whether there were too many lately.
    fn strike(&mut self, most: u32, now: Millis) -> bool {
        self.strikes.retain(|&at| now < at.saturating_add(STRIKES_WITHIN));
        if self.strikes.len() < most as usize {
            self.strikes.push(now);
        }
        self.strikes.len() >= most as usize
    }
}

#[cfg(test)]
mod tests {
    use FaultClass as C;

    use super::*;

    fn fail(breaker: &Breaker, class: C, now: Millis) -> Option<Millis> {
        let probe = breaker.enter(now).unwrap();
        let until = breaker.failed(&RestPolicy::default(), &Trouble::new(class), (now, probe), now, 0);
        if probe {
            breaker.leave();
        }
        until
    }

    #[test]
    fn one_error_rests_nothing_and_five_in_a_row_do() {
        let breaker = Breaker::default();
        for now in 1..5 {
            assert_eq!(fail(&breaker, C::Timeout, now), None);
        }
        assert_eq!(fail(&breaker, C::Timeout, 5), Some(5005));
        assert_eq!(breaker.barred(5004), Some(Barred::Cooling { until: 5005, cause: C::Timeout }));
        assert_eq!(breaker.barred(5005), None);
    }

    #[test]
    fn half_open_lets_one_through_and_its_failure_lengthens_the_rest() {
        let breaker = Breaker::default();
        for now in 1..=5 {
            fail(&breaker, C::Timeout, now);
        }
        assert_eq!(breaker.enter(5005), Ok(true));
        assert_eq!(breaker.enter(5005), Err(Barred::Probing));
        let policy = RestPolicy::default();
        let until = breaker.failed(&policy, &Trouble::new(C::Timeout), (5005, true), 6000, 0);
        breaker.leave();
        assert_eq!(until, Some(16_000));
        assert_eq!(breaker.enter(16_000), Ok(true));
        breaker.succeeded(16_000, 16_100);
        breaker.leave();
        assert_eq!((breaker.enter(16_100), breaker.enter(16_100)), (Ok(false), Ok(false)));
        assert_eq!(fail(&breaker, C::Timeout, 16_200), None);
    }

    #[test]
    fn a_share_of_failures_rests_and_a_smaller_one_ails() {
        let (breaker, policy) = (Breaker::default(), RestPolicy::default());
        let mut now = 1_000_000;
        for turn in 0..30 {
            now += 100;
            if turn % 3 == 0 {
                assert_eq!(fail(&breaker, C::Timeout, now), None, "{turn}");
            } else {
                breaker.succeeded(now, now);
            }
        }
        assert!(breaker.ailing(&policy, now));
        assert!(!breaker.ailing(&policy, now + 2 * BUCKET));
        let rested = (0..40).any(|turn| {
            breaker.succeeded(now, now);
            now += 1;
            turn % 4 < 3 && (0..3).any(|_| breaker.enter(now).is_ok() && fail(&breaker, C::Timeout, now).is_some())
        });
        assert!(rested);
    }

    #[test]
    fn overload_rests_after_three_within_a_minute_or_when_it_is_said() {
        let breaker = Breaker::default();
        assert_eq!(fail(&breaker, C::Overloaded, 1), None);
        assert_eq!(fail(&breaker, C::Overloaded, 2), None);
        assert_eq!(fail(&breaker, C::Overloaded, 60_002), None);
        assert_eq!(fail(&breaker, C::Overloaded, 60_003), None);
        assert_eq!(fail(&breaker, C::Overloaded, 60_004), Some(75_004));
        let breaker = Breaker::default();
        let stated = Trouble { retry_at: Some(900), ..Trouble::new(C::Overloaded) };
        assert_eq!(breaker.failed(&RestPolicy::default(), &stated, (1, false), 1, 0), Some(900));
        // What the provider stated needs no trying out.
        assert_eq!((breaker.enter(900), breaker.enter(900)), (Ok(false), Ok(false)));
    }

    #[test]
    fn what_answers_errors_ails_but_is_still_asked() {
        let breaker = Breaker::default();
        for turn in 0..50 {
            assert_eq!(fail(&breaker, C::ServerError, turn * 10), None);
            assert!(breaker.enter(turn * 10).is_ok());
        }
        assert!(breaker.ailing(&RestPolicy::default(), 500));
    }
}
