//! API Pool Gateway: everything is set up at the admin API; Claude Code asks with any key.

use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::send;
use polyport_types::Protocol;
use serde_json::{Value, json};

use super::{Open, Shop};

const HOST: &str = "http://127.0.0.1:8899";
const ADMIN: &str = "admin-0123456789abcdef";

async fn admin(open: &Open, method: &str, path: &str, body: Value) -> Value {
    let headers = [("authorization", "Bearer admin-0123456789abcdef"), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = send(open.address(), method, &format!("/admin/api/{path}"), &headers, body).await;
    let status = reply.status;
    let answer = reply.json().await;
    assert!(status.is_success(), "{method} {path}: {status} {answer}");
    answer
}

fn claude_code(model: &str) -> String {
    format!(
        "curl {HOST}/v1/messages -H 'x-api-key: any-value' -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \
         -H 'user-agent: claude-cli/2.1.0 (external, cli)' -d '{{\"model\": \"{model}\", \"max_tokens\": 64, \
         \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_09_from_nothing_to_claude_code_in_four_steps() {
    let mut shop = Shop::new("api-pool");
    shop.set("ADMIN_TOKEN", ADMIN);
    let open = shop.open(&[]);
    let fake =
        FakeProvider::builder(Protocol::Chat).key("sk-of-service-a").models(["m-small", "m-large"]).start().await;
    fake.always(Step::text("from the pool"));
    // S3-10: a service by address and key.
    let service = json!({ "name": "a", "base_url": fake.base_url(), "proxy": "none" });
    admin(&open, "POST", "providers", service).await;
    admin(&open, "POST", "credentials", json!({ "provider": "a", "key": "sk-of-service-a" })).await;
    // S3-11: its models.
    let told = admin(&open, "GET", "providers/a/models", Value::Null).await;
    assert!(told.to_string().contains("m-small"), "{told}");
    // S3-12: into pools.
    for (name, tier, model) in
        [("haiku", "tool", "m-small"), ("sonnet", "normal", "m-large"), ("opus", "advanced", "m-large")]
    {
        let target = format!("a/{model}");
        admin(&open, "POST", "pools", json!({ "name": name, "tier": tier, "targets": [target] })).await;
    }
    // S3-09, S3-13, S3-14: any key, and names with a date.
    for (asked, model) in [
        ("haiku", "m-small"),
        ("claude-haiku-4-5-20251001", "m-small"),
        ("sonnet", "m-large"),
        ("claude-opus-4-1", "m-large"),
    ] {
        let answer = open.json(&claude_code(asked)).await;
        assert_eq!(answer["content"][0]["text"], "from the pool");
        assert_eq!(fake.last().json()["model"], model, "{asked}");
    }
    // S3-15, S3-16
    let chat = format!(
        "curl {HOST}/v1/chat/completions -H 'Authorization: Bearer any-value' -H 'content-type: application/json' \
         -d '{{\"model\": \"sonnet\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
    );
    assert_eq!(open.json(&chat).await["choices"][0]["message"]["content"], "from the pool");
    let models = open.json(&format!("curl {HOST}/v1/models")).await;
    let names: Vec<&str> = models["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(["haiku", "sonnet", "opus"].iter().all(|name| names.contains(name)), "{names:?}");
    // S3-17, S3-18
    assert_eq!(open.status(&format!("curl {HOST}/admin/api/providers")).await, 401);
    let begin = open.curl(&format!("curl {HOST}/ -H 'Accept: text/html'")).await;
    assert_eq!((begin.status.as_u16(), begin.header("location")), (307, "/admin/"));
    let page = open.curl(&format!("curl {HOST}/admin/ -H 'Accept: text/html'")).await;
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html"));
    fake.assert_no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_20_the_usual_password_signs_in_only_to_be_changed() {
    let mut shop = Shop::new("api-pool");
    shop.set("ADMIN_PASSWORD", "admin123");
    let open = shop.open(&[]);
    let sign_in = format!(
        "curl {HOST}/admin/api/session -H 'content-type: application/json' -d '{{\"name\": \"admin\", \"password\": \"admin123\"}}'"
    );
    let reply = open.curl(&sign_in).await;
    assert!(reply.status.is_success(), "{}", reply.status);
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    let told = reply.json().await;
    assert!(told.to_string().contains("\"must_change\":true"), "{told}");
    let list = send(open.address(), "GET", "/admin/api/providers", &[("cookie", &cookie)], "").await;
    assert_eq!(list.status, 403);
}

#[test]
fn s3_19_to_s3_24_the_variables_of_the_table() {
    let mut shop = Shop::new("api-pool");
    for (name, value) in [
        ("API_PORT", "9899"),
        ("ADMIN_PASSWORD", "admin123"),
        ("DEFAULT_COOLDOWN_SECONDS", "90"),
        ("VIRTUAL_MODEL_TOOL", "cheap"),
        ("VIRTUAL_MODEL_NORMAL", "usual"),
        ("VIRTUAL_MODEL_ADVANCED", "best"),
    ] {
        shop.set(name, value);
    }
    let target = "targets: [echo/echo]";
    shop.file(
        "polyport.yaml",
        &format!("pools: {{ haiku: {{ tier: tool, {target} }}, sonnet: {{ tier: normal, {target} }}, opus: {{ tier: advanced, {target} }} }}"),
    );
    let told = shop.check();
    assert_eq!((&told["ok"], &told["listen"], &told["open"]), (&json!(true), &json!(["127.0.0.1:9899"]), &json!(true)));
    assert_eq!(told["problems"], json!([]), "{told}");
    let open = shop.open(&[]);
    for name in ["cheap", "usual", "best"] {
        let answer = open.running.chat(name);
        assert!(answer.starts_with("HTTP/1.1 200"), "{name}: {answer}");
    }
}
