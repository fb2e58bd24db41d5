//! A whole answer.

use serde::{Deserialize, Serialize};

use crate::{Extras, Fault, Part, RawJson, Text, TokenLogprob, Usage};

/// An answer in the neutral form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The provider's id.
    pub id: Text,
    /// When it was made, Unix seconds, if the provider says.
    pub created: Option<i64>,
    /// The model that answered, as the provider names it.
    pub model: Text,
    /// The answers; one unless several were asked for.
    pub candidates: Vec<Candidate>,
    /// Set when the prompt itself was refused (Gemini `promptFeedback`).
    pub prompt_block: Option<PromptBlock>,
    /// Life cycle (Responses).
    pub status: ResponseStatus,
    /// What failed, if the status says so.
    pub error: Option<Fault>,
    /// Tokens.
    pub usage: Usage,
    /// Tier that served the request, in the provider's word.
    pub service_tier: Option<Text>,
    /// `system_fingerprint` (Chat).
    pub fingerprint: Option<Text>,
    /// Members without a slot.
    pub ext: Extras,
}

/// One answer of possibly several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its number, from 0.
    pub index: u32,
    /// What the model said.
    pub parts: Vec<Part>,
    /// Why it stopped.
    pub finish: FinishReason,
    /// The provider's own word for it.
    pub raw_finish: Option<Text>,
    /// Explanation given with it (Gemini `finishMessage`).
    pub finish_message: Option<Text>,
    /// Log probabilities of the whole text, where the provider gives them per answer (Chat, Gemini).
    pub logprobs: Vec<TokenLogprob>,
    /// Members without a slot.
    pub ext: Extras,
}

/// A refused prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptBlock {
    /// The provider's reason, e.g. `SAFETY`.
    pub reason: Text,
    /// Explanation, if any.
    pub message: Option<Text>,
    /// Ratings, verbatim.
    pub ratings: Option<RawJson>,
}

/// Life cycle of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ResponseStatus {
    #[default]
    Completed,
    Incomplete,
    Failed,
    InProgress,
    Cancelled,
    Queued,
}

/// Why the model stopped. The provider's own word is kept beside it (`raw_finish`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinishReason {
    /// It was done.
    #[default]
    Stop,
    /// A stop sequence; the text if known.
    StopSequence(Option<Text>),
    /// The token limit.
    MaxTokens,
    /// The context window is full.
    ContextWindow,
    /// It waits for results of client tools.
    ToolCalls,
    /// A long turn was paused (Messages `pause_turn`).
    PauseTurn,
    /// The provider wants to be asked to go on (Gemini `CONTINUATION`).
    Continuation,
    /// It declined. `OpenAI` models say so in a refusal part, Anthropic's classifier in a stop reason.
    Refusal {
        /// Anthropic's category.
        category: Option<Text>,
        /// Anthropic's explanation.
        explanation: Option<Text>,
    },
    /// A filter cut the answer; holds the provider's word.
    ContentFilter,
    /// It recited protected text (Gemini).
    Recitation,
    /// A tool call that cannot be read (Gemini).
    MalformedToolCall,
    /// A call of a tool that was not offered (Gemini).
    UnexpectedToolCall,
    /// Too many calls (Gemini).
    TooManyToolCalls,
    /// A signature was missing (Gemini).
    MissingSignature,
    /// History was summarised (Messages beta).
    Compaction,
    /// Another input took over (Responses).
    Steered,
    /// It was cancelled.
    Cancelled,
    /// The provider failed.
    Error,
    /// Anything else.
    Other,
}

impl FinishReason {
    /// Lower-case name for logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::StopSequence(_) => "stop_sequence",
            Self::MaxTokens => "max_tokens",
            Self::ContextWindow => "context_window",
            Self::ToolCalls => "tool_calls",
            Self::PauseTurn => "pause_turn",
            Self::Continuation => "continuation",
            Self::Refusal { .. } => "refusal",
            Self::ContentFilter => "content_filter",
            Self::Recitation => "recitation",
            Self::MalformedToolCall => "malformed_tool_call",
            Self::UnexpectedToolCall => "unexpected_tool_call",
            Self::TooManyToolCalls => "too_many_tool_calls",
            Self::MissingSignature => "missing_signature",
            Self::Compaction => "compaction",
            Self::Steered => "steered",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
            Self::Other => "other",
        }
    }
}

impl Response {
    /// The answer with the lowest number: what clients see whose protocol has only one.
    #[must_use]
    pub fn first(&self) -> Option<&Candidate> {
        self.candidates.iter().min_by_key(|candidate| candidate.index)
    }
}
