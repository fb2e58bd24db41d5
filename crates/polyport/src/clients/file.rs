//! Settings files on disk: changed whole or not at all, with a copy of what was there beside them.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use super::edit::{self, Edit, Format};
use super::{Client, Home, Settings};

/// Larger files are no settings.
const LARGEST_BYTES: u64 = 4 << 20;

/// What stands in the name of a copy of what was there, of the sign that nothing was there, and of what an undo took away.
const BACKUP: &str = ".polyport-backup-";
const NEW: &str = ".polyport-new-";
const UNDONE: &str = ".polyport-undone-";

/// What was done to a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Written {
    /// The file itself, where a link led to it.
    pub(crate) path: PathBuf,
    /// The copy of what was there.
    pub(crate) backup: Option<PathBuf>,
}

/// What an undo did.
#[derive(Debug, PartialEq)]
pub(crate) struct Undone {
    pub(crate) path: PathBuf,
    /// There was no file before, and there is none now.
    pub(crate) removed: bool,
    /// What was there until now.
    pub(crate) kept: PathBuf,
}

/// The file a path leads to, and what it holds. Nothing if there is none.
pub(super) fn read(path: &Path) -> Result<(PathBuf, Option<String>)> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if fs::symlink_metadata(path).is_ok() {
                bail!("{} is a link to a file that is not there: make that file, or remove the link", path.display());
            }
            return Ok((path.to_owned(), None));
        }
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let mut text = String::new();
    let file = File::open(&real).with_context(|| format!("{} cannot be read", real.display()))?;
    if !file.metadata()?.is_file() {
        bail!("{} is no file", real.display());
    }
    match file.take(LARGEST_BYTES + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > LARGEST_BYTES => bail!("{} is larger than settings are", real.display()),
        Ok(_) => Ok((real, Some(text))),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            bail!("{} is not UTF-8 text: save it as such, and try again", real.display())
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", real.display())),
    }
}

/// The key for the gateway at this address that stands in the client's settings, where they can be read.
pub(crate) fn key_in(client: &Client, home: &Home, url: &str) -> Option<String> {
    let present =
        |settings: &Settings| edit::read(settings.format, &read(&home.settings(settings).ok()?).ok()?.1?).ok();
    let present: Vec<Value> = client.settings.iter().map(|settings| present(settings).unwrap_or(Value::Null)).collect();
    client.key_in(&present, url)
}

/// Applies the edits to the file. `None` if they are there already.
///
/// # Errors
/// The file is damaged, holds something else where the edits belong, or must not be changed. It is as it was then.
pub(crate) fn write(path: &Path, format: Format, edits: &[Edit]) -> Result<Option<Written>> {
    let (real, present) = read(path)?;
    let text = present.as_deref().unwrap_or_default();
    let new = edit::edited(format, text, edits).map_err(|refused| {
        anyhow!(
            "{} is not changed: {refused}; mend it there, or set by hand what `polyport connect` shows without --write",
            real.display()
        )
    })?;
    if present.is_some() && new == text {
        return Ok(None);
    }
    let folder = real.parent().unwrap_or_else(|| Path::new("."));
    let meta = present.as_ref().map(|_| fs::metadata(&real)).transpose()?;
    if meta.as_ref().is_some_and(|meta| meta.permissions().readonly()) {
        bail!("{} is read-only: make it writable, and try again", real.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let kept = keep(&real, meta.as_ref(), present.as_deref())?;
    let done = (|| {
        let now = read(path)?.1;
        if now != present {
            bail!("{} was changed by somebody else just now: try again", real.display());
        }
        replace(&real, meta.as_ref(), &new)
    })();
    if let Err(error) = done {
        fs::remove_file(&kept).ok();
        return Err(error);
    }
    Ok(Some(Written { path: real, backup: present.map(|_| kept) }))
}

/// Writes the copy of what is there, or the sign that nothing is.
fn keep(real: &Path, meta: Option<&Metadata>, present: Option<&str>) -> Result<PathBuf> {
    let kind = if present.is_some() { BACKUP } else { NEW };
    let (path, mut file) = beside(real, kind)?;
    let written = copy_rights(&file, &path, meta)
        .and_then(|()| file.write_all(present.unwrap_or_default().as_bytes()))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        fs::remove_file(&path).ok();
        return Err(error).with_context(|| format!("{} cannot be written", path.display()));
    }
    Ok(path)
}

/// A new file beside another one, named by the time.
fn beside(real: &Path, kind: &str) -> Result<(PathBuf, File)> {
    let stamp = super::stamp();
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut number = 0;
    loop {
        let more = if number == 0 { String::new() } else { format!("-{number}") };
        let path = real.with_file_name(format!("{name}{kind}{stamp}{more}"));
        match options.open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 100 => number += 1,
            Err(error) => {
                let words = "cannot be written: see who owns the folder and whether it may be written";
                return Err(error).with_context(|| format!("{} {words}", path.display()));
            }
        }
    }
}

/// Puts a text in the place of the file, at once.
fn replace(real: &Path, meta: Option<&Metadata>, text: &str) -> Result<()> {
    let folder = real.parent().unwrap_or_else(|| Path::new("."));
    let written = (|| {
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(text.as_bytes())?;
        copy_rights(new.as_file(), new.path(), meta)?;
        new.as_file().sync_all()?;
        new.persist(real).map_err(|error| error.error)?;
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok::<(), std::io::Error>(())
    })();
    written.with_context(|| format!("{} cannot be written", real.display()))
}

/// Gives a new file the mode and the owner of the present one. Without one it is its maker's alone: there is a key in it.
#[cfg(unix)]
fn copy_rights(file: &File, path: &Path, meta: Option<&Metadata>) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let Some(meta) = meta else { return Ok(()) };
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
        std::os::unix::fs::chown(path, Some(meta.uid()), Some(meta.gid()))?;
    }
    file.set_permissions(meta.permissions())
}

#[cfg(not(unix))]
fn copy_rights(_: &File, _: &Path, _: Option<&Metadata>) -> std::io::Result<()> {
    Ok(())
}

/// Puts back what was there before the last change. `None` if nothing is known of one.
///
/// # Errors
/// The files cannot be renamed.
pub(crate) fn undo(path: &Path) -> Result<Option<Undone>> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = real.parent().unwrap_or_else(|| Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    let stamp = |file: &str| {
        let rest = file.strip_prefix(&name)?;
        // Within a second, a copy is made after there was nothing.
        let backup = rest.strip_prefix(BACKUP).map(|stamp| (stamp.to_owned(), true));
        backup.or_else(|| Some((rest.strip_prefix(NEW)?.to_owned(), false)))
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let Some(last) = names.filter_map(|file| Some((stamp(&file)?, file))).max() else { return Ok(None) };
    let last = folder.join(last.1);
    let removed = last.to_string_lossy().contains(NEW);
    let (kept, _) = beside(&real, UNDONE)?;
    let words = || format!("{} cannot be put back", last.display());
    if removed {
        match fs::rename(&real, &kept) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(words),
            _ => fs::remove_file(&last).with_context(words)?,
        }
    } else {
        if real.exists() {
            fs::copy(&real, &kept).with_context(words)?;
        }
        fs::rename(&last, &real).with_context(words)?;
    }
    Ok(Some(Undone { path: real, removed, kept }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(value: &str) -> Vec<Edit> {
        vec![Edit::Set { at: vec!["env".to_owned(), "URL".to_owned()], value: value.into() }]
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_change_leaves_a_copy_and_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, "{\"own\": 1}").unwrap();
        let written = write(&path, Format::Json, &edits("a")).unwrap().unwrap();
        assert_eq!(fs::read_to_string(written.backup.unwrap()).unwrap(), "{\"own\": 1}");
        // A second time there is nothing to do, and no copy is made.
        assert_eq!(write(&path, Format::Json, &edits("a")).unwrap(), None);
        assert_eq!(files(folder.path()).len(), 2);
        let changed = fs::read_to_string(&path).unwrap();
        let undone = undo(&path).unwrap().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"own\": 1}");
        assert_eq!(fs::read_to_string(undone.kept).unwrap(), changed);
        assert_eq!(undo(&path).unwrap(), None);
    }

    #[test]
    fn a_file_that_was_not_there_is_gone_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/settings.json");
        let written = write(&path, Format::Json, &edits("a")).unwrap().unwrap();
        assert_eq!(written.backup, None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // An earlier state is put back first.
        write(&path, Format::Json, &edits("b")).unwrap().unwrap();
        assert!(!undo(&path).unwrap().unwrap().removed);
        assert!(fs::read_to_string(&path).unwrap().contains("\"a\""));
        assert!(undo(&path).unwrap().unwrap().removed && !path.exists());
    }

    #[test]
    fn o11_a_damaged_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        for text in ["{\n  \"own\": \n", "[]", "{\"env\": 1}"] {
            fs::write(&path, text).unwrap();
            let told = format!("{:#}", write(&path, Format::Json, &edits("a")).unwrap_err());
            assert!(told.contains("settings.json is not changed") && told.contains("without --write"), "{told}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, b"{\"a\": \"\xff\"}").unwrap();
        assert!(write(&path, Format::Json, &edits("a")).unwrap_err().to_string().contains("UTF-8"));
        assert_eq!(files(folder.path()), ["settings.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_the_mode_stays() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("dotfiles.json"), folder.path().join("settings.json"));
        fs::write(&real, "{}").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("dotfiles.json", &link).unwrap();
        let written = write(&link, Format::Json, &edits("a")).unwrap().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        for path in [&real, written.backup.as_ref().unwrap()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o640, "{}", path.display());
        }
        assert!(fs::read_to_string(&real).unwrap().contains("URL"));
        undo(&link).unwrap().unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "{}");
        fs::remove_file(&real).unwrap();
        assert!(write(&link, Format::Json, &edits("a")).unwrap_err().to_string().contains("link"));
    }

    #[cfg(unix)]
    #[test]
    fn o11_a_read_only_file_is_not_replaced() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(write(&path, Format::Json, &edits("a")).unwrap_err().to_string().contains("read-only"));
        assert_eq!(files(folder.path()), ["settings.json"]);
    }
}
