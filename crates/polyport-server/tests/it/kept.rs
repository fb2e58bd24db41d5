//! What is kept between requests outlives the gateway: answers, where things are, signatures.

use std::path::Path;

use polyport_server::config::{Access, Config, KeyHash};
use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{Reply, get, post, send};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::objects::{id, sent_file, with_keys};
use crate::persist::{Doomed, written};
use crate::support::{Gateway, provider, several};

const RESPONSES: &str = "/v1/responses";
const ANA: &str = "pp-0123456789abcdef0123456789abcdef";
const BEN: &str = "pp-fedcba9876543210fedcba9876543210";

fn within(mut config: Config, folder: &Path) -> Config {
    config.data = folder.to_owned();
    config
}

async fn made(answer: Reply) -> String {
    assert_eq!(answer.status, 200);
    answer.json().await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_answer_kept_here_is_there_after_the_gateway_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let config = || {
        let mut config = within(several(vec![provider("up", Protocol::Chat, &fake.base_url())]), folder.path());
        config.access = Access::default().with_key("ana", KeyHash::of(ANA)).with_key("ben", KeyHash::of(BEN));
        config.metrics.open = true;
        config
    };
    let (ana, ben) = ([("x-api-key", ANA)], [("x-api-key", BEN)]);
    let gateway = Doomed::start(config()).await;
    fake.script(Step::text("Hello Ana"));
    let body = json!({"model":"m","input":"Hi, I am Ana","metadata":{"n":"1"},"instructions":"Be kind"});
    let answer = post(gateway.address, RESPONSES, &ana, &body).await.json().await;
    let first = answer["id"].as_str().unwrap().to_owned();
    written(gateway.address).await;
    gateway.kill().await;

    let gateway = Doomed::start(config()).await;
    let path = format!("{RESPONSES}/{first}");
    assert_eq!(get(gateway.address, &path, &ana).await.json().await, answer);
    let items = get(gateway.address, &format!("{path}/input_items"), &ana).await.json().await;
    assert_eq!(items["data"][0]["content"][0]["text"], "Hi, I am Ana");
    assert_eq!(get(gateway.address, &path, &ben).await.status, 404, "it belongs to another key");
    let body = json!({"model":"m","input":"What is my name?","previous_response_id":first});
    assert_eq!(post(gateway.address, RESPONSES, &ben, &body).await.status, 400);
    let second = made(post(gateway.address, RESPONSES, &ana, &body).await).await;
    let sent = fake.last().json()["messages"].to_string();
    assert!(sent.contains("Hi, I am Ana") && sent.contains("Hello Ana"), "{sent}");
    written(gateway.address).await;
    gateway.kill().await;

    // Of a chain the last one tells all; one that is deleted is gone for good.
    let gateway = Doomed::start(config()).await;
    let deleted = send(gateway.address, "DELETE", &path, &ana, "").await.json().await;
    assert_eq!(deleted, json!({"id": first, "object": "response", "deleted": true}));
    assert_eq!(get(gateway.address, &path, &ana).await.status, 404);
    let body = json!({"model":"m","input":"Again?","previous_response_id":second});
    assert_eq!(post(gateway.address, RESPONSES, &ana, &body).await.status, 200);
    assert!(fake.last().json()["messages"].to_string().contains("Hello Ana"));
    written(gateway.address).await;
    gateway.kill().await;
    let gateway = Doomed::start(config()).await;
    assert_eq!(get(gateway.address, &path, &ana).await.status, 404);
    gateway.kill().await;
    fake.assert_no_violations();
}

#[tokio::test]
async fn what_a_provider_keeps_is_found_at_its_credential_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let keeping = FakeProvider::start(Protocol::Responses).await;
    let other = FakeProvider::start(Protocol::Chat).await;
    let config = || {
        let up = with_keys("up", Protocol::Responses, &keeping, &["one", "two", "three"]);
        within(several(vec![up, provider("other", Protocol::Chat, &other.base_url())]), folder.path())
    };
    let gateway = Gateway::stored(config()).await;
    keeping.script(Step::text("Hello Ana"));
    let body = json!({"model":"m","input":"Hi, I am Ana"});
    let first = made(post(gateway.address, RESPONSES, &[], &body).await).await;
    let made_with = keeping.last().header("authorization").unwrap().to_owned();
    let conversation = made(post(gateway.address, "/v1/conversations", &[], &json!({})).await).await;
    let conversed_with = keeping.last().header("authorization").unwrap().to_owned();
    // A stop in order writes what waits.
    gateway.stop().await;

    let mut previous = first.clone();
    for _ in 0..3 {
        let gateway = Gateway::stored(config()).await;
        let whole = get(gateway.address, &format!("{RESPONSES}/{first}"), &[]).await;
        assert_eq!(whole.json().await["id"], *first);
        assert_eq!(keeping.last().header("authorization"), Some(&*made_with));
        let body = json!({"model":"m","input":"and?","previous_response_id":previous});
        previous = made(post(gateway.address, RESPONSES, &[], &body).await).await;
        assert_eq!(keeping.last().header("authorization"), Some(&*made_with));
        assert_eq!(keeping.last().json()["input"], "and?");
        let body = json!({"model":"m","input":"x","conversation":conversation});
        assert_eq!(post(gateway.address, RESPONSES, &[], &body).await.status, 200);
        assert_eq!(keeping.last().header("authorization"), Some(&*conversed_with));
        gateway.stop().await;
    }
    // Where it cannot be asked any more, the words that passed through are known.
    let gateway = Gateway::stored(config()).await;
    keeping.always(Step::error(429, "no"));
    let body = json!({"model":"m","input":"What is my name?","previous_response_id":previous});
    let answer = post(gateway.address, RESPONSES, &[], &body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-polyport-target")), (200, "other/m"));
    let said = other.last().json()["messages"].to_string();
    assert!(said.contains("Hi, I am Ana") && said.contains("Hello Ana") && said.contains("and?"), "{said}");
    gateway.stop().await;
}

#[tokio::test]
async fn signatures_reach_the_provider_after_the_gateway_was_killed() {
    const SIGNED: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"look","args":{"at":"x"}},"thoughtSignature":"c2lnbmF0dXJl"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":3}}"#;
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Gemini).await;
    let config = || within(several(vec![provider("up", Protocol::Gemini, &fake.base_url())]), folder.path());
    let tools = json!([{"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{"at":{"type":"string"}}}}}]);
    for stream in [false, true] {
        let gateway = Doomed::start(config()).await;
        fake.script(if stream { Step::sse(&format!("data: {SIGNED}\r\n\r\n")) } else { Step::json(SIGNED) });
        let body = json!({"model":"m","stream":stream,"tools":tools,"messages":[{"role":"user","content":"hi"}]});
        let bytes = post(gateway.address, "/v1/chat/completions", &[], &body).await.bytes().await.unwrap();
        let check = Check::new(Protocol::Chat);
        let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) }.unwrap();
        let call = &read.tool_calls()[0];
        written(gateway.address).await;
        gateway.kill().await;

        let gateway = Doomed::start(config()).await;
        let body = json!({"model":"m","tools":tools,"messages":[
            {"role":"user","content":"hi"},
            {"role":"assistant","content":null,"tool_calls":[{"id":call.id,"type":"function","function":{"name":"look","arguments":call.arguments}}]},
            {"role":"tool","tool_call_id":call.id,"content":"seen"}]});
        assert_eq!(post(gateway.address, "/v1/chat/completions", &[], &body).await.status, 200);
        let sent = fake.last().json();
        assert_eq!(sent["contents"][1]["parts"][0]["thoughtSignature"], "c2lnbmF0dXJl", "{sent}");
        gateway.kill().await;
    }
    fake.assert_no_violations();
}

#[tokio::test]
async fn a_file_and_an_item_are_asked_for_where_they_are_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Responses).await;
    let keys = ["one", "two", "three"];
    let config = || within(several(vec![with_keys("up", Protocol::Responses, &fake, &keys)]), folder.path());
    let gateway = Gateway::stored(config()).await;
    let file = id(sent_file(&gateway, &[], b"hello").await).await;
    let taken_with = fake.last().header("authorization").unwrap().to_owned();
    let body = json!({"model":"m","input":"hi"});
    let answer = post(gateway.address, RESPONSES, &[], &body).await.json().await;
    let answered_with = fake.last().header("authorization").unwrap().to_owned();
    let item = answer["output"][0]["id"].as_str().unwrap().to_owned();
    gateway.stop().await;
    for _ in 0..2 {
        let gateway = Gateway::stored(config()).await;
        for _ in 0..4 {
            let content = json!([{"type":"input_file","file_id":file},{"type":"input_text","text":"what is it?"}]);
            let body = json!({"model":"m","input":[{"role":"user","content":content}]});
            assert_eq!(post(gateway.address, RESPONSES, &[], &body).await.status, 200);
            assert_eq!(fake.last().header("authorization"), Some(&*taken_with));
            let input = json!([{"type":"item_reference","id":item},{"role":"user","content":"and?"}]);
            let body = json!({"model":"m","input":input});
            assert_eq!(post(gateway.address, RESPONSES, &[], &body).await.status, 200);
            assert_eq!(fake.last().header("authorization"), Some(&*answered_with));
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn s2_what_is_in_memory_is_used_while_the_database_is_away_and_the_rest_is_not_said_to_be_gone() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let config = || within(several(vec![provider("up", Protocol::Chat, &fake.base_url())]), folder.path());
    let body = json!({"model":"m","input":"hi"});
    let gateway = Gateway::stored(config()).await;
    let old = made(post(gateway.address, RESPONSES, &[], &body).await).await;
    gateway.stop().await;

    let mut config = config();
    let store = config.open_store().await.unwrap();
    config.listen = polyport_server::config::Listen { port: 0, ..polyport_server::config::Listen::default() };
    let server = polyport_server::Server::bind_with(std::sync::Arc::new(config), Some(store.clone())).await.unwrap();
    let gateway = Gateway::run(server);
    store.close().await;
    let new = made(post(gateway.address, RESPONSES, &[], &body).await).await;
    let next = |id: &str| json!({"model":"m","input":"more","previous_response_id":id});
    assert_eq!(post(gateway.address, RESPONSES, &[], &next(&new)).await.status, 200);
    assert_eq!(get(gateway.address, &format!("{RESPONSES}/{new}"), &[]).await.status, 200);
    let refused = post(gateway.address, RESPONSES, &[], &next(&old)).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "2"));
    assert_eq!(get(gateway.address, &format!("{RESPONSES}/{old}"), &[]).await.status, 503);
    let said: Value = refused.json().await;
    assert!(said["error"]["message"].as_str().unwrap().contains("try again"), "{said}");
    gateway.stop().await;
}

#[tokio::test]
async fn a14_a_request_for_an_answer_refers_to_no_file_or_item_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Responses).await;
    let config = || {
        let mut config = within(several(vec![with_keys("up", Protocol::Responses, &fake, &["one"])]), folder.path());
        config.access = Access::default().with_key("ana", KeyHash::of(ANA)).with_key("ben", KeyHash::of(BEN));
        config.metrics.open = true;
        config
    };
    let (ana, ben) = ([("x-goog-api-key", ANA)], [("x-goog-api-key", BEN)]);
    let gateway = Gateway::stored(config()).await;
    let file = id(sent_file(&gateway, &ana, b"of ana").await).await;
    let answer = post(gateway.address, RESPONSES, &ana, &json!({"model":"m","input":"hi"})).await.json().await;
    let item = answer["output"][0]["id"].as_str().unwrap().to_owned();
    gateway.stop().await;
    let with_file = |file: &str| {
        let content = json!([{"type":"input_file","file_id":file},{"type":"input_text","text":"what is it?"}]);
        json!({"model":"m","input":[{"role":"user","content":content}]})
    };
    let with_item = json!({"model":"m","input":[{"type":"item_reference","id":item},{"role":"user","content":"?"}]});
    for _ in 0..2 {
        let gateway = Gateway::stored(config()).await;
        let asked = fake.requests().len();
        for body in [&with_file(&file), &with_item] {
            let refused = post(gateway.address, RESPONSES, &ben, body).await;
            assert_eq!(refused.status, 404);
            let words = refused.json().await["error"]["message"].as_str().unwrap().to_owned();
            assert!(words.contains("not found") && !words.contains("ana"), "{words}");
        }
        assert_eq!(fake.requests().len(), asked, "nobody is asked");
        for body in [&with_file(&file), &with_item] {
            assert_eq!(post(gateway.address, RESPONSES, &ana, body).await.status, 200);
        }
        // What was not made through the gateway is nobody's: the provider judges it.
        assert_eq!(post(gateway.address, RESPONSES, &ben, &with_file("file-of-the-console")).await.status, 200);
        gateway.stop().await;
    }
}
