//! YAML. There is no editor of it that keeps everything else, so lines are changed: those of names at the left margin and of lists below
//! them. Whatever is written in another way is not touched, which the check after every change makes sure of.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{Edit, Refused};

pub(super) fn read(text: &str) -> Result<Value, Refused> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str(text).map_err(|error| Refused::Broken {
        line: error.location().map_or(1, |place| usize::try_from(place.line()).unwrap_or(1)),
        message: error.without_snippet().to_string(),
    })
}

pub(super) fn edited(text: &str, before: &Value, edits: &[Edit]) -> Result<String, Refused> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut value = before.clone();
    for edit in edits {
        let after = super::merged(&value, std::slice::from_ref(edit));
        if after == value {
            continue;
        }
        match edit {
            Edit::Set { at, value } | Edit::Default { at, value } => set(&mut lines, at, value)?,
            Edit::Entry { list, by, entry } => enter(&mut lines, &value, list, by, entry)?,
        }
        value = after;
    }
    Ok(super::joined(&lines, text))
}

/// Whether a line holds nothing.
fn is_empty(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The line of a name at the left margin, and what follows the colon.
fn find<'l>(lines: &'l [String], name: &str) -> Option<(usize, &'l str)> {
    lines.iter().enumerate().find_map(|(at, line)| {
        let rest = [name.to_owned(), format!("\"{name}\""), format!("'{name}'")];
        let rest = rest.iter().find_map(|name| line.strip_prefix(name.as_str())?.trim_start().strip_prefix(':'))?;
        (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some((at, rest.trim()))
    })
}

/// What a value looks like, in lines.
fn written(value: &Value) -> Result<Vec<String>, Refused> {
    let text = serde_saphyr::to_string(value).map_err(|_| Refused::Unsafe)?;
    Ok(text.trim_end().lines().map(str::to_owned).collect())
}

/// Where something new goes: at the end, but before empty lines there.
fn end(lines: &[String]) -> usize {
    lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |at| at + 1)
}

fn set(lines: &mut Vec<String>, at: &[String], value: &Value) -> Result<(), Refused> {
    let ([name], false) = (at, value.is_array() || value.is_object()) else { return deep(lines, at, value) };
    let new = written(value)?;
    let [new] = new.as_slice() else { return Err(Refused::Unsafe) };
    match find(lines, name) {
        None => {
            let end = end(lines);
            lines.insert(end, format!("{name}: {new}"));
        }
        Some((at, rest)) => {
            let below = lines.get(at + 1..).unwrap_or_default().iter().find(|line| !is_empty(line));
            if below.is_some_and(|line| indent(line) > 0 || line.starts_with("- "))
                || rest.starts_with(['|', '>', '&', '*', '!'])
            {
                return Err(Refused::Unsafe);
            }
            let comment = rest.split_once(" #").map(|(_, comment)| format!(" #{comment}")).unwrap_or_default();
            let changed = format!("{name}: {new}{comment}");
            if let Some(line) = lines.get_mut(at) {
                *line = changed;
            }
        }
    }
    Ok(())
}

/// Something below other names goes into a file only that does not have the first of them.
fn deep(lines: &mut Vec<String>, at: &[String], value: &Value) -> Result<(), Refused> {
    let whole =
        at.iter().rev().fold(value.clone(), |value, name| Value::Object(Map::from_iter([(name.clone(), value)])));
    match at.first() {
        Some(first) if find(lines, first).is_none() => {
            let end = end(lines);
            lines.splice(end..end, written(&whole)?);
            Ok(())
        }
        _ => Err(Refused::Unsafe),
    }
}

fn enter(
    lines: &mut Vec<String>,
    before: &Value,
    list: &[String],
    by: &str,
    entry: &Map<String, Value>,
) -> Result<(), Refused> {
    let present = list.iter().try_fold(before, |value, name| value.get(name)).and_then(Value::as_array);
    let present = present.map(Vec::as_slice).unwrap_or_default();
    let new = Value::Object(entry.clone());
    let head = match list {
        [] => None,
        [name] => match find(lines, name) {
            None => return deep(lines, list, &Value::Array(vec![new])),
            Some((at, "[]" | "~" | "null")) => {
                lines.splice(at..=at, [format!("{name}:")]);
                Some(at)
            }
            Some((at, rest)) if rest.is_empty() || rest.starts_with('#') => Some(at),
            Some(_) => return Err(Refused::Unsafe),
        },
        _ => return deep(lines, list, &Value::Array(vec![new])),
    };
    let items = items(lines, head);
    if items.len() != present.len() {
        return Err(Refused::Unsafe);
    }
    let margin = items
        .first()
        .and_then(|item| lines.get(item.start))
        .map_or(if head.is_some() { 2 } else { 0 }, |line| indent(line));
    let (range, new) = match present.iter().position(|item| item.get(by) == entry.get(by)) {
        Some(at) => {
            let mut merged = present.get(at).and_then(Value::as_object).cloned().unwrap_or_default();
            merged.extend(entry.clone());
            (items.get(at).cloned().ok_or(Refused::Unsafe)?, Value::Object(merged))
        }
        None => {
            let end = match (items.last(), head) {
                (Some(last), _) => last.end,
                (None, Some(head)) => head + 1,
                (None, None) => end(lines),
            };
            (end..end, new)
        }
    };
    let margin = " ".repeat(margin);
    let item = written(&new)?.into_iter().enumerate();
    let item: Vec<String> =
        item.map(|(at, line)| format!("{margin}{}{line}", if at == 0 { "- " } else { "  " })).collect();
    lines.splice(range, item);
    Ok(())
}

/// The lines of the items below a name, or of those at the left margin.
fn items(lines: &[String], head: Option<usize>) -> Vec<Range<usize>> {
    let from = head.map_or(0, |head| head + 1);
    let is_item = |line: &str, margin: usize| {
        indent(line) == margin && (line.trim_start().starts_with("- ") || line.trim() == "-")
    };
    let full = || lines.iter().enumerate().skip(from).filter(|(_, line)| !is_empty(line) && line.trim() != "---");
    let Some(margin) = full()
        .next()
        .map(|(_, line)| indent(line))
        .filter(|margin| full().next().is_some_and(|(_, line)| is_item(line, *margin)))
    else {
        return Vec::new();
    };
    let mut items: Vec<Range<usize>> = Vec::new();
    for (at, line) in full() {
        if is_item(line, margin) {
            items.push(at..at + 1);
        } else if indent(line) > margin {
            if let Some(last) = items.last_mut() {
                last.end = at + 1;
            }
        } else {
            break;
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{entry, set};
    use super::super::{Format, Refused, edited};

    #[test]
    fn names_at_the_margin_are_changed_in_place() {
        let before = "# mine\nmodel: old # the best\nlist:\n  - 1\n\n";
        let edits = [set("model", "openai/new"), set("url", "http://h:1/v1")];
        let after = edited(Format::Yaml, before, &edits).unwrap();
        assert!(after.starts_with("# mine\nmodel: openai/new # the best\nlist:\n  - 1\nurl: "), "{after}");
        assert_eq!(edited(Format::Yaml, &after, &edits).unwrap(), after);
    }

    #[test]
    fn entries_of_lists_are_added_and_changed() {
        for (before, start) in [
            (
                "name: x\nmodels:\n  - name: own # mine\n    v: 1\n\n# end\nrules: []\n",
                "name: x\nmodels:\n  - name: own # mine\n    v: 1\n  - name: p\n",
            ),
            ("models:\n- name: own\n  v: [1, 2]\nrules: []\n", "models:\n- name: own\n  v: [1, 2]\n- name: p\n"),
            ("models: []\nrules: 1\n", "models:\n  - name: p\n"),
            ("rules: 1\n", "rules: 1\nmodels:\n"),
            ("", "models:\n"),
        ] {
            let one = entry("models", "name", &json!({"name": "p", "url": "http://a/v1", "more": {"a": [1]}}));
            let first = edited(Format::Yaml, before, std::slice::from_ref(&one)).unwrap();
            assert!(first.starts_with(start), "{first}");
            assert_eq!(edited(Format::Yaml, &first, &[one]).unwrap(), first);
            let two = entry("models", "name", &json!({"name": "p", "url": "http://b/v1"}));
            let second = edited(Format::Yaml, &first, &[two]).unwrap();
            assert!(
                second.starts_with(start) && second.contains("http://b/v1") && !second.contains("http://a"),
                "{second}"
            );
        }
    }

    #[test]
    fn line_ends_of_windows_stay() {
        let edits = [set("model", "new"), entry("models", "name", &json!({"name": "p", "url": "u"}))];
        let before = "# mine\r\nmodel: old # why\r\nmodels:\r\n  - name: own\r\n";
        let after = edited(Format::Yaml, before, &edits).unwrap();
        let wanted = "# mine\r\nmodel: new # why\r\nmodels:\r\n  - name: own\r\n  - name: p\r\n    url: u\r\n";
        assert_eq!(after, wanted);
    }

    #[test]
    fn a_list_may_be_the_whole_file() {
        let one = entry("", "id", &json!({"id": "p", "url": "u"}));
        assert_eq!(edited(Format::Yaml, "", std::slice::from_ref(&one)).unwrap(), "- id: p\n  url: u\n");
        let before = "# mine\n- id: own\n  url: x\n";
        assert_eq!(edited(Format::Yaml, before, &[one]).unwrap(), "# mine\n- id: own\n  url: x\n- id: p\n  url: u\n");
    }

    #[test]
    fn what_cannot_be_changed_safely_is_left_alone() {
        for (before, edit) in [
            ("model: |\n  text\n", set("model", "x")),
            ("{model: a}\n", set("model", "x")),
            ("a: 1\n---\nb: 2\n", set("model", "x")),
            ("models: [{name: a}]\n", entry("models", "name", &json!({"name": "p"}))),
            ("models:\n  [{name: a}]\n", entry("models", "name", &json!({"name": "p"}))),
        ] {
            let refused = edited(Format::Yaml, before, &[edit]);
            assert!(matches!(refused, Err(Refused::Unsafe | Refused::Broken { .. })), "{before}: {refused:?}");
        }
    }
}
