//! What is written of a request that has ended.

use serde::{Deserialize, Serialize};

/// One request that has ended. Its JSON is also what a journal holds, so names of members stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// The id of the request: no other has it.
    pub id: String,
    /// When it began, in Unix milliseconds.
    pub at: i64,
    /// The id of the client key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The name the key had: the entry reads well when the key is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The id of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The name the user had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// The id of the team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The name the team had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team_name: Option<String>,
    /// The protocol of the client.
    pub protocol: String,
    /// The endpoint it called.
    pub route: String,
    /// The model it asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Whether it asked for a stream.
    #[serde(skip_serializing_if = "is_false")]
    pub stream: bool,
    /// The status it was answered with.
    pub status: u16,
    /// `answered`, `client_gone`, `unknown`, or the class of a fault.
    pub outcome: String,
    /// Why the answer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// What was said of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// From the beginning to the first piece of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u32>,
    /// From the beginning to the end.
    pub duration_ms: u32,
    /// How much of the request the provider could not be told.
    #[serde(skip_serializing_if = "is_zero")]
    pub losses: u32,
    /// Which parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_report: Option<String>,
    /// The id the provider gave its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<String>,
    /// The client's address, where it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What was tried, in the order it was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What was said, where it is captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
}

/// One try of one target with one credential: a line of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// Its place among those of the request, from 1 on.
    pub n: u16,
    /// When it was sent, in Unix milliseconds.
    pub at: i64,
    /// The provider.
    pub provider: String,
    /// The credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The provider's name of the model.
    pub model: String,
    /// The status of the answer; none came without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `answered`, or what went wrong.
    pub outcome: String,
    /// What was said of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// From sending to the end.
    pub duration_ms: u32,
    /// From sending to the first piece of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u32>,
    /// How well its counts are known.
    pub state: State,
    /// Whether it counts towards the limits of the caller.
    #[serde(skip_serializing_if = "is_false")]
    pub charged: bool,
    /// How the provider's answer ended.
    pub ending: Ending,
    /// Names of classes and how much of each was used; only what was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<(String, u64)>,
    /// What it cost, in 10⁻¹² of the currency; none where no price is known.
    #[serde(skip_serializing_if = "Option::is_none", with = "amount")]
    pub cost: Option<u128>,
    /// The currency of the cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Some of it had no price: the cost is the least it can be.
    #[serde(skip_serializing_if = "is_false")]
    pub unpriced: bool,
}

/// How well the counts of an attempt are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They are the provider's.
    Settled,
    /// They are estimated.
    Estimated,
    /// The process ended meanwhile: they are the most that may have been used.
    #[default]
    Unknown,
    /// The provider refused: nothing was used.
    Unused,
}

/// How the provider's answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By itself.
    Complete,
    /// It was cancelled, because nobody wanted it any more.
    Cancelled,
    /// The client was gone; it was read to its end.
    Drained,
    /// The client was gone; it was read up to a limit.
    DrainLimit,
    /// With an error.
    Failed,
    /// Nobody knows: the process ended.
    #[default]
    Lost,
}

/// What was said, as far as it is captured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Payload {
    /// The body of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The body of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// One of the two is not whole.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

/// How far a journal has been written into the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The id of the journal: each data folder has one.
    pub journal: String,
    /// The number of its file.
    pub segment: u64,
    /// The byte in that file where what is not written yet begins.
    pub offset: u64,
}

/// Outcomes that have a meaning; all others are faults.
pub(super) const ANSWERED: &str = "answered";
pub(super) const CLIENT_GONE: &str = "client_gone";

impl Entry {
    /// Whether it was answered as it should be.
    #[must_use]
    pub fn answered(&self) -> bool {
        self.outcome == ANSWERED && !self.failed()
    }

    /// Whether it went wrong. A client that left did not make it so.
    #[must_use]
    pub fn failed(&self) -> bool {
        match self.outcome.as_str() {
            ANSWERED => self.status >= 400 || self.error.is_some(),
            outcome => outcome != CLIENT_GONE,
        }
    }

    /// How long it took until its stream began, if it is one and that was seen.
    #[must_use]
    pub fn began_after(&self) -> Option<u32> {
        self.first_token_ms.filter(|_| self.stream)
    }
}

impl Attempt {
    /// Whether it went wrong. A client that left did not make it so.
    #[must_use]
    pub fn failed(&self) -> bool {
        !matches!(self.outcome.as_str(), ANSWERED | CLIENT_GONE) || self.status.is_some_and(|status| status >= 400)
    }

    /// Fresh tokens of the prompt, of all kinds.
    #[must_use]
    pub fn input(&self) -> u64 {
        self.sum(|class| class.starts_with("input") || class == "tool_prompt")
    }

    /// Tokens of the prompt that were read from a cache.
    #[must_use]
    pub fn cache_read(&self) -> u64 {
        self.sum(|class| class.starts_with("cache_read"))
    }

    /// Tokens of the prompt that were written to a cache.
    #[must_use]
    pub fn cache_write(&self) -> u64 {
        self.sum(|class| class.starts_with("cache_write"))
    }

    /// Produced tokens that a reader sees.
    #[must_use]
    pub fn output(&self) -> u64 {
        self.sum(|class| class.starts_with("output"))
    }

    /// Tokens of thinking.
    #[must_use]
    pub fn reasoning(&self) -> u64 {
        self.sum(|class| class == "reasoning")
    }

    /// All tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        [self.input(), self.cache_read(), self.cache_write(), self.output(), self.reasoning()]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    fn sum(&self, matches: impl Fn(&str) -> bool) -> u64 {
        self.counts.iter().filter(|(class, _)| matches(class)).fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

impl State {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Estimated => "estimated",
            Self::Unknown => "unknown",
            Self::Unused => "unused",
        }
    }
}

impl Ending {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
            Self::Drained => "drained",
            Self::DrainLimit => "drain_limit",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Amounts are texts: other programs read numbers of JSON as floating point.
mod amount {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde wants a reference")]
    pub(super) fn serialize<S: Serializer>(amount: &Option<u128>, serializer: S) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => serializer.collect_str(amount),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u128>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_short_and_comes_back() {
        let bare = Entry { id: "r1".into(), at: 5, protocol: "chat".into(), status: 401, ..Entry::default() };
        let json = serde_json::to_string(&bare).unwrap();
        assert_eq!(
            json,
            r#"{"id":"r1","at":5,"protocol":"chat","route":"","status":401,"outcome":"","duration_ms":0}"#
        );
        assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), bare);
        let full = Entry {
            user_name: Some("é\u{0}\n".into()),
            attempts: vec![Attempt {
                state: State::Settled,
                ending: Ending::DrainLimit,
                counts: vec![("input".into(), u64::MAX), ("output".into(), 2)],
                cost: Some(u128::MAX),
                ..Attempt::default()
            }],
            payload: Some(Payload { answer: Some("a".into()), ..Payload::default() }),
            ..bare
        };
        let json = serde_json::to_string(&full).unwrap();
        assert!(json.contains(r#""ending":"drain_limit""#) && json.contains(&format!("\"{}\"", u128::MAX)), "{json}");
        assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), full);
    }

    #[test]
    fn classes_add_up_to_tokens() {
        let counts = [
            ("input", 1),
            ("input_audio", 2),
            ("tool_prompt", 4),
            ("cache_read_image", 8),
            ("cache_write_5m", 16),
            ("output", 32),
            ("output_audio", 64),
            ("reasoning", 128),
            ("images_in", 256),
            ("web_search", 512),
        ];
        let attempt =
            Attempt { counts: counts.map(|(class, count)| (class.to_owned(), count)).into(), ..Attempt::default() };
        assert_eq!((attempt.input(), attempt.cache_read(), attempt.cache_write()), (7, 8, 16));
        assert_eq!((attempt.output(), attempt.reasoning(), attempt.tokens()), (96, 128, 255));
        let huge = [("input".to_owned(), u64::MAX), ("output".to_owned(), 1)];
        assert_eq!(Attempt { counts: huge.into(), ..Attempt::default() }.tokens(), u64::MAX);
    }
}
