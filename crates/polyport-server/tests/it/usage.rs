//! The request log, the ledger, sums and limits, as operators read them.

use std::time::Duration;

use polyport_testkit::provider::{Answer, FakeProvider, Hold, Step, Tokens};
use polyport_testkit::raw::{get, post};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::people::{ADMIN, Running, start, text};
use crate::support::request;

impl Running {
    async fn read(&self, path: &str) -> Value {
        self.to("GET", path, Value::Null).await
    }

    /// Reads until there are so many, which is when the writer was there.
    async fn until(&self, path: &str, list: &str, many: usize) -> Vec<Value> {
        for _ in 0..200 {
            let found = self.read(path).await[list].as_array().unwrap().clone();
            if found.len() >= many {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path} never had {many}: {}", self.read(path).await);
    }

    async fn key(&self, members: Value) -> (String, String) {
        let made = self.to("POST", "keys", members).await;
        (text(&made, "id").to_owned(), text(&made, "key").to_owned())
    }
}

#[tokio::test]
async fn d11_the_four_protocols_report_the_same_classes_and_the_log_has_them() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let tokens = Tokens { input: 100, cache_read: 40, output: 20, reasoning: 7, ..Tokens::default() };
    fake.always(Step::answer(Answer::default().text("hello there").usage(tokens)));
    let running = start(folder.path(), &fake).await;
    let (id, key) = running.key(json!({ "name": "laptop" })).await;
    for client in ClientProtocol::ALL {
        for stream in [false, true] {
            let (path, body) = request(client, stream);
            let answer = post(running.gateway.address, path, &[("x-api-key", &key)], &body).await;
            assert_eq!(answer.status, 200);
            answer.bytes().await.unwrap();
        }
    }
    let found = running.until("requests", "requests", 8).await;
    for one in &found {
        assert_eq!(one["key"], json!({ "id": id, "name": "laptop" }));
        assert_eq!(
            (one["outcome"].as_str(), one["status"].as_u64(), one["tokens"].as_u64()),
            (Some("answered"), Some(200), Some(167))
        );
        assert_eq!(one["source"], "127.0.0.1");
        let attempt = &one["attempts"][0];
        assert_eq!(attempt["counts"], json!({ "input": 100, "cache_read": 40, "output": 20, "reasoning": 7 }), "{one}");
        assert_eq!((attempt["state"].as_str(), attempt["ending"].as_str()), (Some("settled"), Some("complete")));
        assert_eq!(
            (&attempt["cost"], attempt["unpriced"].as_bool()),
            (&Value::Null, Some(true)),
            "no price is not zero"
        );
        assert!(one["finish"].is_string(), "{one}");
    }
    let lines = running.until("ledger?state=settled", "lines", 8).await;
    assert!(lines.iter().all(|line| line["charged"] == true && line["tokens"] == 167));
    let sums = running.read(&format!("usage?by=key,model&of_key={id}")).await;
    let row = &sums["rows"][0];
    assert_eq!(
        (row["requests"].as_u64(), row["tokens"].as_u64(), row["ok"].as_u64()),
        (Some(8), Some(8 * 167), Some(8))
    );
    assert_eq!(
        (row["key"].as_str(), row["key_name"].as_str(), row["model"].as_str()),
        (Some(&*id), Some("laptop"), Some("m"))
    );
    let series = running.read("usage?period=minute&series=true").await;
    assert!(series["rows"].as_array().unwrap().iter().all(|row| row["starts"].is_string()), "{series}");
}

#[tokio::test]
async fn prices_and_money() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let tokens = Tokens { input: 1_000_000, output: 100_000, ..Tokens::default() };
    fake.always(Step::answer(Answer::default().text("x").usage(tokens)));
    let running = start(folder.path(), &fake).await;
    let file = std::fs::read_to_string(folder.path().join("polyport.yaml")).unwrap();
    let priced = format!(
        "{file}accounting:\n  currency: EUR\n  exchange: [{{ from: USD, rate: 0.5 }}]\n  prices: [{{ models: [m], currency: USD, prices: {{ input: 2, output: 10 }} }}]\n"
    );
    std::fs::write(folder.path().join("polyport.yaml"), priced).unwrap();
    running.reload();
    let limits = json!([{ "what": "money", "window": "month", "amount": "2" }]);
    let (_, key) = running.key(json!({ "name": "k", "limits": limits })).await;
    assert_eq!(running.ask(ClientProtocol::Chat, &key, "m").await.0, 200);
    // Three dollars are one and a half euros.
    let found = running.until("requests", "requests", 1).await;
    assert_eq!(found[0]["cost"], json!({ "USD": "3" }), "{}", found[0]);
    let quota = &running.read("quotas").await["quotas"][0];
    assert_eq!((quota["left"].as_str(), quota["what"].as_str()), (Some("0.5"), Some("money")), "{quota}");
    assert_eq!(running.ask(ClientProtocol::Chat, &key, "m").await.0, 200, "there is something left");
    let (status, message) = running.ask(ClientProtocol::Messages, &key, "m").await;
    assert!(status == 402 && message.contains("a budget of 2 per month"), "{status} {message}");
}

#[tokio::test]
async fn requests_are_found_exported_and_followed() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let (_, key) = running.key(json!({ "name": "=1+1,\"x\"" })).await;
    let mut live = get(running.gateway.address, "/admin/api/requests/live", &[("x-api-key", ADMIN)]).await;
    assert_eq!(live.status, 200);
    fake.script(Step::error(400, "canary words of the provider"));
    assert_eq!(running.ask(ClientProtocol::Chat, &key, "m").await.0, 400);
    for _ in 0..4 {
        assert_eq!(running.ask(ClientProtocol::Gemini, &key, "m").await.0, 200);
    }
    running.until("requests", "requests", 5).await;
    for (query, many) in [
        ("status=400", 1),
        ("status=2xx", 4),
        ("failed=true", 1),
        ("q=CANARY", 1),
        ("q=canary%25", 0),
        ("q=_anary", 0),
        ("q='%20OR%201=1--", 0),
        ("protocol=gemini&provider=up", 4),
        ("from=2999-01-01T00:00:00Z", 0),
        ("of_key=nobody", 0),
    ] {
        let found = running.read(&format!("requests?{query}")).await;
        assert_eq!(found["requests"].as_array().unwrap().len(), many, "{query}: {found}");
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = running.read(&format!("requests?limit=2{after}")).await;
        seen.extend(page["requests"].as_array().unwrap().iter().map(|one| text(one, "id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen.len(), 5);
    let one = running.read(&format!("requests/{}", seen[0])).await;
    assert_eq!(one["id"], seen[0].as_str());
    for wrong in
        ["requests?after=x", "requests?status=9xx", "requests?from=yesterday", "usage?by=colour", "usage?from=2&to=1"]
    {
        assert_eq!(running.try_to("GET", wrong, Value::Null).await.0, 400, "{wrong}");
    }
    assert_eq!(running.try_to("GET", "requests/req_nothing", Value::Null).await.0, 404);

    let export = |format: &str| {
        let (address, path) = (running.gateway.address, format!("/admin/api/requests/export?format={format}"));
        async move { get(address, &path, &[("x-api-key", ADMIN)]).await.bytes().await.unwrap() }
    };
    let lines = String::from_utf8(export("jsonl").await.to_vec()).unwrap();
    assert_eq!(lines.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 5);
    let csv = String::from_utf8(export("csv").await.to_vec()).unwrap();
    assert_eq!(csv.lines().count(), 6);
    assert!(csv.contains("\"'=1+1,\"\"x\"\"\""), "{csv}");
    for (filter, lines) in [("q=CANARY", 2), ("min_duration_ms=600000", 1), ("failed=false", 5)] {
        let csv = String::from_utf8(export(&format!("csv&{filter}")).await.to_vec()).unwrap();
        assert_eq!(csv.lines().count(), lines, "{filter}: {csv}");
    }

    let mut events = String::new();
    while events.matches("event: request\n").count() < 5 {
        let more = tokio::time::timeout(Duration::from_secs(10), live.next()).await.unwrap().unwrap().unwrap();
        events.push_str(std::str::from_utf8(&more).unwrap());
    }
}

#[tokio::test]
async fn what_is_said_is_kept_only_where_that_was_chosen() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let (quiet, quiet_key) = running.key(json!({ "name": "quiet" })).await;
    let (open, open_key) = running.key(json!({ "name": "open", "capture": true })).await;
    for key in [&quiet_key, &open_key] {
        let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "my key is sk-proj-0123456789abcdef"}]});
        let answer = post(running.gateway.address, "/v1/chat/completions", &[("x-api-key", key)], &body).await;
        answer.bytes().await.unwrap();
    }
    running.until("requests", "requests", 2).await;
    for (id, kept) in [(&quiet, false), (&open, true)] {
        let list = running.read(&format!("requests?of_key={id}")).await;
        let one = running.read(&format!("requests/{}", text(&list["requests"][0], "id"))).await;
        assert_eq!((one["captured"].as_bool(), one["payload"].is_object()), (Some(kept), kept), "{one}");
        if kept {
            let said = text(&one["payload"], "request");
            assert!(said.contains("my key is [redacted]") && !said.contains("sk-proj"), "{said}");
            assert!(text(&one["payload"], "answer").contains("data: "));
        }
    }
}

#[tokio::test]
async fn d13_a_client_that_leaves_is_charged_for_what_came_or_the_answer_is_read_to_its_end() {
    for (policy, ending, state) in [
        ("cancel", "cancelled", "estimated"),
        ("drain", "drained", "settled"),
        ("drain, drain_tokens: 3", "drain_limit", "estimated"),
    ] {
        let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
        let tokens = Tokens { input: 500, output: 40, ..Tokens::default() };
        let words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
        let answer = Answer::default().text(words).usage(tokens);
        fake.always(Step::answer(answer).between_events(Hold::For(Duration::from_millis(40))));
        let running = start(folder.path(), &fake).await;
        let file = std::fs::read_to_string(folder.path().join("polyport.yaml")).unwrap();
        std::fs::write(folder.path().join("polyport.yaml"), format!("{file}accounting: {{ disconnect: {policy} }}\n"))
            .unwrap();
        running.reload();
        let (_, key) = running.key(json!({ "name": "k" })).await;
        for client in [ClientProtocol::Chat, ClientProtocol::Messages] {
            let (path, body) = request(client, true);
            let mut answer = post(running.gateway.address, path, &[("x-api-key", &key)], &body).await;
            answer.next().await.unwrap().unwrap();
            drop(answer);
        }
        let found = running.until("requests", "requests", 2).await;
        for one in &found {
            assert_eq!(one["outcome"], "client_gone", "{policy}: {one}");
            let attempt = &one["attempts"][0];
            assert_eq!((&attempt["ending"], &attempt["state"]), (&json!(ending), &json!(state)), "{policy}: {one}");
            assert_eq!(attempt["charged"], true);
            let counts = &attempt["counts"];
            match state {
                "settled" => assert_eq!(counts, &json!({ "input": 500, "output": 40 })),
                _ => assert!(
                    counts["input"].as_u64() > Some(0) && counts["output"].as_u64() > Some(0),
                    "{policy}: {one}"
                ),
            }
        }
    }
}

/// Another process holds the file of the log.
async fn hold(file: &std::path::Path) -> sqlx::SqliteConnection {
    let url = format!("sqlite://{}", file.display());
    let mut held = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::Executor::execute(&mut held, "PRAGMA busy_timeout = 10000; BEGIN EXCLUSIVE").await.unwrap();
    held
}

#[tokio::test]
async fn s2_requests_go_on_while_the_log_is_held_and_nothing_of_them_is_lost() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let limits = json!([{ "what": "requests", "window": "total", "amount": 12 }]);
    let (_, key) = running.key(json!({ "name": "k", "limits": limits })).await;
    assert_eq!(running.ask(ClientProtocol::Chat, &key, "m").await.0, 200);
    running.until("requests", "requests", 1).await;
    let mut held = hold(&folder.path().join("data/log.db")).await;
    for client in ClientProtocol::ALL.into_iter().cycle().take(10) {
        assert_eq!(running.ask(client, &key, "m").await.0, 200);
    }
    assert_eq!(fake.requests().len(), 11);
    let left = running.read("quotas").await["quotas"][0]["left"].as_u64();
    assert_eq!(left, Some(1), "limits are known without the log");
    sqlx::Executor::execute(&mut held, "ROLLBACK").await.unwrap();
    let found = running.until("requests", "requests", 11).await;
    assert!(found.len() == 11 && found.iter().all(|one| one["outcome"] == "answered"));
    assert_eq!(running.ask(ClientProtocol::Chat, &key, "m").await.0, 200);
    assert_eq!(running.ask(ClientProtocol::Chat, &key, "m").await.0, 429);
}
