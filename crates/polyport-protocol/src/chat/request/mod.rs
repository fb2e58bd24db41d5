//! Requests of the Chat protocol.
//!
//! | module | what |
//! |---|---|
//! | `decode` | the members of a client's body |
//! | `decode_tools` | tools, tool choice and structured output of a client |
//! | `decode_history` | a client's `messages` |
//! | `encode` | the members of a provider's body |
//! | `encode_tools` | tools, tool choice and structured output for a provider |
//! | `encode_history` | `messages` for a provider: which message stands where |
//! | `encode_parts` | `messages` for a provider: what stands in one message |

mod decode;
mod decode_history;
mod decode_tools;
mod encode;
mod encode_history;
mod encode_parts;
mod encode_tools;

pub use decode::decode_request;
pub(super) use decode_history::{call_signature, message_signature, thinking_text};
pub use encode::{encode_request, report_clamped, report_dropped};
pub(super) use encode_parts::{fenced, write_url};
