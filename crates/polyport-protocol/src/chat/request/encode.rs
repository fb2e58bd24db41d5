//! The members of a provider's body.

use std::borrow::Cow;

use polyport_types::{
    CacheTtl, ClientProtocol, Effort, LossAction, LossCode, Losses, Modality, RawJson, ReasoningControl, ReasoningMode,
    ReasoningVisibility, Request, Text, Verbosity,
};

use super::{encode_history, encode_tools};
use crate::chat::members;
use crate::json::{JsonWriter, Number};
use crate::profile::{LimitField, Profile, ThinkingControl};
use crate::{Encoded, Target};

/// Longest `safety_identifier` every version of the official API takes.
const MAX_IDENTIFIER: usize = 64;

/// Writes a resolved request for a provider: no `null` members but `content`, the same bytes for the same request.
#[must_use]
pub fn encode_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let mut out = Vec::with_capacity(request.about_bytes());
    JsonWriter::new(&mut out).object(|w| {
        let mut body = Body { w, target, request, losses };
        body.field("model", |body| body.w.string(&body.target.model));
        encode_history::write(&mut body);
        encode_tools::write(&mut body);
        body.output();
        body.sampling();
        body.limits();
        body.reasoning();
        body.cache();
        body.identity();
        body.streaming();
        body.vendor_members();
        body.report_slotless();
        body.extra_body();
    });
    Encoded { body: out, ..Encoded::default() }
}

/// The body while it is written, with everything its sections ask.
pub(super) struct Body<'r, 'w, 'b> {
    pub(super) w: &'w mut JsonWriter<'b>,
    pub(super) target: &'r Target,
    pub(super) request: &'r Request,
    pub(super) losses: &'r mut Losses,
}

impl<'r> Body<'r, '_, '_> {
    pub(super) fn profile(&self) -> &'r Profile {
        &self.target.profile
    }

    /// Whether the client spoke Chat itself, so that members without a slot may go on.
    pub(super) fn is_own(&self) -> bool {
        self.request.source == ClientProtocol::Chat
    }

    /// Whether the server understands a vendor's member.
    pub(super) fn accepts(&self, name: &str) -> bool {
        let profile = self.profile();
        profile.accept_unknown || profile.accept.iter().any(|accepted| accepted == name)
    }

    /// Whether the profile leaves a member out.
    fn drops(&self, name: &str) -> bool {
        self.profile().drop.iter().any(|dropped| dropped == name)
    }

    /// The name under which a member goes out; `None` if the profile leaves it out or sets it itself.
    fn wire_name(&mut self, name: &'static str) -> Option<Cow<'r, str>> {
        let profile = self.profile();
        let renamed = profile.rename.get(name).map_or(Cow::Borrowed(name), |to| Cow::Borrowed(to.as_str()));
        if profile.extra_body.contains_key(&*renamed) {
            return None;
        }
        if self.drops(name) {
            report_lost(name, self.losses);
            return None;
        }
        Some(renamed)
    }

    /// A member, whatever its value.
    pub(super) fn field(&mut self, name: &'static str, value: impl FnOnce(&mut Self)) {
        if let Some(name) = self.wire_name(name) {
            self.w.key(&name);
            value(self);
        }
    }

    /// A switch that says nothing a server without it would not do anyway where it has this value.
    pub(super) fn flag(&mut self, name: &'static str, value: Option<bool>, usual: bool) {
        self.opt_bool(name, value.filter(|value| *value != usual || !self.drops(name)));
    }

    fn opt_str(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(name, |body| body.w.string(value));
        }
    }

    pub(super) fn opt_bool(&mut self, name: &'static str, value: Option<bool>) {
        if let Some(value) = value {
            self.field(name, |body| body.w.raw_value(if value { "true" } else { "false" }));
        }
    }

    pub(super) fn opt_raw(&mut self, name: &'static str, value: Option<&RawJson>) {
        if let Some(value) = value {
            self.field(name, |body| body.w.raw_value(value.as_str()));
        }
    }

    fn opt_int(&mut self, name: &'static str, value: Option<impl Number>) {
        if let Some(value) = value {
            self.field(name, |body| body.w.number(value));
        }
    }

    /// A decimal, clamped to the range of the profile.
    fn opt_float(&mut self, name: &'static str, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let value = match self.profile().clamp.get(name) {
            Some((low, high)) if low <= high && (value < *low || value > *high) => {
                let clamped = value.clamp(*low, *high);
                report_clamped(name, value, clamped, self.losses);
                clamped
            }
            _ => value,
        };
        self.field(name, |body| body.w.number(value));
    }

    /// A sampling parameter the official API does not have.
    fn vendor_float(&mut self, name: &'static str, value: Option<f64>) {
        if value.is_some() && !self.accepts(name) {
            self.losses.warn(
                LossCode::SamplingUnsupported,
                LossAction::Dropped,
                format!("/{name}"),
                "no such parameter",
            );
        } else {
            self.opt_float(name, value);
        }
    }

    fn sampling(&mut self) {
        let sampling = &self.request.sampling;
        self.opt_float("temperature", sampling.temperature);
        self.opt_float("top_p", sampling.top_p);
        self.vendor_float("top_k", sampling.top_k);
        self.vendor_float("min_p", sampling.min_p);
        self.opt_float("frequency_penalty", sampling.frequency_penalty);
        self.opt_float("presence_penalty", sampling.presence_penalty);
        self.vendor_float("repetition_penalty", sampling.repetition_penalty);
        self.opt_int("seed", sampling.seed);
        self.opt_raw("logit_bias", sampling.logit_bias.as_ref().filter(|raw| !raw.is_null()));
        // `top_logprobs` is refused without `logprobs`.
        let top = sampling.top_logprobs.filter(|_| sampling.logprobs != Some(false));
        let logprobs = sampling.logprobs.or(top.filter(|top| *top > 0).map(|_| true));
        self.flag("logprobs", logprobs, false);
        self.opt_int("top_logprobs", top.filter(|_| logprobs == Some(true)));
        let said = self.is_own() && !self.drops("n");
        self.opt_int("n", self.request.candidates.filter(|n| *n != 1 || said));
    }

    fn limits(&mut self) {
        let limits = &self.request.limits;
        let name = match self.profile().limit_field {
            LimitField::MaxTokens => "max_tokens",
            LimitField::MaxCompletionTokens => "max_completion_tokens",
        };
        if limits.max_output_tokens == Some(0) {
            self.losses.error(LossCode::ServerFeatureDropped, "/max_tokens", "no way to only warm a cache");
        }
        self.opt_int(name, limits.max_output_tokens.filter(|limit| *limit > 0));
        let stop = &limits.stop;
        if !stop.is_empty() {
            self.field("stop", |body| body.w.array(|w| stop.iter().for_each(|text| w.string(text))));
        }
        if limits.max_server_tool_calls.is_some() {
            self.losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, "/max_tool_calls", "no such limit");
        }
        if limits.truncation.as_deref().is_some_and(|word| word != "disabled") {
            self.losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, "/truncation", "no such mode");
        }
    }

    fn output(&mut self) {
        encode_tools::write_format(self);
        let request = self.request;
        self.opt_str(
            "verbosity",
            request.verbosity.map(|verbosity| match verbosity {
                Verbosity::Low => "low",
                Verbosity::Medium => "medium",
                Verbosity::High => "high",
            }),
        );
        self.modalities();
        self.opt_raw("prediction", request.prediction.as_ref());
        if request.image_out.is_some() {
            self.losses.warn(LossCode::MediaUnsupported, LossAction::Dropped, "/imageConfig", "no such setting");
        }
    }

    fn modalities(&mut self) {
        let wanted = &self.request.output_modalities;
        let mut words = Vec::new();
        for modality in wanted {
            match modality {
                Modality::Text => words.push("text"),
                Modality::Audio => words.push("audio"),
                Modality::Image if self.accepts("modalities") => words.push("image"),
                Modality::Image | Modality::Video => {
                    self.losses.warn(
                        LossCode::MediaUnsupported,
                        LossAction::Dropped,
                        "/modalities",
                        format!("{modality:?}"),
                    );
                }
            }
        }
        if words.iter().any(|word| *word != "text") {
            self.field("modalities", |body| body.w.array(|w| words.iter().for_each(|word| w.string(word))));
        }
        match &self.request.audio_out {
            Some(audio) if self.is_own() => self.opt_raw("audio", Some(audio)),
            Some(_) => {
                self.losses.warn(
                    LossCode::MediaUnsupported,
                    LossAction::Dropped,
                    "/speechConfig",
                    "voices have other names",
                );
            }
            None => {}
        }
    }

    fn streaming(&mut self) {
        let request = self.request;
        if !request.stream {
            return;
        }
        self.opt_bool("stream", Some(true));
        let obfuscation = request.stream_options.include_obfuscation.filter(|_| !self.profile().flatten_text);
        let usage = self.profile().stream_usage;
        if usage || obfuscation.is_some() {
            self.field("stream_options", |body| {
                body.w.object(|w| {
                    if usage {
                        w.bool("include_usage", true);
                    }
                    w.opt_bool("include_obfuscation", obfuscation);
                });
            });
        }
    }

    fn reasoning(&mut self) {
        let off = ReasoningControl { mode: ReasoningMode::Off, ..ReasoningControl::default() };
        // Whoever asks to think gets a stream. Models that only think, or never do, know no such switch.
        let abilities = &self.target.capabilities;
        let hybrid = abilities.reasoning && abilities.reasoning_off;
        let needs_off = self.profile().thinking_needs_stream && !self.request.stream && hybrid;
        let control = match &self.request.reasoning {
            Some(control) if control.switch().is_some() || !needs_off => control,
            _ if needs_off => &off,
            _ => return,
        };
        match self.profile().thinking_control {
            ThinkingControl::Effort => self.effort(control),
            ThinkingControl::ThinkingType => {
                self.thinking_type(control);
                self.beside_switch(control);
            }
            ThinkingControl::EnableThinking => {
                self.opt_bool("enable_thinking", control.switch());
                let budget = control.budget_tokens.filter(|budget| *budget >= 0 && control.switch() != Some(false));
                self.opt_int("thinking_budget", budget);
            }
            ThinkingControl::TemplateKwargs => self.beside_switch(control),
            ThinkingControl::OpenRouter => self.openrouter(control),
            ThinkingControl::None => {
                let detail = "no control of reasoning";
                self.losses.warn(LossCode::ReasoningUnsupported, LossAction::Dropped, "/reasoning_effort", detail);
            }
        }
        self.template_kwargs(control);
        if control.summary.is_some() && self.profile().thinking_control != ThinkingControl::OpenRouter {
            self.losses.info(
                LossCode::ReasoningUnsupported,
                LossAction::Dropped,
                "/reasoning/summary",
                "no such setting",
            );
        }
    }

    fn effort(&mut self, control: &ReasoningControl) {
        if let Some(word) = control.ext.get("reasoning_effort").filter(|_| self.is_own() && control.effort.is_none()) {
            self.opt_raw("reasoning_effort", Some(word));
            return;
        }
        let known = &self.target.capabilities.efforts;
        let effort = match (control.mode, control.effort, control.budget_tokens) {
            (ReasoningMode::Off, ..) if known.contains(&Effort::None) || known.is_empty() => Some(Effort::None),
            (ReasoningMode::Off, ..) => {
                let least = known.iter().min().copied();
                let detail = format!("off → {}", least.map_or("", Effort::as_str));
                self.losses.info(LossCode::ReasoningMapped, LossAction::Degraded, "/reasoning_effort", detail);
                least
            }
            (_, Some(effort), _) => Some(effort),
            (_, None, Some(budget)) if budget >= 0 => Some(effort_of(budget)),
            (ReasoningMode::BetweenTools, ..) => Some(Effort::Low),
            _ => None,
        };
        self.opt_str("reasoning_effort", effort.map(Effort::as_str));
    }

    /// The effort of servers that also have a switch, and what stands for a budget where they know none.
    fn beside_switch(&mut self, control: &ReasoningControl) {
        if control.switch() == Some(false) {
            return;
        }
        let profile = self.profile();
        let takes_budget = profile.thinking_control == ThinkingControl::ThinkingType && profile.thinking_budget;
        let budget = control.budget_tokens.filter(|budget| *budget > 0 && !takes_budget);
        let stand_in = budget.filter(|_| control.effort.is_none()).map(effort_of);
        let known = &self.target.capabilities.efforts;
        // What the client itself calls an effort is for the server to judge; ours has to be known.
        let stand_in = stand_in.and_then(|wanted| {
            known
                .iter()
                .copied()
                .filter(|effort| *effort != Effort::None)
                .min_by_key(|effort| distance(*effort, wanted))
        });
        if let Some(budget) = budget {
            let to = control.effort.or(stand_in).map_or("no limit", Effort::as_str);
            let detail = format!("a budget of {budget} → {to}");
            self.losses.info(LossCode::ReasoningMapped, LossAction::Degraded, "/thinking/budget_tokens", detail);
        }
        self.opt_str("reasoning_effort", control.effort.or(stand_in).map(Effort::as_str));
    }

    fn thinking_type(&mut self, control: &ReasoningControl) {
        let enabled = control.switch();
        let rest = control.ext.get("thinking").filter(|_| self.is_own());
        if enabled.is_none() && rest.is_none() {
            return;
        }
        let takes_budget = self.profile().thinking_budget && enabled == Some(true);
        let budget = control.budget_tokens.filter(|budget| *budget > 0 && takes_budget);
        self.field("thinking", |body| {
            body.w.object(|w| {
                if let Some(enabled) = enabled {
                    w.str("type", if enabled { "enabled" } else { "disabled" });
                }
                w.opt_num("budget_tokens", budget);
                write_members(w, rest);
            });
        });
    }

    fn openrouter(&mut self, control: &ReasoningControl) {
        let rest = control.ext.get("reasoning").filter(|_| self.is_own());
        let exclude = control.visibility == Some(ReasoningVisibility::Omitted);
        let budget = control.budget_tokens.filter(|budget| *budget > 0);
        let off = control.mode == ReasoningMode::Off;
        let effort = if off { Some(Effort::None) } else { control.effort };
        if effort.is_none() && budget.is_none() && control.switch().is_none() && rest.is_none() && !exclude {
            return;
        }
        self.field("reasoning", |body| {
            body.w.object(|w| {
                match (effort, budget) {
                    // One of the two: the server refuses both.
                    (Some(effort), _) => w.str("effort", effort.as_str()),
                    (None, Some(budget)) => w.num("max_tokens", budget),
                    (None, None) => {
                        w.opt_bool("enabled", control.switch());
                    }
                }
                if exclude {
                    w.bool("exclude", true);
                }
                w.opt_str("summary", control.summary.as_deref());
                write_members(w, rest);
            });
        });
    }

    /// `chat_template_kwargs`: the switch where the profile puts it there, and what the client had in it.
    fn template_kwargs(&mut self, control: &ReasoningControl) {
        let own = self.is_own() && self.accepts("chat_template_kwargs");
        let rest = control.ext.get("chat_template_kwargs").filter(|_| own);
        let enabled = control.switch().filter(|_| self.profile().thinking_control == ThinkingControl::TemplateKwargs);
        if rest.is_some() || enabled.is_some() {
            self.field("chat_template_kwargs", |body| {
                body.w.object(|w| {
                    w.opt_bool("enable_thinking", enabled);
                    write_members(w, rest);
                });
            });
        }
    }

    fn cache(&mut self) {
        let cache = &self.request.cache;
        self.opt_str("prompt_cache_key", cache.key.as_deref());
        self.opt_str("prompt_cache_retention", cache.retention.as_deref());
        let markers = self.markers();
        if markers == Markers::CacheControl && cache.auto_breakpoint {
            let ttl = cache.ttl.and_then(anthropic_ttl);
            self.field("cache_control", |body| write_cache_control(body.w, ttl));
        } else {
            self.cache_options(markers);
        }
        if cache.named_resource.is_some() {
            let detail = "a cache of another provider";
            self.losses.error(LossCode::CacheResourceForeign, "/cachedContent", detail);
        }
    }

    fn cache_options(&mut self, markers: Markers) {
        let cache = &self.request.cache;
        let mode = match cache.explicit_only {
            Some(true) => Some("explicit"),
            Some(false) => Some("implicit"),
            None if cache.auto_breakpoint && markers == Markers::Breakpoints => Some("implicit"),
            None => None,
        };
        if cache.auto_breakpoint && mode.is_none() {
            let detail = "the provider caches by itself or not at all";
            self.losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, "/cache_control", detail);
        }
        let ttl = cache.ttl.filter(|_| mode.is_some() || self.is_own()).and_then(|ttl| self.openai_ttl(ttl));
        let rest = self.is_own() && !cache.ext.is_empty();
        if mode.is_some() || ttl.is_some() || rest {
            self.field("prompt_cache_options", |body| {
                body.w.object(|w| {
                    w.opt_str("mode", mode);
                    w.opt_str("ttl", ttl);
                    if rest {
                        w.extras(&cache.ext);
                    }
                });
            });
        }
    }

    /// How cache markers are written for this server.
    pub(super) fn markers(&self) -> Markers {
        if self.profile().accept.iter().any(|name| name == "cache_control") {
            Markers::CacheControl
        } else if self.target.capabilities.cache_markers {
            Markers::Breakpoints
        } else {
            Markers::None
        }
    }

    /// The word for a lifetime; a lifetime without a word becomes the default of the server.
    pub(super) fn openai_ttl(&mut self, ttl: CacheTtl) -> Option<&'static str> {
        let long = self.profile().cache_ttl_12h;
        let word = match ttl {
            CacheTtl::Minutes30 => return Some("30m"),
            CacheTtl::Hours12 if long || self.is_own() => return Some("12h"),
            CacheTtl::Hour1 | CacheTtl::Hours12 | CacheTtl::Hours24 if long => Some("12h"),
            CacheTtl::Minutes5 | CacheTtl::Hour1 | CacheTtl::Hours12 | CacheTtl::Hours24 => None,
        };
        if ttl != CacheTtl::Minutes5 {
            let detail = format!("{ttl:?} became {}", word.unwrap_or("the default"));
            self.losses.info(LossCode::CacheTtlChanged, LossAction::Degraded, "/cache_control/ttl", detail);
        }
        word
    }

    fn identity(&mut self) {
        let request = self.request;
        if let Some(user) = &request.end_user {
            let name = if request.end_user_is_legacy { "user" } else { "safety_identifier" };
            if !self.is_own() && user.len() > MAX_IDENTIFIER {
                let hash = blake3::hash(user.as_bytes()).to_hex();
                self.losses.info(LossCode::IdentityHashed, LossAction::Degraded, format!("/{name}"), "too long");
                self.opt_str(name, Some(hash.as_str()));
            } else {
                self.opt_str(name, Some(user));
            }
        }
        if !request.metadata.is_empty() {
            self.field("metadata", |body| {
                body.w.object(|w| request.metadata.iter().for_each(|(key, value)| w.str(key, value)));
            });
        }
        self.flag("store", request.state.store, false);
        let tier = self.service_tier();
        let usual = |tier: &str| matches!(tier, "auto" | "default");
        let tier = tier.filter(|tier| !(usual(tier) && self.drops("service_tier")));
        let words = &self.profile().service_tiers;
        match tier {
            Some(tier) if !words.is_empty() => match words.get(&*tier) {
                Some(word) => self.opt_str("service_tier", Some(word)),
                None if usual(&tier) => {}
                None => {
                    let detail = format!("no tier called {tier}");
                    self.losses.warn(LossCode::ServiceTierDropped, LossAction::Dropped, "/service_tier", detail);
                }
            },
            tier => self.opt_str("service_tier", tier.as_deref()),
        }
    }

    /// The tier in the words of this API.
    fn service_tier(&mut self) -> Option<Text> {
        let request = self.request;
        let tier = request.service_tier.as_ref()?;
        let word = match &**tier {
            "standard_only" | "standard" => "default",
            "ultrafast" => "fast",
            _ => return Some(tier.clone()),
        };
        self.losses.info(
            LossCode::ServiceTierMapped,
            LossAction::Degraded,
            "/service_tier",
            format!("{tier} became {word}"),
        );
        Some(Text::from_static(word))
    }

    /// Members the client sent that have no slot: to servers that know them.
    fn vendor_members(&mut self) {
        let request = self.request;
        for (name, value) in request.ext.iter() {
            let path = format!("/{name}");
            // A feature of the official API without a slot.
            let official = matches!(&**name, "moderation" | "user")
                && self.target.capabilities.family == polyport_types::Family::OpenAi;
            if self.is_own() && (official || self.accepts(name)) {
                let profile = self.profile();
                let dropped = profile.drop.iter().any(|dropped| *dropped == **name);
                if !dropped && !profile.extra_body.contains_key(&**name) {
                    let renamed = profile.rename.get(&**name).map_or(&**name, String::as_str);
                    self.w.raw(renamed, value);
                    continue;
                }
            }
            match &**name {
                "moderation" => {
                    self.losses.warn(LossCode::ModerationDropped, LossAction::Dropped, path, "not available")
                }
                "speed" if value.as_str() == "\"standard\"" || !self.is_own() => {}
                "user" => self.losses.info(LossCode::IdentityDropped, LossAction::Dropped, path, ""),
                "diagnostics" | "user_profile_id" | "workspace_id" | "inference_geo" => {
                    self.losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, path, "");
                }
                _ => self.losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, path, ""),
            }
        }
    }

    /// What this protocol has no slot for at all.
    fn report_slotless(&mut self) {
        let request = self.request;
        let state = &request.state;
        if state.previous_response_id.is_some() || state.conversation.is_some() {
            let detail = "the history it names is held elsewhere";
            self.losses.error(LossCode::StateUnsupported, "/previous_response_id", detail);
        }
        if state.background == Some(true) {
            self.losses.error(LossCode::StateUnsupported, "/background", "no background answers");
        }
        if request.safety.is_some() {
            self.losses.warn(LossCode::SafetyDropped, LossAction::Dropped, "/safetySettings", "no such settings");
        }
        for (at, include) in request.include.iter().enumerate() {
            if !matches!(&**include, "message.output_text.logprobs" | "reasoning.encrypted_content") {
                let path = format!("/include/{at}");
                self.losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, path, include.to_string());
            }
        }
    }

    fn extra_body(&mut self) {
        for (name, value) in &self.target.profile.extra_body {
            self.w.key(name);
            self.w.raw_value(&value.to_string());
        }
    }
}

/// How cache markers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markers {
    None,
    /// `prompt_cache_breakpoint`, the official form.
    Breakpoints,
    /// `cache_control`, for relays to Anthropic.
    CacheControl,
}

/// `{"type":"ephemeral"}`.
pub(super) fn write_cache_control(w: &mut JsonWriter<'_>, ttl: Option<&str>) {
    w.object(|w| {
        w.str("type", "ephemeral");
        w.opt_str("ttl", ttl);
    });
}

/// The word of `cache_control.ttl`; five minutes are its default.
pub(super) fn anthropic_ttl(ttl: CacheTtl) -> Option<&'static str> {
    match ttl {
        CacheTtl::Minutes5 => Some("5m"),
        CacheTtl::Minutes30 | CacheTtl::Hour1 | CacheTtl::Hours12 | CacheTtl::Hours24 => Some("1h"),
    }
}

/// The effort nearest to a budget in tokens.
fn effort_of(budget: i64) -> Effort {
    match budget {
        ..=0 => Effort::None,
        1..=512 => Effort::Minimal,
        513..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        8193..=24_576 => Effort::High,
        24_577..=65_535 => Effort::XHigh,
        _ => Effort::Max,
    }
}

/// How far an effort is from the wanted one; of two as far away the smaller one is nearer.
fn distance(effort: Effort, wanted: Effort) -> (usize, Effort) {
    let at = |effort| Effort::ALL.iter().position(|known| *known == effort).unwrap_or_default();
    (at(effort).abs_diff(at(wanted)), effort)
}

/// The members of a kept object.
fn write_members(w: &mut JsonWriter<'_>, object: Option<&RawJson>) {
    if let Some(object) = object {
        members::write(w, object);
    }
}

/// Reports that a provider does not take a member of the body; nothing where its value says what goes without saying.
pub fn report_dropped(name: &str, value: &[u8], losses: &mut Losses) {
    let usual: &[&[u8]] = match name {
        "store" | "logprobs" => &[b"false"],
        "parallel_tool_calls" => &[b"true"],
        "service_tier" => &[b"\"auto\"", b"\"default\""],
        "n" => &[b"1"],
        _ => &[],
    };
    if !matches!(value, b"null" | b"[]" | b"{}") && !usual.contains(&value) {
        report_lost(name, losses);
    }
}

/// Reports a value that was brought into the range a provider takes.
pub fn report_clamped(name: &str, from: f64, to: f64, losses: &mut Losses) {
    let detail = format!("{from} became {to}");
    losses.warn(LossCode::SamplingClamped, LossAction::Clamped, format!("/{name}"), detail);
}

fn report_lost(name: &str, losses: &mut Losses) {
    let (path, detail) = (format!("/{name}"), "not taken by this provider");
    match code_of(name) {
        Some(code) if is_unseen(code) => losses.info(code, LossAction::Dropped, path, detail),
        Some(code) => losses.warn(code, LossAction::Dropped, path, detail),
        None => {}
    }
}

/// Whether what is lost cannot be seen in the answer.
fn is_unseen(code: LossCode) -> bool {
    use LossCode::{CacheBreakpointDropped, CacheKeyDropped, IdentityDropped, MetadataDropped, StateUnsupported};
    matches!(code, CacheBreakpointDropped | CacheKeyDropped | IdentityDropped | MetadataDropped | StateUnsupported)
}

/// The loss of a dropped member; `None` where nothing is lost.
fn code_of(name: &str) -> Option<LossCode> {
    Some(match name {
        "stream_options" | "stream" => return None,
        "temperature" | "top_p" | "top_k" | "min_p" | "frequency_penalty" | "presence_penalty"
        | "repetition_penalty" | "seed" | "logit_bias" => LossCode::SamplingUnsupported,
        "logprobs" | "top_logprobs" => LossCode::LogprobsUnsupported,
        "n" => LossCode::CandidatesUnsupported,
        "stop" => LossCode::StopUnsupported,
        "user" | "safety_identifier" => LossCode::IdentityDropped,
        "metadata" => LossCode::MetadataDropped,
        "service_tier" => LossCode::ServiceTierDropped,
        "prompt_cache_key" | "prompt_cache_retention" | "prompt_cache_options" => LossCode::CacheKeyDropped,
        "cache_control" => LossCode::CacheBreakpointDropped,
        "store" => LossCode::StateUnsupported,
        "parallel_tool_calls" => LossCode::ParallelUnsupported,
        "tool_choice" => LossCode::ToolChoiceDegraded,
        "response_format" => LossCode::FormatUnsupported,
        "reasoning_effort" | "reasoning" | "thinking" | "enable_thinking" | "thinking_budget" => {
            LossCode::ReasoningUnsupported
        }
        "modalities" | "audio" => LossCode::MediaUnsupported,
        "web_search_options" | "tools" => LossCode::ToolServerUnsupported,
        _ => LossCode::UnknownFieldDropped,
    })
}
