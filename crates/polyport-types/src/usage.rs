//! Token counts in disjoint classes.

use serde::{Deserialize, Serialize};

use crate::RawJson;

/// What one answer used. All counters are tokens, disjoint and non-negative; `None` means the provider did not say, which is
/// not the same as zero. Totals are derived: see [`Usage::input_total`], [`Usage::output_total`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens neither read from nor written to a cache.
    pub input_uncached: Option<u64>,
    /// Prompt tokens read from a cache.
    pub cache_read: Option<u64>,
    /// Prompt tokens written to a cache that lives 5 minutes.
    pub cache_write_5m: Option<u64>,
    /// Prompt tokens written to a cache that lives 30 minutes.
    pub cache_write_30m: Option<u64>,
    /// Prompt tokens written to a cache that lives one hour.
    pub cache_write_1h: Option<u64>,
    /// Prompt tokens written to a cache that lives 12 hours.
    pub cache_write_12h: Option<u64>,
    /// Prompt tokens written to a cache of unknown lifetime.
    pub cache_write_unknown: Option<u64>,
    /// Results of server tools fed back to the model (Gemini `toolUsePromptTokenCount`).
    pub tool_prompt: Option<u64>,
    /// Output tokens that are not reasoning.
    pub output_text: Option<u64>,
    /// Reasoning tokens.
    pub reasoning: Option<u64>,
    /// Detail of the input by modality; not additive to the counters above.
    pub input_by_modality: ModalityTokens,
    /// Detail of the output by modality.
    pub output_by_modality: ModalityTokens,
    /// Detail of the cached input by modality.
    pub cached_by_modality: ModalityTokens,
    /// Predicted output that was used (Chat `prediction`).
    pub predicted_accepted: Option<u64>,
    /// Predicted output that was thrown away; already inside the output.
    pub predicted_rejected: Option<u64>,
    /// Requests made by web search.
    pub web_search_requests: Option<u64>,
    /// Requests made by web fetch.
    pub web_fetch_requests: Option<u64>,
    /// Set when the numbers are Polyport's estimate, not the provider's.
    pub estimated: bool,
    /// The provider's usage object, verbatim.
    pub raw: Option<RawJson>,
}

/// Tokens by modality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModalityTokens {
    /// Text.
    pub text: Option<u64>,
    /// Images.
    pub image: Option<u64>,
    /// Audio.
    pub audio: Option<u64>,
    /// Video.
    pub video: Option<u64>,
    /// Documents.
    pub document: Option<u64>,
}

impl ModalityTokens {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Usage {
    /// All cache writes, whatever their lifetime.
    #[must_use]
    pub fn cache_write(&self) -> u64 {
        [self.cache_write_5m, self.cache_write_30m, self.cache_write_1h, self.cache_write_12h, self.cache_write_unknown]
            .into_iter()
            .flatten()
            .fold(0, u64::saturating_add)
    }

    /// Everything the provider read: fresh, cached, written and tool results.
    #[must_use]
    pub fn input_total(&self) -> u64 {
        [self.input_uncached, self.cache_read, self.tool_prompt]
            .into_iter()
            .flatten()
            .fold(self.cache_write(), u64::saturating_add)
    }

    /// Everything the provider produced, reasoning included.
    #[must_use]
    pub fn output_total(&self) -> u64 {
        self.output_text.unwrap_or(0).saturating_add(self.reasoning.unwrap_or(0))
    }

    /// Input and output together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output_total())
    }

    /// Whether the provider reported no token count at all.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.input_uncached.is_none()
            && self.cache_read.is_none()
            && self.cache_write() == 0
            && self.output_text.is_none()
            && self.reasoning.is_none()
    }
}
