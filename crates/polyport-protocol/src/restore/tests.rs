use polyport_types::{Candidate, Finish, Reasoning, StreamStart, Validator};
use proptest::prelude::*;

use super::*;

fn start() -> Event {
    Event::Start(Box::<StreamStart>::default())
}

fn call(part: u32, id: &str, name: &str) -> Event {
    Event::PartStart {
        part: PartId(part),
        choice: 0,
        start: PartStart::ToolCall(Box::new(ToolCallStart {
            id: id.into(),
            name: name.into(),
            namespace: None,
            kind: ToolCallKind::Function,
            item_id: None,
            signature: None,
            caller: None,
            ext: polyport_types::Extras::new(),
        })),
    }
}

fn text(part: u32) -> Event {
    Event::PartStart { part: PartId(part), choice: 0, start: PartStart::Text { item_id: None, phase: None } }
}

fn delta(part: u32, piece: &str) -> Event {
    Event::Delta { part: PartId(part), text: piece.into() }
}

fn end(part: u32) -> Event {
    Event::PartEnd { part: PartId(part), status: PartStatus::Complete }
}

fn finish(reason: FinishReason) -> Event {
    Event::Finish(Box::new(Finish { reason, ..Finish::default() }))
}

/// Runs events through a restorer; the result must keep the rules of streams.
fn run(restore: Restore, events: Vec<Event>) -> Vec<Event> {
    Validator::check_all(&events).unwrap();
    let mut restorer = Restorer::new(restore);
    let mut out = Vec::new();
    for event in events {
        restorer.event(event, &mut out);
    }
    Validator::check_all(&out).unwrap();
    out
}

fn all_text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Delta { text, .. } = event { Some(&**text) } else { None }).collect()
}

fn reason(events: &[Event]) -> FinishReason {
    events
        .iter()
        .find_map(|event| if let Event::Finish(finish) = event { Some(finish.reason.clone()) } else { None })
        .unwrap()
}

fn custom() -> Restore {
    let origin = ToolOrigin { name: "apply_patch".into(), namespace: Some("code".into()), kind: ToolCallKind::Custom };
    Restore { tools: HashMap::from([("code__apply_patch".into(), origin)]), ..Restore::default() }
}

#[test]
fn free_form_input_is_unwrapped_while_it_streams() {
    let pieces = ["{\"in", "put\" : \"a\\", "nb \\u00e9 \\ud83d", "\\ude42", "\"", "}"];
    let mut events = vec![start(), call(0, "c", "code__apply_patch")];
    events.extend(pieces.iter().map(|piece| delta(0, piece)));
    events.extend([end(0), finish(FinishReason::ToolCalls), Event::End]);
    let out = run(custom(), events);
    let Event::PartStart { start: PartStart::ToolCall(call), .. } = &out[1] else { panic!("{out:?}") };
    assert_eq!(
        (&*call.name, call.namespace.as_deref(), &call.kind),
        ("apply_patch", Some("code"), &ToolCallKind::Custom)
    );
    assert_eq!(all_text(&out), "a\nb é 🙂");
    assert!(out.iter().filter(|event| matches!(event, Event::Delta { .. })).count() > 1, "it stays a stream");
    assert_eq!(reason(&out), FinishReason::ToolCalls);
}

#[test]
fn input_in_another_member_is_found() {
    for (arguments, expected) in [
        (r#"{"patch":"*** Begin"}"#, "*** Begin"),
        (r#"{"why":"x","input":"p"}"#, "p"),
        ("plain words", "plain words"),
        ("\"quoted\"", "quoted"),
        ("{}", ""),
        (r#"{"input":{"a":1}}"#, r#"{"a":1}"#),
        (r#"{"a":"x","b":"y"}"#, r#"{"a":"x","b":"y"}"#),
    ] {
        assert_eq!(Unwrapper::input(CUSTOM_INPUT).whole(arguments), expected, "{arguments}");
    }
}

#[test]
fn the_answer_tool_becomes_text() {
    let restore = Restore { answer_tool: Some("json_response".into()), ..Restore::default() };
    let events = vec![
        start(),
        call(0, "c", "json_response"),
        delta(0, "{\"a\":"),
        delta(0, "1}"),
        end(0),
        finish(FinishReason::ToolCalls),
        Event::End,
    ];
    let out = run(restore, events);
    assert!(matches!(&out[1], Event::PartStart { start: PartStart::Text { .. }, .. }));
    assert_eq!(all_text(&out), "{\"a\":1}");
    assert_eq!(reason(&out), FinishReason::Stop);
}

#[test]
fn an_answer_and_a_real_call_keep_the_reason() {
    let restore = Restore { answer_tool: Some("json_response".into()), ..Restore::default() };
    let events = vec![
        start(),
        call(0, "c", "json_response"),
        call(1, "d", "other"),
        delta(0, "{}"),
        end(0),
        end(1),
        finish(FinishReason::ToolCalls),
        Event::End,
    ];
    assert_eq!(reason(&run(restore, events)), FinishReason::ToolCalls);
}

#[test]
fn an_answer_never_overlaps_other_text() {
    let restore = Restore { answer_tool: Some("json_response".into()), ..Restore::default() };
    let events = vec![
        start(),
        text(0),
        delta(0, "Well. "),
        call(1, "c", "json_response"),
        delta(1, "{\"a\""),
        end(0),
        delta(1, ":1"),
        text(2),
        delta(2, " Done."),
        delta(1, "}"),
        end(1),
        end(2),
        finish(FinishReason::ToolCalls),
        Event::End,
    ];
    let out = run(restore.clone(), events);
    assert_eq!(all_text(&out), "Well.  Done.{\"a\":1}");

    let events = vec![
        start(),
        call(1, "c", "json_response"),
        delta(1, "{\"a\""),
        text(2),
        delta(2, "Hm"),
        delta(1, ":1}"),
        end(2),
        end(1),
        finish(FinishReason::ToolCalls),
        Event::End,
    ];
    assert_eq!(all_text(&run(restore, events)), "{\"a\"Hm:1}");
}

#[test]
fn a_wrapped_answer_is_unwrapped() {
    let wrapped = |string| Restore { unwrap_member: Some("value".into()), unwrap_string: string, ..Restore::default() };
    let events = |pieces: &[&str]| {
        let mut events = vec![start(), text(0)];
        events.extend(pieces.iter().map(|piece| delta(0, piece)));
        events.extend([end(0), finish(FinishReason::Stop), Event::End]);
        events
    };
    let list = run(wrapped(false), events(&["{ \"value\":", " [1, {\"x\":\"}\"}", "] } "]));
    assert_eq!(all_text(&list), "[1, {\"x\":\"}\"}]");
    let word = run(wrapped(true), events(&["{\"val", "ue\":\"Yes", "\"}"]));
    assert_eq!(all_text(&word), "Yes");
    let number = run(wrapped(false), events(&["{\"value\":4", "2}"]));
    assert_eq!(all_text(&number), "42");
    let words = run(wrapped(false), events(&["I can", "not."]));
    assert_eq!(all_text(&words), "I cannot.", "what is no wrapper is kept");
}

#[test]
fn whole_answers_are_restored_as_streams_are() {
    let mut restore = custom();
    restore.answer_tool = Some("json_response".into());
    restore.unwrap_member = Some("value".into());
    let tool = |name: &str, arguments: &str| {
        Part::new(PartKind::ToolCall(Box::new(ToolCall {
            id: name.into(),
            name: name.into(),
            namespace: None,
            kind: ToolCallKind::Function,
            arguments: arguments.into(),
            caller: None,
            status: PartStatus::Complete,
        })))
    };
    let mut response = Response {
        candidates: vec![Candidate {
            parts: vec![
                Part::new(PartKind::Reasoning(Box::<Reasoning>::default())),
                tool("json_response", r#"{"value":[1]}"#),
            ],
            finish: FinishReason::ToolCalls,
            ..Candidate::default()
        }],
        ..Response::default()
    };
    Restorer::new(restore.clone()).response(&mut response);
    assert_eq!(response.candidates[0].parts[1].as_text().map(|text| &**text), Some("[1]"));
    assert_eq!(response.candidates[0].finish, FinishReason::Stop);

    response.candidates[0].parts = vec![tool("code__apply_patch", r#"{"input":"p"}"#)];
    response.candidates[0].finish = FinishReason::ToolCalls;
    Restorer::new(restore).response(&mut response);
    let PartKind::ToolCall(call) = &response.candidates[0].parts[0].kind else { panic!() };
    assert_eq!((&*call.name, &*call.arguments, &call.kind), ("apply_patch", "p", &ToolCallKind::Custom));
    assert_eq!(response.candidates[0].finish, FinishReason::ToolCalls);
}

#[test]
fn nothing_to_undo_changes_nothing() {
    let events = vec![start(), text(0), delta(0, "{\"value\":1}"), end(0), finish(FinishReason::Stop), Event::End];
    assert_eq!(run(Restore::default(), events.clone()), events);
}

proptest! {
    #[test]
    fn pieces_give_what_the_whole_gives(value in any::<String>(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), spaces in "[ \n]{0,3}") {
        let json = serde_json::to_string(&value).unwrap();
        // Escape everything that can be: pairs of surrogates have to be put together again.
        let escaped: String = value.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        for inner in [json, format!("\"{escaped}\"")] {
            let wrapped = format!("{spaces}{{{spaces}\"input\"{spaces}:{spaces}{inner}{spaces}}}");
            prop_assert_eq!(&Unwrapper::input("input").whole(&wrapped), &value);
            prop_assert_eq!(&Unwrapper::json("input").whole(&wrapped), &inner);
            let characters: Vec<char> = wrapped.chars().collect();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(characters.len() + 1)).collect();
            at.extend([0, characters.len()]);
            at.sort_unstable();
            let mut unwrapper = Unwrapper::string("input");
            let mut out = String::new();
            for pair in at.windows(2) {
                let piece: String = characters[pair[0]..pair[1]].iter().collect();
                unwrapper.push(&piece, &mut out);
            }
            unwrapper.finish(&mut out);
            prop_assert_eq!(&out, &value);
        }
    }

    #[test]
    fn any_text_is_survived(pieces in prop::collection::vec("[{}\\[\\]\":,a-z\\\\u0-9dD ]{0,12}", 0..8)) {
        for mut unwrapper in [Unwrapper::input("a"), Unwrapper::json("a"), Unwrapper::string("a")] {
            let mut out = String::new();
            for piece in &pieces {
                unwrapper.push(piece, &mut out);
            }
            unwrapper.finish(&mut out);
        }
    }
}
