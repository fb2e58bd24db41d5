//! Texts made into values: JSON as people write it, YAML, TOML, lines of variables, lines of tokens.

use serde_json::{Map, Value};

use crate::source::{Document, Kind};

/// Objects and lists inside one another; nobody's configuration has more.
const DEEPEST: usize = 100;

/// What a text is, by its content alone.
pub(crate) fn document(name: &str, text: &str) -> Result<Document, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = |kind, value| Document { name: name.to_owned(), kind, value };
    if text.trim().is_empty() {
        return Err("the file is empty".to_owned());
    }
    if deepest(text) > DEEPEST {
        return Err(format!("objects and lists stand in one another more than {DEEPEST} deep"));
    }
    if let Some(variables) = variables(text) {
        return Ok(document(Kind::Variables, variables.into()));
    }
    let json = match text.trim_start().starts_with(['{', '[']) {
        true => match json(text) {
            Ok(value) => return Ok(document(Kind::Tree, value)),
            Err(error) => Some(error),
        },
        false => None,
    };
    if let Ok(table) = text.parse::<toml::Table>()
        && let Ok(value) = serde_json::to_value(table)
    {
        return Ok(document(Kind::Tree, value));
    }
    if let Some(error) = json {
        return Err(error);
    }
    match serde_saphyr::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(document(Kind::Tree, value)),
        Ok(_) => Ok(document(Kind::Lines, lines(text))),
        Err(_) if is_lines(text) => Ok(document(Kind::Lines, lines(text))),
        Err(error) => {
            // The parser's words may quote the line, and lines hold secrets.
            let place = error.location().map(|at| format!(" at line {}", at.line())).unwrap_or_default();
            Err(format!("this is neither JSON, YAML, TOML nor lines of text: the YAML has a mistake{place}"))
        }
    }
}

/// JSON as people write it: with comments, and commas before a closing bracket.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    let strict = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if let Ok(value) = serde_json::from_str(&plain(text)) {
        return Ok(value);
    }
    // A list of values, one a line.
    let rows: Result<Vec<Value>, _> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(serde_json::from_str).collect();
    match rows {
        Ok(rows) if rows.len() > 1 => Ok(rows.into()),
        _ => {
            let what = match strict.classify() {
                serde_json::error::Category::Eof => "it ends too early",
                _ => "it is broken",
            };
            Err(format!("the JSON cannot be read: {what} (line {}, column {})", strict.line(), strict.column()))
        }
    }
}

/// The same without comments and without commas that nothing follows.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' if quoted => {
                out.push(c);
                out.extend(rest.next());
            }
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '/' if !quoted && rest.peek() == Some(&'/') => while rest.next_if(|&c| c != '\n').is_some() {},
            '/' if !quoted && rest.peek() == Some(&'*') => {
                rest.next();
                let mut before = ' ';
                for c in rest.by_ref() {
                    if before == '*' && c == '/' {
                        break;
                    }
                    before = c;
                }
            }
            ']' | '}' if !quoted => {
                let kept = out.trim_end().len();
                out.truncate(kept);
                if out.ends_with(',') {
                    out.pop();
                }
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// How many brackets are open at once, those in texts left out.
fn deepest(text: &str) -> usize {
    let (mut depth, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            // A quote that is never closed ends with its line, outside JSON.
            b'\n' => quoted = false,
            b'{' | b'[' if !quoted => {
                depth += 1;
                most = most.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// `NAME=value`, as files called `.env` have it; `None` if it is something else.
fn variables(text: &str) -> Option<Map<String, Value>> {
    let mut found = Map::new();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=')?;
        let name = name.trim_end();
        let head = name.chars().next().is_some_and(|c| c.is_ascii_uppercase() || c == '_');
        if !head || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        found.insert(name.to_owned(), unquoted(value).into());
    }
    (!found.is_empty()).then_some(found)
}

/// The value of a variable without quotes and comment.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    for quote in ['\'', '"'] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.rsplit_once(quote)) {
            return inner.to_owned();
        }
    }
    let bare = value.split_once(" #").map_or(value, |(bare, _)| bare);
    bare.trim_end().to_owned()
}

fn is_lines(text: &str) -> bool {
    text.lines().all(|line| line.trim_start().starts_with('#') || line.split_whitespace().count() <= 1)
}

fn lines(text: &str) -> Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(Value::from).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> (Kind, Value) {
        let Document { kind, value, .. } = document("x", text).unwrap();
        (kind, value)
    }

    #[test]
    fn texts_are_known_by_their_content() {
        assert_eq!(read("{\"a\": [1,]} // x\n"), (Kind::Tree, json!({"a": [1]})));
        assert_eq!(read("{ /* y */ \"a\": \"b // c,}\" }"), (Kind::Tree, json!({"a": "b // c,}"})));
        assert_eq!(read("a: [1]\nb: x"), (Kind::Tree, json!({"a": [1], "b": "x"})));
        assert_eq!(read("[a.b]\nc = 1\n"), (Kind::Tree, json!({"a": {"b": {"c": 1}}})));
        assert_eq!(
            read("# x\nexport A_B=\"c d\" # e\n\nF=g#h # i\nJ='[\"k\"]'"),
            (Kind::Variables, json!({"A_B": "c d", "F": "g#h", "J": "[\"k\"]"}))
        );
        assert_eq!(read("token-one\n# x\n\ntoken-two\n"), (Kind::Lines, json!(["token-one", "token-two"])));
        assert_eq!(read("{\"a\": 1}\n{\"a\": 2}\n"), (Kind::Tree, json!([{"a": 1}, {"a": 2}])));
    }

    #[test]
    fn mistakes_are_told_without_what_stands_there() {
        for text in ["{\"key\": \"hunter2\"", "{\"key\": hunter2}", "a: hunter2: hunter2\n b", "\t- hunter2: [", ""] {
            let error = document("x", text).map(|document| document.value).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(document("x", &"[".repeat(100_000)).is_err());
    }
}
