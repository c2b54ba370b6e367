//! The keys of an authority as the program itself reads and changes them, for what no command shows.

use std::collections::BTreeSet;
use std::path::Path;

use attesto_core::{
    Guards, KeyFacts, KeyRecord, KeyState, KeyTable, Line, Purpose, RevocationKind, SigningAlgorithm,
};
use attesto_keyring::Keyring;
use attesto_server::config::Settings;
use attesto_server::{Clock, KeyKeeper, block_on};
use attesto_store::Store;

use crate::authority::Authority;

/// Every interval as short as it can be: a key may sign 1 + 1 s after it was published, and leaves the set 1 s after its
/// last token expired.
pub(crate) const SHORT_INTERVALS: &str = r#"
allow_short_intervals = true
access_token_lifetime = "2s"
jwks_max_age = "1s"
jwks_stale_while_revalidate = "0s"
verifier_refresh_interval = "0s"
verifier_cache_interval = "0s"
verifier_skew_interval = "0s"
key_confirmation_interval = "1s"
key_stage_interval = "0s"
log = "warn"
"#;

/// The line of an authority that is configured no otherwise.
pub(crate) const RS256: Line = Line { purpose: Purpose::Token, algorithm: SigningAlgorithm::Rs256 };

/// An authority that is set up under the key-encryption key `kek`, and configured with `other` as well, in this order.
pub(crate) fn with_keks(settings: &str, order: &str) -> Authority {
    let authority = Authority::configured(settings);
    authority.set_up();
    authority.run(&["keys", "new-kek", authority.data().join("other").to_str().unwrap()]).done();
    let both = format!("key_encryption_keys = [{order}]");
    authority.configure(&settings.replace("key_encryption_keys = [\"kek\"]", &both));
    authority
}

/// The store of an authority, and its keys.
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) keeper: KeyKeeper,
}

impl Keeper {
    /// Of an authority that is set up.
    pub(crate) fn of(authority: &Authority) -> Self {
        Self::configured_in(&authority.data().join("attesto.toml"))
    }

    /// Of the authority that has this configuration file.
    pub(crate) fn configured_in(file: &Path) -> Self {
        let settings = Settings::read(Some(file), []).unwrap();
        let store = Store::open(&settings.database).unwrap();
        let keeper = block_on(attesto_server::keeper(&store, &settings)).unwrap();
        Self { store, keeper }
    }

    /// The keys: genuine, opened and proved.
    #[track_caller]
    pub(crate) fn read(&self) -> (Keyring, KeyFacts) {
        block_on(self.keeper.read()).unwrap_or_else(|cause| panic!("the keys do not open: {cause}"))
    }

    /// The genuine rows.
    #[track_caller]
    pub(crate) fn table(&self) -> KeyTable {
        self.read().0.table().clone()
    }

    /// Whether the staged key of a line may sign by now.
    pub(crate) fn permits_rotation(&self, line: Line) -> bool {
        let (keyring, facts) = self.read();
        let guards = Guards { policy: self.keeper.policy(), facts: &facts };
        let staged = keyring.table().staged(line);
        let promotable_at = staged.first().and_then(|key| guards.promotable_at(key));
        promotable_at.is_some_and(|at| at <= Clock::system().now())
    }

    /// How often the revocation feed was told of a key.
    pub(crate) fn times_revoked(&self, kid: &str) -> usize {
        let feed = block_on(self.store.read(|tx| tx.list_revocations(0, 1_000))).unwrap();
        let of_it = feed.iter().filter(|record| record.id == kid);
        of_it.filter(|record| record.kind == RevocationKind::Kid as i32).count()
    }
}

/// The names of all keys of tokens.
pub(crate) fn kids(table: &KeyTable) -> BTreeSet<String> {
    of_tokens(table).map(|key| key.kid.clone()).collect()
}

/// Where each key of tokens stands.
pub(crate) fn states(table: &KeyTable) -> Vec<(&str, KeyState)> {
    of_tokens(table).map(|key| (&*key.kid, key.state)).collect()
}

/// Those of the feed move by themselves.
pub(crate) fn of_tokens(table: &KeyTable) -> impl Iterator<Item = &KeyRecord> {
    table.keys.iter().filter(|key| key.purpose == Purpose::Token)
}

/// The one key of a line that signs. There is a staged one as well.
#[track_caller]
pub(crate) fn active(table: &KeyTable, line: Line) -> &KeyRecord {
    let active: Vec<_> =
        table.keys.iter().filter(|key| key.line() == line && key.state == KeyState::Active).collect();
    assert_eq!(active.len(), 1, "active {line} keys: {active:?}");
    assert!(!table.staged(line).is_empty(), "no {line} key is staged");
    active[0]
}
