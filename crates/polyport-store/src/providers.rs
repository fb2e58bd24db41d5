//! Providers.

use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::table::{Cell, Object, definition, flag};

/// A provider, as the configuration file would declare it.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The first part of `provider/model`. It never changes: targets and credentials refer to it.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// What stands under its name in the configuration file: `preset`, `protocol`, `base_url` and so on, but for what is secret.
    pub definition: Value,
}

impl Object for Provider {
    const TABLE: &'static str = "providers";
    const WHAT: &'static str = "provider";
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
