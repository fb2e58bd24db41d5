//! Providers, credentials, pools and routes that operators declare through the admin API.

use std::path::Path;
use std::sync::Arc;

use polyport_server::Server;
use polyport_server::config::{Arguments, Environment, Live, Source};
use polyport_store::Store;
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{Reply, post, send};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::support::Gateway;

pub(crate) const ADMIN: &str = "ap-canary-0123456789abcdef-admin";
const KEY: &str = "sk-canary-0123456789abcdef-first";

/// A gateway with a configuration file and a database in a folder.
pub(crate) struct Running {
    pub(crate) gateway: Gateway,
    pub(crate) live: Arc<Live>,
    pub(crate) store: Store,
}

fn live(folder: &Path, file: &str) -> Arc<Live> {
    std::fs::write(folder.join("polyport.yaml"), file).unwrap();
    let environment = Environment::of([("ADMIN_TOKEN".to_owned(), ADMIN.to_owned())], folder);
    let arguments = Arguments { port: Some(0), ..Arguments::default() };
    Live::start(Source::new(Some("polyport.yaml".into()), environment, arguments)).unwrap().0
}

pub(crate) async fn start(folder: &Path, file: &str) -> Running {
    let live = live(folder, file);
    let store = live.current().open_store().await.unwrap();
    let gateway = Gateway::run(Server::bind_live(&live, store.clone()).await.unwrap());
    Running { gateway, live, store }
}

impl Running {
    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let headers = [&[("x-api-key", ADMIN), ("content-type", "application/json")], headers].concat();
        send(self.gateway.address, method, &format!("/admin/api/{path}"), &headers, body.to_owned()).await
    }

    pub(crate) async fn try_to(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.call(method, path, &[], &text).await;
        (answer.status.as_u16(), answer.json().await)
    }

    /// Does what has to go well.
    pub(crate) async fn to(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_to(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// All pages of a list.
    pub(crate) async fn list(&self, list: &str) -> Vec<Value> {
        let (mut all, mut path) = (Vec::new(), format!("{list}?limit=500"));
        loop {
            let page = self.to("GET", &path, Value::Null).await;
            all.extend(page[list].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { return all };
            path = format!("{list}?limit=500&after={next}");
        }
    }

    pub(crate) async fn ask(&self, model: &str) -> u16 {
        ask(&self.gateway, model).await
    }

    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
    }
}

async fn ask(gateway: &Gateway, model: &str) -> u16 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    post(gateway.address, "/v1/chat/completions", &[], &body).await.status.as_u16()
}

fn words(answer: &Value) -> &str {
    answer["detail"].as_str().unwrap()
}

pub(crate) fn provider(name: &str, fake: &FakeProvider) -> Value {
    json!({"name": name, "base_url": fake.base_url(), "proxy": "none"})
}

/// As the configuration file, with another provider so that none is the only one.
fn of_file(fake: &FakeProvider) -> String {
    let (side, url) = (side(fake), fake.base_url());
    format!("{side}  up: {{ base_url: \"{url}\", proxy: none, keys: sk-of-the-file }}\n")
}

/// The same without the provider `up`.
fn side(fake: &FakeProvider) -> String {
    format!("discover: false\nproviders:\n  side: {{ base_url: \"{}\", proxy: none }}\n", fake.base_url())
}

#[tokio::test]
async fn s0_12_what_is_declared_serves_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), "discover: false").await;
    assert_eq!(running.ask("sonnet").await, 404);
    let answer = running.call("POST", "providers", &[], &provider("mine", &fake).to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (201, "\"1\""));
    let location = answer.header("location").to_owned();
    let made = answer.json().await;
    assert_eq!(location, format!("/admin/api/providers/{}", made["id"].as_str().unwrap()));
    assert_eq!(
        (&made["origin"], &made["in_force"], &made["enabled"]),
        (&json!("database"), &json!(true), &json!(true))
    );
    let key = running.to("POST", "credentials", json!({"provider": "mine", "key": KEY, "weight": 2})).await;
    assert_eq!((&key["weight"], &key["masked"], &key["usable"]), (&json!(2), &json!("sk-…irst"), &json!(true)));
    running.to("POST", "pools", json!({"name": "sonnet", "tier": "normal", "targets": ["mine/m"]})).await;
    running.to("POST", "routes", json!({"name": "gpt", "match": {"model_contains": "gpt"}, "to": "sonnet"})).await;
    let expected = ["sonnet", "claude-sonnet-5", "gpt-9", "mine/other"];
    for model in expected {
        assert_eq!(running.ask(model).await, 200, "{model}");
        assert_eq!(fake.last().header("authorization"), Some(&*format!("Bearer {KEY}")));
    }
    running.stop().await;

    let running = start(folder.path(), "discover: false").await;
    for model in expected {
        assert_eq!(running.ask(model).await, 200, "{model}");
    }
    for (list, name) in [("providers", "mine"), ("pools", "sonnet"), ("routes", "gpt")] {
        let all = running.list(list).await;
        let found = all.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(
            (&found["origin"], &found["revision"], &found["problems"]),
            (&json!("database"), &json!(1), &json!([]))
        );
        let one = running.to("GET", &format!("{list}/{}", found["id"].as_str().unwrap()), Value::Null).await;
        assert_eq!(one["definition"], found["definition"], "{list}");
    }
    // Counted over the restart.
    assert_eq!(running.list("credentials").await[0]["requests"], 8);
    running.stop().await;
}

#[tokio::test]
async fn what_is_declared_is_changed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), "discover: false").await;
    running.to("POST", "providers", provider("mine", &fake)).await;
    let id = running.to("POST", "credentials", json!({"provider": "mine", "key": KEY})).await["id"].clone();
    let path = format!("credentials/{}", id.as_str().unwrap());
    assert_eq!(running.ask("mine/m").await, 200);
    let other = "sk-canary-0123456789abcdef-other";
    let changed = running.to("PATCH", &path, json!({"key": other, "requests": 3, "name": "blue"})).await;
    assert_eq!(
        (&changed["revision"], &changed["label"], &changed["masked"]),
        (&json!(2), &json!("blue"), &json!("sk-…ther"))
    );
    assert_eq!(changed["limits"]["requests"], 3);
    assert_eq!(running.ask("mine/m").await, 200);
    assert_eq!(fake.last().header("authorization"), Some(&*format!("Bearer {other}")));
    assert_eq!(running.to("PATCH", &path, json!({"requests": null})).await["limits"]["requests"], json!(null));

    let headers =
        running.to("PATCH", "providers/mine", json!({"headers": {"x-team": "blue-0123456789-0123456789"}})).await;
    assert_eq!(headers["definition"]["headers"], json!({"x-team": "blu…6789"}));
    assert_eq!(running.ask("mine/m").await, 200);
    assert_eq!(fake.last().header("x-team"), Some("blue-0123456789-0123456789"));
    let gone = running.to("PATCH", "providers/mine", json!({"headers": null})).await;
    assert_eq!(gone["definition"]["headers"], json!(null));
    assert_eq!(running.ask("mine/m").await, 200);
    assert_eq!(fake.last().header("x-team"), None);

    for (list, name, words) in [
        ("providers", "mine", "name: a provider keeps its name; make a new one and delete this one"),
        (&*path, "", "provider: a credential keeps its provider; make a new one and delete this one"),
    ] {
        let (path, patch) = match name {
            "" => (list.to_owned(), json!({"provider": "other"})),
            name => (format!("{list}/{name}"), json!({"name": "other"})),
        };
        let (status, answer) = running.try_to("PATCH", &path, patch).await;
        assert_eq!((status, self::words(&answer)), (400, words));
    }
    running.to("DELETE", &path, Value::Null).await;
    running.to("DELETE", "providers/mine", Value::Null).await;
    assert_eq!(running.ask("mine/m").await, 404);
    assert!(running.list("credentials").await.is_empty());
    running.stop().await;
    let running = start(folder.path(), "discover: false").await;
    assert!(running.list("credentials").await.is_empty());
    assert_eq!(running.ask("mine/m").await, 404);
    running.stop().await;
}

#[tokio::test]
async fn what_the_file_declares_is_changed_there() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let text = of_file(&fake) + "pools: { sonnet: { targets: up/m } }\nroutes: [{ match: { model: a }, to: up }]\n";
    let running = start(folder.path(), &text).await;
    let key = running.list("credentials").await[0]["id"].as_str().unwrap().to_owned();
    for path in ["providers/up", "pools/sonnet", "routes/0", &*format!("credentials/{key}")] {
        for method in ["PATCH", "DELETE"] {
            let (status, answer) = running.try_to(method, path, json!({})).await;
            assert_eq!((status, &answer["code"]), (409, &json!("declared_elsewhere")), "{method} {path}");
            assert!(words(&answer).ends_with("is declared in polyport.yaml; edit it there"), "{}", words(&answer));
        }
    }
    for (list, body) in
        [("providers", provider("up", &fake)), ("pools", json!({"name": "sonnet", "targets": ["up/m"]}))]
    {
        let (status, answer) = running.try_to("POST", list, body).await;
        assert_eq!((status, &answer["code"]), (409, &json!("taken")), "{list}");
        assert!(words(&answer).starts_with("polyport.yaml declares a"), "{}", words(&answer));
    }
    let (status, answer) =
        running.try_to("POST", "credentials", json!({"provider": "up", "key": "sk-of-the-file"})).await;
    assert_eq!((status, words(&answer)), (409, "this secret is there already"));
    // Keys may be added to it.
    running.to("POST", "credentials", json!({"provider": "up", "key": KEY})).await;
    for _ in 0..4 {
        assert_eq!(running.ask("up/m").await, 200);
    }
    let with = |key: &str| {
        let wanted = format!("Bearer {key}");
        fake.requests().iter().filter(|exchange| exchange.header("authorization") == Some(&*wanted)).count()
    };
    assert_eq!((with(KEY), with("sk-of-the-file")), (2, 2));
    running.stop().await;
}

#[tokio::test]
async fn a_file_that_declares_the_same_wins() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), "discover: false").await;
    running.to("POST", "providers", provider("up", &first)).await;
    assert_eq!(running.ask("up/m").await, 200);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
    std::fs::write(folder.path().join("polyport.yaml"), of_file(&second)).unwrap();
    running.live.reload().unwrap();
    running.gateway.handle.follow(&running.live).unwrap();
    assert_eq!(running.ask("up/m").await, 200);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
    let all = running.list("providers").await;
    let up = |origin: &str| all.iter().find(|one| one["name"] == "up" && one["origin"] == origin).unwrap();
    assert_eq!(up("file")["state"], "ready");
    let shadowed = up("database");
    assert_eq!((&shadowed["name"], &shadowed["in_force"]), (&json!("up"), &json!(false)));
    let message = shadowed["problems"][0]["message"].as_str().unwrap();
    assert_eq!(message, "polyport.yaml declares a provider of this name, which wins");
    // It is still deleted by its id.
    running.to("DELETE", &format!("providers/{}", shadowed["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(running.list("providers").await.iter().filter(|one| one["name"] == "up").count(), 1);
    running.stop().await;
}

#[tokio::test]
async fn what_is_broken_is_reported_and_the_rest_serves() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), &of_file(&fake)).await;
    running.to("POST", "credentials", json!({"provider": "up", "name": "added", "key": KEY})).await;
    running.to("POST", "pools", json!({"name": "haiku", "targets": ["up/m"]})).await;
    running.to("POST", "routes", json!({"name": "r", "match": {"model": "x"}, "to": "haiku"})).await;
    running.to("POST", "providers", provider("own", &fake)).await;
    running.to("POST", "pools", json!({"name": "sonnet", "targets": ["own/m"]})).await;
    assert_eq!((running.ask("x").await, running.ask("sonnet").await), (200, 200));
    // Who edits the file may take away what the database refers to.
    std::fs::write(folder.path().join("polyport.yaml"), side(&fake)).unwrap();
    running.live.reload().unwrap();
    running.gateway.handle.follow(&running.live).unwrap();
    assert_eq!((running.ask("haiku").await, running.ask("sonnet").await), (404, 200));
    let check = async |running: &Running| {
        let problems = running.to("GET", "problems", Value::Null).await;
        let told: Vec<String> = problems["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let text = |member: &str| one[member].as_str().unwrap().to_owned();
                format!("{} {}: {}: {}", text("kind"), text("name"), text("path"), text("message"))
            })
            .collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[0], "credential added: provider: there is no provider `up`");
        assert!(told[1].starts_with("pool haiku: targets: "), "{}", told[1]);
        assert!(told[2].starts_with("route r: to: "), "{}", told[2]);
        let haiku = running.to("GET", "pools/haiku", Value::Null).await;
        assert_eq!((&haiku["in_force"], &haiku["definition"]["targets"]), (&json!(false), &json!(["up/m"])));
        assert!(haiku["problems"][0]["message"].as_str().unwrap().contains("up"), "{haiku}");
    };
    check(&running).await;
    running.stop().await;
    let running = start(folder.path(), &side(&fake)).await;
    check(&running).await;
    let ready = polyport_testkit::raw::get(running.gateway.address, "/readyz", &[]).await;
    let ready = String::from_utf8(ready.bytes().await.unwrap()).unwrap();
    assert!(ready.contains("3 of the database are not in force"), "{ready}");
    assert_eq!(running.ask("sonnet").await, 200);
    // And what is mended serves again.
    running.to("PATCH", "pools/haiku", json!({"targets": ["own/m"]})).await;
    assert_eq!((running.ask("haiku").await, running.ask("x").await), (200, 200));
    running.stop().await;
}

#[tokio::test]
async fn what_is_declared_wrongly_is_refused_at_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), &of_file(&fake)).await;
    let base = fake.base_url();
    for (list, body, words) in [
        (
            "providers",
            json!({"name": "a", "base_urll": base}),
            "base_urll: unknown key `base_urll`; did you mean `base_url`?",
        ),
        (
            "providers",
            json!({"name": "a", "preset": "openay"}),
            "preset: unknown preset `openay`; did you mean `openai`?",
        ),
        (
            "providers",
            json!({"name": "a/b", "base_url": base}),
            "a provider's name must not be empty or hold `/` or spaces; rename it",
        ),
        ("providers", json!({"base_url": base}), "name: name it"),
        (
            "providers",
            json!({"name": "a", "base_url": base, "timeouts": {"idle": "5 minutes"}}),
            "timeouts.idle: expected a time with its unit, such as `500ms`, `120s`, `5m` or `1h`",
        ),
        (
            "providers",
            json!({"name": "a", "base_url": "file:/etc/hostname"}),
            "base_url: the environment and files are named in the configuration file only; give the text itself",
        ),
        (
            "providers",
            json!({"name": "a", "base_url": base, "headers": {"x-a": "env:ADMIN_TOKEN"}}),
            "headers.x-a: the environment and files are named in the configuration file only; give the text itself",
        ),
        (
            "providers",
            json!({"name": "a", "base_url": base, "keys": [KEY]}),
            "keys: keys and accounts are credentials of their own; make them with POST /admin/api/credentials",
        ),
        (
            "credentials",
            json!({"provider": "upp", "key": KEY}),
            "provider: there is no provider `upp`; did you mean `up`?",
        ),
        (
            "credentials",
            json!({"provider": "up"}),
            "key: give the text of the key, or `refresh_token` or `key_file` for an account",
        ),
        (
            "credentials",
            json!({"provider": "up", "key": KEY, "wieght": 2}),
            "wieght: unknown key `wieght`; did you mean `weight`?",
        ),
        (
            "credentials",
            json!({"provider": "up", "key": KEY, "weight": 0}),
            "weight: zero would leave it unused; write `enabled: false` for that",
        ),
        (
            "credentials",
            json!({"provider": "up", "key": "sk-xxxx"}),
            "key: this key is a sample; put your own here, or leave the provider out",
        ),
        (
            "credentials",
            json!({"provider": "up", "key": "env:HOME"}),
            "key: the environment and files are named in the configuration file only; give the text itself",
        ),
        (
            "credentials",
            json!({"provider": "up", "refresh_token": "r-0123456789"}),
            "`up` has no token server; give the provider `oauth` with `token_url` and `client_id`",
        ),
        (
            "pools",
            json!({"name": "p", "targets": ["upp/m"]}),
            "targets: pool `p` leads to `upp/m`, which is neither `provider/model` of a configured provider nor another model or pool; did you mean `up`?",
        ),
        ("pools", json!({"name": "p", "targets": ["up/m"], "fallbacks": ["q"]}), "fallbacks[0]: "),
        ("routes", json!({"match": {"model": "x"}, "to": "nowhere"}), "to: "),
        (
            "routes",
            json!({"match": {}, "to": "up"}),
            "the route has no condition; give `match` a `model`, `model_contains`, `protocol`, `header` or `caller`, or use `default_provider`",
        ),
        (
            "routes",
            json!({"match": {"modell": "x"}, "to": "up"}),
            "match.modell: unknown key `modell`; did you mean `model`?",
        ),
        ("routes", json!([]), "the body must be a JSON object"),
    ] {
        let (status, answer) = running.try_to("POST", list, body.clone()).await;
        let told = self::words(&answer);
        assert!(
            status == 400 && (told == words || (words.ends_with(": ") && told.starts_with(words))),
            "{body}: {status} {told}"
        );
        assert!(!answer.to_string().contains("sk-canary"), "{answer}");
    }
    assert_eq!(running.list("credentials").await.len(), 1);
    for list in ["pools", "routes"] {
        assert!(running.list(list).await.is_empty());
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_needed_is_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), "discover: false").await;
    running.to("POST", "providers", provider("mine", &fake)).await;
    running.to("POST", "pools", json!({"name": "sonnet", "targets": ["mine/m"]})).await;
    running.to("POST", "routes", json!({"name": "all", "match": {"model": "*"}, "to": "sonnet"})).await;
    for (method, path, body, named) in [
        ("DELETE", "providers/mine", Value::Null, "pool `sonnet`"),
        ("DELETE", "pools/sonnet", Value::Null, "route `all` needs it as it is"),
        ("PATCH", "pools/sonnet", json!({"enabled": false}), "route `all` needs it as it is"),
    ] {
        let (status, answer) = running.try_to(method, path, body).await;
        assert_eq!((status, &answer["code"]), (409, &json!("referenced")), "{path}");
        assert!(words(&answer).contains(named), "{}", words(&answer));
    }
    assert_eq!(running.ask("anything").await, 200);
    let route = running.list("routes").await[0]["id"].as_str().unwrap().to_owned();
    for path in [format!("routes/{route}"), "pools/sonnet".to_owned(), "providers/mine".to_owned()] {
        running.to("DELETE", &path, Value::Null).await;
    }
    assert_eq!(running.ask("anything").await, 404);
    running.stop().await;
}

#[tokio::test]
async fn s0_22_secrets_are_in_no_answer_and_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let tokens = FakeTokenServer::start().await;
    let refresh = "canary-refresh-0123456789abcdef";
    tokens.open(refresh);
    let running = start(folder.path(), "discover: false").await;
    let secrets = [KEY, refresh, "canary-header-0123456789", "canary-query-0123456789", "canary-client-0123456789"];
    let mut body = provider("mine", &fake);
    body["headers"] = json!({"x-secret": secrets[2]});
    body["query"] = json!({"token": secrets[3]});
    body["oauth"] = json!({"token_url": tokens.url(), "client_id": "c", "client_secret": secrets[4]});
    let mut seen = String::new();
    for (method, path, body) in [
        ("POST", "providers", body),
        ("POST", "credentials", json!({"provider": "mine", "key": KEY})),
        ("POST", "credentials", json!({"provider": "mine", "refresh_token": refresh, "priority": 1})),
        ("POST", "credentials", json!({"provider": "mine", "key": KEY})),
        ("POST", "credentials/import", json!({"provider": "mine", "credentials": [KEY, {"key": KEY, "a": 1}]})),
        ("GET", "providers", Value::Null),
        ("GET", "providers/mine", Value::Null),
        ("GET", "credentials", Value::Null),
        ("GET", "tokens", Value::Null),
        ("GET", "problems", Value::Null),
    ] {
        let (_, answer) = running.try_to(method, path, body).await;
        seen += &answer.to_string();
    }
    for _ in 0..2 {
        assert_eq!(running.ask("mine/m").await, 200);
        assert_eq!(fake.last().header("x-secret"), Some(secrets[2]));
    }
    assert_eq!(running.to("GET", "tokens", Value::Null).await["data"].as_array().unwrap().len(), 1);
    assert!(seen.contains("can…cdef") && seen.contains("sk-…irst"), "{seen}");
    running.stop().await;
    for (path, bytes) in crate::support::files_below(&folder.path().join("data")) {
        for secret in secrets {
            assert!(!seen.contains(secret), "{secret}");
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", path.display());
        }
    }
    let running = start(folder.path(), "discover: false").await;
    for _ in 0..2 {
        assert_eq!(running.ask("mine/m").await, 200);
    }
    assert_eq!(fake.last().header("x-secret"), Some(secrets[2]));
    running.stop().await;
}

#[tokio::test]
async fn of_two_changes_of_one_revision_one_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), "discover: false").await;
    running.to("POST", "providers", provider("mine", &fake)).await;
    let change = async |models: &str| {
        let body = json!({"models": [models]}).to_string();
        running.call("PATCH", "providers/mine", &[("if-match", "\"1\"")], &body).await.status.as_u16()
    };
    let (one, two) = tokio::join!(change("a"), change("b"));
    assert_eq!([one.min(two), one.max(two)], [200, 412]);
    assert_eq!(running.to("GET", "providers/mine", Value::Null).await["revision"], 2);
    let stale = running.call("DELETE", "providers/mine", &[("if-match", "\"1\"")], "").await;
    assert_eq!(stale.status, 412);
    assert_eq!(stale.json().await["code"], "stale");
    assert_eq!(running.call("DELETE", "providers/mine", &[("if-match", "abc")], "").await.status, 400);
    assert_eq!(running.call("DELETE", "providers/mine", &[("if-match", "\"2\"")], "").await.status, 200);

    // Many at once are made one after another, and none is lost.
    let path = |at: usize| json!({"name": format!("p{at}"), "base_url": fake.base_url(), "proxy": "none"});
    let all: Vec<_> = (0..20).map(|at| running.try_to("POST", "providers", path(at))).collect();
    assert!(futures_util::future::join_all(all).await.iter().all(|(status, _)| *status == 201));
    let names = running.list("providers").await;
    assert_eq!(names.iter().filter(|one| one["origin"] == "database").count(), 20);
    for at in 0..20 {
        assert_eq!(running.ask(&format!("p{at}/m")).await, 200);
    }
    running.stop().await;
}

#[tokio::test]
async fn s0_31_many_are_imported_in_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), &of_file(&fake)).await;
    let key = |at: usize| format!("sk-canary-0123456789-{at:04}");
    let mut lines: Vec<String> = (0..1000).map(key).collect();
    lines.push(key(7));
    lines.push("sk-of-the-file".to_owned());
    lines.push("sk-xxxx".to_owned());
    let headers = [("content-type", "text/plain"), ("x-api-key", ADMIN)];
    let path = "/admin/api/credentials/import?provider=up";
    let answer = send(running.gateway.address, "POST", path, &headers, lines.join("\n")).await;
    assert_eq!(answer.status, 200);
    let answer = answer.json().await;
    assert_eq!((&answer["created"], &answer["duplicates"], &answer["invalid"]), (&json!(1000), &json!(2), &json!(1)));
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[999]["result"], "created");
    for (at, result) in [(1000, "duplicate"), (1001, "duplicate"), (1002, "invalid")] {
        assert_eq!((&results[at]["index"], &results[at]["result"]), (&json!(at), &json!(result)));
    }
    assert_eq!(results[1002]["message"], "this key is a sample");
    let answer = send(running.gateway.address, "POST", path, &headers, lines.join("\n")).await.json().await;
    assert_eq!((&answer["created"], &answer["duplicates"]), (&json!(0), &json!(1002)));
    assert_eq!(running.list("credentials").await.len(), 1001);
    for _ in 0..1001 {
        assert_eq!(running.ask("up/m").await, 200);
    }
    let mut used: Vec<String> =
        fake.requests().iter().map(|exchange| exchange.header("authorization").unwrap().to_owned()).collect();
    used.sort();
    used.dedup();
    assert_eq!(used.len(), 1001, "each had its turn");
    running.stop().await;
}

#[tokio::test]
async fn what_is_switched_off_stays_off_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let text = of_file(&fake);
    let running = start(folder.path(), &text).await;
    let stored = running.to("POST", "credentials", json!({"provider": "up", "key": KEY})).await["id"].clone();
    let of_file = running.list("credentials").await[0]["id"].as_str().unwrap().to_owned();
    let off = running.to("POST", &format!("credentials/{of_file}/disable"), Value::Null).await;
    assert_eq!((&off["state"], &off["enabled"]), (&json!("disabled"), &json!(false)));
    for _ in 0..2 {
        assert_eq!(running.ask("up/m").await, 200);
        assert_eq!(fake.last().header("authorization"), Some(&*format!("Bearer {KEY}")));
    }
    running.to("POST", "providers", provider("other", &fake)).await;
    assert_eq!(running.to("POST", "providers/other/disable", Value::Null).await["enabled"], false);
    assert_eq!(running.ask("other/m").await, 404);
    running.stop().await;

    let running = start(folder.path(), &text).await;
    assert_eq!(running.ask("up/m").await, 200);
    assert_eq!(fake.last().header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert_eq!(running.ask("other/m").await, 404);
    running.to("POST", "providers/other/enable", Value::Null).await;
    assert_eq!(running.ask("other/m").await, 200);
    let stored = format!("credentials/{}", stored.as_str().unwrap());
    running.to("POST", &format!("{stored}/disable"), Value::Null).await;
    assert_eq!(running.ask("up/m").await, 503);
    running.to("POST", &format!("credentials/{of_file}/enable"), Value::Null).await;
    assert_eq!(running.ask("up/m").await, 200);
    assert_eq!(fake.last().header("authorization"), Some("Bearer sk-of-the-file"));
    // The whole provider, which the file declares.
    assert_eq!(running.to("POST", "providers/up/disable", Value::Null).await["state"], "disabled");
    assert_eq!(running.ask("up/m").await, 404);
    running.stop().await;
    let running = start(folder.path(), &text).await;
    assert_eq!(running.ask("up/m").await, 404);
    running.to("POST", "providers/up/enable", Value::Null).await;
    assert_eq!(running.ask("up/m").await, 200);
    running.stop().await;
}

#[tokio::test]
async fn s2_while_the_database_is_away_changes_wait_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), "discover: false").await;
    running.to("POST", "providers", provider("mine", &fake)).await;
    let id = running.to("POST", "credentials", json!({"provider": "mine", "key": KEY})).await["id"].clone();
    running.store.close().await;
    for (method, path, body) in [
        ("POST", "providers".to_owned(), provider("other", &fake)),
        ("PATCH", "providers/mine".to_owned(), json!({"models": ["a"]})),
        ("DELETE", format!("credentials/{}", id.as_str().unwrap()), Value::Null),
        ("POST", format!("credentials/{}/disable", id.as_str().unwrap()), Value::Null),
        ("POST", "credentials/import".to_owned(), json!({"provider": "mine", "credentials": ["sk-1-0123456789"]})),
    ] {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = running.call(method, &path, &[], &text).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"), "{method} {path}");
        let answer = answer.json().await;
        assert_eq!(answer["code"], "database_unavailable");
        assert!(words(&answer).starts_with("nothing was changed: the database is not available"), "{}", words(&answer));
    }
    assert_eq!(running.list("credentials").await.len(), 1);
    assert_eq!(running.ask("mine/m").await, 200);
    running.stop().await;
}

#[tokio::test]
async fn what_rests_goes_on_resting_while_others_are_declared() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), &of_file(&fake)).await;
    fake.script(Step::error(429, "slow down").header("retry-after", "600"));
    assert_eq!(running.ask("up/m").await, 429);
    let state = async || running.list("credentials").await[0].clone();
    let before = state().await;
    running.to("POST", "credentials", json!({"provider": "up", "key": KEY})).await;
    running.to("POST", "providers", provider("mine", &fake)).await;
    let after = state().await;
    for member in ["state", "until", "models", "requests", "failures"] {
        assert_eq!(before[member], after[member], "{member}");
    }
    assert_eq!(running.ask("up/m").await, 200);
    assert_eq!(fake.last().header("authorization"), Some(&*format!("Bearer {KEY}")));
    running.stop().await;
}

#[tokio::test]
async fn a5_what_is_declared_over_the_network_stays_on_the_internet() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let tokens = FakeTokenServer::start().await;
    let file = of_file(&fake) + "access: { networks: [] }\n";
    let running = start(folder.path(), &file).await;
    let port = fake.address().port();
    for host in [
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "[fd00:ec2::254]",
        "metadata.google.internal",
    ] {
        let url = format!("http://{host}:{port}/v1");
        let (status, answer) = running.try_to("POST", "providers", json!({"name": "in", "base_url": url})).await;
        let told = words(&answer);
        assert!(status == 400 && told.starts_with("base_url: ") && told.contains("access.networks"), "{host}: {told}");
    }
    for (member, value) in [
        ("oauth", json!({"token_url": tokens.url(), "client_id": "c"})),
        ("proxy", json!("http://127.0.0.1:3128")),
        ("base_url", json!("http://user@8.8.8.8/v1")),
    ] {
        let mut body = json!({"name": "in", "base_url": "https://api.example.com/v1"});
        body[member] = value;
        assert_eq!(running.try_to("POST", "providers", body).await.0, 400, "{member}");
    }
    // Those of the file may be there, and keys may be added to them.
    running.to("POST", "credentials", json!({"provider": "up", "key": KEY})).await;
    assert_eq!(running.ask("up/m").await, 200);
    running.stop().await;

    let file = of_file(&fake) + "access: { networks: 127.0.0.0/8 }\n";
    let running = start(folder.path(), &file).await;
    running.to("POST", "providers", provider("in", &fake)).await;
    assert_eq!(running.ask("in/m").await, 200);
    let mut name = provider("named", &fake);
    name["base_url"] = json!(format!("http://localhost:{port}/v1"));
    running.to("POST", "providers", name).await;
    assert_eq!(running.ask("named/m").await, 200);
    running.stop().await;

    // What is not allowed any more is not asked any more.
    let running = start(folder.path(), &(of_file(&fake) + "access: { networks: [] }\n")).await;
    let asked = fake.requests().len();
    assert_eq!(running.ask("in/m").await, 404);
    assert_eq!(fake.requests().len(), asked);
    assert_eq!(running.to("GET", "problems", Value::Null).await["problems"].as_array().unwrap().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a20_whoever_may_use_the_admin_api_may_not_thereby_run_programs() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), &of_file(&fake)).await;
    for body in [
        json!({"name": "in", "adapter": "process", "models": ["m"], "process": {"command": "/bin/sh"}}),
        json!({"name": "in", "preset": "llama-cli", "models": ["m"]}),
        json!({"name": "in", "server": {"command": "/bin/sh", "args": ["{{ port }}"]}}),
    ] {
        let (status, answer) = running.try_to("POST", "providers", body).await;
        let told = words(&answer);
        assert!(status == 400 && told.contains("configuration file only"), "{status} {told}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a19_a_route_costs_no_more_than_one_may() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), &of_file(&fake)).await;
    let many: Vec<String> = (0..300).map(|at| format!("word{at}")).collect();
    for (when, words) in [
        (
            json!({"model_contains": many}),
            "match: the route has more than 256 conditions; write several routes, or a pattern",
        ),
        (
            json!({"model": "*a".repeat(300)}),
            "match: a condition is longer than 512 characters; no request holds such a text; shorten it",
        ),
    ] {
        let (status, answer) = running.try_to("POST", "routes", json!({"match": when, "to": "up"})).await;
        assert_eq!((status, self::words(&answer)), (400, words));
    }
    // What a backtracking matcher would never end with.
    running.to("POST", "routes", json!({"match": {"model": "*a".repeat(250) + "b"}, "to": "up"})).await;
    assert_eq!(running.ask(&"a".repeat(100_000)).await, 404);
    assert_eq!(running.ask(&("a".repeat(100_000) + "b")).await, 200);
    running.stop().await;
}
