//! Tool call ids: this API takes letters, digits, `_` and `-`, and each only once in an answer.

use std::borrow::Cow;
use std::collections::HashSet;

use polyport_types::Text;

/// The id itself if it is allowed, otherwise with `_` for every other character. The same id always gives the same result, so
/// that calls and results still meet.
fn safe_id(id: &str) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() {
        Cow::Borrowed("toolu_0")
    } else if id.chars().all(allowed) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(id.chars().map(|c| if allowed(c) { c } else { '_' }).collect())
    }
}

/// The ids of one answer's calls.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    given: HashSet<Text>,
}

impl CallIds {
    /// The id if no call has it yet, otherwise with a number; a call without id gets one.
    pub(super) fn unique(&mut self, id: Text) -> Text {
        let id = if id.is_empty() { Text::from(format!("toolu_{}", self.given.len())) } else { id };
        if self.given.insert(id.clone()) {
            return id;
        }
        let mut nth = 2;
        loop {
            let numbered = Text::from(format!("{id}_{nth}"));
            if self.given.insert(numbered.clone()) {
                return numbered;
            }
            nth += 1;
        }
    }

    /// The same for a client, in the characters this API takes.
    pub(super) fn safe(&mut self, id: &Text) -> Text {
        match safe_id(id) {
            Cow::Borrowed(same) if !id.is_empty() && same.len() == id.len() => self.unique(id.clone()),
            other => self.unique(Text::from(other.as_ref())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_allowed_unique_and_repeatable() {
        let ids = ["call_A.1", "call_A_1", "", "toolu_01-x", "é"].map(Text::from);
        let give = || {
            let mut given = CallIds::default();
            ids.iter().map(|id| given.safe(id).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(give(), ["call_A_1", "call_A_1_2", "toolu_0", "toolu_01-x", "_"]);
        assert_eq!(give(), give());
    }
}
