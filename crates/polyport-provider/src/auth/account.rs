//! The life of an OAuth account: refreshed ahead of expiry, once at a time, its rotated token saved before anything needs it.
//!
//! A refresh is one task of its own, whoever waits for it: a client that leaves cannot cut it between the token server's answer and the
//! moment the new refresh token is durable.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use polyport_types::{Secret, Text};
use tokio::sync::watch;

use super::oauth::{self, RefreshError, TokenServer, Tokens};
use crate::{AuthHeader, AuthStyle, Client};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Starts a task that lives on whoever began it, and that shutdown waits for.
pub type Spawn = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// An access token is not used in its last seconds: it would expire on the way, and clocks differ.
const LAST_SECONDS_MS: i64 = 60_000;

/// Waits after failed refreshes: the first, doubled each time up to the longest.
const FIRST_WAIT_MS: i64 = 2_000;
const LONGEST_WAIT_MS: i64 = 300_000;

/// Replaced refresh tokens that are remembered: a file that is read again may still hold them.
const REPLACED: usize = 8;

/// Tokens that cannot be saved are offered again after this time.
const SAVE_AGAIN_MS: i64 = 5_000;

/// Where an account's tokens are kept, and who is told what becomes of it.
pub trait Keep: Send + Sync + fmt::Debug {
    /// Makes the tokens durable: when this is done, they survive the loss of power. `before` is the refresh token they replace.
    fn save<'a>(&'a self, before: &'a Secret, tokens: &'a Tokens) -> BoxFuture<'a, Result<(), SaveError>>;

    /// A refresh begins: waits until it is this account's turn, where others may refresh it as well. Gives the tokens that another one
    /// has saved meanwhile, if they are not those in use here.
    fn begin<'a>(&'a self, _present: &'a Tokens) -> BoxFuture<'a, Result<Option<Tokens>, SaveError>> {
        Box::pin(async { Ok(None) })
    }

    /// A refresh that began has ended.
    fn end(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// A refresh succeeded.
    fn refreshed(&self) {}

    /// A refresh failed.
    fn failed(&self, _error: &RefreshError) {}
}

/// Tokens could not be made durable.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the new tokens cannot be saved: {0}")]
pub struct SaveError(pub Text);

/// An access token as a header, and which one it is.
#[derive(Clone, Debug)]
pub struct Authorized {
    /// What the request carries.
    pub header: AuthHeader,
    /// Counts the account's tokens: tells [`Account::refresh`] which one was refused.
    pub generation: u64,
}

/// Whether an account can be refreshed.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Nothing speaks against it.
    Good,
    /// The last refresh failed; not before this time (Unix milliseconds) again.
    Waiting {
        /// When the next attempt may be.
        until_ms: i64,
        /// Failures in a row.
        failures: u32,
        /// The last one.
        error: RefreshError,
    },
    /// The refresh token is dead until somebody logs in again.
    Dead(RefreshError),
}

/// When an account should be refreshed without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// This long before the access token expires, milliseconds.
    pub ahead_ms: i64,
    /// At the latest this long after the last refresh, milliseconds, so that an unused refresh token stays alive.
    pub keep_alive_ms: Option<i64>,
}

impl Default for Due {
    /// Five minutes ahead.
    fn default() -> Self {
        Self { ahead_ms: 300_000, keep_alive_ms: None }
    }
}

/// An OAuth account. Shared by all requests that use it.
pub struct Account {
    label: Text,
    server: TokenServer,
    style: AuthStyle,
    client: Client,
    keep: Box<dyn Keep>,
    spawn: Spawn,
    clock: fn() -> i64,
    due: Due,
    held: ArcSwap<Held>,
    refreshing: Mutex<Refreshing>,
}

/// The tokens in use.
#[derive(Debug)]
struct Held {
    tokens: Tokens,
    header: Option<AuthHeader>,
    generation: u64,
    /// Unix milliseconds; 0 when this process has not refreshed it yet.
    refreshed_at_ms: i64,
}

#[derive(Debug)]
struct Refreshing {
    standing: Standing,
    /// Wakes those who wait for the refresh that runs.
    running: Option<watch::Receiver<Option<Result<(), RefreshError>>>>,
    /// Rotated tokens that are not durable yet, with the refresh token they replace.
    unsaved: Option<Secret>,
    /// Refresh tokens that were replaced, the last ones.
    replaced: VecDeque<Secret>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Account {
    /// An account with the tokens it had when it was last saved. `clock` gives Unix milliseconds.
    #[allow(clippy::too_many_arguments, reason = "each is a part of the account")]
    #[must_use]
    pub fn new(
        label: Text,
        server: TokenServer,
        style: AuthStyle,
        tokens: Tokens,
        due: Due,
        client: Client,
        keep: Box<dyn Keep>,
        spawn: Spawn,
        clock: fn() -> i64,
    ) -> Arc<Self> {
        let header = tokens.access.as_ref().and_then(|access| style.header(access).ok());
        Arc::new(Self {
            label,
            server,
            style,
            client,
            keep,
            spawn,
            clock,
            due,
            held: ArcSwap::from_pointee(Held { tokens, header, generation: 0, refreshed_at_ms: 0 }),
            refreshing: Mutex::new(Refreshing {
                standing: Standing::Good,
                running: None,
                unsaved: None,
                replaced: VecDeque::new(),
            }),
        })
    }

    /// Its name for logs and pages.
    #[must_use]
    pub fn label(&self) -> &Text {
        &self.label
    }

    /// The tokens in use.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        self.held.load().tokens.clone()
    }

    /// Whether it can be refreshed.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.refreshing.lock().standing.clone()
    }

    /// The token in use, if it is good for a while: never waits and starts nothing.
    #[must_use]
    pub fn present(&self) -> Option<Authorized> {
        let held = self.held.load();
        let fresh = held.tokens.expires_at_ms.is_none_or(|expires| expires - LAST_SECONDS_MS > (self.clock)());
        let header = held.header.clone().filter(|_| fresh)?;
        Some(Authorized { header, generation: held.generation })
    }

    /// A token for a request. One that is near its end is used while a new one is fetched; without a usable one this waits.
    ///
    /// # Errors
    /// [`RefreshError`] when there is none to be had.
    pub async fn authorize(self: &Arc<Self>) -> Result<Authorized, RefreshError> {
        if let Some(present) = self.present() {
            if self.next_refresh_ms().is_some_and(|due| due <= (self.clock)()) {
                drop(self.begin(present.generation));
            }
            return Ok(present);
        }
        let generation = self.held.load().generation;
        self.refresh(generation).await?;
        // A token that expires at once is still the newest there is: the provider judges it.
        let held = self.held.load();
        match held.header.clone() {
            Some(header) => Ok(Authorized { header, generation: held.generation }),
            None => Err(RefreshError::Unavailable {
                reason: "its access token holds characters that headers cannot".into(),
                retry_after: None,
            }),
        }
    }

    /// Fetches a new access token, unless the one of this generation has been replaced already. Requests that ask at the same time share one
    /// call.
    ///
    /// # Errors
    /// [`RefreshError`]; while the account waits after a failure, or is dead, without asking the token server.
    pub async fn refresh(self: &Arc<Self>, generation: u64) -> Result<(), RefreshError> {
        let mut running = match self.begin(generation) {
            Begun::Running(running) => running,
            Begun::Replaced => return Ok(()),
            Begun::Refused(error) => return Err(error),
        };
        let outcome = running.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        // A sender that is dropped early belongs to a task that shutdown has ended.
        outcome.unwrap_or_else(|| {
            Err(RefreshError::Unavailable { reason: "the refresh was broken off".into(), retry_after: None })
        })
    }

    /// Whether this is its refresh token, or one that was replaced lately.
    #[must_use]
    pub fn knows(&self, refresh: &Secret) -> bool {
        self.held.load().tokens.refresh == *refresh || self.refreshing.lock().replaced.contains(refresh)
    }

    /// Fetches a new access token if it is time for it.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn keep_fresh(self: &Arc<Self>) -> Result<(), RefreshError> {
        let generation = self.held.load().generation;
        // Looked at after the generation: a refresh in between is then noticed.
        if self.next_refresh_ms().is_none_or(|due| due > (self.clock)()) {
            return Ok(());
        }
        self.refresh(generation).await
    }

    /// Fetches a new access token now, whatever happened before: for operators who have mended something.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn force_refresh(self: &Arc<Self>) -> Result<(), RefreshError> {
        self.refreshing.lock().standing = Standing::Good;
        let generation = self.held.load().generation;
        self.refresh(generation).await
    }

    /// When it should be refreshed next, Unix milliseconds; `None` for an account that only a log-in can mend.
    #[must_use]
    pub fn next_refresh_ms(&self) -> Option<i64> {
        let not_before = match &self.refreshing.lock().standing {
            Standing::Good => i64::MIN,
            Standing::Waiting { until_ms, .. } => *until_ms,
            Standing::Dead(_) => return None,
        };
        let held = self.held.load();
        if held.header.is_none() {
            return Some(not_before.max(0));
        }
        let expiry = held.tokens.expires_at_ms.map(|expires| expires - self.due.ahead_ms);
        let alive = self.due.keep_alive_ms.map(|every| held.refreshed_at_ms.saturating_add(every));
        Some(expiry.into_iter().chain(alive).min()?.max(not_before))
    }

    fn begin(self: &Arc<Self>, generation: u64) -> Begun {
        let mut refreshing = self.refreshing.lock();
        if let Some(running) = &refreshing.running {
            return Begun::Running(running.clone());
        }
        // Looked at under the lock: a refresh that just ended has stored its tokens before it gave the lock back.
        if self.held.load().generation != generation {
            return Begun::Replaced;
        }
        match &refreshing.standing {
            Standing::Good => {}
            Standing::Waiting { until_ms, .. } if *until_ms <= (self.clock)() => {}
            Standing::Waiting { error, .. } | Standing::Dead(error) => return Begun::Refused(error.clone()),
        }
        let (done, running) = watch::channel(None);
        refreshing.running = Some(running.clone());
        let account = Arc::clone(self);
        (self.spawn)(Box::pin(async move {
            let outcome = account.run().await;
            done.send_replace(Some(outcome));
        }));
        Begun::Running(running)
    }

    /// One refresh, from the request to durable tokens.
    async fn run(self: &Arc<Self>) -> Result<(), RefreshError> {
        // Whatever ends this, a panic included, the next one can begin.
        let finish = Finish(self);
        if let Err(error) = self.save_again().await {
            return finish.with(Err(error));
        }
        let outcome = match self.keep.begin(&self.held.load_full().tokens).await {
            Ok(newer) => {
                let outcome = self.renew(newer).await;
                self.keep.end().await;
                outcome
            }
            // Without knowing what others have done, the refresh token here may be one that is used up.
            Err(error) => Err(unsaved(&error)),
        };
        finish.with(outcome)
    }

    /// Takes over what another process has fetched, or fetches.
    async fn renew(&self, newer: Option<Tokens>) -> Result<(), RefreshError> {
        if let Some(newer) = newer {
            let old = self.held.load_full();
            if newer.refresh != old.tokens.refresh {
                self.remember(&old.tokens.refresh);
            }
            self.put(newer, old.generation + 1);
            if self.present().is_some() {
                return Ok(());
            }
        }
        let now_ms = (self.clock)();
        let old = self.held.load_full();
        let before = &old.tokens.refresh;
        let tokens = match oauth::refresh(&self.client, &self.server, before, now_ms).await {
            Ok(tokens) => tokens,
            Err(error) => return Err(error),
        };
        let rotated = tokens.refresh != *before;
        let saved = self.keep.save(before, &tokens).await;
        if let Err(error) = &saved {
            tracing::error!(account = %self.label, %error, rotated, "refreshed tokens are kept in memory only");
        }
        if rotated {
            self.remember(before);
            if saved.is_err() {
                self.refreshing.lock().unsaved = Some(before.clone());
            }
        }
        self.put(tokens, old.generation + 1);
        Ok(())
    }

    fn put(&self, tokens: Tokens, generation: u64) {
        let header = tokens.access.as_ref().and_then(|access| self.style.header(access).ok());
        self.held.store(Arc::new(Held { tokens, header, generation, refreshed_at_ms: (self.clock)() }));
    }

    fn remember(&self, replaced: &Secret) {
        let mut refreshing = self.refreshing.lock();
        refreshing.replaced.truncate(REPLACED - 1);
        refreshing.replaced.push_front(replaced.clone());
    }

    /// A rotated refresh token must be durable before it is used: the one it leads to would replace it for ever.
    async fn save_again(&self) -> Result<(), RefreshError> {
        let Some(before) = self.refreshing.lock().unsaved.clone() else { return Ok(()) };
        let tokens = self.held.load().tokens.clone();
        match self.keep.save(&before, &tokens).await {
            Ok(()) => {
                self.refreshing.lock().unsaved = None;
                Ok(())
            }
            Err(error) => Err(unsaved(&error)),
        }
    }

    fn finished(&self, outcome: Option<&Result<(), RefreshError>>) {
        let mut refreshing = self.refreshing.lock();
        refreshing.running = None;
        let Some(outcome) = outcome else { return };
        refreshing.standing = match outcome {
            Ok(()) => Standing::Good,
            Err(error @ RefreshError::Rejected { .. }) => Standing::Dead(error.clone()),
            Err(error) => {
                let failures = match &refreshing.standing {
                    Standing::Waiting { failures, .. } => failures.saturating_add(1),
                    Standing::Good | Standing::Dead(_) => 1,
                };
                let asked = match error {
                    RefreshError::Unavailable { retry_after, .. } => *retry_after,
                    RefreshError::Rejected { .. } | RefreshError::Misconfigured { .. } => None,
                };
                Standing::Waiting {
                    until_ms: (self.clock)() + wait_ms(failures, asked),
                    failures,
                    error: error.clone(),
                }
            }
        };
        drop(refreshing);
        match outcome {
            Ok(()) => self.keep.refreshed(),
            Err(error) => self.keep.failed(error),
        }
    }
}

/// Where the tokens are kept is not to be reached.
fn unsaved(error: &SaveError) -> RefreshError {
    RefreshError::Unavailable {
        reason: error.to_string().into(),
        retry_after: Some(Duration::from_millis(SAVE_AGAIN_MS.unsigned_abs())),
    }
}

/// Doubles from failure to failure; what the server asks for is obeyed, within reason.
fn wait_ms(failures: u32, asked: Option<Duration>) -> i64 {
    let doubled = FIRST_WAIT_MS.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_WAIT_MS);
    let asked = asked.map_or(0, |asked| i64::try_from(asked.as_millis()).unwrap_or(i64::MAX));
    doubled.max(asked.min(3_600_000))
}

enum Begun {
    Running(watch::Receiver<Option<Result<(), RefreshError>>>),
    Replaced,
    Refused(RefreshError),
}

struct Finish<'a>(&'a Account);

impl Finish<'_> {
    fn with(self, outcome: Result<(), RefreshError>) -> Result<(), RefreshError> {
        self.0.finished(Some(&outcome));
        std::mem::forget(self);
        outcome
    }
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.finished(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_obey_the_server() {
        assert_eq!([1, 2, 3, 20].map(|failures| wait_ms(failures, None)), [2_000, 4_000, 8_000, 300_000]);
        assert_eq!(wait_ms(1, Some(Duration::from_secs(30))), 30_000);
        assert_eq!(wait_ms(1, Some(Duration::from_secs(1_000_000))), 3_600_000);
    }
}
