//! A Postgres server of its own for a test, where one is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A new server with its files in a temporary folder and a socket there: nothing listens on the network. Dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    folder: TempDir,
}

impl Postgres {
    /// Starts one; `None` where Postgres is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let binaries = binaries()?;
        let folder = tempfile::Builder::new().prefix("pp").tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder");
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
        let server = Self { child: run.spawn().ok()?, folder };
        let mut ready = Command::new(binaries.join("pg_isready"));
        ready.arg("-h").arg(server.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if ready.status().is_ok_and(|status| status.success()) {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the Postgres of this machine does not start");
    }

    /// The address of its database.
    #[must_use]
    pub fn url(&self) -> String {
        let socket = self.folder.path().to_string_lossy().replace('/', "%2F");
        format!("postgres://polyport@localhost/postgres?host={socket}")
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal (`-STOP`, `-CONT`) to it and to the processes of its connections.
    ///
    /// # Panics
    /// When there is no such process any more.
    pub fn signal(&self, name: &str) {
        assert!(self.send(name), "{name}");
    }

    /// Whether it could be sent.
    fn send(&self, name: &str) -> bool {
        let process = self.process();
        let kill = |process: &str| Command::new("kill").args([name, process]).stderr(Stdio::null()).status();
        // Itself first: once it is stopped it starts no more of the others, of which one may have ended meanwhile.
        let sent = kill(&process.to_string()).is_ok_and(|status| status.success());
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
        for child in children.split_whitespace() {
            kill(child).ok();
        }
        sent
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // What was stopped would never end.
        self.send("-CONT");
        // Ends its connections and gives its memory back.
        let asked = Command::new("kill").arg("-INT").arg(self.process().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            self.child.kill().ok();
        }
        self.child.wait().ok();
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
    if fs::metadata(folders[0]).expect("the folder of a test").uid() == 0
        || fs::metadata(folders[0]).expect("the folder of a test").uid() == NOBODY
    {
        for folder in folders {
            chown(folder, Some(NOBODY), Some(NOBODY)).expect("the folder of a test");
        }
        command.uid(NOBODY).gid(NOBODY);
    }
}

#[cfg(not(unix))]
fn as_nobody(_: &mut Command, _: &[&Path]) {}
