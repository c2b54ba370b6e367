use attesto_core::{Encoding, Jti, SessionId};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use zeroize::Zeroizing;

use crate::aead;
use crate::error::SealBroken;
use crate::subkey::subkey;

/// What makes a refresh token the very one that was given out, besides what its session's row says.
pub struct Successor {
    /// Its `jti`.
    pub jti: Jti,
    /// Its JWS Signature in base64url, where signing again would give another.
    pub signature: Option<String>,
}

/// Seals a refresh token's successor for whoever holds its predecessor: a client whose answer was lost can be given
/// the same successor again, and a stolen database holds no refresh token. `generation` is the successor's.
pub fn seal_successor(predecessor: &Jti, sid: &SessionId, generation: i64, successor: &Successor) -> Vec<u8> {
    let context = context(sid, generation);
    let plaintext =
        Zeroizing::new([successor.jti.expose(), successor.signature.as_deref().unwrap_or_default()].concat());
    aead::seal(&key(predecessor, &context), context.as_bytes(), plaintext.as_bytes())
}

/// Opens what [`seal_successor`] made for the same predecessor, session and generation.
pub fn open_successor(
    predecessor: &Jti,
    sid: &SessionId,
    generation: i64,
    sealed: &[u8],
) -> Result<Successor, SealBroken> {
    let context = context(sid, generation);
    let plaintext = aead::open(&key(predecessor, &context), context.as_bytes(), sealed)?;
    let text = std::str::from_utf8(&plaintext).map_err(|_| SealBroken)?;
    let (jti, signature) = text.split_at_checked(JTI_LEN).ok_or(SealBroken)?;
    let signature = (!signature.is_empty()).then(|| signature.to_owned());
    Ok(Successor { jti: Jti::new(jti.to_owned()), signature })
}

/// 32 hex digits.
const JTI_LEN: usize = 32;

fn key(predecessor: &Jti, context: &Encoding) -> LessSafeKey {
    let key: UnboundKey = subkey(predecessor.expose().as_bytes(), context.as_bytes(), &AES_256_GCM);
    LessSafeKey::new(key)
}

fn context(sid: &SessionId, generation: i64) -> Encoding {
    Encoding::new("attesto successor v1").text(&sid.0).number(generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::unhex;
    use crate::random::random_id;

    fn jti() -> Jti {
        Jti::new(random_id())
    }

    /// As RS256 needs it, and as ES256 does.
    fn successors() -> [Successor; 2] {
        [None, Some("c2ln".repeat(21) + "c2")].map(|signature| Successor { jti: jti(), signature })
    }

    fn sid(text: &str) -> SessionId {
        SessionId(text.to_owned())
    }

    #[test]
    fn a_successor_opens_for_its_predecessor_session_and_generation_only() {
        let (predecessor, session) = (jti(), sid("a"));
        for successor in successors() {
            let sealed = seal_successor(&predecessor, &session, 2, &successor);
            let opened = open_successor(&predecessor, &session, 2, &sealed).unwrap();
            assert_eq!(opened.jti.expose(), successor.jti.expose());
            assert_eq!(opened.signature, successor.signature);
            for (predecessor, session, generation) in [
                (&successor.jti, &session, 2),
                (&jti(), &session, 2),
                (&predecessor, &sid("b"), 2),
                (&predecessor, &session, 1),
                (&predecessor, &session, 3),
            ] {
                let opened = open_successor(predecessor, session, generation, &sealed);
                assert_eq!(opened.err(), Some(SealBroken));
            }
        }
    }

    #[test]
    fn no_byte_of_it_can_be_changed_or_left_out() {
        let (predecessor, session) = (jti(), sid("a"));
        for successor in successors() {
            let sealed = seal_successor(&predecessor, &session, 2, &successor);
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                for (damaged, how) in [(&changed[..], "changed"), (&sealed[..at], "cut")] {
                    let opened = open_successor(&predecessor, &session, 2, damaged);
                    assert_eq!(opened.err(), Some(SealBroken), "{at} {how}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_successor_does_not_open() {
        let (predecessor, session) = (jti(), sid("a"));
        let context = context(&session, 2);
        let not_text = [&[b'a'; JTI_LEN][..], b"\xff"].concat();
        let split_letter = ["a".repeat(JTI_LEN - 1), "é".to_owned()].concat();
        for plaintext in [b"", &[b'a'; JTI_LEN - 1][..], &not_text, split_letter.as_bytes()] {
            let sealed = aead::seal(&key(&predecessor, &context), context.as_bytes(), plaintext);
            let opened = open_successor(&predecessor, &session, 2, &sealed);
            assert_eq!(opened.err(), Some(SealBroken), "{plaintext:?}");
        }
    }

    #[test]
    fn a_database_does_not_show_that_two_successors_are_the_same() {
        let (predecessor, session) = (jti(), sid("a"));
        for successor in successors() {
            let seal = || seal_successor(&predecessor, &session, 2, &successor);
            assert_ne!(seal(), seal());
        }
    }

    /// They hold a `jti` alone.
    #[test]
    fn seals_of_format_1_still_open() {
        // Computed by another implementation.
        let sealed = unhex(
            "010101010101010101010101cb94c4c71e2fb1886498e2df8f4bdec3076ee5c2188a2a07d410882c80452092d7e26eb0937e76\
             11d36de646d03bccd6",
        );
        let predecessor = Jti::new(format!("{:032x}", 1));
        let opened = open_successor(&predecessor, &sid("a-sid"), 7, &sealed).unwrap();
        assert_eq!(opened.jti.expose(), format!("{:032x}", 2));
        assert_eq!(opened.signature, None);
    }
}
