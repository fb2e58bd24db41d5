//! The OpenAPI document tells the truth: every endpoint answers as it says, member by member.

use std::collections::BTreeSet;

use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{get, post, send};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::declared::{ADMIN, Running, provider, start};

/// The document, and the operations that were seen to do what they are for.
struct Document {
    text: Value,
    done: BTreeSet<String>,
}

impl Document {
    /// The operation of a path.
    fn operation(&self, method: &str, path: &str) -> &Value {
        let path = path.split('?').next().unwrap();
        let fits = |pattern: &str| {
            let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
            pattern.len() == path.len() && pattern.iter().zip(&path).all(|(one, other)| *one == "{id}" || one == other)
        };
        let paths = self.text["paths"].as_object().unwrap();
        let exact = paths.get(path).or_else(|| paths.iter().find(|(pattern, _)| fits(pattern)).map(|(_, path)| path));
        &exact.unwrap_or_else(|| panic!("{path}"))[method.to_lowercase()]
    }

    fn resolved<'d>(&'d self, about: &'d Value) -> &'d Value {
        match about["$ref"].as_str() {
            Some(reference) => self.text.pointer(reference.trim_start_matches('#')).unwrap(),
            None => about,
        }
    }

    /// Asks, and compares the answer with what the document says of it.
    async fn ask(&mut self, running: &Running, method: &str, path: &str, body: Value) -> Value {
        let path = format!("/admin/api/{path}");
        let headers = [("x-api-key", ADMIN), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = send(running.gateway.address, method, &path, &headers, body).await;
        let (status, kind) = (answer.status.as_u16(), answer.header("content-type").to_owned());
        let operation = self.operation(method, &path);
        let told = self.resolved(&operation["responses"][status.to_string()]);
        assert!(told.is_object(), "{method} {path}: {status} is not in the document");
        for (name, header) in told["headers"].as_object().unwrap() {
            let given = !answer.header(name).is_empty();
            assert!(given || header["required"] != true, "{method} {path}: {name}");
        }
        let value = answer.json().await;
        let mut schema = told["content"][&*kind]["schema"].clone();
        assert!(schema.is_object(), "{method} {path}: {kind}");
        let mut components = self.text["components"].clone();
        close(&mut components["schemas"]);
        close(&mut schema);
        schema["components"] = components;
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{method} {path}: {wrong:#?}\n{value:#}");
        if status < 300 {
            let operation = operation["operationId"].as_str().unwrap().to_owned();
            self.done.insert(operation);
        }
        value
    }
}

/// What a schema does not name may not be there.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[tokio::test]
async fn every_endpoint_answers_as_the_document_says() {
    let (folder, fake) =
        (tempfile::tempdir().unwrap(), FakeProvider::builder(Protocol::Chat).models(["m"]).start().await);
    let tokens = FakeTokenServer::start().await;
    tokens.open("refresh-one");
    tokens.open("refresh-two");
    let url = fake.base_url();
    let file = format!(
        "discover: false\nproviders:\n  file: {{ base_url: \"{url}\", proxy: none, keys: [sk-of-the-file] }}\n  off: {{ base_url: \"{url}\", enabled: false \
         }}\nmodels: {{ m: file/m, \"g-*\": \"file/*\" }}\npools:\n  fast: {{ targets: [file/m], tier: tool }}\nroutes:\n  - {{ match: {{ model_contains: zz }}, to: file }}\n"
    );
    let running = start(folder.path(), &file).await;
    let answer = get(running.gateway.address, "/admin/api/openapi.json", &[]).await;
    assert_eq!(answer.status, 200, "no key is needed");
    let mut document = Document { text: answer.json().await, done: BTreeSet::new() };

    let mut mine = provider("mine", &fake);
    mine["oauth"] = json!({"token_url": tokens.url(), "client_id": "c"});
    mine["headers"] = json!({"x-secret": "quiet"});
    for (list, body) in [
        ("providers", mine),
        ("credentials", json!({"provider": "mine", "key": "sk-canary-0123456789abcdef", "pace": "60/m"})),
        ("pools", json!({"name": "sonnet", "tier": "normal", "targets": ["mine/m"]})),
        ("routes", json!({"name": "gpt", "match": {"model_contains": "gpt", "header": {"x-a": "b"}}, "to": "sonnet"})),
        ("teams", json!({"name": "blue", "models": ["m"]})),
        ("users", json!({"name": "ada", "team": "blue", "protocols": ["chat"]})),
        ("keys", json!({"name": "laptop", "user": "ada", "expires_at": "2099-01-31T12:00:00Z"})),
    ] {
        document.ask(&running, "POST", list, body.clone()).await;
        assert!(body["name"].is_string() || list == "credentials");
    }
    assert_eq!(running.ask("m").await, 401, "there is a key now");
    document.ask(&running, "POST", "tokens", json!({"token": "refresh-one"})).await;
    let texts = json!({"accounts": [{"refresh_token": "refresh-two", "email": "a@b", "status": "x"}, {}]});
    document.ask(&running, "POST", "tokens/batch-import", texts).await;
    let entries = json!({"provider": "mine", "credentials": ["sk-canary-0123456789abcdef", "sk-xxxx", {"a": 1}]});
    document.ask(&running, "POST", "credentials/import", entries).await;
    let mut ids = Vec::new();
    for list in ["providers", "credentials", "pools", "routes", "teams", "users", "keys"] {
        let page = document.ask(&running, "GET", list, Value::Null).await;
        let all = page[list].as_array().unwrap();
        let of_database = all.iter().find(|one| one["revision"].is_number()).unwrap();
        ids.push((list, of_database["id"].as_str().unwrap().to_owned()));
        for one in all {
            let id = ["id", "name", "index"].iter().find_map(|name| one.get(*name)).unwrap();
            let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            document.ask(&running, "GET", &format!("{list}/{id}"), Value::Null).await;
        }
    }
    for (list, id) in &ids {
        for act in ["disable", "enable"] {
            document.ask(&running, "POST", &format!("{list}/{id}/{act}"), Value::Null).await;
        }
        document.ask(&running, "PATCH", &format!("{list}/{id}"), json!({"enabled": true})).await;
        document.ask(&running, "PATCH", &format!("{list}/{id}"), json!({"colour": "red"})).await;
        document.ask(&running, "POST", list, json!([])).await;
        document.ask(&running, "GET", &format!("{list}?limit=0"), Value::Null).await;
        document.ask(&running, "GET", &format!("{list}/nobody"), Value::Null).await;
        document.ask(&running, "DELETE", &format!("{list}/nobody"), Value::Null).await;
    }
    let credential = &ids[1].1;
    for act in ["probe", "revive", "refresh", "quota"] {
        document.ask(&running, "POST", &format!("credentials/{credential}/{act}"), Value::Null).await;
    }
    let list = document.ask(&running, "GET", "tokens", Value::Null).await;
    let token = list["data"][0]["id"].to_string();
    let account = list["data"][0]["credential"].as_str().unwrap();
    document.ask(&running, "POST", &format!("credentials/{account}/refresh"), Value::Null).await;
    document.ask(&running, "GET", &format!("credentials/{account}"), Value::Null).await;
    for act in ["refresh", "health-check", "quota-refresh"] {
        document.ask(&running, "POST", &format!("tokens/{token}/{act}"), Value::Null).await;
    }
    document.ask(&running, "GET", &format!("tokens/{token}"), Value::Null).await;
    document.ask(&running, "PATCH", &format!("tokens/{token}"), json!({"status": "active"})).await;
    document.ask(&running, "PATCH", "tokens/1", json!({"status": "active"})).await;
    for path in ["statistics", "health", "readiness", "events"] {
        document.ask(&running, "GET", &format!("tokens/{path}"), Value::Null).await;
        document.ask(&running, "GET", &format!("credentials/{path}"), Value::Null).await;
    }
    document.ask(&running, "POST", "tokens/refresh-all", Value::Null).await;
    let rotated =
        document.ask(&running, "POST", &format!("keys/{}/rotate", ids[6].1), json!({"overlap_seconds": 5})).await;
    let limits = json!([{"what": "tokens", "window": "day", "amount": 100_000}, {"what": "money", "window": "total", "amount": "1.5", "models": "m*"}]);
    document.ask(&running, "PATCH", "users/ada", json!({"limits": limits})).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let headers = [("x-api-key", rotated["key"].as_str().unwrap())];
    assert_eq!(post(running.gateway.address, "/v1/chat/completions", &headers, &body).await.status, 200);
    let logged = loop {
        let page = document.ask(&running, "GET", "requests", Value::Null).await;
        match page["requests"][0]["id"].as_str() {
            Some(id) => break id.to_owned(),
            None => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    for path in [
        &format!("requests/{logged}"),
        "requests/nobody",
        "requests?status=x",
        "ledger",
        "usage?by=key,model&series=true",
        "usage?by=x",
        "overview?step=hour",
        "overview?step=minute",
        "overview?from=2&to=1",
        "quotas",
    ] {
        document.ask(&running, "GET", path, Value::Null).await;
    }
    document.ask(&running, "POST", "users/ada/forget", Value::Null).await;
    document.ask(&running, "POST", "users/nobody/forget", Value::Null).await;
    for path in [
        "providers/file/models",
        "providers/file/learned",
        "models",
        "problems",
        "status",
        "prices?limit=500",
        "presets",
        "clients",
        "clients?model=m&protocol=chat",
        "export",
        "openapi.json",
    ] {
        document.ask(&running, "GET", path, Value::Null).await;
    }
    document.ask(&running, "GET", "settings", Value::Null).await;
    document.ask(&running, "PATCH", "settings", json!({"limits": {"queue": 99}, "sticky": null})).await;
    document.ask(&running, "PATCH", "settings", json!({"limits": {"queue": "many"}})).await;
    document.ask(&running, "PATCH", "settings", json!({"server": {"port": 1}})).await;
    document.ask(&running, "GET", "configuration", Value::Null).await;
    let hook = json!({"name": "chat", "url": format!("{url}/hook")});
    document.ask(&running, "PATCH", "settings", json!({"notifications": {"webhooks": [hook]}})).await;
    document.ask(&running, "POST", "notifications/test", json!({"webhook": "chat"})).await;
    document.ask(&running, "POST", "notifications/test", json!({"webhook": "nobody"})).await;
    document.ask(&running, "GET", "notifications", Value::Null).await;
    let definition = json!({"base_url": url, "proxy": "none"});
    let tried = json!({"provider": definition, "credential": {"key": "sk-tried-0123456789"}, "model": "m", "timeout_ms": 60000});
    document.ask(&running, "POST", "providers/try", tried).await;
    document.ask(&running, "POST", "providers/try", json!({"provider": "file"})).await;
    document.ask(&running, "POST", "providers/try", json!({"provider": {"base_url": "http://127.0.0.1:9/v1"}})).await;
    document.ask(&running, "POST", "providers/try", json!({"provider": {"base_url": "nonsense"}})).await;
    document.ask(&running, "POST", "providers/try", json!({"provider": "nobody"})).await;
    let whole = json!({
        "providers": [{ "name": "moved", "base_url": "http://127.0.0.1:9/v1" }],
        "credentials": [{ "provider": "moved", "key": "sk-moved-0123456789" }],
        "pools": [{ "name": "moved-pool", "targets": ["moved/m"] }],
        "teams": [{ "name": "movers" }],
        "users": [{ "name": "mona", "team": "movers" }],
        "keys": [{ "name": "mona's", "key": "sk-of-mona-0123456789", "user": "mona" }],
    });
    let mut rehearsal = whole.clone();
    rehearsal["dry_run"] = true.into();
    document.ask(&running, "POST", "import", rehearsal).await;
    document.ask(&running, "POST", "import", whole).await;
    document.ask(&running, "POST", "import", json!({ "pools": [{ "name": "x", "targets": ["nowhere/m"] }] })).await;
    document.ask(&running, "DELETE", "providers/file/learned", Value::Null).await;
    let asked = json!({"model": "fast", "headers": {"x-session-id": "s"}, "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}});
    document.ask(&running, "POST", "explain", asked).await;
    document.ask(&running, "POST", "explain", json!({"model": "nobody"})).await;
    let new = json!({"targets": ["file/m", "mine/m"], "strategy": "ordered"});
    for pool in [json!("fast"), new, json!("nobody"), json!({"targets": ["nowhere/m"]}), json!(7)] {
        document.ask(&running, "POST", "pools/preview", json!({"pool": pool, "turns": 3})).await;
    }

    // People sign in.
    let made = document.ask(&running, "PUT", "users/ada/password", json!({})).await;
    document.ask(&running, "PUT", "users/ada/password", json!({"password": "1", "must_change": false})).await;
    document.ask(&running, "POST", "session", json!({"name": "ada", "password": made["password"]})).await;
    document.ask(&running, "POST", "session", json!({"name": "ada", "password": "wrong"})).await;
    document.ask(&running, "POST", "setup", json!({"code": "x", "name": "y", "password": "z"})).await;
    for path in ["session", "setup", "audit?limit=3", "audit?since=yesterday"] {
        document.ask(&running, "GET", path, Value::Null).await;
    }
    document.ask(&running, "DELETE", "session", Value::Null).await;
    document.ask(&running, "PUT", "session/password", json!({"current": "a", "password": "b"})).await;
    document.ask(&running, "DELETE", "users/ada/sessions", Value::Null).await;

    // Nothing needs these.
    document.ask(&running, "POST", "providers", provider("free", &fake)).await;
    document.ask(&running, "POST", "providers/free/disable", Value::Null).await;
    document.ask(&running, "POST", "pools", json!({"name": "free", "targets": ["mine/m"]})).await;
    document.ask(&running, "POST", "pools/free/disable", Value::Null).await;
    document.ask(&running, "DELETE", "pools/free", Value::Null).await;

    // What is in the way, and what is not in force.
    document.ask(&running, "DELETE", "providers/mine", Value::Null).await;
    document.ask(&running, "DELETE", "teams/blue", Value::Null).await;
    document.ask(&running, "PATCH", "providers/file", json!({"enabled": true})).await;
    document.ask(&running, "DELETE", &format!("tokens/{token}"), Value::Null).await;
    document.ask(&running, "POST", "tokens/batch-delete", json!({"ids": [account, list["data"][1]["id"], 7]})).await;
    for (list, id) in ids.iter().rev() {
        document.ask(&running, "DELETE", &format!("{list}/{id}"), Value::Null).await;
    }

    let all = document.text["paths"].as_object().unwrap().iter();
    let of_admins = all.filter(|(path, _)| path.starts_with("/admin/"));
    let operations = of_admins.flat_map(|(_, methods)| methods.as_object().unwrap().values());
    let missing: Vec<&str> = operations
        .map(|operation| operation["operationId"].as_str().unwrap())
        .filter(|operation| !document.done.contains(*operation))
        .collect();
    // The fake service tells no quota, two answers are no objects, and there is no identity provider; a key has no session to end, nor a password, and there is an admin key.
    assert_eq!(
        missing,
        [
            "askQuotaOfCredential",
            "exportRequests",
            "followRequests",
            "followOverview",
            "backUp",
            "setUp",
            "goElsewhere",
            "comeBack",
            "signOut",
            "changeOwnPassword"
        ]
    );
    running.stop().await;
}
