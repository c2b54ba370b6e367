//! The service of `docs/feed.md`, as somebody has it who copied it from there.

use super::consumers::{Consumer, issuer};
use super::programs::{Programs, documented};
use crate::authority::Authority;
use crate::process::until;
use crate::server::{Credentials, Server};
use crate::token::with_other_signature;

/// What a request is answered that comes with each line of standard input, in the form that a [`Consumer`] is asked in.
const REQUESTS: &str = r#"
import json, sys
for line in sys.stdin:
    print(json.dumps({"status": check(json.loads(line)["kid"])[0], "age": 0}), flush=True)
"#;

#[test]
fn the_documented_service_refuses_what_is_revoked() {
    let Some(programs) = Programs::find() else { return };
    let authority = Authority::dev();
    let server = authority.start();
    let service = Service::start(&programs, &program(&server));
    let pair = server.sign_in();
    until("it has the feed", || (service.status(&pair.access) == 200).then_some(()));
    for token in ["", "x", &pair.refresh, &with_other_signature(&pair.access)] {
        assert_eq!(service.status(token), 401, "{token}");
    }
    assert_eq!(server.blacklist(&pair.refresh).status, 200);
    until("it is told", || (service.status(&pair.access) == 401).then_some(()));
    let next = server.sign_in();
    server.stop();
    assert_eq!(
        (service.status(&next.access), service.status(&pair.access)),
        (200, 401),
        "for as long as they live"
    );
}

#[test]
fn the_documented_service_does_not_know_without_the_feed() {
    let Some(programs) = Programs::find() else { return };
    let authority = Authority::dev().with("ATTESTO_FEED_REQUIRE_TOKEN", "true");
    let server = authority.start();
    let pair = server.sign_in();
    let without = Service::start(&programs, &program(&server));
    assert_eq!((without.status(&pair.access), without.status("x")), (503, 401));

    let user = Credentials { username: "feed-orders".to_owned(), password: "a long password".to_owned() };
    authority.run_with(&["users", "add", &user.username], &format!("{}\n", user.password)).done();
    let with = "feed = Feed(ISSUER, Access(ISSUER, \"feed-orders\", password))\n";
    assert!(documented("../feed.md").contains(with));
    let password = format!("from access import Access\npassword = {:?}\n{with}", user.password);
    let program = replaced(&program(&server), "feed = Feed(ISSUER)\n", &password);
    let strict = replaced(&replaced(&program, "STRICT = False", "STRICT = True"), "age > 60", "age > 2");
    let strict = Service::start(&programs, &strict);
    until("it has the feed", || (strict.status(&pair.access) == 200).then_some(()));
    server.stop();
    until("the feed is old", || (strict.status(&pair.access) == 503).then_some(()));
}

struct Service(Consumer);

impl Service {
    fn start(programs: &Programs, program: &str) -> Self {
        let name = "service.py";
        programs.add(name, program);
        Self(Consumer::start_by(programs.command(name), name))
    }

    fn status(&self, token: &str) -> u64 {
        self.0.ask(token, &().into())["status"].as_u64().unwrap()
    }
}

/// The first program of the page, with what is ours.
fn program(server: &Server) -> String {
    let page = documented("../feed.md");
    let (_, program) = page.split_once("```python\n").expect("a program");
    let (program, _) = program.split_once("```").expect("its end");
    let program = replaced(program, "https://login.example.com", &issuer(server));
    replaced(&program, "\"orders\"", "\"attesto-dev\"") + REQUESTS
}

fn replaced(text: &str, theirs: &str, ours: &str) -> String {
    assert!(text.contains(theirs), "{theirs}");
    text.replace(theirs, ours)
}
