//! The light gateway after One API: `config/models.json` alone is enough.

use std::time::Duration;

use polyport_testkit::provider::{FakeProvider, Step};
use polyport_types::Protocol;
use serde_json::{Value, json};

use super::{Open, Shop};

const HOST: &str = "http://localhost:8765";

struct World {
    shop: Shop,
    compatible: FakeProvider,
    claude: FakeProvider,
}

fn registry(compatible: &FakeProvider, claude: &FakeProvider) -> Value {
    json!({ "models": [
        { "id": "gpt-3.5-turbo", "adapter": "openai_compat", "base_url": compatible.base_url(), "api_key": "ENV:TEST_KEY_A",
          "enabled": true, "model": "upstream-name", "temperature": 0.7, "max_tokens": 2000, "timeout": 60 },
        { "id": "deepseek-chat", "adapter": "openai_compat", "base_url": compatible.base_url(), "api_key": "ENV:TEST_KEY_B",
          "enabled": true, "model": "deepseek-chat", "timeout": 60 },
        { "id": "claude-3-5-sonnet", "adapter": "custom_http", "base_url": claude.base_url(), "api_key": "ENV:TEST_KEY_C",
          "enabled": true, "model": "claude-3-5-sonnet-20241022", "endpoint": "/v1/messages", "request_format": "anthropic",
          "response_format": "openai", "timeout": 60 },
        { "id": "local-llama", "adapter": "process", "command": "llama.cpp", "args": ["-m", "/path/to/model.gguf"],
          "enabled": false, "timeout": 120 }
    ] })
}

async fn world() -> World {
    let mut shop = Shop::new("ai-service");
    let compatible = FakeProvider::start(Protocol::Chat).await;
    let claude = FakeProvider::start(Protocol::Messages).await;
    compatible.always(Step::text("compatible"));
    claude.always(Step::text("claude"));
    shop.file("config/models.json", &registry(&compatible, &claude).to_string());
    for name in ["TEST_KEY_A", "TEST_KEY_B", "TEST_KEY_C"] {
        shop.set(name, &format!("sk-of-{}", name.to_lowercase()));
    }
    World { shop, compatible, claude }
}

fn chat(model: &str, more: &str) -> String {
    format!(
        "curl -X POST {HOST}/v1/chat/completions -H 'Content-Type: application/json' \
         -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]{more}}}'"
    )
}

async fn owners(open: &Open) -> Vec<(String, String)> {
    let list = open.json(&format!("curl {HOST}/v1/models")).await;
    assert_eq!(list["object"], "list");
    let entries = list["data"].as_array().unwrap().iter().filter(|one| one["id"] != "echo");
    entries
        .map(|one| {
            assert_eq!((&one["object"], &one["created"]), (&json!("model"), &json!(0)), "{one}");
            (one["id"].as_str().unwrap().to_owned(), one["owned_by"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_01_the_registry_alone_is_enough() {
    let World { shop, compatible, claude } = world().await;
    let told = shop.check();
    assert_eq!(
        (&told["ok"], &told["listen"], &told["open"]),
        (&json!(true), &json!(["127.0.0.1:8765"]), &json!(true)),
        "{told}"
    );
    // S4-06
    let open = shop.open(&["--port", "0"]);
    // S4-09
    assert_eq!(open.status(&format!("curl {HOST}/health")).await, 200);
    // S4-07, S4-15
    let owned = |id: &str, by: &str| (id.to_owned(), by.to_owned());
    assert_eq!(
        owners(&open).await,
        [
            owned("claude-3-5-sonnet", "custom_http"),
            owned("deepseek-chat", "openai_compat"),
            owned("gpt-3.5-turbo", "openai_compat")
        ]
    );
    // S4-05, S4-10 to S4-14, S4-16
    let answer = open.json(&chat("gpt-3.5-turbo", "")).await;
    assert_eq!(
        (&answer["object"], &answer["choices"][0]["message"]["content"]),
        (&json!("chat.completion"), &json!("compatible"))
    );
    let asked = compatible.last();
    assert_eq!(
        (&asked.json()["model"], asked.header("authorization")),
        (&json!("upstream-name"), Some("Bearer sk-of-test_key_a"))
    );
    // S4-17, S4-18: of the registry where the client does not say it.
    assert_eq!(
        (&asked.json()["temperature"], &asked.json()["max_tokens"]),
        (&json!(0.7), &json!(2000)),
        "{}",
        asked.json()
    );
    // S4-08
    open.json(&chat("gpt-3.5-turbo", ", \"temperature\": 0.1, \"max_tokens\": 7")).await;
    let asked = compatible.last().json();
    assert_eq!((&asked["temperature"], &asked["max_tokens"]), (&json!(0.1), &json!(7)), "{asked}");
    open.json(&chat("gpt-3.5-turbo", ", \"max_completion_tokens\": 9")).await;
    let asked = compatible.last().json();
    assert_eq!((&asked["max_tokens"], asked.get("max_completion_tokens")), (&json!(9), None), "{asked}");
    open.json(&chat("deepseek-chat", "")).await;
    let asked = compatible.last();
    assert_eq!(
        (asked.header("authorization"), asked.json().get("max_tokens").is_none()),
        (Some("Bearer sk-of-test_key_b"), true)
    );
    assert_eq!(open.json(&chat("claude-3-5-sonnet", "")).await["choices"][0]["message"]["content"], "claude");
    assert_eq!(claude.last().json()["model"], "claude-3-5-sonnet-20241022");
    // S4-03
    let reply = open.curl(&chat("nobody-knows-me", "")).await;
    assert_eq!(reply.status, 404);
    assert!(reply.json().await["error"]["message"].as_str().is_some_and(|words| words.contains("nobody-knows-me")));
    let reply = open.curl(&chat("local-llama", "")).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_14_a_variable_that_is_missing_is_told_and_the_others_serve() {
    let World { mut shop, compatible: _compatible, claude: _claude } = world().await;
    shop.environment.remove("TEST_KEY_B");
    let told = shop.check();
    assert!(told["ok"] == true && told["problems"].to_string().contains("TEST_KEY_B is not set"), "{told}");
    let open = shop.open(&[]);
    assert_eq!(open.status(&chat("gpt-3.5-turbo", "")).await, 200);
    assert!(open.status(&chat("deepseek-chat", "")).await >= 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_02_a_broken_registry_is_told_with_its_place_and_changes_are_seen() {
    let World { shop, compatible, claude } = world().await;
    let open = shop.open(&[]);
    let mut changed = registry(&compatible, &claude);
    changed["models"][1]["enabled"] = json!(false);
    changed["models"].as_array_mut().unwrap().push(json!({ "adapter": "openai_compat" }));
    shop.file("config/models.json", &changed.to_string());
    let mut seen = Vec::new();
    for _ in 0..600 {
        seen = owners(&open).await;
        if seen.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    let told = shop.check();
    assert!(told["problems"].to_string().contains("models[4]"), "{told}");
    shop.file("config/models.json", "{ \"models\": [ }");
    let told = shop.check();
    assert_eq!((&told["ok"], &told["problems"][0]["file"]), (&json!(false), &json!("config/models.json")));
    assert!(told["problems"][0]["message"].as_str().unwrap().contains("line 1"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_19_the_time_of_an_entry_is_kept() {
    let World { shop, compatible, claude } = world().await;
    let mut slow = registry(&compatible, &claude);
    slow["models"][1]["timeout"] = json!(1);
    shop.file("config/models.json", &slow.to_string());
    compatible.always(Step::silence());
    let open = shop.open(&[]);
    assert_eq!(open.status(&chat("deepseek-chat", "")).await, 504);
}

#[test]
fn s4_01_without_the_registry_it_starts() {
    let shop = Shop::new("ai-service");
    let told = shop.check();
    assert_eq!((&told["ok"], &told["problems"]), (&json!(true), &json!([])), "{told}");
}
