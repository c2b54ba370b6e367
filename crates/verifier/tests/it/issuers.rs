//! Several issuers at once: neither keys nor revocations are mixed.

use attesto_token::feed::RevokedBy;
use attesto_verifier::{BuildError, Error, JwkSet, OnStale, Revocations, Verifier, Verifiers};
use serde_json::Value;

use crate::issuer::{Answer, Authority, Issuer, PATIENCE, until_here, with_both_drivers};
use crate::token::{AUDIENCE, ISSUER, KEY, NOW, OTHER_KEY, claims, with, without};

fn verdict(verifiers: &Verifiers, token: &str) -> Result<(), Error> {
    verifiers.verify::<Value>(token).map(drop)
}

/// Where nothing is said of addresses, all of them are below the issuer's own.
#[test]
fn two_issuers_with_keys_of_the_same_name() {
    with_both_drivers(|build| {
        let mut twin = OTHER_KEY.jwk.clone();
        twin.kid.clone_from(&KEY.jwk.kid);
        let issuers = [KEY.jwks(), JwkSet::new(vec![twin])].map(|jwks| Issuer::start(Answer::keys(&jwks)));
        let [ours, theirs] = issuers.each_ref().map(Issuer::origin);
        let verifiers = [&ours, &theirs].map(|issuer| {
            let builder = Verifier::builder(issuer).audience(AUDIENCE).clock(|| NOW);
            let verifier = build(builder.revocations(Revocations::Off));
            verifier.ready_blocking(PATIENCE).unwrap();
            verifier
        });
        assert_eq!(issuers[0].targets(), ["/.well-known/jwks.json"]);
        let verifiers = Verifiers::new(verifiers).unwrap();

        let header = KEY.header().to_string();
        let signed =
            |key: &crate::token::SigningKey, issuer: &str| key.sign(&header, with("iss", issuer).to_string());
        assert_eq!(verdict(&verifiers, &signed(&KEY, &ours)), Ok(()));
        assert_eq!(verdict(&verifiers, &signed(&OTHER_KEY, &theirs)), Ok(()));
        assert_eq!(verdict(&verifiers, &signed(&OTHER_KEY, &ours)), Err(Error::SignatureInvalid));
        assert_eq!(verdict(&verifiers, &signed(&KEY, &theirs)), Err(Error::SignatureInvalid));
        let slash = format!("{ours}/");
        assert_eq!(verdict(&verifiers, &signed(&KEY, &slash)), Err(Error::IssuerMismatch));
        assert_eq!(verdict(&verifiers, &KEY.token(&claims())), Err(Error::IssuerMismatch));
        let twice = with("iss", &*ours).to_string().replacen('{', &format!(r#"{{"iss":"{theirs}","#), 1);
        assert!(verdict(&verifiers, &KEY.sign(&header, twice)).is_err());
        assert_eq!(verifiers.of(&KEY.token(&without("iss"))).unwrap_err(), Error::Malformed);
        assert_eq!(Verifiers::new([]).unwrap_err(), BuildError::IssuerMissing);
    });
}

/// A feed ends what its own issuer has issued: to the other verifier its answers are those of a stranger.
#[test]
fn a_feed_ends_nothing_of_another_issuer() {
    with_both_drivers(|build| {
        let authority = Authority::start();
        authority.revoke(RevokedBy::Subject, "42");
        let ours = build(authority.builder());
        let (keys, feed) = (authority.issuer.origin() + "/.well-known/jwks.json", authority.feed());
        let theirs = Verifier::builder("https://other.example").audience(AUDIENCE).clock(|| NOW);
        let theirs = build(theirs.jwks_url(keys).revocations(feed.on_stale(OnStale::RejectAfter(PATIENCE))));
        ours.ready_blocking(PATIENCE).unwrap();
        until_here("it is refused", || theirs.status().revocations.unwrap().last_error.is_some());
        until_here("it has keys", || !theirs.status().keys.unavailable);
        let verifiers = Verifiers::new([ours, theirs]).unwrap();
        assert_eq!(verdict(&verifiers, &KEY.token(&with("iss", ISSUER))), Err(Error::Revoked));
        let other = KEY.token(&with("iss", "https://other.example"));
        assert_eq!(verdict(&verifiers, &other), Err(Error::RevocationsUnavailable));
    });
}
