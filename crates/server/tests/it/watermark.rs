//! An operator ends what there is while somebody signs in. Every order of the two is forced.

use std::time::Duration;

use attesto_core::{RevocationKind, ServerReport, VERIFIER_MARGIN};
use attesto_server::block_on;
use attesto_store::RecordedRevocation;
use futures_util::future::join_all;

use crate::fixture::{
    ADA, Act, Authority, BLACKLISTED, BUSY, DAY, Mode, NEW_PASSWORD, NO_ACCOUNT, NOW, PASSWORD, SECOND,
    Switch, USER_ID, VERIFIED_BLACKLISTED, claims,
};

/// A sign-in reads the clock when it reserves its attempt, when it looks for watermarks, and when it decides. After
/// the last one it writes.
const CLOCK_READS: usize = 3;

/// What ends all sessions, and lets new ones begin.
const ENDS: [Act; 3] = [Act::RevokeSessions, Act::RevokeClientSessions, Act::RevokeAllSessions];

/// What also withdraws that on which a sign-in rests.
const WITHDRAWALS: [Act; 4] = [Act::ChangePassword, Act::DisableUser, Act::DeleteUser, Act::DisableClient];

#[actix_web::test]
async fn a_sign_in_right_after_all_sessions_were_ended_works_and_nothing_older_does() {
    for acts in [
        &[Act::RevokeSessions][..],
        &[Act::RevokeClientSessions],
        &[Act::RevokeAllSessions],
        &[Act::DisableUser, Act::EnableUser],
        &[Act::DisableClient, Act::EnableClient],
    ] {
        let authority = Authority::new().await;
        authority.clock.run();
        let old = authority.sign_in().await;
        authority.operator(acts).await;
        let new = authority.sign_in().await;

        authority.refresh(&old.refresh).await.is(401, BLACKLISTED);
        authority.refresh(&new.refresh).await.pair();
        let not_before = authority.revocations().await[0].not_before;
        let issued_at = |token: &str| claims(token)["iat"].as_i64().unwrap() * 1000;
        assert!(issued_at(&old.access) <= not_before, "the feed refuses the old access token");
        assert!(issued_at(&new.access) > not_before, "and lets the new one pass");
    }
}

#[actix_web::test]
async fn an_end_of_many_sessions_is_one_record_of_the_feed() {
    let (user, client) = ((RevocationKind::Subject, USER_ID), (RevocationKind::Client, "simplejwt"));
    for (act, (kind, id)) in [
        (Act::RevokeSessions, user),
        (Act::RevokeClientSessions, client),
        (Act::RevokeAllSessions, (RevocationKind::All, "")),
        (Act::DisableUser, user),
        (Act::DeleteUser, user),
        (Act::ChangePassword, user),
        (Act::DisableClient, client),
    ] {
        let authority = Authority::new().await;
        for _ in 0..3 {
            authority.sign_in().await;
        }
        authority.operator(&[act]).await;
        let [record] = &authority.revocations().await[..] else { panic!("one record") };
        assert_eq!((record.kind, record.id.as_str()), (kind as i32, id), "{act:?}");
        assert_eq!(
            record.not_before,
            (NOW.seconds() + 1) * 1000,
            "whatever is signed in this second is over"
        );
        assert_eq!(record.expires_at, (NOW + 600 * SECOND + VERIFIER_MARGIN).as_millis());
    }
}

#[actix_web::test]
async fn an_end_of_all_sessions_during_a_sign_in_does_not_end_it() {
    let orders = ENDS.into_iter().flat_map(|act| (1..=CLOCK_READS).map(move |nth| (act, nth)));
    let rounds = orders.map(|(act, nth)| async move {
        let authority = Authority::new().await;
        authority.clock.run();
        authority.operator_interrupts(nth, act, Duration::ZERO);
        let pair = authority.sign_in().await;
        let not_before = authority.revocations().await[0].not_before;
        let issued_at = claims(&pair.access)["iat"].as_i64().unwrap() * 1000;
        assert!(issued_at > not_before, "the feed lets it pass: {act:?} at {nth}");
        assert!(authority.session_of(&pair.refresh).await.is_live, "{act:?} at {nth}");
        authority.refresh(&pair.refresh).await.pair();
        assert_eq!(authority.sessions().await.len(), 1);
    });
    join_all(rounds).await;
}

#[actix_web::test]
async fn nothing_begins_on_what_was_withdrawn_during_a_sign_in() {
    nothing_begins_on_what_was_withdrawn(Duration::ZERO).await;
}

#[actix_web::test]
async fn nothing_begins_on_what_was_withdrawn_by_an_operator_whose_clock_is_behind() {
    // No watermark covers the sign-in then: what it rests on has to be looked at again.
    nothing_begins_on_what_was_withdrawn(10 * SECOND).await;
}

async fn nothing_begins_on_what_was_withdrawn(behind: Duration) {
    let orders = WITHDRAWALS.into_iter().flat_map(|act| (1..=CLOCK_READS).map(move |nth| (act, nth)));
    let rounds = orders.map(|(act, nth)| async move {
        let authority = Authority::new().await;
        authority.operator_interrupts(nth, act, behind);
        authority.obtain(ADA, PASSWORD).await.is(401, NO_ACCOUNT);
        assert!(authority.sessions().await.is_empty(), "{act:?} at {nth}");
        assert_eq!(authority.audited().await, ["sign_in_refused"], "{act:?} at {nth}");

        authority.clock.advance(DAY);
        authority.operator(&[Act::EnableUser, Act::EnableClient]).await;
        let password = if act == Act::ChangePassword { NEW_PASSWORD } else { PASSWORD };
        let expected = if act == Act::DeleteUser { 401 } else { 200 };
        assert_eq!(authority.obtain(ADA, password).await.status, expected, "{act:?} at {nth}");
    });
    join_all(rounds).await;
}

#[actix_web::test]
async fn nothing_begins_on_what_was_withdrawn_while_its_tokens_were_signed() {
    for act in WITHDRAWALS {
        let (authority, switch) = switched("").await;
        interrupt(&authority, &switch, act);
        authority.obtain(ADA, PASSWORD).await.is(401, NO_ACCOUNT);
        assert!(authority.sessions().await.is_empty(), "{act:?}");
    }
}

/// An access token that is decided before an end and given out after it could be younger than the record says.
#[actix_web::test]
async fn no_refresh_gives_out_tokens_that_an_end_overtook() {
    for act in ENDS.into_iter().chain(WITHDRAWALS) {
        for (what, settings, is_retry) in
            [("rotation", "", false), ("repeat", "", true), ("keep", "simplejwt_rotates = false", false)]
        {
            let (authority, switch) = switched(settings).await;
            let pair = authority.sign_in().await;
            if is_retry {
                authority.refresh(&pair.refresh).await.pair();
            }
            let before = authority.living().await;
            interrupt(&authority, &switch, act);
            let answer = authority.refresh(&pair.refresh).await;
            assert_eq!(answer.status, 401, "{what}, {act:?}: {}", answer.body);
            assert_eq!(authority.living().await, [], "{what}, {act:?}");
            let after = authority.session_of(&pair.refresh).await.session;
            assert_eq!(before, [after], "{what}, {act:?}: nothing was written");
        }
    }
}

#[actix_web::test]
async fn a_watermark_far_ahead_refuses_sign_ins_until_it_has_passed_and_counts_none() {
    for act in ENDS {
        let authority = Authority::with("throttle_user_failures = 1").await;
        authority.clock.run();
        act.commit(&authority.store, authority.clock.now() + 10 * SECOND).await;
        for _ in 0..3 {
            authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
        }
        assert!(authority.sessions().await.is_empty(), "{act:?}");
        // The watermark lies at the next whole second.
        authority.clock.advance(12 * SECOND);
        let pair = authority.sign_in().await;
        authority.refresh(&pair.refresh).await.pair();
    }
}

/// For two days it would be in force nowhere, and then as good as any.
#[actix_web::test]
async fn what_was_issued_by_a_clock_that_was_days_ahead_can_be_ended_and_keeps_nobody_out() {
    let ahead = 2 * DAY;
    for act in ENDS.into_iter().chain(WITHDRAWALS) {
        let authority = Authority::new().await;
        let before = authority.sign_in().await;
        be_seen(&authority).await;
        authority.clock.advance(ahead);
        be_seen(&authority).await;
        let (renewed, begun) = (authority.refresh(&before.refresh).await.pair(), authority.sign_in().await);
        authority.clock.set_back(ahead);
        be_seen(&authority).await;

        let at = authority.clock.now();
        authority.operator(&[act]).await;
        authority.clock.advance(2 * SECOND);
        if ENDS.contains(&act) {
            let new = authority.sign_in().await;
            authority.refresh(&new.refresh).await.pair();
        }
        // Their time comes.
        authority.clock.advance(ahead);
        authority.operator(&[Act::EnableUser, Act::EnableClient]).await;
        let records = authority.revocations().await;
        for pair in [renewed, begun] {
            assert_ne!(authority.refresh(&pair.refresh).await.status, 200, "{act:?}");
            authority.verify(&pair.access).await.is(400, VERIFIED_BLACKLISTED);
            let claims = claims(&pair.access);
            let until = claims["exp"].as_i64().unwrap() * 1000;
            let is_told = |record: &&RecordedRevocation| record.id == claims["sid"].as_str().unwrap();
            let record = records.iter().find(is_told).expect("services hear of it");
            assert!(record.not_before == at.as_millis() && record.expires_at > until, "{act:?}");
        }
    }
}

/// A user can log out what was begun then.
#[actix_web::test]
async fn a_session_that_was_refreshed_by_a_clock_that_was_ahead_is_over_until_its_last_token_is() {
    let authority = Authority::with("simplejwt_rotates = false").await;
    let pair = authority.sign_in().await;
    authority.clock.advance(2 * DAY);
    let access = authority.refresh(&pair.refresh).await.json()["access"].as_str().unwrap().to_owned();
    authority.clock.set_back(2 * DAY);
    // Its use by a clock that is right does not hide the one that was ahead.
    assert_eq!(authority.refresh(&pair.refresh).await.status, 200);
    authority.blacklist(&pair.refresh).await.is(200, "{}");
    let [record] = &authority.revocations().await[..] else { panic!("one record") };
    assert!(record.expires_at > claims(&access)["exp"].as_i64().unwrap() * 1000);
}

/// What a server writes every two seconds.
async fn be_seen(authority: &Authority) {
    let report = ServerReport {
        id: "one".to_owned(),
        version: String::new(),
        kek_ids: Vec::new(),
        confirmed_kids: Vec::new(),
        key_version: 1,
        seen_at: authority.clock.now(),
        feed_seq: 0,
    };
    authority.write(move |tx| tx.put_server(&report)).await;
}

/// An authority whose signatures can be interrupted.
async fn switched(settings: &str) -> (Authority, Switch) {
    let switch = Switch::new(Mode::Healthy);
    (Authority::with_signers(settings, switch.layer()).await, switch)
}

/// Has the operator act while the next signature is made.
fn interrupt(authority: &Authority, switch: &Switch, act: Act) {
    let (store, now) = (authority.store.clone(), authority.clock.now());
    switch.interrupt(move || block_on(act.commit(&store, now)));
}

#[actix_web::test]
async fn sign_ins_that_wait_for_the_hasher_do_not_survive_a_change_of_the_password() {
    let authority = Authority::new().await;
    let first = authority.obtain(ADA, PASSWORD);
    let others = join_all((0..9).map(|_| authority.obtain(ADA, PASSWORD)));
    let change = async {
        let first = first.await;
        authority.operator(&[Act::ChangePassword]).await;
        first
    };
    let (first, others) = tokio::join!(change, others);
    let refused = others.iter().filter(|answer| answer.status == 401).count();
    assert!(refused > 0, "some were still waiting");
    authority.clock.advance(5 * SECOND);
    for answer in others.iter().chain([&first]) {
        match answer.status {
            200 => authority.refresh(&answer.pair().refresh).await.is(401, BLACKLISTED),
            _ => answer.is(401, NO_ACCOUNT),
        }
    }
    assert!(authority.sessions().await.iter().all(|listed| !listed.is_live));
}
