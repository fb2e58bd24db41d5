//! What is old goes, in portions that keep nobody waiting, and so does what tells of people who have gone.

use sqlx::{AnyConnection, Row as _};

use super::Log;
use super::parts::{self, Part, Shelf, place};
use super::rollup::{GROUP, Level, table};
use super::sql::Sql;
use super::time::{LATEST, Period};
use super::times;
use super::words::{Kind, NONE, find, keys_of};
use crate::db::within;
use crate::engine::Engine;
use crate::error::Error;

/// What can go. Sums of months stay: limits for ever are counted by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Old {
    /// Requests.
    Requests,
    /// What was said.
    Payloads,
    /// The ledger.
    Ledger,
    /// Sums of minutes.
    Minutes,
    /// Sums of hours.
    Hours,
    /// Sums of days.
    Days,
}

impl Old {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Requests, Self::Payloads, Self::Ledger, Self::Minutes, Self::Hours, Self::Days];
}

/// What was changed because somebody is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Keys and users that have no name and another id now.
    pub subjects: u64,
    /// Requests that have lost their errors and addresses.
    pub requests: u64,
    /// Captured bodies that were deleted.
    pub payloads: u64,
}

/// What tells of people in a row of a request.
const TRACES: &str = "(source IS NOT NULL OR error IS NOT NULL OR errors IS NOT NULL OR upstream_id IS NOT NULL)";
const NO_TRACES: &str = "source = NULL, error = NULL, errors = NULL, upstream_id = NULL";

impl Log {
    /// Deletes what is older than `before` (Unix milliseconds), at most `batch` rows; how many it were. With fewer than `batch` it is done.
    /// Tables of which nothing is left go as well.
    pub async fn prune(&self, what: Old, before: i64, batch: u32) -> Result<u64, Error> {
        self.timed(async {
            let engine = self.0.engine;
            let mut transaction = self.begin().await?;
            let deleted = match what {
                Old::Requests => old_rows(engine, Shelf::Requests, before, batch, &mut transaction).await?,
                Old::Payloads => old_rows(engine, Shelf::Payloads, before, batch, &mut transaction).await?,
                Old::Ledger => old_rows(engine, Shelf::Ledger, before, batch, &mut transaction).await?,
                Old::Minutes => old_sums(engine, Period::Minute, before, batch, &mut transaction).await?,
                Old::Hours => old_sums(engine, Period::Hour, before, batch, &mut transaction).await?,
                Old::Days => old_sums(engine, Period::Day, before, batch, &mut transaction).await?,
            };
            transaction.commit().await?;
            Ok(deleted)
        })
        .await
    }

    /// Takes names, addresses, errors and the providers' ids from requests and ledger lines older than `before`, and what was said; at most
    /// `batch` rows of each. What they used and cost stays. How many rows it were; with none it is done.
    pub async fn anonymise(&self, before: i64, batch: u32) -> Result<u64, Error> {
        let payloads = self.prune(Old::Payloads, before, batch).await?;
        self.timed(async {
            let engine = self.0.engine;
            let mut transaction = self.begin().await?;
            let mut changed = payloads;
            for shelf in [Shelf::Requests, Shelf::Ledger] {
                changed += old_names(engine, shelf, before, batch, &mut transaction).await?;
            }
            transaction.commit().await?;
            Ok(changed)
        })
        .await
    }

    /// Forgets a user and the user's keys, and other keys that are named: their names, what was said, errors and addresses go, and what they
    /// used stays under ids that nobody knows. At most `batch` rows are changed at a time, however many there are. A call that was cut short
    /// is repeated; so is one that was made while their last requests were under way.
    pub async fn forget(&self, user: Option<&str>, keys: &[String], batch: u32) -> Result<Forgotten, Error> {
        let mut forgotten = Forgotten::default();
        for (kind, number) in self.timed(self.subjects(user, keys)).await? {
            let column = if kind == Kind::Key { "key" } else { "person" };
            for (shelf, count) in
                [(Shelf::Payloads, &mut forgotten.payloads), (Shelf::Requests, &mut forgotten.requests)]
            {
                let mut after = 0;
                while let Some((last, changed)) = self.timed(self.traces(shelf, column, number, after, batch)).await? {
                    after = last;
                    *count += changed;
                }
            }
            self.timed(self.rename(number)).await?;
            forgotten.subjects += 1;
        }
        self.0.words.forget();
        Ok(forgotten)
    }

    /// Gives at most so many pages of a file back to the disk; how many there were. A server does this by itself.
    pub async fn compact(&self, pages: u32) -> Result<u64, Error> {
        if self.0.engine == Engine::Postgres {
            return Ok(0);
        }
        within(self.0.timeouts.call, async {
            let mut connection = self.0.writing.acquire().await?;
            let free = async |connection: &mut AnyConnection| {
                let row = Sql::new(Engine::Sqlite, "PRAGMA freelist_count").optional(connection).await?;
                let number: i64 = row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
                Ok::<_, Error>(u64::try_from(number).unwrap_or_default())
            };
            let before = free(&mut connection).await?;
            // It frees one page for each row that is read.
            Sql::new(Engine::Sqlite, format!("PRAGMA incremental_vacuum({pages})")).all(&mut connection).await?;
            Ok(before.saturating_sub(free(&mut connection).await?))
        })
        .await
    }

    /// The numbers of a user, the user's keys, and these keys.
    async fn subjects(&self, user: Option<&str>, keys: &[String]) -> Result<Vec<(Kind, i64)>, Error> {
        let engine = self.0.engine;
        let mut connection = self.0.reading.acquire().await?;
        let mut all = Vec::new();
        for key in keys {
            all.extend(find(engine, Kind::Key, key, &mut connection).await?.map(|number| (Kind::Key, number)));
        }
        let Some(user) = user else { return Ok(all) };
        let Some(person) = find(engine, Kind::Person, user, &mut connection).await? else { return Ok(all) };
        for number in keys_of(engine, person, &mut connection).await? {
            if number != NONE && !all.contains(&(Kind::Key, number)) {
                all.push((Kind::Key, number));
            }
        }
        // Last: as long as there is the user, a call that was cut short finds the keys again.
        all.push((Kind::Person, person));
        Ok(all)
    }

    /// Cleans some rows of a subject behind `after`: the last of them, and how many were changed.
    async fn traces(
        &self,
        shelf: Shelf,
        column: &str,
        number: i64,
        after: i64,
        batch: u32,
    ) -> Result<Option<(i64, u64)>, Error> {
        let engine = self.0.engine;
        let mut transaction = self.begin().await?;
        for part in parts::list(engine, shelf, 0, LATEST + 1, &mut transaction).await? {
            if place(part.ends) <= after {
                continue;
            }
            let hint = engine.by_index(&format!("{}_{column}", part.name));
            let text = format!("SELECT seq FROM {}{hint} WHERE {column} > 0 AND {column} = ", part.name);
            let mut sql = Sql::new(engine, text);
            sql.bind(number).push(" AND seq > ").bind(after).push(" ORDER BY seq LIMIT ").bind(i64::from(batch.max(1)));
            let rows = sql.all(&mut transaction).await?;
            let seqs = rows.iter().map(|row| Ok(row.try_get("seq")?)).collect::<Result<Vec<i64>, Error>>()?;
            let Some(last) = seqs.last() else { continue };
            let mut changed = 0;
            for seqs in seqs.chunks(500) {
                let mut sql = match shelf {
                    Shelf::Payloads => Sql::new(engine, format!("DELETE FROM {} WHERE seq IN ", part.name)),
                    Shelf::Requests | Shelf::Ledger => {
                        Sql::new(engine, format!("UPDATE {} SET {NO_TRACES} WHERE {TRACES} AND seq IN ", part.name))
                    }
                };
                sql.list(seqs.iter().copied());
                changed += sql.run(&mut transaction).await?;
            }
            transaction.commit().await?;
            return Ok(Some((*last, changed)));
        }
        Ok(None)
    }

    /// Takes the names of a subject away and gives it an id that nobody knows.
    async fn rename(&self, number: i64) -> Result<(), Error> {
        let engine = self.0.engine;
        let mut transaction = self.begin().await?;
        // Their numbers stay taken: rows refer to them.
        let mut sql = Sql::new(engine, "UPDATE log_words SET kind = 0, owner = id, word = '' WHERE kind IN ");
        sql.list(Kind::PERSONAL.map(Kind::number)).push(" AND owner = ").bind(number);
        sql.run(&mut transaction).await?;
        let mut sql = Sql::new(engine, "UPDATE log_words SET word = ");
        let pseudonym = format!("forgotten-{:016x}", rand::random::<u64>());
        sql.bind(pseudonym).push(" WHERE id = ").bind(number);
        sql.run(&mut transaction).await?;
        Ok(transaction.commit().await?)
    }
}

/// Deletes old rows, the oldest first, and tables of which nothing is left.
async fn old_rows(
    engine: Engine,
    shelf: Shelf,
    before: i64,
    batch: u32,
    connection: &mut AnyConnection,
) -> Result<u64, Error> {
    let before = before.clamp(0, LATEST);
    let mut deleted = 0;
    for part in parts::list(engine, shelf, 0, before, connection).await? {
        let left = u64::from(batch.max(1)).saturating_sub(deleted);
        if left == 0 {
            break;
        }
        let text = format!("DELETE FROM {0} WHERE seq IN (SELECT seq FROM {0} WHERE seq < ", part.name);
        let mut sql = Sql::new(engine, text);
        sql.bind(place(before)).push(" ORDER BY seq LIMIT ").bind(i64::try_from(left).unwrap_or(i64::MAX)).push(")");
        deleted += sql.run(connection).await?;
        if part.ends <= before && is_empty(engine, &part, connection).await? {
            parts::remove(engine, &part, connection).await?;
        }
    }
    Ok(deleted)
}

async fn is_empty(engine: Engine, part: &Part, connection: &mut AnyConnection) -> Result<bool, Error> {
    let sql = Sql::new(engine, format!("SELECT seq FROM {} LIMIT 1", part.name));
    Ok(sql.optional(connection).await?.is_none())
}

async fn old_sums(
    engine: Engine,
    period: Period,
    before: i64,
    batch: u32,
    connection: &mut AnyConnection,
) -> Result<u64, Error> {
    let table = table(period);
    let mut deleted = 0;
    for level in Level::EACH {
        let left = u64::from(batch.max(1)).saturating_sub(deleted);
        if left == 0 {
            break;
        }
        let text = format!(
            "DELETE FROM {table} WHERE ({GROUP}) IN (SELECT {GROUP} FROM {table} WHERE level = {} AND starts < ",
            level.number()
        );
        let mut sql = Sql::new(engine, text);
        sql.bind(period.start(before)).push(&format!(" ORDER BY {GROUP} LIMIT "));
        sql.bind(i64::try_from(left).unwrap_or(i64::MAX)).push(")");
        deleted += sql.run(connection).await?;
    }
    let Some(number) = times::number(period) else { return Ok(deleted) };
    for level in Level::EACH {
        let left = u64::from(batch.max(1)).saturating_sub(deleted);
        if left == 0 {
            break;
        }
        let place = times::PLACE;
        let text = format!(
            "DELETE FROM log_times WHERE ({place}) IN (SELECT {place} FROM log_times WHERE period = {number} AND level = {} AND starts < ",
            level.number()
        );
        let mut sql = Sql::new(engine, text);
        sql.bind(period.start(before)).push(&format!(" ORDER BY {place} LIMIT "));
        sql.bind(i64::try_from(left).unwrap_or(i64::MAX)).push(")");
        deleted += sql.run(connection).await?;
    }
    Ok(deleted)
}

/// Takes names and traces from old rows that still have them.
async fn old_names(
    engine: Engine,
    shelf: Shelf,
    before: i64,
    batch: u32,
    connection: &mut AnyConnection,
) -> Result<u64, Error> {
    let names = "key_name = 0, person_name = 0, team_name = 0";
    let sets = if shelf == Shelf::Requests { format!("{names}, {NO_TRACES}") } else { names.to_owned() };
    let end = place(before.clamp(0, LATEST));
    let mut changed = 0;
    for part in parts::list(engine, shelf, 0, before.clamp(0, LATEST), connection).await? {
        let left = u64::from(batch.max(1)).saturating_sub(changed);
        if left == 0 {
            break;
        }
        let mut sql = Sql::new(engine, format!("SELECT seq FROM {} WHERE seq > ", part.name));
        sql.bind(part.cleaned).push(" AND seq < ").bind(end).push(" ORDER BY seq LIMIT 1 OFFSET ");
        sql.bind(i64::try_from(left - 1).unwrap_or(i64::MAX));
        let last = match sql.optional(connection).await? {
            Some(row) => row.try_get("seq")?,
            None => end.min(place(part.ends)) - 1,
        };
        if last <= part.cleaned {
            continue;
        }
        let mut sql = Sql::new(engine, format!("UPDATE {} SET {sets} WHERE seq > ", part.name));
        sql.bind(part.cleaned).push(" AND seq <= ").bind(last);
        changed += sql.run(connection).await?;
        let mut sql = Sql::new(engine, "UPDATE log_parts SET cleaned = ");
        sql.bind(last).push(" WHERE name = ").bind(part.name.as_str());
        sql.run(connection).await?;
    }
    Ok(changed)
}
