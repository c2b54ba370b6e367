//! A feed for those alone who have an access token: who follows it gets one, and another when that session is over.

use std::fs::{self, File};
use std::process::Stdio;

use serde_json::json;

use super::consumers::{Consumer, PROGRAMS, issuer};
use super::programs::Programs;
use crate::authority::Authority;
use crate::process::{Process, until};
use crate::server::Credentials;

#[test]
fn a_feed_that_is_not_for_everybody_is_followed() {
    let Some(programs) = Programs::find() else { return };
    let authority = Authority::dev().with("ATTESTO_FEED_REQUIRE_TOKEN", "true");
    let server = authority.start();
    assert_eq!(server.get("/revocations").status, 401);
    let user = Credentials { username: "feed-orders".to_owned(), password: "a long password".to_owned() };
    let password = format!("{}\n", user.password);
    authority.run_with(&["users", "add", &user.username], &password).done();

    let folder = tempfile::tempdir().unwrap();
    let [secret, token, log] = ["secret", "token", "log"].map(|name| folder.path().join(name));
    fs::write(&secret, password).unwrap();
    let mut access = programs.command("access.py");
    access.args([&issuer(&server), &user.username]).args([&secret, &token]).stdin(Stdio::null());
    let _access = Process(access.spawn().unwrap());
    until("there is a token", || fs::metadata(&token).ok());

    let log_file = File::create(&log).unwrap();
    let consumers = PROGRAMS.map(|name| {
        let mut command = programs.command(name);
        // Whoever copies an URL may copy a slash.
        command.arg(format!("{}/", issuer(&server))).arg(&token).stderr(log_file.try_clone().unwrap());
        Consumer::start_by(command, name)
    });
    let pair = server.sign_in();
    assert_eq!(consumers.each_ref().map(|consumer| consumer.revoked_by(&pair.access)), [None, None]);
    authority.run(&["sessions", "revoke", "--all", "--yes"]).done();
    for consumer in &consumers {
        until("the end is known", || consumer.revoked_by(&pair.access));
    }
    let said = || fs::read_to_string(&log).unwrap();
    let reason = "revocation feed: Refused: status 401 Bearer realm=\"revocations\", error=\"invalid_token\"";
    until("their own sessions are over as well", || (said().matches(reason).count() >= 2).then_some(()));
    until("both are back", || (said().matches("revocation feed: it is back").count() == 2).then_some(()));
    for consumer in &consumers {
        assert!(consumer.ask("k", &json!({}))["age"].as_f64().unwrap() < 30.0, "{}", said());
    }
}
