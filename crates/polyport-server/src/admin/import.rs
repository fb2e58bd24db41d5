//! `POST /admin/api/credentials/import`: many keys or accounts at once, each with its result.

use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde_json::{Map, Value, json};

use super::{Query, Refusal, View, What, bytes_of, definitions, json_of, members};
use crate::config::definitions::{Definition, path_within};
use crate::registry::Imported;

/// In one call.
const MOST: usize = 10_000;

/// What other programs export of an account that has no meaning here.
const OF_OTHERS: [&str; 5] = ["api_key", "id_token", "total_limit", "used_limit", "status"];

/// One thing to import: what it would be, or why it cannot be anything.
pub(super) struct Item {
    made: Result<Definition, String>,
    ignored: Vec<&'static str>,
}

pub(super) async fn answer(
    view: &View,
    query: &Query,
    head: &Parts,
    body: hyper::body::Incoming,
) -> Result<Value, Refusal> {
    let bytes = bytes_of(view, head, body).await?;
    let as_text = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let (entries, provider) = if as_text {
        let text = std::str::from_utf8(&bytes).map_err(|_| Refusal::bad_request("the body is not UTF-8 text"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        (lines.map(Value::from).collect(), None)
    } else {
        listed(json_of(view, &bytes)?)?
    };
    if entries.is_empty() {
        return Err(Refusal::bad_request("there is nothing to import"));
    }
    let provider = query.get("provider").map(str::to_owned).or(provider);
    let items = entries.into_iter().map(|entry| item("key", provider.as_deref(), entry)).collect();
    let results = run(view, items).await?;
    let count = |word: &str| results.iter().filter(|one| one["result"] == word).count();
    let (created, duplicates, invalid) = (count("created"), count("duplicate"), count("invalid"));
    Ok(json!({ "created": created, "duplicates": duplicates, "invalid": invalid, "results": results }))
}

/// What these would be as accounts.
pub(super) fn accounts(provider: Option<&str>, entries: Vec<Value>) -> Vec<Item> {
    entries.into_iter().map(|entry| item("refresh_token", provider, entry)).collect()
}

/// Imports them; tells of each what became of it.
pub(super) async fn run(view: &View, items: Vec<Item>) -> Result<Vec<Value>, Refusal> {
    if items.len() > MOST {
        return Err(Refusal::bad_request(format!("more than {MOST} at once; split them")));
    }
    let registry = definitions::registry(view)?;
    let good = items.iter().filter_map(|item| item.made.as_ref().ok().cloned()).collect();
    let mut outcomes =
        registry.import(&view.app, good).await.map_err(|error| definitions::refusal(view, error))?.into_iter();
    let mut results = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let mut shown = json!({ "index": at });
        let outcome = match item.made {
            Ok(_) => outcomes.next().ok_or_else(|| "it got lost".to_owned()),
            Err(why) => Err(why),
        };
        let more = match outcome {
            Ok(Imported::Created(made)) => json!({ "result": "created", "id": made.id, "label": made.name }),
            Ok(Imported::Duplicate) => json!({ "result": "duplicate" }),
            Ok(Imported::Invalid(new, problems)) => {
                let problem = problems.first();
                let path = problem.map(|problem| path_within(&new, &problem.path)).unwrap_or_default();
                let message = problem.map(|problem| problem.message.clone()).unwrap_or_default();
                json!({ "result": "invalid", "path": path, "message": message })
            }
            Err(why) => json!({ "result": "invalid", "message": why }),
        };
        super::extend(&mut shown, more);
        if !item.ignored.is_empty() {
            super::extend(&mut shown, json!({ "ignored": item.ignored }));
        }
        results.push(shown);
    }
    let created = results.iter().filter(|one| one["result"] == "created").count();
    tracing::info!(created, of = results.len(), "an operator imported credentials");
    Ok(results)
}

/// The entries of a body, and the provider it names for all.
fn listed(body: Value) -> Result<(Vec<Value>, Option<String>), Refusal> {
    if let Value::Array(entries) = body {
        return Ok((entries, None));
    }
    let mut members = members(body, &["provider", "credentials", "accounts", "tokens", "keys"])?;
    let provider = match members.remove("provider") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(Refusal::member("provider", "a text is expected")),
    };
    let mut entries = Vec::new();
    for (name, list) in members {
        match list {
            Value::Array(list) => entries.extend(list),
            Value::Null => {}
            _ => return Err(Refusal::member(&name, "a list is expected")),
        }
    }
    Ok((entries, provider))
}

/// Whose accounts are meant where nobody says it.
pub(super) fn only_one_with_accounts(view: &View) -> Option<String> {
    let mut names = view.runtime.config.providers().filter(|provider| provider.takes_accounts());
    let only = names.next()?;
    names.next().is_none().then(|| only.name.to_string())
}

/// `member` is what a text alone is.
fn item(member: &str, provider: Option<&str>, entry: Value) -> Item {
    let mut ignored = Vec::new();
    let members = match entry {
        Value::String(text) => {
            let secret = text.trim().trim_matches(['"', '\'']).to_owned();
            Map::from_iter([(member.to_owned(), Value::from(secret))])
        }
        Value::Object(mut members) => {
            if let Some(email) = members.remove("email").filter(|email| !email.is_null()) {
                members.entry("name").or_insert(email);
            }
            if members.contains_key("refresh_token") {
                ignored = OF_OTHERS.into_iter().filter(|name| members.remove(*name).is_some()).collect();
            }
            members
        }
        _ => return Item { made: Err("a text or an object is expected".to_owned()), ignored },
    };
    let mut members = members;
    if let Some(provider) = provider {
        members.entry("provider").or_insert_with(|| provider.into());
    }
    Item { made: definitions::new(What::Credential, members.into()).map_err(|refusal| refusal.message), ignored }
}
