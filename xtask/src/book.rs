//! The book: every page made, every link followed.

use std::path::Path;

use anyhow::{Result, bail};
use polyport_guide::{FILES, STYLE, build};

use crate::shell;

/// Where the pages can be looked at.
const PLACE: &str = "target/book";

/// Makes the pages of both languages.
pub(crate) fn run() -> Result<()> {
    let docs = shell::root().join("docs");
    let book = build(FILES, |path| docs.join(path).exists());
    for (path, html) in &book.pages {
        let file = Path::new(PLACE).join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, html)?;
    }
    std::fs::write(Path::new(PLACE).join("style.css"), STYLE)?;
    if !book.problems.is_empty() {
        bail!("the book has mistakes:\n  {}", book.problems.join("\n  "));
    }
    println!("{} pages in {PLACE}", book.pages.len());
    Ok(())
}
