//! The state file: what a verifier begins with that finds its issuer down.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use attesto_token::feed::RevokedBy;
use attesto_verifier::{Error, Verifier, VerifierBuilder};
use serde_json::{Value, json};

use crate::issuer::{Answer, Authority, Issuer, PATIENCE, TestClock, Told, until_here, with_both_drivers};
use crate::token::{KEY, OTHER_KEY, claims, with};

type Build = fn(VerifierBuilder) -> Verifier;

fn verdict(verifier: &Verifier, token: &str) -> Result<(), Error> {
    verifier.verify::<Value>(token).map(drop)
}

/// A folder of its own, that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("attesto-verifier-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The file of a verifier that knows a key, and that the session 5f1d has ended.
fn kept(folder: &Folder, build: Build) -> PathBuf {
    let (authority, told) = (Authority::start(), Told::default());
    let path = folder.file();
    let verifier = build(told.listen(authority.builder()).state_file(&path));
    verifier.ready_blocking(PATIENCE).unwrap();
    until_here("the keys are written", || has(&path, &KEY.jwk.kid));
    authority.revoke(RevokedBy::Session, "5f1d");
    until_here("the session's end is written", || has(&path, "\"seq\":1"));
    drop(verifier);
    drop(authority);
    until_here("nobody writes it any more", || told.is_over());
    path
}

fn has(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|content| content.contains(text))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// An issuer that is down, and what a verifier makes of it that begins with this file.
fn restarted(path: &Path, build: Build, more: impl Fn(VerifierBuilder) -> VerifierBuilder) -> Verifier {
    let authority = Authority::start();
    authority.issuer.answers(Answer::unavailable());
    build(more(authority.builder().state_file(path)))
}

#[test]
fn a_restart_while_the_issuer_is_down() {
    with_both_drivers(|build| {
        let folder = Folder::new();
        let path = kept(&folder, build);
        assert_eq!(mode(&path), 0o600);
        let told = Told::default();
        let verifier = restarted(&path, build, |builder| told.listen(builder));
        assert_eq!(verifier.ready_blocking(PATIENCE), Ok(()));
        assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::Revoked));
        assert_eq!(verdict(&verifier, &KEY.token(&with("sid", "another"))), Ok(()));
        assert_eq!(verdict(&verifier, &OTHER_KEY.token(&claims())), Err(Error::KeyUnknown));
        until_here("the issuer is down", || verifier.status().keys.last_error.is_some());
        assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::Revoked));
        assert_eq!(told.of("state file"), 0);
        drop(verifier);
        until_here("it is over", || told.is_over());
        assert_eq!(folder.names(), ["state.json"]);
    });
}

#[test]
fn it_goes_on_where_it_was() {
    with_both_drivers(|build| {
        let folder = Folder::new();
        let path = kept(&folder, build);
        let authority = Authority::start();
        authority.revoke(RevokedBy::Session, "5f1d");
        let verifier = build(authority.builder().state_file(&path));
        let asked = "/revocations?epoch=5&after=1&wait=25".to_owned();
        until_here("it asks for what is new", || authority.issuer.targets().contains(&asked));
        assert!(!authority.issuer.targets().contains(&"/revocations".to_owned()));
        drop(verifier);
    });
}

#[test]
fn keys_that_are_too_old_are_not_used() {
    with_both_drivers(|build| {
        let folder = Folder::new();
        let path = kept(&folder, build);
        let clock = || TestClock::new().later(24 * 60 * 60 + 1);
        let verifier = restarted(&path, build, |builder| builder.clock(clock()));
        let token = KEY.token(&with("exp", crate::token::NOW + 200_000));
        assert_eq!(verdict(&verifier, &token), Err(Error::KeysUnavailable));
        let seed = serde_json::to_string(&KEY.jwks()).unwrap();
        let verifier = restarted(&path, build, |builder| builder.clock(clock()).seed_jwks(&*seed));
        let another = {
            let mut claims = with("exp", crate::token::NOW + 200_000);
            claims["sid"] = json!("another");
            KEY.token(&claims)
        };
        let verdict = |token| verdict(&verifier, token);
        // The keys to begin with are better than those. Of the feed it is known what was; not what has become since.
        assert_eq!(verdict(&token), Err(Error::Revoked));
        assert_eq!(verdict(&another), Err(Error::RevocationsUnavailable));
    });
}

/// That a verifier begins without this file, and tells why.
fn assert_not_believed(path: &Path, build: Build, reason: &str) {
    let told = Told::default();
    let verifier = restarted(path, build, |builder| told.listen(builder));
    assert_eq!(verdict(&verifier, &KEY.token(&claims())), Err(Error::KeysUnavailable), "{reason}");
    assert_eq!(told.of(reason), 1, "{reason}");
    drop(verifier);
    until_here("it is over", || told.is_over());
}

/// A file that is of no use is an event, and the verifier begins without it.
#[test]
fn a_file_that_is_not_to_be_believed() {
    with_both_drivers(|build| {
        let folder = Folder::new();
        let path = kept(&folder, build);
        let good = fs::read_to_string(&path).unwrap();
        let no_records = good.replace(r#""records":""#, r#""records":"?"#);
        for (content, mode, reason) in [
            (good.replace("https://auth.example", "https://other.example"), 0o600, "of another issuer"),
            (good.replace(r#""version":1"#, r#""version":2"#), 0o600, "of another version"),
            (good[..good.len() / 2].to_owned(), 0o600, "or was cut"),
            (String::new(), 0o600, "or was cut"),
            (good.clone(), 0o620, "chmod 600"),
            (good.clone(), 0o602, "chmod 600"),
        ] {
            fs::write(&path, &content).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_not_believed(&path, build, reason);
        }
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(&path, &good).unwrap();
        // A stranger may have put it there.
        fs::set_permissions(&folder.0, PermissionsExt::from_mode(0o777)).unwrap();
        assert_not_believed(&path, build, "others may write to its folder");
        fs::set_permissions(&folder.0, PermissionsExt::from_mode(0o755)).unwrap();
        for (foreign, reason) in
            [(&path, "it belongs to another user"), (&folder.0, "its folder belongs to another user")]
        {
            // Only root may give files away.
            let (own, nobody) = (fs::metadata(foreign).unwrap().uid(), 65_534);
            if chown(foreign, Some(nobody), None).is_err() {
                assert_ne!(own, 0, "root may");
                continue;
            }
            assert_not_believed(&path, build, reason);
            chown(foreign, Some(own), None).unwrap();
        }
        for (content, reason) in [
            (no_records, "its revocations cannot be read"),
            (good.replace(r#""keys":{"jwks":"{"#, r#""keys":{"jwks":"["#), "its keys cannot be read"),
        ] {
            fs::write(&path, &content).unwrap();
            let told = Told::default();
            let verifier = restarted(&path, build, |builder| told.listen(builder));
            assert_eq!(told.of(reason), 1, "{reason}: {content}");
            assert!(verdict(&verifier, &KEY.token(&claims())).is_err(), "{reason}");
            drop(verifier);
            until_here("it is over", || told.is_over());
        }
        let authority = Authority::start();
        for session in ["one", "two"] {
            authority.revoke(RevokedBy::Session, session);
        }
        let verifier = build(authority.builder().state_file(&path));
        assert_eq!(verifier.ready_blocking(PATIENCE), Ok(()), "it works on");
        until_here("a good file takes its place", || has(&path, "\"seq\":2"));
        assert_eq!(mode(&path), 0o600);
    });
}

#[test]
fn a_folder_that_cannot_be_written_to() {
    with_both_drivers(|build| {
        let folder = Folder::new();
        let path = folder.0.join("missing").join("state.json");
        let (authority, told) = (Authority::start(), Told::default());
        let verifier = build(told.listen(authority.builder()).state_file(&path));
        assert_eq!(verifier.ready_blocking(PATIENCE), Ok(()));
        until_here("it is told", || told.of("the state file is of no use") > 0);
        let token = KEY.token(&claims());
        assert_eq!(verdict(&verifier, &token), Ok(()));
        authority.revoke(RevokedBy::Session, "5f1d");
        until_here("the session has ended", || verdict(&verifier, &token) == Err(Error::Revoked));
    });
}

/// Each writes its last in its own time, while the next has begun.
#[test]
fn a_verifier_and_the_one_after_it_do_not_get_in_each_others_way() {
    with_both_drivers(|build| {
        let (folder, authority, told) = (Folder::new(), Authority::start(), Told::default());
        let path = folder.file();
        for _ in 0..60 {
            let verifier = build(told.listen(authority.builder()).state_file(&path));
            verifier.ready_blocking(PATIENCE).unwrap();
        }
        assert_eq!(told.of("the state file is of no use"), 0);
        until_here("all is written", || folder.names() == ["state.json"]);
        assert!(fs::metadata(&path).unwrap().len() > 0);
    });
}

/// Somebody who may write into the folder.
#[test]
fn what_others_have_put_there_is_not_written_into() {
    with_both_drivers(|build| {
        let folder = Folder::new();
        let (path, theirs) = (folder.file(), folder.0.join("theirs"));
        fs::write(&theirs, "theirs").unwrap();
        symlink(&theirs, &path).unwrap();
        let issuer = Issuer::start(Answer::keys(&KEY.jwks()));
        let verifier = build(issuer.builder().state_file(&path));
        verifier.ready_blocking(PATIENCE).unwrap();
        until_here("the keys are written", || has(&path, &KEY.jwk.kid));
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(mode(&path), 0o600);
    });
}
