//! Request members that a provider was seen to refuse: left out from then on, or sent under the name it knows.
//!
//! A lesson is drawn from a refusal (400 or 422) that names a member of the body, for this provider and model only. The request is repeated
//! once without it; where that was no help, the lesson is forgotten. So it is after a day, when the provider is configured otherwise, and at
//! a restart.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use polyport_routing::Millis;
use polyport_types::{Fault, FaultClass, LossAction, LossCode, Losses, Text};

use super::peek::{Edits, Peek};
use crate::config::Config;

/// Providers and models remembered.
const MOST: usize = 1024;

/// Members per model remembered.
const MOST_MEMBERS: usize = 16;

/// How long a lesson holds: servers are updated.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Longest words of a refusal that are kept, in characters.
const MAX_WORDS: usize = 200;

/// Members that say the same; a server that refuses the one knows the other.
const TWINS: [[&str; 2]; 1] = [["max_tokens", "max_completion_tokens"]];

/// Members without which a request means something else; refusing them is the client's business.
const NEEDED: [&str; 17] = [
    "model",
    "messages",
    "input",
    "contents",
    "system",
    "instructions",
    "tools",
    "tool_choice",
    "stream",
    "max_tokens",
    "max_output_tokens",
    "response_format",
    "text",
    "systemInstruction",
    "generationConfig",
    "generation_config",
    "previous_response_id",
];

/// What a server said that does not know a member.
const UNKNOWN: [&str; 21] = [
    "unsupported parameter",
    "unsupported param",
    "unknown parameter",
    "unrecognized parameter",
    "unrecognized request argument",
    "unrecognized key",
    "unrecognized field",
    "not supported",
    "is unsupported",
    "unsupported field",
    "unknown field",
    "unknown name",
    "unknown argument",
    "extra inputs are not permitted",
    "extra fields not permitted",
    "additional properties are not allowed",
    "unexpected keyword",
    "unexpected field",
    "does not support",
    "is not permitted",
    "not a valid parameter",
];

/// Lessons by provider and model.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    lessons: RwLock<HashMap<(Text, Text), Vec<Lesson>>>,
}

/// What one refusal taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lesson {
    /// The member that is refused.
    pub(crate) member: Text,
    /// The name under which it is sent; without one it is left out.
    pub(crate) instead: Option<&'static str>,
    /// When it was refused.
    pub(crate) since: Millis,
    /// The provider's words.
    pub(crate) words: String,
}

impl Lesson {
    fn holds(&self, now: Millis) -> bool {
        now.saturating_sub(self.since) < u64::try_from(LIFE.as_millis()).unwrap_or(Millis::MAX)
    }
}

impl Learned {
    /// The body as this model is known to take it. What was left out or renamed is appended to `losses`.
    pub(crate) fn heeded(&self, provider: &Text, model: &Text, now: Millis, body: Bytes, losses: &mut Losses) -> Bytes {
        let lessons = self.lessons.read();
        if lessons.is_empty() {
            return body;
        }
        let Some(known) = lessons.get(&(provider.clone(), model.clone())) else { return body };
        let Ok(peek) = Peek::parse(&body) else { return body };
        let mut edits = Edits::default();
        for lesson in known.iter().filter(|lesson| lesson.holds(now) && peek.get(&body, &lesson.member).is_some()) {
            let path = format!("/{}", lesson.member);
            match lesson.instead.filter(|name| peek.get(&body, name).is_none()) {
                Some(name) => edits.rename.push((lesson.member.clone(), name.into())),
                None => {
                    edits.drop.push(lesson.member.clone());
                    losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, path, "the provider refuses it");
                }
            }
        }
        if edits == Edits::default() { body } else { peek.edited(&body, &edits) }
    }

    /// Reads out of a refusal which member of `body` was the trouble, and remembers it. The lesson, if the request may be repeated.
    pub(crate) fn learn(
        &self,
        provider: &Text,
        model: &Text,
        now: Millis,
        fault: &Fault,
        body: &[u8],
    ) -> Option<Lesson> {
        if !is_refusal(fault) {
            return None;
        }
        let peek = Peek::parse(body).ok()?;
        let stands = |name: &str| peek.get(body, name).is_some();
        let member = refused_member(fault, stands)?;
        let instead = twin(&member).filter(|name| !stands(name));
        let words = fault.message.chars().take(MAX_WORDS).collect();
        let lesson = Lesson { member, instead, since: now, words };
        let mut lessons = self.lessons.write();
        if lessons.len() >= MOST {
            lessons.clear();
        }
        let known = lessons.entry((provider.clone(), model.clone())).or_default();
        known.retain(|known| known.holds(now));
        let knew = known.iter().any(|known| {
            known.member == lesson.member || known.instead.is_some_and(|instead| *lesson.member == *instead)
        });
        if known.len() >= MOST_MEMBERS || knew {
            return None;
        }
        known.push(lesson.clone());
        Some(lesson)
    }

    /// Takes a refusal of the repeated request: a lesson that was no help is forgotten.
    pub(crate) fn reconsider(&self, provider: &Text, model: &Text, lesson: &Lesson, fault: &Fault, body: &[u8]) {
        if !is_refusal(fault) {
            return;
        }
        let next = Peek::parse(body).ok().and_then(|peek| refused_member(fault, |name| peek.get(body, name).is_some()));
        // The next member that is refused says that this one was.
        let helped = next.is_some_and(|next| lesson.instead.is_none_or(|instead| *next != *instead));
        if helped {
            return;
        }
        if let Some(known) = self.lessons.write().get_mut(&(provider.clone(), model.clone())) {
            known.retain(|known| known != lesson);
        }
    }

    /// Forgets everything about a provider.
    pub(crate) fn forget(&self, provider: &str) {
        self.lessons.write().retain(|(of, _), _| **of != *provider);
    }

    /// Forgets what was learned of providers that are configured otherwise now.
    pub(crate) fn follow(&self, before: &Config, now: &Config) {
        self.lessons.write().retain(|(provider, _), _| {
            let same = |(old, new): (&crate::config::Provider, &crate::config::Provider)| {
                old.scope == new.scope && old.profile == new.profile && old.address() == new.address()
            };
            let both = before.provider(provider).zip(now.provider(provider));
            both.is_some_and(|(old, new)| same((old, new)))
        });
    }

    /// What holds of a provider, by model.
    pub(crate) fn of(&self, provider: &str, now: Millis) -> Vec<(Text, Lesson)> {
        let lessons = self.lessons.read();
        let own = lessons.iter().filter(|((of, _), _)| **of == *provider);
        let mut all: Vec<(Text, Lesson)> = own
            .flat_map(|((_, model), known)| known.iter().map(|lesson| (model.clone(), lesson.clone())))
            .filter(|(_, lesson)| lesson.holds(now))
            .collect();
        all.sort_by(|(a, one), (b, other)| (a, &one.member).cmp(&(b, &other.member)));
        all
    }
}

/// Whether a fault is a provider's judgement of the request.
fn is_refusal(fault: &Fault) -> bool {
    fault.class == FaultClass::BadRequest && matches!(fault.upstream_status, Some(400 | 422))
}

/// The other name of a member.
fn twin(member: &str) -> Option<&'static str> {
    TWINS.iter().find_map(|[one, other]| match member {
        name if name == *one => Some(*other),
        name if name == *other => Some(*one),
        _ => None,
    })
}

/// The member a refusal names, if it says that the member as such is not known or not supported.
fn refused_member(fault: &Fault, stands_in_body: impl Fn(&str) -> bool) -> Option<Text> {
    let message = fault.message.to_ascii_lowercase();
    // "Unsupported value" is about the value, not about the member; unless there is only the one that is meant without it.
    let of_value = message.contains("unsupported value") && !message.contains("only the default");
    if of_value || !UNKNOWN.iter().any(|words| message.contains(words)) {
        return None;
    }
    let quoted = fault.message.split(['\'', '"', '`']).skip(1).step_by(2);
    let first_word = fault.message.split([':', ' ']).next();
    let words =
        fault.message.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| word.contains('_'));
    let named = fault.param.as_deref().into_iter().chain(quoted).chain(first_word).chain(words);
    named
        .map(|name| name.trim_start_matches("body."))
        .find(|name| {
            stands_in_body(name) && (!NEEDED.contains(name) || twin(name).is_some_and(|twin| !stands_in_body(twin)))
        })
        .map(Text::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str, param: Option<&str>) -> Fault {
        Fault {
            param: param.map(str::to_owned),
            upstream_status: Some(400),
            from_upstream: true,
            ..Fault::new(FaultClass::BadRequest, message)
        }
    }

    /// The body a provider gets at this time, and the members that are reported as lost.
    fn heeded(learned: &Learned, model: &str, now: Millis, body: &str) -> (String, Vec<String>) {
        let mut losses = Losses::new();
        let sent = learned.heeded(&"p".into(), &model.into(), now, Bytes::from(body.to_owned()), &mut losses);
        let lost = losses.entries().iter().map(|loss| loss.path.to_string()).collect();
        (String::from_utf8(sent.to_vec()).unwrap(), lost)
    }

    fn learn(learned: &Learned, fault: &Fault, body: &str) -> Option<Lesson> {
        learned.learn(&"p".into(), &"m".into(), 1000, fault, body.as_bytes())
    }

    #[test]
    fn the_member_is_read_out_of_the_words_of_servers() {
        let limits = ["max_tokens"];
        let all = [
            "logit_bias",
            "parallel_tool_calls",
            "seed",
            "temperature",
            "messages",
            "max_tokens",
            "max_completion_tokens",
        ];
        for (body, message, param, expected) in [
            (
                &all[..],
                "Unsupported parameter: 'logit_bias' is not supported with this model.",
                Some("logit_bias"),
                Some("logit_bias"),
            ),
            (
                &all,
                "Unrecognized request argument supplied: \"parallel_tool_calls\" is not supported",
                None,
                Some("parallel_tool_calls"),
            ),
            (&all, "Unrecognized request argument supplied: parallel_tool_calls", None, Some("parallel_tool_calls")),
            (&all, "seed: Extra inputs are not permitted", Some("seed"), Some("seed")),
            (&all, "Additional properties are not allowed ('seed' was unexpected)", None, Some("seed")),
            (&all, "Unsupported value: 'temperature' does not support 0.2 with this model.", Some("temperature"), None),
            (
                &all,
                "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
                Some("temperature"),
                Some("temperature"),
            ),
            (&all, "Unknown parameter: 'messages[0].name'.", Some("messages[0].name"), None),
            (&all, "'messages' is not supported", None, None),
            (&all, "max_tokens is too large", Some("max_tokens"), None),
            // It has both names, so that one of them is enough.
            (&all, "Unsupported parameter: 'max_tokens' is not supported with this model.", Some("max_tokens"), None),
            (
                &limits,
                "Unsupported parameter: 'max_tokens' is not supported with this model.",
                Some("max_tokens"),
                Some("max_tokens"),
            ),
            (&limits, "registry.example/llama does not support tools", None, None),
        ] {
            let found = refused_member(&refusal(message, param), |name| body.contains(&name));
            assert_eq!(found.as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn only_the_judgement_of_a_provider_teaches() {
        let learned = Learned::default();
        let words = "seed: Extra inputs are not permitted";
        let good = refusal(words, None);
        for fault in [
            Fault::new(FaultClass::BadRequest, words),
            Fault { upstream_status: Some(500), class: FaultClass::ServerError, ..good.clone() },
            Fault { upstream_status: Some(401), class: FaultClass::AuthInvalid, ..good.clone() },
            Fault { upstream_status: Some(429), class: FaultClass::RateLimited, ..good.clone() },
        ] {
            assert_eq!(learn(&learned, &fault, r#"{"seed":1}"#), None, "{fault:?}");
        }
        assert!(learn(&learned, &Fault { upstream_status: Some(422), ..good }, r#"{"seed":1}"#).is_some());
    }

    #[test]
    fn a_refused_member_is_left_out_for_a_day_at_this_model_only() {
        let learned = Learned::default();
        let body = r#"{"model":"m","seed":1}"#;
        let fault = refusal("seed: Extra inputs are not permitted", None);
        assert!(learn(&learned, &fault, body).is_some());
        assert_eq!(learn(&learned, &fault, body), None, "once is enough");
        assert_eq!(heeded(&learned, "m", 2000, body), (r#"{"model":"m"}"#.to_owned(), vec!["/seed".to_owned()]));
        assert_eq!(heeded(&learned, "other", 2000, body), (body.to_owned(), Vec::new()));
        let shown = learned.of("p", 2000);
        assert_eq!((&*shown[0].0, &*shown[0].1.member, &*shown[0].1.words), ("m", "seed", &*fault.message));
        let day = 24 * 3600 * 1000;
        assert_eq!(heeded(&learned, "m", 1000 + day, body), (body.to_owned(), Vec::new()));
        assert!(learned.of("p", 1000 + day).is_empty());
        assert!(learned.learn(&"p".into(), &"m".into(), 1000 + day, &fault, body.as_bytes()).is_some(), "again");
        learned.forget("p");
        assert!(learned.of("p", 2000).is_empty());
    }

    #[test]
    fn a_limit_goes_under_its_other_name() {
        let learned = Learned::default();
        let fault = refusal("max_completion_tokens: Extra inputs are not permitted", Some("max_completion_tokens"));
        let body = r#"{"max_completion_tokens":5,"n":1}"#;
        let lesson = learn(&learned, &fault, body).unwrap();
        assert_eq!(heeded(&learned, "m", 2000, body), (r#"{"max_tokens":5,"n":1}"#.to_owned(), Vec::new()));
        // A server that takes neither is not asked in circles.
        let neither = refusal("max_tokens: Extra inputs are not permitted", Some("max_tokens"));
        assert_eq!(learn(&learned, &neither, r#"{"max_tokens":5}"#), None);
        learned.reconsider(&"p".into(), &"m".into(), &lesson, &neither, br#"{"max_tokens":5}"#);
        assert_eq!(heeded(&learned, "m", 2000, body).0, body);
    }

    #[test]
    fn a_lesson_that_was_no_help_is_forgotten() {
        let learned = Learned::default();
        let (p, m) = (Text::from("p"), Text::from("m"));
        let fault = refusal("user: Extra inputs are not permitted", Some("user"));
        let lesson = learn(&learned, &fault, r#"{"user":"u","seed":1}"#).unwrap();
        let rest = br#"{"seed":1}"#;
        learned.reconsider(&p, &m, &lesson, &Fault { upstream_status: Some(503), ..fault.clone() }, rest);
        let next = refusal("seed: Extra inputs are not permitted", Some("seed"));
        learned.reconsider(&p, &m, &lesson, &next, rest);
        assert_eq!(learned.of("p", 2000).len(), 1, "the next member is refused: this one helped");
        learned.reconsider(&p, &m, &lesson, &fault, rest);
        assert!(learned.of("p", 2000).is_empty());
    }
}
