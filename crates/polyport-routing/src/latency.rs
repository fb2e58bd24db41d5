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
}
