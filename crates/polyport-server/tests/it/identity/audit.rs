//! What was done is written down, with who did it and without secrets.

use serde_json::{Value, json};

use super::{ADMIN, PASSWORD, Shown, start, text};

#[tokio::test]
async fn what_was_done_is_written_down_with_its_actor() {
    let running = start().await;
    let id = running.user(json!({ "name": "root", "role": "admin" })).await;
    let root = running.sign_in("root", PASSWORD).await;
    let wrong = json!({ "name": "root\u{1b}[31m", "password": "wrong canary password" });
    running.ask(&Shown::nothing(), "POST", "session", wrong).await;
    let (_, made) = running.ask(&root, "POST", "teams", json!({ "name": "blue", "models": ["a"] })).await;
    let team = text(&made, "id").to_owned();
    running.ask(&root, "DELETE", "teams/none", Value::Null).await;
    let grace = Shown::key(ADMIN).with("x-admin-actor", "grace");
    let (_, key) = running.ask(&grace, "POST", "keys", json!({ "name": "k", "team": "blue" })).await;
    let credential = json!({ "provider": "none", "key": "sk-canary-secret" });
    let (status, _) = running.ask(&grace, "POST", "credentials", credential).await;
    assert!(status >= 400);
    let member = text(&running.to("POST", "users", json!({ "name": "eve" })).await, "id").to_owned();
    let eve = running.session_of(&member).await;
    assert_eq!(running.ask(&eve, "DELETE", "teams/blue", Value::Null).await.0, 403);
    running.ask(&root, "DELETE", "session", Value::Null).await;

    let (_, page) = running.ask(&grace, "GET", "audit?limit=100", Value::Null).await;
    let entries = page["audit"].as_array().unwrap();
    let seen: Vec<(&str, &str, i64)> = entries
        .iter()
        .rev()
        .map(|one| (text(one, "action"), text(&one["actor"], "name"), one["status"].as_i64().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("createUser", "env:ADMIN_TOKEN", 201),
            ("setPasswordOfUser", "env:ADMIN_TOKEN", 200),
            ("signIn", "root", 200),
            ("signIn", "root[31m", 401),
            ("createTeam", "root", 201),
            ("deleteTeam", "root", 404),
            ("createKey", "grace", 201),
            ("createCredential", "grace", i64::from(status)),
            ("createUser", "env:ADMIN_TOKEN", 201),
            ("deleteTeam", "eve", 403),
            ("signOut", "root", 200),
        ]
    );
    let of = |action: &str| entries.iter().find(|one| one["action"] == action).unwrap();
    let team_made = of("createTeam");
    assert_eq!((text(team_made, "object_kind"), text(team_made, "object")), ("teams", team.as_str()));
    assert_eq!(team_made["detail"], json!({ "name": "blue", "models": ["a"] }));
    assert_eq!((text(&team_made["actor"], "kind"), text(&team_made["actor"], "id")), ("user", id.as_str()));
    assert_eq!(text(team_made, "address"), "127.0.0.1");
    assert!(text(team_made, "request").starts_with("req_"));
    let key_made = of("createKey");
    assert_eq!((text(&key_made["actor"], "kind"), text(&key_made["actor"], "id")), ("key", "env:ADMIN_TOKEN"));
    assert_eq!(of("createCredential")["detail"]["key"], json!("…"));

    // A8: no secret of anybody.
    let all = page.to_string();
    let cookie = &root.headers.iter().find(|(name, _)| name == "cookie").unwrap().1;
    for secret in ["canary", text(&key, "key"), cookie.split_once('=').unwrap().1] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn the_audit_log_is_paged_and_filtered() {
    let running = start().await;
    let actor = |name: &str| Shown::key(ADMIN).with("x-admin-actor", name);
    for number in 0..5 {
        let name = if number % 2 == 0 { "ada" } else { "eve" };
        running.ask(&actor(name), "POST", "teams", json!({ "name": format!("t{number}") })).await;
    }
    let list = async |query: &str| running.to("GET", &format!("audit?{query}"), Value::Null).await;
    let names = |page: &Value| -> Vec<String> {
        let all = page["audit"].as_array().unwrap();
        all.iter().map(|one| text(&one["detail"], "name").to_owned()).collect()
    };
    let first = list("limit=2").await;
    assert_eq!(names(&first), ["t4", "t3"]);
    let second = list(&format!("limit=2&after={}", text(&first, "next"))).await;
    assert_eq!(names(&second), ["t2", "t1"]);
    let last = list(&format!("limit=2&after={}", text(&second, "next"))).await;
    assert_eq!((names(&last), &last["next"]), (vec!["t0".to_owned()], &Value::Null));
    assert_eq!(names(&list("actor=eve").await), ["t3", "t1"]);
    assert_eq!(names(&list("action=deleteTeam").await), Vec::<String>::new());
    assert_eq!(names(&list("until=2020-01-01T00:00:00Z").await), Vec::<String>::new());
    assert_eq!(names(&list("since=2020-01-01T00:00:00Z&object_kind=teams").await).len(), 5);
    let (status, refused) = running.ask(&actor("ada"), "GET", "audit?since=yesterday", Value::Null).await;
    assert_eq!((status, &refused["errors"][0]["parameter"]), (400, &json!("since")));
    // Long and odd names of actors are cut and cleaned.
    let long = "x".repeat(5000);
    running.ask(&actor(&long), "POST", "teams", json!({ "name": "long" })).await;
    let newest = list("limit=1").await;
    assert_eq!(text(&newest["audit"][0]["actor"], "name").len(), 100);
}
