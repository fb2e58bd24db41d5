//! Whose reasoning goes where.

use std::sync::Arc;

use polyport_protocol::carrier::{CarrierKey, Placement};
use polyport_protocol::profile::ReasoningBack;
use polyport_protocol::resolve::strip_signatures;
use polyport_types::{
    ClientProtocol, Effort, Family, LossAction, LossCode, Losses, PartKind, Protocol, Reasoning, ReasoningControl,
    ReasoningMode, ReasoningText, Request, Signature, SignatureKind,
};

use super::support::*;

fn key() -> CarrierKey {
    CarrierKey::new([3; 32])
}

fn anthropic(value: &str) -> Signature {
    Signature::new(Family::Anthropic, SignatureKind::Thinking, value)
}

fn google(value: &str) -> Signature {
    Signature::new(Family::Google, SignatureKind::FunctionCall, value)
}

/// A slot of the client's protocol that holds a token.
fn carried(signature: &Signature, placement: Placement, scope: u32) -> Signature {
    Signature { value: key().seal(signature, placement, scope).into(), ..anthropic("") }
}

fn scoped(protocol: Protocol, scope: u32) -> polyport_protocol::Target {
    let mut target = plain(protocol);
    target.scope = scope;
    target
}

fn loop_with(source: ClientProtocol, reasoning: polyport_types::Part) -> Request {
    with(
        source,
        vec![user("Go"), assistant(vec![reasoning, call("c1", "run", "{}")]), results(vec![result("c1", "ok")])],
    )
}

fn signature_of(outcome: &Outcome, message: usize, part: usize) -> Option<&Signature> {
    outcome.request.messages[message].parts[part].signature.as_ref()
}

#[test]
fn native_reasoning_goes_back_unchanged() {
    let request = loop_with(ClientProtocol::Messages, thinking("Hm.", Some(anthropic("EqQB"))));
    let outcome = run(&plain(Protocol::Messages), request.clone());
    assert_eq!(outcome.request.messages, request.messages);
    assert!(!outcome.codes().iter().any(|code| code.starts_with("signature") || code.starts_with("reasoning")));
}

#[test]
fn foreign_reasoning_is_left_out() {
    for (protocol, outline_of_step) in [
        (Protocol::Responses, "assistant: run(c1)"),
        (Protocol::Gemini, "assistant: run(c1)"),
        // Chat may want the words, but not what proves them.
        (Protocol::Chat, "assistant: <hm.> | run(c1)"),
    ] {
        let request = loop_with(ClientProtocol::Messages, thinking("Hm.", Some(anthropic("EqQB"))));
        let outcome = run(&plain(protocol), request);
        assert_eq!(outline(&outcome.request)[1], outline_of_step);
        assert!(outcome.has(LossCode::SignatureForeignDropped, LossAction::Dropped), "{protocol}");
        assert!(outcome.request.messages.iter().flat_map(|m| &m.parts).all(|part| part.signature.is_none()));
    }
}

#[test]
fn a_carrier_brings_reasoning_back_to_its_own_scope_only() {
    // A Responses client got the thinking as a summary of one paragraph.
    let item = |scope| {
        let mut part = thinking("", Some(carried(&anthropic("EqQB"), Placement::Own, scope)));
        part.kind = PartKind::Reasoning(Box::new(Reasoning {
            text: ReasoningText::Summary(vec!["I should call the shell.".into()]),
            redacted: false,
        }));
        part
    };
    let mut request = loop_with(ClientProtocol::Responses, item(7));
    request.reasoning = Some(ReasoningControl { effort: Some(Effort::High), ..ReasoningControl::default() });
    let key = key();
    let outcome = run_with(&scoped(Protocol::Messages, 7), request.clone(), Some(&key), &|_| Vec::new());
    let part = &outcome.request.messages[1].parts[0];
    assert_eq!(part.signature.as_ref().map(|s| (&*s.value, s.family)), Some(("EqQB", Family::Anthropic)));
    let PartKind::Reasoning(reasoning) = &part.kind else { panic!() };
    assert_eq!(reasoning.text, ReasoningText::Full("I should call the shell.".into()), "byte for byte");
    assert!(outcome.has(LossCode::SignatureCarried, LossAction::Emulated));
    assert_eq!(outcome.request.reasoning.unwrap().mode, ReasoningMode::Adaptive);

    // Another account: the thinking stays away, and the running turn must not think.
    let outcome = run_with(&scoped(Protocol::Messages, 8), request.clone(), Some(&key), &|_| Vec::new());
    assert_eq!(outline(&outcome.request)[1], "assistant: run(c1)");
    assert!(outcome.has(LossCode::ReasoningDisabledForHistory, LossAction::Degraded));
    assert_eq!(outcome.request.reasoning.unwrap().mode, ReasoningMode::Off);

    // Another key, or none: a token never reaches a provider.
    for wrong in [Some(CarrierKey::new([9; 32])), None] {
        let outcome = run_with(&scoped(Protocol::Messages, 7), request.clone(), wrong.as_ref(), &|_| Vec::new());
        assert_eq!(outline(&outcome.request)[1], "assistant: run(c1)");
        assert!(outcome.has(LossCode::SignatureForeignDropped, LossAction::Dropped));
    }
}

#[test]
fn a_carrier_finds_the_part_it_belongs_to() {
    let hidden = |signature| {
        let mut part = thinking("", Some(signature));
        part.kind = PartKind::Reasoning(Box::new(Reasoning { redacted: true, ..Reasoning::default() }));
        part
    };
    let key = key();
    let target = scoped(Protocol::Gemini, 1);
    let part_signature = Signature::new(Family::Google, SignatureKind::Part, "UGFydA==");

    // Before the call, in the same message (Messages) or in one of its own (Responses).
    let next = hidden(carried(&google("Q2FsbA=="), Placement::Next, 1));
    let one = with(
        ClientProtocol::Messages,
        vec![user("Go"), assistant(vec![next.clone(), call("c", "f", "{}")]), results(vec![result("c", "")])],
    );
    let two = with(
        ClientProtocol::Responses,
        vec![user("Go"), assistant(vec![next]), assistant(vec![call("c", "f", "{}")]), results(vec![result("c", "")])],
    );
    for request in [one, two] {
        let outcome = run_with(&target, request, Some(&key), &|_| Vec::new());
        assert_eq!(
            outline(&outcome.request),
            ["user: hi", "assistant: f(c)", "tool: =c"].map(|line| line.replace("hi", "go"))
        );
        assert_eq!(signature_of(&outcome, 1, 0).map(|s| &*s.value), Some("Q2FsbA=="));
        assert!(!outcome.has(LossCode::SignatureForeignDropped, LossAction::Dropped));
    }

    // Behind the text it belongs to.
    let previous = hidden(carried(&part_signature, Placement::Previous, 1));
    let request = with(
        ClientProtocol::Messages,
        vec![user("Go"), assistant(vec![polyport_types::Part::text("Done"), previous]), user("More")],
    );
    let outcome = run_with(&target, request, Some(&key), &|_| Vec::new());
    assert_eq!(outline(&outcome.request)[1], "assistant: done");
    assert_eq!(signature_of(&outcome, 1, 0).map(|s| &*s.value), Some("UGFydA=="));
}

#[test]
fn reasoning_items_come_back_with_their_id_and_shape() {
    let mut item = Signature::new(Family::OpenAi, SignatureKind::ReasoningItem, "gAAAA");
    item.item_id = Some("rs_1".into());
    let key = key();
    let part = thinking("Summary.", Some(carried(&item, Placement::Own, 0)));
    let outcome =
        run_with(&plain(Protocol::Responses), loop_with(ClientProtocol::Messages, part), Some(&key), &|_| Vec::new());
    let part = &outcome.request.messages[1].parts[0];
    assert_eq!(part.item_id.as_deref(), Some("rs_1"));
    let PartKind::Reasoning(reasoning) = &part.kind else { panic!() };
    assert_eq!(reasoning.text, ReasoningText::Summary(vec!["Summary.".into()]));
}

#[test]
fn responses_refuses_reasoning_that_leads_to_nothing() {
    let item = Signature::new(Family::OpenAi, SignatureKind::ReasoningItem, "gAAAA");
    let request =
        with(ClientProtocol::Responses, vec![user("Go"), assistant(vec![thinking("", Some(item))]), user("Well?")]);
    let outcome = run(&plain(Protocol::Responses), request);
    assert_eq!(outline(&outcome.request), ["user: go", "user: well?"]);
}

#[test]
fn what_the_client_could_not_carry_is_looked_up() {
    let request = with(
        ClientProtocol::Chat,
        vec![
            user("Go"),
            assistant(vec![call("c1", "f", "{}"), call("c2", "f", "{}")]),
            results(vec![result("c1", ""), result("c2", "")]),
        ],
    );
    let table = |id: &str| if id == "c1" { vec![google("Q2FsbA==")] } else { Vec::new() };
    let outcome = run_with(&plain(Protocol::Gemini), request.clone(), None, &table);
    assert_eq!(signature_of(&outcome, 1, 0).map(|s| &*s.value), Some("Q2FsbA=="));
    assert_eq!(signature_of(&outcome, 1, 1), None);

    // Hidden reasoning needs no words; a signature whose words are gone is worth nothing.
    let redacted = Signature::new(Family::Anthropic, SignatureKind::Redacted, "data");
    let both = vec![redacted, anthropic("EqQB")];
    let outcome =
        run_with(&plain(Protocol::Messages), request, None, &|id| if id == "c1" { both.clone() } else { Vec::new() });
    let parts = &outcome.request.messages[1].parts;
    assert_eq!(parts.len(), 3);
    assert!(matches!(&parts[0].kind, PartKind::Reasoning(reasoning) if reasoning.redacted));
    assert_eq!(parts[0].signature.as_ref().map(|s| &*s.value), Some("data"));
}

#[test]
fn an_unsigned_block_never_reaches_anthropic() {
    let outcome = run(&plain(Protocol::Messages), loop_with(ClientProtocol::Messages, thinking("Cut off", None)));
    assert_eq!(outline(&outcome.request)[1], "assistant: run(c1)");
    assert!(outcome.has(LossCode::ReasoningTextDropped, LossAction::Dropped));

    // Servers of other families take their own words back.
    let target = able(Protocol::Messages, |abilities| abilities.family = Family::Moonshot);
    let outcome = run(&target, loop_with(ClientProtocol::Messages, thinking("Plan", None)));
    assert_eq!(outline(&outcome.request)[1], "assistant: <plan> | run(c1)");
}

#[test]
fn thinking_is_switched_off_only_where_the_history_demands_it() {
    let ask = |mut request: Request| {
        request.reasoning = Some(ReasoningControl { effort: Some(Effort::High), ..ReasoningControl::default() });
        run(&plain(Protocol::Messages), request)
    };
    let calls = vec![user("Go"), assistant(vec![call("c", "f", "{}")]), results(vec![result("c", "")])];
    let outcome = ask(with(ClientProtocol::Chat, calls.clone()));
    assert_eq!(outcome.request.reasoning.as_ref().map(|control| control.mode), Some(ReasoningMode::Off));
    assert!(outcome.has(LossCode::ReasoningDisabledForHistory, LossAction::Degraded));

    // A new turn may think.
    let outcome = ask(with(ClientProtocol::Chat, [calls.clone(), vec![user("And now?")]].concat()));
    assert_eq!(outcome.request.reasoning.as_ref().map(|control| control.mode), Some(ReasoningMode::Adaptive));

    // Thinking of another family that nobody signed is thinking that was taken out all the same.
    let unsigned = Signature::new(Family::Unknown, SignatureKind::Thinking, "");
    let adaptive = ReasoningControl { mode: ReasoningMode::Adaptive, ..ReasoningControl::default() };
    let history = loop_with(ClientProtocol::Messages, thinking("Hm", Some(unsigned)));
    let outcome = run(&plain(Protocol::Messages), Request { reasoning: Some(adaptive), ..history });
    assert!(outcome.has(LossCode::ReasoningDisabledForHistory, LossAction::Degraded));

    // So may a turn in which some message kept its thinking.
    let mut some = calls;
    some.insert(1, assistant(vec![thinking("Hm", Some(anthropic("E"))), call("b", "f", "{}")]));
    some.insert(2, results(vec![result("b", "")]));
    let outcome = ask(with(ClientProtocol::Responses, some));
    assert_eq!(outcome.request.reasoning.as_ref().map(|control| control.mode), Some(ReasoningMode::Adaptive));
}

#[test]
fn chat_servers_that_sign_get_their_details_back() {
    let mut target = quirky(Protocol::Chat, |profile| profile.reasoning_back = ReasoningBack::Details);
    Arc::make_mut(&mut target.capabilities).family = Family::Anthropic;
    let outcome = run(&target, loop_with(ClientProtocol::Messages, thinking("Hm.", Some(anthropic("EqQB")))));
    assert_eq!(signature_of(&outcome, 1, 0).map(|s| &*s.value), Some("EqQB"));
}

#[test]
fn stripping_leaves_a_request_that_resolves_without_signatures() {
    let mut request = loop_with(ClientProtocol::Messages, thinking("Hm.", Some(anthropic("EqQB"))));
    request.messages[1]
        .parts
        .insert(0, thinking("", Some(Signature::new(Family::Anthropic, SignatureKind::Redacted, "x"))));
    request.reasoning =
        Some(ReasoningControl { mode: ReasoningMode::On, budget_tokens: Some(2000), ..ReasoningControl::default() });
    request.limits.max_output_tokens = Some(4000);
    let mut losses = Losses::new();
    strip_signatures(&mut plain(Protocol::Messages), &mut request, b"{}", &mut losses);
    assert!(losses.header().is_some_and(|header| header.starts_with("signature.foreign_dropped")));
    assert_eq!(outline(&request)[1], "assistant: <hm.> | run(c1)");
    let outcome = run(&plain(Protocol::Messages), request);
    assert_eq!(outline(&outcome.request)[1], "assistant: run(c1)");
}
