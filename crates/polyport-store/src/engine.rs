//! The two databases and the few words in which they differ.

/// How the statements of a connection begin their work. Every wait is bounded besides by [`Timeouts`](crate::Timeouts).
const SQLITE: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON";
const SQLITE_READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF; PRAGMA query_only = ON";
const POSTGRES: &str =
    "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'; SET synchronous_commit = on";

/// A log is larger and written all the time: more of it stays in memory, pages that are written again and again get to their place every 32
/// MiB, and what is deleted is overwritten where that costs nothing.
const SQLITE_LOG: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA trusted_schema = OFF; PRAGMA secure_delete = FAST; PRAGMA cache_size = -32768; \
     PRAGMA wal_autocheckpoint = 8192; PRAGMA journal_size_limit = 67108864";
const SQLITE_LOG_READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; \
     PRAGMA cache_size = -8192";

/// Which database it is. The statements are the same; the few differences ask here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// Begins a transaction that writes. SQLite takes the lock at once: one that reads first could not get it later.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// What a connection of the store is told first.
    pub(crate) fn setup(self, reads_only: bool) -> &'static str {
        match (self, reads_only) {
            (Self::Sqlite, false) => SQLITE,
            (Self::Sqlite, true) => SQLITE_READER,
            (Self::Postgres, _) => POSTGRES,
        }
    }

    /// What a connection of the log is told first.
    pub(crate) fn setup_log(self, reads_only: bool) -> &'static str {
        match (self, reads_only) {
            (Self::Sqlite, false) => SQLITE_LOG,
            (Self::Sqlite, true) => SQLITE_LOG_READER,
            (Self::Postgres, _) => POSTGRES,
        }
    }

    /// The few words of a schema that differ: `{ID}` is the type of a number that is the place of its row, `{PLACE}` adds that number to an
    /// index where the engine does not by itself, `{ORDERED}` keeps rows in the order of their primary key where the engine can.
    pub(crate) fn dialect(self, sql: &str) -> String {
        let (id, place, ordered) = match self {
            Self::Sqlite => ("INTEGER", "", " WITHOUT ROWID"),
            Self::Postgres => ("BIGINT", ", seq", ""),
        };
        sql.replace("{ID}", id).replace("{PLACE}", place).replace("{ORDERED}", ordered)
    }

    /// Tells SQLite which index to use, after the name of a table: it knows nothing of how many rows have which value.
    pub(crate) fn by_index(self, index: &str) -> String {
        match self {
            Self::Sqlite => format!(" INDEXED BY {index}"),
            Self::Postgres => String::new(),
        }
    }
}
