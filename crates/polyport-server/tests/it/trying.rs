//! What is asked while a gateway is set up: known services, trying a provider before it is declared, and what leads clients here.

use std::time::{Duration, Instant};

use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::get;
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::declared::{Running, start};
use crate::faults::Log;
use crate::support::files_below;

const KEY: &str = "sk-canary-tried-0123456789";

/// With nothing but a provider of the file.
async fn running(folder: &std::path::Path, fake: &FakeProvider) -> Running {
    let url = fake.base_url();
    let file = format!(
        "discover: false\nproviders: {{ up: {{ base_url: \"{url}\", proxy: none, keys: [sk-of-the-file] }} }}\n"
    );
    start(folder, &file).await
}

fn at(fake: &FakeProvider, protocol: &str) -> Value {
    json!({ "base_url": fake.base_url(), "protocol": protocol, "proxy": "none" })
}

async fn tried(running: &Running, body: Value) -> Value {
    running.to("POST", "providers/try", body).await
}

#[tokio::test]
async fn a_provider_is_asked_before_it_is_declared_in_every_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let file = FakeProvider::start(Protocol::Chat).await;
    let running = running(folder.path(), &file).await;
    for (protocol, word) in [
        (Protocol::Chat, "chat"),
        (Protocol::Responses, "responses"),
        (Protocol::Messages, "messages"),
        (Protocol::Gemini, "gemini"),
    ] {
        let fake = FakeProvider::builder(protocol).key(KEY).models(["m-1", "m-2"]).start().await;
        fake.for_model("m-1", Step::text("OK."));
        let provider = at(&fake, word);
        let listed = tried(&running, json!({ "provider": provider, "credential": { "key": KEY } })).await;
        assert_eq!(listed["outcome"], "answered", "{listed}");
        assert_eq!((&listed["models"], &listed["status"]), (&json!(["m-1", "m-2"]), &json!(200)));
        let body = json!({ "provider": provider, "credential": { "key": KEY }, "model": "m-1" });
        let said = tried(&running, body).await;
        assert_eq!((&said["outcome"], &said["answer"]), (&json!("answered"), &json!("OK.")), "{said}");
        assert_eq!((&said["model"], &said["models"], &said["code"]), (&json!("m-1"), &Value::Null, &Value::Null));
        assert!(said["usage"]["input"].as_u64().unwrap() > 0 && said["took_ms"].is_u64(), "{said}");
        fake.assert_no_violations();
        let refused =
            tried(&running, json!({ "provider": provider, "credential": { "key": "sk-canary-wrong-0123456789" } }))
                .await;
        assert_eq!((&refused["outcome"], &refused["status"]), (&json!("refused"), &json!(401)), "{refused}");
        assert_eq!(refused["code"], "auth_invalid");
        assert!(refused["remedy"].as_str().unwrap().contains("revoked"), "{refused}");
        let without = tried(&running, json!({ "provider": provider, "model": "m-1" })).await;
        assert!(
            without["outcome"] == "refused" && without["remedy"].as_str().unwrap().contains("give a key"),
            "{without}"
        );
    }
    let providers = running.list("providers").await;
    assert!(
        providers.iter().all(|provider| ["up", "echo"].contains(&provider["name"].as_str().unwrap())),
        "{providers:?}"
    );
    assert!(running.list("credentials").await.iter().all(|one| one["provider"] == "up"));
    let requests = running.to("GET", "requests", Value::Null).await;
    assert_eq!(requests["requests"], json!([]), "nobody asked");
    running.stop().await;
}

#[tokio::test]
async fn one_that_is_there_is_tried_with_its_own_or_with_another_credential() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::builder(Protocol::Chat).models(["m"]).start().await;
    let running = running(folder.path(), &fake).await;
    let header = |fake: &FakeProvider| fake.last().header("authorization").unwrap_or_default().to_owned();
    assert_eq!(tried(&running, json!({ "provider": "up" })).await["models"], json!(["m"]));
    assert_eq!(header(&fake), "Bearer sk-of-the-file");
    assert_eq!(tried(&running, json!({ "provider": "up", "model": "m" })).await["outcome"], "answered");
    assert_eq!(header(&fake), "Bearer sk-of-the-file");
    let other = json!({ "provider": "up", "credential": { "key": KEY }, "model": "m" });
    assert_eq!(tried(&running, other).await["outcome"], "answered");
    assert_eq!(header(&fake), format!("Bearer {KEY}"));
    // The same secret again is nothing new.
    let same = json!({ "provider": "up", "credential": { "key": "sk-of-the-file" } });
    let (status, answer) = running.try_to("POST", "providers/try", same).await;
    assert_eq!((status, &answer["errors"][0]["pointer"]), (400, &json!("#/credential")), "{answer}");

    let mut mine = at(&fake, "chat");
    mine["name"] = "mine".into();
    running.to("POST", "providers", mine.clone()).await;
    running.to("POST", "credentials", json!({ "provider": "mine", "key": "sk-of-the-database-0" })).await;
    assert_eq!(tried(&running, json!({ "provider": "mine" })).await["outcome"], "answered");
    assert_eq!(header(&fake), "Bearer sk-of-the-database-0");
    assert_eq!(
        tried(&running, json!({ "provider": "mine", "credential": { "key": KEY } })).await["outcome"],
        "answered"
    );
    assert_eq!(header(&fake), format!("Bearer {KEY}"));
    // Switched off, it is tried all the same, and stays so.
    running.to("POST", "providers/mine/disable", Value::Null).await;
    assert_eq!(tried(&running, json!({ "provider": "mine", "model": "m" })).await["outcome"], "answered");
    assert_eq!(header(&fake), "Bearer sk-of-the-database-0");
    assert_eq!(running.to("GET", "providers/mine", Value::Null).await["enabled"], false);
    // A definition may have a name that is taken.
    mine["models"] = json!(["other"]);
    assert_eq!(tried(&running, json!({ "provider": mine, "model": "m" })).await["outcome"], "answered");
    let (status, answer) = running.try_to("POST", "providers/try", json!({ "provider": "nobody" })).await;
    assert_eq!((status, &answer["errors"][0]["pointer"]), (404, &json!("#/provider")), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn what_gives_no_answer_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = running(folder.path(), &fake).await;
    let nobody = format!("http://{}/v1", FakeProvider::refused_address());
    for (url, word) in [(nobody.as_str(), "refused"), ("http://nowhere.invalid/v1", "nowhere.invalid")] {
        let told = tried(&running, json!({ "provider": { "base_url": url, "proxy": "none" }, "model": "m" })).await;
        assert_eq!(
            (&told["outcome"], &told["code"], &told["status"]),
            (&json!("failed"), &json!("transport"), &Value::Null),
            "{told}"
        );
        assert!(
            told["message"].as_str().unwrap().contains("cannot be reached")
                || told["message"].as_str().unwrap().contains(word),
            "{told}"
        );
        assert!(told["remedy"].as_str().unwrap().contains("base_url"), "{told}");
    }
    let silent = FakeProvider::start(Protocol::Chat).await;
    silent.decide(|_| Some(Step::silence()));
    // It is connected to, and nobody reads what comes.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = (json!({ "base_url": format!("http://{}/v1", deaf.local_addr().unwrap()), "proxy": "none" }), deaf);
    for (provider, model) in [(&deaf.0, Value::Null), (&at(&silent, "chat"), "m".into())] {
        let began = Instant::now();
        let told = tried(&running, json!({ "provider": provider, "model": model, "timeout_ms": 1000 })).await;
        assert_eq!((&told["outcome"], &told["code"]), (&json!("timeout"), &json!("timeout")), "{told}");
        assert!(told["message"].as_str().unwrap().contains("within 1 seconds"), "{told}");
        assert!(told["remedy"].as_str().unwrap().contains("timeout_ms"), "{told}");
        assert!(told["took_ms"].as_u64().unwrap() >= 1000 && began.elapsed() < Duration::from_secs(15));
    }
    silent.all_closed().await;
    for (step, outcome, code) in [
        (Step::error(500, "out of order"), "failed", "server_error"),
        (Step::html(200), "failed", "upstream_protocol"),
        (Step::error(404, "no such model"), "refused", "model_not_found"),
        (Step::error(403, "not for you"), "refused", "permission_denied"),
        (Step::error(429, "slowly"), "refused", "rate_limited"),
    ] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        fake.always(step);
        let told = tried(&running, json!({ "provider": at(&fake, "chat"), "model": "m" })).await;
        assert_eq!((&told["outcome"], &told["code"]), (&json!(outcome), &json!(code)), "{told}");
        assert!(told["remedy"].is_string() && told["message"].is_string(), "{told}");
    }
    running.stop().await;
}

#[tokio::test]
async fn mistakes_are_told_with_a_pointer_and_nobody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = running(folder.path(), &fake).await;
    let good = json!({ "base_url": "http://127.0.0.1:9/v1" });
    for (body, pointer) in [
        (json!({}), "#/provider"),
        (json!({ "provider": 7 }), "#/provider"),
        (json!({ "provider": {} }), "#/provider"),
        (json!({ "provider": { "base_url": "nonsense" } }), "#/provider/base_url"),
        (json!({ "provider": { "base_url": "http://169.254.169.254/latest" } }), "#/provider/base_url"),
        (json!({ "provider": { "base_url": "http://metadata.google.internal/" } }), "#/provider/base_url"),
        (json!({ "provider": { "base_url": "env:SECRET" } }), "#/provider/base_url"),
        (json!({ "provider": { "preset": "opnai" } }), "#/provider/preset"),
        (json!({ "provider": { "preset": "azure" } }), "#/provider"),
        (json!({ "provider": { "colour": "red" } }), "#/provider/colour"),
        (json!({ "provider": { "preset": "llama-cli" } }), "#/provider"),
        (
            json!({ "provider": { "base_url": "http://127.0.0.1:9/v1", "proxy": "http://10.0.0.1:3128" } }),
            "#/provider/proxy",
        ),
        (json!({ "provider": good, "credential": "sk" }), "#/credential"),
        (json!({ "provider": good, "credential": {} }), "#/credential/key"),
        (json!({ "provider": good, "credential": { "key": "file:/etc/passwd" } }), "#/credential/key"),
        (json!({ "provider": good, "credential": { "key": KEY, "colour": 1 } }), "#/credential/colour"),
        (json!({ "provider": good, "credential": { "key": KEY, "provider": "up" } }), "#/credential/provider"),
        (json!({ "provider": good, "credential": { "refresh_token": "r-0123456789" } }), "#/credential"),
        (json!({ "provider": good, "model": "" }), "#/model"),
        (json!({ "provider": good, "model": 7 }), "#/model"),
        (json!({ "provider": good, "timeout_ms": 999 }), "#/timeout_ms"),
        (json!({ "provider": good, "timeout_ms": 1e18 }), "#/timeout_ms"),
        (json!({ "provider": good, "modle": "m" }), "#/modle"),
    ] {
        let (status, answer) = running.try_to("POST", "providers/try", body.clone()).await;
        assert_eq!((status, &answer["errors"][0]["pointer"]), (400, &json!(pointer)), "{body}: {answer}");
        assert!(!answer["detail"].as_str().unwrap().is_empty());
    }
    assert_eq!(fake.requests().len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn an_account_is_tried_and_what_its_token_server_replaces_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::builder(Protocol::Chat).models(["m"]).start().await;
    let running = running(folder.path(), &fake).await;
    let tokens = FakeTokenServer::start().await;
    tokens.open("refresh-canary-first");
    tokens.rotate();
    let mut provider = at(&fake, "chat");
    provider["oauth"] = json!({ "token_url": tokens.url(), "client_id": "c" });
    let credential = json!({ "refresh_token": "refresh-canary-first" });
    for body in [json!({ "model": "m" }), json!({}), json!({ "model": "m" })] {
        let mut body = body;
        (body["provider"], body["credential"]) = (provider.clone(), credential.clone());
        let told = tried(&running, body).await;
        assert_eq!(told["outcome"], "answered", "{told}");
    }
    let bearer = fake.last().header("authorization").unwrap().to_owned();
    assert!(tokens.access_tokens("refresh-canary-first").iter().any(|token| bearer == format!("Bearer {token}")));
    // Declared with the token that is used up, it serves.
    provider["name"] = "mine".into();
    running.to("POST", "providers", provider.clone()).await;
    running.to("POST", "credentials", json!({ "provider": "mine", "refresh_token": "refresh-canary-first" })).await;
    assert_eq!(running.ask("mine/m").await, 200);
    assert!(tokens.is_alive("refresh-canary-first") && tokens.violations().is_empty());
    running.stop().await;
    let running = crate::trying::running(folder.path(), &fake).await;
    assert_eq!(running.ask("mine/m").await, 200, "also after a restart");
    // One that is refused is told so.
    let mut other = at(&fake, "chat");
    other["oauth"] = json!({ "token_url": tokens.url(), "client_id": "c" });
    let told =
        tried(&running, json!({ "provider": other, "credential": { "refresh_token": "refresh-canary-unknown" } }))
            .await;
    assert_eq!((&told["outcome"], &told["code"]), (&json!("refused"), &json!("auth_invalid")), "{told}");
    assert!(told["remedy"].as_str().unwrap().contains("log in"), "{told}");
    running.stop().await;
}

#[tokio::test]
async fn a4_secrets_of_a_trial_are_in_no_answer_no_log_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::text();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = running(folder.path(), &fake).await;
    let header = "header-canary-0123456789";
    let echo = FakeProvider::start(Protocol::Chat).await;
    echo.decide(move |_| Some(Step::error(401, &format!("the key {KEY} with {header} is not known"))));
    let mut provider = at(&echo, "chat");
    provider["headers"] = json!({ "x-team": header });
    provider["query"] = json!({ "k": "query-canary-0123456789" });
    for model in [Value::Null, "m".into()] {
        let body = json!({ "provider": provider, "credential": { "key": KEY }, "model": model });
        let told = tried(&running, body).await;
        assert_eq!(told["outcome"], "refused");
        assert!(!told.to_string().contains("canary"), "{told}");
        assert!(told["message"].as_str().unwrap().contains("is not known"), "{told}");
    }
    assert_eq!(echo.last().header("x-team"), Some(header), "it was sent");
    let mut wrong = provider.clone();
    wrong["colour"] = "red".into();
    let (status, answer) =
        running.try_to("POST", "providers/try", json!({ "provider": wrong, "credential": { "key": KEY } })).await;
    assert!(status == 400 && !answer.to_string().contains("canary"), "{answer}");
    let audit = running.to("GET", "audit?action=tryProvider", Value::Null).await;
    assert_eq!(audit["audit"].as_array().unwrap().len(), 3);
    assert_eq!(audit["audit"][0]["detail"]["provider"]["headers"], "…", "{audit}");
    assert!(!audit.to_string().contains("canary"), "{audit}");
    running.stop().await;
    let text = log.read();
    assert!(
        text.contains("an operator tried a provider") && !text.contains("canary-tried") && !text.contains(header),
        "{text}"
    );
    for (path, bytes) in files_below(folder.path()) {
        let found = bytes.windows(b"canary-tried".len()).any(|part| part == b"canary-tried");
        assert!(!found, "{}", path.display());
    }
}

#[tokio::test]
async fn quirks_and_adapters_are_those_of_real_requests() {
    let folder = tempfile::tempdir().unwrap();
    let file = FakeProvider::start(Protocol::Chat).await;
    let running = running(folder.path(), &file).await;
    let fake = FakeProvider::builder(Protocol::Chat).start().await;
    let mut provider = at(&fake, "chat");
    provider["preset"] = "openai".into();
    tried(&running, json!({ "provider": provider, "credential": { "key": KEY }, "model": "o4-mini" })).await;
    let body = fake.last().json();
    assert!(body["max_completion_tokens"].is_u64() && body.get("max_tokens").is_none(), "{body}");
    running.stop().await;
}

#[tokio::test]
async fn services_are_listed_and_clients_are_led_here() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = running(folder.path(), &fake).await;
    let presets = running.list("presets").await;
    let preset = |name: &str| presets.iter().find(|preset| preset["name"] == name).unwrap().clone();
    assert_eq!(preset("azure")["needs_base_url"], true);
    assert_eq!((&preset("ollama")["local"], &preset("ollama")["auth"]), (&json!(true), &json!("none")));
    assert_eq!(preset("vertex")["auth"], "either");
    let kimi = running.to("GET", "presets?q=kimi", Value::Null).await;
    assert_eq!(kimi["presets"].as_array().unwrap().len(), 1, "by its title: {kimi}");

    let address = running.gateway.address;
    let clients = running.list("clients").await;
    let client = |name: &str| clients.iter().find(|client| client["name"] == name).unwrap().clone();
    let claude = client("claude");
    let variable = |client: &Value, name: &str| {
        let all = client["variables"].as_array().unwrap().iter();
        all.filter(|one| one["name"] == name).map(|one| one["value"].as_str().unwrap().to_owned()).next()
    };
    assert_eq!(variable(&claude, "ANTHROPIC_BASE_URL"), Some(format!("http://{address}")));
    assert_eq!(variable(&claude, "ANTHROPIC_AUTH_TOKEN").as_deref(), Some("YOUR_KEY"));
    assert_eq!((&claude["protocol"], &claude["needs_model"]), (&json!("messages"), &json!(false)));
    assert_eq!(claude["files"][0]["path"], "~/.claude/settings.json");
    assert!(claude["unset"].as_array().unwrap().contains(&json!("ANTHROPIC_API_KEY")));
    assert!(client("codex")["command"].as_str().unwrap().starts_with("codex -c 'model_provider="));
    assert!(client("opencode")["needs_model"] == true && client("opencode")["files"].to_string().contains("MODEL"));
    assert_eq!(client("cline")["command"], Value::Null);
    assert!(client("cline")["notes"].to_string().contains(&format!("http://{address}/v1")));
    for client in &clients {
        let page = get(address, client["guide"].as_str().unwrap(), &[]).await;
        assert_eq!(page.status, 200, "{client}");
    }
    let named = running.to("GET", "clients?q=aider&model=my%2Fmodel", Value::Null).await;
    assert!(named["clients"][0]["command"].as_str().unwrap().contains("openai/my/model"), "{named}");
    assert_eq!(variable(&named["clients"][0], "OPENAI_API_BASE").as_deref(), Some(&*format!("http://{address}/v1")));
    running.stop().await;
}
