//! The readers accept what the official providers sent, and nothing that breaks a client.

use polyport_testkit::grammar::Check;
use polyport_testkit::shared::{self, Record};

/// The successful official exchanges that are not marked as damaged.
fn official() -> Vec<Record> {
    let mut all = shared::all_records();
    all.retain(|r| r.is_official() && r.is_good_generation() && !r.has_tag("abnormal_stream") && !was_shortened(r));
    all
}

/// Whether the keeper of the recording took events out of a stream: its numbers have a gap.
fn was_shortened(record: &Record) -> bool {
    let numbers = record.response.sse.as_deref().unwrap_or_default().split(r#""sequence_number":"#).skip(1);
    let mut numbers = numbers.filter_map(|rest| rest.split([',', '}']).next()?.parse::<u64>().ok());
    let first = numbers.next().unwrap_or(0);
    numbers.enumerate().any(|(at, number)| number != first + at as u64 + 1)
}

#[test]
fn every_recorded_official_answer_is_read() {
    if shared::dir().is_none() {
        return shared::skip("every_recorded_official_answer_is_read");
    }
    let mut refused = Vec::new();
    let mut read = 0;
    for record in official() {
        let check = Check::provider(record.wire());
        let verdict = match (&record.response.sse, &record.response.body) {
            (Some(sse), _) => check.stream(sse.as_bytes()),
            (None, Some(body)) => check.answer(body.as_bytes()),
            (None, None) => continue,
        };
        match verdict {
            Ok(_) => read += 1,
            Err(e) => refused.push(format!("{} {}: {e}", record.id, record.provider)),
        }
    }
    assert!(refused.is_empty(), "{} refused, {read} read\n{}", refused.len(), refused.join("\n"));
}
