//! The codecs against recorded traffic and the documents.

mod chat;
mod gemini;
mod known_bugs;
mod matrix;
