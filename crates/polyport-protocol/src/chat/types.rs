//! Wire objects of the Chat protocol: what clients and providers send, in the order of the specification (`OpenAI` API
//! description 2.3.0, read 2026-11-20), followed by the members that other vendors add.
//!
//! Requests are read strictly: a member of the specification with a wrong type is an error of the client. Answers are read
//! leniently: servers disagree about types, so words are [`Word`] and whatever is rare stays raw.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{Int, OneOrMany, Pairs, Str, wire};

wire! {
    /// Body of `POST /v1/chat/completions`.
    pub(crate) struct ChatRequest<'a> {
        model: Str<'a> = "model",
        messages: Vec<ChatMessage<'a>> = "messages",
        max_completion_tokens: Int = "max_completion_tokens",
        max_tokens: Int = "max_tokens",
        temperature: f64 = "temperature",
        top_p: f64 = "top_p",
        n: Int = "n",
        stop: OneOrMany<'a, Str<'a>> = "stop",
        frequency_penalty: f64 = "frequency_penalty",
        presence_penalty: f64 = "presence_penalty",
        seed: Int = "seed",
        logit_bias: &'a RawValue = "logit_bias",
        logprobs: bool = "logprobs",
        top_logprobs: Int = "top_logprobs",
        response_format: ResponseFormat<'a> = "response_format",
        verbosity: Str<'a> = "verbosity",
        tools: Vec<Tool<'a>> = "tools",
        tool_choice: WordOr<'a, ToolChoice<'a>> = "tool_choice",
        parallel_tool_calls: bool = "parallel_tool_calls",
        functions: Vec<Function<'a>> = "functions",
        function_call: WordOr<'a, Function<'a>> = "function_call",
        reasoning_effort: Str<'a> = "reasoning_effort",
        modalities: Vec<Str<'a>> = "modalities",
        audio: &'a RawValue = "audio",
        prediction: &'a RawValue = "prediction",
        web_search_options: &'a RawValue = "web_search_options",
        store: bool = "store",
        metadata: Pairs<'a, Str<'a>> = "metadata",
        user: Str<'a> = "user",
        safety_identifier: Str<'a> = "safety_identifier",
        prompt_cache_key: Str<'a> = "prompt_cache_key",
        prompt_cache_options: CacheOptions<'a> = "prompt_cache_options",
        prompt_cache_retention: Str<'a> = "prompt_cache_retention",
        service_tier: Str<'a> = "service_tier",
        stream: bool = "stream",
        stream_options: StreamOptions<'a> = "stream_options",
        // Vendor members that have a slot in the neutral form.
        top_k: f64 = "top_k",
        min_p: f64 = "min_p",
        repetition_penalty: f64 = "repetition_penalty",
        reasoning: &'a RawValue = "reasoning",
        include_reasoning: bool = "include_reasoning",
        thinking: &'a RawValue = "thinking",
        enable_thinking: bool = "enable_thinking",
        thinking_budget: Int = "thinking_budget",
        chat_template_kwargs: &'a RawValue = "chat_template_kwargs",
        cache_control: CacheControl<'a> = "cache_control",
    }

    /// One entry of `messages`, whatever its role.
    pub(crate) struct ChatMessage<'a> {
        role: Str<'a> = "role",
        content: OneOrMany<'a, ContentPart<'a>> = "content",
        name: Str<'a> = "name",
        tool_call_id: Str<'a> = "tool_call_id",
        tool_calls: Vec<ToolCall<'a>> = "tool_calls",
        function_call: FunctionCall<'a> = "function_call",
        refusal: Str<'a> = "refusal",
        audio: Audio<'a> = "audio",
        annotations: &'a RawValue = "annotations",
        reasoning_content: Word<'a> = "reasoning_content",
        reasoning: Word<'a> = "reasoning",
        reasoning_details: Details<'a> = "reasoning_details",
        thinking_blocks: Details<'a> = "thinking_blocks",
        extra_content: ExtraContent<'a> = "extra_content",
        thought_signature: Word<'a> = "thought_signature",
        cache_control: CacheControl<'a> = "cache_control",
    }

    /// One element of a `content` list.
    pub(crate) struct ContentPart<'a> {
        kind: Str<'a> = "type",
        text: Str<'a> = "text",
        refusal: Str<'a> = "refusal",
        image_url: WordOr<'a, ImageUrl<'a>> = "image_url",
        input_audio: InputAudio<'a> = "input_audio",
        file: File<'a> = "file",
        video_url: WordOr<'a, ImageUrl<'a>> = "video_url",
        document_url: WordOr<'a, ImageUrl<'a>> = "document_url",
        document_name: Str<'a> = "document_name",
        thinking: OneOrMany<'a, ContentPart<'a>> = "thinking",
        prompt_cache_breakpoint: CacheBreakpoint<'a> = "prompt_cache_breakpoint",
        cache_control: CacheControl<'a> = "cache_control",
    }

    /// `image_url`, and in the same shape `video_url`.
    pub(crate) struct ImageUrl<'a> {
        url: Str<'a> = "url",
        detail: Str<'a> = "detail",
    }

    /// `input_audio`.
    pub(crate) struct InputAudio<'a> {
        data: Str<'a> = "data",
        format: Str<'a> = "format",
    }

    /// `file`.
    pub(crate) struct File<'a> {
        file_id: Str<'a> = "file_id",
        file_data: Str<'a> = "file_data",
        filename: Str<'a> = "filename",
    }

    /// `prompt_cache_breakpoint`.
    pub(crate) struct CacheBreakpoint<'a> {
        ttl: Word<'a> = "ttl",
    }

    /// `cache_control`, the Anthropic marker that relays pass on.
    pub(crate) struct CacheControl<'a> {
        ttl: Word<'a> = "ttl",
    }

    /// `prompt_cache_options`.
    pub(crate) struct CacheOptions<'a> {
        mode: Str<'a> = "mode",
        ttl: Str<'a> = "ttl",
    }

    /// `stream_options`.
    pub(crate) struct StreamOptions<'a> {
        include_usage: bool = "include_usage",
        include_obfuscation: bool = "include_obfuscation",
    }

    /// `response_format`.
    pub(crate) struct ResponseFormat<'a> {
        kind: Str<'a> = "type",
        json_schema: JsonSchema<'a> = "json_schema",
    }

    /// `response_format.json_schema`.
    pub(crate) struct JsonSchema<'a> {
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        schema: &'a RawValue = "schema",
        strict: bool = "strict",
    }

    /// One entry of `tools`. The flat members are those of the Responses form, which some clients send here.
    pub(crate) struct Tool<'a> {
        kind: Str<'a> = "type",
        function: Function<'a> = "function",
        custom: Custom<'a> = "custom",
        cache_control: CacheControl<'a> = "cache_control",
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        parameters: &'a RawValue = "parameters" | "input_schema",
        strict: bool = "strict",
    }

    /// `tools[].function`, `functions[]`, or the name of one.
    pub(crate) struct Function<'a> {
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        parameters: &'a RawValue = "parameters",
        strict: bool = "strict",
    }

    /// `tools[].custom`.
    pub(crate) struct Custom<'a> {
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        format: CustomFormat<'a> = "format",
    }

    /// `tools[].custom.format`; the flat grammar members are those of the Responses form.
    pub(crate) struct CustomFormat<'a> {
        kind: Str<'a> = "type",
        grammar: Grammar<'a> = "grammar",
        definition: Str<'a> = "definition",
        syntax: Str<'a> = "syntax",
    }

    /// `grammar`.
    pub(crate) struct Grammar<'a> {
        definition: Str<'a> = "definition",
        syntax: Str<'a> = "syntax",
    }

    /// `tool_choice` as an object.
    pub(crate) struct ToolChoice<'a> {
        kind: Str<'a> = "type",
        name: Str<'a> = "name",
        function: Function<'a> = "function",
        custom: Function<'a> = "custom",
        allowed_tools: AllowedTools<'a> = "allowed_tools",
    }

    /// `tool_choice.allowed_tools`.
    pub(crate) struct AllowedTools<'a> {
        mode: Str<'a> = "mode",
        tools: Vec<ToolChoice<'a>> = "tools",
    }

    /// `web_search_options`.
    pub(crate) struct WebSearchOptions<'a> {
        search_context_size: Str<'a> = "search_context_size",
        user_location: WebSearchLocation<'a> = "user_location",
    }

    /// `web_search_options.user_location`.
    pub(crate) struct WebSearchLocation<'a> {
        kind: Str<'a> = "type",
        approximate: Approximate<'a> = "approximate",
    }

    /// An approximate place.
    pub(crate) struct Approximate<'a> {
        city: Str<'a> = "city",
        country: Str<'a> = "country",
        region: Str<'a> = "region",
        timezone: Str<'a> = "timezone",
    }

    /// `reasoning` of `OpenRouter`.
    pub(crate) struct ReasoningOptions<'a> {
        effort: Str<'a> = "effort",
        max_tokens: Int = "max_tokens",
        enabled: bool = "enabled",
        exclude: bool = "exclude",
        summary: Str<'a> = "summary",
    }

    /// `thinking` of `DeepSeek`, GLM, Kimi and of relays for Anthropic.
    pub(crate) struct ThinkingOptions<'a> {
        kind: Str<'a> = "type",
        budget_tokens: Int = "budget_tokens",
    }

    /// `chat_template_kwargs` of vLLM and relatives.
    pub(crate) struct TemplateKwargs<'a> {
        enable_thinking: bool = "enable_thinking" | "thinking",
    }

    /// One entry of `tool_calls`, in history, answer or delta.
    pub(crate) struct ToolCall<'a> {
        index: Int = "index",
        id: Word<'a> = "id",
        kind: Word<'a> = "type",
        function: FunctionCall<'a> = "function",
        custom: CustomCall<'a> = "custom",
        extra_content: ExtraContent<'a> = "extra_content",
    }

    /// `tool_calls[].function`, or the deprecated `function_call`.
    pub(crate) struct FunctionCall<'a> {
        name: Word<'a> = "name",
        arguments: Json<'a> = "arguments",
    }

    /// `tool_calls[].custom`.
    pub(crate) struct CustomCall<'a> {
        name: Word<'a> = "name",
        input: Word<'a> = "input",
    }

    /// `extra_content` of Google's compatible endpoints.
    pub(crate) struct ExtraContent<'a> {
        google: GoogleContent<'a> = "google" | "vertex",
    }

    /// `extra_content.google`.
    pub(crate) struct GoogleContent<'a> {
        thought_signature: Word<'a> = "thought_signature",
    }

    /// One entry of `reasoning_details`, or one of `thinking_blocks` (Anthropic blocks passed on by relays).
    pub(crate) struct Detail<'a> {
        kind: Word<'a> = "type",
        id: Word<'a> = "id",
        format: Word<'a> = "format",
        index: Int = "index",
        text: Word<'a> = "text" | "thinking",
        summary: Word<'a> = "summary",
        signature: Word<'a> = "signature",
        data: Word<'a> = "data",
    }

    /// `message.audio` or `delta.audio`.
    pub(crate) struct Audio<'a> {
        id: Word<'a> = "id",
        data: Word<'a> = "data",
        transcript: Word<'a> = "transcript",
        expires_at: Int = "expires_at",
    }

    /// A chunk of a stream, a whole answer, or an error in the place of either.
    pub(crate) struct Chunk<'a> {
        id: Word<'a> = "id",
        object: Word<'a> = "object",
        created: &'a RawValue = "created",
        model: Word<'a> = "model",
        choices: Vec<Choice<'a>> = "choices",
        usage: &'a RawValue = "usage",
        service_tier: Word<'a> = "service_tier",
        system_fingerprint: Word<'a> = "system_fingerprint",
        obfuscation: &'a RawValue = "obfuscation",
        error: &'a RawValue = "error",
        citations: &'a RawValue = "citations",
        x_groq: &'a RawValue = "x_groq",
    }

    /// `x_groq`.
    pub(crate) struct XGroq<'a> {
        usage: &'a RawValue = "usage",
        error: &'a RawValue = "error",
    }

    /// One entry of `choices`.
    pub(crate) struct Choice<'a> {
        index: Int = "index",
        delta: Delta<'a> = "delta",
        message: Delta<'a> = "message",
        finish_reason: Word<'a> = "finish_reason",
        native_finish_reason: &'a RawValue = "native_finish_reason",
        logprobs: &'a RawValue = "logprobs",
        usage: &'a RawValue = "usage",
        error: &'a RawValue = "error",
    }

    /// `delta` of a chunk or `message` of a whole answer.
    pub(crate) struct Delta<'a> {
        role: Word<'a> = "role",
        content: Content<'a> = "content",
        refusal: Word<'a> = "refusal",
        tool_calls: Vec<ToolCall<'a>> = "tool_calls",
        function_call: FunctionCall<'a> = "function_call",
        annotations: &'a RawValue = "annotations",
        audio: Audio<'a> = "audio",
        images: Vec<ContentPart<'a>> = "images",
        reasoning_content: Word<'a> = "reasoning_content",
        reasoning: Word<'a> = "reasoning",
        reasoning_details: Details<'a> = "reasoning_details",
        thinking_blocks: Details<'a> = "thinking_blocks",
        extra_content: ExtraContent<'a> = "extra_content",
        thought_signature: Word<'a> = "thought_signature",
    }

    /// `choices[].logprobs`.
    pub(crate) struct Logprobs<'a> {
        content: Vec<Token<'a>> = "content",
        refusal: Vec<Token<'a>> = "refusal",
    }

    /// One token with its probability.
    pub(crate) struct Token<'a> {
        token: Str<'a> = "token",
        logprob: f64 = "logprob",
        bytes: Vec<u8> = "bytes",
        top_logprobs: Vec<Token<'a>> = "top_logprobs",
    }

    /// One entry of `annotations`; the flat members are those of the Responses form.
    pub(crate) struct Annotation<'a> {
        kind: Word<'a> = "type",
        url_citation: UrlCitation<'a> = "url_citation",
        start_index: Int = "start_index",
        end_index: Int = "end_index",
        url: Word<'a> = "url",
        title: Word<'a> = "title",
    }

    /// `annotations[].url_citation`.
    pub(crate) struct UrlCitation<'a> {
        start_index: Int = "start_index",
        end_index: Int = "end_index",
        url: Word<'a> = "url",
        title: Word<'a> = "title",
        content: Word<'a> = "content",
    }

    /// `usage`, with the places other vendors put their numbers.
    pub(crate) struct WireUsage<'a> {
        prompt_tokens: Int = "prompt_tokens" | "input_tokens",
        completion_tokens: Int = "completion_tokens" | "output_tokens",
        total_tokens: Int = "total_tokens",
        prompt_details: TokenDetails<'a> = "prompt_tokens_details" | "prompt_token_details" | "input_tokens_details",
        completion_details: TokenDetails<'a> = "completion_tokens_details" | "output_tokens_details",
        prompt_cache_hit_tokens: Int = "prompt_cache_hit_tokens",
        num_cached_tokens: Int = "num_cached_tokens",
        cached_tokens: Int = "cached_tokens" | "cache_read_input_tokens",
        cache_creation_input_tokens: Int = "cache_creation_input_tokens",
        reasoning_tokens: Int = "reasoning_tokens",
        server_tool_use: ServerToolUse<'a> = "server_tool_use_details" | "server_tool_use",
    }

    /// `prompt_tokens_details` and `completion_tokens_details`.
    pub(crate) struct TokenDetails<'a> {
        cached_tokens: Int = "cached_tokens",
        cache_write_tokens: Int = "cache_write_tokens" | "cache_creation_tokens",
        cache_write_details: CacheWrites<'a> = "cache_write_tokens_details",
        reasoning_tokens: Int = "reasoning_tokens",
        text_tokens: Int = "text_tokens",
        audio_tokens: Int = "audio_tokens",
        image_tokens: Int = "image_tokens",
        video_tokens: Int = "video_tokens",
        accepted_prediction_tokens: Int = "accepted_prediction_tokens",
        rejected_prediction_tokens: Int = "rejected_prediction_tokens",
    }

    /// Cache writes by lifetime.
    pub(crate) struct CacheWrites<'a> {
        ttl_30m_tokens: Int = "ttl_30m_tokens",
        ttl_12h_tokens: Int = "ttl_12h_tokens",
    }

    /// Requests of tools that the provider ran.
    pub(crate) struct ServerToolUse<'a> {
        web_search_requests: Int = "web_search_requests",
        web_fetch_requests: Int = "web_fetch_requests",
    }
}

/// A text of an answer, read from whatever a server puts there: numbers and booleans become text, lists and objects are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word<'a>(pub(crate) Str<'a>);

impl std::ops::Deref for Word<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The text, if it is there and not empty.
pub(crate) fn filled<'a, 'w>(word: &'w Option<Word<'a>>) -> Option<&'w Str<'a>> {
    word.as_ref().map(|word| &word.0).filter(|text| !text.is_empty())
}

impl<'de: 'a, 'a> Deserialize<'de> for Word<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor;
        impl<'de> Visitor<'de> for WordVisitor {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Word(Str(Cow::Borrowed(v))))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Word(Str(Cow::Owned(v.to_owned()))))
            }

            fn visit_string<E>(self, v: String) -> Result<Self::Value, E> {
                Ok(Word(Str(Cow::Owned(v))))
            }

            fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
                Ok(Word(Str(Cow::Owned(v.to_string()))))
            }

            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Word(Str(Cow::Owned(v.to_string()))))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Word(Str(Cow::Owned(v.to_string()))))
            }

            fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
                Ok(Word(Str(Cow::Owned(v.to_string()))))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Word::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(Word::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
                Ok(Word::default())
            }
        }
        deserializer.deserialize_any(WordVisitor)
    }
}

/// A member that is either a word or an object (`tool_choice`, `function_call`).
#[derive(Clone, Debug)]
pub(crate) enum WordOr<'a, T> {
    /// A word.
    Word(Str<'a>),
    /// An object, with its text.
    Object(Box<T>, &'a RawValue),
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for WordOr<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        match raw.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw.get()).map(WordOr::Word).map_err(|error| inner(&error)),
            Some(b'{') => serde_json::from_str(raw.get())
                .map(|value| WordOr::Object(Box::new(value), raw))
                .map_err(|error| inner(&error)),
            _ => Err(de::Error::invalid_type(unexpected(raw.get()), &"a string or an object")),
        }
    }
}

/// A mistake inside raw text; its line and column would count from the wrong place.
fn inner<E: de::Error>(error: &serde_json::Error) -> E {
    let text = error.to_string();
    E::custom(text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message))
}

fn unexpected(raw: &str) -> de::Unexpected<'_> {
    match raw.as_bytes().first() {
        Some(b'[') => de::Unexpected::Seq,
        Some(b'{') => de::Unexpected::Map,
        Some(b't' | b'f') => de::Unexpected::Bool(raw == "true"),
        _ => de::Unexpected::Other("number"),
    }
}

/// Arguments of a call: JSON inside a string, as the specification says, or the JSON itself, as some servers send it.
#[derive(Clone, Debug)]
pub(crate) enum Json<'a> {
    /// Text, perhaps a piece of JSON.
    Text(Str<'a>),
    /// A whole value.
    Value(&'a RawValue),
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('"') {
            serde_json::from_str(raw.get()).map(Json::Text).map_err(|error| inner(&error))
        } else {
            Ok(Json::Value(raw))
        }
    }
}

impl Json<'_> {
    /// The JSON text.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Value(raw) => raw.get(),
        }
    }
}

/// A list of details; anything but a list of objects is no detail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details<'a>(pub(crate) Vec<Detail<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Details<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Details(serde_json::from_str(raw.get()).unwrap_or_default()))
    }
}

/// Content of an answer: a string, or a list of parts.
#[derive(Clone, Debug)]
pub(crate) enum Content<'a> {
    /// Text.
    Text(Str<'a>),
    /// Parts, each with its text.
    Parts(Vec<&'a RawValue>),
    /// Something else: nothing to show.
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Str(Cow::Borrowed(v))))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Str(Cow::Owned(v.to_owned()))))
            }

            fn visit_string<E>(self, v: String) -> Result<Self::Value, E> {
                Ok(Content::Text(Str(Cow::Owned(v))))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Content::Other)
            }

            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Content::Text(Str(Cow::Owned(v.to_string()))))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Content::Text(Str(Cow::Owned(v.to_string()))))
            }

            fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
                Ok(Content::Text(Str(Cow::Owned(v.to_string()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
                Ok(Content::Other)
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}
