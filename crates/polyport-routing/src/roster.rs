//! The credentials of one provider: which of them takes the next attempt.
//!
//! Built for ten thousand of them. Credentials are kept in the order of priority and weight ("slots"), so that those which take turns
//! stand side by side, and sets of slots are bits: a choice reads some hundred words and allocates nothing. What rests, is at its limit
//! of concurrent attempts, or ahead of its pace, is a bit as well, cleared by the first who looks when the time has come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use polyport_types::{FaultClass, Text};

use crate::bits::{Bits, nth, place, window};
use crate::latency::PeakEwma;
use crate::rests::{Mark, Rests};
use crate::shares::{Class, due, mix};
use crate::state::{Millis, Saved, State, Verdict};
use crate::tally::{Counts, Ended, Tally, sweep};

/// A credential as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is known by over restarts and changes of the configuration; not the secret.
    pub id: Text,
    /// Share among credentials of the same priority; at least 1.
    pub weight: u32,
    /// Lower goes first; the others are used when none of these can be.
    pub priority: u32,
    /// Attempts at once; 0 for any number.
    pub concurrency: u32,
    /// Attempts over time.
    pub pace: Option<Pace>,
    /// Switched off.
    pub disabled: bool,
}

impl Member {
    /// A credential of weight 1 and priority 1 without limits.
    #[must_use]
    pub fn new(id: impl Into<Text>) -> Self {
        Self { id: id.into(), weight: 1, priority: 1, concurrency: 0, pace: None, disabled: false }
    }
}

/// How often a credential may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Attempts in [`Pace::per`]; at least 1.
    pub requests: u32,
    /// Milliseconds.
    pub per: Millis,
    /// Attempts that may come at once; at least 1.
    pub burst: u32,
}

impl Pace {
    /// Microseconds between two attempts.
    fn interval(self) -> u64 {
        (self.per.saturating_mul(1000) / u64::from(self.requests.max(1))).max(1)
    }

    /// Microseconds by which an attempt may come early.
    fn tolerance(self) -> u64 {
        self.interval().saturating_mul(u64::from(self.burst.max(1) - 1))
    }
}

/// How one of several is chosen, credentials as well as targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// In turns, by weight.
    #[default]
    RoundRobin,
    /// The one with the fewest attempts under way, by weight.
    LeastBusy,
    /// The one whose answers begin soonest.
    Latency,
}

/// Why a credential or target is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Barred {
    /// Switched off.
    Disabled,
    /// Refused by the provider; somebody has to act.
    Invalid,
    /// Its access token is being renewed.
    Refreshing,
    /// Resting.
    Cooling {
        /// Until then.
        until: Millis,
        /// After this kind of failure.
        cause: FaultClass,
    },
    /// Quota or money is used up.
    Exhausted {
        /// Until then.
        until: Millis,
        /// After this kind of failure.
        cause: FaultClass,
    },
    /// Its rest is over and one attempt is trying it out.
    Probing,
    /// As many attempts are under way as it may have.
    Busy,
    /// It was used as often as its pace allows.
    Ahead {
        /// Until then.
        until: Millis,
    },
    /// It does not belong to the keys of this route.
    NotOfRoute,
    /// It was tried in this request.
    Tried,
}

impl Barred {
    /// The word for logs and `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Invalid => "invalid",
            Self::Refreshing => "refreshing",
            Self::Cooling { .. } => "cooling",
            Self::Exhausted { .. } => "exhausted",
            Self::Probing => "probing",
            Self::Busy => "busy",
            Self::Ahead { .. } => "ahead of its pace",
            Self::NotOfRoute => "not of this route",
            Self::Tried => "tried",
        }
    }

    /// When it may be used again, if that is known.
    #[must_use]
    pub fn until(self) -> Option<Millis> {
        match self {
            Self::Cooling { until, .. } | Self::Exhausted { until, .. } | Self::Ahead { until } => Some(until),
            Self::Disabled
            | Self::Invalid
            | Self::Refreshing
            | Self::Probing
            | Self::Busy
            | Self::NotOfRoute
            | Self::Tried => None,
        }
    }

    /// The failure behind it.
    #[must_use]
    pub fn cause(self) -> Option<FaultClass> {
        match self {
            Self::Cooling { cause, .. } | Self::Exhausted { cause, .. } => Some(cause),
            Self::Invalid => Some(FaultClass::AuthInvalid),
            Self::Disabled
            | Self::Refreshing
            | Self::Probing
            | Self::Busy
            | Self::Ahead { .. }
            | Self::NotOfRoute
            | Self::Tried => None,
        }
    }
}

/// Credentials tried in one request with one target.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    few: [u32; FEW],
    count: u32,
    many: Vec<u64>,
}

/// Tried credentials kept without an allocation.
const FEW: usize = 8;

impl Tried {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Notes the one attempt that a provider without credentials gets.
    pub(crate) fn note_keyless(&mut self) -> Result<(), Barred> {
        if self.count > 0 {
            return Err(Barred::Tried);
        }
        self.add(0);
        Ok(())
    }

    fn add(&mut self, slot: u32) {
        if self.many.is_empty() {
            if let Some(place) = self.few.get_mut(self.count as usize) {
                *place = slot;
                self.count += 1;
                return;
            }
            for slot in self.few {
                mark(&mut self.many, slot);
            }
        }
        mark(&mut self.many, slot);
        self.count += 1;
    }

    fn word(&self, at: usize) -> u64 {
        if !self.many.is_empty() {
            return self.many.get(at).copied().unwrap_or_default();
        }
        self.few
            .iter()
            .take(self.count as usize)
            .map(|&slot| place(slot))
            .filter(|(word, _)| *word == at)
            .fold(0, |bits, (_, bit)| bits | bit)
    }
}

fn mark(words: &mut Vec<u64>, slot: u32) {
    let (word, bit) = place(slot);
    if words.len() <= word {
        words.resize(word + 1, 0);
    }
    if let Some(word) = words.get_mut(word) {
        *word |= bit;
    }
}

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
    tally: Tally,
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

/// Models of which rests are kept apart.
const MOST_MODELS: usize = 256;

/// Above so many candidates two are compared instead of all.
const COMPARED: u32 = 64;

impl Roster {
    /// Makes a roster; indices elsewhere are positions in `members`.
    #[must_use]
    pub fn new(members: Vec<Member>, strategy: Strategy) -> Self {
        let mut seats: Vec<Seat> =
            members.into_iter().zip(0..).map(|(member, index)| Seat::new(member, index)).collect();
        seats.sort_by_key(|seat| (seat.member.priority, Reverse(seat.member.weight), seat.index));
        let count = seats.len();
        let mut slots = vec![0; count];
        let mut tiers: Vec<(u32, Tier)> = Vec::new();
        let off = Bits::new(count);
        let mut offs = HashMap::new();
        for (seat, slot) in seats.iter().zip(0..) {
            if let Some(place) = slots.get_mut(seat.index as usize) {
                *place = slot;
            }
            if seat.member.disabled {
                off.set(slot);
                offs.insert(slot, Off::Disabled);
            }
            let Member { weight, priority, .. } = seat.member;
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
            dirty: Bits::new(count),
            turn: AtomicU64::new(0),
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
        self.members().position(|member| *member.id == *id)
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
        if self.seats.len() <= COMPARED as usize {
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
                each(&seat.member, &seat.tally.drain());
            }
        });
    }

    /// What has to be remembered over a restart.
    #[must_use]
    pub fn export(&self, now: Millis) -> Vec<Saved> {
        let saved = |slot: u32, model: Option<&Text>, state: State, mark: Option<Mark>| {
            let credential = Some(self.seat(slot)?.member.id.clone());
            let (run, half_open) = mark.map_or((0, false), |mark| (mark.run, mark.half_open));
            Some(Saved { credential, model: model.cloned(), state, run, half_open })
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

    fn choose(&self, ask: &Ask<'_>, tried: &Tried, overlay: Option<&Rests>) -> Option<u32> {
        // A second choice in one request must not always fall on the neighbour.
        let turn = if tried.count == 0 { ask.turn } else { mix(ask.turn ^ (u64::from(tried.count) << 32)) };
        let usable = |at: usize| self.usable(at, ask, tried, overlay);
        self.tiers.iter().find_map(|tier| match self.strategy {
            Strategy::RoundRobin => round_robin(&tier.classes, turn, usable),
            Strategy::LeastBusy => self.compared(tier, turn, usable, Self::busy),
            Strategy::Latency => self.compared(tier, turn, usable, Self::slow),
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
        let count = population(start, end, &usable);
        if count == 0 {
            return None;
        }
        let cheaper = |best: Option<(f64, u32)>, slot: u32| {
            let cost = self.seat(slot).map_or(f64::INFINITY, &cost);
            match best {
                Some((least, _)) if least <= cost => best,
                _ => Some((cost, slot)),
            }
        };
        let compared = count.min(COMPARED);
        let ranks = (0..compared).map(|step| {
            let spot = if count <= COMPARED {
                turn.wrapping_add(u64::from(step))
            } else {
                mix(turn ^ (u64::from(step) << 40))
            };
            (spot % u64::from(count)) as u32
        });
        let tries = if count <= COMPARED { compared as usize } else { 2 };
        let slots = ranks.take(tries).filter_map(|rank| select(start, end, rank, &usable));
        slots.fold(None, cheaper).map(|(_, slot)| slot)
    }

    fn busy(seat: &Seat) -> f64 {
        f64::from(seat.in_flight.load(Ordering::Relaxed)) / f64::from(seat.member.weight.max(1))
    }

    fn slow(seat: &Seat) -> f64 {
        f64::from(seat.latency.millis()) * f64::from(seat.in_flight.load(Ordering::Relaxed) + 1)
            / f64::from(seat.member.weight.max(1))
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
    fn new(member: Member, index: u32) -> Self {
        Self {
            member,
            index,
            in_flight: AtomicU32::new(0),
            arrival: AtomicU64::new(0),
            latency: PeakEwma::default(),
            tally: Tally::default(),
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

/// A credential in use. Dropping it gives its place back.
#[derive(Debug)]
pub struct Picked {
    roster: Arc<Roster>,
    /// The model's rests, if this attempt tries out the credential with the model.
    overlay: Option<Arc<Rests>>,
    slot: u32,
    index: u32,
    began: Millis,
    /// This attempt tries out the credential.
    probes: bool,
    ended: bool,
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
