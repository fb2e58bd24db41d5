//! The Chat wire format: types, request, response, stream, fault.
//!
//! | module | what |
//! |---|---|
//! | `types` | wire objects |
//! | `request` | a client's request, a provider's request |
//! | `response` | whole answers |
//! | `stream` | chunks of answers |
//! | `answer` | what whole and streamed answers to a client share |
//! | `annotations`, `finish`, `media`, `members`, `reasoning`, `usage` | what these three share |
//! | `fault` | error bodies |

mod annotations;
mod answer;
mod fault;
mod finish;
mod media;
mod members;
mod reasoning;
mod request;
mod response;
mod stream;
mod types;
mod usage;

pub use fault::encode_fault;
pub(crate) use finish::is_cut_short;
pub use request::{decode_request, encode_request, report_clamped, report_dropped};
pub use response::{decode_response, encode_response};
pub use stream::{Decoder, Encoder};
pub(crate) use usage::{read as read_usage, read_modalities};
