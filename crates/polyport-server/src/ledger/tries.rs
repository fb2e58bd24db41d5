//! What a request used, try by try, while it is answered.

use std::time::{Duration, Instant};

use polyport_accounting::{Class, Counts};
use polyport_store::log::{Attempt, Ending, State};
use polyport_types::{Fault, Usage};

use super::prices::Priced;

/// Longest words of an error that are kept, in characters.
const LONGEST_ERROR: usize = 300;

/// What a request may use, or has used where nobody counts: tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

impl Estimate {
    /// In classes.
    pub(crate) fn counts(self) -> Counts {
        let mut counts = Counts { estimated: true, ..Counts::default() };
        counts.per_class[Class::Input] = self.input;
        counts.per_class[Class::Output] = self.output;
        counts
    }

    fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// How a try ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Close<'a> {
    /// The answer is whole.
    Answered,
    /// It failed.
    Failed(&'a Fault),
    /// The client left. `Cancelled` if the provider was left as well.
    Gone(Ending),
    /// Another try answered first.
    Outrun,
}

/// One try of a target.
#[derive(Debug)]
pub(crate) struct Try {
    /// As it is if the process ends now.
    pub(crate) attempt: Attempt,
    began: Instant,
    pub(crate) open: bool,
}

/// What is known when a try ends.
#[derive(Debug)]
pub(crate) struct Known {
    /// What the provider counted.
    pub(crate) usage: Usage,
    /// What was sent, and what came of the answer.
    pub(crate) seen: Estimate,
    /// When the first output came.
    pub(crate) first_output: Option<Instant>,
}

impl Try {
    /// A try that begins now and may use so much.
    pub(crate) fn begin(attempt: Attempt, estimate: Estimate, priced: &Priced) -> Self {
        let mut this = Self { attempt, began: Instant::now(), open: true };
        "unknown".clone_into(&mut this.attempt.outcome);
        this.attempt.charged = true;
        this.count(&estimate.counts(), priced);
        this
    }

    /// The try is over.
    pub(crate) fn close(&mut self, how: Close<'_>, known: &Known, priced: &Priced) {
        self.open = false;
        let attempt = &mut self.attempt;
        attempt.duration_ms = millis(self.began.elapsed());
        attempt.first_token_ms = known.first_output.map(|at| millis(at.saturating_duration_since(self.began)));
        let counted = Counts::of(&known.usage);
        let (state, counts) = match how {
            Close::Answered => match counted {
                Some(counts) if counts.estimated => (State::Estimated, counts),
                Some(counts) => (State::Settled, counts),
                None if known.seen.is_zero() => (State::Unused, Counts::default()),
                None => (State::Estimated, known.seen.counts()),
            },
            Close::Failed(fault) => match counted {
                Some(counts) => (State::Settled, counts),
                None if fault.unsent || fault.upstream_status.is_some_and(|status| status >= 300) => {
                    (State::Unused, Counts::default())
                }
                None => (State::Unknown, known.seen.counts()),
            },
            Close::Gone(Ending::Drained) if counted.is_some() => (State::Settled, counted.unwrap_or_default()),
            Close::Gone(_) => (State::Estimated, at_least(counted, known.seen)),
            Close::Outrun => (State::Unknown, at_least(counted, Estimate { output: 0, ..known.seen })),
        };
        let words = |fault: &Fault| fault.message.chars().filter(|c| !c.is_control()).take(LONGEST_ERROR).collect();
        (attempt.outcome, attempt.status, attempt.error, attempt.ending) = match how {
            Close::Answered => ("answered".to_owned(), Some(200), None, Ending::Complete),
            Close::Failed(fault) => {
                (fault.class.as_str().to_owned(), fault.upstream_status, Some(words(fault)), Ending::Failed)
            }
            Close::Gone(ending) => ("client_gone".to_owned(), None, None, ending),
            Close::Outrun => ("outrun".to_owned(), None, None, Ending::Cancelled),
        };
        attempt.charged = match how {
            Close::Answered | Close::Gone(_) => true,
            // What came before the failure was of use.
            Close::Failed(_) => known.first_output.is_some(),
            Close::Outrun => false,
        };
        attempt.state = state;
        self.count(&counts, priced);
    }

    fn count(&mut self, counts: &Counts, priced: &Priced) {
        let attempt = &mut self.attempt;
        attempt.counts = counts.iter().map(|(class, count)| (class.as_str().to_owned(), count)).collect();
        let cost = priced.cost(counts);
        attempt.unpriced = cost.as_ref().is_none_or(|cost| !cost.is_complete()) && !attempt.counts.is_empty();
        attempt.currency = cost.as_ref().map(|cost| cost.currency.as_str().to_owned());
        attempt.cost = cost.map(|cost| cost.total.picos());
    }
}

/// What the provider counted before it was left, and what came after that.
fn at_least(counted: Option<Counts>, seen: Estimate) -> Counts {
    let Some(mut counts) = counted else { return seen.counts() };
    counts.estimated = true;
    let output = counts.per_class[Class::Output].saturating_add(counts.per_class[Class::Reasoning]);
    counts.per_class[Class::Output] =
        counts.per_class[Class::Output].saturating_add(seen.output.saturating_sub(output));
    counts
}

pub(crate) fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use polyport_types::FaultClass;

    use super::*;

    fn closed(how: Close<'_>, usage: Usage, output: bool) -> Attempt {
        let priced = Priced::default();
        let mut one = Try::begin(Attempt::default(), Estimate { input: 100, output: 1000 }, &priced);
        assert_eq!((one.attempt.state, one.attempt.tokens()), (State::Unknown, 1100), "as long as it is open");
        let first_output = output.then(Instant::now);
        one.close(how, &Known { usage, seen: Estimate { input: 100, output: 7 }, first_output }, &priced);
        one.attempt
    }

    fn used() -> Usage {
        Usage { input_uncached: Some(50), output_text: Some(2), ..Usage::default() }
    }

    #[test]
    fn what_the_provider_counted_counts() {
        let one = closed(Close::Answered, used(), true);
        assert_eq!((one.state, one.tokens(), one.charged, one.cost), (State::Settled, 52, true, None));
        assert!(one.unpriced, "a price that nobody knows is not zero");
    }

    #[test]
    fn what_nobody_counted_is_estimated() {
        let one = closed(Close::Answered, Usage::default(), true);
        assert_eq!((one.state, one.tokens(), one.charged), (State::Estimated, 107, true));
        let one = closed(Close::Gone(Ending::Cancelled), used(), true);
        assert_eq!((one.state, one.tokens(), one.charged), (State::Estimated, 57, true), "output that came counts");
    }

    #[test]
    fn what_a_provider_refused_is_not_used_and_what_broke_off_is_unknown() {
        let refused =
            Fault { upstream_status: Some(429), from_upstream: true, ..Fault::new(FaultClass::RateLimited, "x") };
        let one = closed(Close::Failed(&refused), Usage::default(), false);
        assert_eq!((one.state, one.tokens(), one.charged, one.status), (State::Unused, 0, false, Some(429)));
        let broken = Fault::new(FaultClass::Transport, "x");
        let one = closed(Close::Failed(&broken), Usage::default(), false);
        assert_eq!((one.state, one.charged), (State::Unknown, false));
        let one = closed(Close::Failed(&Fault { unsent: true, ..broken }), Usage::default(), false);
        assert_eq!(one.state, State::Unused);
        let one = closed(Close::Outrun, Usage::default(), false);
        assert_eq!((one.state, one.tokens(), one.charged), (State::Unknown, 100, false));
    }
}
