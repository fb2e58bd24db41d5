//! What Azure OpenAI adds to answers: what its content filter thinks of prompt and answer, before, within and after them.

use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::post;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::adapters::config;
use crate::support::{Gateway, request};

async fn gateway(fake: &FakeProvider) -> Gateway {
    let text = format!(
        "providers:\n  azure: {{ preset: azure, base_url: \"{}\", proxy: none, keys: [quiet-azure-key] }}\nmodels: {{ m: azure/my-deployment }}\n",
        fake.base_url()
    );
    let folder = tempfile::tempdir().unwrap();
    Gateway::start(config(&text, folder.path())).await
}

fn results(filtered: bool) -> Value {
    let severity = if filtered { "high" } else { "safe" };
    json!({ "hate": { "filtered": false, "severity": "safe" }, "violence": { "filtered": filtered, "severity": severity } })
}

fn chunk(choices: &Value) -> Value {
    json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "gpt-5", "choices": choices })
}

/// A stream as Azure sends it; `after` is what its filter says when the text is out, `finish` how the answer ends.
fn stream(finish: &str, after: &[Value]) -> Step {
    let prelude = json!({ "id": "", "object": "", "created": 0, "model": "", "choices": [],
        "prompt_filter_results": [{ "prompt_index": 0, "content_filter_results": results(false) }] });
    let delta = |delta: Value| {
        chunk(&json!([{ "index": 0, "delta": delta, "finish_reason": null, "content_filter_results": results(false) }]))
    };
    let mut chunks = vec![
        prelude,
        delta(json!({ "role": "assistant", "content": "", "refusal": null })),
        delta(json!({ "content": "So far" })),
        delta(json!({ "content": " so good." })),
    ];
    if !finish.is_empty() {
        let end =
            json!([{ "index": 0, "delta": {}, "finish_reason": finish, "content_filter_results": results(false) }]);
        chunks.push(chunk(&end));
    }
    chunks.extend(after.iter().cloned());
    let mut usage = chunk(&json!([]));
    usage["usage"] = json!({ "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 });
    chunks.push(usage);
    let text: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    Step::sse(&format!("{text}data: [DONE]\n\n"))
}

/// What the asynchronous filter sends: no id, no delta.
fn offsets(filtered: bool) -> Value {
    let finish = if filtered { json!("content_filter") } else { Value::Null };
    json!({ "id": "", "object": "", "created": 0, "model": "", "choices": [{ "index": 0, "finish_reason": finish,
        "content_filter_results": results(filtered),
        "content_filter_offsets": { "check_offset": 44, "start_offset": 44, "end_offset": 60 } }] })
}

fn is_filter(finish: &str) -> bool {
    ["content_filter", "refusal", "SAFETY", "PROHIBITED_CONTENT"].iter().any(|word| finish.contains(word))
}

#[tokio::test]
async fn what_the_filter_thinks_disturbs_no_client_and_reaches_those_of_chat() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = gateway(&fake).await;
    for (finish, after, filtered) in [
        ("stop", vec![], false),
        ("stop", vec![offsets(false), offsets(false)], false),
        ("content_filter", vec![], true),
        ("content_filter", vec![offsets(true)], true),
        // The filter is late: it is the first to say how the answer ends.
        ("", vec![offsets(false), offsets(true)], true),
    ] {
        fake.always(stream(finish, &after));
        for client in ClientProtocol::ALL {
            let name = format!("{client}: {finish}, {} more", after.len());
            let (path, body) = request(client, true);
            let answer = post(gateway.address, path, &[], &body).await;
            assert_eq!(answer.status, 200, "{name}");
            let bytes = answer.bytes().await.unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if client == ClientProtocol::Chat {
                for words in ["prompt_filter_results", "content_filter_results"] {
                    assert!(text.contains(words), "{name}: {text}");
                }
                assert_eq!(text.matches("content_filter_offsets").count(), after.len(), "{name}: {text}");
                assert!(text.contains("data: [DONE]"), "{name}: {text}");
                assert_eq!(text.contains("\"finish_reason\":\"content_filter\""), filtered, "{name}: {text}");
                continue;
            }
            let summary = Check::new(client).stream(&bytes).unwrap_or_else(|why| panic!("{name}: {why}\n{text}"));
            assert_eq!(summary.text(), "So far so good.", "{name}");
            assert_eq!(is_filter(summary.finish()), filtered, "{name}: {}", summary.finish());
            let usage = summary.usage.unwrap_or_else(|| panic!("{name}: no usage"));
            assert_eq!((usage.input, usage.output), (9, 4), "{name}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_keeps_what_the_filter_thinks() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = gateway(&fake).await;
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-5",
        "prompt_filter_results": [{ "prompt_index": 0, "content_filter_results": results(false) }],
        "choices": [{ "index": 0, "finish_reason": "content_filter", "logprobs": null,
            "message": { "role": "assistant", "content": null, "refusal": null }, "content_filter_results": results(true) }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9 }
    });
    for client in ClientProtocol::ALL {
        fake.always(Step::json(&whole.to_string()));
        let (path, body) = request(client, false);
        let answer = post(gateway.address, path, &[], &body).await;
        let (status, bytes) = (answer.status, answer.bytes().await.unwrap());
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(status, 200, "{client}: {text}");
        if client == ClientProtocol::Chat {
            assert!(text.contains("prompt_filter_results") && text.contains("\"severity\":\"high\""), "{text}");
        } else {
            let summary = Check::new(client).answer(&bytes).unwrap_or_else(|why| panic!("{client}: {why}\n{text}"));
            assert!(is_filter(summary.finish()), "{client}: {}: {text}", summary.finish());
        }
    }
}

#[tokio::test]
async fn a_prompt_that_is_filtered_is_refused_in_the_clients_protocol_and_once_only() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = gateway(&fake).await;
    let words = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.";
    let error = json!({ "error": { "message": words, "type": null, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": { "code": "ResponsibleAIPolicyViolation", "content_filter_result": results(true) } } });
    fake.always(Step::json(&error.to_string()).status(400));
    for client in ClientProtocol::ALL {
        for stream in [false, true] {
            let before = fake.requests().len();
            let (path, body) = request(client, stream);
            let answer = post(gateway.address, path, &[], &body).await;
            let (status, bytes) = (answer.status.as_u16(), answer.bytes().await.unwrap());
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(fake.requests().len(), before + 1, "{client}: nothing is gained by asking again");
            // Gemini says it in an answer, the others as an error.
            if client == ClientProtocol::Gemini && status == 200 {
                assert!(text.contains("blockReason"), "{text}");
                continue;
            }
            assert_eq!(status, 400, "{client}: {text}");
            let failure = Check::new(client).failure(&bytes).unwrap_or_else(|why| panic!("{client}: {why}\n{text}"));
            assert!(failure.message.contains("content management policy"), "{client}: {}", failure.message);
            if matches!(client, ClientProtocol::Chat | ClientProtocol::Responses) {
                assert!(text.contains("content_filter"), "{client}: {text}");
            }
        }
    }
}
