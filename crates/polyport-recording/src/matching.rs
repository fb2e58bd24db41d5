//! Which recorded answer belongs to a request.
//!
//! A request gets the answer of one that is the same: provider, method, address, and body, whatever the order of its members. The
//! same one asked again gets the next of these answers. Failing that, it gets one of a request to the same address for the same
//! model, in the order of the recording.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::compare;
use crate::format::{Body, Exchange, Side};
use crate::read::Recording;
use crate::redact;

/// The recorded exchanges with providers, as they are asked for.
#[derive(Debug)]
pub struct Shelf {
    entries: Vec<Entry>,
    exact: HashMap<Key, Vec<usize>>,
    loose: HashMap<String, Vec<usize>>,
    hidden: Hidden,
    /// How often each was given.
    given: Mutex<Vec<u64>>,
}

type Key = [u8; 32];

/// A recorded exchange with a provider.
#[derive(Debug)]
pub struct Entry {
    /// The line of the recording.
    pub line: usize,
    /// What was recorded.
    pub exchange: Arc<Exchange>,
    loose: String,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The provider it is meant for.
    pub provider: &'a str,
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Nothing was recorded that answers a request.
#[derive(Clone, Debug)]
pub struct Miss(pub String);

impl Shelf {
    /// The exchanges with providers of a recording.
    #[must_use]
    pub fn new(recording: &Recording) -> Self {
        let mut shelf = Self {
            entries: Vec::new(),
            exact: HashMap::new(),
            loose: HashMap::new(),
            hidden: Hidden::of(recording),
            given: Mutex::default(),
        };
        let providers = recording.exchanges.iter().filter(|(_, exchange)| exchange.side == Side::Provider);
        for (line, exchange) in providers {
            let body = exchange.body.as_ref().map(Body::borrowed).unwrap_or_default();
            let (provider, method, target) = (&exchange.provider, &exchange.method, &exchange.target);
            let keys = Asked { provider, method, target, body: &body }.keys(&shelf.hidden);
            let index = shelf.entries.len();
            shelf.exact.entry(keys.exact).or_default().push(index);
            shelf.loose.entry(keys.loose.clone()).or_default().push(index);
            shelf.entries.push(Entry { line: *line, loose: keys.loose, exchange: Arc::clone(exchange) });
        }
        *shelf.given.lock() = vec![0; shelf.entries.len()];
        shelf
    }

    /// All of them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The answer to a request, and whether the request is one that was recorded. `strict` wants no other.
    ///
    /// # Errors
    /// [`Miss`] names the nearest that was recorded.
    pub fn find(&self, asked: Asked<'_>, strict: bool) -> Result<(&Entry, bool), Miss> {
        let keys = asked.keys(&self.hidden);
        let exact = self.exact.get(&keys.exact);
        let loose = if strict { None } else { self.loose.get(&keys.loose) };
        let found = exact.or(loose).and_then(|indices| self.take(indices));
        found.map(|entry| (entry, exact.is_some())).ok_or_else(|| Miss(self.nearest(asked, &keys)))
    }

    /// The first of those that were given least.
    fn take(&self, indices: &[usize]) -> Option<&Entry> {
        let mut given = self.given.lock();
        let index = *indices.iter().min_by_key(|index| given.get(**index).copied().unwrap_or(u64::MAX))?;
        if let Some(times) = given.get_mut(index) {
            *times += 1;
        }
        self.entries.get(index)
    }

    /// What is missing, and what comes nearest.
    fn nearest(&self, asked: Asked<'_>, keys: &Keys) -> String {
        let mut words = format!(
            "the recording has no answer for {} {} of provider `{}`",
            asked.method,
            path(asked.target),
            asked.provider
        );
        let Keys { loose, model, .. } = keys;
        if !model.is_empty() {
            write!(words, " (model `{model}`)").ok();
        }
        let score = |entry: &&Entry| {
            let exchange = &entry.exchange;
            (
                entry.loose == *loose,
                exchange.provider == asked.provider,
                path(&exchange.target) == path(asked.target),
                exchange.method == asked.method,
            )
        };
        // The first of the best.
        match self.entries.iter().rev().max_by_key(score) {
            None => words.push_str(": it holds no exchanges with providers"),
            Some(entry) => {
                let Entry { line, exchange, .. } = entry;
                write!(
                    words,
                    "; nearest is line {line}, {} {} of provider `{}`",
                    exchange.method,
                    path(&exchange.target),
                    exchange.provider
                )
                .ok();
                let body = json(&exchange.body.as_ref().map(Body::borrowed).unwrap_or_default()).unwrap_or_default();
                let differs = compare::values(&body, &json(asked.body).unwrap_or_default());
                let differs: Vec<String> = differs.into_iter().take(3).map(|one| one.at).collect();
                if entry.loose == *loose && !differs.is_empty() {
                    write!(words, ", whose body differs at {}", differs.join(", ")).ok();
                } else if !entry.exchange.model.is_empty() && entry.exchange.model != *model {
                    write!(words, " for model `{}`", entry.exchange.model).ok();
                }
            }
        }
        words
    }
}

/// What requests are found by.
struct Keys {
    exact: Key,
    loose: String,
    /// The model that the body or the path names.
    model: String,
}

impl Asked<'_> {
    fn keys(&self, hidden: &Hidden) -> Keys {
        let json = json(self.body);
        let named = json.as_ref().and_then(|body| body.get("model")?.as_str()).map(str::to_owned);
        let in_path = || {
            let (_, rest) = path(self.target).split_once("/models/")?;
            Some(rest.split([':', '/']).next().unwrap_or_default().to_owned())
        };
        let model = named.or_else(in_path).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        for part in [self.provider.as_bytes(), self.method.as_bytes(), hidden.address(self.target).as_bytes()] {
            hasher.update(part).update(b"\n");
        }
        match json {
            Some(mut body) => {
                body.sort_all_objects();
                hasher.update(body.to_string().as_bytes());
            }
            None => drop(hasher.update(self.body)),
        }
        let loose = [self.provider, self.method, path(self.target), &model].join("\n");
        Keys { exact: *hasher.finalize().as_bytes(), loose, model }
    }
}

fn json(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// The members of queries whose values a recording does not have: those that are secrets by their names, and those that an operator set.
#[derive(Clone, Debug)]
pub struct Hidden(BTreeSet<String>);

impl Hidden {
    /// Those of a recording.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        let queries = recording.exchanges.iter().filter_map(|(_, exchange)| exchange.target.split_once('?'));
        let members = queries.flat_map(|(_, query)| query.split('&')).filter_map(|member| member.split_once('='));
        Self(members.filter(|(_, value)| *value == redact::IN_ADDRESSES).map(|(name, _)| name.to_owned()).collect())
    }

    /// Path and query without them.
    #[must_use]
    pub fn address(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
        let hidden = |name: &str| redact::is_secret(name) || self.0.contains(name);
        let shown = |member: &&str| !member.split_once('=').is_some_and(|(name, _)| hidden(name));
        let members: Vec<&str> = query.split('&').filter(shown).collect();
        if members.is_empty() { path.to_owned() } else { format!("{path}?{}", members.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use polyport_types::Protocol;

    use super::*;
    use crate::format::{End, Head};

    fn exchange(target: &str, body: &str) -> Exchange {
        Exchange {
            side: Side::Provider,
            id: None,
            at: 0,
            protocol: Protocol::Chat,
            provider: "a".to_owned(),
            adapter: None,
            profile: String::new(),
            base: "/v1".to_owned(),
            model: "m".to_owned(),
            method: "POST".to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Some(Body::Text(body.to_owned())),
            answer: None,
            end: End::Reset,
            ended: 0,
        }
    }

    fn shelf(exchanges: &[Exchange]) -> Shelf {
        let head = Head { polyport_recording: 1, made_by: String::new(), at: 0 };
        let exchanges = exchanges.iter().cloned().enumerate().map(|(index, one)| (index + 2, Arc::new(one))).collect();
        Shelf::new(&Recording { head, exchanges, totals: None })
    }

    fn ask<'a>(target: &'a str, body: &'a str) -> Asked<'a> {
        Asked { provider: "a", method: "POST", target, body: body.as_bytes() }
    }

    #[test]
    fn the_same_request_gets_its_answers_in_order() {
        let shelf = shelf(&[
            exchange("/v1/x?key=%5Bredacted%5D", r#"{"model":"m","n":1}"#),
            exchange("/v1/x?key=%5Bredacted%5D", r#"{"n":1,"model":"m"}"#),
            exchange("/v1/x?key=%5Bredacted%5D", r#"{"n":2,"model":"m"}"#),
        ]);
        let line =
            |body: &str, strict| shelf.find(ask("/v1/x?key=k", body), strict).map(|(entry, exact)| (entry.line, exact));
        let one = r#"{ "model": "m", "n": 1 }"#;
        assert_eq!(
            (line(one, true).unwrap(), line(one, true).unwrap(), line(one, true).unwrap()),
            ((2, true), (3, true), (2, true))
        );
        assert_eq!(line(r#"{"model":"m","n":3}"#, false).unwrap(), (4, false));
        let words = line(r#"{"model":"m","n":3}"#, true).unwrap_err().0;
        assert!(words.contains("nearest is line 2") && words.contains("differs at /n"), "{words}");
        let shelf_of_operator = self::shelf(&[exchange("/v1/x?code=%5Bredacted%5D&alt=sse", "{}")]);
        for target in ["/v1/x?code=replayed&alt=sse", "/v1/x?alt=sse"] {
            assert!(shelf_of_operator.find(ask(target, "{}"), true).is_ok(), "{target}");
        }
        let words = line(r#"{"model":"other"}"#, false).unwrap_err().0;
        assert!(words.contains("(model `other`)") && words.contains("for model `m`"), "{words}");
    }
}
