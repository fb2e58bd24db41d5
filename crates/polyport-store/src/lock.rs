//! One process per database file, and two of them while one hands over to the next.
//!
//! A process takes the lock alone and then shares it, so that nobody else ever gets it alone. Only a process that the holder has started to
//! take its place shares it too.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::error::OpenError;
use crate::location::beside;

/// How a database is opened that belongs to one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// By a process that has nobody before it.
    #[default]
    First,
    /// By one that takes the place of the process with this id, which still has the database open.
    After(u32),
}

/// Held as long as the database is open; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of a database file, or says who has it.
    pub(crate) fn take(database: &Path, turn: Turn) -> Result<Self, OpenError> {
        let path = beside(database, ".lock");
        let failed = |reason: io::Error| OpenError::Io { path: path.clone(), reason };
        let in_use = |process| OpenError::InUse { path: database.to_owned(), process };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(failed)?;
        let taken = match turn {
            Turn::First => file.try_lock().and_then(|()| share(&file)),
            Turn::After(_) => file.try_lock_shared(),
        };
        match (taken, turn) {
            (Ok(()), Turn::First) => {
                let lock = Self { file };
                lock.sign().map_err(failed)?;
                Ok(lock)
            }
            (Ok(()), Turn::After(elder)) => match holder(&mut file) {
                Some(holder) if holder == elder => Ok(Self { file }),
                holder => Err(in_use(holder)),
            },
            (Err(TryLockError::WouldBlock), _) => Err(in_use(holder(&mut file))),
            (Err(TryLockError::Error(reason)), _) => Err(failed(reason)),
        }
    }

    /// Writes down that this process has the database.
    pub(crate) fn sign(&self) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    }
}

/// From now on a process that is started to take this one's place may have it too. Whoever came in between has it: then it is in use.
#[cfg(unix)]
fn share(file: &File) -> Result<(), TryLockError> {
    file.try_lock_shared()
}

/// Elsewhere nobody hands over.
#[cfg(not(unix))]
fn share(_: &File) -> Result<(), TryLockError> {
    Ok(())
}

/// Who has it. For messages, above all: some systems do not let a locked file be read.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn o5_only_who_takes_the_place_of_the_holder_shares_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let refused = |turn| matches!(Lock::take(&database, turn), Err(OpenError::InUse { .. }));
        let own = std::process::id();
        let elder = Lock::take(&database, Turn::First).unwrap();
        assert!(refused(Turn::First) && refused(Turn::After(own + 1)));
        let younger = Lock::take(&database, Turn::After(own)).unwrap();
        drop(elder);
        assert!(refused(Turn::First));
        drop(younger);
        assert!(Lock::take(&database, Turn::First).is_ok());
    }
}
