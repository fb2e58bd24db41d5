//! The schema: numbered steps inside the program, all of them in one transaction.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use crate::engine::Engine;
use crate::error::{Error, OpenError};

/// The steps. The number of a step is its place in the list; a step that was released is never changed.
pub(crate) const STEPS: &[&str] = &[
    include_str!("../migrations/0001_start.sql"),
    include_str!("../migrations/0002_turns.sql"),
    include_str!("../migrations/0003_definitions.sql"),
    include_str!("../migrations/0004_people.sql"),
    include_str!("../migrations/0005_identity.sql"),
    include_str!("../migrations/0006_declared.sql"),
];

/// Any number that other programs do not use for their locks.
const POSTGRES_LOCK: i64 = 0x706f_6c79_706f_7274;

/// Names of the tables of the log begin with it; no table of the store does. A server may have both in one database.
const LOG: &str = "log_";

/// The tables of which part of Polyport.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schema<'s> {
    /// What is declared and kept.
    Store(&'s [&'static str]),
    /// What has been used.
    Log(&'s [&'static str]),
}

impl<'s> Schema<'s> {
    /// Of the store, as it is today.
    pub(crate) const STORE: Schema<'static> = Schema::Store(STEPS);

    pub(crate) fn steps(self) -> &'s [&'static str] {
        let (Self::Store(steps) | Self::Log(steps)) = self;
        steps
    }

    fn owns(self, table: &str) -> bool {
        table.starts_with(LOG) == matches!(self, Self::Log(_))
    }

    fn landmarks(self) -> &'static [&'static str] {
        match self {
            Self::Store(_) => &["meta", "providers", "secrets"],
            Self::Log(_) => &["log_meta", "log_words", "log_parts"],
        }
    }

    fn meta(self) -> &'static str {
        match self {
            Self::Store(_) => "meta",
            Self::Log(_) => "log_meta",
        }
    }
}

/// The schema of a database; 0 of an empty one.
pub(crate) async fn version(
    connection: &mut AnyConnection,
    engine: Engine,
    schema: Schema<'_>,
) -> Result<i64, OpenError> {
    let tables = match engine {
        Engine::Sqlite => "SELECT name AS name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        Engine::Postgres => {
            "SELECT CAST(tablename AS TEXT) AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
        }
    };
    let rows = sqlx::query(tables).fetch_all(&mut *connection).await.map_err(Error::from)?;
    let tables: Vec<String> = rows.iter().filter_map(|row| row.try_get("name").ok()).collect();
    let own = || tables.iter().filter(|table| schema.owns(table));
    if own().next().is_none() && (tables.is_empty() || engine == Engine::Postgres) {
        return Ok(0);
    }
    if !schema.landmarks().iter().all(|name| own().any(|table| table == name)) {
        let some: Vec<&str> = tables.iter().map(String::as_str).take(3).collect();
        return Err(OpenError::Foreign { tables: some.join(", ") });
    }
    let sql = format!("SELECT schema_version FROM {}", schema.meta());
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(connection).await.map_err(Error::from)?;
    schema_version(&row).map_err(OpenError::Store)
}

/// Refuses a schema that is not known here.
pub(crate) fn check(found: i64, steps: &[&str]) -> Result<(), OpenError> {
    let known = number(steps);
    if found > known { Err(OpenError::Newer { found, known }) } else { Ok(()) }
}

/// Brings the schema to the newest version, or leaves it as it was. Of several processes one does it and the others wait.
pub(crate) async fn run(
    connection: &mut AnyConnection,
    engine: Engine,
    schema: Schema<'_>,
    key_id: &str,
) -> Result<(), OpenError> {
    let steps = schema.steps();
    let mut from = 0;
    let to = number(steps);
    let migration = async {
        let mut transaction = connection.begin_with(engine.begin()).await.map_err(Error::from)?;
        if engine == Engine::Postgres {
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(POSTGRES_LOCK);
            lock.execute(&mut *transaction).await.map_err(Error::from)?;
        }
        from = version(&mut transaction, engine, schema).await?;
        check(from, steps)?;
        for step in steps.iter().skip(usize::try_from(from).unwrap_or(0)) {
            sqlx::raw_sql(AssertSqlSafe(engine.dialect(step))).execute(&mut *transaction).await.map_err(Error::from)?;
        }
        let mark = match schema {
            Schema::Store(_) if from == 0 => {
                sqlx::query("INSERT INTO meta (only_row, schema_version, changes, key_id) VALUES (1, $1, 0, $2)")
                    .bind(to)
                    .bind(key_id)
            }
            Schema::Store(_) => sqlx::query("UPDATE meta SET schema_version = $1").bind(to),
            Schema::Log(_) if from == 0 => {
                sqlx::query("INSERT INTO log_meta (only_row, schema_version) VALUES (1, $1)").bind(to)
            }
            Schema::Log(_) => sqlx::query("UPDATE log_meta SET schema_version = $1").bind(to),
        };
        mark.execute(&mut *transaction).await.map_err(Error::from)?;
        transaction.commit().await.map_err(Error::from)?;
        Ok(())
    };
    match migration.await {
        Err(OpenError::Store(error @ (Error::Refused(_) | Error::Full | Error::Damaged(_)))) => {
            Err(OpenError::Migration { from, to, reason: error.to_string(), backup: None })
        }
        other => other,
    }
}

fn schema_version(row: &AnyRow) -> Result<i64, Error> {
    Ok(row.try_get("schema_version")?)
}

pub(crate) fn number(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).unwrap_or(i64::MAX)
}
