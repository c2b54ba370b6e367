use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;

/// The certificate, if the server has one.
pub fn register(app: &App, registry: &mut Registry) {
    let Some(tls) = &app.tls else { return };
    let help = "Until when the certificate that is shown is good, in seconds since 1970";
    registry.register_with_unit(
        "tls_certificate_not_after_timestamp",
        help,
        Unit::Seconds,
        ConstGauge::new(tls.not_after()),
    );
    let help = "1 if the files hold a certificate or a key that cannot be used, and the one before is shown";
    registry.register("tls_certificate_is_behind", help, ConstGauge::new(i64::from(tls.is_behind())));
}
