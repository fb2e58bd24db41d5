//! What is kept between requests goes into the store, behind the answers, and comes back when it is not in memory any more.
//!
//! Writing never delays an answer: things wait here, within bounds, until the next batch is written, and at the end until all are. While the
//! database is away they go on waiting; what finds no room stays in memory only. A request reads from the store only where it refers to
//! something that is neither in memory nor waiting, and never for long.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use polyport_store::{Bounds, Error, Keep, Kind, Store};
use polyport_types::Text;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::state::Thing;
use crate::tasks;

/// What comes together is written together: a loss of power costs what was kept in this time.
const GATHER: Duration = Duration::from_millis(50);

/// While the database is away it is tried again after this time.
const AGAIN: Duration = Duration::from_secs(2);

/// Of one batch.
const BATCH_COUNT: usize = 512;
const BATCH_BYTES: usize = 8 << 20;

/// Of all that waits.
const WAITING_COUNT: usize = 50_000;
const WAITING_BYTES: usize = 64 << 20;

/// What the store does not have is not asked for again within this time, up to so many names.
const ABSENT: Duration = Duration::from_secs(60);
const ABSENT_COUNT: u64 = 50_000;

/// Larger things are read off the async workers.
const INLINE_BYTES: usize = 256 << 10;

/// What is kept of each kind, and for how long.
const KINDS: [(Kind, Bounds, Duration); 5] = [
    (Kind::Answer, Bounds { count: 50_000, bytes: 1 << 30 }, days(30)),
    (Kind::Held, Bounds { count: 200_000, bytes: 256 << 20 }, days(30)),
    (Kind::Owner, Bounds { count: 200_000, bytes: 64 << 20 }, days(30)),
    (Kind::Passed, Bounds { count: 50_000, bytes: 512 << 20 }, days(30)),
    (Kind::Signature, Bounds { count: 200_000, bytes: 512 << 20 }, days(7)),
];

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

/// What something is called: its kind, whose it is, and what its owner calls it.
pub(crate) type Name = (Kind, Text, Text);

/// The store did not answer in time: whether something is there is not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Away;

/// The way into the store and out of it.
#[derive(Debug)]
pub(crate) struct Archive {
    store: Store,
    waiting: Mutex<Waiting>,
    news: Notify,
    absent: Cache<Name, ()>,
    /// Until then nobody asks the store: it did not answer. Unix milliseconds.
    quiet_until: AtomicI64,
    pruning: Mutex<HashMap<Kind, Growth>>,
    away: AtomicBool,
    waits: Gauge<i64, AtomicI64>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: HashMap<Name, Entry>,
    /// In the order they came; what is written or gone may still stand here.
    order: VecDeque<Name>,
    bytes: usize,
    serial: u64,
    full: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    /// None: it is to be forgotten.
    thing: Option<Thing>,
    serial: u64,
    size: usize,
}

/// What was written of a kind since it was brought within its bounds.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    count: i64,
    bytes: i64,
    begun: bool,
}

/// Writes what comes, until it is cancelled; never in the middle of a batch, which would be lost.
pub(crate) async fn keep_writing(archive: Arc<Archive>, cut: CancellationToken) {
    while let Some(()) = cut.run_until_cancelled(archive.news.notified()).await {
        cut.run_until_cancelled(tokio::time::sleep(GATHER)).await;
        while archive.write_all().await.is_err() {
            if cut.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
                return;
            }
        }
        cut.run_until_cancelled(archive.prune()).await;
    }
}

impl Archive {
    /// `waits` tells how many things wait.
    pub(crate) fn new(store: Store, waits: Gauge<i64, AtomicI64>) -> Self {
        Self {
            store,
            waiting: Mutex::default(),
            news: Notify::new(),
            absent: Cache::builder().max_capacity(ABSENT_COUNT).time_to_live(ABSENT).build(),
            quiet_until: AtomicI64::new(0),
            pruning: Mutex::default(),
            away: AtomicBool::new(false),
            waits,
        }
    }

    /// Has something written.
    pub(crate) fn keep(&self, name: Name, thing: Thing) {
        self.put(name, Some(thing));
    }

    /// Has something forgotten.
    pub(crate) fn forget(&self, name: Name) {
        self.put(name, None);
    }

    fn put(&self, name: Name, thing: Option<Thing>) {
        self.absent.invalidate(&name);
        let size = thing.as_ref().map_or(0, Thing::size) + 256;
        let mut waiting = self.waiting.lock();
        let has_room = waiting.entries.len() < WAITING_COUNT && waiting.bytes.saturating_add(size) <= WAITING_BYTES;
        if !has_room && (thing.is_some() || waiting.entries.len() >= 2 * WAITING_COUNT) {
            // An older one of this name must not come back in its place.
            waiting.remove(&name);
            if !std::mem::replace(&mut waiting.full, true) {
                tracing::warn!("too much waits for the database: what is new is kept in memory only");
            }
            return;
        }
        let first = thing.as_ref().is_some_and(|thing| thing.first_counts(&name));
        if first && waiting.entries.get(&name).is_some_and(|entry| entry.thing.is_some()) {
            return;
        }
        waiting.remove(&name);
        waiting.serial += 1;
        waiting.bytes += size;
        let entry = Entry { thing, serial: waiting.serial, size };
        waiting.order.push_back(name.clone());
        waiting.entries.insert(name, entry);
        self.waits.set(i64::try_from(waiting.entries.len()).unwrap_or(i64::MAX));
        drop(waiting);
        self.news.notify_one();
    }

    /// What is kept under these names, in their order.
    ///
    /// # Errors
    /// [`Away`] when the store does not say within `limit`.
    pub(crate) async fn find(&self, names: &[Name], limit: Duration) -> Result<Vec<Option<Thing>>, Away> {
        let mut found: Vec<Option<Thing>> = Vec::with_capacity(names.len());
        let mut asked: Vec<usize> = Vec::new();
        {
            let waiting = self.waiting.lock();
            for (at, name) in names.iter().enumerate() {
                let entry = waiting.entries.get(name);
                if entry.is_none() && !self.absent.contains_key(name) {
                    asked.push(at);
                }
                found.push(entry.and_then(|entry| entry.thing.clone()));
            }
        }
        if asked.is_empty() {
            return Ok(found);
        }
        let now = clock::now_signed();
        if self.quiet_until.load(Ordering::Relaxed) > now {
            return Err(Away);
        }
        let wanted: Vec<&Name> = asked.iter().filter_map(|&at| names.get(at)).collect();
        let keys: Vec<_> = wanted.iter().map(|(kind, owner, name)| (*kind, &**owner, &**name)).collect();
        let kept = self.store.kept();
        let bodies = match tokio::time::timeout(limit, kept.some(&keys, now)).await {
            Ok(Ok(bodies)) => bodies,
            answer => {
                let error = answer.map_or_else(
                    |_| format!("no answer within {limit:?}"),
                    |read| read.err().map_or_else(String::new, |error| error.to_string()),
                );
                tracing::warn!(error, "what is kept cannot be read");
                let quiet = i64::try_from(AGAIN.as_millis()).unwrap_or(i64::MAX);
                self.quiet_until.store(now.saturating_add(quiet), Ordering::Relaxed);
                return Err(Away);
            }
        };
        let bytes: usize = bodies.iter().flatten().map(Vec::len).sum();
        let kinds: Vec<Kind> = wanted.iter().map(|name| name.0).collect();
        let read = move || -> Vec<Option<Thing>> {
            kinds.iter().zip(bodies).map(|(kind, body)| Thing::read(*kind, &body?)).collect()
        };
        let things = if bytes > INLINE_BYTES { tasks::off_worker(read).await.unwrap_or_default() } else { read() };
        for (at, thing) in asked.into_iter().zip(things) {
            match (thing, names.get(at), found.get_mut(at)) {
                (None, Some(name), _) => self.absent.insert(name.clone(), ()),
                (thing, _, Some(place)) => *place = thing,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Writes what is left; what cannot be written now is lost.
    pub(crate) async fn finish(&self) {
        if self.write_all().await.is_err() {
            let lost = self.waiting.lock().entries.len();
            tracing::error!(lost, "what was kept last could not be written");
        }
    }

    /// Writes everything that waits, batch by batch.
    async fn write_all(&self) -> Result<(), Error> {
        loop {
            let batch = self.waiting.lock().batch();
            if batch.is_empty() {
                return Ok(());
            }
            let (batch, things) = match tasks::off_worker(move || (write(&batch), batch)).await {
                Some((things, batch)) => (batch, things),
                None => continue,
            };
            let gone: Vec<_> = batch.iter().filter(|(_, entry)| entry.thing.is_none()).collect();
            let gone: Vec<_> = gone.iter().map(|((kind, owner, name), _)| (*kind, &**owner, &**name)).collect();
            let written = self.store.kept().write(&things, &gone, clock::now_signed()).await;
            if let Err(error) = &written
                && matches!(error, Error::Unavailable(_) | Error::Full)
            {
                self.waiting.lock().give_back(batch);
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "requests go on; what is kept waits in memory");
                }
                return written;
            }
            if let Err(error) = written {
                // The same again would be refused again.
                tracing::error!(%error, things = things.len(), "what was kept could not be written");
            } else {
                self.grew(&things);
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("what is kept is written again");
                }
            }
            let mut waiting = self.waiting.lock();
            waiting.done(&batch);
            self.waits.set(i64::try_from(waiting.entries.len()).unwrap_or(i64::MAX));
        }
    }

    fn grew(&self, things: &[Keep]) {
        let mut pruning = self.pruning.lock();
        for thing in things {
            let growth = pruning.entry(thing.kind).or_default();
            growth.count += 1;
            growth.bytes += i64::try_from(thing.body.len()).unwrap_or(i64::MAX);
        }
    }

    /// Brings back within its bounds what has grown by a tenth of them, and everything once.
    async fn prune(&self) {
        for (kind, bounds, _) in KINDS {
            let growth = self.pruning.lock().get(&kind).copied().unwrap_or_default();
            let much = growth.count > bounds.count / 10 || growth.bytes > bounds.bytes / 10;
            if growth.begun && !much {
                continue;
            }
            if self.store.kept().prune(kind, bounds, clock::now_signed()).await.is_ok() {
                self.pruning.lock().insert(kind, Growth { begun: true, ..Growth::default() });
            }
        }
    }
}

impl Waiting {
    fn remove(&mut self, name: &Name) {
        if let Some(entry) = self.entries.remove(name) {
            self.bytes -= entry.size;
        }
    }

    /// The next ones to be written. They go on waiting until they are.
    fn batch(&mut self) -> Vec<(Name, Entry)> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_COUNT && bytes < BATCH_BYTES {
            let Some(name) = self.order.pop_front() else { break };
            if let Some(entry) = self.entries.get(&name).cloned() {
                bytes += entry.size;
                batch.push((name, entry));
            }
        }
        batch
    }

    /// They could not be written.
    fn give_back(&mut self, batch: Vec<(Name, Entry)>) {
        for (name, _) in batch.into_iter().rev() {
            self.order.push_front(name);
        }
    }

    /// They are written; what was replaced meanwhile waits on.
    fn done(&mut self, batch: &[(Name, Entry)]) {
        for (name, written) in batch {
            if self.entries.get(name).is_some_and(|entry| entry.serial == written.serial) {
                self.remove(name);
            }
        }
        self.full = false;
    }
}

/// The things of a batch as the store takes them.
fn write(batch: &[(Name, Entry)]) -> Vec<Keep> {
    let now = clock::now_signed();
    let things = batch.iter().filter_map(|(name, entry)| {
        let thing = entry.thing.as_ref()?;
        let lasts = KINDS.iter().find(|kind| kind.0 == name.0).map_or(0, |kind| kind.2.as_millis());
        Some(Keep {
            kind: name.0,
            owner: name.1.to_string(),
            name: name.2.to_string(),
            body: thing.write(),
            expires_at: now.saturating_add(i64::try_from(lasts).unwrap_or(i64::MAX)),
            first_counts: thing.first_counts(name),
        })
    });
    things.collect()
}
