//! Figures for Prometheus: who may read them, and what they tell.

use std::sync::Arc;

use polyport_server::Server;
use polyport_server::config::{Arguments, Config, Environment, Listen, Purpose, Source};
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{Reply, get, post};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::support::{Gateway, one, sum};

const CLIENT: &str = "pp-0123456789abcdef0123456789abcdef";
const ADMIN: &str = "ap-0123456789abcdef0123456789abcdef";
const READER: &str = "mp-0123456789abcdef0123456789abcdef";

async fn ask(gateway: &Gateway, model: &str, stream: bool) -> Reply {
    let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
    post(gateway.address, "/v1/chat/completions", &[], &body).await
}

async fn figures(gateway: &Gateway) -> String {
    let reply = get(gateway.address, "/metrics", &[]).await;
    assert_eq!(reply.status, 200);
    String::from_utf8(reply.bytes().await.unwrap()).unwrap()
}

/// The configuration of a gateway whose clients need keys, with `metrics` as written.
fn keyed(fake: &FakeProvider, metrics: &str) -> Config {
    written(&format!(
        "access: {{ keys: [{CLIENT}], admin_keys: [{ADMIN}] }}\nmetrics: {metrics}\ndiscover: false\nproviders: {{ up: {{ \
         base_url: '{}', proxy: none, keys: [sk-canary] }} }}",
        fake.base_url()
    ))
}

fn written(text: &str) -> Config {
    let source = Source::new(None, Environment::default(), Arguments::default());
    source.load_text(text, &[], Purpose::Inspect).unwrap().config
}

#[tokio::test]
async fn a21_figures_need_a_key_where_requests_do() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(keyed(&fake, &format!("{{ keys: [{READER}] }}"))).await;
    let bearer = |key: &str| format!("Bearer {key}");
    for (key, status) in [(READER, 200), (ADMIN, 200), (CLIENT, 401), ("wrong", 401)] {
        let answer = get(gateway.address, "/metrics", &[("authorization", &bearer(key))]).await;
        assert_eq!(answer.status, status, "{key}");
    }
    assert_eq!(get(gateway.address, "/metrics", &[]).await.status, 401);
    // The key of the figures opens nothing else.
    let reader = [("authorization", &*bearer(READER))];
    assert_eq!(get(gateway.address, "/v1/models", &reader).await.status, 401);
    assert_eq!(get(gateway.address, "/admin/api/providers", &reader).await.status, 401);
}

#[tokio::test]
async fn a21_an_open_gateway_shows_its_figures_to_this_machine_but_to_no_web_page() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(one(&fake, Protocol::Chat)).await;
    assert_eq!(get(gateway.address, "/metrics", &[]).await.status, 200);
    assert_eq!(get(gateway.address, "/metrics", &[("origin", "https://evil.example")]).await.status, 403);
}

#[tokio::test]
async fn a21_figures_with_an_address_of_their_own_are_read_there_only() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = keyed(&fake, "{ listen: '127.0.0.1:0' }");
    config.listen = Listen { port: 0, ..Listen::default() };
    let server = Server::bind(Arc::new(config)).await.unwrap();
    let figures = server.figures_address().unwrap();
    let gateway = Gateway::run(server);
    let admin = [("x-api-key", ADMIN)];
    assert_eq!(get(gateway.address, "/metrics", &admin).await.status, 404);
    let answer = get(figures, "/metrics", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
    assert!(text.contains("polyport_credentials{provider=\"up\",state=\"ready\"} 1"), "{text}");
    for path in ["/", "/v1/models", "/admin/api/providers", "/healthz"] {
        assert_eq!(get(figures, path, &admin).await.status, 404, "{path}");
    }
    assert_eq!(get(figures, "/metrics", &[("origin", "https://evil.example")]).await.status, 403);
    gateway.stop().await;
}

#[tokio::test]
async fn a21_names_of_models_make_so_many_series_and_no_more() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(one(&fake, Protocol::Chat)).await;
    let before = figures(&gateway).await.lines().count();
    for number in 0..450 {
        // Whatever follows the provider's name is handed on to it.
        assert_eq!(ask(&gateway, &format!("up/made-up-{number}"), false).await.status, 200);
    }
    let long = "x".repeat(10_000);
    assert_eq!(ask(&gateway, &format!("up/{long}"), false).await.status, 200);
    assert_eq!(ask(&gateway, "up/line\nbreak \"quoted\"", false).await.status, 200);
    let figures = figures(&gateway).await;
    let count = sum(&figures, "gen_ai_server_request_duration_seconds_count", &[]);
    assert_eq!(count, 452.0, "each is counted");
    assert!(sum(&figures, "gen_ai_server_request_duration_seconds_count", &["gen_ai_request_model=\"other\""]) > 200.0);
    assert!(!figures.contains("xxxx") && !figures.contains("quoted"));
    assert!(figures.lines().count() - before < 20_000, "{} lines", figures.lines().count());
}

#[tokio::test]
async fn figures_tell_of_tokens_models_and_times() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(one(&fake, Protocol::Chat)).await;
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60}, "completion_tokens_details": {"reasoning_tokens": 20}});
    let whole: Value = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "up-m", "usage": usage,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]});
    fake.script(Step::body("application/json", whole.to_string()));
    assert_eq!(ask(&gateway, "m", false).await.status, 200);
    fake.script(Step::error(400, "no"));
    assert_eq!(ask(&gateway, "m", false).await.status, 400);
    ask(&gateway, "m", true).await.bytes().await.unwrap();
    assert_eq!(ask(&gateway, "unknown", false).await.status, 404);
    let figures = figures(&gateway).await;
    let asked = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"up\",gen_ai_request_model=\"m\"";
    let is = |name: &str, parts: &[&str], value: f64| {
        let parts: Vec<&str> = parts.iter().copied().chain([asked]).collect();
        assert_eq!(sum(&figures, name, &parts), value, "{name} {parts:?}\n{figures}");
    };
    is("gen_ai_server_request_duration_seconds_count", &["error_type=\"\""], 2.0);
    is("gen_ai_server_request_duration_seconds_count", &["error_type=\"bad_request\""], 1.0);
    is("gen_ai_server_time_to_first_token_seconds_count", &[], 1.0);
    is("gen_ai_client_operation_duration_seconds_count", &["error_type=\"\""], 2.0);
    is("gen_ai_client_operation_duration_seconds_count", &["error_type=\"bad_request\""], 1.0);
    is("gen_ai_client_token_usage_bucket", &["gen_ai_token_type=\"input\"", "le=\"67108864.0\""], 2.0);
    let class = |class: &str| {
        let labels = format!("provider=\"up\",model=\"m\",class=\"{class}\"");
        sum(&figures, "polyport_tokens_total", &[&labels])
    };
    assert_eq!((class("cache_read"), class("reasoning")), (60.0, 20.0));
    assert!(class("input") >= 40.0 && class("output") >= 10.0);
    let nobody = "gen_ai_provider_name=\"none\",gen_ai_request_model=\"none\",error_type=\"model_not_found\"";
    assert_eq!(sum(&figures, "gen_ai_server_request_duration_seconds_count", &[nobody]), 1.0, "{figures}");
}

#[tokio::test]
async fn figures_show_credentials_by_state() {
    let (good, bad) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let config = written(&format!(
        "discover: false\nproviders:\n  bad: {{ base_url: '{}', proxy: none, keys: [sk-1, sk-2] }}\n  good: {{ base_url: '{}', \
         proxy: none, keys: [sk-3], requests: 5 }}",
        bad.base_url(),
        good.base_url()
    ));
    let gateway = Gateway::start(config).await;
    bad.always(Step::error(401, "who are you?"));
    assert_ne!(ask(&gateway, "bad/x", false).await.status, 200);
    let text = figures(&gateway).await;
    let state = |provider: &str, state: &str| {
        sum(&text, "polyport_credentials", &[&format!("provider=\"{provider}\",state=\"{state}\"")])
    };
    assert_eq!((state("good", "ready"), state("bad", "ready"), state("bad", "cooling")), (1.0, 0.0, 2.0), "{text}");
    assert!(
        text.contains("polyport_provider_queue{provider=\"good\"} 0")
            && text.contains("\npolyport_queued_requests 0\n")
    );
}
