//! Accounting while the gateway runs: limits before a request, a journal during it, a settlement after it.
//!
//! | module | what |
//! |---|---|
//! | [`accounts`] | limits and what was taken from them |
//! | [`prices`] | what models cost |
//! | [`tries`] | what a request used, try by try |
//! | [`journal`] | intents and settlements, in files beside the database |
//! | [`recall`] | what was used before, from the log |
//! | [`retention`] | what is old goes |
//! | [`writer`] | from the journal into the database |

pub(crate) mod accounts;
pub(crate) mod journal;
pub(crate) mod prices;
mod recall;
pub(crate) mod retention;
pub(crate) mod touched;
pub(crate) mod tries;
pub(crate) mod writer;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_accounting::{Limit, Money, Use};
use polyport_routing::Resolved;
use polyport_store::log::{Attempt, Entry, Log};
use polyport_store::{OpenError, Turn};
use polyport_types::Fault;

use tokio::sync::broadcast;

use crate::app::{App, Runtime};
use crate::config::{Config, Event};
use crate::directory::quotas::Quota;
use crate::ingress::access::Caller;
use crate::notifications::Notifier;
use crate::tasks;
use accounts::{Accounts, Ticket};
use journal::{Intent, Journal};
use prices::Prices;
use touched::Touched;
use tries::Estimate;

/// Entries that a slow reader of the live log may be behind.
const LIVE: usize = 1024;

/// Accounting of a running gateway.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) accounts: Accounts,
    pub(crate) prices: Prices,
    /// Limits that were charged lately.
    pub(crate) touched: Touched,
    /// What happens to the entries of requests.
    books: Option<Books>,
    live: broadcast::Sender<Arc<Entry>>,
}

/// Where entries are kept.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) journal: Arc<Journal>,
    pub(crate) log: Log,
    /// What other processes have left.
    left: Mutex<Vec<Arc<Journal>>>,
}

impl Books {
    /// Opens journal and log.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub(crate) async fn open(config: &Config, turn: Turn) -> Result<Self, BooksError> {
        let directory = config.data.join("journal");
        let shown = directory.display().to_string();
        let opened = tasks::off_worker(move || Journal::open_all(&directory)).await;
        let opened = opened.unwrap_or_else(|| Err(std::io::Error::other("it cannot be read")));
        let (journal, left) = opened.map_err(|error| BooksError::Journal { directory: shown, error })?;
        let log = config.open_log(turn).await?;
        Ok(Self { journal: Arc::new(journal), log, left: Mutex::new(left.into_iter().map(Arc::new).collect()) })
    }
}

/// Takes up what a process has left whose place this one has taken.
pub(crate) async fn follow(app: &Arc<App>) {
    let Some(books) = &app.ledger.books else { return };
    let journal = Arc::clone(&books.journal);
    match tasks::off_worker(move || journal.open_left()).await {
        Some(Ok(left)) => books.left.lock().extend(left.into_iter().map(Arc::new)),
        Some(Err(error)) => {
            tracing::error!(%error, "what the process before has left in the journal waits for the next start")
        }
        None => {}
    }
    app.ledger.accounts.lack();
    books.journal.settled.notify_one();
}

/// Accounting cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The journal cannot be used.
    #[error(
        "the journal in {directory} cannot be used: {error}; make the folder writable, or choose another one with `--data`"
    )]
    Journal {
        /// Its folder.
        directory: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// The request log cannot be used.
    #[error("the request log cannot be used")]
    Log(#[from] OpenError),
}

/// A start waits for the log this long.
const START: Duration = Duration::from_secs(30);

/// Writes what the process before left in the journal, then finds out what callers have used of their limits. A database that is away, or has
/// much to take, stops nothing: the writer goes on, and what was used is known when it has caught up.
pub(crate) async fn restore(app: &Arc<App>) {
    let restored = tokio::time::timeout(START, writer::take_over(app)).await;
    match restored {
        Ok(Ok(())) => return,
        Ok(Err(error)) => {
            tracing::error!(%error, "the request log cannot be written; limits begin anew, entries wait in the journal");
        }
        Err(_) => {
            tracing::warn!("there is much in the journal; limits do not know of it until it is in the request log")
        }
    }
    app.ledger.accounts.lack();
}

impl Ledger {
    /// Accounting that keeps entries in `books`, if there are any.
    pub(crate) fn new(books: Option<Books>) -> Self {
        let (accounts, prices, touched) = (Accounts::default(), Prices::default(), Touched::default());
        Self { accounts, prices, touched, books, live: broadcast::Sender::new(LIVE) }
    }

    /// The log.
    pub(crate) fn log(&self) -> Option<&Log> {
        self.books.as_ref().map(|books| &books.log)
    }

    /// Entries as they come.
    pub(crate) fn live(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.live.subscribe()
    }

    /// Where entries are kept.
    pub(crate) fn books(&self) -> Option<&Books> {
        self.books.as_ref()
    }

    /// Takes what a request may use from the limits of its caller.
    ///
    /// # Errors
    /// `LocalRate` or `LocalQuota`.
    pub(crate) fn admit(
        &self,
        runtime: &Runtime,
        caller: &Caller,
        asked: Demand<'_>,
        estimate: Estimate,
    ) -> Result<Option<Ticket>, Fault> {
        let quotas = caller.grant().map(|grant| grant.quotas.as_slice()).unwrap_or_default();
        let shared = &runtime.config.quotas;
        let names = if shared.is_empty() { Vec::new() } else { caller.names() };
        let of_all = shared.iter().filter(|shared| shared.is_about(&names)).map(|shared| &shared.quota);
        let charged: Vec<&Quota> = quotas.iter().chain(of_all).filter(|quota| asked.is_about(quota)).collect();
        if charged.is_empty() {
            return Ok(None);
        }
        let tokens = estimate.input.saturating_add(estimate.output);
        let mut need = Use { tokens, money: Money::default() };
        let money = |limit: &Limit| matches!(limit, Limit::Money { .. });
        if charged.iter().any(|quota| quota.limits.iter().any(money))
            && let Some(first) = asked.resolved.and_then(|resolved| resolved.targets.first())
        {
            let priced = self.prices.of(runtime, &first.provider, &first.model);
            let cost = priced.cost(&estimate.counts());
            let cost = cost.and_then(|cost| runtime.config.money.in_budget(cost.total, cost.currency.as_str()));
            need.money = cost.unwrap_or_default();
        }
        let heard =
            [Event::QuotaNear, Event::QuotaReached].iter().any(|event| Notifier::is_heard(&runtime.config, *event));
        if heard {
            self.touched.charge(charged.iter().copied());
        }
        self.accounts.admit(charged.into_iter(), need).map_err(|denied| {
            if let Some(quota) = denied.quota.filter(|_| heard) {
                self.touched.refuse(&quota, denied.limit);
            }
            denied.fault
        })
    }

    /// What is true if the process ends now.
    pub(crate) fn intend(&self, before: Option<Intent>, entry: impl FnOnce() -> Entry) -> Option<Intent> {
        self.books.as_ref().and_then(|books| books.journal.intend(before, &entry()))
    }

    /// A request has ended.
    pub(crate) fn settle(&self, runtime: &Runtime, ticket: Option<Ticket>, intent: Option<Intent>, entry: &Entry) {
        if let Some(ticket) = ticket {
            // What failed at the providers is nothing that the caller had.
            let charged = entry.attempts.iter().any(|attempt| attempt.charged);
            let used = charged.then(|| used(runtime, &entry.attempts));
            self.accounts.close(ticket, used);
        }
        if let Some(books) = &self.books {
            books.journal.settle(intent, entry);
        }
        if self.live.receiver_count() > 0 {
            // Readers that have just left are no loss.
            self.live.send(Arc::new(Entry { payload: None, ..entry.clone() })).ok();
        }
    }
}

/// What counts towards limits.
pub(crate) fn used(runtime: &Runtime, attempts: &[Attempt]) -> Use {
    attempts.iter().filter(|attempt| attempt.charged).fold(Use::default(), |sum, attempt| {
        let cost = attempt.cost.zip(attempt.currency.as_deref());
        let money = cost.and_then(|(cost, currency)| runtime.config.money.in_budget(Money::from_picos(cost), currency));
        Use { tokens: sum.tokens.saturating_add(attempt.tokens()), money: sum.money.plus(money.unwrap_or_default()) }
    })
}

/// What a request is about, as far as limits look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand<'a> {
    /// The name the client used; empty where it names none.
    pub(crate) model: &'a str,
    /// Where it may be answered.
    pub(crate) resolved: Option<&'a Resolved>,
}

impl Demand<'_> {
    /// Whether a quota counts this: by the name that was used, or by what may answer.
    fn is_about(&self, quota: &Quota) -> bool {
        let Some(models) = &quota.models else { return true };
        let mut targets = self.resolved.iter().flat_map(|resolved| &*resolved.targets);
        models.matches(self.model) || targets.any(|target| models.matches(&target.model))
    }
}
