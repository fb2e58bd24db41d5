//! Any API of JSON over HTTP, by declaration: templates write the request, JSONPath expressions read the answer.
//!
//! What can be said to such a server is what a Chat server can be told ([`Wire::Custom`](crate::Wire::Custom)): templates see the body that
//! a Chat server would get, and what the expressions find is read as a Chat server's answer. So quirks, tools and reasoning are the
//! profile's business here as everywhere.
//!
//! | module | what |
//! |---|---|
//! | `template` | templates of path, headers and body: compiled once, rendered for each request |
//! | `filters` | what templates can do beside what their language has |
//! | `request` | requests, written |
//! | `answer` | what stands where in an answer, found |
//! | `stream` | answers, whole and streamed, as events |

mod answer;
mod filters;
mod request;
mod stream;
mod template;

use std::collections::BTreeMap;
use std::sync::Arc;

use polyport_types::Text;
use serde_json::Value;

pub use answer::Answers;
pub(crate) use request::encode_request;
pub use stream::Decoder;
pub(crate) use stream::decode_response;

use crate::{Capabilities, Profile};
use template::Templates;

/// A name that no member has: read where templates read the whole body.
const ANY: &str = "";

/// An interface as its operator declares it.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    /// Template of what stands behind the base address: path and query. Values in it are percent-encoded.
    pub path: Option<String>,
    /// Templates of headers, by name.
    pub headers: Vec<(String, String)>,
    /// The body: a text template that renders to JSON, or JSON whose texts are templates.
    pub body: Value,
    /// Where things stand in whole answers.
    pub answer: Places,
    /// How streams are written.
    pub stream: Streams,
}

/// How a server streams.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// How events are told apart.
    pub form: Form,
    /// Streams come even where none was asked for.
    pub always: bool,
    /// Every event has the whole text so far.
    pub cumulative: bool,
    /// Data of the event that ends a stream. Default: `[DONE]`.
    pub done: Option<String>,
    /// Where things stand in an event, as far as that is not where they stand in a whole answer.
    pub event: Places,
}

/// How the events of a stream are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    #[default]
    Sse,
    /// JSON values, one after the other.
    JsonLines,
    /// There are no streams: answers come whole.
    None,
}

/// Where things stand in an answer, or in an event of one. Of several places, what each of them finds counts.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Id of the answer.
    pub id: Vec<Place>,
    /// The model that answers.
    pub model: Vec<Place>,
    /// Text.
    pub text: Vec<Place>,
    /// Reasoning.
    pub reasoning: Vec<Place>,
    /// The model's words for not answering.
    pub refusal: Vec<Place>,
    /// Calls of tools.
    pub tool_calls: Option<CallPlaces>,
    /// Tokens.
    pub usage: UsagePlaces,
    /// Why it ended.
    pub finish: Vec<Place>,
    /// The server's words for that, and what each of them means.
    pub finish_words: BTreeMap<String, FinishWord>,
    /// An error in the place of an answer.
    pub error: Vec<Place>,
}

/// A place in an answer.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// A JSONPath expression (RFC 9535).
    pub path: String,
    /// It counts only where this filter expression is true of the answer or event: `@.type == 'text'`.
    pub when: Option<String>,
    /// It counts only in server-sent events of this name.
    pub event: Option<String>,
}

/// Where calls of tools stand.
#[derive(Clone, Debug, Default)]
pub struct CallPlaces {
    /// Each call, or piece of one.
    pub each: Vec<Place>,
    /// Inside a call: its id. One is made up where there is none.
    pub id: Option<String>,
    /// Inside a call: the name of the tool.
    pub name: Option<String>,
    /// Inside a call: the arguments, as an object, as text, or as a piece of text.
    pub arguments: Option<String>,
    /// Inside a call: its number, which is the same for all pieces of one call.
    pub index: Option<String>,
}

/// Where counts of tokens stand.
#[derive(Clone, Debug, Default)]
pub struct UsagePlaces {
    /// All of the prompt.
    pub input: Vec<Place>,
    /// What of the prompt was read from a cache.
    pub cache_read: Vec<Place>,
    /// What of the prompt was written to a cache.
    pub cache_write: Vec<Place>,
    /// All of the answer.
    pub output: Vec<Place>,
    /// What of the answer is reasoning.
    pub reasoning: Vec<Place>,
    /// What was read from and written to a cache is not counted in `input`.
    pub cache_outside: bool,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishWord {
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

impl FinishWord {
    /// The word of the Chat protocol.
    fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Error => "error",
        }
    }
}

/// What is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, below that of the whole declaration: `["answer", "text"]`.
    pub setting: Vec<String>,
    /// What is wrong with it.
    pub message: String,
    /// How to mend it.
    pub remedy: &'static str,
}

/// A declared interface, ready for use.
#[derive(Clone, Debug)]
pub struct Custom {
    provider: Text,
    templates: Templates,
    form: Form,
    always: bool,
    whole: Arc<Answers>,
    event: Arc<Answers>,
}

impl Custom {
    /// Compiles the declaration of a provider's interface and tries its templates with made-up requests.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn new(provider: impl Into<Text>, declared: &Declaration) -> Result<Self, Vec<Mistake>> {
        let provider = provider.into();
        let mut mistakes = Vec::new();
        let templates = Templates::compile(&provider, declared, &mut mistakes);
        let (whole, event) = Answers::pair(&provider, &declared.answer, &declared.stream, &mut mistakes);
        if mistakes.is_empty() {
            request::try_out(&templates, &mut mistakes);
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let Streams { form, always, .. } = declared.stream;
        Ok(Self { provider, templates, form, always, whole: Arc::new(whole), event: Arc::new(event) })
    }

    /// Whether a template reads this member of a Chat body.
    #[must_use]
    pub fn reads(&self, member: &str) -> bool {
        self.templates.reads(member)
    }

    /// The quirks of a server with what follows from the templates: members that none of them reads are left out, which the report
    /// names; those of clients that a template reads are let through.
    #[must_use]
    pub fn quirks(&self, mut profile: Profile) -> Profile {
        profile.drop.retain(|member| !self.reads(member));
        profile
            .drop
            .extend(request::MEMBERS.iter().filter(|member| !self.reads(member)).map(|member| (*member).to_owned()));
        profile.accept.extend(self.templates.read_members().map(str::to_owned));
        profile.accept_unknown = self.reads(ANY);
        profile.counts_tokens = false;
        profile.objects = Vec::new();
        profile.stream_usage = self.reads("stream_options");
        profile.may_omit_finish |= !self.event.has_finish();
        profile
    }

    /// The abilities of a model as far as the templates can ask for them: what none reads is resolved in another way.
    #[must_use]
    pub fn abilities(&self, mut capabilities: Capabilities) -> Capabilities {
        capabilities.tools &= self.reads("tools");
        capabilities.structured_output &= self.reads("response_format");
        capabilities.stop &= self.reads("stop");
        capabilities
    }

    /// Whether an answer is a stream, where one was asked for or not and its headers `say` so, otherwise, or nothing.
    #[must_use]
    pub fn comes_as_stream(&self, asked: bool, say: Option<bool>) -> Option<bool> {
        match self.form {
            Form::None => Some(false),
            Form::Sse if self.always => say.or(Some(true)),
            Form::Sse => say,
            // Many servers call it plain JSON.
            Form::JsonLines => Some(asked || self.always || say == Some(true)),
        }
    }

    /// The error of an unsuccessful answer, in the form of the Chat protocol; `None` where nothing is found.
    #[must_use]
    pub fn error_body(&self, body: &[u8]) -> Option<Vec<u8>> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let error = self.whole.error(&Value::Array(vec![value]), None)?;
        Some(error.to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests;
