//! What can stand behind the `?` of a path, and lists page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use serde_json::{Value, json};

use super::people::{Ask as About, Kind as Of};
use super::tokens::Ask as Tokens;
use super::usage::Ask as Usage;
use super::{Ask, Refusal, shown};
use crate::config::{Wants, suggestion};

/// Entries of a page, where nobody says how many, and at most.
const PAGE: u32 = 100;
pub(super) const LARGEST_PAGE: u32 = 500;

/// Longest value, in bytes.
const LONGEST: usize = 1000;

/// A parameter of a query.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// What it does.
    pub(super) about: &'static str,
}

/// What a parameter may be.
#[derive(Debug)]
pub(super) enum Takes {
    Text,
    Flag,
    Word(&'static [&'static str]),
    Number(u32, u32),
}

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, takes: Takes::Text, about }
}

const fn word(name: &'static str, words: &'static [&'static str], about: &'static str) -> Parameter {
    Parameter { name, takes: Takes::Word(words), about }
}

const LIMIT: Parameter =
    Parameter { name: "limit", takes: Takes::Number(1, LARGEST_PAGE), about: "Entries of a page. Default: 100." };
const AFTER: Parameter = text("after", "The `next` of the page before.");
const Q: Parameter = text("q", "Only those whose name holds this text, in any case.");
const ENABLED: Parameter =
    Parameter { name: "enabled", takes: Takes::Flag, about: "Only those that are switched on, or off." };
const STATE: Parameter = word("state", &STATES, "Only those in this state.");
const ORIGIN: Parameter = word("origin", &ORIGINS, "Only those that are declared there.");
const PROVIDER: Parameter = text("provider", "Only those of this provider, by name.");
const TEAM: Parameter = text("team", "Only those of this team, by id or name.");

pub(super) const STATES: [&str; 6] = ["ready", "cooling", "exhausted", "refreshing", "invalid", "disabled"];
pub(super) const ORIGINS: [&str; 5] = ["file", "database", "environment", "discovered", "built_in"];
const PROTOCOL: Parameter =
    word("protocol", &["chat", "responses", "messages", "gemini"], "Only those that speak this protocol.");
const KINDS: [&str; 5] = ["provider", "credential", "pool", "route", "setting"];

const EVENTS: [&str; 7] = {
    let all = crate::config::Event::ALL;
    let mut words = [""; 7];
    let mut at = 0;
    while at < all.len() {
        words[at] = all[at].as_str();
        at += 1;
    }
    words
};

const ORDER: Parameter = word("order", &["newest", "oldest"], "Which come first. Default: newest.");
const FROM: Parameter = text("from", "Not before this time: RFC 3339, or Unix milliseconds.");
const TO: Parameter = text("to", "Before this time.");
const OF_KEY: Parameter = text("of_key", "Only those of this client key, by id. (`key` is for keys.)");
const OF_USER: Parameter = text("user", "Only those of this user, by id.");
const OF_TEAM: Parameter = text("team", "Only those of this team, by id.");
const MODEL: Parameter = text("model", "Only those that asked for this model.");
const TRIED: Parameter = text("provider", "Only those of this provider, by name.");
const CREDENTIAL: Parameter = text("credential", "Only those with this credential, by id.");

/// What requests are looked for by.
const REQUESTS: &[Parameter] = &[
    LIMIT,
    AFTER,
    ORDER,
    FROM,
    TO,
    text("id", "Only the one with this id, as in its `x-request-id`."),
    OF_KEY,
    OF_USER,
    OF_TEAM,
    MODEL,
    TRIED,
    CREDENTIAL,
    PROTOCOL,
    text("outcome", "Only those that came out so: `answered`, `client_gone`, `unknown`, or a kind of error."),
    text("status", "Only those with this status, such as 429, or of this class, such as 5xx."),
    Parameter { name: "min_duration_ms", takes: Takes::Number(0, u32::MAX), about: "Only those that took so long." },
    Parameter { name: "failed", takes: Takes::Flag, about: "Only those that went wrong, or those that did not." },
    text("q", "Only those with this text in model, error, the provider's id or a name."),
];

/// The same for those that are still to come.
const LIVE: &[Parameter] = &[
    OF_KEY,
    OF_USER,
    OF_TEAM,
    MODEL,
    TRIED,
    CREDENTIAL,
    PROTOCOL,
    text("outcome", "Only those that came out so: `answered`, `client_gone`, `unknown`, or a kind of error."),
    text("status", "Only those with this status, such as 429, or of this class, such as 5xx."),
    Parameter { name: "min_duration_ms", takes: Takes::Number(0, u32::MAX), about: "Only those that took so long." },
    Parameter { name: "failed", takes: Takes::Flag, about: "Only those that went wrong, or those that did not." },
];

/// The same for an export, which has all of them.
const EXPORT: &[Parameter] = &[
    word("format", &["jsonl", "csv"], "How it is written. Default: jsonl."),
    FROM,
    TO,
    OF_KEY,
    OF_USER,
    OF_TEAM,
    MODEL,
    TRIED,
    CREDENTIAL,
    PROTOCOL,
    text("outcome", "Only those that came out so: `answered`, `client_gone`, `unknown`, or a kind of error."),
    text("status", "Only those with this status, such as 429, or of this class, such as 5xx."),
    Parameter { name: "min_duration_ms", takes: Takes::Number(0, u32::MAX), about: "Only those that took so long." },
    Parameter { name: "failed", takes: Takes::Flag, about: "Only those that went wrong, or those that did not." },
    text("q", "Only those with this text in model, error, the provider's id or a name."),
];

/// The parameters of an endpoint.
pub(super) fn parameters(ask: Ask) -> &'static [Parameter] {
    match ask {
        Ask::Providers => {
            const {
                &[
                    LIMIT,
                    AFTER,
                    Q,
                    STATE,
                    ORIGIN,
                    word(
                        "protocol",
                        &["chat", "responses", "messages", "gemini"],
                        "Only those that speak this protocol.",
                    ),
                    ENABLED,
                ]
            }
        }
        Ask::Credentials => {
            const {
                &[
                    LIMIT,
                    AFTER,
                    Q,
                    PROVIDER,
                    STATE,
                    ORIGIN,
                    word("kind", &["key", "account"], "Only keys, or only accounts."),
                    ENABLED,
                ]
            }
        }
        Ask::Prices => {
            const {
                &[
                    LIMIT,
                    AFTER,
                    Q,
                    text("provider", "Only those of this service, by the name of its preset."),
                    text("model", "Only this model, by the name that the service has for it."),
                ]
            }
        }
        Ask::Presets => {
            const {
                &[
                    LIMIT,
                    AFTER,
                    Q,
                    PROTOCOL,
                    word("auth", &Wants::WORDS, "Only those that want to see this."),
                    Parameter {
                        name: "local",
                        takes: Takes::Flag,
                        about: "Only those on the machine of the gateway, or the others.",
                    },
                ]
            }
        }
        Ask::Clients => const { &[LIMIT, AFTER, Q, PROTOCOL, text("model", "The model they are to use.")] },
        Ask::Models => {
            const { &[LIMIT, AFTER, Q, PROVIDER, word("kind", &super::models::KINDS, "Only those of this kind.")] }
        }
        Ask::Pools => {
            const { &[LIMIT, AFTER, Q, ORIGIN, word("tier", &["tool", "normal", "advanced"], "Only those of this tier.")] }
        }
        Ask::Routes => const { &[LIMIT, AFTER, Q, ORIGIN, text("to", "Only those that lead there.")] },
        Ask::Problems => const { &[LIMIT, AFTER, Q, word("kind", &KINDS, "Only those of this kind of thing.")] },
        Ask::People(Of::Teams, About::List) => const { &[LIMIT, AFTER, Q] },
        Ask::People(Of::Users, About::List) => const { &[LIMIT, AFTER, Q, TEAM] },
        Ask::People(Of::Keys, About::List) => {
            const { &[LIMIT, AFTER, Q, TEAM, text("user", "Only those of this user, by id or name."), ENABLED] }
        }
        Ask::Health => const { &[LIMIT, AFTER, Q, PROVIDER, STATE] },
        Ask::Import | Ask::Tokens(Tokens::Create | Tokens::BatchImport) => {
            const { &[text("provider", "Whose they are, where they do not say it.")] }
        }
        Ask::Tokens(Tokens::Events) => const { &[LIMIT] },
        Ask::Usage(Usage::Requests) => REQUESTS,
        Ask::Live => LIVE,
        Ask::Download => EXPORT,
        Ask::Backup => {
            const {
                &[word(
                    "of",
                    &super::backup::OF,
                    "What is copied: what is declared and kept, or the request log. Default: store.",
                )]
            }
        }
        Ask::Notifications => {
            const {
                &[
                    LIMIT,
                    AFTER,
                    text("webhook", "Only those to this address, by name."),
                    word("event", &EVENTS, "Only those of this kind."),
                    word("outcome", &crate::notifications::Outcome::ALL, "Only those that ended so."),
                ]
            }
        }
        Ask::Usage(Usage::Ledger) => {
            const {
                &[
                    LIMIT,
                    AFTER,
                    ORDER,
                    FROM,
                    TO,
                    OF_KEY,
                    OF_USER,
                    OF_TEAM,
                    MODEL,
                    TRIED,
                    CREDENTIAL,
                    word("state", &["settled", "estimated", "unknown", "unused"], "How well the counts are known."),
                    Parameter {
                        name: "charged",
                        takes: Takes::Flag,
                        about: "Only what counts towards limits, or what does not.",
                    },
                ]
            }
        }
        Ask::Usage(Usage::Sums) => {
            const {
                &[
                    LIMIT,
                    word("period", &["minute", "hour", "day", "month"], "Whose sums. Default: day."),
                    FROM,
                    TO,
                    text(
                        "by",
                        "What is told apart: some of key, user, team, model, provider, credential, with commas.",
                    ),
                    Parameter { name: "series", takes: Takes::Flag, about: "Whether each period has rows of its own." },
                    word("sort", &["requests", "failed", "tokens", "output", "cost"], "The greatest first."),
                    OF_KEY,
                    OF_USER,
                    OF_TEAM,
                    MODEL,
                    TRIED,
                    CREDENTIAL,
                ]
            }
        }
        Ask::Overview => {
            const {
                &[
                    FROM,
                    TO,
                    word(
                        "step",
                        &["minute", "hour", "day"],
                        "What a row is of. Default: the shortest with at most 750 rows of which sums are kept.",
                    ),
                    OF_KEY,
                    OF_USER,
                    OF_TEAM,
                    MODEL,
                    TRIED,
                ]
            }
        }
        Ask::Usage(Usage::Quotas) => {
            const {
                &[
                    LIMIT,
                    AFTER,
                    Q,
                    word("what", &["requests", "tokens", "money", "concurrency"], "Only limits of this."),
                    word("window", &["minute", "day", "month", "total"], "Only limits in this time."),
                ]
            }
        }
        Ask::Audit => {
            const {
                &[
                    LIMIT,
                    AFTER,
                    text("actor", "Only what this one did, by name."),
                    text("action", "Only this action, by the name of its endpoint."),
                    text("object_kind", "Only what was done to this kind of thing."),
                    text("object", "Only what was done to this one, by id or name."),
                    text("since", "Not before this time: Unix milliseconds or RFC 3339."),
                    text("until", "Before this time."),
                ]
            }
        }
        _ => &[],
    }
}

/// The parameters that are given, each of them known and well-formed.
#[derive(Clone, Debug)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// None at all.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn read(head: &Parts, known: &'static [Parameter]) -> Result<Self, Refusal> {
        let mut given = Vec::new();
        let query = head.uri.query().unwrap_or_default().as_bytes();
        // `key` is for keys.
        for (name, value) in url::form_urlencoded::parse(query).filter(|(name, _)| name != "key") {
            let Some(parameter) = known.iter().find(|parameter| parameter.name == name) else {
                let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
                let remedy = match suggestion(&name, &names, "known are") {
                    remedy if remedy.is_empty() => "none is expected".to_owned(),
                    remedy => remedy,
                };
                let refusal = Refusal::parameter(&shown(&name), format!("it is not known; {remedy}"));
                let message = format!("unknown parameter `{}`; {remedy}", shown(&name));
                return Err(Refusal { message, ..refusal });
            };
            if given.iter().any(|(known, _)| *known == parameter.name) {
                return Err(Refusal::parameter(parameter.name, "it is given twice"));
            }
            if let Some(wrong) = wrong(&parameter.takes, &value) {
                let mut refusal = Refusal::parameter(parameter.name, wrong);
                refusal.errors.iter_mut().for_each(|flaw| parameter.about.clone_into(&mut flaw.remedy));
                return Err(refusal);
            }
            given.push((parameter.name, value.into_owned()));
        }
        Ok(Self(given))
    }

    /// The others.
    pub(super) fn without(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(known, _)| *known != name).cloned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value == "true")
    }

    pub(super) fn limit(&self) -> u32 {
        self.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE)
    }

    /// Where a page begins: the place in the list of what follows the last one, and the key of the last one.
    pub(super) fn after(&self) -> Result<Option<(usize, String)>, Refusal> {
        let Some(cursor) = self.get("after") else { return Ok(None) };
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let (at, key) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
            let plain = !key.is_empty() && !key.contains(char::is_control);
            Some((at.parse().ok()?, key.to_owned())).filter(|_| plain)
        };
        let wrong = || Refusal::parameter("after", "this is no `next` of an earlier page");
        read().ok_or_else(wrong).map(Some)
    }

    /// Whether a text is one that `q` looks for.
    pub(super) fn finds(&self, text: &str) -> bool {
        self.get("q").is_none_or(|part| text.to_lowercase().contains(&part.to_lowercase()))
    }

    /// A page of a list: those that the parameters leave, of which each is compared with the member of its name.
    pub(super) fn page(&self, list: &str, all: Vec<Value>) -> Result<Value, Refusal> {
        self.page_of(list, all.into_iter(), |one| self.leaves(one), key_of, Value::clone)
    }

    /// The same of a long list, of which no more is read than the page needs, as a rule: `leaves` says which are of the list, `key` what tells one from
    /// the others ([`key_of`]), and `whole` writes one out.
    pub(super) fn page_of<T>(
        &self,
        list: &str,
        all: impl Iterator<Item = T>,
        leaves: impl Fn(&T) -> bool,
        key: impl Fn(&T) -> String,
        whole: impl Fn(&T) -> Value,
    ) -> Result<Value, Refusal> {
        let mut left = all.filter(leaves).fuse();
        let (mut begin, mut read) = (0, Vec::new());
        if let Some((at, last)) = self.after()? {
            begin = at;
            read.extend(left.by_ref().take(at));
            if read.last().map(&key).as_deref() == Some(&*last) {
                read.clear();
            } else {
                // The list has changed: what came last stands elsewhere, or nowhere.
                read.extend(left.by_ref());
                begin = read.iter().position(|one| key(one) == last).map_or(at, |place| place.saturating_add(1));
                read.drain(..begin.min(read.len()));
            }
        }
        let mut following = read.into_iter().chain(left);
        let page: Vec<T> = following.by_ref().take(self.limit() as usize).collect();
        let last = page.last().filter(|_| following.next().is_some());
        let next = last.map(|last| cursor(begin.saturating_add(page.len()), &key(last)));
        Ok(json!({ list: page.iter().map(whole).collect::<Vec<Value>>(), "next": next }))
    }

    /// Whether anything bounds a list beside the parameters of these names.
    pub(super) fn narrows_beside(&self, names: &[&str]) -> bool {
        self.0.iter().any(|(name, _)| !matches!(*name, "limit" | "after") && !names.contains(name))
    }

    /// Whether one is of the list that is asked for.
    pub(super) fn leaves(&self, one: &Value) -> bool {
        self.0.iter().all(|(name, wanted)| match *name {
            "limit" | "after" => true,
            "q" => {
                let texts = ["name", "label", "id", "to", "model", "title"]
                    .iter()
                    .filter_map(|member| one.get(*member)?.as_str());
                texts.into_iter().any(|text| self.finds(text))
            }
            name => match one.get(name) {
                Some(Value::String(text)) => text == wanted,
                Some(Value::Bool(on)) => self.flag(name) == Some(*on),
                // One of several.
                None => one
                    .get(format!("{name}s"))
                    .and_then(Value::as_array)
                    .is_some_and(|all| all.iter().any(|one| one == wanted)),
                Some(_) => false,
            },
        })
    }
}

/// The `next` of a page, whose last entry has this key, and after which the list goes on at this place.
pub(super) fn cursor(at: usize, key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{at}:{key}"))
}

/// What tells an entry of a list from the others.
pub(super) fn key_of(one: &Value) -> String {
    let member = |name: &str| one.get(name).filter(|value| !value.is_null()).map(Value::to_string);
    let id = member("id").or_else(|| member("name")).or_else(|| member("index")).unwrap_or_default();
    // Several problems of one thing, several prices of one model.
    let more = ["path", "provider", "webhook"].iter().filter_map(|name| member(name)).collect::<Vec<_>>();
    std::iter::once(id).chain(more).collect::<Vec<_>>().join("|")
}

/// What is wrong with a value.
fn wrong(takes: &Takes, value: &str) -> Option<String> {
    if value.len() > LONGEST {
        return Some(format!("it is longer than {LONGEST} bytes"));
    }
    if value.contains(char::is_control) {
        return Some("control characters are not possible".to_owned());
    }
    match takes {
        Takes::Text if value.is_empty() => Some("it is empty".to_owned()),
        Takes::Text => None,
        Takes::Flag => (!matches!(value, "true" | "false")).then(|| "give true or false".to_owned()),
        Takes::Word(words) => (!words.contains(&value)).then(|| format!("give one of {}", words.join(", "))),
        Takes::Number(least, most) => {
            let fits = value.parse::<u32>().is_ok_and(|number| (*least..=*most).contains(&number));
            (!fits).then(|| format!("give a number from {least} to {most}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str, ask: Ask) -> Result<Query, Refusal> {
        let (head, ()) = http::Request::builder().uri(format!("/x?{text}")).body(()).unwrap().into_parts();
        Query::read(&head, parameters(ask))
    }

    fn names(page: &Value) -> Vec<&str> {
        page["all"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn pages_follow_one_another_also_when_the_list_changes_meanwhile() {
        let list = |names: &[&str]| names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>();
        let page = |text: &str, names: &[&str]| query(text, Ask::Pools).unwrap().page("all", list(names)).unwrap();
        let first = page("limit=2", &["a", "b", "c", "d"]);
        assert_eq!(names(&first), ["a", "b"]);
        let next = format!("limit=2&after={}", first["next"].as_str().unwrap());
        let second = page(&next, &["a", "b", "c", "d"]);
        assert_eq!((names(&second), &second["next"]), (vec!["c", "d"], &Value::Null));
        assert_eq!(names(&page(&next, &["new", "a", "b", "c"])), ["c"], "after its last one, wherever that is");
        assert_eq!(names(&page(&next, &["a", "x", "c", "d"])), ["c", "d"], "the last one is gone");
        assert_eq!(names(&page("q=B", &["ab", "c", "B"])), ["ab", "B"]);
    }

    #[test]
    fn what_is_wrong_with_a_query_is_named() {
        let long = format!("q={}", "x".repeat(1001));
        for (text, parameter) in [
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("limit=-1", "limit"),
            ("limit=1e3", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("limit=1&limit=2", "limit"),
            ("tier=huge", "tier"),
            ("colour=red", "colour"),
            ("q=", "q"),
            ("q=a%00b", "q"),
            (&long, "q"),
        ] {
            let refusal = query(text, Ask::Pools).unwrap_err();
            assert_eq!(refusal.errors[0].parameter.as_deref(), Some(parameter), "{text}");
        }
        for forged in ["x", "!!", "MTI", "OmE", "YTpi", "MTo", "LTE6YQ"] {
            let refusal = query(&format!("after={forged}"), Ask::Pools).unwrap().page("all", Vec::new()).unwrap_err();
            assert_eq!(refusal.errors[0].parameter.as_deref(), Some("after"), "{forged}");
        }
        assert!(query("key=secret", Ask::Explain).is_ok(), "keys may stand there");
    }
}
