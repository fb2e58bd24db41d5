//! What was learned about credentials: their state, and counters.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::db::Store;
use crate::error::Error;

/// Whether a credential can be used, as far as its provider said. Whether it may be is [`enabled`](crate::Credential::enabled).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It can.
    #[default]
    Ready,
    /// It rests until then, Unix milliseconds.
    Cooling {
        /// Unix milliseconds.
        until: i64,
    },
    /// Its quota is used up until then.
    Exhausted {
        /// Unix milliseconds.
        until: i64,
    },
    /// Somebody must do something.
    Invalid {
        /// What the provider said.
        reason: String,
    },
}

/// The state and counters of one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its id; for one of the configuration file whatever names it there.
    pub credential: String,
    /// Its state.
    pub state: State,
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
    /// Its state now, if it changed.
    pub state: Option<State>,
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

/// States and counters of all credentials.
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

    /// Adds what happened, all of it or nothing. Counters of several processes add up; of states the last one counts.
    pub async fn flush(&self, tallies: &[Tally]) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
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
    let (state, until, reason) = tally.state.as_ref().map_or(("ready", None, None), columns);
    // Without a new state the old one stays.
    let sets = if tally.state.is_some() {
        "INSERT INTO health (credential, state, until, reason, requests, successes, failures, last_used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (credential) DO UPDATE SET \
         state = excluded.state, until = excluded.until, reason = excluded.reason, \
         requests = health.requests + excluded.requests, successes = health.successes + excluded.successes, \
         failures = health.failures + excluded.failures, last_used_at = COALESCE(excluded.last_used_at, health.last_used_at)"
    } else {
        "INSERT INTO health (credential, state, until, reason, requests, successes, failures, last_used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (credential) DO UPDATE SET \
         requests = health.requests + excluded.requests, successes = health.successes + excluded.successes, \
         failures = health.failures + excluded.failures, last_used_at = COALESCE(excluded.last_used_at, health.last_used_at)"
    };
    sqlx::query(sets)
        .bind(tally.credential.as_str())
        .bind(state)
        .bind(until)
        .bind(reason)
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

fn columns(state: &State) -> (&'static str, Option<i64>, Option<&str>) {
    match state {
        State::Ready => ("ready", None, None),
        State::Cooling { until } => ("cooling", Some(*until), None),
        State::Exhausted { until } => ("exhausted", Some(*until), None),
        State::Invalid { reason } => ("invalid", None, Some(reason)),
    }
}

fn read(row: &AnyRow) -> Result<Health, Error> {
    let until = row.try_get::<Option<i64>, _>("until")?.unwrap_or_default();
    let state = match row.try_get::<&str, _>("state")? {
        "cooling" => State::Cooling { until },
        "exhausted" => State::Exhausted { until },
        "invalid" => State::Invalid { reason: row.try_get::<Option<String>, _>("reason")?.unwrap_or_default() },
        _ => State::Ready,
    };
    Ok(Health {
        credential: row.try_get("credential")?,
        state,
        requests: row.try_get("requests")?,
        successes: row.try_get("successes")?,
        failures: row.try_get("failures")?,
        statuses: BTreeMap::new(),
        last_used_at: row.try_get("last_used_at")?,
    })
}
