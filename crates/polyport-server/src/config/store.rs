//! Where the database is, and the key of what is sealed in it.

use polyport_store::log::Log;
use polyport_store::{KeyError, MasterKey, OpenError, Store, Timeouts, Turn};
use polyport_types::Secret;

use super::Config;
use super::check::{Context, steps};
use super::env::Environment;
use super::file::File;
use super::problem::{Place, Problem};

/// Where the master key may come from; the first that is set counts.
const KEYS: [&str; 2] = ["POLYPORT_MASTER_KEY", "WARP_TOKEN_ENCRYPTION_KEY"];

/// The database of what outlives a restart.
#[derive(Clone, Debug, Default)]
pub struct StoreSettings {
    /// Its address; `None` for a file in the data folder.
    pub url: Option<Secret>,
    /// The key of what is sealed; `None` for the one in the data folder.
    pub key: Option<MasterKey>,
}

impl Config {
    /// The database's address. It may hold a password.
    #[must_use]
    pub fn store_url(&self) -> Secret {
        self.store.url.clone().unwrap_or_else(|| Secret::new(polyport_store::default_url(&self.data)))
    }

    /// Opens the request log: a file of its own beside the database, or the same server.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub async fn open_log(&self, turn: Turn) -> Result<Log, OpenError> {
        Log::open_in_turn(&self.log_url(), Timeouts::default(), turn).await
    }

    /// The address of the request log. It may hold a password.
    #[must_use]
    pub fn log_url(&self) -> String {
        polyport_store::log_url(self.store_url().expose(), &self.data)
    }

    /// Opens the database, and makes it where there is none.
    ///
    /// # Errors
    /// Why it cannot be used, for people. Nothing of it was changed then.
    pub async fn open_store(&self) -> Result<Store, OpenError> {
        self.open_store_in_turn(Turn::First).await
    }

    /// The same for a process that may take the place of another.
    ///
    /// # Errors
    /// The same.
    pub async fn open_store_in_turn(&self, turn: Turn) -> Result<Store, OpenError> {
        Store::open_in_turn(self.store_url().expose(), &self.data, self.store.key.clone(), turn).await
    }
}

/// The master key in this variable, or in the file that the variable with `_FILE` at its end names, unless they are empty.
///
/// # Errors
/// [`KeyError`] if it is something else, or the file cannot be read.
pub fn master_key(environment: &Environment, variable: &str) -> Result<Option<MasterKey>, KeyError> {
    if let Some(text) = environment.get(variable) {
        return MasterKey::parse(text).map(Some);
    }
    let Some(path) = environment.get(&format!("{variable}_FILE")) else { return Ok(None) };
    let path = environment.folder.join(path);
    let text = std::fs::read_to_string(&path).map_err(|reason| KeyError::Io { path: path.clone(), reason })?;
    MasterKey::parse(text.trim()).map(Some).map_err(|reason| KeyError::File { path, reason: Box::new(reason) })
}

pub(super) fn settings(file: &File, environment: &Environment, context: &mut Context<'_>) -> StoreSettings {
    let at = steps!["store", "url"];
    let url = match file.store.url.as_deref().map(|text| context.secret(text)) {
        None => None,
        Some(Err(missing)) => {
            context.error(&at, missing.to_string(), "give the address, `env:NAME` or `file:PATH`");
            None
        }
        Some(Ok(found)) => {
            if let Err(error) = polyport_store::check_url(found.secret.expose()) {
                context.error(&at, error.to_string(), "leave `store` out for a file in the data folder");
            }
            Some(found.secret)
        }
    };
    let mut key = None;
    for name in KEYS {
        let place = || Place::Env(name.to_owned());
        if environment.is_blank(name) {
            let problem = Problem::warning(place(), "it is empty, which counts as not set");
            context.problems.push(problem.remedy("put the master key there, or remove the variable"));
        }
        if key.is_some() {
            continue;
        }
        match master_key(environment, name) {
            Ok(found) => key = found,
            Err(error) => context.problems.push(Problem::error(place(), error.to_string())),
        }
    }
    StoreSettings { url, key }
}

#[cfg(test)]
mod tests {
    use super::super::{Purpose, Source};
    use super::*;

    fn source(variables: &[(&str, &str)]) -> Source {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Source { environment: Environment::of(variables, "."), ..Source::default() }
    }

    fn problems(variables: &[(&str, &str)], text: &str) -> Result<(StoreSettings, String), String> {
        let loaded = source(variables).load_text(text, &[], Purpose::Inspect);
        let loaded = loaded.map_err(|problems| problems.to_string())?;
        Ok((loaded.config.store, loaded.warnings.to_string()))
    }

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    const OTHER: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    #[test]
    fn u26_the_master_key_is_the_first_that_is_set() {
        let id = |text: &str| Some(MasterKey::parse(text).unwrap().id());
        let key =
            |variables: &[(&str, &str)]| problems(variables, "discover: false").unwrap().0.key.map(|key| key.id());
        assert_eq!(key(&[]), None);
        assert_eq!(key(&[("POLYPORT_MASTER_KEY", KEY), ("WARP_TOKEN_ENCRYPTION_KEY", OTHER)]), id(KEY));
        assert_eq!(key(&[("POLYPORT_MASTER_KEY", " "), ("WARP_TOKEN_ENCRYPTION_KEY", OTHER)]), id(OTHER));
        let (_, told) = problems(&[("POLYPORT_MASTER_KEY", "")], "discover: false").unwrap();
        assert!(told.contains("POLYPORT_MASTER_KEY: warning: it is empty, which counts as not set"), "{told}");
    }

    #[test]
    fn u26_the_master_key_may_be_in_a_file_that_a_variable_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let name = path.to_str().unwrap();
        let key = || problems(&[("POLYPORT_MASTER_KEY_FILE", name)], "discover: false");
        let told = key().unwrap_err();
        assert!(told.contains("POLYPORT_MASTER_KEY: error") && told.contains(name), "{told}");
        std::fs::write(&path, format!("{KEY}\n")).unwrap();
        assert_eq!(key().unwrap().0.key.unwrap().id(), MasterKey::parse(KEY).unwrap().id());
        std::fs::write(&path, "hunter2").unwrap();
        let told = key().unwrap_err();
        assert!(told.contains("32 random bytes") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn u26_a_malformed_master_key_is_refused_and_not_shown() {
        let told = problems(&[("POLYPORT_MASTER_KEY", "hunter2-hunter2")], "discover: false").unwrap_err();
        assert!(told.contains("POLYPORT_MASTER_KEY: error: the master key must be 32 random bytes"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn an_address_of_something_else_is_refused_at_its_line() {
        let told = problems(&[], "store: { url: \"mysql://root:hunter2@db/x\" }").unwrap_err();
        assert!(told.contains("`mysql` is no database that is known") && !told.contains("hunter2"), "{told}");
        let (settings, _) = problems(&[("DB", "postgres://u:hunter2@h/n")], "store: { url: \"env:DB\" }").unwrap();
        assert_eq!(settings.url.as_ref().unwrap().expose(), "postgres://u:hunter2@h/n");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
