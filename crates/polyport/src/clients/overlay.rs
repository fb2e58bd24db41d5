//! Settings for one start of a client, laid over those of the user, which are not touched.

use std::collections::HashMap;
use std::fs;
use std::io::Error;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::edit::{self, Edit};
use super::{Client, Fill, Home, OverlayRule, Settings, When, file};

/// What a client is started with besides its variables.
#[derive(Debug, Default)]
pub(crate) struct Overlaid {
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    /// Holds what was written for it.
    folder: Option<tempfile::TempDir>,
    stand_in: Option<StandIn>,
}

/// A folder that stands in for one of the user's.
#[derive(Debug)]
struct StandIn {
    ours: PathBuf,
    theirs: PathBuf,
    /// The file in it that is not the user's.
    own: String,
    /// The files in it that are no links, as they were before the client ran.
    before: HashMap<PathBuf, State>,
}

/// By what a change of a file is noticed.
type State = (u64, Option<SystemTime>);

impl Overlaid {
    /// What has to be laid over the settings of this user.
    ///
    /// # Errors
    /// A file or a link cannot be written.
    pub(crate) fn of(client: &Client, home: &Home, fill: &Fill) -> Result<Self> {
        let (Some(rule), Some(settings)) = (&client.overlay, client.settings.first()) else {
            return Ok(Self::default());
        };
        let path = home.settings(settings)?;
        let text = file::read(&path)?.1.unwrap_or_default();
        // What the client makes of a damaged file is for it to say.
        let Ok(present) = edit::read(settings.format, &text) else { return Ok(Self::default()) };
        let edits = settings.edits(fill);
        if !edits.iter().any(|edit| differs(rule.when, edit, &present)) {
            return Ok(Self::default());
        }
        let folder = tempfile::tempdir().context("no folder for the settings of this start can be made")?;
        match (&rule.home, &rule.folder) {
            (Some(variable), Some(name)) => {
                let Ok(text) = edit::edited(settings.format, &text, &edits) else { return Ok(Self::default()) };
                stand_in(folder, variable, name, &path, &text)
            }
            _ => beside(folder, rule, settings, &edits),
        }
    }

    /// Brings back what the client wrote while it ran.
    ///
    /// # Errors
    /// Something cannot be copied: then all of it is kept where it is, and the error says where. The rest is brought back.
    pub(crate) fn finish(self) -> Result<()> {
        let Some(StandIn { ours, theirs, own, before }) = &self.stand_in else { return Ok(()) };
        let mut failed = Vec::new();
        match fs::read_dir(ours) {
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) if entry.file_name() == own.as_str() => {}
                        Ok(entry) => {
                            bring_back(&entry.path(), &theirs.join(entry.file_name()), before, &mut failed);
                        }
                        Err(error) => failed.push((ours.clone(), error)),
                    }
                }
            }
            Err(error) => failed.push((ours.clone(), error)),
        }
        let Some((path, error)) = failed.first() else { return Ok(()) };
        let kept = self.folder.map(tempfile::TempDir::keep);
        let more = match failed.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        bail!(
            "{}: {error}{more}; everything it wrote is kept in {}",
            path.display(),
            kept.unwrap_or_default().display()
        )
    }
}

fn differs(when: When, edit: &Edit, present: &Value) -> bool {
    let Edit::Set { at, value } = edit else { return false };
    match at.iter().try_fold(present, |value, name| value.get(name)) {
        Some(there) => there != value,
        None => when == When::Missing,
    }
}

/// A file of its own that the client is told of.
fn beside(folder: tempfile::TempDir, rule: &OverlayRule, settings: &Settings, edits: &[Edit]) -> Result<Overlaid> {
    let path = folder.path().join("settings");
    fs::write(&path, edit::edited(settings.format, "", edits)?)?;
    let arguments = rule.arguments.iter().map(|text| text.replace("{file}", &path.to_string_lossy())).collect();
    Ok(Overlaid { arguments, folder: Some(folder), ..Overlaid::default() })
}

/// Another home folder with everything of the user's settings folder but the one file.
fn stand_in(folder: tempfile::TempDir, variable: &str, name: &str, path: &Path, text: &str) -> Result<Overlaid> {
    let theirs = path.parent().unwrap_or_else(|| Path::new(".")).to_owned();
    let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ours = folder.path().join(name);
    fs::create_dir(&ours)?;
    if let Ok(entries) = fs::read_dir(&theirs) {
        for entry in entries {
            let entry = entry?;
            if entry.file_name() != own.as_str() {
                link(&entry.path(), &ours.join(entry.file_name()))?;
            }
        }
    }
    fs::write(ours.join(&own), text)?;
    let variables = vec![(variable.to_owned(), folder.path().to_string_lossy().into_owned())];
    let mut before = HashMap::new();
    states(&ours, &mut before)?;
    let stand_in = Some(StandIn { ours, theirs, own, before });
    Ok(Overlaid { variables, folder: Some(folder), stand_in, ..Overlaid::default() })
}

fn state(path: &Path) -> std::io::Result<State> {
    let meta = fs::symlink_metadata(path)?;
    Ok((meta.len(), meta.modified().ok()))
}

/// The files below a folder; links are none of them.
fn states(folder: &Path, found: &mut HashMap<PathBuf, State>) -> std::io::Result<()> {
    fs::read_dir(folder)?.try_for_each(|entry| {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            return states(&entry.path(), found);
        }
        if kind.is_file() {
            found.insert(entry.path(), state(&entry.path())?);
        }
        Ok(())
    })
}

/// Copies what is new or has changed to the user's folder, and goes on where something cannot be copied.
fn bring_back(from: &Path, to: &Path, before: &HashMap<PathBuf, State>, failed: &mut Vec<(PathBuf, Error)>) {
    let done = (|| {
        let kind = fs::symlink_metadata(from)?.file_type();
        if kind.is_dir() {
            fs::create_dir_all(to)?;
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                bring_back(&entry.path(), &to.join(entry.file_name()), before, failed);
            }
        } else if kind.is_file() && before.get(from) != Some(&state(from)?) && !is_same(from, to) {
            copy(from, to)?;
        }
        Ok::<(), Error>(())
    })();
    if let Err(error) = done {
        failed.push((to.to_owned(), error));
    }
}

/// Whether two files hold the same.
fn is_same(one: &Path, other: &Path) -> bool {
    let length = |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|meta| meta.len());
    let same = length(one).is_some_and(|bytes| length(other) == Some(bytes));
    same && matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

/// Links take rights that people seldom have elsewhere.
#[cfg(not(unix))]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    copy(from, to)
}

/// Copies a file, or a folder with everything in it. Files appear whole; links are left out.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_dir() {
        fs::create_dir_all(to)?;
        return fs::read_dir(from)?.try_for_each(|entry| {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))
        });
    }
    if !kind.is_file() {
        return Ok(());
    }
    let folder = to.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let new = tempfile::NamedTempFile::new_in(folder)?;
    fs::copy(from, new.path())?;
    new.persist(to).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use polyport_server::config::Environment;

    use super::super::find;
    use super::*;

    fn overlaid(client: &str, home: &Path) -> Overlaid {
        let home = Home::of(Environment::of([("HOME".to_owned(), home.to_string_lossy().into_owned())], "/"));
        let fill = Fill { url: "http://h:1".to_owned(), key: "pp-k".to_owned(), ..Fill::default() };
        Overlaid::of(find(client).unwrap(), &home, &fill).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_is_given_only_where_the_settings_say_something_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".claude/settings.json");
        fs::create_dir(home.path().join(".claude")).unwrap();
        for (text, needed) in [
            ("{}", false),
            (r#"{"env": {"ANTHROPIC_BASE_URL": "http://h:1"}}"#, false),
            (r#"{"env": {"ANTHROPIC_BASE_URL": "http://elsewhere"}}"#, true),
            ("{ damaged", false),
        ] {
            fs::write(&path, text).unwrap();
            let overlaid = overlaid("claude", home.path());
            assert_eq!(!overlaid.arguments.is_empty(), needed, "{text}");
            if let [option, file] = overlaid.arguments.as_slice() {
                assert_eq!(option, "--settings");
                let settings: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
                assert_eq!(settings["env"]["ANTHROPIC_AUTH_TOKEN"], "pp-k");
                let file = file.clone();
                overlaid.finish().unwrap();
                assert!(!Path::new(&file).exists());
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_stands_in_for_the_users_and_what_is_new_comes_back() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".gemini");
        fs::create_dir(&folder).unwrap();
        fs::create_dir(folder.join("history")).unwrap();
        fs::write(folder.join("settings.json"), r#"{"ui": {"theme": "dark"}}"#).unwrap();
        let overlaid = overlaid("gemini", home.path());
        let (variable, place) = overlaid.variables[0].clone();
        assert_eq!(variable, "GEMINI_CLI_HOME");
        let ours = Path::new(&place).join(".gemini");
        let settings: Value = serde_json::from_str(&fs::read_to_string(ours.join("settings.json")).unwrap()).unwrap();
        assert_eq!(settings["ui"]["theme"], "dark");
        assert_eq!(settings["security"]["auth"]["selectedType"], "gemini-api-key");
        fs::write(ours.join("history/one"), "1").unwrap();
        fs::create_dir(ours.join("tmp")).unwrap();
        fs::write(ours.join("tmp/two"), "2").unwrap();
        overlaid.finish().unwrap();
        assert!(!Path::new(&place).exists());
        assert_eq!(fs::read_to_string(folder.join("history/one")).unwrap(), "1");
        assert_eq!(fs::read_to_string(folder.join("tmp/two")).unwrap(), "2");
        assert_eq!(fs::read_to_string(folder.join("settings.json")).unwrap(), r#"{"ui": {"theme": "dark"}}"#);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_brought_back_is_kept_and_the_rest_comes_back() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".gemini");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("settings.json"), "{}").unwrap();
        let overlaid = overlaid("gemini", home.path());
        let ours = Path::new(&overlaid.variables[0].1).join(".gemini");
        for name in ["a", "b", "c"] {
            fs::write(ours.join(name), name).unwrap();
        }
        // Where a file belongs, there is a folder by now.
        fs::create_dir(folder.join("b")).unwrap();
        fs::write(folder.join("b/own"), "own").unwrap();
        let told = overlaid.finish().unwrap_err().to_string();
        assert!(told.contains(&folder.join("b").display().to_string()), "{told}");
        let kept = told.rsplit_once("is kept in ").unwrap().1;
        assert_eq!(fs::read_to_string(Path::new(kept).join(".gemini/b")).unwrap(), "b");
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "a");
        assert_eq!(fs::read_to_string(folder.join("c")).unwrap(), "c");
        assert_eq!(fs::read_to_string(folder.join("b/own")).unwrap(), "own");
        fs::remove_dir_all(kept).unwrap();
    }

    #[test]
    fn only_what_changed_is_brought_back() {
        let home = tempfile::tempdir().unwrap();
        let (ours, theirs) = (home.path().join("ours"), home.path().join("theirs"));
        fs::create_dir_all(theirs.join("deep")).unwrap();
        for name in ["same", "changed", "deep/same"] {
            fs::write(theirs.join(name), "before").unwrap();
        }
        // As on systems where it is filled with copies.
        copy(&theirs, &ours).unwrap();
        let mut before = HashMap::new();
        states(&ours, &mut before).unwrap();
        // Another client writes in the meantime.
        fs::write(theirs.join("same"), "of another").unwrap();
        fs::write(theirs.join("deep/same"), "of another").unwrap();
        fs::write(ours.join("changed"), "afterwards").unwrap();
        fs::write(ours.join("deep/new"), "new").unwrap();
        let stand_in = Some(StandIn { ours, theirs: theirs.clone(), own: "settings.json".to_owned(), before });
        Overlaid { stand_in, ..Overlaid::default() }.finish().unwrap();
        for (name, text) in
            [("same", "of another"), ("deep/same", "of another"), ("changed", "afterwards"), ("deep/new", "new")]
        {
            assert_eq!(fs::read_to_string(theirs.join(name)).unwrap(), text, "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_laid_over_settings_that_say_the_same() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".gemini")).unwrap();
        let text = r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}}"#;
        fs::write(home.path().join(".gemini/settings.json"), text).unwrap();
        assert!(overlaid("gemini", home.path()).variables.is_empty());
        assert!(overlaid("codex", home.path()).arguments.is_empty());
    }
}
