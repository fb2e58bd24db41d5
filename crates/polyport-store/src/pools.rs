//! Pools of targets behind a virtual model.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::Error;
use crate::table::{Cell, Object, flag, json};

/// A pool and its targets, which are written together.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// The virtual model. It never changes: routes refer to it.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// `tool`, `normal` or `advanced`, if it stands for one of the three.
    pub tier: Option<String>,
    /// How targets are chosen.
    pub strategy: String,
    /// In their order.
    pub targets: Vec<PoolTarget>,
    /// Further members, such as the pool that follows this one.
    pub settings: Value,
}

/// A target of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolTarget {
    /// `provider/model`.
    pub target: String,
    /// Its share among targets of the same priority.
    pub weight: u32,
    /// Lower ones are used while they can.
    pub priority: u32,
}

impl Object for Pool {
    const TABLE: &'static str = "pools";
    const WHAT: &'static str = "pool";
    const FIXED: Option<&'static str> = Some("name");

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("enabled", self.enabled.into()),
            ("tier", (&self.tier).into()),
            ("strategy", self.strategy.as_str().into()),
            ("targets", (&serde_json::json!(self.targets)).into()),
            ("settings", (&self.settings).into()),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            name: row.try_get("name")?,
            enabled: flag(row, "enabled")?,
            tier: row.try_get("tier")?,
            strategy: row.try_get("strategy")?,
            targets: json(row, "targets", Self::WHAT)?,
            settings: json(row, "settings", Self::WHAT)?,
        })
    }
}
