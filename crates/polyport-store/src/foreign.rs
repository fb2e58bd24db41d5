//! Databases of other programs: SQLite files that are read as they are and never written to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Number, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row, SqliteConnection, TypeInfo, ValueRef};

use crate::error::Error;
use crate::location::beside;

/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Rows that are counted of a table that is not read.
const COUNTED: u32 = 1_000_000;
/// For the whole file.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of a foreign database is read at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows of one table.
    pub rows: usize,
    /// Bytes of all values.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 200_000, bytes: 64 << 20 }
    }
}

/// What a foreign database holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Foreign {
    /// The rows of the tables that were wanted, in their order.
    pub tables: BTreeMap<String, Vec<Map<String, Value>>>,
    /// The other tables and how many rows they have; a million stands for any more.
    pub left: BTreeMap<String, u64>,
}

/// Why a foreign database was not read. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// Something else.
    #[error("{0} is no SQLite database")]
    NoDatabase(PathBuf),
    /// Another program is at work on it.
    #[error(
        "the latest changes of {path} are still in {journal}: stop the program it belongs to, so that it writes them into the file \
         (if none runs: `sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'`)"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What stands beside it.
        journal: PathBuf,
    },
    /// It is broken.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// More than is read.
    #[error("the table `{table}` of {path} has more than {limit}; take out what is not needed, or import a part of it")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The table.
        table: String,
        /// `200000 rows`.
        limit: String,
    },
    /// It takes too long.
    #[error("reading {0} takes longer than a minute")]
    TooSlow(PathBuf),
}

/// Whether a file begins like a database of SQLite.
///
/// # Errors
/// If it cannot be read.
pub fn is_sqlite(path: &Path) -> io::Result<bool> {
    let mut head = [0_u8; MAGIC.len()];
    match File::open(path)?.read_exact(&mut head) {
        Ok(()) => Ok(&head == MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the tables that `wanted` says yes to, by name and columns. The file is opened as one that never changes: nothing is written to it and
/// nothing is made beside it.
///
/// # Errors
/// [`ForeignError`]; no values of the database are in its words.
pub async fn read_foreign(
    path: &Path,
    limits: Limits,
    wanted: impl Fn(&str, &[String]) -> bool,
) -> Result<Foreign, ForeignError> {
    if !is_sqlite(path).map_err(|reason| ForeignError::Io { path: path.to_owned(), reason })? {
        return Err(ForeignError::NoDatabase(path.to_owned()));
    }
    for suffix in ["-wal", "-journal"] {
        let journal = beside(path, suffix);
        if std::fs::metadata(&journal).is_ok_and(|found| found.len() > 0) {
            return Err(ForeignError::Open { path: path.to_owned(), journal });
        }
    }
    match tokio::time::timeout(PATIENCE, read(path, limits, wanted)).await {
        Ok(read) => read,
        Err(_) => Err(ForeignError::TooSlow(path.to_owned())),
    }
}

async fn read(path: &Path, limits: Limits, wanted: impl Fn(&str, &[String]) -> bool) -> Result<Foreign, ForeignError> {
    let failed = |error: sqlx::Error| broken(path, error);
    let options =
        SqliteConnectOptions::new().filename(path).read_only(true).immutable(true).disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    let read = async {
        connection.execute("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON").await.map_err(failed)?;
        let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
        let rows = sqlx::query(names).fetch_all(&mut connection).await.map_err(failed)?;
        let names: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
        let mut foreign = Foreign::default();
        let mut bytes = 0;
        for name in names {
            let columns = sqlx::query("SELECT name FROM pragma_table_info(?)").bind(&name);
            let columns = columns.fetch_all(&mut connection).await.map_err(failed)?;
            let columns: Vec<String> =
                columns.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            if !wanted(&name, &columns) {
                let count = format!("SELECT count(*) FROM (SELECT 1 FROM {quoted} LIMIT {COUNTED})");
                let counted = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).fetch_one(&mut connection).await;
                let rows = u64::try_from(counted.map_err(failed)?).unwrap_or_default();
                foreign.left.insert(name, rows);
                continue;
            }
            let statement = format!("SELECT * FROM {quoted} LIMIT {}", limits.rows.saturating_add(1));
            let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&mut connection).await.map_err(failed)?;
            let too_large =
                |limit: String| ForeignError::TooLarge { path: path.to_owned(), table: name.clone(), limit };
            if rows.len() > limits.rows {
                return Err(too_large(format!("{} rows", limits.rows)));
            }
            let mut table = Vec::with_capacity(rows.len());
            for row in rows {
                table.push(members(&row, &mut bytes).map_err(failed)?);
                if bytes > limits.bytes {
                    return Err(too_large(format!("{} bytes", limits.bytes)));
                }
            }
            foreign.tables.insert(name, table);
        }
        Ok(foreign)
    };
    let read = read.await;
    // Nothing of it can be lost.
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "a foreign database was not closed well");
    }
    read
}

fn members(row: &SqliteRow, bytes: &mut usize) -> Result<Map<String, Value>, sqlx::Error> {
    let mut members = Map::new();
    for column in row.columns() {
        let at = column.ordinal();
        let raw = row.try_get_raw(at)?;
        let kind = if raw.is_null() { "NULL".to_owned() } else { raw.type_info().name().to_owned() };
        let value = match kind.as_str() {
            "NULL" => Value::Null,
            "INTEGER" | "INT4" | "INT8" | "BIGINT" | "BOOLEAN" => row.try_get_unchecked::<i64, _>(at)?.into(),
            "REAL" => Number::from_f64(row.try_get_unchecked(at)?).map_or(Value::Null, Value::Number),
            // Texts, times, and JSON that some programs keep as bytes.
            _ => {
                let content: Vec<u8> = row.try_get_unchecked(at)?;
                *bytes += content.len();
                match String::from_utf8(content) {
                    Ok(text) => text.into(),
                    Err(error) => format!("({} bytes)", error.as_bytes().len()).into(),
                }
            }
        };
        *bytes += column.name().len() + 8;
        members.insert(column.name().to_owned(), value);
    }
    Ok(members)
}

fn broken(path: &Path, error: sqlx::Error) -> ForeignError {
    let path = path.to_owned();
    match Error::from(error) {
        Error::Unavailable(reason) => ForeignError::Io { path, reason: io::Error::other(reason) },
        Error::Damaged(reason) | Error::Refused(reason) => ForeignError::Damaged { path, reason },
        other => ForeignError::Damaged { path, reason: other.to_string() },
    }
}
