//! Refreshes accounts that nobody uses: a token that is always fresh costs no request its time, and a refresh token that is used stays
//! alive, whether its account rests, is exhausted or not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use polyport_provider::auth::Account;
use tokio_util::sync::CancellationToken;

use super::Credentials;
use crate::clock;

/// Refreshes that run at once.
const AT_ONCE: usize = 8;

/// Times move when accounts are refreshed by requests, so that they are looked at anew.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Keeps all accounts fresh until it is cancelled.
pub(crate) async fn keep_fresh(credentials: Arc<Credentials>, cut: CancellationToken) {
    let work = async {
        loop {
            let now = clock::now_signed();
            let all = credentials.all_accounts();
            let due = |account: &Arc<Account>| account.next_refresh_ms();
            let ready: Vec<_> =
                all.iter().filter(|account| due(account).is_some_and(|at| at <= now)).cloned().collect();
            refresh(ready).await;
            let next = all.iter().filter_map(due).min().map_or(LONGEST_SLEEP, |at| {
                Duration::from_millis(u64::try_from(at - clock::now_signed()).unwrap_or_default())
            });
            // At least a moment, so that an account which is due again at once does not keep a processor busy.
            let pause = next.clamp(Duration::from_millis(100), LONGEST_SLEEP);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = credentials.changed.notified() => {}
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

async fn refresh(accounts: Vec<Arc<Account>>) {
    let mut running = FuturesUnordered::new();
    for account in accounts {
        if running.len() >= AT_ONCE {
            running.next().await;
        }
        running.push(async move {
            // What went wrong is logged where it happened.
            account.keep_fresh().await.ok();
        });
    }
    while running.next().await.is_some() {}
}
