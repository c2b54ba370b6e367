//! The server seals the audit, and builds on nothing that somebody without the key-encryption key wrote.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use attesto_core::{AuditBreak, AuditHead, AuditWalk, ChainedEvent, Event, ServerReport};
use attesto_keyring::{AuditHeadError, KeyEncryptionKeys};
use attesto_server::{AuditChain, AuditError, block_on, purge};
use attesto_store::Store;
use futures_util::future::join3;

use crate::fixture::{Authority, DAY, EMPTY, Folder, Live, SECOND};

/// The rows of the chain, which is whole.
async fn chain(store: &Store, head: AuditHead) -> Vec<ChainedEvent> {
    let rows = store.read(|tx| tx.list_sealed_audit_events(0, 10_000)).await.unwrap();
    let mut walk = AuditWalk::from(head.purged);
    rows.iter().try_for_each(|row| walk.step(row)).unwrap();
    walk.end(head.last).unwrap();
    rows
}

async fn seal(authority: &Authority) -> Result<usize, AuditError> {
    authority.audit_chain().seal(authority.clock.now()).await
}

/// With a memory of its own, as another server has.
async fn other_server(authority: &Authority) -> AuditChain {
    let settings = &authority.folder.settings;
    let store = Store::open(&settings.database).unwrap();
    let id = store.read(|tx| tx.find_authority()).await.unwrap().unwrap().id;
    let keks = Arc::new(KeyEncryptionKeys::read(&settings.key_encryption_keys).unwrap());
    AuditChain::new(store, keks, id)
}

#[test]
fn a_running_server_seals_what_happens() {
    let live = Live::serve(Folder::new("audit_lifetime = \"36500d\""));
    let begun = Instant::now();
    let unsealed = || block_on(live.store.read(|tx| tx.count_unsealed_audit_events())).unwrap().rows;
    while unsealed() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} are left", unsealed());
        thread::sleep(Duration::from_millis(50));
    }
    let head = block_on(live.store.read(|tx| tx.find_audit_head())).unwrap().unwrap().head;
    assert!(!block_on(chain(&live.store, head)).is_empty(), "the first start is in it");
}

#[actix_web::test]
async fn what_is_old_leaves_a_chain_that_begins_later() {
    let authority = Authority::new().await;
    authority.sign_in().await;
    assert!(seal(&authority).await.unwrap() > 5);
    assert_eq!(seal(&authority).await.unwrap(), 0);
    authority.clock.advance(2 * DAY);
    let refresh = authority.sign_in().await.refresh;
    authority.blacklist(&refresh).await.is(200, EMPTY);

    // What is new is sealed first.
    purge(&authority.store, authority.audit_chain(), authority.clock.now(), DAY).await.unwrap();
    let head = authority.audit_chain().head().await.unwrap().unwrap();
    let left: Vec<_> =
        chain(&authority.store, head).await.into_iter().map(|row| (row.seq, row.event.event)).collect();
    let events = [(1, "signed_in".to_owned()), (2, "session_revoked".to_owned())];
    assert_eq!(left, events.map(|(behind, event)| (head.purged.seq + behind, event)));
    assert!(head.purged.seq > 5);
}

#[actix_web::test]
async fn nothing_is_built_on_a_head_that_is_not_ours() {
    type Refused = fn(&AuditError) -> bool;
    let altered: Refused = |error| matches!(error, AuditError::Head(AuditHeadError::Altered));
    let missing: Refused = |error| matches!(error, AuditError::HeadMissing { last: 1.. });
    let table: [(&str, Refused); 5] = [
        ("UPDATE audit_head SET seq = seq + 1", altered),
        ("UPDATE audit_head SET hash = purged_hash", altered),
        ("UPDATE audit_head SET purged_seq = seq", altered),
        ("UPDATE audit_head SET begun_at = 0", altered),
        ("DELETE FROM audit_head", missing),
    ];
    for (statement, is_expected) in table {
        let authority = Authority::new().await;
        seal(&authority).await.unwrap();
        authority.folder.sql(statement);
        authority.sign_in().await;
        let refused = seal(&authority).await.unwrap_err();
        assert!(is_expected(&refused), "{statement}: {refused}");
        let refused = authority.audit_chain().purge(authority.clock.now() + DAY, authority.clock.now()).await;
        assert!(is_expected(&refused.unwrap_err()), "{statement}");
        assert_eq!(authority.read(|tx| tx.count_unsealed_audit_events()).await.rows, 1, "{statement}");
    }
}

#[actix_web::test]
async fn a_head_that_was_put_back_is_noticed() {
    let authority = Authority::new().await;
    seal(&authority).await.unwrap();
    authority.folder.sql("CREATE TABLE old_head AS SELECT * FROM audit_head");
    authority.sign_in().await;
    seal(&authority).await.unwrap();
    authority.sign_in().await;
    let put_back = "DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM old_head;";
    authority.folder.sql(put_back);
    let refused = seal(&authority).await.unwrap_err();
    assert!(matches!(refused, AuditError::HeadSetBack { head, found } if found == head + 1), "{refused}");

    // Also by somebody who makes the newest rows look like new ones.
    authority
        .folder
        .sql("UPDATE audit_events SET chain_seq = NULL WHERE chain_seq > (SELECT seq FROM audit_head)");
    let refused = seal(&authority).await.unwrap_err();
    assert!(matches!(refused, AuditError::WentBack { .. }), "{refused}");
    // A server that is started anew has not seen the later head.
    let authority = authority.restarted().await;
    assert_eq!(seal(&authority).await.unwrap(), 2);
}

const KEEP_HEAD: &str = "CREATE TABLE old_head AS SELECT * FROM audit_head";
/// Two tables are enough to go back to where the head was kept.
const FORGE: &str = "DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM old_head; \
    UPDATE audit_events SET chain_seq = NULL, chain_hash = NULL, actor = 'nobody' \
    WHERE chain_seq > (SELECT seq FROM audit_head)";

#[actix_web::test]
async fn a_server_remembers_what_another_one_forgot() {
    let authority = Authority::new().await;
    seal(&authority).await.unwrap();
    authority.folder.sql(KEEP_HEAD);
    authority.sign_in().await;
    seal(&authority).await.unwrap();
    let seen = authority.audit_chain().head().await.unwrap().unwrap();

    authority.folder.sql(FORGE);
    let other = other_server(&authority).await;
    let now = authority.clock.now();
    other.seal(now).await.unwrap();
    let refused = authority.audit_chain().head().await.unwrap_err();
    assert!(matches!(refused, AuditError::WentBack { .. }), "another one of the same version: {refused}");
    for _ in 0..3 {
        authority.sign_in().await;
        other.seal(now).await.unwrap();
    }
    let refused = seal(&authority).await.unwrap_err();
    assert!(matches!(refused, AuditError::Replaced { seq } if seq == seen.last.seq), "{refused}");
}

#[actix_web::test]
async fn a_chain_that_was_taken_away_as_a_whole_is_missed() {
    let authority = Authority::new().await;
    seal(&authority).await.unwrap();
    let take_away = "DELETE FROM audit_head; UPDATE audit_events SET chain_seq = NULL, chain_hash = NULL";
    authority.folder.sql(take_away);
    let refused = seal(&authority).await.unwrap_err();
    assert!(matches!(refused, AuditError::WentBack { stored: None, .. }), "{refused}");
    assert!(refused.to_string().contains("the database holds none"), "{refused}");
}

#[actix_web::test]
async fn a_row_that_was_seen_and_is_another_one_now_stops_the_sealing() {
    let authority = Authority::new().await;
    seal(&authority).await.unwrap();
    authority
        .folder
        .sql("UPDATE audit_events SET chain_hash = NULL WHERE chain_seq = (SELECT seq FROM audit_head)");
    authority.sign_in().await;
    assert!(matches!(seal(&authority).await, Err(AuditError::Replaced { .. })));
}

/// Else whoever has the database alone makes rows old, and the server removes them and signs that this is well.
#[actix_web::test]
async fn nothing_is_removed_that_does_not_prove_to_be_what_was_sealed() {
    type Expected = fn(&AuditBreak) -> bool;
    let table: [(&str, Expected); 4] = [
        ("UPDATE audit_events SET at = 0 WHERE chain_seq <= 3", |it| *it == AuditBreak::Altered { seq: 1 }),
        ("UPDATE audit_events SET at = 0 WHERE chain_seq = 2", |it| *it == AuditBreak::Altered { seq: 2 }),
        ("DELETE FROM audit_events WHERE chain_seq = 2", |it| {
            *it == AuditBreak::Missing { first: 2, last: 2 }
        }),
        // What a program of 0.3.0 removes: by age, whether it has a place or not.
        ("DELETE FROM audit_events WHERE chain_seq < 3", |it| {
            *it == AuditBreak::Missing { first: 1, last: 2 }
        }),
    ];
    for (statement, is_expected) in table {
        let authority = Authority::new().await;
        authority.sign_in().await;
        seal(&authority).await.unwrap();
        authority.clock.advance(2 * DAY);
        authority.sign_in().await;
        seal(&authority).await.unwrap();
        authority.folder.sql(statement);
        let rows = || authority.folder.number("SELECT COUNT(*) FROM audit_events");
        let before = rows();
        let now = authority.clock.now();
        let refused = authority.audit_chain().purge(now - DAY, now).await.unwrap_err();
        assert!(
            matches!(&refused, AuditError::Broken(found) if is_expected(found)),
            "{statement}: {refused}"
        );
        assert_eq!(rows(), before, "{statement}");
    }
}

#[actix_web::test]
async fn rows_from_the_future_do_not_hold_up_the_old_ones_behind_them() {
    let authority = Authority::new().await;
    let now = authority.clock.now();
    authority.clock.advance(2 * DAY);
    let ahead = authority.event(Event::SignInRefused);
    authority.clock.set_back(2 * DAY);
    authority.write(move |tx| (0..1200).try_for_each(|_| tx.record(&ahead))).await;
    authority.sign_in().await;
    seal(&authority).await.unwrap();
    let begun = authority.audit_chain().purge(now + DAY, now + DAY).await.unwrap();
    let next = authority.audit_chain().purge(now + DAY, now + DAY).await.unwrap();
    assert!((1..100).contains(&begun) && next == 500, "what was there before, then a batch: {begun} {next}");
    while authority.audit_chain().purge(now + DAY, now + DAY).await.unwrap() > 0 {}
    let head = authority.audit_chain().head().await.unwrap().unwrap();
    assert_eq!(head.purged, head.last, "the sign-in behind them went, too");
}

#[actix_web::test]
async fn of_several_that_purge_and_seal_at_once_none_breaks_the_chain() {
    let authority = Authority::new().await;
    let event = authority.event(Event::SignInRefused);
    authority.write(move |tx| (0..3000).try_for_each(|_| tx.record(&event))).await;
    seal(&authority).await.unwrap();
    let (one, other) = (other_server(&authority).await, other_server(&authority).await);
    let now = authority.clock.now() + DAY;
    let purge = async |chain: &AuditChain| {
        let mut purged = 0;
        loop {
            match chain.purge(now, now).await.unwrap() {
                0 => return purged,
                count => purged += count,
            }
        }
    };
    let sealing = async {
        for _ in 0..20 {
            authority.sign_in().await;
            seal(&authority).await.unwrap();
        }
    };
    let (first, second, ()) = join3(purge(&one), purge(&other), sealing).await;
    assert!(first + second >= 3000, "{first} {second}");
    let head = authority.audit_chain().head().await.unwrap().unwrap();
    chain(&authority.store, head).await;
}

#[actix_web::test]
async fn another_chain_has_every_row_as_it_stands_and_running_servers_follow_it() {
    let authority = Authority::new().await;
    authority.sign_in().await;
    seal(&authority).await.unwrap();
    let before = authority.audit_chain().head().await.unwrap().unwrap();
    authority.folder.sql("DELETE FROM audit_events WHERE chain_seq = 2");
    let operator = other_server(&authority).await;
    authority.clock.advance(SECOND);
    let begun = operator.renew(authority.event(Event::AuditRenewed)).await.unwrap();
    assert_eq!((begun.purged, begun.begun_at), (begun.last, authority.clock.now()));
    assert_eq!(begun.last.seq, before.last.seq, "no place is given twice");

    // This server has seen the chain before.
    seal(&authority).await.unwrap();
    let head = authority.audit_chain().head().await.unwrap().unwrap();
    let rows = chain(&authority.store, head).await;
    assert_eq!(i64::try_from(rows.len()), Ok(before.last.seq), "one is missing, and one says so");
    assert_eq!(rows.last().unwrap().event.event, "audit_renewed");
}

#[actix_web::test]
async fn a_head_of_an_older_chain_is_never_accepted() {
    let authority = Authority::new().await;
    seal(&authority).await.unwrap();
    for _ in 0..3 {
        authority.sign_in().await;
        seal(&authority).await.unwrap();
    }
    authority.folder.sql(KEEP_HEAD);
    authority.clock.advance(SECOND);
    authority.audit_chain().renew(authority.event(Event::AuditRenewed)).await.unwrap();
    seal(&authority).await.unwrap();
    authority.folder.sql(FORGE);
    let refused = seal(&authority).await.unwrap_err();
    assert!(
        matches!(&refused, AuditError::WentBack { stored: Some(stored), known } if stored.version > known.version)
    );
    assert!(refused.to_string().contains("of an older chain"), "{refused}");
}

/// A clock that went back must not make the new chain the older one.
#[actix_web::test]
async fn a_chain_begins_later_than_the_one_before_by_whatever_clock() {
    let authority = Authority::new().await;
    seal(&authority).await.unwrap();
    let before = authority.audit_chain().head().await.unwrap().unwrap();
    authority.clock.set_back(DAY);
    let begun = authority.audit_chain().renew(authority.event(Event::AuditRenewed)).await.unwrap();
    assert!(begun.begun_at > before.begun_at);
    seal(&authority).await.unwrap();
}

/// They remove old rows by their age, and know nothing of places.
#[actix_web::test]
async fn no_chain_begins_while_a_server_runs_that_would_break_it() {
    let authority = Authority::new().await;
    let report = ServerReport {
        id: "old-one".to_owned(),
        version: "0.3.0".to_owned(),
        kek_ids: vec![],
        confirmed_kids: vec![],
        key_version: 1,
        seen_at: authority.clock.now(),
        feed_seq: 0,
    };
    authority.write(move |tx| tx.put_server(&report)).await;
    for refused in [
        seal(&authority).await.unwrap_err(),
        authority.audit_chain().renew(authority.event(Event::AuditRenewed)).await.unwrap_err(),
    ] {
        assert!(refused.to_string().ends_with("old-one (0.3.0)"), "{refused}");
    }
    assert_eq!(authority.read(|tx| tx.find_last_audit_seq()).await, None);
    authority.clock.advance(31 * SECOND);
    assert!(seal(&authority).await.unwrap() > 0, "it is silent, and counts as gone");
}
