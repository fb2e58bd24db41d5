//! warp2api: `.env` with two tokens and a database, `--port 28889`, accounts by batch import, four protocols.

use polyport_testkit::provider::{FakeProvider, Step, Wrapping};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;
use serde_json::Value;

use super::{Open, Shop, said};
use crate::{run, text};

const ENV: &str = "# clients of this gateway\nAPI_TOKEN=0000\n\n# /admin/api/tokens/*\nADMIN_TOKEN=change-me\n\n\
                   WARP_TOKEN_DB_PATH=./data/token_pool.db\n\n# base64url, 32 bytes\nWARP_TOKEN_ENCRYPTION_KEY=\n";
const ADMIN: &str = "-H 'Authorization: Bearer change-me'";
const CLIENT: &str = "-H 'Authorization: Bearer 0000' -H 'Content-Type: application/json'";
const HOST: &str = "http://127.0.0.1:28889";

struct World {
    shop: Shop,
    warp: FakeProvider,
    tokens: FakeTokenServer,
}

async fn world() -> World {
    let mut shop = Shop::new("warp2api");
    shop.file(".env", ENV);
    let warp = FakeProvider::builder(Protocol::Chat).wrapped(Wrapping::Warp).start().await;
    let tokens = FakeTokenServer::start().await;
    shop.reach("warp", &format!("http://{}", warp.address()));
    shop.set("WARP_REFRESH_URL", &tokens.url());
    World { shop, warp, tokens }
}

async fn import(open: &Open, tokens: &str) -> Value {
    let told = open
        .json(&format!("curl -X POST {HOST}/admin/api/tokens/batch-import {ADMIN} -H 'Content-Type: application/json' -d '{{\"tokens\": {tokens}}}'"))
        .await;
    told["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_25_the_quick_start_from_an_env_file_to_answers_in_four_protocols() {
    let World { shop, warp, tokens } = world().await;
    tokens.open("refresh-canary-one");
    tokens.open("refresh-canary-two");
    // S0-26: the command line as it is, and a port of this test's own.
    let open = shop.open(&["--port", "0"]);
    assert_eq!(open.status(&format!("curl {HOST}/healthz")).await, 200);
    // S0-18: nothing is there, and that is said at once.
    let chat = format!(
        "curl {HOST}/v1/chat/completions {CLIENT} -d '{{\"model\": \"auto\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    );
    assert_eq!(open.status(&chat).await, 503);
    assert_eq!(open.json(&format!("curl {HOST}/admin/api/tokens/readiness {ADMIN}")).await["data"]["ready"], false);

    let told = import(&open, r#"["refresh-canary-one", "refresh-canary-two", "refresh-canary-one"]"#).await;
    assert_eq!((&told["inserted"], &told["duplicated"]), (&2.into(), &1.into()), "{told}");
    assert_eq!(open.json(&format!("curl {HOST}/admin/api/tokens/readiness {ADMIN}")).await["data"]["ready"], true);

    warp.always(Step::text("Good day"));
    let models = open.json(&format!("curl {HOST}/v1/models {CLIENT}")).await;
    assert!(models["data"].as_array().unwrap().iter().any(|one| one["id"] == "auto" && one["owned_by"] == "warp"));
    assert_eq!(open.json(&chat).await["choices"][0]["message"]["content"], "Good day");
    assert_eq!(said(&open.events(&chat.replace("{\"model\"", "{\"stream\": true, \"model\"")).await), "Good day");
    let responses = format!("curl {HOST}/v1/responses {CLIENT} -d '{{\"model\": \"auto\", \"input\": \"Hello\"}}'");
    assert_eq!(open.json(&responses).await["object"], "response");
    let messages = format!(
        "curl {HOST}/v1/messages {CLIENT} -d '{{\"model\": \"auto\", \"max_tokens\": 64, \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    );
    assert_eq!(open.json(&messages).await["content"][0]["text"], "Good day");
    let contents = "{\"contents\": [{\"role\": \"user\", \"parts\": [{\"text\": \"Hello\"}]}]}";
    let whole = open.json(&format!("curl {HOST}/v1/models/auto:generateContent {CLIENT} -d '{contents}'")).await;
    assert_eq!(whole["candidates"][0]["content"]["parts"][0]["text"], "Good day");
    let array = open.json(&format!("curl {HOST}/v1/models/auto:streamGenerateContent {CLIENT} -d '{contents}'")).await;
    assert!(array.is_array(), "{array}");
    let stream = open
        .events(&format!("curl {HOST}/v1/models/auto:streamGenerateContent?alt=sse {CLIENT} -d '{contents}'"))
        .await;
    let parts = stream.iter().map(|data| serde_json::from_str::<Value>(data).unwrap());
    let words: Vec<String> = parts
        .filter_map(|part| Some(part["candidates"][0]["content"]["parts"][0]["text"].as_str()?.to_owned()))
        .collect();
    assert_eq!(words.concat(), "Good day", "{stream:?}");
    warp.assert_no_violations();
    assert!(tokens.violations().is_empty(), "{:?}", tokens.violations());
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_29_to_s0_35_the_endpoints_that_the_readme_names() {
    let World { shop, tokens, warp: _warp } = world().await;
    tokens.open("refresh-canary-one");
    let open = shop.open(&[]);
    import(&open, r#"["refresh-canary-one"]"#).await;
    // S0-29
    let page = open.curl(&format!("curl {HOST}/admin/tokens")).await;
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html"));
    // S0-30
    let list = open.json(&format!("curl {HOST}/admin/api/tokens {ADMIN}")).await;
    let (list, id) = (list["data"].clone(), list["data"][0]["id"].as_u64().unwrap());
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert!(!list.to_string().contains("canary-one"), "{list}");
    // S0-32
    let before = tokens.calls("refresh-canary-one");
    let told = open.json(&format!("curl -X POST {HOST}/admin/api/tokens/{id}/refresh {ADMIN}")).await;
    assert_eq!(told["data"]["success"], true, "{told}");
    assert_eq!(tokens.calls("refresh-canary-one"), before + 1);
    // S0-33, S0-34, S0-35
    let told = open.json(&format!("curl {HOST}/admin/api/tokens/statistics {ADMIN}")).await;
    assert_eq!((&told["data"]["total"], &told["data"]["by_status"]["active"]), (&1.into(), &1.into()));
    let told = open.json(&format!("curl {HOST}/admin/api/tokens/health {ADMIN}")).await;
    assert_eq!(told["data"]["healthy_count"], 1);
    let told = open.json(&format!("curl {HOST}/admin/api/tokens/readiness {ADMIN}")).await;
    assert_eq!(told["data"]["reason"], "ok");
    // S0-16, S0-19, S0-20
    assert_eq!(open.status(&format!("curl {HOST}/admin/api/tokens")).await, 401);
    assert_eq!(open.status(&format!("curl {HOST}/admin/api/tokens {CLIENT}")).await, 403);
    assert_eq!(open.status(&format!("curl {HOST}/v1/models -H 'Authorization: Bearer 1111'")).await, 401);
    assert_eq!(open.status(&format!("curl {HOST}/v1/models -H 'x-api-key: 0000'")).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_21_the_database_is_made_where_its_variable_says_and_outlives_a_restart() {
    let World { mut shop, tokens, warp: _warp } = world().await;
    tokens.open("refresh-canary-one");
    shop.set("WARP_TOKEN_DB_PATH", "./pool/deep/tokens.db");
    // S0-22
    shop.set("WARP_TOKEN_ENCRYPTION_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE");
    let open = shop.open(&[]);
    import(&open, r#"["refresh-canary-one"]"#).await;
    drop(open);
    let path = shop.folder.path().join("pool/deep/tokens.db");
    for name in ["tokens.db", "tokens.db-wal"] {
        let bytes = std::fs::read(path.with_file_name(name)).unwrap_or_default();
        assert!(!text(&bytes).contains("canary"), "{name}");
    }
    assert!(!shop.folder.path().join("data/polyport.db").exists());
    // S0-12
    let open = shop.open(&[]);
    let list = open.json(&format!("curl {HOST}/admin/api/tokens {ADMIN}")).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_23_an_empty_encryption_key_is_told_and_s0_24_a_malformed_one_refused() {
    let World { mut shop, warp: _warp, tokens: _tokens } = world().await;
    drop(shop.open(&[]));
    assert!(shop.log().contains("WARP_TOKEN_ENCRYPTION_KEY: warning: it is empty"), "{}", shop.log());
    shop.set("WARP_TOKEN_ENCRYPTION_KEY", "no-key-at-all");
    let told = shop.check();
    assert_eq!(told["ok"], false);
    assert!(told.to_string().contains("the master key must be 32 random bytes"), "{told}");
    assert!(!told.to_string().contains("no-key-at-all"));
}

#[test]
fn s0_36_the_recipe_of_the_process_manager_needs_nothing_else() {
    // What a process manager does: the program, its arguments, a folder and an environment.
    let shop = Shop::new("warp2api");
    shop.file(".env", ENV);
    let told = run(shop.folder.path(), &["check", "--profile", "warp2api"]);
    assert!(told.status.success() && text(&told.stdout).contains("good ("), "{}", text(&told.stdout));
}
