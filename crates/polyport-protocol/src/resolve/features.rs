//! Members of a request that only its own protocol has.
//!
//! Known ones are reported here under the code that says what is lost, and taken out; what is left has no name in any table and is
//! reported by those who write the request.

use polyport_types::{
    ClientProtocol, Extras, LossAction,
    LossCode::{self, IdentityDropped, MetadataDropped, ModerationDropped, SafetyDropped, ServerFeatureDropped},
    Part, PartKind, Protocol, RawJson, ReasoningMode, Request, Severity, Text,
};
use serde_json::Value;

use super::{Job, Place, Tally};
use crate::profile::AnthropicThinking;

/// Protocol, member, what its loss is called and how much it matters.
const FEATURES: &[(ClientProtocol, &str, LossCode, Severity)] = {
    use ClientProtocol::{Gemini, Messages, Responses};
    use Severity::{Error, Info, Warn};
    &[
        // A template holds words nobody here has read.
        (Responses, "prompt", ServerFeatureDropped, Error),
        (Responses, "context_management", ServerFeatureDropped, Warn),
        (Responses, "access_programs", ServerFeatureDropped, Warn),
        (Responses, "image", ServerFeatureDropped, Info),
        (Responses, "client_metadata", MetadataDropped, Info),
        (Messages, "container", ServerFeatureDropped, Warn),
        (Messages, "output_config", ServerFeatureDropped, Warn),
        (Messages, "compaction", ServerFeatureDropped, Warn),
        (Messages, "fallbacks", ServerFeatureDropped, Warn),
        (Messages, "fallback_credit_token", ServerFeatureDropped, Warn),
        (Messages, "billing_policy", ServerFeatureDropped, Warn),
        (Messages, "inference_geo", ServerFeatureDropped, Warn),
        (Messages, "diagnostics", ServerFeatureDropped, Info),
        (Messages, "user_profile_id", IdentityDropped, Info),
        (Messages, "workspace_id", IdentityDropped, Info),
        (Messages, "metadata", MetadataDropped, Info),
        (Gemini, "continuationToken", ServerFeatureDropped, Error),
        (Gemini, "modelArmorConfig", SafetyDropped, Warn),
        (Gemini, "toolConfig/retrievalConfig", ServerFeatureDropped, Warn),
        (Gemini, "toolConfig/includeServerSideToolInvocations", ServerFeatureDropped, Info),
        (Gemini, "generationConfig/audioTimestamp", ServerFeatureDropped, Info),
        (Gemini, "generationConfig/routingConfig", ServerFeatureDropped, Info),
        (Gemini, "generationConfig/modelSelectionConfig", ServerFeatureDropped, Info),
        (Gemini, "generationConfig/audioTranscriptionConfig", ServerFeatureDropped, Info),
        (Gemini, "generationConfig/translationConfig", ServerFeatureDropped, Info),
        (Gemini, "generationConfig/enableEnhancedCivicAnswers", ServerFeatureDropped, Info),
        (Gemini, "generationConfig/enableAffectiveDialog", ServerFeatureDropped, Info),
    ]
};

/// Members kept only so that the same protocol gets them back as they stood: what they say has a slot of its own.
const COPIES: &[(ClientProtocol, &str)] = &[
    (ClientProtocol::Messages, "cache_control"),
    (ClientProtocol::Messages, "service_tier"),
    (ClientProtocol::Gemini, "generationConfig/mediaResolution"),
];

/// The same for the shape of the answer, if it was understood.
const FORMAT_COPIES: &[&str] =
    &["generationConfig/responseSchema", "generationConfig/responseJsonSchema", "generationConfig/responseFormat"];

/// Reports and takes out what is known.
pub(super) fn report(job: &mut Job<'_>, request: &mut Request) {
    report_thinking(job, request);
    if job.same || request.ext.is_empty() {
        return;
    }
    for (source, member, code, severity) in FEATURES {
        if *source != job.source || request.ext.remove(member).is_none() {
            continue;
        }
        let path = format!("/{member}");
        match severity {
            Severity::Error => job.losses.error(*code, path, "only its own provider can honour it"),
            Severity::Warn => job.losses.warn(*code, LossAction::Dropped, path, ""),
            Severity::Info => job.losses.info(*code, LossAction::Dropped, path, ""),
        }
    }
    for (source, member) in COPIES {
        if *source == job.source {
            request.ext.remove(member);
        }
    }
    if request.response_format.is_some() {
        for member in FORMAT_COPIES {
            request.ext.remove(member);
        }
    }
    special(job, request);
}

/// How a model shall reason beyond effort and summary; both protocols of `OpenAI` have words of their own for it.
fn report_thinking(job: &mut Job<'_>, request: &mut Request) {
    if job.same || job.source != ClientProtocol::Responses {
        return;
    }
    let Some(control) = &mut request.reasoning else { return };
    let known = |name: &str| matches!(name, "effort" | "generate_summary");
    for (name, _) in control.ext.iter().filter(|(name, value)| !known(name) && !value.is_null()) {
        let path = format!("/reasoning/{name}");
        job.losses.info(LossCode::ReasoningUnsupported, LossAction::Dropped, path, "");
    }
    control.ext = std::mem::take(&mut control.ext)
        .iter()
        .filter(|(name, _)| known(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
}

/// Members of a part that say again what has a slot.
const PART_COPIES: &[&str] = &[
    "cache_control",
    "functionResponse/response",
    "mediaResolution",
    "inlineData/displayName",
    "fileData/displayName",
    "thought",
];

/// Reports members of messages and parts that have no slot; nobody but the client's own protocol gets them.
pub(super) fn report_parts(job: &mut Job<'_>, request: &Request) {
    report_phases(job, request);
    if job.same || !matches!(job.source, ClientProtocol::Messages | ClientProtocol::Gemini) {
        return;
    }
    let mut lost: Vec<(Text, Tally)> = Vec::new();
    for message in &request.messages {
        let place = job.place(message);
        members(&message.ext, place, &mut lost);
        message.parts.iter().for_each(|part| part_members(part, place, &mut lost));
    }
    for (name, tally) in lost {
        if let Some((place, detail)) = tally.take("times") {
            let path = format!("{place}/{name}");
            job.losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, path, detail);
        }
    }
}

/// Whether words were spoken on the way or as the answer: only Responses tells.
fn report_phases(job: &mut Job<'_>, request: &Request) {
    if job.same {
        return;
    }
    let mut tally = Tally::default();
    for message in request.messages.iter().filter(|message| message.phase.is_some()) {
        tally.add(job.place(message));
    }
    if let Some((place, detail)) = tally.take("messages") {
        let path = format!("{place}/phase");
        job.losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, path, detail);
    }
}

fn part_members(part: &Part, place: Place, lost: &mut Vec<(Text, Tally)>) {
    // Reasoning is judged as a whole, by its signature.
    if !matches!(part.kind, PartKind::Reasoning(_)) {
        members(&part.ext, place, lost);
    }
    if let PartKind::ToolResult(result) = &part.kind {
        result.parts.iter().for_each(|inner| part_members(inner, place, lost));
    }
}

fn members(ext: &Extras, place: Place, lost: &mut Vec<(Text, Tally)>) {
    for (name, value) in ext.iter() {
        if value.as_str() == "null" || PART_COPIES.contains(&&**name) {
            continue;
        }
        match lost.iter_mut().find(|(known, _)| known == name) {
            Some((_, tally)) => tally.add(place),
            None => {
                let mut tally = Tally::default();
                tally.add(place);
                lost.push((name.clone(), tally));
            }
        }
    }
}

/// Anthropic refuses to clear thinking out of the context of a request that does not think.
pub(super) fn clear_no_thinking(job: &mut Job<'_>, request: &mut Request) {
    const MEMBER: &str = "context_management";
    let abilities = job.capabilities();
    let cannot = !abilities.reasoning || abilities.anthropic_thinking == AnthropicThinking::None;
    let off = request.reasoning.as_ref().is_some_and(|control| control.mode == ReasoningMode::Off);
    if !job.same || !job.to(Protocol::Messages) || !(off || cannot) || request.ext.get(MEMBER).is_none() {
        return;
    }
    let mut management = request.ext.remove(MEMBER).map(|edits| edits.to_value()).unwrap_or_default();
    let edits = management.get_mut("edits").and_then(Value::as_array_mut);
    let is_of_thinking =
        |edit: &Value| edit.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("clear_thinking"));
    let (before, left) = edits.map_or((0, 1), |edits| {
        let before = edits.len();
        edits.retain(|edit| !is_of_thinking(edit));
        (before, edits.len())
    });
    if left > 0 {
        request.ext.push(MEMBER, RawJson::of(&management));
    }
    if left < before {
        let detail = "there is no thinking to clear";
        job.losses.info(ServerFeatureDropped, LossAction::Dropped, format!("/{MEMBER}/edits"), detail);
    }
}

/// Members whose content decides.
fn special(job: &mut Job<'_>, request: &mut Request) {
    if job.source == ClientProtocol::Messages {
        if let Some(edits) = request.ext.remove("context_management") {
            // Clearing old thinking or results only matters to contexts that are nearly full.
            let summarises = edits.as_str().contains("compact");
            let path = "/context_management";
            if summarises {
                job.losses.warn(ServerFeatureDropped, LossAction::Dropped, path, "");
            } else {
                job.losses.info(ServerFeatureDropped, LossAction::Dropped, path, "");
            }
        }
        if let Some(thread) = request.ext.remove("thread") {
            if thread.as_str().contains("previous_message_id") {
                job.losses.error(ServerFeatureDropped, "/thread", "continues a conversation that its provider holds");
            } else {
                job.losses.warn(ServerFeatureDropped, LossAction::Dropped, "/thread", "");
            }
        }
    }
    if job.source == ClientProtocol::Responses && !job.goes_to_openai() && request.ext.remove("moderation").is_some() {
        job.losses.warn(ModerationDropped, LossAction::Dropped, "/moderation", "");
    }
}
