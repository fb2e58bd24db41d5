//! Rules that pick a model or a pool.

use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::table::{Cell, Object, flag, json};

/// A route, as the configuration file would declare it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// What people call it; need not be unique.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// Rules of higher priority are asked first.
    pub priority: i64,
    /// What a request must have: model, keyword, header, caller.
    pub matches: Value,
    /// Where it goes: a provider, `provider/model`, or a pool.
    pub target: String,
    /// Further members, such as `direct` or the credentials it is limited to.
    pub settings: Value,
}

impl Object for Route {
    const TABLE: &'static str = "routes";
    const WHAT: &'static str = "route";

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("enabled", self.enabled.into()),
            ("priority", self.priority.into()),
            ("matches", (&self.matches).into()),
            ("target", self.target.as_str().into()),
            ("settings", (&self.settings).into()),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            name: row.try_get("name")?,
            enabled: flag(row, "enabled")?,
            priority: row.try_get("priority")?,
            matches: json(row, "matches", Self::WHAT)?,
            target: row.try_get("target")?,
            settings: json(row, "settings", Self::WHAT)?,
        })
    }
}
