use std::fmt;

use attesto_store::{Distributed, Distribution};
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// From a millisecond to ten seconds, in nanoseconds.
const BOUNDS: [u64; 13] = [
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// How long answers take, in nanoseconds.
pub type Durations = Distribution<13>;

/// Nothing has taken any time yet.
pub const fn durations() -> Durations {
    Distribution::new(&BOUNDS)
}

/// A distribution as Prometheus shows it.
#[derive(Debug)]
pub struct Histogram {
    distributed: Distributed,
    /// How many of what was counted make one of what is shown.
    scale: f64,
}

impl Histogram {
    /// Of nanoseconds, in seconds.
    pub fn of_seconds(distributed: Distributed) -> Self {
        Self { distributed, scale: 1e9 }
    }

    /// As it was counted.
    pub fn of_numbers(distributed: Distributed) -> Self {
        Self { distributed, scale: 1.0 }
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let Distributed { up_to, beyond, sum } = &self.distributed;
        let bounded = up_to.iter().map(|(bound, count)| (number(*bound) / self.scale, *count));
        let buckets: Vec<_> = bounded.chain([(f64::INFINITY, *beyond)]).collect();
        // From what is shown, so that the two agree.
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(number(*sum) / self.scale, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// One for each set of labels.
#[derive(Debug)]
pub struct Histograms<L>(pub Vec<(L, Histogram)>);

impl<L: EncodeLabelSet> EncodeMetric for Histograms<L> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.iter().try_for_each(|(labels, histogram)| histogram.encode(encoder.encode_family(labels)?))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Exact up to a hundred days of nanoseconds, and near enough beyond.
#[expect(clippy::cast_precision_loss, reason = "the last of sixteen digits shows nobody anything")]
fn number(count: u64) -> f64 {
    count as f64
}
