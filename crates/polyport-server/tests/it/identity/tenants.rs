//! Two teams on one gateway: neither sees nor changes anything of the other's, and nobody gives themselves more than they have.

use serde_json::{Value, json};

use super::{Running, Shown, start, start_in, text};

struct Tenant {
    manager: Shown,
    member: Shown,
    member_id: String,
    /// Of the member, and of the team.
    keys: [String; 2],
}

async fn tenant(running: &Running, name: &str) -> Tenant {
    running.to("POST", "teams", json!({ "name": name, "models": ["gpt-*"] })).await;
    let manager = json!({ "name": format!("{name} manager"), "team": name, "role": "manager" });
    let manager = text(&running.to("POST", "users", manager).await, "id").to_owned();
    let member = json!({ "name": format!("{name} member"), "team": name, "models": ["gpt-5"] });
    let member_id = text(&running.to("POST", "users", member).await, "id").to_owned();
    let own = running.to("POST", "keys", json!({ "name": format!("{name} own"), "user": member_id })).await;
    let shared = running.to("POST", "keys", json!({ "name": format!("{name} shared"), "team": name })).await;
    Tenant {
        manager: running.session_of(&manager).await,
        member: running.session_of(&member_id).await,
        member_id,
        keys: [text(&own, "id").to_owned(), text(&shared, "id").to_owned()],
    }
}

fn names(list: &Value) -> Vec<String> {
    let all = list.as_object().unwrap().values().find_map(Value::as_array).unwrap();
    let mut names: Vec<String> = all.iter().map(|one| text(one, "name").to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a14_lists_hold_what_is_ones_own() {
    let running = start().await;
    let (blue, _red) = (tenant(&running, "blue").await, tenant(&running, "red").await);
    let list = async |shown: &Shown, path: &str| names(&running.ask(shown, "GET", path, Value::Null).await.1);
    assert_eq!(list(&blue.manager, "teams").await, ["blue"]);
    assert_eq!(list(&blue.manager, "users").await, ["blue manager", "blue member"]);
    assert_eq!(list(&blue.manager, "keys").await, ["blue own", "blue shared"]);
    assert_eq!(list(&blue.manager, "keys?limit=500&q=red%20").await, Vec::<String>::new());
    assert_eq!(list(&blue.member, "users").await, ["blue member"]);
    assert_eq!(list(&blue.member, "keys").await, ["blue own"]);
    // Names of models that they may ask for, and not where these lead.
    running.to("POST", "providers", json!({ "name": "p", "protocol": "chat", "base_url": "http://127.0.0.1:9/v1", "models": ["gpt-4", "gpt-5", "other"] })).await;
    let mine = async |shown: &Shown| running.ask(shown, "GET", "models?q=gpt", Value::Null).await.1;
    assert_eq!(names(&mine(&blue.member).await), ["gpt-5"]);
    assert_eq!(names(&mine(&blue.manager).await), ["gpt-4", "gpt-5"]);
    let one = &mine(&blue.member).await["models"][0];
    assert_eq!((&one["providers"], &one["targets"], &one["rule"]), (&json!([]), &json!([]), &Value::Null));
    // What one may not see cannot be asked for in other ways.
    for path in ["users?team=red", "keys?team=red", "keys?user=red%20member", "keys?user=nobody", "users?team=none"] {
        let (status, refused) = running.ask(&blue.manager, "GET", path, Value::Null).await;
        assert!(status == 400 && text(&refused, "detail").contains("there is none"), "{path} {refused}");
    }
}

#[tokio::test]
async fn a14_what_belongs_to_another_is_not_there() {
    let running = start().await;
    let (blue, red) = (tenant(&running, "blue").await, tenant(&running, "red").await);
    let body = |method: &str| if method == "PATCH" { json!({ "name": "taken over" }) } else { Value::Null };
    let mut paths = vec![format!("users/{}", red.member_id), "users/red%20member".to_owned()];
    paths.extend(red.keys.iter().map(|id| format!("keys/{id}")));
    for shown in [&blue.manager, &blue.member] {
        for path in &paths {
            for (method, rest) in [
                ("GET", ""),
                ("PATCH", ""),
                ("DELETE", ""),
                ("POST", "/enable"),
                ("POST", "/disable"),
                ("POST", "/rotate"),
                ("DELETE", "/sessions"),
            ] {
                if rest == "/rotate" && path.starts_with("users") || rest == "/sessions" && path.starts_with("keys") {
                    continue;
                }
                let (status, refused) = running.ask(shown, method, &format!("{path}{rest}"), body(method)).await;
                let list = path.split('/').next().unwrap();
                let nothing = format!("{list}/0190a000-0000-7000-8000-000000000000{rest}");
                let (same, as_nothing) = running.ask(shown, method, &nothing, body(method)).await;
                assert_eq!(status, same, "{method} {path}{rest}");
                assert!(matches!(status, 404 | 403), "{method} {path}{rest}: {status} {refused}");
                assert_eq!(refused["code"], as_nothing["code"]);
            }
        }
    }
    for id in &red.keys {
        assert_eq!(running.to("GET", &format!("keys/{id}"), Value::Null).await["revision"], json!(1));
    }
    assert_eq!(running.to("GET", &format!("users/{}", red.member_id), Value::Null).await["revision"], json!(1));
}

#[tokio::test]
async fn a13_nobody_gives_themselves_more_than_they_have() {
    let running = start().await;
    let (blue, red) = (tenant(&running, "blue").await, tenant(&running, "red").await);
    let refused = async |shown: &Shown, method: &str, path: &str, body: Value| {
        let (status, answer) = running.ask(shown, method, path, body.clone()).await;
        assert!(matches!(status, 400 | 403 | 404), "{method} {path} {body}: {status} {answer}");
    };
    // Members: not their own rules, not keys of others, not other owners.
    let own = format!("users/{}", blue.member_id);
    refused(&blue.member, "PATCH", &own, json!({ "models": [] })).await;
    refused(&blue.member, "PATCH", &own, json!({ "role": "admin" })).await;
    refused(&blue.member, "POST", "users", json!({ "name": "x" })).await;
    refused(&blue.member, "POST", "keys", json!({ "name": "x", "team": "blue" })).await;
    refused(&blue.member, "POST", "keys", json!({ "name": "x", "user": red.member_id })).await;
    refused(&blue.member, "POST", "keys", json!({ "name": "x", "user": "blue manager" })).await;
    refused(&blue.member, "PATCH", &format!("keys/{}", blue.keys[0]), json!({ "user": "red member" })).await;
    refused(&blue.member, "PATCH", &format!("keys/{}", blue.keys[1]), json!({ "name": "x" })).await;
    refused(&blue.member, "GET", "pools", Value::Null).await;
    // A key that would belong to nobody, who may do everything, stays its owner's.
    let (status, made) = running.ask(&blue.member, "POST", "keys", json!({ "name": "x", "models": ["*"] })).await;
    assert_eq!((status, text(&made["user"], "id")), (201, blue.member_id.as_str()));
    let path = format!("keys/{}", text(&made, "id"));
    let (status, freed) = running.ask(&blue.member, "PATCH", &path, json!({ "user": null })).await;
    assert_eq!((status, text(&freed["user"], "id")), (200, blue.member_id.as_str()));
    // However wide a key is, its user is not.
    let body = json!({ "model": "claude-x", "messages": [{ "role": "user", "content": "hi" }] });
    let headers = [("x-api-key", text(&made, "key"))];
    let answer = polyport_testkit::raw::post(running.gateway.address, "/v1/chat/completions", &headers, &body).await;
    assert_eq!(answer.status, 403);

    // Managers: members of their own team only.
    for (path, body) in [
        ("users", json!({ "name": "x", "team": "red" })),
        ("users", json!({ "name": "x", "team": null })),
        ("users", json!({ "name": "x", "role": "manager" })),
        ("users", json!({ "name": "x", "role": "admin" })),
        ("keys", json!({ "name": "x", "team": "red" })),
        ("keys", json!({ "name": "x", "user": "red member" })),
        ("teams", json!({ "name": "x" })),
    ] {
        refused(&blue.manager, "POST", path, body).await;
    }
    refused(&blue.manager, "PATCH", &own, json!({ "role": "manager" })).await;
    refused(&blue.manager, "PATCH", &own, json!({ "team": null })).await;
    refused(&blue.manager, "PATCH", &own, json!({ "team": "red" })).await;
    refused(&blue.manager, "PATCH", "users/blue%20manager", json!({ "models": [] })).await;
    refused(&blue.manager, "DELETE", "users/blue%20manager", Value::Null).await;
    refused(&blue.manager, "PATCH", "teams/blue", json!({ "models": [] })).await;
    refused(&blue.manager, "PUT", &format!("{own}/password"), json!({})).await;
    // What is theirs they do.
    let (status, made) = running.ask(&blue.manager, "POST", "users", json!({ "name": "new" })).await;
    assert_eq!((status, text(&made["team"], "name"), text(&made, "role")), (201, "blue", "member"));
    let (status, made) = running.ask(&blue.manager, "POST", "keys", json!({ "name": "new", "user": "new" })).await;
    assert_eq!(status, 201, "{made}");
    let (status, made) = running.ask(&blue.manager, "POST", "keys", json!({ "name": "ours" })).await;
    assert_eq!((status, text(&made["team"], "name")), (201, "blue"));
    let (status, changed) = running.ask(&blue.manager, "PATCH", &own, json!({ "models": ["gpt-4"] })).await;
    assert_eq!((status, &changed["models"]), (200, &json!(["gpt-4"])));
    assert_eq!(running.ask(&blue.manager, "GET", "pools", Value::Null).await.0, 200);
    // A manager needs a team.
    let (status, _) =
        running.ask(&Shown::key(super::ADMIN), "POST", "users", json!({ "name": "y", "role": "manager" })).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a13_a_team_that_is_switched_off_keeps_its_people_out() {
    let running = start().await;
    let blue = tenant(&running, "blue").await;
    running.to("POST", "teams/blue/disable", Value::Null).await;
    for shown in [&blue.manager, &blue.member] {
        assert_eq!(running.ask(shown, "GET", "session", Value::Null).await.0, 401);
    }
    running.to("POST", "teams/blue/enable", Value::Null).await;
    assert_eq!(running.ask(&blue.manager, "GET", "session", Value::Null).await.0, 200);
}

#[tokio::test]
async fn keys_are_good_from_their_networks_only() {
    let file = "access: { trusted_proxies: 127.0.0.1 }";
    let running = start_in(tempfile::tempdir().unwrap(), file, &[("ADMIN_TOKEN", super::ADMIN)]).await;
    running.to("POST", "teams", json!({ "name": "blue", "networks": ["192.0.2.0/24", "2001:db8::/32"] })).await;
    running.to("POST", "users", json!({ "name": "ada", "team": "blue" })).await;
    let made = running.to("POST", "keys", json!({ "name": "k", "user": "ada" })).await;
    let key = text(&made, "key");
    let ask = async |path: &str, address: &str| {
        let headers = [("x-api-key", key), ("x-forwarded-for", address)];
        let answer = polyport_testkit::raw::get(running.gateway.address, path, &headers).await;
        (answer.status.as_u16(), answer.json().await.to_string())
    };
    for (address, fine) in
        [("192.0.2.9", true), ("192.0.3.9", false), ("2001:db8::9", true), ("2001:db9::9", false), ("127.0.0.1", false)]
    {
        let (status, told) = ask("/v1/models", address).await;
        assert_eq!(status, if fine { 200 } else { 403 }, "{address}");
        assert!(fine || told.contains("from the address"), "{told}");
        let (status, told) = ask("/v1/files", address).await;
        assert!(fine != told.contains("from the address") && (fine || status == 403), "{status} {told}");
    }
    // The key's own networks narrow it further; they do not widen it.
    let path = format!("keys/{}", text(&made, "id"));
    let shown = running.to("PATCH", &path, json!({ "networks": ["192.0.2.7", "10.0.0.0/8"] })).await;
    assert_eq!(shown["networks"], json!(["192.0.2.7", "10.0.0.0/8"]));
    for (address, fine) in [("192.0.2.7", true), ("192.0.2.9", false), ("10.0.0.1", false)] {
        assert_eq!(ask("/v1/models", address).await.0, if fine { 200 } else { 403 }, "{address}");
    }
    let (status, refused) =
        running.ask(&Shown::key(super::ADMIN), "PATCH", &path, json!({ "networks": ["everywhere"] })).await;
    assert!(status == 400 && text(&refused, "detail").contains("networks[0]"), "{refused}");
}
