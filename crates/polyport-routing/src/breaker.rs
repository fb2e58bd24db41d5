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
    /// It answers, with errors: it is passed over while others can serve, and tried when nothing else is left.
    soft: AtomicBool,
    probing: AtomicBool,
    inner: Mutex<Inner>,
    pub(crate) latency: PeakEwma,
    /// How long streams took to begin.
    pub(crate) streams: Histogram,
    /// How long whole answers took.
    pub(crate) wholes: Histogram,
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

    /// An answer that was counted as good broke off.
    fn take_back(&mut self) {
        self.now.all = self.now.all.saturating_sub(u32::from(self.now.all > self.now.bad));
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
        if self.soft.load(Ordering::SeqCst) { None } else { self.resting(now) }
    }

    /// Why it stands behind all others that can be tried.
    pub(crate) fn yields(&self, now: Millis) -> Option<Barred> {
        if self.soft.load(Ordering::SeqCst) { self.resting(now) } else { None }
    }

    fn resting(&self, now: Millis) -> Option<Barred> {
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
        let until = self.until.load(Ordering::SeqCst);
        let soft = self.soft.load(Ordering::SeqCst);
        let trusted = until == 0 || self.inner.lock().rest.is_none_or(|rest| !rest.half_open);
        if trusted || (soft && now < until) {
            return Ok(false);
        }
        match self.probing.swap(true, Ordering::SeqCst) {
            false => Ok(true),
            true if soft => Ok(false),
            true => Err(Barred::Probing),
        }
    }

    /// The attempt that tried it out is over.
    pub(crate) fn leave(&self) {
        self.probing.store(false, Ordering::SeqCst);
    }

    /// An attempt that began at `began` gave an answer, of which there may be more to come.
    pub(crate) fn succeeded(&self, began: Millis, now: Millis) {
        let mut inner = self.inner.lock();
        inner.recent.add(false, now);
        if inner.rest.is_some_and(|rest| began > rest.failed_at) {
            inner.rest = None;
            inner.recent = Window::default();
            inner.strikes.clear();
            self.until.store(0, Ordering::SeqCst);
            self.soft.store(false, Ordering::SeqCst);
        }
    }

    /// An answer came to its end.
    pub(crate) fn settled(&self) {
        self.inner.lock().row = 0;
    }

    /// An answer that had begun breaks off: it does not count as one. Its failure is told apart.
    pub(crate) fn take_back(&self) {
        self.inner.lock().recent.take_back();
    }

    /// A check from outside went badly: others go first until then. What rests already, or answered since `began`, is not touched.
    pub(crate) fn doubt(&self, cause: FaultClass, until: Millis, now: Millis) {
        let mut inner = self.inner.lock();
        if self.until.load(Ordering::SeqCst) > now && !self.soft.load(Ordering::SeqCst) {
            return;
        }
        let run = inner.rest.map_or(1, |rest| rest.run.saturating_add(1));
        inner.rest = Some(Rest { run, failed_at: now, cause, half_open: false });
        self.soft.store(true, Ordering::SeqCst);
        self.until.store(until, Ordering::SeqCst);
    }

    /// A check from outside went well: a rest that nothing but a lost connection led to is over, and one attempt tries it out.
    pub(crate) fn reached(&self, now: Millis) {
        let mut inner = self.inner.lock();
        let Some(rest) = &mut inner.rest else { return };
        if !matches!(rest.cause, FaultClass::Transport | FaultClass::Timeout | FaultClass::Untrusted) {
            return;
        }
        rest.half_open = true;
        if self.until.load(Ordering::SeqCst) > now {
            self.until.store(now.max(1), Ordering::SeqCst);
        }
    }

    /// A doubt is over.
    pub(crate) fn trust(&self) {
        let mut inner = self.inner.lock();
        if self.soft.swap(false, Ordering::SeqCst) {
            inner.rest = None;
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
        // It is there and answers: others go first, but where it is the only one, its own error says more than that it rests.
        let soft = matches!(trouble.class, FaultClass::ServerError | FaultClass::UpstreamProtocol);
        let rests = match trouble.class {
            FaultClass::Overloaded => stated || inner.strike(policy.strikes, now) || failing,
            FaultClass::Timeout | FaultClass::Transport | FaultClass::ServerError | FaultClass::UpstreamProtocol => {
                failing
            }
            _ => true,
        };
        let was_soft = self.soft.load(Ordering::SeqCst);
        let rests_hard = self.until.load(Ordering::SeqCst) > now && !was_soft;
        if (!rests && !probe) || (soft && rests_hard) {
            return None;
        }
        let run = match inner.rest {
            Some(rest) if began <= rest.failed_at => rest.run,
            Some(rest) => rest.run.saturating_add(1),
            None => 1,
        };
        let Verdict::Rest { until, half_open, .. } = verdict(policy, trouble, run, now, jitter) else { return None };
        // One that is on its way in parallel does not shorten a rest.
        let until = if was_soft && !soft { until } else { until.max(self.until.load(Ordering::SeqCst)) };
        inner.rest = Some(Rest { run, failed_at: now, cause: trouble.class, half_open });
        self.soft.store(soft, Ordering::SeqCst);
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
        self.soft.store(false, Ordering::SeqCst);
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
            soft: self.soft.load(Ordering::SeqCst),
        })
    }

    pub(crate) fn restore(&self, saved: &Saved, now: Millis) {
        if let State::Cooling { until, cause } = saved.state
            && until > now
        {
            let rest = Rest { run: saved.run, failed_at: now, cause, half_open: saved.half_open };
            self.inner.lock().rest = Some(rest);
            self.soft.store(saved.soft, Ordering::SeqCst);
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
        breaker.settled();
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
                breaker.settled();
            }
        }
        assert!(breaker.ailing(&policy, now));
        assert!(!breaker.ailing(&policy, now + 2 * BUCKET));
        let rested = (0..40).any(|turn| {
            breaker.succeeded(now, now);
            breaker.settled();
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
    fn what_answers_errors_is_passed_over_but_may_be_asked() {
        let breaker = Breaker::default();
        for now in 1..=5 {
            assert_eq!(breaker.yields(now), None);
            let until = fail(&breaker, C::ServerError, now);
            assert_eq!(until.is_some(), now == 5);
        }
        let rest = Barred::Cooling { until: 5005, cause: C::ServerError };
        assert_eq!((breaker.barred(5004), breaker.yields(5004)), (None, Some(rest)));
        // Several may ask at once while nothing else is left, …
        assert_eq!((breaker.enter(5004), breaker.enter(5004)), (Ok(false), Ok(false)));
        // … and after the rest one of them tries it out, while the others still yield.
        assert_eq!((breaker.enter(5005), breaker.yields(5005)), (Ok(true), Some(Barred::Probing)));
        assert_eq!(breaker.enter(5006), Ok(false));
        let longer = breaker.failed(&RestPolicy::default(), &Trouble::new(C::ServerError), (5005, true), 6000, 0);
        breaker.leave();
        assert_eq!(longer, Some(16_000));
        assert_eq!(breaker.enter(16_000), Ok(true));
        breaker.succeeded(16_000, 16_001);
        breaker.leave();
        assert_eq!((breaker.yields(16_002), breaker.state(16_002)), (None, State::Ready));
    }

    #[test]
    fn one_that_is_gone_rests_whatever_it_answered_before() {
        let breaker = Breaker::default();
        for now in 1..=5 {
            fail(&breaker, C::ServerError, now);
        }
        assert!(breaker.barred(6).is_none());
        let until = fail(&breaker, C::Transport, 6).unwrap();
        assert_eq!(breaker.barred(7), Some(Barred::Cooling { until, cause: C::Transport }));
        assert_eq!(breaker.yields(7), None);
        // An error of an attempt that was under way does not make it usable again.
        assert_eq!(breaker.failed(&RestPolicy::default(), &Trouble::new(C::ServerError), (5, false), 8, 0), None);
        assert!(breaker.barred(9).is_some());
    }

    #[test]
    fn answers_that_break_off_are_failures() {
        let breaker = Breaker::default();
        let mut now = 1_000_000;
        let rested = (0..8).filter_map(|_| {
            now += 10;
            breaker.succeeded(now, now);
            breaker.take_back();
            breaker.failed(&RestPolicy::default(), &Trouble::new(C::UpstreamProtocol), (now, false), now, 0)
        });
        assert!(rested.count() >= 3);
        assert!(breaker.yields(now).is_some());
    }

    #[test]
    fn checks_from_outside_raise_and_end_doubts() {
        let breaker = Breaker::default();
        breaker.doubt(C::ServerError, 100, 10);
        assert!((breaker.yields(99).is_some(), breaker.barred(99), breaker.yields(100)) == (true, None, None));
        // An answer counts more than a check.
        breaker.succeeded(11, 12);
        assert_eq!(breaker.yields(13), None);
        breaker.doubt(C::ServerError, 100, 20);
        breaker.trust();
        assert_eq!(breaker.yields(21), None);
        for now in 30..35 {
            fail(&breaker, C::Transport, now);
        }
        breaker.doubt(C::ServerError, 5000, 35);
        assert!(breaker.barred(36).is_some(), "a rest stays one");
        breaker.reached(40);
        assert_eq!((breaker.enter(40), breaker.enter(41)), (Ok(true), Err(Barred::Probing)));
    }
}
