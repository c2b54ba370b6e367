use std::sync::{Mutex, PoisonError};

use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::{Output, PasswordHash as Phc};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use attesto_core::{Password, PasswordHash};

use crate::unavailable::Unavailable;

/// A stored hash that asks for more memory (in KiB) was not written by us, and is refused unread.
const MAX_MEMORY: u32 = 256 * 1024;

/// What our own hashes take, in KiB: OWASP's second choice, 19 MiB, two passes, one lane.
const MEMORY: u32 = 19 * 1024;

/// Compared with when there is no user, so that an unknown name costs what a wrong password costs. No password is known for it,
/// and none would count.
pub const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGF0IGFsbC4uLg$aXRzIHBhc3N3b3JkIGlzIGtub3duIHRvIG5vIG9uZS4";

/// What passwords are compared in: 19 MiB for each that is at the same time, kept from one to the next. Given back each
/// time, every thread that ever hashed would hold as much for itself, and have it cleared anew.
#[derive(Default)]
pub struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut memory = kept.unwrap_or_default();
        if memory.len() < blocks {
            memory.resize(blocks, Block::new());
        }
        let outcome = work(&mut memory[..blocks]);
        // What a hash took that asks for more than ours is given back.
        if memory.len() <= MEMORY as usize {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
        outcome
    }
}

/// Hashes a new password with Argon2id (RFC 9106), to a text in the format of PHC.
pub fn hash(password: &Password) -> Result<PasswordHash, Unavailable> {
    let params = Params::new(MEMORY, 2, 1, None).unwrap_or_default();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password(password.expose().as_bytes()).map_err(|_| Unavailable::PasswordHash)?;
    Ok(PasswordHash::new(hash.to_string()))
}

/// Whether `stored` is of this password. An error if it is no hash, or one that asks for more than any of ours.
pub fn verify(password: &Password, stored: &PasswordHash, memory: &Memory) -> Result<bool, Unavailable> {
    let stored = Phc::new(stored.expose()).map_err(|_| Unavailable::PasswordHash)?;
    let params = Params::try_from(&stored).map_err(|_| Unavailable::PasswordHash)?;
    if params.m_cost() > MAX_MEMORY {
        return Err(Unavailable::PasswordHash);
    }
    memory
        .lend(params.block_count(), |blocks| matches(password, &stored, params, blocks))
        .ok_or(Unavailable::PasswordHash)
}

/// Takes the same time wherever they differ.
fn matches(password: &Password, stored: &Phc, params: Params, memory: &mut [Block]) -> Option<bool> {
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = Version::try_from(stored.version?).ok()?;
    let (salt, expected) = (stored.salt?, stored.hash?);
    let mut found = vec![0; expected.len()];
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(password.expose().as_bytes(), &salt, &mut found, memory)
        .ok()?;
    Some(Output::new(&found).ok()? == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Password {
        Password::typed(text.to_owned())
    }

    #[test]
    fn only_the_whole_password_matches() {
        let long = "p".repeat(Password::MAX_BYTES - 1);
        let (stored, memory) = (hash(&typed(&format!("{long}a"))).unwrap(), Memory::default());
        assert!(stored.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify(&typed(&format!("{long}a")), &stored, &memory).unwrap());
        assert!(!verify(&typed(&format!("{long}b")), &stored, &memory).unwrap());
        assert!(!verify(&typed(&long), &stored, &memory).unwrap());
    }

    #[test]
    fn a_hash_that_wants_gigabytes_is_refused_unread() {
        let honest = hash(&typed("x")).unwrap();
        let greedy = PasswordHash::new(honest.expose().replace("m=19456", "m=4194304"));
        assert!(matches!(verify(&typed("x"), &greedy, &Memory::default()), Err(Unavailable::PasswordHash)));
    }

    #[test]
    fn nobody_costs_what_somebody_costs() {
        let (nobody, somebody) = (Phc::new(NOBODY).unwrap(), hash(&typed("x")).unwrap());
        let somebody = Phc::new(somebody.expose()).unwrap();
        assert_eq!((nobody.algorithm, nobody.version), (somebody.algorithm, somebody.version));
        assert_eq!(Params::try_from(&nobody).unwrap(), Params::try_from(&somebody).unwrap());
        let lengths = |phc: &Phc| (phc.salt.unwrap().len(), phc.hash.unwrap().as_bytes().len());
        assert_eq!(lengths(&nobody), lengths(&somebody));
    }

    #[test]
    fn what_is_no_hash_of_a_password_is_an_error() {
        let whole = hash(&typed("x")).unwrap();
        let whole = whole.expose();
        let (without_output, _) = whole.rsplit_once('$').unwrap();
        let (without_salt, _) = without_output.rsplit_once('$').unwrap();
        for broken in [
            without_output.to_owned(),
            without_salt.to_owned(),
            whole.replace("$v=19", ""),
            whole.replace("argon2id", "scrypt"),
            "!".to_owned(),
        ] {
            let outcome = verify(&typed("x"), &PasswordHash::new(broken.clone()), &Memory::default());
            assert!(matches!(outcome, Err(Unavailable::PasswordHash)), "{broken}");
        }
    }

    #[test]
    fn memory_is_kept_unless_it_is_more_than_ours() {
        let memory = Memory::default();
        let kept = || memory.0.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>();
        for blocks in [100, 19 * 1024, 64] {
            memory.lend(blocks, |lent| assert_eq!(lent.len(), blocks));
        }
        assert_eq!(kept(), [19 * 1024]);
        memory.lend(1, |_| memory.lend(1, |_| ()));
        assert_eq!(kept(), [1, 19 * 1024], "one for each at the same time");
        memory.0.lock().unwrap().clear();
        memory.lend(19 * 1024 + 1, |_| ());
        assert_eq!(kept(), [0; 0]);
    }

    /// What another one hashed before leaves no trace.
    #[test]
    fn memory_that_was_used_gives_the_same_hash() {
        let (memory, stored) = (Memory::default(), hash(&typed("right")).unwrap());
        for (password, is_right) in [("wrong", false), ("right", true), ("wrong", false), ("right", true)] {
            assert_eq!(verify(&typed(password), &stored, &memory).unwrap(), is_right);
        }
    }
}
