//! The configuration as a tree of texts, each with the place it was written at.
//!
//! File, environment and command line are laid over one another here, before anything is interpreted: a value keeps its text
//! (`1.10` stays `1.10` where a text is wanted) until [`super::read`] gives it a type.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::problem::{Place, Problem};

/// A value and where it was written.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) place: Place,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// `plain` is false for quoted texts, which are never numbers, booleans or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) place: Place,
    pub(super) value: Node,
}

impl fmt::Debug for Node {
    /// Its texts may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("place", &self.place).finish_non_exhaustive()
    }
}

/// One step from the root to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Writes a path as people write it: `providers.openai.keys[0]`.
pub(super) fn show_path(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Key(key) if out.is_empty() => out.push_str(key),
            Step::Key(key) => {
                out.push('.');
                out.push_str(key);
            }
            Step::Index(at) => out.push_str(&format!("[{at}]")),
        }
    }
    out
}

impl Node {
    pub(super) fn text(text: impl Into<String>, place: Place) -> Self {
        Self { kind: Kind::Scalar { text: text.into(), plain: true }, place }
    }

    /// The same value, written at `place` as a whole.
    pub(super) fn placed(self, place: &Place) -> Self {
        let kind = match self.kind {
            Kind::List(items) => Kind::List(items.into_iter().map(|item| item.placed(place)).collect()),
            Kind::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|entry| Entry { place: place.clone(), value: entry.value.placed(place), ..entry })
                    .collect(),
            ),
            scalar @ Kind::Scalar { .. } => scalar,
        };
        Self { kind, place: place.clone() }
    }

    /// A JSON value, written at `place` as a whole.
    pub(super) fn of_json(value: &Value, place: &Place) -> Self {
        let scalar = |text: String, plain| Kind::Scalar { text, plain };
        let kind = match value {
            Value::String(text) => scalar(text.clone(), false),
            Value::Null | Value::Bool(_) | Value::Number(_) => scalar(value.to_string(), true),
            Value::Array(items) => Kind::List(items.iter().map(|item| Self::of_json(item, place)).collect()),
            Value::Object(members) => Kind::Map(
                members
                    .iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        place: place.clone(),
                        value: Self::of_json(value, place),
                    })
                    .collect(),
            ),
        };
        Self { kind, place: place.clone() }
    }

    /// Puts a value at the end of a section, which is a map where it has a key there and a list otherwise. A section of the other shape
    /// stays as it is.
    pub(super) fn add(&mut self, section: &str, key: Option<&str>, value: Self) {
        let Kind::Map(sections) = &mut self.kind else { return };
        let at = sections.iter().position(|entry| entry.key == section).unwrap_or_else(|| {
            let (place, value) = (Place::Default, Self::text("", Place::Default));
            sections.push(Entry { key: section.to_owned(), place, value });
            sections.len() - 1
        });
        let Some(Entry { value: node, .. }) = sections.get_mut(at) else { return };
        if node.is_null() {
            node.kind = if key.is_some() { Kind::Map(Vec::new()) } else { Kind::List(Vec::new()) };
        }
        match (&mut node.kind, key) {
            (Kind::Map(entries), Some(key)) => {
                entries.push(Entry { key: key.to_owned(), place: value.place.clone(), value });
            }
            (Kind::List(items), None) => items.push(value),
            _ => {}
        }
    }

    pub(super) fn map(place: Place) -> Self {
        Self { kind: Kind::Map(Vec::new()), place }
    }

    /// Whether there is nothing: `null`, `~` or no text.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Whether it is a map or list that holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Map(entries) => entries.is_empty(),
            Kind::List(items) => items.is_empty(),
            Kind::Scalar { .. } => false,
        }
    }

    /// The member `key` of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }

    /// The place of the node at `path`, or of the nearest one on the way to it.
    pub(super) fn place_of(&self, path: &[Step]) -> Place {
        let mut place = &self.place;
        let mut node = self;
        for step in path {
            let next = match (step, &node.kind) {
                (Step::Key(key), Kind::Map(entries)) => entries.iter().find(|entry| entry.key == *key).map(|entry| {
                    // A container starts below its key; the key is the better place to point at.
                    let place = match entry.value.kind {
                        Kind::Scalar { .. } if !entry.value.is_null() => &entry.value.place,
                        _ => &entry.place,
                    };
                    (place, &entry.value)
                }),
                (Step::Index(at), Kind::List(items)) => items.get(*at).map(|item| (&item.place, item)),
                _ => None,
            };
            let Some((found, child)) = next else { break };
            place = found;
            node = child;
        }
        place.clone()
    }

    /// The place of the last key of `path`.
    pub(super) fn key_place(&self, path: &[Step]) -> Place {
        let mut node = self;
        let mut place = &self.place;
        for step in path {
            let next = match (step, &node.kind) {
                (Step::Key(key), Kind::Map(entries)) => entries.iter().find(|entry| entry.key == *key),
                (Step::Index(at), Kind::List(items)) => {
                    let Some(item) = items.get(*at) else { break };
                    node = item;
                    continue;
                }
                _ => None,
            };
            let Some(entry) = next else { break };
            place = &entry.place;
            node = &entry.value;
        }
        place.clone()
    }

    /// Takes the node at `path` out of the tree. False if there is none.
    pub(super) fn remove(&mut self, path: &[Step]) -> bool {
        let Some((last, way)) = path.split_last() else { return false };
        let mut node = self;
        for step in way {
            let next = match (step, &mut node.kind) {
                (Step::Key(key), Kind::Map(entries)) => {
                    entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.value)
                }
                (Step::Index(at), Kind::List(items)) => items.get_mut(*at),
                _ => None,
            };
            let Some(child) = next else { return false };
            node = child;
        }
        match (last, &mut node.kind) {
            (Step::Key(key), Kind::Map(entries)) => {
                let before = entries.len();
                entries.retain(|entry| entry.key != *key);
                entries.len() < before
            }
            (Step::Index(at), Kind::List(items)) if *at < items.len() => {
                items.remove(*at);
                true
            }
            _ => false,
        }
    }

    /// Lays another tree over this one: maps are laid over maps, everything else takes the place of what was there. Nothing hides nothing.
    pub(super) fn lay(&mut self, over: Self) {
        if over.is_null() {
            return;
        }
        let both = (&mut self.kind, over.kind);
        let (Kind::Map(entries), Kind::Map(more)) = both else {
            *self = Self { kind: both.1, place: over.place };
            return;
        };
        for entry in more {
            match entries.iter_mut().find(|known| known.key == entry.key) {
                Some(known) if !entry.value.is_null() => {
                    known.place = entry.place;
                    known.value.lay(entry.value);
                }
                Some(_) => {}
                None => entries.push(entry),
            }
        }
        self.place = over.place;
    }

    /// Puts `value` at the end of `keys`, making maps on the way. Existing keys are matched without regard to case and to `-` and `_`,
    /// because environment variables cannot tell them apart.
    pub(super) fn set(&mut self, keys: &[String], value: Self) {
        let Some((key, rest)) = keys.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self.kind, Kind::Map(_)) {
            *self = Self::map(value.place.clone());
        }
        let Kind::Map(entries) = &mut self.kind else { return };
        let at = match entries.iter().position(|entry| same_name(&entry.key, key)) {
            Some(at) => at,
            None => {
                let place = value.place.clone();
                entries.push(Entry { key: key.clone(), place: place.clone(), value: Self::map(place) });
                entries.len() - 1
            }
        };
        if let Some(entry) = entries.get_mut(at) {
            if rest.is_empty() {
                entry.place = value.place.clone();
            }
            entry.value.set(rest, value);
        }
    }
}

fn same_name(a: &str, b: &str) -> bool {
    let plain = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    a.chars().map(plain).eq(b.chars().map(plain))
}

/// Parses YAML. An empty text is an empty map.
///
/// # Errors
/// The first mistake of syntax: after one, nothing more can be said.
pub(super) fn parse(text: &str, file: &Arc<Path>) -> Result<Node, Problem> {
    let at = |location: Location| Place::file(file, location.line(), location.column());
    let node = raw_of(text, file)?.into_node(text, &at);
    Ok(if node.is_null() { Node::map(node.place) } else { node })
}

fn raw_of(text: &str, file: &Arc<Path>) -> Result<Raw, Problem> {
    let at = |location: Location| Place::file(file, location.line(), location.column());
    serde_saphyr::from_str(text).map_err(|error| {
        let plain = error.without_snippet();
        let message = plain.to_string();
        // The library adds its own words on the place; ours come first.
        let message = message.split(" at line ").next().unwrap_or(&message).trim_end_matches(['\n', ' ', ',', ':']);
        let (message, remedy) = plainly(message);
        Problem::error(plain.location().map_or_else(|| Place::file(file, 1, 1), at), message).remedy(remedy)
    })
}

/// A text of a document: a value, or a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The way to it; of a key, to its value.
    pub(super) path: Vec<Step>,
    pub(super) is_key: bool,
    pub(super) text: String,
    /// It stands there without quotes.
    pub(super) plain: bool,
    /// Where it stands. What is referred to stands at its anchor.
    pub(super) range: Range<usize>,
}

/// All texts of a document, in its order.
///
/// # Errors
/// The first mistake of syntax.
pub(super) fn marks(text: &str, file: &Arc<Path>) -> Result<Vec<Mark>, Problem> {
    let mut marks = Vec::new();
    raw_of(text, file)?.mark(text, &mut Vec::new(), &mut marks);
    Ok(marks)
}

/// The parser's words in those of people who write configurations, and what to do.
fn plainly(message: &str) -> (String, &'static str) {
    if let Some(rest) = message.strip_prefix("duplicate mapping key: ") {
        let key = rest.split(", set ").next().unwrap_or(rest);
        return (format!("the key `{key}` stands here twice"), "remove or rename one of them");
    }
    if message.starts_with("tabs disallowed") {
        return ("a tab cannot indent".to_owned(), "use spaces");
    }
    if message.starts_with("recursive references") {
        return ("an anchor holds a reference to itself".to_owned(), "write the value out");
    }
    let remedy = if message.starts_with("unclosed") { "close it" } else { "" };
    (message.to_owned(), remedy)
}

struct Raw(Spanned<RawKind>);

enum RawKind {
    Text(String),
    /// A scalar YAML gives another type; its text is looked up in the source.
    Typed,
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    fn mark(&self, source: &str, path: &mut Vec<Step>, marks: &mut Vec<Mark>) {
        let range = range_of(self.0.defined);
        let written = written(source, self.0.defined);
        let mut scalar = |text: &str, plain: bool, path: &[Step]| {
            let (path, text) = (path.to_vec(), text.to_owned());
            marks.push(Mark { path, is_key: false, text, plain, range: range.clone() });
        };
        match &self.0.value {
            RawKind::Typed => scalar(written, true, path),
            RawKind::Text(text) => scalar(text, !written.starts_with(['"', '\'', '|', '>']), path),
            RawKind::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    path.push(Step::Index(at));
                    item.mark(source, path, marks);
                    path.pop();
                }
            }
            RawKind::Map(entries) => {
                for (key, value) in entries {
                    let from = marks.len();
                    key.mark(source, path, marks);
                    let name = marks.get(from).map(|mark| mark.text.clone()).unwrap_or_default();
                    path.push(Step::Key(name));
                    for mark in marks.iter_mut().skip(from) {
                        mark.path.clone_from(path);
                        mark.is_key = true;
                    }
                    value.mark(source, path, marks);
                    path.pop();
                }
            }
        }
    }

    fn into_node(self, source: &str, at: &impl Fn(Location) -> Place) -> Node {
        let place = at(self.0.referenced);
        let written = written(source, self.0.defined);
        let kind = match self.0.value {
            RawKind::Typed => Kind::Scalar { text: written.to_owned(), plain: true },
            RawKind::Text(text) => {
                let plain = !written.starts_with(['"', '\'', '|', '>']);
                Kind::Scalar { text, plain }
            }
            RawKind::List(items) => Kind::List(items.into_iter().map(|item| item.into_node(source, at)).collect()),
            RawKind::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let key = key.into_node(source, at);
                        let name = match key.kind {
                            Kind::Scalar { text, .. } => text,
                            Kind::List(_) | Kind::Map(_) => String::new(),
                        };
                        Entry { key: name, place: key.place, value: value.into_node(source, at) }
                    })
                    .collect(),
            ),
        };
        Node { kind, place }
    }
}

/// The source text of a scalar.
fn written(source: &str, location: Location) -> &str {
    source.get(range_of(location)).unwrap_or_default().trim()
}

fn range_of(location: Location) -> Range<usize> {
    let span = location.span();
    let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) else { return 0..0 };
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    start..start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX))
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = RawKind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawKind, E> {
                Ok(RawKind::Text(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<RawKind, E> {
                Ok(RawKind::Typed)
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<RawKind, E> {
                Ok(RawKind::Typed)
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<RawKind, E> {
                Ok(RawKind::Typed)
            }

            fn visit_i128<E: de::Error>(self, _: i128) -> Result<RawKind, E> {
                Ok(RawKind::Typed)
            }

            fn visit_u128<E: de::Error>(self, _: u128) -> Result<RawKind, E> {
                Ok(RawKind::Typed)
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<RawKind, E> {
                Ok(RawKind::Typed)
            }

            fn visit_unit<E: de::Error>(self) -> Result<RawKind, E> {
                Ok(RawKind::Text(String::new()))
            }

            fn visit_none<E: de::Error>(self) -> Result<RawKind, E> {
                self.visit_unit()
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<RawKind, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawKind, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = access.next_element()? {
                    items.push(item);
                }
                Ok(RawKind::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawKind, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawKind::Map(entries))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse(text, &Arc::from(Path::new("p.yaml"))).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn scalar<'a>(node: &'a Node, path: &[&str]) -> (&'a str, bool) {
        let node = path.iter().fold(node, |node, key| node.get(key).unwrap());
        match &node.kind {
            Kind::Scalar { text, plain } => (text, *plain),
            Kind::List(_) | Kind::Map(_) => panic!("not a scalar"),
        }
    }

    #[test]
    fn scalars_keep_their_text() {
        let tree = tree("a: 1.10\nb: '012'\nc: yes\nd: 0x1F\ne: true\nf: ~\ng: 1e3\nh: \"x: y\"\n");
        for (key, text, plain) in
            [("a", "1.10", true), ("b", "012", false), ("c", "yes", true), ("d", "0x1F", true), ("e", "true", true)]
        {
            assert_eq!(scalar(&tree, &[key]), (text, plain), "{key}");
        }
        assert!(tree.get("f").unwrap().is_null());
        assert_eq!(scalar(&tree, &["g"]), ("1e3", true));
        assert_eq!(scalar(&tree, &["h"]), ("x: y", false));
    }

    #[test]
    fn places_are_those_of_the_file() {
        let tree = tree("server:\n  port: 1\nmodels:\n  fast: [ a/b, { target: c/d } ]\n  # words\n  数: x/y\n");
        let key = |name: &str| Step::Key(name.to_owned());
        let at = |path: &[Step]| tree.place_of(path).to_string();
        assert_eq!(at(&[key("server"), key("port")]), "p.yaml:2:9");
        assert_eq!(at(&[key("models"), key("fast")]), "p.yaml:4:3");
        assert_eq!(at(&[key("models"), key("fast"), Step::Index(1), key("target")]), "p.yaml:4:26");
        assert_eq!(at(&[key("models"), key("数")]), "p.yaml:6:6");
        assert_eq!(at(&[key("models"), key("missing")]), "p.yaml:3:1");
    }

    #[test]
    fn anchors_and_merges_work() {
        let tree = tree("base: &b { port: 7 }\nserver: { <<: *b, host: x }\nagain: *b\n");
        assert_eq!(scalar(&tree, &["server", "port"]), ("7", true));
        assert_eq!(scalar(&tree, &["again", "port"]), ("7", true));
    }

    #[test]
    fn mistakes_of_syntax_have_a_place() {
        for (text, words) in [
            ("a: [1, 2\nb: 3\n", "p.yaml:2:"),
            ("a: {\n", "p.yaml:1:4: error: unclosed bracket '{'; close it"),
            ("a: 1\na: 2\n", "p.yaml:2:1: error: the key `a` stands here twice; remove or rename one of them"),
            ("a:\n\t- x\n", "p.yaml:2:2: error: a tab cannot indent; use spaces"),
            ("a: &a [*a]\n", "p.yaml:1:8: error: an anchor holds a reference to itself; write the value out"),
        ] {
            let problem = parse(text, &Arc::from(Path::new("p.yaml"))).err().unwrap();
            assert!(problem.to_string().starts_with(words), "{problem}");
        }
    }

    #[test]
    fn hostile_documents_are_bounded() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
        assert!(parse(bomb, &Arc::from(Path::new("p.yaml"))).is_err());
        let deep = "[".repeat(100_000);
        assert!(parse(&deep, &Arc::from(Path::new("p.yaml"))).is_err());
    }

    #[test]
    fn environment_names_find_their_keys() {
        let mut tree = tree("providers:\n  my-openai: { base_url: x }\n");
        let keys = ["providers", "my_openai", "base_url"].map(str::to_owned);
        tree.set(&keys, Node::text("y", Place::Env("V".into())));
        assert_eq!(scalar(&tree, &["providers", "my-openai", "base_url"]), ("y", true));
        tree.set(&["server".to_owned(), "port".to_owned()], Node::text("1", Place::Argument("--port".into())));
        assert_eq!(scalar(&tree, &["server", "port"]), ("1", true));
    }
}
