//! Requests to a provider of the Messages protocol.
//!
//! [`turns`](super::turns) decides what the history becomes; this file decides the other members and writes everything down.

use std::borrow::Cow;

use polyport_types::{
    CacheMark, CacheTtl, Effort, Family, LossAction, LossCode, Losses, Modality, Protocol, RawJson, ReasoningMode,
    ReasoningVisibility, Request, ResponseFormat, Text,
};
use serde_json::Value;

use super::marks::settle;
use super::tools::Tools;
use super::turns::{Block, Kind, Side, Source, Turn, system_blocks, turns};
use super::write::{blocks, cache_control, message, splice};
use crate::context::{Encoded, Target};
use crate::json::JsonWriter;
use crate::profile::AnthropicThinking;
use crate::wires::Wire;

/// The version whose models take sampling parameters.
const VERSION_SAMPLING: &str = "2023-06-01";
/// The newest version.
const VERSION: &str = "2026-10-21";
/// Responses asks with this to do nothing but warm the cache, which a limit of 0 says here.
const PREWARM: &str = "prewarm";
/// Limit for models whose limit is not known.
const DEFAULT_MAX_TOKENS: u64 = 8192;
/// The smallest thinking budget.
const MIN_BUDGET: i64 = 1024;

/// Writes a resolved request for a provider. What the protocol has no slot for is appended to `losses`.
#[must_use]
pub fn encode_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    Draft::new(target, request, false, losses).write()
}

/// Writes a request that only counts the tokens of the prompt.
#[must_use]
pub fn encode_count_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    Draft::new(target, request, true, losses).write()
}

/// Members that `count_tokens` takes.
const COUNTED: [&str; 13] = [
    "anthropic_version",
    "model",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "speed",
    "context_management",
    "mcp_servers",
    "compaction",
];

/// `thinking` as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinking {
    Unsaid,
    Disabled,
    Enabled(i64),
    Adaptive,
    BetweenTools,
}

/// Everything that is decided before the first byte is written.
pub(super) struct Draft<'r> {
    pub(super) target: &'r Target,
    pub(super) request: &'r Request,
    own: bool,
    count: bool,
    pub(super) max_tokens: u64,
    pub(super) system: Vec<Block<'r>>,
    pub(super) turns: Vec<Turn<'r>>,
    pub(super) tools: Tools<'r>,
    pub(super) auto: Option<CacheMark>,
    thinking: Thinking,
    pub(super) schema: Option<Cow<'r, str>>,
    pub(super) sampling: Sampling,
    tier: Option<&'static str>,
    fast: bool,
    pub(super) user: Option<Cow<'r, str>>,
    pub(super) betas: Vec<Cow<'r, str>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sampling {
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
}

impl<'r> Draft<'r> {
    pub(super) fn new(target: &'r Target, request: &'r Request, count: bool, losses: &mut Losses) -> Self {
        let own = Protocol::from(request.source) == Protocol::Messages;
        let max_tokens = if count { u64::MAX } else { max_tokens(target, request, losses) };
        let thinking = thinking(target, request, own, max_tokens, losses);
        let (schema, instruction) = format(request, losses);
        let mut system = system_blocks(target, request, losses);
        system.extend(instruction.map(Block::text));
        let mut turns = turns(target, request, losses);
        let mut tools = Tools::new(request, own, &turns, losses);
        if matches!(thinking, Thinking::Enabled(_)) {
            tools.unforce(losses);
        }
        let mut auto = auto_breakpoint(target, request, own);
        settle(target, tools.marks(), &mut system, &mut turns, &mut auto, losses);
        let converse = matches!(target.wire, Wire::Converse);
        // There a tier has other words.
        let (tier, fast) = if count || converse { (None, false) } else { tier(target, request, losses) };
        let sampling = if count { Sampling::default() } else { sampling(target, request, thinking, losses) };
        let user = if count { None } else { user(request, own, losses) };
        let mut draft = Self {
            target,
            request,
            own,
            count,
            max_tokens,
            system,
            turns,
            tools,
            auto,
            thinking,
            schema,
            sampling,
            tier,
            fast,
            user,
            betas: Vec::new(),
        };
        draft.betas = draft.betas();
        if !count {
            draft.report_missing_slots(losses);
        }
        draft
    }

    /// Members for which this protocol has no slot at all.
    fn report_missing_slots(&self, losses: &mut Losses) {
        use LossAction::Dropped;
        let request = self.request;
        let sampling = &request.sampling;
        let given = [
            ("frequency_penalty", sampling.frequency_penalty.is_some_and(|value| value != 0.0)),
            ("presence_penalty", sampling.presence_penalty.is_some_and(|value| value != 0.0)),
            ("repetition_penalty", sampling.repetition_penalty.is_some_and(|value| (value - 1.0).abs() > f64::EPSILON)),
            ("min_p", sampling.min_p.is_some()),
            ("seed", sampling.seed.is_some()),
            ("logit_bias", sampling.logit_bias.is_some()),
        ];
        for (name, _) in given.into_iter().filter(|(_, given)| *given) {
            losses.warn(LossCode::SamplingUnsupported, Dropped, format!("/{name}"), "");
        }
        if sampling.logprobs == Some(true) || sampling.top_logprobs.is_some_and(|top| top > 0) {
            losses.warn(LossCode::LogprobsUnsupported, Dropped, "/logprobs", "");
        }
        if let Some(count) = request.candidates.filter(|count| *count > 1) {
            losses.warn(LossCode::CandidatesUnsupported, Dropped, "/n", format!("{count} → 1"));
        }
        if request.verbosity.is_some() {
            losses.warn(LossCode::UnknownFieldDropped, Dropped, "/verbosity", "");
        }
        let speaks = |modality: &Modality| *modality != Modality::Text;
        if request.output_modalities.iter().any(speaks) || request.audio_out.is_some() || request.image_out.is_some() {
            losses.warn(LossCode::MediaUnsupported, Dropped, "/modalities", "answers are text");
        }
        if request.cache.key.is_some() {
            losses.info(LossCode::CacheKeyDropped, Dropped, "/prompt_cache_key", "");
        }
        if request.cache.named_resource.is_some() {
            losses.error(LossCode::CacheResourceForeign, "/cachedContent", "another provider's cache");
        }
        if request.state.store == Some(true) {
            losses.info(LossCode::StateUnsupported, Dropped, "/store", "");
        }
        for (name, given) in [
            ("previous_response_id", request.state.previous_response_id.is_some()),
            ("conversation", request.state.conversation.is_some()),
            ("background", request.state.background == Some(true)),
        ] {
            if given {
                losses.error(LossCode::StateUnsupported, format!("/{name}"), "this protocol keeps no state");
            }
        }
        if !request.metadata.is_empty() && !matches!(self.target.wire, Wire::Converse) {
            losses.info(LossCode::MetadataDropped, Dropped, "/metadata", "");
        }
        if request.safety.is_some() {
            losses.warn(LossCode::SafetyDropped, Dropped, "/safetySettings", "");
        }
        if request.prediction.is_some() {
            losses.info(LossCode::ServerFeatureDropped, Dropped, "/prediction", "");
        }
        if request.limits.truncation.as_deref().is_some_and(|word| word != "disabled") {
            losses.info(LossCode::ServerFeatureDropped, Dropped, "/truncation", "");
        }
        if !self.own {
            let reasoning = request.reasoning.iter().flat_map(|reasoning| reasoning.ext.iter());
            for (name, _) in reasoning {
                losses.info(LossCode::ReasoningUnsupported, Dropped, format!("/reasoning/{name}"), "");
            }
            for (name, _) in request.cache.ext.iter().filter(|(name, _)| *name != PREWARM) {
                losses.info(LossCode::CacheKeyDropped, Dropped, format!("/prompt_cache_options/{name}"), "");
            }
            for (name, _) in request.ext.iter() {
                let path = format!("/{name}");
                match &**name {
                    "moderation" => losses.warn(LossCode::ModerationDropped, Dropped, path, ""),
                    "user" => losses.info(LossCode::IdentityDropped, Dropped, path, ""),
                    "context_management" => losses.warn(LossCode::ServerFeatureDropped, Dropped, path, ""),
                    "prompt" => losses.error(LossCode::ServerFeatureDropped, path, "a template its provider holds"),
                    "image" => losses.info(LossCode::UnknownFieldDropped, Dropped, path, ""),
                    _ => losses.warn(LossCode::UnknownFieldDropped, Dropped, path, ""),
                }
            }
        }
    }

    /// `anthropic-beta`: what the client of this protocol asked for and what the body needs, as far as the server takes it.
    fn betas(&self) -> Vec<Cow<'r, str>> {
        let mut betas: Vec<Cow<'r, str>> = Vec::new();
        if self.own {
            for beta in self.request.betas.iter().filter(|beta| !beta.is_empty()) {
                if !betas.iter().any(|known| known == &**beta) {
                    betas.push(Cow::Borrowed(beta));
                }
            }
        }
        let mut need = |family: &str, beta: &'static str| {
            // A client that names another version of the same feature knows what it wants.
            if !betas.iter().any(|known| known.starts_with(family)) {
                betas.push(Cow::Borrowed(beta));
            }
        };
        if self.fast {
            need("fast-mode", "fast-mode-2026-02-01");
        }
        if self.tools.has_toolset() {
            need("mcp-client", "mcp-client-2025-11-20");
        } else if !self.tools.mcp_servers().is_empty() {
            need("mcp-client", "mcp-client-2025-04-04");
        }
        if self.names_files() {
            need("files-api", "files-api-2025-04-14");
        }
        let taken = &self.target.profile.betas;
        betas.retain(|beta| taken.is_empty() || taken.iter().any(|known| known == beta.as_ref()));
        betas
    }

    fn names_files(&self) -> bool {
        let named = |block: &Block<'_>| {
            matches!(
                &block.kind,
                Kind::Image(Source::File(_))
                    | Kind::Document { source: Source::File(_), .. }
                    | Kind::ContainerUpload { .. }
            )
        };
        self.turns.iter().flat_map(|turn| &turn.blocks).any(named)
    }

    /// Sampling parameters and content that the newest version refuses need the older one, and so do servers that were
    /// made after it.
    fn version(&self) -> &'static str {
        let refused = |turn: &Turn<'_>| {
            turn.blocks.iter().any(|block| match (&block.kind, turn.side) {
                (Kind::Document { .. }, Side::Assistant) => true,
                (Kind::Text { citations, .. }, Side::User) => citations.is_some(),
                _ => false,
            })
        };
        let older = !self.is_official() || self.sampling != Sampling::default();
        if older || self.turns.iter().any(refused) { VERSION_SAMPLING } else { VERSION }
    }

    fn write(self) -> Encoded {
        let headers = match self.target.wire {
            // Version and betas stand in the body there.
            Wire::BedrockMessages => vec![("accept".into(), self.accepted().to_owned())],
            _ => {
                let betas = (!self.betas.is_empty()).then(|| ("anthropic-beta".into(), self.betas.join(",")));
                std::iter::once(("anthropic-version".into(), self.version().to_owned())).chain(betas).collect()
            }
        };
        let mut body = Vec::with_capacity(self.request.about_bytes());
        JsonWriter::new(&mut body).object(|w| self.members(&mut Members { w, draft: &self, written: Vec::new() }));
        Encoded { body, headers, ..Encoded::default() }
    }

    fn members(&self, out: &mut Members<'_, '_, '_>) {
        out.member("model", |w| w.string(&self.target.model));
        out.member("max_tokens", |w| w.number(self.max_tokens));
        if !self.system.is_empty() {
            out.member("system", |w| blocks(w, &self.system));
        }
        out.member("messages", |w| w.array(|w| self.turns.iter().for_each(|turn| message(w, turn))));
        self.tool_members(out);
        self.thinking_member(out);
        self.output_config(out);
        self.scalars(out);
        if self.own {
            for (name, value) in self.request.ext.iter() {
                if !matches!(&**name, "output_config" | "metadata" | "cache_control") {
                    out.member(name, |w| w.raw_value(value.as_str()));
                }
            }
        }
        if matches!(self.target.wire, Wire::BedrockMessages) && !self.betas.is_empty() {
            out.member("anthropic_beta", |w| w.array(|w| self.betas.iter().for_each(|beta| w.string(beta))));
        }
        for (name, value) in &self.target.profile.extra_body {
            out.member(name, |w| w.raw_value(&value.to_string()));
        }
    }

    /// What an answer is written in at AWS.
    fn accepted(&self) -> &'static str {
        if self.request.stream { "application/vnd.amazon.eventstream" } else { "application/json" }
    }

    /// The members that only this protocol's own models know, for an interface that takes them beside its own.
    pub(super) fn anthropic_fields(&self) -> serde_json::Map<String, Value> {
        let mut body = Vec::new();
        JsonWriter::new(&mut body).object(|w| {
            let out = &mut Members { w, draft: self, written: Vec::new() };
            self.thinking_member(out);
            if let Some(effort) = self.effort() {
                out.member("output_config", |w| w.object(|w| w.str("effort", effort)));
            }
            if let Some(top_k) = self.sampling.top_k {
                out.member("top_k", |w| w.number(top_k));
            }
            if !self.betas.is_empty() {
                out.member("anthropic_beta", |w| w.array(|w| self.betas.iter().for_each(|beta| w.string(beta))));
            }
            let own = |tool: &&super::tools::ToolOut<'_>| matches!(tool, super::tools::ToolOut::Raw(_));
            let mut raw = self.tools.list.iter().filter(own).peekable();
            if raw.peek().is_some() {
                out.member("tools", |w| w.array(|w| raw.for_each(|tool| tool.write(w, None))));
            }
        });
        serde_json::from_slice(&body).unwrap_or_default()
    }

    /// The effort as it is said, if it is.
    pub(super) fn effort(&self) -> Option<&'static str> {
        let effort = self.request.reasoning.as_ref().and_then(|control| control.effort).and_then(effort_word);
        effort.filter(|_| self.thinking != Thinking::Disabled || self.own)
    }

    /// Whether the model was asked to think.
    pub(super) fn thinks(&self) -> bool {
        !matches!(self.thinking, Thinking::Unsaid | Thinking::Disabled)
    }

    fn tool_members(&self, out: &mut Members<'_, '_, '_>) {
        let tools = &self.tools;
        if !tools.list.is_empty() {
            out.member("tools", |w| w.array(|w| tools.list.iter().zip(&tools.marks).for_each(|(t, m)| t.write(w, *m))));
        }
        if !tools.mcp_servers().is_empty() {
            out.member("mcp_servers", |w| w.array(|w| tools.mcp_servers().iter().for_each(|server| server.write(w))));
        }
        if let Some(choice) = &tools.choice {
            out.member("tool_choice", |w| choice.write(w));
        }
    }

    fn thinking_member(&self, out: &mut Members<'_, '_, '_>) {
        let kind = match self.thinking {
            Thinking::Unsaid => return,
            Thinking::Disabled => "disabled",
            Thinking::Enabled(_) => "enabled",
            Thinking::Adaptive => "adaptive",
            Thinking::BetweenTools => "between_tools",
        };
        let control = self.request.reasoning.as_ref();
        let ext = control.map(|control| &control.ext).filter(|_| self.own);
        out.member("thinking", |w| {
            w.object(|w| {
                w.str("type", kind);
                if let Thinking::Enabled(budget) = self.thinking {
                    w.num("budget_tokens", budget);
                }
                if matches!(self.thinking, Thinking::Enabled(_) | Thinking::Adaptive) {
                    match ext.and_then(|ext| ext.get("display")) {
                        Some(display) => w.raw("display", display),
                        None => w.opt_str("display", self.display()),
                    }
                }
                for (name, value) in ext.into_iter().flat_map(|ext| ext.iter()).filter(|(name, _)| *name != "display") {
                    w.raw(name, value);
                }
            });
        });
    }

    /// How thinking is shown. The default differs from model to model, so it is always said, but for servers that only
    /// imitate the API and may not know the word.
    fn display(&self) -> Option<&'static str> {
        use polyport_types::ClientProtocol::{Chat, Gemini, Messages, Responses};
        let visibility = self.request.reasoning.as_ref().and_then(|control| control.visibility);
        match (visibility, self.request.source) {
            (Some(ReasoningVisibility::Omitted), _) => Some("omitted"),
            (Some(ReasoningVisibility::Summary | ReasoningVisibility::Full), _) => Some("summarized"),
            (None, _) if !self.is_official() => None,
            // Where no wish to see it means no wish.
            (None, Responses | Gemini) => Some("omitted"),
            (None, Chat | Messages) => Some("summarized"),
        }
    }

    /// Whether the model is of the family whose API this is.
    fn is_official(&self) -> bool {
        self.target.capabilities.family == Family::Anthropic
    }

    fn output_config(&self, out: &mut Members<'_, '_, '_>) {
        let effort = self.effort();
        let rest = self.request.ext.get("output_config").filter(|_| self.own);
        if effort.is_none() && self.schema.is_none() && rest.is_none() {
            return;
        }
        out.member("output_config", |w| {
            w.object(|w| {
                w.opt_str("effort", effort);
                if let Some(schema) = &self.schema {
                    w.object_field("format", |w| {
                        w.str("type", "json_schema");
                        w.key("schema");
                        w.raw_value(schema);
                    });
                }
                rest.into_iter().for_each(|rest| splice(w, rest, &[]));
            });
        });
    }

    fn scalars(&self, out: &mut Members<'_, '_, '_>) {
        if let Some(mark) = self.auto {
            match self.request.ext.get("cache_control").filter(|_| self.own) {
                Some(raw) => out.member("cache_control", |w| w.raw_value(raw.as_str())),
                None => out.member("cache_control", |w| cache_control(w, mark)),
            }
        }
        if self.fast {
            out.member("speed", |w| w.string("fast"));
        }
        if let Some(temperature) = self.sampling.temperature {
            out.member("temperature", |w| w.number(temperature));
        }
        if let Some(top_p) = self.sampling.top_p {
            out.member("top_p", |w| w.number(top_p));
        }
        if let Some(top_k) = self.sampling.top_k {
            out.member("top_k", |w| w.number(top_k));
        }
        let mut stops = self.request.limits.stop.iter().filter(|stop| !stop.trim().is_empty()).peekable();
        if stops.peek().is_some() {
            out.member("stop_sequences", |w| w.array(|w| stops.for_each(|stop| w.string(stop))));
        }
        let rest = self.request.ext.get("metadata").filter(|_| self.own);
        if self.user.is_some() || rest.is_some() {
            out.member("metadata", |w| {
                w.object(|w| {
                    w.opt_str("user_id", self.user.as_deref());
                    rest.into_iter().for_each(|rest| splice(w, rest, &[]));
                });
            });
        }
        if let Some(tier) = self.tier.filter(|_| !(self.own && self.request.ext.get("service_tier").is_some())) {
            out.member("service_tier", |w| w.string(tier));
        }
        if self.request.stream {
            out.member("stream", |w| w.raw_value("true"));
        }
    }
}

/// Writes the members of a body as the server wants them: left out, renamed, each once.
struct Members<'w, 'b, 'r> {
    w: &'w mut JsonWriter<'b>,
    draft: &'r Draft<'r>,
    written: Vec<String>,
}

impl<'b> Members<'_, 'b, '_> {
    fn member(&mut self, name: &str, value: impl FnOnce(&mut JsonWriter<'b>)) {
        let profile = &self.draft.target.profile;
        let count = self.draft.count;
        // The address of a count may lack the model even where others hold it.
        let dropped = profile.drop.iter().any(|dropped| dropped == name) && !(count && name == "model");
        if dropped || count && !COUNTED.contains(&name) {
            return;
        }
        let name = profile.rename.get(name).map_or(name, String::as_str);
        if self.written.iter().any(|written| written == name) {
            return;
        }
        self.written.push(name.to_owned());
        self.w.key(name);
        value(self.w);
    }
}

fn max_tokens(target: &Target, request: &Request, losses: &mut Losses) -> u64 {
    if request.cache.ext.get(PREWARM).is_some_and(|wanted| wanted.as_str() == "true") {
        return 0;
    }
    request.limits.max_output_tokens.unwrap_or_else(|| {
        let limit = target.capabilities.max_output.unwrap_or(DEFAULT_MAX_TOKENS);
        losses.info(LossCode::MaxTokensDefaulted, LossAction::Synthesised, "/max_tokens", limit.to_string());
        limit
    })
}

/// What `thinking` says. Efforts and budgets fit the model already; only the API's own bounds are kept here.
fn thinking(target: &Target, request: &Request, own: bool, max_tokens: u64, losses: &mut Losses) -> Thinking {
    let Some(control) = &request.reasoning else { return Thinking::Unsaid };
    match (control.mode, control.budget_tokens) {
        (ReasoningMode::Off, _) | (ReasoningMode::Unset, Some(0)) => Thinking::Disabled,
        (ReasoningMode::Adaptive, _) | (ReasoningMode::On | ReasoningMode::Unset, Some(..0)) => Thinking::Adaptive,
        (ReasoningMode::BetweenTools, _) => Thinking::BetweenTools,
        (ReasoningMode::Unset, None) if control.effort == Some(Effort::None) => Thinking::Disabled,
        (ReasoningMode::Unset, None) => Thinking::Unsaid,
        (ReasoningMode::On, None) if target.capabilities.anthropic_thinking != AnthropicThinking::Budget => {
            Thinking::Adaptive
        }
        (ReasoningMode::On | ReasoningMode::Unset, budget) => {
            // Between tool calls a budget spans several answers and may exceed the limit of one.
            let interleaved = own && request.betas.iter().any(|beta| beta.starts_with("interleaved-thinking"));
            let most = i64::try_from(max_tokens).unwrap_or(i64::MAX).saturating_sub(1);
            let asked = budget.unwrap_or(MIN_BUDGET).max(MIN_BUDGET);
            let budget = if interleaved { asked } else { asked.min(most) };
            if budget >= MIN_BUDGET {
                if budget < asked {
                    let detail = format!("a budget of {asked} → {budget}");
                    losses.info(LossCode::ReasoningMapped, LossAction::Clamped, "/thinking/budget_tokens", detail);
                }
                return Thinking::Enabled(budget);
            }
            let detail = format!("max_tokens {max_tokens} leaves no room for a budget");
            losses.warn(LossCode::ReasoningUnsupported, LossAction::Dropped, "/thinking", detail);
            Thinking::Disabled
        }
    }
}

fn effort_word(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal | Effort::Low => Some("low"),
        Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => Some(effort.as_str()),
    }
}

/// Shape of the answer: a schema, or an instruction where the API has nothing else.
fn format<'r>(request: &'r Request, losses: &mut Losses) -> (Option<Cow<'r, str>>, Option<&'static str>) {
    match &request.response_format {
        None | Some(ResponseFormat::Text) => (None, None),
        Some(ResponseFormat::JsonObject) => {
            losses.warn(LossCode::FormatEmulated, LossAction::Emulated, "/response_format", "asked for in words");
            (None, Some("Answer with a single JSON object and nothing else."))
        }
        Some(ResponseFormat::JsonSchema { description, schema, .. }) if schema.is_object() => {
            let schema = match description {
                Some(description) => with_description(schema, description).into(),
                None => Cow::Borrowed(schema.as_str()),
            };
            (Some(schema), None)
        }
        Some(ResponseFormat::JsonSchema { .. } | ResponseFormat::Enum { .. }) => {
            losses.warn(LossCode::FormatUnsupported, LossAction::Dropped, "/response_format", "not an object schema");
            (None, None)
        }
    }
}

/// A schema's description goes inside: there is no other slot for it.
fn with_description(schema: &RawJson, description: &str) -> String {
    let mut schema = schema.to_value();
    if let Value::Object(object) = &mut schema {
        let text = match object.get("description") {
            Some(Value::String(inner)) => format!("{description}\n\n{inner}"),
            _ => description.to_owned(),
        };
        object.insert("description".to_owned(), Value::String(text));
    }
    schema.to_string()
}

/// The breakpoint of the whole request: the client's own, or the gateway's for clients that cannot place any.
fn auto_breakpoint(target: &Target, request: &Request, own: bool) -> Option<CacheMark> {
    let cache = &request.cache;
    let wanted = cache.auto_breakpoint
        || cache.explicit_only == Some(false)
        || (!own && target.profile.auto_cache && cache.explicit_only.is_none() && target.capabilities.cache_markers);
    let retained = cache.retention.as_deref() == Some("24h");
    let ttl = cache.ttl.or(retained.then_some(CacheTtl::Hours24));
    wanted.then_some(CacheMark { ttl })
}

/// `service_tier` and whether `speed: fast` is asked for.
fn tier(target: &Target, request: &Request, losses: &mut Losses) -> (Option<&'static str>, bool) {
    let Some(tier) = request.service_tier.as_deref() else { return (None, false) };
    let own = Protocol::from(request.source) == Protocol::Messages;
    let (mapped, exact) = match tier {
        "auto" => ("auto", true),
        "standard_only" | "default" | "standard" => ("standard_only", true),
        "fast" | "ultrafast" if target.capabilities.fast || own => return (None, true),
        "flex" => ("standard_only", false),
        // Priority capacity is used where it was bought.
        "priority" => ("auto", true),
        "fast" | "ultrafast" | "scale" => ("auto", false),
        _ => {
            losses.warn(LossCode::ServiceTierDropped, LossAction::Dropped, "/service_tier", tier.to_owned());
            return (None, false);
        }
    };
    if mapped != tier {
        let detail = format!("{tier} → {mapped}");
        if exact {
            losses.info(LossCode::ServiceTierMapped, LossAction::Degraded, "/service_tier", detail);
        } else {
            losses.warn(LossCode::ServiceTierMapped, LossAction::Degraded, "/service_tier", detail);
        }
    }
    (Some(mapped), false)
}

fn sampling(target: &Target, request: &Request, thinking: Thinking, losses: &mut Losses) -> Sampling {
    let asked = &request.sampling;
    let can = &target.capabilities;
    let thinks = matches!(thinking, Thinking::Enabled(_) | Thinking::Adaptive | Thinking::BetweenTools);
    let mut unsupported = |name: &str, detail: &str| {
        losses.warn(LossCode::SamplingUnsupported, LossAction::Dropped, format!("/{name}"), detail);
    };
    let with_thinking = "not together with thinking";
    let mut sampling = Sampling::default();
    if let Some(temperature) = asked.temperature {
        if !can.temperature {
            unsupported("temperature", "");
        } else if thinks && temperature < 1.0 {
            unsupported("temperature", with_thinking);
        } else {
            sampling.temperature = Some(temperature.clamp(0.0, 1.0));
        }
    }
    if let Some(top_p) = asked.top_p {
        if !can.top_p {
            unsupported("top_p", "");
        } else if thinks && top_p < 0.95 {
            unsupported("top_p", with_thinking);
        } else if sampling.temperature.is_some() && !can.temperature_with_top_p {
            unsupported("top_p", "not together with temperature");
        } else {
            sampling.top_p = Some(top_p.clamp(0.0, 1.0));
        }
    }
    if let Some(top_k) = asked.top_k {
        if !can.top_k {
            unsupported("top_k", "");
        } else if thinks {
            unsupported("top_k", with_thinking);
        } else {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a range that fits")]
            let whole = top_k.round().clamp(0.0, 1e9) as u64;
            sampling.top_k = Some(whole);
        }
    }
    if let Some(temperature) = asked.temperature.filter(|asked| sampling.temperature.is_some_and(|sent| sent != *asked))
    {
        let detail = format!("{temperature} → {}", sampling.temperature.unwrap_or_default());
        losses.warn(LossCode::SamplingClamped, LossAction::Clamped, "/temperature", detail);
    }
    for (at, stop) in request.limits.stop.iter().enumerate() {
        if stop.trim().is_empty() {
            losses.warn(LossCode::StopWhitespace, LossAction::Dropped, format!("/stop/{at}"), "");
        }
    }
    sampling
}

/// The end user, without what the API refuses: e-mail addresses and telephone numbers.
fn user<'r>(request: &'r Request, own: bool, losses: &mut Losses) -> Option<Cow<'r, str>> {
    let user: &Text = request.end_user.as_ref().filter(|user| !user.is_empty())?;
    if own || (user.len() <= 256 && !is_personal(user)) {
        return Some(Cow::Borrowed(user));
    }
    losses.info(LossCode::IdentityHashed, LossAction::Degraded, "/user", "");
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(user.as_bytes());
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

/// Whether an identity looks like an e-mail address or a telephone number.
fn is_personal(user: &str) -> bool {
    let mail = user.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    let digits = user.chars().filter(char::is_ascii_digit).count();
    let written_like_a_number = user.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
    let separated = user.starts_with('+') || user.contains([' ', '-', '(']);
    mail || (written_like_a_number && separated && (7..=15).contains(&digits))
}
