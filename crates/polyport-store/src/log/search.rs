//! Requests, page by page.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::Log;
use super::entry::{Attempt, Entry, Payload};
use super::pack::{ERROR, Unpacked};
use super::parts::{Shelf, moment_of};
use super::sql::{Conditions, Sql, Value, containing, like};
use super::walk::{Cursor, Order, Page, Walk};
use super::words::{Kind, NONE, Texts, find};
use crate::error::Error;

/// Which requests. What is left out does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// From this moment on, in Unix milliseconds.
    pub from: Option<i64>,
    /// Before this moment.
    pub to: Option<i64>,
    /// The id of the request.
    pub id: Option<String>,
    /// The id of the client key.
    pub key: Option<String>,
    /// The id of the user.
    pub user: Option<String>,
    /// The id of the team.
    pub team: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// A provider that was tried.
    pub provider: Option<String>,
    /// A credential that was tried.
    pub credential: Option<String>,
    /// The protocol of the client.
    pub protocol: Option<String>,
    /// How it came out.
    pub outcome: Option<String>,
    /// The status it was answered with.
    pub status: Option<Status>,
    /// Those that took so long.
    pub min_duration_ms: Option<u32>,
    /// Whether something went wrong.
    pub failed: Option<bool>,
    /// A part of the model's name, the error, the provider's id or a name, as it stands there; capital letters do not matter.
    pub text: Option<String>,
    /// Which come first.
    pub order: Order,
    /// Those behind this one.
    pub after: Option<Cursor>,
    /// How many, at most 1000.
    pub limit: usize,
}

/// One status or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// This one.
    Is(u16),
    /// Those from 100 times this one on: 4 stands for 400 to 499.
    Class(u16),
}

/// A request that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place in the list.
    pub cursor: Cursor,
    /// What is known of it, without what was said.
    pub entry: Entry,
    /// Whether what was said was captured. It may have gone before the request has.
    pub captured: bool,
}

const COLUMNS: &str = "seq, id, key, key_name, person, person_name, team, team_name, protocol, route, model, asked, \
     stream, status, outcome, finish, duration_ms, first_token_ms, losses, captured, loss_report, upstream_id, source, \
     error, errors, attempts";

/// The columns of a row that are numbers of words.
const WORDS: [&str; 11] = [
    "key",
    "key_name",
    "person",
    "person_name",
    "team",
    "team_name",
    "protocol",
    "route",
    "model",
    "outcome",
    "finish",
];

impl Log {
    /// Some of the requests, and where to go on.
    pub async fn requests(&self, query: &Query) -> Result<Page<Found>, Error> {
        self.timed(async {
            let Some(walk) = self.walk_requests(query).await? else { return Ok(Page { rows: Vec::new(), next: None }) };
            let (rows, next) = walk.page(self).await?;
            Ok(Page { rows: self.read_requests(&rows).await?, next })
        })
        .await
    }

    /// One request with what was said, as far as it is there.
    pub async fn request(&self, id: &str) -> Result<Option<Found>, Error> {
        let query = Query { id: Some(id.to_owned()), limit: 1, ..Query::default() };
        let Some(mut found) = self.requests(&query).await?.rows.pop() else { return Ok(None) };
        if found.captured {
            found.entry.payload = self.payload(found.cursor).await?;
        }
        Ok(Some(found))
    }

    /// All requests of a query, page after page: the order, the limit of a page and the place to begin are those of the query.
    #[must_use]
    pub fn export(&self, query: Query) -> Export<'_> {
        Export { log: self, query: Some(query) }
    }

    async fn payload(&self, cursor: Cursor) -> Result<Option<Payload>, Error> {
        self.timed(async {
            let mut connection = self.0.reading.acquire().await?;
            let at = moment_of(cursor.0);
            let tables = super::parts::list(self.0.engine, Shelf::Payloads, at, at + 1, &mut connection).await?;
            let Some(table) = tables.first() else { return Ok(None) };
            let text = format!("SELECT truncated, request, answer FROM {} WHERE seq = ", table.name);
            let mut sql = Sql::new(self.0.engine, text);
            sql.bind(cursor.0);
            let Some(row) = sql.optional(&mut connection).await? else { return Ok(None) };
            Ok(Some(Payload {
                request: row.try_get("request")?,
                answer: row.try_get("answer")?,
                truncated: row.try_get::<i64, _>("truncated")? != 0,
            }))
        })
        .await
    }

    /// None where no row can be meant.
    async fn walk_requests(&self, query: &Query) -> Result<Option<Walk>, Error> {
        let engine = self.0.engine;
        let mut connection = self.0.reading.acquire().await?;
        let mut look = Look { engine, connection: &mut connection, impossible: false };
        let (mut found, mut asked) = (Conditions::default(), Conditions::default());
        let mut index = None;
        if let Some(id) = &query.id {
            found.and("id = ?", [clean(id).into()]);
        }
        let status = query.status.map(|status| match status {
            Status::Is(status) => (status, status),
            Status::Class(class) => (class.saturating_mul(100), class.saturating_mul(100).saturating_add(99)),
        });
        look.owners(query.key.as_ref(), query.user.as_ref(), &mut found, &mut asked, &mut index).await?;
        if found.is_empty() && (query.failed == Some(true) || status.is_some_and(|(low, _)| low >= 400)) {
            found.and("failed > 0", []);
            index = Some("failed");
        }
        if let Some((low, high)) = status {
            asked.and("status BETWEEN ? AND ?", [i64::from(low).into(), i64::from(high).into()]);
        }
        if let Some(failed) = query.failed {
            asked.and(if failed { "failed = 1" } else { "failed <> 1" }, []);
        }
        look.equal(Kind::Team, query.team.as_ref(), "team = ?", &mut asked).await?;
        look.equal(Kind::Common, query.protocol.as_ref(), "protocol = ?", &mut asked).await?;
        look.equal(Kind::Common, query.outcome.as_ref(), "outcome = ?", &mut asked).await?;
        look.tried(Kind::Provider, query.provider.as_ref(), "provider", &mut asked).await?;
        look.tried(Kind::Credential, query.credential.as_ref(), "credential", &mut asked).await?;
        if let Some(model) = &query.model {
            let number = look.number(Kind::Model, model).await?;
            // Names that nobody has are not in the dictionary.
            asked.and("(model = ? OR asked = ?)", [number.unwrap_or(-1).into(), clean(model).into()]);
        }
        if let Some(least) = query.min_duration_ms {
            asked.and("duration_ms >= ?", [i64::from(least).into()]);
        }
        if let Some(text) = query.text.as_deref().filter(|text| !text.is_empty()) {
            // No text that is kept is longer.
            if text.chars().nth(ERROR).is_some() {
                return Ok(None);
            }
            let text = clean(text);
            let like = like(engine);
            let condition = format!(
                "(r.error {like} ? ESCAPE '\\' OR r.upstream_id {like} ? ESCAPE '\\' OR r.asked {like} ? ESCAPE '\\' OR r.id = ? \
                 OR EXISTS (SELECT 1 FROM log_words AS w WHERE w.id IN (r.model, r.key_name, r.person_name, r.team_name) \
                 AND w.word {like} ? ESCAPE '\\'))"
            );
            let pattern = || Value::from(containing(&text));
            asked.and(condition, [pattern(), pattern(), pattern(), text.as_str().into(), pattern()]);
        }
        if look.impossible {
            return Ok(None);
        }
        Ok(Some(Walk {
            shelf: Shelf::Requests,
            columns: COLUMNS,
            from: query.from,
            to: query.to,
            order: query.order,
            after: query.after,
            limit: query.limit,
            found,
            index,
            asked,
            single: query.id.is_some(),
        }))
    }

    async fn read_requests(&self, rows: &[AnyRow]) -> Result<Vec<Found>, Error> {
        let mut numbers = BTreeSet::new();
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            for column in WORDS {
                numbers.insert(row.try_get::<i64, _>(column)?);
            }
            let attempts = Unpacked::read(row.try_get("attempts")?);
            numbers.extend(attempts.numbers());
            all.push((row, attempts));
        }
        let mut connection = self.0.reading.acquire().await?;
        let texts = Texts::of(self.0.engine, numbers, &mut connection).await?;
        all.into_iter().map(|(row, attempts)| read(row, attempts, &texts)).collect()
    }
}

/// Filters in words become filters in numbers.
pub(super) struct Look<'c> {
    pub(super) engine: crate::engine::Engine,
    pub(super) connection: &'c mut AnyConnection,
    /// Something is asked for that no row has.
    pub(super) impossible: bool,
}

impl Look<'_> {
    pub(super) async fn number(&mut self, kind: Kind, text: &str) -> Result<Option<i64>, Error> {
        find(self.engine, kind, text, self.connection).await
    }

    pub(super) async fn equal(
        &mut self,
        kind: Kind,
        text: Option<&String>,
        condition: &str,
        conditions: &mut Conditions,
    ) -> Result<(), Error> {
        let Some(text) = text else { return Ok(()) };
        match self.number(kind, text).await? {
            Some(number) => conditions.and(condition, [number.into()]),
            None => self.impossible = true,
        }
        Ok(())
    }

    /// One of these is what an index finds.
    pub(super) async fn owners(
        &mut self,
        key: Option<&String>,
        user: Option<&String>,
        found: &mut Conditions,
        asked: &mut Conditions,
        index: &mut Option<&'static str>,
    ) -> Result<(), Error> {
        for (kind, text, condition, name) in
            [(Kind::Key, key, "key = ?", "key"), (Kind::Person, user, "person > 0 AND person = ?", "person")]
        {
            if text.is_some() && found.is_empty() {
                *index = Some(name);
                self.equal(kind, text, condition, found).await?;
            } else {
                self.equal(kind, text, condition, asked).await?;
            }
        }
        Ok(())
    }

    async fn tried(
        &mut self,
        kind: Kind,
        text: Option<&String>,
        column: &str,
        asked: &mut Conditions,
    ) -> Result<(), Error> {
        let Some(text) = text else { return Ok(()) };
        match self.number(kind, text).await? {
            Some(number) => {
                let condition = format!("({column} = ? OR tried LIKE ?)");
                asked.and(condition, [number.into(), format!("% {number} %").into()]);
            }
            None => self.impossible = true,
        }
        Ok(())
    }
}

/// A text as it would be kept.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn read(row: &AnyRow, attempts: Unpacked, texts: &Texts) -> Result<Found, Error> {
    let seq: i64 = row.try_get("seq")?;
    let at = moment_of(seq);
    let number = |column| row.try_get::<i64, _>(column);
    let word = |column| Ok::<_, Error>(texts.text(number(column)?));
    let maybe = |column| Ok::<_, Error>(texts.get(number(column)?));
    let small = |column| Ok::<_, Error>(u32::try_from(number(column)?).unwrap_or(u32::MAX));
    let text = |column| row.try_get::<Option<String>, _>(column);
    let mut attempts: Vec<Attempt> = attempts.attempts(at, texts);
    if let Some(errors) = text("errors")? {
        let errors: Vec<(usize, String)> = serde_json::from_str(&errors).unwrap_or_default();
        for (place, error) in errors {
            if let Some(attempt) = attempts.get_mut(place) {
                attempt.error = Some(error);
            }
        }
    }
    let model = if number("model")? == NONE { text("asked")?.unwrap_or_default() } else { word("model")? };
    let entry = Entry {
        id: row.try_get("id")?,
        at,
        key: maybe("key")?,
        key_name: maybe("key_name")?,
        user: maybe("person")?,
        user_name: maybe("person_name")?,
        team: maybe("team")?,
        team_name: maybe("team_name")?,
        protocol: word("protocol")?,
        route: word("route")?,
        model,
        stream: number("stream")? != 0,
        status: u16::try_from(number("status")?).unwrap_or_default(),
        outcome: word("outcome")?,
        finish: maybe("finish")?,
        error: text("error")?,
        first_token_ms: row.try_get::<Option<i64>, _>("first_token_ms")?.and_then(|ms| u32::try_from(ms).ok()),
        duration_ms: small("duration_ms")?,
        losses: small("losses")?,
        loss_report: text("loss_report")?,
        upstream_id: text("upstream_id")?,
        source: text("source")?,
        attempts,
        payload: None,
    };
    Ok(Found { cursor: Cursor(seq), entry, captured: number("captured")? != 0 })
}

/// Requests page after page.
#[derive(Debug)]
pub struct Export<'l> {
    log: &'l Log,
    query: Option<Query>,
}

impl Export<'_> {
    /// The next of them; none at the end. A page may be empty where many had to be looked at.
    pub async fn next(&mut self) -> Result<Option<Vec<Found>>, Error> {
        let Some(query) = &mut self.query else { return Ok(None) };
        let page = self.log.requests(query).await?;
        match page.next {
            Some(next) => query.after = Some(next),
            None => self.query = None,
        }
        Ok(Some(page.rows))
    }
}
