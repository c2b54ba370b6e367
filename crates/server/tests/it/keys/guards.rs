//! What is too early is refused, with the instant from which on it is not.

use std::time::Duration;

use attesto_core::{Haste, Instant, KeyRefusal, KeyState, KeyStep, ServerReport};

use crate::fixture::{Authority, MILLISECOND, NOW, PROMOTABLE_AFTER, RS256, SECOND};

const HOUR: Duration = Duration::from_secs(3600);

fn too_early(kid: &str, step: KeyStep, until: Instant) -> KeyRefusal {
    KeyRefusal::TooEarly { kid: kid.to_owned(), step, until }
}

#[actix_web::test]
async fn a_rotation_waits_until_every_verifier_can_have_seen_the_next_key() {
    let authority = Authority::new().await;
    let (old, new) =
        (authority.key(RS256, KeyState::Active).await, authority.key(RS256, KeyState::Staged).await);
    let until = NOW + PROMOTABLE_AFTER;
    for moment in [NOW, NOW + 600 * SECOND, until - MILLISECOND] {
        authority.clock.advance_to(moment);
        let refused = authority.rotate(RS256).await.unwrap_err();
        assert_eq!(refused, too_early(&new, KeyStep::Promote, until));
        assert_eq!(authority.key(RS256, KeyState::Active).await, old);
    }
    authority.clock.advance(MILLISECOND);
    authority.rotate(RS256).await.unwrap();
    assert_eq!(authority.key(RS256, KeyState::Active).await, new);
    let newest = authority.key(RS256, KeyState::Staged).await;
    let refused = authority.rotate(RS256).await.unwrap_err();
    assert_eq!(refused, too_early(&newest, KeyStep::Promote, until + PROMOTABLE_AFTER));
}

#[actix_web::test]
async fn a_withdrawal_waits_for_the_last_access_token_and_an_erasure_for_every_server() {
    let authority = Authority::new().await;
    authority.clock.advance(PROMOTABLE_AFTER);
    authority.sign_in().await;
    let signed_at = authority.clock.now();
    let (old, _) = authority.rotated(RS256).await;
    // Noted two lifetimes ahead; caches of verifiers, confirmation.
    let until = signed_at + (2 * 600 + 300 + 10) * SECOND;
    for moment in [authority.clock.now(), signed_at + 600 * SECOND, until - MILLISECOND] {
        authority.clock.advance_to(moment);
        assert_eq!(authority.retire(&old).await.unwrap_err(), too_early(&old, KeyStep::Retire, until));
        authority.run_due().await;
        assert_eq!(authority.row(&old).await.state, KeyState::Retiring);
    }
    authority.clock.advance(MILLISECOND);
    authority.retire(&old).await.unwrap();
    authority.follows().await;
    assert!(!authority.published().await.contains(&old));

    let until = until + 10 * SECOND;
    authority.clock.advance_to(until - MILLISECOND);
    assert_eq!(authority.destroy(&old).await.unwrap_err(), too_early(&old, KeyStep::Destroy, until));
    authority.clock.advance(MILLISECOND);
    authority.destroy(&old).await.unwrap();
}

#[actix_web::test]
async fn a_key_that_signed_nothing_may_go_when_it_is_out_of_every_cache() {
    let authority = Authority::new().await;
    let (old, _) = authority.rotated(RS256).await;
    let until = authority.clock.now() + (300 + 10) * SECOND;
    assert_eq!(authority.retire(&old).await.unwrap_err(), too_early(&old, KeyStep::Retire, until));
    authority.clock.advance_to(until);
    authority.retire(&old).await.unwrap();
}

/// The old key signs while the next one is made, and its tokens are counted from when it stopped.
#[actix_web::test]
async fn however_long_a_key_takes_to_make_the_old_one_is_demoted_when_it_is_there() {
    let authority = Authority::new().await;
    let old = authority.key(RS256, KeyState::Active).await;
    let clock = authority.clock.clone();
    authority.clock.advance(PROMOTABLE_AFTER);
    // Decided at the first look at the clock.
    authority.clock.interrupt(1, move |_| clock.advance(60 * SECOND));
    authority.rotate(RS256).await.unwrap();
    let (old, next) = (authority.row(&old).await, authority.key(RS256, KeyState::Staged).await);
    assert_eq!(old.demoted_at, Some(NOW + PROMOTABLE_AFTER + 60 * SECOND));
    assert_eq!(authority.row(&next).await.published_at, old.demoted_at);
}

/// Somebody sets the clock back an hour between any two steps.
#[actix_web::test]
async fn a_clock_that_is_set_back_makes_nothing_due() {
    let authority = Authority::new().await;
    let new = authority.key(RS256, KeyState::Staged).await;
    let promotable_at = NOW + PROMOTABLE_AFTER;
    authority.clock.advance_to(promotable_at);
    let nothing_happens_an_hour_ago = async || {
        let before = authority.read(|tx| tx.find_key_table()).await;
        authority.clock.set_back(HOUR);
        authority.run_due().await;
        assert_eq!(authority.read(|tx| tx.find_key_table()).await, before);
        authority.clock.advance(HOUR);
    };

    nothing_happens_an_hour_ago().await;
    authority.clock.set_back(HOUR);
    let refused = authority.rotate(RS256).await.unwrap_err();
    assert_eq!(refused, too_early(&new, KeyStep::Promote, promotable_at));
    let before_birth = authority.row(&new).await;
    assert!(authority.clock.now() < before_birth.created_at);
    authority.clock.advance(HOUR);

    authority.sign_in().await;
    let (old, new) = authority.rotated(RS256).await;
    let withdrawable_at = authority.clock.now() + (2 * 600 + 300 + 10) * SECOND;
    nothing_happens_an_hour_ago().await;
    authority.clock.advance_to(withdrawable_at);
    authority.clock.set_back(HOUR);
    let refused = authority.retire(&old).await.unwrap_err();
    assert_eq!(refused, too_early(&old, KeyStep::Retire, withdrawable_at));

    // What happens in the second hour of the same name counts from the first one.
    authority.clock.set_back(HOUR);
    let leaked_at = authority.clock.now();
    authority.compromise(&new).await;
    let (leaked, promoted) = (authority.row(&new).await, authority.key(RS256, KeyState::Active).await);
    assert_eq!(leaked.compromised_at, Some(leaked_at));
    let promoted = authority.row(&promoted).await;
    assert_eq!(promoted.active_at, promoted.published_at, "not before it was published");
}

/// The key was published now, whatever the clock said: nobody can know it earlier.
#[actix_web::test]
async fn a_key_that_is_staged_while_the_clock_is_back_waits_as_long_as_any_other() {
    let authority = Authority::new().await;
    let report = ServerReport {
        id: "a-server".to_owned(),
        version: "0.4.0".to_owned(),
        kek_ids: vec![],
        confirmed_kids: vec![],
        key_version: 1,
        seen_at: NOW,
        feed_seq: 7,
    };
    authority.store.write(move |tx| tx.put_server(&report)).await.unwrap();
    authority.clock.set_back(HOUR);
    let kid = authority.stage(RS256).await.rows[0].kid.clone();
    assert_eq!(authority.row(&kid).await.published_at, Some(NOW));
    authority.clock.advance(HOUR);
    let promote = authority
        .change_keys(|table, guards, now| table.promote(RS256, Some(&kid), Haste::Guarded, guards, now));
    assert_eq!(promote.await.unwrap_err(), too_early(&kid, KeyStep::Promote, NOW + PROMOTABLE_AFTER));
}
