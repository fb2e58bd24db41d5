//! The admin page as it was built (`ui/dist`): a table of its files, compressed.

use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

/// The word in [`INDEX`] that stands where the nonce of an answer goes.
pub const NONCE: &str = "POLYPORT_NONCE";

#[allow(unreachable_pub, reason = "it is made public below")]
mod files {
    use super::File;

    include!(concat!(env!("OUT_DIR"), "/files.rs"));

    pub(super) fn table() -> &'static [File] {
        &TABLE
    }
}

/// The page that every path of the admin page answers; its script shows what is there.
pub const INDEX: &str = files::INDEX;

/// A file of the page.
#[derive(Debug)]
pub struct File {
    /// Where it lies below `/admin/`, such as `assets/index-HASH.js`.
    pub path: &'static str,
    /// Its content type.
    pub kind: &'static str,
    /// The first half of its SHA-256, in hexadecimal digits.
    pub hash: &'static str,
    /// Its content in the format of RFC 7932.
    pub brotli: &'static [u8],
    /// Its content in the format of RFC 1952.
    pub gzip: &'static [u8],
    plain: OnceLock<Vec<u8>>,
}

impl File {
    const fn new(
        path: &'static str,
        kind: &'static str,
        hash: &'static str,
        brotli: &'static [u8],
        gzip: &'static [u8],
    ) -> Self {
        Self { path, kind, hash, brotli, gzip, plain: OnceLock::new() }
    }

    /// Its content. It is unpacked for the first reader and kept: few ask for it so.
    #[must_use]
    pub fn plain(&'static self) -> &'static [u8] {
        self.plain.get_or_init(|| {
            let mut plain = Vec::new();
            // What the build packed can be unpacked; a test does so.
            GzDecoder::new(self.gzip).read_to_end(&mut plain).ok();
            plain
        })
    }
}

/// All files but [`INDEX`], in the order of their paths.
#[must_use]
pub fn files() -> &'static [File] {
    files::table()
}

/// The file at a path below `/admin/`.
#[must_use]
pub fn file(path: &str) -> Option<&'static File> {
    let at = files().binary_search_by(|file| file.path.cmp(path)).ok()?;
    files().get(at)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_table_holds_what_was_built() {
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
        assert!(!files().is_empty() && files().is_sorted_by_key(|file| file.path));
        for file in files() {
            let built = fs::read(dist.join(file.path)).unwrap();
            assert!(file.plain() == built, "{}", file.path);
            let mut unpacked = Vec::new();
            brotli::BrotliDecompress(&mut &*file.brotli, &mut unpacked).unwrap();
            assert!(unpacked == built, "{}", file.path);
            let digest = Sha256::digest(&built).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            assert!(digest.starts_with(file.hash) && file.hash.len() == 32);
            assert!(std::ptr::eq(super::file(file.path).unwrap(), file));
        }
        for absent in ["", "index.html", ".vite/manifest.json", "assets", "assets/", "../dist/index.html"] {
            assert!(super::file(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn the_page_has_a_place_for_the_nonce_and_loads_nothing_from_elsewhere() {
        assert!(INDEX.contains(NONCE));
        for outside in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "style=\"", "<script>"] {
            assert!(!INDEX.contains(outside), "{outside}");
        }
    }
}
