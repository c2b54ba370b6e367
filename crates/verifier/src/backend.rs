//! The one thing that this crate does not do itself: checking a signature.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(all(feature = "ring", any(test, not(feature = "aws-lc"))))]
pub(crate) mod ring;

#[cfg(feature = "aws-lc")]
pub(crate) use aws_lc::VerifyingKey;
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
pub(crate) use ring::VerifyingKey;

#[cfg(test)]
mod tests {
    use attesto_token::{Algorithm, EcPublicKey, Jwk, PublicKey, RsaPublicKey, base64url_decode};

    use super::*;

    fn jwk(algorithm: Algorithm, key: PublicKey) -> Jwk {
        Jwk { kid: "a".to_owned(), algorithm, key }
    }

    /// It has neither `kid` nor `typ`, so the way through a verifier is closed to it.
    #[test]
    fn the_example_of_rfc_7515_a_3() {
        let input = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature =
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let [signature, x, y] = [
            signature,
            "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        ]
        .map(|text| base64url_decode(text).unwrap());
        let jwk = jwk(Algorithm::Es256, PublicKey::Ec(EcPublicKey::p256(&x, &y).unwrap()));
        let key = VerifyingKey::new(&jwk).unwrap();
        assert!(key.verifies(input.as_bytes(), &signature));
        assert!(!key.verifies(&input.as_bytes()[1..], &signature));
    }

    /// A set that was built rather than parsed can hold such a key.
    #[test]
    fn a_key_of_another_kind_than_its_algorithm() {
        let rsa = PublicKey::Rsa(RsaPublicKey::new(vec![0xc1; 256], vec![1, 0, 1]).unwrap());
        let [x, y] =
            ["axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"]
                .map(|text| base64url_decode(text).unwrap());
        let ec = PublicKey::Ec(EcPublicKey::p256(&x, &y).unwrap());
        let usable = |algorithm, key: &PublicKey| VerifyingKey::new(&jwk(algorithm, key.clone())).is_some();
        assert!(usable(Algorithm::Rs256, &rsa) && usable(Algorithm::Es256, &ec));
        assert!(!usable(Algorithm::Es256, &rsa) && !usable(Algorithm::Rs256, &ec));
    }
}
