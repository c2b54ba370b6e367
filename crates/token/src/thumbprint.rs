use crate::base64url;
use crate::digest::sha256;
use crate::jwk::{PublicKey, RsaPublicKey};

impl PublicKey {
    /// The JWK SHA-256 thumbprint (RFC 7638 §3), base64url: 43 characters. Attesto uses it as `kid`.
    pub fn thumbprint(&self) -> String {
        // RFC 7638 §3.2: the required members only, in lexicographic order, no white space.
        let canonical = match self {
            Self::Rsa(RsaPublicKey { n, e }) => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url::encode(e), base64url::encode(n))
            }
            Self::Ec(key) => {
                let (x, y) = (base64url::encode(key.x()), base64url::encode(key.y()));
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            // RFC 8037 §2.
            Self::Okp(key) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url::encode(key.x()))
            }
        };
        base64url::encode(sha256(canonical.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use crate::JwkSet;

    #[test]
    fn the_example_of_rfc_7638() {
        let set = r#"{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}"#;
        let set = JwkSet::parse(set.as_bytes()).unwrap();
        assert_eq!(set.keys[0].key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    /// RFC 7638 has none for an elliptic curve: a proof of possession names its key by the thumbprint.
    #[test]
    fn the_example_of_rfc_9449() {
        let set = r#"{"keys":[{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256","kid":"a"}]}"#;
        let set = JwkSet::parse(set.as_bytes()).unwrap();
        assert_eq!(set.keys[0].key.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn the_example_of_rfc_8037_a_3() {
        let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}"#;
        let set = JwkSet::parse(set.as_bytes()).unwrap();
        assert_eq!(set.keys[0].key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
