//! A feed for those alone who have an access token: who follows it gets one, and another when that session is over.

use std::fs::{self, File};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use super::consumers::{Consumer, PROGRAMS, issuer};
use super::programs::Programs;
use crate::authority::Authority;
use crate::process::{Process, until};
use crate::server::Credentials;
use crate::token::claims;

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
    let said = |what: &str| fs::read_to_string(&log).unwrap().matches(what).count();
    let reason = "revocation feed: Refused: status 401 Bearer realm=\"revocations\", error=\"invalid_token\"";
    until("both were refused", || {
        fs::write(&token, "no-token").unwrap();
        // They wait for news, and ask again then.
        server.blacklist(&server.sign_in().refresh);
        sleep(Duration::from_millis(500));
        (said(reason) >= PROGRAMS.len()).then_some(())
    });
    until("both are back", || (said("revocation feed: it is back") >= PROGRAMS.len()).then_some(()));

    let (pair, token) = (server.sign_in(), || fs::read_to_string(&token).unwrap());
    let before = claims(&token())["sid"].clone();
    authority.run(&["sessions", "revoke", "--all", "--yes"]).done();
    for consumer in &consumers {
        assert_eq!(until("the end is known", || consumer.revoked_by(&pair.access)), "all");
    }
    until("there is another session", || (claims(&token())["sid"] != before).then_some(()));
    let pair = server.sign_in();
    assert_eq!(server.blacklist(&pair.refresh).status, 200);
    for consumer in &consumers {
        assert_eq!(until("they go on", || consumer.revoked_by(&pair.access)), "session");
    }
}
