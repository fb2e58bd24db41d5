//! Answers of Warp: an event stream of base64 protobuf.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::Value;

use super::super::protobuf::{put, put_number, put_structure};
use super::super::step::{Finish, Part};
use super::{Saying, pieces};

const TASK: &[u8] = b"task-1";

/// The stream, one string for each event with its framing.
pub(in super::super) fn events(saying: &Saying<'_>) -> Vec<String> {
    let mut all = vec![put(1, &[put(1, b"conv-1"), put(2, format!("req-{}", saying.serial).as_bytes())].concat())];
    let action = |number: u64, action: Vec<u8>| put(2, &put(1, &put(number, &action)));
    all.push(action(1, put(1, &put(1, TASK))));
    let message =
        |id: &str, kind: u64, content: Vec<u8>| [put(1, id.as_bytes()), put(kind, &content), put(11, TASK)].concat();
    let add = |message: Vec<u8>| action(3, [put(1, TASK), put(2, &message)].concat());
    for (at, part) in saying.answer.parts.iter().enumerate() {
        let id = format!("m{at}");
        match part {
            Part::Text(text) | Part::Refusal(text) | Part::Reasoning(text) => {
                let (kind, path) = match part {
                    Part::Reasoning(_) => (15, "agent_reasoning.reasoning"),
                    _ => (3, "agent_output.text"),
                };
                for (index, piece) in pieces(text).into_iter().enumerate() {
                    let piece = message(&id, kind, put(1, piece.as_bytes()));
                    all.push(match index {
                        0 => add(piece),
                        _ => action(5, [put(1, &piece), put(2, &put(1, path.as_bytes())), put(3, TASK)].concat()),
                    });
                }
            }
            Part::Tool { name, arguments } => {
                let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
                let call = [
                    put(1, saying.call_id("call_", at).as_bytes()),
                    put(
                        12,
                        &[put(1, name.as_bytes()), put(2, &put_structure(&arguments)), put(3, b"polyport")].concat(),
                    ),
                ];
                all.push(add(message(&id, 4, call.concat())));
            }
            // It has neither.
            Part::Custom { .. } | Part::Image { .. } => {}
        }
    }
    let tokens = saying.tokens();
    let usage = [
        put(1, saying.model().as_bytes()),
        put_number(2, tokens.input + tokens.cache_read + tokens.cache_write),
        put_number(3, tokens.output + tokens.reasoning),
        put_number(4, tokens.cache_read),
        put_number(5, tokens.cache_write),
    ];
    let reason = match (&saying.answer.error, &saying.answer.finish) {
        (Some(message), _) => put(7, &put(1, message.as_bytes())),
        (None, Some(Finish::Length)) => put(3, b""),
        (None, _) => put(2, b""),
    };
    all.push(put(3, &[reason, put(8, &usage.concat())].concat()));
    all.into_iter().map(|event| format!("data: {}\n\n", URL_SAFE.encode(event))).collect()
}
