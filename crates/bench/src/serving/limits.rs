//! What no server can do without: the work of the processor that an answer consists of.

use std::hint::black_box;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

const SLICE: Duration = Duration::from_millis(100);

/// As long as what is signed of an access token.
const MESSAGE: [u8; 500] = [b'a'; 500];

/// One key and its signature, to make and check again and again.
pub struct Limits {
    key: RsaKeyPair,
    public: ParsedPublicKey,
    signature: Vec<u8>,
}

/// Times per second.
#[derive(Clone, Copy)]
pub struct Rate {
    pub by_the_clock: f64,
    /// Of the processor's time: what others do meanwhile does not count.
    pub of_processor_time: f64,
}

/// One round.
pub struct Rates {
    pub sign: Rate,
    pub verify: Rate,
    pub hash: Rate,
}

impl Limits {
    pub fn new() -> Outcome<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let signature = sign(&key)?;
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())?;
        Ok(Self { key, public, signature })
    }

    /// On the cores of the calling thread.
    pub fn rates(&self) -> Outcome<Rates> {
        Ok(Rates {
            sign: rate(|| sign(&self.key).map(|signature| drop(black_box(signature))))?,
            verify: rate(|| Ok(self.public.verify_sig(&MESSAGE, &self.signature)?))?,
            hash: rate(hash)?,
        })
    }
}

fn sign(key: &RsaKeyPair) -> Outcome<Vec<u8>> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &MESSAGE, &mut signature)?;
    Ok(signature)
}

/// As the server hashes a password.
fn hash() -> Outcome<()> {
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None)?);
    let mut tag = [0; 32];
    hasher.hash_password_into(b"correct horse battery", b"sixteen of salt.", &mut tag)?;
    black_box(tag);
    Ok(())
}

fn rate(mut work: impl FnMut() -> Outcome<()>) -> Outcome<Rate> {
    let (begun_at, spent_before) = (Instant::now(), time_spent());
    let mut times = 0.0;
    while time_spent().saturating_sub(spent_before) < SLICE {
        for _ in 0..4 {
            work()?;
            times += 1.0;
        }
    }
    Ok(Rate {
        by_the_clock: times / begun_at.elapsed().as_secs_f64(),
        of_processor_time: times / time_spent().saturating_sub(spent_before).as_secs_f64(),
    })
}

fn time_spent() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}
