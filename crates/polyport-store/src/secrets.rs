//! Secrets: sealed texts that belong to objects.

use std::collections::HashMap;

use polyport_types::Secret;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use zeroize::Zeroizing;

use crate::db::{Change, Store};
use crate::error::{Error, is_taken};
use crate::key::{KeyId, MasterKey};
use crate::seal::{Locked, Place, open, seal};

/// The secret of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// An API key, the tokens of an account, or what else its owner gave.
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

impl Store {
    /// All secrets by the id of the object they belong to.
    pub async fn secrets(&self) -> Result<HashMap<String, Held>, Error> {
        self.timed(async {
            let key = self.key().await;
            let rows = sqlx::query("SELECT object, sealed, version FROM secrets");
            let rows = rows.fetch_all(&self.inner().reading).await?;
            let held = |row: &AnyRow| {
                let id: String = row.try_get("object")?;
                let held = held(&key, &id, row)?;
                Ok((id, held))
            };
            rows.iter().map(held).collect()
        })
        .await
    }
}

pub(crate) fn place(id: &str) -> Place<'_> {
    Place { table: "secrets", column: "sealed", row: id }
}

pub(crate) async fn sealed_of(connection: &mut AnyConnection, id: &str) -> Result<AnyRow, Error> {
    let row = sqlx::query("SELECT sealed, version FROM secrets WHERE object = $1").bind(id);
    let row = row.fetch_optional(connection).await?;
    row.ok_or_else(|| Error::NotFound { what: "secret", id: id.to_owned() })
}

/// Gives an object its secret, whatever the present one is. `label` is what people call the object.
pub(crate) async fn write(
    change: &mut Change,
    id: &str,
    label: &str,
    secret: &Secret,
    digest: &[u8; 32],
) -> Result<(), Error> {
    let written = sqlx::query(
        "INSERT INTO secrets (object, sealed, version, identity) VALUES ($1, $2, 1, $3) \
         ON CONFLICT (object) DO UPDATE SET \
         sealed = excluded.sealed, version = secrets.version + 1, identity = excluded.identity",
    )
    .bind(id)
    .bind(seal(&change.key, place(id), &frame(digest, secret)))
    .bind(identity_of(&change.key, digest))
    .execute(change.connection())
    .await;
    match written {
        Err(error) if is_taken(&error) => Err(Error::Taken { what: "credential", name: label.to_owned() }),
        other => other.map(drop).map_err(Error::from),
    }
}

/// Inside the seal: a digest of the identity, so that it can be keyed anew with the master key, then the secret.
pub(crate) struct Opened {
    pub(crate) digest: [u8; 32],
    pub(crate) secret: Secret,
}

pub(crate) fn frame(digest: &[u8; 32], secret: &Secret) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(32 + secret.expose().len()));
    plain.extend_from_slice(digest);
    plain.extend_from_slice(secret.expose().as_bytes());
    plain
}

pub(crate) fn opened(key: &MasterKey, id: &str, row: &AnyRow) -> Result<Result<Opened, Locked>, Error> {
    let sealed: Vec<u8> = row.try_get("sealed")?;
    Ok(open(key, place(id), &sealed).and_then(|plain| {
        let (digest, secret) = plain.split_first_chunk().ok_or(Locked::Damaged)?;
        let secret = std::str::from_utf8(secret).map_err(|_| Locked::Damaged)?;
        Ok(Opened { digest: *digest, secret: Secret::new(secret.to_owned()) })
    }))
}

pub(crate) fn held(key: &MasterKey, id: &str, row: &AnyRow) -> Result<Held, Error> {
    let version = row.try_get("version")?;
    Ok(match opened(key, id, row)? {
        Ok(Opened { secret, .. }) => Held::Open(Tokens { secret, version }),
        Err(Locked::OtherKey(other)) => Held::Locked(other),
        Err(Locked::Damaged) => Held::Damaged,
    })
}

pub(crate) fn digest(provider: &str, identity: &Secret) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(provider.len() as u64).to_le_bytes());
    hasher.update(provider.as_bytes());
    hasher.update(identity.expose().as_bytes());
    *hasher.finalize().as_bytes()
}

/// Without the master key nobody can try out whether a key is stored.
pub(crate) fn identity_of(key: &MasterKey, digest: &[u8; 32]) -> String {
    let key = key.derive("polyport store: identities of credentials");
    blake3::keyed_hash(&key, digest).to_hex().to_string()
}

/// What a secret is sealed to under another master key, and its identity there.
pub(crate) fn reseal(old: &MasterKey, new: &MasterKey, id: &str, sealed: &[u8]) -> Result<(Vec<u8>, String), Locked> {
    let plain = open(old, place(id), sealed)?;
    let digest = plain.first_chunk().ok_or(Locked::Damaged)?;
    Ok((seal(new, place(id), &plain), identity_of(new, digest)))
}
