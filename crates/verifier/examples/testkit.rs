//! A function of a service and its test, without a network and without waiting:
//! `cargo test --example testkit --features testkit`.
//!
//! As a program it tells what a service answers while its issuer has a bad day:
//! `cargo run --example testkit --features testkit`.

use std::time::Duration;

use attesto_verifier::testkit::{End, Fault, Issuer};
use attesto_verifier::{Error, Verifier};
use serde::Deserialize;

/// What this service wants to know of a token beyond what every token has.
#[derive(Deserialize)]
struct Claims {
    name: Option<String>,
}

/// What is to be tested: the service gets its verifier from outside, so a test can bring its own.
fn orders(verifier: &Verifier, token: &str) -> Result<String, Error> {
    let user = verifier.verify::<Claims>(token)?;
    user.require_scope("orders:read")?;
    let name = user.claims.name.as_deref().unwrap_or(user.std.subject());
    Ok(format!("the orders of {name}"))
}

fn main() {
    let issuer = Issuer::new("https://auth.example");
    let verifier = issuer.verifier("orders");
    let answer = |when: &str| {
        let token = issuer.token("user-1").scope("orders:read").mint();
        let answer = orders(&verifier, &token).unwrap_or_else(|error| format!("{}, {error}", error.status()));
        println!("{when}: {answer}");
    };
    answer("at first");
    issuer.revoke(End::User("user-1"));
    answer("after the user was signed out");
    issuer.advance(Duration::from_secs(1));
    answer("after a new sign-in");
    issuer.fail(Fault::Down);
    issuer.advance(Duration::from_secs(6 * 60 * 60));
    answer("with the issuer down for six hours");
    issuer.advance(Duration::from_secs(18 * 60 * 60));
    answer("and for a day");
    issuer.recover();
    issuer.advance(Duration::from_secs(60));
    answer("a minute after it is back");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_for_those_who_may_read_them() {
        let issuer = Issuer::new("https://auth.example");
        let verifier = issuer.verifier("orders");
        let ask = |token: &str| orders(&verifier, token).map_err(|error| error.status());

        let token = issuer.token("user-1").scope("orders:read").claim("name", "Ann").mint();
        assert_eq!(ask(&token).unwrap(), "the orders of Ann");
        assert_eq!(ask(&issuer.token("user-1").mint()), Err(403));
        assert_eq!(ask(&issuer.token("user-1").expired().mint()), Err(401));
        issuer.revoke(End::User("user-1"));
        assert_eq!(ask(&token), Err(401));
    }

    #[test]
    fn an_issuer_that_is_gone_for_a_day_is_not_the_fault_of_the_token() {
        let issuer = Issuer::new("https://auth.example");
        let verifier = issuer.verifier("orders");
        issuer.fail(Fault::Down);
        issuer.advance(Duration::from_secs(24 * 60 * 60));
        let token = issuer.token("user-1").scope("orders:read").mint();
        assert_eq!(orders(&verifier, &token).unwrap_err().status(), 503);
    }
}
