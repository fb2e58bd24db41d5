//! The dictionary: texts that repeat are written once, and rows refer to them by number.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use sqlx::{AnyConnection, Row};

use super::sql::{Sql, portions};
use crate::engine::Engine;
use crate::error::Error;

/// How many words are remembered in each of two generations.
const REMEMBERED: usize = 25_000;

/// How many numbers one statement asks for.
const ASKED: usize = 500;

/// The number of "none".
pub(super) const NONE: i64 = 0;

const QUESTION: &str = "SELECT id, owner, word FROM log_words WHERE kind = ";

/// What a word is. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Key = 1,
    KeyName = 2,
    Person = 3,
    PersonName = 4,
    Team = 5,
    TeamName = 6,
    /// What clients ask for.
    Model = 7,
    Provider = 8,
    Credential = 9,
    /// What providers call a model.
    Target = 10,
    /// Protocols, outcomes, classes: what this program or a provider says.
    Common = 11,
    Currency = 12,
    /// The number of a key of the person that owns this word.
    Holding = 13,
}

impl Kind {
    /// Names of keys, persons and teams.
    pub(super) const NAMES: [Self; 3] = [Self::KeyName, Self::PersonName, Self::TeamName];

    /// What goes with somebody who is forgotten.
    pub(super) const PERSONAL: [Self; 4] = [Self::KeyName, Self::PersonName, Self::TeamName, Self::Holding];

    pub(super) fn number(self) -> i64 {
        self as i64
    }
}

/// A word with what it belongs to: the number of a key or a person for their names, [`NONE`] otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Word {
    pub(super) kind: Kind,
    pub(super) owner: i64,
    pub(super) text: String,
}

/// Words whose numbers are known. Only what is committed gets in.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Word, i64>,
    old: HashMap<Word, i64>,
}

impl Memory {
    fn get(&self, word: &Word) -> Option<i64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = all.young.get(word) {
            return Some(*id);
        }
        let (word, id) = all.old.remove_entry(word)?;
        all.put(word, id);
        Some(id)
    }

    pub(super) fn learn(&self, words: HashMap<Word, i64>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (word, id) in words {
            all.put(word, id);
        }
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Generations::default();
    }
}

impl Generations {
    fn put(&mut self, word: Word, id: i64) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(word, id);
    }
}

/// Numbers of words in one transaction that writes.
pub(super) struct Numbers<'m> {
    engine: Engine,
    memory: &'m Memory,
    known: HashMap<Word, i64>,
    /// What the database has told or was told in this transaction.
    new: HashMap<Word, i64>,
}

impl<'m> Numbers<'m> {
    pub(super) fn new(engine: Engine, memory: &'m Memory) -> Self {
        Self { engine, memory, known: HashMap::new(), new: HashMap::new() }
    }

    /// Finds or makes the numbers of these words.
    pub(super) async fn need(
        &mut self,
        words: impl IntoIterator<Item = Word>,
        connection: &mut AnyConnection,
    ) -> Result<(), Error> {
        let mut missing: BTreeMap<Kind, HashSet<Word>> = BTreeMap::new();
        for word in words {
            if word.text.is_empty() || self.known.contains_key(&word) || self.new.contains_key(&word) {
                continue;
            }
            match self.memory.get(&word) {
                Some(id) => drop(self.known.insert(word, id)),
                None => drop(missing.entry(word.kind).or_default().insert(word)),
            }
        }
        let mut unknown = Vec::new();
        for (kind, mut words) in missing {
            for (word, id) in look_up(self.engine, kind, &words, connection).await? {
                words.remove(&word);
                self.new.insert(word, id);
            }
            unknown.extend(words);
        }
        unknown.sort();
        self.make(unknown, connection).await
    }

    /// Nobody else writes meanwhile: the next numbers are free.
    async fn make(&mut self, words: Vec<Word>, connection: &mut AnyConnection) -> Result<(), Error> {
        if words.is_empty() {
            return Ok(());
        }
        let highest = Sql::new(self.engine, "SELECT COALESCE(MAX(id), 0) AS id FROM log_words");
        let mut id = match highest.optional(connection).await? {
            Some(row) => row.try_get::<i64, _>("id")?,
            None => 0,
        };
        let mut rows = Vec::with_capacity(words.len());
        for word in words {
            id += 1;
            rows.push((id, word));
        }
        for portion in portions(&rows) {
            let mut sql = Sql::new(self.engine, "INSERT INTO log_words (id, kind, owner, word) VALUES ");
            for (at, (id, word)) in portion.iter().enumerate() {
                sql.push(if at == 0 { "(" } else { ", (" }).bind(*id).push(", ").bind(word.kind.number());
                sql.push(", ").bind(word.owner).push(", ").bind(word.text.as_str()).push(")");
            }
            sql.insert(connection).await?;
        }
        self.new.extend(rows.into_iter().map(|(id, word)| (word, id)));
        Ok(())
    }

    /// The number of a word that was needed before.
    pub(super) fn of(&self, kind: Kind, text: &str) -> i64 {
        self.named(kind, NONE, text)
    }

    pub(super) fn named(&self, kind: Kind, owner: i64, text: &str) -> i64 {
        if text.is_empty() {
            return NONE;
        }
        let word = Word { kind, owner, text: text.to_owned() };
        self.known.get(&word).or_else(|| self.new.get(&word)).copied().unwrap_or(NONE)
    }

    /// What is new, for the memory, as soon as it is committed.
    pub(super) fn into_new(self) -> HashMap<Word, i64> {
        self.new
    }
}

async fn look_up(
    engine: Engine,
    kind: Kind,
    words: &HashSet<Word>,
    connection: &mut AnyConnection,
) -> Result<Vec<(Word, i64)>, Error> {
    let mut found = Vec::new();
    let (free, owned): (Vec<&Word>, Vec<&Word>) = words.iter().partition(|word| word.owner == NONE);
    let mut questions = Vec::new();
    for words in free.chunks(ASKED) {
        let mut sql = Sql::new(engine, QUESTION);
        sql.bind(kind.number()).push(" AND owner = ").bind(NONE);
        sql.push(" AND word IN ").list(words.iter().map(|word| word.text.as_str()));
        questions.push(sql);
    }
    // Nothing has many names.
    for words in owned.chunks(ASKED) {
        let mut sql = Sql::new(engine, QUESTION);
        sql.bind(kind.number()).push(" AND owner IN ").list(words.iter().map(|word| word.owner));
        questions.push(sql);
    }
    for question in questions {
        for row in question.all(connection).await? {
            let word = Word { kind, owner: row.try_get("owner")?, text: row.try_get("word")? };
            if words.contains(&word) {
                found.push((word, row.try_get("id")?));
            }
        }
    }
    Ok(found)
}

/// The number of a word that somebody asks about; none where no row can have it.
pub(super) async fn find(
    engine: Engine,
    kind: Kind,
    text: &str,
    connection: &mut AnyConnection,
) -> Result<Option<i64>, Error> {
    let mut sql = Sql::new(engine, "SELECT id FROM log_words WHERE kind = ");
    sql.bind(kind.number()).push(" AND owner = ").bind(NONE).push(" AND word = ").bind(text.replace('\0', "\u{fffd}"));
    sql.optional(connection).await?.map(|row| Ok(row.try_get("id")?)).transpose()
}

/// The numbers of the keys that a person has used.
pub(super) async fn keys_of(engine: Engine, person: i64, connection: &mut AnyConnection) -> Result<Vec<i64>, Error> {
    let mut sql = Sql::new(engine, "SELECT word FROM log_words WHERE kind = ");
    sql.bind(Kind::Holding.number()).push(" AND owner = ").bind(person).push(" ORDER BY id");
    let rows = sql.all(connection).await?;
    let words = rows.iter().map(|row| Ok(row.try_get("word")?)).collect::<Result<Vec<String>, Error>>()?;
    Ok(words.iter().filter_map(|word| word.parse().ok()).collect())
}

/// Numbers back into words.
#[derive(Debug, Default)]
pub(super) struct Texts(HashMap<i64, String>);

impl Texts {
    /// Of these numbers.
    pub(super) async fn of(
        engine: Engine,
        numbers: impl IntoIterator<Item = i64>,
        connection: &mut AnyConnection,
    ) -> Result<Self, Error> {
        let mut numbers: Vec<i64> = numbers.into_iter().filter(|number| *number != NONE).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut texts = HashMap::with_capacity(numbers.len());
        for portion in numbers.chunks(ASKED) {
            let mut sql = Sql::new(engine, "SELECT id, word FROM log_words WHERE id IN ");
            sql.list(portion.iter().copied());
            for row in sql.all(connection).await? {
                texts.insert(row.try_get("id")?, row.try_get("word")?);
            }
        }
        Ok(Self(texts))
    }

    /// The last names of these keys, persons or teams.
    pub(super) async fn names_of(
        engine: Engine,
        owners: impl IntoIterator<Item = i64>,
        connection: &mut AnyConnection,
    ) -> Result<Self, Error> {
        let mut owners: Vec<i64> = owners.into_iter().filter(|number| *number != NONE).collect();
        owners.sort_unstable();
        owners.dedup();
        let mut texts = HashMap::with_capacity(owners.len());
        for portion in owners.chunks(ASKED) {
            let mut sql = Sql::new(engine, "SELECT owner, word FROM log_words WHERE kind IN ");
            sql.list(Kind::NAMES.map(Kind::number));
            sql.push(" AND owner IN ").list(portion.iter().copied()).push(" ORDER BY id");
            for row in sql.all(connection).await? {
                texts.insert(row.try_get("owner")?, row.try_get("word")?);
            }
        }
        Ok(Self(texts))
    }

    pub(super) fn get(&self, number: i64) -> Option<String> {
        self.0.get(&number).filter(|text| !text.is_empty()).cloned()
    }

    /// The same where there always is one.
    pub(super) fn text(&self, number: i64) -> String {
        self.get(number).unwrap_or_default()
    }
}
