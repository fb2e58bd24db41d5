//! Copies of the database, and the way back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};

use crate::db::{Store, Timeouts, check_pages, connect, now, within};
use crate::engine::Engine;
use crate::error::{Error, OpenError};
use crate::key::{KeyFile, MasterKey};
use crate::location::{Location, beside, make_folder, make_private, private_file, sync_folder};
use crate::lock::{Lock, Turn};
use crate::migrate;

const POSTGRES: &str = "a Postgres database is copied and restored with its own tools, `pg_dump` and `pg_restore`";

/// Why a copy was not made, or did not take the place of the database, which is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// For servers.
    #[error("{POSTGRES}")]
    Postgres,
    /// The copy or the database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy is sealed under another master key.
    #[error(
        "the secrets of {path} are sealed under master key {found}, and the present key is {present}; put that key in place first, \
         or restore without its secrets by allowing another key"
    )]
    OtherKey {
        /// The copy.
        path: PathBuf,
        /// Its key.
        found: String,
        /// Ours.
        present: String,
    },
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The schema of the copy; a start brings it up.
    pub schema_version: i64,
    /// Where the database that was there is now.
    pub replaced: Option<PathBuf>,
}

impl Store {
    /// Copies the database into a new file while it is in use. The secrets in it stay sealed: keep the master key as well.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        if self.inner().engine == Engine::Postgres {
            return Err(Error::Refused(POSTGRES.to_owned()));
        }
        within(self.inner().timeouts.bulk, async {
            let mut connection = self.inner().writing.acquire().await?;
            copy(&mut connection, to).await
        })
        .await
    }
}

/// The same without opening the store: also while another process has it open.
pub async fn backup(url: &str, to: &Path) -> Result<(), RestoreError> {
    sqlx::any::install_default_drivers();
    let location = Location::parse(url)?;
    let Location::File(path) = &location else {
        return Err(RestoreError::Postgres);
    };
    let timeouts = Timeouts::default();
    // Looked at first, for the driver's words do not name the file.
    fs::metadata(path).map_err(|reason| OpenError::Io { path: path.clone(), reason })?;
    let mut connection = connect(&location, timeouts).await?;
    let copied = within(timeouts.bulk, copy(&mut connection, to)).await;
    let closed = connection.close().await.map_err(Error::from);
    Ok(copied.and(closed).map_err(OpenError::from)?)
}

/// Copies a database into a new file that only its owner may read.
pub(crate) async fn copy(connection: &mut AnyConnection, to: &Path) -> Result<(), Error> {
    let failed = |reason: io::Error| Error::Unavailable(format!("{}: {reason}", to.display()));
    let temporary = beside(to, ".part");
    if to.exists() {
        return Err(Error::Taken { what: "file", name: to.display().to_string() });
    }
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder).map_err(failed)?;
    }
    remove(&temporary).and_then(|()| private_file(&temporary)).map_err(failed)?;
    let name = temporary.to_string_lossy().replace('\'', "''");
    let copied = sqlx::query(AssertSqlSafe(format!("VACUUM INTO '{name}'"))).execute(connection).await;
    let placed = copied.map_err(Error::from).and_then(|_| {
        let synced = fs::File::open(&temporary).and_then(|file| file.sync_all());
        let placed = synced.and_then(|()| fs::rename(&temporary, to)).and_then(|()| sync_folder(to));
        placed.map_err(failed)
    });
    if placed.is_err() {
        remove(&temporary).map_err(failed)?;
    }
    placed
}

/// Puts a copy in the place of the database. It must be whole, of a schema that is known, and sealed under the present master key unless
/// `any_key`; nobody may have the database open. What was there is kept beside it.
pub async fn restore(
    url: &str,
    data: &Path,
    key: Option<MasterKey>,
    from: &Path,
    any_key: bool,
) -> Result<Restored, RestoreError> {
    sqlx::any::install_default_drivers();
    let Location::File(database) = Location::parse(url)? else {
        return Err(RestoreError::Postgres);
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |reason| OpenError::Io { path, reason }
    };
    if let Some(folder) = database.parent() {
        make_folder(folder).map_err(failed(folder))?;
    }
    let _lock = Lock::take(&database, Turn::First)?;
    let present = match key {
        Some(key) => Some(key),
        None => KeyFile::new(data).read().map_err(OpenError::from)?,
    };

    let incoming = beside(&database, ".restore");
    let checked = async {
        remove_all(&incoming).map_err(failed(&incoming))?;
        private_file(&incoming).map_err(failed(&incoming))?;
        fs::copy(from, &incoming).map_err(failed(from))?;
        make_private(&incoming).map_err(failed(&incoming))?;
        check(from, &incoming, present.as_ref(), any_key).await
    };
    let schema_version = match checked.await {
        Ok(version) => version,
        Err(error) => {
            remove_all(&incoming).map_err(failed(&incoming))?;
            return Err(error);
        }
    };

    let replaced = set_aside(&database).await.map_err(failed(&database))?;
    fs::rename(&incoming, &database).and_then(|()| sync_folder(&database)).map_err(failed(&database))?;
    Ok(Restored { schema_version, replaced })
}

/// Looks at a copy: whole, known, ours.
async fn check(from: &Path, incoming: &Path, present: Option<&MasterKey>, any_key: bool) -> Result<i64, RestoreError> {
    let location = Location::File(incoming.to_owned());
    let mut connection = connect(&location, Timeouts::default()).await.map_err(|error| named(from, error))?;
    let look = async {
        check_pages("PRAGMA integrity_check(1)", from, &mut connection).await?;
        let version = migrate::version(&mut connection, Engine::Sqlite, migrate::Schema::STORE).await?;
        migrate::check(version, migrate::STEPS)?;
        if version == 0 {
            return Err(OpenError::Damaged { path: from.to_owned(), reason: "it is empty".to_owned() });
        }
        let row = sqlx::query("SELECT key_id FROM meta").fetch_one(&mut connection).await.map_err(Error::from)?;
        Ok((version, row.try_get::<String, _>("key_id").map_err(Error::from)?))
    };
    let looked = look.await.map_err(|error| named(from, error));
    let closed = connection.close().await.map_err(Error::from).map_err(OpenError::from);
    let (version, found) = looked?;
    closed?;
    let present = present.map_or_else(|| "missing".to_owned(), |key| key.id().to_string());
    if !any_key && found != present {
        return Err(RestoreError::OtherKey { path: from.to_owned(), found, present });
    }
    Ok(version)
}

fn named(path: &Path, error: OpenError) -> OpenError {
    match error {
        OpenError::Store(Error::Damaged(reason)) | OpenError::Damaged { reason, .. } => {
            OpenError::Damaged { path: path.to_owned(), reason }
        }
        other => other,
    }
}

/// Gives a database a second name. What its journal holds is brought into the file first, if the file can still be read; a journal that
/// stayed would be taken for one of the database that comes.
async fn set_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    if let Ok(mut old) = connect(&Location::File(database.to_owned()), Timeouts::default()).await {
        let merged = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.map(drop);
        if let Err(error) = merged.and(old.close().await) {
            tracing::warn!(%error, "the journal of the database that is replaced could not be merged; it is kept beside it");
        }
    }
    let aside = beside(database, &format!(".replaced-{}", now()));
    for suffix in ["-wal", "-shm"] {
        match fs::rename(beside(database, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    if fs::hard_link(database, &aside).is_err() {
        fs::copy(database, &aside)?;
    }
    Ok(Some(aside))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_all(database: &Path) -> io::Result<()> {
    ["", "-wal", "-shm"].iter().try_for_each(|suffix| remove(&beside(database, suffix)))
}
