//! Dependencies point one way: an inner crate never uses an outer one, and no protocol module names another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use polyport_testkit::shared::workspace_root;

/// What each crate may use of the workspace outside its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("polyport-types", &[]),
    ("polyport-guide", &[]),
    ("polyport-clients", &[]),
    ("polyport-ui", &[]),
    ("polyport-protocol", &["polyport-types"]),
    ("polyport-routing", &["polyport-types"]),
    ("polyport-accounting", &["polyport-types"]),
    ("polyport-import", &["polyport-types"]),
    ("polyport-provider", &["polyport-types", "polyport-protocol"]),
    ("polyport-store", &["polyport-types"]),
    ("polyport-recording", &["polyport-types", "polyport-protocol"]),
    (
        "polyport-server",
        &[
            "polyport-types",
            "polyport-accounting",
            "polyport-clients",
            "polyport-guide",
            "polyport-import",
            "polyport-protocol",
            "polyport-routing",
            "polyport-provider",
            "polyport-store",
            "polyport-recording",
            "polyport-ui",
        ],
    ),
    (
        "polyport",
        &[
            "polyport-types",
            "polyport-clients",
            "polyport-import",
            "polyport-provider",
            "polyport-store",
            "polyport-recording",
            "polyport-testkit",
            "polyport-server",
        ],
    ),
    ("polyport-testkit", &["polyport-types"]),
    ("polyport-bench", &[]),
];

/// Crates without sockets, files, environment, clock and randomness.
const PURE: &[&str] = &[
    "polyport-types",
    "polyport-protocol",
    "polyport-routing",
    "polyport-accounting",
    "polyport-import",
    "polyport-clients",
];

/// What pure crates use from outside the workspace. None of these can reach the world around the process.
const HARMLESS: &[&str] = &[
    "aws-smithy-eventstream",
    "aws-smithy-types",
    "base64",
    "blake3",
    "bytes",
    "bytestring",
    "crc32fast",
    "foldhash",
    "jsonc-parser",
    "jiff",
    "memchr",
    "minijinja",
    "prost",
    "wide",
    "parking_lot",
    "schemars",
    "secrecy",
    "serde",
    "serde-saphyr",
    "serde_json",
    "serde_json_path",
    "serde_path_to_error",
    "sha2",
    "simdutf8",
    "subtle",
    "thiserror",
    "toml",
    "toml_edit",
];

/// Words that have no place in pure crates.
const IMPURE: &[&str] = &[
    "std::net",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio::",
    "rand::",
];

#[test]
fn crates_depend_inwards_only() {
    let crates = workspace_root().expect("workspace").join("crates");
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    for entry in fs::read_dir(crates).expect("crates") {
        let folder = entry.expect("entry").path();
        let name = folder.file_name().expect("name").to_string_lossy().into_owned();
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table of this test"));
        for dependency in dependencies(&folder).iter().filter(|name| name.starts_with("polyport-")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
    }
}

#[test]
fn pure_crates_use_harmless_crates_only() {
    let crates = workspace_root().expect("workspace").join("crates");
    for name in PURE {
        let used = dependencies(&crates.join(name));
        assert!(!used.is_empty(), "{name}: its manifest was not understood");
        for dependency in used.iter().filter(|name| !name.starts_with("polyport-")) {
            assert!(HARMLESS.contains(&dependency.as_str()), "{name} is pure and must not use {dependency}");
        }
    }
}

#[test]
fn the_environment_is_read_by_the_configuration_only() {
    let crates = workspace_root().expect("workspace").join("crates");
    for name in ["polyport-provider", "polyport-store", "polyport-server"] {
        let source = crates.join(name).join("src");
        for file in sources(&source).iter().filter(|file| !file.starts_with(source.join("config"))) {
            assert!(!code(file).contains("std::env::"), "{} reads the environment", file.display());
        }
    }
}

#[test]
fn pure_crates_have_no_clock_files_or_sockets() {
    let crates = workspace_root().expect("workspace").join("crates");
    for name in PURE {
        for file in sources(&crates.join(name).join("src")) {
            let code = code(&file);
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
            let named = crate_modules(&code(&file));
            for other in modules.iter().filter(|other| **other != module) {
                assert!(!named.iter().any(|name| name == other), "{} names {other}", file.display());
            }
        }
    }
}

#[test]
fn modules_are_found_however_they_are_named() {
    let text = "use crate::{Target, chat::{self, types}, gemini};\nfn f() { crate::messages::g() }\n";
    assert_eq!(crate_modules(text), ["Target", "chat", "gemini", "messages"]);
}

/// The first words behind `crate::`, also of a list in braces.
fn crate_modules(code: &str) -> Vec<String> {
    let word = |text: &str| text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        if !rest.starts_with('{') {
            names.extend(word(rest));
            continue;
        }
        let mut depth = 0;
        let mut item = String::new();
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            match (depth, c) {
                (0, _) => break,
                (1, '{') => {}
                (1, ',') => names.extend(word(&std::mem::take(&mut item))),
                _ => item.push(c),
            }
        }
        names.extend(word(&item));
    }
    names
}

/// The names under `[dependencies]` of a crate.
fn dependencies(folder: &Path) -> Vec<String> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("manifest");
    let section = manifest.split("\n[").find_map(|section| section.strip_prefix("dependencies]"));
    let names = section.unwrap_or_default().lines().filter(|line| !line.starts_with('#'));
    names
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The source of a file without comments and without its tests, which come last.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("source");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let starts_tests = |at: &usize| {
        let next = lines[at + 1..].iter().find(|line| !line.starts_with("#["));
        lines[*at] == "#[cfg(test)]" && next.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let end = (0..lines.len()).find(starts_tests).unwrap_or(lines.len());
    lines[..end].join("\n")
}

/// All Rust files below a folder.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_some_and(|name| name != "tests.rs")
        {
            files.push(path);
        }
    }
    files
}
