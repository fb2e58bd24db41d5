//! Requests of real clients to the protocol they speak.

use bytes::Bytes;
use polyport_protocol::{RequestHead, decode_request};
use polyport_testkit::shared;
use polyport_types::{ClientProtocol, Protocol};

use super::support::{plain, run};

#[test]
fn a_request_the_target_takes_as_it_is_stays_as_it_is() {
    if shared::dir().is_none() {
        return shared::skip("a_request_the_target_takes_as_it_is_stays_as_it_is");
    }
    let mut seen = 0;
    let mut problems = Vec::new();
    for record in shared::all_records().iter().filter(|record| record.is_good_generation() && record.is_official()) {
        let Some(recorded) = &record.request else { continue };
        let client = ClientProtocol::ALL.into_iter().find(|client| Protocol::from(*client) == record.wire()).unwrap();
        let head =
            RequestHead { model: record.model().map(Into::into), stream: record.streaming, ..RequestHead::default() };
        let body = Bytes::copy_from_slice(recorded.body.as_bytes());
        let Ok(request) = decode_request(client, &head, body) else { continue };
        if request.messages.is_empty() && request.instructions.is_empty() {
            continue;
        }
        seen += 1;
        let before = request.clone();
        let outcome = run(&plain(record.wire()), request);
        if !outcome.losses.is_empty() {
            problems.push(format!(
                "{}: {:?}",
                record.id,
                outcome
                    .losses
                    .entries()
                    .iter()
                    .map(|l| format!("{} {}", l.code.as_str(), l.detail))
                    .collect::<Vec<_>>()
            ));
        }
        if outcome.request != before {
            let (a, b) = (serde_json::to_string(&before).unwrap(), serde_json::to_string(&outcome.request).unwrap());
            let at = a.bytes().zip(b.bytes()).position(|(x, y)| x != y).unwrap_or(0);
            let from = at.saturating_sub(120);
            problems.push(format!(
                "{}: changed at\n   {}\n   {}",
                record.id,
                a.chars().skip(from).take(240).collect::<String>(),
                b.chars().skip(from).take(240).collect::<String>()
            ));
        }
    }
    assert!(seen > 50, "only {seen} requests were read");
    assert!(problems.is_empty(), "{} of {seen}:\n{}", problems.len(), problems.join("\n"));
}
