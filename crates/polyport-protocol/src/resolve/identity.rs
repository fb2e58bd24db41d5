//! Who asks, and how urgently.

use polyport_types::{ClientProtocol, LossAction, LossCode, Protocol, Request, Text};
use sha2::{Digest as _, Sha256};

use super::Job;

/// Longest `safety_identifier`, in characters.
const MAX_OPENAI_USER: usize = 64;

/// Makes the end user's identity fit for another provider, and the tier for the model.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    tier(job, request);
    if job.same {
        return;
    }
    let Some(user) = request.end_user.clone() else { return };
    if job.source == ClientProtocol::Messages && names_account(&user) {
        request.end_user = None;
        let detail = "names an account of its provider";
        job.losses.info(LossCode::IdentityDropped, LossAction::Dropped, "/metadata/user_id", detail);
        return;
    }
    let path = if job.source == ClientProtocol::Messages { "/metadata/user_id" } else { "/user" };
    let personal = job.to(Protocol::Messages) && (is_email(&user) || is_phone(&user));
    let long = job.goes_to_openai() && !job.comes_from_openai() && user.chars().count() > MAX_OPENAI_USER;
    if personal || long {
        request.end_user = Some(hash(&user));
        let why = if personal { "an address or a number" } else { "too long" };
        job.losses.info(LossCode::IdentityHashed, LossAction::Degraded, path, why);
    }
}

/// `fast` is a speed on Messages, and only some models have it.
fn tier(job: &mut Job<'_>, request: &mut Request) {
    let fast = request.service_tier.as_deref().is_some_and(|tier| matches!(tier, "fast" | "ultrafast"));
    if fast && job.to(Protocol::Messages) && !job.capabilities().fast {
        request.service_tier = Some(Text::from_static("auto"));
        job.losses.warn(LossCode::ServiceTierMapped, LossAction::Degraded, "/service_tier", "fast → auto");
    }
}

/// Claude Code packs ids of device, account and session into the value.
fn names_account(user: &str) -> bool {
    user.contains("account_uuid")
        || user.contains("_account_")
        || (user.starts_with('{') && user.contains("session_id"))
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.trim().split_once('@') else { return false };
    !name.is_empty() && host.contains('.') && !host.contains(char::is_whitespace) && !host.contains('@')
}

/// Seven to fifteen digits with the signs people write between them; a bare row of digits only if it is as long as a number with
/// its country.
fn is_phone(text: &str) -> bool {
    let text = text.trim();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let signs = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.' | '/'));
    let least = if digits == text.len() { 10 } else { 7 };
    signs && (least..=15).contains(&digits)
}

fn hash(text: &str) -> Text {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
