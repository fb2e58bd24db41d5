//! What differs between two bodies, streams and heads. Ids, times and seals of signatures differ from answer to
//! answer and are passed over.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// More differences than this of one thing are not listed.
const MOST: usize = 40;

/// Members whose values are made anew for each answer.
const CHANGING: [&str; 26] = [
    "id",
    "call_id",
    "completed_at",
    "conversation",
    "created",
    "created_at",
    "createTime",
    "etag",
    "expires_at",
    "first_id",
    "item_id",
    "last_id",
    "obfuscation",
    "previous_response_id",
    "request_id",
    "requestId",
    "responseId",
    "response_id",
    "sent_at",
    "system_fingerprint",
    "thoughtSignature",
    "tool_call_id",
    "tool_use_id",
    "traceId",
    "updated_at",
    "x_request_id",
];

/// Headers that mean something to whoever gets them.
const HEADERS: [&str; 12] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-encoding",
    "content-type",
    "openai-beta",
    "retry-after",
    "retry-after-ms",
    "x-polyport-attempts",
    "x-polyport-loss",
    "x-polyport-target",
    "x-should-retry",
];

/// One difference. Where one side has nothing, its value is `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where: a JSON pointer, behind the words `event 3` in a stream, or `header x`, `status`.
    pub at: String,
    /// On the first side.
    pub a: Value,
    /// On the second side.
    pub b: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} | {}", self.at, short(&self.a), short(&self.b))
    }
}

/// What a side has not is `-`.
fn short(value: &Value) -> String {
    const LONGEST: usize = 120;
    if value.is_null() {
        return "-".to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Compares two JSON values member by member.
#[must_use]
pub fn values(a: &Value, b: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", a, b, &mut found);
    found
}

fn walk(at: &str, a: &Value, b: &Value, found: &mut Vec<Difference>) {
    if found.len() >= MOST || a == b {
        return;
    }
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            for (name, value) in left {
                if let Some(other) = right.get(name) {
                    let changes = CHANGING.contains(&name.as_str())
                        && std::mem::discriminant(value) == std::mem::discriminant(other)
                        && !value.is_object();
                    if !changes {
                        walk(&below(at, name), value, other, found);
                    }
                } else {
                    note(below(at, name), value.clone(), Value::Null, found);
                }
            }
            for (name, value) in right.iter().filter(|(name, _)| !left.contains_key(*name)) {
                note(below(at, name), Value::Null, value.clone(), found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let at = format!("{at}/{index}");
                match (left.get(index), right.get(index)) {
                    (Some(value), Some(other)) => walk(&at, value, other, found),
                    (value, other) => {
                        note(at, value.cloned().unwrap_or_default(), other.cloned().unwrap_or_default(), found);
                    }
                }
            }
        }
        (Value::String(left), Value::String(right)) if carried(left).is_some() && carried(left) == carried(right) => {}
        _ => note(if at.is_empty() { "/".to_owned() } else { at.to_owned() }, a.clone(), b.clone(), found),
    }
}

/// What a carrier of a signature carries (`pp1.KIND.PLACE.SCOPE.DATA.SEAL`): scope and seal are those of the gateway.
fn carried(text: &str) -> Option<[&str; 3]> {
    let mut parts = text.strip_prefix("pp1.")?.split('.');
    let (kind, place) = (parts.next()?, parts.next()?);
    let data = parts.nth(1)?;
    Some([kind, place, data])
}

fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn note(at: String, a: Value, b: Value, found: &mut Vec<Difference>) {
    if found.len() < MOST {
        found.push(Difference { at, a, b });
    }
}

/// Compares the headers that mean something.
#[must_use]
pub fn headers(a: &[(String, String)], b: &[(String, String)]) -> Vec<Difference> {
    let of = |all: &[(String, String)], name: &str| {
        all.iter().find(|(known, _)| known == name).map_or(Value::Null, |(_, value)| Value::from(value.as_str()))
    };
    let pairs = HEADERS.iter().map(|name| Difference { at: format!("header {name}"), a: of(a, name), b: of(b, name) });
    pairs.filter(|pair| pair.a != pair.b).collect()
}

/// Compares two bodies: streams of events event by event, JSON by its members, and what is neither by its bytes.
#[must_use]
pub fn bodies(a: &[u8], b: &[u8]) -> Vec<Difference> {
    if a == b {
        return Vec::new();
    }
    if let (Ok(a), Ok(b)) = (serde_json::from_slice(a), serde_json::from_slice(b)) {
        return values(&a, &b);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (left, right) = (events(a), events(b));
    if left.is_empty() || right.is_empty() {
        let side = |bytes: &[u8]| if bytes.is_empty() { Value::Null } else { Value::from(text(bytes)) };
        return vec![Difference { at: "/".to_owned(), a: side(a), b: side(b) }];
    }
    streams(&left, &right)
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The name of the event, else the `type` of what it carries, else `data`.
    pub kind: String,
    /// What it carries; text where that is no JSON.
    pub data: Value,
}

/// The events of a stream; none where it is none. Comments are no events.
#[must_use]
pub fn events(body: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(body);
    let (mut events, mut name, mut data) = (Vec::new(), None, None::<String>);
    for line in text.lines().chain([""]) {
        if let Some(value) = line.strip_prefix("event:") {
            name = Some(value.trim().to_owned());
        } else if let Some(value) = line.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            data = Some(data.map_or_else(|| value.to_owned(), |before| format!("{before}\n{value}")));
        } else if line.is_empty() {
            let (named, Some(text)) = (name.take(), data.take()) else { continue };
            let data: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            let typed = data.get("type").and_then(Value::as_str).map(str::to_owned);
            let error = data.get("error").is_some_and(|error| !error.is_null()).then(|| "error".to_owned());
            let plain = data.as_str().map(str::to_owned);
            let kind = named.or(typed).or(error).or(plain).unwrap_or_else(|| "data".to_owned());
            events.push(Event { kind, data });
        }
    }
    events
}

fn streams(a: &[Event], b: &[Event]) -> Vec<Difference> {
    let mut found = Vec::new();
    for index in 0..a.len().max(b.len()) {
        let number = index + 1;
        let kind = |event: Option<&Event>| event.map_or(Value::Null, |event| Value::from(event.kind.as_str()));
        match (a.get(index), b.get(index)) {
            (Some(left), Some(right)) if left.kind == right.kind => {
                for one in values(&left.data, &right.data) {
                    note(format!("event {number} ({}) {}", left.kind, one.at), one.a, one.b, &mut found);
                }
            }
            // From here on nothing stands beside its like.
            (left, right) => {
                note(format!("event {number}"), kind(left), kind(right), &mut found);
                if a.len() != b.len() {
                    note("number of events".to_owned(), a.len().into(), b.len().into(), &mut found);
                }
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(differences: &[Difference]) -> Vec<&str> {
        differences.iter().map(|one| one.at.as_str()).collect()
    }

    #[test]
    fn ids_and_times_are_passed_over() {
        let a = json!({ "id": "a", "created": 1, "x": [1, { "call_id": "c" }], "only": 1, "id2": "y" });
        let b = json!({ "id": "b", "created": 2, "x": [1, { "call_id": "d" }, 3], "m/n": null, "id2": "z" });
        assert_eq!(at(&values(&a, &b)), ["/x/2", "/only", "/id2", "/m~1n"]);
        let carrier = |scope: &str, data: &str| json!({ "s": format!("pp1.a.t.{scope}.{data}.{scope}") });
        assert!(values(&carrier("x", "d"), &carrier("y", "d")).is_empty());
        assert_eq!(at(&values(&carrier("x", "d"), &carrier("x", "e"))), ["/s"]);
        assert_eq!(at(&values(&json!({ "id": "a" }), &json!({ "id": 1 }))), ["/id"]);
    }

    #[test]
    fn streams_are_compared_event_by_event() {
        let a = "event: x\ndata: {\"id\":\"1\",\"v\":1}\n\n: ping\n\ndata: {\"type\":\"y\"}\n\ndata: [DONE]\n\n";
        let b = a.replace("\"1\"", "\"2\"").replace(": ping\n\n", "");
        assert!(bodies(a.as_bytes(), b.as_bytes()).is_empty());
        assert_eq!(at(&bodies(a.as_bytes(), b.replace("\"v\":1", "\"v\":2").as_bytes())), ["event 1 (x) /v"]);
        let cut = b.replace("data: [DONE]\n\n", "");
        assert_eq!(at(&bodies(a.as_bytes(), cut.as_bytes())), ["event 3", "number of events"]);
        assert_eq!(at(&bodies(a.as_bytes(), b"")), ["/"]);
    }

    #[test]
    fn headers_that_mean_nothing_may_differ() {
        let head = |kind: &str, date: &str| {
            vec![("date".to_owned(), date.to_owned()), ("content-type".to_owned(), kind.to_owned())]
        };
        assert!(headers(&head("a", "1"), &head("a", "2")).is_empty());
        assert_eq!(at(&headers(&head("a", "1"), &head("b", "1"))), ["header content-type"]);
    }
}
