//! Client and provider speak different protocols.

use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Answer, FakeProvider, Gate, Hold, Step};
use polyport_testkit::raw::{get, post, send};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::json;

use crate::support::{Gateway, request};

const CLIENTS: [ClientProtocol; 4] = ClientProtocol::ALL;
const PROVIDERS: [Protocol; 4] = Protocol::ALL;

/// What a client of this protocol understands of the answer to its request.
async fn ask(gateway: &Gateway, client: ClientProtocol, stream: bool) -> Summary {
    let (path, body) = request(client, stream);
    let answer = post(gateway.address, path, &[], &body).await;
    let status = answer.status;
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    let check = Check::new(client);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|why| panic!("{client} stream {stream}: {why}\n{}", String::from_utf8_lossy(&bytes)))
}

#[tokio::test]
async fn every_client_reaches_every_provider() {
    for to in PROVIDERS {
        let fake = FakeProvider::start(to).await;
        fake.always(Step::text("Hello there, friend."));
        let gateway = Gateway::to(&fake, to).await;
        for client in CLIENTS {
            for stream in [false, true] {
                let summary = ask(&gateway, client, stream).await;
                assert_eq!(summary.choices[0].text, "Hello there, friend.", "{client} to {to}, stream {stream}");
            }
        }
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn tool_calls_reach_every_client() {
    for to in PROVIDERS {
        let fake = FakeProvider::start(to).await;
        fake.always(Step::answer(Answer::default().text("Let me see.").tool("look", r#"{"at":"é \"x\""}"#)));
        let gateway = Gateway::to(&fake, to).await;
        for client in CLIENTS {
            for stream in [false, true] {
                let summary = ask(&gateway, client, stream).await;
                let call = &summary.choices[0].tool_calls[0];
                assert_eq!(
                    (call.name.as_str(), call.arguments.as_str()),
                    ("look", r#"{"at":"é \"x\""}"#),
                    "{client} to {to}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_stream_flows_event_by_event() {
    for to in PROVIDERS {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        for client in CLIENTS {
            // As many events as every protocol needs before its first word, and not all of them.
            let gate = Gate::new();
            (0..4).for_each(|_| gate.pass());
            fake.script(Step::text("one two three four five six seven").between_events(Hold::Until(gate.clone())));
            let (path, body) = request(client, true);
            // The first words reach the client while the provider still holds the others.
            let mut answer = post(gateway.address, path, &[], &body).await;
            let first = answer.until("one").await.unwrap();
            assert!(!first.contains("seven"), "{client} to {to}: {first}");
            gate.open();
            answer.until("seven").await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_echo_model_answers_without_a_provider() {
    let config = polyport_server::config::Config::new(
        vec![polyport_server::config::Provider::echo()],
        polyport_routing::Catalog::default()
            .with_provider("echo", Protocol::Chat, vec!["echo".into()], Vec::new())
            .with_model("m", vec![polyport_routing::TargetSpec::new("echo/echo")])
            .check()
            .unwrap(),
    );
    let gateway = Gateway::start(config).await;
    for client in CLIENTS {
        for stream in [false, true] {
            assert_eq!(ask(&gateway, client, stream).await.choices[0].text, "hi", "{client}");
        }
    }
}

#[tokio::test]
async fn strict_mode_refuses_a_loss_before_any_provider_is_asked() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    let body = json!({"model":"m","seed":5,"messages":[{"role":"user","content":"hi"}]});
    let answer = post(gateway.address, "/v1/chat/completions", &[("x-polyport-strict", "1")], &body).await;
    assert_eq!(answer.status, 400);
    let error = answer.json().await;
    assert_eq!(error["error"]["param"], "seed");
    assert!(fake.requests().is_empty());
    let answer = post(gateway.address, "/v1/chat/completions", &[], &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-polyport-loss").contains("sampling.unsupported"));
}

#[tokio::test]
async fn a_provider_that_streams_unasked_is_collected_and_the_other_way_round() {
    for to in PROVIDERS {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        for client in CLIENTS {
            for stream in [false, true] {
                fake.script(Step::text("as you like").streaming(!stream));
                assert_eq!(
                    ask(&gateway, client, stream).await.choices[0].text,
                    "as you like",
                    "{client} to {to}, {stream}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_answer_can_be_continued_retrieved_and_deleted() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    let address = gateway.address;
    for stream in [false, true] {
        fake.script(Step::text("I am Bo."));
        let body = json!({"model":"m","input":"Who are you?","stream":stream});
        let bytes = post(address, "/v1/responses", &[], &body).await.bytes().await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let rest = text.split_once("resp_").unwrap().1;
        let id: String =
            "resp_".chars().chain(rest.chars()).take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();

        let stored = get(address, &format!("/v1/responses/{id}"), &[]).await.json().await;
        assert_eq!((&stored["id"], &stored["output"][0]["content"][0]["text"]), (&json!(id), &json!("I am Bo.")));

        let items = get(address, &format!("/v1/responses/{id}/input_items"), &[]).await.json().await;
        assert_eq!(items["data"][0]["content"][0]["text"], "Who are you?");

        let body = json!({"model":"m","input":"Say it again.","previous_response_id":id});
        assert_eq!(post(address, "/v1/responses", &[], &body).await.status, 200);
        let sent = fake.last().json();
        assert_eq!(sent["messages"].as_array().unwrap().len(), 3, "{sent}");

        let deleted = send(address, "DELETE", &format!("/v1/responses/{id}"), &[], "").await.json().await;
        assert_eq!(deleted["deleted"], true);
        assert_eq!(get(address, &format!("/v1/responses/{id}"), &[]).await.status, 404);
    }
    let body = json!({"model":"m","input":"x","previous_response_id":"resp_unknown"});
    let answer = post(address, "/v1/responses", &[], &body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json().await["error"]["code"], "previous_response_not_found");
}

/// A Messages stream of one text that ends with this reason.
fn messages_stream(text: &str, reason: &str) -> Step {
    Step::sse(&format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{{\"input_tokens\":10,\"output_tokens\":1}}}}}}\n\n\
         event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n\
         event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n\
         event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":0}}\n\n\
         event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\",\"stop_sequence\":null}},\"usage\":{{\"output_tokens\":5}}}}\n\n\
         event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
    ))
}

#[tokio::test]
async fn a_paused_turn_is_continued_for_clients_without_a_word_for_it() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    for stream in [false, true] {
        fake.script(messages_stream("I search. ", "pause_turn").streaming(true));
        fake.script(messages_stream("I found it.", "end_turn").streaming(true));
        let body =
            json!({"model":"m","stream":stream,"store":false,"input":"look it up","tools":[{"type":"web_search"}]});
        let answer = post(gateway.address, "/v1/responses", &[], &body).await;
        assert_eq!(answer.status, 200);
        let bytes = answer.bytes().await.unwrap();
        let check = Check::new(Protocol::Responses);
        let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
        let read = read.unwrap_or_else(|why| panic!("{why}\n{}", String::from_utf8_lossy(&bytes)));
        assert_eq!(read.text(), "I search. I found it.");
        assert_eq!(read.usage.unwrap().output, 10);
        let second = fake.last().json();
        let last = second["messages"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(
            (last["role"].clone(), last["content"][0]["text"].clone()),
            (json!("assistant"), json!("I search."))
        );
    }
    // Its own clients continue themselves.
    fake.script(messages_stream("I search. ", "pause_turn"));
    let before = fake.requests().len();
    let body = json!({"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]});
    post(gateway.address, "/v1/messages", &[], &body).await.bytes().await.unwrap();
    assert_eq!(fake.requests().len(), before + 1);
}

#[tokio::test]
async fn a_tool_call_that_cannot_be_read_is_asked_for_again() {
    let fake = FakeProvider::start(Protocol::Gemini).await;
    let gateway = Gateway::to(&fake, Protocol::Gemini).await;
    let malformed = r#"{"candidates":[{"content":{"role":"model","parts":[]},"finishReason":"MALFORMED_FUNCTION_CALL","index":0}],"usageMetadata":{"promptTokenCount":3}}"#;
    for stream in [false, true] {
        fake.script(if stream { Step::sse(&format!("data: {malformed}\r\n\r\n")) } else { Step::json(malformed) });
        fake.script(Step::text("now it works"));
        assert_eq!(ask(&gateway, ClientProtocol::Messages, stream).await.text(), "now it works");
    }
    assert_eq!(fake.requests().len(), 4);
    // A call that the provider itself takes back is no content either.
    let undeclared = r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"list_files","args":{}},"thoughtSignature":"c2lnbmF0dXJl"}]},"finishMessage":"Unexpected tool call","finishReason":"UNEXPECTED_TOOL_CALL"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":3}}"#;
    // Streamed, the finish may come in one event with the call or after it.
    let whole = format!("data: {undeclared}\r\n\r\n");
    let call = r#"data: {"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"list_files","args":{}}}]},"index":0}]}"#;
    let finish = r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"UNEXPECTED_TOOL_CALL","index":0}]}"#;
    let parted = format!("{call}\r\n\r\n{finish}\r\n\r\n");
    for client in [ClientProtocol::Chat, ClientProtocol::Responses, ClientProtocol::Messages] {
        for (stream, answer) in [
            (false, Step::json(undeclared)),
            (true, Step::sse(&whole)),
            (true, Step::sse(&parted).split_at(&[call.len() + 4])),
        ] {
            fake.script(answer);
            fake.script(Step::text("now it works"));
            let read = ask(&gateway, client, stream).await;
            assert_eq!(read.text(), "now it works", "{client}");
            assert!(read.tool_calls().is_empty(), "{client}");
        }
    }
}

#[tokio::test]
async fn refused_signatures_are_left_out_once() {
    let fake = FakeProvider::builder(Protocol::Messages).lenient().start().await;
    let gateway = Gateway::to(&fake, Protocol::Messages).await;
    fake.script(Step::error(400, "messages.1.content.0: Invalid `signature` in `thinking` block"));
    fake.script(Step::text("fine"));
    let body = json!({"model":"m","max_tokens":2000,"messages":[
        {"role":"user","content":"hi"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"EXPIRED"},{"type":"text","text":"hello"}]},
        {"role":"user","content":"go on"}]});
    let answer = post(gateway.address, "/v1/messages", &[], &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-polyport-loss").contains("signature.foreign_dropped"));
    let sent: Vec<String> =
        fake.requests().iter().map(|exchange| String::from_utf8_lossy(exchange.body()).into_owned()).collect();
    assert_eq!(sent.iter().map(|body| body.contains("EXPIRED")).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn a_refused_bypass_is_repeated_in_its_other_form_and_then_no_more() {
    let fake = FakeProvider::builder(Protocol::Gemini).lenient().start().await;
    let gateway = Gateway::to(&fake, Protocol::Gemini).await;
    let refusal = "Thought signature is not valid";
    let body = json!({"model":"m","messages":[
        {"role":"user","content":"hi"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"seen"}],
        "tools":[{"type":"function","function":{"name":"look"}}]});
    fake.script(Step::error(400, refusal));
    fake.script(Step::text("fine"));
    assert_eq!(post(gateway.address, "/v1/chat/completions", &[], &body).await.status, 200);
    let bypass = |number: usize| {
        let sent = fake.requests()[number].json();
        sent["contents"][1]["parts"][0]["thoughtSignature"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(bypass(0), "skip_thought_signature_validator");
    assert_eq!(bypass(1), "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=");

    fake.script(Step::error(400, refusal));
    fake.script(Step::error(400, refusal));
    assert_eq!(post(gateway.address, "/v1/chat/completions", &[], &body).await.status, 400);
    assert_eq!(fake.requests().len(), 4);

    // Where nothing can be left out, the same is not sent twice.
    fake.script(Step::error(400, refusal));
    let body = json!({"model":"m","messages":[{"role":"user","content":"hi"}]});
    assert_eq!(post(gateway.address, "/v1/chat/completions", &[], &body).await.status, 400);
    assert_eq!(fake.requests().len(), 5);
}

#[tokio::test]
async fn a_call_s_signature_comes_back_to_gemini_from_clients_that_cannot_carry_it() {
    let fake = FakeProvider::start(Protocol::Gemini).await;
    let gateway = Gateway::to(&fake, Protocol::Gemini).await;
    let tools = json!([{"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{"at":{"type":"string"}}}}}]);
    for stream in [false, true] {
        let signed = r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"look","args":{"at":"x"}},"thoughtSignature":"c2lnbmF0dXJl"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":3}}"#;
        fake.script(if stream { Step::sse(&format!("data: {signed}\r\n\r\n")) } else { Step::json(signed) });
        let body = json!({"model":"m","stream":stream,"tools":tools,"messages":[{"role":"user","content":"hi"}]});
        let bytes = post(gateway.address, "/v1/chat/completions", &[], &body).await.bytes().await.unwrap();
        let check = Check::new(Protocol::Chat);
        let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) }.unwrap();
        let call = &read.tool_calls()[0];
        // Most clients send back nothing but the call.
        let body = json!({"model":"m","tools":tools,"messages":[
            {"role":"user","content":"hi"},
            {"role":"assistant","content":null,"tool_calls":[{"id":call.id,"type":"function","function":{"name":"look","arguments":call.arguments}}]},
            {"role":"tool","tool_call_id":call.id,"content":"seen"}]});
        assert_eq!(post(gateway.address, "/v1/chat/completions", &[], &body).await.status, 200);
        let sent = fake.last().json();
        assert_eq!(sent["contents"][1]["parts"][0]["thoughtSignature"], "c2lnbmF0dXJl", "{sent}");
    }
}

/// Command-line clients print the last block of an answer: it must not be one that carries nothing but a signature.
#[tokio::test]
async fn the_signature_of_the_last_text_reaches_gemini_again_and_is_no_block_after_it() {
    let fake = FakeProvider::start(Protocol::Gemini).await;
    let gateway = Gateway::to(&fake, Protocol::Gemini).await;
    for (round, (stream, thinking)) in
        [(true, true), (true, false), (false, true), (false, false)].into_iter().enumerate()
    {
        let text = format!("Answer {round}.");
        let signed = json!({"candidates":[{"content":{"role":"model","parts":[{"text":text},{"text":"","thoughtSignature":"c2lnbmF0dXJl"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":3}});
        let signed = signed.to_string();
        fake.script(if stream { Step::sse(&format!("data: {signed}\r\n\r\n")) } else { Step::json(&signed) });
        let mut body =
            json!({"model":"m","max_tokens":9000,"stream":stream,"messages":[{"role":"user","content":"hi"}]});
        if thinking {
            body["thinking"] = json!({"type":"adaptive"});
        }
        let bytes = post(gateway.address, "/v1/messages", &[], &body).await.bytes().await.unwrap();
        let check = Check::new(Protocol::Messages);
        let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) }.unwrap();
        assert_eq!(read.text(), text);
        let answer = String::from_utf8_lossy(&bytes);
        let (_, after) = answer.split_once("Answer").unwrap();
        assert!(!after.contains("redacted_thinking"), "{answer}");
        body["stream"] = json!(false);
        let said = if stream {
            json!([{"type":"text","text":text}])
        } else {
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["content"].take()
        };
        body["messages"]
            .as_array_mut()
            .unwrap()
            .extend([json!({"role":"assistant","content":said}), json!({"role":"user","content":"go on"})]);
        assert_eq!(post(gateway.address, "/v1/messages", &[], &body).await.status, 200);
        let sent = fake.last().json();
        let parts = sent["contents"][1]["parts"].as_array().unwrap();
        assert!(
            parts.iter().any(|part| part["thoughtSignature"] == "c2lnbmF0dXJl"),
            "stream {stream} thinking {thinking}: {sent}"
        );
    }
}

#[tokio::test]
async fn d9_after_the_commit_the_stream_still_heals_or_ends_with_an_error() {
    use crate::support::{provider, several};
    let (first, second) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Messages).await);
    for client in CLIENTS {
        for heals in [true, false] {
            let mut config = several(vec![
                provider("a", Protocol::Chat, &first.base_url()),
                provider("b", Protocol::Messages, &second.base_url()),
            ]);
            config.limits.commit_after = std::time::Duration::from_millis(30);
            config.limits.keep_alive = std::time::Duration::from_millis(30);
            let gateway = Gateway::start(config).await;
            let gate = Gate::new();
            first.script(Step::error(500, "boom").before_headers(Hold::Until(gate.clone())));
            first.script(Step::error(500, "boom"));
            if heals {
                second.always(Step::text("from the second"));
            } else {
                second.always(Step::error(503, "also down"));
            }
            let (path, body) = request(client, true);
            let mut answer = post(gateway.address, path, &[], &body).await;
            assert_eq!(answer.status, 200, "{client}");
            if matches!(client, ClientProtocol::Chat | ClientProtocol::Responses) {
                answer.until(": ping").await.unwrap();
            }
            gate.open();
            let bytes = answer.bytes().await.unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if heals {
                assert_eq!(Check::new(client).stream(&bytes).unwrap().text(), "from the second", "{client} {text}");
            } else {
                assert!(text.contains("error"), "{client} {text}");
                if client != ClientProtocol::Responses {
                    assert!(Check::new(client).stream(&bytes).unwrap().failure.is_some(), "{client} {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_an_answer_loses_is_told_in_header_log_and_metrics() {
    let fake = FakeProvider::start(Protocol::Gemini).await;
    let gateway = Gateway::to(&fake, Protocol::Gemini).await;
    let answer = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [{"text": "found"}]},
            "finishReason": "STOP",
            "index": 0,
            "groundingMetadata": {"searchEntryPoint": {"renderedContent": "<div>"}},
        }],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
        "modelVersion": "m",
        "responseId": "r",
    });
    for (asked, stream) in [(1, false), (2, true)] {
        let log = crate::faults::Log::text();
        fake.script(if stream { Step::sse(&format!("data: {answer}\n\n")) } else { Step::json(&answer.to_string()) });
        let (path, body) = request(ClientProtocol::Messages, stream);
        let reply = post(gateway.address, path, &[], &body).await;
        // The headers of a stream leave before its end is known.
        assert_eq!(reply.header("x-polyport-loss").contains("grounding.dropped;dropped"), !stream, "{stream}");
        let bytes = reply.bytes().await.unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains("found"), "{stream}");
        let figures = String::from_utf8(get(gateway.address, "/metrics", &[]).await.bytes().await.unwrap()).unwrap();
        let line = format!(
            "polyport_translation_lossy_total{{from=\"messages\",to=\"gemini\",code=\"grounding.dropped\"}} {asked}\n"
        );
        assert!(figures.contains(&line), "{stream}: {figures}");
        let log = log.read();
        assert!(log.contains("loss_report=\"grounding.dropped;dropped /groundingMetadata\""), "{stream}: {log}");
    }
}
