//! What the database declares, and its changes: each is checked together with everything else, written, and then brought into force whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use polyport_store::{self as store, Batch, ClientKey, Error, Held, Made, NewCredential, Store, Stored, Team, User};
use polyport_types::{Secret, Text};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::definitions::{CREDENTIAL_SECRETS, Definition, Definitions, Kind, Standing};
use crate::config::settings::{self, HOOKS, Settings};
use crate::config::{Config, Live, Place, Problem, Problems};
use crate::tasks;

/// What other processes change in the database is seen within this time.
const EVERY: Duration = Duration::from_secs(2);

/// Before the names of switches among the settings.
const SWITCH: &str = "enabled/";

/// The name of the settings among what is declared.
const SETTINGS: &str = "settings";

/// The id of a definition that is not written yet.
const UNWRITTEN: &str = "";

/// The way of definitions into the database, and from there into what is in force.
#[derive(Debug)]
pub(crate) struct Registry {
    live: Arc<Live>,
    store: Store,
    /// The store's number of changes that is in force. Held by whoever changes something.
    seen: Mutex<i64>,
}

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// The database.
    Store(Error),
    /// There is no such thing.
    Unknown,
    /// It is not as it was read: it has this revision.
    Stale(i64),
    /// There is one already.
    Taken(String),
    /// It has mistakes.
    Invalid(Arc<Definition>, Vec<Problem>),
    /// Of many together, these have mistakes. Their ids say where they were given: `pools/0`.
    Several(Vec<(Arc<Definition>, Vec<Problem>)>),
    /// Others could not be in force any more.
    Needed(Vec<(Arc<Definition>, Problem)>),
    /// These settings have mistakes.
    Settings(Vec<Problem>),
    /// The configuration cannot be checked now.
    File(Problems),
}

impl From<Error> for Rejected {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { .. } => Self::Unknown,
            Error::Conflict { found, .. } => Self::Stale(found),
            Error::Taken { .. } => Self::Taken(error.to_string()),
            other => Self::Store(other),
        }
    }
}

/// People who are made together with definitions.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) teams: Vec<Team>,
    /// Their teams go by name.
    pub(crate) users: Vec<User>,
    /// Their teams and users go by name.
    pub(crate) keys: Vec<ClientKey>,
}

/// What became of one of many.
#[derive(Debug)]
pub(crate) enum Imported {
    Created(Arc<Definition>),
    Duplicate,
    Invalid(Arc<Definition>, Vec<Problem>),
}

/// Looks from time to time whether another process has changed something, until it is cancelled.
pub(crate) async fn keep_reading(app: Arc<App>, cut: CancellationToken) {
    let Some(registry) = &app.registry else { return };
    let work = async {
        loop {
            tokio::time::sleep(EVERY).await;
            // That the database is away is told by whoever writes.
            registry.refresh(&app).await.ok();
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

impl Registry {
    /// Reads what is declared, and takes it into the configuration.
    pub(crate) async fn open(live: Arc<Live>, store: Store) -> Result<Self, Error> {
        let registry = Self { live, store, seen: Mutex::new(-1) };
        {
            let mut seen = registry.seen.lock().await;
            let (changes, definitions) = registry.read().await?;
            if !definitions.is_empty() && registry.take(definitions).await {
                *seen = changes;
            }
        }
        Ok(registry)
    }

    async fn refresh(&self, app: &App) -> Result<(), Error> {
        let mut seen = self.seen.lock().await;
        if self.store.changes().await? == *seen {
            return Ok(());
        }
        let (changes, definitions) = self.read().await?;
        if definitions == *self.present() || self.take(definitions).await {
            *seen = changes;
            self.enforce(app);
        }
        Ok(())
    }

    fn present(&self) -> Arc<Definitions> {
        Arc::clone(&self.live.current().declared.definitions)
    }

    /// False if the file is in the way; that has been logged.
    async fn take(&self, definitions: Definitions) -> bool {
        let live = Arc::clone(&self.live);
        let taken = tasks::off_worker(move || live.set_definitions(Arc::new(definitions))).await;
        match taken {
            Some(Ok(())) => true,
            Some(Err(problems)) => {
                tracing::error!("what the database declares is not in force: {problems}");
                false
            }
            None => false,
        }
    }

    fn enforce(&self, app: &App) {
        if let Err(error) = app.follow(&self.live) {
            tracing::error!("the configuration was not applied: {error}");
        }
    }

    /// The number of changes, and what was declared then or a little later.
    async fn read(&self) -> Result<(i64, Definitions), Error> {
        let changes = self.store.changes().await?;
        let mut secrets = self.store.secrets().await?;
        let mut list = Vec::new();
        for stored in self.store.providers().list().await? {
            let store::Provider { name, enabled, definition } = stored.value.clone();
            let mut read = definition_of(Kind::Provider, &stored, &name, enabled, definition);
            match secrets.remove(&stored.id) {
                None => {}
                Some(held) => match opened(held) {
                    Ok(text) => merge(&mut read.value, serde_json::from_str(&text).unwrap_or_default()),
                    Err(why) => read.locked = Some(why),
                },
            }
            list.push(Arc::new(read));
        }
        for stored in self.store.credentials().list().await? {
            let store::Credential { provider, kind, label, enabled, definition } = stored.value.clone();
            let mut read = definition_of(Kind::Credential, &stored, &label, enabled, definition);
            read.provider = provider.into();
            match secrets.remove(&stored.id).map(opened) {
                Some(Ok(text)) => {
                    merge(&mut read.value, Value::from(Map::from_iter([(kind, text.into())])));
                }
                Some(Err(why)) => read.locked = Some(why),
                None => read.locked = Some("its secret is lost; enter it again".into()),
            }
            list.push(Arc::new(read));
        }
        for stored in self.store.pools().list().await? {
            let store::Pool { name, enabled, definition } = stored.value.clone();
            list.push(Arc::new(definition_of(Kind::Pool, &stored, &name, enabled, definition)));
        }
        for stored in self.store.routes().list().await? {
            let store::Route { name, enabled, definition } = stored.value.clone();
            list.push(Arc::new(definition_of(Kind::Route, &stored, &name, enabled, definition)));
        }
        let mut settings = Settings::default();
        if let Some(stored) = self.store.declared().list().await?.into_iter().find(|one| one.value.name == SETTINGS) {
            settings.value = stored.value.definition;
            match secrets.remove(&stored.id).map(opened) {
                None => {}
                Some(Ok(text)) => merge(&mut settings.value, serde_json::from_str(&text).unwrap_or_default()),
                Some(Err(why)) => settings.locked = Some(why),
            }
            (settings.id, settings.revision) = (stored.id.into(), stored.revision);
        }
        let switches = self.store.settings().list().await?.into_iter();
        let switches = switches.filter_map(|(name, on)| Some((name.strip_prefix(SWITCH)?.to_owned(), on.as_bool()?)));
        Ok((changes, Definitions { list, switches: switches.collect::<BTreeMap<_, _>>(), settings }))
    }

    /// Makes one. Its id, revision and times are not yet known.
    pub(crate) async fn create(&self, app: &App, new: Definition) -> Result<Arc<Definition>, Rejected> {
        let seen = self.seen.lock().await;
        let present = self.present();
        let new = Definition { id: UNWRITTEN.into(), ..new };
        let judged = self.judge(present.with(new.clone())).await?;
        self.allowed(&judged, &new)?;
        let written = self.write(&new).await?;
        Ok(self.done(app, seen, &present, written).await)
    }

    /// The configuration as it would be with this one in it. Nothing changes.
    pub(crate) async fn rehearse(&self, new: Definition) -> Result<Config, Rejected> {
        let judged = self.judge(self.present().with(new.clone())).await?;
        match judged.declared.out.get(&new.id) {
            Some(Standing::Broken(problems)) => Err(Rejected::Invalid(Arc::new(new), problems.clone())),
            Some(Standing::Shadowed(problem)) => Err(Rejected::Taken(problem.message.clone())),
            None => Ok(judged),
        }
    }

    /// Changes one, if it has this revision or none is named.
    pub(crate) async fn update<R: From<Rejected>>(
        &self,
        app: &App,
        id: &str,
        revision: Option<i64>,
        change: impl FnOnce(&Definition) -> Result<Definition, R>,
    ) -> Result<Arc<Definition>, R> {
        let seen = self.seen.lock().await;
        let present = self.present();
        let before = present.find(id).ok_or(Rejected::Unknown)?;
        fits(before, revision)?;
        let changed = change(before)?;
        let judged = self.judge(present.with(changed.clone())).await?;
        // What is broken may be switched off, and mended later.
        if changed.enabled || !judged.declared.out.contains_key(&changed.id) {
            self.allowed(&judged, &changed)?;
        }
        let written = self.rewrite(before, &changed).await.map_err(Rejected::from)?;
        Ok(self.done(app, seen, &present, written).await)
    }

    /// Deletes one, if it has this revision or none is named, and nothing refers to it.
    pub(crate) async fn delete(&self, app: &App, id: &str, revision: Option<i64>) -> Result<Arc<Definition>, Rejected> {
        let seen = self.seen.lock().await;
        let present = self.present();
        let before = Arc::clone(present.find(id).ok_or(Rejected::Unknown)?);
        fits(&before, revision)?;
        let rest = present.without(id);
        let judged = self.judge(rest.clone()).await?;
        self.others_stay(&judged, id)?;
        match before.kind {
            Kind::Provider => self.store.providers().delete(id, revision).await,
            Kind::Credential => self.store.credentials().delete(id, revision).await,
            Kind::Pool => self.store.pools().delete(id, revision).await,
            Kind::Route => self.store.routes().delete(id, revision).await,
        }?;
        self.bring_in(app, seen, rest).await;
        Ok(before)
    }

    /// Makes many credentials at once: those that can be made.
    pub(crate) async fn import(&self, app: &App, new: Vec<Definition>) -> Result<Vec<Imported>, Rejected> {
        let seen = self.seen.lock().await;
        let present = self.present();
        let mut all = (*present).clone();
        let name = |at: usize| Text::from(format!("new {at}"));
        let numbered = new.into_iter().enumerate().map(|(at, new)| Definition { id: name(at), ..new });
        let numbered: Vec<Definition> = numbered.collect();
        all.list.extend(numbered.iter().cloned().map(Arc::new));
        let judged = self.judge(all).await?;
        let mut outcomes: Vec<Option<Imported>> = Vec::with_capacity(numbered.len());
        let (mut good, mut rows) = (Vec::new(), Vec::new());
        for new in numbered {
            outcomes.push(match judged.declared.out.get(&new.id) {
                Some(Standing::Shadowed(_)) => Some(Imported::Duplicate),
                Some(Standing::Broken(problems)) => Some(Imported::Invalid(Arc::new(new), problems.clone())),
                None => {
                    rows.push(credential_row(&new));
                    good.push(new);
                    None
                }
            });
        }
        if good.is_empty() {
            return Ok(outcomes.into_iter().flatten().collect());
        }
        let results = self.store.credentials().import(rows).await?;
        let mut made = (*present).clone();
        let mut written = good.into_iter().zip(results).map(|(new, result)| match result {
            Ok(stored) => {
                let definition = Arc::new(as_stored(new, &stored));
                made.list.push(Arc::clone(&definition));
                Imported::Created(definition)
            }
            Err(_) => Imported::Duplicate,
        });
        let outcomes: Vec<Imported> =
            outcomes.into_iter().filter_map(|outcome| outcome.or_else(|| written.next())).collect();
        drop(written);
        self.bring_in(app, seen, made).await;
        Ok(outcomes)
    }

    /// Makes many of all kinds, and people with them, in one transaction; `write` makes the difference to a rehearsal. Of each it is told
    /// what became of it, by the id that it has here: nothing where the same is there already, otherwise its own, which is empty in a
    /// rehearsal.
    pub(crate) async fn make_all(
        &self,
        app: &App,
        new: Vec<Definition>,
        people: People,
        write: bool,
    ) -> Result<(HashMap<Text, Text>, Made), Rejected> {
        let seen = self.seen.lock().await;
        let present = self.present();
        let mut all = (*present).clone();
        let mut numbered: Vec<Arc<Definition>> = Vec::with_capacity(new.len());
        let mut several: Vec<(Arc<Definition>, Vec<Problem>)> = Vec::new();
        for new in new.into_iter().map(Arc::new) {
            match present.list.iter().chain(&numbered).find(|known| is_called_the_same(known, &new)) {
                None => {
                    all.list.push(Arc::clone(&new));
                    numbered.push(new);
                }
                Some(known) if known.value == new.value => {}
                // What belongs to it, such as keys, would go to something else.
                Some(_) => {
                    let words = format!("there is a {} of this name already, and it is another one", new.kind.as_str());
                    let problem = Problem::error(Place::Default, words);
                    several.push((new, vec![problem.remedy("rename one of them, or delete the one that is there")]));
                }
            }
        }
        let judged = self.judge(all).await?;
        let mut good = Vec::new();
        for new in numbered {
            match judged.declared.out.get(&new.id) {
                None => good.push(new),
                Some(Standing::Shadowed(_)) if new.kind == Kind::Credential => {}
                Some(Standing::Shadowed(problem)) => several.push((new, vec![problem.clone()])),
                Some(Standing::Broken(problems)) => several.push((new, problems.clone())),
            }
        }
        if !several.is_empty() {
            // That a provider is not there follows from its own mistakes.
            let broken: Vec<Text> =
                several.iter().filter(|(one, _)| one.kind == Kind::Provider).map(|(one, _)| one.name.clone()).collect();
            several.retain(|(one, _)| one.kind != Kind::Credential || !broken.contains(&one.provider));
            return Err(Rejected::Several(several));
        }
        self.those_stay(&judged, |id| present.find(id).is_some())?;
        if !write {
            let ids = good.iter().map(|new| (new.id.clone(), Text::new()));
            return Ok((ids.collect(), Made::default()));
        }
        let of = |kind: Kind| good.iter().filter(move |new| new.kind == kind);
        let batch = Batch {
            providers: of(Kind::Provider).map(|new| provider_row(new)).collect(),
            credentials: of(Kind::Credential).map(|new| credential_row(new)).collect(),
            pools: of(Kind::Pool).map(|new| pool_row(new)).collect(),
            routes: of(Kind::Route).map(|new| route_row(new)).collect(),
            teams: people.teams,
            users: people.users,
            keys: people.keys,
        };
        let made = self.store.make_all(batch).await?;
        let mut changed = (*present).clone();
        let mut ids = HashMap::new();
        let mut take = |new: &Definition, stored: Definition| {
            ids.insert(new.id.clone(), stored.id.clone());
            changed.list.push(Arc::new(stored));
        };
        for (new, stored) in of(Kind::Provider).zip(&made.providers) {
            take(new, as_stored((**new).clone(), stored));
        }
        for (new, stored) in of(Kind::Credential).zip(&made.credentials) {
            take(new, as_stored((**new).clone(), stored));
        }
        for (new, stored) in of(Kind::Pool).zip(&made.pools) {
            take(new, as_stored((**new).clone(), stored));
        }
        for (new, stored) in of(Kind::Route).zip(&made.routes) {
            take(new, as_stored((**new).clone(), stored));
        }
        self.bring_in(app, seen, changed).await;
        Ok((ids, made))
    }

    /// The configuration with these definitions instead of all that the database declares beside settings. Nothing is written, and nothing changes.
    pub(crate) async fn alone(&self, list: Vec<Definition>) -> Result<Config, Rejected> {
        let list: Vec<Arc<Definition>> = list.into_iter().map(Arc::new).collect();
        let settings = self.present().settings.clone();
        let judged = self.judge(Definitions { list: list.clone(), switches: BTreeMap::new(), settings }).await?;
        let broken = list.iter().filter_map(|one| {
            let standing = judged.declared.out.get(&one.id)?;
            Some((Arc::clone(one), standing.problems().to_vec()))
        });
        // What is wrong with a provider is wrong with what belongs to it, too.
        let mut broken: Vec<_> = broken.collect();
        if broken.iter().any(|(one, _)| one.kind == Kind::Provider) {
            broken.retain(|(one, _)| one.kind == Kind::Provider);
        }
        if broken.is_empty() { Ok(judged) } else { Err(Rejected::Several(broken)) }
    }

    /// Switches something on or off that the database does not declare; `None` leaves it as it is declared.
    pub(crate) async fn switch(&self, app: &App, name: &str, on: Option<bool>) -> Result<(), Rejected> {
        let seen = self.seen.lock().await;
        let mut changed = (*self.present()).clone();
        match on {
            Some(on) => changed.switches.insert(name.to_owned(), on),
            None => changed.switches.remove(name),
        };
        let judged = self.judge(changed.clone()).await?;
        self.others_stay(&judged, UNWRITTEN)?;
        let setting = format!("{SWITCH}{name}");
        match on {
            Some(on) => self.store.settings().set(&setting, &on.into()).await?,
            None => drop(self.store.settings().remove(&setting).await?),
        }
        self.bring_in(app, seen, changed).await;
        Ok(())
    }

    /// What is read, and when.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Changes settings, if they have this revision or none is named. `change` makes the new ones of those that are there.
    pub(crate) async fn set<R: From<Rejected>>(
        &self,
        app: &App,
        revision: Option<i64>,
        change: impl FnOnce(&Value) -> Result<Value, R>,
    ) -> Result<(), R> {
        let seen = self.seen.lock().await;
        let present = self.present();
        let before = &present.settings;
        if let Some(stale) = revision.filter(|revision| *revision != before.revision) {
            tracing::debug!(revision = stale, "settings were changed meanwhile");
            return Err(Rejected::Stale(before.revision).into());
        }
        let value = change(&before.value)?;
        if value == before.value {
            return Ok(());
        }
        // Whoever says what the hooks are heals what cannot be read.
        let hooks = |value: &Value| HOOKS.iter().try_fold(value, |value, key| value.get(key)).cloned();
        let locked = before.locked.clone().filter(|_| hooks(&value).is_none());
        let after = Settings { value, locked, ..before.clone() };
        let mut changed = (*present).clone();
        changed.settings = after.clone();
        let judged = self.judge(changed.clone()).await?;
        settled(&judged, &present, &after).map_err(Rejected::Settings)?;
        self.others_stay(&judged, UNWRITTEN)?;
        let (open, sealed) = split_hooks(&after.value);
        let sealed = sealed.or_else(|| split_hooks(&before.value).1.map(|_| Secret::new("{}".to_owned())));
        let row = store::Declared { name: SETTINGS.to_owned(), definition: open };
        let table = self.store.declared();
        let written = match (before.revision, sealed.filter(|_| after.locked.is_none())) {
            (0, Some(sealed)) => table.create_with(row, &sealed).await,
            (0, None) => table.create(row).await,
            (revision, Some(sealed)) => table.update_with(&before.id, revision, row, &sealed).await,
            (revision, None) => table.update(&before.id, revision, row).await,
        };
        let written = written.map_err(|error| match error {
            // Another process was faster with the first one.
            Error::Taken { .. } => Rejected::Stale(1),
            other => other.into(),
        })?;
        changed.settings = Settings { id: written.id.into(), revision: written.revision, ..after };
        self.bring_in(app, seen, changed).await;
        Ok(())
    }

    /// The configuration as it would be.
    async fn judge(&self, definitions: Definitions) -> Result<Config, Rejected> {
        let live = Arc::clone(&self.live);
        let judged = tasks::off_worker(move || live.with_definitions(&Arc::new(definitions))).await;
        judged.unwrap_or_else(|| Err(Problems::default())).map_err(Rejected::File)
    }

    fn allowed(&self, judged: &Config, new: &Definition) -> Result<(), Rejected> {
        match judged.declared.out.get(&new.id) {
            Some(Standing::Broken(problems)) => Err(Rejected::Invalid(Arc::new(new.clone()), problems.clone())),
            Some(Standing::Shadowed(problem)) => Err(Rejected::Taken(problem.message.clone())),
            None => self.others_stay(judged, &new.id),
        }
    }

    /// Whether all but this one are in force that are now.
    fn others_stay(&self, judged: &Config, but: &str) -> Result<(), Rejected> {
        self.those_stay(judged, |id| id != but)
    }

    /// Whether those are in force that are now.
    fn those_stay(&self, judged: &Config, those: impl Fn(&str) -> bool) -> Result<(), Rejected> {
        let now = self.live.current();
        let lost = judged.declared.definitions.list.iter().filter_map(|definition| {
            let standing = judged.declared.out.get(&definition.id)?;
            let new = those(&definition.id) && !now.declared.out.contains_key(&definition.id);
            Some((Arc::clone(definition), standing.problems().first().filter(|_| new)?.clone()))
        });
        let lost: Vec<_> = lost.collect();
        if lost.is_empty() { Ok(()) } else { Err(Rejected::Needed(lost)) }
    }

    async fn write(&self, new: &Definition) -> Result<Definition, Error> {
        Ok(match new.kind {
            Kind::Provider => {
                let (row, secret) = provider_row(new);
                let made = match secret {
                    Some(secret) => self.store.providers().create_with(row, &secret).await?,
                    None => self.store.providers().create(row).await?,
                };
                as_stored(new.clone(), &made)
            }
            Kind::Credential => {
                let made = self.store.credentials().create(credential_row(new)).await?;
                as_stored(new.clone(), &made)
            }
            Kind::Pool => as_stored(new.clone(), &self.store.pools().create(pool_row(new)).await?),
            Kind::Route => as_stored(new.clone(), &self.store.routes().create(route_row(new)).await?),
        })
    }

    async fn rewrite(&self, before: &Definition, new: &Definition) -> Result<Definition, Error> {
        let (id, revision) = (&*before.id, before.revision);
        Ok(match new.kind {
            Kind::Provider => {
                let (definition, secret) = split(&new.value);
                let row = store::Provider { name: new.name.to_string(), enabled: new.enabled, definition };
                // An empty one takes the place of one that is no more.
                let secret = secret.or_else(|| split(&before.value).1.map(|_| Secret::new("{}".to_owned())));
                let made = match secret.filter(|_| new.locked.is_none()) {
                    Some(secret) => self.store.providers().update_with(id, revision, row, &secret).await?,
                    None => self.store.providers().update(id, revision, row).await?,
                };
                as_stored(new.clone(), &made)
            }
            Kind::Credential => {
                let row = credential_row(new);
                let made = if new.locked.is_some() || new.secret() == before.secret() {
                    self.store.credentials().update(id, revision, row.credential).await?
                } else {
                    self.store.credentials().replace(id, revision, row).await?
                };
                as_stored(new.clone(), &made)
            }
            Kind::Pool => as_stored(new.clone(), &self.store.pools().update(id, revision, pool_row(new)).await?),
            Kind::Route => as_stored(new.clone(), &self.store.routes().update(id, revision, route_row(new)).await?),
        })
    }

    async fn done(
        &self,
        app: &App,
        seen: MutexGuard<'_, i64>,
        present: &Definitions,
        written: Definition,
    ) -> Arc<Definition> {
        let id = written.id.clone();
        let changed = present.with(written.clone());
        self.bring_in(app, seen, changed).await;
        self.present().find(&id).map_or_else(|| Arc::new(written), Arc::clone)
    }

    /// What is written is in force from now on. If the file is in the way, it will be when that is mended.
    async fn bring_in(&self, app: &App, mut seen: MutexGuard<'_, i64>, definitions: Definitions) {
        if self.take(definitions).await {
            self.enforce(app);
        }
        // It is compared with the database the next time, as others may have changed something meanwhile.
        *seen = -1;
    }
}

/// Whether all settings are in force but for those that were not before, and have not been changed.
fn settled(judged: &Config, before: &Definitions, after: &Settings) -> Result<(), Vec<Problem>> {
    let of = |settings: &Settings| {
        settings.all().into_iter().map(|(path, value)| (path, value.clone())).collect::<HashMap<_, _>>()
    };
    let (old, new) = (of(&before.settings), of(after));
    let mut problems = Vec::new();
    for (id, standing) in &judged.declared.out {
        let Some(path) = settings::path_of(id) else { continue };
        let kept = new.get(path).is_some_and(|value| old.get(path) == Some(value));
        let hidden = after.locked.is_some() && path == HOOKS.join(".");
        if !kept && !hidden {
            problems.extend(standing.problems().iter().cloned());
        }
    }
    problems.sort_by(|one, other| one.path.cmp(&other.path));
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What may be read of settings, and what is sealed of them.
fn split_hooks(value: &Value) -> (Value, Option<Secret>) {
    let mut open = if value.is_object() { value.clone() } else { Value::Object(Map::new()) };
    let [section, list] = HOOKS;
    let hooks = open.get_mut(section).and_then(Value::as_object_mut).and_then(|section| section.remove(list));
    let sealed = hooks.map(|hooks| Secret::new(serde_json::json!({ section: { list: hooks } }).to_string()));
    (open, sealed)
}

fn fits(before: &Definition, revision: Option<i64>) -> Result<(), Rejected> {
    match revision {
        Some(revision) if revision != before.revision => Err(Rejected::Stale(before.revision)),
        _ => Ok(()),
    }
}

fn definition_of<T>(kind: Kind, stored: &Stored<T>, name: &str, enabled: bool, value: Value) -> Definition {
    Definition {
        kind,
        id: stored.id.as_str().into(),
        name: name.into(),
        provider: Text::new(),
        enabled,
        revision: stored.revision,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
        value,
        locked: None,
    }
}

fn as_stored<T>(new: Definition, stored: &Stored<T>) -> Definition {
    Definition {
        id: stored.id.as_str().into(),
        revision: stored.revision,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
        ..new
    }
}

fn opened(held: Held) -> Result<String, Text> {
    match held {
        Held::Open(tokens) => Ok(tokens.secret.expose().to_owned()),
        Held::Locked(key) => Err(Error::Locked(key).to_string().into()),
        Held::Damaged => Err(Error::Unreadable("secret").to_string().into()),
    }
}

fn provider_row(new: &Definition) -> (store::Provider, Option<Secret>) {
    let (definition, secret) = split(&new.value);
    (store::Provider { name: new.name.to_string(), enabled: new.enabled, definition }, secret)
}

/// Whether there can be only one of the two. Secrets are compared where everything is judged.
fn is_called_the_same(known: &Definition, new: &Definition) -> bool {
    known.kind == new.kind
        && match new.kind {
            Kind::Provider | Kind::Pool => known.name == new.name,
            Kind::Route => known.name == new.name && known.value == new.value,
            Kind::Credential => false,
        }
}

fn pool_row(new: &Definition) -> store::Pool {
    store::Pool { name: new.name.to_string(), enabled: new.enabled, definition: new.value.clone() }
}

fn route_row(new: &Definition) -> store::Route {
    store::Route { name: new.name.to_string(), enabled: new.enabled, definition: new.value.clone() }
}

fn credential_row(new: &Definition) -> NewCredential {
    let (kind, secret) = new.secret().unwrap_or(("key", ""));
    let mut definition = new.value.clone();
    if let Value::Object(members) = &mut definition {
        members.retain(|name, _| !CREDENTIAL_SECRETS.contains(&name.as_str()));
    }
    let secret = Secret::new(secret.to_owned());
    let credential = store::Credential {
        enabled: new.enabled,
        definition,
        ..store::Credential::new(&new.provider, kind, &new.name)
    };
    NewCredential { credential, identity: secret.clone(), secret }
}

/// The members of a provider that may hold secrets; what stands in them is sealed as a whole.
pub(crate) const SECRET_MEMBERS: [&[&str]; 4] = [&["headers"], &["query"], &["proxy"], &["oauth", "client_secret"]];

/// What may be read of a provider, and what is sealed of it.
fn split(value: &Value) -> (Value, Option<Secret>) {
    let mut open = value.clone();
    let mut sealed = Value::Object(Map::new());
    for path in SECRET_MEMBERS {
        let Some((last, way)) = path.split_last() else { continue };
        let parent = way.iter().try_fold(&mut open, |value, key| value.get_mut(key));
        let Some(taken) = parent.and_then(Value::as_object_mut).and_then(|parent| parent.remove(*last)) else {
            continue;
        };
        let nested =
            path.iter().rev().fold(taken, |value, key| Value::from(Map::from_iter([((*key).to_owned(), value)])));
        merge(&mut sealed, nested);
    }
    let secret = sealed.as_object().is_some_and(|members| !members.is_empty()).then(|| Secret::new(sealed.to_string()));
    (open, secret)
}

/// Puts the members of one value into another, as JSON merge patches do (RFC 7396): `null` takes one out.
pub(crate) fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(members) = into else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_secret_of_a_provider_is_split_off_and_comes_back() {
        let whole = json!({
            "base_url": "https://a/v1", "headers": {"x-team": "t"}, "query": {"k": "v"}, "proxy": "http://u:p@h:1",
            "oauth": {"client_id": "c", "client_secret": "s"}
        });
        let (open, secret) = split(&whole);
        assert_eq!(open, json!({"base_url": "https://a/v1", "oauth": {"client_id": "c"}}));
        let mut joined = open;
        merge(&mut joined, serde_json::from_str(secret.unwrap().expose()).unwrap());
        assert_eq!(joined, whole);
        assert_eq!(split(&json!({"preset": "openai"})).1, None);
        assert_eq!(split(&json!([1])).0, json!([1]));
    }
}
