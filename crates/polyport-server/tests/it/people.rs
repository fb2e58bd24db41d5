//! Teams, users and keys that operators make through the admin API.

use std::path::Path;
use std::sync::Arc;

use polyport_server::Server;
use polyport_server::config::{Arguments, Environment, Live, Source};
use polyport_store::Store;
use polyport_testkit::grammar::Check;
use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{Reply, get, post, send};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::support::{Gateway, request};

pub(crate) const ADMIN: &str = "ap-canary-0123456789abcdef-admin";

pub(crate) struct Running {
    pub(crate) gateway: Gateway,
    store: Store,
    live: Arc<Live>,
}

pub(crate) async fn start(folder: &Path, fake: &FakeProvider) -> Running {
    let url = fake.base_url();
    let file = format!(
        "providers:\n  up: {{ base_url: \"{url}\", proxy: none, quirks: {{ objects: ['*'] }} }}\nmodels: {{ m: up/m, other: up/other }}\npools:\n  fast: {{ targets: [up/m] \
         }}\n"
    );
    std::fs::write(folder.join("polyport.yaml"), file).unwrap();
    let environment = Environment::of([("ADMIN_TOKEN".to_owned(), ADMIN.to_owned())], folder);
    let arguments = Arguments { port: Some(0), ..Arguments::default() };
    let live = Live::start(Source::new(Some("polyport.yaml".into()), environment, arguments)).unwrap().0;
    let store = live.current().open_store().await.unwrap();
    let gateway = Gateway::run(Server::bind_live(&live, store.clone()).await.unwrap());
    Running { gateway, store, live }
}

impl Running {
    /// Brings into force what the configuration file says now.
    pub(crate) fn reload(&self) {
        self.live.reload().unwrap();
        self.gateway.handle.follow(&self.live).unwrap();
    }

    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let headers = [&[("x-api-key", ADMIN), ("content-type", "application/json")], headers].concat();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(self.gateway.address, method, &format!("/admin/api/{path}"), &headers, body).await
    }

    pub(crate) async fn try_to(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let answer = self.call(method, path, &[], &body).await;
        (answer.status.as_u16(), answer.json().await)
    }

    /// Does what has to go well.
    pub(crate) async fn to(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_to(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// Status and message of a request of this client with a key.
    pub(crate) async fn ask(&self, client: ClientProtocol, key: &str, model: &str) -> (u16, String) {
        let (path, mut body) = request(client, false);
        if client != ClientProtocol::Gemini {
            body["model"] = json!(model);
        }
        let answer =
            post(self.gateway.address, &path.replace("/m:", &format!("/{model}:")), &[("x-api-key", key)], &body).await;
        let status = answer.status.as_u16();
        let bytes = answer.bytes().await.unwrap();
        let message = if status == 200 { String::new() } else { Check::new(client).failure(&bytes).unwrap().message };
        (status, message)
    }

    async fn models(&self, key: &str) -> Vec<String> {
        let answer = get(self.gateway.address, "/v1/models", &[("x-api-key", key)]).await.json().await;
        answer["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}

#[tokio::test]
async fn a_key_is_made_shown_once_used_switched_and_deleted() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    // Without any key everybody on this machine is let in; from the first one on nobody without one.
    assert_eq!(running.ask(ClientProtocol::Chat, "", "m").await.0, 200);
    let made = running.to("POST", "keys", json!({ "name": "laptop" })).await;
    let key = text(&made, "key").to_owned();
    assert!(key.starts_with("pp-") && key.len() == 46, "{key}");
    assert_eq!(running.ask(ClientProtocol::Chat, "", "m").await.0, 401);
    for client in ClientProtocol::ALL {
        assert_eq!(running.ask(client, &key, "m").await.0, 200, "{client}");
        let (status, _) = running.ask(client, "pp-0123456789abcdef0123456789abcdef0123456789a", "m").await;
        assert_eq!(status, 401, "{client}");
    }
    // Its text is nowhere any more, neither in answers nor in the database.
    let id = text(&made, "id");
    for path in ["keys".to_owned(), format!("keys/{id}")] {
        let shown = running.to("GET", &path, Value::Null).await.to_string();
        assert!(!shown.contains(&key) && shown.contains(text(&made, "masked")), "{shown}");
    }
    for (_, bytes) in crate::support::files_below(&folder.path().join("data")) {
        assert!(memchr::memmem::find(&bytes, key.as_bytes()).is_none());
    }
    // Keys of clients do not open the admin API, nor do those of operators ask models.
    let refused = get(running.gateway.address, "/admin/api/keys", &[("x-api-key", &key)]).await;
    assert_eq!(refused.status, 403);
    assert_eq!(running.ask(ClientProtocol::Chat, ADMIN, "m").await.0, 401);

    running.to("POST", &format!("keys/{id}/disable"), Value::Null).await;
    let (status, message) = running.ask(ClientProtocol::Messages, &key, "m").await;
    assert!(status == 401 && message.contains("`laptop` is switched off"), "{status} {message}");
    running.to("POST", &format!("keys/{id}/enable"), Value::Null).await;
    assert_eq!(running.ask(ClientProtocol::Messages, &key, "m").await.0, 200);
    running.to("DELETE", &format!("keys/{id}"), Value::Null).await;
    assert_eq!(running.ask(ClientProtocol::Messages, &key, "m").await.0, 200, "there is no key any more");
    assert_eq!(running.try_to("GET", &format!("keys/{id}"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_key_may_use_what_it_its_user_and_their_team_may() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let team = running.to("POST", "teams", json!({ "name": "blue", "protocols": ["chat", "messages"] })).await;
    let user = running.to("POST", "users", json!({ "name": "ada", "team": "blue" })).await;
    let made = running.to("POST", "keys", json!({ "name": "one", "user": "ada", "models": ["m*"] })).await;
    let key = text(&made, "key");
    assert_eq!((text(&made["user"], "name"), &made["team"]), ("ada", &Value::Null));
    assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 200);
    assert_eq!(running.models(key).await, ["m"]);
    let (status, message) = running.ask(ClientProtocol::Chat, key, "other").await;
    assert!(status == 403 && message.contains("may not use the model `other`"), "{status} {message}");
    let (status, message) = running.ask(ClientProtocol::Gemini, key, "m").await;
    assert!(status == 403 && message.contains("gemini protocol"), "{status} {message}");
    assert_eq!(fake.requests().len(), 1);

    // Pools.
    let fast = running.to("POST", "keys", json!({ "name": "two", "pools": ["fast"] })).await;
    assert_eq!(running.ask(ClientProtocol::Chat, text(&fast, "key"), "fast").await.0, 200);
    let (status, message) = running.ask(ClientProtocol::Chat, text(&fast, "key"), "m").await;
    assert!(status == 403 && message.contains("pools"), "{status} {message}");

    // What is switched off above a key switches it off.
    running.to("POST", &format!("teams/{}/disable", text(&team, "id")), Value::Null).await;
    let (status, message) = running.ask(ClientProtocol::Chat, key, "m").await;
    assert!(status == 401 && message.contains("team that is switched off"), "{status} {message}");
    running.to("PATCH", "teams/blue", json!({ "enabled": true, "models": ["other"] })).await;
    assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 403);
    running.to("PATCH", "teams/blue", json!({ "models": [] })).await;
    running.to("POST", "users/ada/disable", Value::Null).await;
    assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 401);
    running.to("POST", "users/ada/enable", Value::Null).await;
    assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 200);

    // Nobody is deleted while something belongs to them.
    let (status, refused) = running.try_to("DELETE", "users/ada", Value::Null).await;
    assert_eq!((status, text(&refused, "code")), (409, "referenced"));
    assert_eq!(running.try_to("DELETE", "teams/blue", Value::Null).await.0, 409);
    running.to("DELETE", &format!("keys/{}", text(&made, "id")), Value::Null).await;
    running.to("DELETE", &format!("users/{}", text(&user, "id")), Value::Null).await;
    running.to("DELETE", "teams/blue", Value::Null).await;
}

#[tokio::test]
async fn a_key_is_replaced_with_an_overlap_and_expires() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let made = running.to("POST", "keys", json!({ "name": "one" })).await;
    let (id, old) = (text(&made, "id"), text(&made, "key"));
    let turned = running.to("POST", &format!("keys/{id}/rotate"), json!({ "overlap_seconds": 3600 })).await;
    let new = text(&turned, "key");
    assert!(turned["previous_good_until"].as_i64().unwrap() > 0 && new != old);
    for key in [old, new] {
        assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 200);
    }
    let turned = running.to("POST", &format!("keys/{id}/rotate"), json!({ "overlap_seconds": 0 })).await;
    for key in [old, new] {
        assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 401);
    }
    let key = text(&turned, "key");
    assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 200);

    // Long enough for the change itself on a busy machine.
    let soon = polyport_server::now() + 3000;
    running.to("PATCH", &format!("keys/{id}"), json!({ "expires_at": soon })).await;
    let expired = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        loop {
            let (status, message) = running.ask(ClientProtocol::Chat, key, "m").await;
            if status != 200 {
                return (status, message);
            }
        }
    });
    let (status, message) = expired.await.unwrap();
    assert!(status == 401 && message.contains("`one` has expired"), "{status} {message}");
    running.to("PATCH", &format!("keys/{id}"), json!({ "expires_at": null })).await;
    assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 200);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_changed() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    running.to("POST", "teams", json!({ "name": "blue" })).await;
    running.to("POST", "users", json!({ "name": "ada" })).await;
    for (path, body, words) in [
        ("keys", json!({}), "name"),
        ("keys", json!({ "name": "  " }), "name"),
        ("keys", json!({ "name": "a\nb" }), "control"),
        ("keys", json!({ "name": "x".repeat(201) }), "200"),
        ("keys", json!({ "name": "a", "modles": [] }), "did you mean `models`"),
        ("keys", json!({ "name": "a", "models": [""] }), "models[0]"),
        ("keys", json!({ "name": "a", "protocols": ["soap"] }), "protocols[0]"),
        ("keys", json!({ "name": "a", "expires_at": 1 }), "past"),
        ("keys", json!({ "name": "a", "expires_at": "yesterday" }), "expires_at"),
        ("keys", json!({ "name": "a", "expires_at": -1.5 }), "expires_at"),
        ("keys", json!({ "name": "a", "user": "nobody" }), "`nobody`"),
        ("keys", json!({ "name": "a", "user": 7 }), "user"),
        ("keys", json!({ "name": "a", "user": "ada", "team": "blue" }), "one of the two"),
        ("keys", json!({ "name": "a", "enabled": "yes" }), "enabled"),
        ("users", json!({ "name": "b", "team": "red'; DROP TABLE users; --" }), "team"),
        ("users", json!([]), "object"),
        ("teams", json!({ "name": "c", "pools": [1] }), "pools[0]"),
    ] {
        let (status, answer) = running.try_to("POST", path, body.clone()).await;
        assert_eq!(status, 400, "{path} {body}: {answer}");
        assert!(text(&answer, "detail").contains(words), "{body}: {answer}");
    }
    for (path, body) in [("teams", json!({ "name": "blue" })), ("users", json!({ "name": "ada" }))] {
        assert_eq!(running.try_to("POST", path, body).await.0, 409, "the name is taken");
    }
    for path in
        ["keys?limit=0", "keys?limit=x", "keys?enabled=maybe", "keys?user=nobody", "keys?colour=red", "users?team=x"]
    {
        assert_eq!(running.try_to("GET", path, Value::Null).await.0, 400, "{path}");
    }
    for (method, path) in
        [("GET", "users/nobody"), ("PATCH", "keys/x"), ("POST", "keys/x/rotate"), ("DELETE", "teams/x")]
    {
        assert_eq!(running.try_to(method, path, json!({})).await.0, 404, "{method} {path}");
    }
    assert_eq!(running.to("GET", "keys", Value::Null).await["keys"], json!([]));
    // A change that was made from an older state.
    let user = running.to("GET", "users/ada", Value::Null).await;
    let etag = format!("\"{}\"", user["revision"]);
    let first = running.call("PATCH", "users/ada", &[("if-match", &etag)], &json!({ "team": "blue" })).await;
    assert_eq!(first.status, 200);
    assert_ne!(first.header("etag"), etag);
    let second = running.call("PATCH", "users/ada", &[("if-match", &etag)], &json!({ "team": null })).await;
    assert_eq!(second.status, 412);
}

#[tokio::test]
async fn keys_are_listed_page_by_page_and_found_after_a_restart_and_by_other_processes() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    running.to("POST", "users", json!({ "name": "ada" })).await;
    let mut texts = Vec::new();
    for number in 0..7 {
        let user = (number % 2 == 0).then_some("ada");
        let made = running.to("POST", "keys", json!({ "name": format!("Key_{number}%"), "user": user })).await;
        texts.push(text(&made, "key").to_owned());
    }
    let mut seen = Vec::new();
    let mut path = "keys?limit=3".to_owned();
    loop {
        let page = running.to("GET", &path, Value::Null).await;
        seen.extend(page["keys"].as_array().unwrap().iter().map(|key| text(key, "name").to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("keys?limit=3&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(|number| format!("Key_{number}%")).collect::<Vec<_>>());
    let count = async |query: &str| {
        running.to("GET", &format!("keys?{query}"), Value::Null).await["keys"].as_array().unwrap().len()
    };
    assert_eq!(count("user=ada").await, 4);
    assert_eq!(count("q=key_3").await, 1);
    assert_eq!(count("q=%25").await, 7, "a percent sign is one");
    assert_eq!(count("q=KEY-").await, 0);
    assert_eq!(count("enabled=false").await, 0);
    // Another process deletes one and changes another: this one follows.
    let keys = running.store.client_keys().list().await.unwrap();
    running.store.client_keys().delete(&keys[0].id, None).await.unwrap();
    let changed = polyport_store::ClientKey { enabled: false, ..keys[1].value.clone() };
    running.store.client_keys().update(&keys[1].id, keys[1].revision, changed).await.unwrap();
    let followed = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        loop {
            let first = running.ask(ClientProtocol::Chat, &texts[0], "m").await.0;
            let second = running.ask(ClientProtocol::Chat, &texts[1], "m").await.0;
            if (first, second) == (401, 401) {
                return;
            }
        }
    });
    followed.await.unwrap();
    assert_eq!(running.ask(ClientProtocol::Chat, &texts[2], "m").await.0, 200);
    let Running { gateway, store, .. } = running;
    gateway.stop().await;
    store.close().await;
    drop(store);
    let again = start(folder.path(), &fake).await;
    assert_eq!(again.ask(ClientProtocol::Chat, &texts[2], "m").await.0, 200);
    assert_eq!(again.ask(ClientProtocol::Chat, &texts[1], "m").await.0, 401);
}

#[tokio::test]
async fn what_a_provider_keeps_is_nobodys_who_did_not_make_it_and_closed_to_keys_of_some_models() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let made = running.to("POST", "keys", json!({ "name": "one" })).await;
    let bounded = running.to("POST", "keys", json!({ "name": "two", "models": ["m"] })).await;
    let ask = async |key: &str, path: &str, body: Option<&Value>| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", &*bearer)];
        let answer = match body {
            Some(body) => post(running.gateway.address, path, &headers, body).await,
            None => get(running.gateway.address, path, &headers).await,
        };
        answer.status.as_u16()
    };
    let batch =
        json!({ "input_file_id": "file-of-another", "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    // The one provider with its one credential would find what belongs to anybody.
    for (path, body) in
        [("/v1/files/file-of-another", None), ("/v1/batches", Some(&batch)), ("/v1/batches/batch-1", None)]
    {
        assert_eq!(ask(text(&made, "key"), path, body).await, 404, "{path}");
        assert_eq!(ask(text(&bounded, "key"), path, body).await, 403, "{path}");
    }
    assert_eq!(ask(text(&bounded, "key"), "/v1/files", None).await, 403);
    assert!(fake.requests().is_empty());
    assert_eq!(ask(text(&made, "key"), "/v1/files", None).await, 200);
}

#[tokio::test]
async fn the_state_tells_that_clients_need_a_key_as_long_as_there_is_one() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let open = async || running.to("GET", "status", Value::Null).await["open"].clone();
    assert_eq!(open().await, json!(true));
    let made = running.to("POST", "keys", json!({ "name": "laptop" })).await;
    assert_eq!(open().await, json!(false));
    running.to("DELETE", &format!("keys/{}", text(&made, "id")), Value::Null).await;
    assert_eq!(open().await, json!(true));
}
