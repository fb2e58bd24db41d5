//! A program that runs: its pipes are read within bounds, and it ends together with everything it has started.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tempfile::TempPath;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::time::Instant;

use super::command::{CommandError, Launch};
use super::group::{self, Group};

/// Bytes of one read.
const CHUNK: usize = 16 << 10;

/// So much of what it last wrote on its standard error is kept.
const TAIL: usize = 4 << 10;

/// A program that has closed its output may go on for so long before it is stopped.
const LINGER: Duration = Duration::from_secs(5);

/// What something that has left the group may still write after the program's end is waited for so long.
const REST: Duration = Duration::from_millis(500);

/// A task that goes on beside the requests.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts programs, and sees to it that none outlives its use.
#[derive(Clone)]
pub struct Starter {
    beside: Arc<dyn Fn(Task) + Send + Sync>,
}

impl fmt::Debug for Starter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Starter")
    }
}

impl Starter {
    /// `beside` runs a task that shutdown waits for.
    pub fn new(beside: impl Fn(Task) + Send + Sync + 'static) -> Self {
        Self { beside: Arc::new(beside) }
    }

    /// Starts a program.
    ///
    /// # Errors
    /// [`CommandError`] if the system does not.
    pub fn start(&self, launch: Launch) -> Result<Run, CommandError> {
        let Launch { program, arguments, environment, folder, stdin, file, lasting } = launch;
        let mut command = group::command(&program);
        command.args(&arguments).current_dir(&folder).env_clear().envs(environment);
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(false);
        let failed = |error: io::Error| CommandError::new("command", reason(&program.display().to_string(), &error));
        let mut child = command.spawn().map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let input = child.stdin.take().zip(stdin);
        let group = Group::of(&child).map_err(failed)?;
        Ok(Run {
            ending: Some(Ending { child, group, _file: file }),
            stdin: input,
            stdout,
            stderr,
            buffer: BytesMut::new(),
            log: BytesMut::new(),
            closed: None,
            lasting,
            exited: None,
            beside: Arc::clone(&self.beside),
        })
    }
}

fn reason(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ArgumentListTooLong => {
            "the arguments are longer than the system allows: give the prompt by `input: stdin` or `file`".to_owned()
        }
        _ => format!("{program} cannot be started: {error}"),
    }
}

/// A running program. Dropping it ends the program and everything it has started.
pub struct Run {
    /// None once it is over.
    ending: Option<Ending>,
    stdin: Option<(ChildStdin, Bytes)>,
    /// None once it was closed.
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    buffer: BytesMut,
    /// The tail of its standard error.
    log: BytesMut,
    /// Its output is closed, and it is waited for until then.
    closed: Option<Instant>,
    /// It may go on when it has closed its output.
    lasting: bool,
    /// The program is gone; what is left in its pipes is read until then.
    exited: Option<(ExitStatus, Instant)>,
    beside: Arc<dyn Fn(Task) + Send + Sync>,
}

/// What ending it takes.
struct Ending {
    child: Child,
    group: Group,
    /// The file with the prompt, deleted at the end.
    _file: Option<TempPath>,
}

/// What a program did.
#[derive(Debug)]
pub enum Did {
    /// It wrote this on its standard output.
    Said(Bytes),
    /// It has ended and said everything; `None` if it had to be stopped after it had closed its output.
    Ended(Option<ExitStatus>),
}

impl Run {
    /// What it does next. Reads of its output wait for whoever takes it, so that a program that floods it is held up.
    ///
    /// # Errors
    /// When its pipes cannot be read.
    pub async fn next(&mut self) -> io::Result<Did> {
        loop {
            if self.stdout.is_none()
                && let Some((status, _)) = self.exited
            {
                self.finish();
                return Ok(Did::Ended(Some(status)));
            }
            let Some(Ending { child, group, .. }) = &mut self.ending else { return Ok(Did::Ended(None)) };
            let limit = self.exited.map(|(_, until)| until).or(self.closed);
            tokio::select! {
                read = read(&mut self.stdout, &mut self.buffer), if self.stdout.is_some() => match read? {
                    0 => {
                        self.stdout = None;
                        self.closed = (!self.lasting).then(|| Instant::now() + LINGER);
                    }
                    _ => return Ok(Did::Said(self.buffer.split().freeze())),
                },
                read = read(&mut self.stderr, &mut self.log), if self.stderr.is_some() => {
                    if matches!(read, Ok(0) | Err(_)) {
                        self.stderr = None;
                    }
                    let more = self.log.len().saturating_sub(TAIL);
                    self.log.advance(more);
                }
                () = feed(&mut self.stdin), if self.stdin.is_some() => {}
                gone = group.gone(), if self.exited.is_none() => {
                    gone?;
                    // Before it is reaped its number is still its own.
                    group.kill();
                    self.exited = Some((child.wait().await?, Instant::now() + REST));
                }
                () = at(limit), if limit.is_some() => match self.exited {
                    Some(_) => self.stdout = None,
                    None => {
                        self.finish();
                        return Ok(Did::Ended(None));
                    }
                },
            }
        }
    }

    /// The last it wrote on its standard error, as one line.
    #[must_use]
    pub fn log(&self) -> String {
        let text = String::from_utf8_lossy(&self.log);
        let lines = text.lines().map(|line| line.rsplit('\r').next().unwrap_or_default().trim());
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        lines.join(" | ").chars().filter(|c| !c.is_control()).collect()
    }

    /// Ends it with everything it has started, and waits until it is gone.
    pub async fn end(mut self) {
        (self.stdin, self.stdout, self.stderr) = (None, None, None);
        if let Some(Ending { mut child, group, .. }) = self.ending.take().filter(|_| self.exited.is_none()) {
            group.ask_to_end();
            group.end(&mut child).await;
        }
    }

    /// Ends it, and everything it has started.
    fn finish(&mut self) {
        (self.stdin, self.stdout, self.stderr) = (None, None, None);
        let Some(Ending { mut child, group, _file }) = self.ending.take() else { return };
        if self.exited.is_some() {
            return;
        }
        group.ask_to_end();
        // Outside a runtime there is nobody to wait for it, and this process is about to end.
        if tokio::runtime::Handle::try_current().is_ok() {
            (self.beside)(Box::pin(async move {
                group.end(&mut child).await;
                drop(_file);
            }));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("exited", &self.exited).finish_non_exhaustive()
    }
}

async fn read(pipe: &mut Option<impl AsyncReadExt + Unpin>, into: &mut BytesMut) -> io::Result<usize> {
    let Some(pipe) = pipe else { return std::future::pending().await };
    into.reserve(CHUNK);
    pipe.read_buf(into).await
}

/// Writes what it is given, then closes its input. One that does not read it to the end has its reasons.
async fn feed(stdin: &mut Option<(ChildStdin, Bytes)>) {
    let Some((pipe, text)) = stdin else { return };
    if text.has_remaining() {
        match pipe.write(text).await {
            Ok(count) if count > 0 => text.advance(count),
            Ok(_) | Err(_) => text.clear(),
        }
    }
    if !text.has_remaining() {
        *stdin = None;
    }
}

async fn at(limit: Option<Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit).await,
        None => std::future::pending().await,
    }
}
