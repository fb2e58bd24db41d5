//! What people and scripts read. A closed pipe (`polyport models | head`) is no failure.

use std::io::Write;

use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

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

/// Writes a table without lines, which copies well.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows);
    for row in table.lines() {
        // The style pads every cell on both sides.
        line(row.strip_prefix(' ').unwrap_or(&row).trim_end());
    }
}

/// A number and what it counts: `1 model`, `2 models`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
