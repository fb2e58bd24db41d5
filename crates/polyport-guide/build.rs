//! Puts the Markdown of the book, and of the documents that it includes, into the program.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[allow(clippy::disallowed_methods, reason = "it runs while this is built")]
fn main() -> io::Result<()> {
    // As it is while this runs: a build script that was compiled elsewhere may be used again.
    let here = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| io::Error::other("CARGO_MANIFEST_DIR is not set"))?;
    let docs = Path::new(&here).join("../../docs");
    let mut files = Vec::new();
    println!("cargo:rerun-if-changed={}", docs.display());
    find(&docs.join("guide"), &mut files)?;
    // Documents beside the book belong to it if one of its pages includes them.
    let mut included = Vec::new();
    for file in &files {
        for line in fs::read_to_string(file)?.lines() {
            if let Some(name) = line.trim().strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}")) {
                included.extend(file.parent().map(|folder| folder.join(name.trim())));
            }
        }
    }
    files.extend(included.into_iter().filter_map(|path| path.canonicalize().ok()));
    let docs = docs.canonicalize()?;
    let mut names: Vec<(String, PathBuf)> = Vec::new();
    for file in files {
        let file = file.canonicalize()?;
        if let Ok(name) = file.strip_prefix(&docs) {
            names.push((name.to_string_lossy().replace('\\', "/"), file));
        }
    }
    names.sort();
    names.dedup();
    let mut code = String::from("&[\n");
    for (name, file) in &names {
        println!("cargo:rerun-if-changed={}", file.display());
        writeln!(code, "    ({name:?}, include_str!({:?})),", file.to_string_lossy()).map_err(io::Error::other)?;
    }
    code.push_str("]\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("files.rs"), code)
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "md") {
            files.push(path);
        }
    }
    Ok(())
}
