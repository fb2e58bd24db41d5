//! Minutes, hours, days and months, in UTC.

use serde::{Deserialize, Serialize};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The latest moment a row can have: there are bits for it up to the year 2109.
pub(super) const LATEST: i64 = (1 << 42) - 1;

/// What is farther away is not reckoned with: a hundred million days.
const FARTHEST: i64 = 100_000_000 * DAY;

/// How much time a sum covers. All of them begin in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From second 0.
    Minute,
    /// From minute 0.
    Hour,
    /// From midnight.
    Day,
    /// From the first day.
    Month,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 4] = [Self::Minute, Self::Hour, Self::Day, Self::Month];

    /// The beginning of the one that a moment is in; both in Unix milliseconds.
    #[must_use]
    pub fn start(self, at: i64) -> i64 {
        let at = at.clamp(-FARTHEST, FARTHEST);
        match self {
            Self::Minute => at - at.rem_euclid(MINUTE),
            Self::Hour => at - at.rem_euclid(HOUR),
            Self::Day => at - at.rem_euclid(DAY),
            Self::Month => {
                let (year, month, _) = date(at);
                day_number(year, month) * DAY
            }
        }
    }

    /// The beginning of the next one.
    #[must_use]
    pub fn next(self, at: i64) -> i64 {
        let start = self.start(at);
        match self {
            Self::Minute => start + MINUTE,
            Self::Hour => start + HOUR,
            Self::Day => start + DAY,
            // No month is longer, and twice as much is longer than any two.
            Self::Month => self.start(start + 31 * DAY),
        }
    }
}

/// Year, month and day of a moment.
///
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
pub(super) fn date(at: i64) -> (i64, i64, i64) {
    let days = at.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from 1970 to the first day of a month.
fn day_number(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o12_leap_days_and_years_are_where_they_belong() {
        // 2028-02-29T23:59:59.999Z, and a millisecond later.
        let leap = 1_835_481_599_999;
        assert_eq!(date(leap), (2028, 2, 29));
        assert_eq!(date(leap + 1), (2028, 3, 1));
        assert_eq!(Period::Month.next(leap), leap + 1);
        assert_eq!(Period::Month.start(leap), 1_832_976_000_000);
        // 2026-12-31T23:59:59Z.
        let eve = 1_798_761_599_000;
        assert_eq!(date(eve), (2026, 12, 31));
        for period in Period::ALL {
            assert_eq!(period.next(eve), eve + 1000, "{period:?}");
        }
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(-1), (1969, 12, 31));
        assert_eq!(date(LATEST).0, 2109);
        for period in Period::ALL {
            assert!(period.start(i64::MIN) < 0 && period.next(i64::MAX) > LATEST, "{period:?}");
        }
    }

    #[test]
    fn every_month_of_a_century_follows_the_one_before() {
        let mut at = 0;
        let mut expected = (1970, 1);
        while at < LATEST {
            let (year, month, day) = date(at);
            assert_eq!(((year, month), day), (expected, 1));
            assert_eq!(Period::Month.start(at), at);
            let next = Period::Month.next(at);
            assert_eq!(Period::Month.start(next - 1), at);
            expected = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            at = next;
        }
    }
}
