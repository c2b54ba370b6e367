//! A database that was restored from a copy has forgotten records that services have.

use std::fs;

use attesto_token::feed::{FeedError, RevokedBy};

use super::follower::Follower;
use crate::authority::Authority;
use crate::process::until;

#[test]
fn services_follow_a_restored_database_into_another_feed() {
    let authority = Authority::dev();
    let server = authority.start();
    let (copied, since) = (server.sign_in(), server.sign_in());
    server.stop();
    let database = authority.data().join("attesto.db");
    let copy = fs::read(&database).unwrap();
    let server = authority.start();
    assert_eq!(server.blacklist(&since.refresh).status, 200);
    let mut follower = Follower::start(&server);
    until("the end is known", || {
        follower.follow(1).unwrap();
        follower.revoked_by(&since.access)
    });
    server.stop();

    fs::write(&database, copy).unwrap();
    let server = authority.start();
    follower.moved_to(&server);
    let forgotten = until("the feed is behind what is known", || follower.follow(0).err());
    assert_eq!(forgotten, FeedError::RolledBack);
    assert_eq!(follower.revoked_by(&since.access), Some(RevokedBy::Session), "services forget nothing");
    assert_eq!(server.verify(&since.access).status, 200, "the database does");

    let line = authority.run(&["feed", "renew"]).refused(1);
    assert!(line.ends_with("Give --yes if so; nothing was changed"), "{line}");
    let before = authority.json(&["feed", "show"]);
    let done = authority.json(&["feed", "renew", "--yes", "--reason", "restored"]);
    assert!(done["epoch"].as_str().unwrap() > before["epoch"].as_str().unwrap());
    until("another feed is followed", || {
        follower.follow(0).ok().filter(|()| follower.revoked_by(&copied.access).is_some())
    });
    assert_eq!(follower.revoked_by(&copied.access), Some(RevokedBy::All));
    assert_eq!(follower.revoked_by(&since.access), Some(RevokedBy::All));
    assert_eq!(server.refresh(&copied.refresh).refused(401), "Token is blacklisted");
    let audit = authority.json(&["audit", "list"]);
    assert_eq!((&audit[0]["event"], &audit[0]["reason"]), (&"feed_renewed".into(), &"restored".into()));
    assert_eq!(follower.revoked_by(&server.sign_in().access), None, "a new session lives");
}
