//! A process in which somebody else decided first how `jsonwebtoken` signs: a provider is installed once and for all.

use std::sync::Arc;

use attesto_core::{AuthorityId, Instant, KeyTable, Line, SigningAlgorithm};
use attesto_keyring::{
    KeyEncryptionKey, KeyEncryptionKeys, Keyring, KeyringError, ProviderError, RsaBits, SelfTestFailed,
    first_keys, self_test,
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

    let keks = Arc::new(KeyEncryptionKeys::new(KeyEncryptionKey::generate(), Vec::new()));
    let authority = AuthorityId("an-authority".to_owned());
    let now = Instant::from_seconds(1_800_000_000);
    for algorithm in SigningAlgorithm::ALL {
        let lines = [Line::of_tokens(algorithm)];
        let change = first_keys(&keks, &authority, &lines, RsaBits::B2048, now).unwrap();
        let table = KeyTable { keys: change.rows, ledger: Some(change.ledger) };
        let opened = Keyring::open(table, &keks, &authority);
        assert_eq!(opened.err(), Some(KeyringError::Provider(ProviderError)), "{algorithm}");
    }
}
