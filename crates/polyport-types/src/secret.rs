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

    /// What may be shown of it, so that people can tell it from others.
    #[must_use]
    pub fn masked(&self) -> String {
        mask(self.expose())
    }
}

/// What may be shown of a secret: the ends of a long one, nothing of a short one.
#[must_use]
pub fn mask(secret: &str) -> String {
    const LONG: usize = 20;
    let count = secret.chars().count();
    if count < LONG {
        return "…".to_owned();
    }
    let head = secret.chars().take(3);
    head.chain(['…']).chain(secret.chars().skip(count - 4)).collect()
}

/// Whether a key is one of those that examples are written with.
#[must_use]
pub fn is_sample(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    let words: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    const WHOLE: [&str; 14] = [
        "secret", "password", "changeme", "changeit", "key", "apikey", "token", "test", "admin", "example", "sample",
        "none", "null", "todo",
    ];
    const PARTS: [&str; 7] = ["yourkey", "yourapikey", "yourtoken", "youropenai", "changeme", "replaceme", "insertkey"];
    // Of the example configuration, where they look like real ones.
    const EXAMPLES: [&str; 2] = ["pp3f1c8a52d94be07716aa", "pp8d02c6e1f7a94b35c2de"];
    let mut letters: Vec<char> = words.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    let tail = words.trim_start_matches("sk").trim_start_matches("pp");
    WHOLE.contains(&words.as_str())
        || PARTS.iter().any(|part| words.contains(part))
        || EXAMPLES.contains(&words.as_str())
        || (words.len() >= 16 && letters.len() < 5)
        || tail.is_empty()
        || tail.chars().all(|c| c == 'x')
        || key.contains("...")
        || key.starts_with('<')
        || key.starts_with("${")
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_of_long_secrets_are_shown() {
        assert_eq!(mask("sk-proj-0123456789abcdef"), "sk-…cdef");
        assert_eq!(Secret::new("0123456789abcdefghi".to_owned()).masked(), "…");
        assert_eq!(mask(""), "…");
        assert_eq!(mask(&"é".repeat(20)), "ééé…éééé");
    }
}
