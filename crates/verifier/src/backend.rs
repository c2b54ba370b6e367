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
    use attesto_token::{
        Algorithm, CompactJws, EcPublicKey, Jwk, JwkSet, OkpPublicKey, PublicKey, RsaPublicKey,
        base64url_decode,
    };

    use super::*;

    /// None of them has `typ`, nor most of them a `kid`, so the way through a verifier is closed to them.
    const EXAMPLES: [(&str, &str, &str); 3] = [
        (
            "RFC 7515 A.2",
            r#"{"kty":"RSA","kid":"a","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            "RFC 7515 A.3",
            r#"{"kty":"EC","kid":"a","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            "RFC 8037 A.4",
            r#"{"kty":"OKP","kid":"a","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];

    #[test]
    fn the_examples_of_the_rfcs() {
        for (name, jwk, token) in EXAMPLES {
            let set = JwkSet::parse(format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).unwrap();
            let jws = CompactJws::split(token).unwrap();
            assert_eq!(jws.header().unwrap().alg.parse(), Ok(set.keys[0].algorithm), "{name}");
            let (message, mut signature) = (jws.signing_input.as_bytes(), jws.signature().unwrap());
            assert!(verifies(&set.keys[0], message, &signature), "{name}");
            assert!(!verifies(&set.keys[0], &message[1..], &signature), "{name}");
            signature[0] ^= 1;
            assert!(!verifies(&set.keys[0], message, &signature), "{name}");
        }
    }

    /// What every backend that is there says.
    fn verifies(jwk: &Jwk, message: &[u8], signature: &[u8]) -> bool {
        let verdict = VerifyingKey::new(jwk).unwrap().verifies(message, signature);
        #[cfg(all(feature = "aws-lc", feature = "ring"))]
        assert_eq!(ring::VerifyingKey::new(jwk).unwrap().verifies(message, signature), verdict);
        verdict
    }

    /// A set that was built rather than parsed can hold such a key.
    #[test]
    fn a_key_of_another_kind_than_its_algorithm() {
        let rsa = PublicKey::Rsa(RsaPublicKey::new(vec![0xc1; 256], vec![1, 0, 1]).unwrap());
        let [x, y, okp] = [
            "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
            "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        ]
        .map(|text| base64url_decode(text).unwrap());
        let ec = PublicKey::Ec(EcPublicKey::p256(&x, &y).unwrap());
        let okp = PublicKey::Okp(OkpPublicKey::ed25519(&okp).unwrap());
        let table = [
            (Algorithm::Rs256, &rsa),
            (Algorithm::Ps256, &rsa),
            (Algorithm::Es256, &ec),
            (Algorithm::EdDsa, &okp),
        ];
        for (algorithm, own) in table {
            for key in [&rsa, &ec, &okp] {
                let jwk = Jwk { kid: "a".to_owned(), algorithm, key: key.clone() };
                assert_eq!(VerifyingKey::new(&jwk).is_some(), key == own, "{algorithm} {key:?}");
                #[cfg(all(feature = "aws-lc", feature = "ring"))]
                assert_eq!(ring::VerifyingKey::new(&jwk).is_some(), key == own, "{algorithm} {key:?}");
            }
        }
    }
}
