//! The order of the pages: `SUMMARY.md` of an mdBook.

/// A page in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chapter {
    pub(crate) title: String,
    /// Below the folder of the language.
    pub(crate) path: String,
    /// 0 for those that stand at the top.
    pub(crate) depth: usize,
}

/// Reads the list: `- [Title](path.md)`, indented by two blanks for each level; and `[Title](path.md)` before it.
pub(crate) fn read(text: &str) -> Vec<Chapter> {
    text.lines()
        .filter_map(|line| {
            let inner = line.trim_start();
            let depth = (line.len() - inner.len()) / 2;
            let link = inner.strip_prefix("- ").unwrap_or(inner).strip_prefix('[')?;
            let (title, rest) = link.split_once("](")?;
            let path = rest.trim_end().strip_suffix(')')?;
            Some(Chapter { title: title.replace('`', ""), path: path.trim_start_matches("./").to_owned(), depth })
        })
        .collect()
}
