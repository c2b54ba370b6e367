//! `kill -9` while keys change, of the command and of the server: all of the change happened or nothing, the server goes
//! on, and the same command works when it is run again.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use attesto_core::{KeyState, KeyTable};

use crate::authority::{Authority, CONFIGURATION};
use crate::crash::random_share;
use crate::keeper::{Keeper, RS256, SHORT_INTERVALS, active, kids, of_tokens, states, with_keks};
use crate::load::{Load, Refreshed};
use crate::process::{Process, until};
use crate::server::Server;

const KILLS: usize = 30;

const CLIENTS: usize = 3;

const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn a_rotation_that_is_killed_happened_or_did_not() {
    let scene = Scene::begin();
    let command = ["keys", "rotate"];
    let (mut happened, takes) = (0, scene.timed(|| scene.rotate()));
    scene.under_load(|| {
        for _ in 0..KILLS {
            until("a rotation is permitted", || scene.keeper.permits_rotation(RS256).then_some(()));
            let before = scene.keeper.table();
            scene.kill(&command, takes);
            let after = scene.look();
            happened += usize::from(is_rotated(&before, &after));
        }
        scene.rotate();
    });
    assert!(happened > 0 && happened < KILLS, "kills came too early or too late: {happened}");
}

#[test]
fn a_withdrawal_that_is_killed_happened_or_did_not() {
    let scene = Scene::begin();
    let (mut happened, takes) = (0, scene.timed(|| scene.compromise()));
    scene.under_load(|| {
        for _ in 0..KILLS {
            let before = scene.keeper.table();
            let leaked = &active(&before, RS256).kid;
            let command = ["keys", "compromise", leaked];
            scene.kill(&command, takes);
            let after = scene.look();
            if is_withdrawn(&before, &after, leaked) {
                assert_eq!(scene.keeper.times_revoked(leaked), 1);
                let line = scene.authority.run(&command).refused(1);
                assert!(line.contains("nothing trusts it already"), "{line}");
                happened += 1;
            } else {
                assert_eq!(scene.keeper.times_revoked(leaked), 0);
                scene.authority.run(&command).done();
                assert!(is_withdrawn(&before, &scene.look(), leaked));
                assert_eq!(scene.keeper.times_revoked(leaked), 1);
            }
        }
    });
    assert!(happened > 0 && happened < KILLS, "kills came too early or too late: {happened}");
}

/// One row is one change: every kill leaves some under the one key-encryption key and some under the other.
#[test]
fn a_rewrap_that_is_killed_goes_on_where_it_stopped() {
    let scene = Scene::begin();
    for _ in 0..6 {
        scene.authority.run(&["keys", "stage", "--algorithm", "ES256"]).done();
    }
    let command = ["keys", "rewrap"];
    let rewrap = |order: &str| {
        let mut rewrap = scene.authority.command(&command);
        let ended = rewrap.env("ATTESTO_KEY_ENCRYPTION_KEYS", order).output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    };
    let (mut halfway, takes) = (0, scene.timed(|| rewrap("other,kek")));
    scene.under_load(|| {
        // Most of its time it reads: that a kill comes between two writes can take a while.
        for number in 0..10 * KILLS {
            if number >= KILLS && halfway > 0 {
                break;
            }
            let order = ["kek,other", "other,kek"][number % 2];
            let before = scene.keeper.table();
            let mut killed = scene.authority.command(&command);
            kill(killed.env("ATTESTO_KEY_ENCRYPTION_KEYS", order), takes);
            let after = scene.look();
            assert_eq!(states(&before), states(&after));
            halfway += usize::from(keks(&after).len() > 1);
            rewrap(order);
            let wrapped = scene.look();
            assert_eq!(states(&before), states(&wrapped));
            assert_eq!(keks(&wrapped).len(), 1);
            assert_ne!(keks(&before), keks(&wrapped));
        }
    });
    assert!(halfway > 0, "no kill came in the middle");
}

#[test]
fn a_server_that_is_killed_while_its_schedule_rotates_comes_up_again() {
    const KILLS: usize = 10;
    let settings = [CONFIGURATION, SHORT_INTERVALS, "key_rotation_interval = \"1s\"\n"].concat();
    let authority = Authority::configured(&settings);
    authority.set_up();
    let keeper = Keeper::of(&authority);
    let mut server = authority.start();
    let load = Load::sign_in(&server, CLIENTS, PAUSE);
    let mut rotations = 0;
    for _ in 0..KILLS {
        let (address, process) = (server.address, &mut server.process);
        let before = load.during(
            address,
            |_| (),
            || {
                until("a rotation is due", || keeper.permits_rotation(RS256).then_some(()));
                let before = keeper.table();
                // The timetable is looked at once in a second; then a key is made.
                sleep(Duration::from_millis(1_500).mul_f64(random_share()));
                process.kill();
                before
            },
        );
        rotations += usize::from(is_rotated(&before, &keeper.table()));
        server = authority.start();
        load.assert_alive(&server);
    }
    assert!(rotations > 0, "kills came too early");
    let kid = active(&keeper.table(), RS256).kid.clone();
    until("the schedule goes on", || (active(&keeper.table(), RS256).kid != kid).then_some(()));
    server.stop();
}

/// A server with clients that refresh all the time, and an operator beside it.
struct Scene {
    authority: Authority,
    keeper: Keeper,
    server: Server,
    load: Load,
}

impl Scene {
    fn begin() -> Self {
        let authority = with_keks(&[CONFIGURATION, SHORT_INTERVALS].concat(), "\"kek\", \"other\"");
        let keeper = Keeper::of(&authority);
        let server = authority.start();
        let load = Load::sign_in(&server, CLIENTS, PAUSE);
        Self { authority, keeper, server, load }
    }

    /// Nobody is logged out meanwhile. A server whose machine is busy may have to ask for patience.
    fn under_load(&self, meanwhile: impl FnOnce()) {
        let watch = |refreshed: &Refreshed| {
            let answer = refreshed.answer.as_ref().unwrap();
            assert!([200, 503].contains(&answer.status), "{answer:?}");
        };
        self.load.during(self.server.address, watch, meanwhile);
        self.load.assert_alive(&self.server);
    }

    fn rotate(&self) {
        until("a rotation is permitted", || self.keeper.permits_rotation(RS256).then_some(()));
        self.authority.run(&["keys", "rotate"]).done();
    }

    fn compromise(&self) {
        let kid = active(&self.keeper.table(), RS256).kid.clone();
        self.authority.run(&["keys", "compromise", &kid]).done();
    }

    fn timed(&self, command: impl FnOnce()) -> Duration {
        until("a rotation is permitted", || self.keeper.permits_rotation(RS256).then_some(()));
        let begun_at = Instant::now();
        command();
        begun_at.elapsed()
    }

    fn kill(&self, command: &[&str], takes: Duration) {
        kill(&mut self.authority.command(command), takes);
    }

    /// Everybody who looks sees the same: genuine keys, one of them active and one staged.
    fn look(&self) -> KeyTable {
        let table = self.keeper.table();
        active(&table, RS256);
        let listed = self.authority.json(&["keys", "list", "--purpose", "token"]);
        let of_all = |state| listed.as_array().unwrap().iter().filter(|key| key["state"] == state).count();
        assert_eq!(of_all("active"), 1);
        let published = self.server.get("/.well-known/jwks.json").json();
        assert!(!published["keys"].as_array().unwrap().is_empty());
        table
    }
}

/// Runs a command, and kills it at some moment before it would be done.
fn kill(command: &mut Command, takes: Duration) {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut process = Process(child);
    sleep(takes.mul_f64(random_share()));
    process.kill();
}

/// Whether the staged key signs, and another one is staged. If not, nothing is different.
fn is_rotated(before: &KeyTable, after: &KeyTable) -> bool {
    let (was, is) = (active(before, RS256), active(after, RS256));
    if was.kid == is.kid {
        assert_eq!(kids(before), kids(after), "no key without a rotation");
        return false;
    }
    assert_eq!(is.kid, before.staged(RS256)[0].kid);
    assert!(after.find(&was.kid).unwrap().demoted_at.is_some());
    assert_one_is_new_and_staged(before, after);
    true
}

/// The same, and the key that signed is declared leaked.
fn is_withdrawn(before: &KeyTable, after: &KeyTable, leaked: &str) -> bool {
    let known = after.ledger.as_ref().unwrap().compromised.iter().any(|kid| kid == leaked);
    let state = after.find(leaked).unwrap().state;
    assert_eq!(known, state == KeyState::Compromised);
    assert_eq!(!known, state == KeyState::Active);
    if known {
        assert_one_is_new_and_staged(before, after);
    } else {
        assert_eq!(kids(before), kids(after));
    }
    known
}

#[track_caller]
fn assert_one_is_new_and_staged(before: &KeyTable, after: &KeyTable) {
    let new: Vec<_> = of_tokens(after).filter(|key| before.find(&key.kid).is_none()).collect();
    assert!(new.len() == 1 && new[0].state == KeyState::Staged, "{new:?}");
}

/// Under which key-encryption keys anything is.
fn keks(table: &KeyTable) -> BTreeSet<String> {
    let ledger = table.ledger.as_ref().map(|ledger| ledger.kek_id.0.clone());
    table.keys.iter().map(|key| key.kek_id.0.clone()).chain(ledger).collect()
}
