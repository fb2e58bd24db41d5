//! A step turned into what goes over the wire.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::step::{Cut, CutAt, Hold, Pieces, Step};

/// What an exchange sends, in order.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) interim: Vec<u16>,
    pub(super) before_head: Option<Hold>,
    /// Instead of everything below: bytes on the connection, then it is closed.
    pub(super) raw: Option<Vec<u8>>,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// The `content-length`; chunked without it.
    pub(super) length: Option<u64>,
    pub(super) before_body: Option<Hold>,
    pub(super) between: Option<Hold>,
    pub(super) writes: Vec<Bytes>,
    pub(super) endless: Option<Bytes>,
    pub(super) cut: Option<Cut>,
    pub(super) close_after: bool,
}

/// The body of an answer before any fault.
pub(super) struct Body {
    pub(super) content_type: String,
    /// One for each event, or one in all.
    pub(super) events: Vec<Vec<u8>>,
    pub(super) streamed: bool,
}

impl Body {
    pub(super) fn whole(content_type: &str, bytes: Vec<u8>) -> Self {
        Self { content_type: content_type.to_owned(), events: vec![bytes], streamed: false }
    }
}

impl Plan {
    /// Bytes instead of an answer.
    pub(super) fn raw(step: &Step, bytes: Vec<u8>) -> Self {
        Self {
            raw: Some(bytes),
            cut: step.cut.map(|(_, cut)| cut),
            ..Self::answer(step, Body::whole("text/plain", Vec::new()))
        }
    }

    pub(super) fn answer(step: &Step, mut body: Body) -> Self {
        let mut cut = None;
        let kept = match step.cut {
            Some((CutAt::Events(events), how)) => Some((events, how)),
            Some((CutAt::Middle, how)) => Some((body.events.len() / 2, how)),
            Some((CutAt::Bytes(_), _)) | None => None,
        };
        if let Some((events, how)) = kept
            && events < body.events.len()
            && body.streamed
        {
            body.events.truncate(events);
            cut = Some(how);
        }
        let whole = step.gzip || !step.edits.is_empty() || !matches!(step.pieces, Pieces::Events);
        let mut writes: Vec<Vec<u8>> = if whole { vec![body.events.concat()] } else { body.events };
        for (offset, bytes) in &step.edits {
            if let Some(all) = writes.first_mut() {
                let room = all.iter_mut().skip(*offset);
                room.zip(bytes).for_each(|(old, new)| *old = *new);
            }
        }
        if step.gzip {
            writes = vec![gzip(&writes.concat())];
        }
        if let Some((CutAt::Bytes(bytes), how)) = step.cut {
            truncate(&mut writes, bytes);
            cut = Some(how);
        }
        writes = match &step.pieces {
            Pieces::Events => writes,
            Pieces::Bytes(size) => writes.concat().chunks(*size).map(<[u8]>::to_vec).collect(),
            Pieces::At(offsets) => split(&writes.concat(), offsets),
        };
        writes.retain(|write| !write.is_empty());
        let length = u64::try_from(writes.iter().map(Vec::len).sum::<usize>()).unwrap_or(0);
        let known = cut.is_none() && step.endless.is_none() && !body.streamed;
        Self {
            interim: step.interim.clone(),
            before_head: step.before_head.clone(),
            raw: None,
            status: step.status,
            headers: headers(step, &body.content_type),
            length: step.length.or_else(|| known.then_some(length)),
            before_body: step.before_body.clone(),
            between: step.between.clone(),
            writes: writes.into_iter().map(Bytes::from).collect(),
            endless: step.endless.clone().map(Bytes::from),
            cut,
            close_after: step.close_after,
        }
    }
}

fn headers(step: &Step, content_type: &str) -> Vec<(String, String)> {
    let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
    headers.retain(|(name, _)| step.headers.iter().all(|(given, _)| given != name));
    headers.extend(step.headers.iter().cloned());
    headers
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn truncate(writes: &mut Vec<Vec<u8>>, bytes: usize) {
    let mut left = bytes;
    for write in writes.iter_mut() {
        write.truncate(left);
        left -= write.len();
    }
    writes.retain(|write| !write.is_empty());
}

fn split(body: &[u8], offsets: &[usize]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for offset in offsets.iter().copied().chain([body.len()]) {
        let to = offset.clamp(from, body.len());
        pieces.push(body[from..to].to_vec());
        from = to;
    }
    pieces
}
