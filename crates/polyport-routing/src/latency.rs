//! How long answers take to begin.

use parking_lot::Mutex;

use crate::state::Millis;

/// The halving time of a peak.
const HALVING: f32 = 10_000.0;

/// A mean that follows slower answers at once and forgets them over seconds ("peak EWMA").
#[derive(Debug, Default)]
pub(crate) struct PeakEwma(Mutex<Option<Peak>>);

#[derive(Clone, Copy, Debug)]
struct Peak {
    millis: f32,
    at: Millis,
}

impl PeakEwma {
    /// An answer took this long to begin.
    pub(crate) fn record(&self, millis: u32, now: Millis) {
        let sample = millis as f32;
        let mut peak = self.0.lock();
        let millis = match *peak {
            Some(before) if sample < before.millis => {
                let keep = (-(now.saturating_sub(before.at) as f32) / HALVING).exp2();
                // Answers that come at the same moment count too.
                before.millis * keep.min(0.9) + sample * (1.0 - keep.min(0.9))
            }
            Some(_) | None => sample,
        };
        *peak = Some(Peak { millis, at: now });
    }

    /// Milliseconds; 0 if nothing is known.
    pub(crate) fn millis(&self) -> f32 {
        self.0.lock().map_or(0.0, |peak| peak.millis)
    }
}

/// How times are distributed, lately: older ones count half each time 512 have come.
#[derive(Debug)]
pub(crate) struct Histogram(Mutex<[u16; BUCKETS]>);

/// Buckets grow by a fifth each, from a millisecond up to half an hour.
const BUCKETS: usize = 80;

const GROWTH: f64 = 1.2;

const HALVED_AT: u32 = 512;

impl Default for Histogram {
    fn default() -> Self {
        Self(Mutex::new([0; BUCKETS]))
    }
}

impl Histogram {
    pub(crate) fn record(&self, millis: u32) {
        let at = (f64::from(millis.max(1)).ln() / GROWTH.ln()).ceil() as usize;
        let mut buckets = self.0.lock();
        if let Some(bucket) = buckets.get_mut(at.min(BUCKETS - 1)) {
            *bucket = bucket.saturating_add(1);
        }
        if buckets.iter().map(|&count| u32::from(count)).sum::<u32>() >= HALVED_AT {
            for bucket in &mut *buckets {
                *bucket /= 2;
            }
        }
    }

    /// The time within which this share, in percent, of answers began; `None` with fewer than `least` of them.
    pub(crate) fn percentile(&self, percent: u8, least: u32) -> Option<Millis> {
        let buckets = self.0.lock();
        let all: u32 = buckets.iter().map(|&count| u32::from(count)).sum();
        if all < least.max(1) {
            return None;
        }
        let wanted = (all * u32::from(percent.min(100))).div_ceil(100);
        let mut seen = 0;
        let at = buckets.iter().position(|&count| {
            seen += u32::from(count);
            seen >= wanted
        })?;
        Some(GROWTH.powi(at as i32).ceil() as Millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_count_at_once_and_fade() {
        let latency = PeakEwma::default();
        assert!(latency.millis().abs() < f32::EPSILON);
        latency.record(100, 0);
        latency.record(1000, 1);
        assert!((latency.millis() - 1000.0).abs() < 1.0);
        latency.record(100, 10_001);
        assert!((latency.millis() - 550.0).abs() < 5.0, "{}", latency.millis());
        latency.record(100, 1_000_000);
        assert!((latency.millis() - 100.0).abs() < 1.0);
    }

    #[test]
    fn percentiles_follow_what_was_lately() {
        let times = Histogram::default();
        assert_eq!(times.percentile(95, 1), None);
        for millis in 1..=100 {
            times.record(millis * 10);
        }
        assert_eq!(times.percentile(95, 101), None);
        let p95 = times.percentile(95, 20).unwrap();
        assert!((950..=1150).contains(&p95), "{p95}");
        for _ in 0..2000 {
            times.record(50);
        }
        assert!(times.percentile(95, 20).unwrap() <= 60);
        times.record(u32::MAX);
    }
}
