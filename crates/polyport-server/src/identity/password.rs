//! Passwords: which are good enough, and their hashes. Hashing costs memory and time on purpose, so only a few run at once.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use polyport_types::Secret;
use tokio::sync::Semaphore;

use crate::tasks;

/// Shortest password, in characters.
const SHORTEST: usize = 10;

/// Longest password, in bytes.
pub(crate) const LONGEST: usize = 256;

/// Hashes that are worked out at once; each takes 19 MiB.
const AT_ONCE: usize = 2;

/// Whoever waits longer for their turn comes back later.
const PATIENCE: Duration = Duration::from_secs(10);

/// Words that passwords begin with which others try first.
const USUAL: [&str; 18] = [
    "password",
    "passw0rd",
    "admin",
    "administrator",
    "root",
    "changeme",
    "letmein",
    "welcome",
    "qwerty",
    "secret",
    "default",
    "polyport",
    "1234567890",
    "0123456789",
    "abcdefghij",
    "iloveyou",
    "test",
    "user",
];

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too few characters.
    #[error("is shorter than 10 characters")]
    Short,
    /// Too many bytes.
    #[error("is longer than 256 bytes")]
    Long,
    /// Others try it first.
    #[error("is one that others try first")]
    Usual,
    /// The user's name.
    #[error("holds little more than the name of the user")]
    Name,
}

/// Whether a text may be the password of this user.
///
/// # Errors
/// What is wrong with it.
pub fn is_fit(password: &str, name: &str) -> Result<(), Unfit> {
    if password.len() > LONGEST {
        return Err(Unfit::Long);
    }
    let lower = password.to_lowercase();
    // Figures and signs behind a word are what everybody puts there.
    let word = lower.trim_matches(|c: char| !c.is_alphabetic());
    let few = || lower.chars().collect::<std::collections::HashSet<_>>().len() < 5;
    if USUAL.contains(&lower.as_str()) || USUAL.contains(&word) || few() {
        return Err(Unfit::Usual);
    }
    if password.chars().count() < SHORTEST {
        return Err(Unfit::Short);
    }
    if !name.is_empty() && word == name.to_lowercase().trim_matches(|c: char| !c.is_alphabetic()) {
        return Err(Unfit::Name);
    }
    Ok(())
}

/// A password that nobody guesses.
#[must_use]
pub fn make() -> String {
    letters(20)
}

/// Random letters and figures that are not mistaken for one another: five bits each.
pub(super) fn letters(number: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let letter = |byte: u8| ALPHABET.get(usize::from(byte) % ALPHABET.len()).copied().unwrap_or(b'a');
    (0..number).map(|_| char::from(letter(rand::random()))).collect()
}

/// The Argon2id hash of a password, with its parameters and a random salt. Takes a while.
#[must_use]
pub fn hash(password: &str) -> String {
    // It fails for lengths only that do not occur; what is no hash is the password of nobody.
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).unwrap_or_default()
}

/// Whether this is the hash of a password.
fn verify(hash: &str, password: &str) -> bool {
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

/// Too many passwords are looked at already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// A bound on the hashing that happens at once.
#[derive(Debug)]
pub(crate) struct Hashing(Arc<Semaphore>);

impl Default for Hashing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Hashing {
    /// Whether a password is the one of this hash. Without a hash it takes as long and is not.
    pub(crate) async fn check(&self, password: Secret, hash: Option<String>) -> Result<bool, Busy> {
        static NOBODYS: LazyLock<String> = LazyLock::new(|| self::hash(&make()));
        self.run(move || match hash {
            Some(hash) => verify(&hash, password.expose()),
            None => {
                // It is no password of anybody, whatever comes out.
                verify(&NOBODYS, password.expose());
                false
            }
        })
        .await
    }

    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, Busy> {
        self.run(move || hash(password.expose())).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Busy) };
        // The turn ends with the work, not with whoever waits for it.
        tasks::off_worker(move || {
            let _turn = turn;
            work()
        })
        .await
        .ok_or(Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_20_well_known_passwords_are_known() {
        for (text, unfit) in [
            ("admin123", Unfit::Usual),
            ("Admin12345!", Unfit::Usual),
            ("password2024", Unfit::Usual),
            ("changeme!!!!!", Unfit::Usual),
            ("1234567890", Unfit::Usual),
            ("aaaaaaaaaaaaaa", Unfit::Usual),
            ("short-one", Unfit::Short),
            ("Ada1234567", Unfit::Name),
        ] {
            assert_eq!(is_fit(text, "ada"), Err(unfit), "{text}");
        }
        assert_eq!(is_fit(&"long enough ".repeat(30), "ada"), Err(Unfit::Long));
        for text in ["correct horse battery", "tr0ub4dor&3", "ünïcødé-pässwörd", &make()] {
            assert_eq!(is_fit(text, "ada"), Ok(()), "{text}");
        }
    }

    #[test]
    fn a9_hashes_are_argon2id_salted_and_checked() {
        let (one, two) = (hash("correct horse"), hash("correct horse"));
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && one != two);
        assert!(verify(&one, "correct horse") && !verify(&one, "correct horsf"));
        assert!(!verify("", "") && !verify("x", "x"));
    }

    #[tokio::test]
    async fn a9_only_a_few_are_worked_out_at_once() {
        let hashing = Hashing::default();
        let held = Arc::clone(&hashing.0).acquire_many_owned(2).await.unwrap();
        let mut waiting = Box::pin(hashing.check(Secret::new("x".to_owned()), None));
        assert!(futures_util::FutureExt::now_or_never(&mut waiting).is_none());
        drop(held);
        assert_eq!(waiting.await, Ok(false));
    }
}
