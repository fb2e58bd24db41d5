//! Keeps what providers and clients say in a recording, if that is wanted. Nobody waits for it: what does not fit into its bounds is
//! left out and counted.
//!
//! | module | what |
//! |---|---|
//! | [`tape`] | an exchange while it goes on |
//! | [`writer`] | the thread that takes secrets out and writes |

mod tape;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use polyport_provider::{Call, Endpoint, ProviderRequest};
use polyport_recording::Side;
use polyport_recording::format::Totals;
use polyport_types::{ClientProtocol, Protocol, Secret, Text};

use crate::config::{Config, Means, Service};
use crate::relay::course::Slot;
use tape::Taken;
pub(crate) use tape::{Heard, Tape};

/// Exchanges that wait to be written; more are left out.
const QUEUE: usize = 4096;

/// Bytes of all exchanges in memory, those that go on included; more are left out.
const HELD_BYTES: usize = 256 << 20;

tokio::task_local! {
    /// The request that is worked on.
    static CURRENT: Current;
}

/// A request that is worked on.
#[derive(Clone, Debug)]
struct Current {
    id: Text,
    /// It is one of a client: what operators ask for is not recorded.
    of_client: Arc<AtomicBool>,
}

/// Writes a recording.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sender: SyncSender<Message>,
    writer: Mutex<Option<JoinHandle<Totals>>>,
    /// What the writer has to learn before it writes the next exchange.
    lessons: Mutex<Vec<Lesson>>,
    held: AtomicUsize,
    dropped: AtomicU64,
    /// Nothing more is written.
    full: AtomicBool,
}

enum Message {
    /// Who asks: with which keys, is known before what the providers say to it.
    Head {
        target: String,
        headers: HeaderMap,
        held: usize,
    },
    Taken(Box<Taken>),
    /// There are lessons. They are learned before the next exchange at the latest.
    Learn,
    End,
}

/// Something that a configuration has and no recording may.
enum Lesson {
    Secret(Secret),
    /// A header of every request to a provider.
    Header(HeaderName, HeaderValue),
    /// The query of every address of a provider.
    Query(String),
}

impl std::fmt::Debug for Lesson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lesson")
    }
}

impl Recorder {
    /// Begins a recording in a new file, of at most so many bytes.
    ///
    /// # Errors
    /// When the file cannot be made, or is there already.
    pub fn create(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = writer::create(path)?;
        let (sender, messages) = sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            sender,
            writer: Mutex::default(),
            lessons: Mutex::default(),
            held: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            full: AtomicBool::new(false),
        });
        let writer = writer::Writer::begin(file, max_bytes, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || writer.run(&messages))?;
        *shared.writer.lock() = Some(thread);
        Ok(Self(shared))
    }

    /// Ends the recording, once the gateway has stopped; tells how much was recorded.
    #[must_use]
    pub fn finish(&self) -> Totals {
        // The writer takes from the queue until it is gone, so there will be room.
        self.0.sender.send(Message::End).ok();
        let writer = self.0.writer.lock().take();
        let written = writer.and_then(|writer| writer.join().ok()).unwrap_or_default();
        Totals { dropped: self.0.dropped.load(Ordering::Relaxed), ..written }
    }

    /// The secrets of a configuration are kept out of the recording from now on.
    pub(crate) fn keep_out(&self, config: &Config) {
        let mut lessons = Vec::new();
        for provider in config.providers() {
            for credential in provider.credentials() {
                match &credential.means {
                    Means::Key(header) => lessons.extend(header.secret().map(Lesson::Secret)),
                    Means::Account(settings) => {
                        let tokens = &settings.tokens;
                        let secrets =
                            [Some(&tokens.refresh), tokens.access.as_ref(), settings.server.client_secret.as_ref()];
                        lessons.extend(secrets.into_iter().flatten().cloned().map(Lesson::Secret));
                    }
                    // What signs never leaves the process.
                    Means::Aws(_) => {}
                }
            }
            if let Service::Http(service) = &provider.service {
                let headers = service.endpoint.headers().iter();
                lessons.extend(headers.map(|(name, value)| Lesson::Header(name.clone(), value.clone())));
                lessons.extend(query_of(&service.endpoint).map(Lesson::Query));
            }
        }
        lessons.extend(config.access.first_password.clone().map(Lesson::Secret));
        self.0.lessons.lock().extend(lessons);
        // Where the queue is full, there are exchanges to come.
        self.0.sender.try_send(Message::Learn).ok();
    }

    /// A client's request whose body is here.
    pub(crate) fn client(
        &self,
        id: &Text,
        protocol: ClientProtocol,
        head: &Parts,
        body: &bytes::Bytes,
    ) -> Option<Tape> {
        let target = head.uri.path_and_query().map_or("/", |whole| whole.as_str());
        let held = target.len() + tape::weight(&head.headers);
        let shown = Message::Head { target: target.to_owned(), headers: head.headers.clone(), held };
        let room = self.0.held.fetch_add(held, Ordering::Relaxed) + held <= HELD_BYTES;
        if !room || self.0.sender.try_send(shown).is_err() {
            self.0.held.fetch_sub(held, Ordering::Relaxed);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let heard = Heard {
            side: Side::Client,
            id: id.to_string(),
            protocol: Protocol::from(protocol),
            method: &head.method,
            target,
            headers: &head.headers,
            body: Some(body),
        };
        Tape::begin(&self.0, heard)
    }

    /// What goes out to a provider for the client's request that is worked on; `None` where there is none.
    pub(crate) fn provider(&self, slot: &Slot, request: &ProviderRequest) -> Option<Tape> {
        let Service::Http(service) = &slot.upstream.config.service else { return None };
        let id = CURRENT.try_with(|current| current.of_client.load(Ordering::Relaxed).then(|| current.id.to_string()));
        let id = id.ok().flatten()?;
        let heard = Heard {
            side: Side::Provider,
            id,
            protocol: service.endpoint.protocol(),
            method: &request.method,
            target: request.uri.path_and_query().map_or("/", |whole| whole.as_str()),
            headers: &request.headers,
            body: request.body.bytes(),
        };
        let mut tape = Tape::begin(&self.0, heard)?;
        tape.of_provider(slot, &service.endpoint);
        Some(tape)
    }
}

/// The query that every request to a provider carries.
fn query_of(endpoint: &Endpoint) -> Option<String> {
    let nothing_else = Call::Other { path: "/", model: "", query: None };
    endpoint.uri(nothing_else, Some("-")).ok()?.query().map(str::to_owned)
}

/// Works on a request.
pub(crate) async fn during<F: Future>(id: Text, place: &Place, work: F) -> F::Output {
    CURRENT.scope(Current { id, of_client: Arc::clone(&place.of_client) }, work).await
}

/// The same for a client's request, and work that does not wait.
pub(crate) fn within<T>(id: &Text, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(Current { id: id.clone(), of_client: Arc::new(AtomicBool::new(true)) }, work)
}

/// Where a request's body is noted for whoever writes its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    tape: Arc<Mutex<Option<Tape>>>,
    of_client: Arc<AtomicBool>,
}

impl Place {
    /// A client asks, and may.
    pub(crate) fn enter(&self) {
        self.of_client.store(true, Ordering::Relaxed);
    }

    pub(crate) fn put(&self, tape: Option<Tape>) {
        *self.tape.lock() = tape;
    }

    pub(crate) fn take(&self) -> Option<Tape> {
        self.tape.lock().take()
    }
}
