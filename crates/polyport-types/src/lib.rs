//! The nouns of Polyport.
//!
//! Every protocol is translated through the neutral form defined here: a [`Request`] goes to a provider,
//! [`Event`]s (or one whole [`Response`]) come back. Nothing in this crate does I/O, reads a clock or knows a wire format.
//!
//! | module | nouns |
//! |---|---|
//! | [`protocol`] | [`Protocol`], [`ClientProtocol`] |
//! | [`text`] | [`Text`] (shared UTF-8), [`RawJson`] (verbatim JSON), [`Extras`] (fields without a slot) |
//! | [`request`] | [`Request`], [`Message`], sampling, limits, reasoning, caching, state |
//! | [`part`] | [`Part`]: text, media, tool calls and results, reasoning, citations, signatures |
//! | [`tool`] | [`Tool`], [`ToolChoice`] |
//! | [`response`] | [`Response`], [`Candidate`], [`FinishReason`] |
//! | [`event`] | [`Event`]: one step of a stream |
//! | [`usage`] | [`Usage`] in disjoint classes |
//! | [`loss`] | [`Loss`], the report of what a target cannot express |
//! | [`pattern`] | [`Pattern`]: model names with `*` |
//! | [`model_name`] | dates in model names |
//! | [`fault`] | [`Fault`]: an error as a client sees it |
#![warn(missing_docs)]

pub mod event;
pub mod fault;
pub mod loss;
pub mod model_name;
pub mod part;
pub mod pattern;
pub mod protocol;
pub mod request;
pub mod response;
pub mod secret;
pub mod text;
pub mod tool;
pub mod usage;
pub mod validate;

pub use event::{Event, Finish, MAX_CHOICES, PartId, PartStart, ServerToolCallStart, StreamStart, ToolCallStart};
pub use fault::{Fault, FaultClass};
pub use loss::{Loss, LossAction, LossCode, Losses, Severity};
pub use part::{
    CacheMark, CacheTtl, Citation, CitationKind, CodeOutcome, Document, DocumentSource, Family, ImageDetail, IndexUnit,
    Media, MediaSource, Part, PartKind, PartStatus, Reasoning, ReasoningText, SearchResult, ServerToolCall,
    ServerToolResult, Signature, SignatureKind, Span, TextPart, TokenLogprob, ToolCall, ToolCallKind, ToolResult,
};
pub use pattern::Pattern;
pub use protocol::{ClientProtocol, Protocol};
pub use request::{
    Authority, CacheControl, Effort, Instruction, Limits, Message, Modality, ReasoningControl, ReasoningMode,
    ReasoningVisibility, Request, ResponseFormat, Role, Sampling, State, StreamOptions, Verbosity,
};
pub use response::{Candidate, FinishReason, PromptBlock, Response, ResponseStatus};
pub use secret::Secret;
pub use text::{Extras, RawJson, Text};
pub use tool::{
    CustomFormat, CustomTool, FunctionTool, GrammarSyntax, McpServer, ServerTool, ServerToolKind, Tool, ToolChoice,
    ToolRef, UserLocation,
};
pub use usage::{ModalityTokens, Usage};
pub use validate::Validator;
