//! Citations: `groundingMetadata` and `citationMetadata`, both ways.
//!
//! Positions on the wire count bytes of the whole answer: its texts one after the other, thoughts left out. Neutral spans count
//! inside one text part.

use std::collections::{BTreeSet, HashMap};

use polyport_types::{Citation, CitationKind, IndexUnit, Span, Text};
use serde_json::value::RawValue;

use super::types::{CitationMetadata, GroundingChunk, GroundingMetadata, RecitedSource, Segment};
use crate::json::{Int, JsonWriter};

/// A text part of the answer at hand.
pub(super) struct Answered<'t> {
    /// Its position among the parts of the wire, where that is known.
    pub(super) part: Option<usize>,
    /// Its length in bytes.
    pub(super) length: usize,
    /// Its characters, where they are at hand.
    pub(super) text: Option<&'t str>,
}

/// Reads the citations of an answer, each with the number of its text.
pub(super) fn read(
    grounding: Option<&RawValue>,
    recited: Option<&RawValue>,
    texts: &[Answered<'_>],
) -> Vec<(usize, Citation)> {
    let mut found = Vec::new();
    if texts.is_empty() {
        return found;
    }
    let grounding: GroundingMetadata<'_> =
        grounding.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let chunks = grounding.chunks.unwrap_or_default().0;
    let texts = Answer::new(texts);
    let texts = &texts;
    for support in grounding.supports.unwrap_or_default().0 {
        let segment = support.segment.unwrap_or_default();
        let (number, span) = texts.locate(&segment);
        let indices = support.chunks.unwrap_or_default();
        for chunk in indices.into_iter().filter_map(|Int(at)| chunks.get(usize::try_from(at).ok()?)) {
            found.extend(source(chunk, &segment, span).map(|citation| (number, citation)));
        }
    }
    let recited: CitationMetadata<'_> =
        recited.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    for source in recited.citations.unwrap_or_default().0 {
        let RecitedSource { start, end, uri, title, .. } = source;
        let (number, span) = texts.locate(&Segment { start, end, ..Segment::default() });
        let mut citation = Citation::url("", title.map(|title| Text::from(&*title)), span);
        citation.kind = CitationKind::Recitation;
        citation.url = uri.map(|uri| Text::from(&*uri));
        found.push((number, citation));
    }
    found
}

fn source(chunk: &GroundingChunk<'_>, segment: &Segment<'_>, span: Option<Span>) -> Option<Citation> {
    let page = chunk.web.as_ref().or(chunk.maps.as_ref()).or(chunk.image.as_ref());
    let source = page.or(chunk.retrieved.as_ref())?;
    let text = |text: &Option<crate::json::Str<'_>>| text.as_ref().map(|text| Text::from(&**text));
    let mut citation = Citation::url("", text(&source.title), span);
    citation.url = text(&source.uri);
    citation.cited_text = text(&source.text).or_else(|| text(&segment.text));
    if page.is_none() {
        citation.kind = CitationKind::File;
        citation.filename = text(&source.title);
        citation.file_id = text(&source.document);
    }
    Some(citation)
}

/// The texts of an answer and where each begins.
struct Answer<'t> {
    texts: &'t [Answered<'t>],
    starts: Vec<usize>,
}

impl<'t> Answer<'t> {
    fn new(texts: &'t [Answered<'t>]) -> Self {
        let mut length = 0;
        let begin = |text: &Answered<'_>| {
            let begin = length;
            length += text.length;
            begin
        };
        let starts = texts.iter().map(begin).collect();
        Self { texts, starts }
    }

    /// The text a segment lies in, and its place there. The words of the segment decide between the two readings of its position.
    fn locate(&self, segment: &Segment<'_>) -> (usize, Option<Span>) {
        let place = |count: Option<Int>| count.and_then(|Int(at)| usize::try_from(at).ok());
        let start = place(segment.start).unwrap_or(0);
        let end = place(segment.end).unwrap_or(start).max(start);
        let in_part = place(segment.part)
            .filter(|part| *part > 0)
            .and_then(|part| self.texts.binary_search_by_key(&Some(part), |text| text.part).ok())
            .map(|number| (number, start, end));
        let in_answer = self.in_answer(start, end);
        let fits = |(number, start, end): &(usize, usize, usize)| match &segment.text {
            Some(words) => match self.texts.get(*number).and_then(|text| text.text) {
                Some(text) => text.get(*start..*end) == Some(&**words),
                None => true,
            },
            None => true,
        };
        let chosen = in_part.filter(fits).or(in_answer.filter(fits)).or(in_part).or(in_answer);
        match chosen {
            Some((number, start, end)) => (number, self.texts.get(number).and_then(|text| span(text, start, end))),
            None => (self.texts.len().saturating_sub(1), None),
        }
    }

    /// The text that holds the byte `start` of the answer, and both positions inside it.
    fn in_answer(&self, start: usize, end: usize) -> Option<(usize, usize, usize)> {
        let number = self.starts.partition_point(|begin| *begin <= start).checked_sub(1)?;
        let (begin, length) = (*self.starts.get(number)?, self.texts.get(number)?.length);
        (start < begin + length).then(|| (number, start - begin, (end - begin).min(length)))
    }
}

/// A span inside `text`, moved to the borders of characters; `None` if nothing of it is left.
fn span(text: &Answered<'_>, mut start: usize, end: usize) -> Option<Span> {
    let mut end = end.min(text.length);
    if let Some(text) = text.text {
        while start > 0 && !text.is_char_boundary(start) {
            start -= 1;
        }
        while end < text.len() && !text.is_char_boundary(end) {
            end += 1;
        }
    }
    let (start, end) = (u32::try_from(start).ok()?, u32::try_from(end).ok()?);
    (start < end).then_some(Span { start, end, unit: IndexUnit::Byte })
}

/// What an answer's citations are written from.
pub(super) struct Cited<'c> {
    /// Bytes of the answer before this text.
    pub(super) before: usize,
    /// Length of the text in bytes.
    pub(super) length: usize,
    /// The text, where it is at hand.
    pub(super) text: Option<&'c str>,
    /// Its citations.
    pub(super) citations: &'c [Citation],
}

/// One `groundingSupports` entry to be.
struct Support<'c> {
    start: usize,
    end: usize,
    words: Option<&'c str>,
    chunks: BTreeSet<usize>,
}

/// Writes `groundingMetadata` and `citationMetadata` of an answer, where there is something to say.
pub(super) fn write(w: &mut JsonWriter<'_>, texts: &[Cited<'_>], queries: &[Text]) {
    let mut chunks: Vec<&Citation> = Vec::new();
    let mut supports: Vec<Support<'_>> = Vec::new();
    let mut recited: Vec<(usize, usize, &Citation)> = Vec::new();
    let (mut known, mut places) = (HashMap::new(), HashMap::new());
    for text in texts {
        for citation in text.citations {
            let (start, end) = bytes(citation.span, text);
            let (from, to) = (text.before + start, text.before + end);
            if citation.kind == CitationKind::Recitation {
                recited.push((from, to, citation));
                continue;
            }
            let source = (&citation.url, &citation.title, &citation.file_id);
            let chunk = *known.entry(source).or_insert_with(|| {
                chunks.push(citation);
                chunks.len() - 1
            });
            let support = *places.entry((from, to)).or_insert_with(|| {
                let words = text.text.and_then(|text| text.get(start..end));
                supports.push(Support { start: from, end: to, words, chunks: BTreeSet::new() });
                supports.len() - 1
            });
            if let Some(support) = supports.get_mut(support) {
                support.chunks.insert(chunk);
            }
        }
    }
    if !recited.is_empty() {
        w.object_field("citationMetadata", |w| {
            w.array_field("citations", |w| {
                recited.iter().for_each(|(from, to, citation)| recitation(w, *from, *to, citation))
            });
        });
    }
    if chunks.is_empty() && queries.is_empty() {
        return;
    }
    w.object_field("groundingMetadata", |w| {
        if !queries.is_empty() {
            w.array_field("webSearchQueries", |w| queries.iter().for_each(|query| w.string(query)));
        }
        if chunks.is_empty() {
            return;
        }
        w.array_field("groundingChunks", |w| chunks.iter().for_each(|citation| w.object(|w| write_chunk(w, citation))));
        w.array_field("groundingSupports", |w| {
            supports.iter().for_each(|support| w.object(|w| write_support(w, support)))
        });
    });
}

fn recitation(w: &mut JsonWriter<'_>, from: usize, to: usize, citation: &Citation) {
    w.object(|w| {
        w.num("startIndex", from);
        w.num("endIndex", to);
        w.opt_str("uri", citation.url.as_deref());
        w.opt_str("title", citation.title.as_deref());
    });
}

fn write_chunk(w: &mut JsonWriter<'_>, citation: &Citation) {
    let page = citation.url.is_some() && citation.kind != CitationKind::File;
    w.object_field(if page { "web" } else { "retrievedContext" }, |w| {
        w.opt_str("uri", citation.url.as_deref());
        w.opt_str("title", citation.title.as_deref().or(citation.filename.as_deref()));
        if !page {
            w.opt_str("documentName", citation.file_id.as_deref());
            w.opt_str("text", citation.cited_text.as_deref());
        }
    });
}

fn write_support(w: &mut JsonWriter<'_>, support: &Support<'_>) {
    w.object_field("segment", |w| {
        w.num("startIndex", support.start);
        w.num("endIndex", support.end);
        w.opt_str("text", support.words);
    });
    w.array_field("groundingChunkIndices", |w| support.chunks.iter().for_each(|at| w.number(*at)));
}

/// A span in bytes; the whole text where there is none.
fn bytes(span: Option<Span>, text: &Cited<'_>) -> (usize, usize) {
    let whole = (0, text.length);
    let Some(span) = span else { return whole };
    let (start, end) = (span.start as usize, span.end as usize);
    match (span.unit, text.text) {
        (IndexUnit::Byte, _) => (start.min(text.length), end.min(text.length)),
        (IndexUnit::Utf16, Some(text)) => {
            let start = byte_of_utf16(text, start);
            (start, byte_of_utf16(text, end).max(start))
        }
        (IndexUnit::Utf16, None) => whole,
    }
}

/// The byte at which the `units`-th UTF-16 code unit of a text begins.
fn byte_of_utf16(text: &str, units: usize) -> usize {
    let mut seen = 0;
    for (at, letter) in text.char_indices() {
        if seen >= units {
            return at;
        }
        seen += letter.len_utf16();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn positions_count_the_whole_answer() {
        let texts = [(0, "Ös "), (2, "ist da.")].map(|(part, text)| Answered {
            part: Some(part),
            length: text.len(),
            text: Some(text),
        });
        let json = r#"{"groundingChunks":[{"web":{"uri":"https://a.org","title":"a"}},{"retrievedContext":{"title":"f.txt","text":"cited"}}],
            "groundingSupports":[{"segment":{"startIndex":4,"endIndex":7,"text":"ist"},"groundingChunkIndices":[0,1,9]},
                {"segment":{"endIndex":1},"groundingChunkIndices":[0]},
                {"segment":{"partIndex":2,"startIndex":4,"endIndex":6,"text":"da"},"groundingChunkIndices":[0]},
                {"segment":{"startIndex":100,"endIndex":200},"groundingChunkIndices":[0]}]}"#;
        let found = read(Some(raw(json)), None, &texts);
        let places: Vec<_> = found
            .iter()
            .map(|(number, citation)| (*number, citation.span.map(|span| (span.start, span.end)), citation.kind))
            .collect();
        assert_eq!(
            places,
            [
                (1, Some((0, 3)), CitationKind::Url),
                (1, Some((0, 3)), CitationKind::File),
                // Half an Ö is a whole one.
                (0, Some((0, 2)), CitationKind::Url),
                (1, Some((4, 6)), CitationKind::Url),
                (1, None, CitationKind::Url),
            ]
        );
        assert_eq!(found[1].1.cited_text.as_deref(), Some("cited"));
    }

    #[test]
    fn citations_of_other_units_become_bytes() {
        let citations = [
            Citation::url("https://a.org", None, Some(Span { start: 1, end: 3, unit: IndexUnit::Utf16 })),
            Citation::url("https://b.org", None, Some(Span { start: 1, end: 3, unit: IndexUnit::Utf16 })),
        ];
        let whole = [Citation::url("https://a.org", None, None)];
        let texts = [
            Cited { before: 0, length: 7, text: Some("a🙂bc"), citations: &citations },
            Cited { before: 7, length: 2, text: None, citations: &whole },
        ];
        let mut out = Vec::new();
        JsonWriter::new(&mut out).object(|w| write(w, &texts, &["q".into()]));
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            written["groundingMetadata"],
            serde_json::json!({
                "webSearchQueries": ["q"],
                "groundingChunks": [{"web": {"uri": "https://a.org"}}, {"web": {"uri": "https://b.org"}}],
                "groundingSupports": [
                    {"segment": {"startIndex": 1, "endIndex": 5, "text": "🙂"}, "groundingChunkIndices": [0, 1]},
                    {"segment": {"startIndex": 7, "endIndex": 9}, "groundingChunkIndices": [0]}]
            })
        );
    }
}
