//! What stands in an answer, and around it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use actix_web::http::Method;
use actix_web::http::header::IF_NONE_MATCH;
use actix_web::test::TestRequest;
use attesto_core::{KeyState, Line, RevocationKind};
use attesto_token::base64url_decode;
use attesto_token::feed::RevocationRecord;
use flate2::read::GzDecoder;
use serde_json::json;

use super::{FEED, ask, end_a_session, end_from_outside, insert_many, published, record, take};
use crate::fixture::{Answer, Authority, ISSUER, Live, NOW, SECOND, USER_ID, claims, header};

#[actix_web::test]
async fn a_snapshot_says_exactly_this() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    let sid = end_a_session(&authority).await;
    end_from_outside(&authority).await;
    let taken = published(&authority, 2).await;

    let answer = ask(&authority, "").await;
    let kid = authority.key(Line::of_feed(), KeyState::Active).await;
    assert_eq!(header(&answer.body), format!(r#"{{"typ":"revocations+jwt","alg":"ES256","kid":"{kid}"}}"#));
    let claims = claims(&answer.body);
    let stored = authority.read(|tx| tx.feed_head()).await.feed;
    assert_eq!(taken.salt.as_bytes(), &stored.salt);
    let expected = json!({
        "iss": ISSUER, "iat": NOW.seconds(), "exp": NOW.seconds() + 60, "epoch": NOW.as_millis(),
        "salt": claims["salt"], "seq": 2, "after": 0, "records": claims["records"],
    });
    assert_eq!(serde_json::Value::Object(claims.clone()), expected);
    let records = base64url_decode(claims["records"].as_str().unwrap()).unwrap();
    let session = record(taken.salt, RevocationKind::Session, &sid, NOW, NOW);
    let user = record(taken.salt, RevocationKind::Subject, USER_ID, NOW + SECOND, NOW);
    assert_eq!(RevocationRecord::read_all(&records).unwrap(), [session, user]);

    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    let etag = format!("W/\"{}.2\"", NOW.as_millis());
    assert_eq!(
        headers,
        BTreeMap::from(
            [
                ("cache-control", "no-store"),
                ("content-type", "application/revocations+jwt"),
                ("etag", &etag),
                ("vary", "Accept-Encoding"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        )
    );
}

/// `after` is never higher than what was asked for, and nothing newer is missing.
#[actix_web::test]
async fn an_answer_holds_all_that_is_newer_than_what_was_asked_for() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    for seq in 1..=6 {
        end_a_session(&authority).await;
        // Some were published alone, some two at once.
        if seq % 3 != 0 {
            published(&authority, seq).await;
        }
    }
    let all = published(&authority, 6).await;
    for round in 0..2 {
        for after in 0..=6 {
            let answer = ask(&authority, &format!("?after={after}")).await;
            assert_eq!((answer.header("cache-control"), answer.header("etag")), ("no-store", ""));
            let taken = take(&authority, &answer).await;
            assert!(taken.after <= after, "{round}: {} for {after}", taken.after);
            assert_eq!((taken.epoch, taken.seq), (all.epoch, 6));
            let missing = usize::try_from(taken.after).unwrap();
            assert_eq!(taken.records, all.records[missing..], "{round}: {after}");
            if after == 0 {
                assert_eq!(taken.after, 0, "all of it");
            }
        }
        let newest = take(&authority, &ask(&authority, "?after=6").await).await;
        assert_eq!((newest.after, newest.records.len()), (6, 0), "nothing is new");
    }
}

#[actix_web::test]
async fn who_knows_another_feed_or_a_later_one_gets_everything_at_once() {
    let authority = Authority::new().await;
    end_a_session(&authority).await;
    let authority = authority.restarted().await;
    let epoch = NOW.as_millis();
    for query in [
        "?after=2&wait=25".to_owned(),
        format!("?after={}&wait=25", i64::MAX),
        format!("?epoch={}&after=1&wait=25", epoch - 1),
        format!("?epoch={}&after=1&wait=25", epoch + 1),
        format!("?epoch={}&after=1&wait=25", i64::MAX),
        // 2^53, and more than 64 bits hold.
        "?after=9007199254740992&wait=25".to_owned(),
        format!("?after={}0&wait={}0", i64::MAX, u64::MAX),
        format!("?epoch={}0&after=1&wait=25", i64::MAX),
        "?epoch=0&after=1&wait=25".to_owned(),
        format!("?epoch={epoch}&after=0&wait=25"),
        // Without a position there is nothing to wait for.
        "?wait=25".to_owned(),
        format!("?epoch={epoch}&wait=25"),
    ] {
        let begun = std::time::Instant::now();
        let taken = take(&authority, &ask(&authority, &query).await).await;
        assert_eq!((taken.after, taken.seq, taken.records.len()), (0, 1, 1), "{query}");
        assert!(begun.elapsed() < 5 * SECOND, "{query}");
    }
}

#[actix_web::test]
async fn who_has_the_snapshot_is_told_so() {
    let authority = Authority::new().await;
    let _following = authority.follow_feed();
    let full = ask(&authority, "").await;
    let etag = full.header("etag").to_owned();
    let conditional = |query: &str, known: &str| {
        let request = TestRequest::get().uri(&format!("{FEED}{query}"));
        authority.send(request.insert_header((IF_NONE_MATCH, known)))
    };
    for (known, status) in [
        (etag.as_str(), 304),
        (etag.trim_start_matches("W/"), 304),
        ("*", 304),
        (&format!("\"other\", {etag}"), 304),
        ("\"other\"", 200),
        (etag.trim_start_matches("W/").trim_matches('"'), 200),
    ] {
        let answer = conditional("", known).await;
        assert_eq!(answer.status, status, "{known}");
        for name in ["etag", "cache-control", "vary"] {
            assert_eq!(answer.header(name), full.header(name), "{known}: {name}");
        }
        assert_eq!(answer.body.is_empty(), status == 304);
    }
    // A poll wants to hear when that was signed.
    assert_eq!(conditional("?after=0", &etag).await.status, 200);
    assert_eq!(conditional("?after=0", "*").await.status, 200);

    end_a_session(&authority).await;
    published(&authority, 1).await;
    let answer = conditional("", &etag).await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.header("etag"), etag);
}

#[actix_web::test]
async fn what_is_no_number_is_refused_in_words() {
    let authority = Authority::new().await;
    for (query, description) in [
        ("?after=-1", "after: is a whole number, 0 or more"),
        ("?after=", "after: is a whole number, 0 or more"),
        ("?after=+1", "after: is a whole number, 0 or more"),
        ("?after=-9223372036854775809", "after: is a whole number, 0 or more"),
        ("?after=0&wait=soon", "wait: is a whole number, 0 or more"),
        ("?epoch=now", "epoch: is a whole number, 0 or more"),
        ("?after=1&after=1", "after: is given twice"),
        ("?after=%00", "after: is a whole number, 0 or more"),
    ] {
        let answer = ask(&authority, query).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.json(), json!({"error": "invalid_request", "error_description": description}));
    }
    assert_eq!(ask(&authority, "?what=ever&after=0&%ff").await.status, 200);
}

#[actix_web::test]
async fn the_feed_is_read_only_and_never_redirected() {
    let authority = Authority::new().await;
    for (method, path, status) in
        [(Method::POST, FEED, 405), (Method::DELETE, FEED, 405), (Method::GET, "/revocations/", 404)]
    {
        let answer = authority.send(TestRequest::default().method(method).uri(path)).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.headers.contains_key("location"));
    }
}

/// More than a connection is given at once, and of a size that is worth compressing.
const MANY: u64 = 10_000;

async fn of_many() -> Live {
    let authority = Authority::new().await;
    // The real server goes by the clock of this machine.
    insert_many(&authority, 1, MANY, NOW + 100 * 365 * 24 * 3600 * SECOND);
    Live::serve(authority.into_folder().await)
}

/// The head and the body.
fn exchange(live: &Live, method: &str, path: &str, headers: &str) -> (Answer, Vec<u8>) {
    let mut stream = live.connect();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let (status_line, lines) = head.split_once("\r\n").unwrap();
    let answer = Answer {
        status: status_line.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: lines
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: String::new(),
    };
    (answer, bytes.split_off(end + 4))
}

#[test]
fn an_answer_is_compressed_for_those_who_want_that() {
    let live = attesto_server::block_on(of_many());
    let iat = |body: &[u8]| claims(std::str::from_utf8(body).unwrap())["iat"].as_i64().unwrap();
    let unzipped = |body: &[u8]| {
        let mut plain = Vec::new();
        GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        plain
    };
    // Both forms of the answer of one second.
    let (plain, zipped) = loop {
        let (_, plain) = exchange(&live, "GET", FEED, "");
        let (head, body) = exchange(&live, "GET", FEED, "Accept-Encoding: gzip\r\n");
        assert_eq!((head.status, head.header("content-encoding")), (200, "gzip"));
        assert_eq!(head.header("content-length"), body.len().to_string());
        if iat(&plain) == iat(&unzipped(&body)) {
            break (plain, body);
        }
    };
    assert_eq!(unzipped(&zipped), plain);
    assert!(plain.len() > 24 * 10_000 && zipped.len() < plain.len());

    for (accepted, encoding) in [
        ("gzip, deflate, br", "gzip"),
        ("gzip;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=0.1, identity;q=0.9", ""),
        ("identity", ""),
        ("br", ""),
        ("", ""),
        ("nonsense;;;", ""),
    ] {
        let (head, _) = exchange(&live, "GET", FEED, &format!("Accept-Encoding: {accepted}\r\n"));
        assert_eq!((head.status, head.header("content-encoding")), (200, encoding), "{accepted}");
        assert_eq!(head.header("vary"), "Accept-Encoding");
    }
    // Of a few bytes nothing is saved.
    let path = format!("{FEED}?after={MANY}");
    let (head, body) = exchange(&live, "GET", &path, "Accept-Encoding: gzip\r\n");
    assert_eq!(
        (head.header("content-encoding"), claims(std::str::from_utf8(&body).unwrap())["after"].as_u64()),
        ("", Some(MANY))
    );
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let live = attesto_server::block_on(of_many());
    for (path, headers) in [
        (FEED.to_owned(), ""),
        (FEED.to_owned(), "Accept-Encoding: gzip\r\n"),
        (format!("{FEED}?after={MANY}"), ""),
        (format!("{FEED}?after=x"), ""),
    ] {
        let (mut get, got) = exchange(&live, "GET", &path, headers);
        let (mut head, nothing) = exchange(&live, "HEAD", &path, headers);
        assert_eq!((get.status, nothing.len()), (head.status, 0), "{path}");
        assert_eq!(get.header("content-length"), got.len().to_string());
        for answer in [&mut get, &mut head] {
            answer.headers.remove("date");
            answer.headers.remove("x-request-id");
            // Another second, other bytes: a little more or less after compression.
            if answer.headers.contains_key("content-encoding") {
                answer.headers.remove("content-length").unwrap();
            }
        }
        assert_eq!(get.headers, head.headers, "{path}");
    }
}
