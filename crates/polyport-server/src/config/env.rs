//! Environment variables: as a source of settings and of secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::problem::{Place, Problem};
use super::tree::{self, Node};

/// The environment a configuration is read in.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Those that only `.env` has.
    dot_env: BTreeSet<String>,
    /// The folder relative names start from.
    pub folder: PathBuf,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_struct("Environment").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Short names for settings that people set most.
const SHORT: [(&str, &str); 4] = [
    ("POLYPORT_HOST", "POLYPORT_SERVER__HOST"),
    ("POLYPORT_PORT", "POLYPORT_SERVER__PORT"),
    ("POLYPORT_API_KEY", "POLYPORT_ACCESS__KEYS"),
    ("POLYPORT_ADMIN_KEY", "POLYPORT_ACCESS__ADMIN_KEYS"),
];

/// Names that have a meaning but are no setting.
const NO_SETTING: [&str; 5] = [
    "POLYPORT_CONFIG",
    "POLYPORT_PROFILE",
    "POLYPORT_MASTER_KEY",
    "POLYPORT_NEW_MASTER_KEY",
    // Set by a process for the one that takes its place.
    "POLYPORT_ELDER",
];

impl Environment {
    /// An environment with these variables only.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>, folder: impl Into<PathBuf>) -> Self {
        Self { variables: variables.into_iter().collect(), dot_env: BTreeSet::new(), folder: folder.into() }
    }

    /// That of the process, with `.env` of the working folder for what is not set. A broken `.env` is a warning.
    #[must_use]
    pub fn of_process() -> (Self, Vec<Problem>) {
        let folder = std::env::current_dir().unwrap_or_default();
        let mut problems = Vec::new();
        let mut variables = BTreeMap::new();
        let file = folder.join(".env");
        if file.is_file() {
            match std::fs::read_to_string(&file) {
                Ok(text) => variables = dot_env_of(&text, &mut problems),
                Err(error) => problems.push(Problem::warning(dot_env(1), error.to_string())),
            }
        }
        let mut names: BTreeSet<String> = variables.keys().cloned().collect();
        #[allow(clippy::disallowed_methods, reason = "this is the one place")]
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                names.remove(&name);
                variables.insert(name, value);
            }
        }
        (Self { variables, dot_env: names, folder }, problems)
    }

    /// A variable that is set to something.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a variable is there, but holds nothing.
    pub(super) fn is_blank(&self, name: &str) -> bool {
        self.variables.contains_key(name) && self.get(name).is_none()
    }

    /// Lays the settings of `POLYPORT_…` over `tree`. Two underscores separate the keys: `POLYPORT_LIMITS__REQUEST_BODY=8MiB`. With
    /// `_FILE` at its end a variable names a file that holds the value. `[…]` and `{…}` are read as YAML.
    pub(super) fn lay_over(&self, tree: &mut Node, problems: &mut Vec<Problem>) {
        // Platforms say by PORT where they expect a service; one from .env is more likely meant for something else.
        let port = self.get("PORT").filter(|_| !self.dot_env.contains("PORT"));
        if let Some(port) = port.filter(|port| port.parse::<u16>().is_ok()) {
            tree.set(&["server".into(), "port".into()], Node::text(port, Place::Env("PORT".into())));
        }
        for (name, _) in
            self.variables.range("POLYPORT_".to_owned()..).take_while(|(name, _)| name.starts_with("POLYPORT_"))
        {
            self.lay_one(name, tree, problems);
        }
    }

    fn lay_one(&self, name: &str, tree: &mut Node, problems: &mut Vec<Problem>) {
        let Some(value) = self.get(name) else { return };
        if NO_SETTING.contains(&name.strip_suffix("_FILE").unwrap_or(name)) {
            return;
        }
        let place = Place::Env(name.to_owned());
        let (base, from_file) = match name.strip_suffix("_FILE") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let long = SHORT.iter().find(|(short, _)| *short == base).map_or(base, |(_, long)| long);
        let Some(keys) = long.strip_prefix("POLYPORT_") else { return };
        // Kubernetes sets POLYPORT_SERVICE_HOST, POLYPORT_PORT=tcp://… and others for a service of this name.
        let single = !keys.contains("__");
        if value.starts_with("tcp://") {
            return;
        }
        if single && !matches!(keys, "DATA" | "DISCOVER") {
            problems.extend(single_underscore(name, keys));
            return;
        }
        let text = if from_file {
            match std::fs::read_to_string(self.folder.join(value)) {
                Ok(text) => text.trim().to_owned(),
                Err(error) => {
                    problems.push(Problem::error(place, format!("the file it names cannot be read: {error}")));
                    return;
                }
            }
        } else {
            value.to_owned()
        };
        let keys: Vec<String> = keys.split("__").map(str::to_lowercase).collect();
        if text.starts_with(['[', '{']) {
            match tree::parse(&text, &Path::new(name).into()) {
                Ok(node) => tree.set(&keys, node.placed(&place)),
                Err(problem) => problems.push(Problem { place, ..problem }),
            }
        } else {
            tree.set(&keys, Node::text(text, place));
        }
    }
}

/// A place in the file `.env`.
fn dot_env(line: u64) -> Place {
    Place::file(&Path::new(".env").into(), line, 1)
}

/// The variables of a text like `.env`.
fn dot_env_of(text: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut rest = String::with_capacity(text.len());
    for line in text.lines() {
        match json_line(line) {
            Some((name, value)) => drop(variables.insert(name.to_owned(), value.to_owned())),
            None => rest.push_str(line),
        }
        rest.push('\n');
    }
    for line in dotenvy::from_read_iter(rest.as_bytes()) {
        match line {
            Ok((name, value)) => drop(variables.insert(name, value)),
            Err(error) => problems.push(broken_line(&rest, &error)),
        }
    }
    variables
}

/// Name and value of a line whose value is JSON without quotes around it. A shell would take its own quotes away.
fn json_line(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim().trim_start_matches("export ").trim();
    let value = value.trim();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let shaped = value.starts_with(['[', '{']) && serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok();
    (plain && shaped).then_some((name, value))
}

/// What is told of a line that is no assignment. Not the line itself, which may hold a secret.
fn broken_line(text: &str, error: &dotenvy::Error) -> Problem {
    let line = match error {
        dotenvy::Error::LineParse(broken, _) => text.lines().position(|line| line == broken.trim_end()),
        _ => None,
    };
    let line = line.map_or(1, |index| index as u64 + 1);
    Problem::warning(dot_env(line), "this line is not `NAME=value`").remedy("quote values that hold spaces or quotes")
}

/// A variable that was most likely meant as a setting: one underscore where two belong.
fn single_underscore(name: &str, keys: &str) -> Option<Problem> {
    // Kubernetes makes such names of services called polyport-server and the like.
    if ["_SERVICE_", "_TCP", "_UDP"].iter().any(|part| keys.contains(part)) {
        return None;
    }
    let sections = [
        "SERVER",
        "STORE",
        "ACCESS",
        "PROVIDERS",
        "TRANSLATION",
        "LIMITS",
        "RETRY",
        "HEDGE",
        "COOLDOWN",
        "PROBES",
        "LOG",
        "METRICS",
        "TELEMETRY",
        "NOTIFICATIONS",
    ];
    let rest = sections.iter().find_map(|section| Some((section, keys.strip_prefix(section)?.strip_prefix('_')?)));
    let (section, rest) = rest?;
    let problem = Problem::warning(Place::Env(name.to_owned()), "this is no setting, so it is not used");
    Some(problem.remedy(format!("two underscores separate the keys: POLYPORT_{section}__{rest}")))
}

#[cfg(test)]
mod tests {
    use super::super::tree::Kind;
    use super::*;

    fn laid(variables: &[(&str, &str)]) -> (Node, Vec<String>) {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut tree = Node::map(Place::Default);
        let mut problems = Vec::new();
        Environment::of(owned, ".").lay_over(&mut tree, &mut problems);
        (tree, problems.iter().map(ToString::to_string).collect())
    }

    fn text(node: &Node, keys: &[&str]) -> Option<String> {
        match &keys.iter().try_fold(node, |node, key| node.get(key))?.kind {
            Kind::Scalar { text, .. } => Some(text.clone()),
            Kind::List(items) => Some(format!("{} items", items.len())),
            Kind::Map(_) => None,
        }
    }

    #[test]
    fn variables_become_settings() {
        let (tree, problems) = laid(&[
            ("POLYPORT_LIMITS__REQUEST_BODY", "8MiB"),
            ("POLYPORT_PORT", "8000"),
            ("POLYPORT_DATA", "/var/lib/polyport"),
            ("POLYPORT_PROVIDERS__OPENAI__KEYS", r#"["env:A", "env:B"]"#),
            ("POLYPORT_CONFIG", "x.yaml"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(text(&tree, &["limits", "request_body"]).unwrap(), "8MiB");
        assert_eq!(text(&tree, &["server", "port"]).unwrap(), "8000");
        assert_eq!(text(&tree, &["data"]).unwrap(), "/var/lib/polyport");
        assert_eq!(text(&tree, &["providers", "openai", "keys"]).unwrap(), "2 items");
        assert!(tree.get("config").is_none());
    }

    #[test]
    fn what_kubernetes_sets_is_no_setting() {
        let (tree, problems) = laid(&[
            ("POLYPORT_PORT", "tcp://10.0.0.1:80"),
            ("POLYPORT_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("POLYPORT_SERVICE_HOST", "10.0.0.1"),
            ("PORT", "9000"),
        ]);
        assert!(problems.is_empty());
        assert_eq!(text(&tree, &["server", "port"]).unwrap(), "9000");
        assert!(matches!(&tree.kind, Kind::Map(entries) if entries.len() == 1));
    }

    #[test]
    fn one_underscore_where_two_belong_is_told() {
        let (tree, problems) = laid(&[
            ("POLYPORT_LOG_LEVEL", "debug"),
            ("POLYPORT_SERVER_SERVICE_HOST", "10.0.0.1"),
            ("POLYPORT_SERVER_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("POLYPORT_BUILD", "7"),
        ]);
        assert_eq!(
            problems,
            [
                "environment variable POLYPORT_LOG_LEVEL: warning: this is no setting, so it is not used; two underscores separate the keys: POLYPORT_LOG__LEVEL"
            ]
        );
        assert!(matches!(&tree.kind, Kind::Map(entries) if entries.is_empty()));
    }

    #[test]
    fn s1_09_lists_in_dot_env_need_no_quotes() {
        let text = "# keys\nAPI_KEYS=[\"sk-1\",\"sk-2\"]\nexport MORE = [\"a\", \"b c\"]\nHOST=0.0.0.0\nPORT=8000 # usual\n\
                    QUOTED='[\"x\"]'\nBROKEN=a \"b\n";
        let mut problems = Vec::new();
        let variables = dot_env_of(text, &mut problems);
        let of = |name: &str| variables.get(name).map(String::as_str);
        assert_eq!(of("API_KEYS"), Some(r#"["sk-1","sk-2"]"#));
        assert_eq!(of("MORE"), Some(r#"["a", "b c"]"#));
        assert_eq!((of("HOST"), of("PORT"), of("QUOTED")), (Some("0.0.0.0"), Some("8000"), Some(r#"["x"]"#)));
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].starts_with(".env:7:1: warning: this line is not"), "{told:?}");
    }

    #[test]
    fn files_hold_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "pp-from-file\n").unwrap();
        let (tree, _) = laid(&[("POLYPORT_API_KEY_FILE", path.to_str().unwrap())]);
        assert_eq!(text(&tree, &["access", "keys"]).unwrap(), "pp-from-file");
        let (_, problems) = laid(&[("POLYPORT_API_KEY_FILE", "/nowhere/at/all")]);
        assert!(
            problems[0].starts_with("environment variable POLYPORT_API_KEY_FILE: error: the file it names"),
            "{problems:?}"
        );
    }
}
