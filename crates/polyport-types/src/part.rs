//! The pieces of a message.

use serde::{Deserialize, Serialize};

use crate::{Extras, Protocol, RawJson, Text};

/// One piece of a message or of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Ask the provider to cache the prompt up to here.
    pub cache: Option<CacheMark>,
    /// Opaque proof of reasoning that belongs to exactly this part (Gemini can attach one to any part).
    /// For [`PartKind::Reasoning`] it is the signature of the reasoning itself.
    pub signature: Option<Signature>,
    /// Id of the wire item this part came from (Responses `msg_…`, `fc_…`, `rs_…`); meaningless to other providers.
    pub item_id: Option<Text>,
    /// Members without a slot.
    pub ext: Extras,
}

impl Part {
    /// A part without markers.
    #[must_use]
    pub fn new(kind: PartKind) -> Self {
        Self { kind, cache: None, signature: None, item_id: None, ext: Extras::new() }
    }

    /// A plain text part.
    #[must_use]
    pub fn text(text: impl Into<Text>) -> Self {
        Self::new(PartKind::Text(TextPart::new(text)))
    }

    /// The text, if this is a text part.
    #[must_use]
    pub fn as_text(&self) -> Option<&Text> {
        match &self.kind {
            PartKind::Text(text) => Some(&text.text),
            _ => None,
        }
    }
}

impl From<PartKind> for Part {
    fn from(kind: PartKind) -> Self {
        Self::new(kind)
    }
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PartKind {
    /// Text, with citations in answers.
    Text(TextPart),
    /// The model's own words for not answering.
    Refusal(Text),
    /// An image.
    Image(Media),
    /// A document: PDF, plain text, blocks.
    Document(Box<Document>),
    /// Sound.
    Audio(Media),
    /// A video.
    Video(Media),
    /// A search hit handed to the model (Messages `search_result`).
    SearchResult(Box<SearchResult>),
    /// The model calls a tool that the client runs.
    ToolCall(Box<ToolCall>),
    /// The result of such a call.
    ToolResult(Box<ToolResult>),
    /// The model's reasoning.
    Reasoning(Box<Reasoning>),
    /// A call of a tool that the provider itself runs.
    ServerToolCall(Box<ServerToolCall>),
    /// The result of such a call.
    ServerToolResult(Box<ServerToolResult>),
    /// Code the provider ran (Gemini `executableCode`, Responses `code_interpreter_call`).
    ExecutableCode {
        /// Programming language as the provider names it.
        language: Text,
        /// The program text.
        code: Text,
        /// The provider's id, if any.
        id: Option<Text>,
    },
    /// What that code printed.
    CodeResult {
        /// How it ended.
        outcome: CodeOutcome,
        /// Standard output, or all output where the provider does not separate.
        output: Text,
        /// The provider's id, if any.
        id: Option<Text>,
    },
    /// A summary that stands for older history.
    Compaction {
        /// The readable summary, if there is one.
        content: Option<Text>,
        /// The whole wire item, verbatim.
        raw: RawJson,
    },
    /// A file put into the provider's container (Messages `container_upload`).
    ContainerUpload {
        /// The provider's file id.
        file_id: Text,
    },
    /// A reference to a stored item (Responses `item_reference`).
    ItemReference {
        /// The item's id.
        id: Text,
    },
    /// A tool named in a result of tool search (Messages `tool_reference`).
    ToolReference {
        /// The tool's name.
        name: Text,
    },
    /// Anything of one protocol that has no equal: kept verbatim, sent only to the same protocol.
    Opaque {
        /// Where it came from.
        protocol: Protocol,
        /// The wire `type` of the item, or an empty text.
        kind: Text,
        /// The wire object.
        raw: RawJson,
    },
}

/// Text of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextPart {
    /// The characters.
    pub text: Text,
    /// Where statements come from.
    pub citations: Vec<Citation>,
    /// Log probabilities, if they were asked for.
    pub logprobs: Vec<TokenLogprob>,
}

impl TextPart {
    /// Text without citations.
    #[must_use]
    pub fn new(text: impl Into<Text>) -> Self {
        Self { text: text.into(), citations: Vec::new(), logprobs: Vec::new() }
    }
}

/// Where media come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MediaSource {
    /// Inline content.
    Base64 {
        /// MIME type, e.g. `image/png`.
        mime: Text,
        /// Standard base64, as received: a slice of the request body.
        data: Text,
    },
    /// An address the provider shall fetch.
    Url {
        /// `https://…`, `gs://…` or a Files API address.
        url: Text,
        /// MIME type if the client named it.
        mime: Option<Text>,
    },
    /// A file the provider already holds.
    FileId {
        /// The protocol whose provider issued the id.
        owner: Protocol,
        /// The id.
        id: Text,
        /// MIME type if known.
        mime: Option<Text>,
    },
}

impl MediaSource {
    /// The MIME type, if known.
    #[must_use]
    pub fn mime(&self) -> Option<&str> {
        match self {
            Self::Base64 { mime, .. } => Some(mime),
            Self::Url { mime, .. } | Self::FileId { mime, .. } => mime.as_deref(),
        }
    }
}

/// An image, sound or video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// The content.
    pub source: MediaSource,
    /// Wanted resolution (images, Gemini also video).
    pub detail: Option<ImageDetail>,
    /// What is said in it (audio answers).
    pub transcript: Option<Text>,
    /// The provider's id of an audio answer (Chat `message.audio.id`).
    pub id: Option<Text>,
    /// When that id stops working, Unix seconds.
    pub expires_at: Option<i64>,
}

impl Media {
    /// Media with nothing but content.
    #[must_use]
    pub fn new(source: MediaSource) -> Self {
        Self { source, detail: None, transcript: None, id: None, expires_at: None }
    }
}

/// Resolution of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum ImageDetail {
    Auto,
    Low,
    Medium,
    High,
    UltraHigh,
    Original,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The content.
    pub source: DocumentSource,
    /// File name (Chat, Responses).
    pub filename: Option<Text>,
    /// Title (Messages).
    pub title: Option<Text>,
    /// Words about the document that are not part of it (Messages).
    pub context: Option<Text>,
    /// Whether the model shall cite it (Messages).
    pub citations: Option<bool>,
    /// Wanted resolution of its pages.
    pub detail: Option<ImageDetail>,
}

/// Content of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DocumentSource {
    /// A file by content, address or id.
    File(MediaSource),
    /// Plain text.
    PlainText(Text),
    /// Text and image parts (Messages `content` source).
    Blocks(Vec<Part>),
}

/// A search hit handed to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchResult {
    /// Where it is from.
    pub source: Text,
    /// Its title.
    pub title: Text,
    /// Its text parts.
    pub parts: Vec<Part>,
    /// Whether the model shall cite it.
    pub citations: Option<bool>,
}

/// A call of a tool that the client runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Links the result to the call (`tool_calls[].id`, `call_id`, `tool_use.id`). Never empty after decoding.
    pub id: Text,
    /// The tool's name.
    pub name: Text,
    /// Namespace of the tool (Responses).
    pub namespace: Option<Text>,
    /// Function, free-form or built-in.
    pub kind: ToolCallKind,
    /// Function: the arguments as received, normally the text of a JSON object. Custom: free text.
    /// Built-in: JSON of the action object.
    pub arguments: Text,
    /// Who made the call (Messages and Responses `caller`), verbatim.
    pub caller: Option<RawJson>,
    /// Whether the call is complete.
    pub status: PartStatus,
}

/// What sort of tool is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ToolCallKind {
    /// A function with JSON arguments.
    Function,
    /// A free-form tool with text input.
    Custom,
    /// A tool with an action schema fixed by a provider (shell, `apply_patch`, computer …); holds the Responses item type without
    /// `_call`, e.g. `local_shell`.
    Builtin(Text),
}

/// The result of a client tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// Id of the call it answers.
    pub call_id: Text,
    /// The tool's name, where the protocol gives it (Gemini) or history tells.
    pub name: Option<Text>,
    /// Sort of the call it answers.
    pub kind: ToolCallKind,
    /// Text, images, documents, search results.
    pub parts: Vec<Part>,
    /// A structured result (Gemini `response` object, built-in tool outputs), verbatim. When set, `parts` holds only media.
    pub structured: Option<RawJson>,
    /// The tool failed.
    pub is_error: bool,
}

/// The model's reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    /// Its visible text, if any.
    pub text: ReasoningText,
    /// The provider hid it (`redacted_thinking`): only the signature is there.
    pub redacted: bool,
}

/// Visible reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum ReasoningText {
    /// Nothing visible.
    #[default]
    None,
    /// The full text.
    Full(Text),
    /// Summary paragraphs (Responses `summary[]`).
    Summary(Vec<Text>),
}

impl ReasoningText {
    /// All visible text; summary paragraphs are joined by an empty line.
    #[must_use]
    pub fn joined(&self) -> Text {
        match self {
            Self::None => Text::new(),
            Self::Full(text) => text.clone(),
            Self::Summary(parts) => match parts.as_slice() {
                [one] => one.clone(),
                many => many.iter().map(|part| &**part).collect::<Vec<_>>().join("\n\n").into(),
            },
        }
    }
}

/// A call of a tool that the provider runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerToolCall {
    /// The provider's id.
    pub id: Text,
    /// Which tool.
    pub tool: crate::ServerToolKind,
    /// The tool's wire name (`web_search`, `bash_code_execution`, …).
    pub name: Text,
    /// The input as JSON.
    pub input: RawJson,
    /// The wire item, verbatim, for the same protocol.
    pub raw: Option<RawJson>,
    /// The protocol of `raw`.
    pub protocol: Protocol,
}

/// The result of a tool that the provider ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerToolResult {
    /// Id of the call.
    pub call_id: Text,
    /// Which tool.
    pub tool: crate::ServerToolKind,
    /// The result as JSON.
    pub payload: RawJson,
    /// The tool failed.
    pub is_error: bool,
    /// The wire item, verbatim, for the same protocol.
    pub raw: Option<RawJson>,
    /// The protocol of `raw`.
    pub protocol: Protocol,
}

/// How a program run by the provider ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum CodeOutcome {
    Ok,
    Failed,
    DeadlineExceeded,
    Other(Text),
}

/// Whether a part arrived whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartStatus {
    /// Whole.
    #[default]
    Complete,
    /// Cut, for instance by the token limit.
    Incomplete,
    /// Tool arguments that are not JSON.
    Invalid,
}

/// Ask the provider to cache the prompt up to here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheMark {
    /// How long; `None` is the provider's default.
    pub ttl: Option<CacheTtl>,
}

/// Lifetime of a prompt cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum CacheTtl {
    Minutes5,
    Minutes30,
    Hour1,
    Hours12,
    Hours24,
}

/// The family of models whose provider can read a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Family {
    Anthropic,
    OpenAi,
    Google,
    XAi,
    Moonshot,
    Unknown,
}

/// What a signature signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SignatureKind {
    /// A readable reasoning block (Messages `thinking.signature`).
    Thinking,
    /// A hidden reasoning block (Messages `redacted_thinking.data`).
    Redacted,
    /// A Responses reasoning item (`encrypted_content`).
    ReasoningItem,
    /// A Gemini part.
    Part,
    /// A Gemini function call.
    FunctionCall,
}

/// Opaque bytes of a provider that prove or continue reasoning. They are never changed, cut or merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose it is.
    pub family: Family,
    /// What it signs.
    pub kind: SignatureKind,
    /// The value exactly as on the wire (base64 text for Gemini and Messages). May be empty: known to be unsigned.
    pub value: Text,
    /// Responses: id of the reasoning item.
    pub item_id: Option<Text>,
    /// Hash of model and credential pool it was issued for; `None` when not known.
    pub scope: Option<u32>,
}

impl Signature {
    /// A signature as a provider sent it.
    #[must_use]
    pub fn new(family: Family, kind: SignatureKind, value: impl Into<Text>) -> Self {
        Self { family, kind, value: value.into(), item_id: None, scope: None }
    }
}

/// Where a statement of an answer comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// What sort of source.
    pub kind: CitationKind,
    /// Which stretch it covers; see [`Span`].
    pub span: Option<Span>,
    /// Address of the source.
    pub url: Option<Text>,
    /// Title of the source.
    pub title: Option<Text>,
    /// The words cited.
    pub cited_text: Option<Text>,
    /// File id.
    pub file_id: Option<Text>,
    /// File name.
    pub filename: Option<Text>,
    /// Position of the document in the request.
    pub document_index: Option<u32>,
    /// The wire object, verbatim, for the same protocol.
    pub raw: Option<RawJson>,
}

impl Citation {
    /// A citation of an address.
    #[must_use]
    pub fn url(url: impl Into<Text>, title: Option<Text>, span: Option<Span>) -> Self {
        Self {
            kind: CitationKind::Url,
            span,
            url: Some(url.into()),
            title,
            cited_text: None,
            file_id: None,
            filename: None,
            document_index: None,
            raw: None,
        }
    }
}

/// Sort of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum CitationKind {
    Url,
    File,
    DocumentChars,
    DocumentPages,
    DocumentBlocks,
    SearchResult,
    ContainerFile,
    FilePath,
    Grounding,
    Recitation,
    Other,
}

/// A stretch of the text of one answer. Positions count inside the text **part** that carries the citation, in `unit`s; the end is
/// exclusive. (Messages citations cover their whole text part and have no span.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First position.
    pub start: u32,
    /// Position after the last.
    pub end: u32,
    /// What is counted.
    pub unit: IndexUnit,
}

/// What positions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexUnit {
    /// UTF-16 code units (`OpenAI`).
    Utf16,
    /// Bytes of UTF-8 (Gemini).
    Byte,
}

/// Log probability of one token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The token's text.
    pub token: Text,
    /// Its natural logarithm of probability.
    pub logprob: f64,
    /// The token's bytes, if given.
    pub bytes: Option<Vec<u8>>,
    /// The provider's token id (Gemini).
    pub token_id: Option<i64>,
    /// Alternatives, likeliest first.
    pub top: Vec<Self>,
}
