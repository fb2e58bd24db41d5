//! Single values by name.

use serde_json::Value;
use sqlx::Row;

use crate::db::Store;
use crate::error::Error;
use crate::table::json;

/// Values that belong to no object. The last one written counts.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'s> {
    store: &'s Store,
}

impl<'s> Settings<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store }
    }

    /// All of them by name.
    pub async fn list(&self) -> Result<Vec<(String, Value)>, Error> {
        self.store
            .timed(async {
                let rows = sqlx::query("SELECT name, value FROM settings ORDER BY name");
                let rows = rows.fetch_all(&self.store.inner().reading).await?;
                rows.iter().map(|row| Ok((row.try_get("name")?, json(row, "value", "setting")?))).collect()
            })
            .await
    }

    /// One of them.
    pub async fn get(&self, name: &str) -> Result<Option<Value>, Error> {
        self.store
            .timed(async {
                let row = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(name);
                let row = row.fetch_optional(&self.store.inner().reading).await?;
                row.map(|row| json(&row, "value", "setting")).transpose()
            })
            .await
    }

    /// Writes one.
    pub async fn set(&self, name: &str, value: &Value) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                sqlx::query(
                    "INSERT INTO settings (name, value) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                )
                .bind(name)
                .bind(value.to_string())
                .execute(change.connection())
                .await?;
                change.commit_change().await
            })
            .await
    }

    /// Forgets one; false if there was none.
    pub async fn remove(&self, name: &str) -> Result<bool, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let removed = sqlx::query("DELETE FROM settings WHERE name = $1").bind(name);
                let removed = removed.execute(change.connection()).await?.rows_affected() > 0;
                change.commit_change().await?;
                Ok(removed)
            })
            .await
    }
}
