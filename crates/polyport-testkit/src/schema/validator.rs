//! The compiler of schemas, where it is built in.

use serde_json::Value;

#[cfg(feature = "schemas")]
pub(super) use jsonschema::Validator;

/// There is none without the compiler.
#[cfg(not(feature = "schemas"))]
pub(super) enum Validator {}

/// Compiles a schema; `None` without the compiler.
#[cfg(feature = "schemas")]
pub(super) fn compiled(schema: &Value) -> Option<Validator> {
    Some(jsonschema::validator_for(schema).expect("a valid schema"))
}

/// Compiles a schema; `None` without the compiler.
#[cfg(not(feature = "schemas"))]
pub(super) fn compiled(_: &Value) -> Option<Validator> {
    None
}

/// All violations.
#[cfg(feature = "schemas")]
pub(super) fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    super::explain::errors(validator, value)
}

/// All violations.
#[cfg(not(feature = "schemas"))]
pub(super) fn errors(validator: &Validator, _: &Value) -> Vec<String> {
    match *validator {}
}
