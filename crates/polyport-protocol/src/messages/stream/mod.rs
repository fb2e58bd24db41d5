//! Streams of the Messages protocol.

mod decode;
mod encode;

pub use decode::Decoder;
pub use encode::Encoder;
