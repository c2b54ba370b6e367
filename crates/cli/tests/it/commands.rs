//! The operator's commands, each of them while the server runs, and what they change for those who are signed in.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::authority::Authority;
use crate::process::{attesto, run};
use crate::server::Credentials;
use crate::token::claims;

const PASSWORD: &str = "correct horse battery";

#[test]
fn a_user_that_is_disabled_is_out_and_enabling_revives_nothing() {
    let authority = Authority::dev();
    let server = authority.start();
    let ada = add(&authority, "ada");
    let before = server.try_sign_in(&ada).pair();

    authority.run(&["users", "disable", "ada"]).done();
    assert_eq!(server.refresh(&before.refresh).refused(401), "No active account found for the given token.");
    assert_eq!(server.try_sign_in(&ada).refused(401), "No active account found with the given credentials");
    assert_eq!(server.verify(&before.access).status, 400);
    let again = authority.run(&["users", "disable", "ada"]).done();
    assert!(again.contains("was disabled already; nothing was changed"), "{again}");
    assert_eq!(user(&authority, "ada")["state"], "disabled");

    authority.run(&["users", "enable", "ada"]).done();
    assert_eq!(server.refresh(&before.refresh).refused(401), "Token is blacklisted");
    let after = server.try_sign_in(&ada).pair();
    server.refresh(&after.refresh).pair();
    let again = authority.run(&["users", "enable", "ada"]).done();
    assert!(again.contains("was not disabled; nothing was changed"), "{again}");
    assert_eq!(user(&authority, "ada")["state"], "enabled");

    let id = &user(&authority, "ada")["id"];
    let happened = events(&authority, "user_id", id);
    let expected =
        ["user_added", "signed_in", "user_disabled", "sign_in_refused", "user_enabled", "signed_in"];
    assert_eq!(happened, expected);
}

#[test]
fn a_new_password_ends_what_the_old_one_began() {
    let authority = Authority::dev();
    let server = authority.start();
    let ada = add(&authority, "ada");
    let before = server.try_sign_in(&ada).pair();

    let changed = Credentials { password: "another good one 7".to_owned(), ..ada.clone() };
    authority.run_with(&["users", "password", "ada"], &format!("{}\n", changed.password)).done();
    assert_eq!(server.refresh(&before.refresh).refused(401), "Token is blacklisted");
    assert_eq!(server.try_sign_in(&ada).refused(401), "No active account found with the given credentials");
    let after = server.try_sign_in(&changed).pair();
    server.refresh(&after.refresh).pair();

    for (password, expected) in [
        ("password", "this password is too common"),
        ("short7!", "a password has 8 to 1,024 bytes"),
        (" correct horse battery", "a password must not begin or end with white space"),
    ] {
        let line = authority.run_with(&["users", "password", "ada"], &format!("{password}\n")).refused(1);
        assert!(line.starts_with(expected), "{line}");
    }
    server.try_sign_in(&changed).pair();
    let happened = events(&authority, "event", &json!("password_changed"));
    assert_eq!(happened.len(), 1, "what was refused did not happen");
}

#[test]
fn a_user_that_is_deleted_is_out() {
    let authority = Authority::dev();
    let server = authority.start();
    let ada = add(&authority, "ada");
    let before = server.try_sign_in(&ada).pair();
    let id = user(&authority, "ada")["id"].clone();

    authority.run(&["users", "delete", "ada"]).done();
    assert_eq!(server.refresh(&before.refresh).refused(401), "No active account found for the given token.");
    assert_eq!(server.try_sign_in(&ada).refused(401), "No active account found with the given credentials");
    assert_eq!(events(&authority, "user_id", &id), ["user_added", "signed_in", "user_deleted"]);

    add(&authority, "ada");
    assert_ne!(user(&authority, "ada")["id"], id, "an identifier is never given to somebody else");
    assert_eq!(server.refresh(&before.refresh).refused(401), "No active account found for the given token.");
    server.try_sign_in(&ada).pair();
}

#[test]
fn claims_are_said_of_a_user_from_the_next_sign_in_on() {
    let authority = Authority::dev();
    let server = authority.start();
    let before = server.sign_in();
    let given = json!({"role": "auditor", "limits": {"eur": [1, 2.5, null]}, "é": "ü"});
    authority.run_with(&["users", "claims", "dev"], &given.to_string()).done();
    let after = server.sign_in();
    for token in [&after.access, &after.refresh] {
        for (name, value) in given.as_object().unwrap() {
            assert_eq!(claims(token)[name], *value, "{name}");
        }
    }
    assert!(claims(&server.refresh(&before.refresh).pair().access)["role"].is_null(), "frozen at sign-in");

    for (text, expected) in [
        (r#"{"role":"x","sub":"somebody"}"#, "the claim \"sub\" is set by the authority"),
        (r#"{"token_type":"refresh"}"#, "the claim \"token_type\" is set by the authority"),
        ("[]", "claims must be one JSON object"),
        ("{", "claims must be one JSON object"),
        ("", "claims must be one JSON object"),
        (r#"{"x":{"$serde_json::private::Y":1}}"#, "no member may begin with"),
    ] {
        let line = authority.run_with(&["users", "claims", "dev"], text).refused(1);
        assert!(line.starts_with(expected) && line.ends_with("; nothing was changed"), "{line}");
    }
    assert_eq!(user(&authority, "dev")["claims"], given);
    authority.run_with(&["users", "claims", "dev"], "{}").done();
    assert_eq!(user(&authority, "dev")["claims"], json!({}));
    assert_eq!(events(&authority, "event", &json!("claims_changed")).len(), 2);
}

#[test]
fn users_are_added_once_and_named_exactly() {
    let authority = Authority::dev();
    let _server = authority.start();
    add(&authority, "ada");
    let users = authority.json(&["users", "list"]);
    let line = authority.run_with(&["users", "add", "ada"], "another good one 7\n").refused(1);
    assert_eq!(line, "there is a user \"ada\" already; nothing was changed");
    assert_eq!(authority.json(&["users", "list"]), users);
    assert_eq!(members(&users[0]), ["claims", "created_at", "disabled_at", "id", "state", "username"]);

    for act in ["disable", "enable", "password", "claims", "delete"] {
        let line = authority.run_with(&["users", act, "Ada"], "{}\n").refused(1);
        assert_eq!(line, "there is no user \"Ada\"; `attesto users list` shows all", "{act}");
    }
    let line = authority.run(&["users", "add", "eve"]).refused(1);
    assert_eq!(line, "standard input ended where the password was expected");
    assert_eq!(authority.json(&["users", "list"]), users);
    assert!(authority.run(&["users", "list"]).done().contains("│ ada "), "a table for people");
}

#[test]
fn a_client_that_is_disabled_obtains_nothing_and_enabling_revives_nothing() {
    let authority = Authority::dev();
    let server = authority.start();
    let before = server.sign_in();
    authority.run(&["clients", "disable", "simplejwt"]).done();
    assert_eq!(server.refresh(&before.refresh).refused(401), "No active account found for the given token.");
    let refused = server.try_sign_in(&server.credentials).refused(401);
    assert_eq!(refused, "No active account found with the given credentials");
    let again = authority.run(&["clients", "disable", "simplejwt"]).done();
    assert!(again.contains("was disabled already; nothing was changed"), "{again}");

    authority.run(&["clients", "enable", "simplejwt"]).done();
    assert_eq!(server.refresh(&before.refresh).refused(401), "Token is blacklisted");
    server.refresh(&server.sign_in().refresh).pair();
    let happened = events(&authority, "client_id", &json!("simplejwt"));
    let acts: Vec<_> = happened.iter().filter(|event| event.starts_with("client_")).collect();
    assert_eq!(acts, ["client_added", "client_disabled", "client_enabled"]);
}

#[test]
fn clients_are_added_and_their_secrets_shown_once() {
    let authority = Authority::dev();
    let _server = authority.start();
    let add = |id: &str, options: &[&str]| {
        authority.run(&[&["clients", "add", id, "--audience", "billing"], options].concat())
    };
    add("spa", &["--redirect-uri", "https://a.example/cb", "--redirect-uri", "https://b.example/cb"]).done();
    let said =
        add("robot", &["--confidential", "--scope", "read write", "--no-rotation", "--grace-interval", "1m"])
            .done();
    assert!(said.contains("Its secret is not shown again"), "{said}");

    let clients = authority.json(&["clients", "list"]);
    let listed =
        |id: &str| clients.as_array().unwrap().iter().find(|client| client["client_id"] == id).unwrap();
    let (spa, robot) = (listed("spa"), listed("robot"));
    assert_eq!(spa["redirect_uris"], json!(["https://a.example/cb", "https://b.example/cb"]));
    assert_eq!(
        (&spa["kind"], &spa["rotates"], &spa["grace_interval"]),
        (&json!("public"), &json!(true), &Value::Null)
    );
    assert_eq!(
        (&robot["kind"], &robot["rotates"], &robot["grace_interval"]),
        (&json!("confidential"), &json!(false), &json!("1m"))
    );
    assert_eq!(
        (&robot["scope"], &robot["audience"], &robot["state"]),
        (&json!("read write"), &json!("billing"), &json!("enabled"))
    );
    let expected = "access_token_algorithm audience client_id created_at disabled_at grace_interval kind redirect_uris \
                    refresh_token_algorithm rotates scope state";
    assert_eq!(members(robot), expected.split(' ').collect::<Vec<_>>());

    assert_eq!(add("spa", &[]).refused(1), "there is a client spa already; nothing was changed");
    for id in ["", "a b", "ä", &"a".repeat(101)] {
        assert!(add(id, &[]).refused(1).starts_with("a client identifier has 1 to 100"), "{id}");
    }
    assert_eq!(authority.json(&["clients", "list"]), clients);
    for act in ["disable", "enable"] {
        let line = authority.run(&["clients", act, "nobody"]).refused(1);
        assert_eq!(line, "there is no client nobody; `attesto clients list` shows all");
    }
    for wrong in [&["--no-rotation"][..], &["--grace-interval", "3m"], &["--scope", "a\"b"]] {
        assert_eq!(add("other", wrong).any().0, Some(2), "{wrong:?}");
    }
}

#[test]
fn sessions_are_listed_and_ended() {
    let authority = Authority::dev();
    let server = authority.start();
    let ada = add(&authority, "ada");
    let (first, second, other) =
        (server.try_sign_in(&ada).pair(), server.try_sign_in(&ada).pair(), server.sign_in());
    let second = server.refresh(&second.refresh).pair();
    let sid = |token: &str| claims(token)["sid"].as_str().unwrap().to_owned();
    let ada_has = |options: &[&str]| -> BTreeSet<String> {
        let sessions = authority.json(&[&["sessions", "list", "--user", "ada"], options].concat());
        sessions
            .as_array()
            .unwrap()
            .iter()
            .map(|session| session["sid"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ada_has(&[]), BTreeSet::from([sid(&first.access), sid(&second.access)]));
    let newest = &authority.json(&["sessions", "list", "--user", "ada"])[0];
    assert_eq!((&newest["sid"], &newest["generation"]), (&json!(sid(&second.access)), &json!(2)));
    assert_eq!(
        (&newest["state"], &newest["username"], &newest["client_id"]),
        (&json!("live"), &json!("ada"), &json!("simplejwt"))
    );
    let expected = "client_id created_at expires_at generation last_used_at sid state user_id username";
    assert_eq!(members(newest), expected.split(' ').collect::<Vec<_>>());

    authority.run(&["sessions", "revoke", &sid(&first.access)]).done();
    assert_eq!(server.refresh(&first.refresh).refused(401), "Token is blacklisted");
    let again = authority.run(&["sessions", "revoke", &sid(&first.access)]).done();
    assert!(again.contains("was over already; nothing was changed"), "{again}");
    let second = server.refresh(&second.refresh).pair();

    authority.run(&["sessions", "revoke", "--user", "ada"]).done();
    assert_eq!(server.refresh(&second.refresh).refused(401), "Token is blacklisted");
    server.refresh(&other.refresh).pair();
    assert_eq!((ada_has(&[]).len(), ada_has(&["--all"]).len()), (0, 2));
    server.refresh(&server.try_sign_in(&ada).pair().refresh).pair();

    assert!(
        authority
            .run(&["sessions", "revoke", "nonsense"])
            .refused(1)
            .starts_with("there is no session nonsense")
    );
    for wrong in [&["revoke"][..], &["revoke", "x", "--user", "ada"]] {
        assert_eq!(authority.run(&[&["sessions"], wrong].concat()).any().0, Some(2), "{wrong:?}");
    }
    assert_eq!(events(&authority, "sid", &json!(sid(&first.access))), ["signed_in", "session_revoked"]);
    assert_eq!(events(&authority, "event", &json!("user_sessions_revoked")).len(), 1);
}

#[test]
fn every_act_says_who_did_it() {
    let authority = Authority::dev().with("SUDO_USER", "grace");
    let server = authority.start();
    let answer = server.try_sign_in(&server.credentials);
    add(&authority, "ada");
    authority.run(&["clients", "add", "billing", "--audience", "billing"]).done();

    let newest = audit(&authority);
    let (client_added, user_added, signed_in) = (&newest[0], &newest[1], &newest[2]);
    assert_eq!(
        (&client_added["event"], &client_added["actor"]),
        (&json!("client_added"), &json!("operator:grace"))
    );
    assert_eq!(
        (&user_added["event"], &user_added["actor"]),
        (&json!("user_added"), &json!("operator:grace"))
    );
    assert_eq!(
        (&signed_in["event"], &signed_in["actor"]),
        (&json!("signed_in"), &json!("address:127.0.0.1"))
    );
    assert_eq!(signed_in["request_id"], answer.header("x-request-id").expect("every answer has one"));
    let expected = "actor at client_id event id kid reason request_id sid user_id";
    assert_eq!(members(signed_in), expected.split(' ').collect::<Vec<_>>());

    let first: Vec<_> = newest.iter().rev().map(|event| event["event"].as_str().unwrap()).take(9).collect();
    let beginning = [
        "initialised",
        "key_generated",
        "key_generated",
        "key_generated",
        "key_generated",
        "client_added",
        "client_added",
        "client_added",
        "user_added",
    ];
    assert_eq!(first, beginning);
    assert_eq!(authority.json(&["audit", "list", "--limit", "2"]).as_array().unwrap()[..], newest[..2]);
    assert_eq!(authority.run(&["audit", "list", "--limit", "0"]).any().0, Some(2));
    assert!(authority.run(&["audit", "list"]).done().contains("signed_in"));
}

#[test]
fn mistakes_have_their_own_exit_codes() {
    let authority = Authority::dev();
    let _server = authority.start();
    let usage: [&[&str]; 7] = [
        &[],
        &["user"],
        &["users"],
        &["users", "add"],
        &["users", "add", "ada", PASSWORD],
        &["users", "add", "ada", "--password", PASSWORD],
        &["clients", "add", "a", "--audience", "a", "--client-secret", "secret"],
    ];
    for arguments in usage {
        let (code, stdout, stderr) = authority.run(arguments).any();
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains("Usage: attesto"), "{stderr}");
    }
    for both in [["users", "list", "--config", "a.toml"], ["--config", "a.toml", "users", "list"]] {
        let (code, _, stderr) = authority.run(&both).any();
        assert!(code == Some(2) && stderr.contains("give one of them"), "{stderr}");
    }

    let elsewhere = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], code| {
        run(attesto().args(arguments).current_dir(elsewhere.path()), "").refused(code)
    };
    let line = refused(&["users", "list"], 1);
    assert_eq!(
        line,
        "which authority? Name it with --config FILE or --data DIR; `attesto serve --dev` makes one"
    );
    for absent in [["--config", "absent.toml"], ["--data", "absent"]] {
        let line = refused(&[&["users", "list"][..], &absent].concat(), 78);
        assert!(line.starts_with("absent"), "{line}");
    }
}

/// Whoever pastes an identifier from a log or a token has not read it.
#[test]
fn a_terminal_obeys_neither_what_was_typed_nor_what_is_in_the_database() {
    const TYPED: &str = "a\u{1b}[2J\u{9b}31m\nb";
    // Else colours would be left out where nobody would see them, and these with them.
    let authority = Authority::dev().with("CLICOLOR_FORCE", "1");
    let _server = authority.start();
    for unknown in [
        &["sessions", "revoke", TYPED][..],
        &["sessions", "revoke", "--user", TYPED],
        &["sessions", "revoke", "--client", TYPED],
        &["sessions", "list", "--user", TYPED],
        &["clients", "disable", TYPED],
        &["clients", "enable", TYPED],
        &["users", "delete", TYPED],
        &["keys", "export-public", TYPED],
    ] {
        let line = authority.run(unknown).refused(1);
        assert!(line.contains("a\\u{1b}[2J\\u{9b}31m\\nb") && is_plain(&line), "{unknown:?}: {line:?}");
    }
    let usage = [&[TYPED][..], &["users", "list", "--\u{1b}[2J"], &["feed", "tail", "--kind", TYPED]];
    for wrong in usage.into_iter().chain([&["sessions", "revoke", "x", "--reason", TYPED][..]]) {
        let (code, _, said) = authority.run(wrong).any();
        assert!(code == Some(2) && is_plain(&said) && said.contains("try '--help'"), "{wrong:?}: {said:?}");
    }
    assert!(authority.run(&["users", "lst"]).any().2.contains("\u{1b}["), "what is harmless has colours");

    authority.run(&["sessions", "revoke", "--all", "--yes"]).done();
    let stored = "'d' || char(27) || '[2Jev' || char(155)";
    authority.sqlite(&format!(
        "UPDATE audit_events SET actor = {stored}; UPDATE revocations SET id = {stored};
         UPDATE clients SET id = {stored} WHERE id = 'dev-public';"
    ));
    let disable = ["clients", "disable", "d\u{1b}[2Jev\u{9b}"];
    for command in [&["audit", "list"][..], &["feed", "tail"], &["clients", "list"], &disable] {
        let said = authority.run(command).done();
        assert!(said.contains("d\\u{1b}[2Jev\\u{9b}") && is_plain(&said), "{command:?}: {said:?}");
    }
}

#[test]
fn the_program_takes_every_setting_that_is_documented() {
    let file = documented("deploy/attesto.toml");
    let settings: Vec<_> = file
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
        .collect();
    let names: BTreeSet<_> =
        settings.iter().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    assert_eq!(names.len(), settings.len());

    let page = documented("docs/configuration.md");
    let (_, page) = page.split_once("\n## Settings\n").expect("a list of settings");
    let (page, _) = page.split_once("\n## ").expect("its end");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    assert_eq!(rows.map(|(name, _)| name).collect::<BTreeSet<_>>(), names);

    let authority = Authority::configured(&settings.join("\n"));
    authority.set_up();
    authority.run(&["users", "list"]).done();
}

#[test]
fn shells_learn_the_commands() {
    for (shell, sign) in
        [("bash", "complete -F"), ("zsh", "#compdef attesto"), ("fish", "complete -c attesto")]
    {
        let script = run(attesto().args(["completions", shell]), "").done();
        assert!(script.contains(sign) && script.contains("revoke"), "{shell}");
    }
}

fn documented(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap()
}

/// Nothing but text, in lines.
fn is_plain(said: &str) -> bool {
    said.chars().all(|character| character == '\n' || !character.is_control())
}

#[track_caller]
fn add(authority: &Authority, username: &str) -> Credentials {
    authority.run_with(&["users", "add", username], &format!("{PASSWORD}\n")).done();
    Credentials { username: username.to_owned(), password: PASSWORD.to_owned() }
}

fn user(authority: &Authority, username: &str) -> Value {
    let users = authority.json(&["users", "list"]);
    let found = users.as_array().unwrap().iter().find(|user| user["username"] == username);
    found.unwrap_or_else(|| panic!("there is no {username}")).clone()
}

/// The audit table, newest first.
fn audit(authority: &Authority) -> Vec<Value> {
    authority.json(&["audit", "list"]).as_array().unwrap().clone()
}

/// What happened to something, in order.
fn events(authority: &Authority, member: &str, is: &Value) -> Vec<String> {
    let concerned = audit(authority).into_iter().rev().filter(|event| event[member] == *is);
    concerned.map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

fn members(object: &Value) -> Vec<&str> {
    let mut members: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}
