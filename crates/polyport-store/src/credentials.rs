//! Credentials.

use polyport_types::Secret;
use serde_json::Value;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::db::{Change, Store, within};
use crate::error::Error;
use crate::seal::seal;
use crate::secrets::{Held, digest, frame, held, identity_of, opened, place, sealed_of, write};
use crate::table::{Cell, Object, Stored, Table, definition, fetch, flag, insert, replace};

/// A credential without its secret: what people say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// The name of its provider, also of one that the configuration file declares. It never changes.
    pub provider: String,
    /// The member of the definition that the secret stands for: `key`, `refresh_token` and so on.
    pub kind: String,
    /// What people call it.
    pub label: String,
    /// Whether it is used.
    pub enabled: bool,
    /// What stands in the list of keys or accounts of a provider in the configuration file: `weight`, `requests` and so on, but for the
    /// secret.
    pub definition: Value,
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
            definition: Value::Object(serde_json::Map::new()),
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
            ("definition", (&self.definition).into()),
        ]
    }

    fn read(row: &AnyRow) -> Result<Self, Error> {
        Ok(Self {
            provider: row.try_get("provider")?,
            kind: row.try_get("kind")?,
            label: row.try_get("label")?,
            enabled: flag(row, "enabled")?,
            definition: definition(row)?,
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

    /// The same with another secret, whatever the present one is: a person entered it.
    pub async fn replace(&self, id: &str, revision: i64, new: NewCredential) -> Result<Stored<Credential>, Error> {
        self.store()
            .timed(async {
                let mut change = self.store().begin().await?;
                let before = fetch::<Credential>(change.connection(), id).await?;
                let changed = replace(&mut change, &before, revision, new.credential).await?;
                write(
                    &mut change,
                    id,
                    &changed.value.label,
                    &new.secret,
                    &of_credential(&changed.value, &new.identity),
                )
                .await?;
                change.commit_change().await?;
                Ok(changed)
            })
            .await
    }

    /// Deletes one with its secret.
    pub async fn delete(&self, id: &str, revision: Option<i64>) -> Result<(), Error> {
        self.table.delete(id, revision).await
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
                let sql = "UPDATE secrets SET sealed = $1, version = version + 1 WHERE object = $2 AND version = $3";
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

/// Of two credentials of a provider with the same identity there is one.
fn of_credential(credential: &Credential, identity: &Secret) -> [u8; 32] {
    digest(&credential.provider, identity)
}

/// Looks for the identity first: a server ends a transaction at the first row that is refused.
pub(crate) async fn add(change: &mut Change, new: NewCredential) -> Result<Stored<Credential>, Error> {
    let digest = of_credential(&new.credential, &new.identity);
    let identity = identity_of(&change.key, &digest);
    let found = sqlx::query("SELECT object FROM secrets WHERE identity = $1").bind(identity);
    if found.fetch_optional(change.connection()).await?.is_some() {
        return Err(Error::Taken { what: Credential::WHAT, name: new.credential.label });
    }
    let made = insert(change, new.credential).await?;
    write(change, &made.id, &made.value.label, &new.secret, &digest).await?;
    Ok(made)
}
