//! What outlives a restart, and what a database does to requests that is not there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use polyport_server::Server;
use polyport_server::config::{Config, Credential, Environment, Listen, Purpose, Source};
use polyport_store::Store;
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{Reply, post};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;
use serde_json::json;

use crate::support::{Gateway, http, provider, several};

/// Model `m` at one provider with two keys, and everything else in this folder.
fn two_keys(fake: &FakeProvider, folder: &Path) -> Config {
    let mut up = provider("up", Protocol::Chat, &fake.base_url());
    let style = polyport_provider::AuthStyle::of_protocol(Protocol::Chat);
    http(&mut up).credentials = ["sk-one-secret", "sk-two-secret"]
        .map(|key| Credential::key(key, style.header(&polyport_types::Secret::new(key.to_owned())).unwrap()))
        .into();
    let mut config = several(vec![up]);
    config.data = folder.to_owned();
    config
}

async fn ask(address: std::net::SocketAddr) -> Reply {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    post(address, "/v1/chat/completions", &[], &body).await
}

#[tokio::test]
async fn counters_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    for round in 1..=2 {
        let gateway = Gateway::stored(two_keys(&fake, folder.path())).await;
        for _ in 0..4 {
            assert_eq!(ask(gateway.address).await.status, 200);
        }
        gateway.stop().await;
        let store = two_keys(&fake, folder.path()).open_store().await.unwrap();
        let counted = store.health().list().await.unwrap();
        assert_eq!(counted.len(), 2);
        for health in counted {
            assert!(health.credential.starts_with("up/"), "{}", health.credential);
            assert_eq!((health.requests, health.successes, health.failures), (2 * round, 2 * round, 0));
            assert_eq!(health.statuses.get(&200), Some(&(2 * round)));
            assert!(health.last_used_at.is_some());
        }
    }
}

#[tokio::test]
async fn what_rests_goes_on_resting_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    fake.always(Step::error(429, "slow down").header("retry-after", "60"));
    let gateway = Gateway::stored(two_keys(&fake, folder.path())).await;
    assert_eq!(ask(gateway.address).await.status, 429);
    gateway.stop().await;
    let asked = fake.requests().len();
    assert_eq!(asked, 2);

    let gateway = Gateway::stored(two_keys(&fake, folder.path())).await;
    let answer = ask(gateway.address).await;
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert_eq!(answer.status, 429);
    assert!((1..=66).contains(&wait), "{wait}");
    assert_eq!(fake.requests().len(), asked, "nobody is asked before the time");
    gateway.stop().await;
}

#[tokio::test]
async fn only_the_key_that_rests_is_passed_over_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    fake.decide(|exchange| {
        let refused = exchange.header("authorization") == Some("Bearer sk-one-secret");
        refused.then(|| Step::error(429, "no money").header("retry-after", "3600"))
    });
    for _ in 0..2 {
        let gateway = Gateway::stored(two_keys(&fake, folder.path())).await;
        for _ in 0..6 {
            assert_eq!(ask(gateway.address).await.status, 200);
        }
        gateway.stop().await;
    }
    let refused = |exchange: &&polyport_testkit::provider::Exchange| {
        exchange.header("authorization") == Some("Bearer sk-one-secret")
    };
    assert_eq!(fake.requests().iter().filter(refused).count(), 1);
}

/// A gateway in a runtime of its own, which ends without a word.
pub(crate) struct Doomed {
    pub(crate) address: std::net::SocketAddr,
    runtime: tokio::runtime::Runtime,
}

impl Doomed {
    pub(crate) async fn start(config: Config) -> Self {
        tokio::task::spawn_blocking(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let address = runtime.block_on(async {
                let server = stored(config).await;
                let address = server.address();
                tokio::spawn(server.run(std::future::pending()));
                address
            });
            Self { address, runtime }
        })
        .await
        .unwrap()
    }

    /// Every task ends where it stands.
    pub(crate) async fn kill(self) {
        let ended = tokio::task::spawn_blocking(|| self.runtime.shutdown_timeout(Duration::from_secs(30)));
        ended.await.unwrap();
    }
}

async fn stored(mut config: Config) -> Server {
    config.listen = Listen { port: 0, ..Listen::default() };
    // A process that a test beside this one starts has, until it runs its own program, the files of this one open, and with them the lock.
    let began = std::time::Instant::now();
    let store = loop {
        match config.open_store().await {
            Err(polyport_store::OpenError::InUse { .. }) if began.elapsed() < Duration::from_secs(5) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => break opened.unwrap(),
        }
    };
    Server::bind_with(Arc::new(config), Some(store)).await.unwrap()
}

impl Gateway {
    /// Starts with the store of this configuration.
    pub(crate) async fn stored(config: Config) -> Self {
        Self::run(stored(config).await)
    }
}

fn with_account(fake: &FakeProvider, tokens: &FakeTokenServer, folder: &Path) -> Config {
    let text = format!(
        "data: data\nproviders:\n  up:\n    base_url: {}\n    proxy: none\n    oauth:\n      token_url: {}\n      \
         client_id: c\n      accounts: [{{ refresh_token: first-refresh }}]\nmodels: {{ m: up/m }}\n",
        fake.base_url(),
        tokens.url()
    );
    let source = Source { environment: Environment::of([], folder), ..Source::default() };
    source.load_text(&text, &[], Purpose::Serve).unwrap().config
}

#[tokio::test]
async fn a_replaced_refresh_token_survives_the_death_of_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let tokens = FakeTokenServer::start().await;
    tokens.open("first-refresh");
    tokens.rotate();
    // So short that every start needs another one.
    tokens.expires_in(Some(30));
    let mut calls = 0;
    for _ in 0..5 {
        let gateway = Doomed::start(with_account(&fake, &tokens, folder.path())).await;
        assert_eq!(ask(gateway.address).await.status, 200);
        gateway.kill().await;
        assert!(tokens.is_alive("first-refresh"));
        assert!(tokens.calls("first-refresh") > calls);
        calls = tokens.calls("first-refresh");
    }
    assert!(tokens.violations().is_empty(), "{:?}", tokens.violations());

    // An access token that is still good is used again.
    tokens.expires_in(Some(3600));
    let gateway = Doomed::start(with_account(&fake, &tokens, folder.path())).await;
    assert_eq!(ask(gateway.address).await.status, 200);
    gateway.kill().await;
    let (calls, used) = (tokens.calls("first-refresh"), fake.last().header("authorization").unwrap().to_owned());
    let gateway = Doomed::start(with_account(&fake, &tokens, folder.path())).await;
    assert_eq!(ask(gateway.address).await.status, 200);
    assert_eq!(tokens.calls("first-refresh"), calls);
    assert_eq!(fake.last().header("authorization"), Some(&*used));
    gateway.kill().await;

    // Nothing of it can be read in the files.
    let secrets = [tokens.current("first-refresh"), used.trim_start_matches("Bearer ").to_owned()];
    for (path, bytes) in crate::support::files_below(&folder.path().join("data")) {
        for secret in &secrets {
            assert!(!secret.is_empty());
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn another_token_in_the_file_means_another_log_in() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let tokens = FakeTokenServer::start().await;
    for account in ["first-refresh", "second-refresh"] {
        tokens.open(account);
    }
    tokens.rotate();
    let gateway = Doomed::start(with_account(&fake, &tokens, folder.path())).await;
    assert_eq!(ask(gateway.address).await.status, 200);
    gateway.kill().await;
    let text = format!(
        "data: data\nproviders: {{ up: {{ base_url: \"{}\", proxy: none, oauth: {{ token_url: \"{}\", client_id: c, \
         accounts: [{{ refresh_token: second-refresh }}] }} }} }}\nmodels: {{ m: up/m }}\n",
        fake.base_url(),
        tokens.url()
    );
    let source = Source { environment: Environment::of([], folder.path()), ..Source::default() };
    let gateway = Doomed::start(source.load_text(&text, &[], Purpose::Serve).unwrap().config).await;
    assert_eq!(ask(gateway.address).await.status, 200);
    gateway.kill().await;
    assert_eq!(tokens.calls("second-refresh"), 1);
    let used = fake.last().header("authorization").unwrap().to_owned();
    assert_eq!(tokens.access_tokens("second-refresh"), [used.trim_start_matches("Bearer ")]);
}

#[tokio::test]
async fn requests_go_on_while_the_database_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let config = two_keys(&fake, folder.path());
    let store = config.open_store().await.unwrap();
    let mut config = config;
    config.listen = Listen { port: 0, ..Listen::default() };
    let server = Server::bind_with(Arc::new(config), Some(Store::clone(&store))).await.unwrap();
    let gateway = Gateway::run(server);
    let up = |value: u8| format!("\npolyport_store_up {value}\n");
    assert!(figures(&gateway).await.contains(&up(1)));
    store.close().await;
    while !figures(&gateway).await.contains(&up(0)) {
        assert_eq!(ask(gateway.address).await.status, 200);
    }
    assert_eq!(ask(gateway.address).await.status, 200);
    gateway.stop().await;
}

async fn figures(gateway: &Gateway) -> String {
    figures_at(gateway.address).await
}

/// Waits until everything that is kept is in the database.
pub(crate) async fn written(address: std::net::SocketAddr) {
    let wait = async { while !figures_at(address).await.contains("\npolyport_store_waiting 0\n") {} };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("what is kept is written");
}

async fn figures_at(address: std::net::SocketAddr) -> String {
    let answer = polyport_testkit::raw::get(address, "/metrics", &[]).await;
    String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap()
}
