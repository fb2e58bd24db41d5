//! Antigravity to OpenAI: `data/tokens.json`, `.env` with keys, streams unless a client says otherwise.

use std::time::Duration;

use polyport_testkit::provider::{FakeProvider, Step, Wrapping};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;
use serde_json::{Value, json};

use super::{Shop, said};

const ENV: &str = "# keys of OpenAI clients\nAPI_KEYS=[\"sk-custom-key-1\",\"sk-custom-key-2\"]\n\n# optional\nHOST=0.0.0.0\nPORT=8000\n";
const HOST: &str = "http://localhost:8000";
const KEY: &str = "-H \"Authorization: Bearer sk-custom-key-1\"";

struct World {
    shop: Shop,
    google: FakeProvider,
    tokens: FakeTokenServer,
}

fn tokens_json(url: &str) -> String {
    let project = |number: u8| {
        json!({ "project_id": format!("project-{number}"), "refresh_token": format!("refresh_token_{number}"),
            "access_token": null, "expires_at": null })
    };
    json!({
        "oauth_config": { "client_id": "your_client", "client_secret": "its_secret", "token_url": url },
        "projects": [project(1), project(2)]
    })
    .to_string()
}

async fn world() -> World {
    let mut shop = Shop::new("antigravity");
    let tokens = FakeTokenServer::start().await;
    tokens.open("refresh_token_1");
    tokens.open("refresh_token_2");
    shop.file("data/tokens.json", &tokens_json(&tokens.url()));
    shop.file(".env", ENV);
    let projects = vec!["project-1".to_owned(), "project-2".to_owned()];
    let wrapping = Wrapping::CodeAssist { projects, antigravity: true };
    let google = FakeProvider::builder(Protocol::Gemini).wrapped(wrapping).start().await;
    google.always(Step::text("Hello, world"));
    shop.reach("antigravity", &google.base_url());
    World { shop, google, tokens }
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_12_two_projects_of_the_file_answer_the_commands_of_the_readme() {
    let World { shop, google, tokens } = world().await;
    // S1-02, S1-07, S1-08, S1-09: the port and the keys of `.env`; keys as short as these keep it on this machine.
    let told = shop.check();
    assert_eq!((&told["listen"], &told["open"]), (&json!(["127.0.0.1:8000"]), &json!(false)), "{told}");
    // S1-11: the arguments of the usual server.
    let open = shop.open(&["--host", "0.0.0.0", "--port", "0", "--reload"]);
    // S1-23
    let chat = format!(
        "curl {HOST}/v1/chat/completions \\\n  -H \"Content-Type: application/json\" \\\n  {KEY} \\\n  -d '{{\n    \"model\": \"gemini-2.5-flash\",\n    \
         \"messages\": [\n      {{\"role\": \"user\", \"content\": \"Hello!\"}}\n    ],\n    \"stream\": true\n  }}'"
    );
    for _ in 0..4 {
        assert_eq!(said(&open.events(&chat).await), "Hello, world");
    }
    // S1-18: they take turns.
    let of = |project: &str| google.requests().iter().filter(|asked| asked.json()["project"] == project).count();
    assert_eq!((of("project-1"), of("project-2")), (2, 2));
    // S1-26: the name is Google's own.
    assert!(google.requests().iter().all(|asked| asked.json()["model"] == "gemini-2.5-flash"));
    // S1-24
    let models = open.json(&format!("curl {HOST}/v1/models \\\n  {KEY}")).await;
    assert!(models["data"].as_array().unwrap().iter().any(|one| one["id"] == "gemini-2.5-flash"), "{models}");
    // S1-25
    assert_eq!(open.status(&format!("curl {HOST}/health")).await, 200);
    // S1-06
    assert_eq!(open.status(&format!("curl {HOST}/v1/models -H \"Authorization: Bearer sk-custom-key-2\"")).await, 200);
    assert_eq!(open.status(&format!("curl {HOST}/v1/models -H \"Authorization: Bearer sk-custom-key-3\"")).await, 401);
    assert_eq!(open.status(&format!("curl {HOST}/v1/models")).await, 401);
    assert!(tokens.violations().is_empty(), "{:?}", tokens.violations());
    google.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_28_clients_that_do_not_say_get_a_stream() {
    let World { shop, google, tokens: _tokens } = world().await;
    let open = shop.open(&[]);
    let ask = |more: &str| {
        format!(
            "curl {HOST}/v1/chat/completions -H \"Content-Type: application/json\" {KEY} -d '{{\"model\": \"gemini-2.5-flash\", \
             \"messages\": [{{\"role\": \"system\", \"content\": \"Be brief.\"}}, {{\"role\": \"user\", \"content\": \"Hello!\"}}]{more}}}'"
        )
    };
    assert_eq!(said(&open.events(&ask("")).await), "Hello, world");
    // S1-22: as the SDK sends it, with its own headers.
    let sdk = ask(", \"stream\": true")
        .replace(KEY, &format!("{KEY} -H 'User-Agent: OpenAI/Python 2.1.0' -H 'x-stainless-lang: python'"));
    assert_eq!(said(&open.events(&sdk).await), "Hello, world");
    // S1-27: what the system says has a place of its own at Google.
    let sent = google.last().json();
    assert!(sent["request"]["systemInstruction"].to_string().contains("Be brief."), "{sent}");
    // S1-29, S1-30, S1-31, S1-33, S1-34
    let settings = ", \"stream\": false, \"temperature\": 0.5, \"max_tokens\": 99, \"top_p\": 0.9";
    // Antigravity takes a limit for Claude only; elsewhere the loss is told.
    let gemini = open.curl(&ask(settings)).await;
    let loss = gemini.header("x-polyport-loss");
    assert!(gemini.status == 200 && loss.contains("sampling.unsupported"), "{} {loss}", gemini.status);
    assert_eq!(google.last().json()["request"]["generationConfig"]["topP"], 0.9);
    let whole = open.json(&ask(settings).replace("gemini-2.5-flash", "claude-sonnet-4-5")).await;
    assert_eq!(whole["choices"][0]["message"]["content"], "Hello, world");
    assert!(whole["usage"]["total_tokens"].as_u64().is_some_and(|total| total > 0), "{whole}");
    let sent = google.last().json()["request"]["generationConfig"].clone();
    assert_eq!((&sent["temperature"], &sent["maxOutputTokens"]), (&json!(0.5), &json!(99)), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_17_tokens_are_written_back_and_changes_of_the_file_are_seen() {
    let World { shop, google, tokens } = world().await;
    let open = shop.open(&[]);
    let chat = format!(
        "curl {HOST}/v1/chat/completions -H \"Content-Type: application/json\" {KEY} -d '{{\"model\": \"gemini-2.5-flash\", \
         \"messages\": [{{\"role\": \"user\", \"content\": \"Hello!\"}}], \"stream\": false}}'"
    );
    for _ in 0..2 {
        open.json(&chat).await;
    }
    // S1-13, S1-17: there are tokens now, and the rest is as it was.
    let path = shop.folder.path().join("data/tokens.json");
    let read = || serde_json::from_str::<Value>(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for _ in 0..600 {
        if read()["projects"].as_array().unwrap().iter().all(|one| one["access_token"].is_string()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read()["oauth_config"]["client_secret"], "its_secret");
    assert_eq!(read()["projects"][0]["refresh_token"], "refresh_token_1");
    assert!(read()["projects"].as_array().unwrap().iter().all(|one| one["access_token"].is_string()), "{}", read());
    // S1-11: one project is taken out, and the other answers alone.
    let mut changed = read();
    changed["projects"].as_array_mut().unwrap().remove(0);
    std::fs::write(&path, changed.to_string()).unwrap();
    let mut alone = 0;
    for _ in 0..600 {
        open.json(&chat).await;
        alone = if google.last().json()["project"] == "project-2" { alone + 1 } else { 0 };
        if alone == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(alone, 3);
    assert!(tokens.violations().is_empty(), "{:?}", tokens.violations());
}

#[test]
fn s1_05_the_templates_that_are_shipped_are_read() {
    let shop = Shop::new("antigravity");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let template = std::fs::read_to_string(root.join("tokens.json.example")).unwrap();
    shop.file("data/tokens.json", &template);
    // S1-10
    let variables = std::fs::read_to_string(root.join(".env.example")).unwrap();
    shop.file(".env", &variables.replace("#API_KEYS", "API_KEYS"));
    let told = shop.check();
    assert_eq!(told["ok"], true, "{told}");
    assert!(!told["problems"].to_string().contains(".env"), "{told}");
    // S1-21
    let ignored = std::fs::read_to_string(root.join(".gitignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "/data/") && ignored.lines().any(|line| line == ".env"), "{ignored}");
}

#[test]
fn s1_02_without_the_file_it_starts_and_says_what_to_do() {
    let shop = Shop::new("antigravity");
    shop.file(".env", ENV);
    let told = shop.check();
    assert_eq!(told["ok"], true);
    assert!(told.to_string().contains("copy tokens.json.example to data/tokens.json"), "{told}");
}
