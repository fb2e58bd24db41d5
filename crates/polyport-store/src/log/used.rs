//! What callers have used of their limits, for a gateway that starts again.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::Log;
use super::pack::join;
use super::rollup::{Level, table};
use super::sql::Sql;
use super::stats::positive;
use super::time::Period;
use super::words::{NONE, Texts};
use crate::db::within;
use crate::engine::Engine;
use crate::error::Error;

/// How many rows are read at once.
const PORTION: i64 = 5000;

/// What a caller has used of its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Used {
    /// The id of the key.
    pub key: Option<String>,
    /// The id of the user.
    pub user: Option<String>,
    /// The id of the team.
    pub team: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Requests.
    pub requests: u64,
    /// Tokens.
    pub tokens: u64,
    /// Money by currency, in its 10⁻¹².
    pub cost: BTreeMap<String, u128>,
}

impl Log {
    /// What all callers have used of their limits, by the model they asked for, in the periods from `from` to before `to` (Unix
    /// milliseconds). Limits for ever are those of all months.
    pub async fn used(&self, period: Period, from: i64, to: i64) -> Result<Vec<Used>, Error> {
        self.used_at(period, from, to, true).await
    }

    /// The same whatever they asked for, which is much less to read.
    pub async fn used_in_all(&self, period: Period, from: i64, to: i64) -> Result<Vec<Used>, Error> {
        self.used_at(period, from, to, false).await
    }

    async fn used_at(&self, period: Period, from: i64, to: i64, by_model: bool) -> Result<Vec<Used>, Error> {
        // More than a call usually takes: it is asked once, when the gateway starts, and reads everything.
        within(self.0.timeouts.bulk, async {
            let engine = self.0.engine;
            let mut connection = self.0.reading.acquire().await?;
            let mut all: BTreeMap<[i64; 4], (u64, u64, BTreeMap<i64, u128>)> = BTreeMap::new();
            for starts in beginnings(engine, period, (from, to), &mut connection).await? {
                let mut last = None;
                loop {
                    let rows = portion(engine, period, starts, last, by_model, &mut connection).await?;
                    for row in &rows {
                        let number = |column| row.try_get::<i64, _>(column);
                        let place =
                            [number("key")?, number("person")?, number("team")?, number("model")?, number("currency")?];
                        last = Some(place);
                        let [key, person, team, model, currency] = place;
                        let cost = join(number("milli")?, number("rest")?);
                        let used = all.entry([key, person, team, if by_model { model } else { NONE }]).or_default();
                        used.0 = used.0.saturating_add(positive(number("requests")?));
                        used.1 = used.1.saturating_add(positive(number("tokens")?));
                        if cost > 0 {
                            *used.2.entry(currency).or_default() += cost;
                        }
                    }
                    if rows.is_empty() {
                        break;
                    }
                }
            }
            all.retain(|_, (requests, tokens, cost)| *requests > 0 || *tokens > 0 || !cost.is_empty());
            let numbers: BTreeSet<i64> = all
                .iter()
                .flat_map(|(caller, (_, _, cost))| caller.iter().copied().chain(cost.keys().copied()))
                .collect();
            let texts = Texts::of(engine, numbers, &mut connection).await?;
            let used = all.into_iter().map(|([key, user, team, model], (requests, tokens, cost))| Used {
                key: texts.get(key),
                user: texts.get(user),
                team: texts.get(team),
                model: texts.get(model),
                requests,
                tokens,
                cost: cost.into_iter().map(|(currency, cost)| (texts.text(currency), cost)).collect(),
            });
            Ok(used.collect())
        })
        .await
    }
}

/// The beginnings of the periods of which there is something.
async fn beginnings(
    engine: Engine,
    period: Period,
    (from, to): (i64, i64),
    connection: &mut AnyConnection,
) -> Result<Vec<i64>, Error> {
    let text = format!("SELECT starts FROM {} WHERE level = {}", table(period), Level::All.number());
    let mut sql = Sql::new(engine, text);
    sql.push(" AND starts >= ").bind(period.start(from)).push(" AND starts < ").bind(to).push(" GROUP BY starts");
    sql.all(connection).await?.iter().map(|row| Ok(row.try_get("starts")?)).collect()
}

/// What some callers have used in one period, behind the last of them. Rows stand in this order, so that each portion reads on.
async fn portion(
    engine: Engine,
    period: Period,
    starts: i64,
    last: Option<[i64; 5]>,
    by_model: bool,
    connection: &mut AnyConnection,
) -> Result<Vec<AnyRow>, Error> {
    let level = if !by_model && Level::Callers.exists(period) { Level::Callers } else { Level::both(period) };
    let text = format!(
        "SELECT key, person, team, model, currency, CAST(SUM(charged_requests) AS BIGINT) AS requests, \
         CAST(SUM(charged_tokens) AS BIGINT) AS tokens, CAST(SUM(charged_milli) AS BIGINT) AS milli, \
         CAST(SUM(charged_rest) AS BIGINT) AS rest FROM {} WHERE level = {} AND starts = ",
        table(period),
        level.number()
    );
    let mut sql = Sql::new(engine, text);
    sql.bind(starts);
    if let Some(last) = last {
        sql.push(" AND (key, person, team, model, currency) > ").list(last);
    }
    sql.push(" GROUP BY key, person, team, model, currency ORDER BY key, person, team, model, currency LIMIT ");
    sql.bind(PORTION);
    sql.all(connection).await
}
