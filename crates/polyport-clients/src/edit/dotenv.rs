//! Lines of `NAME=value`.

use serde_json::{Map, Value};

use super::{Edit, Refused};

pub(super) fn read(text: &str) -> Result<Value, Refused> {
    let mut found = Map::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = split(line)
            .ok_or_else(|| Refused::Broken { line: at + 1, message: "this line is not `NAME=value`".to_owned() })?;
        found.insert(name.to_owned(), plain(value).into());
    }
    Ok(if found.is_empty() { Value::Null } else { Value::Object(found) })
}

/// The name and the value of a line.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let good =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    good.then_some((name, value.trim()))
}

/// A value without its quotes, or without the comment behind it.
fn plain(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or_default().to_owned();
        }
    }
    value.split(" #").next().unwrap_or_default().trim_end().to_owned()
}

pub(super) fn edited(text: &str, edits: &[Edit]) -> Result<String, Refused> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for edit in edits {
        let Edit::Set { at, value: Value::String(value) } = edit else { return Err(Refused::Unsafe) };
        let [name] = at.as_slice() else { return Err(Refused::Unsafe) };
        let safe = value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'#' | b'$' | b'\\' | b'`'));
        if !safe {
            return Err(Refused::Unsafe);
        }
        // The last of several counts.
        let there = lines.iter_mut().rev().find(|line| {
            !line.trim_start().starts_with('#') && split(line).is_some_and(|(present, _)| present == name)
        });
        match there {
            Some(line) if split(line).is_some_and(|(_, present)| plain(present) == *value) => {}
            Some(line) => {
                let export = if line.trim_start().starts_with("export ") { "export " } else { "" };
                *line = format!("{export}{name}={value}");
            }
            None => lines.push(format!("{name}={value}")),
        }
    }
    Ok(super::joined(&lines, text))
}

#[cfg(test)]
mod tests {
    use super::super::tests::set;
    use super::super::{Format, edited};

    #[test]
    fn lines_are_changed_in_place_and_added_at_the_end() {
        let before = "# mine\nexport A=\"old\" # why\nB='x=y'\n\n#A=comment\n";
        let after = edited(Format::Dotenv, before, &[set("A", "new"), set("C", "http://h:1/v1")]).unwrap();
        assert_eq!(after, "# mine\nexport A=new\nB='x=y'\n\n#A=comment\nC=http://h:1/v1\n");
        assert_eq!(edited(Format::Dotenv, &after, &[set("A", "new"), set("B", "x=y")]).unwrap(), after);
    }

    #[test]
    fn line_ends_of_windows_stay() {
        let after = edited(Format::Dotenv, "# mine\r\nA=old\r\n", &[set("A", "new"), set("B", "1")]).unwrap();
        assert_eq!(after, "# mine\r\nA=new\r\nB=1\r\n");
    }

    #[test]
    fn values_that_would_need_quotes_are_refused() {
        assert!(edited(Format::Dotenv, "", &[set("A", "two words")]).is_err());
        assert!(edited(Format::Dotenv, "", &[set("A", "$HOME")]).is_err());
    }
}
