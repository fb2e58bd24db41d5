//! What providers told is counted whole, once, and the same in every client's protocol.

use polyport_accounting::{Class, Context, Counts, Money, Table, cost};
use polyport_protocol::{ClientContext, Target, decode_response, encode_response};
use polyport_testkit::shared::{self, Record};
use polyport_types::{ClientProtocol, Protocol, Request, Response};
use serde_json::Value;

/// Whole answers of the protocols' owners.
fn answers(test: &str) -> Option<Vec<(Record, Response, Value)>> {
    if shared::dir().is_none() {
        shared::skip(test);
        return None;
    }
    let read = |record: Record| {
        let body = record.response.body.clone()?;
        let response = decode_response(&Target::plain(record.wire(), "model"), body.clone().into()).ok()?;
        let body = serde_json::from_str(&body).ok()?;
        Some((record, response, body))
    };
    let good = |record: &Record| record.is_good_generation() && record.is_official() && !record.streaming;
    Some(shared::all_records().into_iter().filter(good).filter_map(read).collect())
}

/// The total as the provider's own fields give it.
fn vendor_total(protocol: Protocol, body: &Value) -> Option<u64> {
    let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64);
    match protocol {
        Protocol::Chat | Protocol::Responses => number("/usage/total_tokens"),
        Protocol::Gemini => number("/usageMetadata/totalTokenCount"),
        Protocol::Messages => {
            let parts = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"];
            number("/usage/output_tokens")?;
            Some(parts.iter().filter_map(|part| number(&format!("/usage/{part}"))).sum())
        }
    }
}

#[test]
fn classes_add_up_to_what_the_provider_counted() {
    let Some(answers) = answers("classes_add_up_to_what_the_provider_counted") else { return };
    let mut seen = [0; 4];
    for (record, response, body) in &answers {
        let Some(total) = vendor_total(record.wire(), body) else { continue };
        let counts = Counts::of(&response.usage).unwrap_or_else(|| panic!("{}: usage is lost", record.id));
        assert_eq!(counts.tokens(), total, "{}: {counts:?}", record.id);
        seen[record.wire() as usize] += 1;
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

/// Classes that all four protocols have words for.
fn common(counts: &Counts) -> [u64; 4] {
    let sum = |classes: &[Class]| classes.iter().map(|class| counts.per_class[*class]).sum();
    let cached = sum(&[Class::CacheRead, Class::CacheReadAudio, Class::CacheReadImage]);
    let reasoning = counts.per_class[Class::Reasoning];
    [counts.input_tokens(), cached, reasoning, counts.tokens() - counts.input_tokens() - reasoning]
}

#[test]
fn every_client_is_told_the_same_classes() {
    let Some(answers) = answers("every_client_is_told_the_same_classes") else { return };
    let (mut compared, mut failed) = (0, 0);
    for (record, response, _) in &answers {
        // Some servers count nothing, or 0 of everything.
        let Some(counts) = Counts::of(&response.usage).filter(|counts| counts.tokens() > 0) else { continue };
        let context = ClientContext::fixed(Request::new(ClientProtocol::Chat, "model"), record.wire());
        for client in ClientProtocol::ALL {
            let told = encode_response(client, &context, response);
            // An answer that failed is told as a failure.
            let Ok(again) = decode_response(&Target::plain(client.into(), "model"), told.into()) else {
                failed += 1;
                continue;
            };
            compared += 1;
            let told = Counts::of(&again.usage);
            assert_eq!(told.as_ref().map(common), Some(common(&counts)), "{} for {client}", record.id);
        }
    }
    assert!(compared > 1000 && failed * 100 < compared, "{compared} compared, {failed} failed");
}

/// Real models with real usage have a whole price.
#[test]
fn recorded_answers_of_listed_models_have_a_cost() {
    let Some(answers) = answers("recorded_answers_of_listed_models_have_a_cost") else { return };
    let mut whole = 0;
    let mut missing = Vec::new();
    for (record, response, _) in &answers {
        let host = match record.provider.as_str() {
            "google" => "gemini",
            other => other,
        };
        let Some(model) = record.model() else { continue };
        let Some(price) = Table::shipped().find(host, &model) else { continue };
        let Some(counts) = Counts::of(&response.usage) else { continue };
        let found = cost(&counts, &price, &Context::default());
        if found.is_complete() {
            whole += 1;
            assert!(found.total > Money::ZERO, "{} {model}", record.id);
        } else {
            missing.push(format!("{} {model}: {:?}", record.id, found.unpriced.iter().collect::<Vec<_>>()));
        }
    }
    assert!(whole > 100 && missing.len() * 20 < whole, "{whole} of {}: {missing:#?}", whole + missing.len());
}
