//! Client and provider speak different protocols.

use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Answer, FakeProvider, Gate, Hold, Step};
use polyport_testkit::raw::{get, post, send};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::json;

use crate::support::{Gateway, request};

const CLIENTS: [ClientProtocol; 4] = ClientProtocol::ALL;
const PROVIDERS: [Protocol; 4] = Protocol::ALL;

/// What a client of this protocol understands of the answer to its request.
async fn ask(gateway: &Gateway, client: ClientProtocol, stream: bool) -> Summary {
    let (path, body) = request(client, stream);
    let answer = post(gateway.address, path, &[], &body).await;
    let status = answer.status;
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    let check = Check::new(client);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|why| panic!("{client} stream {stream}: {why}\n{}", String::from_utf8_lossy(&bytes)))
}

#[tokio::test]
async fn every_client_reaches_every_provider() {
    for to in PROVIDERS {
        let fake = FakeProvider::start(to).await;
        fake.always(Step::text("Hello there, friend."));
        let gateway = Gateway::to(&fake, to).await;
        for client in CLIENTS {
            for stream in [false, true] {
                let summary = ask(&gateway, client, stream).await;
                assert_eq!(summary.choices[0].text, "Hello there, friend.", "{client} to {to}, stream {stream}");
            }
        }
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn tool_calls_reach_every_client() {
    for to in PROVIDERS {
        let fake = FakeProvider::start(to).await;
        fake.always(Step::answer(Answer::default().text("Let me see.").tool("look", r#"{"at":"é \"x\""}"#)));
        let gateway = Gateway::to(&fake, to).await;
        for client in CLIENTS {
            for stream in [false, true] {
                let summary = ask(&gateway, client, stream).await;
                let call = &summary.choices[0].tool_calls[0];
                assert_eq!(
                    (call.name.as_str(), call.arguments.as_str()),
                    ("look", r#"{"at":"é \"x\""}"#),
                    "{client} to {to}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_stream_flows_event_by_event() {
    for to in PROVIDERS {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        for client in CLIENTS {
            let gate = Gate::new();
            fake.script(Step::text("one two three").between_events(Hold::Until(gate.clone())));
            let (path, body) = request(client, true);
            let address = gateway.address;
            let asked = tokio::spawn(async move { post(address, path, &[], &body).await });
            // The first words reach the client while the provider still holds the others.
            let mut answer = tokio::select! {
                answer = asked => answer.unwrap(),
                () = async { loop { gate.pass(); tokio::time::sleep(std::time::Duration::from_millis(5)).await } } => unreachable!(),
            };
            let first = tokio::select! {
                first = answer.until("one") => first.unwrap(),
                () = async { loop { gate.pass(); tokio::time::sleep(std::time::Duration::from_millis(5)).await } } => unreachable!(),
            };
            assert!(!first.contains("three"), "{client} to {to}: {first}");
            gate.open();
            answer.until("three").await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_echo_model_answers_without_a_provider() {
    let config = polyport_server::config::Config::new(
        vec![polyport_server::config::Provider::echo()],
        polyport_routing::Catalog::default()
            .with_provider("echo", Protocol::Chat, vec!["echo".into()], Vec::new())
            .with_model("m", vec![polyport_routing::TargetSpec::new("echo/echo")])
            .check()
            .unwrap(),
    );
    let gateway = Gateway::start(config).await;
    for client in CLIENTS {
        for stream in [false, true] {
            assert_eq!(ask(&gateway, client, stream).await.choices[0].text, "hi", "{client}");
        }
    }
}

#[tokio::test]
async fn strict_mode_refuses_a_loss_before_any_provider_is_asked() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    let body = json!({"model":"m","seed":5,"messages":[{"role":"user","content":"hi"}]});
    let answer = post(gateway.address, "/v1/chat/completions", &[("x-polyport-strict", "1")], &body).await;
    assert_eq!(answer.status, 400);
    let error = answer.json().await;
    assert_eq!(error["error"]["param"], "seed");
    assert!(fake.requests().is_empty());
    let answer = post(gateway.address, "/v1/chat/completions", &[], &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-polyport-loss").contains("sampling.unsupported"));
}

#[tokio::test]
async fn a_provider_that_streams_unasked_is_collected_and_the_other_way_round() {
    for to in PROVIDERS {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        for client in CLIENTS {
            for stream in [false, true] {
                fake.script(Step::text("as you like").streaming(!stream));
                assert_eq!(
                    ask(&gateway, client, stream).await.choices[0].text,
                    "as you like",
                    "{client} to {to}, {stream}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_answer_can_be_continued_retrieved_and_deleted() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    let address = gateway.address;
    for stream in [false, true] {
        fake.script(Step::text("I am Bo."));
        let body = json!({"model":"m","input":"Who are you?","stream":stream});
        let bytes = post(address, "/v1/responses", &[], &body).await.bytes().await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let at = text.find("resp_").unwrap();
        let id: String = text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();

        let stored = get(address, &format!("/v1/responses/{id}"), &[]).await.json().await;
        assert_eq!((&stored["id"], &stored["output"][0]["content"][0]["text"]), (&json!(id), &json!("I am Bo.")));

        let items = get(address, &format!("/v1/responses/{id}/input_items"), &[]).await.json().await;
        assert_eq!(items["data"][0]["content"][0]["text"], "Who are you?");

        let body = json!({"model":"m","input":"Say it again.","previous_response_id":id});
        assert_eq!(post(address, "/v1/responses", &[], &body).await.status, 200);
        let sent = fake.last().json();
        assert_eq!(sent["messages"].as_array().unwrap().len(), 3, "{sent}");

        let deleted = send(address, "DELETE", &format!("/v1/responses/{id}"), &[], "").await.json().await;
        assert_eq!(deleted["deleted"], true);
        assert_eq!(get(address, &format!("/v1/responses/{id}"), &[]).await.status, 404);
    }
    let body = json!({"model":"m","input":"x","previous_response_id":"resp_unknown"});
    let answer = post(address, "/v1/responses", &[], &body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json().await["error"]["code"], "previous_response_not_found");
}
