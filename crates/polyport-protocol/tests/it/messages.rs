//! The Messages codec against recorded traffic, the closed schema of its requests, and the worked examples.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::borrow::Cow;

use bytes::Bytes;
use polyport_protocol::{RequestHead, Target, decode_request, encode_request, messages};
use polyport_testkit::schema::Judge;
use polyport_testkit::shared::{self, Record};
use polyport_types::{ClientProtocol, Losses, Protocol, Request};
use serde_json::{Value, json};

mod answers;
mod converse;
mod encoding;
mod properties;
mod requests;
mod streams;

const FILE: &str = "anthropic.jsonl";

/// The target of a recording, with nothing switched off that its model takes.
fn target(record: &Record) -> Target {
    Target::plain(Protocol::Messages, record.model().unwrap_or_default())
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}

fn decode(body: &str) -> Request {
    decode_request(ClientProtocol::Messages, &RequestHead::default(), Bytes::copy_from_slice(body.as_bytes()))
        .unwrap_or_else(|e| panic!("{e}: {body}"))
}

fn encode(target: &Target, request: &Request) -> (Value, Vec<(&'static str, String)>, Losses) {
    let mut losses = Losses::new();
    let encoded = encode_request(target, request, &mut losses);
    let known = |name| match name {
        Cow::Borrowed(name) => name,
        Cow::Owned(name) => panic!("{name} is made up"),
    };
    let headers = encoded.headers.into_iter().map(|(name, value)| (known(name), value)).collect();
    (json_of(&encoded.body), headers, losses)
}

/// Name and text of every hand-made case of a kind.
fn fixtures(kind: &str) -> Vec<(String, String)> {
    let dir = shared::workspace_root().unwrap().join("fixtures/messages").join(kind);
    let mut cases: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} is empty", dir.display());
    cases
}
