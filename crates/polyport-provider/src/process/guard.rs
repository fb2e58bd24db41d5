//! The guard: a process between Polyport and a program it runs.
//!
//! It adopts whatever the program leaves behind and ends all of it: when the program has ended, when it is asked to (`SIGTERM`), and when
//! Polyport is gone, which the kernel tells it (`SIGUSR1`) even if Polyport was killed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getppid, kill_process, set_child_subreaper, set_parent_process_death_signal, wait,
};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// It cannot guard: as shells say it.
const UNABLE: u8 = 126;
/// There is no such program.
const MISSING: u8 = 127;

/// What is found is killed for so long at most.
const KILLING: Duration = Duration::from_secs(1);

/// Runs `PARENT PROGRAM ARGUMENTS…` and comes back when all of it has ended.
#[must_use]
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments;
    let parent = arguments.next().and_then(|text| text.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let (Some(parent), Some(program)) = (parent, arguments.next()) else { return UNABLE.into() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let Ok(runtime) = runtime else { return UNABLE.into() };
    runtime.block_on(guard(parent, program, arguments.collect())).into()
}

async fn guard(parent: Pid, program: OsString, arguments: Vec<OsString>) -> u8 {
    let (Ok(mut asked), Ok(mut orphaned)) = (signal(SignalKind::terminate()), signal(SignalKind::user_defined1()))
    else {
        return UNABLE;
    };
    if set_parent_process_death_signal(Some(Signal::USR1)).is_err() || set_child_subreaper(getppid()).is_err() {
        return UNABLE;
    }
    // It may have gone before the kernel was asked to tell.
    if getppid() != Some(parent) {
        return UNABLE;
    }
    let mut child = match Command::new(program).args(arguments).spawn() {
        Ok(child) => child,
        Err(error) => {
            complain(&error.to_string());
            return MISSING;
        }
    };
    if let Err(error) = let_go() {
        complain(&error.to_string());
    }
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended.ok(),
            _ = asked.recv() => break None,
            // The thread that started this one may be gone while its process is not.
            _ = orphaned.recv() => if getppid() != Some(parent) { break None },
        }
    };
    end_all(&mut child).await;
    ended.map_or(UNABLE, code)
}

/// As shells say it: 128 and the signal for a program that was killed.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(UNABLE)
}

#[allow(clippy::print_stderr, reason = "the standard error is the program's, and Polyport keeps it")]
fn complain(words: &str) {
    eprintln!("{words}");
}

/// The pipes are the program's alone: Polyport shall see when it closes them.
fn let_go() -> std::io::Result<()> {
    let nothing = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(nothing.as_fd())?;
    rustix::stdio::dup2_stdout(nothing.as_fd())?;
    rustix::stdio::dup2_stderr(nothing.as_fd())?;
    Ok(())
}

/// Kills everything that came of the program until nothing is left, and reaps it.
async fn end_all(child: &mut Child) {
    let began = Instant::now();
    loop {
        let left = descendants();
        for pid in &left {
            kill_process(*pid, Signal::KILL).ok();
        }
        child.try_wait().ok();
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if left.is_empty() || began.elapsed() > KILLING {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Everything whose line of parents leads here.
fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // `PID (NAME) STATE PARENT …`, and the name may hold anything.
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        if let Some(parent) = rest.split_whitespace().nth(1).and_then(|text| text.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![i32::try_from(std::process::id()).unwrap_or_default()];
    while let Some(parent) = next.pop() {
        let below = children.remove(&parent).unwrap_or_default();
        found.extend(below.iter().copied().filter_map(Pid::from_raw));
        next.extend(below);
    }
    found
}
