//! The ledger: what each attempt used and cost, page by page.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::Log;
use super::entry::{Attempt, State};
use super::pack::{ending_of, join, state_number, state_of, unpack_counts};
use super::parts::{Shelf, moment_of};
use super::search::Look;
use super::sql::Conditions;
use super::walk::{Cursor, Order, Page, Walk};
use super::words::{Kind, Texts};
use crate::error::Error;

/// Which lines. What is left out does not matter. The ledger has no index beside the time: lines of one caller come in pages that may be empty
/// until some are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerQuery {
    /// Of requests from this moment on, in Unix milliseconds.
    pub from: Option<i64>,
    /// Before this moment.
    pub to: Option<i64>,
    /// The id of the client key.
    pub key: Option<String>,
    /// The id of the user.
    pub user: Option<String>,
    /// The id of the team.
    pub team: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The credential.
    pub credential: Option<String>,
    /// How well the counts are known.
    pub state: Option<State>,
    /// Whether it counts towards limits.
    pub charged: Option<bool>,
    /// Which come first.
    pub order: Order,
    /// Those behind this one.
    pub after: Option<Cursor>,
    /// How many, at most 1000.
    pub limit: usize,
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its place in the list.
    pub cursor: Cursor,
    /// The id of the request.
    pub request: String,
    /// When the request began, in Unix milliseconds.
    pub at: i64,
    /// The id of the client key.
    pub key: Option<String>,
    /// The name the key had.
    pub key_name: Option<String>,
    /// The id of the user.
    pub user: Option<String>,
    /// The name the user had.
    pub user_name: Option<String>,
    /// The id of the team.
    pub team: Option<String>,
    /// The name the team had.
    pub team_name: Option<String>,
    /// The model that was asked for; none where no provider has it.
    pub model: Option<String>,
    /// The attempt, without its error.
    pub attempt: Attempt,
}

const COLUMNS: &str = "seq, request, n, sent, key, key_name, person, person_name, team, team_name, model, provider, \
     credential, target, status, outcome, state, charged, ending, duration_ms, first_token_ms, input, cache_read, \
     cache_write, output, reasoning, counts, cost_milli, cost_rest, currency, unpriced";

const WORDS: [&str; 12] = [
    "key",
    "key_name",
    "person",
    "person_name",
    "team",
    "team_name",
    "model",
    "provider",
    "credential",
    "target",
    "outcome",
    "currency",
];

impl Log {
    /// Some lines of the ledger, and where to go on.
    pub async fn ledger(&self, query: &LedgerQuery) -> Result<Page<Line>, Error> {
        self.timed(async {
            let Some(walk) = self.walk_ledger(query).await? else { return Ok(Page { rows: Vec::new(), next: None }) };
            let (rows, next) = walk.page(self).await?;
            Ok(Page { rows: self.read_lines(&rows).await?, next })
        })
        .await
    }

    async fn walk_ledger(&self, query: &LedgerQuery) -> Result<Option<Walk>, Error> {
        let mut connection = self.0.reading.acquire().await?;
        let mut look = Look { engine: self.0.engine, connection: &mut connection, impossible: false };
        let mut asked = Conditions::default();
        look.equal(Kind::Key, query.key.as_ref(), "key = ?", &mut asked).await?;
        look.equal(Kind::Person, query.user.as_ref(), "person = ?", &mut asked).await?;
        look.equal(Kind::Team, query.team.as_ref(), "team = ?", &mut asked).await?;
        look.equal(Kind::Model, query.model.as_ref(), "model = ?", &mut asked).await?;
        look.equal(Kind::Provider, query.provider.as_ref(), "provider = ?", &mut asked).await?;
        look.equal(Kind::Credential, query.credential.as_ref(), "credential = ?", &mut asked).await?;
        if let Some(state) = query.state {
            asked.and("state = ?", [i64::from(state_number(state)).into()]);
        }
        if let Some(charged) = query.charged {
            asked.and("charged = ?", [i64::from(charged).into()]);
        }
        if look.impossible {
            return Ok(None);
        }
        Ok(Some(Walk {
            shelf: Shelf::Ledger,
            columns: COLUMNS,
            from: query.from,
            to: query.to,
            order: query.order,
            after: query.after,
            limit: query.limit,
            found: Conditions::default(),
            index: None,
            asked,
            single: false,
        }))
    }

    async fn read_lines(&self, rows: &[AnyRow]) -> Result<Vec<Line>, Error> {
        let mut numbers = BTreeSet::new();
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            for column in WORDS {
                numbers.insert(row.try_get::<i64, _>(column)?);
            }
            let counts = row.try_get::<Option<String>, _>("counts")?.map(|text| unpack_counts(&text));
            numbers.extend(counts.iter().flatten().map(|(class, _)| *class));
            all.push((row, counts));
        }
        let mut connection = self.0.reading.acquire().await?;
        let texts = Texts::of(self.0.engine, numbers, &mut connection).await?;
        all.into_iter().map(|(row, counts)| read(row, counts, &texts)).collect()
    }
}

fn read(row: &AnyRow, counts: Option<Vec<(i64, u64)>>, texts: &Texts) -> Result<Line, Error> {
    let seq: i64 = row.try_get("seq")?;
    let at = moment_of(seq);
    let number = |column| row.try_get::<i64, _>(column);
    let word = |column| Ok::<_, Error>(texts.text(number(column)?));
    let maybe = |column| Ok::<_, Error>(texts.get(number(column)?));
    let counts = match counts {
        Some(counts) => counts.into_iter().map(|(class, count)| (texts.text(class), count)).collect(),
        None => {
            let mut counts = Vec::new();
            for class in ["input", "cache_read", "cache_write", "output", "reasoning"] {
                let count = u64::try_from(number(class)?).unwrap_or_default();
                if count > 0 {
                    counts.push((class.to_owned(), count));
                }
            }
            counts
        }
    };
    let milli = row.try_get::<Option<i64>, _>("cost_milli")?;
    let rest = row.try_get::<Option<i64>, _>("cost_rest")?;
    let attempt = Attempt {
        n: u16::try_from(number("n")?).unwrap_or_default(),
        at: at.saturating_add(number("sent")?),
        provider: word("provider")?,
        credential: maybe("credential")?,
        model: word("target")?,
        status: u16::try_from(number("status")?).ok().filter(|status| *status != 0),
        outcome: word("outcome")?,
        error: None,
        duration_ms: u32::try_from(number("duration_ms")?).unwrap_or(u32::MAX),
        first_token_ms: row.try_get::<Option<i64>, _>("first_token_ms")?.and_then(|ms| u32::try_from(ms).ok()),
        state: state_of(number("state")?),
        charged: number("charged")? != 0,
        ending: ending_of(number("ending")?),
        counts,
        cost: milli.zip(rest).map(|(milli, rest)| join(milli, rest)),
        currency: maybe("currency")?,
        unpriced: number("unpriced")? != 0,
    };
    Ok(Line {
        cursor: Cursor(seq),
        request: row.try_get("request")?,
        at,
        key: maybe("key")?,
        key_name: maybe("key_name")?,
        user: maybe("person")?,
        user_name: maybe("person_name")?,
        team: maybe("team")?,
        team_name: maybe("team_name")?,
        model: maybe("model")?,
        attempt,
    })
}
