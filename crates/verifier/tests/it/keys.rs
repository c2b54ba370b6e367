use attesto_verifier::{Error, JwkSet, NoUsableKey};
use serde_json::{Value, json};

use crate::token::{KEY, OTHER_KEY, claims, verifier};

#[test]
fn keys_are_replaced_as_a_whole() {
    let verifier = verifier();
    let clone = verifier.clone();
    assert_eq!(verifier.replace_keys(&OTHER_KEY.jwks()), Ok(()));
    for verifier in [verifier, clone] {
        let verdict = |token: &str| verifier.verify::<Value>(token).map(drop);
        assert_eq!(verdict(&OTHER_KEY.token(&claims())), Ok(()));
        assert_eq!(verdict(&KEY.token(&claims())), Err(Error::KeyUnknown));
    }
}

#[test]
fn a_set_without_a_usable_key_changes_nothing() {
    let verifier = verifier();
    let symmetric = br#"{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}"#;
    for jwks in [JwkSet::new(vec![]), JwkSet::parse(symmetric).unwrap()] {
        assert_eq!(verifier.replace_keys(&jwks), Err(NoUsableKey));
    }
    assert!(verifier.verify::<Value>(&KEY.token(&claims())).is_ok());
}

#[test]
fn the_same_kid_with_new_material() {
    let verifier = verifier();
    let mut jwk = OTHER_KEY.jwk.clone();
    jwk.kid.clone_from(&KEY.jwk.kid);
    verifier.replace_keys(&JwkSet::new(vec![jwk])).unwrap();
    assert_eq!(verifier.verify::<Value>(&KEY.token(&claims())).unwrap_err(), Error::SignatureInvalid);
    let token = OTHER_KEY.sign(&KEY.header().to_string(), claims().to_string());
    assert!(verifier.verify::<Value>(&token).is_ok());
}

/// Each key of a larger set is found, and one bad entry harms no other.
#[test]
fn several_keys() {
    let twin = |kid: &str| json!({"kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB"});
    let published = json!({"keys": [KEY.jwk, twin("bad"), OTHER_KEY.jwk, {"kty": "EC", "kid": "ec"}]});
    let jwks = JwkSet::parse(published.to_string().as_bytes()).unwrap();
    let verifier = verifier();
    verifier.replace_keys(&jwks).unwrap();
    for key in [&*KEY, &*OTHER_KEY] {
        let kid = verifier.verify::<Value>(&key.token(&claims())).unwrap().kid;
        assert_eq!(*kid, *key.jwk.kid);
    }
}
