//! What figures are told apart by.

use polyport_types::Text;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use super::bounded::Names;

/// The name of what has no figure of its own, and of what is not known.
const OTHER: &str = "other";

/// A fixed word as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word(pub(crate) &'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

/// The name of a provider or of one of its models.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name(pub(crate) Text);

/// A model's name may be a client's words, where a pattern lets it through.
const LONGEST_NAME: usize = 100;

impl Name {
    pub(crate) fn of(text: &Text) -> Self {
        let usual = text.len() <= LONGEST_NAME && text.bytes().all(|byte| byte.is_ascii_graphic());
        if usual { Self(text.clone()) } else { Self::other() }
    }

    fn other() -> Self {
        Self(Text::from_static(OTHER))
    }

    fn owned(&self) -> Self {
        Self(Text::from(&*self.0))
    }
}

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        (&*self.0).encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) protocol: Word,
    pub(crate) route: Word,
    pub(crate) status: u16,
}

/// What was asked of whom, in the words of the GenAI conventions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AskedLabels {
    pub(crate) gen_ai_operation_name: Word,
    pub(crate) gen_ai_provider_name: Name,
    pub(crate) gen_ai_request_model: Name,
}

impl Names for AskedLabels {
    fn owned(&self) -> Self {
        Self {
            gen_ai_provider_name: self.gen_ai_provider_name.owned(),
            gen_ai_request_model: self.gen_ai_request_model.owned(),
            ..*self
        }
    }

    fn other(&self) -> Self {
        Self { gen_ai_provider_name: Name::other(), gen_ai_request_model: Name::other(), ..*self }
    }
}

/// The same, and the failure it ended with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct EndedLabels {
    #[prometheus(flatten)]
    pub(crate) asked: AskedLabels,
    /// Empty without one.
    pub(crate) error_type: Word,
}

impl Names for EndedLabels {
    fn owned(&self) -> Self {
        Self { asked: self.asked.owned(), ..*self }
    }

    fn other(&self) -> Self {
        Self { asked: self.asked.other(), ..*self }
    }
}

/// The same for tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct UsageLabels {
    #[prometheus(flatten)]
    pub(crate) asked: AskedLabels,
    pub(crate) gen_ai_token_type: Word,
}

impl Names for UsageLabels {
    fn owned(&self) -> Self {
        Self { asked: self.asked.owned(), ..*self }
    }

    fn other(&self) -> Self {
        Self { asked: self.asked.other(), ..*self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TokenLabels {
    pub(crate) provider: Name,
    pub(crate) model: Name,
    pub(crate) class: Word,
}

impl Names for TokenLabels {
    fn owned(&self) -> Self {
        Self { provider: self.provider.owned(), model: self.model.owned(), ..*self }
    }

    fn other(&self) -> Self {
        Self { provider: Name::other(), model: Name::other(), ..*self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AttemptLabels {
    pub(crate) provider: Name,
    pub(crate) outcome: Word,
}

impl Names for AttemptLabels {
    fn owned(&self) -> Self {
        Self { provider: self.provider.owned(), ..*self }
    }

    fn other(&self) -> Self {
        Self { provider: Name::other(), ..*self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StateLabels {
    pub(crate) provider: Name,
    pub(crate) state: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ProviderLabels {
    pub(crate) provider: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PairLabels {
    pub(crate) from: Word,
    pub(crate) to: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LossLabels {
    pub(crate) from: Word,
    pub(crate) to: Word,
    pub(crate) code: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabels {
    pub(crate) reason: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CurrencyLabels {
    /// As prices name it: `USD`.
    pub(crate) currency: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabels {
    pub(crate) outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StayedLabels {
    pub(crate) place: Word,
    /// A pool of the configuration; empty for models that are in none.
    pub(crate) pool: String,
}
