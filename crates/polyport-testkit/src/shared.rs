//! Finds the reference folder beside the workspace and reads the recorded traffic in it.
//!
//! The folder is optional: where it is absent a test says so with [`skip`] and ends. The environment variable
//! `POLYPORT_SHARED` names another place.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use polyport_types::Protocol;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The files of recorded traffic, as [`records`] takes them.
pub const RECORDINGS: [&str; 5] =
    ["anthropic.jsonl", "gemini.jsonl", "openai-chat.jsonl", "openai-compatible.jsonl", "openai-responses.jsonl"];

/// The reference folder, or `None` where it is absent.
#[must_use]
pub fn dir() -> Option<PathBuf> {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = match std::env::var_os("POLYPORT_SHARED") {
            Some(given) => PathBuf::from(given),
            None => workspace_root()?.parent()?.join("shared"),
        };
        dir.is_dir().then_some(dir)
    })
    .clone()
}

/// The top folder of the workspace: the nearest one above this crate whose manifest declares a workspace.
#[must_use]
pub fn workspace_root() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|dir| fs::read_to_string(dir.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]")))
        .map(Path::to_path_buf)
}

/// Says on standard error that `test` is skipped because the reference folder is absent.
pub fn skip(test: &str) {
    eprintln!("{test}: skipped, the reference folder ../shared is absent (POLYPORT_SHARED names another place)");
}

/// The text of one file below the reference folder, e.g. `specs/chat.json`; `None` where the folder or the file is absent.
#[must_use]
pub fn text(path: &str) -> Option<String> {
    fs::read_to_string(dir()?.join(path)).ok()
}

/// One recorded exchange with a provider.
#[derive(Clone, Debug)]
pub struct Record {
    /// Stable identifier.
    pub id: String,
    /// Repository and path the recording comes from.
    pub source: String,
    /// Who answered, e.g. `openai`, `azure`, `groq`.
    pub provider: String,
    /// The recording's own protocol name, e.g. `openai-chat` or `openai-compatible:groq`; see [`Record::wire`].
    pub protocol: String,
    /// `generate`, `count_tokens` or `compact`.
    pub operation: String,
    /// Whether the answer is an event stream.
    pub streaming: bool,
    /// Whether the SSE frame was added around recorded JSON events afterwards.
    pub sse_reframed: bool,
    /// What was sent; `None` where only the answer was kept.
    pub request: Option<RecordedRequest>,
    /// What came back.
    pub response: RecordedResponse,
    /// Features seen in the exchange, e.g. `tools`, `thinking`, `error`, `abnormal_stream`.
    pub tags: Vec<String>,
}

/// The request of a [`Record`].
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// HTTP method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query parameters.
    pub query: BTreeMap<String, String>,
    /// The kept headers, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body as the recording's JSON text; empty if there was none.
    pub body: String,
}

/// The answer of a [`Record`].
#[derive(Clone, Debug)]
pub struct RecordedResponse {
    /// HTTP status.
    pub status: u16,
    /// The kept headers, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The JSON text of a whole answer.
    pub body: Option<String>,
    /// The exact text of a stream.
    pub sse: Option<String>,
}

impl Record {
    /// Whether `tag` was noted for this exchange.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|t| t == tag)
    }

    /// The wire format of the exchange.
    ///
    /// # Panics
    /// On a protocol name that the recordings do not use today.
    #[must_use]
    pub fn wire(&self) -> Protocol {
        match self.protocol.split(':').next().unwrap_or_default() {
            "openai-chat" | "openai-compatible" => Protocol::Chat,
            "openai-responses" => Protocol::Responses,
            "anthropic" => Protocol::Messages,
            "gemini" => Protocol::Gemini,
            other => panic!("recording {}: unknown protocol {other}", self.id),
        }
    }

    /// Whether the owner of the protocol answered, not a service that imitates it.
    #[must_use]
    pub fn is_official(&self) -> bool {
        matches!(
            (self.provider.as_str(), self.wire()),
            ("openai" | "azure", Protocol::Chat | Protocol::Responses)
                | ("anthropic", Protocol::Messages)
                | ("google" | "vertex", Protocol::Gemini)
        )
    }

    /// Whether this is a generation that succeeded.
    #[must_use]
    pub fn is_good_generation(&self) -> bool {
        self.operation == "generate" && self.response.status == 200
    }

    /// The model asked for: from the body, or from a Gemini path.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        let request = self.request.as_ref()?;
        if let Some((_, rest)) = request.path.split_once("/models/") {
            return Some(rest.split(':').next().unwrap_or_default().to_owned());
        }
        let body: serde_json::Value = serde_json::from_str(&request.body).ok()?;
        body.get("model")?.as_str().map(str::to_owned)
    }
}

/// All exchanges of one file of `fixtures/recorded`; read once per process, empty where the folder is absent.
///
/// # Panics
/// When the file is missing in a folder that is present, or is not what its description says.
#[must_use]
pub fn records(file: &str) -> Arc<[Record]> {
    static CACHE: LazyLock<Mutex<HashMap<String, Arc<[Record]>>>> = LazyLock::new(Mutex::default);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(records) = cache.get(file) {
        return Arc::clone(records);
    }
    let records: Arc<[Record]> = match dir() {
        None => Arc::default(),
        Some(dir) => {
            let path = dir.join("fixtures/recorded").join(file);
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            text.lines().filter(|line| !line.trim().is_empty()).map(|line| parse(file, line)).collect()
        }
    };
    cache.insert(file.to_owned(), Arc::clone(&records));
    records
}

/// All exchanges of all files; empty where the folder is absent.
#[must_use]
pub fn all_records() -> Vec<Record> {
    RECORDINGS.iter().flat_map(|file| records(file).to_vec()).collect()
}

/// The exchanges of one file, or `None` after [`skip`] has told that `test` cannot run.
#[must_use]
pub fn records_or_skip(test: &str, file: &str) -> Option<Arc<[Record]>> {
    if dir().is_none() {
        skip(test);
        return None;
    }
    Some(records(file))
}

fn parse(file: &str, line: &str) -> Record {
    let line: Line<'_> = serde_json::from_str(line).unwrap_or_else(|e| panic!("{file}: {e}"));
    Record {
        id: line.id,
        source: line.source,
        provider: line.provider,
        protocol: line.protocol,
        operation: line.operation,
        streaming: line.streaming,
        sse_reframed: line.sse_reframed,
        request: line.request.map(|r| RecordedRequest {
            method: r.method,
            path: r.path,
            query: r.query,
            headers: r.headers,
            body: raw_text(r.body).unwrap_or_default(),
        }),
        response: RecordedResponse {
            status: line.response.status,
            headers: line.response.headers,
            body: raw_text(line.response.body),
            sse: line.response.sse,
        },
        tags: line.tags,
    }
}

fn raw_text(raw: Option<&RawValue>) -> Option<String> {
    raw.map(|raw| raw.get().to_owned()).filter(|text| text != "null")
}

#[derive(Deserialize)]
struct Line<'a> {
    id: String,
    source: String,
    provider: String,
    protocol: String,
    operation: String,
    streaming: bool,
    #[serde(default)]
    sse_reframed: bool,
    #[serde(borrow)]
    request: Option<LineRequest<'a>>,
    #[serde(borrow)]
    response: LineResponse<'a>,
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct LineRequest<'a> {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LineResponse<'a> {
    status: u16,
    headers: BTreeMap<String, String>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    sse: Option<String>,
}
