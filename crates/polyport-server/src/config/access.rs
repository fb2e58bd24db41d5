//! Who may use the gateway.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use polyport_provider::Network;
use polyport_types::{Secret, Text};

use super::oidc::Oidc;

/// Client keys and whether they are needed, and keys of operators.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// No key is needed. Only on loopback.
    pub open: bool,
    /// That was said, and does not only follow from there being no key.
    pub open_was_chosen: bool,
    /// A key is needed, and none can be guessed.
    pub fit_for_networks: bool,
    /// Proxies that are believed where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// How long people stay signed in.
    pub sessions: Sessions,
    /// The password of the first admin (`ADMIN_PASSWORD`).
    pub first_password: Option<Secret>,
    /// Signing in elsewhere.
    pub oidc: Option<Arc<Oidc>>,
    keys: HashMap<KeyHash, Arc<ClientKey>>,
    admins: HashMap<KeyHash, Arc<ClientKey>>,
}

/// How long people stay signed in at the admin API, and how long what they did is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Without doing anything.
    pub idle: Duration,
    /// At the longest.
    pub longest: Duration,
    /// Entries of the audit log are kept this long.
    pub audit: Duration,
}

impl Default for Sessions {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { idle: DAY / 2, longest: DAY * 7, audit: DAY * 365 }
    }
}

/// A key of a client or an operator: its name, never its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey {
    /// Name for logs and metrics.
    pub name: Text,
}

/// Hash of a client key. Keys are long and random, so that one fast hash is enough, and looking one up by its hash tells nothing
/// about the others through time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes the text of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(*blake3::hash(key.as_bytes()).as_bytes())
    }

    /// Hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl Access {
    /// Access for anybody who can connect.
    #[must_use]
    pub fn open() -> Self {
        Self { open: true, open_was_chosen: true, ..Self::default() }
    }

    /// Adds a key.
    #[must_use]
    pub fn with_key(mut self, name: impl Into<Text>, hash: KeyHash) -> Self {
        self.keys.insert(hash, Arc::new(ClientKey { name: name.into() }));
        self
    }

    /// Adds a key of an operator.
    #[must_use]
    pub fn with_admin_key(mut self, name: impl Into<Text>, hash: KeyHash) -> Self {
        self.admins.insert(hash, Arc::new(ClientKey { name: name.into() }));
        self
    }

    /// The key an operator presents, if it is known. Keys of clients are none.
    #[must_use]
    pub fn find_admin(&self, presented: &str) -> Option<&Arc<ClientKey>> {
        self.admins.get(&KeyHash::of(presented))
    }

    /// Whether any key opens the admin API.
    #[must_use]
    pub fn has_admin_keys(&self) -> bool {
        !self.admins.is_empty()
    }

    /// The key a client presents, if it is known.
    #[must_use]
    pub fn find(&self, presented: &str) -> Option<&Arc<ClientKey>> {
        self.keys.get(&KeyHash::of(presented))
    }

    /// Whether clients have a key of this hash.
    #[must_use]
    pub(super) fn holds(&self, hash: KeyHash) -> bool {
        self.keys.contains_key(&hash)
    }

    /// Whether there is any key.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether everything belongs to one and the same caller.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.keys.len() + usize::from(self.open) <= 1
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<ClientKey>> {
        self.keys.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_their_text_and_never_shown() {
        let access = Access::default().with_key("ci", KeyHash::of("pp-0123456789abcdef"));
        assert_eq!(access.find("pp-0123456789abcdef").unwrap().name, "ci");
        assert!(access.find("pp-0123456789abcdeg").is_none());
        assert!(!format!("{access:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn s0_20_keys_of_clients_and_operators_open_different_doors() {
        let access = Access::default().with_key("ci", KeyHash::of("client")).with_admin_key("me", KeyHash::of("admin"));
        assert_eq!(access.find_admin("admin").unwrap().name, "me");
        assert!(access.find_admin("client").is_none() && access.find("admin").is_none());
    }
}
