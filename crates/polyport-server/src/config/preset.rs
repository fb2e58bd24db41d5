//! Known services, as data.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use polyport_types::Protocol;
use serde::Deserialize;

/// What is known about a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name, which is also that of its quirk table.
    #[serde(skip)]
    pub name: String,
    /// For people.
    pub title: String,
    /// What it speaks.
    #[serde(default = "chat")]
    pub protocol: Protocol,
    /// Its address; `None` if every customer has another.
    pub base_url: Option<String>,
    /// The path its addresses have, for those given without one.
    pub path: Option<String>,
    /// The environment variable in which its own tools look for another address.
    pub base_url_env: Option<String>,
    /// Environment variables in which its own tools look for the key, best first.
    #[serde(default)]
    pub key_env: Vec<String>,
    /// Header for the key, if not that of the protocol.
    pub auth_header: Option<String>,
    /// Patterns of model names that are probably its own.
    #[serde(default)]
    pub claims: Vec<String>,
    /// The port it listens on when it runs on this machine; such a server needs no key.
    pub local_port: Option<u16>,
    /// It is looked for when nothing is configured.
    #[serde(default = "yes")]
    pub discover: bool,
}

fn chat() -> Protocol {
    Protocol::Chat
}

fn yes() -> bool {
    true
}

/// A mistake in the table is found by the tests of this module, so that a broken one never ships.
static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| parse().unwrap_or_default());

fn parse() -> Result<Vec<Preset>, toml::de::Error> {
    let text = include_str!("presets.toml");
    let mut by_name: BTreeMap<String, Preset> = toml::from_str(text)?;
    // The file's order is an order of preference, which a map does not keep.
    let order = text.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    Ok(order.filter_map(|name| by_name.remove_entry(name)).map(|(name, preset)| Preset { name, ..preset }).collect())
}

impl Preset {
    /// The preset of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|preset| preset.name == name)
    }

    /// All presets, in order of preference.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &PRESETS
    }

    /// Whether a request without a key would be refused.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        self.local_port.is_none() && self.name != "generic"
    }
}

#[cfg(test)]
mod tests {
    use polyport_protocol::Profile;
    use polyport_provider::Endpoint;

    use super::*;

    #[test]
    fn every_preset_parses_and_has_a_quirk_table_and_a_good_address() {
        let presets = parse().unwrap();
        assert_eq!(presets.len(), include_str!("presets.toml").lines().filter(|line| line.starts_with('[')).count());
        for preset in &presets {
            assert!(Profile::named(&preset.name).is_some(), "{}", preset.name);
            if let Some(url) = &preset.base_url {
                assert!(Endpoint::new(preset.protocol, url, false).is_ok(), "{url}");
            }
            assert!(preset.needs_key() != preset.key_env.is_empty(), "{}", preset.name);
        }
    }

    #[test]
    fn every_quirk_table_has_a_preset() {
        for name in Profile::names() {
            assert!(Preset::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_services_people_expect_are_there() {
        for name in [
            "openai",
            "openai-responses",
            "anthropic",
            "gemini",
            "deepseek",
            "openrouter",
            "groq",
            "mistral",
            "vllm",
            "sglang",
            "llama-cpp",
            "ollama",
            "lm-studio",
            "together",
            "xai",
            "moonshot",
            "dashscope",
            "zai",
            "cerebras",
            "fireworks",
            "databricks",
            "deepinfra",
            "gemini-compat",
            "azure",
            "snowflake",
            "generic",
        ] {
            assert!(Preset::named(name).is_some(), "{name}");
        }
    }
}
