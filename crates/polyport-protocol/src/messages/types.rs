//! Wire objects of the Messages protocol, in the words of its specification
//! (`POST /v1/messages`, API versions `2023-06-01` and `2026-10-21`, betas included).
//!
//! Members not declared here stay in `extra`. A declared member that the kind of an object does not use is not lost either:
//! [`Block::rest`] and [`ToolParam::rest`] hand on whatever was not taken out.

use std::borrow::Cow;
use std::fmt;

use polyport_types::{Extras, RawJson, Text};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{Int, JsonWriter, OneOrMany, Pairs, Str, raw, wire, write_str};

wire! {
    /// Body of a request.
    pub(super) struct RequestBody<'a> {
        model: Str<'a> = "model",
        max_tokens: Int = "max_tokens",
        messages: Vec<MessageParam<'a>> = "messages",
        system: OneOrMany<'a, Block<'a>> = "system",
        temperature: f64 = "temperature",
        top_p: f64 = "top_p",
        top_k: f64 = "top_k",
        stop_sequences: Vec<Str<'a>> = "stop_sequences",
        stream: bool = "stream",
        tools: Vec<ToolParam<'a>> = "tools",
        tool_choice: ToolChoiceParam<'a> = "tool_choice",
        thinking: ThinkingParam<'a> = "thinking",
        output_config: OutputConfig<'a> = "output_config",
        /// The predecessor of `output_config.format`.
        output_format: OutputFormat<'a> = "output_format",
        metadata: Metadata<'a> = "metadata",
        cache_control: CacheControlParam<'a> = "cache_control",
        service_tier: Str<'a> = "service_tier",
        speed: Str<'a> = "speed",
        mcp_servers: Vec<McpServerParam<'a>> = "mcp_servers",
        /// Some hosts take headers in the body.
        betas: Vec<Str<'a>> = "betas" | "anthropic_beta",
        version: Str<'a> = "anthropic_version",
    }

    /// An entry of `messages`.
    pub(super) struct MessageParam<'a> {
        role: Str<'a> = "role",
        content: OneOrMany<'a, Block<'a>> = "content",
    }

    /// A content block of any kind, of requests and answers alike.
    pub(super) struct Block<'a> {
        kind: Str<'a> = "type",
        text: Str<'a> = "text",
        /// A list (text) or an object (document, search result).
        citations: &'a RawValue = "citations",
        cache_control: CacheControlParam<'a> = "cache_control",
        source: Source<'a> = "source",
        title: Str<'a> = "title",
        context: Str<'a> = "context",
        content: Content<'a> = "content",
        thinking: Str<'a> = "thinking",
        signature: Str<'a> = "signature",
        data: Str<'a> = "data",
        id: Str<'a> = "id",
        name: Str<'a> = "name",
        input: &'a RawValue = "input",
        caller: &'a RawValue = "caller",
        tool_use_id: Str<'a> = "tool_use_id",
        is_error: bool = "is_error",
        tool_name: Str<'a> = "tool_name",
        file_id: Str<'a> = "file_id",
    }

    /// Source of an image or a document.
    pub(super) struct MediaParam<'a> {
        kind: Str<'a> = "type",
        media_type: Str<'a> = "media_type",
        data: Str<'a> = "data",
        url: Str<'a> = "url",
        file_id: Str<'a> = "file_id",
        content: OneOrMany<'a, Block<'a>> = "content",
    }

    /// `cache_control`.
    pub(super) struct CacheControlParam<'a> {
        kind: Str<'a> = "type",
        ttl: Str<'a> = "ttl",
    }

    /// Whether a document shall be cited.
    pub(super) struct CitationsConfig<'a> {
        enabled: bool = "enabled",
    }

    /// A citation of any kind.
    pub(super) struct CitationParam<'a> {
        kind: Str<'a> = "type",
        url: Str<'a> = "url",
        source: Str<'a> = "source",
        title: Str<'a> = "title",
        document_title: Str<'a> = "document_title",
        cited_text: Str<'a> = "cited_text",
        file_id: Str<'a> = "file_id",
        document_index: Int = "document_index" | "search_result_index",
        encrypted_index: Str<'a> = "encrypted_index",
    }

    /// A tool of any kind.
    pub(super) struct ToolParam<'a> {
        kind: Str<'a> = "type",
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        input_schema: &'a RawValue = "input_schema",
        strict: bool = "strict",
        cache_control: CacheControlParam<'a> = "cache_control",
        defer_loading: bool = "defer_loading",
        allowed_domains: Vec<Str<'a>> = "allowed_domains",
        blocked_domains: Vec<Str<'a>> = "blocked_domains",
        max_uses: Int = "max_uses",
        user_location: Location<'a> = "user_location",
        mcp_server_name: Str<'a> = "mcp_server_name",
    }

    /// What a toolset says about the tools of its server.
    pub(super) struct ToolsetParam<'a> {
        default_config: ToolsetEntry<'a> = "default_config",
        configs: Pairs<'a, ToolsetEntry<'a>> = "configs",
    }

    /// What a toolset says about one tool, or about all it does not name.
    pub(super) struct ToolsetEntry<'a> {
        enabled: bool = "enabled",
    }

    /// Approximate place of the user.
    pub(super) struct Location<'a> {
        kind: Str<'a> = "type",
        city: Str<'a> = "city",
        country: Str<'a> = "country",
        region: Str<'a> = "region",
        timezone: Str<'a> = "timezone",
    }

    /// An entry of `mcp_servers`.
    pub(super) struct McpServerParam<'a> {
        kind: Str<'a> = "type",
        name: Str<'a> = "name",
        url: Str<'a> = "url",
        authorization_token: Str<'a> = "authorization_token",
        tool_configuration: McpToolConfiguration<'a> = "tool_configuration",
    }

    /// Which tools of a remote server may be used (older beta).
    pub(super) struct McpToolConfiguration<'a> {
        allowed_tools: Vec<Str<'a>> = "allowed_tools",
        enabled: bool = "enabled",
    }

    /// `tool_choice`.
    pub(super) struct ToolChoiceParam<'a> {
        kind: Str<'a> = "type",
        name: Str<'a> = "name",
        disable_parallel_tool_use: bool = "disable_parallel_tool_use",
    }

    /// `thinking`.
    pub(super) struct ThinkingParam<'a> {
        kind: Str<'a> = "type",
        budget_tokens: Int = "budget_tokens",
        display: Str<'a> = "display",
    }

    /// `output_config`.
    pub(super) struct OutputConfig<'a> {
        effort: Str<'a> = "effort",
        format: OutputFormat<'a> = "format",
    }

    /// `output_config.format`.
    pub(super) struct OutputFormat<'a> {
        kind: Str<'a> = "type",
        schema: &'a RawValue = "schema",
    }

    /// `metadata`.
    pub(super) struct Metadata<'a> {
        user_id: Str<'a> = "user_id",
    }

    /// A whole answer, and the message inside `message_start`.
    pub(super) struct MessageBody<'a> {
        kind: Str<'a> = "type",
        id: Str<'a> = "id",
        role: Str<'a> = "role",
        model: Str<'a> = "model",
        content: Vec<Block<'a>> = "content",
        stop_reason: Str<'a> = "stop_reason",
        stop_sequence: Str<'a> = "stop_sequence",
        stop_details: &'a RawValue = "stop_details",
        usage: &'a RawValue = "usage",
        container: &'a RawValue = "container",
        context_management: &'a RawValue = "context_management",
        error: &'a RawValue = "error",
    }

    /// `stop_details`.
    pub(super) struct StopDetails<'a> {
        category: Str<'a> = "category",
        explanation: Str<'a> = "explanation",
    }

    /// `usage`. Every counter is cumulative.
    pub(super) struct UsageBody<'a> {
        input_tokens: Int = "input_tokens",
        cache_creation_input_tokens: Int = "cache_creation_input_tokens",
        cache_read_input_tokens: Int = "cache_read_input_tokens",
        cache_creation: CacheCreation<'a> = "cache_creation",
        output_tokens: Int = "output_tokens",
        output_tokens_details: OutputTokensDetails<'a> = "output_tokens_details",
        server_tool_use: ServerToolUsage<'a> = "server_tool_use",
        service_tier: Str<'a> = "service_tier",
    }

    /// Tokens written to the cache, by lifetime.
    pub(super) struct CacheCreation<'a> {
        ephemeral_5m: Int = "ephemeral_5m_input_tokens",
        ephemeral_1h: Int = "ephemeral_1h_input_tokens",
    }

    /// Part of the output that is thinking.
    pub(super) struct OutputTokensDetails<'a> {
        thinking_tokens: Int = "thinking_tokens",
    }

    /// Requests made by server tools.
    pub(super) struct ServerToolUsage<'a> {
        web_search_requests: Int = "web_search_requests",
        web_fetch_requests: Int = "web_fetch_requests",
    }

    /// One event of a stream.
    pub(super) struct StreamEvent<'a> {
        kind: Str<'a> = "type",
        index: Int = "index",
        message: &'a RawValue = "message",
        content_block: &'a RawValue = "content_block",
        delta: Delta<'a> = "delta",
        usage: &'a RawValue = "usage",
        error: &'a RawValue = "error",
    }

    /// What a `content_block_delta` or `message_delta` carries. Members of rare kinds stay in `extra`.
    pub(super) struct Delta<'a> {
        kind: Str<'a> = "type",
        text: Str<'a> = "text",
        thinking: Str<'a> = "thinking",
        partial_json: Str<'a> = "partial_json",
        signature: Str<'a> = "signature",
        stop_reason: Str<'a> = "stop_reason",
        stop_sequence: Str<'a> = "stop_sequence",
    }

    /// Answer of `count_tokens`.
    pub(super) struct CountBody<'a> {
        input_tokens: Int = "input_tokens",
    }
}

/// `source` of a block: an object for media, a text for search results.
#[derive(Clone, Debug)]
pub(super) enum Source<'a> {
    /// Where a search result is from.
    Text(Str<'a>),
    /// Content of an image or a document.
    Media(Box<MediaParam<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Source<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceVisitor;
        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = Source<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a string")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Source::Text(Str(Cow::Borrowed(v))))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Source::Text(Str(Cow::Owned(v.to_owned()))))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                MediaParam::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(Source::Media)
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

/// `content` of a block: a text, blocks, or the result object of a server tool.
#[derive(Clone, Debug)]
pub(super) enum Content<'a> {
    Text(Str<'a>),
    Blocks(Vec<Block<'a>>),
    Object(Pairs<'a, &'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, an array or an object")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Str(Cow::Borrowed(v))))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Str(Cow::Owned(v.to_owned()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = seq.next_element()? {
                    blocks.push(block);
                }
                Ok(Content::Blocks(blocks))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Pairs::deserialize(MapAccessDeserializer::new(map)).map(Content::Object)
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// A member read into a typed value, written back as JSON.
pub(super) trait Member {
    /// Appends the value.
    fn write(self, out: &mut Vec<u8>, body: &Text);
}

impl Member for Str<'_> {
    fn write(self, out: &mut Vec<u8>, _: &Text) {
        write_str(out, &self);
    }
}

impl Member for &RawValue {
    fn write(self, out: &mut Vec<u8>, _: &Text) {
        out.extend_from_slice(self.get().as_bytes());
    }
}

impl Member for bool {
    fn write(self, out: &mut Vec<u8>, _: &Text) {
        out.extend_from_slice(if self { b"true" } else { b"false" });
    }
}

impl Member for Int {
    fn write(self, out: &mut Vec<u8>, _: &Text) {
        JsonWriter::new(out).number(self.0);
    }
}

impl<T: Member> Member for Vec<T> {
    fn write(self, out: &mut Vec<u8>, body: &Text) {
        out.push(b'[');
        for (at, item) in self.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            item.write(out, body);
        }
        out.push(b']');
    }
}

impl<T: Member> Member for OneOrMany<'_, T> {
    fn write(self, out: &mut Vec<u8>, body: &Text) {
        match self {
            Self::One(text) => text.write(out, body),
            Self::Many(items) => items.write(out, body),
        }
    }
}

impl Member for Pairs<'_, &RawValue> {
    fn write(self, out: &mut Vec<u8>, _: &Text) {
        JsonWriter::new(out).object(|w| {
            for (name, value) in self.0 {
                w.key(&name);
                w.raw_value(value.get());
            }
        });
    }
}

impl Member for Content<'_> {
    fn write(self, out: &mut Vec<u8>, body: &Text) {
        match self {
            Self::Text(text) => text.write(out, body),
            Self::Blocks(blocks) => blocks.write(out, body),
            Self::Object(object) => object.write(out, body),
        }
    }
}

impl Member for Source<'_> {
    fn write(self, out: &mut Vec<u8>, body: &Text) {
        match self {
            Self::Text(text) => text.write(out, body),
            Self::Media(media) => media.write(out, body),
        }
    }
}

/// Gives an object of `wire!` a way back to JSON: whatever is still in it, declared or not.
macro_rules! members {
    ($($name:ident { $($field:ident = $key:literal,)* })*) => {$(
        impl $name<'_> {
            /// Every member that was not taken out.
            pub(super) fn rest(self, body: &Text) -> Extras {
                let mut rest = Extras::new();
                $(if let Some(value) = self.$field {
                    rest.push(Text::from_static($key), json_of(value, body));
                })*
                for (name, value) in self.extra {
                    rest.push(name.into_text(body), raw(value, body));
                }
                rest
            }
        }

        impl Member for $name<'_> {
            fn write(self, out: &mut Vec<u8>, body: &Text) {
                let rest = self.rest(body);
                JsonWriter::new(out).object(|w| w.extras(&rest));
            }
        }
    )*};
}

members! {
    Block {
        kind = "type",
        id = "id",
        tool_use_id = "tool_use_id",
        name = "name",
        text = "text",
        input = "input",
        source = "source",
        title = "title",
        context = "context",
        content = "content",
        is_error = "is_error",
        thinking = "thinking",
        signature = "signature",
        data = "data",
        tool_name = "tool_name",
        file_id = "file_id",
        citations = "citations",
        caller = "caller",
        cache_control = "cache_control",
    }
    MediaParam {
        kind = "type",
        media_type = "media_type",
        data = "data",
        url = "url",
        file_id = "file_id",
        content = "content",
    }
    CacheControlParam { kind = "type", ttl = "ttl", }
    ToolParam {
        kind = "type",
        name = "name",
        description = "description",
        input_schema = "input_schema",
        strict = "strict",
        defer_loading = "defer_loading",
        allowed_domains = "allowed_domains",
        blocked_domains = "blocked_domains",
        max_uses = "max_uses",
        user_location = "user_location",
        mcp_server_name = "mcp_server_name",
        cache_control = "cache_control",
    }
    Location { kind = "type", city = "city", country = "country", region = "region", timezone = "timezone", }
    McpServerParam {
        kind = "type",
        name = "name",
        url = "url",
        authorization_token = "authorization_token",
        tool_configuration = "tool_configuration",
    }
    McpToolConfiguration { allowed_tools = "allowed_tools", enabled = "enabled", }
    ThinkingParam { kind = "type", budget_tokens = "budget_tokens", display = "display", }
    OutputConfig { effort = "effort", format = "format", }
    OutputFormat { kind = "type", schema = "schema", }
    Metadata { user_id = "user_id", }
    Delta {
        kind = "type",
        text = "text",
        thinking = "thinking",
        partial_json = "partial_json",
        signature = "signature",
        stop_reason = "stop_reason",
        stop_sequence = "stop_sequence",
    }
}

/// A member as verbatim JSON.
pub(super) fn json_of(value: impl Member, body: &Text) -> RawJson {
    let mut out = Vec::new();
    value.write(&mut out, body);
    // Only UTF-8 was written; the fallback cannot happen.
    RawJson::from_valid(String::from_utf8(out).map_or_else(|_| Text::from_static("null"), Text::from))
}

/// An object of these members.
pub(super) fn object_of(members: &Extras) -> RawJson {
    let mut out = Vec::new();
    JsonWriter::new(&mut out).object(|w| w.extras(members));
    RawJson::from_valid(String::from_utf8(out).map_or_else(|_| Text::from_static("{}"), Text::from))
}
