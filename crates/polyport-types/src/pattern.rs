//! Model names with `*`.

use crate::Text;

/// A name in which each `*` stands for any run of characters, `/` included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Text,
    literal: usize,
}

impl Pattern {
    /// Takes a pattern; a text without `*` matches only itself.
    #[must_use]
    pub fn new(text: impl Into<Text>) -> Self {
        let text = text.into();
        let literal = text.chars().filter(|&c| c != '*').count();
        Self { text, literal }
    }

    /// Whether `text` holds a `*`.
    #[must_use]
    pub fn is_glob(text: &str) -> bool {
        text.contains('*')
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many characters are fixed: of two patterns that match, the one with more is the better.
    #[must_use]
    pub fn literal(&self) -> usize {
        self.literal
    }

    /// Whether `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.stars(name).is_some()
    }

    /// What each `*` stands for in `name`, or `None` if it does not match. Earlier stars take as little as possible;
    /// the work is bounded by pattern length times name length.
    #[must_use]
    pub fn stars<'n>(&self, name: &'n str) -> Option<Vec<&'n str>> {
        let mut pieces = self.text.split('*');
        let mut rest = name.strip_prefix(pieces.next()?)?;
        let pieces: Vec<&str> = pieces.collect();
        let Some((last, middle)) = pieces.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        let mut stars = Vec::with_capacity(pieces.len());
        for piece in middle {
            let (star, after) = rest.split_once(piece)?;
            stars.push(star);
            rest = after;
        }
        stars.push(rest.strip_suffix(last)?);
        Some(stars)
    }

    /// Writes `template` with its stars replaced by what this pattern's stars stand for in `name`, in order. A template that is
    /// nothing but `*` keeps the whole name; a star without a partner takes the last one's text.
    #[must_use]
    pub fn rewrite(&self, name: &str, template: &str) -> Option<String> {
        let stars = self.stars(name)?;
        if template == "*" {
            return Some(name.to_owned());
        }
        let mut pieces = template.split('*');
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for (at, piece) in pieces.enumerate() {
            out.push_str(stars.get(at).or(stars.last()).copied().unwrap_or_default());
            out.push_str(piece);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_literals_and_stars() {
        let cases = [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-55", false),
            ("gpt-*", "gpt-", true),
            ("gpt-*", "xgpt-5", false),
            ("*-mini", "gpt-5-mini", true),
            ("*-mini", "gpt-5-mini-2", false),
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("meta/*", "meta/llama/3", true),
            ("模*", "模型", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_lone_star_keeps_the_name_and_others_fill_in() {
        let pattern = Pattern::new("claude-*");
        assert_eq!(pattern.rewrite("claude-x", "*").as_deref(), Some("claude-x"));
        assert_eq!(pattern.rewrite("claude-x", "anthropic/claude-*").as_deref(), Some("anthropic/claude-x"));
        assert_eq!(pattern.rewrite("claude-x", "fixed").as_deref(), Some("fixed"));
        assert_eq!(pattern.rewrite("gpt", "*"), None);
        assert_eq!(Pattern::new("*:*").rewrite("a:b", "*-*-*").as_deref(), Some("a-b-b"));
    }
}
