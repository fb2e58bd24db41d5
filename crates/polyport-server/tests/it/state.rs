//! Answers and conversations that a Responses provider keeps, and requests that go on from them.

use polyport_protocol::Profile;
use polyport_server::config::{Access, Config, Credential, KeyHash, Provider};
use polyport_testkit::provider::{Answer, FakeProvider, Gate, Hold, Step};
use polyport_testkit::raw::{Reply, get, post, send};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::support::{Gateway, http, provider, several};

const RESPONSES: &str = "/v1/responses";

/// A Responses provider with these credentials.
fn keeper(name: &str, fake: &FakeProvider, keys: &[&str]) -> Provider {
    let mut keeper = provider(name, Protocol::Responses, &fake.base_url());
    let style = polyport_provider::AuthStyle::of_protocol(Protocol::Responses);
    http(&mut keeper).credentials = keys
        .iter()
        .map(|key| Credential::key(*key, style.header(&polyport_types::Secret::new((*key).to_owned())).unwrap()))
        .collect();
    keeper
}

async fn one_keeper(keys: &[&str]) -> (FakeProvider, Gateway) {
    let fake = FakeProvider::start(Protocol::Responses).await;
    let gateway = Gateway::start(several(vec![keeper("up", &fake, keys)])).await;
    (fake, gateway)
}

/// Asks for an answer and gives its id.
async fn answered(gateway: &Gateway, body: &Value) -> String {
    let answer = post(gateway.address, RESPONSES, &[], body).await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
    let (_, named) = text.split_once("\"id\":\"resp_").unwrap();
    format!("resp_{}", named.split('"').next().unwrap())
}

async fn error(answer: Reply) -> (u16, Value) {
    (answer.status.as_u16(), answer.json().await["error"].clone())
}

#[tokio::test]
async fn an_answer_that_a_provider_keeps_is_asked_for_there() {
    let (fake, gateway) = one_keeper(&["one", "two"]).await;
    let address = gateway.address;
    for stream in [false, true] {
        let id = answered(&gateway, &json!({"model":"up-m","input":"hi","stream":stream})).await;
        let made_with = fake.last().header("authorization").unwrap().to_owned();
        let path = format!("/v1/responses/{id}");

        let whole = get(address, &format!("{path}?include=reasoning.encrypted_content&key=ours"), &[]).await;
        assert_eq!(whole.header("x-polyport-target"), "up/m");
        let whole = whole.json().await;
        assert_eq!((whole["id"].as_str(), whole["model"].as_str()), (Some(id.as_str()), Some("up-m")));
        let asked = fake.last();
        assert_eq!(
            (asked.method(), asked.path(), asked.query()),
            ("GET", &*path, "include=reasoning.encrypted_content")
        );
        assert_eq!(asked.header("authorization"), Some(&*made_with));

        let again = get(address, &format!("{path}?stream=true&starting_after=0"), &[]).await;
        assert_eq!(again.header("content-type"), "text/event-stream");
        let again = String::from_utf8(again.bytes().await.unwrap()).unwrap();
        assert!(again.starts_with("event: response.completed\n") && again.contains("\"model\":\"up-m\""), "{again}");

        let items = get(address, &format!("{path}/input_items?limit=5&order=asc&after=x"), &[]).await.json().await;
        assert_eq!(items["data"][0]["content"][0]["text"], "hi");
        assert_eq!(fake.last().query(), "limit=5&order=asc&after=x");

        let (status, refused) = error(post(address, &format!("{path}/cancel"), &[], &Value::Null).await).await;
        assert_eq!((status, &refused["message"]), (400, &json!("Cannot cancel a synchronous response.")));
        assert_eq!(refused["code"], Value::Null);

        let deleted = send(address, "DELETE", &path, &[], "").await.json().await;
        assert_eq!(deleted, json!({"id": id, "object": "response", "deleted": true}));
        let asked = fake.requests().len();
        let (status, gone) = error(get(address, &path, &[]).await).await;
        assert_eq!((status, &gone["message"]), (404, &json!(format!("Response with id '{id}' not found."))));
        assert_eq!(fake.requests().len(), asked, "nobody is asked for what is unknown");
    }
    let id = answered(&gateway, &json!({"model":"m","input":"hi","store":false})).await;
    assert_eq!(get(address, &format!("/v1/responses/{id}"), &[]).await.status, 404);
    fake.assert_no_violations();
}

#[tokio::test]
async fn a_continued_answer_goes_to_the_credential_that_keeps_it() {
    let (fake, gateway) = one_keeper(&["one", "two", "three"]).await;
    for stream in [false, true] {
        let first = answered(&gateway, &json!({"model":"m","input":"hi","stream":stream})).await;
        let made_with = fake.last().header("authorization").unwrap().to_owned();
        let mut previous = first;
        for _ in 0..4 {
            let body = json!({"model":"m","input":"and?","previous_response_id":previous,"stream":stream});
            previous = answered(&gateway, &body).await;
            assert_eq!(fake.last().header("authorization"), Some(&*made_with));
            assert_eq!(fake.last().json()["input"], "and?", "what the provider keeps is not sent again");
        }
    }
    fake.assert_no_violations();
}

#[tokio::test]
async fn a_provider_that_fails_is_replaced_with_the_history_written_out() {
    for stream in [false, true] {
        let keeping = FakeProvider::start(Protocol::Responses).await;
        let other = FakeProvider::start(Protocol::Chat).await;
        let config =
            several(vec![keeper("up", &keeping, &["one"]), provider("other", Protocol::Chat, &other.base_url())]);
        let gateway = Gateway::start(config).await;
        keeping.script(Step::text("Hello Ana"));
        let body = json!({"model":"m","input":"Hi, I am Ana","instructions":"Be kind","stream":stream});
        let first = answered(&gateway, &body).await;
        keeping.script(Step::text("Well"));
        let body = json!({"model":"m","input":"How are you?","previous_response_id":first,"stream":stream});
        let second = answered(&gateway, &body).await;

        keeping.always(Step::error(429, "no"));
        let body =
            json!({"model":"m","instructions":"Be formal","input":"What is my name?","previous_response_id":second});
        let answer = post(gateway.address, RESPONSES, &[], &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-polyport-target")), (200, "other/m"));
        assert!(answer.header("x-polyport-loss").contains("state.expanded"), "{}", answer.header("x-polyport-loss"));
        assert_eq!(answer.json().await["previous_response_id"], *second);
        let said: Vec<(String, String)> = other.last().json()["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| (message["role"].as_str().unwrap().into(), message["content"].as_str().unwrap().into()))
            .collect();
        let expected = [
            ("developer", "Be formal"),
            ("user", "Hi, I am Ana"),
            ("assistant", "Hello Ana"),
            ("user", "How are you?"),
            ("assistant", "Well"),
            ("user", "What is my name?"),
        ];
        let said: Vec<(&str, &str)> = said.iter().map(|(role, text)| (role.as_str(), text.as_str())).collect();
        assert_eq!(said.get(1..), expected.get(1..));
        assert_eq!(said[0].1, "Be formal");

        // The same with a model of another provider only.
        let body = json!({"model":"other-m","input":"Again?","previous_response_id":second});
        let answer = post(gateway.address, RESPONSES, &[], &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-polyport-target")), (200, "other/m"));
        other.assert_no_violations();
    }
}

#[tokio::test]
async fn another_credential_gets_the_words_and_no_ids() {
    let (fake, gateway) = one_keeper(&["one", "two"]).await;
    fake.script(Step::answer(Answer::default().reasoning("hm").text("Hello Ana").tool("look", "{}")));
    let tools = json!([{"type":"function","name":"look","parameters":{"type":"object"},"strict":false}]);
    let body = json!({"model":"m","input":"Hi, I am Ana","tools":tools});
    let made = post(gateway.address, RESPONSES, &[], &body).await.json().await;
    let made_with = fake.last().header("authorization").unwrap().to_owned();
    let refused = made_with.clone();
    fake.decide(move |exchange| {
        (exchange.header("authorization") == Some(&*refused)).then(|| Step::error(429, "slow down"))
    });
    assert_eq!(made["status"], "completed", "{made}");
    let call_id = made["output"].as_array().unwrap().iter().find_map(|item| item["call_id"].as_str()).unwrap();
    let result = json!([{"type":"function_call_output","call_id":call_id,"output":"found"}]);
    let body = json!({"model":"m","input":result,"tools":tools,"previous_response_id":made["id"]});
    let answer = post(gateway.address, RESPONSES, &[], &body).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-polyport-attempts")), (200, "2"));
    let sent = fake.last();
    assert_ne!(sent.header("authorization"), Some(&*made_with));
    let (whole, input) = (sent.json(), sent.json()["input"].to_string());
    assert!(whole.get("previous_response_id").is_none(), "{whole}");
    assert!(input.contains("Hi, I am Ana") && input.contains("Hello Ana") && input.contains("found"), "{input}");
    // Sealed reasoning goes along whole, with its id.
    for item in made["output"].as_array().unwrap().iter().filter(|item| item.get("encrypted_content").is_none()) {
        assert!(!input.contains(item["id"].as_str().unwrap()), "{} in {input}", item["id"]);
    }
    fake.assert_no_violations();
}

#[tokio::test]
async fn an_answer_in_the_background_is_known_before_it_says_anything() {
    let (fake, gateway) = one_keeper(&["one"]).await;
    let gate = Gate::new();
    gate.pass();
    fake.script(Step::text("later").between_events(Hold::Until(gate.clone())));
    let body = json!({"model":"m","input":"hi","background":true,"stream":true});
    let mut open = post(gateway.address, RESPONSES, &[], &body).await;
    let begun = open.until("response.created").await.unwrap();
    let (_, named) = begun.split_once("\"id\":\"resp_").unwrap();
    let id = format!("resp_{}", named.split('"').next().unwrap());
    // The client leaves and finds it again.
    drop(open);
    assert_eq!(get(gateway.address, &format!("/v1/responses/{id}"), &[]).await.json().await["id"], *id);
    gate.open();
}

#[tokio::test]
async fn what_cannot_be_reached_is_said() {
    let (keeping, other) = (FakeProvider::start(Protocol::Responses).await, FakeProvider::start(Protocol::Chat).await);
    let config = several(vec![keeper("up", &keeping, &["one"]), provider("other", Protocol::Chat, &other.base_url())]);
    let gateway = Gateway::start(config).await;
    // An answer in the background is not whole when it passes: it can only be continued where it is.
    let id = answered(&gateway, &json!({"model":"m","input":"hi","background":true})).await;
    let body = json!({"model":"other-m","input":"x","previous_response_id":id});
    let (status, refused) = error(post(gateway.address, RESPONSES, &[], &body).await).await;
    assert_eq!((status, &refused["code"]), (400, &json!("previous_response_not_found")));
    assert_eq!(refused["param"], "previous_response_id");
    let words = refused["message"].as_str().unwrap();
    assert!(words.contains("provider `up`") && words.contains("`input`"), "{words}");

    // Where only one provider keeps answers, it says itself that it does not know one.
    let body = json!({"model":"m","input":"x","previous_response_id":"resp_unknown"});
    let (status, refused) = error(post(gateway.address, RESPONSES, &[], &body).await).await;
    assert_eq!((status, &refused["code"]), (400, &json!("previous_response_not_found")));
    assert_eq!(keeping.last().json()["previous_response_id"], "resp_unknown");
    let body = json!({"model":"other-m","input":"x","previous_response_id":"resp_unknown"});
    let (status, refused) = error(post(gateway.address, RESPONSES, &[], &body).await).await;
    assert_eq!((status, &refused["code"]), (400, &json!("previous_response_not_found")));
    assert!(other.requests().is_empty());

    // Among several it is nobody's.
    let second = FakeProvider::start(Protocol::Responses).await;
    let both = several(vec![keeper("up", &keeping, &["one"]), keeper("second", &second, &["two"])]);
    let gateway = Gateway::start(both).await;
    let asked = keeping.requests().len();
    let body = json!({"model":"m","input":"x","previous_response_id":"resp_unknown"});
    assert_eq!(post(gateway.address, RESPONSES, &[], &body).await.status, 400);
    assert_eq!((keeping.requests().len(), second.requests().len()), (asked, 0));
}

#[tokio::test]
async fn background_answers_are_followed_at_their_provider() {
    let (fake, gateway) = one_keeper(&["one", "two"]).await;
    let begun = post(gateway.address, RESPONSES, &[], &json!({"model":"m","input":"hi","background":true})).await;
    let begun = begun.json().await;
    assert_eq!(begun["status"], "queued");
    let path = format!("/v1/responses/{}", begun["id"].as_str().unwrap());
    assert_eq!(get(gateway.address, &path, &[]).await.json().await["status"], "completed");
    let cancelled = post(gateway.address, &format!("{path}/cancel"), &[], &Value::Null).await;
    assert_eq!(cancelled.json().await["status"], "cancelled");
    fake.assert_no_violations();
    // Others cannot.
    for protocol in [Protocol::Chat, Protocol::Messages, Protocol::Gemini] {
        let fake = FakeProvider::start(protocol).await;
        let gateway = Gateway::to(&fake, protocol).await;
        let body = json!({"model":"m","input":"hi","background":true});
        let (status, refused) = error(post(gateway.address, RESPONSES, &[], &body).await).await;
        assert_eq!((status, &refused["param"]), (400, &json!("background")), "{protocol} {refused}");
        assert!(fake.requests().is_empty());
    }
    // A fall-back that can is found.
    let chat = FakeProvider::start(Protocol::Chat).await;
    let config = several(vec![provider("first", Protocol::Chat, &chat.base_url()), keeper("up", &fake, &["one"])]);
    let gateway = Gateway::start(config).await;
    let answer = post(gateway.address, RESPONSES, &[], &json!({"model":"m","input":"hi","background":true})).await;
    assert_eq!(answer.header("x-polyport-target"), "up/m");
}

#[tokio::test]
async fn conversations_stay_with_their_credential() {
    let (fake, gateway) = one_keeper(&["one", "two"]).await;
    let address = gateway.address;
    let item = json!({"type":"message","role":"user","content":"hi"});
    let body = json!({"items":[item],"metadata":{"a":"b"}});
    let made = post(address, "/v1/conversations", &[], &body).await.json().await;
    let made_with = fake.last().header("authorization").unwrap().to_owned();
    let id = made["id"].as_str().unwrap();
    assert_eq!((&made["object"], &made["metadata"]["a"]), (&json!("conversation"), &json!("b")));
    let path = format!("/v1/conversations/{id}");
    assert_eq!(get(address, &path, &[]).await.json().await["id"], id);
    assert_eq!(post(address, &path, &[], &json!({"metadata":{}})).await.status, 200);
    assert_eq!(fake.last().json(), json!({"metadata":{}}));
    let items = get(address, &format!("{path}/items?limit=3"), &[]).await.json().await;
    assert_eq!((items["data"].as_array().unwrap().len(), fake.last().query().to_owned()), (1, "limit=3".to_owned()));
    assert_eq!(send(address, "DELETE", &format!("{path}/items/msg_1"), &[], "").await.status, 200);
    assert_eq!((fake.last().method(), fake.last().path()), ("DELETE", &*format!("{path}/items/msg_1")));
    for reference in [json!(id), json!({"id": id})] {
        for _ in 0..3 {
            answered(&gateway, &json!({"model":"m","input":"go on","conversation":reference})).await;
            assert_eq!(fake.last().header("authorization"), Some(&*made_with));
        }
    }
    for way_out in ["/items/..", "/items/%2e%2e", "/../models", "/items/a%2fb"] {
        let asked = fake.requests().len();
        assert_eq!(get(address, &format!("{path}{way_out}"), &[]).await.status, 404, "{way_out}");
        assert_eq!(fake.requests().len(), asked);
    }
    assert_eq!(send(address, "DELETE", &path, &[], "").await.json().await["deleted"], true);
    assert_eq!(error(get(address, &path, &[]).await).await.0, 404);

    let chat = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&chat, Protocol::Chat).await;
    let (status, refused) = error(post(gateway.address, "/v1/conversations", &[], &json!({})).await).await;
    assert_eq!(status, 404);
    assert!(refused["message"].as_str().unwrap().contains("`input`"));
    let body = json!({"model":"m","input":"x","conversation":"conv_1"});
    assert_eq!(error(post(gateway.address, RESPONSES, &[], &body).await).await.0, 404);
}

#[tokio::test]
async fn a14_nobody_reaches_what_a_provider_keeps_for_another() {
    let fake = FakeProvider::start(Protocol::Responses).await;
    let mut config: Config = several(vec![keeper("up", &fake, &["one"])]);
    config.access = Access::default().with_key("a", KeyHash::of("key-of-a")).with_key("b", KeyHash::of("key-of-b"));
    let gateway = Gateway::start(config).await;
    let address = gateway.address;
    let (a, b) = ([("authorization", "Bearer key-of-a")], [("authorization", "Bearer key-of-b")]);
    let made = post(address, RESPONSES, &a, &json!({"model":"m","input":"secret"})).await.json().await;
    let conversation = post(address, "/v1/conversations", &a, &json!({})).await.json().await;
    let (id, conversation) = (made["id"].as_str().unwrap(), conversation["id"].as_str().unwrap());
    let asked = fake.requests().len();
    for (method, path) in [
        ("GET", format!("/v1/responses/{id}")),
        ("GET", format!("/v1/responses/{id}?stream=true")),
        ("GET", format!("/v1/responses/{id}/input_items")),
        ("DELETE", format!("/v1/responses/{id}")),
        ("POST", format!("/v1/responses/{id}/cancel")),
        ("GET", format!("/v1/conversations/{conversation}")),
        ("POST", format!("/v1/conversations/{conversation}/items")),
        ("DELETE", format!("/v1/conversations/{conversation}")),
    ] {
        assert_eq!(send(address, method, &path, &b, "").await.status, 404, "{method} {path}");
        assert_eq!(send(address, method, &path, &[], "").await.status, 401, "{method} {path}");
    }
    for (path, status, body) in [
        (RESPONSES, 400, json!({"model":"m","input":"x","previous_response_id":id})),
        (RESPONSES, 404, json!({"model":"m","input":"x","conversation":conversation})),
        ("/v1/responses/input_tokens", 400, json!({"model":"m","input":"x","previous_response_id":id})),
        ("/v1/responses/compact", 400, json!({"model":"m","previous_response_id":id})),
    ] {
        assert_eq!(post(address, path, &b, &body).await.status, status, "{path}");
    }
    assert_eq!(fake.requests().len(), asked, "the provider is not even asked");
    assert_eq!(get(address, &format!("/v1/responses/{id}"), &a).await.status, 200);
}

#[tokio::test]
async fn what_is_continued_is_counted_and_compacted_where_it_is() {
    let (fake, gateway) = one_keeper(&["one", "two"]).await;
    let address = gateway.address;
    let id = answered(&gateway, &json!({"model":"m","input":"hi"})).await;
    let made_with = fake.last().header("authorization").unwrap().to_owned();
    for path in ["/v1/responses/input_tokens", "/v1/responses/compact"] {
        for _ in 0..3 {
            let body = json!({"model":"up-m","input":"more","previous_response_id":id});
            assert_eq!(post(address, path, &[], &body).await.status, 200, "{path}");
            let asked = fake.last();
            assert_eq!((asked.header("authorization"), asked.path()), (Some(&*made_with), path));
            assert_eq!((&asked.json()["model"], &asked.json()["previous_response_id"]), (&json!("m"), &json!(id)));
        }
    }
    // What is kept here is written out, or refused where that is not possible.
    let mut stateless = keeper("up", &fake, &["one"]);
    stateless.profile = std::sync::Arc::new(Profile { stateful: false, ..Profile::of_protocol(Protocol::Responses) });
    let gateway = Gateway::start(several(vec![stateless])).await;
    let id = answered(&gateway, &json!({"model":"m","input":"first words"})).await;
    let body = json!({"model":"m","input":"more","previous_response_id":id});
    let counted = post(gateway.address, "/v1/responses/input_tokens", &[], &body).await;
    assert_eq!((counted.status.as_u16(), counted.header("x-polyport-estimated")), (200, ""));
    let asked = fake.last().json();
    assert!(asked["input"].to_string().contains("first words") && asked.get("store").is_none(), "{asked}");
    let (status, refused) = error(post(gateway.address, "/v1/responses/compact", &[], &body).await).await;
    assert_eq!((status, &refused["param"]), (400, &json!("previous_response_id")));
    let chat = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&chat, Protocol::Messages).await;
    let compact = post(gateway.address, "/v1/responses/compact", &[], &json!({"model":"m","input":"x"})).await;
    assert_eq!(compact.status, 404);
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_as_long_as_the_credential_is_there() {
    let (fake, gateway) = one_keeper(&["one"]).await;
    let id = answered(&gateway, &json!({"model":"m","input":"hi"})).await;
    let path = format!("/v1/responses/{id}");
    let reload = |keys: &[&str]| {
        let config = several(vec![keeper("up", &fake, keys)]);
        gateway.handle.reload(&std::sync::Arc::new(config)).unwrap();
    };
    reload(&["new", "one"]);
    assert_eq!(get(gateway.address, &path, &[]).await.status, 200);
    assert_eq!(fake.last().header("authorization"), Some("Bearer one"));
    reload(&["new"]);
    let (status, refused) = error(get(gateway.address, &path, &[]).await).await;
    assert_eq!(status, 404);
    assert!(refused["message"].as_str().unwrap().contains("provider `up`"), "{refused}");
}
