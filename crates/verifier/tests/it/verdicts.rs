//! One table for each rule: what stands in the token, and the verdict.

use attesto_token::base64url_encode;
use attesto_verifier::{Algorithm, Error, TokenType, Verifier};
use aws_lc_rs::hmac;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

use crate::token::{
    AUDIENCE, ISSUER, KEY, NOW, OTHER_KEY, builder, claims, verdict, verifier, verify, with, without,
};

#[test]
fn a_good_token_gives_its_claims() {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let verified = verifier().verify::<Claims>(&KEY.token(&claims())).unwrap();
    assert_eq!(verified.claims.sub, "42");
    assert_eq!(*verified.kid, *KEY.jwk.kid);
    assert_eq!(verified.alg, Algorithm::Rs256);
    let std = verified.std;
    assert_eq!(
        (std.issuer(), std.subject(), std.client_id(), std.sid()),
        (ISSUER, "42", "web", Some("5f1d"))
    );
    assert_eq!((std.issued_at(), std.expires_at()), (NOW, NOW + 600));
    assert!(std.audience().eq([AUDIENCE]));
    assert_eq!(std.jti(), "9b2fc3d3a4e04f5c8d1e6f7a8b9c0d1e");
    assert!(std.scope().eq(["orders:read", "orders:write"]));
}

/// Each of these is accepted by a widespread library although issuer and audience are set.
#[test]
fn what_others_let_through() {
    let mut anonymous = without("iss");
    anonymous.as_object_mut().unwrap().remove("aud");
    let table = [
        (anonymous, Error::ClaimMissing("iss")),
        (with("iss", json!(["https://evil.example", ISSUER])), Error::ClaimInvalid("iss")),
        (with("iss", 7), Error::ClaimInvalid("iss")),
        (with("aud", json!({AUDIENCE: AUDIENCE})), Error::ClaimInvalid("aud")),
        (with("nbf", NOW + 1_000_000), Error::NotYetValid),
        (with("exp", NOW - 30), Error::Expired),
        (with("iss", "https://evil.example"), Error::IssuerMismatch),
    ];
    for (claims, error) in table {
        assert_eq!(verdict(&KEY.token(&claims)), Err(error), "{claims}");
    }
    let header = |name: &str, value: Value| {
        let mut header = KEY.header();
        header[name] = value;
        KEY.sign(&header.to_string(), claims().to_string())
    };
    assert_eq!(verdict(&header("typ", json!("id+jwt"))), Err(Error::TypeMismatch));
    assert_eq!(verdict(&header("crit", json!(["b64", "zzz"]))), Err(Error::CritUnsupported));
}

#[test]
fn algorithms_outside_of_the_list() {
    let secrets = [KEY.public_bytes(), KEY.modulus(), b""];
    for secret in secrets {
        let mut header = KEY.header();
        header["alg"] = json!("HS256");
        let input =
            format!("{}.{}", base64url_encode(header.to_string()), base64url_encode(claims().to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
        assert_eq!(verdict(&format!("{input}.{}", base64url_encode(tag))), Err(Error::AlgNotAllowed));
    }
    let algorithms =
        ["none", "noNE", "NONE", "", "rs256", "RS256 ", "RS384", "RS512", "PS256", "ES256", "EdDSA"];
    for alg in algorithms {
        let mut header = KEY.header();
        header["alg"] = json!(alg);
        let token = KEY.sign(&header.to_string(), claims().to_string());
        assert_eq!(verdict(&token), Err(Error::AlgNotAllowed), "{alg:?}");
        let unsigned = token.rsplit_once('.').unwrap().0.to_owned() + ".";
        assert_eq!(verdict(&unsigned), Err(Error::Malformed), "{alg:?} without a signature");
    }
    for header in [r#"{"typ":"at+jwt","kid":"a"}"#, r#"{"typ":"at+jwt","kid":"a","alg":["RS256"]}"#] {
        assert_eq!(verdict(&KEY.sign(header, claims().to_string())), Err(Error::Malformed), "{header}");
    }
}

#[test]
fn the_key_is_named_by_kid_and_by_nothing_else() {
    let with_header = |change: &dyn Fn(&mut Value)| {
        let mut header = KEY.header();
        change(&mut header);
        verdict(&OTHER_KEY.sign(&header.to_string(), claims().to_string()))
    };
    let foreign = serde_json::to_value(&OTHER_KEY.jwk).unwrap();
    assert_eq!(with_header(&|_| {}), Err(Error::SignatureInvalid));
    assert_eq!(with_header(&|header| header["jwk"] = foreign.clone()), Err(Error::SignatureInvalid));
    assert_eq!(
        with_header(&|header| header["jku"] = json!("https://evil.example/jwks.json")),
        Err(Error::SignatureInvalid)
    );
    assert_eq!(with_header(&|header| header["kid"] = json!(OTHER_KEY.jwk.kid)), Err(Error::KeyUnknown));
    assert_eq!(with_header(&|header| header["kid"] = json!("../../etc/passwd")), Err(Error::KeyUnknown));
    assert_eq!(with_header(&|header| header["kid"] = json!(null)), Err(Error::Malformed));
    let without_kid = KEY.sign(r#"{"typ":"at+jwt","alg":"RS256"}"#, claims().to_string());
    assert_eq!(verdict(&without_kid), Err(Error::KeyUnknown));
}

#[test]
fn the_type_is_compared_as_a_media_type() {
    let token = |typ: Value| {
        let mut header = KEY.header();
        header["typ"] = typ;
        KEY.sign(&header.to_string(), claims().to_string())
    };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert_eq!(verdict(&token(json!(typ))), Ok(()), "{typ}");
    }
    for typ in [
        "JWT",
        "",
        "id+jwt",
        "rt+jwt",
        "logout+jwt",
        "at+jwt ",
        "text/at+jwt",
        "application/",
        "application/application/at+jwt",
    ] {
        assert_eq!(verdict(&token(json!(typ))), Err(Error::TypeMismatch), "{typ}");
    }
    assert_eq!(verdict(&token(json!(["at+jwt"]))), Err(Error::Malformed));
    let header = json!({"alg": "RS256", "kid": KEY.jwk.kid}).to_string();
    assert_eq!(verdict(&KEY.sign(&header, claims().to_string())), Err(Error::TypeMismatch));
}

/// The authority's own use: refresh tokens, addressed to itself, without leeway.
#[test]
fn another_type_is_accepted_exactly() {
    let verifier = Verifier::builder(ISSUER)
        .audience(ISSUER)
        .token_type(TokenType::Exactly("rt+jwt"))
        .leeway(Duration::ZERO)
        .clock(|| NOW)
        .build_offline(&KEY.jwks())
        .unwrap();
    let mut header = KEY.header();
    header["typ"] = json!("rt+jwt");
    let refresh = KEY.sign(&header.to_string(), with("aud", ISSUER).to_string());
    assert_eq!(verifier.verify::<Value>(&refresh).unwrap().std.subject(), "42");
    assert_eq!(verdict(&refresh), Err(Error::TypeMismatch));
    let access = KEY.token(&with("aud", ISSUER));
    assert_eq!(verifier.verify::<Value>(&access).unwrap_err(), Error::TypeMismatch);
}

#[test]
fn both_sides_of_the_leeway() {
    for (leeway, ahead) in [(0_i64, 0_i64), (30, 0), (60, 0), (0, 60), (30, 5)] {
        let seconds = |number: i64| Duration::from_secs(number.cast_unsigned());
        let verifier = builder()
            .leeway(seconds(leeway))
            .issuer_ahead(seconds(ahead))
            .build_offline(&KEY.jwks())
            .unwrap();
        let latest = NOW + leeway + ahead;
        let table = [
            (with("exp", NOW - leeway + 1), Ok(())),
            (with("exp", NOW - leeway), Err(Error::Expired)),
            (with("nbf", latest), Ok(())),
            (with("nbf", latest + 1), Err(Error::NotYetValid)),
            (with("iat", latest), Ok(())),
            (with("iat", latest + 1), Err(Error::IssuedInFuture)),
        ];
        for (claims, expected) in table {
            let verdict = verifier.verify::<Value>(&KEY.token(&claims)).map(drop);
            assert_eq!(verdict, expected, "leeway {leeway} and {ahead}: {claims}");
        }
    }
    assert_eq!(verdict(&KEY.token(&with("exp", NOW - 29))), Ok(()), "30 seconds by default");
}

#[test]
fn instants_are_numbers() {
    let year_10000 = 253_402_300_800_i64;
    for name in ["exp", "nbf", "iat"] {
        let bad = [
            json!(NOW.to_string()),
            json!("never"),
            json!(true),
            json!(null),
            json!([NOW]),
            json!({}),
            json!(-1),
            json!(-0.5),
            json!(i64::MIN),
            json!(year_10000),
            json!(9_223_372_036_854_775_808_u64),
            json!(u64::MAX),
            json!(9e99),
            json!(1e18),
        ];
        for value in bad {
            let verdict = verdict(&KEY.token(&with(name, value.clone())));
            assert_eq!(verdict, Err(Error::ClaimInvalid(name)), "{name}: {value}");
        }
        let infinite = claims().to_string().replacen('{', &format!("{{\"{name}2\":1e400,"), 1);
        assert_eq!(verdict(&KEY.sign(&KEY.header().to_string(), infinite)), Err(Error::Malformed), "{name}");
    }
    assert_eq!(verdict(&KEY.token(&without("exp"))), Err(Error::ClaimMissing("exp")));
    assert_eq!(verdict(&KEY.token(&without("iat"))), Err(Error::ClaimMissing("iat")));
    assert_eq!(verdict(&KEY.token(&with("exp", year_10000 - 1))), Ok(()));
}

/// RFC 7519 §2 allows a fraction; it is rounded down.
#[test]
fn fractions_of_a_second() {
    let seconds = |seconds: i64| f64::from(i32::try_from(seconds).unwrap());
    assert_eq!(verdict(&KEY.token(&with("exp", seconds(NOW - 30) + 0.9))), Err(Error::Expired));
    assert_eq!(verdict(&KEY.token(&with("exp", seconds(NOW - 29) + 0.1))), Ok(()));
    assert_eq!(verdict(&KEY.token(&with("iat", seconds(NOW + 30) + 0.9))), Ok(()));
    let verified = verify(&KEY.token(&with("iat", seconds(NOW) - 0.5))).unwrap();
    assert_eq!(verified.std.issued_at(), NOW - 1);
}

#[test]
fn audiences() {
    let table = [
        (json!([AUDIENCE]), Ok(())),
        (json!(["billing", AUDIENCE]), Ok(())),
        (json!("billing"), Err(Error::AudienceMismatch)),
        (json!(["billing"]), Err(Error::AudienceMismatch)),
        (json!("orders "), Err(Error::AudienceMismatch)),
        (json!("ORDERS"), Err(Error::AudienceMismatch)),
        (json!([]), Err(Error::ClaimInvalid("aud"))),
        (json!([AUDIENCE, 7]), Err(Error::ClaimInvalid("aud"))),
        (json!([[AUDIENCE]]), Err(Error::ClaimInvalid("aud"))),
        (json!(""), Err(Error::ClaimInvalid("aud"))),
        (json!(7), Err(Error::ClaimInvalid("aud"))),
        (json!(null), Err(Error::ClaimInvalid("aud"))),
        (json!({}), Err(Error::ClaimInvalid("aud"))),
    ];
    for (aud, expected) in table {
        assert_eq!(verdict(&KEY.token(&with("aud", aud.clone()))), expected, "{aud}");
    }
    assert_eq!(verdict(&KEY.token(&without("aud"))), Err(Error::ClaimMissing("aud")));
    let either = builder().audience("billing").build_offline(&KEY.jwks()).unwrap();
    assert!(either.verify::<Value>(&KEY.token(&with("aud", "billing"))).is_ok());
    assert!(either.verify::<Value>(&KEY.token(&claims())).is_ok());

    let gateway = builder().any_audience().build_offline(&KEY.jwks()).unwrap();
    let verdict = |claims: &Value| gateway.verify::<Value>(&KEY.token(claims)).map(drop);
    assert_eq!(verdict(&with("aud", "billing")), Ok(()));
    assert_eq!(verdict(&with("aud", json!([]))), Err(Error::ClaimInvalid("aud")));
    assert_eq!(verdict(&without("aud")), Err(Error::ClaimMissing("aud")));
}

#[test]
fn issuers_are_compared_byte_for_byte() {
    for issuer in ["https://auth.example/", "https://AUTH.example", "https://auth.exampl"] {
        assert_eq!(verdict(&KEY.token(&with("iss", issuer))), Err(Error::IssuerMismatch), "{issuer}");
    }
    assert_eq!(verdict(&KEY.token(&with("iss", ""))), Err(Error::ClaimInvalid("iss")));
    assert_eq!(verdict(&KEY.token(&with("iss", json!(null)))), Err(Error::ClaimInvalid("iss")));
}

#[test]
fn required_claims_are_strings() {
    for name in ["sub", "client_id", "jti"] {
        assert_eq!(verdict(&KEY.token(&without(name))), Err(Error::ClaimMissing(name)));
        for value in [json!(null), json!(7), json!(["a"]), json!("")] {
            assert_eq!(
                verdict(&KEY.token(&with(name, value.clone()))),
                Err(Error::ClaimInvalid(name)),
                "{name}: {value}"
            );
        }
    }
    assert_eq!(verify(&KEY.token(&without("sid"))).unwrap().std.sid(), None);
    assert_eq!(verdict(&KEY.token(&with("sid", 7))), Err(Error::ClaimInvalid("sid")));
}

/// However an issuer spells it.
#[test]
fn claims_with_escapes_say_the_same() {
    let payload =
        claims().to_string().replace("web", r"w\u0065b").replace("orders:read", r"orders\u003aread");
    let verified =
        verify(&KEY.sign(&KEY.header().to_string(), payload.replace("orders\"", r#"\u006frders""#))).unwrap();
    let std = &verified.std;
    assert_eq!((std.issuer(), std.subject(), std.client_id()), (ISSUER, "42", "web"));
    assert!(std.audience().eq([AUDIENCE]) && std.scope().eq(["orders:read", "orders:write"]));
    assert_eq!(verified.claims, claims());
}

#[test]
fn scopes() {
    let scope = |value: Value| {
        verify(&KEY.token(&with("scope", value)))
            .map(|verified| verified.std.scope().map(str::to_owned).collect())
    };
    assert_eq!(scope(json!("a  b ")), Ok(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(scope(json!(["a", "b"])), Ok(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(scope(json!(["a b"])), Ok(vec!["a b".to_owned()]), "one, though no scope has a space in it");
    assert_eq!(scope(json!("")), Ok(vec![]));
    assert_eq!(scope(json!(["a", 7])), Err(Error::ClaimInvalid("scope")));
    assert_eq!(scope(json!({"a": true})), Err(Error::ClaimInvalid("scope")));
    assert_eq!(scope(json!(null)), Err(Error::ClaimInvalid("scope")));

    let strict = builder()
        .require_scopes(&["orders:read"])
        .require_scopes(&["admin"])
        .build_offline(&KEY.jwks())
        .unwrap();
    let required = vec!["orders:read".to_owned(), "admin".to_owned()];
    assert_eq!(
        strict.verify::<Value>(&KEY.token(&claims())).unwrap_err(),
        Error::InsufficientScope { required }
    );
    let admin = KEY.token(&with("scope", "admin orders:read"));
    let verified = strict.verify::<Value>(&admin).unwrap();
    assert_eq!(verified.require_scope("admin"), Ok(()));
    let required = vec!["adm".to_owned()];
    assert_eq!(verified.require_scope("adm"), Err(Error::InsufficientScope { required }));
}

#[test]
fn the_callers_own_claims_come_last() {
    #[derive(Debug, Deserialize)]
    struct Tenant {
        #[expect(dead_code, reason = "only its presence matters")]
        tenant: u32,
    }
    let verify = |claims: &Value| verifier().verify::<Tenant>(&KEY.token(claims)).map(drop);
    assert_eq!(verify(&with("tenant", 7)), Ok(()));
    assert_eq!(verify(&with("tenant", "seven")), Err(Error::ClaimsMismatch));
    assert_eq!(verify(&claims()), Err(Error::ClaimsMismatch));
    assert_eq!(verify(&with("exp", 0)), Err(Error::Expired));
}

/// Nothing of the payload is looked at before the signature is verified (RFC 8725 §3.3).
#[test]
fn the_signature_comes_before_the_claims() {
    for payload in [with("exp", 0).to_string(), "no JSON".to_owned()] {
        let forged = OTHER_KEY.sign(&KEY.header().to_string(), payload);
        assert_eq!(verdict(&forged), Err(Error::SignatureInvalid));
    }
}

#[test]
fn repeated_members() {
    let header = KEY.header().to_string();
    for member in [r#""iss":"https://auth.example""#, r#""exp":9999999999"#, r#""\u0061ud":"orders""#] {
        let twice = claims().to_string().replacen('{', &format!("{{{member},"), 1);
        assert_eq!(verdict(&KEY.sign(&header, twice)), Err(Error::Malformed), "{member}");
    }
    let nested = with("custom", 0).to_string().replace(r#""custom":0"#, r#""custom":{"a":1,"a":2}"#);
    assert_eq!(verdict(&KEY.sign(&header, nested)), Err(Error::Malformed));
    for member in [r#""alg":"RS256""#, r#""typ":"at+jwt""#, r#""kid":"a""#, r#""x":1,"x":2"#] {
        let twice = header.replacen('{', &format!("{{{member},"), 1);
        assert_eq!(verdict(&KEY.sign(&twice, claims().to_string())), Err(Error::Malformed), "{member}");
    }
}

#[test]
fn payloads_that_are_no_object() {
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(2_000), "]".repeat(2_000));
    for payload in ["[]", "7", "null", r#""text""#, "{", "{} {}", "\u{feff}{}", deep.as_str()] {
        let token = KEY.sign(&KEY.header().to_string(), payload);
        assert_eq!(verdict(&token), Err(Error::Malformed), "{payload:.20}");
    }
    let utf16: Vec<u8> = claims().to_string().encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(verdict(&KEY.sign(&KEY.header().to_string(), utf16)), Err(Error::Malformed));
}

/// One token has one spelling: padding, line breaks, the other alphabet and stray bits are refused in each part.
#[test]
fn base64url_is_strict() {
    let header = base64url_encode(KEY.header().to_string());
    // One byte more than a multiple of three, so that the last character has unused bits.
    let mut payload = claims().to_string();
    while payload.len() % 3 != 1 {
        payload.push(' ');
    }
    let payload = base64url_encode(payload);
    assert_eq!(verdict(&KEY.sign_input(&format!("{header}.{payload}"))), Ok(()));

    for spelling in spellings(&payload) {
        let token = KEY.sign_input(&format!("{header}.{spelling}"));
        assert_eq!(verdict(&token), Err(Error::Malformed), "payload {spelling:?}");
    }
    for spelling in spellings(&header) {
        let token = KEY.sign_input(&format!("{spelling}.{payload}"));
        assert_eq!(verdict(&token), Err(Error::Malformed), "header {spelling:?}");
    }
    let token = KEY.sign_input(&format!("{header}.{payload}"));
    let (input, signature) = token.rsplit_once('.').unwrap();
    for spelling in spellings(signature) {
        assert_eq!(verdict(&format!("{input}.{spelling}")), Err(Error::Malformed), "signature {spelling:?}");
    }
    for token in [format!(" {token}"), format!("{token}\n"), format!("Bearer {token}")] {
        assert_eq!(verdict(&token), Err(Error::Malformed));
    }
}

fn spellings(canonical: &str) -> Vec<String> {
    let (start, last) = canonical.split_at(canonical.len() - 1);
    let mut spellings = vec![
        format!("{canonical}="),
        format!("{canonical}=="),
        format!("{canonical}\n"),
        format!(" {canonical}"),
        format!("{start}\r\n{last}"),
        format!("{start}+"),
        format!("{start}/"),
        format!("{start}?"),
        format!("{start}é"),
    ];
    if !canonical.len().is_multiple_of(4) {
        // Its lowest bit is one of the unused ones.
        let stray = char::from(last.as_bytes()[0] + 1);
        spellings.push(format!("{start}{stray}"));
    }
    spellings
}

#[test]
fn other_serializations() {
    let token = KEY.token(&claims());
    let parts: Vec<_> = token.split('.').collect();
    let flattened = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
    let general =
        json!({"payload": parts[1], "signatures": [{"protected": parts[0], "signature": parts[2]}]});
    let jwe = format!("{token}.a.b");
    let dots = ".".repeat(8_000);
    for text in [flattened.as_str(), &general.to_string(), &jwe, &dots, "", ".", "..", "a.b"] {
        assert_eq!(verdict(text), Err(Error::Malformed), "{text:.40}");
    }
}

#[test]
fn eight_kibibytes_and_not_one_more() {
    let of_length = |length: usize| {
        for header_pad in 0..4 {
            let mut header = KEY.header();
            header["pad"] = json!("x".repeat(header_pad));
            let fixed = KEY.sign(&header.to_string(), with("pad", "").to_string()).len();
            for pad in (length - fixed) * 3 / 4 - 3..=(length - fixed) * 3 / 4 + 3 {
                let token = KEY.sign(&header.to_string(), with("pad", "x".repeat(pad)).to_string());
                if token.len() == length {
                    return token;
                }
            }
        }
        panic!("no token of {length} bytes");
    };
    assert_eq!(verdict(&of_length(8192)), Ok(()));
    assert_eq!(verdict(&of_length(8193)), Err(Error::TooLarge));
    assert_eq!(verdict(&"a".repeat(10_000_000)), Err(Error::TooLarge));
}
