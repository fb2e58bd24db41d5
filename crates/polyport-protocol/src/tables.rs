//! The shipped quirk tables by name.

use std::sync::LazyLock;

use polyport_types::Protocol;
use serde_json::{Map, Value};

use crate::profile::Profile;

type Tables = Map<String, Value>;

/// A mistake here is found by the tests of this module, so that a broken table never ships.
static TABLES: LazyLock<Tables> = LazyLock::new(|| toml::from_str(include_str!("profiles.toml")).unwrap_or_default());

/// A table may start from another one, but not without end.
const DEEPEST: usize = 4;

impl Profile {
    /// The quirks shipped under this name, e.g. `deepseek`; see [`Profile::names`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        from_table(&TABLES, name, DEEPEST)
    }

    /// All names [`Profile::named`] knows, in the order of the table.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLES.keys().map(String::as_str)
    }

    /// These quirks with some fields replaced.
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

fn from_table(tables: &Tables, name: &str, depth: usize) -> Option<Profile> {
    let mut table = tables.get(name)?.as_object()?.clone();
    let base = table.remove("base");
    let start = match base.as_ref().and_then(Value::as_str).unwrap_or("generic") {
        "compatible" => Profile::default(),
        "chat-api" => Profile::of_protocol(Protocol::Chat),
        "responses-api" => Profile::of_protocol(Protocol::Responses),
        "messages-api" => Profile::of_protocol(Protocol::Messages),
        "gemini-api" => Profile::of_protocol(Protocol::Gemini),
        other => from_table(tables, other, depth.checked_sub(1)?)?,
    };
    let also_drop = table.remove("also_drop").map(serde_json::from_value::<Vec<String>>);
    let mut profile = start.with(&table).ok()?;
    profile.drop.extend(also_drop.transpose().ok()?.unwrap_or_default());
    Some(profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{
        JsonMode, LimitField, ReasoningBack, ReasoningBackWhen, ThinkingControl, ToolChoiceMode, ToolIdRule, UsageRule,
    };

    fn named(name: &str) -> Profile {
        Profile::named(name).unwrap_or_else(|| panic!("{name}"))
    }

    #[test]
    fn every_table_parses_and_has_only_known_fields() {
        let tables: Tables = toml::from_str(include_str!("profiles.toml")).unwrap();
        for (name, table) in &tables {
            let mut fields = table.as_object().unwrap().clone();
            fields.remove("base");
            fields.remove("also_drop");
            if let Err(error) = Profile::default().with(&fields) {
                panic!("{name}: {error}");
            }
            assert!(Profile::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn protocols_have_their_official_tables() {
        assert_eq!(named("anthropic"), Profile::of_protocol(Protocol::Messages));
        assert_eq!(named("gemini"), Profile::of_protocol(Protocol::Gemini));
        let openai = Profile { cache_ttl_12h: true, ..Profile::of_protocol(Protocol::Chat) };
        assert_eq!(named("openai"), openai);
    }

    #[test]
    fn known_quirks() {
        assert_eq!(named("mistral").tool_id, ToolIdRule::Mistral9);
        assert_eq!(named("mistral").required_word.as_deref(), Some("any"));
        assert_eq!(named("mistral").rename["seed"], "random_seed");
        assert_eq!(named("deepseek").json_mode, JsonMode::Object);
        assert_eq!(named("deepseek").reasoning_placeholder.as_deref(), Some(""));
        assert_eq!(named("xai").limit_field, LimitField::MaxCompletionTokens);
        assert_eq!(named("xai").usage_rule, UsageRule::ReasoningOutside);
        assert_eq!(named("openrouter").reasoning_back, ReasoningBack::Details);
        assert_eq!(named("openrouter").thinking_control, ThinkingControl::OpenRouter);
        for (name, member) in [("openrouter", "cache_control"), ("mistral", "document_url"), ("mistral", "prefix")] {
            assert!(named(name).accept.contains(&member.to_owned()), "{name}");
        }
        for name in ["cerebras", "zai", "openrouter", "mistral"] {
            assert_eq!(named(name).reasoning_back_when, ReasoningBackWhen::All, "{name}");
        }
        assert_eq!(
            named("lm-studio").tool_choice,
            [ToolChoiceMode::Auto, ToolChoiceMode::None, ToolChoiceMode::Required]
        );
        assert!(named("dashscope").thinking_needs_stream);
        assert!(!named("fireworks").stream_usage);
        assert!(
            ["store", "stream_options"].iter().all(|member| named("fireworks").drop.contains(&(*member).to_owned()))
        );
        assert!(!named("databricks").stream_usage);
        assert!(named("snowflake").may_omit_finish);
        assert!(named("generic").stream_usage);
    }

    #[test]
    fn sglang_inherits_from_vllm() {
        let sglang = named("sglang");
        assert!(sglang.system_first);
        assert!(sglang.drop.contains(&"store".to_owned()));
        assert!(sglang.accept.contains(&"ebnf".to_owned()));
    }

    #[test]
    fn single_fields_can_be_replaced() {
        let fields: Map<String, Value> = serde_json::from_str(r#"{"system_first": true}"#).unwrap();
        assert!(named("openai").with(&fields).unwrap().system_first);
        let wrong: Map<String, Value> = serde_json::from_str(r#"{"sistem_first": true}"#).unwrap();
        assert!(named("openai").with(&wrong).is_err());
    }
}
