//! `/admin/api/tokens…`: accounts in the shapes that scripts for token pools expect.

use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{get, send};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::declared::{ADMIN, Running, provider, start};
use crate::support::{Gateway, several};

/// A gateway with a provider whose accounts this token server knows.
async fn pool(folder: &std::path::Path, fake: &FakeProvider, tokens: &FakeTokenServer) -> Running {
    let running = start(folder, "discover: false").await;
    let mut body = provider("mine", fake);
    body["oauth"] = json!({"token_url": tokens.url(), "client_id": "c"});
    running.to("POST", "providers", body).await;
    running
}

impl Running {
    async fn data(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.to(method, path, body).await;
        assert_eq!(answer["success"], true, "{path}: {answer}");
        answer["data"].clone()
    }
}

#[tokio::test]
async fn s0_31_tokens_are_imported_refreshed_and_told_one_by_one() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let tokens = FakeTokenServer::start().await;
    for account in ["refresh-canary-one", "refresh-canary-two", "refresh-canary-three"] {
        tokens.open(account);
    }
    let running = pool(folder.path(), &fake, &tokens).await;
    let accounts = json!({"accounts": [
        {"refresh_token": "refresh-canary-one", "email": "one@example.org", "total_limit": 5, "used_limit": 0},
        {"refresh_token": "refresh-canary-one"},
        {"email": "nobody@example.org"},
    ]});
    let told = running.data("POST", "tokens/batch-import", accounts).await;
    let figures = ["inserted", "duplicated", "updated", "invalid"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(figures, [1, 1, 0, 1], "{told}");
    let results: Vec<&str> =
        told["results"].as_array().unwrap().iter().map(|one| one["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["created", "duplicate", "invalid"]);

    let texts = json!({"tokens": [" \"refresh-canary-two\" ", "refresh-canary-two", "refresh-canary-lost"]});
    let told = running.data("POST", "tokens/batch-import", texts).await;
    let figures = ["inserted", "duplicated", "hydrated", "hydrate_failed"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(figures, [2, 1, 1, 1], "{told}");
    assert_eq!(told["hydrated_token_ids"], json!([told["results"][0]["id"]]));
    assert!(tokens.calls("refresh-canary-two") > 0);
    let told = running.data("POST", "tokens", json!({"token": "refresh-canary-three"})).await;
    assert_eq!((&told["inserted"], &told["hydrated"]), (&json!(1), &json!(1)));

    // S0-30: the newest first, without secrets.
    let list = running.data("GET", "tokens", Value::Null).await;
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 4);
    assert_eq!(list[3]["email"], "one@example.org");
    assert!(!json!(list).to_string().contains("canary-"), "{list:?}");
    let lost = list.iter().find(|one| one["status"] == "blocked").unwrap();
    assert!(lost["last_error_message"].as_str().is_some_and(|words| !words.is_empty()), "{lost}");

    // By number, or by the id of the credential; S0-32: only that one is refreshed.
    let (id, credential) = (list[3]["id"].as_u64().unwrap(), list[3]["credential"].as_str().unwrap());
    assert_eq!(running.data("GET", &format!("tokens/{credential}"), Value::Null).await["id"], id);
    let calls = || ["refresh-canary-one", "refresh-canary-two"].map(|account| tokens.calls(account));
    let before = calls();
    let told = running.data("POST", &format!("tokens/{id}/refresh"), Value::Null).await;
    assert_eq!((&told["success"], &told["token"]["status"]), (&json!(true), &json!("active")));
    assert!(calls()[0] > before[0] && calls()[1] == before[1], "{before:?} {:?}", calls());
    let told = running.data("POST", &format!("tokens/{}/refresh", lost["id"]), Value::Null).await;
    assert_eq!((&told["success"], &told["token"]["healthy"]), (&json!(false), &json!(false)));
    let told = running.data("POST", &format!("tokens/{id}/health-check"), Value::Null).await;
    assert_eq!(told["success"], true);
    let told = running.data("POST", &format!("tokens/{id}/quota-refresh"), Value::Null).await;
    assert_eq!((&told["success"], &told["quota"]), (&json!(false), &Value::Null), "this service tells none");

    // S0-33 to S0-35.
    let off = running.data("PATCH", &format!("tokens/{id}"), json!({"status": "disabled"})).await;
    assert_eq!(off["status"], "disabled");
    let told = running.data("GET", "tokens/statistics", Value::Null).await;
    let counts = json!({"active": 2, "cooldown": 0, "quota_exhausted": 0, "blocked": 1, "disabled": 1});
    assert_eq!(told, json!({"total": 4, "by_status": counts}));
    let told = running.data("GET", "tokens/health", Value::Null).await;
    assert_eq!(
        (&told["token_count"], &told["healthy_count"], &told["unhealthy_count"]),
        (&json!(4), &json!(2), &json!(2))
    );
    assert_eq!(told["items"].as_array().unwrap().len(), 4);
    let told = running.data("GET", "tokens/readiness", Value::Null).await;
    assert_eq!((&told["ready"], &told["reason"], &told["available_tokens"]), (&json!(true), &json!("ok"), &json!(2)));
    assert_eq!((&told["blocked_tokens"], &told["disabled_tokens"]), (&json!(1), &json!(1)));
    let told = running.data("POST", "tokens/refresh-all", Value::Null).await;
    assert_eq!(told, json!({"total": 2, "success": 2, "failed": 0}));
    running.data("PATCH", &format!("tokens/{id}"), json!({"status": "active"})).await;
    for _ in 0..3 {
        assert_eq!(running.ask("mine/m").await, 200);
    }

    // Deleting.
    assert_eq!(running.data("DELETE", &format!("tokens/{id}"), Value::Null).await, json!({"deleted": true, "id": id}));
    let ids: Vec<&Value> = list.iter().map(|one| &one["id"]).collect();
    let told = running.data("POST", "tokens/batch-delete", json!({"ids": ids})).await;
    assert_eq!((&told["requested"], &told["deleted"], &told["missing"]), (&json!(4), &json!(3), &json!(1)));
    let events = running.data("GET", "tokens/events?limit=2", Value::Null).await;
    assert_eq!((events.as_array().unwrap().len(), &events[0]["action"]), (2, &json!("deleteTokens")));
    assert_eq!((&events[1]["token_id"], &events[1]["result"]), (&json!(id), &json!("success")));
    let told = running.data("GET", "tokens/readiness", Value::Null).await;
    assert_eq!((&told["ready"], &told["reason"]), (&json!(false), &json!("no_available_token")));
    running.stop().await;
}

#[tokio::test]
async fn s0_30_what_is_wrong_with_tokens_is_a_detail() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let tokens = FakeTokenServer::start().await;
    tokens.open("refresh-canary-one");
    let running = pool(folder.path(), &fake, &tokens).await;
    let made = running.data("POST", "tokens", json!({"token": "refresh-canary-one"})).await;
    let id = &made["hydrated_token_ids"][0];
    for (method, path, body, status, words) in [
        ("GET", "tokens/7".to_owned(), Value::Null, 404, "token not found"),
        ("DELETE", "tokens/7".to_owned(), Value::Null, 404, "token not found"),
        ("PATCH", "tokens/7".to_owned(), json!({"status": "active"}), 400, "token not found"),
        ("PATCH", format!("tokens/{id}"), json!({"status": "blocked"}), 400, "give active or disabled"),
        ("PATCH", format!("tokens/{id}"), json!({"status": 1}), 400, "status"),
        ("PATCH", format!("tokens/{id}"), json!({"state": "active"}), 400, "known are: `status`"),
        ("POST", "tokens".to_owned(), json!({}), 400, "token"),
        ("POST", "tokens".to_owned(), json!({"token": ["x"]}), 400, "token"),
        ("POST", "tokens/batch-import".to_owned(), json!({"tokens": "x"}), 400, "a list is expected"),
        ("POST", "tokens/batch-import".to_owned(), json!({}), 400, "at least one"),
        ("POST", "tokens/batch-delete".to_owned(), json!({"ids": [1.5]}), 400, "ids"),
        ("POST", "tokens/batch-delete".to_owned(), json!({"ids": vec![1; 10_001]}), 400, "10000"),
        ("POST", format!("tokens/{id}/refresh"), json!({"x": 1}), 400, "no member is expected"),
        ("PUT", "tokens".to_owned(), Value::Null, 405, "GET, POST"),
        ("POST", format!("tokens/{id}/nothing"), Value::Null, 404, "there is no"),
    ] {
        let (found, answer) = running.try_to(method, &path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{method} {path}: {answer}");
        assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    }
    let address = running.gateway.address;
    let wrong = get(address, "/admin/api/tokens", &[("authorization", "Bearer wrong")]).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("www-authenticate")), (401, "Bearer"));
    let other = send(address, "GET", "/admin/api/tokens", &[("x-admin-token", ADMIN)], "").await;
    assert_eq!(other.status, 200, "the header of older scripts");
    running.stop().await;

    let closed = Gateway::start(several(vec![crate::support::provider("up", Protocol::Chat, &fake.base_url())])).await;
    let answer = get(closed.address, "/admin/api/tokens", &[]).await;
    assert_eq!(answer.status, 503, "no admin key is configured");
    assert!(answer.json().await["detail"].as_str().unwrap().contains("ADMIN_TOKEN"));
}
