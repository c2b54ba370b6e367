//! A feed that begins anew, as after a restore, and one that is large.

use super::{ask, end_from_outside, insert_many, published, take};
use crate::fixture::{Authority, DAY, Log, NOW, SECOND, soon};

/// Ends the feed, and begins another at which the clock is `later` milliseconds on.
fn begin_anew(authority: &Authority, later: i64, records: &str, seq: u64) {
    authority.folder.sql(&format!(
        "BEGIN IMMEDIATE;
         UPDATE feed SET epoch = epoch + {later}, salt = x'0102030405060708090a0b0c0d0e0f10';
         DELETE FROM revocations; {records}
         UPDATE revocation_counter SET seq = {seq};
         COMMIT"
    ));
}

fn one_record() -> String {
    let expires = (NOW + DAY).as_millis();
    format!("INSERT INTO revocations VALUES (1, 0, '', {}, {expires});", NOW.as_millis())
}

/// Whatever the new feed begins with, also at the very position of the old one.
#[actix_web::test]
async fn a_new_feed_is_told_to_all_who_wait() {
    for (known, records, seq) in
        [(3, one_record(), 1), (1, one_record(), 1), (3, String::new(), 0), (0, String::new(), 0)]
    {
        let authority = Authority::new().await;
        let _following = authority.follow_feed();
        for _ in 0..known {
            end_from_outside(&authority).await;
        }
        let old = published(&authority, known).await;
        let query = format!("?epoch={}&after={known}&wait=25", old.epoch);
        let begins = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            begin_anew(&authority, 5, &records, seq);
            std::time::Instant::now()
        };
        let (answer, begun_at) = tokio::join!(ask(&authority, &query), begins);
        assert!(begun_at.elapsed() < std::time::Duration::from_secs(5), "{known} {seq}");
        let new = take(&authority, &answer).await;
        assert_eq!((new.epoch, new.after, new.seq), (old.epoch + 5, 0, seq), "{known}");
        assert_eq!(new.salt.as_bytes()[..3], [1, 2, 3]);
        assert_eq!(new.records.len() as u64, seq);
        // Nobody is given a position of the other feed.
        for after in 0..=4 {
            let taken = take(&authority, &ask(&authority, &format!("?after={after}")).await).await;
            assert!(taken.after <= after && taken.after <= seq, "{after}");
            assert_eq!(taken.seq, seq);
        }
        end_from_outside(&authority).await;
        let next = published(&authority, seq + 1).await;
        assert_eq!(next.records.len() as u64, seq + 1);
    }
}

/// Strangers can say what they like: it makes one line in an hour.
#[actix_web::test]
async fn who_knows_more_than_there_is_is_a_sign_of_a_restored_database() {
    const LINE: &str = "knows a later position than there is";
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    end_from_outside(&authority).await;
    let epoch = published(&authority, 1).await.epoch;
    let (log, _guard) = Log::capture_here();
    let known = ["?after=0", "?after=1", "?epoch=0&after=9", "?epoch=0&after=9&wait=1"];
    for query in known.map(str::to_owned).into_iter().chain([format!("?epoch={epoch}&after=1")]) {
        take(&authority, &ask(&authority, &query).await).await;
    }
    assert_eq!(log.lines_with(LINE), [""; 0]);

    let ask_for_more = async || {
        for number in 0..50 {
            ask(&authority, &format!("?after={}", 2 + number)).await;
            ask(&authority, &format!("?epoch={}&after={number}&wait=25", epoch + 1 + number)).await;
            ask(&authority, "?after=99999999999999999999").await;
        }
    };
    ask_for_more().await;
    let [line] = &log.lines_with(LINE)[..] else { panic!("{}", log.text()) };
    for part in ["WARN", " known_seq=2 ", " seq=1", "`attesto feed renew`", "docs/operations/backup.md"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    authority.clock.advance(3599 * SECOND);
    ask_for_more().await;
    assert_eq!(log.lines_with(LINE).len(), 1);
    authority.clock.advance(SECOND);
    ask_for_more().await;
    assert_eq!(log.lines_with(LINE).len(), 2, "whoever looks at the log of today finds it as well");
}

/// A counter that stands before its own records: no answer is true then, and none is given for long.
#[actix_web::test]
async fn a_counter_that_contradicts_the_records_is_an_error() {
    let authority = Authority::new().await;
    insert_many(&authority, 1, 20_001, NOW + DAY);
    authority.folder.sql("UPDATE revocation_counter SET seq = 5");
    let (log, _guard) = Log::capture_here();
    let _following = authority.follow_feed();
    soon(async || (!log.lines_with("the revocation feed cannot be read").is_empty()).then_some(())).await;
    assert_eq!(take(&authority, &ask(&authority, "").await).await.seq, 0, "what was true before");
    authority.folder.sql("UPDATE revocation_counter SET seq = 20001");
    assert_eq!(published(&authority, 20_001).await.records.len(), 20_001);
}

#[actix_web::test]
async fn two_hundred_thousand_records_are_published_and_read_at_the_start() {
    const MANY: u64 = 200_000;
    let authority = Authority::new().await;
    let following = authority.follow_feed();
    insert_many(&authority, 1, MANY, NOW + DAY);
    let all = published(&authority, MANY).await;
    assert_eq!(all.records.len() as u64, MANY);
    end_from_outside(&authority).await;
    let taken = soon(async || {
        let taken = take(&authority, &ask(&authority, &format!("?after={MANY}")).await).await;
        (taken.seq > MANY).then_some(taken)
    });
    assert_eq!(taken.await.records.len(), 1);
    drop(following);
    let authority = authority.restarted().await;
    let again = take(&authority, &ask(&authority, "").await).await;
    assert_eq!((again.seq, again.records.len() as u64), (MANY + 1, MANY + 1));
    assert_eq!(again.records[..all.records.len()], all.records);
}
