//! What no bytes may upset. `mutations.rs` runs it under proptest, and the folder `fuzz` under cargo-fuzz. Each function
//! says whether anything was accepted.

use std::sync::LazyLock;

use attesto_token::feed::{FeedAnswer, RevocableClaims, RevocationList};
use attesto_token::{CompactJws, base64url_decode, base64url_encode};
use attesto_verifier::{Algorithm, BuildError, JwkSet, NoUsableKey, Verifier};
use aws_lc_rs::signature::Ed25519KeyPair;
use serde_json::Value;

const ALL: [Algorithm; 4] = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];

/// Tokens to begin with, their keys, and one of these that signs fast and always the same.
struct Scene {
    verifier: Verifier,
    signer: Ed25519KeyPair,
    header: Vec<u8>,
    payload: Vec<u8>,
}

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let file = vectors();
    let policy = &file["policy"];
    let now = policy["now"].as_i64().unwrap();
    let verifier = Verifier::builder(policy["issuer"].as_str().unwrap())
        .audience(policy["audience"].as_str().unwrap())
        .algorithms(&ALL)
        .clock(move || now)
        .build_offline(&JwkSet::parse(policy["keys"].to_string().as_bytes()).unwrap())
        .unwrap();
    let seed = base64url_decode(file["signers"]["ed"]["d"].as_str().unwrap()).unwrap();
    let good = file["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == "good, EdDSA");
    let parts =
        good.unwrap()["token"].as_str().unwrap().split('.').map(|part| base64url_decode(part).unwrap());
    let [header, payload, _]: [Vec<u8>; 3] = parts.collect::<Vec<_>>().try_into().unwrap();
    Scene { verifier, signer: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(), header, payload }
});

/// The published vectors.
pub(crate) fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/vectors.json")).unwrap()
}

/// As a token, and as the header and the payload of one that is well signed.
pub(crate) fn token(bytes: &[u8]) -> bool {
    let as_it_is = str::from_utf8(bytes).is_ok_and(verifies);
    let as_payload = verifies(&SCENE.signed(&SCENE.header, bytes));
    let as_header = verifies(&SCENE.signed(bytes, &SCENE.payload));
    as_it_is || as_payload || as_header
}

/// What is accepted is what its key signed, to the last character.
fn verifies(token: &str) -> bool {
    let Ok(good) = SCENE.verifier.verify::<Value>(token) else { return false };
    let parts: Vec<_> = token.split('.').map(|part| base64url_decode(part).unwrap()).collect();
    assert_eq!(parts.iter().map(base64url_encode).collect::<Vec<_>>().join("."), token);
    if good.alg == Algorithm::EdDsa {
        assert_eq!(SCENE.signed(&parts[0], &parts[1]), token);
    }
    true
}

impl Scene {
    fn signed(&self, header: &[u8], payload: &[u8]) -> String {
        let input = format!("{}.{}", base64url_encode(header), base64url_encode(payload));
        let signature = self.signer.sign(input.as_bytes());
        format!("{input}.{}", base64url_encode(signature))
    }
}

/// As a JWK Set: what is read of it can be written and read again, and a verifier takes it or says that no key is
/// left.
pub(crate) fn jwk_set(bytes: &[u8]) -> bool {
    let Ok(read) = JwkSet::parse(bytes) else { return false };
    let written = serde_json::to_vec(&read).unwrap();
    assert_eq!(JwkSet::parse(&written).unwrap().keys, read.keys);
    match Verifier::from_jwks("https://issuer.example", "orders", &read) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, BuildError::NoUsableKey(NoUsableKey));
            false
        }
    }
}

/// As an answer of the feed, and as the payload of one.
pub(crate) fn feed(bytes: &[u8]) -> bool {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(jws) = CompactJws::split_within(text, bytes.len())
    {
        let _ = (jws.header(), jws.signature(), jws.payload());
    }
    let now = 1_800_000_000;
    let Ok(answer) = FeedAnswer::read(bytes, "feed", "https://issuer.example", now) else { return false };
    let mut list = RevocationList::default();
    if list.apply(&answer, now).is_err() {
        return false;
    }
    assert!(list.len() <= answer.records.len());
    let _ = list.revoked_by(&RevocableClaims { sub: Some("42"), iat: now, ..RevocableClaims::default() });
    assert_eq!(list.apply(&answer, now), Ok(()), "an answer may be received twice");
    true
}
