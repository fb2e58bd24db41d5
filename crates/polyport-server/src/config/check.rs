//! From what was written to a [`Config`](super::Config): every mistake is noted, none stops the checking.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use polyport_provider::{Network, Reach};
use polyport_routing::Pattern;
use polyport_types::{Secret, Text};

use super::access::{Access, KeyHash, Sessions};
use super::definitions::Added;
use super::env::Environment;
use super::file::{self, File};
use super::problem::{Place, Problem};
use super::secret::{self, Missing};
use super::tree::{Node, Step, show_path};
use super::units::{Several, Size, Span};
use super::{
    CapabilityOverride, DEFAULT_PORT, Limits, Listen, Log, LogFile, LogFormat, LossPolicy, ModelEcho, OwnedBy,
    ResponseHeaders, Timeouts,
};

/// A client key shorter than this can be guessed; on loopback that is the operator's own business.
const SHORTEST_PUBLIC_KEY: usize = 16;

/// What the checking of all sections shares.
pub(super) struct Context<'a> {
    pub(super) tree: &'a Node,
    pub(super) environment: &'a Environment,
    pub(super) problems: &'a mut Vec<Problem>,
    /// Files whose content went into the configuration.
    pub(super) files: Vec<PathBuf>,
    /// Credentials of the database.
    pub(super) added: Arc<[Added]>,
}

/// A step of a path, from a key or an index.
pub(super) trait IntoStep {
    fn step(self) -> Step;
}

impl IntoStep for &str {
    fn step(self) -> Step {
        Step::Key(self.to_owned())
    }
}

impl IntoStep for usize {
    fn step(self) -> Step {
        Step::Index(self)
    }
}

/// Writes a path: `steps!["providers", name, "keys", 0]`.
macro_rules! steps {
    ($($step:expr),* $(,)?) => { Vec::from([$($crate::config::check::IntoStep::step($step)),*]) };
}
pub(super) use steps;

impl Context<'_> {
    pub(super) fn place(&self, path: &[Step]) -> Place {
        self.tree.place_of(path)
    }

    /// Notes a mistake at `path`.
    pub(super) fn error(&mut self, path: &[Step], message: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem::error(self.place(path), message).at(show_path(path)).remedy(remedy);
        self.problems.push(problem);
    }

    /// Notes a warning at `path`.
    pub(super) fn warning(&mut self, path: &[Step], message: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem::warning(self.place(path), message).at(show_path(path)).remedy(remedy);
        self.problems.push(problem);
    }

    /// Follows `env:` and `file:`, remembering the file.
    pub(super) fn secret(&mut self, text: &str) -> Result<secret::Found, Missing> {
        let found = secret::find(text, self.environment)?;
        self.files.extend(found.file.clone());
        Ok(found)
    }
}

pub(super) fn listen(file: &File, context: &mut Context<'_>) -> Listen {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let host = match file.server.host.as_deref().map(host_of) {
        None => here,
        Some(Some(host)) => host,
        Some(None) => {
            let is_path = file.server.host.as_deref().is_some_and(|host| host.contains('/'));
            let (message, remedy) = match is_path {
                true => (
                    "clients are not answered at a Unix socket",
                    "listen on 127.0.0.1, and let a proxy open the socket; commands of this machine have one in the data folder",
                ),
                false => (
                    "this is not an IP address",
                    "write an IP address: 127.0.0.1 for this machine only, 0.0.0.0 or :: for all networks",
                ),
            };
            context.error(&steps!["server", "host"], message, remedy);
            here
        }
    };
    let port = file.server.port.unwrap_or(DEFAULT_PORT);
    let mut also = Vec::new();
    for (at, text) in file.server.also.0.iter().enumerate() {
        let text = text.trim();
        let address = match text.parse::<u16>() {
            Ok(port) => Some(SocketAddr::new(host, port)),
            Err(_) => {
                text.rsplit_once(':').and_then(|(host, port)| Some(SocketAddr::new(host_of(host)?, port.parse().ok()?)))
            }
        };
        let path = steps!["server", "also", at];
        match address {
            Some(address) if address.port() != 0 && (address == (host, port).into() || also.contains(&address)) => {
                context.error(&path, "it listens there already", "give another port");
            }
            Some(address) => also.push(address),
            None => context.error(&path, "this is neither a port nor ADDRESS:PORT", "write 3000 or 127.0.0.1:3000"),
        }
    }
    Listen { host, port, also }
}

/// The address that `text` is, if it is one.
fn host_of(text: &str) -> Option<IpAddr> {
    if text == "localhost" {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

pub(super) fn access(file: &File, listen: &mut Listen, context: &mut Context<'_>) -> Access {
    let care = match (file.server.retreat, listen.is_public()) {
        (Some(true), _) => Care::Retreat,
        (_, true) if file.access.weak_keys == Some(true) => Care::Forced,
        (_, true) => Care::Network,
        (_, false) => Care::Machine,
    };
    let public = listen.is_public();
    let usual = match file.access.keys.0.is_empty() {
        true => several_keys(context),
        false => Vec::new(),
    };
    let declared = if usual.is_empty() { &file.access.keys.0 } else { &usual };
    let clients = keys(declared, "access", "keys", Some("API_TOKEN"), care, context);
    let admins = keys(&file.access.admin_keys.0, "access", "admin_keys", Some("ADMIN_TOKEN"), care, context);
    let mut access = Access::default();
    access.sessions = sessions(file, context);
    access.oidc = super::oidc::check(file, context).map(Arc::new);
    access.first_password = context.environment.get("ADMIN_PASSWORD").map(|text| Secret::new(text.to_owned()));
    access.trusted_proxies = networks(file.access.trusted_proxies.as_ref(), "trusted_proxies", context);
    for (name, hash) in clients.valid {
        access = access.with_key(name, hash);
    }
    for (name, hash) in admins.valid {
        if access.holds(hash) {
            let message = format!("`{name}` is also a key of clients, who would rule the gateway with it");
            context.error(&steps!["access", "admin_keys"], message, "make another one: openssl rand -hex 24");
        }
        access = access.with_admin_key(name, hash);
    }
    // Beyond this machine, operators may also give out keys through the admin API.
    access.open = file.access.open.unwrap_or(!(clients.given || public && admins.given));
    access.open_was_chosen = file.access.open.is_some();
    access.fit_for_networks = !access.open && !clients.weak && !admins.weak;
    let given = file.access.open.is_some();
    let path = if given && access.open { steps!["access", "open"] } else { steps!["server", "host"] };
    if public && care == Care::Retreat && !access.fit_for_networks {
        *listen = listen.on_this_machine();
        let why = if access.open { "no key is needed" } else { "a key of it is short or that of an example" };
        let message = format!("only this machine reaches the gateway, at {}, because {why}", listen.host);
        context.warning(&path, message, "make longer keys to listen beyond it: openssl rand -hex 24");
    } else if public && access.open {
        let message =
            format!("listening on {} without keys lets everybody on the network use your providers", listen.host);
        context.error(&path, message, "set `access: { keys: [\"env:POLYPORT_API_KEY\"] }`, or listen on 127.0.0.1");
    }
    if !access.open && !clients.given && !admins.given {
        let remedy =
            "set API_TOKEN or add one to `access.keys`, unless they are made with `polyport keys add` or the admin API";
        context.warning(&steps!["access", "open"], "access is closed, and no key stands here", remedy);
    }
    access
}

/// How good keys have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// Others reach the gateway.
    Network,
    /// Others reach the gateway, and the operator takes what comes of it.
    Forced,
    /// Only this machine does.
    Machine,
    /// Only this machine does where they are not good enough for networks.
    Retreat,
}

/// How long people stay signed in.
fn sessions(file: &File, context: &mut Context<'_>) -> Sessions {
    let (given, usual) = (&file.access, Sessions::default());
    let mut time = |path: &[Step], span: Option<Span>, usual: Duration| {
        let time = span.map_or(usual, |span| span.0);
        if time < Duration::from_secs(60) {
            context.error(path, "this is shorter than a minute", "leave it out for the default");
        }
        time
    };
    let idle = time(&steps!["access", "sessions", "idle"], given.sessions.idle, usual.idle);
    let longest = time(&steps!["access", "sessions", "longest"], given.sessions.longest, usual.longest);
    Sessions { idle, longest, audit: time(&steps!["access", "audit"], given.audit, usual.audit) }
}

/// Which addresses providers of the database may have.
pub(super) fn reach(file: &File, listen: &Listen, context: &mut Context<'_>) -> Reach {
    let Some(given) = &file.access.networks else {
        // Whoever gets here is on this machine already.
        let own: &[Network] = if listen.is_public() { &[] } else { &Network::LOOPBACK };
        return Reach::Internet(own.into());
    };
    Reach::Internet(networks(Some(given), "networks", context).into())
}

/// The networks of a list under `access`.
fn networks(given: Option<&Several<String>>, list: &str, context: &mut Context<'_>) -> Vec<Network> {
    let mut networks = Vec::new();
    for (at, text) in given.iter().flat_map(|given| &given.0).enumerate() {
        match text.parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(error) => context.error(&steps!["access", list, at], error.to_string(), ""),
        }
    }
    networks
}

/// The keys of the variable that holds several, as a JSON list.
fn several_keys(context: &mut Context<'_>) -> Vec<file::Key> {
    const VARIABLE: &str = "API_KEYS";
    let Some(text) = context.environment.get(VARIABLE) else { return Vec::new() };
    let Ok(keys) = serde_json::from_str::<Vec<String>>(text) else {
        let message = format!("env:{VARIABLE} is no JSON list of texts");
        context.error(&steps!["access", "keys"], message, "write it like [\"key-1\", \"key-2\"]");
        return Vec::new();
    };
    let named = |(at, key)| file::Key { name: Some(format!("env:{VARIABLE}[{at}]")), key };
    keys.into_iter().enumerate().map(named).collect()
}

/// What a list of keys comes to.
pub(super) struct Keys {
    /// There was any.
    pub(super) given: bool,
    /// One of them can be guessed.
    pub(super) weak: bool,
    pub(super) valid: Vec<(Text, KeyHash)>,
}

/// Checks a list of keys of a section. Without any, `variable` holds one if it is set.
pub(super) fn keys(
    given: &[file::Key],
    section: &str,
    list: &str,
    variable: Option<&str>,
    care: Care,
    context: &mut Context<'_>,
) -> Keys {
    let variable = variable.filter(|variable| context.environment.get(variable).is_some());
    let usual = variable.map(|variable| file::Key { name: None, key: format!("env:{variable}") });
    let given = if given.is_empty() { usual.as_slice() } else { given };
    let mut valid: Vec<(Text, KeyHash)> = Vec::new();
    let mut weak = false;
    for (at, key) in given.iter().enumerate() {
        // A lone key stands directly under its list.
        let path = steps![section, list, at];
        let found = match context.secret(&key.key) {
            Ok(found) => found,
            Err(missing) => {
                context.error(&path, missing.to_string(), "set it, or remove the key");
                continue;
            }
        };
        let text = found.secret.expose();
        let this = found.origin.clone().unwrap_or_else(|| "this key".to_owned());
        let short = text.len() < SHORTEST_PUBLIC_KEY;
        let sample = secret::is_sample(text);
        weak |= short || sample;
        if sample {
            let (message, remedy) =
                (format!("{this} is a sample that everybody knows"), "make one: openssl rand -hex 24");
            if !matches!(care, Care::Retreat | Care::Forced) {
                context.error(&path, message, remedy);
                continue;
            }
            context.warning(&path, message, remedy);
        }
        if care == Care::Network && short {
            let message = format!("{this} is shorter than {SHORTEST_PUBLIC_KEY} characters");
            context.error(&path, message, "make a longer one: openssl rand -hex 24");
            continue;
        }
        if care == Care::Forced && short && !sample {
            let message = format!("{this} is shorter than {SHORTEST_PUBLIC_KEY} characters and can be guessed");
            context.warning(&path, message, "make a longer one: openssl rand -hex 24");
        }
        let name = key.name.clone().or(found.origin).unwrap_or_else(|| format!("key {}", at + 1));
        let hash = KeyHash::of(text);
        if valid.iter().any(|(_, known)| *known == hash) {
            context.error(&path, "the same key stands here twice", "give every client its own");
            continue;
        }
        // The name tells whose stored answers they are.
        if name.is_empty() || valid.iter().any(|(known, _)| **known == *name) {
            context.error(
                &path,
                format!("another key is named `{name}`, or the name is empty"),
                "give it a name of its own",
            );
            continue;
        }
        valid.push((name.into(), hash));
    }
    Keys { given: !given.is_empty(), weak, valid }
}

pub(super) fn limits(file: &File, context: &mut Context<'_>) -> (Limits, Timeouts, Duration) {
    let given = &file.limits;
    let default = Limits::default();
    let mut positive = |name: &str, zero: bool| {
        if zero {
            context.error(&steps!["limits", name], "zero would refuse everything", "leave it out for the default");
        }
    };
    for (name, value) in [
        ("header_count", given.header_count),
        ("body_rate", given.body_rate.map(|size| size.0)),
        ("expansion", given.expansion),
        ("streams", given.streams.map(|streams| streams as usize)),
        ("requests", given.requests),
        ("json_depth", given.json_depth),
        ("memory", given.memory.map(|size| size.0)),
        ("requests_per_key", given.requests_per_key),
        ("connections", given.connections),
        ("connections_per_address", given.connections_per_address),
        ("request_body", given.request_body.map(|size| size.0)),
        ("inline_media", given.inline_media.map(|size| size.0)),
        ("upload", given.upload.map(|size| size.0)),
        ("headers", given.headers.map(|size| size.0)),
        ("event", given.event.map(|size| size.0)),
        ("answer", given.answer.map(|size| size.0)),
    ] {
        positive(name, value == Some(0));
    }
    for (name, value) in [
        ("header_time", given.header_time),
        ("body_time", given.body_time),
        ("upload_time", given.upload_time),
        ("connect", given.connect),
        ("first_byte", given.first_byte),
        ("first_byte_reasoning", given.first_byte_reasoning),
        ("idle", given.idle),
        ("total", given.total),
        ("keep_alive", given.keep_alive),
        ("commit_after", given.commit_after),
        ("client_write", given.client_write),
        ("queue_time", given.queue_time),
    ] {
        positive(name, value == Some(Span(Duration::ZERO)));
    }
    if given.json_depth.is_some_and(|depth| depth > default.json_depth) {
        let message = format!("bodies nested deeper than {} are never read", default.json_depth);
        context.error(&steps!["limits", "json_depth"], message, "give a smaller number");
    }
    let size = |given: Option<Size>, default: usize| given.map_or(default, |size| size.0);
    let time = |given: Option<Span>, default: Duration| given.map_or(default, |span| span.0);
    let limits = Limits {
        header_bytes: size(given.headers, default.header_bytes),
        header_count: given.header_count.unwrap_or(default.header_count),
        header_time: time(given.header_time, default.header_time),
        body_time: time(given.body_time, default.body_time),
        body_rate: size(given.body_rate, default.body_rate),
        request_body_bytes: size(given.request_body, default.request_body_bytes),
        inline_media_bytes: size(given.inline_media, default.inline_media_bytes),
        upload_bytes: size(given.upload, default.upload_bytes),
        upload_time: time(given.upload_time, default.upload_time),
        expansion: given.expansion.unwrap_or(default.expansion),
        json_depth: given.json_depth.unwrap_or(default.json_depth),
        memory_bytes: given.memory.map(|size| size.0 as u64),
        parse_inline_bytes: default.parse_inline_bytes,
        event_bytes: size(given.event, default.event_bytes),
        answer_bytes: size(given.answer, default.answer_bytes),
        keep_alive: time(given.keep_alive, default.keep_alive),
        commit_after: time(given.commit_after, default.commit_after),
        client_write: time(given.client_write, default.client_write),
        requests: given.requests.unwrap_or(default.requests),
        queue: given.queue.unwrap_or(default.queue),
        queue_time: time(given.queue_time, default.queue_time),
        requests_per_key: given.requests_per_key.unwrap_or(default.requests_per_key),
        connections: given.connections.or(default.connections),
        connections_per_address: given.connections_per_address.unwrap_or(default.connections_per_address),
        streams: given.streams.unwrap_or(default.streams),
        drain: time(given.drain, default.drain),
    };
    let waits = Timeouts::default();
    let timeouts = Timeouts {
        first_byte: time(given.first_byte, waits.first_byte),
        // Whoever names one limit means it for every model.
        first_byte_reasoning: time(given.first_byte_reasoning.or(given.first_byte), waits.first_byte_reasoning),
        idle: time(given.idle, waits.idle),
        total: time(given.total, waits.total),
    };
    (limits, timeouts, time(given.connect, Duration::from_secs(10)))
}

pub(super) fn headers(file: &File) -> ResponseHeaders {
    let given = &file.server.response_headers;
    let default = ResponseHeaders::default();
    ResponseHeaders {
        loss: given.loss.unwrap_or(default.loss) && !matches!(file.translation.losses, Some(file::Losses::Off)),
        target: given.target.unwrap_or(default.target),
        attempts: given.attempts.unwrap_or(default.attempts),
    }
}

pub(super) fn losses(file: &File) -> LossPolicy {
    match file.translation.losses {
        None | Some(file::Losses::Lenient) => LossPolicy::Lenient,
        Some(file::Losses::Strict) => LossPolicy::Strict,
        Some(file::Losses::Off) => LossPolicy::Off,
    }
}

pub(super) fn model_echo(file: &File) -> ModelEcho {
    match file.translation.model_echo {
        None | Some(file::Echo::Requested) => ModelEcho::Requested,
        Some(file::Echo::Provider) => ModelEcho::Provider,
    }
}

pub(super) fn owned_by(file: &File) -> OwnedBy {
    match file.server.owned_by {
        None | Some(file::OwnedBy::Polyport) => OwnedBy::Polyport,
        Some(file::OwnedBy::Provider) => OwnedBy::Provider,
        Some(file::OwnedBy::Adapter) => OwnedBy::Adapter,
    }
}

pub(super) fn log(file: &File, data: &Path, environment: &Environment, context: &mut Context<'_>) -> Log {
    let usable = |text: &str| {
        // A lone word that is no level would be taken for the name of a module, and everything else would be silent.
        let lone = text.chars().all(|c| c.is_ascii_alphabetic());
        let level = LOG_LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text));
        (level || !lone) && tracing_subscriber::EnvFilter::try_new(text).is_ok()
    };
    let levels = format!("use one of {} or a filter such as `info,hyper=debug`", LOG_LEVELS.join(", "));
    let of_file = file.log.level.as_deref();
    if of_file.is_some_and(|text| !usable(text)) {
        context.error(&steps!["log", "level"], "this is neither a level nor a filter", levels.as_str());
    }
    let of_environment = environment.get("RUST_LOG").filter(|text| {
        let usable = usable(text);
        if !usable {
            let place = Place::Env("RUST_LOG".to_owned());
            context
                .problems
                .push(Problem::warning(place, "this is neither a level nor a filter").remedy(levels.as_str()));
        }
        usable
    });
    Log {
        filter: of_environment.or(of_file).unwrap_or("info").to_owned(),
        format: match file.log.format {
            None | Some(file::Format::Text) => LogFormat::Text,
            Some(file::Format::Json) => LogFormat::Json,
        },
        file: file.log.file.as_deref().and_then(|name| {
            if name.trim().is_empty() {
                context.error(&steps!["log", "file"], "the name is empty", "leave it out for standard error");
                return None;
            }
            if file.log.keep == Some(0) {
                context.error(&steps!["log", "keep"], "one file at least is kept", "leave it out for the default");
            }
            let rotate = file.log.rotate.map_or(64 << 20, |size| size.0 as u64);
            let rotate_bytes = Some(rotate).filter(|&bytes| bytes > 0);
            Some(LogFile { path: data.join(name), rotate_bytes, keep: file.log.keep.unwrap_or(5) })
        }),
    }
}

/// The levels of log lines.
const LOG_LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Corrections of the ability table. A key is a model name or pattern, with a provider before the first slash if one of that name
/// exists.
pub(super) fn capabilities(file: &File, context: &mut Context<'_>) -> Vec<CapabilityOverride> {
    let known = serde_json::to_value(polyport_protocol::Capabilities::default()).unwrap_or_default();
    let mut corrections = Vec::new();
    for (name, abilities) in &file.capabilities.0 {
        let mut values = serde_json::Map::new();
        for (ability, value) in &abilities.0 {
            let path = steps!["capabilities", name.as_str(), ability.as_str()];
            match one_field::<polyport_protocol::Capabilities>(&known, ability, value) {
                Ok(()) => drop(values.insert(ability.clone(), value.clone())),
                Err(problem) => context.error(&path, problem.message, problem.remedy),
            }
        }
        let split = name.split_once('/').filter(|(head, _)| file.providers.0.iter().any(|(known, _)| known == head));
        corrections.push(CapabilityOverride {
            provider: split.map(|(head, _)| Text::from(head)),
            model: Pattern::new(split.map_or(name.as_str(), |(_, rest)| rest)),
            values,
        });
    }
    corrections
}

/// What is wrong with one field of a table.
pub(super) struct FieldProblem {
    pub(super) message: String,
    pub(super) remedy: String,
}

/// Checks one field of an overridable table against its type. `known` is the table's default, as JSON.
pub(super) fn one_field<T: serde::de::DeserializeOwned>(
    known: &serde_json::Value,
    name: &str,
    value: &serde_json::Value,
) -> Result<(), FieldProblem> {
    let names: Vec<&str> = known.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if !names.contains(&name) {
        let remedy = super::read::suggestion(name, &names, "known are");
        return Err(FieldProblem { message: format!("unknown key `{name}`"), remedy });
    }
    let single = serde_json::Map::from_iter([(name.to_owned(), value.clone())]);
    serde_json::from_value::<T>(single.into())
        .map(drop)
        .map_err(|error| FieldProblem { message: error.to_string(), remedy: String::new() })
}
