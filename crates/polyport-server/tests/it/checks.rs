//! Health checks on a timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polyport_routing::Ladder;
use polyport_server::config::{Access, Config, KeyHash, Provider};
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{Reply, get, post};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::objects::with_keys;
use crate::support::{Gateway, http, request, several};

const ADMIN: &str = "ap-0123456789abcdef-admin";

fn checked(mut provider: Provider) -> Provider {
    http(&mut provider).probe_every = Some(Duration::from_millis(200));
    provider
}

async fn start(providers: Vec<Provider>) -> Gateway {
    let mut config: Config = several(providers);
    config.access = Access::open().with_admin_key("me", KeyHash::of(ADMIN));
    Gateway::start(config).await
}

/// Waits until the admin API says this of the first entry of a list.
async fn until(gateway: &Gateway, list: &str, at: usize, fits: impl Fn(&Value) -> bool) -> Value {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let answer = get(gateway.address, &format!("/admin/api/{list}"), &[("x-api-key", ADMIN)]).await;
            let shown = answer.json().await[list][at].clone();
            if fits(&shown) {
                return shown;
            }
        }
    });
    waited.await.expect("it does not come to that")
}

async fn ask(gateway: &Gateway) -> Reply {
    let (path, body) = request(ClientProtocol::Chat, false);
    post(gateway.address, path, &[], &body).await
}

fn asked_with(fake: &FakeProvider, method: &str, key: &str) -> usize {
    let wanted = format!("Bearer {key}");
    let with = |exchange: &&polyport_testkit::provider::Exchange| exchange.header("authorization") == Some(&*wanted);
    fake.requests().iter().filter(|exchange| exchange.method() == method).filter(with).count()
}

#[tokio::test]
async fn a_provider_that_fails_its_checks_is_passed_over_until_it_is_well() {
    let (first, second) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    first.decide(move |_| is_down.load(Ordering::SeqCst).then(|| Step::error(500, "down")));
    let providers = [("up", &first), ("spare", &second)];
    let providers = providers.map(|(name, fake)| checked(with_keys(name, Protocol::Chat, fake, &["k"])));
    let gateway = start(providers.into()).await;
    let shown = until(&gateway, "providers", 0, |shown| shown["passed_over"] == true).await;
    assert_eq!((&shown["probe"]["every_ms"], &shown["probe"]["last"]["outcome"]), (&json!(200), &json!("failed")));
    for _ in 0..3 {
        assert_eq!(ask(&gateway).await.header("x-polyport-target"), "spare/m");
    }
    assert_eq!(asked_with(&first, "POST", "k"), 0);
    down.store(false, Ordering::SeqCst);
    let shown = until(&gateway, "providers", 0, |shown| shown["passed_over"] == false).await;
    assert_eq!(shown["probe"]["last"]["outcome"], "accepted");
    assert_eq!(ask(&gateway).await.header("x-polyport-target"), "up/m");
}

#[tokio::test]
async fn s0_14_a_key_that_is_refused_is_taken_out_and_comes_back() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let revoked = Arc::new(AtomicBool::new(true));
    let is_revoked = Arc::clone(&revoked);
    fake.decide(move |exchange| match exchange.header("authorization") {
        Some("Bearer two") if is_revoked.load(Ordering::SeqCst) => Some(Step::error(401, "no such key")),
        _ => None,
    });
    let gateway = start(vec![checked(with_keys("up", Protocol::Chat, &fake, &["one", "two"]))]).await;
    let shown = until(&gateway, "credentials", 1, |shown| shown["state"] == "invalid").await;
    assert_eq!((&shown["probe"]["outcome"], &shown["probe"]["code"]), (&json!("refused"), &json!("auth_invalid")));
    for _ in 0..6 {
        assert_eq!(ask(&gateway).await.status, 200);
    }
    assert_eq!((asked_with(&fake, "POST", "one"), asked_with(&fake, "POST", "two")), (6, 0));
    revoked.store(false, Ordering::SeqCst);
    until(&gateway, "credentials", 1, |shown| shown["state"] == "ready").await;
    for _ in 0..6 {
        assert_eq!(ask(&gateway).await.status, 200);
    }
    assert_eq!(asked_with(&fake, "POST", "two"), 3);
}

#[tokio::test]
async fn u27_what_could_not_be_reached_is_tried_out_as_soon_as_it_can_be() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    let mut up = checked(with_keys("up", Protocol::Messages, &fake, &["k"]));
    http(&mut up).rests.failing = Ladder { first: 3_600_000, longest: 3_600_000 };
    let gateway = start(vec![up]).await;
    fake.go_away();
    let resting = |shown: &Value| shown["resting_models"].as_array().is_some_and(|models| !models.is_empty());
    while !resting(&until(&gateway, "providers", 0, |_| true).await) {
        assert!(ask(&gateway).await.status.as_u16() >= 500);
    }
    assert_eq!(ask(&gateway).await.status, 503);
    fake.come_back().await;
    until(&gateway, "providers", 0, |shown| !resting(shown)).await;
    assert_eq!(ask(&gateway).await.status, 200);
}

#[tokio::test]
async fn what_is_switched_off_is_not_asked_nor_is_anything_without_checks() {
    let (fake, quiet) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let mut up = checked(with_keys("up", Protocol::Chat, &fake, &["one", "two"]));
    http(&mut up).credentials[1].member.disabled = true;
    let gateway = start(vec![up, with_keys("quiet", Protocol::Chat, &quiet, &["k"])]).await;
    fake.wait_for(5).await;
    assert_eq!(asked_with(&fake, "GET", "two"), 0);
    assert!(quiet.requests().is_empty());
    // A key that answers clients needs no check, and a used-up quota does not end by one.
    fake.decide(|exchange| {
        (exchange.method() == "POST").then(|| Step::error(429, "insufficient_quota").header("retry-after", "3600"))
    });
    ask(&gateway).await;
    let until_then = fake.requests().len() + 3;
    fake.wait_for(until_then).await;
    until(&gateway, "credentials", 0, |shown| shown["models"][0]["state"] == "cooling" || shown["state"] != "ready")
        .await;
}
