//! The attempts of one request, found one by one.
//!
//! Nothing is planned ahead: which credential takes an attempt is decided when it is made, by what is known then. No attempt is made
//! twice. Targets are tried stage by stage (a pool, then those it falls back to), priority by priority, and inside one priority
//! by the pool's strategy: two-level round robin takes turns over the providers first, then over the models of each.

use std::sync::Arc;

use polyport_types::{FaultClass, Text};

use crate::catalog::{Resolved, Stage, Target};
use crate::fleet::Fleet;
use crate::provider::{Lease, ProviderHealth};
use crate::roster::{Ask, Barred, Strategy, Subset, Tried};
use crate::shares::{Class, due, mix};
use crate::state::Millis;

/// One try of one target with one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Index into [`Resolved::targets`].
    pub target: usize,
    /// Position of the provider's credential; `None` for a provider that needs none.
    pub credential: Option<usize>,
}

/// What was left out, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Index into [`Resolved::targets`].
    pub target: usize,
    /// The credential, if it was not the whole target.
    pub credential: Option<usize>,
    /// Why; `None` for a provider that does not exist (any more).
    pub why: Option<Barred>,
}

/// Why a request cannot be tried (any further).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nothing {
    /// When something may be tried again at the earliest.
    pub retry_at: Option<Millis>,
    /// The failure behind what ends first.
    pub cause: Option<FaultClass>,
}

/// Goes through the attempts of one request.
#[derive(Debug)]
pub struct Walk {
    resolved: Resolved,
    turn: u64,
    /// Whether turns are taken, rather than looked at.
    takes: bool,
    progress: Vec<Progress>,
    /// The turn of this request at each provider, once it has one.
    provider_turns: Vec<(Text, u64)>,
    preferred: Option<Attempt>,
    current: Option<usize>,
}

#[derive(Debug, Default)]
struct Progress {
    tried: Tried,
    done: bool,
}

/// One in so many requests goes to targets that fail often or are slow, so that they can prove themselves.
const PROBE_EVERY: u64 = 16;

/// A target is slow if it takes so many times as long as the fastest …
const SLOW_TIMES: f32 = 5.0;

/// … and so many milliseconds longer.
const SLOW_BY: f32 = 2000.0;

impl Walk {
    /// Begins a request: takes a turn.
    #[must_use]
    pub fn new(resolved: Resolved, fleet: &Fleet) -> Self {
        let turn = if resolved.targets.len() > 1 { fleet.next_turn(resolved.turns_of()) } else { 0 };
        Self::at(resolved, turn, true)
    }

    /// Looks at what the next request would meet, changing nothing.
    #[must_use]
    pub fn dry(resolved: Resolved, fleet: &Fleet) -> Self {
        let turn = if resolved.targets.len() > 1 { fleet.turn(resolved.turns_of()) } else { 0 };
        Self::at(resolved, turn, false)
    }

    /// Looks at what the request of this turn would meet, changing nothing.
    #[must_use]
    pub fn dry_at(resolved: Resolved, turn: u64) -> Self {
        Self::at(resolved, turn, false)
    }

    fn at(resolved: Resolved, turn: u64, takes: bool) -> Self {
        let progress = resolved.targets.iter().map(|_| Progress::default()).collect();
        Self { resolved, turn, takes, progress, provider_turns: Vec::new(), preferred: None, current: None }
    }

    /// What it goes through.
    #[must_use]
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// The target of the last attempt.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        self.resolved.targets.get(self.current?)
    }

    /// Tries this first, if it can be used: a conversation's warm cache, or what keeps an earlier answer. Says why not.
    ///
    /// # Errors
    /// Why it cannot be used; it is not tried then.
    pub fn prefer(&mut self, attempt: Attempt, fleet: &Fleet, now: Millis) -> Result<(), Option<Barred>> {
        let health = self.health(attempt.target, fleet).ok_or(None)?;
        let target = self.resolved.targets.get(attempt.target).ok_or(None)?;
        let progress = self.progress.get(attempt.target).ok_or(None)?;
        let subset = fleet.subset(health, &self.resolved.keys);
        let ask = Ask { model: &target.model, now, turn: 0, among: subset.as_deref() };
        if let Some(barred) = health.barred(&ask, &progress.tried) {
            return Err(Some(barred));
        }
        if let Some(barred) = attempt.credential.and_then(|index| health.roster().barred(index, &ask, &progress.tried))
        {
            return Err(Some(barred));
        }
        if let Some(barred) = health.yields(&target.model, now)
            && self.choose_among(fleet, now, false).is_some()
        {
            return Err(Some(barred));
        }
        self.preferred = Some(attempt);
        Ok(())
    }

    /// The next attempt: another credential of another target. Targets tried before are not tried again.
    pub fn next_target(&mut self, fleet: &Fleet, now: Millis) -> Option<Lease> {
        if let Some(attempt) = self.preferred.take()
            && let Some(lease) = self.lease(attempt.target, attempt.credential, fleet, now)
        {
            self.current = Some(attempt.target);
            return Some(lease);
        }
        if let Some(current) = self.current.and_then(|current| self.progress.get_mut(current)) {
            current.done = true;
        }
        // One that is taken by others between the choice and the lease is not chosen again.
        for _ in 0..=self.progress.len() {
            let target = self.choose(fleet, now)?;
            if let Some(lease) = self.lease(target, None, fleet, now) {
                self.current = Some(target);
                return Some(lease);
            }
            self.progress.get_mut(target)?.done = true;
        }
        None
    }

    /// The next attempt: another credential of the same target.
    pub fn next_credential(&mut self, fleet: &Fleet, now: Millis) -> Option<Lease> {
        let target = self.current?;
        self.lease(target, None, fleet, now)
    }

    /// The same credential of the same target once more.
    pub fn again(&mut self, credential: Option<usize>, fleet: &Fleet, now: Millis) -> Option<Lease> {
        let target = self.current?;
        let health = self.health(target, fleet)?;
        let ask = Ask { model: &self.resolved.targets.get(target)?.model, now, turn: 0, among: None };
        let mut untried = Tried::default();
        match credential {
            Some(index) => health.lease_this(index, &ask, &mut untried).ok(),
            None => health.lease(&ask, &mut untried).ok(),
        }
    }

    /// How many untried credentials the current target has, counted up to 8.
    #[must_use]
    pub fn credentials_left(&self, fleet: &Fleet, now: Millis) -> u32 {
        let left = |target: usize| {
            let health = self.health(target, fleet)?;
            let subset = fleet.subset(health, &self.resolved.keys);
            let ask = Ask { model: &self.resolved.targets.get(target)?.model, now, turn: 0, among: subset.as_deref() };
            let tried = &self.progress.get(target)?.tried;
            Some(if health.barred(&ask, tried).is_some() { 0 } else { health.roster().available(&ask, tried, 8) })
        };
        self.current.and_then(left).unwrap_or_default()
    }

    /// How many targets could be tried after the current one.
    #[must_use]
    pub fn targets_left(&self, fleet: &Fleet, now: Millis) -> u32 {
        let others = (0..self.progress.len()).filter(|target| Some(*target) != self.current);
        others.filter(|&target| self.usable(target, fleet, now)).count() as u32
    }

    /// The attempts in the order in which they would be made if each failed without further consequences, at most `most`. For a
    /// walk made by [`Walk::dry`]: what it foresees first is what the next request does first.
    pub fn foresee(&mut self, fleet: &Fleet, now: Millis, most: usize) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        let mut first = self.preferred.take();
        while attempts.len() < most {
            let Some(target) = first.map(|attempt| attempt.target).or_else(|| self.choose(fleet, now)) else { break };
            let Some(health) = self.health(target, fleet).cloned() else { break };
            let turn = self.provider_turn(&health);
            let subset = fleet.subset(&health, &self.resolved.keys);
            let Some(Target { model, .. }) = self.resolved.targets.get(target) else { break };
            let ask = Ask { model, now, turn, among: subset.as_deref() };
            let Some(progress) = self.progress.get_mut(target) else { break };
            if health.roster().is_empty() {
                attempts.push(Attempt { target, credential: None });
            }
            while attempts.len() < most {
                let credential = match first.take() {
                    Some(attempt) => attempt.credential,
                    None => health.roster().peek(&ask, &progress.tried),
                };
                let Some(index) = credential else { break };
                health.roster().note(index, &mut progress.tried);
                attempts.push(Attempt { target, credential });
            }
            progress.done = true;
        }
        attempts
    }

    /// What cannot be tried now, and why; at most `most` entries.
    #[must_use]
    pub fn excluded(&self, fleet: &Fleet, now: Millis, most: usize) -> Vec<Excluded> {
        let mut out = Vec::new();
        let none = Tried::default();
        for (target, Target { model, .. }) in self.resolved.targets.iter().enumerate() {
            let Some(health) = self.health(target, fleet) else {
                out.push(Excluded { target, credential: None, why: None });
                continue;
            };
            let subset = fleet.subset(health, &self.resolved.keys);
            let ask = Ask { model, now, turn: 0, among: subset.as_deref() };
            if let Some(why) = health.barred_model(model, now) {
                out.push(Excluded { target, credential: None, why: Some(why) });
                continue;
            }
            let rest = most.saturating_sub(out.len());
            let credentials = (0..health.roster().len()).filter_map(|index| {
                let why = Some(health.roster().barred(index, &ask, &none)?);
                Some(Excluded { target, credential: Some(index), why })
            });
            out.extend(credentials.take(rest));
        }
        out.truncate(most);
        out
    }

    /// Why nothing can be tried, and when something can be.
    #[must_use]
    pub fn nothing(&self, fleet: &Fleet, now: Millis) -> Nothing {
        let none = Tried::default();
        let reasons = self.resolved.targets.iter().enumerate().filter_map(|(target, Target { model, .. })| {
            let health = self.health(target, fleet)?;
            let subset = fleet.subset(health, &self.resolved.keys);
            let ask = Ask { model, now, turn: 0, among: subset.as_deref() };
            let barred = health.barred(&ask, &none)?;
            Some((health.earliest(&ask).unwrap_or(Millis::MAX), barred))
        });
        let Some((at, barred)) = reasons.min_by_key(|(at, _)| *at) else { return Nothing::default() };
        // A probe, or a place that becomes free, is a matter of seconds.
        let soon =
            matches!(barred, Barred::Busy | Barred::Probing | Barred::Refreshing).then(|| now.saturating_add(1000));
        Nothing { retry_at: Some(at).filter(|&at| at != Millis::MAX).or(soon), cause: barred.cause() }
    }

    fn health<'f>(&self, target: usize, fleet: &'f Fleet) -> Option<&'f Arc<ProviderHealth>> {
        fleet.provider(&self.resolved.targets.get(target)?.provider)
    }

    fn usable(&self, target: usize, fleet: &Fleet, now: Millis) -> bool {
        let check = || {
            let progress = self.progress.get(target).filter(|progress| !progress.done)?;
            let health = self.health(target, fleet)?;
            let subset: Option<Arc<Subset>> = fleet.subset(health, &self.resolved.keys);
            let ask = Ask { model: &self.resolved.targets.get(target)?.model, now, turn: 0, among: subset.as_deref() };
            Some(health.barred(&ask, &progress.tried).is_none())
        };
        check().unwrap_or(false)
    }

    fn provider_turn(&mut self, health: &ProviderHealth) -> u64 {
        if let Some((_, turn)) = self.provider_turns.iter().find(|(name, _)| name == health.name()) {
            return *turn;
        }
        let turn = if self.takes { health.roster().next_turn() } else { health.roster().turn() };
        self.provider_turns.push((health.name().clone(), turn));
        turn
    }

    fn lease(&mut self, target: usize, credential: Option<usize>, fleet: &Fleet, now: Millis) -> Option<Lease> {
        let health = Arc::clone(self.health(target, fleet)?);
        // One certain credential is out of turn: the others keep theirs.
        let turn = if credential.is_some() { 0 } else { self.provider_turn(&health) };
        let subset = fleet.subset(&health, &self.resolved.keys);
        let ask = Ask { model: &self.resolved.targets.get(target)?.model, now, turn, among: subset.as_deref() };
        let tried = &mut self.progress.get_mut(target)?.tried;
        match credential {
            Some(index) => health.lease_this(index, &ask, tried).ok(),
            None => health.lease(&ask, tried).ok(),
        }
    }

    /// The target whose turn it is among those that can be tried. Those that answer errors come when nothing else is left.
    fn choose(&self, fleet: &Fleet, now: Millis) -> Option<usize> {
        self.choose_among(fleet, now, false).or_else(|| self.choose_among(fleet, now, true))
    }

    fn choose_among(&self, fleet: &Fleet, now: Millis, yielding: bool) -> Option<usize> {
        let attempts: u32 = self.progress.iter().map(|progress| progress.tried.count()).sum();
        let turn = if attempts == 0 { self.turn } else { mix(self.turn ^ (u64::from(attempts) << 32)) };
        self.resolved.stages.iter().find_map(|stage| self.of_stage(stage, turn, fleet, now, yielding))
    }

    fn of_stage(&self, stage: &Stage, turn: u64, fleet: &Fleet, now: Millis, yielding: bool) -> Option<usize> {
        let targets = || stage.targets.clone().filter_map(|at| Some((at, self.resolved.targets.get(at)?)));
        let yields = |target: &Target| {
            fleet.provider(&target.provider).is_some_and(|health| health.yields(&target.model, now).is_some())
        };
        let fits = |&(at, target): &(usize, &Target)| self.usable(at, fleet, now) && (yielding || !yields(target));
        let mut usable: Vec<(usize, &Target)> = targets().filter(fits).collect();
        let least = usable.iter().map(|(_, target)| target.priority).min()?;
        usable.retain(|(_, target)| target.priority == least);
        if let [(only, _)] = usable.as_slice() {
            return Some(*only);
        }
        let sound = sound(&usable, fleet, now);
        let (usable, turn) = match sound.len() < usable.len() {
            false => (usable, turn),
            true if turn % PROBE_EVERY == PROBE_EVERY - 1 => (usable, turn / PROBE_EVERY),
            true => (sound, turn),
        };
        let cheapest = |cost: &dyn Fn(&Target, &ProviderHealth) -> f64| {
            let shift = (turn % usable.len() as u64) as usize;
            let turned = usable.iter().cycle().skip(shift).take(usable.len());
            let costs = turned.filter_map(|(at, target)| Some((*at, cost(target, fleet.provider(&target.provider)?))));
            // `min_by` keeps the first of equals: they take turns.
            costs.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(at, _)| at)
        };
        let weight = |target: &Target| f64::from(target.weight.max(1));
        match stage.strategy {
            Strategy::RoundRobin => two_levels(&usable, turn),
            Strategy::Ordered => usable.first().map(|(at, _)| *at),
            Strategy::LeastBusy => {
                cheapest(&|target, health| f64::from(health.in_flight(&target.model)) / weight(target))
            }
            Strategy::Latency => cheapest(&|target, health| {
                let busy = f64::from(health.in_flight(&target.model) + 1);
                f64::from(health.latency(&target.model)) * busy / weight(target)
            }),
        }
    }
}

/// Without what fails often or is far slower than the others; all if nothing else is there.
fn sound<'t>(usable: &[(usize, &'t Target)], fleet: &Fleet, now: Millis) -> Vec<(usize, &'t Target)> {
    let known = |target: &Target| fleet.provider(&target.provider);
    let latency = |target: &Target| known(target).map_or(0.0, |health| health.latency(&target.model));
    let times = usable.iter().map(|(_, target)| latency(target)).filter(|&millis| millis > 0.0);
    let fastest = times.fold(f32::MAX, f32::min);
    let ails = |target: &Target| {
        let millis = latency(target);
        known(target).is_some_and(|health| health.ailing(&target.model, now))
            || (millis > SLOW_TIMES * fastest && millis - fastest > SLOW_BY)
    };
    let sound: Vec<_> = usable.iter().filter(|(_, target)| !ails(target)).copied().collect();
    if sound.is_empty() { usable.to_vec() } else { sound }
}

/// Over the providers first, then over the models of the one whose turn it is.
fn two_levels(usable: &[(usize, &Target)], turn: u64) -> Option<usize> {
    let mut providers: Vec<(&Text, u32)> = Vec::new();
    for (_, target) in usable {
        // A provider's share is its heaviest model's, so that offering more models does not draw more requests.
        match providers.iter_mut().find(|(name, _)| *name == &target.provider) {
            Some((_, weight)) => *weight = (*weight).max(target.weight),
            None => providers.push((&target.provider, target.weight)),
        }
    }
    let (chosen, visit) = by_weight(&providers, |(_, weight)| *weight, turn)?;
    let (name, _) = providers.get(chosen)?;
    let models: Vec<&(usize, &Target)> = usable.iter().filter(|(_, target)| target.provider == **name).collect();
    let (chosen, _) = by_weight(&models, |(_, target)| target.weight, visit)?;
    models.get(chosen).map(|(at, _)| *at)
}

/// Whose turn it is, and how often it was before.
fn by_weight<T>(all: &[T], weight: impl Fn(&T) -> u32, turn: u64) -> Option<(usize, u64)> {
    let mut classes: Vec<Class> = Vec::new();
    for one in all {
        let weight = weight(one).max(1);
        match classes.iter_mut().find(|class| class.weight == weight) {
            Some(class) => class.count += 1,
            None => classes.push(Class { weight, count: 1 }),
        }
    }
    let due = due(&classes, turn)?;
    let wanted = classes.get(due.class)?.weight;
    let members = all.iter().enumerate().filter(|(_, one)| weight(one).max(1) == wanted);
    members.map(|(at, _)| at).nth(due.member as usize).map(|at| (at, due.visit))
}
