//! Events to a whole answer and back.
