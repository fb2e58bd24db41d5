//! Signing in and out, passwords, the first admin.

use polyport_testkit::raw::{RawClient, get, send};
use serde_json::{Value, json};

use super::{ADMIN, PASSWORD, Running, Shown, shown_by, start, start_in, text};

async fn setup(running: &Running, code: &str) -> (u16, Value) {
    let body = json!({ "code": code, "name": "root", "password": PASSWORD });
    running.ask(&Shown::nothing(), "POST", "setup", body).await
}

#[tokio::test]
async fn the_first_admin_is_made_with_the_code_of_the_terminal() {
    let running = start_in(tempfile::tempdir().unwrap(), "", &[]).await;
    let code = running.gateway.handle.setup_code().unwrap();
    let (_, offer) = running.ask(&Shown::nothing(), "GET", "setup", Value::Null).await;
    assert_eq!((&offer["needed"], &offer["signed_in"]), (&json!(true), &json!(false)));
    assert_eq!(running.ask(&Shown::nothing(), "GET", "users", Value::Null).await.0, 401);
    let (status, refused) = setup(&running, "aaaa-aaaa-aaaa").await;
    assert_eq!((status, text(&refused, "code")), (401, "wrong_code"));
    let weak = json!({ "code": code, "name": "root", "password": "admin123" });
    let (status, refused) = running.ask(&Shown::nothing(), "POST", "setup", weak).await;
    assert!(status == 400 && text(&refused, "detail").contains("others try first"), "{refused}");

    let body = json!({ "code": code, "name": "root", "password": PASSWORD });
    let made = running.raw("POST", "setup", &Shown::nothing(), &body).await;
    assert_eq!(made.status, 201);
    let root = shown_by(made).await;
    let (_, who) = running.ask(&root, "GET", "session", Value::Null).await;
    assert_eq!((text(&who, "name"), text(&who, "role")), ("root", "admin"));
    let (_, offer) = running.ask(&root, "GET", "setup", Value::Null).await;
    assert_eq!((&offer["needed"], &offer["signed_in"]), (&json!(false), &json!(true)));
    assert_eq!(running.ask(&root, "POST", "teams", json!({ "name": "blue" })).await.0, 201);
    // It is good once.
    assert!(running.gateway.handle.setup_code().is_none());
    let (status, refused) = setup(&running, &code).await;
    assert_eq!((status, text(&refused, "code")), (401, "no_setup_code"));
    // Nothing of it, and no password, is in the data folder; and a new start needs no code.
    let Running { gateway, store, folder, .. } = running;
    gateway.stop().await;
    drop(store);
    for entry in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        for secret in [PASSWORD, &code, root.headers[0].1.split_once('=').unwrap().1] {
            assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{secret}");
        }
    }
    let again = start_in(folder, "", &[]).await;
    assert!(again.gateway.handle.setup_code().is_none());
    // Sessions outlive a restart.
    assert_eq!(again.ask(&root, "GET", "session", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a9_the_code_dies_after_ten_wrong_ones() {
    let running = start_in(tempfile::tempdir().unwrap(), "", &[]).await;
    let code = running.gateway.handle.setup_code().unwrap();
    for _ in 0..10 {
        assert_eq!(setup(&running, "aaaa-aaaa-aaaa").await.0, 401);
    }
    assert!(running.gateway.handle.setup_code().is_none());
    let status = setup(&running, &code).await.0;
    assert!(matches!(status, 401 | 429), "{status}");
    assert_eq!(running.store.identities().admins().await.unwrap(), 0);
}

#[tokio::test]
async fn s3_20_a_default_password_forces_a_change() {
    let running = start_in(tempfile::tempdir().unwrap(), "", &[("ADMIN_PASSWORD", "admin123")]).await;
    assert!(running.gateway.handle.setup_code().is_none());
    let admin = running.sign_in("admin", "admin123").await;
    let (_, who) = running.ask(&admin, "GET", "session", Value::Null).await;
    assert_eq!(who["must_change"], json!(true));
    for (method, path) in [("GET", "users"), ("POST", "teams"), ("DELETE", "users/x"), ("GET", "audit")] {
        let (status, refused) = running.ask(&admin, method, path, Value::Null).await;
        assert_eq!((status, text(&refused, "code")), (403, "password_change_needed"), "{method} {path}");
    }
    let change = |new: &str| json!({ "current": "admin123", "password": new });
    for weak in ["admin123", "Administrator1"] {
        assert_eq!(running.ask(&admin, "PUT", "session/password", change(weak)).await.0, 400, "{weak}");
    }
    let changed = running.raw("PUT", "session/password", &admin, &change(PASSWORD)).await;
    assert_eq!(changed.status, 200);
    let changed = shown_by(changed).await;
    assert_eq!(running.ask(&changed, "GET", "users", Value::Null).await.0, 200);
    // The variable counts once: the next start leaves what was chosen.
    let Running { gateway, store, folder, .. } = running;
    gateway.stop().await;
    drop(store);
    let again = start_in(folder, "", &[("ADMIN_PASSWORD", "admin123")]).await;
    let body = json!({ "name": "admin", "password": "admin123" });
    assert_eq!(again.ask(&Shown::nothing(), "POST", "session", body).await.0, 401);
    again.sign_in("admin", PASSWORD).await;
}

#[tokio::test]
async fn s3_20_a_good_password_of_the_environment_is_taken_as_it_is() {
    let running = start_in(tempfile::tempdir().unwrap(), "", &[("ADMIN_PASSWORD", PASSWORD)]).await;
    let admin = running.sign_in("admin", PASSWORD).await;
    assert_eq!(running.ask(&admin, "GET", "users", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a9_nobody_learns_whose_names_there_are() {
    let running = start().await;
    running.user(json!({ "name": "ada" })).await;
    let off = running.user(json!({ "name": "off" })).await;
    running.to("POST", &format!("users/{off}/disable"), Value::Null).await;
    running.to("POST", "users", json!({ "name": "mute" })).await;
    let mut told = Vec::new();
    for (name, password) in
        [("ada", "wrong password"), ("nobody", PASSWORD), ("off", PASSWORD), ("mute", PASSWORD), ("ADA", PASSWORD)]
    {
        let body = json!({ "name": name, "password": password });
        let answer = running.raw("POST", "session", &Shown::nothing(), &body).await;
        assert!(answer.headers.get("set-cookie").is_none());
        let status = answer.status.as_u16();
        let mut answer = answer.json().await;
        answer["instance"] = Value::Null;
        told.push((status, answer));
    }
    assert!(told.iter().all(|one| one.0 == 401 && *one == told[0]), "{told:?}");
}

#[tokio::test]
async fn a9_names_and_addresses_that_fail_have_to_wait() {
    let file = "access: { trusted_proxies: 127.0.0.1 }";
    let running = start_in(tempfile::tempdir().unwrap(), file, &[("ADMIN_TOKEN", ADMIN)]).await;
    running.user(json!({ "name": "ada" })).await;
    let from = |address: &str| Shown::nothing().with("x-forwarded-for", address);
    let try_in = async |address: &str, name: &str, password: &str| {
        let body = json!({ "name": name, "password": password });
        let answer = running.raw("POST", "session", &from(address), &body).await;
        (answer.status.as_u16(), answer.header("retry-after").parse::<u64>().ok())
    };
    // One name from many addresses: it waits, whether anybody has it or not.
    for name in ["ada", "nobody"] {
        for at in 1..=5 {
            assert_eq!(try_in(&format!("192.0.2.{at}"), name, "wrong password").await.0, 401, "{name}");
        }
        let (status, wait) = try_in("192.0.2.9", name, PASSWORD).await;
        assert!(status == 429 && wait.is_some_and(|wait| (1..=30).contains(&wait)), "{name} {status} {wait:?}");
    }
    // Many names from one address.
    for number in 0..10 {
        assert_eq!(try_in("198.51.100.1", &format!("user{number}"), "wrong password").await.0, 401);
    }
    assert_eq!(try_in("198.51.100.1", "another", "wrong password").await.0, 429);
    // Admin keys there, too; elsewhere everything goes on.
    let key = |address: &str, key: &str| from(address).with("x-api-key", key);
    assert_eq!(running.ask(&key("198.51.100.1", ADMIN), "GET", "users", Value::Null).await.0, 429);
    assert_eq!(running.ask(&key("198.51.100.2", ADMIN), "GET", "users", Value::Null).await.0, 200);
    // Whoever guesses keys waits as well; a key that was good there meanwhile is heard.
    let mut statuses = Vec::new();
    for number in 0..30 {
        if number == 5 {
            assert_eq!(running.ask(&key("203.0.113.1", ADMIN), "GET", "users", Value::Null).await.0, 200);
        }
        let guess = format!("ap-guess-{number}");
        statuses.push(running.ask(&key("203.0.113.1", &guess), "GET", "users", Value::Null).await.0);
    }
    assert!(statuses[..10].iter().all(|status| *status == 401) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(running.ask(&key("203.0.113.1", ADMIN), "GET", "users", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a9_guessing_keys_of_clients_is_slowed_down() {
    let file = "access: { trusted_proxies: 127.0.0.1 }";
    let running = start_in(tempfile::tempdir().unwrap(), file, &[("ADMIN_TOKEN", ADMIN)]).await;
    let made = running.to("POST", "keys", json!({ "name": "one" })).await;
    let good = text(&made, "key");
    let models = async |address: &str, key: &str| {
        let headers = [("x-forwarded-for", address), ("x-api-key", key)];
        get(running.gateway.address, "/v1/models", &headers).await.status.as_u16()
    };
    assert_eq!(models("192.0.2.1", "pp-guess").await, 401);
    assert_eq!(models("192.0.2.1", good).await, 200);
    let mut last = 401;
    for number in 0..150 {
        last = models("192.0.2.1", &format!("pp-guess-{number}")).await;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    assert_eq!(models("192.0.2.1", good).await, 200, "it was good there before");
    assert_eq!(models("192.0.2.2", good).await, 200);
}

#[tokio::test]
async fn a12_sessions_are_new_at_every_sign_in_and_dead_when_they_end() {
    let running = start().await;
    let id = running.user(json!({ "name": "ada" })).await;
    let alive = async |shown: &Shown| running.ask(shown, "GET", "session", Value::Null).await.0 == 200;
    // A cookie that somebody else chose is not taken over.
    let planted = Shown::nothing().with("cookie", &format!("polyport={}", "A".repeat(43)));
    let body = json!({ "name": "ada", "password": PASSWORD });
    let first = running.raw("POST", "session", &planted, &body).await;
    let cookie = first.header("set-cookie").to_owned();
    assert!(cookie.starts_with("polyport=") && cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    let first = shown_by(first).await;
    assert!(alive(&first).await && !alive(&planted).await);
    // Signing in again ends the one before.
    let second = shown_by(running.raw("POST", "session", &first, &body).await).await;
    assert!(!alive(&first).await && alive(&second).await);
    let out = running.raw("DELETE", "session", &second, &Value::Null).await;
    assert_eq!(out.status, 200);
    let forgotten: Vec<&str> = out.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(forgotten.len() == 2 && forgotten.iter().all(|cookie| cookie.contains("Max-Age=0")), "{forgotten:?}");
    assert!(!alive(&second).await);
    // Another password, one's own or an admin's doing.
    let (one, two) = (running.sign_in("ada", PASSWORD).await, running.sign_in("ada", PASSWORD).await);
    let change = json!({ "current": PASSWORD, "password": "another horse canary" });
    let changed = running.raw("PUT", "session/password", &one, &change).await;
    assert_eq!(changed.status, 200);
    let changed = shown_by(changed).await;
    assert!(!alive(&one).await && !alive(&two).await && alive(&changed).await);
    let made = running.to("PUT", &format!("users/{id}/password"), json!({})).await;
    assert!(!alive(&changed).await);
    let fresh = running.sign_in("ada", text(&made, "password")).await;
    let (_, who) = running.ask(&fresh, "GET", "session", Value::Null).await;
    assert_eq!(who["must_change"], json!(true));
    // Another role, and being switched off.
    for change in [json!({ "role": "admin" }), json!({ "role": "member" }), json!({ "enabled": false })] {
        running.to("PATCH", "users/ada", json!({ "enabled": true })).await;
        running.to("PUT", &format!("users/{id}/password"), json!({ "password": PASSWORD, "must_change": false })).await;
        running.user(json!({ "name": format!("second {change}"), "role": "admin" })).await;
        let session = running.sign_in("ada", PASSWORD).await;
        assert!(alive(&session).await);
        running.to("PATCH", "users/ada", change.clone()).await;
        assert!(!alive(&session).await, "{change}");
    }
    // All at once.
    running.to("PATCH", "users/ada", json!({ "enabled": true })).await;
    let session = running.sign_in("ada", PASSWORD).await;
    running.to("DELETE", &format!("users/{id}/sessions"), Value::Null).await;
    assert!(!alive(&session).await);
}

#[tokio::test]
async fn a11_pages_of_other_sites_change_nothing() {
    let running = start().await;
    running.user(json!({ "name": "ada", "role": "admin" })).await;
    let ada = running.sign_in("ada", PASSWORD).await;
    let make = async |shown: &Shown| {
        let (status, answer) = running.ask(shown, "POST", "teams", json!({ "name": "evil" })).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    let host = running.gateway.address.to_string();
    for (name, value) in [
        ("origin", "https://evil.example".to_owned()),
        ("origin", "null".to_owned()),
        ("origin", format!("http://{host}.evil.example")),
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
    ] {
        assert_eq!(make(&ada.clone().with(name, &value)).await, (403, "foreign_page".to_owned()), "{name}: {value}");
    }
    let mut bare = ada.clone();
    bare.headers.retain(|(name, _)| name != "x-polyport-csrf");
    assert_eq!(make(&bare).await, (403, "csrf_needed".to_owned()));
    assert_eq!(make(&bare.clone().with("x-polyport-csrf", "x")).await.1, "csrf_needed");
    // Another one's does not fit.
    let other = running.sign_in("ada", PASSWORD).await;
    let foreign = other.headers.iter().find(|(name, _)| name == "x-polyport-csrf").unwrap().1.clone();
    assert_eq!(make(&ada.clone().with("x-polyport-csrf", &foreign)).await.1, "csrf_needed");
    assert!(running.to("GET", "teams", Value::Null).await["teams"].as_array().unwrap().is_empty());
    let ours = ada.clone().with("origin", &format!("http://{host}")).with("sec-fetch-site", "same-origin");
    assert_eq!(make(&ours).await.0, 201);

    // Nor do they sign anybody in, whatever form they send.
    let body = json!({ "name": "ada", "password": PASSWORD });
    let foreign = Shown::nothing().with("origin", "https://evil.example");
    assert_eq!(running.ask(&foreign, "POST", "session", body.clone()).await.0, 403);
    let form = [("content-type", "text/plain")];
    let answer = send(running.gateway.address, "POST", "/admin/api/session", &form, body.to_string()).await;
    assert_eq!(answer.status, 415);

    // A browser that asks first is not told that it may.
    let preflight =
        Shown::nothing().with("origin", "https://evil.example").with("access-control-request-method", "POST");
    let answer = running.raw("OPTIONS", "teams", &preflight, &Value::Null).await;
    assert!(
        !answer.status.is_success() && answer.headers.keys().all(|name| !name.as_str().starts_with("access-control"))
    );

    // A name that a hostile resolver points here.
    let cookie = &ada.headers.iter().find(|(name, _)| name == "cookie").unwrap().1;
    let mut raw = RawClient::connect(running.gateway.address).await.unwrap();
    let request = format!("GET /admin/api/session HTTP/1.1\r\nhost: evil.example\r\ncookie: {cookie}\r\n\r\n");
    raw.send(request.as_bytes()).await.unwrap();
    assert_eq!(raw.answer().await.status, 403);
}

#[tokio::test]
async fn a11_answers_are_for_our_page_only() {
    let running = start().await;
    for (shown, path, status) in [
        (Shown::key(ADMIN), "users", 200),
        (Shown::nothing(), "users", 401),
        (Shown::key(ADMIN), "nothing", 404),
        (Shown::nothing(), "setup", 200),
    ] {
        let answer = running.raw("GET", path, &shown, &Value::Null).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn over_https_the_cookie_has_the_guarded_name() {
    let file = "access: { trusted_proxies: 127.0.0.1 }";
    let running = start_in(tempfile::tempdir().unwrap(), file, &[("ADMIN_TOKEN", ADMIN)]).await;
    running.user(json!({ "name": "ada" })).await;
    let proxied = Shown::nothing().with("x-forwarded-for", "192.0.2.1").with("x-forwarded-proto", "https");
    let proxied = proxied.with("x-forwarded-host", "gw.example").with("origin", "https://gw.example");
    let body = json!({ "name": "ada", "password": PASSWORD });
    let answer = running.raw("POST", "session", &proxied, &body).await;
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-polyport=") && cookie.ends_with("; Secure"), "{cookie}");
    let value = cookie.split(';').next().unwrap();
    let (status, who) = running.ask(&proxied.clone().with("cookie", value), "GET", "session", Value::Null).await;
    assert_eq!((status, text(&who, "name")), (200, "ada"));
    let plain = value.replace("__Host-", "");
    assert_eq!(running.ask(&proxied.with("cookie", &plain), "GET", "session", Value::Null).await.0, 401);
}

#[tokio::test]
async fn holders_of_admin_keys_have_no_session() {
    let running = start().await;
    let key = Shown::key(ADMIN).with("x-admin-actor", "grace");
    let (status, who) = running.ask(&key, "GET", "session", Value::Null).await;
    assert_eq!((status, text(&who, "kind"), text(&who, "actor"), text(&who, "role")), (200, "key", "grace", "admin"));
    for (method, path, body) in
        [("DELETE", "session", Value::Null), ("PUT", "session/password", json!({ "current": "a", "password": "b" }))]
    {
        let (status, refused) = running.ask(&key, method, path, body).await;
        assert_eq!((status, text(&refused, "code")), (409, "no_user"));
    }
}

#[tokio::test]
async fn the_last_admin_who_can_sign_in_stays() {
    let running = start().await;
    running.user(json!({ "name": "root", "role": "admin" })).await;
    running.to("POST", "users", json!({ "name": "mute", "role": "admin" })).await;
    for (method, path, body) in [
        ("DELETE", "users/root", Value::Null),
        ("PATCH", "users/root", json!({ "role": "member" })),
        ("PATCH", "users/root", json!({ "enabled": false })),
        ("POST", "users/root/disable", Value::Null),
    ] {
        let (status, refused) = running.ask(&Shown::key(ADMIN), method, path, body).await;
        assert_eq!((status, text(&refused, "code")), (409, "last_admin"), "{method} {path}");
    }
    running.user(json!({ "name": "second", "role": "admin" })).await;
    running.to("DELETE", "users/root", Value::Null).await;
}
