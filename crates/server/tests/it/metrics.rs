//! `/metrics`: what it says, and to whom.

use std::collections::BTreeSet;
use std::io::Write as _;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use attesto_core::{Actor, AuditEvent, Event};
use attesto_server::Clock;

use crate::fixture::{ADA, Act, Answer, Authority, DAY, Live, SECOND, read_answer, user_id};

const LOCAL: &str = "127.0.0.1:50000";

/// What is there from the first moment on, as it is read by those who watch: each family, and the labels of its members.
const FAMILIES: [(&str, &str, &[&str]); 24] = [
    ("build_info", "gauge", &[concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}")]),
    ("feed_seq", "gauge", &[""]),
    ("feed_records", "gauge", &FEED_RECORDS),
    ("feed_snapshot_bytes", "gauge", &[""]),
    ("feed_read_age_seconds", "gauge", &[""]),
    ("feed_waiters", "gauge", &[""]),
    ("feed_waiters_limit", "gauge", &[""]),
    ("feed_answers", "counter", &["{kind=\"snapshot\"}", "{kind=\"news\"}", "{kind=\"idle\"}"]),
    ("feed_answer_bytes", "counter", &[""]),
    ("feed_signatures", "counter", &[""]),
    ("keys", "gauge", &KEYS),
    ("key_active_age_seconds", "gauge", &LINES),
    ("password_hashes_waiting", "gauge", &[""]),
    ("password_hashes_running", "gauge", &[""]),
    ("password_hashes_capacity", "gauge", &[""]),
    ("password_hashes_rejected", "counter", &[""]),
    ("tokens_issued", "counter", &ISSUED),
    ("refusals", "counter", &REFUSALS),
    ("http_requests", "counter", &[]),
    ("http_request_duration_seconds", "histogram", &[]),
    ("sqlite_writes_waiting", "gauge", &[""]),
    ("sqlite_commit_changes", "histogram", &[]),
    ("sqlite_commit_duration_seconds", "histogram", &[]),
    ("database_connections_used", "gauge", &[""]),
];

const FEED_RECORDS: [&str; 6] = [
    "{kind=\"all\"}",
    "{kind=\"kid\"}",
    "{kind=\"client\"}",
    "{kind=\"subject\"}",
    "{kind=\"session\"}",
    "{kind=\"jti\"}",
];

const KEYS: [&str; 4] = [
    "{purpose=\"token\",algorithm=\"RS256\",state=\"active\"}",
    "{purpose=\"token\",algorithm=\"RS256\",state=\"staged\"}",
    "{purpose=\"feed\",algorithm=\"ES256\",state=\"active\"}",
    "{purpose=\"feed\",algorithm=\"ES256\",state=\"staged\"}",
];

const LINES: [&str; 2] =
    ["{purpose=\"token\",algorithm=\"RS256\"}", "{purpose=\"feed\",algorithm=\"ES256\"}"];

const ISSUED: [&str; 6] = [
    "{kind=\"access\",grant=\"sign_in\"}",
    "{kind=\"access\",grant=\"refresh\"}",
    "{kind=\"access\",grant=\"retry\"}",
    "{kind=\"refresh\",grant=\"sign_in\"}",
    "{kind=\"refresh\",grant=\"refresh\"}",
    "{kind=\"refresh\",grant=\"retry\"}",
];

const REFUSALS: [&str; 9] = [
    "{reason=\"credentials\"}",
    "{reason=\"throttled\"}",
    "{reason=\"invalid\"}",
    "{reason=\"expired\"}",
    "{reason=\"revoked\"}",
    "{reason=\"replayed\"}",
    "{reason=\"disabled\"}",
    "{reason=\"malformed\"}",
    "{reason=\"unavailable\"}",
];

#[actix_web::test]
async fn every_figure_has_its_name_its_type_and_a_sentence() {
    let authority = Authority::new().await;
    let answer = metrics(&authority).await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.ends_with("\n# EOF\n"));

    let on_file = authority.folder.settings.database.file().is_some();
    let is_there = |name: &str| !name.starts_with(if on_file { "database_" } else { "sqlite_" });
    let expected: Vec<_> = FAMILIES.into_iter().filter(|(name, _, _)| is_there(name)).collect();
    let text = format!("\n{}", answer.body);
    for (name, kind, members) in &expected {
        assert!(text.contains(&format!("\n# TYPE attesto_{name} {kind}\n")), "{name}");
        assert!(text.contains(&format!("\n# HELP attesto_{name} ")), "{name}");
        for unit in ["bytes", "seconds"].into_iter().filter(|unit| name.ends_with(unit)) {
            assert!(text.contains(&format!("\n# UNIT attesto_{name} {unit}\n")), "{name}");
        }
        let total = if *kind == "counter" { "_total" } else { "" };
        for labels in *members {
            assert!(value(&answer, &format!("attesto_{name}{total}{labels}")).is_some(), "{name} {labels}");
        }
    }
    let named: BTreeSet<_> = expected.iter().map(|(name, _, _)| format!("attesto_{name}")).collect();
    let others = ["attesto_database_connections_limit", "attesto_database_connections_waiting"];
    let families = answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let unnamed = families.filter(|family| !named.contains(*family) && !others.contains(family));
    assert_eq!(unnamed.collect::<Vec<_>>(), [""; 0]);
    for labels in KEYS {
        assert_eq!(value(&answer, &format!("attesto_keys{labels}")), Some("1"), "{labels}");
    }
}

#[actix_web::test]
async fn requests_are_counted_by_their_route_and_never_by_what_was_asked_for() {
    let authority = Authority::new().await;
    for path in ["/livez", "/livez?secret=1", "/%6civez"] {
        assert_eq!(get(&authority, path).await.status, 200);
    }
    assert_eq!(get(&authority, "/secret/livez").await.status, 404);
    assert_eq!(get(&authority, "/metrics").await.status, 404, "not for this peer");
    let long = TestRequest::get().uri("/livez").insert_header(("x-secret", "x".repeat(17_000)));
    assert_eq!(authority.send(long).await.status, 431);
    let odd = TestRequest::default().method(Method::from_bytes(b"SECRET").unwrap()).uri("/api/token");
    assert_eq!(authority.send(odd).await.status, 405);
    for path in ["/api/token", "/api/token/"] {
        assert_eq!(authority.post_json(path, &serde_json::json!({})).await.status, 400);
    }

    let answer = metrics(&authority).await;
    let count = |route: &str, method: &str, status: &str| {
        let labels = format!("{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}");
        value(&answer, &format!("attesto_http_requests_total{labels}"))
    };
    for (route, method, status, expected) in [
        ("/livez", "GET", "2xx", Some("3")),
        ("/livez", "GET", "5xx", Some("0")),
        ("/livez", "HEAD", "2xx", None),
        ("none", "GET", "4xx", Some("3")),
        ("/api/token", "other", "4xx", Some("1")),
        ("/api/token", "POST", "4xx", Some("2")),
    ] {
        assert_eq!(count(route, method, status), expected, "{route} {method} {status}");
    }
    let durations = |suffix: &str, labels: &str| {
        let sample = format!("attesto_http_request_duration_seconds_{suffix}{{{labels}}}");
        value(&answer, &sample)
            .unwrap_or_else(|| panic!("no {sample}: {}", answer.body))
            .parse::<f64>()
            .unwrap()
    };
    assert_eq!(durations("count", "route=\"/livez\"").to_string(), "3");
    let bounds = "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 +Inf".split(' ');
    let buckets: Vec<_> =
        bounds.map(|le| durations("bucket", &format!("le=\"{le}\",route=\"/livez\"")).to_string()).collect();
    assert!(buckets.is_sorted() && buckets.last().unwrap() == "3", "{buckets:?}");
    let sum = durations("sum", "route=\"/livez\"");
    assert!(0.0 < sum && sum < 10.0, "{sum}");
    assert!(!answer.body.to_lowercase().contains("secret"), "{}", answer.body);
}

#[actix_web::test]
async fn tokens_are_counted_by_what_they_were_given_for_and_refusals_by_their_reason() {
    let authority = Authority::with("throttle_user_failures = 2").await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair().refresh;
    authority.refresh(&first).await.pair();
    let third = authority.refresh(&second).await.pair();
    assert_eq!(authority.refresh(&first).await.status, 401, "a replay");
    assert_eq!(authority.refresh(&third.refresh).await.status, 401, "of an ended session");
    assert_eq!(authority.refresh(&third.access).await.status, 401, "no refresh token");
    for _ in 0..3 {
        authority.obtain(ADA, "wrong").await;
    }
    assert_eq!(authority.post_json("/api/token/", &serde_json::json!([])).await.status, 400);

    let answer = metrics(&authority).await;
    let issued =
        ISSUED.map(|labels| value(&answer, &format!("attesto_tokens_issued_total{labels}")).unwrap());
    assert_eq!(issued, ["1", "2", "1", "1", "2", "1"]);
    let refused = REFUSALS.map(|labels| value(&answer, &format!("attesto_refusals_total{labels}")).unwrap());
    assert_eq!(refused, ["2", "1", "1", "0", "1", "1", "0", "1", "0"]);
}

#[actix_web::test]
async fn sessions_that_live_are_counted_in_the_database() {
    let authority = Authority::new().await;
    for _ in 0..3 {
        authority.sign_in().await;
    }
    let ended = authority.sign_in().await.refresh;
    assert_eq!(authority.blacklist(&ended).await.status, 200);
    assert_eq!(sampled(&authority, "attesto_sessions").await, "3");

    authority.clock.advance(5 * SECOND);
    authority.operator(&[Act::RevokeSessions]).await;
    assert_eq!(sampled(&authority, "attesto_sessions").await, "0", "of one user");
    authority.clock.advance(5 * SECOND);
    authority.sign_in().await;
    assert_eq!(sampled(&authority, "attesto_sessions").await, "1", "he came back");
    authority.operator(&[Act::DisableClient]).await;
    assert_eq!(sampled(&authority, "attesto_sessions").await, "0", "of one client");
}

#[actix_web::test]
async fn an_operator_sees_when_the_next_key_signs() {
    let authority = Authority::new().await;
    let line = LINES[0];
    let days = async |name: &str| {
        let seconds: f64 =
            sampled(&authority, &format!("attesto_{name}_seconds{line}")).await.parse().unwrap();
        seconds / 86_400.0
    };
    let is = |days: f64, expected: f64| (days - expected).abs() < 0.001;
    assert!(is(days("key_active_age").await, 0.0) && is(days("key_rotation_due").await, 30.0));
    authority.clock.advance(31 * DAY);
    assert!(is(days("key_active_age").await, 31.0) && is(days("key_rotation_due").await, -1.0));
}

/// A table too large to be counted in time stands in nobody else's way.
#[actix_web::test]
async fn sessions_that_cannot_be_counted_hide_nothing_but_their_number() {
    let authority = Authority::new().await;
    let shown = async || {
        let answer = metrics(&authority).await;
        let due = format!("attesto_key_rotation_due_seconds{}", LINES[0]);
        [due.as_str(), "attesto_audit_unsealed_seconds", "attesto_sessions"]
            .map(|sample| value(&answer, sample).is_some())
    };
    assert_eq!(shown().await, [false; 3], "nobody has asked yet");
    authority.folder.sql("ALTER TABLE sessions RENAME TO away");
    assert!(authority.sample().await.is_err());
    assert_eq!(shown().await, [true, true, false]);
    authority.folder.sql("ALTER TABLE away RENAME TO sessions");
    authority.sample().await.unwrap();
    assert_eq!(shown().await, [true; 3]);
    authority.folder.sql("ALTER TABLE sessions RENAME TO away");
    assert!(authority.sample().await.is_err());
    assert_eq!(shown().await, [true, true, false], "what was counted before is not said of now");
}

#[actix_web::test]
async fn an_operator_sees_how_long_the_audit_has_waited() {
    let authority = Authority::new().await;
    let age = async || sampled(&authority, "attesto_audit_unsealed_seconds").await;
    let seal = async || authority.audit_chain().seal(authority.clock.now()).await.unwrap();
    assert!(seal().await > 0);
    assert_eq!(age().await, "0.0");
    authority.sign_in().await;
    authority.clock.advance(60 * SECOND);
    authority.sign_in().await;
    authority.clock.advance(30 * SECOND);
    assert_eq!(age().await, "90.0", "of the oldest");
    assert_eq!(seal().await, 2);
    assert_eq!(age().await, "0.0");
}

#[actix_web::test]
async fn what_a_commit_held_is_counted() {
    let authority = Authority::new().await;
    let answer = metrics(&authority).await;
    if authority.folder.settings.database.file().is_none() {
        assert_eq!(value(&answer, "attesto_database_connections_limit"), Some("16"));
        assert_eq!(value(&answer, "attesto_database_connections_waiting"), Some("0"));
        return;
    }
    let count = |answer: &Answer, sample: &str| -> f64 {
        value(answer, &format!("attesto_sqlite_commit_{sample}")).unwrap().parse().unwrap()
    };
    authority.sign_in().await;
    let later = metrics(&authority).await;
    let more = |sample| count(&later, sample) - count(&answer, sample);
    // Reserved and begun, one after the other; whatever else the server wrote meanwhile.
    assert!(more("changes_count") >= 2.0);
    let counts = ["changes", "duration_seconds"].map(|what| format!("attesto_sqlite_commit_{what}_count"));
    assert_eq!(value(&later, &counts[0]), value(&later, &counts[1]));
    assert!(more("changes_sum") >= more("changes_count") && more("duration_seconds_sum") > 0.0);
    assert_eq!(value(&later, "attesto_sqlite_writes_waiting"), Some("0"));
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

/// What a sample says once the database was asked.
async fn sampled(authority: &Authority, sample: &str) -> String {
    authority.sample().await.unwrap();
    value(&metrics(authority).await, sample).unwrap().to_owned()
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
