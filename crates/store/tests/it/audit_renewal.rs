//! Another chain of the audit: the one before is given up whole, however often that is interrupted.

use std::time::Duration;

use attesto_core::{AuditHead, Event};
use attesto_store::{Changed, Renewed};

use crate::audit_chain::{record, seal, sealed, walk};
use crate::fixture::{Database, NOW, event};

async fn give_up(database: &Database) -> i64 {
    database.write(|write| write.give_up_audit_chain(&event(Event::AuditRenewed))).await
}

/// One batch.
async fn begin(database: &Database, behind: i64, batch: i64) -> Renewed {
    let next = sealed(AuditHead::begin_behind(behind, NOW + Duration::from_secs(1)));
    database.write(move |write| write.begin_audit_chain(&next, batch)).await
}

#[tokio::test]
async fn rows_lose_their_places_in_batches_and_the_chain_begins_with_the_last() {
    let database = Database::empty().await;
    record(&database, 5).await;
    seal(&database).await;
    // What somebody wrote who has the database alone.
    database.tamper("UPDATE audit_events SET chain_seq = -7 WHERE chain_seq = 4");
    let behind = give_up(&database).await;
    assert_eq!(behind, 5);
    let count = || database.read(|read| read.count_sealed_audit_events());
    for left in [4, 2] {
        assert_eq!(begin(&database, behind, 2).await, Renewed::NotYet);
        assert_eq!(count().await, left);
        assert_eq!(database.read(|read| read.find_audit_head()).await, None);
    }
    assert_eq!(begin(&database, behind, 2).await, Renewed::Yes);
    assert_eq!((count().await, begin(&database, behind, 2).await), (0, Renewed::LostRace));
    seal(&database).await;
    assert_eq!(walk(&database).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(database.read(|read| read.find_last_audit_seq()).await, Some(11));
}

#[tokio::test]
async fn the_highest_place_survives_an_interruption() {
    let database = Database::empty().await;
    record(&database, 5).await;
    seal(&database).await;
    // The head alone knows of it.
    database.tamper("DELETE FROM audit_events WHERE chain_seq > 3");
    assert_eq!(give_up(&database).await, 5);
    assert_eq!(begin(&database, 5, 2).await, Renewed::NotYet);
    assert_eq!(give_up(&database).await, 5);
    assert_eq!(begin(&database, 5, 100).await, Renewed::Yes);
    seal(&database).await;
    assert_eq!(walk(&database).await.len(), 5, "three rows, and two that say what happened");
}

#[tokio::test]
async fn no_first_chain_begins_while_another_is_given_up() {
    let database = Database::empty().await;
    record(&database, 1).await;
    let events = database.read(|read| read.list_unsealed_audit_events(10)).await;
    let (links, next) = AuditHead::begin(NOW).extend(&events, NOW);
    assert_eq!(give_up(&database).await, 0);
    let next = sealed(next);
    let sealed = database.write(move |write| write.seal_audit_events(None, &next, &links)).await;
    assert_eq!(sealed, Changed::LostRace);
    assert_eq!(begin(&database, 0, 10).await, Renewed::Yes);
}
