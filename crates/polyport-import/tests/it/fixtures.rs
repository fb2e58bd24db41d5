//! Every fixture: recognised, read as expected, and every value of it named.

use std::collections::BTreeSet;
use std::path::PathBuf;

use polyport_import::{Material, Plan, read, recognise};
use serde_json::{Value, json};

use crate::{folder, material};

fn all() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// What a person sees of a plan.
fn shown(plan: &Plan) -> Value {
    let findings: Vec<String> = plan
        .findings
        .iter()
        .map(|finding| {
            let mut line = format!("{}: {} = {}", finding.file, finding.path, finding.grade.as_str());
            if finding.count > 1 {
                line.push_str(&format!(" ×{}", finding.count));
            }
            if !finding.became.is_empty() {
                line.push_str(&format!(" → {}", finding.became));
            }
            if !finding.note.is_empty() {
                line.push_str(&format!(" ({})", finding.note));
            }
            line
        })
        .collect();
    let mut shown = plan.shown();
    shown["findings"] = json!(findings);
    shown
}

/// With `UPDATE_FIXTURES=1` what is expected is written anew; look at the difference.
#[test]
fn fixtures_come_to_what_is_expected() {
    for folder in all() {
        let plan = read(&material(&folder), None).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(plan.format.as_str()), "{name} was taken for {}", plan.format);
        let path = folder.join("expected.json");
        let text = format!("{:#}\n", shown(&plan));
        #[allow(clippy::disallowed_methods, reason = "a switch of this test alone")]
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{name}: see UPDATE_FIXTURES");
    }
}

#[test]
fn fixtures_are_recognised_by_their_content() {
    for folder in all() {
        let mut material = material(&folder);
        for (at, file) in material.files.iter_mut().enumerate() {
            file.name = format!("file-{at}");
        }
        let format = recognise(&material).unwrap();
        assert!(folder.file_name().unwrap().to_str().unwrap().starts_with(format.as_str()), "{}", folder.display());
    }
}

/// The paths of all values of a tree, with `[]` for all numbers.
fn leaves(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(member, &path, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().for_each(|item| leaves(item, &format!("{path}[]"), out))
        }
        _ => drop(out.insert(path.to_owned())),
    }
}

/// The same of everything that was given.
fn all_leaves(material: &Material) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let mut add = |name: &str, value: &Value| {
        let mut paths = BTreeSet::new();
        leaves(value, "", &mut paths);
        all.extend(paths.into_iter().map(|path| (name.to_owned(), path)));
    };
    for file in &material.files {
        let variables = file.name.ends_with(".env");
        let lines = || file.text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let value = if variables {
            Value::Object(lines().map(|line| (line.split('=').next().unwrap().to_owned(), json!(1))).collect())
        } else if let Ok(value) = serde_json::from_str(&file.text) {
            value
        } else if file.name.ends_with(".toml") {
            serde_json::to_value(file.text.parse::<toml::Table>().unwrap()).unwrap()
        } else if file.name.ends_with(".txt") {
            lines().map(Value::from).collect()
        } else {
            serde_saphyr::from_str(&file.text).unwrap()
        };
        add(&file.name, &value);
    }
    for database in &material.databases {
        for (table, rows) in &database.tables {
            add(&database.name, &json!({ table: rows }));
        }
        for table in database.left.keys() {
            add(&database.name, &json!({ table: 1 }));
        }
    }
    all
}

/// Whether `path` is `whole` or stands below it.
fn below(path: &str, whole: &str) -> bool {
    let rest = path.strip_prefix(whole);
    whole.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[test]
fn every_value_of_a_source_is_named_by_a_finding() {
    for folder in all() {
        let material = material(&folder);
        let plan = read(&material, None).unwrap();
        let generic = |path: &str| {
            let mut out = String::new();
            let mut inside = false;
            for c in path.chars() {
                inside = (inside || c == '[') && c != ']';
                if !(inside && c.is_ascii_digit()) {
                    out.push(c);
                }
            }
            out
        };
        let told: Vec<(String, String)> =
            plan.findings.iter().map(|finding| (finding.file.clone(), generic(&finding.path))).collect();
        for (file, path) in all_leaves(&material) {
            let named = told.iter().any(|(known, whole)| *known == file && below(&path, whole));
            assert!(named, "{}: nothing is said of {path} in {file}", folder.display());
        }
    }
}

/// Texts of a source that look like secrets.
fn secrets(material: &Material) -> Vec<String> {
    let mut all = Vec::new();
    let mut look = |text: &str| {
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '=' | '\\'));
        all.extend(words.filter(|word| word.to_lowercase().contains("fake") && word.len() > 8).map(str::to_owned));
    };
    material.files.iter().for_each(|file| look(&file.text));
    for database in &material.databases {
        look(&serde_json::to_string(&database.tables).unwrap());
    }
    all
}

#[test]
fn secrets_stand_in_no_finding_and_in_nothing_that_is_shown() {
    for folder in all() {
        let material = material(&folder);
        let plan = read(&material, None).unwrap();
        let told = format!("{}\n{plan:?}\n{material:?}", shown(&plan));
        for secret in secrets(&material) {
            assert!(!told.contains(&secret), "{}: {secret} is shown", folder.display());
        }
    }
}

#[test]
fn a_plan_is_carried_whole_or_says_which_variables_are_missing() {
    for folder in all() {
        let plan = read(&material(&folder), None).unwrap();
        let all = plan.document(|_| Some("sk-fake-value".to_owned()));
        assert!(all.missing.is_empty());
        let text = all.document.to_string();
        assert!(!text.contains("\"env:"), "{}: a variable is left", folder.display());
        let none = plan.document(|_| None);
        let keys = |carried: &Value| {
            carried["credentials"].as_array().unwrap().len() + carried["keys"].as_array().unwrap().len()
        };
        assert!(keys(&all.document) >= keys(&none.document));
        assert!(!none.document.to_string().contains("\"env:"));
    }
}
