//! `providers.NAME.custom`: interfaces that operators declare.

use std::collections::BTreeMap;
use std::sync::Arc;

use polyport_protocol::custom::{self, Custom, Declaration};
use polyport_provider::Adapter;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::check::Context;
use super::file;
use super::services::child;
use super::tree::Step;
use super::units::{Named, Several, Short};

/// How requests of `adapter: custom_http` are written and its answers read. Texts in `path`, `headers` and `body` are templates in the
/// language of Jinja, which see what a Chat server would get: `model`, `messages`, `tools`, `max_tokens`, `temperature` and so on, `stream`
/// in any case, `request` as the whole of it; and `system` (the instructions as one text), `turns` (the messages without them) and
/// `prompt` (everything as one text). Places in answers are JSONPath expressions (RFC 9535).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CustomHttp {
    /// Path and query behind `base_url`, a template; values in it are percent-encoded. Default: none.
    #[schemars(example = &"/v1/models/{{ model }}:generate")]
    pub(super) path: Option<String>,
    /// Headers, by name; templates. A header that renders to nothing is left out. Those that are always the same may stand in
    /// `providers.NAME.headers`, which knows `env:NAME`.
    pub(super) headers: Named<String>,
    /// The body: a text that renders to JSON, or JSON in which every text is a template. A text that is one single `{{ … }}` keeps its type,
    /// and where it has no value its member is left out. `{ $for: "message in messages", $if: "…", $do: … }` makes a list of a list.
    pub(super) body: Value,
    /// Where things stand in a whole answer.
    pub(super) answer: Answer,
    /// How answers are streamed.
    pub(super) stream: Stream,
}

/// How answers are streamed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Stream {
    /// How events are told apart. Default: `sse`.
    pub(super) form: Option<Form>,
    /// Streams come even where none is asked for. Default: false.
    pub(super) always: bool,
    /// Every event has the whole text so far, not only what is new. Default: false.
    pub(super) cumulative: bool,
    /// Data of the event that ends a stream. Default: `[DONE]`.
    pub(super) done: Option<String>,
    /// Where things stand in an event. Default: where they stand in a whole answer.
    pub(super) event: Answer,
}

/// How the events of a stream are told apart.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// Server-sent events.
    Sse,
    /// One JSON value after the other.
    JsonLines,
    /// Answers come whole, also where clients want a stream.
    None,
}

/// Where things stand in an answer: JSONPath expressions. Of several, what each of them finds counts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Answer {
    /// Text.
    #[schemars(example = &"$.message.content")]
    pub(super) text: Several<Spot>,
    /// Reasoning.
    pub(super) reasoning: Several<Spot>,
    /// The model's words for not answering.
    pub(super) refusal: Several<Spot>,
    /// Calls of tools.
    pub(super) tool_calls: Option<Calls>,
    /// Why the answer ended: a word, or `true`. Without it a stream may end anywhere.
    pub(super) finish: Several<Spot>,
    /// What words of `finish` mean, where they are not the usual ones.
    pub(super) finish_words: BTreeMap<String, FinishWord>,
    /// Tokens.
    pub(super) usage: Counts,
    /// An error: a text or an object with `message`, also in answers with a status of failure.
    pub(super) error: Several<Spot>,
    /// Id of the answer. Default: one is made up.
    pub(super) id: Several<Spot>,
    /// The model that answers.
    pub(super) model: Several<Spot>,
}

/// A place in an answer: a JSONPath expression, alone or with a condition.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Spot {
    /// The expression.
    pub(super) path: String,
    /// It counts only where this filter of JSONPath is true of the answer or event.
    #[schemars(example = &"@.type == 'text'")]
    pub(super) when: Option<String>,
    /// It counts only in server-sent events of this name.
    pub(super) event: Option<String>,
}

impl Short for Spot {
    fn of_text(text: &str) -> Self {
        Self { path: text.to_owned(), ..Self::default() }
    }
}

/// Where calls of tools stand. The other expressions look inside what `each` finds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Calls {
    /// Each call, or each piece of one.
    #[schemars(example = &"$.message.tool_calls[*]")]
    pub(super) each: Several<Spot>,
    /// The name of the tool.
    #[schemars(example = &"$.function.name")]
    pub(super) name: Option<String>,
    /// The arguments: an object, a text, or a piece of a text.
    pub(super) arguments: Option<String>,
    /// The id of the call. Default: one is made up.
    pub(super) id: Option<String>,
    /// The number of the call, which all its pieces have. Default: its id; pieces without one belong to the last call.
    pub(super) index: Option<String>,
}

/// Where counts of tokens stand. What is found in several events is the count so far.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Counts {
    /// The prompt.
    pub(super) input: Several<Spot>,
    /// The answer.
    pub(super) output: Several<Spot>,
    /// What of the prompt was read from a cache.
    pub(super) cache_read: Several<Spot>,
    /// What of the prompt was written to a cache.
    pub(super) cache_write: Several<Spot>,
    /// What of the answer is reasoning.
    pub(super) reasoning: Several<Spot>,
    /// `input` does not count what was read from a cache or written to one. Default: false.
    pub(super) cache_outside: bool,
}

/// What a word for the end of an answer means.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FinishWord {
    /// The model was done.
    Stop,
    /// The limit of tokens.
    Length,
    /// It waits for results of tools.
    ToolCalls,
    /// A filter cut it off.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// The server failed.
    Error,
}

/// Compiles the declaration of a provider. `None` for one that has none, or where it has mistakes.
pub(super) fn custom(
    name: &str,
    given: &file::Provider,
    adapter: Adapter,
    at: &[Step],
    context: &mut Context<'_>,
) -> Option<Arc<Custom>> {
    let at_custom = child(at, "custom");
    let declared = match (&given.custom, adapter) {
        (Some(declared), Adapter::CustomHttp) => declared,
        (Some(_), _) => {
            context.error(
                &at_custom,
                "only `adapter: custom_http` is declared like this",
                "set it, or leave `custom` out",
            );
            return None;
        }
        (None, Adapter::CustomHttp) => {
            let remedy = "give `custom` with `body` and `answer`";
            context.error(at, "how to speak to it is not declared", remedy);
            return None;
        }
        (None, _) => return None,
    };
    match Custom::new(name, &declaration(declared)) {
        Ok(custom) => Some(Arc::new(custom)),
        Err(mistakes) => {
            for mistake in mistakes {
                let path = mistake.setting.iter().fold(at_custom.clone(), |path, step| step_into(path, step));
                context.error(&path, mistake.message, mistake.remedy);
            }
            None
        }
    }
}

fn step_into(mut path: Vec<Step>, step: &str) -> Vec<Step> {
    path.push(step.parse().map_or_else(|_| Step::Key(step.to_owned()), Step::Index));
    path
}

fn declaration(given: &CustomHttp) -> Declaration {
    let Stream { form, always, cumulative, done, event } = &given.stream;
    Declaration {
        path: given.path.clone(),
        headers: given.headers.0.clone(),
        body: given.body.clone(),
        answer: given.answer.places(),
        stream: custom::Streams {
            form: match form {
                None | Some(Form::Sse) => custom::Form::Sse,
                Some(Form::JsonLines) => custom::Form::JsonLines,
                Some(Form::None) => custom::Form::None,
            },
            always: *always,
            cumulative: *cumulative,
            done: done.clone(),
            event: event.places(),
        },
    }
}

impl Answer {
    /// The same in the words of the codec.
    pub(super) fn places(&self) -> custom::Places {
        custom::Places {
            id: places(&self.id),
            model: places(&self.model),
            text: places(&self.text),
            reasoning: places(&self.reasoning),
            refusal: places(&self.refusal),
            tool_calls: self.tool_calls.as_ref().map(|calls| custom::CallPlaces {
                each: places(&calls.each),
                id: calls.id.clone(),
                name: calls.name.clone(),
                arguments: calls.arguments.clone(),
                index: calls.index.clone(),
            }),
            usage: custom::UsagePlaces {
                input: places(&self.usage.input),
                cache_read: places(&self.usage.cache_read),
                cache_write: places(&self.usage.cache_write),
                output: places(&self.usage.output),
                reasoning: places(&self.usage.reasoning),
                cache_outside: self.usage.cache_outside,
            },
            finish: places(&self.finish),
            finish_words: self.finish_words.iter().map(|(word, meaning)| (word.clone(), (*meaning).into())).collect(),
            error: places(&self.error),
        }
    }
}

fn places(given: &Several<Spot>) -> Vec<custom::Place> {
    let place =
        |place: &Spot| custom::Place { path: place.path.clone(), when: place.when.clone(), event: place.event.clone() };
    given.0.iter().map(place).collect()
}

impl From<FinishWord> for custom::FinishWord {
    fn from(word: FinishWord) -> Self {
        match word {
            FinishWord::Stop => Self::Stop,
            FinishWord::Length => Self::Length,
            FinishWord::ToolCalls => Self::ToolCalls,
            FinishWord::ContentFilter => Self::ContentFilter,
            FinishWord::Refusal => Self::Refusal,
            FinishWord::Error => Self::Error,
        }
    }
}
