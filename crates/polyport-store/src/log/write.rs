//! Writing: a batch is one transaction, with everything that follows from its entries.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AnyConnection, Row};

use super::Log;
use super::entry::{Attempt, Entry, Position};
use super::pack::{
    ERROR, NAME, REPORT, SHORT, bounded, clip, clip_opt, moment, pack, pack_counts, split, tidy, tried, words,
};
use super::pack::{ending_number, state_number};
use super::parts::{self, Shelf, seq};
use super::rollup::Rollups;
use super::sql::{Sql, Value, portions};
use super::times::Added;
use super::words::{Kind, NONE, Numbers, Word};
use crate::engine::Engine;
use crate::error::Error;

/// How often a batch is tried whose numbers were taken: they are drawn anew, and one in a million is taken.
const TRIES: usize = 4;

/// How many ids one statement asks for.
const ASKED: usize = 500;

const REQUEST: &str = "seq, id, key, key_name, person, person_name, team, team_name, protocol, route, model, asked, \
     stream, status, outcome, finish, failed, duration_ms, first_token_ms, losses, provider, credential, captured, \
     tried, loss_report, upstream_id, source, error, errors, attempts";

const LINE: &str = "seq, request, n, sent, key, key_name, person, person_name, team, team_name, model, provider, \
     credential, target, status, outcome, state, charged, ending, duration_ms, first_token_ms, input, cache_read, \
     cache_write, output, reasoning, counts, cost_milli, cost_rest, currency, unpriced";

/// Tells rows of one millisecond apart. It begins anywhere, so that several processes seldom meet.
#[derive(Debug)]
pub(super) struct Ties(AtomicU32);

impl Ties {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(rand::random()))
    }

    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Log {
    /// Writes these entries and how far the journal is written with them: all of it or nothing. Entries that are there already are left
    /// out, so a call whose answer was lost is repeated as it was.
    pub async fn write(&self, entries: &[Entry], until: &Position) -> Result<(), Error> {
        let entries: Vec<Entry> = entries.iter().map(tidy_entry).collect();
        self.timed(async {
            for _ in 1..TRIES {
                match self.write_once(&entries, until).await {
                    Err(Error::Taken { .. }) => self.0.ties.0.store(rand::random(), Ordering::Relaxed),
                    other => return other,
                }
            }
            self.write_once(&entries, until).await
        })
        .await
    }

    async fn write_once(&self, entries: &[Entry], until: &Position) -> Result<(), Error> {
        let engine = self.0.engine;
        let mut transaction = self.begin().await?;
        let connection = &mut *transaction;
        let moments = || entries.iter().map(|entry| entry.at);
        parts::ensure(engine, Shelf::Requests, moments(), connection).await?;
        let entries = new_ones(engine, entries, connection).await?;
        let moments = |chosen: fn(&Entry) -> bool| {
            let chosen = entries.iter().filter(move |entry| chosen(entry));
            chosen.map(|entry| entry.at)
        };
        parts::ensure(engine, Shelf::Ledger, moments(|entry| !entry.attempts.is_empty()), connection).await?;
        parts::ensure(engine, Shelf::Payloads, moments(|entry| entry.payload.is_some()), connection).await?;
        let mut numbers = Numbers::new(engine, &self.0.words);
        numbers.need(entries.iter().flat_map(|entry| plain_words(entry)), connection).await?;
        let names: Vec<Word> = entries.iter().flat_map(|entry| name_words(entry, &numbers)).collect();
        numbers.need(names, connection).await?;

        let mut rows = Rows::default();
        let mut rollups = Rollups::default();
        let mut times = Added::default();
        for entry in &entries {
            rows.add(entry, &numbers, &self.0.ties);
            rollups.add(entry, model(entry, &numbers), &numbers);
            times.add(entry, model(entry, &numbers), &numbers);
        }
        rows.write(engine, connection).await?;
        rollups.write(engine, connection).await?;
        times.write(engine, connection).await?;
        advance(engine, until, connection).await?;
        let new = numbers.into_new();
        transaction.commit().await?;
        self.0.words.learn(new);
        Ok(())
    }

    /// How far a journal has been written; none of one that is new.
    pub async fn position(&self, journal: &str) -> Result<Option<Position>, Error> {
        self.timed(async {
            let mut connection = self.0.reading.acquire().await?;
            let mut sql = Sql::new(self.0.engine, "SELECT segment, place FROM log_positions WHERE journal = ");
            sql.bind(clip(journal, NAME));
            let Some(row) = sql.optional(&mut connection).await? else { return Ok(None) };
            let number = |name| Ok::<_, Error>(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or_default());
            Ok(Some(Position { journal: journal.to_owned(), segment: number("segment")?, offset: number("place")? }))
        })
        .await
    }
}

async fn advance(engine: Engine, until: &Position, connection: &mut AnyConnection) -> Result<(), Error> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut sql = Sql::new(engine, "INSERT INTO log_positions (journal, segment, place) VALUES (");
    sql.bind(clip(&until.journal, NAME)).push(", ").bind(number(until.segment)).push(", ").bind(number(until.offset));
    sql.push(
        ") ON CONFLICT (journal) DO UPDATE SET segment = excluded.segment, place = excluded.place \
         WHERE (log_positions.segment, log_positions.place) < (excluded.segment, excluded.place)",
    );
    sql.run(connection).await.map(drop)
}

/// The entries that are not there yet, each once.
async fn new_ones<'e>(
    engine: Engine,
    entries: &'e [Entry],
    connection: &mut AnyConnection,
) -> Result<Vec<&'e Entry>, Error> {
    let mut of_table: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for entry in entries {
        of_table.entry(Shelf::Requests.table(entry.at)).or_default().push(&entry.id);
    }
    let mut seen: HashSet<String> = HashSet::new();
    for (table, ids) in of_table {
        for ids in ids.chunks(ASKED) {
            let mut sql = Sql::new(engine, format!("SELECT id FROM {table} WHERE id IN "));
            sql.list(ids.iter().copied());
            for row in sql.all(connection).await? {
                seen.insert(row.try_get("id")?);
            }
        }
    }
    Ok(entries.iter().filter(|entry| seen.insert(entry.id.clone())).collect())
}

/// The entry as it is written: bounded, and nothing in it that a database cannot keep.
fn tidy_entry(entry: &Entry) -> Entry {
    let name = |text: &Option<String>| clip_opt(text.as_ref(), NAME);
    Entry {
        id: clip(&entry.id, SHORT),
        at: moment(entry.at),
        key: name(&entry.key),
        key_name: name(&entry.key_name),
        user: name(&entry.user),
        user_name: name(&entry.user_name),
        team: name(&entry.team),
        team_name: name(&entry.team_name),
        protocol: clip(&entry.protocol, SHORT),
        route: clip(&entry.route, NAME),
        model: clip(&entry.model, NAME),
        outcome: clip(&entry.outcome, SHORT),
        finish: clip_opt(entry.finish.as_ref(), SHORT),
        error: clip_opt(entry.error.as_ref(), ERROR),
        loss_report: clip_opt(entry.loss_report.as_ref(), REPORT),
        upstream_id: name(&entry.upstream_id),
        source: clip_opt(entry.source.as_ref(), SHORT),
        attempts: entry.attempts.iter().map(tidy).collect(),
        payload: entry.payload.as_ref().map(|payload| super::Payload {
            request: clip_opt(payload.request.as_ref(), usize::MAX),
            answer: clip_opt(payload.answer.as_ref(), usize::MAX),
            truncated: payload.truncated,
        }),
        ..*entry
    }
}

/// Whether its model is one that a provider has: other names would fill the dictionary and statistics with whatever clients make up.
fn known_model(entry: &Entry) -> bool {
    entry.attempts.iter().any(|attempt| attempt.status != Some(404))
}

fn model(entry: &Entry, numbers: &Numbers<'_>) -> i64 {
    if known_model(entry) { numbers.of(Kind::Model, &entry.model) } else { NONE }
}

fn plain_words(entry: &Entry) -> impl Iterator<Item = Word> + '_ {
    let model = known_model(entry).then_some(entry.model.as_str());
    let own = [
        (Kind::Key, entry.key.as_deref().unwrap_or_default()),
        (Kind::Person, entry.user.as_deref().unwrap_or_default()),
        (Kind::Team, entry.team.as_deref().unwrap_or_default()),
        (Kind::Model, model.unwrap_or_default()),
        (Kind::Common, entry.protocol.as_str()),
        (Kind::Common, entry.route.as_str()),
        (Kind::Common, entry.outcome.as_str()),
        (Kind::Common, entry.finish.as_deref().unwrap_or_default()),
    ];
    let all = own.into_iter().chain(entry.attempts.iter().flat_map(words));
    all.map(|(kind, text)| Word { kind, owner: NONE, text: text.to_owned() })
}

/// Names with the number of what has them.
fn names<'e>(entry: &'e Entry, numbers: &Numbers<'_>) -> [(Kind, i64, &'e str); 3] {
    let of = |kind, text: &Option<String>| numbers.of(kind, text.as_deref().unwrap_or_default());
    [
        (Kind::KeyName, of(Kind::Key, &entry.key), entry.key_name.as_deref().unwrap_or_default()),
        (Kind::PersonName, of(Kind::Person, &entry.user), entry.user_name.as_deref().unwrap_or_default()),
        (Kind::TeamName, of(Kind::Team, &entry.team), entry.team_name.as_deref().unwrap_or_default()),
    ]
}

/// The same as words, and that this person has this key.
fn name_words(entry: &Entry, numbers: &Numbers<'_>) -> impl Iterator<Item = Word> {
    let names = names(entry, numbers);
    let [(_, key, _), (_, person, _), _] = names;
    let holding = Word { kind: Kind::Holding, owner: person, text: key.to_string() };
    let names = names.map(|(kind, owner, text)| Word { kind, owner, text: text.to_owned() });
    names.into_iter().chain(Some(holding).filter(|_| person != NONE))
}

/// Rows of all tables of a batch.
#[derive(Default)]
struct Rows(BTreeMap<(Shelf, String), Vec<Vec<Value>>>);

impl Rows {
    fn put(&mut self, shelf: Shelf, at: i64, row: Vec<Value>) {
        self.0.entry((shelf, shelf.table(at))).or_default().push(row);
    }

    fn add(&mut self, entry: &Entry, numbers: &Numbers<'_>, ties: &Ties) {
        let own = seq(entry.at, ties.next());
        self.put(Shelf::Requests, entry.at, request(own, entry, numbers));
        for attempt in &entry.attempts {
            self.put(Shelf::Ledger, entry.at, line(seq(entry.at, ties.next()), entry, attempt, numbers));
        }
        if let Some(payload) = &entry.payload {
            let [key, _, person, ..] = who(entry, numbers);
            let row = vec![
                own.into(),
                key.into(),
                person.into(),
                i64::from(payload.truncated).into(),
                payload.request.clone().into(),
                payload.answer.clone().into(),
            ];
            self.put(Shelf::Payloads, entry.at, row);
        }
    }

    async fn write(self, engine: Engine, connection: &mut AnyConnection) -> Result<(), Error> {
        for ((shelf, table), rows) in self.0 {
            let columns = match shelf {
                Shelf::Requests => REQUEST,
                Shelf::Ledger => LINE,
                Shelf::Payloads => "seq, key, person, truncated, request, answer",
            };
            let seqs: Vec<i64> = rows
                .iter()
                .filter_map(|row| match row.first() {
                    Some(Value::Number(seq)) => Some(*seq),
                    _ => None,
                })
                .collect();
            parts::uncleaned(engine, &seqs, &table, connection).await?;
            for portion in portions(&rows) {
                let mut sql = Sql::new(engine, format!("INSERT INTO {table} ({columns}) VALUES "));
                for (at, row) in portion.iter().enumerate() {
                    sql.push(if at == 0 { "" } else { ", " });
                    sql.list(row.iter().cloned());
                }
                sql.insert(connection).await?;
            }
        }
        Ok(())
    }
}

/// Key, person and team, each with its name.
fn who(entry: &Entry, numbers: &Numbers<'_>) -> [i64; 6] {
    let [key, person, team] =
        names(entry, numbers).map(|(kind, owner, text)| [owner, numbers.named(kind, owner, text)]);
    [key[0], key[1], person[0], person[1], team[0], team[1]]
}

fn request(seq: i64, entry: &Entry, numbers: &Numbers<'_>) -> Vec<Value> {
    let common = |text: &str| numbers.of(Kind::Common, text);
    let last = entry.attempts.last();
    let errors: Vec<(usize, &str)> =
        entry.attempts.iter().enumerate().filter_map(|(at, attempt)| Some((at, attempt.error.as_deref()?))).collect();
    let errors = if errors.is_empty() { None } else { serde_json::to_string(&errors).ok() };
    let model = model(entry, numbers);
    let mut row: Vec<Value> = vec![seq.into(), entry.id.as_str().into()];
    row.extend(who(entry, numbers).map(Value::from));
    row.extend([
        common(&entry.protocol).into(),
        common(&entry.route).into(),
        model.into(),
        Some(entry.model.clone()).filter(|name| model == NONE && !name.is_empty()).into(),
        i64::from(entry.stream).into(),
        i64::from(entry.status).into(),
        common(&entry.outcome).into(),
        common(entry.finish.as_deref().unwrap_or_default()).into(),
        trouble(entry).into(),
        i64::from(entry.duration_ms).into(),
        entry.first_token_ms.map(i64::from).into(),
        i64::from(entry.losses).into(),
        last.map_or(NONE, |attempt| numbers.of(Kind::Provider, &attempt.provider)).into(),
        last.map_or(NONE, |last| numbers.of(Kind::Credential, last.credential.as_deref().unwrap_or_default())).into(),
        i64::from(entry.payload.is_some()).into(),
        tried(&entry.attempts, numbers).into(),
        entry.loss_report.clone().into(),
        entry.upstream_id.clone().into(),
        entry.source.clone().into(),
        entry.error.clone().into(),
        errors.into(),
        pack(&entry.attempts, entry.at, numbers).into(),
    ]);
    row
}

/// 1 where something went wrong, 2 where only the status looks so: both are in the index of those.
fn trouble(entry: &Entry) -> i64 {
    if entry.failed() {
        1
    } else if entry.status >= 400 {
        2
    } else {
        0
    }
}

fn line(seq: i64, entry: &Entry, attempt: &Attempt, numbers: &Numbers<'_>) -> Vec<Value> {
    let cost = attempt.cost.map(split);
    let mut row: Vec<Value> = vec![
        seq.into(),
        entry.id.as_str().into(),
        i64::from(attempt.n).into(),
        attempt.at.saturating_sub(entry.at).into(),
    ];
    row.extend(who(entry, numbers).map(Value::from));
    row.extend([
        model(entry, numbers).into(),
        numbers.of(Kind::Provider, &attempt.provider).into(),
        numbers.of(Kind::Credential, attempt.credential.as_deref().unwrap_or_default()).into(),
        numbers.of(Kind::Target, &attempt.model).into(),
        i64::from(attempt.status.unwrap_or_default()).into(),
        numbers.of(Kind::Common, &attempt.outcome).into(),
        i64::from(state_number(attempt.state)).into(),
        i64::from(attempt.charged).into(),
        i64::from(ending_number(attempt.ending)).into(),
        i64::from(attempt.duration_ms).into(),
        attempt.first_token_ms.map(i64::from).into(),
        bounded(attempt.input()).into(),
        bounded(attempt.cache_read()).into(),
        bounded(attempt.cache_write()).into(),
        bounded(attempt.output()).into(),
        bounded(attempt.reasoning()).into(),
        pack_counts(attempt, numbers).into(),
        cost.map(|(milli, _)| milli).into(),
        cost.map(|(_, rest)| rest).into(),
        numbers.of(Kind::Currency, attempt.currency.as_deref().unwrap_or_default()).into(),
        i64::from(attempt.unpriced).into(),
    ]);
    row
}
