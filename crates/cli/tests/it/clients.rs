//! Services of somebody else, which share nothing with the authority but its URL: `tests/clients` has their programs.

use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use attesto_server::block_on;
use attesto_verifier::Verifier;
use serde_json::{Map, Value, json};

use crate::authority::Authority;
use crate::http::Connection;
use crate::process::{Process, run};
use crate::token::{claims, with_claim, with_other_signature};

/// What one service makes of a token: its claims, or a reason.
type Verdict = Result<Value, String>;

#[test]
fn services_accept_what_is_good_and_nothing_else() {
    let Some(tools) = Tools::find() else { return };
    let authority = Authority::dev();
    let server = authority.start();
    authority.run_with(&["users", "claims", "dev"], r#"{"role":"auditor","teams":["a","b"]}"#).done();
    let pair = server.sign_in();
    let issuer = authority.dev_file()["issuer"].as_str().unwrap().to_owned();

    let services = Services::start(&tools, &issuer, "attesto-dev");
    services.all_accept(&pair.access);
    // The framework's answer names no reason.
    let signature =
        ["token_not_valid", "InvalidSignatureError", "JWSSignatureVerification", "signature_invalid"];
    services.all_refuse(&with_claim(&pair.access, "user_id", "somebody"), signature);
    services.all_refuse(&with_claim(&pair.access, "role", "owner"), signature);
    services.all_refuse(&with_other_signature(&pair.access), signature);
    services.all_refuse(&pair.refresh, ["token_not_valid", "InvalidAudience", "\"aud\"", "type_mismatch"]);
    Services::start(&tools, &issuer, "attesto-elsewhere")
        .all_refuse(&pair.access, ["token_not_valid", "InvalidAudience", "\"aud\"", "audience_mismatch"]);

    let renewed = server.refresh(&pair.refresh).pair();
    services.all_accept(&renewed.access);
    assert_eq!(server.blacklist(&renewed.refresh).status, 200);
    assert_eq!(server.refresh(&renewed.refresh).refused(401), "Token is blacklisted");
}

/// Programs that `cargo xtask test` installs.
pub(crate) struct Tools {
    pub(crate) python: String,
    pub(crate) node: String,
}

impl Tools {
    /// Nothing if somebody asked for a run without them.
    pub(crate) fn find() -> Option<Self> {
        let without = env::var("ATTESTO_TEST_WITHOUT").unwrap_or_default();
        if without.split(',').any(|step| step == "clients") {
            return None;
        }
        let variable = |name: &str| {
            env::var(name)
                .unwrap_or_else(|_| panic!("{name} is not set: run the tests with `cargo xtask test`"))
        };
        // The program for Node.js reads this one itself.
        variable("ATTESTO_TEST_NODE_MODULES");
        Some(Self { python: variable("ATTESTO_TEST_PYTHON"), node: variable("ATTESTO_TEST_NODE") })
    }
}

/// One service of each kind, all for the same audience.
struct Services<'a> {
    tools: &'a Tools,
    issuer: &'a str,
    audience: &'a str,
    drf: (Process, SocketAddr),
    verifier: Verifier,
}

impl<'a> Services<'a> {
    fn start(tools: &'a Tools, issuer: &'a str, audience: &'a str) -> Self {
        let mut drf = program(&tools.python, "drf_service.py", issuer, audience);
        let (process, _, address) = Process::serve(&mut drf);
        Self {
            tools,
            issuer,
            audience,
            drf: (process, address.expect("the service starts")),
            verifier: block_on(verifier(issuer, audience)),
        }
    }

    /// Each of them knows who it is, and what the operator wants to be said of them.
    #[track_caller]
    fn all_accept(&self, token: &str) {
        let expected = claims(token);
        for (service, verdict) in self.verdicts(token) {
            let seen = verdict.unwrap_or_else(|reason| panic!("{service} refuses: {reason}"));
            assert_eq!(seen, expected, "{service}");
            assert_eq!((&seen["role"], &seen["teams"]), (&json!("auditor"), &json!(["a", "b"])), "{service}");
        }
    }

    /// `reasons` has a part of what each of them says.
    #[track_caller]
    fn all_refuse(&self, token: &str, reasons: [&str; 4]) {
        for ((service, verdict), expected) in self.verdicts(token).into_iter().zip(reasons) {
            let reason = verdict.expect_err(service);
            assert!(reason.contains(expected), "{service} has another reason: {reason}");
        }
    }

    fn verdicts(&self, token: &str) -> [(&'static str, Verdict); 4] {
        [
            ("Django REST Framework", self.ask_drf(token)),
            ("PyJWT", self.ask(&self.tools.python, "pyjwt_client.py", token)),
            ("jose", self.ask(&self.tools.node, "jose_client.mjs", token)),
            ("attesto-verifier", self.ask_verifier(token)),
        ]
    }

    fn ask_drf(&self, token: &str) -> Verdict {
        let request = format!("GET /whoami HTTP/1.0\r\nauthorization: Bearer {token}\r\n\r\n");
        let answer = Connection::open(self.drf.1).unwrap().ask(&request).unwrap();
        if answer.status == 401 {
            return Err(answer.body);
        }
        let mut whoami = answer.json();
        assert_eq!(whoami["user_id"], whoami["claims"]["sub"]);
        Ok(whoami["claims"].take())
    }

    fn ask(&self, interpreter: &str, file: &str, token: &str) -> Verdict {
        let outcome = run(&mut program(interpreter, file, self.issuer, self.audience), token);
        match outcome.any() {
            (Some(0), claims, _) => Ok(serde_json::from_str(&claims).unwrap()),
            (Some(1), _, reason) => Err(reason),
            other => panic!("{file} has no verdict: {other:?}"),
        }
    }

    fn ask_verifier(&self, token: &str) -> Verdict {
        let verified = self.verifier.verify::<Map<String, Value>>(token);
        verified.map(|verified| verified.claims.into()).map_err(|error| error.code().to_owned())
    }
}

/// One of `tests/clients`, still to be run.
pub(crate) fn program(interpreter: &str, file: &str, issuer: &str, audience: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let mut command = Command::new(interpreter);
    command.arg(folder.join(file)).env("ISSUER", issuer).env("AUDIENCE", audience);
    command
}

async fn verifier(issuer: &str, audience: &str) -> Verifier {
    let verifier = Verifier::builder(issuer).audience(audience).build().unwrap();
    verifier.ready(Duration::from_secs(10)).await.unwrap();
    verifier
}
