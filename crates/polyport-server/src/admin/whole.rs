//! `POST /admin/api/import`: everything that another gateway had, at once. All of it is made, or nothing.

use polyport_types::Text;
use serde_json::{Map, Value, json};

use super::people::{directory_of, planned_key, planned_team, planned_user};
use super::refusal::Flaw;
use super::{Refusal, View, What, definitions};
use crate::config::definitions::Definition;
use crate::directory::Directory;
use crate::registry::People;

/// The members of a body.
pub(super) const MEMBERS: [&str; 8] =
    ["dry_run", "providers", "credentials", "pools", "routes", "teams", "users", "keys"];

/// In one call.
const MOST: usize = 100_000;

/// One that is to be made.
struct Wanted {
    list: &'static str,
    index: usize,
    name: String,
    /// It is there already.
    exists: bool,
}

pub(super) async fn answer(view: &View, mut body: Map<String, Value>) -> Result<Value, Refusal> {
    let rehearsal = match body.remove("dry_run") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(rehearsal)) => rehearsal,
        Some(_) => return Err(Refusal::member("dry_run", "true or false is expected")),
    };
    let mut reader = Reader { body, flaws: Vec::new(), left: MOST };
    let mut wanted = Vec::new();
    let mut declared: Vec<Definition> = Vec::new();
    for (list, what) in [
        ("providers", What::Provider),
        ("credentials", What::Credential),
        ("pools", What::Pool),
        ("routes", What::Route),
    ] {
        for (index, new) in reader.all(list, |entry| definitions::new(what, entry))? {
            wanted.push(Wanted { list, index, name: new.name.to_string(), exists: false });
            declared.push(Definition { id: format!("{list}/{index}").into(), ..new });
        }
    }
    let directory = directory_of(view)?;
    let mut people = People::default();
    let mut of_people = Vec::new();
    for (index, team) in reader.all("teams", planned_team)? {
        let exists = directory.teams().iter().any(|known| known.value.name == team.name);
        reader.only_once(index, "teams", people.teams.iter().any(|known| known.name == team.name));
        of_people.push(Wanted { list: "teams", index, name: team.name.clone(), exists });
        if !exists {
            people.teams.push(team);
        }
    }
    for (index, user) in reader.all("users", planned_user)? {
        let exists = directory.users().iter().any(|known| known.value.name == user.name);
        reader.only_once(index, "users", people.users.iter().any(|known| known.name == user.name));
        reader.check(index, "users", "team", user.team.as_deref(), |name| has_team(directory, &people, name));
        of_people.push(Wanted { list: "users", index, name: user.name.clone(), exists });
        if !exists {
            people.users.push(user);
        }
    }
    for (index, key) in reader.all("keys", planned_key)? {
        let exists = directory.has_digest(&key.digest) || people.keys.iter().any(|other| other.digest == key.digest);
        reader.check(index, "keys", "team", key.team.as_deref(), |name| has_team(directory, &people, name));
        reader.check(index, "keys", "user", key.user.as_deref(), |name| has_user(directory, &people, name));
        of_people.push(Wanted { list: "keys", index, name: key.name.clone(), exists });
        if !exists {
            people.keys.push(key);
        }
    }
    reader.done()?;
    let registry = definitions::registry(view)?;
    let made = registry.make_all(&view.app, declared, people, !rehearsal).await;
    let (ids, made) = made.map_err(|error| definitions::refusal(view, error))?;
    if !rehearsal {
        // It is written; that it is read again soon is seen to elsewhere.
        if let Err(error) = directory.refresh().await {
            tracing::warn!(%error, "people who were imported are not known yet");
        }
    }
    let mut results = Vec::new();
    for one in &wanted {
        let id = ids.get(&Text::from(format!("{}/{}", one.list, one.index)));
        results.push(told(one, id.is_none(), id.map(ToString::to_string)));
    }
    let of = |list: &str| match list {
        "teams" => made.teams.iter().map(|one| one.id.clone()).collect::<Vec<_>>(),
        "users" => made.users.iter().map(|one| one.id.clone()).collect(),
        _ => made.keys.iter().map(|one| one.id.clone()).collect(),
    };
    let mut ids = [of("teams").into_iter(), of("users").into_iter(), of("keys").into_iter()];
    for one in &of_people {
        let at = ["teams", "users", "keys"].iter().position(|list| *list == one.list).unwrap_or_default();
        let id = if one.exists { None } else { ids.get_mut(at).and_then(Iterator::next) };
        results.push(told(one, one.exists, id));
    }
    let created = results.iter().filter(|one| one["result"] == "created").count();
    if !rehearsal {
        tracing::info!(created, of = results.len(), "an operator moved in from elsewhere");
    }
    Ok(json!({ "dry_run": rehearsal, "created": created, "exists": results.len() - created, "results": results }))
}

fn told(one: &Wanted, exists: bool, id: Option<String>) -> Value {
    let result = if exists { "exists" } else { "created" };
    let id = id.filter(|id| !id.is_empty());
    json!({ "list": one.list, "index": one.index, "name": one.name, "result": result, "id": id })
}

fn has_team(directory: &Directory, people: &People, name: &str) -> bool {
    people.teams.iter().any(|team| team.name == name) || directory.teams().iter().any(|team| team.value.name == name)
}

fn has_user(directory: &Directory, people: &People, name: &str) -> bool {
    people.users.iter().any(|user| user.name == name) || directory.users().iter().any(|user| user.value.name == name)
}

/// Reads the lists of a body, and gathers what is wrong with their entries.
struct Reader {
    body: Map<String, Value>,
    flaws: Vec<Flaw>,
    /// How many entries may still come.
    left: usize,
}

impl Reader {
    fn all<T>(&mut self, list: &str, read: impl Fn(Value) -> Result<T, Refusal>) -> Result<Vec<(usize, T)>, Refusal> {
        let entries = match self.body.remove(list) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(Refusal::member(list, "a list is expected")),
        };
        self.left = self
            .left
            .checked_sub(entries.len())
            .ok_or_else(|| Refusal::bad_request(format!("more than {MOST} things at once; split them")))?;
        let mut good = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            match read(entry) {
                Ok(one) => good.push((index, one)),
                Err(refusal) => self.blame(list, index, refusal),
            }
        }
        Ok(good)
    }

    fn blame(&mut self, list: &str, index: usize, refusal: Refusal) {
        if refusal.errors.is_empty() {
            let pointer = Some(format!("#/{list}/{index}"));
            self.flaws.push(Flaw { pointer, detail: refusal.message, ..Flaw::default() });
            return;
        }
        self.flaws.extend(refusal.errors.into_iter().map(|flaw| {
            let within = flaw.pointer.as_deref().unwrap_or("#").trim_start_matches('#').to_owned();
            Flaw { pointer: Some(format!("#/{list}/{index}{within}")), ..flaw }
        }));
    }

    /// Whether what an entry refers to is there, or is made with it.
    fn check(&mut self, index: usize, list: &str, member: &str, name: Option<&str>, is_there: impl Fn(&str) -> bool) {
        if let Some(name) = name.filter(|name| !is_there(name)) {
            let detail = format!("there is no {member} `{}`, and none is made here", super::shown(name));
            self.flaws.push(Flaw { pointer: Some(format!("#/{list}/{index}/{member}")), detail, ..Flaw::default() });
        }
    }

    fn only_once(&mut self, index: usize, list: &str, is_given: bool) {
        if is_given {
            let pointer = Some(format!("#/{list}/{index}/name"));
            self.flaws.push(Flaw { pointer, detail: "the same name is given twice".to_owned(), ..Flaw::default() });
        }
    }

    fn done(self) -> Result<(), Refusal> {
        if self.flaws.is_empty() {
            return Ok(());
        }
        let words = match self.flaws.len() {
            1 => "a mistake, so nothing was made".to_owned(),
            many => format!("{many} mistakes, so nothing was made"),
        };
        let refusal = Refusal::new(http::StatusCode::BAD_REQUEST, "invalid", words);
        Err(Refusal { errors: self.flaws, ..refusal })
    }
}
