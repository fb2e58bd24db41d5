//! Answers, whole and streamed.

use bytes::Bytes;
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{Target, decode_response};
use polyport_types::Protocol;

use super::{collect, events, records};

#[test]
fn recorded_answers_are_understood() {
    let target = Target::plain(Protocol::Chat, "m");
    for record in records("recorded_answers_are_understood") {
        if !record.is_good_generation() {
            continue;
        }
        if let Some(sse) = &record.response.sse {
            let events = events(&target, [sse.as_bytes()], BodyEnd::Clean);
            let response = collect(events.clone());
            println!(
                "{} {:?}",
                record.id,
                response.as_ref().map(|r| (
                    r.candidates.iter().map(|c| (c.parts.len(), c.finish.clone())).collect::<Vec<_>>(),
                    r.usage.is_absent()
                ))
            );
        } else if let Some(body) = &record.response.body {
            let response = decode_response(&target, Bytes::copy_from_slice(body.as_bytes()));
            if response.is_err() {
                println!("{} {response:?}", record.id);
            }
        }
    }
}
