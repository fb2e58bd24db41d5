//! The Gemini codec.

mod properties;
mod request;
mod response;
mod stream;

use polyport_protocol::{CarrierKey, ClientContext};
use polyport_testkit::shared;
use polyport_types::*;
use serde_json::{Value, json};

/// A context of a Gemini client that asked to see thoughts or did not.
fn context(provider: Protocol, thoughts: Option<bool>) -> ClientContext {
    let mut request = Request::new(ClientProtocol::Gemini, "fast-tier");
    if let Some(show) = thoughts {
        let visibility = if show { ReasoningVisibility::Summary } else { ReasoningVisibility::Omitted };
        request.reasoning = Some(ReasoningControl { visibility: Some(visibility), ..ReasoningControl::default() });
    }
    ClientContext { carrier: Some(key().into()), scope: 7, ..ClientContext::fixed(request, provider) }
}

fn key() -> CarrierKey {
    CarrierKey::new([3; 32])
}

fn call_part(id: &str, name: &str, arguments: &str) -> Part {
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

fn thought(text: &str, signature: Option<Signature>) -> Part {
    let text = if text.is_empty() { ReasoningText::None } else { ReasoningText::Full(text.into()) };
    let redacted = text == ReasoningText::None;
    Part { signature, ..Part::new(PartKind::Reasoning(Box::new(Reasoning { text, redacted }))) }
}

fn google(kind: SignatureKind, value: &str) -> Signature {
    Signature::new(Family::Google, kind, value)
}

/// Example E9 of the reference: a thought, a text, two calls of which the first is signed.
fn e9() -> Value {
    fixture("response", "calls.json")
}

/// A hand-made case.
fn fixture(kind: &str, name: &str) -> Value {
    let path = shared::workspace_root().unwrap().join("fixtures/gemini").join(kind).join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Names of the hand-made cases of a kind with one ending, in order.
fn fixtures(kind: &str, ending: &str) -> Vec<(String, String)> {
    let dir = shared::workspace_root().unwrap().join("fixtures/gemini").join(kind);
    let mut cases: Vec<(String, String)> = std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
            Some((name, std::fs::read_to_string(&path).unwrap()))
        })
        .collect();
    cases.sort();
    cases
}

/// Compares two answers, but for white space in verbatim JSON, and tells the first difference only: recorded signatures fill
/// screens.
fn assert_same(id: &str, left: &Response, right: &Response) {
    let [a, b] = [left, right].map(|response| serde_json::to_value(response).unwrap());
    if let Some(difference) = difference(&a, &b, "") {
        panic!("{id}: {}", difference.chars().take(600).collect::<String>());
    }
}

fn difference(a: &Value, b: &Value, path: &str) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys());
            names.into_iter().find_map(|name| {
                let none = Value::Null;
                difference(a.get(name).unwrap_or(&none), b.get(name).unwrap_or(&none), &format!("{path}/{name}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(at, (a, b))| difference(a, b, &format!("{path}/{at}")))
        }
        (a, b) if a == b => None,
        _ => Some(format!("{path}: {a} is not {b}")),
    }
}
