//! One provider's health: its credentials, its models, and itself. An attempt holds a [`Lease`], which learns what it showed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use polyport_types::{FaultClass, Text};

use crate::Map;
use crate::breaker::Breaker;
use crate::roster::{Ask, Barred, Member, Picked, Roster, Strategy, Tried};
use crate::state::{Millis, RestPolicy, Saved, Scope, State, Trouble, Verdict, scope, verdict};
use crate::tally::Ended;

/// Models of one provider whose records are kept.
const MOST_MODELS: usize = 1024;

/// A provider, its credentials and what is known of their health.
#[derive(Debug)]
pub struct ProviderHealth {
    name: Text,
    roster: Arc<Roster>,
    policy: RestPolicy,
    whole: Breaker,
    models: RwLock<Map<Text, Arc<Breaker>>>,
    /// Something was passed over once: until then nobody need look.
    any_soft: AtomicBool,
}

/// What rests after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rested {
    /// What it covers.
    pub scope: Scope,
    /// Until then; `None` until somebody acts.
    pub until: Option<Millis>,
}

impl ProviderHealth {
    /// A provider with these credentials; one without any can be tried without.
    #[must_use]
    pub fn new(name: impl Into<Text>, members: Vec<Member>, strategy: Strategy, policy: RestPolicy) -> Self {
        Self {
            name: name.into(),
            roster: Arc::new(Roster::new(members, strategy)),
            policy,
            whole: Breaker::default(),
            models: RwLock::default(),
            any_soft: AtomicBool::new(false),
        }
    }

    /// The same provider with other credentials or rules: what is known of those that stay is kept.
    #[must_use]
    pub fn changed(&self, members: Vec<Member>, strategy: Strategy, policy: RestPolicy, now: Millis) -> Self {
        let changed = Self {
            roster: Arc::new(Roster::after(members, strategy, Some(&self.roster))),
            ..Self::new(self.name.clone(), Vec::new(), strategy, policy)
        };
        changed.restore(&self.export(now), now);
        changed
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// Its credentials.
    #[must_use]
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// How long what rests.
    #[must_use]
    pub fn policy(&self) -> &RestPolicy {
        &self.policy
    }

    /// Whether it was made of these.
    #[must_use]
    pub fn is_of(&self, members: &[Member], strategy: Strategy, policy: &RestPolicy) -> bool {
        self.policy == *policy && self.roster.is_of(members, strategy)
    }

    /// Why no credential of it can be tried with this model; `None` if at least one can.
    #[must_use]
    pub fn barred(&self, ask: &Ask<'_>, tried: &Tried) -> Option<Barred> {
        if let Some(barred) = self.barred_model(ask.model, ask.now) {
            return Some(barred);
        }
        if self.roster.is_empty() {
            return (tried.count() > 0).then_some(Barred::Tried);
        }
        if self.roster.available(ask, tried, 1) > 0 {
            return None;
        }
        Some(self.why_none(ask, tried))
    }

    /// Why this model cannot be tried with any credential.
    #[must_use]
    pub fn barred_model(&self, model: &str, now: Millis) -> Option<Barred> {
        self.whole.barred(now).or_else(|| self.known(model)?.barred(now))
    }

    /// Why this model stands behind all others that can be tried: it answers, but with errors. It is tried when nothing else is left.
    #[must_use]
    pub fn yields(&self, model: &str, now: Millis) -> Option<Barred> {
        if !self.any_soft.load(Ordering::Relaxed) {
            return None;
        }
        self.whole.yields(now).or_else(|| self.known(model)?.yields(now))
    }

    /// Whether something of it is asked only when nothing else can serve.
    #[must_use]
    pub fn passed_over(&self, now: Millis) -> bool {
        self.any_soft.load(Ordering::Relaxed)
            && (self.whole.yields(now).is_some()
                || self.models.read().values().any(|target| target.yields(now).is_some()))
    }

    /// A health check did not get an answer of use: others go first until `until`, or until it answers.
    pub fn check_failed(&self, cause: FaultClass, until: Millis, now: Millis) {
        self.any_soft.store(true, Ordering::Relaxed);
        self.whole.doubt(cause, until, now);
    }

    /// A health check got an answer: doubts are over, and what could not be reached is tried out at once.
    pub fn check_passed(&self, now: Millis) {
        self.whole.trust();
        self.whole.reached(now);
        for target in self.models.read().values() {
            target.reached(now);
        }
    }

    /// A health check with this credential failed for a reason that may be its own. Says what rests now.
    pub fn credential_check_failed(
        &self,
        index: usize,
        trouble: &Trouble<'_>,
        now: Millis,
        jitter: u8,
    ) -> Option<Rested> {
        let judge = |run| verdict(&self.policy, trouble, run, now, jitter);
        self.judged(index, trouble, Scope::Credential, self.roster.check_failed(index, trouble.class, now, judge))
    }

    fn judged(&self, index: usize, trouble: &Trouble<'_>, scope: Scope, verdict: Verdict) -> Option<Rested> {
        match verdict {
            Verdict::Watch => None,
            Verdict::Rest { until, .. } => Some(Rested { scope, until: Some(until) }),
            Verdict::Invalid => {
                let said = trouble.message.trim();
                let reason = if said.is_empty() { trouble.class.as_str() } else { said };
                self.roster.set_invalid(index, reason);
                Some(Rested { scope: Scope::Credential, until: None })
            }
        }
    }

    /// Attempts under way with this model.
    #[must_use]
    pub fn in_flight(&self, model: &str) -> u32 {
        self.known(model).map_or(0, |target| target.in_flight.load(Ordering::Relaxed))
    }

    /// Attempts under way with all of its models.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        let models = self.models.read();
        models.values().fold(0, |sum, target| sum.saturating_add(target.in_flight.load(Ordering::Relaxed)))
    }

    /// Why no credential can be used: the reason of the one that can be used first.
    fn why_none(&self, ask: &Ask<'_>, tried: &Tried) -> Barred {
        let looked_at = 0..self.roster.len().min(LOOKED_AT);
        let reasons = looked_at.filter_map(|index| self.roster.barred(index, ask, tried));
        reasons.min_by_key(|barred| (rank(*barred), barred.until())).unwrap_or(Barred::Busy)
    }

    /// Takes the credential whose turn it is, for an attempt with `ask.model`.
    ///
    /// # Errors
    /// Why none can be tried.
    pub fn lease(self: &Arc<Self>, ask: &Ask<'_>, tried: &mut Tried) -> Result<Lease, Barred> {
        self.lease_with(ask, tried, |tried| self.roster.pick(ask, tried))
    }

    /// Takes one certain credential.
    ///
    /// # Errors
    /// Why it cannot be tried.
    pub fn lease_this(self: &Arc<Self>, index: usize, ask: &Ask<'_>, tried: &mut Tried) -> Result<Lease, Barred> {
        self.lease_with(ask, tried, |tried| self.roster.pick_this(index, ask, tried))
    }

    fn lease_with(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        tried: &mut Tried,
        pick: impl FnOnce(&mut Tried) -> Option<Picked>,
    ) -> Result<Lease, Barred> {
        let target = self.made(ask.model, ask.now);
        if let Some(barred) = self.whole.barred(ask.now).or_else(|| target.barred(ask.now)) {
            return Err(barred);
        }
        target.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut lease = Lease {
            health: Arc::clone(self),
            target,
            model: ask.model.into(),
            picked: None,
            began: ask.now,
            tries_provider: false,
            tries_model: false,
            answering: false,
        };
        if self.roster.is_empty() {
            tried.note_keyless()?;
        } else {
            lease.picked = Some(pick(tried).ok_or_else(|| self.why_none(ask, tried))?);
        }
        // Dropping the lease gives back what it has so far.
        lease.tries_provider = self.whole.enter(ask.now)?;
        lease.tries_model = lease.target.enter(ask.now)?;
        Ok(lease)
    }

    /// The credential that [`ProviderHealth::lease`] would take now; `Ok(None)` for a provider that needs none.
    ///
    /// # Errors
    /// Why none can be tried.
    pub fn peek(&self, ask: &Ask<'_>, tried: &Tried) -> Result<Option<usize>, Barred> {
        if let Some(barred) = self.barred(ask, tried) {
            return Err(barred);
        }
        Ok(self.roster.peek(ask, tried))
    }

    /// When this model may be tried again at the earliest, if it cannot be tried now.
    #[must_use]
    pub fn earliest(&self, ask: &Ask<'_>) -> Option<Millis> {
        let target = self.known(ask.model).and_then(|target| target.barred(ask.now));
        let whole = self.whole.barred(ask.now);
        match whole.into_iter().chain(target).map(|barred| barred.until().unwrap_or(ask.now + 1000)).max() {
            Some(until) => Some(until),
            None => self.roster.earliest(ask),
        }
    }

    /// Whether this model fails often, but not so often that it rests.
    #[must_use]
    pub fn ailing(&self, model: &str, now: Millis) -> bool {
        self.known(model).is_some_and(|target| target.ailing(&self.policy, now))
    }

    /// The time within which this share, in percent, of its streams began lately, or of its `whole` answers came; `None` with fewer than
    /// `least` of them.
    #[must_use]
    pub fn begins_within(&self, model: &str, whole: bool, percent: u8, least: u32) -> Option<Millis> {
        let target = self.known(model)?;
        if whole { target.wholes.percentile(percent, least) } else { target.streams.percentile(percent, least) }
    }

    /// How long its answers take to begin, in milliseconds; 0 if that is not known.
    #[must_use]
    pub fn latency(&self, model: &str) -> f32 {
        self.known(model).map_or(0.0, |target| target.latency.millis())
    }

    /// The state of the provider as a whole.
    #[must_use]
    pub fn state(&self, now: Millis) -> State {
        self.whole.state(now)
    }

    /// The models that rest with all credentials.
    #[must_use]
    pub fn resting_models(&self, now: Millis) -> Vec<(Text, State)> {
        let models = self.models.read();
        let states = models.iter().map(|(model, target)| (model.clone(), target.state(now)));
        states.filter(|(_, state)| *state != State::Ready).collect()
    }

    /// Forgets all rests of the provider and its models; credentials aside, see [`Roster::revive`].
    pub fn revive(&self) {
        self.whole.clear();
        for target in self.models.read().values() {
            target.clear();
        }
    }

    /// What has to be remembered over a restart.
    #[must_use]
    pub fn export(&self, now: Millis) -> Vec<Saved> {
        let mut saved = self.roster.export(now);
        saved.extend(self.whole.export(now));
        saved.extend(
            self.models
                .read()
                .iter()
                .filter_map(|(model, target)| Some(Saved { model: Some(model.clone()), ..target.export(now)? })),
        );
        saved
    }

    /// Puts back what was exported; credentials that are gone are left out.
    pub fn restore(&self, saved: &[Saved], now: Millis) {
        if saved.iter().any(|saved| saved.soft) {
            self.any_soft.store(true, Ordering::Relaxed);
        }
        let places: HashMap<&str, usize> = self.roster.members().map(|member| &*member.id).zip(0..).collect();
        for saved in saved {
            match (&saved.credential, &saved.model) {
                (Some(id), _) => {
                    if let Some(&index) = places.get(&**id) {
                        self.roster.restore(index, saved, now);
                    }
                }
                (None, Some(model)) => self.made(model, now).restore(saved, now),
                (None, None) => self.whole.restore(saved, now),
            }
        }
    }

    fn known(&self, model: &str) -> Option<Arc<Breaker>> {
        self.models.read().get(model).cloned()
    }

    fn made(&self, model: &str, now: Millis) -> Arc<Breaker> {
        if let Some(target) = self.known(model) {
            return target;
        }
        let mut models = self.models.write();
        if models.len() >= MOST_MODELS {
            models.retain(|_, target| !target.idle(now));
        }
        let full = models.len() >= MOST_MODELS;
        if full {
            // All are in use: this one goes without a record.
            return models.get(model).cloned().unwrap_or_default();
        }
        Arc::clone(models.entry(model.into()).or_default())
    }
}

/// Credentials looked at for the reason why none can be used.
const LOOKED_AT: usize = 64;

/// Which reason says most about all: one that ends by itself.
fn rank(barred: Barred) -> u8 {
    match barred {
        Barred::Busy | Barred::Probing | Barred::Refreshing => 0,
        Barred::Ahead { .. } | Barred::Cooling { .. } | Barred::Exhausted { .. } => 1,
        Barred::Invalid => 2,
        Barred::Disabled => 3,
        Barred::Tried => 4,
        Barred::NotOfRoute => 5,
    }
}

/// An attempt: a credential in use, and the right to try a provider's model. Dropping it gives both back.
#[derive(Debug)]
pub struct Lease {
    health: Arc<ProviderHealth>,
    target: Arc<Breaker>,
    model: Text,
    picked: Option<Picked>,
    began: Millis,
    tries_provider: bool,
    tries_model: bool,
    /// An answer has begun, and nothing is wrong with it so far.
    answering: bool,
}

impl Lease {
    /// Position of the credential; `None` for a provider that needs none.
    #[must_use]
    pub fn credential(&self) -> Option<usize> {
        self.picked.as_ref().map(Picked::index)
    }

    /// Whose credential it is.
    #[must_use]
    pub fn provider(&self) -> &Arc<ProviderHealth> {
        &self.health
    }

    /// The provider's name of the model.
    #[must_use]
    pub fn model(&self) -> &Text {
        &self.model
    }

    /// Whether this attempt tries out what rested.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.tries_provider || self.tries_model || self.picked.as_ref().is_some_and(Picked::is_probe)
    }

    /// The answer has begun, `millis` after it was asked for, and is good. One that breaks off later [has failed](Self::failed) all the same.
    pub fn succeeded(&mut self, status: Option<u16>, millis: u32, now: Millis) {
        self.target.streams.record(millis);
        self.began_well(status, millis, now);
    }

    /// All of the answer is here, `millis` after it was asked for, and is good.
    pub fn succeeded_whole(&mut self, status: Option<u16>, millis: u32, now: Millis) {
        self.target.wholes.record(millis);
        self.began_well(status, millis, now);
    }

    fn began_well(&mut self, status: Option<u16>, millis: u32, now: Millis) {
        self.target.latency.record(millis, now);
        self.alive(Some(millis), now);
        self.end(Ended::Well, status, now);
    }

    /// Another attempt of the same request was quicker, while this one had given nothing for `millis`: it is given up, and took at least so
    /// long.
    pub fn outrun(&mut self, whole: bool, millis: u32, now: Millis) {
        let times = if whole { &self.target.wholes } else { &self.target.streams };
        times.record(millis);
        self.target.latency.record(millis, now);
    }

    /// The attempt failed, before its answer began or in the middle of it. `jitter` spreads the ends of rests: 0 none, 255 most. Says what rests now.
    pub fn failed(&mut self, trouble: &Trouble<'_>, now: Millis, jitter: u8) -> Option<Rested> {
        if std::mem::take(&mut self.answering) {
            self.target.take_back();
        }
        let policy = &self.health.policy;
        let ended = if trouble.class == FaultClass::ClientGone { Ended::Unjudged } else { Ended::Badly };
        let rested = match (scope(policy, trouble), &self.picked) {
            (None, _) => {
                if answered(trouble.class) {
                    self.alive(None, now);
                }
                None
            }
            (Some(scope @ (Scope::Credential | Scope::CredentialModel)), Some(picked)) => {
                let one = self.health.roster.len() == 1;
                // Where there is one key, a model that it does not have is simply an unknown model.
                if trouble.class == FaultClass::ModelNotFound && one {
                    None
                } else {
                    self.credential_failed(picked, scope, trouble, now, jitter)
                }
            }
            (Some(Scope::Provider), _) => {
                let began = (self.began, self.tries_provider);
                let until = self.health.whole.failed(policy, trouble, began, now, jitter);
                until.map(|until| Rested { scope: Scope::Provider, until: Some(until) })
            }
            // A provider without credentials, too, may limit its pace.
            (Some(Scope::Credential | Scope::CredentialModel), None)
                if matches!(trouble.class, FaultClass::AuthInvalid | FaultClass::ModelNotFound) =>
            {
                None
            }
            (Some(_), _) => {
                let began = (self.began, self.tries_model);
                let until = self.target.failed(policy, trouble, began, now, jitter);
                if until.is_some() {
                    self.health.any_soft.store(true, Ordering::Relaxed);
                }
                until.map(|until| Rested { scope: Scope::Model, until: Some(until) })
            }
        };
        self.end(ended, trouble.status, now);
        rested
    }

    fn credential_failed(
        &self,
        picked: &Picked,
        scope: Scope,
        trouble: &Trouble<'_>,
        now: Millis,
        jitter: u8,
    ) -> Option<Rested> {
        let Self { health, model, .. } = self;
        let of_model = (scope == Scope::CredentialModel).then_some(&**model);
        let judge = |run| verdict(&health.policy, trouble, run, now, jitter);
        let verdict = health.roster.failed(picked, of_model, trouble.class, now, judge);
        health.judged(picked.index(), trouble, scope, verdict)
    }

    /// The provider answered sensibly: what was tried out is good.
    fn alive(&mut self, millis: Option<u32>, now: Millis) {
        self.answering = true;
        self.target.succeeded(self.began, now);
        self.health.whole.succeeded(self.began, now);
        self.health.whole.settled();
        if let Some(picked) = &mut self.picked {
            picked.accepted(&self.model, millis, now);
        }
        self.release_probes();
    }

    fn end(&mut self, ended: Ended, status: Option<u16>, now: Millis) {
        if let Some(picked) = &mut self.picked {
            picked.end(ended, status, now);
        }
    }

    fn release_probes(&mut self) {
        if std::mem::take(&mut self.tries_provider) {
            self.health.whole.leave();
        }
        if std::mem::take(&mut self.tries_model) {
            self.target.leave();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.target.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.answering {
            self.target.settled();
        }
        self.release_probes();
    }
}

/// Failures of the request, in which the provider took the credential and looked at what was asked.
fn answered(class: FaultClass) -> bool {
    matches!(
        class,
        FaultClass::BadRequest
            | FaultClass::ContextTooLong
            | FaultClass::TooLarge
            | FaultClass::PolicyRefused
            | FaultClass::ToolUseFailed
    )
}
