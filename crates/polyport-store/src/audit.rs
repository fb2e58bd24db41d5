//! What was done, by whom: rows that are only added, read page by page, and forgotten beyond a bound.

use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::db::{Store, new_id, within};
use crate::error::Error;

/// Something that was done, or tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// A UUID that begins with the time; given when it is written.
    pub id: String,
    /// Unix milliseconds.
    pub at: i64,
    /// What the actor is: `user`, `key`, `setup`, `nobody`.
    pub actor_kind: String,
    /// The id of a user.
    pub actor_id: Option<String>,
    /// The actor's name.
    pub actor: String,
    /// What was asked for.
    pub action: String,
    /// What kind of object it was about.
    pub object_kind: Option<String>,
    /// Its id or name.
    pub object: Option<String>,
    /// The status of the answer.
    pub status: i64,
    /// Where the request came from.
    pub address: Option<String>,
    /// The id of the request.
    pub request: String,
    /// What was given, without secrets.
    pub detail: Value,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The actor's name.
    pub actor: Option<String>,
    /// What was asked for.
    pub action: Option<String>,
    /// What kind of object it was about.
    pub object_kind: Option<String>,
    /// Its id or name.
    pub object: Option<String>,
    /// Not before, Unix milliseconds.
    pub since: Option<i64>,
    /// Before, Unix milliseconds.
    pub until: Option<i64>,
    /// Only those older than the one with this id.
    pub before: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub struct Audit<'s> {
    store: &'s Store,
}

impl<'s> Audit<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store }
    }

    /// Writes an entry; its id is given here.
    pub async fn add(&self, entry: &Entry) -> Result<String, Error> {
        self.store
            .timed(async {
                let id = new_id();
                let mut change = self.store.begin().await?;
                let add = sqlx::query(
                    "INSERT INTO audit (id, at, actor_kind, actor_id, actor, action, object_kind, object, status, address, \
                     request, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                );
                let add = add.bind(id.as_str()).bind(entry.at).bind(entry.actor_kind.as_str());
                let add = add.bind(entry.actor_id.clone()).bind(entry.actor.as_str()).bind(entry.action.as_str());
                let add = add.bind(entry.object_kind.clone()).bind(entry.object.clone()).bind(entry.status);
                let add = add.bind(entry.address.clone()).bind(entry.request.as_str()).bind(entry.detail.to_string());
                add.execute(change.connection()).await?;
                change.commit().await?;
                Ok(id)
            })
            .await
    }

    /// Up to `limit` entries, the newest first.
    pub async fn page(&self, filter: &Filter, limit: u32) -> Result<Vec<Entry>, Error> {
        let mut conditions = vec!["1 = 1".to_owned()];
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for (condition, value) in [
            ("actor =", &filter.actor),
            ("action =", &filter.action),
            ("object_kind =", &filter.object_kind),
            ("object =", &filter.object),
            ("id <", &filter.before),
        ] {
            if let Some(value) = value {
                texts.push(value.clone());
                conditions.push(format!("{condition} ${}", texts.len()));
            }
        }
        for (condition, value) in [("at >=", filter.since), ("at <", filter.until)] {
            if let Some(value) = value {
                numbers.push(value);
                conditions.push(format!("{condition} ${}", texts.len() + numbers.len()));
            }
        }
        let sql = format!("SELECT * FROM audit WHERE {} ORDER BY id DESC LIMIT {limit}", conditions.join(" AND "));
        self.store
            .timed(async {
                let query = texts.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), sqlx::query::Query::bind);
                let query = numbers.into_iter().fold(query, sqlx::query::Query::bind);
                query.fetch_all(&self.store.inner().reading).await?.iter().map(entry).collect()
            })
            .await
    }

    /// Forgets what is older than `before` (Unix milliseconds), and the oldest beyond so many; says how many went.
    pub async fn prune(&self, before: i64, most: i64) -> Result<u64, Error> {
        within(self.store.inner().timeouts.bulk, async {
            let mut change = self.store.begin().await?;
            let old = sqlx::query("DELETE FROM audit WHERE at < $1").bind(before);
            let old = old.execute(change.connection()).await?.rows_affected();
            let surplus =
                sqlx::query("DELETE FROM audit WHERE id <= (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET $1)");
            let surplus = surplus.bind(most).execute(change.connection()).await?.rows_affected();
            change.commit().await?;
            Ok(old + surplus)
        })
        .await
    }
}

fn entry(row: &AnyRow) -> Result<Entry, Error> {
    Ok(Entry {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        actor_kind: row.try_get("actor_kind")?,
        actor_id: row.try_get("actor_id")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        object_kind: row.try_get("object_kind")?,
        object: row.try_get("object")?,
        status: row.try_get("status")?,
        address: row.try_get("address")?,
        request: row.try_get("request")?,
        detail: serde_json::from_str(row.try_get::<&str, _>("detail")?).unwrap_or_default(),
    })
}
