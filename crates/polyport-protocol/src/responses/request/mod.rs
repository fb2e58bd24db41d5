//! Requests of the Responses protocol.

mod decode;
mod encode;

pub use decode::decode_request;
pub use encode::encode_request;

/// Member of [`Instruction::ext`]: the wire role of an instruction that was an item of `input`. The `instructions` field has none.
pub(super) const ROLE: &str = "role";
/// The value of `include` that asks for log probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";
/// The value of `include` that asks for encrypted reasoning.
const ENCRYPTED: &str = "reasoning.encrypted_content";
