use attesto_core::SigningAlgorithm;
use attesto_token::Jwk;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use zeroize::Zeroizing;

use crate::public::{ec_public_half, public_half};
use crate::rsa_bits::RsaBits;

/// A private key in memory. It has no `Debug`.
pub(crate) enum PrivateKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl PrivateKey {
    pub(crate) fn generate(algorithm: SigningAlgorithm, rsa_bits: RsaBits) -> Result<Self, Unspecified> {
        match algorithm {
            SigningAlgorithm::Rs256 => RsaKeyPair::generate(size(rsa_bits)).map(Self::Rsa),
            SigningAlgorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::Ec),
        }
    }

    pub(crate) fn from_pkcs8(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Option<Self> {
        match algorithm {
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).ok().map(Self::Rsa),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok().map(Self::Ec)
            }
        }
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let pkcs8 = match self {
            Self::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der()?;
                der.as_ref().to_vec()
            }
            Self::Ec(key) => key.to_pkcs8v1()?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(pkcs8))
    }

    /// The public half, named by its thumbprint (RFC 7638).
    pub(crate) fn public_jwk(&self) -> Option<Jwk> {
        match self {
            Self::Rsa(key) => public_half(key).ok(),
            Self::Ec(key) => ec_public_half(key).ok(),
        }
    }

    /// A signature as JWS has it (RFC 7518 §3.3, §3.4).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
                Ok(signature)
            }
            Self::Ec(key) => Ok(key.sign(&SystemRandom::new(), message)?.as_ref().to_vec()),
        }
    }
}

fn size(bits: RsaBits) -> KeySize {
    match bits {
        RsaBits::B2048 => KeySize::Rsa2048,
        RsaBits::B3072 => KeySize::Rsa3072,
        RsaBits::B4096 => KeySize::Rsa4096,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_survives_its_encoding() {
        for (algorithm, bits, modulus_bytes) in [
            (SigningAlgorithm::Rs256, RsaBits::B2048, Some(256)),
            (SigningAlgorithm::Rs256, RsaBits::B3072, Some(384)),
            (SigningAlgorithm::Rs256, RsaBits::B4096, Some(512)),
            (SigningAlgorithm::Es256, RsaBits::B2048, None),
        ] {
            let key = PrivateKey::generate(algorithm, bits).unwrap();
            let again = PrivateKey::from_pkcs8(algorithm, &key.to_pkcs8().unwrap()).unwrap();
            let jwk = key.public_jwk().unwrap();
            assert_eq!(again.public_jwk().as_ref(), Some(&jwk), "{algorithm} {bits}");
            assert_eq!(jwk.algorithm.as_str(), algorithm.as_str());
            assert_eq!(jwk.kid.len(), 43, "a SHA-256 thumbprint");
            let length = key.sign(b"message").unwrap().len();
            assert_eq!(length, modulus_bytes.unwrap_or(64), "{algorithm} {bits}");
        }
    }
}
