use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Which program runs, as a label: queries join by it.
pub fn register(registry: &mut Registry) {
    let info = Family::<_, Gauge>::default();
    info.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    registry.register("build_info", "Always 1; the label says which version runs", info);
}
