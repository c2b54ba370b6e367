use std::time::Duration;

use attesto_verifier::{BuildError, JwkSet, NoUsableKey, Verifier};

use crate::token::{AUDIENCE, ISSUER, KEY, builder};

#[test]
fn a_careless_verifier_is_not_built() {
    let jwks = KEY.jwks();
    let table = [
        (Verifier::builder(ISSUER), BuildError::AudienceMissing),
        (Verifier::builder(ISSUER).audience(""), BuildError::AudienceMissing),
        (builder().audience(""), BuildError::AudienceMissing),
        (Verifier::builder("").audience(AUDIENCE), BuildError::IssuerMissing),
        (builder().algorithms(&[]), BuildError::AlgorithmMissing),
        (builder().leeway(Duration::from_millis(60_001)), BuildError::LeewayTooLong),
        (builder().issuer_ahead(Duration::from_millis(60_001)), BuildError::LeewayTooLong),
        (builder().token_cache(1_000_001), BuildError::TokenCacheTooLarge),
    ];
    for (builder, error) in table {
        assert_eq!(builder.build_offline(&jwks).unwrap_err(), error);
    }
    assert!(builder().leeway(Duration::from_secs(60)).build_offline(&jwks).is_ok());
    let empty = JwkSet::new(vec![]);
    assert_eq!(
        Verifier::from_jwks(ISSUER, AUDIENCE, &empty).unwrap_err(),
        BuildError::NoUsableKey(NoUsableKey)
    );
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn keys_come_over_https_or_from_this_machine() {
    let from = |url: &str| builder().jwks_url(url).build().map(drop);
    for url in [
        "https://auth.example/keys",
        "http://localhost:1/keys",
        "http://127.0.0.2:1/keys",
        "http://[::1]:1/keys",
    ] {
        assert_eq!(from(url), Ok(()), "{url}");
    }
    for url in [
        "http://auth.example/keys",
        "http://127.0.0.1.evil.example/keys",
        "http://localhost.evil.example/keys",
        "http://10.0.0.1/keys",
    ] {
        assert_eq!(from(url), Err(BuildError::UrlInsecure(url.to_owned())), "{url}");
        assert!(builder().jwks_url(url).allow_http().build().is_ok(), "{url}");
    }
    for url in ["", "auth.example", "file:///etc/passwd", "data:application/json,{}"] {
        assert_eq!(from(url), Err(BuildError::UrlInvalid(url.to_owned())), "{url}");
        assert!(builder().jwks_url(url).allow_http().build().is_err(), "{url}");
    }
    let insecure = Verifier::builder("http://auth.example").audience(AUDIENCE).build();
    let url = "http://auth.example/.well-known/jwks.json".to_owned();
    assert_eq!(insecure.unwrap_err(), BuildError::UrlInsecure(url));
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn the_refresh_interval_has_bounds() {
    let every = |interval| builder().refresh_interval(interval).build().map(drop);
    assert_eq!(every(Duration::from_millis(999)), Err(BuildError::RefreshInterval));
    assert_eq!(every(Duration::from_secs(1)), Ok(()));
    assert_eq!(every(Duration::from_secs(86_400)), Ok(()));
    assert_eq!(every(Duration::from_secs(86_401)), Err(BuildError::RefreshInterval));
}

#[cfg(feature = "reqwest")]
#[test]
fn fetching_needs_a_runtime() {
    assert_eq!(builder().build().unwrap_err(), BuildError::NoRuntime);
}
