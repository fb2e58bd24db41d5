//! Just enough of protobuf to read what a client of Warp sends and to write what the service answers, by numbers alone.

use serde_json::{Map, Value, json};

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Number(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// All fields of a message in order; `None` if the bytes are no message.
pub(super) fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            1 => {
                let (head, rest) = bytes.split_at_checked(8)?;
                bytes = rest;
                Field::Double(f64::from_le_bytes(head.try_into().ok()?))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (head, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(head)
            }
            5 => {
                bytes = bytes.get(4..)?;
                Field::Number(0)
            }
            _ => return None,
        };
        found.push((tag >> 3, field));
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 127) << shift;
        if first & 128 == 0 {
            return Some(value);
        }
    }
    None
}

/// The messages at a path of numbers.
pub(super) fn at<'a>(bytes: &'a [u8], path: &[u64]) -> Vec<&'a [u8]> {
    let Some((number, rest)) = path.split_first() else { return vec![bytes] };
    let inner = fields(bytes).unwrap_or_default().into_iter().filter_map(|(found, field)| match field {
        Field::Bytes(bytes) if found == *number => Some(bytes),
        _ => None,
    });
    inner.flat_map(|bytes| at(bytes, rest)).collect()
}

/// The text at a path, empty if there is none.
pub(super) fn text(bytes: &[u8], path: &[u64]) -> String {
    at(bytes, path).first().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// A `google.protobuf.Struct` as JSON.
pub(super) fn structure(bytes: &[u8]) -> Value {
    let entries = at(bytes, &[1]).into_iter();
    let member = |entry: &[u8]| (text(entry, &[1]), at(entry, &[2]).first().map_or(Value::Null, |value| of(value)));
    Value::Object(entries.map(member).collect::<Map<_, _>>())
}

fn of(value: &[u8]) -> Value {
    match fields(value).unwrap_or_default().first() {
        Some((2, Field::Double(number))) => json!(number),
        Some((3, Field::Bytes(text))) => json!(String::from_utf8_lossy(text)),
        Some((4, Field::Number(truth))) => json!(*truth != 0),
        Some((5, Field::Bytes(inner))) => structure(inner),
        Some((6, Field::Bytes(list))) => at(list, &[1]).into_iter().map(of).collect(),
        _ => Value::Null,
    }
}

/// Writes a field that holds bytes: a text or another message.
pub(super) fn put(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(number << 3 | 2, &mut out);
    put_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

/// Writes a field that holds a number.
pub(super) fn put_number(number: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(number << 3, &mut out);
    put_varint(value, &mut out);
    out
}

/// Writes JSON as a `google.protobuf.Struct`.
pub(super) fn put_structure(object: &Value) -> Vec<u8> {
    let members = object.as_object().into_iter().flatten();
    members.flat_map(|(name, value)| put(1, &[put(1, name.as_bytes()), put(2, &put_value(value))].concat())).collect()
}

fn put_value(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => put_number(1, 0),
        Value::Bool(truth) => put_number(4, u64::from(*truth)),
        Value::Number(number) => {
            let mut out = vec![2 << 3 | 1];
            out.extend(number.as_f64().unwrap_or_default().to_le_bytes());
            out
        }
        Value::String(text) => put(3, text.as_bytes()),
        Value::Array(items) => put(6, &items.iter().flat_map(|item| put(1, &put_value(item))).collect::<Vec<u8>>()),
        Value::Object(_) => put(5, &put_structure(value)),
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 127 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}
