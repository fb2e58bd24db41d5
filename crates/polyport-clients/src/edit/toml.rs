//! TOML.

use serde_json::Value;
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, value};

use super::{Edit, Refused, line_at};

pub(super) fn read(text: &str) -> Result<Value, Refused> {
    toml::from_str::<toml::Table>(text)
        .map_err(|error| Refused::Broken {
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })
        .and_then(|table| serde_json::to_value(table).map_err(|_| Refused::Unsafe))
}

pub(super) fn edited(text: &str, edits: &[Edit]) -> Result<String, Refused> {
    let mut document: DocumentMut = text.parse().map_err(|_| Refused::Unsafe)?;
    for edit in edits {
        let (at, new, replace) = match edit {
            Edit::Set { at, value } => (at, value, true),
            Edit::Default { at, value } => (at, value, false),
            Edit::Entry { .. } => return Err(Refused::Unsafe),
        };
        let (name, above) = at.split_last().ok_or(Refused::Unsafe)?;
        let table = above.iter().try_fold(document.as_table_mut() as &mut dyn TableLike, |table, name| {
            let made = || {
                let mut made = Table::new();
                // Of a table that holds tables only, no line of its own is written.
                made.set_implicit(true);
                Item::Table(made)
            };
            table.entry(name).or_insert_with(made).as_table_like_mut().ok_or(Refused::Unsafe)
        })?;
        if table.contains_key(name) && !replace {
            continue;
        }
        let mut new = item(new).ok_or(Refused::Unsafe)?;
        match table.get_mut(name) {
            Some(there) => {
                // Comments beside the value stay.
                if let (Some(new), Some(old)) = (new.as_value_mut(), there.as_value()) {
                    *new.decor_mut() = old.decor().clone();
                }
                *there = new;
            }
            None => drop(table.insert(name, new)),
        }
    }
    Ok(document.to_string())
}

fn item(new: &Value) -> Option<Item> {
    Some(match new {
        Value::String(text) => value(text),
        Value::Bool(flag) => value(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => value(whole),
            None => value(number.as_f64()?),
        },
        Value::Array(items) => {
            let items = items.iter().map(|new| item(new)?.into_value().ok()).collect::<Option<toml_edit::Array>>()?;
            value(items)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, new)| Some((name.clone(), item(new)?.into_value().ok()?)));
            value(members.collect::<Option<InlineTable>>()?)
        }
        Value::Null => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::set;
    use super::super::{Format, edited};

    #[test]
    fn comments_and_order_stay() {
        let before = "# mine\nmodel = \"old\" # the best\n\n[tools]\nweb = true # keep\n\n[model_providers.other]\nname = \"o\"\n";
        let edits =
            [set("model", "new"), set("model_provider", "polyport"), set("model_providers.polyport.name", "Polyport")];
        let after = edited(Format::Toml, before, &edits).unwrap();
        assert!(after.starts_with("# mine\nmodel = \"new\" # the best\n"), "{after}");
        assert!(after.contains("model_provider = \"polyport\"\n\n[tools]\nweb = true # keep\n"), "{after}");
        assert!(after.contains("[model_providers.other]\nname = \"o\"\n"), "{after}");
        assert!(after.contains("[model_providers.polyport]\nname = \"Polyport\"\n"), "{after}");
        assert_eq!(edited(Format::Toml, &after, &edits).unwrap(), after);
    }

    #[test]
    fn inline_tables_are_kept_inline() {
        let after = edited(Format::Toml, "a = { b = 1 }\n", &[set("a.c", "2")]).unwrap();
        assert_eq!(after, "a = { b = 1 , c = \"2\" }\n");
    }

    #[test]
    fn a_new_file_is_laid_out() {
        let after = edited(Format::Toml, "", &[set("m", "x"), set("p.q.name", "n")]).unwrap();
        assert_eq!(after, "m = \"x\"\n\n[p.q]\nname = \"n\"\n");
    }
}
