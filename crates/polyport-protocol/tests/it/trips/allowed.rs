//! Differences that are none, each with its reason.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyport_types::Protocol;
use serde_json::{Map, Value, json};

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
    (
        Protocol::Chat,
        "what is not said has a default, which other protocols write",
        &[
            "request over gemini/n lost",
            "request over responses/n lost",
            "request over gemini/tools/*/function/description made up",
            "request over responses/messages/*/content/*/image_url/detail made up",
            "request over responses/store made up",
            "request over responses/tools/*/function/strict made up",
        ],
    ),
    (
        Protocol::Chat,
        "both are instructions, and other protocols have one of the two",
        &["request over gemini/messages/*/role changed", "request over responses/messages/*/role changed"],
    ),
    (
        Protocol::Responses,
        "without state at the provider, reasoning travels with the history, and items need no ids",
        &[
            "request over chat/include made up",
            "request over gemini/include changed",
            "request over gemini/include made up",
            "request over chat/input/*/id lost",
            "request over chat/store changed",
            "request over gemini/store changed",
        ],
    ),
    (
        Protocol::Responses,
        "the same words and tools in other items: an instruction of its own or in the list, tools of a namespace one by one",
        &[
            "request over chat/input changed",
            "request over gemini/input changed",
            "request over chat/instructions made up",
            "request over gemini/instructions made up",
            "request over chat/tools changed",
        ],
    ),
    (
        Protocol::Responses,
        "what is not said has a default, which other protocols write or leave out",
        &["request over gemini/tool_choice lost", "request over gemini/tools/*/description made up"],
    ),
    (
        Protocol::Messages,
        "caches that other providers fill unasked are asked for here",
        &[
            "request over chat/cache_control made up",
            "request over gemini/cache_control made up",
            "request over responses/cache_control made up",
        ],
    ),
    (
        Protocol::Responses,
        "a schema has no name there, and this one needs some",
        &["request over gemini/text/format/name changed"],
    ),
    (
        Protocol::Messages,
        "a file needs a name there",
        &[
            "request over chat/messages/*/content/*/title made up",
            "request over responses/messages/*/content/*/title made up",
        ],
    ),
    (
        Protocol::Messages,
        "what is not said has a default, which other protocols write or leave out; tools have the version of today",
        &[
            "request over chat/thinking made up",
            "request over responses/thinking made up",
            "request over gemini/tool_choice lost",
            "request over gemini/tools/*/description made up",
            "request over gemini/tools/*/type changed",
            "request over responses/tools/*/type changed",
        ],
    ),
    (
        Protocol::Gemini,
        "a schema in the member of today, with the same constraints in the words of JSON Schema",
        &[
            "request over chat/generationConfig/responseJsonSchema made up",
            "request over chat/generationConfig/responseSchema lost",
            "request over responses/generationConfig/responseJsonSchema made up",
            "request over responses/generationConfig/responseSchema lost",
            "request over chat/tools/*/functionDeclarations/*/parameters lost",
            "request over chat/tools/*/functionDeclarations/*/parametersJsonSchema made up",
            "request over responses/tools/*/functionDeclarations/*/parameters lost",
            "request over responses/tools/*/functionDeclarations/*/parametersJsonSchema made up",
        ],
    ),
    (
        Protocol::Gemini,
        "its documents want a description that says something, and other clients have none",
        &[
            "request over chat/tools/*/functionDeclarations/*/description made up",
            "request over responses/tools/*/functionDeclarations/*/description made up",
        ],
    ),
    (
        Protocol::Gemini,
        "an instruction has no role",
        &["request over chat/systemInstruction/role lost", "request over responses/systemInstruction/role lost"],
    ),
    (
        Protocol::Chat,
        "what is not said has a default, and what is the default need not be said; the gateway itself wants to know the usage",
        &[
            "own request/stream lost",
            "own request/stream_options made up",
            "own request/tool_choice/type made up",
            "own request/tools/*/type made up",
        ],
    ),
    (
        Protocol::Chat,
        "only a chunk of an answer has it, and clients send back what they got",
        &["own request/messages/*/tool_calls/*/index lost"],
    ),
    (
        Protocol::Chat,
        "a server's own word for the same: the limit, reasoning that an effort asks for, the name of the tool a result is of",
        &[
            "own request/max_completion_tokens lost",
            "own request/max_tokens made up",
            "own request/reasoning/enabled lost",
            "own request/messages/*/name made up",
        ],
    ),
    (
        Protocol::Chat,
        "servers whose templates take one string get texts joined, and thoughts that are several texts are one",
        &["own request/messages/*/content changed", "own request/messages/*/content/*/thinking changed"],
    ),
    (
        Protocol::Chat,
        "a schema is simplified for a server that refuses some of its words",
        &["own request/tools/*/function/parameters/additionalProperties lost"],
    ),
    (
        Protocol::Chat,
        "told in the report: the server is known to refuse it, or the model not to obey",
        &[
            "loss service_tier.dropped",
            "own request/service_tier lost",
            "loss tool_choice.degraded",
            "own request/tool_choice changed",
            "own request/messages changed",
        ],
    ),
    (
        Protocol::Responses,
        "what is not said has a default, and what is the default need not be said",
        &["own request/input/*/type made up", "own request/store made up", "own request/stream lost"],
    ),
    (Protocol::Responses, "one of the two ways to name a conversation", &["own request/conversation changed"]),
    (
        Protocol::Messages,
        "what is not said has a default, and what is the default need not be said; how thinking is shown is always said",
        &[
            "own request/messages/*/content/*/is_error lost",
            "own request/stream lost",
            "own request/thinking/display made up",
            "own request/tools/*/type lost",
        ],
    ),
    (Protocol::Gemini, "a turn that says nothing of its side is the user's", &["own request/contents/*/role made up"]),
    (
        Protocol::Gemini,
        "the types of the API's own schemas are words in capitals, which it also takes in small letters",
        &[
            "own request/tools/*/functionDeclarations/*/parameters/properties/country/type changed",
            "own request/tools/*/functionDeclarations/*/parameters/type changed",
        ],
    ),
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

/// A request in the plainest of the forms that say the same: a file of text is text, neighbouring texts are one, and
/// defaults need not be asked for.
pub(super) fn plain_request(value: Value, over: Protocol) -> Value {
    let value = match value {
        Value::Object(mut members) => {
            if let Some(text) = text_file(&members) {
                return text;
            }
            // Chat servers that tell their thoughts do so unasked; whether the client sees them is decided on the way back.
            let is_default = |name: &str, value: &Value| {
                (name == "responseModalities" && *value == json!(["TEXT"]))
                    || (name == "includeThoughts" && (*value == false || over == Protocol::Chat))
            };
            members.retain(|name, value| !is_default(name, value));
            Value::Object(members.into_iter().map(|(name, value)| (name, plain_request(value, over))).collect())
        }
        Value::Array(items) => {
            let mut joined: Vec<Value> = Vec::with_capacity(items.len());
            for item in items.into_iter().map(|item| plain_request(item, over)) {
                match (joined.last_mut().and_then(words), words(&mut item.clone())) {
                    (Some(text), Some(more)) => text.push_str(more),
                    _ => joined.push(item),
                }
            }
            Value::Array(joined)
        }
        other => other,
    };
    plain(value)
}

/// A file of text without a name, as a text of the same protocol.
fn text_file(part: &Map<String, Value>) -> Option<Value> {
    match part.get("inlineData") {
        Some(file) if file["mimeType"] == "text/plain" && part.len() == 1 => {
            let bytes = STANDARD.decode(file["data"].as_str()?).ok()?;
            Some(json!({"text": String::from_utf8(bytes).ok()?}))
        }
        Some(_) => None,
        None => {
            let source = part.get("source").filter(|_| part.get("type").is_some_and(|kind| kind == "document"))?;
            (source["type"] == "text" && part.len() == 2).then(|| json!({"type": "text", "text": source["data"]}))
        }
    }
}

/// The words of a part that is nothing else.
fn words(part: &mut Value) -> Option<&mut String> {
    let members = part.as_object_mut()?;
    if members.iter().any(|(name, value)| name != "text" && !(name == "type" && value == "text")) {
        return None;
    }
    match members.get_mut("text")? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A request to its own protocol in the plainest of the forms that say the same: one spelling of names, a list where one may stand
/// alone, neighbouring messages of one side as the one turn that the service makes of them.
pub(super) fn plain_own(protocol: Protocol, value: Value) -> Value {
    let mut body = plain(value);
    match protocol {
        Protocol::Chat => each_of(&mut body, "messages", |message| texts(message, "content", "text")),
        Protocol::Messages => {
            texts(&mut body, "system", "text");
            each_of(&mut body, "messages", |message| {
                texts(message, "content", "text");
                each_of(message, "content", |block| {
                    if block["type"] == "tool_result" {
                        texts(block, "content", "text");
                    }
                });
            });
            turns(&mut body, "messages", "content");
        }
        Protocol::Responses => {
            if body["input"].is_string() {
                body["input"] = json!([{"role": "user", "content": body["input"].take()}]);
            }
            each_of(&mut body, "input", |item| {
                let kind = if item["role"] == "assistant" { "output_text" } else { "input_text" };
                texts(item, "content", kind);
            });
        }
        Protocol::Gemini => {
            body = camel(body);
            for name in ["contents", "tools"] {
                list(&mut body, name);
            }
            each_of(&mut body, "tools", |tool| list(tool, "functionDeclarations"));
            turns(&mut body, "contents", "parts");
            each_of(&mut body, "contents", |turn| {
                let parts = turn["parts"].as_array_mut();
                parts.into_iter().for_each(|parts| parts.sort_by_key(|part| part.get("functionResponse").is_none()));
            });
        }
    }
    plain(body)
}

fn each_of(holder: &mut Value, name: &str, change: impl FnMut(&mut Value)) {
    holder.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

/// One thing as a list of one.
fn list(holder: &mut Value, name: &str) {
    if let Some(one) = holder.get_mut(name).filter(|one| !one.is_array()) {
        *one = json!([one.take()]);
    }
}

/// A text as a list of one part.
fn texts(holder: &mut Value, name: &str, kind: &str) {
    if let Some(one) = holder.get_mut(name).filter(|one| one.is_string()) {
        *one = json!([{"type": kind, "text": one.take()}]);
    }
}

/// Neighbours of one side as one.
fn turns(body: &mut Value, name: &str, content: &str) {
    let Some(messages) = body.get_mut(name).and_then(Value::as_array_mut) else { return };
    let mut turns: Vec<Value> = Vec::new();
    for mut message in messages.drain(..) {
        let side = |message: &Value| message["role"].as_str().unwrap_or("user").to_owned();
        match turns.last_mut() {
            Some(last) if side(last) == side(&message) && side(&message) != "system" => {
                let more = message[content].as_array_mut().map(std::mem::take).unwrap_or_default();
                last[content].as_array_mut().unwrap().extend(more);
            }
            _ => turns.push(message),
        }
    }
    *messages = turns;
}

/// Members of the wire format in the spelling of JavaScript; what callers put in has its own.
fn camel(value: Value) -> Value {
    const FOREIGN: [&str; 6] =
        ["args", "response", "parametersJsonSchema", "responseJsonSchema", "responseParameters", "labels"];
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let mut words = name.split('_');
                let first = words.next().unwrap_or_default().to_owned();
                let name = words.fold(first, |name, word| {
                    let mut letters = word.chars();
                    let head = letters.next().map(|letter| letter.to_ascii_uppercase());
                    name + &head.into_iter().chain(letters).collect::<String>()
                });
                let member = if FOREIGN.contains(&&*name) { member } else { camel(member) };
                (name, member)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(camel).collect(),
        other => other,
    }
}
