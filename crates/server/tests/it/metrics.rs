//! `/metrics`: what it says, and to whom.

use std::collections::BTreeSet;
use std::io::Write as _;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use attesto_core::{Actor, AuditEvent, Event};
use attesto_server::Clock;

use crate::fixture::{Act, Answer, Authority, Live, SECOND, read_answer, user_id};

const LOCAL: &str = "127.0.0.1:50000";

/// What is there from the first moment on, as it is read by those who watch.
const SAMPLES: [&str; 20] = [
    concat!("attesto_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"),
    "attesto_feed_seq",
    "attesto_feed_records{kind=\"all\"}",
    "attesto_feed_records{kind=\"kid\"}",
    "attesto_feed_records{kind=\"client\"}",
    "attesto_feed_records{kind=\"subject\"}",
    "attesto_feed_records{kind=\"session\"}",
    "attesto_feed_records{kind=\"jti\"}",
    "attesto_feed_snapshot_bytes",
    "attesto_feed_read_age_seconds",
    "attesto_feed_waiters",
    "attesto_feed_answers_total{kind=\"snapshot\"}",
    "attesto_feed_answers_total{kind=\"news\"}",
    "attesto_feed_answers_total{kind=\"idle\"}",
    "attesto_feed_answer_bytes_total",
    "attesto_feed_signatures_total",
    "attesto_keys{purpose=\"token\",algorithm=\"RS256\",state=\"active\"}",
    "attesto_keys{purpose=\"token\",algorithm=\"RS256\",state=\"staged\"}",
    "attesto_keys{purpose=\"feed\",algorithm=\"ES256\",state=\"active\"}",
    "attesto_keys{purpose=\"feed\",algorithm=\"ES256\",state=\"staged\"}",
];

#[actix_web::test]
async fn every_figure_has_its_name_its_type_and_a_sentence() {
    let authority = Authority::new().await;
    let answer = metrics(&authority).await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");

    let samples = answer.body.lines().filter(|line| !line.starts_with("# ")).map(name);
    assert_eq!(samples.collect::<BTreeSet<_>>(), BTreeSet::from(SAMPLES));
    assert!(answer.body.ends_with("\n# EOF\n"));
    for sample in SAMPLES {
        let family = sample.split('{').next().unwrap().trim_end_matches("_total");
        let kind = if sample.contains("_total") { "counter" } else { "gauge" };
        assert!(answer.body.contains(&format!("\n# TYPE {family} {kind}\n")), "{family}");
        assert!(format!("\n{}", answer.body).contains(&format!("\n# HELP {family} ")), "{family}");
        for unit in ["bytes", "seconds"].into_iter().filter(|unit| family.ends_with(unit)) {
            assert!(answer.body.contains(&format!("\n# UNIT {family} {unit}\n")), "{family}");
        }
    }
    for sample in SAMPLES.into_iter().filter(|sample| sample.contains("keys") || sample.contains("build")) {
        assert_eq!(value(&answer, sample), Some("1"), "{sample}");
    }
}

#[actix_web::test]
async fn what_is_published_is_counted_by_kind_until_it_expires() {
    let authority = Authority::new().await;
    authority.operator(&[Act::RevokeSessions, Act::RevokeSessions, Act::DisableClient]).await;
    let authority = authority.restarted().await;
    authority.clock.advance(5 * SECOND);
    let answer = metrics(&authority).await;
    let by_kind = ["all", "kid", "client", "subject", "session", "jti"].map(|kind| records(&answer, kind));
    assert_eq!(by_kind, ["0", "0", "1", "2", "0", "0"].map(Some));
    assert_eq!(value(&answer, "attesto_feed_seq"), Some("3"));
    // A watermark is a second ahead.
    assert_eq!(value(&answer, "attesto_feed_newest_record_age_seconds"), Some("4.75"));

    authority.clock.advance(3600 * SECOND);
    let answer = metrics(&authority).await;
    assert_eq!((records(&answer, "client"), records(&answer, "subject")), (Some("0"), Some("0")));
    assert_eq!(value(&answer, "attesto_feed_seq"), Some("3"), "a position never goes back");
    assert_eq!(value(&answer, "attesto_feed_newest_record_age_seconds"), None, "there is none");
}

#[actix_web::test]
async fn answers_are_counted_by_what_they_tell_and_signatures_once() {
    let authority = Authority::new().await;
    authority.operator(&[Act::RevokeSessions, Act::DisableClient]).await;
    let authority = authority.restarted().await;
    let mut bodies = Vec::new();
    let snapshots = ["", "", "?epoch=1&after=0", "?after=99"];
    let (news, idle) = (["?after=0", "?after=1"], ["?after=2"]);
    for query in [&snapshots[..], &news, &idle].concat() {
        bodies.push(get(&authority, &format!("/revocations{query}")).await.body);
    }
    let snapshot = get(&authority, "/revocations").await;
    bodies.push(snapshot.body.clone());

    // What has no body costs nothing.
    let known =
        TestRequest::get().uri("/revocations").insert_header(("if-none-match", snapshot.header("etag")));
    assert_eq!(authority.send(known).await.status, 304);
    let head = TestRequest::default().method(Method::HEAD).uri("/revocations");
    assert_eq!(authority.send(head).await.status, 200);
    assert_eq!(get(&authority, "/revocations?after=x").await.status, 400);

    let answer = metrics(&authority).await;
    let answers = ["snapshot", "news", "idle"]
        .map(|kind| value(&answer, &format!("attesto_feed_answers_total{{kind=\"{kind}\"}}")).unwrap());
    assert_eq!(answers, ["5", "2", "1"]);
    let bytes: usize = bodies.iter().map(String::len).sum();
    assert_eq!(value(&answer, "attesto_feed_answer_bytes_total"), Some(bytes.to_string().as_str()));
    // No two signatures of ES256 are the same.
    let signatures = bodies.iter().collect::<BTreeSet<_>>().len();
    assert!(signatures < bodies.len(), "answers are shared");
    assert_eq!(value(&answer, "attesto_feed_signatures_total"), Some(signatures.to_string().as_str()));
    assert_eq!(value(&answer, "attesto_feed_snapshot_bytes"), Some(snapshot.body.len().to_string().as_str()));
}

/// The real server, which follows its database and is waited for.
#[test]
fn who_waits_is_counted_while_he_waits() {
    let live = Live::start("");
    let ask = || live.exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let until = |sample: &str, expected: &str| {
        let begun = std::time::Instant::now();
        while value(&ask(), sample) != Some(expected) {
            assert!(begun.elapsed() < 20 * SECOND, "waited in vain for {sample} {expected}: {}", ask().body);
            std::thread::sleep(SECOND / 100);
        }
    };
    assert_eq!(value(&ask(), "attesto_feed_waiters"), Some("0"));
    let mut waiting = live.connect();
    waiting
        .write_all(
            b"GET /revocations?after=0&wait=25 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    until("attesto_feed_waiters", "1");

    attesto_server::block_on(async {
        let event = AuditEvent::new(Event::UserSessionsRevoked, Actor::Server, Clock::system().now());
        live.store.write(move |tx| tx.revoke_user_sessions(&user_id(), &event)).await.unwrap();
    });
    assert_eq!(read_answer(&mut waiting).status, 200);
    until("attesto_feed_waiters", "0");
    let answer = ask();
    assert_eq!(value(&answer, "attesto_feed_seq"), Some("1"));
    assert_eq!(value(&answer, "attesto_feed_answers_total{kind=\"news\"}"), Some("1"));
    for age in ["attesto_feed_read_age_seconds", "attesto_feed_newest_record_age_seconds"] {
        assert!((0.0..10.0).contains(&value(&answer, age).unwrap().parse::<f64>().unwrap()), "{age}");
    }
}

#[actix_web::test]
async fn only_those_who_are_named_see_anything() {
    let named = "metrics_from = [\"10.0.0.0/8\", \"2001:db8::/32\"]\ntrusted_proxies = [\"192.0.2.1\"]";
    let local_proxy = "trusted_proxies = [\"127.0.0.1\"]";
    for (settings, sees, does_not) in [
        (
            "",
            &[("127.0.0.1:5", ""), ("127.8.9.1:5", ""), ("[::1]:5", ""), ("[::ffff:127.0.0.1]:5", "")][..],
            &[
                ("192.0.2.1:5", ""),
                ("10.0.0.1:5", ""),
                ("[::2]:5", ""),
                ("192.0.2.1:5", "X-Forwarded-For: 127.0.0.1"),
                // A proxy on this machine that nobody named.
                ("127.0.0.1:5", "X-Forwarded-For: 127.0.0.1"),
                ("127.0.0.1:5", "X-Forwarded-For: 6.6.6.6"),
                ("127.0.0.1:5", "X-Forwarded-For: "),
                ("127.0.0.1:5", "Forwarded: for=127.0.0.1"),
                ("127.0.0.1:5", "X-Forwarded-Host: auth.example.com"),
                ("127.0.0.1:5", "X-Real-IP: 127.0.0.1"),
                ("[::1]:5", "Via: 1.1 proxy"),
            ][..],
        ),
        (
            local_proxy,
            &[("127.0.0.1:5", ""), ("[::1]:5", ""), ("127.0.0.1:5", "X-Forwarded-For: ::1")],
            &[
                ("127.0.0.1:5", "X-Forwarded-For: 6.6.6.6"),
                ("127.0.0.1:5", "X-Forwarded-For: ::1, 6.6.6.6"),
                // The proxy does not say for whom.
                ("127.0.0.1:5", "X-Forwarded-For: unknown"),
                ("127.0.0.1:5", "X-Forwarded-For: ::1, unknown"),
                ("127.0.0.1:5", "X-Forwarded-Proto: https"),
                ("127.0.0.1:5", "Forwarded: for=\"[::1]\""),
                ("[::1]:5", "X-Forwarded-For: ::1"),
            ],
        ),
        (
            named,
            &[
                ("10.1.2.3:5", ""),
                ("[2001:db8::7]:5", ""),
                ("192.0.2.1:5", "X-Forwarded-For: 10.1.2.3"),
                ("192.0.2.1:5", "X-Forwarded-For: 6.6.6.6, 10.1.2.3"),
            ],
            &[
                ("127.0.0.1:5", ""),
                ("192.0.2.1:5", ""),
                ("192.0.2.1:5", "X-Forwarded-For: 10.1.2.3, 6.6.6.6"),
                ("10.1.2.3:5", "X-Forwarded-For: 10.1.2.3"),
            ],
        ),
        ("metrics_from = []", &[], &[("127.0.0.1:5", ""), ("[::1]:5", "")]),
    ] {
        let authority = Authority::with(settings).await;
        for ((peer, header), status) in
            sees.iter().map(|from| (from, 200)).chain(does_not.iter().map(|from| (from, 404)))
        {
            let mut request = TestRequest::get().uri("/metrics");
            if let Some((name, value)) = header.split_once(": ") {
                request = request.insert_header((name, value));
            }
            let answer = authority.send_from(peer, request).await;
            assert_eq!(answer.status, status, "{settings} {peer} {header}");
        }
    }
}

#[actix_web::test]
async fn for_everybody_else_there_is_no_such_path() {
    let authority = Authority::new().await;
    for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::DELETE] {
        let ask = |path: &str| authority.send(TestRequest::default().method(method.clone()).uri(path));
        let (refused, unknown) = (ask("/metrics").await, ask("/metrix").await);
        assert_eq!(unknown.status, 404);
        assert_eq!(refused.without_request_id(), unknown.without_request_id(), "{method}");
    }
    let from_here = |request: TestRequest| authority.send_from(LOCAL, request.uri("/metrics"));
    assert_eq!(from_here(TestRequest::post()).await.status, 405);
    let head = from_here(TestRequest::default().method(Method::HEAD)).await;
    assert_eq!(head.status, 200);
}

async fn metrics(authority: &Authority) -> Answer {
    let answer = authority.send_from(LOCAL, TestRequest::get().uri("/metrics")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

async fn get(authority: &Authority, path: &str) -> Answer {
    authority.send(TestRequest::get().uri(path)).await
}

/// The published records of a kind.
fn records<'a>(answer: &'a Answer, kind: &str) -> Option<&'a str> {
    value(answer, &format!("attesto_feed_records{{kind=\"{kind}\"}}"))
}

/// Of a sample, everything but its value.
fn name(sample: &str) -> &str {
    sample.rsplit_once(' ').unwrap().0
}

/// What a sample says.
fn value<'a>(answer: &'a Answer, sample: &str) -> Option<&'a str> {
    let line = answer.body.lines().find(|line| !line.starts_with('#') && name(line) == sample)?;
    Some(line.rsplit_once(' ').unwrap().1)
}
