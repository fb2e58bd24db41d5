//! AWS Bedrock: both of its interfaces answer every client, by signed requests and binary streams.

use polyport_testkit::provider::{Answer, AwsAccess, Bedrock, FakeProvider, Finish, Step, Tokens, Wrapping, aws_frame};
use polyport_testkit::raw::post;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::adapters::{ask, config, text_and_tools};
use crate::support::{Gateway, request};

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// The presets with what their fake is told.
const KINDS: [(&str, bool); 2] = [("bedrock", true), ("bedrock-anthropic", false)];

async fn fake(converse: bool, keys: Vec<AwsAccess>) -> FakeProvider {
    let bearers = vec!["ABSKbearer".to_owned()];
    let service = Bedrock { converse, region: "eu-west-1".to_owned(), keys, bearers };
    FakeProvider::builder(Protocol::Messages).wrapped(Wrapping::Bedrock(service)).start().await
}

async fn gateway(preset: &str, fake: &FakeProvider, model: &str, keys: &str) -> Gateway {
    let text = format!(
        "providers:\n  cloud:\n    preset: {preset}\n    base_url: http://{}\n    location: eu-west-1\n    proxy: none\n    keys: \
         {keys}\nmodels: {{ m: 'cloud/{model}' }}\n",
        fake.address()
    );
    let folder = tempfile::tempdir().unwrap();
    Gateway::start(config(&text, folder.path())).await
}

fn plain_key() -> String {
    format!("[{{ access_key_id: {ID}, key: '{SECRET}' }}]")
}

const CLAUDE: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
const ARN: &str =
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

#[tokio::test]
async fn every_client_gets_text_and_tools_with_every_kind_of_credential() {
    let session = AwsAccess::session("ASIAIOSFODNN7EXAMPLE", "other/secret", "session+token/==");
    let keys = [
        plain_key(),
        format!("['{ID}:{SECRET}']"),
        "[{ access_key_id: ASIAIOSFODNN7EXAMPLE, key: other/secret, session_token: 'session+token/==' }]".to_owned(),
        "['ASIAIOSFODNN7EXAMPLE:other/secret:session+token/==']".to_owned(),
        "[ABSKbearer]".to_owned(),
    ];
    for (preset, converse) in KINDS {
        for (model, keys) in [CLAUDE, ARN, CLAUDE, ARN, CLAUDE].into_iter().zip(&keys) {
            let fake = fake(converse, vec![AwsAccess::new(ID, SECRET), session.clone()]).await;
            let gateway = gateway(preset, &fake, model, keys).await;
            text_and_tools(&gateway, &fake, preset).await;
        }
    }
}

/// A conversation of each protocol with an image, tools, a call and its result.
fn conversation(client: ClientProtocol, stream: bool) -> (&'static str, Value) {
    let (path, mut body) = request(client, stream);
    let schema = json!({ "type": "object", "properties": { "at": { "type": "string" } } });
    let url = format!("data:image/png;base64,{PIXEL}");
    match client {
        ClientProtocol::Chat => {
            body["messages"] = json!([
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": [
                    { "type": "text", "text": "What is this?" }, { "type": "image_url", "image_url": { "url": url } }
                ] },
                { "role": "assistant", "tool_calls": [
                    { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{\"at\":\"it\"}" } }
                ] },
                { "role": "tool", "tool_call_id": "call_1", "content": "a single pixel" }
            ]);
            body["tools"] = json!([{ "type": "function", "function": { "name": "look", "parameters": schema } }]);
        }
        ClientProtocol::Responses => {
            body["instructions"] = json!("Be brief.");
            body["input"] = json!([
                { "role": "user", "content": [
                    { "type": "input_text", "text": "What is this?" }, { "type": "input_image", "image_url": url }
                ] },
                { "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{\"at\":\"it\"}" },
                { "type": "function_call_output", "call_id": "call_1", "output": "a single pixel" }
            ]);
            body["tools"] = json!([{ "type": "function", "name": "look", "strict": false, "parameters": schema }]);
        }
        ClientProtocol::Messages => {
            let image = json!({ "type": "base64", "media_type": "image/png", "data": PIXEL });
            body["system"] = json!([{ "type": "text", "text": "Be brief.", "cache_control": { "type": "ephemeral" } }]);
            body["messages"] = json!([
                { "role": "user", "content": [
                    { "type": "text", "text": "What is this?" }, { "type": "image", "source": image }
                ] },
                { "role": "assistant", "content": [
                    { "type": "tool_use", "id": "call_1", "name": "look", "input": { "at": "it" } }
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "call_1", "content": [{ "type": "text", "text": "a single pixel" }] }
                ] }
            ]);
            body["tools"] = json!([{ "name": "look", "input_schema": schema }]);
        }
        ClientProtocol::Gemini => {
            body["systemInstruction"] = json!({ "parts": [{ "text": "Be brief." }] });
            body["contents"] = json!([
                { "role": "user", "parts": [
                    { "text": "What is this?" }, { "inlineData": { "mimeType": "image/png", "data": PIXEL } }
                ] },
                { "role": "model", "parts": [{ "functionCall": { "name": "look", "args": { "at": "it" } } }] },
                { "role": "user", "parts": [
                    { "functionResponse": { "name": "look", "response": { "result": "a single pixel" } } }
                ] }
            ]);
            body["tools"] = json!([{ "functionDeclarations": [{ "name": "look", "parameters": schema }] }]);
        }
    }
    (path, body)
}

#[tokio::test]
async fn images_calls_and_results_arrive_from_every_client() {
    for (preset, converse) in KINDS {
        for model in [CLAUDE, "eu.amazon.nova-pro-v1:0"].iter().take(if converse { 2 } else { 1 }) {
            let fake = fake(converse, vec![AwsAccess::new(ID, SECRET)]).await;
            let gateway = gateway(preset, &fake, model, &plain_key()).await;
            for client in ClientProtocol::ALL {
                for stream in [false, true] {
                    let (path, body) = conversation(client, stream);
                    let summary = ask(&gateway, client, path, &body, stream).await;
                    let text = &summary.choices[0].text;
                    assert!(text.contains("a single pixel"), "{client} to {preset}, stream {stream}: {text}");
                    let sent = String::from_utf8_lossy(fake.last().body()).into_owned();
                    for words in ["Be brief.", "What is this?", PIXEL, "look", "a single pixel"] {
                        assert!(sent.contains(words), "{client} to {preset}: {words} in {sent}");
                    }
                }
            }
            fake.assert_no_violations();
        }
    }
}

#[tokio::test]
async fn thinking_comes_and_goes_back_with_its_signature() {
    for (preset, converse) in KINDS {
        let fake = fake(converse, vec![AwsAccess::new(ID, SECRET)]).await;
        let gateway = gateway(preset, &fake, CLAUDE, &plain_key()).await;
        fake.always(Step::answer(Answer::default().reasoning("Hm, let me think.").tool("look", r#"{"at":"it"}"#)));
        for stream in [false, true] {
            let mut body = json!({
                "model": "m", "stream": stream, "max_tokens": 4000, "thinking": { "type": "enabled", "budget_tokens": 2000 },
                "messages": [{ "role": "user", "content": "Look." }],
                "tools": [{ "name": "look", "input_schema": { "type": "object" } }],
            });
            let summary = ask(&gateway, ClientProtocol::Messages, "/v1/messages", &body, stream).await;
            assert_eq!(summary.choices[0].reasoning, "Hm, let me think.", "{preset}, stream {stream}");
            if stream {
                continue;
            }
            let answer = post(gateway.address, "/v1/messages", &[], &body).await.bytes().await.unwrap();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            let id = &answer["content"][1]["id"];
            body["messages"] = json!([
                { "role": "user", "content": "Look." },
                { "role": "assistant", "content": answer["content"] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "nothing" }] }
            ]);
            ask(&gateway, ClientProtocol::Messages, "/v1/messages", &body, false).await;
            let sent = String::from_utf8_lossy(fake.last().body()).into_owned();
            assert!(sent.contains(answer["content"][0]["signature"].as_str().unwrap()), "{sent}");
        }
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn tokens_are_counted_with_those_of_the_cache_apart() {
    let tokens = Tokens { input: 10, output: 7, cache_read: 500, cache_write: 20, ..Tokens::default() };
    for (preset, converse) in KINDS {
        let fake = fake(converse, vec![AwsAccess::new(ID, SECRET)]).await;
        let gateway = gateway(preset, &fake, CLAUDE, &plain_key()).await;
        fake.always(Step::answer(Answer::default().text("Yes.").usage(tokens)));
        for stream in [false, true] {
            let (path, body) = request(ClientProtocol::Messages, stream);
            let answer = post(gateway.address, path, &[], &body).await;
            let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
            for words in ["\"input_tokens\":10", "\"cache_read_input_tokens\":500", "\"output_tokens\":7"] {
                assert!(text.contains(words), "{preset}, stream {stream}: {text}");
            }
            assert!(text.contains("\"cache_creation_input_tokens\":20"), "{text}");
        }
    }
}

#[tokio::test]
async fn prompts_are_counted_by_the_service() {
    for (preset, converse) in KINDS {
        let fake = fake(converse, vec![AwsAccess::new(ID, SECRET)]).await;
        let gateway = gateway(preset, &fake, CLAUDE, &plain_key()).await;
        let mut body = conversation(ClientProtocol::Messages, false).1;
        body.as_object_mut().unwrap().retain(|name, _| !["stream", "max_tokens"].contains(&name.as_str()));
        let gemini = conversation(ClientProtocol::Gemini, false).1;
        let gemini = json!({ "contents": gemini["contents"] });
        for (path, body, member) in [
            ("/v1/messages/count_tokens", &body, "input_tokens"),
            ("/v1beta/models/m:countTokens", &gemini, "totalTokens"),
        ] {
            let answer = post(gateway.address, path, &[], body).await;
            assert!(answer.header("x-polyport-estimated").is_empty(), "{preset}: {path}");
            let counted: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert!(counted[member].as_u64().is_some_and(|tokens| tokens > 10), "{counted}");
            assert!(fake.last().path().ends_with("/count-tokens"));
        }
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn a_refused_key_is_passed_over_and_named() {
    let keys = vec![AwsAccess::new(ID, SECRET), AwsAccess::session("ASIAIOSFODNN7EXPIRED", "s", "t").expired()];
    for (bad, words) in [
        ("{ name: old, access_key_id: ASIAIOSFODNN7EXPIRED, key: s, session_token: t }", "session_token"),
        ("{ name: old, access_key_id: AKIAIOSFODNN7EXAMPLE, key: nonsense }", "secret access key"),
        ("{ name: old, access_key_id: AKIAIOSFODNN7NOBODY, key: s }", "access_key_id"),
        ("{ name: old, key: ABSKnot-known }", "API Key"),
    ] {
        let fake = fake(true, keys.clone()).await;
        let alone = gateway("bedrock", &fake, CLAUDE, &format!("[{bad}]")).await;
        for client in ClientProtocol::ALL {
            let (path, body) = request(client, false);
            let answer = post(alone.address, path, &[], &body).await;
            assert!(answer.status.as_u16() >= 500, "{client}: {}", answer.status);
            let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
            if client == ClientProtocol::ALL[0] {
                assert!(text.contains("`cloud`") && text.contains("`old`") && text.contains(words), "{text}");
            }
            assert!(!text.contains(SECRET) && !text.contains("nonsense"), "{text}");
        }
        let both = gateway(
            "bedrock",
            &fake,
            CLAUDE,
            &format!("[{bad}, ['{ID}:{SECRET}']]").replace("['", "'").replace("']", "'"),
        )
        .await;
        let before = fake.requests().len();
        for client in ClientProtocol::ALL {
            let (path, body) = request(client, true);
            ask(&both, client, path, &body, true).await;
        }
        assert!(fake.requests().len() <= before + 6, "a refused key is left alone");
    }
}

#[tokio::test]
async fn errors_of_the_service_have_their_class() {
    for (preset, converse) in KINDS {
        let fake = fake(converse, vec![AwsAccess::new(ID, SECRET)]).await;
        for (status, kind, expected) in [
            (429, "ThrottlingException", 429),
            (400, "ValidationException", 400),
            (403, "AccessDeniedException", 403),
            (404, "ResourceNotFoundException", 404),
            (503, "ServiceUnavailableException", 503),
            (429, "ModelNotReadyException", 503),
            (424, "ModelErrorException", 502),
            (500, "InternalServerException", 502),
        ] {
            // Every error at a gateway that has seen no other.
            let gateway = gateway(preset, &fake, CLAUDE, &plain_key()).await;
            fake.always(Step::error(status, "words of the service").header("x-amzn-errortype", kind));
            let (path, body) = request(ClientProtocol::Chat, false);
            let answer = post(gateway.address, path, &[], &body).await;
            let (given, text) = (answer.status.as_u16(), answer.bytes().await.unwrap());
            let text = String::from_utf8_lossy(&text).into_owned();
            let class = given == expected || (expected == 502 && given >= 500);
            assert!(class && text.contains("words of the service"), "{kind}: {given} {text}");
        }
    }
}

/// What a client of a stream sees that ends in this way.
async fn broken(body: Vec<u8>, words: &str) {
    for (preset, converse) in KINDS {
        let fake = fake(converse, vec![AwsAccess::new(ID, SECRET)]).await;
        fake.always(Step::body("application/vnd.amazon.eventstream", body.clone()));
        for client in ClientProtocol::ALL {
            // A key that failed rests.
            let gateway = gateway(preset, &fake, CLAUDE, &plain_key()).await;
            let (path, body) = request(client, true);
            let answer = post(gateway.address, path, &[], &body).await;
            let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
            assert!(text.contains(words), "{client} from {preset}: {text}");
            assert!(!text.contains("end_turn") && !text.contains("\"STOP\""), "{client} from {preset}: {text}");
        }
    }
}

fn said(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    let encoded = |event: Value| {
        let bytes = base64::engine::general_purpose::STANDARD.encode(event.to_string());
        json!({ "bytes": bytes })
    };
    // One payload that both interfaces understand.
    let own = json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } });
    let mut payload = encoded(own);
    payload["contentBlockIndex"] = json!(0);
    payload["delta"] = json!({ "text": text });
    let headers = [(":event-type", "contentBlockDelta"), (":message-type", "event")];
    aws_frame(&headers, payload.to_string().as_bytes())
}

#[tokio::test]
async fn streams_that_break_end_with_an_error() {
    let good = said("Hello there.");
    let mut damaged = said("more");
    let at = damaged.len() / 2;
    damaged[at] ^= 1;
    let mut lengths = said("more");
    lengths[1] ^= 1;
    let exception = |kind: &str| {
        let headers = [(":exception-type", kind), (":message-type", "exception")];
        aws_frame(&headers, br#"{"message":"the model has stumbled"}"#)
    };
    broken([good.clone(), damaged].concat(), "damaged").await;
    broken([good.clone(), lengths].concat(), "damaged").await;
    let cut = said("more");
    broken([good.clone(), cut[..cut.len() - 3].to_vec()].concat(), "broke off").await;
    broken([good.clone(), vec![0, 0]].concat(), "broke off").await;
    for kind in ["modelStreamErrorException", "throttlingException", "serviceUnavailableException"] {
        broken([good.clone(), exception(kind)].concat(), "the model has stumbled").await;
    }
    broken([good, vec![0x10, 0, 0, 0]].concat(), "broke off").await;
}

#[tokio::test]
async fn an_error_before_the_first_word_moves_on() {
    let keys = vec![AwsAccess::new(ID, SECRET), AwsAccess::new("AKIAIOSFODNN7SECOND1", "second")];
    let fake = fake(true, keys).await;
    let headers = [(":exception-type", "throttlingException"), (":message-type", "exception")];
    let exception = aws_frame(&headers, br#"{"message":"Too many requests"}"#);
    fake.script(Step::body("application/vnd.amazon.eventstream", exception));
    let gateway = gateway("bedrock", &fake, CLAUDE, &format!("['{ID}:{SECRET}', 'AKIAIOSFODNN7SECOND1:second']")).await;
    let (path, body) = request(ClientProtocol::Messages, true);
    let summary = ask(&gateway, ClientProtocol::Messages, path, &body, true).await;
    assert!(!summary.choices[0].text.is_empty());
    let ids: Vec<bool> =
        fake.requests().iter().map(|asked| asked.header("authorization").unwrap().contains("SECOND1")).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1], "the other key answers");
}

#[tokio::test]
async fn reasons_to_stop_are_told_to_every_client() {
    for (preset, converse) in KINDS {
        let fake = fake(converse, vec![AwsAccess::new(ID, SECRET)]).await;
        let gateway = gateway(preset, &fake, CLAUDE, &plain_key()).await;
        for (finish, word) in [(Finish::Length, "length"), (Finish::Filter, "content_filter"), (Finish::Stop, "stop")] {
            fake.always(Step::answer(Answer::default().text("So far.").finish(finish)));
            for stream in [false, true] {
                let (path, body) = request(ClientProtocol::Chat, stream);
                let answer = post(gateway.address, path, &[], &body).await;
                let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
                assert!(text.contains(&format!("\"finish_reason\":\"{word}\"")), "{preset} {word}: {text}");
            }
        }
        fake.script(Step::answer(Answer::default().text("So far.").finish(Finish::Sequence("END".to_owned()))));
        let (path, mut body) = request(ClientProtocol::Messages, true);
        body["stop_sequences"] = json!(["END"]);
        let answer = post(gateway.address, path, &[], &body).await;
        let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
        assert!(text.contains("\"stop_sequence\":\"END\""), "{preset}: {text}");
        fake.assert_no_violations();
    }
}
