//! The reference of the commands (`docs/guide/en/cli.md`), made from their own words; and the commands of the book, which have to exist.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command};

use crate::args::Args;

const START: &str = "# Commands

<!-- Made from the source by `UPDATE_REFERENCE=1 cargo test -p polyport reference`; do not edit. -->

`polyport` without a command is `polyport serve`. Every command takes the options of the first section.

";

fn reference() -> String {
    let mut command = Args::documented();
    command.build();
    let mut out = START.to_owned();
    out.push_str("## Options of every command\n\n");
    options(&command, true, &mut out);
    for known in command.get_subcommands().filter(|known| known.get_name() != "help") {
        section(known, known.get_name(), &mut out);
    }
    out
}

fn section(command: &Command, path: &str, out: &mut String) {
    writeln!(out, "## `polyport {path}`\n").unwrap();
    let about = command.get_long_about().or_else(|| command.get_about());
    writeln!(out, "{}\n", about.map(ToString::to_string).unwrap_or_default().trim()).unwrap();
    options(command, false, out);
    if let Some(examples) = command.get_after_help().or_else(|| command.get_after_long_help()) {
        let lines = examples.to_string();
        let lines: Vec<&str> = lines.lines().map(str::trim).filter(|line| line.contains("polyport ")).collect();
        if !lines.is_empty() {
            writeln!(out, "```sh\n{}\n```\n", lines.join("\n")).unwrap();
        }
    }
    for known in command.get_subcommands().filter(|known| known.get_name() != "help") {
        section(known, &format!("{path} {}", known.get_name()), out);
    }
}

/// A table of the options that hold everywhere, or of those of this command alone.
fn options(command: &Command, global: bool, out: &mut String) {
    let wanted = |arg: &&Arg| {
        arg.is_global_set() == global && !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version")
    };
    let rows: Vec<String> = command
        .get_arguments()
        .filter(wanted)
        .map(|arg| {
            let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
            let values: Vec<String> =
                arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
            let takes = arg.get_num_args().is_some_and(|number| number.takes_values());
            let values = match values.is_empty() || !takes {
                true => String::new(),
                false => format!(" ({})", values.join(", ")),
            };
            let given: Vec<String> =
                arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
            let given = match given.is_empty() || !takes {
                true => String::new(),
                false => format!(" [default: {}]", given.join(" ")),
            };
            let help = format!("{help}{values}{given}").replace('\n', " ").replace('|', "\\|");
            format!("| `{}` | {help} |", arg.to_string().replace('|', "\\|"))
        })
        .collect();
    if !rows.is_empty() {
        writeln!(out, "| | |\n|---|---|\n{}\n", rows.join("\n")).unwrap();
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a variable says whether to write")]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/en/cli.md");
    let text = reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/guide/en/cli.md is stale: UPDATE_REFERENCE=1 cargo test -p polyport reference");
}

/// Lines that begin with `polyport` in the shell blocks of a folder of Markdown.
fn commands(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            commands(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            let text = std::fs::read_to_string(&path).unwrap().replace("\\\n", "");
            for block in text.split("```sh\n").skip(1) {
                let block = block.split("```").next().unwrap();
                let lines = block.lines().filter(|line| line.starts_with("polyport "));
                found.extend(lines.map(|line| (path.display().to_string(), line.to_owned())));
            }
        }
    }
}

/// The words of the first command of a line, as a shell takes them apart.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ';' | '<' | '>' | '|' | '&') => break,
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_command_of_the_book_is_understood() {
    let mut found = Vec::new();
    commands(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide"), &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for (page, line) in found {
        let words = words(&line);
        let parsed = Args::documented().try_get_matches_from(words);
        assert!(parsed.is_ok(), "{page}: {line}: {}", parsed.unwrap_err());
    }
}
