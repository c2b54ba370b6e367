//! A leaked key, withdrawn by one command while everybody refreshes.

use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use attesto_keyring::{Keyring, random_id, sign_jws};
use attesto_server::block_on;
use attesto_token::typ;
use serde_json::Value;

use crate::authority::{Authority, CONFIGURATION};
use crate::http::Pair;
use crate::keeper::{Keeper, RS256, active};
use crate::load::{Load, Refreshed, kid};
use crate::server::Server;
use crate::token::claims;

const CLIENTS: usize = 8;

/// Three leaks in a row, the last ones of keys that have hardly been published.
#[test]
fn a_leaked_key_is_gone_at_once_and_nobody_has_to_sign_in_again() {
    let authority =
        Authority::configured(&format!("{CONFIGURATION}grace_interval = \"0s\"\nlog = \"warn\"\n"));
    authority.set_up();
    let server = authority.start();
    let keeper = Keeper::of(&authority);
    let load = Load::sign_in(&server, CLIENTS, Duration::from_millis(5));
    for _ in 0..3 {
        let idle = server.sign_in();
        let (keyring, _) = keeper.read();
        let leaked = active(keyring.table(), RS256).kid.clone();
        assert_eq!((kid(&idle.access), kid(&idle.refresh)), (leaked.clone(), leaked.clone()));

        withdraw_under_load(&authority, &server, &load, &leaked);
        load.assert_alive(&server);
        proves_nothing(&server, &keyring, &idle);
        counts_once(&server, &idle, &leaked);

        let table = keeper.table();
        assert_ne!(active(&table, RS256).kid, leaked);
        assert_eq!(table.find(&leaked).unwrap().state.as_str(), "compromised");
        assert_eq!(keeper.times_revoked(&leaked), 1);
    }
    server.stop();
}

/// Nothing that was asked for after the command returned is signed with the key, nor does the JWK Set have it.
fn withdraw_under_load(authority: &Authority, server: &Server, load: &Load, leaked: &str) {
    let answers = Mutex::new(Vec::new());
    let watch = |refreshed: &Refreshed| {
        let answer = refreshed.answer.as_ref().unwrap();
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        if answer.status == 200 {
            let Pair { access, refresh } = answer.pair();
            answers.lock().unwrap().push((refreshed.asked_at, kid(&access), kid(&refresh)));
        }
    };
    let returned_at = load.during(server.address, watch, || {
        sleep(Duration::from_millis(500));
        authority.run(&["keys", "compromise", leaked, "--reason", "test"]).done();
        let returned_at = Instant::now();
        let set = server.get("/.well-known/jwks.json").json();
        let published = set["keys"].as_array().unwrap();
        assert!(!published.is_empty() && published.iter().all(|key| key["kid"] != leaked), "{set}");
        sleep(Duration::from_secs(1));
        returned_at
    });
    let answers = answers.into_inner().unwrap();
    let (after, before): (Vec<_>, Vec<_>) =
        answers.iter().partition(|(asked_at, ..)| *asked_at >= returned_at);
    assert!(before.iter().any(|(_, access, refresh)| access == leaked && refresh == leaked));
    assert!(after.len() >= CLIENTS, "{} answers", after.len());
    let signed = after.iter().filter(|(_, access, refresh)| access == leaked || refresh == leaked).count();
    assert_eq!(signed, 0, "of {} answers after the command had returned", after.len());
}

/// Whoever has the leaked key can neither renew somebody's session nor end it.
fn proves_nothing(server: &Server, keyring: &Keyring, idle: &Pair) {
    let forged = |change: fn(&mut Value)| {
        let mut claims = claims(&idle.refresh);
        claims["jti"] = random_id().into();
        change(&mut claims);
        block_on(sign_jws(keyring.active(RS256).unwrap().as_ref(), typ::REFRESH, &claims)).unwrap()
    };
    for forged in
        [forged(|_| {}), forged(|claims| claims["gen"] = 0.into()), forged(|claims| claims["gen"] = 2.into())]
    {
        assert_eq!(server.refresh(&forged).status, 401);
        assert_eq!(server.blacklist(&forged).status, 401);
        assert_eq!(server.verify(&forged).status, 400);
    }
    assert_eq!(server.verify(&idle.access).status, 401, "an access token has no secret that could count");
}

/// A refresh token that the key signed while nobody knew is worth one more refresh.
fn counts_once(server: &Server, idle: &Pair, leaked: &str) {
    assert_eq!(server.verify(&idle.refresh).status, 200);
    let renewed = server.refresh(&idle.refresh).pair();
    assert_ne!(kid(&renewed.access), leaked);
    assert_ne!(kid(&renewed.refresh), leaked);
    server.refresh(&renewed.refresh).pair();
    assert_eq!(server.refresh(&idle.refresh).status, 401);
}
