//! JSON, with comments or without.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::{Map, Value};

use super::{Edit, Refused, line_at};

fn options(comments: bool) -> ParseOptions {
    ParseOptions {
        allow_comments: comments,
        allow_trailing_commas: comments,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

pub(super) fn read(text: &str, comments: bool) -> Result<Value, Refused> {
    if comments {
        return Ok(parse(text, comments)?.to_serde_value().unwrap_or(Value::Null));
    }
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).map_err(|error| {
        let words = error.to_string();
        let message = words.split(" at line ").next().unwrap_or_default().to_owned();
        Refused::Broken { line: error.line(), message }
    })
}

fn parse(text: &str, comments: bool) -> Result<CstRootNode, Refused> {
    CstRootNode::parse(text, &options(comments)).map_err(|error| Refused::Broken {
        line: line_at(text, error.range().start),
        message: error.kind().to_string(),
    })
}

pub(super) fn edited(text: &str, comments: bool, edits: &[Edit]) -> Result<String, Refused> {
    let root = parse(text, comments)?;
    let top = root.object_value_or_create().ok_or(Refused::Unsafe)?;
    for edit in edits {
        match edit {
            Edit::Set { at, value } => set(&top, at, value, true)?,
            Edit::Default { at, value } => set(&top, at, value, false)?,
            Edit::Entry { list, by, entry } => enter(&top, list, by, entry)?,
        }
    }
    let mut text = root.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn set(top: &CstObject, at: &[String], value: &Value, replace: bool) -> Result<(), Refused> {
    let (name, above) = at.split_last().ok_or(Refused::Unsafe)?;
    let object = object(top, above)?;
    match object.get(name) {
        None => drop(object.append(name, input(value))),
        Some(there) => {
            let present = there.value().and_then(|node| node.to_serde_value()).unwrap_or(Value::Null);
            if present.is_null() || (replace && present != *value) {
                there.set_value(input(value));
            }
        }
    }
    Ok(())
}

/// The object at a path, which is made where it is missing.
fn object(top: &CstObject, at: &[String]) -> Result<CstObject, Refused> {
    at.iter().try_fold(top.clone(), |object, name| match object.get(name).and_then(|there| there.value()) {
        Some(node) if node.as_null_keyword().is_none() => node.as_object().ok_or(Refused::Unsafe),
        _ => Ok(object.object_value_or_set(name)),
    })
}

fn enter(top: &CstObject, list: &[String], by: &str, entry: &Map<String, Value>) -> Result<(), Refused> {
    let (name, above) = list.split_last().ok_or(Refused::Unsafe)?;
    let array = object(top, above)?.array_value_or_set(name);
    let same = |node: &CstNode| node.to_serde_value().is_some_and(|item| item.get(by) == entry.get(by));
    match array.elements().into_iter().find(same).and_then(|node| node.as_object()) {
        Some(item) => entry.iter().try_for_each(|(name, value)| set(&item, std::slice::from_ref(name), value, true)),
        None => {
            array.append(input(&Value::Object(entry.clone())));
            array.ensure_multiline();
            Ok(())
        }
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(members) => {
            CstInputValue::Object(members.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{entry, set};
    use super::super::{Format, edited};

    #[test]
    fn order_layout_and_comments_stay() {
        let before = "{\n    // mine\n    \"theme\": \"dark\", // why\n    \"env\": { \"A\": \"1\" },\n    \"last\": [1,2,  3],\n}\n";
        let after = edited(Format::Jsonc, before, &[set("env.B", "2"), set("x.y", "z")]).unwrap();
        assert!(after.starts_with("{\n    // mine\n    \"theme\": \"dark\", // why\n    \"env\": {"), "{after}");
        assert!(after.contains("\"last\": [1,2,  3],\n"), "{after}");
        assert_eq!(edited(Format::Jsonc, &after, &[set("env.B", "2"), set("x.y", "z")]).unwrap(), after);
    }

    #[test]
    fn numbers_and_escapes_stay_as_they_are_written() {
        let before = "{\"big\":12345678901234567890123, \"one\":1.0,\"text\":\"\\u00e9\"}";
        let after = edited(Format::Json, before, &[set("a", "é\"\n")]).unwrap();
        for kept in ["12345678901234567890123", "1.0", r#""\u00e9""#] {
            assert!(after.contains(kept), "{kept}: {after}");
        }
        assert!(after.contains("\"é\\\"\\n\""), "{after}");
    }

    #[test]
    fn a_new_file_is_laid_out() {
        let text = edited(Format::Json, "", &[set("env.A", "1"), set("env.B", "2")]).unwrap();
        assert_eq!(text, "{\n  \"env\": {\n    \"A\": \"1\",\n    \"B\": \"2\"\n  }\n}\n");
        let nothing = edited(Format::Json, "{}\n", &[set("a", "1")]).unwrap();
        assert_eq!(nothing, "{\n  \"a\": \"1\"\n}\n");
    }

    #[test]
    fn entries_are_added_once_and_changed_later() {
        let one = entry("a.list", "id", &json!({"id": "x", "url": "1"}));
        let first =
            edited(Format::Json, "{\"a\": {\"list\": [{\"id\": \"own\"}]}}", std::slice::from_ref(&one)).unwrap();
        assert_eq!(edited(Format::Json, &first, &[one]).unwrap(), first);
        let two = entry("a.list", "id", &json!({"id": "x", "url": "2"}));
        let second = edited(Format::Json, &first, &[two]).unwrap();
        assert_eq!(second, first.replace("\"1\"", "\"2\""));
    }
}
