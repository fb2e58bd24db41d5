//! Reasoning between `<think>` tags at the start of the text, for servers that do not take it apart themselves.

use polyport_types::Text;

use crate::profile::ReasoningRead;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A stretch of the split text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    Reasoning(Text),
    Answer(Text),
}

/// Splits text that arrives in pieces; a tag may be cut over several of them.
#[derive(Debug)]
pub(super) struct Splitter {
    state: State,
    /// The end of the text so far, which may be the beginning of a tag.
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far.
    Start,
    /// Inside the tags; `said` once there was something but white space.
    Inside { said: bool },
    /// Right behind the closing tag: white space is dropped.
    Behind,
    /// The answer itself: nothing is taken apart any more.
    Answer,
}

impl Splitter {
    pub(super) fn new(mode: ReasoningRead) -> Self {
        let state = match mode {
            ReasoningRead::Auto => State::Answer,
            ReasoningRead::Tags => State::Start,
            ReasoningRead::ImplicitOpen => State::Inside { said: false },
        };
        Self { state, held: String::new() }
    }

    /// Whether text passes unchanged.
    pub(super) fn is_off(&self) -> bool {
        self.state == State::Answer && self.held.is_empty()
    }

    /// Takes a piece.
    pub(super) fn push(&mut self, piece: &str, out: &mut Vec<Stretch>) {
        self.held.push_str(piece);
        while self.step(out) {}
    }

    /// Gives out what was held back.
    pub(super) fn finish(&mut self, out: &mut Vec<Stretch>) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside { .. } if !held.trim().is_empty() => out.push(Stretch::Reasoning(held.into())),
            State::Start | State::Answer if !held.is_empty() => out.push(Stretch::Answer(held.into())),
            _ => {}
        }
        self.state = State::Answer;
    }

    /// One transition; true if there may be another one.
    fn step(&mut self, out: &mut Vec<Stretch>) -> bool {
        match self.state {
            State::Start => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.state = State::Inside { said: false };
                    return true;
                }
                if OPEN.starts_with(text) {
                    return false;
                }
                self.state = State::Answer;
                true
            }
            State::Inside { said } => self.inside(said, out),
            State::Behind => {
                self.held = self.held.trim_start().to_owned();
                if self.held.is_empty() {
                    return false;
                }
                self.state = State::Answer;
                true
            }
            State::Answer => {
                if !self.held.is_empty() {
                    out.push(Stretch::Answer(std::mem::take(&mut self.held).into()));
                }
                false
            }
        }
    }

    fn inside(&mut self, said: bool, out: &mut Vec<Stretch>) -> bool {
        if !said {
            let text = self.held.trim_start();
            // The template may or may not have opened the tag itself.
            let text = text.strip_prefix(OPEN).map_or(text, str::trim_start);
            if OPEN.starts_with(text) {
                return false;
            }
            self.held = text.to_owned();
        }
        if let Some((reasoning, rest)) = self.held.split_once(CLOSE) {
            if !reasoning.trim().is_empty() {
                out.push(Stretch::Reasoning(reasoning.into()));
            }
            self.held = rest.to_owned();
            self.state = State::Behind;
            return true;
        }
        let keep = tag_prefix_at_end(&self.held);
        let (ready, held) = self.held.split_at(self.held.len() - keep);
        if !ready.is_empty() {
            out.push(Stretch::Reasoning(ready.into()));
            self.state = State::Inside { said: true };
        }
        self.held = held.to_owned();
        false
    }
}

/// Length of the longest end of `text` that begins the closing tag.
fn tag_prefix_at_end(text: &str) -> usize {
    (1..CLOSE.len()).rev().find(|len| CLOSE.get(..*len).is_some_and(|head| text.ends_with(head))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins stretches of one kind.
    fn split(mode: ReasoningRead, pieces: &[&str]) -> (String, String) {
        let mut splitter = Splitter::new(mode);
        let mut out = Vec::new();
        for piece in pieces {
            splitter.push(piece, &mut out);
        }
        splitter.finish(&mut out);
        let mut texts = (String::new(), String::new());
        for stretch in &out {
            match stretch {
                Stretch::Reasoning(text) => texts.0.push_str(text),
                Stretch::Answer(text) => texts.1.push_str(text),
            }
        }
        texts
    }

    fn texts(reasoning: &str, answer: &str) -> (String, String) {
        (reasoning.to_owned(), answer.to_owned())
    }

    #[test]
    fn tags_cut_anywhere() {
        let text = "\n<think>\nwhy < not</think>\n\nso <b>";
        for first in 0..text.len() {
            for second in first..text.len() {
                let (head, rest) = text.split_at(first);
                let (middle, tail) = rest.split_at(second - first);
                let split = split(ReasoningRead::Tags, &[head, middle, tail]);
                assert_eq!(split, texts("why < not", "so <b>"), "{head:?} {middle:?} {tail:?}");
            }
        }
    }

    #[test]
    fn tags_count_only_at_the_start_and_only_when_asked() {
        assert_eq!(split(ReasoningRead::Tags, &["a <think>b</think>"]), texts("", "a <think>b</think>"));
        assert_eq!(split(ReasoningRead::Auto, &["<think>b</think>c"]), texts("", "<think>b</think>c"));
        assert_eq!(split(ReasoningRead::Tags, &["<thi"]), texts("", "<thi"));
        assert_eq!(split(ReasoningRead::Tags, &["  x"]), texts("", "  x"));
    }

    #[test]
    fn the_opening_tag_may_stand_in_the_prompt() {
        assert_eq!(split(ReasoningRead::ImplicitOpen, &["why", "</th", "ink>", "\n", "so"]), texts("why", "so"));
        assert_eq!(split(ReasoningRead::ImplicitOpen, &["<think>why</think>so"]), texts("why", "so"));
        assert_eq!(split(ReasoningRead::ImplicitOpen, &["why"]), texts("why", ""));
    }

    #[test]
    fn empty_thoughts_are_none() {
        assert_eq!(split(ReasoningRead::Tags, &["<think>\n\n</think>\n\nso"]), texts("", "so"));
    }
}
