use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a service tells of itself, so that a client finds out where to get a token for it (RFC 9728).
///
/// The document is served at [`well_known_path`](Self::well_known_path), to everybody, and each challenge names its
/// [`url`](Self::url) once it is given to [`ResourceServer::protected_resource`](crate::ResourceServer::protected_resource).
///
/// ```
/// use attesto_verifier::ProtectedResource;
///
/// let resource = ProtectedResource::new("https://api.example/orders")?
///     .authorization_server("https://auth.example")
///     .scopes(&["orders:read", "orders:write"])
///     .name("Orders");
/// assert_eq!(resource.url(), "https://api.example/.well-known/oauth-protected-resource/orders");
/// # Ok::<(), attesto_verifier::InvalidResource>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProtectedResource {
    resource: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_tos_uri: Option<String>,
    #[serde(skip)]
    origin: String,
    #[serde(skip)]
    well_known_path: String,
}

/// The resource identifier cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the resource identifier must be an https URL without query and fragment; http is for loopback addresses alone"
)]
pub struct InvalidResource;

impl ProtectedResource {
    /// Starts with the resource identifier (RFC 9728 §1.2): the URL of the service as its clients know it, often the
    /// audience of its tokens. `https`, or `http` on a loopback address; without fragment, and without query, which
    /// §1.2 advises against.
    ///
    /// # Errors
    ///
    /// Anything else is [`InvalidResource`].
    pub fn new(resource: impl Into<String>) -> Result<Self, InvalidResource> {
        let resource = resource.into();
        let (origin, path) = split(&resource).ok_or(InvalidResource)?;
        Ok(Self {
            origin: origin.to_owned(),
            well_known_path: well_known_path(path),
            resource,
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: ["header"],
            resource_name: None,
            resource_documentation: None,
            resource_policy_uri: None,
            resource_tos_uri: None,
        })
    }

    /// Adds an issuer whose tokens are accepted.
    pub fn authorization_server(mut self, issuer: impl Into<String>) -> Self {
        self.authorization_servers.push(issuer.into());
        self
    }

    /// The scopes that a client can ask for, as far as they may be known.
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes_supported = scopes.iter().copied().map(str::to_owned).collect();
        self
    }

    /// A name for people.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.resource_name = Some(name.into());
        self
    }

    /// The URL of a page for developers.
    pub fn documentation(mut self, url: impl Into<String>) -> Self {
        self.resource_documentation = Some(url.into());
        self
    }

    /// The URL of a page on what clients may do with the data.
    pub fn policy(mut self, url: impl Into<String>) -> Self {
        self.resource_policy_uri = Some(url.into());
        self
    }

    /// The URL of the terms of service.
    pub fn terms_of_service(mut self, url: impl Into<String>) -> Self {
        self.resource_tos_uri = Some(url.into());
        self
    }

    /// Where the document is served: the well-known path, with the path of the resource after it (RFC 9728 §3.1).
    pub fn well_known_path(&self) -> &str {
        &self.well_known_path
    }

    /// The address of the document, for `resource_metadata` in a challenge (RFC 9728 §5.1).
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.well_known_path)
    }

    /// The document (RFC 9728 §2), to be served as `application/json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and lists of them are JSON")
    }
}

/// The slash after the host goes; any other one belongs to the resource.
fn well_known_path(path: &str) -> String {
    let path = if path == "/" { "" } else { path };
    format!("{WELL_KNOWN}{path}")
}

/// Divides a resource identifier before its path.
fn split(resource: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = resource.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host(authority)?;
    let is_secure = scheme == "https" || (scheme == "http" && is_loopback(host));
    let is_valid = is_secure && path.bytes().all(is_path_byte);
    is_valid.then(|| resource.split_at(resource.len() - path.len()))
}

/// The host of an authority (RFC 3986 §3.2) that names no user.
fn host(authority: &str) -> Option<&str> {
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_valid = (is_name(host) || is_v6_literal(host)) && (port.is_empty() || is_port(port));
    is_valid.then_some(host)
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn is_v6_literal(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

fn is_port(text: &str) -> bool {
    let is_number =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    text.strip_prefix(':').is_some_and(is_number)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A slash or part of a segment (RFC 3986 §3.3).
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_path_of_the_resource_comes_after_the_well_known_one() {
        for (resource, url) in [
            ("https://api.example", "https://api.example/.well-known/oauth-protected-resource"),
            ("https://api.example/", "https://api.example/.well-known/oauth-protected-resource"),
            ("https://api.example/orders", "https://api.example/.well-known/oauth-protected-resource/orders"),
            (
                "https://api.example/orders/",
                "https://api.example/.well-known/oauth-protected-resource/orders/",
            ),
            (
                "https://api.example:8443/a/b",
                "https://api.example:8443/.well-known/oauth-protected-resource/a/b",
            ),
            ("http://[::1]:80/a", "http://[::1]:80/.well-known/oauth-protected-resource/a"),
        ] {
            assert_eq!(ProtectedResource::new(resource).unwrap().url(), url);
        }
    }

    #[test]
    fn an_identifier_is_an_https_url_or_on_this_machine() {
        for resource in [
            "https://api.example/a%20b;c=1,2",
            "https://[2001:db8::1]",
            "http://localhost:8080",
            "http://127.0.0.2/orders",
            "http://[::1]",
        ] {
            assert!(ProtectedResource::new(resource).is_ok(), "{resource}");
        }
        for resource in [
            "",
            "orders",
            "api.example",
            "https://",
            "https:///orders",
            "https://api.example#a",
            "https://api.example/#",
            "https://api.example?a=b",
            "https://api.example/orders?a",
            "https://user@api.example",
            "https://api.example:port",
            "https://api.example:",
            "https://api.example:99999",
            "https://api.example:+1",
            "https://[::1",
            "https://[api.example]",
            "https://[::1]8080",
            "https://api.example/a b",
            "https://api.example/\"",
            "https://api.example/\r\n",
            "https://api.example/\\",
            "https://api.example/{a}",
            "https://\u{e9}.example",
            "http://api.example",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "ftp://api.example",
            "urn:example:orders",
        ] {
            assert_eq!(ProtectedResource::new(resource), Err(InvalidResource), "{resource}");
        }
    }

    #[test]
    fn the_document_has_what_was_said_and_no_empty_lists() {
        let document =
            |resource: &ProtectedResource| serde_json::from_str::<Value>(&resource.to_json()).unwrap();
        let resource = ProtectedResource::new("https://api.example/orders").unwrap();
        assert_eq!(
            document(&resource),
            json!({"resource": "https://api.example/orders", "bearer_methods_supported": ["header"]})
        );
        let resource = resource
            .authorization_server("https://auth.example")
            .scopes(&["orders:read", "orders:write"])
            .name("Orders")
            .documentation("https://api.example/docs")
            .policy("https://api.example/policy")
            .terms_of_service("https://api.example/terms");
        assert_eq!(
            document(&resource),
            json!({
                "resource": "https://api.example/orders",
                "authorization_servers": ["https://auth.example"],
                "scopes_supported": ["orders:read", "orders:write"],
                "bearer_methods_supported": ["header"],
                "resource_name": "Orders",
                "resource_documentation": "https://api.example/docs",
                "resource_policy_uri": "https://api.example/policy",
                "resource_tos_uri": "https://api.example/terms",
            })
        );
    }
}
