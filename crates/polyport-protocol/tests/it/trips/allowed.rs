//! Differences that are none, each with its reason.

use polyport_types::Protocol;
use serde_json::Value;

/// Protocol, why it may differ, places. In a place `*` stands for any position of a list, and a last `…` for whatever follows.
const ALLOWED: &[(Protocol, &str, &[&str])] = &[
    (
        Protocol::Chat,
        "the specification has one name for the text of reasoning, and one place of a signature; vendors have several",
        &[
            "/choices/*/message/reasoning lost",
            "/choices/*/message/reasoning_content made up",
            "/choices/*/message/content changed",
            "/choices/*/message/content made up",
            "/choices/*/message/reasoning_details lost",
            "/choices/*/message/reasoning_details/*/index changed",
            "/choices/*/message/reasoning_details/*/text lost",
            "/choices/*/message/thought_signature lost",
            "/choices/*/message/extra_content lost",
            "/choices/*/message/extra_content/google/thought lost",
            "/choices/*/message/tool_calls/*/extra_content made up",
        ],
    ),
    (
        Protocol::Chat,
        "clients ask for the member; some servers leave it out or empty",
        &[
            "/choices/*/finish_reason made up",
            "/choices/*/message/role made up",
            "/choices/*/message/tool_calls/*/function/arguments made up",
            "/choices/*/message/tool_calls/*/function/name made up",
            "/choices/*/message/tool_calls/*/id made up",
            "/choices/*/message/tool_calls/*/type made up",
            "/choices/*/message/tool_calls/*/index made up",
            "/id made up",
            "/object made up",
        ],
    ),
    (
        Protocol::Chat,
        "a list of sources is also given in the form of the specification",
        &["/choices/*/message/annotations made up"],
    ),
    (
        Protocol::Chat,
        "only a chunk has it, and there it counts from 0 without gaps",
        &["/choices/*/message/tool_calls/*/index lost", "/choices/*/message/tool_calls/*/index changed"],
    ),
    (Protocol::Chat, "an object whose every member is empty", &["/choices/*/message/audio lost"]),
    (
        Protocol::Chat,
        "counts are made to agree: reasoning is part of the output, writes of a cache are no reads, and details stand where the specification has them",
        &[
            "/usage/completion_tokens changed",
            "/usage/completion_tokens_details made up",
            "/usage/prompt_tokens_details made up",
            "/usage/prompt_tokens_details/cache_write_tokens changed",
        ],
    ),
    (
        Protocol::Chat,
        "a word that a vendor puts beside every piece of a stream, which says nothing that the pieces do not",
        &[
            "/choices/*/message/channel lost",
            "/choices/*/message/index lost",
            "/choices/*/message/token_id lost",
            "/choices/*/text lost",
        ],
    ),
    (
        Protocol::Chat,
        "all chunks of a stream say the same here; the provider's differ",
        &["/created changed", "/object changed", "/sla_metrics/ts_us changed"],
    ),
    (Protocol::Chat, "it is the usage, which stands in its own place", &["/x_groq/usage lost"]),
    (
        Protocol::Chat,
        "errors are told in the words of the specification",
        &["/error/failed_generation lost", "/error/status_code lost"],
    ),
    (
        Protocol::Responses,
        "answers have ids of our own, and are kept under them",
        &["/id changed", "/store changed", "/store made up"],
    ),
    (
        Protocol::Responses,
        "the specification asks for the member; some servers leave it out",
        &[
            "/background made up",
            "/completed_at made up",
            "/parallel_tool_calls made up",
            "/service_tier made up",
            "/temperature made up",
            "/text made up",
            "/text/verbosity made up",
            "/tool_choice made up",
            "/top_logprobs made up",
            "/top_p made up",
            "/truncation made up",
            "/usage/input_tokens_details/cache_write_tokens made up",
            "/output/*/action made up",
            "/output/*/code made up",
            "/output/*/content/*/annotations/*/end_index made up",
            "/output/*/content/*/annotations/*/start_index made up",
            "/told/response.content_part.done/*/part/annotations/*/end_index made up",
            "/told/response.content_part.done/*/part/annotations/*/start_index made up",
            "/told/response.custom_tool_call_input.done made up",
            "/told/response.function_call_arguments.done/*/name made up",
            "/told/response.output_item.done/*/item/action made up",
            "/told/response.output_item.done/*/item/content/*/annotations/*/end_index made up",
            "/told/response.output_item.done/*/item/content/*/annotations/*/start_index made up",
            "/told/response.output_text.annotation.added/*/annotation/end_index made up",
            "/told/response.output_text.annotation.added/*/annotation/start_index made up",
        ],
    ),
    (
        Protocol::Responses,
        "the client's own setting, in the member that has replaced the one it used",
        &["/prompt_cache_options made up", "/reasoning/summary made up"],
    ),
    (
        Protocol::Responses,
        "an item of an answer that is whole is whole",
        &[
            "/output/*/status changed",
            "/output/*/status lost",
            "/told/response.output_item.done/*/item/status changed",
            "/told/response.output_item.done/*/item/status lost",
            "/status changed",
        ],
    ),
    (
        Protocol::Responses,
        "the client's own list, where the provider's is sorted, filled with defaults, and without secrets",
        &["/tools…"],
    ),
    (
        Protocol::Responses,
        "the last event repeats what the events before it said; the provider's seals and numbers anew",
        &["/output/*/encrypted_content changed", "/output/*/id changed"],
    ),
    (
        Protocol::Responses,
        "the item itself tells it whole",
        &["/told/response.shell_call_command.done lost", "/told/response.shell_call_output_content.done lost"],
    ),
    (
        Protocol::Messages,
        "an answer that ends in a call waits for its result, whatever the server says",
        &["/stop_reason changed"],
    ),
    (Protocol::Messages, "clients ask for the member; some answers leave it out", &["/usage/service_tier made up"]),
    (
        Protocol::Gemini,
        "clients are easier with ids and numbers; the provider may leave them out",
        &[
            "/candidates/*/content/parts/*/functionCall/id made up",
            "/candidates/*/index made up",
            "/responseId made up",
        ],
    ),
    (Protocol::Gemini, "a call that arrives in pieces is told whole", &["/candidates/*/content/parts changed"]),
];

/// Why a difference at `place` is none.
pub(super) fn reason(protocol: Protocol, place: &str) -> Option<&'static str> {
    let is = |pattern: &str| match pattern.strip_suffix('…') {
        Some(head) => place.starts_with(head),
        None => place == pattern,
    };
    let found =
        ALLOWED.iter().find(|(whose, _, places)| *whose == protocol && places.iter().any(|pattern| is(pattern)));
    found.map(|(_, why, _)| *why)
}

/// Absent, null and empty say the same; the order of members says nothing.
pub(super) fn plain(value: Value) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(n, v)| (n, plain(v))).filter(|(_, v)| !empty(v)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(plain).filter(|item| !empty(item)).collect()),
        other => other,
    }
}
