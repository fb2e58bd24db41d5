//! Signatures of reasoning that a fake provider recognises as its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use polyport_types::Protocol;
use serde_json::Value;

const MARK: &str = "polyport-fake/";

/// The signature a fake provider of `protocol` gives to this text.
pub(in crate::provider) fn sign(protocol: Protocol, text: &str) -> String {
    // FNV-1a: enough to notice a changed text.
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    STANDARD.encode(format!("{MARK}{protocol}/{hash:016x}"))
}

/// Reports signatures of a fake provider that do not belong to this protocol or not to their text. Others, as in
/// recorded requests, are let through.
pub(in crate::provider) fn check(protocol: Protocol, value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = format!("{path}/{name}");
                if let Some(signature) = member.as_str().and_then(|text| STANDARD.decode(text).ok()) {
                    let signature = String::from_utf8_lossy(&signature).into_owned();
                    let Some(rest) = signature.strip_prefix(MARK) else { continue };
                    if !rest.starts_with(protocol.as_str()) {
                        found.push(format!("{path}: a signature of another provider: {signature}"));
                    } else if let (Protocol::Messages, Some(text)) = (protocol, members.get("thinking")) {
                        let good = text.as_str().is_some_and(|text| {
                            text.is_empty() || sign(protocol, text) == member.as_str().unwrap_or_default()
                        });
                        if !good {
                            found.push(format!("{path}: invalid `signature` in `thinking` block"));
                        }
                    }
                }
                check(protocol, member, &path, found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                check(protocol, item, &format!("{path}/{at}"), found);
            }
        }
        _ => {}
    }
}
