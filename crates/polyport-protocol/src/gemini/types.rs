//! Wire objects of the Gemini protocol.
