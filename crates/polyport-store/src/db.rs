//! The open database.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Row, Transaction};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use crate::audit::Audit;
use crate::credentials::Credentials;
use crate::declared::Declared;
use crate::engine::Engine;
use crate::error::{Error, OpenError};
use crate::health::HealthTable;
use crate::identity::Identities;
use crate::kept::Kept;
use crate::key::{KeyFile, KeyId, MasterKey};
use crate::lease::Leases;
use crate::location::{Location, beside, make_folder, make_private, private_file};
use crate::lock::{Lock, Turn};
use crate::migrate::Schema;
use crate::people::{ClientKey, Team, User};
use crate::pools::Pool;
use crate::providers::Provider;
use crate::routes::Route;
use crate::settings::Settings;
use crate::table::Table;
use crate::{backup, migrate};

/// Connections that read a file. They do not wait for the one that writes.
const READERS: u32 = 3;

/// Connections to a server.
const SERVER_CONNECTIONS: u32 = 10;

/// Larger files are not read through at every start.
const CHECKED_BYTES: u64 = 64 << 20;

/// How long the database may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To get a connection.
    pub connect: Duration,
    /// For one call of this crate.
    pub call: Duration,
    /// For work on everything: steps of the schema, copies, a new master key.
    pub bulk: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), call: Duration::from_secs(10), bulk: Duration::from_secs(600) }
    }
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) reading: AnyPool,
    pub(crate) writing: AnyPool,
    /// Whoever writes holds it for reading, so that no value is sealed under the old key while a new one takes its place.
    pub(crate) key: Arc<RwLock<MasterKey>>,
    pub(crate) key_file: Option<KeyFile>,
    pub(crate) timeouts: Timeouts,
    lock: Option<Lock>,
    /// Two processes have the file, for the time of a change of place.
    two: AtomicBool,
}

impl Store {
    /// Opens the database, makes it where there is none, and brings its schema to the newest version.
    ///
    /// `data` is the data folder; the master key is read from `master.key` there, or made, unless one is given. With another key than the
    /// one that secrets are sealed under, the database opens all the same: those are [`Held::Locked`](crate::Held::Locked), and stay as
    /// they are.
    pub async fn open(url: &str, data: &Path, key: Option<MasterKey>) -> Result<Self, OpenError> {
        Self::open_with(url, data, key, Timeouts::default()).await
    }

    /// The same with other time-outs.
    pub async fn open_with(
        url: &str,
        data: &Path,
        key: Option<MasterKey>,
        timeouts: Timeouts,
    ) -> Result<Self, OpenError> {
        Self::open_steps(url, data, key, timeouts, migrate::STEPS, Turn::First).await
    }

    /// The same for a process that may take the place of another.
    pub async fn open_in_turn(url: &str, data: &Path, key: Option<MasterKey>, turn: Turn) -> Result<Self, OpenError> {
        Self::open_steps(url, data, key, Timeouts::default(), migrate::STEPS, turn).await
    }

    pub(crate) async fn open_steps(
        url: &str,
        data: &Path,
        key: Option<MasterKey>,
        timeouts: Timeouts,
        steps: &[&'static str],
        turn: Turn,
    ) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let location = Location::parse(url)?;
        make_folder(data).map_err(|reason| OpenError::Io { path: data.to_owned(), reason })?;
        let (engine, lock) = match &location {
            Location::File(path) => (Engine::Sqlite, Some(prepare_file(path, turn)?)),
            Location::Server(_) => (Engine::Postgres, None),
        };
        let key_file = key.is_none().then(|| KeyFile::new(data));
        let mut key = match (key, &key_file) {
            (Some(key), _) => key,
            (None, file) => file.as_ref().map_or_else(|| Ok(MasterKey::generate()), KeyFile::read_or_make)?,
        };

        bring_up(&location, engine, Schema::Store(steps), &key.id().to_string(), timeouts, turn).await?;
        let options: AnyConnectOptions = location.driver_url().parse().map_err(Error::from)?;
        let pool = |connections, reads_only| {
            let setup = engine.setup(reads_only);
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(timeouts.connect)
                .after_connect(move |connection, _| Box::pin(async move { connection.execute(setup).await.map(drop) }))
                .after_release(|connection, _| Box::pin(is_clean(connection)))
                .connect_lazy_with(options.clone())
        };
        let (writing, reading) = match engine {
            Engine::Sqlite => (pool(1, false), pool(READERS, true)),
            Engine::Postgres => {
                let pool = pool(SERVER_CONNECTIONS, false);
                (pool.clone(), pool)
            }
        };
        // The writer comes first: it makes the file one that several may read.
        drop(writing.acquire().await.map_err(away)?);

        if let Some(file) = &key_file {
            key = settle_key(file, key, &writing).await?;
        }
        let store = Self(Arc::new(Inner {
            engine,
            reading,
            writing,
            key: Arc::new(RwLock::new(key)),
            key_file,
            timeouts,
            lock,
            two: AtomicBool::new(turn != Turn::First),
        }));
        store.report_key().await?;
        Ok(store)
    }

    /// Writes what is open and lets go of the database.
    pub async fn close(&self) {
        self.0.reading.close().await;
        self.0.writing.close().await;
    }

    /// Writes down that a database that belongs to one process belongs to this one.
    pub fn sign(&self) -> io::Result<()> {
        self.0.lock.as_ref().map_or(Ok(()), Lock::sign)
    }

    /// Providers that are not declared in the configuration file.
    #[must_use]
    pub fn providers(&self) -> Table<'_, Provider> {
        Table::new(self)
    }

    /// Credentials that are not declared in the configuration file, and their secrets.
    #[must_use]
    pub fn credentials(&self) -> Credentials<'_> {
        Credentials::new(self)
    }

    /// Pools that are not declared in the configuration file.
    #[must_use]
    pub fn pools(&self) -> Table<'_, Pool> {
        Table::new(self)
    }

    /// Routes that are not declared in the configuration file.
    #[must_use]
    pub fn routes(&self) -> Table<'_, Route> {
        Table::new(self)
    }

    /// What is declared beside those.
    #[must_use]
    pub fn declared(&self) -> Table<'_, Declared> {
        Table::new(self)
    }

    /// Teams of users.
    #[must_use]
    pub fn teams(&self) -> Table<'_, Team> {
        Table::new(self)
    }

    /// Users.
    #[must_use]
    pub fn users(&self) -> Table<'_, User> {
        Table::new(self)
    }

    /// Keys of clients that are not declared in the configuration file.
    #[must_use]
    pub fn client_keys(&self) -> Table<'_, ClientKey> {
        Table::new(self)
    }

    /// How people sign in, and where they are signed in.
    #[must_use]
    pub fn identities(&self) -> Identities<'_> {
        Identities::new(self)
    }

    /// What was done, by whom.
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit::new(self)
    }

    /// What happened with credentials, those of the configuration file included.
    #[must_use]
    pub fn health(&self) -> HealthTable<'_> {
        HealthTable::new(self)
    }

    /// Single values.
    #[must_use]
    pub fn settings(&self) -> Settings<'_> {
        Settings::new(self)
    }

    /// What is remembered between requests for a time.
    #[must_use]
    pub fn kept(&self) -> Kept<'_> {
        Kept::new(self)
    }

    /// Turns that processes take.
    #[must_use]
    pub fn leases(&self) -> Leases<'_> {
        Leases::new(self)
    }

    /// Whether it is a database server, and no file.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.0.engine == Engine::Postgres
    }

    /// Whether other processes may have this database open.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.is_server() || self.0.two.load(Ordering::Relaxed)
    }

    /// Says whether another process has the database open as well, because one takes the other's place.
    pub fn set_two(&self, two: bool) {
        self.0.two.store(two, Ordering::Relaxed);
    }

    /// A number that grows whenever providers, credentials, pools, routes or settings change, by whichever process. Read it before the
    /// objects: then a change in between is found the next time. Tokens, counters and what is kept do not count.
    pub async fn changes(&self) -> Result<i64, Error> {
        self.timed(async {
            let row = sqlx::query("SELECT changes FROM meta").fetch_one(&self.0.reading).await?;
            Ok(row.try_get("changes")?)
        })
        .await
    }

    /// The id of the present master key.
    pub async fn key_id(&self) -> KeyId {
        self.0.key.read().await.id()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) async fn key(&self) -> OwnedRwLockReadGuard<MasterKey> {
        Arc::clone(&self.0.key).read_owned().await
    }

    /// Begins to write. Without [`Change::commit`] nothing happens.
    pub(crate) async fn begin(&self) -> Result<Change, Error> {
        let key = self.key().await;
        let transaction = self.0.writing.begin_with(self.0.engine.begin()).await?;
        Ok(Change { transaction, key })
    }

    /// Bounds the time of one call.
    pub(crate) async fn timed<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        within(self.0.timeouts.call, work).await
    }

    /// Says once, at the start, when secrets are sealed under another key. When none is left, the present key is that of the database.
    async fn report_key(&self) -> Result<(), Error> {
        let (locked, present) = (self.locked().await?, self.key_id().await);
        if let Some((_, other)) = locked.first() {
            tracing::error!(
                secrets = locked.len(),
                sealed_under = %other,
                present_key = %present,
                "secrets are sealed under another master key and cannot be used; put that key back, or enter them again"
            );
            return Ok(());
        }
        self.timed(async {
            let mut change = self.begin().await?;
            let mark = sqlx::query("UPDATE meta SET key_id = $1 WHERE key_id <> $1").bind(present.to_string());
            mark.execute(change.connection()).await?;
            change.commit().await
        })
        .await
    }
}

/// A transaction that writes, and the key that is valid meanwhile.
pub(crate) struct Change {
    transaction: Transaction<'static, Any>,
    pub(crate) key: OwnedRwLockReadGuard<MasterKey>,
}

impl Change {
    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// Keeps what was written; it is on the disk when this returns.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        Ok(self.transaction.commit().await?)
    }

    /// The same for what the gateway's snapshot holds: counts as a change.
    pub(crate) async fn commit_change(mut self) -> Result<(), Error> {
        self.count().await?;
        self.commit().await
    }

    /// Counts as a change. From here on no other change is made before the end of this one.
    pub(crate) async fn count(&mut self) -> Result<(), Error> {
        sqlx::query("UPDATE meta SET changes = changes + 1").execute(self.connection()).await?;
        Ok(())
    }
}

/// Whether a connection may be used again. SQLite ends a transaction by itself when the disk is full; the driver's own end of it then fails,
/// and it would take the connection for one inside a transaction ever after.
pub(crate) async fn is_clean(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    // Waits for an end that is under way.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Bounds the time of some work.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limit, Box::pin(work)).await {
        Ok(result) => result,
        Err(_) => Err(Error::Unavailable(format!("no answer within {limit:?}"))),
    }
}

/// Now, in Unix milliseconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A new id: a UUID that begins with the time, so that rows stand in the order they were made.
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Folder, lock, form and rights of a database file.
pub(crate) fn prepare_file(path: &Path, turn: Turn) -> Result<Lock, OpenError> {
    let failed = |reason| OpenError::Io { path: path.to_owned(), reason };
    if let Some(folder) = path.parent() {
        make_folder(folder).map_err(failed)?;
    }
    let lock = Lock::take(path, turn)?;
    match private_file(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut head = Vec::new();
            fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut head)).map_err(failed)?;
            if !head.is_empty() && head != b"SQLite format 3\0" {
                let reason = "it does not begin like one".to_owned();
                return Err(OpenError::Damaged { path: path.to_owned(), reason });
            }
            make_private(path).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    Ok(lock)
}

/// Looks at the database and brings its schema up; of a file that holds something, a copy is made before.
pub(crate) async fn bring_up(
    location: &Location,
    engine: Engine,
    schema: Schema<'_>,
    key_id: &str,
    timeouts: Timeouts,
    turn: Turn,
) -> Result<(), OpenError> {
    let mut connection = connect(location, timeouts).await?;
    let work = async {
        if let Location::File(path) = location {
            check_file(path, &mut connection).await?;
        }
        let found = migrate::version(&mut connection, engine, schema).await?;
        migrate::check(found, schema.steps())?;
        let known = migrate::number(schema.steps());
        if found == known {
            return Ok(());
        }
        if matches!((location, turn), (Location::File(_), Turn::After(_))) {
            return Err(OpenError::Outgrown { found, known });
        }
        if matches!((location, schema), (Location::File(_), Schema::Log(_))) && found == 0 {
            // As long as there is no table: what is deleted can then be given back to the disk.
            let vacuum = sqlx::query("PRAGMA auto_vacuum = INCREMENTAL").execute(&mut connection).await;
            vacuum.map_err(Error::from)?;
        }
        let copy = match location {
            // A log may be many times as large as what is free beside it.
            Location::File(path) if found > 0 && matches!(schema, Schema::Store(_)) => {
                Some(copy_before(path, found, &mut connection).await?)
            }
            _ => None,
        };
        migrate::run(&mut connection, engine, schema, key_id).await.map_err(|error| match error {
            OpenError::Migration { from, to, reason, .. } => {
                OpenError::Migration { from, to, reason, backup: copy.clone() }
            }
            other => other,
        })?;
        if found > 0 {
            let backup = copy.map(|path| path.display().to_string()).unwrap_or_default();
            tracing::info!(from = found, to = known, backup, "the database has a new schema");
        }
        Ok(())
    };
    let result = match tokio::time::timeout(timeouts.bulk, Box::pin(work)).await {
        Ok(result) => result,
        Err(_) => Err(OpenError::Unavailable(format!("no answer within {:?}", timeouts.bulk))),
    };
    let closed = connection.close().await;
    result.map_err(|error| damaged(location, error))?;
    closed.map_err(away)
}

pub(crate) async fn connect(location: &Location, timeouts: Timeouts) -> Result<AnyConnection, OpenError> {
    let url = location.driver_url();
    let connecting = tokio::time::timeout(timeouts.connect, AnyConnection::connect(&url));
    match connecting.await {
        Ok(connection) => connection.map_err(|error| damaged(location, away(error))),
        Err(_) => Err(OpenError::Unavailable(format!("no answer within {:?}", timeouts.connect))),
    }
}

/// Reads a file through, unless that would take long.
async fn check_file(path: &Path, connection: &mut AnyConnection) -> Result<(), OpenError> {
    let bytes = fs::metadata(path).map_err(|reason| OpenError::Io { path: path.to_owned(), reason })?.len();
    if bytes > CHECKED_BYTES { Ok(()) } else { check_pages("PRAGMA quick_check(1)", path, connection).await }
}

pub(crate) async fn check_pages(
    pragma: &'static str,
    path: &Path,
    connection: &mut AnyConnection,
) -> Result<(), OpenError> {
    let row = sqlx::query(pragma).fetch_one(connection).await.map_err(Error::from)?;
    let found: String = row.try_get(0).map_err(Error::from)?;
    if found == "ok" { Ok(()) } else { Err(OpenError::Damaged { path: path.to_owned(), reason: found }) }
}

async fn copy_before(path: &Path, version: i64, connection: &mut AnyConnection) -> Result<PathBuf, OpenError> {
    let copy = beside(path, &format!(".v{version}-{}.bak", now()));
    backup::copy(connection, &copy).await.map_err(OpenError::Store)?;
    Ok(copy)
}

/// A damaged file has a name.
fn damaged(location: &Location, error: OpenError) -> OpenError {
    match (location, error) {
        (Location::File(path), OpenError::Store(Error::Damaged(reason))) => {
            OpenError::Damaged { path: path.clone(), reason }
        }
        (_, OpenError::Store(Error::Unavailable(reason))) => OpenError::Unavailable(reason),
        (_, error) => error,
    }
}

pub(crate) fn away(error: sqlx::Error) -> OpenError {
    match Error::from(error) {
        Error::Unavailable(reason) => OpenError::Unavailable(reason),
        other => OpenError::Store(other),
    }
}

/// After a rotation that was cut short one of two key files is the right one: the database knows which.
async fn settle_key(file: &KeyFile, key: MasterKey, pool: &AnyPool) -> Result<MasterKey, OpenError> {
    let Some(staged) = file.staged()? else {
        return Ok(key);
    };
    let row = sqlx::query("SELECT key_id FROM meta").fetch_one(pool).await.map_err(away)?;
    let sealed_under: String = row.try_get("key_id").map_err(away)?;
    if sealed_under == staged.id().to_string() {
        file.promote()?;
        Ok(staged)
    } else {
        file.unstage()?;
        Ok(key)
    }
}
