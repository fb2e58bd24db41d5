//! Rules that look at a request instead of listing the names of models.

use std::sync::Arc;

use polyport_types::{ClientProtocol, Pattern, Text};

use super::target::Mode;
use crate::hedge::Hedge;
use crate::retry::RetryPolicy;

/// A rule that looks at the request instead of listing its model name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// When it holds.
    pub when: Match,
    /// Where to.
    pub to: RouteTo,
    /// Lower is asked first; of equals, the one added first.
    pub priority: u32,
    /// Asked before the names that models and pools list. `None`: if it looks at a header or at the caller.
    pub overrides: Option<bool>,
    /// How bodies reach the provider; `None` for the mode of all.
    pub mode: Option<Mode>,
    /// Only these credentials of the provider, by name; empty for all.
    pub keys: Vec<Text>,
    /// How failures are retried; `None` for the way of all.
    pub retry: Option<RetryPolicy>,
    /// When a second attempt is made; `None` for the way of all.
    pub hedge: Option<Arc<Hedge>>,
    /// What becomes of an answer whose client has left; `None` for the way of all.
    pub disconnect: Option<Disconnect>,
    /// Prompts and answers are kept in the request log.
    pub capture: bool,
}

/// What becomes of an answer whose client has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disconnect {
    /// The provider is left as well; what was used is estimated.
    #[default]
    Cancel,
    /// It is read to its end, where the provider says what was used.
    Drain,
    /// It is read until about so many tokens of it have come.
    DrainTokens(u64),
}

impl Route {
    /// A route without conditions.
    #[must_use]
    pub fn new(to: RouteTo) -> Self {
        Self {
            when: Match::default(),
            to,
            priority: 1,
            overrides: None,
            mode: None,
            keys: Vec::new(),
            retry: None,
            hedge: None,
            disconnect: None,
            capture: false,
        }
    }

    /// Whether it is asked before the listed names.
    pub(super) fn goes_first(&self) -> bool {
        self.overrides.unwrap_or(!self.when.headers.is_empty() || !self.when.callers.is_empty())
    }
}

/// When a [`Route`] holds: all conditions given must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// The whole model name.
    pub model: Option<Pattern>,
    /// The model name holds one of these texts, in any case.
    pub contains: Vec<Text>,
    /// The client speaks this protocol.
    pub protocol: Option<ClientProtocol>,
    /// Headers, by lower-case name, and what their values look like.
    pub headers: Vec<(Text, Pattern)>,
    /// The name of the client key or of its user is like one of these.
    pub callers: Vec<Pattern>,
}

impl Match {
    /// Whether there is no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn fits(&self, model: &str, hints: &Hints<'_>) -> bool {
        let lower = || model.to_lowercase();
        let has = |name: &Text, value: &Pattern| {
            hints.headers.iter().any(|(known, given)| known.eq_ignore_ascii_case(name) && value.matches(given))
        };
        self.model.as_ref().is_none_or(|pattern| pattern.matches(model))
            && (self.contains.is_empty() || self.contains.iter().any(|part| lower().contains(&part.to_lowercase())))
            && self.protocol.is_none_or(|wanted| hints.protocol == Some(wanted))
            && self.headers.iter().all(|(name, value)| has(name, value))
            && (self.callers.is_empty()
                || hints.callers.iter().any(|name| self.callers.iter().any(|pattern| pattern.matches(name))))
    }
}

/// Where a [`Route`] leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTo {
    /// To a provider, which gets the name as asked for.
    Provider(Text),
    /// To `provider/model`, or to a model or pool of the catalogue. A `*` in it stands for what the `*` of [`Match::model`]
    /// matched; `provider/*` keeps the name.
    Model(Text),
}

impl RouteTo {
    /// The name as written.
    #[must_use]
    pub fn name(&self) -> &Text {
        match self {
            Self::Provider(name) | Self::Model(name) => name,
        }
    }
}

/// What is known about a request beside its model name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// The client's protocol.
    pub protocol: Option<ClientProtocol>,
    /// Headers that routes ask for; see [`super::Catalog::headers`].
    pub headers: &'a [(&'a str, &'a str)],
    /// Names of the client key and its user.
    pub callers: &'a [&'a str],
}

impl Hints<'_> {
    /// A request of which only the protocol is known.
    #[must_use]
    pub fn new(protocol: ClientProtocol) -> Self {
        Self { protocol: Some(protocol), headers: &[], callers: &[] }
    }

    pub(super) fn speaks(&self, protocol: polyport_types::Protocol) -> bool {
        self.protocol.is_some_and(|client| polyport_types::Protocol::from(client) == protocol)
    }
}

/// Which rule found the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The name is listed.
    Model(Text),
    /// The name is a pool's.
    Pool(Text),
    /// The name holds a word of a pool.
    Word {
        /// The pool.
        pool: Text,
        /// The word.
        word: Text,
    },
    /// `provider/model` asked for directly.
    Direct,
    /// A listed name with `*`.
    Glob(Text),
    /// A route, by its position in the configuration.
    Route(usize),
    /// The provider lists the model.
    Listed,
    /// The name looks like one of that provider's.
    Claimed(Text),
    /// Nothing else fitted: the default provider.
    Default,
}
