use std::time::Duration;

use crate::fixture::{
    Act, Authority, BLACKLISTED, EMPTY, EXPIRED, INVALID, NOW, SECOND, VERIFIED_BLACKLISTED, claims,
};

const ACCESS_LIFETIME: Duration = Duration::from_secs(600);

#[actix_web::test]
async fn a_good_token_of_either_kind_is_an_empty_object() {
    let authority = Authority::new().await;
    let pair = authority.sign_in().await;
    authority.verify(&pair.access).await.is(200, EMPTY);
    authority.verify(&pair.refresh).await.is(200, EMPTY);
}

#[actix_web::test]
async fn junk_and_tokens_of_others_are_invalid() {
    let (authority, stranger) = (Authority::new().await, Authority::stranger().await);
    let (ours, theirs) = (authority.sign_in().await, stranger.sign_in().await);
    for token in [
        "junk",
        "a.b.c",
        theirs.access.as_str(),
        theirs.refresh.as_str(),
        &format!("{}A", ours.access),
        &authority.sign("JWT", &claims(&theirs.access)).await,
    ] {
        authority.verify(token).await.is(401, INVALID);
    }
}

#[actix_web::test]
async fn expiry_is_exclusive() {
    let authority = Authority::new().await;
    let access = authority.sign_in().await.access;
    authority.clock.advance_to(NOW + ACCESS_LIFETIME - SECOND);
    authority.verify(&access).await.is(200, EMPTY);
    authority.clock.advance(SECOND);
    authority.verify(&access).await.is(401, EXPIRED);
}

#[actix_web::test]
async fn a_token_whose_session_has_ended_is_blacklisted() {
    for acts in [
        &[Act::DisableUser][..],
        &[Act::DisableUser, Act::EnableUser],
        &[Act::DeleteUser],
        &[Act::ChangePassword],
        &[Act::RevokeSessions],
        &[Act::DisableClient],
        &[Act::DisableClient, Act::EnableClient],
    ] {
        let authority = Authority::new().await;
        let pair = authority.sign_in().await;
        authority.operator(acts).await;
        for token in [&pair.access, &pair.refresh] {
            authority.verify(token).await.is(400, VERIFIED_BLACKLISTED);
        }
    }
}

#[actix_web::test]
async fn after_logout_both_tokens_are_blacklisted() {
    let authority = Authority::new().await;
    let pair = authority.sign_in().await;
    authority.blacklist(&pair.refresh).await.is(200, EMPTY);
    authority.verify(&pair.access).await.is(400, VERIFIED_BLACKLISTED);
    authority.verify(&pair.refresh).await.is(400, VERIFIED_BLACKLISTED);
    authority.refresh(&pair.refresh).await.is(401, BLACKLISTED);
}

#[actix_web::test]
async fn asking_about_an_old_generation_changes_nothing() {
    let authority = Authority::new().await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair().refresh;
    authority.verify(&first).await.is(200, EMPTY);
    authority.clock.advance(30 * SECOND);
    let before = authority.audit().await;
    authority.verify(&first).await.is(400, VERIFIED_BLACKLISTED);
    authority.verify(&second).await.is(200, EMPTY);
    assert_eq!(authority.audit().await, before);
    assert!(authority.revocations().await.is_empty());
    authority.refresh(&second).await.pair();
}

#[actix_web::test]
async fn a_token_that_its_session_does_not_know_is_blacklisted() {
    let authority = Authority::new().await;
    let refresh = authority.sign_in().await.refresh;
    let unknown = authority.forge(&refresh, |claims| drop(claims.insert("sid".into(), "x".into()))).await;
    let other = authority.forge(&refresh, |claims| drop(claims.insert("jti".into(), "x".into()))).await;
    for token in [unknown, other] {
        authority.verify(&token).await.is(400, VERIFIED_BLACKLISTED);
    }
    authority.verify(&refresh).await.is(200, EMPTY);
}
