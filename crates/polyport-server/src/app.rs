//! All state of a running gateway.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use polyport_provider::{Client, ClientError, ClientSettings};
use polyport_types::Text;
use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

use crate::config::provider::Service;
use crate::config::{Config, Provider};
use crate::gate::Gate;
use crate::observe::{Memory, Metrics, Pressure};
use crate::relay::health::Health;
use crate::relay::learned::Learned;
use crate::state::{ResponseStore, SignatureTable};

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct App {
    runtime: ArcSwap<Runtime>,
    shared: Shared,
    pub(crate) memory: Memory,
    pub(crate) metrics: Metrics,
    pub(crate) responses: ResponseStore,
    pub(crate) signatures: SignatureTable,
    pub(crate) learned: Learned,
    pub(crate) health: Health,
    /// Requests let in, those that wait included.
    pub(crate) in_flight: Arc<AtomicUsize>,
    /// Places of requests that are answered.
    pub(crate) places: Arc<Gate>,
    per_key: Mutex<HashMap<Text, Arc<AtomicUsize>>>,
    draining: AtomicBool,
    /// Cancelled when open streams have had their time.
    pub(crate) cut: CancellationToken,
}

/// What outlives a configuration.
#[derive(Debug, Default)]
struct Shared {
    clients: Mutex<HashMap<ClientSettings, Client>>,
    /// Places at the providers, by their names.
    gates: Mutex<HashMap<Text, Arc<Gate>>>,
}

/// What one configuration makes of it. Requests keep the one they began with.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) config: Arc<Config>,
    providers: HashMap<Text, Arc<Upstream>>,
    /// Moves on with every request: targets take turns.
    turn: AtomicU64,
}

/// A provider ready to be asked.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) config: Arc<Provider>,
    /// None for the built-in model.
    pub(crate) client: Option<Client>,
    /// Places of requests at this provider.
    pub(crate) gate: Arc<Gate>,
    /// Moves on with every request: credentials take turns.
    turn: AtomicU64,
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
    pub(crate) fn new(config: Arc<Config>) -> Result<Self, SetupError> {
        let shared = Shared::default();
        let runtime = Runtime::new(config, &shared)?;
        Ok(Self {
            runtime: ArcSwap::from_pointee(runtime),
            shared,
            memory: Memory::of_process(),
            metrics: Metrics::new(),
            responses: ResponseStore::new(),
            signatures: SignatureTable::new(),
            learned: Learned::default(),
            health: Health::default(),
            in_flight: Arc::default(),
            places: Arc::default(),
            per_key: Mutex::default(),
            draining: AtomicBool::new(false),
            cut: CancellationToken::new(),
        })
    }

    /// What is in force now.
    pub(crate) fn runtime(&self) -> Guard<Arc<Runtime>> {
        self.runtime.load()
    }

    /// The same, to be kept.
    pub(crate) fn runtime_owned(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    pub(crate) fn reload(&self, config: Arc<Config>) -> Result<(), SetupError> {
        match Runtime::new(config, &self.shared) {
            Ok(runtime) => {
                self.runtime.store(Arc::new(runtime));
                // Rests were earned with the old keys.
                self.health.clear();
                self.metrics.reloaded(true);
                Ok(())
            }
            Err(error) => {
                self.metrics.reloaded(false);
                Err(error)
            }
        }
    }

    pub(crate) fn begin_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
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

    /// How many requests of a key are open.
    pub(crate) fn key_counter(&self, key: &Text) -> Arc<AtomicUsize> {
        Arc::clone(self.per_key.lock().entry(key.clone()).or_default())
    }
}

impl Runtime {
    fn new(config: Arc<Config>, shared: &Shared) -> Result<Self, SetupError> {
        let mut providers = HashMap::new();
        for provider in config.providers() {
            let upstream = Upstream::new(Arc::clone(provider), shared)?;
            providers.insert(provider.name.clone(), Arc::new(upstream));
        }
        Ok(Self { config, providers, turn: AtomicU64::new(0) })
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.providers.get(name)
    }

    pub(crate) fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }
}

impl Upstream {
    fn new(config: Arc<Provider>, shared: &Shared) -> Result<Self, SetupError> {
        let client = match &config.service {
            Service::Echo => None,
            Service::Http(http) => Some(
                client(&http.client, &shared.clients)
                    .map_err(|error| SetupError { provider: config.name.clone(), error })?,
            ),
        };
        let gate = Arc::clone(shared.gates.lock().entry(config.name.clone()).or_default());
        Ok(Self { config, client, gate, turn: AtomicU64::new(0), answered: OnceLock::new() })
    }

    /// The counter of attempts that gave an answer.
    pub(crate) fn answered(&self, metrics: &Metrics) -> &Counter<u64, AtomicU64> {
        self.answered.get_or_init(|| metrics.attempts(&self.config.name, "ok"))
    }

    pub(crate) fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
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
