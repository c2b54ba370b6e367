use std::net::IpAddr;

/// Why an address is not one to fetch keys from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadUrl {
    Invalid,
    /// Whoever is on the way could put in keys of their own.
    Insecure,
}

/// `https`, or `http` to this machine, or any `http` if that was allowed.
pub(crate) fn check(url: &str, allow_http: bool) -> Result<(), BadUrl> {
    let (scheme, host) = parts(url).ok_or(BadUrl::Invalid)?;
    match scheme.as_str() {
        "https" => Ok(()),
        "http" if allow_http || host_is_loopback(&host) => Ok(()),
        "http" => Err(BadUrl::Insecure),
        _ => Err(BadUrl::Invalid),
    }
}

#[cfg(any(feature = "reqwest", feature = "ureq"))]
pub(crate) fn is_loopback(url: &str) -> bool {
    parts(url).is_some_and(|(_, host)| host_is_loopback(&host))
}

fn host_is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Scheme and host. Nobody puts credentials into the address of a key set, and what stands before an `@` may be made to
/// look like a host: such an address is none.
fn parts(url: &str) -> Option<(String, String)> {
    let uri: http::Uri = url.parse().ok()?;
    if uri.authority()?.as_str().contains('@') {
        return None;
    }
    Some((uri.scheme_str()?.to_ascii_lowercase(), uri.host()?.to_ascii_lowercase()))
}
