//! The text of a page. `{{#include FILE}}` on a line of its own stands for another file.

use std::collections::BTreeMap;

/// A piece of a page: the file it comes from, below `docs`, and its text.
pub(crate) type Part<'a> = (String, &'a str);

/// Reads a page with what it includes. What is included includes nothing itself.
///
/// # Errors
/// The name of the file that is missing.
pub(crate) fn read<'a>(files: &BTreeMap<&str, &'a str>, path: &str) -> Result<Vec<Part<'a>>, String> {
    let text = files.get(path).copied().ok_or_else(|| path.to_owned())?;
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{#include ") {
        let (name, behind) = after.split_once("}}").ok_or_else(|| format!("the end of an include of {path}"))?;
        let included = join(folder(path), name.trim());
        parts.push((path.to_owned(), before));
        let text = files.get(included.as_str()).copied().ok_or_else(|| included.clone())?;
        parts.push((included, text));
        rest = behind;
    }
    parts.push((path.to_owned(), rest));
    parts.retain(|(_, text)| !text.trim().is_empty());
    Ok(parts)
}

/// The folder of a path.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A path from a folder on, with `.` and `..` taken away. What leads out of `docs` begins with `..`.
pub(crate) fn join(folder: &str, path: &str) -> String {
    let mut names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names.join("/")
}
