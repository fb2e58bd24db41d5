//! The Messages wire format: types, request, response, stream, fault.
//!
//! | module | what |
//! |---|---|
//! | `types` | wire objects in the words of the specification |
//! | `block` | content blocks of either direction as parts |
//! | `request` | a client's request as a neutral one |
//! | `turns`, `marks`, `tools`, `encode`, `write` | a neutral request as a provider's: history, cache markers, tools, everything else, the blocks themselves |
//! | `words` | what becomes text |
//! | `response`, `stream` | whole and streamed answers, both ways |
//! | `client` | what a client sees of an answer, whole or streamed |
//! | `usage`, `finish`, `ids` | token counts, reasons to stop, call ids |
//! | [`bedrock`] | the ways in which AWS Bedrock writes it |
//! | `fault`, `count` | errors for clients, answers of `count_tokens` |

pub mod bedrock;
mod block;
mod client;
mod count;
mod encode;
mod fault;
mod finish;
mod ids;
mod marks;
mod request;
mod response;
mod stream;
mod tools;
mod turns;
mod types;
mod usage;
mod words;
mod write;

pub use count::{decode_count, encode_count};
pub use encode::{encode_count_request, encode_request};
pub use fault::encode_fault;
pub use request::{decode_count_request, decode_request};
pub use response::{decode_response, encode_response, uncarried_signatures};
pub use stream::{Decoder, Encoder};
pub(crate) use usage::read as read_usage;
