//! Why an answer ended, both ways.

use std::borrow::Cow;

use polyport_types::{Extras, FinishReason, PartStatus, PromptBlock, Protocol, RawJson, Text};

use super::types::StopDetails;
use crate::json::JsonWriter;

/// Reads `stop_reason` and its relatives.
pub(super) fn read(reason: Option<&str>, sequence: Option<Text>, details: Option<&RawJson>) -> FinishReason {
    match reason {
        Some("end_turn") => FinishReason::Stop,
        Some("max_tokens") => FinishReason::MaxTokens,
        Some("stop_sequence") => FinishReason::StopSequence(sequence),
        Some("tool_use") => FinishReason::ToolCalls,
        Some("pause_turn") => FinishReason::PauseTurn,
        Some("model_context_window_exceeded") => FinishReason::ContextWindow,
        Some("compaction") => FinishReason::Compaction,
        Some("refusal") => {
            let details = details.and_then(|raw| serde_json::from_str::<StopDetails<'_>>(raw.as_str()).ok());
            let (category, explanation) =
                details.map_or((None, None), |details| (details.category, details.explanation));
            FinishReason::Refusal {
                category: category.map(|text| Text::from(&*text)),
                explanation: explanation.map(|text| Text::from(&*text)),
            }
        }
        // Words of AWS.
        Some("guardrail_intervened" | "content_filtered") => FinishReason::ContentFilter,
        Some("malformed_tool_use") => FinishReason::MalformedToolCall,
        Some("malformed_model_output") => FinishReason::Error,
        None => FinishReason::Stop,
        Some(_) => FinishReason::Other,
    }
}

/// Which client tool calls an answer holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    /// One is complete.
    complete: bool,
    /// One cannot be read.
    broken: bool,
}

impl Calls {
    /// Notes a call that ended.
    pub(super) fn add(&mut self, status: PartStatus) {
        let whole = status == PartStatus::Complete;
        self.complete |= whole;
        self.broken |= !whole;
    }
}

/// A complete call means that its result is waited for, whatever the server says, and nothing else means that.
pub(super) fn settle(reason: FinishReason, calls: Calls) -> FinishReason {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::Other if calls.complete => {
            FinishReason::ToolCalls
        }
        FinishReason::ToolCalls if !calls.complete && calls.broken => FinishReason::MalformedToolCall,
        FinishReason::ToolCalls if !calls.complete => FinishReason::Stop,
        reason => reason,
    }
}

/// What is known about the end of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) reason: &'a FinishReason,
    /// The provider's own word.
    pub(super) raw: Option<&'a str>,
    /// Its explanation.
    pub(super) message: Option<&'a str>,
    pub(super) prompt_block: Option<&'a PromptBlock>,
    pub(super) ext: &'a Extras,
    /// The model's own words for not answering.
    pub(super) refusal: Option<&'a str>,
    /// There is text to read besides.
    pub(super) has_text: bool,
    /// A call of a client tool is among it.
    pub(super) called: bool,
    pub(super) provider: Protocol,
}

/// `stop_reason`, `stop_sequence` and `stop_details` for a client.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stop<'a> {
    pub(super) reason: &'a str,
    pub(super) sequence: Option<&'a str>,
    details: Details<'a>,
}

#[derive(Clone, Debug, PartialEq)]
enum Details<'a> {
    None,
    Raw(&'a RawJson),
    Refusal { category: Option<&'a str>, explanation: Option<Cow<'a, str>> },
}

impl<'a> Stop<'a> {
    /// `None` if the end is a failure that this protocol can only say as an error.
    pub(super) fn of(end: End<'a>) -> Option<Self> {
        let plain = |reason| Some(Self { reason, sequence: None, details: Details::None });
        // Readers run a call they were given only if the answer says that it waits for it.
        let done = || plain(if end.called { "tool_use" } else { "end_turn" });
        let own = end.provider == Protocol::Messages;
        if let Some(block) = end.prompt_block {
            let message = block.message.as_deref().map_or_else(
                || Cow::Owned(format!("Prompt blocked by the upstream ({})", block.reason)),
                Cow::Borrowed,
            );
            return Some(Self::refusal(None, Some(message)));
        }
        match end.reason {
            FinishReason::Stop if end.refusal.is_some() => Some(Self::refusal(None, end.refusal.map(Cow::Borrowed))),
            FinishReason::Stop => done(),
            FinishReason::StopSequence(Some(sequence)) => {
                Some(Self { reason: "stop_sequence", sequence: Some(sequence), details: Details::None })
            }
            // Which sequence it was is the whole of what a client could learn from it.
            FinishReason::StopSequence(None) if own => plain("stop_sequence"),
            FinishReason::StopSequence(None) => done(),
            FinishReason::MaxTokens | FinishReason::Continuation | FinishReason::Steered => plain("max_tokens"),
            FinishReason::ContextWindow => plain("model_context_window_exceeded"),
            FinishReason::ToolCalls => plain("tool_use"),
            FinishReason::PauseTurn => plain("pause_turn"),
            FinishReason::Compaction => plain("compaction"),
            FinishReason::Refusal { category, explanation } => {
                Some(match end.ext.get("stop_details").filter(|_| own) {
                    Some(raw) => Self { reason: "refusal", sequence: None, details: Details::Raw(raw) },
                    None if own && category.is_none() && explanation.is_none() => {
                        Self { reason: "refusal", sequence: None, details: Details::None }
                    }
                    None => {
                        let explanation = explanation.as_deref().or(end.refusal).or(end.message);
                        Self::refusal(category.as_deref(), explanation.map(Cow::Borrowed))
                    }
                })
            }
            FinishReason::ContentFilter | FinishReason::Recitation => {
                let explanation = end.message.or(end.refusal).or(end.raw).map(Cow::Borrowed);
                Some(Self::refusal(None, explanation))
            }
            FinishReason::MalformedToolCall if own => plain(end.raw.unwrap_or("end_turn")),
            FinishReason::Other if own => plain(end.raw.unwrap_or("end_turn")),
            FinishReason::Other => done(),
            FinishReason::MalformedToolCall
            | FinishReason::UnexpectedToolCall
            | FinishReason::TooManyToolCalls
            | FinishReason::MissingSignature
                if end.has_text =>
            {
                done()
            }
            FinishReason::MalformedToolCall
            | FinishReason::UnexpectedToolCall
            | FinishReason::TooManyToolCalls
            | FinishReason::MissingSignature
            | FinishReason::Cancelled
            | FinishReason::Error => None,
        }
    }

    fn refusal(category: Option<&'a str>, explanation: Option<Cow<'a, str>>) -> Self {
        Self { reason: "refusal", sequence: None, details: Details::Refusal { category, explanation } }
    }

    /// Writes the three members.
    pub(super) fn write(&self, w: &mut JsonWriter<'_>) {
        w.str("stop_reason", self.reason);
        match self.sequence {
            Some(sequence) => w.str("stop_sequence", sequence),
            None => w.null("stop_sequence"),
        }
        match &self.details {
            Details::None => {}
            Details::Raw(raw) => w.raw("stop_details", raw),
            Details::Refusal { category, explanation } => w.object_field("stop_details", |w| {
                w.str("type", "refusal");
                match category {
                    Some(category) => w.str("category", category),
                    None => w.null("category"),
                }
                match explanation {
                    Some(explanation) => w.str("explanation", explanation),
                    None => w.null("explanation"),
                }
            }),
        }
    }
}

/// What a failure is called that a finish reason stands for.
pub(super) fn failure(reason: &FinishReason, raw: Option<&str>, message: Option<&str>) -> polyport_types::Fault {
    use polyport_types::{Fault, FaultClass};
    let class = match reason {
        FinishReason::MalformedToolCall | FinishReason::UnexpectedToolCall | FinishReason::TooManyToolCalls => {
            FaultClass::ToolUseFailed
        }
        _ => FaultClass::ServerError,
    };
    let word = raw.map(|raw| format!(" ({raw})")).unwrap_or_default();
    let message = message.map_or_else(|| format!("the provider failed to finish the answer{word}"), str::to_owned);
    Fault { from_upstream: true, ..Fault::new(class, message) }
}
