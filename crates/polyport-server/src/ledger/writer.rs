//! From the journal into the database, in batches. While the database is away the journal grows on the disk, and no request notices.

use std::sync::Arc;
use std::time::{Duration, Instant};

use polyport_store::log::Position;
use tokio_util::sync::CancellationToken;

use super::Books;
use super::journal::Journal;
use crate::app::App;
use crate::observe::Metrics;
use crate::tasks;

/// What is settled is in the database after this time, if that is there.
const SOON: Duration = Duration::from_millis(300);

/// A database that is away is tried again after this time.
const AGAIN: Duration = Duration::from_secs(2);

/// What other gateways on the same database let through is known after this time.
const OTHERS: Duration = Duration::from_secs(5);

/// A gateway that stops goes on writing for this time at most.
const LAST: Duration = Duration::from_secs(10);

/// Entries that are written at once.
const BATCH: usize = 500;

/// Writes until it is cancelled.
pub(crate) async fn keep_writing(app: Arc<App>, cut: CancellationToken) {
    if app.ledger.books().is_none() {
        return;
    }
    let mut away = false;
    let mut done = None;
    let (mut recalled, mut behind) = (Instant::now(), Instant::now());
    loop {
        let Some(books) = app.ledger.books() else { return };
        tokio::select! {
            () = books.journal.settled.notified() => {}
            () = tokio::time::sleep(AGAIN) => {}
            () = cut.cancelled() => return,
        }
        // What follows soon goes into the same batch.
        tokio::select! {
            () = tokio::time::sleep(SOON) => {}
            () = cut.cancelled() => return,
        }
        observe(books, &app.metrics).await;
        let none_left = books.left.lock().is_empty();
        let mut caught_up = if none_left { Ok(()) } else { take_over(&app).await };
        if caught_up.is_ok() {
            caught_up = catch_up(books, &books.journal, &mut done).await;
        }
        if caught_up.is_ok() {
            let now = Instant::now();
            let shared = app.directory.as_ref().is_some_and(|directory| directory.store().is_shared());
            let others = shared && now.duration_since(recalled) >= OTHERS;
            if others {
                recalled = now;
            }
            caught_up = recall(&app, others).await;
        }
        if let Err(error) = &caught_up
            && !away
        {
            tracing::error!(%error, "the request log cannot be written; requests go on, their entries wait in the journal");
        } else if away && caught_up.is_ok() {
            tracing::info!("the request log is written again");
        }
        away = caught_up.is_err();
        if !away {
            behind = Instant::now();
        }
        app.metrics.log_behind_seconds.set(behind.elapsed().as_secs_f64());
        if away {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = cut.cancelled() => return,
            }
        }
    }
}

/// Writes what this process and others have left, and finds out what callers have used.
///
/// # Errors
/// If the disk or the database fails; the rest waits.
pub(super) async fn take_over(app: &Arc<App>) -> Result<(), Error> {
    let Some(books) = app.ledger.books() else { return Ok(()) };
    let left = books.left.lock().clone();
    for journal in left {
        catch_up(books, &journal, &mut None).await?;
        books.left.lock().retain(|one| !Arc::ptr_eq(one, &journal));
    }
    catch_up(books, &books.journal, &mut None).await?;
    observe(books, &app.metrics).await;
    recall(app, true).await
}

/// Writes what is left, when all requests have ended, and lets go of the log.
pub(crate) async fn finish(app: &Arc<App>) {
    let Some(books) = app.ledger.books() else { return };
    // A batch that is cut off is not in the log, nor is the position behind it.
    match tokio::time::timeout(LAST, catch_up(books, &books.journal, &mut None)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "the request log cannot be written; its entries wait in the journal for the next start");
        }
        Err(_) => tracing::warn!("there is much in the journal; the rest waits there for the next start"),
    }
    books.log.close().await;
}

/// Writes all that is settled in a journal. `done` is how far that went before, if it is known.
///
/// # Errors
/// If the disk or the database fails; the rest waits.
async fn catch_up(books: &Books, journal: &Arc<Journal>, done: &mut Option<Position>) -> Result<(), Error> {
    if done.is_none() {
        *done = books.log.position(journal.id()).await?;
    }
    loop {
        let (task, after) = (Arc::clone(journal), done.clone());
        let read = tasks::off_worker(move || task.read(after.as_ref(), BATCH)).await;
        let read = read.ok_or_else(|| std::io::Error::other("reading the journal failed"))??;
        let Some((entries, end)) = read else { break };
        books.log.write(&entries, &end).await?;
        *done = Some(end);
    }
    let (task, until) = (Arc::clone(journal), done.clone());
    let tidied = tasks::off_worker(move || task.tidy(until.as_ref())).await;
    tidied.ok_or_else(|| std::io::Error::other("tidying the journal failed"))??;
    Ok(())
}

/// Brings accounts up to date that need it, or `all` of them.
///
/// # Errors
/// If the database does not answer.
pub(super) async fn recall(app: &Arc<App>, all: bool) -> Result<(), Error> {
    match app.ledger.books() {
        Some(books) if all || app.ledger.accounts.may_lack() => {
            let recalled = super::recall::recall(app, &books.log, all).await;
            if recalled.is_err() {
                app.ledger.accounts.lack();
            }
            Ok(recalled?)
        }
        _ => Ok(()),
    }
}

/// Why entries wait.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The journal cannot be read.
    #[error("the journal: {0}")]
    Disk(#[from] std::io::Error),
    /// The database does not take them.
    #[error("the database: {0}")]
    Database(#[from] polyport_store::Error),
}

async fn observe(books: &Books, metrics: &Metrics) {
    let journal = Arc::clone(&books.journal);
    let Some((health, bytes)) = tasks::off_worker(move || (journal.health(), journal.bytes())).await else { return };
    metrics.journal_waiting.set(i64::try_from(health.waiting).unwrap_or(i64::MAX));
    metrics.log_dropped.inc_by(health.lost);
    metrics.journal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
}
