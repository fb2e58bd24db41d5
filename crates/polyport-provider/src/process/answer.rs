//! A run as the body of an answer: what the program says becomes a stream of Chat, which the ordinary decoder reads.

use std::io;
use std::process::ExitStatus;

use bytes::Bytes;
use futures_util::stream;
use polyport_types::Text;
use serde_json::{Value, json};

use super::output::{Output, Piece, Reader};
use super::run::{Did, Run};
use crate::ProviderBody;

/// What an answer is made for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The provider's name, for the log and for errors.
    pub provider: Text,
    /// The model's name.
    pub model: Text,
    /// Id of the answer.
    pub id: Text,
    /// Time of the answer, Unix seconds.
    pub created: i64,
    /// The client's stop sequences.
    pub stop: Vec<Text>,
    /// A program that writes more bytes is stopped.
    pub limit: usize,
}

/// The answer of a program that has just been started. Dropping it ends the program.
#[must_use]
pub fn body(run: Run, output: &Output, asked: Asked) -> ProviderBody {
    let reader = Reader::new(output, asked.stop.iter().map(ToString::to_string));
    let answer = Answer { run, reader, asked, read: 0, finish: None, input: None, output: None };
    ProviderBody::stream(stream::unfold(Some(answer), |answer| async {
        let mut answer = answer?;
        let (bytes, over) = answer.next().await;
        Some((Ok::<_, io::Error>(bytes), (!over).then_some(answer)))
    }))
}

struct Answer {
    run: Run,
    reader: Reader,
    asked: Asked,
    /// Bytes read so far.
    read: usize,
    /// Why it ended, if the program says so.
    finish: Option<String>,
    /// Tokens, if the program counts them.
    input: Option<u64>,
    output: Option<u64>,
}

impl Answer {
    /// The next events, and whether they are the last.
    async fn next(&mut self) -> (Bytes, bool) {
        let mut out = Vec::new();
        loop {
            match self.step(&mut out).await {
                Ok(false) if out.is_empty() => {}
                Ok(false) => return (out.into(), false),
                Ok(true) => {
                    self.end(&mut out);
                    return (out.into(), true);
                }
                Err(reason) => {
                    let (provider, log) = (&self.asked.provider, self.run.log());
                    tracing::warn!(%provider, stderr = log, "a program failed: {reason}");
                    let message = format!("provider `{provider}`: the program failed: {reason}");
                    event(&mut out, &json!({ "error": { "message": message, "type": "api_error", "code": 500 } }));
                    return (out.into(), true);
                }
            }
        }
    }

    /// Reads on; true at the end.
    async fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        let mut pieces = Vec::new();
        let over = match self.run.next().await.map_err(|error| error.to_string())? {
            Did::Said(bytes) => {
                self.read += bytes.len();
                if self.read > self.asked.limit {
                    return Err(format!("it wrote more than {} MiB", self.asked.limit >> 20));
                }
                let read = self.reader.push(&bytes, &mut pieces);
                self.write(pieces, out);
                read.map_err(|error| error.to_string())?;
                return Ok(self.reader.is_over());
            }
            Did::Ended(Some(status)) if !status.success() => return Err(words(status)),
            Did::Ended(_) => self.reader.finish(&mut pieces),
        };
        self.write(pieces, out);
        over.map_err(|error| error.to_string())?;
        let (provider, log) = (&self.asked.provider, self.run.log());
        tracing::debug!(%provider, stderr = log, "a program has ended");
        Ok(true)
    }

    fn write(&mut self, pieces: Vec<Piece>, out: &mut Vec<u8>) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.chunk(out, &json!({ "content": text }), None),
                Piece::Reasoning(text) => self.chunk(out, &json!({ "reasoning_content": text }), None),
                Piece::Finish(reason) => self.finish = Some(reason),
                Piece::InputTokens(count) => self.input = Some(count),
                Piece::OutputTokens(count) => self.output = Some(count),
            }
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        self.chunk(out, &json!({}), Some(self.finish.as_deref().unwrap_or("stop")));
        if self.input.is_some() || self.output.is_some() {
            let (input, output) = (self.input.unwrap_or_default(), self.output.unwrap_or_default());
            let usage = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
            let mut chunk = self.head();
            if let Some(members) = chunk.as_object_mut() {
                members.extend([("choices".to_owned(), json!([])), ("usage".to_owned(), usage)]);
            }
            event(out, &chunk);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn chunk(&self, out: &mut Vec<u8>, delta: &Value, finish: Option<&str>) {
        let mut chunk = self.head();
        if let Some(members) = chunk.as_object_mut() {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
            members.insert("choices".to_owned(), json!([choice]));
        }
        event(out, &chunk);
    }

    fn head(&self) -> Value {
        let Asked { id, created, model, .. } = &self.asked;
        json!({ "id": id, "object": "chat.completion.chunk", "created": created, "model": model })
    }
}

fn event(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(value.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// How it ended, for people.
fn words(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("it was ended by signal {signal}");
    }
    match status.code() {
        Some(code @ 129..=192) => format!("it was ended by signal {}", code - 128),
        Some(code) => format!("it ended with status {code}"),
        None => "it did not end well".to_owned(),
    }
}
