//! OAuth accounts and a process that is killed.

use std::time::Duration;

use polyport_testkit::provider::FakeProvider;
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;

use crate::{start, text};

fn tokens(server: &FakeTokenServer) -> String {
    serde_json::json!({
        "oauth_config": { "client_id": "id", "client_secret": "secret", "token_url": server.url() },
        "projects": [{ "project_id": "one", "refresh_token": "r", "access_token": null, "expires_at": null }],
    })
    .to_string()
}

/// A strict token server with rotation loses an account for ever when a process dies with the only copy of the new token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u6_an_account_survives_kills_around_its_refresh() {
    const KILLS: u64 = 50;
    let (server, provider) = (FakeTokenServer::start().await, FakeProvider::start(Protocol::Chat).await);
    server.open("r");
    server.rotate();
    // Every start finds the token due.
    server.expires_in(Some(60));
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "providers: {{ up: {{ base_url: \"{}\", oauth: {{ file: tokens.json }} }} }}\nmodels: {{ m: up/m }}\n",
        provider.base_url()
    );
    std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();
    std::fs::write(folder.path().join("tokens.json"), tokens(&server)).unwrap();
    let mut calls = 0;
    for kill in 0..KILLS {
        let running = start(folder.path(), &["--port", "0"]);
        let arrived = tokio::time::timeout(Duration::from_secs(20), server.arrived(calls + 1)).await;
        assert!(arrived.is_ok(), "no refresh after kill {kill}");
        // The fake answers after 5 ms; from just before that to a while after it.
        tokio::time::sleep(Duration::from_micros(4_000 + kill * 150)).await;
        // Dropping it kills it.
        drop(running);
        calls = server.calls("r");
    }
    assert!(server.is_alive("r"), "the account was lost");
    server.expires_in(Some(3600));
    let running = start(folder.path(), &["--port", "0"]);
    let answer = tokio::task::spawn_blocking(move || (running.chat("m"), running)).await.unwrap();
    assert!(answer.0.starts_with("HTTP/1.1 200"), "{}", answer.0);
    assert!(server.violations().is_empty());
    let kept = text(&std::fs::read(folder.path().join("tokens.json")).unwrap());
    assert!(kept.contains(&server.current("r")), "the token in force is in the file");
}
