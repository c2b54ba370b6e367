//! The four algorithms beside each other: who allows them, and what a key is good for.

use attesto_token::JwkSet;
use attesto_verifier::{Algorithm, Error, Verifier};
use serde_json::{Value, json};

use crate::token::{EC_KEY, ED_KEY, KEY, PSS_KEY, SigningKey, builder, claims, with};

const ALL: [Algorithm; 4] = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];

fn keys() -> [&'static SigningKey; 4] {
    [&*KEY, &*PSS_KEY, &*EC_KEY, &*ED_KEY]
}

/// Knows the issuer's key of each algorithm.
fn verifier_of(algorithms: &[Algorithm]) -> Verifier {
    builder().algorithms(algorithms).build_offline(&jwks()).unwrap()
}

fn jwks() -> JwkSet {
    JwkSet::new(keys().map(|key| key.jwk.clone()).into())
}

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<Value>(token).map(drop)
}

#[test]
fn a_good_token_gives_its_claims() {
    for key in keys() {
        let verifier = verifier_of(&[key.jwk.algorithm]);
        let good = verifier.verify::<Value>(&key.token(&claims())).unwrap();
        assert_eq!((good.alg, &*good.kid), (key.jwk.algorithm, key.jwk.kid.as_str()));
        assert_eq!(good.claims, claims());
        assert_eq!(verdict(&verifier, &key.token(&with("exp", 0))), Err(Error::Expired));
    }
}

#[test]
fn the_verifier_says_which_algorithms_it_accepts() {
    let by_default = builder().build_offline(&jwks()).unwrap();
    let mut table = vec![(by_default, vec![Algorithm::Rs256]), (verifier_of(&ALL), ALL.to_vec())];
    table.extend(ALL.map(|one| (verifier_of(&[one]), vec![one])));
    for (verifier, allowed) in table {
        for key in keys() {
            let is_allowed = allowed.contains(&key.jwk.algorithm);
            let expected = if is_allowed { Ok(()) } else { Err(Error::AlgNotAllowed) };
            assert_eq!(verdict(&verifier, &key.token(&claims())), expected, "{allowed:?}");
        }
    }
}

/// RFC 8725 §3.1: also among the allowed ones, the key decides and the token does not.
#[test]
fn a_key_verifies_its_own_algorithm_only() {
    let all = verifier_of(&ALL);
    for named in keys() {
        for other in keys().into_iter().filter(|other| other.jwk.kid != named.jwk.kid) {
            for signer in [named, other] {
                let mut header = named.header();
                header["alg"] = json!(other.jwk.algorithm);
                let token = signer.sign(&header.to_string(), claims().to_string());
                assert_eq!(verdict(&all, &token), Err(Error::AlgNotAllowed), "{header}");
            }
            let token = other.sign(&named.header().to_string(), claims().to_string());
            assert_eq!(verdict(&all, &token), Err(Error::SignatureInvalid));
        }
    }
}

/// An RSA key is for RS256 unless it says PS256, and then it is for nothing else.
#[test]
fn the_padding_belongs_to_the_key() {
    let both = builder().algorithms(&[Algorithm::Rs256, Algorithm::Ps256]);
    let mut jwk = json!(PSS_KEY.jwk);
    jwk.as_object_mut().unwrap().remove("alg");
    let jwks = JwkSet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
    let without_alg = both.build_offline(&jwks).unwrap();
    assert_eq!(verdict(&without_alg, &PSS_KEY.token(&claims())), Err(Error::AlgNotAllowed));
}

/// RFC 9864 §2.2 gives `EdDSA` with Ed25519 a name of its own, which token and key may use.
#[test]
fn either_name_of_ed25519_is_read() {
    let header = json!({"typ": "at+jwt", "alg": "Ed25519", "kid": ED_KEY.jwk.kid}).to_string();
    let newly_named = ED_KEY.sign(&header, claims().to_string());
    let mut jwk = json!(ED_KEY.jwk);
    for alg in ["EdDSA", "Ed25519"] {
        jwk["alg"] = json!(alg);
        let jwks = JwkSet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        let verifier = builder().algorithms(&[Algorithm::EdDsa]).build_offline(&jwks).unwrap();
        for token in [&newly_named, &ED_KEY.token(&claims())] {
            assert_eq!(verdict(&verifier, token), Ok(()), "{alg}");
        }
    }
    assert_eq!(verdict(&verifier_of(&[Algorithm::Es256]), &newly_named), Err(Error::AlgNotAllowed));
}
