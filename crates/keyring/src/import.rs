use attesto_token::Jwk;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use pkcs1::der::Decode as _;
use pkcs1::{ALGORITHM_OID, RsaPrivateKeyRef};
use pkcs8::PrivateKeyInfoRef;
use zeroize::Zeroizing;

use crate::pem::{self, Format};
use crate::public::public_half;
use crate::roca::is_roca_weak;

/// Longer than any file of one private key, whatever text stands around it.
const MAX_FILE_BYTES: usize = 64 * 1024;

const EXPONENT: [u8; 3] = [1, 0, 1];

/// A signing key (RSA) that somebody else made, checked. It has no `Debug`.
///
/// ```compile_fail,E0277
/// fn show(key: &attesto_keyring::ImportedKey) {
///     println!("{key:?}");
/// }
/// ```
pub struct ImportedKey {
    public: Jwk,
    pkcs8: Zeroizing<Vec<u8>>,
    bits: usize,
}

impl ImportedKey {
    /// Reads a private key from a PEM file that holds one: `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1).
    pub fn parse(pem: &[u8]) -> Result<Self, ImportError> {
        if pem.len() > MAX_FILE_BYTES {
            return Err(ImportError::TooLarge);
        }
        let (format, der) = pem::private_key(pem)?;
        let der = match format {
            Format::Pkcs1 => &der,
            Format::Pkcs8 => rsa_private_key(&der)?,
        };
        let bits = check_public_half(der)?;
        let key = RsaKeyPair::from_der(der).map_err(|_| ImportError::Inconsistent)?;
        if !signs(&key) {
            return Err(ImportError::Inconsistent);
        }
        let public = public_half(&key).map_err(|_| ImportError::Inconsistent)?;
        let pkcs8: Pkcs8V1Der<'_> = key.as_der().map_err(|_| ImportError::Inconsistent)?;
        Ok(Self { public, pkcs8: Zeroizing::new(pkcs8.as_ref().to_vec()), bits })
    }

    /// The public half, named by its thumbprint (RFC 7638), for RS256.
    pub fn public_jwk(&self) -> &Jwk {
        &self.public
    }

    /// The length of the modulus.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The private half as it is sealed, without anything that the file held beside it.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

/// The `RSAPrivateKey` in a `PrivateKeyInfo`.
fn rsa_private_key(der: &[u8]) -> Result<&[u8], ImportError> {
    let key = PrivateKeyInfoRef::from_der(der).map_err(|_| ImportError::Damaged)?;
    if key.algorithm.oid != ALGORITHM_OID {
        return Err(ImportError::OtherAlgorithm);
    }
    Ok(key.private_key.as_bytes())
}

/// Says what is wrong with a key before it is refused without a word. Gives the length of its modulus.
fn check_public_half(der: &[u8]) -> Result<usize, ImportError> {
    let key = RsaPrivateKeyRef::from_der(der).map_err(|_| ImportError::Damaged)?;
    if key.other_prime_infos.is_some() {
        return Err(ImportError::SeveralPrimes);
    }
    let modulus = key.modulus.as_bytes();
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    match bits {
        0..2048 => return Err(ImportError::TooShort { bits }),
        2048..=4096 => {}
        _ => return Err(ImportError::TooLong { bits }),
    }
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err(ImportError::EvenModulus);
    }
    if key.public_exponent.as_bytes() != EXPONENT {
        return Err(ImportError::OtherExponent);
    }
    if is_roca_weak(modulus) {
        return Err(ImportError::RocaWeak);
    }
    Ok(bits)
}

/// Reading a key does not ask whether its factors are prime. With others a signature is wrong, and each is verified
/// before it comes out.
fn signs(key: &RsaKeyPair) -> bool {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"", &mut signature).is_ok()
}

/// Why a file is not imported. Never holds a byte of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Too large for a private key.
    #[error("the file has more than 64 KiB; name a file that holds a private key alone")]
    TooLarge,
    /// No PEM, or PEM of something else.
    #[error(
        "no private key in PEM; the file has to contain a line -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----"
    )]
    NotAKey,
    /// `PUBLIC KEY` or `RSA PUBLIC KEY`.
    #[error("this is a public key, and a public key cannot be imported; name the file of its private key")]
    PublicKey,
    /// `CERTIFICATE`.
    #[error("this is a certificate, which has no private key in it; name the file of its private key")]
    Certificate,
    /// What `ssh-keygen` writes unless told otherwise.
    #[error(
        "the private key is in the format of OpenSSH; rewrite a copy of it with ssh-keygen -p -N '' -m PKCS8 -f COPY, import that, and delete it"
    )]
    OpenSsh,
    /// More than one private key.
    #[error("there is more than one private key in the file; leave only the one to be imported")]
    SeveralKeys,
    /// Under a passphrase.
    #[error(
        "the private key is encrypted; decrypt it with openssl pkey -in FILE -out DECRYPTED, import that, and delete it"
    )]
    Encrypted,
    /// Not for RS256.
    #[error("the private key is for another algorithm; import an RSA key, and none for RSA-PSS")]
    OtherAlgorithm,
    /// Cut off, or altered.
    #[error(
        "the private key is damaged or cut off; copy the file again, with all its lines from BEGIN to END"
    )]
    Damaged,
    /// Made of three primes or more.
    #[error("the RSA key is made of more than two primes; import one that is made of two")]
    SeveralPrimes,
    /// Weak.
    #[error("the RSA key has {bits} bits, which is too short to be safe; import one of 2048 to 4096 bits")]
    TooShort {
        /// The length of its modulus.
        bits: usize,
    },
    /// Slow.
    #[error("the RSA key has {bits} bits, which is too long; import one of 2048 to 4096 bits")]
    TooLong {
        /// The length of its modulus.
        bits: usize,
    },
    /// No product of two large primes.
    #[error("the modulus of the RSA key is even, so this is no RSA key; restore the file from a backup")]
    EvenModulus,
    /// An exponent that not every verifier takes.
    #[error("the public exponent of the RSA key is not 65537; import a key whose exponent is")]
    OtherExponent,
    /// CVE-2017-15361.
    #[error(
        "the RSA key was made by a faulty smart card or TPM, and can be computed from its public half (ROCA, CVE-2017-15361); replace it everywhere"
    )]
    RocaWeak,
    /// The numbers are not those of one key.
    #[error("the parts of the RSA key do not belong together; restore the file from a backup")]
    Inconsistent,
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use attesto_token::Algorithm;
    use aws_lc_rs::rsa::KeySize;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use pkcs1::der::Encode as _;
    use pkcs1::der::asn1::Uint;
    use pkcs1::{OtherPrimeInfo, RsaPrivateKeyOwned};

    use super::*;
    use crate::random::random;

    /// A good key as PKCS#8.
    static PKCS8: LazyLock<Vec<u8>> = LazyLock::new(|| generated(KeySize::Rsa2048));

    /// The same as PKCS#1.
    static PKCS1: LazyLock<Vec<u8>> = LazyLock::new(|| rsa_private_key(&PKCS8).unwrap().to_vec());

    fn generated(size: KeySize) -> Vec<u8> {
        let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(size).unwrap().as_der().unwrap();
        der.as_ref().to_vec()
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    fn good() -> String {
        pem("PRIVATE KEY", &PKCS8)
    }

    fn parse(pem: &str) -> Result<ImportedKey, ImportError> {
        ImportedKey::parse(pem.as_bytes())
    }

    /// What an operator reads: always one line.
    fn refusal(pem: &str) -> ImportError {
        let error = parse(pem).err().expect("the key is refused");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        error
    }

    /// The good key with another number in it.
    fn altered(change: impl FnOnce(&mut RsaPrivateKeyOwned)) -> String {
        let mut key = RsaPrivateKeyOwned::from_der(&PKCS1).unwrap();
        change(&mut key);
        pem("RSA PRIVATE KEY", &key.to_der().unwrap())
    }

    fn with_modulus(modulus: &[u8]) -> String {
        altered(|key| key.modulus = Uint::new(modulus).unwrap())
    }

    fn with_exponent(exponent: u32) -> String {
        altered(|key| key.public_exponent = Uint::new(&exponent.to_be_bytes()).unwrap())
    }

    #[test]
    fn a_key_is_the_same_in_both_formats() {
        let expected = public_half(&RsaKeyPair::from_pkcs8(&PKCS8).unwrap()).unwrap();
        for pem in [good(), pem("RSA PRIVATE KEY", &PKCS1)] {
            let key = parse(&pem).unwrap();
            assert_eq!(*key.public_jwk(), expected);
            assert_eq!(key.public_jwk().kid, expected.key.thumbprint());
            assert_eq!(key.public_jwk().algorithm, Algorithm::Rs256);
            assert_eq!(key.bits(), 2048);
            assert_eq!(key.pkcs8(), *PKCS8);
        }
    }

    #[test]
    fn longer_keys_are_imported_too() {
        let key = parse(&pem("PRIVATE KEY", &generated(KeySize::Rsa3072))).unwrap();
        assert_eq!(key.bits(), 3072);
    }

    #[test]
    fn text_and_other_blocks_around_the_key_do_not_matter() {
        let key = good();
        let certificate = pem("CERTIFICATE", b"certificate");
        for file in [
            format!("Bag Attributes\n  friendlyName: signing\n{key}and more"),
            format!("\u{feff}{key}"),
            format!("{certificate}{key}"),
            format!("{key}{}", pem("PUBLIC KEY", b"public")),
            key.replace('\n', "\r\n"),
            key.replace('\n', " \n\n"),
            key.trim_end().to_owned(),
        ] {
            assert_eq!(parse(&file).unwrap().pkcs8(), *PKCS8, "{file}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let begin = "-----BEGIN PRIVATE KEY----";
        for file in ["", "\n", "ssh-rsa AAAA", begin, &pem("DH PARAMETERS", b"numbers")] {
            assert_eq!(refusal(file), ImportError::NotAKey, "{file}");
        }
        assert_eq!(ImportedKey::parse(&PKCS8).err(), Some(ImportError::NotAKey));
    }

    #[test]
    fn a_public_half_is_refused_by_its_name() {
        for label in ["PUBLIC KEY", "RSA PUBLIC KEY"] {
            assert_eq!(refusal(&pem(label, b"public")), ImportError::PublicKey);
        }
        assert_eq!(refusal(&pem("CERTIFICATE", b"certificate")), ImportError::Certificate);
    }

    #[test]
    fn an_encrypted_key_is_refused_in_both_formats() {
        assert_eq!(refusal(&pem("ENCRYPTED PRIVATE KEY", b"sealed")), ImportError::Encrypted);
        let headers = "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
        let legacy = pem("RSA PRIVATE KEY", &PKCS1).replacen("KEY-----\n", headers, 1);
        assert_eq!(refusal(&legacy), ImportError::Encrypted);
        assert!(ImportError::Encrypted.to_string().contains("openssl pkey -in FILE -out "));
    }

    #[test]
    fn a_key_in_the_format_of_openssh_is_refused() {
        assert_eq!(refusal(&pem("OPENSSH PRIVATE KEY", b"openssh-key-v1")), ImportError::OpenSsh);
    }

    #[test]
    fn a_key_for_another_algorithm_is_refused() {
        use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

        let random = ring::rand::SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let mut rsa_pss = PKCS8.clone();
        let oid = ALGORITHM_OID.as_bytes();
        let at = rsa_pss.windows(oid.len()).position(|bytes| bytes == oid).unwrap();
        rsa_pss[at + oid.len() - 1] = 10;
        for file in [
            pem("PRIVATE KEY", p256.as_ref()),
            pem("PRIVATE KEY", ed25519.as_ref()),
            pem("PRIVATE KEY", &rsa_pss),
            pem("EC PARAMETERS", b"P-256") + &pem("EC PRIVATE KEY", b"private"),
            pem("DSA PRIVATE KEY", b"private"),
        ] {
            assert_eq!(refusal(&file), ImportError::OtherAlgorithm, "{file}");
        }
    }

    #[test]
    fn of_two_keys_none_is_chosen() {
        assert_eq!(refusal(&(good() + &good())), ImportError::SeveralKeys);
        assert_eq!(refusal(&(good() + &pem("EC PRIVATE KEY", b"private"))), ImportError::SeveralKeys);
    }

    #[test]
    fn a_file_of_more_than_64_kib_is_refused() {
        let key = good();
        let fill = " ".repeat(MAX_FILE_BYTES - key.len());
        assert!(parse(&format!("{key}{fill}")).is_ok());
        assert_eq!(refusal(&format!("{key}{fill} ")), ImportError::TooLarge);
    }

    #[test]
    fn a_modulus_has_2048_to_4096_bits() {
        // Of these lengths, and good for nothing else.
        for bits in [1, 1024, 2047, 2048, 2056, 3072, 4095, 4096, 4097, 8192_usize] {
            let mut modulus = vec![0xff; bits.div_ceil(8)];
            modulus[0] >>= modulus.len() * 8 - bits;
            let expected = match bits {
                ..2048 => ImportError::TooShort { bits },
                2048..=4096 => ImportError::Inconsistent,
                _ => ImportError::TooLong { bits },
            };
            assert_eq!(refusal(&with_modulus(&modulus)), expected);
        }
        assert_eq!(refusal(&with_modulus(&[0])), ImportError::TooShort { bits: 0 });
    }

    #[test]
    fn an_even_modulus_is_refused_by_its_name() {
        let mut modulus = RsaPrivateKeyRef::from_der(&PKCS1).unwrap().modulus.as_bytes().to_vec();
        *modulus.last_mut().unwrap() ^= 1;
        assert_eq!(refusal(&with_modulus(&modulus)), ImportError::EvenModulus);
    }

    #[test]
    fn an_exponent_other_than_65537_is_refused_by_its_name() {
        for exponent in [0, 1, 3, 17, 65536, 65539, 0x0101_0001] {
            assert_eq!(refusal(&with_exponent(exponent)), ImportError::OtherExponent, "{exponent}");
        }
    }

    #[test]
    fn a_key_of_three_primes_is_refused_by_its_name() {
        let prime = || Uint::new(&[7]).unwrap();
        let third = OtherPrimeInfo { prime: prime(), exponent: prime(), coefficient: prime() };
        let key = altered(|key| key.other_prime_infos = Some(vec![third]));
        assert_eq!(refusal(&key), ImportError::SeveralPrimes);
    }

    #[test]
    fn a_roca_weak_key_is_refused_although_it_signs() {
        let (_, der) = pem::private_key(ROCA_WEAK.as_bytes()).unwrap();
        assert!(signs(&RsaKeyPair::from_pkcs8(&der).unwrap()));
        assert_eq!(refusal(ROCA_WEAK), ImportError::RocaWeak);
    }

    #[test]
    fn fresh_keys_are_imported() {
        for _ in 0..10 {
            assert_eq!(parse(&pem("PRIVATE KEY", &generated(KeySize::Rsa2048))).err(), None);
        }
    }

    #[test]
    fn numbers_of_two_keys_are_refused() {
        type Change = fn(&mut RsaPrivateKeyOwned, RsaPrivateKeyOwned);

        let stranger = generated(KeySize::Rsa2048);
        let stranger = RsaPrivateKeyOwned::from_der(rsa_private_key(&stranger).unwrap()).unwrap();
        let changes: [(&str, Change); 9] = [
            ("n", |key, stranger| key.modulus = stranger.modulus),
            ("d", |key, stranger| key.private_exponent = stranger.private_exponent),
            ("p", |key, stranger| key.prime1 = stranger.prime1),
            ("q", |key, stranger| key.prime2 = stranger.prime2),
            ("d mod (p - 1)", |key, stranger| key.exponent1 = stranger.exponent1),
            ("d mod (q - 1)", |key, stranger| key.exponent2 = stranger.exponent2),
            ("q^-1 mod p", |key, stranger| key.coefficient = stranger.coefficient),
            ("p and q swapped", |key, _| std::mem::swap(&mut key.prime1, &mut key.prime2)),
            ("n and d", |key, stranger| {
                key.modulus = stranger.modulus;
                key.private_exponent = stranger.private_exponent;
            }),
        ];
        assert!(parse(&altered(|_| ())).is_ok());
        for (part, change) in changes {
            let key = altered(|key| change(key, stranger.clone()));
            assert_eq!(refusal(&key), ImportError::Inconsistent, "{part}");
        }
    }

    #[test]
    fn a_factor_that_is_no_prime_is_refused() {
        let (_, der) = pem::private_key(NOT_PRIME.as_bytes()).unwrap();
        assert!(RsaKeyPair::from_pkcs8(&der).is_ok());
        assert_eq!(refusal(NOT_PRIME), ImportError::Inconsistent);
    }

    #[test]
    fn no_byte_may_follow_and_none_may_be_missing() {
        for (label, der) in [("PRIVATE KEY", &*PKCS8), ("RSA PRIVATE KEY", &*PKCS1)] {
            let longer = [der.as_slice(), &[0]].concat();
            assert_eq!(refusal(&pem(label, &longer)), ImportError::Damaged);
            for length in 0..der.len() {
                assert_eq!(refusal(&pem(label, &der[..length])), ImportError::Damaged, "{length} bytes");
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused() {
        let key = good();
        for length in 0..key.trim_end().len() {
            let error = refusal(&key[..length]);
            assert!(matches!(error, ImportError::NotAKey | ImportError::Damaged), "{length} bytes: {error}");
        }
    }

    #[test]
    fn a_file_that_lost_its_lines_is_refused() {
        let key = good().trim_end().to_owned();
        for file in [key.replace('\n', ""), key.replace('\n', "\\n"), key.replace('\n', " ")] {
            assert_eq!(refusal(&file), ImportError::Damaged);
        }
    }

    #[test]
    fn a_changed_file_is_refused_or_holds_the_same_key() {
        let key = good().into_bytes();
        for _ in 0..500 {
            let at = usize::from(u16::from_be_bytes(random())) % key.len();
            let mut changed = key.clone();
            changed[at] = random::<1>()[0];
            if let Ok(parsed) = ImportedKey::parse(&changed) {
                assert_eq!(parsed.pkcs8(), *PKCS8, "byte {at} is {}", changed[at]);
            }
        }
    }

    /// Made by a script of our own: both primes are k·M + (65537^a mod M), M the product of the first 126 primes.
    const ROCA_WEAK: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDDtRnptBJap3np
EKeaM21mlcAthOkKWDTJGIScHlD5MiK4pXyAMH5xvR9aFvHdKFBBeqbnpCOKTyL/
oSIP3LhrQaOZMfEGOfdR+hfYBresja/HGBnlqVf1VJUmI2HcYRr2Vk5xvOMB9Val
bKPAfvwukB4aqy7IuWUZlZt8LCwfI38PEglkq9sFicS8H5GM0F6PxriwQNfoug/G
dV+WwL5k7rdOYjPh+Ev8KcwTy1Hty9Ul+AuWyeEVcigmwcxoyQElSaldlOPqjjsC
ofjBojnywHMqUwaKJcI2VmyLU985+ntIZlgfCaLWmLYGet+XtnHNhbGm114LIUxt
aedh7hulAgMBAAECggEAC7dmXz7oEGRRYJoeJpWomYkikbcQyo1AT7+3hK8t8tVF
Dd/eZcBBeaa0X0zbWv2kXF8u6dRCSm/1bO9lHiT9J3KtDClYwCItQ8ugrM6uJVbw
LI+tUToDqYzQRxG8NJjdp9y/4oBH6OCauNmZrhcMGu+G1drkuKCcxFzYC6WLWKvI
1j8O0JHfyLByOEiJec1fEDuSLh5Ngi7gNi/TrB4bjwL5/pJPZFAHZZUyfXvV+/n2
bAEfPvnSLq7WcvxlALWk51ASmUAGNELxdmvNgRVwfb3c1fhQHCeRf3DrWnLg/AXy
dKK44+gR0wdiOuKVnrHqz6o/UM0t6aH4xnstdukMWwKBgQD991dPXbiilZ6or2Jb
te+vaqpdAQnohdPTX2efSPSSIV9/pponQYf90DxactI4L5HEGzFkIvgVP5iCJKVU
x2v79peoKJvA/dfxmmI2JWEp+qIeO5JnR85TGYf30LinEXJ7oH/qhKX1lLBIsJfg
paW/Y4z8HqQF4hH7Gm2IJYl60wKBgQDFRlLADeL7uEu/YgBVXVS0IS/n0xHEpl+J
4Vu7SI84S1qxRjdMoHn7IurL64ezrM8hx8N5JxVqUnjo7nL8mUNWe+rwcyV5r4hW
btq6j0YELh7hnjG5XEQT/kafkqB55uV3tN9x5qqvHE/DSDJenQMf/gw4MA0QAi39
e9WFPK+UpwKBgA5GrR3FAvAAwR5yXXESVRrjQBhiSpBLlZC4ODb3/ueIALpIPzod
sOtPnVToR3DpG6SOcsRSQufO31/Rd4nAfA152ySUw8yheFYYe5TXnRKjCCHy71Pm
8W4ybTY9AWRC0tCoQQiJ1FpttUsgwijapuqPSgmSH15FSwV2gtm4YnYJAoGAOgRm
jckHulQHIu/lfTWHlbo05o7yqMztSBWY7sl2JW4z6/LkjIqdlTg9qV9Jd5QZDqw7
VsQhzjUXDhoigxtn7GVhQPn8SX9QL2tGtJsyUkRmHKBzqznxY5fimUd8Hp3DWqM9
G7hk9j7zTlFLTvwKUTxbx6KKFO0vLV9f+mFQmf0CgYEAw7r+AhqWLYqGGnfkgmWW
76PlASE4NnjaszPA78Ir4lPm+2vreaEdfqvyy8BNZMK8ZS9IhPhyNgQvwGXmXa6d
/3QhMwcIQzW7V1pczTuX46fRxWepsL50eTaqs1Ig7rP2jIqjfknsG+mslUqc06g3
81NcUK/+jxySTkOFWODOkWo=
-----END PRIVATE KEY-----";

    /// Made by the same script: the first factor is a random odd number that is no prime, and the second is a prime.
    const NOT_PRIME: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDLZJ0c9HZ4cIgo
hAxH2iJ9PWO39IK3BMTEHaPu02sng36TMy5cJ9kBrz5fBGYI+62WRo0TgOCyEywI
TAnJG2bHTjEejJ1U6XF/N/YjPxDgmkec80FU7s786b/D2T5YxUKloHeDpBkkef6a
RvJbqeG3cEjJR6TPX7vDPvgsUgUcaSgFvVGUMqXSRXIMyd8KbZDNkNo02evXE8eO
9t0Dz1jiUnhVE4MyRxEHGCmRH9Rmi8rzWJ5+8KRE7TIkoFxpxjkpP2zWALQNjIxx
V8+Q+e5rBArCIuvyiJm8wRHbTEtNgcge1l4QMhmGBqklrLEdwaAJNBMnArUr7PzE
TARMyDzJAgMBAAECggEADab4QMxL83OiQA31ARGsRPnM6rkX2Q8R4hQXP92jEKjr
4xeJYhguocVQi3IxIyM5mJ+tsoRxEKLmzrvD4GLdeD1QYLuRh/SPcLmh5OXDzT+t
1OQjG39YF3PdMlkvrSe4fIOT4hsusNsbcuGWPP7fLr/zsscDUgQcB1P/toHe4/Qw
TrSbWmOTiI0ILb6tAB9Uv0LMSJtEcs1k3a6XzAx9dNtuRUdzP8gDdKZ5tvOh+9bY
BagPkG7yQP+4JJPHwDkkV4PBlanUODjmb1bX0f+uui6SryhHTQQm0uJg0b+qbDOl
lQ83TlqIREXK6i02/yL9RmkP8VvHkYvobvIxDNIDAQKBgQDVWAs5uF74BEUYikrw
51KZ9iH4Ph3sm/SN/Jk5hc95i6rAZACGpftoqIwaVsE8To6fDzAe++wR0zY+OBoI
1LzioYaGVMbxrZcPQ7I+3+YXqxsAP2X4OUvgT2UxCUaOxXFwPweSOQJChxhMWopT
dnzSiaEGS02pOFJPUmrXm5ifIQKBgQD0DzxNkq4H/+ZaKbLa4uWbYfa8hVaeNztp
HNfg6KeAwFgKxSc1KIiwxNumKT1tPBR1ITMxcYeWWLE90HqrG3kn75g/STfJlon2
6I2UXgD/5sRizurmQ2yR6SDE8AXXxkUyaeqXm0Fg7e9IXmsZfI3uEHXfu4qgckRg
HLQwphEwqQKBgAmwFdJpLObWSszyerS1zGpxYtmC+Jjl/BT2g365NNKwJPDXma6D
mwcFoFcR2XSDnLZcWjMN/YpRrQTmR0hfYLRp4VH4R5Bx8Yof6NgyEqDAhFleh6Ld
9zQYZt/zK+EP1jbipdVeAVxEBjZxZhakKsbkuQswIDau+A3iEDf6ONQBAoGAefE2
1yeHrtWMWdZl1/nwcR+UcYNJ0QmVtKJFtsloD+uK0e7J9USIb5IckTwfxflz20Y4
Vub7sQIlpNYKxH2YnnyXHF/P8Pg3fNebDdueMj4yN5BdS6m6kHjj96JZuQMGxfan
0RIwq2aW3RjX+EcEf0NYMe55iEsvoLoWygvfoOkCgYADzmCAbxUvnf4HZa+/WChi
sWFmXbACQXSKopy6qFSTUpfjXHYtjAZZ8PFeF7F+HjlRXchDNnj7CsbwFwvCOL1K
MIZ1uhsuR7CEvXdXQb/eF3WWo1TsU1EdbtQRKZtkvDPNqdxfsi66yK9cxmcxI37O
Ibc+iVFJHM79pKUYRKLxEQ==
-----END PRIVATE KEY-----";
}
