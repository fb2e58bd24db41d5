//! The recorded traffic can be read, whole.

use polyport_testkit::shared;

#[test]
fn every_recording_is_read_with_its_raw_bodies() {
    if shared::dir().is_none() {
        return shared::skip("every_recording_is_read_with_its_raw_bodies");
    }
    let all = shared::all_records();
    assert!(shared::RECORDINGS.iter().all(|file| !shared::records(file).is_empty()));
    for record in &all {
        assert_eq!(record.response.sse.is_some(), record.streaming, "{}", record.id);
        assert_ne!(record.response.sse.is_some(), record.response.body.is_some(), "{}", record.id);
        assert!(record.request.is_none() || !record.has_tag("no_request"), "{}", record.id);
        let _known_protocol = record.wire();
    }
    let france = all.iter().find(|r| r.id == "openai-00633dbec6").expect("a known recording");
    assert_eq!(france.model().as_deref(), Some("gpt-4o"));
    let body = france.request.as_ref().map(|r| r.body.as_str()).unwrap_or_default();
    assert!(body.starts_with(r#"{"messages":[{"content":"What is"#), "{body}");
}

#[test]
fn a_file_is_read_only_once() {
    let (first, second) = (shared::records("gemini.jsonl"), shared::records("gemini.jsonl"));
    assert!(std::sync::Arc::ptr_eq(&first, &second));
}
