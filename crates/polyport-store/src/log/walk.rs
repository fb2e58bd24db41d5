//! Pages of rows from one table after the other. However many rows there are and however few of them are wanted, a page looks at a bounded
//! number of them, and says where the next one goes on.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::Log;
use super::parts::{self, Part, Shelf, place};
use super::sql::{Conditions, Sql};
use super::time::LATEST;
use crate::engine::Engine;
use crate::error::Error;

/// The most rows of a page.
pub(super) const LIMIT: usize = 1000;

/// How many rows a page looks at, and how many of them at once.
const LOOKS: usize = 20_000;
const WINDOW: usize = 2000;

/// What a look into a table counts for, with however few rows.
const TABLE: usize = 50;

/// After this time a page ends with what it has.
const PATIENCE: Duration = Duration::from_millis(50);

/// A place in a list: the next page begins behind it. Its text means nothing to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor(pub(super) i64);

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place in the list; leave it out to begin, or give the one that came with the last page")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let digits = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = i64::from_str_radix(text, 16).ok().filter(|number| digits && *number >= 0);
        number.map(Self).ok_or(CursorError)
    }
}

/// Which rows come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

/// Some rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// They; also fewer than asked for, even none, where many had to be looked at.
    pub rows: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<Cursor>,
}

/// What is wanted.
pub(super) struct Walk {
    pub(super) shelf: Shelf,
    pub(super) columns: &'static str,
    /// Unix milliseconds; what is at `to` is not wanted.
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) order: Order,
    pub(super) after: Option<Cursor>,
    pub(super) limit: usize,
    /// What an index finds, and the end of its name.
    pub(super) found: Conditions,
    pub(super) index: Option<&'static str>,
    /// What each row is asked.
    pub(super) asked: Conditions,
    /// No more than one row is found: all of them are looked at.
    pub(super) single: bool,
}

impl Walk {
    /// The next rows, and where to go on.
    pub(super) async fn page(&self, log: &Log) -> Result<(Vec<AnyRow>, Option<Cursor>), Error> {
        let begun = Instant::now();
        let engine = log.0.engine;
        let mut connection = log.0.reading.acquire().await?;
        let bound = |at: Option<i64>, otherwise| at.unwrap_or(otherwise).clamp(0, LATEST + 1);
        let (from, to) = (bound(self.from, 0), bound(self.to, LATEST + 1));
        let mut tables = parts::list(engine, self.shelf, from, to, &mut connection).await?;
        if self.order == Order::Newest {
            tables.reverse();
        }
        let limit = self.limit.clamp(1, LIMIT);
        let mut rows: Vec<AnyRow> = Vec::new();
        let mut looked = 0;
        for table in tables {
            let mut rest = self.within(place(from).max(place(table.starts)), place(to).min(place(table.ends)));
            while let Some((low, high)) = rest.filter(|(low, high)| low < high) {
                if !self.single && looked > 0 && (looked >= LOOKS || begun.elapsed() >= PATIENCE) {
                    let edge = if self.order == Order::Newest { high } else { low - 1 };
                    return Ok((rows, Some(Cursor(edge))));
                }
                let wanted = limit + 1 - rows.len();
                let (found, next) = match self.window(engine, &table, (low, high), wanted, &mut connection).await {
                    Err(Error::Refused(reason)) if self.is_gone(engine, &table, &mut connection).await? => {
                        tracing::debug!(table = table.name, reason, "a table of the log went while it was read");
                        (Vec::new(), None)
                    }
                    other => other?,
                };
                looked += if next.is_some() { WINDOW } else { TABLE };
                rows.extend(found);
                if rows.len() > limit {
                    rows.truncate(limit);
                    let last = rows.last().map(|row| row.try_get("seq")).transpose()?;
                    return Ok((rows, last.map(Cursor)));
                }
                rest = next;
            }
        }
        Ok((rows, None))
    }

    /// What of these places is behind the cursor.
    fn within(&self, low: i64, high: i64) -> Option<(i64, i64)> {
        Some(match (self.order, self.after) {
            (_, None) => (low, high),
            (Order::Newest, Some(Cursor(after))) => (low, high.min(after)),
            (Order::Oldest, Some(Cursor(after))) => (low.max(after.saturating_add(1)), high),
        })
    }

    /// Rows of the first window of these places, and the places behind it.
    async fn window(
        &self,
        engine: Engine,
        table: &Part,
        (low, high): (i64, i64),
        wanted: usize,
        connection: &mut AnyConnection,
    ) -> Result<(Vec<AnyRow>, Option<(i64, i64)>), Error> {
        let mut window = (low, high);
        let mut rest = None;
        if !self.single && !self.asked.is_empty() {
            let mut sql = self.select(engine, "seq", table, window);
            self.found.write(&mut sql);
            sql.push(self.sorted()).push(" LIMIT 1 OFFSET ").bind(number(WINDOW - 1));
            if let Some(row) = sql.optional(connection).await? {
                let edge: i64 = row.try_get("seq")?;
                (window, rest) = match self.order {
                    Order::Newest => ((edge, high), Some((low, edge))),
                    Order::Oldest => ((low, edge + 1), Some((edge + 1, high))),
                };
            }
        }
        let mut sql = self.select(engine, self.columns, table, window);
        self.found.write(&mut sql);
        self.asked.write(&mut sql);
        sql.push(self.sorted()).push(" LIMIT ").bind(number(wanted));
        Ok((sql.all(connection).await?, rest))
    }

    fn select(&self, engine: Engine, columns: &str, table: &Part, (low, high): (i64, i64)) -> Sql {
        let index = self.index.map(|index| format!("{}_{index}", table.name));
        let hint = index.map_or_else(String::new, |index| engine.by_index(&index));
        let mut sql = Sql::new(engine, format!("SELECT {columns} FROM {} AS r{hint} WHERE 1 = 1", table.name));
        // A server that knows nothing of a new table yet takes a range for few rows, and would read and sort all of it.
        if low > place(table.starts) {
            sql.push(" AND seq >= ").bind(low);
        }
        if high < place(table.ends) {
            sql.push(" AND seq < ").bind(high);
        }
        sql
    }

    fn sorted(&self) -> &'static str {
        match self.order {
            Order::Newest => " ORDER BY seq DESC",
            Order::Oldest => " ORDER BY seq",
        }
    }

    async fn is_gone(&self, engine: Engine, table: &Part, connection: &mut AnyConnection) -> Result<bool, Error> {
        let there = parts::list(engine, self.shelf, table.starts, table.ends, connection).await?;
        Ok(there.is_empty())
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_others_are_refused() {
        let cursor = Cursor(place(LATEST) | 7);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1", "zzzzzzzzzzzzzzzz", "ffffffffffffffff", "+000000000000001", "0000000000000001' OR 1"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }
}
