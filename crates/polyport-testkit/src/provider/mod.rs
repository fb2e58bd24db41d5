//! Fake providers: strict about what they receive, scripted in what they answer.
//!
//! A [`FakeProvider`] speaks one protocol on a port of its own, over HTTP/1.1 and HTTP/2 (prior knowledge). It judges
//! every request as the real service would, refuses bad ones with the service's own error and keeps them for the test.
//! Without a script it answers like a plausible model (see [`Step::model`]); each [`Step`] can answer otherwise or fail
//! in a chosen way.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use polyport_types::Protocol;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

mod bedrock;
mod endpoints;
mod exchange;
mod foreign;
mod http1;
mod http2;
mod kept;
mod model;
mod plan;
mod protobuf;
mod render;
mod script;
mod shelf;
mod step;
mod wrapping;

pub use bedrock::{AwsAccess, Bedrock, aws_frame};
pub(crate) use exchange::PATIENCE;
pub use exchange::{Exchange, Outcome};
pub use step::{Answer, Cut, Finish, Gate, Hold, Part, Step, Tokens};
pub use wrapping::Wrapping;

use crate::schema::Judge;
use endpoints::Route;
use exchange::Received;
use model::Prompt;
use plan::{Body, Plan};
use render::Saying;
use wrapping::Opened;

/// A fake provider. Dropping it closes its port and all connections.
#[derive(Debug)]
pub struct FakeProvider {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Mutex<Option<AbortHandle>>,
}

/// The stream a provider of `protocol` would answer to `request` with, one string for each event and its framing.
/// Gemini's in the form of events, not as an array.
#[must_use]
pub fn stream_of(protocol: Protocol, request: &Value, answer: &Answer) -> Vec<String> {
    let prompt = Prompt::read(protocol, "m", true, request);
    render::events(protocol, &Saying { prompt: &prompt, answer, request, serial: 1 }, false)
}

/// The whole answer a provider of `protocol` would give to `request`.
#[must_use]
pub fn answer_of(protocol: Protocol, request: &Value, answer: &Answer) -> Value {
    let prompt = Prompt::read(protocol, "m", false, request);
    render::whole(protocol, &Saying { prompt: &prompt, answer, request, serial: 1 })
}

/// Settings of a [`FakeProvider`].
#[derive(Clone, Debug)]
pub struct Builder {
    protocol: Protocol,
    port: u16,
    key: Option<String>,
    models: Vec<String>,
    vendor_members: Vec<String>,
    lenient: bool,
    max_streams: Option<u32>,
    wrapping: Option<Wrapping>,
}

impl Builder {
    /// Takes requests in a wrapping of its own.
    #[must_use]
    pub fn wrapped(mut self, wrapping: Wrapping) -> Self {
        self.wrapping = Some(wrapping);
        self
    }

    /// Allows only this many streams at once on an HTTP/2 connection.
    #[must_use]
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = Some(streams);
        self
    }

    /// Listens on this port instead of any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Refuses requests without this key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// The models it lists; it answers for any name.
    #[must_use]
    pub fn models<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.models = names.into_iter().map(str::to_owned).collect();
        self
    }

    /// Accepts these members beyond the official schema, as a compatible vendor would.
    #[must_use]
    pub fn vendor_members<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.vendor_members.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// Notes violations but answers all the same.
    #[must_use]
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Starts the provider on the current runtime.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(self) -> FakeProvider {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let listener = listen(address).expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let shared = Arc::new(Shared {
            settings: self,
            serial: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: watch::Sender::new(0),
            exchanges: watch::Sender::new(Vec::new()),
            violations: Mutex::default(),
            script: Mutex::default(),
            stored: Mutex::default(),
            shelf: Mutex::default(),
        });
        let provider = FakeProvider { address, shared, accepting: Mutex::default() };
        provider.accept(listener);
        provider
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

impl FakeProvider {
    /// Starts a strict provider of `protocol` on a free port of the loopback address.
    pub async fn start(protocol: Protocol) -> Self {
        Self::builder(protocol).start().await
    }

    /// Settings to start from.
    #[must_use]
    pub fn builder(protocol: Protocol) -> Builder {
        Builder {
            protocol,
            port: 0,
            key: None,
            models: vec!["fake-small".to_owned(), "fake-large".to_owned()],
            vendor_members: Vec::new(),
            lenient: false,
            max_streams: None,
            wrapping: None,
        }
    }

    /// An address that refuses connections.
    ///
    /// # Panics
    /// When no port can be bound.
    #[must_use]
    pub fn refused_address() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("a bound port")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL as a configuration names it: with `/v1` for the protocols of `OpenAI`.
    #[must_use]
    pub fn base_url(&self) -> String {
        match self.shared.settings.protocol {
            Protocol::Chat | Protocol::Responses => format!("http://{}/v1", self.address),
            Protocol::Messages | Protocol::Gemini => format!("http://{}", self.address),
        }
    }

    /// Adds a step for the next request to generate that has none yet.
    pub fn script(&self, step: Step) {
        self.shared.script().steps.push_back(step);
    }

    /// Does this for every request to generate without a step of its own.
    pub fn always(&self, step: Step) {
        self.shared.script().always = Some(step);
    }

    /// Asks this function for each request to generate without a step of its own, for each to an endpoint that is unknown here, and
    /// whether a list of models is an error.
    pub fn decide(&self, decide: impl Fn(&Exchange) -> Option<Step> + Send + Sync + 'static) {
        self.shared.script().decide = Some(Arc::new(decide));
    }

    /// Does this for every request for this model.
    pub fn for_model(&self, model: &str, step: Step) {
        self.shared.script().models.insert(model.to_owned(), step);
    }

    /// Reads a script: see the `polyport-fake` program.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&self, script: &Value) -> Result<(), String> {
        script::load(self, script)
    }

    /// All requests so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Exchange> {
        self.shared.exchanges.borrow().clone()
    }

    /// The latest request.
    ///
    /// # Panics
    /// When there was none.
    #[must_use]
    pub fn last(&self) -> Exchange {
        self.shared.exchanges.borrow().last().cloned().expect("the provider got no request")
    }

    /// Waits until `n` requests have arrived; returns all.
    ///
    /// # Panics
    /// When that takes longer than 20 seconds.
    pub async fn wait_for(&self, n: usize) -> Vec<Exchange> {
        let mut exchanges = self.shared.exchanges.subscribe();
        let waited = tokio::time::timeout(PATIENCE, exchanges.wait_for(|all| all.len() >= n)).await;
        match waited {
            Ok(all) => all.expect("the provider is gone").clone(),
            Err(_) => panic!("{} of {n} requests arrived", self.requests().len()),
        }
    }

    /// What the real service would have refused, over all requests; each starts with the number of the request.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asserts that every request was one the real service takes.
    ///
    /// # Panics
    /// With all violations if it was not.
    pub fn assert_no_violations(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "the provider would have refused:\n{}", violations.join("\n"));
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until no connection is open.
    ///
    /// # Panics
    /// When that takes longer than 20 seconds.
    pub async fn all_closed(&self) {
        let mut open = self.shared.open.subscribe();
        let waited = tokio::time::timeout(PATIENCE, open.wait_for(|open| *open == 0)).await;
        assert!(waited.is_ok(), "connections stay open");
    }

    /// Closes the port and all connections: from now on connections are refused.
    pub fn go_away(&self) {
        if let Some(accepting) = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            accepting.abort();
        }
    }

    /// Listens again on the same port.
    ///
    /// # Panics
    /// When the port was taken meanwhile.
    pub async fn come_back(&self) {
        // The task that was aborted gives the port back when the runtime drops it.
        let back = tokio::time::timeout(PATIENCE, async {
            loop {
                match listen(self.address) {
                    Ok(listener) => return listener,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        self.accept(back.await.expect("the port of the provider"));
    }

    fn accept(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let guard = Open::new(Arc::clone(&shared));
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    serve(stream, number, shared).await;
                    drop(guard);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        *self.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.go_away();
    }
}

/// Counts a connection while it is open.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

async fn serve(stream: TcpStream, number: usize, shared: Arc<Shared>) {
    let mut start = [0; 3];
    loop {
        match stream.peek(&mut start).await {
            Ok(0) | Err(_) => return,
            Ok(n) if n < start.len() && b"PRI".starts_with(start.get(..n).unwrap_or_default()) => {
                tokio::task::yield_now().await;
            }
            Ok(_) if start == *b"PRI" => return http2::serve(stream, number, shared).await,
            Ok(_) => return http1::serve(stream, number, shared).await,
        }
    }
}

type Decide = Arc<dyn Fn(&Exchange) -> Option<Step> + Send + Sync>;

/// What the test wants answered.
#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    models: HashMap<String, Step>,
    decide: Option<Decide>,
    always: Option<Step>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    settings: Builder,
    serial: AtomicUsize,
    connections: AtomicUsize,
    open: watch::Sender<usize>,
    exchanges: watch::Sender<Vec<Exchange>>,
    violations: Mutex<Vec<String>>,
    script: Mutex<Script>,
    /// Answers and conversations of Responses that are kept.
    stored: Mutex<HashMap<kept::Name, kept::Kept>>,
    /// Files and the like.
    shelf: Mutex<HashMap<kept::Name, shelf::Thing>>,
}

impl Shared {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self) -> std::sync::MutexGuard<'_, HashMap<kept::Name, kept::Kept>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, HashMap<kept::Name, shelf::Thing>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes bytes that are no request.
    fn malformed(&self, message: &str) {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(format!("malformed HTTP: {message}"));
    }

    /// Takes in a request and decides what happens to it.
    fn receive(&self, received: Received) -> (Exchange, Plan) {
        if let Some(plan) = self.control(&received) {
            return (Exchange::new(0, received, Vec::new()), plan);
        }
        let serial = self.serial.fetch_add(1, Ordering::SeqCst) + 1;
        let protocol = self.settings.protocol;
        let opened = match &self.settings.wrapping {
            Some(wrapping) => wrapping.open(&received, &self.settings.models),
            None => Opened::plain(&received),
        };
        let Opened { path, query, method, body, mut violations, answer, answer_kind, head } = opened;
        let route = endpoints::route(protocol, &method, &path, &query);
        violations.extend(match route {
            Route::Generate { model, .. } => self.judge(&received, head, &body, model),
            Route::Count => endpoints::count_violations(protocol, &body),
            _ => Vec::new(),
        });
        let exchange = Exchange::new(serial, received, violations);
        let noted = exchange.violations().iter().map(|violation| format!("request {serial}: {violation}"));
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).extend(noted);
        let plan = match answer {
            Some((status, body)) if answer_kind.is_some() => {
                self.aws_error(&Step::json("").status(status), &body, &answer_kind.unwrap_or_default())
            }
            Some((status, body)) if self.authorised(&exchange) => match self.decided(&exchange) {
                Some(step) => {
                    let prompt = Prompt::read(protocol, "", false, &Value::Null);
                    self.carry_out(&step, &exchange, &prompt, &body, false)
                }
                None => self.simple(status, &body),
            },
            _ => self.plan(&exchange, &route, &body),
        };
        self.exchanges.send_modify(|all| all.push(exchange.clone()));
        (exchange, plan)
    }

    /// Everything the real service would refuse in a request to generate.
    fn judge(&self, received: &Received, head: Option<(String, String)>, body: &Value, model: &str) -> Vec<String> {
        let header = |name: &str| {
            received
                .headers
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
                .unwrap_or_default()
        };
        let mut found = Vec::new();
        let kind = match self.settings.wrapping {
            Some(Wrapping::Warp) => "application/x-protobuf",
            _ => "application/json",
        };
        if !header("content-type").starts_with(kind) {
            found.push(format!("content-type: {kind} is required"));
        }
        if body.is_null() {
            found.push("the body is not JSON".to_owned());
            return found;
        }
        let mut judge =
            Judge::new(self.settings.protocol).allow(self.settings.vendor_members.iter().map(String::as_str));
        if self.settings.protocol == Protocol::Messages {
            let (version, betas) =
                head.unwrap_or_else(|| (header("anthropic-version").to_owned(), header("anthropic-beta").to_owned()));
            if version.is_empty() {
                found.push("anthropic-version: header is required".to_owned());
            }
            judge = judge.version(&version).betas(&betas);
        }
        if !model.is_empty() {
            judge = judge.model(model);
        }
        found.extend(judge.request(body).err().unwrap_or_default());
        render::check_signatures(self.settings.protocol, body, "", &mut found);
        found
    }

    fn authorised(&self, exchange: &Exchange) -> bool {
        let Some(key) = &self.settings.key else { return true };
        let given = ["x-api-key", "x-goog-api-key", "api-key"].iter().filter_map(|name| exchange.header(name));
        let bearer = exchange.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let query = exchange.query().split('&').filter_map(|pair| pair.strip_prefix("key="));
        given.chain(bearer).chain(query).any(|given| given == key)
    }

    fn plan(&self, exchange: &Exchange, route: &Route<'_>, body: &Value) -> Plan {
        let protocol = self.settings.protocol;
        let refuse = |status: u16, message: &str| self.error(&Step::json("").status(status), message);
        if !self.authorised(exchange) {
            return refuse(401, "Incorrect API key provided");
        }
        match route {
            Route::Unknown if let Some(step) = self.decided(exchange) => {
                let prompt = Prompt::read(protocol, "", false, &Value::Null);
                self.carry_out(&step, exchange, &prompt, body, false)
            }
            Route::Unknown => {
                let words = format!("Unknown request URL: {} {}", exchange.method(), exchange.path());
                self.simple(404, &endpoints::missing(protocol, &words))
            }
            Route::Models => match self.decided_error(exchange) {
                Some((status, message)) => refuse(status, &message),
                None => self.simple(200, &endpoints::models(protocol, &self.settings.models)),
            },
            Route::Model(name) => match self.settings.models.iter().any(|known| known == name) {
                true => self.simple(200, &endpoints::model(protocol, name)),
                false => refuse(404, &format!("model: {name}")),
            },
            Route::Kept(path) => kept::plan(self, exchange, path, body),
            Route::Shelf(collection, tail) => shelf::plan(self, exchange, collection, tail, body),
            Route::Count => {
                let tokens = u64::try_from(exchange.body().len()).unwrap_or(0) / 4 + 1;
                self.simple(200, &endpoints::count(protocol, tokens))
            }
            Route::Embed => self.simple(200, &endpoints::embeddings(protocol, body)),
            Route::Generate { stream, array, model } => {
                if let (false, Some(first)) = (self.settings.lenient, exchange.violations().first()) {
                    return refuse(400, first);
                }
                if let Some(refusal) = kept::missing_reference(self, exchange, body) {
                    return refusal;
                }
                let prompt = Prompt::read(protocol, model, *stream, body);
                let step = self.step(exchange, &prompt);
                self.carry_out(&step, exchange, &prompt, body, *array)
            }
        }
    }

    fn wrapped(&self, answer: Vec<u8>) -> Vec<u8> {
        match &self.settings.wrapping {
            Some(wrapping) => wrapping.close(answer),
            None => answer,
        }
    }

    /// The service's own error.
    fn error(&self, step: &Step, message: &str) -> Plan {
        if let Some(Wrapping::Bedrock(_)) = &self.settings.wrapping {
            let body = serde_json::json!({ "message": message });
            return self.aws_error(step, &body, bedrock::error_of(step.status));
        }
        let error = match self.settings.wrapping {
            Some(Wrapping::Ollama) => json!({ "error": message }),
            Some(Wrapping::Lumen) => json!({ "trouble": { "number": 7, "text": message } }),
            _ => endpoints::error(self.settings.protocol, step.status, message),
        };
        Plan::answer(step, Body::whole("application/json", error.to_string().into_bytes()))
    }

    fn aws_error(&self, step: &Step, body: &Value, kind: &str) -> Plan {
        let given = step.headers.iter().any(|(name, _)| name == "x-amzn-errortype");
        let step = if given { step.clone() } else { step.clone().header("x-amzn-errortype", kind) };
        Plan::answer(&step, Body::whole("application/json", body.to_string().into_bytes()))
    }

    fn simple(&self, status: u16, body: &Value) -> Plan {
        Plan::answer(&Step::json("").status(status), Body::whole("application/json", body.to_string().into_bytes()))
    }

    /// What was decided on for this request, if anything.
    fn decided(&self, exchange: &Exchange) -> Option<Step> {
        let decide = self.script().decide.clone()?;
        decide(exchange)
    }

    /// The error that was decided on for this request, if any.
    fn decided_error(&self, exchange: &Exchange) -> Option<(u16, String)> {
        let step = self.decided(exchange)?;
        match step.content {
            step::Content::Error(message) => Some((step.status, message)),
            _ => None,
        }
    }

    fn step(&self, exchange: &Exchange, prompt: &Prompt) -> Step {
        let mut script = self.script();
        if let Some(step) = script.steps.pop_front() {
            return step;
        }
        if let Some(step) = script.models.get(&prompt.model) {
            return step.clone();
        }
        let decided = script.decide.clone();
        let always = script.always.clone();
        drop(script);
        decided.and_then(|decide| decide(exchange)).or(always).unwrap_or_else(|| prompt.step())
    }

    fn carry_out(&self, step: &Step, exchange: &Exchange, prompt: &Prompt, body: &Value, array: bool) -> Plan {
        let answer = match &step.content {
            step::Content::Raw(bytes) => return Plan::raw(step, bytes.clone()),
            step::Content::Nothing => return Plan::raw(step, Vec::new()),
            step::Content::Body(content_type, bytes) => {
                let streamed = content_type.starts_with("text/event-stream");
                let events = if streamed { events_of(bytes) } else { vec![bytes.clone()] };
                return Plan::answer(step, Body { content_type: content_type.clone(), events, streamed });
            }
            step::Content::Error(message) => {
                return self.error(step, message);
            }
            step::Content::Answer(answer) => answer.clone(),
            step::Content::Model => prompt.answer(),
        };
        let protocol = self.settings.protocol;
        let saying = Saying { prompt, answer: &answer, request: body, serial: exchange.serial() };
        if protocol == Protocol::Responses && body.get("store") != Some(&Value::Bool(false)) {
            kept::keep(self, exchange, body, render::whole(protocol, &saying));
        }
        let streamed = step.stream.unwrap_or(prompt.stream);
        let own = match self.settings.wrapping {
            Some(Wrapping::Warp) => Some(("text/event-stream", render::warp_events(&saying), true)),
            Some(Wrapping::Ollama) => Some(render::ollama(&saying, streamed)),
            Some(Wrapping::Lumen) => Some(render::lumen(&saying, streamed)),
            _ => None,
        };
        if let Some((content_type, events, streamed)) = own {
            let events = events.into_iter().map(String::into_bytes).collect();
            return Plan::answer(step, Body { content_type: content_type.to_owned(), events, streamed });
        }
        if let Some(Wrapping::Bedrock(service)) = &self.settings.wrapping {
            if !step.stream.unwrap_or(prompt.stream) {
                return match &answer.error {
                    Some(message) => self.error(&step.clone().status(500), message),
                    None => {
                        let whole = bedrock::whole(service, &render::whole(protocol, &saying)).to_string();
                        Plan::answer(step, Body::whole("application/json", whole.into_bytes()))
                    }
                };
            }
            let events = bedrock::stream(service, &render::events(protocol, &saying, false));
            let content_type = "application/vnd.amazon.eventstream".to_owned();
            return Plan::answer(step, Body { content_type, events, streamed: true });
        }
        if !streamed {
            let whole = match &answer.error {
                Some(message) => endpoints::error(protocol, 500, message),
                None if body["background"] == true => kept::begun(render::whole(protocol, &saying)),
                None => render::whole(protocol, &saying),
            };
            return Plan::answer(step, Body::whole("application/json", self.wrapped(whole.to_string().into_bytes())));
        }
        let events = render::events(protocol, &saying, array).into_iter();
        let events = events.map(|event| self.wrapped(event.into_bytes())).collect();
        let content_type = match (protocol, array) {
            (Protocol::Gemini, true) => "application/json",
            (Protocol::Gemini, false) => "text/event-stream",
            _ => "text/event-stream; charset=utf-8",
        };
        Plan::answer(step, Body { content_type: content_type.to_owned(), events, streamed: true })
    }

    /// The provider's own endpoints for tests in other languages, below `/fake/`.
    fn control(&self, received: &Received) -> Option<Plan> {
        let what = received.path.strip_prefix("/fake/")?;
        Some(match what {
            "requests" => {
                let all = self.exchanges.borrow().iter().map(script::describe).collect();
                self.simple(200, &Value::Array(all))
            }
            "violations" => {
                let all = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
                self.simple(200, &Value::from(all.clone()))
            }
            "script" => {
                let body: Value = serde_json::from_slice(&received.body).unwrap_or(Value::Null);
                match script::add(&mut self.script(), &body) {
                    Ok(()) => self.simple(200, &Value::Bool(true)),
                    Err(message) => self.simple(400, &Value::from(message)),
                }
            }
            _ => self.simple(404, &Value::Null),
        })
    }
}

/// A stream cut after each blank line.
fn events_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut events = vec![Vec::new()];
    let mut blank = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if blank {
            events.push(Vec::new());
        }
        blank = line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if let Some(event) = events.last_mut() {
            event.extend_from_slice(line);
        }
    }
    events
}
