use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::app::App;

/// The keys as this server has loaded them.
pub fn register(app: &App, registry: &mut Registry) {
    let keys = Family::<_, Gauge>::default();
    for key in &app.keys.loaded().keyring.table().keys {
        let labels = [
            ("purpose", key.purpose.as_str()),
            ("algorithm", key.algorithm.as_str()),
            ("state", key.state.as_str()),
        ];
        keys.get_or_create(&labels).inc();
    }
    registry.register("keys", "Signing keys that this server has loaded", keys);
}
