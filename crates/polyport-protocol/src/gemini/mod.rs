//! The Gemini wire format.
//!
//! | module | what |
//! |---|---|
//! | `types` | wire objects, in the words of the reference |
//! | `names` | spellings of members and words |
//! | `decode` | requests of clients; `tools`, `config` and `parts` read their sections |
//! | `encode` | requests for providers; `turns` orders the history, `pieces` writes its parts |
//! | `response` | whole answers; `answer` writes their parts, `grounding`, `usage` and `finish` their other sections |
//! | `stream` | chunks to events; `partial` joins arguments that arrive in pieces |
//! | `stream_encoder` | events to chunks |
//! | `fault` | error bodies |
//! | `code_assist` | the envelope of Google Code Assist |
//! | [`onboarding`] | what Code Assist tells about an account: its project and its quota |

mod answer;
mod code_assist;
mod config;
mod decode;
mod encode;
mod fault;
mod finish;
mod grounding;
mod names;
pub mod onboarding;
mod partial;
mod parts;
mod pieces;
mod response;
mod stream;
mod stream_encoder;
mod tools;
mod turns;
mod types;
mod usage;

pub use code_assist::{CodeAssist, CodeAssistClient, encode_enveloped, encode_enveloped_count};
pub use decode::{decode_count, decode_count_request, decode_request};
pub use encode::{encode_count, encode_count_request, encode_request};
pub use fault::encode_fault;
pub use response::{decode_response, encode_response};
pub use stream::Decoder;
pub use stream_encoder::Encoder;
pub(crate) use usage::read as read_usage;
