//! What is given to be read.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::Refused;
use crate::parse;
use crate::source::{Document, Kind};

/// Files and databases of one gateway.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Files of text.
    pub files: Vec<SourceFile>,
    /// Databases.
    pub databases: Vec<Database>,
    /// The time, in Unix milliseconds: what has expired by then is left out.
    pub now: Option<i64>,
}

/// A file.
#[derive(Clone)]
pub struct SourceFile {
    /// Its name, for people. What it is shows in its content.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// The tables of a database.
#[derive(Clone)]
pub struct Database {
    /// The name of its file, for people.
    pub name: String,
    /// Rows by table and column.
    pub tables: BTreeMap<String, Vec<Map<String, Value>>>,
    /// Tables that were not read, with the number of their rows: logs and statistics.
    pub left: BTreeMap<String, u64>,
}

impl fmt::Debug for SourceFile {
    /// Its content holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Database {
    /// Its rows hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Material {
    /// One file.
    #[must_use]
    pub fn file(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { files: vec![SourceFile { name: name.into(), text: text.into() }], ..Self::default() }
    }

    /// Everything as values.
    pub(crate) fn documents(&self) -> Result<Vec<Document>, Refused> {
        let mut documents = Vec::with_capacity(self.files.len() + self.databases.len());
        for file in &self.files {
            let broken = |message| Refused::Broken { file: file.name.clone(), message };
            documents.push(parse::document(&file.name, &file.text).map_err(broken)?);
        }
        for database in &self.databases {
            let mut value: Map<String, Value> = Map::new();
            for (table, rows) in &database.tables {
                value.insert(table.clone(), rows.iter().cloned().map(Value::Object).collect());
            }
            for (table, rows) in &database.left {
                value.insert(table.clone(), Value::from(*rows));
            }
            documents.push(Document { name: database.name.clone(), kind: Kind::Database, value: value.into() });
        }
        Ok(documents)
    }
}
