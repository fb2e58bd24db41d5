//! What a credential was used for, counted.

use parking_lot::Mutex;

use crate::bits::Bits;
use crate::state::Millis;

/// Counts of attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts that ended.
    pub requests: u64,
    /// Those that went well.
    pub successes: u64,
    /// Those that failed. What neither went well nor failed was given up by the client.
    pub failures: u64,
    /// When the last one ended; 0 for never.
    pub last_used: Millis,
    /// HTTP status codes, in the order in which they first came.
    pub statuses: Vec<(u16, u64)>,
}

impl Counts {
    /// Adds other counts to these.
    pub fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.successes += more.successes;
        self.failures += more.failures;
        self.last_used = self.last_used.max(more.last_used);
        for &(status, count) in &more.statuses {
            self.count(status, count);
        }
    }

    fn count(&mut self, status: u16, more: u64) {
        if let Some((_, count)) = self.statuses.iter_mut().find(|(known, _)| *known == status) {
            *count += more;
        } else if self.statuses.len() < MOST_STATUSES {
            self.statuses.push((status, more));
        }
    }
}

/// Different status codes counted per credential.
const MOST_STATUSES: usize = 64;

/// How an attempt ended, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Badly,
    /// The client left, or nothing was sent.
    Unjudged,
}

/// Totals of one credential and what of them has not been flushed.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Both>);

#[derive(Debug, Default)]
struct Both {
    flushed: Counts,
    fresh: Counts,
}

impl Tally {
    pub(crate) fn note(&self, ended: Ended, status: Option<u16>, now: Millis) {
        let fresh = &mut self.0.lock().fresh;
        fresh.requests += 1;
        fresh.successes += u64::from(ended == Ended::Well);
        fresh.failures += u64::from(ended == Ended::Badly);
        fresh.last_used = now;
        if let Some(status) = status {
            fresh.count(status, 1);
        }
    }

    pub(crate) fn total(&self) -> Counts {
        let both = self.0.lock();
        let mut total = both.flushed.clone();
        total.add(&both.fresh);
        total
    }

    /// What came since the last call.
    pub(crate) fn drain(&self) -> Counts {
        let mut both = self.0.lock();
        let fresh = std::mem::take(&mut both.fresh);
        both.flushed.add(&fresh);
        fresh
    }

    /// Adds what was counted before a restart.
    pub(crate) fn restore(&self, counts: &Counts) {
        self.0.lock().flushed.add(counts);
    }
}

/// Calls `each` for the slots in `dirty`, which is empty afterwards.
pub(crate) fn sweep(dirty: &Bits, slots: u32, mut each: impl FnMut(u32)) {
    for slot in 0..slots {
        if dirty.clear(slot) {
            each(slot);
        }
    }
}
