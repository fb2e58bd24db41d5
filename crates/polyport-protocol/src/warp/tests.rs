//! The worked bytes of the reference, and a conversation.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use polyport_types::{ClientProtocol, Event, FaultClass, FinishReason, Losses, PartStart, Protocol};
use prost::Message as _;
use serde_json::json;

use super::proto::call_mcp_tool_result::{Outcome, Success, Text as OutcomeText, outcome};
use super::proto::message::{HistoryQuery, Message as Kind, ToolCall};
use super::proto::request::input::user_input::Input as Given;
use super::proto::request::input::{ToolCallResult, UserInput, UserInputs};
use super::proto::request::{Input, McpContext, Metadata, ModelConfig, Settings, TaskContext};
use super::proto::{
    CallMcpTool, CallMcpToolResult, Image, InputContext, McpServer, McpTool, Message, Request, Task, UserQuery,
    call_mcp_tool_result,
};
use super::{request, value};
use crate::stream::BodyEnd;
use crate::{RequestHead, StreamDecoder, Target, Wire, decode_request};

fn target() -> Target {
    Target { wire: Wire::Warp, ..Target::plain(Protocol::Chat, "auto") }
}

fn object(json: &serde_json::Value) -> super::proto::Struct {
    value::object(json.as_object().unwrap())
}

fn settings() -> Option<Settings> {
    let model_config = Some(ModelConfig { base: "auto".to_owned() });
    Some(Settings { model_config, supported_tools: vec![9], ..Settings::default() })
}

fn asked(text: &str) -> UserQuery {
    UserQuery { query: text.to_owned(), ..UserQuery::default() }
}

fn input(given: Given) -> Option<UserInputs> {
    Some(UserInputs { inputs: vec![UserInput { input: Some(given) }] })
}

fn written(request: &Request) -> String {
    URL_SAFE.encode(request.encode_to_vec())
}

#[test]
fn r1_a_first_turn_with_instructions() {
    let query =
        UserQuery { referenced_attachments: vec![request::attachment("Be brief.".to_owned())], ..asked("Say hi") };
    let request = Request {
        input: Some(Input { user_inputs: input(Given::UserQuery(query)), ..Input::default() }),
        settings: settings(),
        metadata: Some(Metadata { logging: vec![request::entrypoint()], ..Metadata::default() }),
        ..Request::default()
    };
    assert_eq!(
        written(&request),
        "EiwyKgooCiYKBlNheSBoaRIcCg1TWVNURU1fUFJPTVBUEgsKCUJlIGJyaWVmLhoLCgYKBGF1dG9KAQkiIBIeCgplbnRyeXBvaW50EhAaDlVTRVJfSU5JVElBVEVE"
    );
}

#[test]
fn r2_a_turn_with_the_result_of_a_tool() {
    let in_task = |id: &str, kind| Message { id: id.to_owned(), task_id: "task-1".to_owned(), message: Some(kind) };
    let question = HistoryQuery { query: "What is the weather in Paris?".to_owned(), ..HistoryQuery::default() };
    let tool = CallMcpTool {
        name: "get_weather".to_owned(),
        args: Some(object(&json!({ "city": "Paris" }))),
        ..CallMcpTool::default()
    };
    let call = ToolCall { tool_call_id: "call_1".to_owned(), call_mcp_tool: Some(tool) };
    let text = Outcome { result: Some(outcome::Result::Text(OutcomeText { text: "18 C".to_owned() })) };
    let success = call_mcp_tool_result::Result::Success(Success { results: vec![text] });
    let given = ToolCallResult {
        tool_call_id: "call_1".to_owned(),
        call_mcp_tool: Some(CallMcpToolResult { result: Some(success) }),
    };
    let request = Request {
        task_context: Some(TaskContext {
            tasks: vec![Task {
                id: "task-1".to_owned(),
                messages: vec![in_task("m1", Kind::UserQuery(question)), in_task("m2", Kind::ToolCall(call))],
                ..Task::default()
            }],
        }),
        input: Some(Input { user_inputs: input(Given::ToolCallResult(given)), ..Input::default() }),
        settings: settings(),
        metadata: Some(Metadata { conversation_id: "conv-1".to_owned(), logging: vec![request::entrypoint()] }),
        mcp_context: Some(McpContext {
            tools: vec![McpTool {
                name: "get_weather".to_owned(),
                description: "Weather by city".to_owned(),
                input_schema: Some(object(&json!({ "type": "object" }))),
            }],
            ..McpContext::default()
        }),
    };
    assert_eq!(
        written(&request),
        "CnMKcQoGdGFzay0xKi0KAm0xEh8KHVdoYXQgaXMgdGhlIHdlYXRoZXIgaW4gUGFyaXM_WgZ0YXNrLTEqOAoCbTIiKgoGY2FsbF8xYiAKC2dldF93ZWF0aGVyEhEKDwoEY2l0eRIHGgVQYXJpc1oGdGFzay0xEhwyGgoYEhYKBmNhbGxfMWIMCgoKCAoGCgQxOCBDGgsKBgoEYXV0b0oBCSIoCgZjb252LTESHgoKZW50cnlwb2ludBIQGg5VU0VSX0lOSVRJQVRFRDI0EjIKC2dldF93ZWF0aGVyEg9XZWF0aGVyIGJ5IGNpdHkaEgoQCgR0eXBlEggaBm9iamVjdA=="
    );
}

#[test]
fn r3_an_image_and_r4_tools_of_a_server() {
    let image = Image { data: Bytes::from_static(b"iVBORw=="), mime_type: "image/png".to_owned() };
    let request = Request {
        input: Some(Input {
            context: Some(InputContext { images: vec![image] }),
            user_inputs: input(Given::UserQuery(asked("Describe"))),
        }),
        ..Request::default()
    };
    assert_eq!(written(&request), "EikKFzoVCghpVkJPUnc9PRIJaW1hZ2UvcG5nMg4KDAoKCghEZXNjcmliZQ==");
    let tool = McpTool { name: "get_weather".to_owned(), ..McpTool::default() };
    let name = || "polyport".to_owned();
    let server = McpServer { name: name(), id: name(), tools: vec![tool], ..McpServer::default() };
    let request = Request {
        mcp_context: Some(McpContext { servers: vec![server], ..McpContext::default() }),
        ..Request::default()
    };
    let hex: String = request.encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "32251a230a08706f6c79706f7274220d0a0b6765745f776561746865722a08706f6c79706f7274");
}

const E1: &str = "ChYKBmNvbnYtMRIFcmVxLTEaBXJ1bi0x";
const E2: &str = "Eg4KDAoKCggKBnRhc2stMQ==";
const E3: &str = "EiEKHxodCgZ0YXNrLTESEwoCbTEaBQoDSGVsWgZ0YXNrLTE=";
const E4: &str = "Ei0KKyopCgoKAm0xGgQKAmxvEhMKEWFnZW50X291dHB1dC50ZXh0GgZ0YXNrLTE=";
const E5: &str = "EiYKJBoiCgZ0YXNrLTESGAoCbTJaBnRhc2stMXoKCgh0aGlua2luZw==";
const E6: &str = "EkYKRBpCCgZ0YXNrLTESOAoCbTMiKgoGY2FsbF8xYiAKC2dldF93ZWF0aGVyEhEKDwoEY2l0eRIHGgVQYXJpc1oGdGFzay0x";
const E7: &str = "Gh4SAEIMCgRhdXRvEAwYAyAEUgUNAACAP1oFDQAAAD8=";

fn read(events: &[&str]) -> Vec<Event> {
    let body: String = events.iter().map(|event| format!("data: {event}\r\n\r\n")).collect();
    let mut decoder = StreamDecoder::new(&target(), 1 << 20);
    let mut out = Vec::new();
    for byte in body.bytes() {
        decoder.push(Bytes::from(vec![byte]), &mut out);
    }
    decoder.finish(BodyEnd::Clean, &mut out);
    out
}

fn error_of(events: &[&str]) -> (FaultClass, String) {
    let fault = read(events).into_iter().find_map(|event| match event {
        Event::Error(fault) => Some((fault.class, fault.message.to_string())),
        _ => None,
    });
    fault.unwrap()
}

#[test]
fn a_stream_gives_text_reasoning_calls_and_usage() {
    // Quotes, missing padding and comments are allowed for.
    let quoted = format!("\"{E3}\"");
    let events = read(&[E1, E5, E2, &quoted, E4.trim_end_matches('='), E6, E7]);
    let mut texts = (String::new(), String::new(), String::new());
    let mut kinds = Vec::new();
    for event in &events {
        match event {
            Event::PartStart { start, .. } => kinds.push(match start {
                PartStart::Reasoning { .. } => 1,
                PartStart::Text { .. } => 0,
                PartStart::ToolCall(call) => {
                    assert_eq!((&*call.id, &*call.name), ("call_1", "get_weather"));
                    2
                }
                other => panic!("{other:?}"),
            }),
            Event::Delta { text, .. } => match kinds.last() {
                Some(0) => texts.0.push_str(text),
                Some(1) => texts.1.push_str(text),
                _ => texts.2.push_str(text),
            },
            Event::Usage(usage) => {
                let classes = (usage.input_uncached, usage.cache_read, usage.output_text);
                assert_eq!(classes, (Some(8), Some(4), Some(3)));
            }
            Event::Finish(finish) => assert_eq!(finish.reason, FinishReason::ToolCalls),
            Event::Start(start) => assert_eq!((&*start.id, &*start.model), ("req-1", "auto")),
            _ => {}
        }
    }
    assert_eq!((texts.0.as_str(), texts.1.as_str(), texts.2.as_str()), ("Hello", "thinking", r#"{"city":"Paris"}"#));
    assert!(matches!(events.last(), Some(Event::End)));
}

#[test]
fn a_total_alone_gives_an_estimate_that_says_so() {
    use prost::Message as _;

    use super::proto::{ConversationUsage, ModelUsage, ModelUsageEntry, ResponseEvent, StreamFinished};
    let entry = |tokens| ModelUsageEntry { key: "auto".into(), value: Some(ModelUsage { total_tokens: tokens }) };
    let finished = StreamFinished {
        conversation_usage_metadata: Some(ConversationUsage { warp_token_usage: vec![entry(100), entry(20)] }),
        ..StreamFinished::default()
    };
    let event = ResponseEvent { r#type: Some(super::proto::response_event::Type::Finished(finished)) };
    let last = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE, event.encode_to_vec());
    let usage = read(&[E1, E2, E3, &last]).into_iter().find_map(|event| match event {
        Event::Usage(usage) => Some(*usage),
        _ => None,
    });
    let usage = usage.unwrap();
    let output = usage.output_text.unwrap();
    assert!(usage.estimated && output > 0, "{usage:?}");
    assert_eq!(usage.input_uncached, Some(120 - output));
}

#[test]
fn every_end_of_a_stream_has_its_meaning() {
    assert_eq!(error_of(&[E1, "GgIiAA=="]).0, FaultClass::RateLimitedWindow);
    assert_eq!(error_of(&[E1, "Ggg6BgoEYm9vbQ=="]), (FaultClass::ServerError, "boom".to_owned()));
    assert_eq!(error_of(&[E1, "GgtiCQgCEgVncHQtNQ=="]).0, FaultClass::AuthInvalid);
    assert_eq!(error_of(&[E1, E2, E3]).0, FaultClass::UpstreamProtocol, "no end");
    assert_eq!(error_of(&["!!!", "!!!", "!!!"]).0, FaultClass::UpstreamProtocol, "not base64");
    assert!(read(&[E1, E2, E3, "GhASAFoMMgoKBGF1dG8SAhAP"]).iter().any(|event| matches!(event, Event::Finish(_))));
}

#[test]
fn u29_bytes_that_are_no_message_of_theirs_end_in_a_clean_error() {
    // Base64 of a length that runs past the end, of a group, of a tag without a value, and no base64 at all.
    for broken in ["Ev8BCg==", "Cw==", "Eg==", "not base64!"] {
        assert_eq!(error_of(&[broken; 3]).0, FaultClass::UpstreamProtocol, "{broken}");
        let events = read(&[E1, E2, E3, broken, E7]);
        assert!(events.iter().any(|event| matches!(event, Event::Finish(_))), "one is passed over: {broken}");
    }
    // Members of newer versions are passed over.
    let mut unknown = URL_SAFE.decode(E1).unwrap();
    unknown.extend([0xfa, 0x07, 3, 1, 2, 3]);
    let newer = URL_SAFE.encode(unknown);
    assert!(matches!(read(&[&newer, E2, E3, E7]).first(), Some(Event::Start(start)) if &*start.id == "req-1"));
}

#[test]
fn the_whole_conversation_is_sent() {
    let body = json!({ "model": "m", "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": "What is the weather?" },
        { "role": "assistant", "content": "Let me see.", "tool_calls": [
            { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{\"at\":5,\"b\":1.5}" } }] },
        { "role": "tool", "tool_call_id": "call_1", "content": "18 C" }
    ], "tools": [{ "type": "function", "function": { "name": "look", "parameters": { "type": "object" } } }],
        "temperature": 0.5 });
    let asked = decode_request(ClientProtocol::Chat, &RequestHead::default(), Bytes::from(body.to_string())).unwrap();
    let mut losses = Losses::new();
    let sent = request::message(&target(), &asked, &mut losses);
    let messages = &sent.task_context.as_ref().unwrap().tasks[0].messages;
    let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids, ["m1", "m2", "m3"]);
    let Some(Kind::UserQuery(query)) = &messages[0].message else { panic!("{messages:?}") };
    assert_eq!(query.referenced_attachments[0].key, "SYSTEM_PROMPT", "instructions are not lost on turns with results");
    let Some(Kind::ToolCall(call)) = &messages[2].message else { panic!("{messages:?}") };
    let args = call.call_mcp_tool.as_ref().unwrap().args.as_ref().unwrap();
    assert_eq!(value::json(args).to_string(), r#"{"at":5,"b":1.5}"#);
    let inputs = &sent.input.as_ref().unwrap().user_inputs.as_ref().unwrap().inputs;
    assert!(matches!(&inputs[0].input, Some(Given::ToolCallResult(result)) if result.tool_call_id == "call_1"));
    assert_eq!(sent.mcp_context.as_ref().unwrap().servers[0].tools[0].name, "look");
    let lost: Vec<&str> = losses.entries().iter().map(|loss| loss.path.as_str()).collect();
    assert_eq!(lost, ["/temperature"]);
    let again = request::message(&target(), &asked, &mut Losses::new());
    assert_eq!(Arc::new(sent), Arc::new(again), "the same history is the same request");
}

#[test]
fn instructions_are_not_lost_where_nobody_asked_anything() {
    let body = json!({ "model": "m", "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "call_1", "content": "18 C" }
    ] });
    let asked = decode_request(ClientProtocol::Chat, &RequestHead::default(), Bytes::from(body.to_string())).unwrap();
    let sent = request::message(&target(), &asked, &mut Losses::new()).encode_to_vec();
    assert!(sent.windows(9).any(|bytes| bytes == b"Be brief."));
}
