//! Estimates of tokens, for figures that no provider gives.

use polyport_types::{Part, PartKind, Request, Tool};

/// Tokens of a request, roughly: four bytes to a token and a tenth more, so that nobody runs into a limit believing the estimate.
pub(crate) fn input_tokens(request: &Request) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let instructions = request.instructions.iter().flat_map(|instruction| &instruction.parts);
    let bytes: usize =
        parts.chain(instructions).map(size).sum::<usize>() + request.tools.iter().map(tool).sum::<usize>();
    let overhead = request.messages.len() * 12;
    u64::try_from((bytes + overhead) * 11 / 40).unwrap_or(u64::MAX).max(1)
}

/// What most providers charge for an image, in bytes of text.
const IMAGE: usize = 6000;

fn size(part: &Part) -> usize {
    match &part.kind {
        PartKind::Text(text) => text.text.len(),
        PartKind::Refusal(text) => text.len(),
        PartKind::ToolCall(call) => call.name.len() + call.arguments.len() + 16,
        PartKind::ToolResult(result) => {
            result.parts.iter().map(size).sum::<usize>()
                + result.structured.as_ref().map_or(0, |json| json.as_str().len())
                + 16
        }
        PartKind::Image(_) | PartKind::Document(_) | PartKind::Audio(_) | PartKind::Video(_) => IMAGE,
        _ => 64,
    }
}

fn tool(tool: &Tool) -> usize {
    match tool {
        Tool::Function(function) => {
            function.name.len()
                + function.description.as_ref().map_or(0, |text| text.len())
                + function.schema.as_ref().map_or(0, |schema| schema.as_str().len())
        }
        Tool::Custom(custom) => custom.name.len() + 200,
        Tool::Server(_) => 400,
    }
}
