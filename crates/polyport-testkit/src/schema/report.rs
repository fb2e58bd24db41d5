//! The list of violations a judgement collects.

use std::fmt::Display;

/// Violations in the order they were found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    violations: Vec<String>,
}

impl Report {
    /// Adds one finished message.
    pub(crate) fn push(&mut self, violation: String) {
        self.violations.push(violation);
    }

    /// Adds `path: message`.
    pub(crate) fn add(&mut self, path: impl Display, message: impl Display) {
        self.violations.push(format!("{path}: {message}"));
    }

    /// Adds `path: message` unless `holds`.
    pub(crate) fn require(&mut self, holds: bool, path: impl Display, message: impl Display) {
        if !holds {
            self.add(path, message);
        }
    }

    /// The verdict.
    pub(crate) fn into_result(self) -> Result<(), Vec<String>> {
        if self.violations.is_empty() { Ok(()) } else { Err(self.violations) }
    }
}
