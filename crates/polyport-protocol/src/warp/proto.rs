// Made by `cargo xtask proto` from warp.proto.
#![allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, dead_code, reason = "generated")]

#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Request {
    #[prost(message, optional, tag = "1")]
    pub task_context: ::core::option::Option<request::TaskContext>,
    #[prost(message, optional, tag = "2")]
    pub input: ::core::option::Option<request::Input>,
    #[prost(message, optional, tag = "3")]
    pub settings: ::core::option::Option<request::Settings>,
    #[prost(message, optional, tag = "4")]
    pub metadata: ::core::option::Option<request::Metadata>,
    #[prost(message, optional, tag = "6")]
    pub mcp_context: ::core::option::Option<request::McpContext>,
}
/// Nested message and enum types in `Request`.
pub mod request {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct TaskContext {
        #[prost(message, repeated, tag = "1")]
        pub tasks: ::prost::alloc::vec::Vec<super::Task>,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Metadata {
        #[prost(string, tag = "1")]
        pub conversation_id: ::prost::alloc::string::String,
        #[prost(message, repeated, tag = "2")]
        pub logging: ::prost::alloc::vec::Vec<super::ValueEntry>,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Input {
        #[prost(message, optional, tag = "1")]
        pub context: ::core::option::Option<super::InputContext>,
        #[prost(message, optional, tag = "6")]
        pub user_inputs: ::core::option::Option<input::UserInputs>,
    }
    /// Nested message and enum types in `Input`.
    pub mod input {
        #[derive(Clone, PartialEq, ::prost::Message)]
        pub struct UserInputs {
            #[prost(message, repeated, tag = "1")]
            pub inputs: ::prost::alloc::vec::Vec<UserInput>,
        }
        #[derive(Clone, PartialEq, ::prost::Message)]
        pub struct UserInput {
            #[prost(oneof = "user_input::Input", tags = "1, 2")]
            pub input: ::core::option::Option<user_input::Input>,
        }
        /// Nested message and enum types in `UserInput`.
        pub mod user_input {
            #[derive(Clone, PartialEq, ::prost::Oneof)]
            pub enum Input {
                #[prost(message, tag = "1")]
                UserQuery(super::super::super::UserQuery),
                #[prost(message, tag = "2")]
                ToolCallResult(super::ToolCallResult),
            }
        }
        #[derive(Clone, PartialEq, ::prost::Message)]
        pub struct ToolCallResult {
            #[prost(string, tag = "1")]
            pub tool_call_id: ::prost::alloc::string::String,
            #[prost(message, optional, tag = "12")]
            pub call_mcp_tool: ::core::option::Option<super::super::CallMcpToolResult>,
        }
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Settings {
        #[prost(message, optional, tag = "1")]
        pub model_config: ::core::option::Option<ModelConfig>,
        #[prost(bool, tag = "3")]
        pub web_context_retrieval_enabled: bool,
        #[prost(bool, tag = "4")]
        pub supports_parallel_tool_calls: bool,
        #[prost(int32, repeated, tag = "9")]
        pub supported_tools: ::prost::alloc::vec::Vec<i32>,
        #[prost(bool, tag = "17")]
        pub supports_reasoning_message: bool,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct ModelConfig {
        #[prost(string, tag = "1")]
        pub base: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct McpContext {
        #[prost(message, repeated, tag = "2")]
        pub tools: ::prost::alloc::vec::Vec<super::McpTool>,
        #[prost(message, repeated, tag = "3")]
        pub servers: ::prost::alloc::vec::Vec<super::McpServer>,
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct McpTool {
    #[prost(string, tag = "1")]
    pub name: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub description: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub input_schema: ::core::option::Option<Struct>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct McpServer {
    #[prost(string, tag = "1")]
    pub name: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub description: ::prost::alloc::string::String,
    #[prost(message, repeated, tag = "4")]
    pub tools: ::prost::alloc::vec::Vec<McpTool>,
    #[prost(string, tag = "5")]
    pub id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct UserQuery {
    #[prost(string, tag = "1")]
    pub query: ::prost::alloc::string::String,
    #[prost(message, repeated, tag = "2")]
    pub referenced_attachments: ::prost::alloc::vec::Vec<AttachmentEntry>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AttachmentEntry {
    #[prost(string, tag = "1")]
    pub key: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub value: ::core::option::Option<Attachment>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Attachment {
    #[prost(oneof = "attachment::Value", tags = "1")]
    pub value: ::core::option::Option<attachment::Value>,
}
/// Nested message and enum types in `Attachment`.
pub mod attachment {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Value {
        #[prost(string, tag = "1")]
        PlainText(::prost::alloc::string::String),
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct InputContext {
    #[prost(message, repeated, tag = "7")]
    pub images: ::prost::alloc::vec::Vec<Image>,
}
/// `data` holds the base64 text of the picture.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Image {
    #[prost(bytes = "bytes", tag = "1")]
    pub data: ::prost::bytes::Bytes,
    #[prost(string, tag = "2")]
    pub mime_type: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Task {
    #[prost(string, tag = "1")]
    pub id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub description: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub dependencies: ::core::option::Option<task::Dependencies>,
    #[prost(message, repeated, tag = "5")]
    pub messages: ::prost::alloc::vec::Vec<Message>,
}
/// Nested message and enum types in `Task`.
pub mod task {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Dependencies {
        #[prost(string, tag = "1")]
        pub parent_task_id: ::prost::alloc::string::String,
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Message {
    #[prost(string, tag = "1")]
    pub id: ::prost::alloc::string::String,
    #[prost(string, tag = "11")]
    pub task_id: ::prost::alloc::string::String,
    #[prost(oneof = "message::Message", tags = "2, 3, 4, 5, 15, 25")]
    pub message: ::core::option::Option<message::Message>,
}
/// Nested message and enum types in `Message`.
pub mod message {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct HistoryQuery {
        #[prost(string, tag = "1")]
        pub query: ::prost::alloc::string::String,
        #[prost(message, optional, tag = "2")]
        pub context: ::core::option::Option<super::InputContext>,
        #[prost(message, repeated, tag = "3")]
        pub referenced_attachments: ::prost::alloc::vec::Vec<super::AttachmentEntry>,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct AgentOutput {
        #[prost(string, tag = "1")]
        pub text: ::prost::alloc::string::String,
        /// Older servers put reasoning here.
        #[prost(string, tag = "2")]
        pub reasoning: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct ToolCall {
        #[prost(string, tag = "1")]
        pub tool_call_id: ::prost::alloc::string::String,
        #[prost(message, optional, tag = "12")]
        pub call_mcp_tool: ::core::option::Option<super::CallMcpTool>,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct ToolCallResult {
        #[prost(string, tag = "1")]
        pub tool_call_id: ::prost::alloc::string::String,
        #[prost(message, optional, tag = "16")]
        pub call_mcp_tool: ::core::option::Option<super::CallMcpToolResult>,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct AgentReasoning {
        #[prost(string, tag = "1")]
        pub reasoning: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct ModelUsed {
        #[prost(string, tag = "1")]
        pub model_id: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Message {
        #[prost(message, tag = "2")]
        UserQuery(HistoryQuery),
        #[prost(message, tag = "3")]
        AgentOutput(AgentOutput),
        #[prost(message, tag = "4")]
        ToolCall(ToolCall),
        #[prost(message, tag = "5")]
        ToolCallResult(ToolCallResult),
        #[prost(message, tag = "15")]
        AgentReasoning(AgentReasoning),
        #[prost(message, tag = "25")]
        ModelUsed(ModelUsed),
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CallMcpTool {
    #[prost(string, tag = "1")]
    pub name: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub args: ::core::option::Option<Struct>,
    #[prost(string, tag = "3")]
    pub server_id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CallMcpToolResult {
    #[prost(oneof = "call_mcp_tool_result::Result", tags = "1, 2")]
    pub result: ::core::option::Option<call_mcp_tool_result::Result>,
}
/// Nested message and enum types in `CallMcpToolResult`.
pub mod call_mcp_tool_result {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct Success {
        #[prost(message, repeated, tag = "1")]
        pub results: ::prost::alloc::vec::Vec<Outcome>,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Error {
        #[prost(string, tag = "1")]
        pub message: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Outcome {
        #[prost(oneof = "outcome::Result", tags = "1, 2")]
        pub result: ::core::option::Option<outcome::Result>,
    }
    /// Nested message and enum types in `Outcome`.
    pub mod outcome {
        #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
        pub enum Result {
            #[prost(message, tag = "1")]
            Text(super::Text),
            #[prost(message, tag = "2")]
            Image(super::super::Image),
        }
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Text {
        #[prost(string, tag = "1")]
        pub text: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Result {
        #[prost(message, tag = "1")]
        Success(Success),
        #[prost(message, tag = "2")]
        Error(Error),
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Struct {
    #[prost(message, repeated, tag = "1")]
    pub fields: ::prost::alloc::vec::Vec<ValueEntry>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ValueEntry {
    #[prost(string, tag = "1")]
    pub key: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub value: ::core::option::Option<Value>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Value {
    #[prost(oneof = "value::Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: ::core::option::Option<value::Kind>,
}
/// Nested message and enum types in `Value`.
pub mod value {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Kind {
        #[prost(int32, tag = "1")]
        NullValue(i32),
        #[prost(double, tag = "2")]
        NumberValue(f64),
        #[prost(string, tag = "3")]
        StringValue(::prost::alloc::string::String),
        #[prost(bool, tag = "4")]
        BoolValue(bool),
        #[prost(message, tag = "5")]
        StructValue(super::Struct),
        #[prost(message, tag = "6")]
        ListValue(super::ListValue),
    }
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ListValue {
    #[prost(message, repeated, tag = "1")]
    pub values: ::prost::alloc::vec::Vec<Value>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ResponseEvent {
    #[prost(oneof = "response_event::Type", tags = "1, 2, 3")]
    pub r#type: ::core::option::Option<response_event::Type>,
}
/// Nested message and enum types in `ResponseEvent`.
pub mod response_event {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Type {
        #[prost(message, tag = "1")]
        Init(super::StreamInit),
        #[prost(message, tag = "2")]
        ClientActions(super::ClientActions),
        #[prost(message, tag = "3")]
        Finished(super::StreamFinished),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct StreamInit {
    #[prost(string, tag = "1")]
    pub conversation_id: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub request_id: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ClientActions {
    #[prost(message, repeated, tag = "1")]
    pub actions: ::prost::alloc::vec::Vec<ClientAction>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ClientAction {
    #[prost(oneof = "client_action::Action", tags = "1, 3, 4, 5, 11")]
    pub action: ::core::option::Option<client_action::Action>,
}
/// Nested message and enum types in `ClientAction`.
pub mod client_action {
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct CreateTask {
        #[prost(message, optional, tag = "1")]
        pub task: ::core::option::Option<super::Task>,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct AddMessages {
        #[prost(string, tag = "1")]
        pub task_id: ::prost::alloc::string::String,
        #[prost(message, repeated, tag = "2")]
        pub messages: ::prost::alloc::vec::Vec<super::Message>,
    }
    #[derive(Clone, PartialEq, ::prost::Message)]
    pub struct ChangeMessage {
        #[prost(message, optional, tag = "1")]
        pub message: ::core::option::Option<super::Message>,
        #[prost(message, optional, tag = "2")]
        pub mask: ::core::option::Option<super::FieldMask>,
        #[prost(string, tag = "3")]
        pub task_id: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Action {
        #[prost(message, tag = "1")]
        CreateTask(CreateTask),
        #[prost(message, tag = "3")]
        AddMessagesToTask(AddMessages),
        #[prost(message, tag = "4")]
        UpdateTaskMessage(ChangeMessage),
        #[prost(message, tag = "5")]
        AppendToMessageContent(ChangeMessage),
        #[prost(message, tag = "11")]
        RollbackTransaction(super::Nothing),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FieldMask {
    #[prost(string, repeated, tag = "1")]
    pub paths: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Nothing {}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct StreamFinished {
    #[prost(message, repeated, tag = "8")]
    pub token_usage: ::prost::alloc::vec::Vec<TokenUsage>,
    #[prost(message, optional, tag = "11")]
    pub conversation_usage_metadata: ::core::option::Option<ConversationUsage>,
    #[prost(oneof = "stream_finished::Reason", tags = "1, 2, 3, 4, 5, 6, 7, 12")]
    pub reason: ::core::option::Option<stream_finished::Reason>,
}
/// Nested message and enum types in `StreamFinished`.
pub mod stream_finished {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct InternalError {
        #[prost(string, tag = "1")]
        pub message: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct InvalidApiKey {
        #[prost(int32, tag = "1")]
        pub provider: i32,
        #[prost(string, tag = "2")]
        pub model_name: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Reason {
        #[prost(message, tag = "1")]
        Other(super::Nothing),
        #[prost(message, tag = "2")]
        Done(super::Nothing),
        #[prost(message, tag = "3")]
        MaxTokenLimit(super::Nothing),
        #[prost(message, tag = "4")]
        QuotaLimit(super::Nothing),
        #[prost(message, tag = "5")]
        ContextWindowExceeded(super::Nothing),
        #[prost(message, tag = "6")]
        LlmUnavailable(super::Nothing),
        #[prost(message, tag = "7")]
        InternalError(InternalError),
        #[prost(message, tag = "12")]
        InvalidApiKey(InvalidApiKey),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TokenUsage {
    #[prost(string, tag = "1")]
    pub model_id: ::prost::alloc::string::String,
    #[prost(uint32, tag = "2")]
    pub total_input: u32,
    #[prost(uint32, tag = "3")]
    pub output: u32,
    #[prost(uint32, tag = "4")]
    pub input_cache_read: u32,
    #[prost(uint32, tag = "5")]
    pub input_cache_write: u32,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ConversationUsage {
    #[prost(message, repeated, tag = "6")]
    pub warp_token_usage: ::prost::alloc::vec::Vec<ModelUsageEntry>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ModelUsageEntry {
    #[prost(string, tag = "1")]
    pub key: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "2")]
    pub value: ::core::option::Option<ModelUsage>,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ModelUsage {
    #[prost(uint32, tag = "2")]
    pub total_tokens: u32,
}
