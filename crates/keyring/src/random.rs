use attesto_token::base64url_encode;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// 128 random bits as 32 lower-case hex digits: `jti`, `sid`, the name of a database.
pub fn random_id() -> String {
    format!("{:032x}", u128::from_be_bytes(random()))
}

/// 256 random bits in base64url: a client secret.
pub fn random_secret() -> Zeroizing<String> {
    Zeroizing::new(base64url_encode(Zeroizing::new(random::<32>()).as_slice()))
}

/// 16 random bytes, none of them zero: some consumers of the revocation feed keep its salt in C strings.
pub fn random_salt() -> [u8; 16] {
    loop {
        let salt = random();
        if !salt.contains(&0) {
            return salt;
        }
    }
}

/// Random bytes from the operating system. A machine that has none to give cannot run an authority: better to stop
/// than to let every caller find an answer of its own.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use attesto_token::base64url_decode;

    use super::{random_id, random_secret};

    #[test]
    fn an_id_is_32_lower_case_hex_digits() {
        let ids: HashSet<_> = (0..1000).map(|_| random_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(id.len(), 32, "{id}");
            assert!(id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        }
    }

    #[test]
    fn a_secret_has_256_bits() {
        assert_eq!(base64url_decode(random_secret().as_bytes()).map(|bytes| bytes.len()), Some(32));
        assert_ne!(*random_secret(), *random_secret());
    }
}
