//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::key::{KeyError, KeyId};

/// Why the database is not opened. Nothing of it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An address of something else.
    #[error("`{scheme}` is no database that is known; write sqlite://PATH, or postgres://USER:PASSWORD@HOST/NAME")]
    Url {
        /// The word before the colon.
        scheme: String,
    },
    /// A path that is none.
    #[error("`{0}` is no path of a database file; write sqlite://data/polyport.db")]
    Path(String),
    /// The file system refuses.
    #[error("{path}: {reason}{}", hint(reason))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// Another process has the file.
    #[error(
        "{path} is in use by another process{}; stop it, or give this one a data folder of its own",
        process.map_or_else(String::new, |id| format!(" ({id})"))
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// Its number, where known.
        process: Option<u32>,
    },
    /// Not a database, or a broken one.
    #[error(
        "{path} is damaged or no SQLite database: {reason}. It was left as it is; restore a backup with `polyport restore FILE`"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The database belongs to another program.
    #[error("the database holds tables of another program ({tables}); give Polyport one of its own")]
    Foreign {
        /// Some of them.
        tables: String,
    },
    /// Written by a newer version.
    #[error(
        "the database has schema {found}, and this version of Polyport knows schemas up to {known}; start the newer version, \
         or restore a backup made before the upgrade"
    )]
    Newer {
        /// The version of the database.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The process before still uses the older schema.
    #[error(
        "this version brings schema {known} of the database, and the one that runs uses schema {found}: the two cannot share it; \
         stop the one that runs and start this one"
    )]
    Outgrown {
        /// The version of the database.
        found: i64,
        /// The one this version needs.
        known: i64,
    },
    /// A step to a newer schema failed; the database is as it was.
    #[error("the step from schema {from} to {to} failed and was taken back: {reason}{}", saved(backup.as_ref()))]
    Migration {
        /// The version of the database.
        from: i64,
        /// The version it should have become.
        to: i64,
        /// The database's words.
        reason: String,
        /// The copy that was made before.
        backup: Option<PathBuf>,
    },
    /// The server is away.
    #[error("the database cannot be reached: {0}; see that it runs and that the address is right")]
    Unavailable(String),
    /// The master key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something else.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What to do where the system refuses a file.
pub(crate) fn hint(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::PermissionDenied => {
            "; it must belong to the user that Polyport runs as: `ls -l` shows whose it is, `chown` gives it away"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; its disk is read-only: give another data folder with `--data`",
        io::ErrorKind::StorageFull => "; its disk is full: free some space, or give another data folder with `--data`",
        _ => "",
    }
}

fn saved(backup: Option<&PathBuf>) -> String {
    backup.map_or_else(String::new, |path| format!(". A copy from before is in {}", path.display()))
}

/// Why something was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Away, locked or too slow: go on with what is known and try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// No space left. Reading goes on.
    #[error("the database has no space left; free some on its disk")]
    Full,
    /// The file is broken.
    #[error("the database is damaged: {0}; stop and restore a backup with `polyport restore FILE`")]
    Damaged(String),
    /// There is none.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// Which kind.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Somebody else was faster.
    #[error("the {what} was changed meanwhile: it has revision {found}, not {expected}; read it again")]
    Conflict {
        /// Which kind.
        what: &'static str,
        /// The one that was read.
        expected: i64,
        /// The one there is.
        found: i64,
    },
    /// The name or the secret is there already.
    #[error("there is already such a {what}: `{name}`")]
    Taken {
        /// Which kind.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Others refer to it by this name.
    #[error("a {what} keeps its {member}; make a new one and delete this one")]
    Fixed {
        /// Which kind.
        what: &'static str,
        /// What cannot be changed.
        member: &'static str,
    },
    /// Nobody else could rule the gateway.
    #[error("this is the last admin who can sign in; make another one first")]
    LastAdmin,
    /// Sealed under a master key that is not here.
    #[error(
        "this secret is sealed under master key {0}, which is not the present one; put that key back, or enter the secret again"
    )]
    Locked(KeyId),
    /// Not what was written.
    #[error("the stored {0} cannot be read; enter it again")]
    Unreadable(&'static str),
    /// The key file.
    #[error("the master key: {0}")]
    Key(String),
    /// A mistake of this program.
    #[error("the database refused a statement: {0}")]
    Refused(String),
}

impl Error {
    /// Whether the same may succeed later: the database is away, locked, too slow or full.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full)
    }

    /// Whether there is no space left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                if let Some(sqlite) = database.try_downcast_ref::<SqliteError>() {
                    return sqlite_error(sqlite);
                }
                let code = database.try_downcast_ref::<PgDatabaseError>().map_or("", PgDatabaseError::code);
                postgres_error(code, database.message())
            }
            sqlx::Error::PoolTimedOut => Self::Unavailable("no connection within the time allowed".to_owned()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

/// <https://www.sqlite.org/rescode.html>
fn sqlite_error(error: &SqliteError) -> Error {
    use sqlx::error::DatabaseError;
    let code = error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    match code & 0xff {
        // BUSY, LOCKED, READONLY, INTERRUPT, IOERR, CANTOPEN, PROTOCOL
        5 | 6 | 8 | 9 | 10 | 14 | 15 => Error::Unavailable(error.message().to_owned()),
        13 => Error::Full,
        11 | 26 => Error::Damaged(error.message().to_owned()),
        _ => Error::Refused(error.message().to_owned()),
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn postgres_error(code: &str, message: &str) -> Error {
    match code.get(..2).unwrap_or_default() {
        _ if code == "53100" => Error::Full,
        // Connections, operators, resources, transactions that have to be tried again, locks, read-only replicas.
        "08" | "57" | "53" | "40" | "55" | "25" | "28" | "3D" => Error::Unavailable(message.to_owned()),
        "XX" => Error::Damaged(message.to_owned()),
        _ => Error::Refused(message.to_owned()),
    }
}

/// Whether a row of this kind is there already.
pub(crate) fn is_taken(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(database) if database.is_unique_violation())
}
