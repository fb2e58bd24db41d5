//! Answers of Converse in the words of its reference.

use serde_json::value::RawValue;

use crate::json::{Int, Str, wire};

wire! {
    /// The answer of `Converse`.
    pub(super) struct ConverseBody<'a> {
        output: Output<'a> = "output",
        stop_reason: Str<'a> = "stopReason",
        usage: &'a RawValue = "usage",
        service_tier: ServiceTier<'a> = "serviceTier",
        additional: AdditionalFields<'a> = "additionalModelResponseFields",
    }

    /// `output`: a union of one.
    pub(super) struct Output<'a> {
        message: Message<'a> = "message",
    }

    /// The message of the model.
    pub(super) struct Message<'a> {
        content: Vec<&'a RawValue> = "content",
    }

    /// A content block: a union, of which these are answers.
    pub(super) struct ContentBlock<'a> {
        text: Str<'a> = "text",
        tool_use: ToolUse<'a> = "toolUse",
        reasoning: ReasoningContent<'a> = "reasoningContent",
        citations: CitationsContent<'a> = "citationsContent",
    }

    /// A call of a tool; in streams without its input.
    pub(super) struct ToolUse<'a> {
        id: Str<'a> = "toolUseId",
        name: Str<'a> = "name",
        input: &'a RawValue = "input",
    }

    /// Reasoning of a whole answer.
    pub(super) struct ReasoningContent<'a> {
        text: ReasoningText<'a> = "reasoningText",
        redacted: Str<'a> = "redactedContent",
    }

    /// Readable reasoning.
    pub(super) struct ReasoningText<'a> {
        text: Str<'a> = "text",
        signature: Str<'a> = "signature",
    }

    /// Text with its sources.
    pub(super) struct CitationsContent<'a> {
        content: Vec<Piece<'a>> = "content",
        citations: Vec<&'a RawValue> = "citations",
    }

    /// A piece of text, of an answer or of a source.
    pub(super) struct Piece<'a> {
        text: Str<'a> = "text",
    }

    /// A source.
    pub(super) struct CitationBody<'a> {
        title: Str<'a> = "title",
        source: Str<'a> = "source",
        content: Vec<Piece<'a>> = "sourceContent",
        location: Location<'a> = "location",
    }

    /// Where in the source: a union.
    pub(super) struct Location<'a> {
        chars: Place<'a> = "documentChar",
        pages: Place<'a> = "documentPage",
        chunks: Place<'a> = "documentChunk",
        hits: Place<'a> = "searchResultLocation",
        web: Web<'a> = "web",
    }

    /// A stretch of a document or of a search result.
    pub(super) struct Place<'a> {
        document: Int = "documentIndex",
    }

    /// A page of the web.
    pub(super) struct Web<'a> {
        url: Str<'a> = "url",
    }

    /// The tier that served the request.
    pub(super) struct ServiceTier<'a> {
        kind: Str<'a> = "type",
    }

    /// Members of the model's own answer that were asked for.
    pub(super) struct AdditionalFields<'a> {
        stop_sequence: Str<'a> = "stop_sequence",
    }

    /// `usage`. Input that was read from or written to a cache is counted apart.
    pub(super) struct TokenUsage<'a> {
        input: Int = "inputTokens",
        output: Int = "outputTokens",
        cache_read: Int = "cacheReadInputTokens" | "cacheReadInputTokenCount",
        cache_write: Int = "cacheWriteInputTokens" | "cacheWriteInputTokenCount",
        details: Vec<CacheDetail<'a>> = "cacheDetails",
    }

    /// Tokens written to a cache of one lifetime.
    pub(super) struct CacheDetail<'a> {
        ttl: Str<'a> = "ttl",
        input: Int = "inputTokens",
    }

    /// An event of `ConverseStream`; which one the frame says.
    pub(super) struct StreamEvent<'a> {
        index: Int = "contentBlockIndex",
        start: ContentBlock<'a> = "start",
        delta: Delta<'a> = "delta",
        stop_reason: Str<'a> = "stopReason",
        additional: AdditionalFields<'a> = "additionalModelResponseFields",
        usage: &'a RawValue = "usage",
        service_tier: ServiceTier<'a> = "serviceTier",
    }

    /// What a block grows by: a union.
    pub(super) struct Delta<'a> {
        text: Str<'a> = "text",
        tool_use: ToolUseDelta<'a> = "toolUse",
        reasoning: ReasoningDelta<'a> = "reasoningContent",
        citation: &'a RawValue = "citation",
    }

    /// A piece of a call's input.
    pub(super) struct ToolUseDelta<'a> {
        input: Str<'a> = "input",
    }

    /// A piece of reasoning: a union.
    pub(super) struct ReasoningDelta<'a> {
        text: Str<'a> = "text",
        signature: Str<'a> = "signature",
        redacted: Str<'a> = "redactedContent",
    }
}
