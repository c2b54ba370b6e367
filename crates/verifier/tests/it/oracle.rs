//! `jsonwebtoken`, as strict as its settings allow, at any time: it knows no clock but the system's, so the times are
//! compared here, as it does.

use std::time::Duration;

use attesto_verifier::{JwkSet, Verifier};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

/// What both are set to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) r#type: String,
    pub(crate) algorithms: Vec<String>,
    pub(crate) leeway: u32,
    pub(crate) now: i64,
    pub(crate) keys: Value,
}

impl Policy {
    /// Ours.
    pub(crate) fn verifier(&self) -> Verifier {
        assert_eq!(self.r#type, "at+jwt");
        let algorithms: Vec<_> = self.algorithms.iter().map(|name| name.parse().unwrap()).collect();
        let keys = JwkSet::parse(self.keys.to_string().as_bytes()).unwrap();
        let now = self.now;
        Verifier::builder(&self.issuer)
            .audience(&self.audience)
            .algorithms(&algorithms)
            .leeway(Duration::from_secs(self.leeway.into()))
            .clock(move || now)
            .build_offline(&keys)
            .unwrap()
    }

    /// Theirs, as a careful service uses it: the key that `kid` names, of the allowed algorithm that the key is for.
    #[expect(clippy::disallowed_methods, reason = "the other side of the comparison")]
    pub(crate) fn jsonwebtoken_accepts(&self, token: &str) -> bool {
        let Ok(header) = jsonwebtoken::decode_header(token) else { return false };
        let Some(jwk) = self.key(header.kid.as_deref()) else { return false };
        let Ok(key) = DecodingKey::from_jwk(&jwk) else { return false };
        let alg = format!("{:?}", header.alg);
        if !self.algorithms.contains(&alg)
            || jwk.common.key_algorithm.is_some_and(|of_key| of_key.to_string() != alg)
        {
            return false;
        }
        let mut validation = Validation::new(header.alg);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).map(|token| token.claims);
        claims.is_ok_and(|claims| self.is_timely(&claims))
    }

    fn key(&self, kid: Option<&str>) -> Option<Jwk> {
        let mut keys =
            self.keys["keys"].as_array().unwrap().iter().filter_map(|key| Jwk::deserialize(key).ok());
        keys.find(|key| kid.is_some() && key.common.key_id.as_deref() == kid)
    }

    #[expect(clippy::cast_precision_loss, reason = "instants of this century")]
    fn is_timely(&self, claims: &Value) -> bool {
        let (now, leeway) = (self.now as f64, f64::from(self.leeway));
        let time = |name| -> Option<Option<f64>> {
            claims.get(name).map(|time| time.as_f64().map(f64::round).filter(|seconds| *seconds >= 0.0))
        };
        time("exp").flatten().is_some_and(|exp| exp >= now - leeway)
            && time("nbf").is_none_or(|nbf| nbf.is_some_and(|nbf| nbf <= now + leeway))
    }
}
