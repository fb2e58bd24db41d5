//! Tool call ids: this API takes letters, digits, `_` and `-`.

use std::borrow::Cow;

/// The id itself if it is allowed, otherwise with `_` for every other character. The same id always gives the same result, so
/// that calls and results still meet.
pub(super) fn safe_id(id: &str) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() {
        Cow::Borrowed("toolu_0")
    } else if id.chars().all(allowed) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(id.chars().map(|c| if allowed(c) { c } else { '_' }).collect())
    }
}
