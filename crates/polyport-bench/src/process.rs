//! Processes under test: started on one core, watched through `/proc`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Core of the processes under test.
pub(crate) const CORE: &str = "0";

/// Where a process says what is wrong, in its folder.
pub(crate) const SAID: &str = "stderr";

/// A process under test.
pub(crate) struct Process {
    /// The process ends with this value.
    child: Child,
    pid: u32,
    /// Where it listens.
    pub(crate) address: String,
}

impl Process {
    /// Starts a program that prints its address first.
    pub(crate) async fn printing(program: &Path, args: &[&str]) -> Result<Self> {
        let mut child = pinned(program, args).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = lines.next_line().await?.context("the process printed no address")?;
        Self::new(child, address)
    }

    /// Starts a program in a folder that listens on a given address; what it says on standard error goes to a file there.
    pub(crate) fn listening(program: &Path, args: &[&str], folder: &Path, address: String) -> Result<Self> {
        let said = std::fs::File::create(folder.join(SAID))?;
        let child = pinned(program, args).current_dir(folder).stdout(Stdio::null()).stderr(said).spawn()?;
        Self::new(child, address)
    }

    fn new(child: Child, address: String) -> Result<Self> {
        let pid = child.id().context("the process ended at once")?;
        Ok(Self { child, pid, address })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it has ended.
    pub(crate) async fn wait(mut self) -> Result<()> {
        self.child.wait().await?;
        Ok(())
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// CPU time of all threads so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += stat.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    }
}

fn pinned(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(program).args(args).kill_on_drop(true);
    command
}
