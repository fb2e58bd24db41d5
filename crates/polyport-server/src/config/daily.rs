//! A time of day in a zone.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};
use polyport_routing::Millis;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A time of day in a zone, such as `00:00 America/Los_Angeles`. Summer time is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daily {
    time: Time,
    zone: TimeZone,
}

const EXPECTED: &str = "a time of day and its zone, such as `00:00 America/Los_Angeles`, `08:30 UTC` or `00:00 -08:00`";

impl Daily {
    /// Reads it as it is written in a configuration.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (time, zone) = text.trim().split_once(' ').ok_or(format!("expected {EXPECTED}"))?;
        let numbers = time.split_once(':').and_then(|(hour, minute)| Some((hour.parse().ok()?, minute.parse().ok()?)));
        let time = numbers.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
        let time = time.ok_or(format!("expected {EXPECTED}"))?;
        Ok(Self { time, zone: zone_of(zone.trim())? })
    }

    /// When it comes next.
    #[must_use]
    pub fn next(&self, now: Millis) -> Option<Millis> {
        let now = Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?;
        let today = now.to_zoned(self.zone.clone()).date();
        let on =
            |day: jiff::civil::Date| Some(day.to_datetime(self.time).to_zoned(self.zone.clone()).ok()?.timestamp());
        let next = on(today).filter(|at| *at > now).or_else(|| on(today.tomorrow().ok()?))?;
        u64::try_from(next.as_millisecond()).ok()
    }
}

fn zone_of(text: &str) -> Result<TimeZone, String> {
    if matches!(text, "UTC" | "Z" | "GMT") {
        return Ok(TimeZone::UTC);
    }
    if let Some((sign, rest)) =
        text.strip_prefix('-').map(|rest| (-1, rest)).or(text.strip_prefix('+').map(|rest| (1, rest)))
    {
        let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
        let seconds = match (hours.parse::<i32>(), minutes.parse::<i32>()) {
            (Ok(hours @ 0..=14), Ok(minutes @ 0..=59)) => sign * (hours * 3600 + minutes * 60),
            _ => return Err(format!("expected {EXPECTED}")),
        };
        return Offset::from_seconds(seconds).map(TimeZone::fixed).map_err(|error| error.to_string());
    }
    TimeZone::get(text).map_err(|_| UNKNOWN.to_owned())
}

const UNKNOWN: &str = "this zone is not known on this machine: write its distance from UTC, such as `-08:00`, or install the time zone                        database (`tzdata`)";

impl<'de> Deserialize<'de> for Daily {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Daily;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Daily, E> {
                Daily::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Daily {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2} .+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    #[test]
    fn it_comes_every_day_in_its_zone() {
        let midnight = Daily::parse("00:00 America/Los_Angeles").unwrap();
        for (now, next) in [
            ("2026-01-15T07:59:59Z", "2026-01-15T08:00:00Z"),
            ("2026-01-15T08:00:00Z", "2026-01-16T08:00:00Z"),
            // In summer an hour earlier, and the day of the change has 25 hours.
            ("2026-07-15T06:59:00Z", "2026-07-15T07:00:00Z"),
            ("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
        ] {
            assert_eq!(midnight.next(at(now)), Some(at(next)), "{now}");
        }
        let fixed = Daily::parse("00:30 -08:00").unwrap();
        assert_eq!(fixed.next(at("2026-07-15T08:00:00Z")), Some(at("2026-07-15T08:30:00Z")));
        assert_eq!(
            Daily::parse("08:30 UTC").unwrap().next(at("2026-07-15T08:30:00Z")),
            Some(at("2026-07-16T08:30:00Z"))
        );
        // A time that a day leaves out comes with the jump.
        let lost = Daily::parse("02:30 America/Los_Angeles").unwrap();
        assert_eq!(lost.next(at("2026-03-08T09:00:00Z")), Some(at("2026-03-08T10:30:00Z")));
        assert_eq!(fixed.next(u64::MAX), None);
    }

    #[test]
    fn what_is_no_time_of_day_is_told() {
        for text in ["", "00:00", "24:00 UTC", "midnight UTC", "00:00 -25:00", "00:00 Mars/Base", "0:0:0 UTC"] {
            assert!(Daily::parse(text).is_err(), "{text}");
        }
        assert!(Daily::parse("00:00 Mars/Base").unwrap_err().contains("not known on this machine"));
    }
}
