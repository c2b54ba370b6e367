use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::password::Queue;

/// The passwords that are hashed, and those that wait for it.
pub fn register(app: &App, registry: &mut Registry) {
    let Queue { waiting, running, capacity, rejected } = app.passwords.queue();
    registry.register(
        "password_hashes_waiting",
        "Passwords that wait for their turn to be hashed",
        ConstGauge::new(waiting),
    );
    registry.register("password_hashes_running", "Passwords that are being hashed", ConstGauge::new(running));
    registry.register(
        "password_hashes_capacity",
        "Passwords that can be hashed at once",
        ConstGauge::new(capacity),
    );
    registry.register(
        "password_hashes_rejected",
        "Passwords that waited too long for their turn and were answered 503",
        ConstCounter::new(rejected),
    );
}
