//! A reader that notes what became of every value of a source: what nobody takes is named in the end.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::finding::{Finding, Grade};

/// What kind of thing a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// JSON, YAML or TOML.
    Tree,
    /// `NAME=value`.
    Variables,
    /// A text a line.
    Lines,
    /// Rows by table; a table that was not read is the number of its rows.
    Database,
}

/// A file or database.
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) value: Value,
}

/// All documents of a gateway.
pub(crate) struct Source {
    documents: Vec<Document>,
    notes: RefCell<Vec<Note>>,
    graded: RefCell<HashSet<(usize, String)>>,
}

struct Note {
    document: usize,
    path: String,
    grade: Grade,
    became: String,
    note: String,
}

/// What is told of a value that nobody took.
const UNKNOWN: &str = "nothing here corresponds to it";
/// And of one that says nothing.
const EMPTY: &str = "it is empty";
/// Different outcomes that one finding names.
const NAMED: usize = 3;

impl Source {
    pub(crate) fn new(documents: Vec<Document>) -> Self {
        Self { documents, notes: RefCell::default(), graded: RefCell::default() }
    }

    /// The roots of all documents of a kind.
    pub(crate) fn roots(&self, kind: Kind) -> impl Iterator<Item = Node<'_>> {
        let all = self.documents.iter().enumerate().filter(move |(_, document)| document.kind == kind);
        all.map(|(at, document)| Node { source: self, document: at, path: String::new(), value: &document.value })
    }

    /// The root of the first tree that is like this.
    pub(crate) fn tree(&self, like: impl Fn(&Value) -> bool) -> Option<Node<'_>> {
        self.roots(Kind::Tree).find(|root| like(root.value))
    }

    /// A table of any database.
    pub(crate) fn table(&self, name: &str) -> Option<Node<'_>> {
        self.roots(Kind::Database).find_map(|root| root.get(name))
    }

    /// What a variable of a `.env` file says.
    pub(crate) fn variable(&self, name: &str) -> Option<Node<'_>> {
        self.roots(Kind::Variables).find_map(|root| root.get(name)).filter(|node| !node.said().is_empty())
    }

    /// Notes something that stands in no file: what the gateway does without being told.
    pub(crate) fn implied(&self, path: &str, grade: Grade, became: &str, note: &str) {
        let (path, became, note) = (path.to_owned(), became.to_owned(), note.to_owned());
        self.notes.borrow_mut().push(Note { document: usize::MAX, path, grade, became, note });
    }

    /// All that became of the source. Like values are told together.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        for (at, document) in self.documents.iter().enumerate() {
            let touched = self.graded.borrow().iter().any(|(known, _)| *known == at);
            let root = Node { source: self, document: at, path: String::new(), value: &document.value };
            if touched {
                self.rest(&root);
            } else {
                root.unsupported("nothing in this file belongs to the configuration that was recognised");
            }
        }
        let mut findings: Vec<Finding> = Vec::new();
        let mut outcomes: Vec<HashSet<String>> = Vec::new();
        let mut places: HashMap<(usize, String, Grade, String), usize> = HashMap::new();
        for Note { document, path, grade, became, note } in &*self.notes.borrow() {
            let all = without_numbers(path);
            match places.get(&(*document, all.clone(), *grade, note.clone())) {
                Some(&at) => {
                    let (Some(finding), Some(seen)) = (findings.get_mut(at), outcomes.get_mut(at)) else { continue };
                    finding.count += 1;
                    finding.path.clone_from(&all);
                    if seen.insert(became.clone()) && !became.is_empty() {
                        match seen.len() {
                            few if few <= NAMED => {
                                finding.became.push_str(", ");
                                finding.became.push_str(became);
                            }
                            some if some == NAMED + 1 => finding.became.push_str(", …"),
                            _ => {}
                        }
                    }
                }
                None => {
                    places.insert((*document, all, *grade, note.clone()), findings.len());
                    outcomes.push(HashSet::from([became.clone()]));
                    findings.push(Finding {
                        file: self.documents.get(*document).map(|document| document.name.clone()).unwrap_or_default(),
                        path: path.clone(),
                        grade: *grade,
                        became: became.clone(),
                        note: note.clone(),
                        count: 1,
                    });
                }
            }
        }
        findings
    }

    /// Notes the leaves below that nobody graded.
    fn rest(&self, node: &Node<'_>) {
        if self.graded.borrow().contains(&(node.document, node.path.clone())) {
            return;
        }
        match node.value {
            Value::Object(members) if !members.is_empty() => node.entries().for_each(|(_, child)| self.rest(&child)),
            Value::Array(items) if !items.is_empty() => node.items().for_each(|child| self.rest(&child)),
            Value::Null | Value::Object(_) | Value::Array(_) => node.grade(Grade::Exact, "", EMPTY),
            Value::String(text) if matches!(text.trim(), "" | "{}" | "[]" | "null") => {
                node.grade(Grade::Exact, "", EMPTY)
            }
            _ => node.unsupported(UNKNOWN),
        }
    }
}

/// `a[3].b[1]` as `a[].b[]`.
fn without_numbers(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside && c.is_ascii_digit() => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}

/// A value of the source and where it stands.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    source: &'a Source,
    document: usize,
    path: String,
    pub(crate) value: &'a Value,
}

impl<'a> Node<'a> {
    /// A member; one that is null is not there.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.child(key, value))
    }

    /// The first of these members that is there.
    pub(crate) fn any(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().find_map(|key| self.get(key))
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { source: self.source, document: self.document, path, value }
    }

    /// The members of an object; none of anything else.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let members: Option<&'a Map<String, Value>> = self.value.as_object();
        members.into_iter().flatten().map(|(key, value)| (key.as_str(), self.child(key, value)))
    }

    /// The entries of a list; none of anything else.
    pub(crate) fn items(&self) -> impl Iterator<Item = Self> {
        let items: Option<&'a Vec<Value>> = self.value.as_array();
        items.into_iter().flatten().enumerate().map(|(at, value)| Self {
            source: self.source,
            document: self.document,
            path: format!("{}[{at}]", self.path),
            value,
        })
    }

    /// The entries of a list, or the value itself where it is none.
    pub(crate) fn several(&self) -> Vec<Self> {
        if self.value.is_array() { self.items().collect() } else { vec![self.clone()] }
    }

    /// A text that is not empty, without blanks around it.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.value.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// A text, number or truth value as text; empty for everything else.
    pub(crate) fn said(&self) -> String {
        match self.value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        }
    }

    /// A number, also one that is written as a text.
    pub(crate) fn number(&self) -> Option<f64> {
        match self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    /// A whole number from 1 to what fits.
    pub(crate) fn count(&self) -> Option<u64> {
        let number = self.number()?;
        // Above that not every whole number is one.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        (1.0..=9e15).contains(&number).then_some(number as u64)
    }

    /// Yes or no, also as a database or a `.env` file writes it.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.said().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// It means the same as what it became.
    pub(crate) fn exact(&self, became: impl Into<String>) {
        self.grade(Grade::Exact, became, "");
    }

    /// It means nearly the same.
    pub(crate) fn approximate(&self, became: impl Into<String>, note: impl Into<String>) {
        self.grade(Grade::Approximate, became, note);
    }

    /// Somebody has to do something.
    pub(crate) fn manual(&self, note: impl Into<String>) {
        self.grade(Grade::Manual, "", note);
    }

    /// There is nothing like it here.
    pub(crate) fn unsupported(&self, note: impl Into<String>) {
        self.grade(Grade::Unsupported, "", note);
    }

    /// Notes what became of it and of everything below it.
    pub(crate) fn grade(&self, grade: Grade, became: impl Into<String>, note: impl Into<String>) {
        let (document, path) = (self.document, self.path.clone());
        // The first word on a value counts.
        if self.source.graded.borrow_mut().insert((document, path.clone())) {
            let note = Note { document, path, grade, became: became.into(), note: note.into() };
            self.source.notes.borrow_mut().push(note);
        }
    }

    /// Grades the members of these names alike, where they are there.
    pub(crate) fn all_unsupported(&self, keys: &[&str], note: &str) {
        keys.iter().filter_map(|key| self.get(key)).for_each(|node| node.unsupported(note));
    }

    /// The same for what means the same here without being written down.
    pub(crate) fn all_exact(&self, keys: &[&str], became: &str) {
        keys.iter().filter_map(|key| self.get(key)).for_each(|node| node.exact(became));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_takes_is_named_and_like_values_are_told_together() {
        let value = json!({"a": [{"x": 1, "y": {}, "z": "s"}, {"x": 2, "y": null}], "b": {"c": true}, "d": ""});
        let source = Source::new(vec![Document { name: "f".to_owned(), kind: Kind::Tree, value }]);
        let root = source.tree(|_| true).unwrap();
        for (at, item) in root.get("a").unwrap().items().enumerate() {
            item.get("x").unwrap().exact(format!("pools.{at}"));
        }
        let told: Vec<String> = source
            .findings()
            .iter()
            .map(|finding| format!("{} {} {} {}", finding.path, finding.grade.as_str(), finding.became, finding.count))
            .collect();
        assert_eq!(
            told,
            [
                "a[].x exact pools.0, pools.1 2",
                "a[].y exact  2",
                "a[0].z unsupported  1",
                "b.c unsupported  1",
                "d exact  1"
            ]
        );
    }
}
