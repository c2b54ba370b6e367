use serde::Deserialize;

use crate::fetch::FetchResponse;
use crate::url;

/// The metadata of the issuer (RFC 8414), asked for where its keys are.
pub(crate) struct Discovery {
    pub(crate) url: String,
    issuer: String,
    allow_http: bool,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Option<String>,
}

impl Discovery {
    /// RFC 8414 §3.1: the well-known part comes before the path of the issuer.
    pub(crate) fn new(issuer: &str, allow_http: bool) -> Self {
        const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
        let (scheme, rest) = issuer.split_once("://").unwrap_or(("https", issuer));
        let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let url = format!("{scheme}://{host}{WELL_KNOWN}{}", path.trim_end_matches('/'));
        Self { url, issuer: issuer.to_owned(), allow_http }
    }

    /// RFC 8414 §3.3: metadata of another issuer is none.
    pub(crate) fn jwks_uri(&self, response: &FetchResponse) -> Result<String, String> {
        if response.status != 200 {
            return Err(format!("the issuer's metadata was answered with status {}", response.status));
        }
        let metadata: Metadata = serde_json::from_slice(&response.body)
            .map_err(|_| "the issuer's metadata are not those of RFC 8414".to_owned())?;
        if metadata.issuer != self.issuer {
            return Err("the metadata are those of another issuer".to_owned());
        }
        let uri = metadata.jwks_uri.ok_or("the issuer's metadata have no jwks_uri")?;
        url::check(&uri, self.allow_http)
            .map_err(|_| "the jwks_uri of the issuer is not https".to_owned())?;
        Ok(uri)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_path_of_the_issuer_comes_last() {
        for (issuer, url) in [
            ("https://auth.example", "https://auth.example/.well-known/oauth-authorization-server"),
            ("https://auth.example/", "https://auth.example/.well-known/oauth-authorization-server"),
            (
                "https://a.example:8/one/two",
                "https://a.example:8/.well-known/oauth-authorization-server/one/two",
            ),
            ("http://[::1]:8/t/", "http://[::1]:8/.well-known/oauth-authorization-server/t"),
        ] {
            assert_eq!(Discovery::new(issuer, false).url, url);
        }
    }

    #[test]
    fn metadata_are_of_this_issuer_and_name_a_safe_address() {
        let discovery = Discovery::new("https://auth.example", false);
        let read = |status, body: &Value| discovery.jwks_uri(&FetchResponse::new(status, body.to_string()));
        let good = json!({"issuer": "https://auth.example", "jwks_uri": "https://keys.example/set", "x": 1});
        assert_eq!(read(200, &good), Ok("https://keys.example/set".to_owned()));
        for (status, name, value, reason) in [
            (404, "x", json!(1), "status 404"),
            (200, "issuer", json!("https://auth.example/"), "another issuer"),
            (200, "issuer", json!(null), "RFC 8414"),
            (200, "jwks_uri", json!(null), "no jwks_uri"),
            (200, "jwks_uri", json!("http://keys.example/set"), "not https"),
            (200, "jwks_uri", json!("file:///etc/passwd"), "not https"),
            (200, "jwks_uri", json!(["https://keys.example/set"]), "RFC 8414"),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            let error = read(status, &bad).unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }
}
