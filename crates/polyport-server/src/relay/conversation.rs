//! Which conversation a request belongs to, so that it goes where the provider's prompt cache of it is warm.
//!
//! An id that the client sends for the purpose counts; otherwise the beginning that all requests of a conversation share: system prompt,
//! tools and first message. Short prompts belong to none: providers cache nothing below about a thousand tokens, so that there is
//! nothing to stay for.

use std::fmt;

use http::HeaderMap;
use polyport_routing::ConversationKey;
use polyport_types::ClientProtocol;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Exchange;
use super::peek::Peek;

/// Bytes of a prompt below which providers cache nothing, at about four bytes a token.
const SHORTEST: usize = 4096;

/// Headers in which clients name their session.
const HEADERS: [&str; 5] =
    ["x-session-id", "session_id", "session-id", "x-claude-code-session-id", "x-conversation-id"];

/// A conversation, and about how many tokens of it a provider may have cached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conversation {
    pub(crate) key: ConversationKey,
    pub(crate) tokens: u32,
}

impl Exchange {
    /// The conversation this request belongs to.
    pub(crate) fn conversation(&self) -> Option<Conversation> {
        let asked = Asked { caller: self.caller.owner(), model: &self.model, wire: self.wire, headers: &self.headers };
        asked.conversation(&self.body, self.peeked.as_ref())
    }
}

/// What a request says of its conversation beside its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) caller: &'a str,
    pub(crate) model: &'a str,
    /// How the body is written.
    pub(crate) wire: ClientProtocol,
    pub(crate) headers: &'a HeaderMap,
}

impl Asked<'_> {
    /// The conversation a request belongs to.
    pub(crate) fn conversation(self, body: &[u8], peeked: Option<&Peek>) -> Option<Conversation> {
        let Self { caller, model, wire, headers } = self;
        let tokens = u32::try_from(body.len() / 4).unwrap_or(u32::MAX);
        let of_id = |id: &str| Conversation { key: ConversationKey::of_id(caller, model, id), tokens };
        if let Some(id) = named_by_header(headers) {
            return Some(of_id(id));
        }
        if body.len() < SHORTEST {
            return None;
        }
        let parsed;
        let peek = match peeked {
            Some(peek) => peek,
            None => {
                parsed = Peek::parse(body).ok()?;
                &parsed
            }
        };
        if let Some(id) = named_by_body(wire, peek, body) {
            return Some(of_id(&id));
        }
        let part = |names: &[&str]| names.iter().find_map(|name| peek.get(body, name)).unwrap_or_default();
        let (system, tools, turns) = match wire {
            ClientProtocol::Chat => (part(&[]), part(&["tools"]), part(&["messages"])),
            ClientProtocol::Responses => (part(&["instructions"]), part(&["tools"]), part(&["input"])),
            ClientProtocol::Messages => (part(&["system"]), part(&["tools"]), part(&["messages"])),
            ClientProtocol::Gemini => {
                (part(&["systemInstruction", "system_instruction"]), part(&["tools"]), part(&["contents"]))
            }
        };
        let first = first_message(turns);
        if system.len() + tools.len() + first.len() < SHORTEST {
            return None;
        }
        let key = ConversationKey::of_prefix(caller, model, system, tools, &first);
        Some(Conversation { key, tokens })
    }
}

fn named_by_header(headers: &HeaderMap) -> Option<&str> {
    let named = |name: &&str| headers.get(*name)?.to_str().ok().map(str::trim).filter(|id| !id.is_empty());
    HEADERS.iter().find_map(named)
}

fn named_by_body(wire: ClientProtocol, peek: &Peek, body: &[u8]) -> Option<String> {
    let id = match wire {
        ClientProtocol::Chat | ClientProtocol::Responses => peek.text(body, "prompt_cache_key"),
        // Claude Code's names the session as well.
        ClientProtocol::Messages => {
            let metadata = peek.get(body, "metadata")?;
            Peek::parse(metadata).ok()?.text(metadata, "user_id").filter(|id| id.contains("session"))
        }
        ClientProtocol::Gemini => None,
    };
    id.filter(|id| !id.is_empty())
}

/// The turns of a list up to and with the first of the user; the whole of what is no list.
fn first_message(turns: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut list = serde_json::Deserializer::from_slice(turns);
    // The error is the way out.
    match list.deserialize_seq(Turns(&mut found)) {
        Err(_) if found.is_empty() => turns.to_vec(),
        _ => found,
    }
}

struct Turns<'t>(&'t mut Vec<u8>);

#[derive(serde::Deserialize)]
struct Turn<'a> {
    #[serde(default, borrow)]
    role: Option<std::borrow::Cow<'a, str>>,
}

impl<'de> Visitor<'de> for Turns<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(turn) = list.next_element::<&'de RawValue>()? {
            self.0.extend_from_slice(turn.get().as_bytes());
            let role = serde_json::from_str::<Turn<'_>>(turn.get()).ok().and_then(|turn| turn.role);
            if role.is_none_or(|role| role == "user") {
                // The rest is not read.
                return Err(serde::de::Error::custom("found"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_is_what_later_requests_begin_with_too() {
        let first = br#"[{"role":"system","content":"s"},{"role":"user","content":"hi"}]"#;
        let later =
            br#"[{"role":"system","content":"s"}, {"role":"user","content":"hi"},{"role":"assistant","content":"x"}]"#;
        assert_eq!(first_message(first), first_message(later));
        assert_ne!(first_message(first), first_message(br#"[{"role":"user","content":"ho"}]"#));
        assert_eq!(first_message(b"\"a text\""), b"\"a text\"");
        assert_eq!(first_message(br#"[{"parts":[]},{"role":"model"}]"#), br#"{"parts":[]}"#);
        assert!(first_message(b"").is_empty());
    }

    #[test]
    fn ids_are_those_clients_send_for_the_purpose() {
        let named = |wire, body: &str| named_by_body(wire, &Peek::parse(body.as_bytes()).unwrap(), body.as_bytes());
        let key = r#"{"prompt_cache_key":"k"}"#;
        assert_eq!(named(ClientProtocol::Responses, key).as_deref(), Some("k"));
        assert_eq!(named(ClientProtocol::Messages, key), None);
        let user = r#"{"metadata":{"user_id":"user_1_account__session_2"}}"#;
        assert_eq!(named(ClientProtocol::Messages, user).as_deref(), Some("user_1_account__session_2"));
        // Of a user who is not told apart by sessions, all conversations would crowd together.
        assert_eq!(named(ClientProtocol::Messages, r#"{"metadata":{"user_id":"ana"}}"#), None);
        let mut headers = HeaderMap::new();
        headers.insert("x-session-id", http::HeaderValue::from_static("s"));
        assert_eq!(named_by_header(&headers), Some("s"));
    }
}
