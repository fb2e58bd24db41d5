//! Traces, as a collector gets them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use polyport_server::config::Traces;
use polyport_server::config::{Arguments, Config, Environment, Purpose, Source};
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{Reply, get, post};
use polyport_types::Protocol;
use prost::Message as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

use crate::support::{Gateway, one, provider, several, sum};

/// How a collector takes what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    /// Status 503 to the first so many.
    Busy(usize),
    /// It never answers.
    Silent,
}

/// What a collector got: the head of a request and its spans.
type Got = (String, ExportTraceServiceRequest);

struct Collector {
    address: SocketAddr,
    got: Mutex<mpsc::UnboundedReceiver<Got>>,
}

impl Collector {
    async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, got) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut seen = 0;
            while let Ok((stream, _)) = listener.accept().await {
                // One connection after the other is enough: each carries one request.
                serve(stream, mood, &mut seen, &sender).await;
            }
        });
        Self { address, got: Mutex::new(got) }
    }

    /// Waits for this many spans.
    async fn spans(&self, count: usize) -> Vec<Span> {
        let mut got = self.got.lock().await;
        let mut spans = Vec::new();
        while spans.len() < count {
            let (_, request) =
                tokio::time::timeout(Duration::from_secs(20), got.recv()).await.expect("spans come").unwrap();
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        spans
    }
}

async fn serve(mut stream: TcpStream, mood: Mood, seen: &mut usize, sender: &mpsc::UnboundedSender<Got>) {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap().to_lowercase();
    let length: usize =
        text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or_default();
    while bytes.len() < head + length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    *seen += 1;
    let status = match mood {
        Mood::Silent => return std::future::pending().await,
        Mood::Busy(times) if *seen <= times => "503 Service Unavailable",
        Mood::Busy(_) | Mood::Takes => {
            let request = ExportTraceServiceRequest::decode(&bytes[head..head + length]).unwrap();
            sender.send((text, request)).ok();
            "200 OK"
        }
    };
    let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.ok();
}

/// The settings that this text and these variables make.
fn traces(collector: SocketAddr, more: &str, variables: &[(&str, &str)]) -> Traces {
    let text = format!("telemetry: {{ otlp: {{ endpoint: 'http://{collector}'{more} }} }}");
    let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let source = Source::new(None, Environment::of(owned, "/nowhere"), Arguments::default());
    source.load_text(&text, &[], Purpose::Inspect).unwrap().config.traces.unwrap()
}

fn traced(mut config: Config, collector: &Collector, more: &str) -> Config {
    config.traces = Some(traces(collector.address, more, &[]));
    config
}

async fn ask(gateway: &Gateway, headers: &[(&str, &str)], stream: bool) -> Reply {
    let body = json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "canary-prompt"}]});
    post(gateway.address, "/v1/chat/completions", headers, &body).await
}

fn attribute<'s>(span: &'s Span, key: &str) -> Option<&'s Any> {
    span.attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(span: &Span, key: &str) -> String {
    match attribute(span, key) {
        Some(Any::StringValue(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    }
}

fn number(span: &Span, key: &str) -> i64 {
    match attribute(span, key) {
        Some(Any::IntValue(number)) => *number,
        other => panic!("{key}: {other:?}"),
    }
}

#[tokio::test]
async fn a_failover_has_a_span_for_each_attempt() {
    let (bad, good) = (FakeProvider::start(Protocol::Messages).await, FakeProvider::start(Protocol::Chat).await);
    bad.always(Step::error(429, "canary-words of the provider"));
    let config = several(vec![
        provider("bad", Protocol::Messages, &bad.base_url()),
        provider("good", Protocol::Chat, &good.base_url()),
    ]);
    let collector = Collector::start(Mood::Takes).await;
    let gateway = Gateway::start(traced(config, &collector, ", service_name: gate, headers: { x-key: secret }")).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = ask(&gateway, &[("traceparent", parent), ("tracestate", "vendor=1")], true).await;
    assert_eq!(answer.status, 200);
    answer.bytes().await.unwrap();
    let (head, request) = collector.got.lock().await.recv().await.unwrap();
    assert!(head.starts_with("post /v1/traces ") && head.contains("content-type: application/x-protobuf"), "{head}");
    assert!(head.contains("x-key: secret"));
    let resource = format!("{:?}", request.resource_spans[0].resource);
    assert!(resource.contains("service.name") && resource.contains("gate"), "{resource}");
    assert!(!format!("{request:?}").contains("canary"), "no words of anybody");
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let [root, attempts @ ..] = spans.as_slice() else { panic!("no spans") };
    assert_eq!((root.kind, root.name.as_str()), (SpanKind::Server as i32, "POST chat"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&root.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((hex(&root.parent_span_id), root.trace_state.as_str()), ("00f067aa0ba902b7".to_owned(), "vendor=1"));
    assert_eq!(text(root, "gen_ai.request.model"), "m");
    assert_eq!(text(root, "url.path"), "/v1/chat/completions");
    assert_eq!((number(root, "http.response.status_code"), number(root, "polyport.attempts")), (200, 2));
    assert_eq!(root.status, None);
    let [first, second] = attempts else { panic!("{} attempts", attempts.len()) };
    for attempt in attempts {
        assert_eq!(attempt.kind, SpanKind::Client as i32);
        assert_eq!((&attempt.trace_id, &attempt.parent_span_id), (&root.trace_id, &root.span_id));
        assert_eq!((text(attempt, "gen_ai.operation.name").as_str(), attempt.name.as_str()), ("chat", "chat m"));
        assert_eq!(text(attempt, "server.address"), "127.0.0.1");
        assert!(root.start_time_unix_nano <= attempt.start_time_unix_nano);
        assert!(attempt.start_time_unix_nano <= attempt.end_time_unix_nano);
        assert!(attempt.end_time_unix_nano <= root.end_time_unix_nano);
    }
    assert!(first.end_time_unix_nano <= second.start_time_unix_nano);
    assert_eq!((text(first, "polyport.provider"), text(first, "error.type")), ("bad".into(), "rate_limited".into()));
    assert_eq!((number(first, "http.response.status_code"), first.status.is_some()), (429, true));
    assert_eq!((text(second, "polyport.provider").as_str(), attribute(second, "error.type")), ("good", None));
    assert!(!text(second, "gen_ai.response.id").is_empty() && !text(second, "gen_ai.response.model").is_empty());
    assert!(number(second, "gen_ai.usage.input_tokens") > 0 && number(second, "gen_ai.usage.output_tokens") > 0);
    assert!(matches!(attribute(second, "gen_ai.response.time_to_first_chunk"), Some(Any::DoubleValue(_))));
    assert_eq!(second.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["first_token"]);
    for exchange in good.requests() {
        assert_eq!(exchange.header("traceparent"), None, "providers are not told");
    }
}

#[tokio::test]
async fn providers_are_told_of_the_trace_where_that_is_wanted() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let collector = Collector::start(Mood::Takes).await;
    let config = traced(one(&fake, Protocol::Chat), &collector, ", propagate: true, sample: 0");
    let gateway = Gateway::start(config).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(ask(&gateway, &[("traceparent", parent)], false).await.status, 200);
    let spans = collector.spans(2).await;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let told = fake.last().header("traceparent").unwrap().to_owned();
    assert_eq!(told, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", hex(&spans[1].span_id)));
    // What is not sampled is told so, and exported nowhere.
    assert_eq!(ask(&gateway, &[], false).await.status, 200);
    let told = fake.last().header("traceparent").unwrap().to_owned();
    assert!(told.ends_with("-00") && !told.contains("4bf92f35"), "{told}");
    gateway.stop().await;
    assert!(collector.got.lock().await.try_recv().is_err());
}

#[tokio::test]
async fn answers_have_the_names_that_their_providers_give_them() {
    let collector = Collector::start(Mood::Takes).await;
    for protocol in [Protocol::Chat, Protocol::Responses, Protocol::Messages, Protocol::Gemini] {
        let fake = FakeProvider::start(protocol).await;
        let gateway = Gateway::start(traced(one(&fake, protocol), &collector, "")).await;
        // To Chat these are passed through, elsewhere they are translated.
        for stream in [false, true] {
            assert!(!ask(&gateway, &[], stream).await.bytes().await.unwrap().is_empty());
            let spans = collector.spans(2).await;
            let (id, model) = (text(&spans[1], "gen_ai.response.id"), text(&spans[1], "gen_ai.response.model"));
            assert!(!id.is_empty() && !model.is_empty(), "{protocol} {stream}: {id} {model}");
        }
    }
}

#[tokio::test]
async fn refused_requests_and_mistakes_are_told_apart() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let collector = Collector::start(Mood::Takes).await;
    let gateway = Gateway::start(traced(one(&fake, Protocol::Chat), &collector, "")).await;
    fake.always(Step::error(500, "down"));
    assert!(ask(&gateway, &[], false).await.status.is_server_error());
    let spans = collector.spans(2).await;
    assert!(spans.iter().all(|span| span.status.is_some()), "{spans:?}");
    fake.always(Step::error(400, "no"));
    assert_eq!(ask(&gateway, &[], false).await.status, 400);
    let spans = collector.spans(2).await;
    assert_eq!((text(&spans[0], "error.type").as_str(), &spans[0].status), ("bad_request", &None));
    assert!(spans[1].status.is_some());
}

#[tokio::test]
async fn a_busy_collector_is_asked_again_and_the_last_spans_go_out_at_the_end() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let collector = Collector::start(Mood::Busy(1)).await;
    let gateway = Gateway::start(traced(one(&fake, Protocol::Chat), &collector, "")).await;
    assert_eq!(ask(&gateway, &[], false).await.status, 200);
    assert_eq!(collector.spans(2).await.len(), 2);
    assert_eq!(ask(&gateway, &[], false).await.status, 200);
    gateway.stop().await;
    assert_eq!(collector.spans(2).await.len(), 2);
}

async fn figure(gateway: &Gateway, name: &str) -> f64 {
    let figures = get(gateway.address, "/metrics", &[]).await.bytes().await.unwrap();
    sum(&String::from_utf8(figures).unwrap(), name, &[])
}

#[tokio::test]
async fn o10_a_dead_collector_costs_spans_and_nothing_else() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let mut config = one(&fake, Protocol::Chat);
    config.traces = Some(traces(nobody, "", &[]));
    let gateway = Gateway::start(config).await;
    for _ in 0..50 {
        assert_eq!(ask(&gateway, &[], false).await.status, 200);
    }
    let lost = async { while figure(&gateway, "polyport_trace_spans_dropped_total").await == 0.0 {} };
    tokio::time::timeout(Duration::from_secs(30), lost).await.expect("they are counted");
    assert_eq!(figure(&gateway, "polyport_trace_spans_total").await, 0.0);
    assert_eq!(ask(&gateway, &[], false).await.status, 200);
    tokio::time::timeout(Duration::from_secs(20), gateway.stop()).await.expect("it stops");
}

#[tokio::test]
async fn o10_a_silent_collector_fills_a_bounded_queue() {
    let collector = Collector::start(Mood::Silent).await;
    let mut config = one(&FakeProvider::start(Protocol::Chat).await, Protocol::Chat);
    config.traces = Some(traces(collector.address, "", &[("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")]));
    let gateway = Arc::new(Gateway::start(config).await);
    // Requests that no model is there for make spans as well.
    let dropped = async {
        while figure(&gateway, "polyport_trace_spans_dropped_total").await == 0.0 {
            let asking = (0..64).map(|_| {
                let gateway = Arc::clone(&gateway);
                tokio::spawn(async move {
                    let body = json!({"model": "none", "messages": [{"role": "user", "content": "hi"}]});
                    post(gateway.address, "/v1/chat/completions", &[], &body).await.status
                })
            });
            for asked in asking.collect::<Vec<_>>() {
                assert_eq!(asked.await.unwrap(), 404);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), dropped).await.expect("the queue has a bound");
    let gateway = Arc::into_inner(gateway).unwrap();
    tokio::time::timeout(Duration::from_secs(20), gateway.stop()).await.expect("it stops");
}
