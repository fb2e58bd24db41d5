//! Where a test has its database.

use std::path::PathBuf;

use polyport_store::{MasterKey, Store, default_url};
use tempfile::TempDir;

/// A data folder of its own, and a database in it or on a server.
pub(crate) struct Place {
    folder: TempDir,
    url: Option<String>,
}

impl Place {
    /// A file.
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: None }
    }

    /// A server.
    pub(crate) fn server(url: String) -> Self {
        Self { url: Some(url), ..Self::sqlite() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone().unwrap_or_else(|| default_url(&self.data()))
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url(), &self.data(), None).await.unwrap()
    }

    pub(crate) async fn open_with_key(&self, key: &MasterKey) -> Store {
        Store::open(&self.url(), &self.data(), Some(key.clone())).await.unwrap()
    }
}

impl Place {
    /// Runs a statement past the store, which must be closed.
    pub(crate) async fn run(&self, sql: &str) {
        use sqlx::{AnyConnection, Connection};
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}
