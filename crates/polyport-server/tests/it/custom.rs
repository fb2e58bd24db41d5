//! Interfaces that operators declare: the two of the documentation, read out of it, against fakes of both services.

use std::path::Path;

use polyport_server::config::{Config, Environment, Purpose, Source};
use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Answer, Cut, FakeProvider, Finish, Step, Tokens, Wrapping};
use polyport_testkit::raw::{Reply, post};
use polyport_testkit::shared::workspace_root;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::support::{Gateway, request};

/// One of the documented services.
struct Service {
    name: &'static str,
    /// Its address in the documentation.
    address: &'static str,
    /// What stands behind host and port in it.
    path: &'static str,
    wrapping: Wrapping,
}

fn services() -> [Service; 2] {
    [
        Service { name: "ollama-native", address: "http://127.0.0.1:11434", path: "", wrapping: Wrapping::Ollama },
        Service { name: "lumen", address: "https://api.lumen.example/v2", path: "/v2", wrapping: Wrapping::Lumen },
    ]
}

/// The configuration of a service as the documentation has it, but for the address.
fn documented(service: &Service, fake: &FakeProvider) -> String {
    let page = std::fs::read_to_string(workspace_root().unwrap().join("docs/PROVIDERS.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let mut found = blocks.filter(|block| block.contains(&format!("\n  {}:\n    adapter: custom_http", service.name)));
    let block = found.next().unwrap_or_else(|| panic!("{} is not documented", service.name));
    let ours = format!("base_url: http://{}{}\n    proxy: none", fake.address(), service.path);
    let changed = block.replace(&format!("base_url: {}", service.address), &ours);
    assert_ne!(changed, block);
    format!("{changed}\nmodels: {{ m: {}/llava }}\n", service.name)
}

async fn start(service: &Service) -> FakeProvider {
    FakeProvider::builder(Protocol::Chat).wrapped(service.wrapping.clone()).start().await
}

pub(crate) fn config(text: &str) -> Config {
    let environment = Environment::of([("LUMEN_KEY".to_owned(), "key-1".to_owned())], Path::new("/nowhere"));
    let source = Source { environment, ..Source::default() };
    let loaded = source.load_text(text, &[], Purpose::Serve);
    loaded.unwrap_or_else(|problems| panic!("{problems:?}\n{text}")).config
}

async fn text(answer: Reply) -> String {
    String::from_utf8(answer.bytes().await.unwrap()).unwrap()
}

async fn ask(gateway: &Gateway, client: ClientProtocol, path: &str, body: &Value, stream: bool) -> Summary {
    let answer = post(gateway.address, path, &[], body).await;
    let status = answer.status;
    let losses = answer.header("x-polyport-loss").to_owned();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{client}: {} {losses:?}", String::from_utf8_lossy(&bytes));
    let check = Check::new(client);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|why| panic!("{client} stream {stream}: {why}\n{}", String::from_utf8_lossy(&bytes)))
}

#[tokio::test]
async fn the_documented_services_answer_every_client() {
    for service in services() {
        let fake = start(&service).await;
        let gateway = Gateway::start(config(&documented(&service, &fake))).await;
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let (path, mut body) = request(client, stream);
                // What is not asked for is not shown.
                match client {
                    ClientProtocol::Chat if stream => body["stream_options"] = json!({ "include_usage": true }),
                    ClientProtocol::Chat => {}
                    ClientProtocol::Responses => body["reasoning"] = json!({ "effort": "low", "summary": "auto" }),
                    ClientProtocol::Messages => {
                        body["max_tokens"] = json!(2000);
                        body["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
                    }
                    ClientProtocol::Gemini => {
                        body["generationConfig"] = json!({ "thinkingConfig": { "includeThoughts": true } });
                    }
                }
                let usage = Tokens { input: 11, output: 7, ..Tokens::default() };
                let answer = Answer::default().reasoning("Let me think.").text("One, two, \"é\".").usage(usage);
                fake.always(Step::answer(answer));
                let summary = ask(&gateway, client, path, &body, stream).await;
                let choice = &summary.choices[0];
                let what = format!("{client} to {}, stream {stream}", service.name);
                assert_eq!(choice.text, "One, two, \"é\".", "{what}");
                assert_eq!(choice.reasoning, "Let me think.", "{what}");
                let usage = summary.usage.unwrap();
                assert_eq!((usage.input, usage.output), (11, 7), "{what}");
            }
        }
        let key = fake.last().header("x-lumen-key").map(str::to_owned);
        assert_eq!(key.as_deref(), (service.name == "lumen").then_some("key-1"));
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn tools_are_offered_called_and_answered() {
    for service in services() {
        let fake = start(&service).await;
        let gateway = Gateway::start(config(&documented(&service, &fake))).await;
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let what = format!("{client} to {}, stream {stream}", service.name);
                let (path, body) = with_tool(client, stream);
                fake.always(Step::model());
                let summary = ask(&gateway, client, path, &body, stream).await;
                let calls: Vec<(&str, Value)> = summary.choices[0]
                    .tool_calls
                    .iter()
                    .map(|call| (call.name.as_str(), serde_json::from_str(&call.arguments).unwrap()))
                    .collect();
                assert_eq!(calls, [("look", json!({ "at": "é" })), ("look", json!({ "at": "x" }))], "{what}");
                let ids: Vec<&str> = summary.choices[0].tool_calls.iter().map(|call| call.id.as_str()).collect();
                assert!(ids[0] != ids[1] || client == ClientProtocol::Gemini, "{what}");
            }
        }
        // The results of two calls, in a history with instructions and a picture.
        let body = json!({ "model": "m", "max_tokens": 50, "system": "Be brief.", "temperature": 0.5, "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "What is this?" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": PIXEL } }] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "toolu_1", "name": "look", "input": { "at": "a" } },
                { "type": "tool_use", "id": "toolu_2", "name": "look", "input": { "at": "b" } } ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees" },
                { "type": "tool_result", "tool_use_id": "toolu_2", "content": "19 degrees" } ] }
        ], "tools": [{ "name": "look", "input_schema": { "type": "object", "properties": { "at": { "type": "string" } } } }] });
        let summary = ask(&gateway, ClientProtocol::Messages, "/v1/messages", &body, false).await;
        assert!(summary.choices[0].text.contains("19 degrees"), "{}", summary.choices[0].text);
        let sent = String::from_utf8_lossy(fake.last().body()).into_owned();
        for words in ["Be brief.", "What is this?", "18 degrees", PIXEL, "llava", "50", "0.5"] {
            let in_path = fake.last().path().contains(words);
            assert!(sent.contains(words) || in_path, "{} has no {words} in {sent}", service.name);
        }
        fake.assert_no_violations();
    }
}

/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const CALLS: &str = r#"call look with {"at":"é"} and call look with {"at":"x"}"#;

/// A request that makes the fake call a tool twice.
fn with_tool(client: ClientProtocol, stream: bool) -> (&'static str, Value) {
    let (path, mut body) = request(client, stream);
    let schema = json!({ "type": "object", "properties": { "at": { "type": "string" } } });
    match client {
        ClientProtocol::Chat => {
            body["messages"][0]["content"] = json!(CALLS);
            body["tools"] = json!([{ "type": "function", "function": { "name": "look", "parameters": schema } }]);
        }
        ClientProtocol::Responses => {
            body["input"] = json!(CALLS);
            body["tools"] = json!([{ "type": "function", "name": "look", "parameters": schema, "strict": false }]);
        }
        ClientProtocol::Messages => {
            body["messages"][0]["content"] = json!(CALLS);
            body["tools"] = json!([{ "name": "look", "input_schema": schema }]);
        }
        ClientProtocol::Gemini => {
            body["contents"][0]["parts"][0]["text"] = json!(CALLS);
            let declaration = json!({ "name": "look", "parametersJsonSchema": schema });
            body["tools"] = json!([{ "functionDeclarations": [declaration] }]);
        }
    }
    (path, body)
}

#[tokio::test]
async fn pictures_of_every_client_reach_the_services() {
    for service in services() {
        let fake = start(&service).await;
        let gateway = Gateway::start(config(&documented(&service, &fake))).await;
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let (path, mut body) = request(client, stream);
                let url = format!("data:image/png;base64,{PIXEL}");
                match client {
                    ClientProtocol::Chat => {
                        body["messages"][0]["content"] = json!([{ "type": "image_url", "image_url": { "url": url } }]);
                    }
                    ClientProtocol::Responses => {
                        let content = json!([{ "type": "input_image", "image_url": url, "detail": "auto" }]);
                        body["input"] = json!([{ "role": "user", "content": content }]);
                    }
                    ClientProtocol::Messages => {
                        let source = json!({ "type": "base64", "media_type": "image/png", "data": PIXEL });
                        body["messages"][0]["content"] = json!([{ "type": "image", "source": source }]);
                    }
                    ClientProtocol::Gemini => {
                        body["contents"][0]["parts"] =
                            json!([{ "inlineData": { "mimeType": "image/png", "data": PIXEL } }]);
                    }
                }
                ask(&gateway, client, path, &body, stream).await;
                let sent = String::from_utf8_lossy(fake.last().body()).into_owned();
                assert!(sent.contains(PIXEL), "{client} to {}: {sent}", service.name);
            }
        }
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn ends_and_errors_are_understood() {
    for service in services() {
        let fake = start(&service).await;
        for stream in [false, true] {
            let gateway = Gateway::start(config(&documented(&service, &fake))).await;
            let (path, body) = request(ClientProtocol::Chat, stream);
            fake.always(Step::answer(Answer::default().text("One, two").finish(Finish::Length)));
            let summary = ask(&gateway, ClientProtocol::Chat, path, &body, stream).await;
            assert_eq!(summary.choices[0].finish.as_deref(), Some("length"), "{}", service.name);

            fake.always(Step::error(429, "slow down, please").header("retry-after", "1"));
            let answer = post(gateway.address, path, &[], &body).await;
            assert_eq!(answer.status, 429, "{}", service.name);
            let text = text(answer).await;
            assert!(text.contains("slow down, please"), "{text}");
        }
        // An error in the middle of a stream, and a stream that is cut, never look finished.
        let (path, body) = request(ClientProtocol::Chat, true);
        for step in [
            Step::answer(Answer::default().text("One, two, three.").error("the lamp went out")),
            Step::answer(Answer::default().text("One, two, three.")).cut_in_the_middle(Cut::Close),
        ] {
            fake.always(step);
            let gateway = Gateway::start(config(&documented(&service, &fake))).await;
            let text = text(post(gateway.address, path, &[], &body).await).await;
            assert!(text.contains("\"error\"") && !text.contains("\"finish_reason\":\"stop\""), "{text}");
        }
    }
}

/// What the settings of a provider come to where an answer, or a template, is not as declared: the error says so, and the next target answers.
#[tokio::test]
async fn what_fits_no_declaration_names_provider_and_setting_and_the_next_target_answers() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let other = FakeProvider::start(Protocol::Chat).await;
    let provider = |body: &str, text: &str| {
        format!(
            "providers:\n  odd:\n    adapter: custom_http\n    base_url: {}\n    proxy: none\n    custom:\n      path: \
             /chat/completions\n      body: {body}\n      answer: {{ text: '{text}' }}\n  good: {{ base_url: '{}', proxy: \
             none }}\n",
            fake.base_url(),
            other.base_url()
        )
    };
    let found = "$.choices[0].message.content";
    let fine = "{ model: '{{ model }}', messages: '{{ messages }}' }";
    let odd = "\"{{ messages | tojson if not user else user | map('nonsense') | list | tojson }}\"";
    for (body, place, setting) in [(fine, "$.nothing.here", "custom.answer.text"), (odd, found, "custom.body")] {
        let providers = provider(body, place);
        let (path, mut asked) = request(ClientProtocol::Chat, false);
        asked["user"] = json!("me");
        let alone = Gateway::start(config(&format!("{providers}models: {{ m: odd/x }}\n"))).await;
        let answer = post(alone.address, path, &[], &asked).await;
        assert!(answer.status.is_server_error(), "{}", answer.status);
        let words = text(answer).await;
        assert!(words.contains("`odd`") && words.contains(setting), "{words}");
        let models = "models: { m: [{ target: odd/x, priority: 1 }, { target: good/y, priority: 2 }] }\n";
        let both = Gateway::start(config(&format!("{providers}{models}"))).await;
        let summary = ask(&both, ClientProtocol::Chat, path, &asked, false).await;
        assert!(!summary.choices[0].text.is_empty());
        assert_eq!(other.last().json()["model"], "y");
    }
}

/// Anthropic's and Google's own interfaces by declaration, against the fakes of both protocols, which judge every request.
#[tokio::test]
async fn known_protocols_can_be_declared_too() {
    for (protocol, text) in [(Protocol::Messages, MESSAGES), (Protocol::Gemini, GEMINI)] {
        let fake = FakeProvider::start(protocol).await;
        let text = format!("{text}\nmodels: {{ m: declared/some-model }}\n");
        let text = text.replace("ADDRESS", &format!("http://{}", fake.address()));
        let gateway = Gateway::start(config(&text)).await;
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let what = format!("{client} to {protocol}, stream {stream}");
                let (path, body) = with_tool(client, stream);
                let answer = Answer::default().text("Let me see.").tool("look", r#"{"at":"é"}"#);
                fake.always(Step::answer(answer.usage(Tokens {
                    input: 5,
                    cache_read: 3,
                    output: 4,
                    ..Tokens::default()
                })));
                let summary = ask(&gateway, client, path, &body, stream).await;
                let choice = &summary.choices[0];
                assert_eq!(choice.text, "Let me see.", "{what}");
                let call = &choice.tool_calls[0];
                assert_eq!((call.name.as_str(), call.arguments.as_str()), ("look", r#"{"at":"é"}"#), "{what}");
            }
        }
        fake.assert_no_violations();
    }
}

const MESSAGES: &str = r#"
providers:
  declared:
    adapter: custom_http
    base_url: ADDRESS
    proxy: none
    headers: { anthropic-version: "2023-06-01" }
    custom:
      path: /v1/messages
      body:
        model: "{{ model }}"
        max_tokens: "{{ max_tokens or 4096 }}"
        stream: "{{ stream }}"
        system: "{{ system }}"
        temperature: "{{ temperature }}"
        messages:
          $for: turn in turns
          $do:
            role: "{{ 'assistant' if turn.role == 'assistant' else 'user' }}"
            content: "{{ turn.content | text }}"
        tools:
          $for: tool in tools
          $do: { name: "{{ tool.function.name }}", description: "{{ tool.function.description }}", input_schema: "{{ tool.function.parameters }}" }
      answer:
        id: $.id
        model: $.model
        text: $.content[?@.type == 'text'].text
        tool_calls: { each: "$.content[?@.type == 'tool_use']", id: $.id, name: $.name, arguments: $.input }
        finish: $.stop_reason
        usage: { input: $.usage.input_tokens, cache_read: $.usage.cache_read_input_tokens, output: $.usage.output_tokens, cache_outside: true }
        error: $.error
      stream:
        form: sse
        event:
          id: $.message.id
          text: { path: $.delta.text, when: "@.delta.type == 'text_delta'" }
          tool_calls:
            each: [{ path: $, event: content_block_start }, { path: $, event: content_block_delta }]
            index: $.index
            id: $.content_block.id
            name: $.content_block.name
            arguments: $.delta.partial_json
          finish: $.delta.stop_reason
          usage:
            input: $.message.usage.input_tokens
            cache_read: $.message.usage.cache_read_input_tokens
            output: [$.message.usage.output_tokens, $.usage.output_tokens]
"#;

const GEMINI: &str = r#"
providers:
  declared:
    adapter: custom_http
    base_url: ADDRESS
    proxy: none
    auth_header: x-goog-api-key
    custom:
      path: "/v1beta/models/{{ model }}:{% if stream %}streamGenerateContent?alt=sse{% else %}generateContent{% endif %}"
      body:
        systemInstruction: { parts: ["{{ {'text': system} if system }}"] }
        contents:
          $for: turn in turns
          $do:
            role: "{{ 'model' if turn.role == 'assistant' else 'user' }}"
            parts: [{ text: "{{ turn.content | text }}" }]
        tools:
          - functionDeclarations:
              $for: tool in tools
              $do: { name: "{{ tool.function.name }}", parametersJsonSchema: "{{ tool.function.parameters }}" }
        generationConfig: { maxOutputTokens: "{{ max_tokens }}", temperature: "{{ temperature }}" }
      answer:
        id: $.responseId
        text: $.candidates[0].content.parts[*].text
        tool_calls: { each: "$.candidates[0].content.parts[*].functionCall", id: $.id, name: $.name, arguments: $.args }
        finish: $.candidates[0].finishReason
        usage: { input: $.usageMetadata.promptTokenCount, output: $.usageMetadata.candidatesTokenCount }
        error: $.error
"#;
