//! How many connections may be open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::warn;

use super::files;
use crate::app::App;

/// As many connections are held at most, unless the configuration says another number.
const MOST_CONNECTIONS: usize = 1 << 16;

/// Files that are kept free of connections, for databases, journal and configuration.
const OWN_FILES: usize = 64;

/// What may happen again and again is told once a minute.
#[derive(Debug, Default)]
pub(super) struct Seldom(Option<Instant>);

impl Seldom {
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|last| last.elapsed() >= Duration::from_secs(60));
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// How many connections may be open, in all and from one address.
pub(super) struct Doors {
    all: Arc<Semaphore>,
    most: usize,
    per_address: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place; dropped with it.
pub(super) struct Place {
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Doors {
    pub(super) fn new(app: &App) -> Self {
        let limits = &app.runtime().config.limits;
        let files =
            files::may_open().map_or(MOST_CONNECTIONS, |files| (files / 4 * 3).min(files.saturating_sub(OWN_FILES)));
        let most = limits.connections.unwrap_or(MOST_CONNECTIONS).min(files).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(most)),
            most,
            per_address: limits.connections_per_address,
            addresses: Arc::default(),
        }
    }

    /// A place among all. Told if there is none.
    pub(super) async fn open(&self, full: &mut Seldom) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.all).try_acquire_owned() {
            return Some(permit);
        }
        if full.is_due() {
            warn!(
                connections = self.most,
                "as many connections are open as may be; new ones wait until others end (`limits.connections`; three quarters of the files \
                 that may be open)"
            );
        }
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Waits until no connection is left, but not longer than this.
    pub(super) async fn wait_until_left(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.all.available_permits() < self.most && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A place for one more connection from `address`; programs on this machine are not limited by address.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Option<Place>> {
        if address.is_loopback() {
            return Some(None);
        }
        let mut addresses = self.addresses.lock();
        let count = addresses.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Some(Place { address, addresses: Arc::clone(&self.addresses) }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock();
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}
