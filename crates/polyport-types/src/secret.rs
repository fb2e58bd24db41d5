//! A string that does not show itself.

use secrecy::{ExposeSecret, SecretString};

/// A key, token or password. `Debug` prints no content and there is no `Serialize`;
/// the text leaves only through [`Secret::expose`], where it becomes a header or a sealed row.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}
