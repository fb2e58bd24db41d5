//! Many objects that belong together.

use polyport_types::Secret;
use sqlx::{AssertSqlSafe, Row};

use crate::credentials::{Credential, NewCredential, add};
use crate::db::{Change, Store, within};
use crate::error::Error;
use crate::people::{ClientKey, Team, User};
use crate::pools::Pool;
use crate::providers::Provider;
use crate::routes::Route;
use crate::table::{Object, Stored, insert, seal_for};

/// Objects that are made together, or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    /// Providers, with what is secret of them.
    pub providers: Vec<(Provider, Option<Secret>)>,
    /// Credentials.
    pub credentials: Vec<NewCredential>,
    /// Pools.
    pub pools: Vec<Pool>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Teams.
    pub teams: Vec<Team>,
    /// Users; their team goes by its name.
    pub users: Vec<User>,
    /// Keys; their team or user goes by its name.
    pub keys: Vec<ClientKey>,
}

/// What was made, in the order in which it was given.
#[derive(Debug, Default)]
pub struct Made {
    /// Providers.
    pub providers: Vec<Stored<Provider>>,
    /// Credentials.
    pub credentials: Vec<Stored<Credential>>,
    /// Pools.
    pub pools: Vec<Stored<Pool>>,
    /// Routes.
    pub routes: Vec<Stored<Route>>,
    /// Teams.
    pub teams: Vec<Stored<Team>>,
    /// Users.
    pub users: Vec<Stored<User>>,
    /// Keys.
    pub keys: Vec<Stored<ClientKey>>,
}

impl Store {
    /// Makes all of them in one transaction.
    ///
    /// # Errors
    /// The first that cannot be made; then nothing was.
    pub async fn make_all(&self, batch: Batch) -> Result<Made, Error> {
        within(self.inner().timeouts.bulk, async {
            let mut change = self.begin().await?;
            let mut made = Made::default();
            for (provider, secret) in batch.providers {
                let stored = insert(&mut change, provider).await?;
                if let Some(secret) = secret {
                    seal_for(&mut change, &stored.id, &secret).await?;
                }
                made.providers.push(stored);
            }
            for credential in batch.credentials {
                made.credentials.push(add(&mut change, credential).await?);
            }
            for pool in batch.pools {
                made.pools.push(insert(&mut change, pool).await?);
            }
            for route in batch.routes {
                made.routes.push(insert(&mut change, route).await?);
            }
            for team in batch.teams {
                made.teams.push(insert(&mut change, team).await?);
            }
            for mut user in batch.users {
                user.team = named::<Team>(&mut change, user.team).await?;
                made.users.push(insert(&mut change, user).await?);
            }
            for mut key in batch.keys {
                key.team = named::<Team>(&mut change, key.team).await?;
                key.user = named::<User>(&mut change, key.user).await?;
                made.keys.push(insert(&mut change, key).await?);
            }
            change.commit_change().await?;
            Ok(made)
        })
        .await
    }
}

/// The id behind a name.
async fn named<T: Object>(change: &mut Change, name: Option<String>) -> Result<Option<String>, Error> {
    let Some(name) = name else { return Ok(None) };
    let sql = format!("SELECT id FROM {} WHERE name = $1", T::TABLE);
    let found = sqlx::query(AssertSqlSafe(sql)).bind(name.as_str()).fetch_optional(change.connection()).await?;
    match found {
        Some(row) => Ok(Some(row.try_get("id")?)),
        None => Err(Error::NotFound { what: T::WHAT, id: name }),
    }
}
