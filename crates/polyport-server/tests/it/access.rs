//! Who may use the gateway.

use polyport_server::config::{Access, KeyHash};
use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{RawClient, get, post};
use polyport_types::{ClientProtocol, Protocol};

use crate::support::{Gateway, one, request};

const KEY: &str = "pp-0123456789abcdef0123456789abcdef";
const OTHER: &str = "pp-fedcba9876543210fedcba9876543210";

async fn closed(fake: &FakeProvider) -> Gateway {
    let mut config = one(fake, Protocol::Chat);
    config.access = Access::default().with_key("ci", KeyHash::of(KEY)).with_key("other", KeyHash::of(OTHER));
    Gateway::start(config).await
}

#[tokio::test]
async fn a_key_is_taken_in_every_style_on_every_route() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = closed(&fake).await;
    let bearer = format!("Bearer {KEY}");
    for client in [ClientProtocol::Chat, ClientProtocol::Messages, ClientProtocol::Gemini] {
        let (path, body) = request(client, false);
        for (name, value) in
            [("authorization", bearer.as_str()), ("x-api-key", KEY), ("x-goog-api-key", KEY), ("api-key", KEY)]
        {
            assert_eq!(post(gateway.address, path, &[(name, value)], &body).await.status, 200, "{client} {name}");
        }
        let query = format!("{path}{}key={KEY}", if path.contains('?') { '&' } else { '?' });
        assert_eq!(post(gateway.address, &query, &[], &body).await.status, 200, "{client} query");
    }
    for exchange in fake.requests() {
        let seen = format!("{:?} {} {}", exchange.headers(), exchange.path(), exchange.query());
        assert!(!seen.contains(KEY), "the client's key reached the provider: {seen}");
    }
}

#[tokio::test]
async fn c1_without_a_good_key_nothing_is_read_and_the_error_speaks_the_protocol() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = closed(&fake).await;
    for (path, pointer, word) in [
        ("/v1/chat/completions", "/error/code", "invalid_api_key"),
        ("/v1/responses", "/error/code", "invalid_api_key"),
        ("/v1/messages", "/error/type", "authentication_error"),
        ("/v1beta/models/m:generateContent", "/error/status", "UNAUTHENTICATED"),
        ("/v1/messages/count_tokens", "/error/type", "authentication_error"),
        ("/v1/embeddings", "/error/code", "invalid_api_key"),
    ] {
        for auth in ["", "authorization: Bearer wrong\r\n", "authorization: Bearer \r\n", "x-api-key: \u{e9}\r\n"] {
            let mut raw = RawClient::connect(gateway.address).await.unwrap();
            // The body never comes: an answer shows that it was not waited for.
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\n{auth}content-length: 1000\r\nexpect: 100-continue\r\n\r\n"
            );
            raw.send(head.as_bytes()).await.unwrap();
            let answer = raw.answer().await;
            assert_eq!(answer.status, 401, "{path} {auth}");
            assert_eq!(answer.json().pointer(pointer).and_then(|value| value.as_str()), Some(word), "{path}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("wrong"));
        }
    }
}

#[tokio::test]
async fn c2_of_two_keys_the_first_known_one_counts() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = closed(&fake).await;
    let (path, body) = request(ClientProtocol::Messages, false);
    let bad = [("authorization", "Bearer sk-of-somebody-else"), ("x-api-key", KEY)];
    assert_eq!(post(gateway.address, path, &bad, &body).await.status, 200);
}

#[tokio::test]
async fn a11_an_open_gateway_answers_no_foreign_page() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let (path, body) = request(ClientProtocol::Chat, false);
    let foreign = [("origin", "https://evil.example")];
    assert_eq!(post(gateway.address, path, &foreign, &body).await.status, 403);
    let own = [("origin", "http://localhost:3000")];
    assert_eq!(post(gateway.address, path, &own, &body).await.status, 200);
    let mut raw = RawClient::connect(gateway.address).await.unwrap();
    raw.send(b"GET /v1/models HTTP/1.1\r\nhost: rebound.example\r\n\r\n").await.unwrap();
    assert_eq!(raw.answer().await.status, 403);
    let answer = get(gateway.address, "/v1/models", &[]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
