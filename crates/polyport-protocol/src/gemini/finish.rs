//! Why an answer ended, both ways.

use polyport_types::FinishReason;

/// What a `finishReason` means.
pub(super) fn read(word: &str) -> FinishReason {
    match word {
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::MaxTokens,
        "SAFETY"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "MODEL_ARMOR"
        | "LANGUAGE"
        | "ESCALATION" => FinishReason::ContentFilter,
        "RECITATION" | "IMAGE_RECITATION" => FinishReason::Recitation,
        "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" => FinishReason::MalformedToolCall,
        "UNEXPECTED_TOOL_CALL" => FinishReason::UnexpectedToolCall,
        "TOO_MANY_TOOL_CALLS" => FinishReason::TooManyToolCalls,
        "MISSING_THOUGHT_SIGNATURE" => FinishReason::MissingSignature,
        "CONTINUATION" => FinishReason::Continuation,
        _ => FinishReason::Other,
    }
}

/// There is no word for "waiting for tools": an ordinary end with calls is one.
pub(super) fn raise(reason: FinishReason, has_calls: bool) -> FinishReason {
    match reason {
        FinishReason::Stop | FinishReason::Other if has_calls => FinishReason::ToolCalls,
        other => other,
    }
}

/// The word for a reason; `raw` is the provider's own if it speaks this protocol.
pub(super) fn word<'w>(reason: &FinishReason, raw: Option<&'w str>) -> &'w str {
    if let Some(raw) = raw.filter(|raw| !raw.is_empty()) {
        return raw;
    }
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls | FinishReason::Compaction => {
            "STOP"
        }
        FinishReason::MaxTokens | FinishReason::ContextWindow | FinishReason::PauseTurn => "MAX_TOKENS",
        FinishReason::Continuation => "CONTINUATION",
        FinishReason::Refusal { .. } | FinishReason::ContentFilter => "SAFETY",
        FinishReason::Recitation => "RECITATION",
        FinishReason::MalformedToolCall => "MALFORMED_FUNCTION_CALL",
        FinishReason::UnexpectedToolCall => "UNEXPECTED_TOOL_CALL",
        FinishReason::TooManyToolCalls => "TOO_MANY_TOOL_CALLS",
        FinishReason::MissingSignature => "MISSING_THOUGHT_SIGNATURE",
        FinishReason::Steered | FinishReason::Cancelled | FinishReason::Error | FinishReason::Other => "OTHER",
    }
}
