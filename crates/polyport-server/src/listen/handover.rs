//! One process takes the place of another without a gap.
//!
//! The elder starts the younger with one end of a socket pair as its standard input, and sends its listening sockets through it. The younger
//! opens what the elder has open too (see [`polyport_store::Turn`]), says that it is ready, and answers. Then the elder stops accepting, lets
//! its answers end, and ends itself; the younger notices that by the end of the pair, and takes up what may be left. If the younger cannot
//! start, it says why, and the elder goes on as if nothing had been.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use polyport_store::Turn;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use tokio::io::AsyncReadExt as _;

use super::sockets::{Listening, Passed, Role, Sockets};
use crate::config::Environment;
use crate::tasks;

/// Names the elder to the younger.
const ELDER: &str = "POLYPORT_ELDER";

/// The younger has this time to be ready: it may have much of the journal to read.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the elder says is there by then: it was said before the younger started.
const GREETING: Duration = Duration::from_secs(10);

/// More sockets are not passed.
const MOST_SOCKETS: usize = 16;

const READY: &str = "ready";

/// What the younger says is no longer, in bytes.
const LONGEST: usize = 1 << 16;

/// The process whose place this one takes.
#[derive(Debug)]
pub struct Elder {
    process: u32,
    stream: UnixStream,
}

impl Elder {
    /// The elder, if this process was started by one, and its sockets. Standard input leads nowhere afterwards.
    ///
    /// # Errors
    /// If what it passes cannot be taken.
    pub fn find(environment: &Environment) -> io::Result<Option<(Self, Sockets)>> {
        let Some(process) = environment.get(ELDER).and_then(|text| text.parse::<u32>().ok()) else {
            return Ok(None);
        };
        let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get());
        if parent.and_then(|parent| u32::try_from(parent).ok()) != Some(process) {
            // Started by a program of the elder, with the variables of the elder.
            return Ok(None);
        }
        let stream = UnixStream::from(fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        stream.set_read_timeout(Some(GREETING))?;
        let sockets = receive(&stream)?;
        Ok(Some((Self { process, stream }, sockets)))
    }

    /// How its databases are opened.
    #[must_use]
    pub fn turn(&self) -> Turn {
        Turn::After(self.process)
    }

    /// Says why this process does not take its place.
    pub fn refuse(mut self, why: &str) {
        let why = why.replace('\n', "; ");
        // It may have ended.
        writeln!(self.stream, "{why}").ok();
    }

    /// Says that this process answers.
    pub(crate) fn ready(&mut self) -> io::Result<()> {
        writeln!(self.stream, "{READY}")
    }

    /// Waits until it has ended.
    pub(crate) async fn gone(self) {
        let open = self.stream.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(self.stream));
        if let Ok(mut stream) = open {
            // It says nothing more. An error is an end as well.
            while stream.read(&mut [0; 16]).await.is_ok_and(|count| count > 0) {}
        }
    }
}

/// The process that has taken this one's place.
#[derive(Debug)]
pub struct Successor {
    process: u32,
    /// Open as long as this process is there.
    _stream: tokio::net::UnixStream,
}

impl Successor {
    /// Its number.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process
    }
}

/// Why no other process has taken this one's place. This one goes on.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// Where the end of the first process is the end of all.
    #[error(
        "this is the first process of a container, which ends with it: start a new container beside this one instead, or restart it"
    )]
    First,
    /// Where what started this process ends, or starts it again, when it ends, and cannot be told of another one.
    #[error(
        "what has started this process would end the new one together with this one, for it cannot be told of another process; restart \
         the gateway, or start another one beside it"
    )]
    Watched,
    /// This process does not listen any more.
    #[error("the gateway is stopping")]
    Stopping,
    /// The program cannot be started.
    #[error("{program} cannot be started: {error}")]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The sockets cannot be passed.
    #[error("the sockets cannot be passed on: {0}")]
    Pass(io::Error),
    /// It said why.
    #[error("the new process refuses: {0}")]
    Refused(String),
    /// It ended without a word.
    #[error("the new process has ended ({0}) before it was ready; what it wrote to its standard error tells more")]
    Ended(ExitStatus),
    /// It said nothing in time.
    #[error("the new process was not ready in time and was ended")]
    Late,
}

/// How this process came to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    is_first: bool,
    /// Its end is that of others as well.
    is_watched: bool,
}

impl Origin {
    /// `hears`: the service manager can be told which process is the service. To be asked at the start: later, a process whose parent
    /// has ended is a child of the first one as well.
    pub(crate) fn of_process(hears: bool) -> Self {
        let of_first = rustix::process::getppid().is_some_and(|parent| parent.is_init());
        // The processes of the machine itself have this number on every Linux.
        let confined = std::fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name.as_os_str() != "pid:[4026531836]");
        Self { is_first: std::process::id() == 1, is_watched: of_first && confined && !hears }
    }

    /// Whether another process can take this one's place.
    pub(crate) fn check(self) -> Result<(), HandOverError> {
        match self {
            Self { is_first: true, .. } => Err(HandOverError::First),
            Self { is_watched: true, .. } => Err(HandOverError::Watched),
            Self { .. } => Ok(()),
        }
    }
}

/// Starts the process that takes this one's place, and waits until it answers. It is ended if it does not, and when this is dropped.
pub(super) async fn start(
    program: &Path,
    arguments: &[OsString],
    listening: &Listening,
) -> Result<Successor, HandOverError> {
    let (ours, theirs) = UnixStream::pair().map_err(HandOverError::Pass)?;
    send(&ours, listening).map_err(HandOverError::Pass)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::from(OwnedFd::from(theirs)));
    command.env(ELDER, std::process::id().to_string());
    // What the service manager gave this process; the younger gets it from here.
    for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    let child = command.spawn().map_err(|error| HandOverError::Start { program: program.to_owned(), error })?;
    // With it goes the other end of the pair: what is left is the younger's.
    drop(command);
    let mut younger = Younger(Some(child));
    let stream = ours.set_nonblocking(true).and_then(|()| tokio::net::UnixStream::from_std(ours));
    let mut stream = stream.map_err(HandOverError::Pass)?;
    let said = tokio::time::timeout(PATIENCE, line(&mut stream)).await.map_err(|_| HandOverError::Late)?;
    match said.as_str() {
        READY => Ok(Successor { process: younger.leave(), _stream: stream }),
        "" => Err(younger.ended().await),
        _ => Err(HandOverError::Refused(said)),
    }
}

/// What is said up to the end of a line, or of the stream.
async fn line(stream: &mut tokio::net::UnixStream) -> String {
    let mut said = Vec::new();
    while !said.ends_with(b"\n") && said.len() < LONGEST {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await {
            Ok(count @ 1..) => said.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Ok(0) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// A process that is not ready yet: it ends with this.
struct Younger(Option<Child>);

impl Younger {
    /// From now on it lives by itself. Gives its number.
    fn leave(&mut self) -> u32 {
        self.0.take().map(|child| child.id()).unwrap_or_default()
    }

    async fn ended(mut self) -> HandOverError {
        let Some(mut child) = self.0.take() else { return HandOverError::Late };
        match tasks::off_worker(move || child.wait()).await {
            Some(Ok(status)) => HandOverError::Ended(status),
            Some(Err(_)) | None => HandOverError::Late,
        }
    }
}

impl Drop for Younger {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Sends the sockets, and what they are for.
fn send(stream: &UnixStream, listening: &Listening) -> io::Result<()> {
    let (mut text, mut sockets): (String, Vec<BorrowedFd<'_>>) = (String::new(), Vec::new());
    for (role, asked, listener) in listening.all().take(MOST_SOCKETS) {
        let asked = asked.map_or_else(|| "-".to_owned(), |address| address.to_string());
        text.push_str(&format!("{} {asked} ", role.as_str()));
        sockets.push(listener.as_fd());
    }
    text.push('\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("there are too many"));
    }
    let sent = rustix::net::sendmsg(stream, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::empty())?;
    if sent == text.len() { Ok(()) } else { Err(io::Error::other("they were not taken whole")) }
}

/// Receives them.
fn receive(stream: &UnixStream) -> io::Result<Sockets> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut text = [0; 4096];
    let received =
        rustix::net::recvmsg(stream, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::empty())?.bytes;
    let text = String::from_utf8_lossy(text.get(..received).unwrap_or_default()).into_owned();
    let mut words = text.split_whitespace();
    let mut found = Vec::new();
    for message in control.drain() {
        let RecvAncillaryMessage::ScmRights(sockets) = message else { continue };
        for socket in sockets {
            fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
            let (Some(role), Some(asked)) = (words.next(), words.next()) else {
                return Err(io::Error::other("there are more than were told of"));
            };
            let asked = asked.parse::<SocketAddr>().ok();
            found.push(Passed { role: Role::named(role), asked, listener: StdListener::from(socket) });
        }
    }
    Ok(Sockets(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_end_of_this_process_is_that_of_the_other_nothing_is_handed_over() {
        let check = |is_first, is_watched| Origin { is_first, is_watched }.check();
        assert!(matches!(check(true, false), Err(HandOverError::First)));
        assert!(matches!(check(false, true), Err(HandOverError::Watched)));
        assert!(check(false, false).is_ok() && Origin::of_process(false).check().is_ok());
    }
}
