//! The master key, which seals every secret of the database.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::error::hint;

/// The name of the generated key's file in the data folder.
const FILE: &str = "master.key";

/// 32 random bytes. It is wiped when dropped, and `Debug` shows its id alone.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why a text is no master key. It never holds the text.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not base64, or not 32 bytes.
    #[error(
        "the master key must be 32 random bytes written as base64 or base64url (43 characters, 44 with padding; \
         `openssl rand -base64 32` makes one); it has {0}"
    )]
    Malformed(String),
    /// The key file holds something else.
    #[error("{path}: {reason}; put the right key back, or move the file away to begin with a new key")]
    File {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Box<Self>,
    },
    /// The key file cannot be read or written.
    #[error("{path}: {reason}{}", hint(reason))]
    Io {
        /// The key file.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
}

impl MasterKey {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(&mut key[..]);
        Self(key)
    }

    /// Reads base64 or base64url of 32 bytes, with or without padding.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let plain = Zeroizing::new(text.trim_end_matches('=').replace('-', "+").replace('_', "/"));
        let bytes = STANDARD_NO_PAD.decode(plain.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| {
            KeyError::Malformed(format!("{} characters that are not base64 of whole bytes", text.chars().count()))
        })?;
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Self(Zeroizing::new(key))),
            Err(_) => Err(KeyError::Malformed(format!("{} bytes", bytes.len()))),
        }
    }

    /// Names the key without telling anything of it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = blake3::derive_key("polyport store: id of a master key", &self.0[..]);
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        KeyId(id)
    }

    /// A key for one purpose.
    pub(crate) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(purpose, &self.0[..]))
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = URL_SAFE_NO_PAD.encode(&self.0[..]);
        text.push('\n');
        Zeroizing::new(text)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

/// Eight bytes of a digest of a master key. Every sealed value carries the one it was sealed with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The generated key's file. A new key is written beside it first and takes its place after the database was sealed anew, so that at
/// every moment one of the two files opens the database.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    next: PathBuf,
}

impl KeyFile {
    pub(crate) fn new(data: &Path) -> Self {
        Self { path: data.join(FILE), next: data.join(format!("{FILE}.next")) }
    }

    pub(crate) fn read(&self) -> Result<Option<MasterKey>, KeyError> {
        read(&self.path)
    }

    /// The key, made at the first start. Of several processes that start at once, all get the same.
    pub(crate) fn read_or_make(&self) -> Result<MasterKey, KeyError> {
        if let Some(key) = self.read()? {
            return Ok(key);
        }
        let key = MasterKey::generate();
        let name = format!("{FILE}.{}.{:08x}", std::process::id(), rand::random::<u32>());
        let temporary = self.path.with_file_name(name);
        write(&temporary, &key)?;
        let named = fs::hard_link(&temporary, &self.path);
        let removed = fs::remove_file(&temporary);
        match named {
            Ok(()) => removed.map(|()| key).map_err(|reason| io_error(&temporary, reason)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.read_or_make(),
            // A file system without links.
            Err(_) => write(&self.path, &key).map(|()| key),
        }
    }

    /// A key that waits for its turn.
    pub(crate) fn staged(&self) -> Result<Option<MasterKey>, KeyError> {
        read(&self.next)
    }

    /// Writes the key that will be used next.
    pub(crate) fn stage(&self, key: &MasterKey) -> Result<(), KeyError> {
        self.unstage()?;
        write(&self.next, key)
    }

    /// The key that waited is the one.
    pub(crate) fn promote(&self) -> Result<(), KeyError> {
        fs::rename(&self.next, &self.path).map_err(|reason| io_error(&self.path, reason))
    }

    /// The key that waited is not needed.
    pub(crate) fn unstage(&self) -> Result<(), KeyError> {
        match fs::remove_file(&self.next) {
            Err(reason) if reason.kind() != io::ErrorKind::NotFound => Err(io_error(&self.next, reason)),
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> Result<Option<MasterKey>, KeyError> {
    match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => MasterKey::parse(&text)
            .map(Some)
            .map_err(|reason| KeyError::File { path: path.to_owned(), reason: Box::new(reason) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(reason) => Err(io_error(path, reason)),
    }
}

/// Writes a new file that only its owner may read, whole on the disk when it returns.
fn write(path: &Path, key: &MasterKey) -> Result<(), KeyError> {
    let written = crate::location::private_file(path)
        .and_then(|mut file| file.write_all(key.text().as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|reason| io_error(path, reason))
}

fn io_error(path: &Path, reason: io::Error) -> KeyError {
    KeyError::Io { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    #[test]
    fn base64_of_both_alphabets_is_read_with_and_without_padding() {
        let bytes = [0xfb; 32];
        let id = MasterKey(Zeroizing::new(bytes)).id();
        for text in [
            STANDARD.encode(bytes),
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
            format!(" {}\n", URL_SAFE.encode(bytes)),
        ] {
            assert_eq!(MasterKey::parse(&text).unwrap().id(), id, "{text}");
        }
    }

    #[test]
    fn a_malformed_key_says_what_is_expected_and_not_what_was_given() {
        for text in ["", "hunter2", "not base64 at all!", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])] {
            let error = MasterKey::parse(text).unwrap_err().to_string();
            assert!(error.contains("32 random bytes"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = MasterKey::generate();
        let shown = format!("{key:?}");
        assert!(!shown.contains(key.text().trim()), "{shown}");
        assert_eq!(shown, format!("MasterKey({})", key.id()));
        assert_ne!(key.id(), MasterKey::generate().id());
    }

    #[test]
    fn the_file_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path());
        let key = file.read_or_make().unwrap();
        assert_eq!(file.read_or_make().unwrap().id(), key.id());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(&file.path, "short").unwrap();
        let error = file.read_or_make().unwrap_err().to_string();
        assert!(error.contains("master.key") && error.contains("32 random bytes"), "{error}");
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "short");
    }
}
