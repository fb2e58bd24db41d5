//! Programs on this machine, as people write them. Part of the reference, like [`super::super::file`].

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::super::file::Rest;
use super::super::units::{Named, Several, Span, UNTYPED};

/// A program that answers: run for each request, never through a shell. Arguments, environment and working folder are templates
/// (minijinja), each for one value, over these variables: `prompt` (the conversation as one text), `file` (a file that holds it), `messages`,
/// `system`, `tools`, `model`, `path` (what `models` says), `stream`, and, if the client gives them, `max_tokens`, `temperature`, `top_p`,
/// `top_k`, `min_p`, `seed`, `stop`, `presence_penalty`, `frequency_penalty` and `repetition_penalty`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Process {
    /// The program: a name that is looked for in `PATH`, or a path, relative to the configuration file.
    #[schemars(example = &"llama-cli")]
    pub(crate) command: Option<String>,
    /// Its arguments. A list in the list is left out as a whole where a variable in it is not given: `[--seed, "{{ seed }}"]`. A text of a
    /// request that begins with `-` is refused where it would stand alone as an argument, unless `--` stands before it.
    pub(crate) args: Option<Vec<Argument>>,
    /// Variables of its environment: templates, `env:NAME` or `file:PATH`.
    pub(crate) env: Named<String>,
    /// Names of variables that it gets from Polyport's own environment, beside `PATH`, `HOME`, `LANG` and others that hold no secrets.
    pub(crate) pass_env: Vec<String>,
    /// Where it runs, relative to the configuration file. May only look at `model` and `path`. Default: the folder of the configuration file.
    pub(crate) working_directory: Option<String>,
    /// How it gets the prompt. Default: `file` or `argument` if `args` look at `file` or `prompt`, otherwise `stdin`.
    pub(crate) input: Option<Input>,
    /// How a conversation becomes the prompt: `plain`, `chatml`, `llama3`, `gemma`, `mistral`, `file:PATH` (such as the
    /// `chat_template.jinja` of a model), or a template. Default: that of the preset, or `plain`.
    pub(crate) template: Option<String>,
    /// What it writes.
    pub(crate) output: Option<Output>,
    /// The models it has, and for each what `path` stands for, such as a file. Names that stand neither here nor in `models` of the provider
    /// are refused.
    pub(crate) models: Named<String>,
}

/// A server on this machine that Polyport starts when it is first asked for, and stops when nobody asks it any more. Arguments, environment and
/// working folder are templates that may look at `port`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// The program: a name that is looked for in `PATH`, or a path, relative to the configuration file.
    #[schemars(example = &"llama-server")]
    pub(crate) command: Option<String>,
    /// Its arguments; `{{ port }}` is the port of `base_url`, or a free one where that has none or `{port}`.
    pub(crate) args: Vec<Argument>,
    /// Variables of its environment: templates, `env:NAME` or `file:PATH`.
    pub(crate) env: Named<String>,
    /// Names of variables that it gets from Polyport's own environment, beside `PATH`, `HOME`, `LANG` and others that hold no secrets.
    pub(crate) pass_env: Vec<String>,
    /// Where it runs, relative to the configuration file. Default: the folder of the configuration file.
    pub(crate) working_directory: Option<String>,
    /// The path that it answers with a status below 300 once it can be asked. Default: `/health`.
    pub(crate) health: Option<String>,
    /// Time to start. Default: `5m`.
    pub(crate) start_timeout: Option<Span>,
    /// It is stopped when nobody has asked it for so long. Default: `10m`.
    pub(crate) idle_timeout: Option<Span>,
    /// Servers of one group run one at a time, as they share a GPU: one is stopped, when its answers are complete, before the next is started.
    #[schemars(example = &"gpu0")]
    pub(crate) group: Option<String>,
    /// The rest before it is started again after it has ended by itself or did not start, doubled each time. Default: `1s` to `1m`.
    pub(crate) restart: Rest,
}

/// How a program gets the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Input {
    /// On its standard input.
    Stdin,
    /// In an argument that holds `{{ prompt }}`.
    Argument,
    /// In a file, which `{{ file }}` names.
    File,
}

/// What a program writes on its standard output.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Output {
    /// What its output is. Default: `text`.
    pub(crate) format: Option<Format>,
    /// The answer begins after this text.
    pub(crate) after: Option<String>,
    /// The answer ends before any of these texts.
    pub(crate) until: Several<String>,
    /// JSON lines: where the next piece of the answer stands, as JSON pointer. Default: `/text`.
    #[schemars(example = &"/choices/0/delta/content")]
    pub(crate) text: Option<String>,
    /// JSON lines: where the next piece of what the model thinks stands.
    pub(crate) reasoning: Option<String>,
    /// JSON lines: where it says why the answer ends (`stop` or `length`).
    pub(crate) finish: Option<String>,
    /// JSON lines: where it counts the tokens of the prompt.
    pub(crate) input_tokens: Option<String>,
    /// JSON lines: where it counts the tokens of the answer.
    pub(crate) output_tokens: Option<String>,
    /// JSON lines: where it says what went wrong.
    pub(crate) error: Option<String>,
}

/// What the output of a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// Text, handed on as it comes.
    Text,
    /// Text, handed on line by line.
    Lines,
    /// A JSON value in each line.
    JsonLines,
}

/// An argument, or some that belong together.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    One(String),
    Together(Vec<String>),
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Argument;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an argument or a list of arguments")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Argument, E> {
                Ok(Argument::One(text.to_owned()))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Argument, D::Error> {
                deserializer.deserialize_any(self)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Argument, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element::<Self::Value>()? {
                    match one {
                        Argument::One(text) => all.push(text),
                        Argument::Together(_) => {
                            return Err(de::Error::custom("lists of arguments hold no further lists"));
                        }
                    }
                }
                Ok(Argument::Together(all))
            }
        }
        deserializer.deserialize_newtype_struct(UNTYPED, Form)
    }
}

impl JsonSchema for Argument {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Argument".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": ["string", "number", "boolean"] },
            { "type": "array", "items": { "type": ["string", "number", "boolean"] } },
        ] })
    }
}
