//! Whether a gateway speaks its protocols as their clients expect.
//!
//! The upstream is ours and does what a case says; the gateway is asked in each protocol, and what it answers is judged by the strict
//! readers that Polyport itself is tested with.
//!
//! | module | what |
//! |---|---|
//! | [`case`] | the cases and their judges |
//! | [`request`] | what is asked, in each protocol |
//! | [`evidence`] | a recording of what failed |

mod case;
mod evidence;
mod request;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use bytes::Bytes;
use polyport_provider::Client;
use polyport_recording::Redactor;
use polyport_testkit::provider::{Exchange, FakeProvider, Step};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::child::{self, Answer};
use case::Case;
pub(crate) use case::Verdict;

/// The model that the upstream of each protocol is asked for where nobody says otherwise: one that reasons and sees.
pub(crate) fn model_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Chat | Protocol::Responses => "gpt-5",
        Protocol::Messages => "claude-sonnet-4-5",
        Protocol::Gemini => "gemini-2.5-pro",
    }
}

/// A scripted provider for each protocol.
pub(crate) struct Upstream {
    fakes: Vec<(Protocol, FakeProvider)>,
}

impl Upstream {
    /// At this port of the loopback address and the three after it; port 0 lets the system choose.
    pub(crate) async fn start(port: u16) -> Result<Self> {
        let mut fakes = Vec::new();
        for (protocol, place) in Protocol::ALL.into_iter().zip(0..) {
            let port = if port == 0 { 0 } else { port.saturating_add(place) };
            // Otherwise the upstream panics.
            drop(
                std::net::TcpListener::bind(("127.0.0.1", port))
                    .map_err(|error| anyhow::anyhow!("port {port}: {error}"))?,
            );
            let models = ["gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro"];
            fakes.push((protocol, FakeProvider::builder(protocol).port(port).models(models).lenient().start().await));
        }
        Ok(Self { fakes })
    }

    /// Protocols and base addresses.
    pub(crate) fn addresses(&self) -> Vec<(Protocol, String)> {
        self.fakes.iter().map(|(protocol, fake)| (*protocol, fake.base_url())).collect()
    }

    fn does(&self, step: &Step) {
        self.fakes.iter().for_each(|(_, fake)| fake.always(step.clone()));
    }

    /// How many requests each has had.
    fn counts(&self) -> Vec<usize> {
        self.fakes.iter().map(|(_, fake)| fake.requests().len()).collect()
    }

    /// The requests beyond these, with what was asked and where.
    fn since(&self, counts: &[usize]) -> Vec<(Exchange, Protocol, SocketAddr)> {
        let new = self.fakes.iter().zip(counts).flat_map(|((protocol, fake), count)| {
            fake.requests().into_iter().skip(*count).map(|exchange| (exchange, *protocol, fake.address()))
        });
        new.filter(|(exchange, ..)| exchange.method() == "POST").collect()
    }
}

/// A gateway under test.
pub(crate) struct Target {
    /// Its root address.
    pub(crate) url: String,
    /// A key of a client.
    pub(crate) key: Option<String>,
    /// The ways through it.
    pub(crate) ways: Vec<Way>,
}

/// A model of the gateway, as one protocol asks for it.
pub(crate) struct Way {
    pub(crate) client: ClientProtocol,
    pub(crate) model: String,
    /// Whether the gateway has more of the kind for what may put a key aside: `NAME-CASE` beside `NAME`.
    pub(crate) apart: bool,
}

/// What came of a case.
pub(crate) struct Finding {
    pub(crate) client: ClientProtocol,
    /// What the upstream that was asked speaks.
    pub(crate) upstream: Option<Protocol>,
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) case: String,
    pub(crate) verdict: Verdict,
    /// A recording of what failed.
    pub(crate) replay: Option<PathBuf>,
}

/// Tries everything. `on` hears of each finding.
pub(crate) async fn run(
    target: &Target,
    upstream: &Upstream,
    failures: &std::path::Path,
    mut on: impl FnMut(&Finding),
) -> Result<Vec<Finding>> {
    let client = child::client()?;
    let mut findings = Vec::new();
    for way in &target.ways {
        let mut spoken = None;
        for case in Case::all() {
            for stream in [false, true] {
                let mut finding = Finding {
                    client: way.client,
                    upstream: spoken,
                    model: way.model.clone(),
                    stream,
                    case: case.name(),
                    verdict: Verdict::Passed,
                    replay: None,
                };
                if let Some(why) = case.not_here(way.client, stream, target.key.is_some()) {
                    finding.verdict = Verdict::NotApplicable(why.to_owned());
                } else {
                    let tried = tried(&client, target, way, upstream, case, stream).await;
                    spoken = tried.asked.first().map(|(_, protocol, _)| *protocol).or(spoken);
                    finding.upstream = spoken;
                    finding.verdict = tried.verdict.clone();
                    if let Verdict::Failed(_) = tried.verdict {
                        let name = format!("{:03}-{}-{}", findings.len() + 1, way.client, slug(&case.name()));
                        let key = target.key.as_deref();
                        finding.replay = evidence::write(&client, failures, &name, way.client, &tried, key).await.ok();
                    }
                }
                on(&finding);
                findings.push(finding);
            }
        }
    }
    Ok(findings)
}

fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// A case that was tried.
struct Tried {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    answer: Option<Answer>,
    asked: Vec<(Exchange, Protocol, SocketAddr)>,
    verdict: Verdict,
}

async fn tried(client: &Client, target: &Target, way: &Way, upstream: &Upstream, case: Case, stream: bool) -> Tried {
    let model = match (case, case.apart(stream)) {
        (Case::UnknownModel, _) => "no-such-model-anywhere".to_owned(),
        (_, Some(word)) if way.apart => match way.model.split_once('/') {
            Some((provider, model)) => format!("{provider}-{word}/{model}"),
            None => way.model.clone(),
        },
        _ => way.model.clone(),
    };
    let ask = case.ask(stream);
    let path = ask.path(way.client, &model);
    let mut body = ask.body(way.client, &model).to_string();
    if case == Case::Malformed {
        body.truncate(body.len() / 2);
    }
    let body = Bytes::from(body);
    let wrong = "not-a-key-of-anybody".to_owned();
    let key = if case == Case::WrongKey { Some(&wrong) } else { target.key.as_ref() };
    let headers = headers(way.client, key, stream);
    upstream.does(&case.step(stream));
    let counts = upstream.counts();
    let url = format!("{}{path}", target.url.trim_end_matches('/'));
    let answer = child::ask(client, "POST", &url, &headers, body.clone()).await;
    let asked = upstream.since(&counts);
    let (answer, verdict) = match answer {
        Ok(mut answer) => {
            // Refusals repeat keys, and reasons repeat refusals.
            let mut redactor = Redactor::default();
            target.key.iter().for_each(|key| redactor.learn(key));
            answer.body = redactor.bytes(&answer.body).map_or(answer.body, Bytes::from);
            let last = asked.last().map(|(exchange, protocol, _)| (exchange, *protocol));
            let verdict = case.judge(way.client, stream, &answer, last);
            (Some(answer), verdict)
        }
        Err(error) => (None, Verdict::Failed(format!("no answer: {error:#}"))),
    };
    Tried { method: "POST", path, headers, body, answer, asked, verdict }
}

fn headers(client: ClientProtocol, key: Option<&String>, stream: bool) -> Vec<(String, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.push(("accept", if stream { "text/event-stream" } else { "application/json" }.to_owned()));
    if client == ClientProtocol::Messages {
        headers.push(("anthropic-version", "2023-06-01".to_owned()));
    }
    if let Some(key) = key {
        headers.push(match client {
            ClientProtocol::Chat | ClientProtocol::Responses => ("authorization", format!("Bearer {key}")),
            ClientProtocol::Messages => ("x-api-key", key.clone()),
            ClientProtocol::Gemini => ("x-goog-api-key", key.clone()),
        });
    }
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Polyport's own configuration: a provider for each protocol, and more of them for what may put one aside.
pub(crate) fn own_config(upstream: &Upstream, key: &str) -> Value {
    let mut providers = serde_json::Map::new();
    for (protocol, url) in upstream.addresses() {
        let provider = json!({ "protocol": protocol, "base_url": url, "proxy": "none", "keys": ["conform"] });
        providers.insert(protocol.to_string(), provider.clone());
        let words = Case::all().into_iter().flat_map(|case| [case.apart(false), case.apart(true)]);
        for word in words.flatten() {
            for way in ClientProtocol::ALL {
                providers.insert(format!("{protocol}-{way}-{word}"), provider.clone());
            }
        }
        for way in ClientProtocol::ALL {
            providers.insert(format!("{protocol}-{way}"), provider.clone());
        }
    }
    json!({ "access": { "keys": [key] }, "discover": false, "retry": { "attempts": 1 }, "providers": providers })
}

/// Every client protocol to every provider protocol of that configuration.
pub(crate) fn own_ways() -> Vec<Way> {
    let pairs = ClientProtocol::ALL.into_iter().flat_map(|client| Protocol::ALL.map(|protocol| (client, protocol)));
    pairs
        .map(|(client, protocol)| Way {
            client,
            model: format!("{protocol}-{client}/{}", model_of(protocol)),
            apart: true,
        })
        .collect()
}

/// How many findings there are of each way.
pub(crate) fn cases() -> usize {
    Case::all().len() * 2
}
