//! JSON as protobuf values. All numbers are doubles there.

use serde_json::{Map, Number, Value as Json};

use super::proto::value::Kind;
use super::proto::{ListValue, Struct, Value, ValueEntry};

/// A JSON object, its members in order.
pub(super) fn object(object: &Map<String, Json>) -> Struct {
    Struct {
        fields: object.iter().map(|(key, json)| ValueEntry { key: key.clone(), value: Some(value(json)) }).collect(),
    }
}

fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(value).collect() }),
        Json::Object(members) => Kind::StructValue(object(members)),
    };
    Value { kind: Some(kind) }
}

/// Deeper values are cut: no tool has them.
const DEEPEST: u8 = 100;

/// The object a client gets; whole numbers are written as such.
pub(super) fn json(object: &Struct) -> Json {
    members(object, DEEPEST)
}

fn members(object: &Struct, depth: u8) -> Json {
    let member =
        |entry: &ValueEntry| (entry.key.clone(), entry.value.as_ref().map_or(Json::Null, |value| of(value, depth)));
    Json::Object(object.fields.iter().map(member).collect())
}

fn of(value: &Value, depth: u8) -> Json {
    let Some(depth) = depth.checked_sub(1) else { return Json::Null };
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => Json::Bool(*truth),
        Some(Kind::NumberValue(number)) => {
            whole(*number).or_else(|| Number::from_f64(*number)).map_or(Json::Null, Json::Number)
        }
        Some(Kind::StringValue(text)) => Json::String(text.clone()),
        Some(Kind::ListValue(list)) => Json::Array(list.values.iter().map(|value| of(value, depth)).collect()),
        Some(Kind::StructValue(object)) => members(object, depth),
    }
}

/// A number without fraction that a double holds exactly.
fn whole(number: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "it has no fraction and fits")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then(|| Number::from(number as i64))
}
