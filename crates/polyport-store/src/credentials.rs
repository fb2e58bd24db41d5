//! Credentials and their secrets.

use std::collections::HashMap;

use polyport_types::Secret;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use zeroize::Zeroizing;

use crate::db::{Change, Store, within};
use crate::error::{Error, is_taken};
use crate::key::{KeyId, MasterKey};
use crate::seal::{Locked, Place, open, seal};
use crate::table::{Cell, Object, Stored, Table, fetch, flag, insert, json, replace};

/// A credential without its secret: what people say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// The name of its provider, also of one that the configuration file declares. It never changes.
    pub provider: String,
    /// `api_key`, or the kind of account.
    pub kind: String,
    /// What people call it.
    pub label: String,
    /// Whether it is used.
    pub enabled: bool,
    /// Lower ones are used while they can.
    pub priority: i64,
    /// Its share among credentials of the same priority.
    pub weight: i64,
    /// How many requests it may have in flight.
    pub max_concurrent: Option<i64>,
    /// How many requests it may begin in a minute.
    pub per_minute: Option<i64>,
    /// The header it is sent in, instead of the provider's.
    pub auth_header: Option<String>,
    /// How it is written there, with `{key}` in its place.
    pub auth_format: Option<String>,
    /// What its kind needs besides: a project, a location.
    pub settings: Value,
}

impl Credential {
    /// A credential that is used, with nothing special about it.
    #[must_use]
    pub fn new(provider: &str, kind: &str, label: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            kind: kind.to_owned(),
            label: label.to_owned(),
            enabled: true,
            priority: 0,
            weight: 1,
            max_concurrent: None,
            per_minute: None,
            auth_header: None,
            auth_format: None,
            settings: Value::Object(serde_json::Map::new()),
        }
    }
}

impl Object for Credential {
    const TABLE: &'static str = "credentials";
    const WHAT: &'static str = "credential";
    const FIXED: Option<&'static str> = Some("provider");

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("provider", self.provider.as_str().into()),
            ("kind", self.kind.as_str().into()),
            ("label", self.label.as_str().into()),
            ("enabled", self.enabled.into()),
            ("priority", self.priority.into()),
            ("weight", self.weight.into()),
            ("max_concurrent", self.max_concurrent.into()),
            ("per_minute", self.per_minute.into()),
            ("auth_header", (&self.auth_header).into()),
            ("auth_format", (&self.auth_format).into()),
            ("settings", (&self.settings).into()),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            provider: row.try_get("provider")?,
            kind: row.try_get("kind")?,
            label: row.try_get("label")?,
            enabled: flag(row, "enabled")?,
            priority: row.try_get("priority")?,
            weight: row.try_get("weight")?,
            max_concurrent: row.try_get("max_concurrent")?,
            per_minute: row.try_get("per_minute")?,
            auth_header: row.try_get("auth_header")?,
            auth_format: row.try_get("auth_format")?,
            settings: json(row, "settings", Self::WHAT)?,
        })
    }
}

/// A credential to make.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// What people say about it.
    pub credential: Credential,
    /// An API key, or the tokens of an account.
    pub secret: Secret,
    /// What tells accounts apart: the key, or an account's first refresh token. Only a keyed digest of it is stored.
    pub identity: Secret,
}

/// The secret of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// An API key, or the tokens of an account in whatever form their owner gave them.
    Open(Tokens),
    /// It is sealed under this master key, which is not the present one. It stays as it is.
    Locked(KeyId),
    /// What is stored is not what was written.
    Damaged,
}

/// A secret and how often it was renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The text.
    pub secret: Secret,
    /// Of two that renew the same version, one wins.
    pub version: i64,
}

/// Credentials: the table of what people say about them, and their secrets.
#[derive(Debug)]
pub struct Credentials<'s> {
    table: Table<'s, Credential>,
}

impl<'s> Credentials<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { table: Table::new(store) }
    }

    /// All of them, in the order they were made, without secrets.
    pub async fn list(&self) -> Result<Vec<Stored<Credential>>, Error> {
        self.table.list().await
    }

    /// One of them.
    pub async fn get(&self, id: &str) -> Result<Stored<Credential>, Error> {
        self.table.get(id).await
    }

    /// Makes one. A second one of the same provider and identity is [`Error::Taken`].
    pub async fn create(&self, new: NewCredential) -> Result<Stored<Credential>, Error> {
        self.store()
            .timed(async {
                let mut change = self.store().begin().await?;
                let made = add(&mut change, new).await?;
                change.commit_change().await?;
                Ok(made)
            })
            .await
    }

    /// Makes many at once. Those that are there already are told one by one, and the others are made; any other error undoes all.
    pub async fn import(&self, all: Vec<NewCredential>) -> Result<Vec<Result<Stored<Credential>, Error>>, Error> {
        within(self.store().inner().timeouts.bulk, async {
            let mut change = self.store().begin().await?;
            let mut results = Vec::with_capacity(all.len());
            for new in all {
                match add(&mut change, new).await {
                    Err(error) if !matches!(error, Error::Taken { .. }) => return Err(error),
                    result => results.push(result),
                }
            }
            change.commit_change().await?;
            Ok(results)
        })
        .await
    }

    /// Changes what people say about one, if it still is as it was read.
    pub async fn update(&self, id: &str, revision: i64, credential: Credential) -> Result<Stored<Credential>, Error> {
        self.table.update(id, revision, credential).await
    }

    /// Gives one another secret, whatever the present one is: a person entered it.
    pub async fn replace_secret(
        &self,
        id: &str,
        revision: i64,
        secret: &Secret,
        identity: &Secret,
    ) -> Result<Stored<Credential>, Error> {
        self.store()
            .timed(async {
                let mut change = self.store().begin().await?;
                let before = fetch::<Credential>(change.connection(), id).await?;
                let value = before.value.clone();
                let changed = replace(&mut change, &before, revision, value).await?;
                write_secret(&mut change, &changed, secret, identity).await?;
                change.commit_change().await?;
                Ok(changed)
            })
            .await
    }

    /// Deletes one with its secret and what was learned about it.
    pub async fn delete(&self, id: &str, revision: Option<i64>) -> Result<(), Error> {
        self.table.delete(id, revision).await?;
        self.store().health().forget(&[id]).await
    }

    /// The secret of one.
    pub async fn secret(&self, id: &str) -> Result<Held, Error> {
        self.store()
            .timed(async {
                let key = self.store().key().await;
                let mut connection = self.store().inner().reading.acquire().await?;
                let row = sealed_of(&mut connection, id).await?;
                held(&key, id, &row)
            })
            .await
    }

    /// All secrets by the id of their credential.
    pub async fn secrets(&self) -> Result<HashMap<String, Held>, Error> {
        self.store()
            .timed(async {
                let key = self.store().key().await;
                let rows = sqlx::query("SELECT credential, sealed, version FROM secrets");
                let rows = rows.fetch_all(&self.store().inner().reading).await?;
                let held = |row: &AnyRow| {
                    let id: String = row.try_get("credential")?;
                    let held = held(&key, &id, row)?;
                    Ok((id, held))
                };
                rows.iter().map(held).collect()
            })
            .await
    }

    /// Writes renewed tokens. They are on the disk when this returns, so a refresh token that replaces another may be used from then on.
    ///
    /// `version` is the one that was renewed; the new one is returned. Tokens that somebody else renewed meanwhile are
    /// [`Error::Conflict`]: read them. A secret that the present master key does not open is left alone ([`Error::Locked`]).
    pub async fn save_tokens(&self, id: &str, version: i64, secret: &Secret) -> Result<i64, Error> {
        self.store()
            .timed(async {
                let mut change = self.store().begin().await?;
                let row = sealed_of(change.connection(), id).await?;
                match held(&change.key, id, &row)? {
                    Held::Locked(key) => return Err(Error::Locked(key)),
                    Held::Damaged => return Err(Error::Unreadable("secret")),
                    Held::Open(found) if found.version != version => return Err(renewed(version, found.version)),
                    Held::Open(_) => {}
                }
                let digest = opened(&change.key, id, &row)?.map_err(|_| Error::Unreadable("secret"))?.digest;
                let sealed = seal(&change.key, place(id), &frame(&digest, secret));
                let sql =
                    "UPDATE secrets SET sealed = $1, version = version + 1 WHERE credential = $2 AND version = $3";
                let update = sqlx::query(sql).bind(sealed).bind(id).bind(version);
                // On a server another process may have been faster since the row was read.
                if update.execute(change.connection()).await?.rows_affected() == 0 {
                    return Err(renewed(version, version + 1));
                }
                change.commit().await?;
                Ok(version + 1)
            })
            .await
    }

    fn store(&self) -> &'s Store {
        self.table.store
    }
}

fn renewed(expected: i64, found: i64) -> Error {
    Error::Conflict { what: "secret", expected, found }
}

pub(crate) fn place(id: &str) -> Place<'_> {
    Place { table: "secrets", column: "sealed", row: id }
}

async fn sealed_of(connection: &mut AnyConnection, id: &str) -> Result<AnyRow, Error> {
    let row = sqlx::query("SELECT sealed, version FROM secrets WHERE credential = $1").bind(id);
    let row = row.fetch_optional(connection).await?;
    row.ok_or_else(|| Error::NotFound { what: Credential::WHAT, id: id.to_owned() })
}

/// Looks for the identity first: a server ends a transaction at the first row that is refused.
async fn add(change: &mut Change, new: NewCredential) -> Result<Stored<Credential>, Error> {
    let identity = identity_of(&change.key, &digest(&new.credential.provider, &new.identity));
    let found = sqlx::query("SELECT credential FROM secrets WHERE identity = $1").bind(identity);
    if found.fetch_optional(change.connection()).await?.is_some() {
        return Err(Error::Taken { what: Credential::WHAT, name: new.credential.label });
    }
    let made = insert(change, new.credential).await?;
    write_secret(change, &made, &new.secret, &new.identity).await?;
    Ok(made)
}

async fn write_secret(
    change: &mut Change,
    credential: &Stored<Credential>,
    secret: &Secret,
    identity: &Secret,
) -> Result<(), Error> {
    let id = credential.id.as_str();
    let digest = digest(&credential.value.provider, identity);
    let written = sqlx::query(
        "INSERT INTO secrets (credential, sealed, version, identity) VALUES ($1, $2, 1, $3) \
         ON CONFLICT (credential) DO UPDATE SET \
         sealed = excluded.sealed, version = secrets.version + 1, identity = excluded.identity",
    )
    .bind(id)
    .bind(seal(&change.key, place(id), &frame(&digest, secret)))
    .bind(identity_of(&change.key, &digest))
    .execute(change.connection())
    .await;
    match written {
        Err(error) if is_taken(&error) => {
            Err(Error::Taken { what: Credential::WHAT, name: credential.value.label.clone() })
        }
        other => other.map(drop).map_err(Error::from),
    }
}

/// Inside the seal: a digest of the identity, so that it can be keyed anew with the master key, then the secret.
struct Opened {
    digest: [u8; 32],
    secret: Secret,
}

fn frame(digest: &[u8; 32], secret: &Secret) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(32 + secret.expose().len()));
    plain.extend_from_slice(digest);
    plain.extend_from_slice(secret.expose().as_bytes());
    plain
}

fn opened(key: &MasterKey, id: &str, row: &AnyRow) -> Result<Result<Opened, Locked>, Error> {
    let sealed: Vec<u8> = row.try_get("sealed")?;
    Ok(open(key, place(id), &sealed).and_then(|plain| {
        let (digest, secret) = plain.split_first_chunk().ok_or(Locked::Damaged)?;
        let secret = std::str::from_utf8(secret).map_err(|_| Locked::Damaged)?;
        Ok(Opened { digest: *digest, secret: Secret::new(secret.to_owned()) })
    }))
}

fn held(key: &MasterKey, id: &str, row: &AnyRow) -> Result<Held, Error> {
    let version = row.try_get("version")?;
    Ok(match opened(key, id, row)? {
        Ok(Opened { secret, .. }) => Held::Open(Tokens { secret, version }),
        Err(Locked::OtherKey(other)) => Held::Locked(other),
        Err(Locked::Damaged) => Held::Damaged,
    })
}

fn digest(provider: &str, identity: &Secret) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(provider.len() as u64).to_le_bytes());
    hasher.update(provider.as_bytes());
    hasher.update(identity.expose().as_bytes());
    *hasher.finalize().as_bytes()
}

/// Without the master key nobody can try out whether a key is stored.
fn identity_of(key: &MasterKey, digest: &[u8; 32]) -> String {
    let key = key.derive("polyport store: identities of credentials");
    blake3::keyed_hash(&key, digest).to_hex().to_string()
}

/// What a secret is sealed to under another master key, and its identity there.
pub(crate) fn reseal(old: &MasterKey, new: &MasterKey, id: &str, sealed: &[u8]) -> Result<(Vec<u8>, String), Locked> {
    let plain = open(old, place(id), sealed)?;
    let digest = plain.first_chunk().ok_or(Locked::Damaged)?;
    Ok((seal(new, place(id), &plain), identity_of(new, digest)))
}
