//! The lines of a recording. Each is one JSON object; the first says what the file is.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyport_types::Protocol;
use serde::{Deserialize, Serialize};

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The longest line that is written or read, in bytes.
pub const LINE_BYTES: usize = 128 << 20;

/// The largest recording that is written or read, in MiB.
pub const MOST_MIB: u64 = 1024;

/// The first line of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The version of the format.
    pub polyport_recording: u32,
    /// The program that wrote it.
    pub made_by: String,
    /// When it was begun, Unix milliseconds.
    pub at: u64,
}

/// Any other line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A request and its answer.
    Exchange(Box<Exchange>),
    /// The last line of a recording that was ended in order.
    End(Totals),
}

/// How much was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Exchanges in the file.
    pub exchanges: u64,
    /// Exchanges that are not: they were too large or too many at once, the file was full, or it could not be written.
    pub dropped: u64,
}

/// On which side of the gateway an exchange was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// With a client.
    Client,
    /// With a provider.
    Provider,
}

/// A request and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// Which side of the gateway this is.
    pub side: Side,
    /// The id of the client's request: the same for what its providers were asked. Absent where no client asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it began, Unix milliseconds.
    pub at: u64,
    /// What is spoken.
    pub protocol: Protocol,
    /// The provider's name in the configuration.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// How the provider is spoken to, where that is not as its protocol's own servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The table of quirks of its server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// The path of the provider's base address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// The model that the provider was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; absent where it was read while it was sent, as files are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// The answer; absent where none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// How it ended.
    pub end: End,
    /// When it ended, in microseconds since it began.
    pub ended: u64,
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// When its head was there, in microseconds since the exchange began.
    pub after: u64,
    /// The status.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The pieces of the body as they came, decompressed.
    pub chunks: Vec<Chunk>,
}

/// A piece of a body: when it came, in microseconds since the exchange began, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk(pub u64, pub Body);

/// Bytes: text where they are, base64 otherwise.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Body {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Base64 {
        /// The bytes.
        base64: String,
    },
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The answer is whole.
    Complete,
    /// The connection broke off before the end of the answer, or before there was one.
    Reset,
    /// Whoever answered took too long.
    Timeout,
    /// Whoever asked went away before the end.
    Left,
}

impl Body {
    /// Of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64 { base64: STANDARD.encode(bytes) },
        }
    }

    /// The bytes; an error if they are said to be base64 and are not.
    ///
    /// # Errors
    /// What is wrong.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64 { base64 } => decoded(base64),
        }
    }

    /// An error if the bytes are said to be base64 and are not.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Text(_) => Ok(()),
            Self::Base64 { base64 } => decoded(base64).map(drop),
        }
    }

    /// The bytes, none if they are no base64.
    pub(crate) fn borrowed(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Base64 { base64 } => decoded(base64).unwrap_or_default().into(),
        }
    }
}

fn decoded(base64: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(base64).map_err(|error| format!("no base64: {error}"))
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Base64 { base64 } => write!(f, "base64 {base64}"),
        }
    }
}

impl Exchange {
    /// The first header of this name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The bytes of the request's body; none where it was not recorded.
    #[must_use]
    pub fn body_bytes(&self) -> Vec<u8> {
        self.body.as_ref().and_then(|body| body.bytes().ok()).unwrap_or_default()
    }
}

impl Answer {
    /// The first header of this name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The whole body.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.chunks.iter().filter_map(|chunk| chunk.1.bytes().ok()).flatten().collect()
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The line of a value, with its end.
///
/// # Errors
/// When it cannot be written as JSON, which values of this module always can.
pub fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            let body = Body::new(&bytes);
            let text = serde_json::to_string(&body).unwrap();
            let back: Body = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back.bytes().unwrap(), bytes);
        }
    }
}
