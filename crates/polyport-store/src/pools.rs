//! Pools of targets behind a virtual model.

use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::table::{Cell, Object, definition, flag};

/// A pool, as the configuration file would declare it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// The virtual model. It never changes: routes refer to it.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// What stands under its name in `pools`: `tier`, `targets`, `strategy` and so on.
    pub definition: Value,
}

impl Object for Pool {
    const TABLE: &'static str = "pools";
    const WHAT: &'static str = "pool";
    const FIXED: Option<&'static str> = Some("name");

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
