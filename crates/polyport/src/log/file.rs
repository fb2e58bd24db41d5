//! A file for log lines that is put aside when it has grown.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, create_dir_all, rename};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use polyport_server::config::LogFile;

/// The file, opened. Each write holds whole lines.
pub(super) struct Rotating {
    settings: LogFile,
    file: File,
    bytes: u64,
}

impl Rotating {
    /// Opens the file to go on at its end.
    pub(super) fn open(settings: &LogFile) -> anyhow::Result<Self> {
        let told = || format!("the log file {} cannot be written", settings.path.display());
        if let Some(folder) = settings.path.parent() {
            create_dir_all(folder).with_context(told)?;
        }
        let file = appended(&settings.path).with_context(told)?;
        let about = file.metadata().with_context(told)?;
        // A pipe or a device is not put aside.
        let rotate_bytes = settings.rotate_bytes.filter(|_| about.is_file());
        Ok(Self { settings: LogFile { rotate_bytes, ..settings.clone() }, file, bytes: about.len() })
    }

    /// Moves every file one number on; the last is overwritten.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.settings.keep).rev() {
            // There may be fewer.
            rename(self.aside(number), self.aside(number + 1)).ok();
        }
        rename(&self.settings.path, self.aside(1))?;
        self.file = appended(&self.settings.path)?;
        self.bytes = 0;
        Ok(())
    }

    fn aside(&self, number: usize) -> PathBuf {
        let mut name = OsString::from(&self.settings.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let after = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > 0 && self.settings.rotate_bytes.is_some_and(|most| after > most) {
            // A file that cannot be put aside is written further.
            self.rotate().ok();
        }
        let written = self.file.write(bytes)?;
        self.bytes = self.bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Lines name callers and providers: they are their owner's business.
fn appended(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_grown_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/polyport.log");
        let settings = LogFile { path: path.clone(), rotate_bytes: Some(10), keep: 2 };
        for line in ["one\n", "two\n", "three\n", "a line longer than all\n", "four\n"] {
            // Opened anew each time, as after a restart.
            Rotating::open(&settings).unwrap().write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join("log").join(name)).unwrap();
        assert_eq!(read("polyport.log"), "four\n");
        assert_eq!(read("polyport.log.1"), "a line longer than all\n");
        assert_eq!(read("polyport.log.2"), "three\n");
        assert_eq!(std::fs::read_dir(folder.path().join("log")).unwrap().count(), 3);
    }
}
