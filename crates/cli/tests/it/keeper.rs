//! The keys of an authority as the program itself reads and changes them, for what no command shows.

use attesto_core::{KeyFacts, KeyRecord, KeyState, KeyTable, Line};
use attesto_keyring::Keyring;
use attesto_server::config::Settings;
use attesto_server::{KeyKeeper, block_on};
use attesto_store::Store;

use crate::authority::Authority;

/// The store of an authority, and its keys.
pub(crate) struct Keeper {
    pub(crate) store: Store,
    pub(crate) keeper: KeyKeeper,
}

impl Keeper {
    /// Of an authority that is set up.
    pub(crate) fn of(authority: &Authority) -> Self {
        let file = authority.data().join("attesto.toml");
        let settings = Settings::read(Some(&file), []).unwrap();
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
