//! The Responses wire format: types, request, response, stream, fault.
//!
//! | module | what |
//! |---|---|
//! | `types` | wire structs in the specification's words |
//! | `request` | a client's request in, a provider's request out |
//! | `item` | items of a conversation, wire to neutral form |
//! | `input` | the history as items, neutral form to wire |
//! | `history` | what of a conversation goes on when it is continued |
//! | `tools` | tools, the choice among them, the shape of the answer |
//! | `write` | pieces of items that requests and answers share |
//! | `response` | whole answers |
//! | `stream`, `lanes` | provider stream to events; parts in order |
//! | `encoder`, `hosted` | events to a client's stream; items of tools that the provider runs |
//! | `fault` | error bodies |

mod encoder;
mod fault;
mod history;
mod hosted;
mod input;
mod item;
mod lanes;
mod request;
mod response;
mod stream;
mod tools;
mod types;
mod write;

pub use encoder::Encoder;
pub use fault::encode_fault;
pub use history::{continue_after, input_messages};
pub use input::{InputPage, encode_input_items, encode_input_page};
pub use request::{decode_request, encode_request};
pub use response::{decode_response, encode_response};
pub(crate) use response::{is_setting, read_usage};
pub use stream::Decoder;
