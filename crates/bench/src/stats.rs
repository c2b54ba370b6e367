//! Medians and quantiles.

use serde::Serialize;

/// Measured values, in order.
pub struct Sample(Vec<f64>);

/// The middle of a sample, and how far the middle half of it spreads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Half of the values are below.
    pub median: f64,
    /// A quarter is below.
    pub lower_quartile: f64,
    /// A quarter is above.
    pub upper_quartile: f64,
}

impl Sample {
    /// Takes finite values in any order.
    pub fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value below which a `share` of the sample lies (0 to 1), taken between the two nearest values; 0 for an
    /// empty sample.
    pub fn quantile(&self, share: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return 0.0 };
        let mut rest = share.clamp(0.0, 1.0) * real(last);
        let mut at = 0;
        while rest >= 1.0 && at < last {
            rest -= 1.0;
            at += 1;
        }
        let (below, above) = (self.0[at], self.0[(at + 1).min(last)]);
        below + (above - below) * rest
    }

    /// The largest value; 0 for an empty sample.
    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// How many values are above `limit`.
    pub fn above(&self, limit: f64) -> usize {
        self.len() - self.0.partition_point(|value| *value <= limit)
    }

    /// Median and quartiles.
    pub fn summary(&self) -> Summary {
        Summary {
            median: self.quantile(0.5),
            lower_quartile: self.quantile(0.25),
            upper_quartile: self.quantile(0.75),
        }
    }
}

/// A count among the reals.
pub fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To a thousandth: the quantiles below are exact on paper.
    fn rounded(value: f64) -> String {
        format!("{value:.3}")
    }

    #[test]
    fn quantiles_lie_between_the_nearest_values() {
        let sample = Sample::new(vec![40.0, 10.0, 30.0, 20.0]);
        let table = [
            (0.0, "10.000"),
            (0.25, "17.500"),
            (0.5, "25.000"),
            (0.75, "32.500"),
            (0.99, "39.700"),
            (1.0, "40.000"),
        ];
        for (share, expected) in table {
            assert_eq!(rounded(sample.quantile(share)), expected, "{share}");
        }
        let one = Sample::new(vec![7.0]);
        assert_eq!([0.0, 0.5, 1.0].map(|share| rounded(one.quantile(share))), ["7.000"; 3]);
        assert_eq!(rounded(Sample::new(vec![]).quantile(0.5)), "0.000");
    }

    #[test]
    fn the_largest_of_many_is_exact() {
        let sample = Sample::new((1..=100_000).map(f64::from).collect());
        assert_eq!(rounded(sample.max()), "100000.000");
        assert_eq!(rounded(sample.quantile(0.99)), "99000.010");
    }

    #[test]
    fn a_value_at_the_limit_is_not_above_it() {
        let sample = Sample::new(vec![100.0, 99.0, 100.1, 250.0]);
        assert_eq!(sample.above(100.0), 2);
        assert_eq!(sample.above(0.0), 4);
        assert_eq!(sample.above(250.0), 0);
    }

    #[test]
    fn a_summary_is_not_moved_by_an_outlier() {
        let summary = Sample::new(vec![1.0, 2.0, 3.0, 4.0, 1_000_000.0]).summary();
        assert_eq!(summary, Summary { median: 3.0, lower_quartile: 2.0, upper_quartile: 4.0 });
    }
}
