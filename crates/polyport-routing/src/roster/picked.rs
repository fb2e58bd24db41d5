//! A credential in use.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Roster;
use crate::rests::Rests;
use crate::state::Millis;
use crate::tally::Ended;

/// A credential in use. Dropping it gives its place back.
#[derive(Debug)]
pub struct Picked {
    pub(super) roster: Arc<Roster>,
    /// The model's rests, if this attempt tries out the credential with the model.
    pub(super) overlay: Option<Arc<Rests>>,
    pub(super) slot: u32,
    pub(super) index: u32,
    pub(super) began: Millis,
    /// This attempt tries out the credential.
    pub(super) probes: bool,
    pub(super) ended: bool,
}

impl Picked {
    /// The credential's position in the configuration.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index as usize
    }

    /// When it was taken.
    #[must_use]
    pub fn began(&self) -> Millis {
        self.began
    }

    /// Whether this attempt tries out a credential that rested.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probes || self.overlay.is_some()
    }

    /// The provider took the credential; an answer began after `millis`.
    pub(crate) fn accepted(&mut self, model: &str, millis: Option<u32>, now: Millis) {
        let roster = &self.roster;
        roster.rests.succeeded(self.slot, self.began);
        if let Some(rests) = roster.overlay(model, now) {
            rests.succeeded(self.slot, self.began);
        }
        if let (Some(seat), Some(millis)) = (roster.seat(self.slot), millis) {
            seat.latency.record(millis, now);
        }
        // The others need not wait for the end of this answer.
        self.release_probes();
    }

    fn release_probes(&mut self) {
        if std::mem::take(&mut self.probes) {
            self.roster.rests.leave(self.slot);
        }
        if let Some(rests) = self.overlay.take() {
            rests.leave(self.slot);
        }
    }

    /// Counts the attempt, once.
    pub(crate) fn end(&mut self, ended: Ended, status: Option<u16>, now: Millis) {
        if !std::mem::replace(&mut self.ended, true)
            && let Some(seat) = self.roster.seat(self.slot)
        {
            seat.tally.note(ended, status, now);
            self.roster.dirty.set(self.slot);
        }
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.end(Ended::Unjudged, None, self.began);
        self.release_probes();
        if let Some(seat) = self.roster.seat(self.slot) {
            seat.in_flight.fetch_sub(1, Ordering::SeqCst);
            self.roster.in_flight.fetch_sub(1, Ordering::Relaxed);
            if seat.member.concurrency > 0 {
                self.roster.settle(self.slot, seat);
            }
        }
    }
}
