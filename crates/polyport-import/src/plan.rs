//! What would be made.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::finding::{Finding, Grade};
use crate::format::Format;
use crate::variables;
use polyport_types::secret::mask;

/// What a source comes to, in the words of Polyport's own configuration. Entries of the lists are bodies of `POST /admin/api/{list}`; keys have
/// their own text as `key`, and refer to users and teams by name.
#[derive(Clone)]
pub struct Plan {
    /// Where it comes from.
    pub format: Format,
    /// What belongs into `polyport.yaml`: addresses, time limits, and what the database cannot hold.
    pub settings: Value,
    /// Providers.
    pub providers: Vec<Value>,
    /// Keys and accounts of providers; a key may be `env:NAME`, which is for the configuration file only.
    pub credentials: Vec<Value>,
    /// Pools.
    pub pools: Vec<Value>,
    /// Routes.
    pub routes: Vec<Value>,
    /// Teams.
    pub teams: Vec<Value>,
    /// Users.
    pub users: Vec<Value>,
    /// Keys of clients.
    pub keys: Vec<Value>,
    /// What became of every value of the source.
    pub findings: Vec<Finding>,
}

impl fmt::Debug for Plan {
    /// Its parts hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Plan");
        shown.field("format", &self.format);
        for (name, list) in self.lists() {
            shown.field(name, &list.len());
        }
        shown.field("findings", &self.findings.len()).finish_non_exhaustive()
    }
}

/// A plan as the admin API takes it.
#[derive(Clone)]
pub struct Carried {
    /// The body of `POST /admin/api/import`.
    pub document: Value,
    /// Variables that the source refers to and that have no value, with what was left out for it.
    pub missing: Vec<(String, String)>,
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("missing", &self.missing).finish_non_exhaustive()
    }
}

/// Members that hold a secret, wherever they stand.
const SECRET: [&str; 9] = [
    "key",
    "refresh_token",
    "key_file",
    "client_secret",
    "session_token",
    "access_key_id",
    "admin_keys",
    "keys",
    "proxy",
];
/// Members whose values may hold one.
const OPEN: [&str; 3] = ["headers", "query", "env"];

impl Plan {
    /// The lists, by the names of the admin API.
    #[must_use]
    pub fn lists(&self) -> [(&'static str, &Vec<Value>); 7] {
        [
            ("providers", &self.providers),
            ("credentials", &self.credentials),
            ("pools", &self.pools),
            ("routes", &self.routes),
            ("teams", &self.teams),
            ("users", &self.users),
            ("keys", &self.keys),
        ]
    }

    /// Whether nothing would be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let settings = self.settings.as_object().is_some_and(|settings| !settings.is_empty());
        !settings && self.lists().iter().all(|(_, list)| list.is_empty())
    }

    /// The same with its keys and accounts for a provider that is there already. False if it has several providers, or more than their keys.
    #[must_use]
    pub fn only_for(&mut self, provider: &str) -> bool {
        if self.providers.len() > 1 || !self.pools.is_empty() || !self.routes.is_empty() {
            return false;
        }
        self.providers.clear();
        for credential in &mut self.credentials {
            if let Value::Object(members) = credential {
                members.insert("provider".to_owned(), provider.into());
            }
        }
        true
    }

    /// How many findings are of this grade.
    #[must_use]
    pub fn count(&self, grade: Grade) -> usize {
        self.findings.iter().filter(|finding| finding.grade == grade).count()
    }

    /// As the admin API takes it, with the values of variables. What needs one that has no value is left out, and told.
    #[must_use]
    pub fn document(&self, lookup: impl Fn(&str) -> Option<String>) -> Carried {
        let mut missing = Vec::new();
        let mut lost = HashSet::new();
        let mut document = Map::new();
        for (name, list) in self.lists() {
            let mut entries = Vec::with_capacity(list.len());
            for entry in list {
                let mut entry = entry.clone();
                let before = missing.len();
                let what = describe(name, &entry);
                resolve(&mut entry, &lookup, &what, &mut missing);
                // Headers may be missing; an address, the client of accounts or a key may not.
                let whole = match name {
                    "providers" => ["base_url", "oauth"].iter().all(|member| is_whole(list, &entry, member)),
                    "credentials" | "keys" => missing.len() == before,
                    _ => true,
                };
                if whole {
                    entries.push(entry);
                } else if let ("providers", Some(provider)) = (name, entry.get("name").and_then(Value::as_str)) {
                    lost.insert(provider.to_owned());
                }
            }
            document.insert(name.to_owned(), entries.into());
        }
        if !lost.is_empty() {
            without(&mut document, &lost);
        }
        Carried { document: document.into(), missing }
    }

    /// The same as one tree in the words of `polyport.yaml`. Users and teams, and what their keys may do, have no place there.
    #[must_use]
    pub fn configuration(&self) -> Value {
        let mut tree = self.settings.as_object().cloned().unwrap_or_default();
        add(
            &mut tree,
            "providers",
            self.providers.iter().filter_map(|provider| {
                let (name, mut body) = named(provider)?;
                let (mut keys, mut accounts) = (Vec::new(), Vec::new());
                for credential in self.credentials.iter().filter(|one| one.get("provider") == provider.get("name")) {
                    let mut credential = credential.as_object().cloned().unwrap_or_default();
                    credential.shift_remove("provider");
                    let list = if credential.contains_key("key") { &mut keys } else { &mut accounts };
                    list.push(credential.into());
                }
                if !keys.is_empty() {
                    body.insert("keys".to_owned(), Value::Array(keys));
                }
                if !accounts.is_empty()
                    && let Value::Object(oauth) = body.entry("oauth").or_insert_with(|| json!({}))
                {
                    oauth.insert("accounts".to_owned(), Value::Array(accounts));
                }
                Some((name, body.into()))
            }),
        );
        let on = |entry: &&Value| entry.get("enabled") != Some(&Value::Bool(false));
        add(
            &mut tree,
            "pools",
            self.pools.iter().filter(on).filter_map(|pool| {
                let (name, mut body) = named(pool)?;
                body.shift_remove("enabled");
                Some((name, body.into()))
            }),
        );
        let routes: Vec<Value> = self
            .routes
            .iter()
            .filter(on)
            .map(|route| {
                let mut body = route.as_object().cloned().unwrap_or_default();
                body.shift_remove("enabled");
                body.shift_remove("name");
                body.into()
            })
            .collect();
        if !routes.is_empty() {
            tree.insert("routes".to_owned(), routes.into());
        }
        let keys: Vec<Value> = self
            .keys
            .iter()
            .filter(on)
            .filter_map(|key| Some(json!({ "name": key.get("name")?, "key": key.get("key")? })))
            .collect();
        if !keys.is_empty() {
            add(&mut tree, "access", [("keys".to_owned(), keys.into())]);
        }
        tree.into()
    }

    /// Everything but the findings, with secrets masked.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut all = Map::from_iter([("format".to_owned(), self.format.as_str().into())]);
        all.insert("settings".to_owned(), masked(&self.settings));
        for (name, list) in self.lists() {
            all.insert(name.to_owned(), list.iter().map(masked).collect());
        }
        all.into()
    }
}

/// Adds members to a section of a tree.
fn add(tree: &mut Map<String, Value>, section: &str, members: impl IntoIterator<Item = (String, Value)>) {
    let mut members = members.into_iter().peekable();
    if members.peek().is_none() {
        return;
    }
    match tree.get_mut(section) {
        Some(Value::Object(known)) => known.extend(members),
        _ => drop(tree.insert(section.to_owned(), Value::Object(members.collect()))),
    }
}

/// The name of an entry and the rest of it.
fn named(entry: &Value) -> Option<(String, Map<String, Value>)> {
    let mut body = entry.as_object()?.clone();
    let name = body.remove("name")?.as_str()?.to_owned();
    Some((name, body))
}

/// Whether a member has all that it had in the plan.
fn is_whole(list: &[Value], entry: &Value, member: &str) -> bool {
    let same = list.iter().find(|one| one.get("name") == entry.get("name"));
    let parts = |value: Option<&Value>| value.map_or(0, |value| value.as_object().map_or(1, Map::len));
    same.is_none_or(|one| parts(one.get(member)) == parts(entry.get(member)))
}

/// Takes out what belongs to providers that are not made.
fn without(document: &mut Map<String, Value>, lost: &HashSet<String>) {
    let of_lost = |to: &str| lost.contains(to.split_once('/').map_or(to, |(provider, _)| provider));
    let mut retain = |list: &str, keep: &dyn Fn(&mut Value) -> bool| {
        if let Some(Value::Array(entries)) = document.get_mut(list) {
            let all = std::mem::take(entries);
            entries.extend(all.into_iter().filter_map(|mut entry| keep(&mut entry).then_some(entry)));
        }
    };
    retain("credentials", &|entry| !entry["provider"].as_str().is_some_and(|name| lost.contains(name)));
    let gone = RefCell::new(HashSet::new());
    retain("pools", &|entry| {
        let Some(Value::Array(targets)) = entry.get_mut("targets") else { return true };
        targets.retain(|target| {
            let to = target.as_str().or_else(|| target.get("target")?.as_str()).unwrap_or_default();
            !of_lost(to)
        });
        let kept = !targets.is_empty();
        if !kept && let Some(name) = entry["name"].as_str() {
            gone.borrow_mut().insert(name.to_owned());
        }
        kept
    });
    let gone = gone.into_inner();
    retain("pools", &|entry| {
        if let Some(Value::Array(fallbacks)) = entry.get_mut("fallbacks") {
            fallbacks.retain(|name| !name.as_str().is_some_and(|name| gone.contains(name)));
        }
        true
    });
    retain("routes", &|entry| !entry["to"].as_str().is_some_and(|to| of_lost(to) || gone.contains(to)));
}

/// What an entry is, for people.
fn describe(list: &str, entry: &Value) -> String {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    match list {
        "credentials" => format!("a key of `{}`", text("provider")),
        _ => format!("{} `{}`", list.strip_suffix('s').unwrap_or(list), text("name")),
    }
}

/// Puts the values of variables in their places; members without one are taken out.
fn resolve(
    value: &mut Value,
    lookup: &impl Fn(&str) -> Option<String>,
    what: &str,
    missing: &mut Vec<(String, String)>,
) {
    match value {
        Value::Object(members) => members.retain(|_, member| {
            let Some(name) = member.as_str().and_then(variables::name_of) else {
                resolve(member, lookup, what, missing);
                return true;
            };
            match lookup(name) {
                Some(text) => *member = text.into(),
                None => {
                    missing.push((name.to_owned(), what.to_owned()));
                    return false;
                }
            }
            true
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, lookup, what, missing)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A copy without secrets.
fn masked(value: &Value) -> Value {
    fn cover(value: &Value) -> Value {
        match value {
            Value::String(text) if variables::name_of(text).is_some() => value.clone(),
            Value::String(text) => mask(text).into(),
            Value::Array(items) => items.iter().map(cover).collect(),
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(key, member)| (key.clone(), if key == "name" { member.clone() } else { cover(member) }));
                Value::Object(members.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
    match value {
        Value::Object(members) => {
            // `keys` of a route are names.
            let is_route = members.contains_key("match");
            let members = members.iter().map(|(key, member)| {
                let names = key == "keys" && is_route || key == "proxy" && member == "none";
                let secret = SECRET.contains(&key.as_str()) && !names || OPEN.contains(&key.as_str());
                let url = key.ends_with("_url") && member.as_str().is_some_and(|text| text.contains("key="));
                (key.clone(), if secret || url { cover(member) } else { masked(member) })
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        _ => value.clone(),
    }
}
