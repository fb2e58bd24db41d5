//! Log lines on standard error, written by a thread of their own: a full disk or a pipe that nobody reads must not stop the gateway.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use polyport_server::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait. What comes beyond is dropped and counted.
const WAITING: usize = 4096;

/// Starts logging. A filter that makes no sense is told and replaced by `info`.
pub(crate) fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|error| {
        crate::out::error(&format!("log.level: {error}; using `info`"));
        EnvFilter::new("info")
    });
    let lines = Lines::start(io::stderr());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).with_target(false);
    // Only a second call could fail.
    match log.format {
        LogFormat::Text => subscriber
            .with_ansi(anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never)
            .try_init()
            .ok(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init().ok(),
    };
}

#[derive(Clone)]
struct Lines {
    sender: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

impl Lines {
    fn start(mut to: impl Write + Send + 'static) -> Self {
        let (sender, receiver) = sync_channel::<Vec<u8>>(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let work = move || {
            for line in receiver {
                let lost = counted.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let notice =
                        format!("{lost} log lines were dropped: they came faster than they could be written\n");
                    // There is nowhere to report that this failed.
                    to.write_all(notice.as_bytes()).ok();
                }
                to.write_all(&line).ok();
            }
        };
        // Without the thread, lines are dropped.
        std::thread::Builder::new().name("log".to_owned()).spawn(work).ok();
        Self { sender, dropped }
    }
}

/// One line on its way.
struct Line {
    text: Vec<u8>,
    lines: Lines,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.lines.sender.try_send(std::mem::take(&mut self.text)).is_err() {
            self.lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { text: Vec::with_capacity(256), lines: self.clone() }
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
        writeln!(lines.make_writer(), "first").unwrap();
        assert_eq!(writes.recv().unwrap(), "first\n");
        for number in 0..WAITING + 100 {
            writeln!(lines.make_writer(), "line {number}").unwrap();
        }
        go.send(()).unwrap();
        assert!(writes.recv().unwrap().starts_with("100 log lines were dropped"));
        go.send(()).unwrap();
        assert_eq!(writes.recv().unwrap(), "line 0\n");
    }
}
