//! Every path that clients are known to call.

use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{Answer, FakeProvider, Step, Wrapping};
use polyport_testkit::raw::{get, post, send};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::support::{Gateway, one, provider, request, several, sum};

#[tokio::test]
async fn prefixes_and_missing_versions_are_no_mistakes() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for (client, paths) in [
        (
            ClientProtocol::Chat,
            [
                "/v1/chat/completions",
                "/chat/completions",
                "/openai/v1/chat/completions",
                "/openai/chat/completions/",
                "/v1/chat/completions?x=y",
            ],
        ),
        (
            ClientProtocol::Responses,
            ["/v1/responses", "/responses", "/openai/v1/responses", "/v1/responses/", "/v1/responses?beta=true"],
        ),
        (
            ClientProtocol::Messages,
            ["/v1/messages?beta=true", "/messages", "/anthropic/v1/messages", "/anthropic/messages", "/v1/messages"],
        ),
        (
            ClientProtocol::Gemini,
            [
                "/v1beta/models/m:generateContent",
                "/v1/models/m:generateContent",
                "/gemini/v1beta/models/m:generateContent?key=x",
                "/v1beta/models/m%3AgenerateContent",
                "/v1beta/publishers/google/models/m:generateContent",
            ],
        ),
    ] {
        let (_, body) = request(client, false);
        for path in paths {
            let answer = post(gateway.address, path, &[], &body).await;
            assert_eq!(answer.status, 200, "{path}");
            Check::new(client).answer(&answer.bytes().await.unwrap()).unwrap();
        }
    }
    let (_, body) = request(ClientProtocol::Chat, false);
    let twice = post(gateway.address, "/v1/v1/chat/completions", &[], &body).await;
    assert_eq!(twice.status, 404);
    assert!(twice.json().await["error"]["message"].as_str().unwrap().contains("twice"));
    let azure = json!({"messages": body["messages"]});
    let path = "/openai/deployments/m/chat/completions?api-version=2025-01-01";
    assert_eq!(post(gateway.address, path, &[("api-key", "x")], &azure).await.status, 200);
    assert_eq!(fake.last().json()["model"], "m");
}

#[tokio::test]
async fn probes_are_answered() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for path in ["/", "/anthropic", "/healthz", "/health", "/readyz"] {
        assert_eq!(get(gateway.address, path, &[]).await.status, 200, "{path}");
        let head = send(gateway.address, "HEAD", path, &[], "").await;
        assert_eq!(head.status, 200, "{path}");
        assert!(head.bytes().await.unwrap().is_empty());
    }
    let unknown = post(gateway.address, "/v1beta/models/m:flyAway", &[], &json!({})).await;
    assert_eq!((unknown.status.as_u16(), unknown.json().await["error"]["status"].clone()), (404, json!("NOT_FOUND")));
    let (path, body) = request(ClientProtocol::Chat, false);
    post(gateway.address, path, &[], &body).await.bytes().await.unwrap();
    let metrics = String::from_utf8(get(gateway.address, "/metrics", &[]).await.bytes().await.unwrap()).unwrap();
    assert!(
        metrics.contains("polyport_http_requests_total{protocol=\"chat\",route=\"chat\",status=\"200\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("# TYPE polyport_http_requests_total counter\n") && !metrics.contains("# EOF"));
    let open = get(gateway.address, "/metrics", &[("accept", "application/openmetrics-text;version=1.0.0")]).await;
    let open = String::from_utf8(open.bytes().await.unwrap()).unwrap();
    assert!(open.contains("# TYPE polyport_http_requests counter\n") && open.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_model_list_has_three_styles_and_pages() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = one(&fake, Protocol::Chat);
    let mut catalog = polyport_routing::Catalog::default().with_provider("up", Protocol::Chat, Vec::new(), Vec::new());
    for name in ["b", "a", "c"] {
        catalog = catalog.with_model(name, vec![polyport_routing::TargetSpec::new("up/m")]);
    }
    config.catalog = catalog.check().unwrap();
    let gateway = Gateway::start(config).await;
    let list = |path: &'static str, headers: &'static [(&'static str, &'static str)]| async move {
        get(gateway.address, path, headers).await.json().await
    };
    let ids = |value: &Value, list: &str, name: &str| -> Vec<String> {
        value[list].as_array().unwrap().iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
    };
    let openai = list("/v1/models", &[]).await;
    assert_eq!(
        (openai["object"].as_str(), ids(&openai, "data", "id")),
        (Some("list"), vec!["a".into(), "b".into(), "c".into()])
    );
    const VERSION: &[(&str, &str)] = &[("anthropic-version", "2026-10-21")];
    let first = list("/v1/models?limit=2", VERSION).await;
    assert_eq!((ids(&first, "data", "id"), first["has_more"].clone()), (vec!["a".into(), "b".into()], json!(true)));
    let last = list("/v1/models?limit=2&after_id=b", VERSION).await;
    assert_eq!(
        (last["first_id"].clone(), last["last_id"].clone(), last["has_more"].clone()),
        (json!("c"), json!("c"), json!(false))
    );
    let before = list("/v1/models?limit=1&before_id=c", VERSION).await;
    assert_eq!((ids(&before, "data", "id"), before["has_more"].clone()), (vec!["b".to_owned()], json!(true)));
    assert_eq!(last["data"][0]["lifecycle"], "active");
    let gemini = list("/v1beta/models?pageSize=2", &[]).await;
    assert_eq!(ids(&gemini, "models", "name"), ["models/a", "models/b"]);
    let token = gemini["nextPageToken"].as_str().unwrap();
    let rest = get(gateway.address, &format!("/v1beta/models?pageSize=2&pageToken={token}"), &[]).await.json().await;
    assert_eq!((ids(&rest, "models", "name"), rest.get("nextPageToken")), (vec!["models/c".to_owned()], None));
    let one = list("/v1/models/b", &[]).await;
    assert_eq!((one["id"].as_str(), one["object"].as_str()), (Some("b"), Some("model")));
    assert_eq!(list("/v1beta/models/b", &[]).await["baseModelId"], "b");
    assert_eq!(get(gateway.address, "/v1/models/none", VERSION).await.status, 404);
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider_or_estimated() {
    let messages = json!({"model":"m","messages":[{"role":"user","content":"Hello, world"}],"tools":[{"name":"t","input_schema":{"type":"object"}}]});
    let gemini = json!({"contents":[{"role":"user","parts":[{"text":"Hello, world"}]}]});
    let whole = json!({"generateContentRequest":{"model":"models/m","contents":[{"role":"user","parts":[{"text":"Hello, world"}]}]}});
    let responses = json!({"model":"m","input":"Hello, world"});
    let calls = [
        ("/v1/messages/count_tokens?beta=true", &messages, "input_tokens"),
        ("/v1beta/models/m:countTokens", &gemini, "totalTokens"),
        ("/v1beta/models/m:countTokens", &whole, "totalTokens"),
        ("/v1/responses/input_tokens", &responses, "input_tokens"),
    ];
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        for (path, body, member) in calls {
            let answer = post(gateway.address, path, &[("anthropic-version", "2023-06-01")], body).await;
            assert_eq!(answer.status, 200, "{path} to {to}");
            let estimated = answer.header("x-polyport-estimated") == "1";
            assert_eq!(estimated, to == Protocol::Chat, "{path} to {to}");
            let counted = answer.json().await;
            assert!((1..200).contains(&counted[member].as_u64().unwrap()), "{counted}");
        }
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn embeddings_reach_both_kinds_of_providers() {
    for to in [Protocol::Chat, Protocol::Gemini] {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        let body = json!({"model":"m","input":["one","two"]});
        let answer = post(gateway.address, "/v1/embeddings", &[], &body).await.json().await;
        assert_eq!(answer["data"].as_array().unwrap().len(), 2, "{answer}");
        let alias = json!({"model":"up-m","input":"one"});
        let named = post(gateway.address, "/v1/embeddings", &[], &alias).await.json().await;
        assert_eq!((&named["model"], named["object"].as_str()), (&json!("up-m"), Some("list")), "{to}");
        assert!(answer["data"][1]["embedding"].is_array());
        let packed = json!({"model":"m","input":"one","encoding_format":"base64"});
        let answer = post(gateway.address, "/v1/embeddings", &[], &packed).await.json().await;
        assert!(answer["data"][0]["embedding"].is_string(), "{to} {answer}");
        let single = json!({"content":{"parts":[{"text":"one"}]}});
        let answer = post(gateway.address, "/v1beta/models/m:embedContent", &[], &single).await.json().await;
        assert!(answer["embedding"]["values"].is_array(), "{to} {answer}");
        let batch = json!({"requests":[{"model":"models/m","content":{"parts":[{"text":"one"}]}},{"model":"models/m","content":{"parts":[{"text":"two"}]}}]});
        let answer = post(gateway.address, "/v1beta/models/m:batchEmbedContents", &[], &batch).await.json().await;
        assert_eq!(answer["embeddings"].as_array().unwrap().len(), 2, "{to} {answer}");
        fake.assert_no_violations();
    }
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    let body = json!({"model":"m","input":"one"});
    assert_eq!(post(gateway.address, "/v1/embeddings", &[], &body).await.status, 404);
}

/// Ollama by its OpenAI interface and by its own, with embeddings by its own.
fn ollamas(fake: &FakeProvider) -> [String; 2] {
    let address = format!("http://{}", fake.address());
    let own = "adapter: custom_http, custom: { path: /api/chat, body: { messages: '{{ messages }}' }, answer: { text: $.x } }";
    [format!("preset: ollama, base_url: {address}/v1"), format!("{own}, base_url: {address}")].map(|kind| {
        format!(
            "providers:\n  up: {{ {kind}, proxy: none, quirks: {{ embeddings: ollama }} }}\nmodels: {{ m: up/nomic:v1 }}\n"
        )
    })
}

#[tokio::test]
async fn embeddings_of_ollama_by_its_own_interface() {
    let fake = FakeProvider::builder(Protocol::Chat).wrapped(Wrapping::Ollama).start().await;
    for text in ollamas(&fake) {
        let gateway = Gateway::start(crate::custom::config(&text)).await;
        let body = json!({"model":"m","input":["one","three"],"dimensions":3,"truncate":false,"options":{"num_ctx":64},"user":"u"});
        let answer = post(gateway.address, "/v1/embeddings", &[], &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-polyport-loss")), (200, "identity.dropped;dropped"));
        let data = json!([
            {"object":"embedding","index":0,"embedding":[3.0, -0.25, 0.125]},
            {"object":"embedding","index":1,"embedding":[5.0, -0.25, 0.125]}]);
        let usage = json!({"prompt_tokens":8,"total_tokens":8});
        assert_eq!(answer.json().await, json!({"object":"list","data":data,"model":"m","usage":usage}));
        let sent = fake.last();
        assert_eq!(sent.path(), "/api/embed");
        assert_eq!(
            sent.json(),
            json!({"model":"nomic:v1","input":["one","three"],"dimensions":3,"truncate":false,"options":{"num_ctx":64}})
        );
        let packed = json!({"model":"m","input":"one","encoding_format":"base64"});
        let answer = post(gateway.address, "/v1/embeddings", &[], &packed).await.json().await;
        assert_eq!(answer["data"][0]["embedding"], "AABAQAAAgL4AAAA+");
        let single = json!({"content":{"parts":[{"text":"one"}]},"taskType":"CLUSTERING"});
        let answer = post(gateway.address, "/v1beta/models/m:embedContent", &[], &single).await;
        assert!(answer.header("x-polyport-loss").contains("unknown_field"));
        let usage = json!({"promptTokenCount":4});
        let values = json!({"values":[3.0, -0.25, 0.125]});
        assert_eq!(answer.json().await, json!({"embedding":values,"usageMetadata":usage}));
        let batch = json!({"requests":[{"model":"models/m","content":{"parts":[{"text":"one"}]}},{"model":"models/m","content":{"parts":[{"text":"three"}]}}]});
        let answer = post(gateway.address, "/v1beta/models/m:batchEmbedContents", &[], &batch).await.json().await;
        assert_eq!(answer["embeddings"][1]["values"], json!([5.0, -0.25, 0.125]));
        assert_eq!(fake.last().json()["input"], json!(["one", "three"]));
        let tokens = json!({"model":"m","input":[1, 2]});
        let refused = post(gateway.address, "/v1/embeddings", &[], &tokens).await;
        assert_eq!((refused.status.as_u16(), refused.json().await["error"]["param"].clone()), (400, json!("input[0]")));
        fake.assert_no_violations();
        assert_eq!(counted(&gateway).await, ("24.0".into(), "0.0".into(), "4".into()));
    }
}

#[tokio::test]
async fn errors_of_ollama_are_understood() {
    let fake = FakeProvider::builder(Protocol::Chat).wrapped(Wrapping::Ollama).start().await;
    for (status, words, expected) in [
        (404, "model \"nomic:v1\" not found, try pulling it first", (404, "model_not_found", "NOT_FOUND")),
        (400, "the input length exceeds the context length", (400, "context_too_long", "INVALID_ARGUMENT")),
        (400, "\"nomic:v1\" does not support embeddings", (400, "bad_request", "INVALID_ARGUMENT")),
    ] {
        fake.decide(move |_| Some(Step::error(status, words)));
        for text in ollamas(&fake) {
            let gateway = Gateway::start(crate::custom::config(&text)).await;
            let body = json!({"model":"m","input":"one"});
            let answer = post(gateway.address, "/v1/embeddings", &[], &body).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("x-polyport-error")),
                (expected.0, expected.1),
                "{words}"
            );
            let body = json!({"content":{"parts":[{"text":"one"}]}});
            let answer = post(gateway.address, "/v1beta/models/m:embedContent", &[], &body).await;
            assert_eq!(answer.json().await["error"]["status"], expected.2, "{words}");
        }
    }
}

#[tokio::test]
async fn the_older_completions_are_a_conversation_of_one_message() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    fake.always(Step::text("and so on"));
    let body = json!({"model":"m","prompt":["Once","Twice"],"echo":true,"max_tokens":5});
    let answer = post(gateway.address, "/v1/completions", &[], &body).await.json().await;
    assert_eq!(answer["object"], "text_completion");
    let texts: Vec<&str> =
        answer["choices"].as_array().unwrap().iter().map(|choice| choice["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Onceand so on", "Twiceand so on"]);
    assert_eq!(answer["choices"][1]["index"], 1);
    let body = json!({"model":"m","prompt":"Once","stream":true,"max_tokens":5});
    let text =
        String::from_utf8(post(gateway.address, "/v1/completions", &[], &body).await.bytes().await.unwrap()).unwrap();
    let chunks: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!(said, "and so on", "{text}");
    assert!(text.ends_with("data: [DONE]\n\n") && chunks.iter().all(|chunk| chunk["object"] == "text_completion"));
    let body = json!({"model":"m","prompt":[1,2,3]});
    assert_eq!(post(gateway.address, "/v1/completions", &[], &body).await.status, 400);
}

#[tokio::test]
async fn s2_13_the_older_vendor_paths_take_simple_and_vendor_bodies() {
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        fake.always(Step::text("hello"));
        let gateway = Gateway::to(&fake, to).await;
        let simple =
            json!({"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]});
        let anthropic =
            json!({"model":"m","max_tokens":50,"system":"Be brief.","messages":[{"role":"user","content":"hi"}]});
        let gemini = json!({"model":"m","contents":[{"role":"user","parts":[{"text":"hi"}]}]});
        for (path, client, body) in [
            ("/v1/anthropic/completions", ClientProtocol::Messages, &simple),
            ("/v1/anthropic/completions", ClientProtocol::Messages, &anthropic),
            ("/v1/gemini/completions", ClientProtocol::Gemini, &simple),
            ("/v1/gemini/completions", ClientProtocol::Gemini, &gemini),
        ] {
            for stream in [false, true] {
                let mut body = body.clone();
                body["stream"] = json!(stream);
                let answer = post(gateway.address, path, &[], &body).await;
                assert_eq!(answer.status, 200, "{path} to {to}");
                let bytes = answer.bytes().await.unwrap();
                let check = Check::new(client);
                let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
                assert_eq!(read.unwrap().text(), "hello", "{path} to {to}");
            }
        }
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn c19_a_gemini_stream_without_sse_is_an_array() {
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        fake.always(Step::answer(Answer::default().text("one two").tool("t", "{\"a\":1}")));
        let gateway = Gateway::to(&fake, to).await;
        let body = json!({"contents":[{"role":"user","parts":[{"text":"hi"}]}]});
        let answer = post(gateway.address, "/v1beta/models/m:streamGenerateContent", &[], &body).await;
        assert!(answer.header("content-type").starts_with("application/json"));
        let read = Check::new(ClientProtocol::Gemini).array(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!((read.text(), read.tool_calls().len()), ("one two", 1), "{to}");
    }
}

#[tokio::test]
async fn untranslated_endpoints_go_to_a_provider_that_has_them() {
    let fake = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    let other = FakeProvider::start(Protocol::Messages).await;
    let config = several(vec![
        provider("other", Protocol::Messages, &other.base_url()),
        provider("up", Protocol::Chat, &fake.base_url()),
    ]);
    let gateway = Gateway::start(config).await;
    let body = json!({"model":"up-m","input":"is this fine?"});
    let _ = post(gateway.address, "/v1/moderations", &[], &body).await;
    let received = fake.last();
    assert_eq!((received.path(), received.json()["model"].clone()), ("/v1/moderations", json!("m")));
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nup-m\r\n--b--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    let _ = send(gateway.address, "POST", "/v1/audio/transcriptions", &headers, form).await;
    let received = fake.last();
    assert_eq!(received.path(), "/v1/audio/transcriptions");
    assert_eq!(received.body(), form.replace("up-m", "m").as_bytes());
    let body = json!({"model":"other-m","prompt":"a cat"});
    assert_eq!(post(gateway.address, "/v1/images/generations", &[], &body).await.status, 404);
    // An endpoint that the provider lacks is not a model that is unknown.
    let body = json!({"model":"up-m","input":"is this fine?"});
    let refused = post(gateway.address, "/v1/moderations", &[], &body).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-polyport-error")), (404, "not_found"));
    assert_eq!(refused.json().await["error"]["code"], Value::Null);
}

/// The tokens that the gateway has counted: read and written, in how many requests.
async fn counted(gateway: &Gateway) -> (String, String, String) {
    let metrics = String::from_utf8(get(gateway.address, "/metrics", &[]).await.bytes().await.unwrap()).unwrap();
    let figure = |name: &str, kind: &str| sum(&metrics, &format!("gen_ai_client_token_usage_{name}"), &[kind]);
    let tokens = |kind: &str| format!("{:?}", figure("sum", &format!("gen_ai_token_type=\"{kind}\"")));
    (tokens("input"), tokens("output"), format!("{:.0}", figure("count", "gen_ai_token_type=\"input\"")))
}

#[tokio::test]
async fn what_forwarded_answers_used_is_counted() {
    let picture = "QUJD".repeat(700_000);
    let image = json!({"created":1,"data":[{"b64_json":picture}],"usage":{"input_tokens":50,"output_tokens":4160,
        "total_tokens":4210,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}});
    let heard = json!({"text":"Hi","usage":{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59}});
    let timed = json!({"text":"Hi","usage":{"type":"duration","seconds":3}});
    let done =
        json!({"type":"transcript.text.done","text":"Hi","usage":{"type":"tokens","input_tokens":7,"output_tokens":2}});
    let events =
        format!("data: {{\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}}\n\ndata: {done}\n\ndata: [DONE]\n\n");
    let ranks = json!({"results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":1650}}});
    let ranked = json!({"results":[],"usage":{"total_tokens":26}});
    let judged = json!({"id":"modr-1","model":"m","results":[]});
    let shorter = json!({"object":"response.compaction","usage":{"input_tokens":100,"output_tokens":20,"total_tokens":120,
        "input_tokens_details":{"cached_tokens":60}}});
    // Bytes that look like counts are none in what is no JSON.
    let sound = "{\"usage\":{\"input_tokens\":1}}";
    let none = ("0.0", "0.0", "0");
    let json = "application/json";
    for (path, kind, answer, expected) in [
        ("/v1/images/generations", json, image.to_string(), ("50.0", "4160.0", "1")),
        ("/v1/audio/transcriptions", json, heard.to_string(), ("14.0", "45.0", "1")),
        ("/v1/audio/transcriptions", json, timed.to_string(), none),
        ("/v1/audio/transcriptions", "text/event-stream", events, ("7.0", "2.0", "1")),
        ("/v1/audio/speech", "audio/mpeg", sound.to_owned(), none),
        ("/v1/rerank", json, ranks.to_string(), ("1650.0", "0.0", "1")),
        ("/v1/rerank", json, ranked.to_string(), ("26.0", "0.0", "1")),
        ("/v1/moderations", json, judged.to_string(), none),
        ("/v1/responses/compact", json, shorter.to_string(), ("100.0", "20.0", "1")),
    ] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let (content, bytes) = (kind, answer.clone());
        fake.decide(move |_| Some(Step::body(content, bytes.clone())));
        let gateway = Gateway::to(&fake, Protocol::Chat).await;
        let given = post(gateway.address, path, &[], &json!({"model":"m","input":"Hi"})).await;
        assert_eq!((given.status.as_u16(), given.header("content-type")), (200, kind), "{path}");
        assert!(given.bytes().await.unwrap() == answer.as_bytes(), "{path}: changed");
        let (input, output, count) = counted(&gateway).await;
        assert_eq!((&*input, &*output, &*count), expected, "{path} {kind} {}", answer.len());
    }
}

/// What is said in the form of each protocol: where the kind of an error stands.
fn kind_of(protocol: ClientProtocol, body: &Value) -> &Value {
    match protocol {
        ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => &body["error"]["type"],
        ClientProtocol::Gemini => &body["error"]["status"],
    }
}

#[tokio::test]
async fn what_is_not_here_is_said_in_the_protocol_of_the_path() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    const NONE: &[(&str, &str)] = &[];
    const ANTHROPIC: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];
    const GOOGLE: &[(&str, &str)] = &[("x-goog-api-key", "k")];
    let (openai, anthropic, gemini) = (ClientProtocol::Chat, ClientProtocol::Messages, ClientProtocol::Gemini);
    for (path, headers, protocol, kind) in [
        ("/nothing", NONE, openai, "invalid_request_error"),
        ("/v1/nothing", NONE, openai, "invalid_request_error"),
        ("/v1/nothing", ANTHROPIC, anthropic, "not_found_error"),
        ("/v1/nothing", GOOGLE, gemini, "NOT_FOUND"),
        ("/anthropic/v1/nothing", NONE, anthropic, "not_found_error"),
        ("/v1beta/nothing", NONE, gemini, "NOT_FOUND"),
        ("/gemini/v1beta/nothing", NONE, gemini, "NOT_FOUND"),
        ("/v1/models/m:nothing", NONE, gemini, "NOT_FOUND"),
        ("/v1/responses/resp_1/nothing", ANTHROPIC, openai, "invalid_request_error"),
        ("/v1/messages/nothing", GOOGLE, anthropic, "not_found_error"),
        ("/v1/complete", ANTHROPIC, anthropic, "not_found_error"),
        ("/v1/models/none", NONE, openai, "invalid_request_error"),
        ("/v1/models/none", ANTHROPIC, anthropic, "not_found_error"),
        ("/v1beta/models/none", NONE, gemini, "NOT_FOUND"),
    ] {
        let answer = get(gateway.address, path, headers).await;
        assert_eq!(answer.status, 404, "{path}");
        let body = answer.json().await;
        assert_eq!(kind_of(protocol, &body), kind, "{path} {body}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let (openai, anthropic, gemini) = (ClientProtocol::Chat, ClientProtocol::Messages, ClientProtocol::Gemini);
    for (method, path, allow, protocol, kind) in [
        ("PUT", "/v1/chat/completions", "GET, HEAD, POST", openai, "invalid_request_error"),
        ("OPTIONS", "/v1/chat/completions", "GET, HEAD, POST", openai, "invalid_request_error"),
        ("DELETE", "/v1/files", "GET, HEAD, POST", openai, "invalid_request_error"),
        ("PUT", "/v1/files/file-1", "GET, HEAD, POST, PATCH, DELETE", openai, "invalid_request_error"),
        ("PUT", "/v1/responses", "GET, HEAD, POST", openai, "invalid_request_error"),
        ("PATCH", "/v1/responses/resp_1", "GET, HEAD, DELETE", openai, "invalid_request_error"),
        ("GET", "/v1/responses/resp_1/cancel", "POST", openai, "invalid_request_error"),
        ("PUT", "/v1/conversations/conv_1", "GET, HEAD, POST, DELETE", openai, "invalid_request_error"),
        ("GET", "/v1/messages", "POST", anthropic, "invalid_request_error"),
        ("GET", "/v1/models/m:generateContent", "POST", gemini, "UNIMPLEMENTED"),
        ("DELETE", "/v1beta/models/m", "GET, HEAD", gemini, "UNIMPLEMENTED"),
        ("DELETE", "/v1/models/m", "GET, HEAD", openai, "invalid_request_error"),
        ("POST", "/healthz", "GET, HEAD", openai, "invalid_request_error"),
        ("GET", "/v1/gemini/completions", "POST", gemini, "UNIMPLEMENTED"),
    ] {
        let answer = send(gateway.address, method, path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allow), "{method} {path}");
        let body = answer.json().await;
        assert_eq!(kind_of(protocol, &body), kind, "{method} {path} {body}");
    }
    // Codex asks for a WebSocket first and posts at once when told so.
    let probe = get(gateway.address, "/v1/responses", &[("upgrade", "websocket"), ("connection", "upgrade")]).await;
    assert_eq!((probe.status.as_u16(), probe.header("upgrade")), (426, "websocket"));
}

#[tokio::test]
async fn the_prefix_of_a_path_decides_how_models_are_listed() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for (path, header, openai, anthropic) in [
        ("/v1/models", ("x-other", "x"), true, false),
        ("/models", ("authorization", "Bearer k"), true, false),
        ("/v1/models", ("x-api-key", "k"), false, true),
        ("/v1/models", ("user-agent", "Anthropic/Python 1.2"), false, true),
        ("/anthropic/v1/models", ("x-other", "x"), false, true),
        ("/openai/v1/models", ("x-api-key", "k"), true, false),
        ("/gemini/v1/models", ("x-api-key", "k"), false, false),
        ("/v1beta/models", ("x-api-key", "k"), false, false),
    ] {
        let list = get(gateway.address, path, &[header]).await.json().await;
        let shown = (list["object"] == "list", list.get("has_more").is_some(), list["models"].is_array());
        assert_eq!(shown, (openai, anthropic, !openai && !anthropic), "{path} {list}");
        let name = list["data"][0]["id"].as_str().or_else(|| list["models"][0]["baseModelId"].as_str()).unwrap();
        let one = get(gateway.address, &format!("{path}/{name}"), &[header]).await.json().await;
        let entry = if openai || anthropic { &list["data"][0] } else { &list["models"][0] };
        assert_eq!(&one, entry, "{path}");
    }
}

#[tokio::test]
async fn o2_a_reload_changes_new_requests_and_keeps_open_streams() {
    use polyport_testkit::provider::{Gate, Hold};
    let (old, new) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let gateway = Gateway::to(&old, Protocol::Chat).await;
    let gate = Gate::new();
    (0..2).for_each(|_| gate.pass());
    old.script(Step::text("one two three four").between_events(Hold::Until(gate.clone())));
    let (path, body) = request(ClientProtocol::Messages, true);
    let mut open = post(gateway.address, path, &[], &body).await;
    open.until("one").await.unwrap();
    gateway.handle.reload(&std::sync::Arc::new(one(&new, Protocol::Chat))).unwrap();
    assert_eq!(post(gateway.address, path, &[], &body).await.status, 200);
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
    gate.open();
    open.until("four").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o2_a_hundred_reloads_under_load_cost_no_request_and_no_stream() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use polyport_testkit::grammar::Check;
    use polyport_testkit::provider::{Gate, Hold};

    let (old, new) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let gateway = Gateway::to(&old, Protocol::Chat).await;
    let gate = Gate::new();
    (0..2).for_each(|_| gate.pass());
    old.script(Step::text("one two three four").between_events(Hold::Until(gate.clone())));
    let (path, body) = request(ClientProtocol::Messages, true);
    let mut open = post(gateway.address, path, &[], &body).await;
    open.until("one").await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let (done, address) = (Arc::clone(&done), gateway.address);
        load.spawn(async move {
            let mut answered = 0_usize;
            while !done.load(Ordering::Relaxed) {
                for client in ClientProtocol::ALL {
                    let stream = (worker + answered).is_multiple_of(2);
                    let (path, body) = request(client, stream);
                    let reply = post(address, path, &[], &body).await;
                    assert_eq!(reply.status, 200, "{client}");
                    let bytes = reply.bytes().await.unwrap();
                    let check = Check::new(client);
                    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) }.unwrap();
                    assert!(read.failure.is_none(), "{client}");
                    answered += 1;
                }
            }
            answered
        });
    }
    for reload in 0..100 {
        let fake = if reload % 2 == 0 { &new } else { &old };
        gateway.handle.reload(&Arc::new(one(fake, Protocol::Chat))).unwrap();
        // Each configuration answers something.
        let asked = fake.requests().len();
        fake.wait_for(asked + 1).await;
    }
    done.store(true, Ordering::Relaxed);
    let answered: usize = load.join_all().await.into_iter().sum();
    assert!(answered >= 100 && answered < old.requests().len() + new.requests().len() + 1, "{answered}");
    gate.open();
    open.until("four").await.unwrap();
}
