//! Finish reasons: the words of the protocol, and those of servers that forget to translate their own.

use polyport_types::{Fault, FaultClass, FinishReason, Text};

/// What a finish reason says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The answer is finished.
    Finished(FinishReason),
    /// The provider failed in the middle.
    Failed(Box<Fault>),
}

/// Reads a finish reason; `None` where it is none yet.
pub(super) fn read(raw: &str) -> Option<Verdict> {
    let word = raw.trim().to_ascii_lowercase();
    Some(Verdict::Finished(match word.as_str() {
        "" | "null" => return None,
        "stop" | "eos" | "eos_token" | "end_turn" | "complete" | "completed" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence(None),
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => FinishReason::MaxTokens,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_calls" | "function_call" | "tool_call" | "tool_use" => FinishReason::ToolCalls,
        "content_filter" | "sensitive" | "safety" | "blocklist" | "prohibited_content" | "spii" | "image_safety" => {
            FinishReason::ContentFilter
        }
        "refusal" => FinishReason::Refusal { category: None, explanation: None },
        "recitation" => FinishReason::Recitation,
        "pause_turn" => FinishReason::PauseTurn,
        "malformed_function_call" => FinishReason::MalformedToolCall,
        "error" | "network_error" => return Some(failed(FaultClass::ServerError, raw)),
        "insufficient_system_resource" => return Some(failed(FaultClass::Overloaded, raw)),
        _ => FinishReason::Other,
    }))
}

/// Whether a finish reason says that the answer was cut short or refused, not only that it is over.
pub(crate) fn is_cut_short(raw: &str) -> bool {
    use FinishReason::{Other, Stop, StopSequence, ToolCalls};
    !matches!(read(raw), None | Some(Verdict::Finished(Stop | StopSequence(_) | ToolCalls | Other)))
}

fn failed(class: FaultClass, raw: &str) -> Verdict {
    let raw: String = raw.chars().take(64).collect();
    Verdict::Failed(Box::new(Fault {
        code: Some(Text::from(raw.as_str())),
        from_upstream: true,
        ..Fault::new(class, format!("the provider broke the answer off with finish reason `{raw}`"))
    }))
}

/// Of two finish reasons in one answer the first that is not a plain stop counts.
pub(super) fn outweighs(new: &FinishReason, old: &FinishReason) -> bool {
    *old == FinishReason::Stop && *new != FinishReason::Stop
}

/// The reason in the light of what came: a call that is complete waits for its result, whatever the server calls that, unless
/// the answer was cut or refused; without one nothing is waited for.
pub(super) fn in_the_light_of(reason: FinishReason, completed_calls: bool) -> FinishReason {
    match (reason, completed_calls) {
        (FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::Other | FinishReason::ToolCalls, true) => {
            FinishReason::ToolCalls
        }
        (FinishReason::ToolCalls, false) => FinishReason::Stop,
        (reason, _) => reason,
    }
}

/// What a message holds that decides about the word for its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    /// There are calls.
    pub(super) calls: bool,
    /// There is text or a refusal.
    pub(super) words: bool,
    /// The model declined in words of its own.
    pub(super) refusal: bool,
}

/// The word for a client; `None` where only an error says it.
pub(super) fn word(reason: &FinishReason, held: Held) -> Option<&'static str> {
    Some(match reason {
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        | FinishReason::Other
        | FinishReason::Compaction
        | FinishReason::ToolCalls => {
            if held.calls {
                "tool_calls"
            } else {
                "stop"
            }
        }
        // Models of OpenAI decline in their own words and are done; a classifier cuts in.
        FinishReason::Refusal { .. } if held.refusal => "stop",
        FinishReason::MaxTokens
        | FinishReason::ContextWindow
        | FinishReason::PauseTurn
        | FinishReason::Continuation
        | FinishReason::Steered => "length",
        FinishReason::Refusal { .. } | FinishReason::ContentFilter | FinishReason::Recitation => "content_filter",
        FinishReason::MalformedToolCall
        | FinishReason::UnexpectedToolCall
        | FinishReason::TooManyToolCalls
        | FinishReason::MissingSignature => {
            // Calls that came are answered by the client, if only with an error the model can learn from.
            if held.calls {
                "tool_calls"
            } else if held.words {
                "stop"
            } else {
                return None;
            }
        }
        FinishReason::Cancelled | FinishReason::Error => return None,
    })
}

/// The error for a reason without a word.
pub(super) fn fault(reason: &FinishReason, raw: Option<&str>) -> Fault {
    let class = match reason {
        FinishReason::Cancelled | FinishReason::Error => FaultClass::ServerError,
        _ => FaultClass::ToolUseFailed,
    };
    let raw = raw.map_or_else(|| format!("{reason:?}"), str::to_owned);
    Fault { from_upstream: true, ..Fault::new(class, format!("the provider ended the answer with `{raw}`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_servers() {
        for raw in ["", "null", " "] {
            assert_eq!(read(raw), None);
        }
        for (raw, reason) in [
            ("stop", FinishReason::Stop),
            ("eos", FinishReason::Stop),
            ("STOP", FinishReason::Stop),
            ("COMPLETE", FinishReason::Stop),
            ("model_length", FinishReason::MaxTokens),
            ("MAX_TOKENS", FinishReason::MaxTokens),
            ("tool_use", FinishReason::ToolCalls),
            ("function_call", FinishReason::ToolCalls),
            ("sensitive", FinishReason::ContentFilter),
            ("something_new", FinishReason::Other),
        ] {
            assert_eq!(read(raw), Some(Verdict::Finished(reason)), "{raw}");
        }
        assert!(
            matches!(read("network_error"), Some(Verdict::Failed(fault)) if fault.class == FaultClass::ServerError)
        );
        let busy = read("insufficient_system_resource");
        assert!(matches!(busy, Some(Verdict::Failed(fault)) if fault.class == FaultClass::Overloaded));
    }

    #[test]
    fn calls_decide_between_stop_and_tool_calls() {
        assert_eq!(in_the_light_of(FinishReason::Stop, true), FinishReason::ToolCalls);
        assert_eq!(in_the_light_of(FinishReason::ToolCalls, false), FinishReason::Stop);
        assert_eq!(in_the_light_of(FinishReason::MaxTokens, true), FinishReason::MaxTokens);
        assert_eq!(in_the_light_of(FinishReason::ContentFilter, true), FinishReason::ContentFilter);
    }
}
