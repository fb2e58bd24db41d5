//! Programs and what they start, as groups that end together.
//!
//! A program gets a process group of its own, which is killed as a whole. Where Polyport can start itself as a guard, the guard stands between:
//! it also finds what has left the group, and it notices when Polyport itself is gone without having said so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::process::{Child, Command};

/// The guard has so long to end everything.
const GUARD_TIME: Duration = Duration::from_secs(2);

/// The program that guards, with its first argument.
static GUARD: OnceLock<(PathBuf, &'static str)> = OnceLock::new();

/// From now on programs are started through `program word PARENT PROGRAM ARGUMENTS…`, which must come to [`super::guard::run`].
pub fn guard_with(program: PathBuf, word: &'static str) {
    GUARD.set((program, word)).ok();
}

/// A command for a program that is started in a group of its own.
pub(super) fn command(program: &Path) -> Command {
    let mut command = match GUARD.get() {
        Some((guard, word)) => {
            let mut command = Command::new(guard);
            #[cfg(unix)]
            command.arg0("polyport");
            command.arg(word).arg(std::process::id().to_string()).arg(program);
            command
        }
        None => Command::new(program),
    };
    #[cfg(unix)]
    command.process_group(0);
    command.kill_on_drop(false);
    command
}

#[cfg(unix)]
pub(super) use unix::Group;

#[cfg(unix)]
mod unix {
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
    use tokio::signal::unix::{SignalKind, signal};

    use super::{Child, GUARD, GUARD_TIME, io};

    /// The group of a child, as long as that is not reaped.
    #[derive(Debug)]
    pub(in super::super) struct Group {
        leader: Pid,
        children: tokio::signal::unix::Signal,
        guarded: bool,
    }

    impl Group {
        pub(in super::super) fn of(child: &Child) -> io::Result<Self> {
            let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            let leader = id.ok_or_else(|| io::Error::other("it has no number"))?;
            let children = signal(SignalKind::child())?;
            Ok(Self { leader, children, guarded: GUARD.get().is_some() })
        }

        /// Waits until the child has ended. It stays unreaped, so that its number is not given to another one.
        pub(in super::super) async fn gone(&mut self) -> io::Result<()> {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            loop {
                match waitid(WaitId::Pid(self.leader), options) {
                    Ok(Some(_)) => return Ok(()),
                    Ok(None) => {}
                    Err(error) => return Err(error.into()),
                }
                if self.children.recv().await.is_none() {
                    return Err(io::Error::other("the end of children is not told"));
                }
            }
        }

        /// Kills the whole group.
        pub(in super::super) fn kill(&self) {
            // Nobody may be left in it.
            kill_process_group(self.leader, Signal::KILL).ok();
        }

        /// Begins to end it: a guard does so itself, and finds more.
        pub(in super::super) fn ask_to_end(&self) {
            match self.guarded {
                true => drop(kill_process(self.leader, Signal::TERM)),
                false => self.kill(),
            }
        }

        /// Waits until it has ended and reaps the child.
        pub(in super::super) async fn end(mut self, child: &mut Child) {
            if self.guarded {
                tokio::time::timeout(GUARD_TIME, self.gone()).await.ok();
            }
            self.kill();
            if let Err(error) = child.wait().await {
                tracing::warn!(%error, "a child process was not reaped");
            }
        }
    }
}

#[cfg(not(unix))]
pub(super) use other::Group;

#[cfg(not(unix))]
mod other {
    use super::{Child, io};

    /// Stands for the child alone: it is asked about now and then.
    #[derive(Debug)]
    pub(in super::super) struct Group;

    impl Group {
        pub(in super::super) fn of(_: &Child) -> io::Result<Self> {
            Ok(Self)
        }

        pub(in super::super) async fn gone(&mut self) -> io::Result<()> {
            std::future::pending().await
        }

        pub(in super::super) fn kill(&self) {}

        pub(in super::super) fn ask_to_end(&self) {}

        pub(in super::super) async fn end(self, child: &mut Child) {
            if let Err(error) = child.kill().await {
                tracing::warn!(%error, "a child process was not ended");
            }
        }
    }
}
