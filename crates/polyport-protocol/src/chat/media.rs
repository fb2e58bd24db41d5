//! Images, sound and files: data URLs, MIME types and the words Chat has for them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use polyport_types::{ImageDetail, MediaSource, Text};

use crate::json::Str;

/// `part`, which lies inside `whole`, as shared text: a slice of `body` where `whole` is one.
pub(super) fn slice(whole: &Str<'_>, part: &str, body: &Text) -> Text {
    match &whole.0 {
        Cow::Borrowed(_) if part.len() > 64 => body.slice_ref(part),
        _ => Text::from(part),
    }
}

/// Reads an address or a `data:` URL.
pub(super) fn source(url: &Str<'_>, body: &Text) -> MediaSource {
    match data_url(url) {
        Some((mime, data)) => MediaSource::Base64 { mime: Text::from(mime), data: slice(url, data, body) },
        None => MediaSource::Url { url: url.to_text(body), mime: None },
    }
}

/// MIME type and base64 of a `data:` URL; parameters such as `charset` are dropped.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let mut fields = head.split(';');
    let mime = fields.next().filter(|mime| !mime.is_empty()).unwrap_or("application/octet-stream");
    fields.next_back().filter(|last| last.trim().eq_ignore_ascii_case("base64"))?;
    Some((mime.trim(), data))
}

/// MIME type of a file from its name; Chat takes PDF documents before anything else.
pub(super) fn mime_of_file(name: Option<&str>) -> &'static str {
    let extension = name.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("txt" | "text" | "log") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("html" | "htm") => "text/html",
        Some("json") => "application/json",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("pptx") => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/pdf",
    }
}

/// MIME type of an `input_audio.format`.
pub(super) fn mime_of_audio(format: &str) -> Text {
    match format {
        "wav" => Text::from_static("audio/wav"),
        "mp3" => Text::from_static("audio/mpeg"),
        other => Text::from(format!("audio/{other}")),
    }
}

/// The `input_audio.format` of a MIME type, if Chat has one.
pub(super) fn audio_format(mime: &str) -> Option<&'static str> {
    match mime.split(';').next().unwrap_or_default().trim() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Some("wav"),
        "audio/mpeg" | "audio/mp3" => Some("mp3"),
        _ => None,
    }
}

/// MIME type of spoken output, whose format stands in the request only: read from its first bytes.
pub(super) fn mime_of_base64_audio(data: &str) -> Text {
    const HEADS: [(&str, &str); 6] = [
        ("UklGR", "audio/wav"),
        ("SUQz", "audio/mpeg"),
        ("//", "audio/mpeg"),
        ("ZkxhQ", "audio/flac"),
        ("T2dnU", "audio/ogg"),
        ("AAAA", "audio/mp4"),
    ];
    let mime = HEADS.iter().find(|(head, _)| data.starts_with(head)).map_or("audio/pcm", |(_, mime)| mime);
    Text::from_static(mime)
}

/// Bare 16-bit samples (`audio/L16;rate=24000`, as Gemini speaks) of all pieces of one kind, and how many they are in a second; `None`
/// for anything else.
pub(super) fn samples(pieces: &[(&str, &str)]) -> Option<(u32, Vec<u8>)> {
    let (kind, _) = pieces.first()?;
    let mut words = kind.split(';').map(str::trim);
    let name = words.next()?;
    if !(name.eq_ignore_ascii_case("audio/l16") || name.eq_ignore_ascii_case("audio/pcm")) {
        return None;
    }
    let rate = words.find_map(|word| word.strip_prefix("rate=")).unwrap_or("24000").parse().ok()?;
    let mut samples = Vec::new();
    for (mime, data) in pieces {
        if mime != kind {
            return None;
        }
        samples.append(&mut BASE64.decode(data).ok()?);
    }
    Some((rate, samples))
}

/// Samples as a WAV file, in base64.
pub(super) fn wav(rate: u32, samples: &[u8]) -> String {
    // A longer file than the format can name is read to its end all the same.
    let size = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut wav = Vec::with_capacity(samples.len() + 44);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&size.saturating_add(36).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt ");
    // Length of the format, then PCM in one channel.
    wav.extend_from_slice(&[16, 0, 0, 0, 1, 0, 1, 0]);
    wav.extend_from_slice(&rate.to_le_bytes());
    wav.extend_from_slice(&rate.saturating_mul(2).to_le_bytes());
    // Bytes and bits of a sample.
    wav.extend_from_slice(&[2, 0, 16, 0]);
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&size.to_le_bytes());
    wav.extend_from_slice(samples);
    base64(&wav)
}

/// Bytes in base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Reads `detail`.
pub(super) fn detail(word: &str) -> Option<ImageDetail> {
    match word {
        "auto" => Some(ImageDetail::Auto),
        "low" => Some(ImageDetail::Low),
        "high" => Some(ImageDetail::High),
        "original" => Some(ImageDetail::Original),
        _ => None,
    }
}

/// The word of `detail`, if Chat has one for it.
pub(super) fn detail_word(detail: ImageDetail) -> Option<&'static str> {
    match detail {
        ImageDetail::Auto | ImageDetail::Medium => Some("auto"),
        ImageDetail::Low => Some("low"),
        ImageDetail::High | ImageDetail::UltraHigh => Some("high"),
        ImageDetail::Original => Some("original"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_are_taken_apart() {
        assert_eq!(data_url("data:image/png;base64,AAAA"), Some(("image/png", "AAAA")));
        assert_eq!(data_url("data:text/plain;charset=utf-8;base64,QQ=="), Some(("text/plain", "QQ==")));
        assert_eq!(data_url("data:text/plain,hello"), None);
        assert_eq!(data_url("https://example.org/a.png"), None);
    }
}
