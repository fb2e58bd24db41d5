//! The Gemini codec.

mod request;
