use std::fmt;

use serde::Serialize;

use crate::error::Error;

/// In seconds. The keys are asked for again at least once a minute, and mostly sooner.
const RETRY_AFTER: &str = "5";

/// The answer to a request that is not let through: status, headers and body. Made by
/// [`ResourceServer::deny`](crate::ResourceServer::deny); holds nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    error: Error,
    challenge: Option<String>,
}

impl Denied {
    pub(crate) fn new(error: Error, realm: &str, resource_metadata: Option<&str>) -> Self {
        Self { challenge: error.challenge(realm, resource_metadata), error }
    }

    /// Why.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The status, as [`Error::status`] says.
    pub fn status(&self) -> u16 {
        self.error.status()
    }

    /// The headers: a challenge (RFC 6750 §3), or when to come back (RFC 9110 §10.2.3); that nobody may keep the answer;
    /// and the type of its body.
    pub fn headers(&self) -> [(&'static str, &str); 3] {
        let way_out = match &self.challenge {
            Some(challenge) => ("www-authenticate", challenge.as_str()),
            None => ("retry-after", RETRY_AFTER),
        };
        [way_out, ("cache-control", "no-store"), ("content-type", "application/json")]
    }

    /// The body: `error` of RFC 6750 §3.1, absent where there were no credentials, `temporarily_unavailable` in a 503;
    /// and `error_description`.
    pub fn body(&self) -> String {
        let code = self.error.rfc6750();
        let unavailable = (self.status() == 503).then_some("temporarily_unavailable");
        let body = Body { error: code.or(unavailable), error_description: self.error.to_string() };
        serde_json::to_string(&body).expect("texts are JSON")
    }
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    error_description: String,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Denied {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
