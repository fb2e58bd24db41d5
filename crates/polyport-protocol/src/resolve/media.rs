//! Images, documents, sound and video: which of them the target takes, and from where.
//!
//! Answering without what the client sent is worse than failing: what cannot be carried is refused. Nothing is fetched here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyport_types::{
    Document, DocumentSource, LossAction, LossCode, Media, MediaSource, Message, Part, PartKind, Protocol, Request,
    Role, Text,
};

use super::{Job, Place, Tally, is_openai};
use crate::profile::ImageInput;

const NOT_FETCHED: &str = "given by address, which the provider does not fetch; fetching is off";

/// Checks all media and puts them where the target takes them.
pub(super) fn check(job: &mut Job<'_>, request: &mut Request) {
    let mut lost = Lost::default();
    for message in &mut request.messages {
        let place = job.place(message);
        parts(job, &mut message.parts, place, &mut lost);
    }
    for instruction in &mut request.instructions {
        parts(job, &mut instruction.parts, Place::Instructions, &mut lost);
    }
    if !job.same || job.to(Protocol::Chat) {
        hoist_results(job, &mut request.messages, &mut lost);
    }
    if !job.same && matches!(job.target.protocol, Protocol::Chat | Protocol::Messages | Protocol::Responses) {
        move_to_user(job, request);
    }
    if let Some((place, detail)) = lost.citations.take("documents") {
        job.losses.info(LossCode::CitationDropped, LossAction::Dropped, place, detail);
    }
    if let Some((place, detail)) = lost.hoisted.take("results") {
        job.losses.info(LossCode::ToolResultMediaHoisted, LossAction::Hoisted, place, detail);
    }
}

#[derive(Default)]
struct Lost {
    citations: Tally,
    hoisted: Tally,
}

fn parts(job: &mut Job<'_>, parts: &mut Vec<Part>, place: Place, lost: &mut Lost) {
    if !parts.iter().any(has_media) {
        return;
    }
    let mut out = Vec::with_capacity(parts.len());
    for mut part in std::mem::take(parts) {
        match &mut part.kind {
            PartKind::Image(media) => image(job, media, place),
            PartKind::Audio(media) => {
                if let Some(text) = audio(job, media, place) {
                    if !text.is_empty() {
                        out.push(Part { cache: part.cache, ..Part::text(text) });
                    }
                    continue;
                }
            }
            PartKind::Video(media) => video(job, media, place),
            PartKind::Document(document) => {
                if let Some(mut flat) = flatten(job, document, place, lost) {
                    if let Some(last) = flat.last_mut() {
                        last.cache = part.cache;
                    }
                    self::parts(job, &mut flat, place, lost);
                    out.append(&mut flat);
                    continue;
                }
                file(job, document, place);
            }
            PartKind::ToolResult(result) => self::parts(job, &mut result.parts, place, lost),
            _ => {}
        }
        out.push(part);
    }
    *parts = out;
}

fn has_media(part: &Part) -> bool {
    match &part.kind {
        PartKind::Image(_) | PartKind::Audio(_) | PartKind::Video(_) | PartKind::Document(_) => true,
        PartKind::ToolResult(result) => result.parts.iter().any(has_media),
        _ => false,
    }
}

fn refuse(job: &mut Job<'_>, place: Place, detail: impl Into<String>) {
    job.losses.error(LossCode::MediaUnsupported, place, detail);
}

/// Checks where content comes from; false if it was refused.
fn source(job: &mut Job<'_>, source: &MediaSource, place: Place, what: &str) -> bool {
    match source {
        MediaSource::Base64 { .. } => true,
        MediaSource::FileId { owner, .. } => {
            let kin = is_openai(*owner) && job.goes_to_openai();
            if *owner == job.target.protocol || kin {
                return true;
            }
            let detail = format!("{what}: a file of another provider ({owner})");
            job.losses.error(LossCode::FileIdForeign, place, detail);
            false
        }
        MediaSource::Url { .. } if job.same && job.capabilities().url_media => true,
        MediaSource::Url { url, .. } => {
            let web = url.starts_with("https://") || url.starts_with("http://");
            let googles = url.contains("://generativelanguage.googleapis.com/") || !web;
            if job.to(Protocol::Gemini) {
                if googles || job.capabilities().url_media {
                    return true;
                }
            } else if googles {
                let detail = format!("{what}: a file only Google can read");
                job.losses.error(LossCode::FileIdForeign, place, detail);
                return false;
            } else if job.capabilities().url_media {
                return true;
            }
            refuse(job, place, format!("{what}: {NOT_FETCHED}"));
            false
        }
    }
}

fn image(job: &mut Job<'_>, media: &mut Media, place: Place) {
    if !job.capabilities().images || (job.to(Protocol::Chat) && job.profile().image_input == ImageInput::None) {
        refuse(job, place, "the model takes no images");
        return;
    }
    if !source(job, &media.source, place, "image") {
        return;
    }
    match &mut media.source {
        MediaSource::Url { .. } if job.to(Protocol::Chat) && job.profile().image_input == ImageInput::Data => {
            refuse(job, place, format!("image: {NOT_FETCHED}"));
        }
        MediaSource::FileId { .. } if job.to(Protocol::Chat) => {
            job.losses.error(LossCode::FileIdForeign, place, "image: Chat has no images by file id");
        }
        MediaSource::Base64 { mime, .. } if job.to(Protocol::Messages) => {
            if &**mime == "image/jpg" {
                *mime = Text::from_static("image/jpeg");
            }
            if !matches!(&**mime, "image/jpeg" | "image/png" | "image/gif" | "image/webp") {
                let detail = format!("image of type {mime}: only jpeg, png, gif and webp are taken");
                refuse(job, place, detail);
            }
        }
        _ => {}
    }
}

/// Checks sound; some can only be given as the words said in it.
fn audio(job: &mut Job<'_>, media: &Media, place: Place) -> Option<Text> {
    let takes = job.capabilities().audio && matches!(job.target.protocol, Protocol::Chat | Protocol::Gemini);
    if let (Some(_), false) = (&media.id, job.same) {
        // An earlier answer, known to its provider by an id.
        if let Some(transcript) = media.transcript.clone().filter(|text| !text.is_empty()) {
            job.losses.warn(LossCode::FileIdForeign, LossAction::Degraded, place, "sound: only its transcript");
            return Some(transcript);
        }
        if matches!(media.source, MediaSource::FileId { .. }) {
            job.losses.warn(LossCode::FileIdForeign, LossAction::Dropped, place, "sound of an earlier answer");
            return Some(Text::new());
        }
    }
    if !takes {
        refuse(job, place, "the model takes no sound");
        return None;
    }
    if media.id.is_some() || !source(job, &media.source, place, "sound") || job.same {
        return None;
    }
    if job.to(Protocol::Chat) {
        let mime = media.source.mime().unwrap_or_default();
        let known =
            ["wav", "x-wav", "wave", "mp3", "mpeg"].iter().any(|kind| mime.strip_prefix("audio/") == Some(kind));
        match &media.source {
            MediaSource::Base64 { .. } if known => {}
            MediaSource::Base64 { .. } => {
                refuse(job, place, format!("sound of type {mime}: only wav and mp3 are taken"))
            }
            MediaSource::Url { .. } | MediaSource::FileId { .. } => refuse(job, place, format!("sound: {NOT_FETCHED}")),
        }
    }
    None
}

fn video(job: &mut Job<'_>, media: &Media, place: Place) {
    let takes = job.capabilities().video && (job.to(Protocol::Gemini) || job.same);
    if !takes {
        refuse(job, place, "the model takes no video");
        return;
    }
    source(job, &media.source, place, "video");
}

/// A file that stays a file.
fn file(job: &mut Job<'_>, document: &Document, place: Place) {
    let DocumentSource::File(content) = &document.source else { return };
    if !job.capabilities().documents || (job.to(Protocol::Chat) && !job.profile().file_input) {
        refuse(job, place, "the model takes no documents");
        return;
    }
    if !source(job, content, place, "document") || job.same {
        return;
    }
    match (job.target.protocol, content) {
        (Protocol::Chat, MediaSource::Url { .. }) => refuse(job, place, format!("document: {NOT_FETCHED}")),
        (Protocol::Messages, MediaSource::Base64 { mime, .. }) if essence(mime) != "application/pdf" => {
            refuse(job, place, format!("document of type {mime}: only PDF and plain text are taken"));
        }
        _ => {}
    }
}

/// A MIME type without its parameters.
fn essence(mime: &str) -> &str {
    mime.split(';').next().unwrap_or_default().trim()
}

/// The parts a document becomes where it is no file: its title, what is said about it, its text. `None` leaves it as it is.
fn flatten(job: &mut Job<'_>, document: &mut Document, place: Place, lost: &mut Lost) -> Option<Vec<Part>> {
    if let DocumentSource::File(MediaSource::Base64 { mime, data }) = &document.source
        && !job.same
        && matches!(job.target.protocol, Protocol::Messages | Protocol::Chat)
        && is_text(mime)
        && let Some(text) = decode(data)
    {
        document.source = DocumentSource::PlainText(text);
    }
    if job.to(Protocol::Messages) {
        return None;
    }
    if document.citations.take() == Some(true) && !job.same {
        lost.citations.add(place);
    }
    let content = match &mut document.source {
        DocumentSource::File(_) => {
            let context = document.context.take().filter(|context| !context.is_empty())?;
            let file = Part::new(PartKind::Document(Box::new(document.clone())));
            return Some(vec![Part::text(context), file]);
        }
        DocumentSource::PlainText(text) => vec![Part::text(text.clone())],
        DocumentSource::Blocks(blocks) => {
            let mut blocks = std::mem::take(blocks);
            blocks.retain(|part| matches!(part.kind, PartKind::Text(_) | PartKind::Image(_)));
            blocks
        }
    };
    let mut flat: Vec<Part> = [document.title.take().or(document.filename.take()), document.context.take()]
        .into_iter()
        .flatten()
        .filter(|line| !line.is_empty())
        .map(Part::text)
        .collect();
    flat.extend(content);
    Some(flat)
}

fn is_text(mime: &str) -> bool {
    let essence = essence(mime);
    essence.starts_with("text/") || matches!(essence, "application/json" | "application/xml" | "application/yaml")
}

fn decode(data: &str) -> Option<Text> {
    let bytes = STANDARD.decode(data).ok()?;
    String::from_utf8(bytes).ok().map(Text::from)
}

/// Whether a part of a tool result has to stand beside it at the target.
fn stands_beside(job: &Job<'_>, part: &Part) -> bool {
    let media =
        matches!(part.kind, PartKind::Image(_) | PartKind::Document(_) | PartKind::Audio(_) | PartKind::Video(_));
    match job.target.protocol {
        Protocol::Chat => media,
        Protocol::Gemini => media && !job.capabilities().tool_result_media,
        Protocol::Responses | Protocol::Messages => matches!(part.kind, PartKind::Audio(_) | PartKind::Video(_)),
    }
}

/// Moves media out of tool results into the user's next words, behind all results of the turn.
fn hoist_results(job: &Job<'_>, messages: &mut Vec<Message>, lost: &mut Lost) {
    let needed = messages.iter().flat_map(|message| &message.parts).any(
        |part| matches!(&part.kind, PartKind::ToolResult(result) if result.parts.iter().any(|part| stands_beside(job, part))),
    );
    if !needed {
        return;
    }
    let mut out: Vec<Message> = Vec::with_capacity(messages.len() + 1);
    let mut waiting: Vec<Part> = Vec::new();
    let mut index = 0;
    for mut message in std::mem::take(messages) {
        if message.role == Role::Tool {
            index = message.index;
            let place = job.place(&message);
            for part in &mut message.parts {
                if let PartKind::ToolResult(result) = &mut part.kind {
                    let before = waiting.len();
                    hoist(job, &result.call_id.clone(), &mut result.parts, &mut waiting);
                    if waiting.len() > before {
                        lost.hoisted.add(place);
                    }
                }
            }
        } else if !waiting.is_empty() {
            if message.role == Role::User {
                message.parts.splice(0..0, waiting.drain(..));
            } else {
                out.push(Message::new(Role::User, index, std::mem::take(&mut waiting)));
            }
        }
        out.push(message);
    }
    if !waiting.is_empty() {
        out.push(Message::new(Role::User, index, waiting));
    }
    *messages = out;
}

fn hoist(job: &Job<'_>, id: &str, parts: &mut [Part], waiting: &mut Vec<Part>) {
    let mut number = 0;
    for part in parts.iter_mut() {
        if !stands_beside(job, part) {
            continue;
        }
        number += 1;
        let what = match part.kind {
            PartKind::Image(_) => "image",
            PartKind::Audio(_) => "sound",
            PartKind::Video(_) => "video",
            _ => "document",
        };
        let note = format!("[{what} {number} attached in the next user message]");
        waiting.push(Part::text(format!("Result {what} of tool call {id}:")));
        waiting.push(std::mem::replace(part, Part::text(note)));
    }
}

/// Moves media that the model made to the user's next words: most protocols have none on the model's side.
fn move_to_user(job: &mut Job<'_>, request: &mut Request) {
    let is_media = |part: &Part| match &part.kind {
        // Responses has an item for images.
        PartKind::Image(_) => !job.to(Protocol::Responses),
        PartKind::Document(_) | PartKind::Audio(_) | PartKind::Video(_) => true,
        _ => false,
    };
    let made = |message: &Message| message.role == Role::Assistant && message.parts.iter().any(is_media);
    let Some(first) = request.messages.iter().find(|message| made(message)) else { return };
    let place = job.place(first);
    let mut out: Vec<Message> = Vec::with_capacity(request.messages.len() + 1);
    let mut waiting: Vec<Part> = Vec::new();
    let mut index = 0;
    for mut message in std::mem::take(&mut request.messages) {
        match message.role {
            Role::Assistant => {
                if message.parts.iter().any(is_media) {
                    index = message.index;
                    let (media, rest): (Vec<Part>, Vec<Part>) =
                        std::mem::take(&mut message.parts).into_iter().partition(|part| is_media(part));
                    for part in media {
                        waiting.push(Part::text("The assistant made this:"));
                        waiting.push(Part { signature: None, ..part });
                    }
                    message.parts = rest;
                    if message.parts.is_empty() {
                        continue;
                    }
                }
            }
            Role::User => {
                message.parts.splice(0..0, waiting.drain(..));
            }
            Role::Tool | Role::System | Role::Developer => {}
        }
        out.push(message);
    }
    if !waiting.is_empty() {
        out.push(Message::new(Role::User, index, waiting));
    }
    request.messages = out;
    let detail = "made by the model; shown in the next user message";
    job.losses.warn(LossCode::MediaUnsupported, LossAction::Hoisted, place, detail);
}
