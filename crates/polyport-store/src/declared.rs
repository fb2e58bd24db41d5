//! What is declared beside objects: the settings.

use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::table::{Cell, Object, definition};

/// A part of the configuration, in the words of the configuration file.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// What it is; there is one of each name.
    pub name: String,
    /// What would stand in the configuration file, but for what is secret.
    pub definition: Value,
}

impl Object for Declared {
    const TABLE: &'static str = "declared";
    const WHAT: &'static str = "declaration";
    const FIXED: Option<&'static str> = Some("name");

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        vec![("name", self.name.as_str().into()), ("definition", (&self.definition).into())]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self { name: row.try_get("name")?, definition: definition(row)? })
    }
}
