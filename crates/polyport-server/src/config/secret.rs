//! Where secrets come from: a text, `env:NAME` or `file:PATH`.

use std::path::PathBuf;

use polyport_types::Secret;
pub(super) use polyport_types::secret::is_sample;

use super::env::Environment;

/// A longer file is no key.
const LONGEST_KEY_FILE: u64 = 64 << 10;

/// What a reference stands for.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) secret: Secret,
    /// Where it comes from; `None` if it stands in the configuration itself.
    pub(super) origin: Option<String>,
    /// The file it was read from, to be watched.
    pub(super) file: Option<PathBuf>,
}

/// Why there is nothing. No variant holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    #[error("the environment variable {0} is not set")]
    Variable(String),
    #[error("the file {path} cannot be read: {error}")]
    File { path: String, error: String },
    #[error("the key is empty")]
    Empty,
}

/// Follows a reference. The text itself is taken when it is none.
pub(super) fn find(text: &str, environment: &Environment) -> Result<Found, Missing> {
    let text = text.trim();
    let reference = |prefix: &str| {
        let (head, rest) = text.split_once(':')?;
        head.eq_ignore_ascii_case(prefix).then(|| rest.trim())
    };
    if let Some(name) = reference("env") {
        if name.is_empty() {
            return Err(Missing::Empty);
        }
        let value = environment.get(name).ok_or_else(|| Missing::Variable(name.to_owned()))?;
        let origin = Some(format!("env:{name}"));
        return Ok(Found { secret: Secret::new(value.to_owned()), origin, file: None });
    }
    if let Some(name) = reference("file") {
        let path = environment.folder.join(name);
        let failed = |error: String| Missing::File { path: name.to_owned(), error };
        let size = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?.len();
        if size > LONGEST_KEY_FILE {
            return Err(failed("it is too large for a key".to_owned()));
        }
        let value = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        if value.trim().is_empty() {
            return Err(Missing::Empty);
        }
        let origin = Some(format!("file:{name}"));
        return Ok(Found { secret: Secret::new(value.trim().to_owned()), origin, file: Some(path) });
    }
    if text.is_empty() {
        return Err(Missing::Empty);
    }
    Ok(Found { secret: Secret::new(text.to_owned()), origin: None, file: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::of([("KEY_A".to_owned(), "sk-a".to_owned()), ("EMPTY".to_owned(), " ".to_owned())], ".")
    }

    #[test]
    fn references_are_followed() {
        let found = find("env:KEY_A", &environment()).unwrap();
        assert_eq!((found.secret.expose(), found.origin.as_deref()), ("sk-a", Some("env:KEY_A")));
        assert_eq!(find("ENV:KEY_A", &environment()).unwrap().secret.expose(), "sk-a");
        assert_eq!(find(" sk-b ", &environment()).unwrap().secret.expose(), "sk-b");
        assert_eq!(find("env:EMPTY", &environment()).unwrap_err(), Missing::Variable("EMPTY".into()));
        assert_eq!(find("", &environment()).unwrap_err(), Missing::Empty);
        assert!(matches!(find("file:/nowhere", &environment()), Err(Missing::File { .. })));
    }

    #[test]
    fn files_are_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("k"), "sk-c\n").unwrap();
        let environment = Environment::of([], folder.path());
        let found = find("file:k", &environment).unwrap();
        assert_eq!(found.secret.expose(), "sk-c");
        assert_eq!(found.file.unwrap(), folder.path().join("k"));
    }

    #[test]
    fn samples_are_known() {
        for key in [
            "changeme",
            "change-me",
            "sk-xxxxxxxx",
            "sk-...",
            "<your key>",
            "YOUR_API_KEY",
            "your-key-here",
            "password",
            "sk-",
            "${KEY}",
        ] {
            assert!(is_sample(key), "{key}");
        }
        for key in ["sk-proj-4f8e1c", "pp-0123456789abcdef", "AIzaSyD3", "testing-the-gateway"] {
            assert!(!is_sample(key), "{key}");
        }
    }
}
