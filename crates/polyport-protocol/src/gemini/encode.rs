//! Requests for Gemini servers, written.

use polyport_types::{LossAction, LossCode, Losses, PartKind, Protocol, Request};
use serde_json::value::RawValue;

use super::pieces::Pieces;
use super::tools::Plan;
use super::turns::Turns;
use super::{config, names};
use crate::json::{JsonWriter, Pairs};
use crate::{Encoded, Profile, Target};

const CONFIG: &str = "generationConfig";

/// Writes a resolved request for a provider.
#[must_use]
pub fn encode_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let mut body = Vec::with_capacity(request.about_bytes());
    JsonWriter::new(&mut body).object(|w| members(w, target, request, losses));
    Encoded { body: adapted(&target.profile, body), ..Encoded::default() }
}

/// Applies what the profile of an unusual server says about members: of the body and of `generationConfig`.
fn adapted(profile: &Profile, body: Vec<u8>) -> Vec<u8> {
    if profile.drop.is_empty() && profile.rename.is_empty() && profile.extra_body.is_empty() {
        return body;
    }
    let Ok(members) = serde_json::from_slice::<Pairs<'_, &RawValue>>(&body) else { return body };
    let extra = &profile.extra_body;
    let mut out = Vec::with_capacity(body.len() + 64);
    JsonWriter::new(&mut out).object(|w| {
        let inner = extra.get(CONFIG).and_then(serde_json::Value::as_object);
        let mut config_written = false;
        for (name, value) in &members.0 {
            if &**name == CONFIG && !profile.drop.iter().any(|dropped| dropped == CONFIG) {
                let config = serde_json::from_str::<Pairs<'_, &RawValue>>(value.get()).unwrap_or_default();
                w.object_field(CONFIG, |w| {
                    changed_members(w, profile, &config, inner);
                    inner.into_iter().for_each(|inner| extra_members(w, inner));
                });
                config_written = true;
            }
        }
        let rest = Pairs(members.0.into_iter().filter(|(name, _)| &**name != CONFIG).collect());
        changed_members(w, profile, &rest, Some(extra));
        for (name, value) in extra.iter().filter(|(name, _)| !(config_written && *name == CONFIG)) {
            w.key(name);
            w.raw_value(&value.to_string());
        }
    });
    out
}

/// Writes members under their new names, without those that are dropped or come from `replaced`.
fn changed_members(
    w: &mut JsonWriter<'_>,
    profile: &Profile,
    members: &Pairs<'_, &RawValue>,
    replaced: Option<&serde_json::Map<String, serde_json::Value>>,
) {
    for (name, value) in &members.0 {
        let renamed = profile.rename.get(&**name).map_or(&**name, String::as_str);
        let dropped = profile.drop.iter().any(|dropped| **dropped == **name);
        if !dropped && !replaced.is_some_and(|replaced| replaced.contains_key(renamed)) {
            w.key(renamed);
            w.raw_value(value.get());
        }
    }
}

fn extra_members(w: &mut JsonWriter<'_>, members: &serde_json::Map<String, serde_json::Value>) {
    for (name, value) in members {
        w.key(name);
        w.raw_value(&value.to_string());
    }
}

/// Writes a request for the `countTokens` method of a provider: everything that costs tokens counts.
#[must_use]
pub fn encode_count_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let mut body = Vec::with_capacity(request.about_bytes());
    if !target.profile.counts_whole_requests {
        JsonWriter::new(&mut body).object(|w| members(w, target, request, losses));
        return Encoded { body: counted(body), ..Encoded::default() };
    }
    JsonWriter::new(&mut body).object(|w| {
        w.object_field("generateContentRequest", |w| {
            w.key("model");
            w.string_concat(&["models/", &target.model]);
            members(w, target, request, losses);
        });
    });
    Encoded { body, ..Encoded::default() }
}

/// The members of a request that count, where no whole request is taken.
fn counted(body: Vec<u8>) -> Vec<u8> {
    const COUNTED: [&str; 4] = ["contents", "systemInstruction", "tools", CONFIG];
    let Ok(members) = serde_json::from_slice::<Pairs<'_, &RawValue>>(&body) else { return body };
    let mut out = Vec::with_capacity(body.len());
    JsonWriter::new(&mut out).object(|w| {
        for (name, value) in members.0.iter().filter(|(name, _)| COUNTED.contains(&&**name)) {
            w.key(name);
            w.raw_value(value.get());
        }
    });
    out
}

/// Writes an answer of `countTokens`.
#[must_use]
pub fn encode_count(tokens: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(32);
    JsonWriter::new(&mut body).object(|w| w.num("totalTokens", tokens));
    body
}

fn members(w: &mut JsonWriter<'_>, target: &Target, request: &Request, losses: &mut Losses) {
    let own = Protocol::from(request.source) == Protocol::Gemini;
    instructions(w, target, request, own, losses);
    Turns::new(target, request, losses).write(w);
    Plan::new(target, request, losses).write(w, target, request, losses);
    config::write(w, target, request, losses);
    service_tier(w, request, losses);
    if own {
        w.opt_raw("safetySettings", request.safety.as_ref());
        w.opt_str("cachedContent", request.cache.named_resource.as_deref());
        if !request.metadata.is_empty() {
            w.object_field("labels", |w| request.metadata.iter().for_each(|(name, value)| w.str(name, value)));
        }
        w.opt_bool("store", request.state.store);
        for (name, value) in names::kept(&request.ext, "") {
            w.raw(&name, value);
        }
    }
    let chosen =
        |name: &str| matches!(name, "contents" | "systemInstruction" | "tools" | "toolConfig" | "generationConfig");
    for (name, value) in target.profile.extra_body.iter().filter(|(name, _)| !chosen(name)) {
        w.key(name);
        w.raw_value(&value.to_string());
    }
    without_slot(request, own, losses);
}

fn instructions(w: &mut JsonWriter<'_>, target: &Target, request: &Request, own: bool, losses: &mut Losses) {
    let mut pieces = Vec::new();
    for (number, instruction) in request.instructions.iter().enumerate() {
        let path = format!("/instructions/{number}");
        if instruction.name.is_some() {
            losses.info(LossCode::NameDropped, LossAction::Dropped, path.as_str(), "");
        }
        for part in &instruction.parts {
            if matches!(part.kind, PartKind::Image(_) | PartKind::Audio(_) | PartKind::Video(_)) && !own {
                losses.error(LossCode::MediaUnsupported, path.as_str(), "media in an instruction");
                continue;
            }
            Pieces::new(target, request).part(part, &path, losses, &mut pieces);
        }
    }
    if pieces.is_empty() {
        return;
    }
    w.object_field("systemInstruction", |w| {
        if own && let Some(first) = request.instructions.first() {
            w.extras(&first.ext);
        }
        w.array_field("parts", |w| pieces.iter().for_each(|piece| piece.write(w)));
    });
}

/// Writes the tier in Google's words.
fn service_tier(w: &mut JsonWriter<'_>, request: &Request, losses: &mut Losses) {
    let mapped = match request.service_tier.as_deref() {
        None | Some("auto") => return,
        Some("default" | "standard_only") => {
            w.str("serviceTier", "standard");
            return;
        }
        Some(tier @ ("standard" | "flex" | "priority")) => {
            w.str("serviceTier", tier);
            return;
        }
        Some("fast" | "ultrafast") => Some("priority"),
        Some(tier) if Protocol::from(request.source) == Protocol::Gemini => {
            w.str("serviceTier", tier);
            return;
        }
        Some(_) => None,
    };
    let path = "/service_tier";
    match mapped {
        Some(tier) => {
            w.str("serviceTier", tier);
            losses.warn(LossCode::ServiceTierMapped, LossAction::Degraded, path, tier);
        }
        None => losses.warn(LossCode::ServiceTierDropped, LossAction::Dropped, path, ""),
    }
}

/// Reports what this protocol has no slot for.
fn without_slot(request: &Request, own: bool, losses: &mut Losses) {
    use LossAction::Dropped;
    if request.parallel_tool_calls == Some(false) {
        losses.warn(LossCode::ParallelUnsupported, Dropped, "/parallel_tool_calls", "");
    }
    if request.end_user.is_some() {
        losses.info(LossCode::IdentityDropped, Dropped, "/user", "");
    }
    if request.prediction.is_some() {
        losses.info(LossCode::ServerFeatureDropped, Dropped, "/prediction", "");
    }
    let cache = &request.cache;
    if cache.key.is_some() || cache.retention.is_some() || cache.explicit_only.is_some() || cache.ttl.is_some() {
        losses.info(LossCode::CacheKeyDropped, Dropped, "/prompt_cache", "caching is implicit");
    }
    if cache.auto_breakpoint {
        losses.info(LossCode::CacheBreakpointDropped, Dropped, "/cache_control", "caching is implicit");
    }
    let state = &request.state;
    if state.background == Some(true) {
        losses.error(LossCode::StateUnsupported, "/background", "the provider does not answer in the background");
    }
    if own {
        return;
    }
    if !request.metadata.is_empty() {
        losses.info(LossCode::MetadataDropped, Dropped, "/metadata", "");
    }
    if state.store == Some(true) {
        losses.info(LossCode::StateUnsupported, Dropped, "/store", "");
    }
    if state.previous_response_id.is_some() {
        losses.error(LossCode::StateUnsupported, "/previous_response_id", "the provider keeps no answers");
    }
    if state.conversation.is_some() {
        losses.error(LossCode::StateUnsupported, "/conversation", "the provider keeps no conversations");
    }
    for (name, value) in request.ext.iter() {
        let path = format!("/{name}");
        match &**name {
            // Any other speed became the tier.
            "speed" if value.as_str() == "\"standard\"" => {}
            "moderation" => losses.warn(LossCode::ModerationDropped, Dropped, path, ""),
            "user" => losses.info(LossCode::IdentityDropped, Dropped, path, ""),
            "diagnostics" | "user_profile_id" | "workspace_id" | "inference_geo" => {
                losses.info(LossCode::UnknownFieldDropped, Dropped, path, "");
            }
            _ => losses.warn(LossCode::UnknownFieldDropped, Dropped, path, ""),
        }
    }
}
