//! Where a test has its database.

use std::path::{Path, PathBuf};

use polyport_store::log::Log;
use polyport_store::{Credential, MasterKey, NewCredential, Store, default_url};
use polyport_types::Secret;
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

    pub(crate) fn file(&self) -> PathBuf {
        self.data().join("polyport.db")
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone().unwrap_or_else(|| default_url(&self.data()))
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.data().join("log.db")
    }

    /// A file of its own, or beside the store on its server.
    pub(crate) fn log_url(&self) -> String {
        self.url.clone().unwrap_or_else(|| format!("sqlite://{}", self.log_file().display()))
    }

    pub(crate) async fn open_log(&self) -> Log {
        Log::open(&self.log_url()).await.unwrap()
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url(), &self.data(), None).await.unwrap()
    }

    pub(crate) async fn open_with_key(&self, key: &MasterKey) -> Store {
        Store::open(&self.url(), &self.data(), Some(key.clone())).await.unwrap()
    }
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(crate) fn entry(credential: Credential, text: &str, identity: &str) -> NewCredential {
    NewCredential { credential, secret: secret(text), identity: secret(identity) }
}

/// All bytes of all files in a folder.
pub(crate) fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    bytes
}

pub(crate) fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// The rights of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

impl Place {
    /// Runs a statement past the store, which must be closed.
    pub(crate) async fn run(&self, sql: &str) {
        run(&self.url(), sql).await;
    }

    /// The same in another file.
    pub(crate) async fn run_in(&self, file: &Path, sql: &str) {
        run(&format!("sqlite://{}", file.display()), sql).await;
    }
}

async fn run(url: &str, sql: &str) {
    use sqlx::{AnyConnection, Connection};
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
