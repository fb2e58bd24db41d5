//! Known services, as data.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use polyport_provider::Adapter;
use polyport_types::Protocol;
use serde::Deserialize;

use super::local::file::Process;

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
    /// How it is spoken to.
    #[serde(default)]
    pub adapter: Adapter,
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
    /// How its program is run, if it is one on this machine.
    process: Option<Process>,
    /// Names its program goes by, best first.
    #[serde(default)]
    pub(super) programs: Vec<String>,
    /// It is looked for when nothing is configured.
    #[serde(default = "yes")]
    pub discover: bool,
    /// Accounts can be used, besides keys where it has variables for them.
    #[serde(default)]
    accounts: bool,
    /// Members of a definition that are asked for besides address and credential, by their paths.
    #[serde(default)]
    pub needs: Vec<String>,
}

/// What a service wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// A key.
    Key,
    /// An account, whose tokens are refreshed.
    Account,
    /// One of the two.
    Either,
    /// Nothing; a key may be given.
    Nothing,
}

impl Wants {
    /// All of them, as they are written.
    pub const WORDS: [&str; 4] = ["key", "account", "either", "none"];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Account => "account",
            Self::Either => "either",
            Self::Nothing => "none",
        }
    }
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

    /// How its program is run, if it is one on this machine.
    pub(super) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Whether it runs on the operator's machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local_port.is_some() || self.process.is_some()
    }

    /// Whether every customer has another address.
    #[must_use]
    pub fn needs_address(&self) -> bool {
        let made = self.adapter == Adapter::Vertex || self.adapter.is_aws();
        self.base_url.is_none() && self.process.is_none() && !made
    }

    /// What it wants to see.
    #[must_use]
    pub fn wants(&self) -> Wants {
        match (self.needs_key(), self.accounts, self.adapter) {
            (false, ..) => Wants::Nothing,
            (true, false, _) => Wants::Key,
            (true, true, Adapter::CodeAssist | Adapter::Antigravity | Adapter::Warp) => Wants::Account,
            (true, true, _) => Wants::Either,
        }
    }

    /// How it is spoken to, in the words of the configuration file; `None` if as its protocol's own servers.
    #[must_use]
    pub fn adapter_word(&self) -> Option<&'static str> {
        if self.process.is_some() {
            return Some("process");
        }
        match self.adapter {
            Adapter::Http => None,
            other => Some(other.as_str()),
        }
    }

    /// Whether a request without a key would be refused.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        self.local_port.is_none() && self.process.is_none() && self.name != "generic"
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
            let accounts = preset.adapter != Adapter::Http;
            assert!(accounts || preset.needs_key() != preset.key_env.is_empty(), "{}", preset.name);
            // Some credential can be given to each that wants one.
            assert!(preset.accounts || !preset.needs_key() || !preset.key_env.is_empty(), "{}", preset.name);
            let word = preset.adapter_word().unwrap_or("http");
            let asked: super::super::file::Adapter = serde_json::from_value(word.into()).unwrap();
            assert_eq!(asked.by_http().unwrap_or_default(), preset.adapter, "{word} is a word of the file");
        }
    }

    #[test]
    fn what_a_preset_asks_for_are_members_of_a_provider() {
        let schema = super::super::reference::json_schema();
        let members = |name: &str| schema["$defs"][name]["properties"].as_object().unwrap();
        for preset in Preset::all() {
            for path in &preset.needs {
                let (first, rest) = path.split_once('.').unwrap_or((path, ""));
                assert!(members("Provider").contains_key(first), "{}: {path}", preset.name);
                let section = match first {
                    "oauth" => "OAuth",
                    "process" => "Process",
                    _ => "",
                };
                assert!(rest.is_empty() || members(section).contains_key(rest), "{}: {path}", preset.name);
            }
        }
        let wants = |name: &str| Preset::named(name).unwrap().wants();
        assert_eq!(wants("openai"), Wants::Key);
        assert_eq!(wants("warp"), Wants::Account);
        assert_eq!(wants("vertex"), Wants::Either);
        assert_eq!(wants("ollama"), Wants::Nothing);
        assert!(Preset::named("azure").unwrap().needs_address() && !Preset::named("bedrock").unwrap().needs_address());
    }

    #[test]
    fn addresses_are_those_of_the_reference() {
        use polyport_testkit::shared;
        let Some(reference) = shared::text("upstreams/openai-compatible-quirks.md") else {
            return shared::skip("addresses_are_those_of_the_reference");
        };
        let table = reference.split("## 13.").nth(1).and_then(|rest| rest.split("## 14.").next()).unwrap();
        for name in [
            "openai",
            "deepseek",
            "openrouter",
            "groq",
            "mistral",
            "together",
            "fireworks",
            "cerebras",
            "deepinfra",
            "xai",
            "moonshot",
            "dashscope",
            "zai",
            "gemini-compat",
            "ollama",
            "lm-studio",
            "llama-cpp",
            "vllm",
        ] {
            let url = Preset::named(name).unwrap().base_url.as_deref().unwrap();
            assert!(table.contains(&format!("`{url}`")), "{name}: {url}");
        }
    }

    #[test]
    fn quirks_are_those_of_the_reference() {
        use polyport_protocol::profile::{EmptyContent, LimitField, ThinkingControl, ToolChoiceMode as Mode};
        use polyport_testkit::shared;
        let Some(reference) = shared::text("upstreams/openai-compatible-quirks.md") else {
            return shared::skip("quirks_are_those_of_the_reference");
        };
        let table = reference.split("| Preset |").nth(1).unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let rows: Vec<Vec<&str>> = rows.map(|line| line.split('|').map(str::trim).skip(1).collect()).collect();
        let (mut presets, mut compared) = (0, 0);
        for row in &rows {
            let [names, limit, usage, _, empty, _, choice, thinking, ..] = row[..] else { panic!("{row:?}") };
            for name in names.split([',', '/']) {
                let name = name.trim().replace("llamacpp", "llama-cpp").replace("lmstudio", "lm-studio");
                let profile = Profile::named(&name).unwrap_or_else(|| panic!("{name}"));
                presets += 1;
                let mut same = |good: Option<bool>, cell: &str| {
                    compared += usize::from(good.is_some());
                    assert!(good != Some(false), "{name}: the reference has `{cell}`, not {profile:?}");
                };
                // What a cell says in prose, or by model, is not compared.
                let expected = match limit {
                    "max_tokens" => Some(LimitField::MaxTokens),
                    "max_completion_tokens" => Some(LimitField::MaxCompletionTokens),
                    _ => None,
                };
                same(expected.map(|field| field == profile.limit_field), limit);
                same(Some(usage.starts_with("ask") == profile.stream_usage), usage);
                let expected = match empty.split(' ').next() {
                    Some("null") => Some(EmptyContent::Null),
                    Some("`\"\"`") => Some(EmptyContent::Empty),
                    Some("omit") => Some(EmptyContent::Omit),
                    _ => None,
                };
                same(expected.map(|content| content == profile.empty_content), empty);
                let words = choice.split('(').next().unwrap_or_default().trim();
                let modes =
                    [("auto", Mode::Auto), ("none", Mode::None), ("required", Mode::Required), ("named", Mode::Named)];
                let expected: Option<Vec<Mode>> = match words {
                    "all" => Some(modes.map(|(_, mode)| mode).to_vec()),
                    "strings only" => Some(vec![Mode::Auto, Mode::None, Mode::Required]),
                    _ => words.split(", ").map(|word| Some(modes.iter().find(|(name, _)| *name == word)?.1)).collect(),
                };
                let plain = profile.tool_choice.iter().filter(|mode| **mode != Mode::Allowed);
                same(expected.map(|modes| plain.eq(&modes)), choice);
                let expected = match thinking.split([' ', ';']).next() {
                    Some("effort") => Some(ThinkingControl::Effort),
                    Some("thinking_type") => Some(ThinkingControl::ThinkingType),
                    Some("enable_thinking") => Some(ThinkingControl::EnableThinking),
                    Some("template_kwargs") => Some(ThinkingControl::TemplateKwargs),
                    Some("openrouter") => Some(ThinkingControl::OpenRouter),
                    _ => None,
                };
                same(expected.map(|control| control == profile.thinking_control), thinking);
            }
        }
        assert!(presets >= 18 && compared > presets * 4, "{compared} cells of {presets} presets");
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
