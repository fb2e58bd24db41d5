//! `POST /admin/api/pools/preview`: the next turns of a pool, by the router's own reckoning. Nobody is asked, and nobody's turn moves.

use std::sync::Arc;

use polyport_routing::{Fleet, Millis, Resolved, Target, Walk};
use polyport_types::Text;
use serde_json::{Map, Value, json};

use super::definitions::{new, refusal, registry};
use super::{Refusal, View, What, shown};
use crate::config::definitions::Definition;
use crate::registry::{Registry, Rejected};

/// The members of a question.
pub(super) const MEMBERS: [&str; 2] = ["pool", "turns"];

/// Turns where nobody says how many, and at most.
const TURNS: u64 = 12;
const MOST: u64 = 100;

/// What is told at most of what cannot be tried.
const LEFT_OUT: usize = 100;

pub(super) async fn answer(view: &View, asked: Map<String, Value>) -> Result<Value, Refusal> {
    let turns = match asked.get("turns") {
        None | Some(Value::Null) => TURNS,
        Some(turns) => turns
            .as_u64()
            .filter(|turns| (1..=MOST).contains(turns))
            .ok_or_else(|| Refusal::member("turns", format!("a whole number from 1 to {MOST} is expected")))?,
    };
    let Pool { resolved, name, counted } = match asked.get("pool") {
        Some(Value::String(name)) => of_name(view, name).await?,
        Some(Value::Object(definition)) => of_definition(view, definition.clone()).await?,
        _ => return Err(Refusal::member("pool", "the name of a pool is expected, or the definition of one")),
    };
    // Where all its providers are switched off it leads nowhere.
    let Some(resolved) = resolved else { return Ok(json!({ "turns": [], "excluded": [] })) };
    let of = Some(resolved.turns_of()).filter(|of| *of != &*name).unwrap_or(&counted);
    Ok(foreseen(&resolved, &view.fleet, view.fleet.turn(of), turns, view.now))
}

/// A pool, or what would be one.
struct Pool {
    /// Nothing if it leads nowhere.
    resolved: Option<Resolved>,
    /// What it is called where it was looked at.
    name: Text,
    /// The name under which its turns are counted.
    counted: Text,
}

/// The turns from `next` on, as if each request were answered before the next one comes.
fn foreseen(resolved: &Resolved, fleet: &Fleet, next: u64, turns: u64, now: Millis) -> Value {
    let first = |turn: u64| {
        let attempt = Walk::dry_at(resolved.clone(), next.wrapping_add(turn)).foresee(fleet, now, 1).pop()?;
        resolved.targets.get(attempt.target)
    };
    let told = |Target { provider, model, .. }: &Target| json!({ "provider": provider, "model": model });
    let foreseen: Vec<Value> = (0..turns).map_while(first).map(told).collect();
    let excluded = Walk::dry_at(resolved.clone(), next).excluded(fleet, now, LEFT_OUT);
    let excluded = excluded.into_iter().filter_map(|left| {
        let Target { provider, model, .. } = resolved.targets.get(left.target)?;
        let health = fleet.provider(provider);
        let key = left.credential.and_then(|index| Some(health?.roster().members().nth(index)?.name.clone()));
        let why = left.why.map_or("unknown", |why| why.as_str());
        let until = left.why.and_then(|why| why.until());
        Some(json!({ "provider": provider, "model": model, "key": key, "why": why, "until": until }))
    });
    json!({ "turns": foreseen, "excluded": excluded.collect::<Vec<_>>() })
}

/// A pool that is there.
async fn of_name(view: &View, name: &str) -> Result<Pool, Refusal> {
    let resolved = match (view.runtime.config.catalog.behind_pool(name), declared(view, name)) {
        (Some(found), _) => Some(found),
        (None, Some(one)) => {
            let one = Definition { enabled: true, ..Definition::clone(one) };
            judged(registry(view)?, one).await.map_err(|rejected| below_pool(refusal(view, rejected)))?
        }
        (None, None) => return Err(Refusal::member("pool", format!("there is no pool `{}`", shown(name)))),
    };
    Ok(Pool { resolved, name: name.into(), counted: name.into() })
}

/// One that may not be there, or be another one.
async fn of_definition(view: &View, mut members: Map<String, Value>) -> Result<Pool, Refusal> {
    if matches!(members.get("name"), None | Some(Value::Null)) {
        members.insert("name".to_owned(), free_name(view).into());
    }
    let mut one = Definition { enabled: true, ..new(What::Pool, members.into()).map_err(below_pool)? };
    let (mut name, counted) = (one.name.clone(), one.name.clone());
    if let Some(before) = declared(view, &name) {
        one.id = before.id.clone();
    }
    let registry = registry(view)?;
    let resolved = match judged(registry, one.clone()).await {
        // What the file declares stays so: beside it another one is looked at.
        Err(Rejected::Taken(_)) => {
            name = free_name(view).into();
            judged(registry, Definition { name: name.clone(), id: Text::new(), ..one }).await
        }
        other => other,
    };
    let resolved = resolved.map_err(|rejected| below_pool(refusal(view, rejected)))?;
    Ok(Pool { resolved, name, counted })
}

fn declared<'v>(view: &'v View, name: &str) -> Option<&'v Arc<Definition>> {
    let list = &view.runtime.config.declared.definitions.list;
    list.iter().find(|one| one.kind == What::Pool && *one.name == *name)
}

/// A name that nothing has.
fn free_name(view: &View) -> String {
    let catalog = &view.runtime.config.catalog;
    let taken = |name: &str| catalog.names().any(|known| **known == *name) || declared(view, name).is_some();
    let mut name = "preview".to_owned();
    while taken(&name) {
        name.push('_');
    }
    name
}

async fn judged(registry: &Registry, one: Definition) -> Result<Option<Resolved>, Rejected> {
    let name = one.name.clone();
    Ok(registry.rehearse(one).await?.catalog.behind_pool(&name))
}

/// The definition stands in a member of the body.
fn below_pool(mut refusal: Refusal) -> Refusal {
    for pointer in refusal.errors.iter_mut().filter_map(|flaw| flaw.pointer.as_mut()) {
        let rest = pointer.strip_prefix("#").unwrap_or(pointer);
        *pointer = format!("#/pool{rest}");
    }
    refusal
}
