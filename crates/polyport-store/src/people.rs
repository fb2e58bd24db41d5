//! Who may use the gateway: teams, users, and the keys of their programs.

use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::db::Change;
use crate::error::Error;
use crate::table::{Cell, Object, Stored, Table, definition, fetch, flag, replace, stored};

/// Some users who share limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Team {
    /// What people call it; no two have the same.
    pub name: String,
    /// Whether its keys are good.
    pub enabled: bool,
    /// What its keys may do.
    pub definition: Value,
}

/// A person, or a program that is treated as one.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// What people call them; no two have the same.
    pub name: String,
    /// Whether their keys are good.
    pub enabled: bool,
    /// The id of their team.
    pub team: Option<String>,
    /// What they may do at the admin API.
    pub role: Role,
    /// What their keys may do.
    pub definition: Value,
}

/// What a user may do at the admin API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// What is their own.
    #[default]
    Member,
    /// What belongs to their team.
    Manager,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Member, Self::Manager, Self::Admin];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Manager => "manager",
            Self::Admin => "admin",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A key of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientKey {
    /// For people; several may have the same.
    pub name: String,
    /// Whether it is good.
    pub enabled: bool,
    /// The id of the user it belongs to.
    pub user: Option<String>,
    /// The id of the team it belongs to, where it has no user.
    pub team: Option<String>,
    /// What it is found by: a digest of its text, hexadecimal. The text itself is nowhere.
    pub digest: String,
    /// The beginning and the end of its text, for people.
    pub shown: String,
    /// The digest of the text before this one.
    pub previous: Option<String>,
    /// Until when that one is good as well, Unix milliseconds.
    pub previous_until: Option<i64>,
    /// From when on it is not good any more, Unix milliseconds.
    pub expires_at: Option<i64>,
    /// What it may do.
    pub definition: Value,
}

impl Object for Team {
    const TABLE: &'static str = "teams";
    const WHAT: &'static str = "team";

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("enabled", self.enabled.into()),
            ("definition", (&self.definition).into()),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self { name: row.try_get("name")?, enabled: flag(row, "enabled")?, definition: definition(row)? })
    }
}

impl Object for User {
    const TABLE: &'static str = "users";
    const WHAT: &'static str = "user";

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("enabled", self.enabled.into()),
            ("team", (&self.team).into()),
            ("role", self.role.as_str().into()),
            ("definition", (&self.definition).into()),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            name: row.try_get("name")?,
            enabled: flag(row, "enabled")?,
            team: row.try_get("team")?,
            // One that is not known gives no rights.
            role: Role::named(row.try_get("role")?).unwrap_or_default(),
            definition: definition(row)?,
        })
    }
}

impl Object for ClientKey {
    const TABLE: &'static str = "client_keys";
    const WHAT: &'static str = "key";

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("enabled", self.enabled.into()),
            ("user_id", (&self.user).into()),
            ("team", (&self.team).into()),
            ("digest", self.digest.as_str().into()),
            ("shown", self.shown.as_str().into()),
            ("previous", (&self.previous).into()),
            ("previous_until", self.previous_until.into()),
            ("expires_at", self.expires_at.into()),
            ("definition", (&self.definition).into()),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            name: row.try_get("name")?,
            enabled: flag(row, "enabled")?,
            user: row.try_get("user_id")?,
            team: row.try_get("team")?,
            digest: row.try_get("digest")?,
            shown: row.try_get("shown")?,
            previous: row.try_get("previous")?,
            previous_until: row.try_get("previous_until")?,
            expires_at: row.try_get("expires_at")?,
            definition: definition(row)?,
        })
    }
}

impl Table<'_, User> {
    /// The same as [`Table::update`] for somebody who may be signed in: another role or team, or being switched off, ends that.
    ///
    /// # Errors
    /// [`Error::LastAdmin`] if nobody who can sign in would be admin any more.
    pub async fn change(&self, id: &str, revision: i64, value: User) -> Result<Stored<User>, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let before = fetch::<User>(change.connection(), id).await?;
                let changed = replace(&mut change, &before, revision, value).await?;
                change.count().await?;
                let (was, is) = (&before.value, &changed.value);
                if (was.role, was.enabled, &was.team) != (is.role, is.enabled, &is.team) {
                    end_sessions(&mut change, id).await?;
                }
                if was.rules() && !is.rules() {
                    keep_an_admin(&mut change).await?;
                }
                change.commit().await?;
                Ok(changed)
            })
            .await
    }

    /// The same as [`Table::delete`], with everything they sign in with.
    ///
    /// # Errors
    /// [`Error::LastAdmin`] if nobody who can sign in would be admin any more.
    pub async fn remove(&self, id: &str, revision: Option<i64>) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let before = fetch::<User>(change.connection(), id).await?;
                if let Some(expected) = revision.filter(|expected| *expected != before.revision) {
                    return Err(Error::Conflict { what: User::WHAT, expected, found: before.revision });
                }
                end_sessions(&mut change, id).await?;
                for sql in [
                    "DELETE FROM passwords WHERE user_id = $1",
                    "DELETE FROM subjects WHERE user_id = $1",
                    "DELETE FROM users WHERE id = $1",
                ] {
                    sqlx::query(sql).bind(id).execute(change.connection()).await?;
                }
                change.count().await?;
                if before.value.rules() {
                    keep_an_admin(&mut change).await?;
                }
                change.commit().await
            })
            .await
    }
}

impl User {
    fn rules(&self) -> bool {
        self.enabled && self.role == Role::Admin
    }
}

/// Ends everything that somebody is signed in to.
pub(crate) async fn end_sessions(change: &mut Change, user: &str) -> Result<u64, Error> {
    let end = sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(user);
    Ok(end.execute(change.connection()).await?.rows_affected())
}

/// Fails if there is no admin left who can sign in. Asked after the change was counted: of two that end the rule of two admins, the second one
/// sees the first.
async fn keep_an_admin(change: &mut Change) -> Result<(), Error> {
    if admins(change.connection()).await? == 0 { Err(Error::LastAdmin) } else { Ok(()) }
}

/// How many admins can sign in.
pub(crate) async fn admins(connection: &mut AnyConnection) -> Result<i64, Error> {
    let admins = sqlx::query(
        "SELECT COUNT(*) AS number FROM users WHERE role = 'admin' AND enabled = 1 AND \
         (id IN (SELECT user_id FROM passwords) OR id IN (SELECT user_id FROM subjects))",
    );
    Ok(admins.fetch_one(connection).await?.try_get("number")?)
}

impl Table<'_, ClientKey> {
    /// Those that were made or changed at this time or later (Unix milliseconds), and how many there are in all. What is fewer than before has
    /// been deleted.
    pub async fn changed_since(&self, since: i64) -> Result<(Vec<Stored<ClientKey>>, u64), Error> {
        self.store
            .timed(async {
                let mut reading = self.store.inner().reading.acquire().await?;
                let changed = sqlx::query("SELECT * FROM client_keys WHERE updated_at >= $1 ORDER BY id").bind(since);
                let changed = changed.fetch_all(&mut *reading).await?;
                let changed = changed.iter().map(stored).collect::<Result<_, _>>()?;
                let all = sqlx::query("SELECT COUNT(*) AS number FROM client_keys").fetch_one(&mut *reading).await?;
                let all: i64 = all.try_get("number")?;
                Ok((changed, u64::try_from(all).unwrap_or_default()))
            })
            .await
    }
}

/// Which keys are wanted.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// The id of their user.
    pub user: Option<String>,
    /// The id of their team.
    pub team: Option<String>,
    /// The id of the team that they or their users belong to.
    pub within: Option<String>,
    /// Only those that are switched on, or off.
    pub enabled: Option<bool>,
    /// A part of their name, in any case.
    pub name: Option<String>,
    /// Only those made after the one with this id.
    pub after: Option<String>,
}

impl Table<'_, ClientKey> {
    /// Up to `limit` keys, in the order they were made.
    pub async fn page(&self, filter: &KeyFilter, limit: u32) -> Result<Vec<Stored<ClientKey>>, Error> {
        let mut conditions = Vec::new();
        let mut values: Vec<Cell> = Vec::new();
        let mut add = |condition: &str, value: Cell| {
            values.push(value);
            conditions.push(condition.replace('?', &format!("${}", values.len())));
        };
        for (column, value) in [("user_id = ?", &filter.user), ("team = ?", &filter.team), ("id > ?", &filter.after)] {
            if value.is_some() {
                add(column, value.into());
            }
        }
        if filter.within.is_some() {
            add("(team = ? OR user_id IN (SELECT id FROM users WHERE team = ?))", (&filter.within).into());
        }
        if let Some(enabled) = filter.enabled {
            add("enabled = ?", enabled.into());
        }
        if let Some(name) = &filter.name {
            // What stands for anything in LIKE is meant as it is. The database makes both small: SQLite knows the letters of English only.
            let literal = name.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            add("LOWER(name) LIKE LOWER(?) ESCAPE '\\'", format!("%{literal}%").as_str().into());
        }
        let clause = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        let sql = format!("SELECT * FROM client_keys {clause} ORDER BY id LIMIT {limit}");
        self.store
            .timed(async {
                let query =
                    values.iter().fold(sqlx::query(sqlx::AssertSqlSafe(sql)), |query, value| match value.clone() {
                        Cell::Text(text) => query.bind(text),
                        Cell::Int(number) => query.bind(number),
                    });
                query.fetch_all(&self.store.inner().reading).await?.iter().map(stored).collect()
            })
            .await
    }
}
