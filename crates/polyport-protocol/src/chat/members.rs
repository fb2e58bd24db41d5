//! Members of an object that have no slot: kept together as one object, and written back one by one.

use std::borrow::Cow;

use polyport_types::{Extras, RawJson, Text};
use serde_json::value::RawValue;

use crate::json::{self, JsonWriter, Pairs};

/// An object of these members.
pub(super) fn object(members: &Extras) -> RawJson {
    let mut out = Vec::new();
    JsonWriter::new(&mut out).object(|w| w.extras(members));
    RawJson::from_valid(Text::try_from(out).unwrap_or_else(|_| Text::from_static("{}")))
}

/// Writes the members of an object into the one that is being written.
pub(super) fn write(w: &mut JsonWriter<'_>, object: &RawJson) {
    if let Ok(members) = serde_json::from_str::<Pairs<'_, &RawValue>>(object.as_str()) {
        for (name, value) in members.0 {
            w.key(&name);
            w.raw_value(value.get());
        }
    }
}

/// Takes an object apart.
pub(super) fn each(object: &RawJson, mut take: impl FnMut(Text, RawJson)) {
    if let Ok(members) = serde_json::from_str::<Pairs<'_, &RawValue>>(object.as_str()) {
        for (name, value) in members.0 {
            take(name.to_text(object.text()), json::raw(value, object.text()));
        }
    }
}

/// JSON on one line: line ends in it are white space, for strings hold them escaped.
pub(super) fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { Cow::Owned(json.replace(['\n', '\r'], " ")) } else { Cow::Borrowed(json) }
}
