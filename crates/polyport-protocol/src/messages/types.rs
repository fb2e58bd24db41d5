//! Wire objects of the Messages protocol.
