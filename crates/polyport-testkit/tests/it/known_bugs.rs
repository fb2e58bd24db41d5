//! `docs/KNOWN_BUGS.md`: every known defect of others has a test with its number in the name, or a reason why it cannot occur here.

use std::collections::BTreeMap;
use std::fs;

use polyport_testkit::shared::workspace_root;

use crate::layers::sources;

/// How many there are.
const COUNT: u32 = 139;

/// Those without a test, and why.
const NO_TEST: &[(u32, &str)] =
    &[(68, "cannot occur: nothing here rebuilds chunks from some of their members; what is not understood passes on")];

const HEAD: &str = "# Defects of others that must not come here

Each row is a defect that a gateway, client or server had in public; the number is in the name of the test that keeps it away
(`kb_NUMBER_…`). Made by `POLYPORT_UPDATE=1 cargo test -p polyport-testkit known_bugs`.

| # | what holds here | where |
|--:|---|---|
";

/// The tests of each number: what they say, and their file.
fn tests() -> BTreeMap<u32, Vec<(String, String)>> {
    let root = workspace_root().expect("workspace");
    let mut tests: BTreeMap<u32, Vec<(String, String)>> = BTreeMap::new();
    let mut files = sources(&root.join("crates"));
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).expect("source");
        let place = file.strip_prefix(&root).expect("below the root").display().to_string();
        for name in text.split("fn kb_").skip(1).filter_map(|rest| rest.split('(').next()) {
            let words: Vec<&str> = name.split('_').collect();
            let numbers: Vec<u32> = words.iter().map_while(|word| word.parse().ok()).collect();
            let says = words[numbers.len()..].join(" ");
            for number in numbers {
                tests.entry(number).or_default().push((says.clone(), place.clone()));
            }
        }
    }
    tests
}

fn document(tests: &BTreeMap<u32, Vec<(String, String)>>) -> String {
    let mut out = HEAD.to_owned();
    for number in 1..=COUNT {
        let (says, places): (Vec<String>, Vec<String>) =
            tests.get(&number).cloned().unwrap_or_default().into_iter().unzip();
        let mut places: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
        places.dedup();
        let reason = NO_TEST.iter().find(|(known, _)| *known == number).map(|(_, reason)| (*reason).to_owned());
        let says: Vec<String> = says.into_iter().chain(reason).collect();
        out.push_str(&format!("| {number} | {} | {} |\n", says.join("; "), places.join(", ")));
    }
    out
}

#[test]
fn every_known_bug_has_a_test_or_a_reason() {
    let tests = tests();
    let missing: Vec<u32> = (1..=COUNT)
        .filter(|number| !tests.contains_key(number) && NO_TEST.iter().all(|(known, _)| known != number))
        .collect();
    assert!(missing.is_empty(), "no test is named after {missing:?}");
    let unknown: Vec<&u32> = tests.keys().filter(|number| !(1..=COUNT).contains(*number)).collect();
    assert!(unknown.is_empty(), "there are no known bugs {unknown:?}");
}

#[test]
fn the_document_lists_every_known_bug() {
    let path = workspace_root().expect("workspace").join("docs/KNOWN_BUGS.md");
    let tests = tests();
    if std::env::var_os("POLYPORT_UPDATE").is_some() {
        fs::write(&path, document(&tests)).expect("write");
    }
    let text = fs::read_to_string(&path).expect("docs/KNOWN_BUGS.md");
    for number in 1..=COUNT {
        let start = format!("| {number} | ");
        let row = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no row {number}"));
        // More tests may have come since; those that are listed must be there.
        for says in row.split(" | ").next().unwrap_or_default().split("; ") {
            let known = tests.get(&number).is_some_and(|tests| tests.iter().any(|(words, _)| words == says));
            let reason = NO_TEST.iter().any(|(known, reason)| *known == number && reason.contains(says));
            assert!(known || reason, "row {number} names no test: {says}; POLYPORT_UPDATE=1 writes the document again");
        }
    }
}
