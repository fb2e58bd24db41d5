//! Where a configuration comes from, and reading it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use polyport_protocol::CarrierKey;
use polyport_types::Text;

use super::check::{self, Context, steps};
use super::definitions::{Declared, Definitions, switch_of_provider};
use super::discover::Found;
use super::env::Environment;
use super::file::File;

use super::problem::{Place, Problem, Problems, Weight};
use super::profile::{self, Layer};
use super::provider::Provider;
use super::services::{self, Checked, Defaults};
use super::tree::{self, Node};
use super::{Config, data, models, money, notifications, read, resilience, store, telemetry};

/// A larger file is no configuration.
pub(super) const LARGEST_FILE: u64 = 8 << 20;

/// Names tried in the working folder when none is given.
const USUAL_NAMES: [&str; 2] = ["polyport.yaml", "polyport.yml"];

/// Everything a configuration is made of.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file; `None` if there is none.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub environment: Environment,
    /// What the command line says.
    pub arguments: Arguments,
}

/// Settings of the command line; they win over all others.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// `--host`.
    pub host: Option<String>,
    /// `--port`.
    pub port: Option<u16>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--profile`.
    pub profile: Option<String>,
    /// What of it is started, where a profile has several.
    pub start: Start,
}

/// What of a gateway is started, where its profile has addresses for several things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The endpoints of clients.
    #[default]
    Api,
    /// The pages of operators.
    Web,
    /// Both.
    All,
}

impl Start {
    /// The flag of the command line.
    pub(super) fn flag(self) -> Option<&'static str> {
        match self {
            Self::Api => None,
            Self::Web => Some("--web"),
            Self::All => Some("--all"),
        }
    }
}

/// A configuration that was read.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is not as it should be, but did not stop it.
    pub warnings: Problems,
    /// Files whose change means another configuration.
    pub files: Vec<PathBuf>,
    /// Local servers are to be looked for.
    pub discover: bool,
    /// What was written, to be read again with other definitions of the database.
    pub(super) written: Written,
}

/// The profile and the configuration file over it, as they are written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    tree: Node,
    profile: Layer,
}

impl Written {
    /// Files of other gateways that were read.
    pub(super) fn foreign(&self) -> &[PathBuf] {
        &self.profile.found
    }
}

impl Default for Written {
    fn default() -> Self {
        Self { tree: Node::map(Place::Default), profile: Layer::default() }
    }
}

/// Whether reading may leave traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve: makes the data folder and the secrets in it.
    Serve,
    /// To look at: writes nothing.
    Inspect,
}

impl Source {
    /// The file given, that of `POLYPORT_CONFIG`, or a usual one of the working folder.
    #[must_use]
    pub fn new(file: Option<PathBuf>, environment: Environment, arguments: Arguments) -> Self {
        let named = file.or_else(|| environment.get("POLYPORT_CONFIG").map(PathBuf::from));
        let file = named
            .or_else(|| USUAL_NAMES.iter().find(|name| environment.folder.join(name).is_file()).map(PathBuf::from));
        Self { file, environment, arguments }
    }

    /// The profile, if one is asked for.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        self.arguments.profile.as_deref().or_else(|| self.environment.get(profile::VARIABLE))
    }

    /// A text instead of a file, for tests and tools.
    ///
    /// # Errors
    /// All problems, if one of them is an error.
    pub fn load_text(&self, text: &str, found: &[Found], purpose: Purpose) -> Result<Loaded, Problems> {
        let name: Arc<Path> = self.file.clone().unwrap_or_else(|| PathBuf::from("polyport.yaml")).into();
        match tree::parse(text, &name) {
            Ok(tree) => self.load_tree(&self.over_profile(tree)?, found, &Arc::default(), purpose),
            Err(problem) => Err(Problems(vec![problem])),
        }
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// All problems, if one of them is an error.
    pub fn load(&self, found: &[Found], purpose: Purpose) -> Result<Loaded, Problems> {
        self.load_tree(&self.read()?, found, &Arc::default(), purpose)
    }

    /// What is written in files.
    pub(super) fn read(&self) -> Result<Written, Problems> {
        self.over_profile(self.read_file()?)
    }

    fn over_profile(&self, file: Node) -> Result<Written, Problems> {
        let profile = Layer::read(&self.environment, &self.arguments)?;
        let mut tree = profile.tree.clone();
        tree.lay(file);
        Ok(Written { tree, profile })
    }

    /// The configuration file as it is written.
    fn read_file(&self) -> Result<Node, Problems> {
        let Some(file) = &self.file else {
            return Ok(Node::map(Place::Default));
        };
        let name: Arc<Path> = file.as_path().into();
        tree::parse(&self.read_text()?, &name).map_err(|problem| Problems(vec![problem]))
    }

    /// The text of the configuration file; nothing where there is none.
    pub(super) fn read_text(&self) -> Result<String, Problems> {
        let Some(file) = &self.file else { return Ok(String::new()) };
        let name: Arc<Path> = file.as_path().into();
        let refused = |message: String| {
            let problem = Problem::error(Place::file(&name, 1, 1), message);
            Err(Problems(vec![problem.remedy("give another one with --config, or run without one")]))
        };
        let path = self.environment.folder.join(file);
        match std::fs::metadata(&path) {
            Ok(about) if about.len() > LARGEST_FILE => return refused("the file is larger than 8 MiB".to_owned()),
            Ok(about) if about.is_dir() => return refused("this is a folder".to_owned()),
            Ok(_) => {}
            Err(error) => return refused(format!("the file cannot be read: {error}")),
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return refused(format!("the file cannot be read: {error}")),
        };
        match str::from_utf8(&bytes) {
            // Some editors begin a text with a mark of its encoding.
            Ok(text) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
            Err(error) => {
                let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = good.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
                let problem = Problem::error(Place::file(&name, line, 1), "this line is not UTF-8 text");
                Err(Problems(vec![problem.remedy("save the file as UTF-8")]))
            }
        }
    }

    /// Checks the file, which stands for itself, and then together with what the database declares. Of that nothing refuses the whole.
    pub(super) fn load_tree(
        &self,
        written: &Written,
        found: &[Found],
        definitions: &Arc<Definitions>,
        purpose: Purpose,
    ) -> Result<Loaded, Problems> {
        let mut problems = written.profile.notes.clone();
        let mut tree = written.tree.clone();
        self.environment.lay_over(&mut tree, &mut problems);
        self.lay_arguments(&mut tree);
        problems.extend(written.profile.unmet(&tree));
        let alone = |declared| self.check(tree.clone(), problems.clone(), found, declared, purpose);
        let name = match (&self.file, self.profile()) {
            (Some(file), _) => file.display().to_string(),
            (None, Some(profile)) => format!("the profile {profile}"),
            (None, None) => "the environment".to_owned(),
        };
        let mut loaded = alone(Declared { file: Some(name.as_str().into()), ..Declared::default() })?;
        if !definitions.is_empty() {
            let mut declared = Declared::new(definitions, &tree, &name);
            // Each round takes one out at least.
            loaded = loop {
                let problems = match alone(declared.clone()) {
                    Ok(loaded) => break loaded,
                    Err(Problems(problems)) => problems,
                };
                let first = problems.iter().find(|problem| problem.weight == Weight::Error).cloned();
                if !declared.take_out(problems)
                    && let Some(reason) = first
                    && !declared.refuse_settings(&reason)
                {
                    tracing::error!("with what the database declares, the configuration has a mistake: {reason}");
                    declared.refuse_all(&reason);
                }
            };
        }
        loaded.files.extend(written.profile.files.iter().cloned());
        loaded.written = written.clone();
        Ok(loaded)
    }

    fn check(
        &self,
        mut tree: Node,
        mut problems: Vec<Problem>,
        found: &[Found],
        declared: Declared,
        purpose: Purpose,
    ) -> Result<Loaded, Problems> {
        // Who adds a provider to those that were found still has these.
        let finds = tree.get("providers").is_none_or(|providers| providers.is_null() || providers.is_empty());
        declared.lay_under(&mut tree);
        declared.lay_over(&mut tree);
        let mut file: File = read::read(&mut tree, &mut problems);
        for (name, provider) in &mut file.providers.0 {
            let switch = declared.definitions.switches.get(&switch_of_provider(name)).copied();
            provider.enabled = switch.or(provider.enabled);
        }
        let added = declared.credentials(&mut tree).into();
        // References of the file are meant relative to its folder.
        let environment = self.file_environment();
        let mut context =
            Context { tree: &tree, environment: &environment, problems: &mut problems, files: Vec::new(), added };
        let discover = file.discover.unwrap_or(finds);
        let mut config = self.config(&file, discover.then_some(found), declared, &mut context);
        let mut files = std::mem::take(&mut context.files);
        let refused = context.problems.iter().any(|problem| problem.weight == Weight::Error);
        if purpose == Purpose::Serve && !refused {
            match data::prepare(&config.data).and_then(|()| data::carrier_key(&config.data)) {
                Ok(key) => config.carrier = Arc::new(key),
                Err(error) => {
                    let message = format!("the folder {} cannot be used: {error}", config.data.display());
                    context.error(&steps!["data"], message, "make it writable, or name another with --data");
                }
            }
        }
        let problems = Problems(problems);
        if problems.fatal() {
            return Err(problems);
        }
        files.extend(self.file.as_ref().map(|file| self.environment.folder.join(file)));
        config.tree = Arc::new(tree);
        Ok(Loaded { config, warnings: problems, files, discover, written: Written::default() })
    }

    fn lay_arguments(&self, tree: &mut Node) {
        let mut set = |keys: &[&str], value: Option<String>, name: &str| {
            if let Some(value) = value {
                let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
                tree.set(&keys, Node::text(value, Place::Argument(name.to_owned())));
            }
        };
        set(&["server", "host"], self.arguments.host.clone(), "--host");
        set(&["server", "port"], self.arguments.port.map(|port| port.to_string()), "--port");
        let data = self.arguments.data.as_ref().map(|path| self.environment.folder.join(path));
        set(&["data"], data.map(|path| path.to_string_lossy().into_owned()), "--data");
    }

    fn file_environment(&self) -> Environment {
        let mut environment = self.environment.clone();
        if let Some(folder) = self.file.as_ref().and_then(|file| file.parent()) {
            environment.folder = environment.folder.join(folder);
        }
        environment
    }

    fn config(&self, file: &File, found: Option<&[Found]>, declared: Declared, context: &mut Context<'_>) -> Config {
        let mut listen = check::listen(file, context);
        let access = check::access(file, &mut listen, context);
        let (limits, timeouts, connect) = check::limits(file, context);
        let defaults = Defaults {
            timeouts,
            connect,
            listen: listen.clone(),
            reach: check::reach(file, &listen, context),
            rests: resilience::rests_of_all(file, context),
            quota_reset: file.cooldown.quota_reset.clone(),
            probe_every: resilience::probe_every(file.probes.every, None, &steps!["probes", "every"], context),
        };
        let mut checked = services::providers(file, &defaults, context);
        if let Some(found) = found {
            let more = services::from_environment(&checked, &defaults, context);
            checked.extend(more);
            let more = services::from_probes(found, &checked, &defaults);
            checked.extend(more);
        }
        services::all_belong(file, &checked, context);
        for Checked { provider, .. } in &mut checked {
            provider.switch(&declared.definitions.switches);
        }
        let disabled = file.providers.0.iter().filter(|(_, given)| given.enabled == Some(false));
        let disabled = disabled.map(|(name, _)| Text::from(name.as_str())).collect();
        let catalog = models::catalog(file, &checked, context);
        let mut providers: Vec<Provider> = checked.into_iter().map(|Checked { provider, .. }| provider).collect();
        if !file.providers.0.iter().any(|(name, _)| name == "echo") {
            providers.push(Provider::echo());
        }
        // In the environment a relative name is meant as everywhere else in a shell.
        let from_environment = matches!(context.place(&steps!["data"]), Place::Env(_));
        let folder = if from_environment { &self.environment.folder } else { &context.environment.folder };
        if file.data.as_deref() == Some("") {
            context.error(&steps!["data"], "the name of the folder is empty", "leave `data` out for the default");
        }
        let data = folder.join(file.data.as_deref().unwrap_or("data"));
        Config {
            provider_order: providers.iter().map(|provider| provider.name.clone()).collect(),
            providers: providers.into_iter().map(|provider| (provider.name.clone(), Arc::new(provider))).collect(),
            catalog,
            disabled,
            declared,
            tree: Arc::new(Node::map(Place::Default)),
            limits,
            store: store::settings(file, &self.environment, context),
            retry: resilience::retry(file, context),
            budget: resilience::budget(file),
            hedge: file.hedge.as_ref().map(|given| resilience::hedge(given, &steps!["hedge"], context)),
            sticky: file.sticky.unwrap_or(true),
            stream_by_default: file.server.stream_by_default.unwrap_or(false),
            owned_by: check::owned_by(file),
            headers: check::headers(file),
            model_echo: check::model_echo(file),
            expose_reasoning: file.translation.expose_reasoning.unwrap_or(true),
            losses: check::losses(file),
            carrier: Arc::new(CarrierKey::new(rand::random())),
            log: check::log(file, &data, &self.environment, context),
            metrics: telemetry::metrics(&file.metrics, &access, context),
            traces: telemetry::traces(&file.telemetry.otlp, context),
            money: money::money(file, context),
            notifications: notifications::notifications(file, &defaults.reach, context),
            quotas: money::quotas(file, context),
            keep: money::keep(file, context),
            addresses: file.accounting.addresses.unwrap_or_default(),
            capture_bytes: money::capture_bytes(file, context),
            disconnect: money::disconnect(file.accounting.disconnect, file.accounting.drain_tokens).unwrap_or_default(),
            capability_overrides: check::capabilities(file, context),
            capability_cache: RwLock::default(),
            access,
            data,
            listen,
        }
    }
}
