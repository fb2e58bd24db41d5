//! Recorded exchanges: what a gateway and its providers and clients said to each other, kept in a file.
//!
//! | module | what |
//! |---|---|
//! | [`mod@format`] | the lines of a recording |
//! | [`read`] | reading them, with errors that say what is wrong |
//! | [`redact`] | what is taken out before anything is written |
//! | [`matching`] | which recorded answer belongs to a request |
//! | [`play`] | a provider that answers from a recording |
//! | [`compare`] | what differs between two bodies, streams and heads |

pub mod compare;
pub mod format;
pub mod matching;
mod names;
pub mod play;
pub mod read;
pub mod redact;

pub use format::{Answer, Body, Chunk, End, Exchange, Head, Line, Side, VERSION};
pub use play::{Pace, Player, Replay};
pub use read::{ReadError, Recording};
pub use redact::Redactor;
