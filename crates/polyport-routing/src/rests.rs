//! Which slots rest, until when, and what is remembered of their failures.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use polyport_types::FaultClass;

use crate::bits::Bits;
use crate::state::{Millis, Verdict};

/// A failure this long after the end of the last rest is the first of a new row.
const FORGET: Millis = 10 * 60 * 1000;

/// What is remembered of a slot that failed and has not succeeded since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Rests until then.
    pub(crate) until: Millis,
    /// Failures in a row, those of attempts that ran side by side counted as one.
    pub(crate) run: u32,
    /// The last failure.
    pub(crate) failed_at: Millis,
    pub(crate) cause: FaultClass,
    /// A quota is used up, rather than a pace exceeded.
    pub(crate) exhausted: bool,
    /// After the rest one attempt goes first.
    pub(crate) half_open: bool,
}

/// Rests of the slots of one roster. Reading costs a few loads; a rest that ends is noticed by the first who looks at or after
/// that millisecond, so that no timer is needed.
#[derive(Debug)]
pub(crate) struct Rests {
    resting: Bits,
    /// Slots whose rest, once over, lets one attempt go first.
    half_open: Bits,
    /// Half-open slots whose one attempt is on its way.
    probing: Bits,
    next_due: AtomicU64,
    marked: AtomicUsize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Ends of rests; one that was extended or cleared stays until it comes up.
    ends: BinaryHeap<Reverse<(Millis, u32)>>,
    marks: HashMap<u32, Mark>,
}

impl Rests {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            resting: Bits::new(slots),
            half_open: Bits::new(slots),
            probing: Bits::new(slots),
            next_due: AtomicU64::new(Millis::MAX),
            marked: AtomicUsize::new(0),
            inner: Mutex::default(),
        }
    }

    /// Slots of word `at` that cannot be used. [`Rests::wake`] first.
    pub(crate) fn blocked(&self, at: usize) -> u64 {
        self.resting.word(at) | self.probing.word(at)
    }

    /// Ends the rests that are over.
    pub(crate) fn wake(&self, now: Millis) {
        if now < self.next_due.load(Ordering::SeqCst) {
            return;
        }
        let mut inner = self.inner.lock();
        while let Some(&Reverse((end, slot))) = inner.ends.peek() {
            if end > now {
                break;
            }
            inner.ends.pop();
            if inner.marks.get(&slot).is_none_or(|mark| mark.until <= now) {
                self.resting.clear(slot);
            }
        }
        self.note_next(&inner);
    }

    fn note_next(&self, inner: &Inner) {
        let next = inner.ends.peek().map_or(Millis::MAX, |Reverse((end, _))| *end);
        self.next_due.store(next, Ordering::SeqCst);
    }

    /// The end of the first rest; a rest that was ended early may still be counted.
    pub(crate) fn next_end(&self) -> Option<Millis> {
        Some(self.next_due.load(Ordering::SeqCst)).filter(|&end| end != Millis::MAX)
    }

    /// Takes note of a failure of an attempt that began at `began`. `judge` gets the number of failures in a row and says what follows.
    pub(crate) fn failed(
        &self,
        slot: u32,
        cause: FaultClass,
        began: Millis,
        now: Millis,
        judge: impl FnOnce(u32) -> Verdict,
    ) -> Verdict {
        let mut inner = self.inner.lock();
        let before = inner.marks.get(&slot).copied().filter(|mark| now < mark.until.saturating_add(FORGET));
        let run = match before {
            // It was under way when the last failure came in: the same incident.
            Some(mark) if began <= mark.failed_at => mark.run,
            Some(mark) if mark.cause == cause => mark.run.saturating_add(1),
            Some(_) | None => 1,
        };
        let verdict = judge(run);
        let (until, exhausted, half_open) = match verdict {
            Verdict::Rest { until, exhausted, half_open } => (until, exhausted, half_open),
            Verdict::Watch | Verdict::Invalid => (now, false, false),
        };
        let mut mark = Mark { until, run, failed_at: now, cause, exhausted, half_open };
        if let Some(before) = before.filter(|before| before.until > until) {
            // A longer rest stays in force, and its cause with it.
            mark = Mark { run: run.max(before.run), failed_at: now, ..before };
        }
        self.put(&mut inner, slot, mark, now);
        verdict
    }

    /// Puts back what was remembered before.
    pub(crate) fn restore(&self, slot: u32, mark: Mark, now: Millis) {
        self.put(&mut self.inner.lock(), slot, mark, now);
    }

    fn put(&self, inner: &mut Inner, slot: u32, mark: Mark, now: Millis) {
        inner.marks.insert(slot, mark);
        self.marked.store(inner.marks.len(), Ordering::SeqCst);
        self.half_open.put(slot, mark.half_open);
        if mark.until > now {
            self.resting.set(slot);
            if inner.ends.len() > 2 * inner.marks.len() + 64 {
                inner.ends = inner.marks.iter().map(|(&slot, mark)| Reverse((mark.until, slot))).collect();
            } else {
                inner.ends.push(Reverse((mark.until, slot)));
            }
        }
        self.note_next(inner);
    }

    /// An attempt that began at `began` went well: forget the failures before it.
    pub(crate) fn succeeded(&self, slot: u32, began: Millis) {
        if self.marked.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut inner = self.inner.lock();
        // An attempt that was under way when another failed proves nothing about what came after.
        if inner.marks.get(&slot).is_some_and(|mark| began > mark.failed_at) {
            self.forget(&mut inner, slot);
        }
    }

    /// Forgets all failures of a slot.
    pub(crate) fn clear(&self, slot: u32) {
        self.forget(&mut self.inner.lock(), slot);
    }

    fn forget(&self, inner: &mut Inner, slot: u32) {
        inner.marks.remove(&slot);
        self.marked.store(inner.marks.len(), Ordering::SeqCst);
        self.half_open.clear(slot);
        self.resting.clear(slot);
    }

    /// Lets an attempt begin: `None` if another is trying out the half-open slot, else whether this one is.
    pub(crate) fn enter(&self, slot: u32) -> Option<bool> {
        if !self.half_open.get(slot) {
            return Some(false);
        }
        self.probing.set(slot).then_some(true)
    }

    /// The attempt that tried out the slot is over.
    pub(crate) fn leave(&self, slot: u32) {
        self.probing.clear(slot);
    }

    /// Whether an attempt is trying out the slot.
    pub(crate) fn probing(&self, slot: u32) -> bool {
        self.probing.get(slot)
    }

    /// What is remembered of a slot.
    pub(crate) fn mark(&self, slot: u32) -> Option<Mark> {
        if self.marked.load(Ordering::SeqCst) == 0 {
            return None;
        }
        self.inner.lock().marks.get(&slot).copied()
    }

    /// Everything remembered.
    pub(crate) fn marks(&self) -> Vec<(u32, Mark)> {
        self.inner.lock().marks.iter().map(|(&slot, &mark)| (slot, mark)).collect()
    }

    /// Whether nothing rests any more, nor is remembered for long.
    pub(crate) fn idle(&self, now: Millis) -> bool {
        self.inner.lock().marks.values().all(|mark| now >= mark.until.saturating_add(FORGET))
    }
}
