//! HTTP/2 by hand: frames and header blocks that no library would send.

use std::time::Duration;

use polyport_testkit::raw::RawClient;

use super::Gateway;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.push(kind);
    frame.push(flags);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header block of literals, nothing checked, nothing compressed.
pub(crate) fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

fn text(block: &mut Vec<u8>, text: &[u8]) {
    // An integer with a prefix of seven bits.
    match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
        Some(length) => block.push(length),
        None => {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend_from_slice(text);
}

/// What a connection heard about a stream, or about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The head of an answer with this status (0 if it is written in a way this reader does not know).
    Status(u16),
    /// The stream was reset with this error.
    Reset(u32),
    /// The connection is going away with this error.
    GoAway(u32),
    /// The connection was closed without a word.
    Closed,
}

/// A connection.
pub(crate) struct Frames {
    raw: RawClient,
}

impl Frames {
    /// Connects, sends the preface and these settings as they are.
    pub(crate) async fn open(gateway: &Gateway, settings: &[u8]) -> Self {
        let mut raw = gateway.raw().await;
        raw.send(PREFACE).await.unwrap();
        raw.send(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        Self { raw }
    }

    /// Sends bytes; false if the connection has ended.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.raw.send(bytes).await.is_ok()
    }

    /// The next frame: kind, flags, stream, payload. `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let head = self.raw.read_exactly(9).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.raw.read_exactly(length).await.ok()?;
        Some((head[3], head[4], stream, payload))
    }

    /// What becomes of a stream.
    pub(crate) async fn fate(&mut self, stream: u32) -> Heard {
        loop {
            let Some((kind, flags, of, payload)) = self.next().await else { return Heard::Closed };
            match kind {
                SETTINGS if flags == 0 => drop(self.send(&frame(SETTINGS, 1, 0, &[])).await),
                HEADERS if of == stream => return Heard::Status(status(&payload)),
                RST_STREAM if of == stream => return Heard::Reset(number(&payload, 0)),
                GOAWAY if number(&payload, 4) != 0 => return Heard::GoAway(number(&payload, 4)),
                _ => {}
            }
        }
    }

    /// Reads until the connection ends; the error it ends with, if it says one.
    pub(crate) async fn end(&mut self) -> Option<u32> {
        let mut error = None;
        while let Some((kind, _, _, payload)) = self.next().await {
            if kind == GOAWAY {
                error = Some(number(&payload, 4));
            }
        }
        error
    }

    /// Sends these bytes over and over without listening, until the connection ends or `times` is reached. False if it still takes
    /// everything then.
    pub(crate) async fn flood(&mut self, times: u32, mut next: impl FnMut(u32) -> Vec<u8>) -> bool {
        for number in 0..times {
            let sent = tokio::time::timeout(Duration::from_secs(15), self.raw.send(&next(number))).await;
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return true,
                Err(_) => panic!("the connection neither takes bytes nor ends"),
            }
        }
        false
    }
}

fn number(payload: &[u8], at: usize) -> u32 {
    payload.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
}

/// The status of a header block that begins with it, from the static table or as digits.
fn status(block: &[u8]) -> u16 {
    let known = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [first, ..] if *first >= 0x80 => known.get(usize::from(*first & 0x7f).wrapping_sub(8)).copied().unwrap_or(0),
        // A literal with the name from the table: three digits, plain or by the Huffman code.
        [_, 3, digits @ ..] => digits.get(..3).and_then(|d| std::str::from_utf8(d).ok()?.parse().ok()).unwrap_or(0),
        [_, length, code @ ..] if length & 0x80 != 0 => {
            huffman(code.get(..usize::from(length & 0x7f)).unwrap_or_default())
        }
        _ => 0,
    }
}

/// Digits by the Huffman code of HPACK.
fn huffman(code: &[u8]) -> u16 {
    let mut bits: u32 = 0;
    let mut count = 0;
    for byte in code {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
    }
    let mut value = 0;
    while count >= 5 {
        let five = bits >> (count - 5) & 31;
        let (digit, length) = if five < 3 {
            (five, 5)
        } else if count >= 6 {
            ((bits >> (count - 6) & 63) - 0x19 + 3, 6)
        } else {
            break;
        };
        if digit > 9 {
            break;
        }
        value = value * 10 + u16::try_from(digit).unwrap();
        count -= length;
    }
    value
}
