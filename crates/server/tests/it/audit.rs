//! The server seals the audit, and builds on nothing that somebody without the key-encryption key wrote.

use std::thread;
use std::time::{Duration, Instant};

use attesto_core::{AuditHead, AuditWalk, ChainedEvent};
use attesto_keyring::AuditHeadError;
use attesto_server::{AuditError, block_on, purge};
use attesto_store::Store;

use crate::fixture::{Authority, DAY, EMPTY, Folder, Live};

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
