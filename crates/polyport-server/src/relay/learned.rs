//! Request members that a provider was seen to refuse: left out from then on.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::RwLock;
use polyport_types::{Fault, FaultClass, Text};

use super::peek::{Edits, Peek};

/// Providers and models remembered.
const MOST: usize = 1024;

/// Members per model remembered.
const MOST_MEMBERS: usize = 16;

/// Members without which a request means something else; refusing them is the client's business.
const NEEDED: [&str; 16] = [
    "model",
    "messages",
    "input",
    "contents",
    "system",
    "instructions",
    "tools",
    "tool_choice",
    "stream",
    "max_tokens",
    "response_format",
    "text",
    "systemInstruction",
    "generationConfig",
    "generation_config",
    "previous_response_id",
];

/// Refused members by provider and model.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    refused: RwLock<HashMap<(Text, Text), Vec<Text>>>,
}

impl Learned {
    /// The body without the members this model was seen to refuse, and which those were.
    pub(crate) fn without_refused(&self, provider: &Text, model: &Text, body: Bytes) -> (Bytes, Vec<Text>) {
        let refused = self.refused.read();
        if refused.is_empty() {
            return (body, Vec::new());
        }
        let Some(members) = refused.get(&(provider.clone(), model.clone())) else { return (body, Vec::new()) };
        let Ok(peek) = Peek::parse(&body) else { return (body, Vec::new()) };
        let present: Vec<Text> = members.iter().filter(|name| peek.get(&body, name).is_some()).cloned().collect();
        if present.is_empty() {
            return (body, present);
        }
        let edits = Edits { drop: present.clone(), ..Edits::default() };
        (peek.edited(&body, &edits), present)
    }

    /// Reads out of a refusal which member of `body` was the trouble, and remembers it. True if the request may be repeated without it.
    pub(crate) fn learn(&self, provider: &Text, model: &Text, fault: &Fault, body: &[u8]) -> bool {
        if fault.class != FaultClass::BadRequest || !matches!(fault.upstream_status, Some(400 | 422)) {
            return false;
        }
        let Ok(peek) = Peek::parse(body) else { return false };
        let Some(name) = refused_member(fault, |name| peek.get(body, name).is_some()) else { return false };
        let mut refused = self.refused.write();
        if refused.len() >= MOST {
            refused.clear();
        }
        let members = refused.entry((provider.clone(), model.clone())).or_default();
        if members.len() >= MOST_MEMBERS || members.iter().any(|known| **known == *name) {
            return false;
        }
        members.push(name);
        true
    }
}

/// The member a refusal names, if it says that the member as such is not known or not supported.
fn refused_member(fault: &Fault, stands_in_body: impl Fn(&str) -> bool) -> Option<Text> {
    let message = fault.message.to_ascii_lowercase();
    let speaks_of_support = [
        "unsupported parameter",
        "unknown parameter",
        "unrecognized request argument",
        "not supported",
        "unsupported field",
        "unknown field",
        "unknown name",
        "extra inputs are not permitted",
        "extra fields not permitted",
        "unexpected keyword",
        "does not support",
        "is not permitted",
        "unrecognized field",
        "not a valid parameter",
        "unexpected field",
    ]
    .iter()
    .any(|words| message.contains(words));
    // "Unsupported value" is about the value, not about the member.
    if !speaks_of_support || message.contains("unsupported value") {
        return None;
    }
    let quoted = fault.message.split(['\'', '"', '`']).skip(1).step_by(2);
    let first_word = fault.message.split([':', ' ']).next();
    let named = fault.param.as_deref().into_iter().chain(quoted).chain(first_word);
    named
        .map(|name| name.trim_start_matches("body."))
        .find(|name| !NEEDED.contains(name) && stands_in_body(name))
        .map(Text::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str, param: Option<&str>) -> Fault {
        Fault {
            param: param.map(str::to_owned),
            upstream_status: Some(400),
            from_upstream: true,
            ..Fault::new(FaultClass::BadRequest, message)
        }
    }

    #[test]
    fn the_member_is_read_out_of_the_words_of_servers() {
        for (message, param, expected) in [
            (
                "Unsupported parameter: 'logit_bias' is not supported with this model.",
                Some("logit_bias"),
                Some("logit_bias"),
            ),
            (
                "Unrecognized request argument supplied: \"parallel_tool_calls\" is not supported",
                None,
                Some("parallel_tool_calls"),
            ),
            ("seed: Extra inputs are not permitted", None, Some("seed")),
            ("Unsupported value: 'temperature' does not support 0.2 with this model.", Some("temperature"), None),
            ("Unknown parameter: 'messages[0].name'.", Some("messages[0].name"), None),
            ("'messages' is not supported", None, None),
            ("max_tokens is too large", Some("max_tokens"), None),
        ] {
            let body = ["logit_bias", "parallel_tool_calls", "seed", "temperature", "messages", "max_tokens"];
            let found = refused_member(&refusal(message, param), |name| body.contains(&name));
            assert_eq!(found.as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn a_refused_member_is_left_out_from_then_on() {
        let learned = Learned::default();
        let (provider, model) = (Text::from("p"), Text::from("m"));
        let body = Bytes::from_static(br#"{"model":"m","seed":1}"#);
        let fault = refusal("seed: Extra inputs are not permitted", None);
        assert!(learned.learn(&provider, &model, &fault, &body));
        assert!(!learned.learn(&provider, &model, &fault, &body), "once is enough");
        let (sent, dropped) = learned.without_refused(&provider, &model, body.clone());
        assert_eq!(&*sent, br#"{"model":"m"}"#);
        assert_eq!(dropped, ["seed"]);
        assert_eq!(learned.without_refused(&provider, &Text::from("other"), body.clone()).0, body);
    }
}
