//! JSON Schema dialects of the providers.
