//! All state of a running gateway.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use http::HeaderMap;
use parking_lot::Mutex;
use polyport_accounting::Limit;
use polyport_provider::auth::Account;
use polyport_provider::{Client, ClientError, ClientSettings};
use polyport_routing::{Fleet, Hints, Millis, Resolved, RetryBudget, Sticky, Target};
use polyport_store::Store;
use polyport_types::Text;
use polyport_types::{ClientProtocol, Fault};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Map;
use crate::archive::Archive;
use crate::clock;
use crate::config::provider::Service;
use crate::config::{Config, Live, Provider};
use crate::credentials::{Credentials, Project};
use crate::directory::Directory;
use crate::gate::Gate;
use crate::identity::Identity;
use crate::ingress::access::Caller;
use crate::ingress::idempotency::Idempotency;
use crate::ledger::{Books, Ledger};
use crate::notifications::Notifier;
use crate::observe::metrics::ProviderFigures;
use crate::observe::{Memory, Metrics, Pressure, Pulse, Tracer};
use crate::persist::Persist;
use crate::recorder::Recorder;
use crate::registry::Registry;
use crate::relay::learned::Learned;
use crate::served::{Served, Servers};
use crate::state::{ResponseStore, SignatureTable};
use crate::tasks::Tasks;

/// Conversations whose place is remembered.
const CONVERSATIONS: usize = 100_000;

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct App {
    runtime: ArcSwap<Runtime>,
    shared: Shared,
    pub(crate) memory: Memory,
    /// What runs beside the requests.
    pub(crate) tasks: Tasks,
    pub(crate) credentials: Arc<Credentials>,
    /// Which conversation is answered where.
    pub(crate) sticky: Sticky,
    /// The way into the store, if there is one.
    pub(crate) persist: Option<Persist>,
    /// The same for what is kept between requests.
    pub(crate) archive: Option<Arc<Archive>>,
    /// What the database declares, if it can be changed.
    pub(crate) registry: Option<Registry>,
    /// Teams, users and keys of the database, if there is one.
    pub(crate) directory: Option<Directory>,
    /// Who may do what at the admin API.
    pub(crate) identity: Identity,
    pub(crate) metrics: Metrics,
    /// What happened in the last seconds.
    pub(crate) pulse: Pulse,
    /// Takes traces, if there is a collector.
    pub(crate) tracer: Option<Tracer>,
    /// Tells how many log lines were lost.
    pub(crate) lost_lines: LostLines,
    pub(crate) ledger: Ledger,
    /// The way of messages to other programs.
    pub(crate) notifier: Notifier,
    /// The place of whoever copies the database.
    pub(crate) copying: Arc<Semaphore>,
    pub(crate) idempotency: Idempotency,
    pub(crate) responses: ResponseStore,
    pub(crate) signatures: SignatureTable,
    pub(crate) learned: Learned,
    /// Requests let in, those that wait included.
    pub(crate) in_flight: Arc<AtomicUsize>,
    /// Places of requests that are answered.
    pub(crate) places: Arc<Gate>,
    /// Where it listens, if it does.
    pub(crate) listening: OnceLock<SocketAddr>,
    pub(crate) started_at: Millis,
    per_key: Mutex<HashMap<Text, Arc<AtomicUsize>>>,
    following: Mutex<()>,
    draining: AtomicBool,
    leaving: AtomicBool,
    /// Cancelled when open streams have had their time.
    pub(crate) cut: CancellationToken,
}

/// What tells how many log lines were lost, once it is known.
#[derive(Default)]
pub(crate) struct LostLines(OnceLock<Box<dyn Fn() -> u64 + Send + Sync>>);

impl LostLines {
    pub(crate) fn count_with(&self, lost: impl Fn() -> u64 + Send + Sync + 'static) {
        // There is one log.
        self.0.set(Box::new(lost)).ok();
    }

    fn count(&self) -> u64 {
        self.0.get().map_or(0, |lost| lost())
    }
}

impl std::fmt::Debug for LostLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LostLines({})", self.count())
    }
}

/// What outlives a configuration.
#[derive(Debug)]
struct Shared {
    clients: Mutex<HashMap<ClientSettings, Client>>,
    /// Places at the providers, by their names.
    gates: Mutex<HashMap<Text, Arc<Gate>>>,
    /// How many attempts may be repeated.
    repeats: Mutex<Option<Arc<RetryBudget>>>,
    /// Servers that are started when they are asked for.
    servers: Servers,
    /// Takes down what providers are asked, where somebody wants that.
    recorder: Arc<OnceLock<Recorder>>,
}

/// What one configuration makes of it. Requests keep the one they began with.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) config: Arc<Config>,
    providers: Map<Text, Arc<Upstream>>,
    /// The health of these providers: its credentials stand in the same places as those of the configuration.
    pub(crate) fleet: Arc<Fleet>,
    /// How many attempts may be repeated.
    pub(crate) repeats: Arc<RetryBudget>,
}

/// What routes may look at beside the model's name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks<'a> {
    /// The client's headers.
    pub(crate) headers: &'a HeaderMap,
    /// Who asks.
    pub(crate) caller: &'a Caller,
}

/// A provider ready to be asked.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) config: Arc<Provider>,
    /// None for what is no server.
    pub(crate) client: Option<Client>,
    /// Places of requests at this provider.
    pub(crate) gate: Arc<Gate>,
    /// The server that is started for it, if Polyport starts it.
    pub(crate) served: Option<Arc<Served>>,
    recorder: Arc<OnceLock<Recorder>>,
    /// Those of its credentials that are accounts, by position.
    accounts: Box<[Option<Arc<Account>>]>,
    /// Projects of its credentials that are asked of the service, by position.
    projects: Box<[Option<Project>]>,
    /// Counts good attempts.
    answered: OnceLock<Counter<u64, AtomicU64>>,
}

/// A provider cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("provider `{provider}`: {error}")]
pub struct SetupError {
    /// Its name.
    pub provider: Text,
    /// What is wrong.
    pub error: ClientError,
}

impl App {
    /// A client with these settings; those that are there are used again.
    pub(crate) fn client(&self, settings: &ClientSettings) -> Result<Client, ClientError> {
        client(settings, &self.shared.clients)
    }

    pub(crate) fn new(
        config: &Arc<Config>,
        store: Option<Store>,
        credentials: Arc<Credentials>,
        registry: Option<Registry>,
        directory: Option<Directory>,
        identity: Identity,
        books: Option<Books>,
    ) -> Result<Self, SetupError> {
        let (tasks, cut) = (credentials.tasks().clone(), CancellationToken::new());
        let shared = Shared {
            clients: Mutex::default(),
            gates: Mutex::default(),
            repeats: Mutex::default(),
            servers: Servers::new(tasks.clone(), cut.clone()),
            recorder: Arc::default(),
        };
        let resting = credentials.resting();
        let metrics = Metrics::new();
        metrics.store_up.set(i64::from(store.is_some()));
        let tracer = config.traces.clone().map(Tracer::new).transpose();
        let tracer =
            tracer.map_err(|error| SetupError { provider: Text::from_static("the collector of traces"), error })?;
        let runtime = Runtime::new(Arc::clone(config), &shared, &credentials)?;
        let archive = store.clone().map(|store| Arc::new(Archive::new(store, metrics.store_waiting.clone())));
        let responses = ResponseStore::new(archive.clone());
        let has_keys = directory.as_ref().is_some_and(Directory::has_keys);
        responses.have_several(has_keys || !config.access.is_single());
        Ok(Self {
            runtime: ArcSwap::from_pointee(runtime),
            shared,
            memory: Memory::of_process(),
            tasks,
            credentials,
            sticky: Sticky::new(CONVERSATIONS),
            persist: store.map(|store| Persist::new(store, resting)),
            registry,
            directory,
            identity,
            metrics,
            pulse: Pulse::default(),
            tracer,
            lost_lines: LostLines::default(),
            ledger: Ledger::new(books),
            notifier: Notifier::default(),
            copying: Arc::new(Semaphore::new(1)),
            idempotency: Idempotency::default(),
            responses,
            signatures: SignatureTable::new(archive.clone()),
            archive,
            learned: Learned::default(),
            in_flight: Arc::default(),
            places: Arc::default(),
            listening: OnceLock::new(),
            started_at: clock::now(),
            per_key: Mutex::default(),
            following: Mutex::default(),
            draining: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            cut,
        })
    }

    /// A gateway beside this one that tries a configuration: it has no database, counts for itself, and listens nowhere.
    ///
    /// # Errors
    /// As [`SetupError`] says.
    pub(crate) fn aside(&self, mut config: Config) -> Result<Arc<Self>, SetupError> {
        config.traces = None;
        let config = Arc::new(config);
        // Without a database there is nobody to be found in it.
        let identity = Identity::without_people();
        Ok(Arc::new(Self::new(&config, None, self.credentials.aside(), None, None, identity, None)?))
    }

    /// What is in force now.
    pub(crate) fn runtime(&self) -> Guard<Arc<Runtime>> {
        self.runtime.load()
    }

    /// The same, to be kept.
    pub(crate) fn runtime_owned(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    pub(crate) fn reload(&self, config: &Arc<Config>) -> Result<(), SetupError> {
        match Runtime::new(Arc::clone(config), &self.shared, &self.credentials) {
            Ok(runtime) => {
                self.learned.follow(&self.runtime().config, config);
                if let Some(recorder) = self.recorder() {
                    recorder.keep_out(config);
                }
                self.responses.have_several(!self.has_one_caller(&runtime));
                self.runtime.store(Arc::new(runtime));
                self.ledger.prices.forget();
                self.metrics.reloaded(true);
                Ok(())
            }
            Err(error) => {
                self.metrics.reloaded(false);
                Err(error)
            }
        }
    }

    /// Brings into force what a configuration that lives says now.
    pub(crate) fn follow(&self, live: &Live) -> Result<(), SetupError> {
        let _one_at_a_time = self.following.lock();
        let config = live.current();
        if Arc::ptr_eq(&config, &self.runtime().config) { Ok(()) } else { self.reload(&config) }
    }

    /// Whether everything that is kept belongs to one and the same caller. Keys of the database come and go: each is a caller of its own.
    pub(crate) fn has_one_caller(&self, runtime: &Runtime) -> bool {
        runtime.config.access.is_single() && !self.directory.as_ref().is_some_and(Directory::has_keys)
    }

    /// Takes down what clients and providers say from now on.
    pub(crate) fn record_with(&self, recorder: &Recorder) {
        recorder.keep_out(&self.runtime().config);
        // There is one recording.
        self.shared.recorder.set(recorder.clone()).ok();
    }

    /// Takes down what is said, where somebody wants that.
    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.shared.recorder.get()
    }

    pub(crate) fn begin_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Another process answers new connections.
    pub(crate) fn begin_leaving(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Writes down that files which belong to one process belong to this one.
    pub(crate) fn sign(&self) {
        let store = self.directory.as_ref().map_or(Ok(()), |directory| directory.store().sign());
        let log = self.ledger.log().map_or(Ok(()), polyport_store::log::Log::sign);
        if let Err(error) = store.and(log) {
            tracing::warn!(%error, "the locks of the databases name another process");
        }
    }

    /// Says whether another process uses the database too, because one takes the other's place.
    pub(crate) fn set_two(&self, two: bool) {
        if let Some(directory) = &self.directory {
            directory.store().set_two(two);
        }
    }

    /// How scarce memory is.
    pub(crate) fn pressure(&self) -> Pressure {
        let limit = self.runtime().config.limits.memory_bytes;
        let pressure = self.memory.pressure(limit);
        self.metrics.memory(pressure, self.memory.bytes());
        // Side tables are no place for more.
        let scarce = pressure >= Pressure::Soft;
        self.signatures.rest(scarce);
        self.responses.rest(scarce);
        pressure
    }

    /// The figures as they are now, as text.
    pub(crate) fn figures(&self) -> String {
        self.pressure();
        let (runtime, now) = (self.runtime(), clock::now());
        let providers = runtime.config.providers().map(|provider| {
            let mut credentials: Vec<(&'static str, i64)> = Vec::new();
            let roster = runtime.fleet.provider(&provider.name).map(|health| health.roster());
            for state in roster.iter().flat_map(|roster| (0..roster.len()).map(|index| roster.state(index, now))) {
                let word = state.as_str();
                match credentials.iter_mut().find(|(known, _)| *known == word) {
                    Some((_, number)) => *number += 1,
                    None => credentials.push((word, 1)),
                }
            }
            let gate = runtime.provider(&provider.name).filter(|_| provider.requests.is_some());
            let places = gate.map(|upstream| (upstream.gate.taken(), upstream.gate.waiting()));
            ProviderFigures { provider: provider.name.clone(), credentials, places }
        });
        self.metrics.render(self.places.waiting(), self.lost_lines.count(), providers.collect())
    }

    /// How many requests of a key are open.
    pub(crate) fn key_counter(&self, key: &Text) -> Arc<AtomicUsize> {
        Arc::clone(self.per_key.lock().entry(key.clone()).or_default())
    }
}

impl Runtime {
    fn new(config: Arc<Config>, shared: &Shared, credentials: &Arc<Credentials>) -> Result<Self, SetupError> {
        let mut providers = Map::default();
        for provider in config.providers() {
            let upstream = Upstream::new(Arc::clone(provider), shared, credentials)?;
            providers.insert(provider.name.clone(), Arc::new(upstream));
        }
        let fleet = credentials.configure(&config);
        let mut known = shared.repeats.lock();
        let same = known.take().filter(|budget| budget.policy() == config.budget);
        let repeats = same.unwrap_or_else(|| Arc::new(RetryBudget::new(config.budget)));
        *known = Some(Arc::clone(&repeats));
        drop(known);
        shared.servers.keep(|name, served| {
            providers
                .get(name)
                .is_some_and(|upstream| upstream.served.as_ref().is_some_and(|one| Arc::ptr_eq(one, served)))
        });
        Ok(Self { config, providers, fleet, repeats })
    }

    /// The targets behind a model name.
    ///
    /// # Errors
    /// `ModelNotFound`, `BadRequest` where only what needs conversion would fit, or `PermissionDenied` where the caller's key does not go so far.
    pub(crate) fn resolve(&self, model: &str, client: ClientProtocol, asks: Asks<'_>) -> Result<Resolved, Fault> {
        let catalog = &self.config.catalog;
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for name in catalog.headers() {
            let value = asks.headers.get(&**name).and_then(|value| value.to_str().ok());
            headers.extend(value.map(|value| (&**name, value)));
        }
        asks.caller.may_use(model, client)?;
        let hints = Hints { protocol: Some(client), headers: &headers, callers: &asks.caller.names() };
        let resolved = catalog.resolve(model, hints);
        let resolved = resolved.map_err(|none| Fault::new(none.class(), none.to_string()))?;
        asks.caller.may_be_answered_by(&resolved)?;
        Ok(resolved)
    }

    /// Whether what a caller may use is limited in tokens or money.
    pub(crate) fn limits_use(&self, caller: &Caller) -> bool {
        let own = caller.grant().map(|grant| grant.quotas.as_slice()).unwrap_or_default().iter();
        let shared = self.config.quotas.iter().map(|shared| &shared.quota);
        own.chain(shared)
            .any(|quota| quota.limits.iter().any(|limit| matches!(limit, Limit::Tokens { .. } | Limit::Money { .. })))
    }

    /// Whether a target's provider is there and fits.
    pub(crate) fn fits(&self, target: &Target, fits: impl Fn(&Upstream) -> bool) -> bool {
        self.provider(&target.provider).is_some_and(|upstream| fits(upstream))
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.providers.get(name)
    }
}

impl Upstream {
    fn new(config: Arc<Provider>, shared: &Shared, credentials: &Arc<Credentials>) -> Result<Self, SetupError> {
        let client = match &config.service {
            Service::Process(_) | Service::Echo => None,
            Service::Http(http) => Some(
                client(&http.client, &shared.clients)
                    .map_err(|error| SetupError { provider: config.name.clone(), error })?,
            ),
        };
        let gate = Arc::clone(shared.gates.lock().entry(config.name.clone()).or_default());
        let accounts = client.as_ref().map(|client| credentials.accounts_of(&config, client)).unwrap_or_default();
        let projects = credentials.projects_of(&config);
        let served = match (&config.service, &client) {
            (Service::Http(http), Some(client)) => {
                http.server.as_ref().map(|server| shared.servers.serve(&config.name, server, &http.endpoint, client))
            }
            _ => None,
        };
        let recorder = Arc::clone(&shared.recorder);
        Ok(Self { config, client, gate, served, recorder, accounts, projects, answered: OnceLock::new() })
    }

    /// Takes down what it is asked, where somebody wants that.
    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.recorder.get()
    }

    /// The account at this position, if the credential there is one.
    pub(crate) fn account(&self, credential: usize) -> Option<&Arc<Account>> {
        self.accounts.get(credential)?.as_ref()
    }

    /// Where the project of the credential at this position is kept, if it is asked of the service.
    pub(crate) fn project(&self, credential: usize) -> Option<&Project> {
        self.projects.get(credential)?.as_ref()
    }

    /// The counter of attempts that gave an answer.
    pub(crate) fn answered(&self, metrics: &Metrics) -> &Counter<u64, AtomicU64> {
        self.answered.get_or_init(|| metrics.attempts(&self.config.name, "ok"))
    }
}

/// The client with these settings; pools outlive a reload.
fn client(settings: &ClientSettings, clients: &Mutex<HashMap<ClientSettings, Client>>) -> Result<Client, ClientError> {
    let mut clients = clients.lock();
    if let Some(client) = clients.get(settings) {
        return Ok(client.clone());
    }
    let client = Client::new(settings)?;
    clients.insert(settings.clone(), client.clone());
    Ok(client)
}
