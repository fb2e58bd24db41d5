//! Several gateways that share one database.

use std::path::Path;
use std::sync::Arc;

use polyport_server::Server;
use polyport_server::config::{Config, Environment, Listen, Purpose, Source};
use polyport_testkit::postgres::Postgres;
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{get, post};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::json;

use crate::persist::written;
use crate::support::{Gateway, request};

async fn postgres() -> Option<Postgres> {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    if server.is_none() {
        eprintln!("skipped: no Postgres on this machine");
    }
    server
}

/// Model `m` at a provider with one account, whose tokens are in the shared database.
fn with_account(fake: &FakeProvider, tokens: &FakeTokenServer, database: &Postgres, folder: &Path) -> Config {
    let text = format!(
        "data: data\nstore: {{ url: \"{}\" }}\nproviders:\n  up:\n    base_url: {}\n    proxy: none\n    oauth:\n      \
         token_url: {}\n      client_id: c\n      accounts: [{{ refresh_token: first-refresh }}]\nmodels: {{ m: up/m }}\n",
        database.url(),
        fake.base_url(),
        tokens.url()
    );
    loaded(&text, folder)
}

fn loaded(text: &str, folder: &Path) -> Config {
    let source = Source { environment: Environment::of([], folder), ..Source::default() };
    let mut config = source.load_text(text, &[], Purpose::Serve).unwrap().config;
    config.listen = Listen { port: 0, ..Listen::default() };
    config
}

async fn bound(config: Config) -> Server {
    let store = config.open_store().await.unwrap();
    Server::bind_with(Arc::new(config), Some(store)).await.unwrap()
}

async fn ask(gateway: &Gateway) -> u16 {
    let (path, body) = request(ClientProtocol::Chat, false);
    post(gateway.address, path, &[], &body).await.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u5_three_gateways_that_share_an_account_refresh_it_once() {
    let Some(database) = postgres().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (fake, tokens) = (FakeProvider::start(Protocol::Chat).await, FakeTokenServer::start().await);
    tokens.open("first-refresh");
    tokens.rotate();
    tokens.hold();
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(bound(with_account(&fake, &tokens, &database, folder.path())).await);
    }
    // All of them find the account without a token as soon as they run.
    let gateways: Vec<Gateway> = servers.into_iter().map(Gateway::run).collect();
    tokens.arrived(1).await;
    tokens.let_go();
    for gateway in &gateways {
        assert_eq!(ask(gateway).await, 200);
    }
    assert_eq!(tokens.calls("first-refresh"), 1);

    // The same when the provider refuses the token before its time, everywhere at once.
    fake.decide(|exchange| {
        let refused = exchange.header("authorization").is_some_and(|header| header.starts_with("Bearer access-1-"));
        refused.then(|| Step::error(401, "expired"))
    });
    let asked = gateways.iter().map(ask);
    for status in futures(asked).await {
        assert_eq!(status, 200);
    }
    assert_eq!(tokens.calls("first-refresh"), 2);
    assert_eq!(tokens.most_at_once(), 1);
    assert!(tokens.is_alive("first-refresh") && tokens.violations().is_empty(), "{:?}", tokens.violations());
    for gateway in gateways {
        gateway.stop().await;
    }
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    let mut waiting: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        waiting.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_one_gateway_is_continued_at_another() {
    let Some(database) = postgres().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let text = format!(
        "data: data\nstore: {{ url: \"{}\" }}\nproviders: {{ up: {{ base_url: \"{}\", proxy: none, keys: [key-of-the-provider] }} }}\n\
         models: {{ m: up/m }}\n",
        database.url(),
        fake.base_url()
    );
    let one = Gateway::run(bound(loaded(&text, folder.path())).await);
    let two = Gateway::run(bound(loaded(&text, folder.path())).await);
    fake.script(Step::text("Hello Ana"));
    let body = json!({"model":"m","input":"Hi, I am Ana"});
    let made = post(one.address, "/v1/responses", &[], &body).await.json().await;
    written(one.address).await;
    let whole = get(two.address, &format!("/v1/responses/{}", made["id"].as_str().unwrap()), &[]).await;
    assert_eq!(whole.json().await, made);
    let body = json!({"model":"m","input":"What is my name?","previous_response_id":made["id"]});
    assert_eq!(post(two.address, "/v1/responses", &[], &body).await.status, 200);
    assert!(fake.last().json()["messages"].to_string().contains("Hello Ana"));

    // A database that hangs: whoever refers to nothing in it does not notice, whoever does is told so.
    database.signal("-STOP");
    for gateway in [&one, &two] {
        for _ in 0..20 {
            assert_eq!(ask(gateway).await, 200);
        }
        let body = json!({"model":"m","input":"x","previous_response_id":"resp_that_nobody_knows"});
        assert_eq!(post(gateway.address, "/v1/responses", &[], &body).await.status, 503);
        let kept = get(gateway.address, &format!("/v1/responses/{}", made["id"].as_str().unwrap()), &[]).await;
        assert_eq!(kept.status, 200, "it is in memory");
    }
    let late = post(one.address, "/v1/responses", &[], &json!({"model":"m","input":"late"})).await.json().await;
    database.signal("-CONT");
    written(one.address).await;
    let path = format!("/v1/responses/{}", late["id"].as_str().unwrap());
    let back = async { while get(two.address, &path, &[]).await.status != 200 {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), back).await.expect("what waited is written");
    one.stop().await;
    two.stop().await;
}
