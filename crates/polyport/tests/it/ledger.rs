//! What the ledger says of a gateway that is killed again and again, against what the providers saw.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use polyport_store::log::{Entry, Log, State};
use polyport_testkit::provider::{Answer, Cut, Exchange, FakeProvider, Hold, Step, Tokens};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::{Running, start};

/// Requests at the same time.
const CLIENTS: u64 = 8;

/// Tokens that the limited key may use.
const BUDGET: u64 = 40_000;

/// The prompt of the request with this number.
fn prompt(number: u64) -> String {
    format!("request {number} end")
}

/// The number of the request that a provider has received.
fn number(exchange: &Exchange) -> u64 {
    let body = String::from_utf8_lossy(exchange.body()).into_owned();
    let rest = body.split_once("request ").expect("a prompt").1;
    rest.split_once(" end").expect("its end").0.parse().expect("a number")
}

/// What the answer to a request uses. The prompt's tokens tell which one it is.
fn tokens(number: u64) -> Tokens {
    Tokens { input: 10_000 + number, cache_read: number % 3 * 7, output: 5 + number % 11, ..Tokens::default() }
}

/// What a provider does with a request.
fn step(exchange: &Exchange, failing: bool) -> Step {
    let number = number(exchange);
    let answer = Answer::default().text("one two three four five six seven eight").usage(tokens(number));
    match number % 10 {
        0 | 1 if failing => Step::error(500, "a fault of the provider"),
        2 if failing => Step::error(429, "too many requests"),
        3 if failing => Step::answer(answer).cut_in_the_middle(Cut::Reset),
        // Time to be killed in, or to be left in.
        4..=6 => Step::answer(answer).between_events(Hold::For(Duration::from_millis(4))),
        _ => Step::answer(answer),
    }
}

/// Sends one request, and leaves in the middle of some. What comes of it is of no interest here, but for the status.
fn ask(url: &str, key: &str, number: u64) -> Option<u16> {
    let stream = number.is_multiple_of(2);
    let (path, body) = match number % 4 {
        0 | 1 => (
            "/v1/chat/completions",
            json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": prompt(number)}]}),
        ),
        2 => ("/v1/responses", json!({"model": "m", "stream": stream, "store": false, "input": prompt(number)})),
        _ => (
            "/v1/messages",
            json!({"model": "m", "stream": stream, "max_tokens": 50, "messages": [{"role": "user", "content": prompt(number)}]}),
        ),
    };
    let body = body.to_string();
    let mut socket = TcpStream::connect(url).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nhost: {url}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut head = [0; 512];
    let read = socket.read(&mut head).ok()?;
    let status = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok();
    if number % 14 == 6 {
        socket.shutdown(Shutdown::Both).ok();
        return status;
    }
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).ok();
    (read > 0).then_some(status).flatten()
}

fn admin(running: &Running, path: &str, body: &Value) -> Value {
    let (mut socket, body) = (TcpStream::connect(&running.url).unwrap(), body.to_string());
    write!(
        socket,
        "POST /admin/api/{path} HTTP/1.1\r\nhost: {}\r\nx-api-key: {ADMIN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        running.url,
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

const ADMIN: &str = "ap-0123456789abcdef0123456789-admin";

async fn entries(folder: &Path) -> Vec<Entry> {
    let log = Log::open(&polyport_store::log_url("sqlite://none", &folder.join("data"))).await.unwrap();
    let mut all = Vec::new();
    let mut export = log.export(polyport_store::log::Query::default());
    while let Some(page) = export.next().await.unwrap() {
        all.extend(page.into_iter().map(|found| found.entry));
    }
    drop(export);
    log.close().await;
    all
}

/// 300 requests and 6 kills, or as many as the variables say.
#[allow(clippy::disallowed_methods, reason = "how long the test takes is no configuration of the gateway")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d13_the_ledger_of_a_gateway_that_is_killed_is_what_the_providers_saw() {
    let of = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (requests, kills) = (of("POLYPORT_LEDGER_REQUESTS", 300), of("POLYPORT_LEDGER_KILLS", 6));
    let first = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    let second = FakeProvider::builder(Protocol::Messages).lenient().start().await;
    first.decide(|exchange| Some(step(exchange, true)));
    second.decide(|exchange| Some(step(exchange, false)));
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "access: {{ admin_keys: [\"{ADMIN}\"] }}\nproviders:\n  a: {{ base_url: \"{}\", proxy: none, cooldown: {{ default: 1ms }} }}\n  \
         b: {{ protocol: messages, base_url: \"{}\", proxy: none, cooldown: {{ default: 1ms }} }}\n\
         models: {{ m: [ {{ target: a/m }}, {{ target: b/m, priority: 2 }} ] }}\n",
        first.base_url(),
        second.base_url()
    );
    std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();

    let next = Arc::new(AtomicU64::new(1));
    let (mut keys, mut key_ids) = (Vec::new(), HashMap::new());
    for round in 0..=kills {
        let running = start(folder.path(), &["--port", "0"]);
        if keys.is_empty() {
            for (name, limits) in
                [("free", json!([])), ("limited", json!([{ "what": "tokens", "window": "total", "amount": BUDGET }]))]
            {
                let made = admin(&running, "keys", &json!({ "name": name, "limits": limits }));
                keys.push(made["key"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned());
                key_ids.insert(made["id"].as_str().unwrap().to_owned(), name);
            }
        }
        let until = requests * (round + 1) / (kills + 1);
        let stopped = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (next, url, keys, stopped) =
                    (Arc::clone(&next), running.url.clone(), keys.clone(), Arc::clone(&stopped));
                std::thread::spawn(move || {
                    while !stopped.load(Ordering::Relaxed) && next.load(Ordering::Relaxed) <= until + CLIENTS {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let key = if number % 20 == 7 { &keys[1] } else { &keys[0] };
                        ask(&url, key, number);
                    }
                })
            })
            .collect();
        while next.load(Ordering::Relaxed) <= until && clients.iter().any(|client| !client.is_finished()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if round == kills {
            for client in clients {
                tokio::task::spawn_blocking(move || client.join().unwrap()).await.unwrap();
            }
            running.signal("-TERM");
            let mut running = running;
            tokio::task::spawn_blocking(move || running.child.wait().unwrap()).await.unwrap();
        } else {
            // Dropping it kills it, with requests under way.
            drop(running);
            stopped.store(true, Ordering::Relaxed);
            for client in clients {
                tokio::task::spawn_blocking(move || client.join().unwrap()).await.unwrap();
            }
        }
    }
    compare(&entries(folder.path()).await, &[("a", &first), ("b", &second)], &key_ids, kills);
}

#[allow(clippy::print_stdout, reason = "what a long run is made for")]
fn compare(entries: &[Entry], providers: &[(&str, &FakeProvider)], keys: &HashMap<String, &str>, kills: u64) {
    let ids: HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids.len(), entries.len(), "no request stands there twice");
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, provider) in providers {
        let mut seen: HashMap<u64, usize> = HashMap::new();
        for exchange in provider.requests() {
            *seen.entry(number(&exchange)).or_default() += 1;
        }
        let lines = entries.iter().flat_map(|entry| &entry.attempts).filter(|attempt| attempt.provider == *name);
        let (mut settled, mut flagged) = (0_usize, 0_usize);
        for line in lines {
            *states.entry(line.state.as_str()).or_default() += 1;
            if line.state != State::Settled {
                flagged += 1;
                continue;
            }
            settled += 1;
            let number = line.input().checked_sub(10_000).unwrap_or_else(|| panic!("{line:?}"));
            let left = seen.get_mut(&number).unwrap_or_else(|| panic!("{name} never saw request {number}"));
            *left = left
                .checked_sub(1)
                .unwrap_or_else(|| panic!("request {number} stands there more often than {name} saw it"));
            let told = tokens(number);
            assert_eq!((line.cache_read(), line.output()), (told.cache_read, told.output), "request {number}");
        }
        let unsettled: usize = seen.values().sum();
        println!("{name}: {settled} settled, {flagged} flagged, {unsettled} seen without a settled line");
        // What the provider saw and is not settled is flagged. A request that was cut before it left is flagged as well.
        assert!(flagged >= unsettled, "{name}: {unsettled} requests without a settled line, {flagged} flagged");
        assert!(
            flagged - unsettled <= usize::try_from(CLIENTS * kills).unwrap(),
            "{name}: {flagged} flagged, {unsettled} not settled"
        );
    }
    println!("{} entries, {states:?}", entries.len());
    let charged: u64 = entries
        .iter()
        .filter(|entry| entry.key.as_deref().is_some_and(|key| keys.get(key) == Some(&"limited")))
        .flat_map(|entry| &entry.attempts)
        .filter(|attempt| attempt.charged)
        .map(polyport_store::log::Attempt::tokens)
        .sum();
    let answered = entries.iter().filter(|entry| entry.outcome == "local_quota").count();
    println!("the limited key used {charged} of {BUDGET} tokens and was refused {answered} times");
    // A request reserves less than its answer turns out to use: the budget is passed by what was running then.
    assert!(charged <= BUDGET + CLIENTS * 11_000, "{charged}");
}
