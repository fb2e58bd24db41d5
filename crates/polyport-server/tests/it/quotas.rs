//! Limits of keys, users, teams and of all callers together.

use polyport_testkit::provider::{Answer, Cut, FakeProvider, Step, Tokens};
use polyport_testkit::raw::post;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::people::{Running, start, text};
use crate::support::request;

async fn key_with(running: &Running, limits: Value) -> String {
    let made = running.to("POST", "keys", json!({ "name": "k", "limits": limits })).await;
    text(&made, "key").to_owned()
}

#[tokio::test]
async fn c22_exactly_the_quota_is_spent_by_parallel_requests() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let key = key_with(&running, json!([{ "what": "requests", "window": "day", "amount": 10 }])).await;
    let asks = (0..60).map(|at| running.ask(ClientProtocol::ALL[at % 4], &key, "m"));
    let answers = futures_util::future::join_all(asks).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 10);
    assert_eq!(fake.requests().len(), 10);
    for (status, message) in answers.iter().filter(|(status, _)| *status != 200) {
        assert!(matches!(status, 429 | 402), "{status} {message}");
        assert!(message.contains("10 requests per day") && message.contains("anew at"), "{message}");
    }
}

#[tokio::test]
async fn what_is_left_stands_in_the_headers_of_the_protocol() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let limits = json!([
        { "what": "requests", "window": "minute", "amount": 100 },
        { "what": "tokens", "window": "total", "amount": 1_000_000 },
    ]);
    let key = key_with(&running, limits).await;
    for (client, names) in [
        (ClientProtocol::Chat, ["x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens"]),
        (ClientProtocol::Messages, ["anthropic-ratelimit-requests-limit", "anthropic-ratelimit-tokens-remaining"]),
    ] {
        for stream in [false, true] {
            let (path, body) = request(client, stream);
            let answer = post(running.gateway.address, path, &[("x-api-key", &key)], &body).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.headers[names[0]], "100");
            let left: u64 = answer.headers[names[1]].to_str().unwrap().parse().unwrap();
            assert!((990_000..1_000_000).contains(&left), "{left}");
            answer.bytes().await.unwrap();
        }
    }
}

#[tokio::test]
async fn tokens_count_as_the_provider_counts_them_and_no_budget_is_passed() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let tokens = Tokens { input: 500, output: 400, ..Tokens::default() };
    for _ in 0..10 {
        fake.script(Step::answer(Answer::default().text("hello").usage(tokens)));
    }
    let running = start(folder.path(), &fake).await;
    let key = key_with(&running, json!([{ "what": "tokens", "window": "total", "amount": 3000 }])).await;
    let mut answered = 0;
    for _ in 0..10 {
        let (status, message) = running.ask(ClientProtocol::Messages, &key, "m").await;
        match status {
            200 => answered += 1,
            status => assert!(status == 402 && message.contains("3000 tokens in total"), "{status} {message}"),
        }
    }
    // 900 tokens each: after the third 300 are left, which is enough for a small prompt and its 100 tokens of answer.
    assert_eq!(answered, 4);
}

#[tokio::test]
async fn limits_of_a_user_are_shared_by_its_keys_and_those_of_a_model_are_about_it() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let limits = json!([{ "what": "requests", "window": "total", "amount": 2, "models": "other" }]);
    let user = running.to("POST", "users", json!({ "name": "ada", "limits": limits })).await;
    let mut keys = Vec::new();
    for name in ["a", "b"] {
        let made = running.to("POST", "keys", json!({ "name": name, "user": text(&user, "id") })).await;
        keys.push(text(&made, "key").to_owned());
    }
    for key in &keys {
        assert_eq!(running.ask(ClientProtocol::Chat, key, "other").await.0, 200);
        assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 200);
    }
    for key in &keys {
        let (status, message) = running.ask(ClientProtocol::Chat, key, "other").await;
        assert!(status == 429 && message.contains("this user's limit of `other`"), "{status} {message}");
        // The same model by its other name.
        assert_eq!(running.ask(ClientProtocol::Chat, key, "up/other").await.0, 429);
        assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 200);
    }
    // More is allowed from now on: what was used stays used.
    let limits = json!([{ "what": "requests", "window": "total", "amount": 3, "models": "other" }]);
    running.to("PATCH", &format!("users/{}", text(&user, "id")), json!({ "limits": limits })).await;
    assert_eq!(running.ask(ClientProtocol::Chat, &keys[0], "other").await.0, 200);
    assert_eq!(running.ask(ClientProtocol::Chat, &keys[1], "other").await.0, 429);
}

#[tokio::test]
async fn a_request_that_no_provider_took_gives_its_limit_back() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let key = key_with(&running, json!([{ "what": "concurrency", "amount": 1 }])).await;
    for _ in 0..5 {
        assert_eq!(running.ask(ClientProtocol::Chat, &key, "").await.0, 400);
        assert_eq!(running.ask(ClientProtocol::Responses, &key, "m").await.0, 200);
    }
}

#[tokio::test]
async fn c23_a_key_asks_a_provider_once() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let (mine, other) = (key_with(&running, json!([])).await, key_with(&running, json!([])).await);
    for (count, stream) in [false, true].into_iter().enumerate() {
        let (path, body) = request(ClientProtocol::Messages, stream);
        let name = format!("once-{stream}");
        let ask = |key: String, body: Value| {
            let (address, name) = (running.gateway.address, name.clone());
            async move {
                let headers = [("x-api-key", key.as_str()), ("idempotency-key", name.as_str())];
                let answer = post(address, path, &headers, &body).await;
                let (status, again) = (answer.status.as_u16(), answer.headers.contains_key("idempotent-replayed"));
                (status, again, answer.bytes().await.unwrap())
            }
        };
        let answers = futures_util::future::join_all((0..5).map(|_| ask(mine.clone(), body.clone()))).await;
        let later = ask(mine.clone(), body.clone()).await;
        assert_eq!(fake.requests().len(), 2 * count + 1, "one for all of them");
        assert!(answers.iter().chain([&later]).all(|(status, _, bytes)| *status == 200 && *bytes == later.2));
        assert!(later.1 && answers.iter().filter(|(_, again, _)| *again).count() == 4);
        // The same words of somebody else are another request, and other words are not the same request.
        assert!(!ask(other.clone(), body.clone()).await.1);
        let mut changed = body.clone();
        changed["max_tokens"] = json!(7);
        assert_eq!(ask(mine.clone(), changed).await.0, 400);
    }
    // A failure is not kept.
    for (status, step) in [(500, Step::error(500, "broken")), (200, Step::model())] {
        fake.always(step);
        let (path, body) = request(ClientProtocol::Chat, false);
        let headers = [("x-api-key", mine.as_str()), ("idempotency-key", "fails")];
        let answer = post(running.gateway.address, path, &headers, &body).await;
        assert_eq!(answer.status.is_success(), status == 200, "{}", answer.status);
    }
}

#[tokio::test]
async fn several_limits_of_the_configuration_hold_together() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let file = std::fs::read_to_string(folder.path().join("polyport.yaml")).unwrap();
    let quotas = "accounting:\n  quotas:\n    - { what: requests, window: total, amount: 3 }\n    - { what: tokens, window: day, amount: 1000000 }\n    \
                  - { what: concurrency, amount: 9, callers: [b, a] }\n    - { what: requests, window: day, amount: 2, callers: [a, b], models: m }\n";
    std::fs::write(folder.path().join("polyport.yaml"), format!("{file}{quotas}")).unwrap();
    running.reload();
    let made = running.to("POST", "keys", json!({ "name": "a" })).await;
    let key = text(&made, "key");
    let mut statuses = Vec::new();
    for model in ["m", "m", "m", "other", "other"] {
        statuses.push(running.ask(ClientProtocol::Chat, key, model).await.0);
    }
    assert_eq!(statuses, [200, 200, 429, 200, 429]);
    let all = running.to("GET", "quotas", Value::Null).await;
    assert_eq!(all["quotas"].as_array().unwrap().len(), 4, "{all}");
}

#[tokio::test]
async fn c23_a_stream_that_broke_off_is_not_given_again() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let running = start(folder.path(), &fake).await;
    let key = key_with(&running, json!([])).await;
    let broken = Step::answer(Answer::default().text("one two three four five six")).cut_in_the_middle(Cut::Reset);
    for client in [ClientProtocol::Chat, ClientProtocol::Messages] {
        let (path, body) = request(client, true);
        let headers = [("x-api-key", key.as_str()), ("idempotency-key", "again")];
        fake.always(broken.clone());
        drop(post(running.gateway.address, path, &headers, &body).await.bytes().await);
        fake.always(Step::model());
        let answer = post(running.gateway.address, path, &headers, &body).await;
        assert!(answer.status == 200 && !answer.headers.contains_key("idempotent-replayed"), "{client}");
        let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
        assert!(!text.contains("error"), "{client}: {text}");
    }
}
