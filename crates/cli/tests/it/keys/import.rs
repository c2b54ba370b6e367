use std::fs;

use attesto_server::Clock;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{
    audited, kid_in, kid_of, kids, list, members, once_allowed, pem, quick, rsa, rsa_pem, start, state_of,
    text,
};
use crate::authority::{Authority, CONFIGURATION};
use crate::process::until;

#[test]
fn a_key_from_elsewhere_signs_one_day() {
    let authority = quick(Authority::dev()).with("SUDO_USER", "grace");
    let server = start(&authority);
    let file = authority.data().join("old.pem");
    fs::write(&file, rsa_pem()).unwrap();
    let file = file.to_str().unwrap();

    let done = authority.json(&["keys", "import", file, "--staged", "--reason", "from Django"]);
    assert_eq!(
        members(&done),
        ["bits", "done", "keys", "kid", "promotable_at", "servers", "withdrawable_at"]
    );
    assert_eq!((&done["bits"], &done["withdrawable_at"]), (&json!(2048), &Value::Null));
    assert_eq!(done["servers"][0]["has_it"], true);
    let kid = text(&done["kid"]);
    assert_eq!(state_of(&authority, &kid), "staged");
    let imported = ("key_imported".to_owned(), "operator:grace".to_owned(), Some(kid.clone()));
    assert_eq!(audited(&authority, "from Django"), [imported]);

    once_allowed(&authority, &["keys", "rotate", "--kid", &kid]);
    assert_eq!(kid_in(&server.sign_in().access), kid);

    let line = authority.run(&["keys", "import", file, "--staged"]).refused(1);
    assert!(
        line.contains(&kid)
            && line
                .ends_with("is here already; `attesto keys list` shows where it stands; nothing was changed"),
        "{line}"
    );
}

/// PKCS#1, from standard input: the file need never touch this machine.
#[test]
fn a_key_for_what_it_signed_elsewhere_leaves_by_itself() {
    let authority = quick(Authority::dev());
    let server = start(&authority);
    // The header of PKCS#8 is of one length for all RSA keys of 2048 bits.
    let pem = pem("RSA PRIVATE KEY", &rsa()[26..]);
    let ends_at = in_seconds(2);
    let said =
        authority.run_with(&["keys", "import", "-", "--verify-only", "--until", &ends_at], &pem).done();
    assert!(
        said.contains(" is retiring. It stays in the JWK Set until ") && said.contains("not kept"),
        "{said}"
    );
    let row = list(&authority).pop().unwrap();
    let kid = text(&row["kid"]);
    assert_eq!((&row["state"], &row["active_at"]), (&json!("retiring"), &Value::Null));
    assert_eq!(
        DateTime::parse_from_rfc3339(&text(&row["latest_exp"])),
        DateTime::parse_from_rfc3339(&ends_at)
    );
    let published = || kids(&server.get("/.well-known/jwks.json").json()["keys"]);
    assert!(published().contains(&kid));
    until("the schedule withdraws it", || (!published().contains(&kid)).then_some(()));
    until("the schedule erases it", || (state_of(&authority, &kid) == "destroyed").then_some(()));
}

#[test]
fn what_is_no_good_is_named_with_its_file() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    authority.settle();
    let folder = authority.data();
    let good = rsa_pem();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let ec = ec.to_pkcs8v1().unwrap();
    let contents = [
        ("empty.pem", String::new(), "no private key in PEM"),
        ("cut.pem", good[..good.len() / 2].to_owned(), "damaged or cut off"),
        ("public.pem", good.replace("PRIVATE", "PUBLIC"), "this is a public key"),
        ("encrypted.pem", good.replace("PRIVATE", "ENCRYPTED PRIVATE"), "the private key is encrypted"),
        ("ec.pem", pem("PRIVATE KEY", ec.as_ref()), "is for another algorithm"),
        ("two.pem", good.repeat(2), "more than one private key"),
        ("large.pem", " ".repeat(64 * 1024) + &good, "more than 64 KiB"),
    ];
    for (name, content, _) in &contents {
        fs::write(folder.join(name), content).unwrap();
    }
    fs::create_dir(folder.join("folder.pem")).unwrap();
    let named = contents.iter().map(|(name, _, expected)| (*name, *expected));
    let before = list(&authority);
    for (name, expected) in named.chain([("absent.pem", "No such file"), ("folder.pem", "Is a directory")]) {
        let path = folder.join(name);
        let line = authority.run(&["keys", "import", path.to_str().unwrap(), "--staged"]).refused(1);
        assert!(line.starts_with(&format!("{}: ", path.display())) && line.contains(expected), "{line}");
        assert!(line.ends_with("; nothing was changed"), "{line}");
    }
    let line = authority.run_with(&["keys", "import", "-", "--staged"], "nonsense").refused(1);
    assert!(line.starts_with("standard input: no private key in PEM"), "{line}");
    assert_eq!(list(&authority), before);
}

#[test]
fn the_end_of_its_tokens_has_to_be_said_and_has_to_be_likely() {
    let authority = Authority::configured(CONFIGURATION);
    authority.set_up();
    let file = authority.data().join("old.pem");
    fs::write(&file, rsa_pem()).unwrap();
    let import =
        |options: &[&str]| authority.run(&[&["keys", "import", file.to_str().unwrap()], options].concat());
    let staged = kid_of(&authority, "staged");
    for (ends_at, expected) in [
        (in_seconds(-1), "has passed: all its tokens have expired"),
        (in_seconds(400 * 24 * 60 * 60 + 60), "is more than 400 days ahead"),
    ] {
        let line = import(&["--verify-only", "--until", &ends_at]).refused(1);
        assert!(line.starts_with("--until ") && line.contains(expected), "{line}");
    }
    for wrong in [
        &[][..],
        &["--staged", "--verify-only"],
        &["--verify-only"],
        &["--until", "2099-01-01T00:00:00Z"],
        &["--staged", "--until", "2099-01-01T00:00:00Z"],
        &["--verify-only", "--until", "tomorrow"],
        &["--verify-only", "--until", "2099-01-01"],
    ] {
        assert_eq!(import(wrong).any().0, Some(2), "{wrong:?}");
    }
    assert_eq!((list(&authority).len(), kid_of(&authority, "staged")), (2, staged));
    import(&["--verify-only", "--until", &in_seconds(399 * 24 * 60 * 60)]).done();
}

fn in_seconds(seconds: i64) -> String {
    let now = DateTime::<Utc>::from_timestamp_millis(Clock::system().now().as_millis()).unwrap();
    (now + Duration::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)
}
