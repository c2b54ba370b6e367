use attesto_core::Line;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;
use crate::feed::{Standing, snapshot_bytes};

/// The revocation feed as this server publishes it, and what it did for those who follow it.
pub fn register(app: &App, registry: &mut Registry) {
    let now = app.clock.now();
    let Standing { head, records, newest, age, waiters, most_waiters } = app.feed.standing(now);

    registry.register(
        "feed_seq",
        "The position of the newest record that this server publishes",
        ConstGauge::new(head.seq),
    );
    let by_kind = Family::<_, Gauge>::default();
    let mut living = 0;
    for (kind, count) in records {
        by_kind.get_or_create(&[("kind", kind.as_str())]).set(i64::try_from(count).unwrap_or(i64::MAX));
        living += count;
    }
    registry.register("feed_records", "Published records that have not expired", by_kind);
    if let Some(newest) = newest {
        let age = ConstGauge::new(now.since(newest).as_secs_f64());
        let help = "Since the newest published record was made";
        registry.register_with_unit("feed_newest_record_age", help, Unit::Seconds, age);
    }
    if let Some(key) = app.keys.loaded().keyring.active(Line::of_feed()) {
        let bytes = snapshot_bytes(&app.url, &head, living, &key.public_jwk().kid, now);
        let help = "The size of a snapshot, not compressed";
        registry.register_with_unit("feed_snapshot", help, Unit::Bytes, ConstGauge::new(bytes));
    }
    let help = "Since the store confirmed what is published; beyond 10 the feed is answered 503";
    registry.register_with_unit("feed_read_age", help, Unit::Seconds, ConstGauge::new(age.as_secs_f64()));
    registry.register("feed_waiters", "Requests that wait for news of the feed", ConstGauge::new(waiters));
    let help = "Requests that may wait for news of the feed at once; further ones are answered 503";
    registry.register("feed_waiters_limit", help, ConstGauge::new(most_waiters));
    app.feed.counts.register(registry);
}
