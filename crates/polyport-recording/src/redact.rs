//! What is taken out of an exchange before it is written.
//!
//! Headers and members of the query whose names speak of a credential, an account or an organization lose their values, and those
//! values are looked for in everything else. So are the secrets of the configuration. What looks like a key, a token or an address of
//! a person is also taken out of headers and of refusals, which repeat such things. What people and models said otherwise stays.

use std::collections::BTreeSet;

use bytes::Bytes;
use memchr::memmem;
use polyport_protocol::classify::mask;

/// Stands where something was taken out.
pub const REDACTED: &str = "[redacted]";

/// The same in an address, where brackets may not stand.
const IN_ADDRESSES: &str = "%5Bredacted%5D";

/// What is shorter would be found in ordinary words.
const SHORTEST: usize = 8;

/// More secrets than this are not looked for: an operator's accounts, and the keys of all clients of a recording.
const MOST: usize = 100_000;

/// Words in names of headers and of members of the query whose values are not recorded.
const WORDS: [&str; 28] = [
    "account",
    "apikey",
    "auth",
    "authorization",
    "authenticate",
    "authentication",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "email",
    "jwt",
    "key",
    "keys",
    "org",
    "organization",
    "password",
    "proj",
    "project",
    "secret",
    "sid",
    "sig",
    "signature",
    "ssn",
    "tenant",
    "token",
    "user",
    "username",
];

/// Names that hold such a word and are harmless, or necessary.
const HARMLESS: [&str; 3] = ["idempotency-key", "sec-websocket-key", "user-agent"];

/// Headers that tell who is where. What they say is taken out here, and not looked for elsewhere: it may be `localhost`.
const PLACES: [&str; 9] = [
    "cf-connecting-ip",
    "fly-client-ip",
    "forwarded",
    "host",
    "true-client-ip",
    "x-client-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

/// Removes secrets.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// All ways in which they may be written.
    secrets: BTreeSet<Secret>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Redactor {
    /// Looks for this from now on, in all the ways in which bodies write it.
    pub fn learn(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() < SHORTEST || secret == REDACTED || self.secrets.len() >= MOST {
            return;
        }
        let json = serde_json::to_string(secret).unwrap_or_default();
        let json = json.trim_matches('"').to_owned();
        for form in [secret.to_owned(), json.clone(), json.replace('/', "\\/"), percent(secret)] {
            self.secrets.insert(Secret(form.into_bytes()));
        }
    }

    /// The value of a header; what it had to hide is learned.
    pub fn header(&mut self, name: &str, value: &str, operator: bool) -> String {
        if PLACES.contains(&name) {
            return REDACTED.to_owned();
        }
        if is_secret(name) || (operator && !is_plain(name)) {
            // The scheme (`Bearer`) is no secret.
            self.learn(value.rsplit(' ').next().unwrap_or_default());
            self.learn(value);
            return REDACTED.to_owned();
        }
        value.to_owned()
    }

    /// Path and query, without the values of members that are secrets; what it had to hide is learned.
    pub fn target(&mut self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
        let members: Vec<String> = query
            .split('&')
            .map(|member| match member.split_once('=') {
                Some((name, value)) if is_secret(name) && !value.is_empty() => {
                    self.learn(value);
                    format!("{name}={REDACTED}")
                }
                _ => member.to_owned(),
            })
            .collect();
        format!("{path}?{}", members.join("&")).replace(REDACTED, IN_ADDRESSES)
    }

    /// A text without the secrets that are known.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        match self.bytes(text.as_bytes()) {
            Some(clean) => String::from_utf8_lossy(&clean).into_owned(),
            None => text.to_owned(),
        }
    }

    /// The same for an address, which stays one.
    #[must_use]
    pub fn address(&self, address: &str) -> String {
        self.text(address).replace(REDACTED, IN_ADDRESSES)
    }

    /// The same for the value of a header, which holds nothing either that looks like a secret.
    #[must_use]
    pub fn value(&self, text: &str) -> String {
        mask(&self.text(text))
    }

    /// The bytes without the secrets that are known; `None` where there are none.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let found = self.find(bytes);
        if found.is_empty() {
            return None;
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for (start, end) in found {
            clean.extend_from_slice(bytes.get(from..start).unwrap_or_default());
            clean.extend_from_slice(REDACTED.as_bytes());
            from = end;
        }
        clean.extend_from_slice(bytes.get(from..).unwrap_or_default());
        Some(clean)
    }

    /// The same for bytes that came in pieces: a secret may be spread over several. Pieces stay where they are.
    pub fn pieces(&self, pieces: &mut [Bytes]) {
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let found = self.find(&all);
        if found.is_empty() {
            return;
        }
        let mut from = 0;
        for piece in pieces {
            let to = from + piece.len();
            let mut clean = Vec::with_capacity(piece.len());
            let mut at = from;
            for &(start, end) in found.iter().filter(|(start, end)| *start < to && *end > from) {
                clean.extend_from_slice(all.get(at..start.max(at)).unwrap_or_default());
                if start >= from {
                    clean.extend_from_slice(REDACTED.as_bytes());
                }
                at = end.min(to);
            }
            clean.extend_from_slice(all.get(at..to).unwrap_or_default());
            *piece = clean.into();
            from = to;
        }
    }

    /// Where secrets stand, in order, none inside another.
    fn find(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = self
            .secrets
            .iter()
            .flat_map(|secret| memmem::find_iter(bytes, &secret.0).map(|start| (start, start + secret.0.len())))
            .collect();
        found.sort_unstable();
        let mut joined: Vec<(usize, usize)> = Vec::with_capacity(found.len());
        for (start, end) in found {
            match joined.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        joined
    }
}

/// Whether the value that goes by this name is none to be recorded.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `x-ratelimit-limit-tokens` counts tokens, and `anthropic-organization-id` does not.
    if HARMLESS.contains(&name.as_str()) || name.contains("ratelimit") {
        return false;
    }
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        WORDS.contains(&word) || ["apikey", "token", "secret", "password"].iter().any(|end| word.ends_with(end))
    })
}

/// Headers that an operator may set and that say nothing about the operator.
fn is_plain(name: &str) -> bool {
    ["accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta", "user-agent"].contains(&name)
}

/// As in a query.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "canary/0a1b2c3d+4e5f";

    #[test]
    fn d5_names_tell_what_is_secret() {
        for name in [
            "authorization",
            "x-api-key",
            "x-goog-api-key",
            "api-key",
            "cookie",
            "set-cookie",
            "key",
            "access_token",
            "openai-organization",
            "OpenAI-Project",
            "chatgpt-account-id",
            "x-goog-user-project",
            "x-amz-security-token",
            "X-Amz-Signature",
            "x-internal-token",
            "anthropic-organization-id",
            "x-auth-token",
            "x-user-email",
            "proxy-authorization",
            "x-goog-authenticated-user-email",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "content-type",
            "x-ratelimit-remaining-tokens",
            "anthropic-ratelimit-tokens-limit",
            "user-agent",
            "x-request-id",
            "alt",
            "max_tokens",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn d5_what_is_hidden_once_is_hidden_everywhere() {
        let mut redactor = Redactor::default();
        assert_eq!(redactor.header("authorization", &format!("Bearer {SECRET}"), false), REDACTED);
        assert_eq!(redactor.header("x-forwarded-for", "192.0.2.7, 10.0.0.1", false), REDACTED);
        assert_eq!(redactor.text("at 192.0.2.7, 10.0.0.1"), "at 192.0.2.7, 10.0.0.1");
        assert_eq!(redactor.header("accept", "application/json", true), "application/json");
        assert_eq!(redactor.header("x-extra", "canary-of-operator", true), REDACTED);
        assert_eq!(redactor.target("/v1/x?alt=sse&key=canary-in-query&b"), "/v1/x?alt=sse&key=%5Bredacted%5D&b");
        let said =
            format!("{SECRET} canary-of-operator canary-in-query canary\\/0a1b2c3d+4e5f canary%2F0a1b2c3d%2B4e5f");
        assert_eq!(redactor.text(&said), [REDACTED; 5].join(" "));
        assert_eq!(redactor.address("/v1/canary-in-query/x"), "/v1/%5Bredacted%5D/x");
        assert_eq!(redactor.value("of somebody@example.com"), "of [redacted]");
    }

    proptest! {
        #[test]
        fn d5_a_secret_in_pieces_is_found(cuts in proptest::collection::vec(0_usize..60, 0..12)) {
            let mut redactor = Redactor::default();
            redactor.learn(SECRET);
            let text = format!("before {SECRET} between {SECRET}{SECRET} after");
            let mut cuts = cuts;
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut pieces: Vec<Bytes> =
                cuts.windows(2).map(|pair| Bytes::copy_from_slice(&text.as_bytes()[pair[0]..pair[1]])).collect();
            let number = pieces.len();
            redactor.pieces(&mut pieces);
            prop_assert_eq!(pieces.len(), number);
            let all = String::from_utf8(pieces.concat()).unwrap();
            prop_assert!(!all.contains("canary"), "{}", all);
            prop_assert!(all.starts_with("before [redacted] between [redacted]") && all.ends_with(" after"), "{}", all);
        }
    }
}
