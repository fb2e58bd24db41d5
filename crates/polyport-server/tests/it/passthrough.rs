//! Client and provider speak the same protocol.

use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{post, send};
use polyport_types::Protocol;
use serde_json::json;

use crate::support::{Gateway, one};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn d14_the_body_reaches_the_provider_byte_for_byte() {
    let fake = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let bodies = [
        "{ \"model\" : \"m\",\r\n \"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9 \\ud83d\\ude00 é\"}], \"seed\": 9007199254740993 }",
        "{\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"unknown\":{\"a\":[1.0,1e400,-0]},\"model\":\"m\"}",
    ];
    for body in bodies {
        let answer = send(gateway.address, "POST", CHAT, &[("content-type", "application/json")], body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(fake.last().body(), body.as_bytes());
    }
}

#[tokio::test]
async fn d14_a_stream_reaches_the_client_byte_for_byte() {
    let fake = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let stream = "data: {\"id\":\"c\", \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n: note\n\n\
                  data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\\u0069\"},\"finish_reason\":null}],\"obfuscation\":\"xx\"}\n\n\
                  data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                  data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}\n\ndata: [DONE]\n\n";
    for size in [1, 7, 100_000] {
        fake.script(Step::sse(stream).drip(size));
        let body = json!({"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]});
        let answer = post(gateway.address, CHAT, &[], &body).await;
        assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert_eq!(String::from_utf8(answer.bytes().await.unwrap()).unwrap(), stream, "{size}");
    }
}

#[tokio::test]
async fn a_chat_request_that_does_not_say_stream_gets_one_where_that_is_the_default() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = one(&fake, Protocol::Chat);
    config.stream_by_default = true;
    let gateway = Gateway::start(config).await;
    let mut body = json!({"model":"m","messages":[{"role":"user","content":"hi"}]});
    for (said, streamed) in [(None, true), (Some(false), false), (Some(true), true)] {
        if let Some(said) = said {
            body["stream"] = json!(said);
        }
        let answer = post(gateway.address, CHAT, &[], &body).await;
        assert_eq!(answer.header("content-type").starts_with("text/event-stream"), streamed, "{said:?}");
        assert_eq!(fake.last().json()["stream"], json!(streamed));
    }
    // Other protocols have no such custom.
    let answer = post(gateway.address, "/v1/responses", &[], &json!({"model":"m","input":"hi","store":false})).await;
    assert_eq!(answer.header("content-type"), "application/json");
    fake.assert_no_violations();
}

#[tokio::test]
async fn an_alias_is_replaced_on_the_way_out_and_back() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for stream in [false, true] {
        let body = json!({"model":"up-m","stream":stream,"messages":[{"role":"user","content":"hi"}]});
        let answer = post(gateway.address, CHAT, &[], &body).await;
        assert_eq!(answer.header("x-polyport-target"), "up/m");
        assert_eq!(answer.header("x-polyport-attempts"), "1");
        assert!(answer.header("x-request-id").starts_with("req_"));
        let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
        assert_eq!(fake.last().json()["model"], "m");
        assert!(text.contains("\"model\":\"up-m\"") && !text.contains("\"model\":\"m\""), "{text}");
    }
    fake.assert_no_violations();
}

#[tokio::test]
async fn usage_is_asked_for_and_hidden_from_clients_that_did_not_ask() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for asked in [false, true] {
        let mut body = json!({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]});
        if asked {
            body["stream_options"] = json!({"include_usage": true});
        }
        let answer = post(gateway.address, CHAT, &[], &body).await.bytes().await.unwrap();
        assert_eq!(fake.last().json()["stream_options"], json!({"include_usage": true}));
        polyport_testkit::grammar::Check::new(Protocol::Chat).include_usage(asked).stream(&answer).unwrap();
    }
}

#[tokio::test]
async fn headers_of_the_provider_are_an_allow_list() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    fake.always(
        Step::text("ok")
            .header("anthropic-ratelimit-requests-remaining", "7")
            .header("set-cookie", "a=b")
            .header("request-id", "req_theirs")
            .header("server", "secret"),
    );
    let body = json!({"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]});
    let headers = [
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "a-1,b-2"),
        ("cookie", "c=d"),
        ("x-stainless-os", "x"),
    ];
    let answer = post(gateway.address, "/v1/messages?beta=true", &headers, &body).await;
    assert_eq!(answer.header("anthropic-ratelimit-requests-remaining"), "7");
    assert_eq!(answer.header("x-polyport-upstream-request-id"), "req_theirs");
    assert!(answer.header("request-id").starts_with("req_") && answer.header("request-id") != "req_theirs");
    assert_eq!((answer.header("set-cookie"), answer.header("server")), ("", ""));
    let received = fake.last();
    assert_eq!(received.header("anthropic-beta"), Some("a-1,b-2"));
    assert_eq!((received.header("cookie"), received.header("x-stainless-os")), (None, None));
}

#[tokio::test]
async fn compressed_bodies_are_unpacked() {
    use std::io::Write as _;
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let body = json!({"model":"m","messages":[{"role":"user","content":"hi"}]}).to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body.as_bytes()).unwrap();
    let answer = send(gateway.address, "POST", CHAT, &[("content-encoding", "gzip")], gzip.finish().unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(fake.last().body(), body.as_bytes());
    // And on the way back.
    fake.script(Step::text("packed").gzip().header("content-encoding", "gzip"));
    let answer = send(gateway.address, "POST", CHAT, &[], body).await.json().await;
    assert_eq!(answer["choices"][0]["message"]["content"], "packed");
}

#[tokio::test]
async fn a_learned_refusal_is_repaired_once_and_remembered() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(one(&fake, Protocol::Chat)).await;
    fake.decide(|exchange| {
        let refused = exchange.json().get("seed").is_some();
        refused.then(|| {
            Step::body("application/json", r#"{"error":{"message":"Unsupported parameter: 'seed' is not supported with this model.","type":"invalid_request_error","param":"seed","code":"unsupported_parameter"}}"#).status(400)
        })
    });
    let body = json!({"model":"m","seed":5,"messages":[{"role":"user","content":"hi"}]});
    let first = post(gateway.address, CHAT, &[], &body).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-polyport-loss"), "unknown_field.dropped;dropped");
    assert_eq!(fake.requests().len(), 2);
    assert_eq!(post(gateway.address, CHAT, &[], &body).await.status, 200);
    assert_eq!(fake.requests().len(), 3);
}
