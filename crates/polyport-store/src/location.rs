//! Where the database is: the address as users write it, folders, files and their rights.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::error::OpenError;

/// The database without any configuration: `polyport.db` in the data folder.
#[must_use]
pub fn default_url(data: &Path) -> String {
    url_of(&data.join("polyport.db"))
}

/// The request log that belongs to the database at `url`: on the same server, or `log.db` in the data folder.
#[must_use]
pub fn log_url(url: &str, data: &Path) -> String {
    match Location::parse(url) {
        Ok(Location::Server(_)) => url.to_owned(),
        Ok(Location::File(_)) | Err(_) => url_of(&data.join("log.db")),
    }
}

fn url_of(path: &Path) -> String {
    format!("sqlite://{}", path.to_string_lossy().replace('%', "%25").replace('?', "%3F"))
}

/// Whether this is an address of a database, without looking at it.
pub fn check_url(url: &str) -> Result<(), OpenError> {
    Location::parse(url).map(drop)
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file of SQLite.
    File(PathBuf),
    /// A server of Postgres; the address may hold a password.
    Server(String),
}

impl Location {
    /// Reads `sqlite://PATH`, `sqlite:PATH`, `postgres://…` and `postgresql://…`. Relative paths begin at the working folder.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let unknown = || OpenError::Url { scheme: url.split([':', '/']).next().unwrap_or_default().to_owned() };
        let (scheme, rest) = url.split_once(':').ok_or_else(unknown)?;
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                let wrong = || OpenError::Path(path.to_owned());
                if path.is_empty() || path.starts_with(":memory:") || path.contains('?') {
                    return Err(wrong());
                }
                let path = percent_decode_str(path).decode_utf8().map_err(|_| wrong())?;
                std::path::absolute(path.as_ref()).map(Self::File).map_err(|_| wrong())
            }
            "postgres" | "postgresql" => Ok(Self::Server(url.to_owned())),
            _ => Err(unknown()),
        }
    }

    /// The address the driver wants.
    pub(crate) fn driver_url(&self) -> String {
        match self {
            Self::File(path) => file_url(path),
            Self::Server(url) => url.clone(),
        }
    }
}

/// The driver's address of a file that exists.
pub(crate) fn file_url(path: &Path) -> String {
    let path = path.to_string_lossy();
    let parts: Vec<String> =
        path.split('/').map(|part| percent_encode(part.as_bytes(), NON_ALPHANUMERIC).to_string()).collect();
    format!("sqlite://{}?mode=rw", parts.join("/"))
}

/// Makes the folder of a file, for its owner only.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes a new file that only its owner may read.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Takes the rights of everybody but the owner from a file.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _: &Path = path;
    Ok(())
}

/// `path` with `suffix` after its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What a renamed file is called from now on survives a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        // A bare name is one of the working folder.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _: &Path = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_files_or_servers() {
        let here = std::path::absolute("data/polyport.db").unwrap();
        assert_eq!(Location::parse("sqlite://data/polyport.db").unwrap(), Location::File(here.clone()));
        assert_eq!(Location::parse(&default_url(Path::new("data"))).unwrap(), Location::File(here));
        assert_eq!(Location::parse("sqlite:///a/b.db").unwrap(), Location::File("/a/b.db".into()));
        assert_eq!(Location::parse("sqlite:/a/my%20db").unwrap(), Location::File("/a/my db".into()));
        assert!(matches!(Location::parse("postgres://u:p@h/d").unwrap(), Location::Server(_)));
        assert!(matches!(Location::parse("postgresql://h/d").unwrap(), Location::Server(_)));
    }

    #[test]
    fn other_addresses_are_refused_without_their_password() {
        let error = Location::parse("mysql://root:hunter2@h/d").unwrap_err().to_string();
        assert!(error.contains("mysql") && error.contains("sqlite://") && !error.contains("hunter2"), "{error}");
        for url in ["", "data/polyport.db", "sqlite:", "sqlite::memory:", "sqlite://x?mode=ro"] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn odd_names_reach_the_driver_whole() {
        assert_eq!(file_url(Path::new("/a b/c?#%.db")), "sqlite:///a%20b/c%3F%23%25%2Edb?mode=rw");
    }
}
