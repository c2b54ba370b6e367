use std::hint::black_box;
use std::time::Duration;

use attesto_core::{Digest, Opening, Presented, Rotate, SigningAlgorithm};
use attesto_keyring::Signer;
use attesto_server::Issuer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// One way to sign.
pub struct Contender<'a> {
    pub algorithm: SigningAlgorithm,
    pub name: &'static str,
    pub way: Way<'a>,
}

/// What is done again and again.
pub enum Way<'a> {
    /// A signature by the library, and nothing else.
    BareRsa(&'a RsaKeyPair, &'a [u8]),
    /// The same for ES256.
    BareEc(&'a EcdsaKeyPair, &'a [u8]),
    /// A signature as the server asks for one.
    Signer(&'a dyn Signer, &'a [u8]),
    /// The pair of a sign-in, from the decision to what is written.
    SignIn(&'a Issuer, &'a Opening),
    /// The pair of a refresh, from the decision to what is written.
    Refresh(&'a Issuer, &'a Rotate, &'a Presented),
}

impl Contender<'_> {
    /// Whether the goal is about this one.
    pub fn has_goal(&self) -> bool {
        self.algorithm == SigningAlgorithm::Rs256 && matches!(self.way, Way::SignIn(..) | Way::Refresh(..))
    }

    /// Signs for about as long as told; gives the signatures per second. Time is what this process spent on its core,
    /// the server's other threads included: what other programs do meanwhile is not counted.
    pub async fn slice(&self, length: Duration) -> Outcome<f64> {
        let begun_at = time_spent();
        let mut signatures = 0;
        loop {
            for _ in 0..BETWEEN_LOOKS {
                signatures += self.way.once().await?;
            }
            let spent = time_spent().saturating_sub(begun_at);
            if spent >= length {
                return Ok(f64::from(signatures) / spent.as_secs_f64());
            }
        }
    }
}

/// Looking at the time costs some of it.
const BETWEEN_LOOKS: usize = 8;

fn time_spent() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

impl Way<'_> {
    /// Does it once; gives the number of signatures.
    async fn once(&self) -> Outcome<u32> {
        let by = Digest::from_bytes(&[7; 32]).expect("32 bytes");
        match self {
            Self::BareRsa(key, message) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
                black_box(signature);
                Ok(1)
            }
            Self::BareEc(key, message) => {
                black_box(key.sign(&SystemRandom::new(), message)?);
                Ok(1)
            }
            Self::Signer(signer, message) => {
                black_box(signer.sign(message).await?);
                Ok(1)
            }
            Self::SignIn(issuer, opening) => {
                black_box(issuer.open((*opening).clone(), by).await?);
                Ok(2)
            }
            Self::Refresh(issuer, next, presented) => {
                black_box(issuer.rotate(next, presented, by).await?);
                Ok(2)
            }
        }
    }
}
