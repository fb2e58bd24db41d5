//! Objects that people make and change: rows with an id and a revision.

use std::marker::PhantomData;

use polyport_types::Secret;
use serde_json::Value;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row};

use crate::db::{Change, Store, new_id, now};
use crate::error::{Error, is_taken};
use crate::secrets;

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// A UUID that begins with the time.
    pub id: String,
    /// Grows with every change; a change names the one it was made from.
    pub revision: i64,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub updated_at: i64,
    /// The object itself.
    pub value: T,
}

/// A kind of object: its table and the columns that are its own.
pub trait Object: Sized + Send {
    /// The table.
    #[doc(hidden)]
    const TABLE: &'static str;
    /// What people call one.
    #[doc(hidden)]
    const WHAT: &'static str;
    /// The column that never changes, because others refer to the object by it.
    #[doc(hidden)]
    const FIXED: Option<&'static str> = None;

    /// Names of the columns and what stands in them.
    #[doc(hidden)]
    fn cells(&self) -> Vec<(&'static str, Cell)>;

    /// Reads a row.
    #[doc(hidden)]
    fn read(row: &AnyRow) -> Result<Self, Error>;
}

/// What stands in a column.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(Option<String>),
    Int(Option<i64>),
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Table<'s, T> {
    pub(crate) store: &'s Store,
    kind: PhantomData<T>,
}

impl<'s, T: Object> Table<'s, T> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store, kind: PhantomData }
    }

    /// All of them, in the order they were made.
    pub async fn list(&self) -> Result<Vec<Stored<T>>, Error> {
        self.store
            .timed(async {
                let sql = format!("SELECT * FROM {} ORDER BY id", T::TABLE);
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.store.inner().reading).await?;
                rows.iter().map(stored).collect()
            })
            .await
    }

    /// One of them.
    pub async fn get(&self, id: &str) -> Result<Stored<T>, Error> {
        self.store
            .timed(async {
                let mut connection = self.store.inner().reading.acquire().await?;
                fetch(&mut connection, id).await
            })
            .await
    }

    /// Makes one.
    pub async fn create(&self, value: T) -> Result<Stored<T>, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let made = insert(&mut change, value).await?;
                change.commit_change().await?;
                Ok(made)
            })
            .await
    }

    /// Changes one, if it still is as it was read: `revision` is the one that was read.
    pub async fn update(&self, id: &str, revision: i64, value: T) -> Result<Stored<T>, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let before = fetch::<T>(change.connection(), id).await?;
                let changed = replace(&mut change, &before, revision, value).await?;
                change.commit_change().await?;
                Ok(changed)
            })
            .await
    }

    /// The same as [`Table::create`] for one that has a secret.
    pub async fn create_with(&self, value: T, secret: &Secret) -> Result<Stored<T>, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let made = insert(&mut change, value).await?;
                seal_for(&mut change, &made.id, secret).await?;
                change.commit_change().await?;
                Ok(made)
            })
            .await
    }

    /// The same as [`Table::update`], with the secret that it has from now on.
    pub async fn update_with(&self, id: &str, revision: i64, value: T, secret: &Secret) -> Result<Stored<T>, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let before = fetch::<T>(change.connection(), id).await?;
                let changed = replace(&mut change, &before, revision, value).await?;
                seal_for(&mut change, id, secret).await?;
                change.commit_change().await?;
                Ok(changed)
            })
            .await
    }

    /// Deletes one with its secret; with a revision only if it still is as it was read.
    pub async fn delete(&self, id: &str, revision: Option<i64>) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let found = fetch::<T>(change.connection(), id).await?.revision;
                if let Some(expected) = revision.filter(|expected| *expected != found) {
                    return Err(Error::Conflict { what: T::WHAT, expected, found });
                }
                let sql = format!("DELETE FROM {} WHERE id = $1", T::TABLE);
                sqlx::query(AssertSqlSafe(sql)).bind(id).execute(change.connection()).await?;
                let secret = sqlx::query("DELETE FROM secrets WHERE object = $1").bind(id);
                secret.execute(change.connection()).await?;
                change.commit_change().await
            })
            .await
    }
}

/// Two objects may well have the same secret: it is told apart by its object.
pub(crate) async fn seal_for(change: &mut Change, id: &str, secret: &Secret) -> Result<(), Error> {
    let identity = secrets::digest(id, &Secret::new(String::new()));
    secrets::write(change, id, id, secret, &identity).await
}

pub(crate) async fn fetch<T: Object>(connection: &mut AnyConnection, id: &str) -> Result<Stored<T>, Error> {
    let sql = format!("SELECT * FROM {} WHERE id = $1", T::TABLE);
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(connection).await?;
    row.as_ref().map_or_else(|| Err(Error::NotFound { what: T::WHAT, id: id.to_owned() }), stored)
}

pub(crate) async fn insert<T: Object>(change: &mut Change, value: T) -> Result<Stored<T>, Error> {
    let (id, at) = (new_id(), now());
    let cells = value.cells();
    let names: String = cells.iter().map(|(name, _)| format!(", {name}")).collect();
    let places: String = (0..cells.len()).map(|index| format!(", ${}", index + 4)).collect();
    let sql = format!(
        "INSERT INTO {} (id, revision, created_at, updated_at{names}) VALUES ($1, $2, $3, $3{places})",
        T::TABLE
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(id.clone()).bind(1_i64).bind(at);
    let inserted = bind(query, &cells).execute(change.connection()).await;
    inserted.map_err(|error| taken::<T>(error, &cells))?;
    Ok(Stored { id, revision: 1, created_at: at, updated_at: at, value })
}

pub(crate) async fn replace<T: Object>(
    change: &mut Change,
    before: &Stored<T>,
    revision: i64,
    value: T,
) -> Result<Stored<T>, Error> {
    let conflict = |found| Error::Conflict { what: T::WHAT, expected: revision, found };
    if before.revision != revision {
        return Err(conflict(before.revision));
    }
    let cells = value.cells();
    if let Some(member) = T::FIXED
        && cell(&cells, member) != cell(&before.value.cells(), member)
    {
        return Err(Error::Fixed { what: T::WHAT, member });
    }
    let at = now();
    let sets: String =
        cells.iter().enumerate().map(|(index, (name, _))| format!(", {name} = ${}", index + 4)).collect();
    let sql = format!(
        "UPDATE {} SET revision = revision + 1, updated_at = $3{sets} WHERE id = $1 AND revision = $2",
        T::TABLE
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(before.id.clone()).bind(revision).bind(at);
    let updated = bind(query, &cells).execute(change.connection()).await;
    // On a server another process may have been faster since the row was read.
    if updated.map_err(|error| taken::<T>(error, &cells))?.rows_affected() == 0 {
        return Err(conflict(revision + 1));
    }
    Ok(Stored { id: before.id.clone(), revision: revision + 1, created_at: before.created_at, updated_at: at, value })
}

pub(crate) fn stored<T: Object>(row: &AnyRow) -> Result<Stored<T>, Error> {
    Ok(Stored {
        id: row.try_get("id")?,
        revision: row.try_get("revision")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        value: T::read(row)?,
    })
}

type Statement<'q> = Query<'q, Any, AnyArguments>;

fn bind<'q>(query: Statement<'q>, cells: &[(&'static str, Cell)]) -> Statement<'q> {
    cells.iter().fold(query, |query, (_, cell)| match cell.clone() {
        Cell::Text(text) => query.bind(text),
        Cell::Int(number) => query.bind(number),
    })
}

fn cell<'c>(cells: &'c [(&'static str, Cell)], name: &str) -> Option<&'c Cell> {
    cells.iter().find(|(column, _)| *column == name).map(|(_, cell)| cell)
}

fn taken<T: Object>(error: sqlx::Error, cells: &[(&'static str, Cell)]) -> Error {
    match cell(cells, "name") {
        Some(Cell::Text(Some(name))) if is_taken(&error) => Error::Taken { what: T::WHAT, name: name.clone() },
        _ => error.into(),
    }
}

/// Truth is 0 or 1.
pub(crate) fn flag(row: &AnyRow, name: &str) -> Result<bool, Error> {
    Ok(row.try_get::<i64, _>(name)? != 0)
}

/// What people said of an object; nothing where it is no JSON any more.
pub(crate) fn definition(row: &AnyRow) -> Result<Value, Error> {
    Ok(serde_json::from_str(row.try_get::<&str, _>("definition")?).unwrap_or_default())
}

/// JSON is text.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    row: &AnyRow,
    name: &'static str,
    what: &'static str,
) -> Result<T, Error> {
    serde_json::from_str(row.try_get::<&str, _>(name)?).map_err(|_| Error::Unreadable(what))
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<&Option<String>> for Cell {
    fn from(text: &Option<String>) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&Value> for Cell {
    fn from(value: &Value) -> Self {
        Self::Text(Some(value.to_string()))
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Int(Some(flag.into()))
    }
}
