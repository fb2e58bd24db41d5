//! The configuration file as it is written, without its secrets.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use polyport_protocol::classify;
use polyport_recording::redact::is_secret;

use super::live::Live;
use super::mask::Guide;
use super::tree::{Mark, Step, marks};

/// A secret that is shorter would be found in ordinary words.
const SHORTEST: usize = 6;

/// As many letters and digits in a row are a key, where nothing else says what they are.
const LONGEST_WORD: usize = 16;

/// What may be shown of the configuration file.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) path: Option<String>,
    pub(crate) text: Option<String>,
    /// Why there is no text.
    pub(crate) reason: Option<String>,
}

impl Live {
    /// The configuration file as it is now. Reads it.
    pub(crate) fn seen(&self) -> Seen {
        let Some((source, file)) = self.source().and_then(|source| Some((source, source.file.as_ref()?))) else {
            let reason = "there is no configuration file: what is set comes from the environment and the database";
            return Seen { reason: Some(reason.to_owned()), ..Seen::default() };
        };
        let path = Some(file.display().to_string());
        let read = source.read_text().map_err(|problems| problems.to_string());
        match read.and_then(|text| without_secrets(&text, file)) {
            Ok(text) => Seen { path, text: Some(text), reason: None },
            Err(reason) => Seen { path, text: None, reason: Some(reason) },
        }
    }
}

/// What stands in the place of a piece of the text.
struct Edit {
    range: Range<usize>,
    /// What is read there afterwards.
    shown: String,
    /// What is written there.
    written: String,
}

/// A text without the secrets in it, which still says the same otherwise.
fn without_secrets(text: &str, file: &Path) -> Result<String, String> {
    let file: Arc<Path> = file.into();
    let marks = marks(text, &file).map_err(|problem| format!("its text cannot be told from its secrets: {problem}"))?;
    let mut secrets: Vec<String> = Vec::new();
    let mut edits: Vec<Edit> = Vec::new();
    let mut before: Option<&Mark> = None;
    for mark in &marks {
        let masked = if mark.is_key { None } else { guide_of(mark, before).scalar(&mark.text, mark.plain) };
        if let Some(shown) = masked {
            secrets.extend(told_only_there(&mark.text, &shown));
            if !edits.iter().any(|edit| edit.range == mark.range) {
                let written = serde_json::to_string(&shown).map_err(|error| error.to_string())?;
                edits.push(Edit { range: mark.range.clone(), shown, written });
            }
        }
        before = (!mark.is_key).then_some(mark);
    }
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    let values = edits.len();
    for range in comments(text, &marks) {
        let comment = text.get(range.clone()).unwrap_or_default();
        let shown = secrets.iter().fold(clean(comment), |shown, secret| shown.replace(secret.as_str(), "…"));
        if shown != comment {
            edits.push(Edit { range, written: shown.clone(), shown });
        }
    }
    let mut order: Vec<&Edit> = edits.iter().collect();
    order.sort_by_key(|edit| edit.range.start);
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for edit in order {
        out.push_str(text.get(from..edit.range.start).ok_or(UNSURE)?);
        out.push_str(&edit.written);
        from = edit.range.end;
    }
    out.push_str(text.get(from..).ok_or(UNSURE)?);
    let edits = edits.get(..values).unwrap_or_default();
    let same = is_the_same(&marks, edits, &out, &file);
    if !same || secrets.iter().any(|secret| out.contains(secret.as_str())) {
        return Err(UNSURE.to_owned());
    }
    Ok(out)
}

const UNSURE: &str = "its secrets cannot be taken out of its text for certain; write them as `env:NAME` or `file:PATH`, each in a line of its own";

fn guide_of(mark: &Mark, before: Option<&Mark>) -> Guide {
    let last = mark.path.len().saturating_sub(1);
    let mut guide = Guide::root();
    for (at, step) in mark.path.iter().enumerate() {
        guide = match step {
            Step::Key(key) => guide.key(key),
            Step::Index(_) => {
                let beside = before.filter(|before| {
                    at == last && before.path.len() == mark.path.len() && before.path.get(..at) == mark.path.get(..at)
                });
                guide.item(beside.map(|before| before.text.as_str()))
            }
        };
    }
    guide
}

/// The parts of a text that are not shown, to be looked for elsewhere.
fn told_only_there(text: &str, shown: &str) -> Vec<String> {
    let whole = (!shown.contains("://")).then(|| text.trim().to_owned());
    // Of an address, what stands between the signs.
    let parts = text.split(['/', ':', '@', '?', '&', '=', '#', ' ']).filter(|part| !shown.contains(part));
    let parts: Vec<String> = whole.map_or_else(|| parts.map(str::to_owned).collect(), |whole| vec![whole]);
    parts.into_iter().filter(|part| part.len() >= SHORTEST && !is_word(part)).collect()
}

/// Whether it may stand in any text: `ollama` is the key of many a local server.
fn is_word(text: &str) -> bool {
    let (digit, letter) =
        (text.contains(|c: char| c.is_ascii_digit()), text.contains(|c: char| c.is_ascii_alphabetic()));
    text.len() < LONGEST_WORD && !(digit && letter)
}

/// Where comments stand: behind a `#` at the beginning of a line or after a blank, outside of all texts.
fn comments(text: &str, marks: &[Mark]) -> Vec<Range<usize>> {
    let mut taken: Vec<&Range<usize>> = marks.iter().map(|mark| &mark.range).collect();
    taken.sort_by_key(|range| range.start);
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let mut blank = true;
        for (offset, c) in line.char_indices() {
            let here = at + offset;
            if c == '#' && blank {
                // The last one that begins before it reaches the furthest, as they do not overlap.
                let next = taken.partition_point(|range| range.start <= here);
                let inside =
                    next.checked_sub(1).and_then(|last| taken.get(last)).is_some_and(|range| range.contains(&here));
                if !inside {
                    found.push(here..at + line.trim_end_matches(['\n', '\r']).len());
                    break;
                }
            }
            blank = c == ' ' || c == '\t';
        }
        at += line.len();
    }
    found
}

/// A comment without what looks like a secret.
fn clean(comment: &str) -> String {
    let said = comment.trim_start_matches(['#', ' ', '\t', '-']);
    if let Some((name, value)) = said.split_once(':').or_else(|| said.split_once('=')) {
        let name = name.trim();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"'".contains(c));
        let value = value.trim();
        let is_reference = value
            .trim_matches(['"', '\'', '[', ']', ' '])
            .split_once(':')
            .is_some_and(|(head, _)| head == "env" || head == "file");
        if is_name && is_secret(name) && !value.is_empty() && !is_reference {
            let head = comment.strip_suffix(value).or_else(|| comment.trim_end().strip_suffix(value));
            return format!("{}…", head.unwrap_or("# "));
        }
    }
    let mut out = String::with_capacity(comment.len());
    let mut word = String::new();
    let put = |word: &mut String, out: &mut String| {
        let (digit, letter) =
            (word.contains(|c: char| c.is_ascii_digit()), word.contains(|c: char| c.is_ascii_alphabetic()));
        let key = word.len() >= LONGEST_WORD && digit && letter;
        out.push_str(if key { "…" } else { word });
        word.clear();
    };
    for c in classify::mask(comment).chars() {
        if c.is_ascii_alphanumeric() {
            word.push(c);
        } else {
            put(&mut word, &mut out);
            out.push(c);
        }
    }
    put(&mut word, &mut out);
    out
}

/// Whether a text says the same as before, but for these edits.
fn is_the_same(before: &[Mark], edits: &[Edit], text: &str, file: &Arc<Path>) -> bool {
    let Ok(after) = marks(text, file) else { return false };
    before.len() == after.len()
        && before.iter().zip(&after).all(|(before, after)| {
            let edit = edits.iter().find(|edit| edit.range == before.range);
            let text = edit.map_or(&before.text, |edit| &edit.shown);
            before.path == after.path && before.is_key == after.is_key && *text == after.text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Result<String, String> {
        without_secrets(text, Path::new("p.yaml"))
    }

    #[test]
    fn secrets_go_and_everything_else_stays() {
        let text = "\
# The gateway of the team. Old: sk-canary-0123456789
server: { host: 127.0.0.1, port: 7659 } # as ever
access:
  keys:
    - name: laptop
      key: pp-canary-key-0123456789
    - 'pp-canary-two # 0123456789'
    - env:CLIENT_KEY
  # keys: hunter2-canary
  admin_keys: \"pp-canary-admin-\\\"0123456789\"
store: { url: \"postgres://polyport:canaryword@db/polyport\" }
providers:
  openai:
    preset: openai
    keys: [canary-in-a-flow-012345, file:secrets/key]
    headers: { x-title: canary-title-0123 }
    proxy: http://user:canary-proxy@proxy:3128
  run:
    adapter: process
    process: { command: x, args: [--api-key, canary-flag-1, --seed, 7, [--token=canary-flag-2]], env: { A: canary-env-1 } }
  custom: # canary-in-a-flow-012345 again
    adapter: custom_http
    base_url: https://example.com/v1?sig=canarysig
    custom:
      body: { api_key: canary-body-0123, prompt: '{{ prompt }}' }
notifications:
  webhooks:
    - { name: chat, url: https://hooks.example.com/services/T0/B0/canarycanarycanary, secret: whsec_canary0123456789 }
models:
  fast: openai/gpt-5-mini
unheard: canary-unheard-01
limits: { requests: 5 }
";
        let shown = seen(text).unwrap();
        assert!(!shown.contains("canary"), "{shown}");
        for kept in [
            "# The gateway of the team. Old: [redacted]",
            "server: { host: 127.0.0.1, port: 7659 } # as ever",
            "- name: laptop",
            "- env:CLIENT_KEY",
            "postgres://polyport:…@db/polyport",
            "file:secrets/key]",
            "preset: openai",
            "--seed, 7",
            "fast: openai/gpt-5-mini",
            "limits: { requests: 5 }",
            "https://hooks.example.com/…",
            "prompt: '{{ prompt }}'",
        ] {
            assert!(shown.contains(kept), "{kept}\n{shown}");
        }
        assert_eq!(text.lines().count(), shown.lines().count());
    }

    #[test]
    fn texts_of_all_styles_are_found_or_nothing_is_shown() {
        for text in [
            "access: { keys: &k pp-canary-0123456789 }\nproviders: { a: { base_url: x, keys: *k } }\n",
            "access:\n  keys: |\n    pp-canary-0123456789\nlimits: { requests: 5 }\n",
            "access:\n  keys: >-\n    pp-canary\n    0123456789\nlimits: { requests: 5 }\n",
            "access:\n  keys:\n    pp-canary\n    0123456789\nlimits: { requests: 5 }\n",
            "access: { keys: !!str pp-canary-0123456789 }\n",
            "base: &b { keys: pp-canary-0123456789 }\naccess: { <<: *b }\n",
            "? access\n: { keys: [\"pp-\\u0063anary-0123456789\"] }\n",
            "models: { fast: &x pp/canary-0123456789 }\naccess: { keys: *x }\n",
            "\"access\": {\"keys\": [\"pp-canary-0123456789\"], \"pp-canary-0123456789\": 1}\n",
        ] {
            match seen(text) {
                Ok(shown) => assert!(!shown.contains("canary") && !shown.contains("u0063anary"), "{text}\n{shown}"),
                Err(reason) => assert!(!reason.contains("canary"), "{reason}"),
            }
        }
        let words = seen("providers: { ollama: { preset: ollama, keys: [ollama] } }\n").unwrap();
        assert_eq!(words, "providers: { ollama: { preset: ollama, keys: [\"…\"] } }\n");
        let broken = seen("access: { keys: pp-canary-0123456789\nx: [").unwrap_err();
        assert!(broken.contains("p.yaml:") && !broken.contains("canary"), "{broken}");
        assert_eq!(seen("").unwrap(), "");
        assert_eq!(seen("# only words\n").unwrap(), "# only words\n");
    }
}
