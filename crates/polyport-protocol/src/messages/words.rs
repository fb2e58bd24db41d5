//! Things that become text where the API has nothing else for them.

use base64::Engine as _;
use polyport_types::{CodeOutcome, RawJson};

use crate::repair;

/// Code as text.
pub(super) fn fenced(language: &str, code: &str) -> String {
    let code = code.trim_end_matches('\n');
    format!("```{}\n{code}\n```", language.to_lowercase())
}

/// What a program printed, as text.
pub(super) fn code_result(outcome: &CodeOutcome, output: &str) -> String {
    let heading = match outcome {
        CodeOutcome::Ok => "Output:",
        CodeOutcome::Failed => "Failed:",
        CodeOutcome::DeadlineExceeded => "Stopped after its time limit:",
        CodeOutcome::Other(_) => "Result:",
    };
    format!("{heading}\n{}", fenced("", output))
}

/// A structured result as text, and whether it says that the tool failed.
pub(super) fn structured_text(raw: &RawJson) -> (String, bool) {
    if let serde_json::Value::Object(object) = raw.to_value()
        && object.len() == 1
        && let Some((key, serde_json::Value::String(text))) = object.iter().next()
    {
        match key.as_str() {
            "output" | "result" | "content" => return (text.clone(), false),
            "error" => return (text.clone(), true),
            _ => {}
        }
    }
    (repair::compact(raw.as_str()).into_owned(), false)
}

/// The MIME type without parameters, lower case assumed.
pub(super) fn essence(mime: &str) -> &str {
    mime.split(';').next().unwrap_or_default().trim()
}

pub(super) fn is_text(mime: &str) -> bool {
    mime.starts_with("text/") || matches!(mime, "application/json" | "application/xml")
}

pub(super) fn decoded(data: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    String::from_utf8(bytes).ok().filter(|text| !text.trim().is_empty())
}
