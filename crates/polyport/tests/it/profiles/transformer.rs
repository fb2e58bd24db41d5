//! The conversion proxy: `config/app.yml`, three vendors, pages at an address of their own.

use std::time::Duration;

use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::get;
use polyport_types::Protocol;
use serde_json::json;

use super::{Open, Shop, said};

const HOST: &str = "http://localhost:8082";

const APP: &str = "MODE: \"transformer\"  # or direct\nPORT: 8000\nHOST: \"0.0.0.0\"\nDEBUG: true\nPREFERRED_PROVIDER: anthropic\n\n\
API_KEY_POOLS:\n  openai:\n    keys:\n      - \"sk-test-openai-1\"\n      - \"sk-test-openai-2\"\n    auth_header: \"Authorization\"\n    \
auth_format: \"Bearer {key}\"\n  anthropic:\n    keys:\n      - \"sk-ant-test-1\"\n      - \"sk-ant-test-2\"\n    auth_header: \"x-api-key\"\n    \
auth_format: \"{key}\"\n  gemini:\n    keys:\n      - \"gemini-test-1\"\n      - \"gemini-test-2\"\n";

struct World {
    shop: Shop,
    openai: FakeProvider,
    claude: FakeProvider,
    gemini: FakeProvider,
}

async fn world() -> World {
    let mut shop = Shop::new("transformer");
    shop.file("config/app.yml", APP);
    let (openai, claude, gemini) = (
        FakeProvider::start(Protocol::Chat).await,
        FakeProvider::start(Protocol::Messages).await,
        FakeProvider::start(Protocol::Gemini).await,
    );
    for (name, fake) in [("openai", &openai), ("anthropic", &claude), ("gemini", &gemini)] {
        shop.reach(name, &fake.base_url());
        fake.always(Step::text(&format!("from {name}")));
    }
    World { shop, openai, claude, gemini }
}

fn chat(model: &str, more: &str) -> String {
    format!(
        "curl -X POST {HOST}/v1/chat/completions \\\n  -H \"Content-Type: application/json\" \\\n  -H \"Authorization: Bearer \u{4efb}\u{610f}\u{5b57}\u{7b26}\u{4e32}\" \\\n  \
         -d '{{\n    \"model\": \"{model}\",\n    \"messages\": [\n      {{\"role\": \"user\", \"content\": \"Who are you?\"}}\n    ]{more}\n  }}'"
    )
}

fn vendor(path: &str, model: &str, more: &str) -> String {
    format!(
        "curl -X POST {HOST}{path} -H \"Content-Type: application/json\" \
         -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}]{more}}}'"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_57_to_s2_59_the_commands_of_the_readme() {
    let World { shop, openai, claude, gemini } = world().await;
    // S2-20 to S2-24: the file is read where it stands; open to everybody, it stays on this machine.
    let told = shop.check();
    assert_eq!(
        (&told["ok"], &told["listen"], &told["open"]),
        (&json!(true), &json!(["127.0.0.1:8000"]), &json!(true)),
        "{told}"
    );
    let open = shop.open(&["--port", "0"]);
    // S2-57, with the bearer of the README, which is no ASCII.
    let answer = open.json(&chat("claude-3-opus-20240229", "")).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "from anthropic");
    // S2-26, S2-27: header and form of the key.
    assert!(claude.last().header("x-api-key").is_some_and(|key| key.starts_with("sk-ant-test-")));
    // S2-58
    assert_eq!(open.json(&chat("gemini-pro", "")).await["choices"][0]["message"]["content"], "from gemini");
    // S2-28
    assert!(gemini.last().header("x-goog-api-key").is_some_and(|key| key.starts_with("gemini-test-")));
    assert_eq!(open.json(&chat("gpt-4o", "")).await["choices"][0]["message"]["content"], "from openai");
    assert!(openai.last().header("authorization").is_some_and(|key| key.starts_with("Bearer sk-test-openai-")));
    // S2-24: nobody knows the name, so the preferred vendor gets it.
    assert_eq!(open.json(&chat("something-else", "")).await["choices"][0]["message"]["content"], "from anthropic");
    assert_eq!(claude.last().json()["model"], "something-else");
    // The older paths, without a key and without a limit.
    let answer = open.json(&vendor("/v1/anthropic/completions", "claude-3-opus-20240229", "")).await;
    assert_eq!(answer["content"][0]["text"], "from anthropic");
    let answer = open.json(&vendor("/v1/gemini/completions", "gemini-pro", "")).await;
    assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], "from gemini");
    // S2-59, S2-61: streams on all three paths.
    assert_eq!(said(&open.events(&chat("claude-3-opus-20240229", ", \"stream\": true")).await), "from anthropic");
    for (path, model) in
        [("/v1/anthropic/completions", "claude-3-opus-20240229"), ("/v1/gemini/completions", "gemini-pro")]
    {
        let events = open.events(&vendor(path, model, ", \"stream\": true")).await;
        assert!(events.len() > 1, "{path}: {events:?}");
    }
    // S2-32, S2-36 to S2-39
    let keys: std::collections::HashSet<String> =
        claude.requests().iter().map(|asked| asked.header("x-api-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 2);
    let stats = open.json(&format!("curl {HOST}/v1/api-keys/stats")).await;
    let rows = stats["data"].as_array().unwrap().iter();
    let of_claude: Vec<_> = rows.filter(|row| row["vendor"] == "anthropic").collect();
    assert!(of_claude.len() == 2 && of_claude.iter().all(|one| one["success_rate"] == 1.0), "{stats}");
    assert!(!stats.to_string().contains("sk-ant-test-1"), "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_44_changes_of_app_yml_apply_at_once_and_not_where_that_is_off() {
    let World { shop, claude: _claude, openai: _openai, gemini: _gemini } = world().await;
    let (open, still) = (shop.open(&[]), shop.open(&["--no-reload", "--data", "other"]));
    let unknown = chat("something-else", "");
    let word = |answer: serde_json::Value| answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert_eq!(word(open.json(&unknown).await), "from anthropic");
    // A file that is broken, empty or gone changes nothing.
    let path = shop.folder.path().join("config/app.yml");
    for broken in ["MODE: [", ""] {
        std::fs::write(&path, broken).unwrap();
        refused(&open).await;
        assert_eq!(word(open.json(&unknown).await), "from anthropic", "{broken}");
        let told = shop.check();
        assert_eq!((&told["ok"], &told["problems"][0]["file"]), (&json!(false), &json!("config/app.yml")), "{told}");
        std::fs::write(&path, APP).unwrap();
        becomes(&open, &unknown, "from anthropic").await;
    }
    std::fs::write(&path, APP.replace("PREFERRED_PROVIDER: anthropic", "PREFERRED_PROVIDER: gemini")).unwrap();
    becomes(&open, &unknown, "from gemini").await;
    assert_eq!(word(still.json(&unknown).await), "from anthropic");
}

async fn refused(open: &Open) {
    for _ in 0..600 {
        if open.running.get("/metrics").contains("polyport_config_reload_success 0") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing was refused");
}

async fn becomes(open: &Open, command: &str, text: &str) {
    for _ in 0..600 {
        let good = open.running.get("/metrics").contains("polyport_config_reload_success 1");
        if good && open.json(command).await["choices"][0]["message"]["content"] == text {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never became {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_29_single_keys_of_the_file_still_work() {
    let World { shop, claude, .. } = world().await;
    shop.file("config/app.yml", "MODE: transformer\nANTHROPIC_API_KEY: sk-ant-single-1\n");
    let open = shop.open(&[]);
    open.json(&chat("claude-3-opus-20240229", "")).await;
    assert_eq!(claude.last().header("x-api-key"), Some("sk-ant-single-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_18_direct_mode_forwards_bytes() {
    let World { shop, openai, claude: _claude, gemini: _gemini } = world().await;
    shop.file("config/app.yml", &APP.replace("MODE: \"transformer\"", "MODE: \"direct\""));
    let open = shop.open(&[]);
    let body = "{ \"model\":  \"gpt-4o\",\"messages\": [ { \"role\":\"user\", \"content\":\"x\" } ] }";
    open.json(&format!("curl {HOST}/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'")).await;
    assert_eq!(openai.last().body(), body.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_46_three_urls_answer() {
    let mut shop = Shop::new("transformer");
    // The usual port of the pages may be taken here.
    shop.set("POLYPORT_SERVER__ALSO", "127.0.0.1:0");
    let open = shop.open(&["--all", "--port", "0"]);
    // Browsers are led on from `/`.
    let begin = get(open.second_address(), "/", &[("accept", "text/html")]).await;
    assert_eq!((begin.status.as_u16(), begin.header("location")), (307, "/admin/"));
    for (address, path) in
        [(open.second_address(), "/admin/"), (open.address(), "/v1/models"), (open.address(), "/docs")]
    {
        let answer = get(address, path, &[("accept", "text/html")]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type").starts_with("text/html"), path != "/v1/models", "{path}");
    }
    assert_eq!(shop.check()["listen"], json!(["127.0.0.1:8000", "127.0.0.1:0"]));
}
