//! Wire objects of the Chat protocol.
