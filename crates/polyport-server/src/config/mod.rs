//! The configuration: what the file, the environment and the command line say, checked once and then immutable.
//!
//! | module | what |
//! |---|---|
//! | [`access`] | who may use the gateway |
//! | [`problem`] | what is wrong with a configuration, and where |
//! | [`provider`] | services that answer |

pub mod access;
mod bedrock;
mod check;
mod credentials;
mod custom;
pub mod daily;
mod data;
pub(crate) mod definitions;
pub mod discover;
mod env;
mod file;
pub(crate) mod leaves;
mod live;
mod load;
mod local;
pub(crate) mod mask;
mod models;
mod money;
mod notifications;
mod oidc;
pub mod preset;
pub mod problem;
pub mod profile;
pub mod provider;
mod read;
pub mod reference;
mod resilience;
mod secret;
mod services;
pub(crate) mod settings;
mod store;
mod telemetry;
mod tree;
mod units;
mod view;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use polyport_protocol::{Capabilities, CarrierKey};
use polyport_routing::{BudgetPolicy, Catalog, Disconnect, Hedge, Pattern, RetryPolicy};
use polyport_types::Text;

use crate::Map;

pub use access::{Access, ClientKey, KeyHash, Sessions};
pub use daily::Daily;
pub(crate) use data::prepare as prepare_folder;
pub(crate) use definitions::Declared;
pub use discover::Found;
pub use env::Environment;
pub use live::{Live, Reload, Watch};
pub use load::{Arguments, Loaded, Purpose, Source, Start};
pub use money::{Addresses, Keep, MoneySettings};
pub use notifications::{Event, Hook, Notifications};
pub use oidc::Oidc;
pub(crate) use oidc::is_safe as is_safe_address;
pub use preset::{Preset, Wants};
pub use problem::{Place, Problem, Problems, Weight};
pub use provider::{
    AccountSettings, Credential, HttpService, LocalServer, Means, Origin, ProcessService, Provider, Service, Timeouts,
    Waiting,
};
pub(crate) use read::suggestion;
pub use store::{StoreSettings, master_key};
pub use telemetry::{MetricsAccess, Traces};

/// The port Polyport listens on unless told otherwise: P-O-L-Y on a phone keypad.
pub const DEFAULT_PORT: u16 = 7659;

/// A checked configuration. Share it as `Arc<Config>`; a change makes a new one.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Who may use the gateway.
    pub access: Access,
    /// Folder of everything Polyport writes.
    pub data: PathBuf,
    /// The database of what outlives a restart.
    pub store: StoreSettings,
    /// Providers by name.
    pub providers: HashMap<Text, Arc<Provider>>,
    /// Provider names in the order of the configuration.
    pub provider_order: Vec<Text>,
    /// Providers that are switched off.
    pub(crate) disabled: Vec<Text>,
    /// What the database declares, and what is not in force of it.
    pub(crate) declared: Declared,
    /// What was written, with what the database declares.
    pub(in crate::config) tree: Arc<tree::Node>,
    /// Which targets stand behind which model name.
    pub catalog: Catalog,
    /// Bounds.
    pub limits: Limits,
    /// How failures are retried.
    pub retry: RetryPolicy,
    /// How many attempts of all requests may be repeated.
    pub budget: BudgetPolicy,
    /// When a second attempt is made, if ever.
    pub hedge: Option<Arc<Hedge>>,
    /// Conversations stay where their prompt cache is warm.
    pub sticky: bool,
    /// Chat requests that do not say `stream` get one.
    pub stream_by_default: bool,
    /// Whom lists of models name as their owner.
    pub owned_by: OwnedBy,
    /// Which response headers clients see.
    pub headers: ResponseHeaders,
    /// The model name answers carry.
    pub model_echo: ModelEcho,
    /// Return reasoning text to Chat clients as `reasoning_content`.
    pub expose_reasoning: bool,
    /// What happens when something cannot be carried.
    pub losses: LossPolicy,
    /// Seals signatures that travel through another protocol's slots.
    pub carrier: Arc<CarrierKey>,
    /// What is logged and how.
    pub log: Log,
    /// Who may read the figures.
    pub metrics: MetricsAccess,
    /// Where traces go, if they do.
    pub traces: Option<Traces>,
    /// Prices, and what budgets are counted in.
    pub money: MoneySettings,
    /// How many bytes of a prompt or an answer are kept where they are.
    pub capture_bytes: usize,
    /// How long what is logged is kept.
    pub keep: Keep,
    /// What is logged of clients' addresses.
    pub addresses: Addresses,
    /// What becomes of answers whose clients have left.
    pub disconnect: Disconnect,
    /// Who is told when something needs somebody.
    pub notifications: Notifications,
    /// Limits that the configuration sets.
    pub(crate) quotas: Vec<crate::directory::quotas::Shared>,
    /// Operator's words on what models can do, by `provider/model` or model pattern.
    pub(crate) capability_overrides: Vec<CapabilityOverride>,
    pub(crate) capability_cache: RwLock<Map<(Text, Text), Arc<Capabilities>>>,
}

/// Whom lists of models name as their owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnedBy {
    /// Polyport.
    #[default]
    Polyport,
    /// The provider that is asked first.
    Provider,
    /// How that provider is spoken to.
    Adapter,
}

/// Abilities the operator corrects.
#[derive(Clone, Debug)]
pub struct CapabilityOverride {
    /// Only for this provider.
    pub provider: Option<Text>,
    /// For these of its models.
    pub model: Pattern,
    /// Members of [`Capabilities`] with their new values.
    pub values: serde_json::Map<String, serde_json::Value>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address.
    pub host: IpAddr,
    /// Port; 0 lets the system choose.
    pub port: u16,
    /// Where else.
    pub also: Vec<SocketAddr>,
}

impl Listen {
    /// All addresses, the first one first.
    pub fn all(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.address()).chain(self.also.iter().copied())
    }

    /// Whether other machines reach it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.all().any(|address| !address.ip().is_loopback())
    }

    /// The same on this machine only.
    #[must_use]
    pub fn on_this_machine(&self) -> Self {
        let here = |host: IpAddr| match host {
            host if host.is_loopback() => host,
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let also = self.also.iter().map(|address| SocketAddr::new(here(address.ip()), address.port())).collect();
        Self { host: here(self.host), port: self.port, also }
    }

    /// Both in one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self { host: IpAddr::V4(Ipv4Addr::LOCALHOST), port: DEFAULT_PORT, also: Vec::new() }
    }
}

/// Bounds that every instance has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all request headers.
    pub header_bytes: usize,
    /// Number of request headers.
    pub header_count: usize,
    /// Time to send all headers.
    pub header_time: Duration,
    /// Time to send the body.
    pub body_time: Duration,
    /// Bytes a second that a body must bring, measured over ten seconds.
    pub body_rate: usize,
    /// Bytes of a request body, before and after decompression.
    pub request_body_bytes: usize,
    /// The same for Gemini, whose clients put media into requests.
    pub inline_media_bytes: usize,
    /// Bytes of a file on its way to a provider, and of a form that holds files.
    pub upload_bytes: usize,
    /// Time to send it.
    pub upload_time: Duration,
    /// A compressed body may grow by this factor.
    pub expansion: usize,
    /// Objects and arrays inside one another in a request body.
    pub json_depth: usize,
    /// Bytes of memory the process may hold; `None` for what the machine or its control group has.
    pub memory_bytes: Option<u64>,
    /// Bodies above this are parsed off the async workers.
    pub parse_inline_bytes: usize,
    /// Bytes of one event of a provider's stream, and of one line.
    pub event_bytes: usize,
    /// Bytes of a provider's whole answer.
    pub answer_bytes: usize,
    /// A comment is sent to a streaming client after this much silence.
    pub keep_alive: Duration,
    /// A streaming client gets its 200 after this time even if no provider has begun to answer. Proxies between us and the client lose
    /// patience; until then errors are real HTTP statuses.
    pub commit_after: Duration,
    /// A client that takes no bytes for this long is given up.
    pub client_write: Duration,
    /// Requests in flight at once; more wait.
    pub requests: usize,
    /// How many may wait, for the gateway and for each provider; more are refused.
    pub queue: usize,
    /// How long they may wait.
    pub queue_time: Duration,
    /// The same for one client key.
    pub requests_per_key: usize,
    /// Connections at once; `None` derives it from the files the process may open.
    pub connections: Option<usize>,
    /// Connections from one address at once.
    pub connections_per_address: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Time for open streams to end when the process is asked to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 << 10,
            header_count: 100,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(60),
            body_rate: 1 << 10,
            request_body_bytes: 32 << 20,
            inline_media_bytes: 100 << 20,
            upload_bytes: 512 << 20,
            upload_time: Duration::from_secs(30 * 60),
            expansion: 100,
            json_depth: polyport_protocol::json::MAX_DEPTH,
            memory_bytes: None,
            parse_inline_bytes: 256 << 10,
            event_bytes: 16 << 20,
            answer_bytes: 64 << 20,
            keep_alive: Duration::from_secs(15),
            commit_after: Duration::from_secs(10),
            client_write: Duration::from_secs(60),
            requests: 4096,
            queue: 1024,
            queue_time: Duration::from_secs(10),
            requests_per_key: 64,
            connections: None,
            connections_per_address: 256,
            streams: 100,
            drain: Duration::from_secs(30),
        }
    }
}

/// Which response headers clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeaders {
    /// `x-polyport-loss`.
    pub loss: bool,
    /// `x-polyport-target`.
    pub target: bool,
    /// `x-polyport-attempts`.
    pub attempts: bool,
}

impl Default for ResponseHeaders {
    fn default() -> Self {
        Self { loss: true, target: true, attempts: true }
    }
}

/// The model name answers carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModelEcho {
    /// The one the client asked for.
    #[default]
    Requested,
    /// The one the provider reports.
    Provider,
}

/// What happens when something cannot be carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossPolicy {
    /// Missing content is refused, everything else is reported in a header.
    #[default]
    Lenient,
    /// Any visible loss is refused before a provider is asked.
    Strict,
    /// As lenient, without the header.
    Off,
}

/// What is logged and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Filter in the language of `RUST_LOG`; empty is `info`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
    /// Where they go instead of standard error.
    pub file: Option<LogFile>,
}

/// A file for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its name.
    pub path: PathBuf,
    /// Bytes at which it is put aside; `None` for never.
    pub rotate_bytes: Option<u64>,
    /// How many that were put aside are kept.
    pub keep: usize,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Models whose abilities are remembered; names come from clients, so there is a bound.
const CACHED_CAPABILITIES: usize = 4096;

impl Config {
    /// A configuration with default bounds that needs no key: the start of every other, and enough for tests. Signatures sealed with
    /// its carrier key are of no use after a restart.
    #[must_use]
    pub fn new(providers: Vec<Provider>, catalog: Catalog) -> Self {
        Self {
            listen: Listen::default(),
            access: Access::open(),
            data: PathBuf::from("data"),
            store: StoreSettings::default(),
            provider_order: providers.iter().map(|provider| provider.name.clone()).collect(),
            providers: providers.into_iter().map(|provider| (provider.name.clone(), Arc::new(provider))).collect(),
            disabled: Vec::new(),
            declared: Declared::default(),
            tree: Arc::new(tree::Node::map(Place::Default)),
            catalog,
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            budget: BudgetPolicy::default(),
            hedge: None,
            sticky: true,
            stream_by_default: false,
            owned_by: OwnedBy::default(),
            headers: ResponseHeaders::default(),
            model_echo: ModelEcho::default(),
            expose_reasoning: true,
            losses: LossPolicy::default(),
            carrier: Arc::new(CarrierKey::new(rand::random())),
            log: Log::default(),
            metrics: MetricsAccess::default(),
            traces: None,
            money: MoneySettings::default(),
            notifications: Notifications::default(),
            quotas: Vec::new(),
            capture_bytes: money::CAPTURE_BYTES,
            keep: Keep::default(),
            addresses: Addresses::default(),
            disconnect: Disconnect::default(),
            capability_overrides: Vec::new(),
            capability_cache: RwLock::default(),
        }
    }

    /// The provider of that name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// Providers in the order of the configuration.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.provider_order.iter().filter_map(|name| self.providers.get(name))
    }

    /// What a provider's model can do: the shipped table, corrected by the operator.
    #[must_use]
    pub fn capabilities(&self, provider: &Provider, model: &str) -> Arc<Capabilities> {
        let key = (provider.name.clone(), Text::from(model));
        if let Some(known) = self.capability_cache.read().get(&key) {
            return Arc::clone(known);
        }
        let found = Arc::new(self.look_up_capabilities(provider, model));
        let mut cache = self.capability_cache.write();
        if cache.len() >= CACHED_CAPABILITIES {
            cache.clear();
        }
        cache.insert(key, Arc::clone(&found));
        found
    }

    fn look_up_capabilities(&self, provider: &Provider, model: &str) -> Capabilities {
        let mut capabilities = Capabilities::of_model(provider.protocol(), Some(&provider.table), model);
        for correction in &self.capability_overrides {
            let fits = correction.provider.as_ref().is_none_or(|name| *name == provider.name);
            if fits && correction.model.matches(model) {
                // The values were checked when the configuration was read.
                capabilities = capabilities.with(&correction.values).unwrap_or(capabilities);
            }
        }
        match provider.custom() {
            Some(custom) => custom.abilities(capabilities),
            None => capabilities,
        }
    }
}

#[cfg(test)]
mod tests;
