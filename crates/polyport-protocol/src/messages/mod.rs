//! The Messages wire format: types, request, response, stream, fault.
//!
//! | module | what |
//! |---|---|
//! | `types` | wire objects in the words of the specification |
//! | `block` | content blocks of either direction as parts |
//! | `request` | a client's request as a neutral one |
//! | `turns`, `marks`, `tools`, `encode` | a neutral request as a provider's: history, cache markers, tools, everything else |
//! | `response`, `stream` | whole and streamed answers, both ways |
//! | `fault` | errors for clients |

mod block;
mod encode;
mod fault;
mod ids;
mod marks;
mod request;
mod response;
mod stream;
mod tools;
mod turns;
mod types;

pub use encode::{encode_count_request, encode_request};
pub use fault::encode_fault;
pub use request::{decode_count_request, decode_request};
pub use response::{decode_response, encode_response};
pub use stream::{Decoder, Encoder};
