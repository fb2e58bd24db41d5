//! Whether a client's body can go to a provider of its protocol as it is, and the few edits it needs then.

use bytes::Bytes;
use polyport_protocol::profile::{
    EmptyContent, ImageInput, JsonMode, LimitField, Profile, ReasoningBack, SchemaClean, SystemRole, TextToolCalls,
    ThinkingControl, ToolIdRule,
};
use polyport_protocol::{chat, scan};
use polyport_types::{ClientProtocol, Fault, Losses, Text};

use super::Exchange;
use super::admit::holds_carrier;
use super::course::Slot;
use super::origin::Origin;
use super::peek::{Edits, Peek};

/// Whether this request can go to this target with small edits only.
pub(super) async fn fits(x: &mut Exchange, slot: &Slot) -> Result<bool, Fault> {
    let provider = &slot.upstream.config;
    if slot.upstream.client.is_none()
        || !provider.understands(x.wire)
        || x.wire != x.answer
        || x.head.json_array
        || holds_carrier(&x.body)
    {
        return Ok(false);
    }
    x.peeked().await?;
    let (Some(peek), body) = (&x.peeked, &x.body) else { return Ok(false) };
    Ok(match x.wire {
        ClientProtocol::Chat => {
            let streams_only = || x.runtime.config.capabilities(provider, &slot.target.model).streams_only;
            chat_fits(&provider.profile, peek, body) && (x.stream || !streams_only())
        }
        ClientProtocol::Responses => responses_fit(x, slot, peek),
        ClientProtocol::Messages | ClientProtocol::Gemini => true,
    })
}

/// Whether the body asks the model to think.
pub(super) fn asks_to_reason(wire: ClientProtocol, peek: &Peek, body: &Bytes) -> bool {
    match wire {
        ClientProtocol::Chat => peek.has(body, "reasoning_effort") || peek.has(body, "reasoning"),
        ClientProtocol::Responses => peek.has(body, "reasoning"),
        ClientProtocol::Messages => peek.has(body, "thinking"),
        // It stands inside the settings, in either spelling.
        ClientProtocol::Gemini => ["generationConfig", "generation_config"]
            .iter()
            .filter_map(|name| peek.get(body, name))
            .any(|settings| memchr::memmem::find(settings, b"thinking").is_some()),
    }
}

/// A server that keeps no answers cannot be asked to; and what is kept elsewhere is not known to it.
fn responses_fit(x: &Exchange, slot: &Slot, peek: &Peek) -> bool {
    let stateful = slot.upstream.config.profile.stateful;
    if !matches!(x.origin, Origin::Body) {
        return stateful && x.origin.is_at(slot);
    }
    stateful || peek.get(&x.body, "store") == Some(b"false")
}

/// Whether a Chat body holds nothing that the server wants written otherwise.
pub(crate) fn chat_fits(profile: &Profile, peek: &Peek, body: &[u8]) -> bool {
    if profile.loose_answers {
        return false;
    }
    if !profile.is_official() && !profile.accept_unknown && peek.names().any(|name| is_unheard_of(profile, name)) {
        return false;
    }
    let tools = peek.get(body, "tools").unwrap_or_default();
    let has_tools = tools.len() > 2;
    if has_tools
        && (schema_is_odd(profile.schema_clean, tools)
            || (!profile.strict_tools && memchr::memmem::find(tools, b"\"strict\"").is_some())
            || memchr::memmem::find(tools, b"\"custom\"").is_some() && !profile.is_official())
    {
        return false;
    }
    if peek.has(body, "tool_choice")
        && !profile.is_official()
        && peek.text(body, "tool_choice").as_deref() != Some("auto")
    {
        return false;
    }
    if peek.has(body, "response_format") && (profile.json_mode != JsonMode::Schema || profile.omit_text_format) {
        return false;
    }
    let thinks = ["reasoning_effort", "thinking", "reasoning", "enable_thinking", "thinking_budget"];
    if profile.thinking_control != ThinkingControl::Effort
        && (profile.thinking_needs_stream || thinks.iter().any(|name| peek.has(body, name)))
    {
        return false;
    }
    if !profile.service_tiers.is_empty() && peek.has(body, "service_tier") {
        return false;
    }
    if profile.text_tool_calls != TextToolCalls::Off {
        return false;
    }
    let shapes = profile.system_role == SystemRole::System
        || profile.system_first
        || profile.merge_same_role
        || profile.empty_content != EmptyContent::Null
        || profile.flatten_text
        || profile.tool_id != ToolIdRule::Any
        || profile.reasoning_back != ReasoningBack::Never
        || profile.image_input != ImageInput::Url
        || !profile.file_input
        || profile.tool_name
        || profile.prefix_last_assistant
        || profile.user_first
        || profile.after_tool.is_some()
        || profile.audio_data_uri;
    !shapes || peek.get(body, "messages").is_none_or(|messages| messages_fit(profile, messages))
}

/// Whether schemas of tools have to be looked at.
fn schema_is_odd(clean: SchemaClean, tools: &[u8]) -> bool {
    match clean {
        SchemaClean::None => false,
        SchemaClean::Unversioned => memchr::memmem::find(tools, b"\"$schema\"").is_some(),
        SchemaClean::Basic | SchemaClean::Gemini | SchemaClean::Plain => true,
    }
}

/// Members of a Chat body that every server is expected to know, or that are taken out or renamed by its table of quirks.
const COMMON: [&str; 24] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "response_format",
    "user",
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
    "service_tier",
    "thinking",
];

/// Whether a member is none that the server knows.
fn is_unheard_of(profile: &Profile, name: &str) -> bool {
    let told = profile.drop.iter().chain(&profile.accept).any(|known| known == name);
    !told && !COMMON.contains(&name) && !profile.rename.contains_key(name)
}

/// Whether the server takes every message as it is written.
fn messages_fit(profile: &Profile, json: &[u8]) -> bool {
    let Ok(json) = polyport_protocol::json::utf8(json) else { return false };
    let Ok(messages) = scan::objects(json) else { return false };
    let last = messages.len().saturating_sub(1);
    let mut previous: &str = "";
    for (index, members) in messages.into_iter().enumerate() {
        let value = |name: &str| {
            let found = members.iter().rev().find(|(known, _)| known == name);
            found.and_then(|(_, range)| json.get(range.clone()))
        };
        // A role with an escape is none that a rule names.
        let role = value("role").map_or("", |role| role.trim_matches('"'));
        let content = value("content").unwrap_or("null");
        let calls = value("tool_calls").is_some_and(|calls| calls != "null" && calls.len() > 2);
        let system = role == "system" || role == "developer";
        let official = profile.is_official();
        let unknown = |name: &str| match name {
            "role" | "content" | "tool_calls" | "tool_call_id" => false,
            "name" => role != "tool" && !official,
            name => !(official || profile.accept_unknown && value(name) != Some("null")),
        };
        let odd = [
            members.iter().any(|(name, _)| unknown(name)),
            role == "assistant" && profile.user_first && matches!(previous, "" | "system" | "developer"),
            role == "user" && previous == "tool" && profile.after_tool.is_some(),
            role == "developer" && profile.system_role == SystemRole::System,
            system && index > 0 && profile.system_first,
            role == previous && profile.merge_same_role,
            calls && content == "null" && profile.empty_content != EmptyContent::Null,
            (calls || role == "tool") && profile.tool_id != ToolIdRule::Any,
            role == "tool" && profile.tool_name,
            role == "assistant" && profile.reasoning_back != ReasoningBack::Never,
            role == "assistant" && !official && !calls && matches!(content, "null" | "\"\""),
            role == "assistant" && profile.prefix_last_assistant && index == last,
            content.starts_with('[') && !parts_fit(profile, content),
        ];
        if odd.contains(&true) {
            return false;
        }
        previous = role;
    }
    true
}

/// Whether the server takes a list of content parts.
fn parts_fit(profile: &Profile, content: &str) -> bool {
    let holds = |name: &str| memchr::memmem::find(content.as_bytes(), name.as_bytes()).is_some();
    let media = holds("\"image_url\"") || holds("\"file\"") || holds("\"input_audio\"");
    if !media {
        return !profile.flatten_text;
    }
    (profile.image_input == ImageInput::Url || !holds("\"image_url\""))
        && (profile.file_input || !holds("\"file\""))
        && !(profile.audio_data_uri && holds("\"input_audio\""))
}

/// The edits a body needs for this target, and whether usage was asked for that the client did not ask for.
pub(super) fn edits(x: &Exchange, slot: &Slot, peek: &Peek, losses: &mut Losses) -> (Edits, bool) {
    let (body, profile) = (&x.body, &slot.upstream.config.profile);
    let mut edits = Edits::default();
    if x.wire != ClientProtocol::Gemini && peek.text(body, "model").as_deref() != Some(&*slot.target.model) {
        edits.set("model", json(&slot.target.model));
    }
    let mut hide_usage = false;
    if x.wire == ClientProtocol::Chat {
        hide_usage = usage_edits(x.stream, profile, peek, body, &mut edits);
        limit_edits(profile, peek, body, &mut edits);
    }
    for name in &profile.drop {
        if let Some(value) = peek.get(body, name) {
            edits.drop.push(name.as_str().into());
            chat::report_dropped(name, value, losses);
        }
    }
    if x.wire == ClientProtocol::Chat && !profile.is_official() {
        // Few servers beside the official one take members that say nothing.
        let silent = |name: &&Text| matches!(peek.get(body, name), Some(b"null" | b"[]"));
        edits.drop.extend(peek.names().filter(silent).cloned());
    }
    for (from, to) in &profile.rename {
        if peek.get(body, from).is_some() {
            edits.rename.push((from.as_str().into(), to.as_str().into()));
        }
    }
    for (name, (low, high)) in &profile.clamp {
        let value: Option<f64> = peek.get(body, name).and_then(|json| serde_json::from_slice(json).ok());
        if let Some(value) = value
            && !(*low..=*high).contains(&value)
        {
            let clamped = value.clamp(*low, *high);
            chat::report_clamped(name, value, clamped, losses);
            edits.set(name, clamped.to_string());
        }
    }
    for (name, value) in &profile.extra_body {
        // A limit has two names, of which the server knows one.
        let limit = x.wire == ClientProtocol::Chat && LIMITS.contains(&name.as_str());
        let name = match profile.limit_field {
            LimitField::MaxTokens if limit => "max_tokens",
            LimitField::MaxCompletionTokens if limit => "max_completion_tokens",
            _ => name,
        };
        let said = |name: &str| peek.get(body, name).is_some();
        let known = said(name) || limit && LIMITS.iter().any(|name| said(name));
        if !known {
            edits.set(name, value.to_string());
        }
    }
    (edits, hide_usage)
}

/// Asks a streaming Chat server for usage. True if the client did not, so that the chunk must be hidden.
fn usage_edits(stream: bool, profile: &Profile, peek: &Peek, body: &[u8], edits: &mut Edits) -> bool {
    let options = peek.get(body, "stream_options").filter(|options| *options != b"null");
    if !stream {
        return false;
    }
    if !profile.stream_usage {
        if options.is_some() {
            edits.drop.push("stream_options".into());
        }
        return false;
    }
    let mut members: serde_json::Map<String, serde_json::Value> =
        options.and_then(|options| serde_json::from_slice(options).ok()).unwrap_or_default();
    if members.get("include_usage") == Some(&serde_json::Value::Bool(true)) {
        return false;
    }
    members.insert("include_usage".to_owned(), serde_json::Value::Bool(true));
    edits.set("stream_options", serde_json::Value::Object(members).to_string());
    true
}

/// The names of the token limit in Chat.
const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// Gives the token limit the name the server knows.
fn limit_edits(profile: &Profile, peek: &Peek, body: &[u8], edits: &mut Edits) {
    let (wrong, right) = match profile.limit_field {
        LimitField::MaxTokens => ("max_completion_tokens", "max_tokens"),
        LimitField::MaxCompletionTokens => ("max_tokens", "max_completion_tokens"),
    };
    match (peek.get(body, wrong), peek.get(body, right)) {
        (Some(_), None) => edits.rename.push((wrong.into(), right.into())),
        (Some(_), Some(_)) => edits.drop.push(wrong.into()),
        (None, _) => {}
    }
}

pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
