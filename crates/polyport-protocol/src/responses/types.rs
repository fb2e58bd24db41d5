//! Wire objects of the Responses protocol, in the words of `OpenAI`'s API document 2.3.0.
//!
//! An item of a conversation is one struct with the members of all kinds: its `type` may stand anywhere in the object, and
//! reading twice would cost on large bodies.

use std::fmt;

use polyport_types::{Text, TokenLogprob};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{Int, OneOrMany, Pairs, Str, wire};

wire! {
    /// `POST /v1/responses`.
    pub(super) struct CreateResponse<'a> {
        model: Str<'a> = "model",
        input: OneOrMany<'a, Item<'a>> = "input",
        instructions: Str<'a> = "instructions",
        max_output_tokens: Int = "max_output_tokens",
        max_tool_calls: Int = "max_tool_calls",
        temperature: f64 = "temperature",
        top_p: f64 = "top_p",
        top_logprobs: Int = "top_logprobs",
        tools: Vec<&'a RawValue> = "tools",
        tool_choice: &'a RawValue = "tool_choice",
        parallel_tool_calls: bool = "parallel_tool_calls",
        text: TextConfig<'a> = "text",
        reasoning: ReasoningConfig<'a> = "reasoning",
        include: Vec<Str<'a>> = "include",
        store: bool = "store",
        previous_response_id: Str<'a> = "previous_response_id",
        conversation: &'a RawValue = "conversation",
        background: bool = "background",
        truncation: Str<'a> = "truncation",
        prompt_cache_key: Str<'a> = "prompt_cache_key",
        prompt_cache_retention: Str<'a> = "prompt_cache_retention",
        prompt_cache_options: CacheOptions<'a> = "prompt_cache_options",
        metadata: Pairs<'a, Str<'a>> = "metadata",
        user: Str<'a> = "user",
        safety_identifier: Str<'a> = "safety_identifier",
        service_tier: Str<'a> = "service_tier",
        stream: bool = "stream",
        stream_options: StreamOptionsConfig<'a> = "stream_options",
    }

    /// `text`.
    pub(super) struct TextConfig<'a> {
        format: Format<'a> = "format",
        verbosity: Str<'a> = "verbosity",
    }

    /// `text.format`.
    pub(super) struct Format<'a> {
        kind: Str<'a> = "type",
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        schema: &'a RawValue = "schema",
        strict: bool = "strict",
    }

    /// `reasoning`.
    pub(super) struct ReasoningConfig<'a> {
        effort: Str<'a> = "effort",
        summary: Str<'a> = "summary",
        generate_summary: Str<'a> = "generate_summary",
    }

    /// `prompt_cache_options`.
    pub(super) struct CacheOptions<'a> {
        mode: Str<'a> = "mode",
        ttl: Str<'a> = "ttl",
    }

    /// `stream_options`.
    pub(super) struct StreamOptionsConfig<'a> {
        include_obfuscation: bool = "include_obfuscation",
    }

    /// An item of `input` or `output`, of any kind.
    pub(super) struct Item<'a> {
        kind: Str<'a> = "type",
        id: Str<'a> = "id",
        role: Str<'a> = "role",
        content: OneOrMany<'a, ContentPart<'a>> = "content",
        status: Str<'a> = "status",
        phase: Str<'a> = "phase",
        call_id: Str<'a> = "call_id",
        name: Str<'a> = "name",
        namespace: Str<'a> = "namespace",
        arguments: &'a RawValue = "arguments",
        input: Str<'a> = "input",
        output: Output<'a> = "output",
        summary: Vec<ContentPart<'a>> = "summary",
        encrypted_content: Str<'a> = "encrypted_content",
        caller: &'a RawValue = "caller",
        action: &'a RawValue = "action",
        operation: &'a RawValue = "operation",
        result: Str<'a> = "result",
        execution: Str<'a> = "execution",
        tools: &'a RawValue = "tools",
    }

    /// A content part of a message, of a tool result or of reasoning.
    pub(super) struct ContentPart<'a> {
        kind: Str<'a> = "type",
        text: Str<'a> = "text",
        refusal: Str<'a> = "refusal",
        annotations: Vec<&'a RawValue> = "annotations",
        logprobs: Vec<Logprob<'a>> = "logprobs",
        image_url: Str<'a> = "image_url",
        file_id: Str<'a> = "file_id",
        file_data: Str<'a> = "file_data",
        file_url: Str<'a> = "file_url",
        filename: Str<'a> = "filename",
        detail: Str<'a> = "detail",
        cache: CacheBreakpoint<'a> = "prompt_cache_breakpoint",
        input_audio: AudioData<'a> = "input_audio",
    }

    /// `prompt_cache_breakpoint`.
    pub(super) struct CacheBreakpoint<'a> {
        ttl: Str<'a> = "ttl",
    }

    /// `input_audio`.
    pub(super) struct AudioData<'a> {
        data: Str<'a> = "data",
        format: Str<'a> = "format",
    }

    /// One token with its log probability.
    pub(super) struct Logprob<'a> {
        token: Str<'a> = "token",
        logprob: f64 = "logprob",
        bytes: Vec<Int> = "bytes",
        top_logprobs: Vec<Logprob<'a>> = "top_logprobs",
    }

    /// An annotation of `output_text`.
    pub(super) struct Annotation<'a> {
        kind: Str<'a> = "type",
        url: Str<'a> = "url",
        title: Str<'a> = "title",
        start_index: Int = "start_index",
        end_index: Int = "end_index",
        file_id: Str<'a> = "file_id",
        filename: Str<'a> = "filename",
    }

    /// A tool of any kind.
    pub(super) struct ToolDef<'a> {
        kind: Str<'a> = "type",
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        parameters: &'a RawValue = "parameters",
        output_schema: &'a RawValue = "output_schema",
        strict: bool = "strict",
        defer_loading: bool = "defer_loading",
        format: ToolFormat<'a> = "format",
        tools: Vec<&'a RawValue> = "tools",
        filters: SearchFilters<'a> = "filters",
        user_location: Location<'a> = "user_location",
        search_context_size: Str<'a> = "search_context_size",
        server_label: Str<'a> = "server_label",
        server_url: Str<'a> = "server_url",
        authorization: Str<'a> = "authorization",
        allowed_tools: &'a RawValue = "allowed_tools",
        require_approval: &'a RawValue = "require_approval",
    }

    /// `format` of a custom tool.
    pub(super) struct ToolFormat<'a> {
        kind: Str<'a> = "type",
        syntax: Str<'a> = "syntax",
        definition: Str<'a> = "definition",
    }

    /// `filters` of web search and file search.
    pub(super) struct SearchFilters<'a> {
        allowed_domains: Vec<Str<'a>> = "allowed_domains",
        blocked_domains: Vec<Str<'a>> = "blocked_domains",
    }

    /// `user_location` of web search.
    pub(super) struct Location<'a> {
        city: Str<'a> = "city",
        country: Str<'a> = "country",
        region: Str<'a> = "region",
        timezone: Str<'a> = "timezone",
    }

    /// `tool_choice` as an object, and the entries of its `tools`.
    pub(super) struct Choice<'a> {
        kind: Str<'a> = "type",
        name: Str<'a> = "name",
        mode: Str<'a> = "mode",
        tools: Vec<Choice<'a>> = "tools",
        server_label: Str<'a> = "server_label",
    }

    /// The `response` object.
    pub(super) struct ResponseObject<'a> {
        id: Str<'a> = "id",
        object: Str<'a> = "object",
        created_at: f64 = "created_at",
        status: Str<'a> = "status",
        model: Str<'a> = "model",
        output: Vec<&'a RawValue> = "output",
        error: &'a RawValue = "error",
        incomplete_details: IncompleteDetails<'a> = "incomplete_details",
        usage: &'a RawValue = "usage",
        service_tier: Str<'a> = "service_tier",
    }

    /// `incomplete_details`.
    pub(super) struct IncompleteDetails<'a> {
        reason: Str<'a> = "reason",
    }

    /// `usage`.
    pub(super) struct UsageObject<'a> {
        input_tokens: Int = "input_tokens",
        output_tokens: Int = "output_tokens",
        total_tokens: Int = "total_tokens",
        input_tokens_details: InputDetails<'a> = "input_tokens_details",
        output_tokens_details: OutputDetails<'a> = "output_tokens_details",
    }

    /// `usage.input_tokens_details`.
    pub(super) struct InputDetails<'a> {
        cached_tokens: Int = "cached_tokens",
        cache_write_tokens: Int = "cache_write_tokens",
        cache_write_tokens_details: CacheWriteDetails<'a> = "cache_write_tokens_details",
    }

    /// `usage.input_tokens_details.cache_write_tokens_details`.
    pub(super) struct CacheWriteDetails<'a> {
        ttl_30m_tokens: Int = "ttl_30m_tokens",
        ttl_12h_tokens: Int = "ttl_12h_tokens",
    }

    /// `usage.output_tokens_details`.
    pub(super) struct OutputDetails<'a> {
        reasoning_tokens: Int = "reasoning_tokens",
    }

    /// An event of a stream, of any kind.
    pub(super) struct StreamEvent<'a> {
        kind: Str<'a> = "type",
        response: &'a RawValue = "response",
        item: &'a RawValue = "item",
        item_id: Str<'a> = "item_id",
        output_index: Int = "output_index",
        content_index: Int = "content_index",
        summary_index: Int = "summary_index",
        part: ContentPart<'a> = "part",
        delta: &'a RawValue = "delta",
        text: Str<'a> = "text",
        refusal: Str<'a> = "refusal",
        arguments: Str<'a> = "arguments",
        input: Str<'a> = "input",
        annotation: &'a RawValue = "annotation",
        logprobs: Vec<Logprob<'a>> = "logprobs",
        error: &'a RawValue = "error",
        object: Str<'a> = "object",
    }
}

/// `output` of the items that answer a call.
#[derive(Clone, Debug)]
pub(super) enum Output<'a> {
    /// Plain text.
    Text(Str<'a>),
    /// Content parts, or the records of a shell.
    Parts(Vec<ContentPart<'a>>),
    /// An object: the picture of a computer.
    Object,
}

impl<'de: 'a, 'a> Deserialize<'de> for Output<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OutputVisitor;
        impl<'de> Visitor<'de> for OutputVisitor {
            type Value = Output<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Output::Text(Str(v.into())))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Output::Text(Str(v.to_owned().into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Output::Parts(parts))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Output::Object)
            }
        }
        deserializer.deserialize_any(OutputVisitor)
    }
}

impl Logprob<'_> {
    /// The neutral form.
    pub(super) fn into_neutral(self, body: &Text) -> TokenLogprob {
        TokenLogprob {
            token: self.token.unwrap_or_default().into_text(body),
            logprob: self.logprob.unwrap_or_default(),
            bytes: self.bytes.map(|bytes| bytes.into_iter().filter_map(|byte| u8::try_from(byte.0).ok()).collect()),
            token_id: None,
            top: self.top_logprobs.unwrap_or_default().into_iter().map(|top| top.into_neutral(body)).collect(),
        }
    }
}
