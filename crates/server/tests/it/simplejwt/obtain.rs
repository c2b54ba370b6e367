use attesto_core::RevocationKind;

use crate::fixture::{
    ADA, Act, Authority, DAY, DEFAULT_ACTOR, NEW_PASSWORD, NO_ACCOUNT, NOW, PASSWORD, USER_ID, claims,
};

#[actix_web::test]
async fn the_right_password_gives_exactly_a_refresh_and_an_access_token() {
    let authority = Authority::new().await;
    let answer = authority.obtain(ADA, PASSWORD).await;
    let pair = answer.pair();
    answer.is(200, &format!(r#"{{"refresh":"{}","access":"{}"}}"#, pair.refresh, pair.access));
}

#[actix_web::test]
async fn whatever_is_wrong_about_the_credentials_is_one_answer() {
    let authority = Authority::new().await;
    let wrong = authority.obtain(ADA, "wrong").await;
    wrong.is(401, NO_ACCOUNT);
    let mut others = vec![
        authority.obtain("nobody", PASSWORD).await,
        authority.obtain("Ada", PASSWORD).await,
        authority.obtain(ADA, &PASSWORD.to_uppercase()).await,
        authority.obtain(ADA, &format!("{PASSWORD}x")).await,
        authority.obtain(ADA, &"x".repeat(60_000)).await,
        authority.obtain(&"x".repeat(60_000), PASSWORD).await,
    ];
    authority.operator(&[Act::DisableUser]).await;
    others.push(authority.obtain(ADA, PASSWORD).await);
    others.push(authority.obtain(ADA, "wrong").await);
    for other in others {
        assert_eq!(other.without_request_id(), wrong.without_request_id());
    }
}

#[actix_web::test]
async fn a_disabled_client_answers_as_if_no_password_were_right() {
    let authority = Authority::new().await;
    let wrong = authority.obtain(ADA, "wrong").await;
    authority.operator(&[Act::DisableClient]).await;
    authority.clock.advance(DAY);
    let right = authority.obtain(ADA, PASSWORD).await;
    assert_eq!(right.without_request_id(), wrong.without_request_id());
    assert!(authority.sessions().await.is_empty());
}

#[actix_web::test]
async fn who_is_enabled_again_signs_in_again() {
    let authority = Authority::new().await;
    for (act, undo) in [(Act::DisableUser, Act::EnableUser), (Act::DisableClient, Act::EnableClient)] {
        authority.operator(&[act]).await;
        authority.clock.advance(DAY);
        authority.obtain(ADA, PASSWORD).await.is(401, NO_ACCOUNT);
        authority.operator(&[undo]).await;
        authority.sign_in().await;
    }
}

#[actix_web::test]
async fn only_the_present_password_counts() {
    let authority = Authority::new().await;
    authority.operator(&[Act::ChangePassword]).await;
    authority.clock.advance(DAY);
    authority.obtain(ADA, PASSWORD).await.is(401, NO_ACCOUNT);
    authority.obtain(ADA, NEW_PASSWORD).await.pair();
    authority.operator(&[Act::DeleteUser]).await;
    authority.obtain(ADA, NEW_PASSWORD).await.is(401, NO_ACCOUNT);
}

#[actix_web::test]
async fn every_sign_in_and_every_refusal_leaves_an_audit_row() {
    let authority = Authority::new().await;
    let good = authority.obtain(ADA, PASSWORD).await;
    let wrong = authority.obtain(ADA, "wrong").await;
    let unknown = authority.obtain("nobody", "wrong").await;
    authority.operator(&[Act::DisableClient]).await;
    authority.clock.advance(DAY);
    let closed = authority.obtain(ADA, PASSWORD).await;

    let sid = claims(&good.pair().access)["sid"].as_str().unwrap().to_owned();
    let events = authority.audit().await;
    assert_eq!(events.len(), 4);
    for (recorded, (answer, event, user, session)) in events.iter().zip([
        (&good, "signed_in", Some(USER_ID), Some(&sid)),
        (&wrong, "sign_in_refused", Some(USER_ID), None),
        (&unknown, "sign_in_refused", None, None),
        (&closed, "sign_in_refused", Some(USER_ID), None),
    ]) {
        assert_eq!(recorded.event, event);
        assert_eq!(recorded.actor, DEFAULT_ACTOR);
        assert_eq!(recorded.request_id.as_deref(), Some(answer.header("x-request-id")));
        assert_eq!(recorded.user_id.as_deref(), user);
        assert_eq!(recorded.client_id.as_deref(), Some("simplejwt"));
        assert_eq!(recorded.session_id.as_ref(), session);
    }
    assert_eq!(events[0].at, NOW.as_millis());
    let revocations = authority.revocations().await;
    assert_eq!(revocations.len(), 1, "a sign-in ends nothing");
    assert_eq!(revocations[0].kind, RevocationKind::Client as i32);
}
