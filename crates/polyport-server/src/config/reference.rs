//! The published description of the configuration: JSON Schema for editors and a reference for people, both made from `file.rs`.

use std::fmt::Write as _;

use polyport_provider::Adapter;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::File;
use super::preset::Preset;

/// The JSON Schema of the configuration file.
#[must_use]
pub fn json_schema() -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    let mut schema = Value::from(schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "Polyport".into());
    }
    drop_nulls(&mut schema);
    schema
}

/// A key that may be left out may also be `null`; saying so everywhere makes the reference unreadable.
fn drop_nulls(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(options)) = object.get_mut("anyOf") {
                options.retain(|option| option.get("type") != Some(&Value::from("null")));
                if let [only] = options.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only.as_object().cloned().unwrap_or_default());
                }
            }
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            object.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The reference, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let schema = json_schema();
    let mut out = String::from(include_str!("reference.md"));
    let root = Reader { schema: &schema };
    out.push_str("\n## Keys\n\n");
    root.table(&schema, &mut out);
    let sections = [
        ("server", "Server"),
        ("server.response_headers", "Headers"),
        ("store", "Store"),
        ("access", "Access"),
        ("access.keys[]", "Key"),
        ("access.sessions", "Sessions"),
        ("access.oidc", "OidcFile"),
        ("access.oidc.roles", "OidcRoles"),
        ("providers.NAME", "Provider"),
        ("providers.NAME.timeouts", "Timeouts"),
        ("providers.NAME.custom", "CustomHttp"),
        ("providers.NAME.custom.answer", "Answer"),
        ("providers.NAME.custom.answer.text[]", "Spot"),
        ("providers.NAME.custom.answer.tool_calls", "Calls"),
        ("providers.NAME.custom.answer.usage", "Counts"),
        ("providers.NAME.custom.stream", "Stream"),
        ("models.NAME[]", "Target"),
        ("pools.NAME", "Pool"),
        ("routes[]", "Route"),
        ("routes[].match", "Match"),
        ("routes[].retry", "RouteRetry"),
        ("translation", "Translation"),
        ("limits", "Limits"),
        ("retry", "Retry"),
        ("retry.budget", "Budget"),
        ("hedge", "Hedge"),
        ("cooldown", "Cooldown"),
        ("cooldown.failing", "Rest"),
        ("probes", "Probes"),
        ("log", "Log"),
        ("metrics", "MetricsFile"),
        ("telemetry.otlp", "Otlp"),
        ("accounting", "Accounting"),
        ("accounting.exchange[]", "Currencies"),
        ("accounting.prices[]", "Price"),
        ("accounting.quotas[]", "Quota"),
        ("accounting.keep", "KeepTimes"),
        ("notifications", "NotificationsFile"),
        ("notifications.webhooks[]", "Webhook"),
    ];
    for (path, name) in sections {
        if let Some(definition) = root.definition(name) {
            section(&root, path, definition, &mut out);
        }
    }
    presets(&mut out);
    out.push_str("\n## Quirks\n\nThe keys of `providers.NAME.quirks`, with the values of a generic OpenAI-compatible server.\n\n");
    let profile = serde_json::to_value(polyport_protocol::Profile::default()).unwrap_or_default();
    root.fields("Profile", &profile, &mut out);
    out.push_str("\n## Abilities\n\nThe keys of `capabilities.NAME`, with what an unknown model of a Chat provider is assumed to do.\n\n");
    let abilities = serde_json::to_value(polyport_protocol::Capabilities::default()).unwrap_or_default();
    root.fields("Capabilities", &abilities, &mut out);
    out
}

fn section(root: &Reader<'_>, path: &str, definition: &Value, out: &mut String) {
    let description = definition.get("description").and_then(Value::as_str).unwrap_or_default();
    // Writing to a String cannot fail.
    writeln!(out, "\n### `{path}`\n\n{}\n", joined(description)).ok();
    root.table(definition, out);
}

fn presets(out: &mut String) {
    out.push_str("\n## Presets\n\nThe quirk table of a preset has the same name.\n\n");
    out.push_str("| Preset | Service | Protocol | Address | Key |\n|---|---|---|---|---|\n");
    for preset in Preset::all() {
        let otherwise = match preset.adapter {
            Adapter::Vertex => "by `location`",
            Adapter::Bedrock | Adapter::BedrockAnthropic => "by `region`",
            _ => "`base_url` is required",
        };
        let address = preset.base_url.as_deref().map_or(otherwise.to_owned(), |url| format!("`{url}`"));
        let keys: Vec<String> = preset.key_env.iter().map(|name| format!("`{name}`")).collect();
        let keys = if keys.is_empty() { "none needed".to_owned() } else { keys.join(" or ") };
        writeln!(out, "| `{}` | {} | {} | {address} | {keys} |", preset.name, preset.title, preset.protocol).ok();
    }
}

struct Reader<'s> {
    schema: &'s Value,
}

impl Reader<'_> {
    fn definition(&self, name: &str) -> Option<&Value> {
        self.schema.get("$defs")?.get(name)
    }

    fn table(&self, definition: &Value, out: &mut String) {
        out.push_str("| Key | Value | Meaning |\n|---|---|---|\n");
        for (name, property) in definition.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
            writeln!(out, "| `{name}` | {} | {} |", self.kind(property), cell(description)).ok();
        }
    }

    /// A table with a column of defaults, which `File` has in its words and the overridable tables have as values.
    fn fields(&self, name: &str, defaults: &Value, out: &mut String) {
        out.push_str("| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
        let properties = self.definition(name).and_then(|definition| definition.get("properties"));
        for (name, property) in properties.and_then(Value::as_object).into_iter().flatten() {
            let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
            let default = match defaults.get(name) {
                None | Some(Value::Null) => "–".to_owned(),
                Some(value) => format!("`{value}`"),
            };
            writeln!(out, "| `{name}` | {} | {default} | {} |", self.kind(property), cell(description)).ok();
        }
    }

    /// What may be written, in a few words.
    fn kind(&self, schema: &Value) -> String {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        if let Some(name) = reference {
            return match name {
                "Time" => "time".to_owned(),
                "Size" => "size".to_owned(),
                _ => self.definition(name).map_or(name.to_owned(), |definition| self.kind(definition)),
            };
        }
        if let Some(words) = words(schema) {
            return words;
        }
        if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
            let mut kinds: Vec<String> = options.iter().map(|option| self.kind(option)).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("boolean") => "true or false".to_owned(),
            Some("integer" | "number") => "number".to_owned(),
            Some("string") => "text".to_owned(),
            Some("array") => match schema.get("items") {
                Some(items) => format!("list of {}", self.kind(items)),
                None => "list".to_owned(),
            },
            Some("object") => "map".to_owned(),
            _ => "any".to_owned(),
        }
    }
}

/// The words of an enumeration, in back quotes.
pub(super) fn words(schema: &Value) -> Option<String> {
    let quoted = |value: &Value| value.as_str().map(|word| format!("`{word}`"));
    let listed: Vec<String> = match (schema.get("enum"), schema.get("oneOf")) {
        (Some(Value::Array(values)), _) => values.iter().filter_map(quoted).collect(),
        (None, Some(Value::Array(options))) => options
            .iter()
            .flat_map(|option| match (option.get("const"), option.get("enum")) {
                (Some(word), _) => vec![word],
                (None, Some(Value::Array(words))) => words.iter().collect(),
                _ => Vec::new(),
            })
            .filter_map(quoted)
            .collect(),
        _ => return None,
    };
    (!listed.is_empty()).then(|| listed.join(", "))
}

/// Line breaks of a comment are no line breaks of a text.
pub(super) fn joined(text: &str) -> String {
    text.replace("\n\n", "\u{0}").replace('\n', " ").replace('\u{0}', "\n\n")
}

fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// Compares a checked-in file with what it should be; `UPDATE_REFERENCE=1` writes it.
#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a variable says whether to write")]
pub(crate) fn checked_in(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{name} is stale: UPDATE_REFERENCE=1 cargo test -p polyport-server reference");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_schema_is_up_to_date() {
        let text = serde_json::to_string_pretty(&json_schema()).unwrap();
        checked_in("polyport.schema.json", &format!("{text}\n"));
    }

    #[test]
    fn the_reference_is_up_to_date() {
        checked_in("docs/CONFIGURATION.md", &markdown());
    }

    #[test]
    fn every_key_is_described() {
        let schema = json_schema();
        let definitions = schema["$defs"].as_object().unwrap();
        for (name, definition) in definitions.iter().chain([(&"File".to_owned(), &schema)]) {
            for (key, property) in definition["properties"].as_object().into_iter().flatten() {
                let described = property["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(described, "{name}.{key}");
            }
        }
    }

    #[test]
    fn the_examples_of_tokens_and_variables_are_understood() {
        use super::super::{Arguments, Environment, Purpose, Source};
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(root.join("tokens.json.example"), folder.path().join("tokens.json")).unwrap();
        let variables = std::fs::read_to_string(root.join(".env.example")).unwrap();
        let named = variables.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
        let value = |name: &str| match name {
            "POLYPORT_HOST" => "127.0.0.1".to_owned(),
            "POLYPORT_PORT" => "7659".to_owned(),
            "API_KEYS" => r#"["key-0123456789abcdef"]"#.to_owned(),
            _ => format!("{name}-0123456789abcdef"),
        };
        let variables: Vec<(String, String)> =
            named.filter(|(name, _)| !name.contains(' ')).map(|(name, _)| (name.to_owned(), value(name))).collect();
        assert!(variables.len() >= 7, "{variables:?}");
        let environment = Environment::of(variables, folder.path());
        let source = Source::new(None, environment, Arguments::default());
        let text = "providers: { assist: { preset: code-assist, oauth: { file: tokens.json } } }";
        let loaded = source.load_text(text, &[], Purpose::Serve).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.0.is_empty(), "{:?}", loaded.warnings);
        let config = loaded.config;
        assert_eq!((config.listen.port, config.access.has_keys(), config.access.has_admin_keys()), (7659, true, true));
        let projects = config.provider("assist").unwrap().credentials().iter().map(|one| one.project().cloned());
        assert_eq!(projects.collect::<Vec<_>>(), [Some("my-first-project".into()), Some("my-second-project".into())]);
    }

    #[test]
    fn the_example_fits_the_schema_and_loads() {
        use super::super::{Arguments, Environment, Purpose, Source};
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../polyport.example.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        // Everything that is commented out must be right, too.
        let all: String = text
            .lines()
            .map(|line| match line.strip_prefix("#") {
                // One space after the mark is prose, none or two are settings.
                Some(rest) if !rest.starts_with(' ') || rest.starts_with("  ") => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        for text in [text, all] {
            // The keys of the example are known to everybody, and refused.
            let text = text
                .replace("pp-3f1c8a52d94be07716aa", "pp-0123456789abcdef")
                .replace("pp-8d02c6e1f7a94b35c2de", "pp-fedcba9876543210");
            let source = Source::new(None, Environment::of([], "/nowhere"), Arguments::default());
            if let Err(problems) = source.load_text(&text, &[], Purpose::Inspect) {
                panic!("{problems}");
            }
            let value: Value = serde_saphyr::from_str(&text).unwrap();
            let schema = json_schema();
            let validator = jsonschema::validator_for(&schema).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
    }
}
