//! The book (`docs/guide`): Markdown in the form of an mdBook in two languages, as pages without scripts.
//!
//! | module | what |
//! |---|---|
//! | `summary` | the order of the pages, from `SUMMARY.md` |
//! | `source` | the text of a page with what it includes |
//! | `page` | a page as HTML |

mod page;
mod source;
mod summary;

use std::collections::BTreeMap;

use summary::Chapter;

/// The style sheet of every page.
pub const STYLE: &str = include_str!("../assets/style.css");

/// The documents in the program: path below `docs`, text.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A language of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

impl Language {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The folder of its Markdown, below `docs`.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::English => "guide/en",
            Self::Chinese => "guide/zh",
        }
    }

    /// What stands before the paths of its pages.
    fn prefix(self) -> &'static str {
        match self {
            Self::English => "",
            Self::Chinese => "zh/",
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }
}

/// The whole book.
#[derive(Debug, Default)]
pub struct Book {
    /// Pages by their path, such as `index.html` or `zh/clients/claude.html`.
    pub pages: BTreeMap<String, String>,
    /// What is wrong with it: links that lead nowhere, pages that nobody reaches, languages that differ.
    pub problems: Vec<String>,
}

/// Makes all pages. `is_file` tells whether there is a file at a path below `docs`, for links that lead out of the book.
#[must_use]
pub fn build(files: &[(&str, &str)], is_file: impl Fn(&str) -> bool) -> Book {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let mut book = Book::default();
    let mut places = Vec::new();
    for language in Language::ALL {
        let folder = language.folder();
        let text = files.get(format!("{folder}/SUMMARY.md").as_str()).copied().unwrap_or_default();
        let chapters = summary::read(text);
        let known = |path: &str| chapters.iter().any(|chapter| chapter.path == path);
        for path in files.keys().filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/')) {
            if path != "SUMMARY.md" && !known(path) {
                book.problems.push(format!("{folder}/{path} is not in SUMMARY.md"));
            }
        }
        places.push(chapters.iter().map(|chapter| (chapter.path.clone(), chapter.depth)).collect::<Vec<_>>());
        one(&files, language, &chapters, &is_file, &mut book);
    }
    if let [english, chinese] = places.as_slice() {
        for (path, _) in english.iter().filter(|place| !chinese.contains(place)) {
            book.problems.push(format!("{path} does not stand at the same place in the Chinese SUMMARY.md"));
        }
        if english.len() != chinese.len() || english != chinese {
            book.problems.push("the two SUMMARY.md do not have the same pages in the same order".to_owned());
        }
    }
    book
}

/// Makes the pages of a language.
fn one(
    files: &BTreeMap<&str, &str>,
    language: Language,
    chapters: &[Chapter],
    is_file: &impl Fn(&str) -> bool,
    book: &mut Book,
) {
    let folder = language.folder();
    let mut sources = Vec::new();
    for chapter in chapters {
        match source::read(files, &format!("{folder}/{}", chapter.path)) {
            Ok(parts) => sources.push(parts),
            Err(missing) => {
                book.problems.push(format!("{folder}/{}: {missing} is not there", chapter.path));
                sources.push(Vec::new());
            }
        }
    }
    let whole = page::Whole { language, chapters, sources: &sources, is_file };
    for at in 0..chapters.len() {
        let (path, html) = whole.page(at, &mut book.problems);
        book.pages.insert(path, html);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_book_is_whole() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let book = build(FILES, |path| docs.join(path).exists());
        assert_eq!(book.problems, Vec::<String>::new());
        for path in
            ["index.html", "zh/index.html", "clients/claude.html", "zh/clients/claude.html", "configuration.html"]
        {
            assert!(book.pages.contains_key(path), "{path}");
        }
        let size: usize = book.pages.values().map(String::len).sum();
        assert!(size < 4 << 20, "{size} bytes are too many for the program to hold");
    }

    #[test]
    fn pages_have_no_script_and_show_where_they_are() {
        let page = |path: &str| build(FILES, |_| true).pages.remove(path).unwrap();
        let claude = page("zh/clients/claude.html");
        assert!(!claude.contains("<script") && claude.contains("<html lang=\"zh-Hans\">"), "{claude}");
        assert!(claude.contains("href=\"../../style.css\""), "{claude}");
        assert!(claude.contains("aria-current=\"page\""), "{claude}");
        assert!(claude.contains("href=\"../../clients/claude.html\""), "the other language: {claude}");
    }

    #[test]
    fn what_is_wrong_is_found() {
        let files = [
            (
                "guide/en/SUMMARY.md",
                "- [One](index.md)\n  - [Two](sub/two.md)\n- [Gone](gone.md)\n- [Three](three.md)\n",
            ),
            (
                "guide/en/index.md",
                "# One\n\n[good](sub/two.md#there) [bad](sub/two.md#nowhere) [none](none.md) [out](../../REAL.md)\n",
            ),
            ("guide/en/sub/two.md", "# Two\n\n## There\n\n{{#include ../../../DOC.md}}\n"),
            ("guide/en/three.md", "{{#include missing.md}}\n"),
            ("guide/en/lost.md", "# Lost\n"),
            ("guide/zh/SUMMARY.md", "- [One](index.md)\n"),
            ("guide/zh/index.md", "# 一\n\n<script>alert(1)</script>\n"),
            ("DOC.md", "## Doc\n\n[back](guide/en/index.md)\n"),
        ];
        let book = build(&files, |path| path == "REAL.md");
        let told = book.problems.join("\n");
        for words in [
            "guide/en/lost.md is not in SUMMARY.md",
            "gone.md",
            "missing.md",
            "sub/two.md#nowhere",
            "none.md",
            "sub/two.md does not stand at the same place in the Chinese",
            "HTML",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("REAL.md") && !told.contains("#there"), "{told}");
        assert!(!book.pages["zh/index.html"].contains("<script"));
    }
}
