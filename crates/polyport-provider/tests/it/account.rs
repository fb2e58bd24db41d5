//! The life of an account against a token server.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use polyport_provider::auth::{
    Account, BodyForm, Due, Grant, Keep, RefreshError, SaveError, Spawn, Standing, TokenServer, Tokens,
};
use polyport_provider::{AuthStyle, Client, ClientSettings};
use polyport_testkit::tokens::{FakeTokenServer, Refusal};
use polyport_types::{Protocol, Secret};

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Memory>);

#[derive(Debug, Default)]
struct Memory {
    saved: Mutex<Vec<(String, String)>>,
    full: AtomicBool,
    refreshed: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Keep for Kept {
    fn save<'a>(
        &'a self,
        before: &'a Secret,
        tokens: &'a Tokens,
    ) -> Pin<Box<dyn Future<Output = Result<(), SaveError>> + Send + 'a>> {
        Box::pin(async move {
            if self.0.full.load(Ordering::SeqCst) {
                return Err(SaveError("the disk is full".into()));
            }
            let pair = (before.expose().to_owned(), tokens.refresh.expose().to_owned());
            self.0.saved.lock().unwrap().push(pair);
            Ok(())
        })
    }

    fn refreshed(&self) {
        self.0.refreshed.fetch_add(1, Ordering::SeqCst);
    }

    fn failed(&self, error: &RefreshError) {
        self.0.failed.lock().unwrap().push(error.to_string());
    }
}

thread_local! {
    /// What a test's clock shows: every test has a runtime on its own thread.
    static NOW: AtomicI64 = const { AtomicI64::new(1_000_000_000_000) };
}

fn now() -> i64 {
    NOW.with(|now| now.load(Ordering::SeqCst))
}

fn pass(seconds: i64) {
    NOW.with(|now| now.fetch_add(seconds * 1000, Ordering::SeqCst));
}

#[allow(clippy::disallowed_methods, reason = "tests have no shutdown")]
fn spawn() -> Spawn {
    Arc::new(|task| drop(tokio::spawn(task)))
}

struct Setup {
    server: FakeTokenServer,
    kept: Kept,
    account: Arc<Account>,
}

async fn setup(due: Due, access: Option<(&str, i64)>) -> Setup {
    let server = FakeTokenServer::start().await;
    server.open("r");
    let kept = Kept::default();
    let tokens = Tokens {
        access: access.map(|(token, _)| Secret::new(token.to_owned())),
        expires_at_ms: access.map(|(_, seconds)| now() + seconds * 1000),
        refresh: Secret::new("r".to_owned()),
    };
    let endpoint = TokenServer {
        url: server.url().parse().unwrap(),
        fallback: None,
        client_id: "id".into(),
        client_secret: Some(Secret::new("secret".to_owned())),
        scope: None,
        body: BodyForm::Form,
        grant: Grant::RefreshToken,
    };
    let account = Account::new(
        "test".into(),
        endpoint,
        AuthStyle::of_protocol(Protocol::Chat),
        tokens,
        due,
        Client::new(&ClientSettings::default()).unwrap(),
        Box::new(kept.clone()),
        spawn(),
        now,
    );
    Setup { server, kept, account }
}

fn sent(authorized: &polyport_provider::auth::Authorized) -> String {
    let mut headers = http::HeaderMap::new();
    authorized.header.apply(&mut headers);
    headers["authorization"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn s1_20_five_hundred_requests_on_an_expired_token_make_one_call() {
    let Setup { server, account, .. } = setup(Due::default(), Some(("old", -10))).await;
    server.rotate();
    let asks = (0..500).map(|_| {
        let account = Arc::clone(&account);
        async move { sent(&account.authorize().await.unwrap()) }
    });
    let answers = futures_util::future::join_all(asks).await;
    assert_eq!(server.calls("r"), 1);
    assert!(answers.iter().all(|answer| answer == "Bearer access-1-r"), "{answers:?}");
    assert!(server.violations().is_empty(), "{:?}", server.violations());
}

#[tokio::test]
async fn s1_15_a_token_is_refreshed_five_minutes_ahead_without_waiting() {
    let Setup { server, account, .. } = setup(Due::default(), Some(("old", 3600))).await;
    assert_eq!(account.next_refresh_ms(), Some(now() + 3_300_000));
    pass(3299);
    assert_eq!(sent(&account.authorize().await.unwrap()), "Bearer old");
    assert_eq!(server.calls("r"), 0);
    pass(2);
    server.hold();
    // The old one is still good, so nobody waits.
    assert_eq!(sent(&account.authorize().await.unwrap()), "Bearer old");
    server.arrived(1).await;
    server.let_go();
    account.refresh(0).await.unwrap();
    assert_eq!(sent(&account.authorize().await.unwrap()), "Bearer access-1-r");
    assert_eq!(server.calls("r"), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_for_all_who_were_refused() {
    let Setup { server, account, .. } = setup(Due::default(), Some(("revoked", 3600))).await;
    let first = account.authorize().await.unwrap();
    account.refresh(first.generation).await.unwrap();
    // Its request was sent before that, its refusal comes after.
    account.refresh(first.generation).await.unwrap();
    assert_eq!(server.calls("r"), 1);
    let second = account.authorize().await.unwrap();
    account.refresh(second.generation).await.unwrap();
    assert_eq!(server.calls("r"), 2);
}

#[tokio::test]
async fn u5_a_dead_account_asks_no_more_until_somebody_acts() {
    let Setup { server, kept, account } = setup(Due::default(), None).await;
    server.revoke("r");
    for _ in 0..100 {
        let error = account.authorize().await.unwrap_err();
        assert!(matches!(error, RefreshError::Rejected { .. }), "{error}");
    }
    assert_eq!(server.calls("r"), 1);
    assert!(matches!(account.standing(), Standing::Dead(_)));
    assert_eq!(account.next_refresh_ms(), None);
    assert_eq!(kept.0.failed.lock().unwrap().len(), 1);
    account.force_refresh().await.unwrap_err();
    assert_eq!(server.calls("r"), 2);
}

#[tokio::test]
async fn trouble_of_the_token_server_is_waited_out() {
    let Setup { server, account, .. } = setup(Due::default(), None).await;
    server.refuse_next(Refusal { status: 503, error: None, retry_after: Some(30) });
    account.authorize().await.unwrap_err();
    account.authorize().await.unwrap_err();
    assert_eq!(server.calls("r"), 1);
    assert_eq!(account.next_refresh_ms(), Some(now() + 30_000));
    pass(30);
    account.authorize().await.unwrap();
    assert_eq!(server.calls("r"), 2);
    assert!(matches!(account.standing(), Standing::Good));
}

#[tokio::test]
async fn an_unused_account_is_kept_alive() {
    let due = Due { ahead_ms: 300_000, keep_alive_ms: Some(60_000) };
    let Setup { server, account, .. } = setup(due, Some(("old", 100_000))).await;
    // Never refreshed by this process: nobody knows when it was last.
    assert!(account.next_refresh_ms().unwrap() <= now());
    account.refresh(0).await.unwrap();
    assert_eq!(account.next_refresh_ms(), Some(now() + 60_000));
    assert_eq!(server.calls("r"), 1);
}

#[tokio::test]
async fn u6_a_rotated_token_is_saved_before_it_is_used() {
    let Setup { server, kept, account } = setup(Due::default(), None).await;
    server.rotate();
    account.authorize().await.unwrap();
    assert_eq!(*kept.0.saved.lock().unwrap(), [("r".to_owned(), "r-1".to_owned())]);
    kept.0.full.store(true, Ordering::SeqCst);
    pass(4000);
    // The access token is good, so requests go on; the refresh token that came with it must wait.
    assert_eq!(sent(&account.authorize().await.unwrap()), "Bearer access-2-r");
    pass(4000);
    account.authorize().await.unwrap_err();
    assert_eq!(server.calls("r"), 2);
    kept.0.full.store(false, Ordering::SeqCst);
    pass(10);
    account.authorize().await.unwrap();
    let saved = kept.0.saved.lock().unwrap().clone();
    assert_eq!(saved.last().unwrap(), &("r-2".to_owned(), "r-3".to_owned()));
    assert_eq!(saved[1], ("r-1".to_owned(), "r-2".to_owned()));
    assert!(server.is_alive("r"));
}

#[tokio::test]
async fn clients_that_leave_do_not_break_a_refresh_off() {
    let Setup { server, kept, account } = setup(Due::default(), None).await;
    server.rotate();
    server.hold();
    {
        let mut client = Box::pin(account.authorize());
        assert!(futures_util::poll!(&mut client).is_pending());
        server.arrived(1).await;
        // Here the client leaves.
    }
    server.let_go();
    account.refresh(0).await.unwrap();
    assert_eq!(kept.0.saved.lock().unwrap().len(), 1);
    assert_eq!(server.calls("r"), 1);
}
