use attesto_verifier::{Error, ProtectedResource, ResourceServer};

use crate::token::{KEY, OTHER_KEY, claims, verdict, verifier, with};

/// Status, code and challenge are an interface: a change here is a breaking one.
#[test]
fn a_token_that_is_refused_is_an_invalid_token() {
    let table = [
        (Error::Malformed, "malformed", "the token is malformed"),
        (Error::TooLarge, "too_large", "the token is too large"),
        (Error::AlgNotAllowed, "alg_not_allowed", "the algorithm is not allowed"),
        (Error::TypeMismatch, "type_mismatch", "the token is of another type"),
        (Error::CritUnsupported, "crit_unsupported", "the token demands an extension that is not supported"),
        (Error::KeyUnknown, "key_unknown", "the key is unknown"),
        (Error::SignatureInvalid, "signature_invalid", "the signature is invalid"),
        (Error::Expired, "expired", "the token has expired"),
        (Error::NotYetValid, "not_yet_valid", "the token is not yet valid"),
        (Error::IssuedInFuture, "issued_in_future", "the token was issued in the future"),
        (Error::IssuerMismatch, "issuer_mismatch", "the token is from another issuer"),
        (Error::AudienceMismatch, "audience_mismatch", "the token is for another audience"),
        (Error::ClaimMissing("exp"), "claim_missing", "the claim exp is missing"),
        (Error::ClaimInvalid("exp"), "claim_invalid", "the claim exp is invalid"),
        (Error::ClaimsMismatch, "claims_mismatch", "the claims are not those that are expected here"),
        (Error::Revoked, "revoked", "the token was revoked"),
    ];
    for (error, code, description) in table {
        assert_eq!((error.status(), error.code(), error.rfc6750()), (401, code, Some("invalid_token")));
        assert_eq!(
            error.www_authenticate("orders"),
            Some(format!(
                r#"Bearer realm="orders", error="invalid_token", error_description="{description}""#
            ))
        );
    }
}

#[test]
fn what_else_is_answered() {
    let scope = Error::InsufficientScope { required: vec!["a".to_owned(), "b".to_owned()] };
    let table = [
        (Error::Missing, 401, "missing", None, Some(r#"Bearer realm="orders""#)),
        (
            scope,
            403,
            "insufficient_scope",
            Some("insufficient_scope"),
            Some(
                r#"Bearer realm="orders", error="insufficient_scope", error_description="the token lacks a required scope", scope="a b""#,
            ),
        ),
        (
            Error::InvalidRequest,
            400,
            "invalid_request",
            Some("invalid_request"),
            Some(
                r#"Bearer realm="orders", error="invalid_request", error_description="the request needs exactly one Authorization header with one Bearer token""#,
            ),
        ),
        (Error::KeysUnavailable, 503, "keys_unavailable", None, None),
        (Error::RevocationsUnavailable, 503, "revocations_unavailable", None, None),
    ];
    for (error, status, code, rfc6750, challenge) in table {
        assert_eq!((error.status(), error.code(), error.rfc6750()), (status, code, rfc6750));
        assert_eq!(error.www_authenticate("orders").as_deref(), challenge);
    }
}

#[test]
fn an_answer_is_status_headers_and_body() {
    let resource = ProtectedResource::new("https://api.example").unwrap();
    let server = ResourceServer::new(verifier()).realm("orders").protected_resource(resource);
    let metadata = r#"resource_metadata="https://api.example/.well-known/oauth-protected-resource""#;
    let table = [
        (
            Error::Missing,
            401,
            ("www-authenticate", format!(r#"Bearer realm="orders", {metadata}"#)),
            r#"{"error_description":"there is no access token"}"#,
        ),
        (
            Error::InvalidRequest,
            400,
            (
                "www-authenticate",
                format!(
                    r#"Bearer realm="orders", error="invalid_request", error_description="the request needs exactly one Authorization header with one Bearer token", {metadata}"#
                ),
            ),
            r#"{"error":"invalid_request","error_description":"the request needs exactly one Authorization header with one Bearer token"}"#,
        ),
        (
            Error::Revoked,
            401,
            (
                "www-authenticate",
                format!(
                    r#"Bearer realm="orders", error="invalid_token", error_description="the token was revoked", {metadata}"#
                ),
            ),
            r#"{"error":"invalid_token","error_description":"the token was revoked"}"#,
        ),
        (
            Error::InsufficientScope { required: vec!["a".to_owned(), "b".to_owned()] },
            403,
            (
                "www-authenticate",
                format!(
                    r#"Bearer realm="orders", error="insufficient_scope", error_description="the token lacks a required scope", scope="a b", {metadata}"#
                ),
            ),
            r#"{"error":"insufficient_scope","error_description":"the token lacks a required scope"}"#,
        ),
        (
            Error::KeysUnavailable,
            503,
            ("retry-after", "5".to_owned()),
            r#"{"error":"temporarily_unavailable","error_description":"the keys of the issuer are unavailable"}"#,
        ),
        (
            Error::RevocationsUnavailable,
            503,
            ("retry-after", "5".to_owned()),
            r#"{"error":"temporarily_unavailable","error_description":"the revocations of the issuer are unavailable"}"#,
        ),
    ];
    for (error, status, (name, value), body) in table {
        let denied = server.deny(error.clone());
        assert_eq!((denied.error(), denied.status(), denied.body().as_str()), (&error, status, body));
        assert_eq!(
            denied.headers(),
            [(name, value.as_str()), ("cache-control", "no-store"), ("content-type", "application/json")]
        );
    }
}

#[test]
fn quoted_strings_cannot_be_left() {
    let challenge = Error::Missing.www_authenticate("a\"b\\c\r\nd").unwrap();
    assert_eq!(challenge, r#"Bearer realm="a\"b\\cd""#);
    let scope = Error::InsufficientScope { required: vec!["x\", error=\"y".to_owned()] };
    assert!(scope.www_authenticate("r").unwrap().ends_with(r#"scope="x\", error=\"y""#));
}

#[test]
fn errors_hold_nothing_of_the_token() {
    let canary = "canary0123456789";
    let mut header = KEY.header();
    header["kid"] = canary.into();
    let tokens = [
        KEY.sign(&header.to_string(), claims().to_string()),
        KEY.token(&with("iss", canary)),
        KEY.token(&with("aud", canary)),
        KEY.token(&with("exp", canary)),
        OTHER_KEY.sign(&KEY.header().to_string(), with("sub", canary).to_string()),
        canary.to_owned(),
        format!("{canary}.{canary}.{canary}"),
    ];
    for token in tokens {
        let error = verdict(&token).unwrap_err();
        let text = format!("{error} {error:?} {:?}", error.www_authenticate("orders"));
        assert!(!text.contains(canary), "{text}");
    }
}
