//! The admin page: what is checked in of it is what its source makes, and small enough.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::{e2e, shell};

/// Where it lives.
const UI: &str = "ui";

/// Where it is built for comparison.
const SCRATCH: &str = "target/ui";

/// What a browser loads before it shows something, at most, as gzip sends it.
const FIRST_LOAD: usize = 300_000;

/// What may be the first thing that somebody sees.
const FIRST_SCREENS: [&str; 4] = ["setup", "sign-in", "dashboard", "home"];

/// So many files that differ are named.
const SHOWN: usize = 10;

/// Lines of a file, at most.
const LINES: usize = 300;

/// Checks the page without a browser.
pub(crate) fn run() -> Result<()> {
    lengths(Path::new(UI).join("src").as_path())?;
    e2e::install(UI, &["ci"])?;
    let scratch = shell::root().join(SCRATCH);
    fs::create_dir_all(&scratch)?;
    schema(&scratch)?;
    shell::run_command(Command::new("npm").current_dir(UI).args(["run", "--silent", "check"]))?;
    shell::run_command(Command::new("npm").current_dir(UI).args(["test", "--silent"]))?;
    let built = scratch.join("dist");
    let mut vite = Command::new("node_modules/.bin/vite");
    vite.current_dir(UI).args(["build", "--logLevel", "warn", "--emptyOutDir", "--outDir"]).arg(&built);
    shell::run_command(&mut vite)?;
    let made = read(&built)?;
    same(&made, &read(&Path::new(UI).join("dist"))?)?;
    ours_alone(&made)?;
    first_loads(&made)
}

/// The client's types are those of the API: what `npm run schema` says, written elsewhere.
fn schema(scratch: &Path) -> Result<()> {
    const KEPT: &str = "src/api/schema.d.ts";
    let package: Value = serde_json::from_slice(&fs::read(Path::new(UI).join("package.json"))?)?;
    let script = package["scripts"]["schema"].as_str().context("ui/package.json has no script `schema`")?;
    ensure!(script.contains(KEPT), "the script `schema` of ui/package.json writes {KEPT}");
    let made = scratch.join("schema.d.ts");
    let script = script.replace(KEPT, &made.to_string_lossy());
    let mut words = script.split_whitespace();
    let program = format!("node_modules/.bin/{}", words.next().unwrap_or_default());
    let output = Command::new(&program).current_dir(UI).args(words).output().with_context(|| program.clone())?;
    ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    let is_current = fs::read(made)? == fs::read(Path::new(UI).join(KEPT))?;
    ensure!(is_current, "ui/{KEPT} is not what docs/openapi.json makes: run `npm run schema` in ui");
    Ok(())
}

/// Every file below a folder: its path there, its content.
fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// What was built again is what is checked in, byte for byte.
fn same(made: &BTreeMap<String, Vec<u8>>, kept: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let names: BTreeSet<&String> = made.keys().chain(kept.keys()).collect();
    let differ: Vec<String> = names
        .into_iter()
        .filter_map(|name| match (made.get(name), kept.get(name)) {
            (Some(made), Some(kept)) if made == kept => None,
            (Some(_), Some(_)) => Some(format!("ui/dist/{name} differs")),
            (Some(_), None) => Some(format!("ui/dist/{name} is missing")),
            (None, _) => Some(format!("ui/dist/{name} is not made any more")),
        })
        .collect();
    if differ.is_empty() {
        return Ok(());
    }
    // One changed module renames every file that refers to it.
    let more = differ.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    let shown = differ.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    bail!("{shown}{more}\nrun `npm run build` in ui, and commit ui/dist");
}

/// Nothing is loaded from elsewhere. Addresses that people may follow, and those that name something, are no loads.
fn ours_alone(files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    const LOADERS: [&str; 12] = [
        "import(",
        "import",
        "from",
        "fetch(",
        "EventSource(",
        "Worker(",
        "WebSocket(",
        "importScripts(",
        "src:",
        "src=",
        "url(",
        "@import ",
    ];
    for (name, bytes) in files {
        let text = String::from_utf8_lossy(bytes);
        for loader in LOADERS {
            for quote in ["\"", "'", "`", ""] {
                for beginning in ["http://", "https://", "ws://", "wss://", "//"] {
                    // Without a quote these are words of a text, or a comment.
                    if quote.is_empty() && loader != "url(" && loader != "src=" {
                        continue;
                    }
                    let load = format!("{loader}{quote}{beginning}");
                    ensure!(!text.contains(&load), "ui/dist/{name} loads something from elsewhere: {load}");
                }
            }
        }
        let is_link = |part: &str| part.starts_with("http:") || part.starts_with("https:") || part.starts_with("//");
        if name.ends_with(".html") {
            let mut links = text.split("href=\"").skip(1);
            ensure!(!links.any(is_link), "ui/dist/{name} links to something elsewhere");
        }
    }
    Ok(())
}

fn gzip(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

/// Weighs what comes before each first screen is seen, and says which is the heaviest.
fn first_loads(files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let manifest =
        files.get(".vite/manifest.json").context("the build has no .vite/manifest.json: set `build.manifest`")?;
    let manifest: Value = serde_json::from_slice(manifest)?;
    let mut heaviest = (0, "");
    for screen in FIRST_SCREENS {
        let mut sum = 0;
        let needed = first_load(&manifest, screen)?;
        for name in &needed {
            sum += gzip(files.get(name).with_context(|| format!("the manifest names {name}, which is not there"))?)?;
        }
        heaviest = heaviest.max((sum, screen));
        println!("first load of {screen}: {:.1} KB gzip in {} files", sum as f64 / 1000.0, needed.len());
    }
    let (size, screen) = heaviest;
    ensure!(
        size <= FIRST_LOAD,
        "the first load of {screen} is {size} bytes, which is more than {FIRST_LOAD}: load what it does not show at once later"
    );
    Ok(())
}

/// The document, what it loads at once, and the chunk of a screen with its words. Of two languages one is loaded: English stands for it.
fn first_load(manifest: &Value, screen: &str) -> Result<BTreeSet<String>> {
    let mut needed = BTreeSet::from(["index.html".to_owned()]);
    let mut open =
        vec!["index.html".to_owned(), "src/locales/en.json".to_owned(), format!("src/screens/{screen}/index.tsx")];
    for key in &open {
        ensure!(manifest.get(key).is_some(), "the manifest has no {key}");
    }
    // Not every screen has words of its own.
    open.push(format!("src/screens/{screen}/en.json"));
    while let Some(key) = open.pop() {
        let Some(chunk) = manifest.get(&key) else { continue };
        let list = |member: &str| {
            let names = chunk.get(member).and_then(Value::as_array).into_iter().flatten();
            names.filter_map(|name| name.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let file = chunk.get("file").and_then(Value::as_str).map(str::to_owned);
        let is_new = file.is_some_and(|file| needed.insert(file));
        needed.extend(list("css"));
        if is_new {
            open.extend(list("imports"));
        }
    }
    Ok(needed)
}

/// Files that people read are short. What is generated and words are not read.
fn lengths(source: &Path) -> Result<()> {
    let is_read = |path: &PathBuf| !path.ends_with("schema.d.ts") && path.extension().is_some_and(|end| end != "json");
    let mut long = Vec::new();
    for (name, bytes) in read(source)? {
        let path = PathBuf::from(&name);
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        if is_read(&path) && lines > LINES {
            long.push(format!("ui/src/{name} has {lines} lines"));
        }
    }
    ensure!(long.is_empty(), "{}\nno file has more than {LINES}: take a part out", long.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn every_file_that_differs_is_named_with_the_remedy() {
        let made = files(&[("a", "1"), ("b", "2"), ("d", "4")]);
        same(&made, &made).unwrap();
        let told = same(&made, &files(&[("a", "1"), ("b", "3"), ("c", "3")])).unwrap_err().to_string();
        for words in ["ui/dist/b differs", "ui/dist/c is not made any more", "ui/dist/d is missing", "npm run build"] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("dist/a"), "{told}");
    }

    #[test]
    fn loads_from_elsewhere_are_found_and_links_are_not() {
        for text in [
            "import('https://cdn.example/x.js')",
            "import{a}from\"//cdn.example/x.js\"",
            "fetch(`http://example.com`)",
            "{src:'https://example.com/a.png'}",
            "@font-face{src:url(https://fonts.example/a.woff2)}",
            "@import \"https://example.com/a.css\";",
            "<img src=//example.com/a.png>",
        ] {
            assert!(ours_alone(&files(&[("a.js", text)])).is_err(), "{text}");
        }
        assert!(ours_alone(&files(&[("a.html", "<link rel=icon href=\"https://example.com/\">")])).is_err());
        let fine = "const n='http://www.w3.org/2000/svg';throw Error('see https://react.dev/errors/1');a.href='https://example.com';src:url(/admin/a.woff2)";
        ours_alone(&files(&[("a.js", fine)])).unwrap();
    }

    #[test]
    fn the_first_load_is_what_is_loaded_at_once_and_no_more() {
        let manifest = json!({
            "index.html": { "file": "assets/index.js", "imports": ["_lib.js"], "css": ["assets/index.css"], "dynamicImports": ["src/screens/home/index.tsx"] },
            "_lib.js": { "file": "assets/lib.js", "imports": ["_deep.js", "_lib.js"] },
            "_deep.js": { "file": "assets/deep.js", "css": ["assets/deep.css"] },
            "src/locales/en.json": { "file": "assets/en.js" },
            "src/screens/home/index.tsx": { "file": "assets/home.js", "imports": ["_lib.js"] },
            "src/screens/home/en.json": { "file": "assets/home-en.js" },
            "src/screens/other/index.tsx": { "file": "assets/other.js" },
        });
        let needed = first_load(&manifest, "home").unwrap();
        let expected = [
            "assets/deep.css",
            "assets/deep.js",
            "assets/en.js",
            "assets/home-en.js",
            "assets/home.js",
            "assets/index.css",
            "assets/index.js",
            "assets/lib.js",
            "index.html",
        ];
        assert_eq!(needed.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert!(first_load(&manifest, "none").is_err());
    }

    #[test]
    fn long_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, lines: usize| fs::write(folder.path().join(name), "x\n".repeat(lines)).unwrap();
        for (name, lines) in [("a.tsx", LINES), ("schema.d.ts", 9000), ("en.json", 900)] {
            write(name, lines);
        }
        lengths(folder.path()).unwrap();
        write("b.tsx", LINES + 1);
        let told = lengths(folder.path()).unwrap_err().to_string();
        assert!(told.contains("ui/src/b.tsx has 301 lines") && !told.contains("a.tsx"), "{told}");
    }
}
