//! Every setting by its path, as the reference has it: what may stand there, what that means, and who may change it while Polyport runs.

use std::sync::LazyLock;

use serde_json::Value;

use super::reference::{joined, json_schema, words};
use super::units::{Size, Span};

/// What has lists of its own in the admin API.
const APART: [&str; 3] = ["providers", "pools", "routes"];

/// What the database may declare: what is read anew for each request, and neither opens the gateway nor says how it is reached.
const EDITABLE: [&str; 11] = [
    "access.audit",
    "access.sessions",
    "accounting",
    "cooldown",
    "hedge",
    "limits",
    "probes",
    "retry",
    "sticky",
    "translation",
    "notifications",
];

/// What is read when Polyport starts.
const AT_START: [&str; 10] = [
    "data",
    "limits.connections",
    "limits.connections_per_address",
    "log",
    "metrics.listen",
    "server.also",
    "server.host",
    "server.port",
    "store",
    "telemetry",
];

/// What may stand at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Flag,
    Number,
    Text,
    Duration,
    Bytes,
    Word,
    List,
    Map,
}

impl Form {
    pub(crate) const ALL: [&str; 8] = ["flag", "number", "text", "duration", "bytes", "word", "list", "map"];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Number => "number",
            Self::Text => "text",
            Self::Duration => "duration",
            Self::Bytes => "bytes",
            Self::Word => "word",
            Self::List => "list",
            Self::Map => "map",
        }
    }
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// `accounting.keep.requests`.
    pub(crate) path: String,
    pub(crate) form: Form,
    /// The words that may stand there.
    pub(crate) words: Option<Vec<String>>,
    /// What the reference says.
    pub(crate) about: String,
    /// What holds where nobody says anything; null where that is no single value.
    pub(crate) default: Value,
    /// A change waits for a restart.
    pub(crate) restart: bool,
    /// The database may declare it.
    pub(crate) editable: bool,
}

/// All of them, in the order of the reference.
pub(crate) fn leaves() -> &'static [Leaf] {
    static LEAVES: LazyLock<Vec<Leaf>> = LazyLock::new(|| {
        let schema = json_schema();
        let mut all = Vec::new();
        let top = Section { schema: &schema, path: String::new(), about: String::new(), rest: None };
        top.walk(&schema, &mut all);
        all
    });
    &LEAVES
}

/// The setting of this path.
pub(crate) fn leaf(path: &str) -> Option<&'static Leaf> {
    leaves().iter().find(|leaf| leaf.path == path)
}

/// Whether settings stand below this path.
pub(crate) fn is_section(path: &str) -> bool {
    path.is_empty() || leaves().iter().any(|leaf| below(&leaf.path, path) && leaf.path != path)
}

/// Whether the database may declare what stands at this path.
pub(crate) fn is_editable(path: &str) -> bool {
    EDITABLE.iter().any(|section| below(path, section))
}

/// Whether a path is another one, or leads further.
pub(crate) fn below(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A section of the schema.
struct Section<'s> {
    schema: &'s Value,
    path: String,
    /// What was said of a section whose keys mean nothing without it.
    about: String,
    /// The defaults of its two keys, where it is a rest.
    rest: Option<(Value, Value)>,
}

impl Section<'_> {
    fn walk(&self, definition: &Value, all: &mut Vec<Leaf>) {
        for (name, property) in definition.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            if APART.contains(&path.as_str()) {
                continue;
            }
            let described = joined(property.get("description").and_then(Value::as_str).unwrap_or_default());
            let (kind, target) = self.resolved(property);
            if target.get("properties").is_some() {
                let rest = (kind == Some("Rest")).then(|| rest_of(&described));
                let about = if rest.is_some() { described } else { String::new() };
                Self { schema: self.schema, path, about, rest }.walk(target, all);
                continue;
            }
            let words = words(target).map(|listed| listed.split(", ").map(|word| word.replace('`', "")).collect());
            let form = match kind {
                Some("Time") => Form::Duration,
                Some("Size") => Form::Bytes,
                _ if words.is_some() => Form::Word,
                _ => form_of(target),
            };
            let default = match (&self.rest, name.as_str()) {
                (Some((first, _)), "first") => first.clone(),
                (Some((_, longest)), "longest") => longest.clone(),
                _ => default_of(&described, form),
            };
            let about = if self.about.is_empty() { described } else { format!("{} {described}", self.about) };
            let restart = AT_START.iter().any(|section| below(&path, section));
            let editable = is_editable(&path);
            all.push(Leaf { path, form, words, about, default, restart, editable });
        }
    }

    /// A property, or what it refers to, with the name of that.
    fn resolved<'v>(&'v self, property: &'v Value) -> (Option<&'v str>, &'v Value) {
        let Some(name) = property.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) else {
            return (None, property);
        };
        let definition = self.schema.get("$defs").and_then(|all| all.get(name));
        (Some(name), definition.unwrap_or(property))
    }
}

fn form_of(schema: &Value) -> Form {
    let options = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    if options.clone().any(|option| option.get("type").is_some_and(|kind| kind == "array")) {
        return Form::List;
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => Form::Flag,
        Some("integer" | "number") => Form::Number,
        Some("array") => Form::List,
        Some("object") => Form::Map,
        _ => Form::Text,
    }
}

/// What the reference says behind `Default:`, where that is one value and no sentence.
fn default_of(about: &str, form: Form) -> Value {
    let Some((_, said)) = about.split_once("Default: ") else { return Value::Null };
    if let Some((text, rest)) = said.strip_prefix('`').and_then(|said| said.split_once('`')) {
        let whole = rest.is_empty() || rest.starts_with(['.', ';', ',']);
        return match form {
            Form::Duration if whole && Span::parse(text).is_some() => text.into(),
            Form::Bytes if whole && Size::parse(text).is_some() => text.into(),
            // In capitals it is the name of a variable.
            Form::Text if whole && !text.contains(['_', ':']) => text.into(),
            Form::Word if whole => text.into(),
            Form::List if whole && text.starts_with('[') => {
                let items = text.trim_matches(['[', ']']).split(',');
                items.map(|item| Value::from(item.trim())).collect()
            }
            _ => Value::Null,
        };
    }
    let end = said.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(said.len());
    let (word, rest) = said.split_at_checked(end).unwrap_or_default();
    if !(rest.is_empty() || rest.starts_with(['.', ';', ','])) {
        return Value::Null;
    }
    match form {
        Form::Flag => word.parse::<bool>().map(Value::from).unwrap_or_default(),
        Form::Number => word.parse::<u64>().map(Value::from).unwrap_or_default(),
        Form::Text | Form::Duration | Form::Bytes | Form::Word | Form::List | Form::Map => Value::Null,
    }
}

/// Of a rest: `2s` to `60s`.
fn rest_of(about: &str) -> (Value, Value) {
    let said = about.split_once("Default: ").map(|(_, said)| said).unwrap_or_default();
    let mut quoted = said.split('`').skip(1).step_by(2).map(Value::from);
    match (quoted.next(), quoted.next()) {
        (Some(first), Some(longest)) => (first, longest),
        _ => (Value::Null, Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::{Arguments, Config, Environment, Purpose, Source};
    use super::*;

    fn loaded(text: &str) -> Config {
        let source = Source::new(None, Environment::of([], "/nowhere"), Arguments::default());
        source.load_text(text, &[], Purpose::Inspect).unwrap_or_else(|problems| panic!("{text}\n{problems}")).config
    }

    #[test]
    fn every_setting_is_described_and_has_a_form() {
        assert!(leaves().len() > 100, "{}", leaves().len());
        for leaf in leaves() {
            assert!(!leaf.about.is_empty(), "{}", leaf.path);
            assert_eq!(leaf.words.is_some(), leaf.form == Form::Word, "{}", leaf.path);
        }
        let of = |path: &str| leaf(path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(
            (of("limits.request_body").form, &of("limits.request_body").default),
            (Form::Bytes, &"32MiB".into())
        );
        assert_eq!((of("limits.requests").form, &of("limits.requests").default), (Form::Number, &4096.into()));
        assert_eq!((of("sticky").form, &of("sticky").default), (Form::Flag, &true.into()));
        assert_eq!(of("translation.losses").words.as_deref().unwrap(), ["lenient", "strict", "off"]);
        assert_eq!(
            (of("cooldown.window.longest").form, &of("cooldown.window.longest").default),
            (Form::Duration, &"6h".into())
        );
        assert!(
            of("cooldown.window.first").about.starts_with("A plan window"),
            "{}",
            of("cooldown.window.first").about
        );
        assert_eq!((of("accounting.quotas").form, of("access.keys").form), (Form::List, Form::List));
        assert!(of("server.port").restart && !of("server.port").editable && of("limits.connections").restart);
        assert!(!of("access.keys").editable && of("access.audit").editable && !of("access.open").editable);
        assert!(is_section("accounting.keep") && !is_section("sticky") && !is_section("account"));
    }

    #[test]
    fn defaults_that_are_told_are_those_that_hold() {
        let usual = loaded("discover: false\n");
        let mut told = 0;
        for leaf in leaves().iter().filter(|leaf| leaf.editable && !leaf.default.is_null()) {
            // Whoever gives it has two attempts.
            if leaf.path.starts_with("hedge") {
                continue;
            }
            told += 1;
            let mut line = String::new();
            for (depth, key) in leaf.path.split('.').enumerate() {
                write!(line, "{}{key}: ", if depth == 0 { "" } else { "{ " }).unwrap();
            }
            write!(line, "{}{}", leaf.default, " }".repeat(leaf.path.matches('.').count())).unwrap();
            let alone = loaded(&format!("discover: false\n{line}\n"));
            assert_eq!(alone.limits, usual.limits, "{line}");
            assert_eq!(
                (alone.keep, alone.addresses, alone.disconnect),
                (usual.keep, usual.addresses, usual.disconnect),
                "{line}"
            );
            assert_eq!(
                (&alone.retry, alone.budget, alone.capture_bytes),
                (&usual.retry, usual.budget, usual.capture_bytes),
                "{line}"
            );
            assert_eq!(
                (alone.sticky, alone.losses, alone.model_echo),
                (usual.sticky, usual.losses, usual.model_echo),
                "{line}"
            );
            assert_eq!(alone.access.sessions, usual.access.sessions, "{line}");
        }
        assert!(told > 60, "{told}");
    }
}
