//! The worked examples of the protocol documents, and what the documents say in single sentences.

use std::sync::Arc;

use polyport_protocol::carrier::Placement;
use polyport_protocol::{CarrierKey, responses};
use polyport_testkit::grammar::Check;
use polyport_types::{
    Authority, Candidate, Citation, Document, DocumentSource, Extras, Family, FinishReason, FunctionTool, Instruction,
    LossCode, MediaSource, Message, Part, PartStatus, PromptBlock, Reasoning, ReasoningControl, ReasoningText,
    ReasoningVisibility, Role, ServerToolCall, ServerToolKind, ServerToolResult, Signature, SignatureKind, TextPart,
    Tool, ToolCall, ToolCallKind, ToolChoice, ToolRef, ToolResult, Usage,
};

use super::*;

fn instruction(text: &str) -> Instruction {
    Instruction { authority: Authority::System, parts: vec![Part::text(text)], name: None, ext: Extras::new() }
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::new(PartKind::ToolCall(Box::new(ToolCall {
        id: id.into(),
        name: name.into(),
        namespace: None,
        kind: ToolCallKind::Function,
        arguments: arguments.into(),
        caller: None,
        status: PartStatus::Complete,
    })))
}

fn result(id: &str, text: &str) -> Part {
    Part::new(PartKind::ToolResult(Box::new(ToolResult {
        call_id: id.into(),
        name: None,
        kind: ToolCallKind::Function,
        parts: vec![Part::text(text)],
        structured: None,
        is_error: false,
    })))
}

fn reasoning(text: ReasoningText) -> Part {
    Part::new(PartKind::Reasoning(Box::new(Reasoning { text, redacted: false })))
}

fn function(name: &str, description: &str, schema: Option<&str>) -> Tool {
    Tool::Function(Box::new(FunctionTool {
        name: name.into(),
        description: Some(description.into()),
        schema: schema.map(|schema| RawJson::parse(schema).unwrap()),
        ..FunctionTool::default()
    }))
}

#[test]
fn example_e6_gemini_request() {
    let mut request = Request::new(ClientProtocol::Gemini, "alias");
    request.instructions.push(instruction("Cite pages."));
    let pdf = Document {
        source: DocumentSource::File(MediaSource::Base64 { mime: "application/pdf".into(), data: "JVBERi0=".into() }),
        filename: None,
        title: None,
        context: None,
        citations: None,
        detail: None,
    };
    let mut signed = call("call_g1_0", "find", "{\"q\":\"x\"}");
    signed.signature = Some(Signature::new(Family::Google, SignatureKind::FunctionCall, "AbC0"));
    request.messages = vec![
        Message::new(Role::User, 0, vec![Part::new(PartKind::Document(Box::new(pdf))), Part::text("Look it up")]),
        Message::new(Role::Assistant, 1, vec![signed]),
        Message::new(Role::Tool, 2, vec![result("call_g1_0", "p. 3")]),
    ];
    request.tools = vec![
        function("find", "search", Some(r#"{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}"#)),
        function("open", "open page", None),
    ];
    let open = ToolRef { name: "open".into(), custom: false };
    request.tool_choice = Some(ToolChoice::Allowed { required: true, tools: vec![open] });
    request.reasoning = Some(ReasoningControl {
        budget_tokens: Some(6000),
        visibility: Some(ReasoningVisibility::Full),
        ..ReasoningControl::default()
    });
    request.limits.stop = vec!["END".into()];
    request.candidates = Some(1);
    let (body, losses) = encode(&request);
    assert_eq!(
        body,
        json!({
          "model": "gpt-5.6",
          "store": false,
          "include": ["reasoning.encrypted_content"],
          "instructions": "Cite pages.",
          "input": [
            {"type": "message", "role": "user", "content": [
              {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
              {"type": "input_text", "text": "Look it up"}]},
            {"type": "function_call", "call_id": "call_g1_0", "name": "find", "arguments": "{\"q\":\"x\"}"},
            {"type": "function_call_output", "call_id": "call_g1_0", "output": "p. 3"}
          ],
          "tools": [
            {"type": "function", "name": "find", "description": "search", "strict": false,
             "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}},
            {"type": "function", "name": "open", "description": "open page", "strict": false,
             "parameters": {"type": "object", "properties": {}}}
          ],
          "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "open"}]},
          "reasoning": {"effort": "medium", "summary": "auto"}
        })
    );
    let codes: Vec<_> = losses.entries().iter().map(|loss| loss.code).collect();
    assert_eq!(codes, [LossCode::ReasoningMapped, LossCode::StopUnsupported]);
    schema::validate_encoded(Protocol::Responses, &body).unwrap();
}

#[test]
fn example_e7_expanded_history() {
    let before = decode(r#"{"model":"m","instructions":"Be kind","input":"Hi, I am Ana"}"#);
    let mut request = decode(r#"{"model":"m","instructions":"Be formal","input":"What is my name?","store":false}"#);
    let mut history = responses::input_messages(&before);
    history.push(Message::new(Role::Assistant, 1, vec![Part::text("Hello Ana")]));
    responses::continue_after(&mut request, history);
    let (body, losses) = encode(&request);
    assert_eq!(body["instructions"], "Be formal");
    assert_eq!(
        body["input"],
        json!([
           {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi, I am Ana"}]},
           {"type": "message", "role": "assistant", "content": "Hello Ana"},
           {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is my name?"}]}
        ])
    );
    assert!(losses.is_empty());
}

#[test]
fn instructions_among_the_items_are_part_of_the_conversation() {
    let before = decode(
        r#"{"model":"m","input":[{"role":"developer","content":"Answer in rhymes."},{"role":"user","content":"Hi"}]}"#,
    );
    let mut request = decode(
        r#"{"model":"m","store":false,"instructions":"Be formal",
            "input":[{"role":"system","content":"From now on in French."},{"role":"user","content":"Who am I?"}]}"#,
    );
    assert_eq!(request.instructions.len(), 2);
    responses::continue_after(&mut request, responses::input_messages(&before));
    let (body, _) = encode(&request);
    assert_eq!(body["instructions"], "Be formal");
    let said: Vec<_> =
        body["input"].as_array().unwrap().iter().map(|item| (&item["role"], &item["content"][0]["text"])).collect();
    let wanted = [
        ("developer", "Answer in rhymes."),
        ("user", "Hi"),
        ("system", "From now on in French."),
        ("user", "Who am I?"),
    ];
    assert_eq!(
        said,
        wanted.map(|(role, text)| (json!(role), json!(text))).iter().map(|(a, b)| (a, b)).collect::<Vec<_>>()
    );
    // Other protocols see what stands first as instructions.
    assert_eq!(request.instructions.len(), 2);
    assert_eq!(request.messages[1].role, Role::System);
}

/// A client of this protocol that asked for summaries, and a key that seals signatures.
fn context(provider: Protocol) -> (ClientContext, CarrierKey) {
    let mut request = Request::new(ClientProtocol::Responses, "fast-tier");
    request.reasoning = Some(ReasoningControl {
        visibility: Some(ReasoningVisibility::Summary),
        summary: Some("auto".into()),
        ..ReasoningControl::default()
    });
    let key = CarrierKey::new([9; 32]);
    let context = ClientContext { carrier: Some(Arc::new(key.clone())), ..ClientContext::fixed(request, provider) };
    (context, key)
}

fn answer(context: &ClientContext, candidate: Candidate, usage: Usage) -> Value {
    let response = Response { candidates: vec![candidate], usage, ..Response::default() };
    let bytes = encode_response(ClientProtocol::Responses, context, &response);
    Check::new(Protocol::Responses).answer(&bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// The same without what is made up: ids.
fn without_ids(mut output: Value) -> Value {
    for item in output.as_array_mut().unwrap() {
        assert!(item.as_object_mut().unwrap().shift_remove("id").is_some());
    }
    output
}

#[test]
fn example_e8_usage() {
    let usage = Usage {
        input_uncached: Some(100),
        cache_read: Some(900),
        cache_write_5m: Some(200),
        output_text: Some(50),
        reasoning: Some(30),
        ..Usage::default()
    };
    let (context, _) = context(Protocol::Messages);
    let body = answer(&context, Candidate { parts: vec![Part::text("Hi")], ..Candidate::default() }, usage);
    assert_eq!(
        body["usage"],
        json!({"input_tokens": 1200, "input_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 200},
               "output_tokens": 80, "output_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 1280})
    );
    let again = decode_response(&target(), body.to_string().into()).unwrap().usage;
    assert_eq!((again.input_total(), again.output_total(), again.cache_read), (1200, 80, Some(900)));
}

#[test]
fn example_e9_signed_gemini_calls() {
    let (context, key) = context(Protocol::Gemini);
    let mut signed = call("call_r1x0x2", "weather", "{\"city\":\"Oslo\"}");
    signed.signature = Some(Signature::new(Family::Google, SignatureKind::FunctionCall, "Q2lR"));
    let parts = vec![
        reasoning(ReasoningText::Full("Two lookups needed.".into())),
        Part::text("Checking."),
        signed,
        call("call_r1x0x3", "weather", "{\"city\":\"Rome\"}"),
    ];
    let body = answer(
        &context,
        Candidate { parts, finish: FinishReason::ToolCalls, ..Candidate::default() },
        Usage::default(),
    );
    let mut output = body["output"].clone();
    let first = output[0]["encrypted_content"].take();
    let second = output[2]["encrypted_content"].take();
    assert_eq!(
        without_ids(plain(output)),
        plain(json!([
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Two lookups needed."}]},
            {"type": "message", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "Checking.", "annotations": [], "logprobs": []}]},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "call_r1x0x2", "name": "weather", "arguments": "{\"city\":\"Oslo\"}", "status": "completed"},
            {"type": "function_call", "call_id": "call_r1x0x3", "name": "weather", "arguments": "{\"city\":\"Rome\"}", "status": "completed"}
        ]))
    );
    let (unsigned, place) = key.open(first.as_str().unwrap()).unwrap();
    assert_eq!((unsigned.family, unsigned.kind, &*unsigned.value), (Family::Google, SignatureKind::Part, ""));
    assert_eq!(place, Placement::Own);
    let (signature, place) = key.open(second.as_str().unwrap()).unwrap();
    assert_eq!((signature.kind, &*signature.value, place), (SignatureKind::FunctionCall, "Q2lR", Placement::Next));
}

#[test]
fn example_e10_blocked_prompt_and_refusal() {
    let (context, _) = context(Protocol::Gemini);
    let blocked = Response {
        prompt_block: Some(PromptBlock { reason: "PROHIBITED_CONTENT".into(), message: None, ratings: None }),
        usage: Usage { input_uncached: Some(12), ..Usage::default() },
        ..Response::default()
    };
    let bytes = encode_response(ClientProtocol::Responses, &context, &blocked);
    assert_eq!(Check::new(Protocol::Responses).answer(&bytes).unwrap().finish(), "incomplete:content_filter");
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(body["output"], json!([]));

    // A classifier of the provider: the words so far, then that it declined.
    let declined = FinishReason::Refusal { category: None, explanation: None };
    let candidate =
        Candidate { parts: vec![Part::text("First, you")], finish: declined.clone(), ..Candidate::default() };
    let body = answer(&context, candidate, Usage::default());
    assert_eq!(body["incomplete_details"], json!({"reason": "content_filter"}));
    assert_eq!(
        body["output"][0]["content"],
        json!([
            {"type": "output_text", "text": "First, you", "annotations": [], "logprobs": []},
            {"type": "refusal", "refusal": "The model declined to continue."}
        ])
    );

    // A model of OpenAI says so itself and is done.
    let own = Candidate {
        parts: vec![Part::new(PartKind::Refusal("I can't.".into()))],
        finish: declined,
        ..Candidate::default()
    };
    let body = answer(&context, own, Usage::default());
    assert_eq!((&body["status"], &body["incomplete_details"]), (&json!("completed"), &Value::Null));
    let again = decode_response(&target(), body.to_string().into()).unwrap();
    assert!(matches!(again.candidates[0].finish, FinishReason::Refusal { .. }));
}

#[test]
fn example_e11_citations_of_whole_blocks() {
    let (context, _) = context(Protocol::Messages);
    let mut cited = TextPart::new("Galdhøpiggen (2469 m)");
    for _ in 0..2 {
        let citation = Citation::url("https://example.org/a", Some("Galdhøpiggen".into()), None);
        cited.citations.push(citation);
    }
    let raw = |json: &str| RawJson::parse(json).unwrap();
    let parts = vec![
        Part::new(PartKind::ServerToolCall(Box::new(ServerToolCall {
            id: "srvtoolu_1".into(),
            tool: ServerToolKind::WebSearch,
            name: "web_search".into(),
            input: raw(r#"{"query":"höchster Berg Norwegens"}"#),
            raw: None,
            protocol: Protocol::Messages,
        }))),
        Part::new(PartKind::ServerToolResult(Box::new(ServerToolResult {
            call_id: "srvtoolu_1".into(),
            tool: ServerToolKind::WebSearch,
            payload: raw("[]"),
            is_error: false,
            raw: Some(raw(r#"{"type":"web_search_tool_result"}"#)),
            protocol: Protocol::Messages,
        }))),
        Part::text("Das ist "),
        Part::new(PartKind::Text(cited)),
        Part::text("."),
    ];
    let body = answer(&context, Candidate { parts, ..Candidate::default() }, Usage::default());
    assert_eq!(
        without_ids(body["output"].clone()),
        json!([
            {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "höchster Berg Norwegens"}},
            {"type": "message", "status": "completed", "role": "assistant", "content": [
                {"type": "output_text", "text": "Das ist Galdhøpiggen (2469 m).",
                 "annotations": [{"type": "url_citation", "start_index": 8, "end_index": 29, "url": "https://example.org/a", "title": "Galdhøpiggen"}],
                 "logprobs": []}]}
        ])
    );
}

#[test]
fn hidden_reasoning_leaves_its_signature_only() {
    let (mut context, key) = context(Protocol::Messages);
    let mut request = (*context.request).clone();
    request.reasoning = None;
    context.request = Arc::new(request);
    let mut signed = reasoning(ReasoningText::Full("secret thoughts".into()));
    signed.signature = Some(Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQB"));
    let parts = vec![signed, reasoning(ReasoningText::Full("unsigned".into())), Part::text("Hi")];
    let body = answer(&context, Candidate { parts, ..Candidate::default() }, Usage::default());
    let output = body["output"].as_array().unwrap();
    assert_eq!(output.len(), 2, "{output:?}");
    assert_eq!(output[0]["summary"], json!([]));
    let (signature, place) = key.open(output[0]["encrypted_content"].as_str().unwrap()).unwrap();
    assert_eq!((&*signature.value, place), ("EqQB", Placement::Own));
    assert!(!body.to_string().contains("secret"));
}

#[test]
fn a_signature_behind_a_text_follows_it() {
    let (context, key) = context(Protocol::Gemini);
    let mut text = Part::text("done");
    text.signature = Some(Signature::new(Family::Google, SignatureKind::Part, "c2ln"));
    let parts = vec![text, Part::text(" and more")];
    let body = answer(&context, Candidate { parts, ..Candidate::default() }, Usage::default());
    let kinds: Vec<_> = body["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "reasoning", "message"]);
    let (_, place) = key.open(body["output"][1]["encrypted_content"].as_str().unwrap()).unwrap();
    assert_eq!(place, Placement::Previous);
}

#[test]
fn ids_come_from_the_answer_and_the_place_of_the_item() {
    let (context, _) = context(Protocol::Chat);
    let candidate = || Candidate {
        parts: vec![Part::text("Hi"), call("call_1", "f", ""), call("call_2", "f", "{}")],
        finish: FinishReason::ToolCalls,
        ..Candidate::default()
    };
    let first = answer(&context, candidate(), Usage::default());
    assert_eq!(first, answer(&context, candidate(), Usage::default()));
    assert_eq!(first["id"], "resp_000000000000000000000000");
    assert_eq!(first["output"][1]["arguments"], "{}");
    // A provider never sees them again.
    let input = json!({"model": "m", "store": false, "input": [
        {"role": "user", "content": "x"}, first["output"][0], first["output"][1], first["output"][2],
        {"type": "function_call_output", "call_id": "call_1", "output": "1"},
        {"type": "function_call_output", "call_id": "call_2", "output": "2"}]});
    let (body, _) = encode(&decode(&input.to_string()));
    assert_eq!(body["input"][1], json!({"type": "message", "role": "assistant", "content": "Hi"}));
    assert!(body["input"].as_array().unwrap().iter().all(|item| item.get("id").is_none()), "{body}");
    schema::validate_encoded(Protocol::Responses, &body).unwrap();
}

#[test]
fn the_answer_repeats_the_request() {
    let sent = json!({
        "model": "m", "input": "x", "instructions": "Be brief.", "temperature": 0.5, "top_p": 0.9, "top_logprobs": 2,
        "max_output_tokens": 100, "max_tool_calls": 3, "metadata": {"a": "b"}, "parallel_tool_calls": false, "store": false,
        "reasoning": {"effort": "low", "summary": "detailed"}, "truncation": "auto", "user": "u", "prompt_cache_key": "k",
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": true},
                  {"type": "namespace", "name": "ns", "description": "d", "tools": [
                      {"type": "function", "name": "g", "parameters": {"type": "object"}}, {"type": "custom", "name": "c", "format": {"type": "text"}}]},
                  {"type": "web_search", "search_context_size": "low"}],
        "tool_choice": {"type": "function", "name": "f"}, "service_tier": "flex"
    });
    let request = decode(&sent.to_string());
    let context = ClientContext {
        previous_response_id: Some("resp_before".into()),
        ..ClientContext::fixed(request, Protocol::Messages)
    };
    let candidate = Candidate { parts: vec![Part::text("Hi")], ..Candidate::default() };
    let body = answer(&context, candidate, Usage::default());
    for name in sent.as_object().unwrap().keys().filter(|name| *name != "input") {
        assert_eq!(body[name], sent[name], "{name}");
    }
    assert_eq!(body["previous_response_id"], "resp_before");
    assert_eq!(body["background"], false);
    assert_eq!(body["safety_identifier"], Value::Null);
    assert!(body.get("output_text").is_none());
}

#[test]
fn input_items_have_ids_that_stay() {
    let body = json!({"model": "m", "input": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": ""},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "a", "annotations": []}]}
    ]});
    let messages = responses::input_messages(&decode(&body.to_string()));
    let bytes = responses::encode_input_items(&messages);
    assert_eq!(bytes, responses::encode_input_items(&messages));
    let list: Value = serde_json::from_slice(&bytes).unwrap();
    schema::validate_component("ResponseItemList", &list).unwrap_or_else(|problems| panic!("{problems:?}\n{list}"));
    let data = list["data"].as_array().unwrap();
    assert_eq!(data.len(), 6);
    let ids: Vec<&str> = data.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!((list["first_id"].as_str(), list["last_id"].as_str()), (Some(ids[0]), Some(ids[5])));
    assert_eq!((ids[2], ids[5], &list["has_more"]), ("rs_1", "msg_1", &json!(false)));

    let page = responses::InputPage { limit: 2, descending: true, after: Some("msg_1") };
    let list: Value = serde_json::from_slice(&responses::encode_input_page(&messages, &page)).unwrap();
    let shown: Vec<&str> = list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!((shown, &list["has_more"]), (vec![ids[4], ids[3]], &json!(true)));
    let empty: Value = serde_json::from_slice(&responses::encode_input_items(&[])).unwrap();
    assert_eq!(empty["data"], json!([]));
}
