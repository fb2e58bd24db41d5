//! The journal: what requests are about to use and have used, in files beside the database. A line is in the hands of the operating system
//! before its request goes out, so that the end of the process, however it comes, loses nothing.
//!
//! A line is `CRC KIND JSON`: eight hexadecimal digits of the CRC-32 of the rest, `i` for an intent or `s` for a settlement, and an
//! [`Entry`]. An intent is the entry that is true if the process ends now; the last intent of a request counts. Files are numbered and
//! of a bounded size; one is deleted when all of it is in the database and none of its intents is open.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use polyport_store::log::{Entry, Position};
use tokio::sync::Notify;

/// A file is followed by the next one at this size, in bytes.
const SEGMENT: u64 = 16 << 20;

/// Settlements that wait in memory while the disk takes none, in bytes. The oldest are lost when there are more.
const MOST_WAITING: usize = 16 << 20;

/// Longest line that is read, in bytes: what is longer was not written by us.
const LONGEST: u64 = 8 << 20;

/// The journal of a data directory.
#[derive(Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
    /// Its name in the database.
    id: String,
    writer: Mutex<Writer>,
    /// Held as long as the process lives.
    _lock: File,
    /// Something was settled.
    pub(crate) settled: Notify,
}

#[derive(Debug)]
struct Writer {
    segment: u64,
    file: File,
    /// Bytes of whole lines in it.
    length: u64,
    /// Intents without settlement, by segment.
    open: BTreeMap<u64, u64>,
    /// Settlements that could not be written.
    waiting: VecDeque<Vec<u8>>,
    /// Their bytes.
    held: usize,
    /// Settlements that were lost.
    lost: u64,
    broken: bool,
}

/// An intent that has not been settled.
#[derive(Debug)]
#[must_use = "its file stays until it is settled"]
pub(crate) struct Intent {
    segment: u64,
}

/// How the journal is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Health {
    /// Settlements that wait in memory for the disk.
    pub(crate) waiting: usize,
    /// Settlements that were lost since this was asked last.
    pub(crate) lost: u64,
}

impl Journal {
    /// The journals below a directory that no other process uses: one to write, and those that others have left. Where several gateways
    /// share a data folder, each has its own.
    ///
    /// # Errors
    /// If the directory cannot be read or written.
    pub(crate) fn open_all(directory: &Path) -> io::Result<(Self, Vec<Self>)> {
        let mut own = None;
        let mut left = Vec::new();
        for number in 0_u32.. {
            let place = directory.join(number.to_string());
            let exists = place.is_dir();
            if own.is_some() && !exists {
                break;
            }
            fs::create_dir_all(&place)?;
            let lock = File::create(place.join("lock"))?;
            match lock.try_lock() {
                Ok(()) if own.is_none() => own = Some(Self::open(&place, lock)?),
                Ok(()) => left.push(Self::open(&place, lock)?),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        let own = own.ok_or_else(|| io::Error::other("there is no number left for a journal"))?;
        Ok((own, left))
    }

    /// The journals beside this one that nobody has any more and that hold something.
    ///
    /// # Errors
    /// If the directory cannot be read or written.
    pub(crate) fn open_left(&self) -> io::Result<Vec<Self>> {
        let Some(all) = self.directory.parent() else { return Ok(Vec::new()) };
        let mut left = Vec::new();
        for place in (0_u32..).map(|number| all.join(number.to_string())).take_while(|place| place.is_dir()) {
            if place == self.directory {
                continue;
            }
            let lock = File::create(place.join("lock"))?;
            match lock.try_lock() {
                Ok(()) => left.push(Self::open(&place, lock)?),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(left)
    }

    /// Opens the journal of a directory, in a new file. What was open when the process before ended is settled as its last intent says.
    ///
    /// # Errors
    /// If the directory cannot be read or written.
    fn open(directory: &Path, lock: File) -> io::Result<Self> {
        let id = identity(directory)?;
        let old = segments(directory)?;
        let segment = old.last().map_or(1, |last| last + 1);
        let mut open: HashMap<String, Entry> = HashMap::new();
        for number in &old {
            let mut lines = Lines::open(directory, *number, 0)?;
            while let Some((kind, entry)) = lines.next()? {
                match kind {
                    Kind::Intent => drop(open.insert(entry.id.clone(), entry)),
                    Kind::Settlement => drop(open.remove(&entry.id)),
                }
            }
        }
        let writer = Writer {
            segment,
            file: create(directory, segment)?,
            length: 0,
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
            held: 0,
            lost: 0,
            broken: false,
        };
        let journal = Self {
            directory: directory.to_owned(),
            id,
            writer: Mutex::new(writer),
            _lock: lock,
            settled: Notify::new(),
        };
        let mut unsettled: Vec<Entry> = open.into_values().collect();
        unsettled.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        if !unsettled.is_empty() {
            tracing::warn!(
                requests = unsettled.len(),
                "were being answered when the process before ended; their use is unknown"
            );
        }
        for entry in &unsettled {
            journal.settle(None, entry);
        }
        Ok(journal)
    }

    /// Its name in the database.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Writes what is true if the process ends now. `before` is the intent of the same request that this one takes the place of. `None` if
    /// the disk does not take it.
    pub(crate) fn intend(&self, before: Option<Intent>, entry: &Entry) -> Option<Intent> {
        let line = Kind::Intent.line(entry);
        let mut writer = self.writer.lock();
        writer.write(&self.directory, Kind::Intent, line);
        let segment = writer.segment;
        if let Some(before) = before {
            writer.close(&before);
        }
        if writer.broken {
            return None;
        }
        *writer.open.entry(segment).or_default() += 1;
        Some(Intent { segment })
    }

    /// Writes what came of a request.
    pub(crate) fn settle(&self, intent: Option<Intent>, entry: &Entry) {
        let line = Kind::Settlement.line(entry);
        let mut writer = self.writer.lock();
        writer.write(&self.directory, Kind::Settlement, line);
        if let Some(intent) = intent {
            writer.close(&intent);
        }
        drop(writer);
        self.settled.notify_one();
    }

    /// How it is. Tries once more to write what waits.
    pub(crate) fn health(&self) -> Health {
        let mut writer = self.writer.lock();
        if writer.broken {
            writer.flush_waiting(&self.directory);
        }
        Health { waiting: writer.waiting.len(), lost: std::mem::take(&mut writer.lost) }
    }

    /// Bytes of all its files.
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = segments(&self.directory).unwrap_or_default().into_iter();
        sizes.filter_map(|number| fs::metadata(path(&self.directory, number)).ok()).map(|file| file.len()).sum()
    }

    /// The settlements after a position, at most `most`, and the position behind them. Nothing if there are none.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(crate) fn read(&self, after: Option<&Position>, most: usize) -> io::Result<Option<(Vec<Entry>, Position)>> {
        let (current, length) = {
            let writer = self.writer.lock();
            (writer.segment, writer.length)
        };
        let (mut found, mut end) = (Vec::new(), None);
        for number in segments(&self.directory)? {
            let from = match after {
                Some(after) if number < after.segment => continue,
                Some(after) if number == after.segment => after.offset,
                _ => 0,
            };
            let mut lines = Lines::open(&self.directory, number, from)?;
            while found.len() < most && (number != current || lines.offset < length) {
                let Some((kind, entry)) = lines.next()? else { break };
                if kind == Kind::Settlement {
                    found.push(entry);
                }
            }
            end = Some((number, lines.offset));
            if found.len() >= most {
                break;
            }
        }
        let position = |(segment, offset)| Position { journal: self.id.clone(), segment, offset };
        Ok(end.map(position).filter(|end| !found.is_empty() && Some(end) != after).map(|end| (found, end)))
    }

    /// Makes sure that what was written survives a loss of power, and deletes the files of which everything before this position is in the
    /// database and nothing open.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn tidy(&self, done: Option<&Position>) -> io::Result<()> {
        let (file, current, open) = {
            let writer = self.writer.lock();
            let open: Vec<u64> =
                writer.open.iter().filter(|(_, count)| **count > 0).map(|(segment, _)| *segment).collect();
            (writer.file.try_clone()?, writer.segment, open)
        };
        file.sync_data()?;
        let Some(done) = done else { return Ok(()) };
        for number in segments(&self.directory)? {
            let read = number < done.segment
                || number == done.segment && fs::metadata(path(&self.directory, number))?.len() <= done.offset;
            // An intent that is settled in a later file is read with that one: earlier files stay as long as one before them is needed.
            if number == current || !read || open.first().is_some_and(|first| *first <= number) {
                break;
            }
            fs::remove_file(path(&self.directory, number))?;
        }
        Ok(())
    }
}

impl Writer {
    fn close(&mut self, intent: &Intent) {
        if let Some(count) = self.open.get_mut(&intent.segment) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&intent.segment);
            }
        }
    }

    fn write(&mut self, directory: &Path, kind: Kind, line: Vec<u8>) {
        if self.broken {
            self.flush_waiting(directory);
        }
        if (self.broken || self.append(directory, &line).is_err()) && kind == Kind::Settlement {
            self.held += line.len();
            self.waiting.push_back(line);
            while self.held > MOST_WAITING
                && let Some(oldest) = self.waiting.pop_front()
            {
                self.held -= oldest.len();
                self.lost += 1;
            }
        }
    }

    fn flush_waiting(&mut self, directory: &Path) {
        self.broken = false;
        while let Some(line) = self.waiting.pop_front() {
            if self.append(directory, &line).is_err() {
                self.waiting.push_front(line);
                return;
            }
            self.held -= line.len();
        }
    }

    fn append(&mut self, directory: &Path, line: &[u8]) -> io::Result<()> {
        let written = self.try_append(directory, line);
        if let Err(error) = &written {
            if !self.broken {
                tracing::error!(%error, "the journal cannot be written; requests go on, what they use waits in memory");
            }
            self.broken = true;
            // Half a line would spoil the next one.
            self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length))).ok();
        }
        written
    }

    fn try_append(&mut self, directory: &Path, line: &[u8]) -> io::Result<()> {
        if self.length >= SEGMENT {
            let next = create(directory, self.segment + 1)?;
            self.file.sync_data()?;
            self.file = next;
            self.segment += 1;
            self.length = 0;
        }
        self.file.write_all(line)?;
        self.length += u64::try_from(line.len()).unwrap_or_default();
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Intent,
    Settlement,
}

impl Kind {
    fn line(self, entry: &Entry) -> Vec<u8> {
        let mut line = Vec::with_capacity(1024);
        line.extend_from_slice(match self {
            Self::Intent => b"00000000 i ",
            Self::Settlement => b"00000000 s ",
        });
        // Writing into memory cannot fail.
        serde_json::to_writer(&mut line, entry).ok();
        let sum = format!("{:08x}", crc32fast::hash(line.get(9..).unwrap_or_default()));
        if let Some(head) = line.get_mut(..8) {
            head.copy_from_slice(sum.as_bytes());
        }
        line.push(b'\n');
        line
    }

    fn read(line: &[u8]) -> Option<(Self, Entry)> {
        let (sum, rest) = (line.get(..8)?, line.get(9..)?);
        let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
        if sum != crc32fast::hash(rest) {
            return None;
        }
        let kind = match rest.get(..2)? {
            b"i " => Self::Intent,
            b"s " => Self::Settlement,
            _ => return None,
        };
        Some((kind, serde_json::from_slice(rest.get(2..)?).ok()?))
    }
}

/// The lines of one file.
struct Lines {
    reader: BufReader<File>,
    /// Behind the last whole line that was read.
    offset: u64,
    line: Vec<u8>,
}

impl Lines {
    fn open(directory: &Path, number: u64, from: u64) -> io::Result<Self> {
        let mut file = File::open(path(directory, number))?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Self { reader: BufReader::with_capacity(128 << 10, file), offset: from, line: Vec::new() })
    }

    /// Reads up to the end of a line, or as much of it as a line may have.
    fn read_piece(&mut self) -> io::Result<u64> {
        self.line.clear();
        let read = (&mut self.reader).take(LONGEST).read_until(b'\n', &mut self.line)?;
        Ok(u64::try_from(read).unwrap_or_default())
    }

    /// The next line that is whole. What is spoiled is passed over, and told.
    fn next(&mut self) -> io::Result<Option<(Kind, Entry)>> {
        loop {
            let mut read = self.read_piece()?;
            // Nobody can do anything with a line of such a length; the ones behind it count.
            while self.line.last() != Some(&b'\n') {
                let more = self.read_piece()?;
                if more == 0 {
                    return Ok(None);
                }
                read += more;
            }
            self.line.pop();
            self.offset += read;
            match Kind::read(&self.line) {
                Some(found) => return Ok(Some(found)),
                None => tracing::error!(offset = self.offset, "a line of the journal is spoiled and passed over"),
            }
        }
    }
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.log"))
}

fn create(directory: &Path, number: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path(directory, number))
}

/// The numbers of the files there are, in their order.
fn segments(directory: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory)? {
        let name = file?.file_name();
        found.extend(name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The name of the journal, which is made once.
fn identity(directory: &Path) -> io::Result<String> {
    let path = directory.join("id");
    match fs::read_to_string(&path) {
        Ok(id) if id.trim().len() == 32 => Ok(id.trim().to_owned()),
        // Its writer was interrupted.
        Ok(id) if id.is_empty() => new_identity(directory),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is spoiled", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_identity(directory),
        Err(error) => Err(error),
    }
}

fn new_identity(directory: &Path) -> io::Result<String> {
    let (id, part) = (format!("{:032x}", rand::random::<u128>()), directory.join("id.part"));
    fs::write(&part, &id)?;
    fs::rename(&part, directory.join("id"))?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path) -> Journal {
        Journal::open(directory, File::create(directory.join("lock")).unwrap()).unwrap()
    }

    fn entry(id: &str) -> Entry {
        Entry { id: id.to_owned(), ..Entry::default() }
    }

    fn all(journal: &Journal, after: Option<&Position>) -> (Vec<String>, Option<Position>) {
        match journal.read(after, 1000).unwrap() {
            Some((entries, position)) => (entries.into_iter().map(|entry| entry.id).collect(), Some(position)),
            None => (Vec::new(), after.cloned()),
        }
    }

    #[test]
    fn what_was_open_is_settled_by_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path());
        let a = journal.intend(None, &entry("a"));
        let _b = journal.intend(None, &entry("b"));
        journal.settle(a, &entry("a"));
        let (settled, position) = all(&journal, None);
        assert_eq!(settled, ["a"]);
        drop(journal);
        let journal = open(directory.path());
        let (settled, position) = all(&journal, position.as_ref());
        assert_eq!(settled, ["b"], "once, and `a` not again");
        journal.tidy(position.as_ref()).unwrap();
        drop(journal);
        let journal = open(directory.path());
        assert!(all(&journal, position.as_ref()).0.is_empty());
    }

    #[test]
    fn gateways_that_share_a_folder_have_a_journal_each_and_take_over_what_others_left() {
        let directory = tempfile::tempdir().unwrap();
        let (first, left) = Journal::open_all(directory.path()).unwrap();
        assert!(left.is_empty());
        let (second, left) = Journal::open_all(directory.path()).unwrap();
        assert!(left.is_empty());
        second.settle(None, &entry("b"));
        first.settle(None, &entry("a"));
        drop(second);
        drop(first);
        let (first, left) = Journal::open_all(directory.path()).unwrap();
        assert_eq!((all(&first, None).0, left.len()), (vec!["a".to_owned()], 1));
        assert_eq!(all(&left[0], None).0, ["b"]);
    }

    #[test]
    fn s6_half_a_line_at_the_end_is_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path());
        journal.settle(None, &entry("a"));
        let mut file = OpenOptions::new().append(true).open(path(directory.path(), 1)).unwrap();
        file.write_all(b"0123abcd s {\"id\":\"b").unwrap();
        drop(journal);
        let journal = open(directory.path());
        journal.settle(None, &entry("c"));
        assert_eq!(all(&journal, None).0, ["a", "c"]);
    }

    #[test]
    fn s5_what_the_disk_does_not_take_waits_within_bounds_and_is_written_later() {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path());
        let read_only = File::open(path(directory.path(), 1)).unwrap();
        let writable = std::mem::replace(&mut journal.writer.lock().file, read_only);
        assert!(journal.intend(None, &entry("lost intent")).is_none());
        for number in 0..40 {
            let entry = Entry { error: Some("x".repeat(1 << 20)), ..entry(&number.to_string()) };
            journal.settle(None, &entry);
        }
        let health = journal.health();
        assert!(health.waiting < 20 && health.lost >= 20, "{health:?}");
        journal.writer.lock().file = writable;
        assert_eq!(journal.health().waiting, 0, "tried again");
        assert_eq!(all(&journal, None).0.last().map(String::as_str), Some("39"));
    }

    #[test]
    fn a_spoiled_line_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path());
        for id in ["a", "b", "c"] {
            journal.settle(None, &entry(id));
        }
        let file = path(directory.path(), 1);
        let text = fs::read_to_string(&file).unwrap().replace("\"b\"", "\"x\"");
        fs::write(&file, text).unwrap();
        assert_eq!(all(&journal, None).0, ["a", "c"]);
    }

    #[test]
    fn files_stay_until_they_are_not_needed() {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path());
        let open = journal.intend(None, &entry("open"));
        journal.writer.lock().length = SEGMENT;
        journal.settle(None, &entry("a"));
        journal.writer.lock().length = SEGMENT;
        journal.settle(None, &entry("b"));
        let (settled, position) = all(&journal, None);
        assert_eq!(settled, ["a", "b"]);
        journal.tidy(position.as_ref()).unwrap();
        assert_eq!(segments(directory.path()).unwrap(), [1, 2, 3], "an intent is open");
        journal.settle(open, &entry("open"));
        let (settled, position) = all(&journal, position.as_ref());
        assert_eq!(settled, ["open"]);
        journal.tidy(position.as_ref()).unwrap();
        assert_eq!(segments(directory.path()).unwrap(), [3]);
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path());
        for number in 0..10 {
            journal.settle(None, &entry(&number.to_string()));
        }
        let (mut seen, mut position) = (Vec::new(), None);
        while let Some((entries, end)) = journal.read(position.as_ref(), 3).unwrap() {
            seen.extend(entries.into_iter().map(|entry| entry.id));
            position = Some(end);
        }
        assert_eq!(seen, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}
