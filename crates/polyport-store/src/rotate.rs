//! A new master key for everything that is sealed.

use std::sync::Arc;

use sqlx::{AnyConnection, Row};

use crate::db::{Store, within};
use crate::error::Error;
use crate::kept;
use crate::key::{KeyId, MasterKey};
use crate::seal::{key_id, open, seal};
use crate::secrets::reseal;

/// Rows that are sealed anew at a time.
const BATCH: i64 = 500;

/// What a rotation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Values that are sealed under the new key now.
    pub resealed: u64,
    /// Objects whose secret the old key did not open. They are as they were.
    pub untouched: Vec<String>,
}

impl Store {
    /// Seals everything under another master key, all of it or nothing. Where the key is the generated file, the file is replaced; a
    /// given key has to be given from the next start on. Other processes on the same server must be stopped: they have the old key.
    pub async fn rotate_key(&self, new: MasterKey) -> Result<Rotated, Error> {
        within(self.inner().timeouts.bulk, async {
            let mut key = Arc::clone(&self.inner().key).write_owned().await;
            let file = self.inner().key_file.as_ref();
            let key_error = |error: crate::KeyError| Error::Key(error.to_string());
            if let Some(file) = file {
                file.stage(&new).map_err(key_error)?;
            }
            let mut transaction = self.inner().writing.begin_with(self.inner().engine.begin()).await?;
            let mut rotated = Rotated::default();
            reseal_secrets(&mut transaction, &key, &new, &mut rotated).await?;
            reseal_kept(&mut transaction, &key, &new, &mut rotated).await?;
            let mark = sqlx::query("UPDATE meta SET key_id = $1, changes = changes + 1").bind(new.id().to_string());
            mark.execute(&mut *transaction).await?;
            transaction.commit().await?;
            *key = new;
            if let Some(file) = file {
                file.promote().map_err(key_error)?;
            }
            Ok(rotated)
        })
        .await
    }

    /// Objects whose secret is sealed under another key than the present one, and that key.
    pub async fn locked(&self) -> Result<Vec<(String, KeyId)>, Error> {
        self.timed(async {
            let present = self.key_id().await;
            let rows = sqlx::query("SELECT object, sealed FROM secrets ORDER BY object");
            let mut locked = Vec::new();
            for row in rows.fetch_all(&self.inner().reading).await? {
                let sealed: Vec<u8> = row.try_get("sealed")?;
                if let Some(other) = key_id(&sealed).filter(|id| *id != present) {
                    locked.push((row.try_get("object")?, other));
                }
            }
            Ok(locked)
        })
        .await
    }
}

async fn reseal_secrets(
    connection: &mut AnyConnection,
    old: &MasterKey,
    new: &MasterKey,
    rotated: &mut Rotated,
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let rows = sqlx::query("SELECT object, sealed FROM secrets WHERE object > $1 ORDER BY object LIMIT $2");
        let rows = rows.bind(after.clone()).bind(BATCH).fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("object")?;
        for row in &rows {
            let id: String = row.try_get("object")?;
            let sealed: Vec<u8> = row.try_get("sealed")?;
            let Ok((sealed, identity)) = reseal(old, new, &id, &sealed) else {
                rotated.untouched.push(id);
                continue;
            };
            let update = sqlx::query("UPDATE secrets SET sealed = $1, identity = $2 WHERE object = $3");
            update.bind(sealed).bind(identity).bind(id).execute(&mut *connection).await?;
            rotated.resealed += 1;
        }
    }
}

async fn reseal_kept(
    connection: &mut AnyConnection,
    old: &MasterKey,
    new: &MasterKey,
    rotated: &mut Rotated,
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let rows = sqlx::query("SELECT id, body FROM kept WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = rows.bind(after.clone()).bind(BATCH).fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("id")?;
        for row in &rows {
            let id: String = row.try_get("id")?;
            let sealed: Vec<u8> = row.try_get("body")?;
            // What does not open expires by itself.
            let Ok(plain) = open(old, kept::place(&id), &sealed) else { continue };
            let update = sqlx::query("UPDATE kept SET body = $1 WHERE id = $2");
            update.bind(seal(new, kept::place(&id), &plain)).bind(id).execute(&mut *connection).await?;
            rotated.resealed += 1;
        }
    }
}
