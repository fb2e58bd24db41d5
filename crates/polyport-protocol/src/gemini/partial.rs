//! Arguments of a call that arrive in pieces: each piece is a value and the path it belongs to.

use serde_json::{Map, Value};

use super::types::PartialArg;

/// Longest path, in steps.
const MAX_DEPTH: usize = 64;
/// How far beyond its end a list may be written to.
const MAX_GAP: usize = 4;

/// The object of arguments as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Partial {
    root: Map<String, Value>,
    /// The path of the string that goes on.
    growing: Option<String>,
    /// A piece made no sense: what there is, is not what the model meant.
    broken: bool,
}

/// One step of a path.
enum Step<'p> {
    Name(&'p str),
    Index(usize),
}

impl Partial {
    /// Begins with arguments that came whole.
    pub(super) fn with(args: Option<&str>) -> Self {
        let root = args.and_then(|args| serde_json::from_str(args).ok()).unwrap_or_default();
        Self { root, ..Self::default() }
    }

    /// Takes the next piece.
    pub(super) fn piece(&mut self, piece: PartialArg<'_>) {
        let Some(path) = piece.json_path else { return };
        let more = piece.will_continue == Some(true);
        let grows = self.growing.as_deref() == Some(&*path);
        let value = if let Some(text) = &piece.string_value {
            Value::String(text.to_string())
        } else if let Some(number) = piece.number_value {
            serde_json::from_str(number.get()).unwrap_or(Value::Null)
        } else if let Some(flag) = piece.bool_value {
            Value::Bool(flag)
        } else if piece.extra.iter().any(|(name, _)| matches!(&**name, "nullValue" | "null_value")) || !grows {
            Value::Null
        } else {
            // The end of a string, without a word.
            self.growing = None;
            return;
        };
        match self.place(&path) {
            Some(Value::String(text)) if grows => {
                if let Value::String(end) = &value {
                    text.push_str(end);
                }
            }
            Some(slot) => *slot = value,
            None => self.broken = true,
        }
        self.growing = more.then(|| path.to_string());
    }

    /// Whether every piece made sense.
    pub(super) fn is_sound(&self) -> bool {
        !self.broken
    }

    /// The JSON text of the object.
    pub(super) fn into_json(self) -> String {
        Value::Object(self.root).to_string()
    }

    /// The value at a path, made on the way; `None` if the path cannot be followed.
    fn place(&mut self, path: &str) -> Option<&mut Value> {
        let steps = read_path(path)?;
        let mut steps = steps.into_iter();
        let Step::Name(first) = steps.next()? else { return None };
        let mut slot = self.root.entry(first).or_insert(Value::Null);
        for step in steps {
            slot = match step {
                Step::Name(name) => {
                    if slot.is_null() {
                        *slot = Value::Object(Map::new());
                    }
                    slot.as_object_mut()?.entry(name).or_insert(Value::Null)
                }
                Step::Index(index) => {
                    if slot.is_null() {
                        *slot = Value::Array(Vec::new());
                    }
                    let list = slot.as_array_mut()?;
                    if index >= list.len() {
                        if index - list.len() > MAX_GAP {
                            return None;
                        }
                        list.resize(index + 1, Value::Null);
                    }
                    list.get_mut(index)?
                }
            };
        }
        Some(slot)
    }
}

/// Reads `$.a.b[0]['c']`.
fn read_path(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == MAX_DEPTH {
            return None;
        }
        if let Some(inside) = rest.strip_prefix('[') {
            let quote = inside.chars().next().filter(|letter| matches!(letter, '\'' | '"'));
            if let Some(quote) = quote {
                let (name, after) = inside.get(1..)?.split_once(quote)?;
                steps.push(Step::Name(name));
                rest = after.strip_prefix(']')?;
            } else {
                let (digits, after) = inside.split_once(']')?;
                steps.push(Step::Index(digits.parse().ok()?));
                rest = after;
            }
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at_checked(end)?;
            if name.is_empty() {
                return None;
            }
            steps.push(Step::Name(name));
            rest = after;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(pieces: &str) -> (String, bool) {
        let pieces: Vec<PartialArg<'_>> = serde_json::from_str(pieces).unwrap();
        let mut partial = Partial::default();
        pieces.into_iter().for_each(|piece| partial.piece(piece));
        let sound = partial.is_sound();
        (partial.into_json(), sound)
    }

    #[test]
    fn pieces_become_one_object() {
        let (json, sound) = assemble(
            r#"[{"jsonPath":"$.a[0].b","stringValue":"x","willContinue":true},{"jsonPath":"$.a[0].b","stringValue":"y","willContinue":true},
            {"jsonPath":"$.a[0].b","stringValue":""},{"jsonPath":"$.a[1]['c d']","numberValue":0.5},{"jsonPath":"$.e","boolValue":true},
            {"jsonPath":"$.f","nullValue":"NULL_VALUE"},{"jsonPath":"$.a[0].z","stringValue":"back","willContinue":true},
            {"jsonPath":"$.a[0].z"},{"jsonPath":"$.g","numberValue":12345678901}]"#,
        );
        assert_eq!(json, r#"{"a":[{"b":"xy","z":"back"},{"c d":0.5}],"e":true,"f":null,"g":12345678901}"#);
        assert!(sound);
    }

    #[test]
    fn hostile_paths_are_refused() {
        for path in
            ["$", "", "$[0]", "$.a[99999999]", "$.a[x]", "$.a[-1]", "$..a", "$.a['b", "$.s.t", &"$.a".repeat(70)]
        {
            let pieces = format!(
                r#"[{{"jsonPath":"$.s","stringValue":"x"}},{{"jsonPath":{},"stringValue":"y"}}]"#,
                serde_json::Value::from(path)
            );
            let (json, sound) = assemble(&pieces);
            assert!(!sound, "{path}");
            assert!(json.len() < 60, "{json}");
        }
    }
}
