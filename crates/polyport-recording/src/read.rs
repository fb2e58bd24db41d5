//! Reading a recording.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use crate::format::{Exchange, Head, LINE_BYTES, Line, MOST_MIB, Side, Totals, VERSION};

/// The largest recording that is read, in bytes: as large as one may become, and its last line.
const FILE_BYTES: u64 = (MOST_MIB << 20) + 4096;

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is empty.
    #[error("it is empty: `polyport record FILE` writes recordings")]
    Empty,
    /// It is something else.
    #[error("it is no recording: the first line of one is {{\"polyport_recording\":{VERSION},…}}")]
    Foreign,
    /// Its version is not known.
    #[error("its format has version {0}, and this program reads version {VERSION}: use the polyport that wrote it")]
    Version(u64),
    /// A line is longer than any that is written.
    #[error("line {line} is longer than {} MiB, which no line of a recording is", limit >> 20)]
    Long {
        /// Which, from 1.
        line: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// A line is no text.
    #[error("line {0} is not UTF-8: the file is damaged, or no recording")]
    Encoding(usize),
    /// The last line is cut off.
    #[error("the recording ends in the middle of line {0}: delete that line to use the others")]
    CutOff(usize),
    /// A line is not understood.
    #[error("line {line}: {reason}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The file is larger than any that is written.
    #[error("it is larger than {MOST_MIB} MiB, which no recording is")]
    Large,
}

/// A recording that was read.
#[derive(Clone, Debug)]
pub struct Recording {
    /// What the first line says.
    pub head: Head,
    /// The exchanges as they began, with their lines.
    pub exchanges: Vec<(usize, Arc<Exchange>)>,
    /// What the last line says, if the recording was ended in order.
    pub totals: Option<Totals>,
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ReadError`] says what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path)?;
        if file.metadata()?.len() > FILE_BYTES {
            return Err(ReadError::Large);
        }
        Self::read(BufReader::new(file), LINE_BYTES)
    }

    /// Reads lines of at most `longest` bytes.
    ///
    /// # Errors
    /// [`ReadError`] says what is wrong with them.
    pub fn read(mut from: impl BufRead, longest: usize) -> Result<Self, ReadError> {
        let mut buffer = Vec::new();
        let first = next(&mut from, &mut buffer, 1, longest)?.ok_or(ReadError::Empty)?;
        let head = head(first)?;
        let mut recording = Self { head, exchanges: Vec::new(), totals: None };
        let mut number = 1;
        loop {
            number += 1;
            let Some(text) = next(&mut from, &mut buffer, number, longest)? else { break };
            if text.trim().is_empty() {
                continue;
            }
            let whole = text.ends_with('\n');
            match serde_json::from_str(text) {
                Ok(Line::Exchange(exchange)) => {
                    check(&exchange).map_err(|reason| ReadError::Line { line: number, reason })?;
                    recording.exchanges.push((number, Arc::from(exchange)));
                }
                Ok(Line::End(totals)) => recording.totals = Some(totals),
                Err(error) if error.is_eof() && !whole => return Err(ReadError::CutOff(number)),
                Err(error) => return Err(ReadError::Line { line: number, reason: error.to_string() }),
            }
        }
        // A file holds them as they ended; what follows wants them as they began.
        recording.exchanges.sort_by_key(|(_, exchange)| exchange.at);
        Ok(recording)
    }

    /// The exchanges of one side, as they began.
    pub fn of(&self, side: Side) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().map(|(_, exchange)| &**exchange).filter(move |exchange| exchange.side == side)
    }
}

/// The next line with its end.
fn next<'a>(
    from: &mut impl BufRead,
    buffer: &'a mut Vec<u8>,
    number: usize,
    longest: usize,
) -> Result<Option<&'a str>, ReadError> {
    buffer.clear();
    let limit = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    let read = from.take(limit).read_until(b'\n', buffer)?;
    if read == 0 {
        return Ok(None);
    }
    if read > longest {
        return Err(ReadError::Long { line: number, limit: longest });
    }
    let whole = buffer.ends_with(b"\n");
    let text = std::str::from_utf8(buffer);
    text.map(Some).map_err(|_| match number {
        1 => ReadError::Foreign,
        // It may end inside a character.
        _ if !whole => ReadError::CutOff(number),
        _ => ReadError::Encoding(number),
    })
}

fn head(text: &str) -> Result<Head, ReadError> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|_| ReadError::Foreign)?;
    match value.get("polyport_recording").and_then(serde_json::Value::as_u64) {
        None => Err(ReadError::Foreign),
        Some(version) if version != u64::from(VERSION) => Err(ReadError::Version(version)),
        Some(_) => {
            serde_json::from_value(value).map_err(|error| ReadError::Line { line: 1, reason: error.to_string() })
        }
    }
}

/// What the types do not say.
fn check(exchange: &Exchange) -> Result<(), String> {
    if let Some(body) = &exchange.body {
        body.check().map_err(|error| format!("the body of the request: {error}"))?;
    }
    if exchange.method.parse::<http::Method>().is_err() {
        return Err(format!("`{}` is no method", exchange.method));
    }
    if !exchange.target.starts_with('/') || exchange.target.parse::<http::Uri>().is_err() {
        return Err(format!("`{}` is no path", exchange.target));
    }
    let Some(answer) = &exchange.answer else { return Ok(()) };
    if http::StatusCode::from_u16(answer.status).is_err() || answer.status < 200 {
        return Err(format!("{} is no status of an answer", answer.status));
    }
    answer
        .chunks
        .iter()
        .try_for_each(|chunk| chunk.1.check().map_err(|error| format!("a piece of the answer: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"polyport_recording":1,"made_by":"polyport 0.1.0","at":1}"#;
    const EXCHANGE: &str = r#"{"exchange":{"side":"provider","at":5,"protocol":"chat","provider":"a","method":"POST","target":"/v1/chat/completions","headers":[],"body":"{}","answer":{"after":3,"status":200,"headers":[],"chunks":[[4,"a"],[5,{"base64":"/w=="}]]},"end":"complete","ended":9}}"#;

    fn read(text: &[u8]) -> Result<Recording, ReadError> {
        Recording::read(text, 4096)
    }

    fn refused(text: impl AsRef<[u8]>) -> String {
        read(text.as_ref()).unwrap_err().to_string()
    }

    #[test]
    fn a_recording_is_read() {
        let text = format!("{HEAD}\n{EXCHANGE}\n{{\"end\":{{\"exchanges\":1,\"dropped\":2}}}}\n");
        let recording = read(text.as_bytes()).unwrap();
        let (line, exchange) = &recording.exchanges[0];
        assert_eq!((*line, exchange.answer.as_ref().unwrap().bytes()), (2, vec![b'a', 0xff]));
        assert_eq!(recording.totals.unwrap().dropped, 2);
    }

    #[test]
    fn hostile_recordings_are_refused_with_a_reason() {
        assert!(refused("").contains("empty"));
        assert!(refused("hello\n").contains("no recording"));
        assert!(refused([0xff, b'\n']).contains("no recording"));
        assert!(refused("{\"polyport_recording\":9}\n").contains("version 9"));
        assert!(refused(format!("{HEAD}\n{}", EXCHANGE.get(..80).unwrap())).contains("in the middle of line 2"));
        let inside = [HEAD.as_bytes(), b"\n{\"exchange\":{\"id\":\"w\xc3"].concat();
        assert!(refused(inside).contains("in the middle of line 2"));
        assert!(refused([HEAD.as_bytes(), b"\n\xff\xfe\n"].concat()).contains("line 2 is not UTF-8"));
        assert!(refused(format!("{HEAD}\n{}\n", "x".repeat(5000))).contains("line 2 is longer"));
        assert!(refused(format!("{HEAD}\n{{\"exchange\":3}}\n")).contains("line 2: "));
        let broken = EXCHANGE.replace("/w==", "!!");
        assert!(refused(format!("{HEAD}\n{broken}\n")).contains("base64"));
        let broken = EXCHANGE.replace("\"status\":200", "\"status\":42");
        assert!(refused(format!("{HEAD}\n{broken}\n")).contains("42 is no status"));
        let broken = EXCHANGE.replace("/v1/chat", "no path");
        assert!(refused(format!("{HEAD}\n{broken}\n")).contains("is no path"));
    }
}
