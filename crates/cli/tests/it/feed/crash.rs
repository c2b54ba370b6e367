//! `kill -9` right after an end was answered: the record is in the feed of the next server.

use attesto_token::feed::RevokedBy;

use super::follower::Follower;
use crate::authority::Authority;

const KILLS: usize = 100;

#[test]
fn what_was_answered_is_in_the_feed() {
    let authority = Authority::dev();
    let mut server = authority.start();
    let (mut ended, mut living) = (Vec::new(), Vec::new());
    for _ in 0..KILLS {
        let (pair, other) = (server.sign_in(), server.sign_in());
        assert_eq!(server.blacklist(&pair.refresh).status, 200);
        server.kill();
        server = authority.start();
        ended.push(pair.access);
        living.push(other.access);
    }
    let follower = Follower::start(&server);
    for token in &ended {
        assert_eq!(follower.revoked_by(token), Some(RevokedBy::Session));
    }
    assert!(living.iter().all(|token| follower.revoked_by(token).is_none()));
}
