//! Tokens of every kind, signed with keys that are made once per run.

use std::sync::LazyLock;

use attesto_token::{
    Algorithm, EcPublicKey, Jwk, JwkSet, OkpPublicKey, PublicKey, RsaPublicKey, base64url_encode,
};
use attesto_verifier::{Error, Verified, Verifier, VerifierBuilder};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://auth.example";
pub(crate) const AUDIENCE: &str = "orders";
pub(crate) const NOW: i64 = 1_800_000_000;

/// The issuer's key.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa(Algorithm::Rs256));
/// Another key, which the issuer does not have.
pub(crate) static OTHER_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa(Algorithm::Rs256));
/// The issuer's key where it signs with PS256.
pub(crate) static PSS_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa(Algorithm::Ps256));
/// The issuer's key where it signs with ES256.
pub(crate) static EC_KEY: LazyLock<SigningKey> = LazyLock::new(SigningKey::es256);
/// The issuer's key where it signs with `EdDSA`.
pub(crate) static ED_KEY: LazyLock<SigningKey> = LazyLock::new(SigningKey::ed25519);

pub(crate) struct SigningKey {
    key: Private,
    pub(crate) jwk: Jwk,
}

enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    fn rsa(algorithm: Algorithm) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        // RFC 8017 §A.1.1, with a modulus of 256 bytes and the exponent 65537.
        let modulus = key.public_key().as_ref()[9..265].to_vec();
        let public = PublicKey::Rsa(RsaPublicKey::new(modulus, vec![1, 0, 1]).unwrap());
        let jwk = Jwk { kid: public.thumbprint(), algorithm, key: public };
        Self { key: Private::Rsa(key), jwk }
    }

    fn es256() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let public = PublicKey::Ec(EcPublicKey::p256(x, y).unwrap());
        let jwk = Jwk { kid: public.thumbprint(), algorithm: Algorithm::Es256, key: public };
        Self { key: Private::Ec(key), jwk }
    }

    fn ed25519() -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let public = PublicKey::Okp(OkpPublicKey::ed25519(key.public_key().as_ref()).unwrap());
        let jwk = Jwk { kid: public.thumbprint(), algorithm: Algorithm::EdDsa, key: public };
        Self { key: Private::Ed(key), jwk }
    }

    pub(crate) fn jwks(&self) -> JwkSet {
        JwkSet::new(vec![self.jwk.clone()])
    }

    /// The public key in PKCS#1 form, or as a point: what a confused verifier would take for an HMAC secret.
    pub(crate) fn public_bytes(&self) -> &[u8] {
        match &self.key {
            Private::Rsa(key) => key.public_key().as_ref(),
            Private::Ec(key) => key.public_key().as_ref(),
            Private::Ed(key) => key.public_key().as_ref(),
        }
    }

    pub(crate) fn modulus(&self) -> &[u8] {
        let PublicKey::Rsa(key) = &self.jwk.key else { panic!("not an RSA key") };
        &key.n
    }

    pub(crate) fn header(&self) -> Value {
        json!({"typ": "at+jwt", "alg": self.jwk.algorithm, "kid": self.jwk.kid})
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), claims.to_string())
    }

    /// Signs any two texts.
    pub(crate) fn sign(&self, header: &str, payload: impl AsRef<[u8]>) -> String {
        self.sign_input(&format!("{}.{}", base64url_encode(header), base64url_encode(payload)))
    }

    pub(crate) fn sign_input(&self, signing_input: &str) -> String {
        format!("{signing_input}.{}", base64url_encode(self.signature(signing_input.as_bytes())))
    }

    pub(crate) fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Private::Rsa(key) => {
                let padding =
                    if self.jwk.algorithm == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Private::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "42",
        "aud": AUDIENCE,
        "exp": NOW + 600,
        "iat": NOW,
        "jti": "9b2fc3d3a4e04f5c8d1e6f7a8b9c0d1e",
        "client_id": "web",
        "sid": "5f1d",
        "scope": "orders:read orders:write",
    })
}

/// The usual claims with one of them changed.
pub(crate) fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

pub(crate) fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

pub(crate) fn builder() -> VerifierBuilder {
    Verifier::builder(ISSUER).audience(AUDIENCE).clock(|| NOW)
}

pub(crate) fn verifier() -> Verifier {
    builder().build_offline(&KEY.jwks()).unwrap()
}

pub(crate) fn verify(token: &str) -> Result<Verified<Value>, Error> {
    verifier().verify(token)
}

/// The verdict alone, for tables.
pub(crate) fn verdict(token: &str) -> Result<(), Error> {
    verify(token).map(drop)
}
