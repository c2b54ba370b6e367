//! A database from before there was a feed.

use std::sync::Arc;

use attesto_core::{KeyState, Line};
use attesto_keyring::{KeyEncryptionKeys, first_keys};
use attesto_store::Store;

use super::{ask, end_from_outside, published, take};
use crate::fixture::{Authority, EMPTY, FEED_KEYS, Folder, NOW, RS256};

/// What the version before leaves: keys of tokens alone, and the schema as it was.
async fn of_version_0_2() -> Folder {
    let authority = Authority::new().await;
    let settings = &authority.folder.settings;
    let id = authority.read(|tx| tx.find_authority()).await.unwrap().id;
    authority
        .folder
        .sql("DELETE FROM key_uses; DELETE FROM keys; DELETE FROM key_ledger; DELETE FROM servers");
    let keks = Arc::new(KeyEncryptionKeys::read(&settings.key_encryption_keys).unwrap());
    let first = first_keys(&keks, &id, &[RS256], settings.rsa_key_bits, NOW).unwrap();
    authority.write(move |tx| tx.change_keys(&first, &[])).await;
    let folder = authority.into_folder().await;
    folder.sql(include_str!("../../../../../migrations/sqlite/0003_feed/down.sql"));
    folder.sql("DELETE FROM __diesel_schema_migrations WHERE version = '0003'; DELETE FROM audit_events");
    // A server would do this by itself on a file, and on PostgreSQL the operator.
    Store::open(&folder.settings.database).unwrap().migrate().await.unwrap();
    folder
}

#[actix_web::test]
async fn the_first_start_makes_a_feed_and_its_keys_once() {
    let authority = Authority::open(of_version_0_2().await).await;
    let line = Line::of_feed();
    let (active, staged) =
        (authority.key(line, KeyState::Active).await, authority.key(line, KeyState::Staged).await);
    let made = authority.key_events().await;
    let said: Vec<_> =
        made.iter().map(|it| (it.event.as_str(), it.actor.as_str(), it.reason.as_deref())).collect();
    assert_eq!(said, [("key_generated", "server", Some("the revocation feed begins")); 2]);
    let mut kids: Vec<_> = made.iter().map(|it| it.kid.clone().unwrap()).collect();
    let mut expected = vec![active.clone(), staged];
    kids.sort();
    expected.sort();
    assert_eq!(kids, expected);

    let first = take(&authority, &ask(&authority, "").await).await;
    assert_eq!((first.kid, first.seq), (active.clone(), 0));
    let (head, keys) = (authority.read(|tx| tx.feed_head()).await, authority.published_at(FEED_KEYS).await);
    let refresh = authority.sign_in().await.refresh;

    let authority = authority.restarted().await;
    assert_eq!(authority.key_events().await, made);
    assert_eq!(authority.read(|tx| tx.feed_head()).await, head);
    assert_eq!(authority.published_at(FEED_KEYS).await, keys);
    let _following = authority.follow_feed();
    authority.blacklist(&refresh).await.is(200, EMPTY);
    let taken = published(&authority, 1).await;
    assert_eq!((taken.kid, taken.epoch, taken.salt), (active, first.epoch, first.salt));
}

/// Records were written before anybody read them.
#[actix_web::test]
async fn what_was_revoked_before_is_in_it() {
    let folder = of_version_0_2().await;
    let expires = (NOW + crate::fixture::DAY).as_millis();
    folder.sql(&format!(
        "INSERT INTO revocations VALUES (1, 4, 'sid', 0, {expires}); UPDATE revocation_counter SET seq = 1"
    ));
    let authority = Authority::open(folder).await;
    let taken = take(&authority, &ask(&authority, "").await).await;
    assert_eq!((taken.seq, taken.after, taken.records.len()), (1, 0, 1));
    assert_eq!(taken.records[0].not_before, 0);
    end_from_outside(&authority).await;
}

/// A server that starts while another one does.
#[actix_web::test]
async fn two_stores_that_begin_at_once_begin_one_feed() {
    let authority = Authority::open(of_version_0_2().await).await;
    let other = Store::open(&authority.folder.settings.database).unwrap();
    let before = authority.read(|tx| tx.feed_head()).await;
    let feed = attesto_core::Feed { epoch: NOW + crate::fixture::DAY, salt: [9; 16] };
    other.write(move |tx| tx.begin_feed(&feed)).await.unwrap();
    assert_eq!(authority.read(|tx| tx.feed_head()).await, before);
}
