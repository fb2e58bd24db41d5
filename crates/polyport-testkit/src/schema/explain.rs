//! Turns schema errors into messages that name the member at fault.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// All violations as `path: message`; of alternatives only those of the one that fits best.
pub(super) fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    // Most values are right, and that is found out much faster.
    if validator.is_valid(value) {
        return found;
    }
    for error in validator.iter_errors(value) {
        explain(&error, &mut found);
    }
    found
}

fn explain(error: &ValidationError<'_>, found: &mut Vec<String>) {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            match context.iter().max_by_key(|branch| fit(branch)) {
                Some(best) if !best.is_empty() => best.iter().for_each(|inner| explain(inner, found)),
                _ => found.push(one(error)),
            }
        }
        _ => found.push(one(error)),
    }
}

/// How well a rejected alternative matches what the value seems to be: one that fails on its discriminating member or
/// on the JSON type is another kind of thing; one that fails deep inside was meant.
fn fit(branch: &[ValidationError<'_>]) -> (bool, usize, isize) {
    let other_kind = branch.iter().any(|error| {
        let path = error.instance_path().to_string();
        let discriminator = ["/type", "/role", "/object", "/mode"].iter().any(|end| path.ends_with(end));
        match error.kind() {
            ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. } => discriminator,
            ValidationErrorKind::Type { .. } => true,
            _ => false,
        }
    });
    let depth = branch.iter().map(|error| error.instance_path().to_string().matches('/').count()).max().unwrap_or(0);
    (!other_kind, depth, -isize::try_from(branch.len()).unwrap_or(isize::MAX))
}

fn one(error: &ValidationError<'_>) -> String {
    let mut message = error.masked().to_string();
    if let Some((end, _)) = message.char_indices().nth(300) {
        message.truncate(end);
    }
    format!("{}: {message} [{}]", error.instance_path(), error.kind().keyword())
}
