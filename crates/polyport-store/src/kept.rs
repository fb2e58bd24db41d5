//! What is remembered between requests: sealed, for a time, and never more than a bound.

use std::collections::HashMap;

use sqlx::Row;

use crate::db::{Store, within};
use crate::error::Error;
use crate::seal::{Place, open, seal};

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An answer of the Responses protocol that is kept here.
    Answer,
    /// Where something is that a provider keeps.
    Held,
    /// Whose something is that a provider keeps.
    Owner,
    /// An answer that a provider keeps, as it passed through.
    Passed,
    /// Signatures that a client cannot carry.
    Signature,
    /// What rests of a provider, its credentials and its models.
    Rests,
    /// The tokens of an account that the configuration file declares.
    Account,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Held => "held",
            Self::Owner => "owner",
            Self::Passed => "passed",
            Self::Signature => "signature",
            Self::Rests => "rests",
            Self::Account => "account",
        }
    }
}

/// Something to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What it is.
    pub kind: Kind,
    /// Whose it is: only its owner finds it.
    pub owner: String,
    /// What its owner calls it.
    pub name: String,
    /// The thing itself.
    pub body: Vec<u8>,
    /// Unix milliseconds.
    pub expires_at: i64,
    /// Whether one of this name that is there already stays as it is.
    pub first_counts: bool,
}

/// What something is called: its kind, whose it is, and what its owner calls it.
pub type Name<'n> = (Kind, &'n str, &'n str);

/// How much is kept of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Things.
    pub count: i64,
    /// Sealed bytes in all.
    pub bytes: i64,
}

/// What is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'s> {
    store: &'s Store,
}

impl<'s> Kept<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store }
    }

    /// Remembers things, all of them or none. One of the same kind, owner and name is replaced, unless the first counts.
    pub async fn put(&self, things: &[Keep], now: i64) -> Result<(), Error> {
        self.write(things, &[], now).await
    }

    /// The same, and forgets others in the same step.
    pub async fn write(&self, things: &[Keep], gone: &[Name<'_>], now: i64) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                for thing in things {
                    let id = id(thing.kind, &thing.owner, &thing.name);
                    let body = seal(&change.key, place(&id), &thing.body);
                    let bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
                    let sql = if thing.first_counts {
                        "INSERT INTO kept (id, kind, body, bytes, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) \
                         ON CONFLICT (id) DO NOTHING"
                    } else {
                        "INSERT INTO kept (id, kind, body, bytes, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) \
                         ON CONFLICT (id) DO UPDATE SET body = excluded.body, bytes = excluded.bytes, \
                         created_at = excluded.created_at, expires_at = excluded.expires_at"
                    };
                    let insert = sqlx::query(sql).bind(id).bind(thing.kind.name()).bind(body).bind(bytes);
                    insert.bind(now).bind(thing.expires_at).execute(change.connection()).await?;
                }
                for &(kind, owner, name) in gone {
                    let delete = sqlx::query("DELETE FROM kept WHERE id = $1").bind(id(kind, owner, name));
                    delete.execute(change.connection()).await?;
                }
                change.commit().await
            })
            .await
    }

    /// What is there under these names, in their order; like [`get`](Self::get) for each.
    pub async fn some(&self, names: &[Name<'_>], now: i64) -> Result<Vec<Option<Vec<u8>>>, Error> {
        const AT_ONCE: usize = 16;
        const SQL: &str = "SELECT id, body FROM kept WHERE expires_at > $1 AND id IN \
             ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
        self.store
            .timed(async {
                let key = self.store.key().await;
                let mut found = Vec::with_capacity(names.len());
                for names in names.chunks(AT_ONCE) {
                    let ids: Vec<String> = names.iter().map(|&(kind, owner, name)| id(kind, owner, name)).collect();
                    let mut query = sqlx::query(SQL).bind(now);
                    for at in 0..AT_ONCE {
                        query = query.bind(ids.get(at).map_or("", String::as_str));
                    }
                    let mut rows = HashMap::new();
                    for row in query.fetch_all(&self.store.inner().reading).await? {
                        let (id, sealed): (String, Vec<u8>) = (row.try_get("id")?, row.try_get("body")?);
                        rows.insert(id, sealed);
                    }
                    let opened = |id: &String| open(&key, place(id), rows.get(id)?).ok().map(|body| body.to_vec());
                    found.extend(ids.iter().map(opened));
                }
                Ok(found)
            })
            .await
    }

    /// What `owner` calls by this name, unless it expired before `now`. What the present master key does not open is not there.
    pub async fn get(&self, kind: Kind, owner: &str, name: &str, now: i64) -> Result<Option<Vec<u8>>, Error> {
        self.store
            .timed(async {
                let (key, id) = (self.store.key().await, id(kind, owner, name));
                let row = sqlx::query("SELECT body FROM kept WHERE id = $1 AND expires_at > $2").bind(&id).bind(now);
                let row = row.fetch_optional(&self.store.inner().reading).await?;
                let Some(row) = row else { return Ok(None) };
                let sealed: Vec<u8> = row.try_get("body")?;
                Ok(open(&key, place(&id), &sealed).ok().map(|body| body.to_vec()))
            })
            .await
    }

    /// Everything of a kind, unless it expired before `now`; and how many there are besides that the present master key does not open.
    pub async fn all(&self, kind: Kind, now: i64) -> Result<(Vec<Vec<u8>>, usize), Error> {
        within(self.store.inner().timeouts.bulk, async {
            let key = self.store.key().await;
            let rows = sqlx::query("SELECT id, body FROM kept WHERE kind = $1 AND expires_at > $2 ORDER BY id");
            let rows = rows.bind(kind.name()).bind(now).fetch_all(&self.store.inner().reading).await?;
            let mut all = Vec::new();
            for row in &rows {
                let (id, sealed): (String, Vec<u8>) = (row.try_get("id")?, row.try_get("body")?);
                all.extend(open(&key, place(&id), &sealed).ok().map(|body| body.to_vec()));
            }
            let locked = rows.len() - all.len();
            Ok((all, locked))
        })
        .await
    }

    /// Forgets one; false if `owner` has none of this name.
    pub async fn remove(&self, kind: Kind, owner: &str, name: &str) -> Result<bool, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let delete = sqlx::query("DELETE FROM kept WHERE id = $1").bind(id(kind, owner, name));
                let removed = delete.execute(change.connection()).await?.rows_affected() > 0;
                change.commit().await?;
                Ok(removed)
            })
            .await
    }

    /// Forgets what expired before `now`, and the oldest of a kind beyond its bounds. Says how many went.
    pub async fn prune(&self, kind: Kind, bounds: Bounds, now: i64) -> Result<u64, Error> {
        within(self.store.inner().timeouts.bulk, async {
            let mut change = self.store.begin().await?;
            let expired = sqlx::query("DELETE FROM kept WHERE kind = $1 AND expires_at <= $2");
            let expired = expired.bind(kind.name()).bind(now).execute(change.connection()).await?.rows_affected();
            let surplus = sqlx::query(
                "DELETE FROM kept WHERE id IN (SELECT id FROM (SELECT id, \
                 ROW_NUMBER() OVER (ORDER BY created_at DESC, id DESC) AS place, \
                 CAST(SUM(bytes) OVER (ORDER BY created_at DESC, id DESC) AS BIGINT) AS total \
                 FROM kept WHERE kind = $1) AS ranked WHERE place > $2 OR total > $3)",
            );
            let surplus = surplus.bind(kind.name()).bind(bounds.count).bind(bounds.bytes);
            let surplus = surplus.execute(change.connection()).await?.rows_affected();
            change.commit().await?;
            Ok(expired + surplus)
        })
        .await
    }
}

pub(crate) fn place(id: &str) -> Place<'_> {
    Place { table: "kept", column: "body", row: id }
}

fn id(kind: Kind, owner: &str, name: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [kind.name(), owner, name] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
