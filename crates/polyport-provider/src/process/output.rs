//! The text of an answer out of what a program writes.

use serde_json::Value;

/// A line of JSON may be as long as this.
const LINE: usize = 1 << 20;

/// How a program writes its answer.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// What its bytes are.
    pub format: Format,
    /// The answer begins after this text; what comes before is passed over.
    pub after: Option<String>,
    /// The answer ends before any of these.
    pub until: Vec<String>,
}

/// What the bytes of a program are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text, handed on as it comes.
    #[default]
    Text,
    /// Text, handed on line by line.
    Lines,
    /// A JSON value in each line.
    JsonLines(Box<Members>),
}

/// Where things stand in a line of JSON, as JSON pointers (RFC 6901).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The next piece of the answer.
    pub text: String,
    /// The next piece of what the model thinks.
    pub reasoning: Option<String>,
    /// Why it ended, as Chat says it (`stop`, `length`).
    pub finish: Option<String>,
    /// Tokens of the prompt.
    pub input_tokens: Option<String>,
    /// Tokens of the answer.
    pub output_tokens: Option<String>,
    /// What went wrong, if anything did.
    pub error: Option<String>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// A piece of the answer.
    Text(String),
    /// A piece of what the model thinks.
    Reasoning(String),
    /// Why it ended.
    Finish(String),
    /// Tokens of the prompt.
    InputTokens(u64),
    /// Tokens of the answer.
    OutputTokens(u64),
}

/// An answer that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutputError(String);

/// Reads one answer.
#[derive(Debug)]
pub struct Reader {
    output: Output,
    /// What ends the answer: the client's stop sequences and the operator's `until`.
    ends: Vec<String>,
    /// The beginning of a character whose rest has not come.
    torn: Vec<u8>,
    /// Read, but not yet a whole line of JSON.
    line: String,
    /// Read, but not yet certain to be of the answer.
    held: String,
    /// The answer has begun.
    begun: bool,
    /// The answer is over, whatever follows.
    over: bool,
}

impl Reader {
    /// For one answer that ends before any of `stop`.
    #[must_use]
    pub fn new(output: &Output, stop: impl IntoIterator<Item = String>) -> Self {
        let ends = output.until.iter().cloned().chain(stop).filter(|end| !end.is_empty()).collect();
        let begun = output.after.is_none();
        Self {
            output: output.clone(),
            ends,
            torn: Vec::new(),
            line: String::new(),
            held: String::new(),
            begun,
            over: false,
        }
    }

    /// Whether the answer is over although the program may go on.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`OutputError`] when they make no sense.
    pub fn push(&mut self, bytes: &[u8], pieces: &mut Vec<Piece>) -> Result<(), OutputError> {
        if self.over {
            return Ok(());
        }
        let text = self.decoded(bytes);
        match &self.output.format {
            Format::JsonLines(members) => {
                self.line.push_str(&text);
                let mut lines = std::mem::take(&mut self.line);
                while let Some((line, rest)) = lines.split_once('\n') {
                    json_line(members, line, &mut self.held, pieces)?;
                    lines = rest.to_owned();
                }
                if lines.len() > LINE {
                    return Err(OutputError("it wrote a line of JSON that has no end".to_owned()));
                }
                self.line = lines;
                self.text(self.held.len(), pieces);
            }
            Format::Text => {
                self.held.push_str(&text);
                self.text(self.held.len(), pieces);
            }
            Format::Lines => {
                self.held.push_str(&text);
                let whole = self.held.rfind('\n').map_or(0, |at| at + 1);
                self.text(whole, pieces);
            }
        }
        Ok(())
    }

    /// The program has ended well.
    ///
    /// # Errors
    /// [`OutputError`] when something is missing.
    pub fn finish(&mut self, pieces: &mut Vec<Piece>) -> Result<(), OutputError> {
        if self.over {
            return Ok(());
        }
        self.over = true;
        if !self.torn.is_empty() {
            return Err(OutputError("its output ends in the middle of a character".to_owned()));
        }
        if let Format::JsonLines(members) = &self.output.format {
            json_line(members, &std::mem::take(&mut self.line), &mut self.held, pieces)?;
            self.text(self.held.len(), pieces);
        }
        self.begin();
        if let (false, Some(after)) = (self.begun, &self.output.after) {
            return Err(OutputError(format!("its output does not hold {after:?}, which `output.after` waits for")));
        }
        let answer = self.held.trim_end_matches(['\n', '\r']).to_owned();
        if !answer.is_empty() {
            pieces.push(Piece::Text(answer));
        }
        Ok(())
    }

    /// The characters that are complete by now. What is none becomes `U+FFFD`.
    fn decoded(&mut self, bytes: &[u8]) -> String {
        self.torn.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.torn);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let may_go_on =
                chunks.peek().is_none() && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            match invalid {
                [] => {}
                rest if may_go_on => self.torn = rest.to_vec(),
                _ => text.push(char::REPLACEMENT_CHARACTER),
            }
        }
        text
    }

    /// Passes over what comes before the answer.
    fn begin(&mut self) {
        let Some(after) = self.output.after.as_deref().filter(|_| !self.begun) else { return };
        if let Some((_, rest)) = self.held.split_once(after) {
            self.held = rest.to_owned();
            self.begun = true;
        } else {
            let keep = partial(&self.held, std::iter::once(after));
            self.held = self.held.split_off(keep);
        }
    }

    /// Hands on what is certain of the first `limit` bytes.
    fn text(&mut self, limit: usize, pieces: &mut Vec<Piece>) {
        let all = self.held.len();
        self.begin();
        if !self.begun {
            return;
        }
        let limit = limit.saturating_sub(all - self.held.len());
        let end = self.ends.iter().filter_map(|end| self.held.find(end.as_str())).min();
        let certain = match end {
            Some(end) => {
                self.over = true;
                end
            }
            None => {
                let partial = partial(&self.held, self.ends.iter().map(String::as_str));
                // Line ends at the end are no part of the answer.
                let lines = self.held.trim_end_matches(['\n', '\r']).len();
                partial.min(lines).min(limit)
            }
        };
        if certain > 0 && self.held.is_char_boundary(certain) {
            let rest = self.held.split_off(certain);
            pieces.push(Piece::Text(std::mem::replace(&mut self.held, rest)));
        }
    }
}

/// Where the longest end of `text` begins that may become one of `marks`.
fn partial<'a>(text: &str, marks: impl Iterator<Item = &'a str>) -> usize {
    let longest = marks.flat_map(|mark| {
        let begins = mark.char_indices().map(|(at, _)| at).skip(1);
        begins.filter_map(|at| mark.get(..at)).filter(|begin| text.ends_with(begin)).map(str::len)
    });
    text.len() - longest.max().unwrap_or(0)
}

/// Reads a line of JSON: the answer's text goes to `text`, all else to `pieces`.
fn json_line(members: &Members, line: &str, answer: &mut String, pieces: &mut Vec<Piece>) -> Result<(), OutputError> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(());
    }
    let value: Value = serde_json::from_str(line).map_err(|error| {
        let shown: String = line.chars().take(80).collect();
        OutputError(format!("it wrote a line that is no JSON ({error}): {shown}"))
    })?;
    let at = |pointer: &Option<String>| value.pointer(pointer.as_deref()?);
    if let Some(error) = at(&members.error).filter(|error| !matches!(error, Value::Null | Value::Bool(false))) {
        let words = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
        return Err(OutputError(words.chars().take(500).collect()));
    }
    let text = |value: Option<&Value>| Some(value?.as_str()?.to_owned()).filter(|text| !text.is_empty());
    let number = |value: Option<&Value>| value?.as_u64();
    pieces.extend(text(at(&members.reasoning)).map(Piece::Reasoning));
    answer.extend(text(value.pointer(&members.text)));
    pieces.extend(text(at(&members.finish)).map(Piece::Finish));
    pieces.extend(number(at(&members.input_tokens)).map(Piece::InputTokens));
    pieces.extend(number(at(&members.output_tokens)).map(Piece::OutputTokens));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever way the bytes are cut: the text, or the error.
    fn read(output: &Output, stop: &[&str], bytes: &[u8]) -> Result<String, OutputError> {
        let mut results = Vec::new();
        for size in [1, 2, 3, 5, 1000] {
            let mut reader = Reader::new(output, stop.iter().map(|&stop| stop.to_owned()));
            let mut pieces = Vec::new();
            let read = bytes.chunks(size).try_for_each(|chunk| reader.push(chunk, &mut pieces));
            let read = read.and_then(|()| reader.finish(&mut pieces));
            let text =
                pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(&**text) } else { None });
            results.push(read.map(|()| text.collect::<String>()));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{results:?}");
        results.remove(0)
    }

    fn of(format: Format) -> Output {
        Output { format, ..Output::default() }
    }

    #[test]
    fn text_is_read_up_to_its_last_line_end() {
        for format in [Format::Text, Format::Lines] {
            assert_eq!(read(&of(format.clone()), &[], "é ünd\n\nweiter\r\n\n".as_bytes()).unwrap(), "é ünd\n\nweiter");
            assert_eq!(read(&of(format.clone()), &[], b"").unwrap(), "");
            assert_eq!(read(&of(format), &[], b"no end").unwrap(), "no end");
        }
    }

    #[test]
    fn the_answer_stands_between_its_marks() {
        let output =
            Output { after: Some("\nCompletion: ".to_owned()), until: vec!["\n> ".to_owned()], ..Output::default() };
        assert_eq!(read(&output, &[], b"> hi\nComp\nCompletion: an > answer\n\n> ").unwrap(), "an > answer\n");
        assert_eq!(read(&output, &["wer"], b"> hi\nCompletion: an answer\n> ").unwrap(), "an ans");
        assert!(read(&output, &[], b"> hi\nCompletion").unwrap_err().to_string().contains("output.after"));
    }

    #[test]
    fn stop_sequences_end_it() {
        assert_eq!(read(&of(Format::Text), &["STOP", "ST"], b"one STOP two").unwrap(), "one ");
        assert_eq!(read(&of(Format::Text), &["STOP"], b"one STO").unwrap(), "one STO");
        assert_eq!(read(&of(Format::Lines), &["\u{e9}"], "a\u{e8}b\u{e9}c\n".as_bytes()).unwrap(), "a\u{e8}b");
    }

    #[test]
    fn lines_are_handed_on_when_they_are_whole() {
        let mut reader = Reader::new(&of(Format::Lines), []);
        let mut pieces = Vec::new();
        reader.push(b"one\ntw", &mut pieces).unwrap();
        assert_eq!(pieces, [Piece::Text("one\n".to_owned())]);
        reader.push(b"o\nthree", &mut pieces).unwrap();
        assert_eq!(pieces[1..], [Piece::Text("two\n".to_owned())]);
    }

    #[test]
    fn broken_characters_are_replaced_and_half_ones_are_an_error() {
        assert_eq!(read(&of(Format::Text), &[], b"a\xffb\xc3\x28c").unwrap(), "a\u{fffd}b\u{fffd}(c");
        let error = read(&of(Format::Text), &[], b"caf\xc3").unwrap_err();
        assert!(error.to_string().contains("middle of a character"), "{error}");
    }

    #[test]
    fn json_lines_are_read_by_their_members() {
        let members = Members {
            text: "/message/content".to_owned(),
            reasoning: Some("/message/thinking".to_owned()),
            finish: Some("/done_reason".to_owned()),
            input_tokens: Some("/in".to_owned()),
            output_tokens: Some("/out".to_owned()),
            error: Some("/error".to_owned()),
        };
        let output = of(Format::JsonLines(Box::new(members)));
        let lines = "{\"message\":{\"thinking\":\"hm\"}}\n\n{\"message\":{\"content\":\"a\\n\"}}\n\
                     {\"message\":{\"content\":\"b\"},\"in\":3,\"out\":2,\"done_reason\":\"length\"}";
        assert_eq!(read(&output, &[], lines.as_bytes()).unwrap(), "a\nb");
        let mut pieces = Vec::new();
        let mut reader = Reader::new(&output, []);
        reader.push(lines.as_bytes(), &mut pieces).unwrap();
        reader.finish(&mut pieces).unwrap();
        assert!(pieces.contains(&Piece::Reasoning("hm".to_owned())) && pieces.contains(&Piece::OutputTokens(2)));
        assert!(pieces.contains(&Piece::Finish("length".to_owned())) && pieces.contains(&Piece::InputTokens(3)));
        assert!(read(&output, &[], b"nonsense\n").unwrap_err().to_string().contains("no JSON"));
        assert_eq!(read(&output, &[], b"{\"error\":\"out of memory\"}\n").unwrap_err().to_string(), "out of memory");
    }
}
