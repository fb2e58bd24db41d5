//! Log lines on standard error or in a file, written by a thread of their own: a full disk or a pipe that nobody reads must not stop the
//! gateway.

mod file;
mod line;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use polyport_server::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait, and their bytes. What comes beyond is dropped and counted.
const WAITING: usize = 4096;
const WAITING_BYTES: usize = 8 << 20;

/// The first line after a pause waits this long for others: waking the thread costs more than writing a line.
const GATHER: Duration = Duration::from_millis(5);

/// The last lines may take this long.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What other crates would log of requests at the finest level: bodies, and what is signed.
const SILENT: [&str; 2] = ["aws_sigv4=info", "aws_smithy_eventstream=info"];

/// Starts logging. A filter that makes no sense is told and replaced by `info`. What waits is written when the returned value is
/// dropped. Panics are log lines from now on: written to standard error where they happen, they would wait for whoever reads it.
///
/// # Errors
/// The file for the lines cannot be written.
pub(crate) fn start(log: &Log) -> anyhow::Result<Flush> {
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|error| {
        crate::out::error(&format!("log.level: {error}; using `info`"));
        EnvFilter::new("info")
    });
    let filter = SILENT.into_iter().filter_map(|of| of.parse().ok()).fold(filter, EnvFilter::add_directive);
    let lines = match &log.file {
        Some(settings) => Lines::start(file::Rotating::open(settings)?),
        None => Lines::start(io::stderr()),
    };
    let flush = Flush(lines.clone());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).with_target(false);
    // Only a second call could fail.
    match log.format {
        LogFormat::Text
            if log.file.is_none() && anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never =>
        {
            subscriber.with_ansi(true).try_init().ok()
        }
        LogFormat::Text => subscriber.fmt_fields(line::Fields).event_format(line::Line).try_init().ok(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init().ok(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let words = panic.payload_as_str().unwrap_or("no words");
        tracing::error!(place, "panicked: {words}");
    }));
    Ok(flush)
}

/// Writes what waits when it is dropped.
#[must_use]
pub(crate) struct Flush(Lines);

impl Flush {
    /// Tells how many lines were lost so far.
    pub(crate) fn lost(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let shared = Arc::clone(&self.0.shared);
        move || shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let end = Instant::now() + LAST_LINES;
        let mut queue = self.0.shared.queue.lock();
        while !queue.is_empty() && !self.0.shared.written.wait_until(&mut queue, end).timed_out() {}
    }
}

#[derive(Clone)]
struct Lines {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
    written: Condvar,
    /// Lines that were dropped, or could not be written.
    lost: AtomicU64,
}

#[derive(Default)]
struct Queue {
    text: Vec<u8>,
    lines: usize,
    dropped: u64,
    /// The thread waits for the next line.
    asleep: bool,
    /// The thread is writing.
    busy: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.busy
    }
}

impl Lines {
    fn start(mut to: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let this = Self { shared: Arc::clone(&shared) };
        let work = move || {
            let mut text = Vec::new();
            loop {
                let mut queue = shared.queue.lock();
                queue.busy = false;
                shared.written.notify_all();
                if queue.text.is_empty() {
                    queue.asleep = true;
                    shared.came.wait_while(&mut queue, |queue| queue.asleep);
                    drop(queue);
                    std::thread::sleep(GATHER);
                    queue = shared.queue.lock();
                }
                std::mem::swap(&mut queue.text, &mut text);
                let lines = std::mem::take(&mut queue.lines);
                queue.busy = true;
                let lost = std::mem::take(&mut queue.dropped);
                drop(queue);
                // There is nowhere to report that writing failed, but in the figures.
                if to.write_all(&text).is_err() {
                    shared.lost.fetch_add(lines as u64, Ordering::Relaxed);
                }
                if lost > 0 {
                    let notice =
                        format!("{lost} log lines were dropped: they came faster than they could be written\n");
                    to.write_all(notice.as_bytes()).ok();
                }
                text.clear();
                text.shrink_to(KEPT);
            }
        };
        // Without the thread, lines are dropped.
        std::thread::Builder::new().name("log".to_owned()).spawn(work).ok();
        this
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.shared.queue.lock();
        if queue.lines == WAITING || queue.text.len().saturating_add(line.len()) > WAITING_BYTES {
            queue.dropped += 1;
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.lines += 1;
        queue.text.extend_from_slice(line);
        let asleep = std::mem::take(&mut queue.asleep);
        drop(queue);
        if asleep {
            self.shared.came.notify_one();
        }
    }
}

/// Room kept for lines between two writes, in bytes.
const KEPT: usize = 64 << 10;

/// The subscriber writes each event at once.
impl Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = &'w Self;

    fn make_writer(&'w self) -> &'w Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A file that announces what it is to write and then waits until it may.
    struct Stuck {
        announced: Sender<String>,
        go: Receiver<()>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.announced.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            self.go.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_file_stops_nobody_and_losses_are_counted() {
        let (go, wait) = channel();
        let (announced, writes) = channel();
        let lines = Lines::start(Stuck { announced, go: wait });
        lines.push(b"first\n");
        assert_eq!(writes.recv().unwrap(), "first\n");
        for number in 0..WAITING + 100 {
            lines.push(format!("line {number}\n").as_bytes());
        }
        go.send(()).unwrap();
        let kept = writes.recv().unwrap();
        assert!(kept.starts_with("line 0\nline 1\n") && kept.lines().count() == WAITING);
        go.send(()).unwrap();
        assert!(writes.recv().unwrap().starts_with("100 log lines were dropped"));
        assert_eq!(lines.shared.lost.load(Ordering::Relaxed), 100);
        go.send(()).unwrap();
    }

    #[test]
    fn long_lines_take_no_more_room_than_short_ones() {
        let (_go, wait) = channel();
        let (announced, writes) = channel();
        let lines = Lines::start(Stuck { announced, go: wait });
        lines.push(b"first\n");
        assert_eq!(writes.recv().unwrap(), "first\n");
        let long = vec![b'x'; WAITING_BYTES / 4];
        for _ in 0..10 {
            lines.push(&long);
        }
        assert_eq!(lines.shared.lost.load(Ordering::Relaxed), 6);
    }
}
