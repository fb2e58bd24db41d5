//! What stands where in an answer, found, and written down as a Chat server would have.

use std::collections::BTreeMap;

use polyport_types::{Fault, FaultClass, Text};
use serde_json::{Map, Value, json};
use serde_json_path::JsonPath;

use super::{CallPlaces, FinishWord, Form, Mistake, Place, Places, Streams, UsagePlaces};
use crate::chat;

/// Calls of one answer.
const MAX_CALLS: usize = 1024;

/// Compiled places of an answer, or of an event of one.
#[derive(Clone, Debug)]
pub struct Answers {
    provider: Text,
    id: Spots,
    model: Spots,
    text: Spots,
    reasoning: Spots,
    refusal: Spots,
    calls: Option<Calls>,
    usage: Usage,
    finish: Spots,
    finish_words: BTreeMap<String, FinishWord>,
    error: Spots,
    /// The first setting that finds what an answer says, and its expression: what to look at where nothing is found.
    main: String,
    /// Texts are those so far, not what is new.
    cumulative: bool,
    /// Data of the event that ends a stream.
    done: Text,
}

/// Places whose finds all count.
#[derive(Clone, Debug, Default)]
struct Spots(Vec<Spot>);

#[derive(Clone, Debug)]
struct Spot {
    path: JsonPath,
    /// Finds something in a list of the answer alone, where the place counts.
    when: Option<JsonPath>,
    event: Option<String>,
}

#[derive(Clone, Debug)]
struct Calls {
    each: Spots,
    id: Option<JsonPath>,
    name: Option<JsonPath>,
    arguments: Option<JsonPath>,
    index: Option<JsonPath>,
}

#[derive(Clone, Debug)]
struct Usage {
    input: Spots,
    cache_read: Spots,
    cache_write: Spots,
    output: Spots,
    reasoning: Spots,
    cache_outside: bool,
}

/// What was found so far in one answer.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// A text, reasoning, a refusal or a call, if only an empty one.
    anything: bool,
    /// It ended for a reason other than being done.
    cut_short: bool,
    /// The calls, by what tells them apart.
    calls: Vec<String>,
    counts: Counts,
    text: String,
    reasoning: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

impl Answers {
    /// Compiles the places of whole answers and those of events, which are the same where nothing else is said.
    pub(super) fn pair(
        provider: &Text,
        whole: &Places,
        streams: &Streams,
        mistakes: &mut Vec<Mistake>,
    ) -> (Self, Self) {
        let mut compiler = Compiler { mistakes, base: &["answer"] };
        let answers = Self::compile(provider, whole, &mut compiler);
        compiler.base = &["stream", "event"];
        let own = &streams.event;
        let or = |own: &Vec<Place>, whole: &Vec<Place>| if own.is_empty() { whole.clone() } else { own.clone() };
        let (usage, inherited) = (&own.usage, &whole.usage);
        let event = Places {
            id: or(&own.id, &whole.id),
            model: or(&own.model, &whole.model),
            text: or(&own.text, &whole.text),
            reasoning: or(&own.reasoning, &whole.reasoning),
            refusal: or(&own.refusal, &whole.refusal),
            tool_calls: own.tool_calls.clone().or_else(|| whole.tool_calls.clone()),
            usage: UsagePlaces {
                input: or(&usage.input, &inherited.input),
                cache_read: or(&usage.cache_read, &inherited.cache_read),
                cache_write: or(&usage.cache_write, &inherited.cache_write),
                output: or(&usage.output, &inherited.output),
                reasoning: or(&usage.reasoning, &inherited.reasoning),
                cache_outside: usage.cache_outside || inherited.cache_outside,
            },
            finish: or(&own.finish, &whole.finish),
            finish_words: if own.finish_words.is_empty() {
                whole.finish_words.clone()
            } else {
                own.finish_words.clone()
            },
            error: or(&own.error, &whole.error),
        };
        let before = compiler.mistakes.len();
        let mut events = Self::compile(provider, &event, &mut compiler);
        // What was taken over has been complained about where it stands.
        if before > 0 {
            let (known, new) = compiler.mistakes.split_at(before);
            let new: Vec<Mistake> =
                new.iter().filter(|new| !known.iter().any(|known| known.message == new.message)).cloned().collect();
            compiler.mistakes.truncate(before);
            compiler.mistakes.extend(new);
        }
        events.cumulative = streams.cumulative;
        events.done = streams.done.as_deref().unwrap_or("[DONE]").trim().into();
        if streams.form == Form::None && !Self::is_empty(own) {
            compiler.mistake(&[], "there are no streams, so nothing stands in their events", "leave it out");
        }
        (answers, events)
    }

    fn is_empty(places: &Places) -> bool {
        places.text.is_empty() && places.reasoning.is_empty() && places.tool_calls.is_none() && places.finish.is_empty()
    }

    fn compile(provider: &Text, places: &Places, compiler: &mut Compiler<'_>) -> Self {
        if places.text.is_empty() {
            compiler.mistake(
                &["text"],
                "where the text of an answer stands is missing",
                "write it like `$.message.content`",
            );
        }
        let main = places.text.first().map(|place| format!("`{}.text` ({})", compiler.shown(), place.path));
        Self {
            provider: provider.clone(),
            id: compiler.spots(&["id"], &places.id),
            model: compiler.spots(&["model"], &places.model),
            text: compiler.spots(&["text"], &places.text),
            reasoning: compiler.spots(&["reasoning"], &places.reasoning),
            refusal: compiler.spots(&["refusal"], &places.refusal),
            calls: places.tool_calls.as_ref().map(|calls| compiler.calls(calls)),
            usage: Usage {
                input: compiler.spots(&["usage", "input"], &places.usage.input),
                cache_read: compiler.spots(&["usage", "cache_read"], &places.usage.cache_read),
                cache_write: compiler.spots(&["usage", "cache_write"], &places.usage.cache_write),
                output: compiler.spots(&["usage", "output"], &places.usage.output),
                reasoning: compiler.spots(&["usage", "reasoning"], &places.usage.reasoning),
                cache_outside: places.usage.cache_outside,
            },
            finish: compiler.spots(&["finish"], &places.finish),
            finish_words: places.finish_words.clone(),
            error: compiler.spots(&["error"], &places.error),
            main: main.unwrap_or_default(),
            cumulative: false,
            done: Text::new(),
        }
    }

    /// Whether it is said where the end of an answer stands.
    pub(super) fn has_finish(&self) -> bool {
        !self.finish.0.is_empty()
    }

    /// Data of the event that ends a stream.
    pub(super) fn done(&self) -> &str {
        &self.done
    }

    /// The error in a list of the answer alone, as a Chat server writes it.
    pub(super) fn error(&self, answer: &Value, event: Option<&str>) -> Option<Value> {
        let error = self.error.find(answer, event).into_iter().find(|error| match error {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(members) => !members.is_empty(),
            Value::Bool(true) | Value::Number(_) => true,
        })?;
        Some(match error {
            Value::Object(_) => json!({ "error": error }),
            Value::String(text) => json!({ "error": { "message": text } }),
            other => json!({ "error": { "message": other.to_string() } }),
        })
    }

    /// What an answer holds, as a Chat server writes it: a chunk, or a whole answer. `None` where there is nothing.
    pub(super) fn chunk(&self, answer: &Value, event: Option<&str>, whole: bool, found: &mut Found) -> Option<Value> {
        if let Some(error) = self.error(answer, event) {
            return Some(error);
        }
        let mut message = Map::new();
        for (spots, name) in
            [(&self.reasoning, "reasoning_content"), (&self.text, "content"), (&self.refusal, "refusal")]
        {
            if let Some(text) = spots.text(answer, event) {
                found.anything = true;
                let new = if self.cumulative { found.new_of(name, text) } else { text };
                if !new.is_empty() || whole {
                    message.insert(name.to_owned(), new.into());
                }
            }
        }
        let calls = self.calls.as_ref().map(|calls| calls.find(answer, event, found)).unwrap_or_default();
        if !calls.is_empty() {
            found.anything = true;
            message.insert("tool_calls".to_owned(), calls.into());
        }
        let finish = self.finish.find(answer, event).into_iter().find_map(|value| self.finish_word(value));
        found.cut_short |= finish.as_deref().is_some_and(chat::is_cut_short);
        let usage = self.usage.find(answer, event, found);
        let mut chunk = Map::new();
        for (spots, name) in [(&self.id, "id"), (&self.model, "model")] {
            if let Some(word) = spots.word(answer, event) {
                chunk.insert(name.to_owned(), word.into());
            }
        }
        if message.is_empty() && finish.is_none() && usage.is_none() && !whole {
            return None;
        }
        if !message.is_empty() || finish.is_some() || whole {
            let body = if whole { "message" } else { "delta" };
            chunk.insert("choices".to_owned(), json!([{ "index": 0, body: message, "finish_reason": finish }]));
        } else {
            chunk.insert("choices".to_owned(), json!([]));
        }
        if let Some(usage) = usage {
            chunk.insert("usage".to_owned(), usage);
        }
        Some(Value::Object(chunk))
    }

    /// The word of the Chat protocol for the end of an answer; `None` where it goes on.
    fn finish_word(&self, value: &Value) -> Option<String> {
        let word = match value {
            Value::Null | Value::Bool(false) | Value::Array(_) | Value::Object(_) => return None,
            Value::Bool(true) => "true".to_owned(),
            Value::Number(number) => number.to_string(),
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.clone(),
        };
        let known = self.finish_words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim()));
        Some(match known {
            Some((_, meaning)) => meaning.as_str().to_owned(),
            None if *value == Value::Bool(true) => "stop".to_owned(),
            None => word,
        })
    }

    /// What to say of an answer in which nothing stands where it should.
    pub(super) fn nothing(&self, found: &Found) -> Option<Fault> {
        if found.anything || found.cut_short {
            return None;
        }
        let words = format!(
            "the answer of provider `{}` holds nothing where it is looked for: {} finds nothing in it",
            self.provider, self.main
        );
        Some(Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, words) })
    }
}

impl Found {
    /// Whether an answer with this end can be given out already.
    pub(super) fn is_something(&self) -> bool {
        self.anything || self.cut_short
    }

    /// What is new of a text that comes whole every time; what was said otherwise stays said.
    fn new_of(&mut self, name: &str, text: String) -> String {
        let before = if name == "content" { &mut self.text } else { &mut self.reasoning };
        let new = text.strip_prefix(before.as_str()).unwrap_or_default().to_owned();
        if text.len() > before.len() {
            *before = text;
        }
        new
    }
}

impl Spots {
    /// Everything that is found, in order. `answer` is a list of the answer alone.
    fn find<'a>(&self, answer: &'a Value, event: Option<&str>) -> Vec<&'a Value> {
        let Some(inside) = answer.get(0) else { return Vec::new() };
        let fits = |spot: &&Spot| {
            spot.event.as_deref().is_none_or(|name| event == Some(name))
                && spot.when.as_ref().is_none_or(|when| !when.query(answer).is_empty())
        };
        self.0.iter().filter(fits).flat_map(|spot| spot.path.query(inside).all()).collect()
    }

    /// The texts found, joined; `None` where there is none.
    fn text(&self, answer: &Value, event: Option<&str>) -> Option<String> {
        let found = self.find(answer, event);
        let mut texts = found.iter().filter_map(|value| value.as_str()).peekable();
        texts.peek()?;
        Some(texts.collect())
    }

    fn word(&self, answer: &Value, event: Option<&str>) -> Option<String> {
        self.find(answer, event).into_iter().find_map(|value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    }

    fn count(&self, answer: &Value, event: Option<&str>) -> Option<u64> {
        let counts: Vec<u64> = self.find(answer, event).into_iter().filter_map(whole_number).collect();
        counts.iter().copied().reduce(u64::saturating_add)
    }
}

fn whole_number(value: &Value) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of tokens; the cast saturates")]
    value.as_u64().or_else(|| value.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
}

impl Calls {
    /// Calls and pieces of calls, each with the number of its call.
    fn find(&self, answer: &Value, event: Option<&str>, found: &mut Found) -> Vec<Value> {
        let mut calls = Vec::new();
        for (at, node) in self.each.find(answer, event).into_iter().enumerate() {
            let first = |path: &Option<JsonPath>| path.as_ref().and_then(|path| path.query(node).first());
            let name = first(&self.name).and_then(Value::as_str).filter(|name| !name.is_empty());
            let id = first(&self.id).and_then(word);
            let arguments = first(&self.arguments).and_then(|arguments| match arguments {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            });
            if name.is_none() && arguments.is_none() {
                continue;
            }
            let key = match (first(&self.index).and_then(word), &id, name) {
                (Some(index), ..) => format!("index {index}"),
                (None, Some(id), _) => format!("id {id}"),
                (None, None, Some(_)) => format!("call {} {at}", found.calls.len()),
                // A piece of the last call.
                (None, None, None) => found.calls.last().cloned().unwrap_or_default(),
            };
            let index = match found.calls.iter().position(|known| *known == key) {
                Some(index) => index,
                // Pieces of a call that has not begun.
                None if name.is_none() || found.calls.len() >= MAX_CALLS => continue,
                None => {
                    found.calls.push(key);
                    found.calls.len() - 1
                }
            };
            let mut function = Map::new();
            function.extend(name.map(|name| ("name".to_owned(), name.into())));
            function.extend(arguments.map(|arguments| ("arguments".to_owned(), arguments.into())));
            let mut call = json!({ "index": index, "type": "function", "function": function });
            if let (Some(id), Some(call)) = (id, call.as_object_mut()) {
                call.insert("id".to_owned(), id.into());
            }
            calls.push(call);
        }
        calls
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Usage {
    /// All counts so far, if something is new.
    fn find(&self, answer: &Value, event: Option<&str>, found: &mut Found) -> Option<Value> {
        let before = found.counts;
        let counts = &mut found.counts;
        for (spots, count) in [
            (&self.input, &mut counts.input),
            (&self.cache_read, &mut counts.cache_read),
            (&self.cache_write, &mut counts.cache_write),
            (&self.output, &mut counts.output),
            (&self.reasoning, &mut counts.reasoning),
        ] {
            *count = spots.count(answer, event).or(*count);
        }
        let counts = *counts;
        if counts == before {
            return None;
        }
        let outside = if self.cache_outside {
            counts.cache_read.unwrap_or(0).saturating_add(counts.cache_write.unwrap_or(0))
        } else {
            0
        };
        let mut usage = Map::new();
        usage.insert("prompt_tokens".to_owned(), counts.input.unwrap_or(0).saturating_add(outside).into());
        usage.insert("completion_tokens".to_owned(), counts.output.unwrap_or(0).into());
        let mut details = Map::new();
        details.extend(counts.cache_read.map(|count| ("cached_tokens".to_owned(), count.into())));
        details.extend(counts.cache_write.map(|count| ("cache_write_tokens".to_owned(), count.into())));
        if !details.is_empty() {
            usage.insert("prompt_tokens_details".to_owned(), details.into());
        }
        if let Some(reasoning) = counts.reasoning {
            usage.insert("completion_tokens_details".to_owned(), json!({ "reasoning_tokens": reasoning }));
        }
        Some(usage.into())
    }
}

/// What compiling needs.
struct Compiler<'m> {
    mistakes: &'m mut Vec<Mistake>,
    /// The setting that all others stand below.
    base: &'static [&'static str],
}

impl Compiler<'_> {
    fn shown(&self) -> String {
        format!("custom.{}", self.base.join("."))
    }

    fn mistake(&mut self, setting: &[&str], message: impl Into<String>, remedy: &'static str) {
        let setting = self.base.iter().chain(setting).map(|step| (*step).to_owned()).collect();
        self.mistakes.push(Mistake { setting, message: message.into(), remedy });
    }

    fn path(&mut self, setting: &[&str], text: &str) -> Option<JsonPath> {
        match JsonPath::parse(text) {
            Ok(path) => Some(path),
            Err(error) => {
                let at = error.position();
                let message =
                    format!("`{text}` is not a JSONPath expression: {} (character {})", error.message(), at + 1);
                self.mistake(setting, message, "write it like `$.message.content` or `$.parts[*].text`");
                None
            }
        }
    }

    fn spots(&mut self, setting: &[&str], places: &[Place]) -> Spots {
        let spots = places.iter().filter_map(|place| {
            let path = self.path(setting, &place.path);
            let when = match place.when.as_deref().map(|when| JsonPath::parse(&format!("$[?{when}]"))) {
                None => Some(None),
                Some(Ok(when)) => Some(Some(when)),
                Some(Err(error)) => {
                    let when = place.when.as_deref().unwrap_or_default();
                    let message = format!("`{when}` is not a JSONPath filter: {}", error.message());
                    self.mistake(setting, message, "write it like `@.type == 'text'`");
                    None
                }
            };
            Some(Spot { path: path?, when: when?, event: place.event.clone() })
        });
        Spots(spots.collect())
    }

    fn calls(&mut self, places: &CallPlaces) -> Calls {
        if places.each.is_empty() || places.name.is_none() {
            let message = "`each` says where calls stand, and `name` where inside one its tool stands";
            self.mistake(&["tool_calls"], message, "give both");
        }
        let mut inside =
            |name: &str, text: &Option<String>| text.as_deref().and_then(|text| self.path(&["tool_calls", name], text));
        let (id, name) = (inside("id", &places.id), inside("name", &places.name));
        let (arguments, index) = (inside("arguments", &places.arguments), inside("index", &places.index));
        Calls { each: self.spots(&["tool_calls", "each"], &places.each), id, name, arguments, index }
    }
}
