//! A provider's request out.

use std::borrow::Cow;

use polyport_types::{
    Authority, CacheMark, CacheTtl, ClientProtocol, Effort, Instruction, LossAction, LossCode, Losses, Modality, Part,
    PartKind, RawJson, ReasoningMode, ReasoningVisibility, Request, ResponseFormat, ServerToolKind, Text, Tool,
    ToolChoice,
};
use serde_json::value::RawValue;

use super::{ENCRYPTED, LOGPROBS, ROLE};
use crate::json::{JsonWriter, Pairs};
use crate::profile::{Profile, SystemRole};
use crate::responses::history::is_item;
use crate::responses::input::{InputWriter, ttl_word, write_parts};
use crate::responses::tools::{own_tools, verbosity_word, write_choice, write_format, write_tools};
use crate::{Encoded, Target};

/// Writes a resolved request for a provider.
#[must_use]
pub fn encode_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let mut body = Vec::with_capacity(request.about_bytes());
    let mut w = JsonWriter::new(&mut body);
    w.object(|w| Encoder { target, request, native: request.source == ClientProtocol::Responses }.body(w, losses));
    Encoded { body, ..Encoded::default() }
}

struct Encoder<'r> {
    target: &'r Target,
    request: &'r Request,
    /// The client speaks Responses itself.
    native: bool,
}

impl Encoder<'_> {
    fn profile(&self) -> &Profile {
        &self.target.profile
    }

    /// Writes a member under the name this server knows it by, unless it wants none.
    fn member(&self, w: &mut JsonWriter<'_>, name: &str, value: impl FnOnce(&mut JsonWriter<'_>)) {
        let profile = self.profile();
        if profile.drop.iter().any(|dropped| dropped == name) || profile.extra_body.contains_key(name) {
            return;
        }
        w.key(profile.rename.get(name).map_or(name, String::as_str));
        value(w);
    }

    fn string(&self, w: &mut JsonWriter<'_>, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.member(w, name, |w| w.string(value));
        }
    }

    fn body(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        let request = self.request;
        self.member(w, "model", |w| w.string(&self.target.model));
        let store = self.store();
        self.member(w, "store", |w| w.raw_value(if store { "true" } else { "false" }));
        self.state(w, losses);
        self.include(w, store);
        self.input(w, store, losses);
        self.tools(w, losses);
        if let Some(parallel) = request.parallel_tool_calls {
            self.member(w, "parallel_tool_calls", |w| w.raw_value(if parallel { "true" } else { "false" }));
        }
        self.reasoning(w, losses);
        self.text(w, losses);
        self.sampling(w, losses);
        self.limits(w, losses);
        self.cache(w, losses);
        self.identity(w, losses);
        self.unsupported(losses);
        if request.stream {
            self.member(w, "stream", |w| w.raw_value("true"));
            if let Some(padding) = request.stream_options.include_obfuscation {
                self.member(w, "stream_options", |w| w.object(|w| w.bool("include_obfuscation", padding)));
            }
        }
        self.ext(w, losses);
        for (name, value) in &self.profile().extra_body {
            w.raw(name, &RawJson::of(value));
        }
    }

    /// Always said: the default is to store. Only clients of this protocol expect that.
    fn store(&self) -> bool {
        self.profile().stateful && self.request.state.store.unwrap_or(self.native)
    }

    fn state(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        let state = &self.request.state;
        let held = [
            ("previous_response_id", state.previous_response_id.as_deref()),
            ("conversation", state.conversation.as_deref()),
        ];
        for (name, id) in held {
            match id {
                Some(id) if self.profile().stateful => self.string(w, name, Some(id)),
                Some(_) => losses.error(LossCode::StateUnsupported, format!("/{name}"), "the provider keeps no state"),
                None => {}
            }
        }
        match state.background {
            Some(background) if self.native && (self.profile().stateful || !background) => {
                self.member(w, "background", |w| w.raw_value(if background { "true" } else { "false" }));
            }
            Some(true) => {
                losses.error(LossCode::StateUnsupported, "/background", "the provider has no background answers");
            }
            _ => {}
        }
    }

    fn include(&self, w: &mut JsonWriter<'_>, store: bool) {
        let request = self.request;
        let mut words: Vec<&str> = Vec::new();
        if self.native {
            words.extend(request.include.iter().map(|word| &**word));
        }
        // Without state the reasoning has to travel with the history.
        if !store && self.target.capabilities.reasoning {
            words.push(ENCRYPTED);
        }
        if request.sampling.logprobs == Some(true) && !self.native {
            words.push(LOGPROBS);
        }
        let mut seen: Vec<&str> = Vec::new();
        for word in words {
            if !seen.contains(&word) {
                seen.push(word);
            }
        }
        if !seen.is_empty() || (self.native && !request.include.is_empty()) {
            self.member(w, "include", |w| w.array(|w| seen.iter().for_each(|word| w.string(word))));
        }
    }

    /// `instructions` and `input`.
    fn input(&self, w: &mut JsonWriter<'_>, store: bool, losses: &mut Losses) {
        let request = self.request;
        // A marker on a tool covers everything up to the tools: the end of the instructions is the nearest place for it.
        let mark = request.tools.iter().find_map(tool_mark);
        if mark.is_some() && request.instructions.is_empty() {
            losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, "/tools", "a marker on a tool");
        }
        self.lifetimes(mark, losses);
        let field = self.instructions_field(mark);
        if let Some(text) = field {
            self.string(w, "instructions", Some(text));
        }
        let blocks: Vec<&Instruction> = request.instructions.iter().skip(usize::from(field.is_some())).collect();
        let held = request.state.previous_response_id.is_some() || request.state.conversation.is_some();
        if blocks.is_empty() && request.messages.is_empty() && (held || request.ext.get("prompt").is_some()) {
            return;
        }
        self.member(w, "input", |w| {
            w.array(|w| {
                for (at, block) in blocks.iter().enumerate() {
                    let mark = mark.filter(|_| at + 1 == blocks.len());
                    self.instruction(w, block, mark, losses);
                }
                InputWriter::new(request, self.target, !store, losses).write(w);
            });
        });
    }

    /// Markers of other protocols last five minutes or an hour; here it is half an hour, or twelve.
    fn lifetimes(&self, mark: Option<CacheMark>, losses: &mut Losses) {
        let request = self.request;
        let instructions = request.instructions.iter().flat_map(|block| &block.parts);
        let parts = instructions.chain(request.messages.iter().flat_map(|message| &message.parts));
        let mut ttls =
            parts.flat_map(|part| std::iter::once(part).chain(inner(part))).filter_map(|part| part.cache?.ttl);
        let changed = |ttl: CacheTtl| !matches!(ttl, CacheTtl::Minutes30 | CacheTtl::Hours12);
        if !self.native && (ttls.any(changed) || mark.and_then(|mark| mark.ttl).is_some_and(changed)) {
            losses.info(LossCode::CacheTtlChanged, LossAction::Degraded, "/cache_control", "the lifetime of markers");
        }
    }

    /// The text of the `instructions` field: what the client put there, or the only block of another protocol.
    fn instructions_field(&self, mark: Option<CacheMark>) -> Option<&str> {
        let request = self.request;
        let first = request.instructions.first()?;
        let [part] = first.parts.as_slice() else { return None };
        let text = part.as_text().filter(|text| !text.trim().is_empty())?;
        if self.native {
            return (!is_item(first)).then_some(text);
        }
        let only = request.instructions.len() == 1 && part.cache.is_none() && mark.is_none();
        // A conversation of instructions alone needs an input.
        (only && !request.messages.is_empty()).then_some(text)
    }

    fn instruction(&self, w: &mut JsonWriter<'_>, block: &Instruction, mark: Option<CacheMark>, losses: &mut Losses) {
        if block.parts.iter().all(|part| part.as_text().is_some_and(|text| text.trim().is_empty())) {
            return losses.info(LossCode::TurnDroppedEmpty, LossAction::Dropped, "/instructions", "");
        }
        if block.name.is_some() {
            losses.info(LossCode::NameDropped, LossAction::Dropped, "/instructions", "");
        }
        let role = match (block.authority, self.profile().system_role) {
            (Authority::Developer, SystemRole::Developer) => "developer",
            (Authority::System, _) | (Authority::Developer, SystemRole::System) => "system",
        };
        w.object(|w| {
            w.str("type", "message");
            w.str("role", role);
            w.array_field("content", |w| write_parts(w, &block.parts, mark, self.native, self.target, losses));
            if self.native {
                let rest = block.ext.iter().filter(|(name, _)| &***name != ROLE);
                rest.for_each(|(name, value)| w.raw(name, value));
            }
        });
    }

    fn tools(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        let request = self.request;
        let own = own_tools(request);
        let wants_image = request.output_modalities.contains(&Modality::Image);
        let draws = |tool: &&Tool| matches!(tool, Tool::Server(tool) if tool.kind == ServerToolKind::ImageGeneration);
        let add_image = wants_image && !own.iter().any(draws);
        if add_image {
            let detail = "a picture is asked for through a tool";
            losses.info(LossCode::MediaUnsupported, LossAction::Emulated, "/output_modalities", detail);
        }
        let mut list = Vec::new();
        let mut writer = JsonWriter::new(&mut list);
        writer.array(|w| {
            write_tools(w, &own, self.native, losses);
            if add_image {
                w.object(|w| w.str("type", "image_generation"));
            }
        });
        let some = list.len() > 2;
        if some {
            // `JsonWriter` writes UTF-8 only.
            self.member(w, "tools", |w| w.raw_value(std::str::from_utf8(&list).unwrap_or("[]")));
        }
        match &request.tool_choice {
            _ if add_image && request.tool_choice.is_none() && own.is_empty() => {
                self.member(w, "tool_choice", |w| w.object(|w| w.str("type", "image_generation")));
            }
            // A choice among no tools is refused; to say that nothing is forced is not.
            Some(ToolChoice::None | ToolChoice::Auto) if !some && !self.native => {}
            Some(choice)
                if some || !request.tools.is_empty() || matches!(choice, ToolChoice::None | ToolChoice::Auto) =>
            {
                self.member(w, "tool_choice", |w| write_choice(w, choice, request));
            }
            Some(_) => {
                let detail = "there are no tools";
                losses.warn(LossCode::ToolChoiceDegraded, LossAction::Dropped, "/tool_choice", detail);
            }
            None => {}
        }
    }

    fn reasoning(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        let Some(control) = &self.request.reasoning else { return };
        let effort = match (control.mode, control.effort, control.budget_tokens) {
            (ReasoningMode::Off, ..) => Some(Effort::None),
            (_, Some(effort), _) => Some(effort),
            (_, None, Some(budget)) => {
                let effort = effort_of(budget);
                let detail = format!("budget {budget} became {}", effort.map_or("the default effort", Effort::as_str));
                losses.info(LossCode::ReasoningMapped, LossAction::Degraded, "/reasoning", detail);
                effort
            }
            (_, None, None) => None,
        };
        let shown = matches!(control.visibility, Some(ReasoningVisibility::Summary | ReasoningVisibility::Full));
        let by_old_name = self.native && control.ext.get("generate_summary").is_some();
        let summary = (shown && !by_old_name).then(|| control.summary.as_deref().unwrap_or("auto"));
        let own = self.native && !control.ext.is_empty();
        if effort.is_none() && summary.is_none() && !own {
            return;
        }
        self.member(w, "reasoning", |w| {
            w.object(|w| {
                w.opt_str("effort", effort.map(Effort::as_str));
                w.opt_str("summary", summary);
                if self.native {
                    w.extras(&control.ext);
                }
            });
        });
    }

    fn text(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        let request = self.request;
        let mut out = Vec::new();
        JsonWriter::new(&mut out).object(|w| {
            match &request.response_format {
                Some(ResponseFormat::Text) if self.profile().omit_text_format => {}
                Some(format) => write_format(w, format, Some(losses)),
                None => {}
            }
            w.opt_str("verbosity", request.verbosity.map(verbosity_word));
            if let (true, Some(rest)) = (self.native, request.ext.get("text")) {
                let rest: Pairs<'_, &RawValue> = serde_json::from_str(rest.as_str()).unwrap_or_default();
                for (key, value) in &rest.0 {
                    w.key(key);
                    w.raw_value(value.get());
                }
            }
        });
        if out.len() > 2 {
            // `JsonWriter` writes UTF-8 only.
            self.member(w, "text", |w| w.raw_value(std::str::from_utf8(&out).unwrap_or("{}")));
        }
    }

    fn sampling(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        let sampling = &self.request.sampling;
        for (name, value) in [("temperature", sampling.temperature), ("top_p", sampling.top_p)] {
            if let Some(value) = value {
                let value = match self.profile().clamp.get(name) {
                    Some((low, high)) => value.clamp(*low, high.max(*low)),
                    None => value,
                };
                self.member(w, name, |w| w.number(value));
            }
        }
        if let Some(top) = sampling.top_logprobs {
            self.member(w, "top_logprobs", |w| w.number(top));
        }
        let absent = [
            ("top_k", sampling.top_k.is_some()),
            ("min_p", sampling.min_p.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some_and(|value| value != 0.0)),
            ("presence_penalty", sampling.presence_penalty.is_some_and(|value| value != 0.0)),
            ("repetition_penalty", sampling.repetition_penalty.is_some_and(|value| (value - 1.0).abs() > f64::EPSILON)),
            ("seed", sampling.seed.is_some()),
            ("logit_bias", sampling.logit_bias.is_some()),
        ];
        for (name, given) in absent {
            if given {
                losses.warn(LossCode::SamplingUnsupported, LossAction::Dropped, format!("/{name}"), "");
            }
        }
    }

    fn limits(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        /// Smallest limit that `OpenAI` takes, in tokens.
        const LEAST: u64 = 16;
        let limits = &self.request.limits;
        if limits.max_output_tokens == Some(0) {
            losses.error(LossCode::ServerFeatureDropped, "/max_tokens", "no way to only warm a cache");
        }
        if let Some(limit) = limits.max_output_tokens.filter(|limit| *limit > 0) {
            if limit < LEAST {
                let detail = format!("{limit} became {LEAST}");
                losses.warn(LossCode::MaxTokensRaised, LossAction::Clamped, "/max_output_tokens", detail);
            }
            self.member(w, "max_output_tokens", |w| w.number(limit.max(LEAST)));
        }
        let uses = self.request.tools.iter().filter_map(|tool| match tool {
            Tool::Server(tool) if !self.native => tool.max_uses,
            _ => None,
        });
        if let Some(calls) = limits.max_server_tool_calls.or(uses.max()) {
            self.member(w, "max_tool_calls", |w| w.number(calls.max(1)));
        }
        self.string(w, "truncation", limits.truncation.as_deref().filter(|_| self.native));
        if !limits.stop.is_empty() {
            losses.warn(LossCode::StopUnsupported, LossAction::Dropped, "/stop", "");
        }
        if self.request.candidates.is_some_and(|candidates| candidates > 1) {
            losses.warn(LossCode::CandidatesUnsupported, LossAction::Degraded, "/n", "one answer instead of several");
        }
    }

    fn cache(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        let cache = &self.request.cache;
        self.string(w, "prompt_cache_key", cache.key.as_deref());
        self.string(w, "prompt_cache_retention", cache.retention.as_deref());
        let mode = match cache.explicit_only {
            Some(true) => Some("explicit"),
            Some(false) => Some("implicit"),
            None => cache.auto_breakpoint.then_some("implicit"),
        };
        // Other lifetimes have no word here; those of a client of this protocol are its own business.
        let ttl = cache.ttl.filter(|ttl| self.native || *ttl == CacheTtl::Minutes30).map(ttl_word);
        if cache.ttl.is_some() && ttl.is_none() {
            losses.info(LossCode::CacheTtlChanged, LossAction::Degraded, "/cache_control", "the default lifetime");
        }
        let own = self.native && !cache.ext.is_empty();
        if mode.is_some() || ttl.is_some() || own {
            self.member(w, "prompt_cache_options", |w| {
                w.object(|w| {
                    w.opt_str("mode", mode);
                    w.opt_str("ttl", ttl);
                    if self.native {
                        w.extras(&cache.ext);
                    }
                });
            });
        }
        if cache.named_resource.is_some() {
            losses.error(LossCode::CacheResourceForeign, "/cachedContent", "a cache of another provider");
        }
    }

    fn identity(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        /// Longest identifier that `OpenAI` takes, in characters.
        const MAX: usize = 64;
        let request = self.request;
        if let Some(user) = &request.end_user {
            let short = if user.chars().count() <= MAX || self.native {
                Cow::Borrowed(&**user)
            } else {
                losses.info(LossCode::IdentityHashed, LossAction::Degraded, "/metadata/user_id", "longer than 64");
                Cow::Owned(blake3::hash(user.as_bytes()).to_hex().to_string())
            };
            let name = if request.end_user_is_legacy { "user" } else { "safety_identifier" };
            self.string(w, name, Some(&short));
        }
        self.metadata(w, losses);
        if let Some(tier) = &request.service_tier {
            let (word, exact) = tier_word(request.source, tier);
            match word {
                Some(word) => self.string(w, "service_tier", Some(word)),
                None => losses.info(LossCode::ServiceTierDropped, LossAction::Dropped, "/service_tier", &**tier),
            }
            if word.is_some() && !exact {
                losses.info(LossCode::ServiceTierMapped, LossAction::Degraded, "/service_tier", &**tier);
            }
        }
    }

    fn metadata(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        /// Limits of `OpenAI`: pairs, characters of a key, characters of a value.
        const LIMITS: (usize, usize, usize) = (16, 64, 512);
        let fits = |(key, value): &&(Text, Text)| key.chars().count() <= LIMITS.1 && value.chars().count() <= LIMITS.2;
        let all = &self.request.metadata;
        let pairs: Vec<&(Text, Text)> =
            if self.native { all.iter().collect() } else { all.iter().filter(fits).take(LIMITS.0).collect() };
        if pairs.len() < all.len() {
            losses.info(LossCode::MetadataDropped, LossAction::Dropped, "/metadata", "beyond the limits");
        }
        if !pairs.is_empty() {
            self.member(w, "metadata", |w| w.object(|w| pairs.iter().for_each(|(key, value)| w.str(key, value))));
        }
    }

    /// Fields of other protocols that have no place here.
    fn unsupported(&self, losses: &mut Losses) {
        let request = self.request;
        if request.prediction.is_some() {
            losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, "/prediction", "");
        }
        if request.safety.is_some() {
            losses.warn(LossCode::SafetyDropped, LossAction::Dropped, "/safetySettings", "");
        }
        if request.audio_out.is_some() || request.output_modalities.contains(&Modality::Audio) {
            losses.warn(LossCode::MediaUnsupported, LossAction::Dropped, "/modalities", "spoken answers");
        }
        if request.output_modalities.contains(&Modality::Video) {
            losses.warn(LossCode::MediaUnsupported, LossAction::Dropped, "/modalities", "videos");
        }
        if request.image_out.is_some() {
            losses.info(LossCode::MediaUnsupported, LossAction::Dropped, "/imageConfig", "form of pictures");
        }
    }

    /// Members without a slot: those of a client of this protocol go on, others end here.
    fn ext(&self, w: &mut JsonWriter<'_>, losses: &mut Losses) {
        for (name, value) in self.request.ext.iter() {
            match &**name {
                // Written where they belong.
                "text" | "tool_choice" if self.native => {}
                "moderation" | "user" if matches!(self.request.source, ClientProtocol::Chat) => {
                    self.member(w, name, |w| w.raw_value(value.as_str()));
                }
                _ if self.native => self.member(w, name, |w| w.raw_value(value.as_str())),
                _ => losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, format!("/{name}"), ""),
            }
        }
    }
}

/// The parts of a tool result.
fn inner(part: &Part) -> &[Part] {
    match &part.kind {
        PartKind::ToolResult(result) => &result.parts,
        _ => &[],
    }
}

fn tool_mark(tool: &Tool) -> Option<CacheMark> {
    match tool {
        Tool::Function(tool) => tool.cache,
        Tool::Server(tool) => tool.cache,
        Tool::Custom(_) => None,
    }
}

/// The effort nearest to a budget in tokens; none for an automatic one.
fn effort_of(budget: i64) -> Option<Effort> {
    Some(match budget {
        ..0 => return None,
        0 => Effort::None,
        1..=512 => Effort::Minimal,
        513..=1024 => Effort::Low,
        1025..=8192 => Effort::Medium,
        8193..=24576 => Effort::High,
        24577..=65535 => Effort::XHigh,
        _ => Effort::Max,
    })
}

/// A service tier in `OpenAI`'s words, and whether it means the same.
fn tier_word(source: ClientProtocol, tier: &str) -> (Option<&str>, bool) {
    let lower = tier.to_ascii_lowercase();
    match (source, lower.as_str()) {
        (ClientProtocol::Chat | ClientProtocol::Responses, _) => (Some(tier), true),
        (_, "auto") => (Some("auto"), true),
        (ClientProtocol::Messages, "fast") => (Some("fast"), true),
        (ClientProtocol::Messages, "standard_only") | (ClientProtocol::Gemini, "standard") => (Some("default"), false),
        (ClientProtocol::Gemini, "flex") => (Some("flex"), true),
        (ClientProtocol::Gemini, "priority") => (Some("priority"), true),
        (ClientProtocol::Messages | ClientProtocol::Gemini, _) => (None, false),
    }
}
