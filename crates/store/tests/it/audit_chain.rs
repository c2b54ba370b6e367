//! The chain of the audit: each row gets one place, whoever else seals or removes at the same time.

use std::time::Duration;

use attesto_core::{
    AuditEdition, AuditEvent, AuditFilter, AuditHead, AuditPurge, AuditWalk, ClientId, Event, KekId,
    SealedAuditHead, SessionId, UserId,
};
use attesto_store::{Changed, Store, Unsealed};
use tokio::task::JoinSet;

use crate::fixture::{Database, NOW, event};

/// Nobody here checks MACs.
pub(crate) fn sealed(head: AuditHead) -> SealedAuditHead {
    SealedAuditHead { head, kek_id: KekId("00ff".to_owned()), mac: vec![7; 32] }
}

/// Gives up to `batch` rows their places; `None` if somebody else was first.
async fn try_seal(store: &Store, batch: i64) -> Option<usize> {
    let (head, events) = store
        .read(move |read| Ok((read.find_audit_head()?, read.list_unsealed_audit_events(batch)?)))
        .await
        .unwrap();
    let head = head.map(|head| head.head);
    let (links, next) = head.unwrap_or(AuditHead::begin(NOW)).extend(&events, NOW);
    let (from, count) = (head.map(|head| head.edition()), links.len());
    let next = sealed(next);
    let changed = store.write(move |write| write.seal_audit_events(from, &next, &links)).await.unwrap();
    (changed == Changed::Yes).then_some(count)
}

pub(crate) async fn seal(database: &Database) {
    try_seal(&database.store, 1000).await.unwrap();
}

/// Goes along the chain; gives the ids of its rows in their order.
pub(crate) async fn walk(database: &Database) -> Vec<i64> {
    let (head, rows) = database
        .read(|read| Ok((read.find_audit_head()?.unwrap().head, read.list_sealed_audit_events(0, 10_000)?)))
        .await;
    let mut walk = AuditWalk::from(head.purged);
    rows.iter().try_for_each(|row| walk.step(row)).unwrap();
    walk.end(head.last).unwrap();
    rows.into_iter().map(|row| row.event.id).collect()
}

pub(crate) async fn record(database: &Database, count: usize) {
    let event = event(Event::SignedIn).user(&UserId("ada".to_owned()));
    database.write(move |write| (0..count).try_for_each(|_| write.record(&event))).await;
}

#[tokio::test]
async fn rows_wait_until_they_are_sealed() {
    let database = Database::empty().await;
    assert_eq!(database.read(|read| read.find_audit_head()).await, None);
    assert_eq!(database.read(|read| read.find_last_audit_seq()).await, None);
    record(&database, 3).await;
    let count = || database.read(|read| read.count_unsealed_audit_events());
    assert_eq!(count().await, Unsealed { rows: 3, since: Some(NOW) });
    seal(&database).await;
    assert_eq!(count().await, Unsealed { rows: 0, since: None });
    record(&database, 2).await;
    assert_eq!(walk(&database).await, [1, 2, 3]);
    seal(&database).await;
    assert_eq!(walk(&database).await, [1, 2, 3, 4, 5]);
    assert_eq!(database.read(|read| read.find_last_audit_seq()).await, Some(5));

    let page = database.read(|read| read.list_sealed_audit_events(1, 2)).await;
    assert_eq!(page.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(page[0].event.user_id.as_deref(), Some("ada"));
}

#[tokio::test]
async fn whoever_decided_on_another_head_changes_nothing() {
    let database = Database::empty().await;
    record(&database, 2).await;
    let events = database.read(|read| read.list_unsealed_audit_events(10)).await;
    let (links, next) = AuditHead::begin(NOW).extend(&events, NOW);
    let seal = |from, next: AuditHead| {
        let (links, next) = (links.clone(), sealed(next));
        database.write(move |write| write.seal_audit_events(from, &next, &links))
    };
    assert_eq!(seal(None, next).await, Changed::Yes);
    let before = database.contents();
    assert_eq!(seal(None, next).await, Changed::LostRace);
    let present = next.edition();
    for from in [
        AuditEdition { version: 0, ..present },
        AuditEdition { version: 2, ..present },
        // Of the chain before, in which there was a head of this number too.
        AuditEdition { begun_at: NOW - Duration::from_millis(1), ..present },
    ] {
        assert_eq!(seal(Some(from), next).await, Changed::LostRace);
        let from = AuditHead { version: from.version, begun_at: from.begun_at, ..AuditHead::begin(NOW) };
        let next = sealed(AuditHead { purged: next.last, ..next });
        let purged = database.write(move |write| write.purge_audit_events(&from, &next)).await;
        assert_eq!(purged, None);
    }
    assert_eq!(database.contents(), before);

    // The head would fit, and a row has its place already.
    let again = AuditHead { version: 2, ..next };
    let (links, again) = (links.clone(), sealed(again));
    database
        .store
        .write(move |write| write.seal_audit_events(Some(present), &again, &links))
        .await
        .unwrap_err();
    assert_eq!(database.contents(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_seal_at_once_each_row_gets_one_place() {
    const SEALERS: usize = 6;
    const ROWS: usize = 120;
    let database = Database::empty().await;
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let store = Store::open(&database.url).unwrap();
        tasks.spawn(async move {
            for _ in 0..ROWS / 3 {
                store.write(|write| write.record(&event(Event::SignedIn))).await.unwrap();
            }
        });
    }
    for _ in 0..SEALERS {
        let store = Store::open(&database.url).unwrap();
        tasks.spawn(async move {
            for _ in 0..60 {
                let _ = try_seal(&store, 4).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    while database.read(|read| read.count_unsealed_audit_events()).await.rows > 0 {
        seal(&database).await;
    }
    let mut ids = walk(&database).await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ROWS);
}

#[tokio::test]
async fn the_beginning_moves_with_the_rows_that_go() {
    let database = Database::empty().await;
    record(&database, 4).await;
    let late = AuditEvent { at: NOW + Duration::from_secs(100), ..event(Event::SignedIn) };
    database.write(move |write| write.record(&late)).await;
    seal(&database).await;
    record(&database, 1).await;
    let purge = || async {
        let (head, oldest) = database
            .read(|read| {
                let head = read.find_audit_head()?.unwrap().head;
                Ok((head, read.list_sealed_audit_events(head.purged.seq, 3)?))
            })
            .await;
        let (before, now) = (NOW + Duration::from_secs(1), NOW + Duration::from_secs(200));
        let mut purge = AuditPurge::of(head, before, now, 2);
        purge.take(&oldest).unwrap();
        let next = sealed(purge.head()?);
        database.write(move |write| write.purge_audit_events(&head, &next)).await
    };
    assert_eq!((purge().await, walk(&database).await), (Some(2), vec![3, 4, 5]));
    assert_eq!((purge().await, walk(&database).await), (Some(2), vec![5]));
    assert_eq!((purge().await, walk(&database).await), (None, vec![5]));
    seal(&database).await;
    assert_eq!(walk(&database).await, [5, 6]);
}

#[tokio::test]
async fn a_purge_takes_the_rows_of_its_places_and_no_others() {
    let database = Database::empty().await;
    record(&database, 4).await;
    seal(&database).await;
    let head = database.read(|read| read.find_audit_head()).await.unwrap().head;
    let rows = database.read(|read| read.list_sealed_audit_events(0, 10)).await;
    let up_to = |row: usize| {
        let purged = AuditWalk::from(head.purged);
        let purged = rows[..row].iter().fold(purged, |mut walk, row| {
            walk.step(row).unwrap();
            walk
        });
        sealed(AuditHead { version: head.version + 1, purged: purged.at(), ..head })
    };
    // One too many stays for others to see.
    database.tamper(
        "INSERT INTO audit_events (at, event, actor, chain_seq) VALUES (1, 'signed_in', 'server', 0)",
    );
    let next = up_to(2);
    let purged = database.write(move |write| write.purge_audit_events(&head, &next)).await;
    assert_eq!(purged, Some(2));
    assert_eq!(database.read(|read| read.count_sealed_audit_events()).await, 3);

    database.tamper("DELETE FROM audit_events WHERE chain_seq = 3");
    let before = database.contents();
    let (from, next) = (up_to(2).head, up_to(3));
    let next = SealedAuditHead { head: AuditHead { version: from.version + 1, ..next.head }, ..next };
    database.store.write(move |write| write.purge_audit_events(&from, &next)).await.unwrap_err();
    assert_eq!(database.contents(), before);
}

#[tokio::test]
async fn what_is_no_hash_is_read_as_none() {
    let database = Database::empty().await;
    record(&database, 2).await;
    seal(&database).await;
    let hash = |seq| database.read(move |read| read.find_audit_hash(seq));
    let head = database.read(|read| read.find_audit_head()).await.unwrap().head;
    assert_eq!(hash(2).await, Some(head.last.hash));
    assert_eq!(hash(3).await, None);
    database.tamper("UPDATE audit_events SET chain_hash = x'00' WHERE chain_seq = 2");
    assert_eq!(hash(2).await, None);
    database.tamper("UPDATE audit_head SET hash = x'00'");
    let altered = database.read(|read| read.find_audit_head()).await.unwrap().head;
    assert_ne!(altered.last, head.last);
}

#[tokio::test]
async fn a_list_has_what_fits_everything_that_is_asked_for() {
    let database = Database::empty().await;
    let (ada, web, session) =
        (UserId("ada".to_owned()), ClientId("web".to_owned()), SessionId("s".to_owned()));
    let later = AuditEvent { at: NOW + Duration::from_secs(1), ..event(Event::SignedIn) };
    let events = [
        event(Event::SignedIn),
        event(Event::SignedIn).user(&ada),
        event(Event::SessionRevoked).user(&ada).client(&web).session(&session),
        event(Event::KeyPromoted).key("k"),
        later.user(&ada).client(&web),
    ];
    database.write(move |write| events.iter().try_for_each(|event| write.record(event))).await;
    let all = AuditFilter::default();
    let table = [
        (all.clone(), vec![5, 4, 3, 2, 1]),
        (AuditFilter { event: Some(Event::SignedIn), ..all.clone() }, vec![5, 2, 1]),
        (AuditFilter { user_id: Some(ada.clone()), ..all.clone() }, vec![5, 3, 2]),
        (AuditFilter { client_id: Some(web), ..all.clone() }, vec![5, 3]),
        (AuditFilter { session_id: Some(session), ..all.clone() }, vec![3]),
        (AuditFilter { kid: Some("k".to_owned()), ..all.clone() }, vec![4]),
        (AuditFilter { since: Some(NOW + Duration::from_secs(1)), ..all.clone() }, vec![5]),
        (AuditFilter { until: Some(NOW + Duration::from_secs(1)), ..all.clone() }, vec![4, 3, 2, 1]),
        (AuditFilter { event: Some(Event::SignedIn), user_id: Some(ada), ..all }, vec![5, 2]),
    ];
    for (filter, ids) in table {
        let copy = filter.clone();
        let found = database.read(move |read| read.list_audit_events(&copy, 10)).await;
        assert_eq!(found.iter().map(|event| event.id).collect::<Vec<_>>(), ids, "{filter:?}");
    }
}
