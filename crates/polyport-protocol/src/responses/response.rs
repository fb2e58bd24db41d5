//! Whole answers of the Responses protocol, and the `response` object that whole answers and streams share.

use std::borrow::Cow;
use std::collections::HashSet;

use polyport_types::{
    Candidate, Extras, Fault, FaultClass, FinishReason, Losses, Part, PartKind, PartStatus, Protocol, RawJson,
    ReasoningMode, Response, ResponseStatus, Text, Usage,
};
use serde_json::Value;
use serde_json::value::RawValue;

use super::encoder::Encoder;
use super::history::is_item;
use super::input::ttl_word;
use super::item::{ItemReader, content_part};
use super::tools::{own_tools, verbosity_word, write_choice, write_format, write_tools};
use super::types::{Item, ResponseObject, UsageObject};
use crate::classify::classify_body;
use crate::json::{JsonWriter, OneOrMany, Pairs, Str, extras, from_text, raw};
use crate::openai_fault;
use crate::profile::UsageRule;
use crate::{ClientContext, Target};

/// Members of a `response` that only the client's own request can tell: what the provider got may be another.
const ASKED: [&str; 13] = [
    "conversation",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "model",
    "output_text",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "safety_identifier",
    "store",
    "tools",
    "user",
];

/// Members that tell the settings an answer was made with. Where the provider tells them they are true; otherwise those the client set.
const SETTINGS: [&str; 15] = [
    "background",
    "completed_at",
    "frequency_penalty",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// Whether a member of a `response` tells a setting that it was made with.
pub(crate) fn is_setting(name: &str) -> bool {
    SETTINGS.contains(&name)
}

// ---------------------------------------------------------------------------------------------------------------- decode

/// Reads a provider's whole answer.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_response(target: &Target, body: &Text) -> Result<Response, Fault> {
    let wire: ResponseObject<'_> = from_text(body).map_err(|error| unreadable(&error.to_string()))?;
    read_response(target, wire, body)
}

fn unreadable(why: &str) -> Fault {
    let message = format!("the provider's answer makes no sense: {why}");
    Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, message) }
}

fn read_response(target: &Target, wire: ResponseObject<'_>, body: &Text) -> Result<Response, Fault> {
    if let Some(fault) = failure(&wire) {
        return Err(fault);
    }
    let Some(output) = wire.output else { return Err(unreadable("it has no output")) };
    let parts = read_output(target, &output, body);
    let (finish, raw_finish) = finish(wire.status.as_deref(), reason_of(&wire.incomplete_details), &parts);
    let status = match wire.status.as_deref() {
        Some("queued") => ResponseStatus::Queued,
        Some("in_progress") => ResponseStatus::InProgress,
        _ => status_of(&finish),
    };
    let ext = own_ext(wire.extra, body);
    Ok(Response {
        id: wire.id.unwrap_or_default().into_text(body),
        created: wire.created_at.and_then(seconds),
        model: wire.model.unwrap_or_default().into_text(body),
        candidates: vec![Candidate { parts, finish, raw_finish, ext, ..Candidate::default() }],
        status,
        usage: wire.usage.map(|usage| read_usage(usage, target, body)).unwrap_or_default(),
        service_tier: wire.service_tier.map(|tier| tier.into_text(body)),
        ..Response::default()
    })
}

/// `incomplete_details.reason`.
pub(super) fn reason_of<'a>(details: &'a Option<super::types::IncompleteDetails<'_>>) -> Option<&'a str> {
    details.as_ref().and_then(|details| details.reason.as_deref())
}

/// Unix seconds out of a number that may have a fraction; a time before 1970 is none of an answer.
pub(super) fn seconds(value: f64) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation, reason = "saturates, which is right for a time out of range")]
    let seconds = value as i64;
    (seconds >= 0).then_some(seconds)
}

/// Members of the answer without a slot.
pub(super) fn own_ext(extra: crate::json::Extra<'_>, body: &Text) -> Extras {
    let own = extra.into_iter().filter(|(key, value)| value.get() != "null" && !ASKED.contains(&&**key));
    extras(own.collect(), body)
}

/// The fault of an answer that failed.
pub(super) fn failure(wire: &ResponseObject<'_>) -> Option<Fault> {
    let failed = wire.status.as_deref() == Some("failed");
    match wire.error.filter(|error| error.get() != "null") {
        Some(error) if failed || wire.output.as_ref().is_none_or(Vec::is_empty) => {
            Some(error_fault(&serde_json::from_str(error.get()).unwrap_or_default()))
        }
        None if failed => {
            let fault = Fault::new(FaultClass::ServerError, "the provider failed to give an answer");
            Some(Fault { from_upstream: true, ..fault })
        }
        _ => None,
    }
}

/// What an error object says that came with status 200.
pub(super) fn error_fault(error: &Value) -> Fault {
    // The word for a failure of any kind; others say what kind by themselves.
    let plain = ["code", "type"].iter().any(|name| error.get(*name).and_then(Value::as_str) == Some("server_error"));
    classify_body(plain.then_some(500), &serde_json::json!({ "error": error }).to_string())
}

/// Reads the items of `output`.
fn read_output(target: &Target, output: &[&RawValue], body: &Text) -> Vec<Part> {
    let mut reader = ItemReader::new(target.capabilities.family);
    let mut call_ids = CallIds::default();
    let mut parts = Vec::with_capacity(output.len());
    for (at, wire) in output.iter().enumerate() {
        for mut part in read_item(&mut reader, wire, body) {
            if let PartKind::ToolCall(call) = &mut part.kind {
                if call.name.is_empty() {
                    continue;
                }
                call.id = call_ids.unique(&call.id, at);
            }
            parts.push(part);
        }
    }
    parts
}

/// Reads one item of an answer.
pub(super) fn read_item(reader: &mut ItemReader, wire: &RawValue, body: &Text) -> Vec<Part> {
    let mut whole = || raw(wire, body);
    let opaque =
        |raw: RawJson| vec![Part::new(PartKind::Opaque { protocol: Protocol::Responses, kind: Text::new(), raw })];
    match serde_json::from_str::<Item<'_>>(wire.get()) {
        Ok(item) if item.kind.as_deref() == Some("message") => read_message(item, &mut whole, body),
        Ok(item) => reader.read(item, &mut whole, body).parts,
        Err(_) => opaque(whole()),
    }
}

/// The content parts of a message of the model.
fn read_message(item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> Vec<Part> {
    let id = item.id.map(|id| id.into_text(body));
    let phase = item.phase.map(|phase| RawJson::of(&Value::String(phase.to_string())));
    let list = match item.content {
        Some(OneOrMany::Many(list)) => list,
        Some(OneOrMany::One(text)) => {
            return vec![Part { item_id: id, ..Part::text(text.into_text(body)) }];
        }
        None => Vec::new(),
    };
    let parts = list.into_iter().enumerate().map(|(at, part)| {
        let mut part = content_part(part, at, "content", whole, body);
        if matches!(part.kind, PartKind::Text(_)) {
            part.item_id.clone_from(&id);
            if let Some(phase) = &phase {
                part.ext.push("phase", phase.clone());
            }
        }
        part
    });
    parts.collect()
}

/// Call ids of one answer: each stands once and none is empty.
#[derive(Debug, Default)]
pub(super) struct CallIds(HashSet<Text>);

impl CallIds {
    /// The id itself, or one made of it and of the item's place.
    pub(super) fn unique(&mut self, id: &Text, place: usize) -> Text {
        let mut unique = if id.is_empty() { Text::from(format!("call_r{place}")) } else { id.clone() };
        let mut number = 2;
        while !self.0.insert(unique.clone()) {
            unique = format!("{id}_{number}").into();
            number += 1;
        }
        unique
    }
}

/// Why the model stopped, and the provider's word for it.
pub(super) fn finish(status: Option<&str>, reason: Option<&str>, parts: &[Part]) -> (FinishReason, Option<Text>) {
    let calls =
        parts.iter().any(|part| matches!(&part.kind, PartKind::ToolCall(call) if call.status == PartStatus::Complete));
    let refused = parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_)));
    finish_of(status, reason, calls, refused)
}

/// The same from what a stream has seen: whether a client call is complete, whether the model refused.
pub(super) fn finish_of(
    status: Option<&str>,
    reason: Option<&str>,
    calls: bool,
    refused: bool,
) -> (FinishReason, Option<Text>) {
    let word = reason.or(status).map(Text::from);
    let finish = match (status, reason) {
        (Some("incomplete"), Some("max_output_tokens")) => FinishReason::MaxTokens,
        (Some("incomplete"), Some("content_filter")) => FinishReason::ContentFilter,
        (Some("incomplete"), Some("steered")) => FinishReason::Steered,
        (Some("incomplete" | "queued" | "in_progress"), _) => FinishReason::Other,
        (Some("cancelled"), _) => FinishReason::Cancelled,
        _ if calls => FinishReason::ToolCalls,
        _ if refused => FinishReason::Refusal { category: None, explanation: None },
        _ => FinishReason::Stop,
    };
    (finish, word)
}

fn status_of(finish: &FinishReason) -> ResponseStatus {
    match finish {
        FinishReason::MaxTokens | FinishReason::ContentFilter | FinishReason::Steered => ResponseStatus::Incomplete,
        FinishReason::Cancelled => ResponseStatus::Cancelled,
        _ => ResponseStatus::Completed,
    }
}

/// Reads `usage`.
pub(crate) fn read_usage(value: &RawValue, target: &Target, body: &Text) -> Usage {
    let wire: UsageObject<'_> = serde_json::from_str(value.get()).unwrap_or_default();
    let input = wire.input_tokens.map(crate::json::Int::count);
    let output = wire.output_tokens.map(crate::json::Int::count);
    let mut usage = Usage { raw: Some(raw(value, body)), ..Usage::default() };
    let details = wire.input_tokens_details.unwrap_or_default();
    usage.cache_read = details.cached_tokens.map(crate::json::Int::count);
    let read = usage.cache_read.unwrap_or(0);
    // Some servers count tokens both as read and as written.
    let room = input.unwrap_or(0).saturating_sub(read);
    let written = details.cache_write_tokens.map(|tokens| tokens.count().min(room));
    match details.cache_write_tokens_details {
        Some(by_ttl) => {
            let short = by_ttl.ttl_30m_tokens.map(|tokens| tokens.count().min(room));
            let left = room.saturating_sub(short.unwrap_or(0));
            usage.cache_write_30m = short;
            usage.cache_write_12h = by_ttl.ttl_12h_tokens.map(|tokens| tokens.count().min(left));
        }
        None => usage.cache_write_unknown = written,
    }
    usage.input_uncached = input.map(|input| input.saturating_sub(read).saturating_sub(usage.cache_write()));
    let reasoning = wire.output_tokens_details.and_then(|details| details.reasoning_tokens);
    usage.reasoning = reasoning.map(crate::json::Int::count);
    let thought = usage.reasoning.unwrap_or(0);
    // Reasoning is part of the output, except at servers that count it beside.
    let sum = input.unwrap_or(0).saturating_add(output.unwrap_or(0)).saturating_add(thought);
    let beside = target.profile.usage_rule == UsageRule::ReasoningOutside
        || (thought > 0 && wire.total_tokens.is_some_and(|total| total.count() == sum));
    usage.output_text = output.map(|output| if beside { output } else { output.saturating_sub(thought) });
    usage
}

// ---------------------------------------------------------------------------------------------------------------- encode

/// Writes a whole answer for a client.
#[must_use]
pub fn encode_response(context: &ClientContext, response: &Response) -> Vec<u8> {
    Encoder::whole(context.clone(), response)
}

/// How an answer ended, in the words of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// `completed`.
    Completed,
    /// `incomplete` with its reason.
    Incomplete(Text),
    /// `cancelled`.
    Cancelled,
    /// `failed`.
    Failed,
}

/// What the client is told. `spoken`: there is text; `refused`: there is a refusal part.
pub(super) fn outcome(
    finish: &FinishReason,
    word: Option<&Text>,
    provider: Protocol,
    spoken: bool,
    refused: bool,
) -> Outcome {
    match finish {
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls | FinishReason::Compaction => {
            Outcome::Completed
        }
        FinishReason::MaxTokens
        | FinishReason::ContextWindow
        | FinishReason::PauseTurn
        | FinishReason::Continuation => Outcome::Incomplete(Text::from_static("max_output_tokens")),
        FinishReason::ContentFilter | FinishReason::Recitation => {
            Outcome::Incomplete(Text::from_static("content_filter"))
        }
        // Models of OpenAI decline in their own words and are done; a classifier cuts in.
        FinishReason::Refusal { .. } if refused => Outcome::Completed,
        FinishReason::Refusal { .. } => Outcome::Incomplete(Text::from_static("content_filter")),
        FinishReason::Steered => Outcome::Incomplete(Text::from_static("steered")),
        FinishReason::Cancelled => Outcome::Cancelled,
        FinishReason::MalformedToolCall
        | FinishReason::UnexpectedToolCall
        | FinishReason::TooManyToolCalls
        | FinishReason::MissingSignature
            if spoken =>
        {
            Outcome::Completed
        }
        FinishReason::MalformedToolCall
        | FinishReason::UnexpectedToolCall
        | FinishReason::TooManyToolCalls
        | FinishReason::MissingSignature
        | FinishReason::Error => Outcome::Failed,
        // Reasons that only this protocol knows.
        FinishReason::Other => match word.filter(|_| provider == Protocol::Responses) {
            Some(word) if !matches!(&**word, "completed" | "complete" | "queued" | "in_progress") => {
                Outcome::Incomplete(if &**word == "incomplete" {
                    Text::from_static("max_output_tokens")
                } else {
                    word.clone()
                })
            }
            _ => Outcome::Completed,
        },
    }
}

/// What a `response` object says beside the echo of the request.
#[derive(Debug, Default)]
pub(super) struct ResponseState<'a> {
    pub(super) status: &'a str,
    pub(super) created: i64,
    pub(super) completed: bool,
    pub(super) error: Option<(&'a str, Cow<'a, str>)>,
    pub(super) incomplete: Option<&'a str>,
    /// The items, each already JSON.
    pub(super) output: Vec<&'a [u8]>,
    pub(super) usage: Option<&'a Usage>,
    pub(super) service_tier: Option<&'a str>,
    pub(super) ext: Option<&'a Extras>,
}

impl ResponseState<'_> {
    /// Writes the object. `echo` comes from [`echo`].
    pub(super) fn write(&self, w: &mut JsonWriter<'_>, context: &ClientContext, echo: &str) {
        w.object(|w| {
            w.key("id");
            w.string_concat(&["resp_", &context.id]);
            w.str("object", "response");
            w.num("created_at", self.created);
            w.str("status", self.status);
            match self.ext.and_then(|ext| ext.get("completed_at")) {
                Some(time) if self.completed => w.raw("completed_at", time),
                _ if self.completed => w.num("completed_at", context.now.max(self.created)),
                _ => w.null("completed_at"),
            }
            match &self.error {
                Some((code, message)) => w.object_field("error", |w| {
                    w.str("code", code);
                    w.str("message", message);
                }),
                None => w.null("error"),
            }
            match self.incomplete {
                Some(reason) => w.object_field("incomplete_details", |w| w.str("reason", reason)),
                None => w.null("incomplete_details"),
            }
            w.str("model", &context.model);
            w.array_field("output", |w| {
                // Written by `JsonWriter`, or verbatim JSON.
                self.output.iter().for_each(|item| w.raw_value(std::str::from_utf8(item).unwrap_or("null")));
            });
            match self.usage.filter(|usage| !usage.is_absent()) {
                Some(usage) => w.object_field("usage", |w| write_usage(w, usage, context.provider)),
                None => w.null("usage"),
            }
            w.str("service_tier", self.service_tier.unwrap_or("default"));
            // Members with their commas, as they stand inside an object.
            w.raw_value(echo);
            if let Some(ext) = self.ext {
                let own = |name: &str| name != "service_tier" && !SETTINGS.contains(&name);
                let rest = ext.iter().filter(|(name, _)| own(name));
                rest.for_each(|(name, value)| w.raw(name, value));
            }
        });
    }
}

/// The members of a `response` that repeat the client's request, without the braces around them: made once for an answer. `told` are
/// the members of the provider's own `response`.
pub(super) fn echo(context: &ClientContext, told: &Extras) -> String {
    let request = &context.request;
    let told_or = |w: &mut JsonWriter<'_>, name: &str, otherwise: &dyn Fn(&mut JsonWriter<'_>)| match told.get(name) {
        Some(value) => w.raw(name, value),
        None => otherwise(w),
    };
    let mut out = Vec::with_capacity(512);
    JsonWriter::new(&mut out).object(|w| {
        let field = request.instructions.first().filter(|first| !is_item(first));
        let nullable = |w: &mut JsonWriter<'_>, name: &str, value: Option<&str>| match value {
            Some(value) => w.str(name, value),
            None => w.null(name),
        };
        let text = |instruction: &polyport_types::Instruction| {
            instruction.parts.iter().filter_map(Part::as_text).map(|text| &**text).collect::<String>()
        };
        nullable(w, "instructions", field.map(text).as_deref());
        w.object_field("metadata", |w| {
            request.metadata.iter().for_each(|(key, value)| w.str(key, value));
            let known = |name: &str| request.metadata.iter().any(|(key, _)| key == name);
            inside(told.get("metadata"), known, |name, value| w.raw(name, &value));
        });
        told_or(w, "parallel_tool_calls", &|w| {
            w.bool("parallel_tool_calls", request.parallel_tool_calls.unwrap_or(true));
        });
        nullable(
            w,
            "previous_response_id",
            context.previous_response_id.as_deref().or(request.state.previous_response_id.as_deref()),
        );
        if let Some(conversation) = &request.state.conversation {
            w.object_field("conversation", |w| w.str("id", conversation));
        }
        match request.limits.max_output_tokens {
            Some(limit) => w.num("max_output_tokens", limit),
            None => w.null("max_output_tokens"),
        }
        match request.limits.max_server_tool_calls {
            Some(limit) => w.num("max_tool_calls", limit),
            None => w.null("max_tool_calls"),
        }
        echo_reasoning(w, context, told.get("reasoning"));
        w.bool("store", request.state.store.unwrap_or(true));
        told_or(w, "background", &|w| w.bool("background", request.state.background.unwrap_or(false)));
        for (name, set) in [
            ("temperature", Some(request.sampling.temperature.unwrap_or(1.0))),
            ("top_p", Some(request.sampling.top_p.unwrap_or(1.0))),
            ("frequency_penalty", request.sampling.frequency_penalty),
            ("presence_penalty", request.sampling.presence_penalty),
        ] {
            told_or(w, name, &|w| w.opt_num(name, set));
        }
        told_or(w, "top_logprobs", &|w| w.num("top_logprobs", request.sampling.top_logprobs.unwrap_or(0)));
        w.object_field("text", |w| {
            match &request.response_format {
                Some(format) => write_format(w, format, None),
                None => w.object_field("format", |w| w.str("type", "text")),
            }
            let mut told_verbosity = None;
            inside(
                told.get("text"),
                |name| name == "format",
                |name, value| match name {
                    "verbosity" => told_verbosity = Some(value),
                    _ => w.raw(name, &value),
                },
            );
            match &told_verbosity {
                Some(told) => w.raw("verbosity", told),
                None => w.str("verbosity", request.verbosity.map_or("medium", verbosity_word)),
            }
        });
        match &request.tool_choice {
            Some(choice) => {
                w.key("tool_choice");
                write_choice(w, choice, request);
            }
            None => told_or(w, "tool_choice", &|w| w.str("tool_choice", "auto")),
        }
        w.array_field("tools", |w| write_tools(w, &own_tools(request), true, &mut Losses::new()));
        told_or(w, "truncation", &|w| w.str("truncation", request.limits.truncation.as_deref().unwrap_or("disabled")));
        let (user, identifier) = match (&request.end_user, request.end_user_is_legacy) {
            (Some(user), true) => (Some(&**user), None),
            (Some(user), false) => (None, Some(&**user)),
            (None, _) => (None, None),
        };
        nullable(w, "user", user);
        nullable(w, "safety_identifier", identifier);
        nullable(w, "prompt_cache_key", request.cache.key.as_deref());
        told_or(w, "prompt_cache_retention", &|w| {
            w.opt_str("prompt_cache_retention", request.cache.retention.as_deref());
        });
        if let Some(options) = told.get("prompt_cache_options") {
            w.raw("prompt_cache_options", options);
        } else if request.cache.explicit_only.is_some() || request.cache.ttl.is_some() {
            w.object_field("prompt_cache_options", |w| {
                let mode = if request.cache.explicit_only == Some(true) { "explicit" } else { "implicit" };
                w.str("mode", mode);
                w.str("ttl", request.cache.ttl.map_or("30m", ttl_word));
            });
        }
        w.opt_raw("prompt", request.ext.get("prompt"));
    });
    // `JsonWriter` writes UTF-8 only.
    let object = String::from_utf8(out).unwrap_or_default();
    object.strip_prefix('{').and_then(|members| members.strip_suffix('}')).unwrap_or_default().to_owned()
}

/// The members of an object that are not `known` already and say something.
fn inside(object: Option<&RawJson>, known: impl Fn(&str) -> bool, mut take: impl FnMut(&str, RawJson)) {
    let Some(object) = object else { return };
    let members: Pairs<'_, &RawValue> = serde_json::from_str(object.as_str()).unwrap_or_default();
    for (name, value) in members.0.iter().filter(|(name, value)| value.get() != "null" && !known(name)) {
        take(name, raw(value, object.text()));
    }
}

fn echo_reasoning(w: &mut JsonWriter<'_>, context: &ClientContext, told: Option<&RawJson>) {
    let control = context.request.reasoning.clone().unwrap_or_default();
    w.object_field("reasoning", |w| {
        let effort = match control.mode {
            ReasoningMode::Off => Some("none"),
            _ => control.effort.map(polyport_types::Effort::as_str),
        };
        let mut known = Vec::new();
        inside(
            told,
            |_| false,
            |name, value| {
                w.raw(name, &value);
                known.push(Text::from(name));
            },
        );
        let is_known = |name: &str| known.iter().any(|known| known == name);
        for (name, word) in [("effort", effort), ("summary", control.summary.as_deref())] {
            match word {
                _ if is_known(name) => {}
                Some(word) => w.str(name, word),
                None => w.null(name),
            }
        }
        let own = |name: &str| matches!(name, "effort" | "generate_summary") || is_known(name);
        for (name, value) in control.ext.iter().filter(|(name, _)| !own(name)) {
            w.raw(name, value);
        }
    });
}

/// Members of `usage`; every detail is required.
fn write_usage(w: &mut JsonWriter<'_>, usage: &Usage, provider: Protocol) {
    w.num("input_tokens", usage.input_total());
    w.object_field("input_tokens_details", |w| {
        w.num("cached_tokens", usage.cache_read.unwrap_or(0));
        w.num("cache_write_tokens", usage.cache_write());
        if let (Some(short), Some(long)) = (usage.cache_write_30m, usage.cache_write_12h) {
            w.object_field("cache_write_tokens_details", |w| {
                w.num("ttl_30m_tokens", short);
                w.num("ttl_12h_tokens", long);
            });
        }
    });
    w.num("output_tokens", usage.output_total());
    w.object_field("output_tokens_details", |w| w.num("reasoning_tokens", usage.reasoning.unwrap_or(0)));
    w.num("total_tokens", usage.total());
    // What the provider counts beyond that.
    if let (Protocol::Responses, Some(raw)) = (provider, &usage.raw) {
        let members: Pairs<'_, &RawValue> = serde_json::from_str(raw.as_str()).unwrap_or_default();
        let known = |key: &Str<'_>| {
            matches!(
                &**key,
                "input_tokens" | "input_tokens_details" | "output_tokens" | "output_tokens_details" | "total_tokens"
            )
        };
        for (key, value) in members.0.iter().filter(|(key, _)| !known(key)) {
            w.key(key);
            w.raw_value(value.get());
        }
    }
}

/// `response.error` of a fault: code and message. The codes are a closed set, but for two that clients act on.
pub(super) fn error_of(fault: &Fault) -> (&str, Cow<'_, str>) {
    const KNOWN: [&str; 20] = [
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "vector_store_timeout",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    ];
    let own = fault.code.as_deref().filter(|code| KNOWN.contains(code));
    let code = match fault.class {
        FaultClass::ContextTooLong => "context_length_exceeded",
        FaultClass::LocalQuota => "insufficient_quota",
        FaultClass::RateLimited | FaultClass::RateLimitedWindow | FaultClass::LocalRate => "rate_limit_exceeded",
        FaultClass::BadRequest | FaultClass::TooLarge | FaultClass::PolicyRefused => own.unwrap_or("invalid_prompt"),
        _ => own.unwrap_or("server_error"),
    };
    (code, openai_fault::message(fault))
}

/// The `code` of an `error` event.
pub(super) fn error_code(fault: &Fault) -> &str {
    openai_fault::fault_fields(fault).2.unwrap_or("server_error")
}

/// A tier in the words of this protocol; `None` if it means nothing to its clients.
pub(super) fn tier(word: &str, provider: Protocol) -> Option<&str> {
    const KNOWN: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
    match provider {
        Protocol::Responses => Some(word),
        // Other servers that speak Chat have tiers of their own.
        Protocol::Chat => Some(word).filter(|word| KNOWN.contains(word)),
        Protocol::Messages => match word {
            "standard" => Some("default"),
            "priority" => Some("priority"),
            _ => None,
        },
        Protocol::Gemini => None,
    }
}

/// Whether text of the model's reasoning may be shown to the client. A provider of this protocol has already decided it.
pub(super) fn shows_reasoning(context: &ClientContext) -> bool {
    context.provider == Protocol::Responses
        || context.request.reasoning.as_ref().is_some_and(|control| {
            matches!(
                control.visibility,
                Some(polyport_types::ReasoningVisibility::Summary | polyport_types::ReasoningVisibility::Full)
            )
        })
}
