//! Places for a number of requests at once. Who finds none waits in line: first come, first served; the line is bounded, and so is the
//! wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How long a line may be, and how long one may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) length: usize,
    pub(crate) time: Duration,
}

/// A gate that lets so many through at once as each of them says: the number may change between two.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    taken: usize,
    waiting: VecDeque<(u64, oneshot::Sender<Permit>)>,
    /// The number of the next one who waits.
    next: u64,
}

/// There is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The line is as long as it may be.
    Line,
    /// The wait was as long as it may be.
    Time,
}

impl Gate {
    /// A place, if one is free and nobody waits for it.
    pub(crate) fn try_take(self: &Arc<Self>, places: usize) -> Option<Permit> {
        let mut line = self.line.lock();
        let free = line.taken < places && line.waiting.is_empty();
        line.taken += usize::from(free);
        drop(line);
        free.then(|| Permit { gate: Some(Arc::clone(self)) })
    }

    /// A place, as soon as it is one's turn. Dropping the future leaves the line.
    ///
    /// # Errors
    /// [`Full`], when the line or the wait is too long.
    pub(crate) async fn take(self: &Arc<Self>, places: usize, queue: Queue) -> Result<Permit, Full> {
        if let Some(permit) = self.try_take(places) {
            return Ok(permit);
        }
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut line = self.line.lock();
            if line.waiting.len() >= queue.length {
                return Err(Full::Line);
            }
            line.next += 1;
            let number = line.next;
            line.waiting.push_back((number, sender));
            number
        };
        let _leaving = Leaving { gate: self, number };
        match tokio::time::timeout(queue.time, receiver).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Full::Time),
        }
    }

    /// How many are through.
    pub(crate) fn taken(&self) -> usize {
        self.line.lock().taken
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.line.lock().waiting.len()
    }

    /// A place is free: the first in line gets it.
    fn release(self: Arc<Self>) {
        loop {
            let first = {
                let mut line = self.line.lock();
                let first = line.waiting.pop_front();
                if first.is_none() {
                    line.taken -= 1;
                }
                first
            };
            let Some((_, sender)) = first else { return };
            // One who has just left hands the place back.
            match sender.send(Permit { gate: Some(Arc::clone(&self)) }) {
                Ok(()) => return,
                Err(mut permit) => permit.gate = None,
            }
        }
    }
}

/// Takes one who waits no longer out of the line.
struct Leaving<'g> {
    gate: &'g Gate,
    number: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.gate.line.lock().waiting.retain(|(number, _)| *number != self.number);
    }
}

/// A place; dropping it gives it to the next in line.
#[derive(Debug)]
pub(crate) struct Permit {
    /// None once it is given back.
    gate: Option<Arc<Gate>>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const QUEUE: Queue = Queue { length: 2, time: Duration::from_secs(3600) };

    #[tokio::test]
    async fn places_go_to_those_who_wait_in_their_order() {
        let gate = Arc::new(Gate::default());
        let first = gate.try_take(1).unwrap();
        assert!(gate.try_take(1).is_none());
        let mut second = Box::pin(gate.take(1, QUEUE));
        let mut third = Box::pin(gate.take(1, QUEUE));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        assert_eq!(gate.take(1, QUEUE).await.unwrap_err(), Full::Line);
        drop(first);
        assert!((&mut third).now_or_never().is_none());
        let second = second.now_or_never().unwrap().unwrap();
        assert!(gate.try_take(1).is_none(), "nobody passes those who wait");
        drop(second);
        drop(third.now_or_never().unwrap().unwrap());
        assert!(gate.try_take(1).is_some());
    }

    #[tokio::test]
    async fn who_leaves_the_line_gives_up_the_place() {
        let gate = Arc::new(Gate::default());
        let first = gate.try_take(1).unwrap();
        let mut leaving = Box::pin(gate.take(1, QUEUE));
        let mut staying = Box::pin(gate.take(1, QUEUE));
        assert!((&mut leaving).now_or_never().is_none() && (&mut staying).now_or_never().is_none());
        drop(leaving);
        assert_eq!(gate.waiting(), 1);
        let mut late = Box::pin(gate.take(1, QUEUE));
        assert!((&mut late).now_or_never().is_none());
        // The place was handed over, but not taken.
        drop(first);
        drop(staying);
        assert!(late.now_or_never().unwrap().is_ok());
        assert_eq!(gate.waiting(), 0);
    }

    #[tokio::test]
    async fn the_wait_has_an_end() {
        let gate = Arc::new(Gate::default());
        let _held = gate.try_take(1).unwrap();
        assert_eq!(gate.take(1, Queue { time: Duration::ZERO, ..QUEUE }).await.unwrap_err(), Full::Time);
        assert_eq!(gate.take(1, Queue { length: 0, ..QUEUE }).await.unwrap_err(), Full::Line);
        assert_eq!(gate.waiting(), 0);
    }
}
