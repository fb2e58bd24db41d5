//! Tools a client offers and which of them the model shall use.

use serde::{Deserialize, Serialize};

use crate::{CacheMark, Extras, RawJson, Text};

/// A tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tool {
    /// A function with a JSON Schema, run by the client.
    Function(Box<FunctionTool>),
    /// A tool with free text input, run by the client.
    Custom(Box<CustomTool>),
    /// A tool whose schema a provider fixes: run by the provider (web search) or by the client (shell).
    Server(Box<ServerTool>),
}

impl Tool {
    /// The name the model calls it by.
    #[must_use]
    pub fn name(&self) -> &Text {
        match self {
            Self::Function(tool) => &tool.name,
            Self::Custom(tool) => &tool.name,
            Self::Server(tool) => &tool.name,
        }
    }
}

/// A function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionTool {
    /// Its name.
    pub name: Text,
    /// Namespace (Responses); other targets see `namespace__name`.
    pub namespace: Option<Text>,
    /// What it does.
    pub description: Option<Text>,
    /// JSON Schema of the arguments, verbatim (decoders turn Gemini's OpenAPI form into JSON Schema).
    pub schema: Option<RawJson>,
    /// JSON Schema of the result.
    pub output_schema: Option<RawJson>,
    /// Arguments must fit the schema: unset is not the same as false.
    pub strict: Option<bool>,
    /// Cache the prompt up to here.
    pub cache: Option<CacheMark>,
    /// Load only after tool search.
    pub defer_loading: Option<bool>,
    /// Members without a slot.
    pub ext: Extras,
}

/// A free-form tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomTool {
    /// Its name.
    pub name: Text,
    /// Namespace (Responses).
    pub namespace: Option<Text>,
    /// What it does.
    pub description: Option<Text>,
    /// What the input looks like.
    pub format: CustomFormat,
    /// Members without a slot.
    pub ext: Extras,
}

/// Input of a free-form tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CustomFormat {
    /// Any text.
    Text,
    /// Text of a grammar.
    Grammar {
        /// How the grammar is written.
        syntax: GrammarSyntax,
        /// The grammar.
        definition: Text,
    },
}

/// How a grammar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum GrammarSyntax {
    Lark,
    Regex,
}

/// A tool whose schema a provider fixes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerTool {
    /// Which one.
    pub kind: ServerToolKind,
    /// The name the model calls it by, e.g. `web_search`.
    pub name: Text,
    /// The wire `type`, e.g. `web_search_20260318`.
    pub wire_type: Text,
    /// Domains to search, if limited.
    pub allowed_domains: Vec<Text>,
    /// Domains not to search.
    pub blocked_domains: Vec<Text>,
    /// How often it may be used.
    pub max_uses: Option<u32>,
    /// Approximate place of the user.
    pub user_location: Option<UserLocation>,
    /// How much search context: `low`, `medium`, `high`.
    pub context_size: Option<Text>,
    /// Remote MCP server, for [`ServerToolKind::Mcp`].
    pub mcp: Option<Box<McpServer>>,
    /// Cache the prompt up to here.
    pub cache: Option<CacheMark>,
    /// The wire object, verbatim, for the same protocol.
    pub raw: RawJson,
}

/// Approximate place of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct UserLocation {
    pub city: Option<Text>,
    pub country: Option<Text>,
    pub region: Option<Text>,
    pub timezone: Option<Text>,
}

/// A remote MCP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct McpServer {
    /// Label the model sees.
    pub label: Text,
    /// Address.
    pub url: Option<Text>,
    /// Authorisation for it.
    pub authorization: Option<Text>,
    /// Names of its tools, if limited.
    pub allowed_tools: Vec<Text>,
    /// Whether a person must approve calls (`always`, `never`, or an object), verbatim.
    pub require_approval: Option<RawJson>,
}

/// Tools with a schema fixed by a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ServerToolKind {
    WebSearch,
    WebFetch,
    CodeExecution,
    FileSearch,
    ImageGeneration,
    Computer,
    Browser,
    Shell,
    LocalShell,
    ApplyPatch,
    Bash,
    TextEditor,
    Memory,
    ToolSearch,
    Mcp,
    Maps,
    UrlContext,
    Retrieval,
    Other(Text),
}

impl ServerToolKind {
    /// Whether the client, not the provider, runs the tool: such a tool can be offered anywhere as an ordinary function.
    #[must_use]
    pub fn runs_at_client(&self) -> bool {
        matches!(
            self,
            Self::Computer
                | Self::Browser
                | Self::Shell
                | Self::LocalShell
                | Self::ApplyPatch
                | Self::Bash
                | Self::TextEditor
                | Self::Memory
        )
    }
}

/// Which tool the model shall use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToolChoice {
    /// No tool.
    None,
    /// The model decides.
    Auto,
    /// Some tool.
    Required,
    /// This tool.
    Tool(ToolRef),
    /// One of these tools.
    Allowed {
        /// Whether one must be used.
        required: bool,
        /// The tools.
        tools: Vec<ToolRef>,
    },
    /// Gemini `VALIDATED`: the model decides, calls fit their schema.
    Validated {
        /// The tools, if limited.
        names: Vec<Text>,
    },
    /// A tool with a schema fixed by a provider.
    Server {
        /// Which one.
        kind: ServerToolKind,
        /// Its name, where several of a kind exist (MCP label).
        name: Option<Text>,
    },
}

/// Names a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRef {
    /// The tool's name.
    pub name: Text,
    /// Whether it is a free-form tool.
    pub custom: bool,
}
