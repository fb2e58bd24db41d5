//! The fake providers speak their protocols by the rules the readers check, and misbehave as told.

use std::time::Duration;

use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Answer, Cut, FakeProvider, Finish, Gate, Hold, Outcome, Part, Step, Tokens};
use polyport_testkit::raw::{self, Connection, RawClient, Reply};
use polyport_types::Protocol;
use serde_json::{Value, json};

/// Path and body of a request of one user text, with members added to the body.
fn ask(protocol: Protocol, text: &str, stream: bool, more: &Value) -> (String, Value) {
    let mut body = match protocol {
        Protocol::Chat => json!({ "model": "m", "messages": [{ "role": "user", "content": text }], "stream": stream }),
        Protocol::Responses => json!({ "model": "m", "input": text, "stream": stream }),
        Protocol::Messages => {
            json!({ "model": "m", "max_tokens": 2000, "messages": [{ "role": "user", "content": text }], "stream": stream })
        }
        Protocol::Gemini => json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] }),
    };
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name.as_str()] = value.clone();
    }
    let path = match (protocol, stream) {
        (Protocol::Chat, _) => "/v1/chat/completions",
        (Protocol::Responses, _) => "/v1/responses",
        (Protocol::Messages, _) => "/v1/messages",
        (Protocol::Gemini, false) => "/v1beta/models/m:generateContent",
        (Protocol::Gemini, true) => "/v1beta/models/m:streamGenerateContent?alt=sse",
    };
    (path.to_owned(), body)
}

async fn send(provider: &FakeProvider, path: &str, body: &Value) -> Reply {
    raw::post(provider.address(), path, &[("anthropic-version", "2023-06-01")], body).await
}

async fn read(provider: &FakeProvider, protocol: Protocol, text: &str, stream: bool, more: &Value) -> Summary {
    let (path, body) = ask(protocol, text, stream, more);
    let reply = send(provider, &path, &body).await;
    assert_eq!(reply.status, 200, "{protocol}: {:?}", provider.violations());
    let bytes = reply.bytes().await.expect("a complete body");
    let check = Check::new(protocol);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|e| panic!("{protocol}, stream {stream}: {e}\n{}", String::from_utf8_lossy(&bytes)))
}

fn tool(protocol: Protocol) -> Value {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    match protocol {
        Protocol::Chat => json!([{ "type": "function", "function": { "name": "weather", "parameters": schema } }]),
        Protocol::Responses => {
            json!([{ "type": "function", "name": "weather", "parameters": schema, "strict": false }])
        }
        Protocol::Messages => json!([{ "name": "weather", "input_schema": schema }]),
        Protocol::Gemini => {
            json!([{ "functionDeclarations": [{ "name": "weather", "description": "d", "parametersJsonSchema": schema }] }])
        }
    }
}

#[tokio::test]
async fn the_default_model_answers_every_protocol_whole_and_streamed() {
    for protocol in Protocol::ALL {
        let provider = FakeProvider::start(protocol).await;
        for stream in [false, true] {
            let said = read(&provider, protocol, "hello there", stream, &Value::Null).await;
            assert_eq!(said.text(), "You said: hello there");
            assert_eq!(said.model, "m");
            assert!(protocol == Protocol::Chat && stream || said.usage.is_some_and(|u| u.input > 0 && u.output == 4));
            let calls = read(
                &provider,
                protocol,
                r#"call weather with {"city":"Oslo"} and call weather with {"city":"Rome"}"#,
                stream,
                &json!({ "tools": tool(protocol) }),
            )
            .await;
            let cities: Vec<Value> = calls.tool_calls().iter().map(|call| call.json()["city"].clone()).collect();
            assert_eq!(cities, ["Oslo", "Rome"], "{protocol}");
        }
        provider.assert_no_violations();
    }
}

#[tokio::test]
async fn every_kind_of_part_and_every_ending_reads_the_same_whole_and_streamed() {
    let answers = [
        Answer::default().reasoning("First I think.").text("Then I speak.").tool("weather", r#"{"city":"Oslo"}"#),
        Answer::default().tool("weather", "{}"),
        Answer::default().text("cut").finish(Finish::Length),
        Answer::default().text("no").finish(Finish::Filter),
        Answer::default().image("image/png", "iVBORw0KGgo="),
        Answer { parts: vec![Part::Refusal("I will not.".to_owned())], ..Answer::default() },
        Answer::default().text("x"),
    ];
    let tokens = Tokens { input: 10, cache_read: 5, cache_write: 2, output: 7, reasoning: 3 };
    for protocol in Protocol::ALL {
        let provider = FakeProvider::start(protocol).await;
        for answer in answers.iter().map(|answer| answer.clone().usage(tokens)) {
            provider.always(Step::answer(answer.clone()));
            let more = match protocol {
                Protocol::Responses => json!({ "reasoning": { "summary": "auto" } }),
                Protocol::Messages => json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } }),
                Protocol::Gemini => json!({ "generationConfig": { "thinkingConfig": { "includeThoughts": true } } }),
                Protocol::Chat => json!({}),
            };
            let whole = read(&provider, protocol, "x", false, &more).await;
            let usage = whole.usage.as_ref().expect("usage");
            assert_eq!((usage.input, usage.output, usage.cache_read, usage.reasoning), (17, 10, 5, 3), "{protocol}");
            if protocol == Protocol::Chat {
                // Only a request that asks for it streams the usage.
                let (path, mut body) = ask(protocol, "x", true, &more);
                body["stream_options"] = json!({ "include_usage": true });
                let bytes = send(&provider, &path, &body).await.bytes().await.expect("a body");
                let streamed = Check::new(protocol).include_usage(true).stream(&bytes).expect("a good stream");
                assert_eq!((streamed.said(), &streamed.usage), (whole.said(), &whole.usage));
                continue;
            }
            let streamed = read(&provider, protocol, "x", true, &more).await;
            assert_eq!((streamed.said(), &streamed.usage), (whole.said(), &whole.usage), "{protocol}: {answer:?}");
        }
        provider.assert_no_violations();
    }
}

#[tokio::test]
async fn tool_results_schemas_limits_and_stops_are_honoured() {
    let provider = FakeProvider::start(Protocol::Messages).await;
    let limited = read(&provider, Protocol::Messages, "count to 50", true, &json!({ "max_tokens": 3 })).await;
    assert_eq!((limited.text(), limited.finish()), ("1 2 3 ", "max_tokens"));
    let stopped = read(&provider, Protocol::Messages, "count to 9", false, &json!({ "stop_sequences": ["5"] })).await;
    assert_eq!((stopped.text(), stopped.finish()), ("1 2 3 4 ", "stop_sequence"));
    let schema =
        json!({ "type": "object", "properties": { "age": { "type": "integer" } }, "additionalProperties": false });
    let format = json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } });
    let shaped = read(&provider, Protocol::Messages, "invent", false, &format).await;
    assert_eq!(shaped.text(), r#"{"age":1}"#);
    let history = json!({ "tools": tool(Protocol::Messages), "messages": [
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "weather", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": "3 degrees" }] },
    ] });
    let told = read(&provider, Protocol::Messages, "", true, &history).await;
    assert_eq!(told.text(), "The tools said: 3 degrees");
    let forced = json!({ "tools": tool(Protocol::Messages), "tool_choice": { "type": "any" } });
    let called = read(&provider, Protocol::Messages, "x", true, &forced).await;
    assert_eq!(called.tool_calls()[0].arguments, r#"{"city":"text"}"#);
    provider.assert_no_violations();
}

#[tokio::test]
async fn several_candidates_and_the_array_form() {
    let provider = FakeProvider::start(Protocol::Gemini).await;
    let (_, body) = ask(Protocol::Gemini, "x", true, &json!({ "generationConfig": { "candidateCount": 2 } }));
    let reply = send(&provider, "/v1beta/models/m:streamGenerateContent", &body).await;
    assert_eq!(reply.header("content-type"), "application/json");
    let said = Check::new(Protocol::Gemini).array(&reply.bytes().await.expect("a body")).expect("a good array");
    assert_eq!(said.choices.len(), 2);

    let provider = FakeProvider::start(Protocol::Chat).await;
    let said = read(&provider, Protocol::Chat, "x", true, &json!({ "n": 3 })).await;
    assert_eq!(said.choices.iter().map(|choice| choice.text.as_str()).collect::<Vec<_>>(), ["You said: x"; 3]);
}

#[tokio::test]
async fn bad_requests_are_refused_in_the_words_of_the_service_and_kept() {
    for protocol in Protocol::ALL {
        let provider = FakeProvider::start(protocol).await;
        let (path, mut body) = ask(protocol, "x", false, &Value::Null);
        body[if protocol == Protocol::Gemini { "contents" } else { "tool_choice" }] = json!([]);
        let reply = send(&provider, &path, &body).await;
        assert_eq!(reply.status, 400);
        let failure = Check::new(protocol).failure(&reply.bytes().await.expect("a body")).expect("an error body");
        assert!(!failure.message.is_empty());
        assert!(!provider.violations().is_empty());
    }
}

#[tokio::test]
async fn errors_of_every_status_have_the_form_of_the_protocol() {
    for protocol in Protocol::ALL {
        let provider = FakeProvider::start(protocol).await;
        for status in [400, 401, 403, 404, 413, 429, 500, 503, 529] {
            provider.script(Step::error(status, "no").header("retry-after", "7"));
            let (path, body) = ask(protocol, "x", true, &Value::Null);
            let reply = send(&provider, &path, &body).await;
            assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (status, "7"));
            let failure = Check::new(protocol).failure(&reply.bytes().await.expect("a body")).expect("an error body");
            assert_eq!(failure.message, "no");
        }
        provider.script(Step::answer(Answer::default().text("half an ans").error("overloaded")));
        let failed = read(&provider, protocol, "x", true, &Value::Null).await;
        assert_eq!(failed.failure.expect("an error in the stream").message, "overloaded");
    }
}

#[tokio::test]
async fn words_in_the_model_name_choose_the_fault() {
    let provider = FakeProvider::start(Protocol::Chat).await;
    let request = |model: &str| ask(Protocol::Chat, "x", true, &json!({ "model": model }));
    let (path, body) = request("chat-fail-429");
    assert_eq!(send(&provider, &path, &body).await.status, 429);
    let (path, body) = request("chat-cut");
    assert!(send(&provider, &path, &body).await.bytes().await.is_err());
    let (path, body) = request("chat-error");
    let bytes = send(&provider, &path, &body).await.bytes().await.expect("a body");
    assert!(Check::new(Protocol::Chat).stream(&bytes).expect("a good stream").failure.is_some());
}

#[tokio::test]
async fn answers_are_cut_dripped_corrupted_and_packed() {
    let provider = FakeProvider::start(Protocol::Chat).await;
    let (path, body) = ask(Protocol::Chat, "x", true, &Value::Null);
    let whole = send(&provider, &path, &body).await.bytes().await.expect("a body");

    provider.script(Step::model().drip(1));
    let dripped = send(&provider, &path, &body).await.bytes().await.expect("a body");
    assert_eq!(dripped.len(), whole.len());

    for cut in [Cut::Close, Cut::Reset] {
        provider.script(Step::model().cut_after_events(2, cut));
        let mut reply = send(&provider, &path, &body).await;
        let read = async {
            while reply.next().await?.is_some() {}
            Ok::<_, hyper::Error>(())
        }
        .await;
        assert!(read.is_err(), "{cut:?}");
    }
    provider.script(Step::model().cut_after_bytes(100, Cut::End));
    assert_eq!(send(&provider, &path, &body).await.bytes().await.expect("an end").len(), 100);

    provider.script(Step::sse("data: {\"a\":1}\n\n").corrupt(6, b"XX"));
    assert_eq!(send(&provider, &path, &body).await.bytes().await.expect("a body"), b"data: XXa\":1}\n\n");

    provider.script(Step::json("{}").gzip());
    let reply = send(&provider, &path, &body).await;
    assert_eq!(reply.header("content-encoding"), "gzip");
    assert!(reply.bytes().await.expect("a body").starts_with(&[0x1f, 0x8b]));

    provider.script(Step::raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"));
    let mut client = RawClient::connect(provider.address()).await.expect("a connection");
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.send(head.as_bytes()).await.expect("an open connection");
    client.send(body.as_bytes()).await.expect("an open connection");
    assert!(client.read_to_close(10_000).await.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"));
}

#[tokio::test]
async fn a_gate_holds_the_stream_and_leaving_is_noticed_on_both_versions() {
    let provider = FakeProvider::start(Protocol::Chat).await;
    let (path, body) = ask(Protocol::Chat, "x", true, &Value::Null);
    let headers = [("content-type", "application/json")];
    for two in [false, true] {
        let connect = async || match two {
            true => Connection::http2(provider.address()).await,
            false => Connection::http1(provider.address()).await,
        };
        // In the middle of a stream.
        let gate = Gate::new();
        provider.script(Step::model().between_events(Hold::Until(gate.clone())));
        let mut connection = connect().await;
        let mut reply = connection.send("POST", &path, &headers, body.to_string()).await.expect("an answer");
        reply.until("\"assistant\"").await.expect("the first event");
        gate.pass();
        reply.until("You").await.expect("the second event");
        let exchange = provider.last();
        assert_eq!((exchange.outcome(), exchange.is_http2()), (Outcome::Open, two));
        drop(reply);
        drop(connection);
        exchange.left().await;

        // Before the headers.
        provider.script(Step::silence());
        let mut connection = connect().await;
        let seen = provider.requests().len();
        let waiting = tokio::spawn({
            let (path, body) = (path.clone(), body.to_string());
            async move { connection.send("POST", &path, &headers, body).await.map(|_| ()) }
        });
        let exchange = provider.wait_for(seen + 1).await.remove(seen);
        waiting.abort();
        exchange.left().await;
    }
    provider.all_closed().await;
}

#[tokio::test]
async fn whole_answers_are_read_to_the_end_on_one_connection() {
    let provider = FakeProvider::start(Protocol::Responses).await;
    let (path, body) = ask(Protocol::Responses, "x", true, &Value::Null);
    for mut connection in [Connection::http1(provider.address()).await, Connection::http2(provider.address()).await] {
        for _ in 0..3 {
            let reply = connection.send("POST", &path, &[("content-type", "application/json")], body.to_string()).await;
            let bytes = reply.expect("an answer").bytes().await.expect("a body");
            Check::new(Protocol::Responses).stream(&bytes).expect("a good stream");
        }
    }
    assert_eq!(provider.connections(), 2);
    for exchange in provider.requests() {
        assert_eq!(exchange.finished().await, Outcome::Sent);
    }
}

#[tokio::test]
async fn it_goes_away_and_comes_back() {
    let provider = FakeProvider::start(Protocol::Chat).await;
    provider.go_away();
    let refused = async {
        while RawClient::connect(provider.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("connections are refused");
    provider.come_back().await;
    read(&provider, Protocol::Chat, "x", false, &Value::Null).await;
}

#[tokio::test]
async fn it_lists_models_counts_embeds_and_asks_for_its_key() {
    for protocol in Protocol::ALL {
        let provider = FakeProvider::builder(protocol).key("provider-key").models(["a", "b"]).start().await;
        let list = if protocol == Protocol::Gemini { "/v1beta/models" } else { "/v1/models" };
        assert_eq!(raw::get(provider.address(), list, &[]).await.status, 401);
        let key = [("x-api-key", "provider-key")];
        let models = raw::get(provider.address(), list, &key).await.json().await;
        assert!(models.to_string().contains("\"b\"") || models.to_string().contains("models/b"), "{models}");
        assert_eq!(raw::get(provider.address(), &format!("{list}/a"), &key).await.status, 200);
        assert_eq!(raw::get(provider.address(), &format!("{list}/c"), &key).await.status, 404);
    }
    let provider = FakeProvider::start(Protocol::Messages).await;
    let body = json!({ "model": "a", "messages": [{ "role": "user", "content": "x" }] });
    let counted = raw::post(provider.address(), "/v1/messages/count_tokens", &[], &body).await.json().await;
    assert!(counted["input_tokens"].as_u64().is_some_and(|n| n > 0));
}

#[tokio::test]
async fn stored_responses_can_be_continued_and_unknown_ones_not() {
    let provider = FakeProvider::start(Protocol::Responses).await;
    let first = read(&provider, Protocol::Responses, "x", false, &Value::Null).await;
    let stored = raw::get(provider.address(), &format!("/v1/responses/{}", first.id), &[]).await;
    assert_eq!(stored.json().await["id"], json!(first.id));
    read(&provider, Protocol::Responses, "y", false, &json!({ "previous_response_id": first.id })).await;
    let (path, body) = ask(Protocol::Responses, "z", false, &json!({ "previous_response_id": "resp_unknown" }));
    assert_eq!(send(&provider, &path, &body).await.json().await["error"]["code"], "previous_response_not_found");
}

#[tokio::test]
async fn signatures_are_only_taken_back_by_the_provider_that_gave_them() {
    let provider = FakeProvider::start(Protocol::Messages).await;
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } });
    let thought = read(&provider, Protocol::Messages, "x", false, &thinking).await;
    let [signature] = thought.choices[0].signatures.as_slice() else { panic!("one signature") };
    let back = |text: &str, signature: &str| {
        json!({ "messages": [
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": [{ "type": "thinking", "thinking": text, "signature": signature }, { "type": "text", "text": "y" }] },
            { "role": "user", "content": "z" },
        ] })
    };
    read(&provider, Protocol::Messages, "", false, &back(thought.reasoning(), signature)).await;
    let other = FakeProvider::start(Protocol::Gemini).await;
    other.always(Step::answer(Answer::default().reasoning("elsewhere").text("y")));
    let foreign = read(&other, Protocol::Gemini, "x", false, &Value::Null).await.choices[0].signatures[0].clone();
    for (text, signature) in [("changed", signature.as_str()), (thought.reasoning(), &foreign)] {
        let (path, body) = ask(Protocol::Messages, "", false, &back(text, signature));
        assert_eq!(send(&provider, &path, &body).await.status, 400, "{text}");
    }
}

#[tokio::test]
async fn scripts_in_json_do_what_they_say() {
    let provider = FakeProvider::start(Protocol::Chat).await;
    let script = json!({
        "steps": [{ "text": "scripted" }, { "error": 503, "headers": { "retry-after": "1" } }],
        "models": { "special": { "tools": [{ "name": "f", "arguments": { "a": 1 } }] } },
    });
    let done = raw::post(provider.address(), "/fake/script", &[], &script).await;
    assert_eq!(done.status, 200);
    assert_eq!(read(&provider, Protocol::Chat, "x", true, &Value::Null).await.text(), "scripted");
    let (path, body) = ask(Protocol::Chat, "x", true, &Value::Null);
    assert_eq!(send(&provider, &path, &body).await.header("retry-after"), "1");
    let special = read(&provider, Protocol::Chat, "x", true, &json!({ "model": "special" })).await;
    assert_eq!(special.tool_calls()[0].arguments, r#"{"a":1}"#);
    assert!(provider.load(&json!({ "steps": [{ "nonsense": 1 }] })).is_err());
    let seen = raw::get(provider.address(), "/fake/requests", &[]).await.json().await;
    assert_eq!(seen.as_array().map(Vec::len), Some(3));
}
