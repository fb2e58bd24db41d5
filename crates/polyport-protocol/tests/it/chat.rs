//! The Chat codec.

mod presets;
mod request;
mod response;
mod stream;
mod vectors;

use bytes::Bytes;
use polyport_protocol::collect::Collector;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{StreamDecoder, Target};
use polyport_testkit::shared::{self, Record};
use polyport_types::{Event, Fault, Response, Validator};
use serde_json::Value;

/// The recordings of `OpenAI` and of the servers that imitate it.
const FILES: [&str; 2] = ["openai-chat.jsonl", "openai-compatible.jsonl"];

/// Every recorded exchange of this protocol; none, and a word about it, where the reference folder is absent.
fn records(test: &str) -> Vec<Record> {
    FILES.iter().filter_map(|file| shared::records_or_skip(test, file)).flat_map(|list| list.to_vec()).collect()
}

/// The events of a stream that arrives in these pieces and then ends.
fn events<'p>(target: &Target, pieces: impl IntoIterator<Item = &'p [u8]>, end: BodyEnd) -> Vec<Event> {
    let mut decoder = StreamDecoder::new(target, 64 << 20);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece), &mut events);
    }
    decoder.finish(end, &mut events);
    if let Err(problem) = Validator::check_all(&events) {
        panic!("{problem}\n{events:#?}");
    }
    events
}

/// What a client that does not stream gets of these events.
fn collect(events: Vec<Event>) -> Result<Response, Fault> {
    let mut collector = Collector::new();
    events.into_iter().for_each(|event| collector.push(event));
    collector.into_response()
}

/// Names and texts of the hand-made cases of a kind with one ending, in order.
fn fixtures(kind: &str, ending: &str) -> Vec<(String, String)> {
    let dir = shared::workspace_root().unwrap().join("fixtures/chat").join(kind);
    let mut cases: Vec<(String, String)> = std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
            Some((name, std::fs::read_to_string(&path).unwrap()))
        })
        .collect();
    cases.sort();
    cases
}

/// The expectation beside a hand-made case.
fn expected(kind: &str, name: &str) -> Value {
    let cases = fixtures(kind, ".json");
    let (_, text) = cases.iter().find(|(case, _)| case == name).unwrap_or_else(|| panic!("{name}.json is missing"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}.json: {error}"))
}
