//! A process in which somebody else decided first how `jsonwebtoken` signs: a provider is installed once and for all.

use attesto_core::{AuthorityId, Instant, KeyState, Purpose};
use attesto_keyring::{
    KeyEncryptionKey, KeyEncryptionKeys, Keyring, KeyringError, ProviderError, SelfTestFailed, generate,
    self_test,
};
use jsonwebtoken::crypto::{CryptoProvider, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, new_error};

static ANOTHER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    key_utils: KeyUtils::new_unimplemented(),
};

#[test]
fn nothing_is_signed_through_another_provider() {
    ANOTHER.install_default().unwrap();
    assert_eq!(self_test(), Err(SelfTestFailed::Provider(ProviderError)));

    let keks = KeyEncryptionKeys::new(KeyEncryptionKey::generate(), Vec::new());
    let authority = AuthorityId("an-authority".to_owned());
    let now = Instant::from_seconds(1_800_000_000);
    let record = generate(&keks, &authority, Purpose::Token, KeyState::Active, now).unwrap();
    let opened = Keyring::open(&[record], &keks, &authority);
    assert_eq!(opened.err(), Some(KeyringError::Provider(ProviderError)));
}
