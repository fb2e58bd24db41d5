//! Bounds on what happens at once: places and the line before them, memory, nesting.

use polyport_server::config::Config;
use polyport_testkit::provider::{FakeProvider, Gate, Hold, Step};
use polyport_testkit::raw::{Connection, Reply, get, post, send};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::support::{Gateway, one, provider, request, several};

/// Asks for an answer of a model in Chat.
async fn ask(gateway: &Gateway, model: &str) -> Reply {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    post(gateway.address, "/v1/chat/completions", &[], &body).await
}

/// Reads the figures until one of them has this value.
async fn until(gateway: &Gateway, figure: &str) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        loop {
            let text = get(gateway.address, "/metrics", &[]).await.bytes().await.unwrap();
            if String::from_utf8(text).unwrap().lines().any(|line| line == figure) {
                return;
            }
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{figure} is never reached"));
}

/// A provider whose first answer waits for the gate.
async fn held_up() -> (FakeProvider, Gate) {
    let (fake, gate) = (FakeProvider::start(Protocol::Chat).await, Gate::new());
    fake.script(Step::model().before_headers(Hold::Until(gate.clone())));
    (fake, gate)
}

fn narrow(mut config: Config, queue: usize) -> Config {
    (config.limits.requests, config.limits.queue) = (1, queue);
    config
}

#[tokio::test]
async fn requests_wait_for_a_place_and_too_many_are_refused() {
    let (fake, gate) = held_up().await;
    let gateway = Gateway::start(narrow(one(&fake, Protocol::Chat), 1)).await;
    let first = async { ask(&gateway, "m").await.status.as_u16() };
    let second = async {
        fake.wait_for(1).await;
        ask(&gateway, "m").await.status.as_u16()
    };
    let third = async {
        until(&gateway, "polyport_inflight_requests 2").await;
        for client in
            [ClientProtocol::Chat, ClientProtocol::Responses, ClientProtocol::Messages, ClientProtocol::Gemini]
        {
            let (path, body) = request(client, false);
            let refused = post(gateway.address, path, &[], &body).await;
            assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "1"), "{client}");
            assert_eq!(refused.header("x-polyport-error"), "local_rate");
        }
        assert_eq!(fake.requests().len(), 1, "the second one waits");
        gate.open();
    };
    assert_eq!(tokio::join!(first, second, third), (200, 200, ()));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn c13_a_client_that_leaves_the_line_frees_its_place() {
    let (fake, gate) = held_up().await;
    let gateway = Gateway::start(narrow(one(&fake, Protocol::Chat), 1)).await;
    let first = async { ask(&gateway, "m").await.status.as_u16() };
    let others = async {
        fake.wait_for(1).await;
        let mut leaving = Connection::http1(gateway.address).await;
        let (path, body) = request(ClientProtocol::Chat, false);
        let kind = [("content-type", "application/json")];
        {
            let leaves = leaving.send("POST", path, &kind, body.to_string());
            let waits = until(&gateway, "polyport_inflight_requests 2");
            tokio::select! {
                biased;
                _ = leaves => panic!("it waits"),
                () = waits => {}
            }
        }
        drop(leaving);
        until(&gateway, "polyport_inflight_requests 1").await;
        let stays = async { ask(&gateway, "m").await.status.as_u16() };
        let opens = async {
            until(&gateway, "polyport_inflight_requests 2").await;
            gate.open();
        };
        tokio::join!(stays, opens).0
    };
    assert_eq!(tokio::join!(first, others), (200, 200));
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn the_wait_for_a_place_has_an_end() {
    let (fake, gate) = held_up().await;
    let mut config = narrow(one(&fake, Protocol::Chat), 5);
    config.limits.queue_time = std::time::Duration::from_millis(1);
    let gateway = Gateway::start(config).await;
    let first = async { ask(&gateway, "m").await.status.as_u16() };
    let second = async {
        fake.wait_for(1).await;
        let refused = ask(&gateway, "m").await;
        gate.open();
        (refused.status.as_u16(), refused.header("retry-after").to_owned())
    };
    assert_eq!(tokio::join!(first, second), (200, (429, "1".to_owned())));
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_provider_has_places_of_its_own() {
    let (fake, gate) = held_up().await;
    let other = FakeProvider::start(Protocol::Chat).await;
    let mut narrow = provider("narrow", Protocol::Chat, &fake.base_url());
    narrow.requests = Some(1);
    let mut config = several(vec![narrow, provider("wide", Protocol::Chat, &other.base_url())]);
    config.limits.queue = 1;
    let gateway = Gateway::start(config).await;
    let first = async { ask(&gateway, "m").await.header("x-polyport-target").to_owned() };
    let waiting = async {
        fake.wait_for(1).await;
        ask(&gateway, "narrow-m").await.status.as_u16()
    };
    let others = async {
        until(&gateway, "polyport_inflight_requests 2").await;
        assert_eq!(ask(&gateway, "m").await.header("x-polyport-target"), "wide/m", "nobody waits who need not");
        let refused = ask(&gateway, "narrow-m").await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
        gate.open();
    };
    assert_eq!(tokio::join!(first, waiting, others), ("narrow/m".to_owned(), 200, ()));
    assert_eq!((fake.requests().len(), other.requests().len()), (2, 1));
}

#[tokio::test]
async fn c4_nesting_has_a_limit_that_can_be_lowered() {
    for to in [Protocol::Chat, Protocol::Messages] {
        let fake = FakeProvider::start(to).await;
        let mut config = one(&fake, to);
        config.limits.json_depth = 20;
        let gateway = Gateway::start(config).await;
        let nested = |depth: usize| -> Value { (1..depth).fold(json!({}), |inner, _| json!([inner])) };
        let paths = ClientProtocol::ALL.map(|client| request(client, false));
        let others = ["/v1/embeddings", "/v1/moderations", "/v1/batches", "/v1/messages/count_tokens"]
            .map(|path| (path, json!({"model": "m"})));
        for (path, mut body) in paths.into_iter().chain(others) {
            body["metadata"] = nested(20);
            let answer = post(gateway.address, path, &[], &body).await;
            assert_eq!(answer.status, 400, "{path}");
            let words = answer.json().await["error"]["message"].to_string();
            assert!(words.contains("nested deeper than 20 levels at byte"), "{path} {words}");
        }
        assert!(fake.requests().is_empty());
        let (path, mut body) = request(ClientProtocol::Chat, false);
        body["tools"] =
            json!([{"type":"function","function":{"name":"t","parameters":{"type":"object","x": nested(15)}}}]);
        assert_eq!(post(gateway.address, path, &[], &body).await.status, 200, "what is not deeper is read");
    }
}

#[tokio::test]
async fn o7_scarce_memory_closes_connections_and_then_refuses() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = one(&fake, Protocol::Chat);
    config.limits.memory_bytes = Some(1000);
    let gateway = Gateway::start(config).await;
    for (held, status, connection, level) in
        [(799, 200, "", 0), (800, 200, "close", 1), (900, 503, "close", 2), (1, 200, "", 0)]
    {
        gateway.handle.measure_memory_with(move || Some(held));
        let answer = ask(&gateway, "m").await;
        assert_eq!((answer.status.as_u16(), answer.header("connection")), (status, connection), "{held}");
        assert_eq!(answer.header("retry-after"), if status == 503 { "5" } else { "" });
        until(&gateway, &format!("polyport_memory_pressure {level}")).await;
        until(&gateway, &format!("process_resident_memory_bytes {held}")).await;
        assert_eq!(send(gateway.address, "GET", "/healthz", &[], "").await.status, 200);
    }
    assert_eq!(fake.requests().len(), 3);
}
