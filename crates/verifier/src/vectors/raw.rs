//! Project Wycheproof's signatures without a token around them, before every backend that is there.

use attesto_token::{Algorithm, EcPublicKey, Jwk, OkpPublicKey, PublicKey, RsaPublicKey};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::backend;

/// One signature.
struct Case {
    id: String,
    jwk: Jwk,
    message: Vec<u8>,
    signature: Vec<u8>,
    is_valid: bool,
}

/// By set and `tcId`. One that is no longer needed fails.
const EXCEPTIONS: [(&str, &str); 6] = [
    ("RsaPss2048Sha256Mgf1SaltLen0 69", "wrong there because its salt has 32 bytes"),
    ("Rsa2048Sha224 219", "wrong there because its hash is SHA-256"),
    ("Rsa2048Sha384 221", "the same"),
    ("Rsa2048Sha512 221", "the same"),
    ("Rsa2048Sha512_256 221", "the same"),
    ("Rsa2048Sha3_256 221", "the same"),
];

impl Case {
    fn new(id: String, jwk: &Jwk, (message, signature): (&[u8], &[u8]), verdict: TestResult) -> Self {
        // What is `acceptable` lacks the NULL of its AlgorithmIdentifier (RFC 8017 §A.2.4): refused.
        let is_valid = verdict == TestResult::Valid;
        Self { id, jwk: jwk.clone(), message: message.to_vec(), signature: signature.to_vec(), is_valid }
    }
}

#[test]
fn rs256() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256};

    let cases: Vec<_> =
        [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256].into_iter().flat_map(pkcs1).collect();
    judge(&cases, 800);
}

#[test]
fn rs256_with_another_hash() {
    use rsa_pkcs1_verify::TestName::{
        Rsa2048Sha3_256, Rsa2048Sha224, Rsa2048Sha384, Rsa2048Sha512, Rsa2048Sha512_256,
    };

    for set in [Rsa2048Sha224, Rsa2048Sha384, Rsa2048Sha512, Rsa2048Sha512_256, Rsa2048Sha3_256] {
        judge(&invalid(pkcs1(set)), 200);
    }
}

#[test]
fn ps256() {
    use rsa_pss_verify::TestName::{
        RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32,
    };

    let sets = [RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32, RsaPss4096Sha256Mgf1SaltLen32];
    judge(&sets.into_iter().flat_map(pss).collect::<Vec<_>>(), 300);
}

/// RFC 7518 §3.5: the salt is as long as the hash, and one hash serves throughout.
#[test]
fn ps256_with_other_parameters() {
    use rsa_pss_verify::TestName::{
        RsaPss2048Sha1Mgf1SaltLen20, RsaPss2048Sha256Mgf1SaltLen0, RsaPss2048Sha256Mgf1Sha1_20,
        RsaPss2048Sha512_256Mgf1SaltLen32,
    };

    for set in [
        RsaPss2048Sha256Mgf1SaltLen0,
        RsaPss2048Sha256Mgf1Sha1_20,
        RsaPss2048Sha512_256Mgf1SaltLen32,
        RsaPss2048Sha1Mgf1SaltLen20,
    ] {
        judge(&invalid(pss(set)), 50);
    }
}

#[test]
fn es256() {
    judge(&p256(ecdsa::TestName::EcdsaSecp256r1Sha256P1363), 250);
}

/// As DER, or of another hash.
#[test]
fn es256_in_another_form() {
    judge(&invalid(p256(ecdsa::TestName::EcdsaSecp256r1Sha256)), 400);
    judge(&invalid(p256(ecdsa::TestName::EcdsaSecp256r1Sha512P1363)), 250);
}

#[test]
fn ed25519() {
    judge(&edwards(), 140);
}

fn pkcs1(name: rsa_pkcs1_verify::TestName) -> Vec<Case> {
    let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
    let groups = set.test_groups.iter();
    let cases = groups.flat_map(|group| {
        let jwk = rsa(Algorithm::Rs256, &group.key.n, &group.key.e);
        let case = move |test: &rsa_pkcs1_verify::Test| {
            Case::new(format!("{name:?} {}", test.tc_id), &jwk, (&test.msg, &test.sig), test.result)
        };
        group.tests.iter().map(case)
    });
    cases.collect()
}

fn pss(name: rsa_pss_verify::TestName) -> Vec<Case> {
    let set = rsa_pss_verify::TestSet::load(name).unwrap();
    let groups = set.test_groups.iter();
    let cases = groups.flat_map(|group| {
        let jwk = rsa(Algorithm::Ps256, &group.key.n, &group.key.e);
        let case = move |test: &rsa_pss_verify::Test| {
            Case::new(format!("{name:?} {}", test.tc_id), &jwk, (&test.msg, &test.sig), test.result)
        };
        group.tests.iter().map(case)
    });
    cases.collect()
}

fn p256(name: ecdsa::TestName) -> Vec<Case> {
    let set = ecdsa::TestSet::load(name).unwrap();
    let groups = set.test_groups.iter();
    let cases = groups.flat_map(|group| {
        let (x, y) = group.key.key[1..].split_at(32);
        let jwk = jwk(Algorithm::Es256, PublicKey::Ec(EcPublicKey::p256(x, y).unwrap()));
        let case = move |test: &ecdsa::Test| {
            Case::new(format!("{name:?} {}", test.tc_id), &jwk, (&test.msg, &test.sig), test.result)
        };
        group.tests.iter().map(case)
    });
    cases.collect()
}

fn edwards() -> Vec<Case> {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let groups = set.test_groups.iter();
    let cases = groups.flat_map(|group| {
        let key = PublicKey::Okp(OkpPublicKey::ed25519(&group.key.pk).unwrap());
        let jwk = jwk(Algorithm::EdDsa, key);
        let case = move |test: &eddsa::Test| {
            Case::new(format!("Ed25519 {}", test.tc_id), &jwk, (&test.msg, &test.sig), test.result)
        };
        group.tests.iter().map(case)
    });
    cases.collect()
}

/// A JWK may not have the exponent 3 of some of these keys: here it does not come from one.
fn rsa(algorithm: Algorithm, n: &[u8], e: &[u8]) -> Jwk {
    let digits = |number: &[u8]| number.iter().copied().skip_while(|digit| *digit == 0).collect();
    jwk(algorithm, PublicKey::Rsa(RsaPublicKey { n: digits(n), e: digits(e) }))
}

fn jwk(algorithm: Algorithm, key: PublicKey) -> Jwk {
    Jwk { kid: key.thumbprint(), algorithm, key }
}

/// What is valid there is not for us.
fn invalid(mut cases: Vec<Case>) -> Vec<Case> {
    assert!(cases.iter().any(|case| case.is_valid), "nothing to refuse");
    for case in &mut cases {
        case.is_valid = false;
    }
    cases
}

fn judge(cases: &[Case], at_least: usize) {
    assert!(cases.len() >= at_least, "{}", cases.len());
    let wrong = cases.iter().filter(|case| {
        let is_exception = EXCEPTIONS.iter().any(|(id, _)| case.id == *id);
        (accepts(case) == case.is_valid) == is_exception
    });
    let wrong: Vec<_> = wrong.map(|case| &case.id).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn accepts(case: &Case) -> bool {
    let Case { jwk, message, signature, .. } = case;
    let accepted = backend::VerifyingKey::new(jwk).unwrap().verifies(message, signature);
    #[cfg(all(feature = "aws-lc", feature = "ring"))]
    {
        let by_ring = backend::ring::VerifyingKey::new(jwk).unwrap().verifies(message, signature);
        assert_eq!(by_ring, accepted, "the backends disagree: {}", case.id);
    }
    accepted
}
