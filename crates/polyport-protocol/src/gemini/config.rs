//! `generationConfig`, both ways.

use polyport_types::{
    Effort, Extras, LossAction, LossCode, Losses, Modality, Protocol, RawJson, ReasoningControl, ReasoningMode,
    ReasoningVisibility, Request, ResponseFormat, Text,
};
use serde_json::value::RawValue;

use super::names;
use super::parts::kept_members;
use super::tools::{self, Member};
use super::types::{FormatEntry, GenerationConfig, Many, ThinkingConfig, Words};
use crate::json::{Int, JsonWriter};
use crate::profile::GeminiThinking;
use crate::{DecodeError, Target};

const CONFIG: &str = "generationConfig";
const THINKING: &str = "generationConfig/thinkingConfig";
/// Stop sequences the API takes.
const MAX_STOP: usize = 5;

const SCHEMA: Member = Member { json_schema: "responseJsonSchema", own: "responseSchema" };

/// Reads `generationConfig`.
///
/// # Errors
/// A budget beside a level, or an unknown level.
pub(super) fn decode(wire: GenerationConfig<'_>, body: &Text, request: &mut Request) -> Result<(), DecodeError> {
    let GenerationConfig {
        temperature,
        top_p,
        top_k,
        candidate_count,
        max_output_tokens,
        stop_sequences,
        presence_penalty,
        frequency_penalty,
        seed,
        response_logprobs,
        logprobs,
        response_mime_type,
        response_schema,
        response_json_schema,
        response_format,
        response_modalities,
        speech_config,
        image_config,
        thinking_config,
        extra,
    } = wire;
    names::keep(extra, CONFIG, body, &mut request.ext);
    let sampling = &mut request.sampling;
    sampling.temperature = temperature.map(|number| number.0);
    sampling.top_p = top_p.map(|number| number.0);
    sampling.top_k = top_k.map(|number| number.0);
    sampling.presence_penalty = presence_penalty.map(|number| number.0);
    sampling.frequency_penalty = frequency_penalty.map(|number| number.0);
    sampling.seed = seed.map(|number| number.0);
    sampling.logprobs = response_logprobs;
    sampling.top_logprobs = logprobs.map(small);
    request.candidates = candidate_count.map(small);
    request.limits.max_output_tokens = max_output_tokens.map(Int::count);
    request.limits.stop = words(stop_sequences, body);
    request.audio_out = speech_config.map(|raw| names::raw(raw, body));
    request.image_out = image_config.map(|raw| names::raw(raw, body));
    for word in words(response_modalities, body) {
        match names::word(&word, "").as_ref() {
            "TEXT" => request.output_modalities.push(Modality::Text),
            "IMAGE" => request.output_modalities.push(Modality::Image),
            "AUDIO" => request.output_modalities.push(Modality::Audio),
            "VIDEO" => request.output_modalities.push(Modality::Video),
            "MODALITY_UNSPECIFIED" => {}
            _ => {
                let path = "generationConfig.responseModalities";
                return Err(DecodeError::at(path, format!("Invalid value (Modality), {:?}", &*word)));
            }
        }
    }
    let schema = response_json_schema.map(|raw| (SCHEMA.json_schema, raw));
    let schema = schema.or(response_schema.map(|raw| (SCHEMA.own, raw)));
    decode_format(response_mime_type.as_deref(), schema, body, request);
    if let Some(raw) = response_format {
        decode_format_list(raw, body, request);
    }
    if let Some(thinking) = thinking_config {
        request.reasoning = Some(decode_thinking(thinking, body, request)?);
    }
    Ok(())
}

fn small(number: Int) -> u32 {
    u32::try_from(number.count()).unwrap_or(u32::MAX)
}

fn words(words: Option<Words<'_>>, body: &Text) -> Vec<Text> {
    words.map(|words| words.0.into_iter().map(|word| word.into_text(body)).collect()).unwrap_or_default()
}

fn decode_format(mime: Option<&str>, schema: Option<(&str, &RawValue)>, body: &Text, request: &mut Request) {
    let mut ext = Extras::new();
    let schema = schema.map(|(member, raw)| tools::read_schema(raw, member, body, &mut ext));
    for (member, verbatim) in ext.iter() {
        names::keep_raw(member, verbatim.clone(), CONFIG, &mut request.ext);
    }
    request.response_format = match (mime.map(str::to_ascii_lowercase).as_deref(), schema) {
        (Some("text/x.enum"), Some(schema)) => Some(ResponseFormat::Enum { schema }),
        (Some("application/json") | None, Some(schema)) => {
            Some(ResponseFormat::JsonSchema { name: None, description: None, schema, strict: None })
        }
        (Some("application/json"), None) => Some(ResponseFormat::JsonObject),
        (Some("text/plain"), None) => Some(ResponseFormat::Text),
        (Some(other), schema) => {
            // A form no other protocol knows: only the same protocol gets it.
            names::keep_raw("responseMimeType", RawJson::of(&other.into()), CONFIG, &mut request.ext);
            if let Some(schema) = schema.filter(|_| ext.is_empty()) {
                names::keep_raw(SCHEMA.json_schema, schema, CONFIG, &mut request.ext);
            }
            None
        }
        (None, None) => None,
    };
}

/// The newer list form: the form of text is read, all of it is kept.
fn decode_format_list(raw: &RawValue, body: &Text, request: &mut Request) {
    if let Ok(Many(entries)) = serde_json::from_str::<Many<FormatEntry<'_>>>(raw.get()) {
        let text = entries.into_iter().find_map(|entry| entry.text);
        if let Some(text) = text.filter(|_| request.response_format.is_none()) {
            let schema = text.schema.map(|raw| (SCHEMA.json_schema, raw));
            decode_format(text.mime_type.as_deref(), schema, body, request);
        }
    }
    // The same protocol gets it back as it came.
    names::keep_raw("responseFormat", names::raw(raw, body), CONFIG, &mut request.ext);
}

fn decode_thinking(
    wire: ThinkingConfig<'_>,
    body: &Text,
    request: &mut Request,
) -> Result<ReasoningControl, DecodeError> {
    let level = wire.level.as_deref().map(|word| names::word(word, ""));
    let level = level.as_deref().filter(|word| !word.is_empty() && *word != "THINKING_LEVEL_UNSPECIFIED");
    if wire.budget.is_some() && level.is_some() {
        return Err(DecodeError::at(
            "generationConfig.thinkingConfig",
            "You can only set only one of thinking budget and thinking level.",
        ));
    }
    let effort = match level {
        Some(word) => match Effort::parse(word) {
            Some(effort) => Some(effort),
            None => {
                return Err(DecodeError::at(
                    "generationConfig.thinkingConfig.thinkingLevel",
                    format!("Invalid value (ThinkingConfig.ThinkingLevel), {word:?}"),
                ));
            }
        },
        None => None,
    };
    names::keep(wire.extra, THINKING, body, &mut request.ext);
    let budget_tokens = wire.budget.map(|budget| budget.0);
    Ok(ReasoningControl {
        mode: match budget_tokens {
            None => ReasoningMode::Unset,
            Some(0) => ReasoningMode::Off,
            Some(..0) => ReasoningMode::Adaptive,
            Some(_) => ReasoningMode::On,
        },
        effort,
        budget_tokens,
        visibility: wire
            .include_thoughts
            .map(|show| if show { ReasoningVisibility::Summary } else { ReasoningVisibility::Omitted }),
        ..ReasoningControl::default()
    })
}

/// Writes `generationConfig` unless nothing is set.
pub(super) fn write(w: &mut JsonWriter<'_>, target: &Target, request: &Request, losses: &mut Losses) {
    let own = Protocol::from(request.source) == Protocol::Gemini;
    let mut out = Vec::new();
    let mut inner = JsonWriter::new(&mut out);
    inner.object(|w| {
        sampling(w, request, own, losses);
        limits(w, request, losses);
        format(w, target, request, own);
        output(w, request, own, losses);
        thinking(w, target, request, own, losses);
        if own {
            let written =
                |name: &str| [SCHEMA.json_schema, SCHEMA.own].contains(&name) && request.response_format.is_some();
            for (name, value) in names::kept(&request.ext, CONFIG) {
                if !written(&name) {
                    w.raw(&name, value);
                }
            }
        }
    });
    if request.verbosity.is_some() {
        losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, "/verbosity", "");
    }
    if out != b"{}" {
        w.key(CONFIG);
        // The writer writes UTF-8 only.
        w.raw_value(std::str::from_utf8(&out).unwrap_or("{}"));
    }
}

fn sampling(w: &mut JsonWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let sampling = &request.sampling;
    // Elsewhere a number of alternatives asks for log probabilities by itself.
    let asked = (!own && sampling.top_logprobs.is_some_and(|top| top > 0)).then_some(true);
    let logprobs = sampling.logprobs.or(asked);
    w.opt_num("temperature", sampling.temperature);
    w.opt_num("topP", sampling.top_p);
    w.opt_num("topK", sampling.top_k);
    w.opt_num("presencePenalty", sampling.presence_penalty);
    w.opt_num("frequencyPenalty", sampling.frequency_penalty);
    if let Some(seed) = sampling.seed {
        let folded = i32::try_from(seed).unwrap_or_else(|_| {
            losses.info(LossCode::SamplingClamped, LossAction::Clamped, "/seed", "folded into 31 bits");
            i32::try_from(seed & 0x7fff_ffff).unwrap_or(i32::MAX)
        });
        w.num("seed", folded);
    }
    w.opt_bool("responseLogprobs", logprobs);
    // A number of alternatives without log probabilities is refused.
    w.opt_num("logprobs", sampling.top_logprobs.filter(|_| logprobs == Some(true)));
    let without_slot = [
        ("/min_p", sampling.min_p.is_some()),
        ("/repetition_penalty", sampling.repetition_penalty.is_some()),
        ("/logit_bias", sampling.logit_bias.is_some()),
    ];
    for (path, set) in without_slot {
        if set {
            losses.warn(LossCode::SamplingUnsupported, LossAction::Dropped, path, "");
        }
    }
}

fn limits(w: &mut JsonWriter<'_>, request: &Request, losses: &mut Losses) {
    w.opt_num("candidateCount", request.candidates);
    let max = request.limits.max_output_tokens.map(|max| max.min(i32::MAX.unsigned_abs().into()));
    w.opt_num("maxOutputTokens", max);
    let stop = &request.limits.stop;
    if !stop.is_empty() {
        w.array_field("stopSequences", |w| stop.iter().take(MAX_STOP).for_each(|word| w.string(word)));
    }
    if stop.len() > MAX_STOP {
        let detail = format!("{} given, {MAX_STOP} kept", stop.len());
        losses.warn(LossCode::StopTooMany, LossAction::Dropped, "/stop", detail);
    }
    if request.limits.max_server_tool_calls.is_some() {
        losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, "/max_tool_calls", "");
    }
    if request.limits.truncation.as_deref() == Some("auto") {
        losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, "/truncation", "auto");
    }
}

fn format(w: &mut JsonWriter<'_>, target: &Target, request: &Request, own: bool) {
    let verbatim: Option<Extras> = own
        .then(|| names::kept(&request.ext, CONFIG).map(|(name, value)| (Text::from(&*name), value.clone())).collect());
    let (mime, schema) = match &request.response_format {
        None => return,
        Some(_) if own && request.ext.get("generationConfig/responseFormat").is_some() => return,
        Some(ResponseFormat::Text) if own => ("text/plain", None),
        Some(ResponseFormat::Text) => return,
        Some(ResponseFormat::JsonObject) => ("application/json", None),
        Some(ResponseFormat::JsonSchema { description, schema, .. }) => {
            let described = description.as_deref().and_then(|text| describe(schema, text));
            ("application/json", Some(described.unwrap_or_else(|| schema.clone())))
        }
        Some(ResponseFormat::Enum { schema }) => ("text/x.enum", Some(schema.clone())),
    };
    w.str("responseMimeType", mime);
    if let Some(schema) = schema {
        tools::write_schema(w, &schema, SCHEMA, verbatim.as_ref(), &target.profile);
    }
}

/// The schema with the description of the answer in front of its own; `None` if it has no place for one.
fn describe(schema: &RawJson, text: &str) -> Option<RawJson> {
    let mut value = schema.to_value();
    let map = value.as_object_mut()?;
    let own = map.get("description").and_then(serde_json::Value::as_str).unwrap_or_default();
    if own.starts_with(text) {
        return None;
    }
    let joined = if own.is_empty() { text.to_owned() } else { format!("{text}\n{own}") };
    map.insert("description".to_owned(), joined.into());
    Some(RawJson::of(&value))
}

fn output(w: &mut JsonWriter<'_>, request: &Request, own: bool, losses: &mut Losses) {
    let only_text = request.output_modalities.iter().all(|modality| *modality == Modality::Text);
    if !request.output_modalities.is_empty() && (own || !only_text) {
        w.array_field("responseModalities", |w| {
            for modality in &request.output_modalities {
                w.string(match modality {
                    Modality::Text => "TEXT",
                    Modality::Image => "IMAGE",
                    Modality::Audio => "AUDIO",
                    Modality::Video => "VIDEO",
                });
            }
        });
    }
    if own {
        w.opt_raw("speechConfig", request.audio_out.as_ref());
        w.opt_raw("imageConfig", request.image_out.as_ref());
        return;
    }
    if request.audio_out.is_some() {
        let detail = "voices have other names here, and the form cannot be chosen";
        losses.warn(LossCode::MediaUnsupported, LossAction::Dropped, "/audio", detail);
    }
    if request.image_out.is_some() {
        losses.warn(LossCode::MediaUnsupported, LossAction::Dropped, "/image", "");
    }
}

/// How hard to think, in the form the model knows.
enum Thinking {
    Budget(i64),
    Level(&'static str),
}

fn thinking(w: &mut JsonWriter<'_>, target: &Target, request: &Request, own: bool, losses: &mut Losses) {
    let Some(reasoning) = &request.reasoning else { return };
    let off = reasoning.mode == ReasoningMode::Off;
    let (effort, budget) = (reasoning.effort, reasoning.budget_tokens);
    let member = match target.capabilities.gemini_thinking {
        GeminiThinking::Level => match (effort, budget) {
            (Some(effort), _) => Some(Thinking::Level(level(effort, target))),
            // Models with levels still take the budgets that older clients send.
            (None, Some(budget)) if own => Some(Thinking::Budget(budget)),
            (None, _) => off.then(|| Thinking::Level(level(Effort::None, target))),
        },
        GeminiThinking::Budget => budget.or_else(|| off.then_some(0)).map(Thinking::Budget),
        GeminiThinking::None if own => {
            budget.map(Thinking::Budget).or_else(|| effort.map(|effort| Thinking::Level(level(effort, target))))
        }
        GeminiThinking::None => None,
    };
    if member.is_none() && (effort.is_some() || budget.is_some_and(|budget| budget >= 0)) {
        losses.warn(LossCode::ReasoningUnsupported, LossAction::Dropped, "/reasoning", "");
    }
    if reasoning.mode == ReasoningMode::BetweenTools {
        losses.warn(LossCode::ReasoningUnsupported, LossAction::Degraded, "/thinking", "between_tools");
    }
    for (name, _) in reasoning.ext.iter() {
        losses.info(LossCode::ReasoningUnsupported, LossAction::Dropped, format!("/reasoning/{name}"), "");
    }
    let show = reasoning.visibility.map(|visibility| visibility != ReasoningVisibility::Omitted);
    let kept = own && names::kept(&request.ext, THINKING).next().is_some();
    if member.is_none() && show.is_none() && !kept {
        return;
    }
    w.object_field("thinkingConfig", |w| {
        match member {
            Some(Thinking::Budget(budget)) => w.num("thinkingBudget", budget),
            Some(Thinking::Level(word)) => w.str("thinkingLevel", word),
            None => {}
        }
        w.opt_bool("includeThoughts", show);
        if own {
            kept_members(w, &request.ext, THINKING);
        }
    });
}

/// The level for an effort; what the model does not know becomes its nearest end.
fn level(effort: Effort, target: &Target) -> &'static str {
    let known = &target.capabilities.efforts;
    let effort = match effort {
        Effort::None => known.iter().copied().filter(|effort| *effort > Effort::None).min().unwrap_or(Effort::Low),
        Effort::XHigh | Effort::Max if known.contains(&Effort::XHigh) => Effort::XHigh,
        Effort::XHigh | Effort::Max => Effort::High,
        other => other,
    };
    match effort {
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::XHigh | Effort::Max => "XHIGH",
    }
}
