//! Importers, by their fixtures: files of each gateway as its public examples have them, with secrets that are none.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod fixtures;
mod hostile;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use polyport_import::{Database, Material, SourceFile};
use serde_json::Value;

/// The folder of fixtures.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// What a folder of fixtures holds. `NAME.db.json` stands for a database: rows by table, or their number where it was not read.
fn material(folder: &Path) -> Material {
    let mut material = Material::default();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if name == "expected.json" {
            continue;
        }
        let Some(name) = name.strip_suffix(".db.json") else {
            material.files.push(SourceFile { name: name.replace("dot.env", ".env"), text });
            continue;
        };
        let (mut tables, mut left) = (BTreeMap::new(), BTreeMap::new());
        for (table, rows) in serde_json::from_str::<serde_json::Map<String, Value>>(&text).unwrap() {
            match rows {
                Value::Array(rows) => {
                    let rows = rows.into_iter().map(|row| row.as_object().unwrap().clone()).collect();
                    tables.insert(table, rows);
                }
                rows => drop(left.insert(table, rows.as_u64().unwrap())),
            }
        }
        material.databases.push(Database { name: format!("{name}.db"), tables, left });
    }
    material
}
