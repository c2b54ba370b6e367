//! What a verification allocates: a number that a change should not raise unnoticed.

use serde::Deserialize;

use crate::token::{KEY, claims, verifier, with};

/// A small type of claims, as most services have.
#[derive(Deserialize)]
struct Small {
    #[expect(dead_code, reason = "it is read from the token")]
    sub: String,
}

fn allocations(token: &str) -> u64 {
    let verifier = verifier();
    let verify = || drop(verifier.verify::<Small>(token).unwrap());
    // The first token of a key leaves its header there.
    verify();
    allocation_counter::measure(verify).count_total
}

/// The payload, what holds the claims, and `sub` for the caller. `ring` reads the key anew, and `base64` guesses sizes.
const MOST: u64 = if cfg!(feature = "aws-lc") { 3 } else { 8 };

#[test]
fn a_token_takes_few_allocations_and_no_more_for_being_long() {
    let usual = allocations(&KEY.token(&claims()));
    assert!((1..=MOST).contains(&usual), "{usual}");
    let long = with("x", "a".repeat(5_000));
    assert_eq!(allocations(&KEY.token(&long)), usual);
}
