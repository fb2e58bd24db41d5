//! Steps of a stream.
//!
//! Rules that every decoder keeps and every encoder relies on (checked by [`crate::Validator`] in tests and debug builds):
//!
//! 1. [`Event::Start`] first and once; [`Event::End`] last and once; nothing but `End` after [`Event::Error`].
//! 2. A delta names an open part; [`Event::PartEnd`] once per part; a [`PartId`] is never reused.
//! 3. Of one choice, text, refusal and reasoning parts never overlap one another; tool calls and server tool calls may overlap
//!    anything of their own kinds.
//! 4. Call ids are unique in the answer; id and name are not empty.
//! 5. The argument pieces of a function call form a JSON value when the part ends `Complete`. No piece at all stands for `{}`.
//! 6. After [`Event::Finish`] of a choice only usage, opaque events, pings, errors and the end follow for it.
//! 7. The reason is `ToolCalls` only if a client tool call of that choice completed.
//! 8. Usage totals are absolute; the last one counts.
//! 9. Deltas are never empty.
//! 10. Answers are numbered from 0, and none below [`MAX_CHOICES`] is left out: those that are finished when the stream ends well
//!     are 0 to n. They may begin in any order.

use serde::{Deserialize, Serialize};

use crate::{
    Citation, Extras, Fault, FinishReason, Part, PartStatus, PromptBlock, Protocol, RawJson, ServerToolKind, Signature,
    Text, TokenLogprob, ToolCallKind, Usage,
};

/// The most answers that can be asked for.
pub const MAX_CHOICES: u32 = 128;

/// Number of a part inside one stream, counted by the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartId(pub u32);

/// One step of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The answer begins.
    Start(Box<StreamStart>),
    /// A part begins that grows by deltas.
    PartStart {
        /// Its number.
        part: PartId,
        /// The answer it belongs to, 0 unless several were asked for.
        choice: u32,
        /// What it is.
        start: PartStart,
    },
    /// Text of a text, refusal or reasoning part; a piece of tool arguments (or of free-form input).
    Delta {
        /// The part.
        part: PartId,
        /// The characters, never empty.
        text: Text,
    },
    /// The next summary paragraph of a reasoning part begins (Responses); the first needs no break.
    SummaryBreak {
        /// The part.
        part: PartId,
    },
    /// The signature of a reasoning or text part; at most one per part, the last thing before its end.
    Signature {
        /// The part.
        part: PartId,
        /// The signature.
        signature: Box<Signature>,
    },
    /// A citation inside a text part.
    Citation {
        /// The part.
        part: PartId,
        /// The citation.
        citation: Box<Citation>,
    },
    /// Log probabilities of the text just sent.
    Logprobs {
        /// The answer.
        choice: u32,
        /// The part, where the provider ties them to one.
        part: Option<PartId>,
        /// The tokens.
        tokens: Vec<TokenLogprob>,
    },
    /// A part is whole (or will not become so).
    PartEnd {
        /// The part.
        part: PartId,
        /// Whether it is whole.
        status: PartStatus,
    },
    /// A part that arrives in one piece: images, results of server tools, hidden reasoning, opaque items.
    Part {
        /// The answer it belongs to.
        choice: u32,
        /// The part.
        part: Box<Part>,
    },
    /// Tokens so far, absolute.
    Usage(Box<Usage>),
    /// One answer is finished.
    Finish(Box<Finish>),
    /// The stream failed. Only `End` follows.
    Error(Box<Fault>),
    /// The provider is alive.
    Ping,
    /// An event of one protocol without an equal; only an encoder of the same protocol may use it.
    Opaque {
        /// Where it came from.
        protocol: Protocol,
        /// Its name.
        name: Text,
        /// Its data.
        raw: RawJson,
    },
    /// The body ended. Always last.
    End,
}

/// Facts known when an answer begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamStart {
    /// The provider's id.
    pub id: Text,
    /// The model that answers, as the provider names it.
    pub model: Text,
    /// Unix seconds, if the provider says.
    pub created: Option<i64>,
    /// Tier, if the provider says.
    pub service_tier: Option<Text>,
    /// `system_fingerprint` (Chat).
    pub fingerprint: Option<Text>,
    /// Members without a slot.
    pub ext: Extras,
}

/// What a growing part is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PartStart {
    /// Text.
    Text {
        /// Id of the wire item, if any.
        item_id: Option<Text>,
        /// Responses `phase` of the message.
        phase: Option<Text>,
    },
    /// The model's words for not answering.
    Refusal,
    /// Reasoning.
    Reasoning {
        /// Id of the wire item, if any.
        item_id: Option<Text>,
        /// The text is a summary, not the full reasoning.
        summary: bool,
    },
    /// A call of a client tool.
    ToolCall(Box<ToolCallStart>),
    /// A call of a tool that the provider runs; its input arrives as deltas of JSON.
    ServerToolCall(Box<ServerToolCallStart>),
}

/// Facts known when a tool call begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCallStart {
    /// Links the result to the call. Not empty.
    pub id: Text,
    /// The tool's name. Not empty.
    pub name: Text,
    /// Namespace (Responses).
    pub namespace: Option<Text>,
    /// Function, free-form or built-in.
    pub kind: ToolCallKind,
    /// Id of the wire item, if any.
    pub item_id: Option<Text>,
    /// A signature that came with the call (Gemini): known now so that encoders can place its carrier before the call.
    pub signature: Option<Signature>,
    /// Who made the call, verbatim.
    pub caller: Option<RawJson>,
    /// Members without a slot.
    pub ext: Extras,
}

/// Facts known when a server tool call begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerToolCallStart {
    /// The provider's id.
    pub id: Text,
    /// Which tool.
    pub tool: ServerToolKind,
    /// Its wire name.
    pub name: Text,
    /// The protocol it comes from.
    pub protocol: Protocol,
    /// Members without a slot.
    pub ext: Extras,
}

/// One answer is finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    /// Which answer.
    pub choice: u32,
    /// Why.
    pub reason: FinishReason,
    /// The provider's own word.
    pub raw: Option<Text>,
    /// Explanation given with it.
    pub message: Option<Text>,
    /// Set when the prompt itself was refused.
    pub prompt_block: Option<PromptBlock>,
    /// Members without a slot.
    pub ext: Extras,
}
