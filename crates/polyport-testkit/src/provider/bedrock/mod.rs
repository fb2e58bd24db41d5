//! AWS Bedrock as its clients see it: signed requests, operations below a model's name, binary streams. Requests are judged as the
//! Messages requests that say the same.
//!
//! Everything is computed here by itself: signatures, checksums and the mapping share no code with what is tested.

mod answer;
mod converse;
mod signature;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub use answer::aws_frame;
pub(super) use answer::{error_of, stream, whole};
pub use signature::AwsAccess;

use super::exchange::Received;
use super::wrapping::Opened;

/// What a fake Bedrock knows.
#[derive(Clone, Debug, Default)]
pub struct Bedrock {
    /// Converse; otherwise the interface to Anthropic's models.
    pub converse: bool,
    /// The region it is in.
    pub region: String,
    /// The access keys it knows.
    pub keys: Vec<AwsAccess>,
    /// The API keys it knows.
    pub bearers: Vec<String>,
}

/// An error with its kind.
pub(super) fn refusal(status: u16, kind: &str, message: &str) -> (u16, Value, String) {
    (status, json!({ "message": message }), kind.to_owned())
}

/// Takes a request apart.
pub(super) fn open(opened: &mut Opened, received: &Received, service: &Bedrock) {
    if let Err((status, body, kind)) = signature::check(received, service) {
        opened.answer = Some((status, body));
        opened.answer_kind = Some(kind);
        return;
    }
    let unknown = |opened: &mut Opened| {
        let (status, body, kind) = refusal(404, "UnknownOperationException", "no such operation");
        opened.answer = Some((status, body));
        opened.answer_kind = Some(kind);
    };
    let Some((model, operation)) = received.path.strip_prefix("/model/").and_then(|rest| rest.split_once('/')) else {
        return unknown(opened);
    };
    if model.contains([':', ' ']) {
        opened.violations.push(format!("{model}: the name of the model is not encoded"));
    }
    let model = decoded(model);
    let accept = received.headers.iter().find(|(name, _)| name == "accept").map_or("", |(_, value)| value.as_str());
    let streams = match (operation, service.converse) {
        ("converse", true) | ("invoke", false) => false,
        ("converse-stream", true) | ("invoke-with-response-stream", false) => true,
        ("count-tokens", _) => return count(opened, &model, service),
        _ => return unknown(opened),
    };
    if streams && accept != "application/vnd.amazon.eventstream" {
        opened.violations.push(format!("accept: {accept} is no event stream"));
    }
    opened.path = "/v1/messages".to_owned();
    let (mut body, betas) = if service.converse {
        converse::request(&opened.body, &mut opened.violations)
    } else {
        invoked(opened.body.clone(), &mut opened.violations)
    };
    body["model"] = json!(model);
    if streams {
        body["stream"] = json!(true);
    }
    opened.body = body;
    opened.head = Some(("2023-06-01".to_owned(), betas));
}

/// The body of an Anthropic model: version and betas stand in it, model and stream do not.
fn invoked(mut body: Value, violations: &mut Vec<String>) -> (Value, String) {
    let Some(members) = body.as_object_mut() else { return (body, String::new()) };
    if members.remove("anthropic_version") != Some(json!("bedrock-2023-05-31")) {
        violations.push("anthropic_version: bedrock-2023-05-31 is required".to_owned());
    }
    for name in ["model", "stream"] {
        if members.contains_key(name) {
            violations.push(format!("{name}: Extra inputs are not permitted"));
        }
    }
    let betas = members.remove("anthropic_beta");
    let flags: Vec<&str> = betas.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
    if betas.as_ref().is_some_and(|betas| !betas.is_array()) {
        violations.push("anthropic_beta: a list is expected".to_owned());
    }
    (body.clone(), flags.join(","))
}

fn count(opened: &mut Opened, model: &str, service: &Bedrock) {
    let input = &opened.body["input"];
    let mut violations = Vec::new();
    let prompt = if service.converse {
        let mut prompt = input["converse"].clone();
        if prompt.as_object().is_none_or(|members| {
            members.keys().any(|name| {
                !["messages", "system", "toolConfig", "additionalModelRequestFields"].contains(&name.as_str())
            })
        }) {
            violations.push("input.converse: messages, system and toolConfig are expected".to_owned());
        }
        prompt["inferenceConfig"] = json!({ "maxTokens": 1 });
        converse::request(&prompt, &mut violations).0
    } else {
        let body = input["invokeModel"]["body"].as_str().and_then(|body| STANDARD.decode(body).ok());
        let body = body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null);
        invoked(body, &mut violations).0
    };
    if !prompt["messages"].is_array() {
        violations.push(format!("input: nothing to count for {model}"));
    }
    opened.answer = Some(match violations.first() {
        None => (200, json!({ "inputTokens": prompt["messages"].to_string().len() / 4 })),
        Some(violation) => (400, json!({ "message": violation })),
    });
    opened.answer_kind = (!violations.is_empty()).then(|| "ValidationException".to_owned());
    opened.violations.extend(violations);
}

/// A segment of a path without its percent signs.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits: String = rest.by_ref().take(2).map(char::from).collect();
        bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'%'));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
