//! Round trips of recorded traffic: what is decoded and encoded again for its own protocol says the same, member by member.

use std::collections::BTreeMap;

use bytes::Bytes;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    ClientContext, RequestHead, StreamDecoder, StreamEncoder, Target, decode_request, decode_response, encode_response,
};
use polyport_testkit::shared::{self, Record};
use polyport_types::{ClientProtocol, Protocol, ReasoningControl, ReasoningVisibility, Request};
use serde_json::{Map, Value};

mod allowed;
mod gather;
mod requests;

/// Largest event in bytes.
const MAX_EVENT: usize = 64 << 20;

#[test]
fn recorded_answers_are_written_again_as_they_were() {
    if shared::dir().is_none() {
        return shared::skip("recorded_answers_are_written_again_as_they_were");
    }
    let mut differences = Differences::default();
    for record in shared::all_records().iter().filter(|record| record.is_good_generation() && !record.streaming) {
        let body = record.response.body.as_ref().unwrap();
        let original: Value = serde_json::from_str(body).unwrap();
        let target = target_of(record);
        let Ok(answer) = decode_response(&target, Bytes::copy_from_slice(body.as_bytes())) else { continue };
        let again = encode_response(client_of(record.wire()), &context_of(record, &original), &answer);
        let again: Value = serde_json::from_slice(&again).unwrap();
        differences.compare(record, original, again);
    }
    differences.judge();
}

#[test]
fn recorded_streams_are_written_again_as_they_were() {
    if shared::dir().is_none() {
        return shared::skip("recorded_streams_are_written_again_as_they_were");
    }
    let mut differences = Differences::default();
    for record in shared::all_records().iter().filter(|record| record.is_good_generation() && record.streaming) {
        if record.has_tag("abnormal_stream") {
            continue;
        }
        let sse = record.response.sse.as_ref().unwrap();
        let original = gather::gather(record.wire(), sse);
        let mut decoder = StreamDecoder::new(&target_of(record), MAX_EVENT);
        let mut events = Vec::new();
        decoder.push(Bytes::copy_from_slice(sse.as_bytes()), &mut events);
        decoder.finish(BodyEnd::Clean, &mut events);
        let mut encoder = StreamEncoder::new(client_of(record.wire()), context_of(record, &original));
        let mut out = Vec::new();
        for event in events {
            encoder.encode(event, &mut out);
        }
        let again = gather::gather(record.wire(), std::str::from_utf8(&out).unwrap());
        differences.compare(record, original, again);
    }
    differences.judge();
}

fn target_of(record: &Record) -> Target {
    Target::plain(record.wire(), record.model().unwrap_or_else(|| "model".to_owned()))
}

fn client_of(protocol: Protocol) -> ClientProtocol {
    match protocol {
        Protocol::Chat => ClientProtocol::Chat,
        Protocol::Responses => ClientProtocol::Responses,
        Protocol::Messages => ClientProtocol::Messages,
        Protocol::Gemini => ClientProtocol::Gemini,
    }
}

/// The client that sent the recorded request; the model keeps the name that the provider gave it.
fn context_of(record: &Record, answer: &Value) -> ClientContext {
    let client = client_of(record.wire());
    let head = RequestHead {
        model: record.model().map(Into::into),
        stream: record.streaming,
        api_version: record
            .request
            .as_ref()
            .and_then(|request| request.headers.get("anthropic-version"))
            .map(|version| version.as_str().into()),
        ..RequestHead::default()
    };
    let request = record
        .request
        .as_ref()
        .and_then(|request| decode_request(client, &head, Bytes::copy_from_slice(request.body.as_bytes())).ok());
    let mut request = request.unwrap_or_else(|| Request::new(client, "model"));
    request.stream = record.streaming;
    if record.request.is_none() {
        let visibility = Some(ReasoningVisibility::Summary);
        request.reasoning = Some(ReasoningControl { visibility, ..ReasoningControl::default() });
    }
    request.stream_options.include_usage = true;
    let model = ["model", "modelVersion"].iter().find_map(|name| answer[name].as_str());
    ClientContext { model: model.unwrap_or("model").into(), ..ClientContext::fixed(request, record.wire()) }
}

/// What differs, by place; positions in lists are one place.
#[derive(Default)]
struct Differences {
    places: BTreeMap<(Protocol, String), (u32, String)>,
}

impl Differences {
    fn compare(&mut self, record: &Record, original: Value, again: Value) {
        self.at(record, "", &allowed::plain(original), &allowed::plain(again));
    }

    fn requests(&mut self, record: &Record, over: Protocol, original: Value, again: Value) {
        let (wanted, got) = (allowed::plain_request(original, over), allowed::plain_request(again, over));
        self.at(record, &format!("request over {over}"), &wanted, &got);
    }

    fn own_request(&mut self, record: &Record, original: Value, again: Value) {
        let [wanted, got] = [original, again].map(|body| allowed::plain_own(record.wire(), body));
        self.at(record, "own request", &wanted, &got);
    }

    fn at(&mut self, record: &Record, path: &str, wanted: &Value, got: &Value) {
        match (wanted, got) {
            (Value::Object(wanted), Value::Object(got)) => self.members(record, path, wanted, got),
            (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
                for (wanted, got) in wanted.iter().zip(got) {
                    self.at(record, &format!("{path}/*"), wanted, got);
                }
            }
            (wanted, got) if wanted == got || wanted.as_f64().is_some_and(|number| got.as_f64() == Some(number)) => {}
            (wanted, got) => self.note(record, format!("{path} changed"), &format!("{wanted:.300}\n   is {got:.300}")),
        }
    }

    fn members(&mut self, record: &Record, path: &str, wanted: &Map<String, Value>, got: &Map<String, Value>) {
        // Places of a stream are numbers with points between them.
        let place = |name: &str| match name.chars().all(|c| c == '.' || c.is_ascii_digit()) {
            true => format!("{path}/*"),
            false => format!("{path}/{name}"),
        };
        for (name, value) in wanted {
            match got.get(name) {
                Some(other) => self.at(record, &place(name), value, other),
                None => self.note(record, format!("{} lost", place(name)), &format!("{value:.300}")),
            }
        }
        for (name, value) in got {
            if !wanted.contains_key(name) {
                self.note(record, format!("{} made up", place(name)), &format!("{value:.300}"));
            }
        }
    }

    fn note(&mut self, record: &Record, place: String, example: &str) {
        if allowed::reason(record.wire(), &place).is_some() {
            return;
        }
        let entry = self
            .places
            .entry((record.wire(), place))
            .or_insert_with(|| (0, format!("{} ({}): {example}", record.id, record.provider)));
        entry.0 += 1;
    }

    fn judge(self) {
        let told: Vec<String> = self
            .places
            .iter()
            .map(|((protocol, place), (count, example))| format!("{protocol} {place}, {count} times\n  {example}"))
            .collect();
        assert!(told.is_empty(), "{} differences\n{}", told.len(), told.join("\n"));
    }
}
