//! Every compatible server of the presets behind a gateway: what it answers, in its own shape, reaches clients of every protocol.
//!
//! The shapes are `fixtures/services/answers.toml`; where the recordings are at hand, they are played as well.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use polyport_protocol::Profile;
use polyport_provider::Adapter;
use polyport_server::config::Preset;
use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Exchange, FakeProvider, Step};
use polyport_testkit::raw::{get, post, send};
use polyport_testkit::shared;
use polyport_types::{ClientProtocol, Protocol};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::adapters::config;
use crate::support::Gateway;

/// What a server says, and what that means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    preset: String,
    model: String,
    stream: String,
    whole: String,
    #[serde(default)]
    reasoning: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    calls: Vec<(String, String)>,
    finish: String,
    usage: (u64, u64),
}

fn shapes() -> Vec<Shape> {
    #[derive(Deserialize)]
    struct Table {
        answer: Vec<Shape>,
    }
    let path = shared::workspace_root().unwrap().join("fixtures/services/answers.toml");
    toml::from_str::<Table>(&std::fs::read_to_string(path).unwrap()).unwrap().answer
}

/// A model `m` at a server of this preset.
async fn gateway(preset: &str, model: &str, fake: &FakeProvider, folder: &Path) -> Gateway {
    let base = fake.base_url();
    let text = format!(
        "data: data\nproviders:\n  up: {{ preset: {preset}, base_url: \"{base}\", proxy: none, keys: [sk-test-key] }}\nmodels: \
         {{ m: \"up/{model}\" }}\n"
    );
    Gateway::start(config(&text, folder)).await
}

/// A fake server that keeps to no schema but its own.
async fn server() -> FakeProvider {
    FakeProvider::builder(Protocol::Chat).lenient().start().await
}

/// A request with two tools, in the words of each client.
fn request(client: ClientProtocol, stream: bool) -> (&'static str, Value) {
    let schema = json!({"type": "object", "properties": {"place": {"type": "string"}}});
    let (path, mut body) = crate::support::request(client, stream);
    let tools = ["weather", "clock"].map(|name| match client {
        ClientProtocol::Chat => json!({"type": "function", "function": {"name": name, "parameters": schema}}),
        ClientProtocol::Responses => json!({"type": "function", "name": name, "strict": false, "parameters": schema}),
        ClientProtocol::Messages => json!({"name": name, "input_schema": schema}),
        ClientProtocol::Gemini => json!({"functionDeclarations": [{"name": name, "parametersJsonSchema": schema}]}),
    });
    body["tools"] = json!(tools);
    match client {
        ClientProtocol::Chat if stream => body["stream_options"] = json!({"include_usage": true}),
        ClientProtocol::Responses => body["reasoning"] = json!({"summary": "auto"}),
        ClientProtocol::Messages => {
            body["max_tokens"] = json!(4000);
            body["thinking"] = json!({"type": "enabled", "budget_tokens": 2000});
        }
        ClientProtocol::Gemini => body["generationConfig"] = json!({"thinkingConfig": {"includeThoughts": true}}),
        ClientProtocol::Chat => {}
    }
    (path, body)
}

/// Whether a Chat client gets the answer as the server gave it.
fn is_verbatim(client: ClientProtocol, preset: &str) -> bool {
    client == ClientProtocol::Chat && !Profile::named(preset).unwrap().loose_answers
}

/// Every piece of JSON in a body, without the names of models.
fn pieces(body: &str, stream: bool) -> Vec<Value> {
    let data = |line: &str| Some(line.strip_prefix("data:")?.trim().to_owned());
    let texts: Vec<String> = if stream { body.lines().filter_map(data).collect() } else { vec![body.to_owned()] };
    let json = |text: String| {
        let mut value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        value.as_object_mut().map(|members| members.remove("model"));
        value
    };
    texts.into_iter().map(json).collect()
}

async fn bytes(gateway: &Gateway, client: ClientProtocol, stream: bool, what: &str) -> Vec<u8> {
    let (path, body) = request(client, stream);
    let answer = post(gateway.address, path, &[], &body).await;
    let status = answer.status;
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{what}: {}", String::from_utf8_lossy(&bytes));
    bytes
}

async fn ask(gateway: &Gateway, client: ClientProtocol, stream: bool, what: &str) -> Summary {
    let bytes = bytes(gateway, client, stream, what).await;
    let shown = String::from_utf8_lossy(&bytes);
    let check = Check::new(client).vendor();
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    let read = read.unwrap_or_else(|why| panic!("{what}: {why}\n{shown}"));
    assert!(read.failure.is_none(), "{what}: {shown}");
    read
}

/// The word a client has for a finish reason of Chat.
fn finish(client: ClientProtocol, reason: &str) -> &'static str {
    match (client, reason) {
        (ClientProtocol::Chat, "stop") => "stop",
        (ClientProtocol::Chat, "length") => "length",
        (ClientProtocol::Chat, _) => "tool_calls",
        (ClientProtocol::Responses, "length") => "incomplete:max_output_tokens",
        (ClientProtocol::Responses, _) => "completed",
        (ClientProtocol::Messages, "stop") => "end_turn",
        (ClientProtocol::Messages, "length") => "max_tokens",
        (ClientProtocol::Messages, _) => "tool_use",
        (ClientProtocol::Gemini, "length") => "MAX_TOKENS",
        (ClientProtocol::Gemini, _) => "STOP",
    }
}

#[tokio::test]
async fn every_server_is_understood_by_every_client() {
    let mut verbatim = 0;
    for shape in shapes() {
        let folder = tempfile::tempdir().unwrap();
        let fake = server().await;
        let (stream, whole) = (shape.stream.clone(), shape.whole.clone());
        fake.decide(move |asked| {
            let streams = asked.json()["stream"] == true;
            Some(if streams { Step::sse(&stream) } else { Step::json(&whole) })
        });
        let gateway = gateway(&shape.preset, &shape.model, &fake, folder.path()).await;
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let what = format!("{} ({}) to {client}, stream {stream}", shape.preset, shape.model);
                if is_verbatim(client, &shape.preset) {
                    // As it was said, unless something of the request had to be written otherwise.
                    let got = String::from_utf8(bytes(&gateway, client, stream, &what).await).unwrap();
                    let given = if stream { &shape.stream } else { &shape.whole };
                    if pieces(&got, stream) == pieces(given, stream) {
                        verbatim += 1;
                        continue;
                    }
                }
                let seen = ask(&gateway, client, stream, &what).await;
                assert_eq!(seen.text(), shape.text, "{what}");
                assert_eq!(seen.reasoning(), shape.reasoning, "{what}");
                let calls: Vec<_> = seen.tool_calls().iter().map(|call| (call.name.clone(), call.json())).collect();
                let wanted: Vec<_> = shape
                    .calls
                    .iter()
                    .map(|(name, arguments)| (name.clone(), serde_json::from_str::<Value>(arguments).unwrap()))
                    .collect();
                assert_eq!(calls, wanted, "{what}");
                assert_eq!(seen.finish(), finish(client, &shape.finish), "{what}");
                let usage = seen.usage.unwrap_or_else(|| panic!("{what}: no usage"));
                assert_eq!((usage.input, usage.output), shape.usage, "{what}");
            }
        }
        let preset = Preset::named(&shape.preset).unwrap();
        let profile = Profile::named(&shape.preset).unwrap();
        for asked in fake.requests() {
            assert_eq!(asked.path(), "/v1/chat/completions", "{}", shape.preset);
            let header = preset.auth_header.as_deref().unwrap_or("authorization");
            assert!(asked.header(header).is_some_and(|key| key.contains("sk-test-key")), "{}", shape.preset);
            for (name, value) in &profile.extra_headers {
                assert_eq!(asked.header(name), Some(value.as_str()), "{}", shape.preset);
            }
            let body = asked.json();
            assert_eq!(body["model"], *shape.model, "{}", shape.preset);
            let asks = body["stream_options"]["include_usage"] == true;
            assert_eq!(asks, body["stream"] == true && profile.stream_usage, "{}: {body}", shape.preset);
        }
    }
    assert!(verbatim >= 20, "{verbatim}");
}

#[test]
fn every_preset_of_a_compatible_server_has_a_shape() {
    let shown: BTreeSet<String> = shapes().into_iter().map(|shape| shape.preset).collect();
    // Programs on this machine have no address.
    let by_http = |preset: &&Preset| {
        let has_address = preset.base_url.is_some() || preset.path.is_some() || preset.name == "generic";
        preset.protocol == Protocol::Chat && preset.adapter == Adapter::Http && has_address
    };
    let presets = Preset::all().iter().filter(by_http);
    let wanted: BTreeSet<String> = presets.map(|preset| preset.name.clone()).collect();
    assert_eq!(shown, wanted);
}

/// The preset of a recorded service, and whether its answers are of a kind that has none.
fn preset_of(provider: &str) -> Option<&'static str> {
    Some(match provider {
        "alibaba" => "dashscope",
        "google" => "gemini-compat",
        "cerebras" => "cerebras",
        "deepseek" => "deepseek",
        "groq" => "groq",
        "mistral" => "mistral",
        "moonshot" => "moonshot",
        "openrouter" => "openrouter",
        "snowflake" => "snowflake",
        "xai" => "xai",
        "zai" => "zai",
        "huggingface" | "perplexity" | "crusoe" => "generic",
        _ => return None,
    })
}

#[tokio::test]
async fn recorded_answers_say_the_same_to_every_client() {
    let Some(records) =
        shared::records_or_skip("recorded_answers_say_the_same_to_every_client", "openai-compatible.jsonl")
    else {
        return;
    };
    let mut played = 0;
    for record in records.iter().filter(|record| record.is_good_generation() && !record.has_tag("abnormal_stream")) {
        let preset = preset_of(&record.provider).unwrap_or_else(|| panic!("{}: {}", record.id, record.provider));
        let step = match (&record.response.sse, &record.response.body) {
            (Some(sse), _) => Step::sse(sse),
            (None, Some(body)) => Step::json(body),
            (None, None) => continue,
        };
        let folder = tempfile::tempdir().unwrap();
        let fake = server().await;
        fake.always(step);
        let model = record.model().unwrap_or_else(|| "m".to_owned());
        let gateway = gateway(preset, &model, &fake, folder.path()).await;
        let (path, body) = request(ClientProtocol::Messages, false);
        if post(gateway.address, path, &[], &body).await.status != 200 {
            // A failure inside a 200; those are looked at elsewhere.
            continue;
        }
        let mut said = Vec::new();
        for client in ClientProtocol::ALL.into_iter().filter(|client| !is_verbatim(*client, preset)) {
            for stream in [false, true] {
                let what = format!("{} ({preset}) to {client}, stream {stream}", record.id);
                let seen = ask(&gateway, client, stream, &what).await;
                let calls: Vec<_> = seen.tool_calls().iter().map(|call| (call.name.clone(), call.json())).collect();
                said.push((what, seen.text().to_owned(), calls));
            }
        }
        for (what, text, calls) in &said {
            assert_eq!((text, calls), (&said[0].1, &said[0].2), "{what}");
        }
        played += 1;
    }
    assert!(played > 100, "{played}");
}

/// A server that refuses one member, and the requests it got.
async fn refusing(member: &'static str, message: &'static str) -> FakeProvider {
    let fake = server().await;
    fake.decide(move |asked: &Exchange| {
        let body = asked.json();
        let refused = body.get(member).is_some();
        let error =
            json!({"error": {"message": message, "type": "invalid_request_error", "param": member, "code": null}});
        refused.then(|| Step::json(&error.to_string()).status(400))
    });
    fake
}

fn generic(fake: &FakeProvider, extra: &str) -> String {
    format!(
        "data: data\naccess: {{ admin_keys: [an-admin-key-of-some-length] }}\nproviders:\n  up: {{ preset: generic, base_url: \"{}\", proxy: \
         none, keys: [sk-test-key]{extra} }}\nmodels: {{ m: up/one, n: up/two }}\n",
        fake.base_url()
    )
}

const ADMIN: (&str, &str) = ("authorization", "Bearer an-admin-key-of-some-length");
const LESSONS: &str = "/admin/api/providers/up/learned";

#[tokio::test]
async fn a_refused_member_is_learned_shown_and_forgotten() {
    let message = "Unsupported parameter: 'seed' is not supported with this model.";
    let fake = refusing("seed", message).await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(config(&generic(&fake, ""), folder.path())).await;
    let body = |model: &str| json!({"model": model, "seed": 1, "messages": [{"role": "user", "content": "hi"}]});
    // Passed through and translated.
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"seed": 1}});
    let chat = post(gateway.address, "/v1/chat/completions", &[], &body("m")).await;
    assert_eq!((chat.status.as_u16(), chat.header("x-polyport-loss").contains("unknown_field.dropped")), (200, true));
    assert_eq!(fake.requests().len(), 2, "one repetition");
    let again = post(gateway.address, "/v1/chat/completions", &[], &body("m")).await;
    assert_eq!((again.status.as_u16(), again.header("x-polyport-loss").contains("unknown_field.dropped")), (200, true));
    let translated = post(gateway.address, "/v1beta/models/m:generateContent", &[], &gemini).await;
    assert_eq!(
        (translated.status.as_u16(), translated.header("x-polyport-loss").contains("unknown_field.dropped")),
        (200, true)
    );
    assert_eq!(fake.requests().len(), 4, "nothing is refused any more");
    // Another model has lessons of its own, and who allows no loss gets none.
    post(gateway.address, "/v1/chat/completions", &[], &body("n")).await;
    assert_eq!(fake.requests().len(), 6);
    let strict = post(gateway.address, "/v1/chat/completions", &[("x-polyport-strict", "1")], &body("m")).await;
    assert_eq!(strict.status, 400);
    assert_eq!(fake.requests().len(), 6);
    let shown = get(gateway.address, LESSONS, &[ADMIN]).await.json().await;
    let of = |at: usize| (shown["learned"][at]["model"].clone(), shown["learned"][at]["member"].clone());
    assert_eq!((of(0), of(1)), ((json!("one"), json!("seed")), (json!("two"), json!("seed"))), "{shown}");
    assert_eq!(shown["learned"][0]["message"], message);
    let provider = get(gateway.address, "/admin/api/providers/up", &[ADMIN]).await.json().await;
    assert_eq!(provider["learned"], shown["learned"]);
    // A configuration that leaves the provider as it is forgets nothing; one that changes it does.
    let reload = |text: String| gateway.handle.reload(&std::sync::Arc::new(config(&text, folder.path()))).unwrap();
    reload(generic(&fake, "") + "limits: { queue: 5 }\n");
    assert_eq!(get(gateway.address, LESSONS, &[ADMIN]).await.json().await["learned"].as_array().unwrap().len(), 2);
    reload(generic(&fake, ", quirks: { tool_name: true }"));
    assert_eq!(get(gateway.address, LESSONS, &[ADMIN]).await.json().await["learned"], json!([]));
    post(gateway.address, "/v1/chat/completions", &[], &body("m")).await;
    assert_eq!(fake.requests().len(), 8, "learned anew");
    let gone = send(gateway.address, "DELETE", LESSONS, &[ADMIN], "").await;
    assert_eq!((gone.status.as_u16(), gone.json().await["learned"].clone()), (200, json!([])));
}

#[tokio::test]
async fn a_limit_that_is_refused_goes_under_its_other_name() {
    let words =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let fake = refusing("max_tokens", words).await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(config(&generic(&fake, ""), folder.path())).await;
    for client in ClientProtocol::ALL {
        let (path, mut body) = crate::support::request(client, false);
        match client {
            ClientProtocol::Chat => body["max_tokens"] = json!(77),
            ClientProtocol::Responses => body["max_output_tokens"] = json!(77),
            ClientProtocol::Messages => body["max_tokens"] = json!(77),
            ClientProtocol::Gemini => body["generationConfig"] = json!({"maxOutputTokens": 77}),
        }
        let answer = post(gateway.address, path, &[], &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-polyport-loss")), (200, ""), "{client}");
        assert_eq!(fake.last().json()["max_completion_tokens"], 77, "{client}");
    }
    assert_eq!(fake.requests().len(), 5, "one was refused");
}

#[tokio::test]
async fn a_request_is_repeated_once_and_what_did_not_help_is_not_kept() {
    let fake = server().await;
    fake.decide(|_| {
        let error = json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "metadata", "user"], "msg": "Extra inputs are not permitted"}]});
        Some(Step::json(&error.to_string()).status(422))
    });
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(config(&generic(&fake, ""), folder.path())).await;
    let body = json!({"model": "m", "user": "u", "messages": [{"role": "user", "content": "hi"}]});
    let answer = post(gateway.address, "/v1/chat/completions", &[], &body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(fake.requests().len(), 2);
    assert_eq!(get(gateway.address, LESSONS, &[ADMIN]).await.json().await["learned"], json!([]));
}

/// Signs of life of the services are swallowed; they keep a slow answer from being given up.
#[tokio::test]
async fn comments_of_servers_keep_an_answer_alive() {
    let fake = server().await;
    let chunk = r#"{"id":"a","object":"chat.completion.chunk","created":1,"model":"one","choices":[{"index":0,"delta":{"content":"late"},"finish_reason":"stop"}]}"#;
    let lines = ": OPENROUTER PROCESSING\n\n".repeat(12);
    fake.always(
        Step::sse(&format!("{lines}data: {chunk}\n\ndata: [DONE]\n\n"))
            .between_events(polyport_testkit::provider::Hold::For(Duration::from_millis(100))),
    );
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(config(&generic(&fake, ", timeouts: { idle: 500ms }"), folder.path())).await;
    for client in [ClientProtocol::Responses, ClientProtocol::Messages, ClientProtocol::Gemini] {
        let seen = ask(&gateway, client, true, "comments").await;
        assert_eq!(seen.text(), "late", "{client}");
    }
}

/// Bodies under a wrong name, and bodies of a 200 that hold no answer.
#[tokio::test]
async fn what_a_body_is_shows_in_the_body() {
    let shape = shapes().into_iter().find(|shape| shape.preset == "generic").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fake = server().await;
    let gateway = Gateway::start(config(&generic(&fake, ""), folder.path())).await;
    for kind in ["text/plain", "application/octet-stream"] {
        for body in [&shape.stream, &shape.whole] {
            fake.always(Step::body(kind, body.clone()));
            for client in ClientProtocol::ALL {
                for stream in [false, true] {
                    let what = format!("{kind} to {client}, stream {stream}");
                    let shown = String::from_utf8(bytes(&gateway, client, stream, &what).await).unwrap();
                    assert!(shown.contains(&shape.text), "{what}: {shown}");
                    if client != ClientProtocol::Chat {
                        assert_eq!(ask(&gateway, client, stream, &what).await.text(), shape.text, "{what}");
                    }
                }
            }
        }
    }
    for body in [
        r#"{"id":"a","object":"chat.completion","choices":null}"#,
        r#"{"id":"a","choices":[]}"#,
        r#"{"detail":"not now"}"#,
        r#"{"provider":{"id":"a","choices":[{"index":0,"message":{"content":"hi"}}]}}"#,
        "<html><body>no</body></html>",
    ] {
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                // Each on its own: failures rest what they hit.
                let fake = server().await;
                fake.always(Step::json(body));
                let gateway = Gateway::start(config(&generic(&fake, ""), folder.path())).await;
                let (path, request) = request(client, stream);
                let answer = post(gateway.address, path, &[], &request).await;
                assert!(answer.status.as_u16() >= 500, "{client}, stream {stream}: {} for {body}", answer.status);
            }
        }
    }
}

/// A model without tools is not the provider's fault nor the client's: the next target is asked, and nothing rests.
#[tokio::test]
async fn a_model_that_cannot_use_tools_is_passed_over() {
    let (first, second) = (server().await, server().await);
    let error = json!({"error": {"message": "registry.example/tiny does not support tools", "type": "api_error"}});
    first.always(Step::json(&error.to_string()).status(400));
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "data: data\nproviders:\n  a: {{ preset: ollama, base_url: \"{}\", proxy: none }}\n  b: {{ preset: generic, base_url: \"{}\", \
         proxy: none, keys: [sk-test-key] }}\nmodels: {{ m: [a/tiny, b/large] }}\n",
        first.base_url(),
        second.base_url()
    );
    let gateway = Gateway::start(config(&text, folder.path())).await;
    for _ in 0..6 {
        let (path, body) = request(ClientProtocol::Messages, false);
        let answer = post(gateway.address, path, &[], &body).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(second.requests().len(), 6);
    assert!(first.requests().len() >= 3, "it is asked again: {}", first.requests().len());
}
