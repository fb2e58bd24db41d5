//! The clients that can be led to a gateway, as data, and what is filled into it. Pure: text and values in, text and values out.
//!
//! | | |
//! |---|---|
//! | `clients.toml` | every client |
//! | [`edit`] | what is changed in a settings file, and how it is written |

pub mod edit;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use edit::{Edit, Format};

/// A client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name, in lower case.
    pub name: String,
    /// For people.
    pub title: String,
    /// What it speaks to the gateway.
    #[serde(default = "chat")]
    pub protocol: String,
    /// The program that starts it, where there is one.
    pub program: Option<String>,
    /// Commands that install it.
    #[serde(default)]
    pub install: Vec<String>,
    /// The version these facts were tried with.
    pub tried: Option<String>,
    #[serde(default = "yes")]
    launches: bool,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    /// Variables that hold the first settings as JSON.
    #[serde(default)]
    json_variables: Vec<String>,
    /// Variables that would lead it elsewhere.
    #[serde(default)]
    pub unset: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    model_arguments: Vec<String>,
    /// It cannot be started without being told which model.
    #[serde(default)]
    pub needs_model: bool,
    /// Its settings name every model.
    #[serde(default)]
    pub lists_models: bool,
    /// The settings are a part of a file whose place nobody knows.
    #[serde(default)]
    pub fragment: bool,
    /// Its settings files.
    #[serde(default)]
    pub settings: Vec<Settings>,
    /// How its settings are laid over those of the user for one start.
    pub overlay: Option<OverlayRule>,
    /// What to do by hand, where that is all.
    #[serde(default)]
    steps: Vec<String>,
    /// What else there is to know.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// A settings file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How it is written.
    pub format: Format,
    /// Where it may be; the first that is there counts.
    pub places: Vec<String>,
    /// The same on macOS, where that differs.
    pub macos: Option<Vec<String>>,
    /// The same on Windows, where that differs.
    pub windows: Option<Vec<String>>,
    /// The name a new file gets, where several are read.
    pub new: Option<String>,
    #[serde(default)]
    set: Map<String, Value>,
    /// What is set only where nothing is.
    #[serde(default)]
    defaults: Map<String, Value>,
    #[serde(default)]
    entries: Vec<Entry>,
}

/// An object in a list, known by one of its members.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    list: Vec<String>,
    by: String,
    /// One for every model.
    #[serde(default)]
    each: bool,
    entry: Map<String, Value>,
}

/// How settings are laid over those of the user for the time of one start.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlayRule {
    /// When it has to be done.
    pub when: When,
    /// Names a file that holds the settings: `{file}`.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// A variable that names another home folder.
    pub home: Option<String>,
    /// The folder of the settings in it.
    pub folder: Option<String>,
}

/// When that is needed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// The user's settings say something else.
    Contradicted,
    /// The user's settings do not say it.
    Missing,
}

fn yes() -> bool {
    true
}

fn chat() -> String {
    "chat".to_owned()
}

/// There is no client of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no client `{name}`; there are: {known}")]
pub struct Unknown {
    name: String,
    known: String,
}

/// All clients, in the order they are listed.
#[must_use]
pub fn all() -> &'static [Client] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        client: Vec<Client>,
    }
    static TABLE: LazyLock<Vec<Client>> = LazyLock::new(|| {
        // A test reads it as well, so this cannot fail.
        toml::from_str::<Table>(include_str!("clients.toml")).map(|table| table.client).unwrap_or_default()
    });
    &TABLE
}

/// The client of this name.
///
/// # Errors
/// There is none; says which there are.
pub fn find(name: &str) -> Result<&'static Client, Unknown> {
    all().iter().find(|client| client.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = all().iter().map(|client| client.name.as_str()).collect();
        Unknown { name: name.to_owned(), known: names.join(", ") }
    })
}

/// What is filled into the texts.
#[derive(Clone, Debug, Default)]
pub struct Fill {
    /// The gateway, without `/v1` and without a slash at the end.
    pub url: String,
    /// A key of it.
    pub key: String,
    /// The model that was chosen.
    pub model: Option<String>,
    /// All that are to be listed.
    pub models: Vec<String>,
}

impl Fill {
    /// The text with everything filled in; `None` if it names a model and there is none.
    fn text(&self, text: &str) -> Option<String> {
        self.with(text, self.model.as_deref())
    }

    fn with(&self, text: &str, model: Option<&str>) -> Option<String> {
        let text = match (text.contains("{model}"), model) {
            (true, Some(model)) => text.replace("{model}", model),
            (true, None) => return None,
            (false, _) => text.to_owned(),
        };
        Some(text.replace("{url}", &self.url).replace("{key}", &self.key))
    }

    fn value(&self, value: &Value, model: Option<&str>) -> Option<Value> {
        Some(match value {
            Value::String(text) if text == "{models}" => self.models.clone().into(),
            Value::String(text) => self.with(text, model)?.into(),
            Value::Array(items) => items.iter().filter_map(|item| self.value(item, model)).collect(),
            Value::Object(members) => Value::Object(self.object(members, model)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn object(&self, members: &Map<String, Value>, model: Option<&str>) -> Map<String, Value> {
        members.iter().filter_map(|(name, value)| Some((name.clone(), self.value(value, model)?))).collect()
    }

    /// The leaves of a table as edits.
    fn leaves(&self, at: &[String], table: &Map<String, Value>, model: Option<&str>, found: &mut Vec<Edit>) {
        for (name, value) in table {
            let names: Vec<(String, Option<&str>)> = match name.as_str() {
                "{model}" => self.models.iter().map(|model| (model.clone(), Some(model.as_str()))).collect(),
                name => vec![(name.to_owned(), model)],
            };
            for (name, model) in names {
                let at = [at, &[name]].concat();
                match value {
                    Value::Object(table) => self.leaves(&at, table, model, found),
                    value => found.extend(self.value(value, model).map(|value| Edit::Set { at, value })),
                }
            }
        }
    }
}

impl Settings {
    /// Where it is for most people: below the home folder, where that does not depend on a variable.
    #[must_use]
    pub fn usual_place(&self) -> &str {
        usual(&self.places, self.new.as_deref())
    }

    /// The same on macOS and on Windows, where that differs.
    #[must_use]
    pub fn usual_places_elsewhere(&self) -> (Option<&str>, Option<&str>) {
        let new = self.new.as_deref();
        let (macos, windows) = (self.macos.as_deref(), self.windows.as_deref());
        (macos.map(|places| usual(places, new)), windows.map(|places| usual(places, new)))
    }

    /// What is to be changed in the file.
    #[must_use]
    pub fn edits(&self, fill: &Fill) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (name, value) in &self.defaults {
            edits.push(Edit::Default { at: vec![name.clone()], value: value.clone() });
        }
        fill.leaves(&[], &self.set, fill.model.as_deref(), &mut edits);
        for Entry { list, by, each, entry } in &self.entries {
            let one = |model: Option<&str>| Edit::Entry {
                list: list.clone(),
                by: by.clone(),
                entry: fill.object(entry, model),
            };
            match each {
                true => edits.extend(fill.models.iter().map(|model| one(Some(model)))),
                false => edits.push(one(fill.model.as_deref())),
            }
        }
        edits
    }

    /// The key that stands in what the file holds. In a list it is that of the entry with the gateway's address.
    fn key_in(&self, present: &Value, url: &str) -> Option<String> {
        let found = self.edits(&marked(url)).into_iter().find_map(|edit| match edit {
            Edit::Set { at: path, value } if value == MARK => at(present, &path).cloned(),
            Edit::Entry { list, entry, .. } => {
                let key = entry.iter().find(|(_, value)| *value == MARK)?.0;
                let mut items = at(present, &list)?.as_array()?.iter();
                items
                    .find(|item| addresses(&entry, url).any(|(name, value)| item.get(name) == Some(value)))?
                    .get(key)
                    .cloned()
            }
            Edit::Set { .. } | Edit::Default { .. } => None,
        });
        found?.as_str().map(str::to_owned)
    }

    /// Whether what the file holds leads to the gateway at this address; `None` if no address belongs into it.
    fn leads(&self, present: &Value, url: &str) -> Option<bool> {
        let there = self.edits(&marked(url)).into_iter().filter_map(|edit| match edit {
            Edit::Set { at: path, value } if is_address(&value, url) => Some(at(present, &path) == Some(&value)),
            Edit::Entry { list, entry, .. } if addresses(&entry, url).next().is_some() => {
                let items = at(present, &list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                Some(items.iter().any(|item| addresses(&entry, url).any(|(name, value)| item.get(name) == Some(value))))
            }
            Edit::Set { .. } | Edit::Default { .. } | Edit::Entry { .. } => None,
        });
        there.reduce(|one, other| one && other)
    }
}

fn usual<'p>(places: &'p [String], new: Option<&str>) -> &'p str {
    let fits = |place: &&String| new.is_none_or(|name| place.rsplit('/').next() == Some(name));
    let named = || places.iter().filter(fits);
    let found = named().find(|place| place.starts_with('~')).or_else(|| named().next_back());
    found.map_or("", String::as_str)
}

/// Stands where the key does.
const MARK: &str = "\u{1}key";

/// What is filled in to find what was filled in before.
fn marked(url: &str) -> Fill {
    Fill { url: url.to_owned(), key: MARK.to_owned(), models: vec![String::new()], ..Fill::default() }
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

fn is_address(value: &Value, url: &str) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(url))
}

/// The members that hold the address of the gateway.
fn addresses<'e>(entry: &'e Map<String, Value>, url: &str) -> impl Iterator<Item = (&'e String, &'e Value)> {
    entry.iter().filter(move |(_, value)| is_address(value, url))
}

impl Client {
    /// Whether it can be started.
    #[must_use]
    pub fn launches(&self) -> bool {
        self.launches && self.program.is_some()
    }

    /// The variables it is started with, or that lead it to the gateway for good.
    #[must_use]
    pub fn variables(&self, fill: &Fill) -> Vec<(String, String)> {
        let mut variables: Vec<(String, String)> =
            self.variables.iter().filter_map(|(name, text)| Some((name.clone(), fill.text(text)?))).collect();
        if let Some(settings) = self.settings.first() {
            let json = edit::merged(&Value::Null, &settings.edits(fill)).to_string();
            variables.extend(self.json_variables.iter().map(|name| (name.clone(), json.clone())));
        }
        variables
    }

    /// The arguments it is started with, before those of the user.
    #[must_use]
    pub fn arguments(&self, fill: &Fill) -> Vec<String> {
        let model = self.model_arguments.iter().filter(|_| fill.model.is_some());
        self.arguments.iter().chain(model).filter_map(|text| fill.text(text)).collect()
    }

    /// The key in what its settings files hold, in their order. It counts only where the address beside it is that of the gateway, so that
    /// nobody else's key is sent there: in the same file, or in another one where the file of the key has no place for an address.
    #[must_use]
    pub fn key_in(&self, present: &[Value], url: &str) -> Option<String> {
        let files = || self.settings.iter().zip(present);
        files().find_map(|(settings, value)| {
            let leads = settings.leads(value, url);
            let leads = leads.unwrap_or_else(|| files().any(|(other, value)| other.leads(value, url) == Some(true)));
            settings.key_in(value, url).filter(|_| leads)
        })
    }

    /// What to do by hand.
    #[must_use]
    pub fn steps(&self, fill: &Fill) -> Vec<String> {
        let model = fill.model.clone().unwrap_or_else(|| "MODEL".to_owned());
        self.steps.iter().filter_map(|text| fill.with(text, Some(&model))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill() -> Fill {
        let (url, key) = ("http://127.0.0.1:7659".to_owned(), "pp-key".to_owned());
        Fill { url, key, model: None, models: vec!["a".to_owned(), "b/c".to_owned()] }
    }

    #[test]
    fn the_table_is_sound() {
        let table = toml::from_str::<toml::Table>(include_str!("clients.toml")).unwrap();
        assert_eq!(table["client"].as_array().unwrap().len(), all().len());
        let chosen = Fill { model: Some("a".to_owned()), ..fill() };
        for client in all() {
            assert_eq!(find(&client.name).unwrap().title, client.title);
            assert!(client.program.is_none() || !client.install.is_empty(), "{}", client.name);
            let sets = !client.variables(&chosen).is_empty() || !client.settings.is_empty();
            assert!(sets == client.steps.is_empty(), "{}: settings or steps", client.name);
            for settings in &client.settings {
                for edit in settings.edits(&chosen) {
                    let text = format!("{edit:?}");
                    assert!(!text.contains("{url}") && !text.contains("{key}") && !text.contains("{model"), "{text}");
                    assert!(settings.format != Format::Toml || matches!(edit, Edit::Set { .. }), "{text}");
                }
                // Every one can be written into a new file.
                edit::edited(settings.format, "", &settings.edits(&chosen)).unwrap();
            }
        }
        assert!(find("nothing").unwrap_err().to_string().contains("claude, codex"));
    }

    #[test]
    fn a_file_is_where_most_people_have_it() {
        let place = |client: &str| find(client).unwrap().settings[0].usual_place();
        assert_eq!(place("claude"), "~/.claude/settings.json");
        assert_eq!(place("opencode"), "~/.config/opencode/opencode.json", "the name of a new one");
        assert_eq!(place("librechat"), "librechat.yaml");
        let (macos, windows) = find("llm").unwrap().settings[1].usual_places_elsewhere();
        assert_eq!(macos, Some("~/Library/Application Support/io.datasette.llm/keys.json"));
        assert_eq!(windows, Some("$APPDATA/io.datasette.llm/keys.json"));
        for settings in all().iter().flat_map(|client| &client.settings) {
            assert!(!settings.usual_place().is_empty());
        }
    }

    #[test]
    fn what_names_a_model_is_left_out_without_one() {
        let claude = find("claude").unwrap();
        let names = |fill: &Fill| claude.variables(fill).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&fill()), ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"]);
        let chosen = Fill { model: Some("m".to_owned()), ..fill() };
        assert!(names(&chosen).contains(&"ANTHROPIC_DEFAULT_HAIKU_MODEL".to_owned()));
        let codex = find("codex").unwrap();
        assert_eq!(codex.arguments(&fill()).len(), 4);
        assert_eq!(codex.arguments(&chosen)[5], "model=\"m\"");
    }

    #[test]
    fn every_model_is_listed_where_that_is_needed() {
        let opencode = find("opencode").unwrap();
        let (name, json) = opencode.variables(&fill()).remove(0);
        assert_eq!(name, "OPENCODE_CONFIG_CONTENT");
        let config: Value = serde_json::from_str(&json).unwrap();
        let provider = &config["provider"]["polyport"];
        assert_eq!(provider["models"]["b/c"]["name"], "b/c");
        assert_eq!(provider["options"]["baseURL"], "http://127.0.0.1:7659/v1");
        assert!(config.get("model").is_none());
        let edits = find("continue").unwrap().settings[0].edits(&fill());
        assert_eq!(edits.iter().filter(|edit| matches!(edit, Edit::Entry { .. })).count(), 2);
    }

    #[test]
    fn a_key_is_found_only_beside_the_address_of_the_gateway() {
        use serde_json::json;
        let key = |client: &str, present: &[Value]| find(client).unwrap().key_in(present, "http://h:1");
        let claude = |url: Value| json!({ "env": { "ANTHROPIC_AUTH_TOKEN": "pp-old", "ANTHROPIC_BASE_URL": url } });
        assert_eq!(key("claude", &[claude("http://h:1".into())]).as_deref(), Some("pp-old"));
        for url in ["https://company.example", "http://h:10", "http://h:1.example"] {
            assert_eq!(key("claude", &[claude(url.into())]), None, "{url}");
        }
        assert_eq!(key("claude", &[json!({ "env": { "ANTHROPIC_AUTH_TOKEN": "sk-company" } })]), None);
        assert_eq!(key("claude", &[Value::Null]), None);
        let codex = |url: &str| json!({ "model_providers": { "polyport": { "base_url": url, "experimental_bearer_token": "pp-old" } } });
        assert_eq!(key("codex", &[codex("http://h:1/v1")]).as_deref(), Some("pp-old"));
        assert_eq!(key("codex", &[codex("http://h:2/v1")]), None);
        // Of two files, the one with the key has the address too, or has no place for one.
        let gemini = |env: Value| [json!({ "security": {} }), env];
        assert_eq!(key("gemini", &gemini(json!({ "GEMINI_API_KEY": "AIza-own" }))), None);
        let env = json!({ "GEMINI_API_KEY": "pp-old", "GOOGLE_GEMINI_BASE_URL": "http://h:1" });
        assert_eq!(key("gemini", &gemini(env)).as_deref(), Some("pp-old"));
        let llm = |url: &str| [json!([{ "model_id": "polyport/m", "api_base": url }]), json!({ "polyport": "pp-old" })];
        assert_eq!(key("llm", &llm("http://h:1/v1")).as_deref(), Some("pp-old"));
        assert_eq!(key("llm", &llm("http://elsewhere/v1")), None);
        // In a list, it is that of the same entry.
        let list = [json!({ "models": [{ "apiKey": "sk" }, { "apiBase": "http://h:1/v1", "apiKey": "pp-old" }] })];
        assert_eq!(key("continue", &list).as_deref(), Some("pp-old"));
        assert_eq!(key("continue", &[json!({ "models": [{ "apiBase": "http://x/v1", "apiKey": "sk" }] })]), None);
    }
}
