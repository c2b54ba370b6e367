//! ES256: what a signature may be, and what is no point of the curve.

use attesto_token::{EcPublicKey, JwkSet, PublicKey, base64url_decode, base64url_encode};
use attesto_verifier::{Algorithm, BuildError, Error, NoUsableKey, Verifier};
use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::token::{EC_KEY, SigningKey, builder, claims};

const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const FIELD: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";

fn es256() -> Verifier {
    builder().algorithms(&[Algorithm::Es256]).build_offline(&EC_KEY.jwks()).unwrap()
}

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<Value>(token).map(drop)
}

#[test]
fn other_algorithms_stay_unknown() {
    let of = |alg: &str, sign: &dyn Fn(&str) -> Vec<u8>| {
        let mut header = EC_KEY.header();
        header["alg"] = json!(alg);
        let input = input(&header, &claims());
        verdict(&es256(), &format!("{input}.{}", base64url_encode(sign(&input))))
    };
    for alg in ["es256", "ES256 ", "ES384", "ES512", "ES256K", "EdDSA", "RS256", "none"] {
        let refused = of(alg, &|input| EC_KEY.signature(input.as_bytes()));
        assert_eq!(refused, Err(Error::AlgNotAllowed), "{alg:?}");
    }
    for secret in [EC_KEY.public_bytes(), &EC_KEY.public_bytes()[1..], b""] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let refused = of("HS256", &|input| hmac::sign(&secret, input.as_bytes()).as_ref().to_vec());
        assert_eq!(refused, Err(Error::AlgNotAllowed));
    }
}

/// RFC 7518 §3.4: r and s, 32 bytes each, and both from 1 to the order of the curve less one.
#[test]
fn a_signature_has_one_form() {
    let input = input(&EC_KEY.header(), &claims());
    let good = EC_KEY.signature(input.as_bytes());
    let (r, s) = good.split_at(32);
    let (zero, one, order, field, most) = ([0; 32], number(1), hex(ORDER), hex(FIELD), [0xff; 32]);
    let token = |signature: &[u8]| format!("{input}.{}", base64url_encode(signature));
    assert_eq!(verdict(&es256(), &token(&good)), Ok(()));

    let mut forged = vec![
        ("r and s changed about", [s, r].concat()),
        ("without its last byte", good[..63].to_vec()),
        ("one byte more", [&good, &[0][..]].concat()),
        ("one byte before", [&[0][..], &good].concat()),
        ("r alone", r.to_vec()),
        ("twice", good.repeat(2)),
        ("each half with a zero before it", [&[0], r, &[0], s].concat()),
        ("as wide as ES384", [&[0; 16], r, &[0; 16], s].concat()),
        ("DER", der(r, s)),
        ("DER, filled up to 72 bytes", [der(r, s), vec![0; 8]].concat()),
    ];
    let values = [("0", &zero), ("1", &one), ("n", &order), ("p", &field), ("2^256-1", &most)];
    for (name, value) in values {
        forged.push((name, [value, s].concat()));
        forged.push((name, [r, value].concat()));
        forged.extend(values.map(|(other, second)| (other, [*value, *second].concat())));
    }
    for (name, signature) in forged {
        assert_eq!(
            verdict(&es256(), &token(&signature)),
            Err(Error::SignatureInvalid),
            "{name}: {signature:x?}"
        );
    }
    assert_eq!(verdict(&es256(), &token(b"")), Err(Error::Malformed));
}

#[test]
fn every_bit_of_a_signature_counts() {
    let verifier = es256();
    let input = input(&EC_KEY.header(), &claims());
    let good = EC_KEY.signature(input.as_bytes());
    for bit in 0..512 {
        let mut signature = good.clone();
        signature[bit / 8] ^= 1 << (bit % 8);
        let token = format!("{input}.{}", base64url_encode(signature));
        assert_eq!(verdict(&verifier, &token), Err(Error::SignatureInvalid), "bit {bit}");
    }
}

/// A key that was calculated so that r = 5 and s = 7 sign this token: the only way to a signature whose numbers still fit
/// into 32 bytes when the order of the curve is added to them.
#[test]
fn numbers_are_not_taken_modulo_the_order() {
    let input = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6InNtYWxsIn0.eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBsZSIsInN1YiI6IjQyIiwiYXVkIjoib3JkZXJzIiwiZXhwIjoxODAwMDAwNjAwLCJpYXQiOjE4MDAwMDAwMDAsImp0aSI6IjEiLCJjbGllbnRfaWQiOiJ3ZWIifQ";
    let jwk = ec_jwk(
        "small",
        "fGlGlgov-tT8W0WfJXyDx1IWhKls_Y82l5jyYOYy0qk",
        "w5Rorh394LSF9uMdxykZGD5AZv5detCUFatRDMLFZYw",
    );
    let verifier = verifier_with(&[jwk]).unwrap();
    let of = |r: [u8; 32], s: [u8; 32]| {
        verdict(&verifier, &format!("{input}.{}", base64url_encode([r, s].concat())))
    };
    let (r, s) = (number(5), number(7));
    let (r_again, s_again) = (sum(hex(ORDER), 5), sum(hex(ORDER), 7));
    assert_eq!(of(r, s), Ok(()));
    for (r, s) in [(r_again, s), (r, s_again), (r_again, s_again)] {
        assert_eq!(of(r, s), Err(Error::SignatureInvalid));
    }
}

/// The point with x = 5, spelled once well, and all that is close to it.
#[test]
fn what_is_no_point_is_no_key() {
    let y: [u8; 32] =
        base64url_decode("RZJDuapYGAb-kTvOmYF63hHKUDxk2aPFM0FcCDJI-8w").unwrap().try_into().unwrap();
    let jwk = |x: [u8; 32], y: [u8; 32]| ec_jwk("five", &base64url_encode(x), &base64url_encode(y));
    assert!(verifier_with(&[jwk(number(5), y)]).is_ok());

    let mut flipped = y;
    flipped[31] ^= 1;
    let bad = [
        ("a neighbour", jwk(number(5), flipped)),
        ("coordinates changed about", jwk(y, number(5))),
        ("x + p", jwk(sum(hex(FIELD), 5), y)),
        ("(0, 0)", jwk([0; 32], [0; 32])),
        ("(p, p)", jwk(hex(FIELD), hex(FIELD))),
        ("all ones", jwk([0xff; 32], [0xff; 32])),
    ];
    for (name, bad) in bad {
        let alone = verifier_with(std::slice::from_ref(&bad));
        assert_eq!(alone.err(), Some(BuildError::NoUsableKey(NoUsableKey)), "{name}");

        let verifier = verifier_with(&[bad, json!(EC_KEY.jwk)]).unwrap();
        assert_eq!(verdict(&verifier, &EC_KEY.token(&claims())), Ok(()), "{name}");
        let mut header = EC_KEY.header();
        header["kid"] = json!("five");
        let named = EC_KEY.sign(&header.to_string(), claims().to_string());
        assert_eq!(verdict(&verifier, &named), Err(Error::KeyUnknown), "{name}");
    }
}

#[test]
fn a_published_key_says_what_it_is_for() {
    let changed = |name: &str, value: &str| {
        let mut jwk = json!(EC_KEY.jwk);
        jwk[name] = json!(value);
        verifier_with(&[jwk]).map(drop)
    };
    assert_eq!(changed("alg", "ES256"), Ok(()));
    let x = public(&EC_KEY).x();
    let longer = base64url_encode([&[0], &x[..]].concat());
    for (name, value) in [
        ("alg", "RS256"),
        ("alg", "ES384"),
        ("crv", "P-384"),
        ("crv", "secp256k1"),
        ("use", "enc"),
        ("kty", "RSA"),
        ("x", &base64url_encode(&x[1..])),
        ("x", &longer),
        ("d", "AQAB"),
    ] {
        assert_eq!(changed(name, value), Err(BuildError::NoUsableKey(NoUsableKey)), "{name}: {value}");
    }
}

fn verifier_with(jwks: &[Value]) -> Result<Verifier, BuildError> {
    let jwks = JwkSet::parse(json!({"keys": jwks}).to_string().as_bytes()).unwrap();
    builder().algorithms(&[Algorithm::Es256]).build_offline(&jwks)
}

fn ec_jwk(kid: &str, x: &str, y: &str) -> Value {
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y})
}

fn public(key: &SigningKey) -> &EcPublicKey {
    let PublicKey::Ec(key) = &key.jwk.key else { panic!("not an EC key") };
    key
}

fn input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url_encode(header.to_string()), base64url_encode(claims.to_string()))
}

/// `Ecdsa-Sig-Value` (RFC 3279 §2.2.3), which TLS and certificates use.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let digits: Vec<u8> = number.iter().copied().skip_while(|digit| *digit == 0).collect();
        let sign: &[u8] = if digits[0] > 0x7f { &[0] } else { &[] };
        let length = u8::try_from(sign.len() + digits.len()).unwrap();
        [&[2, length], sign, &digits].concat()
    };
    let integers = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(integers.len()).unwrap()][..], &integers].concat()
}

fn number(small: u8) -> [u8; 32] {
    sum([0; 32], small)
}

fn sum(mut number: [u8; 32], small: u8) -> [u8; 32] {
    let mut carry = u16::from(small);
    for digit in number.iter_mut().rev() {
        carry += u16::from(*digit);
        *digit = carry.to_be_bytes()[1];
        carry >>= 8;
    }
    assert_eq!(carry, 0, "it has 32 bytes");
    number
}

fn hex(text: &str) -> [u8; 32] {
    std::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
}
