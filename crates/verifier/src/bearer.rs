use crate::error::Error;

/// Finds the access token of a request (RFC 6750 §2.1): takes the values of all its `Authorization` headers and returns
/// the token, not yet verified. The form body and the query (§2.2, §2.3) are no place for one: both end up in logs.
///
/// # Errors
///
/// [`Error::Missing`] if there is no such header or it has another scheme, [`Error::InvalidRequest`] if there are
/// several or what follows `Bearer` is not one token.
///
/// ```
/// use attesto_verifier::{Error, bearer_token};
///
/// assert_eq!(bearer_token([b"bearer abc.def.ghi".as_slice()]), Ok("abc.def.ghi"));
/// assert_eq!(bearer_token([b"Basic dXNlcjpwYXNz".as_slice()]), Err(Error::Missing));
/// assert_eq!(bearer_token([b"Bearer abc def".as_slice()]), Err(Error::InvalidRequest));
/// ```
pub fn bearer_token<'a>(authorization: impl IntoIterator<Item = &'a [u8]>) -> Result<&'a str, Error> {
    let mut values = authorization.into_iter();
    let value = values.next().ok_or(Error::Missing)?;
    if values.next().is_some() {
        return Err(Error::InvalidRequest);
    }
    let (scheme, credentials) = split_scheme(value);
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(Error::Missing);
    }
    token68(credentials).ok_or(Error::InvalidRequest)
}

/// Divides `credentials` (RFC 9110 §11.4) after the scheme and leaves out the spaces between the two.
fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    (scheme, &rest[spaces..])
}

/// The form of every token in this place (RFC 9110 §11.2).
fn token68(text: &[u8]) -> Option<&str> {
    let text = str::from_utf8(text).ok()?;
    let characters = text.trim_end_matches('=');
    let is_token68 = !characters.is_empty() && characters.bytes().all(is_token68_byte);
    is_token68.then_some(text)
}

fn is_token68_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: &[&'static str]) -> Result<&'static str, Error> {
        bearer_token(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn one_token_after_the_scheme() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "BeArEr    a.b.c"] {
            assert_eq!(found(&[value]), Ok("a.b.c"), "{value}");
        }
        assert_eq!(found(&["Bearer aZ09-._~+/=="]), Ok("aZ09-._~+/=="));
    }

    #[test]
    fn another_scheme_is_no_token() {
        assert_eq!(found(&[]), Err(Error::Missing));
        for value in
            ["", " ", "Basic Zm9v", "Bearera.b.c", "DPoP a.b.c", "a.b.c", " Bearer a.b.c", "Bearer,a"]
        {
            assert_eq!(found(&[value]), Err(Error::Missing), "{value}");
        }
        assert_eq!(bearer_token([b"\xff\xfe a".as_slice()]), Err(Error::Missing));
    }

    #[test]
    fn what_is_not_one_token_is_refused() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer    ",
            "Bearer\ta.b.c",
            "Bearer \ta.b.c",
            "Bearer a.b.c ",
            "Bearer a b",
            "Bearer a, Bearer b",
            "Bearer a,b",
            "Bearer \"a\"",
            "Bearer token=\"a\"",
            "Bearer ==",
            "Bearer a=b",
            "Bearer a\u{e9}",
            "Bearer a\0",
        ] {
            assert_eq!(found(&[value]), Err(Error::InvalidRequest), "{value}");
        }
        assert_eq!(bearer_token([b"Bearer \xff\xfe".as_slice()]), Err(Error::InvalidRequest));
    }

    #[test]
    fn two_headers_are_refused_whatever_they_say() {
        for values in
            [["Bearer a", "Bearer a"], ["Basic a", "Bearer b"], ["Bearer a", ""], ["Basic a", "Basic a"]]
        {
            assert_eq!(found(&values), Err(Error::InvalidRequest), "{values:?}");
        }
    }
}
