//! Signatures of one provider travelling through another protocol's slots.
//!
//! Token: `pp1.<family>.<kind>.<scope>.<payload>.<mac>`, all of `[A-Za-z0-9._-]`. Family: `a` anthropic, `o` openai, `g` google, `x` xai,
//! `k` moonshot, `u` other. Kind: `t` thinking, `r` redacted, `i` reasoning item, `p` part, `f` function call, with a
//! suffix `n` (belongs to the next part), `p` (to the previous part) or `s` (stands alone) where position matters.

use polyport_types::Signature;

/// The secret that authenticates carriers. Made once, kept in the data directory.
#[derive(Clone)]
pub struct CarrierKey([u8; 32]);

impl std::fmt::Debug for CarrierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CarrierKey(REDACTED)")
    }
}

/// Which part a carried signature belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The part whose slot the carrier stands in.
    Own,
    /// The part after it.
    Next,
    /// The part before it.
    Previous,
    /// No part: it stands alone.
    Alone,
}

impl CarrierKey {
    /// A key from secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Writes a signature as a token.
    #[must_use]
    pub fn seal(&self, _signature: &Signature, _placement: Placement, _scope: u32) -> String {
        String::new()
    }

    /// Reads a token back. `None` if it is no token or its mac is wrong.
    #[must_use]
    pub fn open(&self, _token: &str) -> Option<(Signature, Placement)> {
        None
    }
}

/// Whether a slot value claims to be a token: such a value never goes to a provider.
#[must_use]
pub fn is_token(value: &str) -> bool {
    value.starts_with("pp1.")
}
