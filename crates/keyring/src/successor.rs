use attesto_core::{Jti, SessionId};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};

use crate::aead;
use crate::encoding::Encoding;
use crate::error::SealBroken;
use crate::subkey::subkey;

/// Seals the `jti` of a refresh token's successor for whoever holds its predecessor: a client whose answer was lost
/// can be given the same successor again, and a stolen database holds no refresh token. `generation` is the
/// successor's.
pub fn seal_successor(predecessor: &Jti, sid: &SessionId, generation: i64, successor: &Jti) -> Vec<u8> {
    let context = context(sid, generation);
    aead::seal(&key(predecessor, &context), context.as_bytes(), successor.expose().as_bytes())
}

/// Opens what [`seal_successor`] made for the same predecessor, session and generation.
pub fn open_successor(
    predecessor: &Jti,
    sid: &SessionId,
    generation: i64,
    sealed: &[u8],
) -> Result<Jti, SealBroken> {
    let context = context(sid, generation);
    let mut jti = aead::open(&key(predecessor, &context), context.as_bytes(), sealed)?;
    String::from_utf8(std::mem::take(&mut *jti)).map(Jti::new).map_err(|_| SealBroken)
}

fn key(predecessor: &Jti, context: &Encoding) -> LessSafeKey {
    let key: UnboundKey = subkey(predecessor.expose().as_bytes(), context.as_bytes(), &AES_256_GCM);
    LessSafeKey::new(key)
}

fn context(sid: &SessionId, generation: i64) -> Encoding {
    Encoding::new("attesto successor v1").text(&sid.0).number(generation)
}
