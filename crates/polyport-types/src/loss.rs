//! What a target cannot express.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::Protocol;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $code:literal,)*) => {
        /// The stable code of a loss. New codes may be added; existing ones keep their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum LossCode {
            $($(#[doc = $doc])* #[serde(rename = $code)] $variant,)*
        }

        impl LossCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The dotted text used in the `x-polyport-loss` header and in logs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}

codes! {
    /// A sampling parameter the model or protocol does not take.
    SamplingUnsupported = "sampling.unsupported",
    /// A sampling parameter was cut to the target's range.
    SamplingClamped = "sampling.clamped",
    /// The target has no log probabilities.
    LogprobsUnsupported = "logprobs.unsupported",
    /// Several answers asked from a protocol that gives one.
    CandidatesUnsupported = "candidates.unsupported",
    /// More stop sequences than the target takes.
    StopTooMany = "stop.too_many",
    /// A stop sequence of white space only, refused by the target.
    StopWhitespace = "stop.whitespace",
    /// The target has no stop sequences.
    StopUnsupported = "stop.unsupported",
    /// The target requires a token limit and the client gave none.
    MaxTokensDefaulted = "max_tokens.defaulted",
    /// The token limit was raised to a minimum or to fit a reasoning budget.
    MaxTokensRaised = "max_tokens.raised",
    /// The token limit was lowered to the most the model gives.
    MaxTokensLowered = "max_tokens.lowered",
    /// An instruction lost its role.
    RoleDegraded = "role.degraded",
    /// An instruction was moved to the front.
    RoleHoisted = "role.hoisted",
    /// A participant's name was dropped.
    NameDropped = "name.dropped",
    /// Neighbouring turns of one side were joined.
    TurnMerged = "turn.merged",
    /// A turn was invented to satisfy the target.
    TurnSynthesised = "turn.synthesised",
    /// An empty turn or part was left out.
    TurnDroppedEmpty = "turn.dropped_empty",
    /// A kind of media the target cannot take.
    MediaUnsupported = "media.unsupported",
    /// Media given by URL were fetched and sent inline.
    MediaFetched = "media.fetched",
    /// The resolution wish was dropped.
    MediaDetailDropped = "media.detail_dropped",
    /// A file id of another provider.
    FileIdForeign = "file_id.foreign",
    /// Tools for a model that cannot use any.
    ToolUnsupported = "tool.unsupported",
    /// A free-form tool became a function with one string.
    ToolCustomEmulated = "tool.custom.emulated",
    /// A tool run by the provider that the target has not.
    ToolServerUnsupported = "tool.server.unsupported",
    /// A tool name was rewritten to the target's rules.
    ToolRenamed = "tool.renamed",
    /// Strict tool arguments are not possible at the target.
    ToolStrictDropped = "tool.strict_dropped",
    /// Schema keywords were moved into descriptions.
    ToolSchemaRelaxed = "tool.schema_relaxed",
    /// References in a schema were expanded.
    ToolSchemaInlined = "tool.schema_inlined",
    /// The list of tools was filtered to express the choice.
    ToolChoiceFiltered = "tool_choice.filtered",
    /// The tool choice was weakened.
    ToolChoiceDegraded = "tool_choice.degraded",
    /// Parallel tool calls cannot be switched off.
    ParallelUnsupported = "parallel.unsupported",
    /// The error flag of a tool result became text.
    ToolResultIsError = "tool_result.is_error",
    /// Media of a tool result were moved to the next user turn.
    ToolResultMediaHoisted = "tool_result.media_hoisted",
    /// A tool result without its call.
    ToolResultOrphan = "tool_result.orphan",
    /// A call without its result.
    ToolResultMissing = "tool_result.missing",
    /// A call id was rewritten to the target's rules.
    IdRewritten = "id.rewritten",
    /// Structured output produced another way.
    FormatEmulated = "format.emulated",
    /// The schema of the answer was relaxed.
    FormatSchemaRelaxed = "format.schema_relaxed",
    /// Structured output is not possible.
    FormatUnsupported = "format.unsupported",
    /// Effort, budget or level were converted.
    ReasoningMapped = "reasoning.mapped",
    /// Reasoning control is not possible.
    ReasoningUnsupported = "reasoning.unsupported",
    /// The text of earlier reasoning was dropped.
    ReasoningTextDropped = "reasoning.text_dropped",
    /// Reasoning was switched off because the history lacks its signatures.
    ReasoningDisabledForHistory = "reasoning.disabled_for_history",
    /// A signature of another provider was dropped.
    SignatureForeignDropped = "signature.foreign_dropped",
    /// A missing signature was replaced by the documented bypass value.
    SignatureSentinel = "signature.sentinel",
    /// A signature travels in a carrier.
    SignatureCarried = "signature.carried",
    /// A cache marker was dropped.
    CacheBreakpointDropped = "cache.breakpoint_dropped",
    /// A cache lifetime was changed.
    CacheTtlChanged = "cache.ttl_changed",
    /// A cache key was dropped.
    CacheKeyDropped = "cache.key_dropped",
    /// A cache resource of another provider.
    CacheResourceForeign = "cache.resource_foreign",
    /// Server-held state is not possible.
    StateUnsupported = "state.unsupported",
    /// Server-held state was expanded into the request.
    StateExpanded = "state.expanded",
    /// An end user's identity was dropped.
    IdentityDropped = "identity.dropped",
    /// An end user's identity was hashed.
    IdentityHashed = "identity.hashed",
    /// Metadata were dropped.
    MetadataDropped = "metadata.dropped",
    /// The service tier was converted.
    ServiceTierMapped = "service_tier.mapped",
    /// The service tier was dropped.
    ServiceTierDropped = "service_tier.dropped",
    /// Safety settings were dropped.
    SafetyDropped = "safety.dropped",
    /// Moderation settings were dropped.
    ModerationDropped = "moderation.dropped",
    /// A feature run by the provider was dropped.
    ServerFeatureDropped = "server_feature.dropped",
    /// A citation was dropped.
    CitationDropped = "citation.dropped",
    /// A citation lost detail.
    CitationDegraded = "citation.degraded",
    /// Grounding data were dropped.
    GroundingDropped = "grounding.dropped",
    /// A finish reason without an equal.
    FinishDegraded = "finish.degraded",
    /// A detail of the usage without a slot.
    UsageDetailDropped = "usage.detail_dropped",
    /// A field in no table.
    UnknownFieldDropped = "unknown_field.dropped",
}

/// What was done about a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum LossAction {
    Dropped,
    Degraded,
    Clamped,
    Emulated,
    Synthesised,
    Hoisted,
    Renamed,
    Rejected,
}

impl LossAction {
    /// The lower-case text used in headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Degraded => "degraded",
            Self::Clamped => "clamped",
            Self::Emulated => "emulated",
            Self::Synthesised => "synthesised",
            Self::Hoisted => "hoisted",
            Self::Renamed => "renamed",
            Self::Rejected => "rejected",
        }
    }
}

/// How much a loss matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No visible effect.
    Info,
    /// The answer may differ.
    Warn,
    /// Content or safety is concerned: refused unless switched off.
    Error,
}

/// One thing the target cannot express.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub struct Loss {
    /// What kind of loss.
    pub code: LossCode,
    /// What was done.
    pub action: LossAction,
    /// How much it matters.
    pub severity: Severity,
    /// JSON pointer in the client's request, or in the provider's answer.
    pub path: String,
    /// Values before and after; never message content.
    pub detail: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.code.as_str(), self.action.as_str(), self.path)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// The loss report of one request: entries are appended while it is translated.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Losses {
    entries: Vec<Loss>,
    /// Where entries stand, by what makes another one a repetition: a long history may lose something at every step.
    #[serde(skip)]
    known: BTreeMap<u64, usize>,
}

impl PartialEq for Losses {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Loss {
    /// Whether the report says it already, if it has `known`. What is refused is refused once.
    fn repeats(&self, known: &Self) -> bool {
        let refused = self.action == LossAction::Rejected;
        self == known || (refused && (known.action, known.code, &known.path) == (self.action, self.code, &self.path))
    }

    /// The same number for an entry and its repetition.
    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self.action {
            LossAction::Rejected => (self.action, self.code, &self.path).hash(&mut hasher),
            _ => self.hash(&mut hasher),
        }
        hasher.finish()
    }
}

impl Losses {
    /// An empty report.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), known: BTreeMap::new() }
    }

    /// Appends an entry; a repetition is ignored. What is refused is refused once, however many steps find a reason.
    pub fn push(&mut self, loss: Loss) {
        let key = loss.key();
        let known = self.known.get(&key).and_then(|at| self.entries.get(*at));
        if !known.is_some_and(|known| loss.repeats(known)) {
            self.known.insert(key, self.entries.len());
            self.entries.push(loss);
        }
    }

    /// Appends an entry without visible effect.
    pub fn info(&mut self, code: LossCode, action: LossAction, path: impl Into<String>, detail: impl Into<String>) {
        self.add(code, action, Severity::Info, path, detail);
    }

    /// Appends an entry that may change the answer.
    pub fn warn(&mut self, code: LossCode, action: LossAction, path: impl Into<String>, detail: impl Into<String>) {
        self.add(code, action, Severity::Warn, path, detail);
    }

    /// Appends an entry about content or safety: the request is refused by default.
    pub fn error(&mut self, code: LossCode, path: impl Into<String>, detail: impl Into<String>) {
        self.add(code, LossAction::Rejected, Severity::Error, path, detail);
    }

    fn add(
        &mut self,
        code: LossCode,
        action: LossAction,
        severity: Severity,
        path: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.push(Loss { code, action, severity, path: path.into(), detail: detail.into() });
    }

    /// Appends the entries of another report.
    pub fn extend(&mut self, others: Self) {
        others.entries.into_iter().for_each(|loss| self.push(loss));
    }

    /// Changes the paths for which `place` knows another.
    pub fn map_paths(&mut self, place: impl Fn(&str) -> Option<String>) {
        for loss in &mut self.entries {
            if let Some(path) = place(&loss.path) {
                loss.path = path;
            }
        }
        self.known = self.entries.iter().enumerate().map(|(at, loss)| (loss.key(), at)).collect();
    }

    /// The entries in the order they were found.
    #[must_use]
    pub fn entries(&self) -> &[Loss] {
        &self.entries
    }

    /// Whether nothing was lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first entry at least as severe as `severity`.
    #[must_use]
    pub fn first_at_least(&self, severity: Severity) -> Option<&Loss> {
        self.entries.iter().find(|loss| loss.severity >= severity)
    }

    /// Value of the `x-polyport-loss` header: `code;action, …`, the first 10 distinct entries, at most 1 KiB.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        let mut pairs: Vec<String> = Vec::new();
        for loss in &self.entries {
            let pair = format!("{};{}", loss.code.as_str(), loss.action.as_str());
            if !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
        pairs.truncate(10);
        while pairs.iter().map(|pair| pair.len() + 2).sum::<usize>() > 1024 {
            pairs.pop();
        }
        (!pairs.is_empty()).then(|| pairs.join(", "))
    }

    /// All entries for the log: `code;action path (detail), …`. Details never hold what a client wrote to a model. At most 8 KiB; what
    /// does not fit is counted.
    #[must_use]
    pub fn report(&self) -> Option<String> {
        const LONGEST: usize = 8 << 10;
        let mut text = String::new();
        for (at, loss) in self.entries.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            let detail = if loss.detail.is_empty() { String::new() } else { format!(" ({})", loss.detail) };
            let entry = format!("{comma}{};{} {}{detail}", loss.code.as_str(), loss.action.as_str(), loss.path);
            if text.len() + entry.len() > LONGEST {
                text.push_str(&format!(", and {} more", self.entries.len() - at));
                break;
            }
            text.push_str(&entry);
        }
        (!text.is_empty()).then_some(text)
    }
}

/// Between which protocols a translation went; names the report in logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Direction {
    /// Source protocol.
    pub from: Protocol,
    /// Target protocol.
    pub to: Protocol,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A long history may lose something at every step; comparing each entry with all others would take an hour.
    #[test]
    fn many_entries_are_told_apart_at_once() {
        let mut losses = Losses::new();
        for round in 0..2 {
            for at in 0..200_000 {
                losses.info(LossCode::TurnMerged, LossAction::Degraded, format!("/messages/{at}"), "");
            }
            losses.error(LossCode::MediaUnsupported, "/messages/1", format!("reason {round}"));
        }
        assert_eq!(losses.entries().len(), 200_001);
    }

    #[test]
    fn the_report_names_every_loss_within_its_bound() {
        let mut losses = Losses::new();
        assert_eq!(losses.report(), None);
        losses.warn(LossCode::SamplingUnsupported, LossAction::Dropped, "/top_k", "not known there");
        losses.info(LossCode::IdRewritten, LossAction::Renamed, "/messages/1", "");
        assert_eq!(
            losses.report().as_deref(),
            Some("sampling.unsupported;dropped /top_k (not known there), id.rewritten;renamed /messages/1")
        );
        losses.error(LossCode::MediaUnsupported, "/messages/0", "the model takes no sound");
        losses.error(LossCode::MediaUnsupported, "/messages/0", "this protocol takes no sound");
        assert_eq!(losses.entries().len(), 3);
        for number in 0..1000 {
            losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, format!("/member_{number}"), "");
        }
        let report = losses.report().unwrap();
        assert!(report.len() < 9000 && report.ends_with(" more"), "{report}");
    }
}
