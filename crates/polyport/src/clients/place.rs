//! Where clients keep their settings, and where their programs are.

use std::path::{Path, PathBuf};

use polyport_server::config::Environment;

use super::Settings;

/// The places of one user.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    environment: Environment,
}

impl Home {
    pub(crate) fn of(environment: Environment) -> Self {
        Self { environment }
    }

    /// The home folder.
    fn folder(&self) -> Option<&str> {
        self.environment.get(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
    }

    /// The path that a text of the table means here. `None` if a variable of it is not set.
    pub(crate) fn path(&self, text: &str) -> Option<PathBuf> {
        if let Some(rest) = text.strip_prefix("~/") {
            return Some(Path::new(self.folder()?).join(rest));
        }
        let Some(rest) = text.strip_prefix('$') else { return Some(self.environment.folder.join(text)) };
        let (variable, rest) = rest.split_once('/')?;
        Some(self.environment.folder.join(self.environment.get(variable)?).join(rest))
    }

    /// The file of these settings: the one that is there, or the one that would be made.
    ///
    /// # Errors
    /// It is not known where the home folder is.
    pub(crate) fn settings(&self, settings: &Settings) -> anyhow::Result<PathBuf> {
        let places = match () {
            () if cfg!(windows) => settings.windows.as_ref(),
            () if cfg!(target_os = "macos") => settings.macos.as_ref(),
            () => None,
        };
        let found: Vec<PathBuf> =
            places.unwrap_or(&settings.places).iter().filter_map(|text| self.path(text)).collect();
        let there = found.iter().find(|path| path.exists());
        let fits = |path: &&PathBuf| {
            settings.new.as_ref().is_none_or(|name| path.file_name().is_some_and(|last| last == name.as_str()))
        };
        there.or_else(|| found.iter().find(fits)).cloned().ok_or_else(|| {
            let variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
            anyhow::anyhow!("it is not known where the home folder is: set {variable}")
        })
    }

    /// Where a program is, if it can be started.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.environment.get("PATH")?;
        let ends: &[&str] = if cfg!(windows) { &[".exe", ".cmd", ".bat"] } else { &[""] };
        std::env::split_paths(path)
            .find_map(|folder| ends.iter().map(|end| folder.join(format!("{name}{end}"))).find(|path| runs(path)))
    }
}

#[cfg(unix)]
fn runs(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn runs(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    fn home(variables: &[(&str, &str)]) -> Home {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Home::of(Environment::of(owned, "/project"))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn variables_of_the_client_come_before_the_home_folder() {
        let codex = &find("codex").unwrap().settings[0];
        let path = |variables: &[(&str, &str)]| home(variables).settings(codex).unwrap();
        assert_eq!(path(&[("HOME", "/h")]), Path::new("/h/.codex/config.toml"));
        assert_eq!(path(&[("HOME", "/h"), ("CODEX_HOME", "/c")]), Path::new("/c/config.toml"));
        assert_eq!(path(&[("HOME", "/h"), ("CODEX_HOME", "c")]), Path::new("/project/c/config.toml"));
        assert!(home(&[]).settings(codex).unwrap_err().to_string().contains("HOME"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_file_that_is_there_counts() {
        let folder = tempfile::tempdir().unwrap();
        let opencode = &find("opencode").unwrap().settings[0];
        let home = home(&[("HOME", folder.path().to_str().unwrap())]);
        let config = folder.path().join(".config/opencode");
        assert_eq!(home.settings(opencode).unwrap(), config.join("opencode.json"));
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("opencode.jsonc"), "{}").unwrap();
        assert_eq!(home.settings(opencode).unwrap(), config.join("opencode.jsonc"));
    }
}
