//! A page as HTML.

use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

use crate::Language;
use crate::source::{Part, folder, join};
use crate::summary::Chapter;

/// Everything that a page may refer to.
pub(crate) struct Whole<'a, F> {
    pub(crate) language: Language,
    pub(crate) chapters: &'a [Chapter],
    pub(crate) sources: &'a [Vec<Part<'a>>],
    pub(crate) is_file: &'a F,
}

fn events(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES)
}

/// The path of a page from its Markdown.
fn html_of(path: &str) -> String {
    format!("{}.html", path.strip_suffix(".md").unwrap_or(path))
}

/// What a heading is called in links.
fn slug(title: &str) -> String {
    let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

/// The headings of a text, as they are called in links.
fn headings(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut title: Option<String> = None;
    for event in events(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => title = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let plain = slug(&title.take().unwrap_or_default());
                let same = found.iter().filter(|other| **other == plain).count();
                found.push(if same == 0 { plain } else { format!("{plain}-{same}") });
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(title) = &mut title {
                    title.push_str(&text);
                }
            }
            _ => {}
        }
    }
    found
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl<F: Fn(&str) -> bool> Whole<'_, F> {
    /// The path and the HTML of the page at this place.
    pub(crate) fn page(&self, at: usize, problems: &mut Vec<String>) -> (String, String) {
        let Some(chapter) = self.chapters.get(at) else { return Default::default() };
        let own = html_of(&chapter.path);
        let mut main = String::new();
        for (source, text) in self.sources.get(at).into_iter().flatten() {
            self.part(&own, source, text, &mut main, problems);
        }
        let up = "../".repeat(own.matches('/').count());
        let root = format!("{up}{}", if self.language == Language::Chinese { "../" } else { "" });
        let (name, other, aside) = match self.language {
            Language::English => ("Polyport", ("中文", format!("{up}zh/{own}")), "Contents"),
            Language::Chinese => ("Polyport 手册", ("English", format!("{root}{own}")), "目录"),
        };
        let mut out = String::new();
        let (title, code) = (escaped(&chapter.title), self.language.code());
        // Writing to a String cannot fail.
        write!(
            out,
            "<!doctype html>\n<html lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title} – {name}</title>\n<link rel=\"stylesheet\" href=\"{root}style.css\">\n</head>\n<body>\n<header><a href=\"{up}index.html\">{name}</a>\
             <a href=\"{}\" lang=\"{}\">{}</a></header>\n<nav><details open><summary>{aside}</summary>\n{}</details></nav>\n<main>\n{main}{}</main>\n</body>\n</html>\n",
            other.1,
            if self.language == Language::English { Language::Chinese.code() } else { Language::English.code() },
            other.0,
            self.contents(at, &up),
            self.neighbours(at, &up),
        )
        .ok();
        (format!("{}{own}", self.language.prefix()), out)
    }

    /// The list of all pages.
    fn contents(&self, at: usize, up: &str) -> String {
        let mut out = String::from("<ul>\n");
        for (place, chapter) in self.chapters.iter().enumerate() {
            let here = if place == at { " aria-current=\"page\"" } else { "" };
            let (depth, path, title) = (chapter.depth, html_of(&chapter.path), escaped(&chapter.title));
            writeln!(out, "<li class=\"d{depth}\"><a href=\"{up}{path}\"{here}>{title}</a></li>").ok();
        }
        out.push_str("</ul>\n");
        out
    }

    /// Links to the page before and the page behind.
    fn neighbours(&self, at: usize, up: &str) -> String {
        let link = |place: Option<usize>, before: &str, behind: &str, rel: &str| {
            place.and_then(|place| self.chapters.get(place)).map(|chapter| {
                let (path, title) = (html_of(&chapter.path), escaped(&chapter.title));
                format!("<a rel=\"{rel}\" href=\"{up}{path}\">{before}{title}{behind}</a>")
            })
        };
        let before = link(at.checked_sub(1), "← ", "", "prev");
        let behind = link(at.checked_add(1), "", " →", "next");
        format!("<footer>{}{}</footer>\n", before.unwrap_or_default(), behind.unwrap_or_default())
    }

    /// A part of the page `own`, from the file `source`.
    fn part(&self, own: &str, source: &str, text: &str, out: &mut String, problems: &mut Vec<String>) {
        let mut ids = headings(text).into_iter();
        let mut open = Vec::new();
        let mut made: Vec<Event<'_>> = Vec::new();
        let mut in_comment = false;
        for event in events(text) {
            match event {
                Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
                    let id = ids.next().map(CowStr::from);
                    made.push(Event::Start(Tag::Heading { level, id, classes, attrs }));
                }
                Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                    let target = match link_type {
                        LinkType::Autolink | LinkType::Email => Some(dest_url.to_string()),
                        _ => self.target(own, source, &dest_url, problems),
                    };
                    open.push(target.is_some());
                    if let Some(target) = target {
                        made.push(Event::Start(Tag::Link { link_type, dest_url: target.into(), title, id }));
                    }
                }
                // Of a link that leads out of the book, the words stay.
                Event::End(TagEnd::Link) => {
                    if open.pop().unwrap_or_default() {
                        made.push(Event::End(TagEnd::Link));
                    }
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    // Comments are for whoever edits the page.
                    in_comment |= html.trim_start().starts_with("<!--");
                    if !in_comment {
                        problems.push(format!("{source}: HTML is not for the book: {}", html.trim()));
                    }
                    in_comment &= !html.contains("-->");
                }
                Event::Start(Tag::Image { dest_url, .. }) => {
                    problems.push(format!("{source}: the book has no images: {dest_url}"));
                }
                Event::End(TagEnd::Image) => {}
                event => made.push(event),
            }
        }
        html::push_html(out, made.into_iter());
    }

    /// Where a link of the page `own` leads, seen from there. Nothing if it leads out of the book.
    fn target(&self, own: &str, source: &str, link: &str, problems: &mut Vec<String>) -> Option<String> {
        if link.contains("://") || link.starts_with("mailto:") || link.starts_with('/') {
            return Some(link.to_owned());
        }
        let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
        let file = if path.is_empty() { source.to_owned() } else { join(folder(source), path) };
        let Some(place) = self.place(&file) else {
            if !(self.is_file)(&file) && !file.starts_with("..") {
                problems.push(format!("{source}: the link {link} leads nowhere"));
            }
            return None;
        };
        let parts = self.sources.get(place).into_iter().flatten();
        if let Some(anchor) = anchor
            && !parts.flat_map(|(_, text)| headings(text)).any(|known| known == anchor)
        {
            problems.push(format!("{source}: {link} names no heading that is there"));
        }
        let up = "../".repeat(own.matches('/').count());
        let page = self.chapters.get(place).map(|chapter| html_of(&chapter.path)).unwrap_or_default();
        Some(format!("{up}{page}{}", anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default()))
    }

    /// The page that is made of a file, or includes it. A page of the other language is the one of this that has its place.
    fn place(&self, file: &str) -> Option<usize> {
        let of_any = Language::ALL.iter().find_map(|language| file.strip_prefix(language.folder())?.strip_prefix('/'));
        self.chapters
            .iter()
            .position(|chapter| Some(chapter.path.as_str()) == of_any)
            .or_else(|| self.sources.iter().position(|parts| parts.iter().any(|(source, _)| source == file)))
    }
}
