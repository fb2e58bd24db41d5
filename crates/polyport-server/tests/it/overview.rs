//! Figures over time and of each second, and the turns of pools that are to come.

use std::time::Duration;

use polyport_testkit::provider::{Answer, FakeProvider, Gate, Hold, Step, Tokens};
use polyport_testkit::raw::{Reply, get, post};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::declared;
use crate::people::{self, ADMIN, text};
use crate::support::request;

/// Reads until there are so many requests, which is when the writer was there.
async fn overview(running: &people::Running, query: &str, many: u64) -> Value {
    for _ in 0..400 {
        let found = running.to("GET", &format!("overview?{query}"), Value::Null).await;
        if found["total"]["requests"] == many {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{query}: {}", running.to("GET", &format!("overview?{query}"), Value::Null).await);
}

#[tokio::test]
async fn an_overview_has_no_gaps_and_tells_how_long_answers_took() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let tokens = Tokens { input: 100, cache_read: 60, output: 20, reasoning: 7, ..Tokens::default() };
    fake.always(Step::answer(Answer::default().text("hello").usage(tokens)));
    let running = people::start(folder.path(), &fake).await;
    let made = running.to("POST", "keys", json!({ "name": "laptop" })).await;
    let (id, key) = (text(&made, "id"), text(&made, "key"));
    for stream in [false, true, true] {
        let (path, body) = request(ClientProtocol::Chat, stream);
        let answer = post(running.gateway.address, path, &[("x-api-key", key)], &body).await;
        answer.bytes().await.unwrap();
    }
    fake.script(Step::error(400, "no"));
    assert_eq!(running.ask(ClientProtocol::Chat, key, "m").await.0, 400);
    assert_eq!(running.ask(ClientProtocol::Chat, key, "other").await.0, 200);

    let found = overview(&running, "", 5).await;
    let total = &found["total"];
    assert_eq!((&total["ok"], &total["failed"], &total["error_rate"]), (&json!(4), &json!(1), &json!(0.2)), "{total}");
    assert_eq!(
        (&total["input"], &total["cache_read"], &total["cache_hit_rate"]),
        (&json!(400), &json!(240), &json!(0.375))
    );
    assert_eq!((&total["output"], &total["reasoning"], &total["tokens"]), (&json!(80), &json!(28), &json!(748)));
    for name in ["latency_ms", "first_token_ms"] {
        let of = |percent: &str| total[name][percent].as_u64().unwrap_or_else(|| panic!("{name}: {total}"));
        assert!(of("p50") <= of("p90") && of("p90") <= of("p95") && of("p95") <= of("p99") && of("p99") < 60_000);
    }
    // A day in hours: the one that runs, and those before it.
    let series = found["series"].as_array().unwrap();
    assert_eq!((&found["step"], series.len()), (&json!("hour"), 25), "{found}");
    assert_eq!(found["from"], series[0]["starts"]);
    let starts: Vec<jiff::Timestamp> = series.iter().map(|row| text(row, "starts").parse().unwrap()).collect();
    assert!(starts.windows(2).all(|pair| pair[1].as_second() - pair[0].as_second() == 3600));
    assert_eq!(series.iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>(), 5);
    let quiet = &series[0];
    assert_eq!(
        (&quiet["requests"], &quiet["error_rate"], &quiet["latency_ms"]),
        (&json!(0), &Value::Null, &Value::Null)
    );

    let (status, refused) = running.try_to("GET", "overview?step=minute", Value::Null).await;
    assert!(status == 400 && text(&refused, "detail").contains("750"), "{refused}");
    let (status, refused) = running.try_to("GET", "overview?step=day&from=0", Value::Null).await;
    assert!(status == 400 && text(&refused, "detail").contains("750"), "{refused}");
    assert_eq!(running.try_to("GET", "overview?from=2&to=1", Value::Null).await.0, 400);
    for (query, many) in [
        (format!("of_key={id}&step=day"), 5),
        ("of_key=nobody".to_owned(), 0),
        ("model=other".to_owned(), 1),
        ("provider=up&model=m".to_owned(), 4),
        ("provider=nobody".to_owned(), 0),
        (format!("provider=up&of_key={id}&from=0"), 5),
    ] {
        let total = &overview(&running, &query, many).await["total"];
        assert_eq!(total["latency_ms"].is_object(), many > 0, "{query}: {total}");
    }
}

/// Events as they come.
struct Events {
    answer: Reply,
    held: String,
}

impl Events {
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.held.split_once("\n\n") {
                let (name, data) = event.split_once('\n').unwrap();
                let told = (name.strip_prefix("event: ").unwrap().to_owned(), data.strip_prefix("data: ").unwrap());
                let told = (told.0, serde_json::from_str(told.1).unwrap());
                self.held = rest.to_owned();
                return told;
            }
            let more = tokio::time::timeout(Duration::from_secs(20), self.answer.next()).await.unwrap();
            self.held.push_str(std::str::from_utf8(&more.unwrap().unwrap()).unwrap());
        }
    }

    /// The first of this kind that fits.
    async fn until(&mut self, wanted: &str, fits: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..100 {
            let (event, data) = self.next().await;
            if event == wanted && fits(&data) {
                return data;
            }
        }
        panic!("there was no such {wanted}");
    }
}

#[tokio::test]
async fn seconds_are_told_as_they_end() {
    let (folder, fake) = (tempfile::tempdir().unwrap(), FakeProvider::start(Protocol::Chat).await);
    let gate = Gate::new();
    let tokens = Tokens { input: 100, cache_read: 60, output: 20, ..Tokens::default() };
    fake.script(Step::answer(Answer::default().text("a").usage(tokens)).before_headers(Hold::Until(gate.clone())));
    let running = people::start(folder.path(), &fake).await;
    let follow = async || {
        let answer = get(running.gateway.address, "/admin/api/overview/live", &[("x-api-key", ADMIN)]).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream; charset=utf-8"));
        Events { answer, held: String::new() }
    };
    let mut events = follow().await;
    assert_eq!(events.next().await.0, "past");
    let (event, providers) = events.next().await;
    assert_eq!(event, "providers");
    let up =
        |told: &Value| told["providers"].as_array().unwrap().iter().find(|one| one["name"] == "up").unwrap().clone();
    assert_eq!(up(&providers), json!({ "name": "up", "state": "ready", "requests": 0, "failed": 0, "in_flight": 0 }));

    let address = running.gateway.address;
    let asked = async {
        let (path, body) = request(ClientProtocol::Chat, false);
        assert_eq!(post(address, path, &[], &body).await.status, 200);
    };
    let seen = async {
        let second = events.until("second", |second| second["in_flight"] == 1).await;
        assert_eq!((&second["requests"], &second["latency_ms"]), (&json!(0), &Value::Null));
        let told = events.until("providers", |told| up(told)["in_flight"] == 1).await;
        assert_eq!(up(&told)["requests"], 0);
        gate.open();
        events.until("second", |second| second["requests"] == 1).await
    };
    let ((), second) = tokio::join!(asked, seen);
    assert_eq!(
        (&second["failed"], &second["in_flight"], &second["input"]),
        (&json!(0), &json!(0), &json!(100)),
        "{second}"
    );
    assert_eq!((&second["cache_hit_rate"], &second["first_token_ms"]), (&json!(0.375), &Value::Null), "{second}");
    assert!(second["latency_ms"]["p50"].as_u64().unwrap() <= second["latency_ms"]["p95"].as_u64().unwrap());
    let told = events.until("providers", |told| up(told)["requests"] == 1).await;
    assert_eq!((&up(&told)["failed"], &up(&told)["in_flight"]), (&json!(0), &json!(0)));

    // Who comes later sees the same seconds, each once and in its order.
    let (event, past) = follow().await.next().await;
    let past = past["seconds"].as_array().unwrap();
    assert_eq!(event, "past");
    assert_eq!(past.iter().filter(|one| **one == second).count(), 1, "{past:?}");
    let at: Vec<i64> = past.iter().map(|one| text(one, "at").parse::<jiff::Timestamp>().unwrap().as_second()).collect();
    assert!(at.windows(2).all(|pair| pair[1] == pair[0] + 1), "{at:?}");
    let client = get(address, "/admin/api/overview/live", &[]).await;
    assert_eq!(client.status, 401);
}

/// Where requests went, in their order.
fn went(a: &FakeProvider, b: &FakeProvider) -> Vec<String> {
    let of = |name: &'static str, fake: &FakeProvider| {
        fake.requests()
            .into_iter()
            .map(move |one| (one.at(), format!("{name}.{}", text(&one.json(), "model"))))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<_> = of("a", a).into_iter().chain(of("b", b)).collect();
    all.sort();
    all.into_iter().map(|(_, name)| name).collect()
}

async fn previewed(running: &declared::Running, pool: Value, turns: u64) -> Vec<String> {
    let told = running.to("POST", "pools/preview", json!({ "pool": pool, "turns": turns })).await;
    let turn = |turn: &Value| format!("{}.{}", text(turn, "provider"), text(turn, "model"));
    told["turns"].as_array().unwrap().iter().map(turn).collect()
}

#[tokio::test]
async fn the_turns_to_come_are_those_that_come_and_looking_moves_none() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let file = format!(
        "discover: false\nproviders:\n  a: {{ base_url: \"{}\", proxy: none }}\n  b: {{ base_url: \"{}\", proxy: none }}\n  \
         off: {{ base_url: \"{0}\", enabled: false }}\npools:\n  filed: {{ targets: [a/m1, a/m2, b/m1] }}\n",
        a.base_url(),
        b.base_url()
    );
    let running = declared::start(folder.path(), &file).await;
    running.to("POST", "pools", json!({ "name": "two", "targets": ["a/m1", "a/m2", "b/m1"] })).await;
    let cycle = ["a.m1", "b.m1", "a.m2", "b.m1"];
    for pool in [json!("two"), json!("filed"), json!({ "targets": ["a/m1", "a/m2", "b/m1"] })] {
        assert_eq!(previewed(&running, pool, 8).await, [cycle, cycle].concat());
    }
    let mut come = Vec::new();
    for _ in 0..6 {
        let next = previewed(&running, "two".into(), 3).await;
        assert_eq!(previewed(&running, "two".into(), 3).await, next);
        come.push(next[0].clone());
        assert_eq!(running.ask("two").await, 200);
    }
    assert_eq!(went(&a, &b), come);
    assert_eq!(come, [&cycle[..], &cycle[..2]].concat());
    // One that is changed goes on from the turn that it is at.
    let changed = json!({ "name": "two", "targets": ["a/m1", "b/m1"] });
    assert_eq!(previewed(&running, changed, 2).await, ["a.m1", "b.m1"]);
    assert_eq!(previewed(&running, json!("two"), 1).await, ["a.m2"]);

    let target = |to: &str, weight: u32, priority: u32| json!({ "target": to, "weight": weight, "priority": priority });
    for (pool, turns) in [
        (json!({ "targets": [target("a/m1", 3, 1), target("b/m1", 1, 1)] }), "a.m1 a.m1 b.m1 a.m1"),
        (json!({ "targets": [target("a/m1", 1, 2), target("b/m1", 1, 1)] }), "b.m1 b.m1 b.m1 b.m1"),
        (json!({ "strategy": "ordered", "targets": ["a/m2", "b/m1"] }), "a.m2 a.m2 a.m2 a.m2"),
        (json!({ "strategy": "least_busy", "targets": ["a/m2", "b/m1"] }), "a.m2 b.m1 a.m2 b.m1"),
        (json!({ "targets": ["off/m", "b/m1"] }), "b.m1 b.m1 b.m1 b.m1"),
        (json!({ "targets": ["off/m"] }), ""),
        (json!({ "name": "filed", "targets": ["b/m1"] }), "b.m1 b.m1 b.m1 b.m1"),
        (json!({ "targets": ["off/m"], "fallbacks": ["two"] }), ""),
    ] {
        let found = previewed(&running, pool.clone(), 4).await.join(" ");
        assert_eq!(found, turns, "{pool}");
    }

    // What rests is left out, as it is for requests.
    b.always(Step::error(401, "no such key"));
    running.to("POST", "credentials", json!({ "provider": "b", "key": "sk-canary-0123456789abcdef" })).await;
    running.ask("b/m1").await;
    let told = running.to("POST", "pools/preview", json!({ "pool": "two" })).await;
    assert_eq!(told["turns"].as_array().unwrap().len(), 12);
    let excluded = &told["excluded"][0];
    assert_eq!((text(excluded, "provider"), text(excluded, "why")), ("b", "cooling"), "{told}");
    let (left, before) = (previewed(&running, json!("two"), 3).await, went(&a, &b).len());
    assert!(left.iter().all(|turn| turn.starts_with("a.")), "{left:?}");
    for _ in 0..3 {
        assert_eq!(running.ask("two").await, 200);
    }
    assert_eq!(went(&a, &b).split_off(before), left);
    running.stop().await;
}

#[tokio::test]
async fn mistakes_of_a_pool_that_is_looked_at_are_pointed_to() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let file = format!("discover: false\nproviders:\n  a: {{ base_url: \"{}\", proxy: none }}\n", fake.base_url());
    let running = declared::start(folder.path(), &file).await;
    for (body, pointer) in [
        (json!({}), "#/pool"),
        (json!({ "pool": "nobody" }), "#/pool"),
        (json!({ "pool": ["a/m"] }), "#/pool"),
        (json!({ "pool": { "targets": ["nowhere/m"] } }), "#/pool/targets"),
        (json!({ "pool": { "targets": ["a/m", "nowhere/m"] } }), "#/pool/targets/1"),
        (json!({ "pool": { "targets": ["a/m", { "target": "a/n", "weight": 0 }] } }), "#/pool/targets/1"),
        (json!({ "pool": { "targets": ["a/m"], "strategy": "dice" } }), "#/pool/strategy"),
        (json!({ "pool": { "targets": ["a/m"], "colour": "red" } }), "#/pool/colour"),
        (json!({ "pool": { "targets": ["a/m"], "name": 7 } }), "#/pool/name"),
        (json!({ "pool": { "targets": ["a/m"] }, "turns": 0 }), "#/turns"),
        (json!({ "pool": { "targets": ["a/m"] }, "turns": 101 }), "#/turns"),
        (json!({ "pool": { "targets": ["a/m"] }, "turn": 1 }), "#/turn"),
    ] {
        let (status, refused) = running.try_to("POST", "pools/preview", body.clone()).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (400, &json!(pointer)), "{body}: {refused}");
    }
    assert!(running.list("pools").await.is_empty() && running.list("problems").await.is_empty(), "nothing was made");
    let (_, audit) = running.try_to("GET", "audit", Value::Null).await;
    assert_eq!(audit["audit"], json!([]), "nothing was done");
    running.stop().await;
}
