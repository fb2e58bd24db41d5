//! What a client asks.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{CacheTtl, ClientProtocol, Extras, Part, PartKind, RawJson, Text, Tool, ToolChoice};

/// A request in the neutral form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The protocol the client speaks.
    pub source: ClientProtocol,
    /// `anthropic-version` header of the client.
    pub api_version: Option<Text>,
    /// `anthropic-beta` flags of the client, in order.
    pub betas: Vec<Text>,
    /// The model name the client asked for.
    pub model: Text,
    /// Instructions before the history.
    pub instructions: Vec<Instruction>,
    /// The history, one entry per wire message or item; encoders join runs of one side where their protocol wants it.
    pub messages: Vec<Message>,
    /// Tools offered.
    pub tools: Vec<Tool>,
    /// Which tool to use.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls in one answer are welcome.
    pub parallel_tool_calls: Option<bool>,
    /// Shape of the answer.
    pub response_format: Option<ResponseFormat>,
    /// Length of the answer in words, not tokens.
    pub verbosity: Option<Verbosity>,
    /// Sampling parameters.
    pub sampling: Sampling,
    /// Limits.
    pub limits: Limits,
    /// Reasoning control.
    pub reasoning: Option<ReasoningControl>,
    /// How many answers.
    pub candidates: Option<u32>,
    /// Kinds of output wanted; empty is text.
    pub output_modalities: Vec<Modality>,
    /// Voice and format of spoken output (Chat `audio`, Gemini `speechConfig`), verbatim.
    pub audio_out: Option<RawJson>,
    /// Size and form of images to make (Gemini `imageConfig`), verbatim.
    pub image_out: Option<RawJson>,
    /// Prompt caching.
    pub cache: CacheControl,
    /// Server-held state.
    pub state: State,
    /// End user: `safety_identifier`, `user` or `metadata.user_id`.
    pub end_user: Option<Text>,
    /// Whether `end_user` came in the older `user` field.
    pub end_user_is_legacy: bool,
    /// Metadata pairs (`metadata`, Gemini `labels`).
    pub metadata: Vec<(Text, Text)>,
    /// Service tier as the client wrote it (`auto`, `default`, `flex`, `priority`, `standard_only`, …).
    pub service_tier: Option<Text>,
    /// Gemini `safetySettings`, verbatim.
    pub safety: Option<RawJson>,
    /// Parts of the answer to include (Responses `include`).
    pub include: Vec<Text>,
    /// Predicted output (Chat).
    pub prediction: Option<RawJson>,
    /// Streaming wanted.
    pub stream: bool,
    /// Details of streaming.
    pub stream_options: StreamOptions,
    /// Chat: the client used the deprecated `functions`, so the answer uses `function_call`.
    pub legacy_functions: bool,
    /// Members without a slot, e.g. vendor extensions.
    pub ext: Extras,
}

impl Request {
    /// An empty request.
    #[must_use]
    pub fn new(source: ClientProtocol, model: impl Into<Text>) -> Self {
        Self {
            source,
            api_version: None,
            betas: Vec::new(),
            model: model.into(),
            instructions: Vec::new(),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            response_format: None,
            verbosity: None,
            sampling: Sampling::default(),
            limits: Limits::default(),
            reasoning: None,
            candidates: None,
            output_modalities: Vec::new(),
            audio_out: None,
            image_out: None,
            cache: CacheControl::default(),
            state: State::default(),
            end_user: None,
            end_user_is_legacy: false,
            metadata: Vec::new(),
            service_tier: None,
            safety: None,
            include: Vec::new(),
            prediction: None,
            stream: false,
            stream_options: StreamOptions::default(),
            legacy_functions: false,
            ext: Extras::new(),
        }
    }

    /// JSON pointer of a message in the client's own request, for errors and the loss report.
    #[must_use]
    pub fn message_path(&self, message: &Message) -> String {
        self.place_of(message.index)
    }

    /// The same for the position of a message.
    #[must_use]
    pub fn place_of(&self, index: u32) -> String {
        let list = match self.source {
            ClientProtocol::Chat | ClientProtocol::Messages => "messages",
            ClientProtocol::Responses => "input",
            ClientProtocol::Gemini => "contents",
        };
        // Made for every message, to be told only if something is lost.
        let mut path = String::with_capacity(24);
        // Writing to a String cannot fail.
        write!(path, "/{list}/{index}").ok();
        path
    }

    /// About how many bytes the request is when it is written: the room an encoder begins with. Media are not counted.
    #[must_use]
    pub fn about_bytes(&self) -> usize {
        const AROUND: usize = 64;
        let words = |part: &Part| AROUND + part.as_text().map_or(0, |text| text.len());
        let all = |parts: &[Part]| parts.iter().map(words).sum::<usize>();
        let instructions: usize = self.instructions.iter().map(|instruction| all(&instruction.parts)).sum();
        let messages = self.messages.iter().flat_map(|message| &message.parts).map(|part| match &part.kind {
            PartKind::ToolCall(call) => 2 * AROUND + call.arguments.len(),
            PartKind::ToolResult(result) => 2 * AROUND + all(&result.parts),
            _ => words(part),
        });
        let tools = self.tools.iter().map(|tool| match tool {
            Tool::Function(tool) => {
                let described = tool.description.as_ref().map_or(0, |text| text.len());
                2 * AROUND + described + tool.schema.as_ref().map_or(0, |schema| schema.as_str().len())
            }
            Tool::Custom(_) | Tool::Server(_) => 4 * AROUND,
        });
        let texts = instructions + messages.sum::<usize>() + tools.sum::<usize>();
        // Escapes make code an eighth longer.
        512 + texts + texts / 8
    }
}

/// Who gives an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Authority {
    System,
    Developer,
}

/// An instruction before the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instruction {
    /// Who gives it.
    pub authority: Authority,
    /// Its parts, normally text.
    pub parts: Vec<Part>,
    /// Participant name (Chat).
    pub name: Option<Text>,
    /// Members without a slot.
    pub ext: Extras,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
    /// Results of tools: holds [`crate::PartKind::ToolResult`] parts only.
    Tool,
    /// An instruction inside the history.
    System,
    /// The same with the developer's authority.
    Developer,
}

/// One entry of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub parts: Vec<Part>,
    /// Participant name (Chat).
    pub name: Option<Text>,
    /// Item id (Responses).
    pub id: Option<Text>,
    /// Item status (Responses).
    pub status: Option<Text>,
    /// `commentary` or `final_answer` (Responses): must go back to the provider.
    pub phase: Option<Text>,
    /// Position in the client's list.
    pub index: u32,
    /// Members without a slot.
    pub ext: Extras,
}

impl Message {
    /// A message without marks.
    #[must_use]
    pub fn new(role: Role, index: u32, parts: Vec<Part>) -> Self {
        Self { role, parts, name: None, id: None, status: None, phase: None, index, ext: Extras::new() }
    }
}

/// Shape of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ResponseFormat {
    /// Free text, said explicitly.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// Name of the schema.
        name: Option<Text>,
        /// What it is for.
        description: Option<Text>,
        /// The JSON Schema, verbatim.
        schema: RawJson,
        /// Must fit exactly: unset is not the same as false.
        strict: Option<bool>,
    },
    /// One of some words (Gemini `text/x.enum`); holds the schema, verbatim.
    Enum {
        /// The schema with its `enum`.
        schema: RawJson,
    },
}

/// Length of the answer in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Verbosity {
    Low,
    Medium,
    High,
}

/// Sampling parameters, as sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the protocols")]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<f64>,
    pub min_p: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub seed: Option<i64>,
    pub logit_bias: Option<RawJson>,
    /// Log probabilities wanted.
    pub logprobs: Option<bool>,
    /// How many alternatives per token, 0–20.
    pub top_logprobs: Option<u32>,
}

/// Limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Tokens of the answer, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Chat: the client used the older `max_tokens`.
    pub max_tokens_is_legacy: bool,
    /// Calls of tools that the provider runs.
    pub max_server_tool_calls: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<Text>,
    /// Responses `truncation`: `auto` or `disabled`.
    pub truncation: Option<Text>,
}

/// How hard the model shall think.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReasoningControl {
    /// On, off or by the model.
    pub mode: ReasoningMode,
    /// Effort, if the client sent one.
    pub effort: Option<Effort>,
    /// Token budget, if the client sent one; -1 is automatic.
    pub budget_tokens: Option<i64>,
    /// How much of it the client wants to see; `None` when it did not say.
    pub visibility: Option<ReasoningVisibility>,
    /// Responses `reasoning.summary` word: `auto`, `concise`, `detailed`.
    pub summary: Option<Text>,
    /// Members without a slot (`context`, `mode`, …).
    pub ext: Extras,
}

impl ReasoningControl {
    /// Whether reasoning is asked for (true) or asked to be left out; `None` leaves it to the server.
    #[must_use]
    pub fn switch(&self) -> Option<bool> {
        match self.mode {
            ReasoningMode::Off => Some(false),
            ReasoningMode::On | ReasoningMode::Adaptive | ReasoningMode::BetweenTools => Some(true),
            ReasoningMode::Unset => match (self.effort, self.budget_tokens) {
                (Some(Effort::None), _) | (None, Some(0)) => Some(false),
                (Some(_), _) | (None, Some(_)) => Some(true),
                (None, None) => None,
            },
        }
    }
}

/// Whether the model thinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReasoningMode {
    /// Not said.
    #[default]
    Unset,
    /// Not at all.
    Off,
    /// With a budget (Messages `enabled`).
    On,
    /// As the model sees fit (Messages `adaptive`).
    Adaptive,
    /// Only between tool calls (Messages `between_tools`).
    BetweenTools,
}

/// Effort, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    /// Every effort, least first.
    pub const ALL: [Self; 7] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// The word on the wire (`xhigh`).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reads the word on the wire, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str().eq_ignore_ascii_case(word))
    }
}

/// How much reasoning the client wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReasoningVisibility {
    /// None; signatures are still delivered.
    Omitted,
    /// A summary.
    Summary,
    /// All of it.
    Full,
}

/// Kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Modality {
    Text,
    Image,
    Audio,
    Video,
}

/// Prompt caching of the whole request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheControl {
    /// `prompt_cache_key`.
    pub key: Option<Text>,
    /// `prompt_cache_retention`.
    pub retention: Option<Text>,
    /// `prompt_cache_options.mode`: true is `explicit`, false is `implicit`.
    pub explicit_only: Option<bool>,
    /// `prompt_cache_options.ttl`, or the ttl of a top-level `cache_control`.
    pub ttl: Option<CacheTtl>,
    /// Top-level `cache_control` (Messages): a breakpoint on the last block.
    pub auto_breakpoint: bool,
    /// `cachedContent` (Gemini).
    pub named_resource: Option<Text>,
    /// Further members of `prompt_cache_options`.
    pub ext: Extras,
}

/// Server-held state (Responses).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Whether the answer shall be kept; `None` when not said.
    pub store: Option<bool>,
    /// The answer this request continues.
    pub previous_response_id: Option<Text>,
    /// The conversation this request belongs to.
    pub conversation: Option<Text>,
    /// Answer in the background.
    pub background: Option<bool>,
}

/// Details of streaming.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// Chat: send a last chunk with the usage.
    pub include_usage: bool,
    /// Pad events against traffic analysis; `None` when not said.
    pub include_obfuscation: Option<bool>,
    /// Gemini: the client asked for a JSON array (no `alt=sse`).
    pub json_array: bool,
}
