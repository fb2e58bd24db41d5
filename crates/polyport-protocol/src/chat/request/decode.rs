//! The members of a client's body.

use polyport_types::{
    CacheControl, CacheTtl, ClientProtocol, Effort, Limits, Modality, RawJson, ReasoningControl, ReasoningMode,
    ReasoningVisibility, Request, Sampling, StreamOptions, Text, Verbosity,
};
use serde_json::value::RawValue;

use super::decode_history::History;
use super::decode_tools;
use crate::chat::members;
use crate::chat::types::{ChatRequest, ReasoningOptions, TemplateKwargs, ThinkingOptions};
use crate::json::{self, Int, OneOrMany};
use crate::{DecodeError, RequestHead};

/// Reads a client's request. Nothing of the protocol stands outside the body.
///
/// # Errors
/// [`DecodeError`] names the wrong path, in the words of the official API.
pub fn decode_request(_head: &RequestHead, body: &Text) -> Result<Request, DecodeError> {
    let mut wire: ChatRequest<'_> = json::from_text(body).map_err(in_official_words)?;
    let model = match wire.model.take() {
        Some(model) if !model.is_empty() => model.into_text(body),
        _ => return Err(missing("model")),
    };
    let mut request = Request::new(ClientProtocol::Chat, model);
    let messages = wire.messages.take().ok_or_else(|| missing("messages"))?;
    if messages.is_empty() {
        return Err(DecodeError::at(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ));
    }
    request.legacy_functions = wire.functions.is_some() || wire.function_call.is_some();
    History::new(body, &mut request).read(messages)?;
    decode_tools::read(&mut wire, &mut request, body)?;
    read_reasoning(&mut wire, &mut request, body)?;
    read_output(&mut wire, &mut request, body)?;
    request.sampling = sampling(&wire, body)?;
    request.limits = limits(&mut wire, body)?;
    request.cache = cache(&mut wire, body)?;
    read_identity(&mut wire, &mut request, body);
    request.stream = wire.stream.unwrap_or_default();
    if let Some(options) = &wire.stream_options {
        request.stream_options = StreamOptions {
            include_usage: options.include_usage.unwrap_or_default(),
            include_obfuscation: options.include_obfuscation,
            json_array: false,
        };
    }
    for (name, value) in json::extras(wire.extra, body).iter().filter(|(_, value)| !value.is_null()) {
        request.ext.push(name.clone(), value.clone());
    }
    Ok(request)
}

/// A member that must be there.
pub(super) fn missing(path: impl Into<String>) -> DecodeError {
    let path = path.into();
    let message = format!("Missing required parameter: '{path}'.");
    DecodeError::at(path, message)
}

/// A word that is none of the known ones.
pub(super) fn unsupported(path: impl Into<String>, got: &str, supported: &[&str]) -> DecodeError {
    let got: String = got.chars().take(64).collect();
    let words: Vec<String> = supported.iter().map(|word| format!("'{word}'")).collect();
    let list = match words.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{}, and {last}", all.join(", ")),
        words => words.concat(),
    };
    DecodeError::at(path, format!("Invalid value: '{got}'. Supported values are: {list}."))
}

/// Puts the parser's complaint about a type into the words of the official API. The value itself is not repeated.
fn in_official_words(error: DecodeError) -> DecodeError {
    let message = error.message.rsplit_once(" at line ").map_or(error.message.as_str(), |(message, _)| message);
    let Some((got, expected)) = message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    else {
        return error;
    };
    let got = match got.split(' ').next().unwrap_or_default() {
        "integer" => "an integer",
        "floating" => "a decimal",
        "boolean" => "a boolean",
        "string" => "a string",
        "sequence" => "an array",
        "map" => "an object",
        "null" => "null",
        _ => "a value of another type",
    };
    let expected = match expected {
        "f64" => "a decimal",
        "a sequence" => "an array",
        "u8" => "an integer",
        other => other,
    };
    let message = format!("Invalid type for '{}': expected {expected}, but got {got} instead.", error.path);
    DecodeError::at(error.path, message)
}

/// A whole number that must not be negative.
fn count(path: &str, value: Int, least: i64) -> Result<u64, DecodeError> {
    match u64::try_from(value.0) {
        Ok(count) if value.0 >= least => Ok(count),
        _ => Err(DecodeError::at(
            path,
            format!(
                "Invalid '{path}': integer below minimum value. Expected a value >= {least}, but got {} instead.",
                value.0
            ),
        )),
    }
}

fn small_count(path: &str, value: Int, least: i64) -> Result<u32, DecodeError> {
    count(path, value, least).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn sampling(wire: &ChatRequest<'_>, body: &Text) -> Result<Sampling, DecodeError> {
    Ok(Sampling {
        temperature: wire.temperature,
        top_p: wire.top_p,
        top_k: wire.top_k,
        min_p: wire.min_p,
        frequency_penalty: wire.frequency_penalty,
        presence_penalty: wire.presence_penalty,
        repetition_penalty: wire.repetition_penalty,
        seed: wire.seed.map(|seed| seed.0),
        logit_bias: wire.logit_bias.map(|raw| json::raw(raw, body)),
        logprobs: wire.logprobs,
        top_logprobs: wire.top_logprobs.map(|top| small_count("top_logprobs", top, 0)).transpose()?,
    })
}

fn limits(wire: &mut ChatRequest<'_>, body: &Text) -> Result<Limits, DecodeError> {
    let (limit, max_tokens_is_legacy) = match (wire.max_completion_tokens, wire.max_tokens) {
        (Some(limit), _) => (Some(count("max_completion_tokens", limit, 1)?), false),
        (None, Some(limit)) => (Some(count("max_tokens", limit, 1)?), true),
        (None, None) => (None, false),
    };
    let stop = match wire.stop.take() {
        None => Vec::new(),
        Some(OneOrMany::One(stop)) => vec![stop.into_text(body)],
        Some(OneOrMany::Many(stops)) => stops.into_iter().map(|stop| stop.into_text(body)).collect(),
    };
    Ok(Limits { max_output_tokens: limit, max_tokens_is_legacy, max_server_tool_calls: None, stop, truncation: None })
}

/// What the answer shall look like.
fn read_output(wire: &mut ChatRequest<'_>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    request.response_format = decode_tools::response_format(wire, request, body)?;
    request.verbosity = match wire.verbosity.as_deref() {
        None => None,
        Some("low") => Some(Verbosity::Low),
        Some("medium") => Some(Verbosity::Medium),
        Some("high") => Some(Verbosity::High),
        Some(other) => return Err(unsupported("verbosity", other, &["low", "medium", "high"])),
    };
    request.candidates = wire.n.map(|n| small_count("n", n, 1)).transpose()?;
    for (at, modality) in wire.modalities.take().unwrap_or_default().iter().enumerate() {
        request.output_modalities.push(match &**modality {
            "text" => Modality::Text,
            "audio" => Modality::Audio,
            "image" => Modality::Image,
            other => return Err(unsupported(format!("modalities[{at}]"), other, &["text", "audio", "image"])),
        });
    }
    request.audio_out = wire.audio.map(|raw| json::raw(raw, body));
    request.prediction = wire.prediction.map(|raw| json::raw(raw, body));
    Ok(())
}

fn read_identity(wire: &mut ChatRequest<'_>, request: &mut Request, body: &Text) {
    let user = wire.user.take().map(|user| user.into_text(body));
    match (wire.safety_identifier.take(), user) {
        (Some(id), user) => {
            request.end_user = Some(id.into_text(body));
            if let Some(user) = user {
                request.ext.push("user", RawJson::of(&serde_json::Value::String(user.to_string())));
            }
        }
        (None, user) => {
            request.end_user_is_legacy = user.is_some();
            request.end_user = user;
        }
    }
    let pairs = wire.metadata.take().map(|pairs| pairs.0).unwrap_or_default();
    request.metadata = pairs.into_iter().map(|(key, value)| (key.into_text(body), value.into_text(body))).collect();
    request.service_tier = wire.service_tier.take().map(|tier| tier.into_text(body));
    request.state.store = wire.store;
}

fn cache(wire: &mut ChatRequest<'_>, body: &Text) -> Result<CacheControl, DecodeError> {
    let mut cache = CacheControl {
        key: wire.prompt_cache_key.take().map(|key| key.into_text(body)),
        retention: wire.prompt_cache_retention.take().map(|word| word.into_text(body)),
        ..CacheControl::default()
    };
    if let Some(options) = wire.prompt_cache_options.take() {
        cache.explicit_only = match options.mode.as_deref() {
            None => None,
            Some("implicit") => Some(false),
            Some("explicit") => Some(true),
            Some(other) => return Err(unsupported("prompt_cache_options.mode", other, &["implicit", "explicit"])),
        };
        if let Some(word) = &options.ttl {
            match ttl(word) {
                Some(ttl) => cache.ttl = Some(ttl),
                None => return Err(unsupported("prompt_cache_options.ttl", word, &["30m", "12h"])),
            }
        }
        cache.ext = json::extras(options.extra, body);
    }
    if let Some(control) = &wire.cache_control {
        cache.auto_breakpoint = true;
        cache.ttl = cache.ttl.or_else(|| control.ttl.as_deref().and_then(ttl));
    }
    Ok(cache)
}

/// Reads a cache lifetime.
pub(super) fn ttl(word: &str) -> Option<CacheTtl> {
    match word {
        "5m" => Some(CacheTtl::Minutes5),
        "30m" => Some(CacheTtl::Minutes30),
        "1h" => Some(CacheTtl::Hour1),
        "12h" => Some(CacheTtl::Hours12),
        "24h" => Some(CacheTtl::Hours24),
        _ => None,
    }
}

/// Reasoning control in every dialect: the word of `OpenAI`, the object of `OpenRouter`, the switches of other vendors.
/// What the neutral form has no slot for stays beside it under the member's own name.
fn read_reasoning(wire: &mut ChatRequest<'_>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    let mut control = ReasoningControl::default();
    if let Some(word) = wire.reasoning_effort.take() {
        match Effort::parse(&word) {
            Some(effort) => control.effort = Some(effort),
            // Words of other vendors, e.g. `default`.
            None => control.ext.push("reasoning_effort", RawJson::of(&serde_json::Value::String(word.to_string()))),
        }
    }
    if let Some(raw) = wire.reasoning {
        read_reasoning_options(&sub("reasoning", raw)?, &mut control, body);
    }
    if let Some(raw) = wire.thinking {
        read_thinking(&sub("thinking", raw)?, &mut control, body);
    }
    if let Some(enabled) = wire.enable_thinking {
        control.mode = if enabled { ReasoningMode::On } else { ReasoningMode::Off };
    }
    if let Some(budget) = wire.thinking_budget {
        control.budget_tokens = Some(budget.0);
    }
    if let Some(raw) = wire.chat_template_kwargs {
        let kwargs: TemplateKwargs<'_> = sub("chat_template_kwargs", raw)?;
        if let Some(enabled) = kwargs.enable_thinking {
            control.mode = if enabled { ReasoningMode::On } else { ReasoningMode::Off };
        }
        if !kwargs.extra.is_empty() {
            control.ext.push("chat_template_kwargs", members::object(&json::extras(kwargs.extra, body)));
        }
    }
    if let Some(include) = wire.include_reasoning {
        control.visibility = Some(if include { ReasoningVisibility::Full } else { ReasoningVisibility::Omitted });
    }
    if control.effort == Some(Effort::None) {
        control.mode = ReasoningMode::Off;
    }
    request.reasoning = (control != ReasoningControl::default()).then_some(control);
    Ok(())
}

fn read_reasoning_options(options: &ReasoningOptions<'_>, control: &mut ReasoningControl, body: &Text) {
    control.effort = options.effort.as_deref().and_then(Effort::parse).or(control.effort);
    control.budget_tokens = options.max_tokens.map(|budget| budget.0).or(control.budget_tokens);
    match options.enabled {
        Some(true) => control.mode = ReasoningMode::On,
        Some(false) => control.mode = ReasoningMode::Off,
        None => {}
    }
    match options.exclude {
        Some(true) => control.visibility = Some(ReasoningVisibility::Omitted),
        Some(false) => control.visibility = Some(ReasoningVisibility::Full),
        None => {}
    }
    control.summary = options.summary.as_ref().map(|word| word.to_text(body));
    let rest = json::extras(options.extra.clone(), body);
    if !rest.is_empty() {
        control.ext.push("reasoning", members::object(&rest));
    }
}

fn read_thinking(options: &ThinkingOptions<'_>, control: &mut ReasoningControl, body: &Text) {
    match options.kind.as_deref() {
        Some("enabled") => control.mode = ReasoningMode::On,
        Some("disabled") => control.mode = ReasoningMode::Off,
        Some("adaptive" | "auto") => control.mode = ReasoningMode::Adaptive,
        _ => {}
    }
    control.budget_tokens = options.budget_tokens.map(|budget| budget.0).or(control.budget_tokens);
    let rest = json::extras(options.extra.clone(), body);
    if !rest.is_empty() {
        control.ext.push("thinking", members::object(&rest));
    }
}

/// Reads an object that was kept raw; mistakes name its path.
pub(super) fn sub<'a, T: serde::Deserialize<'a>>(path: &str, raw: &'a RawValue) -> Result<T, DecodeError> {
    serde_json::from_str(raw.get()).map_err(|error| in_official_words(DecodeError::at(path, error.to_string())))
}
