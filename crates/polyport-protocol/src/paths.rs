//! Where a loss stands in the client's own request.
//!
//! `resolve` and the encoders name the members of the neutral form; the report speaks of those the client wrote.

use polyport_types::{ClientProtocol, Losses};

/// Members of the neutral form whose name differs, and their places in Chat, Responses, Messages and Gemini. An empty place is the
/// name itself.
const PLACES: &[(&str, [&str; 4])] = &[
    ("messages", ["", "input", "", "contents"]),
    ("instructions", ["messages", "", "system", "systemInstruction"]),
    ("max_tokens", ["", "max_output_tokens", "", "generationConfig/maxOutputTokens"]),
    ("temperature", ["", "", "", "generationConfig/temperature"]),
    ("top_p", ["", "", "", "generationConfig/topP"]),
    ("top_k", ["", "", "", "generationConfig/topK"]),
    ("frequency_penalty", ["", "", "", "generationConfig/frequencyPenalty"]),
    ("presence_penalty", ["", "", "", "generationConfig/presencePenalty"]),
    ("seed", ["", "", "", "generationConfig/seed"]),
    ("logprobs", ["", "top_logprobs", "", "generationConfig/responseLogprobs"]),
    ("n", ["", "", "", "generationConfig/candidateCount"]),
    ("stop", ["", "", "stop_sequences", "generationConfig/stopSequences"]),
    ("modalities", ["", "", "", "generationConfig/responseModalities"]),
    ("output_modalities", ["modalities", "", "", "generationConfig/responseModalities"]),
    ("speechConfig", ["audio", "", "", "generationConfig/speechConfig"]),
    ("imageConfig", ["", "", "", "generationConfig/imageConfig"]),
    ("response_format", ["", "text/format", "output_config/format", "generationConfig/responseMimeType"]),
    ("verbosity", ["", "text/verbosity", "", ""]),
    ("reasoning", ["reasoning_effort", "", "thinking", "generationConfig/thinkingConfig"]),
    ("reasoning_effort", ["", "reasoning", "thinking", "generationConfig/thinkingConfig"]),
    ("parallel_tool_calls", ["", "", "tool_choice/disable_parallel_tool_use", ""]),
    ("tool_choice", ["", "", "", "toolConfig/functionCallingConfig"]),
    ("service_tier", ["", "", "", "serviceTier"]),
    ("metadata", ["", "", "", "labels"]),
    ("user", ["", "", "metadata/user_id", ""]),
];

/// Gives every entry the path of what the client wrote.
pub(crate) fn in_words_of(source: ClientProtocol, losses: &mut Losses) {
    losses.map_paths(|path| {
        let rest = path.strip_prefix('/')?;
        let (name, inside) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (_, places) = PLACES.iter().find(|(known, _)| *known == name)?;
        let place = match source {
            ClientProtocol::Chat => places[0],
            ClientProtocol::Responses => places[1],
            ClientProtocol::Messages => places[2],
            ClientProtocol::Gemini => places[3],
        };
        (!place.is_empty()).then(|| format!("/{place}{inside}"))
    });
}
