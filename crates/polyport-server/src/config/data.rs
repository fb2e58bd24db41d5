//! The folder of everything Polyport writes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use polyport_protocol::CarrierKey;

/// Makes the folder, for its owner only.
pub(crate) fn prepare(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The key that seals signatures, made at the first start and kept in `carrier.key`.
pub(super) fn carrier_key(folder: &Path) -> io::Result<CarrierKey> {
    let path = folder.join("carrier.key");
    match read_key(&path)? {
        Some(key) => Ok(CarrierKey::new(key)),
        None => make_key(folder, &path).map(CarrierKey::new),
    }
}

fn read_key(path: &Path) -> io::Result<Option<[u8; 32]>> {
    match fs::read(path) {
        Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "carrier.key does not hold 32 bytes; remove it to make a new one",
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the key under another name first, so that a crash leaves none or a whole one. Of several processes that start at once, one
/// wins and the others take its key.
fn make_key(folder: &Path, path: &Path) -> io::Result<[u8; 32]> {
    let key: [u8; 32] = rand::random();
    let temporary = folder.join(format!(".carrier.key.{}.{:08x}", std::process::id(), rand::random::<u32>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    let written = file.write_all(&key).and_then(|()| file.sync_all()).and_then(|()| publish(&temporary, path));
    fs::remove_file(&temporary)?;
    match written {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            read_key(path)?.ok_or_else(|| io::Error::other("carrier.key appeared and vanished"))
        }
        Err(error) => Err(error),
    }
}

/// Gives the finished file its name, unless it is taken. Where the file system has no links, the last of two writers wins.
fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::copy(temporary, path).map(drop),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_the_owner_may_read_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        prepare(&folder).unwrap();
        prepare(&folder).unwrap();
        carrier_key(&folder).unwrap();
        let first = fs::read(folder.join("carrier.key")).unwrap();
        carrier_key(&folder).unwrap();
        assert_eq!(fs::read(folder.join("carrier.key")).unwrap(), first);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&folder), 0o700);
            assert_eq!(mode(&folder.join("carrier.key")), 0o600);
        }
    }

    #[test]
    fn a_damaged_key_is_not_replaced_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("carrier.key"), b"short").unwrap();
        assert!(carrier_key(folder.path()).is_err());
    }
}
