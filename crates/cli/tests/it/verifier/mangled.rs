//! Sessions end while the way to the feed is bad: who was refused once is never accepted again.

use std::collections::HashSet;
use std::thread::{scope, sleep};
use std::time::Duration;

use attesto_verifier::{Error, Feed, OnStale, Verifier};
use tokio::runtime::{Builder, Runtime};

use super::proxy::{FAULTS, Manner, Proxy};
use super::{builder, verdict};
use crate::authority::Authority;
use crate::http::Pair;
use crate::process::until;
use crate::random::Random;
use crate::server::Server;
use crate::token::claims;

const SEED: u64 = 5;

const LENIENT: usize = 6;
const STRICT: usize = 2;

/// What a strict verifier bears.
const LONGEST_SILENCE: Duration = Duration::from_secs(6);

/// How many sessions end while answers are mangled, and how many while none come. Each fourth ends by a command, the
/// others over HTTP.
const ENDED_MANGLED: usize = 40;
const ENDED_CUT_OFF: usize = 2;
const LIVING: usize = 3;

/// How often each thing has to happen to answers.
const FAULTS_OF_A_KIND: usize = 5;

/// Nobody waits in vain for longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn whoever_was_refused_stays_refused_however_the_feed_arrives() {
    let scene = Scene::set();
    let mut watch = Watch { scene: &scene, refused: HashSet::new() };

    let (mangled, all) = (ENDED_MANGLED, ENDED_MANGLED + ENDED_CUT_OFF);
    scene.all_proxies(Manner::Mangles);
    scope(|scope| {
        let ending = scope.spawn(|| scene.end_slowly(&scene.sessions[..mangled]));
        while !ending.is_finished() {
            watch.look();
        }
    });
    until("everything has happened to answers", || {
        watch.look();
        scene.everything_happened().then_some(())
    });
    println!(
        "{}; {} of {} refused meanwhile",
        scene.happened(),
        watch.refused.len(),
        mangled * scene.followers.len()
    );
    assert!(!watch.refused.is_empty());
    scene.all_proxies(Manner::PassesOn);
    until("everybody knows everything", || watch.everybody_knows(mangled).then_some(()));

    scene.all_proxies(Manner::CutsOff);
    scene.end_slowly(&scene.sessions[mangled..all]);
    until("the strict do not know any more", || watch.the_strict_answer_503().then_some(()));
    scene.all_proxies(Manner::PassesOn);
    until("everybody recovers", || watch.everybody_knows(all).then_some(()));
}

/// An authority with some sessions, and those who follow it by way of a proxy each.
struct Scene {
    authority: Authority,
    server: Server,
    sessions: Vec<Pair>,
    followers: Vec<Follower>,
    _runtime: Runtime,
}

struct Follower {
    verifier: Verifier,
    is_strict: bool,
    proxy: Proxy,
}

impl Scene {
    fn set() -> Self {
        let authority = Authority::dev();
        let server = authority.start();
        let sessions = (0..ENDED_MANGLED + ENDED_CUT_OFF + LIVING).map(|_| server.sign_in()).collect();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let in_runtime = runtime.enter();
        let followers: Vec<_> = (0..LENIENT + STRICT).map(|index| Follower::start(&server, index)).collect();
        drop(in_runtime);
        for follower in &followers {
            runtime.block_on(follower.verifier.ready(PATIENCE)).unwrap();
        }
        Self { authority, server, sessions, followers, _runtime: runtime }
    }

    fn end_slowly(&self, sessions: &[Pair]) {
        let mut random = Random(SEED);
        for (index, pair) in sessions.iter().enumerate() {
            if index % 4 == 0 {
                let sid = claims(&pair.access)["sid"].as_str().unwrap().to_owned();
                self.authority.run(&["sessions", "revoke", &sid]).done();
            } else {
                assert_eq!(self.server.blacklist(&pair.refresh).status, 200);
            }
            sleep(Duration::from_millis(100 + u64::from(random.below(300))));
        }
    }

    fn all_proxies(&self, manner: Manner) {
        self.followers.iter().for_each(|follower| follower.proxy.behaves(manner));
    }

    fn everything_happened(&self) -> bool {
        FAULTS.iter().all(|fault| {
            let times: usize = self.followers.iter().map(|follower| follower.proxy.times(*fault)).sum();
            times >= FAULTS_OF_A_KIND
        })
    }

    fn happened(&self) -> String {
        let times = FAULTS.map(|fault| {
            let times: usize = self.followers.iter().map(|follower| follower.proxy.times(fault)).sum();
            format!("{fault:?} {times}")
        });
        times.join(", ")
    }
}

impl Follower {
    fn start(server: &Server, index: usize) -> Self {
        let proxy = Proxy::start(server.address, SEED + index as u64);
        let feed = Feed::new().url(format!("http://{}/revocations", proxy.address));
        let is_strict = index >= LENIENT;
        let feed = if is_strict { feed.on_stale(OnStale::RejectAfter(LONGEST_SILENCE)) } else { feed };
        // Every second one remembers what it accepted.
        let cache = (index % 2) * 1_000;
        let verifier = builder(server).revocations(feed).token_cache(cache).build().unwrap();
        Self { verifier, is_strict, proxy }
    }
}

/// What all verifiers have ever said.
struct Watch<'a> {
    scene: &'a Scene,
    /// Which of them refused which session as revoked.
    refused: HashSet<(usize, usize)>,
}

impl Watch<'_> {
    /// Asks all about all.
    fn look(&mut self) -> Vec<Vec<Result<(), Error>>> {
        let followers = 0..self.scene.followers.len();
        followers
            .map(|follower| {
                (0..self.scene.sessions.len()).map(|session| self.ask(follower, session)).collect()
            })
            .collect()
    }

    fn ask(&mut self, follower: usize, session: usize) -> Result<(), Error> {
        let Follower { verifier, is_strict, .. } = &self.scene.followers[follower];
        let verdict = verdict(verifier, &self.scene.sessions[session].access);
        let was_refused = self.refused.contains(&(follower, session));
        match verdict {
            Err(Error::Revoked) => drop(self.refused.insert((follower, session))),
            Ok(()) => assert!(!was_refused, "verifier {follower} accepts session {session} again"),
            Err(Error::RevocationsUnavailable) if *is_strict => {
                assert!(!was_refused, "verifier {follower} has forgotten session {session}");
            }
            Err(ref error) => panic!("verifier {follower}, session {session}: {error}"),
        }
        verdict
    }

    /// Whether exactly the first sessions are revoked, for all.
    fn everybody_knows(&mut self, revoked: usize) -> bool {
        self.look().iter().all(|verdicts| {
            let (ended, living) = verdicts.split_at(revoked);
            ended.iter().all(|verdict| *verdict == Err(Error::Revoked)) && living.iter().all(Result::is_ok)
        })
    }

    /// What lives is neither accepted by them nor called revoked, and the others accept it.
    fn the_strict_answer_503(&mut self) -> bool {
        let verdicts = self.look();
        let of_living = verdicts.iter().map(|verdicts| verdicts.last().expect("a session"));
        let mut asked = self.scene.followers.iter().zip(of_living);
        asked.all(|(follower, verdict)| match verdict {
            Ok(()) => !follower.is_strict,
            Err(error) => follower.is_strict && error.status() == 503,
        })
    }
}
