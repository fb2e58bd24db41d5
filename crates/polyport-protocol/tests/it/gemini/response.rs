//! Whole answers, both ways.

use polyport_protocol::{ClientContext, Target, decode_response, encode_response};

use super::*;

fn decode(body: &Value) -> Result<Response, Fault> {
    decode_response(&Target::plain(Protocol::Gemini, "m"), body.to_string().into())
}

fn encode(context: &ClientContext, response: &Response) -> Value {
    serde_json::from_slice(&encode_response(ClientProtocol::Gemini, context, response)).unwrap()
}

fn answer(parts: Vec<Part>, finish: FinishReason) -> Response {
    Response {
        id: "msg_1".into(),
        model: "claude".into(),
        candidates: vec![Candidate { parts, finish, ..Candidate::default() }],
        ..Response::default()
    }
}

#[test]
fn example_e9_read_and_written() {
    let response = decode(&e9()).unwrap();
    let candidate = response.first().unwrap();
    assert_eq!(candidate.finish, FinishReason::ToolCalls);
    assert_eq!(
        candidate.parts,
        [
            thought("Two lookups needed.", None),
            Part::text("Checking."),
            Part {
                signature: Some(google(SignatureKind::FunctionCall, "Q2lR")),
                ..call_part("call_r1x0x2", "weather", r#"{"city":"Oslo"}"#)
            },
            call_part("call_r1x0x3", "weather", r#"{"city":"Rome"}"#),
        ]
    );
    assert_eq!((response.usage.output_text, response.usage.reasoning), (Some(20), Some(10)));
    let mut expected = e9();
    expected["modelVersion"] = "fast-tier".into();
    assert_eq!(encode(&context(Protocol::Gemini, Some(true)), &response), expected);
    // Who did not ask for thoughts sees none, and loses nothing else.
    expected["candidates"][0]["content"]["parts"].as_array_mut().unwrap().remove(0);
    assert_eq!(encode(&context(Protocol::Gemini, None), &response), expected);
}

#[test]
fn reasoning_of_others_travels_in_carriers() {
    let signed = Signature::new(Family::Anthropic, SignatureKind::Thinking, "EqQB");
    let hidden = Signature::new(Family::Anthropic, SignatureKind::Redacted, "RedA");
    let response = answer(
        vec![
            thought("Hm.", Some(signed.clone())),
            thought("", Some(hidden.clone())),
            thought("Unsigned.", None),
            Part::text("Hi"),
        ],
        FinishReason::Stop,
    );
    let open = |part: &Value| {
        let (mut signature, _) = key().open_base64(part["thoughtSignature"].as_str().unwrap()).unwrap();
        assert_eq!(signature.scope.take(), Some(7));
        signature
    };
    let body = encode(&context(Protocol::Messages, Some(true)), &response);
    let parts = body["candidates"][0]["content"]["parts"].as_array().unwrap();
    assert_eq!((&parts[0]["text"], &parts[0]["thought"]), (&json!("Hm."), &json!(true)));
    assert_eq!(open(&parts[0]), signed);
    assert_eq!((&parts[1]["text"], parts[1].get("thought")), (&json!(""), None));
    assert_eq!(open(&parts[1]), hidden);
    assert_eq!(open(&parts[2]), Signature::new(Family::Unknown, SignatureKind::Thinking, ""));
    assert_eq!(parts[3], json!({"text": "Hi"}));
    assert_eq!(body["responseId"], "0".repeat(22));

    let body = encode(&context(Protocol::Messages, Some(false)), &response);
    let parts = body["candidates"][0]["content"]["parts"].as_array().unwrap();
    let texts: Vec<_> = parts.iter().map(|part| part["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["", "", "Hi"], "the words are withheld, the signatures are not");
    assert_eq!(open(&parts[0]), signed);
}

#[test]
fn ids_go_to_clients_that_know_them() {
    let response = answer(vec![call_part("toolu_1", "f", "")], FinishReason::ToolCalls);
    let body = encode(&context(Protocol::Messages, None), &response);
    assert_eq!(body["candidates"][0]["content"]["parts"], json!([{"functionCall": {"name": "f", "args": {}}}]));
    assert_eq!(body["candidates"][0]["finishReason"], "STOP");
    let mut knows = context(Protocol::Messages, None);
    let mut request = (*knows.request).clone();
    request.messages = vec![Message::new(Role::Assistant, 0, vec![call_part("mine", "f", "{}")])];
    knows.request = request.into();
    let body = encode(&knows, &response);
    assert_eq!(body["candidates"][0]["content"]["parts"][0]["functionCall"]["id"], "toolu_1");
    // The provider's own ids are the client's.
    let native = decode(&json!({"candidates": [{"content": {"parts": [{"functionCall": {"id": "x1", "name": "f"}},
        {"functionCall": {"id": "x1", "name": "f"}}, {"functionCall": {"id": "x1", "name": "g"}}]}, "finishReason": "STOP"}]}))
    .unwrap();
    let body = encode(&context(Protocol::Gemini, None), &native);
    let ids: Vec<_> = body["candidates"][0]["content"]["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["functionCall"]["id"].as_str().unwrap(), part["functionCall"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(ids, [("x1", "f"), ("x1_0_1", "g")], "a repetition is one call, another call gets another id");
}

/// Example E10 of the reference, and refusals of other providers.
#[test]
fn blocked_prompts_and_refusals() {
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 12, "totalTokenCount": 12}, "modelVersion": "fast-tier", "responseId": "b1"});
    let response = decode(&blocked).unwrap();
    assert_eq!(response.prompt_block.as_ref().unwrap().reason, "PROHIBITED_CONTENT");
    let candidate = response.first().unwrap();
    assert_eq!((&candidate.finish, candidate.parts.len()), (&FinishReason::ContentFilter, 0));
    assert_eq!(encode(&context(Protocol::Gemini, None), &response), blocked);

    let explained = |reason, parts| {
        let body = encode(&context(Protocol::Messages, None), &answer(parts, reason));
        let candidate = body["candidates"][0].clone();
        (candidate["finishReason"].clone(), candidate["finishMessage"].clone(), candidate["content"]["parts"].clone())
    };
    let refusal = FinishReason::Refusal { category: Some("cyber".into()), explanation: Some("Not this.".into()) };
    assert_eq!(
        explained(refusal, vec![Part::text("First, you")]),
        (json!("SAFETY"), json!("Not this."), json!([{"text": "First, you"}]))
    );
    assert_eq!(
        explained(FinishReason::Stop, vec![Part::new(PartKind::Refusal("I cannot.".into()))]),
        (json!("SAFETY"), json!("I cannot."), json!([{"text": "I cannot."}]))
    );
    assert_eq!(explained(FinishReason::ContentFilter, vec![]).2, Value::Null);
    assert_eq!(explained(FinishReason::Stop, vec![]), (json!("STOP"), Value::Null, json!([{"text": ""}])));
}

#[test]
fn words_for_the_end() {
    let read = |word: &str| {
        let body = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": word}]});
        decode(&body).unwrap().candidates.remove(0)
    };
    for (word, reason) in [
        ("STOP", FinishReason::Stop),
        ("MAX_TOKENS", FinishReason::MaxTokens),
        ("SAFETY", FinishReason::ContentFilter),
        ("MODEL_ARMOR", FinishReason::ContentFilter),
        ("IMAGE_RECITATION", FinishReason::Recitation),
        ("MALFORMED_FUNCTION_CALL", FinishReason::MalformedToolCall),
        ("UNEXPECTED_TOOL_CALL", FinishReason::UnexpectedToolCall),
        ("TOO_MANY_TOOL_CALLS", FinishReason::TooManyToolCalls),
        ("MISSING_THOUGHT_SIGNATURE", FinishReason::MissingSignature),
        ("CONTINUATION", FinishReason::Continuation),
        ("NO_IMAGE", FinishReason::Other),
        ("A_WORD_OF_TOMORROW", FinishReason::Other),
    ] {
        let candidate = read(word);
        assert_eq!((&candidate.finish, candidate.raw_finish.as_deref()), (&reason, Some(word)));
        let response = Response { candidates: vec![candidate], ..Response::default() };
        assert_eq!(encode(&context(Protocol::Gemini, None), &response)["candidates"][0]["finishReason"], word);
    }
    let written = |reason| {
        encode(&context(Protocol::Chat, None), &answer(vec![Part::text("a")], reason))["candidates"][0]["finishReason"]
            .clone()
    };
    assert_eq!(written(FinishReason::StopSequence(None)), "STOP");
    assert_eq!(written(FinishReason::PauseTurn), "MAX_TOKENS");
    assert_eq!(written(FinishReason::ContextWindow), "MAX_TOKENS");
    assert_eq!(written(FinishReason::Other), "OTHER");
}

/// Example E8 of the reference: one count in Google's terms.
#[test]
fn example_e8_usage() {
    let mut response = answer(vec![Part::text("a")], FinishReason::Stop);
    response.usage = Usage {
        input_uncached: Some(100),
        cache_read: Some(900),
        cache_write_5m: Some(200),
        output_text: Some(50),
        reasoning: Some(30),
        ..Usage::default()
    };
    assert_eq!(
        encode(&context(Protocol::Messages, None), &response)["usageMetadata"],
        json!({"promptTokenCount": 1200, "cachedContentTokenCount": 900, "candidatesTokenCount": 50,
               "thoughtsTokenCount": 30, "totalTokenCount": 1280})
    );
    response.usage = Usage::default();
    assert_eq!(encode(&context(Protocol::Messages, None), &response).get("usageMetadata"), None, "never invented");
}

/// Example E11 of the reference: citations of a Messages answer, whose spans are whole text parts.
#[test]
fn example_e11_citations_become_grounding() {
    let mut cited = Part::text("Galdhøpiggen (2469 m)");
    if let PartKind::Text(text) = &mut cited.kind {
        text.citations.push(Citation::url("https://example.org/a", Some("Galdhøpiggen".into()), None));
    }
    let search = Part::new(PartKind::ServerToolCall(Box::new(ServerToolCall {
        id: "srvtoolu_1".into(),
        tool: ServerToolKind::WebSearch,
        name: "web_search".into(),
        input: RawJson::of(&json!({"query": "höchster Berg Norwegens"})),
        raw: None,
        protocol: Protocol::Messages,
    })));
    let response = answer(vec![search, Part::text("Das ist "), cited, Part::text(".")], FinishReason::Stop);
    let body = encode(&context(Protocol::Messages, None), &response);
    assert_eq!(
        body["candidates"][0]["groundingMetadata"],
        json!({"webSearchQueries": ["höchster Berg Norwegens"],
            "groundingChunks": [{"web": {"uri": "https://example.org/a", "title": "Galdhøpiggen"}}],
            "groundingSupports": [{"segment": {"startIndex": 8, "endIndex": 30, "text": "Galdhøpiggen (2469 m)"}, "groundingChunkIndices": [0]}]})
    );
    assert_eq!(body["candidates"][0]["content"]["parts"].as_array().unwrap().len(), 3);
}

#[test]
fn log_probabilities() {
    let body = json!({"candidates": [{"content": {"parts": [{"text": "Hello"}], "role": "model"}, "finishReason": "STOP", "index": 0,
        "avgLogprobs": -6.5, "logprobsResult": {
            "chosenCandidates": [{"token": "Hel", "tokenId": 1, "logProbability": -0.5}, {"token": "lo", "tokenId": 2, "logProbability": -1.5}],
            "topCandidates": [{"candidates": [{"token": "Hel", "tokenId": 1, "logProbability": -0.5}]}, {"candidates": [{"token": "p", "logProbability": -1}]}]}}],
        "modelVersion": "fast-tier", "responseId": "r"});
    let response = decode(&body).unwrap();
    let tokens = &response.candidates[0].logprobs;
    assert_eq!((tokens.len(), tokens[1].top[0].token.as_ref() as &str, tokens[0].token_id), (2, "p", Some(1)));
    assert_eq!(encode(&context(Protocol::Gemini, None), &response), body);
    let body = encode(&context(Protocol::Chat, None), &response);
    assert_eq!(body["candidates"][0]["avgLogprobs"], -1.0, "the mean of the chosen tokens");
}

#[test]
fn several_candidates_by_their_index() {
    let body = json!({"candidates": [
        {"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP", "index": 1},
        {"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS", "index": 0}]});
    let response = decode(&body).unwrap();
    assert_eq!(response.first().unwrap().parts[0].as_text().unwrap(), "a");
    assert_eq!(response.status, ResponseStatus::Incomplete);
    let body = encode(&context(Protocol::Gemini, None), &response);
    let order: Vec<_> = [0, 1]
        .map(|at| (body["candidates"][at]["index"].clone(), body["candidates"][at]["finishReason"].clone()))
        .into();
    assert_eq!(order, [(json!(0), json!("MAX_TOKENS")), (json!(1), json!("STOP"))]);
}

#[test]
fn what_is_no_answer_is_a_fault() {
    let fault = |body: Value| decode(&body).unwrap_err();
    assert_eq!(fault(json!({})).class, FaultClass::UpstreamProtocol);
    assert_eq!(
        fault(json!({"candidates": [], "usageMetadata": {"promptTokenCount": 1}})).class,
        FaultClass::UpstreamProtocol
    );
    assert_eq!(fault(json!({"candidates": [{"index": 0}]})).class, FaultClass::UpstreamProtocol);
    let error = json!({"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]}});
    for body in [error.clone(), json!([error]), json!({"response": error})] {
        let fault = fault(body);
        assert_eq!((fault.class, fault.retry_after.map(|after| after.as_secs())), (FaultClass::RateLimited, Some(34)));
    }
    assert!(decode_response(&Target::plain(Protocol::Gemini, "m"), "<html>".into()).is_err());
    // The whole budget went into thoughts: an answer, if an empty one.
    let empty = decode(&json!({"candidates": [{"finishReason": "MAX_TOKENS"}]})).unwrap();
    assert_eq!(empty.candidates[0].finish, FinishReason::MaxTokens);
}

#[test]
fn wrapped_and_listed_answers_are_the_same() {
    let plain = decode(&e9()).unwrap();
    assert_eq!(decode(&json!({"response": e9(), "traceId": "t"})).unwrap(), plain);
    let mut first = e9();
    let mut second = e9();
    let parts = first["candidates"][0]["content"]["parts"].as_array_mut().unwrap();
    second["candidates"][0]["content"]["parts"] = parts.split_off(2).into();
    first["candidates"][0].as_object_mut().unwrap().remove("finishReason");
    assert_eq!(decode(&json!([first, second])).unwrap(), plain);
}

#[test]
fn output_of_other_providers() {
    let image =
        Part::new(PartKind::Image(Media::new(MediaSource::Base64 { mime: "image/png".into(), data: "AAAA".into() })));
    let code = Part::new(PartKind::ExecutableCode { language: "python".into(), code: "1".into(), id: None });
    let printed = Part::new(PartKind::CodeResult { outcome: CodeOutcome::Ok, output: "1".into(), id: None });
    let foreign = Part::new(PartKind::Opaque {
        protocol: Protocol::Responses,
        kind: "mcp_list_tools".into(),
        raw: RawJson::of(&json!({"type": "mcp_list_tools"})),
    });
    let mut cut = call_part("c", "f", "not json");
    if let PartKind::ToolCall(call) = &mut cut.kind {
        call.status = PartStatus::Incomplete;
    }
    let mut mended = call_part("d", "g", r#"{"a":"b"#);
    if let PartKind::ToolCall(call) = &mut mended.kind {
        call.status = PartStatus::Incomplete;
    }
    let response = answer(vec![image, code, printed, foreign, cut, mended], FinishReason::MaxTokens);
    assert_eq!(
        encode(&context(Protocol::Responses, None), &response)["candidates"][0]["content"]["parts"],
        json!([
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            {"functionCall": {"name": "g", "args": {"a": "b"}}}])
    );
}

/// Every hand-made answer survives as well, drafts and unknown parts included.
#[test]
fn hand_made_answers_survive() {
    for (name, body) in fixtures("response", ".json") {
        let response = decode_response(&Target::plain(Protocol::Gemini, "m"), body.clone().into()).unwrap();
        let mut context = context(Protocol::Gemini, Some(true));
        context.model = response.model.clone();
        let written = encode_response(ClientProtocol::Gemini, &context, &response);
        let original: Value = serde_json::from_str(&body).unwrap();
        let again: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(lost(&original, &again, ""), None, "{name}");
        assert_eq!(lost(&again, &original, ""), None, "{name}");
        assert_same(&name, &decode_response(&Target::plain(Protocol::Gemini, "m"), written.into()).unwrap(), &response);
    }
}

#[test]
fn drafts_are_for_those_who_want_to_see_thoughts() {
    let response = decode(&fixture("response", "everything.json")).unwrap();
    let parts = |context: &ClientContext| {
        encode(context, &response)["candidates"][0]["content"]["parts"].as_array().unwrap().len()
    };
    assert_eq!(parts(&context(Protocol::Gemini, Some(true))), 14);
    // The draft image goes; the words of the thought go, its signature stays.
    assert_eq!(parts(&context(Protocol::Gemini, Some(false))), 13);
    let images = response.candidates[0].parts.iter().filter(|part| matches!(part.kind, PartKind::Image(_))).count();
    assert_eq!(images, 1);
    let PartKind::Text(text) = &response.candidates[0].parts[6].kind else { panic!() };
    let PartKind::Text(next) = &response.candidates[0].parts[7].kind else { panic!() };
    assert_eq!(text.citations[0].kind, CitationKind::Recitation);
    assert_eq!(next.citations[0].span, Some(Span { start: 0, end: 5, unit: IndexUnit::Byte }));
    let last = response.candidates[0].parts.iter().find_map(|part| match &part.kind {
        PartKind::ToolCall(call) => Some(call.arguments.clone()),
        _ => None,
    });
    assert!(last.unwrap().contains("12345678901234567890"), "numbers keep their digits");
}

/// Every recorded answer is read; written for a client of the same protocol and read again it is the same.
#[test]
fn recorded_answers_survive() {
    let Some(records) = shared::records_or_skip("recorded_answers_survive", "gemini.jsonl") else { return };
    let mut seen = 0;
    for record in records.iter().filter(|record| record.is_good_generation()) {
        let Some(body) = &record.response.body else { continue };
        // Some recordings lost the id, and an answer without one gets Polyport's.
        let mut value: Value = serde_json::from_str(body).unwrap();
        value.as_object_mut().unwrap().entry("responseId").or_insert_with(|| "r".into());
        let body = &value.to_string();
        let target = Target::plain(Protocol::Gemini, record.model().unwrap_or_default());
        let response = decode_response(&target, body.clone().into()).unwrap_or_else(|f| panic!("{}: {f}", record.id));
        assert!(!response.usage.is_absent(), "{}", record.id);
        let mut context = context(Protocol::Gemini, Some(true));
        context.model = response.model.clone();
        let written = encode_response(ClientProtocol::Gemini, &context, &response);
        let again = decode_response(&target, written.clone().into()).unwrap();
        assert_same(&record.id, &again, &response);
        if let Some(lost) = lost(&serde_json::from_str(body).unwrap(), &serde_json::from_slice(&written).unwrap(), "") {
            panic!("{}: {lost} is lost", record.id);
        }
        seen += 1;
    }
    assert!(seen > 250, "{seen}");
}

/// The first member of `whole` that `part` lacks; blank texts may go.
fn lost(whole: &Value, part: &Value, path: &str) -> Option<String> {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => whole.iter().find_map(|(name, value)| {
            let path = format!("{path}/{name}");
            match part.get(name) {
                Some(other) => lost(value, other, &path),
                None => Some(path),
            }
        }),
        (Value::Array(whole), Value::Array(part)) => {
            let kept: Vec<_> = whole.iter().filter(|item| **item != json!({"text": ""})).collect();
            let both: Vec<_> = part.iter().filter(|item| **item != json!({"text": ""})).collect();
            if kept.len() != both.len() {
                return Some(path.to_owned());
            }
            kept.iter().zip(both).enumerate().find_map(|(at, (a, b))| lost(a, b, &format!("{path}/{at}")))
        }
        (a, b) if a == b || a.as_f64().is_some_and(|a| Some(a) == b.as_f64()) => None,
        _ => Some(path.to_owned()),
    }
}
