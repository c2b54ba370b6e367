/// Why a text is no redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriRefused {
    /// Not `scheme:rest`, or with characters that stand in no URI.
    #[error("a redirect URI is an absolute URI")]
    NotAbsolute,
    /// RFC 6749 §3.1.2.
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// It is compared exactly (RFC 9700 §2.1): a pattern would only look as if it worked.
    #[error("a redirect URI is compared exactly; * matches nothing")]
    Wildcard,
    /// Neither https, nor http on loopback, nor an app's own scheme (RFC 8252 §7).
    #[error(
        "a redirect URI begins with https://, with http:// on loopback, or with an app's scheme such as com.example.app:/"
    )]
    Scheme,
}

/// Takes a text as a redirect URI that a client may be sent back to, exactly as it stands.
pub fn parse_redirect_uri(text: &str) -> Result<String, RedirectUriRefused> {
    let (scheme, rest) = text.split_once(':').ok_or(RedirectUriRefused::NotAbsolute)?;
    if rest.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
    {
        return Err(RedirectUriRefused::NotAbsolute);
    }
    if text.contains('#') {
        return Err(RedirectUriRefused::Fragment);
    }
    if text.contains('*') {
        return Err(RedirectUriRefused::Wildcard);
    }
    let acceptable = match scheme {
        "https" => !host(rest).is_empty(),
        "http" => matches!(host(rest), "localhost" | "127.0.0.1" | "[::1]"),
        app => {
            app.contains('.')
                && app.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte))
        }
    };
    acceptable.then(|| text.to_owned()).ok_or(RedirectUriRefused::Scheme)
}

/// The host of `//host:port/path`; empty if there is none, or if a user stands before it.
fn host(rest: &str) -> &str {
    let authority = rest.strip_prefix("//").unwrap_or_default().split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return "";
    }
    let port = authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'));
    port.map_or(authority, |colon| &authority[..colon])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_compared_exactly_and_reached_safely() {
        use RedirectUriRefused::{Fragment, NotAbsolute, Scheme, Wildcard};
        for uri in [
            "https://app.example.com/callback?a=b",
            "https://app.example.com:8443/callback",
            "http://127.0.0.1:3000/callback",
            "http://localhost/callback",
            "http://[::1]:7/callback",
            "com.example.app:/callback",
        ] {
            assert_eq!(parse_redirect_uri(uri).as_deref(), Ok(uri));
        }
        let table = [
            ("", NotAbsolute),
            ("/callback", NotAbsolute),
            ("https:", NotAbsolute),
            ("https://app.example.com/a b", NotAbsolute),
            ("https://app.example.com\\@evil.example", NotAbsolute),
            ("https://äpp.example.com/", NotAbsolute),
            ("https://app.example.com/#x", Fragment),
            ("https://*.example.com/", Wildcard),
            ("https:///callback", Scheme),
            ("https://user@app.example.com/", Scheme),
            ("http://app.example.com/", Scheme),
            ("http://127.0.0.1.evil.example/", Scheme),
            ("http://127.0.0.1@evil.example/", Scheme),
            ("javascript:alert(1)", Scheme),
            ("data:text/html,x", Scheme),
            ("myapp:/callback", Scheme),
        ];
        for (uri, refused) in table {
            assert_eq!(parse_redirect_uri(uri), Err(refused), "{uri}");
        }
    }
}
