//! Teams, users and keys that the database declares, as requests see them.
//!
//! Requests look keys up in memory, by a digest of their text; the database is read at the start, after changes, and every two seconds for
//! those of other processes.

pub(crate) mod quotas;
pub(crate) mod rules;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use polyport_store::{ClientKey, Error, Store, Stored, Team, User};
use polyport_types::{ClientProtocol, Fault, FaultClass, Text};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock;
use crate::config::KeyHash;
use quotas::{Quota, Subject};
use rules::Rules;

/// What other processes change is seen within this time.
const EVERY: Duration = Duration::from_secs(2);

/// Clocks of processes that share a database differ by less, in milliseconds.
const CLOCKS_DIFFER: i64 = 60_000;

/// What a key allows, and to whom it belongs.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The id of the key.
    pub(crate) id: Text,
    /// Its name, for people and routes.
    pub(crate) name: Text,
    /// The user.
    pub(crate) user: Option<Named>,
    /// The team.
    pub(crate) team: Option<Named>,
    /// How much may be used: the limits of the key, its user and its team.
    pub(crate) quotas: Vec<Quota>,
    /// Prompts and answers are kept in the request log.
    pub(crate) capture: bool,
    /// Those of the key, its user and its team.
    rules: Vec<Rules>,
    expires_at: Option<i64>,
    /// Why it is not good.
    barred: Option<&'static str>,
}

/// Somebody, by id and by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: Text,
    pub(crate) name: Text,
}

impl Grant {
    /// Whether the key is good now.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn check(&self, now: i64) -> Result<(), Fault> {
        let why = match (self.barred, self.expires_at) {
            (Some(why), _) => why,
            (None, Some(at)) if at <= now => "has expired",
            (None, _) => return Ok(()),
        };
        let words = format!("the key `{}` {why}; ask the operator of this gateway for another one", self.name);
        Err(Fault::new(FaultClass::ClientAuth, words))
    }

    /// Whether the key may be used from an address.
    ///
    /// # Errors
    /// That it may not.
    pub(crate) fn check_address(&self, address: IpAddr) -> Result<(), Fault> {
        match self.rules.iter().all(|rules| rules.allows_address(address)) {
            true => Ok(()),
            false => Err(self.denied(&format!("the gateway from the address {address}"))),
        }
    }

    /// Whether a model may be asked for in a protocol.
    ///
    /// # Errors
    /// What is not allowed.
    pub(crate) fn allows(&self, model: &str, protocol: ClientProtocol) -> Result<(), Fault> {
        self.allows_protocol(protocol)?;
        if !self.allows_model(model) {
            let shown: String = model.chars().filter(|c| !c.is_control()).take(120).collect();
            return Err(self.denied(&format!("the model `{shown}`")));
        }
        Ok(())
    }

    /// Whether a request may be made in a protocol that names no model: what it asks of which model is not known.
    ///
    /// # Errors
    /// What is not allowed.
    pub(crate) fn allows_any_model(&self, protocol: ClientProtocol) -> Result<(), Fault> {
        self.allows_protocol(protocol)?;
        match self.rules.iter().any(Rules::is_bounded) {
            true => Err(self.denied("what is not asked of a model, because it is bounded to some of them")),
            false => Ok(()),
        }
    }

    fn allows_protocol(&self, protocol: ClientProtocol) -> Result<(), Fault> {
        match self.rules.iter().all(|rules| rules.allows_protocol(protocol)) {
            true => Ok(()),
            false => Err(self.denied(&format!("the {} protocol", protocol.as_str()))),
        }
    }

    fn denied(&self, what: &str) -> Fault {
        let words = format!("the key `{}` may not use {what}; ask the operator of this gateway", self.name);
        Fault::new(FaultClass::PermissionDenied, words)
    }

    pub(crate) fn allows_model(&self, model: &str) -> bool {
        self.rules.iter().all(|rules| rules.allows_model(model))
    }

    /// Whether a request may be answered by these pools; `None` is no pool.
    pub(crate) fn allows_pools<'p>(&self, pools: &(impl Iterator<Item = Option<&'p str>> + Clone)) -> bool {
        self.rules.iter().all(|rules| rules.allows_pools(pools.clone()))
    }
}

/// Everything that is known, and the way to the database.
#[derive(Debug)]
pub(crate) struct Directory {
    store: Store,
    people: RwLock<People>,
    /// How much of the database is known. Held by whoever reads or changes it.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    changes: Option<i64>,
    /// The newest change of a key, Unix milliseconds.
    keys_until: i64,
}

#[derive(Debug, Default)]
struct People {
    teams: HashMap<Text, Stored<Team>>,
    users: HashMap<Text, Stored<User>>,
    /// By id.
    keys: HashMap<Text, Entry>,
    by_digest: HashMap<Text, Found>,
}

/// What is kept of a key in memory.
#[derive(Debug)]
struct Entry {
    key: Stored<ClientKey>,
    grant: Arc<Grant>,
}

#[derive(Debug)]
struct Found {
    grant: Arc<Grant>,
    /// The text before the present one is good until then, Unix milliseconds.
    until: Option<i64>,
}

/// What definitions allow together. They were checked when they were written; what is unreadable allows nothing.
fn rules(definitions: &[Option<&Value>]) -> Option<Vec<Rules>> {
    let read = |definition: &&Value| definition.as_object().and_then(|members| Rules::read(members).ok());
    definitions.iter().flatten().map(read).collect()
}

/// The limits in rules, each of which are of one of the subjects.
fn quotas_of(rules: &[Rules], subjects: Vec<Subject>) -> Vec<Quota> {
    let each = rules.iter().zip(subjects);
    let quotas = each.flat_map(|(rules, subject)| {
        rules.limits.iter().map(move |(models, limits)| Quota {
            subject: subject.clone(),
            models: models.clone(),
            limits: Arc::clone(limits),
        })
    });
    quotas.collect()
}

/// The digest that a key is found by.
pub(crate) fn digest(key: &str) -> String {
    KeyHash::of(key).to_hex()
}

impl Directory {
    /// Reads everything.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(crate) async fn open(store: Store) -> Result<Self, Error> {
        let directory = Self { store, people: RwLock::default(), seen: Mutex::default() };
        directory.refresh().await?;
        Ok(directory)
    }

    /// The database.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether there is any key.
    pub(crate) fn has_keys(&self) -> bool {
        !self.people.read().keys.is_empty()
    }

    /// What this key allows, if it is known. Whether it is good now is asked of the grant.
    pub(crate) fn find(&self, key: &str, now: i64) -> Option<Arc<Grant>> {
        let people = self.people.read();
        let found = people.by_digest.get(&*digest(key))?;
        found.until.is_none_or(|until| now < until).then(|| Arc::clone(&found.grant))
    }

    /// Whether there is a key of this digest, good or not.
    pub(crate) fn has_digest(&self, digest: &str) -> bool {
        self.people.read().by_digest.contains_key(digest)
    }

    pub(crate) fn team(&self, id: &str) -> Option<Stored<Team>> {
        self.people.read().teams.get(id).cloned()
    }

    pub(crate) fn user(&self, id: &str) -> Option<Stored<User>> {
        self.people.read().users.get(id).cloned()
    }

    /// What bounds everything that a user asks for: their own rules and those of their team. `None` allows nothing.
    pub(crate) fn rules_of_user(&self, id: &str) -> Option<Vec<Rules>> {
        let people = self.people.read();
        let user = people.users.get(id)?;
        let team = user.value.team.as_deref().and_then(|team| people.teams.get(team));
        rules(&[Some(&user.value.definition), team.map(|team| &team.value.definition)])
    }

    /// All teams, in the order they were made.
    pub(crate) fn teams(&self) -> Vec<Stored<Team>> {
        let mut teams: Vec<Stored<Team>> = self.people.read().teams.values().cloned().collect();
        teams.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        teams
    }

    /// All users, in the order they were made.
    pub(crate) fn users(&self) -> Vec<Stored<User>> {
        let mut users: Vec<Stored<User>> = self.people.read().users.values().cloned().collect();
        users.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        users
    }

    /// All limits of keys, users and teams, those of several keys once.
    pub(crate) fn quotas(&self) -> Vec<Quota> {
        let people = self.people.read();
        let of_keys = people.keys.values().flat_map(|entry| entry.grant.quotas.iter().cloned());
        // Those of people who have no key yet are limits as well.
        let of_users = people.users.values().flat_map(|user| {
            let rules = rules(&[Some(&user.value.definition)]).unwrap_or_default();
            quotas_of(&rules, vec![Subject::User(Text::from(&*user.id))])
        });
        let of_teams = people.teams.values().flat_map(|team| {
            let rules = rules(&[Some(&team.value.definition)]).unwrap_or_default();
            quotas_of(&rules, vec![Subject::Team(Text::from(&*team.id))])
        });
        let mut seen = HashSet::new();
        let all = of_keys.chain(of_users).chain(of_teams);
        all.filter(|quota| seen.insert((quota.subject.clone(), quota.models.clone()))).collect()
    }

    /// A key, by its id.
    pub(crate) fn key(&self, id: &str) -> Option<ClientKey> {
        self.people.read().keys.get(id).map(|entry| entry.key.value.clone())
    }

    /// The ids of a user's keys.
    pub(crate) fn key_ids_of(&self, user: &str) -> Vec<String> {
        let people = self.people.read();
        let of = |entry: &&Entry| entry.key.value.user.as_deref() == Some(user);
        people.keys.values().filter(of).map(|entry| entry.key.id.clone()).collect()
    }

    /// The name of a key.
    pub(crate) fn key_name(&self, id: &str) -> Option<String> {
        self.people.read().keys.get(id).map(|entry| entry.grant.name.to_string())
    }

    /// How many keys belong to a user or team.
    pub(crate) fn keys_of(&self, user: Option<&str>, team: Option<&str>) -> usize {
        let people = self.people.read();
        let of = |entry: &&Entry| {
            let key = &entry.key.value;
            (user.is_some() && key.user.as_deref() == user) || (team.is_some() && key.team.as_deref() == team)
        };
        people.keys.values().filter(of).count()
    }

    /// Brings what is known up to date, if the database was changed.
    ///
    /// # Errors
    /// If the database does not answer; what was known stays.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        let mut seen = self.seen.lock().await;
        let changes = self.store.changes().await?;
        if seen.changes == Some(changes) {
            return Ok(());
        }
        let (teams, users) = (self.store.teams().list().await?, self.store.users().list().await?);
        let since = seen.keys_until.saturating_sub(CLOCKS_DIFFER);
        let (mut changed, number) = self.store.client_keys().changed_since(since).await?;
        let known = self.people.read().number_with(&changed);
        let whole = known != number;
        if whole {
            // Some were deleted.
            changed = self.store.client_keys().list().await?;
        }
        seen.keys_until = changed.iter().map(|key| key.updated_at).max().unwrap_or_default().max(seen.keys_until);
        seen.changes = Some(changes);
        self.people.write().take(teams, users, changed, whole);
        Ok(())
    }
}

impl People {
    /// How many keys there are with these.
    fn number_with(&self, changed: &[Stored<ClientKey>]) -> u64 {
        let new = changed.iter().filter(|key| !self.keys.contains_key(&*key.id)).count();
        u64::try_from(self.keys.len() + new).unwrap_or(u64::MAX)
    }

    fn take(
        &mut self,
        teams: Vec<Stored<Team>>,
        users: Vec<Stored<User>>,
        changed: Vec<Stored<ClientKey>>,
        whole: bool,
    ) {
        let teams: HashMap<Text, _> = teams.into_iter().map(|team| (Text::from(&*team.id), team)).collect();
        let users: HashMap<Text, _> = users.into_iter().map(|user| (Text::from(&*user.id), user)).collect();
        let others = teams != self.teams || users != self.users;
        (self.teams, self.users) = (teams, users);
        if whole {
            self.keys.clear();
            self.by_digest.clear();
        }
        for key in changed {
            let id = Text::from(&*key.id);
            if let Some(before) = self.keys.remove(&id) {
                self.forget(&before.key.value);
            }
            let entry = Entry { grant: Arc::new(self.grant(&key)), key };
            self.learn(&entry);
            self.keys.insert(id, entry);
        }
        if others {
            let grants: Vec<(Text, Arc<Grant>)> =
                self.keys.iter().map(|(id, entry)| (id.clone(), Arc::new(self.grant(&entry.key)))).collect();
            for (id, grant) in grants {
                if let Some(entry) = self.keys.remove(&id) {
                    let entry = Entry { grant, ..entry };
                    self.learn(&entry);
                    self.keys.insert(id, entry);
                }
            }
        }
    }

    /// Makes a key known by its digests.
    fn learn(&mut self, entry: &Entry) {
        let (key, grant) = (&entry.key.value, &entry.grant);
        self.by_digest.insert(Text::from(&*key.digest), Found { grant: Arc::clone(grant), until: None });
        if let (Some(previous), Some(_)) = (&key.previous, key.previous_until) {
            let found = Found { grant: Arc::clone(grant), until: key.previous_until };
            self.by_digest.insert(Text::from(&**previous), found);
        }
    }

    fn forget(&mut self, key: &ClientKey) {
        self.by_digest.remove(&*key.digest);
        if let Some(previous) = &key.previous {
            self.by_digest.remove(&**previous);
        }
    }

    fn grant(&self, key: &Stored<ClientKey>) -> Grant {
        let ClientKey { name, enabled, user, team, expires_at, definition, .. } = &key.value;
        let user = user.as_deref().map(|id| self.users.get(id));
        let team_id = match user {
            Some(Some(user)) => user.value.team.as_deref(),
            _ => team.as_deref(),
        };
        let team = team_id.map(|id| self.teams.get(id));
        let barred = match (enabled, user, team) {
            (false, ..) => Some("is switched off"),
            (true, Some(None), _) => Some("belongs to a user who is gone"),
            (true, Some(Some(user)), _) if !user.value.enabled => Some("belongs to a user who is switched off"),
            (true, _, Some(None)) => Some("belongs to a team that is gone"),
            (true, _, Some(Some(team))) if !team.value.enabled => Some("belongs to a team that is switched off"),
            _ => None,
        };
        let (user, team) = (user.flatten(), team.flatten());
        let read = rules(&[
            Some(definition),
            user.map(|user| &user.value.definition),
            team.map(|team| &team.value.definition),
        ]);
        let named = |id: &str, name: &str| Named { id: Text::from(id), name: Text::from(name) };
        let subjects = [
            Some(Subject::Key(Text::from(&*key.id))),
            user.map(|user| Subject::User(Text::from(&*user.id))),
            team.map(|team| Subject::Team(Text::from(&*team.id))),
        ];
        let quotas = quotas_of(read.as_deref().unwrap_or_default(), subjects.into_iter().flatten().collect());
        Grant {
            id: Text::from(&*key.id),
            name: Text::from(&**name),
            user: user.map(|user| named(&user.id, &user.value.name)),
            team: team.map(|team| named(&team.id, &team.value.name)),
            quotas,
            capture: read.iter().flatten().any(|rules| rules.capture),
            barred: barred.or(if read.is_none() { Some("has rules that cannot be read") } else { None }),
            rules: read.unwrap_or_default(),
            expires_at: *expires_at,
        }
    }
}

/// Looks from time to time whether another process has changed something, until it is cancelled.
pub(crate) async fn keep_reading(app: Arc<App>, cut: CancellationToken) {
    let Some(directory) = &app.directory else { return };
    let work = async {
        loop {
            tokio::time::sleep(EVERY).await;
            // That the database is away is told by whoever writes.
            directory.refresh().await.ok();
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

/// Now, Unix milliseconds.
pub(crate) fn now() -> i64 {
    clock::now_signed()
}
