//! What a fake provider does with one request: an answer, and how it goes wrong.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

/// One answer of a [`FakeProvider`](super::FakeProvider), with its faults.
///
/// Starts as an answer ([`Step::text`], [`Step::tool`], [`Step::answer`], [`Step::error`], …); the methods add faults.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) content: Content,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) before_head: Option<Hold>,
    pub(super) before_body: Option<Hold>,
    pub(super) between: Option<Hold>,
    pub(super) pieces: Pieces,
    pub(super) cut: Option<(CutAt, Cut)>,
    pub(super) edits: Vec<(usize, Vec<u8>)>,
    pub(super) stream: Option<bool>,
    pub(super) interim: Vec<u16>,
    pub(super) gzip: bool,
    pub(super) endless: Option<Vec<u8>>,
    pub(super) close_after: bool,
    pub(super) length: Option<u64>,
}

/// The body before any fault.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// What a plausible model says, written in the provider's protocol.
    Model,
    /// This answer, written in the provider's protocol.
    Answer(Answer),
    /// The error body of the provider's protocol with this message.
    Error(String),
    /// These bytes as the body, under this content type.
    Body(String, Vec<u8>),
    /// These bytes on the connection instead of any HTTP answer; then it is closed.
    Raw(Vec<u8>),
    /// The connection is closed without a byte.
    Nothing,
}

/// How the body is cut into writes.
#[derive(Clone, Debug)]
pub(super) enum Pieces {
    /// One write for each event; whole answers in one.
    Events,
    /// Writes of this many bytes.
    Bytes(usize),
    /// Cuts at these offsets.
    At(Vec<usize>),
}

/// Where an answer is cut off.
#[derive(Clone, Copy, Debug)]
pub(super) enum CutAt {
    Bytes(usize),
    Events(usize),
    Middle,
}

/// How an answer that is cut off ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection is closed in good order, the body unfinished.
    Close,
    /// The body ends in good order, as if it were complete.
    End,
    /// The connection is reset.
    Reset,
    /// Nothing more is sent and the connection stays open.
    Hang,
}

/// A wait.
#[derive(Clone, Debug)]
pub enum Hold {
    /// A fixed time.
    For(Duration),
    /// Until the test opens the gate; between events each needs one [`Gate::pass`].
    Until(Gate),
    /// Until the other side gives up.
    Forever,
}

impl Hold {
    pub(super) async fn wait(&self) {
        match self {
            Self::For(time) => tokio::time::sleep(*time).await,
            Self::Until(gate) => gate.wait().await,
            Self::Forever => std::future::pending().await,
        }
    }
}

/// Lets a test decide when a fake provider goes on.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets one waiting step pass.
    pub fn pass(&self) {
        self.0.add_permits(1);
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.0.close();
    }

    async fn wait(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Step {
    fn new(content: Content, status: u16) -> Self {
        Self {
            content,
            status,
            headers: Vec::new(),
            before_head: None,
            before_body: None,
            between: None,
            pieces: Pieces::Events,
            cut: None,
            edits: Vec::new(),
            stream: None,
            interim: Vec::new(),
            gzip: false,
            endless: None,
            close_after: false,
            length: None,
        }
    }

    /// What a plausible model answers to the request: the default.
    #[must_use]
    pub fn model() -> Self {
        Self::new(Content::Model, 200)
    }

    /// This answer, streamed or whole as asked.
    #[must_use]
    pub fn answer(answer: Answer) -> Self {
        Self::new(Content::Answer(answer), 200)
    }

    /// An answer of one text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::answer(Answer::default().text(text))
    }

    /// An answer of one tool call; `arguments` are JSON text.
    #[must_use]
    pub fn tool(name: &str, arguments: &str) -> Self {
        Self::answer(Answer::default().tool(name, arguments))
    }

    /// An error with the body the real service sends with this status.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        Self::new(Content::Error(message.to_owned()), status)
    }

    /// Any body with status 200.
    #[must_use]
    pub fn body(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Content::Body(content_type.to_owned(), body.into()), 200)
    }

    /// A recorded or hand-made event stream with status 200.
    #[must_use]
    pub fn sse(text: &str) -> Self {
        Self::body("text/event-stream; charset=utf-8", text)
    }

    /// A JSON body with status 200.
    #[must_use]
    pub fn json(text: &str) -> Self {
        Self::body("application/json", text)
    }

    /// The HTML page of a proxy in front of the service.
    #[must_use]
    pub fn html(status: u16) -> Self {
        let page =
            format!("<!DOCTYPE html><html><head><title>{status}</title></head><body>cloudflare ray 0</body></html>");
        Self::body("text/html; charset=UTF-8", page).status(status)
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::body("text/plain", "").status(status).header("location", location)
    }

    /// These bytes on the connection instead of an HTTP answer, then it is closed (HTTP/1.1 only).
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Content::Raw(bytes.into()), 200)
    }

    /// Reads the request and closes the connection without a byte.
    #[must_use]
    pub fn close() -> Self {
        Self::new(Content::Nothing, 200)
    }

    /// Reads the request and resets the connection without a byte.
    #[must_use]
    pub fn reset() -> Self {
        Self::close().cut_after_bytes(0, Cut::Reset)
    }

    /// Reads the request and never answers.
    #[must_use]
    pub fn silence() -> Self {
        Self::model().before_headers(Hold::Forever)
    }

    /// A body that never ends: `line` over and over, e.g. `: ping\n\n`, or `a` after a `data: ` for an endless line.
    #[must_use]
    pub fn endless(content_type: &str, start: &str, line: &str) -> Self {
        let mut step = Self::body(content_type, start);
        step.endless = Some(line.as_bytes().to_vec());
        step
    }

    /// A gzip answer that unpacks to `size` bytes of blanks inside a JSON object.
    #[must_use]
    pub fn gzip_bomb(size: usize) -> Self {
        let mut body = vec![b' '; size];
        body.splice(0..0, *b"{");
        body.push(b'}');
        Self::body("application/json", body).gzip()
    }

    /// Another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// One more header; it replaces one of the same name that the answer would have.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Another content type, whatever the body is.
    #[must_use]
    pub fn content_type(self, value: &str) -> Self {
        self.header("content-type", value)
    }

    /// Streams, or does not, whatever the request asks.
    #[must_use]
    pub fn streaming(mut self, stream: bool) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Waits before the status line.
    #[must_use]
    pub fn before_headers(mut self, hold: Hold) -> Self {
        self.before_head = Some(hold);
        self
    }

    /// Waits between the headers and the first byte of the body.
    #[must_use]
    pub fn before_body(mut self, hold: Hold) -> Self {
        self.before_body = Some(hold);
        self
    }

    /// Waits before every write of the body but the first.
    #[must_use]
    pub fn between_events(mut self, hold: Hold) -> Self {
        self.between = Some(hold);
        self
    }

    /// Sends the body in writes of `bytes` bytes.
    #[must_use]
    pub fn drip(mut self, bytes: usize) -> Self {
        self.pieces = Pieces::Bytes(bytes.max(1));
        self
    }

    /// Sends the body in writes that end at these offsets.
    #[must_use]
    pub fn split_at(mut self, offsets: &[usize]) -> Self {
        self.pieces = Pieces::At(offsets.to_vec());
        self
    }

    /// Breaks off after this many bytes of the body.
    #[must_use]
    pub fn cut_after_bytes(mut self, bytes: usize, cut: Cut) -> Self {
        self.cut = Some((CutAt::Bytes(bytes), cut));
        self
    }

    /// Breaks off after this many events of the stream.
    #[must_use]
    pub fn cut_after_events(mut self, events: usize, cut: Cut) -> Self {
        self.cut = Some((CutAt::Events(events), cut));
        self
    }

    /// Breaks off after half of the events of the stream, when there was content already.
    #[must_use]
    pub fn cut_in_the_middle(mut self, cut: Cut) -> Self {
        self.cut = Some((CutAt::Middle, cut));
        self
    }

    /// Overwrites the body from `offset` with these bytes.
    #[must_use]
    pub fn corrupt(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.edits.push((offset, bytes.to_vec()));
        self
    }

    /// Packs the body with gzip and says so.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self.header("content-encoding", "gzip")
    }

    /// Sends `times` interim answers (100, 103) first (HTTP/1.1 only).
    #[must_use]
    pub fn interim(mut self, status: u16, times: usize) -> Self {
        self.interim = vec![status; times];
        self
    }

    /// Closes the connection after the complete answer without having announced it.
    #[must_use]
    pub fn then_close(mut self) -> Self {
        self.close_after = true;
        self
    }

    /// Claims this `content-length`, true or not (HTTP/1.1 only).
    #[must_use]
    pub fn content_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }
}

/// What a model says, independent of any protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The parts in order.
    pub parts: Vec<Part>,
    /// Why it ends; by default tool calls if there are any, else a normal stop.
    pub finish: Option<Finish>,
    /// Token counts; by default counted from request and answer.
    pub usage: Option<Tokens>,
    /// The model named in the answer; by default the one asked for.
    pub model: Option<String>,
    /// How many alternatives say the same; 0 counts as 1.
    pub choices: usize,
    /// An error inside the stream after the parts, instead of an end.
    pub error: Option<String>,
}

/// One part of an [`Answer`].
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text; streamed word by word.
    Text(String),
    /// Reasoning with a signature of this provider's kind; the text may be hidden.
    Reasoning(String),
    /// A call of a function; arguments as JSON text.
    Tool {
        /// The function.
        name: String,
        /// JSON text.
        arguments: String,
    },
    /// A call of a custom tool (Chat and Responses only).
    Custom {
        /// The tool.
        name: String,
        /// Free text.
        input: String,
    },
    /// An image, base64.
    Image {
        /// MIME type.
        mime: String,
        /// Base64.
        data: String,
    },
    /// A refusal (`OpenAI`'s protocols; text elsewhere).
    Refusal(String),
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model is done.
    Stop,
    /// The token limit.
    Length,
    /// Tool calls wait for results.
    Tools,
    /// A filter of the provider.
    Filter,
    /// A stop sequence.
    Sequence(String),
}

/// Token counts of an answer: disjoint classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Prompt tokens that were not cached.
    pub input: u64,
    /// Prompt tokens from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
    /// Generated tokens without reasoning.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
}

impl Answer {
    /// Adds text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.parts.push(Part::Text(text.to_owned()));
        self
    }

    /// Adds reasoning.
    #[must_use]
    pub fn reasoning(mut self, text: &str) -> Self {
        self.parts.push(Part::Reasoning(text.to_owned()));
        self
    }

    /// Adds a function call; `arguments` are JSON text.
    #[must_use]
    pub fn tool(mut self, name: &str, arguments: &str) -> Self {
        self.parts.push(Part::Tool { name: name.to_owned(), arguments: arguments.to_owned() });
        self
    }

    /// Adds an image.
    #[must_use]
    pub fn image(mut self, mime: &str, data: &str) -> Self {
        self.parts.push(Part::Image { mime: mime.to_owned(), data: data.to_owned() });
        self
    }

    /// Sets why it ends.
    #[must_use]
    pub fn finish(mut self, finish: Finish) -> Self {
        self.finish = Some(finish);
        self
    }

    /// Sets the token counts.
    #[must_use]
    pub fn usage(mut self, usage: Tokens) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Ends in an error inside the stream.
    #[must_use]
    pub fn error(mut self, message: &str) -> Self {
        self.error = Some(message.to_owned());
        self
    }

    /// Why it ends, told or derived.
    pub(super) fn ending(&self) -> Finish {
        let calls = self.parts.iter().any(|part| matches!(part, Part::Tool { .. } | Part::Custom { .. }));
        self.finish.clone().unwrap_or(if calls { Finish::Tools } else { Finish::Stop })
    }

    /// Reads one from a script: `{"text": …, "reasoning": …, "tools": [{"name", "arguments"}], "image": …, "finish": …}`.
    pub(super) fn from_json(value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let mut answer = Self::default();
        if let Some(reasoning) = text("reasoning") {
            answer = answer.reasoning(reasoning);
        }
        if let Some(said) = text("text") {
            answer = answer.text(said);
        }
        for tool in value.get("tools").and_then(Value::as_array).into_iter().flatten() {
            let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            answer = match tool.get("input").and_then(Value::as_str) {
                Some(input) => {
                    answer.parts.push(Part::Custom { name: name.to_owned(), input: input.to_owned() });
                    answer
                }
                None => answer.tool(name, &tool.get("arguments").map_or_else(|| "{}".to_owned(), Value::to_string)),
            };
        }
        if let Some(data) = text("image") {
            answer = answer.image("image/png", data);
        }
        answer.finish = match text("finish") {
            Some("length") => Some(Finish::Length),
            Some("filter") => Some(Finish::Filter),
            _ => None,
        };
        answer.error = text("error_in_stream").map(str::to_owned);
        answer
    }
}
