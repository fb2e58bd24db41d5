//! Puts the built page (`ui/dist`) into the program, each file compressed once and as well as it can be.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

/// What the page consists of, by the end of a name.
const KINDS: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
];

const REMEDY: &str = "it is part of the repository; `npm ci && npm run build` in `ui` makes it anew";

#[allow(clippy::disallowed_methods, reason = "it runs while this is built")]
fn main() {
    // As it is while this runs: a build script that was compiled elsewhere may be used again.
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("{name} is not set"));
    let made = variable("CARGO_MANIFEST_DIR").and_then(|here| {
        let out = variable("OUT_DIR")?;
        embed(&Path::new(&here).join("../../ui/dist"), Path::new(&out))
    });
    if let Err(why) = made {
        println!("cargo:error={why}");
    }
}

fn embed(dist: &Path, out: &Path) -> Result<(), String> {
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    find(dist, &mut files)
        .map_err(|error| format!("the built admin page cannot be read from ui/dist ({error}): {REMEDY}"))?;
    let name = |file: &Path| -> Option<String> { Some(file.strip_prefix(dist).ok()?.to_str()?.replace('\\', "/")) };
    let mut names: Vec<(String, PathBuf)> = Vec::new();
    for file in files {
        let name = name(&file).ok_or_else(|| format!("{}: names in ui/dist are plain text", file.display()))?;
        names.push((name, file));
    }
    names.sort();
    let index = names.iter().find(|(name, _)| name == "index.html");
    let (_, index) = index.ok_or_else(|| format!("ui/dist/index.html is missing: {REMEDY}"))?;
    let mut code = format!("pub const INDEX: &str = include_str!({:?});\n\n", index.to_string_lossy());
    let others: Vec<_> = names.iter().filter(|(name, _)| name != "index.html").collect();
    writeln!(code, "static TABLE: [File; {}] = [", others.len()).map_err(|error| error.to_string())?;
    for (at, (name, file)) in others.into_iter().enumerate() {
        let end = name.rsplit_once('.').map_or("", |(_, end)| end);
        let kind = KINDS.iter().find(|(known, _)| *known == end);
        let (_, kind) = kind
            .ok_or_else(|| format!("ui/dist/{name}: `build.rs` of polyport-ui knows no content type for `.{end}`"))?;
        let failed = |error: io::Error| format!("ui/dist/{name}: {error}");
        let plain = fs::read(file).map_err(failed)?;
        let hash = Sha256::digest(&plain).iter().take(16).fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            write!(hex, "{byte:02x}").ok();
            hex
        });
        fs::write(out.join(format!("{at}.br")), brotli(&plain).map_err(failed)?).map_err(failed)?;
        fs::write(out.join(format!("{at}.gz")), gzip(&plain).map_err(failed)?).map_err(failed)?;
        let bytes = |end: &str| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{at}.{end}\"))");
        writeln!(code, "    File::new({name:?}, {kind:?}, {hash:?}, {}, {}),", bytes("br"), bytes("gz"))
            .map_err(|error| error.to_string())?;
    }
    code.push_str("];\n");
    fs::write(out.join("files.rs"), code).map_err(|error| error.to_string())
}

/// Every file but those in hidden folders, which are notes of the build.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            find(&path, files)?;
        } else {
            println!("cargo:rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    Ok(())
}

fn brotli(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let settings =
        brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, size_hint: plain.len(), ..Default::default() };
    brotli::BrotliCompress(&mut &*plain, &mut out, &settings)?;
    Ok(out)
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    // Without a time, so that the same page makes the same program.
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}
