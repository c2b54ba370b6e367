use std::sync::atomic::{AtomicU64, Ordering};

/// How often values fell below each of some bounds. Counting takes two atomic additions, and no lock.
pub struct Distribution<const N: usize> {
    bounds: &'static [u64; N],
    /// Of each bound those that it is the lowest for.
    counts: [AtomicU64; N],
    /// Those above all bounds.
    beyond: AtomicU64,
    sum: AtomicU64,
}

/// What a [`Distribution`] has counted so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distributed {
    /// Each bound with how many values lay at it or below, and above the one before.
    pub up_to: Vec<(u64, u64)>,
    /// How many lay above all bounds.
    pub beyond: u64,
    /// Of all values.
    pub sum: u64,
}

impl<const N: usize> Distribution<N> {
    /// Nothing counted yet. The bounds rise.
    pub const fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; N],
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let lowest = self.bounds.partition_point(|bound| *bound < value);
        self.counts.get(lowest).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted. Values that come meanwhile may be in the sum and not yet in a count, or the other way round.
    pub fn counted(&self) -> Distributed {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Distributed {
            up_to: self.bounds.iter().copied().zip(counts).collect(),
            beyond: self.beyond.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_at_the_lowest_bound_that_it_does_not_exceed() {
        let distribution = Distribution::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, 1000] {
            distribution.observe(value);
        }
        let counted = distribution.counted();
        assert_eq!(counted.up_to, [(1, 2), (10, 2), (100, 2)]);
        assert_eq!((counted.beyond, counted.sum), (2, 1225));
    }
}
