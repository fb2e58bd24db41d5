//! Keys and accounts while the gateway runs: their health and their tokens, which outlive changes of the configuration.
//!
//! | module | what |
//! |---|---|
//! | `checks` | health checks of what nobody uses |
//! | `probe` | the cheapest thing to ask of a provider |
//! | `keeper` | where new tokens go, and what a refresh shows about an account |
//! | `onboard` | the project of an account that names none |
//! | `quota` | what is left of an account's allowance |
//! | `past` | what was known when the gateway ran last |
//! | `timer` | refreshes accounts that nobody uses |

mod checks;
mod keeper;
pub(crate) mod onboard;
pub(crate) mod past;
pub(crate) mod probe;
pub(crate) mod quota;
mod timer;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use polyport_provider::Client;
use polyport_provider::auth::{Account, SaveError, Spawn, Tokens};
use polyport_routing::{Fleet, Member, ProviderSpec, RestPolicy, Strategy};
use polyport_store::{Lease, Store};
use polyport_types::{Secret, Text};
use tokio::sync::{Notify, OnceCell};

use crate::clock;
use crate::config::{AccountSettings, Config, Credential, Means, Provider, Service};
use crate::tasks::Tasks;
use past::Past;
use quota::Told;

pub(crate) use checks::{Check, Outcome, judge, keep_checking};
pub(crate) use timer::keep_fresh;

/// One process refreshes an account so long at most; longer than a token server may take.
const TURN: Duration = Duration::from_secs(60);

/// The others look again after this time.
const TURN_PAUSE: Duration = Duration::from_millis(50);

/// All keys and accounts.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// The health of what is configured now.
    fleet: ArcSwap<Fleet>,
    /// By provider and credential.
    accounts: Mutex<HashMap<(Text, Text), Kept>>,
    past: Mutex<Past>,
    store: Option<Store>,
    tasks: Tasks,
    /// Those of the gateway, where these are of a configuration that is only tried.
    elder: Option<Arc<Self>>,
    /// Accounts came or went.
    changed: Notify,
    /// The last health checks, by provider and credential; without one for a provider that needs none.
    checks: Mutex<HashMap<(Text, Option<Text>), Check>>,
    /// What services last told about the quotas of credentials.
    quotas: Mutex<HashMap<(Text, Text), Told>>,
    /// Projects that services gave to credentials.
    projects: Mutex<HashMap<(Text, Text), Project>>,
}

/// The project that a service gave to an account, once it was asked.
pub(crate) type Project = Arc<OnceCell<Text>>;

#[derive(Debug)]
struct Kept {
    settings: Arc<AccountSettings>,
    account: Arc<Account>,
}

impl Credentials {
    /// `past` is what the store knows, if there is one.
    pub(crate) fn new(tasks: Tasks, store: Option<Store>, past: Past) -> Arc<Self> {
        Arc::new(Self {
            fleet: ArcSwap::default(),
            accounts: Mutex::default(),
            past: Mutex::new(past),
            store,
            tasks,
            elder: None,
            changed: Notify::new(),
            checks: Mutex::default(),
            quotas: Mutex::default(),
            projects: Mutex::default(),
        })
    }

    /// Those of a configuration that is only tried. Of what it does nothing is kept, except where a token server gives another refresh token for
    /// the one that was shown: that is good no more, so that the account would be lost.
    pub(crate) fn aside(self: &Arc<Self>) -> Arc<Self> {
        let past = self.past.lock().tokens_only();
        Arc::new(Self {
            fleet: ArcSwap::default(),
            accounts: Mutex::default(),
            past: Mutex::new(past),
            store: self.store.clone(),
            tasks: self.tasks.clone(),
            elder: Some(Arc::clone(self)),
            changed: Notify::new(),
            checks: Mutex::default(),
            quotas: Mutex::default(),
            projects: Mutex::default(),
        })
    }

    /// What runs beside the requests.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The providers of which something rests that are not configured yet.
    pub(crate) fn resting(&self) -> Vec<Text> {
        self.past.lock().resting()
    }

    /// The accounts of a provider, by the position of their credentials.
    pub(crate) fn accounts_of(self: &Arc<Self>, provider: &Provider, client: &Client) -> Box<[Option<Arc<Account>>]> {
        let accounts = provider.credentials().iter().map(|credential| match &credential.means {
            Means::Key(_) | Means::Aws(_) => None,
            Means::Account(settings) => {
                Some(self.account(&provider.name, &credential.member.id, &credential.label, settings, client))
            }
        });
        let accounts = accounts.collect();
        self.changed.notify_one();
        accounts
    }

    /// Where the projects of a provider's credentials are kept that the configuration does not name, by position.
    pub(crate) fn projects_of(&self, provider: &Provider) -> Box<[Option<Project>]> {
        let mut projects = self.projects.lock();
        let mut of = |credential: &Credential| {
            let asked = onboard::client(provider.adapter()).is_some() && credential.project().is_none();
            let name = || (provider.name.clone(), credential.member.id.clone());
            asked.then(|| Arc::clone(projects.entry(name()).or_default()))
        };
        provider.credentials().iter().map(&mut of).collect()
    }

    fn account(
        self: &Arc<Self>,
        provider: &Text,
        id: &Text,
        label: &Text,
        settings: &Arc<AccountSettings>,
        client: &Client,
    ) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        let name = (provider.clone(), id.clone());
        if let Some(kept) = accounts.get_mut(&name) {
            let same = AccountSettings { tokens: settings.tokens.clone(), ..(*kept.settings).clone() } == **settings;
            // A file that is read again holds what was written to it, or what was replaced a moment ago.
            if same && (kept.settings == *settings || kept.account.knows(&settings.tokens.refresh)) {
                kept.settings = Arc::clone(settings);
                return Arc::clone(&kept.account);
            }
        }
        let root = past::root(settings);
        let tokens = match &settings.file {
            Some(_) => settings.tokens.clone(),
            None => self.past.lock().tokens(&root).unwrap_or_else(|| settings.tokens.clone()),
        };
        let keeper = keeper::Keeper {
            root,
            credentials: Arc::downgrade(self),
            provider: provider.clone(),
            id: id.clone(),
            file: settings.file.clone(),
            turn: Mutex::default(),
        };
        let account = Account::new(
            label.clone(),
            settings.server.clone(),
            settings.style.clone(),
            tokens,
            settings.due,
            client.clone(),
            Box::new(keeper),
            self.spawn(),
            clock::now_signed,
        );
        accounts.insert(name, Kept { settings: Arc::clone(settings), account: Arc::clone(&account) });
        account
    }

    fn spawn(self: &Arc<Self>) -> Spawn {
        let credentials: Weak<Self> = Arc::downgrade(self);
        Arc::new(move |task| {
            if let Some(credentials) = credentials.upgrade() {
                credentials.tasks.spawn(task);
            }
        })
    }

    /// The health of all providers.
    pub(crate) fn fleet(&self) -> Guard<Arc<Fleet>> {
        self.fleet.load()
    }

    /// The same, to be kept.
    pub(crate) fn fleet_owned(&self) -> Arc<Fleet> {
        self.fleet.load_full()
    }

    /// The health of these providers from now on, and no accounts but theirs. What rested goes on resting.
    pub(crate) fn configure(&self, config: &Config) -> Arc<Fleet> {
        let fleet = Fleet::new(specs(config), Some(&self.fleet.load()), clock::now());
        self.past.lock().restore(config, &fleet, clock::now());
        let fleet = Arc::new(fleet);
        self.fleet.store(Arc::clone(&fleet));
        let known = |provider: &Text, id: &Text| {
            let credentials = config.provider(provider).map(|provider| provider.credentials()).unwrap_or_default();
            credentials.iter().any(|credential| credential.member.id == *id)
        };
        self.accounts.lock().retain(|(provider, id), _| known(provider, id));
        self.quotas.lock().retain(|(provider, id), _| known(provider, id));
        self.projects.lock().retain(|(provider, id), _| known(provider, id));
        self.checks.lock().retain(|(provider, id), _| match id {
            Some(id) => known(provider, id),
            None => config.provider(provider).is_some(),
        });
        self.changed.notify_one();
        fleet
    }

    /// Makes the tokens durable that descend from what a configuration declares. `before` is the refresh token that was shown for them.
    async fn keep_tokens(&self, root: &Text, before: &Secret, tokens: &Tokens) -> Result<(), SaveError> {
        if let Some(elder) = &self.elder {
            if before.expose() == tokens.refresh.expose() {
                return Ok(());
            }
            elder.past.lock().learn(root.clone(), tokens.clone());
        }
        if let Some(store) = &self.store {
            let saved = past::save_tokens(store, root, tokens).await;
            saved.map_err(|error| SaveError(error.to_string().into()))?;
        }
        self.past.lock().learn(root.clone(), tokens.clone());
        Ok(())
    }

    /// Waits for the turn to refresh the account that was declared with these tokens, where other processes share the database. Gives the
    /// tokens that are in use now, as far as the database knows.
    async fn turn(&self, root: &Text) -> Result<(Option<Lease>, Option<Tokens>), SaveError> {
        let Some(store) = self.store.as_ref().filter(|store| store.is_shared()) else { return Ok((None, None)) };
        let failed = |error: polyport_store::Error| SaveError(error.to_string().into());
        let name = format!("refresh {root}");
        // Whoever has the turn gives it back or loses it.
        let turn = loop {
            match store.leases().take(&name, TURN).await.map_err(failed)? {
                Some(turn) => break turn,
                None => tokio::time::sleep(TURN_PAUSE).await,
            }
        };
        match past::read_tokens(store, root).await {
            Ok(tokens) => Ok((Some(turn), tokens)),
            Err(error) => {
                self.end_turn(turn).await;
                Err(failed(error))
            }
        }
    }

    async fn end_turn(&self, turn: Lease) {
        if let Some(store) = &self.store
            && let Err(error) = store.leases().give_back(turn).await
        {
            tracing::warn!(%error, "the turn to refresh an account ends by time");
        }
    }

    /// The last health check of a credential, or of a provider that needs none.
    pub(crate) fn check_of(&self, provider: &Text, credential: Option<&Text>) -> Option<Check> {
        self.checks.lock().get(&(provider.clone(), credential.cloned())).cloned()
    }

    /// Notes a health check; gives the one before.
    pub(crate) fn note_check(&self, provider: &Text, credential: Option<&Text>, check: Check) -> Option<Check> {
        self.checks.lock().insert((provider.clone(), credential.cloned()), check)
    }

    /// What the service last told about the quota of a credential.
    pub(crate) fn quota_of(&self, provider: &Text, credential: &Text) -> Option<Told> {
        self.quotas.lock().get(&(provider.clone(), credential.clone())).cloned()
    }

    pub(crate) fn note_quota(&self, provider: &Text, credential: &Text, told: Told) {
        self.quotas.lock().insert((provider.clone(), credential.clone()), told);
    }

    fn all_accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.lock().values().map(|kept| Arc::clone(&kept.account)).collect()
    }
}

/// The providers of a configuration, with nothing known about them yet.
#[must_use]
pub fn fleet(config: &Config) -> Fleet {
    Fleet::new(specs(config), None, clock::now())
}

fn specs(config: &Config) -> Vec<ProviderSpec> {
    config.providers().map(|provider| spec(provider)).collect()
}

fn spec(provider: &Provider) -> ProviderSpec {
    let mut members: Vec<Member> = provider.credentials().iter().map(|credential| credential.member.clone()).collect();
    let (strategy, policy) = match &provider.service {
        Service::Http(http) => {
            if http.missing_credential {
                // Nobody is asked with a key that is not there.
                members = vec![Member { disabled: true, ..Member::new("missing") }];
            }
            (http.strategy, http.rests.clone())
        }
        Service::Process(process) => (Strategy::default(), process.rests.clone()),
        Service::Echo => (Strategy::default(), RestPolicy::default()),
    };
    ProviderSpec { name: provider.name.clone(), members, strategy, policy }
}
