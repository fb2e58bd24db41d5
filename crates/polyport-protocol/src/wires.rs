//! Servers that write a protocol in a way of their own.
//!
//! A [`Protocol`](polyport_types::Protocol) says what can be said to a server and what its answers mean; a [`Wire`] says how that is written
//! where it is not the protocol's own specification that says so.

use std::sync::Arc;

use crate::custom::Custom;
use crate::gemini;

/// How a server writes what its protocol says.
#[derive(Clone, Debug, Default)]
pub enum Wire {
    /// As the protocol's own specification does.
    #[default]
    Own,
    /// Google Code Assist: Gemini requests and answers in an envelope.
    CodeAssist(Arc<gemini::CodeAssist>),
    /// Warp's multi-agent interface, which can be told what a Chat server can.
    Warp,
    /// AWS Bedrock's Converse interface, which can be told what a Messages server can.
    Converse,
    /// Messages at AWS Bedrock: what stands in headers elsewhere stands in the body, and streams are binary.
    BedrockMessages,
    /// An interface that its operator declares, which can be told what a Chat server can.
    Custom(Arc<Custom>),
}

impl Wire {
    /// Whether bodies of clients of the protocol can be passed through.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }

    /// Whether its streams are those of AWS.
    #[must_use]
    pub fn has_aws_streams(&self) -> bool {
        matches!(self, Self::Converse | Self::BedrockMessages)
    }
}
