//! What can be wrong with a catalogue, or with a name asked for.

use polyport_types::{ClientProtocol, FaultClass, Text};

/// Why a name leads to no provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// No rule knows it.
    #[error(transparent)]
    Unknown(#[from] UnknownModel),
    /// It is forwarded unconverted, and no provider behind it speaks the client's protocol.
    #[error(
        "`{model}` is forwarded without conversion (mode `direct`), and {} not speak the `{client}` protocol of this request: \
         use the endpoint of the provider's protocol, or the mode `transform`",
        match providers.as_slice() {
            [one] => format!("its provider `{one}` does"),
            more => format!("its providers {} do", more.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        },
        client = protocol.as_str()
    )]
    NotDirect {
        /// The name asked for.
        model: Text,
        /// The client's protocol.
        protocol: ClientProtocol,
        /// The providers behind the name.
        providers: Vec<Text>,
    },
}

impl NoRoute {
    /// What kind of fault it is for the client.
    #[must_use]
    pub fn class(&self) -> FaultClass {
        match self {
            Self::Unknown(_) => FaultClass::ModelNotFound,
            Self::NotDirect { .. } => FaultClass::BadRequest,
        }
    }
}

/// No rule leads from this name to a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown model `{model}`{}", match similar.as_slice() {
    [] => String::new(),
    some => format!("; similar: {}", some.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
})]
pub struct UnknownModel {
    /// The name asked for, cut after 200 characters.
    pub model: Text,
    /// Known names that look like it, at most three.
    pub similar: Vec<Text>,
}

/// A mistake in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// A reference leads nowhere.
    #[error(
        "{} `{name}` leads to `{to}`, which is neither `provider/model` of a configured provider nor another model or pool",
        list.as_str()
    )]
    Dangling {
        /// What holds it.
        list: List,
        /// Its name.
        name: Text,
        /// The reference.
        to: Text,
    },
    /// Models lead to one another in a circle.
    #[error("{} `{name}` leads back to itself: {}", list.as_str(), path.join(" → "))]
    Cycle {
        /// What kind of list the circle was found in.
        list: List,
        /// Where the circle was found.
        name: Text,
        /// The way round.
        path: Vec<String>,
    },
    /// A list without targets.
    #[error("{} `{name}` has no targets", list.as_str())]
    Empty {
        /// What is empty.
        list: List,
        /// Its name.
        name: Text,
    },
    /// A glob leads to another model, which could not keep the name.
    #[error("model `{model}` holds `*`, so it must lead to `provider/…`, not to `{to}`")]
    GlobToModel {
        /// The glob.
        model: Text,
        /// The reference.
        to: Text,
    },
    /// A model and a pool have the same name.
    #[error("`{0}` is both a model and a pool")]
    Twice(Text),
    /// A fall-back is no pool.
    #[error("pool `{pool}` falls back to `{to}`, which is no pool")]
    Fallback {
        /// The pool.
        pool: Text,
        /// The reference.
        to: Text,
    },
    /// Pools fall back to one another in a circle.
    #[error("pool `{pool}` falls back to itself: {}", path.join(" → "))]
    FallbackCycle {
        /// Where the circle was found.
        pool: Text,
        /// The way round.
        path: Vec<String>,
    },
    /// A route leads to a provider or model that does not exist.
    #[error("the route leads to `{to}`, which is neither a provider, a model, a pool nor `provider/model`")]
    Route {
        /// Position in the list, from 0.
        index: usize,
        /// The reference.
        to: Text,
    },
    /// The default provider does not exist.
    #[error("the default provider `{0}` is not configured")]
    Default(Text),
}

/// What has a list of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// A model.
    Model,
    /// A pool.
    Pool,
}

impl List {
    /// The word in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Pool => "pool",
        }
    }
}
