//! Calls, results, ids, and what other protocols left behind.

use polyport_protocol::profile::ToolIdRule;
use polyport_types::{
    ClientProtocol, CodeOutcome, LossAction, LossCode, Part, PartKind, Protocol, RawJson, Role, SearchResult,
    ServerToolCall, ServerToolKind, Text,
};

use super::support::*;

fn raw(text: &'static str) -> RawJson {
    RawJson::from_valid(Text::from_static(text))
}

#[test]
fn results_follow_their_calls_in_order() {
    let history = vec![
        user("Go"),
        assistant(vec![call("a", "f", "{}"), call("b", "f", "{}")]),
        results(vec![result("b", "2")]),
        results(vec![result("a", "1")]),
        user("Well?"),
    ];
    let outcome = run(&plain(Protocol::Messages), with(ClientProtocol::Chat, history));
    assert_eq!(
        outline(&outcome.request),
        ["user: go", "assistant: f(a) | f(b)", "tool: =a", "tool: =b", "user: well?"]
    );
    let indexes: Vec<u32> = outcome.request.messages.iter().map(|message| message.index).collect();
    assert_eq!(indexes, [0, 1, 3, 2, 4], "paths still name the client's messages");

    // Words of the user between call and result come after it; Responses takes them where they are.
    let items = || {
        with(
            ClientProtocol::Responses,
            vec![user("Go"), assistant(vec![call("a", "f", "{}")]), user("Wait"), results(vec![result("a", "1")])],
        )
    };
    let outcome = run(&plain(Protocol::Chat), items());
    assert_eq!(outline(&outcome.request), ["user: go", "assistant: f(a)", "tool: =a", "user: wait"]);
    let outcome = run(&plain(Protocol::Responses), items());
    assert_eq!(outline(&outcome.request), ["user: go", "assistant: f(a)", "user: wait", "tool: =a"]);
}

#[test]
fn a_missing_result_is_said_to_be_missing() {
    for target in Protocol::ALL {
        let history = vec![
            user("Go"),
            assistant(vec![call("a", "f", "{}"), call("b", "f", "{}")]),
            results(vec![result("b", "2")]),
            user("Stop"),
            assistant(vec![call("c", "f", "{}")]),
        ];
        let outcome = run(&plain(target), with(ClientProtocol::Messages, history));
        let ids: Vec<String> = outcome
            .request
            .messages
            .iter()
            .flat_map(|message| &message.parts)
            .filter_map(|part| match &part.kind {
                PartKind::ToolResult(result) => {
                    Some(format!("{}{}", result.call_id, if result.is_error { "!" } else { "" }))
                }
                _ => None,
            })
            .collect();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(sorted, ["a!", "b", "c!"], "{target}");
        if target != Protocol::Responses {
            assert_eq!(ids, ["a!", "b", "c!"], "in the order of the calls");
        }
        assert!(outcome.has(LossCode::ToolResultMissing, LossAction::Synthesised));
        assert_eq!(outcome.detail(LossCode::ToolResultMissing), "2 calls");
    }
}

#[test]
fn a_result_without_a_call_becomes_words_of_the_user() {
    let history = vec![user("Go"), results(vec![result("x", "42")]), user("So?")];
    let outcome = run(&plain(Protocol::Messages), with(ClientProtocol::Chat, history));
    assert_eq!(outline(&outcome.request), ["user: go", "user: tool result (x): 42", "user: so?"]);
    assert!(outcome.has(LossCode::ToolResultOrphan, LossAction::Degraded));

    // The same result twice answers one call.
    let history = vec![assistant(vec![call("a", "f", "{}")]), results(vec![result("a", "1"), result("a", "2")])];
    let outcome = run(&plain(Protocol::Chat), with(ClientProtocol::Messages, history));
    assert_eq!(outline(&outcome.request), ["assistant: f(a)", "tool: =a", "user: tool result (a): 2"]);
}

#[test]
fn results_of_stored_calls_are_left_to_the_provider_that_stores() {
    let mut request = with(ClientProtocol::Responses, vec![results(vec![result("stored", "1")])]);
    request.state.previous_response_id = Some("resp_1".into());
    let outcome = run(&plain(Protocol::Responses), request.clone());
    assert_eq!(outcome.request.messages, request.messages);
    assert!(outcome.losses.is_empty());

    let outcome = run(&plain(Protocol::Messages), request);
    assert!(outcome.refused(LossCode::StateUnsupported));
}

#[test]
fn ids_keep_to_the_rule_of_the_target() {
    let ids = |target: &polyport_protocol::Target, names: &[&str]| {
        let calls = names.iter().map(|name| call(name, "f", "{}")).collect();
        let answers = names.iter().map(|name| result(name, "")).collect();
        let outcome = run(target, with(ClientProtocol::Chat, vec![user("Go"), assistant(calls), results(answers)]));
        let of = |message: usize| -> Vec<String> {
            let parts = outcome.request.messages[message].parts.iter();
            parts
                .map(|part| match &part.kind {
                    PartKind::ToolCall(call) => call.id.to_string(),
                    PartKind::ToolResult(result) => result.call_id.to_string(),
                    _ => panic!(),
                })
                .collect()
        };
        assert_eq!(of(1), of(2), "call and result share their id");
        of(1)
    };
    let messages = plain(Protocol::Messages);
    assert_eq!(ids(&messages, &["call_A.1", "call_A_1"]), ["call_A_1", "call_A_1_2"]);
    assert_eq!(ids(&messages, &["same", "same"]), ["same", "same_2"]);
    assert_eq!(ids(&plain(Protocol::Chat), &["any thing"]), ["any thing"]);

    let long = "x".repeat(80);
    let [made] = &ids(&plain(Protocol::Responses), &[&long])[..] else { panic!() };
    assert!(made.len() <= 64 && made.starts_with("xxxx"), "{made}");

    let mistral = quirky(Protocol::Chat, |profile| profile.tool_id = ToolIdRule::Mistral9);
    let made = ids(&mistral, &["call_abc", "call_abd", "A1b2C3d4E"]);
    assert!(made.iter().all(|id| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{made:?}");
    assert_eq!(made[2], "A1b2C3d4E", "an id that fits stays");
    assert_ne!(made[0], made[1]);
    assert_eq!(made, ids(&mistral, &["call_abc", "call_abd", "A1b2C3d4E"]), "the same each time");
}

#[test]
fn gemini_gets_the_name_of_what_it_called() {
    let history = vec![user("Go"), assistant(vec![call("a", "weather", "{}")]), results(vec![result("a", "1")])];
    let outcome = run(&plain(Protocol::Gemini), with(ClientProtocol::Messages, history));
    let PartKind::ToolResult(result) = &outcome.request.messages[2].parts[0].kind else { panic!() };
    assert_eq!(result.name.as_deref(), Some("weather"));
}

#[test]
fn media_stand_beside_results_where_they_cannot_stand_inside() {
    let image = Part::new(PartKind::Image(polyport_types::Media::new(polyport_types::MediaSource::Base64 {
        mime: "image/png".into(),
        data: "AAAA".into(),
    })));
    let history = || {
        with(
            ClientProtocol::Messages,
            vec![
                user("Go"),
                assistant(vec![call("a", "f", "{}"), call("b", "f", "{}")]),
                results(vec![result_of("a", vec![Part::text("shot"), image.clone()]), result("b", "ok")]),
                user("What is it?"),
            ],
        )
    };
    let outcome = run(&plain(Protocol::Chat), history());
    assert_eq!(
        outline(&outcome.request)[2..],
        ["tool: =a | =b".to_owned(), "user: result image of tool call a: | [image] | what is it?".to_owned()]
    );
    let PartKind::ToolResult(result) = &outcome.request.messages[2].parts[0].kind else { panic!() };
    assert_eq!(result.parts[1].as_text().map(|text| &**text), Some("[image 1 attached in the next user message]"));
    assert!(outcome.has(LossCode::ToolResultMediaHoisted, LossAction::Hoisted));

    let outcome = run(&plain(Protocol::Gemini), history());
    assert!(!outcome.has(LossCode::ToolResultMediaHoisted, LossAction::Hoisted), "newer models take them inside");
    let old = able(Protocol::Gemini, |abilities| abilities.tool_result_media = false);
    assert!(run(&old, history()).has(LossCode::ToolResultMediaHoisted, LossAction::Hoisted));
}

#[test]
fn what_the_model_drew_is_shown_by_the_user() {
    let image = Part::new(PartKind::Image(polyport_types::Media::new(polyport_types::MediaSource::Base64 {
        mime: "image/png".into(),
        data: "AAAA".into(),
    })));
    let history = || with(ClientProtocol::Gemini, vec![user("Draw"), assistant(vec![image.clone()]), user("Bigger")]);
    let outcome = run(&plain(Protocol::Messages), history());
    assert_eq!(outline(&outcome.request), ["user: draw", "user: the assistant made this: | [image] | bigger"]);
    let outcome = run(&plain(Protocol::Responses), history());
    assert_eq!(outline(&outcome.request)[1], "assistant: [image]");
}

#[test]
fn what_another_providers_tools_did_is_left_out_and_what_was_said_stays() {
    let search = Part::new(PartKind::ServerToolCall(Box::new(ServerToolCall {
        id: "ws_1".into(),
        tool: ServerToolKind::WebSearch,
        name: "web_search".into(),
        input: raw("{}"),
        raw: None,
        protocol: Protocol::Responses,
    })));
    let history = || {
        with(
            ClientProtocol::Responses,
            vec![user("Go"), assistant(vec![search.clone()]), assistant(vec![Part::text("Found")])],
        )
    };
    let outcome = run(&plain(Protocol::Messages), history());
    assert_eq!(outline(&outcome.request), ["user: go", "assistant: found"]);
    assert!(outcome.has(LossCode::ToolServerUnsupported, LossAction::Dropped));
    assert_eq!(run(&plain(Protocol::Responses), history()).request.messages.len(), 3);
}

#[test]
fn foreign_parts_become_words_or_are_refused() {
    let one = |source, kind: PartKind, target| {
        run(&plain(target), with(source, vec![user("Go"), assistant(vec![Part::new(kind)]), user("x")]))
    };
    let code = PartKind::ExecutableCode { language: "PYTHON".into(), code: "print(`1`)".into(), id: None };
    assert_eq!(
        outline(&one(ClientProtocol::Gemini, code.clone(), Protocol::Chat).request)[1],
        "assistant: ```python\nprint(`1`)\n```\n"
    );
    assert_eq!(one(ClientProtocol::Gemini, code, Protocol::Gemini).request.messages[1].parts.len(), 1);
    let printed = PartKind::CodeResult { outcome: CodeOutcome::Ok, output: "```".into(), id: None };
    assert_eq!(
        outline(&one(ClientProtocol::Gemini, printed, Protocol::Messages).request)[1],
        "assistant: ````\n```\n````\n"
    );

    let readable = PartKind::Compaction { content: Some("Before: Ana".into()), raw: raw("{}") };
    let outcome = one(ClientProtocol::Messages, readable, Protocol::Chat);
    assert_eq!(outline(&outcome.request), ["user: go", "user: before: ana", "user: x"]);
    let sealed = || PartKind::Compaction { content: None, raw: raw("{}") };
    assert!(one(ClientProtocol::Responses, sealed(), Protocol::Messages).refused(LossCode::ServerFeatureDropped));
    assert!(one(ClientProtocol::Responses, sealed(), Protocol::Responses).losses.is_empty());

    let reference = || PartKind::ItemReference { id: "msg_1".into() };
    assert!(one(ClientProtocol::Responses, reference(), Protocol::Messages).refused(LossCode::StateUnsupported));
    assert!(one(ClientProtocol::Responses, reference(), Protocol::Responses).losses.is_empty());

    let opaque =
        || PartKind::Opaque { protocol: Protocol::Messages, kind: "advisor_tool_result".into(), raw: raw("{}") };
    assert!(
        one(ClientProtocol::Messages, opaque(), Protocol::Chat)
            .has(LossCode::ToolServerUnsupported, LossAction::Dropped)
    );
    assert_eq!(one(ClientProtocol::Messages, opaque(), Protocol::Messages).request.messages.len(), 3);

    let hit = SearchResult {
        source: "https://a".into(),
        title: "A".into(),
        parts: vec![Part::text("fact")],
        citations: Some(true),
    };
    let request =
        with(ClientProtocol::Messages, vec![says(Role::User, vec![Part::new(PartKind::SearchResult(Box::new(hit)))])]);
    let outcome = run(&plain(Protocol::Chat), request);
    assert_eq!(outline(&outcome.request), ["user: a\nhttps://a\nfact"]);
    assert!(outcome.has(LossCode::CitationDegraded, LossAction::Degraded));
}

#[test]
fn blank_texts_are_left_out_where_they_are_refused() {
    let history = || {
        let mut marked = Part::text(" \n");
        marked.cache = Some(polyport_types::CacheMark::default());
        with(
            ClientProtocol::Chat,
            vec![
                user("Go"),
                assistant(vec![Part::text("")]),
                says(Role::User, vec![Part::text("a"), marked]),
                user(" "),
            ],
        )
    };
    let outcome = run(&plain(Protocol::Messages), history());
    assert_eq!(outline(&outcome.request), ["user: go", "user: a", "user: ."]);
    assert!(outcome.request.messages[1].parts[0].cache.is_some(), "the marker moves to what is left");
    assert!(outcome.has(LossCode::TurnDroppedEmpty, LossAction::Dropped));
    assert_eq!(run(&plain(Protocol::Chat), history()).request.messages.len(), 4);
}

#[test]
fn state_nobody_holds_is_refused() {
    for target in [Protocol::Chat, Protocol::Messages, Protocol::Gemini] {
        let mut request = request(ClientProtocol::Responses);
        request.state.conversation = Some("conv_1".into());
        request.state.background = Some(true);
        let outcome = run(&plain(target), request);
        assert_eq!(outcome.losses.entries().iter().filter(|loss| loss.code == LossCode::StateUnsupported).count(), 2);
    }
}

#[test]
fn the_billing_header_stays_at_its_provider() {
    let mut request = request(ClientProtocol::Messages);
    request.instructions = ["x-anthropic-billing-header: cc_version=2;", "Be brief."]
        .map(|text| polyport_types::Instruction {
            authority: polyport_types::Authority::System,
            parts: vec![Part::text(text)],
            name: None,
            ext: polyport_types::Extras::new(),
        })
        .to_vec();
    assert_eq!(run(&plain(Protocol::Messages), request.clone()).request.instructions.len(), 2);
    let outcome = run(&plain(Protocol::Chat), request);
    assert_eq!(outcome.request.instructions.len(), 1);
    assert_eq!(outcome.request.instructions[0].parts[0].as_text().map(|text| &**text), Some("Be brief."));
}
