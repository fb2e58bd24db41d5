//! Teams, users and the keys of their programs: listing, making, changing, replacing and deleting them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::Timestamp;
use polyport_store::people::KeyFilter;
use polyport_store::{ClientKey, Error, Role, Stored, Team, User};
use polyport_types::secret::mask;
use serde_json::{Map, Value, json};

use super::query::cursor;
use super::{Answer, Query, ROOT, Refusal, View, extend, members, shown};
use crate::directory::rules::{self, Rules};
use crate::directory::{Directory, digest, now};
use crate::identity::principal::Scope;

/// What can be asked about people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    List,
    One,
    Create,
    Change,
    Delete,
    Switch(bool),
    /// Gives a key another text.
    Rotate,
}

/// Of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Teams,
    Users,
    Keys,
}

impl Kind {
    fn list(self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Users => "users",
            Self::Keys => "keys",
        }
    }

    pub(super) fn members(self) -> &'static [&'static str] {
        match self {
            Self::Teams => &["name", "enabled", "models", "pools", "protocols", "networks", "limits", "capture"],
            Self::Users => {
                &["name", "enabled", "models", "pools", "protocols", "networks", "limits", "capture", "team", "role"]
            }
            Self::Keys => &[
                "name",
                "enabled",
                "models",
                "pools",
                "protocols",
                "networks",
                "limits",
                "capture",
                "team",
                "user",
                "expires_at",
            ],
        }
    }
}

/// How long the text before the present one stays good, in seconds, where nobody says; and at most.
const OVERLAP: i64 = 24 * 3600;
const LONGEST_OVERLAP: i64 = 90 * 24 * 3600;

/// Longest name, in bytes.
pub(super) const LONGEST_NAME: usize = 200;

pub(super) async fn answer(
    view: &View,
    kind: Kind,
    ask: Ask,
    id: &str,
    query: &Query,
    revision: Option<i64>,
    body: Value,
) -> Result<Answer, Refusal> {
    let desk = Desk { directory: directory_of(view)?, kind, scope: view.principal.scope() };
    match ask {
        Ask::List => desk.list(query).await.map(Into::into),
        Ask::One => desk.one(id).await.map(Into::into),
        Ask::Create => desk.create(members(body, kind.members())?).await,
        Ask::Change => desk.change(id, revision, members(body, kind.members())?).await.map(Into::into),
        Ask::Switch(on) => {
            members(body, &[])?;
            let change = Map::from_iter([("enabled".to_owned(), Value::Bool(on))]);
            desk.change(id, None, change).await.map(Into::into)
        }
        Ask::Delete => desk.delete(id, revision).await.map(Into::into),
        Ask::Rotate => desk.rotate(id, revision, &members(body, &["overlap_seconds"])?).await.map(Into::into),
    }
}

pub(super) fn directory_of(view: &View) -> Result<&Directory, Refusal> {
    view.app.directory.as_ref().ok_or_else(|| {
        let words = "there is no database to keep users and keys in: set `store.url`, or declare keys in `access.keys`";
        Refusal::new(StatusCode::CONFLICT, "no_database", words)
    })
}

/// The user of this id or name, if whoever asks may see them.
pub(super) fn user_in_scope(view: &View, name: &str) -> Result<Stored<User>, Refusal> {
    let desk = Desk { directory: directory_of(view)?, kind: Kind::Users, scope: view.principal.scope() };
    desk.find_user(name).ok_or_else(|| desk.unknown(name))
}

struct Desk<'a> {
    directory: &'a Directory,
    kind: Kind,
    /// Whose things are there for whoever asks.
    scope: Scope,
}

impl Desk<'_> {
    async fn list(&self, query: &Query) -> Result<Value, Refusal> {
        let (limit, after) = (query.limit(), query.after()?.map(|(_, id)| id));
        // One more, to see whether there is another page.
        let wanted = limit + 1;
        let mut page: Vec<Value> = match self.kind {
            Kind::Keys => {
                let of = |name: &str, find: &dyn Fn(&str) -> Option<String>| match query.get(name) {
                    None => Ok(None),
                    Some(of) => id_of(name, find(of)).map(Some),
                };
                let (own, within) = match &self.scope {
                    Scope::All => (None, None),
                    Scope::Team(team) => (None, Some(team.clone())),
                    Scope::User(user) => (Some(user.clone()), None),
                    Scope::Nothing => return Ok(json!({ "keys": [], "next": null })),
                };
                let filter = KeyFilter {
                    user: of("user", &|name| self.find_user(name).map(|user| user.id))?.or(own),
                    team: of("team", &|name| self.find_team(name).map(|team| team.id))?,
                    within,
                    enabled: query.flag("enabled"),
                    name: query.get("q").map(str::to_owned),
                    after,
                };
                let keys = self.directory.store().client_keys().page(&filter, wanted).await.map_err(refusal)?;
                keys.iter().map(|key| self.shown_key(key)).collect()
            }
            Kind::Teams => {
                let teams = self.directory.teams();
                let wanted = teams
                    .iter()
                    .filter(|team| self.scope.holds_team(&team.id))
                    .filter(|team| fits(query, after.as_deref(), &team.id, &team.value.name))
                    .take(wanted as usize);
                wanted.map(|team| self.shown_team(team)).collect()
            }
            Kind::Users => {
                let team = match query.get("team") {
                    None => None,
                    Some(name) => Some(id_of("team", self.find_team(name).map(|team| team.id))?),
                };
                let users = self.directory.users();
                let of_team = |user: &&Stored<User>| team.is_none() || user.value.team == team;
                let wanted = users
                    .iter()
                    .filter(of_team)
                    .filter(|user| self.scope.holds_user(user))
                    .filter(|user| fits(query, after.as_deref(), &user.id, &user.value.name))
                    .take(wanted as usize);
                wanted.map(|user| self.shown_user(user)).collect()
            }
        };
        let more = page.len() > limit as usize;
        page.truncate(limit as usize);
        let last = page.last().filter(|_| more).and_then(|last| last["id"].as_str());
        let next = last.map(|id| cursor(0, id));
        Ok(json!({ self.kind.list(): page, "next": next }))
    }

    async fn one(&self, id: &str) -> Result<Value, Refusal> {
        let found = match self.kind {
            Kind::Teams => self.find_team(id).map(|team| self.shown_team(&team)),
            Kind::Users => self.find_user(id).map(|user| self.shown_user(&user)),
            Kind::Keys => return Ok(self.shown_key(&self.key(id).await?)),
        };
        found.ok_or_else(|| self.unknown(id))
    }

    fn unknown(&self, id: &str) -> Refusal {
        Refusal::not_found(format!("there is no `{}` among the {}", shown(id), self.kind.list()))
    }

    async fn key(&self, id: &str) -> Result<Stored<ClientKey>, Refusal> {
        match self.directory.store().client_keys().get(id).await {
            Err(Error::NotFound { .. }) => Err(self.unknown(id)),
            Ok(key) if !self.scope.holds_key(&key.value, self.directory) => Err(self.unknown(id)),
            found => found.map_err(refusal),
        }
    }

    /// By its id or its name. What is not in the scope is not there.
    fn find_team(&self, name: &str) -> Option<Stored<Team>> {
        let found = self.directory.team(name);
        let found = found.or_else(|| self.directory.teams().into_iter().find(|team| team.value.name == name));
        found.filter(|team| self.scope.holds_team(&team.id))
    }

    /// By their id or their name.
    fn find_user(&self, name: &str) -> Option<Stored<User>> {
        let found = self.directory.user(name);
        let found = found.or_else(|| self.directory.users().into_iter().find(|user| user.value.name == name));
        found.filter(|user| self.scope.holds_user(user))
    }

    /// What is made by those who may not do everything belongs to them, or to their team.
    fn owned(&self, mut key: ClientKey) -> Result<ClientKey, Refusal> {
        if key.user.is_none() && key.team.is_none() {
            match &self.scope {
                Scope::User(user) => key.user = Some(user.clone()),
                Scope::Team(team) => key.team = Some(team.clone()),
                Scope::All | Scope::Nothing => {}
            }
        }
        check_owner(&key)?;
        match self.scope.holds_key(&key, self.directory) {
            true => Ok(key),
            false => Err(not_allowed("you may not give a key to others")),
        }
    }

    /// Managers see to the members of their team: not to their own rights, nor those of their like.
    fn check_user(&self, before: Option<&User>, after: &User) -> Result<(), Refusal> {
        let Scope::Team(team) = &self.scope else {
            return if self.scope == Scope::All { Ok(()) } else { Err(not_allowed("you may not change users")) };
        };
        let own = |user: &User| user.team.as_ref() == Some(team) && user.role == Role::Member;
        match before.is_none_or(own) && own(after) {
            true => Ok(()),
            false => Err(not_allowed("a manager makes and changes members of their own team")),
        }
    }

    /// What is checked of a user who is made or changed.
    fn check_new_user(&self, before: Option<&User>, after: &User) -> Result<(), Refusal> {
        if after.role == Role::Manager && after.team.is_none() {
            return Err(wrong("role", "a manager sees to a team: give `team` as well"));
        }
        self.check_user(before, after)
    }

    async fn create(&self, body: Map<String, Value>) -> Result<Answer, Refusal> {
        let store = self.directory.store();
        let name = name(&body)?.ok_or_else(|| wrong("name", "is needed"))?;
        let enabled = enabled(&body)?.unwrap_or(true);
        let definition = definition(&json!({}), &body)?;
        let made = match self.kind {
            Kind::Teams => {
                let made = store.teams().create(Team { name, enabled, definition }).await.map_err(refusal)?;
                self.refresh().await?;
                self.shown_team(&made)
            }
            Kind::Users => {
                let own = match &self.scope {
                    Scope::Team(team) => Some(team.clone()),
                    Scope::All | Scope::User(_) | Scope::Nothing => None,
                };
                let team = self.team_of(&body)?.unwrap_or(own);
                let user = User { name, enabled, team, role: role(&body)?.unwrap_or_default(), definition };
                self.check_new_user(None, &user)?;
                let made = store.users().create(user).await.map_err(refusal)?;
                self.refresh().await?;
                self.shown_user(&made)
            }
            Kind::Keys => {
                let (text, shown) = new_key();
                let key = ClientKey {
                    name,
                    enabled,
                    user: self.user_of(&body)?.unwrap_or_default(),
                    team: self.team_of(&body)?.unwrap_or_default(),
                    digest: digest(&text),
                    shown,
                    previous: None,
                    previous_until: None,
                    expires_at: expires_at(&body)?.unwrap_or_default(),
                    definition,
                };
                let key = self.owned(key)?;
                let made = store.client_keys().create(key).await.map_err(refusal)?;
                self.refresh().await?;
                let mut told = self.shown_key(&made);
                extend(&mut told, json!({ "key": text }));
                told
            }
        };
        let id = made["id"].as_str().unwrap_or_default().to_owned();
        tracing::info!(kind = self.kind.list(), %id, "an operator made something");
        let location = format!("{ROOT}{}/{id}", self.kind.list());
        Ok(Answer { status: StatusCode::CREATED, location: Some(location), ..made.into() })
    }

    async fn change(&self, id: &str, revision: Option<i64>, body: Map<String, Value>) -> Result<Value, Refusal> {
        let store = self.directory.store();
        let (name, enabled) = (name(&body)?, enabled(&body)?);
        let changed = match self.kind {
            Kind::Teams => {
                let before = self.find_team(id).ok_or_else(|| self.unknown(id))?;
                let Team { name: was, enabled: on, definition: said } = &before.value;
                let team = Team {
                    name: name.unwrap_or_else(|| was.clone()),
                    enabled: enabled.unwrap_or(*on),
                    definition: definition(said, &body)?,
                };
                let changed = store.teams().update(&before.id, revision.unwrap_or(before.revision), team).await;
                let changed = changed.map_err(refusal)?;
                self.refresh().await?;
                self.shown_team(&changed)
            }
            Kind::Users => {
                let before = self.find_user(id).ok_or_else(|| self.unknown(id))?;
                let User { name: was, enabled: on, team, role: had, definition: said } = &before.value;
                let user = User {
                    name: name.unwrap_or_else(|| was.clone()),
                    enabled: enabled.unwrap_or(*on),
                    team: self.team_of(&body)?.unwrap_or_else(|| team.clone()),
                    role: role(&body)?.unwrap_or(*had),
                    definition: definition(said, &body)?,
                };
                self.check_new_user(Some(&before.value), &user)?;
                let changed = store.users().change(&before.id, revision.unwrap_or(before.revision), user).await;
                let changed = changed.map_err(refusal)?;
                self.refresh().await?;
                self.shown_user(&changed)
            }
            Kind::Keys => {
                let before = self.key(id).await?;
                let key = ClientKey {
                    name: name.unwrap_or_else(|| before.value.name.clone()),
                    enabled: enabled.unwrap_or(before.value.enabled),
                    user: self.user_of(&body)?.unwrap_or_else(|| before.value.user.clone()),
                    team: self.team_of(&body)?.unwrap_or_else(|| before.value.team.clone()),
                    expires_at: expires_at(&body)?.unwrap_or(before.value.expires_at),
                    definition: definition(&before.value.definition, &body)?,
                    ..before.value.clone()
                };
                let key = self.owned(key)?;
                self.replace(&before, revision, key).await?
            }
        };
        tracing::info!(kind = self.kind.list(), id, "an operator changed something");
        Ok(changed)
    }

    async fn replace(
        &self,
        before: &Stored<ClientKey>,
        revision: Option<i64>,
        key: ClientKey,
    ) -> Result<Value, Refusal> {
        let keys = self.directory.store().client_keys();
        let changed = keys.update(&before.id, revision.unwrap_or(before.revision), key).await.map_err(refusal)?;
        self.refresh().await?;
        Ok(self.shown_key(&changed))
    }

    /// Gives a key another text; the one before stays good for a time, so that its programs can be changed one after the other.
    async fn rotate(&self, id: &str, revision: Option<i64>, body: &Map<String, Value>) -> Result<Value, Refusal> {
        let overlap = match body.get("overlap_seconds") {
            None => OVERLAP,
            Some(given) => given
                .as_i64()
                .filter(|seconds| (0..=LONGEST_OVERLAP).contains(seconds))
                .ok_or_else(|| wrong("overlap_seconds", &format!("must be a number from 0 to {LONGEST_OVERLAP}")))?,
        };
        let before = self.key(id).await?;
        let (text, shown) = new_key();
        let key = ClientKey {
            digest: digest(&text),
            shown,
            previous: Some(before.value.digest.clone()).filter(|_| overlap > 0),
            previous_until: Some(now().saturating_add(overlap * 1000)).filter(|_| overlap > 0),
            ..before.value.clone()
        };
        let mut told = self.replace(&before, revision, key).await?;
        extend(&mut told, json!({ "key": text }));
        tracing::info!(id, overlap, "an operator gave a key another text");
        Ok(told)
    }

    async fn delete(&self, id: &str, revision: Option<i64>) -> Result<Value, Refusal> {
        let store = self.directory.store();
        let needed = |keys: usize, users: usize| {
            let words =
                format!("{keys} keys and {users} users belong to it; delete them first, or give them to others");
            Err(Refusal::new(StatusCode::CONFLICT, "referenced", words))
        };
        let gone = match self.kind {
            Kind::Teams => {
                let team = self.find_team(id).ok_or_else(|| self.unknown(id))?;
                let of_team = |user: &Stored<User>| user.value.team.as_deref() == Some(&*team.id);
                let users = self.directory.users().iter().filter(|user| of_team(user)).count();
                let keys = self.directory.keys_of(None, Some(&team.id));
                if keys + users > 0 {
                    return needed(keys, users);
                }
                store.teams().delete(&team.id, revision).await.map_err(refusal)?;
                team.id
            }
            Kind::Users => {
                let user = self.find_user(id).ok_or_else(|| self.unknown(id))?;
                self.check_user(Some(&user.value), &user.value)?;
                let keys = self.directory.keys_of(Some(&user.id), None);
                if keys > 0 {
                    return needed(keys, 0);
                }
                store.users().remove(&user.id, revision).await.map_err(refusal)?;
                user.id
            }
            Kind::Keys => {
                let key = self.key(id).await?;
                store.client_keys().delete(&key.id, revision).await.map_err(refusal)?;
                key.id
            }
        };
        self.refresh().await?;
        tracing::info!(kind = self.kind.list(), id = %gone, "an operator deleted something");
        Ok(json!({ "deleted": true, "id": gone }))
    }

    /// From here on requests see what was changed.
    async fn refresh(&self) -> Result<(), Refusal> {
        self.directory.refresh().await.map_err(refusal)
    }

    /// The id of the team that a body names; `None` if it names none, nothing inside if it wants none.
    fn team_of(&self, body: &Map<String, Value>) -> Result<Option<Option<String>>, Refusal> {
        referred(body, "team", |name| self.find_team(name).map(|team| team.id))
    }

    fn user_of(&self, body: &Map<String, Value>) -> Result<Option<Option<String>>, Refusal> {
        referred(body, "user", |name| self.find_user(name).map(|user| user.id))
    }

    fn shown_team(&self, team: &Stored<Team>) -> Value {
        let mut told = head(team, &team.value.name, team.value.enabled, &team.value.definition);
        let users = self.directory.users();
        let users = users.iter().filter(|user| user.value.team.as_deref() == Some(&*team.id)).count();
        extend(&mut told, json!({ "users": users, "keys": self.directory.keys_of(None, Some(&team.id)) }));
        told
    }

    fn shown_user(&self, user: &Stored<User>) -> Value {
        let mut told = head(user, &user.value.name, user.value.enabled, &user.value.definition);
        let team = user.value.team.as_deref().map(|id| self.named_team(id));
        extend(
            &mut told,
            json!({ "role": user.value.role.as_str(), "team": team, "keys": self.directory.keys_of(Some(&user.id), None) }),
        );
        told
    }

    fn named_team(&self, id: &str) -> Value {
        named(id, self.directory.team(id).as_ref().map(|team| &*team.value.name))
    }

    fn shown_key(&self, key: &Stored<ClientKey>) -> Value {
        let ClientKey { name, enabled, user, team, shown, previous_until, expires_at, definition, .. } = &key.value;
        let mut told = head(key, name, *enabled, definition);
        let user = user.as_deref().map(|id| named(id, self.directory.user(id).as_ref().map(|user| &*user.value.name)));
        let team = team.as_deref().map(|id| self.named_team(id));
        let overlap = previous_until.filter(|until| *until > now());
        let more = json!({
            "masked": shown, "user": user, "team": team, "expires_at": expires_at, "previous_good_until": overlap,
            "expired": expires_at.is_some_and(|at| at <= now()),
        });
        extend(&mut told, more);
        told
    }
}

/// What everything has.
fn head<T>(stored: &Stored<T>, name: &str, enabled: bool, definition: &Value) -> Value {
    let mut told = json!({
        "id": stored.id, "revision": stored.revision, "created_at": stored.created_at, "updated_at": stored.updated_at,
        "name": name, "enabled": enabled,
    });
    let rules = definition.as_object().and_then(|members| Rules::read(members).ok()).unwrap_or_default();
    extend(&mut told, rules.shown());
    told
}

fn named(id: &str, name: Option<&str>) -> Value {
    json!({ "id": id, "name": name })
}

/// Whether one is on the page that a query asks for.
fn fits(query: &Query, after: Option<&str>, id: &str, name: &str) -> bool {
    after.is_none_or(|after| id > after) && query.finds(name)
}

fn id_of(what: &str, found: Option<String>) -> Result<String, Refusal> {
    found.ok_or_else(|| Refusal::parameter(what, "there is none of this id or name"))
}

/// 256 random bits, and what may be shown of them.
fn new_key() -> (String, String) {
    let text = format!("pp-{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let begin: String = text.chars().take(7).collect();
    let end: String = text.chars().skip(text.len().saturating_sub(4)).collect();
    let shown = format!("{begin}…{end}");
    (text, shown)
}

fn wrong(member: &str, what: &str) -> Refusal {
    Refusal { code: "invalid", ..Refusal::member(member, what) }
}

fn name(body: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    let Some(given) = body.get("name") else { return Ok(None) };
    checked_name(given.as_str().unwrap_or_default()).map(Some)
}

/// A name that people can read.
pub(super) fn checked_name(given: &str) -> Result<String, Refusal> {
    let name = given.trim();
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let what = format!("must be a text of 1 to {LONGEST_NAME} bytes without control characters");
        return Err(wrong("name", &what));
    }
    Ok(name.to_owned())
}

/// What those are told who may see something, but not change it in this way.
fn not_allowed(words: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "not_allowed", words)
}

fn role(body: &Map<String, Value>) -> Result<Option<Role>, Refusal> {
    match body.get("role") {
        None => Ok(None),
        Some(given) => match given.as_str().and_then(Role::named) {
            Some(role) => Ok(Some(role)),
            None => Err(wrong("role", &format!("give one of {}", Role::ALL.map(Role::as_str).join(", ")))),
        },
    }
}

fn enabled(body: &Map<String, Value>) -> Result<Option<bool>, Refusal> {
    match body.get("enabled") {
        None => Ok(None),
        Some(Value::Bool(on)) => Ok(Some(*on)),
        Some(_) => Err(wrong("enabled", "must be true or false")),
    }
}

/// When a key expires: Unix milliseconds, or a time as RFC 3339 writes it.
fn expires_at(body: &Map<String, Value>) -> Result<Option<Option<i64>>, Refusal> {
    let at = match body.get("expires_at") {
        None => return Ok(None),
        Some(Value::Null) => return Ok(Some(None)),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse::<Timestamp>().ok().map(Timestamp::as_millisecond),
        Some(_) => None,
    };
    match at {
        // A number of seconds would lie in 1970.
        Some(at) if at > now() => Ok(Some(Some(at))),
        Some(_) => Err(wrong("expires_at", "lies in the past (Unix milliseconds, or 2027-01-31T12:00:00Z)")),
        None => Err(wrong("expires_at", "must be Unix milliseconds, a time like 2027-01-31T12:00:00Z, or null")),
    }
}

/// What is allowed from now on: what a body says, and for the rest what was said before.
fn definition(before: &Value, body: &Map<String, Value>) -> Result<Value, Refusal> {
    let mut all = before.as_object().cloned().unwrap_or_default();
    for member in rules::MEMBERS {
        if let Some(value) = body.get(member) {
            all.insert(member.to_owned(), value.clone());
        }
    }
    let rules = Rules::read(&all).map_err(|(member, what)| wrong(&member, &what))?;
    Ok(rules.shown())
}

/// What a member refers to by id or name; nothing inside for null.
fn referred(
    body: &Map<String, Value>,
    member: &str,
    find: impl Fn(&str) -> Option<String>,
) -> Result<Option<Option<String>>, Refusal> {
    match body.get(member) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(Value::String(name)) => match find(name) {
            Some(id) => Ok(Some(Some(id))),
            None => Err(wrong(member, &format!("there is none of the id or name `{}`", shown(name)))),
        },
        Some(_) => Err(wrong(member, "must be an id or a name, or null")),
    }
}

/// A user's key belongs to the user's team.
fn check_owner(key: &ClientKey) -> Result<(), Refusal> {
    match (&key.user, &key.team) {
        (Some(_), Some(_)) => {
            Err(wrong("team", "a key that belongs to a user belongs to the user's team; give one of the two"))
        }
        _ => Ok(()),
    }
}

/// What a body of [`super::whole`] asks to be made; teams and users go by their names.
pub(super) fn planned_team(body: Value) -> Result<Team, Refusal> {
    let body = members(body, Kind::Teams.members())?;
    Ok(Team {
        name: name(&body)?.ok_or_else(|| wrong("name", "is needed"))?,
        enabled: enabled(&body)?.unwrap_or(true),
        definition: definition(&json!({}), &body)?,
    })
}

/// The same of a user.
pub(super) fn planned_user(body: Value) -> Result<User, Refusal> {
    let body = members(body, Kind::Users.members())?;
    let user = User {
        name: name(&body)?.ok_or_else(|| wrong("name", "is needed"))?,
        enabled: enabled(&body)?.unwrap_or(true),
        team: referred(&body, "team", |name| Some(name.to_owned()))?.unwrap_or_default(),
        role: role(&body)?.unwrap_or_default(),
        definition: definition(&json!({}), &body)?,
    };
    if user.role == Role::Manager && user.team.is_none() {
        return Err(wrong("role", "a manager sees to a team: give `team` as well"));
    }
    Ok(user)
}

/// Shortest key of a client that is taken over from elsewhere, in characters.
const SHORTEST_KEY: usize = 8;

/// The same of a key, whose text clients have already.
pub(super) fn planned_key(body: Value) -> Result<ClientKey, Refusal> {
    let Value::Object(mut all) = body else { return Err(Refusal::bad_request("an object is expected")) };
    let text = match all.remove("key") {
        Some(Value::String(text)) => text,
        _ => return Err(wrong("key", "give the text that clients send")),
    };
    let readable = |c: char| c.is_ascii_graphic();
    if text.len() < SHORTEST_KEY || !text.chars().all(readable) {
        return Err(wrong("key", &format!("must be at least {SHORTEST_KEY} visible characters of ASCII")));
    }
    let body = members(all.into(), Kind::Keys.members())?;
    let key = ClientKey {
        name: name(&body)?.ok_or_else(|| wrong("name", "is needed"))?,
        enabled: enabled(&body)?.unwrap_or(true),
        user: referred(&body, "user", |name| Some(name.to_owned()))?.unwrap_or_default(),
        team: referred(&body, "team", |name| Some(name.to_owned()))?.unwrap_or_default(),
        digest: digest(&text),
        shown: mask(&text),
        previous: None,
        previous_until: None,
        expires_at: expires_at(&body)?.unwrap_or_default(),
        definition: definition(&json!({}), &body)?,
    };
    check_owner(&key)?;
    Ok(key)
}

/// What an operator is told when the database refuses.
pub(super) fn refusal(error: Error) -> Refusal {
    match error {
        Error::NotFound { .. } => Refusal::not_found("it is not there any more"),
        Error::Conflict { found, .. } => Refusal::stale(found),
        Error::Taken { .. } => Refusal::new(StatusCode::CONFLICT, "taken", error.to_string()),
        Error::LastAdmin => Refusal::new(StatusCode::CONFLICT, "last_admin", error.to_string()),
        other => {
            let words = format!("nothing was changed: {other}");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", words)
        }
    }
}
