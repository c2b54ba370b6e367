//! Servers report themselves; who fell silent is shown for a day.

use std::time::Duration;

use attesto_core::{Instant, KekId, ServerReport};

use crate::fixture::{Database, NOW};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn the_last_report_of_each_server_is_listed_until_it_leaves() {
    let database = Database::empty().await;
    assert_eq!(list(&database).await, []);
    let (a, b) = (report("a", NOW), report("b", NOW + Duration::from_secs(1)));
    put(&database, &b).await;
    put(&database, &a).await;
    assert_eq!(list(&database).await, [a, b.clone()]);

    let bare = ServerReport {
        id: "a".to_owned(),
        version: "0.4.0".to_owned(),
        kek_ids: vec![],
        confirmed_kids: vec![],
        key_version: 9,
        seen_at: NOW + Duration::from_secs(2),
        feed_seq: 7,
    };
    put(&database, &bare).await;
    assert_eq!(list(&database).await, [bare.clone(), b]);

    for id in ["b", "b", "unknown"] {
        database.write(move |write| write.remove_server(id)).await;
        assert_eq!(list(&database).await, std::slice::from_ref(&bare), "{id} left");
    }
}

#[tokio::test]
async fn a_server_that_fell_silent_is_forgotten_after_a_day() {
    let database = Database::empty().await;
    let silent = report("silent", NOW);
    put(&database, &silent).await;
    let last = report("other", NOW + DAY);
    put(&database, &last).await;
    assert_eq!(list(&database).await, [last, silent]);
    let next = report("other", NOW + DAY + Duration::from_millis(1));
    put(&database, &next).await;
    assert_eq!(list(&database).await, [next]);
}

#[tokio::test]
async fn what_a_wrong_clock_wrote_is_forgotten() {
    let database = Database::empty().await;
    put(&database, &report("ahead", NOW + DAY + Duration::from_millis(1))).await;
    let near = report("near", NOW + DAY);
    put(&database, &near).await;
    let present = report("present", NOW);
    put(&database, &present).await;
    assert_eq!(list(&database).await, [near, present]);
}

/// A clock that goes back does not lower the mark; one that was a day ahead is not believed for longer than that.
#[tokio::test]
async fn the_latest_sight_of_a_server_is_remembered() {
    let database = Database::empty().await;
    for (seen_at, expected) in [
        (NOW, NOW),
        (NOW + DAY, NOW + DAY),
        (NOW, NOW + DAY),
        (NOW - Duration::from_millis(1), NOW - Duration::from_millis(1)),
        (NOW, NOW),
    ] {
        put(&database, &report("a", seen_at)).await;
        let facts = database.read(|read| read.find_key_facts()).await;
        assert_eq!(facts.latest_seen_at, Some(expected));
    }
}

/// What a server with two key-encryption keys says.
pub(crate) fn report(id: &str, seen_at: Instant) -> ServerReport {
    ServerReport {
        id: id.to_owned(),
        version: "0.4.0".to_owned(),
        kek_ids: vec![KekId("00ff".to_owned()), KekId("ä\"\\".to_owned())],
        confirmed_kids: vec!["k1".to_owned(), "k2".to_owned()],
        key_version: 3,
        seen_at,
        feed_seq: 7,
    }
}

async fn put(database: &Database, report: &ServerReport) {
    let report = report.clone();
    database.write(move |write| write.put_server(&report)).await;
}

async fn list(database: &Database) -> Vec<ServerReport> {
    database.read(|read| read.list_servers()).await
}
