//! Streams of providers that leave things out, overlap, repeat themselves or fail.

use polyport_testkit::grammar::Check;
use polyport_types::{
    FaultClass, FinishReason, Part, PartStart, PartStatus, ReasoningText, ServerToolKind, ToolCall, ToolCallKind,
};

use super::*;

/// Events as a provider sends them, the first one before them.
fn stream(events: &[Value]) -> String {
    let created = json!({"type": "response.created", "response": {"id": "resp_1", "object": "response", "created_at": 7,
        "status": "in_progress", "model": "gpt", "output": [], "service_tier": "auto"}});
    std::iter::once(&created)
        .chain(events)
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect()
}

#[allow(clippy::needless_pass_by_value, reason = "called with json! literals")]
fn completed(output: Value) -> Value {
    json!({"type": "response.completed", "response": {"id": "resp_1", "object": "response", "status": "completed",
        "model": "gpt", "output": output, "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}}})
}

fn played(list: &[Value]) -> Vec<Event> {
    let events = events(&stream(list));
    Validator::check_all(&events).unwrap_or_else(|problem| panic!("{problem}\n{events:#?}"));
    let to_client = to_client(&client(), &events);
    if let Err(problem) = Check::new(Protocol::Responses).stream(to_client.as_bytes()) {
        // Codex reads codes that the published list does not have.
        assert!(problem.contains("/response/error/code"), "{problem}\n{to_client}");
        Check::provider(Protocol::Responses).stream(to_client.as_bytes()).unwrap();
    }
    events
}

fn parts(list: &[Value]) -> (Vec<Part>, FinishReason) {
    let candidate = collect(&played(list)).candidates.remove(0);
    (candidate.parts, candidate.finish)
}

fn calls(parts: &[Part]) -> Vec<&ToolCall> {
    let call = |part: &'_ Part| matches!(part.kind, PartKind::ToolCall(_));
    parts
        .iter()
        .filter(|part| call(part))
        .map(|part| match &part.kind {
            PartKind::ToolCall(call) => &**call,
            _ => unreachable!(),
        })
        .collect()
}

fn fault(events: &[Event]) -> &polyport_types::Fault {
    match &events[events.len() - 2..] {
        [Event::Error(fault), Event::End] => fault,
        other => panic!("{other:?}"),
    }
}

fn function(index: u32, id: &str, arguments: &str, status: &str) -> Value {
    json!({"type": if status == "completed" { "response.output_item.done" } else { "response.output_item.added" },
        "output_index": index, "item": {"type": "function_call", "id": format!("fc_{id}"), "call_id": format!("call_{id}"),
        "name": "f", "arguments": arguments, "status": status}})
}

fn arguments(index: u32, delta: &str) -> Value {
    json!({"type": "response.function_call_arguments.delta", "output_index": index, "item_id": "x", "delta": delta})
}

#[test]
fn parallel_calls_may_interleave() {
    let (parts, finish) = parts(&[
        function(0, "a", "", "in_progress"),
        function(1, "b", "", "in_progress"),
        arguments(1, "{\"b\""),
        arguments(0, "{\"a\""),
        arguments(1, ":2}"),
        arguments(0, ":1}"),
        function(1, "b", "{\"b\":2}", "completed"),
        function(0, "a", "{\"a\":1}", "completed"),
        completed(json!([])),
    ]);
    let told: Vec<_> = calls(&parts).iter().map(|call| (&*call.id, &*call.arguments, call.status)).collect();
    assert_eq!(told, [("call_a", "{\"a\":1}", PartStatus::Complete), ("call_b", "{\"b\":2}", PartStatus::Complete)]);
    assert_eq!(finish, FinishReason::ToolCalls);
}

#[test]
fn arguments_may_come_in_any_of_four_places() {
    let done = json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{\"a\":1}"});
    let open = function(0, "a", "", "in_progress");
    let closed = function(0, "a", "{\"a\":1}", "completed");
    let listed = json!([closed["item"]]);
    for events in [
        vec![open.clone(), arguments(0, "{\"a\":1}"), done.clone(), closed.clone(), completed(listed.clone())],
        vec![open.clone(), done.clone(), closed.clone(), completed(json!([]))],
        vec![open.clone(), arguments(0, "{\"a"), done, completed(json!([]))],
        vec![open.clone(), closed.clone(), completed(json!([]))],
        vec![closed, completed(json!([]))],
        vec![open, completed(listed.clone())],
        vec![completed(listed)],
        vec![function(0, "a", "{\"a\":1}", "in_progress"), completed(json!([]))],
    ] {
        let (parts, finish) = parts(&events);
        let told: Vec<_> = calls(&parts).iter().map(|call| (&*call.id, &*call.arguments)).collect();
        assert_eq!(told, [("call_a", "{\"a\":1}")], "{events:#?}");
        assert_eq!(finish, FinishReason::ToolCalls);
    }
}

#[test]
fn no_arguments_are_an_empty_object() {
    for nothing in ["", "  ", "null"] {
        let (parts, _) = parts(&[
            function(0, "a", "", "in_progress"),
            arguments(0, if nothing == "null" { "" } else { nothing }),
            function(0, "a", nothing, "completed"),
            completed(json!([])),
        ]);
        assert_eq!(&*calls(&parts)[0].arguments, "{}", "{nothing:?}");
    }
}

#[test]
fn call_ids_are_made_up_and_made_different() {
    let nameless = json!({"type": "response.output_item.done", "output_index": 3, "item": {"type": "function_call", "id": "fc_n", "call_id": "call_n", "name": "", "arguments": "{}"}});
    let idless = json!({"type": "response.output_item.done", "output_index": 2, "item": {"type": "function_call", "id": "fc_3", "name": "f", "arguments": "{}"}});
    let list = [
        function(0, "a", "{}", "completed"),
        function(1, "a", "{}", "completed"),
        idless,
        nameless,
        completed(json!([])),
    ];
    let (parts, _) = parts(&list);
    let ids: Vec<_> = calls(&parts).iter().map(|call| &*call.id).collect();
    assert_eq!(ids, ["call_a", "call_a_2", "call_r2"]);
}

#[test]
fn a_cut_answer_ends_with_its_reason_and_incomplete_calls() {
    let cut = json!({"type": "response.incomplete", "response": {"id": "resp_1", "status": "incomplete", "output": [],
        "incomplete_details": {"reason": "max_output_tokens"}, "usage": {"input_tokens": 1, "output_tokens": 9, "total_tokens": 10}}});
    let list = [function(0, "a", "", "in_progress"), arguments(0, "{\"a\":"), cut];
    let answer = collect(&played(&list));
    assert_eq!(answer.candidates[0].finish, FinishReason::MaxTokens);
    assert_eq!(calls(&answer.candidates[0].parts)[0].status, PartStatus::Incomplete);
    assert_eq!(answer.usage.output_total(), 9);
    let filtered = json!({"type": "response.incomplete", "response": {"status": "incomplete", "output": [], "incomplete_details": {"reason": "content_filter"}}});
    assert_eq!(parts(&[filtered]).1, FinishReason::ContentFilter);
    let unknown = json!({"type": "response.incomplete", "response": {"status": "incomplete", "output": [], "incomplete_details": {"reason": "max_messages"}}});
    let told = events(&stream(&[unknown]));
    assert_eq!(collect(&told).candidates[0].finish, FinishReason::Other);
    // A client of the same protocol learns the reason it knows.
    assert!(to_client(&client(), &told).contains(r#""incomplete_details":{"reason":"max_messages"}"#));
}

#[test]
fn text_of_a_later_item_waits_for_reasoning_that_is_still_open() {
    let list = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "early"}}),
        json!({"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "think"}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "id": "msg_1", "role": "assistant", "content": [], "phase": "final_answer"}}),
        json!({"type": "response.content_part.added", "output_index": 1, "content_index": 0, "part": {"type": "output_text", "text": ""}}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "answer"}),
        json!({"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": " more"}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": {"type": "message", "id": "msg_other", "role": "assistant", "content": [{"type": "output_text", "text": "answer!"}]}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "late",
            "content": [{"type": "reasoning_text", "text": "think more"}]}}),
        completed(json!([])),
    ];
    let events = played(&list);
    let first_text =
        events.iter().position(|event| matches!(event, Event::PartStart { start: PartStart::Text { .. }, .. }));
    let signature = events.iter().position(|event| matches!(event, Event::Signature { .. }));
    assert!(signature < first_text);
    let (parts, _) = parts(&list);
    // Only what comes with the end of the item is valid.
    assert_eq!(&*parts[0].signature.as_ref().unwrap().value, "late");
    assert_eq!(parts[0].signature.as_ref().unwrap().item_id.as_deref(), Some("rs_1"));
    assert!(
        matches!(&parts[0].kind, PartKind::Reasoning(reasoning) if reasoning.text == ReasoningText::Full("think more".into()))
    );
    assert_eq!((&**parts[1].as_text().unwrap(), parts[1].item_id.as_deref()), ("answer!", Some("msg_1")));
    assert_eq!(parts[1].ext.get("phase").unwrap().as_str(), "\"final_answer\"");
}

#[test]
fn summary_and_full_reasoning_of_one_item_go_back_into_one() {
    let item = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "e",
        "content": [{"type": "reasoning_text", "text": "long thoughts"}],
        "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]});
    let (parts, _) = parts(&[
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1", "summary": []}}),
        json!({"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "long "}),
        json!({"type": "response.reasoning_text.done", "output_index": 0, "content_index": 0, "text": "long thoughts"}),
        json!({"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0, "part": {"type": "summary_text", "text": ""}}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "one"}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "tw"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        completed(json!([])),
    ]);
    assert_eq!(parts.len(), 2);
    assert!(parts[0].signature.is_none() && parts[1].signature.is_some());
    let answer =
        Response { candidates: vec![polyport_types::Candidate { parts, ..Default::default() }], ..Response::default() };
    let body: Value = serde_json::from_slice(&encode_response(ClientProtocol::Responses, &client(), &answer)).unwrap();
    assert_eq!(body["output"], json!([item]));
    // And so they do in a history.
    let next = json!({"model": "m", "store": false, "input": [{"role": "user", "content": "x"}, item, {"type": "message", "id": "msg_1",
        "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "a", "annotations": []}]}]});
    assert_eq!(encode(&decode(&next.to_string())).0["input"][1], item);
}

#[test]
fn errors_in_a_stream() {
    let flat =
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "Please try again in 1.5s.", "param": null});
    let nested = json!({"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "broke", "param": null}});
    let failed = json!({"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "output": [],
        "error": {"code": "context_length_exceeded", "message": "too long"}, "usage": {"input_tokens": 4, "output_tokens": 0, "total_tokens": 4}}});
    let text = json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "half"});

    let events = played(&[text.clone(), flat.clone()]);
    assert_eq!(fault(&events).class, FaultClass::RateLimited);
    assert_eq!(fault(&events).retry_after.unwrap().as_millis(), 1500);
    assert_eq!(fault(&played(std::slice::from_ref(&nested))).class, FaultClass::ServerError);
    let events = played(&[nested.clone(), failed]);
    assert_eq!(fault(&events).class, FaultClass::ContextTooLong);
    assert!(events.iter().any(|event| matches!(event, Event::Usage(usage) if usage.input_total() == 4)));
    // Nothing of what follows an error is an answer.
    let events = played(&[nested, text, completed(json!([]))]);
    assert_eq!(fault(&events).class, FaultClass::ServerError);
    // What the client is told of it.
    let told = to_client(&client(), &played(&[flat]));
    let seen = Check::new(Protocol::Responses).stream(told.as_bytes()).unwrap().failure.unwrap();
    assert_eq!((seen.code.as_str(), seen.kind.as_str()), ("rate_limit_exceeded", "failed"));
    assert!(seen.message.contains("try again in 1.5s"));
}

#[test]
fn a_provider_that_does_not_stream_is_understood() {
    let whole = json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt", "output": [
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}]});
    let told = events(&whole.to_string());
    Validator::check_all(&told).unwrap();
    let answer = collect(&told);
    assert_eq!((&*answer.id, &**answer.candidates[0].parts[0].as_text().unwrap()), ("resp_1", "Hi"));
    let told =
        events(r#"{"error":{"message":"no","type":"invalid_request_error","code":"model_not_found","param":"model"}}"#);
    assert_eq!(fault(&told).class, FaultClass::ModelNotFound);
    assert!(matches!(events("<html>busy</html>").as_slice(), [Event::Error(_), Event::End]));
    assert!(matches!(events("").as_slice(), [Event::Error(_), Event::End]));
    assert!(matches!(events("data: [DONE]\n\n").as_slice(), [Event::Error(_), Event::End]));
}

#[test]
fn refusals() {
    let (parts, finish) = parts(&[
        json!({"type": "response.content_part.added", "output_index": 0, "content_index": 0, "item_id": "msg_1", "part": {"type": "refusal", "refusal": ""}}),
        json!({"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "I "}),
        json!({"type": "response.refusal.done", "output_index": 0, "content_index": 0, "refusal": "I can't."}),
        completed(json!([])),
    ]);
    assert_eq!(parts[0].kind, PartKind::Refusal("I can't.".into()));
    assert!(matches!(finish, FinishReason::Refusal { .. }));
}

#[test]
fn citations_and_log_probabilities_come_once_wherever_they_stand() {
    let url = |at: u32| json!({"type": "url_citation", "url": format!("https://example.org/{at}"), "title": "t", "start_index": at, "end_index": at + 1});
    let tokens = json!([{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [{"token": "Ho", "logprob": -2.0, "bytes": [72, 111]}]}]);
    let part = json!({"type": "output_text", "text": "Hi", "annotations": [url(0), url(1)], "logprobs": tokens});
    let delta = |tokens: &Value| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi", "logprobs": tokens});
    let added = json!({"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation_index": 0, "annotation": url(0)});
    let text_done = json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hi", "logprobs": tokens});
    let part_done = json!({"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": part});
    let item_done = json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}});
    for list in [
        vec![
            delta(&tokens),
            added.clone(),
            text_done.clone(),
            part_done.clone(),
            item_done.clone(),
            completed(json!([])),
        ],
        vec![delta(&json!([])), text_done.clone(), added.clone(), part_done.clone(), completed(json!([]))],
        vec![delta(&json!([])), added, part_done, item_done.clone(), completed(json!([]))],
        vec![item_done, completed(json!([]))],
    ] {
        let (parts, _) = parts(&list);
        let PartKind::Text(text) = &parts[0].kind else { panic!("{parts:?}") };
        assert_eq!((&*text.text, text.citations.len(), text.logprobs.len()), ("Hi", 2, 1), "{list:#?}");
        assert_eq!(text.logprobs[0].top[0].token, "Ho");
        assert_eq!(text.citations[1].url.as_deref(), Some("https://example.org/1"));
    }
}

#[test]
fn a_program_streams_as_json_of_its_input() {
    let item = |code: &str, outputs: Value| json!({"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": code, "container_id": "cntr_1", "outputs": outputs});
    let delta = |text: &str| json!({"type": "response.code_interpreter_call_code.delta", "output_index": 0, "item_id": "ci_1", "delta": text});
    let events = played(&[
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("", Value::Null)}),
        json!({"type": "response.code_interpreter_call.in_progress", "output_index": 0, "item_id": "ci_1"}),
        delta("print("),
        delta("\"é\n\""),
        delta(")"),
        json!({"type": "response.code_interpreter_call.interpreting", "output_index": 0, "item_id": "ci_1"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item("print(\"é\n\")", json!([{"type": "logs", "logs": "é"}]))}),
        completed(json!([])),
    ]);
    let deltas = events.iter().filter(|event| matches!(event, Event::Delta { .. })).count();
    assert_eq!(deltas, 4, "the program came in pieces");
    let parts = collect(&events).candidates.remove(0).parts;
    let [call, result] = parts.as_slice() else { panic!("{parts:?}") };
    let PartKind::ServerToolCall(call) = &call.kind else { panic!() };
    assert_eq!(
        (&call.tool, call.input.to_value()),
        (&ServerToolKind::CodeExecution, json!({"code": "print(\"é\n\")"}))
    );
    let PartKind::ServerToolResult(result) = &result.kind else { panic!() };
    assert_eq!(result.payload.to_value()[0]["logs"], "é");
}

#[test]
fn pictures_partial_pictures_and_sound() {
    let partial = json!({"type": "response.image_generation_call.partial_image", "output_index": 0, "item_id": "ig_1", "partial_image_index": 0, "partial_image_b64": "AA=="});
    let audio = json!({"type": "response.audio.delta", "delta": "UklGRg=="});
    let words = json!({"type": "response.audio.transcript.delta", "delta": "hello"});
    let events = events(&stream(&[
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "image_generation_call", "id": "ig_1", "status": "in_progress"}}),
        partial.clone(),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAEC", "output_format": "webp"}}),
        audio.clone(),
        audio,
        words,
        completed(json!([])),
    ]));
    Validator::check_all(&events).unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Opaque { name, raw, .. }
        if &**name == "response.image_generation_call.partial_image" && raw.to_value() == partial)));
    let parts = collect(&events).candidates.remove(0).parts;
    assert!(matches!(&parts[0].kind, PartKind::Image(image) if image.source.mime() == Some("image/webp")));
    let PartKind::Audio(audio) = &parts[1].kind else { panic!("{parts:?}") };
    assert_eq!((audio.source.mime(), audio.transcript.as_deref()), (Some("audio/wav"), Some("hello")));
    assert!(matches!(&audio.source, polyport_types::MediaSource::Base64 { data, .. } if &**data == "UklGRlJJRkY="));
}

#[test]
fn tools_of_the_client_in_their_own_items() {
    let items = [
        (
            json!({"type": "local_shell_call", "id": "lsh_1", "call_id": "call_1", "status": "completed", "action": {"type": "exec", "command": ["ls"], "env": {}}}),
            "local_shell",
        ),
        (
            json!({"type": "apply_patch_call", "id": "apc_1", "call_id": "call_1", "status": "completed", "operation": {"type": "delete_file", "path": "a"}}),
            "apply_patch",
        ),
        (
            json!({"type": "shell_call", "id": "sh_1", "call_id": "call_1", "status": "completed", "action": {"commands": ["ls"], "timeout_ms": null, "max_output_length": null}, "environment": {"type": "local"}}),
            "shell",
        ),
        (
            json!({"type": "computer_call", "id": "cu_1", "call_id": "call_1", "status": "completed", "actions": [{"type": "wait"}], "pending_safety_checks": []}),
            "computer",
        ),
        (
            json!({"type": "tool_search_call", "id": "tsc_1", "call_id": "call_1", "status": "completed", "execution": "client", "arguments": {"queries": ["x"]}}),
            "tool_search",
        ),
    ];
    for (item, name) in items {
        let list = [
            json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
            completed(json!([item])),
        ];
        let events = events(&stream(&list));
        Validator::check_all(&events).unwrap();
        let answer = collect(&events);
        assert_eq!(answer.candidates[0].finish, FinishReason::ToolCalls, "{name}");
        let call = calls(&answer.candidates[0].parts)[0];
        assert_eq!((&*call.id, &call.kind), ("call_1", &ToolCallKind::Builtin(name.into())));
        let body: Value =
            serde_json::from_slice(&encode_response(ClientProtocol::Responses, &client(), &answer)).unwrap();
        assert_eq!(body["output"], json!([item]));
    }
    // In a container of the provider it is the provider's.
    let hosted = json!({"type": "shell_call", "id": "sh_1", "call_id": "call_1", "status": "completed", "action": {"commands": ["ls"], "timeout_ms": null, "max_output_length": null}, "environment": {"type": "container_reference", "container_id": "c"}});
    let output = json!({"type": "shell_call_output", "id": "sho_1", "call_id": "call_1", "status": "completed", "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}], "max_output_length": null});
    let done =
        |index: u32, item: &Value| json!({"type": "response.output_item.done", "output_index": index, "item": item});
    let (parts, finish) = parts(&[done(0, &hosted), done(1, &output), completed(json!([]))]);
    assert_eq!(finish, FinishReason::Stop);
    assert!(
        matches!((&parts[0].kind, &parts[1].kind), (PartKind::ServerToolCall(_), PartKind::ServerToolResult(result)) if &*result.call_id == "call_1")
    );
}

#[test]
fn unknown_items_and_events_stay_what_they_are() {
    let item = json!({"type": "dream_call", "id": "dr_1", "status": "completed", "visions": [1.50, "é"]});
    let events = events(&stream(&[
        json!({"type": "response.dream.deepened", "depth": 3}),
        json!({"type": "codex.rate_limits", "primary": {}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        completed(json!([])),
    ]));
    Validator::check_all(&events).unwrap();
    let opaque =
        events.iter().filter(|event| matches!(event, Event::Opaque { protocol: Protocol::Responses, .. })).count();
    assert_eq!(opaque, 2);
    let answer = collect(&events);
    assert!(matches!(&answer.candidates[0].parts[0].kind, PartKind::Opaque { kind, .. } if &**kind == "dream_call"));
    let told = to_client(&client(), &events);
    assert!(told.contains(r#""visions":[1.5"#) || told.contains(r#""visions":[1.50"#));
    assert!(!told.contains("dream.deepened") && !told.contains("codex.rate_limits"), "no library knows these events");
    // A client of another protocol never sees it.
    let mut other = client();
    other.provider = Protocol::Messages;
    let mut foreign = answer;
    if let PartKind::Opaque { protocol, .. } = &mut foreign.candidates[0].parts[0].kind {
        *protocol = Protocol::Messages;
    }
    let body = encode_response(ClientProtocol::Responses, &other, &foreign);
    assert!(!String::from_utf8(body).unwrap().contains("dream"));
}

#[test]
fn events_without_places_are_told_apart_by_their_ids() {
    let (parts, _) = parts(&[
        json!({"type": "response.output_item.added", "item": {"type": "function_call", "id": "fc_a", "call_id": "call_a", "name": "f", "arguments": ""}}),
        json!({"type": "response.output_item.added", "item": {"type": "function_call", "id": "fc_b", "call_id": "call_b", "name": "g", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "fc_a", "delta": "{\"a\":1}"}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "fc_b", "delta": "{\"b\":2}"}),
        json!({"type": "response.output_item.done", "item": {"type": "function_call", "id": "fc_a", "call_id": "call_a", "name": "f", "arguments": "{\"a\":1}"}}),
        json!({"type": "response.output_item.done", "item": {"type": "function_call", "id": "fc_b", "call_id": "call_b", "name": "g", "arguments": "{\"b\":2}"}}),
        completed(json!([])),
    ]);
    let told: Vec<_> = calls(&parts).iter().map(|call| (&*call.name, &*call.arguments)).collect();
    assert_eq!(told, [("f", "{\"a\":1}"), ("g", "{\"b\":2}")]);
}

fn start(part: u32, call: &str) -> Event {
    let start = polyport_types::ToolCallStart {
        id: call.into(),
        name: "f".into(),
        namespace: None,
        kind: ToolCallKind::Function,
        item_id: None,
        signature: None,
        caller: None,
        ext: Default::default(),
    };
    Event::PartStart { part: polyport_types::PartId(part), choice: 0, start: PartStart::ToolCall(Box::new(start)) }
}

fn piece(part: u32, text: &str) -> Event {
    Event::Delta { part: polyport_types::PartId(part), text: text.into() }
}

fn end(part: u32) -> Event {
    Event::PartEnd { part: polyport_types::PartId(part), status: PartStatus::Complete }
}

/// What other providers interleave stays apart for the client as well, and its last event keeps the order of the items.
#[test]
fn interleaved_calls_of_another_provider() {
    let context = ClientContext::fixed(Request::new(ClientProtocol::Responses, "alias"), Protocol::Chat);
    let finish = polyport_types::Finish { reason: FinishReason::ToolCalls, ..Default::default() };
    let events = [
        Event::Start(Box::default()),
        start(0, "call_a"),
        start(1, "call_b"),
        piece(1, "{\"b\":"),
        piece(0, "{\"a\":"),
        piece(1, "2}"),
        end(1),
        piece(0, "1}"),
        end(0),
        Event::Finish(Box::new(finish)),
        Event::End,
    ];
    Validator::check_all(&events).unwrap();
    let told = to_client(&context, &events);
    let seen =
        Check::new(Protocol::Responses).stream(told.as_bytes()).unwrap_or_else(|problem| panic!("{problem}\n{told}"));
    let mut calls: Vec<_> = seen.tool_calls().iter().map(|call| (call.id.as_str(), call.arguments.as_str())).collect();
    calls.sort_unstable();
    assert_eq!(calls, [("call_a", "{\"a\":1}"), ("call_b", "{\"b\":2}")]);
    let again = collect(&super::events(&told)).candidates.remove(0);
    let ids: Vec<_> = self::calls(&again.parts).iter().map(|call| call.id.to_string()).collect();
    assert_eq!(ids, ["call_a", "call_b"]);
}

#[test]
fn a_client_sees_one_of_several_answers() {
    let context = ClientContext::fixed(Request::new(ClientProtocol::Responses, "alias"), Protocol::Gemini);
    let text = |part: u32, choice: u32| {
        let start = PartStart::Text { item_id: None, phase: None };
        Event::PartStart { part: polyport_types::PartId(part), choice, start }
    };
    let finish = |choice: u32| Event::Finish(Box::new(polyport_types::Finish { choice, ..Default::default() }));
    let events = [
        Event::Start(Box::default()),
        text(0, 0),
        text(1, 1),
        piece(0, "one"),
        piece(1, "two"),
        end(1),
        end(0),
        finish(1),
        finish(0),
        Event::Usage(Box::new(polyport_types::Usage { output_text: Some(9), ..Default::default() })),
        Event::End,
    ];
    Validator::check_all(&events).unwrap();
    let seen = Check::new(Protocol::Responses).stream(to_client(&context, &events).as_bytes()).unwrap();
    assert_eq!((seen.text(), seen.usage.as_ref().unwrap().output), ("one", 9));
}

#[test]
fn an_error_before_the_start_is_a_stream_all_the_same() {
    let fault = polyport_types::Fault::new(FaultClass::RateLimited, "slow down")
        .with_retry_after(std::time::Duration::from_secs(3));
    let told = to_client(&client(), &[Event::Error(Box::new(fault)), Event::End]);
    let seen = Check::new(Protocol::Responses).stream(told.as_bytes()).unwrap();
    let failure = seen.failure.unwrap();
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("rate_limit_exceeded", "slow down. Please try again in 3s.")
    );
    // An end without a reason is none.
    let told = to_client(&client(), &[Event::Start(Box::default()), Event::End]);
    assert!(Check::new(Protocol::Responses).stream(told.as_bytes()).unwrap().failure.is_some());
    // Nothing is written behind the end.
    let mut encoder = StreamEncoder::new(ClientProtocol::Responses, client());
    let mut out = Vec::new();
    encoder.encode(Event::End, &mut out);
    let len = out.len();
    encoder.encode(Event::Start(Box::default()), &mut out);
    encoder.encode(Event::End, &mut out);
    assert_eq!(out.len(), len);
}

#[test]
fn an_item_of_another_kind_takes_the_place_of_the_one_before() {
    let (parts, finish) = parts(&[
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Let me see."}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "id": "fc",
            "call_id": "c1", "name": "f", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"a\":1}"}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "stray"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "function_call", "id": "fc",
            "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"}}),
        completed(json!([])),
    ]);
    assert_eq!(finish, FinishReason::ToolCalls);
    let [said, called] = parts.as_slice() else { panic!("{parts:#?}") };
    assert_eq!(said.as_text().map(|text| &**text), Some("Let me see."));
    let PartKind::ToolCall(call) = &called.kind else { panic!("{called:?}") };
    assert_eq!((&*call.arguments, call.status), ("{\"a\":1}", PartStatus::Complete));
}
