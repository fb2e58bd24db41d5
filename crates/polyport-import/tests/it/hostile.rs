//! What is damaged, foreign or meant to harm is refused with words that help, and never takes the program with it.

use std::fmt::Write as _;

use polyport_import::{Format, Material, Refused, read, recognise};
use proptest::prelude::*;
use serde_json::Value;

use crate::{folder, material};

fn refused(text: &str) -> String {
    read(&Material::file("given", text), None).map(|plan| plan.format).unwrap_err().to_string()
}

#[test]
fn o13_a_foreign_file_is_told_what_was_looked_for() {
    for text in ["name: something\nversion: 3\n", "{\"dependencies\": {}}", "[package]\nname = \"x\"\n"] {
        let told = refused(text);
        for format in Format::ALL {
            assert!(told.contains(format.as_str()), "{told}");
        }
    }
    let nothing = recognise(&Material::default()).unwrap_err().to_string();
    assert!(nothing.starts_with("nothing was given"), "{nothing}");
}

#[test]
fn o13_a_damaged_file_is_named_with_the_place() {
    let told = refused("{\"projects\": [{\"project_id\": \"p\", \"refresh_token\": \"1//hunter2-secret");
    assert!(told.starts_with("given: ") && told.contains("ends too early (line 1"), "{told}");
    let told = refused("API_KEY_POOLS:\n  openai:\n    keys: [\"sk-hunter2\n");
    assert!(told.starts_with("given: ") && !told.contains("hunter2"), "{told}");
    assert!(refused("  \n").contains("empty"));
}

#[test]
fn o13_deep_large_and_circular_files_are_refused_or_read_in_bounds() {
    for open in ["[", "{\"a\":", "- ", "a:\n "] {
        drop(read(&Material::file("given", open.repeat(50_000)), None).map(|plan| plan.format));
    }
    drop(read(&Material::file("given", "a: &a [*a, *a]\n"), None).map(|plan| plan.format));
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    {
        writeln!(bomb, "{name}: &{name} [{}]", vec![format!("*{before}"); 9].join(", ")).unwrap();
    }
    drop(read(&Material::file("given", bomb), None).map(|plan| plan.format));
    let long = "x".repeat(10 << 20);
    let text = format!(
        "{{\"models\": [{{\"id\": \"{long}\", \"adapter\": \"openai_compat\", \"base_url\": \"{long}\", \"api_key\": \"{long}\"}}]}}"
    );
    let plan = read(&Material::file("given", text), None).unwrap();
    assert!(plan.findings.iter().all(|finding| finding.note.len() < 1 << 20));
}

#[test]
fn o13_two_gateways_at_once_are_not_guessed() {
    let mut both = material(&folder().join("antigravity"));
    both.files.extend(material(&folder().join("transformer")).files);
    match read(&both, None).map(|plan| plan.format) {
        Err(Refused::Unrecognised(told)) => {
            assert_eq!(told.candidates, [Format::Antigravity, Format::Transformer]);
            assert!(told.to_string().contains("--as "), "{told}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(read(&both, Some(Format::Transformer)).unwrap().format, Format::Transformer);
}

#[test]
fn o13_values_of_the_wrong_kind_are_findings_not_panics() {
    let wrong =
        [Value::Bool(true), (-1.5e300).into(), "é\u{0}".into(), serde_json::json!([[]]), serde_json::json!({"a": {}})];
    for folder in std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let good = material(&folder);
        let format = recognise(&good).unwrap();
        for (at, file) in good.files.iter().enumerate() {
            let Ok(tree) =
                serde_json::from_str::<Value>(&file.text).or_else(|_| serde_saphyr::from_str(&file.text).map_err(drop))
            else {
                continue;
            };
            let mut places = Vec::new();
            pointers(&tree, String::new(), &mut places);
            for place in places {
                for value in &wrong {
                    let mut tree = tree.clone();
                    *tree.pointer_mut(&place).unwrap() = value.clone();
                    let mut bad = good.clone();
                    bad.files[at].text = tree.to_string();
                    drop(read(&bad, Some(format)).map(|plan| (plan.configuration(), plan.shown())));
                }
            }
        }
        for (at, database) in good.databases.iter().enumerate() {
            for (table, rows) in &database.tables {
                for column in rows.first().unwrap().keys() {
                    for value in &wrong {
                        let mut bad = good.clone();
                        for row in bad.databases[at].tables.get_mut(table).unwrap() {
                            row.insert(column.clone(), value.clone());
                        }
                        drop(read(&bad, Some(format)).map(|plan| (plan.configuration(), plan.shown())));
                    }
                }
            }
        }
    }
}

fn pointers(value: &Value, path: String, out: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(key, member)| (key.replace('~', "~0").replace('/', "~1"), member)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        pointers(child, format!("{path}/{key}"), out);
    }
    out.push(path);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn o13_no_text_makes_it_panic(text in "\\PC{0,400}", pick in any::<proptest::sample::Index>()) {
        let format = Format::ALL[pick.index(Format::ALL.len())];
        drop(read(&Material::file("given", text.as_str()), Some(format)).map(|plan| plan.configuration()));
        drop(recognise(&Material::file("given", text)));
    }

    #[test]
    fn o13_no_part_of_a_fixture_makes_it_panic(pick in any::<proptest::sample::Index>(), cut in any::<proptest::sample::Index>()) {
        let mut folders: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        let mut material = material(&folders[pick.index(folders.len())]);
        for file in &mut material.files {
            let at = cut.index(file.text.len() + 1);
            let at = (at..).find(|at| file.text.is_char_boundary(*at)).unwrap();
            file.text.truncate(at);
        }
        for format in Format::ALL {
            drop(read(&material, Some(format)).map(|plan| plan.configuration()));
        }
    }
}
