//! Whose turn it is among the slots that can be used.

use std::sync::atomic::Ordering;

use super::{Ask, Roster, Seat, Span, Strategy, Tier, Tried};
use crate::bits::{nth, place, window};
use crate::rests::Rests;
use crate::shares::{Class, due, mix};

/// Above so many candidates two are compared instead of all.
const COMPARED: u32 = 64;

impl Roster {
    /// The slot that takes the next attempt.
    pub(super) fn choose(&self, ask: &Ask<'_>, tried: &Tried, overlay: Option<&Rests>) -> Option<u32> {
        // A second choice in one request must not always fall on the neighbour.
        let turn = if tried.count == 0 { ask.turn } else { mix(ask.turn ^ (u64::from(tried.count) << 32)) };
        let usable = |at: usize| self.usable(at, ask, tried, overlay);
        self.tiers.iter().find_map(|tier| match self.strategy {
            Strategy::RoundRobin => round_robin(&tier.classes, turn, usable),
            Strategy::LeastBusy => self.compared(tier, turn, usable, Self::busy),
            Strategy::Latency => self.compared(tier, turn, usable, Self::slow),
            Strategy::Ordered => tier.classes.iter().find_map(|span| select(span.start, span.end, 0, &usable)),
        })
    }

    /// The cheapest of a tier: of all where they are few, of two where they are many.
    fn compared(
        &self,
        tier: &Tier,
        turn: u64,
        usable: impl Fn(usize) -> u64,
        cost: impl Fn(&Seat) -> f64,
    ) -> Option<u32> {
        let (start, end) = (tier.classes.first()?.start, tier.classes.last()?.end);
        let cheaper = |best: Option<(f64, u32)>, slot: u32| {
            let cost = self.seat(slot).map_or(f64::INFINITY, &cost);
            match best {
                Some((least, _)) if least <= cost => best,
                _ => Some((cost, slot)),
            }
        };
        let span = u64::from(end - start);
        if span > u64::from(COMPARED) {
            let place = |step: u64| start + (mix(turn ^ (step << 40)) % span) as u32;
            let two = [place(1), place(2)]
                .into_iter()
                .filter_map(|from| select(from, end, 0, &usable).or_else(|| select(start, from, 0, &usable)));
            return two.fold(None, cheaper).map(|(_, slot)| slot);
        }
        let first = start + (turn % span.max(1)) as u32;
        let slots = (first..end).chain(start..first).filter(|&slot| {
            let (word, bit) = place(slot);
            usable(word) & bit != 0
        });
        slots.fold(None, cheaper).map(|(_, slot)| slot)
    }

    fn busy(seat: &Seat) -> f64 {
        f64::from(seat.in_flight.load(Ordering::Relaxed)) / f64::from(seat.member.weight.max(1))
    }

    fn slow(seat: &Seat) -> f64 {
        f64::from(seat.latency.millis()) * f64::from(seat.in_flight.load(Ordering::Relaxed) + 1)
            / f64::from(seat.member.weight.max(1))
    }
}

/// Different weights of one priority that are told apart.
const CLASSES: usize = 16;

fn round_robin(spans: &[Span], turn: u64, usable: impl Fn(usize) -> u64) -> Option<u32> {
    let class = |span: &Span| Class { weight: span.weight, count: population(span.start, span.end, &usable) };
    let due = if spans.len() <= CLASSES {
        let mut classes = [Class::default(); CLASSES];
        for (place, span) in classes.iter_mut().zip(spans) {
            *place = class(span);
        }
        due(&classes, turn)
    } else {
        due(&spans.iter().map(class).collect::<Vec<_>>(), turn)
    }?;
    let span = spans.get(due.class)?;
    select(span.start, span.end, due.member, &usable)
}

/// How many of the slots `start..end` can be used.
fn population(start: u32, end: u32, usable: &impl Fn(usize) -> u64) -> u32 {
    words(start, end).map(|at| (usable(at) & window(at, start, end)).count_ones()).sum()
}

/// The `rank`-th usable slot of `start..end`; the first if others have taken so many meanwhile that there is none.
fn select(start: u32, end: u32, mut rank: u32, usable: &impl Fn(usize) -> u64) -> Option<u32> {
    let mut first = None;
    for at in words(start, end) {
        let word = usable(at) & window(at, start, end);
        let slot = |bit: u32| at as u32 * 64 + bit;
        if first.is_none() {
            first = nth(word, 0).map(slot);
        }
        let here = word.count_ones();
        if rank < here {
            return nth(word, rank).map(slot);
        }
        rank -= here;
    }
    first
}

fn words(start: u32, end: u32) -> std::ops::Range<usize> {
    start as usize / 64..(end as usize).div_ceil(64)
}
