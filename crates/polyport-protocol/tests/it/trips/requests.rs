//! Recorded requests: to their own protocol and back, to the others, and what the loss report says of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{RequestHead, Target, decode_request, encode_request, resolve};
use polyport_testkit::shared::{self, Record};
use polyport_types::{ClientProtocol, LossAction, LossCode, Losses, Protocol, Request};
use serde_json::Value;

use super::client_of;

/// The requests that official services took, with their bodies.
fn official() -> impl Iterator<Item = (Record, Value)> {
    shared::all_records().into_iter().filter(|record| record.is_good_generation() && record.is_official()).filter_map(
        |record| {
            let body = serde_json::from_str(&record.request.as_ref()?.body).ok()?;
            Some((record, body))
        },
    )
}

fn read(record: &Record, client: ClientProtocol, body: &Value) -> Request {
    let recorded = record.request.as_ref().unwrap();
    let head = RequestHead {
        model: record.model().map(Into::into),
        api_version: recorded.headers.get("anthropic-version").map(|version| version.as_str().into()),
        stream: record.streaming,
        ..RequestHead::default()
    };
    decode_request(client, &head, Bytes::from(body.to_string()))
        .unwrap_or_else(|error| panic!("{}: {error}", record.id))
}

fn send(request: Request, provider: Protocol, losses: &mut Losses) -> Value {
    let model = request.model.clone();
    let target = Target::plain(provider, model);
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (resolved, _) = resolve(&target, request, &context, losses);
    serde_json::from_slice(&encode_request(&target, &resolved, losses).body).unwrap()
}

/// A report names members of the client's own body, each once.
#[test]
fn losses_stand_where_the_client_wrote() {
    if shared::dir().is_none() {
        return shared::skip("losses_stand_where_the_client_wrote");
    }
    let mut problems: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let mut note = |what: String, example: String| problems.entry(what).or_insert((0, example)).0 += 1;
    for (record, body) in official() {
        let client = client_of(record.wire());
        for provider in Protocol::ALL {
            let mut losses = Losses::new();
            send(read(&record, client, &body), provider, &mut losses);
            let mut seen: Vec<(LossCode, &str)> = Vec::new();
            for loss in losses.entries() {
                let what = format!("{client} to {provider}: {}", loss.code.as_str());
                // Steps that change one thing in different ways say so one by one.
                if loss.action == LossAction::Rejected && seen.contains(&(loss.code, &loss.path)) {
                    note(format!("{what} twice"), format!("{}: {:?}", record.id, losses.report()));
                }
                seen.push((loss.code, &loss.path));
                if !stands(&body, &loss.path) {
                    note(format!("{what} nowhere"), format!("{}: {loss}", record.id));
                }
            }
        }
    }
    let told: Vec<String> =
        problems.iter().map(|(what, (count, example))| format!("{what}, {count} times\n  {example:.500}")).collect();
    assert!(told.is_empty(), "{} problems\n{}", told.len(), told.join("\n"));
}

/// Whether `path` leads somewhere in `body`: a member that is not there may be missed, a place in a list not.
fn stands(body: &Value, path: &str) -> bool {
    /// Lists and objects of other protocols.
    const FOREIGN: [&str; 6] = ["messages", "input", "contents", "instructions", "system", "systemInstruction"];
    let mut at = body;
    for (depth, name) in path.split('/').skip(1).enumerate() {
        at = match at {
            Value::Array(list) => match name.parse::<usize>().ok().and_then(|index| list.get(index)) {
                Some(inner) => inner,
                // The tools of a namespace are counted as if they stood in the list.
                None => return path.starts_with("/tools/"),
            },
            Value::Object(members) => match members.get(name) {
                Some(inner) => inner,
                None => return depth > 0 || !FOREIGN.contains(&name),
            },
            // One text or member stands for a list of one.
            _ => return true,
        };
    }
    true
}

/// Where nothing is reported, the way to another protocol and back changes nothing.
#[test]
fn what_is_not_reported_comes_back() {
    if shared::dir().is_none() {
        return shared::skip("what_is_not_reported_comes_back");
    }
    let mut differences = super::Differences::default();
    let mut trips = 0;
    for (record, body) in official() {
        let client = client_of(record.wire());
        let own = send(read(&record, client, &body), record.wire(), &mut Losses::new());
        for provider in Protocol::ALL.into_iter().filter(|provider| *provider != record.wire()) {
            let mut losses = Losses::new();
            let there = send(read(&record, client, &body), provider, &mut losses);
            if !losses.is_empty() {
                continue;
            }
            let mut request = read(&record, client_of(provider), &there);
            request.stream = record.streaming;
            let back = send(request, record.wire(), &mut losses);
            if losses.is_empty() {
                trips += 1;
                differences.requests(&record, provider, own.clone(), back);
            }
        }
    }
    assert!(trips > 100, "{trips}");
    differences.judge();
}
