//! What nobody means well: refused with the place and the reason, or taken for the text that it is.

use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{get, send};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::declared::{ADMIN, Running, provider, start};

const LISTS: [&str; 7] = ["providers", "credentials", "pools", "routes", "teams", "users", "keys"];

const WORDS: [&str; 8] =
    ["' OR 1=1 --", "x'); DROP TABLE users; --", "%", "_", "\\", "\"", "🦀 \u{202e} Ω", "${jndi:ldap://127.0.0.1/a}"];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The places that a refusal names.
fn places(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array().unwrap().iter();
    errors.filter_map(|error| error["pointer"].as_str().or(error["parameter"].as_str())).collect()
}

async fn filled() -> (tempfile::TempDir, FakeProvider, Running) {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), "discover: false").await;
    for (list, body) in [
        ("providers", provider("mine", &fake)),
        ("credentials", json!({"provider": "mine", "key": "sk-canary-0123456789abcdef"})),
        ("pools", json!({"name": "sonnet", "targets": ["mine/m"]})),
        ("routes", json!({"name": "gpt", "match": {"model_contains": "gpt"}, "to": "sonnet"})),
        ("teams", json!({"name": "blue"})),
        ("users", json!({"name": "ada"})),
        ("keys", json!({"name": "laptop"})),
    ] {
        running.to("POST", list, body).await;
    }
    (folder, fake, running)
}

#[tokio::test]
async fn a4_hostile_filters_find_nothing_or_are_named() {
    let (_folder, _fake, running) = filled().await;
    for list in LISTS.into_iter().chain(["models", "problems", "prices"]) {
        // Those of some models hold it.
        for word in WORDS.into_iter().filter(|word| list != "prices" || *word != "_") {
            let page = running.to("GET", &format!("{list}?q={}", encoded(word)), Value::Null).await;
            assert_eq!(page[list], json!([]), "{list} {word}");
        }
        let long = format!("q={}", "x".repeat(10_000));
        for (query, parameter) in [
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("limit=-1", "limit"),
            ("limit=1.5", "limit"),
            ("limit=1%20OR%201=1", "limit"),
            ("limit=99999999999999999999999", "limit"),
            ("limit=2&limit=3", "limit"),
            ("after=%27%3B--", "after"),
            ("after=AAAA", "after"),
            ("q=", "q"),
            ("q=%00", "q"),
            (&long, "q"),
            ("sort=name", "sort"),
            ("offset=10", "offset"),
            ("state[]=ready", "state[]"),
        ] {
            let (status, answer) = running.try_to("GET", &format!("{list}?{query}"), Value::Null).await;
            assert_eq!((status, places(&answer)), (400, vec![parameter]), "{list}?{query}: {answer}");
        }
        // The end of the list, however far.
        let far = "MTg0NDY3NDQwNzM3MDk1NTE2MTU6eg";
        let page = running.to("GET", &format!("{list}?after={far}&limit=500"), Value::Null).await;
        assert_eq!(page["next"], Value::Null, "{list}");
    }
    for (query, parameter) in
        [("state=happy", "state"), ("origin=moon", "origin"), ("enabled=1", "enabled"), ("kind=KEY", "kind")]
    {
        let (status, answer) = running.try_to("GET", &format!("credentials?{query}"), Value::Null).await;
        assert_eq!((status, places(&answer)), (400, vec![parameter]), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn hostile_bodies_are_refused_with_the_place_and_change_nothing() {
    let (_folder, fake, running) = filled().await;
    let long = "x".repeat(10_000);
    let key = "sk-canary-fedcba9876543210";
    let mine = |more: Value| {
        let mut body = provider("other", &fake);
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let credential = |more: Value| {
        let mut body = json!({"provider": "mine", "key": key});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (list, body, place) in [
        ("providers", mine(json!({"colour": "red"})), "#/colour"),
        ("providers", mine(json!({"name": long})), "#/name"),
        ("providers", mine(json!({"name": "a\u{0}b"})), "#/name"),
        ("providers", mine(json!({"name": 7})), "#/name"),
        ("providers", mine(json!({"base_url": "file:///etc/passwd"})), "#/base_url"),
        ("providers", mine(json!({"requests": -1})), "#/requests"),
        ("providers", mine(json!({"protocol": "soap"})), "#/protocol"),
        ("providers", mine(json!({"enabled": "yes"})), "#/enabled"),
        ("credentials", credential(json!({"weight": 0})), "#/weight"),
        ("credentials", credential(json!({"weight": -3})), "#/weight"),
        ("credentials", credential(json!({"priority": 1e300})), "#/priority"),
        ("credentials", credential(json!({"pace": "-1/m"})), "#/pace"),
        ("credentials", credential(json!({"name": long})), "#/name"),
        ("credentials", credential(json!({"session_token": "x"})), "#/session_token"),
        ("pools", json!({"name": "p", "targets": ["nobody/m"]}), "#/targets"),
        ("pools", json!({"name": "p", "targets": [{"target": "mine/m", "weight": -1}]}), "#/targets/0/weight"),
        ("pools", json!({"name": "p", "targets": ["mine/m"], "strategy": "luck"}), "#/strategy"),
        ("pools", json!({"name": long, "targets": ["mine/m"]}), "#/name"),
        ("routes", json!({"match": {"modle": "x"}, "to": "sonnet"}), "#/match/modle"),
        ("routes", json!({"match": {"model": "x"}, "to": "nowhere"}), "#/to"),
        ("routes", json!({"name": long, "match": {"model": "x"}, "to": "sonnet"}), "#/name"),
        ("teams", json!({"name": long}), "#/name"),
        ("teams", json!({"name": "t", "models": [long]}), "#/models/0"),
        ("users", json!({"name": "u\nv"}), "#/name"),
        ("users", json!({"name": "u", "role": "god"}), "#/role"),
        ("users", json!({"name": "u", "team": "' OR 1=1 --"}), "#/team"),
        ("keys", json!({"name": "k", "user": "x'); DROP TABLE users; --"}), "#/user"),
        ("keys", json!({"name": "k", "expires_at": -1}), "#/expires_at"),
        ("keys", json!({"name": "k", "expires_at": "1999-01-01T00:00:00Z"}), "#/expires_at"),
        ("keys", json!({"name": "k", "expires_at": 1e300}), "#/expires_at"),
        ("keys", json!({"name": "k", "key": "pp-of-my-own"}), "#/key"),
        ("keys", json!({"name": "k", "revision": 7}), "#/revision"),
    ] {
        let (status, answer) = running.try_to("POST", list, body.clone()).await;
        let told = answer.to_string();
        assert!((400..500).contains(&status), "{list}: {status} {told}");
        assert!(places(&answer).contains(&place), "{list} {place}: {told}");
        assert!(told.len() < 3000 && !told.contains(key), "{told}");
    }
    for list in LISTS {
        let all = running.to("GET", list, Value::Null).await;
        let made = all[list].as_array().unwrap().iter().filter(|one| one["revision"].is_number()).count();
        assert_eq!(made, 1, "{list}");
    }
    // Of another kind, or somebody else's.
    let pool = running.to("GET", "pools/sonnet", Value::Null).await["id"].as_str().unwrap().to_owned();
    for list in ["providers", "credentials", "routes", "teams", "users", "keys"] {
        for method in ["GET", "DELETE"] {
            let (status, answer) = running.try_to(method, &format!("{list}/{pool}"), Value::Null).await;
            assert_eq!(status, 404, "{method} {list}: {answer}");
        }
        for word in WORDS {
            let (status, _) = running.try_to("GET", &format!("{list}/{}", encoded(word)), Value::Null).await;
            assert_eq!(status, 404, "{list} {word}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a4_words_of_other_languages_are_names_like_any_other() {
    let (_folder, _fake, running) = filled().await;
    for (at, word) in WORDS.into_iter().enumerate() {
        let name = format!("{word} {at}");
        for list in ["teams", "users", "keys"] {
            let made = running.to("POST", list, json!({"name": name})).await;
            assert_eq!(made["name"], name);
            let found = running.to("GET", &format!("{list}?q={}", encoded(&name)), Value::Null).await;
            assert_eq!(found[list].as_array().unwrap().len(), 1, "{list} {name}");
        }
        assert_eq!(running.try_to("POST", "users", json!({"name": name})).await.0, 409);
    }
    running.stop().await;
}

#[tokio::test]
async fn bodies_of_another_kind_or_size_are_refused() {
    let (_folder, _fake, running) = filled().await;
    let address = running.gateway.address;
    let ask = async |method: &str, path: &str, kind: &str, body: String| {
        let headers = [("x-api-key", ADMIN), ("content-type", kind)];
        let answer = send(address, method, &format!("/admin/api/{path}"), &headers, body).await;
        let (status, kind) = (answer.status.as_u16(), answer.header("content-type").to_owned());
        assert_eq!(kind, "application/problem+json");
        (status, answer.json().await)
    };
    for kind in
        ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "application/xml"]
    {
        let (status, answer) = ask("POST", "teams", kind, "{\"name\": \"x\"}".to_owned()).await;
        assert_eq!((status, &answer["code"]), (415, &json!("unsupported_media_type")), "{kind}");
    }
    let json = "application/json";
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for body in [deep, "{\"name\": \"\u{fffd}".to_owned(), "nul".to_owned(), "[1, 2".to_owned()] {
        assert_eq!(ask("POST", "teams", json, body).await.0, 400);
    }
    let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(33 << 20));
    assert_eq!(ask("POST", "teams", json, huge).await.0, 413);
    for tag in ["\"7\"", "W/\"7\"", "\"of another kind\""] {
        let headers = [("x-api-key", ADMIN), ("content-type", json), ("if-match", tag)];
        let answer = send(address, "PATCH", "/admin/api/teams/blue", &headers, "{\"enabled\": false}").await;
        assert_eq!(answer.status, 412, "{tag}");
    }
    for tag in ["7, 8", "\"7\", \"8\"", "seven"] {
        let headers = [("x-api-key", ADMIN), ("content-type", json), ("if-match", tag)];
        let answer = send(address, "DELETE", "/admin/api/teams/blue", &headers, "").await;
        assert_eq!(answer.status, 400, "{tag}");
        assert_eq!(answer.json().await["errors"][0]["header"], "If-Match");
    }
    assert_eq!(running.to("GET", "teams/blue", Value::Null).await["enabled"], true);
    running.stop().await;
}

#[tokio::test]
async fn prices_are_found_by_service_and_model() {
    let (_folder, _fake, running) = filled().await;
    let page = running.to("GET", "prices?provider=openai&model=gpt-5", Value::Null).await;
    let price = &page["prices"][0];
    assert_eq!((page["prices"].as_array().unwrap().len(), &price["id"]), (1, &json!("openai/gpt-5")));
    let input = price["sections"][0]["rates"]["input"].as_str().unwrap();
    assert!(input.parse::<f64>().unwrap() > 0.1, "per million: {price}");
    let first = running.to("GET", "prices?limit=500", Value::Null).await;
    let next = running.to("GET", &format!("prices?after={}", first["next"].as_str().unwrap()), Value::Null).await;
    assert_ne!(first["prices"][499]["id"], next["prices"][0]["id"]);
    running.stop().await;
}

#[tokio::test]
async fn the_page_about_the_api_needs_nothing_from_elsewhere() {
    let (_folder, _fake, running) = filled().await;
    for (path, kind) in [
        ("/docs", "text/html"),
        ("/docs/", "text/html"),
        ("/docs/viewer.js", "text/javascript"),
        ("/docs/viewer.css", "text/css"),
    ] {
        let answer = get(running.gateway.address, path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with(kind), "{path}");
        let policy = answer.header("content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
        for outside in ["http://", "https://", "//cdn", "innerHTML", "style=\"", "onclick=\""] {
            assert!(!text.contains(outside), "{path}: {outside}");
        }
    }
    assert_eq!(get(running.gateway.address, "/docs/other", &[]).await.status, 404);
    for (path, status, words) in [
        ("/docs/guide/", 200, "Quick start"),
        ("/docs/guide/clients/claude.html", 200, "polyport launch claude"),
        ("/docs/guide/zh/", 200, "快速上手"),
        ("/docs/guide/style.css", 200, "font-family"),
        ("/docs/guide", 308, ""),
        ("/docs/guide/zh", 308, ""),
        ("/docs/guide/none.html", 404, "begins at"),
        ("/docs/guide/../../etc/passwd", 404, ""),
    ] {
        let answer = get(running.gateway.address, path, &[]).await;
        assert_eq!(answer.status, status, "{path}");
        if status == 200 {
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("script"), "{path}: {policy}");
        }
        let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
        assert!(text.contains(words) && !text.contains("<script"), "{path}: {text}");
    }
    assert_eq!(send(running.gateway.address, "POST", "/docs", &[], "").await.status, 405);
    running.stop().await;
}
