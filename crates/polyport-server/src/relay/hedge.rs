//! A second attempt beside a slow first one: whichever has output first counts, the other is cancelled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::attempt::{ATTEMPTS, Failed, with_repairs};
use super::course::{Course, Slot};
use super::origin::Origin;
use super::{Exchange, Ready};
use crate::observe::metrics::{OutcomeLabels, Word};

/// What came of an attempt, or of two.
#[derive(Debug)]
pub(super) struct Raced {
    pub(super) result: Result<Ready, Failed>,
    /// The second attempt and when it began, where it is the one that counts.
    pub(super) second: Option<(Slot, Instant)>,
}

impl Raced {
    /// The outcome of an attempt that had no other beside it.
    pub(super) fn alone(result: Result<Ready, Failed>) -> Self {
        Self { result, second: None }
    }
}

/// How a race ended.
struct Won {
    second: bool,
    result: Result<Ready, Failed>,
    /// The other one was still waiting.
    cancelled: bool,
}

impl Exchange {
    /// Whether an attempt leaves something behind at the provider that a second one would leave twice.
    pub(super) fn leaves_something(&self) -> bool {
        let background = match (&self.peeked, &self.decoded) {
            (Some(peek), _) => peek.is_true(&self.body, "background"),
            (None, Some(request)) => request.state.background == Some(true),
            (None, None) => false,
        };
        background || !matches!(self.origin, Origin::Body | Origin::Here)
    }

    /// The same request for a second attempt. The body is shared.
    fn beside(&self) -> Self {
        Self {
            app: Arc::clone(&self.app),
            runtime: Arc::clone(&self.runtime),
            id: self.id.clone(),
            caller: self.caller.clone(),
            wire: self.wire,
            answer: self.answer,
            head: self.head.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            model: self.model.clone(),
            stream: self.stream,
            strict: self.strict,
            decoded: self.decoded.clone(),
            peeked: self.peeked.clone(),
            origin: self.origin.clone(),
            expanded: self.expanded.clone(),
            record: Box::new(self.record.beside()),
        }
    }
}

/// Makes an attempt, and a second one if the first has no output after this time.
pub(super) async fn race(x: &mut Exchange, course: &mut Course, first: &Slot, after: Duration) -> Raced {
    let mut beside = x.beside();
    let began = Instant::now();
    let mut running = Box::pin(with_repairs(x, first));
    tokio::select! {
        biased;
        result = &mut running => return Raced::alone(result),
        () = tokio::time::sleep(after) => {}
    }
    let second = tokio::select! {
        biased;
        result = &mut running => return Raced::alone(result),
        second = course.second() => second,
    };
    let Some(second) = second else { return Raced::alone(running.await) };
    let second_began = Instant::now();
    let won = {
        let mut other = Box::pin(with_repairs(&mut beside, &second));
        tokio::select! {
            biased;
            result = &mut running => match result {
                Ok(ready) => Won { second: false, result: Ok(ready), cancelled: true },
                Err(failed) => {
                    course.one_failed(first, &failed);
                    Won { second: true, result: other.await, cancelled: false }
                }
            },
            result = &mut other => match result {
                Ok(ready) => Won { second: true, result: Ok(ready), cancelled: true },
                Err(failed) => match (&mut running).await {
                    Ok(ready) => {
                        course.one_failed(&second, &failed);
                        Won { second: false, result: Ok(ready), cancelled: false }
                    }
                    // What follows depends on what the second one showed: it is where the course stands.
                    Err(of_first) => {
                        course.one_failed(first, &of_first);
                        Won { second: true, result: Err(failed), cancelled: false }
                    }
                },
            },
        }
    };
    // The connection of the one that lost is closed here.
    drop(running);
    settle(x, beside, (first, began), (second, second_began), won)
}

/// Counts both attempts.
fn settle(x: &mut Exchange, beside: Exchange, first: (&Slot, Instant), second: (Slot, Instant), won: Won) -> Raced {
    let Won { second: by_second, result, cancelled } = won;
    let app = Arc::clone(&x.app);
    if cancelled {
        let (first, began) = first;
        let loser = if by_second { first } else { &second.0 };
        app.metrics.attempts(&loser.target.provider, "cancelled").inc();
        if by_second {
            first.outrun(!x.stream, began.elapsed());
        }
    }
    let outcome = match (&result, by_second) {
        (Err(_), _) => "neither",
        (Ok(_), true) => "second",
        (Ok(_), false) => "first",
    };
    app.metrics.hedges.get_or_create(&OutcomeLabels { outcome: Word(outcome) }).inc();
    x.record.adopt(*beside.record, by_second);
    let mut result = result;
    if let Ok(Ready::Whole { headers, .. } | Ready::Live { headers, .. }) = &mut result
        && let Some(attempts) = headers.get_mut(ATTEMPTS)
    {
        *attempts = HeaderValue::from(x.record.attempts());
    }
    Raced { result, second: by_second.then_some(second) }
}
