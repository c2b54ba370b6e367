use attesto_core::{RevocationKind, VERIFIER_MARGIN};

use crate::fixture::{
    Act, Authority, BLACKLISTED, DAY, DEFAULT_ACTOR, EMPTY, EXPIRED, INVALID, NOW, SECOND, USER_ID,
    VERIFIED_BLACKLISTED, WRONG_TYPE, claims,
};

#[actix_web::test]
async fn logging_out_ends_the_session_once() {
    let authority = Authority::new().await;
    let pair = authority.sign_in().await;
    let other = authority.sign_in().await;
    let answer = authority.blacklist(&pair.refresh).await;
    answer.is(200, EMPTY);
    authority.blacklist(&pair.refresh).await.is(401, BLACKLISTED);
    authority.refresh(&pair.refresh).await.is(401, BLACKLISTED);
    authority.verify(&pair.access).await.is(400, VERIFIED_BLACKLISTED);
    authority.refresh(&other.refresh).await.pair();

    let sid = claims(&pair.refresh)["sid"].as_str().unwrap().to_owned();
    let events = authority.audit().await;
    assert_eq!(authority.audited().await, ["signed_in", "signed_in", "session_revoked"]);
    let ended = &events[2];
    assert_eq!(ended.actor, DEFAULT_ACTOR);
    assert_eq!(ended.request_id.as_deref(), Some(answer.header("x-request-id")));
    assert_eq!(ended.user_id.as_deref(), Some(USER_ID));
    assert_eq!(ended.client_id.as_deref(), Some("simplejwt"));
    assert_eq!(ended.session_id.as_deref(), Some(sid.as_str()));
    assert_eq!(ended.reason.as_deref(), Some("logout"));

    let [record] = &authority.revocations().await[..] else { panic!("one record") };
    assert_eq!((record.kind, &record.id), (RevocationKind::Session as i32, &sid));
    assert_eq!(record.not_before, NOW.as_millis());
    assert_eq!(record.expires_at, (NOW + 600 * SECOND + VERIFIER_MARGIN).as_millis());
}

#[actix_web::test]
async fn a_stale_tab_can_log_out() {
    let authority = Authority::new().await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair().refresh;
    let third = authority.refresh(&second).await.pair().refresh;
    authority.clock.advance(DAY);
    authority.blacklist(&first).await.is(200, EMPTY);
    for token in [first, second, third] {
        authority.refresh(&token).await.is(401, BLACKLISTED);
        authority.blacklist(&token).await.is(401, BLACKLISTED);
    }
    assert_eq!(authority.audit().await.pop().unwrap().reason.as_deref(), Some("logout"));
}

#[actix_web::test]
async fn what_is_no_refresh_token_ends_nothing() {
    let (authority, stranger) = (Authority::new().await, Authority::stranger().await);
    let pair = authority.sign_in().await;
    authority.blacklist(&pair.access).await.is(401, WRONG_TYPE);
    authority.blacklist("junk").await.is(401, INVALID);
    authority.blacklist(&stranger.sign_in().await.refresh).await.is(401, INVALID);
    authority.clock.advance(600 * SECOND);
    authority.blacklist(&pair.access).await.is(401, EXPIRED);
    authority.refresh(&pair.refresh).await.pair();
    authority.clock.advance(7 * DAY);
    authority.blacklist(&pair.refresh).await.is(401, EXPIRED);
    assert!(authority.revocations().await.is_empty());
}

#[actix_web::test]
async fn a_token_of_a_session_that_is_not_known_any_more_is_accepted() {
    let authority = Authority::new().await;
    let refresh = authority.sign_in().await.refresh;
    let unknown = authority.forge(&refresh, |claims| drop(claims.insert("sid".into(), "x".into()))).await;
    for _ in 0..2 {
        authority.blacklist(&unknown).await.is(200, EMPTY);
    }
    assert!(authority.revocations().await.is_empty());
    authority.refresh(&refresh).await.pair();
}

#[actix_web::test]
async fn who_may_not_refresh_may_still_log_out() {
    for act in [Act::DisableUser, Act::DeleteUser, Act::ChangePassword, Act::DisableClient] {
        let authority = Authority::new().await;
        let refresh = authority.sign_in().await.refresh;
        authority.operator(&[act]).await;
        authority.blacklist(&refresh).await.is(200, EMPTY);
        authority.blacklist(&refresh).await.is(401, BLACKLISTED);
    }
}
