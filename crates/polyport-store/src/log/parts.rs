//! Rows stand in tables of a day or a month: the newest are read first, the oldest go as whole tables.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::sql::Sql;
use super::time::{Period, date};
use crate::engine::Engine;
use crate::error::Error;

/// The number of a row begins with its moment, so that rows of a table stand in their order; this many bits tell those of one millisecond
/// apart.
const BITS: u32 = 20;

/// What stands in the tables. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shelf {
    Requests = 1,
    Payloads = 2,
    Ledger = 3,
}

impl Shelf {
    fn number(self) -> i64 {
        self as i64
    }

    fn period(self) -> Period {
        match self {
            Self::Requests | Self::Payloads => Period::Day,
            Self::Ledger => Period::Month,
        }
    }

    fn schema(self) -> &'static str {
        match self {
            Self::Requests => include_str!("../../migrations/log/requests.sql"),
            Self::Payloads => include_str!("../../migrations/log/payloads.sql"),
            Self::Ledger => include_str!("../../migrations/log/ledger.sql"),
        }
    }

    /// The table of a moment.
    pub(super) fn table(self, at: i64) -> String {
        let (year, month, day) = date(at);
        match self {
            Self::Requests => format!("log_requests_{year:04}{month:02}{day:02}"),
            Self::Payloads => format!("log_payloads_{year:04}{month:02}{day:02}"),
            Self::Ledger => format!("log_ledger_{year:04}{month:02}"),
        }
    }
}

/// One table.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: String,
    /// Unix milliseconds.
    pub(super) starts: i64,
    /// The first moment after it.
    pub(super) ends: i64,
    /// Rows up to this one have lost what tells of people.
    pub(super) cleaned: i64,
}

/// The number of the first row that may be of this moment.
pub(super) fn place(at: i64) -> i64 {
    at << BITS
}

/// The number of a row.
pub(super) fn seq(at: i64, tie: u32) -> i64 {
    place(at) | i64::from(tie & ((1 << BITS) - 1))
}

/// The moment of a row.
pub(super) fn moment_of(seq: i64) -> i64 {
    seq >> BITS
}

/// Makes the tables of these moments where they are missing. Nobody else writes meanwhile.
pub(super) async fn ensure(
    engine: Engine,
    shelf: Shelf,
    moments: impl IntoIterator<Item = i64>,
    connection: &mut AnyConnection,
) -> Result<(), Error> {
    let period = shelf.period();
    let starts: BTreeSet<i64> = moments.into_iter().map(|at| period.start(at)).collect();
    if starts.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new(engine, "SELECT starts FROM log_parts WHERE kind = ");
    sql.bind(shelf.number()).push(" AND starts IN ").list(starts.iter().copied());
    let rows = sql.all(connection).await?;
    let there = rows.iter().map(|row| Ok(row.try_get("starts")?)).collect::<Result<BTreeSet<i64>, Error>>()?;
    for starts in starts.difference(&there) {
        let name = shelf.table(*starts);
        let schema = engine.dialect(&shelf.schema().replace("{NAME}", &name));
        sqlx::raw_sql(AssertSqlSafe(schema)).execute(&mut *connection).await?;
        let mut sql = Sql::new(engine, "INSERT INTO log_parts (name, kind, starts, ends, cleaned) VALUES ");
        sql.push("(").bind(name).push(", ").bind(shelf.number()).push(", ").bind(*starts);
        sql.push(", ").bind(period.next(*starts)).push(", ").bind(0).push(")");
        sql.run(connection).await?;
    }
    Ok(())
}

/// Rows before those that were cleaned come in: they are to be cleaned as well.
pub(super) async fn uncleaned(
    engine: Engine,
    seqs: &[i64],
    table: &str,
    connection: &mut AnyConnection,
) -> Result<(), Error> {
    let Some(first) = seqs.iter().min() else { return Ok(()) };
    let mut sql = Sql::new(engine, "UPDATE log_parts SET cleaned = ");
    sql.bind(*first - 1).push(" WHERE name = ").bind(table).push(" AND cleaned >= ").bind(*first);
    sql.run(connection).await.map(drop)
}

/// The tables that hold moments from `from` to before `to`, in their order.
pub(super) async fn list(
    engine: Engine,
    shelf: Shelf,
    from: i64,
    to: i64,
    connection: &mut AnyConnection,
) -> Result<Vec<Part>, Error> {
    let mut sql = Sql::new(engine, "SELECT name, starts, ends, cleaned FROM log_parts WHERE kind = ");
    sql.bind(shelf.number()).push(" AND starts < ").bind(to).push(" AND ends > ").bind(from).push(" ORDER BY starts");
    sql.all(connection).await?.iter().map(read).collect()
}

/// Takes a table away.
pub(super) async fn remove(engine: Engine, part: &Part, connection: &mut AnyConnection) -> Result<(), Error> {
    Sql::new(engine, format!("DROP TABLE {}", part.name)).run(connection).await?;
    let mut sql = Sql::new(engine, "DELETE FROM log_parts WHERE name = ");
    sql.bind(part.name.as_str());
    sql.run(connection).await.map(drop)
}

fn read(row: &AnyRow) -> Result<Part, Error> {
    Ok(Part {
        name: row.try_get("name")?,
        starts: row.try_get("starts")?,
        ends: row.try_get("ends")?,
        cleaned: row.try_get("cleaned")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::time::LATEST;

    #[test]
    fn rows_stand_in_the_order_of_their_moments() {
        assert!(seq(5, u32::MAX) < seq(6, 0));
        assert_eq!(moment_of(seq(LATEST, u32::MAX)), LATEST);
        assert_eq!(Shelf::Ledger.table(1_835_481_599_999), "log_ledger_202802");
        assert_eq!(Shelf::Requests.table(1_835_481_599_999), "log_requests_20280229");
    }
}
