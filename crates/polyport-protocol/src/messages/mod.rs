//! The Messages wire format: types, request, response, stream, fault.

mod block;
mod fault;
mod request;
mod response;
mod stream;
mod types;

pub use fault::encode_fault;
pub use request::{decode_request, encode_request};
pub use response::{decode_response, encode_response};
pub use stream::{Decoder, Encoder};
