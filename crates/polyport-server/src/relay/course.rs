//! The way of a request through its attempts: which target and credential is next, what each attempt showed, and when to give up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polyport_provider::AuthHeader;
use polyport_provider::auth::{Account, AwsKey, RefreshError};
use polyport_routing::Attempt;
use polyport_routing::retry::counts;
use polyport_routing::sticky::CACHE_LIFETIME;
use polyport_routing::{
    Ask, Failure, Hedge, History, Lease, Millis, Next, Nothing, Resolved, RetryPolicy, Scope, Target, Tried, Trouble,
    Walk, next,
};
use polyport_types::{Fault, FaultClass, Text};

use super::attempt::Failed;
use super::conversation::Conversation;
use super::deadline::{Deadline, Whose};
use crate::app::{App, Runtime, Upstream};
use crate::clock;
use crate::config::{Means, Service};
use crate::credentials::onboard;
use crate::gate::{Permit, Queue};
use crate::observe::metrics::{ReasonLabels, StayedLabels, Word};
use crate::served::Use;
use crate::state::Held;

/// One target with one credential.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) target: Target,
    pub(crate) upstream: Arc<Upstream>,
    credential: Option<usize>,
    allowed: Allowed,
    /// Its place among the attempts under way, held until the answer has ended.
    place: Option<UnderWay>,
}

/// A place among the attempts under way, with its credential and at its provider; dropping the last copy gives it back.
#[derive(Clone, Debug)]
pub(crate) struct UnderWay(Arc<Places>);

#[derive(Debug)]
struct Places {
    lease: Mutex<Lease>,
    /// At providers whose places are numbered.
    permit: Mutex<Option<Permit>>,
    /// At servers that run as long as they are used.
    server: Mutex<Option<Use>>,
}

impl UnderWay {
    /// The answer broke off after it had begun.
    pub(crate) fn broke_off(&self, class: FaultClass) {
        let rested = self.0.lease.lock().failed(&Trouble::new(class), clock::now(), rand::random());
        if let Some(rested) = rested {
            tracing::debug!(class = class.as_str(), ?rested, "rests after an answer that broke off");
        }
    }
}

/// What a request is allowed with.
#[derive(Clone, Debug, Default)]
enum Allowed {
    /// The provider asks for nothing, or it is not known yet.
    #[default]
    Nothing,
    Key(AuthHeader),
    /// An access token, and which one of the account's.
    Token(AuthHeader, u64),
    /// A key that signs.
    Aws(Arc<AwsKey>),
}

impl Slot {
    /// The way to something that is kept; `None` if its provider or credential is configured no more.
    pub(crate) fn at(runtime: &Runtime, held: &Held) -> Option<Self> {
        let upstream = Arc::clone(runtime.provider(&held.provider)?);
        let credentials = upstream.config.credentials();
        let credential = match &held.credential {
            None if credentials.is_empty() => None,
            None => return None,
            Some(id) => Some(credentials.iter().position(|credential| credential.member.id == *id)?),
        };
        let target = Target::new(held.provider.clone(), held.model.clone());
        Some(Self { target, upstream, credential, allowed: Allowed::Nothing, place: None })
    }

    /// The same credential for another model of its provider.
    pub(crate) fn with_target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// The credential as a header.
    pub(crate) fn auth(&self) -> Option<&AuthHeader> {
        match &self.allowed {
            Allowed::Nothing | Allowed::Aws(_) => None,
            Allowed::Key(header) | Allowed::Token(header, _) => Some(header),
        }
    }

    /// The key that signs its requests.
    pub(crate) fn signer(&self) -> Option<&AwsKey> {
        match &self.allowed {
            Allowed::Aws(key) => Some(key),
            Allowed::Nothing | Allowed::Key(_) | Allowed::Token(..) => None,
        }
    }

    /// What people call its credential.
    pub(crate) fn credential_label(&self) -> Option<&Text> {
        Some(&self.upstream.config.credentials().get(self.credential?)?.label)
    }

    /// The id of its credential; `None` at a provider that needs none.
    pub(crate) fn credential_id(&self) -> Option<&Text> {
        Some(&self.upstream.config.credentials().get(self.credential?)?.member.id)
    }

    /// The project its account belongs to.
    pub(crate) fn project(&self) -> Option<&Text> {
        let configured = self.upstream.config.credentials().get(self.credential?)?.project();
        configured.or_else(|| self.upstream.project(self.credential?)?.get())
    }

    /// This target and credential, as the place of something that is kept there.
    pub(crate) fn held(&self, shown: Text) -> Held {
        Held {
            provider: self.target.provider.clone(),
            credential: self.credential_id().cloned(),
            model: self.target.model.clone(),
            shown,
        }
    }

    /// Whether something is kept here.
    pub(crate) fn keeps(&self, held: &Held) -> bool {
        held.provider == self.target.provider && held.credential.as_ref() == self.credential_id()
    }

    /// The only attempts that reach something that is kept here.
    pub(crate) fn only(&self) -> Resolved {
        let resolved = Resolved::ordered(vec![self.target.clone()]);
        match self.credential.and_then(|index| self.upstream.config.credentials().get(index)) {
            Some(credential) => resolved.with_keys([credential.member.name.clone()]),
            None => resolved,
        }
    }

    /// Where its server listens, which is started if it does not run and stays as long as the answer goes on; `None` if it is none of ours.
    pub(crate) async fn server_port(&self) -> Result<Option<u16>, Fault> {
        let Some(served) = &self.upstream.served else { return Ok(None) };
        let (used, port) = served.use_it().await?;
        if let Some(UnderWay(places)) = &self.place {
            *places.server.lock() = Some(used);
        }
        Ok(Some(port))
    }

    /// Whether it has its place at the provider, where those are numbered.
    fn has_room(&self) -> bool {
        let has_permit = || self.place.as_ref().is_some_and(|UnderWay(places)| places.permit.lock().is_some());
        self.upstream.config.requests.is_none() || has_permit()
    }

    /// The answer is good: it has begun, or is here as a `whole`.
    pub(crate) fn succeeded(&self, status: u16, whole: bool, took: Duration) {
        let Some(UnderWay(places)) = &self.place else { return };
        let mut lease = places.lease.lock();
        match whole {
            true => lease.succeeded_whole(Some(status), millis(took), clock::now()),
            false => lease.succeeded(Some(status), millis(took), clock::now()),
        }
    }

    /// Another attempt of the same request answered first.
    pub(crate) fn outrun(&self, whole: bool, took: Duration) {
        if let Some(UnderWay(places)) = &self.place {
            places.lease.lock().outrun(whole, millis(took), clock::now());
        }
    }

    /// Its place among the attempts under way, to be held while the answer goes on.
    pub(crate) fn place(&self) -> Option<UnderWay> {
        self.place.clone()
    }

    fn failed(&self, fault: &Fault, scope: Option<Scope>) {
        let Some(UnderWay(places)) = &self.place else { return };
        let now = clock::now();
        let trouble = Trouble::of(fault, now);
        let trouble = Trouble { scope: scope.or(trouble.scope), ..trouble };
        let trouble = match &self.upstream.config.service {
            // What its provider does not say, the operator may know.
            Service::Http(http) if trouble.class == FaultClass::RateLimitedWindow && trouble.retry_at.is_none() => {
                Trouble { retry_at: http.quota_reset.as_ref().and_then(|daily| daily.next(now)), ..trouble }
            }
            Service::Http(_) | Service::Process(_) | Service::Echo => trouble,
        };
        let rested = places.lease.lock().failed(&trouble, now, rand::random());
        if let Some(rested) = rested {
            let (provider, model) = (&self.target.provider, &self.target.model);
            tracing::debug!(%provider, %model, class = fault.class.as_str(), ?rested, "rests after a failure");
        }
    }

    fn account(&self) -> Option<&Arc<Account>> {
        self.upstream.account(self.credential?)
    }

    /// Makes it ready to be sent: an account may need a fresh access token first.
    pub(crate) async fn allow(&mut self) -> Result<(), Fault> {
        if let Some(account) = self.account() {
            let authorized = account.authorize().await.map_err(|error| untokened(&self.target.provider, &error))?;
            self.allowed = Allowed::Token(authorized.header, authorized.generation);
            return self.find_project().await;
        }
        let credential = self.credential.and_then(|index| self.upstream.config.credentials().get(index));
        match credential.map(|credential| &credential.means) {
            Some(Means::Key(header)) => self.allowed = Allowed::Key(header.clone()),
            Some(Means::Aws(key)) => self.allowed = Allowed::Aws(Arc::clone(key)),
            Some(Means::Account(_)) | None => {}
        }
        self.find_project().await
    }

    /// Asks the service for the project of an account that names none, once for all requests.
    async fn find_project(&self) -> Result<(), Fault> {
        let Some(kept) = self.credential.and_then(|index| self.upstream.project(index)) else { return Ok(()) };
        let Some(client) = onboard::client(self.upstream.config.adapter()) else { return Ok(()) };
        // What this shows is no answer to the request.
        let asking = Self { place: None, ..self.clone() };
        let found = kept.get_or_try_init(|| async {
            let project = Box::pin(onboard::project(&asking, client)).await?;
            tracing::info!(provider = %asking.target.provider, %project, "an account's project was found");
            Ok::<Text, Fault>(project)
        });
        let fault = match found.await {
            Ok(_) => return Ok(()),
            Err(fault) => fault,
        };
        let whose = self.credential.and_then(|index| self.upstream.config.credentials().get(index));
        let label = whose.map_or("", |credential| &*credential.label);
        let message = format!("account `{label}` of provider `{}`: {}", self.target.provider, fault.message);
        Err(Fault { message, ..fault })
    }

    /// After a refusal: fetches a new access token; true if there is one.
    pub(crate) async fn renew(&mut self) -> bool {
        let (Some(account), Allowed::Token(_, generation)) = (self.account(), &self.allowed) else { return false };
        account.refresh(*generation).await.is_ok() && self.allow().await.is_ok()
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// What a client is told when an account has no token. The token server's words stay in the log.
fn untokened(provider: &Text, error: &RefreshError) -> Fault {
    let fault = |class, words: &str| Fault::new(class, format!("the account of provider `{provider}` {words}"));
    match error {
        RefreshError::Rejected { .. } => fault(FaultClass::AuthInvalid, "has to log in again"),
        RefreshError::Misconfigured { .. } => {
            fault(FaultClass::AuthInvalid, "cannot be refreshed: its client is refused")
        }
        RefreshError::Unavailable { retry_after, .. } => Fault {
            retry_after: *retry_after,
            ..fault(FaultClass::Timeout, "has no access token now: its token server does not answer")
        },
    }
}

/// The way through the attempts of one request.
#[derive(Debug)]
pub(crate) struct Course {
    app: Arc<App>,
    runtime: Arc<Runtime>,
    walk: Walk,
    history: History,
    /// What could be tried but for its provider, which has no place free now.
    waiting: Option<Slot>,
    /// The access token of the present credential was renewed in this request.
    renewed: bool,
    began: Instant,
    retry: RetryPolicy,
    /// Time for all attempts, whatever the client says.
    patience: Duration,
    /// How long the client waits, if it says so.
    client: Option<Duration>,
    /// When a second attempt is made; none any more once one was.
    hedge: Option<Arc<Hedge>>,
}

impl Course {
    pub(crate) fn new(app: Arc<App>, runtime: Arc<Runtime>, resolved: Resolved) -> Self {
        runtime.repeats.request();
        let retry = resolved.retry.clone().unwrap_or_else(|| runtime.config.retry.clone());
        let hedge = resolved.hedge.clone().or_else(|| runtime.config.hedge.clone());
        let walk = Walk::new(resolved, &runtime.fleet);
        Self {
            app,
            runtime,
            walk,
            history: History::default(),
            waiting: None,
            renewed: false,
            began: Instant::now(),
            patience: retry.patience,
            retry,
            client: None,
            hedge,
        }
    }

    /// The same for a request that came at `began`, of a client that says how long it waits.
    pub(crate) fn within(self, began: Instant, client: Option<Duration>) -> Self {
        Self { began, client, retry: self.retry.within(client), ..self }
    }

    /// When an answer must be there. What a streaming client waits counts as long as it has not even seen the head of its answer; afterwards it
    /// hears that the gateway goes on.
    pub(crate) fn deadline(&self, stream: bool) -> Deadline {
        let commit_after = self.runtime.config.limits.commit_after;
        let client = self.client.filter(|client| !stream || *client <= commit_after);
        Deadline::new(self.began, self.patience, client)
    }

    /// The time for an answer is over while this is tried. That it was too short for a client proves nothing.
    pub(crate) fn late(&self, slot: &Slot, deadline: &Deadline) -> Fault {
        let fault = deadline.fault();
        if deadline.whose == Whose::Operator {
            slot.failed(&fault, None);
        }
        fault
    }

    /// How long to wait for this attempt before a second one is made, if ever.
    pub(crate) fn hedge_after(&self, slot: &Slot, whole: bool) -> Option<Duration> {
        let hedge = self.hedge.as_ref()?;
        let health = self.runtime.fleet.provider(&slot.target.provider)?;
        hedge.after(health, &slot.target.model, whole).map(Duration::from_millis)
    }

    /// A second attempt beside the present one, which is slow: with the next credential, else at the next target. `None` if there is nothing
    /// that could take it at once, or too many were made lately.
    pub(crate) async fn second(&mut self) -> Option<Slot> {
        let now = clock::now();
        let fleet = &self.runtime.fleet;
        if self.walk.credentials_left(fleet, now) + self.walk.targets_left(fleet, now) == 0
            || self.hedge.take_if(|hedge| hedge.take()).is_none()
        {
            return None;
        }
        loop {
            let slot = match self.next_credential().await {
                Some(slot) => slot,
                None => {
                    let lease = self.walk.next_target(&self.runtime.fleet, clock::now())?;
                    match self.made(lease).await {
                        Ok(slot) => slot,
                        Err(_) => continue,
                    }
                }
            };
            if slot.has_room() {
                return Some(slot);
            }
            self.waiting.get_or_insert(slot);
        }
    }

    /// One of two attempts has failed while the other goes on.
    pub(crate) fn one_failed(&mut self, slot: &Slot, failed: &Failed) {
        let class = failed.fault.class;
        // The token of an account may only be old, which is found out where there is time for a new one.
        let maybe_old =
            matches!(class, FaultClass::AuthInvalid | FaultClass::PermissionDenied) && slot.account().is_some();
        if failed.unable || maybe_old {
            return;
        }
        slot.failed(&failed.fault, None);
        self.history.failures += u32::from(counts(class));
    }

    /// Whether a request like this may have a second attempt; if so, it is counted.
    pub(crate) fn may_hedge(&mut self, may: bool) {
        match &self.hedge {
            Some(hedge) if may => hedge.request(),
            _ => self.hedge = None,
        }
    }

    /// Where it may lead.
    pub(crate) fn resolved(&self) -> &Resolved {
        self.walk.resolved()
    }

    /// Begins where something is kept, if that can be used now; false if it cannot.
    pub(crate) fn prefer(&mut self, slot: &Slot) -> bool {
        let targets = &self.walk.resolved().targets;
        let at = targets.iter().position(|to| to.provider == slot.target.provider && to.model == slot.target.model);
        let Some(target) = at else { return false };
        let attempt = Attempt { target, credential: slot.credential };
        self.walk.prefer(attempt, &self.runtime.fleet, clock::now()).is_ok()
    }

    /// Whether it makes a difference for a conversation where it is answered.
    pub(crate) fn has_choice(&self) -> bool {
        let [target] = &*self.walk.resolved().targets else { return true };
        self.runtime.provider(&target.provider).is_some_and(|upstream| upstream.config.credentials().len() > 1)
    }

    /// Begins where the conversation's prompt cache is warm, if that can serve now.
    pub(crate) fn stay(&mut self, conversation: Conversation) {
        self.app.sticky.guide(conversation.key, &mut self.walk, &self.runtime.fleet, clock::now());
    }

    /// A conversation was answered here: the next requests of it come here first.
    pub(crate) fn keep(&self, conversation: Conversation, slot: &Slot) {
        let Some(UnderWay(places)) = &slot.place else { return };
        let (pool, now) = (self.walk.resolved().turns_of(), clock::now());
        let lease = places.lease.lock();
        let Conversation { key, tokens } = conversation;
        let stayed = self.app.sticky.keep(key, pool, &lease, tokens, CACHE_LIFETIME, now);
        let pool = self.walk.resolved().stages.first().and_then(|stage| stage.pool.as_deref()).unwrap_or_default();
        let labels = StayedLabels { place: Word(stayed.as_str()), pool: pool.to_owned() };
        self.app.metrics.conversations.get_or_create(&labels).inc();
    }

    /// What to try first.
    ///
    /// # Errors
    /// When nothing can be tried now.
    pub(crate) async fn first(&mut self) -> Result<Slot, Fault> {
        self.next_target(None).await
    }

    /// The next target that can be tried. One whose provider has no place free comes when no other is left, and is waited for.
    async fn next_target(&mut self, mut failed: Option<Fault>) -> Result<Slot, Fault> {
        loop {
            let now = clock::now();
            let Some(lease) = self.walk.next_target(&self.runtime.fleet, now) else {
                return match self.waiting.take() {
                    Some(slot) => self.wait_for(slot).await,
                    None => Err(failed.unwrap_or_else(|| self.nothing(now))),
                };
            };
            let slot = match self.made(lease).await {
                Ok(slot) => slot,
                Err(fault) => match self.next_credential().await {
                    Some(slot) => slot,
                    None => {
                        failed = Some(fault);
                        continue;
                    }
                },
            };
            if slot.has_room() {
                return Ok(slot);
            }
            self.waiting.get_or_insert(slot);
        }
    }

    /// Another credential of the same target that has a token.
    async fn next_credential(&mut self) -> Option<Slot> {
        loop {
            let lease = self.walk.next_credential(&self.runtime.fleet, clock::now())?;
            if let Ok(slot) = self.made(lease).await {
                return Some(slot);
            }
        }
    }

    /// Makes it ready to be sent; at a provider whose places are all taken without one.
    async fn made(&self, lease: Lease) -> Result<Slot, Fault> {
        let target = self.walk.target().cloned();
        let upstream = target.as_ref().and_then(|target| self.runtime.provider(&target.provider));
        let (Some(target), Some(upstream)) = (target.clone(), upstream) else {
            return Err(Fault::new(FaultClass::NoUpstream, "the configuration has just changed; try again"));
        };
        let permit = upstream.config.requests.and_then(|places| upstream.gate.try_take(places));
        let mut slot = Slot {
            target,
            upstream: Arc::clone(upstream),
            credential: lease.credential(),
            allowed: Allowed::Nothing,
            place: Some(UnderWay(Arc::new(Places {
                lease: Mutex::new(lease),
                permit: Mutex::new(permit),
                server: Mutex::default(),
            }))),
        };
        match slot.allow().await {
            Ok(()) => Ok(slot),
            Err(fault) => {
                slot.failed(&fault, Some(Scope::Credential));
                Err(fault)
            }
        }
    }

    async fn with_room(&self, slot: Option<Slot>) -> Option<Slot> {
        match slot {
            Some(slot) if !slot.has_room() => self.wait_for(slot).await.ok(),
            slot => slot,
        }
    }

    /// Waits for a place at its provider.
    async fn wait_for(&self, slot: Slot) -> Result<Slot, Fault> {
        let (Some(places), Some(UnderWay(place))) = (slot.upstream.config.requests, &slot.place) else {
            return Ok(slot);
        };
        let limits = &self.runtime.config.limits;
        let own = slot.upstream.config.queue;
        let queue = Queue { length: own.length.unwrap_or(limits.queue), time: own.time.unwrap_or(limits.queue_time) };
        let permit = slot.upstream.gate.take(places, queue).await.map_err(|_| {
            let words = format!("provider `{}` is answering as many requests as it may", slot.target.provider);
            Fault::new(FaultClass::NoUpstream, words).with_retry_after(Duration::from_secs(1))
        })?;
        *place.permit.lock() = Some(permit);
        Ok(slot)
    }

    /// What a client is told when nothing could be tried at this time: a moment later a rest may be over, and would be no reason any more.
    fn nothing(&self, now: Millis) -> Fault {
        let Nothing { retry_at, cause } = self.walk.nothing(&self.runtime.fleet, now);
        let mut providers: Vec<&str> = Vec::new();
        for target in &*self.walk.resolved().targets {
            if !providers.contains(&&*target.provider) {
                providers.push(&target.provider);
            }
        }
        let fault = resting(cause, &providers);
        match retry_at {
            Some(at) => fault.with_retry_after(Duration::from_millis(at.saturating_sub(now))),
            None => fault,
        }
    }

    /// What to try after a failure, once it is time for it.
    ///
    /// # Errors
    /// The failure, when nothing may follow it.
    pub(crate) async fn after(&mut self, mut slot: Slot, failed: Failed) -> Result<Slot, Fault> {
        let Failed { fault, unable } = failed;
        let refused = matches!(fault.class, FaultClass::AuthInvalid | FaultClass::PermissionDenied);
        if refused && !std::mem::replace(&mut self.renewed, true) && slot.renew().await {
            return Ok(slot);
        }
        let decision = if unable { Next::NextTarget } else { self.decide(&slot, &fault) };
        let credential = slot.credential;
        // Its place is free for whoever comes next.
        drop(slot);
        let following = match decision {
            Next::GiveUp => None,
            Next::SameCredential { after } => {
                self.history.repeated = true;
                if after > Duration::ZERO {
                    tokio::time::sleep(after).await;
                }
                let lease = self.walk.again(credential, &self.runtime.fleet, clock::now());
                let slot = match lease {
                    Some(lease) => self.made(lease).await.ok(),
                    None => None,
                };
                match self.with_room(slot).await {
                    // It rests by now, after what others saw there.
                    None => self.next_target(Some(fault.clone())).await.ok(),
                    slot => slot,
                }
            }
            Next::NextCredential => {
                self.renewed = false;
                self.history.repeated = false;
                self.history.model_moved |= fault.class == FaultClass::ModelNotFound;
                let slot = self.next_credential().await;
                match self.with_room(slot).await {
                    None => self.next_target(Some(fault.clone())).await.ok(),
                    slot => slot,
                }
            }
            Next::NextTarget => {
                self.renewed = false;
                self.history.repeated = false;
                self.history.model_moved = false;
                self.next_target(Some(fault.clone())).await.ok()
            }
        };
        let Some(following) = following else { return Err(fault) };
        self.app.metrics.failovers.get_or_create(&ReasonLabels { reason: Word(fault.class.as_str()) }).inc();
        Ok(following)
    }

    fn decide(&mut self, slot: &Slot, fault: &Fault) -> Next {
        slot.failed(fault, None);
        let now = clock::now();
        let fleet = &self.runtime.fleet;
        let history = &mut self.history;
        history.credentials_left = self.walk.credentials_left(fleet, now);
        history.targets_left = self.walk.targets_left(fleet, now);
        history.elapsed = self.began.elapsed();
        history.jitter = rand::random();
        if counts(fault.class) {
            history.failures += 1;
            history.over_budget = !self.runtime.repeats.repeat(now);
        }
        let failure = Failure { class: fault.class, retry_after: fault.retry_after };
        next(&self.retry, failure, history)
    }
}

/// What a client is told when nothing can be tried: a rate limit stays a rate limit, the rest is a lack of providers.
fn resting(cause: Option<FaultClass>, providers: &[&str]) -> Fault {
    let (plural, names) = (if providers.len() == 1 { "" } else { "s" }, providers.join("`, `"));
    let words = |what: &str| format!("provider{plural} `{names}` of this model: {what}");
    let (class, what) = match cause {
        Some(FaultClass::RateLimited | FaultClass::RateLimitedWindow) => {
            (FaultClass::RateLimited, "every credential is at its rate limit")
        }
        Some(FaultClass::AuthInvalid) => {
            (FaultClass::NoUpstream, "the gateway's credential was refused; the operator has to mend it")
        }
        Some(FaultClass::AccountBroken) => {
            (FaultClass::NoUpstream, "the account cannot be used; the operator has to mend it")
        }
        Some(FaultClass::Untrusted) => {
            (FaultClass::NoUpstream, "the certificate is not trusted; the operator has to mend it")
        }
        Some(_) => (FaultClass::NoUpstream, "left alone for a while after failures"),
        None => (FaultClass::NoUpstream, "no credential can be used now"),
    };
    Fault::new(class, words(what))
}

/// Providers in their order, each with the first of its credentials that can be used: what is kept at a provider belongs to one of them,
/// and lists shall be of the same one every time.
pub(crate) fn steady(runtime: &Runtime, fits: impl Fn(&Upstream) -> bool) -> Resolved {
    let fleet = &runtime.fleet;
    let ask = Ask { model: "", now: clock::now(), turn: 0, among: None };
    let mut keys = Vec::new();
    let providers = runtime.config.providers().map(|provider| Target::new(provider.name.clone(), Text::new()));
    let targets: Vec<Target> = providers.filter(|target| runtime.fits(target, &fits)).collect();
    for health in targets.iter().filter_map(|target| fleet.provider(&target.provider)) {
        let roster = health.roster();
        let usable = (0..roster.len()).find(|&index| roster.barred(index, &ask, &Tried::default()).is_none());
        keys.extend(usable.and_then(|index| roster.members().nth(index)).map(|member| member.name.clone()));
    }
    Resolved::ordered(targets).with_keys(keys)
}
