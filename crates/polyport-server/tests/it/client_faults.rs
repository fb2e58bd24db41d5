//! Clients that send nonsense, too much, too slowly, or leave.

use std::time::Duration;

use polyport_testkit::provider::{FakeProvider, Hold, Step};
use polyport_testkit::raw::{Connection, RawClient, post, send};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::json;

use crate::support::{Gateway, one, request};

const CHAT: &str = "/v1/chat/completions";

/// Sends raw bytes and gives the status and whether the connection was closed after it.
async fn raw(gateway: &Gateway, bytes: &[u8]) -> u16 {
    let mut raw = RawClient::connect(gateway.address).await.unwrap();
    raw.send(bytes).await.unwrap();
    raw.answer().await.status
}

#[tokio::test]
async fn c3_broken_bodies_are_refused_with_the_place() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for client in [ClientProtocol::Chat, ClientProtocol::Messages, ClientProtocol::Gemini] {
        let (path, _) = request(client, false);
        for body in [
            "",
            "nope",
            "{\"model\":\"m\"",
            "{\"model\":\"m\"} {}",
            "\u{feff}{\"model\":\"m\"}",
            "[]",
            "{\"model\":\"m\",}",
        ] {
            let answer = send(gateway.address, "POST", path, &[], body).await;
            assert_eq!(answer.status, 400, "{client} {body:?}");
            let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
            polyport_testkit::grammar::Check::new(client).failure(text.as_bytes()).unwrap();
        }
        let answer = send(gateway.address, "POST", path, &[], &b"{\"model\":\"\xff\"}"[..]).await;
        assert_eq!(answer.status, 400);
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn c4_deep_nesting_is_no_stack_overflow() {
    let fake = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for client in [ClientProtocol::Messages, ClientProtocol::Gemini] {
        let (path, body) = request(client, false);
        let body = body.to_string();
        let body = format!("{},\"tools\":{deep}}}", body.strip_suffix('}').unwrap());
        assert_eq!(send(gateway.address, "POST", path, &[], body).await.status, 400, "{client}");
    }
    // Nothing looks inside on the way through; the gateway must live, that is all.
    let body = format!("{{\"model\":\"m\",\"messages\":{deep}}}");
    drop(send(gateway.address, "POST", CHAT, &[], body).await);
    assert_eq!(post(gateway.address, CHAT, &[], &request(ClientProtocol::Chat, false).1).await.status, 200);
}

#[tokio::test]
async fn c5_of_two_models_the_last_is_routed_and_sent() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let body = r#"{"model":"nowhere","messages":[{"role":"user","content":"hi"}],"model":"m"}"#;
    assert_eq!(send(gateway.address, "POST", CHAT, &[], body).await.status, 200);
    assert_eq!(fake.last().body().iter().filter(|byte| **byte == b'm').count(), 3, "one model, one messages");
}

#[tokio::test]
async fn c10_large_bodies_are_refused_early() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = one(&fake, Protocol::Chat);
    config.limits.request_body_bytes = 1 << 20;
    let gateway = Gateway::start(config).await;
    // Announced: refused before a byte of it.
    let mut announced = RawClient::connect(gateway.address).await.unwrap();
    announced.send(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000000\r\n\r\n").await.unwrap();
    let answer = announced.answer().await;
    assert_eq!((answer.status, answer.json()["error"]["type"].as_str()), (413, Some("request_too_large")));
    assert_eq!(answer.header("connection"), Some("close"));
    // Not announced: refused at the limit.
    let mut endless = RawClient::connect(gateway.address).await.unwrap();
    endless
        .send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'a'; 65536], b"\r\n"].concat();
    while endless.send(&chunk).await.is_ok() {}
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn c11_compression_is_bounded_and_known() {
    use std::io::Write as _;
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&[b' '; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert_eq!(send(gateway.address, "POST", CHAT, &[("content-encoding", "gzip")], bomb).await.status, 413);
    assert_eq!(send(gateway.address, "POST", CHAT, &[("content-encoding", "gzip")], "not gzip").await.status, 400);
    for encoding in ["lzma", "gzip, gzip", "deflate"] {
        assert_eq!(
            send(gateway.address, "POST", CHAT, &[("content-encoding", encoding)], "x").await.status,
            415,
            "{encoding}"
        );
    }
}

#[tokio::test]
async fn c12_slow_clients_are_given_up() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = one(&fake, Protocol::Chat);
    config.limits.header_time = Duration::from_millis(200);
    config.limits.body_time = Duration::from_millis(200);
    let gateway = Gateway::start(config).await;
    let mut head = RawClient::connect(gateway.address).await.unwrap();
    head.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: local").await.unwrap();
    assert_eq!(head.answer().await.status, 408);
    let mut silent = RawClient::connect(gateway.address).await.unwrap();
    assert_eq!(silent.answer().await.status, 0, "closed without a word");
    let mut body = RawClient::connect(gateway.address).await.unwrap();
    body.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"model\"")
        .await
        .unwrap();
    assert_eq!(body.answer().await.status, 408);
    // The head limit does not end connections that merely idle: one that still owes its head ends before.
    let mut kept = Connection::http1(gateway.address).await;
    let body = request(ClientProtocol::Chat, false).1.to_string();
    assert!(kept.send("POST", CHAT, &[], body.clone()).await.unwrap().bytes().await.is_ok());
    let mut silent = RawClient::connect(gateway.address).await.unwrap();
    assert_eq!(silent.answer().await.status, 0);
    assert_eq!(kept.send("POST", CHAT, &[], body).await.unwrap().status, 200);
}

#[tokio::test]
async fn c16_pipelined_requests_are_answered_in_order() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let mut raw = RawClient::connect(gateway.address).await.unwrap();
    raw.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\nGET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let all = String::from_utf8(raw.read_to_close(100_000).await).unwrap();
    let statuses: Vec<&str> = all.split("HTTP/1.1 ").skip(1).map(|answer| answer.get(..3).unwrap()).collect();
    assert_eq!(statuses, ["200", "404", "200"]);
}

#[tokio::test]
async fn c18_odd_model_names_stay_names() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for name in ["../m", "m\n", "%6d", "m/../m", "а", "M", &"x".repeat(10_000)] {
        let body = json!({"model": name, "messages": [{"role":"user","content":"hi"}]});
        let answer = post(gateway.address, CHAT, &[], &body).await;
        assert_eq!(answer.status, 404, "{name}");
        assert_eq!(answer.json().await["error"]["code"], "model_not_found");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn c24_upgrades_are_not_tunnelled() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZQ==\r\n";
    let codex = format!("GET /v1/responses HTTP/1.1\r\nhost: localhost\r\n{upgrade}\r\n");
    assert_eq!(raw(&gateway, codex.as_bytes()).await, 426);
    let other = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{upgrade}\r\n");
    assert_eq!(raw(&gateway, other.as_bytes()).await, 200);
}

#[tokio::test]
async fn a1_unclear_framing_is_refused() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let start = "POST /v1/chat/completions HTTP/1.1\r\n";
    for (headers, body) in [
        ("host: localhost\r\ncontent-length: 5\r\ncontent-length: 5\r\n", "hello"),
        ("host: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n", "hello"),
        ("host: localhost\r\ncontent-length: +5\r\n", "hello"),
        ("host: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
        ("host: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n"),
        ("host: localhost\r\ntransfer-encoding: identity, chunked\r\n", "0\r\n\r\n"),
        ("host: localhost\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
        ("content-length: 5\r\n", "hello"),
        ("host: localhost\r\nhost: other\r\ncontent-length: 5\r\n", "hello"),
        ("host: localhost\r\ncontent-length : 5\r\n", "hello"),
        ("host: localhost\r\ntransfer-encoding: chunked\r\n", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("host: localhost\r\ntransfer-encoding: chunked\r\n", "fffffffffffffffff\r\n"),
    ] {
        let bytes = format!("{start}{headers}\r\n{body}");
        assert_eq!(raw(&gateway, bytes.as_bytes()).await, 400, "{headers}{body}");
    }
    let absolute =
        "POST http://evil.example/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(raw(&gateway, absolute.as_bytes()).await, 400);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn http2_is_served_on_the_same_port() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let mut connection = Connection::http2(gateway.address).await;
    for stream in [false, true] {
        let (path, body) = request(ClientProtocol::Messages, stream);
        let answer =
            connection.send("POST", path, &[("content-type", "application/json")], body.to_string()).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(!answer.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn o4_streams_may_end_after_the_stop_and_are_cut_with_an_error_in_the_end() {
    use polyport_testkit::provider::Gate;
    for (client, words) in [
        (ClientProtocol::Chat, "\"error\":{"),
        (ClientProtocol::Messages, "event: error"),
        (ClientProtocol::Gemini, "\"status\":\"UNAVAILABLE\""),
    ] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        // Ends in time.
        let mut gateway = Gateway::to(&fake, Protocol::Chat).await;
        let gate = Gate::new();
        (0..2).for_each(|_| gate.pass());
        fake.script(Step::text("one two three four").between_events(Hold::Until(gate.clone())));
        let (path, body) = request(client, true);
        let mut answer = post(gateway.address, path, &[], &body).await;
        answer.until("one").await.unwrap();
        gateway.begin_stop();
        gate.open();
        answer.until("four").await.unwrap();
        gateway.stop().await;
        // Does not.
        let mut config = one(&fake, Protocol::Chat);
        config.limits.drain = Duration::from_millis(50);
        let mut gateway = Gateway::start(config).await;
        fake.script(Step::text("one two").cut_after_events(2, polyport_testkit::provider::Cut::Hang));
        let mut answer = post(gateway.address, path, &[], &body).await;
        answer.until("one").await.unwrap();
        gateway.begin_stop();
        answer.until(words).await.unwrap();
        gateway.stop().await;
    }
}
