//! What has been used: requests that have ended, in a database of their own, so that neither their number nor their speed is felt by what
//! is declared.
//!
//! | module | what |
//! |---|---|
//! | [`entry`] | a request that has ended, its attempts, how far a journal is written |
//! | `write`, `pack` | a batch, in one transaction; in few bytes |
//! | `parts`, `walk`, `words` | tables of a day or a month, pages of their rows; the dictionary of texts that repeat |
//! | `rollup`, [`stats`], [`used`] | sums per minute, hour, day and month, questions about them, and what counts towards limits |
//! | `spread`, [`times`] | percentiles of what is added up: how long requests took |
//! | [`search`], [`ledger`] | requests and attempts, page by page |
//! | [`retention`] | what is old goes, and what tells of people who do not want to be told of |
//!
//! Rows of requests and of the ledger stand in the order of their moments in tables of a day and a month (UTC), which are made when they are
//! needed. A page looks at a bounded number of rows and says where to go on. Statistics read sums only.

pub mod entry;
pub mod ledger;
mod pack;
mod parts;
pub mod retention;
mod rollup;
pub mod search;
mod spread;
mod sql;
pub mod stats;
mod time;
pub mod times;
pub mod used;
mod walk;
mod words;
mod write;

use std::io;
use std::sync::Arc;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, Executor, Transaction};
use tokio::sync::Semaphore;

use crate::db::{Timeouts, away, bring_up, is_clean, prepare_file, within};
use crate::engine::Engine;
use crate::error::{Error, OpenError};
use crate::location::Location;
use crate::lock::{Lock, Turn};
use crate::migrate::Schema;

pub use entry::{Attempt, Ending, Entry, Payload, Position, State};
pub use ledger::{LedgerQuery, Line};
pub use retention::{Forgotten, Old};
pub use search::{Export, Found, Query, Status};
pub use spread::Spread;
pub use stats::{Dimension, Measure, StatsQuery, StatsRow, Totals};
pub use time::Period;
pub use times::Times;
pub use used::Used;
pub use walk::{Cursor, CursorError, Order, Page};

/// The schema of what is not in parts; see [`crate::migrate`].
const STEPS: &[&str] =
    &[include_str!("../../migrations/log/0001_start.sql"), include_str!("../../migrations/log/0002_times.sql")];

/// Connections that read. Those who write have one of their own, and never wait for these.
const READERS: u32 = 4;

/// How many of them may be busy with sums over long times, so that there is always one for a list.
const HEAVY: usize = 2;

/// Held by whoever writes to a log that several processes share. Any number that nothing else uses.
const POSTGRES_LOCK: i64 = 0x706f_6c79_706c_6f67;

/// The log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Engine,
    reading: AnyPool,
    /// One connection: batches come one after the other.
    writing: AnyPool,
    heavy: Semaphore,
    words: words::Memory,
    ties: write::Ties,
    timeouts: Timeouts,
    lock: Option<Lock>,
}

impl Log {
    /// Opens the log at `sqlite://PATH` or `postgres://…`, makes it where there is none, and brings its schema to the newest version. A server
    /// may have it beside the other database; a file is its own.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_with(url, Timeouts::default()).await
    }

    /// The same with other time-outs.
    pub async fn open_with(url: &str, timeouts: Timeouts) -> Result<Self, OpenError> {
        Self::open_in_turn(url, timeouts, Turn::First).await
    }

    /// The same for a process that may take the place of another.
    pub async fn open_in_turn(url: &str, timeouts: Timeouts, turn: Turn) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let location = Location::parse(url)?;
        let (engine, lock) = match &location {
            Location::File(path) => (Engine::Sqlite, Some(prepare_file(path, turn)?)),
            Location::Server(_) => (Engine::Postgres, None),
        };
        bring_up(&location, engine, Schema::Log(STEPS), "", timeouts, turn).await?;
        let options: AnyConnectOptions = location.driver_url().parse().map_err(Error::from)?;
        let pool = |connections, reads_only| {
            let setup = engine.setup_log(reads_only);
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(timeouts.connect)
                .after_connect(move |connection, _| Box::pin(async move { connection.execute(setup).await.map(drop) }))
                .after_release(|connection, _| Box::pin(is_clean(connection)))
                .connect_lazy_with(options.clone())
        };
        let (writing, reading) = (pool(1, false), pool(READERS, true));
        // The writer comes first: it makes the file one that several may read.
        drop(writing.acquire().await.map_err(away)?);
        Ok(Self(Arc::new(Inner {
            engine,
            reading,
            writing,
            heavy: Semaphore::new(HEAVY),
            words: words::Memory::default(),
            ties: write::Ties::new(),
            timeouts,
            lock,
        })))
    }

    /// Writes what is open and lets go of the database.
    pub async fn close(&self) {
        self.0.reading.close().await;
        self.0.writing.close().await;
    }

    /// Writes down that a log that belongs to one process belongs to this one.
    pub fn sign(&self) -> io::Result<()> {
        self.0.lock.as_ref().map_or(Ok(()), Lock::sign)
    }

    /// Bounds the time of one call.
    async fn timed<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        within(self.0.timeouts.call, work).await
    }

    /// The same for work that reads much: only some of it goes on at once.
    async fn timed_heavy<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.timed(async {
            let _turn = self.0.heavy.acquire().await.map_err(|_| Error::Unavailable("it is closed".to_owned()))?;
            work.await
        })
        .await
    }

    /// Begins to write. Whoever does is alone.
    async fn begin(&self) -> Result<Transaction<'static, Any>, Error> {
        let mut transaction = self.0.writing.begin_with(self.0.engine.begin()).await?;
        if self.0.engine == Engine::Postgres {
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(POSTGRES_LOCK);
            lock.execute(&mut *transaction).await?;
        }
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: i64) -> Entry {
        Entry {
            id: format!("r{number}"),
            at: 1_795_953_600_000 + number,
            payload: Some(Payload { request: Some("x".repeat(10_000)), ..Payload::default() }),
            ..Entry::default()
        }
    }

    #[tokio::test]
    async fn an_older_log_gets_the_sums_of_teams() {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/log.db", folder.path().display());
        let location = Location::parse(&url).unwrap();
        let Location::File(path) = &location else { panic!("{location:?}") };
        let lock = prepare_file(path, Turn::First).unwrap();
        let first = Schema::Log(STEPS.get(..1).unwrap());
        bring_up(&location, Engine::Sqlite, first, "", Timeouts::default(), Turn::First).await.unwrap();
        let mut old = crate::db::connect(&location, Timeouts::default()).await.unwrap();
        let words =
            "INSERT INTO log_words (id, kind, owner, word) VALUES (1, {TEAM}, 0, 'blue'), (2, {CURRENCY}, 0, 'EUR')";
        let number = |kind: words::Kind| kind.number().to_string();
        let words = words.replace("{TEAM}", &number(words::Kind::Team));
        let words = words.replace("{CURRENCY}", &number(words::Kind::Currency));
        old.execute(sqlx::AssertSqlSafe(words)).await.unwrap();
        // Of two keys of a team, and of nobody's; each cost almost a thousandth more than so many.
        for table in ["log_minutes", "log_hours", "log_days", "log_months"] {
            let callers = if table == "log_days" || table == "log_months" { 3 } else { 4 };
            for (level, key, team, requests) in
                [(0, 0, 0, 7), (callers, 5, 1, 2), (callers, 6, 1, 3), (callers, 7, 0, 2)]
            {
                let zeros = vec!["0"; 19].join(", ");
                let row = format!(
                    "{level}, 0, {key}, 0, {team}, 0, 2, 0, 0, {requests}, {zeros}, 0, 0, {requests}, 999999999"
                );
                old.execute(sqlx::AssertSqlSafe(format!("INSERT INTO {table} VALUES ({row})"))).await.unwrap();
            }
        }
        sqlx::Connection::close(old).await.unwrap();
        drop(lock);

        let log = Log::open(&url).await.unwrap();
        for period in Period::ALL {
            let by_team = StatsQuery {
                period,
                from: 0,
                to: 1,
                by: vec![Dimension::Team],
                series: true,
                only: std::collections::BTreeMap::new(),
                sort: Measure::Requests,
                limit: 10,
            };
            let rows = log.stats(&by_team).await.unwrap();
            let told: Vec<_> = rows
                .iter()
                .map(|row| (row.of[&Dimension::Team].as_deref(), row.sums.requests, row.sums.cost["EUR"]))
                .collect();
            assert_eq!(told, [(Some("blue"), 5, 6_999_999_998), (None, 2, 2_999_999_999)], "{period:?}");
            if period != Period::Month {
                assert_eq!(log.times(&by_team).await.unwrap().unwrap().len(), 0, "of old requests nothing is known");
            }
        }
    }

    #[tokio::test]
    async fn s5_a_full_disk_fails_loudly_and_what_failed_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&format!("sqlite://{}/log.db", folder.path().display())).await.unwrap();
        let limit = async |pragma: &'static str| {
            log.0.writing.acquire().await.unwrap().execute(pragma).await.unwrap();
        };
        let until = |offset| Position { journal: "j".into(), segment: 0, offset };
        log.write(&[entry(0)], &until(1)).await.unwrap();
        limit("PRAGMA max_page_count = 60").await;
        let batch: Vec<Entry> = (1..50).map(entry).collect();
        for _ in 0..3 {
            let error = log.write(&batch, &until(2)).await.unwrap_err();
            assert!(error.is_full(), "{error:?}");
            assert_eq!(log.position("j").await.unwrap(), Some(until(1)));
            assert_eq!(log.requests(&Query { limit: 9, ..Query::default() }).await.unwrap().rows.len(), 1);
        }
        limit("PRAGMA max_page_count = 1000000").await;
        log.write(&batch, &until(2)).await.unwrap();
        assert_eq!(log.requests(&Query { limit: 99, ..Query::default() }).await.unwrap().rows.len(), 50);
    }
}
