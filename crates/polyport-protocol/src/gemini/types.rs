//! Wire objects of the Gemini protocol, in the words of the v1beta `generateContent` reference (read October 2026).
//!
//! Every member may be spelled in camelCase or snake_case.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{Int, Pairs, Str, wire};

/// An object that some clients shorten to a string.
pub(super) trait Element<'a>: Deserialize<'a> {
    /// The object a string stands for, if it may.
    fn of_text(text: Str<'a>) -> Option<Self>;
}

/// An object, or the string that stands for it.
#[derive(Clone, Debug)]
pub(super) struct One<T>(pub(super) T);

/// A repeated member: a list, or one element without its brackets.
#[derive(Clone, Debug)]
pub(super) struct Many<T>(pub(super) Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Element<'de>> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneVisitor<T>(PhantomData<T>);
        impl<'de, T: Element<'de>> Visitor<'de> for OneVisitor<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }

            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<T, E> {
                T::of_text(Str(v.into())).ok_or_else(|| E::invalid_type(serde::de::Unexpected::Str(v), &self))
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<T, E> {
                self.visit_string(v.to_owned())
            }

            fn visit_string<E: Error>(self, v: String) -> Result<T, E> {
                T::of_text(Str(v.into())).ok_or_else(|| E::custom("invalid type: string, expected an object"))
            }
        }
        deserializer.deserialize_any(OneVisitor(PhantomData)).map(Self)
    }
}

impl<'de, T: Element<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ManyVisitor<T>(PhantomData<T>);
        impl<'de, T: Element<'de>> Visitor<'de> for ManyVisitor<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(One(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(items)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
                Ok(vec![T::deserialize(MapAccessDeserializer::new(map))?])
            }

            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Vec<T>, E> {
                match T::of_text(Str(v.into())) {
                    Some(item) => Ok(vec![item]),
                    None => Err(E::invalid_type(serde::de::Unexpected::Str(v), &self)),
                }
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Vec<T>, E> {
                match T::of_text(Str(v.to_owned().into())) {
                    Some(item) => Ok(vec![item]),
                    None => Err(E::invalid_type(serde::de::Unexpected::Str(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(ManyVisitor(PhantomData)).map(Self)
    }
}

/// A number that may be written as a decimal string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Float(pub(super) f64);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FloatVisitor;
        impl Visitor<'_> for FloatVisitor {
            type Value = Float;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, v: f64) -> Result<Float, E> {
                Ok(Float(v))
            }

            #[allow(clippy::cast_precision_loss, reason = "parameters are far below 2^53")]
            fn visit_i64<E>(self, v: i64) -> Result<Float, E> {
                Ok(Float(v as f64))
            }

            #[allow(clippy::cast_precision_loss, reason = "parameters are far below 2^53")]
            fn visit_u64<E>(self, v: u64) -> Result<Float, E> {
                Ok(Float(v as f64))
            }

            fn visit_str<E: Error>(self, v: &str) -> Result<Float, E> {
                match v.trim().parse() {
                    Ok(number) if f64::is_finite(number) => Ok(Float(number)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(FloatVisitor)
    }
}

wire! {
    /// The body of `generateContent` and `streamGenerateContent`.
    pub(super) struct GenerateRequest<'a> {
        model: Str<'a> = "model",
        contents: Many<Content<'a>> = "contents",
        system_instruction: One<Content<'a>> = "systemInstruction" | "system_instruction",
        tools: Many<ToolObject<'a>> = "tools",
        tool_config: ToolConfig<'a> = "toolConfig" | "tool_config",
        generation_config: GenerationConfig<'a> = "generationConfig" | "generation_config",
        safety_settings: &'a RawValue = "safetySettings" | "safety_settings",
        cached_content: Str<'a> = "cachedContent" | "cached_content",
        labels: Pairs<'a, Str<'a>> = "labels",
        store: bool = "store",
        service_tier: Str<'a> = "serviceTier" | "service_tier",
    }

    /// The body of `countTokens`.
    pub(super) struct CountRequest<'a> {
        request: GenerateRequest<'a> = "generateContentRequest" | "generate_content_request",
        contents: &'a RawValue = "contents",
    }

    /// The answer of `countTokens`.
    pub(super) struct CountResponse<'a> {
        total_tokens: Int = "totalTokens" | "total_tokens",
    }

    /// One turn of the history, or the instructions.
    pub(super) struct Content<'a> {
        role: Str<'a> = "role",
        parts: Many<Part<'a>> = "parts",
    }

    /// A piece of a content. At most one member but the last two is present.
    pub(super) struct Part<'a> {
        text: Str<'a> = "text",
        inline_data: Blob<'a> = "inlineData" | "inline_data",
        file_data: FileData<'a> = "fileData" | "file_data",
        function_call: FunctionCall<'a> = "functionCall" | "function_call",
        function_response: FunctionResponse<'a> = "functionResponse" | "function_response",
        executable_code: ExecutableCode<'a> = "executableCode" | "executable_code",
        code_execution_result: CodeExecutionResult<'a> = "codeExecutionResult" | "code_execution_result",
        tool_call: &'a RawValue = "toolCall" | "tool_call",
        tool_response: &'a RawValue = "toolResponse" | "tool_response",
        thought: bool = "thought",
        thought_signature: Str<'a> = "thoughtSignature" | "thought_signature",
    }

    /// Inline media.
    pub(super) struct Blob<'a> {
        mime_type: Str<'a> = "mimeType" | "mime_type",
        data: Str<'a> = "data",
    }

    /// Media by address.
    pub(super) struct FileData<'a> {
        file_uri: Str<'a> = "fileUri" | "file_uri",
        mime_type: Str<'a> = "mimeType" | "mime_type",
    }

    /// A call of a client tool. In streams it may arrive in pieces (`partialArgs`, `willContinue`).
    pub(super) struct FunctionCall<'a> {
        id: Str<'a> = "id",
        name: Str<'a> = "name",
        args: &'a RawValue = "args",
        partial_args: Many<PartialArg<'a>> = "partialArgs" | "partial_args",
        will_continue: bool = "willContinue" | "will_continue",
    }

    /// A piece of the arguments of a call.
    pub(super) struct PartialArg<'a> {
        json_path: Str<'a> = "jsonPath" | "json_path",
        string_value: Str<'a> = "stringValue" | "string_value",
        number_value: &'a RawValue = "numberValue" | "number_value",
        bool_value: bool = "boolValue" | "bool_value",
        will_continue: bool = "willContinue" | "will_continue",
    }

    /// The result of a client tool.
    pub(super) struct FunctionResponse<'a> {
        id: Str<'a> = "id",
        name: Str<'a> = "name",
        response: &'a RawValue = "response",
        parts: Many<Part<'a>> = "parts",
    }

    /// Code the provider runs.
    pub(super) struct ExecutableCode<'a> {
        id: Str<'a> = "id",
        language: Str<'a> = "language",
        code: Str<'a> = "code",
    }

    /// What that code printed.
    pub(super) struct CodeExecutionResult<'a> {
        id: Str<'a> = "id",
        outcome: Str<'a> = "outcome",
        output: Str<'a> = "output",
    }

    /// `toolCall` and `toolResponse`: a tool that the provider runs.
    pub(super) struct ServerToolPart<'a> {
        id: Str<'a> = "id",
        tool_type: Str<'a> = "toolType" | "tool_type",
        args: &'a RawValue = "args",
        response: &'a RawValue = "response",
    }

    /// An entry of `tools`: functions, or one member per tool that the provider runs.
    pub(super) struct ToolObject<'a> {
        functions: Many<FunctionDeclaration<'a>> = "functionDeclarations" | "function_declarations",
    }

    /// A function the client offers.
    pub(super) struct FunctionDeclaration<'a> {
        name: Str<'a> = "name",
        description: Str<'a> = "description",
        parameters: &'a RawValue = "parameters",
        parameters_json_schema: &'a RawValue = "parametersJsonSchema" | "parameters_json_schema",
        response: &'a RawValue = "response",
        response_json_schema: &'a RawValue = "responseJsonSchema" | "response_json_schema",
    }

    /// An entry of `tools[].mcpServers`.
    pub(super) struct McpServer<'a> {
        name: Str<'a> = "name",
        transport: McpTransport<'a> = "streamableHttpTransport" | "streamable_http_transport",
    }

    /// Where an MCP server is reached.
    pub(super) struct McpTransport<'a> {
        url: Str<'a> = "url",
        headers: Pairs<'a, Str<'a>> = "headers",
    }

    /// `tools[].googleSearch` and its relatives.
    pub(super) struct SearchTool<'a> {
        exclude_domains: Vec<Str<'a>> = "excludeDomains" | "exclude_domains",
    }

    /// How tools are used.
    pub(super) struct ToolConfig<'a> {
        calling: CallingConfig<'a> = "functionCallingConfig" | "function_calling_config",
    }

    /// How functions are called.
    pub(super) struct CallingConfig<'a> {
        mode: Str<'a> = "mode",
        allowed: Vec<Str<'a>> = "allowedFunctionNames" | "allowed_function_names",
    }

    /// Sampling, limits and shape of the answer.
    pub(super) struct GenerationConfig<'a> {
        temperature: Float = "temperature",
        top_p: Float = "topP" | "top_p",
        top_k: Float = "topK" | "top_k",
        candidate_count: Int = "candidateCount" | "candidate_count",
        max_output_tokens: Int = "maxOutputTokens" | "max_output_tokens",
        stop_sequences: Words<'a> = "stopSequences" | "stop_sequences",
        presence_penalty: Float = "presencePenalty" | "presence_penalty",
        frequency_penalty: Float = "frequencyPenalty" | "frequency_penalty",
        seed: Int = "seed",
        response_logprobs: bool = "responseLogprobs" | "response_logprobs",
        logprobs: Int = "logprobs",
        response_mime_type: Str<'a> = "responseMimeType" | "response_mime_type",
        response_schema: &'a RawValue = "responseSchema" | "response_schema",
        response_json_schema: &'a RawValue =
            "responseJsonSchema" | "response_json_schema" | "_responseJsonSchema" | "_response_json_schema",
        response_format: &'a RawValue = "responseFormat" | "response_format",
        response_modalities: Words<'a> = "responseModalities" | "response_modalities",
        speech_config: &'a RawValue = "speechConfig" | "speech_config",
        image_config: &'a RawValue = "imageConfig" | "image_config",
        thinking_config: ThinkingConfig<'a> = "thinkingConfig" | "thinking_config",
    }

    /// Reasoning.
    pub(super) struct ThinkingConfig<'a> {
        include_thoughts: bool = "includeThoughts" | "include_thoughts",
        budget: Int = "thinkingBudget" | "thinking_budget",
        level: Str<'a> = "thinkingLevel" | "thinking_level",
    }

    /// An entry of `generationConfig.responseFormat`.
    pub(super) struct FormatEntry<'a> {
        text: TextFormat<'a> = "text",
    }

    /// The textual form of an answer.
    pub(super) struct TextFormat<'a> {
        mime_type: Str<'a> = "mimeType" | "mime_type",
        schema: &'a RawValue = "schema",
    }

    /// A whole answer, or one chunk of a stream.
    pub(super) struct GenerateResponse<'a> {
        candidates: Many<Candidate<'a>> = "candidates",
        prompt_feedback: &'a RawValue = "promptFeedback" | "prompt_feedback",
        usage_metadata: &'a RawValue = "usageMetadata" | "usage_metadata",
        model_version: Str<'a> = "modelVersion" | "model_version",
        response_id: Str<'a> = "responseId" | "response_id",
        create_time: Str<'a> = "createTime" | "create_time",
        /// Code Assist wraps each chunk.
        response: &'a RawValue = "response",
        /// What Code Assist says of the wrapped answer.
        trace_id: Str<'a> = "traceId",
        error: &'a RawValue = "error",
    }

    /// One answer.
    pub(super) struct Candidate<'a> {
        content: Content<'a> = "content",
        finish_reason: Str<'a> = "finishReason" | "finish_reason",
        finish_message: Str<'a> = "finishMessage" | "finish_message",
        index: Int = "index",
        grounding: &'a RawValue = "groundingMetadata" | "grounding_metadata",
        citations: &'a RawValue = "citationMetadata" | "citation_metadata",
        logprobs: LogprobsResult<'a> = "logprobsResult" | "logprobs_result",
    }

    /// Why a prompt was refused.
    pub(super) struct PromptFeedback<'a> {
        reason: Str<'a> = "blockReason" | "block_reason",
        message: Str<'a> = "blockReasonMessage" | "block_reason_message",
        ratings: &'a RawValue = "safetyRatings" | "safety_ratings",
    }

    /// Tokens.
    pub(super) struct UsageMetadata<'a> {
        prompt: Int = "promptTokenCount" | "prompt_token_count",
        cached: Int = "cachedContentTokenCount" | "cached_content_token_count",
        candidates: Int = "candidatesTokenCount" | "candidates_token_count",
        thoughts: Int = "thoughtsTokenCount" | "thoughts_token_count",
        tool_prompt: Int = "toolUsePromptTokenCount" | "tool_use_prompt_token_count",
        total: Int = "totalTokenCount" | "total_token_count",
        prompt_details: Many<ModalityCount<'a>> = "promptTokensDetails" | "prompt_tokens_details",
        candidates_details: Many<ModalityCount<'a>> = "candidatesTokensDetails" | "candidates_tokens_details",
        cached_details: Many<ModalityCount<'a>> = "cacheTokensDetails" | "cache_tokens_details",
    }

    /// Tokens of one modality.
    pub(super) struct ModalityCount<'a> {
        modality: Str<'a> = "modality",
        count: Int = "tokenCount" | "token_count",
    }

    /// Log probabilities.
    pub(super) struct LogprobsResult<'a> {
        chosen: Many<LogprobToken<'a>> = "chosenCandidates" | "chosen_candidates",
        top: Many<TopTokens<'a>> = "topCandidates" | "top_candidates",
    }

    /// One token.
    pub(super) struct LogprobToken<'a> {
        token: Str<'a> = "token",
        id: Int = "tokenId" | "token_id",
        logprob: Float = "logProbability" | "log_probability",
    }

    /// The likeliest tokens of one step.
    pub(super) struct TopTokens<'a> {
        tokens: Many<LogprobToken<'a>> = "candidates",
    }

    /// Where an answer comes from.
    pub(super) struct GroundingMetadata<'a> {
        chunks: Many<GroundingChunk<'a>> = "groundingChunks" | "grounding_chunks",
        supports: Many<GroundingSupport<'a>> = "groundingSupports" | "grounding_supports",
    }

    /// One source.
    pub(super) struct GroundingChunk<'a> {
        web: GroundingSource<'a> = "web",
        maps: GroundingSource<'a> = "maps",
        image: GroundingSource<'a> = "image",
        retrieved: GroundingSource<'a> = "retrievedContext" | "retrieved_context",
    }

    /// A page, place, image or document.
    pub(super) struct GroundingSource<'a> {
        uri: Str<'a> = "uri" | "sourceUri" | "source_uri",
        title: Str<'a> = "title",
        text: Str<'a> = "text",
        document: Str<'a> = "documentName" | "document_name",
    }

    /// Which words which sources support.
    pub(super) struct GroundingSupport<'a> {
        segment: Segment<'a> = "segment",
        chunks: Vec<Int> = "groundingChunkIndices" | "grounding_chunk_indices",
    }

    /// A stretch of the answer in bytes.
    pub(super) struct Segment<'a> {
        part: Int = "partIndex" | "part_index",
        start: Int = "startIndex" | "start_index",
        end: Int = "endIndex" | "end_index",
        text: Str<'a> = "text",
    }

    /// Text recited from a source.
    pub(super) struct CitationMetadata<'a> {
        citations: Many<RecitedSource<'a>> = "citations" | "citationSources" | "citation_sources",
    }

    /// A source recited.
    pub(super) struct RecitedSource<'a> {
        start: Int = "startIndex" | "start_index",
        end: Int = "endIndex" | "end_index",
        uri: Str<'a> = "uri",
        title: Str<'a> = "title",
    }
}

/// A list of strings, or one of them.
#[derive(Clone, Debug)]
pub(super) struct Words<'a>(pub(super) Vec<Str<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Words<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::OneOrMany::<'a, Str<'a>>::deserialize(deserializer).map(|words| match words {
            crate::json::OneOrMany::One(word) => Self(vec![word]),
            crate::json::OneOrMany::Many(words) => Self(words),
        })
    }
}

impl<'a> Element<'a> for Part<'a> {
    fn of_text(text: Str<'a>) -> Option<Self> {
        Some(Self { text: Some(text), ..Self::default() })
    }
}

impl<'a> Element<'a> for Content<'a> {
    fn of_text(text: Str<'a>) -> Option<Self> {
        Some(Self { parts: Some(Many(vec![Part::of_text(text)?])), ..Self::default() })
    }
}

macro_rules! objects_only {
    ($($name:ident),*) => {$(
        impl<'a> Element<'a> for $name<'a> {
            fn of_text(_text: Str<'a>) -> Option<Self> {
                None
            }
        }
    )*};
}
objects_only!(
    ToolObject,
    FunctionDeclaration,
    McpServer,
    PartialArg,
    FormatEntry,
    Candidate,
    ModalityCount,
    LogprobToken,
    TopTokens,
    GroundingChunk,
    GroundingSupport,
    RecitedSource
);
