//! Wire objects of the Responses protocol.
