//! How long a request may go without an answer, second attempts beside slow ones, and providers that answer errors or break off.

use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{Cut, Exchange, FakeProvider, Gate, Hold, Outcome, Step};
use polyport_testkit::raw::{Reply, get, post};
use polyport_types::{ClientProtocol, Protocol};

use crate::faults::{Gateway, Setup, read};
use crate::support::request;

async fn ask(gateway: &Gateway, client: ClientProtocol, stream: bool, headers: &[(&str, &str)]) -> Reply {
    let (path, body) = request(client, stream);
    post(gateway.address, path, headers, &body).await
}

/// The text of a good answer, in whatever form it comes.
async fn text(client: ClientProtocol, stream: bool, answer: Reply) -> String {
    assert_eq!(answer.status, 200);
    read(client, stream, answer).await.text().to_owned()
}

async fn figures(gateway: &Gateway) -> String {
    let figures = get(gateway.address, "/metrics", &[]).await;
    String::from_utf8(figures.bytes().await.unwrap()).unwrap()
}

async fn is_cancelled(exchange: &Exchange) -> bool {
    matches!(exchange.finished().await, Outcome::Left(_))
}

#[tokio::test]
async fn all_attempts_together_have_a_deadline() {
    let silent = [
        FakeProvider::start(Protocol::Chat).await,
        FakeProvider::start(Protocol::Messages).await,
        FakeProvider::start(Protocol::Chat).await,
    ];
    silent.iter().for_each(|fake| fake.always(Step::silence()));
    let setup = Setup::to(&silent[0], Protocol::Chat).fake("b", &silent[1], Protocol::Messages);
    let setup = setup.fake("c", &silent[2], Protocol::Chat).with("limits: { first_byte: 300ms }");
    for (section, model) in [
        ("retry: { patience: 400ms }", "m"),
        ("routes: [{ match: { model: quick }, to: m, retry: { patience: 400ms } }]", "quick"),
    ] {
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                // Providers that were too slow a few times rest: every request meets a gateway that knows nothing.
                let gateway = setup.clone().with(section).start().await;
                let (path, mut body) = request(client, stream);
                let path = path.replace("/m:", &format!("/{model}:"));
                if client != ClientProtocol::Gemini {
                    body["model"] = model.into();
                }
                let answer = post(gateway.address, &path, &[], &body).await;
                assert_eq!(answer.status, 504, "{client} {stream} {section}");
                let words = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
                assert!(words.contains("seconds"), "{words}");
            }
        }
        assert!(silent[2].requests().is_empty(), "there was no time left for a third");
    }
    for exchange in silent[0].requests() {
        assert!(is_cancelled(&exchange).await);
    }
}

#[tokio::test]
async fn nothing_goes_on_once_the_client_has_given_up() {
    let (fake, spare) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    fake.always(Step::silence());
    let gateway = Setup::to(&fake, Protocol::Chat).fake("b", &spare, Protocol::Chat).start().await;
    let mut asked = 0;
    for client in ClientProtocol::ALL {
        for (stream, header) in
            [(false, "x-stainless-timeout"), (true, "x-stainless-read-timeout"), (false, "x-server-timeout")]
        {
            let answer = ask(&gateway, client, stream, &[(header, "0.2")]).await;
            assert_eq!(answer.status, 504, "{client} {header}");
            asked += 1;
            assert!(is_cancelled(&fake.last()).await);
        }
    }
    // That it was too slow for a client that waits so little proves nothing: it is asked again every time.
    assert_eq!((fake.requests().len(), spare.requests().len()), (asked, 0));
    fake.always(Step::text("here"));
    let answer = ask(&gateway, ClientProtocol::Chat, false, &[("x-stainless-timeout", "600")]).await;
    assert_eq!(text(ClientProtocol::Chat, false, answer).await, "here");
}

#[tokio::test]
async fn embeddings_have_a_deadline_too() {
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}/v1", silent.local_addr().unwrap());
    let gateway = Setup::default().provider("up", Protocol::Chat, &address, "").start().await;
    let body = serde_json::json!({"model": "m", "input": "hi"});
    let answer = post(gateway.address, "/v1/embeddings", &[("x-stainless-timeout", "0.2")], &body).await;
    assert_eq!(answer.status, 504);
}

#[tokio::test]
async fn a_stream_that_has_begun_for_the_client_is_not_cut_by_what_it_waits() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    fake.always(Step::text("late").before_headers(Hold::For(std::time::Duration::from_millis(700))));
    let gateway = Setup::to(&fake, Protocol::Messages).with("limits: { commit_after: 50ms }").start().await;
    for client in [ClientProtocol::Chat, ClientProtocol::Messages] {
        let answer = ask(&gateway, client, true, &[("x-stainless-timeout", "0.3")]).await;
        assert_eq!(text(client, true, answer).await, "late", "{client}");
    }
}

/// Second attempts as soon as something is known, for every request.
const EAGER: &str = "hedge: { samples: 4, min_delay: 40ms, max_share: 100 }";

async fn warm_up(gateway: &Gateway, client: ClientProtocol) {
    for stream in [false, true] {
        for _ in 0..6 {
            let answer = ask(gateway, client, stream, &[]).await;
            text(client, stream, answer).await;
        }
    }
}

#[tokio::test]
async fn d10_a_slow_first_attempt_is_outrun_by_a_second_and_cancelled() {
    for (to, client) in [
        (Protocol::Chat, ClientProtocol::Chat),
        (Protocol::Messages, ClientProtocol::Chat),
        (Protocol::Chat, ClientProtocol::Gemini),
        (Protocol::Responses, ClientProtocol::Messages),
    ] {
        let fake = FakeProvider::start(to).await;
        let setup = Setup::default().provider("up", to, &fake.base_url(), "keys: [key-one, key-two]").with(EAGER);
        let gateway = setup.start().await;
        warm_up(&gateway, client).await;
        for stream in [false, true] {
            let before = fake.requests().len();
            fake.script(Step::silence());
            fake.script(Step::text("from the second"));
            let answer = ask(&gateway, client, stream, &[]).await;
            assert_eq!(answer.header("x-polyport-attempts"), "2", "{client} to {to}");
            assert_eq!(text(client, stream, answer).await, "from the second");
            let [first, second] = &fake.requests()[before..] else { panic!("not two calls") };
            assert!(is_cancelled(first).await, "{client} to {to}");
            assert_eq!(first.body(), second.body());
            assert_ne!(first.headers(), second.headers(), "with another key");
        }
        let figures = figures(&gateway).await;
        assert!(figures.contains("polyport_hedges_total{outcome=\"second\"} 2"), "{figures}");
        assert!(
            figures.contains("polyport_upstream_requests_total{provider=\"up\",outcome=\"cancelled\"} 2"),
            "{figures}"
        );
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn d10_the_first_attempt_may_still_win_and_the_second_is_cancelled() {
    let (slow, other) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let gateway = Setup::to(&slow, Protocol::Chat).fake("b", &other, Protocol::Chat).with(EAGER).start().await;
    warm_up(&gateway, ClientProtocol::Chat).await;
    for stream in [false, true] {
        let gate = Gate::new();
        slow.script(Step::text("from the first").before_headers(Hold::Until(gate.clone())));
        other.script(Step::silence());
        let before = other.requests().len();
        let opened = async {
            let all = other.wait_for(before + 1).await;
            gate.open();
            all.last().unwrap().clone()
        };
        let (answer, second) = tokio::join!(ask(&gateway, ClientProtocol::Chat, stream, &[]), opened);
        assert_eq!((answer.header("x-polyport-target"), answer.header("x-polyport-attempts")), ("up/m", "2"));
        assert_eq!(text(ClientProtocol::Chat, stream, answer).await, "from the first");
        assert!(is_cancelled(&second).await);
    }
}

#[tokio::test]
async fn d10_where_both_attempts_fail_the_others_follow() {
    let (fake, spare) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Messages).await);
    let setup = Setup::default().provider("up", Protocol::Chat, &fake.base_url(), "keys: [key-one, key-two]");
    let gateway = setup.fake("b", &spare, Protocol::Messages).with(EAGER).start().await;
    warm_up(&gateway, ClientProtocol::Chat).await;
    spare.always(Step::text("from the spare one"));
    for late in [Step::error(500, "broken"), Step::text("the first after all")] {
        let (gate, before) = (Gate::new(), fake.requests().len());
        let good = matches!(late, ref step if format!("{step:?}").contains("after all"));
        fake.script(late.before_headers(Hold::Until(gate.clone())));
        fake.script(Step::error(503, "no room"));
        let opened = async {
            let all = fake.wait_for(before + 2).await;
            all.last().unwrap().finished().await;
            gate.open();
        };
        let (answer, ()) = tokio::join!(ask(&gateway, ClientProtocol::Chat, false, &[]), opened);
        let (said, attempts) = if good { ("the first after all", "2") } else { ("from the spare one", "3") };
        assert_eq!(answer.header("x-polyport-attempts"), attempts);
        assert_eq!(text(ClientProtocol::Chat, false, answer).await, said);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d10_second_attempts_are_a_share_of_requests() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let setup = Setup::default().provider("up", Protocol::Chat, &fake.base_url(), "keys: [key-one, key-two]");
    let gateway = setup.with("hedge: { samples: 4, min_delay: 40ms, max_share: 10 }").start().await;
    for _ in 0..20 {
        text(ClientProtocol::Chat, false, ask(&gateway, ClientProtocol::Chat, false, &[]).await).await;
    }
    let gate = Gate::new();
    fake.always(Step::model().before_headers(Hold::Until(gate.clone())));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (address, (path, body)) = (gateway.address, request(ClientProtocol::Chat, false));
        running.spawn(async move { post(address, path, &[], &body).await.status.as_u16() });
    }
    // A tenth of thirty requests.
    fake.wait_for(33).await;
    gate.open();
    assert!(running.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(fake.requests().len(), 33);
}

#[tokio::test]
async fn d10_without_being_asked_for_there_is_exactly_one_attempt() {
    let slow = || Step::model().before_headers(Hold::For(std::time::Duration::from_millis(300)));
    let off = "routes: [{ match: { model: single }, to: m, hedge: { enabled: false } }]";
    for (sections, model) in [(&[][..], "m"), (&[EAGER, off], "single"), (&["hedge: { enabled: false }"], "m")] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let mut setup = Setup::default().provider("up", Protocol::Chat, &fake.base_url(), "keys: [key-one, key-two]");
        for section in sections {
            setup = setup.with(section);
        }
        let gateway = setup.start().await;
        warm_up(&gateway, ClientProtocol::Chat).await;
        let before = fake.requests().len();
        for stream in [false, true] {
            fake.script(slow());
            let (path, mut body) = request(ClientProtocol::Chat, stream);
            body["model"] = model.into();
            let answer = post(gateway.address, path, &[], &body).await;
            assert_eq!(answer.header("x-polyport-attempts"), "1");
            text(ClientProtocol::Chat, stream, answer).await;
        }
        assert_eq!(fake.requests().len(), before + 2);
    }
}

#[tokio::test]
async fn what_leaves_something_at_the_provider_is_not_asked_for_twice() {
    let fake = FakeProvider::start(Protocol::Responses).await;
    let setup = Setup::default().provider("up", Protocol::Responses, &fake.base_url(), "keys: [key-one, key-two]");
    let gateway = setup.with(EAGER).start().await;
    warm_up(&gateway, ClientProtocol::Responses).await;
    let before = fake.requests().len();
    fake.script(Step::model().before_headers(Hold::For(std::time::Duration::from_millis(300))));
    let (path, mut body) = request(ClientProtocol::Responses, false);
    body["background"] = true.into();
    body["store"] = true.into();
    assert_eq!(post(gateway.address, path, &[], &body).await.status, 200);
    assert_eq!(fake.requests().len(), before + 1);
}

#[tokio::test]
async fn u26_a_provider_that_answers_errors_is_passed_over_while_others_can_serve() {
    let (bad, good) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Messages).await);
    bad.always(Step::error(500, "broken"));
    let gateway = Setup::to(&bad, Protocol::Chat).fake("b", &good, Protocol::Messages).start().await;
    for client in ClientProtocol::ALL {
        for _ in 0..5 {
            let answer = ask(&gateway, client, false, &[]).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-polyport-target")), (200, "b/m"));
        }
    }
    // Five errors are enough, and after some seconds a single request tries it out.
    assert!((5..=9).contains(&bad.requests().len()), "{}", bad.requests().len());
    // Alone it is asked all the same, and its own error tells the client what is wrong.
    good.go_away();
    let before = bad.requests().len();
    for _ in 0..3 {
        let answer = ask(&gateway, ClientProtocol::Chat, false, &[]).await;
        assert!(answer.status.as_u16() >= 500);
    }
    assert!(bad.requests().len() >= before + 3);
}

#[tokio::test]
async fn a_provider_whose_streams_break_off_is_passed_over() {
    for to in [Protocol::Chat, Protocol::Messages] {
        let (bad, good) = (FakeProvider::start(to).await, FakeProvider::start(Protocol::Chat).await);
        let gateway = Setup::to(&bad, to).fake("b", &good, Protocol::Chat).start().await;
        bad.always(Step::text("one two three four five six").cut_in_the_middle(Cut::Reset));
        for _ in 0..5 {
            let answer = ask(&gateway, ClientProtocol::Chat, true, &[]).await;
            assert_eq!(answer.header("x-polyport-target"), "up/m");
            let bytes = answer.bytes().await.unwrap();
            assert!(Check::new(ClientProtocol::Chat).stream(&bytes).unwrap().failure.is_some());
        }
        let answer = ask(&gateway, ClientProtocol::Chat, true, &[]).await;
        assert_eq!(answer.header("x-polyport-target"), "b/m", "{to}");
    }
}
