//! AWS Bedrock: what can be said to it is what can be said to a Messages server, in two ways of writing it.
//!
//! | module | what |
//! |---|---|
//! | `invoke` | Anthropic's models in their own words: bodies without model and headers, binary streams of their events |
//! | `request`, `content`, `config` | Converse, which all models have: a request, its blocks, everything else |
//! | `types`, `response`, `stream` | Converse: answers, whole and streamed |
//! | `count` | the operation that counts tokens |
//!
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html> and its neighbours, read 2026-11-29.

mod config;
mod content;
mod count;
mod invoke;
mod request;
mod response;
mod stream;
mod types;

pub use count::encode_count_request;
pub use invoke::InvokeDecoder;
pub use request::encode_request;
pub use response::decode_response;
pub use stream::ConverseDecoder;
