//! Recorded requests: to their own protocol and back, to the others, and what the loss report says of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{Capabilities, Profile, RequestHead, Target, decode_request, encode_request, resolve};
use polyport_testkit::shared::{self, Record, RecordedRequest, RecordedResponse};
use polyport_types::{ClientProtocol, LossAction, LossCode, Losses, Protocol, Request};
use serde_json::Value;

use super::client_of;

/// Marks what nobody recorded: it is for a provider that can do all its protocol has words for.
const HAND_MADE: &str = "hand_made";

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
    send_to(&Target::plain(provider, request.model.clone()), request, losses)
}

fn send_to(target: &Target, request: Request, losses: &mut Losses) -> Value {
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (resolved, _) = resolve(target, request, &context, losses);
    serde_json::from_slice(&encode_request(target, &resolved, losses).body).unwrap()
}

/// The provider of a recording as Polyport knows it: the quirks of its server, the abilities of its model.
fn own_target(record: &Record) -> Target {
    let (protocol, model) = (record.wire(), record.model().unwrap_or_default());
    let table = match record.provider.as_str() {
        "alibaba" => "dashscope",
        "google" if protocol == Protocol::Chat => "gemini-compat",
        other => other,
    };
    let profile = match protocol {
        Protocol::Chat if !record.is_official() => Profile::named(table).or_else(|| Profile::named("generic")),
        _ => None,
    };
    let mut target = Target::plain(protocol, model.as_str());
    if record.has_tag(HAND_MADE) {
        let abilities = Arc::make_mut(&mut target.capabilities);
        (abilities.needs_signatures, abilities.mid_system, abilities.cache_markers) = (false, true, true);
        return target;
    }
    target.profile = profile.unwrap_or_else(|| Profile::of_protocol(protocol)).into();
    target.capabilities = Capabilities::of_model(protocol, Some(table), &model).into();
    target
}

/// The hand-made requests, as if the owners of the protocols had answered them.
fn hand_made() -> impl Iterator<Item = Record> {
    let owners = [
        ("chat", "openai-chat", "openai", "/v1/chat/completions"),
        ("responses", "openai-responses", "openai", "/v1/responses"),
        ("messages", "anthropic", "anthropic", "/v1/messages"),
        ("gemini", "gemini", "google", "/v1beta/models/gemini-3-flash:generateContent"),
    ];
    owners.into_iter().flat_map(|(folder, protocol, provider, path)| {
        let folder = shared::workspace_root().unwrap().join("fixtures").join(folder).join("request");
        let files = std::fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path());
        // Other spellings have a test of their own.
        files.filter(|file| !file.ends_with("everything-snake-case.json")).map(move |file| {
            let body = std::fs::read_to_string(&file).unwrap();
            Record {
                id: file.display().to_string(),
                source: String::new(),
                provider: provider.to_owned(),
                protocol: protocol.to_owned(),
                operation: "generate".to_owned(),
                streaming: body.contains("\"stream\": true"),
                sse_reframed: false,
                request: Some(RecordedRequest {
                    method: "POST".to_owned(),
                    path: path.to_owned(),
                    query: BTreeMap::new(),
                    headers: BTreeMap::new(),
                    body,
                }),
                response: RecordedResponse { status: 200, headers: BTreeMap::new(), body: None, sse: None },
                tags: vec![HAND_MADE.to_owned()],
            }
        })
    })
}

/// What a client sends its own provider is written again as it was: member by member, for official services and their dialects.
#[test]
fn requests_are_written_again_as_they_were() {
    if shared::dir().is_none() {
        shared::skip("requests_are_written_again_as_they_were (recorded)");
    }
    let mut differences = super::Differences::default();
    let mut trips = 0;
    let recorded = shared::all_records().into_iter().filter(Record::is_good_generation);
    for record in recorded.chain(hand_made()) {
        let Some(body) = record.request.as_ref().and_then(|sent| serde_json::from_str::<Value>(&sent.body).ok()) else {
            continue;
        };
        let mut losses = Losses::new();
        let again = send_to(&own_target(&record), read(&record, client_of(record.wire()), &body), &mut losses);
        differences.own_request(&record, body, again);
        for loss in losses.entries() {
            differences.note(&record, format!("loss {}", loss.code.as_str()), &loss.to_string());
        }
        trips += 1;
    }
    assert!(trips > if shared::dir().is_some() { 900 } else { 3 }, "{trips}");
    differences.judge();
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
