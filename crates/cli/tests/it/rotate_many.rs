//! Sixteen processes that try to rotate one database at once, beside a server that signs with its keys: of all attempts
//! for the same place one succeeds. The test binary runs itself again for each process, and only [`rotator`] of it.

use std::env;
use std::io::{BufRead as _, BufReader, Lines, Write as _, stdin};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use attesto_core::{Actor, Guards, Haste, KeyMoves, KeyRefusal, KeyTable, Line, Purpose, SigningAlgorithm};
use attesto_server::{KeyError, block_on};

use crate::authority::{Authority, CONFIGURATION};
use crate::keeper::{Keeper, RS256, SHORT_INTERVALS, active};
use crate::load::{Ends, Load};
use crate::process::{Outcome, until};
use crate::rotation::{LongestKeeper, fetch, verdict, with_keys};

const PROCESSES: usize = 16;

/// In all, 200 rounds. Of access tokens, as soon as the guard allows: by processes of ours, and by the real command.
const GUARDED: usize = 10;
const COMMANDED: usize = 6;
/// In an emergency, one after the other without a pause: of refresh tokens, whose keys take long to make, and of access
/// tokens.
const RSA: usize = 8;
const ELLIPTIC: usize = 176;

const ES256: Line = Line { purpose: Purpose::Token, algorithm: SigningAlgorithm::Es256 };

/// What the headers and the settings permit.
const LONGEST_PERMITTED: Duration = Duration::from_secs(1);

/// Names the configuration file of the authority. A rotator without it has nothing to do.
const ROTATOR: &str = "ATTESTO_TEST_ROTATOR";

/// Precedes what a rotator says: the test harness speaks on the same stream.
const SAYS: char = '@';

#[test]
fn of_sixteen_processes_one_rotates_and_every_token_verifies() {
    one_of_many_rotates(&Authority::configured(&configuration()));
}

/// Lets all of them try, on an authority of [`configuration`] that is not set up yet.
pub(crate) fn one_of_many_rotates(authority: &Authority) {
    authority.set_up();
    let server = authority.start();
    let keeper = Keeper::of(authority);
    let (before, address) = (keeper.table().keys.len(), server.address);
    let guarded = AtomicBool::new(true);
    let longest_keepers: Vec<_> = (0..4)
        .map(|number| Instant::now() + number * LONGEST_PERMITTED / 4)
        .map(|until| Mutex::new(LongestKeeper::new(address, LONGEST_PERMITTED, until)))
        .collect();
    let load = Load::sign_in(&server, 4, Duration::from_millis(20));

    let (over, mut rotations, verified) = (AtomicBool::new(false), 0, AtomicUsize::new(0));
    let looks = scope(|scope| {
        let looking = scope.spawn(|| look_without_end(&keeper, &over));
        let _ends = Ends(&over);
        load.during(
            address,
            |refreshed| {
                let answer = refreshed.answer.as_ref().unwrap();
                if answer.status == 503 {
                    // A machine that is busy with so many processes may not confirm its keys in a second.
                    return;
                }
                let access = answer.pair().access;
                verified.fetch_add(1, Ordering::Relaxed);
                assert_eq!(verdict(&with_keys(&fetch(address)), &access), Ok(()), "with the present set");
                for longest_keeper in &longest_keepers {
                    let verdict = longest_keeper.lock().unwrap().verdict(&access);
                    assert!(
                        verdict.is_ok() || !guarded.load(Ordering::Relaxed),
                        "{verdict:?} with an old set"
                    );
                }
            },
            || {
                let mut rotators: Vec<_> = (0..PROCESSES).map(|_| Rotator::start(authority)).collect();
                for _ in 0..GUARDED {
                    rotations += round(&mut rotators, &keeper, ES256, Haste::Guarded);
                }
                for _ in 0..COMMANDED {
                    rotations += commands(authority, &keeper);
                }
                guarded.store(false, Ordering::Relaxed);
                for _ in 0..RSA {
                    rotations += round(&mut rotators, &keeper, RS256, Haste::Emergency);
                }
                for _ in 0..ELLIPTIC {
                    rotations += round(&mut rotators, &keeper, ES256, Haste::Emergency);
                }
            },
        );
        over.store(true, Ordering::Relaxed);
        looking.join().unwrap()
    });

    assert!(rotations >= GUARDED + COMMANDED + RSA + ELLIPTIC);
    assert_eq!(keeper.table().keys.len(), before + rotations, "each made one key");
    let verified = verified.into_inner();
    assert!(looks > 200 && verified > 1_000, "{looks} looks, {verified} tokens");
    load.assert_alive(&server);
    server.stop();
}

/// Access tokens are signed with ES256, whose keys are made quickly, and refresh tokens with RS256.
pub(crate) fn configuration() -> String {
    let settings = [CONFIGURATION, SHORT_INTERVALS, "access_token_algorithm = \"ES256\"\n"].concat();
    settings.replace("lifetime = \"2s\"", "lifetime = \"4s\"")
}

/// At every moment one key of each line is active, and one staged. How many moments that were.
fn look_without_end(keeper: &Keeper, over: &AtomicBool) -> usize {
    let mut looks = 0;
    while !over.load(Ordering::Relaxed) {
        let table = keeper.table();
        active(&table, ES256);
        active(&table, RS256);
        looks += 1;
        sleep(Duration::from_millis(20));
    }
    looks
}

/// All try to let the staged key take over from the key that signs now: one does.
fn round(rotators: &mut [Rotator], keeper: &Keeper, line: Line, haste: Haste) -> usize {
    if haste == Haste::Guarded {
        until("a rotation is permitted", || keeper.permits_rotation(line).then_some(()));
    }
    let table = keeper.table();
    let (now, next) = (&active(&table, line).kid, &table.staged(line)[0].kid);
    let order = format!("{} {haste:?} {now}", line.algorithm);
    for rotator in &mut *rotators {
        rotator.order(&order);
    }
    let outcomes: Vec<_> = rotators.iter_mut().map(Rotator::outcome).collect();
    let of = |what: &str| outcomes.iter().filter(|outcome| *outcome == what).count();
    assert_eq!((of("rotated"), of("late")), (1, PROCESSES - 1), "{outcomes:?}");
    assert_eq!(active(&keeper.table(), line).kid, *next);
    1
}

/// The same with the real command. Whoever comes later is told that the key signs already, or that the next one has to
/// wait. How many rotated; more than one only if the machine is so slow that the guard opens again.
fn commands(authority: &Authority, keeper: &Keeper) -> usize {
    until("a rotation is permitted", || keeper.permits_rotation(ES256).then_some(()));
    let before = keeper.table().keys.len();
    let start = |_| {
        let mut command = authority.command(&["keys", "rotate", "--algorithm", "ES256"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<_> = (0..PROCESSES).map(start).collect();
    let outcomes: Vec<_> = processes
        .into_iter()
        .map(|process| Outcome::from(process.wait_with_output().unwrap()).any())
        .collect();
    let rotated = outcomes.iter().filter(|(code, ..)| *code == Some(0)).count();
    let is_told = |(code, _, line): &(Option<i32>, String, String)| match code {
        Some(0) => true,
        Some(75) => line.contains("it waits for every cache and verifier"),
        _ => line.contains("it signs already"),
    };
    assert!(rotated > 0 && outcomes.iter().all(is_told), "{outcomes:?}");
    assert_eq!(keeper.table().keys.len(), before + rotated);
    rotated
}

/// Does what it is told on its standard input, one line at a time.
#[test]
fn rotator() {
    let Ok(file) = env::var(ROTATOR) else { return };
    let keeper = Keeper::configured_in(Path::new(&file));
    for order in stdin().lines() {
        let order = order.unwrap();
        let [algorithm, haste, kid] = order.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let line = Line::of_tokens(algorithm.parse().unwrap());
        let haste = if haste == "Guarded" { Haste::Guarded } else { Haste::Emergency };
        println!("\n{SAYS}{}", rotate(&keeper, line, haste, kid));
    }
}

/// Lets the staged key take over from `expected`.
fn rotate(keeper: &Keeper, line: Line, haste: Haste, expected: &str) -> String {
    let decide = |table: &KeyTable, guards: Guards<'_>, now| -> Result<Option<KeyMoves>, KeyRefusal> {
        if active(table, line).kid != expected {
            return Ok(None);
        }
        table.promote(line, None, haste, guards, now).map(Some)
    };
    match block_on(keeper.keeper.change(decide, &Actor::Operator("rotator".to_owned()), "test")) {
        Ok(Some(_)) => "rotated".to_owned(),
        Ok(None) => "late".to_owned(),
        Err(KeyError::Refused(refusal)) => format!("refused: {refusal:?}"),
        Err(cause) => format!("failed: {cause}"),
    }
}

/// A process that runs [`rotator`]. It ends with this value.
struct Rotator {
    process: Child,
    to: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Rotator {
    fn start(authority: &Authority) -> Self {
        // A path that holds even if a later build replaces the file.
        let mut process = Command::new("/proc/self/exe")
            .args(["--exact", "rotate_many::rotator", "--nocapture"])
            .env(ROTATOR, authority.data().join("attesto.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, to, said: BufReader::new(from).lines() }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.to, "{order}").unwrap();
    }

    fn outcome(&mut self) -> String {
        let mut said = self.said.by_ref().map(Result::unwrap);
        said.find_map(|line| line.strip_prefix(SAYS).map(str::to_owned)).expect("an outcome")
    }
}

impl Drop for Rotator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
