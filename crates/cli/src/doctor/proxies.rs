use attesto_server::config::Settings;

use super::finding::Finding;

/// Whether what stands in front of the server can be told from its callers.
pub fn examine(settings: &Settings) -> Finding {
    let check = "proxies";
    if !settings.trusted_proxies.is_empty() {
        return Finding::ok(check, format!("{} networks are trusted", settings.trusted_proxies.len()));
    }
    if settings.tls.is_some() {
        return Finding::ok(check, "none, and none is needed: the server speaks TLS itself".to_owned());
    }
    if settings.issuer.starts_with("https:") {
        return Finding::warning(
            check,
            "the issuer is https, which a proxy has to speak, and trusted_proxies names none: all callers are one to the throttle"
                .to_owned(),
            "name the addresses of the proxy in trusted_proxies, or let the server speak TLS (tls_certificate, tls_key)",
        );
    }
    if !settings.listen.ip().is_loopback() {
        return Finding::warning(
            check,
            format!("the server listens on {} without TLS", settings.listen),
            "listen on 127.0.0.1, or put a proxy with TLS in front",
        );
    }
    Finding::ok(check, "none, and none is needed on this machine".to_owned())
}
