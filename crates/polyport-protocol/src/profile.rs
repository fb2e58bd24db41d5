//! Quirks of servers and abilities of models, as data.
//!
//! A [`Profile`] belongs to a provider (how its server wants requests written and what is odd in its answers); [`Capabilities`]
//! belong to a model. Both ship as tables and can be overridden in the configuration; codecs and `resolve` ask them and never
//! the name of a vendor.

use std::collections::BTreeMap;

use polyport_types::{Effort, Family, Protocol};
use serde::{Deserialize, Serialize};

/// How a provider's server differs from the official API of its protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Name of the output token limit (Chat).
    pub limit_field: LimitField,
    /// Ask for usage in streams.
    pub stream_usage: bool,
    /// Role of instructions (Chat, Responses).
    pub system_role: SystemRole,
    /// Only one system message, and only as the first.
    pub system_first: bool,
    /// The first message after the instructions must be the user's.
    pub user_first: bool,
    /// What the assistant is made to say between the result of a tool and the user, where the server refuses one after the other
    /// (Mistral).
    pub after_tool: Option<String>,
    /// Neighbouring messages of one role must be joined.
    pub merge_same_role: bool,
    /// Content of an assistant message that holds only tool calls.
    pub empty_content: EmptyContent,
    /// Content that is only text must be a string, not a list.
    pub flatten_text: bool,
    /// Rule for tool call ids.
    pub tool_id: ToolIdRule,
    /// Tool choices the server takes; others are weakened.
    pub tool_choice: Vec<ToolChoiceMode>,
    /// Word for "some tool must be used" (Mistral: `any`).
    pub required_word: Option<String>,
    /// Free-form tools are understood (Chat); others get them as functions with one string.
    pub custom_tools: bool,
    /// `strict` on tools is understood.
    pub strict_tools: bool,
    /// How much a schema must be simplified.
    pub schema_clean: SchemaClean,
    /// Stop sequences the server takes at most (Chat).
    pub max_stop: usize,
    /// What the server calls the service tiers that may be asked of it, by the word of the official API or its own. Empty: the official words.
    pub service_tiers: BTreeMap<String, String>,
    /// Structured output the server takes.
    pub json_mode: JsonMode,
    /// `response_format: {type: text}` is refused.
    pub omit_text_format: bool,
    /// Where reasoning stands in answers.
    pub reasoning_read: ReasoningRead,
    /// Whether and how reasoning goes back to the server.
    pub reasoning_back: ReasoningBack,
    /// Which assistant messages carry it.
    pub reasoning_back_when: ReasoningBackWhen,
    /// What stands for reasoning that the client could not carry.
    pub reasoning_placeholder: Option<String>,
    /// How thinking is switched.
    pub thinking_control: ThinkingControl,
    /// `thinking` may hold a budget in tokens (Kimi).
    pub thinking_budget: bool,
    /// Who does not stream must not think (`DashScope`): a request to think is asked for as a stream, any other has thinking switched off.
    pub thinking_needs_stream: bool,
    /// How usage is counted.
    pub usage_rule: UsageRule,
    /// How images may be given.
    pub image_input: ImageInput,
    /// Sound is given as a `data:` address instead of bare base64 (Qwen).
    pub audio_data_uri: bool,
    /// Documents are taken.
    pub file_input: bool,
    /// Tool messages carry the function's name.
    pub tool_name: bool,
    /// The last assistant message needs `prefix: true` (Mistral).
    pub prefix_last_assistant: bool,
    /// A stream may end without finish reason (Snowflake).
    pub may_omit_finish: bool,
    /// Answers break rules that clients of the protocol rely on, such as the index of tool calls: they are written anew for those, too.
    pub loose_answers: bool,
    /// Tool calls of a stream come strictly one after the other.
    pub sequential_tools: bool,
    /// Tool calls written as text are extracted.
    pub text_tool_calls: TextToolCalls,
    /// An exact repetition of a reasoning delta is dropped (xAI).
    pub dedupe_reasoning: bool,
    /// Input tokens already include the cached ones (third-party Messages servers).
    pub input_includes_cache: bool,
    /// Request members to leave out.
    pub drop: Vec<String>,
    /// Request members to rename.
    pub rename: BTreeMap<String, String>,
    /// Request members to clamp to a range.
    pub clamp: BTreeMap<String, (f64, f64)>,
    /// Vendor members of Chat requests the server understands and that may be forwarded (`top_k`, `chat_template_kwargs`, …).
    pub accept: Vec<String>,
    /// Vendor members of any name may be forwarded.
    pub accept_unknown: bool,
    /// Headers to add.
    pub extra_headers: BTreeMap<String, String>,
    /// Members to add to the body.
    pub extra_body: serde_json::Map<String, serde_json::Value>,
    /// `anthropic-beta` flags the server takes; empty takes all.
    pub betas: Vec<String>,
    /// A 12-hour cache lifetime may be asked for (`OpenAI`).
    pub cache_ttl_12h: bool,
    /// Gemini: ids on function calls and responses are accepted.
    pub accepts_call_ids: bool,
    /// Google: the bypass value for missing signatures is sent as base64 instead of the literal text.
    pub sentinel_base64: bool,
    /// Gemini: use the JSON Schema fields (`parametersJsonSchema`); false uses the OpenAPI form.
    pub json_schema_fields: bool,
    /// The server keeps answers (`store`, `previous_response_id`) and may be asked to.
    pub stateful: bool,
    /// Adds a top-level `cache_control` for clients that cannot place markers (Messages).
    pub auto_cache: bool,
    /// The `authorization` of remote MCP servers may be handed to this provider by clients of other protocols.
    pub forward_mcp_authorization: bool,
    /// The interface that embeddings are asked for by.
    pub embeddings: Embeddings,
    /// The server has an endpoint that counts tokens.
    pub counts_tokens: bool,
    /// Names in its list of models that are not for clients.
    pub hidden_models: Vec<String>,
    /// Gemini: it takes a whole request to count (`generateContentRequest`); others take contents, instructions, tools and settings.
    pub counts_whole_requests: bool,
    /// What the server keeps for its clients beside answers, by the first word of the path (`files`, `batches`, `vector_stores`, …);
    /// `*` stands for everything its protocol has.
    pub objects: Vec<String>,
}

macro_rules! word_enums {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "the names are the words of the configuration")]
        pub enum $name { $($(#[$vmeta])* $variant,)* }
    )*};
}

word_enums! {
    /// Name of the output token limit.
    LimitField { #[default] MaxTokens, MaxCompletionTokens, }
    /// Role of instructions.
    SystemRole {
        #[default] System,
        /// `developer` for models that reason, `system` for the others.
        Developer,
    }
    /// Content of an assistant message that holds only tool calls.
    EmptyContent { #[default] Null, Empty, Omit, }
    /// Rule for tool call ids.
    ToolIdRule {
        #[default] Any,
        /// Exactly nine letters or digits.
        Mistral9,
        /// Letters, digits, `_` and `-`.
        Safe,
    }
    /// A tool choice a server takes.
    ToolChoiceMode { #[default] Auto, None, Required, Named, Allowed, }
    /// How much a schema must be simplified.
    SchemaClean {
        #[default] None,
        /// Without `$schema`.
        Unversioned,
        /// Also without references.
        Basic,
        /// What Gemini knows.
        Gemini,
        /// Only types, descriptions, texts to choose from, members and items, one alternative each (Antigravity).
        Plain,
    }
    /// Structured output a server takes.
    JsonMode { #[default] Schema, Object, None, }
    /// Where reasoning stands in answers.
    ReasoningRead { #[default] Auto, Tags, ImplicitOpen, }
    /// How reasoning goes back.
    ReasoningBack {
        #[default] Never,
        /// As `reasoning_content`.
        ReasoningContent,
        /// As `reasoning`.
        Reasoning,
        /// As `reasoning_details`, unchanged.
        Details,
        /// Inside the content, between `<think>` tags.
        Tags,
        /// As `thinking` content parts.
        Parts,
    }
    /// Which assistant messages carry reasoning back.
    ReasoningBackWhen { #[default] ToolTurns, AfterLastUser, All, }
    /// How thinking is switched.
    ThinkingControl { #[default] Effort, ThinkingType, EnableThinking, TemplateKwargs, OpenRouter, None, }
    /// How usage is counted.
    UsageRule { #[default] Standard, ReasoningOutside, }
    /// How images may be given.
    ImageInput { #[default] Url, Data, None, }
    /// The interface that embeddings are asked for by.
    Embeddings {
        /// That of the provider's protocol.
        #[default] Protocol,
        /// Ollama's own, `/api/embed` at the root of its server.
        Ollama,
    }
    /// Tool calls written as text.
    TextToolCalls { #[default] Off, Qwen, Mistral, Llama, }
    /// How a Messages model thinks.
    AnthropicThinking { #[default] None, Budget, Both, Adaptive, }
    /// How a Gemini model thinks.
    GeminiThinking { #[default] None, Budget, Level, }
}

impl Default for Profile {
    /// A generic OpenAI-compatible server.
    fn default() -> Self {
        use ToolChoiceMode::{Auto, Named, None, Required};
        Self {
            limit_field: LimitField::MaxTokens,
            stream_usage: true,
            system_role: SystemRole::System,
            system_first: false,
            user_first: false,
            after_tool: Option::None,
            merge_same_role: false,
            empty_content: EmptyContent::Null,
            flatten_text: true,
            tool_id: ToolIdRule::Any,
            tool_choice: vec![Auto, None, Required, Named],
            required_word: Option::None,
            custom_tools: false,
            strict_tools: true,
            schema_clean: SchemaClean::Unversioned,
            max_stop: 4,
            service_tiers: BTreeMap::new(),
            json_mode: JsonMode::Schema,
            omit_text_format: true,
            reasoning_read: ReasoningRead::Auto,
            reasoning_back: ReasoningBack::Never,
            reasoning_back_when: ReasoningBackWhen::ToolTurns,
            reasoning_placeholder: Option::None,
            thinking_control: ThinkingControl::Effort,
            thinking_budget: false,
            thinking_needs_stream: false,
            usage_rule: UsageRule::Standard,
            image_input: ImageInput::Url,
            audio_data_uri: false,
            file_input: true,
            tool_name: false,
            prefix_last_assistant: false,
            may_omit_finish: false,
            loose_answers: false,
            sequential_tools: false,
            text_tool_calls: TextToolCalls::Off,
            dedupe_reasoning: false,
            input_includes_cache: false,
            drop: Vec::new(),
            rename: BTreeMap::new(),
            clamp: BTreeMap::new(),
            accept: Vec::new(),
            accept_unknown: true,
            extra_headers: BTreeMap::new(),
            extra_body: serde_json::Map::new(),
            betas: Vec::new(),
            cache_ttl_12h: false,
            accepts_call_ids: true,
            sentinel_base64: false,
            json_schema_fields: true,
            stateful: false,
            auto_cache: true,
            forward_mcp_authorization: false,
            embeddings: Embeddings::Protocol,
            counts_tokens: false,
            hidden_models: Vec::new(),
            counts_whole_requests: true,
            objects: Vec::new(),
        }
    }
}

impl Profile {
    /// Whether the server is the official one of its protocol, or as good as it: others do not take all that its specification has.
    #[must_use]
    pub fn is_official(&self) -> bool {
        self.tool_choice.contains(&ToolChoiceMode::Allowed)
    }

    /// The official API of a protocol.
    #[must_use]
    pub fn of_protocol(protocol: Protocol) -> Self {
        use ToolChoiceMode::{Allowed, Auto, Named, None, Required};
        let official = Self {
            system_role: SystemRole::Developer,
            flatten_text: false,
            tool_choice: vec![Auto, None, Required, Named, Allowed],
            omit_text_format: false,
            custom_tools: true,
            schema_clean: SchemaClean::None,
            accept_unknown: false,
            objects: vec!["*".to_owned()],
            ..Self::default()
        };
        match protocol {
            Protocol::Chat => Self { limit_field: LimitField::MaxCompletionTokens, sequential_tools: true, ..official },
            Protocol::Responses => Self { stateful: true, counts_tokens: true, ..official },
            Protocol::Messages => Self { tool_id: ToolIdRule::Safe, counts_tokens: true, ..official },
            Protocol::Gemini => Self { counts_tokens: true, ..official },
        }
    }
}

/// What a model can do. Unknown models get the defaults of their provider's protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Capabilities {
    /// Whose signatures it reads and writes.
    pub family: Family,
    /// Context window in tokens.
    pub context: Option<u64>,
    /// Largest output in tokens.
    pub max_output: Option<u64>,
    /// `temperature` is accepted.
    pub temperature: bool,
    /// `top_p` and `top_k` are accepted.
    pub top_p: bool,
    /// `temperature` and `top_p` may come together.
    pub temperature_with_top_p: bool,
    /// `top_k` is accepted.
    pub top_k: bool,
    /// Penalties, `seed`, `logit_bias` are accepted (where the protocol has them).
    pub penalties: bool,
    /// Log probabilities are available.
    pub logprobs: bool,
    /// Stop sequences are accepted.
    pub stop: bool,
    /// The model can reason.
    pub reasoning: bool,
    /// Efforts it knows; empty when it has none.
    pub efforts: Vec<Effort>,
    /// Reasoning can be switched off.
    pub reasoning_off: bool,
    /// How its reasoning goes back to the server (Chat), if not as the server's other models want it.
    pub reasoning_back: Option<ReasoningBack>,
    /// How it thinks, on Messages.
    pub anthropic_thinking: AnthropicThinking,
    /// How it thinks, on Gemini.
    pub gemini_thinking: GeminiThinking,
    /// Smallest thinking budget.
    pub budget_min: i64,
    /// Largest thinking budget.
    pub budget_max: i64,
    /// Tool use is possible.
    pub tools: bool,
    /// A tool may be forced.
    pub forced_tool_choice: bool,
    /// JSON of a schema can be enforced.
    pub structured_output: bool,
    /// Structured output and tools may be combined.
    pub structured_with_tools: bool,
    /// Images are understood.
    pub images: bool,
    /// PDF documents are understood.
    pub documents: bool,
    /// Sound is understood.
    pub audio: bool,
    /// Video is understood.
    pub video: bool,
    /// Files may be given by https address.
    pub url_media: bool,
    /// Prompt caching markers are understood.
    pub cache_markers: bool,
    /// Instructions inside the history are understood (Messages `role: system`).
    pub mid_system: bool,
    /// A conversation may end with the assistant's words to be continued.
    pub prefill: bool,
    /// Function calls of the current turn must carry signatures (Gemini 3 and later, at Google).
    pub needs_signatures: bool,
    /// Media inside tool results are understood (Gemini 3 and later).
    pub tool_result_media: bool,
    /// `VALIDATED` function calling and server tools beside functions (Gemini 3 and later).
    pub validated_calls: bool,
    /// Server tools it has.
    pub web_search: bool,
    /// Fetching addresses.
    pub web_fetch: bool,
    /// Running code.
    pub code_execution: bool,
    /// Remote MCP servers.
    pub mcp: bool,
    /// `speed: fast` is known (Messages).
    pub fast: bool,
    /// A limit of the output is accepted.
    pub output_limit: bool,
    /// Whole answers are asked for as streams and put together here.
    pub streams_only: bool,
    /// It draws: Antigravity has requests of a kind of their own for that.
    pub draws: bool,
    /// Function calls are asked for as `VALIDATED` where others are told `AUTO` (Claude at Antigravity).
    pub calls_validated: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            family: Family::Unknown,
            context: None,
            max_output: None,
            temperature: true,
            top_p: true,
            temperature_with_top_p: true,
            top_k: true,
            penalties: true,
            logprobs: true,
            stop: true,
            reasoning: true,
            efforts: vec![Effort::Low, Effort::Medium, Effort::High],
            reasoning_off: true,
            reasoning_back: None,
            anthropic_thinking: AnthropicThinking::None,
            gemini_thinking: GeminiThinking::None,
            budget_min: 0,
            budget_max: 32_768,
            tools: true,
            forced_tool_choice: true,
            structured_output: true,
            structured_with_tools: true,
            images: true,
            documents: true,
            audio: true,
            video: true,
            url_media: true,
            cache_markers: false,
            mid_system: false,
            prefill: true,
            needs_signatures: false,
            tool_result_media: false,
            validated_calls: false,
            web_search: false,
            web_fetch: false,
            code_execution: false,
            mcp: false,
            fast: false,
            output_limit: true,
            streams_only: false,
            draws: false,
            calls_validated: false,
        }
    }
}

impl Capabilities {
    /// What an unknown model of a protocol's official provider is assumed to do.
    #[must_use]
    pub fn of_protocol(protocol: Protocol) -> Self {
        let all = Self { web_search: true, code_execution: true, ..Self::default() };
        match protocol {
            Protocol::Chat => Self { family: Family::OpenAi, ..Self::default() },
            Protocol::Responses => Self { family: Family::OpenAi, mcp: true, ..all },
            Protocol::Messages => Self {
                family: Family::Anthropic,
                efforts: vec![Effort::Low, Effort::Medium, Effort::High, Effort::Max],
                anthropic_thinking: AnthropicThinking::Both,
                budget_min: 1024,
                budget_max: 128_000,
                cache_markers: true,
                web_fetch: true,
                mcp: true,
                ..all
            },
            Protocol::Gemini => Self {
                family: Family::Google,
                efforts: vec![Effort::Minimal, Effort::Low, Effort::Medium, Effort::High],
                gemini_thinking: GeminiThinking::Level,
                reasoning_off: false,
                needs_signatures: true,
                tool_result_media: true,
                validated_calls: true,
                web_fetch: true,
                ..all
            },
        }
    }
}
