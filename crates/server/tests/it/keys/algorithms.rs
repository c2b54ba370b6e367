//! RS256 and ES256, chosen by configuration and per client.

use attesto_core::{KeyState, Line};
use attesto_server::{Environment, StartError, open};
use attesto_token::{Algorithm, JwkSet, typ};
use attesto_verifier::{TokenType, Verifier};

use crate::fixture::{
    ADA, Authority, BUSY, Claims, EMPTY, ES256, Folder, ISSUER, PASSWORD, PROMOTABLE_AFTER, Pair, RS256,
    SECOND, algorithm_of, claims, kid_of, signature_of,
};

const BOTH: &str = "access_token_algorithm = \"ES256\"\nrefresh_token_algorithm = \"ES256\"\n";

/// An authority that was set up with RS256, and has ES256 keys since.
async fn with_both_lines() -> Authority {
    let authority = Authority::new().await;
    authority.stage(ES256).await;
    authority.clock.advance(PROMOTABLE_AFTER);
    authority.rotate(ES256).await.unwrap();
    authority.follows().await;
    authority
}

fn algorithms(pair: &Pair) -> (String, String) {
    (algorithm_of(&pair.access), algorithm_of(&pair.refresh))
}

fn are(access: &str, refresh: &str) -> (String, String) {
    (access.to_owned(), refresh.to_owned())
}

/// Whether a service that accepts one algorithm alone takes a token of this type.
async fn takes(authority: &Authority, algorithm: Algorithm, typ: &'static str, token: &str) -> bool {
    let jwks = JwkSet::parse(authority.jwks().await.body.as_bytes()).unwrap();
    let verifier = Verifier::builder(ISSUER)
        .any_audience()
        .algorithms(&[algorithm])
        .token_type(TokenType::Exactly(typ))
        .clock(authority.clock.for_server())
        .build_offline(&jwks)
        .unwrap();
    verifier.verify::<Claims>(token).is_ok()
}

#[actix_web::test]
async fn either_kind_of_token_has_the_algorithm_that_is_configured() {
    let mut authority = with_both_lines().await;
    for (settings, access, refresh) in [
        ("", "RS256", "RS256"),
        ("access_token_algorithm = \"ES256\"\n", "ES256", "RS256"),
        ("refresh_token_algorithm = \"ES256\"\n", "RS256", "ES256"),
        (BOTH, "ES256", "ES256"),
    ] {
        authority = authority.restarted_with(settings).await;
        let first = authority.sign_in().await;
        let second = authority.refresh(&first.refresh).await.pair();
        for pair in [&first, &second] {
            assert_eq!(algorithms(pair), are(access, refresh), "{settings}");
            for (token, name, typ) in
                [(&pair.access, access, typ::ACCESS), (&pair.refresh, refresh, typ::REFRESH)]
            {
                let line = Line::of_tokens(name.parse().unwrap());
                assert_eq!(kid_of(token), authority.key(line, KeyState::Active).await);
                assert_eq!(takes(&authority, Algorithm::Rs256, typ, token).await, name == "RS256");
                assert_eq!(takes(&authority, Algorithm::Es256, typ, token).await, name == "ES256");
                authority.verify(token).await.is(200, EMPTY);
            }
        }
        assert_eq!(authority.refresh(&first.refresh).await.pair().refresh, second.refresh);
        authority.refresh(&second.refresh).await.pair();
    }
}

#[actix_web::test]
async fn the_set_has_the_keys_of_both_lines_each_with_its_members() {
    let authority = with_both_lines().await;
    let set = authority.jwks().await.json();
    let keys = set["keys"].as_array().unwrap();
    let of_type = |kty: &str| keys.iter().filter(|key| key["kty"] == kty).collect::<Vec<_>>();
    assert_eq!((keys.len(), of_type("RSA").len(), of_type("EC").len()), (4, 2, 2));
    for key in of_type("EC") {
        let members: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!((&key["alg"], &key["crv"]), (&"ES256".into(), &"P-256".into()));
    }
}

#[actix_web::test]
async fn a_client_may_have_its_own() {
    let mut authority = with_both_lines().await;
    for (settings, access, refresh, expected) in [
        ("", "'ES256'", "NULL", are("ES256", "RS256")),
        ("", "NULL", "'ES256'", are("RS256", "ES256")),
        ("", "'ES256'", "'ES256'", are("ES256", "ES256")),
        (BOTH, "'RS256'", "'RS256'", are("RS256", "RS256")),
        (BOTH, "NULL", "NULL", are("ES256", "ES256")),
    ] {
        authority.folder.sql(&format!(
            "UPDATE clients SET access_token_algorithm = {access}, refresh_token_algorithm = {refresh}"
        ));
        authority = authority.restarted_with(settings).await;
        let pair = authority.sign_in().await;
        assert_eq!(algorithms(&pair), expected, "{settings} {access} {refresh}");
        let next = authority.refresh(&pair.refresh).await.pair();
        assert_eq!(algorithms(&next), expected, "{settings} {access} {refresh}");
    }
}

#[actix_web::test]
async fn a_client_whose_algorithm_nothing_signs_with_is_told_to_come_back() {
    let authority = Authority::new().await;
    let refresh = authority.sign_in().await.refresh;
    for column in ["access_token_algorithm", "refresh_token_algorithm"] {
        authority.folder.sql(&format!("UPDATE clients SET {column} = 'ES256'"));
        authority.obtain(ADA, PASSWORD).await.is(503, BUSY);
        authority.refresh(&refresh).await.is(503, BUSY);
        authority.folder.sql(&format!("UPDATE clients SET {column} = NULL"));
    }
    authority.refresh(&refresh).await.pair();
}

#[actix_web::test]
async fn an_algorithm_that_no_active_key_has_refuses_the_start() {
    let authority = Authority::new().await;
    authority.stage(ES256).await;
    // A staged key does not sign.
    let mut folder = authority.into_folder().await;
    for setting in ["access_token_algorithm", "refresh_token_algorithm"] {
        folder.configure(&format!("{setting} = \"ES256\"\n"));
        let before = folder.files();
        let error = refusal(&folder).await;
        assert_eq!(
            error.to_string(),
            format!(
                "{setting}: is ES256, and no ES256 key signs; run `attesto keys stage --algorithm ES256`, then \
                 `attesto keys rotate --algorithm ES256` when it allows, and set it afterwards"
            )
        );
        assert!(error.is_configuration());
        assert_eq!(folder.files(), before);
    }
}

async fn refusal(folder: &Folder) -> StartError {
    open(&folder.settings, Environment::system()).await.err().expect("the start is refused")
}

#[actix_web::test]
async fn whoever_does_what_the_refusal_says_can_start() {
    let authority = Authority::new().await;
    let before = authority.sign_in().await;
    authority.stage(ES256).await;
    authority.follows().await;
    authority.clock.advance(PROMOTABLE_AFTER);
    authority.rotate(ES256).await.unwrap();
    let authority = authority.restarted_with(BOTH).await;
    assert_eq!(algorithms(&authority.sign_in().await), are("ES256", "ES256"));
    let renewed = authority.refresh(&before.refresh).await.pair();
    assert_eq!(algorithms(&renewed), are("ES256", "ES256"));
}

#[actix_web::test]
async fn a_first_start_makes_the_keys_that_are_configured() {
    let folder = Folder::set_up_with(BOTH);
    let authority = Authority::open(folder).await;
    assert_eq!(algorithms(&authority.sign_in().await), are("ES256", "ES256"));
    let set = authority.jwks().await.json();
    let keys = set["keys"].as_array().unwrap();
    assert!(keys.len() == 2 && keys.iter().all(|key| key["alg"] == "ES256"), "{keys:?}");
}

/// Signing again would give other bytes: what was given out is kept for whoever has the predecessor.
#[actix_web::test]
async fn a_successor_under_es256_is_repeated_byte_for_byte_whatever_became_of_its_key() {
    // So short that a key can go its whole way within the grace.
    let settings = "allow_short_intervals = true\naccess_token_lifetime = \"1s\"\ngrace_interval = \"2m\"\n\
                    verifier_cache_interval = \"0s\"\nkey_confirmation_interval = \"1s\"\n";
    let authority = with_both_lines().await.restarted_with(&format!("{BOTH}{settings}")).await;
    authority.clock.advance(PROMOTABLE_AFTER);
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair();
    let begun = authority.clock.now();
    let is_repeated = async || {
        let again = authority.refresh(&first).await.pair();
        assert_eq!(again.refresh, second.refresh);
        assert_ne!(again.access, second.access);
        again
    };
    is_repeated().await;

    let (old, new) = authority.rotated(ES256).await;
    assert_eq!(kid_of(&second.refresh), old);
    assert_eq!(kid_of(&is_repeated().await.access), new);
    authority.clock.advance(5 * SECOND);
    authority.retire(&old).await.unwrap();
    authority.follows().await;
    is_repeated().await;
    authority.clock.advance(SECOND);
    authority.destroy(&old).await.unwrap();
    let authority = authority.restarted().await;
    assert!(authority.clock.now() < begun + 120 * SECOND, "within the grace");
    let again = authority.refresh(&first).await.pair();
    assert_eq!(again.refresh, second.refresh);
    authority.refresh(&again.refresh).await.pair();
}

#[actix_web::test]
async fn a_leaked_es256_key_vouches_for_no_successor() {
    let authority = with_both_lines().await.restarted_with(BOTH).await;
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair().refresh;
    let (leaked, next) =
        (authority.key(ES256, KeyState::Active).await, authority.key(ES256, KeyState::Staged).await);
    authority.compromise(&leaked).await;
    authority.follows().await;
    let again = authority.refresh(&first).await.pair().refresh;
    assert_eq!((kid_of(&second), kid_of(&again)), (leaked, next));
    assert_eq!(claims(&again), claims(&second));
    assert_ne!(signature_of(&again), signature_of(&second));
    authority.refresh(&again).await.pair();
    let rs256 = authority.key(RS256, KeyState::Active).await;
    assert!(authority.published().await.contains(&rs256), "the other line is untouched");
}

/// An RS256 key that is erased cannot sign again; the successor is the same to the session.
#[actix_web::test]
async fn a_successor_whose_rs256_key_is_retired_is_signed_anew() {
    let settings = "allow_short_intervals = true\naccess_token_lifetime = \"1s\"\ngrace_interval = \"2m\"\n\
                    verifier_cache_interval = \"0s\"\nkey_confirmation_interval = \"1s\"\n";
    let authority = Authority::with(settings).await;
    authority.clock.advance(PROMOTABLE_AFTER);
    let first = authority.sign_in().await.refresh;
    let second = authority.refresh(&first).await.pair().refresh;
    let (old, new) = authority.rotated(RS256).await;
    assert_eq!(authority.refresh(&first).await.pair().refresh, second);
    authority.clock.advance(5 * SECOND);
    authority.retire(&old).await.unwrap();
    authority.follows().await;
    let again = authority.refresh(&first).await.pair().refresh;
    assert_eq!((kid_of(&second), kid_of(&again)), (old, new));
    assert_eq!(claims(&again), claims(&second));
    authority.refresh(&again).await.pair();
}
