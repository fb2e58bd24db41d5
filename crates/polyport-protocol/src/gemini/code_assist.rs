//! Google Code Assist, the service behind Gemini CLI and Antigravity: requests of the Gemini protocol in an envelope that names model and
//! project. Its answers are in an envelope too, which the readers of answers take off.
//!
//! Source: the open-source Gemini CLI (`packages/core/src/code_assist`), for the second way what gateways observe.

use polyport_types::{Losses, Message, Part, PartKind, Request, Role, Text};
use sha2::{Digest as _, Sha256};

use super::encode;
use super::tools::Plan;
use super::turns::Turns;
use crate::json::JsonWriter;
use crate::{Encoded, Target};

/// What the envelope says beside the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeAssist {
    /// Whose way of writing it is.
    pub client: CodeAssistClient,
    /// The Google Cloud project that is asked on behalf of; users of the free tier may have none.
    pub project: Option<Text>,
    /// An id of this request, letters and digits.
    pub id: Text,
}

/// Whose way of writing the envelope has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeAssistClient {
    /// Gemini CLI's.
    #[default]
    Cli,
    /// Antigravity's.
    Antigravity,
}

/// Writes a resolved request in the envelope.
#[must_use]
pub fn encode_enveloped(caller: &CodeAssist, target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let antigravity = caller.client == CodeAssistClient::Antigravity;
    let inner = encode::encode_request(target, request, losses).body;
    let image = antigravity && target.capabilities.draws;
    let mut body = Vec::with_capacity(inner.len() + 512);
    JsonWriter::new(&mut body).object(|w| {
        w.str("model", bare(&target.model));
        w.opt_str("project", caller.project.as_deref());
        match caller.client {
            CodeAssistClient::Cli => w.str("user_prompt_id", &caller.id),
            CodeAssistClient::Antigravity => {
                let kind = if image { "image_gen" } else { "agent" };
                w.str("userAgent", "antigravity");
                w.str("requestType", kind);
                w.key("requestId");
                w.string_concat(&[kind, if image { "/" } else { "-" }, &caller.id]);
            }
        }
        let session = match caller.client {
            CodeAssistClient::Cli => Some(("session_id", session(request).unwrap_or_else(|| caller.id.to_string()))),
            CodeAssistClient::Antigravity if image => None,
            CodeAssistClient::Antigravity => {
                Some(("sessionId", session(request).unwrap_or_else(|| number(caller.id.as_bytes()))))
            }
        };
        w.key("request");
        w.raw_value(&with_member(inner, session));
    });
    Encoded { body, ..Encoded::default() }
}

/// Writes a request for the method that counts tokens, which takes nothing but a conversation: what else costs tokens stands in it as text.
/// Source: the open-source Gemini CLI, which also writes thoughts as text because they break the count.
#[must_use]
pub fn encode_enveloped_count(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let spoken = spoken(target, request, losses);
    let mut body = Vec::with_capacity(request.about_bytes());
    JsonWriter::new(&mut body).object(|w| {
        w.object_field("request", |w| {
            w.key("model");
            w.string_concat(&["models/", bare(&target.model)]);
            Turns::new(target, &spoken, losses).write(w);
        });
    });
    Encoded { body, ..Encoded::default() }
}

/// The request with thoughts, instructions and tools as words of the conversation.
fn spoken(target: &Target, request: &Request, losses: &mut Losses) -> Request {
    let mut spoken = Request::clone(request);
    for part in spoken.messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let PartKind::Reasoning(reasoning) = &part.kind {
            *part = Part::text(format!("[Thought: {}]", reasoning.text.joined()));
        }
    }
    let mut first: Vec<Part> = std::mem::take(&mut spoken.instructions).into_iter().flat_map(|one| one.parts).collect();
    if !spoken.tools.is_empty() {
        let mut tools = Vec::new();
        JsonWriter::new(&mut tools).object(|w| Plan::new(target, request, losses).write(w, target, request, losses));
        first.push(Part::text(String::from_utf8(tools).unwrap_or_default()));
        spoken.tools.clear();
    }
    if !first.is_empty() {
        spoken.messages.insert(0, Message::new(Role::User, 0, first));
    }
    spoken
}

/// Names stand without their collection here.
fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// A written object with one more member at its end.
fn with_member(object: Vec<u8>, member: Option<(&str, String)>) -> String {
    // What the encoder writes is UTF-8 and ends with a brace.
    let mut object = String::from_utf8(object).unwrap_or_default();
    let Some((name, value)) = member else { return object };
    if object.pop() == Some('}') {
        if !object.ends_with('{') {
            object.push(',');
        }
        let mut tail = Vec::new();
        JsonWriter::new(&mut tail).object(|w| w.str(name, &value));
        let tail = String::from_utf8(tail).unwrap_or_default();
        object.push_str(tail.trim_start_matches('{'));
    }
    object
}

/// The same for every request of a conversation: made of its first words.
fn session(request: &Request) -> Option<String> {
    let user = request.messages.iter().filter(|message| message.role == Role::User);
    let words = user.flat_map(|message| &message.parts).find_map(|part| match part {
        Part { kind: PartKind::Text(text), .. } if !text.text.is_empty() => Some(&text.text),
        _ => None,
    })?;
    Some(number(words.as_bytes()))
}

/// A negative number of up to nineteen digits, as Antigravity writes its sessions.
fn number(of: &[u8]) -> String {
    let digest = Sha256::digest(of);
    let mut first = [0; 8];
    first.copy_from_slice(digest.get(..8).unwrap_or(&[0; 8]));
    format!("-{}", u64::from_be_bytes(first) & (u64::MAX >> 1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use polyport_types::{ClientProtocol, Protocol};
    use serde_json::{Value, json};

    use super::*;
    use crate::resolve::ResolveContext;
    use crate::{Capabilities, Profile, RequestHead, Wire, decode_request};

    fn written(client: CodeAssistClient, model: &str, body: &Value) -> (Value, Losses) {
        let request =
            decode_request(ClientProtocol::Gemini, &RequestHead::default(), body.to_string().into_bytes().into());
        let caller = CodeAssist { client, project: Some("p".into()), id: "abc".into() };
        let host = match client {
            CodeAssistClient::Cli => "code-assist",
            CodeAssistClient::Antigravity => "antigravity",
        };
        let plain = Target::plain(Protocol::Gemini, model.to_owned());
        let target = Target {
            wire: Wire::CodeAssist(Arc::new(caller)),
            profile: Arc::new(Profile::named(host).unwrap()),
            capabilities: Arc::new(Capabilities::of_model(Protocol::Gemini, Some(host), model)),
            ..plain
        };
        let mut losses = Losses::new();
        let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
        let (resolved, _) = crate::resolve(&target, request.unwrap(), &context, &mut losses);
        let encoded = crate::encode_request(&target, &resolved, &mut losses);
        (serde_json::from_slice(&encoded.body).unwrap(), losses)
    }

    fn hello() -> Value {
        json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }],
            "generationConfig": { "maxOutputTokens": 50, "temperature": 0.5 } })
    }

    #[test]
    fn the_envelope_names_model_project_and_session() {
        let (body, losses) = written(CodeAssistClient::Cli, "models/gemini-3-pro", &hello());
        let session = "-3238736544897475342";
        let mut request = hello();
        request["session_id"] = json!(session);
        assert_eq!(
            body,
            json!({ "model": "gemini-3-pro", "project": "p", "user_prompt_id": "abc", "request": request })
        );
        assert!(losses.entries().is_empty(), "{losses:?}");
    }

    #[test]
    fn antigravity_takes_a_limit_for_claude_only() {
        let (body, losses) = written(CodeAssistClient::Antigravity, "gemini-3-pro", &hello());
        assert_eq!(body["request"]["generationConfig"], json!({ "temperature": 0.5 }));
        assert_eq!(losses.entries().len(), 1);
        assert_eq!((&body["requestId"], &body["requestType"]), (&json!("agent-abc"), &json!("agent")));
        let (body, losses) = written(CodeAssistClient::Antigravity, "claude-sonnet-4-6", &hello());
        assert_eq!(body["request"]["generationConfig"], json!({ "maxOutputTokens": 50, "temperature": 0.5 }));
        assert!(losses.entries().is_empty(), "{losses:?}");
        let (body, _) = written(CodeAssistClient::Antigravity, "gemini-3.1-flash-image", &hello());
        assert_eq!((&body["requestType"], &body["request"]["sessionId"]), (&json!("image_gen"), &Value::Null));
    }

    #[test]
    fn antigravity_takes_plain_schemas_and_validates_the_calls_of_claude() {
        let mut body = hello();
        body["tools"] = json!([{ "functionDeclarations": [{ "name": "f", "description": "d", "parametersJsonSchema": {
            "type": "object", "$schema": "x", "additionalProperties": false, "required": ["a", "ghost"],
            "properties": { "a": { "type": ["string", "null"], "minLength": 2, "pattern": "^x" },
                "b": { "anyOf": [{ "type": "string" }, { "type": "object", "properties": { "c": { "const": 3 } } }, { "type": "null" }] } }
        } }] }]);
        let (written_body, losses) = written(CodeAssistClient::Antigravity, "claude-sonnet-4-6", &body);
        let request = &written_body["request"];
        assert_eq!(request["toolConfig"]["functionCallingConfig"]["mode"], "VALIDATED");
        let schema = &request["tools"][0]["functionDeclarations"][0]["parameters"];
        assert_eq!(
            schema["properties"]["a"],
            json!({ "type": "STRING", "description": "(minLength: 2) (pattern: \"^x\")", "nullable": true })
        );
        let b = &schema["properties"]["b"];
        assert_eq!((&b["type"], &b["nullable"]), (&json!("OBJECT"), &json!(true)));
        assert!(b["description"].as_str().unwrap().contains(r#"anyOf: [{"type":"string"}]"#), "{b}");
        assert!(!losses.entries().is_empty());
        let (written_body, _) = written(CodeAssistClient::Antigravity, "gemini-3-flash", &body);
        assert_eq!(written_body["request"]["toolConfig"], Value::Null);
    }

    #[test]
    fn what_costs_tokens_is_counted_as_words() {
        let body = json!({ "systemInstruction": { "parts": [{ "text": "Be brief." }] },
            "contents": [{ "role": "user", "parts": [{ "text": "hello" }] },
                { "role": "model", "parts": [{ "text": "hm", "thought": true }, { "text": "Yes." }] },
                { "role": "user", "parts": [{ "text": "go on" }] }],
            "tools": [{ "functionDeclarations": [{ "name": "look", "description": "d" }] }] });
        let request =
            decode_request(ClientProtocol::Gemini, &RequestHead::default(), body.to_string().into_bytes().into());
        let target = Target {
            wire: Wire::CodeAssist(Arc::default()),
            ..Target::plain(Protocol::Gemini, "models/gemini-3-pro".to_owned())
        };
        let counted = crate::encode_count_request(&target, &request.unwrap(), &mut Losses::new()).unwrap();
        let counted: Value = serde_json::from_slice(&counted.body).unwrap();
        assert_eq!(counted.as_object().unwrap().len(), 1, "no project, no model outside: {counted}");
        let inner = counted["request"].as_object().unwrap();
        assert_eq!(inner.keys().collect::<Vec<_>>(), ["model", "contents"]);
        assert_eq!(inner["model"], "models/gemini-3-pro");
        let text = inner["contents"].to_string();
        for words in ["Be brief.", "functionDeclarations", "look", "hello", "[Thought: hm]", "Yes.", "go on"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains("\"thought\""), "{text}");
    }

    #[test]
    fn a_member_is_added_to_any_object() {
        let with = |object: &str| with_member(object.into(), Some(("a", "b".to_owned())));
        assert_eq!(with("{}"), r#"{"a":"b"}"#);
        assert_eq!(with(r#"{"c":1}"#), r#"{"c":1,"a":"b"}"#);
    }
}
