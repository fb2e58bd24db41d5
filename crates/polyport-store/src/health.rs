//! What happened with credentials, in numbers.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::db::{Store, now};
use crate::error::Error;

/// Writers that were silent for so long are gone.
const WRITERS_KEPT_MS: i64 = 7 * 24 * 3_600_000;

/// The counters of one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its id; for one of the configuration file whatever names it there.
    pub credential: String,
    /// Requests in all.
    pub requests: i64,
    /// Those that succeeded.
    pub successes: i64,
    /// Those that failed.
    pub failures: i64,
    /// How often each status was answered.
    pub statuses: BTreeMap<u16, i64>,
    /// Unix milliseconds.
    pub last_used_at: Option<i64>,
}

/// What happened to one credential since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Its id.
    pub credential: String,
    /// Requests more.
    pub requests: i64,
    /// Successes more.
    pub successes: i64,
    /// Failures more.
    pub failures: i64,
    /// Statuses more.
    pub statuses: BTreeMap<u16, i64>,
    /// Unix milliseconds.
    pub last_used_at: Option<i64>,
}

/// The counters of all credentials.
#[derive(Clone, Copy, Debug)]
pub struct HealthTable<'s> {
    store: &'s Store,
}

impl<'s> HealthTable<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store }
    }

    /// All that is known.
    pub async fn list(&self) -> Result<Vec<Health>, Error> {
        self.store
            .timed(async {
                let pool = &self.store.inner().reading;
                let rows = sqlx::query("SELECT * FROM health ORDER BY credential").fetch_all(pool).await?;
                let mut all = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                for row in sqlx::query("SELECT * FROM health_statuses").fetch_all(pool).await? {
                    let credential: &str = row.try_get("credential")?;
                    let Ok(at) = all.binary_search_by(|health| health.credential.as_str().cmp(credential)) else {
                        continue;
                    };
                    let status = u16::try_from(row.try_get::<i64, _>("status")?).unwrap_or_default();
                    all[at].statuses.insert(status, row.try_get("answers")?);
                }
                Ok(all)
            })
            .await
    }

    /// Adds what happened, all of it or nothing, and once: what a writer offers again under the same number is not added again. Its numbers
    /// grow. A call that ended without an answer is repeated as it was. Counters of several processes add up.
    pub async fn flush(&self, writer: &str, number: i64, tallies: &[Tally]) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let now = now();
                let mark = sqlx::query(
                    "INSERT INTO flushes (writer, number, written_at) VALUES ($1, $2, $3) ON CONFLICT (writer) DO UPDATE SET \
                     number = excluded.number, written_at = excluded.written_at WHERE flushes.number < excluded.number",
                );
                let mark = mark.bind(writer).bind(number).bind(now);
                if mark.execute(change.connection()).await?.rows_affected() == 0 {
                    return change.commit().await;
                }
                let old = sqlx::query("DELETE FROM flushes WHERE written_at < $1").bind(now - WRITERS_KEPT_MS);
                old.execute(change.connection()).await?;
                for tally in tallies {
                    add(change.connection(), tally).await?;
                }
                change.commit().await
            })
            .await
    }

    /// Forgets credentials that are no more.
    pub async fn forget(&self, credentials: &[&str]) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                for credential in credentials {
                    let delete = sqlx::query("DELETE FROM health WHERE credential = $1").bind(*credential);
                    delete.execute(change.connection()).await?;
                }
                change.commit().await
            })
            .await
    }
}

async fn add(connection: &mut AnyConnection, tally: &Tally) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO health (credential, requests, successes, failures, last_used_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (credential) DO UPDATE SET \
         requests = health.requests + excluded.requests, successes = health.successes + excluded.successes, \
         failures = health.failures + excluded.failures, last_used_at = COALESCE(excluded.last_used_at, health.last_used_at)",
    )
    .bind(tally.credential.as_str())
    .bind(tally.requests)
    .bind(tally.successes)
    .bind(tally.failures)
    .bind(tally.last_used_at)
    .execute(&mut *connection)
    .await?;
    for (status, answers) in &tally.statuses {
        sqlx::query(
            "INSERT INTO health_statuses (credential, status, answers) VALUES ($1, $2, $3) \
             ON CONFLICT (credential, status) DO UPDATE SET answers = health_statuses.answers + excluded.answers",
        )
        .bind(tally.credential.as_str())
        .bind(i64::from(*status))
        .bind(*answers)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn read(row: &AnyRow) -> Result<Health, Error> {
    Ok(Health {
        credential: row.try_get("credential")?,
        requests: row.try_get("requests")?,
        successes: row.try_get("successes")?,
        failures: row.try_get("failures")?,
        statuses: BTreeMap::new(),
        last_used_at: row.try_get("last_used_at")?,
    })
}
