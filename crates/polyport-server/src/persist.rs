//! What was counted and what rests goes into the store, every few seconds and at the end. While the database is away nothing is lost, and
//! no request notices.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polyport_routing::{Counts, Fleet};
use polyport_store::{Error, Kind, Store, Tally};
use polyport_types::Text;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock;
use crate::credentials::past::{Rests, keep, name};
use crate::observe::Metrics;

/// A loss of power costs what was counted in this time.
const EVERY: Duration = Duration::from_secs(2);

/// Credentials whose counts wait while the database is away. Those beyond are not counted.
const MOST_WAITING: usize = 100_000;

/// States are known to whoever starts within this time.
const RESTS_KEPT_MS: i64 = 400 * 24 * 3_600_000;

/// The way into the store.
#[derive(Debug)]
pub(crate) struct Persist {
    store: Store,
    /// This process among those that write.
    writer: String,
    waiting: Mutex<Waiting>,
    away: AtomicBool,
}

/// What is not in the store yet.
#[derive(Debug, Default)]
struct Waiting {
    counts: HashMap<String, Counts>,
    /// Counts that were sent and of which it is not known whether they arrived: sent again as they were, under their number.
    sent: Option<Vec<Tally>>,
    number: i64,
    /// What rests, as it was written last, by provider.
    written: HashMap<Text, Vec<u8>>,
}

/// Writes from time to time, until it is cancelled.
pub(crate) async fn keep_writing(app: Arc<App>, cut: CancellationToken) {
    let Some(persist) = &app.persist else { return };
    let work = async {
        loop {
            tokio::time::sleep(EVERY).await;
            persist.flush(&app.credentials.fleet_owned(), &app.metrics).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

impl Persist {
    /// `kept` are the providers of which something rested the last time: what is written there is not known any more.
    pub(crate) fn new(store: Store, kept: Vec<Text>) -> Self {
        let written = kept.into_iter().map(|provider| (provider, Vec::new())).collect();
        let waiting = Mutex::new(Waiting { written, ..Waiting::default() });
        let writer = format!("{:032x}", rand::random::<u128>());
        Self { store, writer, waiting, away: AtomicBool::new(false) }
    }

    /// Writes what is left and lets go of the database.
    pub(crate) async fn finish(&self, fleet: &Fleet, metrics: &Metrics) {
        self.flush(fleet, metrics).await;
        self.store.close().await;
    }

    /// Writes what is new. What cannot be written waits for the next time.
    pub(crate) async fn flush(&self, fleet: &Fleet, metrics: &Metrics) {
        let mut waiting = self.waiting.lock().await;
        waiting.collect(fleet);
        let written = self.write(&mut waiting, fleet).await;
        metrics.store_up.set(i64::from(written.is_ok()));
        match written {
            Ok(()) if self.away.swap(false, Ordering::Relaxed) => tracing::info!("the database is back"),
            Err(error) if !self.away.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "requests go on; what is counted waits in memory");
            }
            _ => {}
        }
    }

    async fn write(&self, waiting: &mut Waiting, fleet: &Fleet) -> Result<(), Error> {
        let rests = waiting.changed_rests(fleet);
        if waiting.is_empty() && rests.is_empty() {
            return self.store.changes().await.map(drop);
        }
        while !waiting.is_empty() {
            let number = waiting.number;
            let tallies = waiting.next();
            self.store.health().flush(&self.writer, number, tallies).await?;
            waiting.arrived();
        }
        if !rests.is_empty() {
            let now = clock::now_signed();
            let until = now.saturating_add(RESTS_KEPT_MS);
            let things: Vec<_> =
                rests.iter().map(|(provider, body)| keep(Kind::Rests, provider, body.clone(), until)).collect();
            self.store.kept().put(&things, now).await?;
            waiting.written.extend(rests);
        }
        Ok(())
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.sent.is_none()
    }

    /// What is to be sent under the present number.
    fn next(&mut self) -> &[Tally] {
        let counts = &mut self.counts;
        self.sent.get_or_insert_with(|| counts.drain().map(|(name, counts)| tally(&name, &counts)).collect())
    }

    fn arrived(&mut self) {
        self.sent = None;
        self.number += 1;
    }

    fn collect(&mut self, fleet: &Fleet) {
        for health in fleet.providers() {
            health.roster().drain_counts(|member, counts| {
                let name = name(health.name(), &member.id);
                if self.counts.len() < MOST_WAITING || self.counts.contains_key(&name) {
                    self.counts.entry(name).or_default().add(counts);
                }
            });
        }
    }

    /// What rests now, of the providers where that is not what was written last.
    fn changed_rests(&self, fleet: &Fleet) -> Vec<(Text, Vec<u8>)> {
        let now = clock::now();
        let mut changed = Vec::new();
        for health in fleet.providers() {
            let mut rests = health.export(now);
            let written = self.written.get(health.name());
            if rests.is_empty() && written.is_none() {
                continue;
            }
            rests.sort_by(|a, b| (&a.credential, &a.model).cmp(&(&b.credential, &b.model)));
            let body = serde_json::to_vec(&Rests { provider: health.name().clone(), rests }).unwrap_or_default();
            if written != Some(&body) {
                changed.push((health.name().clone(), body));
            }
        }
        changed
    }
}

fn tally(name: &str, counts: &Counts) -> Tally {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Tally {
        credential: name.to_owned(),
        requests: count(counts.requests),
        successes: count(counts.successes),
        failures: count(counts.failures),
        statuses: counts.statuses.iter().map(|&(status, answers)| (status, count(answers))).collect(),
        last_used_at: (counts.last_used > 0).then(|| count(counts.last_used)),
    }
}
