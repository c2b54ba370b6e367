//! What servers do by themselves, and that many of them do it once.

use std::collections::BTreeSet;
use std::thread;

use attesto_core::{KeyMoves, KeyRecord, KeyState, KeyTable, RecordedEvent};
use attesto_server::{block_on, run_due};

use crate::fixture::{Authority, DAY, MILLISECOND, NOW, RS256, SECOND};

/// Event, key, actor and reason of every event about keys of tokens, oldest first. Those of the feed change as well.
async fn told(authority: &Authority) -> Vec<(String, String, String, String)> {
    let table = authority.read(|tx| tx.find_key_table()).await;
    let is_of_tokens = |it: &RecordedEvent| table.find(it.kid.as_ref().unwrap()).unwrap().line() == RS256;
    let events = authority.key_events().await.into_iter().filter(is_of_tokens);
    events.map(|it| (it.event, it.kid.unwrap(), it.actor, it.reason.unwrap())).collect()
}

fn by_schedule(event: &str, kid: &str) -> (String, String, String, String) {
    (event.to_owned(), kid.to_owned(), "server".to_owned(), "schedule".to_owned())
}

#[actix_web::test]
async fn a_key_signs_for_thirty_days_and_is_gone_soon_after() {
    let authority = Authority::new().await;
    let (first, second) =
        (authority.key(RS256, KeyState::Active).await, authority.key(RS256, KeyState::Staged).await);
    for moment in [NOW, NOW + DAY, NOW + 29 * DAY, NOW + 30 * DAY - MILLISECOND] {
        authority.clock.advance_to(moment);
        authority.run_due().await;
        assert_eq!(told(&authority).await, [], "{moment:?}");
    }
    authority.sign_in().await;
    let signed_at = authority.clock.now();
    authority.clock.advance(MILLISECOND);
    authority.run_due().await;
    let third = authority.key(RS256, KeyState::Staged).await;
    let mut expected = vec![
        by_schedule("key_demoted", &first),
        by_schedule("key_promoted", &second),
        by_schedule("key_generated", &third),
    ];
    assert_eq!(told(&authority).await, expected);
    assert_eq!(authority.key(RS256, KeyState::Active).await, second);

    let withdrawable_at = signed_at + (2 * 600 + 300 + 10) * SECOND;
    for (at, event, state) in [
        (withdrawable_at, "key_retired", KeyState::Retired),
        (withdrawable_at + 10 * SECOND, "key_destroyed", KeyState::Destroyed),
    ] {
        authority.clock.advance_to(at - MILLISECOND);
        authority.run_due().await;
        assert_eq!(told(&authority).await, expected);
        authority.clock.advance(MILLISECOND);
        authority.run_due().await;
        expected.push(by_schedule(event, &first));
        assert_eq!(told(&authority).await, expected);
        assert_eq!(authority.row(&first).await.state, state);
    }
    assert_eq!(authority.row(&first).await.sealed_private_key, None);
    authority.follows().await;
    assert_eq!(authority.published().await, BTreeSet::from([second, third]));
}

#[actix_web::test]
async fn after_a_long_sleep_each_step_still_waits_for_the_one_before() {
    let authority = Authority::new().await;
    authority.clock.advance(365 * DAY);
    authority.run_due().await;
    let events: Vec<_> = told(&authority).await.into_iter().map(|(event, ..)| event).collect();
    assert_eq!(events, ["key_demoted", "key_promoted", "key_generated"]);
    let rotated_at = authority.clock.now();
    authority.clock.advance_to(rotated_at + 30 * DAY - MILLISECOND);
    authority.run_due().await;
    assert_eq!(told(&authority).await.len(), 4, "the first key left");
    authority.clock.advance(MILLISECOND);
    authority.run_due().await;
    let rotated = told(&authority).await.iter().filter(|(event, ..)| event == "key_promoted").count();
    assert_eq!(rotated, 2);
}

#[actix_web::test]
async fn there_is_always_a_staged_key() {
    let authority = Authority::new().await;
    let staged = authority.key(RS256, KeyState::Staged).await;
    // By nobody's command: the only staged key goes, and none is made.
    let leaves = |table: &KeyTable| {
        let row = table.staged(RS256)[0].clone();
        let moved = vec![KeyRecord { state: KeyState::Retired, retired_at: Some(NOW), ..row }];
        KeyMoves { moved, ..KeyMoves::default() }
    };
    authority.change_keys(|table, _, _| Ok(leaves(table))).await.unwrap();
    authority.run_due().await;
    let new = authority.key(RS256, KeyState::Staged).await;
    assert_ne!(new, staged);
    let made = by_schedule("key_generated", &new);
    assert_eq!(told(&authority).await.pop(), Some(made));
    authority.follows().await;
    assert!(authority.published().await.contains(&new));
}

#[actix_web::test]
async fn of_eight_schedules_at_once_one_rotates() {
    let authority = Authority::new().await;
    for round in 1..=4 {
        authority.clock.advance(30 * DAY);
        let before = authority.key(RS256, KeyState::Staged).await;
        let mut keepers = Vec::new();
        for _ in 0..8 {
            keepers.push(authority.keeper().await);
        }
        let outcomes = thread::scope(|scope| {
            let threads: Vec<_> = keepers
                .iter()
                .map(|keeper| {
                    scope.spawn(move || block_on(run_due(keeper)).map_err(|error| error.to_string()))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(authority.key(RS256, KeyState::Active).await, before);
        authority.key(RS256, KeyState::Staged).await;
        let count =
            async |what: &str| told(&authority).await.into_iter().filter(|(event, ..)| event == what).count();
        for event in ["key_demoted", "key_promoted", "key_generated"] {
            assert_eq!(count(event).await, round, "{event}");
        }
        authority.sign_in().await;
        // The key of the round before is gone by now, once.
        assert_eq!(count("key_retired").await, round - 1);
    }
}
