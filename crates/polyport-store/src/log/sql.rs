//! Statements that are put together. Values are always bound; what is put into the text are names of our own tables and columns.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Arguments, AssertSqlSafe};

use crate::engine::Engine;
use crate::error::Error;

/// A statement and its values.
pub(super) struct Sql {
    engine: Engine,
    text: String,
    values: AnyArguments,
    bound: usize,
    failed: bool,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    /// A text that is missing.
    NoText,
    /// A number that is missing.
    NoNumber,
}

impl Sql {
    pub(super) fn new(engine: Engine, text: impl Into<String>) -> Self {
        Self { engine, text: text.into(), values: AnyArguments::default(), bound: 0, failed: false }
    }

    /// Goes on with the text.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Goes on with a value.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.bound += 1;
        match self.engine {
            // Names would be looked up one after the other.
            Engine::Sqlite => self.text.push('?'),
            Engine::Postgres => {
                self.text.push('$');
                self.text.push_str(&self.bound.to_string());
            }
        }
        let added = match value.into() {
            Value::Number(number) => self.values.add(number),
            Value::Text(text) => self.values.add(text),
            Value::NoText => self.values.add(None::<String>),
            Value::NoNumber => self.values.add(None::<i64>),
        };
        self.failed |= added.is_err();
        self
    }

    /// Goes on with values between brackets.
    pub(super) fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.push("(");
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self.push(")")
    }

    fn query(self) -> Result<Query<'static, Any, AnyArguments>, Error> {
        if self.failed {
            return Err(Error::Refused("a value cannot be bound".to_owned()));
        }
        Ok(sqlx::query_with(AssertSqlSafe(self.text), self.values))
    }

    /// Runs it; how many rows it changed.
    pub(super) async fn run(self, connection: &mut AnyConnection) -> Result<u64, Error> {
        Ok(self.query()?.execute(connection).await?.rows_affected())
    }

    /// The same, where a row that is there already is told apart from other errors.
    pub(super) async fn insert(self, connection: &mut AnyConnection) -> Result<(), Error> {
        match self.query()?.execute(connection).await {
            Ok(_) => Ok(()),
            Err(error) if crate::error::is_taken(&error) => {
                Err(Error::Taken { what: "row of the log", name: String::new() })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn all(self, connection: &mut AnyConnection) -> Result<Vec<AnyRow>, Error> {
        Ok(self.query()?.fetch_all(connection).await?)
    }

    pub(super) async fn optional(self, connection: &mut AnyConnection) -> Result<Option<AnyRow>, Error> {
        Ok(self.query()?.fetch_optional(connection).await?)
    }
}

/// Parts of a condition, with their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions(Vec<(String, Vec<Value>)>);

impl Conditions {
    /// All of them must hold. Each `?` of the text is a value.
    pub(super) fn and(&mut self, text: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.0.push((text.into(), values.into_iter().collect()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Goes on with them; there must be a condition before.
    pub(super) fn write(&self, sql: &mut Sql) {
        for (text, values) in &self.0 {
            sql.push(" AND ");
            let mut values = values.iter();
            for (at, piece) in text.split('?').enumerate() {
                if let Some(value) = if at > 0 { values.next() } else { None } {
                    sql.bind(value.clone());
                }
                sql.push(piece);
            }
        }
    }
}

/// How many rows one statement writes: few sizes, so that few statements are prepared.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// Rows in portions of these sizes.
pub(super) fn portions<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (portion, rest) = rows.split_at(size);
        rows = rest;
        Some(portion)
    })
}

/// `text` as a pattern that finds it anywhere; nothing in it means anything else.
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 8);
    pattern.push('%');
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// The comparison with such a pattern, without regard to capital letters. (Of SQLite: of ASCII.)
pub(super) fn like(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "LIKE",
        Engine::Postgres => "ILIKE",
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::NoText, Self::Text)
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::NoNumber, Self::Number)
    }
}
