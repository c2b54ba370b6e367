use std::process::Command;

use attesto_cluster::Scratch;
use serde_json::json;

use super::authority_on;
use super::replicas::what_one_ends_the_other_publishes;
use crate::process::by;
use crate::server::Server;
use crate::upgrade::{previous, set_up_by};

/// As often as servers of both versions take turns.
const TURNS: usize = 20;

#[test]
fn servers_of_the_version_before_go_on_while_they_are_replaced_and_can_come_back() {
    let Some(previous) = previous() else { return };
    let older = |command: Command| by(&previous, &command);
    let database = Scratch::new().unwrap();
    let authority = authority_on(&database.url());
    set_up_by(&authority, older);
    let before = authority.try_start_as(older).unwrap();
    let mut pair = before.sign_in();

    let said = authority.try_start().err().unwrap().refused(1);
    assert!(said.contains("`attesto migrate` brings it up to date"), "{said}");
    assert_ne!(authority.json(&["migrate"])["migrations"], json!([]));
    pair = before.refresh(&pair.refresh).pair();

    let after = authority.start();
    for servers in [[&after, &before], [&before, &after]].iter().cycle().take(TURNS) {
        let [one, other] = *servers;
        pair = one.refresh(&pair.refresh).pair();
        assert_eq!(other.verify(&pair.access).status, 200);
    }
    for (seq, [one, other]) in (0..).zip([[&after, &before], [&before, &after]]) {
        a_repeated_refresh_gets_the_same_answer(one, other);
        what_one_ends_the_other_publishes(one, other, seq);
    }

    before.stop();
    pair = after.refresh(&pair.refresh).pair();
    let again = authority.try_start_as(older).unwrap();
    after.stop();
    again.refresh(&pair.refresh).pair();
}

#[track_caller]
fn a_repeated_refresh_gets_the_same_answer(one: &Server, other: &Server) {
    let first = one.sign_in();
    let second = one.refresh(&first.refresh).pair();
    assert_eq!(other.refresh(&first.refresh).pair().refresh, second.refresh, "byte for byte");
}
