use attesto_token::CompactJws;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::json;

use crate::error::SelfTestFailed;
use crate::signer::Signer;

/// Signs with a fresh key of every algorithm, the way tokens are signed, and verifies with a second implementation
/// (ring). A server runs it before it is ready.
pub fn self_test() -> Result<(), SelfTestFailed> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SelfTestFailed::Generate)?;
    let public_key = key.public_key().clone();
    let token = Signer::new("self-test".to_owned(), key)?.sign("JWT", &json!({}))?;

    let jws = CompactJws::split(&token).map_err(|_| SelfTestFailed::Verify)?;
    let signature = jws.signature().map_err(|_| SelfTestFailed::Verify)?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key.as_ref())
        .verify(jws.signing_input.as_bytes(), &signature)
        .map_err(|_| SelfTestFailed::Verify)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_sound_process_passes_as_often_as_it_is_asked() {
        assert_eq!((super::self_test(), super::self_test()), (Ok(()), Ok(())));
    }
}
