//! What single models can do: a table of facts and rules for families.
//!
//! `models.txt` is made by `cargo xtask models` from public tables and holds facts about single models; `capabilities.toml` is
//! written by hand and says what families of models have in common. Nothing is parsed before it is needed.

use std::sync::LazyLock;

use polyport_types::model_name::undated;
use polyport_types::{Effort, Pattern, Protocol};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::profile::{AnthropicThinking, Capabilities, GeminiThinking};

const FACTS: &str = include_str!("models.txt");

/// A mistake here is found by the tests of this module, so that a broken table never ships.
static RULES: LazyLock<Rules> = LazyLock::new(|| toml::from_str(include_str!("capabilities.toml")).unwrap_or_default());

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    family: Vec<Rule>,
    correction: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    models: Vec<String>,
    #[serde(default)]
    protocols: Vec<Protocol>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Rule {
    fn fits(&self, protocol: Protocol, host: Option<&str>, name: &str) -> bool {
        (self.protocols.is_empty() || self.protocols.contains(&protocol))
            && (self.hosts.is_empty() || host.is_some_and(|host| self.hosts.iter().any(|known| known == host)))
            && self.models.iter().any(|pattern| Pattern::new(pattern.as_str()).matches(name))
    }
}

impl Capabilities {
    /// What a model can do. `host` is the name of the quirk table of its provider, where known: some services host foreign models with
    /// limits of their own. A model nobody knows gets [`Capabilities::of_protocol`].
    #[must_use]
    pub fn of_model(protocol: Protocol, host: Option<&str>, model: &str) -> Self {
        let full = model.strip_prefix("models/").unwrap_or(model).to_lowercase();
        let bare = bare_name(&full);
        let mut found = apply(&RULES.family, Self::of_protocol(protocol), protocol, host, &bare);
        for row in rows(host, &full, &bare) {
            Facts::read(row).apply(&mut found);
        }
        apply(&RULES.correction, found, protocol, host, &bare)
    }

    /// These abilities with some fields replaced.
    ///
    /// # Errors
    /// What is wrong with the first field that is unknown or has the wrong type.
    pub fn with(&self, fields: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        if let Value::Object(all) = &mut all {
            all.extend(fields.clone());
        }
        serde_json::from_value(all)
    }
}

fn apply(rules: &[Rule], start: Capabilities, protocol: Protocol, host: Option<&str>, name: &str) -> Capabilities {
    let mut fields = Map::new();
    for rule in rules.iter().filter(|rule| rule.fits(protocol, host, name)) {
        fields.extend(rule.fields.clone());
    }
    if fields.is_empty() { start } else { start.with(&fields).unwrap_or(start) }
}

/// Makers as AWS Bedrock names them, before a dot: `us.amazon.nova-pro-v1:0`.
const AWS_MAKERS: [&str; 17] = [
    "ai21.",
    "amazon.",
    "anthropic.",
    "cohere.",
    "deepseek.",
    "google.",
    "luma.",
    "meta.",
    "minimax.",
    "mistral.",
    "moonshot.",
    "moonshotai.",
    "nvidia.",
    "openai.",
    "qwen.",
    "writer.",
    "zai.",
];

/// The name without maker, region, version and variant: `us.anthropic.claude-opus-4-5-20251101-v1:0`, `claude-opus-4.5@20251101` and
/// `anthropic/claude-opus-4.5:beta` are all `claude-opus-4-5` (with the date).
fn bare_name(full: &str) -> String {
    let last = full.rsplit('/').next().unwrap_or(full);
    let last = last.split(':').next().unwrap_or(last).replace('@', "-");
    let of_aws = AWS_MAKERS.iter().find_map(|maker| {
        let (before, name) = last.split_once(maker)?;
        (before.is_empty() || before.ends_with('.')).then_some(name)
    });
    let last = match of_aws {
        Some(name) => without_version(name).to_owned(),
        None => last,
    };
    match last.find("claude-").and_then(|at| last.get(at..)) {
        Some(claude) => claude.replace('.', "-"),
        None => last,
    }
}

/// Without `-v1` at its end.
fn without_version(name: &str) -> &str {
    let versioned = name.rsplit_once("-v").filter(|(_, version)| version.bytes().all(|byte| byte.is_ascii_digit()));
    versioned.map_or(name, |(name, _)| name)
}

/// Rows of the table, least specific first: of the maker without date, of the maker, of the host.
fn rows<'a>(host: Option<&str>, full: &str, bare: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let undated = undated(bare).or_else(|| bare.strip_suffix("-latest"));
    found.extend(undated.and_then(|name| row("", name)));
    found.extend(row("", bare));
    if let Some(host) = host {
        found.extend(row(host, full).or_else(|| row(host, bare)));
    }
    found
}

/// What follows the name in a row of a section. The table is searched as text: that takes some microseconds, no memory, and happens
/// once per model.
fn row(section: &str, name: &str) -> Option<&'static str> {
    let mut current = "";
    for line in FACTS.lines() {
        if let Some(head) = line.strip_prefix('[') {
            current = head.trim_end_matches(']');
        } else if current == section
            && let Some(rest) = line.strip_prefix(name)
            && let Some(rest) = rest.strip_prefix(' ')
        {
            return Some(rest);
        }
    }
    None
}

/// A row of the table.
#[derive(Debug, Default)]
struct Facts {
    context: Option<u64>,
    output: Option<u64>,
    letters: &'static str,
    efforts: Vec<Effort>,
    budget: Option<(i64, Option<i64>)>,
}

impl Facts {
    fn read(row: &'static str) -> Self {
        let mut words = row.split(' ');
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let mut facts = Self { context: number(), output: number(), ..Self::default() };
        facts.letters = words.next().unwrap_or_default();
        for word in words {
            if let Some(numbers) = word.strip_prefix('e') {
                let effort = |digit: char| Effort::ALL.get(usize::try_from(digit.to_digit(10)?).ok()?).copied();
                facts.efforts = numbers.chars().filter_map(effort).collect();
            } else if let Some((least, most)) = word.strip_prefix('b').and_then(|range| range.split_once('-')) {
                facts.budget = least.parse().ok().map(|least| (least, most.parse().ok()));
            }
        }
        facts
    }

    /// Whether the model has an ability; `None` if the table does not say.
    fn has(&self, letter: char) -> Option<bool> {
        let found = self.letters.chars().find(|known| known.eq_ignore_ascii_case(&letter))?;
        Some(found.is_ascii_uppercase())
    }

    fn apply(&self, to: &mut Capabilities) {
        to.context = self.context.or(to.context);
        to.max_output = self.output.or(to.max_output);
        let set = |field: &mut bool, letter| *field = self.has(letter).unwrap_or(*field);
        set(&mut to.images, 'I');
        set(&mut to.documents, 'D');
        set(&mut to.audio, 'A');
        set(&mut to.video, 'V');
        set(&mut to.tools, 'T');
        set(&mut to.structured_output, 'S');
        set(&mut to.reasoning_off, 'O');
        set(&mut to.prefill, 'F');
        set(&mut to.forced_tool_choice, 'U');
        set(&mut to.fast, 'X');
        for field in [&mut to.temperature, &mut to.top_p, &mut to.top_k] {
            set(field, 'P');
        }
        match (self.has('B'), self.has('K')) {
            (Some(true), Some(true)) => to.anthropic_thinking = AnthropicThinking::Both,
            (Some(true), _) => to.anthropic_thinking = AnthropicThinking::Budget,
            (_, Some(true)) => to.anthropic_thinking = AnthropicThinking::Adaptive,
            _ => {}
        }
        if !self.efforts.is_empty() {
            to.efforts.clone_from(&self.efforts);
        }
        if let Some((least, most)) = self.budget {
            to.budget_min = least;
            to.budget_max = most.unwrap_or(to.budget_max);
        }
        match self.has('R') {
            Some(true) => to.reasoning = true,
            Some(false) => {
                to.reasoning = false;
                to.efforts.clear();
                to.anthropic_thinking = AnthropicThinking::None;
                to.gemini_thinking = GeminiThinking::None;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use polyport_types::Family;

    use super::*;

    fn on(protocol: Protocol, model: &str) -> Capabilities {
        Capabilities::of_model(protocol, None, model)
    }

    fn efforts(found: &Capabilities) -> String {
        found.efforts.iter().map(|effort| effort.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_tables_parse() {
        let rules: Rules = toml::from_str(include_str!("capabilities.toml")).unwrap();
        for rule in rules.family.iter().chain(&rules.correction) {
            if let Err(error) = Capabilities::default().with(&rule.fields) {
                panic!("{:?}: {error}", rule.models);
            }
            assert!(!rule.fields.is_empty(), "{:?}", rule.models);
        }
        for line in FACTS.lines().filter(|line| !line.starts_with(['#', '['])) {
            let words: Vec<&str> = line.split(' ').collect();
            assert!((4..=6).contains(&words.len()), "{line}");
            assert!(words[1] == "-" || words[1].parse::<u64>().is_ok(), "{line}");
            assert!(words[3].chars().all(|letter| "IDAVTSRPOFUXBK-".contains(letter.to_ascii_uppercase())), "{line}");
        }
    }

    #[test]
    fn claude_models_think_by_class() {
        use AnthropicThinking::{Adaptive, Both, Budget, None};
        let cases = [
            ("claude-3-5-haiku-20241022", None, "", true, true),
            ("claude-3-7-sonnet-20250219", Budget, "", true, true),
            ("claude-sonnet-4-20250514", Budget, "", true, true),
            ("claude-opus-4-1-20250805", Budget, "", true, true),
            ("claude-opus-4-5-20251101", Budget, "low medium high", true, true),
            ("claude-haiku-4-5", Budget, "", true, true),
            ("claude-opus-4-6", Both, "low medium high max", true, false),
            ("claude-sonnet-4-6", Both, "low medium high max", true, false),
            ("claude-opus-4-7", Adaptive, "low medium high xhigh max", false, false),
            ("claude-opus-5", Adaptive, "low medium high xhigh max", false, false),
            ("claude-fable-5", Adaptive, "low medium high xhigh max", false, false),
            ("claude-opus-9-20300101", Adaptive, "low medium high xhigh max", false, false),
        ];
        for (model, thinking, levels, sampling, prefill) in cases {
            let found = on(Protocol::Messages, model);
            assert_eq!(found.anthropic_thinking, thinking, "{model}");
            assert_eq!(efforts(&found), levels, "{model}");
            assert_eq!((found.temperature, found.prefill), (sampling, prefill), "{model}");
            assert_eq!(found.family, Family::Anthropic);
            assert!(found.images && found.cache_markers && !found.audio, "{model}");
        }
        assert!(!on(Protocol::Messages, "claude-sonnet-4-5").temperature_with_top_p);
        assert!(!on(Protocol::Messages, "claude-fable-5").reasoning_off);
        assert!(on(Protocol::Messages, "claude-opus-4-8").mid_system);
        assert!(!on(Protocol::Messages, "claude-opus-4-7").mid_system);
        assert!(!on(Protocol::Messages, "claude-opus-5-5").forced_tool_choice);
        assert!(on(Protocol::Messages, "claude-opus-5").fast);
        assert_eq!(on(Protocol::Messages, "claude-sonnet-4-6").max_output, Some(128_000));
        assert!(!on(Protocol::Messages, "claude-3-opus-20240229").structured_output);
        assert!(on(Protocol::Messages, "claude-opus-4-5").structured_output);
    }

    #[test]
    fn openai_reasoning_models_refuse_sampling() {
        for model in
            ["o1", "o3", "o4-mini-2025-04-16", "gpt-5", "gpt-5.1-2025-11-13", "gpt-5-codex", "gpt-6-sol", "gpt-7"]
        {
            let found = on(Protocol::Chat, model);
            assert!(
                !found.temperature && !found.top_p && !found.penalties && !found.stop && found.reasoning,
                "{model}"
            );
            assert_eq!(found.family, Family::OpenAi);
        }
        assert!(on(Protocol::Chat, "o3-mini").stop);
        for (model, marks) in [("gpt-5.6-sol", true), ("gpt-6", true), ("gpt-5.5", false)] {
            assert_eq!(on(Protocol::Chat, model).cache_markers, marks, "{model}");
        }
        for model in ["gpt-4o", "gpt-4.1-mini-2025-04-14", "gpt-3.5-turbo", "gpt-5-chat-latest"] {
            let found = on(Protocol::Chat, model);
            assert!(found.temperature && found.stop && !found.reasoning && found.efforts.is_empty(), "{model}");
        }
        assert_eq!(efforts(&on(Protocol::Chat, "gpt-5-2025-08-07")), "minimal low medium high");
        assert_eq!(efforts(&on(Protocol::Responses, "gpt-5.1")), "none low medium high");
        assert_eq!(efforts(&on(Protocol::Responses, "gpt-5.2")), "none low medium high xhigh");
        assert_eq!(efforts(&on(Protocol::Responses, "gpt-5-pro")), "high");
        assert!(!on(Protocol::Chat, "gpt-5").reasoning_off);
        assert!(on(Protocol::Chat, "gpt-5.1").reasoning_off);
        assert_eq!(on(Protocol::Chat, "gpt-4o-2024-08-06").max_output, Some(16_384));
        assert_eq!(on(Protocol::Chat, "gpt-4o-2024-05-13").max_output, Some(4096));
    }

    #[test]
    fn gemini_models_think_by_budget_or_level() {
        let found = on(Protocol::Gemini, "gemini-2.5-pro");
        assert_eq!((found.gemini_thinking, found.budget_min, found.budget_max), (GeminiThinking::Budget, 128, 32_768));
        assert!(!found.reasoning_off && !found.needs_signatures && !found.validated_calls);
        let found = on(Protocol::Gemini, "models/gemini-2.5-flash");
        assert_eq!((found.budget_min, found.budget_max, found.reasoning_off), (0, 24_576, true));
        let found = on(Protocol::Gemini, "gemini-2.5-flash-lite");
        assert_eq!((found.budget_min, found.budget_max, found.reasoning_off), (512, 24_576, true));
        for (model, levels) in [
            ("gemini-3-pro-preview", "low high"),
            ("gemini-3.1-pro-preview", "low medium high"),
            ("gemini-3-flash-preview", "minimal low medium high"),
            ("gemini-3.7-flash", "low medium high"),
            ("gemini-5-pro", "low medium high"),
        ] {
            let found = on(Protocol::Gemini, model);
            assert_eq!((found.gemini_thinking, &*efforts(&found)), (GeminiThinking::Level, levels), "{model}");
            assert!(found.needs_signatures && found.tool_result_media && !found.reasoning_off, "{model}");
        }
        let found = on(Protocol::Gemini, "gemini-2.0-flash");
        assert!(!found.reasoning && found.gemini_thinking == GeminiThinking::None && found.video && found.audio);
        assert!(!on(Protocol::Gemini, "gemini-3.6-flash").temperature);
    }

    #[test]
    fn hosts_have_limits_of_their_own() {
        let groq = Capabilities::of_model(Protocol::Chat, Some("groq"), "openai/gpt-oss-120b");
        assert_eq!((groq.context, &*efforts(&groq), groq.images), (Some(131_072), "low medium high", false));
        let groq = Capabilities::of_model(Protocol::Chat, Some("groq"), "qwen/qwen3-32b");
        assert_eq!(efforts(&groq), "none");
        let router = Capabilities::of_model(Protocol::Chat, Some("openrouter"), "anthropic/claude-opus-4.5");
        assert!(router.cache_markers && router.reasoning && router.family == Family::Anthropic);
    }

    #[test]
    fn names_are_read_in_any_form() {
        let plain = on(Protocol::Messages, "claude-opus-4-5-20251101");
        for name in
            ["us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5@20251101", "anthropic/claude-opus-4.5"]
        {
            let found = on(Protocol::Messages, name);
            assert_eq!((found.anthropic_thinking, found.temperature), (plain.anthropic_thinking, true), "{name}");
        }
        assert_eq!(on(Protocol::Chat, "GPT-4o").max_output, Some(16_384));
    }

    #[test]
    fn others_by_family() {
        let found = on(Protocol::Chat, "deepseek-v4-pro");
        assert_eq!((found.family, found.images, &*efforts(&found)), (Family::Unknown, false, "high max"));
        assert_eq!(on(Protocol::Chat, "kimi-k3").family, Family::Moonshot);
        assert!(on(Protocol::Chat, "kimi-k2.5").images);
        assert!(!on(Protocol::Chat, "kimi-k2-0905-preview").images);
        assert!(on(Protocol::Chat, "grok-4.5").efforts == [Effort::Low, Effort::Medium, Effort::High]);
        assert!(on(Protocol::Chat, "grok-code-fast-1").efforts.is_empty());
        assert!(!on(Protocol::Chat, "grok-4.5").stop);
        let deepseek = on(Protocol::Messages, "deepseek-v4-flash");
        assert!(!deepseek.web_search && !deepseek.mcp && deepseek.anthropic_thinking == AnthropicThinking::Budget);
    }

    #[test]
    fn unknown_models_get_what_their_protocol_assumes() {
        for protocol in Protocol::ALL {
            assert_eq!(on(protocol, "no-such-model"), Capabilities::of_protocol(protocol));
        }
    }
}
