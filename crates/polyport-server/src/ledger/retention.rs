//! What is old goes: on a timer, a bounded number of rows at a time, so that nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use polyport_store::Error;
use polyport_store::log::{Log, Old};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock;
use crate::config::Keep;

/// How often it is looked for what is old.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// The first time comes when the start is over.
const FIRST: Duration = Duration::from_secs(60);

/// Rows that are deleted at once.
const BATCH: u32 = 2000;

/// Between two batches others have their turn.
const PAUSE: Duration = Duration::from_millis(50);

/// Pages of a file that are given back to the disk after a round.
const PAGES: u32 = 4000;

/// Deletes what is old, until it is cancelled.
pub(crate) async fn keep_tidy(app: Arc<App>, cut: CancellationToken) {
    let Some(log) = app.ledger.log() else { return };
    let work = async {
        tokio::time::sleep(FIRST).await;
        loop {
            let keep = app.runtime_owned().config.keep;
            if let Err(error) = tidy(log, &keep, clock::now_signed()).await {
                tracing::warn!(%error, "what is old in the request log stays for now");
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

/// Deletes what is older than it may be kept.
async fn tidy(log: &Log, keep: &Keep, now: i64) -> Result<(), Error> {
    let before = |time: Duration| now.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let mut deleted = 0;
    for (what, time) in [
        (Old::Payloads, keep.payloads),
        (Old::Requests, keep.requests),
        (Old::Ledger, keep.ledger),
        (Old::Minutes, keep.minutes),
        (Old::Hours, keep.hours),
        (Old::Days, keep.days),
    ] {
        loop {
            let gone = log.prune(what, before(time), BATCH).await?;
            deleted += gone;
            if gone < u64::from(BATCH) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    if let Some(time) = keep.names {
        while log.anonymise(before(time), BATCH).await? > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    if deleted > 0 {
        tracing::info!(rows = deleted, "old rows of the request log were deleted");
        log.compact(PAGES).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use polyport_store::log::{Entry, Position, Query};

    use super::*;

    #[tokio::test]
    async fn what_is_old_goes_and_the_rest_stays() {
        const DAY: i64 = 24 * 3_600_000;
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&polyport_store::log_url("sqlite://x", folder.path())).await.unwrap();
        let now = 1_800_000_000_000;
        let entry = |id: &str, days: i64| Entry {
            id: id.to_owned(),
            at: now - days * DAY,
            protocol: "chat".to_owned(),
            outcome: "answered".to_owned(),
            user: Some("u".to_owned()),
            user_name: Some("ada".to_owned()),
            source: Some("192.0.2.1".to_owned()),
            ..Entry::default()
        };
        let until = Position { journal: "j".to_owned(), segment: 1, offset: 1 };
        log.write(&[entry("old", 40), entry("older", 20), entry("new", 1)], &until).await.unwrap();
        let keep = Keep { names: Some(Duration::from_secs(7 * 24 * 3600)), ..Keep::default() };
        tidy(&log, &keep, now).await.unwrap();
        let found = log.requests(&Query { limit: 10, ..Query::default() }).await.unwrap().rows;
        let found: Vec<_> = found.iter().map(|one| (one.entry.id.as_str(), one.entry.source.is_some())).collect();
        assert_eq!(found, [("new", true), ("older", false)]);
    }
}
