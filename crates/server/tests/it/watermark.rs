//! An operator ends what there is while somebody signs in. Every order of the two is forced.

use std::time::Duration;

use attesto_core::{RevocationKind, VERIFIER_MARGIN};
use futures_util::future::join_all;

use crate::fixture::{
    ADA, Act, Authority, BLACKLISTED, DAY, NEW_PASSWORD, NO_ACCOUNT, NOW, PASSWORD, SECOND, USER_ID, claims,
};

/// A sign-in reads the clock when it reserves its attempt, when it looks for watermarks, and when it decides. After
/// the last one it writes.
const CLOCK_READS: usize = 3;

#[actix_web::test]
async fn a_sign_in_right_after_all_sessions_were_ended_works_and_nothing_older_does() {
    for acts in [
        &[Act::RevokeSessions][..],
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
    let rounds = (1..=CLOCK_READS).map(|nth| async move {
        let authority = Authority::new().await;
        authority.clock.run();
        authority.operator_interrupts(nth, Act::RevokeSessions, Duration::ZERO);
        let pair = authority.sign_in().await;
        let user = authority.read(|tx| tx.find_user_by_name(ADA)).await.unwrap();
        let session = authority.session_of(&pair.refresh).await;
        assert!(!user.watermark.covers(session.session.created_at), "{nth}");
        assert!(session.is_live);
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
    let acts = [Act::ChangePassword, Act::DisableUser, Act::DeleteUser, Act::DisableClient];
    let orders = acts.into_iter().flat_map(|act| (1..=CLOCK_READS).map(move |nth| (act, nth)));
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
