use attesto_store::Figures;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Histogram;
use crate::app::App;

/// What the database does for this server.
pub fn register(app: &App, registry: &mut Registry) {
    match app.store.figures() {
        Figures::Sqlite { waiting, changes, durations } => {
            let help = "Writes that wait for the thread that writes";
            registry.register("sqlite_writes_waiting", help, ConstGauge::new(waiting));
            let help = "How many changes became durable with one commit";
            registry.register("sqlite_commit_changes", help, Histogram::of_numbers(changes));
            let help = "From the beginning of a group of changes until it is on the disk";
            let durations = Histogram::of_seconds(durations);
            registry.register_with_unit("sqlite_commit_duration", help, Unit::Seconds, durations);
        }
        Figures::Postgres { used, limit, waiting } => {
            let help = "Connections to PostgreSQL that are at work";
            registry.register("database_connections_used", help, ConstGauge::new(used));
            let help = "Connections to PostgreSQL that this server may open";
            registry.register("database_connections_limit", help, ConstGauge::new(limit));
            let help = "Requests that wait for a connection to PostgreSQL";
            registry.register("database_connections_waiting", help, ConstGauge::new(waiting));
        }
    }
}
