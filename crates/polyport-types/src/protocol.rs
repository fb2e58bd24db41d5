//! The closed sets of protocols.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A wire format a provider can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `OpenAI` Chat Completions, `POST /v1/chat/completions`.
    Chat,
    /// `OpenAI` Responses, `POST /v1/responses`.
    Responses,
    /// Anthropic Messages, `POST /v1/messages`.
    Messages,
    /// Gemini `generateContent` and `streamGenerateContent`.
    Gemini,
}

/// A wire format a client can speak: the part of [`Protocol`] that Polyport serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientProtocol {
    /// `OpenAI` Chat Completions.
    Chat,
    /// `OpenAI` Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Gemini `generateContent`.
    Gemini,
}

impl ClientProtocol {
    /// All client protocols, in the order used by tables.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Messages, Self::Gemini];

    /// The lower-case name used in configuration, logs and headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Protocol::from(self).as_str()
    }
}

impl Protocol {
    /// All protocols, in the order used by tables.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Messages, Self::Gemini];

    /// The lower-case name used in configuration, logs and headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
        }
    }
}

impl From<ClientProtocol> for Protocol {
    fn from(protocol: ClientProtocol) -> Self {
        match protocol {
            ClientProtocol::Chat => Self::Chat,
            ClientProtocol::Responses => Self::Responses,
            ClientProtocol::Messages => Self::Messages,
            ClientProtocol::Gemini => Self::Gemini,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ClientProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|p| p.as_str() == s).ok_or_else(|| UnknownProtocol(s.to_owned()))
    }
}

/// A protocol name outside the closed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProtocol(pub String);

impl fmt::Display for UnknownProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown protocol `{}`: use chat, responses, messages or gemini", self.0)
    }
}

impl std::error::Error for UnknownProtocol {}
