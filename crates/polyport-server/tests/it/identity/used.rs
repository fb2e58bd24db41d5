//! What others used is not seen: requests, the ledger, sums, limits.

use std::time::Duration;

use polyport_testkit::raw::post;
use serde_json::{Value, json};

use super::{ADMIN, Running, Shown, start, start_in, text};

/// A member of a team, a key of theirs, and what they asked with it.
struct Tenant {
    manager: Shown,
    member: Shown,
    member_id: String,
    key_id: String,
    request: String,
}

async fn tenant(running: &Running, name: &str) -> Tenant {
    running.to("POST", "teams", json!({ "name": name })).await;
    let manager = json!({ "name": format!("{name} manager"), "team": name, "role": "manager" });
    let manager = text(&running.to("POST", "users", manager).await, "id").to_owned();
    let limits = json!([{ "what": "tokens", "window": "day", "amount": 1_000_000 }]);
    let member = json!({ "name": format!("{name} member"), "team": name, "limits": limits });
    let member_id = text(&running.to("POST", "users", member).await, "id").to_owned();
    let made =
        running.to("POST", "keys", json!({ "name": format!("{name} key"), "user": member_id, "limits": limits })).await;
    let body = json!({ "model": "echo", "messages": [{ "role": "user", "content": format!("{name} canary") }] });
    let headers = [("x-api-key", text(&made, "key"))];
    let answer = post(running.gateway.address, "/v1/chat/completions", &headers, &body).await;
    assert_eq!(answer.status, 200);
    let request = answer.header("x-request-id").to_owned();
    for _ in 0..200 {
        let found = running.to("GET", &format!("requests?id={request}"), Value::Null).await;
        if found["requests"][0].is_object() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Tenant {
        manager: running.session_of(&manager).await,
        member: running.session_of(&member_id).await,
        member_id,
        key_id: text(&made, "id").to_owned(),
        request,
    }
}

#[tokio::test]
async fn a14_what_others_used_is_not_there() {
    let running = start().await;
    let (blue, red) = (tenant(&running, "blue").await, tenant(&running, "crimson").await);
    for shown in [&blue.manager, &blue.member] {
        let read = async |path: &str| running.ask(shown, "GET", path, Value::Null).await;
        for path in ["requests", "ledger", "usage?by=key,user,team,model", "quotas"] {
            let (status, all) = read(path).await;
            let all = all.to_string();
            assert!(status == 200 && all.contains("blue"), "{path}: {all}");
            assert!(
                !all.contains("crimson") && !all.contains(&red.member_id) && !all.contains(&red.key_id),
                "{path}: {all}"
            );
            assert!(!all.contains("\"credential\""), "how providers are reached is nothing for them: {all}");
        }
        assert_eq!(read(&format!("requests/{}", blue.request)).await.0, 200);
        // Another's is as little there as one that never was.
        let (status, refused) = read(&format!("requests/{}", red.request)).await;
        let (same, as_nothing) = read("requests/req_0123456789abcdefABCDEFgh").await;
        assert_eq!((status, same), (404, 404));
        assert_eq!(refused["detail"], as_nothing["detail"]);
        for filter in [
            format!("of_key={}", red.key_id),
            format!("user={}", red.member_id),
            format!("id={}", red.request),
            "q=crimson".to_owned(),
        ] {
            let (status, found) = read(&format!("requests?{filter}")).await;
            assert_eq!((status, found["requests"].as_array().map(Vec::len)), (200, Some(0)), "{filter}: {found}");
        }
        for filter in [format!("of_key={}", red.key_id), format!("user={}", red.member_id)] {
            assert_eq!(read(&format!("ledger?{filter}")).await.1["lines"], json!([]), "{filter}");
            assert_eq!(read(&format!("usage?by=key&{filter}")).await.1["rows"], json!([]), "{filter}");
        }
        let total =
            async |query: &str| read(&format!("overview?step=day&{query}")).await.1["total"]["requests"].clone();
        assert_eq!(total("").await, 1, "of two requests");
        assert_eq!(total(&format!("of_key={}", blue.key_id)).await, 1);
        for filter in [format!("of_key={}", red.key_id), format!("user={}", red.member_id)] {
            assert_eq!(total(&filter).await, 0, "{filter}");
        }
        assert_eq!(read("overview/live").await.0, 403);
        for path in ["requests?credential=x", "ledger?credential=x", "usage?by=credential", "usage?credential=x"] {
            assert_eq!(read(path).await.0, 400, "{path}");
        }
        let exported = running.raw("GET", "requests/export", shown, &Value::Null).await.bytes().await.unwrap();
        let exported = String::from_utf8(exported).unwrap();
        assert!(exported.contains("blue") && !exported.contains("crimson"), "{exported}");
        assert_eq!(running.ask(shown, "POST", &format!("users/{}/forget", red.member_id), Value::Null).await.0, 403);
    }
    // What is forgotten is not found under its name any more, and its use stays.
    running.to("POST", &format!("users/{}/forget", red.member_id), Value::Null).await;
    let all = running.to("GET", "requests?limit=10", Value::Null).await;
    let (names, all) = (all.to_string(), all["requests"].as_array().unwrap().len());
    assert!(all == 2 && !names.contains("crimson member") && !names.contains(&red.member_id), "{names}");
}

#[tokio::test]
async fn limits_of_people_without_keys_are_told() {
    let running = start().await;
    let limits = json!([{ "what": "money", "window": "month", "amount": "25" }]);
    running.to("POST", "teams", json!({ "name": "crew", "limits": limits })).await;
    let user = running.to("POST", "users", json!({ "name": "idle", "team": "crew", "limits": limits })).await;
    let (_, own) = running.ask(&running.session_of(text(&user, "id")).await, "GET", "quotas", Value::Null).await;
    let told: Vec<&str> = own["quotas"].as_array().unwrap().iter().map(|one| text(&one["of"], "name")).collect();
    assert!(told.contains(&"idle"), "{own}");
    let all = running.to("GET", "quotas", Value::Null).await;
    assert_eq!(all["quotas"].as_array().unwrap().len(), 2, "each once: {all}");
    // With a key they are the same limits.
    running.to("POST", "keys", json!({ "name": "of idle", "user": text(&user, "id") })).await;
    assert_eq!(running.to("GET", "quotas", Value::Null).await["quotas"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn credentials_are_told_and_asked_for_by_the_id_of_their_list() {
    let file = "providers:\n  away: { base_url: 'http://127.0.0.1:9/v1', proxy: none, keys: [sk-canary-0123456789-file] }\n\
                models: { m: away/m }\n";
    let running = start_in(tempfile::tempdir().unwrap(), file, &[("ADMIN_TOKEN", ADMIN)]).await;
    let added = json!({ "provider": "away", "key": "sk-canary-0123456789-database", "name": "added" });
    running.to("POST", "credentials", added).await;
    let made = running.to("POST", "keys", json!({ "name": "asks" })).await;
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    for _ in 0..4 {
        post(running.gateway.address, "/v1/chat/completions", &[("x-api-key", text(&made, "key"))], &body).await;
    }
    let list = running.to("GET", "credentials", Value::Null).await;
    let mut ids: Vec<&str> = list["credentials"].as_array().unwrap().iter().map(|one| text(one, "id")).collect();
    ids.sort_unstable();
    assert_eq!(ids.len(), 2, "{list}");
    for _ in 0..200 {
        let found = running.to("GET", "requests", Value::Null).await;
        if found["requests"].as_array().unwrap().len() == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let usage = running.to("GET", "usage?by=credential", Value::Null).await;
    let rows = usage["rows"].as_array().unwrap();
    let mut told: Vec<&str> = rows.iter().filter_map(|one| one["credential"].as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ids, "{usage}");
    for id in ids {
        assert_eq!(text(&running.to("GET", &format!("credentials/{id}"), Value::Null).await, "id"), id);
        let found = running.to("GET", &format!("requests?credential={id}"), Value::Null).await;
        let requests = found["requests"].as_array().unwrap();
        let used = |one: &Value| one["attempts"].as_array().unwrap().iter().any(|attempt| attempt["credential"] == id);
        assert!(!requests.is_empty() && requests.iter().all(used), "{id}: {found}");
        let found = running.to("GET", &format!("ledger?credential={id}"), Value::Null).await;
        let lines = found["lines"].as_array().unwrap();
        assert!(!lines.is_empty() && lines.iter().all(|line| line["credential"] == id), "{id}: {found}");
        let found = running.to("GET", &format!("usage?by=provider&credential={id}"), Value::Null).await;
        assert_eq!(found["rows"][0]["provider"], "away", "{id}: {found}");
    }
    // What never was is nothing, and no mistake.
    assert_eq!(running.to("GET", "requests?credential=none", Value::Null).await["requests"], json!([]));
}
