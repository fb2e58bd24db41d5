//! What a client of this protocol gets to see of an answer: the rules that whole answers and streams share.

use std::borrow::Cow;

use polyport_types::{
    Citation, Extras, Family, Part, PartKind, PartStatus, Protocol, RawJson, Reasoning, ReasoningMode, ReasoningText,
    ReasoningVisibility, ServerToolCall, ServerToolKind, Signature, SignatureKind, Text, TextPart, ToolCall,
    ToolCallKind,
};

use super::ids::CallIds;
use super::words::{code_result, fenced};
use super::write::splice;
use crate::carrier::{self, Placement};
use crate::context::ClientContext;
use crate::json::{JsonWriter, write_str};
use crate::repair::{self, Repaired};

/// What stands for an image: this protocol has no slot for images the model makes.
pub(super) const IMAGE_NOTE: &str = "[image omitted]";

/// How much of the reasoning the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing, not even signatures: applications that did not ask for thinking may fail on its blocks.
    None,
    /// The signatures without the text.
    Signatures,
    /// Everything.
    Full,
}

impl Sight {
    pub(super) fn of(context: &ClientContext) -> Self {
        let control = context.request.reasoning.as_ref();
        match control.map_or(ReasoningMode::Unset, |control| control.mode) {
            ReasoningMode::Off => Self::None,
            // The provider's own model thinks by default and says so: then the client has been told by its documentation.
            ReasoningMode::Unset if is_own(context) => Self::Full,
            ReasoningMode::Unset => Self::None,
            ReasoningMode::On | ReasoningMode::Adaptive | ReasoningMode::BetweenTools => {
                match control.and_then(|control| control.visibility) {
                    Some(ReasoningVisibility::Omitted) => Self::Signatures,
                    Some(ReasoningVisibility::Summary | ReasoningVisibility::Full) | None => Self::Full,
                }
            }
        }
    }
}

/// Whether the provider speaks the client's protocol: what is its own needs no translation.
pub(super) fn is_own(context: &ClientContext) -> bool {
    context.provider == Protocol::Messages
}

/// The answer's id: the provider's if it is of this protocol.
pub(super) fn message_id(context: &ClientContext, id: &Text) -> Text {
    if is_own(context) && !id.is_empty() { id.clone() } else { format!("msg_{}", context.id).into() }
}

/// The model's words for not answering.
pub(super) fn refusal(parts: &[Part]) -> Option<Text> {
    parts.iter().find_map(|part| match &part.kind {
        PartKind::Refusal(text) => Some(text.clone()),
        _ => None,
    })
}

/// What stands in the `signature` of a thinking block whose provider did not sign it: the field is required, and the block
/// must be known again when it comes back.
pub(super) fn unsigned(context: &ClientContext) -> Text {
    let (family, kind) = match context.provider {
        Protocol::Messages => return Text::new(),
        Protocol::Gemini => (Family::Google, SignatureKind::Part),
        Protocol::Responses => (Family::OpenAi, SignatureKind::ReasoningItem),
        Protocol::Chat => (Family::Unknown, SignatureKind::Thinking),
    };
    context.carried(&Signature::new(family, kind, ""), Placement::Own).unwrap_or_default()
}

/// Whether the provider signs texts: this protocol has no slot for that.
pub(super) fn signs_text(context: &ClientContext) -> bool {
    context.provider == Protocol::Gemini
}

/// The signature of a text, under the name it has in the side table.
pub(super) fn signed_text(part: &Part) -> Option<(Text, &Signature)> {
    let PartKind::Text(text) = &part.kind else { return None };
    let signature = part.signature.as_ref().filter(|_| !text.text.is_empty())?;
    Some((carrier::text_anchor(&text.text), signature))
}

/// The parts with a last signature at the text before it: standing alone it would become a block of its own, and clients take the last
/// block for the answer.
pub(super) fn signed(parts: &[Part]) -> Cow<'_, [Part]> {
    let [rest @ .., text, last] = parts else { return Cow::Borrowed(parts) };
    let says = matches!(&text.kind, PartKind::Text(text) if !text.text.is_empty());
    let says_nothing = match &last.kind {
        PartKind::Text(text) => text.text.is_empty(),
        PartKind::Reasoning(reasoning) => reasoning.text == ReasoningText::None,
        _ => false,
    };
    let signs = last.signature.as_ref().is_some_and(|signature| signature.kind == SignatureKind::Part);
    if !says || !says_nothing || !signs || text.signature.is_some() {
        return Cow::Borrowed(parts);
    }
    let text = Part { signature: last.signature.clone(), ..text.clone() };
    Cow::Owned([rest, &[text]].concat())
}

/// One block of a whole answer.
#[derive(Debug)]
pub(super) enum Piece<'p> {
    Text {
        text: Cow<'p, str>,
        citations: &'p [Citation],
    },
    Thinking {
        text: Text,
        signature: Text,
    },
    Redacted(Text),
    ToolUse {
        call: &'p ToolCall,
        id: Text,
        input: Cow<'p, str>,
        ext: &'p Extras,
    },
    ServerToolUse {
        call: &'p ServerToolCall,
        ext: &'p Extras,
    },
    ContainerUpload {
        file_id: &'p Text,
        ext: &'p Extras,
    },
    /// A block of the provider's own, verbatim.
    Raw(&'p RawJson),
}

impl<'p> Piece<'p> {
    fn text(text: impl Into<Cow<'p, str>>) -> Self {
        Self::Text { text: text.into(), citations: &[] }
    }

    /// Writes the members of the block.
    pub(super) fn members(&self, w: &mut JsonWriter<'_>, context: &ClientContext) {
        let own = is_own(context);
        match self {
            Self::Text { text, citations } => {
                w.str("type", "text");
                w.str("text", text);
                let mut citations = citations.iter().filter_map(|one| one.raw.as_ref()).peekable();
                if own && citations.peek().is_some() {
                    w.array_field("citations", |w| citations.for_each(|raw| w.raw_value(raw.as_str())));
                }
            }
            Self::Thinking { text, signature } => {
                w.str("type", "thinking");
                w.str("thinking", text);
                w.str("signature", signature);
            }
            Self::Redacted(data) => {
                w.str("type", "redacted_thinking");
                w.str("data", data);
            }
            Self::ToolUse { call, id, input, ext } => {
                w.str("type", "tool_use");
                w.str("id", id);
                w.str("name", &call.name);
                w.key("input");
                w.raw_value(input);
                if own {
                    w.opt_raw("caller", call.caller.as_ref());
                    w.extras(ext);
                }
            }
            Self::ServerToolUse { call, ext } => {
                server_tool_head(w, &call.tool, &call.id, &call.name);
                w.raw("input", &call.input);
                w.extras(ext);
            }
            Self::ContainerUpload { file_id, ext } => {
                w.str("type", "container_upload");
                w.str("file_id", file_id);
                w.extras(ext);
            }
            Self::Raw(raw) => splice(w, raw, &[]),
        }
    }
}

/// The first members of a call of the provider's own tool.
pub(super) fn server_tool_head(w: &mut JsonWriter<'_>, tool: &ServerToolKind, id: &str, name: &str) {
    w.str("type", if *tool == ServerToolKind::Mcp { "mcp_tool_use" } else { "server_tool_use" });
    w.str("id", id);
    w.str("name", name);
}

/// The input of a call as an object; `None` if the call was cut and nothing can be made of it.
pub(super) fn input<'p>(kind: &ToolCallKind, arguments: &'p str, status: PartStatus) -> Option<Cow<'p, str>> {
    if *kind == ToolCallKind::Custom {
        let mut input = b"{\"input\":".to_vec();
        write_str(&mut input, arguments);
        input.push(b'}');
        return String::from_utf8(input).ok().map(Cow::Owned);
    }
    let (input, repaired) = repair::arguments_object(arguments);
    (repaired != Repaired::Raw || status == PartStatus::Complete).then_some(input)
}

/// Turns the parts of one answer into blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) sight: Sight,
    pub(super) ids: CallIds,
}

impl Blocks {
    pub(super) fn new(context: &ClientContext) -> Self {
        Self { sight: Sight::of(context), ids: CallIds::default() }
    }

    /// The blocks a part becomes; none if the client cannot be given anything of it.
    pub(super) fn pieces<'p>(&mut self, context: &ClientContext, part: &'p Part) -> Vec<Piece<'p>> {
        let own = is_own(context);
        match &part.kind {
            PartKind::Text(text) => self.text(context, part, text),
            PartKind::Refusal(text) => nonempty(text),
            PartKind::Reasoning(reasoning) => self.reasoning(context, part, reasoning).into_iter().collect(),
            PartKind::ToolCall(call) => self.tool_use(context, part, call),
            PartKind::ServerToolCall(call) if own && call.protocol == Protocol::Messages => match &call.raw {
                Some(raw) => vec![Piece::Raw(raw)],
                None => vec![Piece::ServerToolUse { call, ext: &part.ext }],
            },
            PartKind::ServerToolResult(result) if own && result.protocol == Protocol::Messages => {
                result.raw.iter().map(Piece::Raw).collect()
            }
            PartKind::Compaction { raw, .. } if own => vec![Piece::Raw(raw)],
            PartKind::Compaction { content, .. } => content.iter().flat_map(nonempty).collect(),
            PartKind::Opaque { protocol: Protocol::Messages, raw, .. } if own => vec![Piece::Raw(raw)],
            PartKind::ContainerUpload { file_id } if own => vec![Piece::ContainerUpload { file_id, ext: &part.ext }],
            PartKind::Image(_) => vec![Piece::text(IMAGE_NOTE)],
            PartKind::Audio(media) => media.transcript.iter().flat_map(nonempty).collect(),
            PartKind::ExecutableCode { language, code, .. } => vec![Piece::text(fenced(language, code))],
            PartKind::CodeResult { outcome, output, .. } => vec![Piece::text(code_result(outcome, output))],
            PartKind::ServerToolCall(_)
            | PartKind::ServerToolResult(_)
            | PartKind::Opaque { .. }
            | PartKind::ContainerUpload { .. }
            | PartKind::Document(_)
            | PartKind::Video(_)
            | PartKind::SearchResult(_)
            | PartKind::ToolResult(_)
            | PartKind::ItemReference { .. }
            | PartKind::ToolReference { .. } => Vec::new(),
        }
    }

    fn text<'p>(&self, context: &ClientContext, part: &'p Part, text: &'p TextPart) -> Vec<Piece<'p>> {
        let placement = if text.text.is_empty() { Placement::Alone } else { Placement::Next };
        let mut pieces: Vec<Piece<'p>> =
            self.carrier(context, part.signature.as_ref(), placement).into_iter().collect();
        if !text.text.is_empty() {
            pieces.push(Piece::Text { text: Cow::Borrowed(&text.text), citations: &text.citations });
        }
        pieces
    }

    /// A block that does nothing but carry a signature of another provider.
    fn carrier(
        &self,
        context: &ClientContext,
        signature: Option<&Signature>,
        placement: Placement,
    ) -> Option<Piece<'static>> {
        let signature = signature.filter(|_| self.sight != Sight::None)?;
        context.carried(signature, placement).filter(|data| !data.is_empty()).map(Piece::Redacted)
    }

    fn reasoning(&self, context: &ClientContext, part: &Part, reasoning: &Reasoning) -> Option<Piece<'static>> {
        if self.sight == Sight::None {
            return None;
        }
        let visible = self.sight == Sight::Full;
        let text = if visible { reasoning.text.joined() } else { Text::new() };
        let signature = part.signature.as_ref();
        let signature = signature.filter(|signature| !signature.value.is_empty());
        let native = signature.filter(|signature| signature.family == Family::Anthropic);
        match native.map(|signature| signature.kind) {
            Some(SignatureKind::Redacted) => Some(Piece::Redacted(native?.value.clone())),
            Some(_) => Some(Piece::Thinking { text, signature: native?.value.clone() }),
            None if text.is_empty() => self.carrier(context, signature, Placement::Own),
            None => {
                let signature = signature.and_then(|signature| context.carried(signature, Placement::Own));
                Some(Piece::Thinking { text, signature: signature.unwrap_or_else(|| unsigned(context)) })
            }
        }
    }

    fn tool_use<'p>(&mut self, context: &ClientContext, part: &'p Part, call: &'p ToolCall) -> Vec<Piece<'p>> {
        let Some(input) = input(&call.kind, &call.arguments, call.status) else { return Vec::new() };
        let carrier = self.carrier(context, part.signature.as_ref(), Placement::Next);
        let mut pieces: Vec<Piece<'p>> = carrier.into_iter().collect();
        pieces.push(Piece::ToolUse { call, id: self.ids.safe(&call.id), input, ext: &part.ext });
        pieces
    }
}

fn nonempty(text: &Text) -> Vec<Piece<'_>> {
    if text.is_empty() { Vec::new() } else { vec![Piece::text(&**text)] }
}
