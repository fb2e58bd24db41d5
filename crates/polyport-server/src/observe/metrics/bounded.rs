//! Families of figures whose labels hold names: there are only so many of them.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::family::{Family, MetricConstructor};

/// Sets of labels in one family. What comes beyond is counted under [`Names::other`].
pub(crate) const MOST: usize = 200;

/// Labels that hold names.
pub(crate) trait Names: Clone + Debug + Eq + Hash {
    /// The same with a copy of each name: one may be a slice of a whole request.
    fn owned(&self) -> Self;

    /// The labels of all that have no place of their own.
    fn other(&self) -> Self;
}

/// A family with a bound on its sets of labels.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<L, M, C = fn() -> M> {
    family: Family<L, M, C>,
    known: Arc<AtomicUsize>,
}

impl<L: Names, M: Default + Clone> Default for Bounded<L, M> {
    fn default() -> Self {
        Self::new(M::default)
    }
}

impl<L: Names, M: Clone> Bounded<L, M> {
    pub(crate) fn new(make: fn() -> M) -> Self {
        Self { family: Family::new_with_constructor(make), known: Arc::default() }
    }
}

impl<L: Names, M: Clone, C: MetricConstructor<M>> Bounded<L, M, C> {
    /// The figure of these labels.
    pub(crate) fn of(&self, labels: &L) -> M {
        if let Some(known) = self.family.get(labels) {
            return known.clone();
        }
        let labels = match self.known.fetch_add(1, Ordering::Relaxed) {
            ..MOST => labels.owned(),
            _ => labels.other(),
        };
        self.family.get_or_create(&labels).clone()
    }

    /// What is registered.
    pub(crate) fn family(&self) -> Family<L, M, C>
    where
        C: Clone,
    {
        self.family.clone()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Model(String);

    impl Names for Model {
        fn owned(&self) -> Self {
            self.clone()
        }

        fn other(&self) -> Self {
            Self("other".to_owned())
        }
    }

    #[test]
    fn a21_names_beyond_the_bound_share_one_figure() {
        let bounded = Bounded::<Model, Counter>::default();
        for round in 0..3 {
            for number in 0..MOST * 5 {
                bounded.of(&Model(number.to_string())).inc();
            }
            assert_eq!(bounded.of(&Model("7".to_owned())).get(), round + 1);
        }
        let others = bounded.of(&Model("other".to_owned())).get();
        assert_eq!(usize::try_from(others).unwrap(), 3 * 4 * MOST);
        let known = (0..MOST * 5).filter(|number| bounded.family.get(&Model(number.to_string())).is_some()).count();
        assert_eq!(known, MOST);
    }
}
