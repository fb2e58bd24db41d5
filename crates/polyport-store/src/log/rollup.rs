//! Sums that are kept while entries are written: statistics never count rows.

use std::collections::BTreeMap;

use sqlx::AnyConnection;

use super::entry::{Attempt, Entry, State};
use super::pack::{bounded, bounded_money, moment, split};
use super::sql::{Sql, portions};
use super::time::Period;
use super::words::{Kind, NONE, Numbers};
use crate::engine::Engine;
use crate::error::Error;

/// What a sum tells apart. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing: one row.
    All = 0,
    /// Model and provider: few rows whoever calls.
    Models = 1,
    /// Credentials as well.
    Targets = 2,
    /// Key, user, team: few rows whatever they call.
    Callers = 3,
    /// Callers, models and providers.
    Both = 4,
    /// Callers and credentials too. A key in use goes through all credentials of a pool: that is kept for days only.
    Whole = 5,
    /// Only teams.
    Teams = 6,
}

impl Level {
    pub(super) const EACH: [Self; 7] =
        [Self::All, Self::Models, Self::Targets, Self::Callers, Self::Both, Self::Whole, Self::Teams];

    pub(super) fn number(self) -> i64 {
        self as i64
    }

    /// Short periods have few rows of callers as it is.
    pub(super) fn exists(self, period: Period) -> bool {
        match self {
            Self::All | Self::Models | Self::Targets | Self::Teams => true,
            Self::Callers => matches!(period, Period::Day | Period::Month),
            Self::Both => period != Period::Day,
            Self::Whole => period == Period::Day,
        }
    }

    /// The one that tells callers and models apart.
    pub(super) fn both(period: Period) -> Self {
        if Self::Both.exists(period) { Self::Both } else { Self::Whole }
    }
}

pub(super) fn table(period: Period) -> &'static str {
    match period {
        Period::Minute => "log_minutes",
        Period::Hour => "log_hours",
        Period::Day => "log_days",
        Period::Month => "log_months",
    }
}

/// The columns that tell rows apart.
pub(super) const GROUP: &str = "level, starts, key, person, team, model, currency, provider, credential";

/// The columns that add up, before those of money.
pub(super) const COLUMNS: [&str; 20] = [
    "requests",
    "ok",
    "failed",
    "status_2xx",
    "status_4xx",
    "status_5xx",
    "attempts",
    "attempts_failed",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "estimated",
    "unpriced",
    "duration_ms",
    "first_token_ms",
    "first_tokens",
    "charged_requests",
    "charged_tokens",
];

/// Money has two columns each.
pub(super) const MONEY: [&str; 2] = ["charged", "cost"];

/// What adds up, in the order of the columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) plain: [i64; COLUMNS.len()],
    pub(super) money: [u128; MONEY.len()],
}

impl Sums {
    fn of(values: &[(&str, i64)]) -> Self {
        let mut sums = Self::default();
        for (name, sum) in COLUMNS.iter().zip(&mut sums.plain) {
            *sum = values.iter().find(|(column, _)| column == name).map_or(0, |(_, value)| *value);
        }
        sums
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.plain.iter_mut().zip(other.plain) {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in self.money.iter_mut().zip(other.money) {
            *sum = sum.saturating_add(more);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) level: Level,
    pub(super) starts: i64,
    pub(super) key: i64,
    pub(super) person: i64,
    pub(super) team: i64,
    pub(super) model: i64,
    pub(super) currency: i64,
    pub(super) provider: i64,
    pub(super) credential: i64,
}

impl Group {
    /// Of one attempt, or of a request without any; everything is told apart, and its time is not yet known.
    pub(super) fn of(entry: &Entry, attempt: Option<&Attempt>, model: i64, numbers: &Numbers<'_>) -> Self {
        let of = |kind, text: Option<&String>| text.map_or(NONE, |text| numbers.of(kind, text));
        Self {
            level: Level::Both,
            starts: 0,
            key: of(Kind::Key, entry.key.as_ref()),
            person: of(Kind::Person, entry.user.as_ref()),
            team: of(Kind::Team, entry.team.as_ref()),
            model,
            provider: attempt.map_or(NONE, |attempt| numbers.of(Kind::Provider, &attempt.provider)),
            credential: of(Kind::Credential, attempt.and_then(|attempt| attempt.credential.as_ref())),
            currency: of(Kind::Currency, attempt.and_then(|attempt| attempt.currency.as_ref())),
        }
    }

    /// What is left of it where less is told apart.
    pub(super) fn at(self, level: Level) -> Self {
        let kept = |levels: &[Level], number| if levels.contains(&level) { number } else { NONE };
        let callers = [Level::Callers, Level::Both, Level::Whole];
        let models = [Level::Models, Level::Targets, Level::Both, Level::Whole];
        Self {
            level,
            key: kept(&callers, self.key),
            person: kept(&callers, self.person),
            team: kept(&[Level::Teams, Level::Callers, Level::Both, Level::Whole], self.team),
            model: kept(&models, self.model),
            provider: kept(&models, self.provider),
            credential: kept(&[Level::Targets, Level::Whole], self.credential),
            ..self
        }
    }
}

/// The sums of entries that are written together.
#[derive(Debug, Default)]
pub(super) struct Rollups(BTreeMap<Period, BTreeMap<Group, Sums>>);

impl Rollups {
    /// Adds an entry. `model` is the number of the model it asked for; [`NONE`] where nobody has such a model.
    pub(super) fn add(&mut self, entry: &Entry, model: i64, numbers: &Numbers<'_>) {
        let group = |attempt| Group::of(entry, attempt, model, numbers);
        let first_charged = entry.attempts.iter().position(|attempt| attempt.charged);
        let last = entry.attempts.len().saturating_sub(1);
        for (at, attempt) in entry.attempts.iter().enumerate() {
            let mut sums = of_attempt(attempt, first_charged == Some(at));
            if at == last {
                sums.add(&of_request(entry));
            }
            self.put(entry.at, group(Some(attempt)), &sums);
        }
        if entry.attempts.is_empty() {
            self.put(entry.at, group(None), &of_request(entry));
        }
    }

    fn put(&mut self, at: i64, group: Group, sums: &Sums) {
        for period in Period::ALL {
            let all = self.0.entry(period).or_default();
            let whole = Group { starts: period.start(moment(at)), ..group };
            for level in Level::EACH.into_iter().filter(|level| level.exists(period)) {
                all.entry(whole.at(level)).or_default().add(sums);
            }
        }
    }

    /// Adds all of it to what is stored.
    pub(super) async fn write(self, engine: Engine, connection: &mut AnyConnection) -> Result<(), Error> {
        for (period, groups) in self.0 {
            let rows: Vec<(Group, Sums)> = groups.into_iter().collect();
            let table = table(period);
            let ending = ending(table);
            let columns = COLUMNS.join(", ");
            let money = MONEY.map(|name| format!("{name}_milli, {name}_rest")).join(", ");
            for portion in portions(&rows) {
                let mut sql = Sql::new(engine, format!("INSERT INTO {table} ({GROUP}, {columns}, {money}) VALUES "));
                for (at, (group, sums)) in portion.iter().enumerate() {
                    sql.push(if at == 0 { "" } else { ", " });
                    sql.list(values(group, sums));
                }
                sql.push(&ending);
                sql.run(connection).await?;
            }
        }
        Ok(())
    }
}

fn values(group: &Group, sums: &Sums) -> impl Iterator<Item = i64> {
    let Group { level, starts, key, person, team, model, currency, provider, credential } = *group;
    [level.number(), starts, key, person, team, model, currency, provider, credential]
        .into_iter()
        .chain(sums.plain)
        .chain(sums.money.into_iter().flat_map(|amount| {
            let (milli, rest) = split(amount);
            [milli, rest]
        }))
}

/// What happens to a row that is there: it grows.
fn ending(table: &str) -> String {
    let plain = COLUMNS.iter().map(|name| format!("{name} = {table}.{name} + excluded.{name}"));
    let money = MONEY.iter().flat_map(|name| {
        let rest = format!("({table}.{name}_rest + excluded.{name}_rest)");
        [
            format!("{name}_milli = {table}.{name}_milli + excluded.{name}_milli + {rest} / 1000000000"),
            format!("{name}_rest = {rest} % 1000000000"),
        ]
    });
    let sets: Vec<String> = plain.chain(money).collect();
    format!(" ON CONFLICT ({GROUP}) DO UPDATE SET {}", sets.join(", "))
}

fn of_attempt(attempt: &Attempt, first_charged: bool) -> Sums {
    let cost = bounded_money(attempt.cost.unwrap_or_default());
    let unpriced = attempt.unpriced || (attempt.cost.is_none() && !attempt.counts.is_empty());
    let estimated = matches!(attempt.state, State::Estimated | State::Unknown);
    let charged = |amount| if attempt.charged { amount } else { 0 };
    let sums = Sums::of(&[
        ("attempts", 1),
        ("attempts_failed", attempt.failed().into()),
        ("input", bounded(attempt.input())),
        ("cache_read", bounded(attempt.cache_read())),
        ("cache_write", bounded(attempt.cache_write())),
        ("output", bounded(attempt.output())),
        ("reasoning", bounded(attempt.reasoning())),
        ("estimated", estimated.into()),
        ("unpriced", unpriced.into()),
        ("charged_requests", first_charged.into()),
        ("charged_tokens", charged(bounded(attempt.tokens()))),
    ]);
    Sums { money: [if attempt.charged { cost } else { 0 }, cost], ..sums }
}

fn of_request(entry: &Entry) -> Sums {
    let class = |class: u16| i64::from(entry.status / 100 == class);
    Sums::of(&[
        ("requests", 1),
        ("ok", entry.answered().into()),
        ("failed", entry.failed().into()),
        ("status_2xx", class(2)),
        ("status_4xx", class(4)),
        ("status_5xx", class(5)),
        ("duration_ms", entry.duration_ms.into()),
        ("first_token_ms", entry.first_token_ms.unwrap_or_default().into()),
        ("first_tokens", entry.first_token_ms.is_some().into()),
    ])
}
