//! How long requests took, for percentiles over any time: counts beside the sums, kept while entries are written.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::Log;
use super::entry::Entry;
use super::pack::moment;
use super::rollup::{Group, Level};
use super::spread::Spread;
use super::sql::{Sql, portions};
use super::stats::{StatsQuery, conditions};
use super::time::Period;
use super::words::Numbers;
use crate::engine::Engine;
use crate::error::Error;

/// The columns that tell rows apart.
pub(super) const PLACE: &str = "period, level, starts, key, person, team, model, provider";

/// How many rows are read at once, and for one answer.
const PORTION: usize = if cfg!(test) { 3 } else { 20_000 };
const MOST: usize = if cfg!(test) { 60 } else { 400_000 };

/// How long requests took that were answered as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Milliseconds to their end.
    pub latency: Spread,
    /// Milliseconds until they began, of those that were streamed.
    pub first_token: Spread,
}

impl Times {
    /// Counts those of others as well.
    pub fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
    }

    /// What cannot be read counts nothing.
    fn read(row: &AnyRow) -> Result<Self, Error> {
        let spread =
            |column: &str| Ok::<_, Error>(Spread::parse(&row.try_get::<String, _>(column)?).unwrap_or_default());
        Ok(Self { latency: spread("latency")?, first_token: spread("first_token")? })
    }
}

/// The number of a period, as it is stored; none of those of which nothing is kept.
pub(super) fn number(period: Period) -> Option<i64> {
    match period {
        Period::Minute => Some(0),
        Period::Hour => Some(1),
        Period::Day => Some(2),
        Period::Month => None,
    }
}

/// The values of [`PLACE`].
type Place = [i64; 8];

/// Those of entries that are written together.
#[derive(Debug, Default)]
pub(super) struct Added(BTreeMap<Place, Times>);

impl Added {
    /// Adds an entry. It counts where its last attempt was, as it does in the sums.
    pub(super) fn add(&mut self, entry: &Entry, model: i64, numbers: &Numbers<'_>) {
        if !entry.answered() {
            return;
        }
        let whole = Group::of(entry, entry.attempts.last(), model, numbers);
        for period in Period::ALL {
            let Some(number) = number(period) else { continue };
            let levels = Level::EACH.into_iter().filter(|level| *level != Level::Targets && level.exists(period));
            for level in levels {
                let starts = period.start(moment(entry.at));
                let Group { key, person, team, model, provider, .. } = whole.at(level);
                let place = [number, level.number(), starts, key, person, team, model, provider];
                let times = self.0.entry(place).or_default();
                times.latency.count(entry.duration_ms);
                if let Some(first) = entry.began_after() {
                    times.first_token.count(first);
                }
            }
        }
    }

    /// Adds all of it to what is stored. Nobody else writes meanwhile.
    pub(super) async fn write(self, engine: Engine, connection: &mut AnyConnection) -> Result<(), Error> {
        let mut rows: Vec<(Place, Times)> = self.0.into_iter().collect();
        let mut begun = 0;
        let sizes: Vec<usize> = portions(&rows).map(<[_]>::len).collect();
        for size in sizes {
            let Some(portion) = rows.get_mut(begun..begun + size) else { break };
            begun += size;
            let stored = stored(engine, portion, connection).await?;
            for (place, times) in portion.iter_mut() {
                if let Some(before) = stored.get(place) {
                    times.merge(before);
                }
            }
            let mut sql = Sql::new(engine, format!("INSERT INTO log_times ({PLACE}, latency, first_token) VALUES "));
            for (at, (place, Times { latency, first_token })) in portion.iter().enumerate() {
                sql.push(if at == 0 { "(" } else { ", (" });
                for number in place {
                    sql.bind(*number).push(", ");
                }
                sql.bind(latency.to_string()).push(", ").bind(first_token.to_string()).push(")");
            }
            sql.push(&format!(
                " ON CONFLICT ({PLACE}) DO UPDATE SET latency = excluded.latency, first_token = excluded.first_token"
            ));
            sql.run(connection).await?;
        }
        Ok(())
    }
}

/// What is there of these.
async fn stored(
    engine: Engine,
    portion: &[(Place, Times)],
    connection: &mut AnyConnection,
) -> Result<BTreeMap<Place, Times>, Error> {
    // Compared with a list of rows, SQLite would read the whole table.
    let mut sql = Sql::new(engine, format!("WITH wanted ({PLACE}) AS (VALUES "));
    for (at, (place, _)) in portion.iter().enumerate() {
        sql.push(if at == 0 { "" } else { ", " });
        sql.list(*place);
    }
    let columns: Vec<String> = PLACE.split(", ").map(|column| format!("log_times.{column}")).collect();
    let same: Vec<String> = PLACE.split(", ").map(|column| format!("log_times.{column} = wanted.{column}")).collect();
    sql.push(&format!(
        ") SELECT {}, latency, first_token FROM wanted CROSS JOIN log_times WHERE {}",
        columns.join(", "),
        same.join(" AND ")
    ));
    sql.all(connection).await?.iter().map(|row| Ok((place_of(row)?, Times::read(row)?))).collect()
}

fn place_of(row: &AnyRow) -> Result<Place, Error> {
    let mut place = Place::default();
    for (number, column) in place.iter_mut().zip(PLACE.split(", ")) {
        *number = row.try_get(column)?;
    }
    Ok(place)
}

impl Log {
    /// How long the requests of a question took, by the beginnings of its periods. None where it cannot be told: of months, of credentials, of
    /// more rows than are read for one answer. Nothing is known of requests that were written before this was kept: compare the count with
    /// that of answered requests.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn times(&self, query: &StatsQuery) -> Result<Option<BTreeMap<i64, Times>>, Error> {
        let Some(period) = number(query.period).filter(|_| !query.tells_credentials()) else { return Ok(None) };
        self.timed_heavy(async {
            let engine = self.0.engine;
            let mut connection = self.0.reading.acquire().await?;
            let mut all: BTreeMap<i64, Times> = BTreeMap::new();
            let (mut query, mut last, mut read): (StatsQuery, Option<Place>, usize) = (query.clone(), None, 0);
            loop {
                let Some(rows) = conditions(engine, &query, &mut connection).await? else { return Ok(Some(all)) };
                let text = format!("SELECT {PLACE}, latency, first_token FROM log_times WHERE period = {period}");
                let mut sql = Sql::new(engine, text);
                rows.write(&mut sql);
                if let Some([_, _, place @ ..]) = last {
                    sql.push(" AND (starts, key, person, team, model, provider) > ").list(place);
                }
                sql.push(" ORDER BY starts, key, person, team, model, provider LIMIT ");
                sql.bind(i64::try_from(PORTION).unwrap_or(i64::MAX));
                let portion = sql.all(&mut connection).await?;
                for row in &portion {
                    all.entry(row.try_get("starts")?).or_default().merge(&Times::read(row)?);
                }
                read += portion.len();
                let end = match portion.last() {
                    Some(row) if portion.len() == PORTION => place_of(row)?,
                    _ => return Ok(Some(all)),
                };
                if read >= MOST {
                    return Ok(None);
                }
                // The periods before are not looked at again.
                let [_, _, starts, ..] = end;
                (query.from, last) = (starts, Some(end));
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Dimension, Measure, Position};

    #[tokio::test]
    async fn many_rows_are_read_in_portions_and_too_many_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&format!("sqlite://{}/log.db", folder.path().display())).await.unwrap();
        let entry = |key: usize, hour: i64| Entry {
            id: format!("r{key}-{hour}"),
            at: 1_795_953_600_000 + hour * 3_600_000,
            key: Some(format!("key {key}")),
            team: Some("blue".to_owned()),
            model: "m".to_owned(),
            outcome: "answered".to_owned(),
            status: 200,
            duration_ms: 7,
            attempts: vec![crate::log::Attempt::default()],
            ..Entry::default()
        };
        let until = Position { journal: "j".to_owned(), segment: 1, offset: 1 };
        let write = async |keys: std::ops::Range<usize>| {
            let entries: Vec<Entry> = keys.flat_map(|key| (0..4).map(move |hour| entry(key, hour))).collect();
            log.write(&entries, &until).await.unwrap();
        };
        // By team and model, rows are those of all keys.
        let query = StatsQuery {
            period: Period::Hour,
            from: 0,
            to: i64::MAX,
            by: Vec::new(),
            series: true,
            only: BTreeMap::from([(Dimension::Team, "blue".to_owned()), (Dimension::Model, "m".to_owned())]),
            sort: Measure::Requests,
            limit: 10,
        };
        write(0..7).await;
        let found = log.times(&query).await.unwrap().unwrap();
        assert_eq!(found.values().map(|times| times.latency.len()).collect::<Vec<_>>(), [7; 4]);
        write(7..16).await;
        assert_eq!(log.times(&query).await.unwrap(), None);
        // Of the team alone there is one for each hour.
        let of_team = StatsQuery { only: BTreeMap::from([(Dimension::Team, "blue".to_owned())]), ..query };
        let found = log.times(&of_team).await.unwrap().unwrap();
        assert_eq!(found.values().map(|times| times.latency.len()).collect::<Vec<_>>(), [16; 4]);
    }
}
