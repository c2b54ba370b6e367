use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "aws-lc")]
use attesto_token::RsaPublicKey;
use attesto_token::{Algorithm, EcPublicKey, Jwk, PublicKey, base64url_encode};
#[cfg(feature = "aws-lc")]
use aws_lc_rs as crypto;
#[cfg(feature = "aws-lc")]
use aws_lc_rs::rsa::KeySize;
#[cfg(feature = "aws-lc")]
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use crypto::rand::SystemRandom;
use crypto::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
#[cfg(not(feature = "aws-lc"))]
use ring as crypto;
use serde_json::{Map, Value};

/// What tokens are signed with. `ring` makes no RSA keys.
#[cfg(feature = "aws-lc")]
pub(super) const ALGORITHM: Algorithm = Algorithm::Rs256;
#[cfg(not(feature = "aws-lc"))]
pub(super) const ALGORITHM: Algorithm = Algorithm::Es256;

/// A private key, and what is published of it.
pub(super) struct SigningKey {
    pair: Pair,
    pub(super) jwk: Jwk,
}

enum Pair {
    #[cfg(feature = "aws-lc")]
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl SigningKey {
    /// A key for tokens that nobody else uses. They cost time to make, so a process makes no more than it uses at once.
    pub(super) fn for_tokens() -> Arc<Self> {
        static MADE: Mutex<Vec<Arc<SigningKey>>> = Mutex::new(Vec::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free) = made.iter().find(|key| Arc::strong_count(key) == 1) {
            return Arc::clone(free);
        }
        let key = Arc::new(Self::generate());
        made.push(Arc::clone(&key));
        key
    }

    #[cfg(feature = "aws-lc")]
    fn generate() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
        // RFC 8017 §A.1.1, with a modulus of 256 bytes and the exponent 65537.
        let modulus = pair.public_key().as_ref()[9..265].to_vec();
        let public = RsaPublicKey::new(modulus, vec![1, 0, 1]);
        Self::new(Pair::Rsa(pair), Algorithm::Rs256, PublicKey::Rsa(public.expect("it is a public key")))
    }

    #[cfg(not(feature = "aws-lc"))]
    fn generate() -> Self {
        Self::es256()
    }

    pub(super) fn es256() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let pair = ec_pair(pkcs8.expect("a key can be made").as_ref(), &random);
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let public = EcPublicKey::p256(x, y).expect("it is a public key");
        Self::new(Pair::Ec(pair), Algorithm::Es256, PublicKey::Ec(public))
    }

    fn new(pair: Pair, algorithm: Algorithm, key: PublicKey) -> Self {
        Self { pair, jwk: Jwk { kid: key.thumbprint(), algorithm, key } }
    }

    pub(super) fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The header that names this key.
    pub(super) fn header(&self, typ: &str) -> Map<String, Value> {
        let members = [("typ", typ), ("alg", self.jwk.algorithm.as_str()), ("kid", self.kid())];
        members.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect()
    }

    /// A compact JWS (RFC 7515 §3.1).
    pub(super) fn sign(&self, header: Map<String, Value>, payload: &[u8]) -> String {
        let header = Value::Object(header).to_string();
        let input = format!("{}.{}", base64url_encode(header), base64url_encode(payload));
        format!("{input}.{}", base64url_encode(self.signature(input.as_bytes())))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            #[cfg(feature = "aws-lc")]
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a key of ours signs");
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).expect("a key of ours signs").as_ref().to_vec(),
        }
    }
}

#[cfg(feature = "aws-lc")]
fn ec_pair(pkcs8: &[u8], _: &SystemRandom) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).expect("it was just made")
}

#[cfg(not(feature = "aws-lc"))]
fn ec_pair(pkcs8: &[u8], random: &SystemRandom) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, random).expect("it was just made")
}
