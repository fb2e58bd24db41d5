//! The only place that knows what the target model can do.
//!
//! [`resolve`] rewrites a request into what the target takes: what another provider left in the history, what the model has no
//! ability for, what has to be said in other words. Encoders then only write. One file per concern:
//!
//! | module | what |
//! |---|---|
//! | `signatures` | whose reasoning may be sent, carriers, thinking that the history does not allow |
//! | `features` | members that only one protocol has |
//! | `state` | answers kept by a server, items referred to by id |
//! | `foreign` | parts of the history that only another protocol knows |
//! | `server_tools` | tools that a provider runs, remote MCP servers |
//! | `tools`, `names`, `builtin`, `choice` | tools that the client runs, which of them is used |
//! | `pairing` | calls and their results, ids |
//! | `media` | images, documents, sound, video |
//! | `empty` | parts and messages that say nothing |
//! | `format` | structured answers |
//! | `reasoning` | effort, budget, level |
//! | `sampling`, `limits` | parameters |
//! | `cache` | markers and lifetimes |
//! | `identity` | end user, service tier |

mod builtin;
mod cache;
mod choice;
mod empty;
mod features;
mod foreign;
mod format;
mod identity;
mod limits;
mod media;
mod names;
mod pairing;
mod reasoning;
mod sampling;
mod server_tools;
mod signatures;
mod state;
mod tools;

use polyport_types::{
    Authority, ClientProtocol, Extras, Instruction, Losses, Message, Part, Protocol, ReasoningControl, Request,
    Signature, Text,
};

use crate::carrier::CarrierKey;
use crate::{Capabilities, Profile, Restore, Target};

pub use signatures::strip_signatures;

/// What `resolve` may look up.
pub struct ResolveContext<'a> {
    /// Opens carriers.
    pub carrier: Option<&'a CarrierKey>,
    /// Signatures kept for clients that cannot carry them, by tool call id or [`text_anchor`](crate::carrier::text_anchor).
    pub signatures: &'a dyn Fn(&str) -> Vec<Signature>,
}

/// Rewrites a request into what `target` can do, and says how to undo on the way back what concerns tools and answer shape.
/// What is lost is appended to `losses`; an entry of severity `Error` means that content cannot be carried.
///
/// The same request, target and context always give the same result.
#[must_use]
pub fn resolve(
    target: &Target,
    mut request: Request,
    context: &ResolveContext<'_>,
    losses: &mut Losses,
) -> (Request, Restore) {
    let mut job = Job {
        target,
        context,
        source: request.source,
        same: Protocol::from(request.source) == target.protocol,
        losses,
        restore: Restore::default(),
    };
    let job = &mut job;
    state::check(job, &mut request);
    features::report(job, &mut request);
    signatures::open(job, &mut request.messages);
    foreign::rewrite(job, &mut request);
    features::report_parts(job, &request);
    server_tools::rewrite(job, &mut request);
    tools::rewrite(job, &mut request);
    pairing::pair(job, &mut request);
    media::check(job, &mut request);
    limits::rewrite(job, &mut request);
    reasoning::rewrite(job, &mut request);
    signatures::filter(job, &mut request);
    features::clear_no_thinking(job, &mut request);
    format::rewrite(job, &mut request);
    choice::rewrite(job, &mut request);
    sampling::rewrite(job, &mut request);
    cache::rewrite(job, &mut request);
    empty::remove(job, &mut request);
    empty::avoid_prefill(job, &mut request);
    identity::rewrite(job, &mut request);
    request.stream |= needs_stream(target, &request);
    (request, std::mem::take(&mut job.restore))
}

/// Whether the target has the answer only as a stream, which is put together for a client that wants it whole.
fn needs_stream(target: &Target, request: &Request) -> bool {
    let thinks = || request.reasoning.as_ref().and_then(ReasoningControl::switch) == Some(true);
    let abilities = &target.capabilities;
    abilities.streams_only || target.profile.thinking_needs_stream && abilities.reasoning && thinks()
}

/// What every step needs to know.
struct Job<'a> {
    target: &'a Target,
    context: &'a ResolveContext<'a>,
    source: ClientProtocol,
    /// The client speaks what the target speaks.
    same: bool,
    losses: &'a mut Losses,
    restore: Restore,
}

impl Job<'_> {
    fn capabilities(&self) -> &Capabilities {
        &self.target.capabilities
    }

    fn profile(&self) -> &Profile {
        &self.target.profile
    }

    fn to(&self, protocol: Protocol) -> bool {
        self.target.protocol == protocol
    }

    /// The target speaks one of the two protocols of `OpenAI`.
    fn goes_to_openai(&self) -> bool {
        is_openai(self.target.protocol)
    }

    fn comes_from_openai(&self) -> bool {
        is_openai(self.source.into())
    }

    /// Where a message stands in the client's own request.
    fn place(&self, message: &Message) -> Place {
        Place::Message(self.source, message.index)
    }
}

/// A place in the client's own request; becomes a JSON pointer when something has to be said about it.
#[derive(Clone, Copy)]
enum Place {
    Instructions,
    Message(ClientProtocol, u32),
    Tool(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Instructions => f.write_str("/instructions"),
            Self::Message(ClientProtocol::Chat | ClientProtocol::Messages, index) => write!(f, "/messages/{index}"),
            Self::Message(ClientProtocol::Responses, index) => write!(f, "/input/{index}"),
            Self::Message(ClientProtocol::Gemini, index) => write!(f, "/contents/{index}"),
            Self::Tool(at) => write!(f, "/tools/{at}"),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

fn is_openai(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Chat | Protocol::Responses)
}

/// Adds a sentence to the instructions.
fn instruct(request: &mut Request, sentence: impl Into<Text>) {
    request.instructions.push(Instruction {
        authority: Authority::System,
        parts: vec![Part::text(sentence)],
        name: None,
        ext: Extras::new(),
    });
}

/// Eight hex digits that stand for a text.
fn short_hash(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes());
    hash.to_hex().chars().take(8).collect()
}

/// How often something happened, for one entry of the report.
#[derive(Default)]
struct Tally {
    count: usize,
    /// Where it happened first.
    place: Option<Place>,
}

impl Tally {
    fn add(&mut self, place: Place) {
        self.place.get_or_insert(place);
        self.count += 1;
    }

    /// The place and a detail like `3 parts`; `None` if it never happened.
    fn take(self, what: &str) -> Option<(Place, String)> {
        let detail = if self.count == 1 { String::new() } else { format!("{} {what}", self.count) };
        self.place.map(|place| (place, detail))
    }
}
