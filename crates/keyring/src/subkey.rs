use ring::hkdf::{HKDF_SHA256, KeyType, Okm, Prk, Salt};

/// Derives a key for one use from `secret` by HKDF-SHA-256 (RFC 5869). There is no salt (§3.1): every secret that
/// comes here is random already.
pub(crate) fn subkey<L, K>(secret: &[u8], info: &[u8], length: L) -> K
where
    L: KeyType,
    K: for<'a> From<Okm<'a, L>>,
{
    let info = [info];
    pseudorandom_key(secret).expand(&info, length).expect("a key is shorter than HKDF's limit").into()
}

pub(crate) fn pseudorandom_key(secret: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, b"").extract(secret)
}
