//! Settings that the database declares: a tree in the words of the configuration file, laid under it. What the file says wins, key by key.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use polyport_types::Text;
use serde_json::{Map, Value};

use super::Config;
use super::definitions::{Standing, only_in_the_file};
use super::leaves::{Form, Leaf, is_editable, is_section, leaf, leaves};
use super::mask::Guide;
use super::problem::{InDatabase, Place, Problem};
use super::tree::{Entry, Kind, Node, Step};

/// Before the paths of settings, where the ids of definitions stand.
const ID: &str = "settings/";

/// Where the addresses and secrets of hooks stand.
pub(crate) const HOOKS: [&str; 2] = ["notifications", "webhooks"];

/// What the database declares of settings.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Settings {
    /// Empty as long as nothing was declared.
    pub(crate) id: Text,
    pub(crate) revision: i64,
    /// In the words of the configuration file, secrets included.
    pub(crate) value: Value,
    /// Why its secrets cannot be read.
    pub(crate) locked: Option<Text>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("revision", &self.revision).finish_non_exhaustive()
    }
}

fn id_of(path: &str) -> Text {
    format!("{ID}{path}").into()
}

/// The path of a setting that is told by its id.
pub(crate) fn path_of(id: &str) -> Option<&str> {
    id.strip_prefix(ID)
}

fn place_of(path: &str) -> Place {
    Place::Database(Arc::new(InDatabase { kind: "setting", name: path.into(), id: id_of(path) }))
}

impl Settings {
    /// Whether nothing was ever declared. Where all of it was taken away, there still is a revision.
    pub(crate) fn is_empty(&self) -> bool {
        self.revision == 0 && self.value.as_object().is_none_or(Map::is_empty)
    }

    /// What is declared, setting by setting.
    pub(crate) fn all(&self) -> Vec<(String, &Value)> {
        each(&self.value)
    }

    /// What can be said of them one by one.
    pub(super) fn misread(&self) -> HashMap<Text, Standing> {
        let mut out = HashMap::new();
        for (path, value) in self.all() {
            let mut problems = Vec::new();
            let mut steps: Vec<Step> = path.split('.').map(|key| Step::Key(key.to_owned())).collect();
            only_in_the_file(value, &mut steps, &place_of(&path), &mut problems);
            // The file would lie over it, and hide the mistake.
            if is_section(&path) {
                let problem = Problem::error(place_of(&path), "expected a map (`name: value`)").at(&path);
                problems.push(problem.remedy("name the settings in it"));
            }
            if leaf(&path).is_some() && !is_editable(&path) {
                let problem = Problem::error(place_of(&path), "it is set in the configuration file only").at(&path);
                problems.push(problem.remedy("set it there, or by an environment variable"));
            }
            if !problems.is_empty() {
                out.insert(id_of(&path), Standing::Broken(problems));
            }
        }
        if let Some(reason) = &self.locked {
            let path = HOOKS.join(".");
            let problem = Problem::error(place_of(&path), &**reason).at(&path);
            out.insert(id_of(&path), Standing::Broken(vec![problem]));
        }
        out
    }

    /// Nothing of it is in force, for this reason.
    pub(super) fn refuse(&self, reason: &Problem, out: &mut HashMap<Text, Standing>) {
        for (path, _) in self.all() {
            let problem = Problem { place: place_of(&path), ..reason.clone() };
            out.entry(id_of(&path)).or_insert_with(|| Standing::Broken(vec![problem]));
        }
    }

    /// As the configuration file would hold them, without those that are out.
    pub(super) fn node(&self, out: &HashMap<Text, Standing>) -> Option<Node> {
        node("", &self.value, out)
    }
}

/// What stands in a tree of settings, or in a change of one: a section that is nothing is told as it is.
pub(crate) fn each(value: &Value) -> Vec<(String, &Value)> {
    fn walk<'v>(path: &str, value: &'v Value, all: &mut Vec<(String, &'v Value)>) {
        match value {
            Value::Object(members) if is_section(path) => {
                for (key, value) in members {
                    walk(&join(path, key), value, all);
                }
            }
            value => all.push((path.to_owned(), value)),
        }
    }
    let mut all = Vec::new();
    if value.is_object() {
        walk("", value, &mut all);
    }
    all
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn node(path: &str, value: &Value, out: &HashMap<Text, Standing>) -> Option<Node> {
    if out.contains_key(&id_of(path)) {
        return None;
    }
    let place = place_of(path);
    let Value::Object(members) = value else { return Some(Node::of_json(value, &place)) };
    if !is_section(path) {
        return Some(Node::of_json(value, &place));
    }
    let entries = members.iter().filter_map(|(key, value)| {
        let path = join(path, key);
        let value = node(&path, value, out)?;
        Some(Entry { key: key.clone(), place: place_of(&path), value })
    });
    let entries: Vec<Entry> = entries.collect();
    // A section that is there at all may mean something.
    if entries.is_empty() && !members.is_empty() { None } else { Some(Node { kind: Kind::Map(entries), place }) }
}

/// Takes out sections in which nothing is left.
pub(crate) fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(prune);
        members.retain(|_, value| value.as_object().is_none_or(|members| !members.is_empty()));
    }
}

/// Who says what a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Owner {
    File,
    Profile,
    Environment,
    Argument,
    Database,
    Default,
}

impl Owner {
    pub(crate) const ALL: [&str; 6] = ["file", "profile", "environment", "argument", "database", "default"];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Profile => "profile",
            Self::Environment => "environment",
            Self::Argument => "argument",
            Self::Database => "database",
            Self::Default => "default",
        }
    }

    fn of(place: &Place) -> Self {
        match place {
            Place::File { .. } => Self::File,
            Place::Profile(_) => Self::Profile,
            Place::Env(_) => Self::Environment,
            Place::Argument(_) => Self::Argument,
            Place::Database(_) => Self::Database,
            Place::Default => Self::Default,
        }
    }
}

/// A setting as it is in force.
pub(crate) struct Shown {
    pub(crate) leaf: &'static Leaf,
    /// Without secrets.
    pub(crate) value: Value,
    pub(crate) owner: Owner,
}

/// All settings as they are in force.
pub(crate) fn shown(config: &Config) -> Vec<Shown> {
    let all = leaves().iter().map(|leaf| match written(config, &leaf.path) {
        None => Shown { leaf, value: leaf.default.clone(), owner: Owner::Default },
        Some(node) => Shown { leaf, value: value_of(leaf, node), owner: Owner::of(&node.place) },
    });
    all.collect()
}

/// Who says what a setting is, and where.
pub(crate) fn owner(config: &Config, path: &str) -> (Owner, Place) {
    let place = written(config, path).map_or(Place::Default, |node| node.place.clone());
    (Owner::of(&place), place)
}

fn written<'c>(config: &'c Config, path: &str) -> Option<&'c Node> {
    let node = path.split('.').try_fold(&*config.tree, |node, key| node.get(key))?;
    (!node.is_null()).then_some(node)
}

/// What may be shown of a value that somebody gives.
pub(crate) fn shown_of(path: &str, value: &Value) -> Value {
    Guide::at(path).shown(&Node::of_json(value, &Place::Default))
}

fn value_of(leaf: &Leaf, node: &Node) -> Value {
    let guide = Guide::at(&leaf.path);
    match (&node.kind, leaf.form) {
        (Kind::Scalar { text, plain }, Form::Text | Form::Duration | Form::Bytes | Form::Word) => {
            guide.scalar(text, *plain).unwrap_or_else(|| text.clone()).into()
        }
        (Kind::Scalar { .. } | Kind::Map(_), Form::List) => Value::Array(vec![guide.item(None).shown(node)]),
        _ => guide.shown(node),
    }
}
