//! The value that stands for a missing signature of Google's models, in its two forms.

use std::sync::Arc;

use crate::{Profile, Target};

const LITERAL: &str = "skip_thought_signature_validator";
const BASE64: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// The form a server takes.
pub(crate) fn value(profile: &Profile) -> &'static str {
    if profile.sentinel_base64 { BASE64 } else { LITERAL }
}

/// Chooses the form that a server has not just refused, if it refused one.
pub(crate) fn other_form(target: &mut Target, refused: &[u8]) {
    let held = |bypass: &str| memchr::memmem::find(refused, bypass.as_bytes()).is_some();
    if held(LITERAL) {
        Arc::make_mut(&mut target.profile).sentinel_base64 = true;
    } else if held(BASE64) {
        Arc::make_mut(&mut target.profile).sentinel_base64 = false;
    }
}
