//! Reasoning in the dialects of Chat: `reasoning_content`, `reasoning`, `reasoning_details` (`OpenRouter`) and `thinking_blocks`
//! (Anthropic blocks passed on by relays). One answer may say the same text in several of them: details win over
//! `reasoning_content`, that wins over `reasoning`.

use polyport_types::{Family, Part, PartKind, Reasoning, ReasoningText, Signature, SignatureKind, Text};

use super::types::{Detail, Details, ToolCall, Word, filled};
use crate::carrier;
use crate::json::{JsonWriter, Str};

/// What an entry of `reasoning_details` or `thinking_blocks` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// Full text, perhaps signed.
    Text,
    /// A summary paragraph.
    Summary,
    /// A signature or hidden reasoning.
    Encrypted,
}

/// One entry, whatever its dialect.
pub(super) struct Entry<'d, 'a> {
    pub(super) kind: EntryKind,
    pub(super) text: Option<&'d Str<'a>>,
    /// The signature or the encrypted data.
    pub(super) value: Option<&'d Str<'a>>,
    pub(super) id: Option<&'d Str<'a>>,
    pub(super) index: Option<i64>,
    family: Option<Family>,
}

/// The entries that mean something.
pub(super) fn entries<'d, 'a>(details: Option<&'d Details<'a>>) -> impl Iterator<Item = Entry<'d, 'a>> {
    details.into_iter().flat_map(|details| &details.0).filter_map(entry)
}

fn entry<'d, 'a>(detail: &'d Detail<'a>) -> Option<Entry<'d, 'a>> {
    let text = filled(&detail.text);
    let summary = filled(&detail.summary);
    let data = filled(&detail.data);
    let signature = filled(&detail.signature);
    let (kind, anthropic) = match detail.kind.as_deref().unwrap_or_default() {
        "reasoning.text" => (EntryKind::Text, false),
        "reasoning.summary" => (EntryKind::Summary, false),
        "reasoning.encrypted" => (EntryKind::Encrypted, false),
        "thinking" => (EntryKind::Text, true),
        "redacted_thinking" => (EntryKind::Encrypted, true),
        _ if text.is_some() => (EntryKind::Text, false),
        _ if summary.is_some() => (EntryKind::Summary, false),
        _ if data.is_some() => (EntryKind::Encrypted, false),
        _ => return None,
    };
    let (text, value) = match kind {
        EntryKind::Text => (text, signature),
        EntryKind::Summary => (summary.or(text), signature),
        EntryKind::Encrypted => (None, data.or(signature)),
    };
    Some(Entry {
        kind,
        text,
        value,
        id: filled(&detail.id),
        index: detail.index.map(|index| index.0),
        family: if anthropic { Some(Family::Anthropic) } else { filled(&detail.format).and_then(|f| family_of(f)) },
    })
}

/// The family a `format` names; `unknown` and names of the future are none.
fn family_of(format: &str) -> Option<Family> {
    const HEADS: [(&str, Family); 6] = [
        ("anthropic", Family::Anthropic),
        ("openai", Family::OpenAi),
        ("azure-openai", Family::OpenAi),
        ("google", Family::Google),
        ("xai", Family::XAi),
        ("moonshot", Family::Moonshot),
    ];
    HEADS.iter().find(|(head, _)| format.starts_with(head)).map(|(_, family)| *family)
}

fn format_of(family: Family) -> &'static str {
    match family {
        Family::Anthropic => "anthropic-claude-v1",
        Family::OpenAi => "openai-responses-v1",
        Family::Google => "google-gemini-v1",
        Family::XAi => "xai-responses-v1",
        Family::Moonshot | Family::Unknown => "unknown",
    }
}

impl Entry<'_, '_> {
    /// The signature of the entry. Without a `format` it is taken to be of `fallback`.
    pub(super) fn signature(&self, fallback: Family, body: &Text) -> Option<Signature> {
        let value = self.value?;
        let family = if carrier::is_token(value) { Family::Unknown } else { self.family.unwrap_or(fallback) };
        let kind = match (token_kind(value), self.kind, family) {
            (Some('r'), ..) | (None, EntryKind::Encrypted, Family::Anthropic) => SignatureKind::Redacted,
            (Some('p'), ..) | (None, _, Family::Google) => SignatureKind::Part,
            (Some('i'), ..)
            | (None, EntryKind::Encrypted | EntryKind::Summary, _)
            | (None, EntryKind::Text, Family::OpenAi | Family::XAi) => SignatureKind::ReasoningItem,
            (Some('f'), ..) => SignatureKind::FunctionCall,
            (Some(_), ..) | (None, EntryKind::Text, _) => SignatureKind::Thinking,
        };
        let mut signature = Signature::new(family, kind, value.to_text(body));
        if kind == SignatureKind::ReasoningItem {
            signature.item_id = self.id.map(|id| id.to_text(body));
        }
        Some(signature)
    }

    /// Whether this encrypted entry completes a part with these properties that stands right before it.
    pub(super) fn completes(&self, summary: bool, index: Option<i64>, id: Option<&str>) -> bool {
        let Some(value) = self.value else { return false };
        if token_kind(value) == Some('r') || self.family == Some(Family::Anthropic) {
            return false;
        }
        let same_id = self.id.is_some() && self.id.map(|id| &**id) == id;
        let plain = index.is_none() && id.is_none();
        summary || plain || same_id || carrier::is_token(value) || (self.index.is_some() && self.index == index)
    }
}

/// The kind letter of a carrier: enough to know whether visible text belongs to it, without believing it.
fn token_kind(value: &str) -> Option<char> {
    if !value.starts_with("pp1.") {
        return None;
    }
    value.split('.').nth(2)?.chars().next()
}

/// Reasoning of one whole message.
#[derive(Debug, Default)]
pub(super) struct MessageReasoning {
    /// Parts in order.
    pub(super) parts: Vec<Part>,
    /// Signatures that name a tool call (Gemini behind `OpenRouter`), by call id.
    pub(super) calls: Vec<(Text, Signature)>,
}

/// The reasoning members of a whole message.
pub(super) struct Members<'m, 'a> {
    pub(super) details: Option<&'m Details<'a>>,
    pub(super) blocks: Option<&'m Details<'a>>,
    pub(super) reasoning_content: &'m Option<Word<'a>>,
    pub(super) reasoning: &'m Option<Word<'a>>,
    pub(super) calls: &'m [ToolCall<'a>],
}

impl Members<'_, '_> {
    /// Reads them all. Signatures without a `format` are of `fallback`.
    pub(super) fn read(&self, fallback: Family, body: &Text) -> MessageReasoning {
        let mut assembly = Assembly::default();
        let details = if entries(self.details).next().is_some() { self.details } else { self.blocks };
        for entry in entries(details) {
            assembly.take(&entry, self.calls, fallback, body);
        }
        assembly.flush();
        let mut message = assembly.message;
        let text = filled(self.reasoning_content).or(filled(self.reasoning));
        if let Some(text) = text {
            message.place_text(text.to_text(body));
        }
        message
    }
}

/// Entries on their way to parts.
#[derive(Default)]
struct Assembly {
    message: MessageReasoning,
    /// Kind, index and id of the entry that came last.
    kind: Option<EntryKind>,
    index: Option<i64>,
    id: Option<Text>,
    /// The text (or last paragraph) of the last part while it grows.
    growing: String,
}

impl Assembly {
    fn take(&mut self, entry: &Entry<'_, '_>, calls: &[ToolCall<'_>], fallback: Family, body: &Text) {
        let signature = entry.signature(fallback, body);
        if entry.kind == EntryKind::Encrypted
            && let (Some(id), Some(signature)) = (entry.id, &signature)
            && calls.iter().any(|call| filled(&call.id) == Some(id))
        {
            let signature = Signature { kind: SignatureKind::FunctionCall, item_id: None, ..signature.clone() };
            self.message.calls.push((id.to_text(body), signature));
            return;
        }
        let same_entry = self.kind == Some(entry.kind) && entry.index.is_some() && entry.index == self.index;
        let continues = self.continues(entry);
        (self.kind, self.index, self.id) = (Some(entry.kind), entry.index, entry.id.map(|id| id.to_text(body)));
        if !continues {
            self.flush();
            self.open(entry, signature, body);
            return;
        }
        if let Some(text) = entry.text {
            if entry.kind == EntryKind::Summary && !same_entry {
                self.flush();
                if let Some(ReasoningText::Summary(paragraphs)) = self.message.last_text() {
                    paragraphs.push(Text::new());
                }
            }
            self.growing.push_str(text);
        }
        if let Some(part) = self.message.parts.last_mut() {
            part.signature = signature.or(part.signature.take());
        }
    }

    /// Whether an entry belongs to the last part: clients hand the pieces of a stream back unjoined.
    fn continues(&self, entry: &Entry<'_, '_>) -> bool {
        let Some(part) = self.message.parts.last().filter(|part| part.signature.is_none()) else { return false };
        let summary = matches!(&part.kind, PartKind::Reasoning(r) if matches!(r.text, ReasoningText::Summary(_)));
        match entry.kind {
            EntryKind::Text => !summary && entry.index.is_some() && entry.index == self.index,
            EntryKind::Summary => {
                let other_item =
                    entry.id.is_some() && self.id.is_some() && entry.id.map(|id| &**id) != self.id.as_deref();
                summary && !other_item
            }
            EntryKind::Encrypted => entry.completes(summary, self.index, self.id.as_deref()),
        }
    }

    fn open(&mut self, entry: &Entry<'_, '_>, signature: Option<Signature>, body: &Text) {
        let redacted = signature.as_ref().is_some_and(|signature| signature.kind == SignatureKind::Redacted);
        let text = entry.text.map(|text| text.to_text(body)).unwrap_or_default();
        if signature.is_none() && text.is_empty() {
            return;
        }
        self.growing.push_str(&text);
        let text = match entry.kind {
            _ if text.is_empty() => ReasoningText::None,
            EntryKind::Summary => ReasoningText::Summary(vec![text]),
            EntryKind::Text | EntryKind::Encrypted => ReasoningText::Full(text),
        };
        let part = Part::new(PartKind::Reasoning(Box::new(Reasoning { text, redacted })));
        self.message.parts.push(Part { signature, ..part });
    }

    /// Gives the grown text to the last part.
    fn flush(&mut self) {
        let grown = std::mem::take(&mut self.growing);
        if grown.is_empty() {
            return;
        }
        match self.message.last_text() {
            Some(ReasoningText::Full(text)) if text.len() != grown.len() => *text = grown.into(),
            Some(ReasoningText::Summary(paragraphs)) => {
                if let Some(last) = paragraphs.last_mut() {
                    *last = grown.into();
                }
            }
            Some(empty @ ReasoningText::None) => *empty = ReasoningText::Full(grown.into()),
            _ => {}
        }
    }
}

impl MessageReasoning {
    fn last_text(&mut self) -> Option<&mut ReasoningText> {
        match &mut self.parts.last_mut()?.kind {
            PartKind::Reasoning(reasoning) => Some(&mut reasoning.text),
            _ => None,
        }
    }

    /// Puts the text of `reasoning_content` where the details leave room for it.
    fn place_text(&mut self, text: Text) {
        let known: Vec<Text> = self.parts.iter().filter_map(visible).collect();
        let empty = self.parts.iter_mut().find_map(|part| match &mut part.kind {
            PartKind::Reasoning(reasoning) if reasoning.text == ReasoningText::None && !reasoning.redacted => {
                Some(reasoning)
            }
            _ => None,
        });
        if known.is_empty() {
            match empty {
                Some(reasoning) => reasoning.text = ReasoningText::Full(text),
                None => self.parts.insert(0, full(text)),
            }
            return;
        }
        // Later parts say their text themselves; the rest belongs to the first one.
        let known = known.join(BREAK);
        if let (Some(reasoning), Some(rest)) = (empty, text.strip_suffix(&*known)) {
            let rest = rest.strip_suffix(BREAK).unwrap_or(rest);
            if !rest.is_empty() {
                reasoning.text = ReasoningText::Full(text.slice_ref(rest));
            }
        }
    }
}

/// Stands between paragraphs and parts of reasoning where a client sees one text.
pub(super) const BREAK: &str = "\n\n";

/// A part of full reasoning text.
pub(super) fn full(text: Text) -> Part {
    Part::new(PartKind::Reasoning(Box::new(Reasoning { text: ReasoningText::Full(text), redacted: false })))
}

/// The visible text of a reasoning part, if there is any.
pub(super) fn visible(part: &Part) -> Option<Text> {
    match &part.kind {
        PartKind::Reasoning(reasoning) => Some(reasoning.text.joined()).filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// A signature as it goes into `reasoning_details`.
pub(super) struct Slot<'s> {
    pub(super) signature: &'s Signature,
    /// The verbatim value or a carrier.
    pub(super) value: &'s str,
}

/// Writes the entries of one reasoning part. `index` counts the entries of the message. Verbatim values keep the
/// form of `OpenRouter`; a carrier is one encrypted entry whose text stands in `reasoning_content`, unless
/// an earlier part already has its text there.
pub(super) fn write_entries(w: &mut JsonWriter<'_>, text: &ReasoningText, slot: Option<&Slot<'_>>, index: &mut u32) {
    let carried = slot.is_some_and(|slot| carrier::is_token(slot.value));
    let family = slot.map_or(Family::Unknown, |slot| slot.signature.family);
    let format = if carried { "unknown" } else { format_of(family) };
    let first = *index == 0;
    let mut entry = |w: &mut JsonWriter<'_>, kind: &str, members: &dyn Fn(&mut JsonWriter<'_>)| {
        w.object(|w| {
            w.str("type", kind);
            members(w);
            w.str("format", format);
            w.num("index", *index);
        });
        *index += 1;
    };
    let encrypted = |w: &mut JsonWriter<'_>, slot: &Slot<'_>| {
        if let (Some(id), false) = (&slot.signature.item_id, carried) {
            w.str("id", id);
        }
        w.str("data", slot.value);
    };
    match (text, slot) {
        (ReasoningText::Summary(paragraphs), slot) if !carried => {
            for paragraph in paragraphs {
                entry(w, "reasoning.summary", &|w| w.str("summary", paragraph));
            }
            if let Some(slot) = slot {
                entry(w, "reasoning.encrypted", &|w| encrypted(w, slot));
            }
        }
        (text, Some(slot)) => {
            let text = text.joined();
            let hidden = matches!(slot.signature.kind, SignatureKind::Redacted | SignatureKind::ReasoningItem)
                && text.is_empty();
            if hidden || (carried && (first || text.is_empty())) {
                entry(w, "reasoning.encrypted", &|w| encrypted(w, slot));
            } else {
                entry(w, "reasoning.text", &|w| {
                    if !text.is_empty() {
                        w.str("text", &text);
                    }
                    w.str("signature", slot.value);
                    if let Some(id) = &slot.signature.item_id {
                        w.str("id", id);
                    }
                });
            }
        }
        (text, None) => {
            let text = text.joined();
            if !text.is_empty() {
                entry(w, "reasoning.text", &|w| w.str("text", &text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> MessageReasoning {
        let body = Text::from(json);
        let message: super::super::types::ChatMessage<'_> = crate::json::from_text(&body).unwrap();
        Members {
            details: message.reasoning_details.as_ref(),
            blocks: message.thinking_blocks.as_ref(),
            reasoning_content: &message.reasoning_content,
            reasoning: &message.reasoning,
            calls: message.tool_calls.as_deref().unwrap_or_default(),
        }
        .read(Family::OpenAi, &body)
    }

    #[test]
    fn duplicates_of_the_text_are_read_once() {
        let message = read(
            r#"{"reasoning":"a","reasoning_content":"a","reasoning_details":[{"type":"reasoning.text","text":"a"}]}"#,
        );
        assert_eq!(message.parts, [full("a".into())]);
    }

    #[test]
    fn a_summary_and_its_encrypted_item_are_one_part() {
        let message = read(
            r#"{"reasoning":"s","reasoning_details":[
                {"type":"reasoning.summary","summary":"s","format":"openai-responses-v1","index":0},
                {"type":"reasoning.encrypted","data":"gAAA","id":"rs_1","format":"openai-responses-v1","index":1}]}"#,
        );
        let [part] = message.parts.as_slice() else { panic!("{message:?}") };
        let signature = part.signature.as_ref().unwrap();
        assert_eq!((signature.family, signature.kind), (Family::OpenAi, SignatureKind::ReasoningItem));
        assert_eq!(signature.item_id.as_deref(), Some("rs_1"));
        assert_eq!(visible(part).as_deref(), Some("s"));
    }

    #[test]
    fn pieces_of_a_stream_are_joined() {
        let message = read(
            r#"{"reasoning_details":[
                {"type":"reasoning.text","text":"a","format":"anthropic-claude-v1","index":0},
                {"type":"reasoning.text","text":"b","format":"anthropic-claude-v1","index":0},
                {"type":"reasoning.text","signature":"S","format":"anthropic-claude-v1","index":0},
                {"type":"reasoning.text","text":"c","signature":"T","format":"anthropic-claude-v1","index":1}]}"#,
        );
        let texts: Vec<_> = message.parts.iter().filter_map(visible).collect();
        assert_eq!(texts, ["ab", "c"]);
        assert_eq!(message.parts[0].signature.as_ref().unwrap().value, "S");
    }

    #[test]
    fn a_carrier_takes_the_text_of_reasoning_content() {
        let message = read(
            r#"{"reasoning_content":"one\n\ntwo","reasoning_details":[
                {"type":"reasoning.encrypted","data":"pp1.a.t.00000000.YQ.m","index":0},
                {"type":"reasoning.text","text":"two","signature":"pp1.a.t.00000000.Yg.m","index":1}]}"#,
        );
        let texts: Vec<_> = message.parts.iter().filter_map(visible).collect();
        assert_eq!(texts, ["one", "two"]);
        let hidden = read(
            r#"{"reasoning_content":"x","reasoning_details":[{"type":"reasoning.encrypted","data":"pp1.a.r.0.YQ.m"}]}"#,
        );
        assert_eq!(hidden.parts.len(), 2, "hidden reasoning has no text of its own: {hidden:?}");
    }

    #[test]
    fn thinking_blocks_of_relays_are_anthropic() {
        let message = read(
            r#"{"reasoning_content":"t","thinking_blocks":[{"type":"thinking","thinking":"t","signature":"E"},
                {"type":"redacted_thinking","data":"R"}]}"#,
        );
        let kinds: Vec<_> = message.parts.iter().map(|part| part.signature.as_ref().unwrap().kind).collect();
        assert_eq!(kinds, [SignatureKind::Thinking, SignatureKind::Redacted]);
        assert!(message.parts.iter().all(|part| part.signature.as_ref().unwrap().family == Family::Anthropic));
    }

    #[test]
    fn a_signature_that_names_a_call_goes_to_it() {
        let message = read(
            r#"{"tool_calls":[{"id":"tool_1","function":{"name":"f","arguments":"{}"}}],
                "reasoning_details":[{"type":"reasoning.encrypted","data":"Q2","id":"tool_1","format":"google-gemini-v1"}]}"#,
        );
        assert!(message.parts.is_empty());
        assert_eq!(message.calls[0].1.kind, SignatureKind::FunctionCall);
    }
}
