//! What names of models have in common.

/// The name without a date at its end (`-20250929`, `-2025-04-14`); `None` if there is no date.
#[must_use]
pub fn undated(name: &str) -> Option<&str> {
    let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let (head, last) = name.rsplit_once('-')?;
    if digits(last, 8) {
        return Some(head);
    }
    let (head, month) = head.rsplit_once('-')?;
    let (head, year) = head.rsplit_once('-')?;
    (digits(last, 2) && digits(month, 2) && digits(year, 4)).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_found() {
        assert_eq!(undated("claude-opus-4-5-20251101"), Some("claude-opus-4-5"));
        assert_eq!(undated("gpt-4.1-2025-04-14"), Some("gpt-4.1"));
        for name in ["gpt-4-0613", "o3", "", "-", "m-2025-4-14", "m-202509291"] {
            assert_eq!(undated(name), None, "{name}");
        }
    }
}
