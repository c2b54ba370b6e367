use std::sync::Arc;

use attesto_token::typ;
use serde_json::{Map, Value};

use super::Issuer;
use super::signing::SigningKey;

/// How long a token is good, in seconds.
const LIFETIME: i64 = 600;
const HOUR: i64 = 3_600;

/// A token to be minted: one of RFC 9068 that every verifier of the issuer accepts, and then what was changed of it.
#[must_use = "it is a token only when it was minted"]
pub struct Token {
    key: Arc<SigningKey>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    /// Whether somebody said whom it is for.
    is_told: bool,
    spoiled: bool,
}

impl Token {
    pub(super) fn new(issuer: &Issuer, subject: &str) -> Self {
        let (key, audiences, jti) = issuer.0.world().next_token();
        let now = issuer.now();
        let audience = match audiences.as_slice() {
            [one] => one.as_str().into(),
            several => several.into(),
        };
        let claims: [(&str, Value); 8] = [
            ("iss", issuer.url().into()),
            ("sub", subject.into()),
            ("aud", audience),
            ("exp", (now + LIFETIME).into()),
            ("iat", now.into()),
            ("jti", jti.into()),
            ("client_id", "client".into()),
            ("sid", "session".into()),
        ];
        let claims = claims.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Self { header: key.header(typ::ACCESS), key, claims, is_told: false, spoiled: false }
    }

    /// `scope`: one, or several with spaces between them (RFC 8693 §4.2). None unless told.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// `aud`: whom it is for, instead of all for whom the issuer has made verifiers.
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// `sid`: the session that it belongs to. `session` unless told.
    pub fn session(self, sid: &str) -> Self {
        self.claim("sid", sid)
    }

    /// `client_id`: the client that obtained it. `client` unless told.
    pub fn client(self, client_id: &str) -> Self {
        self.claim("client_id", client_id)
    }

    /// Any claim with any value, right or wrong; also in place of one that is there.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.is_told |= name == "aud";
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves out a claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Was minted an hour ago, for the usual ten minutes.
    pub fn expired(mut self) -> Self {
        for name in ["iat", "exp"] {
            let at = self.claims.get(name).and_then(Value::as_i64).unwrap_or_default();
            self.claims.insert(name.to_owned(), (at - HOUR).into());
        }
        self
    }

    /// Any member of the header with any value, as `typ`, `alg` or `kid`. The signature is the one of the issuer's key
    /// nevertheless.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Is signed by a key that is not the issuer's, and names it.
    pub fn foreign_key(mut self) -> Self {
        self.key = SigningKey::for_tokens();
        let kid = self.key.kid().to_owned();
        self.header("kid", kid)
    }

    /// Has a signature that the key did not make.
    pub fn bad_signature(mut self) -> Self {
        self.spoiled = true;
        self
    }

    /// The token: what stands after `Bearer`.
    ///
    /// # Panics
    ///
    /// For nobody, since the issuer has made no verifier yet, and [`audience`](Self::audience) was not called.
    pub fn mint(self) -> String {
        let is_for_somebody =
            self.claims.get("aud").is_none_or(|audience| *audience != Value::Array(Vec::new()));
        assert!(is_for_somebody || self.is_told, "make the verifier before the token, or say whom it is for");
        let payload = Value::Object(self.claims).to_string();
        let token = self.key.sign(self.header.clone(), payload.as_bytes());
        if !self.spoiled {
            return token;
        }
        let (signed, _) = token.rsplit_once('.').unwrap_or_default();
        let of_another = self.key.sign(self.header, b"{}");
        let (_, signature) = of_another.rsplit_once('.').unwrap_or_default();
        format!("{signed}.{signature}")
    }
}
