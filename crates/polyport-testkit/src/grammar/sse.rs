//! The framing of event streams, as strict as the most demanding client of each protocol.

use polyport_types::Protocol;

use super::ensure;

/// One event.
pub(super) struct Frame<'a> {
    /// The `event:` line.
    pub(super) name: Option<&'a str>,
    /// The one `data:` line.
    pub(super) data: &'a str,
}

/// A whole stream.
pub(super) struct Frames<'a> {
    pub(super) frames: Vec<Frame<'a>>,
    pub(super) comments: usize,
}

pub(super) fn frames(bytes: &[u8], protocol: Protocol, strict: bool) -> Result<Frames<'_>, String> {
    let body = std::str::from_utf8(bytes).map_err(|e| format!("the stream is not UTF-8: {e}"))?;
    ensure(!body.is_empty(), || "the stream is empty".to_owned())?;
    ensure(!body.starts_with('\u{feff}'), || "the stream starts with a byte order mark".to_owned())?;
    let crlf = body.contains('\r');
    ensure(!crlf || !strict || protocol == Protocol::Gemini, || "a carriage return in the stream".to_owned())?;
    let end = if crlf { "\r\n" } else { "\n" };
    ensure(body.ends_with(&end.repeat(2)), || "the last event is not followed by a blank line".to_owned())?;

    let mut stream = Frames { frames: Vec::new(), comments: 0 };
    let (mut name, mut data, mut after_blank, mut in_event) = (None, None, true, false);
    for (number, line) in body.split(end).enumerate() {
        let at =
            |message: &str| format!("line {}: {message}: {:?}", number + 1, line.chars().take(80).collect::<String>());
        ensure(!line.contains(['\r', '\n']), || at("mixed line ends"))?;
        if line.is_empty() {
            match (data.take(), name.take()) {
                (Some(data), name) => stream.frames.push(Frame { name, data }),
                (None, Some(_)) => return Err(at("an event without data")),
                (None, None) => ensure(!after_blank || !strict || number + 1 >= body.split(end).count(), || {
                    at("more than one blank line between events")
                })?,
            }
            (after_blank, in_event) = (true, false);
            continue;
        }
        after_blank = false;
        if line.starts_with(':') {
            ensure(protocol != Protocol::Gemini, || at("a comment"))?;
            ensure(protocol != Protocol::Messages || !strict, || at("a comment instead of a ping event"))?;
            ensure(!in_event, || at("a comment inside an event"))?;
            stream.comments += 1;
            continue;
        }
        in_event = true;
        let Some((field, value)) = line.split_once(':') else { return Err(at("a line without a colon")) };
        let Some(value) = value.strip_prefix(' ') else { return Err(at("no space after the colon")) };
        match field {
            "event" => {
                let expected = matches!(protocol, Protocol::Responses | Protocol::Messages);
                ensure(expected || !strict, || at("an `event:` line"))?;
                ensure(name.is_none() && data.is_none(), || at("a second or late `event:` line"))?;
                name = Some(value);
            }
            "data" => {
                ensure(data.is_none(), || at("more than one `data:` line in an event"))?;
                ensure(!value.trim().is_empty(), || at("an empty `data:` line"))?;
                data = Some(value);
            }
            _ => return Err(at("a field other than `event` and `data`")),
        }
    }
    Ok(stream)
}
