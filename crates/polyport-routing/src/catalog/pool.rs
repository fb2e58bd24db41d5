//! Pools: the targets behind a virtual model.

use polyport_types::Text;

use super::target::TargetSpec;
use crate::roster::Strategy;

/// What kind of model a pool offers. Names that hold a word of a tier reach its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Small and quick; its pool is usually called `haiku`.
    Tool,
    /// For everyday work; `sonnet`.
    Normal,
    /// The most able; `opus`.
    Advanced,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Self; 3] = [Self::Tool, Self::Normal, Self::Advanced];

    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Normal => "normal",
            Self::Advanced => "advanced",
        }
    }

    /// Words in vendors' names of models of this tier.
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Tool => &["haiku", "flash-lite", "mini", "nano", "lite", "small", "instant"],
            Self::Normal => &["sonnet", "flash", "medium"],
            Self::Advanced => &["opus", "pro", "large", "ultra"],
        }
    }
}

/// A virtual model and its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The name clients ask for.
    pub name: Text,
    /// Its tier, if it has one.
    pub tier: Option<Tier>,
    /// Names that hold one of these words reach it; without any, those of its tier and its own name.
    pub words: Vec<Text>,
    /// What it consists of.
    pub targets: Vec<TargetSpec>,
    /// How one of them is chosen.
    pub strategy: Strategy,
    /// Pools that are tried when none of its targets can be.
    pub fallbacks: Vec<Text>,
}

impl Pool {
    /// A pool without a tier or fall-backs, whose targets take turns.
    #[must_use]
    pub fn new(name: impl Into<Text>, targets: Vec<TargetSpec>) -> Self {
        Self {
            name: name.into(),
            tier: None,
            words: Vec::new(),
            targets,
            strategy: Strategy::RoundRobin,
            fallbacks: Vec::new(),
        }
    }

    /// The words by which vendors' names reach it.
    pub(super) fn matched_words(&self) -> Vec<Text> {
        match self.tier {
            _ if !self.words.is_empty() => self.words.clone(),
            Some(tier) => tier.words().iter().map(|&word| word.into()).chain([self.name.clone()]).collect(),
            None => Vec::new(),
        }
    }
}

/// Whether `name` holds `word` as a word of its own, in any case: `mini` is in `gpt-5-mini`, not in `gemini-pro`.
pub(super) fn holds_word(name: &str, word: &str) -> bool {
    let (name, word) = (name.as_bytes(), word.as_bytes());
    if word.is_empty() || word.len() > name.len() {
        return false;
    }
    let letter = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphabetic);
    name.windows(word.len()).enumerate().any(|(at, part)| {
        part.eq_ignore_ascii_case(word) && !(at > 0 && letter(name.get(at - 1))) && !letter(name.get(at + word.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_alone() {
        for (name, word, held) in [
            ("claude-haiku-4-5-20251001", "haiku", true),
            ("Claude-3-5-Haiku", "haiku", true),
            ("gemini-3-pro", "mini", false),
            ("gpt-5-mini", "mini", true),
            ("o4-mini", "mini", true),
            ("gemini-2.5-flash-lite", "flash-lite", true),
            ("process", "pro", false),
            ("pro", "pro", true),
            ("opus4", "opus", true),
            ("op", "opus", false),
            ("x", "", false),
        ] {
            assert_eq!(holds_word(name, word), held, "{name} {word}");
        }
    }
}
