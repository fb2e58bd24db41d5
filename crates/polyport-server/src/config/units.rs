//! Values with units and shapes that people may write in more than one way.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

/// Asks the reader for a scalar as its text, whatever it looks like.
pub(super) const UNTYPED: &str = "polyport-untyped";

/// A time with its unit: `500ms`, `120s`, `5m`, `1h`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(super) Duration);

/// A number of bytes with its unit: `64KiB`, `32MiB`, `1GiB`, `10MB`, `500B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

/// How often something may happen: `60/m`, `10/s`, `1000/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) times: u32,
    pub(super) per: Duration,
}

impl Rate {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (times, unit) = text.split_once('/')?;
        let times = times.trim().parse().ok().filter(|&times| times > 0)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        Some(Self { times, per: Duration::from_secs(seconds) })
    }
}

/// A number and what follows it.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim()))
}

impl Span {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "" if number == 0.0 => 0.0,
            _ => return None,
        };
        Duration::try_from_secs_f64(number * seconds).ok().map(Self)
    }
}

impl Size {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let factor: f64 = match unit {
            "B" => 1.0,
            "KiB" => 1024.0,
            "MiB" => 1024.0 * 1024.0,
            "GiB" => 1024.0 * 1024.0 * 1024.0,
            "KB" | "kB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "" if number == 0.0 => 0.0,
            _ => return None,
        };
        let bytes = number * factor;
        // Far above anything a limit means, far below where f64 loses bytes.
        (bytes <= 1e15).then_some(Self(bytes as usize))
    }
}

macro_rules! text_values {
    ($($name:ident $parse:path, $title:literal, $pattern:literal, $expecting:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $parse(text).ok_or_else(|| E::custom(concat!("expected ", $expecting)))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    )*};
}

text_values! {
    Span Span::parse, "Time", r"^[0-9]+(\.[0-9]+)?(ms|s|m|min|h|d)$|^0$", "a time with its unit, such as `500ms`, `120s`, `5m` or `1h`";
    Rate Rate::parse, "Rate", r"^[0-9]+/(s|m|min|h|d)$", "how often in which time, such as `60/m`, `10/s` or `1000/d`";
    Size Size::parse, "Size", r"^[0-9]+(\.[0-9]+)?(B|KiB|MiB|GiB|KB|kB|MB|GB)$|^0$", "a size with its unit, such as `64KiB` or `32MiB`";
}

/// A map that keeps the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Named<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map (`name: value`)")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Named(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}

/// A type with a short form: a text that stands for the whole map.
pub(super) trait Short: DeserializeOwned {
    fn of_text(text: &str) -> Self;
}

/// One value or a list of values, each in its short or long form.
#[derive(Clone, Debug)]
pub(super) struct Several<T>(pub(super) Vec<T>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// One value in its short or long form.
struct One<T>(T);

impl<'de, T: Short> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form<T>(PhantomData<T>);
        impl<'de, T: Short> Visitor<'de> for Form<T> {
            type Value = One<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a map")
            }
            // What ships with Polyport is read from TOML.
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<One<T>, D::Error> {
                deserializer.deserialize_any(self)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<One<T>, E> {
                Ok(One(T::of_text(text)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<One<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(One)
            }
        }
        deserializer.deserialize_newtype_struct(UNTYPED, Form(PhantomData))
    }
}

impl<'de, T: Short> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form<T>(PhantomData<T>);
        impl<'de, T: Short> Visitor<'de> for Form<T> {
            type Value = Several<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a map or a list of them")
            }
            // What ships with Polyport is read from TOML.
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Several<T>, D::Error> {
                deserializer.deserialize_any(self)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Several<T>, E> {
                Ok(Several(vec![T::of_text(text)]))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Several<T>, E> {
                Ok(Several::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Several<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| Several(vec![one]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Several<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(One(one)) = list.next_element()? {
                    all.push(one);
                }
                Ok(Several(all))
            }
        }
        deserializer.deserialize_newtype_struct(UNTYPED, Form(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Several<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrList", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [
            { "type": "string" },
            one,
            { "type": "array", "items": { "anyOf": [{ "type": "string" }, one] } },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_unit() {
        for (text, ms) in
            [("500ms", 500), ("120s", 120_000), ("1.5m", 90_000), ("1h", 3_600_000), ("2d", 172_800_000), ("0", 0)]
        {
            assert_eq!(Span::parse(text), Some(Span(Duration::from_millis(ms))), "{text}");
        }
        for text in ["", "120", "s", "-1s", "1 week", "1e99s", "nan", "1..2s"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
        assert_eq!(Span::parse("99999999999999999999999d"), None);
    }

    #[test]
    fn rates_need_a_time() {
        for (text, times, seconds) in [("60/m", 60, 60), ("1/s", 1, 1), ("1000 / d", 1000, 86_400), ("5/min", 5, 60)] {
            assert_eq!(Rate::parse(text), Some(Rate { times, per: Duration::from_secs(seconds) }), "{text}");
        }
        for text in ["", "60", "0/m", "-1/s", "1/week", "1.5/s", "/s"] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        for (text, bytes) in
            [("32MiB", 32 << 20), ("64 KiB", 64 << 10), ("10MB", 10_000_000), ("1.5GiB", 3 << 29), ("7B", 7)]
        {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        for text in ["", "32", "32mib", "MiB", "-1B", "99999999GiB"] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }
}
