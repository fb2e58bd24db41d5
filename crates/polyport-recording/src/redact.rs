//! What is taken out of an exchange before it is written.
//!
//! Headers and members of the query whose names speak of a credential, an account or an organization lose their values, and those
//! values are looked for in everything else, but for ordinary words. So are the secrets of the configuration. What looks like a key,
//! a token or an address of a person is also taken out of headers and of refusals, which repeat such things. What people and models
//! said otherwise stays.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use polyport_protocol::classify::mask;

use crate::format::{Body, Chunk, Exchange};
pub use crate::names::is_secret;
use crate::names::{PLACES, PLAIN_MEMBERS, is_credential, is_plain, is_word};

/// Stands where something was taken out.
pub const REDACTED: &str = "[redacted]";

/// The same in an address, where brackets may not stand.
pub(crate) const IN_ADDRESSES: &str = "%5Bredacted%5D";

/// What is shorter would be found in ordinary words.
const SHORTEST: usize = 8;

/// More secrets than this are not looked for: an operator's accounts, and the keys of all clients of a recording.
const MOST: usize = 100_000;

/// All of them together are no longer than this, in bytes.
const MOST_BYTES: usize = 8 << 20;

/// Removes secrets.
#[derive(Clone, Default)]
pub struct Redactor {
    /// All ways in which they may be written.
    secrets: BTreeSet<Vec<u8>>,
    /// The same, to look for all of them at once, in groups that shrink: one that comes late is not paid for with all others.
    finders: Vec<Finder>,
    bytes: usize,
    /// Members of the query that the operator sets.
    members: BTreeSet<String>,
}

#[derive(Clone)]
struct Finder {
    forms: Vec<Vec<u8>>,
    /// Always there: the library takes far more than is learned.
    automaton: Option<AhoCorasick>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl Redactor {
    /// Looks for this from now on, in all the ways in which bodies write it.
    pub fn learn(&mut self, secret: &str) {
        self.learn_all([secret]);
    }

    /// The same for many.
    pub fn learn_all<'a>(&mut self, secrets: impl IntoIterator<Item = &'a str>) {
        let mut new = Vec::new();
        for secret in secrets {
            let secret = secret.trim();
            let full = self.secrets.len() >= MOST || self.bytes + secret.len() > MOST_BYTES;
            if secret.len() < SHORTEST || secret == REDACTED || secret == IN_ADDRESSES || full {
                continue;
            }
            let json = serde_json::to_string(secret).unwrap_or_default();
            let json = json.trim_matches('"').to_owned();
            for form in [secret.to_owned(), json.clone(), json.replace('/', "\\/"), percent(secret)] {
                if self.secrets.insert(form.clone().into_bytes()) {
                    self.bytes += form.len();
                    new.push(form.into_bytes());
                }
            }
        }
        if new.is_empty() {
            return;
        }
        while self.finders.last().is_some_and(|last| last.forms.len() <= new.len()) {
            new.extend(self.finders.pop().into_iter().flat_map(|last| last.forms));
        }
        let automaton = AhoCorasick::new(&new).ok();
        self.finders.push(Finder { forms: new, automaton });
    }

    /// The values of the members of this query, which the operator set, are looked for, and hidden in every address.
    pub fn learn_query(&mut self, query: &str) {
        for (name, value) in query.split('&').filter_map(|member| member.split_once('=')) {
            if PLAIN_MEMBERS.contains(&name) {
                continue;
            }
            self.members.insert(name.to_owned());
            if is_credential(name) || !is_word(value) {
                self.learn_member(value);
            }
        }
    }

    /// The value of a header that the operator sets for every request.
    pub fn learn_header(&mut self, name: &str, value: &str) {
        if is_plain(name) || PLACES.contains(&name) {
            return;
        }
        if is_credential(name) {
            self.learn(value.rsplit(' ').next().unwrap_or_default());
        }
        if is_credential(name) || !is_word(value) {
            self.learn(value);
        }
    }

    /// As it stands in an address, and as it was before it was written there.
    fn learn_member(&mut self, value: &str) {
        let plain = value.replace('+', " ");
        let plain = percent_decode_str(&plain).decode_utf8_lossy();
        self.learn_all([value, &plain]);
    }

    /// The value of a header; what it had to hide is learned.
    pub fn header(&mut self, name: &str, value: &str, operator: bool) -> String {
        if PLACES.contains(&name) {
            return REDACTED.to_owned();
        }
        if name == "cookie" || name == "set-cookie" {
            self.learn_cookies(value, name == "set-cookie");
            return REDACTED.to_owned();
        }
        if is_secret(name) || (operator && !is_plain(name)) {
            self.learn_header(name, value);
            return REDACTED.to_owned();
        }
        value.to_owned()
    }

    /// The values of cookies. Behind the first of an answer stand attributes (`HttpOnly`), which are no secrets.
    fn learn_cookies(&mut self, header: &str, of_answer: bool) {
        let cookies = header.split(';').take(if of_answer { 1 } else { usize::MAX });
        let values =
            cookies.filter_map(|cookie| cookie.split_once('=')).map(|(_, value)| value.trim().trim_matches('"'));
        for value in values.filter(|value| !is_word(value)) {
            self.learn_member(value);
        }
    }

    /// Path and query, without the values of members that are secrets; what it had to hide is learned.
    pub fn target(&mut self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
        let members: Vec<String> = query
            .split('&')
            .map(|member| match member.split_once('=') {
                Some((name, value)) if !value.is_empty() && (is_secret(name) || self.members.contains(name)) => {
                    if is_credential(name) || !is_word(value) {
                        self.learn_member(value);
                    }
                    format!("{name}={REDACTED}")
                }
                _ => member.to_owned(),
            })
            .collect();
        format!("{path}?{}", members.join("&")).replace(REDACTED, IN_ADDRESSES)
    }

    /// An exchange without secrets, with its bodies: first it is learned which there are, then they are looked for everywhere.
    ///
    /// `of_operator` are the names of headers that the operator sets for the provider. Pieces of the answer's body come with their times.
    pub fn exchange(
        &mut self,
        exchange: &mut Exchange,
        of_operator: &[String],
        body: Option<&[u8]>,
        chunks: &[(u64, Bytes)],
    ) {
        for (name, value) in &mut exchange.headers {
            *value = self.header(name, value, of_operator.contains(name));
        }
        for (name, value) in exchange.answer.iter_mut().flat_map(|answer| &mut answer.headers) {
            *value = self.header(name, value, false);
        }
        exchange.target = self.target(&exchange.target);
        exchange.headers.iter_mut().for_each(|(_, value)| *value = self.value(value));
        exchange.target = self.address(&exchange.target);
        exchange.base = self.address(&exchange.base);
        exchange.body = body.map(|body| Body::new(self.bytes(body).as_deref().unwrap_or(body)));
        let Some(answer) = &mut exchange.answer else { return };
        answer.headers.iter_mut().for_each(|(_, value)| *value = self.value(value));
        let mut pieces: Vec<Bytes> = chunks.iter().map(|(_, bytes)| bytes.clone()).collect();
        self.pieces(&mut pieces);
        let times = chunks.iter().map(|(at, _)| *at);
        answer.chunks = times.zip(&pieces).map(|(at, bytes)| Chunk(at, Body::new(bytes))).collect();
        if answer.status >= 400 {
            // Refusals repeat keys, and whose they are.
            for chunk in &mut answer.chunks {
                if let Body::Text(text) = &mut chunk.1 {
                    *text = mask(text);
                }
            }
        }
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
            let first = found.partition_point(|(_, end)| *end <= from);
            for &(start, end) in found.iter().skip(first).take_while(|(start, _)| *start < to) {
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
        let automatons = self.finders.iter().filter_map(|finder| finder.automaton.as_ref());
        let mut found: Vec<(usize, usize)> = automatons
            .flat_map(|automaton| automaton.find_overlapping_iter(bytes))
            .map(|found| (found.start(), found.end()))
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

    #[test]
    fn d5_harmless_headers_take_nothing_from_bodies() {
        let mut redactor = Redactor::default();
        for (name, value) in [
            ("set-cookie", "session=violet-0a1b2c3d4e; Path=/somewhere; SameSite=Strict; HttpOnly"),
            ("cookie", "theme=midnight; session=\"orange-0a1b2c3d4e\""),
            ("x-user-role", "assistant"),
            ("x-auth-method", "password"),
            ("www-authenticate", "Bearer realm=everywhere"),
            ("authorization", "Bearer yellow-key-of-a-client"),
            ("x-api-key", "greenkey"),
        ] {
            assert_eq!(redactor.header(name, value, false), REDACTED, "{name}");
        }
        assert_eq!(
            redactor.target("/v1/x?user=somebody&key=indigokey"),
            "/v1/x?user=%5Bredacted%5D&key=%5Bredacted%5D"
        );
        let kept = "HttpOnly SameSite=Strict /somewhere midnight assistant password everywhere Bearer somebody";
        assert_eq!(redactor.text(kept), kept);
        let hidden = "violet-0a1b2c3d4e orange-0a1b2c3d4e yellow-key-of-a-client greenkey indigokey";
        assert_eq!(redactor.text(hidden), [REDACTED; 5].join(" "));
    }

    #[test]
    fn d5_what_the_operator_adds_to_addresses_is_hidden_whatever_its_name() {
        let mut redactor = Redactor::default();
        redactor.learn_query("code=violet%2F0a1b+2c3d&api-version=2026-01-01&mode=streaming");
        redactor.learn_header("x-extra", "orange-0a1b2c3d4e");
        redactor.learn_header("x-title", "editor");
        assert_eq!(
            redactor.target("/v1/x?code=violet%2F0a1b+2c3d&api-version=2026-01-01&mode=streaming&alt=sse"),
            "/v1/x?code=%5Bredacted%5D&api-version=2026-01-01&mode=%5Bredacted%5D&alt=sse"
        );
        let said =
            "violet/0a1b 2c3d violet%2F0a1b%202c3d violet%2F0a1b+2c3d orange-0a1b2c3d4e editor streaming 2026-01-01";
        assert_eq!(redactor.text(said), format!("{} editor streaming 2026-01-01", [REDACTED; 4].join(" ")));
    }

    #[test]
    fn many_secrets_are_found() {
        let mut redactor = Redactor::default();
        let secret = |number: usize| format!("violet-{number}/0a1b");
        for number in 0..300 {
            redactor.learn(&secret(number));
        }
        let many: Vec<String> = (300..20_000).map(secret).collect();
        redactor.learn_all(many.iter().map(String::as_str));
        assert!(redactor.finders.len() < 12, "{}", redactor.finders.len());
        for number in [0, 1, 150, 299, 300, 15_000] {
            assert_eq!(redactor.text(&format!("a {} b", secret(number))), "a [redacted] b");
        }
        assert!(!format!("{redactor:?}").contains("violet"));
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
