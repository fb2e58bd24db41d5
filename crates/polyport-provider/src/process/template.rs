//! Templates of the operator: arguments, environment, folder, and the text that a conversation becomes.
//!
//! They see the variables they are given and nothing else: no file is included and no time is known. Each may do a bounded amount of work.

use std::collections::HashSet;
use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::Map;

/// Steps one template may take: enough for conversations of many thousand turns, and over within a second.
const FUEL: u64 = 20_000_000;

/// Texts for conversations that ship with Polyport, by name.
const CHATS: [(&str, &str); 5] = [
    ("plain", include_str!("chat/plain.jinja")),
    ("chatml", include_str!("chat/chatml.jinja")),
    ("llama3", include_str!("chat/llama3.jinja")),
    ("gemma", include_str!("chat/gemma.jinja")),
    ("mistral", include_str!("chat/mistral.jinja")),
];

/// One compiled template, with the setting it comes from.
#[derive(Clone)]
pub struct Template {
    environment: std::sync::Arc<Environment<'static>>,
    /// The variables it looks at.
    mentions: HashSet<String>,
    source: Box<str>,
}

/// A template cannot be compiled or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

/// Values for several templates.
pub(super) fn values(variables: &Map<String, serde_json::Value>) -> Value {
    Value::from(Serde(variables))
}

/// The name every template has in its own environment.
const NAME: &str = "template";

impl Template {
    /// A template of one value. A variable that is not there is a mistake, unless it is only asked for with `or`, `if` or `default`.
    ///
    /// # Errors
    /// [`TemplateError`] says what is wrong with it.
    pub fn value(source: &str) -> Result<Self, TemplateError> {
        Self::new(source, UndefinedBehavior::SemiStrict)
    }

    /// A template for a whole conversation, as models ship with them: written for Python's Jinja with blocks trimmed.
    ///
    /// # Errors
    /// [`TemplateError`] says what is wrong with it.
    pub fn chat(source: &str) -> Result<Self, TemplateError> {
        let source = CHATS.iter().find(|(name, _)| *name == source.trim()).map_or(source, |(_, known)| known);
        Self::new(source, UndefinedBehavior::Lenient)
    }

    /// The names [`Template::chat`] knows.
    pub fn chats() -> impl Iterator<Item = &'static str> {
        CHATS.iter().map(|(name, _)| *name)
    }

    fn new(source: &str, undefined: UndefinedBehavior) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(undefined);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        let trims = undefined == UndefinedBehavior::Lenient;
        let syntax = SyntaxConfig::builder().trim_blocks(trims).lstrip_blocks(trims).build();
        environment.set_syntax(syntax.map_err(|error| TemplateError::of(&error))?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |words: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, words))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| TemplateError::of(&error))?;
        let mentions =
            environment.get_template(NAME).map_err(|error| TemplateError::of(&error))?.undeclared_variables(false);
        Ok(Self { environment: std::sync::Arc::new(environment), mentions, source: source.into() })
    }

    /// Fills it in.
    ///
    /// # Errors
    /// [`TemplateError`] says what is wrong, without the values.
    pub fn render(&self, variables: &Map<String, serde_json::Value>) -> Result<String, TemplateError> {
        self.fill(&values(variables))
    }

    /// The same, for values that go into several templates.
    pub(super) fn fill(&self, values: &Value) -> Result<String, TemplateError> {
        let template = self.environment.get_template(NAME).map_err(|error| TemplateError::of(&error))?;
        template.render(values.clone()).map_err(|error| TemplateError::of(&error))
    }

    /// Whether it looks at a variable.
    #[must_use]
    pub fn mentions(&self, variable: &str) -> bool {
        self.mentions.contains(variable)
    }

    /// The variables it looks at.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.mentions.iter().map(String::as_str)
    }

    /// How it is written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl TemplateError {
    /// What went wrong and in which line.
    fn of(error: &Error) -> Self {
        let what = match error.kind() {
            ErrorKind::OutOfFuel => "it does not come to an end".to_owned(),
            kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
        };
        Self(match error.line() {
            Some(line) if line > 1 => format!("{what} (line {line})"),
            _ => what,
        })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(values: serde_json::Value) -> Map<String, serde_json::Value> {
        serde_json::from_value(values).unwrap()
    }

    fn said(chat: &str) -> String {
        let messages = json!([
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"},
            {"role": "assistant", "content": "2"}, {"role": "user", "content": "and 2+2?"},
        ]);
        Template::chat(chat)
            .unwrap()
            .render(&with(json!({"messages": messages, "add_generation_prompt": true})))
            .unwrap()
    }

    #[test]
    fn conversations_become_text() {
        assert_eq!(
            said("chatml"),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n\
             <|im_start|>user\nand 2+2?<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(said("plain"), "Be brief.\n\nUser: 1+1?\n\nAssistant: 2\n\nUser: and 2+2?\n\nAssistant:");
        assert_eq!(
            said("llama3"),
            "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n\
             1+1?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n2<|eot_id|><|start_header_id|>user\
             <|end_header_id|>\n\nand 2+2?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        );
        assert_eq!(
            said("gemma"),
            "<start_of_turn>user\nBe brief.\n\n1+1?<end_of_turn>\n<start_of_turn>model\n2<end_of_turn>\n<start_of_turn>user\n\
             and 2+2?<end_of_turn>\n<start_of_turn>model\n"
        );
        assert_eq!(said("mistral"), "[INST] Be brief.\n\n1+1? [/INST] 2</s>[INST] and 2+2? [/INST]");
        for name in Template::chats() {
            assert!(said(name).contains("and 2+2?"), "{name}");
        }
    }

    #[test]
    fn a_single_question_stays_what_it_is() {
        let messages = json!([{"role": "user", "content": "1+1?"}]);
        let plain = Template::chat("plain").unwrap();
        assert_eq!(plain.render(&with(json!({"messages": messages, "add_generation_prompt": true}))).unwrap(), "1+1?");
    }

    #[test]
    fn python_s_methods_are_there_and_refusals_are_told() {
        let template =
            Template::chat("{{ ' a '.strip() }}{% if x %}{{ raise_exception('no ' ~ x) }}{% endif %}").unwrap();
        assert_eq!(template.render(&Map::new()).unwrap(), "a");
        assert_eq!(template.render(&with(json!({"x": 1}))).unwrap_err().to_string(), "invalid operation: no 1");
    }

    #[test]
    fn what_is_missing_is_a_mistake_in_values_only() {
        let value = Template::value("{{ seed }}").unwrap();
        assert!(value.mentions("seed") && !value.mentions("model"));
        assert!(value.render(&Map::new()).unwrap_err().to_string().contains("undefined"));
        assert_eq!(Template::value("{{ seed or 7 }}").unwrap().render(&Map::new()).unwrap(), "7");
        assert_eq!(Template::chat("{{ seed }}!").unwrap().render(&Map::new()).unwrap(), "!");
        assert!(Template::value("{{ seed").is_err());
        assert!(Template::value("{% include 'x' %}").unwrap().render(&Map::new()).is_err());
    }

    #[test]
    fn endless_work_ends() {
        let template = Template::chat(
            "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        );
        assert!(template.unwrap().render(&Map::new()).unwrap_err().to_string().contains("end"));
    }
}
