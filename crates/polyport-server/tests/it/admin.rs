//! The admin API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use polyport_provider::AuthStyle;
use polyport_routing::{Pool, TargetSpec};
use polyport_server::config::{Access, Config, Credential, KeyHash, Provider};
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{Reply, get, post, send};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::{ClientProtocol, Protocol, Secret};
use serde_json::{Value, json};

use crate::pools::with_account;
use crate::support::{Gateway, http, provider, request, several};

const ADMIN: &str = "ap-canary-0123456789abcdef-admin";
const CLIENT: &str = "pp-canary-0123456789abcdef-client";
const FIRST: &str = "sk-canary-0123456789abcdef-first";
const SECOND: &str = "sk-canary-0123456789abcdef-second";

const AS_ADMIN: [(&str, &str); 1] = [("x-api-key", ADMIN)];
const AS_CLIENT: [(&str, &str); 1] = [("x-api-key", CLIENT)];

fn guarded(mut config: Config) -> Config {
    config.access = Access::default().with_key("ci", KeyHash::of(CLIENT)).with_admin_key("me", KeyHash::of(ADMIN));
    config
}

/// A provider with the keys `FIRST` and `SECOND`, named `one` and `two`.
fn two_keys(fake: &FakeProvider, protocol: Protocol) -> Provider {
    let mut up = provider("up", protocol, &fake.base_url());
    let style = AuthStyle::of_protocol(protocol);
    let key =
        |label: &'static str, key: &str| Credential::key(label, style.header(&Secret::new(key.to_owned())).unwrap());
    http(&mut up).credentials = vec![key("one", FIRST), key("two", SECOND)];
    up
}

async fn read(gateway: &Gateway, path: &str) -> Value {
    let answer = get(gateway.address, path, &AS_ADMIN).await;
    assert_eq!(answer.status, 200, "{path}");
    answer.json().await
}

async fn act(gateway: &Gateway, path: &str) -> (u16, Value) {
    status_and_body(send(gateway.address, "POST", path, &AS_ADMIN, "").await).await
}

async fn status_and_body(answer: Reply) -> (u16, Value) {
    (answer.status.as_u16(), answer.json().await)
}

async fn ask(gateway: &Gateway) -> u16 {
    let (path, body) = request(ClientProtocol::Chat, false);
    post(gateway.address, path, &AS_CLIENT, &body).await.status.as_u16()
}

/// The id of the credential of this label.
async fn id(gateway: &Gateway, label: &str) -> String {
    let list = read(gateway, "/admin/api/credentials").await;
    let all = list["credentials"].as_array().unwrap();
    all.iter().find(|one| one["label"] == label).unwrap()["id"].as_str().unwrap().to_owned()
}

fn count_of(fake: &FakeProvider, key: &str) -> usize {
    let wanted = format!("Bearer {key}");
    fake.requests().iter().filter(|exchange| exchange.header("authorization") == Some(&*wanted)).count()
}

#[tokio::test]
async fn s0_16_only_an_admin_key_opens_it() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(guarded(several(vec![two_keys(&fake, Protocol::Chat)]))).await;
    for path in ["/admin/api/credentials", "/admin/api/credentials/x/probe", "/admin/api/nothing"] {
        for (headers, status, code) in [
            (&[][..], 401, "admin_key_needed"),
            (&[("authorization", "Bearer wrong")], 401, "admin_key_needed"),
            (&AS_CLIENT, 403, "client_key"),
        ] {
            let answer = get(gateway.address, path, headers).await;
            assert_eq!(answer.header("www-authenticate") == "Bearer", status == 401);
            let (found, body) = status_and_body(answer).await;
            assert_eq!((found, &body["code"]), (status, &json!(code)), "{path}");
        }
    }
    let (path, body) = request(ClientProtocol::Chat, false);
    assert_eq!(post(gateway.address, path, &AS_ADMIN, &body).await.status, 401, "it is no key of a client");

    let open = Gateway::start(several(vec![provider("up", Protocol::Chat, &fake.base_url())])).await;
    let (status, body) = status_and_body(get(open.address, "/admin/api/credentials", &[]).await).await;
    assert_eq!(status, 403);
    let words = body["detail"].as_str().unwrap();
    assert!(words.contains("ADMIN_TOKEN") && words.contains("admin_keys"), "{words}");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(guarded(several(vec![two_keys(&fake, Protocol::Chat)]))).await;
    let id = id(&gateway, "one").await;
    let disable = format!("/admin/api/credentials/{id}/disable");
    for (method, path, body, status, words) in [
        ("PUT", "/admin/api/credentials", "", 405, "PUT is not possible here, GET, POST are"),
        ("GET", &*disable, "", 405, "GET is not possible here, POST is"),
        ("GET", "/admin/api/credential", "", 404, "there is no `/admin/api/credential` here"),
        ("POST", "/admin/api/credentials/up:0/disable", "", 404, "there is no `up:0` among the credentials"),
        ("GET", "/admin/api/tokens/up:0", "", 404, "token not found"),
        ("GET", "/admin/api/providers/down/models", "", 404, "there is no provider `down`"),
        ("GET", "/admin/api/credentials?provder=up", "", 400, "unknown parameter `provder`; did you mean `provider`?"),
        ("POST", &*disable, "{\"a\":1}", 400, "unknown member `a`; no member is expected"),
        ("POST", &*disable, "[]", 400, "the body must be a JSON object"),
        ("POST", &*disable, "{", 400, "the body is not JSON: EOF while parsing an object at line 1 column 1"),
        (
            "POST",
            &*format!("/admin/api/credentials/{id}/refresh"),
            "",
            400,
            "this is a key; only accounts are refreshed",
        ),
    ] {
        let answer = send(gateway.address, method, path, &AS_ADMIN, body).await;
        let allowed = answer.header("allow").to_owned();
        assert_eq!(!allowed.is_empty(), status == 405, "{path}");
        assert!(allowed.split(", ").all(|name| name != method));
        let (found, body) = status_and_body(answer).await;
        assert_eq!((found, body["detail"].as_str().unwrap()), (status, words), "{method} {path}");
    }
    assert_eq!(read(&gateway, &format!("/admin/api/credentials/{id}")).await["enabled"], true);
}

#[tokio::test]
async fn a_disabled_credential_gets_no_request_until_it_is_enabled() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(guarded(several(vec![two_keys(&fake, Protocol::Chat)]))).await;
    let one = format!("/admin/api/credentials/{}", id(&gateway, "one").await);
    let (status, body) = act(&gateway, &format!("{one}/disable")).await;
    assert_eq!((status, &body["state"], &body["enabled"]), (200, &json!("disabled"), &json!(false)));
    assert!(body["note"].as_str().unwrap().contains("configuration file"));
    for _ in 0..6 {
        assert_eq!(ask(&gateway).await, 200);
    }
    assert_eq!((count_of(&fake, FIRST), count_of(&fake, SECOND)), (0, 6));
    let states = read(&gateway, "/admin/api/credentials/statistics").await;
    assert_eq!((&states["total"], &states["usable"], &states["requests"]), (&json!(2), &json!(1), &json!(6)));
    assert_eq!((&states["states"]["ready"], &states["states"]["disabled"]), (&json!(1), &json!(1)));

    assert_eq!(act(&gateway, &format!("{one}/enable")).await.1["state"], "ready");
    for _ in 0..6 {
        assert_eq!(ask(&gateway).await, 200);
    }
    assert_eq!(count_of(&fake, FIRST), 3);
    let shown = read(&gateway, &one).await;
    assert_eq!((&shown["requests"], &shown["status_codes"]), (&json!(3), &json!({"200": 3})));
    assert_eq!((&shown["masked"], &shown["kind"]), (&json!("sk-…irst"), &json!("key")));
}

#[tokio::test]
async fn a_probe_tells_a_good_key_from_a_refused_one_and_counts_nothing() {
    let fake = FakeProvider::builder(Protocol::Chat).models(["a", "b"]).start().await;
    let mut up = two_keys(&fake, Protocol::Chat);
    http(&mut up).credentials.truncate(1);
    let gateway = Gateway::start(guarded(several(vec![up]))).await;
    let one = format!("/admin/api/credentials/{}", id(&gateway, "one").await);
    let status = Arc::new(AtomicU16::new(503));
    let deciding = Arc::clone(&status);
    fake.decide(move |exchange| {
        let status = deciding.load(Ordering::Relaxed);
        let fails = exchange.path().ends_with("/models") && status != 200;
        fails.then(|| Step::error(status, &format!("Incorrect API key provided: {FIRST}")))
    });
    let (_, body) = act(&gateway, &format!("{one}/probe")).await;
    assert_eq!((&body["probe"]["outcome"], &body["state"]), (&json!("failed"), &json!("ready")));
    status.store(401, Ordering::Relaxed);
    let (_, body) = act(&gateway, &format!("{one}/probe")).await;
    assert_eq!((&body["probe"]["outcome"], &body["state"]), (&json!("refused"), &json!("invalid")));
    assert!(!body.to_string().contains(FIRST), "{body}");
    assert_eq!(ask(&gateway).await, 503, "an invalid key is not used");
    status.store(200, Ordering::Relaxed);

    let (_, body) = act(&gateway, &format!("{one}/probe")).await;
    assert_eq!((&body["probe"], &body["state"]), (&json!({"outcome": "accepted", "models": 2}), &json!("ready")));
    assert_eq!((&body["requests"], &body["last_used"]), (&json!(0), &Value::Null));
    assert_eq!(ask(&gateway).await, 200);
    let models = read(&gateway, "/admin/api/providers/up/models").await;
    assert_eq!(models, json!({"provider": "up", "models": ["a", "b"]}));
    fake.assert_no_violations();
}

#[tokio::test]
async fn every_protocol_tells_its_models() {
    for protocol in Protocol::ALL {
        let fake = FakeProvider::builder(protocol).models(["a", "b"]).start().await;
        let gateway = Gateway::start(guarded(several(vec![two_keys(&fake, protocol)]))).await;
        let models = read(&gateway, "/admin/api/providers/up/models").await;
        assert_eq!(models["models"], json!(["a", "b"]), "{protocol}");
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn a_revived_credential_is_asked_again_at_once() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(guarded(several(vec![two_keys(&fake, Protocol::Chat)]))).await;
    fake.decide(|exchange| {
        let first = exchange.header("authorization") == Some(&*format!("Bearer {FIRST}"));
        first.then(|| Step::error(429, "no money").header("retry-after", "3600"))
    });
    for _ in 0..4 {
        assert_eq!(ask(&gateway).await, 200);
    }
    assert_eq!(count_of(&fake, FIRST), 1, "it rests");
    let one = format!("/admin/api/credentials/{}", id(&gateway, "one").await);
    assert_ne!(read(&gateway, &one).await["state"], "ready");
    let (status, shown) = act(&gateway, &format!("{one}/revive")).await;
    assert_eq!((status, &shown["state"]), (200, &json!("ready")));
    fake.decide(|_| None);
    for _ in 0..4 {
        assert_eq!(ask(&gateway).await, 200);
    }
    assert_eq!(count_of(&fake, FIRST), 3, "it takes its turns");
    // One that an operator has switched off stays off, and an unknown one is none.
    assert_eq!(act(&gateway, &format!("{one}/disable")).await.0, 200);
    assert_eq!(act(&gateway, &format!("{one}/revive")).await.1["state"], "disabled");
    assert_eq!(act(&gateway, "/admin/api/credentials/none/revive").await.0, 404);
}

#[tokio::test]
async fn s2_39_counts_by_key_are_for_clients_too() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut up = two_keys(&fake, Protocol::Chat);
    http(&mut up).credentials.truncate(1);
    let gateway = Gateway::start(guarded(several(vec![up]))).await;
    assert_eq!(ask(&gateway).await, 200);
    fake.script(Step::error(400, "not like that"));
    assert_eq!(ask(&gateway).await, 400);
    let path = "/v1/api-keys/stats";
    assert_eq!(get(gateway.address, path, &[]).await.status, 401);
    let stats = get(gateway.address, path, &AS_CLIENT).await.json().await;
    let row = &stats["data"][0];
    assert_eq!((&row["vendor"], &row["key"], &row["label"]), (&json!("up"), &json!("sk-…irst"), &Value::Null));
    assert_eq!((&row["total_requests"], &row["successful_requests"]), (&json!(2), &json!(1)));
    assert_eq!(row["status_codes"], json!({"200": 1, "400": 1}));
    assert!(row["last_used"].as_u64().unwrap() > 0);
    assert_eq!(read(&gateway, path).await["data"][0]["label"], "one");
}

#[tokio::test]
async fn explain_knows_whether_the_answer_streams() {
    let (gemini, chat) = (FakeProvider::start(Protocol::Gemini).await, FakeProvider::start(Protocol::Chat).await);
    let mut other = two_keys(&chat, Protocol::Chat);
    other.name = "other".into();
    let gateway = Gateway::start(guarded(several(vec![two_keys(&gemini, Protocol::Gemini), other]))).await;
    let explain = async |asked: Value| {
        let (status, told) =
            status_and_body(post(gateway.address, "/admin/api/explain", &AS_ADMIN, &asked).await).await;
        assert_eq!(status, 200, "{told:#}");
        let address = told["attempts"][0]["address"].as_str().unwrap().to_owned();
        (address, told["request"]["body"]["stream"].clone())
    };
    // Clients say it in the body, and Gemini is told in the address.
    for stream in [false, true] {
        let chat = json!({"model": "up/m", "messages": [{"role": "user", "content": "hi"}], "stream": stream});
        let (address, _) = explain(json!({"body": chat})).await;
        assert_eq!(address.ends_with(":streamGenerateContent"), stream, "{address}");
        // Gemini's clients say it in the address.
        let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        let asked = |model: &str| json!({"model": model, "protocol": "gemini", "stream": stream, "body": gemini});
        let (address, _) = explain(asked("up/m")).await;
        assert_eq!(address.ends_with(":streamGenerateContent"), stream, "{address}");
        let (_, told) = explain(asked("other/m")).await;
        assert_eq!(told == true, stream, "{told}");
    }
    let wrong =
        post(gateway.address, "/admin/api/explain", &AS_ADMIN, &json!({"model": "up/m", "stream": "yes"})).await;
    assert_eq!(wrong.status, 400);
    gateway.stop().await;
}

#[tokio::test]
async fn explain_foresees_the_first_choice_and_changes_nothing() {
    let (first, second) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Messages).await);
    let mut other = two_keys(&second, Protocol::Messages);
    other.name = "other".into();
    let mut config = several(vec![two_keys(&first, Protocol::Chat), other]);
    let to = |name: &str| TargetSpec::new(name.to_owned());
    config.catalog = config.catalog.with_pool(Pool::new("both", vec![to("up/m"), to("other/m")])).check().unwrap();
    // The same conversation would go where its prompt cache is warm.
    config.sticky = false;
    let gateway = Gateway::start(guarded(config)).await;
    let body = json!({"model": "both", "messages": [{"role": "user", "content": "hi"}], "seed": 7});
    let mut targets = Vec::new();
    for _ in 0..8 {
        let asked = json!({"body": body});
        let explain = || post(gateway.address, "/admin/api/explain", &AS_ADMIN, &asked);
        let before = read(&gateway, "/admin/api/credentials").await;
        let (status, told) = status_and_body(explain().await).await;
        assert_eq!((status, &told), (200, &explain().await.json().await));
        assert_eq!(before, read(&gateway, "/admin/api/credentials").await, "explaining changed something");
        assert_eq!((&told["rule"], told["attempts"].as_array().unwrap().len()), (&json!("`both` is a pool"), 4));

        let attempt = &told["attempts"][0];
        let answer = post(gateway.address, "/v1/chat/completions", &AS_CLIENT, &body).await;
        let target = answer.header("x-polyport-target").to_owned();
        assert_eq!(target, format!("{}/m", attempt["provider"].as_str().unwrap()));
        let fake = if target == "up/m" { &first } else { &second };
        let key = if attempt["key"] == "one" { FIRST } else { SECOND };
        let sent = fake.last();
        assert!(sent.headers().iter().any(|(_, value)| value.ends_with(key)), "{told}");
        let request = &told["request"];
        assert_eq!(request["unchanged"], target == "up/m");
        if target != "up/m" {
            assert_eq!(request["body"]["messages"], sent.json()["messages"]);
            assert!(request["losses"].to_string().contains("seed"), "{request}");
        }
        targets.push(target);
    }
    assert!(targets.iter().any(|target| target == "up/m") && targets.iter().any(|target| target == "other/m"));

    let one = id(&gateway, "one").await;
    act(&gateway, &format!("/admin/api/credentials/{one}/disable")).await;
    let asked = json!({"model": "up/m", "protocol": "messages"});
    let told = post(gateway.address, "/admin/api/explain", &AS_ADMIN, &asked).await.json().await;
    assert_eq!((&told["excluded"][0]["key"], &told["attempts"][0]["key"]), (&json!("one"), &json!("two")));
    assert_eq!((&told["attempts"][0]["way"], &told["request"]), (&json!("translated"), &Value::Null));
    for (asked, status, words) in [
        (json!({"modl": "m"}), 400, "unknown member `modl`; did you mean `model`?"),
        (json!({}), 400, "model: name the model that is asked for"),
        (json!({"model": "m", "protocol": "soap"}), 400, "protocol: write chat, responses, messages or gemini"),
        (json!({"model": "m", "headers": {"a": 1}}), 400, "headers: the values must be texts"),
        (json!({"model": "m", "body": []}), 400, "body: a request of the protocol is expected, as an object"),
    ] {
        let (found, body) = status_and_body(post(gateway.address, "/admin/api/explain", &AS_ADMIN, &asked).await).await;
        assert_eq!((found, body["detail"].as_str().unwrap()), (status, words));
    }
    let asked = json!({"model": "up/m", "body": {"model": "m", "messages": [{"role": "user", "content": 4}]}});
    let (found, body) = status_and_body(post(gateway.address, "/admin/api/explain", &AS_ADMIN, &asked).await).await;
    assert_eq!((found, &body["errors"][0]["pointer"]), (400, &json!("#/body/messages/0/content")));
    let unknown = post(gateway.address, "/admin/api/explain", &AS_ADMIN, &json!({"model": "nobody"})).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn explain_knows_where_a_conversation_is_warm() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(guarded(several(vec![two_keys(&fake, Protocol::Chat)]))).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "word ".repeat(2000)}]});
    let asked = [
        json!({"model": "m", "headers": {"X-Session-Id": "s"}, "caller": "ci"}),
        json!({"body": body, "caller": "ci"}),
    ];
    let explain =
        async |asked: &Value| post(gateway.address, "/admin/api/explain", &AS_ADMIN, asked).await.json().await;
    for asked in &asked {
        assert_eq!(explain(asked).await["conversation"]["place"], "new");
    }
    let (_, small) = request(ClientProtocol::Chat, false);
    for (headers, body) in [(&[AS_CLIENT[0], ("x-session-id", "s")][..], &small), (&AS_CLIENT, &body)] {
        assert_eq!(post(gateway.address, "/v1/chat/completions", headers, body).await.status, 200);
    }
    let mut keys = Vec::new();
    for asked in &asked {
        let told = explain(asked).await;
        let stay = &told["conversation"];
        assert_eq!((&stay["place"], &stay["provider"], &stay["why"]), (&json!("kept"), &json!("up"), &Value::Null));
        assert_eq!(stay["key"], told["attempts"][0]["key"], "{told}");
        keys.push(stay["key"].as_str().unwrap().to_owned());
    }
    assert_eq!(keys, ["one", "two"]);
    // Of another caller it is another conversation.
    let foreign = json!({"model": "m", "headers": {"x-session-id": "s"}, "caller": "somebody"});
    assert_eq!(explain(&foreign).await["conversation"]["place"], "new");
    let one = id(&gateway, "one").await;
    act(&gateway, &format!("/admin/api/credentials/{one}/disable")).await;
    let told = explain(&asked[0]).await;
    let stay = &told["conversation"];
    assert_eq!((&stay["place"], &stay["why"], &stay["key"]), (&json!("moved"), &json!("disabled"), &json!("one")));
    assert_eq!(told["attempts"][0]["key"], "two");
}

#[tokio::test]
async fn no_answer_holds_a_secret() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let server = FakeTokenServer::start().await;
    server.open("r");
    let mut account = with_account(&fake, &server, Some(("access-canary-0123456789", 3600)));
    account.name = "oauth".into();
    let endpoint = polyport_provider::Endpoint::new(Protocol::Chat, "http://127.0.0.1:1/v1?key=query-canary", false);
    let hidden = Provider::plain("hidden", endpoint.unwrap().with_header("x-secret", "header-canary").unwrap());
    let gateway = Gateway::start(guarded(several(vec![two_keys(&fake, Protocol::Chat), account, hidden]))).await;
    for path in [
        "/admin/api/providers",
        "/admin/api/providers/hidden/models",
        "/admin/api/credentials",
        "/admin/api/credentials/statistics",
        "/admin/api/tokens",
        "/admin/api/tokens/health",
        "/admin/api/pools",
        "/admin/api/routes",
        "/v1/api-keys/stats",
    ] {
        let answer = get(gateway.address, path, &AS_ADMIN).await;
        assert_ne!(answer.status, 404, "{path}");
        let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
        assert!(text.len() > 10 && !text.contains("canary"), "{path}: {text}");
    }
}
