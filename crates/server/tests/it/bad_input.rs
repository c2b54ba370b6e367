//! What no honest client sends: always an answer, never a 5xx, never a hang.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use actix_web::rt::System;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fixture::{Answer, Authority, ENDPOINTS, Live, OBTAIN, REFRESH, head, read_answer};

const JSON: &str = "Content-Type: application/json\r\n";
const TOO_LARGE: &str = r#"{"detail":"Request body too large."}"#;
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The server still does what it is for.
#[track_caller]
fn is_well(live: &Live) {
    assert_eq!(live.post(OBTAIN, &format!("{JSON}Content-Length: 2\r\n"), b"{}").status, 400);
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(8000) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[test]
fn a_body_over_64_kib_is_refused_announced_or_not() {
    let live = Live::start("");
    let blank = |length: usize| [b"{".as_slice(), &vec![b' '; length - 2], b"}"].concat();
    for (path, _) in ENDPOINTS {
        // Announced: refused before any of it is there.
        let announced = format!("{JSON}Content-Length: {}\r\n", MAX_BODY_BYTES + 1);
        let answer = live.post(path, &announced, b"");
        assert_eq!((answer.status, answer.body.as_str()), (413, TOO_LARGE));
        let answer = live.post(path, &format!("{JSON}Content-Length: 99999999999\r\n"), b"{}");
        assert_eq!((answer.status, answer.body.as_str()), (413, TOO_LARGE));
        // Not announced.
        let unannounced = format!("{JSON}Transfer-Encoding: chunked\r\n");
        let answer = live.post(path, &unannounced, &chunked(&blank(MAX_BODY_BYTES + 1)));
        assert_eq!((answer.status, answer.body.as_str()), (413, TOO_LARGE));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        // Just fits.
        assert_eq!(live.post(path, &unannounced, &chunked(&blank(MAX_BODY_BYTES))).status, 400);
        let announced = format!("{JSON}Content-Length: {MAX_BODY_BYTES}\r\n");
        assert_eq!(live.post(path, &announced, &blank(MAX_BODY_BYTES)).status, 400);
    }
    is_well(&live);
}

#[test]
fn headers_over_16_kib_are_refused() {
    let live = Live::start("");
    let padded = |bytes: usize| format!("{JSON}Content-Length: 2\r\nX-Pad: {}\r\n", "a".repeat(bytes));
    assert_eq!(live.post(REFRESH, &padded(15 * 1024), b"{}").status, 400);
    let answer = live.post(REFRESH, &padded(16 * 1024), b"{}");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (431, r#"{"detail":"Request header fields too large."}"#)
    );
    let lines = |count: usize, length: usize| -> String {
        (0..count)
            .flat_map(|number| [format!("X-{number}: "), "a".repeat(length), "\r\n".to_owned()])
            .collect()
    };
    for headers in [padded(200 * 1024), lines(200, 1), lines(20, 1000)] {
        assert_eq!(live.post(REFRESH, &headers, b"{}").status, 431);
    }
    is_well(&live);
}

#[test]
fn what_is_no_http_is_refused() {
    let live = Live::start("");
    for request in [
        "nonsense\r\n\r\n",
        "POST /api/token/ HTTP/9.9\r\n\r\n",
        "POST /api/token/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST /api/token/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /api/token/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /api/token/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /api/token/ HTTP/1.1\r\nBad Header: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let status = live.exchange(request).status;
        assert!((400..500).contains(&status), "{status} for {request:?}");
    }
    let broken_chunk = format!("{JSON}Transfer-Encoding: chunked\r\n");
    let answer = live.post(REFRESH, &broken_chunk, b"zz\r\n{}\r\n0\r\n\r\n");
    assert_eq!(answer.status, 400);
    is_well(&live);
}

#[test]
fn a_body_that_does_not_come_in_ten_seconds_is_refused() {
    let live = Live::start("");
    let body_never = |dripping: bool| {
        let mut stream = live.connect();
        let head = head(REFRESH, &format!("{JSON}Content-Length: 1000\r\n"));
        stream.write_all(head.as_bytes()).unwrap();
        let begun = Instant::now();
        let mut writer = stream.try_clone().unwrap();
        // A byte now and then does not buy more time.
        let drip = thread::spawn(move || {
            while dripping && begun.elapsed() < Duration::from_secs(20) && writer.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(500));
            }
        });
        let answer = read_answer(&mut stream);
        let _ = stream.shutdown(Shutdown::Both);
        drip.join().unwrap();
        (answer, begun.elapsed())
    };
    let answers: [(Answer, Duration); 2] = thread::scope(|scope| {
        [false, true].map(|dripping| scope.spawn(move || body_never(dripping))).map(|one| one.join().unwrap())
    });
    for (answer, elapsed) in answers {
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (408, r#"{"detail":"Request body took too long."}"#)
        );
        assert!(elapsed >= Duration::from_secs(9), "{elapsed:?}");
    }
    is_well(&live);
}

#[test]
fn headers_that_do_not_come_are_not_waited_for() {
    let live = Live::start("");
    let mut idle: Vec<_> = (0..300).map(|_| live.connect()).collect();
    for stream in &mut idle {
        stream.write_all(b"POST /api/token/ HTTP/1.1\r\nHost: loc").unwrap();
    }
    is_well(&live);
    for stream in &mut idle {
        assert_eq!(read_answer(stream).status, 408);
    }
    is_well(&live);
}

#[test]
fn a_connection_that_is_cut_in_the_body_disturbs_nobody() {
    let live = Live::start("");
    for length in ["Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"] {
        for how in [Some(Shutdown::Write), Some(Shutdown::Both), None] {
            let mut stream = live.connect();
            stream.write_all(head(OBTAIN, &format!("{JSON}{length}")).as_bytes()).unwrap();
            stream.write_all(b"8\r\n{\"userna\r\n").unwrap();
            let Some(how) = how else { continue };
            stream.shutdown(how).unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            assert!(!rest.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&rest));
        }
    }
    is_well(&live);
}

/// A thousand bodies per content type, to every endpoint.
fn never_a_server_error(content_type: &str, bodies: impl Strategy<Value = Vec<u8>>) {
    let system = System::new();
    let authority = system.block_on(Authority::new());
    let config = Config { cases: 1000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(bodies, 0..ENDPOINTS.len()), |(body, endpoint)| {
        let (path, _) = ENDPOINTS[endpoint];
        let answer = system.block_on(authority.post(path, content_type, body));
        prop_assert!(matches!(answer.status, 200 | 400 | 401 | 415 | 429), "{answer:?}");
        answer.has_headers_of_dialect();
        prop_assert!(answer.json().is_object());
        Ok(())
    });
    outcome.unwrap();
}

/// Bytes, some of them words that the parsers wait for.
fn bytes_with(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_json_is_a_server_error() {
    never_a_server_error(
        "application/json",
        bytes_with(&[
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\ud83d",
            "\\u0000",
            "\"username\"",
            "\"password\"",
            "\"refresh\"",
            "\"token\"",
            "null",
            "true",
            "-1e9",
            "\"ada\"",
            "{\"refresh\":\"",
            "{\"username\":1,\"password\":\"",
        ]),
    );
}

#[test]
fn no_json_object_is_a_server_error() {
    let value = prop_oneof![
        Just("null".to_owned()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "[a-zA-Z0-9_-]{0,40}\\.[a-zA-Z0-9_-]{0,40}\\.[a-zA-Z0-9_-]{0,40}"
            .prop_map(|token| format!("{token:?}")),
    ];
    let object = proptest::array::uniform4(value).prop_map(|[username, password, refresh, token]| {
        format!(r#"{{"username":{username},"password":{password},"refresh":{refresh},"token":{token}}}"#)
            .into()
    });
    never_a_server_error("application/json", object);
}

#[test]
fn no_form_is_a_server_error() {
    never_a_server_error(
        "application/x-www-form-urlencoded",
        bytes_with(&["&", "=", "%", "%00", "%ff", "+", "username=", "password=", "refresh=", "token=", ";"]),
    );
}

#[test]
fn no_multipart_is_a_server_error() {
    never_a_server_error(
        "multipart/form-data; boundary=b",
        bytes_with(&[
            "--b",
            "--b--",
            "\r\n",
            "\r\n\r\n",
            "Content-Disposition: form-data; name=\"refresh\"",
            "--",
            "Content-Disposition: form-data; name=\"token\"; filename=\"x\"",
            "Content-Type: text/plain",
            "Content-Transfer-Encoding: base64",
            "name=\"",
            ";",
            "\"",
        ]),
    );
}

#[test]
fn no_type_of_content_is_a_server_error() {
    let system = System::new();
    let authority = system.block_on(Authority::new());
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let types = "(application/json|multipart/form-data|text)?[ -~]{0,30}";
    let outcome = TestRunner::new(config).run(&types, |content_type| {
        let answer = system.block_on(authority.post(REFRESH, &content_type, "{\"refresh\":\"x\"}"));
        prop_assert!((400..500).contains(&answer.status), "{answer:?}");
        Ok(())
    });
    outcome.unwrap();
}
