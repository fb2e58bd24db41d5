//! The codecs against recorded traffic and the documents.

mod gemini;
