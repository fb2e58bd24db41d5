//! Statistics: sums by whatever is asked for. No request is counted for them, only what was summed up when it was written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::Log;
use super::pack::join;
use super::rollup::{COLUMNS, Level, MONEY, table};
use super::sql::{Conditions, Sql, Value};
use super::time::Period;
use super::words::{Kind, Texts, find, keys_of};
use crate::engine::Engine;
use crate::error::Error;

/// The most rows of an answer.
const LIMIT: usize = 10_000;

/// Of so many keys rows are looked up one by one.
const KEYS: usize = 100;

/// So many rows are few.
const FEW: usize = 200;

/// How many currencies are told apart.
const CURRENCIES: i64 = 8;

/// What sums are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// The client key.
    Key,
    /// The user.
    User,
    /// The team.
    Team,
    /// The model that was asked for.
    Model,
    /// The provider.
    Provider,
    /// The credential.
    Credential,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Key, Self::User, Self::Team, Self::Model, Self::Provider, Self::Credential];

    fn column(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "person",
            Self::Team => "team",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Credential => "credential",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Key => Kind::Key,
            Self::User => Kind::Person,
            Self::Team => Kind::Team,
            Self::Model => Kind::Model,
            Self::Provider => Kind::Provider,
            Self::Credential => Kind::Credential,
        }
    }

    fn is_caller(self) -> bool {
        matches!(self, Self::Key | Self::User | Self::Team)
    }
}

/// By which the rows of an answer are sorted, the greatest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Requests.
    #[default]
    Requests,
    /// Requests that went wrong.
    Failed,
    /// Tokens of all kinds.
    Tokens,
    /// Produced tokens.
    Output,
    /// Money. (Several currencies are compared by their numbers.)
    Cost,
}

impl Measure {
    fn expression(self) -> &'static str {
        match self {
            Self::Requests => "SUM(requests)",
            Self::Failed => "SUM(failed)",
            Self::Tokens => "SUM(input + cache_read + cache_write + output + reasoning)",
            Self::Output => "SUM(output + reasoning)",
            Self::Cost => "SUM(cost_milli) + SUM(cost_rest) / 1000000000.0",
        }
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsQuery {
    /// Whose sums: the longest that tells enough is answered fastest.
    pub period: Period,
    /// From this moment on, in Unix milliseconds; the whole period it is in counts.
    pub from: i64,
    /// Before this moment.
    pub to: i64,
    /// What is told apart. Callers together with credentials: of days only.
    pub by: Vec<Dimension>,
    /// Whether each period has rows of its own, in their order.
    pub series: bool,
    /// Only these.
    pub only: BTreeMap<Dimension, String>,
    /// The order, within a period where each has rows of its own.
    pub sort: Measure,
    /// How many rows, at most 10,000.
    pub limit: usize,
}

impl StatsQuery {
    /// Whether it is about credentials.
    pub(super) fn tells_credentials(&self) -> bool {
        self.by.iter().chain(self.only.keys()).any(|one| *one == Dimension::Credential)
    }
}

/// A row of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StatsRow {
    /// The beginning of its period, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<i64>,
    /// What it is of. A thing that is not there is none of that kind: requests without a user, of unknown models.
    pub of: BTreeMap<Dimension, Option<String>>,
    /// The last names of keys, users and teams.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<Dimension, String>,
    /// The sums.
    #[serde(flatten)]
    pub sums: Totals,
}

/// Sums. Requests are counted where their last attempt was; tokens and money where each attempt was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Requests in all.
    pub requests: u64,
    /// Those that were answered.
    pub ok: u64,
    /// Those that went wrong. The rest are clients that left.
    pub failed: u64,
    /// Those with a status from 200 to 299.
    pub status_2xx: u64,
    /// From 400 to 499.
    pub status_4xx: u64,
    /// From 500 to 599.
    pub status_5xx: u64,
    /// Attempts.
    pub attempts: u64,
    /// Those that went wrong.
    pub attempts_failed: u64,
    /// Fresh tokens of prompts.
    pub input: u64,
    /// Tokens of prompts from a cache.
    pub cache_read: u64,
    /// Tokens of prompts into a cache.
    pub cache_write: u64,
    /// Produced tokens that readers see.
    pub output: u64,
    /// Tokens of thinking.
    pub reasoning: u64,
    /// Attempts whose counts are estimated.
    pub estimated: u64,
    /// Attempts of which some had no price: the cost is the least it can be.
    pub unpriced: u64,
    /// Milliseconds of all requests.
    pub duration_ms: u64,
    /// Milliseconds up to the first token, of those that had one.
    pub first_token_ms: u64,
    /// How many had one.
    pub first_tokens: u64,
    /// Requests that count towards limits.
    pub charged_requests: u64,
    /// Tokens that count towards limits.
    pub charged_tokens: u64,
    /// Money by currency, in its 10⁻¹².
    #[serde(with = "amounts")]
    pub cost: BTreeMap<String, u128>,
    /// The same as far as it counts towards limits.
    #[serde(with = "amounts")]
    pub charged: BTreeMap<String, u128>,
}

impl Totals {
    /// Tokens of all kinds.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input + self.cache_read + self.cache_write + self.output + self.reasoning
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        let mut others = other.clone();
        for name in COLUMNS {
            if let (Some(sum), Some(more)) = (self.column(name), others.column(name)) {
                *sum = sum.saturating_add(*more);
            }
        }
        for (sums, more) in [(&mut self.cost, &other.cost), (&mut self.charged, &other.charged)] {
            for (currency, amount) in more {
                let sum = sums.entry(currency.clone()).or_default();
                *sum = sum.saturating_add(*amount);
            }
        }
    }

    fn column(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "requests" => &mut self.requests,
            "ok" => &mut self.ok,
            "failed" => &mut self.failed,
            "status_2xx" => &mut self.status_2xx,
            "status_4xx" => &mut self.status_4xx,
            "status_5xx" => &mut self.status_5xx,
            "attempts" => &mut self.attempts,
            "attempts_failed" => &mut self.attempts_failed,
            "input" => &mut self.input,
            "cache_read" => &mut self.cache_read,
            "cache_write" => &mut self.cache_write,
            "output" => &mut self.output,
            "reasoning" => &mut self.reasoning,
            "estimated" => &mut self.estimated,
            "unpriced" => &mut self.unpriced,
            "duration_ms" => &mut self.duration_ms,
            "first_token_ms" => &mut self.first_token_ms,
            "first_tokens" => &mut self.first_tokens,
            "charged_requests" => &mut self.charged_requests,
            "charged_tokens" => &mut self.charged_tokens,
            _ => return None,
        })
    }
}

impl Log {
    /// Sums by what is asked for.
    pub async fn stats(&self, query: &StatsQuery) -> Result<Vec<StatsRow>, Error> {
        self.timed_heavy(async {
            let mut connection = self.0.reading.acquire().await?;
            let currencies = currencies(self.0.engine, &mut connection).await?;
            let Some(question) = Question::of(self.0.engine, query, &mut connection).await? else {
                return Ok(Vec::new());
            };
            let rows = question.ask(&currencies, &mut connection).await?;
            answer(self.0.engine, query, &rows, &currencies, &mut connection).await
        })
        .await
    }
}

/// The currencies there are.
async fn currencies(engine: Engine, connection: &mut AnyConnection) -> Result<Vec<(i64, String)>, Error> {
    let mut sql = Sql::new(engine, "SELECT id, word FROM log_words WHERE kind = ");
    sql.bind(Kind::Currency.number()).push(" ORDER BY id LIMIT ").bind(CURRENCIES);
    sql.all(connection).await?.iter().map(|row| Ok((row.try_get("id")?, row.try_get("word")?))).collect()
}

/// The level that answers a question with the fewest rows.
fn level(query: &StatsQuery) -> Result<Level, Error> {
    let asked = |wanted: fn(Dimension) -> bool| query.by.iter().chain(query.only.keys()).any(|one| wanted(*one));
    let callers = asked(Dimension::is_caller);
    let targets = asked(|one| !one.is_caller());
    let credentials = query.tells_credentials();
    match (callers, targets) {
        (false, false) => Ok(Level::All),
        (false, true) => Ok(if credentials { Level::Targets } else { Level::Models }),
        (true, false) if !asked(|one| matches!(one, Dimension::Key | Dimension::User)) => Ok(Level::Teams),
        (true, false) if Level::Callers.exists(query.period) => Ok(Level::Callers),
        (true, _) if credentials && !Level::Whole.exists(query.period) => {
            Err(Error::Refused("what a caller used of a credential is summed up for days only".to_owned()))
        }
        (true, _) => Ok(Level::both(query.period)),
    }
}

/// The keys a question is about, where they are few.
async fn keys(engine: Engine, query: &StatsQuery, connection: &mut AnyConnection) -> Result<Option<Vec<i64>>, Error> {
    if let Some(key) = query.only.get(&Dimension::Key) {
        return Ok(find(engine, Kind::Key, key, connection).await?.map(|key| vec![key]));
    }
    let Some(user) = query.only.get(&Dimension::User) else { return Ok(None) };
    let Some(person) = find(engine, Kind::Person, user, connection).await? else { return Ok(None) };
    Ok(Some(keys_of(engine, person, connection).await?).filter(|keys| (1..=KEYS).contains(&keys.len())))
}

/// What rows must be; none where no row can be meant.
pub(super) async fn conditions(
    engine: Engine,
    query: &StatsQuery,
    connection: &mut AnyConnection,
) -> Result<Option<Conditions>, Error> {
    let table = table(query.period);
    let mut rows = Conditions::default();
    rows.and(format!("level = {}", level(query)?.number()), []);
    let (from, to) = (query.period.start(query.from), query.to);
    let starts = format!("SELECT starts FROM {table} WHERE level = {} AND starts >= ", Level::All.number());
    let mut few = Sql::new(engine, starts.clone());
    few.bind(from).push(" AND starts < ").bind(to).push(" GROUP BY starts LIMIT 2");
    match few.all(connection).await?.as_slice() {
        [] => return Ok(None),
        // Rows of one period stand in the order of callers.
        [one] => rows.and("starts = ?", [one.try_get::<i64, _>("starts")?.into()]),
        _ if query.only.contains_key(&Dimension::Key) || query.only.contains_key(&Dimension::User) => {
            rows.and(format!("starts IN ({starts}? AND starts < ?)"), [from.into(), to.into()]);
        }
        _ => rows.and("starts >= ? AND starts < ?", [from.into(), to.into()]),
    }
    if let Some(keys) = keys(engine, query, connection).await? {
        let places = vec!["?"; keys.len()].join(", ");
        rows.and(format!("key IN ({places})"), keys.into_iter().map(Value::from));
    }
    for (dimension, text) in &query.only {
        let Some(number) = find(engine, dimension.kind(), text, connection).await? else { return Ok(None) };
        rows.and(format!("{} = ?", dimension.column()), [number.into()]);
    }
    Ok(Some(rows))
}

/// Which rows, and how they are put together.
struct Question {
    engine: Engine,
    table: &'static str,
    /// What is told apart, as columns.
    groups: Vec<&'static str>,
    series: bool,
    sort: Measure,
    limit: usize,
    /// What rows must be, with its values.
    rows: Conditions,
}

impl Question {
    /// None where no row can be meant.
    async fn of(engine: Engine, query: &StatsQuery, connection: &mut AnyConnection) -> Result<Option<Self>, Error> {
        let table = table(query.period);
        let Some(rows) = conditions(engine, query, connection).await? else { return Ok(None) };
        let mut groups: Vec<&str> = query.by.iter().map(|dimension| dimension.column()).collect();
        groups.sort_unstable();
        groups.dedup();
        if query.series {
            groups.insert(0, "starts");
        }
        let (series, sort, limit) = (query.series, query.sort, query.limit.clamp(1, LIMIT));
        Ok(Some(Self { engine, table, groups, series, sort, limit, rows }))
    }

    async fn ask(mut self, currencies: &[(i64, String)], connection: &mut AnyConnection) -> Result<Vec<AnyRow>, Error> {
        // Of many callers the first few are found by one sum, and only theirs are summed up in full.
        if !self.series && self.limit <= FEW && self.groups.iter().any(|group| matches!(*group, "key" | "person")) {
            let first = self.sql(&[]).all(connection).await?;
            if first.is_empty() {
                return Ok(first);
            }
            let places = vec!["?"; self.groups.len()].join(", ");
            let places = vec![format!("({places})"); first.len()].join(", ");
            let mut values: Vec<Value> = Vec::new();
            for row in &first {
                for group in &self.groups {
                    values.push(row.try_get::<i64, _>(*group)?.into());
                }
            }
            self.rows.and(format!("({}) IN (VALUES {places})", self.groups.join(", ")), values);
        }
        self.sql(&sums(currencies)).all(connection).await
    }

    fn sql(&self, sums: &[String]) -> Sql {
        let groups = self.groups.join(", ");
        let columns: Vec<&str> = self.groups.iter().copied().chain(sums.iter().map(String::as_str)).collect();
        let mut sql = Sql::new(self.engine, format!("SELECT {} FROM {} WHERE 1 = 1", columns.join(", "), self.table));
        self.rows.write(&mut sql);
        if groups.is_empty() {
            // The sum of nothing would be a row.
            sql.push(" HAVING COUNT(*) > 0");
        } else {
            sql.push(" GROUP BY ").push(&groups);
        }
        sql.push(" ORDER BY ");
        if self.series {
            sql.push("starts, ");
        }
        sql.push(self.sort.expression()).push(" DESC");
        for group in self.groups.iter().filter(|group| **group != "starts") {
            sql.push(", ").push(group);
        }
        sql.push(" LIMIT ").bind(i64::try_from(self.limit).unwrap_or(i64::MAX));
        sql
    }
}

/// All sums as columns.
fn sums(currencies: &[(i64, String)]) -> Vec<String> {
    let sum = |value: &str, name: &str| format!("CAST(COALESCE(SUM({value}), 0) AS BIGINT) AS {name}");
    let mut columns: Vec<String> = COLUMNS.iter().map(|name| sum(name, name)).collect();
    for name in MONEY {
        for (number, _) in currencies {
            for part in ["milli", "rest"] {
                let value = match currencies {
                    [_] => format!("{name}_{part}"),
                    _ => format!("CASE WHEN currency = {number} THEN {name}_{part} ELSE 0 END"),
                };
                columns.push(sum(&value, &format!("{name}_{part}_{number}")));
            }
        }
    }
    columns
}

async fn answer(
    engine: Engine,
    query: &StatsQuery,
    rows: &[AnyRow],
    currencies: &[(i64, String)],
    connection: &mut AnyConnection,
) -> Result<Vec<StatsRow>, Error> {
    let mut numbers = BTreeSet::new();
    let mut owners = BTreeSet::new();
    for row in rows {
        for dimension in &query.by {
            let number: i64 = row.try_get(dimension.column())?;
            numbers.insert(number);
            if dimension.is_caller() {
                owners.insert(number);
            }
        }
    }
    let texts = Texts::of(engine, numbers, connection).await?;
    let names = Texts::names_of(engine, owners, connection).await?;
    let mut answer = Vec::with_capacity(rows.len());
    for row in rows {
        let mut found = StatsRow { sums: totals(row, currencies)?, ..StatsRow::default() };
        if query.series {
            found.starts = Some(row.try_get("starts")?);
        }
        for dimension in &query.by {
            let number: i64 = row.try_get(dimension.column())?;
            found.of.insert(*dimension, texts.get(number));
            if let Some(name) = names.get(number).filter(|_| dimension.is_caller()) {
                found.names.insert(*dimension, name);
            }
        }
        answer.push(found);
    }
    Ok(answer)
}

fn totals(row: &AnyRow, currencies: &[(i64, String)]) -> Result<Totals, Error> {
    let mut totals = Totals::default();
    for name in COLUMNS {
        let sum = positive(row.try_get(name)?);
        if let Some(column) = totals.column(name) {
            *column = sum;
        }
    }
    for (number, currency) in currencies {
        let amount = |name: &str| {
            let milli = row.try_get(format!("{name}_milli_{number}").as_str())?;
            Ok::<_, Error>(join(milli, row.try_get(format!("{name}_rest_{number}").as_str())?))
        };
        for (name, sums) in [("cost", &mut totals.cost), ("charged", &mut totals.charged)] {
            let amount = amount(name)?;
            if amount > 0 {
                sums.insert(currency.clone(), amount);
            }
        }
    }
    Ok(totals)
}

pub(super) fn positive(sum: i64) -> u64 {
    u64::try_from(sum).unwrap_or_default()
}

/// Amounts are texts: other programs read numbers of JSON as floating point.
mod amounts {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(all: &BTreeMap<String, u128>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(all.iter().map(|(currency, amount)| (currency, amount.to_string())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u128>, D::Error> {
        let all = BTreeMap::<String, String>::deserialize(deserializer)?;
        all.into_iter()
            .map(|(currency, amount)| Ok((currency, amount.parse().map_err(serde::de::Error::custom)?)))
            .collect()
    }
}
