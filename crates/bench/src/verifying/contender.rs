use std::hint::black_box;
use std::time::Duration;

use attesto_token::feed::{RevocableClaims, RevocationList};
use attesto_verifier::Verifier;
use aws_lc_rs::signature::ParsedPublicKey;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

use crate::Outcome;

/// One way to check a token.
pub struct Contender<'a> {
    pub name: &'static str,
    pub way: Way<'a>,
    pub goal: Option<Goal>,
}

/// What is done again and again.
pub enum Way<'a> {
    /// A verification by the library, and nothing else: key, message, signature.
    Bare(&'a ParsedPublicKey, &'a [u8], &'a [u8]),
    /// A token through a verifier.
    Verify(&'a Verifier, &'a str),
    /// A token's claims in a list of revocations.
    LookUp(&'a RevocationList, RevocableClaims<'a>),
}

#[derive(Clone, Copy)]
pub enum Goal {
    WithoutFeed,
    WithFeed,
    Cached,
    LookUp,
}

/// Looking at the time costs some of it.
const BETWEEN_LOOKS: u32 = 64;

impl Contender<'_> {
    /// Verifies for about as long as told; gives the verifications per second of this thread's processor time.
    pub fn slice(&self, length: Duration) -> Outcome<f64> {
        let begun_at = time_spent();
        let mut times = 0;
        loop {
            for _ in 0..BETWEEN_LOOKS {
                self.way.once()?;
            }
            times += BETWEEN_LOOKS;
            let spent = time_spent().saturating_sub(begun_at);
            if spent >= length {
                return Ok(f64::from(times) / spent.as_secs_f64());
            }
        }
    }
}

fn time_spent() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

impl Way<'_> {
    fn once(&self) -> Outcome<()> {
        match self {
            Self::Bare(key, message, signature) => key.verify_sig(black_box(message), signature)?,
            Self::Verify(verifier, token) => {
                let good = verifier.verify::<Small>(black_box(token))?;
                black_box(good.claims.sub.len());
            }
            Self::LookUp(list, claims) => {
                black_box(list.revoked_by(black_box(claims)));
            }
        }
        Ok(())
    }
}

/// A small type of claims, as most services have.
#[derive(Deserialize)]
struct Small {
    sub: String,
}
