//! `annotations` of an answer: where statements come from.
//!
//! Positions count UTF-16 units of the whole `content`; in the neutral form they count inside the text part that carries the
//! citation. Servers that know no position write `0, 0`.

use polyport_types::{Citation, CitationKind, IndexUnit, Part, PartKind, RawJson, Span, Text};
use serde_json::value::RawValue;

use super::types::{Annotation, filled};
use crate::json::{self, Int, JsonWriter};

/// Reads a list of annotations; spans count in the whole content. What is no list is no annotation.
pub(super) fn read(raw: &RawValue, body: &Text) -> Vec<Citation> {
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    list.into_iter().map(|raw| read_one(raw, body)).collect()
}

fn read_one(raw: &RawValue, body: &Text) -> Citation {
    let kept = || json::raw(raw, body);
    let Ok(annotation) = serde_json::from_str::<Annotation<'_>>(raw.get()) else { return other(kept()) };
    if annotation.kind.as_deref() != Some("url_citation") {
        return other(kept());
    }
    let text = |word| filled(word).map(|text| text.to_text(body));
    let (url, title, content, start, end, whole) = match &annotation.url_citation {
        Some(inner) => (
            text(&inner.url),
            text(&inner.title),
            text(&inner.content),
            inner.start_index,
            inner.end_index,
            inner.extra.is_empty() && annotation.extra.is_empty(),
        ),
        None => (
            text(&annotation.url),
            text(&annotation.title),
            None,
            annotation.start_index,
            annotation.end_index,
            annotation.extra.is_empty(),
        ),
    };
    let Some(url) = url else { return other(kept()) };
    let mut citation = Citation::url(url, title, span(start, end));
    citation.cited_text = content;
    citation.raw = (!whole).then(kept);
    citation
}

fn other(raw: RawJson) -> Citation {
    Citation { kind: CitationKind::Other, raw: Some(raw), url: None, ..Citation::url("", None, None) }
}

fn span(start: Option<Int>, end: Option<Int>) -> Option<Span> {
    let number = |int: Int| u32::try_from(int.count()).unwrap_or(u32::MAX);
    let (start, end) = (number(start?), number(end?));
    (end > start).then_some(Span { start, end, unit: IndexUnit::Utf16 })
}

/// Moves a span from the whole content to a part that begins at `base`; a span that begins before it is dropped.
pub(super) fn localise(mut citation: Citation, base: u32) -> Citation {
    citation.span = citation.span.and_then(|span| {
        Some(Span { start: span.start.checked_sub(base)?, end: span.end.checked_sub(base)?, unit: span.unit })
    });
    citation
}

/// Gives citations of the whole content to the text parts they begin in.
pub(super) fn attach(citations: Vec<Citation>, parts: &mut [Part], units: impl Fn(&Text) -> u32) {
    if citations.is_empty() {
        return;
    }
    let mut base = 0;
    let mut texts: Vec<_> = parts
        .iter_mut()
        .filter_map(|part| match &mut part.kind {
            PartKind::Text(text) => {
                let start = base;
                base += units(&text.text);
                Some((start, base, text))
            }
            _ => None,
        })
        .collect();
    for citation in citations {
        let start = citation.span.map(|span| span.start);
        let inside = texts.iter().position(|(_, end, _)| start.is_some_and(|start| start < *end));
        let at = inside.unwrap_or(texts.len().saturating_sub(1));
        let Some((base, _, text)) = texts.get_mut(at) else { return };
        text.citations.push(localise(citation, *base));
    }
}

/// Writes one annotation; `start` and `end` count in the whole content.
pub(super) fn write(w: &mut JsonWriter<'_>, citation: &Citation, start: u32, end: u32, verbatim: bool) {
    if let (Some(raw), true) = (&citation.raw, verbatim) {
        w.raw_value(raw.as_str());
        return;
    }
    w.object(|w| {
        w.str("type", "url_citation");
        w.object_field("url_citation", |w| {
            w.num("start_index", start);
            w.num("end_index", end);
            w.str("url", citation.url.as_deref().unwrap_or_default());
            w.str("title", citation.title.as_deref().unwrap_or_default());
            if verbatim {
                w.opt_str("content", citation.cited_text.as_deref());
            }
        });
    });
}

/// Whether Chat has a form for a citation.
pub(super) fn is_expressible(citation: &Citation, verbatim: bool) -> bool {
    citation.url.is_some() || (verbatim && citation.raw.is_some())
}
