use actix_web::test::TestRequest;
use serde_json::json;

use crate::fixture::{
    ADA, Authority, EMPTY, ENDPOINTS, INVALID, NO_ACCOUNT, OBTAIN, PASSWORD, REFRESH, hashed,
};

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=b";

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The body of a `multipart/form-data; boundary=b`.
fn multipart(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>() + "--b--\r\n"
}

#[actix_web::test]
async fn json_form_and_multipart_are_read() {
    let authority = Authority::new().await;
    let fields = [("username", ADA), ("password", PASSWORD)];
    let json = json!({"username": ADA, "password": PASSWORD}).to_string();
    for (content_type, body) in [
        ("application/json", json.clone()),
        ("application/json; charset=utf-8", json.clone()),
        ("Application/JSON", json),
        (FORM, form(&fields)),
        ("application/x-www-form-urlencoded; charset=utf-8", form(&fields)),
        (MULTIPART, multipart(&fields)),
    ] {
        let answer = authority.post(OBTAIN, content_type, body).await;
        answer.pair();
        answer.has_headers_of_dialect();
    }
}

#[actix_web::test]
async fn other_types_are_refused_by_name() {
    let authority = Authority::new().await;
    for content_type in [
        "text/plain",
        "text/plain; charset=utf-8",
        "application/vnd.api+json",
        "application/jsonx",
        "multipart/mixed; boundary=b",
        "",
    ] {
        let body = format!(r#"{{"detail":"Unsupported media type \"{content_type}\" in request."}}"#);
        for (path, _) in ENDPOINTS {
            authority.post(path, content_type, "{}").await.is(415, &body);
        }
    }
    let unnamed = authority.send(TestRequest::post().uri(REFRESH).set_payload("{}")).await;
    unnamed.is(415, r#"{"detail":"Unsupported media type \"\" in request."}"#);
}

#[actix_web::test]
async fn an_empty_body_has_no_fields_whatever_it_says_it_is() {
    let authority = Authority::new().await;
    let required = r#"{"refresh":["This field is required."]}"#;
    for content_type in ["application/json", FORM, MULTIPART, "multipart/form-data", "text/plain"] {
        authority.post(REFRESH, content_type, "").await.is(400, required);
    }
    authority.send(TestRequest::post().uri(REFRESH)).await.is(400, required);
}

#[actix_web::test]
async fn a_field_that_is_no_text_is_refused_in_the_words_of_the_framework() {
    let authority = Authority::new().await;
    let table = [
        (None, "This field is required."),
        (Some("null"), "This field may not be null."),
        (Some(r#""""#), "This field may not be blank."),
        (Some(r#"" \t\u2003\u001c ""#), "This field may not be blank."),
        (Some("true"), "Not a valid string."),
        (Some("false"), "Not a valid string."),
        (Some("[]"), "Not a valid string."),
        (Some(r#"["a"]"#), "Not a valid string."),
        (Some(r#"{"a":1}"#), "Not a valid string."),
        (Some(r#""a\u0000b""#), "Null characters are not allowed."),
        (Some(r#""a\ud800b""#), "Surrogate characters are not allowed: U+D800."),
        (Some(r#""\udfff""#), "Surrogate characters are not allowed: U+DFFF."),
    ];
    for (path, fields) in ENDPOINTS {
        for (value, message) in table {
            let given: Vec<String> = value
                .iter()
                .flat_map(|value| fields.iter().map(move |f| format!(r#""{f}":{value}"#)))
                .collect();
            let errors: Vec<String> =
                fields.iter().map(|field| format!(r#""{field}":["{message}"]"#)).collect();
            let answer = authority.post(path, "application/json", format!("{{{}}}", given.join(","))).await;
            answer.is(400, &format!("{{{}}}", errors.join(",")));
        }
    }
}

#[actix_web::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let authority = Authority::new().await;
    for (body, expected) in [
        (
            r#"{"username":"","password":null}"#,
            r#"{"username":["This field may not be blank."],"password":["This field may not be null."]}"#,
        ),
        (r#"{"password":[],"username":"ada"}"#, r#"{"password":["Not a valid string."]}"#),
        (
            r#"{"username":"\u0000\ud800","password":"x"}"#,
            r#"{"username":["Null characters are not allowed.","Surrogate characters are not allowed: U+D800."]}"#,
        ),
    ] {
        authority.post(OBTAIN, "application/json", body).await.is(400, expected);
    }
}

#[actix_web::test]
async fn fields_are_judged_before_credentials() {
    let authority = Authority::new().await;
    let missing = json!({"username": ADA});
    let required = r#"{"password":["This field is required."]}"#;
    for _ in 0..12 {
        authority.post_json(OBTAIN, &missing).await.is(400, required);
    }
    for _ in 0..10 {
        authority.obtain(ADA, "wrong").await.is(401, NO_ACCOUNT);
    }
    assert_eq!(authority.obtain(ADA, PASSWORD).await.status, 429);
    authority.post_json(OBTAIN, &missing).await.is(400, required);
}

#[actix_web::test]
async fn a_number_is_taken_as_its_text() {
    let authority = Authority::new().await;
    authority.add_user("42", hashed("17000.25")).await;
    for body in [r#"{"username":42,"password":"17000.25"}"#, r#"{"username":"42","password":17000.25}"#] {
        authority.post(OBTAIN, "application/json", body).await.pair();
    }
    authority.post(REFRESH, "application/json", r#"{"refresh":-1e400}"#).await.is(401, INVALID);
}

#[actix_web::test]
async fn the_last_of_two_fields_wins_and_unknown_ones_are_ignored() {
    let authority = Authority::new().await;
    let with = |first: &str, last: &str| {
        let fields = [
            ("username", "nobody"),
            ("password", first),
            ("csrfmiddlewaretoken", "x"),
            ("password", last),
            ("username", ADA),
        ];
        let members: Vec<String> = fields.iter().map(|(name, value)| format!("{name:?}:{value:?}")).collect();
        [
            ("application/json", format!("{{{}}}", members.join(","))),
            (FORM, form(&fields)),
            (MULTIPART, multipart(&fields)),
        ]
    };
    for (content_type, body) in with("wrong", PASSWORD) {
        authority.post(OBTAIN, content_type, body).await.pair();
    }
    for (content_type, body) in with(PASSWORD, "wrong") {
        authority.post(OBTAIN, content_type, body).await.is(401, NO_ACCOUNT);
    }
}

#[actix_web::test]
async fn every_field_is_trimmed() {
    let authority = Authority::new().await;
    let padded = |text: &str| format!(" \t\r\n\u{a0}\u{1c}{text}\u{2003}\u{3000} ");
    let refresh = authority.obtain(&padded(ADA), &padded(PASSWORD)).await.pair().refresh;
    let refresh = authority.refresh(&padded(&refresh)).await.pair().refresh;
    authority.verify(&padded(&refresh)).await.is(200, EMPTY);
    authority.blacklist(&padded(&refresh)).await.is(200, EMPTY);
    let fields = [("username", padded(ADA)), ("password", padded(PASSWORD))];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    authority.post(OBTAIN, FORM, form(&fields)).await.pair();
    authority.post(OBTAIN, MULTIPART, multipart(&fields)).await.pair();
}

#[actix_web::test]
async fn malformed_json_is_a_parse_error() {
    let authority = Authority::new().await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    let bodies: [Vec<u8>; 15] = [
        "{".into(),
        "}".into(),
        " ".into(),
        "{'refresh':1}".into(),
        r#"{"refresh":"a",}"#.into(),
        r#"{"refresh":"a"} {}"#.into(),
        r#"{"refresh":"a"#.into(),
        "{\"refresh\":\"a\nb\"}".into(),
        r#"{"refresh":NaN}"#.into(),
        r#"{"refresh":-Infinity}"#.into(),
        r#"{"refresh":01}"#.into(),
        "\u{feff}{}".into(),
        b"{\"refresh\":\"\xff\"}".into(),
        format!(r#"{{"refresh":{}}}"#, deep("[", "]")).into(),
        format!(r#"{{"refresh":{}}}"#, "{\"a\":".repeat(10_000)).into(),
    ];
    for body in bodies {
        authority
            .post(REFRESH, "application/json", body)
            .await
            .begins(400, r#"{"detail":"JSON parse error - "#);
    }
    let list = r#"{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#;
    authority.post(REFRESH, "application/json", deep("[", "]")).await.is(400, list);
}

#[actix_web::test]
async fn a_document_that_is_no_object_is_named_as_python_names_it() {
    let authority = Authority::new().await;
    for (body, what) in [
        ("[]", "list"),
        ("\"a\"", "str"),
        ("7", "int"),
        ("-7.5", "float"),
        ("true", "bool"),
        ("[{}]", "list"),
    ] {
        let expected =
            format!(r#"{{"non_field_errors":["Invalid data. Expected a dictionary, but got {what}."]}}"#);
        authority.post(OBTAIN, "application/json", body).await.is(400, &expected);
    }
    let nothing = r#"{"non_field_errors":["No data provided"]}"#;
    authority.post(OBTAIN, "application/json", "null").await.is(400, nothing);
}

#[actix_web::test]
async fn malformed_multipart_is_a_parse_error_and_a_file_is_no_text() {
    let authority = Authority::new().await;
    let truncated = "--b\r\nContent-Disposition: form-data; name=\"refresh\"\r\n\r\nabc";
    for (content_type, body) in
        [("multipart/form-data", "--b--"), (MULTIPART, "no boundary in sight"), (MULTIPART, truncated)]
    {
        let answer = authority.post(REFRESH, content_type, body).await;
        answer.begins(400, r#"{"detail":"Multipart form parse error - "#);
    }
    let file =
        "--b\r\nContent-Disposition: form-data; name=\"refresh\"; filename=\"a\"\r\n\r\nabc\r\n--b--\r\n";
    authority.post(REFRESH, MULTIPART, file).await.is(400, r#"{"refresh":["Not a valid string."]}"#);
}
