//! Streams of the Chat protocol. A whole answer is read as a stream of one chunk, so both ways agree.
//!
//! | module | what |
//! |---|---|
//! | `decode` | frames and chunks of any dialect to events |
//! | `choice` | one answer of a stream |
//! | `slots` | its tool calls |
//! | `think` | reasoning between tags in its text |
//! | `text_calls` | tool calls left in its text |
//! | `encode` | events to chunks for a client |

mod choice;
mod decode;
mod encode;
mod slots;
mod text_calls;
mod think;

pub use decode::Decoder;
pub use encode::Encoder;
