//! Other gateways' ports, defaults, variables and files, so that what people have for them works unchanged.
//!
//! A profile is data: a file of this folder, in the words of `polyport.yaml` and with a table of variables. It is laid beneath the
//! configuration file, the environment and the command line, all of which win over it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use polyport_import::{Format, Grade, Material, Refused};
use serde::Deserialize;
use serde_json::Value;

use super::env::Environment;
use super::load::{Arguments, LARGEST_FILE, Start};
use super::problem::{Place, Problem, Problems};
use super::tree::Node;

/// The profiles that ship with Polyport.
const SHIPPED: [(&str, &str); 5] = [
    ("warp2api", include_str!("warp2api.yaml")),
    ("antigravity", include_str!("antigravity.yaml")),
    ("transformer", include_str!("transformer.yaml")),
    ("api-pool", include_str!("api-pool.yaml")),
    ("ai-service", include_str!("ai-service.yaml")),
];

/// What holds in every profile, and without one.
const ANY: &str = include_str!("any.yaml");

/// The variable that names a profile.
pub(super) const VARIABLE: &str = "POLYPORT_PROFILE";

/// The names of all profiles.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// A profile as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    title: String,
    #[serde(default)]
    settings: Value,
    /// Settings of `--web`.
    #[serde(default)]
    web: Value,
    /// Settings of `--all`.
    #[serde(default)]
    all: Value,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    #[serde(default)]
    files: Vec<Foreign>,
}

/// A variable of the other gateway.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    /// The setting it is.
    to: Option<String>,
    /// The setting's text, with `{value}` for the variable's.
    form: Option<String>,
    /// It is a setting only where it begins with one of these.
    #[serde(default)]
    only: Vec<String>,
    /// What is told where it does not.
    otherwise: Option<String>,
    /// What is told where it is set.
    notice: Option<String>,
    /// Values of which nothing is told.
    #[serde(default)]
    fine: Vec<String>,
    /// What is told where nothing sets its setting.
    needed: Option<String>,
}

/// A file of the other gateway.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Foreign {
    /// Relative to the working folder.
    path: String,
    /// The setting that names it.
    to: Option<String>,
    /// The format of what is in it, which is laid over the settings.
    import: Option<String>,
    /// What is told where it is not there.
    missing: Option<String>,
}

/// What a profile says: the lowest layer of the configuration.
#[derive(Clone)]
pub(super) struct Layer {
    pub(super) tree: Node,
    /// What is to be told of it.
    pub(super) notes: Vec<Problem>,
    /// Files it looks for, whose change means another configuration.
    pub(super) files: Vec<PathBuf>,
    /// Those of them that were there.
    pub(super) found: Vec<PathBuf>,
    /// Settings it needs, and what is told where they are not given.
    needed: Vec<(Vec<String>, Problem)>,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Default for Layer {
    fn default() -> Self {
        Self {
            tree: Node::map(Place::Default),
            notes: Vec::new(),
            files: Vec::new(),
            found: Vec::new(),
            needed: Vec::new(),
        }
    }
}

impl Layer {
    /// Reads what the chosen profile says in this environment.
    ///
    /// # Errors
    /// If there is no such profile, or a file of the other gateway has mistakes.
    pub(super) fn read(environment: &Environment, arguments: &Arguments) -> Result<Self, Problems> {
        let mut layer = Self::default();
        layer.add(&parsed("of every profile", ANY)?, "", environment, Start::Api)?;
        match chosen(environment, arguments)? {
            Some((name, text)) => layer.add(&parsed(name, text)?, name, environment, arguments.start)?,
            None => layer.useless(arguments.start),
        }
        Ok(layer)
    }

    fn add(&mut self, profile: &Profile, name: &str, environment: &Environment, start: Start) -> Result<(), Problems> {
        let place = Place::Profile(name.into());
        self.tree.lay(Node::of_json(&profile.settings, &place));
        let more = match start {
            Start::Api => &Value::Null,
            Start::Web => &profile.web,
            Start::All => &profile.all,
        };
        if more.is_null() {
            self.useless(start);
        }
        self.tree.lay(Node::of_json(more, &place));
        for file in &profile.files {
            self.file(file, &place, environment)?;
        }
        for (name, variable) in &profile.variables {
            self.variable(name, variable, environment);
        }
        Ok(())
    }

    /// Says that there is nothing to choose from.
    fn useless(&mut self, start: Start) {
        let Some(flag) = start.flag() else { return };
        let words = "all of it is at one address here, so this changes nothing";
        self.notes.push(Problem::warning(Place::Argument(flag.to_owned()), words));
    }

    fn file(&mut self, file: &Foreign, place: &Place, environment: &Environment) -> Result<(), Problems> {
        let path = environment.folder.join(&file.path);
        self.files.push(path.clone());
        let there = Place::file(&Path::new(&file.path).into(), 1, 1);
        if !path.is_file() {
            let told = file.missing.as_deref();
            self.notes.extend(told.map(|words| Problem::warning(there, format!("the file is not there: {words}"))));
            return Ok(());
        }
        if let Some(to) = &file.to {
            self.tree.set(&keys(to), Node::text(path.to_string_lossy(), place.clone()));
        }
        if let Some(format) = &file.import {
            let (tree, notes) = imported(&path, &file.path, format, &there)?;
            self.tree.lay(tree);
            self.notes.extend(notes);
        }
        self.found.push(path);
        Ok(())
    }

    fn variable(&mut self, name: &str, variable: &Variable, environment: &Environment) {
        let place = || Place::Env(name.to_owned());
        let Some(value) = environment.get(name) else {
            if let (Some(to), Some(words)) = (&variable.to, &variable.needed) {
                self.needed.push((keys(to), Problem::warning(place(), format!("it is not set: {words}"))));
            }
            return;
        };
        let taken = variable.only.is_empty() || variable.only.iter().any(|start| value.starts_with(start));
        let words = if taken { &variable.notice } else { &variable.otherwise };
        if let Some(words) = words.as_ref().filter(|_| !variable.fine.iter().any(|fine| fine == value)) {
            self.notes.push(Problem::warning(place(), words));
        }
        if let Some(to) = variable.to.as_ref().filter(|_| taken) {
            let text = match &variable.form {
                Some(form) => form.replace("{value}", value),
                None => value.to_owned(),
            };
            self.tree.set(&keys(to), Node::text(text, place()));
        }
    }

    /// What is to be told of settings that `tree`, the whole configuration, does not have.
    pub(super) fn unmet(&self, tree: &Node) -> Vec<Problem> {
        let has = |keys: &[String]| keys.iter().try_fold(tree, |node, key| node.get(key)).is_some();
        self.needed.iter().filter(|(keys, _)| !has(keys)).map(|(_, problem)| problem.clone()).collect()
    }
}

/// A file in another gateway's words, in ours; and what of it has no place here.
fn imported(path: &Path, name: &str, format: &str, place: &Place) -> Result<(Node, Vec<Problem>), Problems> {
    let refused = |words: String| {
        let remedy = "mend it, or put it elsewhere to start without it";
        Problems(vec![Problem::error(place.clone(), words).remedy(remedy)])
    };
    let unread = |error: std::io::Error| refused(format!("the file cannot be read: {error}"));
    if std::fs::metadata(path).map_err(unread)?.len() > LARGEST_FILE {
        return Err(refused("the file is larger than 8 MiB".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(unread)?;
    let plan = match polyport_import::read(&Material::file(name, text), Format::named(format)) {
        Ok(plan) => plan,
        Err(Refused::Broken { message, .. }) => return Err(refused(message)),
        Err(Refused::Nothing(_)) => {
            let problem = Problem::warning(place.clone(), "nothing in it can be used");
            return Ok((Node::map(place.clone()), vec![problem]));
        }
        Err(refusal) => return Err(refused(refusal.to_string())),
    };
    let left = plan.findings.iter().filter(|finding| matches!(finding.grade, Grade::Manual | Grade::Unsupported));
    let notes = left.map(|finding| Problem::warning(place.clone(), &*finding.note).at(&*finding.path)).collect();
    Ok((Node::of_json(&plan.configuration(), place), notes))
}

/// The name and the text of the profile that is asked for.
fn chosen(environment: &Environment, arguments: &Arguments) -> Result<Option<(&'static str, &'static str)>, Problems> {
    let (name, place) = match &arguments.profile {
        Some(name) => (name.as_str(), Place::Argument("--profile".to_owned())),
        None => match environment.get(VARIABLE) {
            Some(name) => (name, Place::Env(VARIABLE.to_owned())),
            None => return Ok(None),
        },
    };
    match SHIPPED.iter().find(|(known, _)| *known == name) {
        Some(found) => Ok(Some(*found)),
        None => {
            let names: Vec<&str> = names().collect();
            let problem = Problem::error(place, "there is no profile of this name");
            Err(Problems(vec![problem.remedy(super::read::suggestion(name, &names, "profiles are"))]))
        }
    }
}

/// Title of a profile, for people.
#[must_use]
pub fn title(name: &str) -> Option<String> {
    let (name, text) = SHIPPED.iter().find(|(known, _)| *known == name)?;
    Some(parsed(name, text).ok()?.title)
}

fn parsed(name: &str, text: &str) -> Result<Profile, Problems> {
    serde_saphyr::from_str(text).map_err(|error| {
        let words = format!("this version of it cannot be read: {}", error.without_snippet());
        Problems(vec![Problem::error(Place::Profile(name.into()), words)])
    })
}

fn keys(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}
