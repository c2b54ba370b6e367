use std::sync::atomic::AtomicU64;

use attesto_core::{Guards, Instant, KeyTable, Line};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;

type OfLines = Family<[(&'static str, &'static str); 2], Gauge<f64, AtomicU64>>;

/// The keys as this server has loaded them, and when the schedule moves them.
pub fn register(app: &App, registry: &mut Registry) {
    let (loaded, now) = (app.keys.loaded(), app.clock.now());
    let table = loaded.keyring.table();
    register_states(table, registry);
    let help = "Since the key that signs took over";
    registry.register_with_unit("key_active_age", help, Unit::Seconds, ages(table, now));
    if let Some(facts) = app.sampled.facts() {
        let guards = Guards { policy: app.keeper.policy(), facts: &facts };
        let help = "Until the schedule lets the next key take over; below 0 it is late";
        registry.register_with_unit("key_rotation_due", help, Unit::Seconds, due(table, guards, now));
    }
}

fn register_states(table: &KeyTable, registry: &mut Registry) {
    let keys = Family::<_, Gauge>::default();
    let of_state = |line, state| {
        let [purpose, algorithm] = labels(line);
        keys.get_or_create_owned(&[purpose, algorithm, ("state", state)])
    };
    // That a line has no next key is to be seen.
    for line in table.active_lines() {
        of_state(line, "staged");
    }
    for key in &table.keys {
        of_state(key.line(), key.state.as_str()).inc();
    }
    registry.register("keys", "Signing keys that this server has loaded", keys.clone());
}

fn ages(table: &KeyTable, now: Instant) -> OfLines {
    let ages = OfLines::default();
    for line in table.active_lines() {
        if let Some(active_at) = table.active(line).and_then(|key| key.active_at) {
            ages.get_or_create(&labels(line)).set(now.since(active_at).as_secs_f64());
        }
    }
    ages
}

fn due(table: &KeyTable, guards: Guards<'_>, now: Instant) -> OfLines {
    let due = OfLines::default();
    for line in table.active_lines() {
        if let Some(at) = table.rotation_at(line, guards) {
            // One of the two is nothing.
            due.get_or_create(&labels(line)).set(at.since(now).as_secs_f64() - now.since(at).as_secs_f64());
        }
    }
    due
}

fn labels(line: Line) -> [(&'static str, &'static str); 2] {
    [("purpose", line.purpose.as_str()), ("algorithm", line.algorithm.as_str())]
}
