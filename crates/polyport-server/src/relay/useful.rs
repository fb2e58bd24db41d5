//! Whether what a provider called an answer is one.

use polyport_types::{Event, Fault, FaultClass, FinishReason, Part, PartId, PartKind, PartStart};

/// What an answer holds beside reasoning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    Nothing,
    /// Calls of the client's tools alone.
    Calls,
    /// Something that can be shown.
    Shown,
}

impl Content {
    pub(super) fn of(parts: &[Part]) -> Self {
        let kinds = parts.iter().map(|part| match &part.kind {
            PartKind::Text(text) if text.text.trim().is_empty() => Self::Nothing,
            PartKind::Reasoning(_) => Self::Nothing,
            PartKind::ToolCall(_) => Self::Calls,
            _ => Self::Shown,
        });
        kinds.max().unwrap_or(Self::Nothing)
    }
}

/// Calls at the beginning of a stream whose finish may yet say that they were a mistake. Gemini gives calls whole, so waiting for the
/// finish costs little; the other protocols never take one back.
#[derive(Debug)]
pub(super) struct Revocable {
    possible: bool,
    parts: Vec<PartId>,
}

impl Revocable {
    pub(super) fn new(possible: bool) -> Self {
        Self { possible, parts: Vec::new() }
    }

    /// Whether the event belongs to such a call.
    pub(super) fn hold(&mut self, event: &Event) -> bool {
        match event {
            Event::PartStart { part, start: PartStart::ToolCall(_), .. } if self.possible => {
                self.parts.push(*part);
                true
            }
            Event::Delta { part, .. } | Event::PartEnd { part, .. } => self.parts.contains(part),
            _ => false,
        }
    }

    /// What was held.
    pub(super) fn content(&self) -> Content {
        if self.parts.is_empty() { Content::Nothing } else { Content::Calls }
    }
}

/// An answer that is nothing but a failure of generation is no answer: it may be asked for once more. Calls that the provider
/// itself calls a mistake are no content.
pub(super) fn useful(finish: &FinishReason, content: Content) -> Result<(), Fault> {
    let failed = match finish {
        FinishReason::Error => {
            let fault = Fault::new(FaultClass::ServerError, "the provider failed to finish the answer");
            return Err(Fault { from_upstream: true, ..fault });
        }
        FinishReason::Other if content == Content::Nothing => "the model's answer is empty",
        _ if content == Content::Shown => return Ok(()),
        FinishReason::MalformedToolCall => "the model wrote a tool call that cannot be read",
        FinishReason::UnexpectedToolCall => "the model called a tool that was not offered",
        FinishReason::TooManyToolCalls => "the model called too many tools",
        FinishReason::MissingSignature => "the provider misses the signature of earlier reasoning",
        _ => return Ok(()),
    };
    Err(Fault { from_upstream: true, ..Fault::new(FaultClass::ToolUseFailed, failed) })
}
