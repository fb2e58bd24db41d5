//! The thread that takes secrets out and writes.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{SystemTime, UNIX_EPOCH};

use polyport_recording::Redactor;
use polyport_recording::format::{self, Head, LINE_BYTES, Line, Totals, VERSION};
use tracing::{info, warn};

use super::tape::Taken;
use super::{Lesson, Message, Shared};

pub(super) struct Writer {
    file: File,
    /// Bytes of whole lines.
    written: u64,
    max_bytes: u64,
    exchanges: u64,
    /// The last line was not written.
    failing: bool,
    redactor: Redactor,
    shared: Arc<Shared>,
}

/// Makes a new file that only its owner reads.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl Writer {
    /// Writes the first line.
    pub(super) fn begin(mut file: File, max_bytes: u64, shared: Arc<Shared>) -> io::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let head = Head {
            polyport_recording: VERSION,
            made_by: concat!("polyport ", env!("CARGO_PKG_VERSION")).to_owned(),
            at: u64::try_from(since.as_millis()).unwrap_or_default(),
        };
        let line = format::line(&head)?;
        file.write_all(&line)?;
        Ok(Self {
            file,
            written: line.len() as u64,
            max_bytes,
            exchanges: 0,
            failing: false,
            redactor: Redactor::default(),
            shared,
        })
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) -> Totals {
        loop {
            match messages.recv() {
                Ok(Message::Head { target, headers, held }) => {
                    self.redactor.target(&target);
                    for (name, value) in &headers {
                        self.redactor.header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()), false);
                    }
                    self.shared.held.fetch_sub(held, Ordering::Relaxed);
                }
                Ok(Message::Taken(taken)) => {
                    let held = taken.held;
                    self.take(*taken);
                    self.shared.held.fetch_sub(held, Ordering::Relaxed);
                }
                Ok(Message::Learn) => self.learn(),
                Ok(Message::End) | Err(_) => break,
            }
        }
        let totals = Totals { exchanges: self.exchanges, dropped: self.shared.dropped.load(Ordering::Relaxed) };
        if let Ok(line) = format::line(&Line::End(totals)) {
            // The exchanges are there without it.
            self.put(&line).ok();
        }
        totals
    }

    /// What a configuration must not say is known before anything is sent with it.
    fn learn(&mut self) {
        let lessons = std::mem::take(&mut *self.shared.lessons.lock());
        let secrets = lessons.iter().filter_map(|lesson| match lesson {
            Lesson::Secret(secret) => Some(secret.expose()),
            Lesson::Header(..) | Lesson::Query(_) => None,
        });
        self.redactor.learn_all(secrets);
        for lesson in &lessons {
            match lesson {
                Lesson::Secret(_) => {}
                Lesson::Header(name, value) => {
                    self.redactor.learn_header(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
                }
                Lesson::Query(query) => self.redactor.learn_query(query),
            }
        }
    }

    fn take(&mut self, taken: Taken) {
        self.learn();
        let Taken { mut exchange, of_operator, body, chunks, .. } = taken;
        self.redactor.exchange(&mut exchange, &of_operator, body.as_deref(), &chunks);
        let line = format::line(&Line::Exchange(Box::new(exchange)));
        let line = line.unwrap_or_default();
        if line.is_empty() || line.len() > LINE_BYTES || self.shared.full.load(Ordering::Relaxed) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.written + line.len() as u64 > self.max_bytes {
            self.shared.full.store(true, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            warn!(bytes = self.written, "the recording is as large as it may be: nothing more is recorded");
            return;
        }
        match self.put(&line) {
            Ok(()) => {
                self.exchanges += 1;
                if std::mem::take(&mut self.failing) {
                    info!("the recording goes on");
                }
            }
            Err(error) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(%error, "the recording cannot be written: exchanges are left out of it");
                }
            }
        }
    }

    /// A line, or nothing of it.
    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let done = self.file.write_all(line);
        match done {
            Ok(()) => self.written += line.len() as u64,
            Err(_) => {
                let back = self.file.set_len(self.written).and_then(|()| self.file.seek(SeekFrom::Start(self.written)));
                if let Err(error) = back {
                    // What follows would stand behind half a line.
                    self.shared.full.store(true, Ordering::Relaxed);
                    warn!(%error, "the recording is damaged: nothing more is recorded");
                }
            }
        }
        done
    }
}
