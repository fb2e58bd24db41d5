//! Settings that the database declares below the configuration file, and the file as it is shown.

use std::time::Duration;

use polyport_testkit::raw::{get, post};
use serde_json::{Value, json};

use crate::declared::{ADMIN, Running, start};

/// A setting as it is told.
async fn setting(running: &Running, path: &str) -> Value {
    let told = running.to("GET", "settings", Value::Null).await;
    let all = told["settings"].as_array().unwrap();
    all.iter().find(|one| one["path"] == path).unwrap_or_else(|| panic!("{path}")).clone()
}

async fn set(running: &Running, patch: Value) -> (u16, Value) {
    running.try_to("PATCH", "settings", patch).await
}

fn told(one: &Value) -> (&Value, &str, bool) {
    (&one["value"], one["owner"].as_str().unwrap(), one["editable"].as_bool().unwrap())
}

const FILE: &str = "discover: false\nproviders: { echo-too: { base_url: 'http://127.0.0.1:9/v1' } }\nlimits: { requests: 50 }\n\
                    accounting: { keep: { requests: 3d } }\n";

#[tokio::test]
async fn the_database_stands_below_the_file_key_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), FILE).await;
    let answer = running.call("GET", "settings", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"0\""));
    assert_eq!(told(&setting(&running, "limits.requests").await), (&json!(50), "file", false));
    let port = setting(&running, "server.port").await;
    assert_eq!(
        (told(&port), &port["restart"], &port["default"]),
        ((&json!(0), "argument", false), &json!(true), &json!(7659))
    );
    let queue = setting(&running, "limits.queue").await;
    assert_eq!(told(&queue), (&json!(1024), "default", true));
    assert!(queue["about"].as_str().unwrap().starts_with("Requests that may wait for a place"));

    let patch = json!({"limits": {"queue": 7, "request_body": "1KiB"}, "accounting": {"keep": {"payloads": "1d"}}, "sticky": false});
    let (status, answer) = set(&running, patch).await;
    assert_eq!((status, &answer["revision"]), (200, &json!(1)), "{answer}");
    for (path, value) in [
        ("limits.queue", json!(7)),
        ("limits.request_body", json!("1KiB")),
        ("accounting.keep.payloads", json!("1d")),
        ("sticky", json!(false)),
    ] {
        assert_eq!(told(&setting(&running, path).await), (&value, "database", true), "{path}");
    }
    assert_eq!(told(&setting(&running, "accounting.keep.requests").await), (&json!("3d"), "file", false));
    // It holds for the next request.
    let body = json!({"model": "echo/x", "messages": [{"role": "user", "content": "x".repeat(4000)}]});
    let refused = post(running.gateway.address, "/v1/chat/completions", &[], &body).await;
    assert_eq!(refused.status, 413);

    // What the file begins to say wins, and comes back when it does not any more.
    std::fs::write(folder.path().join("polyport.yaml"), FILE.replace("requests: 50", "queue: 9")).unwrap();
    running.live.reload().unwrap();
    running.gateway.handle.follow(&running.live).unwrap();
    assert_eq!(told(&setting(&running, "limits.queue").await), (&json!(9), "file", false));
    let (status, answer) = set(&running, json!({"limits": {"queue": 8}})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("declared_elsewhere")));
    assert!(answer["detail"].as_str().unwrap().contains("polyport.yaml (line 3)"), "{answer}");
    assert_eq!(answer["errors"][0]["pointer"], "#/limits/queue");
    std::fs::write(folder.path().join("polyport.yaml"), FILE).unwrap();
    running.live.reload().unwrap();
    running.gateway.handle.follow(&running.live).unwrap();
    assert_eq!(told(&setting(&running, "limits.queue").await), (&json!(7), "database", true));
    running.stop().await;

    let running = start(folder.path(), FILE).await;
    assert_eq!(told(&setting(&running, "limits.queue").await), (&json!(7), "database", true));
    let (status, answer) =
        set(&running, json!({"limits": null, "sticky": null, "accounting": {"keep": {"payloads": null}}})).await;
    assert_eq!((status, &answer["revision"]), (200, &json!(2)));
    assert_eq!(told(&setting(&running, "limits.queue").await), (&json!(1024), "default", true));
    assert_eq!(running.store.declared().list().await.unwrap()[0].value.definition, json!({}));
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_change_is_refused_whole_with_its_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), FILE).await;
    for (patch, pointer, words) in [
        (json!({"limits": {"queue": "many", "json_depth": 5}}), "#/limits/queue", "expected a number from 0"),
        (json!({"limits": {"quue": 5}}), "#/limits/quue", "unknown key `quue`; did you mean `queue`?"),
        (json!({"accounting": {"keep": {"minutes": "1m"}}}), "#/accounting/keep/minutes", "at least 1 days"),
        (
            json!({"accounting": {"quotas": [{"what": "wishes", "window": "day", "amount": 1}]}}),
            "#/accounting/quotas/0/what",
            "",
        ),
        (
            json!({"translation": {"losses": "env:HOME"}}),
            "#/translation/losses",
            "named in the configuration file only",
        ),
        (json!({"limits": 5}), "#/limits", "expected"),
        (json!({"colour": 5}), "#/colour", "unknown key"),
        (json!({"retry": {"patience": "-1s"}}), "#/retry/patience", "a time with its unit"),
    ] {
        let (status, answer) = set(&running, patch.clone()).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalid")), "{patch}: {answer}");
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
    }
    for (patch, pointer) in [
        (json!({"server": {"port": 1}}), "#/server/port"),
        (json!({"access": {"open": true}}), "#/access/open"),
        (json!({"access": {"networks": ["0.0.0.0/0"]}}), "#/access/networks"),
        (json!({"store": {"url": "x"}}), "#/store/url"),
        (json!({"providers": {"a": {}}}), "#/providers"),
        (json!({"log": {"level": "trace"}}), "#/log/level"),
        (json!({"limits": {"requests": 5}}), "#/limits/requests"),
    ] {
        let (status, answer) = set(&running, patch.clone()).await;
        assert_eq!((status, &answer["code"]), (409, &json!("declared_elsewhere")), "{patch}: {answer}");
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{answer}");
    }
    assert_eq!(set(&running, json!([1])).await.0, 400);
    let none = running.to("GET", "settings", Value::Null).await;
    assert_eq!((&none["revision"], &none["problems"]), (&json!(0), &json!([])));

    set(&running, json!({"access": {"sessions": {"idle": "2h"}, "audit": "30d"}})).await;
    assert_eq!(told(&setting(&running, "access.sessions.idle").await), (&json!("2h"), "database", true));
    let stale = running.call("PATCH", "settings", &[("if-match", "\"0\"")], "{\"sticky\":false}").await;
    assert_eq!((stale.status.as_u16(), stale.json().await["code"].clone()), (412, json!("stale")));
    let good = running.call("PATCH", "settings", &[("if-match", "\"1\"")], "{\"sticky\":false}").await;
    assert_eq!((good.status.as_u16(), good.header("etag")), (200, "\"2\""));
    running.stop().await;
}

#[tokio::test]
async fn what_another_gateway_sets_is_taken_and_what_became_wrong_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), FILE).await;
    set(
        &running,
        json!({"limits": {"queue": 7}, "accounting": {"quotas": [{"what": "requests", "window": "day", "amount": 5}]}}),
    )
    .await;
    let stored = running.store.declared().list().await.unwrap().remove(0);
    let mut other = stored.value.clone();
    other.definition["limits"]["queue"] = 21.into();
    other.definition["limits"]["streams"] = "x".into();
    running.store.declared().update(&stored.id, stored.revision, other).await.unwrap();
    for turn in 0.. {
        assert!(turn < 600, "it was never taken");
        if setting(&running, "limits.queue").await["value"] == 21 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = running.to("GET", "settings", Value::Null).await;
    assert_eq!(
        (all["problems"][0]["path"].as_str(), all["problems"].as_array().unwrap().len()),
        (Some("limits.streams"), 1)
    );
    let problems = running.list("problems").await;
    assert_eq!((&problems[0]["kind"], &problems[0]["name"]), (&json!("setting"), &json!("limits.streams")));
    // It is not in the way of others, and can be mended.
    let (status, answer) = set(&running, json!({"limits": {"queue": 22}})).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = set(&running, json!({"limits": {"streams": null}})).await;
    assert_eq!((status, &answer["problems"]), (200, &json!([])), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn the_file_is_shown_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = "# old: sk-canary-0123456789\ndiscover: false\naccess: { keys: [pp-canary-key-0123456789] }\nproviders:\n  up:\n    \
                base_url: http://u:canarypass@127.0.0.1:9/v1?sig=canarysig\n    keys: [sk-canary-two-0123456789, env:ADMIN_TOKEN]\n    \
                headers: { x-a: canary-header-01 }\nnotifications: { webhooks: [{ name: a, url: 'http://127.0.0.1:9/canary/canary/canary', secret: canary-secret-01 }] }\n";
    let running = start(folder.path(), &file.replace("u:canarypass@", "")).await;
    let shown = running.to("GET", "configuration", Value::Null).await;
    let text = shown["text"].as_str().unwrap();
    assert!(!text.contains("canary") && text.contains("env:ADMIN_TOKEN") && text.contains("base_url:"), "{text}");
    assert_eq!(
        (shown["path"].as_str(), &shown["problems"], &shown["reason"]),
        (Some("polyport.yaml"), &json!([]), &Value::Null)
    );
    assert!(
        shown["owners"]["file"].as_u64().unwrap() >= 3 && shown["owners"]["default"].as_u64().unwrap() > 50,
        "{shown}"
    );
    let settings = running.to("GET", "settings", Value::Null).await.to_string();
    assert!(!settings.contains("canary") && settings.contains("pp-…6789"), "{settings}");

    std::fs::write(folder.path().join("polyport.yaml"), file.replace("discover: false", "discover: perhaps")).unwrap();
    running.live.reload().unwrap_err();
    let shown = running.to("GET", "configuration", Value::Null).await;
    assert!(!shown.to_string().contains("canary"), "{shown}");
    assert_eq!(shown["problems"][0]["path"], "discover", "{shown}");
    std::fs::write(folder.path().join("polyport.yaml"), "access: { keys: [pp-canary-key-0123456789, }").unwrap();
    let shown = running.to("GET", "configuration", Value::Null).await;
    assert!(!shown.to_string().contains("canary") && shown["text"].is_null(), "{shown}");
    assert!(shown["reason"].as_str().unwrap().contains("polyport.yaml:1:"), "{shown}");
    running.stop().await;
}

const SECRET: &str = "canary-secret-of-a-hook-0123456789";
const HOOK: &str = "http://127.0.0.1:9/services/canary/canarycanary";

#[tokio::test]
async fn secrets_of_hooks_are_sealed_masked_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), FILE).await;
    let hook = json!({"name": "chat", "url": HOOK, "secret": SECRET, "events": ["quota.near"]});
    let (status, answer) = set(&running, json!({"notifications": {"webhooks": [hook]}})).await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.to_string().contains("canary"), "{answer}");
    let stored = running.store.declared().list().await.unwrap().remove(0);
    assert_eq!(stored.value.definition, json!({"notifications": {}}), "sealed as a whole");
    let shown = setting(&running, "notifications.webhooks").await;
    let mut sent = shown["value"].clone();
    assert_eq!(sent[0]["name"], "chat");
    sent[0]["events"] = json!(["quota.reached"]);
    let (status, answer) = set(&running, json!({"notifications": {"webhooks": sent}})).await;
    assert_eq!(status, 200, "{answer}");
    let hooks = &running.live.current().notifications.hooks;
    assert_eq!(hooks[0].uri.to_string(), HOOK, "what is sent as it was shown stays");
    assert_eq!(hooks[0].key_bytes().unwrap(), SECRET.as_bytes());
    assert_eq!(hooks[0].events.len(), 1);
    // Admins cannot have any machine of the network asked.
    let inside = json!({"notifications": {"webhooks": [{"name": "a", "url": "http://169.254.169.254/latest"}]}});
    let (status, answer) = set(&running, inside).await;
    assert_eq!((status, &answer["errors"][0]["pointer"]), (400, &json!("#/notifications/webhooks/0/url")), "{answer}");
    running.stop().await;

    let running = start(folder.path(), FILE).await;
    assert_eq!(running.live.current().notifications.hooks[0].uri.to_string(), HOOK);
    for file in ["polyport.db", "polyport.db-wal"] {
        let bytes = std::fs::read(folder.path().join("data").join(file)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("canary-secret"), "{file}");
    }
    let answer = get(running.gateway.address, "/admin/api/audit?action=changeSettings", &[("x-api-key", ADMIN)]).await;
    let audit = answer.json().await;
    assert!(audit["audit"].as_array().unwrap().len() >= 3 && !audit.to_string().contains("canary"), "{audit}");
    running.stop().await;
}
