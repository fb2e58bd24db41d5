//! What people and scripts read. A closed pipe (`polyport models | head`) is no failure.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, Result};
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::args::Args;

/// Writes lines to standard output.
pub(crate) fn line(text: &str) {
    writeln!(anstream::stdout(), "{text}").ok();
}

/// Writes a line to standard error.
pub(crate) fn error(text: &str) {
    writeln!(anstream::stderr(), "polyport: {text}").ok();
}

/// Writes JSON to standard output.
pub(crate) fn json(value: &Value) {
    writeln!(std::io::stdout(), "{value:#}").ok();
}

/// Writes a table without lines, which copies well. At a terminal its head is bold, and rows that tell of something bad stand out.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) {
    let styles: Vec<Style> =
        rows.iter().map(|row| row.iter().find_map(|cell| style(cell)).unwrap_or_default()).collect();
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|name| name.to_uppercase()));
    // A cell is a line, so that lines are rows.
    table.add_rows(
        rows.into_iter().map(|row| row.into_iter().map(|cell| cell.replace(['\n', '\r'], " ")).collect::<Vec<_>>()),
    );
    let styles = std::iter::once(Style::new().bold()).chain(styles);
    for (row, style) in table.lines().zip(styles) {
        // The style pads every cell on both sides.
        let row = row.strip_prefix(' ').unwrap_or(&row).trim_end();
        line(&format!("{style}{row}{style:#}"));
    }
}

/// How a row with this word stands out.
fn style(word: &str) -> Option<Style> {
    let color = match word {
        "invalid" | "unknown" | "failed" | "broken" | "missing" => AnsiColor::Red,
        "cooling" | "exhausted" | "refreshing" | "estimated" | "client_gone" => AnsiColor::Yellow,
        _ => return None,
    };
    Some(color.on_default())
}

/// A number and what it counts: `1 model`, `2 models`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Writes the members of an object, one a line. Quietly it is its name or id alone.
pub(crate) fn members(object: &Value, quiet: bool) {
    if quiet {
        line(&name(object));
        return;
    }
    let members = object.as_object().into_iter().flatten();
    let longest = members.clone().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, value) in members {
        line(format!("{name:longest$}  {}", cell(value)).trim_end());
    }
}

/// What people call something.
pub(crate) fn name(object: &Value) -> String {
    ["name", "label", "id", "url"].iter().find_map(|member| object[*member].as_str()).unwrap_or_default().to_owned()
}

/// A value in a few words.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(members) => match (&value["target"], &value["provider"], &value["model"], name(value)) {
            (Value::String(target), ..) => target.clone(),
            (_, Value::String(provider), Value::String(model), _) => format!("{provider}/{model}"),
            (.., name) if !name.is_empty() => name,
            _ => {
                let told =
                    members.iter().map(|(name, value)| (name, cell(value))).filter(|(_, value)| !value.is_empty());
                told.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
            }
        },
    }
}

/// What stands in an object at this path (`user.name`), in a few words.
pub(crate) fn cell_at(object: &Value, path: &str) -> String {
    let found = path.split('.').try_fold(object, |value, member| value.get(member));
    let Some(found) = found else { return String::new() };
    let is_moment = path.ends_with("_at") || path == "at" || path.ends_with("until") || path == "last_used";
    moment(found).filter(|_| is_moment).unwrap_or_else(|| cell(found))
}

/// A moment, as people read it.
fn moment(value: &Value) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(value.as_i64()?).ok()?;
    Some(at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A new file that only its owner reads. One that is there stays.
///
/// # Errors
/// Where it cannot be made.
pub(crate) fn new_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.open(path);
    made.with_context(|| format!("{} cannot be made; give the name of a new file", path.display()))
}

/// How far long work is, for people at a terminal.
pub(crate) fn progress(args: &Args, of: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}} of {{len}} {what}, {{eta}} left"));
    drawn(args, ProgressBar::new(of as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
}

/// That long work goes on, where nobody knows how long.
pub(crate) fn spinner(args: &Args, what: &str) -> ProgressBar {
    let template = if what == "bytes" {
        "{spinner} {bytes}, {elapsed}".to_owned()
    } else {
        format!("{{spinner}} {what}, {{elapsed}}")
    };
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = drawn(args, ProgressBar::new_spinner().with_style(style));
    if !spinner.is_hidden() {
        spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    }
    spinner
}

fn drawn(args: &Args, bar: ProgressBar) -> ProgressBar {
    if args.json || args.quiet || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}
