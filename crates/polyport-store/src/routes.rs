//! Rules that pick a model or a pool.

use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::table::{Cell, Object, definition, flag};

/// A route, as the configuration file would declare it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// What people call it; need not be unique.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// What stands in the list `routes`: `match`, `to`, `priority` and so on.
    pub definition: Value,
}

impl Object for Route {
    const TABLE: &'static str = "routes";
    const WHAT: &'static str = "route";

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("enabled", self.enabled.into()),
            ("definition", (&self.definition).into()),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self { name: row.try_get("name")?, enabled: flag(row, "enabled")?, definition: definition(row)? })
    }
}
