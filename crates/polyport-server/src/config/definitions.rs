//! What the database declares, in the words of the configuration file: laid over the file, so that there is one checker.
//!
//! The file stands for itself and wins. A definition with a mistake is left out, and so is what refers to it; everything else serves.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use polyport_types::Text;
use serde_json::Value;

use super::file;
use super::problem::{InDatabase, Place, Problem, Weight};
use super::read::read;
use super::settings::Settings;
use super::tree::{Entry, Kind as Shape, Node, Step, show_path};

/// Where credentials stand in the tree; the file has no such section.
pub(super) const CREDENTIALS: &str = "credentials";

/// The members that hold the secret of a credential; one of them does.
pub(crate) const CREDENTIAL_SECRETS: [&str; 3] = ["key", "refresh_token", "key_file"];

/// What kind of thing is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Provider,
    Credential,
    Pool,
    Route,
}

impl Kind {
    /// The word for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Credential => "credential",
            Self::Pool => "pool",
            Self::Route => "route",
        }
    }
}

/// A thing that the database declares.
#[derive(Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) kind: Kind,
    pub(crate) id: Text,
    /// The name of a provider, pool or route; of a credential its label.
    pub(crate) name: Text,
    /// Of a credential: its provider.
    pub(crate) provider: Text,
    pub(crate) enabled: bool,
    pub(crate) revision: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// In the words of the configuration file, secrets included.
    pub(crate) value: Value,
    /// Why its secret cannot be read.
    pub(crate) locked: Option<Text>,
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition").field("kind", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Definition {
    /// Whether it is an account, whose tokens are refreshed.
    pub(crate) fn is_account(&self) -> bool {
        self.secret().is_some_and(|(member, _)| member != "key")
    }

    /// Of a credential: the member that holds its secret, and what stands there.
    pub(crate) fn secret(&self) -> Option<(&'static str, &str)> {
        let members = CREDENTIAL_SECRETS.into_iter().filter(|_| self.kind == Kind::Credential);
        members.rev().find_map(|member| Some((member, self.value.get(member)?.as_str()?.trim())))
    }

    fn place(&self) -> Place {
        let (kind, name, id) = (self.kind.as_str(), self.name.clone(), self.id.clone());
        Place::Database(Arc::new(InDatabase { kind, name, id }))
    }

    /// As the configuration file would hold it.
    fn node(&self) -> Node {
        let place = self.place();
        let mut node = Node::of_json(&self.value, &place);
        if let Shape::Map(entries) = &mut node.kind {
            let mut set = |key: &str, value: Value| {
                let value = Node::of_json(&value, &place);
                entries.push(Entry { key: key.to_owned(), place: place.clone(), value });
            };
            match self.kind {
                Kind::Provider => set("enabled", self.enabled.into()),
                Kind::Credential => {
                    set("name", (*self.name).into());
                    set("enabled", self.enabled.into());
                }
                Kind::Pool | Kind::Route => {}
            }
        }
        node
    }

    /// What cannot be understood, or does not belong into the database.
    fn misread(&self) -> Vec<Problem> {
        if let Some(reason) = &self.locked {
            return vec![Problem::error(self.place(), &**reason)];
        }
        let mut problems = Vec::new();
        only_in_the_file(&self.value, &mut Vec::new(), &self.place(), &mut problems);
        let mut node = self.node();
        match self.kind {
            Kind::Provider => drop(read::<file::Provider>(&mut node, &mut problems)),
            Kind::Credential if self.is_account() => drop(read::<file::OAuthAccount>(&mut node, &mut problems)),
            Kind::Credential => drop(read::<file::ProviderKey>(&mut node, &mut problems)),
            Kind::Pool => drop(read::<file::Pool>(&mut node, &mut problems)),
            Kind::Route => drop(read::<file::Route>(&mut node, &mut problems)),
        }
        let mut refuse = |path: &[&str], message: &str, remedy: &str| {
            let found = path.iter().try_fold(&self.value, |value, key| value.get(key));
            if self.kind == Kind::Provider && found.is_some() {
                problems.push(Problem::error(self.place(), message).at(path.join(".")).remedy(remedy));
            }
        };
        let apart = "keys and accounts are credentials of their own";
        refuse(&["keys"], apart, "make them with POST /admin/api/credentials");
        refuse(&["oauth", "accounts"], apart, "make them with POST /admin/api/credentials");
        refuse(&["oauth", "file"], "files are named in the configuration file only", "import its accounts");
        problems
    }
}

/// Whoever may use the admin API shall not read the machine's environment and files with it.
pub(super) fn only_in_the_file(value: &Value, path: &mut Vec<Step>, place: &Place, problems: &mut Vec<Problem>) {
    match value {
        Value::String(text) => {
            let head = text.trim_start().split(':').next().unwrap_or_default();
            if text.contains(':') && ["env", "file"].iter().any(|word| head.eq_ignore_ascii_case(word)) {
                let message = "the environment and files are named in the configuration file only";
                problems
                    .push(Problem::error(place.clone(), message).at(show_path(path)).remedy("give the text itself"));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                path.push(Step::Index(at));
                only_in_the_file(item, path, place, problems);
                path.pop();
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                path.push(Step::Key(key.clone()));
                only_in_the_file(member, path, place, problems);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Everything that the database declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Definitions {
    /// In the order they were made.
    pub(crate) list: Vec<Arc<Definition>>,
    /// What operators switched on or off of what is declared elsewhere, by [`switch_of_provider`] and [`switch_of_credential`].
    pub(crate) switches: BTreeMap<String, bool>,
    /// What stands under the file.
    pub(crate) settings: Settings,
}

/// The switch of a provider that is not of the database.
pub(crate) fn switch_of_provider(name: &str) -> String {
    format!("provider/{name}")
}

/// The switch of a credential that is not of the database.
pub(crate) fn switch_of_credential(provider: &str, id: &str) -> String {
    format!("credential/{provider}/{id}")
}

impl Definitions {
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Definition>> {
        self.list.iter().find(|definition| *definition.id == *id)
    }

    /// The same with this one in the place of an earlier one of its id, or at the end.
    pub(crate) fn with(&self, definition: Definition) -> Self {
        let mut changed = self.clone();
        let definition = Arc::new(definition);
        match changed.list.iter_mut().find(|known| known.id == definition.id) {
            Some(known) => *known = definition,
            None => changed.list.push(definition),
        }
        changed
    }

    pub(crate) fn without(&self, id: &str) -> Self {
        let mut changed = self.clone();
        changed.list.retain(|known| *known.id != *id);
        changed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.switches.is_empty() && self.settings.is_empty()
    }
}

/// What became of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The file declares something of this name, which wins; or the same secret is there already.
    Shadowed(Problem),
    /// It has mistakes, or refers to what is not there.
    Broken(Vec<Problem>),
}

impl Standing {
    pub(crate) fn problems(&self) -> &[Problem] {
        match self {
            Self::Shadowed(problem) => std::slice::from_ref(problem),
            Self::Broken(problems) => problems,
        }
    }
}

/// What the database declares, and what is not in force of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) definitions: Arc<Definitions>,
    /// The file that declares the rest.
    pub(crate) file: Option<Text>,
    /// By id; those that are not here are in force, unless they are switched off.
    pub(crate) out: HashMap<Text, Standing>,
}

impl Declared {
    /// Judges by what can be said before all is looked at together.
    pub(super) fn new(definitions: &Arc<Definitions>, tree: &Node, file: &str) -> Self {
        let mut out = definitions.settings.misread();
        for definition in &definitions.list {
            let section = match definition.kind {
                Kind::Provider => "providers",
                Kind::Pool => "pools",
                Kind::Credential | Kind::Route => "",
            };
            let taken = tree.get(section).and_then(|section| section.get(&definition.name)).is_some();
            if taken {
                let message = format!("{file} declares a {} of this name, which wins", definition.kind.as_str());
                let problem = Problem::error(definition.place(), message).remedy("delete one of them");
                out.insert(definition.id.clone(), Standing::Shadowed(problem));
                continue;
            }
            let problems = definition.misread();
            if !problems.is_empty() {
                out.insert(definition.id.clone(), Standing::Broken(problems));
            }
        }
        Self { definitions: Arc::clone(definitions), file: Some(file.into()), out }
    }

    /// Those that are in force as far as is known, of these kinds.
    fn good(&self, kind: Kind) -> impl Iterator<Item = &Arc<Definition>> {
        let list = self.definitions.list.iter();
        list.filter(move |definition| definition.kind == kind && !self.out.contains_key(&definition.id))
    }

    /// Puts settings below what is written, which wins.
    pub(super) fn lay_under(&self, tree: &mut Node) {
        if let Some(mut settings) = self.definitions.settings.node(&self.out) {
            settings.lay(std::mem::replace(tree, Node::map(Place::Default)));
            *tree = settings;
        }
    }

    /// Puts providers, pools and routes where the file has them.
    pub(super) fn lay_over(&self, tree: &mut Node) {
        for (kind, section) in [(Kind::Provider, "providers"), (Kind::Pool, "pools")] {
            for definition in self.good(kind).filter(|one| kind == Kind::Provider || one.enabled) {
                tree.add(section, Some(&definition.name), definition.node());
            }
        }
        for definition in self.good(Kind::Route).filter(|one| one.enabled) {
            tree.add("routes", None, definition.node());
        }
    }

    /// The credentials; their places go into the tree, which has been read.
    pub(super) fn credentials(&self, tree: &mut Node) -> Vec<Added> {
        let mut all = Vec::new();
        for definition in self.good(Kind::Credential) {
            let mut node = definition.node();
            tree.add(CREDENTIALS, Some(&definition.id), node.clone());
            let given = if definition.is_account() {
                AddedMeans::Account(read(&mut node, &mut Vec::new()))
            } else {
                AddedMeans::Key(read(&mut node, &mut Vec::new()))
            };
            all.push(Added { id: definition.id.clone(), provider: definition.provider.clone(), given });
        }
        all
    }

    /// Takes out what these problems are of. False if there is a mistake that no definition has.
    pub(super) fn take_out(&mut self, problems: Vec<Problem>) -> bool {
        let mut found = false;
        for problem in problems {
            let Place::Database(one) = &problem.place else { continue };
            if problem.weight == Weight::Warning {
                continue;
            }
            found = true;
            let id = one.id.clone();
            if problem.message == SAME_SECRET {
                self.out.insert(id, Standing::Shadowed(problem));
                continue;
            }
            match self.out.entry(id).or_insert_with(|| Standing::Broken(Vec::new())) {
                Standing::Broken(problems) => problems.push(problem),
                Standing::Shadowed(_) => {}
            }
        }
        found
    }

    /// No setting is in force, for this reason. False if none was.
    pub(super) fn refuse_settings(&mut self, reason: &Problem) -> bool {
        let before = self.out.len();
        self.definitions.settings.refuse(reason, &mut self.out);
        self.out.len() > before
    }

    /// Nothing of it is in force, for this reason.
    pub(super) fn refuse_all(&mut self, reason: &Problem) {
        for definition in &self.definitions.list {
            let problem = Problem { place: definition.place(), ..reason.clone() };
            self.out.entry(definition.id.clone()).or_insert_with(|| Standing::Broken(vec![problem]));
        }
    }
}

/// The words for a credential whose secret another one has.
pub(super) const SAME_SECRET: &str = "this secret is there already";

/// A credential of the database.
pub(super) struct Added {
    pub(super) id: Text,
    pub(super) provider: Text,
    pub(super) given: AddedMeans,
}

/// What a credential of the database is.
pub(super) enum AddedMeans {
    Key(file::ProviderKey),
    Account(file::OAuthAccount),
}

impl Added {
    pub(super) fn path(&self) -> Vec<Step> {
        vec![Step::Key(CREDENTIALS.to_owned()), Step::Key((*self.id).to_owned())]
    }
}

/// The path of a problem below the definition that has it.
pub(crate) fn path_within(definition: &Definition, path: &str) -> String {
    let rest = match definition.kind {
        Kind::Provider => path.strip_prefix("providers.").and_then(|rest| rest.strip_prefix(&*definition.name)),
        Kind::Pool => path.strip_prefix("pools.").and_then(|rest| rest.strip_prefix(&*definition.name)),
        Kind::Credential => path.strip_prefix("credentials.").and_then(|rest| rest.strip_prefix(&*definition.id)),
        Kind::Route => path.strip_prefix("routes[").and_then(|rest| Some(rest.split_once(']')?.1)),
    };
    rest.unwrap_or(path).trim_start_matches('.').to_owned()
}
