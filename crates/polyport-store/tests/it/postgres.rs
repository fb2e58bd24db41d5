//! The suite on a Postgres of its own: the one of `POLYPORT_TEST_POSTGRES`, or a server that is started for the test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;

use crate::place::Place;
use crate::suite;

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_runs_on_postgres() {
    let Some(server) = Server::find().await else {
        eprintln!("skipped: no POLYPORT_TEST_POSTGRES and no Postgres on this machine");
        return;
    };
    for (name, test) in suite::ALL {
        eprintln!("{name}");
        test(Place::server(server.schema(name).await)).await;
    }
}

/// A running server.
pub(crate) struct Server {
    url: String,
    own: Option<(Child, TempDir)>,
}

impl Server {
    /// The one that is given, or one that is started here.
    #[allow(clippy::disallowed_methods, reason = "a test has no configuration")]
    pub(crate) async fn find() -> Option<Self> {
        match env::var("POLYPORT_TEST_POSTGRES") {
            Ok(url) => Some(Self { url, own: None }),
            Err(_) => Self::start(&binaries()?).await,
        }
    }

    /// A new server with its files in a temporary folder and a socket there: nothing listens on the network.
    async fn start(binaries: &Path) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("pp").tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let mut init = Command::new(binaries.join("initdb"));
        init.args(["--username=polyport", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data);
        let mut run = Command::new(binaries.join("postgres"));
        run.args(["-F", "-c", "listen_addresses=", "-c"]);
        run.arg(format!("unix_socket_directories={}", folder.path().display())).arg("-D").arg(&data);
        for command in [&mut init, &mut run] {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
            as_nobody(command, &[folder.path(), &data]);
        }
        if !init.status().ok()?.success() {
            return None;
        }
        let child = run.spawn().ok()?;
        let socket = folder.path().to_string_lossy().replace('/', "%2F");
        let server =
            Self { url: format!("postgres://polyport@localhost/postgres?host={socket}"), own: Some((child, folder)) };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if server.connect().await.is_ok() {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the Postgres of this machine does not start");
    }

    async fn connect(&self) -> sqlx::Result<AnyConnection> {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.url).await
    }

    /// The address of a new, empty schema.
    pub(crate) async fn schema(&self, name: &str) -> String {
        let mut connection = self.connect().await.unwrap();
        let schema = format!("t_{name}");
        connection
            .execute(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")))
            .await
            .unwrap();
        connection.close().await.unwrap();
        let joint = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{joint}options[search_path]={schema}", self.url)
    }

    /// The process, if it was started here.
    pub(crate) fn process(&self) -> Option<u32> {
        self.own.as_ref().map(|(child, _)| child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            // Ends its connections and gives its memory back.
            let asked = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
            if !asked.is_ok_and(|status| status.success()) {
                child.kill().ok();
            }
            child.wait().ok();
        }
    }
}

fn binaries() -> Option<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let places = ["/usr/local/bin", "/usr/bin", "/usr/local/pgsql/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    versions.chain(places).find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// Postgres refuses to run as root.
#[cfg(unix)]
fn as_nobody(command: &mut Command, folders: &[&Path]) {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    if fs::metadata(folders[0]).unwrap().uid() == 0 || fs::metadata(folders[0]).unwrap().uid() == NOBODY {
        for folder in folders {
            chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command.uid(NOBODY).gid(NOBODY);
    }
}

#[cfg(not(unix))]
fn as_nobody(_: &mut Command, _: &[&Path]) {}
