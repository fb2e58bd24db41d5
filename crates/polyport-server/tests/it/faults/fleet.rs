//! Providers that are slow, fail now and then, or fail all at once; clocks that differ.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use polyport_testkit::provider::{FakeProvider, Hold, Step};
use polyport_types::{ClientProtocol, Protocol};
use tokio::task::JoinSet;

use super::{Gateway, PATIENCE, Setup, ask_for, headers, read, refused};

const CHAT: ClientProtocol = ClientProtocol::Chat;

async fn three() -> [FakeProvider; 3] {
    [
        FakeProvider::start(Protocol::Chat).await,
        FakeProvider::start(Protocol::Chat).await,
        FakeProvider::start(Protocol::Chat).await,
    ]
}

/// A pool `p` of three providers that are equals.
async fn equals(fakes: &[FakeProvider; 3], more: &str) -> Gateway {
    let [one, two, three] = fakes;
    let setup = Setup::to(one, Protocol::Chat).fake("b", two, Protocol::Chat).fake("c", three, Protocol::Chat);
    setup.with(&format!("pools: {{ p: {{ targets: [up/m, b/m, c/m]{more} }} }}")).start().await
}

/// Sends so many requests to model `model` at once; gives the statuses.
async fn many(gateway: &Gateway, model: &'static str, count: usize) -> Vec<u16> {
    let mut running = JoinSet::new();
    for _ in 0..count {
        let address = gateway.address;
        running.spawn(async move {
            let (path, body) = ask_for(CHAT, model, "hello", false);
            polyport_testkit::raw::post(address, &path, headers(CHAT), &body).await.status.as_u16()
        });
    }
    running.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u26_one_of_three_that_fails_often_costs_no_request_and_gets_fewer() {
    let fakes = three().await;
    let gateway = equals(&fakes, "").await;
    let count = AtomicUsize::new(0);
    fakes[2].decide(move |_| {
        let fails = count.fetch_add(1, Ordering::Relaxed) % 10 < 3;
        fails.then(|| Step::error(500, "now and then"))
    });
    for _ in 0..20 {
        let statuses = many(&gateway, "p", 15).await;
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }
    let [one, two, failing] = fakes.each_ref().map(|fake| fake.requests().len());
    assert!(one >= 75 && two >= 75, "a fair share elsewhere: {one}, {two}, {failing}");
}

#[tokio::test]
async fn u26_a_slow_one_gets_fewer_where_speed_counts() {
    let fakes = three().await;
    let gateway = equals(&fakes, ", strategy: latency").await;
    fakes[2].always(Step::text("late").before_headers(Hold::For(Duration::from_millis(200))));
    for _ in 0..30 {
        let (path, body) = ask_for(CHAT, "p", "hello", false);
        assert_eq!(gateway.send(CHAT, &(path, body)).await.status, 200);
    }
    let [one, two, slow] = fakes.each_ref().map(|fake| fake.requests().len());
    assert!(slow * 3 < one + two, "{one}, {two}, {slow}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u27_all_down_is_told_at_once_and_over_as_soon_as_they_are_back() {
    let (one, two) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let setup = Setup::to(&one, Protocol::Chat).fake("b", &two, Protocol::Chat);
    let gateway = setup.start().await;
    for fake in [&one, &two] {
        fake.go_away();
        fake.all_closed().await;
    }
    for _ in 0..2 {
        let statuses = many(&gateway, "m", 50).await;
        assert!(statuses.iter().all(|status| [502, 503].contains(status)), "{statuses:?}");
    }
    // While they rest nobody waits for them, and the client is told when to come again.
    for client in ClientProtocol::ALL {
        let reply = gateway.ask(client, false).await;
        assert!(!reply.header("retry-after").is_empty(), "{client}");
        let (status, _) = refused(client, reply).await;
        assert!([503, 529].contains(&status), "{client}: {status}");
    }
    one.come_back().await;
    two.come_back().await;
    let back = async { while gateway.ask(CHAT, false).await.status != 200 {} };
    tokio::time::timeout(PATIENCE, back).await.expect("they are tried again");
    // What comes then comes through, the herd that waited included.
    let statuses = many(&gateway, "m", 50).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u28_when_everything_fails_little_is_asked_twice() {
    const REQUESTS: usize = 400;
    let fake = FakeProvider::start(Protocol::Chat).await;
    let keys: Vec<String> = (1..=8).map(|number| format!("key-{number}-of-the-provider")).collect();
    let keys = format!("keys: [{}]", keys.join(", "));
    let gateway = Setup::default().provider("up", Protocol::Chat, &fake.base_url(), &keys).start().await;
    fake.always(Step::error(500, "no"));
    let begun = Instant::now();
    let statuses = many(&gateway, "m", REQUESTS).await;
    assert!(statuses.iter().all(|status| *status >= 500), "{statuses:?}");
    let asked = fake.requests().len();
    // A fifth of the requests, and five a second that are always allowed, two seconds of them saved up.
    let reserve = 10 + 5 * usize::try_from(begun.elapsed().as_secs() + 1).unwrap();
    assert!(asked <= REQUESTS + REQUESTS / 5 + reserve, "{asked}");
}

#[tokio::test]
async fn u32_points_of_time_are_meant_by_the_clock_of_the_provider() {
    let ahead = ("Fri, 31 Dec 2100 23:59:00 GMT", "Fri, 31 Dec 2100 23:59:40 GMT");
    let behind = ("Thu, 01 Jan 1970 00:10:00 GMT", "Thu, 01 Jan 1970 00:10:40 GMT");
    for (date, again) in [ahead, behind] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let gateway = Setup::to(&fake, Protocol::Chat).start().await;
        fake.always(Step::error(429, "slow down").header("date", date).header("retry-after", again));
        let reply = gateway.ask(CHAT, false).await;
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert_eq!(reply.status, 429);
        assert!((30..=45).contains(&wait), "{date}: {wait}");
        // A date alone changes nothing.
        let other = FakeProvider::start(Protocol::Chat).await;
        let gateway = Setup::to(&other, Protocol::Chat).start().await;
        other.always(Step::text("fine").header("date", date));
        assert_eq!(read(CHAT, false, gateway.ask(CHAT, false).await).await.text(), "fine");
    }
}
