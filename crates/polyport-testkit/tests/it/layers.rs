//! Dependencies point one way: an inner crate never uses an outer one, and no protocol module names another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use polyport_testkit::shared::workspace_root;

/// What each crate may use of the workspace outside its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("polyport-types", &[]),
    ("polyport-protocol", &["polyport-types"]),
    ("polyport-routing", &["polyport-types"]),
    ("polyport-provider", &["polyport-types", "polyport-protocol"]),
    ("polyport-server", &["polyport-types", "polyport-protocol", "polyport-routing", "polyport-provider"]),
    ("polyport", &["polyport-types", "polyport-protocol", "polyport-routing", "polyport-provider", "polyport-server"]),
    ("polyport-testkit", &["polyport-types"]),
    ("polyport-bench", &[]),
];

/// Words that have no place in pure crates, with the reason.
const IMPURE: &[&str] = &["std::net", "std::fs", "std::env", "SystemTime", "Instant::now", "tokio::", "rand::"];

#[test]
fn crates_depend_inwards_only() {
    let crates = workspace_root().expect("workspace").join("crates");
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    for entry in fs::read_dir(crates).expect("crates") {
        let folder = entry.expect("entry").path();
        let name = folder.file_name().expect("name").to_string_lossy().into_owned();
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table of this test"));
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("manifest");
        let dependencies =
            manifest.split("\n[").find(|section| section.starts_with("dependencies]")).unwrap_or_default();
        for line in dependencies.lines().filter(|line| line.starts_with("polyport-")) {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(allowed.contains(&dependency), "{name} must not use {dependency}");
        }
    }
}

#[test]
fn pure_crates_have_no_clock_files_or_sockets() {
    let crates = workspace_root().expect("workspace").join("crates");
    for name in ["polyport-types", "polyport-protocol", "polyport-routing"] {
        for file in sources(&crates.join(name).join("src")) {
            let text = fs::read_to_string(&file).expect("source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for word in IMPURE {
                assert!(!code.contains(word), "{} uses {word}", file.display());
            }
        }
    }
}

#[test]
fn protocol_modules_do_not_name_one_another() {
    let source = workspace_root().expect("workspace").join("crates/polyport-protocol/src");
    let modules = ["chat", "responses", "messages", "gemini"];
    for module in modules {
        for file in sources(&source.join(module)) {
            let text = fs::read_to_string(&file).expect("source");
            for other in modules.iter().filter(|other| **other != module) {
                for path in [format!("crate::{other}::"), format!("super::super::{other}::")] {
                    assert!(!text.contains(&path), "{} names {other}", file.display());
                }
            }
        }
    }
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
