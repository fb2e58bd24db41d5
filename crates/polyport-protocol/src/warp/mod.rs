//! Warp's multi-agent interface: protobuf requests, answers as an event stream of base64 protobuf.
//!
//! It is reached as a Chat provider in what can be said to it ([`Wire::Warp`](crate::Wire::Warp)); this module is how that is written.
//!
//! | module | what |
//! |---|---|
//! | `proto` | its messages, made from `warp.proto`, which is our own text |
//! | `value` | JSON as protobuf values |
//! | `request` | requests, written |
//! | `stream` | answers, read |
//! | [`graphql`] | what is asked about an account: its quota and its models |

pub mod graphql;
#[rustfmt::skip]
mod proto;
mod request;
mod stream;
mod value;

pub use request::encode_request;
pub use stream::Decoder;

/// Name and id of the one server whose tools are the client's.
const SERVER: &str = "polyport";

/// The name under which instructions are attached to a query.
const SYSTEM_PROMPT: &str = "SYSTEM_PROMPT";

#[cfg(test)]
mod tests;
