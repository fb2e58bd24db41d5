//! The credentials of one provider: which of them takes the next attempt.
//!
//! Built for ten thousand of them. Credentials are kept in the order of priority and weight ("slots"), so that those which take turns
//! stand side by side, and sets of slots are bits: a choice reads some hundred words and allocates nothing. What rests, is at its limit
//! of concurrent attempts, or ahead of its pace, is a bit as well, cleared by the first who looks when the time has come.

mod choice;
mod member;
mod picked;
mod tried;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use polyport_types::{FaultClass, Text};

pub use self::member::{Barred, Member, Pace, Strategy};
pub use self::picked::Picked;
pub use self::tried::Tried;
use self::tried::mark;
use crate::bits::{Bits, place, window};
use crate::latency::PeakEwma;
use crate::rests::{Mark, Rests};
use crate::state::{Millis, Saved, State, Verdict};
use crate::tally::{Counts, Tally, sweep};

/// Some credentials of a roster: the keys of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subset(Vec<u64>);

/// What a choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// The time.
    pub now: Millis,
    /// A counter that moves on with every request; see [`Roster::next_turn`].
    pub turn: u64,
    /// Only these.
    pub among: Option<&'a Subset>,
}

#[derive(Debug)]
struct Seat {
    member: Member,
    /// Its place in the configuration.
    index: u32,
    in_flight: AtomicU32,
    /// The theoretical arrival time of its pace, in microseconds.
    arrival: AtomicU64,
    latency: PeakEwma,
    /// Shared with the rosters of earlier configurations, whose attempts may still be under way.
    tally: Arc<Tally>,
}

/// Slots of one priority.
#[derive(Debug)]
struct Tier {
    classes: Vec<Span>,
}

/// Slots of one weight.
#[derive(Clone, Copy, Debug)]
struct Span {
    weight: u32,
    start: u32,
    end: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Off {
    Disabled,
    Invalid(Text),
    Refreshing,
}

/// The credentials of one provider and the state of each.
#[derive(Debug)]
pub struct Roster {
    seats: Box<[Seat]>,
    slots: Box<[u32]>,
    ids: HashMap<Text, u32>,
    tiers: Vec<Tier>,
    strategy: Strategy,
    off: Bits,
    offs: Mutex<HashMap<u32, Off>>,
    full: Bits,
    ahead: Bits,
    next_ahead: AtomicU64,
    aheads: Mutex<BinaryHeap<Reverse<(Millis, u32)>>>,
    rests: Rests,
    any_models: AtomicBool,
    models: RwLock<HashMap<Text, Arc<Rests>>>,
    dirty: Bits,
    turn: AtomicU64,
    in_flight: AtomicU32,
}

/// With more credentials than this, not each is asked when it comes back.
const LOOKED_AT: usize = 64;

/// Models of which rests are kept apart.
const MOST_MODELS: usize = 256;

impl Roster {
    /// Makes a roster; indices elsewhere are positions in `members`.
    #[must_use]
    pub fn new(members: Vec<Member>, strategy: Strategy) -> Self {
        Self::after(members, strategy, None)
    }

    /// Makes a roster that takes over turns and counters of another; rests are restored apart.
    pub(crate) fn after(members: Vec<Member>, strategy: Strategy, before: Option<&Self>) -> Self {
        let seat = |(member, index)| Seat::new(member, index, before);
        let mut seats: Vec<Seat> = members.into_iter().zip(0..).map(seat).collect();
        seats.sort_by_key(|seat| {
            // Weights mean nothing where the order decides.
            let weight = if strategy == Strategy::Ordered { 1 } else { seat.member.weight };
            (seat.member.priority, Reverse(weight), seat.index)
        });
        let count = seats.len();
        let ids = seats.iter().map(|seat| (seat.member.id.clone(), seat.index)).collect();
        let mut slots = vec![0; count];
        let mut tiers: Vec<(u32, Tier)> = Vec::new();
        let off = Bits::new(count);
        let mut offs = HashMap::new();
        let dirty = Bits::new(count);
        for (seat, slot) in seats.iter().zip(0..) {
            // Taken over are also counts that nobody has fetched yet.
            if before.is_some() {
                dirty.set(slot);
            }
            if let Some(place) = slots.get_mut(seat.index as usize) {
                *place = slot;
            }
            if seat.member.disabled {
                off.set(slot);
                offs.insert(slot, Off::Disabled);
            }
            let Member { weight, priority, .. } = seat.member;
            let weight = if strategy == Strategy::Ordered { 1 } else { weight };
            match tiers.last_mut() {
                Some((of, tier)) if *of == priority => match tier.classes.last_mut() {
                    Some(span) if span.weight == weight => span.end = slot + 1,
                    _ => tier.classes.push(Span { weight, start: slot, end: slot + 1 }),
                },
                _ => tiers.push((priority, Tier { classes: vec![Span { weight, start: slot, end: slot + 1 }] })),
            }
        }
        Self {
            seats: seats.into(),
            slots: slots.into(),
            ids,
            tiers: tiers.into_iter().map(|(_, tier)| tier).collect(),
            strategy,
            off,
            offs: Mutex::new(offs),
            full: Bits::new(count),
            ahead: Bits::new(count),
            next_ahead: AtomicU64::new(Millis::MAX),
            aheads: Mutex::default(),
            rests: Rests::new(count),
            any_models: AtomicBool::new(false),
            models: RwLock::default(),
            dirty,
            turn: AtomicU64::new(before.map_or(0, Self::turn)),
            in_flight: AtomicU32::new(0),
        }
    }

    /// How many credentials there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// The members as configured, in the order of the configuration.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.slots.iter().filter_map(|&slot| Some(&self.seat(slot)?.member))
    }

    /// Whether it was made of these.
    pub(crate) fn is_of(&self, members: &[Member], strategy: Strategy) -> bool {
        self.strategy == strategy && self.len() == members.len() && self.members().eq(members)
    }

    /// The position of the credential with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        self.ids.get(id).map(|&index| index as usize)
    }

    /// The id of a credential.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<&Text> {
        self.at(index).map(|(_, seat)| &seat.member.id)
    }

    /// The turn of the next request, without taking it.
    #[must_use]
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// Takes a turn: each request takes one per provider it tries.
    pub fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Attempts under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Attempts under way with one credential.
    #[must_use]
    pub fn in_flight_of(&self, index: usize) -> u32 {
        self.at(index).map_or(0, |(_, seat)| seat.in_flight.load(Ordering::Relaxed))
    }

    /// The credentials for which `keep` holds, as a set.
    pub fn subset(&self, mut keep: impl FnMut(&Member) -> bool) -> Subset {
        let mut words = vec![0; self.seats.len().div_ceil(64)];
        for (seat, slot) in self.seats.iter().zip(0..) {
            if keep(&seat.member) {
                mark(&mut words, slot);
            }
        }
        Subset(words)
    }

    /// Which credential [`Roster::pick`] would take now. Takes nothing.
    #[must_use]
    pub fn peek(&self, ask: &Ask<'_>, tried: &Tried) -> Option<usize> {
        self.wake(ask.now);
        let overlay = self.overlay(ask.model, ask.now);
        let slot = self.choose(ask, tried, overlay.as_deref())?;
        Some(self.seat(slot)?.index as usize)
    }

    /// Takes the credential whose turn it is. It is noted in `tried`; it counts as in use until the answer is dropped.
    #[must_use]
    pub fn pick(self: &Arc<Self>, ask: &Ask<'_>, tried: &mut Tried) -> Option<Picked> {
        self.wake(ask.now);
        let overlay = self.overlay(ask.model, ask.now);
        // What cannot be entered after all has become a bit by then, so that another is chosen.
        for _ in 0..=self.seats.len() {
            let slot = self.choose(ask, tried, overlay.as_deref())?;
            if let Some(picked) = self.enter(slot, overlay.as_ref(), ask.now) {
                tried.add(slot);
                return Some(picked);
            }
        }
        None
    }

    /// Takes this credential if it can be used now.
    #[must_use]
    pub fn pick_this(self: &Arc<Self>, index: usize, ask: &Ask<'_>, tried: &mut Tried) -> Option<Picked> {
        self.wake(ask.now);
        let overlay = self.overlay(ask.model, ask.now);
        let (slot, _) = self.at(index)?;
        let (word, bit) = place(slot);
        if self.usable(word, ask, tried, overlay.as_deref()) & bit == 0 {
            return None;
        }
        let picked = self.enter(slot, overlay.as_ref(), ask.now)?;
        tried.add(slot);
        Some(picked)
    }

    /// Notes a credential as tried.
    pub fn note(&self, index: usize, tried: &mut Tried) {
        if let Some((slot, _)) = self.at(index) {
            tried.add(slot);
        }
    }

    /// How many credentials could be tried now, counted up to `most`.
    #[must_use]
    pub fn available(&self, ask: &Ask<'_>, tried: &Tried, most: u32) -> u32 {
        self.wake(ask.now);
        let overlay = self.overlay(ask.model, ask.now);
        let mut found = 0;
        for word in 0..self.seats.len().div_ceil(64) {
            found += self.usable(word, ask, tried, overlay.as_deref()).count_ones();
            if found >= most {
                return most;
            }
        }
        found
    }

    /// Why a credential cannot be used with this model now.
    #[must_use]
    pub fn barred(&self, index: usize, ask: &Ask<'_>, tried: &Tried) -> Option<Barred> {
        self.wake(ask.now);
        let (slot, seat) = self.at(index)?;
        let (word, bit) = place(slot);
        if ask.among.is_some_and(|subset| subset.0.get(word).copied().unwrap_or_default() & bit == 0) {
            return Some(Barred::NotOfRoute);
        }
        if tried.word(word) & bit != 0 {
            return Some(Barred::Tried);
        }
        if let Some(off) = self.offs.lock().get(&slot) {
            return Some(match off {
                Off::Disabled => Barred::Disabled,
                Off::Invalid(_) => Barred::Invalid,
                Off::Refreshing => Barred::Refreshing,
            });
        }
        let overlay = self.overlay(ask.model, ask.now);
        let mut rests = [Some(&self.rests), overlay.as_deref()].into_iter().flatten();
        let longest = rests.clone().filter_map(|rests| rests.mark(slot)).filter(|mark| mark.until > ask.now);
        if let Some(mark) = longest.max_by_key(|mark| mark.until) {
            let Mark { until, cause, .. } = mark;
            return Some(if mark.exhausted {
                Barred::Exhausted { until, cause }
            } else {
                Barred::Cooling { until, cause }
            });
        }
        if rests.any(|rests| rests.probing(slot)) {
            return Some(Barred::Probing);
        }
        if self.full.get(slot) {
            return Some(Barred::Busy);
        }
        if self.ahead.get(slot) {
            let until = seat.member.pace.map_or(ask.now, |pace| ends(&seat.arrival, pace));
            return Some(Barred::Ahead { until });
        }
        None
    }

    /// When the first of the credentials that cannot be used now may be used again. With many credentials this may be too early, never
    /// too late.
    #[must_use]
    pub fn earliest(&self, ask: &Ask<'_>) -> Option<Millis> {
        self.wake(ask.now);
        if self.seats.len() <= LOOKED_AT {
            let none = Tried::default();
            return (0..self.seats.len()).filter_map(|index| self.barred(index, ask, &none)?.until()).min();
        }
        let overlay = self.overlay(ask.model, ask.now).and_then(|rests| rests.next_end());
        let ahead = Some(self.next_ahead.load(Ordering::SeqCst)).filter(|&at| at != Millis::MAX);
        [self.rests.next_end(), overlay, ahead].into_iter().flatten().min()
    }

    /// The state of a credential, models aside.
    #[must_use]
    pub fn state(&self, index: usize, now: Millis) -> State {
        let Some((slot, _)) = self.at(index) else { return State::Disabled };
        match self.offs.lock().get(&slot) {
            Some(Off::Disabled) => return State::Disabled,
            Some(Off::Invalid(reason)) => return State::Invalid { reason: reason.clone() },
            Some(Off::Refreshing) => return State::Refreshing,
            None => {}
        }
        self.rests.mark(slot).filter(|mark| mark.until > now).map_or(State::Ready, state_of)
    }

    /// The models with which a credential rests, each with its state.
    #[must_use]
    pub fn model_states(&self, index: usize, now: Millis) -> Vec<(Text, State)> {
        let Some((slot, _)) = self.at(index) else { return Vec::new() };
        let models = self.models.read();
        models
            .iter()
            .filter_map(|(model, rests)| {
                Some((model.clone(), state_of(rests.mark(slot).filter(|mark| mark.until > now)?)))
            })
            .collect()
    }

    /// Switches a credential off or on.
    pub fn set_disabled(&self, index: usize, disabled: bool) {
        self.turn_off(index, |off| match (disabled, off) {
            (true, _) => Some(Off::Disabled),
            (false, Some(Off::Disabled)) => None,
            (false, other) => other,
        });
    }

    /// Notes that an access token is being renewed and cannot be used, or that this is over.
    pub fn set_refreshing(&self, index: usize, refreshing: bool) {
        self.turn_off(index, |off| match (refreshing, off) {
            (true, None) => Some(Off::Refreshing),
            (false, Some(Off::Refreshing)) => None,
            (_, other) => other,
        });
    }

    /// Takes a credential out until somebody acts or [`Roster::revive`] is called.
    pub fn set_invalid(&self, index: usize, reason: impl Into<Text>) {
        self.turn_off(index, |off| match off {
            Some(Off::Disabled) => off,
            _ => Some(Off::Invalid(reason.into())),
        });
    }

    /// An invalid credential may be tried again: its access token was renewed. What rests goes on resting.
    pub fn set_valid(&self, index: usize) {
        self.turn_off(index, |off| off.filter(|off| !matches!(off, Off::Invalid(_))));
    }

    /// Forgets all failures of a credential: it was mended, or a health check went well. A disabled one stays disabled.
    pub fn revive(&self, index: usize) {
        self.turn_off(index, |off| off.filter(|off| *off == Off::Disabled));
        let Some((slot, _)) = self.at(index) else { return };
        self.rests.clear(slot);
        for rests in self.models.read().values() {
            rests.clear(slot);
        }
    }

    fn turn_off(&self, index: usize, change: impl FnOnce(Option<Off>) -> Option<Off>) {
        let Some((slot, _)) = self.at(index) else { return };
        let mut offs = self.offs.lock();
        match change(offs.remove(&slot)) {
            Some(off) => {
                offs.insert(slot, off);
                self.off.set(slot);
            }
            None => self.off.put(slot, false),
        }
    }

    /// What a credential was used for since the start, with what [`Roster::restore_counts`] added.
    #[must_use]
    pub fn counts(&self, index: usize) -> Counts {
        self.at(index).map(|(_, seat)| seat.tally.total()).unwrap_or_default()
    }

    /// Adds what was counted before a restart.
    pub fn restore_counts(&self, index: usize, counts: &Counts) {
        if let Some((_, seat)) = self.at(index) {
            seat.tally.restore(counts);
        }
    }

    /// Gives what was counted since the last call, by credential. Costs little when little happened.
    pub fn drain_counts(&self, mut each: impl FnMut(&Member, &Counts)) {
        sweep(&self.dirty, self.seats.len() as u32, |slot| {
            if let Some(seat) = self.seat(slot) {
                let counts = seat.tally.drain();
                if counts.requests > 0 {
                    each(&seat.member, &counts);
                }
            }
        });
    }

    /// What has to be remembered over a restart.
    #[must_use]
    pub fn export(&self, now: Millis) -> Vec<Saved> {
        let saved = |slot: u32, model: Option<&Text>, state: State, mark: Option<Mark>| {
            let credential = Some(self.seat(slot)?.member.id.clone());
            let (run, half_open) = mark.map_or((0, false), |mark| (mark.run, mark.half_open));
            Some(Saved { credential, model: model.cloned(), state, run, half_open, soft: false })
        };
        let invalid = self.offs.lock().clone().into_iter().filter_map(|(slot, off)| match off {
            Off::Invalid(reason) => saved(slot, None, State::Invalid { reason }, None),
            Off::Disabled | Off::Refreshing => None,
        });
        let of = |model: Option<&Text>, rests: &Rests| {
            let resting = rests.marks().into_iter().filter(|(_, mark)| mark.until > now);
            resting.filter_map(|(slot, mark)| saved(slot, model, state_of(mark), Some(mark))).collect::<Vec<_>>()
        };
        let mut all: Vec<Saved> = invalid.collect();
        all.extend(of(None, &self.rests));
        for (model, rests) in self.models.read().iter() {
            all.extend(of(Some(model), rests));
        }
        all
    }

    /// Puts back what was exported. `index` is the credential's position.
    pub fn restore(&self, index: usize, saved: &Saved, now: Millis) {
        let Some((slot, _)) = self.at(index) else { return };
        let (until, cause, exhausted) = match &saved.state {
            State::Cooling { until, cause } => (*until, *cause, false),
            State::Exhausted { until, cause } => (*until, *cause, true),
            State::Invalid { reason } => return self.set_invalid(index, reason.clone()),
            State::Ready | State::Refreshing | State::Disabled => return,
        };
        if until <= now {
            return;
        }
        let mark = Mark { until, run: saved.run, failed_at: now, cause, exhausted, half_open: saved.half_open };
        match &saved.model {
            None => self.rests.restore(slot, mark, now),
            Some(model) => self.overlay_made(model, now).restore(slot, mark, now),
        }
    }

    /// A health check went well: what a refusal led to is over. Rate limits and quotas are not, which a list of models does not touch.
    pub fn check_passed(&self, index: usize) {
        let Some((slot, _)) = self.at(index) else { return };
        self.turn_off(index, |off| off.filter(|off| !matches!(off, Off::Invalid(_))));
        let refused = |mark: Mark| matches!(mark.cause, FaultClass::AuthInvalid);
        if self.rests.mark(slot).is_some_and(refused) {
            self.rests.clear(slot);
        }
    }

    /// A health check with one of these credentials failed.
    pub(crate) fn check_failed(
        &self,
        index: usize,
        cause: FaultClass,
        now: Millis,
        judge: impl FnOnce(u32) -> Verdict,
    ) -> Verdict {
        match self.at(index) {
            Some((slot, _)) => self.rests.failed(slot, cause, now, now, judge),
            None => Verdict::Watch,
        }
    }

    /// Rests that a failure of one of these credentials leads to.
    pub(crate) fn failed(
        &self,
        picked: &Picked,
        model: Option<&str>,
        cause: FaultClass,
        now: Millis,
        judge: impl FnOnce(u32) -> Verdict,
    ) -> Verdict {
        match model {
            None => self.rests.failed(picked.slot, cause, picked.began, now, judge),
            Some(model) => self.overlay_made(model, now).failed(picked.slot, cause, picked.began, now, judge),
        }
    }

    fn seat(&self, slot: u32) -> Option<&Seat> {
        self.seats.get(slot as usize)
    }

    fn at(&self, index: usize) -> Option<(u32, &Seat)> {
        let slot = *self.slots.get(index)?;
        Some((slot, self.seat(slot)?))
    }

    /// Ends rests and pauses that are over.
    fn wake(&self, now: Millis) {
        self.rests.wake(now);
        if now < self.next_ahead.load(Ordering::SeqCst) {
            return;
        }
        let mut aheads = self.aheads.lock();
        while let Some(&Reverse((end, slot))) = aheads.peek() {
            if end > now {
                break;
            }
            aheads.pop();
            self.ahead.clear(slot);
        }
        self.note_next_ahead(&aheads);
    }

    fn note_next_ahead(&self, aheads: &BinaryHeap<Reverse<(Millis, u32)>>) {
        self.next_ahead.store(aheads.peek().map_or(Millis::MAX, |Reverse((end, _))| *end), Ordering::SeqCst);
    }

    /// Rests of one model, woken.
    fn overlay(&self, model: &str, now: Millis) -> Option<Arc<Rests>> {
        if !self.any_models.load(Ordering::Acquire) {
            return None;
        }
        let rests = self.models.read().get(model).cloned()?;
        rests.wake(now);
        Some(rests)
    }

    fn overlay_made(&self, model: &str, now: Millis) -> Arc<Rests> {
        if let Some(rests) = self.overlay(model, now) {
            return rests;
        }
        let mut models = self.models.write();
        if models.len() >= MOST_MODELS {
            models.retain(|_, rests| !rests.idle(now));
        }
        if models.len() >= MOST_MODELS {
            // Names that clients make up must not push out much: the one that is over first goes.
            let first = models.iter().min_by_key(|(_, rests)| rests.next_end().unwrap_or(0));
            if let Some(model) = first.map(|(model, _)| model.clone()) {
                models.remove(&model);
            }
        }
        self.any_models.store(true, Ordering::Release);
        Arc::clone(models.entry(model.into()).or_insert_with(|| Arc::new(Rests::new(self.seats.len()))))
    }

    /// The slots of word `at` that can be tried now.
    fn usable(&self, at: usize, ask: &Ask<'_>, tried: &Tried, overlay: Option<&Rests>) -> u64 {
        let mut barred = self.off.word(at) | self.full.word(at) | self.ahead.word(at) | self.rests.blocked(at);
        if let Some(rests) = overlay {
            barred |= rests.blocked(at);
        }
        if tried.count > 0 {
            barred |= tried.word(at);
        }
        let among = ask.among.map_or(u64::MAX, |subset| subset.0.get(at).copied().unwrap_or_default());
        !barred & among & window(at, 0, self.seats.len() as u32)
    }

    /// Takes a slot, unless somebody else took the last place in it meanwhile.
    fn enter(self: &Arc<Self>, slot: u32, overlay: Option<&Arc<Rests>>, now: Millis) -> Option<Picked> {
        let seat = self.seat(slot)?;
        let limit = seat.member.concurrency;
        let entered = seat.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
            (limit == 0 || taken < limit).then(|| taken.saturating_add(1))
        });
        if limit > 0 {
            self.settle(slot, seat);
        }
        entered.ok()?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        // From here on, dropping it gives everything back.
        let mut picked = Picked {
            roster: Arc::clone(self),
            overlay: None,
            slot,
            index: seat.index,
            began: now,
            probes: false,
            ended: true,
        };
        picked.probes = self.rests.enter(slot)?;
        if let Some(rests) = overlay
            && rests.enter(slot)?
        {
            picked.overlay = Some(Arc::clone(rests));
        }
        if let Some(pace) = seat.member.pace {
            self.keep_pace(slot, seat, pace, now)?;
        }
        picked.ended = false;
        Some(picked)
    }

    /// Counts an attempt against the pace; `None` if it comes too early.
    fn keep_pace(&self, slot: u32, seat: &Seat, pace: Pace, now: Millis) -> Option<()> {
        let at = now.saturating_mul(1000);
        let counted = seat.arrival.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |arrival| {
            (arrival <= at.saturating_add(pace.tolerance())).then(|| arrival.max(at).saturating_add(pace.interval()))
        });
        let end = ends(&seat.arrival, pace);
        if end > now && self.ahead.set(slot) {
            let mut aheads = self.aheads.lock();
            aheads.push(Reverse((end, slot)));
            self.note_next_ahead(&aheads);
        }
        counted.ok().map(drop)
    }

    /// Brings the bit of a slot in line with its attempts. Whoever changed the number calls this afterwards, so the last one is right.
    fn settle(&self, slot: u32, seat: &Seat) {
        let full = || seat.in_flight.load(Ordering::SeqCst) >= seat.member.concurrency;
        loop {
            let now_full = full();
            self.full.put(slot, now_full);
            if full() == now_full {
                return;
            }
        }
    }
}

impl Seat {
    fn new(member: Member, index: u32, before: Option<&Roster>) -> Self {
        let before = before.and_then(|roster| roster.at(roster.find(&member.id)?)).map(|(_, seat)| seat);
        Self {
            member,
            index,
            in_flight: AtomicU32::new(0),
            arrival: AtomicU64::new(before.map_or(0, |seat| seat.arrival.load(Ordering::SeqCst))),
            latency: PeakEwma::default(),
            tally: before.map(|seat| Arc::clone(&seat.tally)).unwrap_or_default(),
        }
    }
}

fn state_of(mark: Mark) -> State {
    let Mark { until, cause, .. } = mark;
    if mark.exhausted { State::Exhausted { until, cause } } else { State::Cooling { until, cause } }
}

/// When the next attempt fits the pace.
fn ends(arrival: &AtomicU64, pace: Pace) -> Millis {
    arrival.load(Ordering::SeqCst).saturating_sub(pace.tolerance()).div_ceil(1000)
}
