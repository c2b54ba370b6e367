//! Guesses are counted whatever happens to their answers.

use crate::authority::Authority;
use crate::server::Credentials;

#[test]
fn a_wrong_guess_stays_counted_when_its_refusal_cannot_be_recorded() {
    let authority = Authority::dev();
    let server = authority.start();
    authority.sqlite(
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_events WHEN NEW.event = 'sign_in_refused' \
         BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    let guess = Credentials { username: "dev".to_owned(), password: "not the password".to_owned() };
    let statuses: Vec<u16> = (0..20).map(|_| server.try_sign_in(&guess).status).collect();
    assert!(statuses[..10].iter().all(|status| *status == 503), "{statuses:?}");
    assert!(statuses[10..].contains(&429), "{statuses:?}");
}
