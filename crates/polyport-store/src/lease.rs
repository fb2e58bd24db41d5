//! Turns: what only one of several processes may do at a time. A process that dies loses its turn by time.

use std::time::Duration;

use crate::db::{Store, new_id, now};
use crate::error::Error;

/// The turns.
#[derive(Clone, Copy, Debug)]
pub struct Leases<'s> {
    store: &'s Store,
}

/// A turn that was taken.
#[derive(Debug)]
pub struct Lease {
    name: String,
    holder: String,
}

impl<'s> Leases<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store }
    }

    /// Takes the turn of this name for so long; `None` while another one has it. The clocks of the processes should agree within a few
    /// seconds.
    pub async fn take(&self, name: &str, length: Duration) -> Result<Option<Lease>, Error> {
        self.store
            .timed(async {
                let (holder, now) = (new_id(), now());
                let until = now.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX));
                let mut change = self.store.begin().await?;
                let take = sqlx::query(
                    "INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET \
                     holder = excluded.holder, until = excluded.until WHERE leases.until <= $4",
                );
                let take = take.bind(name).bind(holder.as_str()).bind(until).bind(now);
                let taken = take.execute(change.connection()).await?.rows_affected() > 0;
                change.commit().await?;
                Ok(taken.then(|| Lease { name: name.to_owned(), holder }))
            })
            .await
    }

    /// Gives a turn back. One that has run out meanwhile is another's.
    pub async fn give_back(&self, lease: Lease) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let give = sqlx::query("DELETE FROM leases WHERE name = $1 AND holder = $2");
                give.bind(lease.name).bind(lease.holder).execute(change.connection()).await?;
                change.commit().await
            })
            .await
    }
}
