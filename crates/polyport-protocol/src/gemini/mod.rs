//! The Gemini wire format.
//!
//! | module | what |
//! |---|---|
//! | `types` | wire objects, in the words of the reference |
//! | `names` | spellings of members and words |
//! | `decode` | requests of clients; `tools`, `config` and `parts` read their sections |
//! | `encode` | requests for providers; `turns` orders the history, `pieces` writes its parts |
//! | `response` | whole answers |
//! | `stream` | chunks to events, events to chunks |
//! | `fault` | error bodies |

mod config;
mod decode;
mod encode;
mod fault;
mod names;
mod parts;
mod pieces;
mod response;
mod stream;
mod tools;
mod turns;
mod types;

pub use decode::{decode_count, decode_count_request, decode_request};
pub use encode::{encode_count, encode_count_request, encode_request};
pub use fault::encode_fault;
pub use response::{decode_response, encode_response};
pub use stream::{Decoder, Encoder};
