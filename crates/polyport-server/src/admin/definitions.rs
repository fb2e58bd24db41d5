//! Providers, credentials, pools and routes of the database: made, changed and deleted.

use std::sync::Arc;

use http::header::IF_MATCH;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use polyport_types::Text;
use polyport_types::secret::mask;
use serde_json::{Map, Value, json};

use super::people::LONGEST_NAME;
use super::refusal::{Flaw, pointer};
use super::{Answer, Refusal, View, What, credentials, extend, providers, routing, settings, shown};
use crate::config::definitions::{CREDENTIAL_SECRETS, Definition, path_within, switch_of_provider};
use crate::config::{Origin, Problem};
use crate::registry::{Registry, Rejected, SECRET_MEMBERS, merge};

/// The list something stands in.
fn list_of(what: What) -> &'static str {
    match what {
        What::Provider => "providers",
        What::Credential => "credentials",
        What::Pool => "pools",
        What::Route => "routes",
    }
}

/// Those of the database that are not left out.
pub(super) fn all_in_force(view: &View, what: What) -> impl Iterator<Item = &Arc<Definition>> {
    let declared = &view.runtime.config.declared;
    let list = declared.definitions.list.iter();
    list.filter(move |one| one.kind == what && !declared.out.contains_key(&one.id))
}

/// One of them by its name.
pub(super) fn in_force<'v>(view: &'v View, what: What, name: &str) -> Option<&'v Arc<Definition>> {
    all_in_force(view, what).find(|one| *one.name == *name)
}

/// Those that are left out.
pub(super) fn out(view: &View, what: What) -> Vec<Value> {
    let declared = &view.runtime.config.declared;
    let list = declared.definitions.list.iter();
    let out = list.filter(|one| one.kind == what && declared.out.contains_key(&one.id));
    out.map(|one| about(view, one)).collect()
}

/// The one of this id, or the first of this name.
pub(super) fn named(all: Vec<Value>, what: &str, id: &str) -> Result<Value, Refusal> {
    let by = |member: &str| all.iter().position(|one| one.get(member).is_some_and(|found| *found == *id));
    let at = by("id").or_else(|| by("name"));
    let found = at.and_then(|at| all.into_iter().nth(at));
    found.ok_or_else(|| Refusal::not_found(format!("there is no {what} `{}`", shown(id))))
}

/// What the database says of something.
pub(super) fn about(view: &View, one: &Definition) -> Value {
    let out = view.runtime.config.declared.out.get(&one.id);
    let problems = out.map(|standing| told(one, standing.problems())).unwrap_or_default();
    let mut shown = json!({
        "id": one.id,
        "origin": "database",
        "enabled": one.enabled,
        "in_force": out.is_none() && one.enabled,
        "revision": one.revision,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "definition": shown_definition(one),
        "problems": problems,
    });
    let name = if one.kind == What::Credential { "label" } else { "name" };
    extend(&mut shown, json!({ name: one.name }));
    if one.kind == What::Credential {
        let kind = if one.is_account() { "account" } else { "key" };
        // The ends of a key file tell nothing.
        let masked = one.secret().map(|(member, text)| if member == "key_file" { mask("") } else { mask(text) });
        extend(&mut shown, json!({ "provider": one.provider, "kind": kind, "masked": masked }));
    }
    shown
}

/// In the words of the configuration file, without secrets.
fn shown_definition(one: &Definition) -> Value {
    let mut value = one.value.clone();
    match one.kind {
        What::Credential => {
            if let Value::Object(members) = &mut value {
                members.retain(|name, _| !CREDENTIAL_SECRETS.contains(&name.as_str()));
            }
        }
        What::Provider => {
            for path in SECRET_MEMBERS {
                if let Some(secret) = path.iter().try_fold(&mut value, |value, key| value.get_mut(key)) {
                    cover(secret);
                }
            }
        }
        What::Pool | What::Route => {}
    }
    value
}

/// The same with what may hold a secret left out.
pub(super) fn without_secrets(one: &Definition) -> Value {
    let mut value = shown_definition(one);
    for path in SECRET_MEMBERS.iter().filter(|_| one.kind == What::Provider) {
        if let Some((last, above)) = path.split_last()
            && let Some(Value::Object(members)) = above.iter().try_fold(&mut value, |value, key| value.get_mut(key))
        {
            members.remove(*last);
        }
    }
    value
}

fn cover(value: &mut Value) {
    match value {
        Value::String(text) => *text = mask(text),
        Value::Array(items) => items.iter_mut().for_each(cover),
        Value::Object(members) => members.values_mut().for_each(cover),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn told(one: &Definition, problems: &[Problem]) -> Vec<Value> {
    let told = problems.iter().map(|problem| {
        json!({ "path": path_within(one, &problem.path), "message": problem.message, "remedy": problem.remedy })
    });
    told.collect()
}

/// Everything of the database that is not in force though it should be.
pub(super) fn problems(view: &View) -> Vec<Value> {
    let declared = &view.runtime.config.declared;
    let mut all = Vec::new();
    for one in &declared.definitions.list {
        for problem in declared.out.get(&one.id).map(|standing| told(one, standing.problems())).unwrap_or_default() {
            let mut shown = json!({ "kind": one.kind.as_str(), "id": one.id, "name": one.name });
            extend(&mut shown, problem);
            all.push(shown);
        }
    }
    for (path, problem) in settings::problems(view) {
        let mut shown = json!({ "kind": "setting", "id": path, "name": path });
        extend(&mut shown, problem);
        all.push(shown);
    }
    all
}

/// The revision that `If-Match` names.
pub(super) fn revision(head: &Parts) -> Result<Option<i64>, Refusal> {
    let mut given = head.headers.get_all(IF_MATCH).iter();
    let Some(text) = given.next().map(HeaderValue::as_bytes) else { return Ok(None) };
    if text == b"*" {
        return Ok(None);
    }
    let wrong = || Refusal::header("If-Match", "give the `ETag` of an earlier answer, such as \"3\", or *");
    let text = std::str::from_utf8(text).ok().filter(|_| given.next().is_none()).ok_or_else(wrong)?.trim();
    if let Ok(number) = text.trim_matches('"').parse() {
        return Ok(Some(number));
    }
    // Of another kind than those of what can be changed: none has it.
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let quoted = tag.len() > 1 && tag.starts_with('"') && tag.ends_with('"') && !tag.contains(',');
    if quoted { Ok(Some(i64::MIN)) } else { Err(wrong()) }
}

pub(super) async fn create(view: &View, what: What, body: Value) -> Result<Answer, Refusal> {
    let new = new(what, body)?;
    let registry = registry(view)?;
    if what == What::Provider
        && let Some(known) = view.runtime.config.provider(&new.name).filter(|known| known.origin == Origin::BuiltIn)
    {
        return Err(elsewhere(view, &format!("`{}`", known.name), known.origin));
    }
    let made = registry.create(&view.app, new).await.map_err(|error| refusal(view, error))?;
    tracing::info!(kind = what.as_str(), id = %made.id, name = %made.name, "an operator made something");
    let location = format!("{}{}/{}", super::ROOT, list_of(what), made.id);
    let shown = current(view, what, &made.id)?;
    Ok(Answer { status: StatusCode::CREATED, location: Some(location), ..shown.into() })
}

/// What a body asks to be made.
pub(super) fn new(what: What, body: Value) -> Result<Definition, Refusal> {
    let Value::Object(mut members) = body else { return Err(Refusal::bad_request("the body must be a JSON object")) };
    let mut text = |member: &str| match members.remove(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(Text::from(text))),
        Some(_) => Err(Refusal::member(member, "a text is expected")),
    };
    let name = text("name")?;
    let provider = if what == What::Credential { text("provider")? } else { None };
    let enabled = switched(&mut members)?.unwrap_or(true);
    let missing = |member: &str, words: &str| Refusal::member(member, words);
    let name = match (what, name) {
        (What::Credential, None) => nameless(&members)?,
        (What::Route, None) => Text::new(),
        (_, None) => return Err(missing("name", "name it")),
        (What::Credential | What::Provider | What::Pool, Some(name)) if name.trim().is_empty() => {
            return Err(missing("name", "the name is empty"));
        }
        (_, Some(name)) => fit(name)?,
    };
    unsealed(&members)?;
    if what == What::Credential && provider.is_none() {
        return Err(missing("provider", "name the provider that it belongs to"));
    }
    Ok(Definition {
        kind: what,
        id: Text::new(),
        name,
        provider: provider.unwrap_or_default(),
        enabled,
        revision: 0,
        created_at: 0,
        updated_at: 0,
        value: members.into(),
        locked: None,
    })
}

/// A name that fits into a line.
fn fit(name: Text) -> Result<Text, Refusal> {
    if name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let words = format!("must be a text of at most {LONGEST_NAME} bytes without control characters");
        return Err(Refusal::member("name", words));
    }
    Ok(name)
}

/// Of a credential one member is sealed: a session token has to stand in it.
fn unsealed(members: &Map<String, Value>) -> Result<(), Refusal> {
    match members.get("session_token") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(Refusal::member("session_token", "write `ID:SECRET:TOKEN` as `key`")),
    }
}

fn switched(members: &mut Map<String, Value>) -> Result<Option<bool>, Refusal> {
    match members.remove("enabled") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(on)) => Ok(Some(on)),
        Some(_) => Err(Refusal::member("enabled", "true or false is expected")),
    }
}

/// What a credential without a name is called: always the same of the same secret.
fn nameless(members: &Map<String, Value>) -> Result<Text, Refusal> {
    let kinds = [("key_file", "account"), ("refresh_token", "account"), ("key", "key")];
    let found = kinds.iter().find_map(|(member, word)| Some((members.get(*member)?.as_str()?, word)));
    let Some((secret, word)) = found else {
        return Err(Refusal::member(
            "key",
            "give the text of the key, or `refresh_token` or `key_file` for an account",
        ));
    };
    let digest = blake3::hash(secret.trim().as_bytes()).to_hex();
    Ok(format!("{word} {}", digest.chars().take(8).collect::<String>()).into())
}

pub(super) async fn change(
    view: &View,
    what: What,
    id: &str,
    revision: Option<i64>,
    body: Value,
) -> Result<Value, Refusal> {
    let id = stored_id(view, what, id)?;
    let Value::Object(patch) = body else { return Err(Refusal::bad_request("the body must be a JSON object")) };
    let registry = registry(view)?;
    let changed = |before: &Definition| changed(before, patch).map_err(Failed::Refused);
    let done = registry.update(&view.app, &id, revision, changed).await;
    let done = done.map_err(|failed| match failed {
        Failed::Refused(refusal) => refusal,
        Failed::Rejected(rejected) => refusal(view, rejected),
    })?;
    tracing::info!(kind = what.as_str(), id = %done.id, name = %done.name, "an operator changed something");
    current(view, what, &done.id)
}

/// Why something was not changed.
enum Failed {
    Refused(Refusal),
    Rejected(Rejected),
}

impl From<Rejected> for Failed {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

/// What it is with these members instead of its own.
fn changed(before: &Definition, mut patch: Map<String, Value>) -> Result<Definition, Refusal> {
    unsealed(&patch)?;
    let mut after = before.clone();
    after.enabled = switched(&mut patch)?.unwrap_or(before.enabled);
    let fixed = |member: &str| {
        let what = before.kind.as_str();
        Refusal::member(member, format!("a {what} keeps its {member}; make a new one and delete this one"))
    };
    if let Some(name) = patch.remove("name") {
        let name = name.as_str().ok_or_else(|| Refusal::member("name", "a text is expected"))?;
        match before.kind {
            What::Provider | What::Pool if *name != *before.name => return Err(fixed("name")),
            What::Credential if name.trim().is_empty() => return Err(Refusal::member("name", "the name is empty")),
            _ => after.name = fit(name.into())?,
        }
    }
    if before.kind == What::Credential && patch.remove("provider").is_some_and(|provider| provider != *before.provider)
    {
        return Err(fixed("provider"));
    }
    let secret = match before.kind {
        What::Credential => CREDENTIAL_SECRETS.iter().any(|member| patch.contains_key(*member)),
        What::Provider => {
            SECRET_MEMBERS.iter().any(|path| path.first().is_some_and(|first| patch.contains_key(*first)))
        }
        What::Pool | What::Route => false,
    };
    if secret {
        after.locked = None;
    }
    merge(&mut after.value, patch.into());
    Ok(after)
}

pub(super) async fn delete(view: &View, what: What, id: &str, revision: Option<i64>) -> Result<Value, Refusal> {
    let id = stored_id(view, what, id)?;
    let gone = registry(view)?.delete(&view.app, &id, revision).await.map_err(|error| refusal(view, error))?;
    tracing::info!(kind = what.as_str(), id = %gone.id, name = %gone.name, "an operator deleted something");
    Ok(json!({ "deleted": true, "id": gone.id }))
}

/// Switches a provider, pool or route on or off.
pub(super) async fn switch(view: &View, what: What, id: &str, on: bool) -> Result<Value, Refusal> {
    let registry = registry(view)?;
    match stored_id(view, what, id) {
        Ok(stored) => {
            let changed = |before: &Definition| Ok(Definition { enabled: on, ..before.clone() });
            registry.update(&view.app, &stored, None, changed).await.map_err(|error| refusal(view, error))?;
            current(view, what, &stored)
        }
        Err(_) if what == What::Provider && is_of_file(view, id) => {
            let name = switch_of_provider(id);
            registry.switch(&view.app, &name, Some(on)).await.map_err(|error| refusal(view, error))?;
            current(view, what, id)
        }
        Err(refusal) => Err(refusal),
    }
}

fn is_of_file(view: &View, name: &str) -> bool {
    let config = &view.runtime.config;
    config.provider(name).is_some_and(|provider| provider.origin == Origin::File)
        || config.disabled.iter().any(|disabled| **disabled == *name)
}

/// How it is shown now.
fn current(view: &View, what: What, id: &str) -> Result<Value, Refusal> {
    let view = View::of(&view.app);
    match what {
        What::Provider => providers::one(&view, id),
        What::Credential => credentials::one(&view, id),
        What::Pool => routing::pool(&view, id),
        What::Route => routing::route(&view, id),
    }
}

/// The id in the database of what is named.
fn stored_id(view: &View, what: What, id: &str) -> Result<Text, Refusal> {
    if what == What::Credential {
        return credentials::stored_id(view, id);
    }
    let list = &view.runtime.config.declared.definitions.list;
    if let Some(found) = list.iter().find(|one| one.kind == what && *one.id == *id) {
        return Ok(found.id.clone());
    }
    let all = match what {
        What::Provider => providers::one(view, id),
        What::Pool => routing::pool(view, id),
        What::Route | What::Credential => routing::route(view, id),
    }?;
    match all.get("id").and_then(Value::as_str) {
        Some(id) => Ok(id.into()),
        None => {
            let origin = view.runtime.config.provider(id).map_or(Origin::File, |provider| provider.origin);
            let origin = if what == What::Provider { origin } else { Origin::File };
            Err(elsewhere(view, &format!("{} `{}`", what.as_str(), shown(id)), origin))
        }
    }
}

/// Whoever wants to change what the database does not declare is told where to.
pub(super) fn elsewhere(view: &View, what: &str, origin: Origin) -> Refusal {
    let words = match origin {
        Origin::File | Origin::Database => {
            let file = view.runtime.config.declared.file.as_deref().unwrap_or("the configuration file");
            format!("{what} is declared in {file}; edit it there")
        }
        Origin::Environment => format!("{what} comes from an environment variable; change it there"),
        Origin::Discovered => format!("{what} is a server that was found on this machine; declare it to change it"),
        Origin::BuiltIn => format!("{what} is built in"),
    };
    Refusal::new(StatusCode::CONFLICT, "declared_elsewhere", words)
}

pub(super) fn registry(view: &View) -> Result<&Registry, Refusal> {
    let words = "this gateway runs without a database, so nothing can be changed here";
    view.app.registry.as_ref().ok_or_else(|| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "no_database", words))
}

/// What an operator is told when a change was not made.
pub(super) fn refusal(_: &View, rejected: Rejected) -> Refusal {
    match rejected {
        Rejected::Store(error) => {
            let words = format!("nothing was changed: {error}");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", words)
        }
        Rejected::Unknown => Refusal::not_found("it is not there any more"),
        Rejected::Stale(found) => Refusal::stale(found),
        Rejected::Taken(words) => Refusal::new(StatusCode::CONFLICT, "taken", words),
        Rejected::Invalid(one, problems) => {
            let first = problems.first().map(|problem| {
                let (path, Problem { message, remedy, .. }) = (path_within(&one, &problem.path), problem);
                let path = if path.is_empty() { path } else { format!("{path}: ") };
                let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
                format!("{path}{message}{remedy}")
            });
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, "invalid", first.unwrap_or_default());
            let errors = problems.iter().map(|problem| Flaw {
                pointer: Some(pointer(&path_within(&one, &problem.path))),
                detail: problem.message.clone(),
                remedy: problem.remedy.clone(),
                ..Flaw::default()
            });
            Refusal { errors: errors.collect(), ..refusal }
        }
        Rejected::Several(several) => {
            let errors = several.iter().flat_map(|(one, problems)| {
                problems.iter().map(|problem| Flaw {
                    detail: problem.message.clone(),
                    remedy: problem.remedy.clone(),
                    kind: Some(one.kind.as_str().to_owned()),
                    name: Some(one.name.to_string()),
                    pointer: Some(pointer(&format!(
                        "{}.{}",
                        one.id.replace('/', "."),
                        path_within(one, &problem.path)
                    ))),
                    ..Flaw::default()
                })
            });
            let words = match several.len() {
                1 => "one of them has a mistake, so nothing was made".to_owned(),
                many => format!("{many} of them have mistakes, so nothing was made"),
            };
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, "invalid", words);
            Refusal { errors: errors.collect(), ..refusal }
        }
        Rejected::Needed(others) => {
            let names: Vec<String> =
                others.iter().map(|(one, _)| format!("{} `{}`", one.kind.as_str(), one.name)).collect();
            let words = match names.as_slice() {
                [one] => format!("{one} needs it as it is"),
                many => format!("{} others need it as it is: {}", many.len(), first_of(many)),
            };
            let errors = others.iter().take(MOST_NAMED).map(|(one, problem)| Flaw {
                detail: problem.message.clone(),
                remedy: problem.remedy.clone(),
                kind: Some(one.kind.as_str().to_owned()),
                id: Some(one.id.to_string()),
                name: Some(one.name.to_string()),
                ..Flaw::default()
            });
            let refusal = Refusal::new(StatusCode::CONFLICT, "referenced", words);
            Refusal { errors: errors.collect(), ..refusal }
        }
        Rejected::Settings(problems) => settings::mistaken(&problems),
        Rejected::File(problems) => {
            let words = format!("the configuration file cannot be checked now, so nothing was changed: {problems}");
            Refusal::new(StatusCode::CONFLICT, "configuration", words)
        }
    }
}

/// More are counted, not named.
const MOST_NAMED: usize = 20;

fn first_of(names: &[String]) -> String {
    let more = if names.len() > MOST_NAMED { ", …" } else { "" };
    let names: Vec<&str> = names.iter().take(MOST_NAMED).map(String::as_str).collect();
    format!("{}{more}", names.join(", "))
}
