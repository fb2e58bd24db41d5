//! `/admin/api/settings` and `/admin/api/configuration`: what is set, who says so, and changing what the database may say.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::definitions::{refusal, registry};
use super::refusal::Flaw;
use super::{Answer, Refusal, View};
use crate::config::leaves::{is_editable, leaf};
use crate::config::mask::address;
use crate::config::settings::{self, HOOKS, Owner, each, path_of, prune};
use crate::config::{Place, Problem, Problems};
use crate::registry::{Rejected, merge};
use crate::tasks;

/// All settings as they are in force.
pub(super) fn all(view: &View) -> Answer {
    let config = &view.runtime.config;
    let shown = settings::shown(config).into_iter().map(|one| {
        let (leaf, owner) = (one.leaf, one.owner);
        json!({
            "path": leaf.path,
            "value": one.value,
            "default": leaf.default,
            "owner": owner.as_str(),
            "kind": leaf.form.as_str(),
            "words": leaf.words,
            "about": leaf.about,
            "restart": leaf.restart,
            "editable": leaf.editable && matches!(owner, Owner::Database | Owner::Default),
        })
    });
    let value = json!({
        "revision": config.declared.definitions.settings.revision,
        "settings": shown.collect::<Vec<_>>(),
        "problems": problems(view).into_iter().map(|(_, problem)| problem).collect::<Vec<_>>(),
    });
    Answer { single: true, ..value.into() }
}

/// What the database says of settings and is not in force, with the paths.
pub(super) fn problems(view: &View) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (id, standing) in &view.runtime.config.declared.out {
        let Some(path) = path_of(id) else { continue };
        all.extend(standing.problems().iter().map(|problem| (path.to_owned(), told(problem))));
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

fn told(problem: &Problem) -> Value {
    json!({ "path": problem.path, "message": problem.message, "remedy": problem.remedy })
}

/// Changes what the database says, with a merge patch in the words of the configuration file.
pub(super) async fn change(view: &View, revision: Option<i64>, patch: Value) -> Result<Answer, Refusal> {
    let Value::Object(_) = &patch else { return Err(Refusal::bad_request("the body must be a JSON object")) };
    let given = each(&patch).into_iter().map(|(path, value)| (path.clone(), settings::shown_of(&path, value)));
    *view.given.lock() = json!({ "changed_settings": given.collect::<Map<_, _>>() });
    may_be_set(view, &patch)?;
    let changed = |before: &Value| {
        let mut after = if before.is_object() { before.clone() } else { Value::Object(Map::new()) };
        let patch = with_hidden(before, patch);
        merge(&mut after, patch);
        prune(&mut after);
        Ok::<_, Rejected>(after)
    };
    let done = registry(view)?.set(&view.app, revision, changed).await;
    done.map_err(|rejected| refusal(view, rejected))?;
    tracing::info!("an operator changed settings");
    Ok(all(&View::of(&view.app)))
}

pub(super) fn mistaken(problems: &[Problem]) -> Refusal {
    let first = problems.first().map(|problem| {
        let remedy = if problem.remedy.is_empty() { String::new() } else { format!("; {}", problem.remedy) };
        format!("{}: {}{remedy}", problem.path, problem.message)
    });
    let errors = problems.iter().map(|problem| Flaw {
        pointer: Some(super::refusal::pointer(&problem.path)),
        detail: problem.message.clone(),
        remedy: problem.remedy.clone(),
        ..Flaw::default()
    });
    let refusal = Refusal::new(StatusCode::BAD_REQUEST, "invalid", first.unwrap_or_default());
    Refusal { errors: errors.collect(), ..refusal }
}

/// Refuses what is said elsewhere, and what only the configuration file may say.
fn may_be_set(view: &View, patch: &Value) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    for (path, value) in each(patch) {
        let known = leaf(&path).is_some() || ["providers", "pools", "routes"].contains(&path.as_str());
        if value.is_null() || !known {
            continue;
        }
        let words = if is_editable(&path) {
            match settings::owner(&view.runtime.config, &path) {
                (Owner::Database | Owner::Default, _) => continue,
                (_, place) => elsewhere(&place),
            }
        } else if leaf(&path).is_some() {
            "it is set in the configuration file or by an environment variable only".to_owned()
        } else {
            format!("{path} are no settings: see /admin/api/{path}")
        };
        let pointer = Some(super::refusal::pointer(&path));
        errors.push((path, Flaw { pointer, detail: words, ..Flaw::default() }));
    }
    let Some((path, first)) = errors.first() else { return Ok(()) };
    let words = format!("{path}: {}", first.detail);
    let refusal = Refusal::new(StatusCode::CONFLICT, "declared_elsewhere", words);
    Err(Refusal { errors: errors.into_iter().map(|(_, flaw)| flaw).collect(), ..refusal })
}

fn elsewhere(place: &Place) -> String {
    match place {
        Place::File { path, line, .. } => {
            format!("it is set in {} (line {line}), which wins; change it there", path.display())
        }
        Place::Env(name) => format!("it is set by the environment variable {name}, which wins; change it there"),
        Place::Argument(name) => format!("it is set by {name} of the command line; change it there"),
        Place::Profile(name) => format!("it is set by the profile {name}; set it in the configuration file"),
        Place::Database(_) | Place::Default => "it is set elsewhere".to_owned(),
    }
}

/// Of hooks, what is sent as it was shown stays as it was.
fn with_hidden(before: &Value, mut patch: Value) -> Value {
    let find = |value: &Value| HOOKS.iter().try_fold(value.clone(), |value, key| value.get(key).cloned());
    let Some(Value::Array(known)) = find(before) else { return patch };
    let [section, list] = HOOKS;
    let hooks = patch.get_mut(section).and_then(|section| section.get_mut(list)).and_then(Value::as_array_mut);
    for hook in hooks.into_iter().flatten() {
        let Some(known) = known.iter().find(|known| known.get("name") == hook.get("name")) else { continue };
        for (member, shown) in [
            ("url", known.get("url").and_then(Value::as_str).and_then(|url| address(url, true))),
            ("secret", known.get("secret").and_then(Value::as_str).map(crate::config::mask::hidden)),
        ] {
            if let (Some(shown), Some(given)) = (shown, hook.get_mut(member))
                && given.as_str() == Some(&shown)
                && let Some(held) = known.get(member)
            {
                *given = held.clone();
            }
        }
    }
    patch
}

/// The configuration as it was written.
pub(super) async fn configuration(view: &View) -> Result<Value, Refusal> {
    let live = registry(view)?.live();
    let reload = live.last_reload();
    let read_at = reload.at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let Problems(problems) = reload.problems.unwrap_or_default();
    let problems: Vec<Value> = problems
        .iter()
        .map(|problem| {
            let mut shown = told(problem);
            super::extend(&mut shown, json!({ "place": problem.place.to_string() }));
            shown
        })
        .collect();
    let mut owners: Map<String, Value> = Owner::ALL.iter().map(|word| ((*word).to_owned(), 0.into())).collect();
    for one in settings::shown(&view.runtime.config) {
        let count = owners.entry(one.owner.as_str()).or_insert(0.into());
        *count = (count.as_u64().unwrap_or(0) + 1).into();
    }
    let source = Arc::clone(live);
    let written = tasks::off_worker(move || source.seen()).await.unwrap_or_default();
    Ok(json!({
        "path": written.path,
        "text": written.text,
        "reason": written.reason,
        "read_at": read_at,
        "problems": problems,
        "owners": owners,
    }))
}
