//! The files of another gateway, found and read within bounds.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use polyport_import::{Database, Format, Material, SourceFile, signs, wants_table};
use polyport_store::foreign::{Limits, is_sqlite, read_foreign};

use crate::out;

/// Longest file, in bytes.
const LONGEST: u64 = 64 << 20;
/// Files of a folder that are looked at.
const MOST: usize = 2_000;
/// Folders inside one another.
const DEEPEST: usize = 3;
/// Ends of names that configurations have.
const ENDS: [&str; 9] = ["json", "yaml", "yml", "toml", "env", "db", "sqlite", "sqlite3", "jsonc"];
/// Folders of other things.
const PASSED: [&str; 6] = ["node_modules", "target", "logs", "log", "dist", "__pycache__"];

/// Everything at these paths. Of folders only what is recognised counts, and `.env` beside it.
pub(super) fn all(paths: &[PathBuf], format: Option<Format>) -> Result<Material> {
    let mut material = Material { now: Some(jiff::Timestamp::now().as_millisecond()), ..Material::default() };
    for path in paths {
        if path.is_dir() {
            folder(path, format, &mut material)?;
        } else {
            one(path, &mut material)?;
        }
    }
    if material.files.is_empty() && material.databases.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!(
            "no configuration of a known gateway was found in {}; `polyport import --formats` lists what is looked for",
            names.join(", ")
        );
    }
    Ok(material)
}

fn one(path: &Path, material: &mut Material) -> Result<()> {
    let name = path.display().to_string();
    if is_sqlite(path).with_context(|| format!("{name} cannot be read"))? {
        material.databases.push(database(path)?);
    } else {
        material.files.push(SourceFile { name, text: text(path)? });
    }
    Ok(())
}

fn text(path: &Path) -> Result<String> {
    let name = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{name} cannot be read"))?;
    if bytes.len() as u64 > LONGEST {
        bail!("{name} is larger than {} MiB, which no configuration is", LONGEST >> 20);
    }
    // As some editors of Windows write it.
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = bytes.as_slice() {
        bail!("{name} is UTF-16 text; save it as UTF-8");
    }
    String::from_utf8(bytes).with_context(|| format!("{name} is neither UTF-8 text nor an SQLite database"))
}

fn database(path: &Path) -> Result<Database> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let read = runtime.block_on(read_foreign(path, Limits::default(), wants_table))?;
    Ok(Database { name: path.display().to_string(), tables: read.tables, left: read.left })
}

/// What is recognised below a folder. What is broken there is told and passed over: it may belong to anything.
fn folder(path: &Path, format: Option<Format>, material: &mut Material) -> Result<()> {
    let mut found = Vec::new();
    list(path, 0, &mut found).with_context(|| format!("{} cannot be read", path.display()))?;
    found.sort();
    for path in found {
        let name = path.display().to_string();
        if is_sqlite(&path).unwrap_or(false) {
            match database(&path) {
                Ok(database) if !database.tables.is_empty() => material.databases.push(database),
                Ok(_) => {}
                Err(error) => out::error(&format!("passed over: {error:#}")),
            }
            continue;
        }
        let file = match text(&path) {
            Ok(text) => SourceFile { name, text },
            Err(error) => {
                out::error(&format!("passed over: {error:#}"));
                continue;
            }
        };
        let is_env = path.extension().is_none_or(|end| end == "env");
        match signs(&file) {
            Ok(formats) if is_env || formats.iter().any(|one| format.is_none_or(|wanted| wanted == *one)) => {
                material.files.push(file);
            }
            Ok(_) => {}
            Err(_) if is_env || file.text.trim().is_empty() => {}
            Err(error) => out::error(&format!("passed over: {error}")),
        }
    }
    // Variables alone are nobody's.
    if material.databases.is_empty()
        && material.files.iter().all(|file| signs(file).is_ok_and(|formats| formats.is_empty()))
        && format.is_none()
    {
        material.files.clear();
    }
    Ok(())
}

fn list(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().to_ascii_lowercase());
        // Links may lead anywhere.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if depth < DEEPEST && !name.starts_with('.') && !PASSED.contains(&name.as_str()) {
                list(&path, depth + 1, found)?;
            }
            continue;
        }
        let end = name.rsplit_once('.').map_or("", |(_, end)| end);
        let sample = ["example", "sample", "template"].iter().any(|word| name.contains(word));
        if kind.is_file() && ENDS.contains(&end) && !sample && found.len() < MOST {
            found.push(path);
        }
    }
    Ok(())
}
