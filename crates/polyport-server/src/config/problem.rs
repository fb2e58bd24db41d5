//! What is wrong with a configuration, where, and how to mend it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use polyport_types::Text;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// The file as it was named.
        path: Arc<Path>,
        /// From 1.
        line: u64,
        /// From 1, in characters.
        column: u64,
    },
    /// In a profile.
    Profile(Arc<str>),
    /// In an environment variable.
    Env(String),
    /// In the database.
    Database(Arc<InDatabase>),
    /// In an argument of the command line.
    Argument(String),
    /// Nowhere: a built-in value.
    Default,
}

/// Something that the database declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDatabase {
    /// What it is: `provider`, `credential`, `pool`, `route`.
    pub kind: &'static str,
    /// Its name.
    pub name: Text,
    /// Its id.
    pub id: Text,
}

impl Place {
    pub(super) fn file(path: &Arc<Path>, line: u64, column: u64) -> Self {
        Self::File { path: Arc::clone(path), line: line.max(1), column: column.max(1) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Database(one) => write!(f, "database, {} `{}` ({})", one.kind, one.name, one.id),
            Self::Argument(name) => write!(f, "argument {name}"),
            Self::Default => f.write_str("built in"),
        }
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The configuration is refused.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

/// One thing that is wrong. Holds no value of the configuration that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub weight: Weight,
    /// Where.
    pub place: Place,
    /// The key, e.g. `providers.openai.base_url`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do; empty when the message says it.
    pub remedy: String,
}

impl Problem {
    /// A problem that refuses the configuration.
    #[must_use]
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self { weight: Weight::Error, place, path: String::new(), message: message.into(), remedy: String::new() }
    }

    /// A problem that does not.
    #[must_use]
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { weight: Weight::Warning, ..Self::error(place, message) }
    }

    /// Names the key.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        write!(f, "{}: {weight}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether the configuration is refused.
    #[must_use]
    pub fn fatal(&self) -> bool {
        self.0.iter().any(|problem| problem.weight == Weight::Error)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
